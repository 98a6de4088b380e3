//! A bounded cursor over a batch: big-endian numbers and Kafka's zigzag varints (as in Protocol Buffers).
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::header::BatchError;

/// Reads from front to back.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

macro_rules! numbers {
    ($($name:ident $type:ty;)*) => {$(
        pub(crate) fn $name(&mut self) -> Result<$type, BatchError> {
            let bytes = self.bytes.get(self.at..).ok_or(BatchError::TooShort)?;
            let number = bytes.first_chunk().ok_or(BatchError::TooShort)?;
            self.at = self.at.saturating_add(size_of::<$type>());
            Ok(<$type>::from_be_bytes(*number))
        }
    )*};
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    numbers! { i8 i8; u8 u8; i16 i16; i32 i32; u32 u32; i64 i64; }

    /// Where the next read begins.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// The range of the next `len` bytes, which are passed over.
    pub(crate) fn skip(&mut self, len: usize) -> Result<std::ops::Range<usize>, BatchError> {
        let end = self.at.checked_add(len).filter(|end| *end <= self.bytes.len());
        let range = self.at..end.ok_or(BatchError::TooShort)?;
        self.at = range.end;
        Ok(range)
    }

    /// A zigzag varint of at most 64 bits.
    #[inline]
    pub(crate) fn varlong(&mut self) -> Result<i64, BatchError> {
        // Most are short: lengths, and what is counted from the first record of a batch.
        if let Some(short @ 0..0x80) = self.bytes.get(self.at) {
            self.at = self.at.saturating_add(1);
            let magnitude = i64::from(short >> 1);
            return Ok(if short & 1 == 0 { magnitude } else { !magnitude });
        }
        self.long_varlong()
    }

    fn long_varlong(&mut self) -> Result<i64, BatchError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                let magnitude = i64::try_from(value >> 1).map_err(|_| BatchError::Field("varint"))?;
                return Ok(if value & 1 == 0 { magnitude } else { !magnitude });
            }
        }
        Err(BatchError::Field("varint"))
    }

    /// A zigzag varint of at most 32 bits.
    pub(crate) fn varint(&mut self) -> Result<i32, BatchError> {
        i32::try_from(self.varlong()?).map_err(|_| BatchError::Field("varint"))
    }

    /// A varint length and where so many bytes lie; `None` for -1.
    pub(crate) fn sized(&mut self) -> Result<Option<std::ops::Range<usize>>, BatchError> {
        match self.varint()? {
            -1 => Ok(None),
            len => {
                let len = usize::try_from(len).map_err(|_| BatchError::Field("length"))?;
                self.skip(len).map(Some)
            }
        }
    }
}

/// Appends a zigzag varint.
pub(crate) fn put_varlong(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        out.push(u8::try_from(rest & 0x7f).unwrap_or(0) | 0x80);
        rest >>= 7;
    }
    out.push(u8::try_from(rest).unwrap_or(0));
}

/// Appends a length as a varint and the bytes; -1 for `None`.
pub(crate) fn put_sized(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    put_varlong(out, bytes.map_or(-1, |bytes| i64::try_from(bytes.len()).unwrap_or(i64::MAX)));
    out.extend_from_slice(bytes.unwrap_or_default());
}
