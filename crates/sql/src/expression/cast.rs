//! `CAST`, by ksqlDB's rules.

use super::{Fault, temporal, text};
use crate::{Datum, Decimal, SqlType};
use base64::Engine as _;
use millstream_format::sql::{DecimalFault, Field};
use std::borrow::Cow;
use std::sync::Arc;

const DAY_MS: i64 = 86_400_000;

/// Whether a cast exists at all.
pub(crate) fn exists(from: SqlType, to: SqlType) -> bool {
    use SqlType as T;
    match (from, to) {
        (from, to) if from == to => true,
        (T::Bytes, T::Varchar) => false,
        (_, T::Varchar) | (T::Timestamp, T::Date | T::Time) | (T::Date, T::Timestamp) => true,
        (T::Varchar, to) => !to.is_nested(),
        (T::Array(from), T::Array(to)) => exists(*from, *to),
        (T::Map(from_key, from), T::Map(to_key, to)) => exists(*from_key, *to_key) && exists(*from, *to),
        (T::Struct(from), T::Struct(to)) => {
            let mut pairs =
                to.iter().filter_map(|field| Some((field_of(from, field.name)?.1, field.sql_type)));
            pairs.clone().next().is_some() && pairs.all(|(from, to)| exists(from, to))
        }
        (from, to) => from.is_numeric() && to.is_numeric(),
    }
}

/// Whether a cast succeeds for every value.
pub(crate) fn is_safe(from: SqlType, to: SqlType) -> bool {
    use SqlType as T;
    match (from, to) {
        (from, to) if from == to => true,
        (_, T::Varchar) | (T::Varchar, T::Boolean) | (T::Timestamp, T::Time) | (T::Date, T::Timestamp) => {
            true
        }
        (T::Array(from), T::Array(to)) => is_safe(*from, *to),
        // Keys that differ may become the same.
        (T::Map(from_key, from), T::Map(to_key, to)) => from_key == to_key && is_safe(*from, *to),
        (T::Struct(from), T::Struct(to)) => to
            .iter()
            .all(|field| field_of(from, field.name).is_none_or(|(_, from)| is_safe(from, field.sql_type))),
        (from, to) => from.is_numeric() && crate::function::widens(Some(from), to),
    }
}

fn field_of(fields: &[Field], name: &str) -> Option<(usize, SqlType)> {
    let place = fields.iter().position(|field| field.name == name)?;
    fields.get(place).map(|field| (place, field.sql_type))
}

/// The struct that values of both become: all fields of both, those of the same name of the wider type.
pub(crate) fn common_struct(
    a: &[Field],
    b: &[Field],
    wider: fn(SqlType, SqlType) -> Option<SqlType>,
) -> Option<SqlType> {
    let mut fields = Vec::with_capacity(a.len());
    for field in a {
        fields.push((
            field.name,
            match field_of(b, field.name) {
                Some((_, other)) => wider(field.sql_type, other)?,
                None => field.sql_type,
            },
        ));
    }
    let only_there = b.iter().filter(|field| field_of(a, field.name).is_none());
    fields.extend(only_there.map(|field| (field.name, field.sql_type)));
    Some(SqlType::structure(fields))
}

