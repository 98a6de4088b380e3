//! The binary: command line, the list of parts, wiring, the demo, rendering of messages.
//!
//! What it is: the one place that knows every room and puts them together.
//! What it is not: it holds nothing that another room could own.
//!
//! Three types to know: [`cli::Cli`] (every command and flag), [`instance::Instance`] (a plant that runs),
//! [`failure::Failure`] (how a command ends when it does not end well).
//!
//! Data enters as arguments and a plant folder, and leaves as text, as JSON lines, and over the server.

mod cli;
mod client;
mod clock;
mod command;
mod console;
mod demo;
mod device;
mod engine;
mod failure;
mod handles;
mod instance;
mod kafka;
mod logging;
mod memory;
mod parts;
mod plant;
mod render;
mod shell;
mod simulators;
mod stop;
mod table;
mod topics;
mod values;
mod watchdog;

use clap::Parser;
use console::Console;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let console = Console::new(cli.command.json());
    match command::run(&cli.command, console) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(words) = failure.words() {
                console.error(words);
            }
            failure.code()
        }
    }
}
