//! What a client asks for.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use crate::codec::file::{FileReads, FileWrites};
use crate::codec::function::Function;
use crate::codec::range::{BitRange, CoilBlock, Illegal, ReadWrite, RegisterBlock, RegisterRange};
use bytes::{BufMut, BytesMut};
use millstream_driver::wire::Reader;

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
            Self::WriteMultipleCoils(block) => block.encode(out),
            Self::WriteMultipleRegisters(block) => block.encode(out),
            Self::ReadFileRecord(reads) => reads.encode(out),
            Self::WriteFileRecord(writes) => writes.encode(out),
            Self::MaskWriteRegister { address, and, or } => {
                out.put_u16(*address);
                out.put_u16(*and);
                out.put_u16(*or);
            }
            Self::ReadWriteMultipleRegisters(both) => {
                both.read().encode(out);
                both.write().encode(out);
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
            Function::WriteMultipleCoils => Self::WriteMultipleCoils(CoilBlock::decode(reader)?),
            Function::WriteMultipleRegisters => Self::WriteMultipleRegisters(RegisterBlock::decode(reader)?),
            Function::ReadFileRecord => Self::ReadFileRecord(FileReads::decode(reader)?),
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
