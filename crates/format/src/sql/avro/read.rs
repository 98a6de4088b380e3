//! Avro records into columns: what the writer's schema says is turned into steps once, then every record is read by them.
//!
//! A field is found by its column's name in any letter case, as ksqlDB does; fields that no column asks for are skipped,
//! columns without a field are `NULL`. Numbers widen as the specification's resolution has it, and become text for a
//! `VARCHAR`. Of a union the branch counts that was written.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::schema::{AvroSchema, Node, Walk};
use super::steps::{Number, Read, read, record};
use crate::sql::binary::{Bytes, fit, two_complement};
use crate::sql::limits::{EMPTY_ITEMS_MAX, SCHEMA_DEPTH_MAX};
use crate::sql::{Datum, DecodeError, SqlType};
use std::borrow::Cow;
use std::sync::Arc;

/// Reads rows that one schema wrote.
#[derive(Debug)]
pub(in crate::sql) struct AvroDecoder {
    schema: Arc<AvroSchema>,
    /// Steps for the root: a struct of the columns, or the only column.
    read: Read,
    columns: usize,
    wrapped: bool,
}

impl AvroDecoder {
    pub(in crate::sql) fn new(
        schema: Arc<AvroSchema>,
        columns: &[(Arc<str>, SqlType)],
        wrapped: bool,
    ) -> Self {
        let walk = Walk::new(&schema);
        let made = match columns {
            [(name, sql_type)] if !wrapped => read(&walk, schema.root, *sql_type, name, 0),
            columns => {
                let names: Vec<(&str, SqlType)> = columns.iter().map(|(n, t)| (&**n, *t)).collect();
                record(&walk, schema.root, &names, "", 0)
            }
        };
        let never =
            || Read::Never("the value".into(), SqlType::structure([]), "something else than a record");
        Self { schema, read: made.unwrap_or_else(never), columns: columns.len(), wrapped }
    }

