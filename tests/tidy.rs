//! The house rules, run as an ordinary test: who may depend on whom, what pure files may not mention, how long a file
//! may be, and that documents and lists agree with the code.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The layers of DESIGN, lowest first. A room may depend on rooms of lower layers only, and on those of its own
/// layer where `SAME_LAYER` says so.
const LAYERS: &[(&str, u32)] = &[
    ("millstream-model", 0),
    ("millstream-bus", 1),
    ("millstream-log", 2),
    ("millstream-format", 2),
    ("millstream-driver", 2),
    ("millstream-connect", 3),
    ("millstream-registry", 3),
    ("millstream-sql", 3),
    ("millstream-broker", 4),
    ("millstream-kafka", 4),
    ("millstream-modbus", 4),
    ("millstream-plant", 5),
    ("millstream-server", 6),
    ("millstream", 7),
    ("millstream-bench", 8),
];

/// Parts that only the binary may name.
const PARTS: &[&str] = &["millstream-broker", "millstream-kafka", "millstream-modbus"];

/// Files that hold a state machine, a grammar or a codec: no I/O, no clock, no async. A name matches a file or a folder.
const PURE: &[&str] = &[
    "address",
    "codec",
    "plan",
    "session",
    "simulator",
    "guard",
    "operator",
    "expression",
    "parse",
    "function",
    "batch",
    "index",
];

/// What a pure file may not mention.
const IMPURE: &[&str] =
    &["std::net", "std::fs", "tokio::net", "tokio::fs", "tokio::spawn", "::now()", "async fn", ".await"];

/// The files of the driver room that share a name with a pure file but hold traits for async code.
const NOT_PURE: &[&str] = &["crates/driver/src/session.rs"];

/// The longest file and function, in lines without tests.
const FILE_LINES: usize = 500;

/// Files that are longer. This list may only shrink.
const LONG_FILES: &[&str] = &[];

/// Words that name nothing.
const BANNED_NAMES: &[&str] = &["Manager", "Helper", "Util", "Handler", "Common"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests live in the workspace").to_owned()
}

fn tracked(extension: &str) -> Vec<(String, String)> {
    let listed =
        Command::new("git").args(["ls-files"]).current_dir(root()).output().expect("git lists the files");
    assert!(listed.status.success(), "git ls-files failed");
    String::from_utf8(listed.stdout)
        .expect("paths are UTF-8")
        .lines()
        .filter(|path| path.ends_with(extension) && root().join(path).exists())
        .map(|path| (path.to_owned(), std::fs::read_to_string(root().join(path)).expect(path)))
        .collect()
}

/// Production code of a source file: what stands before its inline test module.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text)
}

fn is_test_file(path: &str) -> bool {
    path.contains("/tests/")
        || path.starts_with("tests/")
        || path.ends_with("/tests.rs")
        || path.contains("/examples/")
}

#[track_caller]
fn none(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

#[test]
fn dependencies_point_down() {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    let metadata: Value = serde_json::from_slice(&metadata.stdout).expect("cargo metadata is JSON");
    let layers: BTreeMap<&str, u32> = LAYERS.iter().copied().collect();
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("a name");
        if name == "millstream-tests" {
            continue;
        }
        let Some(layer) = layers.get(name) else {
            wrong.push(format!("`{name}` stands in no layer; add it to LAYERS and to ARCHITECTURE.md"));
            continue;
        };
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let other = dependency["name"].as_str().expect("a name");
            let Some(below) = layers.get(other) else { continue };
            let is_test = dependency["kind"] == "dev";
            if below >= layer && !is_test {
                wrong.push(format!("`{name}` (layer {layer}) depends on `{other}` (layer {below})"));
            }
            if PARTS.contains(&other) && !["millstream", "millstream-bench"].contains(&name) && !is_test {
                wrong.push(format!("`{name}` names the part `{other}`; only the binary does"));
            }
        }
    }
    none("Dependencies point down the layers only, and only the binary names a part", &wrong);
}

#[test]
fn every_source_file_opens_with_its_purpose() {
    let wrong: Vec<String> = tracked(".rs")
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(path, _)| path)
        .collect();
    none("Every .rs file starts with `//!`: what it holds", &wrong);
}

#[test]
fn every_crate_has_a_door() {
    let wrong: Vec<String> = tracked("src/lib.rs")
        .into_iter()
        .filter(|(path, text)| {
            !path.starts_with("tests/")
                && !["What it is", "not", "Three types", "enter"].iter().all(|part| text.contains(part))
        })
        .map(|(path, _)| path)
        .collect();
    none(
        "lib.rs says what the crate is, what it is not, the three types to know, where data enters and leaves",
        &wrong,
    );
}

#[test]
fn pure_files_do_no_io_and_read_no_clock() {
    let mut wrong = Vec::new();
    for (path, text) in tracked(".rs") {
        let stems: Vec<&str> = path.split(['/', '.']).collect();
        if is_test_file(&path) || NOT_PURE.contains(&&*path) || !PURE.iter().any(|pure| stems.contains(pure))
        {
            continue;
        }
        for (number, line) in without_tests(&text).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if let Some(word) = IMPURE.iter().find(|word| code.contains(**word)) {
                wrong.push(format!("{path}:{}: `{word}`", number + 1));
            }
        }
    }
    none(
        "Codecs, addresses, plans, state machines, the guard, and all of SQL but its engine are pure",
        &wrong,
    );
}

