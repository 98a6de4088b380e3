//! `WITH (…)`: which options there are, what they may be, and which go together.

use super::bind::Mistake;
use crate::parse::ast::{Declare, WithOption};
use crate::parse::unit_ms;
use crate::session::DefaultFormats;
use crate::{Format, FormatSpec};
use millstream_format::sql::Nullable;
use millstream_model::{Diagnostic, nearest};
use std::ops::Range;
use std::sync::Arc;

/// Options of a `CREATE` or `INSERT`, checked one by one and against each other.
#[derive(Debug, Default)]
pub(super) struct With {
    pub(super) topic: Option<Arc<str>>,
    pub(super) key_format: Option<Format>,
    pub(super) value_format: Option<Format>,
    pub(super) key_delimiter: Option<(char, Range<usize>)>,
    pub(super) value_delimiter: Option<(char, Range<usize>)>,
    pub(super) wrap: Option<(bool, Range<usize>)>,
    pub(super) key_schema_id: Option<i32>,
    pub(super) value_schema_id: Option<i32>,
    key_schema_name: Option<Arc<str>>,
    value_schema_name: Option<Arc<str>>,
    key_nullable: Nullable,
    value_nullable: Nullable,
    pub(super) partitions: Option<i32>,
    pub(super) replicas: Option<i32>,
    pub(super) retention_ms: Option<(i64, Range<usize>)>,
    pub(super) timestamp: Option<(String, Range<usize>)>,
    pub(super) timestamp_format: Option<(Arc<str>, Range<usize>)>,
    window_type: Option<(WindowType, Range<usize>)>,
    window_ms: Option<(i64, Range<usize>)>,
    pub(super) query_id: Option<Arc<str>>,
}

/// `WINDOW_TYPE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WindowType {
    Tumbling,
    Hopping,
    Session,
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

/// Options of `CREATE`, with columns or `AS SELECT`.
const CREATE: &[&str] = &[
    "KAFKA_TOPIC",
    "VALUE_FORMAT",
    "KEY_FORMAT",
    "FORMAT",
    "PARTITIONS",
    "REPLICAS",
    "TIMESTAMP",
    "TIMESTAMP_FORMAT",
    "WRAP_SINGLE_VALUE",
    "VALUE_DELIMITER",
    "KEY_DELIMITER",
    "RETENTION_MS",
    "KEY_SCHEMA_ID",
    "VALUE_SCHEMA_ID",
    "KEY_SCHEMA_FULL_NAME",
    "VALUE_SCHEMA_FULL_NAME",
    "VALUE_AVRO_SCHEMA_FULL_NAME",
    "KEY_PROTOBUF_NULLABLE_REPRESENTATION",
    "VALUE_PROTOBUF_NULLABLE_REPRESENTATION",
];
/// Options of `CREATE` with columns only.
const DECLARE: &[&str] = &["WINDOW_TYPE", "WINDOW_SIZE", "SOURCED_BY_CONNECTOR"];
const INSERT: &[&str] = &["QUERY_ID"];

