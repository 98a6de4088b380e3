//! Queries with joins and windows while processes are killed: on the embedded log, on Apache Kafka, and with two processes
//! that share the work. What comes out must be exactly what a recompute over the input gives.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stdout, reason = "the seed of a test that fails")]

use millstream_driver::Random;
use millstream_tests::oracle::{Verdict, eventually};
use millstream_tests::peer::{Process, free_ports, kafka, python, root};
use millstream_tests::running::{Folder, PATIENCE, Running};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::{Duration, Instant, UNIX_EPOCH};

/// How often processes are killed in one test.
fn rounds() -> u64 {
    std::env::var("MILLSTREAM_KILL_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(6)
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

/// A join of two streams, a join with a table, and a windowed aggregate.
fn statements(suffix: &str) -> String {
    let declared = |kind: &str, name: &str, key: &str, columns: &str| {
        format!(
            "CREATE {kind} {name}_{suffix} (press VARCHAR {key}, {columns}) \
             WITH (KAFKA_TOPIC = '{name}_{suffix}', PARTITIONS = 4, VALUE_FORMAT = 'JSON');\n"
        )
    };
    declared("TABLE", "presses", "PRIMARY KEY", "line VARCHAR")
        + &declared("STREAM", "parts", "KEY", "n BIGINT, weight DOUBLE")
        + &declared("STREAM", "checks", "KEY", "n BIGINT, good BOOLEAN")
        + &format!(
            "CREATE STREAM judged_{suffix} WITH (KAFKA_TOPIC = 'judged_{suffix}') AS
               SELECT p.press, p.n AS n, c.good AS good FROM parts_{suffix} p
               JOIN checks_{suffix} c WITHIN 1 SECOND GRACE PERIOD 1 HOUR ON p.press = c.press
               WHERE p.n = c.n EMIT CHANGES;
             CREATE STREAM lined_{suffix} WITH (KAFKA_TOPIC = 'lined_{suffix}') AS
               SELECT p.press, p.n AS n, t.line AS line FROM parts_{suffix} p
               LEFT JOIN presses_{suffix} t ON p.press = t.press EMIT CHANGES;
             CREATE TABLE counts_{suffix} WITH (KAFKA_TOPIC = 'counts_{suffix}') AS
               SELECT press, AS_VALUE(press) AS which, WINDOWSTART AS started, COUNT(*) AS n, SUM(weight) AS weight
               FROM parts_{suffix} WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 1 HOUR) GROUP BY press EMIT CHANGES;"
        )
}

/// The producer of the input, which outlives the kills.
struct Input {
    suffix: String,
    servers: String,
    parts: u64,
    first: i64,
    process: Process,
}

impl Input {
    fn start(servers: &str, suffix: &str, parts: u64) -> Self {
        let now = i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
        // Whole windows make the judging plain.
        let first = (now - 3_600_000) / 10_000 * 10_000;
        let mut command = Command::new(python());
        command.arg(root().join("tests/python/parts.py"));
        command.args([servers, suffix, &parts.to_string(), "1000", &first.to_string()]);
        let process = Process::start(&mut command);
        Self { suffix: suffix.to_owned(), servers: servers.to_owned(), parts, first, process }
    }

    fn read(&self, topic: &str) -> Vec<Value> {
        let mut command = Command::new(python());
        command
            .arg(root().join("tests/read_topic.py"))
            .arg(&self.servers)
            .arg(format!("{topic}_{}", self.suffix));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{topic}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until everything was sent and came through, and judges what came out.
    fn judge(mut self) {
        assert_eq!(self.process.wait(PATIENCE * 3), 0, "{}", self.process.output());
        let wanted = usize::try_from(self.parts).unwrap();
        let all = ["judged", "lined", "counts"].map(|topic| {
            eventually(topic, PATIENCE * 2, || {
                let records = self.read(topic);
                (records.len() >= wanted).then_some(records)
            })
        });
        let [judged, lined, counts] = &all;
        self.each_once("judged", judged, |n, value| value["GOOD"] == (n % 3 != 0))
            .and(self.each_once("lined", lined, |n, value| value["LINE"] == format!("line{}", n % 5 % 2)))
            .and(self.counted(counts))
            .assert_good();
    }

    /// Every part stands there once, with the right values.
    fn each_once(&self, topic: &str, records: &[Value], is_right: impl Fn(u64, &Value) -> bool) -> Verdict {
        let mut verdict = Verdict::default();
        let mut seen = BTreeSet::new();
        for record in records {
            let n = record["value"]["N"].as_u64().unwrap();
            if !seen.insert(n) {
                verdict.violated("O2", format!("{topic}: part {n} came out twice"));
            }
            if !is_right(n, &record["value"]) || record["key"] != format!("press{}", n % 5) {
                verdict.violated("O3", format!("{topic}: {record} is wrong"));
            }
        }
        for n in (0..self.parts).filter(|n| !seen.contains(n)) {
            verdict.violated("O1", format!("{topic}: part {n} is missing"));
        }
        verdict
    }

    /// Every update of every window stands there once, in order; the last one is what the recompute gives.
    fn counted(&self, records: &[Value]) -> Verdict {
        let mut verdict = Verdict::default();
        let mut counts: BTreeMap<(String, i64), (u64, f64)> = BTreeMap::new();
        for record in records {
            let value = &record["value"];
            let window = (value["WHICH"].as_str().unwrap().to_owned(), value["STARTED"].as_i64().unwrap());
            let (n, weight) = (value["N"].as_u64().unwrap(), value["WEIGHT"].as_f64().unwrap());
            let before = counts.insert(window.clone(), (n, weight)).map_or(0, |(n, _)| n);
            if n != before + 1 {
                verdict.violated("O2", format!("{window:?} went from {before} to {n}"));
            }
        }
        let mut expected: BTreeMap<(String, i64), (u64, f64)> = BTreeMap::new();
        for n in 0..self.parts {
            let time = self.first + 100 * i64::try_from(n).unwrap();
            let window = expected.entry((format!("press{}", n % 5), time / 10_000 * 10_000)).or_default();
            #[expect(clippy::cast_precision_loss, reason = "less than seven")]
            let weight = (n % 7) as f64 + 0.5;
            *window = (window.0 + 1, window.1 + weight);
        }
        if counts != expected {
            verdict.violated("O3", format!("{counts:?} should be {expected:?}"));
        }
        verdict
    }
}

/// Kills the plant again and again while the producer goes on.
fn kill_again_and_again(folder: &Folder, servers: &str, suffix: &str) {
    let mut random = chance();
    let mut running = Running::start(&folder.path());
    let input = Input::start(servers, suffix, rounds() * 400);
    for _ in 0..rounds() {
        live_until(Instant::now() + Duration::from_millis(random.next_u64() % 700));
        running.kill9();
        running = Running::start(&folder.path());
    }
    input.judge();
    running.stop();
}

/// F26 with O1, O2, O3 on the embedded log.
#[test]
fn joins_and_windows_are_exact_when_the_process_is_killed_on_the_embedded_log() {
    let (folder, port) = (Folder::new(), free_ports());
    folder.write("kafka.toml", &format!("[kafka]\nlisten = \"127.0.0.1:{port}\"\n"));
    folder.write("queries/judge.sql", &statements("e"));
    kill_again_and_again(&folder, &format!("127.0.0.1:{port}"), "e");
}

/// F26 with O1, O2, O3 on Apache Kafka.
#[test]
fn joins_and_windows_are_exact_when_the_process_is_killed_on_apache_kafka() {
    let servers = kafka();
    let suffix = format!("k{}", std::process::id());
    let folder = Folder::on_kafka(&servers);
    folder.write("queries/judge.sql", &statements(&suffix));
    kill_again_and_again(&folder, &servers, &suffix);
}

/// Two processes divide the partitions; one is killed, the other goes on within the session timeout.
#[test]
fn two_processes_share_the_queries_and_one_takes_over_when_the_other_is_killed() {
    let servers = kafka();
    let suffix = format!("s{}", std::process::id());
    let plant = || {
        let folder = Folder::new();
        folder.write(
            "millstream.toml",
            &format!(
                "[http]\nlisten = \"127.0.0.1:0\"\n[log]\nbootstrap_servers = \"{servers}\"\n\
                 kafka.\"session.timeout.ms\" = \"6000\"\n[sql]\nservice_id = \"{suffix}\"\n"
            ),
        );
        folder.write("queries/judge.sql", &statements(&suffix));
        folder
    };
    let (first, second) = (plant(), plant());
    let (first, second) = (Running::start(&first.path()), (Running::start(&second.path()), second));
    let input = Input::start(&servers, &suffix, 4_000);
    let works = |running: &Running| {
        eventually("its share of the work", PATIENCE, || {
            let name = format!(
                "millstream_query_records_in_total{{query=\"CTAS_COUNTS_{}\"}}",
                suffix.to_uppercase()
            );
            (running.metric(&name)? > 0.0).then_some(())
        });
    };
    works(&first);
    works(&second.0);
    first.kill9();
    input.judge();
    second.0.stop();
}
