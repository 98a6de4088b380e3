//! The coordinator of consumer groups of the next-generation protocol (KIP-848): all of them, their records in
//! `__consumer_offsets`, and the clock that puts members out.

use crate::coordinate::consumer_group::change::Change;
use crate::coordinate::consumer_group::heartbeat::{Heartbeat, JOIN, LEAVE, LEAVE_STATIC, Surroundings};
use crate::coordinate::consumer_group::timers::Timers;
use crate::coordinate::consumer_group::topology::{Shape, Topology};
use crate::coordinate::consumer_group::{
    ConsumerGroup, GroupState, MemberError, MemberId, MemberState, Partition, record,
};
use crate::error::bus_error;
use crate::limits;
use crate::record::encode;
use crate::replica::Replica;
use crate::topics::{Topics, is_hidden, uuid_of};
use kafka_protocol::ResponseError;
use millstream_bus::{BusError, Record};
use millstream_model::Clock;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

/// `INVALID_REGULAR_EXPRESSION`, which the protocol crate has no name for.
const INVALID_REGULAR_EXPRESSION: i16 = 128;

/// Settings of these groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerGroupConfig {
    /// A member that was not heard of for so long is put out (`group.consumer.session.timeout.ms`).
    pub session_timeout: Duration,
    /// How often members are told to send a heartbeat (`group.consumer.heartbeat.interval.ms`).
    pub heartbeat_interval: Duration,
    /// Members of one group (`group.consumer.max.size`).
    pub members_max: usize,
}

impl Default for ConsumerGroupConfig {
    fn default() -> Self {
        Self {
            session_timeout: Duration::from_secs(45),
            heartbeat_interval: Duration::from_secs(5),
            members_max: limits::GROUP_MEMBERS,
        }
    }
}

/// Groups as their records tell, while they are read.
#[derive(Debug, Default)]
pub(crate) struct Loading(BTreeMap<Arc<str>, ConsumerGroup>);

impl Loading {
    /// Takes over one record of `__consumer_offsets`, oldest first. Others than those of such groups are passed over.
    pub(crate) fn take(&mut self, read: &Record) {
        if let Some((name, change)) = record::decode(read) {
            self.0.entry(name).or_default().apply(change);
        }
    }
}

/// All groups.
#[derive(Debug)]
pub(crate) struct ConsumerGroups {
    replica: Arc<Replica>,
    clock: Arc<dyn Clock>,
    config: ConsumerGroupConfig,
    groups: Mutex<BTreeMap<Arc<str>, Entry>>,
    /// The topics, and the count of changes at which they were looked at.
    topology: Mutex<(u64, Arc<Topology>)>,
    /// Rings when a deadline may have come nearer.
    pub(crate) changed: Notify,
}

#[derive(Debug, Default)]
struct Entry {
    group: ConsumerGroup,
    timers: Timers,
    /// The topics that the group was last compared with, and when, in ms since 1970.
    checked: Option<(i64, i64)>,
}

/// Whether each member was there, and what to await before saying so.
pub(crate) type PutOut = (Vec<Result<(), ResponseError>>, Option<i64>);

/// The answer to a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) epoch: i32,
    pub(crate) assignment: Option<Vec<Partition>>,
}

/// Why there is no answer: Kafka's error, and what to tell the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) error: ResponseError,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(error: ResponseError, message: impl Into<String>) -> Self {
        Self { error, message: message.into() }
    }
}

impl From<MemberError> for Refusal {
    fn from(error: MemberError) -> Self {
        let message = error.to_string();
        Self { error: error.into(), message }
    }
}

impl From<BusError> for Refusal {
    fn from(error: BusError) -> Self {
        Self::new(ResponseError::CoordinatorNotAvailable, error.to_string())
    }
}

impl From<MemberError> for ResponseError {
    fn from(error: MemberError) -> Self {
        match error {
            MemberError::Unknown => Self::UnknownMemberId,
            MemberError::StaleEpoch => Self::StaleMemberEpoch,
            MemberError::OldCommit => Self::UnsupportedVersion,
            MemberError::Fenced => Self::FencedMemberEpoch,
            MemberError::Full => Self::GroupMaxSizeReached,
            MemberError::UnreleasedInstance => Self::UnreleasedInstanceId,
            MemberError::FencedInstance => Self::FencedInstanceId,
            MemberError::Regex(_) => Self::Unknown(INVALID_REGULAR_EXPRESSION),
        }
    }
}

