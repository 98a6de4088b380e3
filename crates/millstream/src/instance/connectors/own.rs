//! The connectors of the plant itself: the files of `connectors/`, the sources and sinks of the other devices, and the forwarder.

use super::{RUNNING, summary};
use crate::instance::devices::sink_name;
use async_trait::async_trait;
use millstream_connect::plc4x_config::{SINK_CLASS, SOURCE_CLASS};
use millstream_connect::task::{TaskHandle, TaskState};
use millstream_driver::schedule::{DeviceState, Scheduler};
use millstream_plant::Plant;
use millstream_sql::connector::{
    ConnectorDescription, ConnectorInfo, ConnectorPlugin, Connectors, NewConnector,
};
use millstream_sql::parse::ast::ConnectorKind;
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// Reads a device that no file of `connectors/` names.
const DEVICE_SOURCE: &str = "millstream.PlcSource";
/// Writes to such a device.
const DEVICE_SINK: &str = "millstream.PlcSink";
/// Sends records on to Apache Kafka.
const FORWARDER: &str = "millstream.Forwarder";

/// One connector, as the plant folder has it.
#[derive(Debug, Clone)]
struct Own {
    name: String,
    kind: ConnectorKind,
    class: String,
    /// One task each.
    devices: Vec<Arc<str>>,
    topics: BTreeSet<String>,
}

/// All of them, with what runs them.
pub(in crate::instance) struct OwnConnectors {
    known: RwLock<Vec<Own>>,
    scheduler: Arc<Scheduler>,
    tasks: Arc<Mutex<BTreeMap<Arc<str>, TaskHandle>>>,
}

impl fmt::Debug for OwnConnectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnConnectors").field("known", &*self.known.read()).finish_non_exhaustive()
    }
}

impl OwnConnectors {
    /// Those that `scheduler` and `tasks` run; none are known before [`OwnConnectors::set`].
    pub(in crate::instance) fn new(
        scheduler: Arc<Scheduler>,
        tasks: Arc<Mutex<BTreeMap<Arc<str>, TaskHandle>>>,
    ) -> Self {
        Self { known: RwLock::default(), scheduler, tasks }
    }

    /// Knows those of `plant` from now on.
    pub(in crate::instance) fn set(&self, plant: &Plant) {
        *self.known.write() = own(plant);
    }

