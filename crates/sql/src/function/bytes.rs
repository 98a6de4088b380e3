//! Functions between bytes, texts that stand for bytes, and numbers.

use super::Params::Types;
use super::text::{owned, owned_bytes, str_at};
use super::{Body, Returns, RowBody, ScalarFunction, Signature};
use crate::Datum;
use crate::SqlType::{self, BigInt, Bytes, Double, Int, Varchar};
use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD};
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};

const fn of(params: &'static [SqlType], returns: SqlType, body: RowBody) -> Signature {
    Signature { params: Types(params), returns: Returns::Type(returns), body: Body::Fallible(body) }
}

pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction {
        name: "TO_BYTES",
        aliases: &[],
        doc: "TO_BYTES(text, encoding): the bytes that a text stands for in 'hex', 'utf8', 'ascii' or 'base64'.",
        signatures: &[of(&[Varchar, Varchar], Bytes, to_bytes)],
    },
    ScalarFunction {
        name: "FROM_BYTES",
        aliases: &[],
        doc: "FROM_BYTES(bytes, encoding): bytes as a text in 'hex', 'utf8', 'ascii' or 'base64'.",
        signatures: &[of(&[Bytes, Varchar], Varchar, from_bytes)],
    },
    ScalarFunction {
        name: "ENCODE",
        aliases: &[],
        doc: "ENCODE(text, from, to): a text in one encoding as a text in another: 'hex', 'utf8', 'ascii' or 'base64'.",
        signatures: &[of(&[Varchar, Varchar, Varchar], Varchar, encode)],
    },
    ScalarFunction {
        name: "INT_FROM_BYTES",
        aliases: &[],
        doc: "INT_FROM_BYTES(bytes[, 'BIG_ENDIAN' or 'LITTLE_ENDIAN']): the INTEGER that 4 bytes stand for.",
        signatures: &[of(&[Bytes], Int, int_from_bytes), of(&[Bytes, Varchar], Int, int_from_bytes)],
    },
    ScalarFunction {
        name: "BIGINT_FROM_BYTES",
        aliases: &[],
        doc: "BIGINT_FROM_BYTES(bytes[, 'BIG_ENDIAN' or 'LITTLE_ENDIAN']): the BIGINT that 8 bytes stand for.",
        signatures: &[
            of(&[Bytes], BigInt, bigint_from_bytes),
            of(&[Bytes, Varchar], BigInt, bigint_from_bytes),
        ],
    },
    ScalarFunction {
        name: "DOUBLE_FROM_BYTES",
        aliases: &[],
        doc: "DOUBLE_FROM_BYTES(bytes[, 'BIG_ENDIAN' or 'LITTLE_ENDIAN']): the DOUBLE that 8 bytes stand for.",
        signatures: &[
            of(&[Bytes], Double, double_from_bytes),
            of(&[Bytes, Varchar], Double, double_from_bytes),
        ],
    },
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Hex,
    Utf8,
    Ascii,
    Base64,
}

/// Base64 without padding or with any.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

impl Encoding {
    fn of(name: &str) -> Result<Self, String> {
        match name.to_ascii_lowercase().as_str() {
            "hex" => Ok(Self::Hex),
            "utf8" => Ok(Self::Utf8),
            "ascii" => Ok(Self::Ascii),
            "base64" => Ok(Self::Base64),
            _ => {
                let name: String = name.chars().take(40).collect();
                Err(format!("there is no encoding '{name}'; there are 'hex', 'utf8', 'ascii' and 'base64'"))
            }
        }
    }

    /// The bytes that a text stands for.
    fn decode(self, text: &str) -> Result<Vec<u8>, String> {
        match self {
            Self::Hex => unhex(text),
            Self::Utf8 => Ok(text.as_bytes().to_vec()),
            Self::Ascii => {
                Ok(text.chars().map(|c| u8::try_from(c).ok().filter(u8::is_ascii).unwrap_or(b'?')).collect())
            }
            Self::Base64 => {
                // Line breaks and other signs between are left out, as by Java's MIME decoder.
                let sign = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/');
                let plain: String = text.trim_end_matches('=').chars().filter(sign).collect();
                LENIENT.decode(plain).map_err(|_| "the text is no Base64".to_owned())
            }
        }
    }

    /// Bytes as a text; hexadecimal digits in upper case where asked.
    fn encode(self, bytes: &[u8], upper: bool) -> String {
        match self {
            Self::Hex => {
                let digits = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
                let digit =
                    |value: u8| digits.get(usize::from(value)).map_or('0', |digit| char::from(*digit));
                bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
            }
            Self::Utf8 => String::from_utf8_lossy(bytes).into_owned(),
            Self::Ascii => bytes
                .iter()
                .map(|byte| if byte.is_ascii() { char::from(*byte) } else { '\u{fffd}' })
                .collect(),
            Self::Base64 => STANDARD.encode(bytes),
        }
    }
}

/// Hexadecimal digits, also as `0x…` and `X'…'`.
fn unhex(text: &str) -> Result<Vec<u8>, String> {
    let wrong = || "the text is not made of pairs of hexadecimal digits".to_owned();
    let quoted = text.strip_prefix(['x', 'X']).and_then(|rest| rest.strip_prefix('\'')?.strip_suffix('\''));
    let digits = text.strip_prefix("0x").or(quoted).unwrap_or(text);
    // `0x1` is one digit short of a byte.
    let padded = if text.starts_with("0x") && digits.len() % 2 == 1 {
        format!("0{digits}")
    } else {
        digits.to_owned()
    };
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    padded
        .as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        })
        .collect::<Option<_>>()
        .ok_or_else(wrong)
}

fn to_bytes<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Encoding::of(str_at(args, 1))?.decode(str_at(args, 0)).map(owned_bytes)
}

fn from_bytes<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let encoding = Encoding::of(str_at(args, 1))?;
    let bytes = args.first().and_then(Datum::as_bytes).unwrap_or_default();
    Ok(owned(encoding.encode(bytes, true)))
}

fn encode<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let (from, to) = (Encoding::of(str_at(args, 1))?, Encoding::of(str_at(args, 2))?);
    Ok(owned(to.encode(&from.decode(str_at(args, 0))?, false)))
}

/// Exactly `N` bytes, the most significant first.
fn big_endian<const N: usize>(args: &[Datum<'_>]) -> Result<[u8; N], String> {
    let bytes = args.first().and_then(Datum::as_bytes).unwrap_or_default();
    let mut number: [u8; N] =
        bytes.try_into().map_err(|_| format!("there are {} bytes, not {N}", bytes.len()))?;
    match args.get(1).and_then(Datum::as_str) {
        None | Some("BIG_ENDIAN") => {}
        Some("LITTLE_ENDIAN") => number.reverse(),
        Some(_) => return Err("the order of bytes is 'BIG_ENDIAN' or 'LITTLE_ENDIAN'".to_owned()),
    }
    Ok(number)
}

fn int_from_bytes<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    big_endian(args).map(i32::from_be_bytes).map(Datum::Int)
}

fn bigint_from_bytes<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    big_endian(args).map(i64::from_be_bytes).map(Datum::BigInt)
}

fn double_from_bytes<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    big_endian(args).map(f64::from_be_bytes).map(Datum::Double)
}
