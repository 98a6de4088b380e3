//! Pull queries: the rows of a table or stream as they are now, then the end.

use super::materialized::{Row, Tables, Wanted};
use super::schemas::fetch_schemas;
use super::topics::ensure;
use crate::batch::Batch;
use crate::limits::{BATCH_ROWS_MAX, PULL_QUERIES_MAX, PUSH_QUEUE_ROWS};
use crate::operator::Graph;
use crate::plan::pull::PullPlan;
use crate::{ColumnBuilder, Datum, PushQuery, PushRow, Relation, RelationKind, Session, SqlError};
use bytes::Bytes;
use millstream_bus::{
    Bus, FetchLimit, Isolation, Position, ReceivedRecord, StartOffset, TopicPartition, TopicSpec,
};
use millstream_model::{Clock, Diagnostic};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

/// What pull queries share.
#[derive(Debug)]
pub(super) struct Pulls {
    tables: Arc<Tables>,
    running: Arc<Semaphore>,
}

impl Default for Pulls {
    fn default() -> Self {
        Self { tables: Arc::default(), running: Arc::new(Semaphore::new(PULL_QUERIES_MAX)) }
    }
}

impl Pulls {
    /// Forgets what is known of a topic that is gone.
    pub(super) fn forget(&self, topic: &str) {
        self.tables.forget(topic);
    }

    /// Starts a pull query. It sees what was committed before this was called.
    pub(super) async fn start(
        &self,
        bus: &Arc<dyn Bus>,
        clock: &Arc<dyn Clock>,
        plan: &Arc<PullPlan>,
        stop: watch::Receiver<bool>,
    ) -> Result<PushQuery, SqlError> {
        let permit = self.running.clone().try_acquire_owned().map_err(|_| {
            SqlError::Query(format!(
                "{PULL_QUERIES_MAX} pull queries run already, which is the limit; try again"
            ))
        })?;
        let topic = plan.relation.topic.clone();
        let spec = TopicSpec::new(&*topic, plan.relation.partitions.unwrap_or(1));
        let partitions = ensure(&**bus, &spec).await?;
        let ends = match plan.relation.kind {
            RelationKind::Table => BTreeMap::new(),
            RelationKind::Stream => ends(&**bus, &topic, partitions).await?,
        };
        let (sender, rows) = mpsc::channel(PUSH_QUEUE_ROWS);
        let pull = Pull {
            plan: plan.clone(),
            bus: bus.clone(),
            clock: clock.clone(),
            tables: self.tables.clone(),
            sender,
            left: plan.plan.limit,
            _permit: permit,
        };
        let task = tokio::spawn(pull.run(partitions, ends, stop)).abort_handle();
        let output = &plan.plan.output;
        Ok(PushQuery {
            columns: output.iter().map(|column| (column.name.clone(), column.sql_type)).collect(),
            keys: (0..output.len()).filter(|slot| output[*slot].key.is_some()).collect(),
            table: plan.relation.kind == RelationKind::Table,
            pull: true,
            rows,
            task,
        })
    }
}

/// Where the partitions of a stream end now; empty ones are left out.
async fn ends(
    bus: &dyn Bus,
    topic: &Arc<str>,
    partitions: i32,
) -> Result<BTreeMap<TopicPartition, i64>, SqlError> {
    let all: Vec<_> = (0..partitions).map(|number| TopicPartition::new(topic.clone(), number)).collect();
    let ranges = bus.offsets_of_all(&all).await.map_err(SqlError::bus(format!("reading `{topic}`")))?;
    let stable = |range: &Option<millstream_bus::OffsetRange>| range.as_ref().map(|r| (r.earliest, r.stable));
    let found = all.into_iter().zip(ranges.iter().map(stable));
    Ok(found
        .filter_map(|(at, range)| range.filter(|(first, end)| first < end).map(|(_, end)| (at, end)))
        .collect())
}

struct Pull {
    plan: Arc<PullPlan>,
    bus: Arc<dyn Bus>,
    clock: Arc<dyn Clock>,
    tables: Arc<Tables>,
    sender: mpsc::Sender<Result<PushRow, SqlError>>,
    /// How many rows may still be sent.
    left: Option<u64>,
    _permit: OwnedSemaphorePermit,
}

