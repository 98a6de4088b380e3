//! What is built on Kafka's clients: copiers with transactions, a Kafka Streams application, a Kafka Connect worker.

use crate::faults::chance;
use crate::load::{PATIENCE, end, live_until, read, readings, script, topic, unique};
use millstream_tests::broker::{Broker, java};
use millstream_tests::oracle::{Delivery, Ledger, Verdict, eventually};
use millstream_tests::peer::{Process, free_port, http};
use millstream_tests::running::{Folder, Running, command};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The numbers of each key, in log order.
fn numbers(records: &[Value]) -> BTreeMap<String, Vec<u64>> {
    let mut found: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for record in records {
        let key = record["key"].as_str().unwrap().to_owned();
        found.entry(key).or_default().push(record["value"]["n"].as_u64().unwrap());
    }
    found
}

/// A copier that is killed again and again: its output is its input, once and in order.
fn killed_copier(broker: &Broker, copier: impl Fn(&[&str]) -> Command, kills: u64) {
    let mut random = chance();
    let (source, target, name) = (topic(broker, "source", 3), topic(broker, "copy", 3), unique("copier"));
    let servers = broker.servers();
    let start = || Process::start(&mut copier(&[&servers, &source, &target, &name]));
    let readings = readings(broker, &source, 500);
    for _ in 0..kills {
        let mut copying = start();
        let batches = 1 + usize::try_from(random.next_u64() % 20).unwrap();
        eventually("copies", PATIENCE, || {
            assert!(!copying.has_ended(), "{}", copying.output());
            (copying.output().matches("copied").count() >= batches).then_some(())
        });
        live_until(Instant::now() + Duration::from_millis(random.next_u64() % 30));
        copying.kill9();
    }
    end(readings);
    let mut ledger = Ledger::new();
    let input = read(broker, &source);
    for (key, ids) in numbers(&input) {
        for id in ids {
            ledger.acknowledge(&key, id);
        }
    }
    let mut copying = start();
    let copies = eventually("the whole copy", PATIENCE, || {
        assert!(!copying.has_ended(), "{}", copying.output());
        let copies = read(broker, &target);
        (copies.len() >= input.len()).then_some(copies)
    });
    assert_eq!(copies.len(), input.len());
    ledger.judge(&numbers(&copies), Delivery::Once).assert_good();
}

#[test]
fn a_copier_with_librdkafka_is_exact_after_kills_on_millstream() {
    killed_copier(&Broker::millstream(), |arguments| script("copier.py", arguments), 20);
}

#[test]
fn a_copier_with_librdkafka_is_exact_after_kills_on_apache_kafka() {
    killed_copier(&Broker::apache(), |arguments| script("copier.py", arguments), 20);
}

/// Of today's client, which has the broker check each transaction and bump its epoch (KIP-890).
fn java_copier(arguments: &[&str]) -> Command {
    let mut command = java(None);
    command.arg("Copier").args(arguments);
    command
}

#[test]
fn a_copier_with_java_is_exact_after_kills_on_millstream() {
    killed_copier(&Broker::millstream(), java_copier, 20);
}

#[test]
fn a_copier_with_java_is_exact_after_kills_on_apache_kafka() {
    killed_copier(&Broker::apache(), java_copier, 5);
}

/// The newest count of each key and window; every count is greater than the one before it.
fn counts(records: &[Value], verdict: &mut Verdict) -> BTreeMap<String, i64> {
    let mut newest = BTreeMap::new();
    for record in records {
        let count: i64 = record["value"].as_str().unwrap().parse().unwrap();
        let window = record["key"].as_str().unwrap().to_owned();
        if newest.insert(window, count).is_some_and(|before| before >= count) {
            verdict.violated("O3", format!("{record} comes after a count that is no smaller"));
        }
    }
    newest
}

/// Counts of each key and window of ten seconds, as they should be.
fn counted(readings: &[Value]) -> BTreeMap<String, i64> {
    let mut counts = BTreeMap::new();
    for reading in readings {
        let since = reading["timestamp_ms"].as_i64().unwrap().div_euclid(10_000) * 10_000;
        *counts.entry(format!("{}@{since}", reading["key"].as_str().unwrap())).or_default() += 1;
    }
    counts
}

