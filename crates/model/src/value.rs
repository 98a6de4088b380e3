//! Values that machines hold, and the data types they are declared with.

use std::fmt;
use std::str::FromStr;

/// One value read from, or to be written to, a device.
///
/// `BYTE`, `WORD`, `DWORD`, `LWORD` and the unsigned integers are [`Value::UInt`]; the signed ones [`Value::Int`].
/// `REAL` keeps its 32 bits, so that it prints as the shortest decimal that reads back the same.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `BOOL`.
    Bool(bool),
    /// `SINT`, `INT`, `DINT`, `LINT`.
    Int(i64),
    /// `USINT`, `UINT`, `UDINT`, `ULINT`, `BYTE`, `WORD`, `DWORD`, `LWORD`.
    UInt(u64),
    /// `REAL`.
    Real(f32),
    /// `LREAL`, and any value after scaling.
    LReal(f64),
    /// `CHAR`, `WCHAR`, `STRING`, `WSTRING`, and dates and times in ISO 8601 form.
    Text(Box<str>),
    /// Raw bytes, for example of a file record.
    Bytes(Box<[u8]>),
    /// An array; all elements have one type.
    List(Vec<Self>),
}

impl Value {
    /// The value as a number, where it is one. `BOOL` is none. Integers beyond 2^53 lose precision.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "documented: beyond 2^53 precision is lost")]
            Self::Int(v) => Some(*v as f64),
            #[expect(clippy::cast_precision_loss, reason = "documented: beyond 2^53 precision is lost")]
            Self::UInt(v) => Some(*v as f64),
            Self::Real(v) => Some(f64::from(*v)),
            Self::LReal(v) => Some(*v),
            Self::Bool(_) | Self::Text(_) | Self::Bytes(_) | Self::List(_) => None,
        }
    }

    /// The value as a truth value, where it is a `BOOL`.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(v) = self { Some(*v) } else { None }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(v) => write!(f, "{v}"),
            Self::Int(v) => write!(f, "{v}"),
            Self::UInt(v) => write!(f, "{v}"),
            Self::Real(v) => write!(f, "{v}"),
            Self::LReal(v) => write!(f, "{v}"),
            Self::Text(v) => write!(f, "{v}"),
            Self::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            Self::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{item}")?;
                }
                f.write_str("]")
            }
        }
    }
}

macro_rules! data_types {
    ($($variant:ident $name:literal $bits:literal $doc:literal;)*) => {
        /// A data type of IEC 61131-3, under the names that PLC4X uses in addresses.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum DataType { $(#[doc = $doc] $variant,)* }

        impl DataType {
            /// Every data type, in the order of the enum.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name as it stands in an address.
            pub const fn name(self) -> &'static str { match self { $(Self::$variant => $name,)* } }

            /// The width of one value in bits; 0 where the length is given in the address (strings).
            pub const fn bits(self) -> u32 { match self { $(Self::$variant => $bits,)* } }
        }
    };
}

data_types! {
    Bool "BOOL" 1 "One bit.";
    Byte "BYTE" 8 "8 bits, shown as an unsigned number.";
    Word "WORD" 16 "16 bits, shown as an unsigned number.";
    DWord "DWORD" 32 "32 bits, shown as an unsigned number.";
    LWord "LWORD" 64 "64 bits, shown as an unsigned number.";
    SInt "SINT" 8 "Signed 8-bit integer.";
    USInt "USINT" 8 "Unsigned 8-bit integer.";
    Int "INT" 16 "Signed 16-bit integer.";
    UInt "UINT" 16 "Unsigned 16-bit integer.";
    DInt "DINT" 32 "Signed 32-bit integer.";
    UDInt "UDINT" 32 "Unsigned 32-bit integer.";
    LInt "LINT" 64 "Signed 64-bit integer.";
    ULInt "ULINT" 64 "Unsigned 64-bit integer.";
    Real "REAL" 32 "IEEE 754 single precision.";
    LReal "LREAL" 64 "IEEE 754 double precision.";
    Char "CHAR" 8 "One 8-bit character.";
    WChar "WCHAR" 16 "One UTF-16 code unit.";
    String "STRING" 0 "8-bit characters; the length is in the address.";
    WString "WSTRING" 0 "UTF-16 characters; the length is in the address.";
    Time "TIME" 32 "A duration in milliseconds.";
    LTime "LTIME" 64 "A duration in nanoseconds.";
    Date "DATE" 16 "A calendar date.";
    TimeOfDay "TIME_OF_DAY" 32 "A time of day in milliseconds.";
    DateAndTime "DATE_AND_TIME" 64 "A date with time of day.";
    Raw "RAW_BYTE_ARRAY" 8 "Bytes as they are.";
}

impl DataType {
    /// Whether values are [`Value::Text`].
    pub const fn is_text(self) -> bool {
        matches!(self, Self::Char | Self::WChar | Self::String | Self::WString)
    }

    /// Whether values are numbers (`BOOL` is none).
    pub const fn is_numeric(self) -> bool {
        !self.is_text() && !self.is_time() && !matches!(self, Self::Bool | Self::Raw)
    }

    const fn is_time(self) -> bool {
        matches!(self, Self::Time | Self::LTime | Self::Date | Self::TimeOfDay | Self::DateAndTime)
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no data type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownDataType;

impl FromStr for DataType {
    type Err = UnknownDataType;

    /// Names are accepted in any letter case.
    fn from_str(text: &str) -> Result<Self, UnknownDataType> {
        Self::ALL.iter().copied().find(|t| t.name().eq_ignore_ascii_case(text)).ok_or(UnknownDataType)
    }
}

/// What one tag yields: a data type, and for arrays how many of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TagType {
    /// The type of the value, or of each element.
    pub data_type: DataType,
    /// `Some(n)` for an array of `n` elements (n ≥ 1), `None` for one value.
    pub count: Option<u32>,
}

impl TagType {
    /// One value of `data_type`.
    pub const fn scalar(data_type: DataType) -> Self {
        Self { data_type, count: None }
    }
}

impl fmt::Display for TagType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            Some(count) => write!(f, "{}[{count}]", self.data_type),
            None => write!(f, "{}", self.data_type),
        }
    }
}
