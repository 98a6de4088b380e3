//! More than the process can do, or has: scans too often, machines too slow, too few file handles, clients that do not read.

use millstream_model::Value as Cell;
use millstream_tests::oracle::{Usage, Verdict, eventually, judge_counter};
use millstream_tests::peer::{Process, http_get, millstream};
use millstream_tests::running::{Folder, PATIENCE, Running, command, find, samples};
use millstream_tests::simulated::{Machine, counter, holds};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::Duration;

/// A counter that cannot jump by two between two scans 20 ms apart, and a setpoint.
fn machine() -> Machine {
    Machine::start(vec![
        counter("count", "holding-register:1:UDINT", Duration::from_millis(40)),
        holds("setpoint", "holding-register:10:UINT", Cell::UInt(1)),
    ])
}

/// A device with a counter in a topic of its name, and a setpoint that may be written.
fn device(name: &str, connection: &str, interval: &str) -> String {
    format!(
        "[devices.{name}]\nconnection = \"{connection}\"\n[devices.{name}.groups.fast]\ninterval = \"{interval}\"\n\
         topic = \"{name}\"\ntags.count = \"holding-register:1:UDINT\"\n[devices.{name}.writes]\ntopic = \"{name}.setpoints\"\n\
         tags.setpoint = {{ address = \"holding-register:10:UINT\", min = 0, max = 60000, verify = true }}\n"
    )
}

/// Writes `value` to a device over its topic, and waits until the trail says that it is there.
fn write(running: &Running, name: &str, value: u64) {
    let line = format!("{{\"value\":{{\"setpoint\":{value}}}}}\n");
    eventually("room for a command", PATIENCE, || running.produce(&format!("{name}.setpoints"), &line));
    eventually("the write in the trail", PATIENCE, || {
        let trail = running.records("millstream.audit");
        let done = trail.iter().map(|record| &record["value"]).any(|entry| {
            entry["device"] == name
                && entry["phase"] == "result"
                && entry["value"] == value
                && entry["result"] == "written"
        });
        done.then_some(())
    });
}

fn health(running: &Running) -> (u16, Value) {
    eventually("an answer of /health", PATIENCE, || {
        let (code, body) = http_get(running.port(), "/health")?;
        Some((code, serde_json::from_str(&body).ok()?))
    })
}

/// The device was never away and every scan that it missed is told.
fn judge_steady(running: &Running, name: &str) -> Verdict {
    let records = running.records(name);
    let mut verdict = judge_counter(&samples(&records, "count"));
    if records.iter().any(|record| record["value"]["count"].is_null()) {
        verdict.violated("F32", format!("`{name}` was away because of others"));
    }
    verdict
}

/// F3, F32: one machine answers slower than it is asked, another is asked for two thousand values every millisecond. Both overrun, and
/// say so in numbers and in records; the third goes on, writes pass, health answers.
#[test]
fn scans_that_cannot_be_kept_are_told_and_cost_nobody_else() {
    let (steady, slow) = (machine(), machine());
    slow.faults.set(|faults| faults.delay = Duration::from_millis(45));
    let registers = (1..=2_000_u16)
        .map(|n| holds(&format!("r{n}"), &format!("holding-register:{n}:UINT"), Cell::UInt(n.into())));
    let greedy = Machine::start(registers.collect());
    let folder = Folder::new();
    folder.write("steady.toml", &device("steady", &steady.connection(), "20ms"));
    folder.write("slow.toml", &device("slow", &slow.connection(), "10ms"));
    let mut text = format!(
        "[devices.greedy]\nconnection = \"{}\"\n[devices.greedy.groups.all]\ninterval = \"1ms\"\ntopic = \"greedy\"\n",
        greedy.connection()
    );
    for n in 1..=2_000 {
        let _ = writeln!(text, "tags.r{n} = \"holding-register:{n}:UINT\"");
    }
    folder.write("greedy.toml", &text);
    let running = Running::start(&folder.path());
    running.wait_status("overruns", |status| {
        let overruns = |name: &str| find(status, "devices", name)["overruns_total"].as_u64();
        let scans = find(status, "devices", "steady")["scans_total"].as_u64()?;
        (overruns("slow")? > 50 && overruns("greedy")? > 50 && scans > 100).then_some(())
    });
    write(&running, "slow", 7);
    write(&running, "steady", 8);
    let (_, health) = health(&running);
    let named = health["problems"].as_array().unwrap();
    assert!(!named.iter().any(|problem| problem["who"].as_str().unwrap().contains("steady")), "{health}");
    assert!(running.metric("millstream_device_overruns_total{device=\"slow\"}").unwrap() > 50.0);

    let told = |topic: &str| -> u64 {
        let records = running.records(topic);
        records.iter().filter_map(|record| record["headers"]["missed"].as_str()?.parse::<u64>().ok()).sum()
    };
    assert!(told("slow") > 50, "{} of the slow machine", told("slow"));
    assert!(told("greedy") > 50, "{} of the greedy group", told("greedy"));
    judge_steady(&running, "steady")
        .and(judge_counter(&samples(&running.records("slow"), "count")))
        .assert_good();
    running.stop();
}

