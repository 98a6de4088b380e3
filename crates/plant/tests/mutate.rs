//! Valid plants, damaged at random: reading never panics, and either works or says where it does not.
#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

mod support;

use millstream_plant::read;
use proptest::prelude::*;
use std::fs;
use std::path::Path;

/// What engineers (and their editors) do to files.
#[derive(Debug, Clone)]
enum Damage {
    DeleteByte,
    Insert(String),
    DeleteLine,
    DoubleLine,
    SwapLines,
    Truncate,
    DoubleByte,
}

fn damage() -> impl Strategy<Value = Damage> {
    let tokens = [
        "\"",
        "'",
        "=",
        ".",
        "[",
        "]",
        "{",
        "}",
        ",",
        "\n",
        "#",
        "${",
        "{x}",
        "\\",
        "ä",
        "\0",
        "-",
        "9",
        "tags.from = ",
        ";",
    ];
    prop_oneof![
        Just(Damage::DeleteByte),
        prop::sample::select(tokens.to_vec()).prop_map(|token| Damage::Insert(token.to_owned())),
        Just(Damage::DeleteLine),
        Just(Damage::DoubleLine),
        Just(Damage::SwapLines),
        Just(Damage::Truncate),
        Just(Damage::DoubleByte),
    ]
}

/// `at` is a place in the text, from 0 to 1.
fn apply(text: &mut Vec<u8>, damage: &Damage, at: f64) {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place"
    )]
    let index = ((text.len().max(1) - 1) as f64 * at) as usize;
    let lines =
        |text: &[u8]| -> Vec<Vec<u8>> { text.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect() };
    let line = text.iter().take(index).filter(|b| **b == b'\n').count();
    match damage {
        Damage::DeleteByte if !text.is_empty() => {
            text.remove(index);
        }
        Damage::DoubleByte if !text.is_empty() => text.insert(index, text[index]),
        Damage::Insert(token) => {
            text.splice(index..index, token.bytes());
        }
        Damage::Truncate => text.truncate(index),
        Damage::DeleteLine | Damage::DoubleLine | Damage::SwapLines => {
            let mut all = lines(text);
            if line + 1 < all.len() {
                match damage {
                    Damage::DeleteLine => {
                        all.remove(line);
                    }
                    Damage::DoubleLine => all.insert(line, all[line].clone()),
                    _ => all.swap(line, line + 1),
                }
            }
            *text = all.concat();
        }
        Damage::DeleteByte | Damage::DoubleByte => {}
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

const FILES: [&str; 8] = [
    "millstream.toml",
    "connectors/source.properties",
    "connectors/sink.json",
    "press1.toml",
    "ovens.csv",
    "press1.csv",
    "queries/10-hot.sql",
    "queries/20-setpoint.sql",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_plant_is_read_or_refused_with_places(
        damages in prop::collection::vec((0..FILES.len(), damage(), 0.0..1.0), 1..4),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let plants = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plants");
        copy(&plants.join("plc4x"), folder.path());
        copy(&plants.join("full"), folder.path());
        for (file, damage, at) in &damages {
            let path = folder.path().join(FILES[*file]);
            let mut text = fs::read(&path).unwrap();
            apply(&mut text, damage, *at);
            fs::write(&path, text).unwrap();
        }
        match read(folder.path(), &support::registry()) {
            Ok((plant, _)) => {
                let printed = format!("{plant:?}");
                prop_assert!(!printed.contains("hunter2"));
            }
            Err(mistakes) => {
                prop_assert!(!mistakes.diagnostics.is_empty());
                for diagnostic in &mistakes.diagnostics {
                    let span = diagnostic.span.as_ref();
                    prop_assert!(span.is_some_and(|span| span.file.is_some()), "{:?}", diagnostic);
                    let place = span.and_then(|span| mistakes.sources.locate(span));
                    prop_assert!(place.is_some(), "{:?}", diagnostic);
                    let printed = format!("{diagnostic:?}");
                    prop_assert!(!printed.contains("hunter2"), "{}", printed);
                }
            }
        }
    }
}
