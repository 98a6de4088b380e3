//! What the fields of a message become: worked out once for the columns that are asked for.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::files::{Field, Kind, ProtobufFiles};
use crate::sql::binary::same_name;
use crate::sql::json_nested::in_quotes;
use crate::sql::limits::SCHEMA_DEPTH_MAX;
use crate::sql::{Datum, SqlType};
use std::borrow::Cow;
use std::sync::Arc;

/// What the fields of a message become.
#[derive(Debug)]
pub(super) struct Targets {
    pub(super) fields: Vec<Target>,
    /// How many values there are.
    pub(super) count: usize,
}

#[derive(Debug)]
pub(super) struct Target {
    pub(super) number: u32,
    pub(super) place: usize,
    /// Of a column that holds the fields of a oneof as a struct: which of how many this is.
    pub(super) within: Option<(usize, usize)>,
    pub(super) shape: Shape,
    pub(super) absent: Datum<'static>,
}

#[derive(Debug)]
pub(super) enum Shape {
    One(Take),
    Array(Take),
    /// Messages of a key and a value.
    Map(Targets),
    /// What is there cannot become the column; told when it comes.
    Never(Arc<str>, SqlType, &'static str),
}

#[derive(Debug)]
pub(super) enum Take {
    /// A number or truth value, and the type that it becomes.
    Scalar(Kind, SqlType),
    Text,
    Bytes,
    Enum(Vec<(i32, Box<str>)>),
    Struct(Targets),
    /// A message of one field that stands for a scalar, and what it is when it is empty.
    Wrapped(Box<Self>, Datum<'static>),
    Timestamp,
    Date,
    TimeOfDay,
    Decimal(u8, u8),
}

/// What the fields of a message become: `columns` by their names.
pub(super) fn targets(
    files: &ProtobufFiles,
    message: usize,
    columns: &[(&str, SqlType)],
    path: &str,
    depth: usize,
) -> Targets {
    let mut targets = Targets { fields: Vec::new(), count: columns.len() };
    let Some(message) = files.message(message).filter(|_| depth <= SCHEMA_DEPTH_MAX) else { return targets };
    let below = depth.saturating_add(1);
    for (place, (name, sql_type)) in columns.iter().enumerate() {
        let exact = message.fields.iter().find(|field| field.name == *name);
        let field = exact.or_else(|| message.fields.iter().find(|field| same_name(&field.name, name)));
        if let Some(field) = field {
            targets.fields.push(Target {
                number: field.number,
                place,
                within: None,
                shape: shape(files, field, *sql_type, &inside(path, name), below),
                absent: absent(files, field, *sql_type),
            });
            continue;
        }
        // A oneof is a struct of its fields, called after it and its place.
        let oneof =
            (0..).zip(&message.oneofs).find(|(index, oneof)| same_name(&format!("{oneof}_{index}"), name));
        if let (Some((index, _)), SqlType::Struct(fields)) = (oneof, sql_type) {
            for field in message.fields.iter().filter(|field| field.oneof == Some(index)) {
                let inner = fields.iter().position(|inner| same_name(inner.name, &field.name));
                let Some((inner, inner_type)) = inner.and_then(|i| Some((i, fields.get(i)?.sql_type))) else {
                    continue;
                };
                targets.fields.push(Target {
                    number: field.number,
                    place,
                    within: Some((inner, fields.len())),
                    shape: shape(files, field, inner_type, &inside(path, name), below),
                    absent: Datum::Null,
                });
            }
        }
    }
    targets.fields.sort_by_key(|target| target.number);
    targets
}

fn inside(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}->{name}") }
}

/// What a field is when it is not there.
fn absent(files: &ProtobufFiles, field: &Field, sql_type: SqlType) -> Datum<'static> {
    if let Some(default) = &field.default {
        return in_quotes(default, sql_type, &field.name).unwrap_or(match (default.as_str(), sql_type) {
            ("true", SqlType::Boolean) => Datum::Boolean(true),
            ("false", SqlType::Boolean) => Datum::Boolean(false),
            _ => Datum::Null,
        });
    }
    match sql_type {
        SqlType::Array(_) => Datum::Array([].into()),
        SqlType::Map(..) => Datum::Map([].into()),
        _ if field.has_presence => Datum::Null,
        _ => zero(files, &field.kind, sql_type),
    }
}

