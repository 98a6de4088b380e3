//! Goal: several processes with the same service id divide the tasks of their queries and take over from one another, with
//! exact results. Method: engines over one bus in memory, one of them stopped or dropped (as a killed process) in the
//! middle; every record must have come through once.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use millstream_bus::{Acks, Bus, TopicPartition, TopicSpec, memory::MemoryBus};
use millstream_sql::{Catalog, Engine};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use support::{DEADLINE, Still, read_all, record};

const PARTITIONS: i32 = 8;
const STATEMENTS: &str = "CREATE STREAM S (K VARCHAR KEY, X INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');
    CREATE STREAM COPY AS SELECT * FROM S EMIT CHANGES;
    CREATE TABLE COUNTS AS SELECT K, COUNT(*) AS N FROM S GROUP BY K EMIT CHANGES;";

async fn engine(bus: &Arc<dyn Bus>) -> Engine {
    let engine = Engine::new(bus.clone(), Catalog::new(), Arc::new(Still)).sharing("plant");
    engine.execute(STATEMENTS).await.unwrap();
    engine
}

async fn feed(bus: &Arc<dyn Bus>, from: i64, to: i64) {
    for n in from..to {
        let partition = i32::try_from(n).unwrap() % PARTITIONS;
        let value = format!("{{\"X\":{n}}}");
        let made = record(Some(&format!("k{partition}")), Some(&value), n);
        bus.append(&TopicPartition::new("s", partition), vec![made], Acks::All).await.unwrap();
    }
}

/// Waits until the copy has `count` records, and checks that nothing is there twice or missing.
async fn exactly(bus: &Arc<dyn Bus>, count: i64) {
    let copied = async {
        while read_all(bus, "COPY").await.len() < usize::try_from(count).unwrap() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(
        tokio::time::timeout(DEADLINE, copied).await.is_ok(),
        "{} of {count}",
        read_all(bus, "COPY").await.len()
    );
    let counted = async {
        loop {
            let mut newest = BTreeMap::new();
            for (_, received) in read_all(bus, "COUNTS").await {
                newest.insert(received.record.key.unwrap(), received.record.value.unwrap());
            }
            let expected = format!("{{\"N\":{}}}", count / i64::from(PARTITIONS));
            if newest.len() == usize::try_from(PARTITIONS).unwrap() && newest.values().all(|n| *n == expected)
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(DEADLINE, counted).await.is_ok(), "the counts are wrong");
    let mut values: Vec<_> =
        read_all(bus, "COPY").await.into_iter().map(|(_, r)| r.record.value.unwrap()).collect();
    values.sort();
    values.dedup();
    assert_eq!(values.len(), usize::try_from(count).unwrap());
    assert_eq!(read_all(bus, "COPY").await.len(), values.len());
    assert_eq!(read_all(bus, "COUNTS").await.len(), values.len());
}

#[tokio::test(start_paused = true)]
async fn two_engines_divide_the_tasks_and_one_takes_over_when_the_other_goes() {
    let bus: Arc<dyn Bus> = MemoryBus::new();
    bus.create_topic(&TopicSpec::new("s", PARTITIONS)).await.unwrap();
    let (first, second) = (engine(&bus).await, engine(&bus).await);
    feed(&bus, 0, 160).await;
    exactly(&bus, 160).await;
    let share = |engine: &Engine| engine.queries().iter().map(|query| query.records_in).sum::<u64>();
    // Both have worked: which of them did what is the group's to say.
    assert!(share(&first) > 0 && share(&second) > 0, "{} and {}", share(&first), share(&second));
    first.stop().await;
    feed(&bus, 160, 320).await;
    exactly(&bus, 320).await;
    // A third one comes; the second goes without a word.
    let third = engine(&bus).await;
    feed(&bus, 320, 400).await;
    drop(second);
    feed(&bus, 400, 480).await;
    exactly(&bus, 480).await;
    third.stop().await;
}
