//! `kill -9` of the whole process at random instants: what was recorded, what queries made of it, and what is said about the gap.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stdout, reason = "the seed of a test that fails")]

use millstream_driver::Random;
use millstream_tests::oracle::{Delivery, Ledger, Sample, Verdict, eventually, judge_counter};
use millstream_tests::peer::{Process, kafka, python, root};
use millstream_tests::running::{Folder, PATIENCE, Running, command, find, samples};
use millstream_tests::simulated::{Machine, counter};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

/// How often the process is killed in one test.
fn rounds(default: u64) -> u64 {
    std::env::var("MILLSTREAM_KILL_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A source of chance whose seed is printed, so that a failure can be run again.
fn chance() -> Random {
    let seed = std::env::var("MILLSTREAM_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("MILLSTREAM_SEED={seed}");
    Random::new(seed)
}

/// Lets the victim live until `instant`: the instant of the kill is the fault, not something to wait for.
fn live_until(instant: Instant) {
    eventually("the instant of the kill", PATIENCE, || (Instant::now() >= instant).then_some(()));
}

fn offset(record: &Value) -> u64 {
    record["offset"].as_u64().unwrap()
}

/// F17, F26 with O1, O2, O3, O9: a machine is scanned every 10 ms into a topic, a query copies it; the process is killed again
/// and again. What a consumer had seen is there once, in order; every scan that is missing is covered; the query's output is
/// its input, once.
#[test]
fn a_killed_plant_loses_nothing_that_was_seen_and_tells_every_gap() {
    let machine = Machine::start(vec![
        // Two scans apart at most while none is missing, so that a jump by two is a gap.
        counter("count", "holding-register:1:UDINT", Duration::from_millis(20)),
        counter("fine", "holding-register:3:UDINT", Duration::from_millis(1)),
    ]);
    let folder = Folder::new();
    folder.write(
        "machine.toml",
        &format!(
            "[devices.machine]\nconnection = \"{}\"\n[devices.machine.groups.fast]\ninterval = \"10ms\"\ntopic = \"scans\"\n\
             tags.count = \"holding-register:1:UDINT\"\ntags.fine = \"holding-register:3:UDINT\"\n",
            machine.connection()
        ),
    );
    folder.write(
        "queries/copy.sql",
        "CREATE STREAM copied WITH (KAFKA_TOPIC = 'copied') AS SELECT asset, count, fine FROM scans EMIT CHANGES;",
    );
    let mut random = chance();
    let mut ledger = Ledger::new();
    let mut seen: BTreeMap<u64, Value> = BTreeMap::new();
    for round in 0..rounds(12) {
        if round % 3 == 2 {
            // In the middle of starting.
            let starting = Running::spawn(&folder.path());
            live_until(Instant::now() + Duration::from_millis(random.next_u64() % 300));
            starting.kill9();
            continue;
        }
        let running = Running::start(&folder.path());
        running.wait_status("record", |status| {
            (find(status, "topics", "scans")["records"].as_u64() > Some(u64::try_from(seen.len()).unwrap()))
                .then_some(())
        });
        let next = seen.last_key_value().map_or(0, |(offset, _)| offset + 1).to_string();
        let url = running.url();
        let tail = ["topic", "tail", "scans", "--offset", &next, "--json", "--url", &url];
        let consumer = Process::start(&mut command(&tail));
        let wanted = 1 + usize::try_from(random.next_u64() % 80).unwrap();
        eventually("records for the consumer", PATIENCE, || {
            (consumer.output().lines().count() >= wanted).then_some(())
        });
        running.kill9();
        for line in consumer.kill9().lines() {
            // The kill may have cut the last line.
            let Ok(record) = serde_json::from_str::<Value>(line) else { continue };
            if seen.insert(offset(&record), record.clone()).is_none() {
                ledger.acknowledge("scans-0", offset(&record));
            }
        }
    }
    assert!(ledger.len() > 20, "{} records were seen", ledger.len());

    let running = Running::start(&folder.path());
    let recorded = running.records("scans");
    let copied = eventually("the query to catch up", PATIENCE, || {
        let copied = running.records("copied");
        (copied.len() >= recorded.len()).then_some(copied)
    });
    judge_scans(&recorded, &seen, &ledger).and(judge_copy(&recorded, &copied)).assert_good();
    running.stop();
}

/// What was recorded, against what a consumer had seen of it and against itself.
fn judge_scans(recorded: &[Value], seen: &BTreeMap<u64, Value>, ledger: &Ledger) -> Verdict {
    let found = BTreeMap::from([("scans-0".to_owned(), recorded.iter().map(offset).collect())]);
    let samples = samples(recorded, "count");
    let values: Vec<Sample> = samples.iter().filter(|sample| **sample != Sample::Gap).copied().collect();
    assert!(!judge_counter(&values).is_good(), "no kill ever cost a scan, so nothing was tested");
    let mut verdict = ledger.judge(&found, Delivery::Once).and(judge_counter(&samples));
    for record in recorded {
        if seen.get(&offset(record)).is_some_and(|seen| seen != record) {
            verdict.violated("O1", format!("{record} was {} before a kill", seen[&offset(record)]));
        }
    }
    for pair in recorded.windows(2) {
        let at = |record: &Value| (record["timestamp_ms"].as_i64(), record["value"]["fine"].as_u64());
        if at(&pair[0]) >= at(&pair[1]) && !pair[1]["value"]["fine"].is_null() {
            verdict.violated("O3", format!("{} comes behind {}", pair[1], pair[0]));
        }
    }
    verdict
}

/// A query's output against its input: the same, once, in order.
fn judge_copy(recorded: &[Value], copied: &[Value]) -> Verdict {
    let mut verdict = Verdict::default();
    for (input, output) in recorded.iter().zip(copied) {
        let (input_value, output_value) = (&input["value"], &output["value"]);
        if [&input_value["count"], &input_value["fine"]] != [&output_value["COUNT"], &output_value["FINE"]] {
            verdict.violated("O3", format!("{output} was made of {input}"));
        }
    }
    verdict
}

/// Windows that are counted: ten seconds of the records' own time.
const WINDOW_MS: i64 = 10_000;
/// When the records' own time begins; a whole number of windows.
const EPOCH_MS: i64 = 1_760_000_000_000;

/// A plant that counts per key and window. Names are of this test run, because Apache Kafka outlives it.
struct Counting {
    folder: Folder,
    readings: String,
    counts: String,
}

impl Counting {
    fn new(folder: Folder, name: &str) -> Self {
        let (readings, counts) = (format!("readings_{name}"), format!("counts_{name}"));
        let query = format!(
            "CREATE STREAM {readings} (id VARCHAR KEY, n BIGINT) \
             WITH (KAFKA_TOPIC = '{readings}', VALUE_FORMAT = 'JSON', PARTITIONS = 2);\n\
             CREATE TABLE {counts} WITH (KAFKA_TOPIC = '{counts}') AS\n\
             SELECT id, COUNT(*) AS times, SUM(n) AS total, WINDOWSTART AS since, AS_VALUE(id) AS name\n\
             FROM {readings} WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 1 DAY) GROUP BY id EMIT CHANGES;\n"
        );
        folder.write("queries/count.sql", &query);
        Self { folder, readings, counts }
    }

    /// Kills the plant again and again, at chance, sometimes before it is up.
    fn kill(&self, times: u64, mut with: impl FnMut(&Running)) {
        let mut random = chance();
        for round in 0..times {
            if round % 4 == 3 {
                let starting = Running::spawn(&self.folder.path());
                live_until(Instant::now() + Duration::from_millis(random.next_u64() % 400));
                starting.kill9();
                continue;
            }
            let running = Running::start(&self.folder.path());
            let end = Instant::now() + Duration::from_millis(random.next_u64() % 700);
            while Instant::now() < end {
                with(&running);
            }
            running.kill9();
        }
    }

    /// The newest counts, once they are those of what the topic holds.
    fn judge(&self, running: &Running, ledger: &Ledger) {
        let readings = running.records(&self.readings);
        let mut expected: BTreeMap<(String, i64), (i64, i64)> = BTreeMap::new();
        let mut found: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for reading in &readings {
            let key = reading["key"].as_str().unwrap().to_owned();
            let window = reading["timestamp_ms"].as_i64().unwrap().div_euclid(WINDOW_MS) * WINDOW_MS;
            let n = reading["value"]["n"].as_i64().unwrap();
            found.entry(key.clone()).or_default().push(u64::try_from(n).unwrap());
            let (times, total) = expected.entry((key, window)).or_default();
            *times += 1;
            *total += n;
        }
        let mut made = BTreeMap::new();
        let mut verdict = Verdict::default();
        let right = |counts: &[Value], made: &mut BTreeMap<(String, i64), (i64, i64)>| {
            made.clear();
            for count in counts {
                let value = &count["value"];
                let key = (value["NAME"].as_str().unwrap().to_owned(), value["SINCE"].as_i64().unwrap());
                made.insert(key, (value["TIMES"].as_i64().unwrap(), value["TOTAL"].as_i64().unwrap()));
            }
            *made == expected
        };
        let mut counts = Vec::new();
        let began = Instant::now();
        while !right(&counts, &mut made) {
            assert!(
                began.elapsed() < PATIENCE,
                "{} readings; the counts are {made:?}\nand should be {expected:?}\n{:?}",
                readings.len(),
                running.status()
            );
            counts = running.records(&self.counts);
        }
        // No count ever goes back or comes twice: a kill never shows what was not committed.
        let mut newest: BTreeMap<(String, i64), i64> = BTreeMap::new();
        for count in &counts {
            let value = &count["value"];
            let key = (value["NAME"].as_str().unwrap().to_owned(), value["SINCE"].as_i64().unwrap());
            let times = value["TIMES"].as_i64().unwrap();
            if newest.insert(key, times).is_some_and(|before| before >= times) {
                verdict.violated("O3", format!("{count} comes after a count that is no smaller"));
            }
        }
        verdict.and(ledger.judge(&found, Delivery::AtLeastOnce)).assert_good();
    }
}

/// One reading: its number is its value, its key is one of seven, its time grows with its number.
fn reading(number: u64) -> Value {
    let time = EPOCH_MS + i64::try_from(number).unwrap() * 20;
    json!({"key": format!("k{}", number % 7), "value": {"n": number}, "timestamp_ms": time})
}

fn lines(numbers: impl Iterator<Item = u64>) -> String {
    numbers.fold(String::new(), |mut lines, number| {
        let _ = writeln!(lines, "{}", reading(number));
        lines
    })
}

/// F26 on the embedded log: the counts are exactly those of what was appended, however often the process is killed meanwhile.
#[test]
fn a_windowed_count_is_exact_after_kills_on_the_embedded_log() {
    let folder = Folder::new();
    // The readings' own time is long ago.
    folder.write("log.toml", "[log]\nretention = \"10000d\"\n");
    let counting = Counting::new(folder, "embedded");
    let mut ledger = Ledger::new();
    let mut next = 0;
    let mut produce = |running: &Running, count: u64| {
        let numbers = next..next + count;
        // A number is used once; whether it is there when no answer came is for the log to say.
        next += count;
        if running.produce(&counting.readings, &lines(numbers.clone())).is_some() {
            numbers.for_each(|number| ledger.acknowledge(&format!("k{}", number % 7), number));
        }
    };
    let running = Running::start(&counting.folder.path());
    running
        .wait_status("topic", |status| (!find(status, "topics", &counting.readings).is_null()).then_some(()));
    produce(&running, 10_000);
    running.kill9();
    counting.kill(rounds(20), |running| produce(running, 50));
    let running = Running::start(&counting.folder.path());
    produce(&running, 10);
    assert!(ledger.len() > 10_000, "{} readings were acknowledged", ledger.len());
    counting.judge(&running, &ledger);
    running.stop();
}

/// F26 on Apache Kafka, with a producer that is not ours and knows nothing of the kills.
#[test]
fn a_windowed_count_is_exact_after_kills_on_apache_kafka() {
    let servers = kafka();
    let name = format!("kafka_{}_{}", std::process::id(), EPOCH_MS % 1000);
    let counting = Counting::new(Folder::on_kafka(&servers), &name);
    let running = Running::start(&counting.folder.path());
    running
        .wait_status("query", |status| (!find(status, "topics", &counting.readings).is_null()).then_some(()));
    let producer = root().join("tests/produce_readings.py");
    let arguments = [&*servers, &counting.readings, &EPOCH_MS.to_string(), "10000"];
    let mut producer = Process::start(Command::new(python()).arg(producer).args(arguments));
    producer.wait_for("prefilled", PATIENCE);
    running.kill9();
    counting.kill(rounds(20), |_| {});
    producer.signal("INT");
    assert_eq!(producer.wait(PATIENCE), 0, "{}", producer.output());
    let acknowledged: u64 =
        producer.output().lines().last().unwrap().strip_prefix("acknowledged ").unwrap().parse().unwrap();
    assert!(acknowledged > 10_000, "{acknowledged}");
    let mut ledger = Ledger::new();
    (0..acknowledged).for_each(|number| ledger.acknowledge(&format!("k{}", number % 7), number));

    let running = Running::start(&counting.folder.path());
    counting.judge(&running, &ledger);
    running.stop();
}
