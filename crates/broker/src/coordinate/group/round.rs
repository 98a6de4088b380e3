//! Rounds of a group: how a rebalance begins, how it ends, and how members go.

use super::{Answer, Group, GroupError, Initial, MemberId, State, Synced, Syncing, Ticket};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::Instant;

impl Group {
    /// Begins a round; where one is under way, ends it if everyone is there.
    pub(super) fn rebalance_or_complete(&mut self, now: Instant) {
        match self.state {
            State::PreparingRebalance { .. } => self.complete_if_joined(now),
            _ => self.prepare(now),
        }
    }

    fn prepare(&mut self, now: Instant) {
        if self.state == State::CompletingRebalance {
            for member in self.members.values_mut() {
                member.assignment = Bytes::new();
                if let Some(ticket) = member.syncing.take() {
                    self.answers.push(Answer::Sync(ticket, Err(GroupError::RebalanceInProgress)));
                    member.seen(now);
                }
            }
        }
        self.sync_until = None;
        let timeout = self.rebalance_timeout();
        let delay = self.settings.initial_delay;
        if self.state == State::Empty && !delay.is_zero() {
            let initial = Initial { remaining: timeout.saturating_sub(delay), grew: false };
            self.state = State::PreparingRebalance { until: now + delay, initial: Some(initial) };
        } else {
            self.state = State::PreparingRebalance { until: now + timeout, initial: None };
            self.complete_if_joined(now);
        }
    }

    /// Ends the round where everyone has joined, but for the first one of an empty group, which has its time.
    pub(super) fn complete_if_joined(&mut self, now: Instant) {
        let is_ready = matches!(self.state, State::PreparingRebalance { initial: None, .. });
        let all_joined = self.members.values().all(|member| member.joining.is_some());
        if is_ready && all_joined && self.pending.is_empty() {
            self.complete(now);
        }
    }

    /// Ends the round without those who have not joined. Static members stay until their session ends.
    fn complete(&mut self, now: Instant) {
        let late = self.members.iter().filter(|(_, member)| member.joining.is_none());
        let late = late.filter(|(_, member)| member.instance.is_none());
        for id in late.map(|(id, _)| Arc::clone(id)).collect::<Vec<_>>() {
            self.remove(&id);
        }
        if !self.members.is_empty() && !self.elect() {
            // Static members only, and none of them is here: their sessions decide.
            let until = now + self.rebalance_timeout();
            self.state = State::PreparingRebalance { until, initial: None };
            return;
        }
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        if self.members.is_empty() {
            (self.state, self.protocol, self.leader) = (State::Empty, None, None);
            self.unsaved = true;
            return;
        }
        self.protocol = self.vote();
        self.state = State::CompletingRebalance;
        self.sync_until = Some(now + self.rebalance_timeout());
        for id in self.members.keys().map(Arc::clone).collect::<Vec<_>>() {
            let joined = self.joined(&id, self.leader.as_ref() == Some(&id));
            self.answer_join(&id, joined);
            if let Some(member) = self.members.get_mut(&id) {
                (member.is_new, member.owes_sync) = (false, true);
                member.seen(now);
            }
        }
    }

    /// Makes sure that a member leads which has joined.
    fn elect(&mut self) -> bool {
        let has_joined = |id: &MemberId| self.members.get(id).is_some_and(|member| member.joining.is_some());
        if self.leader.as_ref().is_some_and(has_joined) {
            return true;
        }
        let joined = self.members.keys().find(|id| has_joined(id)).cloned();
        let found = joined.is_some();
        self.leader = joined.or(self.leader.take());
        found
    }

