//! Topics: made, described, deleted and cut through Kafka's admin requests.

use crate::client::{Directory, Logged, blocking};
use crate::error::{bus_error, coded, unavailable};
use crate::fetch::partition_list;
use crate::{KafkaSettings, limits};
use millstream_bus::{
    BusError, CleanupPolicy, Isolation, TopicDescription, TopicPartition, TopicSpec, check,
};
use rdkafka::Offset;
use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigSource, NewTopic, OwnedResourceSpecifier, ResourceSpecifier,
    TopicReplication, TopicResult,
};
use rdkafka::types::RDKafkaErrorCode;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use tokio::time::{Instant, sleep};

/// The client for admin requests.
pub(crate) struct Topics {
    admin: AdminClient<Logged>,
    directory: Arc<Directory>,
}

impl fmt::Debug for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topics").field("directory", &self.directory).finish_non_exhaustive()
    }
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(limits::REQUEST_TIMEOUT))
        .operation_timeout(Some(limits::REQUEST_TIMEOUT))
}

fn single(results: Vec<TopicResult>, topic: &str) -> Result<(), BusError> {
    match results.into_iter().next() {
        Some(Ok(_)) => Ok(()),
        Some(Err((_, code))) => Err(coded(code, topic)),
        None => Err(unavailable(format!("no answer about topic `{topic}`"))),
    }
}

impl Topics {
    pub(crate) fn open(settings: &KafkaSettings, directory: &Arc<Directory>) -> Result<Self, BusError> {
        let config = settings.admin(Isolation::ReadUncommitted);
        let admin =
            config.create_with_context(Logged).map_err(|error| bus_error(&error, "Kafka settings"))?;
        Ok(Self { admin, directory: Arc::clone(directory) })
    }

    pub(crate) async fn create(&self, spec: &TopicSpec) -> Result<(), BusError> {
        check::topic(spec)?;
        let replication = TopicReplication::Fixed(spec.replication_factor);
        let mut topic = NewTopic::new(&spec.name, spec.partitions, replication);
        if spec.cleanup != CleanupPolicy::Delete && !spec.configs.contains_key("cleanup.policy") {
            topic = topic.set("cleanup.policy", spec.cleanup.as_config());
        }
        // Ours mean something to the embedded log only, and Apache Kafka refuses what it does not know.
        for (key, value) in spec.configs.iter().filter(|(key, _)| !key.starts_with("millstream.")) {
            topic = topic.set(key, value);
        }
        let results = self.admin.create_topics([&topic], &options()).await;
        single(results.map_err(|error| bus_error(&error, &spec.name))?, &spec.name)?;
        self.wait_until(&spec.name, |partitions| partitions == spec.partitions).await
    }

    pub(crate) async fn delete(&self, topic: &str) -> Result<(), BusError> {
        let results = self.admin.delete_topics(&[topic], &options()).await;
        single(results.map_err(|error| bus_error(&error, topic))?, topic)?;
        self.directory.forget(topic);
        self.wait_until(topic, |partitions| partitions == 0).await
    }

    /// Waits until the brokers tell of the topic what was asked of the controller.
    async fn wait_until(&self, topic: &str, reached: impl Fn(i32) -> bool) -> Result<(), BusError> {
        let deadline = Instant::now() + limits::TOPIC_TIMEOUT;
        loop {
            let (directory, name) = (Arc::clone(&self.directory), topic.to_owned());
            let found = blocking(move || match directory.partitions(&name) {
                Err(BusError::UnknownTopic(_)) => Ok(0),
                other => other,
            })
            .await?;
            if reached(found) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(unavailable(format!("the brokers do not agree on topic `{topic}` yet")));
            }
            sleep(limits::TOPIC_CHECK_INTERVAL).await;
        }
    }

    /// All topics but internal ones, or the one of that name.
    pub(crate) async fn describe(&self, topic: Option<&str>) -> Result<Vec<TopicDescription>, BusError> {
        let (directory, name) = (Arc::clone(&self.directory), topic.map(str::to_owned));
        let found = blocking(move || directory.topics(name.as_deref())).await?;
        let found: BTreeMap<Arc<str>, i32> = found
            .into_iter()
            .filter(|(name, partitions)| *partitions > 0 && (topic.is_some() || !name.starts_with("__")))
            .collect();
        let mut configs = self.configs(&found).await?;
        let described = found.into_iter().map(|(name, partitions)| TopicDescription {
            configs: configs.remove(&*name).unwrap_or_default(),
            name: name.to_string(),
            partitions,
            size_bytes: None,
        });
        Ok(described.collect())
    }

    /// What each topic has set for itself.
    async fn configs(
        &self,
        of: &BTreeMap<Arc<str>, i32>,
    ) -> Result<BTreeMap<String, BTreeMap<String, String>>, BusError> {
        if of.is_empty() {
            return Ok(BTreeMap::new());
        }
        let asked: Vec<_> = of.keys().map(|name| ResourceSpecifier::Topic(name)).collect();
        let resources = self.admin.describe_configs(&asked, &options()).await;
        let mut configs = BTreeMap::new();
        for resource in resources.map_err(|error| bus_error(&error, "topic configs"))? {
            let resource = match resource {
                Ok(resource) => resource,
                // Deleted since it was listed.
                Err(RDKafkaErrorCode::UnknownTopicOrPartition) => continue,
                Err(code) => return Err(coded(code, "topic configs")),
            };
            let OwnedResourceSpecifier::Topic(name) = resource.specifier else { continue };
            let own = resource.entries.into_iter().filter(|entry| entry.source == ConfigSource::DynamicTopic);
            let own = own.filter_map(|entry| entry.value.map(|value| (entry.name, value)));
            configs.insert(name, own.collect());
        }
        Ok(configs)
    }

    pub(crate) async fn delete_records(&self, of: &TopicPartition, before: i64) -> Result<(), BusError> {
        let (directory, at) = (Arc::clone(&self.directory), of.clone());
        let (earliest, latest) =
            blocking(move || directory.watermarks(&at, Isolation::ReadUncommitted)).await?;
        if before < 0 || before > latest {
            return Err(BusError::OffsetOutOfRange { at: of.clone(), offset: before, earliest, latest });
        }
        if before <= earliest {
            return Ok(());
        }
        let list = partition_list([(of.clone(), Offset::Offset(before))])?;
        let result = self.admin.delete_records(&list, &options()).await;
        let result = result.map_err(|error| bus_error(&error, &of.to_string()))?;
        match result.elements().iter().find_map(|element| element.error().err()) {
            Some(error) => Err(bus_error(&error, &of.to_string())),
            None => Ok(()),
        }
    }
}
