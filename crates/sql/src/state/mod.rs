//! Keyed state and its changelog: what operators remember, as records of a compacted topic.
//!
//! Layout of a changelog record: the first byte of the key says what it is: `0` the operator's fingerprint (the shape of
//! its state; another shape is not read), `1` one entry, `2` the operator's clock. Values are lists of [`Datum`]s:
//!
//! ```text
//! value := datum*        datum := 0 (NULL) | 1 (false) | 2 (true) | 3 i32 | 4 i64 | 5 f64 | 6 u32-length utf-8
//! ```
//!
//! All numbers are big-endian.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use crate::{Datum, SqlError};
use std::borrow::Cow;

/// The key of the record that holds an operator's fingerprint.
pub(crate) const FINGERPRINT_KEY: &[u8] = &[0];
/// The first byte of an entry's key.
pub(crate) const ENTRY: u8 = 1;
/// The key of the record that holds an operator's clock.
pub(crate) const CLOCK_KEY: &[u8] = &[2];

/// Keys that changed, with their new values; `None` deletes.
pub(crate) type Changes = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// Writes values.
pub(crate) fn encode<'d>(values: impl IntoIterator<Item = &'d Datum<'d>>, out: &mut Vec<u8>) {
    for value in values {
        match value {
            Datum::Null => out.push(0),
            Datum::Boolean(false) => out.push(1),
            Datum::Boolean(true) => out.push(2),
            Datum::Int(v) => {
                out.push(3);
                out.extend_from_slice(&v.to_be_bytes());
            }
            Datum::BigInt(v) => {
                out.push(4);
                out.extend_from_slice(&v.to_be_bytes());
            }
            Datum::Double(v) => {
                out.push(5);
                out.extend_from_slice(&v.to_be_bytes());
            }
            Datum::Varchar(v) => {
                out.push(6);
                let length = u32::try_from(v.len()).unwrap_or(u32::MAX);
                out.extend_from_slice(&length.to_be_bytes());
                out.extend_from_slice(v.as_bytes());
            }
        }
    }
}

/// Reads what [`encode`] wrote.
pub(crate) fn decode(mut bytes: &[u8]) -> Result<Vec<Datum<'static>>, SqlError> {
    let mut values = Vec::new();
    while let Some((tag, rest)) = bytes.split_first() {
        bytes = rest;
        values.push(match tag {
            0 => Datum::Null,
            1 => Datum::Boolean(false),
            2 => Datum::Boolean(true),
            3 => Datum::Int(i32::from_be_bytes(take(&mut bytes)?)),
            4 => Datum::BigInt(i64::from_be_bytes(take(&mut bytes)?)),
            5 => Datum::Double(f64::from_be_bytes(take(&mut bytes)?)),
            6 => {
                let length = usize::try_from(u32::from_be_bytes(take(&mut bytes)?)).unwrap_or(usize::MAX);
                let (text, rest) = bytes.split_at_checked(length).ok_or_else(damaged)?;
                bytes = rest;
                let text = std::str::from_utf8(text).map_err(|_| damaged())?;
                Datum::Varchar(Cow::Owned(text.to_owned()))
            }
            _ => return Err(damaged()),
        });
    }
    Ok(values)
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
