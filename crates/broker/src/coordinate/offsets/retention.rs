//! How long committed offsets are kept (KIP-211), how they are taken back, and those that open transactions will commit.

use super::{Entry, GroupOffsets, Offsets};
use crate::coordinate::offset_record::OffsetRecord;
use millstream_bus::{BusError, TopicPartition};
use millstream_model::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// From when on the offsets of a group grow old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retention {
    /// Each since it was committed: nobody ever joined the group.
    SinceCommit,
    /// All of them since the group is without members.
    Since(Timestamp),
    /// Those of topics that no member reads, each since it was committed.
    Unread,
    /// They do not, while the members of the group share anew.
    Kept,
}

/// The offsets that open transactions will commit, by transactional id.
pub(super) type Pending = BTreeMap<String, Vec<(String, TopicPartition)>>;

impl Offsets {
    /// Notes offsets of the open transaction of `id`: until it ends, whoever asks for stable offsets is told to wait.
    pub(crate) fn pend(&self, id: &str, records: &[OffsetRecord]) {
        let of = |record: &OffsetRecord| (record.group.clone(), record.of.clone());
        self.pending.lock().entry(id.to_owned()).or_default().extend(records.iter().map(of));
    }

    /// The transaction of `id` has ended, and what it committed is applied.
    pub(crate) fn settle_pending(&self, id: &str) {
        self.pending.lock().remove(id);
    }

    /// Whether an open transaction will commit an offset of a partition.
    pub(crate) fn is_pending(&self, group: &str, of: &TopicPartition) -> bool {
        let is_it = |(name, at): &(String, TopicPartition)| name == group && at == of;
        self.pending.lock().values().flatten().any(is_it)
    }

    /// Whether a group has offsets, or will have.
    pub(crate) fn contains(&self, group: &str) -> bool {
        let committed = self.groups.lock().contains_key(group);
        committed || self.pending.lock().values().flatten().any(|(name, _)| name == group)
    }

    /// The partitions whose offsets are older than `period`. `reads` tells which topics members read.
    pub(crate) fn expired(
        &self,
        group: &str,
        retention: Retention,
        period: Duration,
        reads: impl Fn(&str) -> bool,
    ) -> Vec<TopicPartition> {
        let now = self.clock.now();
        let is_old = |since: Timestamp| since.plus(period) <= now;
        let is_over = |(of, entry): &(&TopicPartition, &Entry)| match retention {
            Retention::SinceCommit => is_old(entry.at),
            // What was committed after the last member went counts from then on.
            Retention::Since(empty) => is_old(empty.max(entry.at)),
            Retention::Unread => is_old(entry.at) && !reads(&of.topic),
            Retention::Kept => false,
        };
        let expired: Vec<_> = {
            let groups = self.groups.lock();
            let offsets: Option<&GroupOffsets> = groups.get(group);
            offsets.into_iter().flatten().filter(is_over).map(|(of, _)| of.clone()).collect()
        };
        expired.into_iter().filter(|of| !self.is_pending(group, of)).collect()
    }

    /// Takes offsets of a group back; durable when it returns.
    pub(crate) async fn remove(
        &self,
        group: &str,
        of: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<(), BusError> {
        let record = |of| OffsetRecord { group: group.to_owned(), of, committed: None };
        let records: Vec<_> = of.into_iter().map(record).collect();
        if records.is_empty() {
            return Ok(());
        }
        let next_offset = self.append(&records)?;
        self.apply(records, next_offset);
        self.flushed(next_offset).await
    }
}
