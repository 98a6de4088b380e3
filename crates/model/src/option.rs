//! Option tables: one definition that parses, checks and documents an option.
//!
//! Connection strings of drivers and configs of connectors both use them, so that an unknown name gets the nearest
//! right one everywhere, and the reference pages cannot drift from the parser.

use crate::{Diagnostic, nearest, parse_duration};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

/// What an option's text must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum OptionKind {
    /// Any text.
    Text,
    /// `true` or `false`.
    Bool,
    /// A whole number within the bounds, both included.
    Int {
        /// Smallest allowed.
        min: i64,
        /// Largest allowed.
        max: i64,
    },
    /// A decimal number.
    Number,
    /// A whole number of milliseconds, as PLC4X and Kafka write times, or a duration with its unit.
    Millis,
    /// One of a list of words.
    OneOf(&'static [&'static str]),
}

/// One option: its name, kind, default and meaning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OptionSpec {
    /// The name as it is written.
    pub name: &'static str,
    /// What its text must be.
    pub kind: OptionKind,
    /// The default as text; empty where there is none.
    pub default: &'static str,
    /// One sentence for the reference.
    pub doc: &'static str,
}

/// Options that were checked against their table. Reading one falls back to its default.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    table: &'static [OptionSpec],
    values: BTreeMap<&'static str, String>,
}

impl Options {
    /// Checks `given` (name, value, place of the pair in the text) against `table`; all mistakes at once.
    pub fn check<'a>(
        table: &'static [OptionSpec],
        given: impl IntoIterator<Item = (&'a str, &'a str, Range<usize>)>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut values = BTreeMap::new();
        let mut mistakes = Vec::new();
        for (name, value, range) in given {
            let Some(spec) = table.iter().find(|spec| spec.name == name) else {
                let mistake = Diagnostic::error("unknown-option", format!("there is no option `{name}`"))
                    .label(format!("expected one of {}", names(table)))
                    .at(range);
                mistakes.push(match nearest(name, table.iter().map(|spec| spec.name)) {
                    Some(name) => mistake.help(format!("did you mean `{name}`?")),
                    None => mistake.help("remove it"),
                });
                continue;
            };
            if let Err(expected) = spec.kind.accepts(value) {
                let mistake =
                    Diagnostic::error("option-value", format!("`{value}` is no value for `{name}`"))
                        .at(range);
                mistakes.push(mistake.label(format!("expected {expected}")).help(spec.remedy(value)));
            } else if values.insert(spec.name, value.to_owned()).is_some() {
                mistakes.push(
                    Diagnostic::error("duplicate-option", format!("`{name}` is given twice"))
                        .label("give it once")
                        .at(range),
                );
            }
        }
        if mistakes.is_empty() { Ok(Self { table, values }) } else { Err(mistakes) }
    }

    /// The option's text, or its default. A name that is not in the table is an empty text.
    pub fn text(&self, name: &str) -> &str {
        let default = || self.table.iter().find(|spec| spec.name == name).map_or("", |spec| spec.default);
        self.values.get(name).map_or_else(default, String::as_str)
    }

    /// Whether the user gave the option.
    pub fn is_given(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// The option as a whole number; 0 where it is none.
    pub fn int(&self, name: &str) -> i64 {
        self.text(name).parse().unwrap_or(0)
    }

    /// The option as a decimal number; 0 where it is none.
    pub fn number(&self, name: &str) -> f64 {
        self.text(name).parse().unwrap_or(0.0)
    }

    /// The option as a truth value.
    pub fn bool(&self, name: &str) -> bool {
        self.text(name) == "true"
    }

    /// The option as a duration; zero where it is none.
    pub fn duration(&self, name: &str) -> Duration {
        millis(self.text(name)).unwrap_or_default()
    }
}

fn names(table: &[OptionSpec]) -> String {
    table.iter().map(|spec| format!("`{}`", spec.name)).collect::<Vec<_>>().join(", ")
}

fn millis(text: &str) -> Option<Duration> {
    text.parse().ok().map(Duration::from_millis).or_else(|| parse_duration(text).ok())
}

impl OptionSpec {
    /// The next right thing to type in place of `value`.
    fn remedy(&self, value: &str) -> String {
        match self.kind {
            OptionKind::OneOf(words) => match nearest(value, words.iter().copied()) {
                Some(word) => format!("did you mean `{word}`?"),
                None => format!("for example `{}`", words.first().unwrap_or(&"")),
            },
            _ if self.default.is_empty() => {
                format!("leave `{}` out, or give {}", self.name, self.kind.expected())
            }
            _ => format!("the default is `{}`", self.default),
        }
    }
}

impl OptionKind {
    /// `Err` says what was expected.
    fn accepts(self, value: &str) -> Result<(), String> {
        let fits = match self {
            Self::Text => true,
            Self::Bool => matches!(value, "true" | "false"),
            Self::Int { min, max } => value.parse().is_ok_and(|v: i64| (min..=max).contains(&v)),
            Self::Number => value.parse().is_ok_and(f64::is_finite),
            Self::Millis => millis(value).is_some(),
            Self::OneOf(words) => words.contains(&value),
        };
        if fits { Ok(()) } else { Err(self.expected()) }
    }

    /// What a value must be, in words.
    pub fn expected(self) -> String {
        match self {
            Self::Text => "a text".to_owned(),
            Self::Bool => "`true` or `false`".to_owned(),
            Self::Int { min, max } => format!("a whole number from {min} to {max}"),
            Self::Number => "a number".to_owned(),
            Self::Millis => "milliseconds, for example `5000`, or a duration such as `5s`".to_owned(),
            Self::OneOf(words) => {
                format!("one of {}", words.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", "))
            }
        }
    }
}
