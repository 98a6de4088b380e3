//! The columns of a `CREATE`: declared, or as the registry's schema has them.

use super::options::With;
use super::query::Mistakes;
use super::scope::is_reserved;
use crate::parse::ast::{ColumnDeclaration, Declare, KeyWord, RelationKind};
use crate::{Catalog, ColumnSpec, Format, FormatSpec, Header, Relation, SqlType};
use millstream_format::sql::{Columns, Layout, ParsedSchema};
use millstream_model::{Diagnostic, nearest};
use std::ops::Range;
use std::sync::Arc;

/// The type of a `HEADERS` column.
fn all_headers() -> SqlType {
    SqlType::array(SqlType::structure([("KEY", SqlType::Varchar), ("VALUE", SqlType::Bytes)]))
}

fn mistake(message: String, label: &str, help: &str, place: &Range<usize>) -> Diagnostic {
    Diagnostic::error("sql-declare", message).label(label).help(help).at(place.clone())
}

/// A relation over a topic must say its topic, its columns and, for tables, its key.
pub(super) fn check(declare: &Declare, mistakes: &mut Mistakes) {
    let name = &declare.name;
    if !declare.options.iter().any(|option| option.name.text == "KAFKA_TOPIC") {
        mistakes.push(mistake(
            format!("`{}` has no topic", name.text),
            "KAFKA_TOPIC is missing",
            "WITH (KAFKA_TOPIC='…', VALUE_FORMAT='JSON')",
            &name.place,
        ));
    }
    let wanted = if declare.kind == RelationKind::Stream { KeyWord::Key } else { KeyWord::PrimaryKey };
    for (index, column) in declare.columns.iter().enumerate() {
        let place = &column.name.place;
        if declare.columns[..index].iter().any(|other| other.name.text == column.name.text) {
            let message = format!("there are two columns `{}`", column.name.text);
            mistakes.push(mistake(message, "the second one", "leave one out", place));
        }
        if is_reserved(&column.name.text) {
            let message = format!("a column cannot be called {}", column.name.text);
            mistakes.push(mistake(message, "every row has one of this name", "give it another name", place));
        }
        if column.key.is_key() && column.key != wanted {
            let (kind, word) =
                (declare.kind.word(), if wanted == KeyWord::Key { "KEY" } else { "PRIMARY KEY" });
            mistakes.push(mistake(
                format!("the key of a {kind} is written {word}"),
                &format!("expected {word}"),
                &format!("{} {} {word}", column.name.text, column.sql_type),
                place,
            ));
        }
        if column.key.is_key() && column.sql_type.resolve().is_ok_and(holds_map) {
            let message = format!("`{}` cannot be part of the key: it holds a MAP", column.name.text);
            let help = "the entries of a map have no order, so that equal maps may have different bytes";
            mistakes.push(mistake(message, "no MAP in a key", help, place));
        }
    }
    check_headers(&declare.columns, mistakes);
}

fn holds_map(sql_type: SqlType) -> bool {
    match sql_type {
        SqlType::Map(..) => true,
        SqlType::Array(element) => holds_map(*element),
        SqlType::Struct(fields) => fields.iter().any(|field| holds_map(field.sql_type)),
        _ => false,
    }
}

fn check_headers(columns: &[ColumnDeclaration], mistakes: &mut Mistakes) {
    let mut seen: Vec<&KeyWord> = Vec::new();
    for column in columns {
        let place = &column.name.place;
        let (wanted, example) = match &column.key {
            KeyWord::Headers => (all_headers(), "ARRAY<STRUCT<KEY VARCHAR, VALUE BYTES>> HEADERS"),
            KeyWord::Header(_) => (SqlType::Bytes, "BYTES HEADER('name')"),
            _ => continue,
        };
        if column.sql_type.resolve() != Ok(wanted) {
            let message = format!("`{}` cannot hold headers: it is {}", column.name.text, column.sql_type);
            let help = format!("write {} {example}", column.name.text);
            mistakes.push(mistake(message, &format!("expected {wanted}"), &help, place));
        }
        if seen.contains(&&column.key) {
            let message = format!("`{}` is a second column for the same headers", column.name.text);
            mistakes.push(mistake(message, "given before", "leave one out", place));
        } else if seen.iter().any(|other| (**other == KeyWord::Headers) != (column.key == KeyWord::Headers)) {
            let message = "HEADERS and HEADER('name') do not go together".to_owned();
            mistakes.push(mistake(message, "all headers or single ones", "leave one out", place));
        }
        seen.push(&column.key);
    }
}

