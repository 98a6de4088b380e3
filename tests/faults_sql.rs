//! FAULTS, rows F23, F25 and F26: poison, late records, crashes and panics under the SQL engine over the embedded log.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use async_trait::async_trait;
use bytes::Bytes;
use millstream_broker::{Embedded, EmbeddedConfig};
use millstream_bus::{
    Acks, Bus, BusError, CommittedOffset, GroupDescription, GroupReader, Isolation, OffsetRange, Position,
    Reader, ReceivedRecord, Record, StartOffset, TopicDescription, TopicPartition, TopicSpec,
    TransactionalProducer, partition_for_key,
};
use millstream_log::{Log, LogConfig, Random, SimDisk};
use millstream_model::metric::{Collect as _, Page};
use millstream_model::{Clock as _, Timestamp};
use millstream_sql::{Catalog, ERROR_TOPIC, Engine, QueryState, QueryStatus, SqlType};
use millstream_tests::oracle::{Delivery, Ledger};
use millstream_tests::rooms::{PATIENCE, TestClock, records, rounds, until, values};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const INPUT: &str = "press.telemetry";

/// When everything happens: retention goes by the records' times.
const AT: i64 = 1_700_000_000_000;

fn catalog() -> Catalog {
    let mut catalog = Catalog::new();
    let columns = [
        ("temperature", SqlType::Double),
        ("running", SqlType::Boolean),
        ("state", SqlType::Int),
        ("count", SqlType::BigInt),
        ("note", SqlType::Varchar),
    ];
    catalog.declare_stream("press_telemetry", INPUT, "asset", &columns);
    catalog
}

async fn open(disk: &SimDisk, clock: &Arc<TestClock>) -> Result<(Arc<Log>, Arc<Embedded>), String> {
    let disk = Arc::new(disk.clone());
    let (log, _) = Log::open(disk, Path::new("/data"), LogConfig::default(), clock.clone())
        .map_err(|error| error.to_string())?;
    let bus = Embedded::open(log.clone(), EmbeddedConfig::default(), clock.clone()).await;
    Ok((log, bus.map_err(|error| error.to_string())?))
}

async fn engine(bus: &Arc<dyn Bus>, clock: &Arc<TestClock>, sql: &str) -> Engine {
    let engine = Engine::new(bus.clone(), catalog(), clock.clone());
    engine.execute(sql).await.unwrap();
    engine
}

fn status(engine: &Engine, id: &str) -> QueryStatus {
    engine.queries().into_iter().find(|query| query.id == id).unwrap()
}

/// Waits until every query has committed everything that its sources hold.
async fn drained(bus: &Arc<dyn Bus>, engine: &Engine) {
    until("every query has read everything", PATIENCE, async || {
        for query in engine.queries() {
            let group = format!("_millstream-query-{}", query.id);
            for source in &query.sources {
                let partitions = bus.describe_topic(source).await.ok()?.partitions;
                for partition in 0..partitions {
                    let at = TopicPartition::new(source.as_str(), partition);
                    let end = bus.offsets(&at).await.ok()?.stable;
                    let committed = bus.committed(&group, std::slice::from_ref(&at)).await.ok()?.remove(0);
                    if committed.map_or(0, |committed| committed.offset) < end {
                        return None;
                    }
                }
            }
        }
        Some(())
    })
    .await;
}

fn row(key: &str, at: i64, value: impl Into<Bytes>) -> Record {
    Record::new(Some(Bytes::copy_from_slice(key.as_bytes())), Some(value.into()), Timestamp(at))
}

async fn feed(bus: &Arc<dyn Bus>, records: Vec<Record>, partitions: i32) -> Vec<(i32, i64)> {
    let mut places = Vec::new();
    for record in records {
        let partition = partition_for_key(record.key.as_deref(), partitions);
        let to = TopicPartition::new(INPUT, partition);
        places.push((partition, bus.append(&to, vec![record], Acks::All).await.unwrap()));
    }
    places
}

fn json(received: &ReceivedRecord) -> Json {
    serde_json::from_slice(received.record.value.as_deref().unwrap()).unwrap()
}

