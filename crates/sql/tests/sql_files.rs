//! Goal: statements do what the files in `tests/sql` say. Method: every `<case>.sql` with its `<case>.input` runs three
//! ways (straight; killed at random steps and restored; in other pieces over twice the partitions), and what stands in
//! the queries' topics afterwards must be `<case>.expected`, key by key in order. `error_*.sql` must be refused with the
//! texts of its `-- error:` lines.
//!
//! An input line is `topic key time value`, `-` for no key or value; a windowed key is `key@start`. With
//! `UPDATE_EXPECTED=1` the straight run writes the expected files. A `-- one partition: reason` line leaves out the
//! third way's doubling, `-- last rows only: reason` compares only the last row of each key then.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use millstream_bus::{
    Acks, Bus, ReceivedRecord, TopicPartition, TopicSpec, memory::MemoryBus, partition_for_key,
};
use millstream_sql::{Catalog, ERROR_TOPIC, Engine, SqlError, SqlType, check};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use support::deadly::DeadlyBus;
use support::{DEADLINE, Still, drained, read_all, record};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sql")
}

fn cases(errors: bool) -> Vec<PathBuf> {
    let mut all: Vec<_> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("error_") == errors)
        .collect();
    all.sort();
    assert!(!all.is_empty());
    all
}

/// The streams that scan groups would declare.
fn catalog() -> Catalog {
    let mut catalog = Catalog::new();
    let columns = [
        ("temperature", SqlType::Double),
        ("pressure", SqlType::Double),
        ("running", SqlType::Boolean),
        ("state", SqlType::Int),
        ("count", SqlType::BigInt),
        ("note", SqlType::Varchar),
    ];
    catalog.declare_stream("press_telemetry", "press.telemetry", "asset", &columns);
    catalog
}

/// Topic, key, value, time.
type Input = (String, Option<Vec<u8>>, Option<String>, i64);

struct Case {
    name: String,
    sql: String,
    input: Vec<Input>,
    one_partition: bool,
    last_rows_only: bool,
}

impl Case {
    fn read(path: &Path) -> Self {
        let sql = std::fs::read_to_string(path).unwrap();
        let input = std::fs::read_to_string(path.with_extension("input")).unwrap();
        let lines = input.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let input = lines.map(|line| {
            let [topic, key, time, value] = line.splitn(4, ' ').collect::<Vec<_>>().try_into().unwrap();
            let value = (value != "-").then(|| value.to_owned());
            (topic.to_owned(), (key != "-").then(|| parse_key(key)), value, time.parse().unwrap())
        });
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        Self {
            name,
            input: input.collect(),
            one_partition: sql.contains("-- one partition:"),
            last_rows_only: sql.contains("-- last rows only:"),
            sql,
        }
    }

    async fn feed(&self, bus: &Arc<dyn Bus>, partitions: i32) {
        let topics: BTreeSet<_> = self.input.iter().map(|(topic, ..)| topic.clone()).collect();
        for topic in topics {
            bus.create_topic(&TopicSpec::new(topic, partitions)).await.unwrap();
        }
        for (topic, key, value, time) in &self.input {
            let inner = key
                .as_deref()
                .map(|key| if topic.contains("windowed") { &key[..key.len() - 8] } else { key });
            let at = TopicPartition::new(topic.as_str(), partition_for_key(inner, partitions));
            let mut made = record(None, value.as_deref(), *time);
            made.key = key.clone().map(Into::into);
            bus.append(&at, vec![made], Acks::All).await.unwrap();
        }
    }

    /// What stands in the queries' topics, by topic and key, in order.
    async fn results(&self, bus: &Arc<dyn Bus>) -> BTreeMap<(String, String), Vec<String>> {
        let mut catalog = catalog();
        let planned = check(&mut catalog, &self.sql, &"case.sql".into()).unwrap();
        let mut topics: BTreeMap<String, bool> =
            planned.iter().filter_map(|s| s.sink_topic.as_ref()).map(|t| (t.to_string(), false)).collect();
        for relation in catalog.relations() {
            topics
                .entry(relation.topic.to_string())
                .and_modify(|windowed| *windowed |= relation.window_ms.is_some());
        }
        topics.insert(ERROR_TOPIC.to_owned(), false);
        let mut results: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for (topic, windowed) in topics {
            for (_, received) in read_all(bus, &topic).await {
                let line = show(&topic, &received);
                results.entry((topic.clone(), show_key(&received, windowed))).or_default().push(line);
            }
        }
        // Errors of one query come from several partitions: only which there are matters.
        results.iter_mut().filter(|((topic, _), _)| topic == ERROR_TOPIC).for_each(|(_, lines)| lines.sort());
        results
    }
}

