//! A machine that refuses writes: its tag is latched off, everybody is told, and a person lets it take writes again.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use support::{Running, done, get, wait_for};

/// A Modbus machine that can be told to refuse every write.
#[derive(Default)]
struct Machine {
    refuses: AtomicBool,
    /// Holding registers by address, counted from 0; one that was never written holds 0.
    registers: Mutex<BTreeMap<u16, u16>>,
}

impl Machine {
    fn start() -> (Arc<Self>, SocketAddr) {
        let machine = Arc::new(Self::default());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let serving = machine.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let machine = serving.clone();
                // Ends with the connection.
                thread::spawn(move || while machine.answer(&stream).is_some() {});
            }
        });
        (machine, at)
    }

    /// One request and its answer.
    fn answer(&self, mut stream: &TcpStream) -> Option<()> {
        let mut head = [0; 7];
        stream.read_exact(&mut head).ok()?;
        let mut request = vec![0; usize::from(u16::from_be_bytes([head[4], head[5]])) - 1];
        stream.read_exact(&mut request).ok()?;
        let answer = self.reply(&request);
        head[4..6].copy_from_slice(&u16::try_from(answer.len() + 1).unwrap().to_be_bytes());
        stream.write_all(&[&head[..], &answer].concat()).ok()
    }

    fn reply(&self, request: &[u8]) -> Vec<u8> {
        let word = |at: usize| u16::from_be_bytes([request[at], request[at + 1]]);
        let mut registers = self.registers.lock().unwrap();
        match request[0] {
            // Read holding registers.
            3 => {
                let values = (word(1)..word(1) + word(3)).map(|at| registers.get(&at).copied().unwrap_or(0));
                let bytes: Vec<u8> = values.flat_map(u16::to_be_bytes).collect();
                [&[3, u8::try_from(bytes.len()).unwrap()], &bytes[..]].concat()
            }
            // A failure of the device.
            function if self.refuses.load(Ordering::Relaxed) => vec![function | 0x80, 4],
            // Write one register.
            6 => {
                registers.insert(word(1), word(3));
                request.to_vec()
            }
            // Write registers.
            16 => {
                registers.extend((0..word(3)).map(|n| (word(1) + n, word(6 + 2 * usize::from(n)))));
                request[..5].to_vec()
            }
            function => vec![function | 0x80, 1],
        }
    }

    /// The newest setpoint in the machine.
    fn setpoint(&self) -> Option<u16> {
        self.registers.lock().unwrap().get(&9).copied()
    }
}

struct Plant {
    _folder: tempfile::TempDir,
    _running: Running,
    at: SocketAddr,
    url: String,
}

impl Plant {
    fn run(machine: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "[http]\nlisten = \"127.0.0.1:0\"\n\
             [devices.press]\nconnection = \"modbus-tcp://{machine}?unit-identifier=1\"\n\
             [devices.press.groups.fast]\ninterval = \"50ms\"\ntags.count = \"holding-register:1:UINT\"\n\
             [devices.press.writes]\ntopic = \"press.setpoints\"\n\
             tags.setpoint = {{ address = \"holding-register:10:UINT\", min = 20, max = 90, verify = true }}\n"
        );
        fs::write(folder.path().join("millstream.toml"), text).unwrap();
        let mut running = Running::start(&["run", folder.path().to_str().unwrap()]);
        running.line("running; Ctrl-C ends it");
        let at = running.address("status page");
        wait_for(at, "/api/status", |status| status["devices"][0]["condition"] == "good");
        wait_for(at, "/api/topics/press.setpoints", |topic| topic["name"] == "press.setpoints");
        Self { _folder: folder, _running: running, at, url: format!("http://{at}") }
    }

    /// Asks for a write and waits until `counter` says how it ended.
    fn ask(&self, setpoint: u16, counter: &str) {
        let before = wait_for(self.at, "/api/status", |_| true)["devices"][0][counter].as_u64();
        let command = format!("{{\"setpoint\":{setpoint}}}");
        let asked =
            done(&["topic", "produce", "press.setpoints", &command, "-k", "press", "--url", &self.url]);
        assert_eq!(asked.code, Some(0), "{}", asked.stderr);
        wait_for(self.at, "/api/status", |status| status["devices"][0][counter].as_u64() > before);
    }

    /// `millstream rearm`: exit code and everything that was said.
    fn rearm(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let done = done(&[&["rearm", "--url", &self.url], arguments].concat());
        (done.code, done.stdout + &done.stderr)
    }

    fn latched_tags(&self) -> String {
        let (_, page) = get(self.at, "/metrics");
        let line = page.lines().find(|line| line.starts_with("millstream_device_latched_tags{"));
        line.unwrap_or_default().to_owned()
    }
}

