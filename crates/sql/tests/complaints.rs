//! Goal: what users of ksqlDB suffer from does not happen here. Method: one test per complaint, named after what holds and
//! with the number of the complaint; those that are said in records alone are in `cases/complaints.case` (5, 6, 13, 14, 15,
//! 16, 18), that of many queries in one process (10, 11) is in `complaints_many.rs`.
//!
//! Not here: windows that end while nothing comes (1), the previous value of a key (3), days and shifts of a place (4) and
//! queries within queries (the other half of 5) come with the functions for signals; how alive a project is (19) no test
//! can show.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use millstream_bus::{Acks, Bus, TopicPartition, memory::MemoryBus};
use millstream_registry::BusRegistry;
use millstream_sql::{
    Catalog, Engine, PushQuery, QueryState, STATEMENT_TOPIC, Session, SqlError, StatementResult, limits,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use support::watched::{Cut, WatchedBus};
use support::{DEADLINE, Still, drained, read_all, record};

const STREAM: &str =
    "CREATE STREAM S (K VARCHAR KEY, X INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1);";
const COUNTS: &str =
    "CREATE OR REPLACE TABLE COUNTS AS SELECT K, COUNT(*) AS N FROM S WHERE X >= 0 GROUP BY K EMIT CHANGES;";

fn engine(bus: &Arc<dyn Bus>) -> Engine {
    Engine::new(bus.clone(), Catalog::new(), Arc::new(Still))
}

async fn house(sql: &str) -> (Arc<dyn Bus>, Engine) {
    let bus: Arc<dyn Bus> = MemoryBus::new();
    let engine = engine(&bus);
    engine.execute(&format!("{STREAM}{sql}")).await.unwrap();
    (bus, engine)
}

async fn append(bus: &Arc<dyn Bus>, key: &str, time: i64, value: &str) {
    let made = record(Some(key), Some(value), time);
    bus.append(&TopicPartition::new("s", 0), vec![made], Acks::All).await.unwrap();
}

async fn values(bus: &Arc<dyn Bus>, topic: &str) -> Vec<String> {
    let text = |value: bytes::Bytes| String::from_utf8_lossy(&value).into_owned();
    read_all(bus, topic).await.into_iter().map(|(_, r)| r.record.value.map_or("-".to_owned(), text)).collect()
}

fn numbers(range: std::ops::RangeInclusive<i32>) -> Vec<String> {
    range.map(|n| format!("{{\"N\":{n}}}")).collect()
}

/// Waits for something that comes by itself.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    assert!(tokio::time::timeout(DEADLINE * 5, wait).await.is_ok(), "{what}");
}

fn words(error: &SqlError) -> String {
    match error {
        SqlError::Mistakes(mistakes) => mistakes.iter().map(|m| m.message.as_str()).collect(),
        other => other.to_string(),
    }
}

async fn listing(engine: &Engine, sql: &str) -> String {
    match engine.execute(sql).await.unwrap().pop() {
        Some(StatementResult::Listing(listing)) => {
            listing.rows.iter().map(|row| row.join(": ")).collect::<Vec<_>>().join("\n")
        }
        other => panic!("{other:?} is no list"),
    }
}

