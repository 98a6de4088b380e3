//! Goal: no record, however wrong, makes a query panic, stop or grow without bound, and what it cannot use is said. Method:
//! queries of every kind over every format on the memory bus; random records of hostile keys, values and times, one by
//! one and many at once.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use bytes::Bytes;
use millstream_bus::{Acks, Bus, Header, Record, TopicPartition, TopicSpec, memory::MemoryBus};
use millstream_model::Timestamp;
use millstream_registry::BusRegistry;
use millstream_sql::{Catalog, ERROR_TOPIC, Engine, QueryState};
use std::sync::Arc;
use support::{Dice, Still, drained, read_all};

const COLUMNS: &str = "X INT, Y BIGINT, Z DOUBLE, D DECIMAL(10, 2), B BOOLEAN, V VARCHAR, R BYTES, DA DATE, TI TIME, TS TIMESTAMP";
const NESTED: &str = ", A ARRAY<INT>, M MAP<VARCHAR, INT>, N STRUCT<F INT, G ARRAY<STRUCT<H VARCHAR>>>";

/// Queries over the stream `S`, whatever its format; `A` is there where the format holds arrays.
const QUERIES: &[&str] = &[
    "CREATE STREAM Q1 AS SELECT * FROM S EMIT CHANGES;",
    "CREATE STREAM Q2 AS SELECT K, X + 1 AS X, Y * Y AS Y, Z / 0 AS Z, D * D AS D, UCASE(V) || V AS V, CAST(V AS INT) AS C, -X AS NX, ABS(X) AS AX,
        CAST(Z AS BIGINT) AS CZ, SUBSTRING(V, X, X) AS SV, LPAD(V, X, 'ab') AS LP, CAST(TS AS VARCHAR) AS CTS, DATEADD(DAYS, X, DA) AS ADA,
        TIMEADD(HOURS, X, TI) AS ATI, TIMESTAMPADD(DAYS, X, TS) AS ATS, X % Y AS MO, ROUND(D, X) AS RD FROM S EMIT CHANGES;",
    "CREATE TABLE Q3 WITH (VALUE_FORMAT='JSON') AS SELECT V, COUNT(*) AS N, SUM(X) AS SX, SUM(Y) AS SY, AVG(Z) AS AZ, MIN(D) AS MD, MAX(V) AS MV, COLLECT_LIST(V) AS CL, COLLECT_SET(X) AS CS,
        HISTOGRAM(V) AS H, TOPK(Y, 3) AS TK, LATEST_BY_OFFSET(Z, 2) AS LZ, COUNT_DISTINCT(Y) AS CD, STDDEV_SAMP(Y) AS SD, CORRELATION(X, Y) AS CO
        FROM S GROUP BY V EMIT CHANGES;",
    "CREATE TABLE Q4 AS SELECT K, COUNT(*) AS N, SUM(D) AS SD FROM S WINDOW TUMBLING (SIZE 1 SECOND) GROUP BY K EMIT CHANGES;",
    "CREATE TABLE Q5 AS SELECT K, COUNT(*) AS N FROM S WINDOW HOPPING (SIZE 10 SECONDS, ADVANCE BY 1 SECOND, GRACE PERIOD 0 SECONDS) GROUP BY K EMIT FINAL;",
    "CREATE TABLE Q6 WITH (VALUE_FORMAT='JSON') AS SELECT K, COUNT(*) AS N, COLLECT_LIST(X) AS L FROM S WINDOW SESSION (5 SECONDS, GRACE PERIOD 1 DAY) GROUP BY K EMIT CHANGES;",
    "CREATE TABLE Q7 AS SELECT K, COUNT(*) AS N FROM S WINDOW SESSION (10000 DAYS) GROUP BY K EMIT CHANGES;",
    "CREATE TABLE Q8 AS SELECT K, COUNT(*) AS N FROM S WINDOW TUMBLING (SIZE 10000 DAYS) GROUP BY K EMIT FINAL;",
    "CREATE STREAM Q9 AS SELECT A.V AS V, A.X AS X, B.Y AS Y FROM S A JOIN S2 B WITHIN 3 SECONDS GRACE PERIOD 1 SECOND ON A.V = B.V EMIT CHANGES;",
    "CREATE STREAM Q10 AS SELECT ROWKEY AS RK, A.X AS X, B.Y AS Y FROM S A FULL OUTER JOIN S2 B WITHIN 10000 DAYS GRACE PERIOD 10000 DAYS ON A.Y = B.Y EMIT CHANGES;",
    "CREATE STREAM Q11 AS SELECT A.K AS K, A.X AS X, T.Y AS Y FROM S A LEFT JOIN T ON A.K = T.K EMIT CHANGES;",
    "CREATE TABLE Q12 AS SELECT T.K AS K, T.X AS X, U.Y AS Y FROM T LEFT JOIN U ON T.V = U.K EMIT CHANGES;",
    "CREATE TABLE Q13 AS SELECT ROWKEY AS RK, T.X AS X, U.Y AS Y FROM T FULL OUTER JOIN U ON T.K = U.K EMIT CHANGES;",
    "CREATE TABLE Q14 WITH (VALUE_FORMAT='JSON') AS SELECT V, COUNT(*) AS N, SUM(X) AS SX, SUM(Z) AS SZ, AVG(Y) AS AY, COLLECT_LIST(X) AS L FROM T GROUP BY V EMIT CHANGES;",
    "CREATE STREAM Q15 AS SELECT K, EXPLODE(A) AS E, X FROM S EMIT CHANGES;",
    "CREATE STREAM Q16 AS SELECT K, TRANSFORM(A, x => x + X) AS TA, REDUCE(A, 0, (s, x) => s * 3 + x) AS RA, A[X] AS AX, N->G[1]->H AS H, M['a'] AS MA FROM S EMIT CHANGES;",
    "CREATE STREAM Q17 AS SELECT V, X, Y FROM S PARTITION BY Y EMIT CHANGES;",
    "CREATE STREAM Q18 WITH (TIMESTAMP='Y') AS SELECT K, X, Y FROM S EMIT CHANGES;",
    "CREATE STREAM Q19 WITH (VALUE_FORMAT='DELIMITED') AS SELECT K, X, Y, Z, D, V, R, TS FROM S EMIT CHANGES;",
    "CREATE STREAM Q20 WITH (VALUE_FORMAT='PROTOBUF') AS SELECT * FROM S EMIT CHANGES;",
    "CREATE STREAM Q21 WITH (VALUE_FORMAT='AVRO') AS SELECT * FROM S EMIT CHANGES;",
];

