//! One consumer group of the next-generation protocol (KIP-848) as a state machine, in the words and states of Kafka's group
//! coordinator. Pure: time and topics come in as arguments, answers and the records to write come out.
//!
//! A group changes by its records alone ([`change`]): what a request leads to is written first and applied then, so that a
//! restart, which applies the same records again, finds the same group.
//!
//! ```text
//!            a subscription or a topic changes             the assignor has run             everyone is where it should be
//!   Empty ──────────────────────────────────► Assigning ───────────────────► Reconciling ──────────────────────────────► Stable
//! ```

pub(crate) mod assign;
pub(crate) mod change;
pub(crate) mod heartbeat;
mod pattern;
mod reconcile;
pub(crate) mod record;
pub(crate) mod timers;
pub(crate) mod topology;

use change::Change;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

/// A member's id.
pub(crate) type MemberId = Arc<str>;
/// A partition by its topic's id.
pub(crate) type Partition = (Uuid, i32);
/// Partitions that a member holds, each with the epoch in which it got it.
pub(crate) type Held = BTreeMap<Partition, i32>;

/// Why a request was refused; each has an error code of Kafka's protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MemberError {
    /// `UNKNOWN_MEMBER_ID`
    #[error("the group has no such member")]
    Unknown,
    /// `STALE_MEMBER_EPOCH`
    #[error("the member epoch is not the current one")]
    StaleEpoch,
    /// `UNSUPPORTED_VERSION`
    #[error("members of such a group commit with OffsetCommit version 9 or later")]
    OldCommit,
    /// `FENCED_MEMBER_EPOCH`
    #[error(
        "the member epoch is not the one that the coordinator knows; give up all partitions and join again"
    )]
    Fenced,
    /// `GROUP_MAX_SIZE_REACHED`
    #[error("the group has as many members as it may have")]
    Full,
    /// `UNRELEASED_INSTANCE_ID`
    #[error("another member has this instance id and has not left")]
    UnreleasedInstance,
    /// `FENCED_INSTANCE_ID`
    #[error("another member has taken this instance id")]
    FencedInstance,
    /// `INVALID_REGULAR_EXPRESSION`
    #[error("{0}")]
    Regex(String),
}

/// Where a group is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum GroupState {
    Empty,
    Assigning,
    Reconciling,
    Stable,
}

impl GroupState {
    /// Kafka's name of it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::Stable => "Stable",
        }
    }
}

/// Where a member is on its way to its target assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemberState {
    Stable,
    /// It has partitions to give back first.
    UnrevokedPartitions,
    /// It waits for partitions that others have not given back yet.
    UnreleasedPartitions,
    /// Written by a later version.
    Unknown,
}

/// A member: what it said of itself, and what it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) said: Subscription,
    pub(crate) current: Current,
}

/// What a member said of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Subscription {
    pub(crate) instance_id: Option<Arc<str>>,
    pub(crate) rack_id: Option<Arc<str>>,
    pub(crate) client_id: Arc<str>,
    pub(crate) client_host: Arc<str>,
    pub(crate) topics: BTreeSet<Arc<str>>,
    /// A regular expression; empty where there is none.
    pub(crate) regex: Arc<str>,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) assignor: Option<Arc<str>>,
}

/// What a member holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Current {
    pub(crate) epoch: i32,
    /// The one before, where the answer with the newest may have been lost.
    pub(crate) previous_epoch: i32,
    pub(crate) state: MemberState,
    pub(crate) assigned: Held,
    /// What it must give back and has not yet.
    pub(crate) revoking: Held,
}

impl Default for Current {
    fn default() -> Self {
        let (assigned, revoking) = (Held::new(), Held::new());
        Self { epoch: 0, previous_epoch: -1, state: MemberState::Stable, assigned, revoking }
    }
}

/// Topics that a regular expression matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub(crate) topics: BTreeSet<Arc<str>>,
    /// The state of the topics that it was matched against.
    pub(crate) version: i64,
    /// Since the epoch.
    pub(crate) at_ms: i64,
}

