//! Values ↔ registers: data types, byte orders, arrays, strings, bits of a register.
//!
//! A value of several registers is taken as one run of bytes, arranged by its [`ByteOrder`], and then read most significant
//! byte first. One eight-bit value alone is the low byte of its register; in arrays they lie two to a register, the
//! first in the high byte. `BOOL` alone is the lowest bit; an array of them fills registers from the highest bit
//! down, unless the address names its first bit: then it goes up from there.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

mod encode;

use crate::address::{Address, ByteOrder, is_packed, registers_per_element};
use millstream_model::{Cell, DataType, Status, Value};
use thiserror::Error;

/// How one tag's value lies in its registers or bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding {
    data_type: DataType,
    /// Characters of one string.
    length: u16,
    count: Option<u16>,
    bit: Option<u8>,
    order: ByteOrder,
    is_bits: bool,
}

/// Why a value cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ValueError {
    /// The address takes another type.
    #[error("`{value}` is no {expected}")]
    Type {
        /// The value as it prints.
        value: String,
        /// What the address takes.
        expected: String,
    },
    /// The type is right, but the value does not fit in it.
    #[error("`{value}` does not fit in {expected}")]
    Range {
        /// The value as it prints.
        value: String,
        /// What the address takes.
        expected: String,
    },
}

impl ValueError {
    /// The status of a write that is refused for it.
    pub const fn status(&self) -> Status {
        match self {
            Self::Type { .. } => Status::BadTypeMismatch,
            Self::Range { .. } => Status::BadOutOfRange,
        }
    }
}

/// Bits of one register to change: function 22 sets it to `(old AND and) OR (or AND NOT and)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mask {
    /// Ones keep their bits.
    pub and: u16,
    /// The new bits where `and` has zeros.
    pub or: u16,
}

const UNDECODABLE: Cell = Cell::Bad(Status::BadDecodingError);

impl Encoding {
    /// The encoding of `address`, in `order` where the address has no order of its own.
    pub fn new(address: &Address, order: ByteOrder) -> Self {
        Self {
            data_type: address.data_type(),
            length: address.length(),
            count: address.count(),
            bit: address.bit(),
            order: address.byte_order().unwrap_or(order),
            is_bits: address.area().is_bits(),
        }
    }

    /// Reads the value from its registers' bytes as on the wire.
    pub fn decode(&self, registers: &[u8]) -> Cell {
        match self.count {
            None => self.scalar(registers),
            Some(count) => self.list(registers, usize::from(count)),
        }
    }

    /// Reads the value from bits packed as on the wire, the first of them at `first`.
    pub fn decode_bits(&self, packed: &[u8], first: usize) -> Cell {
        let bit = |index: usize| {
            let byte = packed.get(index.wrapping_shr(3))?;
            Some(byte.wrapping_shr(u32::try_from(index % 8).unwrap_or(0)) & 1 == 1)
        };
        match self.count {
            None => bit(first).map_or(UNDECODABLE, |on| Cell::Good(Value::Bool(on))),
            Some(count) => {
                let bits = (0..usize::from(count)).map(|i| bit(first.saturating_add(i)).map(Value::Bool));
                bits.collect::<Option<Vec<_>>>().map_or(UNDECODABLE, |list| Cell::Good(Value::List(list)))
            }
        }
    }

    fn scalar(&self, bytes: &[u8]) -> Cell {
        use DataType as T;
        let value = match self.data_type {
            T::Bool => self.register(bytes).map(|register| {
                Value::Bool(register.wrapping_shr(u32::from(self.bit.unwrap_or(0))) & 1 == 1)
            }),
            T::Raw => self.run(bytes, 1).map(|run| Value::Bytes(run.into())),
            T::String => self.string(bytes),
            T::WString => self.wide_string(bytes),
            // Alone, an eight-bit value is the low byte of its register.
            T::Byte | T::SInt | T::USInt | T::Char => {
                self.element::<2>(bytes).and_then(|[_, low]| self.narrow(low))
            }
            _ => self.wide(bytes),
        };
        value.map_or(UNDECODABLE, Cell::Good)
    }

    /// A value of whole registers.
    fn wide(&self, bytes: &[u8]) -> Option<Value> {
        use DataType as T;
        Some(match self.data_type {
            T::Int => Value::Int(i16::from_be_bytes(self.element(bytes)?).into()),
            T::Word | T::UInt => Value::UInt(u16::from_be_bytes(self.element(bytes)?).into()),
            T::DInt => Value::Int(i32::from_be_bytes(self.element(bytes)?).into()),
            T::DWord | T::UDInt => Value::UInt(u32::from_be_bytes(self.element(bytes)?).into()),
            T::LInt => Value::Int(i64::from_be_bytes(self.element(bytes)?)),
            T::LWord | T::ULInt => Value::UInt(u64::from_be_bytes(self.element(bytes)?)),
            T::Real => Value::Real(f32::from_be_bytes(self.element(bytes)?)),
            T::LReal => Value::LReal(f64::from_be_bytes(self.element(bytes)?)),
            T::WChar => {
                let unit = u16::from_be_bytes(self.element(bytes)?);
                Value::Text(char::from_u32(unit.into())?.to_string().into())
            }
            _ => return None,
        })
    }