#[test]
fn files_hold_one_concept() {
    let mut wrong = Vec::new();
    let mut stale: BTreeSet<&str> = LONG_FILES.iter().copied().collect();
    for (path, text) in tracked(".rs") {
        let lines = without_tests(&text).lines().count();
        if lines > FILE_LINES && !is_test_file(&path) && !stale.remove(&*path) {
            wrong.push(format!("{path}: {lines} lines"));
        }
    }
    none("A file holds one concept: 500 lines without tests", &wrong);
    none(
        "These files are short enough now; take them off LONG_FILES",
        &stale.into_iter().map(str::to_owned).collect::<Vec<_>>(),
    );
}

#[test]
fn names_say_something() {
    let mut wrong = Vec::new();
    for (path, text) in tracked(".rs").into_iter().filter(|(path, _)| path != "tests/tidy.rs") {
        for (number, line) in text.lines().enumerate() {
            let Some(name) = ["struct ", "enum ", "trait "].iter().find_map(|kind| {
                let (before, after) = line.split_once(kind)?;
                (before.trim().is_empty() || before.trim_end().ends_with("pub") || before.contains("pub("))
                    .then(|| after.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default())
            }) else {
                continue;
            };
            if BANNED_NAMES.iter().any(|banned| name.ends_with(banned)) {
                wrong.push(format!("{path}:{}: {name}", number + 1));
            }
        }
    }
    none("Manager, Helper, Util, Handler and Common name nothing", &wrong);
}

#[test]
fn nothing_is_left_undone() {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("to", "do!("),
        concat!("unimplemented", "!("),
        concat!("#[ig", "nore"),
    ];
    let mut wrong = Vec::new();
    for (path, text) in tracked(".rs") {
        for (number, line) in text.lines().enumerate() {
            if let Some(mark) = marks.iter().find(|mark| line.contains(**mark)) {
                wrong.push(format!("{path}:{}: {mark}", number + 1));
            }
        }
    }
    none("Finish it, or say in the documents that it is missing", &wrong);
}

#[test]
fn the_parts_list_names_every_driver() {
    let parts = std::fs::read_to_string(root().join("crates/millstream/src/parts.rs")).expect("parts.rs");
    let missing: Vec<String> = std::fs::read_dir(root().join("drivers"))
        .expect("drivers/")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|driver| !parts.contains(&format!("millstream_{driver}")))
        .collect();
    none("crates/millstream/src/parts.rs lists every driver room", &missing);
}

#[test]
fn every_must_names_its_test() {
    let components = std::fs::read_to_string(root().join("docs/COMPONENTS.md")).expect("docs/COMPONENTS.md");
    let sources = tracked(".rs").into_iter().fold(String::new(), |mut all, (_, text)| {
        let _ = writeln!(all, "{text}");
        all
    });
    let mut wrong = Vec::new();
    for line in components.lines().filter(|line| line.contains("MUST")) {
        let named: Vec<&str> = line.split('`').skip(1).step_by(2).filter(|word| word.contains('_')).collect();
        match named.last() {
            Some(test) if sources.contains(&format!("fn {test}")) => {}
            Some(test) => wrong.push(format!("`{test}` does not exist: {line}")),
            None => wrong.push(format!("names no test: {line}")),
        }
    }
    none("Every MUST of docs/COMPONENTS.md ends with the name of the test that holds it", &wrong);
}

/// The faults that docs/FAULTS.md has to answer, by the first cell of their rows.
const FAULTS: &str = "F1 F2 F3 F4 F5 F6 F7 F8 F12 F13 F14 F15 F16 F17 F18 F19 F20 F21 F22 F23 F24 F25 F26 F27 F32 F33 F34 F35 F36 F37 \
     P1 P2 P3 P4 P5 P6 P7 P8 P9 P10 P11 P12 P13 P14 P15";

#[test]
fn every_fault_names_its_test() {
    let faults = std::fs::read_to_string(root().join("docs/FAULTS.md")).expect("docs/FAULTS.md");
    let sources: BTreeMap<String, String> = tracked(".rs").into_iter().collect();
    let is_test = |file: &str, name: &str| {
        let lines: Vec<&str> =
            sources.get(file).map_or(Vec::new(), |text| text.lines().map(str::trim).collect());
        let at = lines.iter().position(|line| line.contains(&format!("fn {name}(")));
        // The attribute stands somewhat above; the tests of `proptest!` and of contracts have it, too.
        at.is_some_and(|at| {
            lines[at.saturating_sub(4)..at].iter().any(|line| line.starts_with("#[") && line.contains("test"))
        })
    };
    let (mut wrong, mut answered) = (Vec::new(), BTreeSet::new());
    for row in faults.lines().filter(|line| line.starts_with("| F") || line.starts_with("| P")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let fault = cells[0].trim_start_matches("| ");
        let mut named = Vec::new();
        for word in cells[cells.len() - 1].split('`').skip(1).step_by(2) {
            if !word.contains('/') {
                named.push(word);
                continue;
            }
            if named.is_empty() {
                wrong.push(format!("{fault}: no test in front of `{word}`"));
            }
            for name in named.drain(..) {
                if is_test(word, name) {
                    answered.insert(fault);
                } else {
                    wrong.push(format!("{fault}: no test `{name}` in `{word}`"));
                }
            }
        }
        wrong.extend(named.into_iter().map(|name| format!("{fault}: `{name}` stands in no file")));
    }
    wrong.extend(
        FAULTS.split(' ').filter(|fault| !answered.contains(fault)).map(|fault| format!("{fault}: no test")),
    );
    none("Every fault of docs/FAULTS.md names tests that exist, with their files", &wrong);
}
