//! Reading one partition: batches of the log as records, markers left out, aborted records too where asked.

use crate::error::bus_error;
use crate::limits;
use crate::record::decode;
use crate::replica::{Ended, Replica, TransactionKey};
use millstream_bus::{BusError, Isolation, ReceivedRecord};
use millstream_log::LogError;
use millstream_log::batch::{Batch, ControlKind, ControlMarker, batches};
use std::collections::BTreeMap;

/// What a read found, and where the next one continues.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) records: Vec<ReceivedRecord>,
    pub(crate) bytes: usize,
    pub(crate) next_offset: i64,
}

/// Markers that a reader has found ahead of it, in the part of the log that was written before this process began.
#[derive(Debug, Default)]
pub(crate) struct Lookahead {
    /// Per transaction, the offsets of its markers that are ahead, in order.
    markers: BTreeMap<TransactionKey, Vec<(i64, ControlKind)>>,
    scanned: std::ops::Range<i64>,
}

impl Lookahead {
    /// Whether the batch at `offset`, which lies before the last stable offset, was aborted.
    fn is_aborted(&mut self, replica: &Replica, key: TransactionKey, offset: i64) -> Result<bool, BusError> {
        match replica.ended(key, offset) {
            Ended::Committed => return Ok(false),
            Ended::Aborted => return Ok(true),
            Ended::BeforeMemory => {}
        }
        if !self.scanned.contains(&offset) && self.scanned.end != offset {
            self.markers.clear();
            self.scanned = offset..offset;
        }
        loop {
            let markers = self.markers.get(&key);
            if let Some((_, kind)) =
                markers.and_then(|markers| markers.iter().find(|(marker, _)| *marker > offset))
            {
                return Ok(*kind == ControlKind::Abort);
            }
            if self.scanned.end >= replica.known_from() {
                // Compaction takes markers away when nothing is left of what was aborted.
                return Ok(false);
            }
            self.scan(replica)?;
        }
    }

    /// Looks for markers in the next part of the log.
    fn scan(&mut self, replica: &Replica) -> Result<(), BusError> {
        let from = self.scanned.end;
        let bytes = match replica.log().read(from, limits::LOOKAHEAD_BYTES) {
            Ok(bytes) => bytes,
            Err(LogError::Corrupt { last, .. }) => {
                self.scanned.end = last.max(from) + 1;
                return Ok(());
            }
            Err(error) => return Err(bus_error(error)),
        };
        if bytes.is_empty() {
            self.scanned.end = i64::MAX;
        }
        for batch in batches(bytes) {
            let Ok(batch) = batch else { break };
            let header = batch.header;
            if let Some(kind) = marker(&batch) {
                let key = (header.producer_id, header.producer_epoch);
                self.markers.entry(key).or_default().push((header.base_offset, kind));
            }
            self.scanned.end = header.next_offset().max(self.scanned.end);
        }
        // A batch that cannot be taken apart is passed over, as reading will.
        self.scanned.end = self.scanned.end.max(from + 1);
        Ok(())
    }

    /// Forgets what lies behind `offset`.
    fn pass(&mut self, offset: i64) {
        if self.scanned.start < offset && !self.markers.is_empty() {
            self.scanned.start = offset;
            self.markers.retain(|_, markers| {
                markers.retain(|(marker, _)| *marker >= offset);
                !markers.is_empty()
            });
        }
    }
}

/// What a control batch says of its transaction.
pub(crate) fn marker(batch: &Batch) -> Option<ControlKind> {
    if !batch.header.is_control() {
        return None;
    }
    let records = batch.records().ok()?;
    ControlMarker::decode(records.first()?).ok().flatten().map(|marker| marker.kind)
}

/// Records from `from` on. Empty, with `next_offset` where it was, where there is nothing yet.
pub(crate) fn read(
    replica: &Replica,
    from: i64,
    isolation: Isolation,
    (bytes_max, records_max): (usize, usize),
    lookahead: &mut Lookahead,
) -> Result<Found, BusError> {
    replica.check_exists()?;
    let mut found = Found { next_offset: from, ..Found::default() };
    let was_fenced = replica.log().is_fenced();
    let range = replica.range();
    if from > range.latest && (was_fenced || replica.log().is_fenced()) {
        // The disk failed, and what was read ahead of it is lost. What comes after it has later offsets.
        return Ok(found);
    }
    if from < range.earliest || from > range.latest {
        let (at, earliest, latest) = (replica.at.clone(), range.earliest, range.latest);
        return Err(BusError::OffsetOutOfRange { at, offset: from, earliest, latest });
    }
    let end = if isolation == Isolation::ReadCommitted { range.stable } else { range.latest };
    while found.next_offset < end && found.bytes < bytes_max && found.records.len() < records_max {
        let began_at = found.next_offset;
        let want = (bytes_max - found.bytes).min(limits::READ_BYTES);
        let bytes = match replica.log().read(began_at, want) {
            Ok(bytes) => bytes,
            // The disk failed since the range was looked up.
            Err(LogError::OffsetOutOfRange { next, .. }) if began_at > next => break,
            // What was found before it is handed out first; the error comes again.
            Err(_) if !found.records.is_empty() => break,
            Err(error) => return Err(bus_error(error)),
        };
        if bytes.is_empty() {
            // Nothing has the last offsets: they were lost with the disk, or compaction took what was there.
            found.next_offset = end.min(replica.log().range().next).max(began_at);
            break;
        }
        for batch in batches(bytes) {
            let damaged = |header: &millstream_log::batch::BatchHeader| BusError::Corrupt {
                at: replica.at.clone(),
                first: header.base_offset,
                last: header.last_offset(),
            };
            let Ok(batch) = batch else { break };
            let header = batch.header;
            if header.base_offset >= end {
                // Between what was found and the first open transaction there is nothing.
                found.next_offset = end;
                break;
            }
            if found.records.len() >= records_max || found.bytes >= bytes_max {
                break;
            }
            let key = (header.producer_id, header.producer_epoch);
            let hidden = header.is_control()
                || (isolation == Isolation::ReadCommitted
                    && header.is_transactional()
                    && lookahead.is_aborted(replica, key, header.base_offset)?);
            if !hidden {
                match decode(&batch, from) {
                    Ok(records) => found.records.extend(records),
                    Err(_) if !found.records.is_empty() => return Ok(found),
                    Err(_) => return Err(damaged(&header)),
                }
                found.bytes += batch.bytes.len();
            }
            found.next_offset = header.next_offset().max(found.next_offset);
        }
        if found.next_offset == began_at {
            break;
        }
    }
    lookahead.pass(found.next_offset);
    Ok(found)
}
