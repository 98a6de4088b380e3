//! A bounded cursor over one frame. Every read names what it reads, so that an error says where and what.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use thiserror::Error;

/// What is wrong with a frame.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what} at byte {at}: {kind}")]
pub struct DecodeError {
    /// The name of the part that was being read.
    pub what: &'static str,
    /// Where it starts in the frame.
    pub at: usize,
    /// What is wrong with it.
    pub kind: DecodeErrorKind,
}

/// What is wrong with a part of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeErrorKind {
    /// The frame ends too early.
    #[error("needs {need} bytes, has {have}")]
    TooShort {
        /// Bytes needed.
        need: usize,
        /// Bytes there are.
        have: usize,
    },
    /// A value that is not allowed.
    #[error("{0} is not allowed")]
    Value(u64),
    /// Bytes after the end.
    #[error("{0} bytes too many")]
    Trailing(usize),
    /// A length over the protocol's maximum.
    #[error("{got} is over the limit of {max}")]
    Limit {
        /// The maximum.
        max: usize,
        /// What was claimed.
        got: usize,
    },
}

/// Reads a frame from front to back.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

macro_rules! numbers {
    ($($name:ident $type:ty, $from:ident;)*) => {$(
        #[doc = concat!("The next `", stringify!($type), "` (`", stringify!($from), "`).")]
        pub fn $name(&mut self, what: &'static str) -> Result<$type, DecodeError> {
            self.array(what).map(<$type>::$from)
        }
    )*};
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// Where the next byte is.
    pub const fn position(&self) -> usize {
        self.at
    }

    /// An error about `what` at the present place.
    pub const fn error(&self, what: &'static str, kind: DecodeErrorKind) -> DecodeError {
        DecodeError { what, at: self.at, kind }
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let short = DecodeErrorKind::TooShort { need: len, have: self.remaining() };
        let end = self.at.checked_add(len).ok_or(self.error(what, short))?;
        let taken = self.bytes.get(self.at..end).ok_or(self.error(what, short))?;
        self.at = end;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, what)?);
        Ok(array)
    }

    /// A reader over the next `len` bytes alone.
    pub fn sub(&mut self, len: usize, what: &'static str) -> Result<Self, DecodeError> {
        self.take(len, what).map(Self::new)
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at = self.bytes.len();
        rest
    }

    /// Checks that nothing is left.
    pub fn finish(self, what: &'static str) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(self.error(what, DecodeErrorKind::Trailing(left))),
        }
    }

    numbers! {
        u8 u8, from_be_bytes;
        u16_be u16, from_be_bytes;
        u16_le u16, from_le_bytes;
        u32_be u32, from_be_bytes;
        u32_le u32, from_le_bytes;
        u64_be u64, from_be_bytes;
        u64_le u64, from_le_bytes;
    }
}
