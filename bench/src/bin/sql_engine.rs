//! How fast queries answer and come back on the embedded log, in one process and without a client between.
//!
//! usage: `sql_engine latency SECONDS`: a filter and an average over windows of one second, 1,000 records a second;
//! prints p50 and p99 in milliseconds from the append of a record to the moment when a reader has its result.
//! usage: `sql_engine restart KEYS`: a count by key over so many keys, stopped and opened again; prints the seconds
//! from the opening of the log to the first result, and the resident megabytes then.

use bytes::Bytes;
use millstream_broker::{Embedded, EmbeddedConfig};
use millstream_bus::{
    Acks, Bus, FetchLimit, Isolation, Position, Reader, Record, StartOffset, TopicPartition, TopicSpec,
};
use millstream_log::{Log, LogConfig, OsDisk};
use millstream_model::{Clock, Timestamp};
use millstream_sql::{Catalog, Engine};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The machine's clock.
#[derive(Debug)]
struct Wall(Instant, i64);

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        Timestamp(self.1 + i64::try_from(self.0.elapsed().as_millis()).unwrap_or(0))
    }
}

const QUERY: &str = "CREATE STREAM S (K VARCHAR KEY, T DOUBLE, P DOUBLE) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');
    CREATE TABLE MEANS AS SELECT K, AVG(T) AS MEAN FROM S WINDOW TUMBLING (SIZE 1 SECOND, GRACE PERIOD 1 SECOND)
    WHERE T > 0 GROUP BY K EMIT CHANGES;";
const COUNTS: &str =
    "CREATE STREAM S (K VARCHAR KEY, T DOUBLE, P DOUBLE) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');
    CREATE TABLE COUNTS AS SELECT K, COUNT(*) AS N FROM S GROUP BY K EMIT CHANGES;";

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    let folder = std::env::temp_dir().join(format!("millstream-sql-engine-{}", std::process::id()));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let measured = match arguments.as_slice() {
        [_, "latency", seconds] => latency(&folder, seconds.parse()?).await,
        [_, "restart", keys] => restart(&folder, keys.parse()?).await,
        _ => return Err("usage: sql_engine latency SECONDS | restart KEYS".into()),
    };
    std::fs::remove_dir_all(&folder)?;
    writeln!(std::io::stdout(), "{}", measured?)?;
    Ok(())
}

/// An embedded log in `folder`, and an engine over it.
async fn open(folder: &Path) -> Result<(Arc<Embedded>, Arc<dyn Bus>, Engine), Failure> {
    let since = UNIX_EPOCH.elapsed()?.as_millis();
    let clock = Arc::new(Wall(Instant::now(), i64::try_from(since)?));
    let (path, log_clock): (PathBuf, _) = (folder.to_owned(), clock.clone());
    let opened = tokio::task::spawn_blocking(move || {
        Log::open(Arc::new(OsDisk), &path, LogConfig::default(), log_clock)
    });
    let (log, _) = opened.await??;
    let embedded = Embedded::open(log, EmbeddedConfig::default(), clock.clone()).await?;
    let bus: Arc<dyn Bus> = embedded.clone();
    let engine = Engine::new(bus.clone(), Catalog::new(), clock);
    Ok((embedded, bus, engine))
}

async fn reader(bus: &Arc<dyn Bus>, topic: &str) -> Result<Box<dyn Reader>, Failure> {
    let from = Position::new(TopicPartition::new(topic, 0), StartOffset::Latest);
    Ok(bus.reader(vec![from], Isolation::ReadCommitted).await?)
}

fn record(key: &str, time: i64, n: usize) -> Record {
    let value = format!("{{\"T\":{}.25,\"P\":{}.5}}", 40 + n % 50, 180 + n % 7);
    Record::new(Some(Bytes::from(key.to_owned())), Some(Bytes::from(value)), Timestamp(time))
}

async fn latency(folder: &Path, seconds: usize) -> Result<String, Failure> {
    let (_embedded, bus, engine) = open(folder).await?;
    bus.create_topic(&TopicSpec::new("s", 1)).await?;
    engine.execute(QUERY).await?;
    let source = TopicPartition::new("s", 0);
    let mut results = None;
    let mut latencies = Vec::new();
    let mut tick = tokio::time::interval(Duration::from_millis(1));
    for n in 0..seconds * 1_000 {
        tick.tick().await;
        let appended = Instant::now();
        let now = i64::try_from(UNIX_EPOCH.elapsed()?.as_millis())?;
        bus.append(&source, vec![record("press1", now, n)], Acks::Leader).await?;
        // The first result makes the topic.
        while results.is_none() {
            results = reader(&bus, "MEANS").await.ok();
            tokio::task::yield_now().await;
        }
        let Some(results) = &mut results else { continue };
        while results.poll(FetchLimit::default()).await?.iter().all(|fetched| fetched.records.is_empty()) {}
        // The first second warms up.
        if n >= 1_000 {
            latencies.push(appended.elapsed());
        }
    }
    engine.stop().await;
    latencies.sort_unstable();
    let at = |share: usize| {
        let place = (latencies.len() * share / 100).min(latencies.len().saturating_sub(1));
        latencies.get(place).map_or(0.0, Duration::as_secs_f64) * 1e3
    };
    Ok(format!("{:.3} {:.3}", at(50), at(99)))
}

async fn restart(folder: &Path, keys: usize) -> Result<String, Failure> {
    let source = TopicPartition::new("s", 0);
    // Of now: what is older than the retention would be forgotten.
    let time = i64::try_from(UNIX_EPOCH.elapsed()?.as_millis())?;
    {
        let (embedded, bus, engine) = open(folder).await?;
        bus.create_topic(&TopicSpec::new("s", 1)).await?;
        for first in (0..keys).step_by(1_000) {
            let piece = (first..keys.min(first + 1_000)).map(|n| record(&format!("key-{n:08}"), time, n));
            bus.append(&source, piece.collect(), Acks::Leader).await?;
        }
        engine.execute(COUNTS).await?;
        while engine.queries().iter().any(|query| query.records_in < keys as u64) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        engine.stop().await;
        embedded.close().await?;
    }
    let began = Instant::now();
    let (_embedded, bus, engine) = open(folder).await?;
    let mut results = reader(&bus, "COUNTS").await?;
    engine.execute(COUNTS).await?;
    bus.append(&source, vec![record("key-00000000", time, 0)], Acks::Leader).await?;
    let value = loop {
        let fetched = results.poll(FetchLimit::default()).await?;
        if let Some(received) = fetched.into_iter().flat_map(|fetched| fetched.records).next() {
            break received.record.value.unwrap_or_default();
        }
    };
    let seconds = began.elapsed().as_secs_f64();
    if value != Bytes::from_static(b"{\"N\":2}") {
        return Err(format!("the count is wrong: {value:?}").into());
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kilobytes: u64 = resident.trim().trim_end_matches(" kB").parse()?;
    engine.stop().await;
    Ok(format!("{seconds:.3} {}", kilobytes / 1_024))
}
