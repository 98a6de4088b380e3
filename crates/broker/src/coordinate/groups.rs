//! The group coordinator: all groups, who waits for which answer, and the clock that expires members.

use crate::coordinate::group::{Answer, Group, GroupError, Joined, Joining, MemberId};
use crate::limits;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;

pub(crate) type JoinAnswer = oneshot::Receiver<Result<Joined, GroupError>>;
pub(crate) type SyncAnswer = oneshot::Receiver<Result<Bytes, GroupError>>;

/// All groups.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: Mutex<BTreeMap<String, Entry>>,
    /// Rings when a deadline may have come nearer.
    pub(crate) changed: Notify,
}

#[derive(Debug)]
struct Entry {
    group: Group,
    joins: BTreeMap<MemberId, oneshot::Sender<Result<Joined, GroupError>>>,
    syncs: BTreeMap<MemberId, oneshot::Sender<Result<Bytes, GroupError>>>,
    /// Counts changes; members of this process watch it instead of waiting for their next heartbeat.
    changes: watch::Sender<u64>,
}

impl Entry {
    fn new() -> Self {
        Self {
            group: Group::new(),
            joins: BTreeMap::new(),
            syncs: BTreeMap::new(),
            changes: watch::Sender::new(0),
        }
    }

    /// Sends the answers that became due. Who does not wait any more has given up.
    fn answer(&mut self) {
        for answer in self.group.take_answers() {
            match answer {
                Answer::Join(id, result) => {
                    if let Some(waiting) = self.joins.remove(&id) {
                        let _ = waiting.send(result);
                    }
                }
                Answer::Sync(id, result) => {
                    if let Some(waiting) = self.syncs.remove(&id) {
                        let _ = waiting.send(result);
                    }
                }
            }
        }
        self.changes.send_modify(|count| *count += 1);
    }
}

impl Groups {
    fn change<T>(&self, name: &str, change: impl FnOnce(&mut Entry) -> T) -> T {
        let mut groups = self.groups.lock();
        let entry = groups.entry(name.to_owned()).or_insert_with(Entry::new);
        let result = change(entry);
        entry.answer();
        drop(groups);
        self.changed.notify_one();
        result
    }

    /// A member joins.
    pub(crate) fn join(&self, name: &str, joining: Joining) -> Result<JoinAnswer, GroupError> {
        self.make_room(name)?;
        let (answer, receiver) = oneshot::channel();
        self.change(name, |entry| {
            entry.joins.insert(joining.member.clone(), answer);
            entry.group.join(Instant::now(), joining);
        });
        Ok(receiver)
    }

    /// Forgets groups without members where there are too many.
    fn make_room(&self, name: &str) -> Result<(), GroupError> {
        let mut groups = self.groups.lock();
        if groups.len() >= limits::GROUPS && !groups.contains_key(name) {
            groups.retain(|_, entry| entry.group.members() > 0);
            if groups.len() >= limits::GROUPS {
                return Err(GroupError::Full);
            }
        }
        Ok(())
    }

    /// A member asks for its assignment.
    pub(crate) fn sync(
        &self,
        name: &str,
        member: &MemberId,
        generation: i32,
        assignments: Vec<(MemberId, Bytes)>,
    ) -> SyncAnswer {
        let (answer, receiver) = oneshot::channel();
        self.change(name, |entry| {
            entry.syncs.insert(member.clone(), answer);
            entry.group.sync(Instant::now(), member, generation, assignments);
        });
        receiver
    }

    /// A member is alive.
    pub(crate) fn heartbeat(&self, name: &str, member: &MemberId, generation: i32) -> Result<(), GroupError> {
        match self.groups.lock().get_mut(name) {
            Some(entry) => entry.group.heartbeat(Instant::now(), member, generation),
            None => Err(GroupError::UnknownMember),
        }
    }

    /// Whether a member may commit.
    pub(crate) fn check_commit(
        &self,
        name: &str,
        member: &MemberId,
        generation: i32,
    ) -> Result<(), GroupError> {
        match self.groups.lock().get_mut(name) {
            Some(entry) => entry.group.check_commit(member, generation),
            None => Err(GroupError::UnknownMember),
        }
    }

    /// A member goes.
    pub(crate) fn leave(&self, name: &str, member: &MemberId) {
        self.change(name, |entry| {
            entry.joins.remove(member);
            entry.syncs.remove(member);
            entry.group.leave(Instant::now(), member);
        });
    }

    /// How many members a group has.
    pub(crate) fn members(&self, name: &str) -> usize {
        self.groups.lock().get(name).map_or(0, |entry| entry.group.members())
    }

    /// Groups with members, and how many.
    pub(crate) fn list(&self) -> Vec<(String, usize)> {
        let groups = self.groups.lock();
        let alive = groups.iter().map(|(name, entry)| (name.clone(), entry.group.members()));
        alive.filter(|(_, members)| *members > 0).collect()
    }

    /// Changes of a group, for members of this process.
    pub(crate) fn changes(&self, name: &str) -> watch::Receiver<u64> {
        let mut groups = self.groups.lock();
        groups.entry(name.to_owned()).or_insert_with(Entry::new).changes.subscribe()
    }

    /// Lets time pass, and tells when to come again.
    pub(crate) fn expire(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut groups = self.groups.lock();
        for entry in groups.values_mut() {
            if entry.group.deadline().is_some_and(|deadline| deadline <= now) {
                entry.group.expire(now);
                entry.answer();
            }
        }
        groups.values().filter_map(|entry| entry.group.deadline()).min()
    }
}
