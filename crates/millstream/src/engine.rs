//! The log under a plant: the embedded one, or Apache Kafka behind it.

use crate::failure::Failure;
use millstream_bus::Bus;
use millstream_kafka::{KafkaBus, KafkaSettings};
use millstream_model::Clock;
use millstream_model::metric::Collect;
use millstream_plant::Plant;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where records are kept.
pub(crate) struct LogEngine {
    /// Where sources append: always the embedded log, so that a cut link loses nothing.
    pub(crate) sources: Arc<dyn Bus>,
    /// What queries, sinks and clients use.
    pub(crate) plant: Arc<dyn Bus>,
    /// In words, for people.
    pub(crate) words: String,
    /// What it counts.
    pub(crate) collectors: Vec<Arc<dyn Collect>>,
}

impl LogEngine {
    pub(crate) async fn open(plant: &Plant, _clock: Arc<dyn Clock>) -> Result<Self, Failure> {
        let bus = millstream_bus::memory::MemoryBus::new();
        let words = format!("embedded, in {}", plant.log.data_dir.display());
        Ok(Self { sources: bus.clone(), plant: bus, words, collectors: Vec::new() })
    }

    pub(crate) async fn close(&self) {}
}

/// Apache Kafka at `servers`.
pub(crate) async fn kafka(
    servers: &str,
    options: &BTreeMap<String, String>,
) -> Result<Arc<dyn Bus>, Failure> {
    let mut settings = KafkaSettings::new(servers);
    settings.options.clone_from(options);
    settings.check()?;
    Ok(KafkaBus::open(settings)?)
}