impl Pull {
    async fn run(
        mut self,
        partitions: i32,
        ends: BTreeMap<TopicPartition, i64>,
        mut stop: watch::Receiver<bool>,
    ) {
        let ended = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => Err(SqlError::Stopped),
            ended = async {
                match self.plan.relation.kind {
                    RelationKind::Table => self.table(partitions).await,
                    RelationKind::Stream => self.stream(ends).await,
                }
            } => ended,
        };
        if let Err(error) = ended {
            // Nobody waits for the error where the receiver is gone.
            let _ = self.sender.send(Err(error)).await;
        }
    }

    /// The rows of a table: those that can be in the answer, through the query's steps.
    async fn table(&mut self, partitions: i32) -> Result<(), SqlError> {
        let wanted = wanted(&self.plan)?;
        let rows = self.tables.rows(&self.bus, &self.plan.relation.topic, partitions, &wanted).await?;
        let mut graph = Graph::whole(&self.plan.plan);
        let mut rows: &[Row] = &rows;
        while let Some((number, _)) = rows.first() {
            let here = rows.iter().take(BATCH_ROWS_MAX).take_while(|(other, _)| other == number).count();
            let (chunk, rest) = rows.split_at(here);
            let records: Vec<ReceivedRecord> = chunk.iter().map(|(_, row)| (**row).clone()).collect();
            if !self.compute(&mut graph, &records, *number).await? {
                return Ok(());
            }
            rows = rest;
        }
        Ok(())
    }

    /// The rows of a stream, from the first that there is to those that were there when the question came.
    async fn stream(&mut self, mut ends: BTreeMap<TopicPartition, i64>) -> Result<(), SqlError> {
        let topic = self.plan.relation.topic.clone();
        let failed = || SqlError::bus(format!("reading `{topic}`"));
        let from = ends.keys().map(|at| Position::new(at.clone(), StartOffset::Earliest)).collect();
        let mut reader = self.bus.reader(from, Isolation::ReadCommitted).await.map_err(failed())?;
        let mut graph = Graph::whole(&self.plan.plan);
        let limit = FetchLimit { records_max: BATCH_ROWS_MAX, ..FetchLimit::default() };
        while !ends.is_empty() {
            let fetched = match reader.poll(limit).await {
                Ok(fetched) => fetched,
                Err(error) => match error.next_readable() {
                    Some((at, offset)) => {
                        reader.seek(at, offset).await.map_err(failed())?;
                        Vec::new()
                    }
                    None => return Err(failed()(error)),
                },
            };
            for fetched in fetched {
                let Some(end) = ends.get(&fetched.partition).copied() else { continue };
                let before = fetched.records.iter().take_while(|received| received.offset < end).count();
                let records = fetched.records.get(..before).unwrap_or_default();
                if !self.compute(&mut graph, records, fetched.partition.partition).await? {
                    return Ok(());
                }
            }
            for (at, next) in reader.positions() {
                if ends.get(&at).is_some_and(|end| next >= *end) {
                    ends.remove(&at);
                }
            }
        }
        Ok(())
    }

    /// Sends what the query makes of some records of one partition; `false` at the limit, or when nobody listens any more.
    async fn compute(
        &mut self,
        graph: &mut Graph,
        records: &[ReceivedRecord],
        partition: i32,
    ) -> Result<bool, SqlError> {
        if let Some(scan) = self.plan.plan.scans().next() {
            fetch_schemas(scan, records).await?;
        }
        let now = self.clock.now();
        let run = catch_unwind(AssertUnwindSafe(|| graph.run(0, records, partition, now.0)));
        let processed =
            run.unwrap_or_else(|_| Err(SqlError::Panicked("while a row was computed".to_owned())))?;
        for batch in &processed.batches {
            if !self.send(batch).await {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn send(&mut self, batch: &Batch) -> bool {
        // What the filter leaves out of a table comes as a deletion.
        for row in (0..batch.rows()).filter(|row| !batch.is_deleted(*row)) {
            if self.left == Some(0) {
                return false;
            }
            let columns = batch.columns.iter().take(self.plan.plan.output.len());
            let values = columns.map(|column| column.datum(row).into_owned()).collect();
            if self.sender.send(Ok(PushRow { values, tombstone: false })).await.is_err() {
                return false;
            }
            self.left = self.left.map(|left| left - 1);
        }
        self.left != Some(0)
    }
}

/// Whether the session lets a query look at every row of a table, where it has to.
pub(super) fn may_scan(plan: &PullPlan, session: &Session) -> Result<(), SqlError> {
    let off =
        session.properties.get("ksql.query.pull.table.scan.enabled").is_some_and(|value| value == "false");
    if !(off && plan.scans_table) {
        return Ok(());
    }
    let keys: Vec<_> = plan.relation.key_columns().iter().map(|(name, _)| name.to_string()).collect();
    let mistake =
        Diagnostic::error("sql-pull", "the query looks at every row of the table, and that is switched off")
            .label("no key is given")
            .help(format!(
                "add WHERE {} = …, or SET 'ksql.query.pull.table.scan.enabled' = 'true';",
                keys.join(" = … AND ")
            ));
    Err(SqlError::Mistakes(vec![mistake]))
}

/// The rows that can be in the answer, by the bytes of their keys.
fn wanted(plan: &PullPlan) -> Result<Wanted, SqlError> {
    let (Some(keys), Some(layout)) = (&plan.keys, plan.relation.key_layout()) else { return Ok(Wanted::All) };
    let encoder = layout.encoder();
    let mut encoded = Vec::with_capacity(keys.len());
    for key in keys {
        let columns: Vec<_> =
            layout.columns.iter().zip(key).map(|((_, of), value)| column(*of, value)).collect();
        let mut bytes = Vec::new();
        encoder
            .encode(&columns.iter().collect::<Vec<_>>(), 0, &mut bytes)
            .map_err(|error| SqlError::Query(format!("a key cannot be looked up: {error}")))?;
        encoded.push(Bytes::from(bytes));
    }
    Ok(match window_bytes(&plan.relation) {
        0 => Wanted::Keys(encoded),
        more => Wanted::Windows(encoded, more),
    })
}

/// How many bytes of a record's key are its window: its start, and the end of a session.
fn window_bytes(relation: &Relation) -> usize {
    match (relation.session, relation.window_ms) {
        (true, _) => 16,
        (false, Some(_)) => 8,
        (false, None) => 0,
    }
}

fn column(sql_type: crate::SqlType, value: &Datum<'static>) -> crate::Column {
    let mut builder = ColumnBuilder::new(sql_type, 1);
    builder.append(value);
    builder.finish()
}