/// Records that no query can use as they are: a name, and the record.
fn poison() -> Vec<(&'static str, Record)> {
    let value = |bytes: &[u8]| {
        Record::new(Some("acme/p1".into()), Some(Bytes::copy_from_slice(bytes)), Timestamp(AT))
    };
    let deep = |n: usize| format!(r#"{{"note":{}1{}}}"#, "[".repeat(n), "]".repeat(n));
    let long = format!(r#"{{"count":1e{}}}"#, "9".repeat(400_000));
    vec![
        ("no JSON", value(b"temperature=7")),
        ("nothing at all", value(b"")),
        ("half an object", value(br#"{"count":1,"sta"#)),
        ("another type", value(br#"{"count":{"a":1},"state":1}"#)),
        ("text for a number", value(br#"{"count":"many","state":1}"#)),
        ("a number too large for INTEGER", value(br#"{"count":-1,"state":3000000000}"#)),
        ("a number too large for BIGINT", value(br#"{"count":99999999999999999999,"state":1}"#)),
        ("a number too large for DOUBLE", value(br#"{"count":-1,"state":1,"temperature":1e400}"#)),
        ("NaN", value(br#"{"count":-1,"state":1,"temperature":NaN}"#)),
        ("division by zero", value(br#"{"count":-1,"state":0}"#)),
        ("the smallest by minus one", value(br#"{"count":-9223372036854775808,"state":-1}"#)),
        ("an array", value(br"[1,2,3]")),
        ("nested deeply", value(deep(200).as_bytes())),
        ("nested so deeply that a stack would overflow", value(deep(200_000).as_bytes())),
        ("no UTF-8", value(b"{\"note\":\"\xff\xfe\",\"count\":-1}")),
        ("a number of 400,000 digits", value(long.as_bytes())),
        (
            "a key that is no text",
            Record::new(Some(Bytes::from_static(b"\xff\x00")), Some("{".into()), Timestamp(AT)),
        ),
    ]
}

/// Records that look like poison and are none: they cost nobody anything.
fn harmless() -> Vec<Record> {
    let huge = "k".repeat(500_000);
    let note = format!(r#"{{"count":-2,"state":1,"note":"{}"}}"#, "x".repeat(900_000));
    vec![
        Record::new(Some("acme/p1".into()), None, Timestamp(AT)),
        Record::new(None, Some(r#"{"count":-2,"state":1}"#.into()), Timestamp(AT)),
        row(&huge, AT, r#"{"count":-2,"state":1}"#),
        row("acme/p1", AT, note),
        row("acme/p1", AT, r#"{"unknown":true,"count":-2,"state":1}"#),
    ]
}

/// Every bad record is told with its place by each query that it hurt, and no good one is.
fn judge_errors(engine: &Engine, errors: &[Json], poisoned: &BTreeMap<(i32, i64), &str>) {
    let place = |error: &Json| {
        let partition = i32::try_from(error["partition"].as_i64().unwrap()).unwrap();
        (partition, error["offset"].as_i64().unwrap())
    };
    for error in errors {
        assert_eq!(error["topic"], INPUT);
        assert!(!error["error"].as_str().unwrap().is_empty(), "{error}");
        assert!(poisoned.contains_key(&place(error)), "a good record was called bad: {error}");
        assert!(error.to_string().len() < 40_000, "an error record is short");
    }
    for id in ["CSAS_SHARES", "CTAS_SUMS"] {
        let told: BTreeSet<_> = errors.iter().filter(|error| error["query"] == id).map(place).collect();
        let silent: Vec<_> =
            poisoned.iter().filter(|(place, _)| !told.contains(place)).map(|(_, n)| *n).collect();
        // The sum neither divides nor reads the temperature.
        let unused = ["division by zero", "the smallest by minus one", "a number too large for DOUBLE"];
        assert!(
            silent.iter().all(|name| id == "CTAS_SUMS" && unused.contains(name)),
            "{id} said nothing of {silent:?}"
        );
        let status = status(engine, id);
        let count = errors.iter().filter(|error| error["query"] == id).count();
        assert_eq!(status.errors, count as u64, "O8: the counter counts what is told");
        assert_eq!((status.state, status.restarts), (QueryState::Running, 0), "{id}");
    }
}

#[tokio::test]
async fn f23_poison_is_told_record_by_record_and_the_query_goes_on_with_exact_results() {
    const PARTITIONS: i32 = 2;
    let (disk, clock) = (SimDisk::new(1), TestClock::start());
    let (_log, embedded) = open(&disk, &clock).await.unwrap();
    let bus: Arc<dyn Bus> = embedded;
    bus.create_topic(&TopicSpec::new(INPUT, PARTITIONS)).await.unwrap();
    let engine = engine(
        &bus,
        &clock,
        "CREATE STREAM shares WITH (KAFKA_TOPIC='shares', PARTITIONS=2) AS
           SELECT asset, count AS id, count / state AS share, temperature, note FROM press_telemetry EMIT CHANGES;
         CREATE TABLE sums WITH (KAFKA_TOPIC='sums') AS
           SELECT asset, COUNT(*) AS n, SUM(count) AS total FROM press_telemetry
           WHERE count >= 0 AND state > 0 GROUP BY asset EMIT CHANGES;",
    )
    .await;
    // What is too large for any record is refused where it comes in, not where it hurts.
    let five_megabytes = row("acme/p1", AT, vec![b'x'; 5_000_000]);
    let refused = bus.append(&TopicPartition::new(INPUT, 0), vec![five_megabytes], Acks::All).await;
    assert!(matches!(refused, Err(BusError::Invalid(_))), "{refused:?}");

    let mut random = Random::new(23);
    let (mut ledger, mut sum, mut poisoned, mut next) = (Ledger::new(), 0_u64, BTreeMap::new(), 1_u64);
    for _ in 0..3 {
        for (name, record) in poison() {
            for _ in 0..random.below(4) {
                let good = row("acme/p1", AT, format!(r#"{{"count":{next},"state":1}}"#));
                feed(&bus, vec![good], PARTITIONS).await;
                ledger.acknowledge("acme/p1", next);
                sum += next;
                next += 1;
            }
            poisoned.insert(feed(&bus, vec![record], PARTITIONS).await[0], name);
            feed(&bus, vec![harmless().swap_remove(usize::try_from(random.below(5)).unwrap())], PARTITIONS)
                .await;
        }
    }
    drained(&bus, &engine).await;

    // Every good record is in the result once and in order.
    let ids = records(&*bus, "shares").await;
    let ids = ids.iter().map(json).filter_map(|row| row["ID"].as_u64()).filter(|id| *id >= 1).collect();
    // Those of the poison that give a row all the same (a share that is NULL) have a count below 0.
    let found = BTreeMap::from([("acme/p1".to_owned(), ids)]);
    ledger.judge(&found, Delivery::Once).assert_good();
    let last = values(&*bus, "sums").await.into_iter().rfind(|row| row["TOTAL"].as_u64() == Some(sum));
    assert!(
        last.is_some_and(|row| row["N"].as_u64() == Some(next - 1)),
        "the sum of the good records is exact"
    );

    judge_errors(&engine, &values(&*bus, ERROR_TOPIC).await, &poisoned);
    let mut page = Page::default();
    engine.collect(&mut page);
    let page = page.render();
    assert!(page.contains("millstream_query_errors_total"), "{page}");
    engine.stop().await;
}

const SIZE_MS: i64 = 1_000;
const GRACE_MS: i64 = 500;
const WINDOWED: &str = "CREATE TABLE windows WITH (KAFKA_TOPIC='windows') AS
    SELECT asset, COUNT(*) AS n, SUM(count) AS total, MIN(count) AS low, MAX(count) AS high, WINDOWSTART AS since
    FROM press_telemetry WINDOW TUMBLING (SIZE 1 SECOND, GRACE PERIOD 500 MILLISECONDS)
    GROUP BY asset EMIT CHANGES;";

/// Key and window start → count, sum, least, largest.
type Windows = BTreeMap<(String, i64), (i64, i64, i64, i64)>;

/// The same by hand: the newest time of a partition closes its windows, and what comes later is left out and counted.
fn by_hand(events: &[(String, i64, i64)], partitions: i32) -> (Windows, u64) {
    let (mut windows, mut late) = (Windows::new(), 0);
    let mut newest: BTreeMap<i32, i64> = BTreeMap::new();
    for (key, at, count) in events {
        let partition = partition_for_key(Some(key.as_bytes()), partitions);
        let now = newest.entry(partition).or_insert(*at);
        *now = (*now).max(*at);
        let start = at.div_euclid(SIZE_MS) * SIZE_MS;
        if start + SIZE_MS + GRACE_MS <= *now {
            late += 1;
            continue;
        }
        let window = windows.entry((key.clone(), start)).or_insert((0, 0, *count, *count));
        *window = (window.0 + 1, window.1 + count, window.2.min(*count), window.3.max(*count));
    }
    (windows, late)
}

/// What the query's topic says in the end, and every count that each window had on the way.
async fn by_query(bus: &dyn Bus) -> (Windows, BTreeMap<(String, i64), Vec<i64>>) {
    let (mut windows, mut counts) = (Windows::new(), BTreeMap::<_, Vec<i64>>::new());
    for received in records(bus, "windows").await {
        let key = received.record.key.clone().unwrap();
        // ksqlDB's windowed key: the group key, then the window's start in eight bytes.
        let (name, start) = key.split_at(key.len() - 8);
        let key = (String::from_utf8(name.to_vec()).unwrap(), i64::from_be_bytes(start.try_into().unwrap()));
        let row = json(&received);
        let number = |name: &str| row[name].as_i64().unwrap();
        assert_eq!(number("SINCE"), key.1);
        counts.entry(key.clone()).or_default().push(number("N"));
        windows.insert(key, (number("N"), number("TOTAL"), number("LOW"), number("HIGH")));
    }
    (windows, counts)
}

/// Events of three machines whose times jump about: mostly forward, some back within the grace, some far behind.
fn events(random: &mut Random, count: i64) -> Vec<(String, i64, i64)> {
    let mut time = AT;
    let mut events: Vec<(String, i64, i64)> = Vec::new();
    for number in 0..count {
        let back = |random: &mut Random, ms: u64| i64::try_from(random.below(ms)).unwrap();
        let at = match random.below(10) {
            0 => time - back(random, 400),
            1 => time - 1_000 - back(random, 3_000),
            _ => {
                time += back(random, 120);
                time
            }
        };
        let key = format!("acme/p{}", random.below(3));
        events.push((key, at, number));
        // The network sends some twice; the log has no way to know, so each counts.
        if random.below(20) == 0 {
            events.push(events[events.len() - 1].clone());
        }
    }
    events
}

fn event_rows(events: &[(String, i64, i64)]) -> Vec<Record> {
    events.iter().map(|(key, at, count)| row(key, *at, format!(r#"{{"count":{count}}}"#))).collect()
}

#[tokio::test]
async fn f25_late_and_disordered_records_give_what_a_batch_over_the_same_records_gives() {
    for seed in 0..rounds(8, 100) as u64 {
        let partitions = 1 + i32::try_from(seed % 2).unwrap();
        let (disk, clock, mut random) = (SimDisk::new(seed), TestClock::start(), Random::new(seed));
        let (_log, embedded) = open(&disk, &clock).await.unwrap();
        let bus: Arc<dyn Bus> = embedded;
        bus.create_topic(&TopicSpec::new(INPUT, partitions)).await.unwrap();
        let all = events(&mut random, 400);
        let (first, second) = all.split_at(all.len() / 2);
        feed(&bus, event_rows(first), partitions).await;
        let running = engine(&bus, &clock, WINDOWED).await;
        drained(&bus, &running).await;
        let late_before = status(&running, "CTAS_WINDOWS").late_records;
        // A restart in the middle changes nothing of it: what was closed stays closed.
        running.stop().await;
        let running = engine(&bus, &clock, WINDOWED).await;
        feed(&bus, event_rows(second), partitions).await;
        drained(&bus, &running).await;
        let (windows, late) = by_hand(&all, partitions);
        assert!(late > 10, "the events try it");
        assert_eq!(by_query(&*bus).await.0, windows, "seed {seed}");
        assert_eq!(
            late_before + status(&running, "CTAS_WINDOWS").late_records,
            late,
            "late ones are counted"
        );
        running.stop().await;
    }
}

#[tokio::test]
async fn f26_the_power_may_go_at_any_step_of_a_windowed_query_and_every_count_is_exact() {
    let clock = TestClock::start();
    // Once in peace, to know how many steps there are.
    let mut random = Random::new(26);
    let all = events(&mut random, 60);
    let (windows, _) = by_hand(&all, 1);
    let steps = {
        let disk = replay(&clock, &all).await;
        let before = disk.changes_made();
        let (_log, embedded) = open(&disk, &clock).await.unwrap();
        let bus: Arc<dyn Bus> = embedded;
        let running = engine(&bus, &clock, WINDOWED).await;
        drained(&bus, &running).await;
        feed(&bus, event_rows(&all[all.len() / 2..]), 1).await;
        drained(&bus, &running).await;
        running.stop().await;
        assert_eq!(by_query(&*bus).await.0, windows);
        disk.changes_made() - before
    };
    assert!(steps > 50, "{steps}");
    let rounds = rounds(25, 20) as u64;
    for round in 0..rounds {
        let mut disk = replay(&clock, &all).await;
        // Spread over the whole life, and over the lives after it.
        let at = round * steps / rounds;
        let before = disk.changes_made();
        disk.off_after(at);
        crash_under_way(&disk, &clock, &all, before + at).await;
        disk = disk.crash();
        // The next life ends as well, soon.
        let before = disk.changes_made();
        let soon = random.below(60);
        disk.off_after(soon);
        crash_under_way(&disk, &clock, &all, before + soon).await;
        disk = disk.crash();

        let (_log, embedded) =
            open(&disk, &clock).await.unwrap_or_else(|error| panic!("O9, round {round}: {error}"));
        let bus: Arc<dyn Bus> = embedded;
        finish_feeding(&bus, &all).await;
        let running = engine(&bus, &clock, WINDOWED).await;
        drained(&bus, &running).await;
        running.stop().await;
        let (found, counts) = by_query(&*bus).await;
        assert_eq!(found, windows, "round {round}: the power went at step {at} of {steps}, then at {soon}");
        // No count twice and none left out on the way: each input was counted once, whatever was repeated.
        for (window, counts) in counts {
            let expected: Vec<i64> = (1..=windows[&window].0).collect();
            let mut distinct = counts.clone();
            distinct.dedup();
            assert_eq!(counts, distinct, "round {round}: {window:?}");
            assert!(counts.windows(2).all(|pair| pair[0] < pair[1]), "round {round}: {window:?} {counts:?}");
            assert_eq!(counts.last(), expected.last());
        }
    }
}

/// A disk with the first half of the events, durable.
async fn replay(clock: &Arc<TestClock>, all: &[(String, i64, i64)]) -> SimDisk {
    let disk = SimDisk::new(26);
    let (log, embedded) = open(&disk, clock).await.unwrap();
    let bus: Arc<dyn Bus> = embedded.clone();
    bus.create_topic(&TopicSpec::new(INPUT, 1)).await.unwrap();
    feed(&bus, event_rows(&all[..all.len() / 2]), 1).await;
    embedded.close().await.unwrap();
    drop((bus, embedded, log));
    disk.kill()
}

/// Appends those of the events that are not in the log yet.
async fn finish_feeding(bus: &Arc<dyn Bus>, all: &[(String, i64, i64)]) {
    let have = bus.offsets(&TopicPartition::new(INPUT, 0)).await.unwrap().latest;
    feed(bus, event_rows(&all[usize::try_from(have).unwrap()..]), 1).await;
}

/// One life that the power ends at disk change number `end`, if it gets there.
async fn crash_under_way(disk: &SimDisk, clock: &Arc<TestClock>, all: &[(String, i64, i64)], end: u64) {
    let Ok((_log, embedded)) = open(disk, clock).await else { return };
    let bus: Arc<dyn Bus> = embedded;
    let engine = Engine::new(bus.clone(), catalog(), clock.clone());
    if engine.execute(WINDOWED).await.is_err() {
        return;
    }
    let have = bus.offsets(&TopicPartition::new(INPUT, 0)).await.map_or(0, |range| range.latest);
    for record in event_rows(&all[usize::try_from(have).unwrap()..]) {
        if bus.append(&TopicPartition::new(INPUT, 0), vec![record], Acks::All).await.is_err() {
            break;
        }
    }
    until("the power goes, or all is done", PATIENCE, async || {
        let at = TopicPartition::new(INPUT, 0);
        let end_offset = bus.offsets(&at).await.ok().map(|range| range.stable);
        let group = "_millstream-query-CTAS_WINDOWS";
        let committed = bus.committed(group, std::slice::from_ref(&at)).await.ok();
        let committed = committed.and_then(|mut all| all.remove(0)).map(|committed| committed.offset);
        let done = end_offset.is_some() && committed == end_offset;
        (disk.changes_made() >= end || done).then_some(())
    })
    .await;
}

/// A bus on which everything about one query panics while it is told to.
#[derive(Debug)]
struct Trap {
    inner: Arc<dyn Bus>,
    armed: AtomicBool,
}

impl Trap {
    fn step(&self, id: &str) {
        assert!(!(id.contains("SICK") && self.armed.load(Ordering::Relaxed)), "a panic on purpose");
    }
}

#[async_trait]
impl Bus for Trap {
    async fn create_topic(&self, spec: &TopicSpec) -> Result<(), BusError> {
        self.inner.create_topic(spec).await
    }

    async fn delete_topic(&self, topic: &str) -> Result<(), BusError> {
        self.inner.delete_topic(topic).await
    }

    async fn topics(&self) -> Result<Vec<TopicDescription>, BusError> {
        self.inner.topics().await
    }

    async fn describe_topic(&self, topic: &str) -> Result<TopicDescription, BusError> {
        self.inner.describe_topic(topic).await
    }

    async fn append(&self, to: &TopicPartition, records: Vec<Record>, acks: Acks) -> Result<i64, BusError> {
        self.inner.append(to, records, acks).await
    }

    async fn offsets(&self, of: &TopicPartition) -> Result<OffsetRange, BusError> {
        self.inner.offsets(of).await
    }

    async fn offset_for_time(&self, of: &TopicPartition, time: Timestamp) -> Result<Option<i64>, BusError> {
        self.inner.offset_for_time(of, time).await
    }

    async fn delete_records(&self, of: &TopicPartition, before: i64) -> Result<(), BusError> {
        self.inner.delete_records(of, before).await
    }

    async fn reader(&self, from: Vec<Position>, isolation: Isolation) -> Result<Box<dyn Reader>, BusError> {
        self.inner.reader(from, isolation).await
    }

    async fn subscribe(
        &self,
        group: &str,
        topics: &[String],
        start: StartOffset,
        isolation: Isolation,
    ) -> Result<Box<dyn GroupReader>, BusError> {
        self.inner.subscribe(group, topics, start, isolation).await
    }

    async fn committed(
        &self,
        group: &str,
        of: &[TopicPartition],
    ) -> Result<Vec<Option<CommittedOffset>>, BusError> {
        self.inner.committed(group, of).await
    }

    async fn commit(
        &self,
        group: &str,
        offsets: &[(TopicPartition, CommittedOffset)],
    ) -> Result<(), BusError> {
        self.inner.commit(group, offsets).await
    }

    async fn groups(&self) -> Result<Vec<GroupDescription>, BusError> {
        self.inner.groups().await
    }

    async fn transactional(&self, id: &str) -> Result<Box<dyn TransactionalProducer>, BusError> {
        self.step(id);
        self.inner.transactional(id).await
    }
}

#[tokio::test]
async fn f23_f34_a_query_that_panics_stops_no_other_and_mends_itself() {
    let (disk, clock) = (SimDisk::new(1), TestClock::start());
    let (_log, embedded) = open(&disk, &clock).await.unwrap();
    let trap = Arc::new(Trap { inner: embedded, armed: AtomicBool::new(true) });
    let bus: Arc<dyn Bus> = trap.clone();
    bus.create_topic(&TopicSpec::new(INPUT, 1)).await.unwrap();
    let running = engine(
        &bus,
        &clock,
        "CREATE STREAM sick WITH (KAFKA_TOPIC='sick') AS SELECT asset, count AS id FROM press_telemetry;
         CREATE STREAM well WITH (KAFKA_TOPIC='well') AS SELECT asset, count AS id FROM press_telemetry;",
    )
    .await;
    let mut ledger = Ledger::new();
    for id in 1..=100 {
        feed(&bus, vec![row("acme/p1", clock.now().0, format!(r#"{{"count":{id}}}"#))], 1).await;
        ledger.acknowledge("well", id);
        ledger.acknowledge("sick", id);
    }
    let ids = async |topic: &str| -> Vec<u64> {
        values(&*bus, topic).await.iter().map(|row| row["ID"].as_u64().unwrap()).collect()
    };
    until("the healthy query has read everything", PATIENCE, async || {
        (ids("well").await.len() == 100).then_some(())
    })
    .await;
    until("the sick one says why", PATIENCE, async || {
        let status = status(&running, "CSAS_SICK");
        let says = matches!(&status.state, QueryState::Error(cause) if cause.contains("panic"));
        (says && status.restarts >= 2).then_some(())
    })
    .await;
    assert!(ids("sick").await.is_empty());
    assert_eq!(status(&running, "CSAS_WELL").restarts, 0);
    trap.armed.store(false, Ordering::Relaxed);
    drained(&bus, &running).await;
    let found =
        BTreeMap::from([("well".to_owned(), ids("well").await), ("sick".to_owned(), ids("sick").await)]);
    ledger.judge(&found, Delivery::Once).assert_good();
    until("it says that it is well", PATIENCE, async || {
        (status(&running, "CSAS_SICK").state == QueryState::Running).then_some(())
    })
    .await;
    running.stop().await;
}
