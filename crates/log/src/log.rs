//! The data directory: topics and their partitions.

use crate::config::{LogConfig, TopicConfig};
use crate::disk::{Disk, Space};
use crate::{LogError, Partition};
use millstream_model::Clock;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// A topic that exists.
#[derive(Debug, Clone, PartialEq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Its id: another topic of the same name, made later, has another one.
    pub id: u64,
    /// How many partitions.
    pub partitions: i32,
    /// Its own configs, under Kafka's names.
    pub configs: BTreeMap<String, String>,
    /// All its settings, the log's defaults among them.
    pub config: TopicConfig,
}

/// What recovery found in one partition. Partitions without a finding have no report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryReport {
    /// The topic's name.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// In words, for the operator.
    pub message: String,
}

/// A data directory in use.
#[derive(Debug)]
pub struct Log {}

impl Log {
    /// Opens `dir`, making it where it does not exist, and recovers every partition. A partition that cannot be opened is in the
    /// reports, and asking for it is an error; the others work.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: LogConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<(Arc<Self>, Vec<RecoveryReport>), LogError> {
        let _ = (disk, dir, config, clock);
        unimplemented!()
    }

    /// Makes a topic, durable when it returns. `configs` are Kafka's topic configs.
    pub fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        configs: &BTreeMap<String, String>,
    ) -> Result<Topic, LogError> {
        let _ = (name, partitions, configs);
        unimplemented!()
    }

    /// Deletes a topic with all its records.
    pub fn delete_topic(&self, name: &str) -> Result<(), LogError> {
        let _ = name;
        unimplemented!()
    }

    /// Replaces a topic's configs.
    pub fn configure_topic(&self, name: &str, configs: &BTreeMap<String, String>) -> Result<Topic, LogError> {
        let _ = (name, configs);
        unimplemented!()
    }

    /// All topics, sorted by name.
    pub fn topics(&self) -> Vec<Topic> {
        unimplemented!()
    }

    /// One topic.
    pub fn topic(&self, name: &str) -> Option<Topic> {
        let _ = name;
        unimplemented!()
    }

    /// One partition.
    pub fn partition(&self, topic: &str, number: i32) -> Result<Arc<Partition>, LogError> {
        let _ = (topic, number);
        unimplemented!()
    }

    /// Retention, compaction, closing of old segments and the reserve, for all partitions. Blocks on the disk: call it
    /// on a blocking thread every [`crate::limits::MAINTENANCE_INTERVAL`] or so.
    pub fn maintain(&self) {
        unimplemented!()
    }

    /// Space on the disk, for an alarm before it is full.
    pub fn space(&self) -> Result<Space, LogError> {
        unimplemented!()
    }

    /// Puts everything on disk and notes it, so that the next start has nothing to recover.
    pub fn close(&self) -> Result<(), LogError> {
        unimplemented!()
    }
}
