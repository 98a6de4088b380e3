//! Which partition a request means, and what errors of the log are called on the wire.

use crate::replica::Replica;
use crate::topics;
use crate::wire::call::Call;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::StrBytes;
use millstream_bus::{BusError, TopicPartition};
use millstream_log::LogError;
use std::sync::Arc;
use uuid::Uuid;

/// The epoch of every partition's leader: there is one leader, for ever.
pub(crate) const LEADER_EPOCH: i32 = 0;

/// The name of the topic that a request means: by its id where the version has ids, by its name otherwise.
/// [`ResponseError::UnknownTopicId`] where there is none of that id.
pub(crate) fn topic_name(
    call: &Call,
    name: &TopicName,
    id: Uuid,
    by_id: bool,
) -> Result<TopicName, ResponseError> {
    if !by_id {
        return Ok(name.clone());
    }
    let name = call.broker.inner.topics.name_of(id).ok_or(ResponseError::UnknownTopicId)?;
    Ok(TopicName(StrBytes::from_string(name.to_string())))
}

/// The partition of a topic that clients may know of.
pub(crate) fn replica(call: &Call, topic: &str, partition: i32) -> Result<Arc<Replica>, ResponseError> {
    if topics::is_hidden(topic) {
        return Err(ResponseError::UnknownTopicOrPartition);
    }
    let at = TopicPartition::new(topic, partition);
    call.broker.inner.topics.replica(&at).map_err(|error| bus_code(&error))
}

/// What a client is told about the epoch of the leader that it believes in; -1 where it does not say.
pub(crate) fn check_epoch(epoch: i32) -> Result<(), ResponseError> {
    match epoch {
        i32::MIN..=-1 | LEADER_EPOCH => Ok(()),
        _ => Err(ResponseError::UnknownLeaderEpoch),
    }
}

/// The code of an error of the log.
pub(crate) fn log_code(error: &LogError) -> ResponseError {
    match error {
        LogError::UnknownPartition { .. } => ResponseError::UnknownTopicOrPartition,
        LogError::TopicExists(_) => ResponseError::TopicAlreadyExists,
        LogError::Invalid(_) => ResponseError::InvalidRecord,
        LogError::OffsetOutOfRange { .. } => ResponseError::OffsetOutOfRange,
        LogError::Corrupt { .. } => ResponseError::CorruptMessage,
        // All of them pass: clients try again.
        LogError::DiskFull { .. }
        | LogError::Fenced { .. }
        | LogError::Io { .. }
        | LogError::DataDir { .. } => ResponseError::KafkaStorageError,
    }
}

/// The code of an error of a partition.
pub(crate) fn bus_code(error: &BusError) -> ResponseError {
    match error {
        BusError::UnknownTopic(_) => ResponseError::UnknownTopicOrPartition,
        BusError::TopicExists(_) => ResponseError::TopicAlreadyExists,
        BusError::Invalid(_) => ResponseError::InvalidRequest,
        BusError::OffsetOutOfRange { .. } => ResponseError::OffsetOutOfRange,
        BusError::Corrupt { .. } => ResponseError::CorruptMessage,
        BusError::Fenced(_) => ResponseError::ProducerFenced,
        BusError::DiskFull(_) | BusError::Unavailable { .. } => ResponseError::KafkaStorageError,
        BusError::Unknown(_) => ResponseError::RequestTimedOut,
        BusError::Fatal(_) => ResponseError::UnknownServerError,
    }
}
