//! Columns into Protobuf messages, by any message that has fields for them: the one made of the columns, or a registered
//! one. What is `NULL` is left out.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::files::{Field, Kind, ProtobufFiles};
use crate::sql::binary::{fit, same_name, shortest, write_varint, write_zigzag};
use crate::sql::calendar::civil;
use crate::sql::limits::SCHEMA_DEPTH_MAX;
use crate::sql::{Column, Columns, Datum, EncodeError, Format, Layout, LayoutError, SqlType};
use std::sync::Arc;

/// Writes rows as one message.
#[derive(Debug)]
pub(in crate::sql) struct ProtobufEncoder {
    format: Format,
    indexes: Vec<i32>,
    columns: Columns,
    /// In the order of the fields' numbers.
    puts: Vec<Put>,
}

/// How one value becomes a field.
#[derive(Debug)]
struct Put {
    source: usize,
    number: u32,
    shape: Shape,
    /// Whether 0 and the empty text are written, because their absence means `NULL`.
    has_presence: bool,
}

#[derive(Debug)]
enum Shape {
    One(Give),
    Array(Give),
    /// Entries: the puts of key and value.
    Map(Vec<Put>),
}

#[derive(Debug)]
enum Give {
    Scalar(Kind),
    Enum(Vec<(i32, String)>),
    Struct(Vec<Put>),
    Wrapped(Box<Self>),
    Timestamp,
    Date,
    TimeOfDay,
    /// With the precision and scale that the field says, where it does.
    Decimal(Option<(u8, u8)>, u8),
}

/// Why a value cannot be written, in words.
type Refusal = String;

/// Appends message indexes. The first message of a file is a lone zero.
pub(in crate::sql) fn write_indexes(indexes: &[i32], out: &mut Vec<u8>) {
    if indexes == [0] {
        return out.push(0);
    }
    write_zigzag(i64::try_from(indexes.len()).unwrap_or(0), out);
    for index in indexes {
        write_zigzag(i64::from(*index), out);
    }
}

impl ProtobufEncoder {
    pub(in crate::sql) fn new(files: &ProtobufFiles, layout: &Layout) -> Result<Self, LayoutError> {
        let name = layout.spec.schema_name.as_deref();
        let (message, indexes) = files.message_named(name).ok_or_else(|| {
            LayoutError::new(format!("the schema has no message `{}`", name.unwrap_or("?")))
        })?;
        let sources: Vec<(&str, SqlType)> = layout.columns.iter().map(|(n, t)| (&**n, *t)).collect();
        let puts = puts(files, message, &sources, 0)?;
        Ok(Self { format: layout.spec.format, indexes, columns: layout.columns.clone(), puts })
    }

    /// The indexes of the message in its schema.
    pub(in crate::sql) fn indexes(&self) -> &[i32] {
        &self.indexes
    }

    pub(in crate::sql) fn encode(
        &self,
        columns: &[&Column],
        row: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        for put in &self.puts {
            let Some(column) = columns.get(put.source) else { continue };
            write(put, &column.datum(row), out).map_err(|what| {
                let column =
                    self.columns.get(put.source).map_or_else(|| Arc::from("?"), |(name, _)| name.clone());
                EncodeError::Value { column, format: self.format, what }
            })?;
        }
        Ok(())
    }
}

fn write(put: &Put, value: &Datum<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    match (&put.shape, value) {
        (_, Datum::Null) => Ok(()),
        (Shape::One(give), value) => {
            if !put.has_presence && is_zero(value) {
                return Ok(());
            }
            field(put.number, give, value, out)
        }
        (Shape::Array(give), Datum::Array(items)) => {
            if items.iter().any(Datum::is_null) {
                return Err("NULL inside an array".to_owned());
            }
            if let Give::Scalar(kind) = give
                && kind.wire() != 2
            {
                return packed(put.number, kind, items, out);
            }
            items.iter().try_for_each(|item| field(put.number, give, item, out))
        }
        (Shape::Map(puts), Datum::Map(entries)) => entries.iter().try_for_each(|(key, value)| {
            if key.is_null() {
                return Err("NULL as the key of a map".to_owned());
            }
            message(put.number, out, |out| {
                puts.iter().try_for_each(|put| write(put, if put.source == 0 { key } else { value }, out))
            })
        }),
        (_, value) => Err(format!("`{value}`")),
    }
}

