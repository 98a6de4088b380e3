//! Settings of the log and of a topic, the latter under Kafka's names.

use crate::batch::Compression;
use crate::{LogError, limits};
use std::collections::BTreeMap;
use std::time::Duration;

/// Settings of the whole log.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// How long a sync may be held back under heavy load so that more batches share it. An idle log syncs at once.
    pub flush_interval: Duration,
    /// Bytes set aside on disk for reserved topics (the audit) and the log's own bookkeeping when the disk is full.
    pub reserve_bytes: u64,
    /// Files kept open for reading and appending; files with unsynced bytes come on top.
    pub open_files_max: usize,
    /// What a topic gets where its own configs say nothing.
    pub topic: TopicConfig,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            flush_interval: limits::FLUSH_INTERVAL,
            reserve_bytes: limits::RESERVE_BYTES,
            open_files_max: limits::OPEN_FILES,
            topic: TopicConfig::default(),
        }
    }
}

/// What happens to old records (`cleanup.policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cleanup {
    /// Whole segments go by age and size.
    pub delete: bool,
    /// Of each key only the newest record stays.
    pub compact: bool,
}

/// Settings of one topic.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicConfig {
    /// `cleanup.policy`: `delete`, `compact` or both.
    pub cleanup: Cleanup,
    /// `retention.ms`; `None` (-1) keeps records for ever.
    pub retention_ms: Option<i64>,
    /// `retention.bytes` per partition; `None` (-1) is no limit.
    pub retention_bytes: Option<u64>,
    /// `segment.bytes`: a segment is closed before it grows past this.
    pub segment_bytes: u64,
    /// `segment.ms`: a segment is closed at this age, so that retention and compaction get at it.
    pub segment_ms: i64,
    /// `max.message.bytes`: the largest batch.
    pub max_message_bytes: usize,
    /// `delete.retention.ms`: how long a tombstone stays after its first compaction.
    pub delete_retention_ms: i64,
    /// `min.cleanable.dirty.ratio`: compaction starts when this part of the closed bytes is new.
    pub min_cleanable_dirty_ratio: f64,
    /// `min.compaction.lag.ms`: records younger than this are not compacted.
    pub min_compaction_lag_ms: i64,
    /// `message.timestamp.type`: whose time the records of clients have.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`: how far behind this clock the records of clients may be.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`: how far ahead of this clock the records of clients may be.
    pub timestamp_after_max_ms: i64,
    /// `compression.type`: how the batches of clients are kept; `None` (`producer`) as they come.
    pub compression: Option<Compression>,
    /// `millstream.reserved`: this topic may use the reserve when the disk is full.
    pub reserved: bool,
}

/// Whose time a record has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's (`CreateTime`).
    CreateTime,
    /// The broker's when it appended the batch (`LogAppendTime`).
    LogAppendTime,
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self {
            cleanup: Cleanup { delete: true, compact: false },
            retention_ms: Some(7 * 24 * 3_600_000),
            retention_bytes: None,
            segment_bytes: limits::SEGMENT_BYTES,
            segment_ms: 7 * 24 * 3_600_000,
            max_message_bytes: limits::BATCH_BYTES,
            delete_retention_ms: 24 * 3_600_000,
            min_cleanable_dirty_ratio: 0.5,
            min_compaction_lag_ms: 0,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            compression: None,
            reserved: false,
        }
    }
}

/// Kafka's topic configs that are accepted and have no effect on one node or in this log.
const WITHOUT_EFFECT: [&str; 20] = [
    "compression.gzip.level",
    "compression.lz4.level",
    "compression.zstd.level",
    "file.delete.delay.ms",
    "flush.messages",
    "flush.ms",
    "follower.replication.throttled.replicas",
    "index.interval.bytes",
    "leader.replication.throttled.replicas",
    "local.retention.bytes",
    "local.retention.ms",
    "max.compaction.lag.ms",
    "min.insync.replicas",
    "preallocate",
    "remote.log.copy.disable",
    "remote.log.delete.on.disable",
    "remote.storage.enable",
    "segment.index.bytes",
    "segment.jitter.ms",
    "unclean.leader.election.enable",
];

