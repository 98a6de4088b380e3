//! Stream time: the latest row time by source partition.

use crate::state::{CLOCK_KEY, Changes, damaged, decode, encode};
use crate::{Datum, SqlError};
use std::collections::BTreeMap;

/// Stream times.
#[derive(Debug, Default)]
pub(super) struct StreamClock {
    times: BTreeMap<i32, i64>,
    changed: bool,
}

impl StreamClock {
    /// The time of a partition; `i64::MIN` before its first row.
    pub(super) fn of(&self, partition: i32) -> i64 {
        self.times.get(&partition).copied().unwrap_or(i64::MIN)
    }

    /// Says how far a partition is. Time does not go back.
    pub(super) fn advance(&mut self, partition: i32, time_ms: i64) {
        let time = self.times.entry(partition).or_insert(i64::MIN);
        if time_ms > *time {
            *time = time_ms;
            self.changed = true;
        }
    }

    /// How far all partitions are that rows came from; `None` before the first row.
    pub(super) fn slowest(&self) -> Option<i64> {
        self.times.values().min().copied()
    }

    /// Adds its entry of the changelog where it changed.
    pub(super) fn save(&mut self, changes: &mut Changes) {
        if !std::mem::take(&mut self.changed) {
            return;
        }
        let mut value = Vec::new();
        for (partition, time) in &self.times {
            encode(&[Datum::Int(*partition), Datum::BigInt(*time)], &mut value);
        }
        changes.push((CLOCK_KEY.to_vec(), Some(value)));
    }

    /// Reads what [`StreamClock::save`] wrote.
    pub(super) fn load(&mut self, value: &[u8]) -> Result<(), SqlError> {
        for pair in decode(value)?.chunks_exact(2) {
            let [Datum::Int(partition), Datum::BigInt(time)] = pair else { return Err(damaged()) };
            self.times.insert(*partition, *time);
        }
        Ok(())
    }
}
