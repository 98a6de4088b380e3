//! The log under a plant: the embedded one alone, or with Apache Kafka behind it.

use crate::failure::Failure;
use millstream_broker::{Embedded, EmbeddedConfig};
use millstream_bus::Bus;
use millstream_connect::forward::{ForwardConfig, Forwarder};
use millstream_connect::task::{TaskHandle, supervise};
use millstream_kafka::{KafkaBus, KafkaSettings};
use millstream_log::{Log, LogConfig, LogError, OsDisk, TopicConfig};
use millstream_model::Clock;
use millstream_model::metric::Collect;
use millstream_plant::{LogSettings, Plant};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::sync::Arc;

/// The file in the data folder that holds the name under which this log is forwarded.
const FORWARD_ID: &str = "forward.id";

/// Where records are kept.
pub(crate) struct LogEngine {
    /// Where sources append: always the embedded log, so that a cut link loses nothing.
    pub(crate) sources: Arc<dyn Bus>,
    /// What queries, sinks and clients use.
    pub(crate) plant: Arc<dyn Bus>,
    /// The embedded log, whatever is behind it.
    pub(crate) embedded: Arc<Embedded>,
    /// What ships the one to the other, where they are two.
    pub(crate) forwarder: Option<TaskHandle>,
    /// In words, for people.
    pub(crate) words: String,
    /// What it counts.
    pub(crate) collectors: Vec<Arc<dyn Collect>>,
}

impl LogEngine {
    /// Opens the log of `plant`, and recovers what the last process left.
    pub(crate) async fn open(plant: &Plant, clock: Arc<dyn Clock>) -> Result<Self, Failure> {
        let settings = &plant.log;
        let config = crate::kafka::engine(plant);
        let embedded = embedded(settings, config, clock).await?;
        let Some(servers) = &settings.bootstrap_servers else {
            let words = format!("embedded, in {}", settings.data_dir.display());
            let (plant, collectors) = (embedded.clone(), vec![embedded.clone() as Arc<dyn Collect>]);
            return Ok(Self {
                sources: embedded.clone(),
                plant,
                embedded,
                forwarder: None,
                words,
                collectors,
            });
        };
        let plant = open_kafka(servers, &settings.kafka)?;
        // Where both count a topic, what has reached the cluster counts.
        let collectors: Vec<Arc<dyn Collect>> = vec![plant.clone(), embedded.clone()];
        let forwarder = Some(forward(settings, embedded.clone(), plant.clone())?);
        let words = format!("Apache Kafka at {servers}");
        Ok(Self { sources: embedded.clone(), plant, embedded, forwarder, words, collectors })
    }

    /// Puts everything on disk.
    pub(crate) async fn close(&self) {
        if let Err(error) = self.embedded.close().await {
            tracing::error!(%error, "the log was not closed in order; the next start recovers it");
        }
    }
}

async fn embedded(
    settings: &LogSettings,
    engine: EmbeddedConfig,
    clock: Arc<dyn Clock>,
) -> Result<Arc<Embedded>, Failure> {
    let config = LogConfig {
        flush_interval: settings.flush_interval,
        topic: TopicConfig {
            retention_ms: i64::try_from(settings.retention.as_millis()).ok(),
            retention_bytes: settings.retention_bytes,
            segment_bytes: settings.segment_bytes,
            ..TopicConfig::default()
        },
        ..LogConfig::default()
    };
    let (dir, wall) = (settings.data_dir.clone(), clock.clone());
    let opened = tokio::task::spawn_blocking(move || Log::open(Arc::new(OsDisk), &dir, config, wall)).await;
    let (log, reports) = opened
        .map_err(|error| Failure::failed(format!("the log cannot be opened: {error}")))?
        .map_err(|error| unusable(&error, settings))?;
    for report in reports {
        tracing::warn!(topic = report.topic, partition = report.partition, "{}", report.message);
    }
    Ok(Embedded::open(log, engine, clock).await?)
}

const UNREADABLE: &str = "the log cannot be read as it is; keep a copy of the folder before anything else";

