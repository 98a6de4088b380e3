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

/// Writing.
impl Encoding {
    /// The bytes of the value's registers as on the wire. Registers are filled up with zeros.
    pub fn encode(&self, value: &Value) -> Result<Vec<u8>, ValueError> {
        let mut bytes = Vec::new();
        match self.count {
            None => self.encode_scalar(value, &mut bytes)?,
            Some(count) => self.encode_list(value, usize::from(count), &mut bytes)?,
        }
        Ok(bytes)
    }

    /// One truth value per bit.
    pub fn encode_bits(&self, value: &Value) -> Result<Vec<bool>, ValueError> {
        match self.count {
            None => Ok(vec![value.as_bool().ok_or_else(|| self.wrong_type(value))?]),
            Some(count) => self
                .elements(value, usize::from(count))?
                .iter()
                .map(|item| item.as_bool().ok_or_else(|| self.wrong_type(value)))
                .collect(),
        }
    }

    /// For bits of one register that share it with others: what to change. `None` where whole registers are written.
    pub fn mask(&self, value: &Value) -> Result<Option<Mask>, ValueError> {
        if !self.fits_mask() {
            return Ok(None);
        }
        let (mut changed, mut set) = (0_u16, 0_u16);
        for (index, on) in self.encode_bits(value)?.into_iter().enumerate() {
            let (_, bit) =
                if self.count.is_none() { (0, self.bit.unwrap_or(0).into()) } else { self.bit_place(index) };
            let bit = 1_u16.wrapping_shl(bit);
            changed |= bit;
            if on {
                set |= bit;
            }
        }
        // A byte order that exchanges the register's bytes moves its bits too.
        let wire = |register: u16| {
            let mut bytes = register.to_be_bytes();
            arrange(self.order, &mut bytes);
            u16::from_be_bytes(bytes)
        };
        Ok(Some(Mask { and: wire(!changed), or: wire(set) }))
    }

    /// Whether it is some bits of one register.
    pub fn fits_mask(&self) -> bool {
        !self.is_bits
            && self.data_type == DataType::Bool
            && match (self.bit, self.count) {
                (None, None) => false,
                (bit, count) => {
                    let end = u32::from(bit.unwrap_or(0)).saturating_add(count.unwrap_or(1).into());
                    end <= 16 && count.unwrap_or(1) < 16
                }
            }
    }

    /// Whether writing it as whole registers would overwrite bits that are not its own.
    pub fn shares_registers(&self) -> bool {
        let bits = u32::from(self.count.unwrap_or(1));
        !self.is_bits
            && self.data_type == DataType::Bool
            && match self.bit {
                Some(bit) => bit != 0 || !bits.is_multiple_of(16),
                None => self.count.is_some() && !bits.is_multiple_of(16),
            }
    }

    fn encode_scalar(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), ValueError> {
        use DataType as T;
        match self.data_type {
            T::Bool => {
                let on = value.as_bool().ok_or_else(|| self.wrong_type(value))?;
                self.push(u16::from(on).wrapping_shl(self.bit.unwrap_or(0).into()).to_be_bytes(), out);
            }
            T::Raw => match value {
                Value::Bytes(bytes) if bytes.len() == 1 => {
                    let low = bytes.first().copied().unwrap_or(0);
                    self.push([0, low], out);
                }
                _ => return Err(self.wrong_type(value)),
            },
            T::Byte | T::SInt | T::USInt | T::Char => {
                let low = self.encode_narrow(value)?;
                self.push([0, low], out);
            }
            T::String => {
                let Value::Text(text) = value else { return Err(self.wrong_type(value)) };
                if text.len() > usize::from(self.length) {
                    return Err(self.wrong_range(value));
                }
                self.push_run(text.as_bytes(), usize::from(self.length), out);
            }
            T::WString => {
                let Value::Text(text) = value else { return Err(self.wrong_type(value)) };
                let mut units: Vec<u16> = text.encode_utf16().collect();
                if units.len() > usize::from(self.length) {
                    return Err(self.wrong_range(value));
                }
                units.resize(self.length.into(), 0);
                for unit in units {
                    self.push(unit.to_be_bytes(), out);
                }
            }
            _ => self.encode_wide(value, out)?,
        }
        Ok(())
    }

