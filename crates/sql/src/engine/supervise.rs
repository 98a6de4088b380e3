//! Keeps the tasks of one query alive: whatever fails is tried again, later and later.

use super::feed::Feeds;
use super::running::{Running, TaskStatus};
use super::slots::{Slots, slot};
use super::stage::{Stage, stages};
use super::task::{Suspects, Task};
use super::topics::ensure;
use crate::SqlError;
use crate::limits::{FENCED_WAIT_MS, RESTART_WAIT_MS_MAX, RESTART_WAIT_MS_MIN};
use millstream_bus::{Bus, BusError, TopicSpec};
use millstream_model::Clock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// A task that ran this long was well; the next failure waits the shortest time again.
const WELL_AFTER: Duration = Duration::from_secs(30);

/// Starts a query's tasks.
pub(super) fn start(
    bus: &Arc<dyn Bus>,
    clock: &Arc<dyn Clock>,
    feeds: &Arc<Feeds>,
    slots: &Slots,
    running: &Arc<Running>,
) {
    let (bus, clock, feeds, slots) = (bus.clone(), clock.clone(), feeds.clone(), slots.clone());
    // A weak handle: the query's last owner ends it by dropping it.
    let (query, metrics) = (running.query.clone(), running.metrics.clone());
    let stop = running.stop.subscribe();
    let weak = Arc::downgrade(running);
    let supervisor = tokio::spawn(async move {
        let opening = Arc::new(TaskStatus::default());
        opening.is_about("looking at its topics");
        if let Some(running) = weak.upgrade() {
            running.tasks.lock().push(opening.clone());
        }
        let Some(cut) = open(&bus, &query, &opening, &metrics.restarts, stop.clone()).await else { return };
        let mut tasks = JoinSet::new();
        let mut statuses = Vec::new();
        for stage in cut {
            for partition in 0..stage.partitions {
                let status = Arc::new(TaskStatus::default());
                statuses.push(status.clone());
                let task = Task {
                    bus: bus.clone(),
                    feeds: feeds.clone(),
                    clock: clock.clone(),
                    query_id: query.id.clone(),
                    stage: stage.clone(),
                    partition,
                    metrics: metrics.clone(),
                    status,
                };
                tasks.spawn(keep_running(task, slots.clone(), stop.clone()));
            }
        }
        if let Some(running) = weak.upgrade() {
            *running.tasks.lock() = statuses;
        }
        while tasks.join_next().await.is_some() {}
    });
    *running.supervisor.lock() = Some(supervisor);
}

/// Makes the topics and cuts the query into stages; tries until it works. `None` when it was stopped.
async fn open(
    bus: &Arc<dyn Bus>,
    query: &crate::plan::query_plan::PersistentQuery,
    status: &TaskStatus,
    restarts: &millstream_model::metric::Counter,
    stop: watch::Receiver<bool>,
) -> Option<Vec<Arc<Stage>>> {
    let mut wait = Waits::default();
    loop {
        match cut(bus, query).await {
            Ok(stages) => return Some(stages),
            Err(error) => {
                tracing::warn!(query = %query.id, %error, "the query could not start; it is tried again");
                *status.cause.lock() = Some(error.to_string());
                restarts.increment();
            }
        }
        if !wait.next(stop.clone()).await {
            return None;
        }
    }
}

async fn cut(
    bus: &Arc<dyn Bus>,
    query: &crate::plan::query_plan::PersistentQuery,
) -> Result<Vec<Arc<Stage>>, SqlError> {
    let mut partitions = BTreeMap::new();
    for scan in query.plan.scans() {
        let source = TopicSpec::new(&*scan.topic, scan.partitions.unwrap_or(1));
        partitions.insert(scan.topic.clone(), ensure(&**bus, &source).await?);
    }
    // The topics between stages may be there since the query ran over sources with other numbers of partitions.
    for stage in stages(query, &partitions) {
        if let Ok(topic) = bus.describe_topic(&stage.sink.name).await {
            partitions.insert(stage.sink.name.as_str().into(), topic.partitions);
        }
    }
    let stages = stages(query, &partitions);
    for stage in &stages {
        let found = ensure(&**bus, &stage.sink).await?;
        if let Some(reader) = stages.iter().find(|reader| reader.takes(&stage.sink.name))
            && reader.partitions != found
        {
            let (name, wanted) = (&stage.sink.name, reader.partitions);
            return Err(SqlError::Query(format!(
                "its topic `{name}` has {found} partitions, but what it must meet has {wanted}; delete the topic to begin anew"
            )));
        }
    }
    Ok(stages)
}

