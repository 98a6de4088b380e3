//! Every command and every flag, each defined once: the help, the completions and the parser come from here.

mod topic;

use clap::{Args, Parser, Subcommand, ValueEnum};
use millstream_model::parse_duration;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use topic::{Produce, Tail, Topic, TopicPlace};

/// PLC to Kafka to SQL and back, in one binary.
#[derive(Debug, Parser)]
#[command(name = "millstream", version, max_term_width = 100, disable_help_subcommand = true)]
#[command(after_help = "Start with `millstream demo`: a whole simulated plant, nothing else needed.\n\
                        Exit codes: 0 done, 1 it failed, 2 a mistake in what was asked.")]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a whole simulated plant on real protocols, closed loop and all
    Demo(Demo),
    /// Run a plant folder
    Run(Run),
    /// Check a plant folder offline: all mistakes at once
    Check(Check),
    /// Show what a plant asks of its devices: requests and bytes per scan
    Plan(Plan),
    /// Read tags of a device once, or again and again
    Read(Read),
    /// Write tags of a device, through the guard; asks first
    Write(Write),
    /// Let a tag take writes again that was latched off after failed ones
    Rearm(Rearm),
    /// Serve every device of a plant as a simulator, so that the plant runs with no hardware
    Simulate(Simulate),
    /// Find out, step by step, why a device does not answer
    Doctor(Doctor),
    /// Talk SQL to a running instance
    Sql(Sql),
    /// Look at topics, and read and write their records
    #[command(subcommand)]
    Topic(Topic),
    /// Print the script that completes commands in your shell
    Completions(Completions),
}

/// Machine-readable output, the same flag everywhere.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Output {
    /// Print one JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
}

/// A plant on disk, the same argument everywhere.
#[derive(Debug, Args)]
pub(crate) struct PlantPath {
    /// The plant folder, or a single .toml file
    #[arg(value_name = "PLANT", value_hint = clap::ValueHint::AnyPath)]
    pub(crate) path: PathBuf,
}

/// A device that no plant needs to know.
#[derive(Debug, Args)]
pub(crate) struct Connection {
    /// PLC4X's connection string, for example modbus-tcp://10.0.0.7:502?unit-identifier=1
    #[arg(value_name = "CONNECTION")]
    pub(crate) text: String,

    /// Longest wait for the connection and for each answer
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "5s")]
    pub(crate) timeout: Duration,
}

/// `millstream demo`.
#[derive(Debug, Args)]
#[command(
    after_help = "What it runs is examples/demo: two Modbus machines, three queries, one guarded write."
)]
pub(crate) struct Demo {
    /// Keep the log in this folder; without it, it is gone when the demo ends
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) data_dir: Option<PathBuf>,

    /// Run on Apache Kafka at these addresses in place of the embedded log
    #[arg(long, value_name = "HOST:PORT,…")]
    pub(crate) bootstrap_servers: Option<String>,

    /// Serve the status page here; without it, on 127.0.0.1:8080 or, where that is taken, on any free port
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) http: Option<SocketAddr>,

    /// End after this many seconds
    #[arg(long, value_name = "SECONDS")]
    pub(crate) seconds: Option<u64>,

    /// Print lines in place of the live view
    #[arg(long)]
    pub(crate) plain: bool,
}

/// `millstream run`.
#[derive(Debug, Args)]
#[command(
    after_help = "The folder is watched: a change is taken over while everything it does not touch goes on.\n\
                        RUST_LOG sets what is logged, for example RUST_LOG=millstream=debug."
)]
pub(crate) struct Run {
    /// The plant.
    #[command(flatten)]
    pub(crate) plant: PlantPath,

    /// Play every device by a simulator of our own; no machine is touched
    #[arg(long)]
    pub(crate) simulate: bool,
}

/// `millstream check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The plant.
    #[command(flatten)]
    pub(crate) plant: PlantPath,
    /// The output.
    #[command(flatten)]
    pub(crate) output: Output,
}

/// `millstream plan`.
#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// The plant.
    #[command(flatten)]
    pub(crate) plant: PlantPath,

    /// Only this device
    #[arg(long, value_name = "NAME")]
    pub(crate) device: Option<String>,

    /// Show every request
    #[arg(long)]
    pub(crate) requests: bool,

    /// Round-trip time to assume for the estimated scan time
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "5ms")]
    pub(crate) round_trip: Duration,

    /// The output.
    #[command(flatten)]
    pub(crate) output: Output,
}

/// `millstream read`.
#[derive(Debug, Args)]
#[command(after_help = "For example: millstream read modbus-tcp://10.0.0.7 holding-register:1:REAL coil:5")]
pub(crate) struct Read {
    /// The device.
    #[command(flatten)]
    pub(crate) connection: Connection,

    /// Addresses in the protocol's grammar, as PLC4X writes them
    #[arg(value_name = "TAG", required = true)]
    pub(crate) tags: Vec<String>,

