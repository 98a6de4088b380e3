//! The built binary, run and watched.
#![allow(dead_code, reason = "each test file uses its part")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take on a busy machine before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The binary in an environment that is the same everywhere.
pub(crate) fn millstream(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millstream"));
    command
        .args(arguments)
        .env_remove("RUST_LOG")
        .env_remove("MILLSTREAM_URL")
        .env("COLUMNS", "100")
        .stdin(Stdio::null());
    command
}

/// What a command left behind.
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    /// Everything at once, for a snapshot.
    pub(crate) fn shown(&self) -> String {
        let part = |name: &str, text: &str| {
            if text.is_empty() { String::new() } else { format!("--- {name}\n{text}") }
        };
        let code = self.code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        format!("exit code {code}\n{}{}", part("stdout", &self.stdout), part("stderr", &self.stderr))
    }
}

/// Runs a command to its end in `folder`.
pub(crate) fn done_in(folder: &Path, arguments: &[&str]) -> Done {
    finished(millstream(arguments).current_dir(folder).output().unwrap())
}

/// Runs a command to its end.
pub(crate) fn done(arguments: &[&str]) -> Done {
    finished(millstream(arguments).output().unwrap())
}

/// Runs a command to its end with `input`.
pub(crate) fn done_with(arguments: &[&str], input: &str) -> Done {
    let mut child = millstream(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    finished(child.wait_with_output().unwrap())
}

fn finished(output: Output) -> Done {
    Done {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A command that goes on; killed when it is dropped.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    /// Every line so far, of both streams.
    pub(crate) seen: Vec<String>,
}

impl Running {
    /// Starts a command.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = millstream(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let streams: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Self { child, lines, seen: Vec::new() }
    }

    /// The first line, seen or to come, that holds `text`.
    pub(crate) fn line(&mut self, text: &str) -> String {
        if let Some(line) = self.seen.iter().find(|line| line.contains(text)) {
            return line.clone();
        }
        self.next_line(text)
    }

    /// The next line to come that holds `text`.
    pub(crate) fn next_line(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!("no `{text}` in time after\n{}", self.seen.join("\n"))
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("it ended without `{text}` after\n{}", self.seen.join("\n"))
                }
            }
        }
    }

    /// The address at the end of the line that holds `text`.
    pub(crate) fn address(&mut self, text: &str) -> SocketAddr {
        let line = self.line(text);
        let word = line.rsplit([' ', '/']).next().unwrap_or_default();
        word.parse().unwrap_or_else(|_| panic!("no address at the end of `{line}`"))
    }

    /// Sends a signal, for example `INT`.
    pub(crate) fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the end; says how long it took.
    pub(crate) fn end(&mut self) -> (ExitStatus, Duration) {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.seen.extend(self.lines.try_iter());
                return (status, began.elapsed());
            }
            assert!(began.elapsed() < PATIENCE, "it does not end; it said\n{}", self.seen.join("\n"));
            // Lines are taken on, so that it is not held up by a full pipe.
            if let Ok(line) = self.lines.recv_timeout(Duration::from_millis(20)) {
                self.seen.push(line);
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `GET path`: status and body.
pub(crate) fn get(at: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nhost: {at}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Asks until `judge` is content with the JSON at `path`.
pub(crate) fn wait_for(
    at: SocketAddr,
    path: &str,
    mut judge: impl FnMut(&serde_json::Value) -> bool,
) -> serde_json::Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (_, body) = get(at, path);
        let json: serde_json::Value = serde_json::from_str(&body).unwrap();
        if judge(&json) {
            return json;
        }
        assert!(Instant::now() < deadline, "still {body}");
        thread::yield_now();
    }
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}
