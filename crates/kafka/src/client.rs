//! What all clients of librdkafka here have in common: logging, blocking calls, and knowing which topics there are.

use crate::error::{bus_error, unavailable};
use crate::fetch::partition_list;
use crate::{KafkaSettings, limits};
use millstream_bus::{BusError, Isolation, TopicPartition};
use parking_lot::Mutex;
use rdkafka::Offset;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use tokio::time::Instant;

/// Runs a call that waits for the network where it blocks no task.
pub(crate) async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, BusError> + Send + 'static,
) -> Result<T, BusError> {
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => result,
        Err(_) => Err(unavailable("the call to Kafka was given up at shutdown")),
    }
}

/// Drops a client away from the caller's task: closing one waits for the network.
pub(crate) fn drop_apart<T: Send + 'static>(client: T) {
    let named = std::thread::Builder::new().name("kafka-close".to_owned());
    if let Err(error) = named.spawn(move || drop(client)) {
        tracing::warn!(%error, "no thread to close a Kafka client on; it was closed in place");
    }
}

/// librdkafka's log lines and errors as events.
pub(crate) fn log_line(level: RDKafkaLogLevel, facility: &str, line: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error => {
            tracing::warn!(target: "millstream_kafka", facility, "{line}");
        }
        RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
            tracing::info!(target: "millstream_kafka", facility, "{line}");
        }
        RDKafkaLogLevel::Debug => tracing::debug!(target: "millstream_kafka", facility, "{line}"),
    }
}

pub(crate) fn log_error(error: &KafkaError, reason: &str) {
    tracing::info!(target: "millstream_kafka", %error, "{reason}");
}

/// The context of clients that only ask.
#[derive(Debug, Clone, Default)]
pub(crate) struct Logged;

impl ClientContext for Logged {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log_line(level, facility, line);
    }
    fn stats(&self, _: Statistics) {}
    fn error(&self, error: KafkaError, reason: &str) {
        log_error(&error, reason);
    }
}

impl ConsumerContext for Logged {}

/// Clients that ask about topics and offsets, and what they found.
pub(crate) struct Directory {
    committed: BaseConsumer<Logged>,
    uncommitted: BaseConsumer<Logged>,
    known: Mutex<BTreeMap<Arc<str>, i32>>,
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").field("known", &self.known.lock().len()).finish_non_exhaustive()
    }
}

impl Directory {
    pub(crate) fn open(settings: &KafkaSettings) -> Result<Self, BusError> {
        let client = |isolation| {
            let config = settings.admin(isolation);
            config.create_with_context(Logged).map_err(|error| bus_error(&error, "Kafka settings"))
        };
        Ok(Self {
            committed: client(Isolation::ReadCommitted)?,
            uncommitted: client(Isolation::ReadUncommitted)?,
            known: Mutex::default(),
        })
    }

    /// The client whose latest offset is the one that readers of `isolation` see.
    pub(crate) fn client(&self, isolation: Isolation) -> &BaseConsumer<Logged> {
        match isolation {
            Isolation::ReadCommitted => &self.committed,
            Isolation::ReadUncommitted => &self.uncommitted,
        }
    }

    /// Names and partition counts of all topics, or of one; a topic that is not there, or not ready, has 0. Blocks.
    pub(crate) fn topics(&self, topic: Option<&str>) -> Result<BTreeMap<Arc<str>, i32>, BusError> {
        let what = topic.unwrap_or("the list of topics");
        let metadata = self
            .uncommitted
            .fetch_metadata(topic, limits::REQUEST_TIMEOUT)
            .map_err(|error| bus_error(&error, what))?;
        let ready = |topic: &rdkafka::metadata::MetadataTopic| {
            let led = topic.partitions().iter().all(|partition| partition.leader() >= 0);
            if topic.error().is_none() && led { topic.partitions().len() } else { 0 }
        };
        let topics = metadata.topics().iter();
        Ok(topics
            .map(|topic| (Arc::from(topic.name()), i32::try_from(ready(topic)).unwrap_or(i32::MAX)))
            .collect())
    }

