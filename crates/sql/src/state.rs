//! Keyed state and its changelog: what operators remember, as records of a compacted topic.
//!
//! Layout of a changelog record: the first byte of the key says what it is: `0` the operator's fingerprint (the shape of
//! its state; another shape is not read), `1` one entry, `2` the operator's clock. Values are lists of [`Datum`]s:
//!
//! ```text
//! value := datum*        datum := 0 (NULL) | 1 (false) | 2 (true) | 3 i32 | 4 i64 | 5 f64 | 6 length utf-8 | 7 length bytes
//!                                 | 8 i128 scale (DECIMAL) | 9 i32 (DATE) | 10 i32 (TIME) | 11 i64 (TIMESTAMP)
//!                                 | 12 length datum* (ARRAY) | 13 length (datum datum)* (MAP) | 14 length datum* (STRUCT)
//! ```
//!
//! All numbers are big-endian; a length has four bytes, a scale one.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use crate::{Datum, SqlError};
use millstream_format::sql::Decimal;
use std::borrow::Cow;

/// The key of the record that holds an operator's fingerprint.
pub(crate) const FINGERPRINT_KEY: &[u8] = &[0];
/// The first byte of an entry's key.
pub(crate) const ENTRY: u8 = 1;
/// The key of the record that holds an operator's clock.
pub(crate) const CLOCK_KEY: &[u8] = &[2];

/// How deeply values may hold other values: no format reads deeper ones.
const NESTING_MAX: usize = 128;

/// Keys that changed, with their new values; `None` deletes.
pub(crate) type Changes = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// Writes values.
pub(crate) fn encode<'d>(values: impl IntoIterator<Item = &'d Datum<'d>>, out: &mut Vec<u8>) {
    for value in values {
        one(value, out);
    }
}

fn one(value: &Datum<'_>, out: &mut Vec<u8>) {
    let mut fixed = |tag: u8, bytes: &[u8]| {
        out.push(tag);
        out.extend_from_slice(bytes);
    };
    match value {
        Datum::Null => out.push(0),
        Datum::Boolean(false) => out.push(1),
        Datum::Boolean(true) => out.push(2),
        Datum::Int(v) => fixed(3, &v.to_be_bytes()),
        Datum::BigInt(v) => fixed(4, &v.to_be_bytes()),
        Datum::Double(v) => fixed(5, &v.to_be_bytes()),
        Datum::Date(v) => fixed(9, &v.to_be_bytes()),
        Datum::Time(v) => fixed(10, &v.to_be_bytes()),
        Datum::Timestamp(v) => fixed(11, &v.to_be_bytes()),
        Datum::Decimal(v) => {
            fixed(8, &v.unscaled().to_be_bytes());
            out.push(v.scale());
        }
        Datum::Varchar(v) => {
            begin(6, v.len(), out);
            out.extend_from_slice(v.as_bytes());
        }
        Datum::Bytes(v) => {
            begin(7, v.len(), out);
            out.extend_from_slice(v);
        }
        Datum::Array(values) => {
            begin(12, values.len(), out);
            values.iter().for_each(|value| one(value, out));
        }
        Datum::Map(entries) => {
            begin(13, entries.len(), out);
            for (key, value) in entries.iter() {
                one(key, out);
                one(value, out);
            }
        }
        Datum::Struct(values) => {
            begin(14, values.len(), out);
            values.iter().for_each(|value| one(value, out));
        }
    }
}

fn begin(tag: u8, length: usize, out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

/// Reads what [`encode`] wrote.
pub(crate) fn decode(mut bytes: &[u8]) -> Result<Vec<Datum<'static>>, SqlError> {
    let mut values = Vec::new();
    while !bytes.is_empty() {
        values.push(read(&mut bytes, 0)?);
    }
    Ok(values)
}