/// How an attempt ended that did not fail.
enum Ended {
    Stopped,
    /// The task's slot went to another process.
    Lost,
}

/// Runs a task for as long as this process holds its slot; whatever fails is tried again.
async fn keep_running(task: Task, mut slots: Slots, stop: watch::Receiver<bool>) {
    let task = Arc::new(task);
    let slot = slot(&task.query_id, task.partition);
    let mut suspects = Suspects::default();
    let mut wait = Waits::default();
    loop {
        let mut stopped = stop.clone();
        let held = tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => false,
            held = its_turn(&task.status, &mut slots, slot) => held,
        };
        if !held {
            return;
        }
        let started = Instant::now();
        // A task of its own, so that a panic outside the chain ends the attempt only.
        let mut attempt = JoinSet::new();
        let (inner, inner_stop, mut share) = (task.clone(), stop.clone(), slots.clone());
        attempt.spawn(async move {
            let result = tokio::select! {
                biased;
                // Another process has it now; what was not committed is aborted.
                () = share.lost(slot) => Ok(Ended::Lost),
                result = inner.run(&mut suspects, inner_stop) => result.map(|()| Ended::Stopped),
            };
            (result, suspects)
        });
        let (error, on_a_record) = match attempt.join_next().await {
            Some(Ok((Ok(Ended::Stopped), _))) | None => return,
            Some(Ok((Ok(Ended::Lost), _))) => {
                suspects = Suspects::default();
                task.status.is_elsewhere();
                continue;
            }
            Some(Ok((Err(error), after))) => {
                suspects = after;
                let on_a_record = matches!(error, SqlError::Panicked(_));
                (error, on_a_record)
            }
            Some(Err(panic)) => {
                suspects = Suspects::default();
                (SqlError::Panicked(panic.to_string()), false)
            }
        };
        tracing::warn!(query = %task.query_id, stage = task.stage.index, partition = task.partition, %error, "a task failed; it begins again at its last commit");
        *task.status.cause.lock() = Some(error.to_string());
        task.metrics.restarts.increment();
        // The next attempt goes around the record, so that there is nothing to wait for.
        if started.elapsed() >= WELL_AFTER || on_a_record {
            wait = Waits::default();
        }
        if matches!(error, SqlError::Bus { error: BusError::Fenced(_), .. }) {
            wait.next_ms = FENCED_WAIT_MS;
        }
        if !wait.next(stop.clone()).await {
            return;
        }
    }
}

/// Waits until this process holds the slot of a task; `false` where nobody decides any more.
async fn its_turn(status: &TaskStatus, slots: &mut Slots, slot: i32) -> bool {
    if slots.is_undecided() {
        status.is_about("waiting for its share of the tasks");
        slots.decided().await;
        status.is_elsewhere();
    }
    slots.held(slot).await
}

/// Waits that double.
#[derive(Debug)]
struct Waits {
    next_ms: u64,
}

impl Default for Waits {
    fn default() -> Self {
        Self { next_ms: RESTART_WAIT_MS_MIN }
    }
}

impl Waits {
    /// Waits once; `false` when it was stopped.
    async fn next(&mut self, mut stop: watch::Receiver<bool>) -> bool {
        let wait = Duration::from_millis(self.next_ms);
        self.next_ms = (self.next_ms * 2).min(RESTART_WAIT_MS_MAX);
        tokio::time::timeout(wait, stop.wait_for(|stop| *stop)).await.is_err()
    }
}
