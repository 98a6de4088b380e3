//! The offset coordinator: committed offsets of groups, in memory and in `__consumer_offsets`.

mod retention;

use crate::coordinate::offset_record::{Committed, OffsetRecord};
use crate::coordinate::producers::{compacted, load};
use crate::error::bus_error;
use crate::limits;
use crate::record::encode;
use crate::replica::Replica;
use crate::topics::Topics;
use crate::wait::all_ok;
use millstream_bus::{BusError, CommittedOffset, Record, TopicPartition};
use millstream_model::{Clock, Timestamp};
use parking_lot::Mutex;
use retention::Pending;
pub(crate) use retention::Retention;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) const TOPIC: &str = "__consumer_offsets";

type GroupOffsets = BTreeMap<TopicPartition, Entry>;

/// A committed offset, when it was, and where in the log it was written: the later one counts, whichever is applied first.
#[derive(Debug)]
struct Entry {
    committed: Committed,
    at: Timestamp,
    written_before: i64,
}

/// Committed offsets.
#[derive(Debug)]
pub(crate) struct Offsets {
    replica: Arc<Replica>,
    clock: Arc<dyn Clock>,
    groups: Mutex<BTreeMap<String, GroupOffsets>>,
    pending: Mutex<Pending>,
}

/// The offsets of one group as records.
pub(crate) fn records_of(group: &str, offsets: &[(TopicPartition, CommittedOffset)]) -> Vec<OffsetRecord> {
    let record = |(of, committed): &(TopicPartition, CommittedOffset)| OffsetRecord {
        group: group.to_owned(),
        of: of.clone(),
        committed: Some(committed.clone().into()),
    };
    offsets.iter().map(record).collect()
}

impl Offsets {
    /// Reads what was committed; `other` is given what else there is, oldest first: the records of groups. Blocks.
    pub(crate) fn open(
        topics: &Topics,
        clock: Arc<dyn Clock>,
        mut other: impl FnMut(&Record),
    ) -> Result<Self, BusError> {
        let replica = topics.internal(TOPIC, &compacted())?;
        let mut groups: BTreeMap<String, GroupOffsets> = BTreeMap::new();
        load(&replica, |record| match OffsetRecord::decode(record) {
            Some(offset) => apply(&mut groups, offset, record.timestamp, 0),
            None => other(record),
        })?;
        // Of a topic that was deleted when its offsets could not be taken back.
        groups.retain(|_, offsets| {
            offsets.retain(|of, _| topics.exists(&of.topic));
            !offsets.is_empty()
        });
        Ok(Self { replica, clock, groups: Mutex::new(groups), pending: Mutex::default() })
    }

    /// Commits; durable when it returns. What the offsets point past is put on disk before.
    pub(crate) async fn commit(&self, topics: &Topics, records: Vec<OffsetRecord>) -> Result<(), BusError> {
        self.flush_inputs(topics, &records).await?;
        let next_offset = self.append(&records)?;
        self.finish(records, next_offset).await
    }

    /// Shows offsets that were written before `written` to whoever asks, as soon as they are on disk.
    pub(crate) async fn finish(&self, records: Vec<OffsetRecord>, written: i64) -> Result<(), BusError> {
        self.replica.flushed(written).await?;
        self.apply(records, written);
        Ok(())
    }

    /// Puts everything before the offsets on disk. Partitions that are gone are passed over.
    pub(crate) async fn flush_inputs(
        &self,
        topics: &Topics,
        records: &[OffsetRecord],
    ) -> Result<(), BusError> {
        let inputs = records.iter().filter_map(|record| {
            let offset = Some(record.committed.as_ref()?.offset).filter(|offset| *offset > 0)?;
            Some((topics.replica(&record.of).ok()?, offset))
        });
        all_ok(inputs.map(|(replica, offset)| async move { replica.flushed_input(offset).await })).await
    }

    /// Writes records of a decided transaction, not durable yet. Returns what to hand to [`Offsets::flushed`].
    pub(crate) fn append(&self, records: &[OffsetRecord]) -> Result<i64, BusError> {
        let now = self.clock.now();
        self.write(records.iter().map(|record| record.encode(now)).collect())
    }

    /// Writes records of offsets or groups, not durable yet. Returns what to hand to [`Offsets::flushed`].
    pub(crate) fn write(&self, records: Vec<Record>) -> Result<i64, BusError> {
        let count = records.len();
        let bytes_max = self.replica.log().config().max_message_bytes;
        let mut batches = encode(records, bytes_max, None)?;
        Ok(self.replica.append(&mut batches, count).map_err(bus_error)?.next_offset)
    }

    /// Resolves when what was appended is on disk.
    pub(crate) async fn flushed(&self, next_offset: i64) -> Result<(), BusError> {
        self.replica.flushed(next_offset).await
    }

    /// Shows offsets, which were written before `written_before`, to whoever asks.
    pub(crate) fn apply(&self, records: Vec<OffsetRecord>, written_before: i64) {
        let now = self.clock.now();
        let mut groups = self.groups.lock();
        for record in records {
            apply(&mut groups, record, now, written_before);
        }
    }

    /// Where the next write goes.
    pub(crate) fn next_offset(&self) -> i64 {
        self.replica.range().latest
    }

    /// The committed offset of one partition.
    pub(crate) fn committed(&self, group: &str, of: &TopicPartition) -> Option<Committed> {
        self.groups.lock().get(group)?.get(of).map(|entry| entry.committed.clone())
    }

    /// Everything that a group has committed.
    pub(crate) fn all(&self, group: &str) -> Vec<(TopicPartition, Committed)> {
        let groups = self.groups.lock();
        let offsets = groups.get(group).into_iter().flatten();
        offsets.map(|(of, entry)| (of.clone(), entry.committed.clone())).collect()
    }

    /// Groups with offsets.
    pub(crate) fn groups(&self) -> Vec<String> {
        self.groups.lock().keys().cloned().collect()
    }

    /// Whether a group may have offsets: it has some, or there are not too many that do.
    pub(crate) fn has_room(&self, group: &str) -> bool {
        let groups = self.groups.lock();
        groups.contains_key(group) || groups.len() < limits::GROUPS
    }

    /// Takes back what groups have committed for a topic that is deleted.
    pub(crate) async fn forget_topic(&self, topic: &str) -> Result<(), BusError> {
        let of_topic = |(group, offsets): (&String, &GroupOffsets)| {
            let partitions = offsets.keys().filter(|of| *of.topic == *topic).cloned();
            let record = |of| OffsetRecord { group: group.clone(), of, committed: None };
            partitions.map(record).collect::<Vec<_>>()
        };
        let records: Vec<_> = self.groups.lock().iter().flat_map(of_topic).collect();
        if records.is_empty() {
            return Ok(());
        }
        self.apply(records.clone(), self.next_offset());
        let next_offset = self.append(&records)?;
        self.replica.flushed(next_offset).await
    }
}

fn apply(
    groups: &mut BTreeMap<String, GroupOffsets>,
    record: OffsetRecord,
    at: Timestamp,
    written_before: i64,
) {
    match record.committed {
        Some(committed) => {
            let offsets = groups.entry(record.group).or_default();
            if offsets.get(&record.of).is_none_or(|last| last.written_before <= written_before) {
                offsets.insert(record.of, Entry { committed, at, written_before });
            }
        }
        None => {
            if let Some(offsets) = groups.get_mut(&record.group) {
                offsets.remove(&record.of);
                if offsets.is_empty() {
                    groups.remove(&record.group);
                }
            }
        }
    }
}
