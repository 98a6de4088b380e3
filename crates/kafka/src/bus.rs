//! The engine: every method of the bus, on the part that serves it.

use crate::append::Appender;
use crate::client::{Directory, blocking};
use crate::error::bus_error;
use crate::fetch::{KafkaReader, partition_list};
use crate::group::{KafkaMember, commit, commit_list};
use crate::topic::Topics;
use crate::transaction::{Engine, KafkaProducer};
use crate::{KafkaSettings, limits};
use async_trait::async_trait;
use millstream_bus::{
    Acks, Bus, BusError, CommittedOffset, GroupDescription, GroupReader, Isolation, OffsetRange, Position,
    Reader, Record, StartOffset, TopicDescription, TopicPartition, TopicSpec, TransactionalProducer, check,
};
use millstream_model::Timestamp;
use millstream_model::metric::{Collect, Page};
use parking_lot::Mutex;
use rdkafka::Offset;
use rdkafka::consumer::Consumer;
use std::sync::Arc;

/// `Bus` over an Apache Kafka cluster.
#[derive(Debug)]
pub struct KafkaBus {
    engine: Engine,
    topics: Topics,
    appender: Mutex<Arc<Appender>>,
}

impl Collect for KafkaBus {
    fn collect(&self, page: &mut Page) {
        self.engine.meters.collect(page);
    }
}

impl KafkaBus {
    /// Opens the clients. The cluster need not be there yet: what asks for it then fails and can be tried again.
    /// [`BusError::Invalid`] names a wrong setting.
    pub fn open(settings: KafkaSettings) -> Result<Arc<Self>, BusError> {
        settings.check()?;
        let directory = Arc::new(Directory::open(&settings)?);
        let topics = Topics::open(&settings, &directory)?;
        let appender = Mutex::new(Arc::new(Appender::open(&settings, None)?));
        let engine = Engine {
            settings: Arc::new(settings),
            directory,
            outsiders: Arc::default(),
            meters: Arc::default(),
        };
        Ok(Arc::new(Self { engine, topics, appender }))
    }

    /// The producer; a new one where librdkafka has given up the last.
    fn appender(&self) -> Result<Arc<Appender>, BusError> {
        let mut appender = self.appender.lock();
        if appender.is_broken() {
            *appender = Arc::new(Appender::open(&self.engine.settings, None)?);
        }
        Ok(Arc::clone(&appender))
    }
}

#[async_trait]
impl Bus for KafkaBus {
    async fn create_topic(&self, spec: &TopicSpec) -> Result<(), BusError> {
        self.topics.create(spec).await
    }

    async fn delete_topic(&self, topic: &str) -> Result<(), BusError> {
        self.topics.delete(topic).await
    }

    async fn topics(&self) -> Result<Vec<TopicDescription>, BusError> {
        self.topics.describe(None).await
    }

    async fn describe_topic(&self, topic: &str) -> Result<TopicDescription, BusError> {
        let found = self.topics.describe(Some(topic)).await?.into_iter().next();
        found.ok_or_else(|| BusError::UnknownTopic(topic.to_owned()))
    }

    /// Both kinds of acknowledgement wait for all in-sync replicas: an idempotent producer knows no weaker one.
    async fn append(&self, to: &TopicPartition, records: Vec<Record>, _acks: Acks) -> Result<i64, BusError> {
        check::batch(to, &records)?;
        self.engine.directory.require(to).await?;
        let appended = self.appender()?.append(to, &records).await;
        if appended.is_ok() {
            self.engine.count(to, &records);
        }
        if matches!(appended, Err(BusError::UnknownTopic(_))) {
            self.engine.directory.forget(&to.topic);
        }
        appended
    }

    async fn offsets(&self, of: &TopicPartition) -> Result<OffsetRange, BusError> {
        self.engine.directory.require(of).await?;
        let range = |isolation| {
            let (directory, of) = (Arc::clone(&self.engine.directory), of.clone());
            blocking(move || directory.watermarks(&of, isolation))
        };
        let (committed, uncommitted) =
            tokio::try_join!(range(Isolation::ReadCommitted), range(Isolation::ReadUncommitted))?;
        Ok(OffsetRange { earliest: uncommitted.0, stable: committed.1, latest: uncommitted.1 })
    }

