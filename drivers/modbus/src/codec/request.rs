//! What a client asks for.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use crate::codec::exception::ExceptionCode;
use crate::codec::function::Function;
use crate::limits::{
    FILE_BYTES, FILE_RECORDS, READ_BITS, READ_REGISTERS, READ_WRITE_REGISTERS, WRITE_COILS, WRITE_REGISTERS,
};
use bytes::{BufMut, BytesMut};
use millstream_driver::wire::{DecodeError, DecodeErrorKind, Reader};
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

fn check(what: &'static str, got: usize, min: usize, max: usize) -> Result<(), Illegal> {
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

            fn encode(&self, out: &mut BytesMut) {
                out.put_u16(self.start);
                out.put_u16(self.quantity);
            }

            fn decode(reader: &mut Reader<'_>) -> Result<Self, Illegal> {
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
    fn encode(&self, out: &mut BytesMut) {
        out.put_u16(self.start);
        out.put_u16(self.quantity());
        out.put_u8(u8::try_from(self.bytes.len()).unwrap_or(u8::MAX));
        out.put_slice(self.bytes);
    }

    fn decode(reader: &mut Reader<'a>) -> Result<Self, Illegal> {
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

/// The reference type of every file sub-request (V1.1b3, 6.14).
pub(super) const REFERENCE_TYPE: u8 = 6;

/// Records of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileRange {
    file: u16,
    record: u16,
    length: u16,
}

impl FileRange {
    /// `length` records of `file` from `record`, which is below 10,000.
    pub fn new(file: u16, record: u16, length: u16) -> Result<Self, Illegal> {
        check("file number", file.into(), 1, 0xFFFF)?;
        check("record length", length.into(), 1, FILE_BYTES)?;
        if u32::from(record).saturating_add(length.into()) > FILE_RECORDS.into() {
            return Err(Illegal::Address);
        }
        Ok(Self { file, record, length })
    }

    /// The file, counted from 1.
    pub const fn file(&self) -> u16 {
        self.file
    }

    /// The first record, counted from 0.
    pub const fn record(&self) -> u16 {
        self.record
    }

    /// How many.
    pub const fn length(&self) -> u16 {
        self.length
    }

    /// The first record as an extended register's address.
    pub fn address(&self) -> u32 {
        let files = u32::from(self.file).saturating_sub(1);
        files.saturating_mul(FILE_RECORDS.into()).saturating_add(self.record.into())
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Illegal> {
        let reference = reader.u8("reference type")?;
        check("reference type", reference.into(), REFERENCE_TYPE.into(), REFERENCE_TYPE.into())?;
        Self::new(
            reader.u16_be("file number")?,
            reader.u16_be("record number")?,
            reader.u16_be("record length")?,
        )
    }
}

/// One to 35 ranges whose answers fit in one frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReads(Vec<FileRange>);

impl FileReads {
    /// Bytes that a range takes in the answer: length, reference type, records.
    pub fn response_bytes(length: u16) -> usize {
        usize::from(length).saturating_mul(2).saturating_add(2)
    }

    /// The ranges in order.
    pub fn new(ranges: Vec<FileRange>) -> Result<Self, Illegal> {
        check("file sub-requests", ranges.len(), 1, FILE_BYTES.wrapping_div(7))?;
        let answer: usize = ranges.iter().map(|range| Self::response_bytes(range.length)).sum();
        check("file answer bytes", answer, 1, FILE_BYTES)?;
        Ok(Self(ranges))
    }

    /// The ranges in order.
    pub fn ranges(&self) -> &[FileRange] {
        &self.0
    }
}

/// Records of one file with their new contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileBlock<'a> {
    range: FileRange,
    bytes: &'a [u8],
}

impl<'a> FileBlock<'a> {
    /// Two bytes for every record of `range`.
    pub fn new(range: FileRange, bytes: &'a [u8]) -> Result<Self, Illegal> {
        let need = usize::from(range.length).saturating_mul(2);
        check("file data bytes", bytes.len(), need, need)?;
        Ok(Self { range, bytes })
    }

    /// Where.
    pub const fn range(&self) -> FileRange {
        self.range
    }

    /// The contents.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// File blocks that fit in one frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileWrites<'a>(Vec<FileBlock<'a>>);

impl<'a> FileWrites<'a> {
    /// The blocks in order.
    pub fn new(blocks: Vec<FileBlock<'a>>) -> Result<Self, Illegal> {
        let bytes: usize = blocks.iter().map(|block| block.bytes.len().saturating_add(7)).sum();
        check("file request bytes", bytes, 9, FILE_BYTES)?;
        Ok(Self(blocks))
    }

    /// The blocks in order.
    pub fn blocks(&self) -> &[FileBlock<'a>] {
        &self.0
    }

    pub(super) fn encode(&self, out: &mut BytesMut) {
        let bytes: usize = self.0.iter().map(|block| block.bytes.len().saturating_add(7)).sum();
        out.put_u8(u8::try_from(bytes).unwrap_or(u8::MAX));
        for block in &self.0 {
            put_range(block.range, out);
            out.put_slice(block.bytes);
        }
    }

    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, Illegal> {
        let mut body = counted(reader, "request data length")?;
        let mut blocks = Vec::new();
        while body.remaining() > 0 {
            let range = FileRange::decode(&mut body)?;
            let bytes = body.take(usize::from(range.length).saturating_mul(2), "record data")?;
            blocks.push(FileBlock::new(range, bytes)?);
        }
        Self::new(blocks)
    }
}

fn put_range(range: FileRange, out: &mut BytesMut) {
    out.put_u8(REFERENCE_TYPE);
    out.put_u16(range.file);
    out.put_u16(range.record);
    out.put_u16(range.length);
}

/// A reader over the bytes that a leading count announces; nothing may follow them.
fn counted<'a>(reader: &mut Reader<'a>, what: &'static str) -> Result<Reader<'a>, DecodeError> {
    let at = reader.clone();
    let count = usize::from(reader.u8(what)?);
    if count > FILE_BYTES {
        return Err(at.error(what, DecodeErrorKind::Limit { max: FILE_BYTES, got: count }));
    }
    reader.sub(count, what)
}

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request<'a> {
    /// Function 1.
    ReadCoils(BitRange),
    /// Function 2.
    ReadDiscreteInputs(BitRange),
    /// Function 3.
    ReadHoldingRegisters(RegisterRange),
    /// Function 4.
    ReadInputRegisters(RegisterRange),
    /// Function 5.
    WriteSingleCoil {
        /// The coil, counted from 0.
        address: u16,
        /// Its new state.
        on: bool,
    },
    /// Function 6.
    WriteSingleRegister {
        /// The register, counted from 0.
        address: u16,
        /// Its new content.
        value: u16,
    },
    /// Function 15.
    WriteMultipleCoils(CoilBlock<'a>),
    /// Function 16.
    WriteMultipleRegisters(RegisterBlock<'a>),
    /// Function 20.
    ReadFileRecord(FileReads),
    /// Function 21.
    WriteFileRecord(FileWrites<'a>),
    /// Function 22: content = (content AND and) OR (or AND NOT and).
    MaskWriteRegister {
        /// The register, counted from 0.
        address: u16,
        /// Ones keep their bits.
        and: u16,
        /// New bits where `and` has zeros.
        or: u16,
    },
    /// Function 23.
    ReadWriteMultipleRegisters(ReadWrite<'a>),
    /// Function 43, sub-function 14.
    ReadDeviceIdentification {
        /// 1 basic, 2 regular, 3 extended, 4 one object.
        code: IdentificationCode,
        /// The object to start with, or the only one.
        object: u8,
    },
}

/// Which objects of the identification are asked for (V1.1b3, 6.21).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentificationCode {
    /// Vendor, product code, revision.
    Basic,
    /// And URL, product name, model, application.
    Regular,
    /// And the vendor's own.
    Extended,
    /// One object.
    One,
}

impl IdentificationCode {
    /// The code on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::Basic => 1,
            Self::Regular => 2,
            Self::Extended => 3,
            Self::One => 4,
        }
    }

    /// The meaning of a code.
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Basic,
            2 => Self::Regular,
            3 => Self::Extended,
            4 => Self::One,
            _ => return None,
        })
    }
}

