//! One classic consumer group as a state machine, in the words and states of Kafka's group coordinator (KIP-62, KIP-345,
//! KIP-394, KIP-814). Pure: time comes in, answers are collected in a list.
//!
//! ```text
//!   Empty ──join──► PreparingRebalance ──all joined, or time is up──► CompletingRebalance ──leader's sync──► Stable
//!                      ▲                                                     │ join, leave, expiry              │
//!                      └─────────────────────────────────────────────────────┴──────────────────────────────────┘
//! ```
//!
//! `join` holds how members come, `round` how a rebalance begins and ends and how members go, `view` what others may know of
//! a group: its record, its description, its topics.

mod join;
mod round;
mod view;

use crate::limits;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::time::Instant;
pub(crate) use view::{GroupState, MemberView, View};

/// A member's id.
pub(crate) type MemberId = Arc<str>;

/// What a member in this process says of where it runs. It dies with this process, so it is not waited for after a restart.
pub(crate) const LOCAL_HOST: &str = "this process";

/// Names a request that waits for its answer.
pub(crate) type Ticket = u64;

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
    /// `FENCED_INSTANCE_ID`: another member has taken its instance id.
    #[error("another member has taken the instance id")]
    FencedInstance,
    /// `MEMBER_ID_REQUIRED`: it is to join again with the id that it was given (KIP-394).
    #[error("a member id is required")]
    MemberIdRequired,
}

/// Settings of classic groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Members of one group (`group.max.size`).
    pub(crate) members_max: usize,
    /// How long the first round of an empty group waits for more members (`group.initial.rebalance.delay.ms`).
    pub(crate) initial_delay: Duration,
}

/// Where a group is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Empty,
    /// Members join. The first round of an empty group, `initial`, lasts as long as it has to; others end with the last one.
    PreparingRebalance {
        until: Instant,
        initial: Option<Initial>,
    },
    CompletingRebalance,
    Stable,
}

/// The first round of an empty group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Initial {
    /// How much longer it may be drawn out.
    remaining: Duration,
    /// Somebody came since it was last drawn out.
    grew: bool,
}

/// What a member brings when it joins.
#[derive(Debug, Clone)]
pub(crate) struct Joining {
    /// Its id, or the one that was made for it.
    pub(crate) member: MemberId,
    /// It brought the id itself.
    pub(crate) has_id: bool,
    /// `group.instance.id` of a static member.
    pub(crate) instance: Option<Arc<str>>,
    pub(crate) client: Client,
    pub(crate) protocol_type: String,
    /// Name and metadata of each protocol it can do, the favourite first.
    pub(crate) protocols: Vec<(String, Bytes)>,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    /// Without an id it is told one first (JoinGroup 4 and later).
    pub(crate) must_know_id: bool,
    /// As a leader it can be told not to assign anew (JoinGroup 9 and later).
    pub(crate) can_skip_assignment: bool,
}

/// Who a member says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) host: String,
}

/// The answer to a join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(crate) generation: i32,
    pub(crate) protocol_type: String,
    pub(crate) protocol: String,
    pub(crate) leader: MemberId,
    pub(crate) member: MemberId,
    /// For the leader: each member's metadata.
    pub(crate) members: Vec<JoinedMember>,
    /// The leader is not to assign anew.
    pub(crate) skip_assignment: bool,
}

/// A member as its leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinedMember {
    pub(crate) member: MemberId,
    pub(crate) instance: Option<Arc<str>>,
    pub(crate) metadata: Bytes,
}

/// The answer to a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Synced {
    pub(crate) protocol_type: String,
    pub(crate) protocol: String,
    pub(crate) assignment: Bytes,
}

/// What a sync says of the round that it belongs to.
#[derive(Debug, Clone)]
pub(crate) struct Syncing {
    pub(crate) member: MemberId,
    pub(crate) instance: Option<Arc<str>>,
    pub(crate) generation: i32,
    /// Checked where the client tells them (SyncGroup 5 and later).
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    /// From the leader: everyone's.
    pub(crate) assignments: Vec<(MemberId, Bytes)>,
}

/// An answer that became due, to which request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Join(Ticket, Result<Joined, GroupError>),
    Sync(Ticket, Result<Synced, GroupError>),
}