/// A windowed count of Kafka Streams in `exactly_once_v2`, killed in the middle: the counts are exact.
fn killed_streams(broker: &Broker) {
    let state = tempfile::tempdir().unwrap();
    let (source, target) = (topic(broker, "readings", 2), topic(broker, "counts", 2));
    let (servers, name) = (broker.servers(), unique("counting"));
    let start = || {
        let mut command = java(None);
        command.args(["WindowedCount", &servers, &name, &source, &target]).arg(state.path());
        Process::start(&mut command)
    };
    let mut random = chance();
    let readings = readings(broker, &source, 5000);
    let counted_some = |counting: &mut Process| {
        eventually("counts", PATIENCE, || {
            assert!(!counting.has_ended() && !counting.output().contains("failed"), "{}", counting.output());
            (counting.output().matches("counted").count() > 20).then_some(())
        });
    };
    for _ in 0..2 {
        let mut counting = start();
        counted_some(&mut counting);
        live_until(Instant::now() + Duration::from_millis(random.next_u64() % 300));
        counting.kill9();
    }
    end(readings);
    let expected = counted(&read(broker, &source));
    let mut counting = start();
    let began = Instant::now();
    loop {
        let mut verdict = Verdict::default();
        let found = counts(&read(broker, &target), &mut verdict);
        verdict.assert_good();
        if found == expected {
            break;
        }
        assert!(!counting.has_ended() && !counting.output().contains("failed"), "{}", counting.output());
        let shown = counting.output();
        assert!(began.elapsed() < PATIENCE, "the counts are {found:?}\nand should be {expected:?}\n{shown}");
    }
}

#[test]
fn a_windowed_count_of_kafka_streams_is_exact_after_kills_on_millstream() {
    killed_streams(&Broker::millstream());
}

#[test]
fn a_windowed_count_of_kafka_streams_is_exact_after_kills_on_apache_kafka() {
    killed_streams(&Broker::apache());
}

/// A distributed worker of Kafka Connect.
struct Worker {
    process: Process,
    port: u16,
}

impl Worker {
    fn start(broker: &Broker, folder: &Path, name: &str) -> Self {
        let port = free_port();
        let path = folder.join("worker.properties");
        let text = format!(
            "bootstrap.servers={}\ngroup.id={name}\nlisteners=http://127.0.0.1:{port}\n\
             key.converter=org.apache.kafka.connect.storage.StringConverter\n\
             value.converter=org.apache.kafka.connect.storage.StringConverter\n\
             config.storage.topic={name}-config\nconfig.storage.replication.factor=1\n\
             offset.storage.topic={name}-offsets\noffset.storage.replication.factor=1\noffset.storage.partitions=3\n\
             status.storage.topic={name}-status\nstatus.storage.replication.factor=1\nstatus.storage.partitions=2\n\
             offset.flush.interval.ms=500\nsession.timeout.ms=10000\nheartbeat.interval.ms=1000\nplugin.discovery=only_scan\n",
            broker.servers()
        );
        std::fs::write(&path, text).unwrap();
        let mut command = java(None);
        command.arg("org.apache.kafka.connect.cli.ConnectDistributed").arg(path);
        let mut worker = Self { process: Process::start(&mut command), port };
        eventually("the worker", PATIENCE, || {
            assert!(!worker.process.has_ended(), "{}", worker.process.output());
            // It answers this when it has read its topics.
            http(port, "GET", "/connectors", "").filter(|(status, _)| *status == 200)
        });
        worker
    }

    /// Makes a connector, or finds it as it was.
    #[track_caller]
    fn connector(&self, name: &str, config: &Value) {
        let answer = eventually("an answer", PATIENCE, || {
            // While the workers' group changes, it says 409 and to ask again.
            http(self.port, "PUT", &format!("/connectors/{name}/config"), &config.to_string())
                .filter(|(status, _)| *status != 409)
        });
        assert!(matches!(answer.0, 200 | 201), "{answer:?}");
    }

    #[track_caller]
    fn stop(mut self) {
        self.process.signal("TERM");
        self.process.wait(PATIENCE);
    }
}

