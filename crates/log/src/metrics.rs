//! What the log tells about itself.

use crate::{Log, Partition};
use millstream_model::metric::{Collect, Page};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Collect for Log {
    fn collect(&self, page: &mut Page) {
        let mut by_topic: BTreeMap<String, Vec<Arc<Partition>>> = BTreeMap::new();
        for partition in self.partitions() {
            by_topic.entry(partition.topic().to_owned()).or_default().push(partition);
        }
        for (topic, partitions) in &by_topic {
            collect_topic(page, topic, partitions);
        }
        page.histogram(
            "millstream_log_sync_seconds",
            "Time to put a file on disk.",
            &[],
            self.sync_seconds(),
        );
        if let Ok(space) = self.space() {
            let gauges = [
                ("millstream_log_disk_bytes", "Size of the log's file system.", space.total_bytes),
                ("millstream_log_disk_free_bytes", "Free bytes there.", space.free_bytes),
            ];
            for (name, help, bytes) in gauges {
                page.gauge(name, help, &[], approximate(bytes));
            }
        }
    }
}

fn collect_topic(page: &mut Page, topic: &str, partitions: &[Arc<Partition>]) {
    let labels = [("topic", topic)];
    let (records, bytes) = partitions
        .iter()
        .map(|partition| partition.appended_total())
        .fold((0, 0), |(all_records, all_bytes), (records, bytes)| {
            (all_records + records, all_bytes + bytes)
        });
    page.counter("millstream_log_appended_records_total", "Records appended.", &labels, records);
    page.counter("millstream_log_appended_bytes_total", "Bytes appended.", &labels, bytes);
    let size = partitions.iter().map(|partition| partition.size_bytes()).sum();
    page.gauge("millstream_log_topic_bytes", "Bytes of a topic on disk.", &labels, approximate(size));
    let fenced = partitions.iter().filter(|partition| partition.is_fenced()).count() as u64;
    let help = "Partitions that take no writes because the disk failed.";
    page.gauge("millstream_log_fenced_partitions", help, &labels, approximate(fenced));
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus counts in doubles")]
fn approximate(number: u64) -> f64 {
    number as f64
}
