//! What a task reads: one partition of every topic of its stage, brought into one order.
//!
//! Records of one partition stay in their order. Between partitions the earlier time goes first, a table's row before a
//! stream's of the same time. What stood there when the task was opened is waited for, so that replay gives the order that
//! the times say; what arrives later is taken as it comes, without waiting. Where a query starts for the first time, the
//! tables that streams are joined with are read to their end first: a stream's row finds what the table holds now.

use super::feed::{Chunk, Feed, Feeds};
use super::forget;
use super::running::QueryMetrics;
use super::stage::Stage;
use super::union::Profile;
use crate::batch::Batch;
use crate::limits::BATCH_ROWS_MAX;
use crate::plan::query_plan::Scan;
use crate::{RelationKind, SqlError};
use futures_util::future::select_all;
use millstream_bus::{Bus, BusError, CommittedOffset, ReceivedRecord, StartOffset, TopicPartition};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// How long an idle task waits before it looks whether it is still wanted.
const WAIT: Duration = Duration::from_millis(500);

/// Some records of one input, in offset order.
#[derive(Debug)]
pub(super) struct Slice {
    /// Which of the stage's inputs.
    pub(super) input: usize,
    chunk: Arc<Chunk>,
    from: usize,
    to: usize,
    profile: Option<Profile>,
}

impl Slice {
    pub(super) fn records(&self) -> &[ReceivedRecord] {
        self.chunk.records.get(self.from..self.to).unwrap_or_default()
    }

    /// The rows as `plan` wants them, where several tasks decode together.
    pub(super) fn rows(&self, plan: &Scan, partition: i32, now_ms: i64) -> Option<Batch> {
        self.chunk.rows(plan, self.profile.as_ref(), (self.from, self.to), partition, now_ms)
    }
}

/// The inputs of one task.
#[derive(Debug)]
pub(super) struct Inputs {
    sources: Vec<Source>,
    /// Whether the tables are being read before anything else.
    tables_first: bool,
}

#[derive(Debug)]
struct Source {
    kind: RelationKind,
    /// Whether the topic is the query's own and is emptied behind the reading.
    internal: bool,
    feed: Feed,
    /// What was read, each with the place of its next record.
    queue: VecDeque<(Arc<Chunk>, usize)>,
    /// The end of the partition when the task was opened.
    end_at_open: i64,
    /// Up to here the query's own topic was emptied.
    forgotten: i64,
}

impl Source {
    fn at(&self) -> &TopicPartition {
        self.feed.at()
    }

    /// The record that comes next, of those that were read.
    fn head(&self) -> Option<&ReceivedRecord> {
        self.queue.front().and_then(|(chunk, place)| chunk.records.get(*place))
    }

    /// Where the task continues once everything that it took is committed.
    fn position(&self) -> i64 {
        self.head().map_or(self.feed.next, |record| record.offset)
    }

    /// Whether something that was there at the opening has not been given yet.
    fn is_behind(&self) -> bool {
        self.feed.next < self.end_at_open
    }

    /// Takes up what was read from `from` on.
    fn take(&mut self, chunk: Arc<Chunk>, from: i64) {
        let place = chunk.records.partition_point(|record| record.offset < from);
        if place < chunk.records.len() {
            self.queue.push_back((chunk, place));
        }
    }
}

impl Inputs {
    /// Goes to the committed offsets of `group`, or to the beginning.
    pub(super) async fn open(
        bus: &Arc<dyn Bus>,
        feeds: &Feeds,
        stage: &Stage,
        partition: i32,
        group: &str,
    ) -> Result<Self, SqlError> {
        let places: Vec<_> =
            stage.inputs.iter().map(|scan| TopicPartition::new(scan.topic.clone(), partition)).collect();
        let committed = bus.committed(group, &places).await;
        let committed = committed.map_err(SqlError::bus(format!("reading the offsets of `{group}`")))?;
        let committed: Vec<_> = committed.into_iter().map(forget::valid).collect();
        let mut sources = Vec::new();
        let first_start = committed.iter().all(Option::is_none);
        for ((scan, at), committed) in stage.inputs.iter().zip(places).zip(committed) {
            let start = committed.map_or(StartOffset::Earliest, |at| StartOffset::Offset(at.offset));
            let feed = feeds.open(bus, &at, start, scan).await;
            let feed = feed.map_err(SqlError::bus(format!("reading `{at}`")))?;
            let range = bus.offsets(&at).await.map_err(SqlError::bus(format!("looking at `{at}`")))?;
            sources.push(Source {
                kind: scan.kind,
                internal: scan.internal,
                forgotten: feed.next,
                feed,
                queue: VecDeque::new(),
                end_at_open: range.stable,
            });
        }
        let has_stream = sources.iter().any(|source| source.kind == RelationKind::Stream);
        Ok(Self { sources, tables_first: first_start && has_stream })
    }

