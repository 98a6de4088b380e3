//! One group in the changelog.
//!
//! ```text
//! value := time i64, flags u8, (word u64)*, (length u32, datum*)*      flags: bit 0 the group is visible
//! ```
//!
//! There are as many words and lists as the calls need: numbers are read as they stand. All is big-endian.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use crate::SqlError;
use crate::function::aggregate::Held;
use crate::state::{damaged, decode, encode};

/// One group's state beside its key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Saved {
    pub(super) timestamp: i64,
    /// Whether the group was emitted and not taken back since.
    pub(super) visible: bool,
    pub(super) words: Vec<u64>,
    pub(super) held: Vec<Held>,
}

/// Writes a group.
pub(super) fn write(timestamp: i64, visible: bool, words: &[u64], held: &[Held]) -> Vec<u8> {
    let mut out = Vec::with_capacity(words.len().saturating_mul(8).saturating_add(9));
    out.extend_from_slice(&timestamp.to_be_bytes());
    out.push(u8::from(visible));
    for word in words {
        out.extend_from_slice(&word.to_be_bytes());
    }
    let mut list = Vec::new();
    for values in held {
        list.clear();
        encode(values, &mut list);
        out.extend_from_slice(&u32::try_from(list.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(&list);
    }
    out
}

/// Reads a group of so many words and lists.
pub(super) fn read(bytes: &[u8], words: usize, lists: usize) -> Result<Saved, SqlError> {
    let (timestamp, rest) = bytes.split_first_chunk::<8>().ok_or_else(damaged)?;
    let (flags, rest) = rest.split_first().ok_or_else(damaged)?;
    let (numbers, mut rest) = rest.split_at_checked(words.saturating_mul(8)).ok_or_else(damaged)?;
    let mut held = Vec::with_capacity(lists);
    for _ in 0..lists {
        let (length, behind) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| damaged())?;
        let (list, behind) = behind.split_at_checked(length).ok_or_else(damaged)?;
        held.push(decode(list)?);
        rest = behind;
    }
    if !rest.is_empty() {
        return Err(damaged());
    }
    Ok(Saved {
        timestamp: i64::from_be_bytes(*timestamp),
        visible: flags & 1 != 0,
        words: numbers.as_chunks::<8>().0.iter().map(|word| u64::from_be_bytes(*word)).collect(),
        held,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Datum;
    use proptest::prelude::*;

    #[test]
    fn groups_are_read_as_they_were_written() {
        let held = vec![vec![Datum::Int(1), Datum::Null], vec![]];
        let bytes = write(-5, true, &[7, u64::MAX], &held);
        let saved = Saved { timestamp: -5, visible: true, words: vec![7, u64::MAX], held };
        assert_eq!(read(&bytes, 2, 2), Ok(saved));
        assert!((0..bytes.len()).all(|cut| bytes.get(..cut).is_some_and(|part| read(part, 2, 2).is_err())));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            bytes in proptest::collection::vec(any::<u8>(), 0..64), words in 0_usize..4, lists in 0_usize..3,
        ) {
            let _ = read(&bytes, words, lists);
        }
    }
}
