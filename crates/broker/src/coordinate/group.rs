//! One consumer group as a state machine, in the words and states of Kafka's group coordinator. Pure: time comes in, answers
//! are collected in a list.
//!
//! ```text
//!   Empty ──join──► PreparingRebalance ──all joined, or time is up──► CompletingRebalance ──leader's sync──► Stable
//!                      ▲                                                     │ join, leave, expiry              │
//!                      └─────────────────────────────────────────────────────┴──────────────────────────────────┘
//! ```

use crate::limits;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::time::Instant;

/// A member's id.
pub(crate) type MemberId = Arc<str>;

/// Why a request of a member was refused; each has an error code of Kafka's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum GroupError {
    /// `UNKNOWN_MEMBER_ID`: it was never a member, has left or was expired.
    #[error("unknown member")]
    UnknownMember,
    /// `ILLEGAL_GENERATION`: the group has moved on.
    #[error("illegal generation")]
    IllegalGeneration,
    /// `REBALANCE_IN_PROGRESS`: it must join again.
    #[error("rebalance in progress")]
    RebalanceInProgress,
    /// `INCONSISTENT_GROUP_PROTOCOL`: it has no protocol in common with the others.
    #[error("no protocol in common with the group")]
    InconsistentProtocol,
    /// `GROUP_MAX_SIZE_REACHED`
    #[error("the group is full")]
    Full,
}

/// Where a group is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Empty,
    PreparingRebalance { until: Instant },
    CompletingRebalance { until: Instant },
    Stable,
}

/// What a member brings when it joins.
#[derive(Debug, Clone)]
pub(crate) struct Joining {
    pub(crate) member: MemberId,
    pub(crate) protocol_type: &'static str,
    /// Name and metadata of each protocol it can do, the favourite first.
    pub(crate) protocols: Vec<(String, Bytes)>,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
}

/// The answer to a join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(crate) generation: i32,
    pub(crate) protocol: String,
    pub(crate) leader: MemberId,
    /// For the leader: each member's metadata.
    pub(crate) members: Vec<(MemberId, Bytes)>,
}

/// An answer that became due, to whom.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Join(MemberId, Result<Joined, GroupError>),
    Sync(MemberId, Result<Bytes, GroupError>),
}

#[derive(Debug)]
struct Member {
    protocols: Vec<(String, Bytes)>,
    session_timeout: Duration,
    rebalance_timeout: Duration,
    seen: Instant,
    /// It waits for the answer to its join.
    joining: bool,
    /// It waits for the answer to its sync.
    syncing: bool,
    assignment: Bytes,
}

impl Member {
    fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|(name, _)| name == protocol);
        found.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }
}

/// A group.
#[derive(Debug)]
pub(crate) struct Group {
    state: State,
    generation: i32,
    protocol_type: Option<&'static str>,
    protocol: String,
    leader: Option<MemberId>,
    members: BTreeMap<MemberId, Member>,
    answers: Vec<Answer>,
}

