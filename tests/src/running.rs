//! `millstream run` on a plant folder, and what its topics hold.

use crate::oracle::{Sample, eventually};
use crate::peer::{Process, http_get, millstream};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long anything may take on a busy machine before a test gives up.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// The binary with `arguments`, in an environment that is the same everywhere.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(millstream());
    command.args(arguments).env_remove("RUST_LOG").env_remove("MILLSTREAM_URL").env("COLUMNS", "100");
    command
}

/// A plant folder that a test fills.
#[derive(Debug)]
pub struct Folder {
    root: tempfile::TempDir,
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

impl Folder {
    /// An empty plant with its status page at any free port.
    pub fn new() -> Self {
        let folder = Self { root: tempfile::tempdir().expect("a temporary folder") };
        folder.write("millstream.toml", "[http]\nlisten = \"127.0.0.1:0\"\n");
        folder
    }

    /// An empty plant on Apache Kafka.
    pub fn on_kafka(bootstrap_servers: &str) -> Self {
        let folder = Self::new();
        let text =
            format!("[http]\nlisten = \"127.0.0.1:0\"\n[log]\nbootstrap_servers = \"{bootstrap_servers}\"\n");
        folder.write("millstream.toml", &text);
        folder
    }

    /// Where the plant is.
    pub fn path(&self) -> PathBuf {
        self.root.path().join("plant")
    }

    /// Writes a file of the plant at once, as an editor that renames does: a reload sees all of it or nothing.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        let parent = path.parent().expect("a file of the plant lies in the plant");
        std::fs::create_dir_all(parent).expect("the temporary folder is writable");
        let beside = self.root.path().join("edit");
        std::fs::write(&beside, text).expect("the temporary folder is writable");
        std::fs::rename(&beside, &path).expect("the temporary folder is writable");
    }

    /// Deletes a file of the plant.
    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.path().join(name)).expect("the file is there");
    }
}

/// A plant that runs.
#[derive(Debug)]
pub struct Running {
    process: Process,
    port: u16,
}

impl Running {
    /// Starts `millstream run` and waits until it says that it runs.
    #[track_caller]
    pub fn start(plant: &Path) -> Self {
        let mut process = Self::spawn(plant);
        process.wait_for("running; Ctrl-C ends it", PATIENCE);
        Self::of(process)
    }

    /// `millstream run`, not waited for.
    pub fn spawn(plant: &Path) -> Process {
        Process::start(command(&["run"]).arg(plant))
    }

    /// A process that has said where its status page is.
    #[track_caller]
    pub fn of(process: Process) -> Self {
        let output = process.output();
        let port = output.split("status page").nth(1).and_then(|rest| {
            let line = rest.lines().next()?;
            line.rsplit(':').next()?.trim().parse().ok()
        });
        let port = port.unwrap_or_else(|| panic!("no address of the status page in\n{output}"));
        Self { process, port }
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Where its HTTP is.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// For `--url`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// `kill -9`; everything it had printed.
    pub fn kill9(self) -> String {
        self.process.kill9()
    }

    /// Ctrl-C, and the end of it within five seconds (twenty on a busy machine).
    #[track_caller]
    pub fn stop(mut self) -> String {
        self.process.signal("INT");
        let code = self.process.wait(Duration::from_secs(20));
        assert_eq!(code, 0, "{}", self.process.output());
        self.process.output()
    }

    /// `/api/status`; `None` while nobody answers.
    pub fn status(&self) -> Option<Value> {
        let (_, body) = http_get(self.port, "/api/status")?;
        serde_json::from_str(&body).ok()
    }

    /// Waits until `found` finds something in `/api/status`.
    #[track_caller]
    pub fn wait_status<T>(&self, what: &str, mut found: impl FnMut(&Value) -> Option<T>) -> T {
        let mut last = None;
        let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually(what, PATIENCE, || {
                last = self.status();
                found(last.as_ref()?)
            })
        }));
        answer.unwrap_or_else(|_| {
            panic!("no {what} in time; the last status was {last:#?}\nand it said\n{}", self.process.output())
        })
    }

    /// One number of `/metrics`, by its name and labels as they stand there.
    pub fn metric(&self, series: &str) -> Option<f64> {
        let (_, page) = http_get(self.port, "/metrics")?;
        page.lines().find_map(|line| line.strip_prefix(series))?.trim().parse().ok()
    }

    /// Every record of a topic so far, as `millstream topic tail --json` prints them.
    #[track_caller]
    pub fn records(&self, topic: &str) -> Vec<Value> {
        let url = self.url();
        records(&["topic", "tail", topic, "--from-beginning", "--no-follow", "--json", "--url", &url])
    }

    /// Appends `lines` (records as JSON) to a topic; where each went. `None` when the instance did not answer for all of them.
    pub fn produce(&self, topic: &str, lines: &str) -> Option<Vec<Value>> {
        use std::io::Write as _;
        let mut child = command(&["topic", "produce", topic, "--json", "--url", &self.url()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let mut stdin = child.stdin.take().expect("piped");
        let lines = lines.to_owned();
        // It answers while it reads: writing and reading in turn would block both.
        let writing = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
        let output = child.wait_with_output().expect("the child is ours");
        let written = writing.join().expect("writing does not panic");
        (written.is_ok() && output.status.success()).then(|| json_lines(&output.stdout))
    }
}

/// One item of a list of `/api/status`, by its name.
pub fn find<'a>(status: &'a Value, list: &str, name: &str) -> &'a Value {
    let items = status[list].as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().find(|item| item["name"] == name).unwrap_or(&Value::Null)
}

/// What a `millstream topic tail … --json` prints.
#[track_caller]
pub fn records(arguments: &[&str]) -> Vec<Value> {
    let output = command(arguments).stdin(Stdio::null()).output().expect("the binary starts");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    json_lines(&output.stdout)
}

fn json_lines(text: &[u8]) -> Vec<Value> {
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).expect("a line of JSON")).collect()
}

/// A topic of rows as O2 sees it: the counter `tag` of each record, and everything that says that scans are missing.
///
/// The header `missed` tells of scans that were skipped just before a record; a scan that took so long itself that the next
/// ones had to be skipped is told by the record behind it. `started` tells that nobody scanned before. A `null` is an outage.
pub fn samples(records: &[Value], tag: &str) -> Vec<Sample> {
    let mut samples = Vec::new();
    for (index, record) in records.iter().enumerate() {
        let tells = |record: &Value, header: &str| !record["headers"][header].is_null();
        let overran = records.get(index + 1).is_some_and(|next| tells(next, "missed"));
        if tells(record, "missed") || tells(record, "started") || overran {
            samples.push(Sample::Gap);
        }
        samples.push(record["value"][tag].as_u64().map_or(Sample::Gap, Sample::Value));
    }
    samples
}