/// Numbered lines are there, from the first on.
#[track_caller]
fn wait_for_lines(path: &Path, count: usize, worker: &mut Worker) -> Vec<String> {
    eventually(&format!("{count} lines"), PATIENCE, || {
        assert!(!worker.process.has_ended(), "{}", worker.process.output());
        let lines: Vec<String> = std::fs::read_to_string(path).ok()?.lines().map(str::to_owned).collect();
        (lines.last().is_some_and(|line| *line == format!("line {}", count - 1))).then_some(lines)
    })
}

fn append_lines(path: &Path, numbers: std::ops::Range<usize>) {
    let mut text = std::fs::read_to_string(path).unwrap_or_default();
    numbers.for_each(|number| writeln!(text, "line {number}").unwrap());
    std::fs::write(path, text).unwrap();
}

/// A file goes through the source, a topic and the sink of a worker that keeps everything in the broker; a worker that ends well
/// and starts again goes on where it was.
fn restarted_connect(broker: &Broker) {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("input.txt"), folder.path().join("output.txt"));
    let (topic, name) = (topic(broker, "lines", 1), unique("connect"));
    append_lines(&input, 0..500);
    let mut worker = Worker::start(broker, folder.path(), &name);
    let class = |class: &str| format!("org.apache.kafka.connect.file.{class}");
    worker.connector("source", &json!({
        "connector.class": class("FileStreamSourceConnector"), "tasks.max": "1", "file": input, "topic": topic,
    }));
    worker.connector("sink", &json!({
        "connector.class": class("FileStreamSinkConnector"), "tasks.max": "1", "file": output, "topics": topic,
    }));
    wait_for_lines(&output, 500, &mut worker);
    worker.stop();
    append_lines(&input, 500..1000);
    // Its connectors are in the broker, and where they were.
    let mut worker = Worker::start(broker, folder.path(), &name);
    let lines = wait_for_lines(&output, 1000, &mut worker);
    let expected: Vec<String> = (0..1000).map(|number| format!("line {number}")).collect();
    assert_eq!(lines, expected);
    assert_eq!(read(broker, &topic).len(), 1000);
    worker.stop();
}

#[test]
fn a_worker_of_kafka_connect_goes_on_where_it_was_on_millstream() {
    restarted_connect(&Broker::millstream());
}

#[test]
fn a_worker_of_kafka_connect_goes_on_where_it_was_on_apache_kafka() {
    restarted_connect(&Broker::apache());
}