impl Group {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Empty,
            generation: 0,
            protocol_type: None,
            protocol: String::new(),
            leader: None,
            members: BTreeMap::new(),
            answers: Vec::new(),
        }
    }

    pub(crate) fn members(&self) -> usize {
        self.members.len()
    }

    /// Answers that became due with the calls so far.
    pub(crate) fn take_answers(&mut self) -> Vec<Answer> {
        std::mem::take(&mut self.answers)
    }

    /// A member joins, or joins again. Its answer comes when the round is complete.
    pub(crate) fn join(&mut self, now: Instant, joining: Joining) {
        if let Err(error) = self.check_join(&joining) {
            self.answers.push(Answer::Join(joining.member, Err(error)));
            return;
        }
        self.protocol_type = Some(joining.protocol_type);
        let id = joining.member.clone();
        let unchanged = self.members.get(&id).is_some_and(|member| member.protocols == joining.protocols);
        let assignment = self.members.get(&id).map(|member| member.assignment.clone()).unwrap_or_default();
        let member = Member {
            protocols: joining.protocols,
            session_timeout: joining.session_timeout,
            rebalance_timeout: joining.rebalance_timeout,
            seen: now,
            joining: true,
            syncing: false,
            assignment,
        };
        self.members.insert(id.clone(), member);
        let settled = matches!(self.state, State::Stable | State::CompletingRebalance { .. });
        if settled && unchanged && self.leader.as_ref() != Some(&id) {
            // A follower that lost the answer asks again; nothing changes for the others.
            self.answer_join(&id);
            return;
        }
        self.prepare(now);
        self.complete_joins(now, false);
    }

    fn check_join(&self, joining: &Joining) -> Result<(), GroupError> {
        let known = self.members.contains_key(&joining.member);
        if !known && self.members.len() >= limits::GROUP_MEMBERS {
            return Err(GroupError::Full);
        }
        let others =
            || self.members.iter().filter(|(id, _)| **id != joining.member).map(|(_, member)| member);
        let same_type = others().next().is_none() || self.protocol_type == Some(joining.protocol_type);
        let everyone_can =
            |name: &String| others().all(|other| other.protocols.iter().any(|(known, _)| known == name));
        if same_type && joining.protocols.iter().any(|(name, _)| everyone_can(name)) {
            Ok(())
        } else {
            Err(GroupError::InconsistentProtocol)
        }
    }

    /// Begins a round, where none is under way.
    fn prepare(&mut self, now: Instant) {
        if matches!(self.state, State::PreparingRebalance { .. }) {
            return;
        }
        for (id, member) in &mut self.members {
            if std::mem::take(&mut member.syncing) {
                self.answers.push(Answer::Sync(id.clone(), Err(GroupError::RebalanceInProgress)));
            }
        }
        let longest = self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default();
        self.state = State::PreparingRebalance { until: now + longest };
    }

    /// Ends the round where everyone has joined; where time is up, without those who have not.
    fn complete_joins(&mut self, now: Instant, time_is_up: bool) {
        if !matches!(self.state, State::PreparingRebalance { .. }) {
            return;
        }
        if time_is_up {
            self.members.retain(|_, member| member.joining);
        }
        if self.members.values().any(|member| !member.joining) {
            return;
        }
        self.generation = self.generation.wrapping_add(1).max(1);
        if self.leader.as_ref().is_none_or(|leader| !self.members.contains_key(leader)) {
            self.leader = self.members.keys().next().cloned();
        }
        let Some(leader) = self.leader.as_ref().and_then(|leader| self.members.get(leader)) else {
            self.state = State::Empty;
            self.leader = None;
            return;
        };
        let everyone_can = |name: &str| {
            self.members.values().all(|member| member.protocols.iter().any(|(known, _)| known == name))
        };
        let common = leader.protocols.iter().map(|(name, _)| name).find(|name| everyone_can(name));
        self.protocol = common.cloned().unwrap_or_default();
        let longest = self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default();
        self.state = State::CompletingRebalance { until: now + longest };
        for id in self.members.keys().cloned().collect::<Vec<_>>() {
            self.answer_join(&id);
            if let Some(member) = self.members.get_mut(&id) {
                member.seen = now;
                member.assignment = Bytes::new();
            }
        }
    }

    fn answer_join(&mut self, id: &MemberId) {
        let Some(leader) = self.leader.clone() else { return };
        let metadata = |(id, member): (&MemberId, &Member)| (id.clone(), member.metadata(&self.protocol));
        let members = if leader == *id { self.members.iter().map(metadata).collect() } else { Vec::new() };
        let joined = Joined { generation: self.generation, protocol: self.protocol.clone(), leader, members };
        if let Some(member) = self.members.get_mut(id) {
            member.joining = false;
        }
        self.answers.push(Answer::Join(id.clone(), Ok(joined)));
    }

    /// A member asks for its assignment; the leader brings everyone's.
    pub(crate) fn sync(
        &mut self,
        now: Instant,
        id: &MemberId,
        generation: i32,
        assignments: Vec<(MemberId, Bytes)>,
    ) {
        if let Err(error) = self.check(id, generation) {
            self.answers.push(Answer::Sync(id.clone(), Err(error)));
            return;
        }
        let is_leader = self.leader.as_ref() == Some(id);
        let Some(member) = self.members.get_mut(id) else { return };
        member.seen = now;
        match self.state {
            State::Empty | State::PreparingRebalance { .. } => {
                self.answers.push(Answer::Sync(id.clone(), Err(GroupError::RebalanceInProgress)));
            }
            State::Stable => {
                let assignment = member.assignment.clone();
                self.answers.push(Answer::Sync(id.clone(), Ok(assignment)));
            }
            State::CompletingRebalance { .. } => {
                member.syncing = true;
                if is_leader {
                    self.assign(assignments);
                }
            }
        }
    }

    fn assign(&mut self, assignments: Vec<(MemberId, Bytes)>) {
        for (id, assignment) in assignments {
            if let Some(member) = self.members.get_mut(&id) {
                member.assignment = assignment;
            }
        }
        self.state = State::Stable;
        for (id, member) in &mut self.members {
            if std::mem::take(&mut member.syncing) {
                self.answers.push(Answer::Sync(id.clone(), Ok(member.assignment.clone())));
            }
        }
    }

    /// A member is alive.
    pub(crate) fn heartbeat(
        &mut self,
        now: Instant,
        id: &MemberId,
        generation: i32,
    ) -> Result<(), GroupError> {
        self.check(id, generation)?;
        if let Some(member) = self.members.get_mut(id) {
            member.seen = now;
        }
        match self.state {
            State::PreparingRebalance { .. } => Err(GroupError::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// Whether a member may commit now. During a round it may, until the next generation begins.
    pub(crate) fn check_commit(&self, id: &MemberId, generation: i32) -> Result<(), GroupError> {
        self.check(id, generation)?;
        match self.state {
            State::CompletingRebalance { .. } => Err(GroupError::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    fn check(&self, id: &MemberId, generation: i32) -> Result<(), GroupError> {
        if !self.members.contains_key(id) {
            Err(GroupError::UnknownMember)
        } else if generation != self.generation {
            Err(GroupError::IllegalGeneration)
        } else {
            Ok(())
        }
    }

    /// A member goes; the others take over.
    pub(crate) fn leave(&mut self, now: Instant, id: &MemberId) {
        if self.members.remove(id).is_none() {
            return;
        }
        if self.leader.as_ref() == Some(id) {
            self.leader = None;
        }
        self.prepare(now);
        self.complete_joins(now, false);
    }

    /// Lets time pass: members that were not heard of go, rounds that take too long end without those who are late.
    pub(crate) fn expire(&mut self, now: Instant) {
        let silent = |member: &Member| !member.joining && member.seen + member.session_timeout <= now;
        let gone: Vec<_> =
            self.members.iter().filter(|(_, member)| silent(member)).map(|(id, _)| id.clone()).collect();
        for id in gone {
            self.leave(now, &id);
        }
        match self.state {
            State::PreparingRebalance { until } if until <= now => self.complete_joins(now, true),
            State::CompletingRebalance { until } if until <= now => {
                let late = self.members.iter().filter(|(_, member)| !member.syncing && !member.joining);
                for id in late.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
                    self.leave(now, &id);
                }
                self.prepare(now);
                self.complete_joins(now, false);
            }
            _ => {}
        }
    }

    /// When [`Group::expire`] has something to do at the latest.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let sessions = self.members.values().filter(|member| !member.joining);
        let sessions = sessions.map(|member| member.seen + member.session_timeout);
        let round = match self.state {
            State::PreparingRebalance { until } | State::CompletingRebalance { until } => Some(until),
            State::Empty | State::Stable => None,
        };
        sessions.chain(round).min()
    }
}

#[cfg(test)]
mod tests;