/// Whether proto3 leaves it out, because its absence means the same.
fn is_zero(value: &Datum<'_>) -> bool {
    match value {
        Datum::Boolean(v) => !*v,
        Datum::Int(v) => *v == 0,
        Datum::BigInt(v) => *v == 0,
        Datum::Double(v) => v.to_bits() == 0,
        Datum::Varchar(v) => v.is_empty(),
        Datum::Bytes(v) => v.is_empty(),
        _ => false,
    }
}

fn key(number: u32, wire: u8, out: &mut Vec<u8>) {
    write_varint(u64::from(number).wrapping_shl(3) | u64::from(wire), out);
}

/// A field that holds bytes, which `content` writes.
fn message(
    number: u32,
    out: &mut Vec<u8>,
    content: impl FnOnce(&mut Vec<u8>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let mut inside = Vec::new();
    content(&mut inside)?;
    key(number, 2, out);
    write_varint(u64::try_from(inside.len()).unwrap_or(0), out);
    out.extend_from_slice(&inside);
    Ok(())
}

fn packed(number: u32, kind: &Kind, items: &[Datum<'static>], out: &mut Vec<u8>) -> Result<(), Refusal> {
    if items.is_empty() {
        return Ok(());
    }
    message(number, out, |out| items.iter().try_for_each(|item| scalar(kind, item, out)))
}

fn field(number: u32, give: &Give, value: &Datum<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    match (give, value) {
        (Give::Scalar(Kind::String), Datum::Varchar(v)) => bytes(number, v.as_bytes(), out),
        (Give::Scalar(Kind::Bytes), Datum::Bytes(v)) => bytes(number, v, out),
        (Give::Scalar(kind), value) => {
            key(number, kind.wire(), out);
            scalar(kind, value, out)?;
        }
        (Give::Enum(values), Datum::Varchar(v)) => {
            let value = values.iter().find(|(_, name)| name == v).map(|(value, _)| *value);
            let value = value
                .or_else(|| v.parse().ok())
                .ok_or_else(|| format!("`{v}`, which its enum does not have"))?;
            key(number, 0, out);
            write_varint(u64::from_ne_bytes(i64::from(value).to_ne_bytes()), out);
        }
        (Give::Struct(puts), Datum::Struct(values)) => message(number, out, |out| {
            puts.iter().try_for_each(|put| write(put, values.get(put.source).unwrap_or(&Datum::Null), out))
        })?,
        (Give::Wrapped(inner), value) => {
            message(number, out, |out| if is_zero(value) { Ok(()) } else { field(1, inner, value, out) })?;
        }
        (Give::Timestamp, Datum::Timestamp(v)) => {
            let nanos = v.rem_euclid(1_000).saturating_mul(1_000_000);
            numbers(number, [v.div_euclid(1_000), nanos, 0, 0], out)?;
        }
        (Give::Date, Datum::Date(v)) => {
            let (year, month, day) = civil(i64::from(*v));
            numbers(number, [year, month, day, 0], out)?;
        }
        (Give::TimeOfDay, Datum::Time(v)) => {
            let ms = i64::from(*v);
            let part = |per: i64, of: i64| ms.div_euclid(per).rem_euclid(of);
            let nanos = ms.rem_euclid(1_000).saturating_mul(1_000_000);
            numbers(number, [part(3_600_000, 24), part(60_000, 60), part(1_000, 60), nanos], out)?;
        }
        (Give::Decimal(digits, precision), Datum::Decimal(v)) => {
            let (precision, scale) = digits.unwrap_or((*precision, v.scale()));
            let fits = fit(v.unscaled(), v.scale(), precision, scale);
            let fits =
                fits.ok_or_else(|| format!("{v}, which does not fit DECIMAL({precision}, {scale})"))?;
            message(number, out, |out| {
                let (all, start) = shortest(fits.unscaled());
                bytes(1, all.get(start..).unwrap_or_default(), out);
                key(2, 0, out);
                write_varint(u64::from(precision), out);
                if scale > 0 {
                    key(3, 0, out);
                    write_varint(u64::from(scale), out);
                }
                Ok(())
            })?;
        }
        (_, value) => return Err(format!("`{value}`")),
    }
    Ok(())
}

fn bytes(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    key(number, 2, out);
    write_varint(u64::try_from(bytes.len()).unwrap_or(0), out);
    out.extend_from_slice(bytes);
}

/// A message of numbers, those that are 0 left out.
fn numbers(number: u32, values: [i64; 4], out: &mut Vec<u8>) -> Result<(), Refusal> {
    message(number, out, |out| {
        for (field, value) in (1..).zip(values).filter(|(_, value)| *value != 0) {
            key(field, 0, out);
            write_varint(u64::from_ne_bytes(value.to_ne_bytes()), out);
        }
        Ok(())
    })
}

fn scalar(kind: &Kind, value: &Datum<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    if let (Kind::Bool, Datum::Boolean(v)) = (kind, value) {
        out.push(u8::from(*v));
        return Ok(());
    }
    if matches!(kind, Kind::Double | Kind::Float) {
        let value = value.as_f64().ok_or_else(|| format!("`{value}`"))?;
        if *kind == Kind::Double {
            out.extend_from_slice(&value.to_le_bytes());
        } else {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::as_conversions,
                reason = "the field has 32 bits"
            )]
            out.extend_from_slice(&(value as f32).to_le_bytes());
        }
        return Ok(());
    }
    let number = match value {
        Datum::Int(v) | Datum::Date(v) | Datum::Time(v) => i64::from(*v),
        Datum::BigInt(v) | Datum::Timestamp(v) => *v,
        other => return Err(format!("`{other}`")),
    };
    let range = || format!("{number}, which is out of range");
    let small = i32::try_from(number);
    match kind {
        Kind::Int32 => {
            write_varint(u64::from_ne_bytes(i64::from(small.map_err(|_| range())?).to_ne_bytes()), out);
        }
        Kind::Int64 => write_varint(u64::from_ne_bytes(number.to_ne_bytes()), out),
        Kind::Uint32 => write_varint(u64::from(u32::try_from(number).map_err(|_| range())?), out),
        Kind::Uint64 => write_varint(u64::try_from(number).map_err(|_| range())?, out),
        Kind::Sint32 => write_zigzag(i64::from(small.map_err(|_| range())?), out),
        Kind::Sint64 => write_zigzag(number, out),
        Kind::Fixed32 => out.extend_from_slice(&u32::try_from(number).map_err(|_| range())?.to_le_bytes()),
        Kind::Sfixed32 => out.extend_from_slice(&small.map_err(|_| range())?.to_le_bytes()),
        Kind::Fixed64 => out.extend_from_slice(&u64::try_from(number).map_err(|_| range())?.to_le_bytes()),
        _ => out.extend_from_slice(&number.to_le_bytes()),
    }
    Ok(())
}