impl TopicConfig {
    /// These settings with `configs` (Kafka's names) laid over them. [`LogError::Invalid`] names the first bad one.
    pub fn with(&self, configs: &BTreeMap<String, String>) -> Result<Self, LogError> {
        let mut config = self.clone();
        for (name, value) in configs {
            if value.chars().any(char::is_control) {
                // They are kept in lines of text; a line of its own would make the topic unreadable.
                return Err(LogError::Invalid(format!("{name} = {value:?} has a control character")));
            }
            config.set(name, value.trim())?;
        }
        Ok(config)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), LogError> {
        let bad = |expected: &str| LogError::Invalid(format!("{name} = `{value}` is not {expected}"));
        let number = |min: i64| match value.parse::<i64>() {
            Ok(number) if number >= min => Ok(number),
            _ => Err(bad(&format!("a whole number of at least {min}"))),
        };
        match name {
            "cleanup.policy" => {
                self.cleanup = parse_cleanup(value).ok_or_else(|| bad("delete or compact"))?;
            }
            "retention.ms" => self.retention_ms = Some(number(-1)?).filter(|ms| *ms >= 0),
            "retention.bytes" => self.retention_bytes = u64::try_from(number(-1)?).ok(),
            "segment.bytes" => {
                let bytes = number(limits::SEGMENT_BYTES_MIN)?;
                self.segment_bytes = u64::try_from(bytes)
                    .ok()
                    .filter(|bytes| *bytes <= limits::SEGMENT_BYTES_MAX)
                    .ok_or_else(|| bad("at most 2147483647"))?;
            }
            "segment.ms" => self.segment_ms = number(1)?,
            "max.message.bytes" => {
                self.max_message_bytes = usize::try_from(number(1)?)
                    .ok()
                    .filter(|bytes| *bytes <= limits::BATCH_BYTES_MAX)
                    .ok_or_else(|| bad(&format!("at most {}", limits::BATCH_BYTES_MAX)))?;
            }
            "delete.retention.ms" => self.delete_retention_ms = number(0)?,
            "min.cleanable.dirty.ratio" => {
                self.min_cleanable_dirty_ratio = value
                    .parse()
                    .ok()
                    .filter(|ratio| (0.0..=1.0).contains(ratio))
                    .ok_or_else(|| bad("a number from 0 to 1"))?;
            }
            "min.compaction.lag.ms" => self.min_compaction_lag_ms = number(0)?,
            "message.timestamp.type" => {
                self.timestamp_type = match value {
                    "CreateTime" => TimestampType::CreateTime,
                    "LogAppendTime" => TimestampType::LogAppendTime,
                    _ => return Err(bad("CreateTime or LogAppendTime")),
                };
            }
            "message.timestamp.before.max.ms" => self.timestamp_before_max_ms = number(0)?,
            "message.timestamp.after.max.ms" => self.timestamp_after_max_ms = number(0)?,
            "compression.type" => {
                self.compression = parse_compression(value)
                    .map_err(|()| bad("producer, uncompressed, gzip, snappy, lz4 or zstd"))?;
            }
            "millstream.reserved" => self.reserved = value.parse().map_err(|_| bad("true or false"))?,
            _ if WITHOUT_EFFECT.contains(&name) => {}
            _ => return Err(LogError::Invalid(format!("there is no topic config `{name}`"))),
        }
        Ok(())
    }
}

/// `None` for `producer`; an error for what is no `compression.type`.
fn parse_compression(value: &str) -> Result<Option<Compression>, ()> {
    Ok(Some(match value {
        "producer" => return Ok(None),
        "uncompressed" => Compression::None,
        "gzip" => Compression::Gzip,
        "snappy" => Compression::Snappy,
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        _ => return Err(()),
    }))
}

fn parse_cleanup(value: &str) -> Option<Cleanup> {
    let mut cleanup = Cleanup { delete: false, compact: false };
    for policy in value.split(',') {
        match policy.trim() {
            "delete" => cleanup.delete = true,
            "compact" => cleanup.compact = true,
            _ => return None,
        }
    }
    Some(cleanup)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: &str) -> Result<TopicConfig, LogError> {
        TopicConfig::default().with(&BTreeMap::from([(name.to_owned(), value.to_owned())]))
    }

    #[test]
    fn kafkas_names_set_a_topic() {
        assert_eq!(with("retention.ms", "-1").unwrap().retention_ms, None);
        assert_eq!(with("retention.bytes", "1000").unwrap().retention_bytes, Some(1000));
        assert_eq!(
            with("cleanup.policy", "compact, delete").unwrap().cleanup,
            Cleanup { delete: true, compact: true }
        );
        assert_eq!(with("min.insync.replicas", "1").unwrap(), TopicConfig::default());
        assert_eq!(with("compression.type", "producer").unwrap().compression, None);
        assert_eq!(with("compression.type", "uncompressed").unwrap().compression, Some(Compression::None));
        assert_eq!(with("compression.type", "zstd").unwrap().compression, Some(Compression::Zstd));
        assert_eq!(
            with("message.timestamp.type", "LogAppendTime").unwrap().timestamp_type,
            TimestampType::LogAppendTime
        );
        let after = with("message.timestamp.after.max.ms", "5").unwrap();
        assert_eq!((after.timestamp_after_max_ms, after.timestamp_before_max_ms), (5, i64::MAX));
    }

    #[test]
    fn a_bad_value_is_named() {
        for (name, value, message) in [
            ("retention.ms", "1000\n", "retention.ms = \"1000\\n\" has a control character"),
            ("preallocate", "true\nid 7", "preallocate = \"true\\nid 7\" has a control character"),
            ("retention.ms", "a week", "retention.ms = `a week` is not a whole number of at least -1"),
            ("cleanup.policy", "none", "cleanup.policy = `none` is not delete or compact"),
            ("min.cleanable.dirty.ratio", "2", "min.cleanable.dirty.ratio = `2` is not a number from 0 to 1"),
            (
                "compression.type",
                "brotli",
                "compression.type = `brotli` is not producer, uncompressed, gzip, snappy, lz4 or zstd",
            ),
            (
                "message.timestamp.type",
                "Now",
                "message.timestamp.type = `Now` is not CreateTime or LogAppendTime",
            ),
            ("retention.mss", "1", "there is no topic config `retention.mss`"),
        ] {
            assert_eq!(with(name, value).unwrap_err().to_string(), message);
        }
    }
}
