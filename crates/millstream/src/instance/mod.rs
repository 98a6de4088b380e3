//! A plant that runs: started, changed while it runs, stopped.

pub(crate) mod board;
mod connectors;
mod devices;
mod facts;
mod kafka;
mod ksql;
mod latches;
mod notices;
mod queries;
mod registry;
mod reload;
mod space;
mod statements;

use crate::clock::SystemClock;
use crate::engine::LogEngine;
use crate::failure::Failure;
use crate::handles;
use board::{Board, Observer};
use connectors::OwnConnectors;
use facts::Facts;
use ksql::Front;
use millstream_broker::Wire;
use millstream_bus::Bus;
use millstream_connect::audit::AuditLog;
use millstream_connect::plc_source::PlcSource;
use millstream_connect::task::TaskHandle;
use millstream_driver::schedule::Scheduler;
use millstream_model::Clock;
use millstream_plant::Plant;
use millstream_server::{Listener, Report, ServeError, Server, ServerConfig};
use millstream_sql::Engine;
use notices::Notices;
use parking_lot::Mutex;
use queries::Queries;
use registry::PlantRegistry;
use space::DiskSpace;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

pub(crate) use reload::Watch;

/// How long the parts may take to stop, in order; with the log and the runtime it stays under five seconds.
const STOP: Duration = Duration::from_millis(3_500);

/// A plant that runs.
pub(crate) struct Instance {
    /// As it is now.
    plant: Plant,
    log: LogEngine,
    board: Arc<Board>,
    source: Arc<PlcSource>,
    audit: Arc<AuditLog>,
    scheduler: Arc<Scheduler>,
    tasks: Arc<Mutex<BTreeMap<Arc<str>, TaskHandle>>>,
    sql: Arc<Engine>,
    queries: Arc<Queries>,
    connectors: Arc<OwnConnectors>,
    notices: Arc<Notices>,
    facts: Arc<Facts>,
    server: Option<Server>,
    wire: Option<Arc<Wire>>,
}

