//! Goal: whatever order statements, records, deletions and restarts come in, the engine answers, nothing panics and it ends.
//! Method: a random walk over statements that make, change and end queries on the memory bus, with topics deleted under
//! them, two statements at once, and engines that stop in the middle and start again.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use millstream_bus::{Acks, Bus, TopicPartition, TopicSpec, memory::MemoryBus};
use millstream_sql::{Catalog, ERROR_TOPIC, Engine, SqlError, StatementResult};
use std::sync::Arc;
use support::{DEADLINE, Dice, Still, read_all, record};

const STATEMENTS: &[&str] = &[
    "CREATE STREAM IF NOT EXISTS S (K VARCHAR KEY, X INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=2);",
    "CREATE OR REPLACE STREAM S (K VARCHAR KEY, X INT, Y VARCHAR) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');",
    "CREATE TABLE IF NOT EXISTS T (K VARCHAR PRIMARY KEY, X INT) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON', PARTITIONS=1);",
    "CREATE STREAM O AS SELECT K, X + 1 AS X FROM S EMIT CHANGES;",
    "CREATE OR REPLACE STREAM O AS SELECT K, X + 2 AS X FROM S WHERE X > 0 EMIT CHANGES;",
    "CREATE TABLE C AS SELECT X, COUNT(*) AS N FROM S GROUP BY X EMIT CHANGES;",
    "CREATE OR REPLACE TABLE C AS SELECT X, COUNT(*) AS N, SUM(X) AS SX FROM S GROUP BY X EMIT CHANGES;",
    "CREATE TABLE W AS SELECT K, COUNT(*) AS N FROM S WINDOW TUMBLING (SIZE 1 SECOND) GROUP BY K EMIT CHANGES;",
    "CREATE STREAM J AS SELECT S.K AS K, S.X AS X, T.X AS TX FROM S LEFT JOIN T ON S.K = T.K EMIT CHANGES;",
    "CREATE STREAM P AS SELECT X, K FROM S PARTITION BY X EMIT CHANGES;",
    "INSERT INTO O SELECT K, X FROM S EMIT CHANGES;",
    "INSERT INTO S (K, X) VALUES ('a', 7);",
    "INSERT INTO O (K, X) VALUES ('a', 7);",
    "INSERT INTO T (K, X) VALUES ('a', 7);",
    "ALTER STREAM S ADD COLUMN Z INT;",
    "ALTER STREAM O ADD COLUMN Z INT;",
    "DROP STREAM IF EXISTS S;",
    "DROP STREAM IF EXISTS S DELETE TOPIC;",
    "DROP STREAM IF EXISTS O DELETE TOPIC;",
    "DROP STREAM IF EXISTS J;",
    "DROP STREAM IF EXISTS P DELETE TOPIC;",
    "DROP TABLE IF EXISTS C DELETE TOPIC;",
    "DROP TABLE IF EXISTS W;",
    "DROP TABLE IF EXISTS T DELETE TOPIC;",
    "TERMINATE ALL;",
    "TERMINATE CTAS_C;",
    "PAUSE ALL;",
    "PAUSE CSAS_O;",
    "RESUME ALL;",
    "RESUME CTAS_C;",
    "EXPLAIN CSAS_J;",
    "DESCRIBE C EXTENDED;",
    "SHOW QUERIES;",
    "SELECT * FROM C;",
    "SELECT * FROM T WHERE K = 'a';",
    "SELECT * FROM S;",
    "SELECT * FROM W WHERE K = 'a';",
];

async fn answer(engine: &Engine, sql: &str) -> Option<String> {
    let work = async {
        match engine.execute(sql).await {
            Ok(results) => {
                for result in results {
                    let StatementResult::Push(mut query) = result else { continue };
                    while let Some(row) = query.next().await {
                        if let Err(error) = row {
                            return Some(error);
                        }
                    }
                }
                None
            }
            Err(error) => Some(error),
        }
    };
    match tokio::time::timeout(DEADLINE, work).await {
        Err(_) => Some(format!("`{sql}` was never answered")),
        Ok(Some(SqlError::Panicked(text))) => Some(format!("`{sql}`: {text}")),
        Ok(Some(error)) if error.to_string().is_empty() => {
            Some(format!("`{sql}` was refused without a word"))
        }
        Ok(_) => None,
    }
}

async fn walk(seed: u64) -> Vec<String> {
    let mut dice = Dice(seed);
    let bus: Arc<dyn Bus> = MemoryBus::new();
    let start = || Engine::new(bus.clone(), Catalog::new(), Arc::new(Still));
    let mut engine = start();
    let mut found = Vec::new();
    for step in 0..60_u32 {
        let sql = STATEMENTS[dice.index(STATEMENTS.len())];
        match dice.roll(12) {
            0..6 => found.extend(answer(&engine, sql).await),
            6 => {
                let other = STATEMENTS[dice.index(STATEMENTS.len())];
                let (one, two) = tokio::join!(answer(&engine, sql), answer(&engine, other));
                found.extend(one.into_iter().chain(two));
            }
            7..9 => {
                let topic = ["s", "t", "O"][dice.index(3)];
                let value = ["{\"X\":1}", "{\"X\":null}", "no", "{\"X\":-3,\"Y\":\"y\"}"][dice.index(4)];
                let at = TopicPartition::new(topic, i32::try_from(dice.roll(2)).unwrap());
                let time = i64::try_from(dice.roll(9_000)).unwrap();
                // The topic, or its second partition, need not be there.
                let _ = bus.append(&at, vec![record(Some("a"), Some(value), time)], Acks::All).await;
            }
            9 => {
                let topics = bus.topics().await.unwrap();
                if !topics.is_empty() {
                    let topic = topics[dice.index(topics.len())].name.clone();
                    bus.delete_topic(&topic).await.unwrap();
                    if dice.roll(2) == 0 {
                        let partitions = i32::try_from(1 + dice.roll(3)).unwrap();
                        bus.create_topic(&TopicSpec::new(topic, partitions)).await.unwrap();
                    }
                }
            }
            10 => {
                engine.stop().await;
                engine = start();
                found.extend(answer(&engine, STATEMENTS[0]).await);
            }
            _ => {
                // The tasks get on, and those that wait to try again do.
                tokio::time::advance(std::time::Duration::from_millis(dice.roll(3_000))).await;
                for _ in 0..dice.roll(300) {
                    tokio::task::yield_now().await;
                }
            }
        }
        if !found.is_empty() {
            found.push(format!("seed {seed}, step {step}"));
            break;
        }
    }
    for (_, received) in read_all(&bus, ERROR_TOPIC).await {
        let text = String::from_utf8_lossy(&received.record.value.unwrap_or_default()).into_owned();
        if text.contains("panicked") {
            found.push(format!("seed {seed}: {text}"));
        }
    }
    if tokio::time::timeout(DEADLINE, engine.stop()).await.is_err() {
        found.push(format!("seed {seed}: the engine does not stop"));
    }
    found
}

#[tokio::test(start_paused = true)]
async fn in_any_order_everything_is_answered_and_ends() {
    let rounds: u64 =
        std::env::var("MILLSTREAM_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(40);
    let mut found = Vec::new();
    for seed in 1..=rounds {
        found.extend(walk(seed).await);
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