    /// The partition of an input.
    pub(super) fn at(&self, input: usize) -> &TopicPartition {
        self.sources[input].at()
    }

    /// The records that come next, at most a micro-batch of them, one by one up to the offsets of `careful_until`. Waits
    /// while there is nothing, and gives nothing then. Whoever cancels it drops the inputs.
    pub(super) async fn next(
        &mut self,
        careful_until: &BTreeMap<usize, i64>,
        query: &str,
        metrics: &QueryMetrics,
    ) -> Result<Vec<Slice>, SqlError> {
        self.next_within(WAIT, careful_until, query, metrics).await
    }

    /// [`Inputs::next`] without waiting: what is there already. Nothing while records are to be run one by one.
    pub(super) async fn ready(
        &mut self,
        careful_until: &BTreeMap<usize, i64>,
        query: &str,
        metrics: &QueryMetrics,
    ) -> Result<Vec<Slice>, SqlError> {
        if self.rows_max(careful_until) < BATCH_ROWS_MAX {
            return Ok(Vec::new());
        }
        self.next_within(Duration::ZERO, careful_until, query, metrics).await
    }

    async fn next_within(
        &mut self,
        wait: Duration,
        careful_until: &BTreeMap<usize, i64>,
        query: &str,
        metrics: &QueryMetrics,
    ) -> Result<Vec<Slice>, SqlError> {
        if self.tables_first {
            let table = self.sources.iter().position(|s| s.kind == RelationKind::Table && s.is_behind());
            match table {
                None => self.tables_first = false,
                Some(input) => {
                    self.fill(&[input], wait, query, metrics).await?;
                    let max = self.rows_max(careful_until);
                    return Ok(self.take_run(input, None, max).into_iter().collect());
                }
            }
        }
        let behind = |source: &Source| source.queue.is_empty() && source.is_behind();
        while self.sources.len() > 1 {
            let Some(input) = self.sources.iter().position(behind) else { break };
            if wait.is_zero() {
                return Ok(Vec::new());
            }
            self.fill(&[input], wait, query, metrics).await?;
        }
        let empty: Vec<usize> =
            (0..self.sources.len()).filter(|i| self.sources[*i].queue.is_empty()).collect();
        let all_empty = empty.len() == self.sources.len();
        if !empty.is_empty() {
            let wait = if all_empty { wait } else { Duration::ZERO };
            self.fill(&empty, wait, query, metrics).await?;
        }
        Ok(self.merged(self.rows_max(careful_until)))
    }

    fn rows_max(&self, careful_until: &BTreeMap<usize, i64>) -> usize {
        let suspect = |(input, source): (usize, &Source)| {
            careful_until.get(&input).is_some_and(|until| source.position() < *until)
        };
        if self.sources.iter().enumerate().any(suspect) { 1 } else { BATCH_ROWS_MAX }
    }

    /// Reads some inputs until one of them gives something, or the time is over.
    async fn fill(
        &mut self,
        inputs: &[usize],
        wait_max: Duration,
        query: &str,
        metrics: &QueryMetrics,
    ) -> Result<(), SqlError> {
        let asked = self.sources.iter_mut().enumerate().filter(|(input, _)| inputs.contains(input));
        for (input, polled) in poll(asked.collect(), wait_max).await {
            match polled {
                Ok((Some(chunk), from)) => self.sources[input].take(chunk, from),
                Ok((None, _)) => {}
                Err(error) => self.step_over(input, error, query, metrics)?,
            }
        }
        Ok(())
    }

    /// Retention was faster, or the topic was made anew: what is gone is gone, and said.
    fn step_over(
        &mut self,
        input: usize,
        error: BusError,
        query: &str,
        metrics: &QueryMetrics,
    ) -> Result<(), SqlError> {
        let source = &mut self.sources[input];
        let at = source.at().clone();
        let Some((_, offset)) = error.next_readable() else {
            return Err(SqlError::bus(format!("reading `{at}`"))(error));
        };
        tracing::warn!(query, %at, from = source.feed.next, to = offset, "records are not there any more");
        metrics.errors.increment();
        source.feed.seek(offset);
        source.end_at_open = source.end_at_open.min(offset);
        Ok(())
    }

