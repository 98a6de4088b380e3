//! The coordinator of classic groups: all of them, who waits for which answer, their records in `__consumer_offsets`, and the
//! clock that expires members.

mod admin;

use crate::coordinate::group::{
    Answer, Group, GroupError, Joined, Joining, MemberId, Settings, Synced, Syncing, Ticket,
};
use crate::coordinate::group_record::{GroupRecord, GroupValue};
use crate::coordinate::offsets::Offsets;
use crate::limits;
use crate::seldom::Seldom;
pub(crate) use admin::OffsetRights;
use kafka_protocol::ResponseError;
use millstream_bus::BusError;
use millstream_model::{Clock, Timestamp};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;

/// Settings of the coordinators of groups, under Kafka's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupConfig {
    /// The shortest session that a member may ask for (`group.min.session.timeout.ms`).
    pub session_timeout_min: Duration,
    /// The longest one (`group.max.session.timeout.ms`).
    pub session_timeout_max: Duration,
    /// Members of one classic group (`group.max.size`).
    pub members_max: usize,
    /// How long the first round of an empty classic group waits for more members (`group.initial.rebalance.delay.ms`).
    ///
    /// Kafka waits 3 s, so that a large fleet of consumers starts with one round instead of many. Beside a plant a group has a
    /// few members, rounds take milliseconds, and whoever starts a consumer waits for its first record: the default is 0.
    pub initial_rebalance_delay: Duration,
    /// Offsets of a group without members, and of topics that a group does not read any more, are forgotten after so long
    /// (`offsets.retention.minutes`).
    pub offsets_retention: Duration,
    /// How often that is looked at (`offsets.retention.check.interval.ms`).
    pub offsets_check_interval: Duration,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            session_timeout_min: Duration::from_secs(6),
            session_timeout_max: Duration::from_mins(30),
            members_max: limits::GROUP_MEMBERS,
            initial_rebalance_delay: Duration::ZERO,
            offsets_retention: Duration::from_hours(7 * 24),
            offsets_check_interval: Duration::from_mins(10),
        }
    }
}

impl From<GroupError> for ResponseError {
    fn from(error: GroupError) -> Self {
        match error {
            GroupError::UnknownMember => Self::UnknownMemberId,
            GroupError::IllegalGeneration => Self::IllegalGeneration,
            GroupError::RebalanceInProgress => Self::RebalanceInProgress,
            GroupError::InconsistentProtocol => Self::InconsistentGroupProtocol,
            GroupError::Full => Self::GroupMaxSizeReached,
            GroupError::FencedInstance => Self::FencedInstanceId,
            GroupError::MemberIdRequired => Self::MemberIdRequired,
        }
    }
}

/// An answer, and up to where the group's records are to be on disk before it is told.
pub(crate) type Due<T> = Result<(T, i64), GroupError>;
pub(crate) type JoinAnswer = oneshot::Receiver<Due<Joined>>;
pub(crate) type SyncAnswer = oneshot::Receiver<Due<Synced>>;

/// All groups.
#[derive(Debug)]
pub(crate) struct Groups {
    offsets: Arc<Offsets>,
    clock: Arc<dyn Clock>,
    config: GroupConfig,
    registry: Mutex<Registry>,
    /// Rings when a deadline has come nearer than the one that is waited for.
    pub(crate) changed: Notify,
}

#[derive(Debug, Default)]
struct Registry {
    groups: BTreeMap<String, Entry>,
    /// When the clock looks again by itself.
    wakes_at: Option<Instant>,
    next_ticket: Ticket,
}

#[derive(Debug)]
struct Entry {
    group: Group,
    joins: BTreeMap<Ticket, oneshot::Sender<Due<Joined>>>,
    syncs: BTreeMap<Ticket, oneshot::Sender<Due<Synced>>>,
    /// Counts changes; members of this process watch it instead of waiting for their next heartbeat.
    changes: watch::Sender<u64>,
    /// Where its newest record ends.
    written: i64,
    /// Since when it is without members, as its record says.
    empty_since: Option<Timestamp>,
}

impl Entry {
    fn new(group: Group) -> Self {
        Self {
            group,
            joins: BTreeMap::new(),
            syncs: BTreeMap::new(),
            changes: watch::Sender::new(0),
            written: 0,
            empty_since: None,
        }
    }

