//! Functions of numbers.

use super::Params::{Of, Types, Variadic};
use super::rounding::{self, Toward};
use super::{Body, Param, Returns, ScalarFunction, Signature, TypedBody};
use crate::SqlType::{self, BigInt, Double, Int, Varchar};
use crate::{Datum, Decimal};

const fn double(kernel: fn(f64) -> f64) -> Signature {
    Signature { params: Types(&[Double]), returns: Returns::Type(Double), body: Body::Double(kernel) }
}

const fn doubles(params: &'static [SqlType], body: super::RowBody) -> Signature {
    Signature { params: Types(params), returns: Returns::Type(Double), body: Body::Plain(body) }
}

const fn fallible(params: &'static [SqlType], returns: SqlType, body: super::RowBody) -> Signature {
    Signature { params: Types(params), returns: Returns::Type(returns), body: Body::Fallible(body) }
}

/// A `DECIMAL` into one of the same type.
const fn decimal(params: &'static [Param], returns: Returns, body: TypedBody) -> Signature {
    Signature { params: Of(params), returns, body: Body::Typed(body) }
}

const ONE_DECIMAL: &[Param] = &[Param::Decimal];
const DECIMAL_AND_PLACES: &[Param] = &[Param::Decimal, Param::Type(Int)];
const WHOLE: Returns = Returns::Computed(whole_type);

const fn function(name: &'static str, doc: &'static str, signatures: &'static [Signature]) -> ScalarFunction {
    ScalarFunction { name, aliases: &[], doc, signatures }
}

pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    function(
        "ABS",
        "The size of a number without its sign.",
        &[
            fallible(&[Int], Int, abs),
            fallible(&[BigInt], BigInt, abs),
            decimal(ONE_DECIMAL, Returns::Same, abs_decimal),
            double(f64::abs),
        ],
    ),
    ScalarFunction {
        name: "CEIL",
        aliases: &["CEILING"],
        doc: "The smallest whole number that is not less, of the same type.",
        signatures: &[
            fallible(&[Int], Int, itself),
            fallible(&[BigInt], BigInt, itself),
            decimal(ONE_DECIMAL, Returns::Same, |args, types| to_places(args, types, 0, Toward::Up)),
            double(f64::ceil),
        ],
    },
    function(
        "FLOOR",
        "The largest whole number that is not greater, of the same type.",
        &[
            fallible(&[Int], Int, itself),
            fallible(&[BigInt], BigInt, itself),
            decimal(ONE_DECIMAL, Returns::Same, |args, types| to_places(args, types, 0, Toward::Down)),
            double(f64::floor),
        ],
    ),
    function(
        "ROUND",
        "ROUND(x[, places]): the nearest number with so many decimal places, or whole; halves go up.",
        &[
            fallible(&[Int], BigInt, to_bigint),
            fallible(&[BigInt], BigInt, to_bigint),
            decimal(ONE_DECIMAL, WHOLE, |args, types| to_places(args, types, 0, Toward::Nearest)),
            fallible(&[Double], BigInt, round),
            decimal(DECIMAL_AND_PLACES, Returns::Same, |args, types| {
                to_places(args, types, places(args), Toward::Nearest)
            }),
            doubles(&[Double, Int], |args| Ok(double_to_places(args, Toward::Nearest))),
        ],
    ),
    function(
        "TRUNC",
        "TRUNC(x[, places]): a number without its fraction, or with only so many decimal places.",
        &[
            fallible(&[Int], BigInt, to_bigint),
            fallible(&[BigInt], BigInt, to_bigint),
            decimal(ONE_DECIMAL, WHOLE, |args, types| to_places(args, types, 0, Toward::Zero)),
            fallible(&[Double], BigInt, trunc),
            decimal(DECIMAL_AND_PLACES, Returns::Same, |args, types| {
                to_places(args, types, places(args), Toward::Zero)
            }),
            doubles(&[Double, Int], |args| Ok(double_to_places(args, Toward::Zero))),
        ],
    ),
    function("SIGN", "-1, 0 or 1: the sign of a number.", &[fallible(&[Double], Int, sign)]),
    function("SQRT", "The square root; NaN below zero.", &[double(f64::sqrt)]),
    function("CBRT", "The cube root.", &[double(f64::cbrt)]),
    function("EXP", "e to the power of a number.", &[double(f64::exp)]),
    function("LN", "The natural logarithm; NaN below zero, -Infinity at zero.", &[double(f64::ln)]),
    function(
        "LOG",
        "LOG([base, ]value): the logarithm, without a base the natural one; NaN where there is none.",
        &[double(f64::ln), doubles(&[Double, Double], log)],
    ),
    ScalarFunction {
        name: "POWER",
        aliases: &["POW"],
        doc: "POWER(base, exponent).",
        signatures: &[doubles(&[Double, Double], power)],
    },
    function("SIN", "The sine of an angle in radians.", &[double(f64::sin)]),
    function("COS", "The cosine of an angle in radians.", &[double(f64::cos)]),
    function("TAN", "The tangent of an angle in radians.", &[double(f64::tan)]),
    function("COT", "The cotangent of an angle in radians.", &[double(|x| x.cos() / x.sin())]),
    function("SINH", "The hyperbolic sine.", &[double(f64::sinh)]),
    function("COSH", "The hyperbolic cosine.", &[double(f64::cosh)]),
    function("TANH", "The hyperbolic tangent.", &[double(f64::tanh)]),
    function("ASIN", "The angle in radians whose sine it is; NaN outside -1 to 1.", &[double(f64::asin)]),
    function("ACOS", "The angle in radians whose cosine it is; NaN outside -1 to 1.", &[double(f64::acos)]),
    function("ATAN", "The angle in radians whose tangent it is.", &[double(f64::atan)]),
    function(
        "ATAN2",
        "ATAN2(y, x): the angle in radians of a point.",
        &[doubles(&[Double, Double], |args| Ok(Datum::Double(number(args, 0).atan2(number(args, 1)))))],
    ),
    function("RADIANS", "Degrees into radians.", &[double(f64::to_radians)]),
    function("DEGREES", "Radians into degrees.", &[double(f64::to_degrees)]),
    function("PI", "The number π.", &[doubles(&[], |_| Ok(Datum::Double(std::f64::consts::PI)))]),
    function("RANDOM", "A random number from 0 to 1, another one in every row.", &[doubles(&[], random)]),
    function(
        "GEO_DISTANCE",
        "GEO_DISTANCE(lat1, lon1, lat2, lon2[, unit]): the distance of two points on the Earth in 'KM' or 'MILES'.",
        &[
            fallible(&[Double, Double, Double, Double], Double, geo_distance),
            Signature {
                params: Types(&[Double, Double, Double, Double, Varchar]),
                returns: Returns::Type(Double),
                body: Body::FallibleWithNulls(geo_distance),
            },
        ],
    ),
    function("GREATEST", "The greatest value; NULL is left out.", &[extreme_of(greatest)]),
    function("LEAST", "The least value; NULL is left out.", &[extreme_of(least)]),
];

