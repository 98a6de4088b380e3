//! Kafka Connect configs as files: `.properties` and JSON, flattened to keys and values with their places.
//!
//! Nothing is split or interpreted here: an address may hold any character.

use millstream_model::{Diagnostic, Severity};
use std::collections::BTreeMap;
use std::ops::Range;

/// One value of a config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The text.
    pub value: String,
    /// Where the key stands in the file, in bytes.
    pub key_place: Range<usize>,
    /// Where the value stands in the file, in bytes, quotes left out.
    pub place: Range<usize>,
}

/// A connector's config as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConnectorConfig {
    /// Keys and values; `name` is among them.
    pub entries: BTreeMap<String, Entry>,
}

impl ConnectorConfig {
    /// The value of `key`, trimmed; `None` where it is not there or empty.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.entries.get(key).map(|entry| entry.value.trim()).filter(|text| !text.is_empty())
    }

    /// The connector's name.
    pub fn name(&self) -> Option<&str> {
        self.text("name")
    }

    /// The connector's class.
    pub fn class(&self) -> Option<&str> {
        self.text("connector.class")
    }

    /// The names in a comma-separated list.
    pub fn list(&self, key: &str) -> Vec<&str> {
        let text = self.text(key).unwrap_or_default();
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect()
    }

    fn insert(&mut self, key: String, entry: Entry, mistakes: &mut Vec<Diagnostic>) {
        let place = entry.key_place.clone();
        if self.entries.insert(key.clone(), entry).is_some() {
            let mistake =
                Diagnostic::error("duplicate-key", format!("`{key}` is given twice")).at(place).key(key);
            mistakes.push(mistake.label("give it once"));
        }
    }
}

/// Reads a file in the format of Java's `Properties`. What cannot be read is left out and told.
pub fn read_properties(text: &str) -> (ConnectorConfig, Vec<Diagnostic>) {
    let (mut config, mut mistakes) = (ConnectorConfig::default(), Vec::new());
    for line in logical_lines(text) {
        let key_end = end_of_key(text, line.clone());
        let after_key = skip(text, key_end..line.end, is_blank);
        let after_separator = match text.as_bytes().get(after_key) {
            Some(b'=' | b':') if after_key < line.end => after_key + 1,
            _ => after_key,
        };
        let value_start = skip(text, after_separator..line.end, is_blank);
        let (key_place, place) = (line.start..key_end, value_start..line.end);
        match (unescape(&text[key_place.clone()]), unescape(&text[place.clone()])) {
            (Ok(key), Ok(value)) => config.insert(key, Entry { value, key_place, place }, &mut mistakes),
            (Err(at), _) => mistakes.push(bad_escape(key_place.start + at)),
            (_, Err(at)) => mistakes.push(bad_escape(place.start + at)),
        }
    }
    (config, mistakes)
}

fn bad_escape(at: usize) -> Diagnostic {
    Diagnostic::error("escape", "`\\u` is not followed by four hexadecimal digits")
        .at(at..at + 2)
        .label("expected `\\uXXXX`")
        .help("write a backslash as `\\\\`")
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\x0c')
}

fn skip(text: &str, range: Range<usize>, while_so: impl Fn(u8) -> bool) -> usize {
    let bytes = text.as_bytes().get(range.clone()).unwrap_or_default();
    range.start + bytes.iter().take_while(|byte| while_so(**byte)).count()
}

/// The lines that hold a pair: comments and empty ones left out, continued ones joined.
fn logical_lines(text: &str) -> Vec<Range<usize>> {
    let mut lines: Vec<Range<usize>> = Vec::new();
    let (mut at, mut is_continued) = (0, false);
    for piece in text.split_inclusive('\n') {
        let line = piece.trim_end_matches(['\n', '\r']);
        let start = skip(text, at..at + line.len(), is_blank);
        let end = at + line.len();
        at += piece.len();
        if is_continued {
            if let Some(last) = lines.last_mut() {
                last.end = end;
            }
        } else if start < end && !matches!(text.as_bytes().get(start), Some(b'#' | b'!')) {
            lines.push(start..end);
        } else {
            continue;
        }
        is_continued = line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1;
    }
    lines
}

fn end_of_key(text: &str, line: Range<usize>) -> usize {
    let mut escaped = false;
    let bytes = text.as_bytes().get(line.clone()).unwrap_or_default();
    let end = bytes.iter().position(|byte| match byte {
        _ if escaped => {
            escaped = false;
            false
        }
        b'\\' => {
            escaped = true;
            false
        }
        byte => is_blank(*byte) || matches!(byte, b'=' | b':'),
    });
    line.start + end.unwrap_or(bytes.len())
}