const TIMES: &[i64] = &[
    i64::MIN,
    i64::MIN + 1,
    -9_000_000_000_000_001,
    -1_000,
    -1,
    0,
    1,
    999,
    1_000,
    1_001,
    5_000,
    86_400_000,
    1_700_000_000_000,
    253_402_300_800_000,
    9_000_000_000_000_000,
    i64::MAX - 1_000,
    i64::MAX - 1,
    i64::MAX,
];

const WORDS: &[&str] = &[
    "",
    "null",
    "{}",
    "[]",
    "0",
    "-1",
    "1.5",
    "true",
    "\"\"",
    "{",
    "\u{0}",
    "é",
    "a",
    "b",
    "{\"X\":1}",
    "{\"X\":null}",
    "{\"x\":1,\"X\":2}",
    "{\"X\":1e400}",
    "{\"X\":2147483648}",
    "{\"Y\":-9223372036854775808,\"X\":-2147483648,\"V\":\"a\",\"DA\":-2147483648,\"TS\":9223372036854775807,\"TI\":86400000}",
    "{\"Y\":9223372036854775807,\"X\":2147483647,\"V\":\"b\",\"DA\":2147483647,\"TS\":-9223372036854775808,\"TI\":-1}",
    "{\"X\":1,\"Y\":2,\"V\":\"a\",\"Z\":1e308,\"D\":99999999.99,\"A\":[1,2,3],\"M\":{\"a\":1,\"b\":null},\"N\":{\"F\":1,\"G\":[{\"H\":\"h\"},null]}}",
    "{\"X\":2,\"Y\":2,\"V\":\"a\",\"Z\":-1e308,\"D\":-99999999.99,\"A\":[null,2147483647],\"M\":null,\"N\":{\"G\":null}}",
    "{\"X\":3,\"Y\":0,\"V\":\"b\",\"Z\":\"NaN\",\"D\":\"1.005\",\"A\":{},\"TS\":1,\"DA\":1,\"TI\":1,\"R\":\"!!\"}",
    "{\"X\":3,\"Y\":5,\"V\":\"b\",\"D\":1,\"A\":[],\"TS\":1,\"DA\":1,\"TI\":1,\"R\":\"AAEC\"}",
    "{\"V\":null,\"Y\":1000}",
    "{\"V\":{\"V\":1}}",
    "{\"V\":\"\u{1F600}\"}",
    "1,2,3.5,4.25,true,text,AAEC,1,2,3",
    "1,2,3.5,4.25,true,\"te\"\"xt,,\",AAEC,1,2,3",
    ",,,,,,,,,",
    "\"",
    "1,2",
    "99999999999,2,NaN,Infinity,x,y,z,,,",
    "2147483647,9223372036854775807,1e308,99999999.99,false,a,,-2147483648,-1,-9223372036854775808",
];

