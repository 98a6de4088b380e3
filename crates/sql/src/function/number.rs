//! Functions of numbers.
#![expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]

use super::Params::Types;
use super::{Body, Returns, ScalarFunction, Signature};
use crate::Datum;
use crate::SqlType::{BigInt, Double, Int};

const fn double(kernel: fn(f64) -> f64) -> Signature {
    Signature { params: Types(&[Double]), returns: Returns::Type(Double), body: Body::Double(kernel) }
}

const fn same_int(body: super::RowBody) -> Signature {
    Signature { params: Types(&[Int]), returns: Returns::Type(Int), body: Body::Fallible(body) }
}

const fn same_bigint(body: super::RowBody) -> Signature {
    Signature { params: Types(&[BigInt]), returns: Returns::Type(BigInt), body: Body::Fallible(body) }
}

const fn function(name: &'static str, doc: &'static str, signatures: &'static [Signature]) -> ScalarFunction {
    ScalarFunction { name, aliases: &[], doc, signatures }
}

pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    function(
        "ABS",
        "The size of a number without its sign.",
        &[same_int(abs), same_bigint(abs), double(f64::abs)],
    ),
    ScalarFunction {
        name: "CEIL",
        aliases: &["CEILING"],
        doc: "The smallest whole number that is not less.",
        signatures: &[same_int(itself), same_bigint(itself), double(f64::ceil)],
    },
    function(
        "FLOOR",
        "The largest whole number that is not greater.",
        &[same_int(itself), same_bigint(itself), double(f64::floor)],
    ),
    function(
        "ROUND",
        "The nearest whole number, or the nearest number with so many decimal places; halves go up.",
        &[
            same_int(itself),
            same_bigint(itself),
            Signature {
                params: Types(&[Double]),
                returns: Returns::Type(BigInt),
                body: Body::Fallible(round),
            },
            Signature {
                params: Types(&[Double, Int]),
                returns: Returns::Type(Double),
                body: Body::Plain(round_to),
            },
        ],
    ),
    function(
        "TRUNC",
        "A number without its fraction.",
        &[
            same_int(itself),
            same_bigint(itself),
            Signature {
                params: Types(&[Double]),
                returns: Returns::Type(BigInt),
                body: Body::Fallible(trunc),
            },
        ],
    ),
    function(
        "SIGN",
        "-1, 0 or 1: the sign of a number.",
        &[Signature { params: Types(&[Double]), returns: Returns::Type(Int), body: Body::Plain(sign) }],
    ),
    function("SQRT", "The square root; NaN below zero.", &[double(f64::sqrt)]),
    function("CBRT", "The cube root.", &[double(f64::cbrt)]),
    function("EXP", "e to the power of a number.", &[double(f64::exp)]),
    function("LN", "The natural logarithm.", &[double(f64::ln)]),
    function(
        "LOG",
        "The natural logarithm, or LOG(base, value).",
        &[
            double(f64::ln),
            Signature {
                params: Types(&[Double, Double]),
                returns: Returns::Type(Double),
                body: Body::Plain(log),
            },
        ],
    ),
    ScalarFunction {
        name: "POWER",
        aliases: &["POW"],
        doc: "POWER(base, exponent).",
        signatures: &[Signature {
            params: Types(&[Double, Double]),
            returns: Returns::Type(Double),
            body: Body::Plain(power),
        }],
    },
    function("SIN", "The sine of an angle in radians.", &[double(f64::sin)]),
    function("COS", "The cosine of an angle in radians.", &[double(f64::cos)]),
    function("TAN", "The tangent of an angle in radians.", &[double(f64::tan)]),
    function("ASIN", "The angle in radians whose sine it is.", &[double(f64::asin)]),
    function("ACOS", "The angle in radians whose cosine it is.", &[double(f64::acos)]),
    function("ATAN", "The angle in radians whose tangent it is.", &[double(f64::atan)]),
    function(
        "ATAN2",
        "ATAN2(y, x): the angle in radians of a point.",
        &[Signature {
            params: Types(&[Double, Double]),
            returns: Returns::Type(Double),
            body: Body::Plain(atan2),
        }],
    ),
    function("RADIANS", "Degrees into radians.", &[double(f64::to_radians)]),
    function("DEGREES", "Radians into degrees.", &[double(f64::to_degrees)]),
    function(
        "PI",
        "The number π.",
        &[Signature { params: Types(&[]), returns: Returns::Type(Double), body: Body::Plain(pi) }],
    ),
];

