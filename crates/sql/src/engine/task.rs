//! One partition of one stage: the only async code around a graph of operators.
//!
//! Read what has arrived, run the graph, then in one transaction: append its output, its changed state and what it
//! could not use, commit the input's offset. Whatever goes wrong, the task begins again from its last commit.

use super::poison;
use super::restore::{Pending, records, restore, topic as changelog};
use super::running::{QueryMetrics, TaskStatus};
use super::stage::{Stage, prefix};
use super::topics::ensure;
use crate::limits::{
    APPEND_BYTES_MAX, BATCH_ROWS_MAX, CAUSE_CHARS_MAX, LAG_INTERVAL_MS, RECORD_FRAME_BYTES, RESULT_BYTES_MAX,
};
use crate::operator::{Encoded, Graph, Processed, RowFault};
use crate::plan::query_plan::NullKey;
use crate::state::Changes;
use crate::{ERROR_TOPIC, SqlError};
use millstream_bus::{
    Bus, BusError, CommittedOffset, FetchLimit, Isolation, Position, Reader, ReceivedRecord, Record,
    StartOffset, TopicPartition, TopicSpec, TransactionalProducer,
};
use millstream_model::Clock;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// What a task is, for as long as its query runs.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) bus: Arc<dyn Bus>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) query_id: Arc<str>,
    pub(super) stage: Arc<Stage>,
    pub(super) source: TopicPartition,
    pub(super) source_partitions: i32,
    pub(super) metrics: Arc<QueryMetrics>,
    pub(super) status: Arc<TaskStatus>,
}

/// Records around which the task must be careful, because code panicked on one of them.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    /// Up to this offset, records go one by one.
    careful_until: i64,
    /// These are not run any more.
    skip: BTreeSet<i64>,
}

/// A task with its state, between two commits.
struct Attempt<'t> {
    task: &'t Task,
    graph: Graph,
    reader: Box<dyn Reader>,
    producer: Box<dyn TransactionalProducer>,
    group: String,
    sink: TopicPartitions,
    pending: Pending,
    position: i64,
    lag_checked: Option<Instant>,
    /// Up to here, a repartition topic was emptied.
    forgotten: i64,
}

/// A topic and how many partitions it has.
struct TopicPartitions {
    topic: Arc<str>,
    partitions: i32,
}

impl Task {
    /// Runs until `stop` says so or something fails.
    pub(super) async fn run(
        &self,
        suspects: &mut Suspects,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), SqlError> {
        let mut attempt = self.open().await?;
        *self.status.cause.lock() = None;
        loop {
            let polled = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
                polled = attempt.poll() => polled?,
            };
            attempt.batch(polled, suspects).await?;
        }
    }

    /// Opens the producer (which fences an older instance of this task), loads the state, and goes to the last commit.
    async fn open(&self) -> Result<Attempt<'_>, SqlError> {
        let bus = &*self.bus;
        let group = prefix(&self.query_id);
        let partition = self.source.partition;
        let sink_partitions = ensure(bus, &self.stage.sink).await?;
        ensure(bus, &TopicSpec::new(ERROR_TOPIC, 1)).await?;
        let id = format!("{group}-{}-{partition}", self.stage.index);
        let producer =
            bus.transactional(&id).await.map_err(SqlError::bus(format!("opening the producer `{id}`")))?;
        let mut graph = Graph::new(&self.stage.inputs, &self.stage.nodes);
        let pending = restore(bus, &self.query_id, &mut graph, partition, self.source_partitions).await?;
        let committed = bus.committed(&group, std::slice::from_ref(&self.source)).await;
        let committed = committed.map_err(SqlError::bus(format!("reading the offsets of `{group}`")))?;
        let start = match committed.into_iter().next().flatten() {
            Some(committed) => StartOffset::Offset(committed.offset),
            None => StartOffset::Earliest,
        };
        let from = vec![Position::new(self.source.clone(), start)];
        let reader = match bus.reader(from, Isolation::ReadCommitted).await {
            // The topic was made anew, or retention was faster.
            Err(BusError::OffsetOutOfRange { .. }) => {
                let from = vec![Position::new(self.source.clone(), StartOffset::Earliest)];
                bus.reader(from, Isolation::ReadCommitted).await
            }
            reader => reader,
        };
        let reader = reader.map_err(SqlError::bus(format!("reading `{}`", self.source)))?;
        let position = reader.positions().first().map_or(0, |(_, position)| *position);
        let sink =
            TopicPartitions { topic: self.stage.sink.name.as_str().into(), partitions: sink_partitions };
        Ok(Attempt {
            task: self,
            graph,
            reader,
            producer,
            group,
            sink,
            pending,
            position,
            lag_checked: None,
            forgotten: position,
        })
    }
}

