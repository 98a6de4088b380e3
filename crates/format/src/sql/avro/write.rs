//! Columns into Avro records, by any schema that has a place for them: the one made of the columns, or a registered one.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::schema::{AvroSchema, Node, RecordField, Walk};
use super::steps::{branch_name, describe};
use crate::sql::binary::{fit, same_name, shortest, write_zigzag};
use crate::sql::limits::SCHEMA_DEPTH_MAX;
use crate::sql::{Column, Columns, Datum, EncodeError, Format, LayoutError, SqlType};
use std::sync::Arc;

/// Writes rows by one schema.
#[derive(Debug)]
pub(in crate::sql) struct AvroEncoder {
    write: Write,
    columns: Columns,
}

#[derive(Debug)]
enum Write {
    Null,
    Boolean,
    /// A zigzag number, times so much; within 32 bits where the type is `int`.
    Whole(i64, bool),
    Float,
    Double,
    Text,
    Bytes,
    Fixed(usize),
    Enum(Vec<String>),
    Decimal {
        size: Option<usize>,
        precision: u8,
        scale: u8,
    },
    Array(Box<Self>),
    Map(Box<Self>),
    /// Records of key and value: the schema's fields in order, which of the two each takes.
    Entries(Vec<(Option<usize>, Self)>),
    /// The schema's fields in order, which of the values each takes.
    Record(Vec<(Option<usize>, Self)>),
    /// A value, or null where the schema has a branch for it.
    Union {
        null: Option<i64>,
        branch: i64,
        write: Box<Self>,
    },
    /// A struct whose fields are the branches of a union: the one that is not null is written.
    Branches {
        null: Option<i64>,
        branches: Vec<(usize, i64, Self)>,
    },
}

/// Why a value cannot be written, in words.
type Refusal = String;

impl AvroEncoder {
    pub(in crate::sql) fn new(
        schema: &AvroSchema,
        columns: &Columns,
        wrapped: bool,
    ) -> Result<Self, LayoutError> {
        let schema = &Walk::new(schema);
        let write = match columns.as_slice() {
            [(name, sql_type)] if !wrapped => write(schema, schema.root, *sql_type, name, 0)?,
            columns => {
                let sources: Vec<(&str, SqlType)> = columns.iter().map(|(n, t)| (&**n, *t)).collect();
                record(schema, schema.root, &sources, "", 0)?
            }
        };
        Ok(Self { write, columns: columns.clone() })
    }

    pub(in crate::sql) fn encode(
        &self,
        columns: &[&Column],
        row: usize,
        wrapped: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let mut write = &self.write;
        if let (true, Write::Union { branch, write: inner, .. }) = (wrapped, write) {
            write_zigzag(*branch, out);
            write = inner;
        }
        let (Write::Record(fields), true) = (write, wrapped) else {
            let value = columns.first().map_or(Datum::Null, |column| column.datum(row));
            return value_of(write, &value, out).map_err(|what| self.refused(0, what));
        };
        for (source, write) in fields {
            let value =
                source.and_then(|source| columns.get(source)).map_or(Datum::Null, |column| column.datum(row));
            value_of(write, &value, out).map_err(|what| self.refused(source.unwrap_or(0), what))?;
        }
        Ok(())
    }

    fn refused(&self, column: usize, what: Refusal) -> EncodeError {
        let column = self.columns.get(column).map_or_else(|| Arc::from("?"), |(name, _)| name.clone());
        EncodeError::Value { column, format: Format::Avro, what }
    }
}

