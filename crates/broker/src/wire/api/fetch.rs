//! Fetch: batches out of the log, as they are.

use crate::replica::Replica;
use crate::wire::authorize::{Operation, Resource};
use crate::wire::call::Call;
use crate::wire::place;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::{FetchRequest, FetchResponse, TopicName};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

struct Part {
    topic: usize,
    index: i32,
    offset: i64,
    max_bytes: usize,
    found: Result<(Arc<Replica>, watch::Receiver<i64>), ResponseError>,
}

struct Topic {
    name: TopicName,
    id: Uuid,
}

pub(crate) async fn fetch(call: &Call, request: FetchRequest) -> BoxFuture<'static, Option<FetchResponse>> {
    let by_id = call.version >= 13;
    let mut topics = Vec::new();
    let mut parts = Vec::new();
    for topic in request.topics {
        let name = place::topic_name(call, &topic.topic, topic.topic_id, by_id);
        for part in topic.partitions {
            let found = if call.may(Operation::Read, Resource::Topic(&name)) {
                place::replica(call, &name, part.partition)
            } else {
                Err(ResponseError::TopicAuthorizationFailed)
            };
            parts.push(Part {
                topic: topics.len(),
                index: part.partition,
                offset: part.fetch_offset,
                max_bytes: usize::try_from(part.partition_max_bytes).unwrap_or(0),
                found: found.map(|replica| {
                    let appended = replica.log().appended();
                    (replica, appended)
                }),
            });
        }
        topics.push(Topic { name, id: topic.topic_id });
    }
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    let (min, max) = (request.min_bytes, request.max_bytes);
    async move {
        let deadline = Instant::now() + wait;
        let min = usize::try_from(min).unwrap_or(0);
        let max = usize::try_from(max).unwrap_or(0);
        loop {
            let mut left = max;
            let mut bytes = 0;
            let mut responses: Vec<_> = topics
                .iter()
                .map(|topic| {
                    FetchableTopicResponse::default()
                        .with_topic(topic.name.clone())
                        .with_topic_id(topic.id)
                })
                .collect();
            let mut failed = false;
            for part in &mut parts {
                let data = part.read(left, bytes == 0);
                failed |= data.error_code != 0;
                let size = data.records.as_ref().map_or(0, Bytes::len);
                bytes += size;
                left = left.saturating_sub(size);
                responses[part.topic].partitions.push(data);
            }
            let waiting = parts.iter_mut().filter_map(|part| part.found.as_mut().ok());
            let more = crate::wait::any(waiting.map(|(_, more)| more.changed()));
            if bytes >= min || failed || timeout_at(deadline, more).await.is_err() {
                return Some(FetchResponse::default().with_responses(responses));
            }
        }
    }
    .boxed()
}

impl Part {
    fn read(&mut self, left: usize, first: bool) -> PartitionData {
        let data = PartitionData::default().with_partition_index(self.index);
        let replica = match &mut self.found {
            Ok((replica, more)) => {
                more.mark_unchanged();
                replica
            }
            Err(error) => return data.with_error_code(error.code()).with_high_watermark(-1),
        };
        let range = replica.range();
        let data = data
            .with_high_watermark(range.latest)
            .with_last_stable_offset(range.stable)
            .with_log_start_offset(range.earliest)
            .with_records(Some(Bytes::new()));
        if left == 0 && !first {
            return data;
        }
        match replica.log().read(self.offset, self.max_bytes.min(left)) {
            Ok(records) if !first && records.len() > left => data,
            Ok(records) => data.with_records(Some(records)),
            Err(error) => data.with_error_code(place::log_code(&error).code()),
        }
    }
}
