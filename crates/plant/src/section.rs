//! Walking a table: keys are taken by name, what is left over is a mistake with the nearest right name.

use crate::keys::TableSpec;
use crate::limits;
use crate::text::Text;
use crate::tree::{Entry, Kind, Node};
use millstream_model::{Diagnostic, DurationError, Severity, Span, format_duration, nearest, parse_duration};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// What was found wrong so far.
#[derive(Debug, Default)]
pub(crate) struct Mistakes {
    list: Vec<Diagnostic>,
    known: BTreeSet<(Option<Arc<str>>, usize, usize, String)>,
    dropped: usize,
    errors: usize,
    /// Places that could not be understood at all: what else is found there follows from that.
    roots: Vec<Span>,
}

impl Mistakes {
    /// Adds one, unless the very same was said before (of another device from the same template).
    pub(crate) fn push(&mut self, mistake: Diagnostic) {
        let place = mistake.span.clone().unwrap_or(Span { file: None, range: 0..0 });
        if !self.known.insert((place.file, place.range.start, place.range.end, mistake.message.clone())) {
            return;
        }
        self.errors += usize::from(mistake.severity == Severity::Error);
        if self.list.len() < limits::DIAGNOSTICS {
            self.list.push(mistake);
        } else {
            self.dropped += 1;
        }
    }

    /// Adds one that other mistakes in `span` follow from.
    pub(crate) fn push_root(&mut self, mistake: Diagnostic, span: Span) {
        self.roots.push(span);
        self.push(mistake);
    }

    /// How many of them are errors.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.list.len() + self.dropped
    }

    /// Everything, in order, how many more there were, and the places that other mistakes follow from.
    pub(crate) fn into_parts(self) -> (Vec<Diagnostic>, usize, Vec<Span>) {
        (self.list, self.dropped, self.roots)
    }
}

/// A value that a user gave, with its place and its dotted key.
#[derive(Debug, Clone)]
pub(crate) struct Said<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
    pub(crate) key: String,
}

impl<T> Said<T> {
    /// An error about it.
    pub(crate) fn error(&self, code: &'static str, message: impl Into<String>) -> Diagnostic {
        placed(Diagnostic::error(code, message), &self.span, &self.key)
    }

    /// A warning about it.
    pub(crate) fn warning(&self, code: &'static str, message: impl Into<String>) -> Diagnostic {
        placed(Diagnostic::warning(code, message), &self.span, &self.key)
    }

    pub(crate) fn with<U>(&self, value: U) -> Said<U> {
        Said { value, span: self.span.clone(), key: self.key.clone() }
    }
}

impl Said<Text> {
    pub(crate) fn as_str(&self) -> &str {
        self.value.as_str()
    }

    /// Places a diagnostic whose place is inside the text.
    pub(crate) fn locate(&self, diagnostic: Diagnostic) -> Diagnostic {
        let mut diagnostic = self.value.locate(diagnostic);
        diagnostic.key.get_or_insert_with(|| self.key.clone());
        diagnostic
    }
}

/// Gives a diagnostic its place and key.
pub(crate) fn placed(mut diagnostic: Diagnostic, span: &Span, key: &str) -> Diagnostic {
    diagnostic.span = Some(span.clone());
    diagnostic.key = Some(key.to_owned());
    diagnostic
}

/// A table whose keys are being taken.
#[derive(Debug)]
pub(crate) struct Section<'n> {
    spec: &'static TableSpec,
    entries: &'n [Entry],
    taken: Vec<bool>,
    missing: Vec<&'static str>,
    /// The dotted path.
    pub(crate) key: String,
    /// The header, or the table where it has none.
    pub(crate) span: Span,
}

/// A value with its key.
#[derive(Debug, Clone)]
pub(crate) struct Value<'n> {
    pub(crate) node: &'n Node,
    /// The key as it was written.
    pub(crate) name: &'n Text,
    /// The dotted path.
    pub(crate) key: String,
}

