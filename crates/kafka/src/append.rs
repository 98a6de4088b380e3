//! Appending: a whole batch is handed to librdkafka at once, and one answer awaited for all of it.

use crate::client::{drop_apart, log_error, log_line};
use crate::error::{bus_error, unavailable};
use crate::{KafkaSettings, limits};
use millstream_bus::{BusError, Record, TopicPartition};
use parking_lot::Mutex;
use rdkafka::Message;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::statistics::Statistics;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// What is awaited for one batch.
#[derive(Debug)]
pub(crate) struct Batch(Mutex<Pending>);

#[derive(Debug)]
struct Pending {
    /// Records handed over and not yet answered, and one for the caller while it hands over.
    open: usize,
    first_offset: Option<i64>,
    delivered: usize,
    failed: Option<KafkaError>,
    done: Option<oneshot::Sender<Outcome>>,
}

/// How a batch ended.
#[derive(Debug)]
struct Outcome {
    first_offset: Option<i64>,
    delivered: usize,
    failed: Option<KafkaError>,
}

impl Batch {
    fn new() -> (Arc<Self>, oneshot::Receiver<Outcome>) {
        let (done, outcome) = oneshot::channel();
        let pending = Pending { open: 1, first_offset: None, delivered: 0, failed: None, done: Some(done) };
        (Arc::new(Self(Mutex::new(pending))), outcome)
    }

    fn handed_over(&self) {
        self.0.lock().open += 1;
    }

    fn answered(&self, answer: Option<Result<i64, KafkaError>>) {
        let mut pending = self.0.lock();
        match answer {
            Some(Ok(offset)) => {
                pending.first_offset = Some(pending.first_offset.map_or(offset, |first| first.min(offset)));
                pending.delivered += 1;
            }
            Some(Err(error)) => {
                pending.failed.get_or_insert(error);
            }
            None => {}
        }
        pending.open -= 1;
        if pending.open == 0
            && let Some(done) = pending.done.take()
        {
            let Pending { first_offset, delivered, .. } = *pending;
            // The caller may have given up waiting.
            let _ = done.send(Outcome { first_offset, delivered, failed: pending.failed.take() });
        }
    }
}

/// Counts answers, and tells who waits for room in the queue.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    room: Notify,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log_line(level, facility, line);
    }
    fn stats(&self, _: Statistics) {}
    fn error(&self, error: KafkaError, reason: &str) {
        log_error(&error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Batch>;

    fn delivery(&self, result: &DeliveryResult<'_>, batch: Arc<Batch>) {
        batch.answered(Some(match result {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.clone()),
        }));
        self.room.notify_waiters();
    }
}

type Client = ThreadedProducer<Deliveries>;

/// Turns of the appends to one partition.
type Turn = Arc<tokio::sync::Mutex<()>>;

/// A producer of batches.
pub(crate) struct Appender {
    client: Option<Arc<Client>>,
    /// Batches of concurrent callers must not mix.
    turns: Mutex<BTreeMap<TopicPartition, Turn>>,
}

impl std::fmt::Debug for Appender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Appender").finish_non_exhaustive()
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        drop_apart(self.client.take());
    }
}

impl Appender {
    pub(crate) fn open(settings: &KafkaSettings, transactional_id: Option<&str>) -> Result<Self, BusError> {
        let config = settings.producer(transactional_id);
        let client = config
            .create_with_context(Deliveries::default())
            .map_err(|error| bus_error(&error, "Kafka settings"))?;
        Ok(Self { client: Some(Arc::new(client)), turns: Mutex::default() })
    }

    /// The client, for calls about transactions.
    pub(crate) fn client(&self) -> Result<&Arc<Client>, BusError> {
        self.client.as_ref().ok_or_else(|| unavailable("the producer is closed"))
    }

    /// Whether librdkafka has given up this client; a new one is needed.
    pub(crate) fn is_broken(&self) -> bool {
        self.client.as_ref().is_none_or(|client| client.client().fatal_error().is_some())
    }

    fn turn(&self, of: &TopicPartition) -> Turn {
        let mut turns = self.turns.lock();
        if turns.len() >= limits::KNOWN_TOPICS {
            // Those in use stay; they are held by their users.
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        Arc::clone(turns.entry(of.clone()).or_default())
    }

    /// Appends `records` in order, with nothing between them, and returns the offset of the first.
    pub(crate) async fn append(&self, to: &TopicPartition, records: &[Record]) -> Result<i64, BusError> {
        let client = self.client()?;
        let (batch, outcome) = Batch::new();
        let turn = self.turn(to);
        let handed_over = {
            let _turn = turn.lock().await;
            hand_over(client, to, records, &batch).await
        };
        batch.answered(handed_over.err().map(Err));
        match outcome.await {
            Ok(Outcome { failed: None, first_offset: Some(first), .. }) => Ok(first),
            Ok(Outcome { failed: Some(error), delivered, .. }) => {
                let fatal =
                    || client.client().fatal_error().map(|(code, _)| crate::error::coded(code, &to.topic));
                let error = match error.rdkafka_error_code() {
                    Some(RDKafkaErrorCode::Fatal | RDKafkaErrorCode::PurgeQueue) => fatal(),
                    _ => None,
                }
                .unwrap_or_else(|| bus_error(&error, &to.to_string()));
                Err(if delivered > 0 && error.is_retriable() {
                    BusError::Unknown(to.to_string())
                } else {
                    error
                })
            }
            Ok(_) | Err(_) => Err(unavailable(format!("nothing was appended to `{to}`"))),
        }
    }
}

/// Puts every record in librdkafka's queue, and waits for room where there is none.
async fn hand_over(
    client: &Client,
    to: &TopicPartition,
    records: &[Record],
    batch: &Arc<Batch>,
) -> Result<(), KafkaError> {
    for record in records {
        let mut message = message(to, record, batch);
        loop {
            let room = client.context().room.notified();
            batch.handed_over();
            match client.send(message) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    batch.answered(None);
                    message = back;
                    let _ = timeout(limits::QUEUE_FULL_WAIT, room).await;
                }
                Err((error, _)) => {
                    batch.answered(None);
                    return Err(error);
                }
            }
        }
    }
    Ok(())
}

fn message<'a>(
    to: &'a TopicPartition,
    record: &'a Record,
    batch: &Arc<Batch>,
) -> BaseRecord<'a, [u8], [u8], Arc<Batch>> {
    let mut message = BaseRecord::with_opaque_to(&to.topic, Arc::clone(batch)).partition(to.partition);
    message.key = record.key.as_deref();
    message.payload = record.value.as_deref();
    // librdkafka takes 0 for "now"; the first millisecond of 1970 becomes the second.
    message.timestamp = Some(if record.timestamp.0 == 0 { 1 } else { record.timestamp.0 });
    if !record.headers.is_empty() {
        let empty = OwnedHeaders::new_with_capacity(record.headers.len());
        message.headers = Some(record.headers.iter().fold(empty, |headers, header| {
            headers.insert(Header { key: &header.name, value: header.value.as_deref() })
        }));
    }
    message
}
