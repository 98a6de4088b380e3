//! PLC4X's Modbus addresses: the type, and how it prints. `parse.rs` reads both generations of the grammar.
//!
//! ```text
//! address   = area , number , [ "." , bit ] , [ selection ] , [ ":" , type ] , [ "{" , option , { "," , option } , "}" ]
//! area      = long name , ":"   |   digit   |   digit , "x"          (short forms take 4 or 5 digits of number)
//! selection = "[" , index , [ ".." , index ] , [ ";" , base ] , "]"  (PLC4X 1.0, before the type)
//! type      = name , [ "(" , length , ")" ] , [ "[" , count , "]" ]  (PLC4X 0.x counts after the type)
//! option    = "unit-id: 5" | "byte-order: 'BIG_ENDIAN'"
//! ```
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

mod parse;

use crate::limits;
use millstream_model::{DataType, Diagnostic, TagType};
use std::fmt;
use std::str::FromStr;

/// An address that is right, for error messages.
pub const EXAMPLE: &str = "holding-register:1:REAL";

/// A memory area (PLC4X, "Memory Areas"; Modbus application protocol V1.1b3, 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Area {
    /// Bits that can be read and written: functions 1, 5, 15.
    Coil,
    /// Bits that can be read: function 2.
    DiscreteInput,
    /// Registers that can be read: function 4.
    InputRegister,
    /// Registers that can be read and written: functions 3, 6, 16, 22.
    HoldingRegister,
    /// Records of files of 10,000 registers: functions 20, 21. Numbered from 0.
    ExtendedRegister,
}

impl Area {
    /// Every area, in the order of the enum.
    pub const ALL: [Self; 5] =
        [Self::Coil, Self::DiscreteInput, Self::InputRegister, Self::HoldingRegister, Self::ExtendedRegister];

    /// The long name in addresses, without its colon.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Coil => "coil",
            Self::DiscreteInput => "discrete-input",
            Self::InputRegister => "input-register",
            Self::HoldingRegister => "holding-register",
            Self::ExtendedRegister => "extended-register",
        }
    }

    /// The digit that stands for the area in short addresses.
    pub const fn digit(self) -> char {
        match self {
            Self::Coil => '0',
            Self::DiscreteInput => '1',
            Self::InputRegister => '3',
            Self::HoldingRegister => '4',
            Self::ExtendedRegister => '6',
        }
    }

    /// Whether it holds bits rather than registers.
    pub const fn is_bits(self) -> bool {
        matches!(self, Self::Coil | Self::DiscreteInput)
    }

    /// Whether it can be written.
    pub const fn is_writable(self) -> bool {
        matches!(self, Self::Coil | Self::HoldingRegister | Self::ExtendedRegister)
    }

    /// The number of the first element: 1 but for extended registers.
    pub const fn first(self) -> u32 {
        match self {
            Self::ExtendedRegister => 0,
            _ => 1,
        }
    }

    /// The number of the last element.
    pub const fn last(self) -> u32 {
        match self {
            // Files 1 to 65,535 of 10,000 records.
            Self::ExtendedRegister => 655_349_999,
            _ => 65_536,
        }
    }

    /// Elements that one value may have, since a value is never split over two requests.
    pub const fn value_max(self) -> u16 {
        match self {
            Self::Coil | Self::DiscreteInput => limits::READ_BITS,
            Self::InputRegister | Self::HoldingRegister => limits::READ_REGISTERS,
            Self::ExtendedRegister => limits::FILE_READ_REGISTERS,
        }
    }
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

macro_rules! byte_orders {
    ($($variant:ident $name:literal $little:literal $bytes:literal $words:literal $doc:literal;)*) => {
        /// How a value's bytes lie in its registers. Examples show a 64-bit value 01 02 … 08, most significant byte first.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ByteOrder { $(#[doc = $doc] $variant,)* }

        impl ByteOrder {
            /// Every order, in the order of the enum.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// The names, as `default-payload-byte-order` takes them.
            pub const NAMES: &'static [&'static str] = &[$($name,)*];

            /// PLC4X's name.
            pub const fn name(self) -> &'static str { match self { $(Self::$variant => $name,)* } }
            /// Whether the value as a whole is reversed.
            pub const fn is_little(self) -> bool { match self { $(Self::$variant => $little,)* } }
            /// Whether the two bytes of every register are exchanged.
            pub const fn swaps_bytes(self) -> bool { match self { $(Self::$variant => $bytes,)* } }
            /// Whether neighbouring registers of one value are exchanged.
            pub const fn swaps_words(self) -> bool { match self { $(Self::$variant => $words,)* } }
        }
    };
}

