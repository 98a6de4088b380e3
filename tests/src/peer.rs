//! Processes, ports and small clients that an end-to-end test owns.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// The workspace's root folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests live in the workspace").to_owned()
}

/// The binary under test: `MILLSTREAM_BINARY`, or built once per test run with the profile of the tests.
pub fn millstream() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(binary) = std::env::var_os("MILLSTREAM_BINARY") {
            return binary.into();
        }
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--locked", "-p", "millstream"])
            .current_dir(root())
            .status()
            .expect("cargo runs");
        assert!(status.success(), "the binary does not build");
        // …/target/debug/deps/this_test → …/target/debug/millstream
        let test = std::env::current_exe().expect("this test has a path");
        let folder = test.ancestors().nth(2).expect("tests lie in target/<profile>/deps");
        folder.join("millstream")
    })
}

/// The Python that has the test peers installed.
pub fn python() -> PathBuf {
    let python = std::env::var_os("MILLSTREAM_PYTHON")
        .map_or_else(|| root().join(".cache/venv/bin/python"), PathBuf::from);
    assert!(python.exists(), "{} is missing; run `make peers`", python.display());
    python
}

/// The bootstrap address of the Apache Kafka that tests share; started where it does not run yet.
pub fn kafka() -> String {
    let started = Command::new(root().join("tests/kafka.sh"))
        .arg("start")
        .stdin(Stdio::null())
        .output()
        .expect("tests/kafka.sh runs");
    assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    String::from_utf8_lossy(&started.stdout).trim().to_owned()
}

/// An Apache Kafka of one test alone, so that it can be stopped and killed. Ended when it is dropped.
#[derive(Debug)]
pub struct Kafka {
    run: tempfile::TempDir,
    port: u16,
}

impl Kafka {
    /// A new and empty one that answers.
    pub fn start() -> Self {
        let run = tempfile::tempdir().expect("a temporary folder");
        let kafka = Self { run, port: free_ports() };
        kafka.start_again();
        kafka
    }

    /// Its bootstrap address.
    pub fn servers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts it on its data after [`Kafka::kill9`].
    pub fn start_again(&self) {
        let started = self.script("start");
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    }

    /// `kill -9`; its data stays.
    pub fn kill9(&self) {
        assert!(self.script("kill9").status.success());
    }

    /// Sends a signal by name, such as `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        let pid = String::from_utf8_lossy(&self.script("pid").stdout).trim().to_owned();
        let sent = Command::new("kill").args([format!("-{name}"), pid]).status();
        assert!(sent.expect("kill runs").success(), "no Kafka to send {name} to");
    }

    fn script(&self, verb: &str) -> Output {
        Command::new(root().join("tests/kafka.sh"))
            .arg(verb)
            .env("KAFKA_PORT", self.port.to_string())
            .env("KAFKA_RUN", self.run.path())
            .env("KAFKA_HEAP", "256M")
            .stdin(Stdio::null())
            .output()
            .expect("tests/kafka.sh runs")
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        self.script("kill9");
    }
}

/// A free port whose next two are free, too: Kafka's listener, its controller's and the one with SASL.
pub fn free_ports() -> u16 {
    free_port_of(3)
}

/// A loopback port that was free a moment ago, below the range that the system gives to clients.
pub fn free_port() -> u16 {
    free_port_of(1)
}

/// The first of `count` ports in a row. No port is given twice, so that who comes again after a kill finds its own.
fn free_port_of(count: u16) -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let spread = u16::try_from(std::process::id() % 10_000).expect("below 10,000");
    loop {
        let port = 20_000 + (spread + NEXT.fetch_add(count, Ordering::Relaxed)) % 10_000;
        if (0..count).all(|above| TcpListener::bind((Ipv4Addr::LOCALHOST, port + above)).is_ok()) {
            return port;
        }
    }
}

/// A child process whose output is kept, and that is killed by its id when it is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    output: Arc<Mutex<String>>,
    readers: Vec<std::thread::JoinHandle<()>>,
}

impl Process {
    /// Starts `command`; what it prints on both streams is kept.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let output = Arc::new(Mutex::new(String::new()));
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().expect("piped")), Box::new(child.stderr.take().expect("piped"))];
        let readers = streams.map(|stream| {
            let output = Arc::clone(&output);
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let mut output = output.lock().expect("no test panics while it holds the output");
                    output.push_str(&line);
                    output.push('\n');
                }
            })
        });
        Self { child, output, readers: readers.into() }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything printed so far.
    pub fn output(&self) -> String {
        self.output.lock().expect("no test panics while it holds the output").clone()
    }

    /// Everything printed, of a process that has ended.
    pub fn ended_output(mut self) -> String {
        let _ = self.child.wait();
        self.readers.drain(..).for_each(|reader| reader.join().expect("a reader of output does not panic"));
        self.output()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("the child can be asked").is_some()
    }

    /// Waits until the output contains `text`.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str, within: Duration) {
        crate::oracle::eventually(&format!("`{text}` in the output"), within, || {
            if let Some(status) = self.child.try_wait().expect("the child can be asked") {
                assert!(self.output().contains(text), "ended with {status}:\n{}", self.output());
            }
            self.output().contains(text).then_some(())
        });
    }

    /// Sends a signal by name, such as `KILL`, `STOP`, `INT`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.id().to_string()]).status();
        assert!(sent.expect("kill runs").success(), "no process {} to send {name} to", self.id());
    }

    /// `kill -9`, and waits for the end.
    pub fn kill9(mut self) -> String {
        self.child.kill().expect("the child is ours");
        self.child.wait().expect("the child is ours");
        self.output()
    }

    /// Waits for the end by itself; the exit code.
    #[track_caller]
    pub fn wait(&mut self, within: Duration) -> i32 {
        let ended = crate::oracle::eventually("the end of the process", within, || {
            self.child.try_wait().expect("the child is ours")
        });
        ended.code().unwrap_or(-1)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One HTTP/1.1 GET on loopback: status and body. `None` where nobody answers.
pub fn http_get(port: u16, path: &str) -> Option<(u16, String)> {
    http(port, "GET", path, "")
}

/// One HTTP/1.1 request with a body of JSON on loopback: status and body. `None` where nobody answers.
pub fn http(port: u16, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}
