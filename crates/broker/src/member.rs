//! Members of groups in this process: clients of the group coordinator, as Kafka's own consumers are, without the wire.

use crate::coordinate::assign::{
    PROTOCOL_TYPE, RANGE, decode_assignment, decode_subscription, encode_assignment, encode_subscription,
    range_assignment,
};
use crate::coordinate::group::{Client, GroupError, Joined, Joining, LOCAL_HOST, MemberId, Synced, Syncing};
use crate::coordinate::groups::{Due, JoinAnswer, SyncAnswer};
use crate::coordinate::offsets::records_of;
use crate::embedded::Inner;
use crate::limits;
use crate::reader::Places;
use async_trait::async_trait;
use bytes::Bytes;
use millstream_bus::{
    BusError, CommittedOffset, FetchLimit, Fetched, GroupReader, Isolation, Reader, StartOffset,
    TopicPartition, check,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::oneshot::error::RecvError;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// Where a member is in the rounds of its group.
#[derive(Debug)]
enum Phase {
    Out,
    Joining(JoinAnswer),
    Syncing(SyncAnswer),
    In,
}

/// What a leader assigned by.
#[derive(Debug)]
struct Led {
    /// The log's count of changes to topics, and how many partitions each topic of the group had.
    changes: u64,
    partitions: BTreeMap<String, i32>,
}

/// A member of a group.
#[derive(Debug)]
pub(crate) struct EmbeddedMember {
    inner: Arc<Inner>,
    group: String,
    topics: Vec<String>,
    start: StartOffset,
    id: MemberId,
    /// The group knows the id.
    is_known: bool,
    generation: i32,
    phase: Phase,
    changes: watch::Receiver<u64>,
    /// While it leads the group.
    led: Option<Led>,
    places: Places,
}

impl EmbeddedMember {
    pub(crate) fn new(
        inner: &Arc<Inner>,
        group: &str,
        topics: &[String],
        start: StartOffset,
        isolation: Isolation,
    ) -> Result<Self, BusError> {
        check::id("group", group)?;
        if let Some(unknown) = topics.iter().find(|topic| !inner.topics.exists(topic)) {
            return Err(BusError::UnknownTopic(unknown.clone()));
        }
        Ok(Self {
            inner: Arc::clone(inner),
            group: group.to_owned(),
            topics: topics.to_vec(),
            start,
            id: inner.member_id(),
            is_known: false,
            generation: 0,
            phase: Phase::Out,
            changes: inner.groups.changes(group),
            led: None,
            places: Places::new(isolation),
        })
    }

    fn who(&self) -> String {
        format!("a member of group {}", self.group)
    }

    /// Out of the round; what was held is held no more.
    fn step_out(&mut self, error: GroupError) {
        if error == GroupError::UnknownMember {
            self.id = self.inner.member_id();
            self.is_known = false;
        }
        self.places.clear();
        self.led = None;
        self.phase = Phase::Out;
    }

    fn join(&mut self) -> Result<(), BusError> {
        let joining = Joining {
            member: self.id.clone(),
            has_id: self.is_known,
            instance: None,
            client: Client { id: "millstream".to_owned(), host: LOCAL_HOST.to_owned() },
            protocol_type: PROTOCOL_TYPE.to_owned(),
            protocols: vec![(RANGE.to_owned(), encode_subscription(&self.topics))],
            session_timeout: self.inner.config.session_timeout,
            rebalance_timeout: self.inner.config.rebalance_timeout,
            must_know_id: false,
            can_skip_assignment: false,
        };
        self.places.clear();
        let answer = self.inner.groups.join(&self.group, joining);
        self.phase = Phase::Joining(answer.map_err(|error| self.refused(error))?);
        Ok(())
    }

    fn refused(&self, error: GroupError) -> BusError {
        match error {
            GroupError::Full | GroupError::InconsistentProtocol => {
                BusError::Invalid(format!("group {}: {error}", self.group))
            }
            _ => BusError::Fenced(self.who()),
        }
    }

    fn joined(&mut self, answer: Result<Due<Joined>, RecvError>) -> Result<(), BusError> {
        match answer.unwrap_or(Err(GroupError::UnknownMember)) {
            Ok((joined, _)) => {
                self.is_known = true;
                self.generation = joined.generation;
                let assignments = if joined.leader == self.id { self.assign(&joined) } else { Vec::new() };
                let syncing = Syncing {
                    member: self.id.clone(),
                    instance: None,
                    generation: self.generation,
                    protocol_type: None,
                    protocol: None,
                    assignments,
                };
                match self.inner.groups.sync(&self.group, syncing) {
                    Ok(answer) => self.phase = Phase::Syncing(answer),
                    Err(error) => self.step_out(error),
                }
                Ok(())
            }
            Err(error @ (GroupError::Full | GroupError::InconsistentProtocol)) => {
                self.step_out(error);
                Err(self.refused(error))
            }
            Err(error) => {
                self.step_out(error);
                Ok(())
            }
        }
    }

    /// As the leader: who reads what.
    fn assign(&mut self, joined: &Joined) -> Vec<(MemberId, Bytes)> {
        // Counted before the partitions, so that no change in between is missed.
        let changes = self.inner.topics.log().changes();
        let members: BTreeMap<MemberId, Vec<String>> = joined
            .members
            .iter()
            .map(|one| (one.member.clone(), decode_subscription(one.metadata.clone()).unwrap_or_default()))
            .collect();
        let count = |topic: &String| (topic.clone(), self.inner.topics.partitions(topic).unwrap_or(0));
        let partitions: BTreeMap<String, i32> = members.values().flatten().map(count).collect();
        let assigned = range_assignment(&members, |topic| partitions.get(topic).copied().unwrap_or(0));
        self.led = Some(Led { changes, partitions });
        assigned.into_iter().map(|(id, partitions)| (id, encode_assignment(&partitions))).collect()
    }

    /// Whether it leads the group, and a topic has other partitions than when it assigned them.
    fn must_assign_again(&mut self) -> bool {
        let Some(led) = &mut self.led else { return false };
        let topics = &self.inner.topics;
        let changes = topics.log().changes();
        if std::mem::replace(&mut led.changes, changes) == changes {
            return false;
        }
        led.partitions.iter().any(|(topic, count)| topics.partitions(topic).unwrap_or(0) != *count)
    }

    fn synced(&mut self, answer: Result<Due<Synced>, RecvError>) {
        match answer.unwrap_or(Err(GroupError::RebalanceInProgress)) {
            Ok((synced, _)) => {
                self.phase = Phase::In;
                for of in decode_assignment(synced.assignment).unwrap_or_default() {
                    // A topic that was deleted meanwhile has nothing to read.
                    let Ok(replica) = self.inner.topics.replica(&of) else { continue };
                    let committed = self.inner.offsets.committed(&self.group, &of);
                    let committed = committed.filter(|committed| committed.offset >= 0);
                    let start = || self.start.resolve(replica.range(), self.places.isolation());
                    let offset = committed.map_or_else(start, |committed| committed.offset);
                    self.places.add(replica, offset);
                }
            }
            Err(error) => self.step_out(error),
        }
    }

    /// When the coordinator must hear of this member again.
    fn next_heartbeat(&self) -> Instant {
        Instant::now() + self.inner.config.session_timeout / 3
    }

    fn heartbeat(&mut self) {
        if let Err(error) = self.inner.groups.heartbeat(&self.group, &self.id, None, self.generation) {
            self.step_out(error);
        }
    }
}

#[async_trait]
impl Reader for EmbeddedMember {
    async fn poll(&mut self, limit: FetchLimit) -> Result<Vec<Fetched>, BusError> {
        let deadline = Instant::now() + limit.wait_max.min(limits::WAIT_MAX);
        loop {
            match &mut self.phase {
                Phase::Out => self.join()?,
                Phase::Joining(answer) => match timeout_at(deadline, answer).await {
                    Ok(answer) => self.joined(answer)?,
                    Err(_) => return Ok(Vec::new()),
                },
                Phase::Syncing(answer) => match timeout_at(deadline, answer).await {
                    Ok(answer) => self.synced(answer),
                    Err(_) => return Ok(Vec::new()),
                },
                Phase::In => {
                    self.changes.mark_unchanged();
                    self.heartbeat();
                    if matches!(self.phase, Phase::In) && self.must_assign_again() {
                        self.step_out(GroupError::RebalanceInProgress);
                    }
                    if !matches!(self.phase, Phase::In) {
                        continue;
                    }
                    let fetched = self.places.fetch(limit).await?;
                    if !fetched.is_empty() || Instant::now() >= deadline {
                        return Ok(fetched);
                    }
                    let wake = self.next_heartbeat().min(deadline);
                    tokio::select! {
                        () = self.places.more() => {}
                        _ = self.changes.changed() => {}
                        () = tokio::time::sleep_until(wake) => {}
                    }
                }
            }
        }
    }

    async fn seek(&mut self, to: &TopicPartition, offset: i64) -> Result<(), BusError> {
        self.places.seek(to, offset)
    }

    fn positions(&self) -> Vec<(TopicPartition, i64)> {
        self.places.positions()
    }
}

#[async_trait]
impl GroupReader for EmbeddedMember {
    fn assignment(&self) -> Vec<TopicPartition> {
        self.places.positions().into_iter().map(|(of, _)| of).collect()
    }

    async fn commit(&mut self, offsets: &[(TopicPartition, CommittedOffset)]) -> Result<(), BusError> {
        check::offsets(offsets)?;
        let member = self.inner.groups.check_commit(&self.group, &self.id, None, self.generation);
        if !offsets.iter().all(|(of, _)| self.places.holds(of)) || member.is_err() {
            return Err(BusError::Fenced(self.who()));
        }
        self.inner.commit(records_of(&self.group, offsets)).await
    }

    async fn leave(self: Box<Self>) -> Result<(), BusError> {
        Ok(())
    }
}

impl Drop for EmbeddedMember {
    fn drop(&mut self) {
        self.inner.groups.leave(&self.group, &[(self.id.clone(), None)]);
    }
}
