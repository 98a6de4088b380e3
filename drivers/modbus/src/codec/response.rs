//! What a device answers.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use crate::codec::exception::ExceptionCode;
use crate::codec::file::{FileWrites, REFERENCE_TYPE};
use crate::codec::function::Function;
use crate::codec::range::Illegal;
use crate::codec::request::{MEI_IDENTIFICATION, put_coil, take_coil};
use crate::limits::{FILE_BYTES, PDU_BYTES};
use bytes::{BufMut, BytesMut};
use millstream_driver::wire::{DecodeError, DecodeErrorKind, Reader};

/// The most data bytes of a read answer: 2,000 bits or 125 registers.
const DATA_BYTES: usize = 250;
/// The high bit of the function code marks an exception.
const EXCEPTION: u8 = 0x80;

/// 1 to 250 bytes of packed bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BitData<'a>(&'a [u8]);

impl<'a> BitData<'a> {
    /// `None` where the length is not allowed.
    pub fn new(packed: &'a [u8]) -> Option<Self> {
        (1..=DATA_BYTES).contains(&packed.len()).then_some(Self(packed))
    }

    /// Eight bits to a byte, the first in the lowest.
    pub const fn packed(&self) -> &'a [u8] {
        self.0
    }
}

/// 1 to 125 registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisterData<'a>(&'a [u8]);

impl<'a> RegisterData<'a> {
    /// `None` where the length is not allowed.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        (bytes.len().is_multiple_of(2) && (2..=DATA_BYTES).contains(&bytes.len())).then_some(Self(bytes))
    }

    /// Two bytes for every register.
    pub const fn bytes(&self) -> &'a [u8] {
        self.0
    }
}

/// The records of one to 35 file ranges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileData<'a>(Vec<&'a [u8]>);

impl<'a> FileData<'a> {
    /// `None` where a range is empty or odd, or all together are too long.
    pub fn new(ranges: Vec<&'a [u8]>) -> Option<Self> {
        let whole = ranges.iter().all(|range| !range.is_empty() && range.len().is_multiple_of(2));
        let bytes: usize = ranges.iter().map(|range| range.len().saturating_add(2)).sum();
        (whole && !ranges.is_empty() && bytes <= FILE_BYTES).then_some(Self(ranges))
    }

    /// The records of each range, in the order of the request.
    pub fn ranges(&self) -> &[&'a [u8]] {
        &self.0
    }
}

/// Part of a device's identification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identification<'a> {
    code: u8,
    conformity: u8,
    /// The object to ask for next, where there are more.
    next: Option<u8>,
    objects: Vec<(u8, &'a [u8])>,
}

