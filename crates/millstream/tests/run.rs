//! `millstream run`: it starts, takes changes over while it runs, keeps others out of its folder, and ends in time.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::{Running, done, done_with, get, wait_for};

/// Two devices, one query, the status page on a free port.
fn plant(folder: &Path) -> PathBuf {
    let path = folder.join("plant");
    fs::create_dir_all(path.join("queries")).unwrap();
    fs::write(path.join("millstream.toml"), "[http]\nlisten = \"127.0.0.1:0\"\n").unwrap();
    device(&path, "press", "50ms");
    device(&path, "oven", "50ms");
    let query = "CREATE STREAM hot WITH (KAFKA_TOPIC = 'hot') AS SELECT asset, temperature FROM press_fast \
                 WHERE temperature > 20 EMIT CHANGES;";
    fs::write(path.join("queries/hot.sql"), query).unwrap();
    path
}

fn device(plant: &Path, name: &str, interval: &str) {
    let text = format!(
        "[devices.{name}]\nconnection = \"modbus-tcp://10.0.0.7\"\n[devices.{name}.groups.fast]\ninterval = \"{interval}\"\n\
         topic = \"{name}.fast\"\ntags.temperature = {{ address = \"holding-register:1:REAL\", unit = \"°C\", \
         simulate = {{ signal = \"constant\", value = 71.25 }} }}\n\
         [devices.{name}.writes]\ntopic = \"{name}.setpoints\"\n\
         tags.setpoint = {{ address = \"holding-register:10:REAL\", min = 20, max = 90, verify = true }}\n"
    );
    fs::write(plant.join(format!("{name}.toml")), text).unwrap();
}

/// A running plant and where its status page is.
fn start(plant: &Path) -> (Running, SocketAddr) {
    let mut running = Running::start(&["run", "--simulate", plant.to_str().unwrap()]);
    running.line("running; Ctrl-C ends it");
    let at = running.address("status page");
    (running, at)
}

fn find<'a>(status: &'a serde_json::Value, kind: &str, name: &str) -> &'a serde_json::Value {
    let list = status[kind].as_array().unwrap();
    list.iter().find(|item| item["name"] == name).unwrap_or(&serde_json::Value::Null)
}

fn metric(at: SocketAddr, line: &str) -> Option<f64> {
    let (_, page) = get(at, "/metrics");
    let value = page.lines().find_map(|found| found.strip_prefix(line))?;
    value.trim().parse().ok()
}

#[test]
fn it_runs_says_how_it_is_and_ends_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let (mut running, at) = start(&plant(folder.path()));
    let status = wait_for(at, "/api/status", |status| {
        find(status, "topics", "press.fast")["records"].as_u64() > Some(5)
            && find(status, "topics", "hot")["records"].as_u64() > Some(5)
    });
    let press = find(&status, "devices", "press");
    assert_eq!((&press["state"], &press["condition"]), (&"online".into(), &"good".into()));
    assert_eq!(press["groups"][0]["tags"][0]["value"], 71.25);
    assert_ne!(status["health"]["status"], "bad", "{}", status["health"]);
    assert_eq!(get(at, "/health").0, 200);

    // What is documented to be on the page of metrics is there.
    for line in [
        "millstream_device_scans_total{device=\"press\"}",
        "millstream_device_overruns_total{device=\"press\"}",
        "millstream_device_bad_cells_total{device=\"press\"}",
        "millstream_device_requests_total{device=\"press\"}",
        "millstream_device_latched_tags{device=\"press\"}",
        "millstream_device_round_trip_seconds_count{device=\"press\"}",
        "millstream_topic_records_total{topic=\"press.fast\"}",
        "millstream_topic_size_bytes{topic=\"press.fast\"}",
        "millstream_connector_records_total{connector=\"plc-source\"}",
        "process_resident_memory_bytes",
    ] {
        assert!(metric(at, line).is_some_and(|value| value >= 0.0), "{line}");
    }
    let (_, page) = get(at, "/metrics");
    let samples = page.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    let mut names: Vec<_> = samples.map(|(name, _)| name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "a sample stands twice");
    assert!(page.contains("millstream_query_lag_records{") && page.contains("_total{query="), "{page}");

    running.signal("INT");
    let (ended, took) = running.end();
    assert!(ended.success(), "{:?}", running.seen);
    assert!(took < Duration::from_secs(5), "{took:?}");
    running.line("stopped");
}