/// What a scalar is when nothing is written.
fn zero(files: &ProtobufFiles, kind: &Kind, sql_type: SqlType) -> Datum<'static> {
    match (kind, sql_type) {
        (Kind::Message(_) | Kind::Opaque, _) => Datum::Null,
        (Kind::Enum(id), SqlType::Varchar) => {
            let values = files.enums.get(*id).map(|one| one.values.as_slice()).unwrap_or_default();
            let first = values.iter().find(|(number, _)| *number == 0).or_else(|| values.first());
            first.map_or(Datum::Null, |(_, name)| Datum::Varchar(name.clone().into()))
        }
        (_, SqlType::Boolean) => Datum::Boolean(false),
        (_, SqlType::Int) => Datum::Int(0),
        (_, SqlType::BigInt) => Datum::BigInt(0),
        (_, SqlType::Double) => Datum::Double(0.0),
        (Kind::String, SqlType::Varchar) => Datum::Varchar("".into()),
        (Kind::Bool, SqlType::Varchar) => Datum::Varchar("false".into()),
        (Kind::Double | Kind::Float, SqlType::Varchar) => Datum::Varchar("0.0".into()),
        (_, SqlType::Varchar) => Datum::Varchar("0".into()),
        (_, SqlType::Bytes) => Datum::Bytes(Cow::Borrowed(&[])),
        (_, SqlType::Date) => Datum::Date(0),
        (_, SqlType::Time) => Datum::Time(0),
        (_, SqlType::Timestamp) => Datum::Timestamp(0),
        _ => Datum::Null,
    }
}

fn shape(files: &ProtobufFiles, field: &Field, sql_type: SqlType, path: &str, depth: usize) -> Shape {
    let made = match (field.is_repeated, sql_type) {
        (true, SqlType::Map(key, value)) => entry(files, field, *key, *value, path, depth),
        (true, SqlType::Array(element)) => take(files, &field.kind, *element, path, depth).map(Shape::Array),
        (false, sql_type) => take(files, &field.kind, sql_type, path, depth).map(Shape::One),
        (true, _) => None,
    };
    made.unwrap_or_else(|| Shape::Never(path.into(), sql_type, describe(field)))
}

fn entry(
    files: &ProtobufFiles,
    field: &Field,
    key: SqlType,
    value: SqlType,
    path: &str,
    depth: usize,
) -> Option<Shape> {
    let Kind::Message(id) = field.kind else { return None };
    files.entry(id)?;
    Some(Shape::Map(targets(files, id, &[("key", key), ("value", value)], path, depth)))
}

/// How one value of `kind` becomes `sql_type`; `None` where it cannot.
#[expect(clippy::match_same_arms, reason = "one line per pair of types")]
fn take(files: &ProtobufFiles, kind: &Kind, sql_type: SqlType, path: &str, depth: usize) -> Option<Take> {
    let scalar = || Some(Take::Scalar(kind.clone(), sql_type));
    match (kind, sql_type) {
        (Kind::Bool, SqlType::Boolean | SqlType::Varchar) => scalar(),
        (
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32,
            SqlType::Int
            | SqlType::BigInt
            | SqlType::Double
            | SqlType::Varchar
            | SqlType::Date
            | SqlType::Time
            | SqlType::Timestamp,
        )
        | (
            Kind::Int64
            | Kind::Sint64
            | Kind::Sfixed64
            | Kind::Uint32
            | Kind::Fixed32
            | Kind::Uint64
            | Kind::Fixed64,
            SqlType::BigInt | SqlType::Double | SqlType::Varchar | SqlType::Timestamp,
        )
        | (Kind::Float | Kind::Double, SqlType::Double | SqlType::Varchar) => scalar(),
        (Kind::String, SqlType::Varchar) => Some(Take::Text),
        (Kind::Bytes | Kind::String, SqlType::Bytes) => Some(Take::Bytes),
        (Kind::Enum(id), SqlType::Varchar) => {
            let values = &files.enums.get(*id)?.values;
            Some(Take::Enum(values.iter().map(|(number, name)| (*number, name.as_str().into())).collect()))
        }
        (Kind::Enum(_), SqlType::Int | SqlType::BigInt) => Some(Take::Scalar(Kind::Int32, sql_type)),
        (Kind::Message(id), sql_type) => {
            let name = files.message(*id)?.name.as_str();
            match (name, sql_type) {
                ("google.protobuf.Timestamp", SqlType::Timestamp) => Some(Take::Timestamp),
                ("google.type.Date", SqlType::Date) => Some(Take::Date),
                ("google.type.TimeOfDay", SqlType::Time) => Some(Take::TimeOfDay),
                ("confluent.type.Decimal", SqlType::Decimal { precision, scale }) => {
                    Some(Take::Decimal(precision, scale))
                }
                (_, SqlType::Struct(fields)) => {
                    let fields: Vec<(&str, SqlType)> = fields.iter().map(|f| (f.name, f.sql_type)).collect();
                    Some(Take::Struct(targets(files, *id, &fields, path, depth)))
                }
                _ => {
                    let inner = files.wrapped(*id)?;
                    let value = take(files, &inner.kind, sql_type, path, depth.saturating_add(1))?;
                    Some(Take::Wrapped(Box::new(value), zero(files, &inner.kind, sql_type)))
                }
            }
        }
        _ => None,
    }
}

const fn describe(field: &Field) -> &'static str {
    match field.kind {
        _ if field.is_repeated => "a repeated field",
        Kind::Bool => "a truth value",
        Kind::String => "a text",
        Kind::Bytes => "bytes",
        Kind::Enum(_) => "an enum",
        Kind::Message(_) | Kind::Named(..) | Kind::Opaque => "a message",
        Kind::Double | Kind::Float => "a number",
        _ => "a whole number",
    }
}
