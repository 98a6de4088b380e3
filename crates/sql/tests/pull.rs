//! Goal: pull queries never wait for one another or for a reader that does not read, and answer with what was there when they
//! were asked. Method: many at once on the memory bus, while rows come.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use millstream_bus::memory::MemoryBus;
use millstream_bus::{Acks, Bus, Record, TopicPartition};
use millstream_model::{Clock, Timestamp};
use millstream_sql::{Catalog, Datum, Engine, PushQuery, SqlError, StatementResult, limits};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(7)
    }
}

async fn house() -> (Arc<dyn Bus>, Arc<Engine>) {
    let bus: Arc<dyn Bus> = MemoryBus::new();
    let engine = Arc::new(Engine::new(bus.clone(), Catalog::new(), Arc::new(Still)));
    let table = "CREATE TABLE t (k VARCHAR PRIMARY KEY, x INT) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON', PARTITIONS=2);
         CREATE STREAM s (k VARCHAR KEY, x INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1);";
    engine.execute(table).await.unwrap();
    (bus, engine)
}

async fn append(bus: &Arc<dyn Bus>, topic: &str, rows: impl Iterator<Item = (usize, usize)>) {
    let record = |(key, x): (usize, usize)| {
        Record::new(Some(format!("k{key}").into()), Some(format!("{{\"X\":{x}}}").into()), Timestamp(1))
    };
    let records: Vec<_> = rows.map(record).collect();
    bus.append(&TopicPartition::new(topic, 0), records, Acks::All).await.unwrap();
}

async fn ask(engine: &Engine, sql: &str) -> Result<PushQuery, SqlError> {
    match engine.execute(sql).await?.pop() {
        Some(StatementResult::Push(query)) => Ok(query),
        other => panic!("{other:?} is no answer"),
    }
}

async fn rows(mut query: PushQuery) -> Vec<Vec<Datum<'static>>> {
    let mut rows = Vec::new();
    while let Some(row) = timeout(PATIENCE, query.next()).await.expect("an answer in time") {
        rows.push(row.unwrap().values);
    }
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_answer_while_rows_come_and_others_do_not_read() {
    let (bus, engine) = house().await;
    let keys = limits::PUSH_QUEUE_ROWS + 100;
    append(&bus, "t", (0..keys).map(|key| (key, 0))).await;
    // These wait for their readers, who never come.
    let mut unread = Vec::new();
    for _ in 0..8 {
        unread.push(ask(&engine, "SELECT * FROM t;").await.unwrap());
    }
    let writing = tokio::spawn({
        let bus = bus.clone();
        async move {
            for x in 1..=50 {
                append(&bus, "t", (0..10).map(|key| (key, x))).await;
            }
        }
    });
    let asking: Vec<_> = (0..40)
        .map(|number| {
            let engine = engine.clone();
            tokio::spawn(async move {
                let sql =
                    if number % 4 == 0 { "SELECT * FROM t;" } else { "SELECT x FROM t WHERE k = 'k3';" };
                (number, rows(ask(&engine, sql).await.unwrap()).await)
            })
        })
        .collect();
    for answer in asking {
        let (number, rows) = timeout(PATIENCE, answer).await.expect("no query waits for another").unwrap();
        assert_eq!(rows.len(), if number % 4 == 0 { keys } else { 1 });
    }
    writing.await.unwrap();
    let newest = rows(ask(&engine, "SELECT x FROM t WHERE k = 'k3';").await.unwrap()).await;
    assert_eq!(newest, [[Datum::Int(50)]]);
    // What was not read is of one moment, whatever came since.
    for query in unread {
        assert_eq!(rows(query).await.len(), keys);
    }
}

#[tokio::test]
async fn one_query_too_many_is_refused_and_the_place_is_free_again() {
    let (bus, engine) = house().await;
    append(&bus, "t", (0..=limits::PUSH_QUEUE_ROWS).map(|key| (key, 0))).await;
    let mut open = Vec::new();
    for _ in 0..limits::PULL_QUERIES_MAX {
        open.push(ask(&engine, "SELECT * FROM t;").await.unwrap());
    }
    let refused = ask(&engine, "SELECT * FROM t;").await.unwrap_err().to_string();
    assert!(refused.contains("pull queries run already"), "{refused}");
    drop(open);
    let again = async {
        while ask(&engine, "SELECT * FROM t;").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, again).await.expect("a place becomes free");
}

#[tokio::test]
async fn a_stream_ends_where_it_ended_when_it_was_asked() {
    let (bus, engine) = house().await;
    append(&bus, "s", (0..5).map(|n| (n, n))).await;
    let asked = ask(&engine, "SELECT x FROM s;").await.unwrap();
    append(&bus, "s", (5..9).map(|n| (n, n))).await;
    assert_eq!(rows(asked).await.len(), 5);
    assert_eq!(rows(ask(&engine, "SELECT x FROM s;").await.unwrap()).await.len(), 9);
}

#[tokio::test]
async fn rows_are_inserted_many_at_once_and_each_is_judged_alone() {
    let (_, engine) = house().await;
    let mut inserts = engine.inserts("s").await.unwrap();
    let all = [r#"{"K":"a","X":1}"#, r#"{"K":"b","X":"warm"}"#, r#"{"X":3}"#, "null", "{", r#"{"k":"c"}"#];
    let outcomes = inserts.insert(&all.map(str::to_owned)).await;
    let taken: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(taken, [true, false, false, false, false, true], "{outcomes:?}");
    assert!(outcomes[2].as_ref().unwrap_err().contains("`K` has no value"), "{outcomes:?}");
    let text = |text: &'static str| Datum::Varchar(text.into());
    let found = rows(ask(&engine, "SELECT * FROM s;").await.unwrap()).await;
    assert_eq!(found, [vec![text("a"), Datum::Int(1)], vec![text("c"), Datum::Null]]);

    engine.execute("CREATE STREAM filled AS SELECT * FROM s EMIT CHANGES;").await.unwrap();
    for (target, why) in [("filled", "filled by a query"), ("nothing", "no stream or table")] {
        let refused = engine.inserts(target).await.unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
    engine.stop().await;
}

#[tokio::test]
async fn a_topic_that_was_made_anew_is_another_table() {
    let (bus, engine) = house().await;
    append(&bus, "t", (0..3).map(|key| (key, 0))).await;
    assert_eq!(rows(ask(&engine, "SELECT * FROM t;").await.unwrap()).await.len(), 3);
    bus.delete_topic("t").await.unwrap();
    assert_eq!(rows(ask(&engine, "SELECT * FROM t;").await.unwrap()).await.len(), 0);
    append(&bus, "t", (5..6).map(|key| (key, 0))).await;
    assert_eq!(rows(ask(&engine, "SELECT * FROM t;").await.unwrap()).await.len(), 1);
}