    /// What stands in the queues, in order, up to a micro-batch.
    fn merged(&mut self, rows_max: usize) -> Vec<Slice> {
        let mut slices: Vec<Slice> = Vec::new();
        let mut left = rows_max;
        while left > 0 {
            let Some((input, _)) = self.first(None) else { break };
            // An input that is behind may still have something earlier than the others.
            let waits = |source: &Source| source.queue.is_empty() && source.is_behind();
            if self.sources.len() > 1 && self.sources.iter().any(waits) {
                break;
            }
            let until = self.first(Some(input)).map(|(other, time)| (time, other));
            let Some(slice) = self.take_run(input, until, left) else { break };
            left -= slice.to - slice.from;
            match slices.last_mut() {
                Some(last) if Arc::ptr_eq(&last.chunk, &slice.chunk) && last.to == slice.from => {
                    last.to = slice.to;
                }
                _ => slices.push(slice),
            }
        }
        slices
    }

    /// The input whose next record is the earliest, and its time; `but` is left out.
    fn first(&self, but: Option<usize>) -> Option<(usize, i64)> {
        let heads = self.sources.iter().enumerate().filter(|(input, _)| Some(*input) != but);
        let heads = heads.filter_map(|(input, source)| {
            Some((source.head()?.record.timestamp.0, source.kind == RelationKind::Stream, input))
        });
        heads.min().map(|(time, _, input)| (input, time))
    }

    /// Records of one input up to the next one of another, at least one where there is any.
    fn take_run(&mut self, input: usize, until: Option<(i64, usize)>, max: usize) -> Option<Slice> {
        let rank = |input: usize| (self.sources[input].kind == RelationKind::Stream, input);
        let tie_goes_first = until.is_none_or(|(_, other)| rank(input) < rank(other));
        let own =
            |time: i64| until.is_none_or(|(until, _)| time < until || (time == until && tie_goes_first));
        let queue = &mut self.sources[input].queue;
        let (chunk, from) = queue.pop_front()?;
        let rest = chunk.records.get(from..).unwrap_or_default();
        let count = rest.iter().take(max).take_while(|record| own(record.record.timestamp.0)).count().max(1);
        let to = (from + count).min(chunk.records.len());
        if to < chunk.records.len() {
            queue.push_front((chunk.clone(), to));
        }
        let profile = self.sources[input].feed.profile.clone();
        Some(Slice { input, chunk, from, to, profile })
    }

    /// Where each input continues once everything that was taken is committed.
    pub(super) fn positions(&self) -> Vec<(TopicPartition, CommittedOffset)> {
        self.sources.iter().map(|s| (s.at().clone(), CommittedOffset::new(s.position()))).collect()
    }

    /// How many records are still to be read.
    pub(super) async fn lag(&mut self, bus: &dyn Bus) -> Result<i64, SqlError> {
        let mut lag: i64 = 0;
        for (at, committed) in self.positions() {
            let range = bus.offsets(&at).await.map_err(SqlError::bus(format!("looking at `{at}`")))?;
            lag = lag.saturating_add((range.stable - committed.offset).max(0));
        }
        Ok(lag)
    }

    /// Deletes what was read and committed from the query's own topics: nobody else reads them, and they would grow for
    /// ever.
    pub(super) async fn forget(&mut self, bus: &dyn Bus) -> Result<(), SqlError> {
        for source in self.sources.iter_mut().filter(|source| source.internal) {
            let position = source.position();
            if position > source.forgotten {
                source.forgotten = position;
                let deleted = bus.delete_records(source.at(), position).await;
                deleted.map_err(SqlError::bus(format!("deleting what was read from `{}`", source.at())))?;
            }
        }
        Ok(())
    }
}

/// What a poll gave, and from which offset on.
type Polled = (usize, Result<(Option<Arc<Chunk>>, i64), BusError>);

