//! Push queries: rows as they come, to whoever asked. Nothing is saved; a new one begins anew.

use super::schemas::fetch_schemas;
use super::topics::ensure;
use crate::limits::{BATCH_ROWS_MAX, PUSH_QUEUE_ROWS, RESTART_WAIT_MS_MIN};
use crate::operator::Graph;
use crate::plan::query_plan::QueryPlan;
use crate::{Datum, PushQuery, PushRow, RelationKind, SqlError};
use millstream_bus::{
    Bus, BusError, FetchLimit, Fetched, Isolation, Position, Reader, StartOffset, TopicPartition, TopicSpec,
};
use millstream_model::Clock;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Starts a push query that reads from `start` on. Its readers are open when this returns: rows that are appended from
/// now on will come.
pub(super) async fn start(
    bus: &Arc<dyn Bus>,
    clock: &Arc<dyn Clock>,
    plan: &Arc<QueryPlan>,
    start: StartOffset,
    stop: watch::Receiver<bool>,
) -> Result<PushQuery, SqlError> {
    let mut from = Vec::new();
    for scan in plan.scans() {
        let spec = TopicSpec::new(&*scan.topic, scan.partitions.unwrap_or(1));
        let partitions = ensure(&**bus, &spec).await?;
        let at = |partition| Position::new(TopicPartition::new(scan.topic.clone(), partition), start);
        from.extend((0..partitions).map(at));
    }
    let topics = plan.topics().join("`, `");
    let reader = bus.reader(from, Isolation::ReadCommitted).await;
    let reader = reader.map_err(SqlError::bus(format!("reading `{topics}`")))?;
    let (sender, rows) = mpsc::channel(PUSH_QUEUE_ROWS);
    let push = Push { plan: plan.clone(), clock: clock.clone(), sender, left: plan.limit };
    let task = tokio::spawn(push.run(reader, stop)).abort_handle();
    let columns = plan.output.iter().map(|column| (column.name.clone(), column.sql_type)).collect();
    let keys = (0..plan.output.len()).filter(|slot| plan.output[*slot].key.is_some()).collect();
    Ok(PushQuery { columns, keys, table: plan.kind == RelationKind::Table, pull: false, rows, task })
}

/// What `reader` has next; `None` where it was away, or had to skip what is gone: it should be asked again.
pub(super) async fn poll(reader: &mut dyn Reader) -> Result<Option<Vec<Fetched>>, BusError> {
    let limit = FetchLimit { records_max: BATCH_ROWS_MAX, ..FetchLimit::default() };
    let error = match reader.poll(limit).await {
        Ok(fetched) => return Ok(Some(fetched)),
        Err(error) => error,
    };
    if error.is_retriable() {
        tokio::time::sleep(Duration::from_millis(RESTART_WAIT_MS_MIN)).await;
        return Ok(None);
    }
    let Some((at, offset)) = error.next_readable() else { return Err(error) };
    reader.seek(at, offset).await?;
    Ok(None)
}

struct Push {
    plan: Arc<QueryPlan>,
    clock: Arc<dyn Clock>,
    sender: mpsc::Sender<Result<PushRow, SqlError>>,
    /// How many rows may still be sent.
    left: Option<u64>,
}

impl Push {
    async fn run(mut self, mut reader: Box<dyn Reader>, mut stop: watch::Receiver<bool>) {
        let ended = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => Err(SqlError::Stopped),
            ended = self.rows(&mut *reader) => ended,
        };
        if let Err(error) = ended {
            // Nobody waits for the error where the receiver is gone.
            let _ = self.sender.send(Err(error)).await;
        }
    }

    async fn rows(&mut self, reader: &mut dyn Reader) -> Result<(), SqlError> {
        let mut graph = Graph::whole(&self.plan);
        while self.left != Some(0) {
            let topics = || format!("reading `{}`", self.plan.topics().join("`, `"));
            let fetched = poll(reader).await.map_err(|error| SqlError::bus(topics())(error))?;
            let Some(fetched) = fetched else { continue };
            for fetched in fetched {
                let now = self.clock.now();
                let partition = fetched.partition.partition;
                let read = self.plan.scans().position(|scan| *scan.topic == *fetched.partition.topic);
                let input = read.unwrap_or(0);
                if let Some(scan) = self.plan.scans().nth(input) {
                    fetch_schemas(scan, &fetched.records).await?;
                }
                let run =
                    catch_unwind(AssertUnwindSafe(|| graph.run(input, &fetched.records, partition, now.0)));
                let processed =
                    run.unwrap_or_else(|_| Err(SqlError::Panicked("while a row was computed".to_owned())))?;
                for batch in &processed.batches {
                    if !self.send(batch).await {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Sends the rows of a batch; `false` at the limit, or when nobody listens any more.
    async fn send(&mut self, batch: &crate::batch::Batch) -> bool {
        for row in 0..batch.rows() {
            if self.left == Some(0) {
                return false;
            }
            let tombstone = batch.is_deleted(row);
            let value = |(slot, column): (usize, &crate::plan::query_plan::OutputColumn)| {
                if tombstone && column.key.is_none() {
                    Datum::Null
                } else {
                    batch.columns[slot].datum(row).into_owned()
                }
            };
            let values = self.plan.output.iter().enumerate().map(value).collect();
            if self.sender.send(Ok(PushRow { values, tombstone })).await.is_err() {
                return false;
            }
            self.left = self.left.map(|left| left - 1);
        }
        true
    }
}