impl<'a> Identification<'a> {
    /// `code` is the request's; `None` where the objects do not fit in one frame.
    pub fn new(code: u8, conformity: u8, next: Option<u8>, objects: Vec<(u8, &'a [u8])>) -> Option<Self> {
        let bytes: usize = objects.iter().map(|(_, text)| text.len().saturating_add(2)).sum();
        (bytes.saturating_add(7) <= PDU_BYTES).then_some(Self { code, conformity, next, objects })
    }

    /// The object to ask for next, where there are more.
    pub const fn next(&self) -> Option<u8> {
        self.next
    }

    /// Object ids with their text.
    pub fn objects(&self) -> &[(u8, &'a [u8])] {
        &self.objects
    }
}

/// What a device answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response<'a> {
    /// Functions 1 and 2.
    Bits(Function, BitData<'a>),
    /// Functions 3, 4 and 23.
    Registers(Function, RegisterData<'a>),
    /// Function 5: what was asked.
    WroteCoil {
        /// The coil, counted from 0.
        address: u16,
        /// Its new state.
        on: bool,
    },
    /// Function 6: what was asked.
    WroteRegister {
        /// The register, counted from 0.
        address: u16,
        /// Its new content.
        value: u16,
    },
    /// Functions 15 and 16.
    Wrote {
        /// Which of the two.
        function: Function,
        /// The first element, counted from 0.
        start: u16,
        /// How many.
        quantity: u16,
    },
    /// Function 20.
    FileRecord(FileData<'a>),
    /// Function 21: what was asked.
    WroteFileRecord(FileWrites<'a>),
    /// Function 22: what was asked.
    MaskedRegister {
        /// The register, counted from 0.
        address: u16,
        /// Kept bits.
        and: u16,
        /// New bits.
        or: u16,
    },
    /// Function 43, sub-function 14.
    Identification(Identification<'a>),
    /// No.
    Exception {
        /// The function code of the request, which may be none that we know.
        function: u8,
        /// Why.
        code: ExceptionCode,
    },
}

impl<'a> Response<'a> {
    /// The function code that it answers.
    pub fn function_code(&self) -> u8 {
        match self {
            Self::Bits(function, _) | Self::Registers(function, _) | Self::Wrote { function, .. } => {
                function.code()
            }
            Self::WroteCoil { .. } => Function::WriteSingleCoil.code(),
            Self::WroteRegister { .. } => Function::WriteSingleRegister.code(),
            Self::FileRecord(_) => Function::ReadFileRecord.code(),
            Self::WroteFileRecord(_) => Function::WriteFileRecord.code(),
            Self::MaskedRegister { .. } => Function::MaskWriteRegister.code(),
            Self::Identification(_) => Function::ReadDeviceIdentification.code(),
            Self::Exception { function, .. } => *function,
        }
    }

    /// Appends the PDU.
    pub fn encode(&self, out: &mut BytesMut) {
        let count = |bytes: usize| u8::try_from(bytes).unwrap_or(u8::MAX);
        match self {
            Self::Exception { function, code } => {
                out.put_u8(function | EXCEPTION);
                out.put_u8(code.0);
                return;
            }
            _ => out.put_u8(self.function_code()),
        }
        match self {
            Self::Exception { .. } => {}
            Self::Bits(_, BitData(bytes)) | Self::Registers(_, RegisterData(bytes)) => {
                out.put_u8(count(bytes.len()));
                out.put_slice(bytes);
            }
            Self::WroteCoil { address, on } => put_coil(*address, *on, out),
            Self::WroteRegister { address, value } => {
                out.put_u16(*address);
                out.put_u16(*value);
            }
            Self::Wrote { start, quantity, .. } => {
                out.put_u16(*start);
                out.put_u16(*quantity);
            }
            Self::FileRecord(FileData(ranges)) => {
                out.put_u8(count(ranges.iter().map(|range| range.len().saturating_add(2)).sum()));
                for range in ranges {
                    out.put_u8(count(range.len().saturating_add(1)));
                    out.put_u8(REFERENCE_TYPE);
                    out.put_slice(range);
                }
            }
            Self::WroteFileRecord(writes) => writes.encode(out),
            Self::MaskedRegister { address, and, or } => {
                out.put_u16(*address);
                out.put_u16(*and);
                out.put_u16(*or);
            }
            Self::Identification(identification) => {
                let more = if identification.next.is_some() { 0xFF } else { 0 };
                out.put_slice(&[MEI_IDENTIFICATION, identification.code, identification.conformity, more]);
                out.put_slice(&[identification.next.unwrap_or(0), count(identification.objects.len())]);
                for (id, text) in &identification.objects {
                    out.put_slice(&[*id, count(text.len())]);
                    out.put_slice(text);
                }
            }
        }
    }

    /// Reads a PDU. It says nothing about whether the answer fits a request: [`Expect`](super::Expect) does.
    pub fn decode(pdu: &'a [u8]) -> Result<Self, Illegal> {
        let mut reader = Reader::new(pdu);
        let code = reader.u8("function code")?;
        let response = if code & EXCEPTION == 0 {
            let function = Function::from_code(code).ok_or(Illegal::Function(code))?;
            Self::body(function, &mut reader)?
        } else {
            let exception = ExceptionCode(reader.u8("exception code")?);
            Self::Exception { function: code & !EXCEPTION, code: exception }
        };
        reader.finish("response")?;
        Ok(response)
    }

    fn body(function: Function, reader: &mut Reader<'a>) -> Result<Self, Illegal> {
        Ok(match function {
            Function::ReadCoils | Function::ReadDiscreteInputs => {
                let bytes = counted(reader)?;
                let data = BitData::new(bytes).ok_or_else(|| wrong_length(reader, bytes.len()))?;
                Self::Bits(function, data)
            }
            Function::ReadHoldingRegisters
            | Function::ReadInputRegisters
            | Function::ReadWriteMultipleRegisters => {
                let bytes = counted(reader)?;
                let data = RegisterData::new(bytes).ok_or_else(|| wrong_length(reader, bytes.len()))?;
                Self::Registers(function, data)
            }
            Function::WriteSingleCoil => {
                let (address, on) = take_coil(reader)?;
                Self::WroteCoil { address, on }
            }
            Function::WriteSingleRegister => Self::WroteRegister {
                address: reader.u16_be("register address")?,
                value: reader.u16_be("register value")?,
            },
            Function::WriteMultipleCoils | Function::WriteMultipleRegisters => Self::Wrote {
                function,
                start: reader.u16_be("starting address")?,
                quantity: reader.u16_be("quantity")?,
            },
            Function::ReadFileRecord => Self::FileRecord(file_data(reader)?),
            Function::WriteFileRecord => Self::WroteFileRecord(FileWrites::decode(reader)?),
            Function::MaskWriteRegister => Self::MaskedRegister {
                address: reader.u16_be("register address")?,
                and: reader.u16_be("and mask")?,
                or: reader.u16_be("or mask")?,
            },
            Function::ReadDeviceIdentification => Self::Identification(identification(reader)?),
        })
    }
}

fn counted<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let count = usize::from(reader.u8("byte count")?);
    reader.take(count, "data")
}

fn wrong_length(reader: &Reader<'_>, got: usize) -> DecodeError {
    reader.error("byte count", DecodeErrorKind::Limit { max: DATA_BYTES, got })
}

fn file_data<'a>(reader: &mut Reader<'a>) -> Result<FileData<'a>, DecodeError> {
    let mut body = Reader::new(counted(reader)?);
    let mut ranges = Vec::new();
    while body.remaining() > 0 {
        let at = body.clone();
        let length = usize::from(body.u8("file response length")?);
        let reference = body.u8("reference type")?;
        let Some(bytes) = length.checked_sub(1).filter(|_| reference == REFERENCE_TYPE) else {
            return Err(at.error("file response length", DecodeErrorKind::Value(reference.into())));
        };
        ranges.push(body.take(bytes, "record data")?);
    }
    FileData::new(ranges).ok_or_else(|| reader.error("file response", DecodeErrorKind::Value(0)))
}

fn identification<'a>(reader: &mut Reader<'a>) -> Result<Identification<'a>, DecodeError> {
    let at = reader.clone();
    let mei = reader.u8("MEI type")?;
    if mei != MEI_IDENTIFICATION {
        return Err(at.error("MEI type", DecodeErrorKind::Value(mei.into())));
    }
    let code = reader.u8("read device identification code")?;
    let conformity = reader.u8("conformity level")?;
    let more = reader.u8("more follows")?;
    let next = reader.u8("next object id")?;
    let number = reader.u8("number of objects")?;
    let mut objects = Vec::new();
    for _ in 0..number {
        let id = reader.u8("object id")?;
        let length = usize::from(reader.u8("object length")?);
        objects.push((id, reader.take(length, "object value")?));
    }
    let next = (more == 0xFF).then_some(next);
    Identification::new(code, conformity, next, objects)
        .ok_or_else(|| reader.error("identification", DecodeErrorKind::Value(0)))
}