/// (2) A grace period of a day that nobody asked for fills disks: it is said when the query is made, and so is state that
/// grows with the keys. `EXPLAIN` says how many bytes each takes.
#[tokio::test(start_paused = true)]
async fn what_a_query_will_remember_is_said_when_it_is_made() {
    let (_, engine) =
        house("CREATE TABLE T (K VARCHAR PRIMARY KEY, G INT) WITH (KAFKA_TOPIC='t', PARTITIONS=1);").await;
    let made = async |sql: &str| {
        let mut execution = engine.execute_in(sql, &mut Session::default()).await;
        assert!(execution.failed.is_none(), "{:?}", execution.failed);
        let executed = execution.done.pop().unwrap();
        let StatementResult::Started { message, .. } = executed.result else { panic!("no query") };
        let warnings: Vec<_> = executed.warnings.into_iter().map(|warning| warning.message).collect();
        (message, warnings.join("; "))
    };
    let (message, warnings) =
        made("CREATE TABLE W AS SELECT K, COUNT(*) AS N FROM S WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY K;")
            .await;
    assert!(warnings.contains("24 hours") && !message.contains("remembers"), "{message} {warnings}");
    let (_, warnings) =
        made("CREATE STREAM J AS SELECT A.K, A.X, B.X FROM S A JOIN S B WITHIN 1 SECOND ON A.K = B.K;").await;
    assert!(warnings.contains("no GRACE PERIOD is given"), "{warnings}");
    let (message, warnings) = made("CREATE TABLE N AS SELECT K, COUNT(*) AS N FROM S GROUP BY K;").await;
    assert!(message.ends_with("it remembers about 72 bytes per key") && warnings.is_empty(), "{message}");
    let (message, _) = made("CREATE STREAM E AS SELECT S.K, X, G FROM S JOIN T ON S.K = T.K;").await;
    assert!(message.contains("bytes per key of the table"), "{message}");
    let (message, _) = made("CREATE TABLE G AS SELECT G, COUNT(*) AS N FROM T GROUP BY G;").await;
    assert!(message.contains("bytes per row of the table, about 72 bytes per key"), "{message}");
    let (message, _) = made("CREATE STREAM F AS SELECT * FROM S WHERE X > 1;").await;
    assert!(!message.contains("remembers"), "nothing is remembered: {message}");
    for (id, said) in [
        ("CTAS_W", "bytes per key and window"),
        ("CSAS_J", "bytes per left row for"),
        ("CTAS_N", "about 72 bytes per key"),
        ("CSAS_E", "bytes per key of the table"),
        ("CTAS_G", "the last row of every primary key is remembered, about"),
    ] {
        let text = listing(&engine, &format!("EXPLAIN {id};")).await;
        assert!(text.contains(said), "{id} says nothing of `{said}`:\n{text}");
    }
    engine.stop().await;
}

/// (7) Queries are changed in place: nothing is lost or counted twice, what was counted stays, and those who read the
/// result need not be dropped, or even notice.
#[tokio::test(start_paused = true)]
async fn a_changed_query_keeps_its_state_and_loses_no_record() {
    let (bus, engine) =
        house(&format!("{COUNTS} CREATE TABLE COPY AS SELECT K, N FROM COUNTS EMIT CHANGES;")).await;
    let feeding = tokio::spawn({
        let bus = bus.clone();
        async move {
            for x in 0..200 {
                append(&bus, "a", 1, &format!("{{\"X\":{x}}}")).await;
                tokio::task::yield_now().await;
            }
        }
    });
    for least in 1..=10 {
        engine.execute(&COUNTS.replace("X >= 0", &format!("X >= -{least}"))).await.unwrap();
    }
    feeding.await.unwrap();
    drained(&bus, &engine).await;
    assert_eq!(values(&bus, "COUNTS").await, numbers(1..=200));
    assert_eq!(values(&bus, "COPY").await, numbers(1..=200));
    assert!(engine.queries().iter().all(|query| query.state == QueryState::Running));
    engine.stop().await;
}