#[test]
fn what_was_recorded_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let plant = plant(folder.path());
    let (mut running, at) = start(&plant);
    wait_for(at, "/api/status", |status| find(status, "topics", "hot")["records"].as_u64() > Some(5));
    running.signal("TERM");
    assert!(running.end().0.success());

    let (_running, at) = start(&plant);
    let url = format!("http://{at}");
    let tail = ["topic", "tail", "press.fast", "--from-beginning", "--limit", "3", "--json", "--url", &url];
    let done = done(&tail);
    let offsets: Vec<_> = done
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|record| (record["offset"].as_i64().unwrap(), record["value"]["temperature"].as_f64().unwrap()))
        .collect();
    assert_eq!(offsets, [(0, 71.25), (1, 71.25), (2, 71.25)], "{}", done.stderr);
    // The query goes on where it was: it makes more.
    let before = wait_for(at, "/api/status", |_| true);
    let before = find(&before, "topics", "hot")["records"].as_u64().unwrap();
    wait_for(at, "/api/status", |status| {
        find(status, "topics", "hot")["records"].as_u64() > Some(before + 5)
    });
}

/// F21, F22: an edit touches what it changes; a broken one touches nothing and is told.
#[test]
fn a_changed_folder_is_taken_over_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let plant = plant(folder.path());
    let (mut running, at) = start(&plant);
    wait_for(at, "/api/status", |status| find(status, "topics", "hot")["records"].as_u64() > Some(0));

    device(&plant, "oven", "20ms");
    running.next_line("the change of the plant folder is taken over");
    let status = wait_for(at, "/api/status", |status| {
        find(status, "devices", "oven")["groups"][0]["interval_ms"] == 20
    });
    assert_eq!(find(&status, "devices", "press")["groups"][0]["interval_ms"], 50);
    wait_for(at, "/api/status", |status| find(status, "devices", "oven")["condition"] == "good");

    // A machine that is to move differently does so.
    let moved = fs::read_to_string(plant.join("oven.toml")).unwrap().replace("71.25", "12.5");
    fs::write(plant.join("oven.toml"), moved).unwrap();
    running.next_line("the change of the plant folder is taken over");
    wait_for(at, "/api/status", |status| {
        find(status, "devices", "oven")["groups"][0]["tags"][0]["value"] == 12.5
    });

    device(&plant, "oven", "soon");
    running.next_line("what runs goes on as it was");
    let (code, body) = get(at, "/health");
    assert_eq!(code, 503);
    assert!(body.contains("plant folder") && body.contains("1 mistake in 1 of"), "{body}");
    let said = running.seen.join("\n");
    assert!(said.contains("oven.toml:4:"), "{said}");

    fs::remove_file(plant.join("oven.toml")).unwrap();
    device(&plant, "saw", "50ms");
    fs::write(plant.join("queries/hot.sql"), "-- nothing any more\n").unwrap();
    running.next_line("the change of the plant folder is taken over");
    let status = wait_for(at, "/api/status", |status| {
        find(status, "devices", "saw")["condition"] == "good"
            && find(status, "devices", "oven").is_null()
            && status["queries"].as_array().unwrap().is_empty()
    });
    assert_eq!(get(at, "/health").0, 200, "{}", status["health"]);

    // The press was never touched: one connection, no value lost to a reload.
    assert_eq!(metric(at, "millstream_device_connects_total{device=\"press\"}"), Some(1.0));
    assert_eq!(metric(at, "millstream_device_connection_errors_total{device=\"press\"}"), Some(0.0));
    let missed = done(&[
        "topic",
        "tail",
        "press.fast",
        "--from-beginning",
        "--no-follow",
        "--json",
        "--url",
        &format!("http://{at}"),
    ]);
    let records: Vec<serde_json::Value> =
        missed.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(records.len() > 20, "{}", records.len());
    for record in &records {
        assert_eq!(record["value"]["temperature"], 71.25, "{record}");
    }
}