/// F33: 300 devices and 256 file handles. Most are read, the others are told by name with the reason, the process lives, answers and
/// takes writes, and a device that was read keeps being read.
#[test]
fn too_few_file_handles_cost_some_devices_and_nothing_else() {
    let (steady, many) = (machine(), machine());
    let folder = Folder::new();
    folder.write("a-steady.toml", &device("a-steady", &steady.connection(), "20ms"));
    let mut text = String::new();
    for n in 0..300 {
        let _ = write!(
            text,
            "[devices.m{n}]\nconnection = \"{}\"\n[devices.m{n}.groups.slow]\ninterval = \"1s\"\ntopic = \"many\"\n\
             tags.count = \"holding-register:1:UDINT\"\n",
            many.connection()
        );
    }
    folder.write("many.toml", &text);
    let mut process = Process::start(
        Command::new("prlimit")
            .arg("--nofile=256")
            .arg(millstream())
            .arg("run")
            .arg(folder.path())
            .env_remove("RUST_LOG"),
    );
    process.wait_for("running; Ctrl-C ends it", PATIENCE);
    let running = Running::of(process);
    let online = running.wait_status("devices without a handle", |status| {
        let devices = status["devices"].as_array()?;
        let online = devices.iter().filter(|device| device["state"] == "online").count();
        let away: Vec<&Value> = devices.iter().filter(|device| device["state"] == "offline").collect();
        let told = away
            .iter()
            .all(|device| device["cause"].as_str().is_some_and(|cause| cause.contains("open files")));
        (online + away.len() == devices.len() && !away.is_empty() && told).then_some(online)
    });
    assert!(online > 100, "only {online} of 301 devices are online");
    let (code, said) = health(&running);
    assert!(code == 503 && said.to_string().contains("open files"), "{said}");
    write(&running, "a-steady", 9);
    judge_steady(&running, "a-steady").assert_good();
    running.stop();
}

