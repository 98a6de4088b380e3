//! `WITH (…)`: which options there are, and what they may be.

use super::bind::Mistake;
use crate::Format;
use crate::parse::ast::WithOption;
use millstream_model::{Diagnostic, nearest};
use std::sync::Arc;

/// Options of a `CREATE` or `INSERT`, checked.
#[derive(Debug, Default)]
pub(super) struct With {
    pub(super) topic: Option<Arc<str>>,
    pub(super) key_format: Option<Format>,
    pub(super) value_format: Option<Format>,
    pub(super) partitions: Option<i32>,
    pub(super) replicas: Option<i32>,
    pub(super) retention_ms: Option<i64>,
    pub(super) timestamp: Option<(String, std::ops::Range<usize>)>,
    pub(super) window_ms: Option<i64>,
    pub(super) query_id: Option<Arc<str>>,
}

/// Where the options stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// `CREATE … (columns)`.
    Declare,
    /// `CREATE … AS SELECT`.
    CreateAs,
    /// `INSERT INTO`.
    Insert,
}

const DECLARE: &[&str] = &[
    "KAFKA_TOPIC",
    "VALUE_FORMAT",
    "KEY_FORMAT",
    "FORMAT",
    "PARTITIONS",
    "REPLICAS",
    "TIMESTAMP",
    "WINDOW_TYPE",
    "WINDOW_SIZE",
    "WRAP_SINGLE_VALUE",
    "RETENTION_MS",
];
const CREATE_AS: &[&str] = &[
    "KAFKA_TOPIC",
    "VALUE_FORMAT",
    "KEY_FORMAT",
    "FORMAT",
    "PARTITIONS",
    "REPLICAS",
    "TIMESTAMP",
    "WRAP_SINGLE_VALUE",
    "RETENTION_MS",
];
const INSERT: &[&str] = &["QUERY_ID"];

impl With {
    /// Checks `options`; mistakes go to `mistakes`, and what is right is kept.
    pub(super) fn check(options: &[WithOption], place: Place, mistakes: &mut Vec<Diagnostic>) -> Self {
        let mut with = Self::default();
        let known = match place {
            Place::Declare => DECLARE,
            Place::CreateAs => CREATE_AS,
            Place::Insert => INSERT,
        };
        let mut seen: Vec<&str> = Vec::new();
        for option in options {
            let name = option.name.text.as_str();
            if seen.contains(&name) {
                mistakes.push(
                    Diagnostic::error("sql-option", format!("`{name}` is given twice"))
                        .label("give it once")
                        .at(option.name.place.clone()),
                );
            } else if known.contains(&name) {
                if let Err(mistake) = with.set(option) {
                    mistakes.push(*mistake);
                }
            } else {
                mistakes.push(unknown(option, known));
            }
            seen.push(name);
        }
        with
    }

    fn set(&mut self, option: &WithOption) -> Result<(), Mistake> {
        let upper = option.value.to_uppercase();
        match option.name.text.as_str() {
            "KAFKA_TOPIC" => self.topic = Some(topic_name(option)?),
            "VALUE_FORMAT" => self.value_format = Some(format(option)?),
            "KEY_FORMAT" => self.key_format = Some(format(option)?),
            "FORMAT" => {
                self.value_format = Some(format(option)?);
                self.key_format = self.value_format;
            }
            "PARTITIONS" => self.partitions = Some(whole(option, 10_000)?),
            "REPLICAS" => self.replicas = Some(whole(option, 1_000)?),
            "RETENTION_MS" => self.retention_ms = Some(retention_ms(option)?),
            "TIMESTAMP" => self.timestamp = Some((option.value.clone(), option.place.clone())),
            "WINDOW_TYPE" if upper == "TUMBLING" || upper == "HOPPING" => {}
            "WINDOW_TYPE" => {
                return Err(wrong(option, "'TUMBLING'", "WINDOW_TYPE='TUMBLING', WINDOW_SIZE='10 SECONDS'"));
            }
            "WINDOW_SIZE" => self.window_ms = Some(window_size(option, &upper)?),
            "QUERY_ID" => {
                let fits = upper.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !upper.is_empty();
                if !fits {
                    return Err(wrong(option, "letters, digits and `_`", "QUERY_ID='MY_QUERY'"));
                }
                self.query_id = Some(upper.into());
            }
            _ if upper == "TRUE" => {}
            _ => return Err(wrong(option, "true", "leave this option out")),
        }
        Ok(())
    }
}

fn unknown(option: &WithOption, known: &[&str]) -> Diagnostic {
    let name = &option.name.text;
    if name == "TIMESTAMP_FORMAT" {
        return Diagnostic::error("sql-unsupported", "`TIMESTAMP_FORMAT` is not supported yet")
            .label("not supported yet")
            .help("make the time a BIGINT of milliseconds with STRINGTOTIMESTAMP first")
            .at(option.name.place.clone());
    }
    let mistake = Diagnostic::error("sql-option", format!("there is no option `{name}` here"))
        .label(format!("expected one of {}", known.join(", ")))
        .at(option.name.place.clone());
    match nearest(name, known.iter().copied()) {
        Some(near) => mistake.help(format!("did you mean {near}?")),
        None => mistake,
    }
}

fn wrong(option: &WithOption, expected: &str, help: &str) -> Mistake {
    Box::new(
        Diagnostic::error("sql-option", format!("'{}' is no value for {}", option.value, option.name.text))
            .label(format!("expected {expected}"))
            .help(help)
            .at(option.place.clone()),
    )
}

fn topic_name(option: &WithOption) -> Result<Arc<str>, Mistake> {
    let name = &option.value;
    let fits = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
        && (1..=249).contains(&name.len())
        && name != "."
        && name != "..";
    if fits {
        Ok(name.as_str().into())
    } else {
        Err(wrong(option, "1 to 249 letters, digits, `.`, `_` and `-`", "KAFKA_TOPIC='cooling.setpoints'"))
    }
}

fn format(option: &WithOption) -> Result<Format, Mistake> {
    let names = || Format::ALL.iter().map(|format| format.name()).collect::<Vec<_>>().join(", ");
    let example = format!("{}='JSON'", option.name.text);
    Format::from_name(&option.value).ok_or_else(|| wrong(option, &format!("one of {}", names()), &example))
}

fn whole(option: &WithOption, max: i32) -> Result<i32, Mistake> {
    let number = option.value.parse().ok().filter(|n| (1..=max).contains(n));
    number.ok_or_else(|| {
        wrong(option, &format!("a whole number from 1 to {max}"), &format!("{}=1", option.name.text))
    })
}

fn retention_ms(option: &WithOption) -> Result<i64, Mistake> {
    let number = option.value.parse().ok().filter(|n| *n >= 1);
    number.ok_or_else(|| wrong(option, "a whole number of milliseconds", "RETENTION_MS=86400000 for a day"))
}

fn window_size(option: &WithOption, upper: &str) -> Result<i64, Mistake> {
    let refuse = || wrong(option, "a number and a unit", "WINDOW_SIZE='10 SECONDS'");
    let (number, unit) = upper.trim().split_once(' ').ok_or_else(refuse)?;
    let number: i64 = number.parse().map_err(|_| refuse())?;
    let factor = match unit.trim().trim_end_matches('S') {
        "MILLISECOND" => 1,
        "SECOND" => 1_000,
        "MINUTE" => 60_000,
        "HOUR" => 3_600_000,
        "DAY" => 86_400_000,
        _ => return Err(refuse()),
    };
    number.checked_mul(factor).filter(|ms| *ms > 0).ok_or_else(refuse)
}
