//! `SET`: which properties there are, and what they may be.

use super::Action;
use super::query::Mistakes;
use crate::session::{KEY_FORMAT, VALUE_FORMAT};
use millstream_model::{Diagnostic, nearest};
use std::ops::Range;

/// One property that `SET` changes.
#[derive(Debug)]
pub struct Property {
    /// Its name, without `ksql.streams.`.
    pub name: &'static str,
    /// What it is where it is not set.
    pub default: &'static str,
    /// What it may be; empty for anything.
    pub values: &'static [&'static str],
    /// What it does.
    pub doc: &'static str,
}

/// The properties that do something here.
pub const PROPERTIES: &[Property] = &[
    Property {
        name: "auto.offset.reset",
        default: "latest",
        values: &["earliest", "latest"],
        doc: "Where a push query begins to read.",
    },
    Property {
        name: "ksql.variable.substitution.enable",
        default: "true",
        values: &["true", "false"],
        doc: "Whether ${name} stands for a variable's value.",
    },
    Property {
        name: "ksql.query.pull.table.scan.enabled",
        default: "true",
        values: &["true", "false"],
        doc: "Whether a pull query may read every row of a table.",
    },
    Property {
        name: KEY_FORMAT,
        default: "KAFKA",
        values: FORMATS,
        doc: "The format of keys that are declared without KEY_FORMAT.",
    },
    Property {
        name: VALUE_FORMAT,
        default: "JSON",
        values: FORMATS,
        doc: "The format of values that are declared without VALUE_FORMAT.",
    },
];

const FORMATS: &[&str] =
    &["JSON", "JSON_SR", "AVRO", "PROTOBUF", "PROTOBUF_NOSR", "DELIMITED", "KAFKA", "NONE"];

/// Properties of ksqlDB and Kafka Streams that scripts set and that change nothing here.
const WITHOUT_EFFECT: &[&str] = &[
    "cache.max.bytes.buffering",
    "statestore.cache.max.bytes",
    "commit.interval.ms",
    "num.stream.threads",
    "num.standby.replicas",
    "processing.guarantee",
    "replication.factor",
    "max.task.idle.ms",
    "max.poll.records",
    "session.timeout.ms",
    "request.timeout.ms",
    "state.dir",
    "topology.optimization",
    "default.deserialization.exception.handler",
    "producer.linger.ms",
];

/// `SET 'name' = 'value'`, and `UNSET 'name'` without a value.
pub(super) fn set(
    name: &str,
    value: Option<&str>,
    place: &Range<usize>,
    mistakes: &mut Mistakes,
) -> Option<Action> {
    let short = name.strip_prefix("ksql.streams.").unwrap_or(name);
    if let Some(property) = PROPERTIES.iter().find(|property| property.name == short) {
        let known = |value: &str| property.values.iter().find(|known| known.eq_ignore_ascii_case(value));
        if let Some(value) = value.filter(|value| known(value).is_none()) {
            let quoted: Vec<_> = property.values.iter().map(|value| format!("'{value}'")).collect();
            mistakes.push(
                Diagnostic::error("sql-property", format!("'{value}' is no value for it"))
                    .label(format!("expected {}", quoted.join(" or ")))
                    .help(format!("SET '{short}' = '{}';", property.default))
                    .at(place.clone()),
            );
            return None;
        }
        let value = value.and_then(known).map(|known| (*known).to_owned());
        return Some(Action::Set { name: short.to_owned(), value });
    }
    let known = name.starts_with("ksql.") || WITHOUT_EFFECT.contains(&short);
    if !known {
        let all = PROPERTIES.iter().map(|property| property.name).chain(WITHOUT_EFFECT.iter().copied());
        let mistake = Diagnostic::error("sql-property", format!("there is no property '{name}'"))
            .label("unknown property")
            .at(place.clone());
        mistakes.push(match nearest(short, all) {
            Some(near) => mistake.help(format!("did you mean '{near}'?")),
            None => mistake.help("SHOW PROPERTIES lists what there is"),
        });
        return None;
    }
    mistakes.push(
        Diagnostic::warning("sql-property", format!("the property '{name}' has no effect"))
            .label("it changes nothing here")
            .help("SHOW PROPERTIES lists those that do something")
            .at(place.clone()),
    );
    Some(Action::Set { name: short.to_owned(), value: value.map(str::to_owned) })
}
