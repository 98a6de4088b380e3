//! FAULTS, row F24: what is written changes its shape while queries read it. Columns come, go, change their names, places
//! and types, and so do the fields of a machine's structure: what can be read is read right, what is not there is NULL, and
//! what cannot be read is told. No value is ever bent, and none stands under another's name (O4).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use millstream_bus::{Acks, Bus, Record, TopicPartition, TopicSpec, memory::MemoryBus};
use millstream_model::Timestamp;
use millstream_registry::BusRegistry;
use millstream_sql::{Catalog, ERROR_TOPIC, Engine, QueryState};
use millstream_tests::rooms::{PATIENCE, TestClock, records, until, values};
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// What the reader declares, and goes on declaring.
const READER: &str = "N BIGINT, D DOUBLE, T VARCHAR, U STRUCT<A INT, B VARCHAR>";

/// What a writer declares, one row of it, and what the reader makes of it: a row, or a part of the reason why not.
type Drift = (&'static str, &'static str, &'static str, Result<&'static str, &'static str>);

const DRIFTS: &[Drift] = &[
    (
        "as agreed",
        READER,
        r#"{"N":1,"D":0.5,"T":"x","U":{"A":2,"B":"y"}}"#,
        Ok(r#"{"N":1,"D":0.5,"T":"x","U":{"A":2,"B":"y"}}"#),
    ),
    (
        "columns in another order",
        "U STRUCT<B VARCHAR, A INT>, T VARCHAR, D DOUBLE, N BIGINT",
        r#"{"N":2,"D":0.5,"T":"x","U":{"A":2,"B":"y"}}"#,
        Ok(r#"{"N":2,"D":0.5,"T":"x","U":{"A":2,"B":"y"}}"#),
    ),
    (
        "a new column, of each kind, before the others",
        "NEW BIGINT, MORE ARRAY<VARCHAR>, N BIGINT, D DOUBLE, T VARCHAR, U STRUCT<A INT, B VARCHAR>",
        r#"{"NEW":7,"MORE":["m"],"N":3,"D":0.5,"T":"x","U":{"A":2,"B":"y"}}"#,
        Ok(r#"{"N":3,"D":0.5,"T":"x","U":{"A":2,"B":"y"}}"#),
    ),
    (
        "a column is gone",
        "N BIGINT, T VARCHAR",
        r#"{"N":4,"T":"x"}"#,
        Ok(r#"{"N":4,"D":null,"T":"x","U":null}"#),
    ),
    (
        "a column has another name",
        "COUNTED BIGINT, D DOUBLE, T VARCHAR, U STRUCT<A INT, B VARCHAR>",
        r#"{"COUNTED":5,"D":0.5,"T":"x","U":{"A":2,"B":"y"}}"#,
        Ok(r#"{"N":null,"D":0.5,"T":"x","U":{"A":2,"B":"y"}}"#),
    ),
    (
        "two columns have changed their names",
        "N BIGINT, D DOUBLE, T STRUCT<A INT, B VARCHAR>, U VARCHAR",
        r#"{"N":6,"D":0.5,"T":{"A":2,"B":"y"},"U":"x"}"#,
        Err("field `"),
    ),
    (
        "a narrower number",
        "N INT, D BIGINT, T VARCHAR, U STRUCT<A INT, B VARCHAR>",
        r#"{"N":7,"D":2,"T":"x","U":{"A":2,"B":"y"}}"#,
        Ok(r#"{"N":7,"D":2.0,"T":"x","U":{"A":2,"B":"y"}}"#),
    ),
    (
        "a number with a fraction instead of a whole one",
        "N DOUBLE, D DOUBLE, T VARCHAR, U STRUCT<A INT, B VARCHAR>",
        r#"{"N":7.5,"D":0.5,"T":"x","U":{"A":2,"B":"y"}}"#,
        Err("`N`"),
    ),
    (
        "an element of a structure with a fraction instead of a whole one",
        "N BIGINT, D DOUBLE, T VARCHAR, U STRUCT<A DOUBLE, B VARCHAR>",
        r#"{"N":7,"D":0.5,"T":"x","U":{"A":2.5,"B":"y"}}"#,
        Err("`U->A`"),
    ),
    (
        "a text instead of a number",
        "N VARCHAR, D DOUBLE, T VARCHAR, U STRUCT<A INT, B VARCHAR>",
        r#"{"N":"eight","D":0.5,"T":"x","U":{"A":2,"B":"y"}}"#,
        Err("`N`"),
    ),
    (
        "an array instead of a number",
        "N ARRAY<BIGINT>, D DOUBLE, T VARCHAR, U STRUCT<A INT, B VARCHAR>",
        r#"{"N":[9],"D":0.5,"T":"x","U":{"A":2,"B":"y"}}"#,
        Err("`N`"),
    ),
    (
        "a number instead of a text",
        "N BIGINT, D DOUBLE, T INT, U STRUCT<A INT, B VARCHAR>",
        r#"{"N":10,"D":0.5,"T":12,"U":{"A":2,"B":"y"}}"#,
        Ok(r#"{"N":10,"D":0.5,"T":"12","U":{"A":2,"B":"y"}}"#),
    ),
    (
        "a structure has a new element and its elements stand otherwise",
        "N BIGINT, D DOUBLE, T VARCHAR, U STRUCT<NEW DOUBLE, B VARCHAR, A INT>",
        r#"{"N":11,"D":0.5,"T":"x","U":{"NEW":1.5,"A":2,"B":"y"}}"#,
        Ok(r#"{"N":11,"D":0.5,"T":"x","U":{"A":2,"B":"y"}}"#),
    ),
    (
        "a structure has lost an element",
        "N BIGINT, D DOUBLE, T VARCHAR, U STRUCT<B VARCHAR>",
        r#"{"N":12,"D":0.5,"T":"x","U":{"B":"y"}}"#,
        Ok(r#"{"N":12,"D":0.5,"T":"x","U":{"A":null,"B":"y"}}"#),
    ),
    (
        "an element of a structure is wider, its value is not",
        "N BIGINT, D DOUBLE, T VARCHAR, U STRUCT<A BIGINT, B VARCHAR>",
        r#"{"N":13,"D":0.5,"T":"x","U":{"A":2147483647,"B":"y"}}"#,
        Ok(r#"{"N":13,"D":0.5,"T":"x","U":{"A":2147483647,"B":"y"}}"#),
    ),
    (
        "an element of a structure is wider, its value as well",
        "N BIGINT, D DOUBLE, T VARCHAR, U STRUCT<A BIGINT, B VARCHAR>",
        r#"{"N":14,"D":0.5,"T":"x","U":{"A":2147483648,"B":"y"}}"#,
        Err("`U->A`"),
    ),
    (
        "an element of a structure is of another kind",
        "N BIGINT, D DOUBLE, T VARCHAR, U STRUCT<A STRUCT<X INT>, B VARCHAR>",
        r#"{"N":15,"D":0.5,"T":"x","U":{"A":{"X":1},"B":"y"}}"#,
        Err("`U->A`"),
    ),
    (
        "a structure has become a number",
        "N BIGINT, D DOUBLE, T VARCHAR, U INT",
        r#"{"N":16,"D":0.5,"T":"x","U":17}"#,
        Err("`U`"),
    ),
];

struct World {
    bus: Arc<dyn Bus>,
    engine: Engine,
}

impl World {
    async fn start() -> Self {
        let (bus, clock): (Arc<dyn Bus>, _) = (MemoryBus::new(), TestClock::start());
        let registry = BusRegistry::open(MemoryBus::new(), clock.clone()).await.unwrap();
        let engine = Engine::new(bus.clone(), Catalog::new(), clock).with_registry(Arc::new(registry));
        Self { bus, engine }
    }

    async fn append(&self, topic: &str, key: &str, value: Option<bytes::Bytes>) {
        if self.bus.describe_topic(topic).await.is_err() {
            self.bus.create_topic(&TopicSpec::new(topic, 1)).await.unwrap();
        }
        let record = Record::new(Some(key.to_owned().into()), value, Timestamp(1_000));
        self.bus.append(&TopicPartition::new(topic, 0), vec![record], Acks::All).await.unwrap();
    }

    /// Waits for `count` records in both topics together.
    async fn wait(&self, topic: &str, count: usize) {
        until(&format!("{count} records of {topic} or errors"), PATIENCE, async || {
            let found = records(&*self.bus, topic).await.len() + records(&*self.bus, ERROR_TOPIC).await.len();
            (found >= count).then_some(())
        })
        .await;
    }

    /// The records of every writer in `format`, with the schema that it registered for itself.
    async fn written(&self, format: &str) -> Vec<bytes::Bytes> {
        let mut all = Vec::new();
        for (number, (what, columns, row, _)) in DRIFTS.iter().enumerate() {
            let made = format!(
                "CREATE STREAM W{number} (K VARCHAR KEY, {columns}) WITH (KAFKA_TOPIC='w{number}', VALUE_FORMAT='JSON');
                 CREATE STREAM M{number} WITH (KAFKA_TOPIC='m{number}', VALUE_FORMAT='{format}') AS SELECT * FROM W{number};"
            );
            let made = self.engine.execute(&made).await;
            assert!(made.is_ok(), "{format}, {what}: {made:?}");
            self.append(&format!("w{number}"), "k", Some((*row).into())).await;
            let topic = format!("m{number}");
            self.wait(&topic, 1).await;
            let mut written = records(&*self.bus, &topic).await;
            all.push(written.remove(0).record.value.unwrap());
        }
        all
    }
}

/// All drifts in one format, one after another through the same query. What is `refused` by its schema already, is so
/// whatever its value.
async fn drift(format: &str, refused: &[&str]) {
    let world = World::start().await;
    let written = world.written(format).await;
    let reader = format!(
        "CREATE STREAM R (K VARCHAR KEY, {READER}) WITH (KAFKA_TOPIC='r', VALUE_FORMAT='{format}');
         CREATE STREAM FOUND WITH (VALUE_FORMAT='JSON') AS SELECT * FROM R;"
    );
    world.engine.execute(&reader).await.unwrap();
    for value in &written {
        world.append("r", "k", Some(value.clone())).await;
    }
    world.wait("FOUND", DRIFTS.len()).await;
    let (mut found, mut errors) =
        (values(&*world.bus, "FOUND").await.into_iter(), values(&*world.bus, ERROR_TOPIC).await.into_iter());
    for (offset, (what, _, _, expected)) in DRIFTS.iter().enumerate() {
        let expected = if refused.contains(what) { Err("field `") } else { *expected };
        let what = format!("{format}: {what}");
        match expected {
            Ok(row) => {
                let row: Json = serde_json::from_str(row).unwrap();
                assert_eq!(found.next(), Some(row), "{what}");
            }
            Err(reason) => {
                let error = errors.next().unwrap_or_else(|| panic!("{what}: nothing is told"));
                assert_eq!(error["offset"], json!(offset), "{what}: {error}");
                assert!(error["error"].as_str().unwrap().contains(reason), "{what}: {error}");
            }
        }
    }
    assert_eq!((found.next(), errors.next()), (None, None), "{format}");
    let queries = world.engine.queries();
    let query = queries.iter().find(|query| query.id == "CSAS_FOUND").unwrap();
    assert_eq!((&query.state, query.restarts), (&QueryState::Running, 0), "{format}");
    world.engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn f24_json_that_changes_its_shape_is_read_right_or_told() {
    drift("JSON", &[]).await;
    drift("JSON_SR", &[]).await;
}

#[tokio::test(start_paused = true)]
async fn f24_avro_that_changes_its_shape_is_read_right_or_told() {
    drift("AVRO", &["an element of a structure is wider, its value is not"]).await;
}

#[tokio::test(start_paused = true)]
async fn f24_protobuf_that_changes_its_shape_is_read_right_or_told() {
    drift("PROTOBUF", &["an element of a structure is wider, its value is not"]).await;
}

#[tokio::test(start_paused = true)]
async fn f24_a_result_that_its_readers_could_not_read_is_refused_before_anything_is_written() {
    for format in ["AVRO", "PROTOBUF", "JSON_SR"] {
        let world = World::start().await;
        let first = format!(
            "CREATE STREAM S (K VARCHAR KEY, X BIGINT, Y VARCHAR) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');
             CREATE STREAM FIRST WITH (KAFKA_TOPIC='out', VALUE_FORMAT='{format}') AS SELECT K, X FROM S;"
        );
        world.engine.execute(&first).await.unwrap();
        // Another type for a column under the same subject.
        let breaking = format!(
            "CREATE STREAM BREAKING WITH (KAFKA_TOPIC='out', VALUE_FORMAT='{format}') AS SELECT K, ARRAY[X] AS X FROM S;"
        );
        let refused = world.engine.execute(&breaking).await.unwrap_err().to_string();
        assert!(refused.contains("compatible"), "{format}: {refused}");
        if format == "JSON_SR" {
            // An open schema, as ksqlDB's are, lets any field have had any value: no column can come that is sure of its own.
            continue;
        }
        // A column more is read by those who know it and passed over by the others.
        let additive = format!(
            "CREATE OR REPLACE STREAM FIRST WITH (KAFKA_TOPIC='out', VALUE_FORMAT='{format}') AS SELECT K, X, Y FROM S;"
        );
        world.engine.execute(&additive).await.unwrap();
        let reader = format!(
            "CREATE STREAM OLD (K VARCHAR KEY, X BIGINT) WITH (KAFKA_TOPIC='out', VALUE_FORMAT='{format}');
             CREATE STREAM NEW (K VARCHAR KEY) WITH (KAFKA_TOPIC='out', VALUE_FORMAT='{format}');
             CREATE STREAM OLD_ROWS WITH (VALUE_FORMAT='JSON') AS SELECT K, X, 1 AS V FROM OLD;
             CREATE STREAM NEW_ROWS WITH (VALUE_FORMAT='JSON') AS SELECT * FROM NEW;"
        );
        world.engine.execute(&reader).await.unwrap();
        world.append("s", "k", Some(r#"{"X":7,"Y":"seven"}"#.into())).await;
        world.wait("OLD_ROWS", 1).await;
        world.wait("NEW_ROWS", 1).await;
        assert_eq!(values(&*world.bus, "OLD_ROWS").await, [json!({"X": 7, "V": 1})], "{format}");
        assert_eq!(values(&*world.bus, "NEW_ROWS").await, [json!({"X": 7, "Y": "seven"})], "{format}");
        assert_eq!(values(&*world.bus, ERROR_TOPIC).await, [Json::Null; 0], "{format}");
        world.engine.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn f24_formats_without_names_tell_another_number_of_fields() {
    let world = World::start().await;
    let reader = "CREATE STREAM R (K VARCHAR KEY, N BIGINT, T VARCHAR) WITH (KAFKA_TOPIC='r', VALUE_FORMAT='DELIMITED');
        CREATE STREAM FOUND WITH (VALUE_FORMAT='JSON') AS SELECT * FROM R;";
    world.engine.execute(reader).await.unwrap();
    for value in ["1,a", "2", "3,c,new", "d,4", "5,e"] {
        world.append("r", "k", Some(value.into())).await;
    }
    world.wait("FOUND", 5).await;
    let found = values(&*world.bus, "FOUND").await;
    assert_eq!(found, [json!({"N": 1, "T": "a"}), json!({"N": 5, "T": "e"})]);
    let told: Vec<_> =
        values(&*world.bus, ERROR_TOPIC).await.into_iter().map(|error| error["offset"].clone()).collect();
    assert_eq!(told, [1, 2, 3]);
    world.engine.stop().await;
}