/// What `millstream sql` prints for one statement: whether it went well, and the text.
fn sql(plant: &Running, statement: &str) -> (bool, String) {
    let output = command(&["sql", "--url", &plant.url(), "--execute", statement]).output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

/// What ksqlDB's clients get for one statement.
#[track_caller]
fn ksql(plant: &Running, statement: &str) -> Value {
    let (_, body) = http(plant.port(), "POST", "/ksql", &json!({ "ksql": statement }).to_string()).unwrap();
    let answer: Value = serde_json::from_str(&body).unwrap();
    answer.get(0).unwrap_or(&answer).clone()
}

/// A task that fails says why. `sink` creates one that writes to `path`, which gets another path here.
#[track_caller]
fn a_sink_that_fails_says_why(plant: &Running, sink: &str, path: &Path) {
    let broken = sink.replace("`lines`", "`broken`").replace("'topic'", "'topics'");
    let broken = broken.replace(&*path.to_string_lossy(), "/no/such/folder/out");
    let made = ksql(plant, &broken);
    assert_eq!((&made["@type"], &made["info"]["type"]), (&json!("connector_info"), &json!("sink")), "{made}");
    eventually("a task that failed", PATIENCE, || {
        let (_, text) = sql(plant, "DESCRIBE CONNECTOR `broken`;");
        (text.contains("FAILED") && text.contains("/no/such/folder/out")).then_some(())
    });
}

/// Connectors of a worker are made, seen, read from and dropped by statements; what the worker says against one is told.
#[test]
fn statements_about_connectors_reach_a_worker_of_kafka_connect() {
    let broker = Broker::apache();
    let beside = tempfile::tempdir().unwrap();
    let (topic, name) = (topic(&broker, "lines", 1), unique("connect"));
    let worker = Worker::start(&broker, beside.path(), &name);
    let folder = Folder::on_kafka(&broker.servers());
    folder.write("connect.toml", &format!("[sql]\nconnect_url = \"http://127.0.0.1:{}\"\n", worker.port));
    let plant = Running::start(&folder.path());
    let input = beside.path().join("input.txt");
    append_lines(&input, 0..3);

    let (_, plugins) = sql(&plant, "SHOW CONNECTOR PLUGINS;");
    let source = "org.apache.kafka.connect.file.FileStreamSourceConnector";
    assert!(plugins.contains(source) && plugins.contains("FileStreamSinkConnector"), "{plugins}");
    let listed = ksql(&plant, "LIST CONNECTOR PLUGINS;");
    let plugins = listed["connectors_plugins"].as_array().or(listed["connectorsPlugins"].as_array()).unwrap();
    let is_source = |plugin: &Value| plugin["className"] == source && plugin["type"] == "source";
    assert!(plugins.iter().any(is_source), "{listed}");

    let create = |kind: &str, class: &str| {
        format!(
            "CREATE {kind} CONNECTOR `lines` WITH ('connector.class'='{class}', 'tasks.max'='1', 'file'='{}', \
             'topic'='{topic}');",
            input.display()
        )
    };
    let (made, text) = sql(&plant, &create("SINK", source));
    assert!(!made && text.contains("is a source connector"), "{text}");
    let (made, text) = sql(&plant, &create("SOURCE", "a.b.NoSuchConnector"));
    assert!(!made && text.contains("a.b.NoSuchConnector") && text.contains("Kafka Connect at"), "{text}");
    let (made, text) = sql(&plant, &create("SOURCE", source));
    assert!(made && text.contains("lines"), "{text}");
    let (made, text) = sql(&plant, &create("SOURCE", source));
    assert!(!made && text.contains("already"), "{text}");
    let kept = ksql(&plant, &create("SOURCE", source).replace("CONNECTOR", "CONNECTOR IF NOT EXISTS"));
    assert_eq!(kept["@type"], "warning_entity", "{kept}");

    let declared = ksql(
        &plant,
        &format!("CREATE STREAM lines (line VARCHAR) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='KAFKA');"),
    );
    assert_eq!(declared["commandStatus"]["status"], "SUCCESS", "{declared}");
    eventually("a connector that runs", PATIENCE, || {
        let (_, text) = sql(&plant, "DESCRIBE CONNECTOR `lines`;");
        (text.contains("Task 0") && text.matches("RUNNING").count() == 2 && text.contains(&topic))
            .then_some(())
    });
    let described = ksql(&plant, "DESCRIBE CONNECTOR `lines`;");
    assert_eq!(described["@type"], "connector_description", "{described}");
    assert_eq!(described["status"]["tasks"][0]["state"], "RUNNING", "{described}");
    assert_eq!(described["topics"], json!([topic]), "{described}");
    assert_eq!(described["sources"][0]["name"], "LINES", "{described}");
    let (_, text) = sql(&plant, "SHOW SOURCE CONNECTORS;");
    assert!(text.contains(source) && text.contains("RUNNING (1/1 tasks RUNNING)"), "{text}");
    let sinks = ksql(&plant, "SHOW SINK CONNECTORS;");
    assert_eq!(sinks["connectors"], json!([]), "{sinks}");
    let (_, rows) = sql(&plant, "SELECT line FROM lines;");
    assert!(rows.contains("line 2"), "{rows}");

    a_sink_that_fails_says_why(&plant, &create("SINK", &source.replace("Source", "Sink")), &input);
    assert_eq!(ksql(&plant, "DROP CONNECTOR `broken`;")["@type"], "drop_connector");
    let (dropped, text) = sql(&plant, "DROP CONNECTOR `lines`;");
    assert!(dropped, "{text}");
    eventually("no connectors", PATIENCE, || {
        (ksql(&plant, "SHOW CONNECTORS;")["connectors"] == json!([])).then_some(())
    });
    let (dropped, text) = sql(&plant, "DROP CONNECTOR `lines`;");
    assert!(!dropped && text.contains("there is no connector `lines`"), "{text}");
    let kept = ksql(&plant, "DROP CONNECTOR IF EXISTS `lines`;");
    assert_eq!(kept["@type"], "warning_entity", "{kept}");
    worker.stop();
    let (went, text) = sql(&plant, "SHOW CONNECTORS;");
    assert!(!went && text.contains("cannot be asked"), "{text}");
    plant.stop();
}
