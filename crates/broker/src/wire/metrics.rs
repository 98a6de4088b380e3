//! What is counted of the Kafka protocol.

use crate::wire::apis;
use crate::wire::sign_ins::SignIns;
use kafka_protocol::messages::ApiKey;
use millstream_model::metric::{Collect, Counter, Gauge, Histogram, Page};
use std::collections::BTreeMap;
use std::time::Duration;

/// Counted over all connections.
#[derive(Debug)]
pub(crate) struct WireMetrics {
    pub(crate) connections: Gauge,
    pub(crate) accepted: Counter,
    /// Connections that were one too many.
    pub(crate) refused: Counter,
    /// Connections that the broker closed because of what the client did.
    pub(crate) closed: Counter,
    pub(crate) received: Counter,
    pub(crate) sent: Counter,
    pub(crate) throttled: Counter,
    pub(crate) sign_ins: SignIns,
    requests: BTreeMap<i16, (String, Histogram)>,
}

impl Default for WireMetrics {
    fn default() -> Self {
        let name = |api_key: i16| {
            ApiKey::try_from(api_key).map_or_else(|()| api_key.to_string(), |key: ApiKey| format!("{key:?}"))
        };
        let requests = apis::SERVED.iter().map(|(key, _)| (*key, (name(*key), Histogram::default())));
        Self {
            connections: Gauge::default(),
            accepted: Counter::default(),
            refused: Counter::default(),
            closed: Counter::default(),
            received: Counter::default(),
            sent: Counter::default(),
            throttled: Counter::default(),
            sign_ins: SignIns::default(),
            requests: requests.collect(),
        }
    }
}

impl WireMetrics {
    /// One request was answered.
    pub(crate) fn answered(&self, api_key: i16, took: Duration) {
        if let Some((_, time)) = self.requests.get(&api_key) {
            time.observe(took);
        }
    }
}

impl Collect for WireMetrics {
    fn collect(&self, page: &mut Page) {
        #[expect(clippy::cast_precision_loss, reason = "Prometheus counts in doubles")]
        let connections = self.connections.get() as f64;
        page.gauge("millstream_kafka_connections", "Connections of Kafka clients.", &[], connections);
        let counters: [(&'static str, &str, &Counter); 8] = [
            (
                "millstream_kafka_connections_accepted_total",
                "Kafka connections that were let in.",
                &self.accepted,
            ),
            ("millstream_kafka_connections_refused_total", "Kafka connections over a limit.", &self.refused),
            (
                "millstream_kafka_connections_closed_total",
                "Kafka connections closed for what the client did.",
                &self.closed,
            ),
            ("millstream_kafka_received_bytes_total", "Bytes of requests.", &self.received),
            ("millstream_kafka_sent_bytes_total", "Bytes of responses.", &self.sent),
            (
                "millstream_kafka_throttled_total",
                "Requests after which a client had to wait for its quota.",
                &self.throttled,
            ),
            (
                "millstream_kafka_sign_ins_total",
                "Sign-ins of Kafka clients, by password or certificate.",
                &self.sign_ins.accepted,
            ),
            (
                "millstream_kafka_sign_ins_refused_total",
                "Sign-ins of Kafka clients that were refused.",
                &self.sign_ins.refused,
            ),
        ];
        for (name, help, counter) in counters {
            page.counter(name, help, &[], counter.get());
        }
        for (name, time) in self.requests.values().filter(|(_, time)| time.count() > 0) {
            let labels = [("api", name.as_str())];
            let help = "Time from a request to its response.";
            page.histogram("millstream_kafka_request_seconds", help, &labels, time);
        }
    }
}