fn puts(
    files: &ProtobufFiles,
    message: usize,
    sources: &[(&str, SqlType)],
    depth: usize,
) -> Result<Vec<Put>, LayoutError> {
    let message = files.message(message).filter(|_| depth <= SCHEMA_DEPTH_MAX);
    let Some(message) = message else {
        return Err(LayoutError::new("the schema is nested too deeply".to_owned()));
    };
    let mut puts = Vec::with_capacity(sources.len());
    for (source, (name, sql_type)) in sources.iter().enumerate() {
        let exact = message.fields.iter().find(|field| field.name == *name);
        let field = exact.or_else(|| message.fields.iter().find(|field| same_name(&field.name, name)));
        let field =
            field.ok_or_else(|| LayoutError::new(format!("the schema has no field for column `{name}`")))?;
        let shape = shape(files, field, *sql_type, name, depth.saturating_add(1))?;
        puts.push(Put { source, number: field.number, shape, has_presence: field.has_presence });
    }
    let required = message
        .fields
        .iter()
        .find(|field| field.is_required && !puts.iter().any(|put| put.number == field.number));
    if let Some(field) = required {
        return Err(LayoutError::new(format!(
            "the schema needs `{}`, but there is no such column",
            field.name
        )));
    }
    puts.sort_by_key(|put| put.number);
    Ok(puts)
}