/// A group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ConsumerGroup {
    /// Rises with each change of a member or a subscribed topic.
    pub(crate) epoch: i32,
    /// Of the subscribed topics when the epoch last rose.
    pub(crate) metadata_hash: i64,
    pub(crate) members: BTreeMap<MemberId, Arc<Member>>,
    /// The group epoch of the target assignment.
    pub(crate) target_epoch: i32,
    pub(crate) target: BTreeMap<MemberId, Arc<BTreeSet<Partition>>>,
    pub(crate) resolved: BTreeMap<Arc<str>, Arc<Resolved>>,
    /// Members by instance id.
    instances: BTreeMap<Arc<str>, MemberId>,
    /// Who holds a partition, or has to give it back.
    owners: BTreeMap<Partition, MemberId>,
}

impl ConsumerGroup {
    pub(crate) fn state(&self) -> GroupState {
        let is_there = |member: &Member| {
            member.current.state == MemberState::Stable && member.current.epoch == self.target_epoch
        };
        if self.members.is_empty() {
            GroupState::Empty
        } else if self.epoch > self.target_epoch {
            GroupState::Assigning
        } else if self.members.values().all(|member| is_there(member)) {
            GroupState::Stable
        } else {
            GroupState::Reconciling
        }
    }

    /// Whether a member may commit offsets, of each of `partitions`. An epoch below 0 is someone outside, who may where there is
    /// no member. `version` of OffsetCommit; `None` within a transaction.
    pub(crate) fn check_commit(
        &self,
        member_id: &str,
        epoch: i32,
        version: Option<i16>,
        partitions: impl IntoIterator<Item = Partition>,
    ) -> Result<(), MemberError> {
        if epoch < 0 && self.members.is_empty() {
            return Ok(());
        }
        if version.is_none() && epoch == -1 && member_id.is_empty() {
            return Ok(());
        }
        let current = &self.members.get(member_id).ok_or(MemberError::Unknown)?.current;
        if version.is_some_and(|version| version < 9) {
            return Err(MemberError::OldCommit);
        }
        if epoch == current.epoch {
            return Ok(());
        }
        // A member that has not heard of its latest epoch yet may commit what it held before and holds still (KIP-1251).
        let since = |at: &Partition| current.assigned.get(at).or_else(|| current.revoking.get(at)).copied();
        let is_held = |at: Partition| since(&at).is_some_and(|since| since <= epoch);
        let mut partitions = partitions.into_iter().peekable();
        let may = epoch < current.epoch && partitions.peek().is_some() && partitions.all(is_held);
        if may { Ok(()) } else { Err(MemberError::StaleEpoch) }
    }

    /// Whether a member may see the group's offsets. Someone outside may always.
    pub(crate) fn check_fetch(&self, member_id: Option<&str>, epoch: i32) -> Result<(), MemberError> {
        let Some(member_id) = member_id.filter(|id| !id.is_empty() || epoch >= 0) else { return Ok(()) };
        let member = self.members.get(member_id).ok_or(MemberError::Unknown)?;
        if epoch == member.current.epoch { Ok(()) } else { Err(MemberError::StaleEpoch) }
    }

    /// Whether a member reads a topic.
    pub(crate) fn is_subscribed(&self, topic: &str) -> bool {
        let by_regex = |member: &Member| {
            self.resolved.get(&member.said.regex).is_some_and(|resolved| resolved.topics.contains(topic))
        };
        self.members.values().any(|member| member.said.topics.contains(topic) || by_regex(member))
    }

    /// The records that take everything of the group back.
    pub(crate) fn deletion(&self) -> Vec<Change> {
        let of_members = |change: fn(MemberId) -> Change| self.members.keys().cloned().map(change);
        let mut changes: Vec<_> = of_members(|id| Change::Current(id, None)).collect();
        changes.extend(self.target.keys().cloned().map(|id| Change::Target(id, None)));
        changes.push(Change::TargetEpoch(None));
        changes.extend(of_members(|id| Change::Member(id, None)));
        changes.extend(self.resolved.keys().cloned().map(|regex| Change::Regex(regex, None)));
        changes.push(Change::Epoch(None));
        changes
    }
}

#[cfg(test)]
mod tests;