const T: Param = Param::Generic('T');

const fn extreme_of(body: super::RowBody) -> Signature {
    Signature { params: Variadic(&[T]), returns: Returns::Computed(comparable), body: Body::WithNulls(body) }
}

/// The common type of what `GREATEST` and `LEAST` compare.
fn comparable(types: &[SqlType]) -> Result<SqlType, String> {
    match types.first() {
        Some(nested) if nested.is_nested() => {
            Err(format!("values of {nested} have no order; numbers, texts, dates and times have"))
        }
        Some(other) => Ok(*other),
        None => Err("there is nothing to compare".to_owned()),
    }
}

/// The `DECIMAL` without decimal places that holds what a `DECIMAL` rounds to.
fn whole_type(types: &[SqlType]) -> Result<SqlType, String> {
    match types.first() {
        Some(SqlType::Decimal { precision, scale }) => {
            Ok(SqlType::Decimal { precision: precision.saturating_sub(*scale).max(1), scale: 0 })
        }
        _ => Err("it is no DECIMAL".to_owned()),
    }
}

fn number(args: &[Datum<'_>], index: usize) -> f64 {
    args.get(index).and_then(Datum::as_f64).unwrap_or(f64::NAN)
}

fn places(args: &[Datum<'_>]) -> Option<i64> {
    args.get(1).and_then(Datum::as_i64)
}

fn abs<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let too_large = || "the size of the smallest number does not fit".to_owned();
    Ok(match args {
        [Datum::Int(v)] => Datum::Int(v.checked_abs().ok_or_else(too_large)?),
        [Datum::BigInt(v)] => Datum::BigInt(v.checked_abs().ok_or_else(too_large)?),
        _ => Datum::Null,
    })
}

#[expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]
fn abs_decimal<'a>(args: &[Datum<'a>], _types: &super::CallTypes) -> Result<Datum<'a>, String> {
    Ok(match args {
        [Datum::Decimal(v)] => Datum::Decimal(Decimal::new(v.unscaled().saturating_abs(), v.scale())),
        _ => Datum::Null,
    })
}

#[expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]
fn itself<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Ok(args.first().cloned().unwrap_or(Datum::Null))
}

#[expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]
fn to_bigint<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Ok(args.first().and_then(Datum::as_i64).map_or(Datum::Null, Datum::BigInt))
}

fn whole<'a>(value: f64) -> Result<Datum<'a>, String> {
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value);
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    fits.then_some(Datum::BigInt(value as i64)).ok_or_else(|| format!("{value} is out of range for BIGINT"))
}