fn read(bytes: &mut &[u8], depth: usize) -> Result<Datum<'static>, SqlError> {
    if depth > NESTING_MAX {
        return Err(damaged());
    }
    let [tag] = take(bytes)?;
    Ok(match tag {
        0 => Datum::Null,
        1 => Datum::Boolean(false),
        2 => Datum::Boolean(true),
        3 => Datum::Int(i32::from_be_bytes(take(bytes)?)),
        4 => Datum::BigInt(i64::from_be_bytes(take(bytes)?)),
        5 => Datum::Double(f64::from_be_bytes(take(bytes)?)),
        6 => {
            let text = std::str::from_utf8(counted(bytes)?).map_err(|_| damaged())?;
            Datum::Varchar(Cow::Owned(text.to_owned()))
        }
        7 => Datum::Bytes(Cow::Owned(counted(bytes)?.to_vec())),
        8 => {
            let unscaled = i128::from_be_bytes(take(bytes)?);
            let [scale] = take(bytes)?;
            Datum::Decimal(Decimal::new(unscaled, scale))
        }
        9 => Datum::Date(i32::from_be_bytes(take(bytes)?)),
        10 => Datum::Time(i32::from_be_bytes(take(bytes)?)),
        11 => Datum::Timestamp(i64::from_be_bytes(take(bytes)?)),
        12 => Datum::Array(several(bytes, depth, read)?.into()),
        13 => {
            let entry = |bytes: &mut &[u8], depth| Ok((read(bytes, depth)?, read(bytes, depth)?));
            Datum::Map(several(bytes, depth, entry)?.into())
        }
        14 => Datum::Struct(several(bytes, depth, read)?.into()),
        _ => return Err(damaged()),
    })
}

fn several<T>(
    bytes: &mut &[u8],
    depth: usize,
    one: impl Fn(&mut &[u8], usize) -> Result<T, SqlError>,
) -> Result<Vec<T>, SqlError> {
    let count = length(bytes)?;
    // Each takes a byte at least: a length that cannot be true reserves nothing.
    let mut all = Vec::with_capacity(count.min(bytes.len()));
    for _ in 0..count {
        all.push(one(bytes, depth.saturating_add(1))?);
    }
    Ok(all)
}

fn length(bytes: &mut &[u8]) -> Result<usize, SqlError> {
    usize::try_from(u32::from_be_bytes(take(bytes)?)).map_err(|_| damaged())
}

fn counted<'b>(bytes: &mut &'b [u8]) -> Result<&'b [u8], SqlError> {
    let length = length(bytes)?;
    let (part, rest) = bytes.split_at_checked(length).ok_or_else(damaged)?;
    *bytes = rest;
    Ok(part)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], SqlError> {
    let (number, rest) = bytes.split_first_chunk().ok_or_else(damaged)?;
    *bytes = rest;
    Ok(*number)
}

pub(crate) fn damaged() -> SqlError {
    SqlError::Query(
        "the saved state of the query cannot be read; delete its changelog topic to begin anew".to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_read_as_they_were_written() {
        let values = [
            Datum::Null,
            Datum::Boolean(true),
            Datum::Int(-7),
            Datum::BigInt(i64::MAX),
            Datum::Double(-0.5),
            Datum::Varchar(Cow::Borrowed("größe")),
            Datum::Bytes(Cow::Borrowed(&[0, 255])),
            Datum::Decimal(Decimal::new(-12_345, 2)),
            Datum::Date(-1),
            Datum::Time(86_399_999),
            Datum::Timestamp(1_700_000_000_000),
            Datum::Array([Datum::Int(1), Datum::Null].into()),
            Datum::Map([(Datum::Varchar("k".into()), Datum::Struct([Datum::Boolean(true)].into()))].into()),
            Datum::Boolean(false),
        ];
        let mut bytes = Vec::new();
        encode(&values, &mut bytes);
        assert_eq!(decode(&bytes).unwrap(), values);
        assert!(
            (0..bytes.len())
                .all(|cut| decode(bytes.get(..cut).unwrap()).map_or(true, |v| v.len() < values.len()))
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&bytes);
        }
    }
}
