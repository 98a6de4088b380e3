//! The difference of two plants: what did not change is not touched.
#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

mod support;

use millstream_plant::{Change, Difference, Plant, diff, read};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const TOML: &str = r#"
[devices.press1]
connection = "modbus-tcp://10.0.0.1"
[devices.press1.groups.fast]
interval = "100ms"
tags.temperature = "holding-register:1:REAL"

[devices.press2]
connection = "modbus-tcp://10.0.0.2"
[devices.press2.groups.fast]
interval = "100ms"
tags.temperature = "holding-register:1:REAL"
"#;

const HOT: &str = "CREATE STREAM hot AS SELECT asset, temperature FROM press1_fast EMIT CHANGES;\n";
const COLD: &str = "CREATE STREAM cold AS SELECT asset, temperature FROM press2_fast EMIT CHANGES;\n";

/// A plant folder that is edited step by step.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::create_dir(folder.0.path().join("queries")).unwrap();
        folder.write("millstream.toml", TOML);
        folder.write("queries/10-hot.sql", HOT);
        folder.write("queries/20-cold.sql", COLD);
        folder
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.0.path().join(file), text).unwrap();
    }

    fn read(&self) -> Plant {
        match read(self.0.path(), &support::registry()) {
            Ok((plant, _)) => plant,
            Err(mistakes) => {
                panic!("{}", support::lines(&mistakes.diagnostics, &mistakes.sources, Path::new("/")))
            }
        }
    }

    /// What differs after `edit`.
    fn after(&self, edit: impl FnOnce(&Self)) -> Difference {
        let old = self.read();
        edit(self);
        diff(&old, &self.read())
    }
}

fn changed(difference: &Difference) -> Vec<(&str, Change)> {
    difference.devices.iter().map(|(name, change)| (&**name, *change)).collect()
}

#[test]
fn comments_spaces_and_files_do_not_count() {
    let difference = Folder::new().after(|folder| {
        let (first, second) = TOML.split_once("[devices.press2]").unwrap();
        folder.write("millstream.toml", &format!("# comments\n\n{first}"));
        folder.write("press2.toml", &format!("[devices.press2]   # moved here\n{second}"));
        folder.write("queries/10-hot.sql", &format!("-- a comment\n\n{HOT}\n"));
    });
    assert!(difference.is_empty(), "{difference:?}");
}

#[test]
fn only_the_device_that_changed_is_named() {
    let folder = Folder::new();
    let difference =
        folder.after(|folder| folder.write("millstream.toml", &TOML.replace("10.0.0.2", "10.0.0.3")));
    assert_eq!(changed(&difference), [("press2", Change::Changed)]);
    assert!(difference.queries.is_empty() && difference.settings.is_empty());
    let difference =
        folder.after(|folder| folder.write("millstream.toml", &TOML.replacen("100ms", "200ms", 1)));
    assert_eq!(changed(&difference), [("press1", Change::Changed), ("press2", Change::Changed)]);
}

#[test]
fn every_part_of_a_device_counts() {
    let writes = "[devices.press2.writes]\ntopic = \"t\"\ntags.s = { address = \"holding-register:9:INT\", min = 0, max = 5 }\n";
    let base = format!("{TOML}{writes}");
    for (from, to) in [
        ("max = 5", "max = 6"),
        ("topic = \"t\"", "topic = \"u\""),
        ("\"modbus-tcp://10.0.0.2\"", "\"modbus-tcp://10.0.0.2?max-in-flight=2\""),
        ("\"modbus-tcp://10.0.0.2\"", "\"modbus-tcp://10.0.0.2\"\nasset = \"acme/press2\""),
        ("\"modbus-tcp://10.0.0.2\"", "\"modbus-tcp://10.0.0.2\"\nrequests_per_second = 5"),
        ("\"modbus-tcp://10.0.0.2\"", "\"modbus-tcp://10.0.0.2\"\nsimulate.delay = \"1ms\""),
    ] {
        let folder = Folder::new();
        folder.write("millstream.toml", &base);
        let difference = folder.after(|folder| folder.write("millstream.toml", &base.replace(from, to)));
        assert_eq!(changed(&difference), [("press2", Change::Changed)], "{to}");
    }
}

#[test]
fn devices_come_and_go() {
    let folder = Folder::new();
    folder.write("queries/20-cold.sql", HOT.replace("hot", "warm").as_str());
    let difference = folder.after(|folder| {
        folder.write("millstream.toml", &TOML.replace("press2", "press3"));
    });
    assert_eq!(changed(&difference), [("press2", Change::Removed), ("press3", Change::Added)]);
}

#[test]
fn queries_come_go_and_change() {
    let folder = Folder::new();
    let difference = folder.after(|folder| {
        folder.write(
            "queries/10-hot.sql",
            &HOT.replace("FROM press1_fast", "FROM press1_fast WHERE temperature > 70"),
        );
        folder.write("queries/30-more.sql", &HOT.replace("hot", "more"));
        fs::remove_file(folder.0.path().join("queries/20-cold.sql")).unwrap();
    });
    let changes: Vec<(String, Change)> = difference
        .queries
        .iter()
        .map(|(file, change)| (Path::new(&**file).file_name().unwrap().display().to_string(), *change))
        .collect();
    let expected =
        [("10-hot.sql", Change::Changed), ("20-cold.sql", Change::Removed), ("30-more.sql", Change::Added)];
    assert_eq!(changes, expected.map(|(file, change)| (file.to_owned(), change)));
    assert!(difference.devices.is_empty());
}

#[test]
fn settings_that_need_a_restart_are_named() {
    let folder = Folder::new();
    let difference = folder.after(|folder| {
        let settings = "[log]\nretention = \"1d\"\n[http]\nlisten = \"127.0.0.1:8090\"\n";
        folder.write("settings.toml", &format!("{settings}[sql]\nconnect_url = \"http://connect:8083\"\n"));
    });
    assert_eq!(difference.settings, ["log", "http", "sql"]);
    assert!(difference.devices.is_empty());
}