    /// Keep reading, by default once a second; Ctrl-C ends it
    #[arg(long, value_name = "INTERVAL", value_parser = duration, num_args = 0..=1, require_equals = true,
          default_missing_value = "1s")]
    pub(crate) watch: Option<Duration>,

    /// The output.
    #[command(flatten)]
    pub(crate) output: Output,
}

/// `millstream write`.
#[derive(Debug, Args)]
#[command(after_help = "For example: millstream write modbus-tcp://10.0.0.7 holding-register:10:REAL=42.5")]
pub(crate) struct Write {
    /// The device.
    #[command(flatten)]
    pub(crate) connection: Connection,

    /// An address, `=`, and the value to write; arrays as [1,2,3]
    #[arg(value_name = "TAG=VALUE", required = true)]
    pub(crate) writes: Vec<String>,

    /// Do not ask; for scripts
    #[arg(long)]
    pub(crate) yes: bool,

    /// Refuse a value below this
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub(crate) min: Option<f64>,

    /// Refuse a value above this
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub(crate) max: Option<f64>,

    /// Do not read the value back after writing it
    #[arg(long)]
    pub(crate) no_verify: bool,

    /// The output.
    #[command(flatten)]
    pub(crate) output: Output,
}

/// `millstream rearm`.
#[derive(Debug, Args)]
#[command(
    after_help = "A running instance latches a tag off when too many writes in a row fail; /health and the status page \
                        name it. Mend the cause first. For example: millstream rearm press1 setpoint"
)]
pub(crate) struct Rearm {
    /// The device's name in the plant folder
    pub(crate) device: String,

    /// The tag's name in the plant folder
    pub(crate) tag: String,

    /// The instance.
    #[command(flatten)]
    pub(crate) instance: InstanceUrl,

    /// The output.
    #[command(flatten)]
    pub(crate) output: Output,
}

/// `millstream simulate`.
#[derive(Debug, Args)]
#[command(
    after_help = "A device on this machine (127.0.0.1, localhost) is served at the address of its connection \
                        string; any other at a free port of 127.0.0.1."
)]
pub(crate) struct Simulate {
    /// The plant.
    #[command(flatten)]
    pub(crate) plant: PlantPath,
    /// The output.
    #[command(flatten)]
    pub(crate) output: Output,
}

/// `millstream doctor`.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The device.
    #[command(flatten)]
    pub(crate) connection: Connection,

    /// Addresses to try as well
    #[arg(value_name = "TAG")]
    pub(crate) tags: Vec<String>,

    /// The output.
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Where a running instance is.
#[derive(Debug, Args)]
pub(crate) struct InstanceUrl {
    /// The running instance
    #[arg(long, value_name = "URL", env = "MILLSTREAM_URL", default_value = "http://127.0.0.1:8080")]
    pub(crate) url: String,
}

/// `millstream sql`.
#[derive(Debug, Args)]
#[command(
    after_help = "Without a statement and a file it reads statements line by line; a statement ends with `;`."
)]
pub(crate) struct Sql {
    /// Run this and end
    #[arg(short = 'e', long = "execute", value_name = "STATEMENT", conflicts_with = "file")]
    pub(crate) statement: Option<String>,

    /// Run the statements of this file and end; - for the standard input
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,

    /// The instance.
    #[command(flatten)]
    pub(crate) instance: InstanceUrl,

    /// The output.
    #[command(flatten)]
    pub(crate) output: Output,
}

/// `millstream completions`.
#[derive(Debug, Args)]
#[command(after_help = "For example: millstream completions bash > /etc/bash_completion.d/millstream")]
pub(crate) struct Completions {
    /// Your shell
    pub(crate) shell: Shell,
}

/// The shells that can be served.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "lowercase")]
pub(crate) enum Shell {
    /// Bash.
    Bash,
    /// Elvish.
    Elvish,
    /// Fish.
    Fish,
    /// PowerShell.
    #[value(name = "powershell")]
    Power,
    /// Zsh.
    Zsh,
}

fn duration(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(Duration::ZERO) => Err("a duration must be longer than nothing".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_fit_together() {
        Cli::command().debug_assert();
    }

    /// Over all flags: each says what it does, in one manner, and takes nothing without saying what.
    #[test]
    fn every_flag_says_what_it_does() {
        let mut seen = 0;
        let mut commands = vec![Cli::command()];
        while let Some(command) = commands.pop() {
            commands.extend(command.get_subcommands().cloned());
            for arg in command.get_arguments() {
                let name = format!("{} {}", command.get_name(), arg.get_id());
                let help = arg.get_help().unwrap_or_else(|| panic!("{name} has no help")).to_string();
                assert!(!help.ends_with('.') && help.len() <= 120, "{name}: {help}");
                assert!(help.starts_with(|c: char| c.is_uppercase()), "{name}: {help}");
                seen += 1;
            }
        }
        assert!(seen > 50, "{seen}");
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert!(duration("5").is_err());
        assert!(duration("0s").is_err());
    }
}
