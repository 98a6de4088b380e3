//! Goal: the dialect does what the files in `tests/cases` say, which read as its specification. Method: every case runs
//! step by step on the memory bus: after each block of records the topics must hold exactly the new records that the
//! file says. Cases without questions run again with all records at once (the same rows per key), and again killed and
//! restored at random steps (the same records in all).

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use millstream_bus::{
    Acks, Bus, ReceivedRecord, Record, TopicPartition, TopicSpec, memory::MemoryBus, partition_for_key,
};
use millstream_format::sql::json_value;
use millstream_model::Timestamp;
use millstream_registry::BusRegistry;
use millstream_sql::{Catalog, ERROR_TOPIC, Engine, Relation, SqlError, StatementResult};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use support::case::{Case, Step, all};
use support::deadly::DeadlyBus;
use support::keys::{bytes, show_key, show_value};
use support::{DEADLINE, Still, drained, read_all};

fn cases() -> Vec<Case> {
    let cases = all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases"));
    let wanted = std::env::var("MILLSTREAM_CASE").unwrap_or_default();
    let cases: Vec<_> = cases.into_iter().filter(|case| case.name.contains(&wanted)).collect();
    assert!(!cases.is_empty());
    let names: BTreeSet<_> = cases.iter().map(|case| &case.name).collect();
    assert_eq!(names.len(), cases.len(), "two cases have the same name");
    cases
}

/// A topic's partition and an offset in it.
type At = (String, i32, i64);

/// The topics of one run, and what was seen of them.
struct World {
    bus: Arc<dyn Bus>,
    /// Where the schema registry keeps its records, which are none of the case's.
    schemas: Arc<dyn Bus>,
    /// What the case itself appended.
    own: BTreeSet<At>,
    seen: BTreeSet<At>,
}

impl World {
    fn new() -> Self {
        Self { bus: MemoryBus::new(), schemas: MemoryBus::new(), own: BTreeSet::new(), seen: BTreeSet::new() }
    }

    async fn engine_over(&self, bus: Arc<dyn Bus>) -> Engine {
        let registry = BusRegistry::open(self.schemas.clone(), Arc::new(Still)).await.unwrap();
        Engine::new(bus, Catalog::new(), Arc::new(Still)).with_registry(Arc::new(registry))
    }

    async fn append(&mut self, topic: &str, key: &str, time: i64, value: &str) {
        if self.bus.describe_topic(topic).await.is_err() {
            self.bus.create_topic(&TopicSpec::new(topic, 1)).await.unwrap();
        }
        let partitions = self.bus.describe_topic(topic).await.unwrap().partitions;
        // As everywhere, a window does not count for the partition.
        let inner = key.rsplit_once('@').map_or(key, |(inner, _)| inner);
        let partition = partition_for_key(bytes(inner).as_deref(), partitions);
        let record = Record::new(bytes(key), bytes(value), Timestamp(time));
        let at = TopicPartition::new(topic, partition);
        let offset = self.bus.append(&at, vec![record], Acks::All).await.unwrap();
        self.own.insert((topic.to_owned(), partition, offset));
    }

    /// The records that queries and statements have written since the last call, as lines.
    async fn news(&mut self, catalog: &Catalog) -> Vec<String> {
        let by_topic: BTreeMap<String, Arc<Relation>> =
            catalog.relations().map(|relation| (relation.topic.to_string(), relation.clone())).collect();
        let mut lines = Vec::new();
        for topic in self.bus.topics().await.unwrap() {
            // What belongs to a query or to the engine.
            if topic.name.starts_with('_') {
                continue;
            }
            for (partition, received) in read_all(&self.bus, &topic.name).await {
                let at = (topic.name.clone(), partition, received.offset);
                if !self.own.contains(&at) && self.seen.insert(at) {
                    lines.push(show(&topic.name, &received, by_topic.get(&topic.name).map(|r| &**r)));
                }
            }
        }
        lines
    }
}

fn show(topic: &str, received: &ReceivedRecord, relation: Option<&Relation>) -> String {
    let record = &received.record;
    let value = show_value(record.value.as_ref());
    if topic != ERROR_TOPIC {
        let key = show_key(record.key.as_ref(), relation);
        return format!("{topic} {key} {} {value}", record.timestamp.0);
    }
    let error: serde_json::Value = serde_json::from_str(&value).unwrap();
    format!("errors {} {}", error["query"].as_str().unwrap(), error["error"].as_str().unwrap())
}