/// The declared columns with those that the registry's schema adds where none were declared; those of the key first.
pub(super) fn columns(
    catalog: &Catalog,
    declare: &Declare,
    with: &With,
    key: &FormatSpec,
    value: &FormatSpec,
    mistakes: &mut Mistakes,
) -> Vec<ColumnSpec> {
    let topic = with.topic.as_deref().unwrap_or_default();
    let place = &declare.name.place;
    let mut keys: Vec<_> = declare.columns.iter().filter(|column| column.key.is_key()).map(spec).collect();
    let mut values: Vec<_> = declare.columns.iter().filter(|column| !column.key.is_key()).map(spec).collect();
    for (given, spec, name) in [(&mut keys, key, "KEY_SCHEMA_ID"), (&mut values, value, "VALUE_SCHEMA_ID")] {
        let is_key = name == "KEY_SCHEMA_ID";
        let declared = given.iter().any(|column| column.header.is_none());
        if declared && spec.schema_id.is_some() {
            let message = format!("{name} says what the columns are");
            let help = "leave the columns out, or the option";
            mistakes.push(mistake(message, "columns are given as well", help, place));
        }
        if declared || !spec.format.needs_registry() || (is_key && with.key_format.is_none()) {
            continue;
        }
        let known = catalog.inferred(topic, is_key, spec.schema_id).cloned();
        match known.or_else(|| will_be_registered(catalog, topic, is_key, spec)) {
            Some(found) => {
                given.extend(found.iter().map(|(name, t)| ColumnSpec::new(name.clone(), *t, is_key)));
            }
            None if is_key => {}
            None => {
                let message = format!("the columns of `{}` are not known", declare.name.text);
                let subject = millstream_format::registry::subject(topic, is_key);
                let help = format!("declare them, or register a schema as `{subject}`");
                mistakes.push(mistake(
                    message,
                    "no columns are given, and no schema was found",
                    &help,
                    place,
                ));
            }
        }
    }
    if values.is_empty() && keys.is_empty() && !value.format.needs_registry() {
        let message = format!("`{}` has no columns", declare.name.text);
        mistakes.push(mistake(message, "no columns are given", "write (NAME TYPE, …) after the name", place));
    }
    if declare.kind == RelationKind::Table && keys.is_empty() {
        mistakes.push(mistake(
            format!("table `{}` has no key", declare.name.text),
            "a table needs a PRIMARY KEY",
            "write PRIMARY KEY behind a column",
            place,
        ));
    }
    keys.extend(values);
    keys
}

/// The columns of the schema that a statement before this one registers for the topic, where that has not run yet.
fn will_be_registered(catalog: &Catalog, topic: &str, is_key: bool, spec: &FormatSpec) -> Option<Columns> {
    let of = |relation: &Relation| if is_key { relation.key.clone() } else { relation.value.clone() };
    let relation = catalog.relations().find(|r| *r.topic == *topic && of(r).format == spec.format)?;
    let columns = if is_key { relation.key_columns() } else { relation.value_columns() };
    let schema = Layout::new(of(relation), columns).schema().ok()?;
    ParsedSchema::new(&schema, &[]).columns(spec, is_key).ok()
}

fn spec(column: &ColumnDeclaration) -> ColumnSpec {
    let sql_type = column.sql_type.resolve().unwrap_or(SqlType::Varchar);
    let mut spec = ColumnSpec::new(column.name.text.as_str().into(), sql_type, column.key.is_key());
    spec.header = match &column.key {
        KeyWord::Headers => Some(Header::All),
        KeyWord::Header(name) => Some(Header::Named(name.as_str().into())),
        _ => None,
    };
    spec
}