fn round<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let value = number(args, 0);
    // Java's `Math.round`: halves go up, also below zero. Adding a half and rounding would be wrong just below a half.
    let floor = value.floor();
    whole(if value - floor >= 0.5 { floor + 1.0 } else { floor })
}

fn trunc<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    whole(number(args, 0).trunc())
}

fn double_to_places<'a>(args: &[Datum<'a>], toward: Toward) -> Datum<'a> {
    let Some(places) = places(args) else { return Datum::Null };
    Datum::Double(rounding::double(number(args, 0), places, toward))
}

/// Rounds a `DECIMAL` to so many places and gives it the scale of the result's type.
fn to_places<'a>(
    args: &[Datum<'a>],
    types: &super::CallTypes,
    places: impl Into<Option<i64>>,
    toward: Toward,
) -> Result<Datum<'a>, String> {
    let (Some(Datum::Decimal(value)), Some(places), SqlType::Decimal { precision, scale }) =
        (args.first(), places.into(), types.returns)
    else {
        return Ok(Datum::Null);
    };
    rounding::decimal(*value, places, toward, (precision, scale)).map(Datum::Decimal)
}

#[expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]
fn sign<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let value = number(args, 0);
    Ok(Datum::Int(i32::from(value > 0.0) - i32::from(value < 0.0)))
}

#[expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]
fn log<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let (base, value) = (number(args, 0), number(args, 1));
    #[expect(clippy::float_cmp, reason = "only the base 1 itself has no logarithm")]
    let none = base <= 0.0 || base == 1.0;
    Ok(Datum::Double(if none { f64::NAN } else { value.ln() / base.ln() }))
}

#[expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]
fn power<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let (base, exponent) = (number(args, 0), number(args, 1));
    // Java gives NaN where IEEE 754's `pow` gives 1.
    #[expect(clippy::float_cmp, reason = "only 1 and -1 themselves are different")]
    let nan = exponent.is_nan() || (exponent.is_infinite() && base.abs() == 1.0);
    Ok(Datum::Double(if nan { f64::NAN } else { base.powf(exponent) }))
}

#[expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]
fn random<'a>(_args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    // The last 62 bits of a random UUID are random; a double holds 53 of them.
    let bits = uuid::Uuid::new_v4().as_u64_pair().1 & ((1 << 53) - 1);
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    Ok(Datum::Double(bits as f64 / (1_u64 << 53) as f64))
}

/// The great circle's length by the haversine formula on a sphere of the Earth's mean radius.
fn geo_distance<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    const RADIUS_KM: f64 = 6_371.0;
    const RADIUS_MILES: f64 = 3_959.0;
    if args.iter().take(4).any(Datum::is_null) {
        return Ok(Datum::Null);
    }
    let (lat1, lon1, lat2, lon2) = (number(args, 0), number(args, 1), number(args, 2), number(args, 3));
    if lat1.abs() > 90.0 || lat2.abs() > 90.0 {
        return Err("a latitude is from -90 to 90 degrees".to_owned());
    }
    if lon1.abs() > 180.0 || lon2.abs() > 180.0 {
        return Err("a longitude is from -180 to 180 degrees".to_owned());
    }
    let unit = args.get(4).and_then(Datum::as_str).unwrap_or("km").trim().to_lowercase();
    let radius = match unit.as_str() {
        "" | "km" | "kilometer" | "kilometers" | "kilometre" | "kilometres" => RADIUS_KM,
        "mi" | "mile" | "miles" => RADIUS_MILES,
        _ => return Err(format!("'{unit}' is no unit of length here; write 'KM' or 'MILES'")),
    };
    // In this order of operations the last digits are those of ksqlDB's tests.
    let radians = |degrees: f64| degrees / 180.0 * std::f64::consts::PI;
    let haversine = |degrees: f64| (radians(degrees) / 2.0).sin().powi(2);
    let cosines = radians(lat1).cos() * radians(lat2).cos();
    let a = haversine(lat2 - lat1) + haversine(lon2 - lon1) * cosines;
    // What is opposite may be a rounding error more than 1.
    Ok(Datum::Double(2.0 * a.min(1.0).sqrt().asin() * radius))
}

#[expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]
fn greatest<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Ok(extreme(args, std::cmp::Ordering::is_gt))
}

#[expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]
fn least<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Ok(extreme(args, std::cmp::Ordering::is_lt))
}

fn extreme<'a>(args: &[Datum<'a>], wins: fn(std::cmp::Ordering) -> bool) -> Datum<'a> {
    let present = args.iter().filter(|value| !value.is_null());
    let best =
        present.reduce(|best, value| if wins(super::ordered::order(value, best)) { value } else { best });
    best.cloned().unwrap_or(Datum::Null)
}
