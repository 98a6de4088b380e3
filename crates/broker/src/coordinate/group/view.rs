//! What others may know of a group: its state, its members, the topics that they read, and its record.

use super::{Client, Group, LOCAL_HOST, Member, MemberId, Settings, State};
use crate::coordinate::assign::{PROTOCOL_TYPE, decode_subscription};
use crate::coordinate::group_record::{GroupValue, MemberValue};
use bytes::Bytes;
use millstream_model::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Kafka's name of where a group is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GroupState {
    Empty,
    PreparingRebalance,
    CompletingRebalance,
    Stable,
}

impl GroupState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// A group as DescribeGroups shows it.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) state: GroupState,
    /// Empty where nobody has joined yet.
    pub(crate) protocol_type: String,
    /// Of a stable group; empty otherwise.
    pub(crate) protocol: String,
    pub(crate) members: Vec<MemberView>,
}

/// A member as DescribeGroups shows it.
#[derive(Debug, Clone)]
pub(crate) struct MemberView {
    pub(crate) member: MemberId,
    pub(crate) instance: Option<Arc<str>>,
    pub(crate) client: Client,
    /// In a stable group; empty otherwise.
    pub(crate) metadata: Bytes,
    /// In a stable group; empty otherwise.
    pub(crate) assignment: Bytes,
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

fn duration(millis: i32) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

impl Group {
    pub(crate) fn state(&self) -> GroupState {
        match self.state {
            State::Empty => GroupState::Empty,
            State::PreparingRebalance { .. } => GroupState::PreparingRebalance,
            State::CompletingRebalance => GroupState::CompletingRebalance,
            State::Stable => GroupState::Stable,
        }
    }

    /// Whether anyone has ever come to it: a group that is only asked for does not exist.
    pub(crate) fn exists(&self) -> bool {
        self.generation > 0 || !self.members.is_empty() || !self.pending.is_empty()
    }

    /// Whether it can be forgotten without harm to anyone who is in it.
    pub(crate) fn is_deserted(&self) -> bool {
        self.state == State::Empty && self.pending.is_empty()
    }

    /// Empty where nobody has joined yet.
    pub(crate) fn protocol_type(&self) -> &str {
        self.protocol_type.as_deref().unwrap_or_default()
    }

    pub(crate) fn view(&self) -> View {
        let protocol = self.protocol.clone().filter(|_| self.state == State::Stable);
        let member = |(id, member): (&MemberId, &Member)| MemberView {
            member: Arc::clone(id),
            instance: member.instance.clone(),
            client: member.client.clone(),
            metadata: protocol.as_deref().map(|protocol| member.metadata(protocol)).unwrap_or_default(),
            assignment: protocol.as_ref().map(|_| member.assignment.clone()).unwrap_or_default(),
        };
        View {
            state: self.state(),
            protocol_type: self.protocol_type().to_owned(),
            members: self.members.iter().map(member).collect(),
            protocol: protocol.unwrap_or_default(),
        }
    }

    /// Whether members of a consumer group read a topic. `None` where that is not known: members of another protocol type, or
    /// a subscription that cannot be read.
    pub(crate) fn reads(&self, topic: &str) -> Option<bool> {
        if self.protocol_type() != PROTOCOL_TYPE {
            return None;
        }
        let mut reads = false;
        for member in self.members.values() {
            let metadata = member.metadata(self.protocol.as_deref()?);
            reads |= decode_subscription(metadata)?.iter().any(|read| read == topic);
        }
        Some(reads)
    }

    /// Its record, as of now.
    pub(crate) fn value(&self, now: Timestamp) -> GroupValue {
        let protocol = self.protocol.clone();
        let member = |(id, member): (&MemberId, &Member)| MemberValue {
            member: id.to_string(),
            instance: member.instance.as_deref().map(str::to_owned),
            client: member.client.clone(),
            rebalance_timeout_ms: millis(member.rebalance_timeout),
            session_timeout_ms: millis(member.session_timeout),
            subscription: member.metadata(protocol.as_deref().unwrap_or_default()),
            assignment: member.assignment.clone(),
        };
        GroupValue {
            protocol_type: self.protocol_type().to_owned(),
            generation: self.generation,
            leader: self.leader.as_deref().map(str::to_owned),
            state_since_ms: now.0,
            members: self.members.iter().map(member).collect(),
            protocol,
        }
    }

    /// The group of a record. Its members go on where they were, if they are heard of within their session; those of the
    /// process that is gone are gone with it, and the others share anew.
    pub(crate) fn restore(settings: Settings, now: Instant, value: GroupValue) -> Self {
        let mut group = Self::new(settings);
        group.generation = value.generation.max(0);
        group.protocol_type = Some(value.protocol_type).filter(|name| !name.is_empty());
        let count = value.members.len();
        let protocol = value.protocol.unwrap_or_default();
        let stays = |member: &MemberValue| member.client.host != LOCAL_HOST;
        group.members = value
            .members
            .into_iter()
            .filter(stays)
            .map(|member| (member.member.as_str().into(), restored(member, &protocol, now)))
            .collect::<BTreeMap<_, _>>();
        for (id, member) in &group.members {
            if let Some(instance) = &member.instance {
                group.instances.insert(Arc::clone(instance), Arc::clone(id));
            }
        }
        if group.members.is_empty() {
            return group;
        }
        group.state = State::Stable;
        group.protocol = Some(protocol);
        let leader = value.leader.map(MemberId::from).filter(|leader| group.members.contains_key(leader));
        group.leader = leader.or_else(|| group.members.keys().next().cloned());
        if group.members.len() < count {
            group.rebalance_or_complete(now);
        }
        group
    }
}

fn restored(value: MemberValue, protocol: &str, now: Instant) -> Member {
    let session_timeout = duration(value.session_timeout_ms);
    let rebalance_timeout_ms =
        if value.rebalance_timeout_ms < 0 { value.session_timeout_ms } else { value.rebalance_timeout_ms };
    Member {
        instance: value.instance.map(Arc::from),
        client: value.client,
        protocols: vec![(protocol.to_owned(), value.subscription)],
        session_timeout,
        rebalance_timeout: duration(rebalance_timeout_ms),
        expires: now + session_timeout,
        is_new: false,
        joining: None,
        syncing: None,
        owes_sync: false,
        assignment: value.assignment,
    }
}