/// Blanks outside of strings do not count.
fn compact(line: &str) -> String {
    let mut quoted = false;
    let mut escaped = false;
    let keep = |c: &char| {
        if !escaped && *c == '"' {
            quoted = !quoted;
        }
        escaped = quoted && !escaped && *c == '\\';
        quoted || *c != ' '
    };
    // Only in the value: topic, key and time stand before the third blank.
    let value_at = line.match_indices(' ').nth(2).map_or(0, |(at, _)| at + 1);
    line[..value_at].to_owned() + &line[value_at..].chars().filter(keep).collect::<String>()
}

/// Whether the lines found are those expected: of one topic in order, topics in any order. An error line says a part.
fn differ(found: &[String], expected: &[String]) -> bool {
    let by_topic = |lines: &[String]| {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in lines {
            let topic = line.split(' ').next().unwrap_or_default();
            let line = if topic == "errors" { line.clone() } else { compact(line) };
            all.entry(topic.to_owned()).or_default().push(line);
        }
        all
    };
    let (mut found, mut expected) = (by_topic(found), by_topic(expected));
    // Several queries write there side by side: the order of each one's errors is what counts.
    let by_query = |lines: Option<Vec<String>>| {
        let mut lines = lines.unwrap_or_default();
        lines.sort_by_key(|line| line.split(' ').nth(1).map(str::to_owned));
        lines
    };
    let errors = (by_query(found.remove("errors")), by_query(expected.remove("errors")));
    let same = |(found, expected): (&String, &String)| {
        let parts: Vec<&str> = expected.splitn(3, ' ').collect();
        found.starts_with(&format!("errors {} ", parts.get(1).unwrap_or(&"")))
            && found.contains(parts.get(2).unwrap_or(&"").trim_matches('"'))
    };
    found != expected || errors.0.len() != errors.1.len() || !errors.0.iter().zip(&errors.1).all(same)
}

fn texts(error: &SqlError) -> String {
    match error {
        SqlError::Mistakes(mistakes) => mistakes
            .iter()
            .map(|m| format!("{} [{}] {}\n", m.message, m.label, m.help.as_deref().unwrap_or_default()))
            .collect::<Vec<_>>()
            .concat(),
        other => other.to_string(),
    }
}

async fn rows(results: Vec<StatementResult>) -> Result<Vec<String>, SqlError> {
    let mut rows = Vec::new();
    for result in results {
        match result {
            StatementResult::Done(message) | StatementResult::Started { message, .. } => rows.push(message),
            StatementResult::Listing(listing) => rows.extend(listing.rows.iter().map(|row| row.join(" | "))),
            StatementResult::Print(mut print) => {
                while let Some(record) = print.next().await {
                    rows.push(record?.to_string());
                }
            }
            StatementResult::Push(mut query) => {
                let types: Vec<_> = query.columns.iter().map(|(_, sql_type)| *sql_type).collect();
                while let Some(row) = query.next().await {
                    let row = row?;
                    let values = row.values.iter().zip(&types).map(|(v, t)| json_value(v, *t).to_string());
                    rows.push(values.collect::<Vec<_>>().join(" | "));
                }
            }
        }
    }
    Ok(rows)
}

/// Runs a case as it stands; what is wrong, in words.
async fn step_by_step(case: &Case) -> Result<(), String> {
    let mut world = World::new();
    let engine = world.engine_over(world.bus.clone()).await;
    let mut news = Vec::new();
    for step in &case.steps {
        match step {
            Step::Run { sql, errors } => {
                let result = engine.execute(sql).await;
                check_errors(result.err().as_ref(), errors)?;
            }
            Step::Append { topic, key, time, value } => {
                world.append(topic, key, *time, value).await;
                drained(&world.bus, &engine).await;
                news.extend(world.news(&engine.catalog()).await);
            }
            Step::Expect(expected) => {
                drained(&world.bus, &engine).await;
                news.extend(world.news(&engine.catalog()).await);
                let found = std::mem::take(&mut news);
                if differ(&found, expected) {
                    return Err(format!(
                        "expected\n  {}\nfound\n  {}",
                        expected.join("\n  "),
                        found.join("\n  ")
                    ));
                }
            }
            Step::Ask { sql, rows: expected, errors } => {
                drained(&world.bus, &engine).await;
                let answer = match engine.execute(sql).await {
                    Ok(results) => {
                        tokio::time::timeout(DEADLINE, rows(results)).await.map_err(|_| "no end")?
                    }
                    Err(error) => Err(error),
                };
                check_errors(answer.as_ref().err(), errors)?;
                let found: Vec<_> = answer.unwrap_or_default();
                if errors.is_empty() && found != *expected {
                    return Err(format!(
                        "{sql}\nexpected\n  {}\nfound\n  {}",
                        expected.join("\n  "),
                        found.join("\n  ")
                    ));
                }
            }
        }
    }
    drained(&world.bus, &engine).await;
    news.extend(world.news(&engine.catalog()).await);
    engine.stop().await;
    if news.is_empty() { Ok(()) } else { Err(format!("nobody expected\n  {}", news.join("\n  "))) }
}

