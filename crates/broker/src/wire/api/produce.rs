//! Produce: batches into the log, in the order of the requests.

use crate::replica::Replica;
use crate::topics;
use crate::wire::authorize::{Operation, Resource};
use crate::wire::call::Call;
use crate::wire::place;
use bytes::BytesMut;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::PartitionProduceData;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};
use std::sync::Arc;

/// The version from which topics are named by their ids.
const BY_ID: i16 = 13;

/// A partition whose answer waits for the disk: its place in the response, and what must be durable.
struct Wait {
    topic: usize,
    partition: usize,
    replica: Arc<Replica>,
    next_offset: i64,
}

pub(crate) async fn produce(
    call: &Call,
    request: ProduceRequest,
) -> BoxFuture<'static, Option<ProduceResponse>> {
    let acks = request.acks;
    let by_id = call.version >= BY_ID;
    let mut waits = Vec::new();
    let mut responses = Vec::with_capacity(request.topic_data.len());
    for topic in request.topic_data {
        let name = place::topic_name(call, &topic.name, topic.topic_id, by_id);
        let mut partition_responses = Vec::with_capacity(topic.partition_data.len());
        for data in topic.partition_data {
            let index = data.index;
            let response = match append(call, &name, data) {
                Ok((replica, appended, start)) => {
                    waits.push(Wait {
                        topic: responses.len(),
                        partition: partition_responses.len(),
                        replica,
                        next_offset: appended.next_offset,
                    });
                    PartitionProduceResponse::default()
                        .with_base_offset(appended.base_offset)
                        .with_log_start_offset(start)
                }
                Err(error) => PartitionProduceResponse::default()
                    .with_error_code(error.code())
                    .with_base_offset(-1)
                    .with_log_start_offset(-1),
            };
            partition_responses.push(response.with_index(index));
        }
        responses.push(
            TopicProduceResponse::default()
                .with_name(topic.name)
                .with_topic_id(topic.topic_id)
                .with_partition_responses(partition_responses),
        );
    }
    async move {
        match acks {
            0 => return None,
            -1 => {
                for Wait { topic, partition, replica, next_offset } in waits {
                    if let Err(error) = replica.flushed(next_offset).await {
                        let response = &mut responses[topic].partition_responses[partition];
                        response.error_code = place::bus_code(&error).code();
                        response.base_offset = -1;
                    }
                }
            }
            _ => {}
        }
        Some(ProduceResponse::default().with_responses(responses))
    }
    .boxed()
}

fn append(
    call: &Call,
    topic: &str,
    data: PartitionProduceData,
) -> Result<(Arc<Replica>, millstream_log::Appended, i64), ResponseError> {
    if !call.may(Operation::Write, Resource::Topic(topic)) {
        return Err(ResponseError::TopicAuthorizationFailed);
    }
    let replica = place::replica(call, topic, data.index)?;
    if topics::is_protected(topic) {
        return Err(ResponseError::InvalidTopicException);
    }
    let records = data.records.unwrap_or_default();
    let mut batches = BytesMut::from(&*records);
    let appended = replica.append(&mut batches, 1).map_err(|error| place::log_code(&error))?;
    let start = replica.range().earliest;
    Ok((replica, appended, start))
}
