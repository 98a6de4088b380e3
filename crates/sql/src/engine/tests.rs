//! Goal: queries live, die and come back as they should: panics, changed statements, reloads, push queries, stops.

use super::*;
use crate::{PushRow, SqlType};
use millstream_bus::memory::MemoryBus;
use millstream_bus::{Acks, FetchLimit, Isolation, Position, Record, StartOffset, TopicPartition, TopicSpec};
use millstream_model::Timestamp;
use std::time::Duration;

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(7)
    }
}

fn engine(bus: &Arc<dyn Bus>) -> Engine {
    let mut catalog = Catalog::new();
    let columns = [("temperature", SqlType::Double), ("state", SqlType::Int)];
    catalog.declare_stream("press", "press", "asset", &columns);
    Engine::new(bus.clone(), catalog, Arc::new(Still))
}

async fn bus() -> Arc<dyn Bus> {
    let bus: Arc<dyn Bus> = MemoryBus::new();
    bus.create_topic(&TopicSpec::new("press", 1)).await.unwrap();
    bus
}

async fn append(bus: &Arc<dyn Bus>, values: &[&str]) {
    let record = |value: &&str| {
        let value = bytes::Bytes::copy_from_slice(value.as_bytes());
        Record::new(Some("p1".into()), Some(value), Timestamp(1))
    };
    let records = values.iter().map(record).collect();
    bus.append(&TopicPartition::new("press", 0), records, Acks::All).await.unwrap();
}