fn parse_key(text: &str) -> Vec<u8> {
    match text.rsplit_once('@') {
        Some((key, start)) => [key.as_bytes(), &start.parse::<i64>().unwrap().to_be_bytes()].concat(),
        None => text.as_bytes().to_vec(),
    }
}

fn show_key(received: &ReceivedRecord, windowed: bool) -> String {
    let Some(key) = &received.record.key else { return "-".to_owned() };
    match key.split_last_chunk() {
        Some((key, start)) if windowed => {
            format!("{}@{}", String::from_utf8_lossy(key), i64::from_be_bytes(*start))
        }
        _ => key.escape_ascii().to_string(),
    }
}

fn show(topic: &str, received: &ReceivedRecord) -> String {
    let value = received
        .record
        .value
        .as_ref()
        .map_or("-".into(), |value| String::from_utf8_lossy(value).into_owned());
    if topic != ERROR_TOPIC {
        return format!("{} {value}", received.record.timestamp.0);
    }
    // Where it stood depends on the partitions.
    let mut error: serde_json::Map<_, _> = serde_json::from_str(&value).unwrap();
    assert!(error.remove("partition").is_some() && error.remove("offset").is_some());
    serde_json::Value::Object(error).to_string()
}

fn print(results: &BTreeMap<(String, String), Vec<String>>) -> String {
    let line = |((topic, key), lines): (&(String, String), &Vec<String>)| {
        lines.iter().map(|line| format!("{topic} {key} {line}")).collect::<Vec<_>>()
    };
    results.iter().flat_map(line).map(|line| line + "\n").collect()
}

fn expected(case: &Case) -> String {
    let path = folder().join(&case.name).with_extension("expected");
    std::fs::read_to_string(&path).unwrap_or_default()
}

/// The value of the last row of each key.
fn last_rows(results: &str) -> BTreeMap<(&str, &str), &str> {
    let parts = results.lines().map(|line| line.splitn(4, ' ').collect::<Vec<_>>());
    parts.map(|parts| ((parts[0], parts[1]), parts.last().copied().unwrap_or_default())).collect()
}

/// A small generator of numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

async fn straight(case: &Case, partitions: i32, piece: usize) -> String {
    let memory: Arc<dyn Bus> = MemoryBus::new();
    let bus: Arc<dyn Bus> = DeadlyBus::new(memory, -1, piece);
    case.feed(&bus, partitions).await;
    let engine = Engine::new(bus.clone(), catalog(), Arc::new(Still));
    engine.execute(&case.sql).await.unwrap();
    drained(&bus, &engine).await;
    engine.stop().await;
    print(&case.results(&bus).await)
}

async fn killed(case: &Case, partitions: i32, dice: &mut Dice, deaths: &mut u32) -> String {
    let memory: Arc<dyn Bus> = MemoryBus::new();
    case.feed(&memory, partitions).await;
    for _ in 0..6 {
        // A commit takes about four steps; short inputs must die, too.
        let steps = i64::try_from(dice.roll(4 + 3 * case.input.len() as u64)).unwrap();
        let piece = usize::try_from(dice.roll(4)).unwrap() + 1;
        let deadly = DeadlyBus::new(memory.clone(), steps, piece);
        let bus: Arc<dyn Bus> = deadly.clone();
        let engine = Engine::new(bus.clone(), catalog(), Arc::new(Still));
        engine.execute(&case.sql).await.unwrap();
        tokio::select! {
            () = deadly.died.notified() => *deaths += 1,
            () = drained(&bus, &engine) => {}
        }
        drop(engine);
        // Tasks that were aborted are gone once the runtime has been to them.
        tokio::task::yield_now().await;
    }
    let engine = Engine::new(memory.clone(), catalog(), Arc::new(Still));
    engine.execute(&case.sql).await.unwrap();
    drained(&memory, &engine).await;
    engine.stop().await;
    print(&case.results(&memory).await)
}

