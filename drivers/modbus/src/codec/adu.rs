//! The frame on TCP: an MBAP header and a PDU.
//!
//! ```text
//!  0      2      4      6      7                260 at most
//! ┌──────┬──────┬──────┬──────┬────────────────┐
//! │ tid  │ 0, 0 │ len  │ unit │ function, data │   len counts unit and PDU: 2 to 254
//! └──────┴──────┴──────┴──────┴────────────────┘
//! ```
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use crate::codec::request::Request;
use crate::codec::response::Response;
use crate::limits::{HEADER_BYTES, PDU_BYTES};
use bytes::{BufMut, BytesMut};
use millstream_driver::wire::{DecodeError, DecodeErrorKind, Reader};

/// The MBAP header (messaging guide, 3.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Pairs an answer with its request.
    pub transaction: u16,
    /// The unit behind the address.
    pub unit: u8,
    /// Bytes of the PDU that follows, 1 to 253.
    pub pdu_bytes: usize,
}

impl Header {
    /// The header at the front of `input`; `None` until all its bytes are there. The length is checked before anything
    /// of that length is waited for or allocated.
    pub fn decode(input: &[u8]) -> Result<Option<Self>, DecodeError> {
        let Some(header) = input.get(..HEADER_BYTES) else { return Ok(None) };
        let mut reader = Reader::new(header);
        let transaction = reader.u16_be("transaction id")?;
        let at_protocol = reader.clone();
        let protocol = reader.u16_be("protocol id")?;
        if protocol != 0 {
            return Err(at_protocol.error("protocol id", DecodeErrorKind::Value(protocol.into())));
        }
        let at_length = reader.clone();
        let length = usize::from(reader.u16_be("length")?);
        let pdu_bytes = match length.checked_sub(1) {
            Some(bytes) if (1..=PDU_BYTES).contains(&bytes) => bytes,
            None | Some(0) => {
                return Err(at_length.error("length", DecodeErrorKind::Value(u64::from(length == 1))));
            }
            Some(got) => {
                return Err(at_length.error("length", DecodeErrorKind::Limit { max: PDU_BYTES, got }));
            }
        };
        Ok(Some(Self { transaction, unit: reader.u8("unit id")?, pdu_bytes }))
    }

    /// Bytes of header and PDU together.
    pub const fn frame_bytes(&self) -> usize {
        self.pdu_bytes.saturating_add(HEADER_BYTES)
    }
}

/// Appends a request's frame to `output`.
pub fn encode_request(transaction: u16, unit: u8, request: &Request<'_>, output: &mut BytesMut) {
    encode(transaction, unit, output, |pdu| request.encode(pdu));
}

/// Appends a response's frame to `output`.
pub fn encode_response(transaction: u16, unit: u8, response: &Response<'_>, output: &mut BytesMut) {
    encode(transaction, unit, output, |pdu| response.encode(pdu));
}

fn encode(transaction: u16, unit: u8, output: &mut BytesMut, pdu: impl FnOnce(&mut BytesMut)) {
    let start = output.len();
    output.put_u16(transaction);
    output.put_u16(0);
    output.put_u16(0);
    output.put_u8(unit);
    pdu(output);
    // Every PDU that can be encoded has 2 to 253 bytes, so that the length always fits.
    let length = output.len().saturating_sub(start).saturating_sub(HEADER_BYTES).saturating_add(1);
    let at = start.saturating_add(4);
    if let Some(place) = output.get_mut(at..at.saturating_add(2)) {
        place.copy_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    }
}