/// Why there is no log, and what to do.
fn unusable(error: &LogError, settings: &LogSettings) -> Failure {
    let set = "set another folder: [log] data_dir = \"/var/lib/millstream\"";
    match error {
        LogError::DataDir { .. } => {
            Failure::mistake(error.to_string(), format!("end the process that has the folder, or {set}"))
        }
        LogError::Io { source, .. } => {
            let folder = settings.data_dir.display();
            let help = match source.kind() {
                ErrorKind::PermissionDenied => {
                    format!("let the user of this process write to `{folder}`, or {set}")
                }
                ErrorKind::ReadOnlyFilesystem => {
                    format!("`{folder}` is on a disk that cannot be written; {set}")
                }
                ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
                    format!("`{folder}` is no folder; {set}")
                }
                _ => return Failure::failed(error.to_string()).help(UNREADABLE),
            };
            Failure::mistake(error.to_string(), help)
        }
        LogError::DiskFull { .. } => Failure::failed(error.to_string()),
        _ => Failure::failed(error.to_string()).help(UNREADABLE),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate need not be exact")]
fn forward_config(settings: &LogSettings, id: String) -> ForwardConfig {
    ForwardConfig {
        id: id.into(),
        topics: vec!["*".to_owned()],
        records_per_second_max: settings.forward_records_per_second,
        bytes_per_second_max: settings.forward_bytes_per_second.map(|rate| rate as f64),
    }
}

/// Ships everything that is appended here. The name lasts as long as the data folder does: a new folder has new offsets.
fn forward(settings: &LogSettings, local: Arc<dyn Bus>, remote: Arc<dyn Bus>) -> Result<TaskHandle, Failure> {
    let config = forward_config(settings, forward_id(&settings.data_dir)?);
    Ok(supervise(Forwarder::metrics(&config), move || {
        Forwarder::new(local.clone(), remote.clone(), config.clone())
    }))
}

fn forward_id(data_dir: &Path) -> Result<String, Failure> {
    let path = data_dir.join(FORWARD_ID);
    let failed = |error: std::io::Error| Failure::failed(format!("cannot use `{}`: {error}", path.display()));
    match std::fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    // Random keys are the system's; nothing secret hangs on them, only that no two folders share a name.
    let id = format!("{:016x}", RandomState::new().hash_one(&path));
    keep(data_dir, &path, &id).map_err(failed)?;
    Ok(id)
}

/// Writes the name so that a power cut does not take it: under another one everything would be shipped once more.
fn keep(data_dir: &Path, path: &Path, id: &str) -> std::io::Result<()> {
    std::fs::create_dir_all(data_dir)?;
    let mut file = std::fs::File::create(path)?;
    file.write_all(id.as_bytes())?;
    file.sync_all()?;
    std::fs::File::open(data_dir)?.sync_all()
}

/// Apache Kafka at `servers`.
pub(crate) fn kafka(servers: &str, options: &BTreeMap<String, String>) -> Result<Arc<dyn Bus>, Failure> {
    Ok(open_kafka(servers, options)?)
}

fn open_kafka(servers: &str, options: &BTreeMap<String, String>) -> Result<Arc<KafkaBus>, Failure> {
    let mut settings = KafkaSettings::new(servers);
    settings.options.clone_from(options);
    settings.check()?;
    Ok(KafkaBus::open(settings)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waited_for_a_cut_link_is_sent_as_fast_as_was_said() {
        let mut settings = LogSettings {
            data_dir: "data".into(),
            bootstrap_servers: Some("kafka1:9092".to_owned()),
            kafka: BTreeMap::new(),
            flush_interval: std::time::Duration::ZERO,
            retention: std::time::Duration::MAX,
            retention_bytes: None,
            segment_bytes: 1 << 20,
            forward_records_per_second: Some(20_000.0),
            forward_bytes_per_second: Some(2 << 20),
        };
        let config = forward_config(&settings, "a".to_owned());
        assert_eq!(config.records_per_second_max, Some(20_000.0));
        assert_eq!(config.bytes_per_second_max, Some(2_097_152.0));
        (settings.forward_records_per_second, settings.forward_bytes_per_second) = (None, None);
        let config = forward_config(&settings, "a".to_owned());
        assert_eq!((config.records_per_second_max, config.bytes_per_second_max), (None, None));
    }

    #[test]
    fn a_folder_is_forwarded_under_one_name_as_long_as_it_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        let first = forward_id(&a).unwrap();
        assert_eq!(forward_id(&a).unwrap(), first);
        assert_ne!(forward_id(&b).unwrap(), first);
        std::fs::remove_dir_all(&a).unwrap();
        assert_ne!(forward_id(&a).unwrap(), first, "a new folder has new offsets");
    }
}
