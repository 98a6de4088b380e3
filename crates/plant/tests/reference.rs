//! The reference page shows every key that the reader knows, and explains every code that it reports. With
//! `MILLSTREAM_UPDATE=1` the tables of keys are written anew.

use millstream_driver::simulate::SIGNAL_OPTIONS;
use millstream_plant::{KeySpec, TABLES};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/plant-folder.md")
}

fn row(key: &KeySpec) -> String {
    let cell = |text: &str| text.replace('|', "\\|");
    let default = match key.default {
        "" => "–".to_owned(),
        text if text.contains(' ') || text.contains('`') => cell(text),
        text => format!("`{text}`"),
    };
    format!(
        "| `{}` | {} | {default} | {} | `{}` |\n",
        key.name,
        cell(key.kind),
        cell(key.doc),
        cell(key.example)
    )
}

/// The generated part that belongs to a marker.
fn table(name: &str) -> String {
    let head = "| key | value | default | meaning | example |\n|---|---|---|---|---|\n".to_owned();
    if name == "signal" {
        return SIGNAL_OPTIONS.iter().fold(head, |page, option| {
            let example = if option.default.is_empty() { "20" } else { option.default };
            let quoted = example.parse::<f64>().is_err();
            let example = if quoted {
                format!("{} = \"{example}\"", option.name)
            } else {
                format!("{} = {example}", option.name)
            };
            let kind = option.kind.expected();
            page + &format!(
                "| `{}` | {} | {} | {} | `{example}` |\n",
                option.name,
                kind.replace('|', "\\|"),
                if option.default.is_empty() { "–".to_owned() } else { format!("`{}`", option.default) },
                option.doc
            )
        });
    }
    let path = if name == "top" { "" } else { name };
    let spec =
        TABLES.iter().find(|table| table.path == path).unwrap_or_else(|| panic!("there is no table {name}"));
    spec.keys.iter().fold(head, |page, key| page + &row(key))
}

/// The page with every generated part made anew, and the names of the parts.
fn renew(page: &str) -> (String, BTreeSet<String>) {
    let (mut renewed, mut names, mut rest) = (String::new(), BTreeSet::new(), page);
    while let Some((before, after)) = rest.split_once("<!-- keys: ") {
        let (name, after) = after.split_once(" -->\n").expect("a marker ends with -->");
        let (_, after) = after.split_once("<!-- end -->").expect("a marker has an end");
        let _ = write!(renewed, "{before}<!-- keys: {name} -->\n{}<!-- end -->", table(name));
        names.insert(name.to_owned());
        rest = after;
    }
    (renewed + rest, names)
}

#[test]
fn every_key_is_on_the_page() {
    let page_text = fs::read_to_string(page()).expect("docs/plant-folder.md");
    let (renewed, names) = renew(&page_text);
    if renewed != page_text && std::env::var_os("MILLSTREAM_UPDATE").is_some() {
        fs::write(page(), &renewed).expect("the page can be written");
    } else {
        assert_eq!(renewed, page_text, "run this test with MILLSTREAM_UPDATE=1");
    }
    let expected: BTreeSet<String> = TABLES
        .iter()
        .map(|table| if table.path.is_empty() { "top".to_owned() } else { table.path.to_owned() })
        .chain(["signal".to_owned()])
        .collect();
    assert_eq!(names, expected, "each table has its part on the page");
}

/// The drivers' and SQL's own codes have their own pages.
const ELSEWHERE: [&str; 4] = ["address-", "sql-", "not-writable", "mqtt-"];

#[test]
fn every_code_is_explained() {
    let page_text = fs::read_to_string(page()).expect("docs/plant-folder.md");
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut codes = BTreeSet::new();
    for case in fs::read_dir(cases).expect("tests/cases") {
        let expected = case.expect("a case").path().join("expected.txt");
        let text =
            fs::read_to_string(&expected).unwrap_or_else(|error| panic!("{}: {error}", expected.display()));
        for line in text.lines() {
            let code = line
                .split_once("error[")
                .or_else(|| line.split_once("warning["))
                .and_then(|(_, rest)| rest.split_once(']'));
            codes.extend(code.map(|(code, _)| code.to_owned()));
        }
    }
    assert!(codes.len() > 30, "{codes:?}");
    for code in codes.iter().filter(|code| !ELSEWHERE.iter().any(|prefix| code.starts_with(prefix))) {
        assert!(
            page_text.contains(&format!("| `{code}` |")),
            "docs/plant-folder.md does not explain `{code}`"
        );
    }
}