impl Attempt<'_> {
    /// What has arrived, and where reading continues behind it.
    async fn poll(&mut self) -> Result<(Vec<ReceivedRecord>, i64), SqlError> {
        let limit = FetchLimit { records_max: BATCH_ROWS_MAX, ..FetchLimit::default() };
        let at = self.task.source.clone();
        let skip_to = match self.reader.poll(limit).await {
            Ok(fetched) => {
                let mut records = Vec::new();
                let mut next = self.position;
                for fetched in fetched {
                    next = fetched.next_offset;
                    if records.is_empty() {
                        records = fetched.records;
                    } else {
                        records.extend(fetched.records);
                    }
                }
                return Ok((records, next));
            }
            // Retention was faster, or the topic was made anew: what is gone is gone, and said.
            Err(error) => match error.next_readable() {
                Some((_, offset)) => offset,
                None => return Err(SqlError::bus(format!("reading `{at}`"))(error)),
            },
        };
        tracing::warn!(query = %self.task.query_id, %at, from = self.position, to = skip_to, "records are not there any more");
        self.task.metrics.errors.increment();
        self.reader.seek(&at, skip_to).await.map_err(SqlError::bus(format!("reading `{at}`")))?;
        Ok((Vec::new(), skip_to))
    }

    async fn batch(
        &mut self,
        (records, next): (Vec<ReceivedRecord>, i64),
        suspects: &mut Suspects,
    ) -> Result<(), SqlError> {
        if next == self.position && records.is_empty() {
            self.task.status.lag.set(0);
            return self.forget().await;
        }
        // Retention or a control record may leave a hole; the last piece goes to `next`.
        let mut rest = records.as_slice();
        while !rest.is_empty() {
            let careful = rest[0].offset < suspects.careful_until;
            let size = if careful { 1 } else { rest.len().min(BATCH_ROWS_MAX) };
            let (piece, behind) = rest.split_at(size);
            let end = behind.first().map_or(next, |record| record.offset);
            self.piece(piece, end, suspects).await?;
            rest = behind;
        }
        if records.is_empty() {
            self.piece(&[], next, suspects).await?;
        }
        self.measure_lag().await
    }

    /// Runs some records and commits.
    async fn piece(
        &mut self,
        records: &[ReceivedRecord],
        next: i64,
        suspects: &mut Suspects,
    ) -> Result<(), SqlError> {
        let processed = match records {
            [record] if suspects.skip.contains(&record.offset) => {
                let message = "the query panicked on this record; it was left out".to_owned();
                let faults = vec![RowFault { offset: record.offset, message }];
                Processed { faults, ..Processed::default() }
            }
            records => self.run(records, suspects)?,
        };
        let count = records.len();
        let written = self.commit(processed, records, next).await?;
        self.position = next;
        self.task.metrics.records_in.add(u64::try_from(count).unwrap_or(0));
        self.task.metrics.records_out.add(written);
        Ok(())
    }

    fn run(&mut self, records: &[ReceivedRecord], suspects: &mut Suspects) -> Result<Processed, SqlError> {
        let now = self.task.clock.now();
        let (graph, partition) = (&mut self.graph, self.task.source.partition);
        // After a panic the graph is thrown away with the attempt, so that nobody sees what is half done in it.
        let result = catch_unwind(AssertUnwindSafe(|| graph.run(0, records, partition, now.0)));
        result.unwrap_or_else(|panic| {
            if let [record] = records {
                suspects.skip.insert(record.offset);
            }
            suspects.careful_until = records.last().map_or(0, |record| record.offset + 1);
            Err(SqlError::Panicked(panic_text(&*panic)))
        })
    }

    /// Output, state, errors and the offset in one transaction. Returns how many records the sink got.
    async fn commit(
        &mut self,
        processed: Processed,
        records_in: &[ReceivedRecord],
        next: i64,
    ) -> Result<u64, SqlError> {
        let task = self.task;
        let (mut encoded, mut faults) = (Vec::new(), processed.faults);
        for batch in &processed.batches {
            task.stage.encoder.encode(batch, self.sink.partitions, &mut encoded, &mut faults);
            missing_keys(&task.stage, batch, &mut faults);
        }
        refuse_too_long(&mut encoded, &mut faults);
        let written = encoded.len();
        let mut appends: BTreeMap<TopicPartition, Vec<Record>> = BTreeMap::new();
        for Encoded { partition, record, .. } in encoded {
            let to = TopicPartition::new(self.sink.topic.clone(), partition);
            appends.entry(to).or_default().push(record);
        }
        let now = task.clock.now();
        for (at, records) in self.pending.drain(..) {
            appends.entry(at).or_default().extend(records);
        }
        for (name, operator) in self.graph.stateful() {
            let mut changes = Changes::new();
            operator.save(&mut changes);
            if !changes.is_empty() {
                let at = TopicPartition::new(changelog(&task.query_id, &name), task.source.partition);
                appends.entry(at).or_default().extend(records(changes, now));
            }
        }
        if !faults.is_empty() {
            task.metrics.errors.add(u64::try_from(faults.len()).unwrap_or(0));
            let make = |fault| poison::record(&task.query_id, &task.source, fault, records_in, now);
            appends.insert(TopicPartition::new(ERROR_TOPIC, 0), faults.iter().map(make).collect());
        }
        task.metrics.late.add(processed.late);
        let context = || format!("committing what came of `{}` up to {next}", task.source);
        let mut transaction = self.producer.begin().await.map_err(SqlError::bus(context()))?;
        for (to, records) in appends {
            for piece in pieces(records) {
                transaction.append(&to, piece).await.map_err(SqlError::bus(format!("writing to `{to}`")))?;
            }
        }
        let offsets = [(task.source.clone(), CommittedOffset::new(next))];
        transaction.commit_offsets(&self.group, &offsets).await.map_err(SqlError::bus(context()))?;
        transaction.commit().await.map_err(SqlError::bus(context()))?;
        Ok(u64::try_from(written).unwrap_or(0))
    }

    async fn measure_lag(&mut self) -> Result<(), SqlError> {
        let now = Instant::now();
        let interval = Duration::from_millis(LAG_INTERVAL_MS);
        if self.lag_checked.is_some_and(|last| now.duration_since(last) < interval) {
            return Ok(());
        }
        self.lag_checked = Some(now);
        let at = &self.task.source;
        let range = self.task.bus.offsets(at).await.map_err(SqlError::bus(format!("looking at `{at}`")))?;
        self.task.status.lag.set((range.stable - self.position).max(0));
        self.forget().await
    }

    /// Deletes what was read from a repartition topic: nobody else reads it, and it would grow for ever.
    async fn forget(&mut self) -> Result<(), SqlError> {
        let at = &self.task.source;
        if self.task.stage.index == 0 || self.forgotten == self.position {
            return Ok(());
        }
        self.forgotten = self.position;
        let deleted = self.task.bus.delete_records(at, self.position).await;
        deleted.map_err(SqlError::bus(format!("deleting what was read from `{at}`")))
    }
}

