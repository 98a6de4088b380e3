//! What a running plant says about itself to the server.

use super::board::{Board, Entry, Group, engineering};
use super::ksql::Front;
use super::latches;
use super::notices::Notices;
use super::registry::PlantRegistry;
use super::space::DiskSpace;
use super::statements;
use crate::clock::SystemClock;
use crate::values;
use async_trait::async_trait;
use millstream_connect::audit::AuditLog;
use millstream_connect::plc_source::PlcSource;
use millstream_connect::task::{TaskHandle, TaskState};
use millstream_driver::schedule::{self, DeviceHandle, Scheduler};
use millstream_model::metric::{Collect, Page};
use millstream_model::{Cell, Clock, Status, Timestamp};
use millstream_server::{
    Condition, DeviceFacts, DeviceState, GroupFacts, Instance, Ksql, Listener, NotRearmed, Problem,
    QueryFacts, QueryState, SqlEvent, SqlNames, SqlRequest, Surroundings, TagFacts,
};
use millstream_sql::Engine;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Handles to everything that runs.
pub(crate) struct Facts {
    pub(super) plant: String,
    pub(super) log: String,
    pub(super) started_at: Timestamp,
    pub(super) listeners: Mutex<Vec<Listener>>,
    pub(super) board: Arc<Board>,
    pub(super) scheduler: Arc<Scheduler>,
    pub(super) source: Arc<PlcSource>,
    pub(super) audit: Arc<AuditLog>,
    pub(super) sql: Arc<Engine>,
    pub(super) ksql: Arc<Front>,
    pub(super) registry: Arc<PlantRegistry>,
    /// Sinks and the forwarder, by name.
    pub(super) tasks: Arc<Mutex<BTreeMap<Arc<str>, TaskHandle>>>,
    pub(super) notices: Arc<Notices>,
    /// Metrics of the engine of the log, and of the Kafka listeners.
    pub(super) collectors: Mutex<Vec<Arc<dyn Collect>>>,
    pub(super) space: DiskSpace,
}

#[async_trait]
impl Instance for Facts {
    fn surroundings(&self) -> Surroundings {
        Surroundings {
            plant: self.plant.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            log: self.log.clone(),
            started_at_ms: self.started_at.as_millis(),
            now_ms: SystemClock.now().as_millis(),
            listeners: self.listeners.lock().clone(),
        }
    }

    fn devices(&self) -> Vec<DeviceFacts> {
        self.board.entries().iter().map(|entry| self.device(entry)).collect()
    }

    fn queries(&self) -> Vec<QueryFacts> {
        self.sql.queries().into_iter().map(query).collect()
    }

    fn problems(&self) -> Vec<Problem> {
        let mut problems = self.notices.all();
        let log = |what: String| Problem {
            condition: Condition::Bad,
            who: "log".to_owned(),
            what,
            help: None,
            since_ms: None,
        };
        problems.extend(self.source.troubles().into_iter().map(log));
        problems.extend(self.audit.troubles().into_iter().map(log));
        problems.extend(self.space.problem());
        problems.extend(self.tasks.lock().values().filter_map(task));
        problems.extend(self.scheduler.devices().iter().flat_map(latches::problems));
        problems
    }

    fn collect(&self, page: &mut Page) {
        for handle in self.scheduler.devices() {
            handle.metrics.collect(page);
        }
        self.source.metrics().collect(page);
        self.audit.metrics().collect(page);
        for task in self.tasks.lock().values() {
            task.metrics().collect(page);
        }
        self.sql.collect(page);
        for collector in self.collectors.lock().iter() {
            collector.collect(page);
        }
    }

    async fn rearm(&self, device: &str, tag: &str) -> Result<(), NotRearmed> {
        latches::rearm(&self.scheduler, &self.audit, device, tag).await
    }

    async fn sql(&self, request: SqlRequest, events: mpsc::Sender<SqlEvent>) {
        statements::run(&self.sql, &request, &events).await;
    }

    async fn sql_names(&self) -> SqlNames {
        statements::names(&self.sql).await
    }