#[test]
fn a_folder_in_use_and_a_port_in_use_are_the_users_mistakes() {
    let folder = tempfile::tempdir().unwrap();
    let plant = plant(folder.path());
    let (_running, _) = start(&plant);
    let second = done(&["run", "--simulate", plant.to_str().unwrap()]);
    assert_eq!(second.code, Some(2), "{}", second.stderr);
    let error = second.stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
    assert!(error.contains("plant/data") && error.contains("another process"), "{}", second.stderr);

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let other = folder.path().join("other.toml");
    fs::write(&other, format!("[http]\nlisten = \"{address}\"\n")).unwrap();
    let refused = done(&["run", other.to_str().unwrap()]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(
        refused.stderr.contains(&format!("error: {address} is in use by another program")),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains("other.toml:2:10") && refused.stderr.contains("help: "),
        "{}",
        refused.stderr
    );

    let wrong = done(&["run", folder.path().join("nowhere").to_str().unwrap()]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.stderr);
}

/// Commands come in over topics, pass the guard, and leave a trail; `sql` and `topic` work against the instance.
#[test]
fn the_command_line_works_against_a_running_instance() {
    let folder = tempfile::tempdir().unwrap();
    let (_running, at) = start(&plant(folder.path()));
    let url = format!("http://{at}");
    wait_for(at, "/api/status", |status| find(status, "topics", "hot")["records"].as_u64() > Some(0));

    let listed = done(&["topic", "list", "--json", "--url", &url]);
    let names: Vec<String> = listed
        .stdout
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["name"].as_str().unwrap().to_owned()
        })
        .collect();
    assert!(
        names.contains(&"press.fast".to_owned()) && names.contains(&"millstream.devices".to_owned()),
        "{names:?}"
    );

    let produced = done_with(
        &["topic", "produce", "press.setpoints", "--json", "--url", &url],
        "{\"key\":\"press\",\"value\":{\"setpoint\":55.5}}\n",
    );
    assert_eq!(produced.code, Some(0), "{}", produced.stderr);
    let tail = |topic: &str| {
        // What is counted is on its way into the topic.
        wait_for(at, "/api/status", |status| find(status, "topics", topic)["records"].as_u64() > Some(0));
        let done =
            done(&["topic", "tail", topic, "--from-beginning", "--limit", "1", "--json", "--url", &url]);
        serde_json::from_str::<serde_json::Value>(&done.stdout).unwrap()
    };
    wait_for(at, "/api/status", |status| find(status, "devices", "press")["writes_total"] == 1);
    let intent = tail("millstream.audit");
    assert_eq!((&intent["value"]["phase"], &intent["value"]["tag"]), (&"intent".into(), &"setpoint".into()));

    let refused = done_with(
        &["topic", "produce", "press.setpoints", "-k", "press", "--url", &url],
        "{\"setpoint\":120}\n",
    );
    assert_eq!(refused.code, Some(0), "{}", refused.stderr);
    wait_for(at, "/api/status", |status| find(status, "devices", "press")["writes_refused_total"] == 1);
    assert_eq!(tail("millstream.refused")["value"]["reason"], "out-of-range");

    let sql = |statement: &str| done(&["sql", "-e", statement, "--json", "--url", &url]);
    let rows = sql("SELECT asset, temperature FROM press_fast EMIT CHANGES LIMIT 2;");
    assert_eq!(rows.code, Some(0), "{}", rows.stderr);
    let rows: Vec<serde_json::Value> =
        rows.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 2);
    assert_eq!((&rows[0]["ASSET"], &rows[0]["TEMPERATURE"]), (&"press".into(), &71.25.into()));
    let script = done_with(&["sql", "--url", &url], "SHOW STREAMS;\nDESCRIBE press_fast;\n");
    assert_eq!(script.code, Some(0), "{}", script.stderr);
    assert!(
        script.stdout.contains("PRESS_FAST") && script.stdout.contains("TEMPERATURE"),
        "{}",
        script.stdout
    );
    let wrong = sql("SELECT temprature FROM press_fast EMIT CHANGES;");
    assert_eq!(wrong.code, Some(2));
    let object: serde_json::Value = serde_json::from_str(wrong.stdout.lines().next().unwrap()).unwrap();
    assert_eq!((&object["line"], &object["column"]), (&1.into(), &8.into()), "{object}");

    let create = done(&["topic", "create", "orders", "--partitions", "2", "--url", &url]);
    assert_eq!(create.code, Some(0), "{}", create.stderr);
    let again = done(&["topic", "create", "orders", "--url", &url]);
    assert_eq!((again.code, again.stderr.as_str()), (Some(2), "error: topic `orders` exists already\n"));
    assert_eq!(done(&["topic", "delete", "orders", "--url", &url]).code, Some(2), "nobody can be asked");
    assert_eq!(done(&["topic", "delete", "orders", "--yes", "--url", &url]).code, Some(0));
    assert_eq!(done(&["topic", "describe", "orders", "--url", &url]).code, Some(2));
}
