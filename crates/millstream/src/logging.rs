//! Log lines: for people, on the standard error, at the level that `RUST_LOG` says.
//!
//! Levels: *error*, a person must act; *warn*, it mends itself or works with less; *info*, what starts, stops and changes;
//! *debug*, every connection and decision; *trace*, frames.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// What is logged where `RUST_LOG` says nothing. librdkafka tells of every broken connection at error level, and
/// the bus says the same in our words.
const DEFAULT: &str = "info,rdkafka=off,librdkafka=off";

/// Starts logging; `default` counts where `RUST_LOG` is not set.
pub(crate) fn start(default: Option<&str>) {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default.unwrap_or(DEFAULT)));
    let colors =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colors)
        .with_target(false)
        .finish();
    // A second start would change nothing, and is no trouble.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
