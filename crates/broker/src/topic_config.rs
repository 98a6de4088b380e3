//! The configs of a topic that Kafka 4.3 has: their names, types, bounds and defaults, and what each does here.
//!
//! Source of names, types and bounds: Apache Kafka 4.3's `LogConfig`. What has an effect is read by the log
//! (`millstream_log::TopicConfig`); the others are kept and shown.

use millstream_log::batch::Compression;
use millstream_log::{TimestampType, Topic, TopicConfig};
use std::collections::BTreeMap;

/// One config.
#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// The broker's property that sets the default; none where there is none.
    pub(crate) server_property: Option<&'static str>,
    /// Kafka's default, for what the log does not know.
    default: &'static str,
    pub(crate) documentation: &'static str,
}

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Boolean,
    Int(i32, i32),
    Long(i64),
    Double(f64, f64),
    OneOf(&'static [&'static str]),
    /// Any of these, with commas.
    List(&'static [&'static str]),
    /// Of the form `partition:broker`, with commas, or `*`.
    Replicas,
}

const fn define(
    name: &'static str,
    kind: Kind,
    server_property: &'static str,
    default: &'static str,
    documentation: &'static str,
) -> Definition {
    let server_property = if server_property.is_empty() { None } else { Some(server_property) };
    Definition { name, kind, server_property, default, documentation }
}

const ANY_INT: i32 = i32::MAX;
const NO_EFFECT: &str = "Kept and shown; it has no effect on one node with this log.";
const MAX_LONG: &str = "9223372036854775807";

