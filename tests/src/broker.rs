//! A broker that clients attach to: the embedded one, or Apache Kafka, of which the same is expected.

use crate::oracle::eventually;
use crate::peer::{Kafka, Process, free_ports, kafka, root};
use crate::running::{Folder, PATIENCE, Running};
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

/// One broker.
#[derive(Debug)]
pub enum Broker {
    /// The embedded broker, of this test alone.
    Millstream(Embedded),
    /// The Apache Kafka that tests share.
    Shared(String),
    /// An Apache Kafka of this test alone, which can be killed.
    Kafka(Kafka),
}

impl Broker {
    /// The embedded broker, new and empty.
    pub fn millstream() -> Self {
        Self::Millstream(Embedded::start())
    }

    /// The Apache Kafka that tests share.
    pub fn apache() -> Self {
        Self::Shared(kafka())
    }

    /// An Apache Kafka of this test alone.
    pub fn apache_alone() -> Self {
        Self::Kafka(Kafka::start())
    }

    /// The address where clients sign in: alice, password alice-secret.
    pub fn servers_with_sasl(&self) -> String {
        let servers = self.servers();
        let port: u16 = servers.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        format!("127.0.0.1:{}", port + 2)
    }

    /// Its bootstrap address.
    pub fn servers(&self) -> String {
        match self {
            Self::Millstream(embedded) => format!("127.0.0.1:{}", embedded.port),
            Self::Shared(servers) => servers.clone(),
            Self::Kafka(kafka) => kafka.servers(),
        }
    }

    /// `kill -9`; its data stays.
    pub fn kill9(&mut self) {
        match self {
            Self::Millstream(embedded) => embedded.process.take().map_or_else(String::new, Process::kill9),
            Self::Shared(servers) => panic!("other tests use {servers}"),
            Self::Kafka(kafka) => {
                kafka.kill9();
                String::new()
            }
        };
    }

    /// Starts it on its data after [`Broker::kill9`], and waits until it takes connections.
    pub fn start_again(&mut self) {
        match self {
            Self::Millstream(embedded) => embedded.start_again(),
            Self::Shared(_) => {}
            Self::Kafka(kafka) => kafka.start_again(),
        }
    }
}

/// `millstream run` with a `[kafka]` table. Killed when it is dropped.
#[derive(Debug)]
pub struct Embedded {
    folder: Folder,
    port: u16,
    process: Option<Process>,
}

impl Embedded {
    fn start() -> Self {
        let (folder, port) = (Folder::new(), free_ports());
        folder.write("kafka.toml", &plant(port));
        let mut embedded = Self { folder, port, process: None };
        embedded.start_again();
        embedded
    }

    fn start_again(&mut self) {
        let mut process = Running::spawn(&self.folder.path());
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        eventually("the broker's port", PATIENCE, || {
            assert!(!process.has_ended(), "the broker ended:\n{}", process.output());
            TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()
        });
        self.process = Some(process);
    }
}

/// What `tests/kafka.sh` says to Apache Kafka.
fn plant(port: u16) -> String {
    format!(
        "[kafka]\nlisten = [\"127.0.0.1:{port}\", \"SASL_PLAINTEXT://127.0.0.1:{}\"]\n\
         sasl_mechanisms = [\"PLAIN\", \"SCRAM-SHA-256\", \"SCRAM-SHA-512\"]\nsuper_users = [\"User:ANONYMOUS\"]\n\
         auto_create_topics = false\n[kafka.users.alice]\npassword = \"alice-secret\"\n",
        port + 2
    )
}

/// Java with the test programs and a client: that of a version, or with `None` all of Apache Kafka.
pub fn java(client: Option<&str>) -> Command {
    let kafka = root().join(".cache/kafka");
    let classes = kafka.join("classes");
    assert!(classes.join(".complete").exists(), "the Java programs are not compiled; run `make peers`");
    let jars = client.map_or_else(|| kafka.join("libs"), |version| kafka.join("clients").join(version));
    assert!(jars.join(".complete").exists(), "{} is incomplete; run `make peers`", jars.display());
    let mut command = Command::new("java");
    // Short runs on few cores: quick to start matters, not quick at its peak.
    command.args(["-Xmx256M", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"]);
    command.arg(format!("{}:{}/*", classes.display(), jars.display()));
    command
}

/// Runs a program that prints one line of JSON for each of its cases, and fails with those that failed.
#[track_caller]
pub fn judge_cases(command: &mut Command, cases_min: usize, within: Duration) {
    let mut process = Process::start(command);
    let began = Instant::now();
    let code = process.wait(within);
    let output = process.ended_output();
    let cases: Vec<Value> = output.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let failed: Vec<String> = cases
        .iter()
        .filter(|case| !case["error"].is_null())
        .map(|case| format!("{}: {}", case["case"], case["error"].as_str().unwrap_or_default()))
        .collect();
    assert!(failed.is_empty(), "{} of {} cases failed:\n{}", failed.len(), cases.len(), failed.join("\n"));
    assert!(
        code == 0 && cases.len() >= cases_min,
        "{code}, {} cases in {:?}:\n{output}",
        cases.len(),
        began.elapsed()
    );
}
