//! What the tests of queries share: a bus that kills, a fixed clock, and waiting for queries to be done.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses its part")]

pub mod case;
pub mod deadly;
pub mod keys;
pub mod watched;

use millstream_bus::{Bus, Position, ReceivedRecord, Record, StartOffset, TopicPartition};
use millstream_bus::{FetchLimit, Isolation};
use millstream_model::{Clock, Timestamp};
use millstream_sql::Engine;
use std::sync::Arc;
use std::time::Duration;

/// A clock that stands still.
#[derive(Debug)]
pub struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(1_000_000)
    }
}

/// How long any wait may take before the test fails.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// Every committed record of a topic, by partition.
pub async fn read_all(bus: &Arc<dyn Bus>, topic: &str) -> Vec<(i32, ReceivedRecord)> {
    let Ok(description) = bus.describe_topic(topic).await else { return Vec::new() };
    let mut all = Vec::new();
    for partition in 0..description.partitions {
        let at = TopicPartition::new(topic, partition);
        let end = bus.offsets(&at).await.unwrap().stable;
        let from = vec![Position::new(at, StartOffset::Earliest)];
        let mut reader = bus.reader(from, Isolation::ReadCommitted).await.unwrap();
        while reader.positions()[0].1 < end {
            for fetched in reader.poll(FetchLimit::default()).await.unwrap() {
                all.extend(fetched.records.into_iter().map(|record| (partition, record)));
            }
        }
    }
    all
}

/// Waits until every query has read all that there is.
pub async fn drained(bus: &Arc<dyn Bus>, engine: &Engine) {
    let wait = async {
        let mut quiet = 0;
        let mut last = -1;
        while quiet < 3 {
            let (behind, written) = progress(bus, engine).await;
            quiet = if behind == 0 && written == last { quiet + 1 } else { 0 };
            last = written;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let through = tokio::time::timeout(DEADLINE, wait).await;
    assert!(through.is_ok(), "the queries did not get through: {:#?}", engine.queries());
}

/// Records that queries have still to read, and all that stand in any topic.
async fn progress(bus: &Arc<dyn Bus>, engine: &Engine) -> (i64, i64) {
    let (mut behind, mut written) = (0, 0);
    let topics = bus.topics().await.unwrap();
    for query in engine.queries() {
        let group = format!("_millstream-query-{}", query.id);
        let own = |name: &str| name.starts_with(&format!("{group}-")) && name.contains("repartition");
        for topic in topics.iter().filter(|t| query.sources.contains(&t.name) || own(&t.name)) {
            for partition in 0..topic.partitions {
                let at = TopicPartition::new(topic.name.as_str(), partition);
                let end = bus.offsets(&at).await.unwrap().stable;
                let mut least: Option<i64> = None;
                // A stage that reads a topic once more has offsets of its own.
                for group in
                    std::iter::once(group.clone()).chain((1..9).map(|stage| format!("{group}-{stage}")))
                {
                    let committed = bus.committed(&group, std::slice::from_ref(&at)).await.unwrap();
                    let found = committed[0].as_ref().map(|committed| committed.offset);
                    least = [least, found].into_iter().flatten().min();
                }
                behind += end - least.unwrap_or(0);
                written += end;
            }
        }
    }
    (behind, written)
}

/// A record with text as key and value.
pub fn record(key: Option<&str>, value: Option<&str>, timestamp: i64) -> Record {
    let bytes = |text: &str| bytes::Bytes::copy_from_slice(text.as_bytes());
    Record::new(key.map(bytes), value.map(bytes), Timestamp(timestamp))
}

/// A small generator of numbers that are the same in every run.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    /// A place in a list of this many.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.roll(u64::try_from(len).unwrap())).unwrap()
    }
}
