//! Goal: hundreds of queries run in one process, and threads, consumers and memory do not grow with them as they do where
//! each query is a program of its own (complaints 10 and 11 of ksqlDB's users). Method: they are counted and measured with
//! few queries and with hundreds; alone in this file, since the process is what is measured.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use millstream_bus::{Acks, Bus, TopicPartition, TopicSpec, memory::MemoryBus};
use millstream_sql::{Catalog, Engine, QueryState};
use std::sync::Arc;
use support::watched::WatchedBus;
use support::{Still, drained, read_all, record};

const FEW: usize = 10;
const MANY: usize = 400;
/// What a query may take: its plan, its operators, its two topics in memory.
const BYTES_PER_QUERY_MAX: usize = 96 << 10;

/// A number of `/proc/self/status`.
fn of_process(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().find_map(|word| word.parse().ok()).unwrap()
}

async fn start(engine: &Engine, from: usize, to: usize) {
    for n in from..to {
        let sql = match n % 2 {
            0 => format!("CREATE STREAM OUT{n} AS SELECT K, X + {n} AS X FROM S WHERE X > {n} EMIT CHANGES;"),
            _ => format!(
                "CREATE TABLE OUT{n} AS SELECT K, COUNT(*) AS N, AVG(X) AS A FROM S GROUP BY K EMIT CHANGES;"
            ),
        };
        engine.execute(&sql).await.unwrap();
    }
}

async fn feed(bus: &Arc<dyn Bus>, from: i64, to: i64) {
    let row = |n: i64| record(Some(&format!("k{}", n % 5)), Some(&format!("{{\"X\":{n}}}")), n);
    let records = (from..to).map(row).collect();
    bus.append(&TopicPartition::new("s", 0), records, Acks::All).await.unwrap();
}

/// (10, 11) Ten queries or four hundred: the same threads, one reader of the topic, and little memory for each.
#[tokio::test(start_paused = true)]
async fn hundreds_of_queries_take_one_consumer_no_thread_and_little_memory() {
    let watched = WatchedBus::new(MemoryBus::new());
    let bus: Arc<dyn Bus> = watched.clone();
    bus.create_topic(&TopicSpec::new("s", 1)).await.unwrap();
    let engine = Engine::new(bus.clone(), Catalog::new(), Arc::new(Still));
    let stream = "CREATE STREAM S (K VARCHAR KEY, X INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');";
    engine.execute(stream).await.unwrap();
    start(&engine, 0, FEW).await;
    feed(&bus, 0, 20).await;
    drained(&bus, &engine).await;
    assert_eq!(watched.readers(), 1, "few queries");
    let (threads, kib) = (of_process("Threads:"), of_process("VmRSS:"));
    start(&engine, FEW, MANY).await;
    feed(&bus, 20, 40).await;
    drained(&bus, &engine).await;
    feed(&bus, 40, 60).await;
    drained(&bus, &engine).await;
    assert_eq!(engine.queries().len(), MANY);
    assert!(
        engine.queries().iter().all(|query| query.state == QueryState::Running && query.records_in == 60)
    );
    assert_eq!(read_all(&bus, "OUT399").await.len(), 60);
    assert_eq!(watched.readers(), 1, "many queries");
    assert_eq!(of_process("Threads:"), threads);
    let grown = of_process("VmRSS:").saturating_sub(kib) * 1024 / (MANY - FEW);
    assert!(grown <= BYTES_PER_QUERY_MAX, "{grown} bytes per query");
    engine.stop().await;
    assert_eq!(watched.readers(), 0);
}
