//! `millstream completions`: from the same definitions as everything else.

use crate::cli::{Cli, Completions, Shell};
use crate::console::Console;
use crate::failure::Failure;
use clap::CommandFactory;

pub(crate) fn run(arguments: &Completions, console: Console) -> Result<(), Failure> {
    let shell = match arguments.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Elvish => clap_complete::Shell::Elvish,
        Shell::Fish => clap_complete::Shell::Fish,
        Shell::Power => clap_complete::Shell::PowerShell,
        Shell::Zsh => clap_complete::Shell::Zsh,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "millstream", &mut script);
    console.text(&String::from_utf8_lossy(&script))
}
