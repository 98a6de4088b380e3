//! Topics, partitions, offsets and groups.

use crate::Isolation;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// One partition of one topic. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// Partition `partition` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// What happens to old records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CleanupPolicy {
    /// Deleted by age and size.
    #[default]
    Delete,
    /// The newest record of each key stays.
    Compact,
    /// Both.
    CompactDelete,
}

impl CleanupPolicy {
    /// Kafka's text for `cleanup.policy`.
    pub const fn as_config(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Compact => "compact",
            Self::CompactDelete => "compact,delete",
        }
    }
}

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// 1 to 249 characters of `a-zA-Z0-9._-`, as in Kafka.
    pub name: String,
    /// How many partitions, at least 1.
    pub partitions: i32,
    /// Replicas; the embedded engine has 1 whatever is asked, Apache Kafka takes its default for -1.
    pub replication_factor: i32,
    /// What happens to old records.
    pub cleanup: CleanupPolicy,
    /// Further topic configs under Kafka's names, such as `retention.ms`.
    pub configs: BTreeMap<String, String>,
}

impl TopicSpec {
    /// A topic with `partitions` partitions and defaults otherwise.
    pub fn new(name: impl Into<String>, partitions: i32) -> Self {
        Self {
            name: name.into(),
            partitions,
            replication_factor: -1,
            cleanup: CleanupPolicy::Delete,
            configs: BTreeMap::new(),
        }
    }

    /// A compacted topic.
    pub fn compacted(name: impl Into<String>, partitions: i32) -> Self {
        Self { cleanup: CleanupPolicy::Compact, ..Self::new(name, partitions) }
    }

    /// Adds a config under Kafka's name.
    #[must_use]
    pub fn config(mut self, name: &str, value: impl Into<String>) -> Self {
        self.configs.insert(name.to_owned(), value.into());
        self
    }
}

/// A topic that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: i32,
    /// Configs that differ from the engine's defaults, under Kafka's names (`cleanup.policy` among them).
    pub configs: BTreeMap<String, String>,
    /// Bytes on disk over all partitions, where the engine knows.
    pub size_bytes: Option<u64>,
}

/// What a partition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetRange {
    /// The first offset there is.
    pub earliest: i64,
    /// The first offset that a committed reader cannot see yet (Kafka's last stable offset).
    pub stable: i64,
    /// The next offset to be written (Kafka's high watermark on one node).
    pub latest: i64,
}

/// Where a reader starts in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Where.
    pub partition: TopicPartition,
    /// From which offset.
    pub start: StartOffset,
}

impl Position {
    /// At `start` in `partition`.
    pub fn new(partition: TopicPartition, start: StartOffset) -> Self {
        Self { partition, start }
    }
}

/// A start in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartOffset {
    /// The first record there is.
    Earliest,
    /// The next record to come.
    Latest,
    /// This offset.
    Offset(i64),
}

impl StartOffset {
    /// The offset that this means in a partition that holds `range`, for a reader of `isolation`.
    pub fn resolve(self, range: OffsetRange, isolation: Isolation) -> i64 {
        match (self, isolation) {
            (Self::Earliest, _) => range.earliest,
            (Self::Latest, Isolation::ReadCommitted) => range.stable,
            (Self::Latest, Isolation::ReadUncommitted) => range.latest,
            (Self::Offset(offset), _) => offset,
        }
    }
}

/// An offset that a group has reached: the next one to read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommittedOffset {
    /// The next offset to read.
    pub offset: i64,
    /// Free text kept with it, at most 4,096 bytes.
    pub metadata: String,
}

impl CommittedOffset {
    /// `offset` without metadata.
    pub fn new(offset: i64) -> Self {
        Self { offset, metadata: String::new() }
    }
}

/// A group that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    /// Its name.
    pub name: String,
    /// How many members it has now.
    pub members: usize,
}
