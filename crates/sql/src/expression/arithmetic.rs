//! Arithmetic and comparison of single values, shared by both evaluators.

use super::{ArithmeticOp, CompareOp, Fault};
use crate::{Datum, SqlType};
use std::cmp::Ordering;

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

            fn apply(op: ArithmeticOp, a: Self, b: Self) -> Result<Self, Fault> {
                let (name, result) = match op {
                    ArithmeticOp::Add => ("a sum", a.checked_add(b)),
                    ArithmeticOp::Subtract => ("a difference", a.checked_sub(b)),
                    ArithmeticOp::Multiply => ("a product", a.checked_mul(b)),
                    ArithmeticOp::Divide | ArithmeticOp::Modulo if b == 0 => {
                        return Err(Fault::DivisionByZero);
                    }
                    ArithmeticOp::Divide => ("a quotient", a.checked_div(b)),
                    // The one overflow, MIN % -1, is 0 in Java.
                    ArithmeticOp::Modulo => ("a remainder", Some(a.wrapping_rem(b))),
                };
                result.ok_or(Fault::Overflow(name, Self::TYPE))
            }

            fn negated(self) -> Result<Self, Fault> {
                self.checked_neg().ok_or(Fault::Overflow("a negated number", Self::TYPE))
            }
        }
    };
}

whole!(i32, SqlType::Int);
whole!(i64, SqlType::BigInt);

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

/// Two values of one numeric type, neither of them `NULL`.
pub(crate) fn datum<'a>(op: ArithmeticOp, a: &Datum<'_>, b: &Datum<'_>) -> Result<Datum<'a>, Fault> {
    Ok(match (a, b) {
        (Datum::Int(a), Datum::Int(b)) => Datum::Int(i32::apply(op, *a, *b)?),
        (Datum::BigInt(a), Datum::BigInt(b)) => Datum::BigInt(i64::apply(op, *a, *b)?),
        (Datum::Double(a), Datum::Double(b)) => Datum::Double(double(op, *a, *b)),
        _ => Datum::Null,
    })
}

impl CompareOp {
    /// The result for two present values that compare as `ordering`; `None` where one is NaN.
    pub(crate) const fn holds(self, ordering: Option<Ordering>) -> bool {
        let Some(ordering) = ordering else { return matches!(self, Self::NotEqual | Self::Distinct) };
        match self {
            Self::Equal | Self::NotDistinct => ordering.is_eq(),
            Self::NotEqual | Self::Distinct => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }

    /// The result where at least one side is `NULL`.
    pub(crate) const fn holds_for_null(self, both_null: bool) -> bool {
        match self {
            Self::Distinct => !both_null,
            Self::NotDistinct => both_null,
            _ => false,
        }
    }

    /// Two values of one type.
    pub(crate) fn apply(self, a: &Datum<'_>, b: &Datum<'_>) -> bool {
        if a.is_null() || b.is_null() {
            self.holds_for_null(a.is_null() && b.is_null())
        } else {
            self.holds(order(a, b))
        }
    }
}

/// How two present values of one type compare; `None` where one is NaN.
pub(crate) fn order(a: &Datum<'_>, b: &Datum<'_>) -> Option<Ordering> {
    match (a, b) {
        (Datum::Boolean(a), Datum::Boolean(b)) => Some(a.cmp(b)),
        (Datum::Varchar(a), Datum::Varchar(b)) => Some(a.cmp(b)),
        (Datum::Int(a), Datum::Int(b)) => Some(a.cmp(b)),
        (Datum::BigInt(a), Datum::BigInt(b)) => Some(a.cmp(b)),
        (a, b) => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}
