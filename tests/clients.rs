//! A plant that runs serves its log to Kafka clients: what was read from a machine comes to a client that is not ours, and
//! `millstream topic` speaks to it and to Apache Kafka alike.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use millstream_tests::oracle::eventually;
use millstream_tests::peer::{Process, free_port, http_get, kafka, python, root};
use millstream_tests::running::{Folder, PATIENCE, Running, command, records};
use millstream_tests::simulated::{Machine, counter};
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

fn plant(machine: &Machine, kafka: &str) -> Folder {
    let folder = Folder::new();
    let connection = machine.connection();
    folder.write(
        "machine.toml",
        &format!(
            "[devices.machine]\nconnection = \"{connection}\"\n[devices.machine.groups.fast]\ninterval = \"20ms\"\n\
             topic = \"scans\"\ntags.count = \"holding-register:1:UDINT\"\n{kafka}"
        ),
    );
    folder
}

fn counting() -> Machine {
    Machine::start(vec![counter("count", "holding-register:1:UDINT", Duration::from_millis(20))])
}

/// The first `count` records of a topic, as `confluent-kafka` finds them.
fn read(servers: &str, topic: &str, count: usize) -> Vec<Value> {
    let output = Command::new(python())
        .arg(root().join("tests/read_topic.py"))
        .args([servers, topic, &count.to_string()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{topic}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Records of a scan group as a client reads them are those that the plant's own interface shows, in order and without a gap.
#[test]
fn a_client_reads_what_was_read_from_a_machine() {
    let (machine, port) = (counting(), free_port());
    let servers = format!("127.0.0.1:{port}");
    let folder = plant(&machine, &format!("[kafka]\nlisten = \"{servers}\"\n"));
    let mut plant = Running::start(&folder.path());
    assert!(plant.process().output().contains(&format!("Kafka clients at PLAINTEXT://{servers}")));
    eventually("a hundred records", PATIENCE, || (plant.records("scans").len() >= 100).then_some(()));
    let ours = plant.records("scans");
    let theirs = read(&servers, "scans", ours.len());
    assert_eq!(theirs.len(), ours.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        for field in ["offset", "timestamp_ms", "key", "value"] {
            assert_eq!(ours[field], theirs[field], "{ours} and {theirs}");
        }
    }
    for (offset, record) in theirs.iter().enumerate() {
        assert_eq!(record["offset"], offset);
        assert!(record["value"]["count"].is_u64(), "{record}");
    }
    let status = plant.status().unwrap().to_string();
    assert!(status.contains(&format!("PLAINTEXT://{servers}")), "{status}");
    let (_, metrics) = http_get(plant.port(), "/metrics").unwrap();
    assert!(metrics.contains("millstream_kafka_"), "no metric of the listener");
    plant.stop();
}

#[test]
fn an_address_in_use_is_told_with_its_place() {
    let (machine, port) = (counting(), free_port());
    let folder = plant(&machine, &format!("[kafka]\nlisten = \"127.0.0.1:{port}\"\n"));
    let taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let mut process: Process = Running::spawn(&folder.path());
    assert_eq!(process.wait(PATIENCE), 2, "{}", process.output());
    let said = process.output();
    assert!(said.contains(&format!("127.0.0.1:{port} is in use by another program")), "{said}");
    assert!(said.contains("machine.toml:") && said.contains("[kafka] listen = "), "{said}");
    drop(taken);
    let plant = Running::start(&folder.path());
    plant.stop();
}

/// Runs `millstream topic` with `arguments` at `servers`; what it printed.
fn topic(servers: &str, arguments: &[&str]) -> String {
    let all = [&["topic"], arguments, &["--bootstrap", servers]].concat();
    let output = command(&all).stdin(std::process::Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{all:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Makes, fills, reads, describes and deletes a topic over the Kafka protocol.
fn all_commands(servers: &str) {
    let name = format!("commands-{}", std::process::id());
    let name = name.as_str();
    let made =
        topic(servers, &["create", name, "--partitions", "2", "--set", "retention.ms=600000", "--json"]);
    let made: Value = serde_json::from_str(&made).unwrap();
    assert_eq!((&made["name"], made["partitions"].as_array().unwrap().len()), (&name.into(), 2));
    topic(servers, &["produce", name, "first", "second", "-k", "same"]);
    let tail = ["topic", "tail", name, "--from-beginning", "--no-follow", "--json", "--bootstrap", servers];
    let values: Vec<Value> = records(&tail).iter().map(|record| record["value"].clone()).collect();
    assert_eq!(values, ["first", "second"], "of one key, so of one partition and in order");
    let described: Value = serde_json::from_str(&topic(servers, &["describe", name, "--json"])).unwrap();
    assert_eq!(described["records"], 2, "{described}");
    assert_eq!(described["configs"]["retention.ms"], "600000", "{described}");
    assert!(topic(servers, &["list"]).contains(name));
    topic(servers, &["delete", name, "--yes"]);
    eventually("the topic is gone", PATIENCE, || (!topic(servers, &["list"]).contains(name)).then_some(()));
}

#[test]
fn the_topic_commands_speak_the_protocol_with_an_instance() {
    let (machine, port) = (counting(), free_port());
    let servers = format!("127.0.0.1:{port}");
    let folder = plant(&machine, &format!("[kafka]\nlisten = \"{servers}\"\n"));
    let plant = Running::start(&folder.path());
    all_commands(&servers);
    plant.stop();
}

#[test]
fn the_topic_commands_speak_the_protocol_with_apache_kafka() {
    all_commands(&kafka());
}
