//! SQL as people and programs ask it: the console at a terminal, and ksqlDB's REST API over HTTP/2, HTTP/1.1 and WebSockets, by
//! clients that are not ours, against a plant that runs.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use millstream_tests::peer::{millstream, python, root};
use millstream_tests::running::{Folder, Running};
use std::process::Command;

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    text
}

fn script(name: &str) -> Command {
    let mut command = Command::new(python());
    command.arg(root().join("tests/python").join(name));
    command
}

#[test]
fn a_person_at_a_terminal_types_statements() {
    let folder = Folder::new();
    let mut plant = Running::start(&folder.path());
    let url = format!("http://127.0.0.1:{}", plant.port());
    let beside = tempfile::tempdir().unwrap();
    let text = said(script("console.py").arg(millstream()).arg(&url).arg(beside.path()));
    assert!(text.ends_with("done\n"), "{text}");
    plant.stop();
}

#[test]
fn clients_of_ksqldb_find_its_api() {
    let folder = Folder::new();
    let mut plant = Running::start(&folder.path());
    let url = format!("http://127.0.0.1:{}", plant.port());
    let text = said(script("rest.py").arg(&url));
    assert!(text.ends_with("done\n"), "{text}");
    plant.stop();
}
