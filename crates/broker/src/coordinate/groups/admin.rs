//! What tools do with classic groups: list, describe, delete, forget offsets.

use super::{Entry, Groups};
use crate::coordinate::assign::PROTOCOL_TYPE;
use crate::coordinate::group::{Group, GroupState, View};
use crate::coordinate::group_record::GroupRecord;
use crate::coordinate::offsets::Retention;
use kafka_protocol::ResponseError;
use millstream_bus::BusError;

/// A group in a list.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) group: String,
    pub(crate) protocol_type: String,
    pub(crate) state: GroupState,
}

/// Which offsets of a group may be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OffsetRights {
    All,
    /// Of topics that no member reads.
    Unread,
}

impl Groups {
    /// Every classic group, those that have only offsets with an empty protocol type. Sorted by name.
    pub(crate) fn list(&self) -> Vec<Listed> {
        let groups = &self.registry.lock().groups;
        let existing = groups.iter().filter(|(_, entry)| entry.group.exists());
        let listed = |(name, entry): (&String, &Entry)| Listed {
            group: name.clone(),
            protocol_type: entry.group.protocol_type().to_owned(),
            state: entry.group.state(),
        };
        existing.map(listed).collect()
    }

    /// A group as it is now; `None` where it has never had a member.
    pub(crate) fn view(&self, name: &str) -> Option<View> {
        self.look(name, |group| group.exists().then(|| group.view())).flatten()
    }

    /// Deletes a group without members, but not its offsets; to be awaited with what is returned. `NON_EMPTY_GROUP`,
    /// `GROUP_ID_NOT_FOUND`.
    pub(crate) fn delete(&self, name: &str) -> Result<i64, ResponseError> {
        let mut registry = self.registry.lock();
        let entry = registry.groups.get(name).filter(|entry| entry.group.exists());
        let entry = entry.ok_or(ResponseError::GroupIdNotFound)?;
        if entry.group.state() != GroupState::Empty {
            return Err(ResponseError::NonEmptyGroup);
        }
        let written = self.bury(name).map_err(|_| ResponseError::CoordinatorNotAvailable)?;
        registry.groups.remove(name);
        Ok(written)
    }

    /// Writes that a group is deleted. Returns what to await.
    fn bury(&self, name: &str) -> Result<i64, BusError> {
        let record = GroupRecord { group: name.to_owned(), value: None };
        self.offsets.write(vec![record.encode(self.clock.now())])
    }

    /// An empty classic group makes way for a consumer group of the same name (KIP-848), which takes over its offsets. Whether
    /// there is none with members in the way.
    pub(crate) fn make_way(&self, name: &str) -> bool {
        match self.delete(name) {
            Ok(_) | Err(ResponseError::GroupIdNotFound) => true,
            Err(_) => false,
        }
    }

    /// Whether offsets of a group may be deleted: of a group with members only where it is known what they read.
    pub(crate) fn offset_rights(&self, name: &str) -> Result<OffsetRights, ResponseError> {
        let rights = |group: &mut Group| {
            let is_empty = group.state() == GroupState::Empty;
            let is_consumer = group.protocol_type() == PROTOCOL_TYPE;
            match (is_empty, is_consumer) {
                (true, _) => Ok(OffsetRights::All),
                (false, true) => Ok(OffsetRights::Unread),
                (false, false) => Err(ResponseError::NonEmptyGroup),
            }
        };
        self.look(name, rights).unwrap_or(Ok(OffsetRights::All))
    }

    /// Whether members of a group read a topic, or may.
    pub(crate) fn reads(&self, name: &str, topic: &str) -> bool {
        let reads = |group: &mut Group| match group.reads(topic) {
            Some(reads) => reads,
            None => group.state() != GroupState::Empty,
        };
        self.look(name, reads).unwrap_or(false)
    }

    /// How long a group's offsets are kept (KIP-211).
    pub(crate) fn retention(&self, name: &str) -> Retention {
        let registry = self.registry.lock();
        let Some(entry) = registry.groups.get(name).filter(|entry| entry.group.exists()) else {
            return Retention::SinceCommit;
        };
        match entry.group.state() {
            GroupState::Empty if entry.group.protocol_type().is_empty() => Retention::SinceCommit,
            GroupState::Empty => entry.empty_since.map_or(Retention::SinceCommit, Retention::Since),
            GroupState::Stable => Retention::Unread,
            GroupState::PreparingRebalance | GroupState::CompletingRebalance => Retention::Kept,
        }
    }

    /// Forgets empty groups that have no offsets.
    pub(crate) fn bury_without_offsets(&self) {
        let mut registry = self.registry.lock();
        registry.groups.retain(|name, entry| {
            let is_over = entry.group.is_deserted() && entry.changes.is_closed();
            let is_buried =
                is_over && !self.offsets.contains(name) && (!entry.group.exists() || self.bury(name).is_ok());
            !is_buried
        });
    }
}
