//! Reading what is known of producers and transactions from the log.

use super::{Replica, State};
use crate::fetch::marker;
use crate::limits;
use millstream_log::LogError;
use millstream_log::batch::{ControlKind, batches};

impl Replica {
    /// Takes in every batch of the log from `from` on. Damaged ones are passed over. Blocks.
    pub(super) fn scan(&self, state: &mut State, from: i64) -> Result<(), LogError> {
        let mut next = from.max(self.log.range().earliest);
        loop {
            let bytes = match self.log.read(next, limits::READ_BYTES) {
                Ok(bytes) if bytes.is_empty() => return Ok(()),
                Ok(bytes) => bytes,
                Err(LogError::Corrupt { last, .. }) => {
                    next = last + 1;
                    continue;
                }
                Err(LogError::OffsetOutOfRange { earliest, .. }) if next < earliest => {
                    next = earliest;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let began_at = next;
            for batch in batches(bytes) {
                let Ok(batch) = batch else { break };
                if let Some(kind) = marker(&batch) {
                    state.take_marker(&batch.header, kind == ControlKind::Abort);
                } else if !batch.header.is_control() {
                    state.take_batch(&batch.header);
                }
                next = batch.header.next_offset();
            }
            next = next.max(began_at + 1);
        }
    }
}