/// Bytes that no one expects, or some that are nearly right.
fn hostile(dice: &mut Dice) -> Option<Bytes> {
    Some(match dice.roll(16) {
        0 => return None,
        1 => Bytes::new(),
        2 => (0..dice.roll(40)).map(|_| u8::try_from(dice.roll(256)).unwrap()).collect(),
        3 => Bytes::from(vec![
            0,
            0,
            0,
            0,
            u8::try_from(dice.roll(4)).unwrap(),
            0,
            2,
            4,
            8,
            255,
            255,
            255,
            255,
            127,
        ]),
        4 => Bytes::copy_from_slice(&TIMES[dice.index(TIMES.len())].to_be_bytes()),
        5 => Bytes::from("[".repeat(5_000)),
        6 => Bytes::from(format!("{{\"X\":1,\"A\":[{}1]}}", "1,".repeat(3_000))),
        7 => Bytes::from(format!("{{\"V\":\"{}\",\"X\":2147483647}}", "x".repeat(2_000))),
        8 => {
            let mut bytes = WORDS[dice.index(WORDS.len())].as_bytes().to_vec();
            if !bytes.is_empty() {
                let at = dice.index(bytes.len());
                bytes[at] = u8::try_from(dice.roll(256)).unwrap();
            }
            bytes.into()
        }
        _ => Bytes::from_static(WORDS[dice.index(WORDS.len())].as_bytes()),
    })
}

fn record(dice: &mut Dice) -> Record {
    let key = match dice.roll(4) {
        0 => hostile(dice),
        1 => None,
        _ => Some(Bytes::from_static(["a", "b", "c", "null"][dice.index(4)].as_bytes())),
    };
    let time = if dice.roll(3) == 0 {
        TIMES[dice.index(TIMES.len())]
    } else {
        i64::try_from(dice.roll(20_000)).unwrap()
    };
    let mut record = Record::new(key, hostile(dice), Timestamp(time));
    if dice.roll(4) == 0 {
        record.headers.push(Header { name: "trace".into(), value: hostile(dice) });
    }
    record
}

async fn round(format: &str, seed: u64) -> Vec<String> {
    let mut dice = Dice(seed);
    let bus: Arc<dyn Bus> = MemoryBus::new();
    let registry = BusRegistry::open(MemoryBus::new(), Arc::new(Still)).await.unwrap();
    let engine = Engine::new(bus.clone(), Catalog::new(), Arc::new(Still)).with_registry(Arc::new(registry));
    let nested = if format == "DELIMITED" { "" } else { NESTED };
    let sources = [
        ("STREAM", "S", "KEY"),
        ("STREAM", "S2", "KEY"),
        ("TABLE", "T", "PRIMARY KEY"),
        ("TABLE", "U", "PRIMARY KEY"),
    ];
    for (kind, name, key) in sources {
        bus.create_topic(&TopicSpec::new(name, 2)).await.unwrap();
        let sql = format!(
            "CREATE {kind} {name} (K VARCHAR {key}, {COLUMNS}{nested}) WITH (KAFKA_TOPIC='{name}', VALUE_FORMAT='{format}');"
        );
        engine.execute(&sql).await.unwrap();
    }
    let (mut started, mut wrong) = (0, Vec::new());
    for query in QUERIES {
        let arrays = ["A)", "A[", "M["].iter().any(|part| query.contains(part));
        let Err(refused) = engine.execute(query).await else {
            started += 1;
            continue;
        };
        if !(nested.is_empty() && arrays) {
            wrong.push(format!("{query}\n{refused:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for _ in 0..25 {
        let topic = sources[dice.index(sources.len())].1;
        let many = [1, 1, 2, 9, 60][dice.index(5)];
        let records: Vec<_> = (0..many).map(|_| record(&mut dice)).collect();
        let to = TopicPartition::new(topic, i32::try_from(dice.roll(2)).unwrap());
        bus.append(&to, records, Acks::All).await.unwrap();
        if dice.roll(3) == 0 {
            drained(&bus, &engine).await;
        }
    }
    drained(&bus, &engine).await;
    let mut found = Vec::new();
    let queries = engine.queries();
    assert_eq!(queries.len(), started);
    for query in queries {
        if query.state != QueryState::Running || query.restarts > 0 {
            found.push(format!("{format} {seed}: {query:?}"));
        }
    }
    for (_, received) in read_all(&bus, ERROR_TOPIC).await {
        let value = received.record.value.unwrap_or_default();
        let error: serde_json::Value = serde_json::from_slice(&value).unwrap();
        let text = error["error"].as_str().unwrap_or_default();
        if text.is_empty() || text.contains("panicked") || error["query"].as_str().is_none_or(str::is_empty) {
            found.push(format!(
                "{format} {seed}: {}",
                error.to_string().chars().take(900).collect::<String>()
            ));
        }
    }
    engine.stop().await;
    found
}

#[tokio::test(start_paused = true)]
async fn no_record_stops_a_query() {
    let rounds: u64 =
        std::env::var("MILLSTREAM_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(2);
    let mut found = Vec::new();
    for format in ["JSON", "DELIMITED", "AVRO", "PROTOBUF", "PROTOBUF_NOSR", "JSON_SR"] {
        for seed in 1..=rounds {
            found.extend(round(format, seed).await);
        }
    }
    found.truncate(12);
    assert!(found.is_empty(), "{}", found.join("\n\n"));
}