impl ConsumerGroups {
    /// The groups that were read from `replica`, the partition of `__consumer_offsets`. Their members have a session from now on.
    pub(crate) fn new(
        replica: Arc<Replica>,
        clock: Arc<dyn Clock>,
        config: ConsumerGroupConfig,
        loaded: Loading,
    ) -> Self {
        let now = Instant::now();
        let entry = |group: ConsumerGroup| {
            let timers = Timers::of(&group, now, config.session_timeout);
            Entry { group, timers, checked: None }
        };
        let there = loaded.0.into_iter().filter(|(_, group)| group.epoch > 0);
        let groups = Mutex::new(there.map(|(name, group)| (name, entry(group))).collect());
        let topology = Mutex::new((u64::MAX, Arc::default()));
        Self { replica, clock, config, groups, topology, changed: Notify::new() }
    }

    /// How often members send a heartbeat.
    pub(crate) fn heartbeat_interval(&self) -> Duration {
        self.config.heartbeat_interval
    }

    /// The topics as they are now.
    pub(crate) fn topology(&self, topics: &Topics) -> Arc<Topology> {
        let changes = topics.log().changes();
        let mut cached = self.topology.lock();
        if cached.0 != changes {
            let visible = topics.log().topics().into_iter().filter(|topic| !is_hidden(&topic.name));
            let shape = |topic: millstream_log::Topic| {
                let shape = Shape { id: uuid_of(&topic), partitions: topic.partitions };
                (Arc::from(topic.name), shape)
            };
            *cached = (changes, Arc::new(visible.map(shape).collect()));
        }
        Arc::clone(&cached.1)
    }

    /// Takes a heartbeat. A joining member makes the group; `make_way` is asked then whether no classic group is in the way.
    /// `GROUP_ID_NOT_FOUND` where there is no group. What is returned beside the answer is to be awaited, with
    /// [`ConsumerGroups::flushed`], before the answer is given.
    pub(crate) fn heartbeat(
        &self,
        name: &str,
        beat: &Heartbeat,
        topology: &Topology,
        may_see: &dyn Fn(&str) -> bool,
        make_way: &dyn Fn() -> bool,
    ) -> Result<(Answer, Option<i64>), Refusal> {
        if matches!(beat.epoch, LEAVE | LEAVE_STATIC) {
            return self.leave(name, beat, topology);
        }
        let now_ms = self.clock.now().as_millis();
        let mut groups = self.groups.lock();
        let mut made = Entry::default();
        let is_new = !groups.contains_key(name);
        if is_new && beat.epoch != JOIN {
            return Err(no_group(name));
        }
        if is_new && groups.len() >= limits::GROUPS {
            return Err(Refusal::new(ResponseError::CoordinatorNotAvailable, "there are too many groups"));
        }
        if is_new && !make_way() {
            let message = format!("the members of group `{name}` use the classic protocol");
            return Err(Refusal::new(ResponseError::GroupIdNotFound, message));
        }
        let entry = groups.get_mut(name).unwrap_or(&mut made);
        let is_stale = |(version, at_ms): (i64, i64)| {
            version != topology.version() || now_ms.saturating_sub(at_ms) >= limits::REGEX_REFRESH_MS
        };
        let recheck = entry.checked.is_none_or(is_stale);
        let members_max = self.config.members_max;
        let around = Surroundings { topology, recheck, may_see, now_ms, members_max };
        let outcome = entry.group.heartbeat(beat, &around)?;
        let is_member = entry.group.members.contains_key(&beat.member_id);
        let gone: Vec<_> = removed(&outcome.changes).collect();
        let written = self.write(name, &mut entry.group, outcome.changes)?;
        if recheck {
            entry.checked = Some((topology.version(), now_ms));
        }
        let now = Instant::now();
        for id in &gone {
            entry.timers.forget(id);
        }
        entry.timers.heard(&beat.member_id, now + self.config.session_timeout);
        if written.is_some() {
            entry.timers.follow(&beat.member_id, &entry.group, now);
        }
        if is_new {
            groups.insert(name.into(), made);
        }
        drop(groups);
        if !is_member || outcome.state == MemberState::UnrevokedPartitions {
            self.changed.notify_one();
        }
        Ok((Answer { epoch: outcome.epoch, assignment: outcome.assignment }, written))
    }