#[test]
fn f36_a_latched_tag_is_told_to_everybody_and_rearmed_from_the_command_line() {
    let (machine, at) = Machine::start();
    let plant = Plant::run(at);
    plant.ask(50, "writes_total");
    assert_eq!(machine.setpoint(), Some(50));
    let not_latched = plant.rearm(&["press", "setpoint"]);
    assert_eq!(not_latched.0, Some(2));
    assert!(not_latched.1.contains("error: `setpoint` of `press` is not latched off"), "{}", not_latched.1);
    assert_eq!((get(plant.at, "/health").0, &*plant.latched_tags()), (200, GAUGE_0));

    machine.refuses.store(true, Ordering::Relaxed);
    for setpoint in 51..54 {
        plant.ask(setpoint, "writes_refused_total");
    }
    let (code, health) = get(plant.at, "/health");
    assert_eq!((code, &*plant.latched_tags()), (503, GAUGE_1), "{health}");
    let health: serde_json::Value = serde_json::from_str(&health).unwrap();
    let problem = &health["problems"][0];
    assert_eq!((&problem["condition"], &problem["who"]), (&"bad".into(), &WHO.into()), "{health}");
    let help = problem["help"].as_str().unwrap();
    assert!(help.contains("`millstream rearm press setpoint`"), "{health}");

    // The machine is well again, and still nothing goes out before somebody says so.
    machine.refuses.store(false, Ordering::Relaxed);
    plant.ask(54, "writes_refused_total");
    assert_eq!(machine.setpoint(), Some(50));
    let (code, said) = plant.rearm(&["pres", "setpoint"]);
    assert_eq!((code, &*said), (Some(2), UNKNOWN_DEVICE));
    let (code, said) = plant.rearm(&["press", "setpoin"]);
    assert_eq!((code, &*said), (Some(2), UNKNOWN_TAG));
    assert_eq!(get(plant.at, "/health").0, 503);

    let (code, said) = plant.rearm(&["press", "setpoint", "--json"]);
    assert_eq!((code, &*said), (Some(0), "{\"device\":\"press\",\"rearmed\":\"setpoint\"}\n"));
    assert_eq!((get(plant.at, "/health").0, &*plant.latched_tags()), (200, GAUGE_0));
    plant.ask(55, "writes_total");
    assert_eq!(machine.setpoint(), Some(55));

    // Who did it, and when, between the failed writes and the one that went out.
    let tail = ["topic", "tail", "millstream.audit", "--from-beginning", "--no-follow", "--json"];
    let trail = done(&[&tail[..], &["--url", &plant.url]].concat());
    let trail: Vec<serde_json::Value> =
        trail.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let rearmed: Vec<_> = trail.iter().filter(|record| record["value"]["phase"] == "rearm").collect();
    assert_eq!(rearmed.len(), 1, "{trail:?}");
    let value = &rearmed[0]["value"];
    assert_eq!((&value["device"], &value["tag"]), (&"press".into(), &"setpoint".into()));
    assert_eq!(value["asked_by"]["user"], "command line");
    assert!(value["at_ms"].as_i64() > Some(1_700_000_000_000), "{value}");
    let intent = |setpoint: u16| {
        let of = |value: &serde_json::Value| value["phase"] == "intent" && value["value"] == setpoint;
        trail.iter().find(|record| of(&record["value"])).unwrap()["offset"].as_i64()
    };
    assert!(intent(53) < rearmed[0]["offset"].as_i64() && rearmed[0]["offset"].as_i64() < intent(55));
}

const WHO: &str = "tag setpoint of device press";
const GAUGE_0: &str = "millstream_device_latched_tags{device=\"press\"} 0";
const GAUGE_1: &str = "millstream_device_latched_tags{device=\"press\"} 1";
const UNKNOWN_DEVICE: &str = "error: there is no device `pres`\n  help: did you mean `press`?\n";
const UNKNOWN_TAG: &str =
    "error: `press` has no tag `setpoin` that may be written\n  help: did you mean `setpoint`?\n";
