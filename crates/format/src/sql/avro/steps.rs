//! What a writer's schema means for the columns that are asked for: steps, worked out once.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::schema::{Node, RecordField, Walk};
use crate::sql::SqlType;
use crate::sql::binary::same_name;
use crate::sql::limits::SCHEMA_DEPTH_MAX;
use std::sync::Arc;

/// What a number becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    Int,
    BigInt,
    Double,
    Text,
    Date,
    Time,
    Timestamp,
}

#[derive(Debug)]
pub(super) enum Read {
    Null,
    Boolean,
    BooleanText,
    /// A zigzag number, divided by so much.
    Whole(i64, Number),
    Float(Number),
    Double(Number),
    Text,
    Bytes,
    Fixed(usize),
    Enum(Vec<Box<str>>),
    Decimal {
        size: Option<usize>,
        from: u8,
        precision: u8,
        scale: u8,
    },
    Array(Box<Self>),
    Map(Box<Self>),
    /// Records of a key and a value: the writer's fields in order, which of the two each is.
    Entries(Vec<(Option<usize>, Self)>),
    /// The writer's fields in order with the place of each among the target's, and how many these are.
    Record(Vec<(Option<usize>, Self)>, usize),
    Union(Vec<Self>),
    /// A union of several types as a struct of its branches.
    Branches(Vec<(Option<usize>, Self)>, usize),
    Skip(usize),
    /// The writer's type cannot become the column's; told when such a value comes.
    Never(Arc<str>, SqlType, &'static str),
}

/// Steps that turn values of `node` into `sql_type`; `None` where that cannot be.
#[expect(clippy::match_same_arms, reason = "one line per pair of types")]
pub(super) fn read(
    schema: &Walk<'_>,
    node: usize,
    sql_type: SqlType,
    column: &str,
    depth: usize,
) -> Option<Read> {
    if depth > SCHEMA_DEPTH_MAX || !schema.step() {
        return None;
    }
    let below = depth.saturating_add(1);
    let number = match sql_type {
        SqlType::Int => Some(Number::Int),
        SqlType::BigInt => Some(Number::BigInt),
        SqlType::Double => Some(Number::Double),
        SqlType::Varchar => Some(Number::Text),
        SqlType::Date => Some(Number::Date),
        SqlType::Time => Some(Number::Time),
        SqlType::Timestamp => Some(Number::Timestamp),
        _ => None,
    };
    let made = match (schema.node(node), sql_type) {
        (Node::Null, _) => Read::Null,
        (Node::Union(branches), _) => union(schema, branches, sql_type, column, below),
        (Node::Boolean, SqlType::Boolean) => Read::Boolean,
        (Node::Boolean, SqlType::Varchar) => Read::BooleanText,
        (Node::Int, _) => Read::Whole(1, number?),
        (Node::Long, SqlType::BigInt | SqlType::Double | SqlType::Varchar | SqlType::Timestamp) => {
            Read::Whole(1, number?)
        }
        (Node::Date, SqlType::Date | SqlType::Int | SqlType::BigInt) => Read::Whole(1, number?),
        (Node::TimeMillis, SqlType::Time | SqlType::Int | SqlType::BigInt) => Read::Whole(1, number?),
        (Node::TimeMicros, SqlType::Time) => Read::Whole(1_000, Number::Time),
        (Node::TimeMicros, SqlType::BigInt) => Read::Whole(1, Number::BigInt),
        (Node::Timestamp { per_ms }, SqlType::Timestamp) => Read::Whole(*per_ms, Number::Timestamp),
        (Node::Timestamp { .. }, SqlType::BigInt) => Read::Whole(1, Number::BigInt),
        (Node::Float, SqlType::Double | SqlType::Varchar) => Read::Float(number?),
        (Node::Double, SqlType::Double | SqlType::Varchar) => Read::Double(number?),
        (Node::String | Node::Bytes, SqlType::Varchar) => Read::Text,
        (Node::String | Node::Bytes, SqlType::Bytes) => Read::Bytes,
        (Node::Fixed { size, .. }, SqlType::Bytes) => Read::Fixed(*size),
        (Node::Enum { symbols, .. }, SqlType::Varchar) => {
            Read::Enum(symbols.iter().map(|symbol| symbol.as_str().into()).collect())
        }
        (Node::Decimal { scale: from, size, .. }, SqlType::Decimal { precision, scale }) => {
            Read::Decimal { size: *size, from: *from, precision, scale }
        }
        (Node::Array(items), SqlType::Array(element)) => {
            Read::Array(Box::new(read_or_never(schema, *items, *element, column, below)))
        }
        (Node::Map(values), SqlType::Map(&SqlType::Varchar, value)) => {
            Read::Map(Box::new(read_or_never(schema, *values, *value, column, below)))
        }
        (Node::Array(items), SqlType::Map(key, value)) => {
            let pair = [("key", *key), ("value", *value)];
            match record(schema, *items, &pair, column, below)? {
                Read::Record(fields, _) => Read::Entries(fields),
                _ => return None,
            }
        }
        (Node::Record { .. }, SqlType::Struct(fields)) => {
            let fields: Vec<(&str, SqlType)> = fields.iter().map(|f| (f.name, f.sql_type)).collect();
            return record(schema, node, &fields, column, below);
        }
        _ => return None,
    };
    Some(made)
}

fn read_or_never(schema: &Walk<'_>, node: usize, sql_type: SqlType, column: &str, depth: usize) -> Read {
    read(schema, node, sql_type, column, depth)
        .unwrap_or_else(|| Read::Never(column.into(), sql_type, describe(schema.node(node))))
}

fn union(schema: &Walk<'_>, branches: &[usize], sql_type: SqlType, column: &str, depth: usize) -> Read {
    let many = branches.iter().filter(|node| !matches!(schema.node(**node), Node::Null)).count() > 1;
    if let (true, SqlType::Struct(fields)) = (many, sql_type) {
        let place = |node: usize| {
            fields.iter().position(|field| same_name(field.name, branch_name(schema.node(node))))
        };
        if branches.iter().any(|node| place(*node).is_some()) {
            let branches = branches.iter().map(|node| {
                let field = place(*node).and_then(|place| fields.get(place));
                let read = match (schema.node(*node), field) {
                    (Node::Null, _) => Read::Null,
                    (_, Some(field)) => read_or_never(schema, *node, field.sql_type, column, depth),
                    (_, None) => Read::Skip(*node),
                };
                (place(*node), read)
            });
            return Read::Branches(branches.collect(), fields.len());
        }
    }
    Read::Union(branches.iter().map(|node| read_or_never(schema, *node, sql_type, column, depth)).collect())
}

/// What Kafka Connect's converter calls a branch of a union of several types.
pub(super) fn branch_name(node: &Node) -> &str {
    let name = match node {
        Node::Null => "null",
        Node::Boolean => "boolean",
        Node::Int | Node::Date | Node::TimeMillis => "int",
        Node::Long | Node::TimeMicros | Node::Timestamp { .. } => "long",
        Node::Float => "float",
        Node::Double => "double",
        Node::Bytes | Node::Decimal { .. } => "bytes",
        Node::String => "string",
        Node::Array(_) => "array",
        Node::Map(_) => "map",
        Node::Union(_) => "union",
        Node::Fixed { name, .. } | Node::Enum { name, .. } | Node::Record { name, .. } => name,
    };
    name.rsplit_once('.').map_or(name, |(_, name)| name)
}

/// Steps for a record whose fields become `targets`.
pub(super) fn record(
    schema: &Walk<'_>,
    node: usize,
    targets: &[(&str, SqlType)],
    column: &str,
    depth: usize,
) -> Option<Read> {
    if depth > SCHEMA_DEPTH_MAX || !schema.step() {
        return None;
    }
    match schema.node(node) {
        Node::Record { fields, .. } => {
            let places = places(fields, targets);
            let fields = fields.iter().zip(places).map(|(field, place)| {
                let read = match place.and_then(|place| targets.get(place)) {
                    Some((name, sql_type)) => {
                        let path =
                            if column.is_empty() { (*name).to_owned() } else { format!("{column}->{name}") };
                        read_or_never(schema, field.node, *sql_type, &path, depth.saturating_add(1))
                    }
                    None => Read::Skip(field.node),
                };
                (place, read)
            });
            Some(Read::Record(fields.collect(), targets.len()))
        }
        Node::Null => Some(Read::Null),
        Node::Union(branches) => {
            let branches: Option<Vec<Read>> = branches
                .iter()
                .map(|node| record(schema, *node, targets, column, depth.saturating_add(1)))
                .collect();
            Some(Read::Union(branches?))
        }
        _ => None,
    }
}

/// For each field of the writer the target that it becomes: by its name, else by its name in any letter case.
fn places(fields: &[RecordField], targets: &[(&str, SqlType)]) -> Vec<Option<usize>> {
    let mut places = vec![None; fields.len()];
    for (target, (name, _)) in targets.iter().enumerate() {
        let found = fields
            .iter()
            .position(|field| field.name == *name)
            .or_else(|| fields.iter().position(|field| same_name(&field.name, name)));
        if let Some(place) = found.and_then(|found| places.get_mut(found)) {
            *place = Some(target);
        }
    }
    places
}

/// What values of a type are, in words.
pub(super) const fn describe(node: &Node) -> &'static str {
    match node {
        Node::Null => "null",
        Node::Boolean => "a truth value",
        Node::Int | Node::Long => "a whole number",
        Node::Float | Node::Double => "a number",
        Node::Bytes | Node::Fixed { .. } => "bytes",
        Node::String => "a text",
        Node::Date => "a date",
        Node::TimeMillis | Node::TimeMicros => "a time of day",
        Node::Timestamp { .. } => "a point in time",
        Node::Decimal { .. } => "a decimal",
        Node::Enum { .. } => "a symbol",
        Node::Array(_) => "an array",
        Node::Map(_) => "a map",
        Node::Union(_) => "one of several types",
        Node::Record { .. } => "a record",
    }
}
