//! One partition of one stage: the only async code around a graph of operators.
//!
//! Read what has arrived, run the graph, then in one transaction: append its output, its changed state and what it
//! could not use, commit the inputs' offsets. Whatever goes wrong, the task begins again from its last commit.

use super::feed::Feeds;
use super::inputs::{Inputs, Slice};
use super::poison;
use super::restore::{Pending, records, restore, topic as changelog};
use super::running::{QueryMetrics, TaskStatus};
use super::schemas::fetch_schemas;
use super::stage::{Stage, prefix};
use super::topics::ensure;
use crate::limits::{
    APPEND_BYTES_MAX, CAUSE_CHARS_MAX, COMMIT_GATHER_MS_MAX, COMMIT_ROWS_MAX, IDLE_LAG_INTERVAL_MS,
    LAG_INTERVAL_MS, RECORD_FRAME_BYTES, RESULT_BYTES_MAX,
};
use crate::operator::{Encoded, Graph, Processed, RowFault};
use crate::plan::query_plan::NullKey;
use crate::state::Changes;
use crate::{ERROR_TOPIC, SqlError};
use millstream_bus::{Bus, CommittedOffset, Record, TopicPartition, TopicSpec, TransactionalProducer};
use millstream_model::{Clock, Timestamp};
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
    pub(super) feeds: Arc<Feeds>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) query_id: Arc<str>,
    pub(super) stage: Arc<Stage>,
    pub(super) partition: i32,
    pub(super) metrics: Arc<QueryMetrics>,
    pub(super) status: Arc<TaskStatus>,
}

/// Records around which the task must be careful, because code panicked on one of them.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    /// By input: up to this offset, records go one by one.
    careful_until: BTreeMap<usize, i64>,
    /// These (input and offset) are not run any more.
    skip: BTreeSet<(usize, i64)>,
}

/// A task with its state, between two commits.
struct Attempt<'t> {
    task: &'t Task,
    graph: Graph,
    inputs: Inputs,
    producer: Box<dyn TransactionalProducer>,
    group: String,
    sink: TopicPartitions,
    pending: Pending,
    /// The offsets of the last commit.
    committed: Vec<(TopicPartition, CommittedOffset)>,
    /// How long the last commit took.
    commit_took: Duration,
    lag_checked: Option<Instant>,
    idle_checked: Option<Instant>,
}

/// A topic and how many partitions it has.
struct TopicPartitions {
    topic: Arc<str>,
    partitions: i32,
}

/// What one commit writes beside the state.
#[derive(Default)]
struct Made {
    encoded: Vec<Encoded>,
    errors: Vec<Record>,
    late: u64,
    records_in: usize,
}

impl Task {
    /// Runs until `stop` says so or something fails.
    pub(super) async fn run(
        &self,
        suspects: &mut Suspects,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), SqlError> {
        self.status.is_about("opening its output and loading its state");
        let mut attempt = self.open().await?;
        *self.status.cause.lock() = None;
        self.status.is_about("reading");
        loop {
            let next = attempt.inputs.next(&suspects.careful_until, &self.query_id, &self.metrics);
            let slices = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
                slices = next => slices?,
            };
            attempt.take(&slices, suspects).await?;
        }
    }

    /// Opens the producer (which fences an older instance of this task), loads the state, and goes to the last commit.
    async fn open(&self) -> Result<Attempt<'_>, SqlError> {
        let bus = &*self.bus;
        let group = self.stage.consumer_group(&self.query_id);
        let sink_partitions = ensure(bus, &self.stage.sink).await?;
        ensure(bus, &TopicSpec::new(ERROR_TOPIC, 1)).await?;
        let id = format!("{}-{}-{}", prefix(&self.query_id), self.stage.index, self.partition);
        let producer =
            bus.transactional(&id).await.map_err(SqlError::bus(format!("opening the producer `{id}`")))?;
        let mut graph = Graph::new(&self.stage.inputs, &self.stage.nodes);
        let pending = restore(bus, &self.query_id, &mut graph, self.partition, self.stage.partitions).await?;
        let inputs = Inputs::open(&self.bus, &self.feeds, &self.stage, self.partition, &group).await?;
        let sink =
            TopicPartitions { topic: self.stage.sink.name.as_str().into(), partitions: sink_partitions };
        let committed = inputs.positions();
        Ok(Attempt {
            task: self,
            graph,
            inputs,
            producer,
            group,
            sink,
            pending,
            committed,
            commit_took: Duration::ZERO,
            lag_checked: None,
            idle_checked: None,
        })
    }
}

