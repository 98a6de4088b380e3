//! Members of consumer groups. librdkafka keeps the membership; where partitions start is decided here.

use crate::client::{Directory, Logged, blocking, drop_apart, log_error, log_line};
use crate::error::bus_error;
use crate::fetch::{Consumed, Fetcher, Positions, partition_list};
use crate::{KafkaSettings, limits};
use async_trait::async_trait;
use millstream_bus::{
    BusError, CommittedOffset, FetchLimit, Fetched, GroupReader, Isolation, Reader, StartOffset,
    TopicPartition,
};
use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// What the group has decided and the member has not taken up yet.
#[derive(Debug)]
enum Change {
    Assigned(Vec<TopicPartition>),
    Revoked,
}

/// The context of a consumer: keeps the group's last decision for the member's next poll.
#[derive(Debug, Default)]
pub(crate) struct Assignments {
    change: Mutex<Option<Change>>,
    changed: Notify,
}

impl Assignments {
    /// Resolves when the group has decided something.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Whether the group has decided something that the member has not taken up.
    pub(crate) fn is_pending(&self) -> bool {
        self.change.lock().is_some()
    }

    fn set(&self, change: Change) {
        *self.change.lock() = Some(change);
        self.changed.notify_one();
    }
}

impl ClientContext for Assignments {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log_line(level, facility, line);
    }
    fn stats(&self, _: Statistics) {}
    fn error(&self, error: KafkaError, reason: &str) {
        log_error(&error, reason);
    }
}

impl ConsumerContext for Assignments {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, list: &mut TopicPartitionList) {
        if what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            // Taken up by the member, which first asks where to start; librdkafka waits for it.
            let partitions = list.elements();
            let partitions = partitions.iter().map(|of| TopicPartition::new(of.topic(), of.partition()));
            self.set(Change::Assigned(partitions.collect()));
        } else {
            if let Err(error) = consumer.unassign() {
                tracing::warn!(%error, "partitions of a group could not be given back");
            }
            self.set(Change::Revoked);
        }
    }
}

/// Offsets as librdkafka takes them to commit.
pub(crate) fn commit_list(
    offsets: &[(TopicPartition, CommittedOffset)],
) -> Result<TopicPartitionList, BusError> {
    let list = offsets.iter().map(|(of, committed)| (of.clone(), Offset::Offset(committed.offset)));
    let list = partition_list(list)?;
    for (of, committed) in offsets.iter().filter(|(_, committed)| !committed.metadata.is_empty()) {
        if let Some(mut element) = list.find_partition(&of.topic, of.partition) {
            element.set_metadata(&committed.metadata);
        }
    }
    Ok(list)
}

/// Commits and waits for the answer. Blocks.
pub(crate) fn commit<C: ConsumerContext>(
    consumer: &impl Consumer<C>,
    offsets: &TopicPartitionList,
    who: &str,
) -> Result<(), BusError> {
    consumer.commit(offsets, CommitMode::Sync).map_err(|error| match error.rdkafka_error_code() {
        // librdkafka's own words for a membership that has ended.
        Some(RDKafkaErrorCode::State | RDKafkaErrorCode::NoOffset) => BusError::Fenced(who.to_owned()),
        _ => bus_error(&error, who),
    })?;
    match offsets.elements().iter().find_map(|of| of.error().err()) {
        Some(error) => Err(bus_error(&error, who)),
        None => Ok(()),
    }
}

/// The committed offsets of a consumer's group. A consumer of committed records waits for transactions that hold offsets
/// of the group, up to `patience`. Blocks.
pub(crate) fn committed<C: ConsumerContext>(
    consumer: &impl Consumer<C>,
    of: &[TopicPartition],
    group: &str,
    patience: Duration,
) -> Result<Vec<Option<CommittedOffset>>, BusError> {
    if of.is_empty() {
        return Ok(Vec::new());
    }
    let asked = partition_list(of.iter().map(|of| (of.clone(), Offset::Invalid)))?;
    let found = consumer.committed_offsets(asked, patience).map_err(|error| bus_error(&error, group))?;
    of.iter()
        .map(|of| {
            let Some(element) = found.find_partition(&of.topic, of.partition) else { return Ok(None) };
            element.error().map_err(|error| bus_error(&error, &of.to_string()))?;
            Ok(match element.offset() {
                Offset::Offset(offset) => {
                    Some(CommittedOffset { offset, metadata: element.metadata().to_owned() })
                }
                _ => None,
            })
        })
        .collect()
}

/// A member of a group.
pub(crate) struct KafkaMember {
    fetcher: Fetcher,
    group: String,
    start: StartOffset,
}

impl KafkaMember {
    pub(crate) async fn join(
        settings: &KafkaSettings,
        directory: &Arc<Directory>,
        (group, topics): (&str, &[String]),
        start: StartOffset,
        isolation: Isolation,
    ) -> Result<Self, BusError> {
        for topic in topics {
            directory.require(&TopicPartition::new(topic.as_str(), 0)).await?;
        }
        let fetcher = Fetcher::open(settings, directory, group, isolation)?;
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        fetcher.consumer()?.subscribe(&names).map_err(|error| bus_error(&error, group))?;
        Ok(Self { fetcher, group: group.to_owned(), start })
    }

