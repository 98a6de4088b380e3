//! Goal: joins give the same result however many partitions their topics have. Method: random rows go into topics of
//! different numbers of partitions; what the result's topic says in the end is compared with the join of all rows.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::match_bool,
    clippy::too_many_lines,
    reason = "numbers of a test are small, and its branches short"
)]

mod support;

use millstream_bus::{Acks, Bus, TopicPartition, TopicSpec, memory::MemoryBus, partition_for_key};
use millstream_sql::{Catalog, Engine};
use std::collections::BTreeMap;
use std::sync::Arc;
use support::{Still, drained, read_all, record};

/// A small generator of numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

async fn append(bus: &Arc<dyn Bus>, topic: &str, partitions: i32, key: i32, time: i64, value: Option<&str>) {
    let bytes = key.to_be_bytes().to_vec();
    let at = TopicPartition::new(topic, partition_for_key(Some(&bytes), partitions));
    let mut made = record(None, value, time);
    made.key = Some(bytes.into());
    bus.append(&at, vec![made], Acks::All).await.unwrap();
}

/// The newest value of every key, as text.
async fn table(bus: &Arc<dyn Bus>, topic: &str) -> BTreeMap<i32, String> {
    let mut table = BTreeMap::new();
    for (_, received) in read_all(bus, topic).await {
        let key = received.record.key.unwrap();
        let key = i32::from_be_bytes(key.as_ref().try_into().unwrap());
        match received.record.value {
            Some(value) => drop(table.insert(key, String::from_utf8(value.to_vec()).unwrap())),
            None => drop(table.remove(&key)),
        }
    }
    table
}

const TABLES: &str = "
    CREATE TABLE L (ID INT PRIMARY KEY, F INT, X INT) WITH (KAFKA_TOPIC='l', VALUE_FORMAT='JSON');
    CREATE TABLE R (ID INT PRIMARY KEY, Y INT) WITH (KAFKA_TOPIC='r', VALUE_FORMAT='JSON');
    CREATE TABLE SAME WITH (KAFKA_TOPIC='same') AS SELECT L.ID, X, Y FROM L LEFT JOIN R ON L.ID = R.ID;
    CREATE TABLE FOUND WITH (KAFKA_TOPIC='found') AS SELECT L.ID, X, Y FROM L JOIN R ON L.F = R.ID;
    CREATE TABLE KEPT WITH (KAFKA_TOPIC='kept') AS SELECT L.ID, X, Y FROM L LEFT JOIN R ON L.F = R.ID;
    CREATE TABLE OWN WITH (KAFKA_TOPIC='own') AS SELECT A.ID, A.X, B.X FROM L A LEFT JOIN L B ON A.F = B.ID;";

/// Which key a row of the left and one of the right meet on.
type Meet = dyn Fn(&(i32, i32, i64), &(i32, i64)) -> Option<i64>;

#[tokio::test(start_paused = true)]
async fn tables_are_joined_over_any_partitions() {
    for (seed, (lefts, rights)) in (1..).zip([(1, 1), (1, 3), (3, 1), (3, 3), (2, 5), (4, 2)]) {
        let bus: Arc<dyn Bus> = MemoryBus::new();
        bus.create_topic(&TopicSpec::new("l", lefts)).await.unwrap();
        bus.create_topic(&TopicSpec::new("r", rights)).await.unwrap();
        let engine = Engine::new(bus.clone(), Catalog::new(), Arc::new(Still));
        engine.execute(TABLES).await.unwrap();
        let mut dice = Dice(seed);
        let (mut left, mut right) = (BTreeMap::new(), BTreeMap::new());
        for time in 0..150 {
            let key = dice.roll(8) as i32;
            let deletes = dice.roll(4) == 0;
            if dice.roll(2) == 0 {
                let (foreign, x) = ((dice.roll(5) > 0).then(|| dice.roll(8) as i32), time);
                let text = foreign.map_or("null".to_owned(), |foreign| foreign.to_string());
                let value = format!("{{\"F\":{text},\"X\":{x}}}");
                append(&bus, "l", lefts, key, time, (!deletes).then_some(value.as_str())).await;
                match deletes {
                    true => drop(left.remove(&key)),
                    false => drop(left.insert(key, (foreign, x))),
                }
            } else {
                let value = format!("{{\"Y\":{time}}}");
                append(&bus, "r", rights, key, time, (!deletes).then_some(value.as_str())).await;
                match deletes {
                    true => drop(right.remove(&key)),
                    false => drop(right.insert(key, time)),
                }
            }
            if dice.roll(10) == 0 {
                drained(&bus, &engine).await;
            }
        }
        drained(&bus, &engine).await;
        engine.stop().await;
        let text = |value: Option<i64>| value.map_or("null".to_owned(), |value| value.to_string());
        let line = |x: i64, y: Option<i64>| format!("{{\"X\":{x},\"Y\":{}}}", text(y));
        let own = |x: i64, y: Option<i64>| format!("{{\"A_X\":{x},\"B_X\":{}}}", text(y));
        let found = |foreign: &Option<i32>| foreign.and_then(|foreign| right.get(&foreign).copied());
        let boss = |foreign: &Option<i32>| foreign.and_then(|foreign| left.get(&foreign).map(|(_, x)| *x));
        let of = |row: &dyn Fn(i32, Option<i32>, i64) -> Option<String>| -> BTreeMap<i32, String> {
            left.iter().filter_map(|(key, (foreign, x))| Some((*key, row(*key, *foreign, *x)?))).collect()
        };
        let case = format!("seed {seed}, {lefts} and {rights} partitions");
        let same = of(&|key, _, x| Some(line(x, right.get(&key).copied())));
        assert_eq!(table(&bus, "same").await, same, "SAME, {case}");
        let inner = of(&|_, foreign, x| found(&foreign).map(|y| line(x, Some(y))));
        assert_eq!(table(&bus, "found").await, inner, "FOUND, {case}");
        let kept = of(&|_, foreign, x| Some(line(x, found(&foreign))));
        assert_eq!(table(&bus, "kept").await, kept, "KEPT, {case}");
        let selves = of(&|_, foreign, x| Some(own(x, boss(&foreign))));
        assert_eq!(table(&bus, "own").await, selves, "OWN, {case}");
    }
}