    /// An eight-bit value.
    fn narrow(&self, byte: u8) -> Option<Value> {
        Some(match self.data_type {
            DataType::Byte | DataType::USInt => Value::UInt(byte.into()),
            DataType::SInt => Value::Int(i8::from_be_bytes([byte]).into()),
            DataType::Char => Value::Text(char::from(byte).to_string().into()),
            _ => return None,
        })
    }

    fn list(&self, bytes: &[u8], count: usize) -> Cell {
        let list: Option<Vec<Value>> = match self.data_type {
            DataType::Raw => {
                return self
                    .run(bytes, count)
                    .map_or(UNDECODABLE, |run| Cell::Good(Value::Bytes(run.into())));
            }
            DataType::Bool => self.bits_of_registers(bytes, count),
            data_type if is_packed(data_type) => {
                self.run(bytes, count).and_then(|run| run.into_iter().map(|byte| self.narrow(byte)).collect())
            }
            data_type => {
                let stride = element_bytes(data_type, self.length);
                let whole = bytes.len() == stride.saturating_mul(count);
                let one = Self { count: None, ..*self };
                let values = bytes.chunks_exact(stride.max(1)).map(|chunk| match one.scalar(chunk) {
                    Cell::Good(value) => Some(value),
                    _ => None,
                });
                if whole { values.collect() } else { None }
            }
        };
        list.map_or(UNDECODABLE, |list| Cell::Good(Value::List(list)))
    }

    fn bits_of_registers(&self, bytes: &[u8], count: usize) -> Option<Vec<Value>> {
        (0..count)
            .map(|index| {
                let (register, bit) = self.bit_place(index);
                let at = register.saturating_mul(2);
                let register = self.register(bytes.get(at..at.saturating_add(2))?)?;
                Some(Value::Bool(register.wrapping_shr(bit) & 1 == 1))
            })
            .collect()
    }

    /// Register and bit (0 least significant) of element `index` of a `BOOL` array.
    fn bit_place(&self, index: usize) -> (usize, u32) {
        let low = |n: usize| u32::try_from(n % 16).unwrap_or(0);
        match self.bit {
            Some(first) => {
                let place = index.saturating_add(usize::from(first));
                (place.wrapping_shr(4), low(place))
            }
            None => (index.wrapping_shr(4), 15_u32.saturating_sub(low(index))),
        }
    }

    fn string(&self, bytes: &[u8]) -> Option<Value> {
        let mut run = self.run(bytes, usize::from(self.length))?;
        if let Some(end) = run.iter().position(|byte| *byte == 0) {
            run.truncate(end);
        }
        String::from_utf8(run).ok().map(|text| Value::Text(text.into()))
    }

    fn wide_string(&self, bytes: &[u8]) -> Option<Value> {
        let units: Option<Vec<u16>> =
            bytes.chunks_exact(2).map(|chunk| self.element(chunk).map(u16::from_be_bytes)).collect();
        let units = units?;
        let end = units.iter().position(|unit| *unit == 0).unwrap_or(units.len());
        String::from_utf16(units.get(..end)?).ok().map(|text| Value::Text(text.into()))
    }

    fn register(&self, bytes: &[u8]) -> Option<u16> {
        self.element(bytes).map(u16::from_be_bytes)
    }

    /// The first `N` bytes, most significant first.
    fn element<const N: usize>(&self, bytes: &[u8]) -> Option<[u8; N]> {
        let mut element: [u8; N] = bytes.get(..N)?.try_into().ok()?;
        if self.order != ByteOrder::BigEndian {
            arrange(self.order, &mut element);
        }
        Some(element)
    }

    /// `len` single bytes; byte orders move them within and between registers, but never reverse the run.
    fn run(&self, bytes: &[u8], len: usize) -> Option<Vec<u8>> {
        let mut run = bytes.to_vec();
        swap(self.order, &mut run);
        (run.len() >= len).then(|| {
            // Alone, a raw byte is the low byte of its register, as every eight-bit value is.
            if self.count.is_none() && self.data_type == DataType::Raw {
                run.drain(..1);
            }
            run.truncate(len);
            run
        })
    }
}

/// Bytes of one element of a type that has registers of its own.
fn element_bytes(data_type: DataType, length: u16) -> usize {
    usize::try_from(registers_per_element(data_type, length)).unwrap_or(0).saturating_mul(2)
}

/// Between the wire and most significant byte first; its own inverse, since the three steps commute.
fn arrange(order: ByteOrder, element: &mut [u8]) {
    swap(order, element);
    if order.is_little() {
        element.reverse();
    }
}

/// Exchanges bytes and registers; what a register more than the pairs is stays where it is.
fn swap(order: ByteOrder, bytes: &mut [u8]) {
    if order.swaps_bytes() {
        bytes.chunks_exact_mut(2).for_each(<[u8]>::reverse);
    }
    if order.swaps_words() {
        bytes.chunks_exact_mut(4).for_each(|pair| pair.rotate_left(2));
    }
}
