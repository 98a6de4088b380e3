//! What a request may span: ranges and blocks whose quantities the specification allows, and nothing else.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use crate::codec::exception::ExceptionCode;
use crate::limits::{READ_BITS, READ_REGISTERS, READ_WRITE_REGISTERS, WRITE_COILS, WRITE_REGISTERS};
use bytes::{BufMut, BytesMut};
use millstream_driver::wire::{DecodeError, Reader};
use thiserror::Error;

/// Why there is no such request.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Illegal {
    /// No function of ours has that code.
    #[error("function code {0} is not supported")]
    Function(u8),
    /// The range goes beyond the last address.
    #[error("the range goes beyond the last address")]
    Address,
    /// A quantity or value that the specification does not allow.
    #[error("{what} is {got}, allowed are {min} to {max}")]
    Quantity {
        /// What it counts.
        what: &'static str,
        /// Smallest allowed.
        min: usize,
        /// Largest allowed.
        max: usize,
        /// What was given.
        got: usize,
    },
    /// Length and content do not agree.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
}

impl Illegal {
    /// What a device answers to it (the state diagrams of V1.1b3, 6).
    pub const fn exception(&self) -> ExceptionCode {
        match self {
            Self::Function(_) => ExceptionCode::ILLEGAL_FUNCTION,
            Self::Address => ExceptionCode::ILLEGAL_DATA_ADDRESS,
            Self::Quantity { .. } | Self::Malformed(_) => ExceptionCode::ILLEGAL_DATA_VALUE,
        }
    }
}

pub(super) fn check(what: &'static str, got: usize, min: usize, max: usize) -> Result<(), Illegal> {
    if (min..=max).contains(&got) { Ok(()) } else { Err(Illegal::Quantity { what, min, max, got }) }
}

fn check_span(start: u16, quantity: usize) -> Result<(), Illegal> {
    if usize::from(start).saturating_add(quantity) <= 65_536 { Ok(()) } else { Err(Illegal::Address) }
}

macro_rules! ranges {
    ($($name:ident $max:ident $what:literal $doc:literal;)*) => {$(
        #[doc = $doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name { start: u16, quantity: u16 }

        impl $name {
            /// `quantity` elements from `start`, counted from 0.
            pub fn new(start: u16, quantity: u16) -> Result<Self, Illegal> {
                check($what, quantity.into(), 1, $max.into())?;
                check_span(start, quantity.into())?;
                Ok(Self { start, quantity })
            }

            /// The first element, counted from 0.
            pub const fn start(&self) -> u16 { self.start }

            /// How many.
            pub const fn quantity(&self) -> u16 { self.quantity }

            pub(super) fn encode(&self, out: &mut BytesMut) {
                out.put_u16(self.start);
                out.put_u16(self.quantity);
            }

            pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Illegal> {
                Self::new(reader.u16_be("starting address")?, reader.u16_be($what)?)
            }
        }
    )*};
}

ranges! {
    BitRange READ_BITS "quantity of bits" "1 to 2,000 coils or discrete inputs.";
    RegisterRange READ_REGISTERS "quantity of registers" "1 to 125 registers.";
}

/// 1 to 1,968 coils with their new states, eight to a byte, the first in the lowest bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoilBlock<'a> {
    start: u16,
    quantity: u16,
    packed: &'a [u8],
}

impl<'a> CoilBlock<'a> {
    /// `quantity` coils from `start`; `packed` has just the bytes for them.
    pub fn new(start: u16, quantity: u16, packed: &'a [u8]) -> Result<Self, Illegal> {
        check("quantity of coils", quantity.into(), 1, WRITE_COILS.into())?;
        check_span(start, quantity.into())?;
        let bytes = usize::from(quantity.div_ceil(8));
        check("byte count", packed.len(), bytes, bytes)?;
        Ok(Self { start, quantity, packed })
    }

    /// The first coil, counted from 0.
    pub const fn start(&self) -> u16 {
        self.start
    }

    pub(super) fn encode(&self, out: &mut BytesMut) {
        out.put_u16(self.start);
        out.put_u16(self.quantity);
        out.put_u8(u8::try_from(self.packed.len()).unwrap_or(u8::MAX));
        out.put_slice(self.packed);
    }

    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, Illegal> {
        let start = reader.u16_be("starting address")?;
        let quantity = reader.u16_be("quantity of coils")?;
        let count = usize::from(reader.u8("byte count")?);
        check("quantity of coils", quantity.into(), 1, WRITE_COILS.into())?;
        check("byte count", count, quantity.div_ceil(8).into(), quantity.div_ceil(8).into())?;
        Self::new(start, quantity, reader.take(count, "coil states")?)
    }

    /// The states in order.
    pub fn states(&self) -> impl Iterator<Item = bool> + '_ {
        let bits = self.packed.iter().flat_map(|byte| (0..8).map(move |bit| byte.wrapping_shr(bit) & 1 == 1));
        bits.take(self.quantity.into())
    }
}

/// 1 to 123 registers with their new contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisterBlock<'a> {
    start: u16,
    bytes: &'a [u8],
}

impl<'a> RegisterBlock<'a> {
    /// Registers from `start`; two bytes for each.
    pub fn new(start: u16, bytes: &'a [u8]) -> Result<Self, Illegal> {
        let quantity = bytes.len().div_ceil(2);
        check("quantity of registers", quantity, 1, WRITE_REGISTERS.into())?;
        check("byte count", bytes.len(), quantity.saturating_mul(2), quantity.saturating_mul(2))?;
        check_span(start, quantity)?;
        Ok(Self { start, bytes })
    }

    /// The first register, counted from 0.
    pub const fn start(&self) -> u16 {
        self.start
    }

    /// How many.
    pub fn quantity(&self) -> u16 {
        u16::try_from(self.bytes.len().wrapping_shr(1)).unwrap_or(u16::MAX)
    }

    /// The contents.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Start, quantity, byte count and bytes, as functions 16 and 23 have them.
    pub(super) fn encode(&self, out: &mut BytesMut) {
        out.put_u16(self.start);
        out.put_u16(self.quantity());
        out.put_u8(u8::try_from(self.bytes.len()).unwrap_or(u8::MAX));
        out.put_slice(self.bytes);
    }

    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, Illegal> {
        let start = reader.u16_be("starting address")?;
        let quantity = usize::from(reader.u16_be("quantity of registers")?);
        check("quantity of registers", quantity, 1, WRITE_REGISTERS.into())?;
        let count = usize::from(reader.u8("byte count")?);
        check("byte count", count, quantity.saturating_mul(2), quantity.saturating_mul(2))?;
        Self::new(start, reader.take(count, "register values")?)
    }
}

/// 1 to 125 registers read after 1 to 121 were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadWrite<'a> {
    read: RegisterRange,
    write: RegisterBlock<'a>,
}

impl<'a> ReadWrite<'a> {
    /// Writes `write`, then reads `read`.
    pub fn new(read: RegisterRange, write: RegisterBlock<'a>) -> Result<Self, Illegal> {
        check("quantity to write", write.quantity().into(), 1, READ_WRITE_REGISTERS.into())?;
        Ok(Self { read, write })
    }

    /// What is read.
    pub const fn read(&self) -> RegisterRange {
        self.read
    }

    /// What is written first.
    pub const fn write(&self) -> RegisterBlock<'a> {
        self.write
    }
}