const STREAMS: &str = "
    CREATE STREAM L (K INT KEY, F INT, X INT) WITH (KAFKA_TOPIC='l', VALUE_FORMAT='JSON');
    CREATE STREAM R (K INT KEY, Y INT) WITH (KAFKA_TOPIC='r', VALUE_FORMAT='JSON');
    CREATE STREAM SAME WITH (KAFKA_TOPIC='same') AS
        SELECT L.K, X, Y FROM L JOIN R WITHIN 1 DAY GRACE PERIOD 1 DAY ON L.K = R.K;
    CREATE STREAM OTHER WITH (KAFKA_TOPIC='other') AS
        SELECT R.K, X, Y FROM L JOIN R WITHIN 1 DAY GRACE PERIOD 1 DAY ON L.F = R.K;
    CREATE STREAM SUMS WITH (KAFKA_TOPIC='sums') AS
        SELECT ROWKEY, X, Y FROM L JOIN R WITHIN 1 DAY GRACE PERIOD 1 DAY ON F + 1 = Y % 8;";

#[tokio::test(start_paused = true)]
async fn streams_are_joined_over_any_partitions() {
    for (seed, (lefts, rights)) in (1..).zip([(1, 1), (1, 3), (3, 3), (2, 5), (4, 2)]) {
        let bus: Arc<dyn Bus> = MemoryBus::new();
        bus.create_topic(&TopicSpec::new("l", lefts)).await.unwrap();
        bus.create_topic(&TopicSpec::new("r", rights)).await.unwrap();
        let engine = Engine::new(bus.clone(), Catalog::new(), Arc::new(Still));
        engine.execute(STREAMS).await.unwrap();
        let mut dice = Dice(seed);
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for time in 0..40_i64 {
            let key = dice.roll(4) as i32;
            if dice.roll(2) == 0 {
                let foreign = dice.roll(4) as i32;
                append(&bus, "l", lefts, key, time, Some(&format!("{{\"F\":{foreign},\"X\":{time}}}"))).await;
                left.push((key, foreign, time));
            } else {
                append(&bus, "r", rights, key, time, Some(&format!("{{\"Y\":{time}}}"))).await;
                right.push((key, time));
            }
        }
        drained(&bus, &engine).await;
        engine.stop().await;
        let pairs = |meet: &Meet| {
            let all = left.iter().flat_map(|l| right.iter().map(move |r| (l, r)));
            let mut pairs: Vec<_> = all
                .filter_map(|(l, r)| Some(format!("{} {{\"X\":{},\"Y\":{}}}", meet(l, r)?, l.2, r.1)))
                .collect();
            pairs.sort();
            pairs
        };
        let mut expected = BTreeMap::new();
        expected.insert("same", pairs(&|l, r| (l.0 == r.0).then_some(i64::from(l.0))));
        expected.insert("other", pairs(&|l, r| (l.1 == r.0).then_some(i64::from(r.0))));
        expected.insert("sums", pairs(&|l, r| (i64::from(l.1) + 1 == r.1 % 8).then_some(r.1 % 8)));
        for (topic, expected) in expected {
            let mut found: Vec<_> = Vec::new();
            for (_, received) in read_all(&bus, topic).await {
                let key = received.record.key.unwrap();
                let key = i32::from_be_bytes(key.as_ref().try_into().unwrap());
                let value = String::from_utf8(received.record.value.unwrap().to_vec()).unwrap();
                found.push(format!("{key} {value}"));
            }
            found.sort();
            assert_eq!(found, expected, "{topic}, seed {seed}, {lefts} and {rights} partitions");
        }
    }
}
