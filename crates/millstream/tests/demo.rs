//! `millstream demo`: the loop closes, over real sockets, as it does for whoever runs it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::Value;
use std::time::Duration;
use support::{Running, done, root, wait_for};

/// Every record of a topic so far: values.
fn records(topic: &str, url: &str) -> Vec<Value> {
    let done = done(&["topic", "tail", topic, "--from-beginning", "--no-follow", "--json", "--url", url]);
    assert_eq!(done.code, Some(0), "{topic}: {}", done.stderr);
    let records = done.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.map(|record| record["value"].clone()).collect()
}

#[test]
fn the_press_heats_up_the_setpoint_rises_and_the_temperature_falls() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut demo =
        Running::start(&["demo", "--plain", "--http", "127.0.0.1:0", "--data-dir", data.to_str().unwrap()]);
    let at = demo.address("status page");
    demo.line("Modbus press");
    demo.line("Modbus cooler");
    demo.next_line("ALARM: the press is hot");
    demo.next_line("the press is cool");
    let url = format!("http://{at}");

    // The alarm came at 65 °C and went at 55 °C, not in between.
    let alarms = records("press.alarm", &url);
    let hot = alarms.iter().position(|row| row["HOT"] == true).unwrap();
    let cool = hot + alarms[hot..].iter().position(|row| row["HOT"] == false).unwrap();
    let temperature = |row: &Value| row["TEMPERATURE"].as_f64().unwrap();
    assert!(temperature(&alarms[hot]) >= 65.0, "{}", alarms[hot]);
    assert!(temperature(&alarms[cool]) <= 55.0, "{}", alarms[cool]);
    assert!(alarms[hot..cool].iter().all(|row| temperature(row) > 55.0));

    // The setpoint followed, and was written by the guard, read back and recorded.
    let setpoints: Vec<_> =
        records("cooler.setpoints", &url).iter().map(|row| row["SETPOINT"].as_f64().unwrap()).collect();
    assert!(setpoints.contains(&25.0) && setpoints.iter().any(|value| *value >= 75.0), "{setpoints:?}");
    let audit = records("millstream.audit", &url);
    let raised =
        audit.iter().find(|row| row["phase"] == "result" && row["value"].as_f64() >= Some(75.0)).unwrap();
    assert_eq!((&raised["result"], &raised["verified"]), (&"written".into(), &true.into()), "{raised}");
    assert_eq!(raised["asked_by"]["topic"], "cooler.setpoints", "{raised}");
    let intents = audit.iter().filter(|row| row["phase"] == "intent").count();
    let results = audit.iter().filter(|row| row["phase"] == "result").count();
    assert!(intents >= results && results > 0, "no write without an intent: {intents}, {results}");

    // The cooling unit did as it was told, and the press cooled down.
    let power =
        records("cooler.status", &url).iter().filter_map(|row| row["power"].as_f64()).fold(0.0, f64::max);
    assert!(power > 60.0, "{power}");
    let hottest = records("press.thermal", &url)
        .iter()
        .filter_map(|row| row["temperature"].as_f64())
        .fold(0.0, f64::max);
    assert!((65.0..80.0).contains(&hottest), "{hottest}");
    let averages = records("press.average", &url);
    assert!(averages.iter().any(|row| row["SAMPLES"].as_i64() >= Some(8)), "{averages:?}");

    let status = wait_for(at, "/api/status", |_| true);
    assert_ne!(status["health"]["status"], "bad", "{}", status["health"]);
    assert_eq!(status["queries"].as_array().unwrap().len(), 3);

    demo.signal("INT");
    let (ended, took) = demo.end();
    assert!(ended.success(), "{:?}", demo.seen);
    assert!(took < Duration::from_secs(5), "{took:?}");
    demo.line("The loop closed once");
}

#[test]
fn it_ends_by_itself_after_the_given_time() {
    let mut demo = Running::start(&["demo", "--plain", "--http", "127.0.0.1:0", "--seconds", "2"]);
    demo.line("status page");
    let (ended, _) = demo.end();
    assert!(ended.success(), "{:?}", demo.seen);
}

/// What the binary carries is the folder that is there to be copied.
#[test]
fn the_example_is_a_plant_that_is_right() {
    let done = support::done_in(&root(), &["check", "examples/demo"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
}