    /// Sends the answers that became due. Who does not wait any more has given up.
    fn answer(&mut self) {
        for answer in self.group.take_answers() {
            match answer {
                Answer::Join(ticket, result) => {
                    if let Some(waiting) = self.joins.remove(&ticket) {
                        let _ = waiting.send(result.map(|joined| (joined, self.written)));
                    }
                }
                Answer::Sync(ticket, result) => {
                    if let Some(waiting) = self.syncs.remove(&ticket) {
                        let _ = waiting.send(result.map(|synced| (synced, self.written)));
                    }
                }
            }
        }
        self.changes.send_modify(|count| *count += 1);
    }
}

/// What the records of the topic say at the start: the newest of each group.
#[derive(Debug, Default)]
pub(crate) struct Recorded(BTreeMap<String, GroupValue>);

impl Recorded {
    pub(crate) fn read(&mut self, record: &millstream_bus::Record) {
        match GroupRecord::decode(record) {
            Some(GroupRecord { group, value: Some(value) }) => drop(self.0.insert(group, value)),
            Some(GroupRecord { group, value: None }) => drop(self.0.remove(&group)),
            None => {}
        }
    }
}

impl Groups {
    /// The groups as they were recorded. Their members have a session's time to be heard of.
    pub(crate) fn new(
        offsets: &Arc<Offsets>,
        clock: Arc<dyn Clock>,
        config: GroupConfig,
        recorded: Recorded,
    ) -> Self {
        let groups = Self {
            offsets: Arc::clone(offsets),
            clock,
            config,
            registry: Mutex::default(),
            changed: Notify::new(),
        };
        let now = Instant::now();
        let mut registry = groups.registry.lock();
        for (name, value) in recorded.0 {
            let since = value.state_since_ms;
            let mut entry = Entry::new(Group::restore(groups.settings(), now, value));
            let is_empty = entry.group.members() == 0;
            entry.empty_since = is_empty.then(|| match since {
                ..0 => groups.clock.now(),
                since => Timestamp(since),
            });
            registry.groups.insert(name, entry);
        }
        drop(registry);
        groups
    }

    pub(crate) fn config(&self) -> &GroupConfig {
        &self.config
    }

    fn settings(&self) -> Settings {
        Settings { members_max: self.config.members_max, initial_delay: self.config.initial_rebalance_delay }
    }

    /// Changes a group, which is made where there is none, and tells everyone what that means for them.
    fn change<T>(&self, name: &str, change: impl FnOnce(Ticket, &mut Entry) -> T) -> T {
        let mut registry = self.registry.lock();
        registry.next_ticket += 1;
        let ticket = registry.next_ticket;
        let entry = registry.groups.entry(name.to_owned());
        let entry = entry.or_insert_with(|| Entry::new(Group::new(self.settings())));
        let result = change(ticket, entry);
        self.settle(name, entry);
        let deadline = entry.group.deadline();
        let is_nearer = deadline.is_some_and(|at| registry.wakes_at.is_none_or(|wakes| at < wakes));
        drop(registry);
        if is_nearer {
            self.changed.notify_one();
        }
        result
    }

    /// Writes what is to be written, and sends the answers that are due.
    fn settle(&self, name: &str, entry: &mut Entry) {
        if entry.group.take_unsaved() {
            let now = self.clock.now();
            let value = entry.group.value(now);
            entry.empty_since = value.members.is_empty().then_some(now);
            let record = GroupRecord { group: name.to_owned(), value: Some(value) };
            match self.offsets.write(vec![record.encode(now)]) {
                Ok(written) => entry.written = written,
                // Its members go on; after a restart they join again.
                Err(error) => not_recorded(name, &error),
            }
        }
        entry.answer();
    }

    /// A member joins.
    pub(crate) fn join(&self, name: &str, joining: Joining) -> Result<JoinAnswer, GroupError> {
        self.make_room(name)?;
        let (answer, receiver) = oneshot::channel();
        self.change(name, |ticket, entry| {
            entry.joins.insert(ticket, answer);
            entry.group.join(Instant::now(), ticket, joining);
        });
        Ok(receiver)
    }

    /// Forgets groups without members where there are too many.
    fn make_room(&self, name: &str) -> Result<(), GroupError> {
        let groups = &mut self.registry.lock().groups;
        if groups.len() >= limits::GROUPS && !groups.contains_key(name) {
            groups.retain(|_, entry| !entry.group.is_deserted());
            if groups.len() >= limits::GROUPS {
                return Err(GroupError::Full);
            }
        }
        Ok(())
    }

