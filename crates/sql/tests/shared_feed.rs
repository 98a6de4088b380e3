//! Goal: each topic partition is decoded once however many queries read it, and the sharing changes no result. Method:
//! many queries with different columns and filters over one topic, fed while they run; the counter of shared decoding
//! must show each record once, and the results must be those of a query that runs alone.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use millstream_bus::{Acks, Bus, TopicPartition, TopicSpec, memory::MemoryBus};
use millstream_model::metric::{Collect, Page};
use millstream_sql::{Catalog, Engine};
use std::collections::BTreeMap;
use std::sync::Arc;
use support::{Still, drained, read_all, record};

const DECLARED: &str = "CREATE STREAM S (K VARCHAR KEY, A INT, B DOUBLE, C VARCHAR) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');";
const QUERIES: [&str; 5] = [
    "SELECT K, A FROM S WHERE A > 3 EMIT CHANGES",
    "SELECT K, B, ROWTIME AS T FROM S WHERE B < 50.0 EMIT CHANGES",
    "SELECT K, C, ROWOFFSET AS O FROM S EMIT CHANGES",
    "SELECT K, A, C FROM S WHERE C LIKE 'x%' EMIT CHANGES",
    "SELECT * FROM S EMIT CHANGES",
];

async fn feed(bus: &Arc<dyn Bus>, values: &[String]) {
    for (n, value) in (0..).zip(values) {
        let made = record(Some(&format!("k{}", n % 3)), Some(value), n);
        bus.append(&TopicPartition::new("s", 0), vec![made], Acks::All).await.unwrap();
    }
}

/// What each query writes, all of them running beside one another.
async fn results(queries: &[&str], values: &[String]) -> (BTreeMap<String, Vec<String>>, u64) {
    let bus: Arc<dyn Bus> = MemoryBus::new();
    bus.create_topic(&TopicSpec::new("s", 1)).await.unwrap();
    let engine = Engine::new(bus.clone(), Catalog::new(), Arc::new(Still));
    engine.execute(DECLARED).await.unwrap();
    for query in queries {
        let name = QUERIES.iter().position(|known| known == query).unwrap();
        engine.execute(&format!("CREATE STREAM OUT{name} AS {query};")).await.unwrap();
    }
    drained(&bus, &engine).await;
    feed(&bus, values).await;
    drained(&bus, &engine).await;
    let mut found = BTreeMap::new();
    for query in queries {
        let name = format!("OUT{}", QUERIES.iter().position(|known| known == query).unwrap());
        let rows = read_all(&bus, &name).await.into_iter().map(|(_, row)| format!("{:?}", row.record));
        found.insert((*query).to_owned(), rows.collect());
    }
    let errors: Vec<_> = read_all(&bus, millstream_sql::ERROR_TOPIC).await;
    found.insert("errors".to_owned(), vec![errors.len().to_string()]);
    let mut page = Page::default();
    engine.collect(&mut page);
    let text = page.render();
    let shared = text.lines().find_map(|line| line.strip_prefix("millstream_sql_shared_records_total "));
    let shared = shared.unwrap().parse().unwrap();
    engine.stop().await;
    (found, shared)
}

fn values(count: i32) -> Vec<String> {
    (0..count)
        .map(|n| {
            format!("{{\"A\":{},\"B\":{n}.5,\"C\":\"{}\"}}", n % 7, if n % 2 == 0 { "x1" } else { "y2" })
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_record_is_decoded_once_for_all_queries() {
    let values = values(200);
    let (together, shared) = results(&QUERIES, &values).await;
    assert_eq!(shared, 200);
    for query in QUERIES {
        let (alone, shared) = results(&[query], &values).await;
        assert_eq!(shared, 0, "nobody to share with");
        assert_eq!(together[query], alone[query], "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_field_that_one_query_cannot_read_does_not_touch_the_others() {
    let mut values = values(20);
    values[7] = r#"{"A":"no number","B":1.5,"C":"x1"}"#.to_owned();
    let (together, _) = results(&QUERIES, &values).await;
    for query in QUERIES {
        let (alone, _) = results(&[query], &values).await;
        assert_eq!(together[query], alone[query], "{query}");
    }
}
