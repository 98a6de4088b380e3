//! Arithmetic of single values, shared by both evaluators, and the types of its results.

use super::compare::exact;
use super::{ArithmeticOp, Fault};
use crate::function::as_decimal;
use crate::{Datum, Decimal, SqlType};

/// Whole numbers: checked, with Java's division that cuts off towards zero.
pub(crate) trait Whole: Copy {
    const TYPE: SqlType;
    fn apply(op: ArithmeticOp, a: Self, b: Self) -> Result<Self, Fault>;
    fn negated(self) -> Result<Self, Fault>;
}

macro_rules! whole {
    ($int:ty, $sql_type:expr) => {
        impl Whole for $int {
            const TYPE: SqlType = $sql_type;

            #[inline]
            fn apply(op: ArithmeticOp, a: Self, b: Self) -> Result<Self, Fault> {
                let result = match op {
                    ArithmeticOp::Add => a.checked_add(b),
                    ArithmeticOp::Subtract => a.checked_sub(b),
                    ArithmeticOp::Multiply => a.checked_mul(b),
                    ArithmeticOp::Divide | ArithmeticOp::Modulo if b == 0 => {
                        return Err(Fault::DivisionByZero);
                    }
                    ArithmeticOp::Divide => a.checked_div(b),
                    // The one overflow, MIN % -1, is 0 in Java.
                    ArithmeticOp::Modulo => Some(a.wrapping_rem(b)),
                };
                result.ok_or(Fault::Overflow(op.result(), Self::TYPE))
            }

            fn negated(self) -> Result<Self, Fault> {
                self.checked_neg().ok_or(Fault::Overflow("a negated number", Self::TYPE))
            }
        }
    };
}

whole!(i32, SqlType::Int);
whole!(i64, SqlType::BigInt);

impl ArithmeticOp {
    /// What its result is called.
    const fn result(self) -> &'static str {
        match self {
            Self::Add => "a sum",
            Self::Subtract => "a difference",
            Self::Multiply => "a product",
            Self::Divide => "a quotient",
            Self::Modulo => "a remainder",
        }
    }
}

/// Doubles: IEEE 754, as in Java; nothing fails.
pub(crate) fn double(op: ArithmeticOp, a: f64, b: f64) -> f64 {
    match op {
        ArithmeticOp::Add => a + b,
        ArithmeticOp::Subtract => a - b,
        ArithmeticOp::Multiply => a * b,
        ArithmeticOp::Divide => a / b,
        ArithmeticOp::Modulo => a % b,
    }
}

/// Decimals, with the digits that `sql_type` has. A quotient is rounded half up to them; so is a product whose exact
/// result has more digits behind the point than there is room for.
pub(crate) fn decimal(op: ArithmeticOp, a: Decimal, b: Decimal, sql_type: SqlType) -> Result<Decimal, Fault> {
    let SqlType::Decimal { precision, scale } = sql_type else {
        return Err(Fault::Overflow(op.result(), sql_type));
    };
    let result = match op {
        ArithmeticOp::Add => a.add(b, scale),
        ArithmeticOp::Subtract => a.add(b.negated(), scale),
        ArithmeticOp::Multiply => a.multiply(b, scale),
        ArithmeticOp::Divide | ArithmeticOp::Modulo if b.unscaled() == 0 => {
            return Err(Fault::DivisionByZero);
        }
        ArithmeticOp::Divide => a.divide(b, scale),
        ArithmeticOp::Modulo => a.remainder(b, scale),
    };
    result.filter(|value| value.fits(precision)).ok_or(Fault::Overflow(op.result(), sql_type))
}

/// Two numbers, neither of them `NULL`; `sql_type` is that of the result, see [`result_type`].
pub(crate) fn datum<'a>(
    op: ArithmeticOp,
    a: &Datum<'_>,
    b: &Datum<'_>,
    sql_type: SqlType,
) -> Result<Datum<'a>, Fault> {
    Ok(match (a, b) {
        (Datum::Int(a), Datum::Int(b)) => Datum::Int(i32::apply(op, *a, *b)?),
        (Datum::BigInt(a), Datum::BigInt(b)) => Datum::BigInt(i64::apply(op, *a, *b)?),
        (Datum::Double(a), Datum::Double(b)) => Datum::Double(double(op, *a, *b)),
        (a, b) => match (exact(a), exact(b)) {
            (Some(a), Some(b)) => Datum::Decimal(decimal(op, a, b, sql_type)?),
            _ => Datum::Null,
        },
    })
}

