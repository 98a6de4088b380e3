//! Produce: batches into the log, in the order of the requests.
//!
//! All of a request is appended before the next request of the connection is looked at; only the wait for the disk (`acks=all`)
//! goes on beside it, so that the batches of many requests share one sync. `acks=1` is answered once the batches are in the
//! page cache. The bytes are copied once, because offsets are written into them; nothing is taken apart unless the topic's
//! settings ask for it.

use crate::coordinate::transactions::Claim;
use crate::replica::{ProduceError, Replica, TransactionKey};
use crate::wire::authorize::{Operation, Resource};
use crate::wire::call::{Call, Close};
use crate::wire::{limits, place};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::PartitionProduceData;
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};
use kafka_protocol::protocol::StrBytes;
use millstream_bus::{BusError, TopicPartition};
use millstream_log::batch::{BatchHeader, Compression};
use millstream_log::{Ready, Reason, Refused};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The version from which topics are named by their ids (KIP-516).
const BY_ID: i16 = 13;
/// The version from which batches may be compressed with zstd (KIP-110).
const ZSTD: i16 = 7;
/// The version from which partitions join a transaction by being written to (KIP-890).
const JOINS_TRANSACTION: i16 = 12;

/// What is waited for before the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Acks {
    Nothing,
    PageCache,
    Disk,
}

/// The answer while it is made. Everything in it is in the order of the request.
struct Answer {
    topics: Vec<TopicProduceResponse>,
    /// Batches that the client may write, as they came.
    asked: Vec<Asked>,
    /// Batches that may be appended.
    ready: Vec<Batch>,
}

/// What is sent for one partition, and where its answer stands.
struct Asked {
    topic: usize,
    partition: usize,
    replica: Arc<Replica>,
    records: Bytes,
}

/// A batch for one partition, and where its answer stands.
struct Batch {
    topic: usize,
    partition: usize,
    replica: Arc<Replica>,
    ready: Ready,
}

impl Batch {
    fn key(&self) -> TransactionKey {
        (self.ready.header.producer_id, self.ready.header.producer_epoch)
    }
}

/// A batch in the log that is not known to be on disk.
struct Unflushed {
    topic: usize,
    partition: usize,
    replica: Arc<Replica>,
    next_offset: i64,
}

/// Why a partition's batch was not taken.
struct Failure {
    code: ResponseError,
    message: Option<String>,
    records: Vec<(i32, String)>,
}

impl From<ResponseError> for Failure {
    fn from(code: ResponseError) -> Self {
        Self { code, message: None, records: Vec::new() }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let code = match refused.reason {
            Reason::Damaged => ResponseError::CorruptMessage,
            Reason::TooLarge => ResponseError::MessageTooLarge,
            Reason::LargerThanSegment => ResponseError::RecordListTooLarge,
            Reason::Invalid => ResponseError::InvalidRecord,
            Reason::Timestamp => ResponseError::InvalidTimestamp,
        };
        Self { code, message: Some(refused.message), records: refused.records }
    }
}

impl From<ProduceError> for Failure {
    fn from(error: ProduceError) -> Self {
        Self { code: error.code(), message: Some(error.to_string()), records: Vec::new() }
    }
}

impl From<BusError> for Failure {
    fn from(error: BusError) -> Self {
        Self { code: place::bus_code(&error), message: Some(error.to_string()), records: Vec::new() }
    }
}

impl Failure {
    fn write(self, response: &mut PartitionProduceResponse) {
        response.error_code = self.code.code();
        response.base_offset = -1;
        response.log_append_time_ms = -1;
        response.error_message = self.message.map(StrBytes::from_string);
        let records = self.records.into_iter().map(|(index, message)| {
            BatchIndexAndErrorMessage::default()
                .with_batch_index(index)
                .with_batch_index_error_message(Some(StrBytes::from_string(message)))
        });
        response.record_errors = records.collect();
    }
}

