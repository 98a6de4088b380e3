//! What the scheduler counts for one device.

use crate::SessionCounters;
use millstream_model::metric::{Collect, Counter, Gauge, Histogram, Page};
use std::sync::Arc;

/// What the scheduler counts for one device. Kept over reconnects.
#[derive(Debug, Default)]
pub struct DeviceMetrics {
    /// The device, for the label.
    pub device: Arc<str>,
    /// Counted by the session.
    pub session: Arc<SessionCounters>,
    /// Scans that were finished.
    pub scans: Counter,
    /// Scans that were skipped.
    pub overruns: Counter,
    /// Cells that were bad.
    pub bad_cells: Counter,
    /// Connections that were lost or could not be made.
    pub connection_errors: Counter,
    /// Attempts to connect.
    pub connects: Counter,
    /// Times the device's task failed and was started again.
    pub restarts: Counter,
    /// Writes that were done.
    pub writes: Counter,
    /// Writes that were refused or failed.
    pub writes_refused: Counter,
    /// 1 while online.
    pub online: Gauge,
    /// How often the interval is doubled at present because answers slowed down.
    pub slowed_down: Gauge,
    /// Tags that take no writes because too many failed in a row.
    pub latched_tags: Gauge,
    /// Time of one scan from first request to last answer.
    pub scan_time: Histogram,
}

impl DeviceMetrics {
    /// Nothing counted yet.
    pub fn new(device: Arc<str>) -> Self {
        Self { device, ..Self::default() }
    }
}

impl Collect for DeviceMetrics {
    #[expect(clippy::cast_precision_loss, reason = "small gauges")]
    fn collect(&self, page: &mut Page) {
        let labels: &[(&str, &str)] = &[("device", &self.device)];
        let session = &self.session;
        for (name, help, counter) in [
            ("millstream_device_scans_total", "Scans that were finished.", &self.scans),
            ("millstream_device_overruns_total", "Scans that were skipped.", &self.overruns),
            ("millstream_device_bad_cells_total", "Values that could not be read.", &self.bad_cells),
            (
                "millstream_device_connection_errors_total",
                "Connections that were lost or could not be made.",
                &self.connection_errors,
            ),
            ("millstream_device_connects_total", "Attempts to connect.", &self.connects),
            (
                "millstream_device_restarts_total",
                "Times the device's task failed and was started again.",
                &self.restarts,
            ),
            ("millstream_device_writes_total", "Writes that were done.", &self.writes),
            (
                "millstream_device_writes_refused_total",
                "Writes that were refused or failed.",
                &self.writes_refused,
            ),
            ("millstream_device_requests_total", "Requests sent.", &session.requests),
            (
                "millstream_device_timeouts_total",
                "Requests that were not answered in time.",
                &session.timeouts,
            ),
            ("millstream_device_exceptions_total", "Answers that were an error.", &session.exceptions),
            (
                "millstream_device_dropped_frames_total",
                "Answers that were late, foreign or of no request.",
                &session.dropped_frames,
            ),
            (
                "millstream_device_malformed_frames_total",
                "Frames that made no sense.",
                &session.malformed_frames,
            ),
            ("millstream_device_sent_bytes_total", "Bytes sent.", &session.bytes_sent),
            ("millstream_device_received_bytes_total", "Bytes received.", &session.bytes_received),
        ] {
            page.counter(name, help, labels, counter.get());
        }
        for (name, help, gauge) in [
            ("millstream_device_online", "1 while the device is online.", &self.online),
            (
                "millstream_device_slowed_down",
                "How often the scan interval is doubled because answers slowed down.",
                &self.slowed_down,
            ),
            (
                "millstream_device_latched_tags",
                "Tags that take no writes because too many failed in a row.",
                &self.latched_tags,
            ),
        ] {
            page.gauge(name, help, labels, gauge.get() as f64);
        }
        page.histogram("millstream_device_scan_seconds", "Time of one scan.", labels, &self.scan_time);
        page.histogram(
            "millstream_device_round_trip_seconds",
            "Time from request to answer.",
            labels,
            &session.round_trip,
        );
    }
}