impl Instance {
    /// Starts everything. What needs a network or a device comes up by itself, now or later; only what the user must
    /// mend (a port or a folder in use) is an error.
    pub(crate) async fn start(plant: Plant) -> Result<Self, Failure> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        // What is wrong with it is told before anything is opened.
        let kafka = crate::kafka::wire(&plant)?;
        let mut log = LogEngine::open(&plant, clock.clone()).await?;
        let board = Arc::new(Board::default());
        let source = PlcSource::new(log.sources.clone(), clock.clone());
        let audit = AuditLog::new(log.sources.clone(), clock.clone());
        let observer = Arc::new(Observer { board: board.clone(), source: source.clone() });
        let mut scheduler = Scheduler::start(Vec::new(), observer, audit.clone(), clock.clone());
        if let Some(limit) = handles::raise() {
            scheduler = scheduler.connections_max(handles::for_devices(limit, &plant));
        }
        let scheduler = Arc::new(scheduler);
        let registry = PlantRegistry::new(log.plant.clone(), clock.clone(), &plant.sql);
        let registry = Arc::new(registry.map_err(|error| Failure::failed(error.to_string()))?);
        let mut sql =
            Engine::new(log.plant.clone(), plant.catalog(), clock.clone()).with_registry(registry.clone());
        if let Some(service_id) = &plant.sql.service_id {
            sql = sql.sharing(service_id);
        }
        let forwarder = log.forwarder.take().map(|task| (task.name().into(), task));
        let tasks: Arc<Mutex<BTreeMap<Arc<str>, TaskHandle>>> =
            Arc::new(Mutex::new(forwarder.into_iter().collect()));
        let connectors = Arc::new(OwnConnectors::new(scheduler.clone(), tasks.clone()));
        let sql = Arc::new(sql.with_connectors(connectors::connectors(&plant.sql, &connectors)?));
        let notices = Arc::new(Notices::default());
        let facts = Arc::new(Facts {
            plant: name(&plant),
            log: log.words.clone(),
            started_at: clock.now(),
            listeners: Mutex::default(),
            board: board.clone(),
            scheduler: scheduler.clone(),
            source: source.clone(),
            audit: audit.clone(),
            sql: sql.clone(),
            ksql: Arc::new(Front::new(sql.clone(), log.plant.clone(), &name(&plant))),
            registry,
            tasks: tasks.clone(),
            notices: notices.clone(),
            collectors: Mutex::new(log.collectors.clone()),
            space: DiskSpace(log.embedded.clone()),
        });
        let queries = Arc::new(Queries::new(sql.clone(), log.plant.clone(), notices.clone()));
        let mut instance = Self {
            plant: plant.clone(),
            log,
            board,
            source,
            audit,
            scheduler,
            tasks,
            sql,
            queries,
            connectors,
            notices,
            facts,
            server: None,
            wire: None,
        };
        instance.serve(&plant).await?;
        instance.serve_kafka(kafka, &plant).await?;
        instance.start_parts(&plant);
        Ok(instance)
    }

    /// The bus that queries and clients use.
    pub(crate) fn bus(&self) -> Arc<dyn Bus> {
        self.log.plant.clone()
    }

    /// The plant as it is now.
    pub(crate) fn plant(&self) -> &Plant {
        &self.plant
    }

    /// What it says about itself, where it has a server.
    pub(crate) async fn report(&self) -> Option<Report> {
        match &self.server {
            Some(server) => Some(server.report().await),
            None => None,
        }
    }

    /// Tells of one more open port.
    pub(crate) fn add_listener(&self, what: impl Into<String>, address: impl Into<String>) {
        self.facts.listeners.lock().push(Listener { what: what.into(), address: address.into() });
    }

    /// Every open port.
    pub(crate) fn listeners(&self) -> Vec<Listener> {
        self.facts.listeners.lock().clone()
    }

    async fn serve(&mut self, plant: &Plant) -> Result<(), Failure> {
        let Some(http) = &plant.http else { return Ok(()) };
        let opened =
            Server::open(ServerConfig { listen: http.address }, self.log.plant.clone(), self.facts.clone());
        let server = match opened.await {
            Ok(server) => server,
            Err(error) => {
                self.log.close().await;
                let said_at = http.span.as_ref().map(|span| format!(" ({})", plant.sources.place(span)));
                let message = format!("{error}{}", said_at.unwrap_or_default());
                let help = match error {
                    ServeError::InUse(_) => {
                        "end that program, or set another port: [http] listen = \"127.0.0.1:8081\""
                    }
                    ServeError::Listen(..) => {
                        "set an address of this machine: [http] listen = \"127.0.0.1:8080\""
                    }
                };
                return Err(Failure::mistake(message, help));
            }
        };
        self.add_listener("status page", format!("http://{}", server.address()));
        self.server = Some(server);
        Ok(())
    }

    fn start_parts(&self, plant: &Plant) {
        self.board.set_order(plant);
        self.connectors.set(plant);
        for device in &plant.devices {
            self.add_device(device);
        }
        self.start_sinks(plant);
        self.queries.start(plant);
    }

    /// Stops everything in the order of the flow, so that what was read is in the log when it closes.
    pub(crate) async fn stop(self) {
        let closing = async {
            if let Some(server) = self.server {
                server.close().await;
            }
            // Before the log: whoever is told that records are kept must be told so while it is open.
            if let Some(wire) = self.wire {
                wire.close().await;
            }
        };
        self.queries.stop();
        let tasks = std::mem::take(&mut *self.tasks.lock());
        let stopping = async {
            self.scheduler.stop().await;
            futures_util::future::join_all(tasks.into_values().map(TaskHandle::stop)).await;
            futures_util::future::join3(self.source.stop(), self.audit.stop(), self.sql.stop()).await;
        };
        let (stopped, ()) = futures_util::future::join(timeout(STOP, stopping), closing).await;
        if stopped.is_err() {
            tracing::warn!("some parts did not stop in time; the log has what was acknowledged");
        }
        self.log.close().await;
    }
}

/// A plant is called like its folder.
fn name(plant: &Plant) -> String {
    let folder = std::path::absolute(&plant.folder).unwrap_or_else(|_| plant.folder.clone());
    folder.file_name().map_or_else(|| "plant".to_owned(), |name| name.to_string_lossy().into_owned())
}
