//! A TOML file as a tree in which every key and value knows its place.

use crate::section::join;
use crate::source::span;
use crate::text::Text;
use millstream_model::{Diagnostic, Span};
use std::ops::Range;
use std::sync::Arc;
use toml::de::{DeTable, DeValue};

/// A value with its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Where it stands; for a table under a header, the header.
    pub(crate) span: Span,
    /// What it is.
    pub(crate) kind: Kind,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// A string.
    Text(Text),
    /// A whole number.
    Integer(i64),
    /// Any other number, and whole ones out of range.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// A date or time, which no key takes.
    Datetime,
    /// A list.
    Array(Vec<Node>),
    /// A table, in the order of the file.
    Table(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The key; bare or quoted.
    pub(crate) key: Text,
    /// The value.
    pub(crate) value: Node,
}

impl Node {
    /// What it is, in TOML's words with an article.
    pub(crate) fn kind_words(&self) -> &'static str {
        match self.kind {
            Kind::Text(_) => "a string",
            Kind::Integer(_) => "a whole number",
            Kind::Float(_) => "a number",
            Kind::Bool(_) => "a truth value",
            Kind::Datetime => "a date",
            Kind::Array(_) => "a list",
            Kind::Table(_) => "a table",
        }
    }

    /// A copy in which every text and key went through `change`.
    pub(crate) fn map_texts(&self, change: &mut dyn FnMut(&Text) -> Text) -> Self {
        let kind = match &self.kind {
            Kind::Text(text) => Kind::Text(change(text)),
            Kind::Array(items) => Kind::Array(items.iter().map(|item| item.map_texts(change)).collect()),
            Kind::Table(entries) => Kind::Table(
                entries
                    .iter()
                    .map(|entry| Entry { key: change(&entry.key), value: entry.value.map_texts(change) })
                    .collect(),
            ),
            other => other.clone(),
        };
        Self { span: self.span.clone(), kind }
    }
}

/// Where every key with its value stands, under its dotted path. Inner ones come after outer ones.
pub(crate) fn places(entries: &[Entry], path: &str, out: &mut Vec<(Span, String)>) {
    for entry in entries {
        let key = join(path, entry.key.as_str());
        let (name, value) = (&entry.key.span.range, &entry.value.span.range);
        let range = name.start.min(value.start)..name.end.max(value.end);
        out.push((Span { file: entry.key.span.file.clone(), range }, key.clone()));
        if let Kind::Table(inner) = &entry.value.kind {
            places(inner, &key, out);
        }
    }
}

/// Parses `text`; what can be understood comes back whatever is wrong with the rest.
pub(crate) fn parse(file: &Arc<str>, text: &str) -> (Vec<Entry>, Vec<(Diagnostic, Span)>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let entries = entries(file, text, table.into_inner());
    let mistakes = errors.iter().map(|error| syntax(file, text, error)).collect();
    (entries, mistakes)
}

fn entries(file: &Arc<str>, text: &str, table: DeTable<'_>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = table
        .into_iter()
        .map(|(key, value)| {
            let key_range = clamp(text, key.span());
            let inner = inner(text, &key_range, key.get_ref());
            let key = Text::new(key.into_inner().into_owned(), span(file, key_range), inner);
            Entry { key, value: node(file, text, value.span(), value.into_inner()) }
        })
        .collect();
    // The parser sorts by name; people read from top to bottom.
    entries.sort_by_key(|entry| entry.key.span.range.start);
    entries
}

fn node(file: &Arc<str>, text: &str, range: Range<usize>, value: DeValue<'_>) -> Node {
    let range = clamp(text, range);
    let kind = match value {
        DeValue::String(string) => {
            let inner = inner(text, &range, &string);
            Kind::Text(Text::new(string.into_owned(), span(file, range.clone()), inner))
        }
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(value) => Kind::Integer(value),
            Err(_) => Kind::Float(integer.as_str().parse().unwrap_or(f64::NAN)),
        },
        DeValue::Float(float) => Kind::Float(float.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(value) => Kind::Bool(value),
        DeValue::Datetime(_) => Kind::Datetime,
        DeValue::Array(items) => Kind::Array(
            items.into_iter().map(|item| node(file, text, item.span(), item.into_inner())).collect(),
        ),
        DeValue::Table(table) => Kind::Table(entries(file, text, table)),
    };
    Node { span: span(file, range), kind }
}

