//! What a group consists of, piece by piece: each change is one record of `__consumer_offsets`.

use super::{ConsumerGroup, Current, MemberId, Partition, Resolved, Subscription};
use std::collections::BTreeSet;
use std::sync::Arc;

/// One piece of a group with its new value; `None` takes it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// The group epoch and the hash of the subscribed topics. Taken back, the group is gone.
    Epoch(Option<(i32, i64)>),
    /// What a member said of itself.
    Member(MemberId, Option<Box<Subscription>>),
    /// The epoch of the target assignment, and when it was computed, in ms since 1970.
    TargetEpoch(Option<(i32, i64)>),
    /// What a member shall hold.
    Target(MemberId, Option<Arc<BTreeSet<Partition>>>),
    /// What a member holds.
    Current(MemberId, Option<Box<Current>>),
    /// What a regular expression matches.
    Regex(Arc<str>, Option<Resolved>),
}

impl ConsumerGroup {
    /// Takes over a change that is written.
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Epoch(value) => (self.epoch, self.metadata_hash) = value.unwrap_or_default(),
            Change::Member(id, Some(said)) => self.subscribe(id, *said),
            Change::Member(id, None) => self.remove(&id),
            Change::TargetEpoch(value) => self.target_epoch = value.map_or(0, |(epoch, _)| epoch),
            Change::Target(id, Some(target)) => drop(self.target.insert(id, target)),
            Change::Target(id, None) => drop(self.target.remove(&id)),
            Change::Current(id, current) => self.hold(&id, current.map(|current| *current)),
            Change::Regex(regex, Some(resolved)) => drop(self.resolved.insert(regex, Arc::new(resolved))),
            Change::Regex(regex, None) => drop(self.resolved.remove(&regex)),
        }
    }

    fn subscribe(&mut self, id: MemberId, said: Subscription) {
        self.forget_instance(&id);
        if let Some(instance_id) = &said.instance_id {
            self.instances.insert(Arc::clone(instance_id), Arc::clone(&id));
        }
        Arc::make_mut(self.members.entry(id).or_default()).said = said;
    }

    fn remove(&mut self, id: &MemberId) {
        self.hold(id, None);
        self.forget_instance(id);
        self.members.remove(id);
    }

    /// Another member may have the instance id by now.
    fn forget_instance(&mut self, id: &MemberId) {
        let instance_id = self.members.get(id).and_then(|member| member.said.instance_id.as_ref());
        if let Some(instance_id) = instance_id
            && self.instances.get(instance_id) == Some(id)
        {
            self.instances.remove(instance_id);
        }
    }

    /// In a compacted log this may come before what the member said of itself.
    fn hold(&mut self, id: &MemberId, current: Option<Current>) {
        if current.is_none() && !self.members.contains_key(id) {
            return;
        }
        let current = current.unwrap_or_default();
        let member = self.members.entry(Arc::clone(id)).or_default();
        let old = &member.current;
        for at in old.assigned.keys().chain(old.revoking.keys()) {
            if self.owners.get(at) == Some(id) {
                self.owners.remove(at);
            }
        }
        for at in current.assigned.keys().chain(current.revoking.keys()) {
            self.owners.insert(*at, Arc::clone(id));
        }
        Arc::make_mut(member).current = current;
    }
}
