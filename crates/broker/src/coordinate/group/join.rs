//! How members come into a group: new ones, known ones again, and static ones in the place of their predecessors.

use super::{Answer, Group, GroupError, Joined, JoinedMember, Joining, Member, MemberId, State, Ticket};
use bytes::Bytes;
use std::sync::Arc;
use tokio::time::Instant;

impl Group {
    /// A member joins, or joins again. Its answer comes when the round is complete.
    pub(crate) fn join(&mut self, now: Instant, ticket: Ticket, joining: Joining) {
        if let Err(error) = self.try_join(now, ticket, joining) {
            self.answers.push(Answer::Join(ticket, Err(error)));
        }
    }

    fn try_join(&mut self, now: Instant, ticket: Ticket, joining: Joining) -> Result<(), GroupError> {
        if !self.has_room(&joining.member) {
            self.remove(&joining.member);
            return Err(GroupError::Full);
        }
        if !self.supports(&joining) {
            return Err(GroupError::InconsistentProtocol);
        }
        if joining.has_id {
            self.join_again(now, ticket, joining)
        } else {
            self.join_new(now, ticket, joining)
        }
    }

    fn has_room(&self, id: &MemberId) -> bool {
        let max = self.settings.members_max;
        match self.state {
            State::Empty => self.pending.len() < max || self.pending.contains_key(id),
            State::PreparingRebalance { .. } => {
                let waits = self.members.get(id).is_some_and(|member| member.joining.is_some());
                waits || self.members.values().filter(|member| member.joining.is_some()).count() < max
            }
            State::CompletingRebalance | State::Stable => {
                self.members.contains_key(id) || self.members.len() + self.pending.len() < max
            }
        }
    }

    fn supports(&self, joining: &Joining) -> bool {
        if self.members.is_empty() {
            return !joining.protocol_type.is_empty() && !joining.protocols.is_empty();
        }
        self.protocol_type.as_ref() == Some(&joining.protocol_type)
            && joining.protocols.iter().any(|(name, _)| self.everyone_can(name))
    }

    pub(super) fn everyone_can(&self, protocol: &str) -> bool {
        self.members.values().all(|member| member.can(protocol))
    }

    fn join_new(&mut self, now: Instant, ticket: Ticket, joining: Joining) -> Result<(), GroupError> {
        if let Some(instance) = &joining.instance {
            match self.instances.get(instance).cloned() {
                Some(predecessor) => self.replace(now, ticket, &joining, &predecessor),
                None => self.add(now, ticket, joining),
            }
            return Ok(());
        }
        if joining.must_know_id {
            self.pending.insert(joining.member, now + joining.session_timeout);
            return Err(GroupError::MemberIdRequired);
        }
        self.add(now, ticket, joining);
        Ok(())
    }

    fn join_again(&mut self, now: Instant, ticket: Ticket, joining: Joining) -> Result<(), GroupError> {
        if self.pending.contains_key(&joining.member) {
            // Static members are never told to wait, so this is not the one that was given the id.
            if joining.instance.is_some() {
                return Err(GroupError::UnknownMember);
            }
            self.add(now, ticket, joining);
            return Ok(());
        }
        self.check_identity(&joining.member, joining.instance.as_deref())?;
        let is_leader = self.leader.as_ref() == Some(&joining.member);
        let unchanged =
            self.members.get(&joining.member).is_some_and(|member| member.protocols == joining.protocols);
        match self.state {
            State::Empty => return Err(GroupError::UnknownMember),
            // It lost the answer and asks again; nothing changes for the others.
            State::CompletingRebalance if unchanged => {
                self.answer_current(ticket, &joining.member, is_leader);
            }
            State::Stable if unchanged && !is_leader => self.answer_current(ticket, &joining.member, false),
            // A leader that joins again wants a new round: the partitions of its topics may have changed.
            _ => {
                self.update(ticket, &joining);
                self.rebalance_or_complete(now);
            }
        }
        Ok(())
    }