fn number(args: &[Datum<'_>], index: usize) -> f64 {
    args.get(index).and_then(Datum::as_f64).unwrap_or(f64::NAN)
}

fn abs<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let too_large = || "the size of the smallest number does not fit".to_owned();
    Ok(match args {
        [Datum::Int(v)] => Datum::Int(v.checked_abs().ok_or_else(too_large)?),
        [Datum::BigInt(v)] => Datum::BigInt(v.checked_abs().ok_or_else(too_large)?),
        _ => Datum::Null,
    })
}

fn itself<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Ok(args.first().cloned().unwrap_or(Datum::Null))
}

fn whole<'a>(value: f64) -> Result<Datum<'a>, String> {
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value);
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    fits.then_some(Datum::BigInt(value as i64)).ok_or_else(|| format!("{value} is out of range for BIGINT"))
}

fn round<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let value = number(args, 0);
    // Java's `Math.round`: halves go up, also below zero. Large values are whole already, and adding a half would not be.
    whole(if value.fract() == 0.0 { value } else { (value + 0.5).floor() })
}

fn trunc<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    whole(number(args, 0).trunc())
}

fn round_to<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let places = args.get(1).and_then(Datum::as_i64).unwrap_or(0);
    Ok(Datum::Double(round_decimal(number(args, 0), places)))
}

/// Rounds the shortest decimal that stands for `value`, as `BigDecimal.valueOf(value).setScale(places)` does; halves go up.
fn round_decimal(value: f64, places: i64) -> f64 {
    if !value.is_finite() {
        return value;
    }
    let Ok(places) = usize::try_from(places) else {
        let Ok(power) = i32::try_from(places.saturating_neg().min(400)) else { return value };
        let factor = 10f64.powi(power);
        return if factor.is_finite() { (value / factor + 0.5).floor() * factor } else { 0.0 };
    };
    let text = value.abs().to_string();
    let Some((whole, fraction)) = text.split_once('.') else { return value };
    if fraction.len() <= places {
        return value;
    }
    let (kept, cut) = fraction.split_at(places);
    let half_or_more = cut.starts_with(|c: char| c >= '5');
    let exactly_half = cut.trim_end_matches('0') == "5";
    let mut digits: Vec<u8> = whole.bytes().chain(kept.bytes()).collect();
    if half_or_more && !(exactly_half && value < 0.0) {
        let nines = digits.iter().rev().take_while(|digit| **digit == b'9').count();
        let last = digits.len() - nines;
        digits[last..].fill(b'0');
        match last.checked_sub(1).and_then(|at| digits.get_mut(at)) {
            Some(digit) => *digit += 1,
            None => digits.insert(0, b'1'),
        }
    }
    digits.insert(digits.len() - places, b'.');
    let size: f64 = String::from_utf8(digits).ok().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN);
    if value < 0.0 { -size } else { size }
}

fn sign<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let value = number(args, 0);
    Ok(Datum::Int(i32::from(value > 0.0) - i32::from(value < 0.0)))
}

fn log<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Ok(Datum::Double(number(args, 1).ln() / number(args, 0).ln()))
}

fn power<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Ok(Datum::Double(number(args, 0).powf(number(args, 1))))
}

fn atan2<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Ok(Datum::Double(number(args, 0).atan2(number(args, 1))))
}

fn pi<'a>(_: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Ok(Datum::Double(std::f64::consts::PI))
}
