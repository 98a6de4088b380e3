//! What can go wrong, split by what the caller does next.

use millstream_bus::BusError;
use millstream_model::Diagnostic;
use thiserror::Error;

/// An operation of the SQL engine failed.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum SqlError {
    /// The statements are wrong; nothing of them was done.
    #[error("{}", .0.first().map_or("the statement is wrong", |d| d.message.as_str()))]
    Mistakes(Vec<Diagnostic>),
    /// The bus failed. A running query starts again from its last commit.
    #[error("{context}: {error}")]
    Bus {
        /// What was being done, on what.
        context: String,
        /// What the bus said.
        error: BusError,
    },
    /// A query cannot go on as it is, whatever is tried: its saved state cannot be read, or it holds too many keys.
    #[error("{0}")]
    Query(String),
    /// A query's code panicked. It starts again from its last commit, around the record that caused it.
    #[error("the query panicked: {0}")]
    Panicked(String),
    /// The engine was stopped.
    #[error("the engine was stopped")]
    Stopped,
}

impl SqlError {
    /// Adds what was being done to an error of the bus.
    pub(crate) fn bus(context: impl Into<String>) -> impl FnOnce(BusError) -> Self {
        let context = context.into();
        move |error| Self::Bus { context, error }
    }
}