/// (7) A query that was terminated goes on where it was, with what it had counted, also in another process.
#[tokio::test(start_paused = true)]
async fn a_terminated_query_resumes_where_it_was() {
    let bus: Arc<dyn Bus> = MemoryBus::new();
    let first = engine(&bus);
    first.keep_statements().await.unwrap();
    first.execute(STREAM).await.unwrap();
    first.execute(COUNTS).await.unwrap();
    append(&bus, "a", 1, r#"{"X":1}"#).await;
    drained(&bus, &first).await;
    first.execute("TERMINATE CTAS_COUNTS;").await.unwrap();
    append(&bus, "a", 2, r#"{"X":2}"#).await;
    first.execute(COUNTS).await.unwrap();
    drained(&bus, &first).await;
    assert_eq!(values(&bus, "COUNTS").await, numbers(1..=2));
    first.execute("TERMINATE CTAS_COUNTS;").await.unwrap();
    first.stop().await;
    let second = engine(&bus);
    second.keep_statements().await.unwrap();
    second.reload(Catalog::new(), &[]).await.unwrap();
    assert_eq!(second.queries(), [], "it stays ended");
    append(&bus, "a", 3, r#"{"X":3}"#).await;
    // What would begin to count anew is refused, instead of giving numbers that mean something else.
    let maxima = COUNTS.replace("COUNT(*)", "MAX(CAST(X AS BIGINT))");
    let refused = second.execute(&maxima).await.unwrap_err();
    assert!(words(&refused).contains("CTAS_COUNTS cannot be replaced in place"), "{refused:?}");
    second.execute(COUNTS).await.unwrap();
    drained(&bus, &second).await;
    assert_eq!(values(&bus, "COUNTS").await, numbers(1..=3));
    second.stop().await;
}

/// (7) What is dropped and made anew begins at the beginning: nothing of the old one stays behind that would make it
/// count from the middle, or go on from what another statement has counted.
#[tokio::test(start_paused = true)]
async fn what_is_dropped_and_made_anew_sees_every_record() {
    let (bus, engine) = house(COUNTS).await;
    for x in 1..=3 {
        append(&bus, "a", 1, &format!("{{\"X\":{x}}}")).await;
    }
    drained(&bus, &engine).await;
    engine.execute("DROP TABLE COUNTS DELETE TOPIC;").await.unwrap();
    let left: Vec<_> = bus.topics().await.unwrap().into_iter().map(|topic| topic.name).collect();
    assert!(!left.iter().any(|name| name.contains("CTAS_COUNTS")), "{left:?}");
    engine.execute(&COUNTS.replace("COUNT(*)", "SUM(X)")).await.unwrap();
    drained(&bus, &engine).await;
    assert_eq!(values(&bus, "COUNTS").await, [r#"{"N":1}"#, r#"{"N":3}"#, r#"{"N":6}"#]);
    // The same once more, of one that was terminated before, and without its topic.
    engine.execute("TERMINATE CTAS_COUNTS; DROP TABLE COUNTS;").await.unwrap();
    engine.execute(COUNTS).await.unwrap();
    drained(&bus, &engine).await;
    assert_eq!(values(&bus, "COUNTS").await[3..], numbers(1..=3));
    engine.stop().await;
}

/// (8) Whatever stands in the topic of statements: the rest starts, and what does not work is listed with the reason.
#[tokio::test(start_paused = true)]
async fn a_bad_stored_statement_bricks_nothing() {
    let bus: Arc<dyn Bus> = MemoryBus::new();
    let schemas: Arc<dyn Bus> = MemoryBus::new();
    let with_registry = async || {
        let registry = BusRegistry::open(schemas.clone(), Arc::new(Still)).await.unwrap();
        engine(&bus).with_registry(Arc::new(registry))
    };
    let first = with_registry().await;
    first.keep_statements().await.unwrap();
    // `READ` has the columns that the registry knows: nothing of them stands in the statement.
    let sql = "CREATE STREAM A WITH (KAFKA_TOPIC='a', VALUE_FORMAT='AVRO') AS SELECT K, X FROM S;
        CREATE STREAM READ (K VARCHAR KEY) WITH (KAFKA_TOPIC='a', VALUE_FORMAT='AVRO');
        CREATE STREAM AGAIN AS SELECT * FROM READ;";
    first.execute(STREAM).await.unwrap();
    for statement in sql.split_inclusive(';') {
        first.execute(statement).await.unwrap();
    }
    first.stop().await;
    let entry =
        |sql: &str| format!("{{\"order\":0,\"sql\":{},\"state\":\"running\"}}", serde_json::json!(sql));
    let bad = [
        ("relation/NO_JSON", "{".to_owned()),
        ("relation/NO_SQL", entry("CREATE STREAM WHERE ((((")),
        ("relation/OLD", entry("CREATE STREAM OLD AS SELECT NO_FUNCTION_ANY_MORE(X) FROM S;")),
        ("relation/ORPHAN", entry("CREATE STREAM ORPHAN AS SELECT * FROM GONE;")),
        ("query/LOOP", entry("INSERT INTO ORPHAN SELECT * FROM ORPHAN;")),
        ("", String::new()),
    ];
    let made = bad.iter().map(|(key, value)| record(Some(key), Some(value), 0)).collect();
    bus.append(&TopicPartition::new(STATEMENT_TOPIC, 0), made, Acks::All).await.unwrap();
    let second = with_registry().await;
    second.keep_statements().await.unwrap();
    second.reload(Catalog::new(), &[]).await.unwrap();
    append(&bus, "a", 1, r#"{"X":1}"#).await;
    let states: BTreeMap<_, _> = second.queries().into_iter().map(|query| (query.id, query.state)).collect();
    for id in ["CSAS_A", "CSAS_AGAIN"] {
        assert_eq!(states[id], QueryState::Running, "{states:#?}");
    }
    assert_eq!(states.len(), 2 + bad.len(), "{states:#?}");
    until("the rest works", || second.queries().iter().any(|q| q.id == "CSAS_AGAIN" && q.records_out == 1))
        .await;
    second.stop().await;
    // Without the registry, all that needs it is said to be broken, and the rest starts again.
    let third = engine(&bus);
    third.keep_statements().await.unwrap();
    third.execute("CREATE STREAM OTHER AS SELECT 1 AS X FROM NOWHERE;").await.unwrap_err();
    third.reload(Catalog::new(), &[]).await.unwrap();
    let cause = |id: &str| match third.queries().into_iter().find(|query| query.id.ends_with(id)) {
        Some(query) => query.state,
        None => panic!("nothing is said of {id}: {:#?}", third.queries()),
    };
    assert!(matches!(cause("/A"), QueryState::Error(why) if why.contains("registry")));
    assert!(third.catalog().find("S").is_some());
    third.stop().await;
}

/// (9) A query that gets nowhere is not said to run: whatever it waits for, `SHOW QUERIES` says so, and that it runs once it
/// does.
#[tokio::test(start_paused = true)]
async fn a_query_that_gets_nowhere_is_not_said_to_run() {
    let watched = WatchedBus::new(MemoryBus::new());
    let bus: Arc<dyn Bus> = watched.clone();
    let engine = engine(&bus);
    engine.execute(STREAM).await.unwrap();
    watched.cut(Cut::Looking);
    engine.execute("CREATE STREAM OUT AS SELECT * FROM S EMIT CHANGES;").await.unwrap();
    let state = || engine.queries()[0].state.clone();
    let runs = || state() == QueryState::Running;
    let stalls = |what: &str| matches!(state(), QueryState::Error(cause) if cause.contains("no progress") && cause.contains(what));
    until("it looks for its topics", || stalls("looking at its topics")).await;
    watched.cut(Cut::Nothing);
    until("it has started", runs).await;
    for (cut, what) in [(Cut::Reading, "reading"), (Cut::Writing, "committing")] {
        watched.cut(cut);
        append(&bus, "a", 1, r#"{"X":1}"#).await;
        until(what, || stalls(what)).await;
        let shown = listing(&engine, "SHOW QUERIES;").await;
        assert!(shown.contains("ERROR") && !shown.contains("RUNNING"), "{shown}");
        watched.cut(Cut::Nothing);
        until("it goes on", runs).await;
        drained(&bus, &engine).await;
    }
    assert_eq!(values(&bus, "OUT").await.len(), 2);
    // One that has nothing to do runs, however long that is.
    tokio::time::advance(Duration::from_millis(limits::STALLED_AFTER_MS) * 3).await;
    drained(&bus, &engine).await;
    assert!(runs(), "{:?}", state());
    engine.stop().await;
}

/// (9) A query that waits for a topic says which, for as long as it is not there.
#[tokio::test(start_paused = true)]
async fn a_query_that_waits_for_a_topic_says_so() {
    let watched = WatchedBus::new(MemoryBus::new());
    let bus: Arc<dyn Bus> = watched.clone();
    let engine = engine(&bus);
    watched.cut(Cut::Making);
    let sql = "CREATE STREAM S (K VARCHAR KEY, X INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');
        CREATE STREAM OUT AS SELECT * FROM S EMIT CHANGES;";
    engine.execute(sql).await.unwrap();
    let waits = || matches!(&engine.queries()[0].state, QueryState::Error(cause) if cause.contains("`s`"));
    until("it says what it waits for", waits).await;
    tokio::time::advance(Duration::from_mins(10)).await;
    assert!(waits(), "{:?}", engine.queries()[0].state);
    watched.cut(Cut::Nothing);
    until("it runs", || engine.queries()[0].state == QueryState::Running).await;
    append(&bus, "a", 1, r#"{"X":1}"#).await;
    drained(&bus, &engine).await;
    assert_eq!(values(&bus, "OUT").await, [r#"{"X":1}"#]);
    engine.stop().await;
}

/// (9) A process that gets no share of the tasks does not say that it runs them.
#[tokio::test(start_paused = true)]
async fn a_query_that_no_process_runs_says_so() {
    let watched = WatchedBus::new(MemoryBus::new());
    let bus: Arc<dyn Bus> = watched.clone();
    watched.cut(Cut::Joining);
    let engine = engine(&bus).sharing("plant");
    let out = "CREATE STREAM OUT AS SELECT * FROM S EMIT CHANGES;";
    engine.execute(&format!("{STREAM}{out}")).await.unwrap();
    let stalls = || matches!(&engine.queries()[0].state, QueryState::Error(cause) if cause.contains("its share of the tasks"));
    until("it waits", stalls).await;
    watched.cut(Cut::Nothing);
    until("it runs", || engine.queries()[0].state == QueryState::Running).await;
    append(&bus, "a", 1, r#"{"X":1}"#).await;
    drained(&bus, &engine).await;
    assert_eq!(values(&bus, "OUT").await, [r#"{"X":1}"#]);
    engine.stop().await;
}

/// (12) Tables of windows expire: the state of a window is deleted once it is over, in memory and in the changelog, and
/// the result's topic forgets after `RETENTION`.
#[tokio::test(start_paused = true)]
async fn tables_of_windows_expire() {
    let (bus, engine) = house(
        "CREATE TABLE W AS SELECT K, COUNT(*) AS N FROM S
            WINDOW TUMBLING (SIZE 1 MINUTE, RETENTION 2 HOURS, GRACE PERIOD 10 SECONDS) GROUP BY K EMIT CHANGES;
        CREATE TABLE V AS SELECT K, COUNT(*) AS N FROM S
            WINDOW SESSION (1 MINUTE, RETENTION 3 HOURS, GRACE PERIOD 0 SECONDS) GROUP BY K EMIT CHANGES;
        CREATE STREAM J AS SELECT A.K, A.X, B.X FROM S A JOIN S B WITHIN 1 MINUTE GRACE PERIOD 0 SECONDS ON A.K = B.K;
        CREATE STREAM R WITH (RETENTION_MS=60000) AS SELECT * FROM S;",
    )
    .await;
    for minute in 0..100 {
        for key in ["a", "b", "c"] {
            append(&bus, key, minute * 61_000, r#"{"X":1}"#).await;
        }
    }
    drained(&bus, &engine).await;
    for topic in bus.topics().await.unwrap() {
        if !topic.name.ends_with("-changelog") {
            continue;
        }
        let mut kept = BTreeMap::new();
        for (_, received) in read_all(&bus, &topic.name).await {
            match received.record.value {
                Some(value) => drop(kept.insert(received.record.key.unwrap(), value)),
                None => drop(kept.remove(&received.record.key.unwrap())),
            }
        }
        // Two windows of three keys are open at most; beside them stand a few words on the whole.
        assert!(!kept.is_empty() && kept.len() <= 24, "{} holds {} entries", topic.name, kept.len());
    }
    let config =
        async |topic: &str, name: &str| bus.describe_topic(topic).await.unwrap().configs.get(name).cloned();
    assert_eq!(config("W", "cleanup.policy").await.as_deref(), Some("compact,delete"));
    assert_eq!(config("W", "retention.ms").await.as_deref(), Some("7200000"));
    assert_eq!(config("V", "retention.ms").await.as_deref(), Some("10800000"));
    assert_eq!(config("R", "retention.ms").await.as_deref(), Some("60000"));
    // What would expire within a window is refused, and so is what would take keys out of a table behind its back.
    let short = "CREATE TABLE X AS SELECT K, COUNT(*) AS N FROM S
        WINDOW TUMBLING (SIZE 1 HOUR, RETENTION 1 MINUTE, GRACE PERIOD 0 SECONDS) GROUP BY K;";
    let refused = engine.execute(short).await.unwrap_err();
    assert!(words(&refused).contains("RETENTION is shorter"), "{refused:?}");
    let table = "CREATE TABLE X WITH (RETENTION_MS=1000) AS SELECT K, COUNT(*) AS N FROM S GROUP BY K;";
    let refused = engine.execute(table).await.unwrap_err();
    assert!(words(&refused).contains("RETENTION_MS is for streams and for tables of windows"), "{refused:?}");
    engine.stop().await;
}

/// (17) Pull queries that nobody reads hold up nobody: others answer, statements run, queries go on; one too many is
/// refused in words.
#[tokio::test(start_paused = true)]
async fn pull_queries_never_lock_one_another_out() {
    let (bus, engine) = house(COUNTS).await;
    let ask = async |sql: &str| -> Result<PushQuery, SqlError> {
        match engine.execute(sql).await?.pop() {
            Some(StatementResult::Push(query)) => Ok(query),
            other => panic!("{other:?} is no answer"),
        }
    };
    let count = limits::PUSH_QUEUE_ROWS + 10;
    let made = (0..count).map(|key| record(Some(&format!("k{key}")), Some(r#"{"X":1}"#), 1)).collect();
    bus.append(&TopicPartition::new("s", 0), made, Acks::All).await.unwrap();
    drained(&bus, &engine).await;
    let mut unread = Vec::new();
    for _ in 1..limits::PULL_QUERIES_MAX {
        unread.push(ask("SELECT * FROM COUNTS;").await.unwrap());
    }
    let mut last = ask("SELECT N FROM COUNTS WHERE K = 'k7';").await.unwrap();
    assert_eq!(tokio::time::timeout(DEADLINE, last.next()).await.unwrap().unwrap().unwrap().values.len(), 1);
    drop(last);
    append(&bus, "k7", 2, r#"{"X":1}"#).await;
    drained(&bus, &engine).await;
    engine.execute("CREATE STREAM OTHER AS SELECT * FROM S;").await.unwrap();
    let mut refused = None;
    for _ in 0..2 {
        match ask("SELECT * FROM COUNTS;").await {
            Ok(query) => unread.push(query),
            Err(error) => refused = Some(words(&error)),
        }
    }
    assert!(refused.is_some(), "there is a limit");
    // Each gives what was there when it was asked, as soon as somebody reads.
    let mut first = unread.remove(0);
    let mut rows = 0;
    while let Some(row) = tokio::time::timeout(DEADLINE, first.next()).await.unwrap() {
        row.unwrap();
        rows += 1;
    }
    assert_eq!(rows, count);
    engine.stop().await;
}
