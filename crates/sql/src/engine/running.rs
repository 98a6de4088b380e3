//! A running persistent query: its tasks, and what is known of it.

use crate::limits::{STALLED_AFTER_MS, STOP_WAIT_MS};
use crate::plan::query_plan::PersistentQuery;
use crate::{QueryState, QueryStatus};
use millstream_model::metric::{Counter, Gauge};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// What the tasks of one query count.
#[derive(Debug, Default)]
pub(super) struct QueryMetrics {
    pub(super) records_in: Counter,
    pub(super) records_out: Counter,
    pub(super) late: Counter,
    pub(super) errors: Counter,
    pub(super) restarts: Counter,
}

/// What one task tells.
#[derive(Debug, Default)]
pub(super) struct TaskStatus {
    pub(super) lag: Gauge,
    /// Why it is not running, until it is again.
    pub(super) cause: Mutex<Option<String>>,
    /// What it is about and since when, for as long as it is this process' to do.
    about: Mutex<Option<(&'static str, Instant)>>,
}

impl TaskStatus {
    /// It got somewhere, and is about this now.
    pub(super) fn is_about(&self, what: &'static str) {
        *self.about.lock() = Some((what, Instant::now()));
    }

    /// Another process does its work.
    pub(super) fn is_elsewhere(&self) {
        *self.about.lock() = None;
        *self.cause.lock() = None;
        self.lag.set(0);
    }

    /// Why it makes no progress, where it does not.
    fn trouble(&self) -> Option<String> {
        if let Some(cause) = &*self.cause.lock() {
            return Some(cause.clone());
        }
        let (what, since) = (*self.about.lock())?;
        let still = Instant::now().saturating_duration_since(since);
        let stalled = still >= Duration::from_millis(STALLED_AFTER_MS);
        stalled.then(|| format!("no progress for {} s: {what}", still.as_secs()))
    }
}

/// A persistent query that was started.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) query: Arc<PersistentQuery>,
    pub(super) metrics: Arc<QueryMetrics>,
    pub(super) tasks: Mutex<Vec<Arc<TaskStatus>>>,
    pub(super) stop: watch::Sender<bool>,
    /// Whether it was paused: it has no tasks until it is resumed.
    paused: AtomicBool,
    pub(super) supervisor: Mutex<Option<JoinHandle<()>>>,
}

impl Running {
    pub(super) fn new(query: Arc<PersistentQuery>) -> Arc<Self> {
        Arc::new(Self {
            query,
            metrics: Arc::default(),
            tasks: Mutex::default(),
            stop: watch::Sender::new(false),
            paused: AtomicBool::new(false),
            supervisor: Mutex::default(),
        })
    }

    /// One that goes on where `before` was paused, and counts on.
    pub(super) fn again(before: &Self) -> Arc<Self> {
        Arc::new(Self {
            query: before.query.clone(),
            metrics: before.metrics.clone(),
            tasks: Mutex::default(),
            stop: watch::Sender::new(false),
            paused: AtomicBool::new(false),
            supervisor: Mutex::default(),
        })
    }

    /// Says that it has no tasks because it was paused.
    pub(super) fn set_paused(&self) {
        self.paused.store(true, Ordering::Relaxed);
    }

    pub(super) fn status(&self) -> QueryStatus {
        let tasks = self.tasks.lock();
        let cause = tasks.iter().find_map(|task| task.trouble());
        let relation = &self.query.sink.relation;
        QueryStatus {
            id: self.query.id.to_string(),
            sql: self.query.sql.clone(),
            sources: self.query.plan.topics().iter().map(ToString::to_string).collect(),
            sink: relation.name.to_string(),
            sink_topic: relation.topic.to_string(),
            state: match cause {
                _ if self.paused.load(Ordering::Relaxed) => QueryState::Paused,
                Some(cause) => QueryState::Error(cause),
                None => QueryState::Running,
            },
            records_in: self.metrics.records_in.get(),
            records_out: self.metrics.records_out.get(),
            lag_records: tasks.iter().map(|task| task.lag.get()).sum(),
            late_records: self.metrics.late.get(),
            errors: self.metrics.errors.get(),
            restarts: self.metrics.restarts.get(),
        }
    }

    /// Ends every task between two commits and waits for it.
    pub(super) async fn stop(&self) {
        self.stop.send_replace(true);
        let supervisor = self.supervisor.lock().take();
        if let Some(mut supervisor) = supervisor {
            let wait = Duration::from_millis(STOP_WAIT_MS);
            // A commit that hangs because the bus is away is given up; dropping its transaction aborts it.
            if tokio::time::timeout(wait, &mut supervisor).await.is_err() {
                supervisor.abort();
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(supervisor) = self.supervisor.lock().take() {
            supervisor.abort();
        }
    }
}