pub(crate) async fn produce(
    call: &Call,
    request: ProduceRequest,
) -> BoxFuture<'static, Result<Option<ProduceResponse>, Close>> {
    let (acks, timeout_ms) = (request.acks, request.timeout_ms);
    let transactional_id = request.transactional_id.clone();
    let may_transact = transactional_id.as_ref().is_some_and(|id| {
        let id = Resource::TransactionalId(id);
        call.may(Operation::Write, id)
    });
    let (acks, refusal) = match acks {
        0 => (Acks::Nothing, None),
        1 => (Acks::PageCache, None),
        -1 => (Acks::Disk, None),
        _ => (Acks::PageCache, Some(ResponseError::InvalidRequiredAcks)),
    };
    let mut answer = Answer::new(call, request, refusal);
    answer.take_in(call).await;
    if answer.ready.iter().any(|batch| batch.ready.header.is_transactional()) {
        if may_transact {
            answer.verify(call, &transactional_id.unwrap_or_default()).await;
        } else {
            answer.refuse_all(ResponseError::TransactionalIdAuthorizationFailed);
        }
    }
    let unflushed = answer.append();
    let mut topics = answer.topics;
    if acks == Acks::Nothing {
        // The only way to tell the client that something is wrong, so that it looks for the partition again.
        let mut codes =
            topics.iter().flat_map(|topic| &topic.partition_responses).map(|part| part.error_code);
        let refused = codes.find_map(ResponseError::try_from_code);
        return std::future::ready(refused.map_or(Ok(None), |code| Err(Close::Unanswered(code)))).boxed();
    }
    if acks == Acks::PageCache || unflushed.is_empty() {
        let response = ProduceResponse::default().with_responses(topics);
        return std::future::ready(Ok(Some(response))).boxed();
    }
    let patience = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
    async move {
        for (waited, failure) in flush(unflushed, patience).await {
            failure.write(&mut topics[waited.0].partition_responses[waited.1]);
        }
        Ok(Some(ProduceResponse::default().with_responses(topics)))
    }
    .boxed()
}

/// Waits until everything is on disk; what is not, and why.
async fn flush(unflushed: Vec<Unflushed>, patience: Duration) -> Vec<((usize, usize), Failure)> {
    // All at once, so that they share a sync.
    let flushing = unflushed.into_iter().map(async |batch| {
        let flushed = tokio::time::timeout(patience, batch.replica.flushed_together(batch.next_offset)).await;
        let failure = match flushed {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => Failure::from(error),
            Err(_) => ResponseError::RequestTimedOut.into(),
        };
        Some(((batch.topic, batch.partition), failure))
    });
    join_all(flushing).await.into_iter().flatten().collect()
}

impl Answer {
    /// Looks at every batch; what can be refused before anything is appended is.
    fn new(call: &Call, request: ProduceRequest, refusal: Option<ResponseError>) -> Self {
        let by_id = call.version >= BY_ID;
        let topics = Vec::with_capacity(request.topic_data.len());
        let mut answer = Self { topics, asked: Vec::new(), ready: Vec::new() };
        for topic in request.topic_data {
            let found = place::topic_name(call, &topic.name, topic.topic_id, by_id);
            let mut partition_responses = Vec::with_capacity(topic.partition_data.len());
            for data in topic.partition_data {
                let mut response = PartitionProduceResponse::default().with_index(data.index);
                let found = match (refusal, &found) {
                    (Some(refusal), _) => Err(refusal),
                    (None, Ok(name)) => find(call, name, &data),
                    (None, Err(error)) => Err(*error),
                };
                match found {
                    Ok(replica) => answer.asked.push(Asked {
                        topic: answer.topics.len(),
                        partition: partition_responses.len(),
                        replica,
                        records: data.records.unwrap_or_default(),
                    }),
                    Err(error) => Failure::from(error).write(&mut response),
                }
                partition_responses.push(response);
            }
            answer.topics.push(
                TopicProduceResponse::default()
                    .with_name(topic.name)
                    .with_topic_id(topic.topic_id)
                    .with_partition_responses(partition_responses),
            );
        }
        answer
    }

    /// Makes batches ready to append: in place where that is quick, and otherwise on a thread that holds nobody up.
    async fn take_in(&mut self, call: &Call) {
        let now_ms = call.broker.inner.clock.now().as_millis();
        let asked: Arc<[Asked]> = std::mem::take(&mut self.asked).into();
        let work = {
            let asked = Arc::clone(&asked);
            move || asked.iter().map(|asked| asked.take_in(now_ms)).collect::<Vec<_>>()
        };
        let taken = if asked.iter().all(Asked::is_quick) {
            work()
        } else {
            let _turn = call.broker.budget.turn().await;
            let taken = tokio::task::spawn_blocking(work).await;
            // A defect there must not look like success.
            let failed = |_| asked.iter().map(|_| Err(ResponseError::UnknownServerError.into())).collect();
            taken.unwrap_or_else(failed)
        };
        for (Asked { topic, partition, replica, .. }, taken) in asked.iter().zip(taken) {
            let (topic, partition) = (*topic, *partition);
            match taken {
                Ok(ready) => {
                    self.ready.push(Batch { topic, partition, replica: Arc::clone(replica), ready });
                }
                Err(failure) => failure.write(self.response(topic, partition)),
            }
        }
    }

