//! `CAST`, by ksqlDB's rules.

use super::Fault;
use crate::{Datum, SqlType};
use millstream_format::sql::Field;
use std::borrow::Cow;

/// Whether a cast exists at all.
pub(crate) const fn exists(from: SqlType, to: SqlType) -> bool {
    use SqlType as T;
    match (from, to) {
        (_, T::Varchar) | (T::Varchar, _) | (T::Boolean, T::Boolean) => true,
        (from, to) => from.is_numeric() && to.is_numeric(),
    }
}

/// Whether a cast succeeds for every value.
pub(crate) const fn is_safe(from: SqlType, to: SqlType) -> bool {
    use SqlType as T;
    matches!(
        (from, to),
        (_, T::Varchar | T::Double | T::Boolean) | (T::Int, T::Int | T::BigInt) | (T::BigInt, T::BigInt)
    ) && !matches!((from, to), (T::Varchar, T::Double))
}

/// The struct that values of both become: fields of the same names, each of the wider type.
pub(crate) fn common_struct(
    a: &[Field],
    b: &[Field],
    wider: fn(SqlType, SqlType) -> Option<SqlType>,
) -> Option<SqlType> {
    if a.len() != b.len() {
        return None;
    }
    let fields = a.iter().zip(b).map(|(a, b)| {
        (a.name == b.name).then(|| wider(a.sql_type, b.sql_type)).flatten().map(|sql_type| (a.name, sql_type))
    });
    Some(SqlType::structure(fields.collect::<Option<Vec<_>>>()?))
}

/// Casts one value. `NULL` stays `NULL`.
pub(crate) fn datum(value: Datum<'_>, to: SqlType) -> Result<Datum<'_>, Fault> {
    Ok(match (value, to) {
        (Datum::Null, _) => Datum::Null,
        (value @ Datum::Boolean(_), SqlType::Boolean) | (value @ Datum::Varchar(_), SqlType::Varchar) => {
            value
        }
        (value, SqlType::Varchar) => Datum::Varchar(Cow::Owned(value.to_string())),
        (Datum::Varchar(text), SqlType::Boolean) => Datum::Boolean(truth(&text)),
        (Datum::Varchar(text), to) => number(&text, to)?,
        (value, SqlType::Double) => value.as_f64().map_or(Datum::Null, Datum::Double),
        (Datum::Double(v), SqlType::Int) => {
            #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
            let cut = (v.trunc() > -2_147_483_649.0 && v.trunc() < 2_147_483_648.0).then_some(v as i32);
            Datum::Int(cut.ok_or(Fault::Overflow("a number", to))?)
        }
        (Datum::Double(v), SqlType::BigInt) => {
            let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&v);
            #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
            Datum::BigInt(fits.then_some(v as i64).ok_or(Fault::Overflow("a number", to))?)
        }
        (value, SqlType::Int) => {
            let whole = value.as_i64().and_then(|v| i32::try_from(v).ok());
            Datum::Int(whole.ok_or(Fault::Overflow("a number", to))?)
        }
        (value, _) => value.as_i64().map_or(Datum::Null, Datum::BigInt),
    })
}

/// `true`, `yes` and their beginnings are true, the rest is false, as in ksqlDB.
fn truth(text: &str) -> bool {
    let text = text.trim().to_lowercase();
    !text.is_empty() && ("true".starts_with(&text) || "yes".starts_with(&text))
}

fn number(text: &str, to: SqlType) -> Result<Datum<'static>, Fault> {
    let trimmed = text.trim();
    let value = match to {
        SqlType::Int => trimmed.parse().ok().map(Datum::Int),
        SqlType::BigInt => trimmed.parse().ok().map(Datum::BigInt),
        _ => match trimmed {
            "NaN" => Some(Datum::Double(f64::NAN)),
            "Infinity" => Some(Datum::Double(f64::INFINITY)),
            "-Infinity" => Some(Datum::Double(f64::NEG_INFINITY)),
            text if text.bytes().any(|byte| byte.is_ascii_digit()) => text.parse().ok().map(Datum::Double),
            _ => None,
        },
    };
    value.ok_or_else(|| Fault::Cast(text.chars().take(40).collect(), to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn casts_follow_ksqldb() {
        let text = |text: &'static str| Datum::Varchar(Cow::Borrowed(text));
        for (value, to, expected) in [
            (Datum::Double(1.0), SqlType::Varchar, Ok(text("1.0"))),
            (Datum::Double(-1.9), SqlType::Int, Ok(Datum::Int(-1))),
            (Datum::Double(3e9), SqlType::Int, Err(Fault::Overflow("a number", SqlType::Int))),
            (Datum::Double(f64::NAN), SqlType::BigInt, Err(Fault::Overflow("a number", SqlType::BigInt))),
            (Datum::Int(7), SqlType::Double, Ok(Datum::Double(7.0))),
            (text(" 12 "), SqlType::BigInt, Ok(Datum::BigInt(12))),
            (text("1.5"), SqlType::Int, Err(Fault::Cast("1.5".into(), SqlType::Int))),
            (text("Y"), SqlType::Boolean, Ok(Datum::Boolean(true))),
            (text("on"), SqlType::Boolean, Ok(Datum::Boolean(false))),
            (Datum::Null, SqlType::Int, Ok(Datum::Null)),
        ] {
            assert_eq!(datum(value, to), expected);
        }
    }
}
