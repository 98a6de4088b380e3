//! A plant folder that is edited again and again while the plant runs under load.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use millstream_tests::oracle::{Sample, Verdict, eventually, judge_counter};
use millstream_tests::peer::http_get;
use millstream_tests::running::{Folder, PATIENCE, Running, find, samples};
use millstream_tests::simulated::{Machine, counter};
use serde_json::Value;
use std::time::Duration;

/// How often the folder is edited.
fn rounds() -> u64 {
    std::env::var("MILLSTREAM_RELOAD_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(12)
}

/// A machine whose counter cannot jump by two between two scans that lie `interval_ms` apart.
fn machine(interval_ms: u64) -> Machine {
    Machine::start(vec![counter("count", "holding-register:1:UDINT", Duration::from_millis(2 * interval_ms))])
}

/// A file with one device, scanned into a topic of its name.
fn device(name: &str, machine: &Machine, interval: &str) -> String {
    format!(
        "[devices.{name}]\nconnection = \"{}\"\n[devices.{name}.groups.fast]\n{interval}\ntopic = \"{name}\"\n\
         tags.count = \"holding-register:1:UDINT\"\n",
        machine.connection()
    )
}

/// How often a running plant has said `words`.
fn said(running: &mut Running, words: &str) -> usize {
    running.process().output().matches(words).count()
}

const TAKEN_OVER: &str = "the change of the plant folder is taken over";
const NOT_TAKEN_OVER: &str = "what runs goes on as it was";

/// F21, F22 with O2, O3, O8: one device changes, another comes and goes, edits are broken in between. The device that nobody touches
/// keeps its one connection and every scan, the query that nobody touches every row; a broken edit is told with its place.
#[test]
fn what_an_edit_does_not_touch_misses_nothing() {
    let (steady, changing, guest) = (machine(20), machine(30), machine(20));
    let folder = Folder::new();
    folder.write("steady.toml", &device("steady", &steady, "interval = \"20ms\""));
    folder.write("changing.toml", &device("changing", &changing, "interval = \"20ms\""));
    folder.write(
        "queries/10-copy.sql",
        "CREATE STREAM copied WITH (KAFKA_TOPIC = 'copied') AS SELECT asset, count FROM steady EMIT CHANGES;",
    );
    let mut running = Running::start(&folder.path());
    flows(&running, "copied");

    let mut guest_is_here = false;
    for round in 0..rounds() {
        let (taken, refused) = (said(&mut running, TAKEN_OVER), said(&mut running, NOT_TAKEN_OVER));
        match round % 3 {
            0 => {
                let interval = if round % 2 == 0 { "30ms" } else { "20ms" };
                folder.write(
                    "changing.toml",
                    &device("changing", &changing, &format!("interval = \"{interval}\"")),
                );
                let query = format!(
                    "CREATE STREAM other WITH (KAFKA_TOPIC = 'other') AS SELECT asset, count FROM steady WHERE count > {round} EMIT CHANGES;"
                );
                folder.write("queries/20-other.sql", &query);
            }
            1 if guest_is_here => folder.remove("guest.toml"),
            1 => folder.write("guest.toml", &device("guest", &guest, "interval = \"20ms\"")),
            _ => {
                let before = folder.path().join("changing.toml");
                let before = std::fs::read_to_string(before).unwrap();
                folder.write("changing.toml", &device("changing", &changing, "intervall = \"30ms\""));
                eventually("the refusal of a broken edit", PATIENCE, || {
                    (said(&mut running, NOT_TAKEN_OVER) > refused).then_some(())
                });
                goes_on_while_broken(&mut running);
                folder.write("changing.toml", &before);
                eventually("the mended folder", PATIENCE, || {
                    let (code, _) = http_get(running.port(), "/health")?;
                    (code == 200).then_some(())
                });
                continue;
            }
        }
        eventually("the edit to be taken over", PATIENCE, || {
            (said(&mut running, TAKEN_OVER) > taken).then_some(())
        });
        guest_is_here ^= round % 3 == 1;
        if guest_is_here {
            running.wait_status("guest", |status| {
                (find(status, "devices", "guest")["condition"] == "good").then_some(())
            });
        }
    }

    let (recorded, copied) = (running.records("steady"), running.records("copied"));
    assert!(copied.len() > 100, "{} rows of the query", copied.len());
    let mut verdict = judge_untouched(&recorded, &copied);
    for name in ["changing", "guest"] {
        verdict = verdict.and(judge_counter(&samples(&running.records(name), "count")));
    }
    let connections = steady.counters.connections.get();
    if connections != 1 {
        verdict.violated("F22", format!("the untouched device was connected to {connections} times"));
    }
    if said(&mut running, "query CSAS_COPIED fills") != 1 {
        verdict.violated("F22", "the untouched query was started again");
    }
    verdict.assert_good();
    assert!(changing.counters.connections.get() > 1, "the changed device was never changed");
    running.stop();
}

/// A broken edit is told on the terminal with its file and line and by `/health`, and records keep coming.
fn goes_on_while_broken(running: &mut Running) {
    let said = running.process().output();
    assert!(said.contains("changing.toml:4:1") && said.contains("`interval`"), "{said}");
    let (code, health) = http_get(running.port(), "/health").unwrap();
    assert!(code == 503 && health.contains("plant folder"), "{code}: {health}");
    for topic in ["changing", "copied"] {
        flows(running, topic);
    }
}

/// Waits for records of a topic behind those that are there.
fn flows(running: &Running, topic: &str) {
    let next = |status: &Value| find(status, "topics", topic)["partitions"][0]["latest"].as_u64();
    let before = running.wait_status("topic", next);
    // Markers of transactions have offsets, too: every other one at least is a record's.
    running.wait_status("records", |status| (next(status)? > before + 4).then_some(()));
}

/// The untouched device's records have one start and no gap; the untouched query made one row of each.
fn judge_untouched(recorded: &[Value], copied: &[Value]) -> Verdict {
    let samples = samples(recorded, "count");
    let mut verdict = judge_counter(&samples);
    let started = recorded.iter().filter(|record| !record["headers"]["started"].is_null()).count();
    if started != 1 {
        verdict.violated("F22", format!("the untouched device was started {started} times"));
    }
    if recorded.iter().any(|record| record["value"]["count"].is_null()) {
        verdict.violated("F22", "the untouched device had an outage");
    }
    let gaps = samples.iter().filter(|sample| **sample == Sample::Gap).count();
    if gaps > 1 + recorded.len() / 10 {
        verdict.violated("F22", format!("{gaps} gaps in {} scans", recorded.len()));
    }
    for (input, output) in recorded.iter().zip(copied) {
        if input["value"]["count"] != output["value"]["COUNT"] {
            verdict.violated("O3", format!("{output} was made of {input}"));
        }
    }
    verdict
}
