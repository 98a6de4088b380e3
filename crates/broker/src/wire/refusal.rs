//! Why something is refused, as Kafka tells it: an error code and a message.

use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;
use millstream_bus::BusError;
use millstream_log::LogError;

/// A code with what there is to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) error: ResponseError,
    pub(crate) message: Option<StrBytes>,
}

impl Refusal {
    pub(crate) fn of(error: ResponseError, message: impl Into<String>) -> Self {
        Self { error, message: Some(StrBytes::from_string(message.into())) }
    }

    pub(crate) fn code(&self) -> i16 {
        self.error.code()
    }
}

impl From<ResponseError> for Refusal {
    /// With Kafka's own words for the code.
    fn from(error: ResponseError) -> Self {
        Self::of(error, error.to_string())
    }
}

impl From<LogError> for Refusal {
    /// Of an operation on a topic as a whole.
    fn from(error: LogError) -> Self {
        let code = match &error {
            LogError::UnknownPartition { .. } => ResponseError::UnknownTopicOrPartition,
            LogError::TopicExists(_) => ResponseError::TopicAlreadyExists,
            LogError::Invalid(_) => ResponseError::InvalidConfig,
            LogError::OffsetOutOfRange { .. } => ResponseError::OffsetOutOfRange,
            LogError::Corrupt { .. }
            | LogError::DiskFull { .. }
            | LogError::Fenced { .. }
            | LogError::DataDir { .. }
            | LogError::Io { .. } => ResponseError::KafkaStorageError,
        };
        Self::of(code, error.to_string())
    }
}

impl From<BusError> for Refusal {
    /// Of an operation on a topic as a whole.
    fn from(error: BusError) -> Self {
        let code = match &error {
            BusError::UnknownTopic(_) => ResponseError::UnknownTopicOrPartition,
            BusError::TopicExists(_) => ResponseError::TopicAlreadyExists,
            BusError::Invalid(_) => ResponseError::InvalidRequest,
            BusError::OffsetOutOfRange { .. } => ResponseError::OffsetOutOfRange,
            _ => ResponseError::KafkaStorageError,
        };
        Self::of(code, error.to_string())
    }
}