    /// The values of a row; `None` where the record is null.
    pub(in crate::sql) fn row<'a>(&self, bytes: &'a [u8]) -> Result<Option<Vec<Datum<'a>>>, DecodeError> {
        let mut input = Bytes::new(bytes);
        let mut row = vec![Datum::Null; self.columns];
        let read = match &self.read {
            // A root that may be null.
            Read::Union(branches) => {
                let branch = usize::try_from(input.zigzag()?).ok().and_then(|index| branches.get(index));
                branch.ok_or_else(|| input.error("a branch of the union"))?
            }
            read => read,
        };
        match read {
            Read::Null if self.wrapped => return Ok(None),
            Read::Record(fields, _) if self.wrapped => {
                for (place, read) in fields {
                    let value = self.value(read, &mut input, 1)?;
                    if let Some(slot) = place.and_then(|place| row.get_mut(place)) {
                        *slot = value;
                    }
                }
            }
            read => {
                let value = self.value(read, &mut input, 1)?;
                if let Some(slot) = row.first_mut() {
                    *slot = value;
                }
            }
        }
        input.end()?;
        Ok(Some(row))
    }

    fn value<'a>(&self, read: &Read, input: &mut Bytes<'a>, depth: usize) -> Result<Datum<'a>, DecodeError> {
        if depth > SCHEMA_DEPTH_MAX {
            return Err(DecodeError::TooDeep);
        }
        let below = depth.saturating_add(1);
        Ok(match read {
            Read::Null => Datum::Null,
            Read::Boolean => Datum::Boolean(input.boolean()?),
            Read::BooleanText => Datum::Varchar(if input.boolean()? { "true" } else { "false" }.into()),
            Read::Whole(per, to) => whole(input.zigzag()?.div_euclid((*per).max(1)), *to, input)?,
            Read::Float(to) => fraction(f64::from(f32::from_le_bytes(input.array()?)), *to, true),
            Read::Double(to) => fraction(f64::from_le_bytes(input.array()?), *to, false),
            Read::Text => Datum::Varchar(Cow::Borrowed(input.text()?)),
            Read::Bytes => Datum::Bytes(Cow::Borrowed(input.counted()?)),
            Read::Fixed(size) => Datum::Bytes(Cow::Borrowed(input.take(*size)?)),
            Read::Enum(symbols) => {
                let symbol = usize::try_from(input.zigzag()?).ok().and_then(|index| symbols.get(index));
                let symbol = symbol.ok_or_else(|| input.error("a symbol of the enum"))?;
                Datum::Varchar(Cow::Owned(symbol.to_string()))
            }
            Read::Decimal { size, from, precision, scale } => {
                let bytes = match size {
                    Some(size) => input.take(*size)?,
                    None => input.counted()?,
                };
                let unscaled =
                    two_complement(bytes).ok_or_else(|| input.error("a number of at most 38 digits"))?;
                let fits = fit(unscaled, *from, *precision, *scale);
                Datum::Decimal(fits.ok_or_else(|| input.error("a decimal that fits its column"))?)
            }
            Read::Array(_) | Read::Map(_) | Read::Entries(_) | Read::Record(..) => {
                self.container(read, input, below)?
            }
            Read::Union(branches) => {
                let branch = usize::try_from(input.zigzag()?).ok().and_then(|index| branches.get(index));
                let branch = branch.ok_or_else(|| input.error("a branch of the union"))?;
                self.value(branch, input, below)?
            }
            Read::Branches(branches, count) => self.branch(branches, *count, input, below)?,
            Read::Skip(node) => {
                self.skip(*node, input, below)?;
                Datum::Null
            }
            Read::Never(column, sql_type, found) => {
                return Err(DecodeError::Type { column: column.clone(), sql_type: *sql_type, found });
            }
        })
    }

    /// What holds other values.
    fn container(
        &self,
        read: &Read,
        input: &mut Bytes<'_>,
        below: usize,
    ) -> Result<Datum<'static>, DecodeError> {
        Ok(match read {
            Read::Array(item) => {
                let mut items = Vec::new();
                Self::blocks(input, |input| {
                    items.push(self.value(item, input, below)?.into_owned());
                    Ok(())
                })?;
                Datum::Array(items.into())
            }
            Read::Map(value) => {
                let mut entries = Vec::new();
                Self::blocks(input, |input| {
                    let key = Datum::Varchar(Cow::Owned(input.text()?.to_owned()));
                    entries.push((key, self.value(value, input, below)?.into_owned()));
                    Ok(())
                })?;
                crate::sql::binary::map(entries)
            }
            Read::Entries(fields) => {
                let mut entries = Vec::new();
                Self::blocks(input, |input| {
                    let [key, value] = self.pair(fields, input, below)?;
                    entries.push((key, value));
                    Ok(())
                })?;
                crate::sql::binary::map(entries)
            }
            Read::Record(fields, count) => {
                let mut values = vec![Datum::Null; *count];
                for (place, read) in fields {
                    let value = self.value(read, input, below)?;
                    if let Some(slot) = place.and_then(|place| values.get_mut(place)) {
                        *slot = value.into_owned();
                    }
                }
                Datum::Struct(values.into())
            }
            _ => Datum::Null,
        })
    }

    fn pair(
        &self,
        fields: &[(Option<usize>, Read)],
        input: &mut Bytes<'_>,
        depth: usize,
    ) -> Result<[Datum<'static>; 2], DecodeError> {
        let mut pair = [Datum::Null, Datum::Null];
        for (place, read) in fields {
            let value = self.value(read, input, depth)?.into_owned();
            if let Some(slot) = place.and_then(|place| pair.get_mut(place)) {
                *slot = value;
            }
        }
        Ok(pair)
    }

    fn branch(
        &self,
        branches: &[(Option<usize>, Read)],
        count: usize,
        input: &mut Bytes<'_>,
        depth: usize,
    ) -> Result<Datum<'static>, DecodeError> {
        let branch = usize::try_from(input.zigzag()?).ok().and_then(|index| branches.get(index));
        let (place, read) = branch.ok_or_else(|| input.error("a branch of the union"))?;
        let value = self.value(read, input, depth)?.into_owned();
        if matches!(read, Read::Null) {
            return Ok(Datum::Null);
        }
        let mut values = vec![Datum::Null; count];
        if let Some(slot) = place.and_then(|place| values.get_mut(place)) {
            *slot = value;
        }
        Ok(Datum::Struct(values.into()))
    }

    /// The items of an array or map, block by block.
    fn blocks<'a>(
        input: &mut Bytes<'a>,
        mut item: impl FnMut(&mut Bytes<'a>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let mut empty = 0_usize;
        loop {
            let mut count = input.zigzag()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                count = count.checked_neg().ok_or_else(|| input.error("a count of items"))?;
                input.zigzag()?; // The block's length in bytes: only for those who skip it.
            }
            for _ in 0..count {
                let before = input.left();
                item(input)?;
                // Items of no bytes are the only ones whose number the input does not bound.
                empty = empty.saturating_add(usize::from(input.left() == before));
                if empty > EMPTY_ITEMS_MAX {
                    return Err(input.error("fewer items without a byte"));
                }
            }
        }
    }

    fn skip(&self, node: usize, input: &mut Bytes<'_>, depth: usize) -> Result<(), DecodeError> {
        if depth > SCHEMA_DEPTH_MAX {
            return Err(DecodeError::TooDeep);
        }
        let below = depth.saturating_add(1);
        match self.schema.node(node) {
            Node::Null => {}
            Node::Boolean => drop(input.take(1)?),
            Node::Int
            | Node::Long
            | Node::Date
            | Node::TimeMillis
            | Node::TimeMicros
            | Node::Timestamp { .. }
            | Node::Enum { .. } => drop(input.zigzag()?),
            Node::Float => drop(input.take(4)?),
            Node::Double => drop(input.take(8)?),
            Node::Bytes | Node::String | Node::Decimal { size: None, .. } => drop(input.counted()?),
            Node::Fixed { size, .. } | Node::Decimal { size: Some(size), .. } => drop(input.take(*size)?),
            Node::Array(items) => Self::blocks(input, |input| self.skip(*items, input, below))?,
            Node::Map(values) => Self::blocks(input, |input| {
                input.counted()?;
                self.skip(*values, input, below)
            })?,
            Node::Union(branches) => {
                let branch = usize::try_from(input.zigzag()?).ok().and_then(|index| branches.get(index));
                let branch = *branch.ok_or_else(|| input.error("a branch of the union"))?;
                self.skip(branch, input, below)?;
            }
            Node::Record { fields, .. } => {
                for field in fields {
                    self.skip(field.node, input, below)?;
                }
            }
        }
        Ok(())
    }
}

