//! A plant that was read: valid by construction, nothing in it needs checking again.

use crate::Sources;
use crate::kafka::KafkaSettings;
use crate::stream::Columns;
use millstream_connect::plc_sink::SinkDevice;
use millstream_connect::plc_source::SourceGroup;
use millstream_driver::Driver;
use millstream_driver::schedule::DeviceConfig;
use millstream_driver::simulate::SimulatedTag;
use millstream_model::{AssetPath, Span, TagType};
use millstream_sql::Catalog;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Looks a variable of the environment up.
type Environment = dyn Fn(&str) -> Option<String> + Send + Sync;

/// What this build of Millstream has, and where secrets come from.
#[derive(Clone)]
pub struct Registry {
    drivers: Vec<Arc<dyn Driver>>,
    environment: Arc<Environment>,
}

impl Registry {
    /// These device protocols, and the process' environment for `${env:NAME}`.
    pub fn new(drivers: Vec<Arc<dyn Driver>>) -> Self {
        Self { drivers, environment: Arc::new(|name| std::env::var(name).ok()) }
    }

    /// Another environment for `${env:NAME}`.
    #[must_use]
    pub fn with_environment(
        mut self,
        environment: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.environment = Arc::new(environment);
        self
    }

    /// The driver of a connection string's protocol.
    pub fn driver(&self, protocol: &str) -> Option<&Arc<dyn Driver>> {
        self.drivers.iter().find(|driver| driver.about().protocols.contains(&protocol))
    }

    /// Every protocol.
    pub fn protocols(&self) -> impl Iterator<Item = &'static str> {
        self.drivers.iter().flat_map(|driver| driver.about().protocols.iter().copied())
    }

    pub(crate) fn environment(&self, name: &str) -> Option<String> {
        (self.environment)(name)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("protocols", &self.protocols().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// A whole plant.
#[derive(Debug, Clone)]
pub struct Plant {
    /// The folder, or the folder of the single file. Relative paths in the plant start here.
    pub folder: PathBuf,
    /// Where records are kept.
    pub log: LogSettings,
    /// The listeners for Kafka clients; `None` without a `[kafka]` table.
    pub kafka: Option<KafkaSettings>,
    /// The listener for HTTP; `None` when it is switched off.
    pub http: Option<Listener>,
    /// Settings of the queries.
    pub sql: SqlSettings,
    /// The machines, in the order of the files; those of connectors come last.
    pub devices: Vec<Device>,
    /// The files of `connectors/`, in the order of their names.
    pub connectors: Vec<Connector>,
    /// The statements, in the order they run.
    pub queries: Vec<Query>,
    /// The columns of each scan group, for SQL.
    pub(crate) streams: Vec<Columns>,
    /// The texts, to render diagnostics and to serve the plant.
    pub sources: Sources,
}

/// One machine.
#[derive(Debug, Clone)]
pub struct Device {
    /// Everything the scheduler needs.
    pub config: DeviceConfig,
    /// The key of its records.
    pub asset: AssetPath,
    /// One for each of `config.groups`, in their order.
    pub groups: Vec<SourceGroup>,
    /// The types of the tags of each group, as the device has them.
    pub types: Vec<Vec<TagType>>,
    /// Who may ask for writes; `None` where nothing may be written.
    pub sink: Option<SinkDevice>,
    /// The template it was made from.
    pub template: Option<Arc<str>>,
    /// How it is played when there is no hardware.
    pub simulation: Simulation,
    /// Where it is defined: its header, or its row.
    pub origin: Span,
}

/// A file of `connectors/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connector {
    /// Its name, as it says itself.
    pub name: Arc<str>,
    /// Its class.
    pub class: Arc<str>,
    /// Whether it writes to its devices; it reads them otherwise.
    pub is_sink: bool,
    /// The devices that it reads or writes.
    pub devices: Vec<Arc<str>>,
}

/// How a device is played when there is no hardware.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulation {
    /// Where its simulator listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How long every answer takes.
    pub delay: Duration,
    /// What it serves. Values are those in the device, before scaling.
    pub tags: Vec<SimulatedTag>,
}

/// Where records are kept.
#[derive(Clone, PartialEq)]
pub struct LogSettings {
    /// The embedded log's folder, absolute or from the working directory.
    pub data_dir: PathBuf,
    /// Apache Kafka in place of the embedded log.
    pub bootstrap_servers: Option<String>,
    /// Settings of the connection to it under librdkafka's names, secrets resolved.
    pub kafka: BTreeMap<String, String>,
    /// What shares one `fsync`.
    pub flush_interval: Duration,
    /// How long records stay.
    pub retention: Duration,
    /// How many bytes of a partition stay.
    pub retention_bytes: Option<u64>,
    /// Size of one file of a partition.
    pub segment_bytes: u64,
    /// How many records per second are sent to `bootstrap_servers` at most.
    pub forward_records_per_second: Option<f64>,
    /// How many bytes per second are sent there at most.
    pub forward_bytes_per_second: Option<u64>,
}

/// Settings of the queries.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SqlSettings {
    /// Processes of the same id divide the partitions of their queries.
    pub service_id: Option<String>,
    /// Another schema registry than that in the log, and the name and password to sign in there with.
    pub schema_registry: Option<String>,
    /// The name.
    pub schema_registry_user: Option<String>,
    /// The password.
    pub schema_registry_password: Option<String>,
    /// A worker of Kafka Connect, and the name and password to sign in there with.
    pub connect_url: Option<String>,
    /// The name.
    pub connect_user: Option<String>,
    /// The password.
    pub connect_password: Option<String>,
}

impl fmt::Debug for SqlSettings {
    /// Without the passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlSettings")
            .field("service_id", &self.service_id)
            .field("schema_registry", &self.schema_registry)
            .field("schema_registry_user", &self.schema_registry_user)
            .field("connect_url", &self.connect_url)
            .field("connect_user", &self.connect_user)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for LogSettings {
    /// Without the values of `kafka`: passwords are among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogSettings")
            .field("data_dir", &self.data_dir)
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("kafka", &self.kafka.keys().collect::<Vec<_>>())
            .field("flush_interval", &self.flush_interval)
            .field("retention", &self.retention)
            .field("retention_bytes", &self.retention_bytes)
            .field("segment_bytes", &self.segment_bytes)
            .field("forward_records_per_second", &self.forward_records_per_second)
            .field("forward_bytes_per_second", &self.forward_bytes_per_second)
            .finish()
    }
}

/// A port that is listened on.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Where; port 0 takes a free one.
    pub address: SocketAddr,
    /// Where it was said; `None` for the default.
    pub span: Option<Span>,
}

impl PartialEq for Listener {
    /// The address counts, not where it was said.
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address
    }
}

/// One file of `queries/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Its path as the user knows it.
    pub file: Arc<str>,
    /// Its statements.
    pub text: Arc<str>,
}

impl Plant {
    /// A catalog that knows the stream of every scan group's topic, for the SQL engine.
    pub fn catalog(&self) -> Catalog {
        catalog(&self.streams)
    }

    /// Adds the streams of the scan groups' topics to a catalog.
    pub fn declare(&self, catalog: &mut Catalog) {
        for columns in &self.streams {
            columns.declare(catalog);
        }
    }

    /// The device of that name.
    pub fn device(&self, name: &str) -> Option<&Device> {
        self.devices.iter().find(|device| &*device.config.name == name)
    }
}

/// A catalog with these streams.
pub(crate) fn catalog(streams: &[Columns]) -> Catalog {
    let mut catalog = Catalog::new();
    for columns in streams {
        columns.declare(&mut catalog);
    }
    catalog
}