/// F27: a consumer that is stopped and does not read holds up nobody and costs little memory; when it goes on it gets everything.
#[test]
fn a_consumer_that_stands_still_holds_up_nobody() {
    let steady = machine();
    let folder = Folder::new();
    folder.write("steady.toml", &device("steady", &steady.connection(), "20ms"));
    let mut running = Running::start(&folder.path());
    let url = running.url();
    running.wait_status("topic", |status| {
        (find(status, "topics", "steady")["records"].as_u64()? > 0).then_some(())
    });
    let create = command(&["topic", "create", "bulk", "--url", &url]).status().unwrap();
    assert!(create.success());
    let tail = ["topic", "tail", "bulk", "--from-beginning", "--json", "--url", &url];
    let consumer = Process::start(&mut command(&tail));
    let filler = "x".repeat(1_000);
    let mut produced = 0;
    let mut produce = |running: &Running, count: u64| {
        let lines = (produced..produced + count).fold(String::new(), |mut lines, n| {
            let _ = writeln!(lines, "{{\"value\":{{\"n\":{n},\"filler\":\"{filler}\"}}}}");
            lines
        });
        produced += count;
        assert!(running.produce("bulk", &lines).is_some(), "records were not taken");
    };
    produce(&running, 100);
    eventually("the first records at the consumer", PATIENCE, || {
        (consumer.output().lines().count() > 50).then_some(())
    });
    let before = Usage::of(running.process().id()).unwrap();
    consumer.signal("STOP");
    // Far more than what pipes and sockets hold.
    (0..10).for_each(|_| produce(&running, 2_000));
    let after = Usage::of(running.process().id()).unwrap();
    let (code, said) = health(&running);
    assert_eq!(code, 200, "{said}");
    let verdict = judge_steady(&running, "steady").and(after.judge(before, before.resident_kib + (64 << 10)));
    consumer.signal("CONT");
    let wanted = 20_100;
    eventually("the rest at the consumer", PATIENCE, || {
        (consumer.output().lines().count() >= wanted).then_some(())
    });
    let got: Vec<u64> = consumer
        .output()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["value"]["n"].as_u64().unwrap())
        .collect();
    assert_eq!(got, (0..20_100).collect::<Vec<u64>>());
    verdict.assert_good();
    running.stop();
}

/// F37: hundreds of clients that say nothing, or half a request, keep nobody out.
#[test]
fn silent_clients_keep_nobody_out() {
    let steady = machine();
    let folder = Folder::new();
    folder.write("steady.toml", &device("steady", &steady.connection(), "20ms"));
    let mut running = Running::start(&folder.path());
    let before = Usage::of(running.process().id()).unwrap();
    let mut silent = Vec::new();
    for n in 0..600 {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, running.port())).unwrap();
        if n % 2 == 0 {
            // Whoever was evicted meanwhile may be gone.
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: 127");
        }
        silent.push(stream);
    }
    let (code, page) = eventually("the status page", PATIENCE, || http_get(running.port(), "/"));
    assert!(code == 200 && page.contains("<html"), "{code}: {page}");
    write(&running, "steady", 5);
    let held = Usage::of(running.process().id()).unwrap();
    assert!(held.files < before.files + 300, "{held:?}, {before:?} before");
    drop(silent);
    eventually("the handles back", PATIENCE, || {
        let now = Usage::of(running.process().id()).ok()?;
        now.judge(before, before.resident_kib + (64 << 10)).is_good().then_some(())
    });
    judge_steady(&running, "steady").assert_good();
    running.stop();
}

/// F20, F34: a process that was frozen for seconds (a machine that slept) is not taken for one that hangs; it goes on and tells the gap.
#[test]
fn a_process_that_was_frozen_goes_on_and_tells_the_gap() {
    let steady = machine();
    let folder = Folder::new();
    folder.write("steady.toml", &device("steady", &steady.connection(), "20ms"));
    let mut running = Running::start(&folder.path());
    running.wait_status("scans", |status| {
        (find(status, "devices", "steady")["scans_total"].as_u64()? > 20).then_some(())
    });
    running.process().signal("STOP");
    let began = std::time::Instant::now();
    eventually("the end of the freeze", PATIENCE, || {
        (began.elapsed() > Duration::from_secs(3)).then_some(())
    });
    running.process().signal("CONT");
    let before =
        running.wait_status("scans", |status| find(status, "devices", "steady")["scans_total"].as_u64());
    running.wait_status("scans after the freeze", |status| {
        (find(status, "devices", "steady")["scans_total"].as_u64()? > before + 20).then_some(())
    });
    let records = running.records("steady");
    let missed =
        records.iter().filter_map(|record| record["headers"]["missed"].as_str()?.parse::<u64>().ok()).max();
    assert!(missed > Some(100), "{missed:?} scans of 150 or so");
    judge_steady(&running, "steady").assert_good();
    assert_eq!(steady.counters.connections.get(), 1, "the connection outlives a freeze");
    running.stop();
}