    /// Adds a member, and begins a round where none is under way.
    fn add(&mut self, now: Instant, ticket: Ticket, joining: Joining) {
        if let State::PreparingRebalance { initial: Some(initial), .. } = &mut self.state {
            initial.grew = true;
        }
        if self.members.is_empty() {
            self.protocol_type = Some(joining.protocol_type);
        }
        let id = joining.member;
        self.leader.get_or_insert_with(|| Arc::clone(&id));
        self.pending.remove(&id);
        if let Some(instance) = &joining.instance {
            self.instances.insert(Arc::clone(instance), Arc::clone(&id));
        }
        let member = Member {
            instance: joining.instance,
            client: joining.client,
            protocols: joining.protocols,
            session_timeout: joining.session_timeout,
            rebalance_timeout: joining.rebalance_timeout,
            expires: Self::new_member_expires(now),
            is_new: true,
            joining: Some(ticket),
            syncing: None,
            owes_sync: false,
            assignment: Bytes::new(),
        };
        self.members.insert(id, member);
        self.rebalance_or_complete(now);
    }

    /// Takes over what a known member brings, and lets it wait for the answer.
    fn update(&mut self, ticket: Ticket, joining: &Joining) {
        let Some(member) = self.members.get_mut(&joining.member) else { return };
        member.protocols.clone_from(&joining.protocols);
        member.session_timeout = joining.session_timeout;
        member.rebalance_timeout = joining.rebalance_timeout;
        member.client = joining.client.clone();
        if let Some(earlier) = member.joining.replace(ticket) {
            self.answers.push(Answer::Join(earlier, Err(GroupError::RebalanceInProgress)));
        }
    }

    /// A static member came back under a new id: it takes the place of the one before, which is fenced.
    fn replace(&mut self, now: Instant, ticket: Ticket, joining: &Joining, predecessor: &MemberId) {
        let Some(mut member) = self.members.remove(predecessor) else { return };
        let id = Arc::clone(&joining.member);
        if let Some(waits) = member.joining.take() {
            self.answers.push(Answer::Join(waits, Err(GroupError::FencedInstance)));
        }
        if let Some(waits) = member.syncing.take() {
            self.answers.push(Answer::Sync(waits, Err(GroupError::FencedInstance)));
        }
        let leader_before = self.leader.clone();
        if self.leader.as_ref() == Some(predecessor) {
            self.leader = Some(Arc::clone(&id));
        }
        if let Some(instance) = &member.instance {
            self.instances.insert(Arc::clone(instance), Arc::clone(&id));
        }
        self.members.insert(Arc::clone(&id), member);
        self.update(ticket, joining);
        if let Some(member) = self.members.get_mut(&id) {
            member.seen(now);
        }
        let keeps_protocol = self.protocol.is_some() && self.vote() == self.protocol;
        if self.state == State::Stable && keeps_protocol {
            // Its partitions are still its own, so nothing changes for the others.
            self.unsaved = true;
            let is_leader = self.leader.as_ref() == Some(&id);
            let skips = joining.can_skip_assignment && is_leader;
            let mut joined = self.joined(&id, skips);
            joined.skip_assignment = skips;
            if let Some(leader) = leader_before.filter(|_| !joining.can_skip_assignment) {
                // An older client would assign anew if it were told that it leads.
                joined.leader = leader;
            }
            self.answer_join(&id, joined);
        } else {
            self.rebalance_or_complete(now);
        }
    }

    /// Answers a join with the generation that is there already.
    fn answer_current(&mut self, ticket: Ticket, id: &MemberId, with_members: bool) {
        let joined = self.joined(id, with_members);
        self.answers.push(Answer::Join(ticket, Ok(joined)));
    }

    pub(super) fn joined(&self, id: &MemberId, with_members: bool) -> Joined {
        let protocol = self.protocol.clone().unwrap_or_default();
        let seen = |(id, member): (&MemberId, &Member)| JoinedMember {
            member: Arc::clone(id),
            instance: member.instance.clone(),
            metadata: member.metadata(&protocol),
        };
        let members = if with_members { self.members.iter().map(seen).collect() } else { Vec::new() };
        Joined {
            generation: self.generation,
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            leader: self.leader.clone().unwrap_or_else(|| "".into()),
            member: Arc::clone(id),
            members,
            skip_assignment: false,
            protocol,
        }
    }

    pub(super) fn answer_join(&mut self, id: &MemberId, joined: Joined) {
        let ticket = self.members.get_mut(id).and_then(|member| member.joining.take());
        self.answers.extend(ticket.map(|ticket| Answer::Join(ticket, Ok(joined))));
    }
}