    async fn offsets_of_all(&self, all: &[TopicPartition]) -> Result<Vec<Option<OffsetRange>>, BusError> {
        let all: Arc<[TopicPartition]> = all.into();
        let each = |isolation, word| {
            let (directory, all) = (Arc::clone(&self.engine.directory), Arc::clone(&all));
            blocking(move || directory.offsets(&all, isolation, word))
        };
        let (earliest, stable, latest) = tokio::try_join!(
            each(Isolation::ReadUncommitted, Offset::Beginning),
            each(Isolation::ReadCommitted, Offset::End),
            each(Isolation::ReadUncommitted, Offset::End),
        )?;
        let ranges = earliest.into_iter().zip(stable).zip(latest);
        let range = |((earliest, stable), latest): ((Option<i64>, Option<i64>), Option<i64>)| {
            Some(OffsetRange { earliest: earliest?, stable: stable?, latest: latest? })
        };
        Ok(ranges.map(range).collect())
    }

    async fn offset_for_time(&self, of: &TopicPartition, time: Timestamp) -> Result<Option<i64>, BusError> {
        self.engine.directory.require(of).await?;
        let (directory, of) = (Arc::clone(&self.engine.directory), of.clone());
        blocking(move || {
            // Negative numbers are words to Kafka (-1: the end).
            let asked = partition_list([(of.clone(), Offset::Offset(time.0.max(0)))])?;
            let client = directory.client(Isolation::ReadUncommitted);
            let found = client
                .offsets_for_times(asked, limits::REQUEST_TIMEOUT)
                .map_err(|error| bus_error(&error, &of.to_string()))?;
            let Some(element) = found.find_partition(&of.topic, of.partition) else { return Ok(None) };
            element.error().map_err(|error| bus_error(&error, &of.to_string()))?;
            Ok(match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            })
        })
        .await
    }

    async fn delete_records(&self, of: &TopicPartition, before: i64) -> Result<(), BusError> {
        self.engine.directory.require(of).await?;
        self.topics.delete_records(of, before).await
    }

    async fn reader(&self, from: Vec<Position>, isolation: Isolation) -> Result<Box<dyn Reader>, BusError> {
        let Engine { settings, directory, .. } = &self.engine;
        Ok(Box::new(KafkaReader::open(settings, directory, from, isolation).await?))
    }

    async fn subscribe(
        &self,
        group: &str,
        topics: &[String],
        start: StartOffset,
        isolation: Isolation,
    ) -> Result<Box<dyn GroupReader>, BusError> {
        check::id("group", group)?;
        let Engine { settings, directory, .. } = &self.engine;
        Ok(Box::new(KafkaMember::join(settings, directory, (group, topics), start, isolation).await?))
    }

    async fn committed(
        &self,
        group: &str,
        of: &[TopicPartition],
    ) -> Result<Vec<Option<CommittedOffset>>, BusError> {
        check::id("group", group)?;
        let Engine { settings, outsiders, .. } = self.engine.clone();
        let (group, of) = (group.to_owned(), of.to_vec());
        blocking(move || outsiders.committed(&settings, &group, &of)).await
    }

    async fn commit(
        &self,
        group: &str,
        offsets: &[(TopicPartition, CommittedOffset)],
    ) -> Result<(), BusError> {
        check::offsets(offsets)?;
        check::id("group", group)?;
        if offsets.is_empty() {
            return Ok(());
        }
        let Engine { settings, outsiders, .. } = self.engine.clone();
        let (group, offsets) = (group.to_owned(), commit_list(offsets)?);
        blocking(move || {
            let client = outsiders.client(&settings, &group, Isolation::ReadCommitted)?;
            commit(&*client, &offsets, &format!("group {group}"))
        })
        .await
    }

    async fn groups(&self) -> Result<Vec<GroupDescription>, BusError> {
        let directory = Arc::clone(&self.engine.directory);
        blocking(move || {
            let client = directory.client(Isolation::ReadUncommitted);
            let found = client
                .fetch_group_list(None, limits::REQUEST_TIMEOUT)
                .map_err(|error| bus_error(&error, "the list of groups"))?;
            let alive = found.groups().iter().filter(|group| group.state() != "Dead");
            let mut groups: Vec<_> = alive
                .map(|group| GroupDescription {
                    name: group.name().to_owned(),
                    members: group.members().len(),
                })
                .collect();
            groups.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(groups)
        })
        .await
    }

    async fn transactional(&self, id: &str) -> Result<Box<dyn TransactionalProducer>, BusError> {
        check::id("transactional id", id)?;
        Ok(Box::new(KafkaProducer::open(self.engine.clone(), id).await?))
    }
}
