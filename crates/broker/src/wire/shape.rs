//! The shapes of requests, and a look at the bytes of one before it is decoded.
//!
//! A decoder takes room for as many elements as an array says it has. So what is announced is held against the bytes that are
//! there first, and what the request will take in memory is counted: a few bytes on the wire can be a hundred in memory.
//! The fields and their versions are those of the protocol's schemas ("The Messages" in Kafka's protocol guide).
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

mod admin;
mod data;
mod field;
mod group;
mod security;
#[cfg(test)]
mod tests;
mod transaction;

use crate::wire::limits;
use field::{Field, Kind, Shape};
use thiserror::Error;

/// Tables, each of one family.
const TABLES: [&[Shape]; 5] =
    [data::SHAPES, group::SHAPES, transaction::SHAPES, admin::SHAPES, security::SHAPES];

/// What a request takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Measure {
    /// Bytes that its fields have on the wire. More may follow: Kafka passes over them, too.
    pub(crate) wire_bytes: usize,
    /// About the memory that it takes when it is decoded, its strings and byte fields aside: they stay where they came in.
    pub(crate) memory_bytes: usize,
}

/// Why bytes are no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum ShapeError {
    #[error("there is no request {0}")]
    Unknown(i16),
    #[error("`{0}` ends too early")]
    Truncated(&'static str),
    #[error("`{0}` has a length that cannot be")]
    Length(&'static str),
    #[error("its fields take more than {max} bytes of memory", max = limits::DECODED_BYTES)]
    TooLarge,
}

/// The first version in which a request has compact lengths and tagged fields (KIP-482).
pub(crate) fn is_flexible(api_key: i16, version: i16) -> bool {
    shape(api_key).is_some_and(|shape| version >= shape.flexible_since)
}

/// Looks at the body of a request in one of its versions.
pub(crate) fn measure(api_key: i16, version: i16, body: &[u8]) -> Result<Measure, ShapeError> {
    let shape = shape(api_key).ok_or(ShapeError::Unknown(api_key))?;
    let is_flexible = version >= shape.flexible_since;
    let mut walker = Walker { version, is_flexible, rest: body, memory_bytes: 0 };
    walker.fields(shape.fields)?;
    let wire_bytes = body.len().saturating_sub(walker.rest.len());
    Ok(Measure { wire_bytes, memory_bytes: walker.memory_bytes })
}

fn shape(api_key: i16) -> Option<&'static Shape> {
    TABLES.iter().flat_map(|table| table.iter()).find(|shape| shape.api_key == api_key)
}

/// Memory of a struct's map of unknown tagged fields, empty.
const TAGS_BYTES: usize = 24;
/// The same for its first one, and about for each.
const FIRST_TAG_BYTES: usize = 480;
const TAG_BYTES: usize = 64;

struct Walker<'a> {
    version: i16,
    is_flexible: bool,
    rest: &'a [u8],
    memory_bytes: usize,
}

impl Walker<'_> {
    /// A struct: its fields, and its tagged ones behind them.
    fn fields(&mut self, fields: &'static [Field]) -> Result<(), ShapeError> {
        for field in fields {
            // One that is not there in this version has its default in memory.
            self.takes(field.kind.memory_bytes())?;
            if field.tag.is_none() && field.is_in(self.version) {
                self.value(field.name, &field.kind)?;
            }
        }
        if self.is_flexible { self.tags(fields) } else { Ok(()) }
    }

    fn value(&mut self, name: &'static str, kind: &Kind) -> Result<(), ShapeError> {
        match kind {
            Kind::Fixed(width) => self.skip(name, usize::from(*width)),
            Kind::Text if !self.is_flexible => {
                let len = i64::from(i16::from_be_bytes(self.take(name)?));
                self.skip_maybe(name, len)
            }
            Kind::Text | Kind::Bytes => {
                let len = self.length(name)?;
                self.skip_maybe(name, len)
            }
            Kind::Row(element) => {
                for _ in 0..self.count(name)? {
                    self.takes(element.memory_bytes())?;
                    self.value(name, element)?;
                }
                Ok(())
            }
            Kind::Array(fields) => {
                for _ in 0..self.count(name)? {
                    self.fields(fields)?;
                }
                Ok(())
            }
            Kind::Part(fields) => self.fields(fields),
            Kind::Maybe(fields) => {
                let [is_there] = self.take(name)?;
                if is_there == 1 { self.fields(fields) } else { Ok(()) }
            }
        }
    }

    /// The tagged fields of a struct. A known one must be as long as it says.
    fn tags(&mut self, fields: &'static [Field]) -> Result<(), ShapeError> {
        const NAME: &str = "tagged fields";
        self.takes(TAGS_BYTES)?;
        let count = self.varint(NAME)?;
        if count > 0 {
            self.takes(FIRST_TAG_BYTES)?;
        }
        for _ in 0..count {
            self.takes(TAG_BYTES)?;
            let tag = self.varint(NAME)?;
            let len = usize::try_from(self.varint(NAME)?).map_err(|_| ShapeError::Length(NAME))?;
            let known = fields.iter().find(|field| field.tag.is_some_and(|known| u32::from(known) == tag));
            match known {
                Some(field) => {
                    let end = self.rest.len().checked_sub(len).ok_or(ShapeError::Truncated(NAME))?;
                    self.value(field.name, &field.kind)?;
                    if self.rest.len() != end {
                        return Err(ShapeError::Length(field.name));
                    }
                }
                None => self.skip(NAME, len)?,
            }
        }
        Ok(())
    }

    /// How many elements an array has. Each has a byte at least.
    fn count(&mut self, name: &'static str) -> Result<usize, ShapeError> {
        let count = usize::try_from(self.length(name)?.max(0)).map_err(|_| ShapeError::Length(name))?;
        if count > self.rest.len() { Err(ShapeError::Truncated(name)) } else { Ok(count) }
    }

    /// A length, -1 for null.
    fn length(&mut self, name: &'static str) -> Result<i64, ShapeError> {
        let length = if self.is_flexible {
            i64::from(self.varint(name)?).saturating_sub(1)
        } else {
            i64::from(i32::from_be_bytes(self.take(name)?))
        };
        if length < -1 { Err(ShapeError::Length(name)) } else { Ok(length) }
    }

    /// As the decoder reads it: five bytes at most, the bits past 32 lost.
    fn varint(&mut self, name: &'static str) -> Result<u32, ShapeError> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.take(name)?;
            value |= u32::from(byte & 0x7f).wrapping_shl(shift);
            if byte < 0x80 {
                break;
            }
        }
        Ok(value)
    }

    fn skip_maybe(&mut self, name: &'static str, len: i64) -> Result<(), ShapeError> {
        match len {
            i64::MIN..-1 => Err(ShapeError::Length(name)),
            -1 => Ok(()),
            0.. => self.skip(name, usize::try_from(len).map_err(|_| ShapeError::Length(name))?),
        }
    }

    fn skip(&mut self, name: &'static str, len: usize) -> Result<(), ShapeError> {
        self.rest = self.rest.get(len..).ok_or(ShapeError::Truncated(name))?;
        Ok(())
    }

    fn take<const N: usize>(&mut self, name: &'static str) -> Result<[u8; N], ShapeError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(ShapeError::Truncated(name))?;
        self.rest = rest;
        Ok(*taken)
    }

    fn takes(&mut self, bytes: usize) -> Result<(), ShapeError> {
        self.memory_bytes = self.memory_bytes.saturating_add(bytes);
        if self.memory_bytes > limits::DECODED_BYTES { Err(ShapeError::TooLarge) } else { Ok(()) }
    }
}