impl<'n> Section<'n> {
    /// Opens a table; anything else is a mistake.
    pub(crate) fn open(value: &Value<'n>, spec: &'static TableSpec, out: &mut Mistakes) -> Option<Self> {
        let entries = value.table(spec.title, out)?;
        Some(Self::over(entries, spec, value.key.clone(), value.node.span.clone()))
    }

    /// Walks these entries.
    pub(crate) fn over(entries: &'n [Entry], spec: &'static TableSpec, key: String, span: Span) -> Self {
        Self { spec, entries, taken: vec![false; entries.len()], missing: Vec::new(), key, span }
    }

    /// Takes a key; `None` where it is not given.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<Value<'n>> {
        debug_assert!(self.spec.names().any(|known| known == name), "`{name}` is not in the table of keys");
        let index = self.entries.iter().position(|entry| entry.key.as_str() == name)?;
        *self.taken.get_mut(index)? = true;
        let entry = self.entries.get(index)?;
        Some(Value { node: &entry.value, name: &entry.key, key: join(&self.key, name) })
    }

    /// Takes a key that must be there.
    pub(crate) fn require(&mut self, name: &'static str) -> Option<Value<'n>> {
        let value = self.take(name);
        if value.is_none() {
            self.missing.push(name);
        }
        value
    }

    /// The mistake that a key is not given.
    fn missing(&self, name: &'static str) -> Diagnostic {
        let message = format!("{} needs the key `{name}`", self.spec.title);
        let example = self.spec.keys.iter().find(|key| key.name == name).map_or("", |key| key.example);
        let mistake = Diagnostic::error("missing-key", message)
            .label(format!("`{name}` is missing here"))
            .help(format!("add `{example}`"));
        placed(mistake, &self.span, &join(&self.key, name))
    }

    /// Reports every key that nobody took, and every one that must be there and is not, unless it is just misspelt.
    pub(crate) fn finish(self, out: &mut Mistakes) {
        let left =
            || self.entries.iter().zip(&self.taken).filter(|(_, taken)| !**taken).map(|(entry, _)| entry);
        for entry in left() {
            out.push(self.unknown(entry));
        }
        for name in &self.missing {
            if !left().any(|entry| nearest(entry.key.as_str(), self.spec.names()) == Some(name)) {
                out.push(self.missing(name));
            }
        }
    }

    fn unknown(&self, entry: &Entry) -> Diagnostic {
        let name = entry.key.as_str();
        let expected: Vec<String> = self.spec.names().map(|name| format!("`{name}`")).collect();
        let mut mistake =
            Diagnostic::error("unknown-key", format!("{} has no key `{name}`", self.spec.title))
                .label(format!("expected one of {}", expected.join(", ")))
                .key(join(&self.key, name));
        mistake.help = Some(match nearest(name, self.spec.names()) {
            Some(right) => format!("did you mean `{right}`?"),
            None => "remove it; docs/plant-folder.md lists every key".to_owned(),
        });
        entry.key.locate(mistake)
    }
}

/// A dotted path; keys that need quotes get them.
pub(crate) fn join(path: &str, name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    let name = if bare { name.to_owned() } else { format!("{name:?}") };
    if path.is_empty() { name } else { format!("{path}.{name}") }
}

impl<'n> Value<'n> {
    /// A mistake about the value's kind.
    fn kind_mistake(&self, expected: &str, help: impl Into<String>) -> Diagnostic {
        let name = self.name.shown();
        let mistake = Diagnostic::error("value-kind", format!("`{name}` is {}", self.node.kind_words()))
            .label(format!("expected {expected}"))
            .help(help);
        placed(mistake, &self.node.span, &self.key)
    }

    /// A mistake about the value itself.
    pub(crate) fn mistake(&self, code: &'static str, message: impl Into<String>) -> Diagnostic {
        placed(Diagnostic::error(code, message), &self.node.span, &self.key)
    }

