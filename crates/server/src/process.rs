//! What the process itself uses, under the names that every Prometheus client library has.

use millstream_model::metric::Page;

/// Bytes of a page of memory on every platform we build for, for the resident size in `statm`.
const PAGE_BYTES: u64 = 4096;

/// Writes `process_…` metrics. On systems without `/proc` only the build information appears.
pub(crate) fn collect(page: &mut Page, version: &str, started_at_ms: i64) {
    page.gauge("millstream_build_info", "The running version.", &[("version", version)], 1.0);
    #[expect(clippy::cast_precision_loss, reason = "seconds with milliseconds fit a double")]
    let started = started_at_ms as f64 / 1e3;
    page.gauge("process_start_time_seconds", "Start of the process since the epoch.", &[], started);
    if let Some(bytes) = resident_bytes() {
        #[expect(clippy::cast_precision_loss, reason = "documented by Prometheus as a double")]
        page.gauge("process_resident_memory_bytes", "Resident memory.", &[], bytes as f64);
    }
    if let Some(count) = open_files() {
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        page.gauge("process_open_fds", "Open file descriptors.", &[], count as f64);
    }
}

fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * PAGE_BYTES)
}

fn open_files() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count())
}