fn check_errors(found: Option<&SqlError>, expected: &[String]) -> Result<(), String> {
    let text = found.map(texts).unwrap_or_default();
    if found.is_some() == expected.is_empty() || expected.iter().any(|part| !text.contains(part)) {
        return Err(format!("expected the errors {expected:?}\nfound {text}"));
    }
    Ok(())
}

/// The lines of each key, in order.
fn by_key(lines: &[String]) -> BTreeMap<(String, String), Vec<String>> {
    let mut all: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for line in lines.iter().filter(|line| !line.starts_with("errors ")) {
        let mut parts = line.splitn(3, ' ').map(str::to_owned);
        let key = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        all.entry(key).or_default().push(compact(line));
    }
    all
}

async fn at_once(case: &Case) -> Result<(), String> {
    let mut world = World::new();
    for step in &case.steps {
        if let Step::Append { topic, key, time, value } = step {
            world.append(topic, key, *time, value).await;
        }
    }
    let engine = world.engine_over(world.bus.clone()).await;
    engine.execute(case.sql()).await.map_err(|error| texts(&error))?;
    drained(&world.bus, &engine).await;
    let found = world.news(&engine.catalog()).await;
    engine.stop().await;
    if by_key(&found) == by_key(&case.expected()) {
        return Ok(());
    }
    Err(format!("with all records at once, found\n  {}", found.join("\n  ")))
}

/// A small generator of numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

async fn killed(case: &Case, dice: &mut Dice, deaths: &mut u32) -> Result<(), String> {
    let mut world = World::new();
    let mut alive: Option<(Arc<DeadlyBus>, Engine)> = None;
    for step in &case.steps {
        if let Step::Append { topic, key, time, value } = step {
            world.append(topic, key, *time, value).await;
        }
        if matches!(step, Step::Expect(_)) {
            continue;
        }
        loop {
            let (deadly, engine) = if let Some(alive) = alive.take() {
                alive
            } else {
                let steps = i64::try_from(1 + dice.roll(12)).unwrap();
                let steps = if *deaths < 40 { steps } else { -1 };
                let deadly = DeadlyBus::new(world.bus.clone(), steps, 4_096);
                let engine = world.engine_over(deadly.clone()).await;
                engine.execute(case.sql()).await.map_err(|error| texts(&error))?;
                (deadly, engine)
            };
            let bus: Arc<dyn Bus> = deadly.clone();
            let died = tokio::select! {
                () = deadly.died.notified() => true,
                () = drained(&bus, &engine) => false,
            };
            if !died {
                alive = Some((deadly, engine));
                break;
            }
            *deaths += 1;
            drop(engine);
            // Tasks that were aborted are gone once the runtime has been to them.
            tokio::task::yield_now().await;
        }
    }
    let Some((_, engine)) = alive else { return Ok(()) };
    let found = world.news(&engine.catalog()).await;
    if differ(&found, &case.expected()) {
        return Err(format!("killed and restored, found\n  {}", found.join("\n  ")));
    }
    Ok(())
}

fn report(trouble: &[String], of: usize) {
    assert!(trouble.is_empty(), "{} of {of} cases:\n\n{}", trouble.len(), trouble.join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn every_case_does_what_it_says_step_by_step() {
    let cases = cases();
    let mut trouble = Vec::new();
    for case in &cases {
        if let Err(wrong) = step_by_step(case).await {
            trouble.push(format!("{}\n{wrong}", case.name));
        }
    }
    report(&trouble, cases.len());
}

#[tokio::test(start_paused = true)]
async fn every_case_gives_each_key_the_same_rows_with_all_records_at_once() {
    let cases: Vec<_> = cases().into_iter().filter(|case| case.is_plain() && !case.reads_several()).collect();
    let mut trouble = Vec::new();
    for case in &cases {
        if let Err(wrong) = at_once(case).await {
            trouble.push(format!("{}\n{wrong}", case.name));
        }
    }
    report(&trouble, cases.len());
}

#[tokio::test(start_paused = true)]
async fn every_case_gives_the_same_records_when_it_is_killed_and_restored() {
    let cases: Vec<_> = cases().into_iter().filter(Case::is_plain).collect();
    let mut trouble = Vec::new();
    for (seed, case) in (1..).zip(&cases) {
        let (mut dice, mut deaths) = (Dice(seed), 0);
        if let Err(wrong) = killed(case, &mut dice, &mut deaths).await {
            trouble.push(format!("{} (seed {seed}, died {deaths} times)\n{wrong}", case.name));
        }
    }
    report(&trouble, cases.len());
}