/// The column that holds the rows' time.
pub(super) fn timestamp(with: &With, columns: &[ColumnSpec], mistakes: &mut Mistakes) -> Option<Arc<str>> {
    let (text, place) = with.timestamp.as_ref()?;
    let name = text.trim_matches('`');
    let name = if name.len() == text.len() { name.to_uppercase() } else { name.to_owned() };
    let found = columns.iter().find(|column| *column.name == name && !column.key && column.header.is_none());
    let fits = match (found.map(|column| column.sql_type), &with.timestamp_format) {
        (Some(SqlType::BigInt | SqlType::Timestamp), None) | (Some(SqlType::Varchar), Some(_)) => true,
        (Some(SqlType::Varchar), None) => {
            mistakes.push(
                Diagnostic::error("sql-timestamp", format!("`{name}` is a text"))
                    .label("its format is not known")
                    .help("add TIMESTAMP_FORMAT='yyyy-MM-dd''T''HH:mm:ssX'")
                    .at(place.clone()),
            );
            return None;
        }
        (Some(other), Some((_, format_place))) => {
            mistakes.push(
                Diagnostic::error(
                    "sql-timestamp",
                    format!("TIMESTAMP_FORMAT is for texts; `{name}` is {other}"),
                )
                .label("does not fit")
                .help("leave TIMESTAMP_FORMAT out")
                .at(format_place.clone()),
            );
            return None;
        }
        _ => false,
    };
    if fits {
        return Some(name.into());
    }
    let mistake = Diagnostic::error("sql-timestamp", format!("`{name}` cannot be the rows' time"))
        .label("expected a BIGINT column of the value that holds milliseconds since 1970, or a TIMESTAMP")
        .at(place.clone());
    let near = nearest(&name, columns.iter().map(|column| &*column.name).filter(|near| **near != *name));
    mistakes.push(match near {
        Some(near) if found.is_none() => mistake.help(format!("did you mean {near}?")),
        _ => mistake.help("leave TIMESTAMP out to use the record's own time"),
    });
    None
}

/// What the formats can hold, and which options they know.
pub(super) fn check_formats(relation: &Relation, with: &With, place: &Range<usize>, mistakes: &mut Mistakes) {
    let keys = relation.key_columns();
    let trouble = match relation.key.format {
        Format::Kafka if keys.len() > 1 => Some("the key format KAFKA holds one column only"),
        Format::Kafka if keys.iter().any(|(_, t)| *t == SqlType::Boolean) => {
            Some("the key format KAFKA holds no BOOLEAN")
        }
        Format::None if !keys.is_empty() => Some("the key format NONE holds no column"),
        _ => None,
    };
    if let Some(trouble) = trouble {
        let names: Vec<_> = keys.iter().map(|(name, _)| &**name).collect();
        mistakes.push(
            Diagnostic::error("sql-key-format", trouble)
                .label(format!("the key is {}", names.join(", ")))
                .help("WITH (KEY_FORMAT='JSON')")
                .at(place.clone()),
        );
    } else if !keys.is_empty() {
        check_layout(&Layout::new(relation.key.clone(), keys), "the key", place, mistakes);
    }
    let values = relation.value_columns();
    with.check_formats(relation.key.format, relation.value.format, values.len(), mistakes);
    check_layout(&Layout::new(relation.value.clone(), values), "the value", place, mistakes);
}

fn check_layout(layout: &Layout, what: &str, place: &Range<usize>, mistakes: &mut Mistakes) {
    let Err(error) = layout.check() else { return };
    let help = error.help.unwrap_or_else(|| "give another format with KEY_FORMAT or VALUE_FORMAT".to_owned());
    mistakes.push(
        Diagnostic::error("sql-format", format!("{what}: {}", error.message))
            .label(format!("the format of {what} is {}", layout.spec.format))
            .help(help)
            .at(place.clone()),
    );
}
