//! What every connector counts.

use millstream_model::metric::{Collect, Counter, Gauge, Page};
use std::sync::Arc;

/// The counters of one connector. Kept over restarts of its task.
#[derive(Debug)]
pub struct ConnectorMetrics {
    /// The connector's name, the label of all its metrics.
    pub connector: Arc<str>,
    /// Records that went through: appended, or settled at the destination.
    pub records: Counter,
    /// Bytes of their keys, values and headers.
    pub bytes: Counter,
    /// Records that the connector or its destination refused.
    pub refused: Counter,
    /// Samples that were given up because the log had no room for them in time; the next record tells how many.
    pub dropped: Counter,
    /// Attempts that failed and were, or will be, made again.
    pub retries: Counter,
    /// Times that the task was started again.
    pub restarts: Counter,
    /// Records that were gone before they could be forwarded, because retention was faster.
    pub lost: Counter,
    /// Records that wait for the connector.
    pub lag: Gauge,
    /// Records inside the connector: handed over, but not acknowledged.
    pub pending: Gauge,
    /// 1 while it runs, 0 while it waits to be started again, -1 when it has failed.
    pub state: Gauge,
}

impl ConnectorMetrics {
    /// Counters at zero.
    pub fn new(connector: impl Into<Arc<str>>) -> Arc<Self> {
        Arc::new(Self {
            connector: connector.into(),
            records: Counter::default(),
            bytes: Counter::default(),
            refused: Counter::default(),
            dropped: Counter::default(),
            retries: Counter::default(),
            restarts: Counter::default(),
            lost: Counter::default(),
            lag: Gauge::default(),
            pending: Gauge::default(),
            state: Gauge::default(),
        })
    }
}

impl Collect for ConnectorMetrics {
    fn collect(&self, page: &mut Page) {
        let labels = [("connector", &*self.connector)];
        let counters = [
            ("millstream_connector_records_total", "Records that went through.", &self.records),
            ("millstream_connector_bytes_total", "Bytes that went through.", &self.bytes),
            ("millstream_connector_refused_total", "Records that were refused.", &self.refused),
            (
                "millstream_connector_dropped_total",
                "Samples given up because the log had no room.",
                &self.dropped,
            ),
            ("millstream_connector_retries_total", "Attempts that failed and are made again.", &self.retries),
            ("millstream_connector_restarts_total", "Times that the task was started again.", &self.restarts),
            ("millstream_connector_lost_total", "Records gone before they were forwarded.", &self.lost),
        ];
        for (name, help, counter) in counters {
            page.counter(name, help, &labels, counter.get());
        }
        let gauges = [
            ("millstream_connector_lag_records", "Records that wait for the connector.", &self.lag),
            ("millstream_connector_pending_records", "Records not acknowledged yet.", &self.pending),
            ("millstream_connector_state", "1 running, 0 waiting, -1 failed.", &self.state),
        ];
        for (name, help, gauge) in gauges {
            #[expect(clippy::cast_precision_loss, reason = "a count for people")]
            page.gauge(name, help, &labels, gauge.get() as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_is_on_the_page_with_its_connector() {
        let metrics = ConnectorMetrics::new("plc-source");
        metrics.records.add(3);
        metrics.state.set(-1);
        let mut page = Page::default();
        metrics.collect(&mut page);
        let text = page.render();
        assert!(text.contains("millstream_connector_records_total{connector=\"plc-source\"} 3"), "{text}");
        assert!(text.contains("millstream_connector_state{connector=\"plc-source\"} -1"), "{text}");
    }
}
