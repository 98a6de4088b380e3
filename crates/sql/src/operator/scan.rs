//! Records into batches: only the columns that the query needs.

use super::event_time::EventTime;
use super::{RowFault, exchange};
use crate::batch::Batch;
use crate::plan::query_plan::{Scan as Plan, ScanColumn};
use crate::{Column, ColumnBuilder, Datum, Header, RelationKind, SqlType};
use arrow_array::{Int32Array, Int64Array};
use arrow_buffer::BooleanBuffer;
use bytes::Bytes;
use millstream_bus::{ReceivedRecord, Record};
use millstream_format::sql::{Decoded, Decoder, Layout};

/// Decodes records.
#[derive(Debug)]
pub(crate) struct Scan {
    plan: Plan,
    keys: Option<Box<dyn Decoder>>,
    values: Box<dyn Decoder>,
    key_builders: Vec<ColumnBuilder>,
    value_builders: Vec<ColumnBuilder>,
    header_builders: Vec<ColumnBuilder>,
    rows: Rows,
    event_time: EventTime,
}

/// What is known of the rows beside their columns.
#[derive(Debug, Default)]
struct Rows {
    timestamps: Vec<i64>,
    offsets: Vec<i64>,
    window_starts: Vec<i64>,
    window_ends: Vec<i64>,
    deleted: Vec<bool>,
    /// Rows whose value was read but that must go: their key or time is bad.
    refused: Vec<bool>,
}

impl Scan {
    pub(crate) fn new(plan: Plan) -> Self {
        let builders = |fields: &[(_, SqlType)]| {
            fields.iter().map(|(_, t)| ColumnBuilder::new(*t, 0)).collect::<Vec<_>>()
        };
        Self {
            keys: plan.key.as_ref().map(Layout::decoder),
            values: plan.value.decoder(),
            key_builders: plan.key.as_ref().map(|key| builders(&key.columns)).unwrap_or_default(),
            value_builders: builders(&plan.value.columns),
            header_builders: plan
                .headers
                .iter()
                .map(|header| ColumnBuilder::new(header.sql_type(), 0))
                .collect(),
            rows: Rows::default(),
            event_time: EventTime::new(plan.timestamp_format.as_ref()),
            plan,
        }
    }

    /// The rows of `records`; those that cannot be read become faults.
    pub(crate) fn batch(
        &mut self,
        records: &[ReceivedRecord],
        partition: i32,
        now_ms: i64,
        faults: &mut Vec<RowFault>,
    ) -> Batch {
        for received in records {
            if let Err(message) = self.record(received) {
                faults.push(RowFault { offset: received.offset, message });
            }
        }
        self.finish(partition, now_ms, faults)
    }

    fn record(&mut self, received: &ReceivedRecord) -> Result<(), String> {
        let record = &received.record;
        let mut deleted = false;
        let decoded = match &record.value {
            Some(value) if self.plan.internal => {
                deleted = exchange::read(value, &mut self.value_builders)?;
                Decoded::Row
            }
            Some(value) => {
                self.values.decode(value, &mut self.value_builders).map_err(|error| error.to_string())?
            }
            None => Decoded::Null,
        };
        if decoded == Decoded::Null {
            if self.plan.kind == RelationKind::Stream {
                return Ok(());
            }
            deleted = true;
            self.value_builders.iter_mut().for_each(ColumnBuilder::append_null);
        }
        // From here on the row stands in the value columns, so a fault must not leave without the rest.
        let mut fault = None;
        let mut key = record.key.as_deref();
        let mut window = (0, 0);
        match take_window(&self.plan, key) {
            Ok((inner, found)) => (key, window) = (inner, found),
            Err(message) => fault = Some(message),
        }
        for (header, builder) in self.plan.headers.iter().zip(&mut self.header_builders) {
            builder.append(&header_value(header, record));
        }
        // An absent key is NULL in every column.
        let decoded = match (key, &mut self.keys) {
            (Some(key), Some(decoder)) => decoder.decode(key, &mut self.key_builders),
            _ => Ok(Decoded::Null),
        };
        if !matches!(decoded, Ok(Decoded::Row)) {
            self.key_builders.iter_mut().for_each(ColumnBuilder::append_null);
        }
        if let Err(error) = decoded {
            fault = Some(error.to_string());
        }
        self.rows.timestamps.push(record.timestamp.0);
        self.rows.offsets.push(received.offset);
        self.rows.window_starts.push(window.0);
        self.rows.window_ends.push(window.1);
        self.rows.deleted.push(deleted);
        self.rows.refused.push(fault.is_some());
        fault.map_or(Ok(()), Err)
    }