/// The type of the result for two numbers; `None` where one is no number. Digits of decimals follow ksqlDB's rules.
/// Where that would be more than 38: digits before the point stay, and those behind it go, but for six of them; sums lose
/// none as long as their operands fit.
pub(crate) fn result_type(op: ArithmeticOp, a: SqlType, b: SqlType) -> Option<SqlType> {
    if !a.is_numeric() || !b.is_numeric() {
        return None;
    }
    if matches!((a, b), (SqlType::Double, _) | (_, SqlType::Double)) {
        return Some(SqlType::Double);
    }
    if !matches!((a, b), (SqlType::Decimal { .. }, _) | (_, SqlType::Decimal { .. })) {
        return Some(a.max(b));
    }
    let (digits_a, scale_a) = digits(a)?;
    let (digits_b, scale_b) = digits(b)?;
    let (whole_a, whole_b) = (digits_a.saturating_sub(scale_a), digits_b.saturating_sub(scale_b));
    Some(match op {
        ArithmeticOp::Add | ArithmeticOp::Subtract => {
            let (whole, scale) = (whole_a.max(whole_b), scale_a.max(scale_b));
            let scale = scale.min(38_u16.saturating_sub(whole));
            made((whole + scale + 1).min(38), scale)
        }
        ArithmeticOp::Multiply => capped(digits_a + digits_b + 1, scale_a + scale_b),
        ArithmeticOp::Divide => {
            let scale = (scale_a + digits_b + 1).max(6);
            capped(whole_a + scale_b + scale, scale)
        }
        ArithmeticOp::Modulo => {
            let scale = scale_a.max(scale_b);
            made((whole_a.min(whole_b) + scale).clamp(1, 38), scale)
        }
    })
}

fn digits(sql_type: SqlType) -> Option<(u16, u16)> {
    match as_decimal(sql_type)? {
        SqlType::Decimal { precision, scale } => Some((precision.into(), scale.into())),
        _ => None,
    }
}

fn capped(precision: u16, scale: u16) -> SqlType {
    if precision <= 38 {
        return made(precision, scale);
    }
    let whole = precision.saturating_sub(scale);
    made(38, 38_u16.saturating_sub(whole).max(scale.min(6)))
}

fn made(precision: u16, scale: u16) -> SqlType {
    let narrow = |digits: u16| u8::try_from(digits).unwrap_or(Decimal::PRECISION_MAX);
    SqlType::Decimal { precision: narrow(precision), scale: narrow(scale.min(precision)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(precision: u8, scale: u8) -> SqlType {
        SqlType::Decimal { precision, scale }
    }

    #[test]
    fn decimals_get_the_digits_that_ksqldb_gives_them() {
        use ArithmeticOp::{Add, Divide, Modulo, Multiply, Subtract};
        for (op, a, b, expected) in [
            (Add, d(4, 2), d(4, 2), d(5, 2)),
            (Subtract, d(4, 2), SqlType::Int, d(13, 2)),
            (Multiply, d(4, 2), d(4, 2), d(9, 4)),
            (Divide, d(4, 2), d(4, 2), d(11, 7)),
            (Modulo, d(4, 2), d(5, 3), d(5, 3)),
            (Multiply, SqlType::Int, d(2, 1), d(13, 1)),
            (Add, SqlType::BigInt, d(2, 1), d(21, 1)),
            (Add, d(4, 2), SqlType::Double, SqlType::Double),
            (Add, SqlType::Int, SqlType::BigInt, SqlType::BigInt),
            (Add, d(38, 10), d(38, 10), d(38, 10)),
            (Multiply, d(38, 20), d(38, 20), d(38, 6)),
            (Multiply, d(19, 2), d(20, 2), d(38, 4)),
            (Divide, d(38, 2), d(38, 2), d(38, 6)),
        ] {
            assert_eq!(result_type(op, a, b), Some(expected), "{op:?} {a} {b}");
        }
        assert_eq!(result_type(Add, SqlType::Varchar, SqlType::Int), None);
    }

    #[test]
    fn what_does_not_fit_is_a_fault() {
        let number = |unscaled| Decimal::new(unscaled, 0);
        assert_eq!(
            decimal(ArithmeticOp::Add, number(99), number(1), d(2, 0)),
            Err(Fault::Overflow("a sum", d(2, 0)))
        );
        assert_eq!(decimal(ArithmeticOp::Divide, number(1), number(0), d(9, 6)), Err(Fault::DivisionByZero));
    }
}
