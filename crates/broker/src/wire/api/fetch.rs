//! Fetch: batches out of the log, as they are.
//!
//! What a consumer may see: every record at once when it is appended, before it is on disk, as with Kafka; so the high watermark
//! is the next offset to be written, and `acks=1` costs no sync in the way to the consumer. After a power cut the log may end before
//! the position of a running consumer, which then gets OFFSET_OUT_OF_RANGE. A committed position never points past the end:
//! a commit puts everything before it on disk first ([`Replica::flushed_input`]).

mod read;
mod wait;

#[cfg(doc)]
use crate::replica::Replica;
use crate::wire::api::fetch::read::{Budget, Part, read_all};
use crate::wire::call::Call;
use crate::wire::fetch_session::{FINAL_EPOCH, Fetching, NO_SESSION, Wanted};
use crate::wire::limits;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::{FetchRequest, FetchResponse, TopicName};
use millstream_bus::Isolation;
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The version from which there are sessions (KIP-227).
const SESSIONS: i16 = 7;
/// The version from which topics are named by their ids (KIP-516).
const BY_ID: i16 = 13;
/// The isolation level of those who read committed records only.
const READ_COMMITTED: i8 = 1;

pub(crate) async fn fetch(
    call: &Arc<Call>,
    mut request: FetchRequest,
) -> BoxFuture<'static, Option<FetchResponse>> {
    let now = Instant::now();
    let by_id = call.version >= BY_ID;
    let has_replica = request.replica_id.0 >= 0 || request.replica_state.replica_id.0 >= 0;
    let isolation = match request.isolation_level {
        READ_COMMITTED => Isolation::ReadCommitted,
        _ => Isolation::ReadUncommitted,
    };
    let positive = |number: i32| usize::try_from(number).unwrap_or(0);
    let budget = Budget {
        min_bytes: positive(request.min_bytes),
        max_bytes: positive(request.max_bytes).min(limits::FETCH_BYTES),
        isolation,
    };
    let patience = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    let deadline = now + patience.min(crate::limits::WAIT_MAX);
    if call.version < SESSIONS {
        request.session_epoch = FINAL_EPOCH;
    }
    let begun = call.broker.fetch_sessions.lock().begin(&request, by_id, now);
    let (fetching, wanted) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            let response = FetchResponse::default().with_error_code(error.code());
            return std::future::ready(Some(response)).boxed();
        }
    };
    let parts = wanted
        .into_iter()
        .map(|wanted| {
            if has_replica {
                // Nobody else has a copy of anything: whoever says so is mistaken, or worse.
                Part::refused(wanted, ResponseError::NotLeaderOrFollower)
            } else {
                Part::find(call, wanted, by_id, isolation)
            }
        })
        .collect();
    let call = Arc::clone(call);
    async move {
        let answers = answer(&call, parts, budget, deadline).await;
        Some(respond(&call, fetching, answers))
    }
    .boxed()
}

/// Reads now, and again when there is more, until there is enough or the time is up. Memory for answers is held from reading on
/// until the answer is written, and not while it waits for records.
async fn answer(
    call: &Call,
    mut parts: Vec<Part>,
    budget: Budget,
    deadline: Instant,
) -> Vec<(Wanted, PartitionData)> {
    loop {
        let max_bytes = call.take_room(budget.max_bytes);
        let found;
        (parts, found) = read_all(parts, Budget { max_bytes, ..budget }).await;
        let min_bytes = budget.min_bytes.min(max_bytes);
        let is_enough = found.bytes >= min_bytes || found.has_failed || parts.is_empty();
        call.keep_room(if is_enough { found.bytes } else { 0 });
        if is_enough || !wait::until_more(&mut parts, &found, budget, deadline).await {
            return parts.into_iter().map(|part| part.wanted).zip(found.data).collect();
        }
    }
}

fn respond(call: &Call, fetching: Fetching, mut answers: Vec<(Wanted, PartitionData)>) -> FetchResponse {
    let session_id = match fetching {
        Fetching::Sessionless => NO_SESSION,
        _ => call.broker.fetch_sessions.lock().end(fetching, &mut answers, Instant::now()),
    };
    let mut topics: Vec<FetchableTopicResponse> = Vec::new();
    let mut places: FxHashMap<(TopicName, uuid::Uuid), usize> = FxHashMap::default();
    for (Wanted { at, .. }, data) in answers {
        let is_same = |topic: &FetchableTopicResponse| topic.topic == at.name && topic.topic_id == at.id;
        let place = match topics.last() {
            Some(last) if is_same(last) => topics.len() - 1,
            _ => *places.entry((at.name.clone(), at.id)).or_insert_with(|| {
                let topic = FetchableTopicResponse::default().with_topic(at.name).with_topic_id(at.id);
                topics.push(topic);
                topics.len() - 1
            }),
        };
        topics[place].partitions.push(data);
    }
    FetchResponse::default().with_session_id(session_id).with_responses(topics)
}
