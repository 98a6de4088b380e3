//! Reading the values of keys: the kind, the unit and the bounds, with the remedy for each way to get them wrong.

use crate::section::{Mistakes, Said, placed};
use crate::text::Text;
use crate::tree::{Entry, Kind, Node};
use millstream_model::{Diagnostic, DurationError, format_duration, nearest, parse_duration};
use std::ops::RangeInclusive;
use std::time::Duration;

/// A value with its key.
#[derive(Debug, Clone)]
pub(crate) struct Value<'n> {
    pub(crate) node: &'n Node,
    /// The key as it was written.
    pub(crate) name: &'n Text,
    /// The dotted path.
    pub(crate) key: String,
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
}
