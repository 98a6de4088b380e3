//! The steps of a running query. Synchronous and deterministic: same input and state, same output. No I/O, no clock.

mod event_time;
mod exchange;
mod explode;
mod filter;
mod graph;
mod group;
mod join;
mod keyed;
mod project;
mod retract;
mod scan;
mod sink;

pub(crate) use graph::{Graph, Processed, StageNode};
pub(crate) use scan::Scan;
pub(crate) use sink::{Encoded, SinkEncoder};

use crate::SqlError;
use crate::batch::Batch;
use crate::state::Changes;
use std::fmt;

/// What an operator gives on, and what it could not use.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) batches: Vec<Batch>,
    pub(crate) faults: Vec<RowFault>,
    /// Rows that came after their window was closed.
    pub(crate) late: u64,
}

/// A row, or one expression of it, that could not be computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowFault {
    /// The offset of the record that the row comes from.
    pub(crate) offset: i64,
    /// Why, in words.
    pub(crate) message: String,
}

/// How far time has come in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tick {
    pub(crate) partition: i32,
    /// The stream time, in milliseconds since 1970.
    pub(crate) time_ms: i64,
    /// The offset that results of it are said to come from.
    pub(crate) offset: i64,
    /// When it was, in milliseconds since 1970.
    pub(crate) now_ms: i64,
}

impl Tick {
    /// The time after a batch; operators that have a stream time keep it themselves.
    pub(crate) fn after(batch: &Batch) -> Self {
        let time_ms = batch.timestamps.iter().copied().max().unwrap_or(i64::MIN);
        let offset = batch.offsets.last().copied().unwrap_or(-1);
        Self { partition: batch.partition, time_ms, offset, now_ms: batch.now_ms }
    }
}

/// One step of a running query.
pub(crate) trait Operator: Send + fmt::Debug {
    /// Takes rows in, gives rows out. `port` says which input they come from: 0 is the left or only one, 1 the right.
    fn on_batch(&mut self, port: usize, batch: Batch, out: &mut Output) -> Result<(), SqlError>;

    /// The name of its state, where it has one: a part of the changelog topic's name.
    fn state_name(&self) -> Option<String> {
        None
    }

    /// The shape of its state. State of another shape is thrown away.
    fn fingerprint(&self) -> String {
        String::new()
    }

    /// Adds the entries that changed since the last call.
    fn save(&mut self, changes: &mut Changes) {
        let _ = changes;
    }

    /// Takes one entry back in.
    fn load(&mut self, key: &[u8], value: &[u8]) -> Result<(), SqlError> {
        let _ = (key, value);
        Err(crate::state::damaged())
    }
}
