//! The clocks of a group's members: those that are not heard of, and those that take too long to give partitions back, are put out.

use super::{ConsumerGroup, MemberId, MemberState};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// When a member must be out. Not kept over a restart: all clocks begin anew then.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    sessions: BTreeMap<MemberId, Instant>,
    /// With the epoch that the member must be past by then.
    revocations: BTreeMap<MemberId, (i32, Instant)>,
}

impl Timers {
    /// Of a group that was just read.
    pub(crate) fn of(group: &ConsumerGroup, now: Instant, session: Duration) -> Self {
        let mut timers = Self::default();
        for id in group.members.keys() {
            timers.heard(id, now + session);
            timers.follow(id, group, now);
        }
        timers
    }

    /// A member is good until then.
    pub(crate) fn heard(&mut self, id: &MemberId, until: Instant) {
        self.sessions.insert(MemberId::clone(id), until);
    }

    /// What a member holds has changed.
    pub(crate) fn follow(&mut self, id: &MemberId, group: &ConsumerGroup, now: Instant) {
        match group.members.get(id) {
            Some(member) if member.current.state == MemberState::UnrevokedPartitions => {
                let timeout = u64::try_from(member.said.rebalance_timeout_ms).unwrap_or(0);
                let until = now + Duration::from_millis(timeout);
                self.revocations.insert(MemberId::clone(id), (member.current.epoch, until));
            }
            _ => drop(self.revocations.remove(id)),
        }
    }

    pub(crate) fn forget(&mut self, id: &MemberId) {
        self.sessions.remove(id);
        self.revocations.remove(id);
    }

    /// The members that must go now.
    pub(crate) fn due(&mut self, group: &ConsumerGroup, now: Instant) -> Vec<MemberId> {
        let is_late = |id: &MemberId, epoch: i32| {
            group.members.get(id).is_some_and(|member| {
                member.current.epoch == epoch && member.current.state == MemberState::UnrevokedPartitions
            })
        };
        let silent = self.sessions.iter().filter(|(_, until)| **until <= now).map(|(id, _)| id);
        let late = self.revocations.iter().filter(|(_, (_, until))| *until <= now);
        let late = late.filter(|(id, (epoch, _))| is_late(id, *epoch)).map(|(id, _)| id);
        let due: BTreeSet<_> = silent.chain(late).cloned().collect();
        self.revocations.retain(|_, (_, until)| *until > now);
        due.into_iter().collect()
    }

    /// When somebody may have to go next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let revocations = self.revocations.values().map(|(_, until)| until);
        self.sessions.values().chain(revocations).min().copied()
    }
}