#[derive(Debug)]
struct Member {
    instance: Option<Arc<str>>,
    client: Client,
    protocols: Vec<(String, Bytes)>,
    session_timeout: Duration,
    rebalance_timeout: Duration,
    /// It is gone when it was not heard of until then.
    expires: Instant,
    /// It has not been in a generation yet, and does not know its id unless it brought one.
    is_new: bool,
    /// Its join that waits for an answer.
    joining: Option<Ticket>,
    /// Its sync that waits for an answer.
    syncing: Option<Ticket>,
    /// It has not asked for its assignment in this generation.
    owes_sync: bool,
    assignment: Bytes,
}

impl Member {
    fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|(name, _)| name == protocol);
        found.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }

    fn can(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|(name, _)| name == protocol)
    }

    /// Who waits for the others is alive, but for a new one, whose client may be gone.
    fn may_expire(&self) -> bool {
        self.is_new || (self.joining.is_none() && self.syncing.is_none())
    }

    fn seen(&mut self, now: Instant) {
        self.expires = now + self.session_timeout;
    }
}

/// A group.
#[derive(Debug)]
pub(crate) struct Group {
    settings: Settings,
    state: State,
    generation: i32,
    protocol_type: Option<String>,
    protocol: Option<String>,
    leader: Option<MemberId>,
    members: BTreeMap<MemberId, Member>,
    /// Ids that were given out and not joined with, and until when that is possible.
    pending: BTreeMap<MemberId, Instant>,
    /// The member of each instance id.
    instances: BTreeMap<Arc<str>, MemberId>,
    /// Members that have not synced by then are left behind.
    sync_until: Option<Instant>,
    unsaved: bool,
    answers: Vec<Answer>,
}

impl Group {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            state: State::Empty,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            pending: BTreeMap::new(),
            instances: BTreeMap::new(),
            sync_until: None,
            unsaved: false,
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

    /// Whether the group's record is to be written.
    pub(crate) fn take_unsaved(&mut self) -> bool {
        std::mem::take(&mut self.unsaved)
    }

    /// A member is alive.
    pub(crate) fn heartbeat(
        &mut self,
        now: Instant,
        id: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> Result<(), GroupError> {
        self.check(id, instance, generation)?;
        if let Some(member) = self.members.get_mut(id) {
            member.seen(now);
        }
        match self.state {
            State::PreparingRebalance { .. } => Err(GroupError::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// Whether a member may commit now. During a round it may, until the next generation begins. Who names neither a member
    /// nor a generation may where the group is empty: a consumer that assigns itself, or a tool.
    pub(crate) fn check_commit(
        &mut self,
        now: Instant,
        id: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> Result<(), GroupError> {
        let is_empty = self.state == State::Empty;
        if generation < 0 && is_empty {
            return Ok(());
        }
        if generation < 0 && id.is_empty() && instance.is_none() {
            return Err(GroupError::UnknownMember);
        }
        self.check(id, instance, generation)?;
        if self.state == State::CompletingRebalance {
            return Err(GroupError::RebalanceInProgress);
        }
        // Who commits is alive.
        if let Some(member) = self.members.get_mut(id) {
            member.seen(now);
        }
        Ok(())
    }

    /// The same for offsets of a transaction: its producer was told the generation, and may end the transaction in any state.
    pub(crate) fn check_transaction(
        &self,
        id: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> Result<(), GroupError> {
        if generation < 0 && (self.state == State::Empty || (id.is_empty() && instance.is_none())) {
            return Ok(());
        }
        self.check(id, instance, generation)
    }

    fn check(&self, id: &str, instance: Option<&str>, generation: i32) -> Result<(), GroupError> {
        self.check_identity(id, instance)?;
        if generation == self.generation { Ok(()) } else { Err(GroupError::IllegalGeneration) }
    }

    fn check_identity(&self, id: &str, instance: Option<&str>) -> Result<(), GroupError> {
        if let Some(instance) = instance {
            let current = self.instances.get(instance).ok_or(GroupError::UnknownMember)?;
            if **current != *id {
                return Err(GroupError::FencedInstance);
            }
        }
        if self.members.contains_key(id) { Ok(()) } else { Err(GroupError::UnknownMember) }
    }

    fn rebalance_timeout(&self) -> Duration {
        self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default()
    }

    /// A new member does not know its id yet, so it sends no heartbeats while it waits for its first round.
    fn new_member_expires(now: Instant) -> Instant {
        now + limits::NEW_MEMBER_TIMEOUT
    }
}

#[cfg(test)]
mod tests;