    /// The protocol of the next generation: every member votes for the first of its own that everyone can.
    pub(super) fn vote(&self) -> Option<String> {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let names = member.protocols.iter().map(|(name, _)| name.as_str());
            if let Some(choice) = names.into_iter().find(|name| self.everyone_can(name)) {
                *votes.entry(choice).or_default() += 1;
            }
        }
        let most = votes.into_iter().max_by_key(|(_, count)| *count);
        most.map(|(name, _)| name.to_owned())
    }

    /// A member asks for its assignment; the leader brings everyone's.
    pub(crate) fn sync(&mut self, now: Instant, ticket: Ticket, syncing: Syncing) {
        if let Err(error) = self.try_sync(now, ticket, syncing) {
            self.answers.push(Answer::Sync(ticket, Err(error)));
        }
    }

    fn try_sync(&mut self, now: Instant, ticket: Ticket, syncing: Syncing) -> Result<(), GroupError> {
        let id = syncing.member;
        self.check(&id, syncing.instance.as_deref(), syncing.generation)?;
        let differs = |theirs: &Option<String>, ours: &Option<String>| {
            theirs.is_some() && ours.is_some() && theirs != ours
        };
        if differs(&syncing.protocol_type, &self.protocol_type) || differs(&syncing.protocol, &self.protocol)
        {
            return Err(GroupError::InconsistentProtocol);
        }
        let is_leader = self.leader.as_ref() == Some(&id);
        let Some(member) = self.members.get_mut(&id) else { return Err(GroupError::UnknownMember) };
        match self.state {
            State::Empty => return Err(GroupError::UnknownMember),
            State::PreparingRebalance { .. } => return Err(GroupError::RebalanceInProgress),
            State::Stable => {
                member.owes_sync = false;
                member.seen(now);
                self.answer_sync(ticket, &id);
            }
            State::CompletingRebalance => {
                member.owes_sync = false;
                if let Some(earlier) = member.syncing.replace(ticket) {
                    self.answers.push(Answer::Sync(earlier, Err(GroupError::RebalanceInProgress)));
                }
                if is_leader {
                    self.assign(now, syncing.assignments);
                }
            }
        }
        if self.members.values().all(|member| !member.owes_sync) {
            self.sync_until = None;
        }
        Ok(())
    }

    fn assign(&mut self, now: Instant, assignments: Vec<(MemberId, Bytes)>) {
        let mut assignments: BTreeMap<MemberId, Bytes> = assignments.into_iter().collect();
        self.state = State::Stable;
        self.unsaved = true;
        for id in self.members.keys().map(Arc::clone).collect::<Vec<_>>() {
            let Some(member) = self.members.get_mut(&id) else { continue };
            member.assignment = assignments.remove(&id).unwrap_or_default();
            if let Some(ticket) = member.syncing.take() {
                member.seen(now);
                self.answer_sync(ticket, &id);
            }
        }
    }

    fn answer_sync(&mut self, ticket: Ticket, id: &MemberId) {
        let synced = Synced {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol: self.protocol.clone().unwrap_or_default(),
            assignment: self.members.get(id).map(|member| member.assignment.clone()).unwrap_or_default(),
        };
        self.answers.push(Answer::Sync(ticket, Ok(synced)));
    }

    /// Members go; the others take over. Who is named by its instance id alone is removed by an administrator. One result for
    /// each, and the rest is done for those who are known.
    pub(crate) fn leave(
        &mut self,
        now: Instant,
        leaving: &[(MemberId, Option<Arc<str>>)],
    ) -> Vec<Result<(), GroupError>> {
        let one = |(id, instance): &(MemberId, Option<Arc<str>>)| self.leave_one(id, instance.as_deref());
        let results: Vec<_> = leaving.iter().map(one).collect();
        if results.iter().any(Result::is_ok) && self.state != State::Empty {
            self.rebalance_or_complete(now);
        }
        results
    }

    fn leave_one(&mut self, id: &MemberId, instance: Option<&str>) -> Result<(), GroupError> {
        if id.is_empty() {
            let named = instance.and_then(|instance| self.instances.get(instance)).cloned();
            self.remove(&named.ok_or(GroupError::UnknownMember)?);
            return Ok(());
        }
        if self.pending.remove(id).is_some() {
            return Ok(());
        }
        self.check_identity(id, instance)?;
        self.remove(id);
        Ok(())
    }

    /// Takes a member out, whatever that means for the round.
    pub(super) fn remove(&mut self, id: &MemberId) {
        self.pending.remove(id);
        let Some(member) = self.members.remove(id) else { return };
        if let Some(ticket) = member.joining {
            self.answers.push(Answer::Join(ticket, Err(GroupError::UnknownMember)));
        }
        if let Some(ticket) = member.syncing {
            self.answers.push(Answer::Sync(ticket, Err(GroupError::UnknownMember)));
        }
        if let Some(instance) = member.instance {
            self.instances.remove(&instance);
        }
        if self.leader.as_ref() == Some(id) {
            self.leader = self.members.keys().next().cloned();
        }
    }

    /// Lets time pass: members that were not heard of go, rounds that take too long end without those who are late.
    pub(crate) fn expire(&mut self, now: Instant) {
        let given_up = self.pending.len();
        self.pending.retain(|_, expires| *expires > now);
        let mut changed = self.pending.len() < given_up;
        let silent = self.members.iter().filter(|(_, member)| member.may_expire() && member.expires <= now);
        for id in silent.map(|(id, _)| Arc::clone(id)).collect::<Vec<_>>() {
            self.remove(&id);
            if self.state != State::Empty && !matches!(self.state, State::PreparingRebalance { .. }) {
                self.prepare(now);
            }
            changed = true;
        }
        if changed {
            self.complete_if_joined(now);
        }
        match self.state {
            State::PreparingRebalance { until, initial } if until <= now => match initial {
                Some(initial) if initial.grew && !initial.remaining.is_zero() => self.draw_out(now, initial),
                _ => self.complete(now),
            },
            State::CompletingRebalance | State::Stable
                if self.sync_until.is_some_and(|until| until <= now) =>
            {
                self.leave_behind(now);
            }
            _ => {}
        }
    }

    fn draw_out(&mut self, now: Instant, initial: Initial) {
        let delay = self.settings.initial_delay;
        let remaining = initial.remaining.saturating_sub(delay);
        let until = now + delay.min(initial.remaining);
        self.state = State::PreparingRebalance { until, initial: Some(Initial { remaining, grew: false }) };
    }

    /// Goes on without those who have not asked for their assignment.
    fn leave_behind(&mut self, now: Instant) {
        self.sync_until = None;
        let late = self.members.iter().filter(|(_, member)| member.owes_sync);
        for id in late.map(|(id, _)| Arc::clone(id)).collect::<Vec<_>>() {
            self.remove(&id);
        }
        self.prepare(now);
    }

    /// When [`Group::expire`] has something to do at the latest.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let sessions = self.members.values().filter(|member| member.may_expire());
        let sessions = sessions.map(|member| member.expires);
        let round = match self.state {
            State::PreparingRebalance { until, .. } => Some(until),
            State::CompletingRebalance | State::Stable => self.sync_until,
            State::Empty => None,
        };
        sessions.chain(round).chain(self.pending.values().copied()).min()
    }
}