fn value_of(write: &Write, value: &Datum<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    match (write, value) {
        (Write::Union { null, branch, write }, value) => {
            if let (Datum::Null, Some(null)) = (value, null) {
                write_zigzag(*null, out);
                return Ok(());
            }
            write_zigzag(*branch, out);
            return value_of(write, value, out);
        }
        (Write::Null, Datum::Null) => {}
        (_, Datum::Null) => return Err("NULL, where its schema allows none".to_owned()),
        (Write::Boolean, Datum::Boolean(v)) => out.push(u8::from(*v)),
        (Write::Whole(times, short), value) => whole(value, *times, *short, out)?,
        (Write::Double, value) => out.extend_from_slice(&number(value)?.to_le_bytes()),
        (Write::Float, value) => {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::as_conversions,
                reason = "the schema has 32 bits"
            )]
            let value = number(value)? as f32;
            out.extend_from_slice(&value.to_le_bytes());
        }
        (Write::Text, Datum::Varchar(v)) => counted(v.as_bytes(), out),
        (Write::Bytes, Datum::Bytes(v)) => counted(v, out),
        (Write::Fixed(size), Datum::Bytes(v)) if v.len() == *size => out.extend_from_slice(v),
        (Write::Fixed(size), Datum::Bytes(v)) => {
            return Err(format!("{} bytes, where it has {size}", v.len()));
        }
        (Write::Enum(symbols), Datum::Varchar(v)) => {
            let place =
                symbols.iter().position(|symbol| symbol == v).and_then(|place| i64::try_from(place).ok());
            write_zigzag(place.ok_or_else(|| format!("`{v}`, which is no symbol of its enum"))?, out);
        }
        (Write::Decimal { size, precision, scale }, Datum::Decimal(v)) => {
            let fits = fit(v.unscaled(), v.scale(), *precision, *scale);
            let fits =
                fits.ok_or_else(|| format!("{v}, which does not fit DECIMAL({precision}, {scale})"))?;
            decimal(fits.unscaled(), *size, out)?;
        }
        (Write::Array(item), Datum::Array(values)) => {
            block(values, out, |value, out| value_of(item, value, out))?;
        }
        (Write::Map(item), Datum::Map(entries)) => block(entries, out, |(key, value), out| {
            counted(key.as_str().ok_or("a key that is no text")?.as_bytes(), out);
            value_of(item, value, out)
        })?,
        (Write::Entries(fields), Datum::Map(entries)) => block(entries, out, |(key, value), out| {
            for (source, write) in fields {
                let part = match source {
                    Some(0) => key,
                    Some(_) => value,
                    None => &Datum::Null,
                };
                value_of(write, part, out)?;
            }
            Ok(())
        })?,
        (Write::Record(fields), Datum::Struct(values)) => {
            for (source, write) in fields {
                let value = source.and_then(|source| values.get(source)).unwrap_or(&Datum::Null);
                value_of(write, value, out)?;
            }
        }
        (Write::Branches { null, branches }, Datum::Struct(values)) => branch(*null, branches, values, out)?,
        (_, value) => return Err(format!("`{value}`")),
    }
    Ok(())
}

fn branch(
    null: Option<i64>,
    branches: &[(usize, i64, Write)],
    values: &[Datum<'static>],
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let mut set = branches.iter().filter_map(|(source, branch, write)| {
        let value = values.get(*source).filter(|value| !value.is_null())?;
        Some((branch, write, value))
    });
    match (set.next(), set.next(), null) {
        (Some((branch, write, value)), None, _) => {
            write_zigzag(*branch, out);
            value_of(write, value, out)
        }
        (Some(_), Some(_), _) => Err("a struct with two values for one union".to_owned()),
        (None, _, Some(null)) => {
            write_zigzag(null, out);
            Ok(())
        }
        (None, _, None) => Err("NULL, where its schema allows none".to_owned()),
    }
}

fn whole(value: &Datum<'_>, times: i64, short: bool, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let number = match value {
        Datum::Int(v) | Datum::Date(v) | Datum::Time(v) => i64::from(*v),
        Datum::BigInt(v) | Datum::Timestamp(v) => *v,
        other => return Err(format!("`{other}`")),
    };
    let number = number.checked_mul(times).filter(|number| !short || i32::try_from(*number).is_ok());
    write_zigzag(number.ok_or_else(|| format!("{value}, which is out of range"))?, out);
    Ok(())
}

fn number(value: &Datum<'_>) -> Result<f64, Refusal> {
    value.as_f64().ok_or_else(|| format!("`{value}`"))
}

