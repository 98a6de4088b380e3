//! Batches into records.

use super::event_time::EventTime;
use super::{RowFault, exchange};
use crate::batch::Batch;
use crate::plan::query_plan::{Exchange, NullKey};
use crate::{Column, Format, FormatSpec, RelationKind};
use bytes::Bytes;
use millstream_bus::{Record, partition_for_key};
use millstream_format::sql::{EncodeError, Encoder, Layout};
use millstream_model::Timestamp;
use std::sync::Arc;

/// Encodes the rows of one query's result.
#[derive(Debug)]
pub(crate) struct SinkEncoder {
    key: Vec<usize>,
    /// `None` where records have no key.
    key_encoder: Option<Box<dyn Encoder>>,
    value: Vec<usize>,
    value_encoder: Box<dyn Encoder>,
    window_start: Option<usize>,
    /// The session's end, which stands before its start.
    window_end: Option<usize>,
    timestamp: Option<usize>,
    event_time: EventTime,
    kind: RelationKind,
    /// Where rows go to another stage of the query: what happens to those without a key.
    exchange: Option<NullKey>,
}

/// A record with the partition that it goes to, and the offset of the one that it comes from.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) record: Record,
}

/// Where a row's parts stand in the shared buffer.
struct Placed {
    key: Option<std::ops::Range<usize>>,
    value: Option<std::ops::Range<usize>>,
    partition: i32,
    row: usize,
}

impl SinkEncoder {
    /// An encoder for these columns of a batch: `key` and `value` are the slots of the layouts' columns.
    pub(crate) fn new(
        key: Vec<usize>,
        key_layout: Option<&Layout>,
        value: Vec<usize>,
        value_layout: &Layout,
        (window_start, window_end): (Option<usize>, Option<usize>),
        kind: RelationKind,
    ) -> Self {
        Self {
            key,
            key_encoder: key_layout.map(Layout::encoder),
            value,
            value_encoder: value_layout.encoder(),
            window_start,
            window_end,
            timestamp: None,
            event_time: EventTime::new(None),
            kind,
            exchange: None,
        }
    }

    /// The same, with the records' time out of a column.
    pub(crate) fn with_timestamp(mut self, slot: Option<usize>, format: Option<&Arc<str>>) -> Self {
        (self.timestamp, self.event_time) = (slot, EventTime::new(format));
        self
    }

    /// An encoder for rows on their way to another stage.
    pub(crate) fn for_exchange(exchange: &Exchange) -> Self {
        let fields = exchange.key.iter().filter_map(|slot| exchange.fields.get(*slot).cloned()).collect();
        let key = Layout::new(exchange.key_spec.clone(), fields);
        let value = Layout::new(FormatSpec::value(Format::None), Vec::new());
        let slots = (0..exchange.fields.len()).collect();
        let kind = RelationKind::Stream;
        let plain = Self::new(exchange.key.clone(), Some(&key), slots, &value, (None, None), kind);
        Self { exchange: Some(exchange.null_key), ..plain }
    }

    /// What happens to rows without a whole key.
    pub(crate) fn null_key(&self) -> NullKey {
        self.exchange.unwrap_or(NullKey::Stays)
    }

    /// The slots of the key.
    pub(crate) fn key_slots(&self) -> &[usize] {
        &self.key
    }

    /// Appends the rows of `batch` for a topic of `partitions` partitions; those that cannot be written become faults.
    pub(crate) fn encode(
        &self,
        batch: &Batch,
        partitions: i32,
        out: &mut Vec<Encoded>,
        faults: &mut Vec<RowFault>,
    ) {
        let columns = |slots: &[usize]| slots.iter().map(|slot| &batch.columns[*slot]).collect::<Vec<_>>();
        let (key, value) = (columns(&self.key), columns(&self.value));
        let mut buffer: Vec<u8> = Vec::with_capacity(batch.rows() * 48);
        let mut placed = Vec::with_capacity(batch.rows());
        for row in 0..batch.rows() {
            let start = buffer.len();
            match self.row(batch, row, (&key, &value), partitions, &mut buffer) {
                Ok(one) => placed.extend(one),
                Err(error) => {
                    buffer.truncate(start);
                    faults.push(RowFault { offset: batch.offsets[row], message: error.to_string() });
                }
            }
        }
        let stated = self.timestamp.and_then(|slot| batch.columns.get(slot)).map(|column| {
            self.event_time.times(column, batch, &mut |row, message| {
                faults.push(RowFault { offset: batch.offsets[row], message });
            })
        });
        // One buffer for the whole batch, shared by its records.
        let buffer = Bytes::from(buffer);
        out.extend(placed.into_iter().map(|placed| {
            let part = |range: Option<std::ops::Range<usize>>| range.map(|range| buffer.slice(range));
            let stated = stated.as_ref().and_then(|times| times.get(placed.row).copied().flatten());
            let time = stated.filter(|time| *time >= 0).unwrap_or(batch.timestamps[placed.row]);
            let record = Record::new(part(placed.key), part(placed.value), Timestamp(time));
            Encoded { partition: placed.partition, offset: batch.offsets[placed.row], record }
        }));
    }

    /// Writes one row; `None` where it is left out.
    fn row(
        &self,
        batch: &Batch,
        row: usize,
        (key, value): (&[&Column], &[&Column]),
        partitions: i32,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<Placed>, EncodeError> {
        if self.null_key() != NullKey::Stays && key.iter().any(|column| column.is_null(row)) {
            return Ok(None);
        }
        let start = buffer.len();
        // NULL as the only column, or as all of them, is an absent key.
        let encoder = self.key_encoder.as_ref().filter(|_| key.iter().any(|column| !column.is_null(row)));
        if let Some(encoder) = encoder {
            encoder.encode(key, row, buffer)?;
        } else if self.kind == RelationKind::Table {
            return Ok(None);
        }
        // The partition goes by the key without its window, as Kafka Streams has it, so that all windows of a key stay
        // together.
        let partition = if encoder.is_some() {
            partition_for_key(buffer.get(start..), partitions)
        } else {
            batch.partition.rem_euclid(partitions.max(1))
        };
        if encoder.is_some() {
            for slot in [self.window_end, self.window_start].into_iter().flatten() {
                let time = batch.columns[slot].datum(row).as_i64().unwrap_or(0);
                buffer.extend_from_slice(&time.to_be_bytes());
            }
        }
        let key = encoder.is_some().then_some(start..buffer.len());
        let start = buffer.len();
        if self.exchange.is_some() {
            exchange::write(batch, value, row, buffer);
            return Ok(Some(Placed { key, value: Some(start..buffer.len()), partition, row }));
        }
        // What stands by itself and is NULL is no value, as in ksqlDB.
        if batch.is_deleted(row) || self.value_encoder.is_absent(value, row) {
            return Ok(Some(Placed { key, value: None, partition, row }));
        }
        self.value_encoder.encode(value, row, buffer)?;
        Ok(Some(Placed { key, value: Some(start..buffer.len()), partition, row }))
    }
}
