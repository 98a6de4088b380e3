//! The header of a request: which API, which version, who asks.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

/// The header of a request, versions 1 and 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header<'a> {
    pub(crate) api_key: i16,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    /// Empty where there is none.
    pub(crate) client_id: &'a str,
    rest: &'a [u8],
}

impl<'a> Header<'a> {
    /// Reads it; `None` where the bytes are none.
    pub(crate) fn read(frame: &'a [u8]) -> Option<Self> {
        let (api_key, rest) = frame.split_first_chunk()?;
        let (version, rest) = rest.split_first_chunk()?;
        let (correlation_id, rest) = rest.split_first_chunk()?;
        let (client_id_len, rest) = rest.split_first_chunk()?;
        let (client_id, rest) = match i16::from_be_bytes(*client_id_len) {
            -1 => (&[][..], rest),
            len => rest.split_at_checked(usize::try_from(len).ok()?)?,
        };
        Some(Self {
            api_key: i16::from_be_bytes(*api_key),
            version: i16::from_be_bytes(*version),
            correlation_id: i32::from_be_bytes(*correlation_id),
            client_id: str::from_utf8(client_id).ok()?,
            rest,
        })
    }

    /// Where the body begins behind it, counted from the end of the frame. A flexible request has tagged fields before (version
    /// 2 of the header, KIP-482); none is known, so they are passed over.
    pub(crate) fn body_len(&self, is_flexible: bool) -> Option<usize> {
        let mut rest = self.rest;
        if is_flexible {
            let count = varint(&mut rest)?;
            for _ in 0..count {
                varint(&mut rest)?;
                let len = usize::try_from(varint(&mut rest)?).ok()?;
                rest = rest.get(len..)?;
            }
        }
        Some(rest.len())
    }
}

fn varint(rest: &mut &[u8]) -> Option<u32> {
    let mut value = 0;
    for shift in [0, 7, 14, 21, 28] {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        value |= u32::from(byte & 0x7f).wrapping_shl(shift);
        if *byte < 0x80 {
            return Some(value);
        }
    }
    None
}