#[tokio::test(start_paused = true)]
async fn every_case_gives_its_rows_straight() {
    for path in cases(false) {
        let case = Case::read(&path);
        let found = straight(&case, 1, 4_096).await;
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            std::fs::write(path.with_extension("expected"), &found).unwrap();
        }
        assert_eq!(found, expected(&case), "{}", case.name);
    }
}

#[tokio::test(start_paused = true)]
async fn every_case_gives_the_same_rows_when_it_is_killed_and_restored() {
    for (seed, path) in (1..).zip(cases(false)) {
        let case = Case::read(&path);
        let (mut dice, mut deaths) = (Dice(seed), 0);
        for round in 0..8 {
            let partitions = if case.last_rows_only && round % 2 == 1 { 2 } else { 1 };
            let run = killed(&case, partitions, &mut dice, &mut deaths);
            let found = tokio::time::timeout(DEADLINE * 10, run).await.unwrap();
            if partitions == 1 {
                assert_eq!(found, expected(&case), "{} seed {seed} round {round}", case.name);
            } else {
                let (found, wanted) = (last_rows(&found), expected(&case));
                assert_eq!(found, last_rows(&wanted), "{} seed {seed} round {round}", case.name);
            }
        }
        assert!(deaths >= 8, "{} died only {deaths} times", case.name);
    }
}

#[tokio::test(start_paused = true)]
async fn every_case_gives_the_same_rows_in_other_pieces_and_twice_the_partitions() {
    for path in cases(false) {
        let case = Case::read(&path);
        for piece in [1, 2, 3] {
            assert_eq!(
                straight(&case, 1, piece).await,
                expected(&case),
                "{} in pieces of {piece}",
                case.name
            );
        }
        if !case.one_partition {
            for piece in [2, 4_096] {
                let found = straight(&case, 2, piece).await;
                if case.last_rows_only {
                    assert_eq!(
                        last_rows(&found),
                        last_rows(&expected(&case)),
                        "{} over two partitions",
                        case.name
                    );
                } else {
                    assert_eq!(found, expected(&case), "{} over two partitions", case.name);
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn wrong_statements_are_refused_in_words() {
    let mut trouble = Vec::new();
    for path in cases(true) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let sql = std::fs::read_to_string(&path).unwrap();
        let file: Arc<str> = name.into();
        let mistakes = check(&mut catalog(), &sql, &file).expect_err(name);
        let texts: Vec<_> = mistakes
            .iter()
            .map(|m| {
                let span = m.span.as_ref().unwrap_or_else(|| panic!("{name}: no place: {m:?}"));
                assert_eq!(span.file.as_ref(), Some(&file));
                format!(
                    "{}: {} [{}] {}",
                    &sql[span.range.clone()],
                    m.message,
                    m.label,
                    m.help.as_deref().unwrap_or("")
                )
            })
            .collect();
        let wanted: Vec<_> = sql.lines().filter_map(|line| line.strip_prefix("-- error: ")).collect();
        assert!(!wanted.is_empty(), "{name} does not say its errors");
        let missing = wanted.iter().filter(|wanted| !texts.iter().any(|text| text.contains(**wanted)));
        trouble.extend(missing.map(|wanted| format!("{name}: `{wanted}` is not in {texts:#?}")));
        if texts.len() != wanted.len() {
            trouble.push(format!("{name}: {} mistakes were expected: {texts:#?}", wanted.len()));
        }
        // The engine refuses it all the same, and runs nothing of it.
        let bus: Arc<dyn Bus> = MemoryBus::new();
        let engine = Engine::new(bus, catalog(), Arc::new(Still));
        assert!(matches!(engine.execute(&sql).await, Err(SqlError::Mistakes(_))));
        assert!(engine.queries().is_empty());
    }
    assert!(trouble.is_empty(), "{}", trouble.join("\n"));
}
