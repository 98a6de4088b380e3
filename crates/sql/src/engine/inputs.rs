//! What a task reads: one partition of every topic of its stage, brought into one order.
//!
//! Records of one partition stay in their order. Between partitions the earlier time goes first, a table's row before a
//! stream's of the same time. What stood there when the task was opened is waited for, so that replay gives the order that
//! the times say; what arrives later is taken as it comes, without waiting. Where a query starts for the first time, the
//! tables that streams are joined with are read to their end first: a stream's row finds what the table holds now.

use super::running::QueryMetrics;
use super::stage::Stage;
use crate::limits::{BATCH_ROWS_MAX, INPUT_QUEUE_BYTES};
use crate::{RelationKind, SqlError};
use futures_util::future::select_all;
use millstream_bus::{
    Bus, BusError, CommittedOffset, FetchLimit, Fetched, Isolation, Position, Reader, ReceivedRecord,
    StartOffset, TopicPartition,
};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Some records of one input, in offset order.
#[derive(Debug)]
pub(super) struct Slice {
    /// Which of the stage's inputs.
    pub(super) input: usize,
    pub(super) records: Vec<ReceivedRecord>,
}

/// The inputs of one task.
pub(super) struct Inputs {
    sources: Vec<Source>,
    /// Whether the tables are being read before anything else.
    tables_first: bool,
}

struct Source {
    at: TopicPartition,
    kind: RelationKind,
    /// Whether the topic is the query's own and is emptied behind the reading.
    internal: bool,
    reader: Box<dyn Reader>,
    queue: VecDeque<ReceivedRecord>,
    /// The offset behind what the reader has given.
    next: i64,
    /// The end of the partition when the task was opened.
    end_at_open: i64,
    /// Up to here the query's own topic was emptied.
    forgotten: i64,
}

impl Source {
    /// Where the task continues once everything that it took is committed.
    fn position(&self) -> i64 {
        self.queue.front().map_or(self.next, |record| record.offset)
    }

    /// Whether something that was there at the opening has not been given yet.
    fn is_behind(&self) -> bool {
        self.next < self.end_at_open
    }

    fn take(&mut self, fetched: Vec<Fetched>) {
        for fetched in fetched {
            self.next = fetched.next_offset;
            self.queue.extend(fetched.records);
        }
    }
}

impl Inputs {
    /// Goes to the committed offsets of `group`, or to the beginning.
    pub(super) async fn open(
        bus: &dyn Bus,
        stage: &Stage,
        partition: i32,
        group: &str,
    ) -> Result<Self, SqlError> {
        let places: Vec<_> =
            stage.inputs.iter().map(|scan| TopicPartition::new(scan.topic.clone(), partition)).collect();
        let committed = bus.committed(group, &places).await;
        let committed = committed.map_err(SqlError::bus(format!("reading the offsets of `{group}`")))?;
        let mut sources = Vec::new();
        let first_start = committed.iter().all(Option::is_none);
        for ((scan, at), committed) in stage.inputs.iter().zip(places).zip(committed) {
            let start = committed.map_or(StartOffset::Earliest, |at| StartOffset::Offset(at.offset));
            let reader = reader(bus, &at, start).await?;
            let next = reader.positions().first().map_or(0, |(_, position)| *position);
            let range = bus.offsets(&at).await.map_err(SqlError::bus(format!("looking at `{at}`")))?;
            sources.push(Source {
                at,
                kind: scan.kind,
                internal: scan.internal,
                reader,
                queue: VecDeque::new(),
                next,
                end_at_open: range.stable,
                forgotten: next,
            });
        }
        let has_stream = sources.iter().any(|source| source.kind == RelationKind::Stream);
        Ok(Self { sources, tables_first: first_start && has_stream })
    }

    /// The partition of an input.
    pub(super) fn at(&self, input: usize) -> &TopicPartition {
        &self.sources[input].at
    }

    /// The records that come next, at most a micro-batch of them, one by one up to the offsets of `careful_until`. Waits
    /// while there is nothing, and gives nothing then. Whoever cancels it drops the inputs.
    pub(super) async fn next(
        &mut self,
        careful_until: &BTreeMap<usize, i64>,
        query: &str,
        metrics: &QueryMetrics,
    ) -> Result<Vec<Slice>, SqlError> {
        if self.tables_first {
            let table = self.sources.iter().position(|s| s.kind == RelationKind::Table && s.is_behind());
            match table {
                None => self.tables_first = false,
                Some(input) => {
                    self.fill(&[input], FetchLimit::default().wait_max, query, metrics).await?;
                    let max = self.rows_max(careful_until);
                    return Ok(self.take_run(input, None, max).into_iter().collect());
                }
            }
        }
        let behind = |source: &Source| source.queue.is_empty() && source.is_behind();
        while self.sources.len() > 1 {
            let Some(input) = self.sources.iter().position(behind) else { break };
            self.fill(&[input], FetchLimit::default().wait_max, query, metrics).await?;
        }
        let empty: Vec<usize> =
            (0..self.sources.len()).filter(|i| self.sources[*i].queue.is_empty()).collect();
        let all_empty = empty.len() == self.sources.len();
        if !empty.is_empty() {
            let wait = if all_empty { FetchLimit::default().wait_max } else { Duration::ZERO };
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
        let limit = FetchLimit { records_max: BATCH_ROWS_MAX, wait_max, bytes_max: INPUT_QUEUE_BYTES };
        let asked = self.sources.iter_mut().enumerate().filter(|(input, _)| inputs.contains(input));
        for (input, polled) in poll(asked.collect(), limit).await {
            match polled {
                Ok(fetched) => self.sources[input].take(fetched),
                Err(error) => self.step_over(input, error, query, metrics).await?,
            }
        }
        Ok(())
    }

    /// Retention was faster, or the topic was made anew: what is gone is gone, and said.
    async fn step_over(
        &mut self,
        input: usize,
        error: BusError,
        query: &str,
        metrics: &QueryMetrics,
    ) -> Result<(), SqlError> {
        let source = &mut self.sources[input];
        let at = source.at.clone();
        let Some((_, offset)) = error.next_readable() else {
            return Err(SqlError::bus(format!("reading `{at}`"))(error));
        };
        tracing::warn!(query, %at, from = source.next, to = offset, "records are not there any more");
        metrics.errors.increment();
        source.reader.seek(&at, offset).await.map_err(SqlError::bus(format!("reading `{at}`")))?;
        source.next = offset;
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
            left -= slice.records.len();
            match slices.last_mut() {
                Some(last) if last.input == input => last.records.extend(slice.records),
                _ => slices.push(slice),
            }
        }
        slices
    }

