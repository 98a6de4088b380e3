//! What the tests share: a clock that follows simulated time, a bus with faults on demand, and a scripted machine under the
//! real scheduler and guard.
#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "every test file uses its own part"
)]

pub mod bus;
pub mod machine;

use bytes::Bytes;
use millstream_bus::{Bus, FetchLimit, Isolation, Position, Record, StartOffset, TopicPartition};
use millstream_model::{Clock, Timestamp};
use serde_json::Value as Json;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// The wall clock of simulated time.
#[derive(Debug)]
pub struct TestClock {
    start: Instant,
}

pub const START: Timestamp = Timestamp(1_700_000_000_000);

impl TestClock {
    pub fn start() -> Arc<Self> {
        Arc::new(Self { start: Instant::now() })
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        START.plus(self.start.elapsed())
    }
}

/// Every record of a topic, partition by partition.
pub async fn records(bus: &dyn Bus, topic: &str) -> Vec<Record> {
    let Ok(description) = bus.describe_topic(topic).await else { return Vec::new() };
    let mut all = Vec::new();
    for partition in 0..description.partitions {
        let at = TopicPartition::new(topic, partition);
        let latest = bus.offsets(&at).await.unwrap().stable;
        let position = Position::new(at, StartOffset::Earliest);
        let mut reader = bus.reader(vec![position], Isolation::ReadCommitted).await.unwrap();
        while reader.positions()[0].1 < latest {
            let limit = FetchLimit { wait_max: Duration::ZERO, ..FetchLimit::default() };
            for fetched in reader.poll(limit).await.unwrap() {
                all.extend(fetched.records.into_iter().map(|received| received.record));
            }
        }
    }
    all
}

/// The values of a topic as JSON.
pub async fn values(bus: &dyn Bus, topic: &str) -> Vec<Json> {
    let records = records(bus, topic).await;
    records.iter().map(|r| serde_json::from_slice(r.value.as_deref().unwrap_or(b"null")).unwrap()).collect()
}

/// The first value that `wanted` likes, within a minute of simulated time.
pub async fn wait_for_value(bus: &dyn Bus, topic: &str, wanted: impl Fn(&Json) -> bool) -> Json {
    eventually(async || values(bus, topic).await.into_iter().find(|value| wanted(value))).await
}

/// Asks again and again, in simulated time, until there is an answer.
pub async fn eventually<T>(ask: impl AsyncFn() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_mins(10), wait).await.expect("in time")
}

/// A text as bytes.
pub fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}
