//! Reading: messages of librdkafka as records, and the reader outside any group.

use crate::client::{Directory, blocking, drop_apart};
use crate::error::bus_error;
use crate::group::Assignments;
use crate::{KafkaSettings, limits};
use async_trait::async_trait;
use bytes::BytesMut;
use millstream_bus::{
    BusError, FetchLimit, Fetched, Header, Isolation, Position, Reader, ReceivedRecord, Record, StartOffset,
    TopicPartition,
};
use millstream_model::Timestamp;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::{Message, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::time::{Instant, sleep_until};

pub(crate) type Consumed = StreamConsumer<Assignments>;
pub(crate) type Positions = BTreeMap<TopicPartition, i64>;

/// The group that readers outside any group name to the cluster. They never join it and commit nothing for it.
const NO_GROUP: &str = "millstream-reader";

/// A consumer and where it stands. Closing it waits for the network, so it is closed on a thread of its own.
pub(crate) struct Fetcher {
    consumer: Option<Arc<Consumed>>,
    directory: Arc<Directory>,
    isolation: Isolation,
    pub(crate) positions: Positions,
    /// Told by the consumer and not explained yet. Kept here, because explaining waits and may be cancelled.
    error: Option<KafkaError>,
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        drop_apart(self.consumer.take());
    }
}

pub(crate) fn partition_list(
    offsets: impl IntoIterator<Item = (TopicPartition, Offset)>,
) -> Result<TopicPartitionList, BusError> {
    let mut list = TopicPartitionList::new();
    for (of, offset) in offsets {
        list.add_partition_offset(&of.topic, of.partition, offset)
            .map_err(|error| bus_error(&error, &of.to_string()))?;
    }
    Ok(list)
}

impl Fetcher {
    pub(crate) fn open(
        settings: &KafkaSettings,
        directory: &Arc<Directory>,
        group: &str,
        isolation: Isolation,
    ) -> Result<Self, BusError> {
        let consumer = settings
            .consumer(group, isolation)
            .create_with_context(Assignments::default())
            .map_err(|error| bus_error(&error, group))?;
        Ok(Self {
            consumer: Some(Arc::new(consumer)),
            directory: Arc::clone(directory),
            isolation,
            positions: Positions::new(),
            error: None,
        })
    }

    pub(crate) fn consumer(&self) -> Result<&Arc<Consumed>, BusError> {
        self.consumer.as_ref().ok_or_else(|| BusError::Fatal("the reader is closed".to_owned()))
    }

    /// Takes the consumer out, for whoever closes it.
    pub(crate) fn take_consumer(&mut self) -> Option<Arc<Consumed>> {
        self.consumer.take()
    }

    /// The offset that `start` means in a partition, as of now.
    pub(crate) async fn resolve(&self, of: &TopicPartition, start: StartOffset) -> Result<i64, BusError> {
        if let StartOffset::Offset(offset) = start {
            return Ok(offset);
        }
        let (directory, of, isolation) = (Arc::clone(&self.directory), of.clone(), self.isolation);
        let (earliest, latest) = blocking(move || directory.watermarks(&of, isolation)).await?;
        Ok(if start == StartOffset::Earliest { earliest } else { latest })
    }

    /// Reads from these positions from now on.
    pub(crate) fn assign(&mut self, positions: Positions) -> Result<(), BusError> {
        let offsets = positions.iter().map(|(of, offset)| (of.clone(), Offset::Offset(*offset)));
        let list = partition_list(offsets)?;
        self.consumer()?.assign(&list).map_err(|error| bus_error(&error, "a reader"))?;
        self.positions = positions;
        self.error = None;
        Ok(())
    }

    /// Moves one partition. What was fetched ahead is thrown away.
    pub(crate) fn seek(&mut self, to: &TopicPartition, offset: i64) -> Result<(), BusError> {
        let mut positions = self.positions.clone();
        match positions.get_mut(to) {
            Some(position) => *position = offset,
            None => return Err(BusError::Invalid(format!("the reader does not read `{to}`"))),
        }
        self.assign(positions)
    }

    /// One round of reading: returns what there is, or waits for the first message until `deadline`, or until
    /// the group changes (then with nothing).
    pub(crate) async fn fetch(
        &mut self,
        limit: FetchLimit,
        deadline: Instant,
    ) -> Result<Vec<Fetched>, BusError> {
        loop {
            if let Some(error) = &self.error {
                let (explained, is_stopped) = (self.explain(error).await, stops_a_partition(error));
                self.error = None;
                if let Some(error) = explained {
                    return Err(error);
                }
                if is_stopped && !self.consumer()?.context().is_pending() {
                    self.assign(self.positions.clone())?;
                }
            }
            let consumer = Arc::clone(self.consumer()?);
            let first = tokio::select! {
                biased;
                message = consumer.recv() => message,
                () = consumer.context().changed() => return Ok(Vec::new()),
                () = sleep_until(deadline) => return Ok(self.passed(&consumer)),
            };
            let found = self.drain(&consumer, first, limit);
            if !found.is_empty() {
                return Ok(found);
            }
        }
    }

