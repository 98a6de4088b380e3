//! The topics of the log and their partitions as replicas.

use crate::error::bus_error;
use crate::replica::Replica;
use millstream_bus::meter::TopicMeters;
use millstream_bus::{BusError, CleanupPolicy, TopicDescription, TopicPartition, TopicSpec, check};
use millstream_log::{Log, LogError, Topic, TopicConfig};
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// All topics.
#[derive(Debug)]
pub(crate) struct Topics {
    log: Arc<Log>,
    /// The topics' names by the ids that clients know them by.
    names: RwLock<FxHashMap<Uuid, Arc<str>>>,
    /// Held while configs are changed, so that no change is lost between two.
    configuring: Mutex<()>,
    /// Replicas that were asked for so far.
    replicas: RwLock<FxHashMap<TopicPartition, Arc<Replica>>>,
    pub(crate) meters: TopicMeters,
}

/// Internal topics that clients see, as they do with Kafka: they may be read, and written by nobody but the broker.
pub(crate) const VISIBLE_INTERNAL: [&str; 2] = ["__consumer_offsets", "__transaction_state"];
/// Internal topics that no client sees: to them there are none of these names, and none can be made.
const HIDDEN: [&str; 2] = ["__cluster_metadata", "__producer_ids"];

/// Whether a topic is not for the parts of this process: all names that begin with `__`.
pub(crate) fn is_internal(topic: &str) -> bool {
    topic.starts_with("__")
}

/// Whether clients are told that there is no such topic.
pub(crate) fn is_hidden(topic: &str) -> bool {
    HIDDEN.contains(&topic)
}

/// Whether only the broker itself may write to a topic, change or delete it.
pub(crate) fn is_protected(topic: &str) -> bool {
    VISIBLE_INTERNAL.contains(&topic) || is_hidden(topic)
}

/// The id by which clients know a topic (KIP-516): the same as long as the topic lives, another one for another topic of the same
/// name. It is of version 8 (RFC 9562), and so neither zero nor one that Kafka reserves.
pub(crate) fn uuid_of(topic: &Topic) -> Uuid {
    uuid_of_id(topic.id)
}

fn uuid_of_id(id: u64) -> Uuid {
    // SplitMix64's mixing: one to one, so that different topics never share the first half.
    let mixed = |seed: u64| {
        let z = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let halves = [mixed(id).to_be_bytes(), mixed(!id).to_be_bytes()].concat();
    let bytes = halves.try_into().unwrap_or_default();
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

impl Topics {
    pub(crate) fn new(log: Arc<Log>) -> Self {
        let named = |topic: Topic| (uuid_of(&topic), Arc::from(topic.name));
        let names = RwLock::new(log.topics().into_iter().map(named).collect());
        let (replicas, configuring) = (RwLock::default(), Mutex::default());
        Self { log, names, configuring, replicas, meters: TopicMeters::default() }
    }

    /// The name of the topic with this id.
    pub(crate) fn name_of(&self, id: Uuid) -> Option<Arc<str>> {
        self.names.read().get(&id).map(Arc::clone)
    }

    /// The topic with this id.
    pub(crate) fn by_uuid(&self, id: Uuid) -> Option<Topic> {
        self.log.topic(&self.name_of(id)?).filter(|topic| uuid_of(topic) == id)
    }

    fn note_name(&self, topic: &Topic) {
        self.names.write().insert(uuid_of(topic), Arc::from(&*topic.name));
    }

    pub(crate) fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// The partitions that were asked for so far.
    pub(crate) fn replicas(&self) -> Vec<Arc<Replica>> {
        self.replicas.read().values().cloned().collect()
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
            Ok(topic) => self.note_name(&topic),
            Err(LogError::TopicExists(_)) => {}
            Err(error) => return Err(bus_error(error)),
        }
        self.replica(&TopicPartition::new(name, 0))
    }

    /// Makes a topic. Blocks.
    pub(crate) fn create(&self, spec: &TopicSpec) -> Result<(), BusError> {
        check::topic(spec)?;
        let mut configs = spec.configs.clone();
        if spec.cleanup != CleanupPolicy::Delete {
            configs.entry("cleanup.policy".to_owned()).or_insert_with(|| spec.cleanup.as_config().to_owned());
        }
        self.create_with(&spec.name, spec.partitions, &configs).map(drop).map_err(bus_error)
    }

    /// Makes a topic with exactly these configs. Blocks.
    pub(crate) fn create_with(
        &self,
        name: &str,
        partitions: i32,
        configs: &BTreeMap<String, String>,
    ) -> Result<Topic, LogError> {
        let topic = self.log.create_topic(name, partitions, configs)?;
        self.note_name(&topic);
        Ok(topic)
    }

    /// Changes the configs of a topic: `change` gets the topic and what holds where it says nothing, and gives all its configs
    /// anew. Changes to one topic come one after another. Blocks.
    pub(crate) fn configure<E: From<LogError>>(
        &self,
        topic: &str,
        validate_only: bool,
        change: impl FnOnce(&Topic, &TopicConfig) -> Result<BTreeMap<String, String>, E>,
    ) -> Result<(), E> {
        let _configuring = self.configuring.lock();
        let unknown = || LogError::UnknownPartition { topic: topic.to_owned(), partition: 0 };
        let found = self.log.topic(topic).ok_or_else(unknown)?;
        let defaults = self.log.topic_defaults();
        let configs = change(&found, defaults)?;
        if validate_only {
            defaults.with(&configs)?;
        } else if configs != found.configs {
            self.log.configure_topic(topic, &configs)?;
        }
        Ok(())
    }

    /// Deletes a topic; its readers find it gone. Blocks.
    pub(crate) fn delete(&self, topic: &str) -> Result<(), BusError> {
        let found = self.log.topic(topic).ok_or_else(|| BusError::UnknownTopic(topic.to_owned()))?;
        // Readers of uncommitted records are woken by the log, so they must find the mark by then.
        self.let_go(&found);
        self.log.delete_topic(topic).map_err(bus_error)?;
        // Those that were asked for meanwhile.
        self.let_go(&found);
        self.names.write().remove(&uuid_of(&found));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_topics_are_apart_and_not_reserved() {
        let ids: std::collections::BTreeSet<_> = (0..1_000).chain([u64::MAX]).map(uuid_of_id).collect();
        assert_eq!(ids.len(), 1_001);
        assert!(ids.iter().all(|id| id.get_version_num() == 8 && id.as_u128() > 1));
        assert_eq!(uuid_of_id(1_732_170_000_123), uuid_of_id(1_732_170_000_123));
    }
}
