//! Which transactions a client that reads a part of the log has to leave out.

use super::{Replica, TransactionKey};
use crate::error::bus_error;
use crate::fetch::marker;
use millstream_bus::BusError;
use millstream_log::batch::ControlKind;
use millstream_log::{LogError, Scanned};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

impl Replica {
    /// The aborted transactions that have records in `from..to`: producer ids and first offsets, in the order of these. A client
    /// leaves out the records of the producer from there up to its next marker, so none may be named too early. Blocks where so
    /// many transactions were aborted since that the log has to be asked.
    pub(crate) fn aborted(&self, from: i64, to: i64) -> Result<Vec<(i64, i64)>, BusError> {
        let (mut found, known_from) = {
            let state = self.state().map_err(bus_error)?;
            (state.transactions.aborted_within(from, to), state.transactions.known_from)
        };
        if from < known_from {
            found.extend(self.aborted_in_log(from, to, known_from).map_err(bus_error)?);
            found.sort_unstable_by_key(|(id, first)| (*first, *id));
        }
        Ok(found)
    }

    /// Those whose markers lie before `known_from`.
    fn aborted_in_log(&self, from: i64, to: i64, known_from: i64) -> Result<Vec<(i64, i64)>, LogError> {
        let mut open: BTreeMap<TransactionKey, i64> = BTreeMap::new();
        let mut found = Vec::new();
        self.log.scan(from, |scanned| {
            let header = match &scanned {
                Scanned::Header(header) => header,
                Scanned::Control(batch) => &batch.header,
            };
            let key = (header.producer_id, header.producer_epoch);
            if header.base_offset >= known_from || (header.base_offset >= to && open.is_empty()) {
                return ControlFlow::Break(());
            }
            match &scanned {
                Scanned::Header(header) if header.is_transactional() && header.base_offset < to => {
                    open.entry(key).or_insert(header.base_offset);
                }
                Scanned::Header(_) => {}
                Scanned::Control(batch) => {
                    let first = open.remove(&key);
                    if marker(batch) == Some(ControlKind::Abort) {
                        found.extend(first.map(|first| (key.0, first)));
                    }
                }
            }
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }
}