byte_orders! {
    BigEndian "BIG_ENDIAN" false false false "01 02 03 04 05 06 07 08, as the Modbus specification has it.";
    LittleEndian "LITTLE_ENDIAN" true false false "08 07 06 05 04 03 02 01.";
    BigEndianByteSwap "BIG_ENDIAN_BYTE_SWAP" false true false "02 01 04 03 06 05 08 07.";
    LittleEndianByteSwap "LITTLE_ENDIAN_BYTE_SWAP" true true false "07 08 05 06 03 04 01 02.";
    BigEndianWordSwap "BIG_ENDIAN_WORD_SWAP" false false true "03 04 01 02 07 08 05 06.";
    LittleEndianWordSwap "LITTLE_ENDIAN_WORD_SWAP" true false true "06 05 08 07 02 01 04 03.";
    BigEndianWordSwapByteSwap "BIG_ENDIAN_WORD_SWAP_BYTE_SWAP" false true true "04 03 02 01 08 07 06 05.";
    LittleEndianWordSwapByteSwap "LITTLE_ENDIAN_WORD_SWAP_BYTE_SWAP" true true true "05 06 07 08 01 02 03 04.";
}

impl ByteOrder {
    /// The order of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|order| order.name() == name)
    }
}

/// Where a value is in a device, and what it is. Only [`FromStr`] makes one, so that it always fits its area.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address {
    area: Area,
    /// As on the wire: counted from 0.
    start: u32,
    bit: Option<u8>,
    data_type: DataType,
    /// Characters of one string; 1 for every other type.
    length: u16,
    count: Option<u16>,
    unit: Option<u8>,
    byte_order: Option<ByteOrder>,
}

impl Address {
    /// The memory area.
    pub const fn area(&self) -> Area {
        self.area
    }

    /// The first element as on the wire, counted from 0.
    pub const fn start(&self) -> u32 {
        self.start
    }

    /// The first bit within the register, 0 being the least significant, where the address names one.
    pub const fn bit(&self) -> Option<u8> {
        self.bit
    }

    /// The type of the value, or of each element.
    pub const fn data_type(&self) -> DataType {
        self.data_type
    }

    /// Characters of one string; 1 for every other type.
    pub const fn length(&self) -> u16 {
        self.length
    }

    /// `Some(n)` for an array.
    pub const fn count(&self) -> Option<u16> {
        self.count
    }

    /// The unit id, where the address overrides the connection's.
    pub const fn unit(&self) -> Option<u8> {
        self.unit
    }

    /// The byte order, where the address overrides the connection's.
    pub const fn byte_order(&self) -> Option<ByteOrder> {
        self.byte_order
    }

    /// What reading it yields.
    pub fn tag_type(&self) -> TagType {
        TagType { data_type: self.data_type, count: self.count.map(u32::from) }
    }

    /// Elements of the area that the value takes: bits or registers.
    pub fn width(&self) -> u16 {
        let width = width(self.area, self.data_type, self.length, self.bit, self.count);
        u16::try_from(width).unwrap_or(u16::MAX)
    }
}

/// Bits or registers of a value. Eight-bit values in arrays lie two to a register, `BOOL`s sixteen.
fn width(area: Area, data_type: DataType, length: u16, bit: Option<u8>, count: Option<u16>) -> u32 {
    let elements = u32::from(count.unwrap_or(1));
    if area.is_bits() {
        return elements;
    }
    match data_type {
        DataType::Bool => elements.saturating_add(u32::from(bit.unwrap_or(0))).div_ceil(16),
        _ if is_packed(data_type) => elements.div_ceil(2),
        _ => elements.saturating_mul(registers_per_element(data_type, length)),
    }
}

/// Whether several elements of an array share a register.
pub(crate) const fn is_packed(data_type: DataType) -> bool {
    matches!(
        data_type,
        DataType::Bool | DataType::Byte | DataType::SInt | DataType::USInt | DataType::Char | DataType::Raw
    )
}

/// Registers of one element of a type that does not share them.
pub(crate) fn registers_per_element(data_type: DataType, length: u16) -> u32 {
    match data_type {
        DataType::String => u32::from(length.div_ceil(2)),
        DataType::WString => u32::from(length),
        other => other.bits().div_ceil(16),
    }
}

impl FromStr for Address {
    type Err = Diagnostic;

    /// The diagnostic's place is inside `text`.
    fn from_str(text: &str) -> Result<Self, Diagnostic> {
        parse::address(text)
    }
}

impl fmt::Display for Address {
    /// The long form with everything said; it parses to the same address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.area, self.start.saturating_add(self.area.first()))?;
        if let Some(bit) = self.bit {
            write!(f, ".{bit}")?;
        }
        // `TYPE[1]` is one value and not an array of one, as in PLC4X 0.x.
        if self.count == Some(1) {
            f.write_str("[0..0]")?;
        }
        write!(f, ":{}", self.data_type)?;
        if matches!(self.data_type, DataType::String | DataType::WString) {
            write!(f, "({})", self.length)?;
        }
        if let Some(count) = self.count.filter(|count| *count > 1) {
            write!(f, "[{count}]")?;
        }
        match (self.unit, self.byte_order) {
            (None, None) => Ok(()),
            (Some(unit), None) => write!(f, "{{unit-id: {unit}}}"),
            (None, Some(order)) => write!(f, "{{byte-order: '{}'}}", order.name()),
            (Some(unit), Some(order)) => {
                write!(f, "{{unit-id: {unit}, byte-order: '{}'}}", order.name())
            }
        }
    }
}