/// Polls until one gives something; all of them where nobody waits.
async fn poll(sources: Vec<(usize, &mut Source)>, wait_max: Duration) -> Vec<Polled> {
    let mut polls: Vec<_> = sources
        .into_iter()
        .map(|(input, source)| {
            Box::pin(async move {
                let from = source.feed.next;
                (input, source.feed.poll(wait_max).await.map(|chunk| (chunk, from)))
            })
        })
        .collect();
    let mut results = Vec::new();
    while !polls.is_empty() {
        let (polled, _, rest) = select_all(polls).await;
        let gave = !matches!(&polled, (_, Ok((None, _))));
        results.push(polled);
        if gave && !wait_max.is_zero() {
            // The others are asked again when it is their turn: a poll that is dropped loses nothing.
            break;
        }
        polls = rest;
    }
    results
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_bus::memory::MemoryBus;
    use millstream_bus::{Acks, Record, TopicSpec};
    use millstream_model::Timestamp;
    use proptest::prelude::*;

    fn scan(topic: &str, kind: RelationKind) -> Scan {
        let mut catalog = crate::Catalog::new();
        catalog.declare_stream("S", topic, "K", &[]);
        let (planned, _) = crate::plan::plan_all(&mut catalog, "SELECT * FROM S EMIT CHANGES;");
        let crate::plan::Action::Push(plan) = &planned[0].action else { panic!("a push query") };
        let mut scan = plan.scans().next().unwrap().clone();
        scan.kind = kind;
        scan
    }

    async fn inputs(kinds: &[RelationKind], times: &[Vec<i64>], first_start: bool) -> Inputs {
        let bus: Arc<dyn Bus> = MemoryBus::new();
        let mut sources = Vec::new();
        for (index, (kind, times)) in kinds.iter().zip(times).enumerate() {
            let at = TopicPartition::new(format!("t{index}"), 0);
            bus.create_topic(&TopicSpec::new(&*at.topic, 1)).await.unwrap();
            let records = times.iter().map(|time| Record::new(None, None, Timestamp(*time)));
            let records: Vec<_> = records.collect();
            if !records.is_empty() {
                bus.append(&at, records, Acks::All).await.unwrap();
            }
            let plan = scan(&at.topic, *kind);
            sources.push(Source {
                kind: *kind,
                internal: false,
                feed: Feeds::default().open(&bus, &at, StartOffset::Earliest, &plan).await.unwrap(),
                queue: VecDeque::new(),
                end_at_open: i64::try_from(times.len()).unwrap(),
                forgotten: 0,
            });
        }
        Inputs { sources, tables_first: first_start }
    }

    async fn drain(mut inputs: Inputs, count: usize) -> Vec<(usize, i64, i64)> {
        let metrics = QueryMetrics::default();
        let mut all = Vec::new();
        while all.len() < count {
            for slice in inputs.next(&BTreeMap::new(), "q", &metrics).await.unwrap() {
                all.extend(slice.records().iter().map(|r| (slice.input, r.record.timestamp.0, r.offset)));
            }
        }
        let behind = inputs.positions().iter().map(|(_, at)| at.offset).sum::<i64>();
        assert_eq!(usize::try_from(behind).unwrap(), count);
        all
    }

    #[tokio::test(start_paused = true)]
    async fn the_earlier_time_goes_first_and_a_table_before_a_stream() {
        use RelationKind::{Stream, Table};
        let made = inputs(&[Stream, Table], &[vec![1, 5, 5], vec![0, 5, 9]], false).await;
        let found: Vec<_> = drain(made, 6).await.into_iter().map(|(input, time, _)| (input, time)).collect();
        assert_eq!(found, [(1, 0), (0, 1), (1, 5), (0, 5), (0, 5), (1, 9)]);
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_first_start_tables_are_read_to_their_end_first() {
        use RelationKind::{Stream, Table};
        let made = inputs(&[Stream, Table], &[vec![1, 2], vec![7, 8, 9]], true).await;
        let found: Vec<_> = drain(made, 5).await.into_iter().map(|(input, time, _)| (input, time)).collect();
        assert_eq!(found, [(1, 7), (1, 8), (1, 9), (0, 1), (0, 2)]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_each_partition_keeps_its_order(
            times in proptest::collection::vec(proptest::collection::vec(0i64..20, 0..30), 1..4),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap();
            let kinds = vec![RelationKind::Stream; times.len()];
            let count = times.iter().map(Vec::len).sum();
            let found = runtime.block_on(async { drain(inputs(&kinds, &times, false).await, count).await });
            for (input, times) in times.iter().enumerate() {
                let own: Vec<_> = found.iter().filter(|f| f.0 == input).map(|f| f.1).collect();
                prop_assert_eq!(&own, times);
            }
            // Where each partition is in order, all of them are.
            if times.iter().all(|times| times.is_sorted()) {
                prop_assert!(found.is_sorted_by_key(|(_, time, _)| *time));
            }
        }
    }
}