    /// Resolves when what was written is on disk.
    pub(crate) async fn flushed(&self, written: Option<i64>) -> Result<(), BusError> {
        match written {
            Some(next_offset) => self.replica.flushed(next_offset).await,
            None => Ok(()),
        }
    }

    fn leave(
        &self,
        name: &str,
        beat: &Heartbeat,
        topology: &Topology,
    ) -> Result<(Answer, Option<i64>), Refusal> {
        let mut groups = self.groups.lock();
        let entry = groups.get_mut(name).ok_or_else(|| no_group(name))?;
        let (changes, is_gone) = entry.group.leave(beat, topology)?;
        let written = self.write(name, &mut entry.group, changes)?;
        if is_gone {
            entry.timers.forget(&beat.member_id);
        } else {
            entry.timers.follow(&beat.member_id, &entry.group, Instant::now());
        }
        Ok((Answer { epoch: beat.epoch, assignment: None }, written))
    }

    /// Puts out the members that an administrator names (LeaveGroup), and tells of each whether it was there. `None` where there
    /// is no such group. To be awaited with what is returned beside.
    pub(crate) fn put_out(
        &self,
        name: &str,
        leaving: &[(MemberId, Option<Arc<str>>)],
        topology: &Topology,
    ) -> Option<PutOut> {
        let mut groups = self.groups.lock();
        let entry = groups.get_mut(name)?;
        let named = leaving.iter().map(|(id, instance_id)| entry.group.named(id, instance_id.as_deref()));
        let named: Vec<_> = named.collect();
        let gone: BTreeSet<MemberId> = named.iter().flatten().cloned().collect();
        let gone: Vec<_> = gone.into_iter().collect();
        let refused = || vec![Err(ResponseError::CoordinatorNotAvailable); leaving.len()];
        let changes = if gone.is_empty() { Vec::new() } else { entry.group.removal(&gone, topology) };
        let Ok(written) = self.write(name, &mut entry.group, changes) else { return Some((refused(), None)) };
        for id in &gone {
            entry.timers.forget(id);
        }
        let results = named.into_iter().map(|named| named.map(drop).map_err(ResponseError::from));
        Some((results.collect(), written))
    }

    /// Writes changes of a group and takes them over; nothing of them where the disk refuses. Returns what to await before telling
    /// anyone.
    fn write(
        &self,
        name: &str,
        group: &mut ConsumerGroup,
        changes: Vec<Change>,
    ) -> Result<Option<i64>, BusError> {
        if changes.is_empty() {
            return Ok(None);
        }
        let now = self.clock.now();
        let records: Vec<_> = changes.iter().map(|change| record::encode(name, change, now)).collect();
        let count = records.len();
        // One batch: a crash leaves all of it or nothing.
        let mut batch = encode(records, usize::MAX, None)?;
        let appended = self.replica.append(&mut batch, count).map_err(bus_error)?;
        for change in changes {
            group.apply(change);
        }
        Ok(Some(appended.next_offset))
    }

    /// Lets time pass: members whose time is up are put out. Tells when to come again.
    pub(crate) fn expire(&self, topics: &Topics) -> Option<Instant> {
        let now = Instant::now();
        let mut groups = self.groups.lock();
        for (name, entry) in groups.iter_mut() {
            if entry.timers.deadline().is_none_or(|deadline| deadline > now) {
                continue;
            }
            let due = entry.timers.due(&entry.group, now);
            if due.is_empty() {
                continue;
            }
            let removal = entry.group.removal(&due, &self.topology(topics));
            match self.write(name, &mut entry.group, removal) {
                Ok(_) => {
                    for id in &due {
                        entry.timers.forget(id);
                    }
                }
                Err(error) => {
                    tracing::warn!(group = &**name, %error, "silent members of a group are put out later");
                    let again = now + limits::RETRY_AFTER;
                    for id in &due {
                        entry.timers.heard(id, again);
                    }
                }
            }
        }
        groups.values().filter_map(|entry| entry.timers.deadline()).min()
    }