/// Takes escapes and continuations out; `Err` is the place of a bad one.
fn unescape(text: &str) -> Result<String, usize> {
    let mut out = String::with_capacity(text.len());
    let mut units: Vec<u16> = Vec::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        let unit = if c == '\\' {
            match chars.next().map(|(_, c)| c) {
                None => None,
                Some('u') => {
                    let digits: String = chars.by_ref().take(4).map(|(_, c)| c).collect();
                    let is_hex = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                    units.push(u16::from_str_radix(&digits, 16).ok().filter(|_| is_hex).ok_or(at)?);
                    continue;
                }
                Some('\n' | '\r') => {
                    while chars.as_str().starts_with([' ', '\t', '\x0c', '\n', '\r']) {
                        chars.next();
                    }
                    None
                }
                Some('t') => Some('\t'),
                Some('n') => Some('\n'),
                Some('r') => Some('\r'),
                Some('f') => Some('\x0c'),
                Some(other) => Some(other),
            }
        } else {
            Some(c)
        };
        out.push_str(&String::from_utf16_lossy(&std::mem::take(&mut units)));
        out.extend(unit);
    }
    out.push_str(&String::from_utf16_lossy(&units));
    Ok(out)
}

/// Reads a connector as Connect's REST API takes it: `{"name":…,"config":{…}}`, or the config alone.
pub fn read_json(text: &str) -> (ConnectorConfig, Vec<Diagnostic>) {
    let (mut config, mut mistakes) = (ConnectorConfig::default(), Vec::new());
    let json: serde_json::Value = match serde_json::from_str(text) {
        Ok(json) => json,
        Err(error) => {
            let line_start =
                text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
            let at = (line_start + error.column().saturating_sub(1)).min(text.len());
            let place = at..(at + 1).min(text.len());
            mistakes.push(Diagnostic::error("json", format!("this is no JSON: {error}")).at(place));
            return (config, mistakes);
        }
    };
    let members = [json.get("config"), Some(&json)].into_iter().flatten().find_map(|json| json.as_object());
    let Some(members) = members else {
        let mistake = Diagnostic::error("connector-config", "a connector's config is an object");
        mistakes.push(mistake.help(r#"for example `{"name": "plc-1", "config": {"connector.class": "…"}}`"#));
        return (config, mistakes);
    };
    let places = places(text);
    let outer_name = json.get("name").filter(|_| !members.contains_key("name")).map(|name| ("name", name));
    for (key, value) in members.iter().map(|(key, value)| (key.as_str(), value)).chain(outer_name) {
        let (key_place, place) = places.get(key).cloned().unwrap_or((0..0, 0..0));
        let value = match value {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Null => String::new(),
            serde_json::Value::Bool(_) | serde_json::Value::Number(_) => value.to_string(),
            serde_json::Value::Array(_) | serde_json::Value::Object(_) => {
                let mistake = Diagnostic::error("option-value", format!("`{key}` is no single value"));
                mistakes.push(mistake.at(place).key(key).label("expected a text"));
                continue;
            }
        };
        config.insert(key.to_owned(), Entry { value, key_place, place }, &mut mistakes);
    }
    (config, mistakes)
}

/// Where the members of a (right) JSON text stand: key and value, quotes left out; the last of each name.
fn places(text: &str) -> BTreeMap<String, (Range<usize>, Range<usize>)> {
    let mut places = BTreeMap::new();
    let tokens = tokens(text);
    for (index, token) in tokens.iter().enumerate() {
        let is_key = tokens.get(index + 1).is_some_and(|next| &text[next.clone()] == ":");
        if let Some(value) = tokens.get(index + 2).filter(|_| is_key)
            && let Ok(key) = serde_json::from_str::<String>(&text[token.clone()])
        {
            places.insert(key, (bare(text, token), bare(text, value)));
        }
    }
    places
}

fn bare(text: &str, token: &Range<usize>) -> Range<usize> {
    let is_text = text[token.clone()].starts_with('"') && token.len() >= 2;
    if is_text { token.start + 1..token.end - 1 } else { token.clone() }
}

/// Strings with their quotes, punctuation, and everything else between them.
fn tokens(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let len = match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {
                at += 1;
                continue;
            }
            b'"' => {
                let mut escaped = false;
                let rest = bytes.get(at + 1..).unwrap_or_default();
                let inner = rest.iter().position(|byte| match byte {
                    _ if escaped => {
                        escaped = false;
                        false
                    }
                    b'\\' => {
                        escaped = true;
                        false
                    }
                    byte => *byte == b'"',
                });
                inner.map_or(rest.len() + 1, |inner| inner + 2)
            }
            b'{' | b'}' | b'[' | b']' | b':' | b',' => 1,
            _ => {
                let rest = bytes.get(at..).unwrap_or_default();
                rest.iter()
                    .take_while(|b| !b.is_ascii_whitespace() && !b"{}[]:,\"".contains(b))
                    .count()
                    .max(1)
            }
        };
        tokens.push(at..at + len);
        at += len;
    }
    tokens
}

/// Whether any of these keeps a connector from starting.
pub fn has_errors(mistakes: &[Diagnostic]) -> bool {
    mistakes.iter().any(|mistake| mistake.severity == Severity::Error)
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
