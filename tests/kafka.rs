//! A plant on Apache Kafka: the whole demo, read by a client that is not ours, and a Kafka that goes away in the middle.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use millstream_tests::oracle::{Delivery, Ledger, Verdict, eventually, judge_counter};
use millstream_tests::peer::{Kafka, Process, http_get, kafka, python, root};
use millstream_tests::running::{Folder, PATIENCE, Running, command, find, samples};
use millstream_tests::simulated::{Machine, counter};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

/// Every committed record of a topic, as `confluent-kafka` finds it.
fn read(servers: &str, topic: &str) -> Vec<Value> {
    let script = root().join("tests/read_topic.py");
    let output = Command::new(python()).arg(script).args([servers, topic]).output().unwrap();
    assert!(output.status.success(), "{topic}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The demo closes its loop on Apache Kafka, and another client finds there what it did: telemetry, setpoints and the trail.
#[test]
fn the_demo_closes_its_loop_on_apache_kafka() {
    let servers = kafka();
    let arguments = ["demo", "--plain", "--http", "127.0.0.1:0", "--bootstrap-servers", &servers];
    let mut demo = Process::start(&mut command(&arguments));
    demo.wait_for("status page", PATIENCE);
    demo.wait_for("ALARM: the press is hot", PATIENCE);
    demo.wait_for("the press is cool", PATIENCE);
    demo.signal("INT");
    assert_eq!(demo.wait(Duration::from_secs(20)), 0, "{}", demo.output());

    let thermal = read(&servers, "press.thermal");
    let temperatures: Vec<f64> =
        thermal.iter().filter_map(|record| record["value"]["temperature"].as_f64()).collect();
    assert!(thermal.iter().all(|record| record["key"] == "acme/berlin/stamping/line2/press"));
    let hottest = temperatures.iter().copied().fold(0.0, f64::max);
    assert!(hottest >= 65.0, "{hottest}");
    let hot = temperatures.iter().position(|temperature| *temperature >= 65.0).unwrap();
    assert!(temperatures[hot..].iter().any(|temperature| *temperature <= 55.0), "{temperatures:?}");
    let process = read(&servers, "press.process");
    assert!(
        process.len() > thermal.len() && process.iter().any(|record| record["value"]["pressure"].is_f64())
    );

    let setpoints = read(&servers, "cooler.setpoints");
    let setpoints: Vec<f64> =
        setpoints.iter().filter_map(|record| record["value"]["SETPOINT"].as_f64()).collect();
    assert!(setpoints.contains(&25.0) && setpoints.iter().any(|value| *value >= 75.0), "{setpoints:?}");

    let audit = read(&servers, "millstream.audit");
    let phase = |phase: &str| audit.iter().filter(|record| record["value"]["phase"] == phase).count();
    let raised = audit.iter().map(|record| &record["value"]).find(|value| {
        value["phase"] == "result" && value["value"].as_f64() >= Some(75.0) && value["result"] == "written"
    });
    let raised = raised.unwrap_or_else(|| panic!("no write of 75 or more in {audit:?}"));
    assert_eq!(raised["asked_by"]["topic"], "cooler.setpoints", "{raised}");
    assert!(phase("intent") >= phase("result"), "a result without an intent: {audit:?}");
}

/// F12: Apache Kafka hangs for seconds, then dies and comes back. The local log keeps everything, order holds, nothing is lost or
/// doubled, the trouble is told, and all of it mends itself.
#[test]
fn a_kafka_that_goes_away_costs_no_record() {
    let kafka = Kafka::start();
    let machine = Machine::start(vec![
        counter("count", "holding-register:1:UDINT", Duration::from_millis(40)),
        counter("fine", "holding-register:3:UDINT", Duration::from_millis(1)),
    ]);
    let folder = Folder::on_kafka(&kafka.servers());
    folder.write(
        "machine.toml",
        &format!(
            "[devices.machine]\nconnection = \"{}\"\n[devices.machine.groups.fast]\ninterval = \"20ms\"\ntopic = \"scans\"\n\
             tags.count = \"holding-register:1:UDINT\"\ntags.fine = \"holding-register:3:UDINT\"\n",
            machine.connection()
        ),
    );
    folder.write(
        "queries/copy.sql",
        "CREATE STREAM copied WITH (KAFKA_TOPIC = 'copied') AS SELECT asset, count, fine FROM scans EMIT CHANGES;",
    );
    let running = Running::start(&folder.path());
    flows(&running, 0);

    kafka.signal("STOP");
    keeps_recording(&running);
    kafka.signal("CONT");
    let before = flows(&running, 0);

    kafka.kill9();
    keeps_recording(&running);
    kafka.start_again();
    flows(&running, before);
    let kept = appended(&running).unwrap();
    // Changes of state are among what is forwarded.
    eventually("the backlog to drain", PATIENCE, || (forwarded(&running)? >= kept + 50.0).then_some(()));
    running.stop();

    let (remote, copied) = (read(&kafka.servers(), "scans"), read(&kafka.servers(), "copied"));
    // The same data folder, without Apache Kafka: what the local log holds.
    folder.write("millstream.toml", "[http]\nlisten = \"127.0.0.1:0\"\n");
    folder.remove("queries/copy.sql");
    let running = Running::start(&folder.path());
    let mut local = running.records("scans");
    running.stop();
    // Without those of this last start.
    let own = local.iter().rposition(|record| !record["headers"]["started"].is_null()).unwrap();
    local.truncate(own);

    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let arrived = remote.len() as f64;
    assert!(arrived >= kept, "{arrived} of {kept} records");
    judge(&local, &remote, &copied).assert_good();
}

/// Waits until everything is well again and more than `before` records have come through. Gives how many are in Kafka.
fn flows(running: &Running, before: u64) -> u64 {
    running.wait_status("flow", |status| {
        let records = |topic: &str| find(status, "topics", topic)["records"].as_u64();
        // How full this machine's own disk is does not matter here.
        let problems = status["health"]["problems"].as_array()?;
        let is_well = problems.iter().all(|problem| problem["who"] == "disk");
        let sent = records("scans")?;
        (is_well && sent > before + 50 && records("copied")? > before + 20).then_some(sent)
    })
}

/// Records of the machine that the local log has taken.
fn appended(running: &Running) -> Option<f64> {
    running.metric("millstream_log_appended_records_total{topic=\"scans\"}")
}

/// Records of all topics that have got to Kafka.
fn forwarded(running: &Running) -> Option<f64> {
    let (_, page) = http_get(running.port(), "/metrics")?;
    let line = page
        .lines()
        .find(|line| line.starts_with("millstream_connector_records_total{connector=\"forward-"))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// While Kafka is away: the local log grows for seconds, and health says what is wrong.
fn keeps_recording(running: &Running) {
    let before = eventually("metrics while Kafka is away", PATIENCE, || appended(running));
    eventually("records in the local log", PATIENCE, || (appended(running)? > before + 200.0).then_some(()));
    eventually("Kafka's absence named by health", PATIENCE, || {
        let (code, body) = http_get(running.port(), "/health")?;
        let health: Value = serde_json::from_str(&body).ok()?;
        let problems = health["problems"].as_array()?;
        let named = problems.iter().any(|problem| {
            let words = format!("{} {}", problem["who"], problem["what"]).to_lowercase();
            words.contains("kafka") || words.contains("forward")
        });
        (code == 503 && named).then_some(())
    });
}

/// Kafka's topic is the beginning of the local one, record by record; the query's is the beginning of Kafka's.
fn judge(local: &[Value], remote: &[Value], copied: &[Value]) -> Verdict {
    let number = |record: &Value| record["value"]["fine"].as_u64().unwrap_or(0);
    let mut ledger = Ledger::new();
    let sent = local.iter().take(remote.len());
    sent.for_each(|record| ledger.acknowledge("scans", number(record)));
    let found = BTreeMap::from([("scans".to_owned(), remote.iter().map(number).collect())]);
    let mut verdict = ledger.judge(&found, Delivery::Once);
    verdict =
        verdict.and(judge_counter(&samples(local, "count"))).and(judge_counter(&samples(remote, "count")));
    for (local, remote) in local.iter().zip(remote) {
        let parts = ["key", "value", "timestamp_ms", "headers"];
        if parts.iter().any(|part| local[part] != remote[part]) {
            verdict.violated("O3", format!("{local} came as {remote}"));
        }
    }
    for (input, output) in remote.iter().zip(copied) {
        if input["value"]["fine"] != output["value"]["FINE"] {
            verdict.violated("O3", format!("{output} was made of {input}"));
        }
    }
    verdict
}
