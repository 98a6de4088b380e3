//! Kafka's and librdkafka's errors as those of the bus: sorted by what the caller does next.

use millstream_bus::BusError;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;
use std::time::Duration;

/// When trying again makes sense after the cluster could not do it.
const RETRY_AFTER: Duration = Duration::from_secs(1);

pub(crate) fn unavailable(message: impl Into<String>) -> BusError {
    BusError::Unavailable { message: message.into(), retry_after: RETRY_AFTER }
}

/// `error` while working on `what` (a topic, a partition, a group, a transactional id).
pub(crate) fn bus_error(error: &KafkaError, what: &str) -> BusError {
    if let KafkaError::Transaction(inner) = error
        && inner.is_retriable()
    {
        return unavailable(format!("{what}: {inner}"));
    }
    match error.rdkafka_error_code() {
        Some(code) => coded(code, what),
        None => match error {
            KafkaError::ClientConfig(_, reason, key, value) => {
                BusError::Invalid(format!("Kafka setting {key} = `{value}`: {reason}"))
            }
            KafkaError::Canceled => unavailable(format!("{what}: the client was closed")),
            other => BusError::Fatal(format!("{what}: {other}")),
        },
    }
}

/// An error code of the broker or the client while working on `what`.
pub(crate) fn coded(code: Code, what: &str) -> BusError {
    match code {
        Code::UnknownTopic
        | Code::UnknownPartition
        | Code::UnknownTopicOrPartition
        | Code::UnknownTopicId => BusError::UnknownTopic(what.to_owned()),
        Code::TopicAlreadyExists => BusError::TopicExists(what.to_owned()),
        Code::Fenced
        | Code::ProducerFenced
        | Code::InvalidProducerEpoch
        | Code::FencedInstanceId
        | Code::IllegalGeneration
        | Code::UnknownMemberId
        | Code::StaleMemberEpoch
        | Code::FencedMemberEpoch
        | Code::RebalanceInProgress
        | Code::AssignmentLost => BusError::Fenced(what.to_owned()),
        Code::MessageSizeTooLarge
        | Code::InvalidMessageSize
        | Code::MessageBatchTooLarge
        | Code::InvalidTopic
        | Code::InvalidPartitions
        | Code::InvalidReplicationFactor
        | Code::InvalidConfig
        | Code::InvalidRequest
        | Code::InvalidTimestamp
        | Code::InvalidGroupId
        | Code::OffsetMetadataTooLarge
        | Code::InvalidCommitOffsetSize
        | Code::InvalidRecord
        | Code::InvalidArgument
        | Code::PolicyViolation => BusError::Invalid(format!("{what}: {code}")),
        // What was sent may have arrived before the answer was lost, or before the broker lost count.
        Code::MessageTimedOut
        | Code::RequestTimedOut
        | Code::TimedOutQueue
        | Code::OutOfOrderSequenceNumber => BusError::Unknown(what.to_owned()),
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::UnsupportedVersion
        | Code::UnsupportedFeature
        | Code::Authentication
        | Code::SSL => BusError::Fatal(format!("{what}: {code}")),
        // `Fatal` and `State` among them: they end a client of librdkafka, not what is done with it. A new one goes on.
        other => unavailable(format!("{what}: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_by_what_the_caller_does_next() {
        for (code, retriable) in [
            (Code::BrokerTransportFailure, true),
            (Code::AllBrokersDown, true),
            (Code::OperationTimedOut, true),
            (Code::NotLeaderForPartition, true),
            (Code::KafkaStorageError, true),
            (Code::MessageTimedOut, true),
            (Code::OutOfOrderSequenceNumber, true),
            (Code::State, true),
            (Code::Fatal, true),
            (Code::TopicAuthorizationFailed, false),
            (Code::ProducerFenced, false),
            (Code::UnknownTopicOrPartition, false),
        ] {
            assert_eq!(coded(code, "t").is_retriable(), retriable, "{code:?}");
        }
        assert_eq!(coded(Code::InvalidProducerEpoch, "id"), BusError::Fenced("id".to_owned()));
        assert_eq!(coded(Code::MessageTimedOut, "t-0"), BusError::Unknown("t-0".to_owned()));
    }
}
