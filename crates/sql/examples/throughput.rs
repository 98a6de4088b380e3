//! How many records per second one core takes through whole queries, on the bus in memory: decode JSON, filter, average
//! over one-second windows, encode, append, commit; and how long a query takes to begin again with as many keys of state.
//! The same work as the Kafka Streams figure in the notes on peers:
//! `cargo run --release -p millstream-sql --example throughput -- [records [keys]]`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a measurement for a person"
)]

use millstream_bus::memory::MemoryBus;
use millstream_bus::{Acks, Bus, Record, TopicPartition, TopicSpec};
use millstream_model::{Clock, Timestamp};
use millstream_sql::{Catalog, Engine, SqlType};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }
}

const QUERIES: [(&str, &str); 3] = [
    ("filter", "CREATE STREAM out AS SELECT asset, temperature FROM press WHERE temperature > 1000;"),
    (
        "filter, all pass",
        "CREATE STREAM out AS SELECT asset, temperature, speed FROM press WHERE temperature > 0;",
    ),
    (
        "filter, 1 s average",
        "CREATE TABLE out AS SELECT asset, AVG(temperature) AS mean FROM press \
         WINDOW TUMBLING (SIZE 1 SECOND, GRACE PERIOD 1 SECOND) WHERE temperature > 0 GROUP BY asset;",
    ),
];

async fn filled(records: i64, keys: i64) -> Arc<dyn Bus> {
    let bus: Arc<dyn Bus> = MemoryBus::new();
    bus.create_topic(&TopicSpec::new("press", 1)).await.unwrap();
    let mut batch = Vec::new();
    for n in 0..records {
        let value = format!(
            "{{\"temperature\":{}.25,\"pressure\":{}.5,\"running\":true,\"speed\":{},\"count\":{n},\"state\":3}}",
            40 + n % 50,
            180 + n % 7,
            n % 1_000,
        );
        let key = format!("acme/berlin/stamping/line2/press{}", n % keys);
        batch.push(Record::new(Some(key.into()), Some(value.into()), Timestamp(n)));
        if batch.len() == 1_000 || n == records - 1 {
            let records = std::mem::take(&mut batch);
            bus.append(&TopicPartition::new("press", 0), records, Acks::All).await.unwrap();
        }
    }
    bus
}

const AVERAGE_PER_KEY: &str =
    "CREATE TABLE out AS SELECT asset, AVG(temperature) AS mean FROM press GROUP BY asset;";

fn engine(bus: Arc<dyn Bus>) -> Engine {
    let mut catalog = Catalog::new();
    let columns = [
        ("temperature", SqlType::Double),
        ("pressure", SqlType::Double),
        ("running", SqlType::Boolean),
        ("speed", SqlType::Int),
        ("count", SqlType::BigInt),
        ("state", SqlType::Int),
    ];
    catalog.declare_stream("press", "press", "asset", &columns);
    Engine::new(bus, catalog, Arc::new(Still))
}

/// Runs a query until it has read so many records; the seconds that it took.
async fn run(engine: &Engine, sql: &str, records: i64) -> f64 {
    let start = Instant::now();
    engine.execute(sql).await.unwrap();
    while engine.queries()[0].records_in < records.unsigned_abs() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    start.elapsed().as_secs_f64()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let number = |place| std::env::args().nth(place).and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let (records, keys) = (number(1), number(2));
    for (name, sql) in QUERIES {
        let engine = engine(filled(records, 10).await);
        let seconds = run(&engine, sql, records).await;
        let status = &engine.queries()[0];
        println!("{name:>20}: {:>9.0} records/s in, {} out", records as f64 / seconds, status.records_out);
        engine.stop().await;
    }
    let bus = filled(keys, keys).await;
    let before = engine(bus.clone());
    let seconds = run(&before, AVERAGE_PER_KEY, keys).await;
    println!("{:>20}: {:>9.0} records/s in, {keys} keys", "average, no window", keys as f64 / seconds);
    before.stop().await;
    let one = Record::new(Some("acme".into()), Some("{\"temperature\":1.5}".into()), Timestamp(keys));
    bus.append(&TopicPartition::new("press", 0), vec![one], Acks::All).await.unwrap();
    let after = engine(bus);
    let seconds = run(&after, AVERAGE_PER_KEY, 1).await;
    println!("{:>20}: {seconds:.2} s until the first record is through", format!("restart, {keys} keys"));
    after.stop().await;
}