fn decimal(unscaled: i128, size: Option<usize>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let (all, start) = shortest(unscaled);
    let digits = all.get(start..).unwrap_or_default();
    let Some(size) = size else {
        counted(digits, out);
        return Ok(());
    };
    let fill =
        size.checked_sub(digits.len()).ok_or_else(|| format!("more than {size} bytes of a decimal"))?;
    out.extend(std::iter::repeat_n(if unscaled < 0 { 0xff } else { 0 }, fill));
    out.extend_from_slice(digits);
    Ok(())
}

fn counted(bytes: &[u8], out: &mut Vec<u8>) {
    write_zigzag(i64::try_from(bytes.len()).unwrap_or(i64::MAX), out);
    out.extend_from_slice(bytes);
}

/// All items as one block.
fn block<T>(
    items: &[T],
    out: &mut Vec<u8>,
    mut item: impl FnMut(&T, &mut Vec<u8>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    if !items.is_empty() {
        write_zigzag(i64::try_from(items.len()).unwrap_or(i64::MAX), out);
        for one in items {
            item(one, out)?;
        }
    }
    write_zigzag(0, out);
    Ok(())
}

/// How values of `sql_type` are written as `node`.
#[expect(clippy::match_same_arms, reason = "one line per pair of types")]
fn write(
    schema: &Walk<'_>,
    node: usize,
    sql_type: SqlType,
    column: &str,
    depth: usize,
) -> Result<Write, LayoutError> {
    let refuse = || {
        let found = describe(schema.node(node));
        Err(LayoutError::new(format!("column `{column}` is {sql_type}, but its schema has {found} there")))
    };
    if depth > SCHEMA_DEPTH_MAX || !schema.step() {
        return refuse();
    }
    let below = depth.saturating_add(1);
    Ok(match (schema.node(node), sql_type) {
        (Node::Union(branches), sql_type) => union(schema, branches, sql_type, column, below)?,
        (Node::Boolean, SqlType::Boolean) => Write::Boolean,
        (Node::Int, SqlType::Int) | (Node::Date, SqlType::Date) | (Node::TimeMillis, SqlType::Time) => {
            Write::Whole(1, true)
        }
        (Node::Long, SqlType::Int | SqlType::BigInt | SqlType::Timestamp) => Write::Whole(1, false),
        (Node::TimeMicros, SqlType::Time) => Write::Whole(1_000, false),
        (Node::Timestamp { per_ms }, SqlType::Timestamp) => Write::Whole(*per_ms, false),
        (Node::Timestamp { .. } | Node::TimeMicros, SqlType::BigInt) => Write::Whole(1, false),
        (Node::Float, SqlType::Double) => Write::Float,
        (Node::Double, SqlType::Int | SqlType::BigInt | SqlType::Double) => Write::Double,
        (Node::String, SqlType::Varchar) => Write::Text,
        (Node::Bytes, SqlType::Bytes) => Write::Bytes,
        (Node::Fixed { size, .. }, SqlType::Bytes) => Write::Fixed(*size),
        (Node::Enum { symbols, .. }, SqlType::Varchar) => Write::Enum(symbols.clone()),
        (Node::Decimal { precision, scale, size }, SqlType::Decimal { .. }) => {
            Write::Decimal { size: *size, precision: *precision, scale: *scale }
        }
        (Node::Array(items), SqlType::Array(element)) => {
            Write::Array(Box::new(write(schema, *items, *element, column, below)?))
        }
        (Node::Map(values), SqlType::Map(&SqlType::Varchar, value)) => {
            Write::Map(Box::new(write(schema, *values, *value, column, below)?))
        }
        (Node::Array(items), SqlType::Map(key, value)) => {
            match record(schema, *items, &[("key", *key), ("value", *value)], column, below)? {
                Write::Record(fields) => Write::Entries(fields),
                _ => return refuse(),
            }
        }
        (Node::Record { .. }, SqlType::Struct(fields)) => {
            let sources: Vec<(&str, SqlType)> = fields.iter().map(|f| (f.name, f.sql_type)).collect();
            record(schema, node, &sources, column, below)?
        }
        _ => return refuse(),
    })
}

fn union(
    schema: &Walk<'_>,
    branches: &[usize],
    sql_type: SqlType,
    column: &str,
    depth: usize,
) -> Result<Write, LayoutError> {
    let number = |index: usize| i64::try_from(index).unwrap_or(i64::MAX);
    let null = branches.iter().position(|node| matches!(schema.node(*node), Node::Null)).map(number);
    let mut refusal = None;
    for (index, node) in branches.iter().enumerate() {
        if matches!(schema.node(*node), Node::Null) {
            continue;
        }
        match write(schema, *node, sql_type, column, depth) {
            Ok(write) => return Ok(Write::Union { null, branch: number(index), write: Box::new(write) }),
            Err(error) => refusal = Some(error),
        }
    }
    if let SqlType::Struct(fields) = sql_type {
        let mut found = Vec::with_capacity(fields.len());
        for (source, field) in fields.iter().enumerate() {
            let index =
                branches.iter().position(|node| same_name(branch_name(schema.node(*node)), field.name));
            if let Some((index, node)) = index.and_then(|index| Some((index, *branches.get(index)?))) {
                found.push((source, number(index), write(schema, node, field.sql_type, column, depth)?));
            }
        }
        if found.len() == fields.len() {
            return Ok(Write::Branches { null, branches: found });
        }
    }
    Err(refusal
        .unwrap_or_else(|| LayoutError::new(format!("column `{column}`: its schema has nothing but null"))))
}

fn record(
    schema: &Walk<'_>,
    node: usize,
    sources: &[(&str, SqlType)],
    column: &str,
    depth: usize,
) -> Result<Write, LayoutError> {
    match schema.node(node) {
        Node::Record { fields, .. } => {
            for (name, _) in sources {
                if !fields.iter().any(|field| same_name(&field.name, name)) {
                    return Err(LayoutError::new(format!("the schema has no field for column `{name}`")));
                }
            }
            let written: Result<_, LayoutError> =
                fields.iter().map(|field| self::field(schema, field, sources, column, depth)).collect();
            Ok(Write::Record(written?))
        }
        Node::Union(branches) => {
            let number = |index: usize| i64::try_from(index).unwrap_or(i64::MAX);
            let place = branches.iter().position(|node| matches!(schema.node(*node), Node::Record { .. }));
            let null = branches.iter().position(|node| matches!(schema.node(*node), Node::Null)).map(number);
            match place.and_then(|place| Some((place, *branches.get(place)?))) {
                Some((place, node)) => {
                    let write = record(schema, node, sources, column, depth.saturating_add(1))?;
                    Ok(Write::Union { null, branch: number(place), write: Box::new(write) })
                }
                None => Err(LayoutError::new("the schema has no record for the columns".to_owned())),
            }
        }
        other => Err(LayoutError::new(format!("the schema has {} instead of a record", describe(other)))
            .help("a schema that is no record holds one column alone: say WRAP_SINGLE_VALUE=false")),
    }
}

fn field(
    schema: &Walk<'_>,
    field: &RecordField,
    sources: &[(&str, SqlType)],
    column: &str,
    depth: usize,
) -> Result<(Option<usize>, Write), LayoutError> {
    let exact = sources.iter().position(|(name, _)| field.name == *name);
    let source = exact.or_else(|| sources.iter().position(|(name, _)| same_name(&field.name, name)));
    if let Some((name, sql_type)) = source.and_then(|source| sources.get(source)) {
        let path = if column.is_empty() { (*name).to_owned() } else { format!("{column}->{name}") };
        return Ok((source, write(schema, field.node, *sql_type, &path, depth.saturating_add(1))?));
    }
    match schema.node(field.node) {
        Node::Null => Ok((None, Write::Null)),
        Node::Union(branches) => {
            let null = branches.iter().position(|node| matches!(schema.node(*node), Node::Null));
            match null.and_then(|null| i64::try_from(null).ok()) {
                Some(null) => {
                    Ok((None, Write::Union { null: Some(null), branch: null, write: Box::new(Write::Null) }))
                }
                None => Err(no_column(&field.name)),
            }
        }
        _ => Err(no_column(&field.name)),
    }
}

fn no_column(field: &str) -> LayoutError {
    LayoutError::new(format!("the schema needs a value for `{field}`, but there is no such column"))
        .help("name a column so in the query, or let the schema allow null there")
}