/// Every config, sorted by name.
#[rustfmt::skip]
pub(crate) const DEFINITIONS: &[Definition] = &[
    define("cleanup.policy", Kind::List(&["compact", "delete"]), "log.cleanup.policy", "delete",
        "What happens to old records: `delete` lets whole segments go by age and size, `compact` keeps the newest record of each key; both may be given."),
    define("compression.gzip.level", Kind::Int(-1, 9), "compression.gzip.level", "-1", NO_EFFECT),
    define("compression.lz4.level", Kind::Int(1, 17), "compression.lz4.level", "9", NO_EFFECT),
    define("compression.type", Kind::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), "compression.type", "producer",
        "How batches are kept: `producer` as they come, any other codec by writing them anew."),
    define("compression.zstd.level", Kind::Int(-131_072, 22), "compression.zstd.level", "3", NO_EFFECT),
    define("delete.retention.ms", Kind::Long(0), "log.cleaner.delete.retention.ms", "86400000",
        "How long a tombstone stays after compaction has first seen it, so that readers of a compacted topic learn of the deletion."),
    define("file.delete.delay.ms", Kind::Long(0), "log.segment.delete.delay.ms", "60000",
        "Kept and shown; files are removed as soon as nobody reads them."),
    define("flush.messages", Kind::Long(1), "log.flush.interval.messages", MAX_LONG,
        "Kept and shown; what is answered at acks=all is on disk, whatever this says."),
    define("flush.ms", Kind::Long(0), "log.flush.interval.ms", MAX_LONG,
        "Kept and shown; what is answered at acks=all is on disk, whatever this says."),
    define("follower.replication.throttled.replicas", Kind::Replicas, "", "", NO_EFFECT),
    define("index.interval.bytes", Kind::Int(0, ANY_INT), "log.index.interval.bytes", "4096", NO_EFFECT),
    define("leader.replication.throttled.replicas", Kind::Replicas, "", "", NO_EFFECT),
    define("local.retention.bytes", Kind::Long(-2), "log.local.retention.bytes", "-2", NO_EFFECT),
    define("local.retention.ms", Kind::Long(-2), "log.local.retention.ms", "-2", NO_EFFECT),
    define("max.compaction.lag.ms", Kind::Long(1), "log.cleaner.max.compaction.lag.ms", MAX_LONG,
        "Kept and shown; compaction goes by min.cleanable.dirty.ratio."),
    define("max.message.bytes", Kind::Int(1, 67_108_864), "message.max.bytes", "1048588",
        "The largest batch that is taken, in bytes as it comes over the wire."),
    define("message.timestamp.after.max.ms", Kind::Long(0), "log.message.timestamp.after.max.ms", "3600000",
        "How far ahead of this broker's clock a record's time may be; records further ahead are refused."),
    define("message.timestamp.before.max.ms", Kind::Long(0), "log.message.timestamp.before.max.ms", MAX_LONG,
        "How far behind this broker's clock a record's time may be; older ones are refused."),
    define("message.timestamp.type", Kind::OneOf(&["CreateTime", "LogAppendTime"]), "log.message.timestamp.type", "CreateTime",
        "Whose time a record has: the producer's, or this broker's when it was appended."),
    define("millstream.reserved", Kind::Boolean, "", "false",
        "Whether the topic may use the bytes that are kept aside for a full disk."),
    define("min.cleanable.dirty.ratio", Kind::Double(0.0, 1.0), "log.cleaner.min.cleanable.ratio", "0.5",
        "The part of a compacted topic's closed segments that must be new before it is compacted again."),
    define("min.compaction.lag.ms", Kind::Long(0), "log.cleaner.min.compaction.lag.ms", "0",
        "Records younger than this are not compacted."),
    define("min.insync.replicas", Kind::Int(1, ANY_INT), "min.insync.replicas", "1",
        "Kept and shown; there is one replica, and at acks=all its disk has the records."),
    define("preallocate", Kind::Boolean, "log.preallocate", "false", NO_EFFECT),
    define("remote.log.copy.disable", Kind::Boolean, "", "false", NO_EFFECT),
    define("remote.log.delete.on.disable", Kind::Boolean, "", "false", NO_EFFECT),
    define("remote.storage.enable", Kind::Boolean, "", "false",
        "Always false: there is no tiered storage."),
    define("retention.bytes", Kind::Long(-1), "log.retention.bytes", "-1",
        "The size per partition from which on the oldest segments are deleted; -1 is no limit."),
    define("retention.ms", Kind::Long(-1), "log.retention.ms", "604800000",
        "The age from which on segments are deleted; -1 keeps records for ever."),
    define("segment.bytes", Kind::Int(1_048_576, ANY_INT), "log.segment.bytes", "1073741824",
        "A segment is closed before it grows past this; retention and compaction work on closed segments."),
    define("segment.index.bytes", Kind::Int(4, ANY_INT), "log.index.size.max.bytes", "10485760", NO_EFFECT),
    define("segment.jitter.ms", Kind::Long(0), "log.roll.jitter.ms", "0", NO_EFFECT),
    define("segment.ms", Kind::Long(1), "log.roll.ms", "604800000",
        "A segment is closed at this age, so that retention and compaction get at it."),
    define("unclean.leader.election.enable", Kind::Boolean, "unclean.leader.election.enable", "false", NO_EFFECT),
];

/// The config of that name.
pub(crate) fn definition(name: &str) -> Option<&'static Definition> {
    DEFINITIONS
        .binary_search_by(|definition| definition.name.cmp(name))
        .ok()
        .and_then(|at| DEFINITIONS.get(at))
}

impl Definition {
    /// What holds for a topic that says nothing: the log's default, and where it has none, Kafka's.
    pub(crate) fn default(&self, log: &TopicConfig) -> String {
        effective(self.name, log).unwrap_or_else(|| self.default.to_owned())
    }

    /// What holds for a topic: its own value, or the default.
    pub(crate) fn value(&self, topic: &Topic) -> String {
        let own = || topic.configs.get(self.name).cloned();
        effective(self.name, &topic.config).or_else(own).unwrap_or_else(|| self.default.to_owned())
    }

    /// Kafka's code for the type (`ConfigType` of DescribeConfigs).
    pub(crate) fn type_code(&self) -> i8 {
        match self.kind {
            Kind::Boolean => 1,
            Kind::OneOf(_) => 2,
            Kind::Int(..) => 3,
            Kind::Long(_) => 5,
            Kind::Double(..) => 6,
            Kind::List(_) | Kind::Replicas => 7,
        }
    }

