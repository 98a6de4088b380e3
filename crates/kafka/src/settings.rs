//! Settings: the address of the cluster, and librdkafka's own names for everything else.

use crate::error::bus_error;
use crate::limits;
use millstream_bus::{BusError, Isolation};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use std::collections::BTreeMap;

/// How to reach a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KafkaSettings {
    /// `host:port` of one broker or more, separated by commas (`bootstrap.servers`).
    pub bootstrap_servers: String,
    /// Further settings under librdkafka's names, such as `security.protocol`, `sasl.username` or `compression.type`.
    pub options: BTreeMap<String, String>,
}

/// What decides over loss, doubling or order is not a matter of taste.
const OWN: [&str; 9] = [
    "acks",
    "auto.offset.reset",
    "bootstrap.servers",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "group.id",
    "isolation.level",
    "transactional.id",
];

impl KafkaSettings {
    /// A cluster without security at `bootstrap_servers`.
    pub fn new(bootstrap_servers: impl Into<String>) -> Self {
        Self { bootstrap_servers: bootstrap_servers.into(), options: BTreeMap::new() }
    }

    /// Finds settings that librdkafka does not know, values it refuses, and settings that Millstream makes itself.
    /// Needs no cluster.
    pub fn check(&self) -> Result<(), BusError> {
        if self.bootstrap_servers.trim().is_empty() {
            return Err(BusError::Invalid(
                "bootstrap_servers is empty; give host:port of a broker".to_owned(),
            ));
        }
        if let Some(own) = self.options.keys().find(|key| OWN.contains(&key.as_str())) {
            return Err(BusError::Invalid(format!(
                "Kafka setting {own} is made by Millstream itself; remove it"
            )));
        }
        self.base().create_native_config().map_err(|error| bus_error(&error, "Kafka settings"))?;
        Ok(())
    }

    fn base(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Info);
        config
            .set("client.id", "millstream")
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("socket.nagle.disable", "true")
            .set("reconnect.backoff.max.ms", "3000");
        for (key, value) in &self.options {
            config.set(key, value);
        }
        config
    }

    /// Sets what the user left open.
    fn with_defaults(&self, defaults: &[(&str, String)]) -> ClientConfig {
        let mut config = self.base();
        for (key, value) in defaults.iter().filter(|(key, _)| !self.options.contains_key(*key)) {
            config.set(*key, value);
        }
        config
    }

    /// A client that asks about topics and offsets.
    pub(crate) fn admin(&self, isolation: Isolation) -> ClientConfig {
        let mut config = self.base();
        config.set("isolation.level", isolation_level(isolation));
        config
    }

    /// A client that reads or commits for `group`.
    pub(crate) fn consumer(&self, group: &str, isolation: Isolation) -> ClientConfig {
        let mut config = self.with_defaults(&[("queued.max.messages.kbytes", limits::READER_KB.to_string())]);
        config
            .set("group.id", group)
            .set("isolation.level", isolation_level(isolation))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error");
        config
    }

    /// A client that appends, in transactions where there is an id.
    pub(crate) fn producer(&self, transactional_id: Option<&str>) -> ClientConfig {
        let mut config = self.with_defaults(&[
            ("queue.buffering.max.messages", limits::PRODUCER_RECORDS.to_string()),
            ("queue.buffering.max.kbytes", limits::PRODUCER_KB.to_string()),
            // Batches come whole from the caller; waiting for more would only add to the latency.
            ("linger.ms", "0".to_owned()),
            ("message.max.bytes", (millstream_bus::limits::RECORD_BYTES + 65_536).to_string()),
        ]);
        config.set("enable.idempotence", "true").set("acks", "all");
        if let Some(id) = transactional_id {
            config.set("transactional.id", id);
        }
        config
    }
}

fn isolation_level(isolation: Isolation) -> &'static str {
    match isolation {
        Isolation::ReadCommitted => "read_committed",
        Isolation::ReadUncommitted => "read_uncommitted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str, value: &str) -> Result<(), BusError> {
        let mut settings = KafkaSettings::new("127.0.0.1:9092");
        settings.options.insert(key.to_owned(), value.to_owned());
        settings.check()
    }

    #[test]
    fn librdkafkas_names_are_checked_without_a_cluster() {
        check("compression.type", "lz4").unwrap();
        check("linger.ms", "2").unwrap();
        for (key, value) in [("compresion.type", "lz4"), ("compression.type", "lzma"), ("linger.ms", "soon")]
        {
            let message = check(key, value).unwrap_err().to_string();
            assert!(message.contains(key), "{message}");
        }
        let message = check("enable.idempotence", "false").unwrap_err().to_string();
        assert_eq!(message, "Kafka setting enable.idempotence is made by Millstream itself; remove it");
        assert!(KafkaSettings::default().check().is_err());
    }
}
