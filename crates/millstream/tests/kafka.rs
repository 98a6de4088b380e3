//! The whole demo on Apache Kafka in place of the embedded log, its results read by software that no one here wrote.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::Value;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};
use support::{Running, done, root};

/// The bootstrap address of the Kafka that `make peers` has fetched, started if it does not run.
fn kafka() -> String {
    let output = Command::new(root().join("tests/kafka.sh")).arg("start").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn now_ms() -> u128 {
    #[expect(clippy::disallowed_methods, reason = "told apart from the records of an earlier run")]
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()
}

/// Records of `topics` since `since_ms`, as confluent-kafka reads them.
fn records(servers: &str, since_ms: u128, topics: &[&str]) -> Vec<Value> {
    let own = root().join(".cache/venv/bin/python");
    let python = std::env::var_os("MILLSTREAM_PYTHON").map_or(own, Into::into);
    let script = root().join("crates/millstream/tests/read_topics.py");
    let output = Command::new(python)
        .arg(script)
        .args([servers, &since_ms.to_string()])
        .args(topics)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn the_demo_closes_its_loop_on_apache_kafka() {
    let servers = kafka();
    let since_ms = now_ms();
    let mut demo =
        Running::start(&["demo", "--plain", "--http", "127.0.0.1:0", "--bootstrap-servers", &servers]);
    demo.line("status page");
    demo.next_line("ALARM: the press is hot");
    demo.next_line("the press is cool");
    demo.next_line("written, read back");
    demo.signal("INT");
    assert!(demo.end().0.success(), "{:?}", demo.seen);

    let topics = ["press.thermal", "press.alarm", "press.average", "cooler.setpoints", "millstream.audit"];
    let all = records(&servers, since_ms, &topics);
    let of = |topic: &str| {
        all.iter()
            .filter(|record| record["topic"] == topic)
            .map(|record| &record["value"])
            .collect::<Vec<_>>()
    };
    let temperatures = of("press.thermal");
    assert!(temperatures.iter().any(|row| row["temperature"].as_f64() >= Some(65.0)), "{temperatures:?}");
    let alarms = of("press.alarm");
    let hot = alarms.iter().position(|row| row["HOT"] == true).unwrap();
    assert!(alarms[hot..].iter().any(|row| row["HOT"] == false));
    // One alarm row and one setpoint per reading, none lost and none twice.
    assert!(alarms.len() <= temperatures.len() && alarms.len() + 20 > temperatures.len());
    assert!(of("cooler.setpoints").iter().any(|row| row["SETPOINT"].as_f64() >= Some(75.0)));
    assert!(of("press.average").iter().any(|row| row["SAMPLES"].as_i64() >= Some(8)));
    let results: Vec<_> = of("millstream.audit").into_iter().filter(|row| row["phase"] == "result").collect();
    let raised = results.iter().find(|row| row["value"].as_f64() >= Some(75.0)).unwrap();
    assert_eq!((&raised["result"], &raised["verified"]), (&"written".into(), &true.into()));

    // The same topics through our own command line, with no instance running.
    let listed = done(&["topic", "list", "--json", "--bootstrap-servers", &servers]);
    assert_eq!(listed.code, Some(0), "{}", listed.stderr);
    assert!(listed.stdout.contains("\"name\":\"press.alarm\""), "{}", listed.stdout);
    let place = ["--bootstrap-servers", &servers];
    let tail = done(
        &[&["topic", "tail", "press.alarm", "--json", "-n", "40", "--no-follow", "--limit", "1"], &place[..]]
            .concat(),
    );
    let record: Value = serde_json::from_str(&tail.stdout).unwrap();
    assert!(record["value"]["TEMPERATURE"].is_number(), "{record}");
}
