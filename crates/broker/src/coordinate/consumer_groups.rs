//! The coordinator of consumer groups of the next-generation protocol (KIP-848): all of them, their records in
//! `__consumer_offsets`, and the clock that expires members.

use crate::coordinate::consumer_group::change::Change;
use crate::coordinate::consumer_group::{ConsumerGroup, GroupState, MemberError, Partition, record};
use crate::coordinate::offsets;
use crate::coordinate::producers::{compacted, load};
use crate::error::bus_error;
use crate::record::encode;
use crate::replica::Replica;
use crate::topics::Topics;
use kafka_protocol::ResponseError;
use millstream_bus::BusError;
use millstream_model::Clock;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// All groups.
#[derive(Debug)]
pub(crate) struct ConsumerGroups {
    replica: Arc<Replica>,
    clock: Arc<dyn Clock>,
    groups: Mutex<BTreeMap<Arc<str>, ConsumerGroup>>,
}

impl From<MemberError> for ResponseError {
    fn from(error: MemberError) -> Self {
        match error {
            MemberError::Unknown => Self::UnknownMemberId,
            MemberError::StaleEpoch => Self::StaleMemberEpoch,
            MemberError::OldCommit => Self::UnsupportedVersion,
        }
    }
}

impl ConsumerGroups {
    /// Reads the groups. Blocks.
    pub(crate) fn open(topics: &Topics, clock: Arc<dyn Clock>) -> Result<Self, BusError> {
        let replica = topics.internal(offsets::TOPIC, &compacted())?;
        let mut groups: BTreeMap<Arc<str>, ConsumerGroup> = BTreeMap::new();
        load(&replica, |read| {
            if let Some((name, change)) = record::decode(read) {
                groups.entry(name).or_default().apply(change);
            }
        })?;
        groups.retain(|_, group| group.epoch > 0);
        Ok(Self { replica, clock, groups: Mutex::new(groups) })
    }

    /// Writes changes of a group and takes them over. Returns what to await before telling anyone.
    fn write(&self, name: &str, group: &mut ConsumerGroup, changes: Vec<Change>) -> Result<i64, BusError> {
        let now = self.clock.now();
        let records: Vec<_> = changes.iter().map(|change| record::encode(name, change, now)).collect();
        let count = records.len();
        // One batch: a crash leaves all of it or nothing.
        let mut batch = encode(records, usize::MAX, None)?;
        let appended = self.replica.append(&mut batch, count).map_err(bus_error)?;
        changes.into_iter().for_each(|change| group.apply(change));
        Ok(appended.next_offset)
    }

    /// Deletes a group without members; durable when it returns. `GROUP_ID_NOT_FOUND`, `NON_EMPTY_GROUP`.
    pub(crate) async fn delete(&self, name: &str) -> Result<(), ResponseError> {
        let written = {
            let mut groups = self.groups.lock();
            let group = groups.get_mut(name).ok_or(ResponseError::GroupIdNotFound)?;
            if !group.members.is_empty() {
                return Err(ResponseError::NonEmptyGroup);
            }
            let deletion = group.deletion();
            let written = self.write(name, group, deletion).map_err(|_| ResponseError::CoordinatorNotAvailable)?;
            groups.remove(name);
            written
        };
        self.replica.flushed(written).await.map_err(|_| ResponseError::CoordinatorNotAvailable)
    }

    /// Whether there is such a group, with members or without. Where there is none, it may be a classic one.
    pub(crate) fn contains(&self, group: &str) -> bool {
        self.groups.lock().contains_key(group)
    }

    /// Whether such a group has members.
    pub(crate) fn is_live(&self, group: &str) -> bool {
        self.groups.lock().get(group).is_some_and(|group| !group.members.is_empty())
    }

    /// Every group and its state.
    pub(crate) fn list(&self) -> Vec<(Arc<str>, GroupState)> {
        self.groups.lock().iter().map(|(name, group)| (Arc::clone(name), group.state())).collect()
    }

    /// Whether a member may commit offsets of `partitions`; `version` of OffsetCommit, `None` for TxnOffsetCommit.
    /// `GROUP_ID_NOT_FOUND` where there is no such group.
    pub(crate) fn check_commit(
        &self,
        group: &str,
        member_id: &str,
        epoch: i32,
        version: Option<i16>,
        partitions: impl IntoIterator<Item = Partition>,
    ) -> Result<(), ResponseError> {
        let groups = self.groups.lock();
        let group = groups.get(group).ok_or(ResponseError::GroupIdNotFound)?;
        Ok(group.check_commit(member_id, epoch, version, partitions)?)
    }

    /// Whether a member may see the committed offsets (OffsetFetch).
    pub(crate) fn check_fetch(
        &self,
        group: &str,
        member_id: Option<&str>,
        epoch: i32,
    ) -> Result<(), ResponseError> {
        let groups = self.groups.lock();
        let group = groups.get(group).ok_or(ResponseError::GroupIdNotFound)?;
        Ok(group.check_fetch(member_id, epoch)?)
    }

    /// Whether a member of the group reads a topic: its offsets are not to be deleted.
    pub(crate) fn is_subscribed(&self, group: &str, topic: &str) -> bool {
        self.groups.lock().get(group).is_some_and(|group| group.is_subscribed(topic))
    }
}
