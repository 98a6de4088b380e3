//! What the binary formats share: a cursor over bytes that checks every length, the registry's frame, decimals as
//! two's complement.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::{Datum, Decimal, DecodeError};

/// A position in the bytes of one value.
#[derive(Debug, Clone)]
pub(super) struct Bytes<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Bytes<'a> {
    pub(super) const fn new(all: &'a [u8]) -> Self {
        Self { all, at: 0 }
    }

    /// How many bytes are left.
    pub(super) const fn left(&self) -> usize {
        self.all.len().saturating_sub(self.at)
    }

    pub(super) const fn error(&self, expected: &'static str) -> DecodeError {
        DecodeError::Malformed { at: self.at, expected }
    }

    /// Fails where there are bytes left.
    pub(super) const fn end(&self) -> Result<(), DecodeError> {
        if self.left() == 0 { Ok(()) } else { Err(self.error("nothing after the value")) }
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.at.checked_add(len);
        let taken = end.and_then(|end| self.all.get(self.at..end)).ok_or_else(|| self.error("more bytes"))?;
        self.at = self.at.saturating_add(len);
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| self.error("more bytes"))
    }

    /// A number of seven bits a byte, lowest first; at most 64 bits.
    pub(super) fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(self.error("a number of 64 bits"));
            }
            value |= bits.checked_shl(shift).unwrap_or(0);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.error("a number of at most ten bytes"))
    }

    /// A signed one, the sign in the lowest bit.
    pub(super) fn zigzag(&mut self) -> Result<i64, DecodeError> {
        let value = self.varint()?;
        let size = i64::from_ne_bytes((value >> 1).to_ne_bytes());
        Ok(if value & 1 == 0 { size } else { !size })
    }

    pub(super) fn boolean(&mut self) -> Result<bool, DecodeError> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(self.error("a truth value")),
        }
    }

    /// Bytes behind their count (Avro).
    pub(super) fn counted(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = usize::try_from(self.zigzag()?).map_err(|_| self.error("a length"))?;
        self.take(len)
    }

    /// Text behind the count of its bytes (Avro).
    pub(super) fn text(&mut self) -> Result<&'a str, DecodeError> {
        let start = self.at;
        std::str::from_utf8(self.counted()?)
            .map_err(|_| DecodeError::Malformed { at: start, expected: "UTF-8" })
    }
}

/// Appends a number of seven bits a byte, lowest first.
pub(super) fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or(0);
        value >>= 7;
        if value == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

/// Appends a signed one, the sign in the lowest bit.
pub(super) fn write_zigzag(value: i64, out: &mut Vec<u8>) {
    let shifted = u64::from_ne_bytes(value.to_ne_bytes()).wrapping_shl(1);
    write_varint(if value < 0 { !shifted } else { shifted }, out);
}

/// The id of a value's schema, and what comes behind it: Confluent's frame is a zero byte and four bytes of the id.
pub(super) fn unframe(bytes: &[u8]) -> Result<(i32, &[u8]), DecodeError> {
    match bytes.split_first_chunk() {
        Some(([0, a, b, c, d], rest)) => Ok((i32::from_be_bytes([*a, *b, *c, *d]), rest)),
        _ => Err(DecodeError::NoFrame),
    }
}

/// Appends the frame.
pub(super) fn frame(id: i32, out: &mut Vec<u8>) {
    out.push(0);
    out.extend_from_slice(&id.to_be_bytes());
}

/// A big-endian two's complement number; `None` where it needs more than 128 bits.
pub(super) fn two_complement(bytes: &[u8]) -> Option<i128> {
    let Some(first) = bytes.first() else { return Some(0) };
    let negative = *first >= 0x80;
    let fill = if negative { 0xff } else { 0 };
    let (leading, last) = bytes.split_at(bytes.len().saturating_sub(16));
    if leading.iter().any(|byte| *byte != fill) {
        return None;
    }
    let mut all = [fill; 16];
    let start = all.len().saturating_sub(last.len());
    all.get_mut(start..)?.copy_from_slice(last);
    let value = i128::from_be_bytes(all);
    ((value < 0) == negative).then_some(value)
}

/// The shortest big-endian two's complement of a number, as Java's `BigInteger.toByteArray` gives it.
pub(super) fn shortest(value: i128) -> ([u8; 16], usize) {
    let all = value.to_be_bytes();
    let fill = if value < 0 { 0xff } else { 0 };
    let mut start = 0_usize;
    while let (Some(byte), Some(next)) = (all.get(start), all.get(start.saturating_add(1))) {
        if *byte != fill || (*next >= 0x80) != (value < 0) {
            break;
        }
        start = start.saturating_add(1);
    }
    (all, start)
}

/// The number with another scale, where neither a digit is lost nor one too many; ksqlDB rounds nothing here either.
pub(super) fn fit(unscaled: i128, from: u8, precision: u8, scale: u8) -> Option<Decimal> {
    let moved = if scale >= from {
        unscaled.checked_mul(10_i128.checked_pow(u32::from(scale.saturating_sub(from)))?)?
    } else {
        let by = 10_i128.checked_pow(u32::from(from.saturating_sub(scale)))?;
        if unscaled.checked_rem(by)? != 0 {
            return None;
        }
        unscaled.checked_div(by)?
    };
    let most = 10_u128.checked_pow(u32::from(precision))?;
    (moved.unsigned_abs() < most).then(|| Decimal::new(moved, scale))
}

/// Whether two names are the same in any letter case.
pub(super) fn same_name(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || (!(a.is_ascii() && b.is_ascii()) && a.to_uppercase() == b.to_uppercase())
}

/// A map of these entries; of a key that stands twice the last value counts, as in Java.
pub(super) fn map(entries: Vec<(Datum<'static>, Datum<'static>)>) -> Datum<'static> {
    // Maps are small, or have few keys twice: looked up in an order of their own only where there are many.
    let mut places: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    let mut kept: Vec<(Datum<'static>, Datum<'static>)> = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let place = if kept.len() < 8 && places.is_empty() {
            kept.iter().position(|(known, _)| *known == key)
        } else {
            if places.is_empty() {
                places = kept.iter().enumerate().map(|(place, (key, _))| (key.to_string(), place)).collect();
            }
            places.get(&key.to_string()).copied()
        };
        if let Some((_, known)) = place.and_then(|place| kept.get_mut(place)) {
            *known = value;
        } else {
            if !places.is_empty() {
                places.insert(key.to_string(), kept.len());
            }
            kept.push((key, value));
        }
    }
    Datum::Map(kept.into())
}
