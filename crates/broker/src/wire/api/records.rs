//! DeleteRecords: letting go of everything before an offset.

use crate::wire::authorize::{Operation, Resource};
use crate::wire::call::Call;
use crate::wire::place;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

/// The offset that means everything there is.
const HIGH_WATERMARK: i64 = -1;

pub(crate) async fn delete_records(call: &Call, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            let index = partition.partition_index;
            let deleted = delete(call, &topic.name, index, partition.offset).await;
            let result = DeleteRecordsPartitionResult::default().with_partition_index(index);
            partitions.push(match deleted {
                Ok(low_watermark) => result.with_low_watermark(low_watermark),
                Err(error) => result.with_low_watermark(-1).with_error_code(error.code()),
            });
        }
        results.push(DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(partitions));
    }
    DeleteRecordsResponse::default().with_topics(results)
}

/// The first offset that is left. Durable when it returns.
async fn delete(call: &Call, topic: &str, partition: i32, offset: i64) -> Result<i64, ResponseError> {
    if !call.may(Operation::Delete, Resource::Topic(topic)) {
        return Err(ResponseError::TopicAuthorizationFailed);
    }
    let replica = place::replica(call, topic, partition)?;
    if call.is_protected(topic) {
        return Err(ResponseError::InvalidTopicException);
    }
    if !replica.log().config().cleanup.delete {
        return Err(ResponseError::PolicyViolation);
    }
    let offset = if offset == HIGH_WATERMARK { replica.range().latest } else { offset };
    if offset < 0 {
        return Err(ResponseError::OffsetOutOfRange);
    }
    let deleting = tokio::task::spawn_blocking(move || {
        replica.delete_before(offset).map(|()| replica.log().range().earliest)
    });
    let deleted = deleting.await.map_err(|_| ResponseError::KafkaStorageError)?;
    deleted.map_err(|error| place::log_code(&error))
}