    /// Takes up what the group has decided. A decision stays until it is taken up whole, so this may be cancelled.
    async fn settle(&mut self) -> Result<(), BusError> {
        let consumer = Arc::clone(self.fetcher.consumer()?);
        let context = consumer.context();
        loop {
            let partitions = match &*context.change.lock() {
                None => return Ok(()),
                Some(Change::Revoked) => Vec::new(),
                Some(Change::Assigned(partitions)) => partitions.clone(),
            };
            let positions = self.starts(&consumer, &partitions).await?;
            let mut change = context.change.lock();
            match change.take() {
                Some(Change::Revoked) => self.fetcher.positions.clear(),
                // Only poll, in this task, lets the group decide anew; the change is still the same.
                Some(Change::Assigned(_)) => self.fetcher.assign(positions)?,
                None => {}
            }
        }
    }

    /// Where these partitions start: at the committed offset, or where the subscription says.
    async fn starts(&self, consumer: &Arc<Consumed>, of: &[TopicPartition]) -> Result<Positions, BusError> {
        let (asking, partitions, group) = (Arc::clone(consumer), of.to_vec(), self.group.clone());
        let committed =
            blocking(move || committed(&*asking, &partitions, &group, limits::REQUEST_TIMEOUT)).await?;
        let mut positions = Positions::new();
        for (of, committed) in of.iter().zip(committed) {
            let offset = match committed {
                Some(committed) => committed.offset,
                None => self.fetcher.resolve(of, self.start).await?,
            };
            positions.insert(of.clone(), offset);
        }
        Ok(positions)
    }
}

#[async_trait]
impl Reader for KafkaMember {
    async fn poll(&mut self, limit: FetchLimit) -> Result<Vec<Fetched>, BusError> {
        let deadline = Instant::now() + limit.wait_max.min(limits::WAIT_MAX);
        loop {
            self.settle().await?;
            let fetched = self.fetcher.fetch(limit, deadline).await?;
            if !fetched.is_empty() || Instant::now() >= deadline {
                self.settle_revoked();
                return Ok(fetched);
            }
        }
    }

    async fn seek(&mut self, to: &TopicPartition, offset: i64) -> Result<(), BusError> {
        self.fetcher.seek(to, offset)
    }

    fn positions(&self) -> Vec<(TopicPartition, i64)> {
        self.fetcher.positions.iter().map(|(of, offset)| (of.clone(), *offset)).collect()
    }
}

impl KafkaMember {
    /// Partitions that were taken away during a poll are not shown as held after it.
    fn settle_revoked(&mut self) {
        let Ok(consumer) = self.fetcher.consumer().cloned() else { return };
        let change = consumer.context().change.lock();
        if change.is_some() {
            self.fetcher.positions.clear();
        }
    }
}

#[async_trait]
impl GroupReader for KafkaMember {
    fn assignment(&self) -> Vec<TopicPartition> {
        self.fetcher.positions.keys().cloned().collect()
    }

    async fn commit(&mut self, offsets: &[(TopicPartition, CommittedOffset)]) -> Result<(), BusError> {
        millstream_bus::check::offsets(offsets)?;
        let who = format!("a member of group {}", self.group);
        if !offsets.iter().all(|(of, _)| self.fetcher.positions.contains_key(of)) {
            return Err(BusError::Fenced(who));
        }
        if offsets.is_empty() {
            return Ok(());
        }
        let consumer = Arc::clone(self.fetcher.consumer()?);
        let offsets = commit_list(offsets)?;
        blocking(move || commit(&*consumer, &offsets, &who)).await
    }

    async fn leave(mut self: Box<Self>) -> Result<(), BusError> {
        let consumer = self.fetcher.take_consumer();
        blocking(move || {
            // Closing leaves the group; only the last handle closes.
            drop(consumer);
            Ok(())
        })
        .await
    }
}

/// Clients that commit for groups, and ask for their offsets, without being members.
#[derive(Default)]
pub(crate) struct Outsiders(Mutex<Vec<(Outsider, Client)>>);

/// For which group a client acts, and whether it waits for open transactions.
type Outsider = (String, Isolation);
type Client = Arc<BaseConsumer<Logged>>;

impl std::fmt::Debug for Outsiders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outsiders").field("open", &self.0.lock().len()).finish()
    }
}

impl Drop for Outsiders {
    fn drop(&mut self) {
        drop_apart(std::mem::take(&mut *self.0.lock()));
    }
}

impl Outsiders {
    /// The client of `group`; the one least used goes when there are too many.
    pub(crate) fn client(
        &self,
        settings: &KafkaSettings,
        group: &str,
        isolation: Isolation,
    ) -> Result<Client, BusError> {
        let mut clients = self.0.lock();
        if let Some(at) = clients.iter().position(|((name, of), _)| name == group && *of == isolation) {
            let found = clients.remove(at);
            let client = Arc::clone(&found.1);
            clients.push(found);
            return Ok(client);
        }
        let client: BaseConsumer<_> = settings
            .consumer(group, isolation)
            .create_with_context(Logged)
            .map_err(|error| bus_error(&error, group))?;
        let client = Arc::new(client);
        if clients.len() >= limits::GROUP_CLIENTS {
            drop_apart(clients.remove(0));
        }
        clients.push(((group.to_owned(), isolation), Arc::clone(&client)));
        Ok(client)
    }

    /// The committed offsets of `group`. A transaction that is just ending is waited for; one that stays open is not. Blocks.
    pub(crate) fn committed(
        &self,
        settings: &KafkaSettings,
        group: &str,
        of: &[TopicPartition],
    ) -> Result<Vec<Option<CommittedOffset>>, BusError> {
        let stable = self.client(settings, group, Isolation::ReadCommitted)?;
        match committed(&*stable, of, group, limits::STABLE_OFFSETS_WAIT) {
            Err(BusError::Unavailable { .. }) => {
                let present = self.client(settings, group, Isolation::ReadUncommitted)?;
                committed(&*present, of, group, limits::REQUEST_TIMEOUT)
            }
            found => found,
        }
    }
}
