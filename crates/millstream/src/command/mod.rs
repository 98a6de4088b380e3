//! The commands, one file each.

mod check;
mod completions;
mod doctor;
mod plan;
mod read;
mod rearm;
mod run;
mod simulate;
mod sql;
mod topic;
mod write;

use crate::cli::{Command, Topic};
use crate::console::Console;
use crate::demo;
use crate::failure::Failure;
use std::future::Future;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// How long blocking work (a look into a folder, a call of librdkafka) may go on after the command has ended.
const LINGER: Duration = Duration::from_millis(500);

/// Does what was asked.
pub(crate) fn run(command: &Command, console: Console) -> Result<(), Failure> {
    match command {
        Command::Demo(arguments) => on_every_core(demo::run(arguments, console)),
        Command::Run(arguments) => on_every_core(run::run(arguments, console)),
        Command::Check(arguments) => check::run(arguments, console),
        Command::Plan(arguments) => plan::run(arguments, console),
        Command::Read(arguments) => on_one_thread(read::run(arguments, console)),
        Command::Write(arguments) => on_one_thread(write::run(arguments, console)),
        Command::Rearm(arguments) => on_one_thread(rearm::run(arguments, console)),
        Command::Simulate(arguments) => on_every_core(simulate::run(arguments, console)),
        Command::Doctor(arguments) => on_one_thread(doctor::run(arguments, console)),
        Command::Sql(arguments) => on_one_thread(sql::run(arguments, console)),
        Command::Topic(arguments) => on_one_thread(topic::run(arguments, console)),
        Command::Completions(arguments) => completions::run(arguments, console),
    }
}

impl Command {
    /// Whether the command's output is for programs.
    pub(crate) fn json(&self) -> bool {
        match self {
            Self::Demo(_) | Self::Run(_) | Self::Completions(_) => false,
            Self::Check(arguments) => arguments.output.json,
            Self::Plan(arguments) => arguments.output.json,
            Self::Read(arguments) => arguments.output.json,
            Self::Write(arguments) => arguments.output.json,
            Self::Rearm(arguments) => arguments.output.json,
            Self::Simulate(arguments) => arguments.output.json,
            Self::Doctor(arguments) => arguments.output.json,
            Self::Sql(arguments) => arguments.output.json,
            Self::Topic(topic) => topic.json(),
        }
    }
}

impl Topic {
    fn json(&self) -> bool {
        let place = match self {
            Self::List { place }
            | Self::Describe { place, .. }
            | Self::Create { place, .. }
            | Self::Delete { place, .. } => place,
            Self::Tail(arguments) => &arguments.place,
            Self::Produce(arguments) => &arguments.place,
        };
        place.output.json
    }
}

/// For what runs: one worker per core.
fn on_every_core(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    execute(Builder::new_multi_thread(), command)
}

/// For what asks once and ends.
fn on_one_thread(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    execute(Builder::new_current_thread(), command)
}

fn execute(mut builder: Builder, command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime: Runtime = builder
        .enable_all()
        .thread_name("millstream")
        .build()
        .map_err(|error| Failure::failed(format!("the system gives no threads: {error}")))?;
    let result = runtime.block_on(command);
    runtime.shutdown_timeout(LINGER);
    result
}