fn shape(
    files: &ProtobufFiles,
    field: &Field,
    sql_type: SqlType,
    path: &str,
    depth: usize,
) -> Result<Shape, LayoutError> {
    match (field.is_repeated, sql_type) {
        (true, SqlType::Map(key, value)) => match field.kind {
            Kind::Message(id) if files.entry(id).is_some() => {
                Ok(Shape::Map(puts(files, id, &[("key", *key), ("value", *value)], depth)?))
            }
            _ => Err(refused(field, sql_type, path)),
        },
        (true, SqlType::Array(element)) => give(files, field, *element, path, depth).map(Shape::Array),
        (true, _) => Err(refused(field, sql_type, path)),
        (false, _) => give(files, field, sql_type, path, depth).map(Shape::One),
    }
}

fn refused(field: &Field, sql_type: SqlType, path: &str) -> LayoutError {
    LayoutError::new(format!(
        "column `{path}` is {sql_type}, but field `{}` of the schema is not",
        field.name
    ))
}

#[expect(clippy::match_same_arms, reason = "one line per pair of types")]
fn give(
    files: &ProtobufFiles,
    field: &Field,
    sql_type: SqlType,
    path: &str,
    depth: usize,
) -> Result<Give, LayoutError> {
    let refuse = || Err(refused(field, sql_type, path));
    let scalar = || Ok(Give::Scalar(field.kind.clone()));
    match (&field.kind, sql_type) {
        (Kind::Bool, SqlType::Boolean) | (Kind::String, SqlType::Varchar) | (Kind::Bytes, SqlType::Bytes) => {
            scalar()
        }
        (Kind::Float | Kind::Double, SqlType::Double | SqlType::Int | SqlType::BigInt) => scalar(),
        (Kind::Int32 | Kind::Sint32 | Kind::Sfixed32, SqlType::Int | SqlType::Date | SqlType::Time) => {
            scalar()
        }
        (
            Kind::Int64
            | Kind::Uint64
            | Kind::Sint64
            | Kind::Fixed64
            | Kind::Sfixed64
            | Kind::Uint32
            | Kind::Fixed32,
            SqlType::Int | SqlType::BigInt | SqlType::Timestamp,
        ) => scalar(),
        (Kind::Enum(id), SqlType::Varchar) => {
            Ok(Give::Enum(files.enums.get(*id).map(|one| one.values.clone()).unwrap_or_default()))
        }
        (Kind::Message(id), sql_type) => {
            let name = files.message(*id).map_or("", |message| message.name.as_str());
            match (name, sql_type) {
                ("google.protobuf.Timestamp", SqlType::Timestamp) => Ok(Give::Timestamp),
                ("google.type.Date", SqlType::Date) => Ok(Give::Date),
                ("google.type.TimeOfDay", SqlType::Time) => Ok(Give::TimeOfDay),
                ("confluent.type.Decimal", SqlType::Decimal { precision, .. }) => {
                    Ok(Give::Decimal(field.digits, precision))
                }
                (_, SqlType::Struct(fields)) => {
                    let fields: Vec<(&str, SqlType)> = fields.iter().map(|f| (f.name, f.sql_type)).collect();
                    Ok(Give::Struct(puts(files, *id, &fields, depth)?))
                }
                _ => match files.wrapped(*id) {
                    Some(inner) if depth <= SCHEMA_DEPTH_MAX => {
                        let inner = give(files, inner, sql_type, path, depth.saturating_add(1))?;
                        Ok(Give::Wrapped(Box::new(inner)))
                    }
                    _ => refuse(),
                },
            }
        }
        _ => refuse(),
    }
}
