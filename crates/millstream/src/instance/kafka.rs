//! The embedded log for Kafka clients: the listeners of `[kafka]`.

use super::Instance;
use crate::failure::Failure;
use millstream_broker::{Wire, WireConfig, WireError};
use millstream_connect::audit::AUDIT_TOPIC;
use millstream_plant::Plant;
use std::io::ErrorKind;
use std::num::NonZero;
use std::sync::Arc;

impl Instance {
    /// Serves the Kafka protocol with these settings, where the plant wants it.
    pub(super) async fn serve_kafka(
        &mut self,
        config: Option<WireConfig>,
        plant: &Plant,
    ) -> Result<(), Failure> {
        let Some(config) = config else { return Ok(()) };
        let protocols: Vec<_> = config.listeners.iter().map(|listener| listener.protocol).collect();
        // Threads of their own: a storm of clients must not hold up the scan of a device.
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        // The trail of what was written to machines is nobody's to change.
        let protected_topics = vec![AUDIT_TOPIC.to_owned()];
        let config = WireConfig { threads, protected_topics, ..config };
        let wire = match Wire::serve(&self.log.embedded, config).await {
            Ok(wire) => wire,
            Err(error) => {
                if let Some(server) = self.server.take() {
                    server.close().await;
                }
                self.log.close().await;
                return Err(refused(&error, plant));
            }
        };
        for (protocol, address) in protocols.iter().zip(wire.addresses()) {
            self.add_listener("Kafka clients", format!("{}://{address}", protocol.name()));
        }
        let wire = Arc::new(wire);
        self.facts.collectors.lock().push(wire.clone());
        self.wire = Some(wire);
        Ok(())
    }
}

/// Why there is no listener, where that was said, and what to do.
fn refused(error: &WireError, plant: &Plant) -> Failure {
    let WireError::Listen { address, source } = error else {
        return Failure::mistake(error.to_string(), "`millstream check` looks at [kafka] offline");
    };
    let listeners = plant.kafka.iter().flat_map(|kafka| &kafka.listeners);
    let span =
        listeners.filter(|listener| listener.listen == *address).find_map(|listener| listener.span.clone());
    let said_at = span.map(|span| format!(" ({})", plant.sources.place(&span))).unwrap_or_default();
    if source.kind() == ErrorKind::AddrInUse {
        let next = address.port().checked_add(1).unwrap_or(9_093);
        return Failure::mistake(
            format!("{address} is in use by another program{said_at}"),
            format!("end that program, or set another port: [kafka] listen = \"{}:{next}\"", address.ip()),
        );
    }
    let help = "set an address of this machine: [kafka] listen = \"127.0.0.1:9092\"";
    Failure::mistake(format!("{error}{said_at}"), help)
}