    /// The input whose next record is the earliest, and its time; `but` is left out.
    fn first(&self, but: Option<usize>) -> Option<(usize, i64)> {
        let heads = self.sources.iter().enumerate().filter(|(input, _)| Some(*input) != but);
        let heads = heads.filter_map(|(input, source)| {
            Some((source.queue.front()?.record.timestamp.0, source.kind == RelationKind::Stream, input))
        });
        heads.min().map(|(time, _, input)| (input, time))
    }

    /// Records of one input up to the next one of another, at least one where there is any.
    fn take_run(&mut self, input: usize, until: Option<(i64, usize)>, max: usize) -> Option<Slice> {
        let rank = |input: usize| (self.sources[input].kind == RelationKind::Stream, input);
        let tie_goes_first = until.is_none_or(|(_, other)| rank(input) < rank(other));
        let queue = &mut self.sources[input].queue;
        let own =
            |time: i64| until.is_none_or(|(until, _)| time < until || (time == until && tie_goes_first));
        let mut count = queue.iter().take(max).take_while(|record| own(record.record.timestamp.0)).count();
        if count == 0 {
            count = usize::from(!queue.is_empty());
        }
        let records: Vec<_> = queue.drain(..count).collect();
        (!records.is_empty()).then_some(Slice { input, records })
    }

    /// Where each input continues once everything that was taken is committed.
    pub(super) fn positions(&self) -> Vec<(TopicPartition, CommittedOffset)> {
        self.sources.iter().map(|s| (s.at.clone(), CommittedOffset::new(s.position()))).collect()
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
                let deleted = bus.delete_records(&source.at, position).await;
                deleted.map_err(SqlError::bus(format!("deleting what was read from `{}`", source.at)))?;
            }
        }
        Ok(())
    }
}

/// Polls until one gives something; all of them where nobody waits.
async fn poll(
    sources: Vec<(usize, &mut Source)>,
    limit: FetchLimit,
) -> Vec<(usize, Result<Vec<Fetched>, BusError>)> {
    let mut polls: Vec<_> = sources
        .into_iter()
        .map(|(input, source)| Box::pin(async move { (input, source.reader.poll(limit).await) }))
        .collect();
    let mut results = Vec::new();
    while !polls.is_empty() {
        let ((input, polled), _, rest) = select_all(polls).await;
        let gave = !matches!(&polled, Ok(fetched) if fetched.is_empty());
        results.push((input, polled));
        if gave && !limit.wait_max.is_zero() {
            // The others are asked again when it is their turn: a poll that is dropped loses nothing.
            break;
        }
        polls = rest;
    }
    results
}

async fn reader(bus: &dyn Bus, at: &TopicPartition, start: StartOffset) -> Result<Box<dyn Reader>, SqlError> {
    let open = |start| bus.reader(vec![Position::new(at.clone(), start)], Isolation::ReadCommitted);
    let reader = match open(start).await {
        // The topic was made anew, or retention was faster.
        Err(BusError::OffsetOutOfRange { .. }) => open(StartOffset::Earliest).await,
        reader => reader,
    };
    reader.map_err(SqlError::bus(format!("reading `{at}`")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_bus::memory::MemoryBus;
    use millstream_bus::{Acks, Record, TopicSpec};
    use millstream_model::Timestamp;
    use proptest::prelude::*;

    async fn inputs(kinds: &[RelationKind], times: &[Vec<i64>], first_start: bool) -> Inputs {
        let bus = MemoryBus::new();
        let mut sources = Vec::new();
        for (index, (kind, times)) in kinds.iter().zip(times).enumerate() {
            let at = TopicPartition::new(format!("t{index}"), 0);
            bus.create_topic(&TopicSpec::new(&*at.topic, 1)).await.unwrap();
            let records = times.iter().map(|time| Record::new(None, None, Timestamp(*time)));
            let records: Vec<_> = records.collect();
            if !records.is_empty() {
                bus.append(&at, records, Acks::All).await.unwrap();
            }
            let reader = reader(&*bus, &at, StartOffset::Earliest).await.unwrap();
            let end_at_open = i64::try_from(times.len()).unwrap();
            sources.push(Source {
                at,
                kind: *kind,
                internal: false,
                reader,
                queue: VecDeque::new(),
                next: 0,
                end_at_open,
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
                all.extend(slice.records.iter().map(|r| (slice.input, r.record.timestamp.0, r.offset)));
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