    /// Whether it is a list, which can be appended to.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.kind, Kind::List(_) | Kind::Replicas)
    }

    /// Why a value cannot be, if it cannot.
    pub(crate) fn refuse(&self, value: &str) -> Option<String> {
        let value = value.trim();
        let expected = match self.kind {
            Kind::Boolean if ["true", "false"].contains(&value.to_ascii_lowercase().as_str()) => None,
            Kind::Boolean => Some("expected true or false".to_owned()),
            Kind::Int(min, max) => match value.parse::<i32>() {
                Ok(number)
                    if (min..=max).contains(&number)
                        && (self.name != "compression.gzip.level" || number != 0) =>
                {
                    None
                }
                _ if max == ANY_INT => Some(format!("expected a whole number of at least {min}")),
                _ => Some(format!("expected a whole number from {min} to {max}")),
            },
            Kind::Long(min) => match value.parse::<i64>() {
                Ok(number) if number >= min => None,
                _ => Some(format!("expected a whole number of at least {min}")),
            },
            Kind::Double(min, max) => match value.parse::<f64>() {
                Ok(number) if (min..=max).contains(&number) => None,
                _ => Some(format!("expected a number from {min} to {max}")),
            },
            Kind::OneOf(words) if words.contains(&value) => None,
            Kind::OneOf(words) => Some(format!("expected one of {}", words.join(", "))),
            Kind::List(words) if parts(value).all(|part| words.contains(&part)) && !value.is_empty() => None,
            Kind::List(words) => Some(format!("expected some of {}, with commas", words.join(", "))),
            Kind::Replicas => {
                let number = |text: &str| text.parse::<u32>().is_ok();
                let pair = |part: &str| part.split_once(':').is_some_and(|(of, on)| number(of) && number(on));
                let fits = value == "*" || value.is_empty() || parts(value).all(pair);
                (!fits).then(|| "expected partition:broker, with commas, or *".to_owned())
            }
        };
        let shown: String = value.chars().take(100).collect();
        expected.map(|expected| format!("Invalid value {shown} for configuration {}: {expected}", self.name))
    }
}