    fn said<T>(&self, value: T) -> Said<T> {
        Said { value, span: self.node.span.clone(), key: self.key.clone() }
    }

    pub(crate) fn is_text(&self) -> bool {
        matches!(self.node.kind, Kind::Text(_))
    }

    pub(crate) fn is_table(&self) -> bool {
        matches!(self.node.kind, Kind::Table(_))
    }

    /// The entries of a table.
    pub(crate) fn table(&self, title: &str, out: &mut Mistakes) -> Option<&'n [Entry]> {
        if let Kind::Table(entries) = &self.node.kind {
            return Some(entries);
        }
        let example = format!("for example `[{}]` on a line of its own, its keys below", self.key);
        out.push(self.kind_mistake(&format!("a table: {title}"), example));
        None
    }

    /// A string.
    pub(crate) fn text(&self, out: &mut Mistakes) -> Option<Said<Text>> {
        match &self.node.kind {
            Kind::Text(text) => Some(self.said(text.clone())),
            Kind::Table(_) | Kind::Array(_) => {
                out.push(self.kind_mistake("a string", "write it in quotes"));
                None
            }
            _ => {
                out.push(self.kind_mistake("a string", "put it in quotes"));
                None
            }
        }
    }

    /// `true` or `false`; in quotes where a placeholder was filled.
    pub(crate) fn boolean(&self, out: &mut Mistakes) -> Option<Said<bool>> {
        let found = match &self.node.kind {
            Kind::Bool(value) => Some(*value),
            Kind::Text(text) if text.is_filled() => match text.as_str() {
                "true" => Some(true),
                "false" => Some(false),
                _ => None,
            },
            _ => None,
        };
        if found.is_none() {
            out.push(self.wrong("`true` or `false`, without quotes", "write `true` or `false`"));
        }
        found.map(|value| self.said(value))
    }

    /// A finite number within `bounds`.
    pub(crate) fn number(&self, bounds: Bounds, out: &mut Mistakes) -> Option<Said<f64>> {
        #[expect(clippy::cast_precision_loss, reason = "a setting: beyond 2^53 nobody counts by one")]
        let found = match &self.node.kind {
            Kind::Integer(value) => Some(*value as f64),
            Kind::Float(value) => Some(*value),
            Kind::Text(text) if text.is_filled() => text.as_str().trim().parse().ok(),
            _ => None,
        };
        let Some(value) = found else {
            let help = self.unquoted().unwrap_or_else(|| "write a number, for example `0.5`".to_owned());
            out.push(self.wrong("a number, without quotes", help));
            return None;
        };
        if !value.is_finite() || !bounds.hold(value) {
            let message = format!("`{}` is out of bounds", self.name.shown());
            let mistake =
                self.mistake("out-of-bounds", message).label(format!("expected {}", bounds.words()));
            out.push(self.relocate(mistake.help(bounds.remedy())));
            return None;
        }
        Some(self.said(value))
    }

    /// A whole number within `range`.
    pub(crate) fn integer(&self, range: RangeInclusive<i64>, out: &mut Mistakes) -> Option<Said<i64>> {
        let found = match &self.node.kind {
            Kind::Integer(value) => Some(*value),
            Kind::Text(text) if text.is_filled() => text.as_str().trim().parse().ok(),
            _ => None,
        };
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        match found {
            Some(value) if range.contains(&value) => Some(self.said(value)),
            Some(value) => {
                let mistake = self
                    .mistake("out-of-bounds", format!("`{}` is out of bounds", self.name.shown()))
                    .label(format!("expected {expected}"))
                    .help(format!("at the nearest, `{}`", value.clamp(*range.start(), *range.end())));
                out.push(self.relocate(mistake));
                None
            }
            None => {
                let help = self.unquoted().unwrap_or_else(|| format!("for example `{}`", range.start()));
                out.push(self.wrong(&expected, help));
                None
            }
        }
    }

    /// A duration within `range`.
    pub(crate) fn duration(
        &self,
        range: RangeInclusive<Duration>,
        out: &mut Mistakes,
    ) -> Option<Said<Duration>> {
        let bounds = format!("{} to {}", format_duration(*range.start()), format_duration(*range.end()));
        let expected = format!("a duration in quotes with its unit, {bounds}");
        let text = match &self.node.kind {
            Kind::Text(text) => text,
            Kind::Integer(number) => {
                let help = format!("with its unit, for example `\"{number}ms\"` or `\"{number}s\"`");
                out.push(self.wrong(&expected, help));
                return None;
            }
            _ => {
                out.push(self.wrong(&expected, "for example `\"100ms\"`"));
                return None;
            }
        };
        let duration = match parse_duration(text.as_str()) {
            Ok(duration) => duration,
            Err(error) => {
                out.push(self.relocate(self.no_duration(text, &error)));
                return None;
            }
        };
        if range.contains(&duration) {
            return Some(self.said(duration));
        }
        let nearest = duration.clamp(*range.start(), *range.end());
        let mistake = self
            .mistake("out-of-bounds", format!("`{}` is out of bounds", text.shown()))
            .label(format!("expected {bounds}"))
            .help(format!("at the nearest, `\"{}\"`", format_duration(nearest)));
        out.push(self.relocate(mistake));
        None
    }

    fn no_duration(&self, text: &Text, error: &DurationError) -> Diagnostic {
        let number = text.as_str().trim().trim_end_matches(|c: char| !c.is_ascii_digit());
        let help = match error {
            DurationError::Unit if !number.is_empty() => {
                format!("for example `\"{number}ms\"` or `\"{number}s\"`")
            }
            DurationError::TooLong => "a shorter one, for example `\"1d\"`".to_owned(),
            _ => "for example `\"100ms\"`".to_owned(),
        };
        self.mistake("duration", format!("`{}` is no duration", text.shown()))
            .label(error.to_string())
            .help(help)
    }

    /// A size in bytes within `range`.
    pub(crate) fn size(&self, range: RangeInclusive<u64>, out: &mut Mistakes) -> Option<Said<u64>> {
        let bounds = match *range.end() {
            u64::MAX => format!("{} or more", format_size(*range.start())),
            end => format!("{} to {}", format_size(*range.start()), format_size(end)),
        };
        let Kind::Text(text) = &self.node.kind else {
            let expected = format!("a size in quotes with its unit, {bounds}");
            out.push(self.wrong(&expected, "for example `\"64MiB\"`"));
            return None;
        };
        match parse_size(text.as_str()) {
            Some(size) if range.contains(&size) => Some(self.said(size)),
            Some(size) => {
                let nearest = format_size(size.clamp(*range.start(), *range.end()));
                let mistake = self
                    .mistake("out-of-bounds", format!("`{}` is out of bounds", text.shown()))
                    .label(format!("expected {bounds}"))
                    .help(format!("at the nearest, `\"{nearest}\"`"));
                out.push(self.relocate(mistake));
                None
            }
            None => {
                let mistake = self
                    .mistake("size", format!("`{}` is no size", text.shown()))
                    .label("expected a number and one of B, kB, KiB, MB, MiB, GB, GiB, TB, TiB")
                    .help("for example `\"64MiB\"`");
                out.push(self.relocate(mistake));
                None
            }
        }
    }

    /// One of some words.
    pub(crate) fn one_of<T: Copy>(&self, words: &[(&'static str, T)], out: &mut Mistakes) -> Option<Said<T>> {
        let text = self.text(out)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.as_str()) {
            return Some(self.said(*value));
        }
        let names: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        let message = format!("`{}` is no value for `{}`", text.value.shown(), self.name.shown());
        let mistake =
            Diagnostic::error("value", message).label(format!("expected one of {}", names.join(", ")));
        let help = match nearest(text.as_str(), words.iter().map(|(word, _)| *word)) {
            Some(right) => format!("did you mean `\"{right}\"`?"),
            None => format!("for example `\"{}\"`", words.first().map_or("", |(word, _)| word)),
        };
        out.push(text.locate(mistake.help(help)));
        None
    }

    /// A mistake about a value of the wrong kind, or a filled placeholder that does not read as one.
    fn wrong(&self, expected: &str, help: impl Into<String>) -> Diagnostic {
        match &self.node.kind {
            Kind::Text(text) if text.is_filled() => {
                let message = format!("`{}` is no value for `{}`", text.shown(), self.name.shown());
                let mistake = self.mistake("value", message).label(format!("expected {expected}")).help(help);
                self.relocate(mistake)
            }
            _ => self.kind_mistake(expected, help),
        }
    }

    /// Points into the cell that filled the value, where one did.
    fn relocate(&self, mut mistake: Diagnostic) -> Diagnostic {
        if let Kind::Text(text) = &self.node.kind
            && text.is_filled()
        {
            mistake.span = None;
            return text.locate(mistake.at(0..text.as_str().len()));
        }
        mistake
    }

    /// The value without its quotes, where that would be a number.
    fn unquoted(&self) -> Option<String> {
        let Kind::Text(text) = &self.node.kind else { return None };
        let number = text.as_str().trim();
        number.parse::<f64>().ok().filter(|number| number.is_finite())?;
        Some(format!("without quotes: `{number}`"))
    }
}

