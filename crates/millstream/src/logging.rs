//! Log lines: for people, on the standard error, at the level that `RUST_LOG` says.
//!
//! Levels: *error*, a person must act; *warn*, it mends itself or works with less; *info*, what starts, stops and changes;
//! *debug*, every connection and decision; *trace*, frames.

use crate::clock::SystemClock;
use millstream_model::Clock;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

/// Times as everywhere else in the house: UTC with milliseconds.
#[derive(Debug, Clone, Copy)]
struct Wall;

impl FormatTime for Wall {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        write!(writer, "{}", SystemClock.now())
    }
}

/// Starts logging. `level` counts where `RUST_LOG` is not set; librdkafka's own lines are left out then, since it tells of every
/// broken connection many times, and the bus says the same once in our words.
pub(crate) fn start(level: &str) {
    let default = match level {
        "off" => "off".to_owned(),
        _ => format!("{level},millstream_kafka=error"),
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let colors =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colors)
        .with_target(false)
        .with_timer(Wall)
        .finish();
    // A second start would change nothing, and is no trouble.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