/// The entries of a list.
pub(crate) fn parts(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// Why a topic cannot have these configs of its own, if it cannot; the first reason.
pub(crate) fn refuse(configs: &BTreeMap<String, String>) -> Option<String> {
    configs.iter().find_map(|(name, value)| match definition(name) {
        None => Some(format!("Unknown topic config name: {}", name.chars().take(249).collect::<String>())),
        Some(_) if name == "remote.storage.enable" && value.trim().eq_ignore_ascii_case("true") => {
            Some("there is no tiered storage: remote.storage.enable cannot be true".to_owned())
        }
        Some(definition) => definition.refuse(value),
    })
}

/// What the log goes by, in Kafka's words; `None` for what it does not know.
fn effective(name: &str, config: &TopicConfig) -> Option<String> {
    Some(match name {
        "cleanup.policy" => match (config.cleanup.compact, config.cleanup.delete) {
            (true, true) => "compact,delete".to_owned(),
            (true, false) => "compact".to_owned(),
            (false, _) => "delete".to_owned(),
        },
        "compression.type" => match config.compression {
            None => "producer",
            Some(Compression::None) => "uncompressed",
            Some(Compression::Gzip) => "gzip",
            Some(Compression::Snappy) => "snappy",
            Some(Compression::Lz4) => "lz4",
            Some(Compression::Zstd) => "zstd",
        }
        .to_owned(),
        "delete.retention.ms" => config.delete_retention_ms.to_string(),
        "max.message.bytes" => config.max_message_bytes.to_string(),
        "message.timestamp.after.max.ms" => config.timestamp_after_max_ms.to_string(),
        "message.timestamp.before.max.ms" => config.timestamp_before_max_ms.to_string(),
        "message.timestamp.type" => match config.timestamp_type {
            TimestampType::CreateTime => "CreateTime",
            TimestampType::LogAppendTime => "LogAppendTime",
        }
        .to_owned(),
        "millstream.reserved" => config.reserved.to_string(),
        "min.cleanable.dirty.ratio" => config.min_cleanable_dirty_ratio.to_string(),
        "min.compaction.lag.ms" => config.min_compaction_lag_ms.to_string(),
        "retention.bytes" => {
            config.retention_bytes.map_or_else(|| "-1".to_owned(), |bytes| bytes.to_string())
        }
        "retention.ms" => config.retention_ms.unwrap_or(-1).to_string(),
        "segment.bytes" => config.segment_bytes.to_string(),
        "segment.ms" => config.segment_ms.to_string(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_its_defaults_are_allowed() {
        assert!(DEFINITIONS.is_sorted_by(|a, b| a.name < b.name));
        for definition in DEFINITIONS {
            assert_eq!(definition.refuse(definition.default), None, "{}", definition.name);
        }
    }

    /// Whatever the table takes the log takes too, or a topic could be described but not made.
    #[test]
    fn the_log_takes_what_the_table_takes() {
        let values = [
            "true",
            "false",
            "1",
            "7",
            "1048576",
            "0.5",
            "gzip",
            "producer",
            "compact",
            "delete",
            "LogAppendTime",
            "-1",
            "*",
            "0:1",
            "9223372036854775807",
        ];
        let mut taken = 0;
        for definition in DEFINITIONS {
            for value in values.iter().chain([&definition.default]) {
                let configs = BTreeMap::from([(definition.name.to_owned(), (*value).to_owned())]);
                if refuse(&configs).is_none() {
                    let with = TopicConfig::default().with(&configs);
                    assert!(with.is_ok(), "{} = {value}: {with:?}", definition.name);
                    taken += 1;
                }
            }
        }
        assert!(taken > DEFINITIONS.len(), "{taken}");
    }

    #[test]
    fn what_the_log_goes_by_reads_back() {
        for (name, value) in [
            ("cleanup.policy", "compact,delete"),
            ("compression.type", "zstd"),
            ("delete.retention.ms", "5"),
            ("max.message.bytes", "1000"),
            ("message.timestamp.after.max.ms", "7"),
            ("message.timestamp.type", "LogAppendTime"),
            ("min.cleanable.dirty.ratio", "0.25"),
            ("retention.bytes", "-1"),
            ("retention.ms", "-1"),
            ("segment.bytes", "2000000"),
            ("segment.ms", "9"),
        ] {
            let configs = BTreeMap::from([(name.to_owned(), value.to_owned())]);
            let config = TopicConfig::default().with(&configs).unwrap();
            assert_eq!(definition(name).unwrap().default(&config), value);
        }
    }

    #[test]
    fn a_bad_value_is_told_with_what_is_expected() {
        for (name, value, message) in [
            (
                "retention.ms",
                "-2",
                "Invalid value -2 for configuration retention.ms: expected a whole number of at least -1",
            ),
            (
                "segment.bytes",
                "14",
                "Invalid value 14 for configuration segment.bytes: expected a whole number of at least 1048576",
            ),
            (
                "compression.gzip.level",
                "0",
                "Invalid value 0 for configuration compression.gzip.level: expected a whole number from -1 to 9",
            ),
            (
                "cleanup.policy",
                "",
                "Invalid value  for configuration cleanup.policy: expected some of compact, delete, with commas",
            ),
            ("preallocate", "yes", "Invalid value yes for configuration preallocate: expected true or false"),
            (
                "remote.storage.enable",
                "TRUE",
                "there is no tiered storage: remote.storage.enable cannot be true",
            ),
            ("retention", "1", "Unknown topic config name: retention"),
        ] {
            let configs = BTreeMap::from([(name.to_owned(), value.to_owned())]);
            assert_eq!(refuse(&configs).as_deref(), Some(message));
        }
    }
}