/// What a number may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Bounds {
    /// Any finite number.
    Any,
    /// Any but 0.
    NotZero,
    /// 0 or more.
    NotNegative,
    /// More than 0, at most this.
    Positive(f64),
}

impl Bounds {
    fn hold(self, value: f64) -> bool {
        match self {
            Self::Any => true,
            Self::NotZero => value != 0.0,
            Self::NotNegative => value >= 0.0,
            Self::Positive(max) => value > 0.0 && value <= max,
        }
    }

    fn words(self) -> String {
        match self {
            Self::Any => "a finite number".to_owned(),
            Self::NotZero => "a finite number that is not 0".to_owned(),
            Self::NotNegative => "a number of 0 or more".to_owned(),
            Self::Positive(f64::MAX) => "a number above 0".to_owned(),
            Self::Positive(max) => format!("a number above 0, at most {max}"),
        }
    }

    fn remedy(self) -> String {
        match self {
            Self::Any | Self::NotZero => "for example `0.1`; leave the key out for the default".to_owned(),
            Self::NotNegative => "for example `0.5`; leave the key out for the default".to_owned(),
            Self::Positive(_) => "for example `10`; leave the key out for no limit".to_owned(),
        }
    }
}

const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// Reads `"64MiB"`: a whole number and a unit.
fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(split);
    let (_, factor) = SIZE_UNITS.iter().find(|(name, _)| *name == unit.trim())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// Prints a size in the largest unit that keeps it whole.
fn format_size(bytes: u64) -> String {
    let unit = SIZE_UNITS.iter().find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor));
    let (name, factor) = unit.copied().unwrap_or(("B", 1));
    format!("{}{name}", bytes / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_and_print() {
        for (text, bytes) in [("64MiB", 64 << 20), ("1 GiB", 1 << 30), ("5kB", 5_000), ("7B", 7)] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["", "64", "MiB", "1.5GiB", "9999999999999TiB", "1 PB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
        assert_eq!(format_size(64 << 20), "64MiB");
        assert_eq!(format_size(1_500), "1500B");
    }

    #[test]
    fn keys_that_are_not_bare_are_quoted() {
        assert_eq!(join("a.b", "c"), "a.b.c");
        assert_eq!(join("", "c d"), "\"c d\"");
    }
}