impl With {
    /// Checks `options`; mistakes go to `mistakes`, and what is right is kept.
    pub(super) fn check(options: &[WithOption], place: Place, mistakes: &mut Vec<Diagnostic>) -> Self {
        let mut with = Self::default();
        let known: Vec<&str> = match place {
            Place::Declare => CREATE.iter().chain(DECLARE).copied().collect(),
            Place::CreateAs => CREATE.to_vec(),
            Place::Insert => INSERT.to_vec(),
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
                mistakes.push(unknown(option, &known));
            }
            seen.push(name);
        }
        with.check_together(options, mistakes);
        with
    }

    /// The options of a declaration, with what `formats` say where it names none. Without key columns there is no key to read.
    pub(super) fn of(declare: &Declare, formats: DefaultFormats, mistakes: &mut Vec<Diagnostic>) -> Self {
        let mut with = Self::check(&declare.options, Place::Declare, mistakes);
        if declare.columns.iter().any(|column| column.key.is_key()) {
            with.key_format = with.key_format.or(formats.key);
        }
        with.value_format = with.value_format.or(formats.value);
        with
    }

    fn set(&mut self, option: &WithOption) -> Result<(), Mistake> {
        let upper = option.value.to_uppercase();
        let place = option.place.clone();
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
            "RETENTION_MS" => self.retention_ms = Some((retention_ms(option)?, place)),
            "TIMESTAMP" => self.timestamp = Some((option.value.clone(), place)),
            "TIMESTAMP_FORMAT" => self.timestamp_format = Some((option.value.as_str().into(), place)),
            "WRAP_SINGLE_VALUE" => self.wrap = Some((truth(option)?, place)),
            "VALUE_DELIMITER" => self.value_delimiter = Some((delimiter(option)?, place)),
            "KEY_DELIMITER" => self.key_delimiter = Some((delimiter(option)?, place)),
            "KEY_SCHEMA_ID" => self.key_schema_id = Some(whole(option, i32::MAX)?),
            "VALUE_SCHEMA_ID" => self.value_schema_id = Some(whole(option, i32::MAX)?),
            "KEY_SCHEMA_FULL_NAME" => self.key_schema_name = Some(full_name(option)?),
            "VALUE_SCHEMA_FULL_NAME" | "VALUE_AVRO_SCHEMA_FULL_NAME" => {
                self.value_schema_name = Some(full_name(option)?);
            }
            "KEY_PROTOBUF_NULLABLE_REPRESENTATION" => self.key_nullable = nullable(option)?,
            "VALUE_PROTOBUF_NULLABLE_REPRESENTATION" => self.value_nullable = nullable(option)?,
            "WINDOW_TYPE" => self.window_type = Some((window_type(option, &upper)?, place)),
            "WINDOW_SIZE" => self.window_ms = Some((window_size(option, &upper)?, place)),
            "QUERY_ID" => {
                let fits = upper.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !upper.is_empty();
                if !fits {
                    return Err(wrong(option, "letters, digits and `_`", "QUERY_ID='MY_QUERY'"));
                }
                self.query_id = Some(upper.into());
            }
            // `SOURCED_BY_CONNECTOR` says where the topic comes from, and changes nothing.
            _ => {}
        }
        Ok(())
    }

    /// What goes together, and what does not.
    fn check_together(&self, options: &[WithOption], mistakes: &mut Vec<Diagnostic>) {
        let find = |name: &str| options.iter().find(|option| option.name.text == name);
        if let (Some(format), Some(other)) =
            (find("FORMAT"), find("KEY_FORMAT").or_else(|| find("VALUE_FORMAT")))
        {
            let message = format!("FORMAT and {} cannot both be given", other.name.text);
            mistakes.push(together(&message, "FORMAT is for key and value", &format.name.place));
        }
        if let Some((_, place)) = self.timestamp_format.as_ref().filter(|_| self.timestamp.is_none()) {
            mistakes.push(together(
                "TIMESTAMP_FORMAT needs TIMESTAMP",
                "say which column holds the time",
                place,
            ));
        }
        match (&self.window_type, &self.window_ms) {
            (Some((WindowType::Session, _)), Some((_, place))) => {
                mistakes.push(together("a session has no WINDOW_SIZE", "leave WINDOW_SIZE out", place));
            }
            (Some((WindowType::Tumbling | WindowType::Hopping, place)), None) => {
                mistakes.push(together(
                    "this WINDOW_TYPE needs WINDOW_SIZE",
                    "WINDOW_SIZE='10 SECONDS'",
                    place,
                ));
            }
            (None, Some((_, place))) => {
                mistakes.push(together("WINDOW_SIZE needs WINDOW_TYPE", "WINDOW_TYPE='TUMBLING'", place));
            }
            _ => {}
        }
    }

    /// The length of the windows in the key, in milliseconds.
    pub(super) fn window_ms(&self) -> Option<i64> {
        self.window_ms.as_ref().map(|(ms, _)| *ms)
    }

    /// Whether the key has a session.
    pub(super) fn is_session(&self) -> bool {
        matches!(self.window_type, Some((WindowType::Session, _)))
    }

    /// The key's format with its properties.
    pub(super) fn key_spec(&self, format: Format) -> FormatSpec {
        let mut spec = FormatSpec::key(format);
        spec.wrapped = format.wraps_single_keys();
        spec.delimiter = self.key_delimiter.as_ref().map_or(spec.delimiter, |(delimiter, _)| *delimiter);
        spec.schema_id = self.key_schema_id;
        spec.schema_name.clone_from(&self.key_schema_name);
        spec.nullable = self.key_nullable;
        spec
    }

    /// The value's format with its properties.
    pub(super) fn value_spec(&self, format: Format) -> FormatSpec {
        let mut spec = FormatSpec::value(format);
        let wrapped = format.allows_wrapping(true);
        spec.wrapped = self.wrap.as_ref().map_or(wrapped, |(wrap, _)| *wrap);
        spec.delimiter = self.value_delimiter.as_ref().map_or(spec.delimiter, |(delimiter, _)| *delimiter);
        spec.schema_id = self.value_schema_id;
        spec.schema_name.clone_from(&self.value_schema_name);
        spec.nullable = self.value_nullable;
        spec
    }

    /// Options that the formats do not know.
    pub(super) fn check_formats(
        &self,
        key: Format,
        value: Format,
        value_columns: usize,
        mistakes: &mut Vec<Diagnostic>,
    ) {
        for (delimiter, format, name) in
            [(&self.key_delimiter, key, "KEY_DELIMITER"), (&self.value_delimiter, value, "VALUE_DELIMITER")]
        {
            if let Some((_, place)) = delimiter.as_ref().filter(|_| format != Format::Delimited) {
                let message = format!("{name} does not go with the format {format}");
                mistakes.push(together(&message, "only DELIMITED has a delimiter", place));
            }
        }
        if let Some((wrap, place)) = &self.wrap {
            if value_columns != 1 {
                let message = "WRAP_SINGLE_VALUE is for values of one column";
                mistakes.push(together(
                    message,
                    "leave it out: several columns always stand in a record",
                    place,
                ));
            } else if !value.allows_wrapping(*wrap) {
                let message = format!("WRAP_SINGLE_VALUE={wrap} does not go with the format {value}");
                mistakes.push(together(&message, "leave it out", place));
            }
        }
        for (id, format, name) in
            [(self.key_schema_id, key, "KEY_SCHEMA_ID"), (self.value_schema_id, value, "VALUE_SCHEMA_ID")]
        {
            if id.is_some() && !format.needs_registry() {
                let message = format!("{name} does not go with the format {format}");
                let help = "AVRO, PROTOBUF and JSON_SR have schemas in the registry";
                mistakes.push(together(&message, help, &(0..0)));
            }
        }
    }
}

