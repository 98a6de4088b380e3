//! Batches into records.

use crate::batch::Batch;
use crate::plan::query_plan::Fields;
use crate::{Datum, KeyFormat, RelationKind};
use bytes::Bytes;
use millstream_bus::{Record, partition_for_key};
use millstream_format::sql::JsonEncoder;
use millstream_model::Timestamp;
use std::sync::Arc;

/// Encodes the rows of one query's result.
#[derive(Debug, Clone)]
pub(crate) struct SinkEncoder {
    key: Vec<usize>,
    key_names: Vec<Arc<str>>,
    key_format: KeyFormat,
    value: Vec<usize>,
    json: JsonEncoder,
    window_start: Option<usize>,
    timestamp: Option<usize>,
    kind: RelationKind,
    /// Whether rows without a key are left out, because whoever reads them groups by it.
    needs_key: bool,
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
    /// An encoder for these columns of a batch; `key` and `value` are slots with their names.
    pub(crate) fn new(
        key: &[(usize, Arc<str>)],
        key_format: KeyFormat,
        value: &[(usize, Arc<str>)],
        window_start: Option<usize>,
        kind: RelationKind,
    ) -> Self {
        let names: Vec<Arc<str>> = value.iter().map(|(_, name)| name.clone()).collect();
        Self {
            key: key.iter().map(|(slot, _)| *slot).collect(),
            key_names: key.iter().map(|(_, name)| name.clone()).collect(),
            key_format,
            value: value.iter().map(|(slot, _)| *slot).collect(),
            json: JsonEncoder::new(&names),
            window_start,
            timestamp: None,
            kind,
            needs_key: false,
        }
    }

    /// The same, with the records' time out of a column.
    pub(crate) const fn with_timestamp(mut self, slot: Option<usize>) -> Self {
        self.timestamp = slot;
        self
    }

    /// An encoder for rows on their way to the partitions of their groups.
    pub(crate) fn for_groups(key: usize, key_format: KeyFormat, fields: &Fields) -> Self {
        let named: Vec<_> = fields.iter().enumerate().map(|(slot, (name, _))| (slot, name.clone())).collect();
        let (key, value) = named.split_at(key);
        Self { needs_key: true, ..Self::new(key, key_format, value, None, RelationKind::Stream) }
    }

    /// Whether rows without a whole key are left out.
    pub(crate) const fn needs_key(&self) -> bool {
        self.needs_key
    }

    /// The slots of the key.
    pub(crate) fn key_slots(&self) -> &[usize] {
        &self.key
    }

    /// Appends the rows of `batch` for a topic of `partitions` partitions.
    pub(crate) fn encode(&self, batch: &Batch, partitions: i32, out: &mut Vec<Encoded>) {
        let mut buffer: Vec<u8> = Vec::with_capacity(batch.rows() * 48);
        let mut placed = Vec::with_capacity(batch.rows());
        let mut key: Vec<Datum<'_>> = Vec::with_capacity(self.key.len());
        for row in 0..batch.rows() {
            key.clear();
            key.extend(self.key.iter().map(|slot| batch.columns[*slot].datum(row)));
            if self.needs_key && key.iter().any(Datum::is_null) {
                continue;
            }
            let start = buffer.len();
            let has_key = self.key_format.encode(&self.key_names, &key, &mut buffer);
            if !has_key && self.kind == RelationKind::Table {
                continue;
            }
            // The partition goes by the key without its window, as Kafka Streams has it, so that all windows of a key
            // stay together.
            let partition = if has_key {
                partition_for_key(buffer.get(start..), partitions)
            } else {
                batch.partition.rem_euclid(partitions.max(1))
            };
            if has_key && let Some(window) = self.window_start {
                let start = batch.columns[window].datum(row).as_i64().unwrap_or(0);
                buffer.extend_from_slice(&start.to_be_bytes());
            }
            let key = has_key.then_some(start..buffer.len());
            let start = buffer.len();
            let value = (!batch.is_deleted(row)).then(|| {
                self.json.encode(self.value.iter().map(|slot| &batch.columns[*slot]), row, &mut buffer);
                start..buffer.len()
            });
            placed.push(Placed { key, value, partition, row });
        }
        // One buffer for the whole batch, shared by its records.
        let buffer = Bytes::from(buffer);
        out.extend(placed.into_iter().map(|placed| {
            let part = |range: Option<std::ops::Range<usize>>| range.map(|range| buffer.slice(range));
            let stated = self.timestamp.and_then(|slot| batch.columns[slot].datum(placed.row).as_i64());
            let time = stated.filter(|time| *time >= 0).unwrap_or(batch.timestamps[placed.row]);
            let record = Record::new(part(placed.key), part(placed.value), Timestamp(time));
            Encoded { partition: placed.partition, offset: batch.offsets[placed.row], record }
        }));
    }
}
