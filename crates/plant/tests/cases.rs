//! Every folder of `tests/cases` is a plant; what is wrong with it must read as in its `expected.txt`. With
//! `MILLSTREAM_UPDATE=1` the files are written anew, to be looked at in the difference.
#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

mod support;

use millstream_model::Severity;
use millstream_plant::read;
use std::fs;
use std::path::{Path, PathBuf};

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases: Vec<PathBuf> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

#[test]
fn every_case_reads_as_expected() {
    let update = std::env::var_os("MILLSTREAM_UPDATE").is_some();
    let mut wrong = Vec::new();
    let cases = cases();
    assert!(cases.len() >= 100, "there are only {} cases", cases.len());
    for case in &cases {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let (found, has_errors) = match read(case, &support::registry()) {
            Ok((plant, warnings)) => (support::lines(&warnings, &plant.sources, case), false),
            Err(mistakes) => (support::lines(&mistakes.diagnostics, &mistakes.sources, case), true),
        };
        if found.is_empty() || has_errors == name.starts_with("warn_") {
            wrong.push(format!("{name} is none of its kind\n--- found\n{found}"));
        }
        let path = case.join("expected.txt");
        if update {
            fs::write(&path, &found).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if expected != found {
            wrong.push(format!("{name}\n--- expected\n{expected}--- found\n{found}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases differ:\n\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// A message without a place, a label or a remedy leaves its reader alone.
#[test]
fn every_mistake_has_a_place_and_a_remedy() {
    for case in cases() {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let diagnostics = match read(&case, &support::registry()) {
            Ok((_, warnings)) => warnings,
            Err(mistakes) => {
                assert!(mistakes.diagnostics.iter().any(|d| d.severity == Severity::Error), "{name}");
                mistakes.diagnostics
            }
        };
        for diagnostic in diagnostics {
            let file = diagnostic.span.as_ref().and_then(|span| span.file.clone());
            assert!(file.is_some(), "{name}: {diagnostic:?} has no place");
            // Statements and TOML itself answer for their own words.
            if !diagnostic.code.starts_with("sql") && diagnostic.code != "toml" {
                assert!(diagnostic.help.is_some(), "{name}: {diagnostic:?} has no remedy");
            }
            assert!(!diagnostic.message.ends_with('.'), "{name}: {diagnostic:?}");
        }
    }
}