/// A range that lies within the text, whatever the parser's recovery made of it.
fn clamp(text: &str, range: Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(range.start);
    start..text.floor_char_boundary(range.end).max(start)
}

/// Where a string's characters stand, when they are written without escapes.
fn inner(text: &str, range: &Range<usize>, value: &str) -> Option<Range<usize>> {
    let raw = text.get(range.clone())?;
    let quotes =
        ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quotes| raw.starts_with(*quotes)).unwrap_or("");
    let start = range.start + quotes.len();
    // The newline right after an opening `"""` is no part of the value.
    let skipped = ["\r\n", "\n"].into_iter().find(|end| quotes.len() == 3 && text[start..].starts_with(*end));
    let start = start + skipped.map_or(0, str::len);
    let inner = start..start + value.len();
    (text.get(inner.clone()) == Some(value)).then_some(inner)
}

/// A mistake against TOML itself, with the usual remedy, and the place in which other mistakes follow from it: after a
/// broken header or bracket that is the rest of the file.
fn syntax(file: &Arc<str>, text: &str, error: &toml::de::Error) -> (Diagnostic, Span) {
    let range = clamp(text, error.span().unwrap_or(0..0));
    let (what, expected) = match error.message().split_once(", expected ") {
        Some((what, expected)) => (what, format!("expected {expected}")),
        None => (error.message(), String::new()),
    };
    let word = &text[range.clone()];
    let mut root = range.clone();
    let (message, label, help) = match what {
        "duplicate key" => (
            format!("`{word}` is defined twice"),
            "the second definition".to_owned(),
            "keep one of the two, or give this one another name".to_owned(),
        ),
        "string values must be quoted" if word.is_empty() => (
            "a value is missing".to_owned(),
            "expected a value after `=`".to_owned(),
            "for example `key = \"value\"`".to_owned(),
        ),
        "string values must be quoted" => (
            format!("`{word}` is a string without quotes"),
            "expected a string in quotes, a number, `true` or `false`".to_owned(),
            format!("`\"{word}\"`"),
        ),
        _ => {
            root.end = text.len();
            (format!("{NOT_TOML}: {what}"), expected, remedy(what))
        }
    };
    let mut mistake = Diagnostic::error("toml", message).label(label).help(help);
    mistake.span = Some(span(file, range));
    (mistake, span(file, root))
}

/// How messages about broken structure begin.
pub(crate) const NOT_TOML: &str = "this is not TOML";

/// What to do about a mistake in the parser's words.
fn remedy(what: &str) -> String {
    let close = |with: &str| format!("close it with `{with}`");
    match what {
        "unclosed table" | "unclosed array" => close("]"),
        "unclosed inline table" => close("}"),
        "unclosed array table" => close("]]"),
        _ if what.starts_with("invalid") && what.contains("string") => {
            "close the string with the quote that opened it".to_owned()
        }
        _ => "write tables as `[name]` and keys as `key = value`, each on a line of its own".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of<'a>(entries: &'a [Entry], name: &str) -> &'a Text {
        let entry = entries.iter().find(|entry| entry.key.as_str() == name).unwrap();
        let Kind::Text(text) = &entry.value.kind else { panic!("{name} is no text") };
        text
    }

    #[test]
    fn the_places_inside_strings() {
        let source = "a = \"xyz\"\nb = 'xyz'\nc = \"\"\"\nxyz\"\"\"\nd = \"x\\u0079z\"\n";
        let (entries, mistakes) = parse(&"t".into(), source);
        assert!(mistakes.is_empty());
        for (name, found) in [("a", "y"), ("b", "y"), ("c", "y"), ("d", "\"x\\u0079z\"")] {
            let place = text_of(&entries, name).place(&(1..2));
            assert_eq!(&source[place.range], found, "{name}");
        }
    }

    #[test]
    fn entries_come_in_the_order_of_the_file() {
        let (entries, _) = parse(&"t".into(), "z = 1\na = 2\n[m]\n[b]\n");
        let keys: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys, ["z", "a", "m", "b"]);
    }

    #[test]
    fn syntax_errors_leave_the_rest_standing() {
        let (entries, mistakes) = parse(&"t".into(), "a = 10ms\nb =\nb = 1\nc = 'x'\n");
        assert_eq!(text_of(&entries, "c").as_str(), "x");
        let words: Vec<&str> = mistakes.iter().map(|(mistake, _)| &*mistake.message).collect();
        assert_eq!(
            words,
            ["`10ms` is a string without quotes", "a value is missing", "`b` is defined twice"]
        );
    }
}
