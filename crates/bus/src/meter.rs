//! Counts what an engine appends, per topic.

use millstream_model::metric::{Collect, Counter, Page};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What was appended to one topic since the start.
#[derive(Debug, Default)]
pub struct TopicMeter {
    records: Counter,
    bytes: Counter,
}

impl TopicMeter {
    /// Counts one append.
    pub fn appended(&self, records: usize, bytes: usize) {
        self.records.add(u64::try_from(records).unwrap_or(0));
        self.bytes.add(u64::try_from(bytes).unwrap_or(0));
    }

    /// Records so far.
    pub fn records(&self) -> u64 {
        self.records.get()
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.get()
    }
}

/// The meters of all topics that were appended to.
#[derive(Debug, Default)]
pub struct TopicMeters(RwLock<BTreeMap<Arc<str>, Arc<TopicMeter>>>);

impl TopicMeters {
    /// The meter of `topic`; keep it where appends are frequent.
    pub fn topic(&self, topic: &str) -> Arc<TopicMeter> {
        if let Some(meter) = self.0.read().get(topic) {
            return Arc::clone(meter);
        }
        Arc::clone(self.0.write().entry(Arc::from(topic)).or_default())
    }

    /// Forgets a topic that was deleted.
    pub fn forget(&self, topic: &str) {
        self.0.write().remove(topic);
    }
}

impl Collect for TopicMeters {
    fn collect(&self, page: &mut Page) {
        for (topic, meter) in &*self.0.read() {
            let labels = [("topic", &**topic)];
            let (records, bytes) = (meter.records(), meter.bytes());
            page.counter("millstream_topic_records_total", "Records appended to a topic.", &labels, records);
            page.counter("millstream_topic_bytes_total", "Bytes appended to a topic.", &labels, bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_records_and_bytes_per_topic() {
        let meters = TopicMeters::default();
        meters.topic("a").appended(3, 100);
        meters.topic("a").appended(1, 10);
        meters.topic("b").appended(1, 1);
        meters.forget("b");
        let mut page = Page::default();
        meters.collect(&mut page);
        let page = page.render();
        assert!(page.contains("millstream_topic_records_total{topic=\"a\"} 4\n"), "{page}");
        assert!(page.contains("millstream_topic_bytes_total{topic=\"a\"} 110\n"), "{page}");
        assert!(!page.contains("\"b\""), "{page}");
    }
}