    fn response(&mut self, topic: usize, partition: usize) -> &mut PartitionProduceResponse {
        &mut self.topics[topic].partition_responses[partition]
    }

    /// Asks the coordinator whether the transactional batches belong to an open transaction; those that do not are refused.
    async fn verify(&mut self, call: &Call, transactional_id: &str) {
        let mut partitions: BTreeMap<TransactionKey, Vec<TopicPartition>> = BTreeMap::new();
        for batch in self.ready.iter().filter(|batch| batch.ready.header.is_transactional()) {
            partitions.entry(batch.key()).or_default().push(batch.replica.at.clone());
        }
        let implicit = call.version >= JOINS_TRANSACTION;
        for (key, partitions) in partitions {
            let claim = Claim { id: transactional_id, key, connection: call.peer.connection };
            let verified = call.broker.inner.transactions.verify_produce(claim, &partitions, implicit).await;
            let Err(error) = verified else { continue };
            let (code, message) = (error.produce_code(call.version), error.to_string());
            let is_refused = |batch: &mut Batch| batch.ready.header.is_transactional() && batch.key() == key;
            for batch in self.ready.extract_if(.., is_refused).collect::<Vec<_>>() {
                let failure = Failure { code, message: Some(message.clone()), records: Vec::new() };
                failure.write(self.response(batch.topic, batch.partition));
            }
        }
    }

    /// Refuses the whole request.
    fn refuse_all(&mut self, error: ResponseError) {
        self.ready.clear();
        for response in self.topics.iter_mut().flat_map(|topic| &mut topic.partition_responses) {
            Failure::from(error).write(response);
        }
    }

    /// Appends in the order of the request; what has to reach the disk.
    fn append(&mut self) -> Vec<Unflushed> {
        let mut unflushed = Vec::with_capacity(self.ready.len());
        for batch in std::mem::take(&mut self.ready) {
            let Batch { topic, partition, replica, mut ready } = batch;
            let transactional = ready.header.is_transactional();
            let appended = replica.produce(&mut ready.batch, transactional);
            let earliest = replica.log().range().earliest;
            let response = self.response(topic, partition);
            match appended {
                Ok(appended) => {
                    response.base_offset = appended.base_offset;
                    response.log_append_time_ms = ready.append_time_ms.unwrap_or(-1);
                    response.log_start_offset = earliest;
                    let next_offset = appended.next_offset;
                    unflushed.push(Unflushed { topic, partition, replica, next_offset });
                }
                Err(error) => Failure::from(error).write(response),
            }
        }
        unflushed
    }
}

/// The partition that is meant, where the client may write to it what it sends.
fn find(call: &Call, topic: &str, data: &PartitionProduceData) -> Result<Arc<Replica>, ResponseError> {
    if !call.may(Operation::Write, Resource::Topic(topic)) {
        return Err(ResponseError::TopicAuthorizationFailed);
    }
    let replica = place::replica(call, topic, data.index)?;
    if call.is_protected(topic) {
        return Err(ResponseError::InvalidTopicException);
    }
    let codec = data.records.as_ref().and_then(codec);
    if call.version < ZSTD && codec == Some(Compression::Zstd) {
        return Err(ResponseError::UnsupportedCompressionType);
    }
    Ok(replica)
}

/// How a batch is compressed; `None` where it is none.
fn codec(records: &Bytes) -> Option<Compression> {
    BatchHeader::decode(records).ok().map(|header| header.compression())
}

impl Asked {
    /// Whether it is soon looked at, whatever is in it.
    fn is_quick(&self) -> bool {
        let is_plain = codec(&self.records).is_none_or(|codec| codec == Compression::None);
        let recompresses = self.replica.log().config().compression.is_some();
        let in_place = if is_plain && !recompresses {
            limits::PLAIN_IN_PLACE_BYTES
        } else {
            limits::COMPRESSED_IN_PLACE_BYTES
        };
        self.records.len() <= in_place
    }

    fn take_in(&self, now_ms: i64) -> Result<Ready, Failure> {
        Ok(self.replica.log().config().take_in(&self.records, now_ms)?)
    }
}
