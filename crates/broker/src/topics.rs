//! The topics of the log and their partitions as replicas.

use crate::error::bus_error;
use crate::replica::Replica;
use millstream_bus::meter::TopicMeters;
use millstream_bus::{BusError, CleanupPolicy, TopicDescription, TopicPartition, TopicSpec, check};
use millstream_log::{Log, LogError, Topic};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// All topics.
#[derive(Debug)]
pub(crate) struct Topics {
    log: Arc<Log>,
    /// Replicas that were asked for so far.
    replicas: RwLock<FxHashMap<TopicPartition, Arc<Replica>>>,
    pub(crate) meters: TopicMeters,
}

/// Whether a topic is the broker's own.
pub(crate) fn is_internal(topic: &str) -> bool {
    topic.starts_with("__")
}

impl Topics {
    pub(crate) fn new(log: Arc<Log>) -> Self {
        Self { log, replicas: RwLock::default(), meters: TopicMeters::default() }
    }

    pub(crate) fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// One partition; [`BusError::UnknownTopic`] where there is none.
    pub(crate) fn replica(&self, at: &TopicPartition) -> Result<Arc<Replica>, BusError> {
        if let Some(replica) = self.replicas.read().get(at) {
            return Ok(Arc::clone(replica));
        }
        let mut replicas = self.replicas.write();
        if let Some(replica) = replicas.get(at) {
            return Ok(Arc::clone(replica));
        }
        let topic = self.log.topic(&at.topic);
        let partition = self.log.partition(&at.topic, at.partition).map_err(bus_error)?;
        // The same topic before and after, or it was deleted and made again in between.
        let topic = topic.filter(|topic| self.log.topic(&at.topic).is_some_and(|now| now.id == topic.id));
        let topic = topic.ok_or_else(|| BusError::UnknownTopic(at.topic.to_string()))?;
        let replica = Arc::new(Replica::new(at.clone(), topic.id, partition, self.meters.topic(&at.topic)));
        replicas.insert(at.clone(), Arc::clone(&replica));
        Ok(replica)
    }

    /// One partition of an internal topic, which is made where it is missing. Blocks.
    pub(crate) fn internal(
        &self,
        name: &str,
        configs: &BTreeMap<String, String>,
    ) -> Result<Arc<Replica>, BusError> {
        match self.log.create_topic(name, 1, configs) {
            Ok(_) | Err(LogError::TopicExists(_)) => self.replica(&TopicPartition::new(name, 0)),
            Err(error) => Err(bus_error(error)),
        }
    }

    /// Makes a topic. Blocks.
    pub(crate) fn create(&self, spec: &TopicSpec) -> Result<(), BusError> {
        check::topic(spec)?;
        let mut configs = spec.configs.clone();
        if spec.cleanup != CleanupPolicy::Delete {
            configs.entry("cleanup.policy".to_owned()).or_insert_with(|| spec.cleanup.as_config().to_owned());
        }
        self.log.create_topic(&spec.name, spec.partitions, &configs).map(drop).map_err(bus_error)
    }

    /// Deletes a topic; its readers find it gone. Blocks.
    pub(crate) fn delete(&self, topic: &str) -> Result<(), BusError> {
        let found = self.log.topic(topic).ok_or_else(|| BusError::UnknownTopic(topic.to_owned()))?;
        // Readers of uncommitted records are woken by the log, so they must find the mark by then.
        self.let_go(&found);
        self.log.delete_topic(topic).map_err(bus_error)?;
        // Those that were asked for meanwhile.
        self.let_go(&found);
        self.meters.forget(topic);
        Ok(())
    }

    /// Marks the replicas of a topic as deleted and forgets them.
    fn let_go(&self, topic: &Topic) {
        let is_its = |at: &TopicPartition, replica: &mut Arc<Replica>| {
            *at.topic == *topic.name && replica.topic_id == topic.id
        };
        for (_, replica) in self.replicas.write().extract_if(is_its) {
            replica.delete();
        }
    }

    pub(crate) fn exists(&self, topic: &str) -> bool {
        self.log.topic(topic).is_some()
    }

    /// How many partitions a topic has.
    pub(crate) fn partitions(&self, topic: &str) -> Result<i32, BusError> {
        let found = self.log.topic(topic).ok_or_else(|| BusError::UnknownTopic(topic.to_owned()))?;
        Ok(found.partitions)
    }

    pub(crate) fn describe(&self, topic: &str) -> Result<TopicDescription, BusError> {
        let found = self.log.topic(topic).ok_or_else(|| BusError::UnknownTopic(topic.to_owned()))?;
        Ok(self.description(found))
    }

    /// All topics but internal ones, sorted by name.
    pub(crate) fn list(&self) -> Vec<TopicDescription> {
        let topics = self.log.topics().into_iter().filter(|topic| !is_internal(&topic.name));
        topics.map(|topic| self.description(topic)).collect()
    }

    fn description(&self, topic: Topic) -> TopicDescription {
        let size = |partition| {
            // A partition that cannot be opened has no size.
            self.log.partition(&topic.name, partition).map_or(0, |partition| partition.size_bytes())
        };
        let size_bytes = Some((0..topic.partitions).map(size).sum());
        TopicDescription {
            partitions: topic.partitions,
            configs: topic.configs,
            size_bytes,
            name: topic.name,
        }
    }
}