/// The sub-function of function 43 for identification.
pub(super) const MEI_IDENTIFICATION: u8 = 14;
/// The two allowed values of function 5.
const COIL_ON: u16 = 0xFF00;

impl<'a> Request<'a> {
    /// Its function.
    pub const fn function(&self) -> Function {
        match self {
            Self::ReadCoils(_) => Function::ReadCoils,
            Self::ReadDiscreteInputs(_) => Function::ReadDiscreteInputs,
            Self::ReadHoldingRegisters(_) => Function::ReadHoldingRegisters,
            Self::ReadInputRegisters(_) => Function::ReadInputRegisters,
            Self::WriteSingleCoil { .. } => Function::WriteSingleCoil,
            Self::WriteSingleRegister { .. } => Function::WriteSingleRegister,
            Self::WriteMultipleCoils(_) => Function::WriteMultipleCoils,
            Self::WriteMultipleRegisters(_) => Function::WriteMultipleRegisters,
            Self::ReadFileRecord(_) => Function::ReadFileRecord,
            Self::WriteFileRecord(_) => Function::WriteFileRecord,
            Self::MaskWriteRegister { .. } => Function::MaskWriteRegister,
            Self::ReadWriteMultipleRegisters(_) => Function::ReadWriteMultipleRegisters,
            Self::ReadDeviceIdentification { .. } => Function::ReadDeviceIdentification,
        }
    }

