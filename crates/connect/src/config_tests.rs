//! Config files: what Java's `Properties` and Connect's REST API accept, and where things stand.

use super::*;
use proptest::prelude::*;

fn value<'a>(config: &'a ConnectorConfig, key: &str) -> &'a str {
    &config.entries[key].value
}

#[test]
fn properties_are_read_as_java_reads_them() {
    let text = "# a comment\n! another\n  name = plc-1  \nkey.converter.url:http://x:8081\nempty=\nflag\n\
                long=one,\\\n     two\\\n\t,three\ntab=a\\tb\nbackslash=C\\:\\\\temp\numlaut=\\u00fc\\ud83d\\ude00\n\
                spaced value here\nkey\\ with\\=blanks=1\r\n";
    let (config, mistakes) = read_properties(text);
    assert!(mistakes.is_empty(), "{mistakes:?}");
    assert_eq!(config.name(), Some("plc-1"));
    for (key, expected) in [
        ("name", "plc-1  "),
        ("key.converter.url", "http://x:8081"),
        ("empty", ""),
        ("flag", ""),
        ("long", "one,two,three"),
        ("tab", "a\tb"),
        ("backslash", "C:\\temp"),
        ("umlaut", "ü😀"),
        ("spaced", "value here"),
        ("key with=blanks", "1"),
    ] {
        assert_eq!(value(&config, key), expected, "{key}");
    }
    assert_eq!(config.list("long"), vec!["one", "two", "three"]);
}

#[test]
fn addresses_with_commas_bars_and_hashes_survive_in_both_forms() {
    let addresses = ["ns=2;s=a,b|c#d", "#1|2,3:INT", "RANDOM/x:INT[2]", "%DB1:4.0:BOOL", "!x", "a=b:c"];
    for address in addresses {
        let (config, mistakes) = read_properties(&format!("jobs.j.tags.t={address}\n"));
        assert_eq!((value(&config, "jobs.j.tags.t"), mistakes.len()), (address, 0));
        let text = format!(r#"{{"name":"x","config":{{"jobs.j.tags.t":"{address}"}}}}"#);
        let (config, mistakes) = read_json(&text);
        assert_eq!((value(&config, "jobs.j.tags.t"), mistakes.len()), (address, 0));
    }
}

#[test]
fn places_are_those_in_the_file() {
    let text = "a=1\n  long.key : some value\n";
    let entry = &read_properties(text).0.entries["long.key"];
    assert_eq!((&text[entry.key_place.clone()], &text[entry.place.clone()]), ("long.key", "some value"));
    let text = "{\n  \"name\": \"x\",\n  \"config\": {\"tasks.max\" : 2, \"a\":\"b \\\" c\"}\n}";
    let (config, _) = read_json(text);
    let places = |key: &str| &text[config.entries[key].place.clone()];
    assert_eq!((places("tasks.max"), places("a"), places("name")), ("2", "b \\\" c", "x"));
}

#[test]
fn json_is_taken_with_and_without_its_envelope() {
    for text in [
        r#"{"name":"a","config":{"connector.class":"C","n":5,"b":true}}"#,
        r#"{"name":"a","connector.class":"C","n":5,"b":true}"#,
    ] {
        let (config, mistakes) = read_json(text);
        assert!(mistakes.is_empty());
        assert_eq!((config.name(), config.class()), (Some("a"), Some("C")));
        assert_eq!((value(&config, "n"), value(&config, "b")), ("5", "true"));
    }
}

#[test]
fn mistakes_have_their_place() {
    let text = "a=1\nb=\\u00zz\na=2\n";
    let (config, mistakes) = read_properties(text);
    let places: Vec<_> = mistakes.iter().map(|m| (m.code, m.span.clone().unwrap().range)).collect();
    assert_eq!(places, vec![("escape", 6..8), ("duplicate-key", 13..14)]);
    assert_eq!(value(&config, "a"), "2");
    let (_, mistakes) = read_json("{\n  \"a\": }");
    assert_eq!((mistakes[0].code, mistakes[0].span.clone().unwrap().range), ("json", 9..10));
    let (_, mistakes) = read_json(r#"{"name":"a","config":{"a":[1]}}"#);
    assert_eq!((mistakes[0].code, mistakes[0].key.as_deref()), ("option-value", Some("a")));
    assert_eq!(read_json("[]").1[0].code, "connector-config");
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic_and_every_place_is_inside(text in any::<String>()) {
        for (config, mistakes) in [read_properties(&text), read_json(&text)] {
            for entry in config.entries.values() {
                prop_assert!(text.get(entry.place.clone()).is_some());
                prop_assert!(text.get(entry.key_place.clone()).is_some());
            }
            for mistake in mistakes {
                if let Some(span) = mistake.span {
                    prop_assert!(span.range.end <= text.len());
                }
            }
        }
    }

    #[test]
    fn any_value_reads_back_from_properties(key in "[a-z.]{1,20}", value in "[^\\x00-\\x1f\\\\ ][^\\x00-\\x1f\\\\]{0,30}") {
        let (config, mistakes) = read_properties(&format!("{key}={value}\n"));
        prop_assert!(mistakes.is_empty());
        prop_assert_eq!(&config.entries[&key].value, &value);
    }

    #[test]
    fn any_value_reads_back_from_json(key in any::<String>(), value in any::<String>()) {
        prop_assume!(key != "config");
        let json = serde_json::json!({"name": "x", "config": {key.as_str(): value.as_str()}});
        let (config, mistakes) = read_json(&json.to_string());
        prop_assert!(mistakes.is_empty());
        prop_assert_eq!(&config.entries[&key].value, &value);
    }
}