/// Casts one value of type `from`. `NULL` stays `NULL`.
pub(crate) fn value(value: Datum<'_>, from: SqlType, to: SqlType) -> Result<Datum<'_>, Fault> {
    if from == to {
        return Ok(value);
    }
    match (&value, from, to) {
        (Datum::Null, _, _) => Ok(Datum::Null),
        (Datum::Array(_) | Datum::Map(_) | Datum::Struct(_), _, SqlType::Varchar) => {
            Ok(Datum::Varchar(Cow::Owned(text::of(&value, from))))
        }
        (Datum::Array(values), SqlType::Array(from), SqlType::Array(to)) => {
            let cast: Result<Arc<[_]>, _> = values.iter().map(|value| inner(value, *from, *to)).collect();
            Ok(Datum::Array(cast?))
        }
        (Datum::Map(entries), SqlType::Map(from_key, from), SqlType::Map(to_key, to)) => {
            let mut cast: Vec<(Datum<'static>, Datum<'static>)> = Vec::with_capacity(entries.len());
            for (key, value) in entries.iter() {
                let entry = (inner(key, *from_key, *to_key)?, inner(value, *from, *to)?);
                if from_key != to_key && cast.iter().any(|(key, _)| super::compare::same(key, &entry.0)) {
                    return Err(Fault::Cast(format!("{{{key}=…}}"), SqlType::Map(to_key, to)));
                }
                cast.push(entry);
            }
            Ok(Datum::Map(cast.into()))
        }
        (Datum::Struct(values), SqlType::Struct(from), SqlType::Struct(to)) => {
            let cast: Result<Arc<[_]>, _> = to
                .iter()
                .map(|field| match field_of(from, field.name) {
                    Some((place, from)) => {
                        inner(values.get(place).unwrap_or(&Datum::Null), from, field.sql_type)
                    }
                    None => Ok(Datum::Null),
                })
                .collect();
            Ok(Datum::Struct(cast?))
        }
        _ => datum(value, to),
    }
}

fn inner(inside: &Datum<'static>, from: SqlType, to: SqlType) -> Result<Datum<'static>, Fault> {
    if from == to {
        return Ok(inside.clone());
    }
    Ok(value(inside.as_borrowed(), from, to)?.into_owned())
}

/// Casts one value that holds no others. `NULL` stays `NULL`.
pub(crate) fn datum(value: Datum<'_>, to: SqlType) -> Result<Datum<'_>, Fault> {
    let out_of_range = || Fault::Overflow("a number", to);
    Ok(match (value, to) {
        (Datum::Null, _) => Datum::Null,
        (value @ Datum::Boolean(_), SqlType::Boolean)
        | (value @ Datum::Varchar(_), SqlType::Varchar)
        | (value @ Datum::Bytes(_), SqlType::Bytes)
        | (value @ Datum::Date(_), SqlType::Date)
        | (value @ Datum::Time(_), SqlType::Time)
        | (value @ Datum::Timestamp(_), SqlType::Timestamp) => value,
        (Datum::Bytes(_), SqlType::Varchar) => return Err(Fault::Cast("BYTES".to_owned(), to)),
        (value, SqlType::Varchar) => Datum::Varchar(Cow::Owned(value.to_string())),
        (Datum::Varchar(text), to) => from_text(&text, to)?,
        (Datum::Date(days), SqlType::Timestamp) => Datum::Timestamp(i64::from(days) * DAY_MS),
        (Datum::Timestamp(ms), SqlType::Date) => {
            Datum::Date(i32::try_from(ms.div_euclid(DAY_MS)).map_err(|_| Fault::Overflow("a date", to))?)
        }
        (Datum::Timestamp(ms), SqlType::Time) => {
            Datum::Time(i32::try_from(ms.rem_euclid(DAY_MS)).unwrap_or_default())
        }
        (value, SqlType::Decimal { precision, scale }) => {
            Datum::Decimal(decimal(&value, precision, scale).ok_or_else(out_of_range)?)
        }
        (value, SqlType::Double) => value.as_f64().map_or(Datum::Null, Datum::Double),
        (value, SqlType::Int | SqlType::BigInt) => {
            let whole = whole(&value).ok_or_else(out_of_range)?;
            match to {
                SqlType::Int => Datum::Int(i32::try_from(whole).map_err(|_| out_of_range())?),
                _ => Datum::BigInt(i64::try_from(whole).map_err(|_| out_of_range())?),
            }
        }
        (other, _) => return Err(Fault::Cast(clipped(&other.to_string()), to)),
    })
}

/// A number without its fraction.
fn whole(value: &Datum<'_>) -> Option<i128> {
    match value {
        Datum::Int(v) => Some(i128::from(*v)),
        Datum::BigInt(v) => Some(i128::from(*v)),
        Datum::Decimal(v) => Some(v.trunc()),
        #[expect(clippy::cast_possible_truncation, reason = "the range is checked; the fraction is cut off")]
        Datum::Double(v) => (-1e30..1e30).contains(v).then_some(*v as i128),
        _ => None,
    }
}

fn decimal(value: &Datum<'_>, precision: u8, scale: u8) -> Option<Decimal> {
    match value {
        Datum::Double(v) => Decimal::from_f64(*v, precision, scale).ok(),
        value => {
            super::compare::exact(value).and_then(|v| v.rescale(scale)).filter(|value| value.fits(precision))
        }
    }
}

/// `true`, `yes` and their beginnings are true, the rest is false, as in ksqlDB.
fn truth(text: &str) -> bool {
    let text = text.to_lowercase();
    !text.is_empty() && ("true".starts_with(&text) || "yes".starts_with(&text))
}

fn from_text(text: &str, to: SqlType) -> Result<Datum<'static>, Fault> {
    let trimmed = text.trim();
    let value = match to {
        SqlType::Boolean => Some(Datum::Boolean(truth(trimmed))),
        SqlType::Int => trimmed.parse().ok().map(Datum::Int),
        SqlType::BigInt => trimmed.parse().ok().map(Datum::BigInt),
        SqlType::Double => double(trimmed).map(Datum::Double),
        SqlType::Decimal { precision, scale } => match Decimal::parse(trimmed, precision, scale) {
            Ok(value) => Some(Datum::Decimal(value)),
            Err(DecimalFault::TooLarge) => return Err(Fault::Overflow("a number", to)),
            Err(DecimalFault::NoNumber) => None,
        },
        SqlType::Date => temporal::parse_date(trimmed).map(Datum::Date),
        SqlType::Time => temporal::parse_time(trimmed).map(Datum::Time),
        SqlType::Timestamp => temporal::parse_timestamp(trimmed).map(Datum::Timestamp),
        SqlType::Bytes => {
            let bytes = base64::engine::general_purpose::STANDARD.decode(trimmed);
            bytes.ok().map(|bytes| Datum::Bytes(Cow::Owned(bytes)))
        }
        _ => None,
    };
    value.ok_or_else(|| Fault::Cast(clipped(text), to))
}

fn double(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" | "+Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        text if text.bytes().any(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    }
}

/// The beginning of a text, for messages.
fn clipped(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &'static str) -> Datum<'static> {
        Datum::Varchar(Cow::Borrowed(text))
    }

    const fn d(precision: u8, scale: u8) -> SqlType {
        SqlType::Decimal { precision, scale }
    }

    fn decimal(text: &str) -> Datum<'static> {
        Datum::Decimal(Decimal::parse_exactly(text).unwrap())
    }

    #[test]
    fn casts_follow_ksqldb() {
        for (value, to, expected) in [
            (Datum::Double(1.0), SqlType::Varchar, Ok(text("1.0"))),
            (Datum::Double(-1.9), SqlType::Int, Ok(Datum::Int(-1))),
            (Datum::Double(3e9), SqlType::Int, Err(Fault::Overflow("a number", SqlType::Int))),
            (Datum::Double(f64::NAN), SqlType::BigInt, Err(Fault::Overflow("a number", SqlType::BigInt))),
            (Datum::Double(-9.3e18), SqlType::BigInt, Err(Fault::Overflow("a number", SqlType::BigInt))),
            (Datum::Int(7), SqlType::Double, Ok(Datum::Double(7.0))),
            (text(" 12 "), SqlType::BigInt, Ok(Datum::BigInt(12))),
            (text("1.5"), SqlType::Int, Err(Fault::Cast("1.5".into(), SqlType::Int))),
            (text("Y"), SqlType::Boolean, Ok(Datum::Boolean(true))),
            (text("on"), SqlType::Boolean, Ok(Datum::Boolean(false))),
            (Datum::Null, SqlType::Int, Ok(Datum::Null)),
            (Datum::Int(10), d(2, 1), Err(Fault::Overflow("a number", d(2, 1)))),
            (Datum::Int(-1), d(2, 1), Ok(decimal("-1.0"))),
            (text("0.99"), d(2, 1), Ok(decimal("1.0"))),
            (text("x"), d(2, 1), Err(Fault::Cast("x".into(), d(2, 1)))),
            (Datum::Double(0.01), d(2, 1), Ok(decimal("0.0"))),
            (decimal("10.12"), d(5, 3), Ok(decimal("10.120"))),
            (decimal("10.99"), SqlType::Int, Ok(Datum::Int(10))),
            (decimal("10.01"), SqlType::Double, Ok(Datum::Double(10.01))),
            (decimal("0.50"), SqlType::Varchar, Ok(text("0.50"))),
            (text("1970-01-02"), SqlType::Timestamp, Ok(Datum::Timestamp(DAY_MS))),
            (Datum::Timestamp(-1), SqlType::Date, Ok(Datum::Date(-1))),
            (Datum::Timestamp(-1), SqlType::Time, Ok(Datum::Time(86_399_999))),
            (Datum::Timestamp(i64::MAX), SqlType::Date, Err(Fault::Overflow("a date", SqlType::Date))),
            (Datum::Date(1), SqlType::Timestamp, Ok(Datum::Timestamp(DAY_MS))),
            (text("IQ=="), SqlType::Bytes, Ok(Datum::Bytes(Cow::Borrowed(b"!")))),
            (text("noon"), SqlType::Time, Err(Fault::Cast("noon".into(), SqlType::Time))),
        ] {
            assert_eq!(datum(value.clone(), to), expected, "{value:?} as {to}");
        }
    }

    #[test]
    fn there_are_the_casts_that_ksqldb_has() {
        use SqlType::{BigInt, Boolean, Bytes, Date, Double, Int, Time, Timestamp, Varchar};
        for (from, to) in [
            (Boolean, Int),
            (Int, Boolean),
            (Int, Timestamp),
            (Timestamp, BigInt),
            (Date, Time),
            (Time, Timestamp),
            (Bytes, Varchar),
            (Int, Bytes),
        ] {
            assert!(!exists(from, to), "{from} {to}");
        }
        for (from, to) in [(Varchar, Bytes), (Double, d(3, 2)), (Boolean, Varchar), (Date, Timestamp)] {
            assert!(exists(from, to), "{from} {to}");
        }
        assert!(
            exists(SqlType::array(Int), SqlType::array(Varchar)) && !exists(Varchar, SqlType::array(Int))
        );
        let of = |name| SqlType::structure([(name, Int)]);
        assert!(
            exists(of("A"), SqlType::structure([("A", Double), ("B", Int)])) && !exists(of("A"), of("B"))
        );
    }

    #[test]
    fn nested_values_are_cast_element_by_element() {
        let from = SqlType::structure([("A", SqlType::array(SqlType::Int)), ("B", SqlType::Int)]);
        let to = SqlType::structure([("C", SqlType::Int), ("A", SqlType::array(SqlType::Varchar))]);
        let given =
            Datum::Struct(Arc::from([Datum::Array(Arc::from([Datum::Int(1), Datum::Null])), Datum::Int(2)]));
        let expected =
            Datum::Struct(Arc::from([Datum::Null, Datum::Array(Arc::from([text("1"), Datum::Null]))]));
        assert_eq!(value(given, from, to), Ok(expected));
        let doubles = SqlType::map(SqlType::Double, SqlType::Int);
        let clash =
            Datum::Map(Arc::from([(Datum::Double(1.0), Datum::Int(1)), (Datum::Double(1.5), Datum::Int(2))]));
        assert!(value(clash, doubles, SqlType::map(SqlType::Int, SqlType::Int)).is_err());
    }
}
