//! Clients of other hands: librdkafka from Python, kcat, Java clients old and new, Kafka's own tools.

use millstream_tests::broker::{Broker, java, judge_cases};
use millstream_tests::peer::{python, root};
use std::process::Command;
use std::time::Duration;

/// How long one program of cases may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(5);

fn librdkafka(broker: &Broker) {
    let script = root().join("tests/python/clients.py");
    judge_cases(Command::new(python()).arg(script).arg(broker.servers()), 77, PATIENCE);
}

#[test]
fn librdkafka_on_millstream() {
    librdkafka(&Broker::millstream());
}

#[test]
fn librdkafka_on_apache_kafka() {
    librdkafka(&Broker::apache());
}

fn kcat(broker: &Broker) {
    judge_cases(
        Command::new(python()).arg(root().join("tests/python/kcat.py")).arg(broker.servers()),
        6,
        PATIENCE,
    );
}

#[test]
fn kcat_on_millstream() {
    kcat(&Broker::millstream());
}

#[test]
fn kcat_on_apache_kafka() {
    kcat(&Broker::apache());
}

/// One client after the other, on the same broker.
fn java_clients(broker: &Broker) {
    for version in ["2.8.2", "3.3.2", "3.9.1", "4.0.1"] {
        judge_cases(java(Some(version)).arg("Client").arg(broker.servers()), 14, PATIENCE);
    }
    judge_cases(java(None).arg("Client").arg(broker.servers()), 15, PATIENCE);
}

#[test]
fn java_clients_on_millstream() {
    java_clients(&Broker::millstream());
}

#[test]
fn java_clients_on_apache_kafka() {
    java_clients(&Broker::apache());
}

fn kafka_tools(broker: &Broker) {
    judge_cases(java(None).arg("Tools").arg(broker.servers()), 16, PATIENCE);
}

#[test]
fn kafka_tools_on_millstream() {
    kafka_tools(&Broker::millstream());
}

#[test]
fn kafka_tools_on_apache_kafka() {
    kafka_tools(&Broker::apache());
}

fn signing_in(broker: &Broker) {
    let mut command = Command::new(python());
    command.arg(root().join("tests/python/security.py")).args([broker.servers(), broker.servers_with_sasl()]);
    judge_cases(&mut command, 7, PATIENCE);
}

#[test]
fn signing_in_and_rights_on_millstream() {
    signing_in(&Broker::millstream());
}

#[test]
fn signing_in_and_rights_on_apache_kafka() {
    signing_in(&Broker::apache());
}