fn together(message: &str, help: &str, place: &Range<usize>) -> Diagnostic {
    Diagnostic::error("sql-option", message).label("does not fit").help(help).at(place.clone())
}

fn unknown(option: &WithOption, known: &[&str]) -> Diagnostic {
    let name = &option.name.text;
    let mistake = Diagnostic::error("sql-option", format!("there is no option `{name}` here"))
        .label(format!("expected one of {}", known.join(", ")))
        .at(option.name.place.clone());
    match nearest(name, known.iter().copied()) {
        _ if name.eq_ignore_ascii_case("KEY") => {
            mistake.help("write KEY, or PRIMARY KEY in a table, behind the column that the record's key is")
        }
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

/// Whether a topic may be called so.
pub(super) fn is_topic_name(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
        && (1..=249).contains(&name.len())
        && name != "."
        && name != ".."
}

fn topic_name(option: &WithOption) -> Result<Arc<str>, Mistake> {
    if is_topic_name(&option.value) {
        Ok(option.value.as_str().into())
    } else {
        Err(wrong(option, "1 to 249 letters, digits, `.`, `_` and `-`", "KAFKA_TOPIC='cooling.setpoints'"))
    }
}

fn format(option: &WithOption) -> Result<Format, Mistake> {
    let names = || Format::ALL.iter().map(|format| format.name()).collect::<Vec<_>>().join(", ");
    let example = match nearest(&option.value.to_uppercase(), Format::ALL.iter().map(|format| format.name()))
    {
        Some(near) => format!("did you mean {near}?"),
        None => format!("{}='JSON'", option.name.text),
    };
    Format::from_name(&option.value).ok_or_else(|| wrong(option, &format!("one of {}", names()), &example))
}

fn whole(option: &WithOption, max: i32) -> Result<i32, Mistake> {
    let number = option.value.parse().ok().filter(|n| (1..=max).contains(n));
    number.ok_or_else(|| {
        wrong(option, &format!("a whole number from 1 to {max}"), &format!("{}=1", option.name.text))
    })
}

fn truth(option: &WithOption) -> Result<bool, Mistake> {
    match option.value.to_uppercase().as_str() {
        "TRUE" => Ok(true),
        "FALSE" => Ok(false),
        _ => Err(wrong(option, "true or false", &format!("{}=false", option.name.text))),
    }
}

fn delimiter(option: &WithOption) -> Result<char, Mistake> {
    FormatSpec::delimiter_from(&option.value)
        .map_err(|help| wrong(option, "one character, 'SPACE' or 'TAB'", &help))
}

fn nullable(option: &WithOption) -> Result<Nullable, Mistake> {
    Nullable::from_name(&option.value)
        .ok_or_else(|| wrong(option, "OPTIONAL or WRAPPER", &format!("{}='OPTIONAL'", option.name.text)))
}

fn full_name(option: &WithOption) -> Result<Arc<str>, Mistake> {
    if option.value.trim().is_empty() {
        return Err(wrong(option, "the full name of a record", "VALUE_SCHEMA_FULL_NAME='com.plant.Press'"));
    }
    Ok(option.value.as_str().into())
}

fn retention_ms(option: &WithOption) -> Result<i64, Mistake> {
    // Kafka's -1 keeps everything.
    let number = option.value.parse().ok().filter(|n| *n >= 1 || *n == -1);
    number.ok_or_else(|| wrong(option, "a whole number of milliseconds", "RETENTION_MS=86400000 for a day"))
}

fn window_type(option: &WithOption, upper: &str) -> Result<WindowType, Mistake> {
    match upper {
        "TUMBLING" => Ok(WindowType::Tumbling),
        "HOPPING" => Ok(WindowType::Hopping),
        "SESSION" => Ok(WindowType::Session),
        _ => Err(wrong(
            option,
            "'TUMBLING', 'HOPPING' or 'SESSION'",
            "WINDOW_TYPE='TUMBLING', WINDOW_SIZE='10 SECONDS'",
        )),
    }
}

fn window_size(option: &WithOption, upper: &str) -> Result<i64, Mistake> {
    let refuse = || wrong(option, "a number and a unit", "WINDOW_SIZE='10 SECONDS'");
    let (number, unit) = upper.trim().split_once(' ').ok_or_else(refuse)?;
    let number: i64 = number.parse().map_err(|_| refuse())?;
    let factor = unit_ms(unit.trim()).ok_or_else(refuse)?;
    number.checked_mul(factor).filter(|ms| *ms > 0).ok_or_else(refuse)
}