fn whole<'a>(value: i64, to: Number, input: &Bytes<'_>) -> Result<Datum<'a>, DecodeError> {
    let small = || i32::try_from(value).map_err(|_| input.error("a number of 32 bits"));
    Ok(match to {
        Number::Int => Datum::Int(small()?),
        Number::BigInt => Datum::BigInt(value),
        Number::Double => Datum::Double(Datum::BigInt(value).as_f64().unwrap_or(f64::NAN)),
        Number::Text => Datum::Varchar(Cow::Owned(value.to_string())),
        Number::Date => Datum::Date(small()?),
        Number::Time => Datum::Time(small()?),
        Number::Timestamp => Datum::Timestamp(value),
    })
}

fn fraction<'a>(value: f64, to: Number, short: bool) -> Datum<'a> {
    match to {
        Number::Text if short => {
            // The digits of 32 bits, not those of the same number with 64.
            #[expect(
                clippy::cast_possible_truncation,
                clippy::as_conversions,
                reason = "it was one of 32 bits"
            )]
            let digits: f64 = (value as f32).to_string().parse().unwrap_or(value);
            Datum::Varchar(Cow::Owned(crate::sql::java_double(digits)))
        }
        Number::Text => Datum::Varchar(Cow::Owned(crate::sql::java_double(value))),
        _ => Datum::Double(value),
    }
}