/// Results that no topic takes become errors: tried again they would fail for ever.
fn refuse_too_long(encoded: &mut Vec<Encoded>, faults: &mut Vec<RowFault>) {
    encoded.retain(|row| {
        let bytes = row.record.len_bytes();
        if bytes > RESULT_BYTES_MAX {
            let message = format!("the result has {bytes} bytes, more than {RESULT_BYTES_MAX}");
            faults.push(RowFault { offset: row.offset, message });
        }
        bytes <= RESULT_BYTES_MAX
    });
}

/// Cuts `records` so that no batch grows beyond what an engine takes.
fn pieces(records: Vec<Record>) -> Vec<Vec<Record>> {
    let mut pieces = vec![Vec::new()];
    let mut bytes = 0;
    for record in records {
        let own = record.len_bytes() + RECORD_FRAME_BYTES;
        if bytes > 0 && bytes + own > APPEND_BYTES_MAX {
            pieces.push(Vec::new());
            bytes = 0;
        }
        bytes += own;
        if let Some(last) = pieces.last_mut() {
            last.push(record);
        }
    }
    pieces
}

/// Rows on their way to another partition that have no key: that is said, as the operator behind says it.
fn missing_keys(stage: &Stage, batch: &crate::batch::Batch, faults: &mut Vec<RowFault>) {
    let null_key = stage.encoder.null_key();
    if null_key == NullKey::Stays {
        return;
    }
    for row in 0..batch.rows() {
        let missing = stage.encoder.key_slots().iter().position(|slot| batch.columns[*slot].is_null(row));
        if let Some(column) = missing {
            let message = null_key.message(column + 1);
            faults.push(RowFault { offset: batch.offsets[row], message });
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    text.chars().take(CAUSE_CHARS_MAX).collect()
}
