//! What the right answer to a request looks like. Everything else is not taken for one.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use crate::codec::exception::ExceptionCode;
use crate::codec::function::Function;
use crate::codec::request::Request;
use crate::codec::response::Response;
use bytes::BytesMut;
use std::sync::Arc;

/// What the right answer to a request looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    function: Function,
    shape: Shape,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    /// That many bytes of bits or registers.
    Data(usize),
    /// These PDU bytes again.
    Echo(Arc<[u8]>),
    /// Start and quantity of what was written.
    Wrote(u16, u16),
    /// Records of that many bytes each.
    Files(Arc<[usize]>),
    Identification,
}

/// What an answer says to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<'a> {
    /// Bits or registers, as many as were asked for.
    Data(&'a [u8]),
    /// Records of several ranges, in order.
    Files(Vec<&'a [u8]>),
    /// Confirmed.
    Done,
    /// The whole PDU of an identification.
    Identification(&'a [u8]),
    /// The device said no.
    Exception(ExceptionCode),
    /// It answers another function: not for this request.
    Foreign,
    /// The right function, but the content does not fit the request, with the reason.
    Malformed(String),
}

impl Expect {
    /// What the right answer to `request` looks like.
    pub fn new(request: &Request<'_>) -> Self {
        let registers = |quantity: u16| Shape::Data(usize::from(quantity).saturating_mul(2));
        let shape = match request {
            Request::ReadCoils(range) | Request::ReadDiscreteInputs(range) => {
                Shape::Data(range.quantity().div_ceil(8).into())
            }
            Request::ReadHoldingRegisters(range) | Request::ReadInputRegisters(range) => {
                registers(range.quantity())
            }
            Request::ReadWriteMultipleRegisters(both) => registers(both.read().quantity()),
            Request::WriteMultipleCoils(block) => {
                let quantity = u16::try_from(block.states().count()).unwrap_or(u16::MAX);
                Shape::Wrote(block.start(), quantity)
            }
            Request::WriteMultipleRegisters(block) => Shape::Wrote(block.start(), block.quantity()),
            Request::ReadFileRecord(reads) => Shape::Files(
                reads.ranges().iter().map(|range| usize::from(range.length()).saturating_mul(2)).collect(),
            ),
            Request::ReadDeviceIdentification { .. } => Shape::Identification,
            Request::WriteSingleCoil { .. }
            | Request::WriteSingleRegister { .. }
            | Request::WriteFileRecord(_)
            | Request::MaskWriteRegister { .. } => {
                let mut pdu = BytesMut::new();
                request.encode(&mut pdu);
                Shape::Echo(pdu.to_vec().into())
            }
        };
        Self { function: request.function(), shape }
    }

    /// Takes an answer's PDU for what it is.
    pub fn check<'a>(&self, pdu: &'a [u8]) -> Answer<'a> {
        let response = match Response::decode(pdu) {
            Ok(response) => response,
            Err(error) => {
                let code = pdu.first().copied().unwrap_or(0) & 0x7F;
                return if code == self.function.code() {
                    Answer::Malformed(error.to_string())
                } else {
                    Answer::Foreign
                };
            }
        };
        if response.function_code() != self.function.code() {
            return Answer::Foreign;
        }
        match (response, &self.shape) {
            (Response::Exception { code, .. }, _) => Answer::Exception(code),
            (Response::Bits(_, data), Shape::Data(bytes)) => sized(data.packed(), *bytes),
            (Response::Registers(_, data), Shape::Data(bytes)) => sized(data.bytes(), *bytes),
            (Response::Wrote { start, quantity, .. }, Shape::Wrote(asked, wanted)) => {
                if (start, quantity) == (*asked, *wanted) {
                    Answer::Done
                } else {
                    Answer::Malformed(format!(
                        "it confirms {quantity} from {start}, asked were {wanted} from {asked}"
                    ))
                }
            }
            (Response::FileRecord(data), Shape::Files(sizes)) => {
                let fits = data.ranges().iter().map(|range| range.len()).eq(sizes.iter().copied());
                if fits {
                    Answer::Files(data.ranges().to_vec())
                } else {
                    Answer::Malformed("the file records are not those that were asked for".to_owned())
                }
            }
            (Response::Identification(_), Shape::Identification) => Answer::Identification(pdu),
            (_, Shape::Echo(asked)) if **asked == *pdu => Answer::Done,
            _ => Answer::Malformed("it confirms something else than what was asked".to_owned()),
        }
    }
}

fn sized(data: &[u8], bytes: usize) -> Answer<'_> {
    if data.len() == bytes {
        Answer::Data(data)
    } else {
        Answer::Malformed(format!("it has {} data bytes, asked were {bytes}", data.len()))
    }
}