    /// How many partitions a topic has. Blocks.
    pub(crate) fn partitions(&self, topic: &str) -> Result<i32, BusError> {
        match self.topics(Some(topic))?.get(topic) {
            Some(partitions) if *partitions > 0 => {
                let mut known = self.known.lock();
                if known.len() >= limits::KNOWN_TOPICS {
                    known.clear();
                }
                known.insert(Arc::from(topic), *partitions);
                Ok(*partitions)
            }
            _ => {
                self.forget(topic);
                Err(BusError::UnknownTopic(topic.to_owned()))
            }
        }
    }

    /// Forgets what was known of a topic, so that it is asked for again.
    pub(crate) fn forget(&self, topic: &str) {
        self.known.lock().remove(topic);
    }

    /// Whether the partition was there when it was last looked for.
    fn is_known(&self, at: &TopicPartition) -> bool {
        at.partition >= 0 && self.known.lock().get(&at.topic).is_some_and(|count| at.partition < *count)
    }

    /// Refuses a partition that is not there, rather than let librdkafka wait for it.
    pub(crate) async fn require(self: &Arc<Self>, at: &TopicPartition) -> Result<(), BusError> {
        if self.is_known(at) {
            return Ok(());
        }
        let (directory, at) = (Arc::clone(self), at.clone());
        blocking(move || {
            let partitions = directory.partitions(&at.topic)?;
            if (0..partitions).contains(&at.partition) {
                Ok(())
            } else {
                Err(BusError::UnknownTopic(at.to_string()))
            }
        })
        .await
    }

    /// The first ([`Offset::Beginning`]) or next ([`Offset::End`]) offset of many partitions as `isolation` sees it, with one
    /// request to each broker; `None` for a partition that is not there. Blocks.
    pub(crate) fn offsets(
        &self,
        all: &[TopicPartition],
        isolation: Isolation,
        word: Offset,
    ) -> Result<Vec<Option<i64>>, BusError> {
        if all.is_empty() {
            return Ok(Vec::new());
        }
        // The protocol's own words for "first" and "next" stand where times do (ListOffsets).
        let asked = partition_list(all.iter().map(|of| (of.clone(), word)))?;
        let found = self
            .client(isolation)
            .offsets_for_times(asked, limits::REQUEST_TIMEOUT)
            .map_err(|error| bus_error(&error, "the offsets of all topics"))?;
        let mut answers = BTreeMap::new();
        for element in found.elements() {
            answers.insert(
                (element.topic().to_owned(), element.partition()),
                (element.error(), element.offset()),
            );
        }
        let answer = |of: &TopicPartition| match answers.get(&(of.topic.to_string(), of.partition)) {
            Some((Ok(()), Offset::Offset(offset))) => Ok(Some(*offset)),
            // What hinders one partition (a leader that moves) is waited for, or told, by asking for it alone.
            Some((Err(error), _)) if has_moved(error) => {
                let (first, next) = self.watermarks(of, isolation)?;
                Ok(Some(if word == Offset::Beginning { first } else { next }))
            }
            Some((Err(error), _)) => match bus_error(error, &of.to_string()) {
                BusError::UnknownTopic(_) => Ok(None),
                error => Err(error),
            },
            _ => Ok(None),
        };
        all.iter().map(answer).collect()
    }

    /// First offset, and next offset as `isolation` sees it. Blocks.
    pub(crate) fn watermarks(
        &self,
        of: &TopicPartition,
        isolation: Isolation,
    ) -> Result<(i64, i64), BusError> {
        let until = Instant::now() + limits::LEADER_WAIT;
        loop {
            match self.client(isolation).fetch_watermarks(&of.topic, of.partition, limits::REQUEST_TIMEOUT) {
                // A topic that was just made, or made again: the client hears of its leader in a moment.
                Err(error) if has_moved(&error) && Instant::now() < until => {
                    std::thread::sleep(limits::TOPIC_CHECK_INTERVAL);
                }
                found => return found.map_err(|error| bus_error(&error, &of.to_string())),
            }
        }
    }
}

fn has_moved(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::FencedLeaderEpoch
                | RDKafkaErrorCode::UnknownLeaderEpoch
        )
    )
}