    /// Appends the PDU.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u8(self.function().code());
        match self {
            Self::ReadCoils(range) | Self::ReadDiscreteInputs(range) => range.encode(out),
            Self::ReadHoldingRegisters(range) | Self::ReadInputRegisters(range) => range.encode(out),
            Self::WriteSingleCoil { address, on } => put_coil(*address, *on, out),
            Self::WriteSingleRegister { address, value } => {
                out.put_u16(*address);
                out.put_u16(*value);
            }
            Self::WriteMultipleCoils(block) => {
                out.put_u16(block.start);
                out.put_u16(block.quantity);
                out.put_u8(u8::try_from(block.packed.len()).unwrap_or(u8::MAX));
                out.put_slice(block.packed);
            }
            Self::WriteMultipleRegisters(block) => block.encode(out),
            Self::ReadFileRecord(reads) => {
                let bytes = reads.0.len().saturating_mul(7);
                out.put_u8(u8::try_from(bytes).unwrap_or(u8::MAX));
                reads.0.iter().for_each(|range| put_range(*range, out));
            }
            Self::WriteFileRecord(writes) => writes.encode(out),
            Self::MaskWriteRegister { address, and, or } => {
                out.put_u16(*address);
                out.put_u16(*and);
                out.put_u16(*or);
            }
            Self::ReadWriteMultipleRegisters(both) => {
                both.read.encode(out);
                both.write.encode(out);
            }
            Self::ReadDeviceIdentification { code, object } => {
                out.put_u8(MEI_IDENTIFICATION);
                out.put_u8(code.code());
                out.put_u8(*object);
            }
        }
    }

    /// Reads a PDU.
    pub fn decode(pdu: &'a [u8]) -> Result<Self, Illegal> {
        let mut reader = Reader::new(pdu);
        let code = reader.u8("function code")?;
        let function = Function::from_code(code).ok_or(Illegal::Function(code))?;
        let request = Self::body(function, &mut reader)?;
        reader.finish("request")?;
        Ok(request)
    }

    fn body(function: Function, reader: &mut Reader<'a>) -> Result<Self, Illegal> {
        Ok(match function {
            Function::ReadCoils => Self::ReadCoils(BitRange::decode(reader)?),
            Function::ReadDiscreteInputs => Self::ReadDiscreteInputs(BitRange::decode(reader)?),
            Function::ReadHoldingRegisters => Self::ReadHoldingRegisters(RegisterRange::decode(reader)?),
            Function::ReadInputRegisters => Self::ReadInputRegisters(RegisterRange::decode(reader)?),
            Function::WriteSingleCoil => {
                let (address, on) = take_coil(reader)?;
                Self::WriteSingleCoil { address, on }
            }
            Function::WriteSingleRegister => Self::WriteSingleRegister {
                address: reader.u16_be("register address")?,
                value: reader.u16_be("register value")?,
            },
            Function::WriteMultipleCoils => {
                let start = reader.u16_be("starting address")?;
                let quantity = reader.u16_be("quantity of coils")?;
                let count = usize::from(reader.u8("byte count")?);
                check("quantity of coils", quantity.into(), 1, WRITE_COILS.into())?;
                check("byte count", count, quantity.div_ceil(8).into(), quantity.div_ceil(8).into())?;
                Self::WriteMultipleCoils(CoilBlock::new(start, quantity, reader.take(count, "coil states")?)?)
            }
            Function::WriteMultipleRegisters => Self::WriteMultipleRegisters(RegisterBlock::decode(reader)?),
            Function::ReadFileRecord => {
                let mut body = counted(reader, "byte count")?;
                let mut ranges = Vec::new();
                while body.remaining() > 0 {
                    ranges.push(FileRange::decode(&mut body)?);
                }
                Self::ReadFileRecord(FileReads::new(ranges)?)
            }
            Function::WriteFileRecord => Self::WriteFileRecord(FileWrites::decode(reader)?),
            Function::MaskWriteRegister => Self::MaskWriteRegister {
                address: reader.u16_be("register address")?,
                and: reader.u16_be("and mask")?,
                or: reader.u16_be("or mask")?,
            },
            Function::ReadWriteMultipleRegisters => {
                let read = RegisterRange::decode(reader)?;
                Self::ReadWriteMultipleRegisters(ReadWrite::new(read, RegisterBlock::decode(reader)?)?)
            }
            Function::ReadDeviceIdentification => {
                let mei = reader.u8("MEI type")?;
                if mei != MEI_IDENTIFICATION {
                    return Err(Illegal::Function(function.code()));
                }
                let code = reader.u8("read device identification code")?;
                let code = IdentificationCode::from_code(code).ok_or(Illegal::Quantity {
                    what: "read device identification code",
                    min: 1,
                    max: 4,
                    got: code.into(),
                })?;
                Self::ReadDeviceIdentification { code, object: reader.u8("object id")? }
            }
        })
    }
}

pub(super) fn put_coil(address: u16, on: bool, out: &mut BytesMut) {
    out.put_u16(address);
    out.put_u16(if on { COIL_ON } else { 0 });
}

pub(super) fn take_coil(reader: &mut Reader<'_>) -> Result<(u16, bool), Illegal> {
    let address = reader.u16_be("coil address")?;
    match reader.u16_be("coil state")? {
        COIL_ON => Ok((address, true)),
        0 => Ok((address, false)),
        other => {
            Err(Illegal::Quantity { what: "coil state", min: 0, max: COIL_ON.into(), got: other.into() })
        }
    }
}