    /// A member asks for its assignment.
    pub(crate) fn sync(&self, name: &str, syncing: Syncing) -> Result<SyncAnswer, GroupError> {
        if !self.exists(name) {
            return Err(GroupError::UnknownMember);
        }
        let (answer, receiver) = oneshot::channel();
        self.change(name, |ticket, entry| {
            entry.syncs.insert(ticket, answer);
            entry.group.sync(Instant::now(), ticket, syncing);
        });
        Ok(receiver)
    }

    /// Looks at a group; `None` where there is none.
    fn look<T>(&self, name: &str, look: impl FnOnce(&mut Group) -> T) -> Option<T> {
        self.registry.lock().groups.get_mut(name).map(|entry| look(&mut entry.group))
    }

    /// A member is alive.
    pub(crate) fn heartbeat(
        &self,
        name: &str,
        member: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> Result<(), GroupError> {
        let beat = |group: &mut Group| group.heartbeat(Instant::now(), member, instance, generation);
        self.look(name, beat).unwrap_or(Err(GroupError::UnknownMember))
    }

    /// Whether a member may commit. Without such a group: whether someone without a member id may, who makes it by that.
    pub(crate) fn check_commit(
        &self,
        name: &str,
        member: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> Result<(), GroupError> {
        let check = |group: &mut Group| group.check_commit(Instant::now(), member, instance, generation);
        self.look(name, check).unwrap_or_else(|| without_group(generation))
    }

    /// The same for offsets of a transaction.
    pub(crate) fn check_transaction(
        &self,
        name: &str,
        member: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> Result<(), GroupError> {
        let check = |group: &mut Group| group.check_transaction(member, instance, generation);
        self.look(name, check).unwrap_or_else(|| without_group(generation))
    }

    /// Members go: a result for each. `None` where there is no such group.
    pub(crate) fn leave(
        &self,
        name: &str,
        leaving: &[(MemberId, Option<Arc<str>>)],
    ) -> Option<Vec<Result<(), GroupError>>> {
        let exists = self.exists(name);
        exists.then(|| self.change(name, |_, entry| entry.group.leave(Instant::now(), leaving)))
    }

    /// How many members a group has.
    pub(crate) fn members(&self, name: &str) -> usize {
        self.look(name, |group| group.members()).unwrap_or(0)
    }

    /// Whether a group has members, or somebody about to become one.
    pub(crate) fn is_live(&self, name: &str) -> bool {
        self.look(name, |group| !group.is_deserted()).unwrap_or(false)
    }

    /// Whether there is such a group, with members or without; one that has only offsets counts elsewhere.
    pub(crate) fn exists(&self, name: &str) -> bool {
        self.look(name, |group| group.exists()).unwrap_or(false)
    }

    /// Changes of a group, for members of this process.
    pub(crate) fn changes(&self, name: &str) -> watch::Receiver<u64> {
        let groups = &mut self.registry.lock().groups;
        let entry = groups.entry(name.to_owned());
        entry.or_insert_with(|| Entry::new(Group::new(self.settings()))).changes.subscribe()
    }

    /// Waits until a group's records before `written` are on disk. A disk that fails does not hold up the members: after a
    /// restart they join again.
    pub(crate) async fn recorded(&self, name: &str, written: i64) {
        if let Err(error) = self.offsets.flushed(written).await {
            not_recorded(name, &error);
        }
    }

    /// Lets time pass, and tells when to come again.
    pub(crate) fn expire(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut registry = self.registry.lock();
        for (name, entry) in &mut registry.groups {
            if entry.group.deadline().is_some_and(|deadline| deadline <= now) {
                entry.group.expire(now);
                self.settle(name, entry);
            }
        }
        registry.wakes_at = registry.groups.values().filter_map(|entry| entry.group.deadline()).min();
        registry.wakes_at
    }
}

fn not_recorded(group: &str, error: &BusError) {
    static SELDOM: Seldom = Seldom::new();
    if let Some(left_out) = SELDOM.due() {
        tracing::warn!(group, %error, left_out, "a group is not recorded");
    }
}

/// Whether somebody may commit for a group that is not there.
fn without_group(generation: i32) -> Result<(), GroupError> {
    if generation < 0 { Ok(()) } else { Err(GroupError::IllegalGeneration) }
}