    /// The forwarder is no part of the plant's devices, but a task like theirs.
    fn all(&self) -> Vec<Own> {
        let mut all = self.known.read().clone();
        let sinks: BTreeSet<Arc<str>> =
            all.iter().flat_map(|own| &own.devices).map(|d| sink_name(d)).collect();
        let forwarder = |name: &Arc<str>| Own {
            name: name.to_string(),
            kind: ConnectorKind::Sink,
            class: FORWARDER.to_owned(),
            devices: Vec::new(),
            topics: BTreeSet::new(),
        };
        all.extend(self.tasks.lock().keys().filter(|name| !sinks.contains(*name)).map(forwarder));
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    fn find(&self, name: &str) -> Option<Own> {
        let mut all = self.all();
        let exact = all.iter().position(|own| own.name == name);
        // Bare names are upper case in SQL.
        let at = exact.or_else(|| all.iter().position(|own| own.name.eq_ignore_ascii_case(name)))?;
        Some(all.swap_remove(at))
    }

    /// The state of each task, and what is the matter.
    fn tasks(&self, own: &Own) -> Vec<(String, String)> {
        if own.devices.is_empty() {
            return vec![self.task(&own.name)];
        }
        let of = |device: &Arc<str>| match own.kind {
            ConnectorKind::Source => self.device(device),
            ConnectorKind::Sink => match self.task(&sink_name(device)) {
                // It can carry a command, if the device takes one.
                (state, _) if state == RUNNING => self.device(device),
                waiting => waiting,
            },
        };
        own.devices.iter().map(of).collect()
    }

    fn device(&self, name: &str) -> (String, String) {
        let Some(handle) = self.scheduler.device(name) else {
            return ("UNASSIGNED".to_owned(), String::new());
        };
        let status = handle.state.borrow();
        let state = match status.state {
            DeviceState::Online => RUNNING,
            DeviceState::Connecting => "CONNECTING",
            DeviceState::Offline => "OFFLINE",
            DeviceState::Refused => "REFUSED",
        };
        (state.to_owned(), status.cause.clone())
    }

    fn task(&self, name: &str) -> (String, String) {
        match self.tasks.lock().get(name).map(TaskHandle::state) {
            Some(TaskState::Running) => (RUNNING.to_owned(), String::new()),
            Some(TaskState::Waiting { cause }) => ("RESTARTING".to_owned(), cause),
            Some(TaskState::Failed { cause }) => ("FAILED".to_owned(), cause),
            Some(TaskState::Stopped) | None => ("UNASSIGNED".to_owned(), String::new()),
        }
    }

    fn info(&self, own: &Own) -> ConnectorInfo {
        let tasks = self.tasks(own);
        ConnectorInfo {
            name: own.name.clone(),
            kind: Some(own.kind),
            class: own.class.clone(),
            state: summary(RUNNING, tasks.iter().map(|(state, _)| state.as_str())),
        }
    }
}

/// The connectors of a plant: its files, and a source and a sink of each device that no file names.
fn own(plant: &Plant) -> Vec<Own> {
    let mut all = Vec::new();
    let mut named: [BTreeSet<&Arc<str>>; 2] = Default::default();
    for connector in &plant.connectors {
        let kind = if connector.is_sink { ConnectorKind::Sink } else { ConnectorKind::Source };
        named[usize::from(connector.is_sink)].extend(&connector.devices);
        all.push(Own {
            name: connector.name.to_string(),
            kind,
            class: connector.class.to_string(),
            devices: connector.devices.clone(),
            topics: connector.devices.iter().flat_map(|device| topics(plant, device, kind)).collect(),
        });
    }
    for device in &plant.devices {
        let name = &device.config.name;
        let [sources, sinks] = &named;
        let mut add = |kind, word: &str, class: &str| {
            all.push(Own {
                name: format!("{word} {name}"),
                kind,
                class: class.to_owned(),
                devices: vec![name.clone()],
                topics: topics(plant, name, kind),
            });
        };
        if !device.groups.is_empty() && !sources.contains(name) {
            add(ConnectorKind::Source, "plc-source", DEVICE_SOURCE);
        }
        if device.sink.is_some() && !sinks.contains(name) {
            add(ConnectorKind::Sink, "plc-sink", DEVICE_SINK);
        }
    }
    all
}

fn topics(plant: &Plant, device: &str, kind: ConnectorKind) -> BTreeSet<String> {
    let Some(device) = plant.device(device) else { return BTreeSet::new() };
    match kind {
        ConnectorKind::Source => device.groups.iter().map(|group| group.topic.to_string()).collect(),
        ConnectorKind::Sink => device.sink.iter().map(|sink| sink.topic.to_string()).collect(),
    }
}

#[async_trait]
impl Connectors for OwnConnectors {
    async fn create(&self, connector: NewConnector) -> Result<ConnectorInfo, String> {
        Err(format!(
            "no worker of Kafka Connect is configured: put the properties of `{name}` into \
             `connectors/{name}.properties` of the plant folder, where it is a PLC4X connector, or give `connect_url` \
             in `[sql]`",
            name = connector.name
        ))
    }

    async fn drop_connector(&self, name: &str) -> Result<bool, String> {
        let Some(own) = self.find(name) else { return Ok(false) };
        let what = match &*own.class {
            DEVICE_SOURCE => "take the device's `groups` out of the TOML",
            DEVICE_SINK => "take the device's `writes` out of the TOML",
            FORWARDER => "take `bootstrap_servers` out of `[log]`",
            _ => "remove its file from `connectors/`",
        };
        Err(format!("`{}` belongs to the plant folder: {what}", own.name))
    }

    async fn list(&self) -> Result<Vec<ConnectorInfo>, String> {
        Ok(self.all().iter().map(|own| self.info(own)).collect())
    }

    async fn describe(&self, name: &str) -> Result<Option<ConnectorDescription>, String> {
        let Some(own) = self.find(name) else { return Ok(None) };
        let tasks = self.tasks(&own).into_iter();
        Ok(Some(ConnectorDescription {
            info: self.info(&own),
            tasks: (0..).zip(tasks).map(|(number, (state, cause))| (number, state, cause)).collect(),
            topics: own.topics.into_iter().collect(),
        }))
    }

    async fn plugins(&self) -> Result<Vec<ConnectorPlugin>, String> {
        let plugin = |class: &str, kind: ConnectorKind| ConnectorPlugin {
            class: format!("org.apache.plc4x.kafka.{class}"),
            kind: kind.word().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        Ok(vec![plugin(SINK_CLASS, ConnectorKind::Sink), plugin(SOURCE_CLASS, ConnectorKind::Source)])
    }
}