/// The values of a topic once there are `count` of them, in time.
async fn values(bus: &Arc<dyn Bus>, topic: &str, count: usize) -> Vec<String> {
    let read = async {
        while bus.describe_topic(topic).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let from = vec![Position::new(TopicPartition::new(topic, 0), StartOffset::Earliest)];
        let mut reader = bus.reader(from, Isolation::ReadCommitted).await.unwrap();
        let mut values = Vec::new();
        while values.len() < count {
            for fetched in reader.poll(FetchLimit::default()).await.unwrap() {
                values.extend(fetched.records.into_iter().map(|record| {
                    record.record.value.map_or("-".into(), |v| String::from_utf8_lossy(&v).into_owned())
                }));
            }
        }
        values
    };
    tokio::time::timeout(Duration::from_mins(1), read).await.unwrap()
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_mins(1), wait).await.is_ok(), "{what}");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_panics_is_left_out_and_the_rest_goes_on() {
    let bus = bus().await;
    append(&bus, &[r#"{"state":1}"#, r#"{"state":2}"#, r#"{"state":13}"#, r#"{"state":3}"#]).await;
    let engine = engine(&bus);
    let sql = "CREATE TABLE sums WITH (KAFKA_TOPIC='sums') AS SELECT asset, SUM(state) AS s FROM press WHERE NOT TEST_PANIC_IF(state = 13) GROUP BY asset;";
    engine.execute(sql).await.unwrap();
    assert_eq!(values(&bus, "sums", 3).await, [r#"{"S":1}"#, r#"{"S":3}"#, r#"{"S":6}"#]);
    let errors = values(&bus, crate::ERROR_TOPIC, 1).await;
    assert_eq!(errors.len(), 1);
    assert!(errors[0].contains("panicked") && errors[0].contains(r#""offset":2"#), "{errors:?}");
    append(&bus, &[r#"{"state":4}"#]).await;
    assert_eq!(values(&bus, "sums", 4).await[3], r#"{"S":10}"#);
    let status = &engine.queries()[0];
    assert_eq!((status.state.clone(), status.errors, status.restarts), (QueryState::Running, 1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_query_goes_on_where_the_last_process_stopped() {
    let bus = bus().await;
    let sql = "CREATE TABLE counts WITH (KAFKA_TOPIC='counts') AS SELECT asset, COUNT(*) AS n FROM press GROUP BY asset;";
    for round in 0..3 {
        let engine = engine(&bus);
        engine.execute(sql).await.unwrap();
        append(&bus, &["{}", "{}"]).await;
        values(&bus, "counts", 2 * (round + 1)).await;
        engine.stop().await;
        assert!(matches!(engine.execute(sql).await, Err(SqlError::Stopped)));
    }
    let counts = values(&bus, "counts", 6).await;
    assert_eq!(counts, (1..=6).map(|n| format!("{{\"N\":{n}}}")).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn state_of_another_shape_is_not_read() {
    let bus = bus().await;
    let count =
        "CREATE TABLE t WITH (KAFKA_TOPIC='t') AS SELECT asset, COUNT(*) AS n FROM press GROUP BY asset;";
    let sum =
        "CREATE TABLE t WITH (KAFKA_TOPIC='t') AS SELECT asset, SUM(state) AS n FROM press GROUP BY asset;";
    let first = engine(&bus);
    first.execute(count).await.unwrap();
    append(&bus, &[r#"{"state":5}"#]).await;
    values(&bus, "t", 1).await;
    // A running one is not replaced so.
    let replace = sum.replace("CREATE", "CREATE OR REPLACE");
    assert!(
        matches!(first.execute(&replace).await, Err(SqlError::Mistakes(m)) if m[0].code == "sql-replace")
    );
    first.stop().await;
    // Where the process starts with another statement, it goes on behind the last offset, with a state of its own.
    let second = engine(&bus);
    second.execute(sum).await.unwrap();
    append(&bus, &[r#"{"state":6}"#]).await;
    values(&bus, "t", 2).await;
    append(&bus, &[r#"{"state":7}"#]).await;
    assert_eq!(values(&bus, "t", 3).await, [r#"{"N":1}"#, r#"{"N":6}"#, r#"{"N":13}"#]);
}

#[tokio::test(start_paused = true)]
async fn a_reload_touches_only_what_changed() {
    let bus = bus().await;
    let engine = engine(&bus);
    let a = "CREATE STREAM a WITH (KAFKA_TOPIC='a') AS SELECT asset, state FROM press;";
    let b = "CREATE STREAM b WITH (KAFKA_TOPIC='b') AS SELECT asset, temperature FROM press;";
    let c =
        "CREATE STREAM b WITH (KAFKA_TOPIC='b') AS SELECT asset, temperature * 2 AS temperature FROM press;";
    let base = engine.catalog();
    engine.reload(base.clone(), &[a, b]).await.unwrap();
    let before: Vec<_> = engine.queries.read().values().cloned().collect();
    assert!(engine.reload(base.clone(), &[a, "SELECT nonsense"]).await.is_err());
    assert_eq!(engine.queries().len(), 2);
    engine.reload(base.clone(), &[a, c]).await.unwrap();
    let after: Vec<_> = engine.queries.read().values().cloned().collect();
    assert!(Arc::ptr_eq(&before[0], &after[0]) && !Arc::ptr_eq(&before[1], &after[1]));
    engine.reload(base, &[c]).await.unwrap();
    assert_eq!(engine.queries().iter().map(|q| q.id.as_str()).collect::<Vec<_>>(), ["CSAS_B"]);
    assert!(engine.catalog().find("A").is_none());
}

#[tokio::test(start_paused = true)]
async fn push_queries_give_rows_up_to_their_limit() {
    let bus = bus().await;
    let engine = engine(&bus);
    append(&bus, &[r#"{"state":1}"#]).await;
    let mut latest =
        engine.push_query("SELECT *, state + 1 AS next FROM press EMIT CHANGES LIMIT 1;").await.unwrap();
    let names: Vec<_> = latest.columns.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["ASSET", "TEMPERATURE", "STATE", "NEXT"]);
    append(&bus, &[r#"{"state":2}"#, r#"{"state":3}"#]).await;
    let row = latest.next().await.unwrap().unwrap();
    let text = |text: &'static str| Datum::Varchar(text.into());
    let expected = vec![text("p1"), Datum::Null, Datum::Int(2), Datum::Int(3)];
    assert_eq!(row, PushRow { values: expected, tombstone: false });
    assert!(latest.next().await.is_none());
    let sql = "SET 'auto.offset.reset' = 'earliest'; SELECT asset, COUNT(*), WINDOWSTART FROM press WINDOW TUMBLING (SIZE 1 SECOND) GROUP BY asset EMIT CHANGES;";
    let mut earliest = engine.push_query(sql).await.unwrap();
    for n in 1..=3 {
        let row = earliest.next().await.unwrap().unwrap();
        assert_eq!(row.values, [text("p1"), Datum::BigInt(n), Datum::BigInt(0)]);
    }
    engine.stop().await;
    assert_eq!(earliest.next().await, Some(Err(SqlError::Stopped)));
    assert!(engine.push_query("SHOW STREAMS;").await.is_err());
}

use crate::Datum;

#[tokio::test(start_paused = true)]
async fn the_statements_of_a_shell_work() {
    let bus = bus().await;
    let engine = engine(&bus);
    let run = async |sql: &str| match engine.execute(sql).await.unwrap().pop().unwrap() {
        StatementResult::Listing(listing) => listing.rows,
        StatementResult::Done(text) | StatementResult::Started { message: text, .. } => vec![vec![text]],
        StatementResult::Push(_) | StatementResult::Print(_) => Vec::new(),
    };
    run("CREATE STREAM s (id VARCHAR KEY, x INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=3);")
        .await;
    assert_eq!(run("SHOW TOPICS;").await, [["press", "1"], ["s", "3"]]);
    assert_eq!(
        run("CREATE TABLE n WITH (KAFKA_TOPIC='n') AS SELECT id, COUNT(*) AS c FROM s GROUP BY id;").await,
        [["query CTAS_N fills table N; it remembers about 72 bytes per key"]]
    );
    assert_eq!(run("DESCRIBE n;").await, [["ID", "VARCHAR (primary key)"], ["C", "BIGINT"]]);
    assert_eq!(run("LIST STREAMS;").await.len(), 2);
    assert_eq!(run("SHOW TABLES;").await[0][0], "N");
    assert_eq!(run("SHOW QUERIES;").await[0][..3], ["CTAS_N", "RUNNING", "N"]);
    let explained = run("EXPLAIN CTAS_N;").await;
    assert_eq!(
        explained.iter().map(|row| row[0].as_str()).take(4).collect::<Vec<_>>(),
        ["Query", "Statement", "State", "Source"]
    );
    assert!(run("EXPLAIN SELECT id, COUNT(*) FROM s GROUP BY id EMIT CHANGES;").await.len() > 2);
    assert!(run("SHOW FUNCTIONS;").await.iter().any(|row| row[0] == "HYSTERESIS"));
    assert!(run("DESCRIBE FUNCTION round;").await[0][0].contains("ROUND(DOUBLE, INTEGER)"));
    assert!(
        run("CREATE STREAM IF NOT EXISTS s (id INT KEY) WITH (KAFKA_TOPIC='x');").await[0][0]
            .contains("exists")
    );
    assert!(
        matches!(engine.execute("DROP STREAM s;").await, Err(SqlError::Mistakes(m)) if m[0].code == "sql-in-use")
    );
    assert!(
        matches!(engine.execute("TERMINATE CTAS_M;").await, Err(SqlError::Mistakes(m)) if m[0].help.as_deref() == Some("did you mean CTAS_N?"))
    );
    run("DROP TABLE n DELETE TOPIC; DROP STREAM s; DROP STREAM IF EXISTS s;").await;
    assert_eq!(
        run("SHOW TOPICS;")
            .await
            .iter()
            .map(|r| r[0].as_str())
            .filter(|topic| *topic != crate::ERROR_TOPIC)
            .collect::<Vec<_>>(),
        ["press", "s"]
    );
    assert!(run("SHOW QUERIES;").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_gone_is_an_error_that_mends_itself() {
    let bus = bus().await;
    let engine = engine(&bus);
    engine
        .execute("CREATE STREAM a WITH (KAFKA_TOPIC='a') AS SELECT asset, state FROM press;")
        .await
        .unwrap();
    append(&bus, &[r#"{"state":1}"#]).await;
    values(&bus, "a", 1).await;
    bus.delete_topic("a").await.unwrap();
    append(&bus, &[r#"{"state":2}"#]).await;
    until("the failure is counted", || engine.queries()[0].restarts > 0).await;
    assert_eq!(values(&bus, "a", 1).await, [r#"{"STATE":2}"#]);
    until("it runs again", || engine.queries()[0].state == QueryState::Running).await;
    let mut page = Page::default();
    engine.collect(&mut page);
    let text = page.render();
    assert!(text.contains("millstream_query_records_in_total{query=\"CSAS_A\"} 2"), "{text}");
    assert!(text.contains("millstream_query_lag_records{query=\"CSAS_A\"} 0"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn rows_that_are_written_down_are_inserted() {
    let bus = bus().await;
    let engine = engine(&bus);
    let sql = "INSERT INTO press (asset, temperature, ROWTIME) VALUES ('p' + '9', 20 + 1, 77); INSERT INTO press VALUES ('p1', NULL, -3);";
    engine.execute(sql).await.unwrap();
    let expected = [r#"{"TEMPERATURE":21.0,"STATE":null}"#, r#"{"TEMPERATURE":null,"STATE":-3}"#];
    assert_eq!(values(&bus, "press", 2).await, expected);
    let from = vec![Position::new(TopicPartition::new("press", 0), StartOffset::Earliest)];
    let mut reader = bus.reader(from, Isolation::ReadCommitted).await.unwrap();
    let first = reader.poll(FetchLimit::default()).await.unwrap().remove(0).records.remove(0);
    assert_eq!((first.record.key.as_deref(), first.record.timestamp), (Some(&b"p9"[..]), Timestamp(77)));
    assert!(matches!(
        engine.execute("INSERT INTO press VALUES ('p1', 1, 1 / 0);").await,
        Err(SqlError::Mistakes(_))
    ));
}

#[tokio::test(start_paused = true)]
async fn a_result_that_no_topic_takes_is_an_error_and_no_end() {
    let bus = bus().await;
    let engine = engine(&bus);
    let sql = "CREATE STREAM s (id VARCHAR KEY, x VARCHAR) WITH (KAFKA_TOPIC='s', PARTITIONS=1);
        CREATE STREAM big WITH (KAFKA_TOPIC='big') AS SELECT id, x + x AS x FROM s;";
    engine.execute(sql).await.unwrap();
    for length in [600_000, 1] {
        let value = format!(r#"{{"x":"{}"}}"#, "a".repeat(length));
        let record = Record::new(Some("k".into()), Some(value.into()), Timestamp(1));
        bus.append(&TopicPartition::new("s", 0), vec![record], Acks::All).await.unwrap();
    }
    assert_eq!(values(&bus, "big", 1).await, [r#"{"X":"aa"}"#]);
    let error = values(&bus, crate::ERROR_TOPIC, 1).await.remove(0);
    assert!(error.contains("more than 1000000") && error.len() < 20_000, "{}", error.len());
    assert_eq!(engine.queries()[0].restarts, 0);
}

/// Two processes over one log, as when a machine was taken for dead: the newer one takes over, nothing counts twice.
#[tokio::test(start_paused = true)]
async fn the_newer_of_two_instances_takes_over() {
    let bus = bus().await;
    let sql = "CREATE TABLE counts WITH (KAFKA_TOPIC='counts') AS SELECT asset, COUNT(*) AS n FROM press GROUP BY asset;";
    let older = engine(&bus);
    older.execute(sql).await.unwrap();
    append(&bus, &["{}"]).await;
    values(&bus, "counts", 1).await;
    let newer = engine(&bus);
    newer.execute(sql).await.unwrap();
    let fenced =
        || matches!(&older.queries()[0].state, QueryState::Error(cause) if cause.contains("taken over"));
    let mut count = 1;
    while !fenced() {
        assert!(count < 1_000, "nobody took over");
        append(&bus, &["{}"]).await;
        count += 1;
        values(&bus, "counts", count).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let counts = values(&bus, "counts", count).await;
    assert_eq!(counts, (1..=count).map(|n| format!("{{\"N\":{n}}}")).collect::<Vec<_>>());
    assert!(newer.queries()[0].records_in > 0);
}

/// A repartition topic holds only what is still to be read.
#[tokio::test(start_paused = true)]
async fn a_repartition_topic_is_emptied() {
    let bus: Arc<dyn Bus> = MemoryBus::new();
    bus.create_topic(&TopicSpec::new("press", 2)).await.unwrap();
    let engine = engine(&bus);
    let sql = "CREATE TABLE t WITH (KAFKA_TOPIC='t', PARTITIONS=1) AS SELECT state, COUNT(*) AS n FROM press GROUP BY state;";
    engine.execute(sql).await.unwrap();
    append(&bus, &[r#"{"state":1}"#, r#"{"state":1}"#, r#"{"state":2}"#]).await;
    values(&bus, "t", 3).await;
    let wait = async {
        loop {
            let mut left = 0;
            for partition in 0..2 {
                let at = TopicPartition::new("_millstream-query-CTAS_T-group-repartition", partition);
                let range = bus.offsets(&at).await.unwrap();
                left += range.stable - range.earliest;
            }
            if left == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), wait).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn statements_are_kept_and_run_again_at_the_start() {
    let bus = bus().await;
    let first = engine(&bus);
    first.keep_statements().await.unwrap();
    first
        .execute(
            "CREATE TYPE num AS INT; DEFINE out = 'a'; CREATE STREAM s (id VARCHAR KEY, x num) WITH (KAFKA_TOPIC='s', PARTITIONS=1);
             ALTER STREAM s ADD COLUMN y INT; CREATE STREAM ${out} WITH (KAFKA_TOPIC='${out}') AS SELECT id, x, y FROM s;
             CREATE STREAM gone WITH (KAFKA_TOPIC='gone') AS SELECT * FROM s; CREATE STREAM b AS SELECT * FROM s;
             CREATE STREAM ended AS SELECT * FROM s; INSERT INTO ended WITH (QUERY_ID='filler') SELECT * FROM s;",
        )
        .await
        .unwrap();
    first.execute("PAUSE CSAS_B; TERMINATE CSAS_ENDED; DROP STREAM gone;").await.unwrap();
    let shown = first.queries();
    first.stop().await;
    let second = engine(&bus);
    second.keep_statements().await.unwrap();
    second.reload(Catalog::new(), &[]).await.unwrap();
    let states =
        |all: &[QueryStatus]| all.iter().map(|q| (q.id.clone(), q.state.clone())).collect::<Vec<_>>();
    assert_eq!(states(&second.queries()), states(&shown));
    assert_eq!(states(&shown).len(), 3);
    let catalog = second.catalog();
    let names: Vec<_> = catalog.relations().map(|relation| relation.name.to_string()).collect();
    assert_eq!(names, ["A", "B", "ENDED", "S"]);
    assert_eq!(catalog.find("S").unwrap().columns.len(), 3);
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_kept_statement_means_what_it_meant_where_a_default_format_is_gone() {
    let bus = bus().await;
    let first = engine(&bus);
    first.keep_statements().await.unwrap();
    let set = "SET 'ksql.persistence.default.format.value' = 'DELIMITED';";
    first
        .execute(&format!("{set} CREATE STREAM s (x INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1);"))
        .await
        .unwrap();
    first.execute("CREATE STREAM t (x INT) WITH (KAFKA_TOPIC='t', PARTITIONS=1);").await.unwrap();
    first.stop().await;
    let second = engine(&bus);
    second.keep_statements().await.unwrap();
    second.reload(Catalog::new(), &[]).await.unwrap();
    let format = |name: &str| second.catalog().find(name).unwrap().value.format;
    assert_eq!((format("S"), format("T")), (crate::Format::Delimited, crate::Format::Json));
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_kept_statement_that_no_longer_works_never_stops_the_rest() {
    let bus = bus().await;
    let first = engine(&bus);
    first.keep_statements().await.unwrap();
    first.execute("CREATE STREAM s (id VARCHAR KEY, x INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1); CREATE STREAM a AS SELECT * FROM s;").await.unwrap();
    first.stop().await;
    let at = TopicPartition::new(STATEMENT_TOPIC, 0);
    for (key, value) in [
        (
            "relation/OLD",
            r#"{"order":0,"sql":"CREATE STREAM old AS SELECT OLD_FUNCTION(x) FROM s;","state":"running"}"#,
        ),
        ("relation/BAD", "no statement"),
    ] {
        let record = Record::new(Some(key.into()), Some(value.into()), Timestamp(0));
        bus.append(&at, vec![record], Acks::All).await.unwrap();
    }
    let second = engine(&bus);
    second.keep_statements().await.unwrap();
    second.reload(Catalog::new(), &[]).await.unwrap();
    let queries = second.queries();
    let shown: Vec<_> = queries.iter().map(|query| (query.id.as_str(), &query.state)).collect();
    assert_eq!(shown[0], ("CSAS_A", &QueryState::Running));
    assert!(matches!(shown[1], ("relation/BAD", QueryState::Error(why)) if why.contains("cannot be read")));
    assert!(matches!(shown[2], ("relation/OLD", QueryState::Error(why)) if why.contains("OLD_FUNCTION")));
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn printing_ends_at_its_limit_and_takes_every_nth_record() {
    let bus = bus().await;
    let engine = engine(&bus);
    append(&bus, &["1", "2", "3", "4", "5"]).await;
    let mut results = engine.execute("PRINT press FROM BEGINNING INTERVAL 2 LIMIT 2;").await.unwrap();
    let Some(StatementResult::Print(mut print)) = results.pop() else { panic!("records") };
    let mut values = Vec::new();
    while let Some(record) = print.next().await {
        values.push(record.unwrap().record.value.unwrap());
    }
    assert_eq!(values, ["1", "3"]);
    let refused = engine.execute("PRINT pres;").await;
    assert!(
        matches!(refused, Err(SqlError::Mistakes(m)) if m[0].help.as_deref() == Some("did you mean 'press'?"))
    );
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn variables_and_properties_belong_to_their_session() {
    let bus = bus().await;
    let engine = engine(&bus);
    let mut session = Session::default();
    let done =
        engine.execute_in("DEFINE what = 'press'; SET 'auto.offset.reset' = 'EARLIEST';", &mut session).await;
    assert!(done.failed.is_none());
    let shown = engine.execute_in("SHOW VARIABLES; DESCRIBE ${WHAT}; SHOW PROPERTIES;", &mut session).await;
    assert!(shown.failed.is_none(), "{:?}", shown.failed);
    let listing = |at: usize| match &shown.done[at].result {
        StatementResult::Listing(listing) => listing.rows.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(listing(0), [["what", "press"]]);
    assert_eq!(shown.done[1].sql, "DESCRIBE press");
    assert_eq!(listing(2)[0], ["auto.offset.reset", "SESSION", "earliest"]);
    assert!(engine.execute("DESCRIBE ${what};").await.is_err());
    assert!(
        engine.execute_in("UNDEFINE WHAT; UNSET 'auto.offset.reset';", &mut session).await.failed.is_none()
    );
    assert_eq!(session, Session::default());
}