    fn finish(&mut self, partition: i32, now_ms: i64, faults: &mut Vec<RowFault>) -> Batch {
        let rows = std::mem::take(&mut self.rows);
        let count = rows.timestamps.len();
        let keys: Vec<Column> = self.key_builders.iter_mut().map(ColumnBuilder::finish).collect();
        let values: Vec<Column> = self.value_builders.iter_mut().map(ColumnBuilder::finish).collect();
        let mut batch = Batch {
            columns: Vec::new(),
            timestamps: rows.timestamps.into(),
            offsets: rows.offsets.into(),
            partition,
            deleted: rows.deleted.contains(&true).then(|| rows.deleted.iter().copied().collect()),
            now_ms,
        };
        let mut refused = rows.refused;
        if let Some(column) = self.plan.timestamp.and_then(|slot| values.get(slot)) {
            batch.timestamps = event_times(&self.event_time, column, &batch, &mut refused, faults);
        }
        let headers: Vec<Column> = self.header_builders.iter_mut().map(ColumnBuilder::finish).collect();
        let bounds = |times: Vec<i64>| Column::BigInt(Int64Array::new(times.into(), None));
        let (starts, ends) = (bounds(rows.window_starts), bounds(rows.window_ends));
        let columns = self.plan.columns.iter().map(|column| match column {
            ScanColumn::Key(slot) => keys[*slot].clone(),
            ScanColumn::Value(slot) => values[*slot].clone(),
            ScanColumn::RowTime => batch.time_column(),
            ScanColumn::RowPartition => Column::Int(Int32Array::from(vec![partition; count])),
            ScanColumn::RowOffset => Column::BigInt(Int64Array::new(batch.offsets.clone(), None)),
            ScanColumn::Header(slot) => headers[*slot].clone(),
            ScanColumn::WindowStart => starts.clone(),
            ScanColumn::WindowEnd => ends.clone(),
        });
        batch.columns = columns.collect();
        if refused.contains(&true) {
            batch = batch.filter(&refused.iter().map(|refused| !refused).collect::<BooleanBuffer>());
        }
        batch
    }
}

/// A key, and the start and end of its window.
type Windowed<'k> = (Option<&'k [u8]>, (i64, i64));

/// A key without its window, and the window's start and end. The layout is Kafka Streams': the start of a window of
/// known length, or the end and the start of a session, in eight bytes each behind the key.
fn take_window<'k>(plan: &Plan, key: Option<&'k [u8]>) -> Result<Windowed<'k>, String> {
    let take = |key: Option<&'k [u8]>| match key.and_then(|key| key.split_last_chunk()) {
        Some((inner, time)) => Ok((Some(inner), i64::from_be_bytes(*time))),
        None => Err(format!(
            "the key has no window: it is shorter than {} bytes",
            if plan.session { 16 } else { 8 }
        )),
    };
    if plan.session {
        let (rest, start) = take(key)?;
        let (rest, end) = take(rest)?;
        return Ok((rest, (start, end)));
    }
    let Some(size_ms) = plan.window_ms else { return Ok((key, (0, 0))) };
    let (rest, start) = take(key)?;
    Ok((rest, (start, start.saturating_add(size_ms))))
}

/// The value of a column over headers.
fn header_value(header: &Header, record: &Record) -> Datum<'static> {
    let bytes =
        |value: Option<&Bytes>| value.map_or(Datum::Null, |value| Datum::Bytes(value.to_vec().into()));
    match header {
        Header::All => {
            let all = record.headers.iter().map(|header| {
                let key = Datum::Varchar(header.name.to_string().into());
                Datum::Struct([key, bytes(header.value.as_ref())].into())
            });
            Datum::Array(all.collect())
        }
        Header::Named(name) => {
            let last = record.headers.iter().rev().find(|header| *header.name == **name);
            bytes(last.and_then(|header| header.value.as_ref()))
        }
    }
}

/// The rows' times out of a column; a row without one is refused (in a table, a deleted one keeps its record's).
fn event_times(
    event_time: &EventTime,
    column: &Column,
    batch: &Batch,
    refused: &mut [bool],
    faults: &mut Vec<RowFault>,
) -> arrow_buffer::ScalarBuffer<i64> {
    let mut out = batch.timestamps.to_vec();
    let mut wrong = std::collections::BTreeMap::new();
    let times = event_time.times(column, batch, &mut |row, cause| drop(wrong.insert(row, cause)));
    for (row, (time, found)) in out.iter_mut().zip(times).enumerate() {
        if let Some(found) = found.filter(|found| *found >= 0) {
            *time = found;
        } else if !batch.is_deleted(row) && !refused[row] {
            refused[row] = true;
            let why =
                wrong.remove(&row).unwrap_or_else(|| "its TIMESTAMP column is NULL or negative".to_owned());
            let message = format!("the row has no time: {why}");
            faults.push(RowFault { offset: batch.offsets[row], message });
        }
    }
    out.into()
}
