//! ListOffsets and OffsetForLeaderEpoch: which offset stands where.

use crate::replica::Replica;
use crate::wire::authorize::{Operation, Resource};
use crate::wire::call::Call;
use crate::wire::place::{self, LEADER_EPOCH};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::{
    ListOffsetsRequest, ListOffsetsResponse, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
};
use millstream_log::{FoundByTime, LogError, Partition};
use std::sync::Arc;

const READ_COMMITTED: i8 = 1;

/// What a timestamp means that is no time.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

pub(crate) async fn list_offsets(call: &Call, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let committed = request.isolation_level == READ_COMMITTED;
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            let found = find(call, &topic.name, &partition, committed).await;
            let response =
                ListOffsetsPartitionResponse::default().with_partition_index(partition.partition_index);
            partitions.push(match found {
                Ok(Some(FoundByTime { offset, timestamp })) if call.version < 4 => {
                    response.with_offset(offset).with_timestamp(timestamp)
                }
                Ok(Some(FoundByTime { offset, timestamp })) => {
                    response.with_offset(offset).with_timestamp(timestamp).with_leader_epoch(LEADER_EPOCH)
                }
                Ok(None) => response,
                Err(error) => response.with_error_code(error.code()),
            });
        }
        topics.push(ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions));
    }
    ListOffsetsResponse::default().with_topics(topics)
}

async fn find(
    call: &Call,
    topic: &str,
    wanted: &ListOffsetsPartition,
    committed: bool,
) -> Result<Option<FoundByTime>, ResponseError> {
    if !call.may(Operation::Describe, Resource::Topic(topic)) {
        return Err(ResponseError::TopicAuthorizationFailed);
    }
    let replica = place::replica(call, topic, wanted.partition_index)?;
    place::check_epoch(wanted.current_leader_epoch)?;
    let range = replica.range();
    let end = if committed { range.stable } else { range.latest };
    let at = |offset| Some(FoundByTime { offset, timestamp: -1 });
    match wanted.timestamp {
        LATEST => Ok(at(end)),
        EARLIEST | EARLIEST_LOCAL => Ok(at(range.earliest)),
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ok(None),
        MAX_TIMESTAMP => look_up(replica, end, Partition::newest_by_time).await,
        time_ms => look_up(replica, end, move |log| log.offset_for_time(time_ms)).await,
    }
}

/// Looks a record up by its time, which may read the disk; `None` where what is found is not before `end`.
async fn look_up(
    replica: Arc<Replica>,
    end: i64,
    look: impl FnOnce(&Partition) -> Result<Option<FoundByTime>, LogError> + Send + 'static,
) -> Result<Option<FoundByTime>, ResponseError> {
    let looking = tokio::task::spawn_blocking(move || look(replica.log())).await;
    let found = looking.map_err(|_| ResponseError::KafkaStorageError)?;
    let found = found.map_err(|error| place::log_code(&error))?;
    Ok(found.filter(|found| found.offset < end))
}

pub(crate) async fn offset_for_leader_epoch(
    call: &Call,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            let end = EpochEndOffset::default().with_partition(asked.partition);
            match end_of_epoch(call, &topic.topic, asked) {
                Ok(Some(offset)) => end.with_leader_epoch(LEADER_EPOCH).with_end_offset(offset),
                Ok(None) => end,
                Err(error) => end.with_error_code(error.code()),
            }
        });
        let partitions = partitions.collect();
        OffsetForLeaderTopicResult::default().with_topic(topic.topic.clone()).with_partitions(partitions)
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}

/// Where the records of an epoch end; `None` for an epoch that never was.
fn end_of_epoch(
    call: &Call,
    topic: &str,
    asked: &OffsetForLeaderPartition,
) -> Result<Option<i64>, ResponseError> {
    if !call.may(Operation::Describe, Resource::Topic(topic)) {
        return Err(ResponseError::TopicAuthorizationFailed);
    }
    let replica = place::replica(call, topic, asked.partition)?;
    place::check_epoch(asked.current_leader_epoch)?;
    Ok((asked.leader_epoch == LEADER_EPOCH).then(|| replica.range().latest))
}