    /// Deletes a group without members; durable when it returns. `GROUP_ID_NOT_FOUND`, `NON_EMPTY_GROUP`.
    pub(crate) async fn delete(&self, name: &str) -> Result<(), ResponseError> {
        let written = {
            let mut groups = self.groups.lock();
            let entry = groups.get_mut(name).ok_or(ResponseError::GroupIdNotFound)?;
            if !entry.group.members.is_empty() {
                return Err(ResponseError::NonEmptyGroup);
            }
            let deletion = entry.group.deletion();
            let written = self.write(name, &mut entry.group, deletion);
            let written = written.map_err(|_| ResponseError::CoordinatorNotAvailable)?;
            groups.remove(name);
            written
        };
        self.flushed(written).await.map_err(|_| ResponseError::CoordinatorNotAvailable)
    }

    /// Forgets groups without members that have no offsets.
    pub(crate) fn bury_without_offsets(&self, has_offsets: &dyn Fn(&str) -> bool) {
        let mut groups = self.groups.lock();
        groups.retain(|name, entry| {
            let is_over = entry.group.members.is_empty() && !has_offsets(name);
            if !is_over {
                return true;
            }
            let deletion = entry.group.deletion();
            // Where the disk refuses, the next time will do.
            self.write(name, &mut entry.group, deletion).is_err()
        });
    }

    /// Whether there is such a group, with members or without. Where there is none, it may be a classic one.
    pub(crate) fn contains(&self, group: &str) -> bool {
        self.groups.lock().contains_key(group)
    }

    /// Whether such a group has members.
    pub(crate) fn is_live(&self, group: &str) -> bool {
        self.look(group, |group| !group.members.is_empty()).unwrap_or(false)
    }

    /// Every group and its state.
    pub(crate) fn list(&self) -> Vec<(Arc<str>, GroupState)> {
        self.groups.lock().iter().map(|(name, entry)| (Arc::clone(name), entry.group.state())).collect()
    }

    /// Shows a group to `see`; `None` where there is none.
    pub(crate) fn look<T>(&self, group: &str, see: impl FnOnce(&ConsumerGroup) -> T) -> Option<T> {
        self.groups.lock().get(group).map(|entry| see(&entry.group))
    }

    /// Whether a member may commit offsets of `partitions`; `version` of OffsetCommit, `None` for TxnOffsetCommit. Without
    /// partitions, it is whether the epoch is the member's own.
    /// `GROUP_ID_NOT_FOUND` where there is no such group.
    pub(crate) fn check_commit(
        &self,
        group: &str,
        member_id: &str,
        epoch: i32,
        version: Option<i16>,
        partitions: impl IntoIterator<Item = (Arc<str>, i32)>,
    ) -> Result<(), ResponseError> {
        let topology = Arc::clone(&self.topology.lock().1);
        let by_id = |(topic, partition): (Arc<str>, i32)| Some((topology.shape(&topic)?.id, partition));
        // None of a topic that is not known is held.
        let by_id = |of| by_id(of).unwrap_or((Uuid::nil(), 0));
        let partitions = partitions.into_iter().map(by_id);
        let checked = self.look(group, |group| group.check_commit(member_id, epoch, version, partitions));
        Ok(checked.ok_or(ResponseError::GroupIdNotFound)??)
    }

    /// Whether a member may see the committed offsets (OffsetFetch).
    pub(crate) fn check_fetch(
        &self,
        group: &str,
        member_id: Option<&str>,
        epoch: i32,
    ) -> Result<(), ResponseError> {
        let checked = self.look(group, |group| group.check_fetch(member_id, epoch));
        Ok(checked.ok_or(ResponseError::GroupIdNotFound)??)
    }

    /// Whether a member of the group reads a topic: its offsets are not to be deleted.
    pub(crate) fn is_subscribed(&self, group: &str, topic: &str) -> bool {
        self.look(group, |group| group.is_subscribed(topic)).unwrap_or(false)
    }
}

fn no_group(name: &str) -> Refusal {
    Refusal::new(ResponseError::GroupIdNotFound, format!("there is no consumer group `{name}`"))
}

fn removed(changes: &[Change]) -> impl Iterator<Item = MemberId> {
    changes.iter().filter_map(|change| match change {
        Change::Member(id, None) => Some(MemberId::clone(id)),
        _ => None,
    })
}
