//! The log's errors as those of the bus.

use crate::limits;
use millstream_bus::{BusError, TopicPartition};
use millstream_log::LogError;

/// An error of the log while working on a topic.
pub(crate) fn bus_error(error: LogError) -> BusError {
    match error {
        LogError::UnknownPartition { topic, partition } => {
            BusError::UnknownTopic(TopicPartition::new(topic, partition).to_string())
        }
        LogError::TopicExists(topic) => BusError::TopicExists(topic),
        LogError::Invalid(message) => BusError::Invalid(message),
        LogError::OffsetOutOfRange { topic, partition, offset, earliest, next } => {
            BusError::OffsetOutOfRange {
                at: TopicPartition::new(topic, partition),
                offset,
                earliest,
                latest: next,
            }
        }
        LogError::Corrupt { topic, partition, first, last } => {
            BusError::Corrupt { at: TopicPartition::new(topic, partition), first, last }
        }
        LogError::DiskFull { path } => BusError::DiskFull(path.display().to_string()),
        LogError::Fenced { .. } | LogError::Io { .. } => unavailable(error.to_string()),
        LogError::DataDir { .. } => BusError::Fatal(error.to_string()),
    }
}

pub(crate) fn unavailable(message: impl Into<String>) -> BusError {
    BusError::Unavailable { message: message.into(), retry_after: limits::RETRY_AFTER }
}