    fn ksql(&self) -> Arc<dyn Ksql> {
        self.ksql.clone()
    }

    async fn registry(
        &self,
        method: &str,
        path: &str,
        query: &str,
        body: &[u8],
    ) -> Option<(u16, serde_json::Value)> {
        Some(self.registry.answer(method, path, query, body).await)
    }
}

impl Facts {
    fn device(&self, entry: &Entry) -> DeviceFacts {
        let handle = self.scheduler.device(&entry.name);
        let status = handle.as_ref().map(|handle| handle.state.borrow().clone());
        let count = |counter: fn(&DeviceHandle) -> u64| handle.as_ref().map_or(0, counter);
        DeviceFacts {
            name: entry.name.to_string(),
            connection: entry.connection.clone(),
            asset: entry.asset.to_string(),
            state: status.as_ref().map_or(DeviceState::Connecting, |status| state(status.state)),
            since_ms: status.as_ref().map_or(self.started_at, |status| status.since).as_millis(),
            cause: status.map_or_else(String::new, |status| status.cause),
            groups: entry.groups.iter().map(group).collect(),
            scans_total: count(|handle| handle.metrics.scans.get()),
            overruns_total: count(|handle| handle.metrics.overruns.get()),
            bad_cells_total: count(|handle| handle.metrics.bad_cells.get()),
            requests_total: count(|handle| handle.metrics.session.requests.get()),
            writes_total: count(|handle| handle.metrics.writes.get()),
            writes_refused_total: count(|handle| handle.metrics.writes_refused.get()),
        }
    }
}

fn group(group: &Group) -> GroupFacts {
    let source = &group.source;
    let row = group.newest();
    let unread = Cell::Bad(Status::BadNotConnected);
    let tags = source.tags.iter().enumerate().map(|(tag, source)| {
        let cell = row.as_ref().and_then(|row| row.cells.get(tag));
        let value = cell.and_then(|cell| engineering(source, cell));
        TagFacts {
            name: source.name.to_string(),
            value: value.as_ref().map_or(serde_json::Value::Null, values::to_json_value),
            // What was never read is not good either.
            status: cell.unwrap_or(&unread).status().map(|status| status.name().to_owned()),
            unit: source.unit.as_deref().map(str::to_owned),
        }
    });
    GroupFacts {
        name: source.group.to_string(),
        topic: source.topic.to_string(),
        interval_ms: u64::try_from(group.interval.as_millis()).unwrap_or(u64::MAX),
        tags: tags.collect(),
        read_at_ms: row.map(|row| row.read_at.as_millis()),
    }
}

fn state(state: schedule::DeviceState) -> DeviceState {
    match state {
        schedule::DeviceState::Connecting => DeviceState::Connecting,
        schedule::DeviceState::Online => DeviceState::Online,
        schedule::DeviceState::Offline => DeviceState::Offline,
        schedule::DeviceState::Refused => DeviceState::Refused,
    }
}

fn query(status: millstream_sql::QueryStatus) -> QueryFacts {
    let (state, cause) = match status.state {
        millstream_sql::QueryState::Running => (QueryState::Running, String::new()),
        millstream_sql::QueryState::Paused => (QueryState::Paused, String::new()),
        millstream_sql::QueryState::Error(cause) => (QueryState::Retrying, cause),
    };
    QueryFacts {
        name: status.id,
        statement: status.sql,
        state,
        cause,
        rows_in_total: status.records_in,
        rows_out_total: status.records_out,
        bad_rows_total: status.errors,
        lag_records: u64::try_from(status.lag_records).ok(),
    }
}

fn task(task: &TaskHandle) -> Option<Problem> {
    let (condition, what) = match task.state() {
        TaskState::Running | TaskState::Stopped => return None,
        TaskState::Waiting { cause } => (Condition::Bad, format!("cannot go on, trying again: {cause}")),
        TaskState::Failed { cause } => (Condition::Bad, format!("stopped: {cause}")),
    };
    Some(Problem { condition, who: task.name().to_owned(), what, help: None, since_ms: None })
}
