//! Python peers: found, started, talked to line by line, and ended with the test.
#![allow(dead_code, reason = "every test file uses its part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_mins(1);

/// The interpreter with the peers' packages: `MILLSTREAM_PYTHON`, or the one that `make peers` sets up.
pub(crate) fn python() -> PathBuf {
    let made = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/venv/bin/python");
    let python = std::env::var_os("MILLSTREAM_PYTHON").map_or_else(made, PathBuf::from);
    assert!(python.exists(), "there is no {}: run `make peers` first", python.display());
    python
}

pub(crate) struct Peer {
    child: Child,
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    pub(crate) fn start(script: &str, arguments: &[String]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(script);
        let mut child = Command::new(python())
            .arg(script)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, input, lines }
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.input.as_mut().unwrap().write_all(text.as_bytes()).await.unwrap();
    }

    /// The next line, as JSON.
    pub(crate) async fn json(&mut self) -> serde_json::Value {
        let line = self.line().await;
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    pub(crate) async fn line(&mut self) -> String {
        let line = timeout(PATIENCE, self.lines.next_line()).await.expect("the peer says nothing");
        line.unwrap().expect("the peer has ended")
    }

    /// Tells it that nothing more comes.
    pub(crate) fn close_input(&mut self) {
        self.input = None;
    }

    /// Closes its input and waits for its end.
    pub(crate) async fn finish(mut self) {
        drop(self.input.take());
        let status = timeout(PATIENCE, self.child.wait()).await.expect("the peer does not end").unwrap();
        assert!(status.success(), "the peer ended with {status}");
    }
}