impl Attempt<'_> {
    /// Runs what has arrived and commits.
    async fn take(&mut self, slices: &[Slice], suspects: &mut Suspects) -> Result<(), SqlError> {
        if slices.is_empty() && self.inputs.positions() == self.committed {
            return self.idle().await;
        }
        self.idle_checked = None;
        self.task.status.is_about("committing");
        let now = self.task.clock.now();
        let mut made = Made::default();
        self.slices(slices, now, suspects, &mut made).await?;
        self.gather(now, suspects, &mut made).await?;
        let positions = self.inputs.positions();
        let began = Instant::now();
        self.commit(made, &positions, now).await?;
        self.commit_took = began.elapsed();
        self.committed = positions;
        self.measure_lag().await?;
        self.task.status.is_about("reading");
        Ok(())
    }

    /// Runs more of what is there already, for as long as a commit takes: where commits are slow, a backlog shares them.
    async fn gather(
        &mut self,
        now: Timestamp,
        suspects: &mut Suspects,
        made: &mut Made,
    ) -> Result<(), SqlError> {
        let until = Instant::now() + self.commit_took.min(Duration::from_millis(COMMIT_GATHER_MS_MAX));
        while made.records_in < COMMIT_ROWS_MAX && Instant::now() < until {
            let task = self.task;
            let more = self.inputs.ready(&suspects.careful_until, &task.query_id, &task.metrics).await?;
            if more.is_empty() {
                break;
            }
            self.slices(&more, now, suspects, made).await?;
        }
        Ok(())
    }

    /// Nothing came. Whether there is nothing is asked now and then: a reader that gives nothing may be cut off.
    async fn idle(&mut self) -> Result<(), SqlError> {
        let now = Instant::now();
        let interval = Duration::from_millis(IDLE_LAG_INTERVAL_MS);
        if self.idle_checked.is_none_or(|last| now.duration_since(last) >= interval) {
            self.idle_checked = Some(now);
            let lag = self.inputs.lag(&*self.task.bus).await?;
            self.task.status.lag.set(lag);
            if lag == 0 {
                self.task.status.is_about("reading");
            }
        }
        self.inputs.forget(&*self.task.bus).await
    }

    async fn slices(
        &mut self,
        slices: &[Slice],
        now: Timestamp,
        suspects: &mut Suspects,
        made: &mut Made,
    ) -> Result<(), SqlError> {
        for slice in slices {
            if let Some(scan) = self.task.stage.inputs.get(slice.input) {
                fetch_schemas(scan, slice.records()).await?;
            }
            self.slice(slice, now, suspects, made)?;
        }
        Ok(())
    }

    /// Runs some records of one input.
    fn slice(
        &mut self,
        slice: &Slice,
        now: Timestamp,
        suspects: &mut Suspects,
        made: &mut Made,
    ) -> Result<(), SqlError> {
        let task = self.task;
        let processed = match slice.records() {
            [record] if suspects.skip.contains(&(slice.input, record.offset)) => {
                let message = "the query panicked on this record; it was left out".to_owned();
                let faults = vec![RowFault { offset: record.offset, message }];
                Processed { faults, ..Processed::default() }
            }
            _ => self.run(slice, now, suspects)?,
        };
        let mut faults = processed.faults;
        for batch in &processed.batches {
            task.stage.encoder.encode(batch, self.sink.partitions, &mut made.encoded, &mut faults);
            missing_keys(&task.stage, batch, &mut faults);
        }
        refuse_too_long(&mut made.encoded, &mut faults);
        let at = self.inputs.at(slice.input);
        let error = |fault: &RowFault| poison::record(&task.query_id, at, fault, slice.records(), now);
        made.errors.extend(faults.iter().map(error));
        made.late += processed.late;
        made.records_in += slice.records().len();
        Ok(())
    }

    fn run(&mut self, slice: &Slice, now: Timestamp, suspects: &mut Suspects) -> Result<Processed, SqlError> {
        let (graph, partition) = (&mut self.graph, self.task.partition);
        let scan = self.task.stage.inputs.get(slice.input);
        let decoded = scan.and_then(|scan| slice.rows(scan, partition, now.0));
        // After a panic the graph is thrown away with the attempt, so that nobody sees what is half done in it.
        let run = || match decoded {
            Some(rows) => graph.run_rows(slice.input, rows),
            None => graph.run(slice.input, slice.records(), partition, now.0),
        };
        catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
            if let [record] = slice.records() {
                suspects.skip.insert((slice.input, record.offset));
            }
            let until = slice.records().last().map_or(0, |record| record.offset.saturating_add(1));
            suspects.careful_until.insert(slice.input, until);
            Err(SqlError::Panicked(panic_text(&*panic)))
        })
    }

    /// Output, state, errors and the offsets in one transaction.
    async fn commit(
        &mut self,
        made: Made,
        positions: &[(TopicPartition, CommittedOffset)],
        now: Timestamp,
    ) -> Result<(), SqlError> {
        let task = self.task;
        let written = u64::try_from(made.encoded.len()).unwrap_or(0);
        let mut appends: BTreeMap<TopicPartition, Vec<Record>> = BTreeMap::new();
        for Encoded { partition, record, .. } in made.encoded {
            let to = TopicPartition::new(self.sink.topic.clone(), partition);
            appends.entry(to).or_default().push(record);
        }
        for (at, records) in self.pending.drain(..) {
            appends.entry(at).or_default().extend(records);
        }
        for (name, operator) in self.graph.stateful() {
            let mut changes = Changes::new();
            operator.save(&mut changes);
            if !changes.is_empty() {
                let at = TopicPartition::new(changelog(&task.query_id, &name), task.partition);
                appends.entry(at).or_default().extend(records(changes, now));
            }
        }
        task.metrics.errors.add(u64::try_from(made.errors.len()).unwrap_or(0));
        if !made.errors.is_empty() {
            appends.insert(TopicPartition::new(ERROR_TOPIC, 0), made.errors);
        }
        task.metrics.late.add(made.late);
        let context = || {
            let places: Vec<_> =
                positions.iter().map(|(at, to)| format!("`{at}` up to {}", to.offset)).collect();
            format!("committing what came of {}", places.join(", "))
        };
        let mut transaction = self.producer.begin().await.map_err(SqlError::bus(context()))?;
        for (to, records) in appends {
            for piece in pieces(records) {
                transaction.append(&to, piece).await.map_err(SqlError::bus(format!("writing to `{to}`")))?;
            }
        }
        transaction.commit_offsets(&self.group, positions).await.map_err(SqlError::bus(context()))?;
        transaction.commit().await.map_err(SqlError::bus(context()))?;
        task.metrics.records_in.add(u64::try_from(made.records_in).unwrap_or(0));
        task.metrics.records_out.add(written);
        Ok(())
    }

    async fn measure_lag(&mut self) -> Result<(), SqlError> {
        let now = Instant::now();
        let interval = Duration::from_millis(LAG_INTERVAL_MS);
        if self.lag_checked.is_some_and(|last| now.duration_since(last) < interval) {
            return Ok(());
        }
        self.lag_checked = Some(now);
        let lag = self.inputs.lag(&*self.task.bus).await?;
        self.task.status.lag.set(lag);
        self.inputs.forget(&*self.task.bus).await
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