    /// Takes what is there, from `first` on, without waiting.
    fn drain(
        &mut self,
        consumer: &Consumed,
        first: Result<BorrowedMessage<'_>, KafkaError>,
        limit: FetchLimit,
    ) -> Vec<Fetched> {
        let mut batch = Collected::default();
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Ok(message) => batch.take(&message),
                Err(error) => {
                    self.error = Some(error);
                    break;
                }
            }
            next = if batch.is_full(limit) { None } else { ready(consumer.recv()) };
        }
        for part in &batch.parts {
            self.positions.insert(part.partition.clone(), part.next_offset);
        }
        batch.parts
    }

    /// Partitions whose position moved though no record was handed out: over markers and aborted records.
    fn passed(&mut self, consumer: &Consumed) -> Vec<Fetched> {
        let Ok(list) = consumer.position() else { return Vec::new() };
        let mut passed = Vec::new();
        for (of, position) in &mut self.positions {
            let found =
                list.find_partition(&of.topic, of.partition).and_then(|found| found.offset().to_raw());
            if let Some(offset) = found.filter(|offset| *offset > *position) {
                *position = offset;
                passed.push(Fetched { partition: of.clone(), records: Vec::new(), next_offset: offset });
            }
        }
        passed
    }

    /// What a consumer's error means for the caller; `None` where librdkafka mends it by itself.
    async fn explain(&self, error: &KafkaError) -> Option<BusError> {
        match error.rdkafka_error_code() {
            _ if stops_a_partition(error) => {
                let (directory, positions) = (Arc::clone(&self.directory), self.positions.clone());
                blocking(move || first_lost(&directory, &positions)).await.unwrap_or_else(Some)
            }
            // One broker of several, or an idle connection: it is opened again.
            Some(
                RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::PartitionEOF,
            ) => None,
            _ => Some(bus_error(error, "a reader")),
        }
    }
}

/// Whether librdkafka reads some partition no further after this error. Where its position turns out to be sound, because a
/// leader was only behind for a moment, it must be assigned again.
fn stops_a_partition(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::AutoOffsetReset
                | RDKafkaErrorCode::OffsetOutOfRange
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::UnknownTopicOrPartition
        )
    )
}

/// librdkafka does not say which partition lost its position; this finds the first. Blocks.
fn first_lost(directory: &Directory, positions: &Positions) -> Result<Option<BusError>, BusError> {
    for (at, offset) in positions {
        match directory.watermarks(at, Isolation::ReadUncommitted) {
            Ok((earliest, latest)) if *offset < earliest || *offset > latest => {
                return Ok(Some(BusError::OffsetOutOfRange {
                    at: at.clone(),
                    offset: *offset,
                    earliest,
                    latest,
                }));
            }
            Ok(_) => {}
            Err(error @ BusError::UnknownTopic(_)) => {
                directory.forget(&at.topic);
                return Err(error);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// The output of a future that is ready now.
fn ready<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// What one poll has found so far.
#[derive(Default)]
struct Collected {
    parts: Vec<Fetched>,
    records: usize,
    bytes: usize,
    /// Keys and values of one poll share few allocations.
    arena: BytesMut,
}

impl Collected {
    fn is_full(&self, limit: FetchLimit) -> bool {
        self.records >= limit.records_max || self.bytes >= limit.bytes_max
    }

    fn take(&mut self, message: &BorrowedMessage<'_>) {
        let record = record(message, &mut self.arena);
        self.records += 1;
        self.bytes += record.len_bytes();
        let (offset, next_offset) = (message.offset(), message.offset() + 1);
        let received = ReceivedRecord { offset, record };
        // Messages come in runs of one partition, so the last one is nearly always the one.
        let same = |part: &&mut Fetched| {
            part.partition.partition == message.partition() && *part.partition.topic == *message.topic()
        };
        if let Some(part) = self.parts.iter_mut().rev().find(same) {
            part.records.push(received);
            part.next_offset = next_offset;
        } else {
            let partition = TopicPartition::new(message.topic(), message.partition());
            self.parts.push(Fetched { partition, records: vec![received], next_offset });
        }
    }
}

fn record(message: &BorrowedMessage<'_>, arena: &mut BytesMut) -> Record {
    let mut keep = |bytes: &[u8]| {
        arena.extend_from_slice(bytes);
        arena.split().freeze()
    };
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        let headers = headers.iter();
        headers.map(|header| Header { name: header.key.into(), value: header.value.map(&mut keep) }).collect()
    });
    Record {
        key: message.key().map(&mut keep),
        value: message.payload().map(&mut keep),
        headers,
        timestamp: Timestamp(message.timestamp().to_millis().unwrap_or(-1)),
    }
}

/// A reader outside any group.
pub(crate) struct KafkaReader(Fetcher);

impl KafkaReader {
    pub(crate) async fn open(
        settings: &KafkaSettings,
        directory: &Arc<Directory>,
        from: Vec<Position>,
        isolation: Isolation,
    ) -> Result<Self, BusError> {
        let mut fetcher = Fetcher::open(settings, directory, NO_GROUP, isolation)?;
        let mut positions = Positions::new();
        for Position { partition, start } in from {
            directory.require(&partition).await?;
            let offset = fetcher.resolve(&partition, start).await?;
            if positions.insert(partition.clone(), offset).is_some() {
                return Err(BusError::Invalid(format!("`{partition}` is asked for twice in one reader")));
            }
        }
        fetcher.assign(positions)?;
        Ok(Self(fetcher))
    }
}

#[async_trait]
impl Reader for KafkaReader {
    async fn poll(&mut self, limit: FetchLimit) -> Result<Vec<Fetched>, BusError> {
        let deadline = Instant::now() + limit.wait_max.min(limits::WAIT_MAX);
        self.0.fetch(limit, deadline).await
    }

    async fn seek(&mut self, to: &TopicPartition, offset: i64) -> Result<(), BusError> {
        self.0.seek(to, offset)
    }

    fn positions(&self) -> Vec<(TopicPartition, i64)> {
        self.0.positions.iter().map(|(of, offset)| (of.clone(), *offset)).collect()
    }
}