    fn encode_wide(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), ValueError> {
        use DataType as T;
        match self.data_type {
            T::Int => self.push(self.integer::<i16>(value)?.to_be_bytes(), out),
            T::Word | T::UInt => self.push(self.integer::<u16>(value)?.to_be_bytes(), out),
            T::DInt => self.push(self.integer::<i32>(value)?.to_be_bytes(), out),
            T::DWord | T::UDInt => self.push(self.integer::<u32>(value)?.to_be_bytes(), out),
            T::LInt => self.push(self.integer::<i64>(value)?.to_be_bytes(), out),
            T::LWord | T::ULInt => self.push(self.integer::<u64>(value)?.to_be_bytes(), out),
            T::Real => {
                let real = match value {
                    Value::Real(real) => *real,
                    other => {
                        let wide = other.as_f64().ok_or_else(|| self.wrong_type(value))?;
                        to_single(wide).ok_or_else(|| self.wrong_range(value))?
                    }
                };
                self.push(real.to_be_bytes(), out);
            }
            T::LReal => {
                let real = value.as_f64().ok_or_else(|| self.wrong_type(value))?;
                self.push(real.to_be_bytes(), out);
            }
            T::WChar => {
                let Value::Text(text) = value else { return Err(self.wrong_type(value)) };
                let mut units = text.encode_utf16();
                match (units.next(), units.next()) {
                    (Some(unit), None) => self.push(unit.to_be_bytes(), out),
                    _ => return Err(self.wrong_range(value)),
                }
            }
            _ => return Err(self.wrong_type(value)),
        }
        Ok(())
    }

    fn encode_narrow(&self, value: &Value) -> Result<u8, ValueError> {
        match self.data_type {
            DataType::SInt => self.integer::<i8>(value).map(|v| u8::from_be_bytes(v.to_be_bytes())),
            DataType::Char => {
                let Value::Text(text) = value else { return Err(self.wrong_type(value)) };
                let mut chars = text.chars();
                match (chars.next().map(u8::try_from), chars.next()) {
                    (Some(Ok(byte)), None) => Ok(byte),
                    _ => Err(self.wrong_range(value)),
                }
            }
            _ => self.integer::<u8>(value),
        }
    }

    fn encode_list(&self, value: &Value, count: usize, out: &mut Vec<u8>) -> Result<(), ValueError> {
        match self.data_type {
            DataType::Raw => {
                let Value::Bytes(bytes) = value else { return Err(self.wrong_type(value)) };
                if bytes.len() != count {
                    return Err(self.wrong_range(value));
                }
                self.push_run(bytes, count, out);
            }
            DataType::Bool => {
                let mut registers = vec![0_u16; self.bit_place(count.saturating_sub(1)).0.saturating_add(1)];
                for (index, on) in self.encode_bits(value)?.into_iter().enumerate() {
                    let (register, bit) = self.bit_place(index);
                    if let Some(register) = registers.get_mut(register).filter(|_| on) {
                        *register |= 1_u16.wrapping_shl(bit);
                    }
                }
                for register in registers {
                    self.push(register.to_be_bytes(), out);
                }
            }
            data_type if is_packed(data_type) => {
                let items = self.elements(value, count)?;
                let bytes: Result<Vec<u8>, _> = items.iter().map(|item| self.encode_narrow(item)).collect();
                self.push_run(&bytes?, count, out);
            }
            _ => {
                let one = Self { count: None, ..*self };
                self.elements(value, count)?.iter().try_for_each(|item| one.encode_scalar(item, out))?;
            }
        }
        Ok(())
    }

    fn elements<'v>(&self, value: &'v Value, count: usize) -> Result<&'v [Value], ValueError> {
        match value {
            Value::List(items) if items.len() == count => Ok(items),
            Value::List(_) => Err(self.wrong_range(value)),
            _ => Err(self.wrong_type(value)),
        }
    }

    fn integer<T: TryFrom<i64> + TryFrom<u64>>(&self, value: &Value) -> Result<T, ValueError> {
        match value {
            Value::Int(v) => T::try_from(*v).map_err(|_| self.wrong_range(value)),
            Value::UInt(v) => T::try_from(*v).map_err(|_| self.wrong_range(value)),
            _ => Err(self.wrong_type(value)),
        }
    }

    fn push<const N: usize>(&self, mut element: [u8; N], out: &mut Vec<u8>) {
        arrange(self.order, &mut element);
        out.extend_from_slice(&element);
    }

    fn push_run(&self, bytes: &[u8], len: usize, out: &mut Vec<u8>) {
        let mut run = bytes.to_vec();
        run.resize(len.next_multiple_of(2), 0);
        swap(self.order, &mut run);
        out.extend_from_slice(&run);
    }

    fn expected(&self) -> String {
        let length = match self.data_type {
            DataType::String | DataType::WString => format!("({})", self.length),
            _ => String::new(),
        };
        let count = self.count.map_or_else(String::new, |count| format!("[{count}]"));
        format!("{}{length}{count}", self.data_type)
    }

    fn wrong_type(&self, value: &Value) -> ValueError {
        ValueError::Type { value: value.to_string(), expected: self.expected() }
    }

    fn wrong_range(&self, value: &Value) -> ValueError {
        ValueError::Range { value: value.to_string(), expected: self.expected() }
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

/// The nearest single-precision number; `None` where a finite number would become infinite.
fn to_single(wide: f64) -> Option<f32> {
    #[expect(
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        reason = "rounds; overflow is checked"
    )]
    let single = wide as f32;
    (single.is_finite() || !wide.is_finite()).then_some(single)
}
