//! Comparison of values, shared by both evaluators and by functions.

use super::CompareOp;
use crate::{Datum, Decimal};
use std::cmp::Ordering;

const DAY_MS: i64 = 86_400_000;

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

    /// The operator that says the same with its sides exchanged.
    pub(super) const fn flipped(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            same => same,
        }
    }

    /// Two values of types that can be compared.
    pub(crate) fn apply(self, a: &Datum<'_>, b: &Datum<'_>) -> bool {
        if a.is_null() || b.is_null() {
            return self.holds_for_null(a.is_null() && b.is_null());
        }
        if matches!(a, Datum::Array(_) | Datum::Map(_) | Datum::Struct(_)) {
            return self.holds(Some(if same(a, b) { Ordering::Equal } else { Ordering::Less }));
        }
        self.holds(order(a, b))
    }
}

/// How two present values compare: numbers by value whatever their types, a date as its midnight with a timestamp. `None`
/// where one is NaN, and where there is no order: of arrays, maps, structs, and values of other types.
pub(crate) fn order(a: &Datum<'_>, b: &Datum<'_>) -> Option<Ordering> {
    match (a, b) {
        (Datum::Boolean(a), Datum::Boolean(b)) => Some(a.cmp(b)),
        (Datum::Varchar(a), Datum::Varchar(b)) => Some(a.cmp(b)),
        (Datum::Bytes(a), Datum::Bytes(b)) => Some(a.cmp(b)),
        (Datum::Int(a), Datum::Int(b))
        | (Datum::Date(a), Datum::Date(b))
        | (Datum::Time(a), Datum::Time(b)) => Some(a.cmp(b)),
        (Datum::BigInt(a), Datum::BigInt(b)) | (Datum::Timestamp(a), Datum::Timestamp(b)) => Some(a.cmp(b)),
        (Datum::Date(a), Datum::Timestamp(b)) => Some((i64::from(*a) * DAY_MS).cmp(b)),
        (Datum::Timestamp(a), Datum::Date(b)) => Some(a.cmp(&(i64::from(*b) * DAY_MS))),
        (Datum::Decimal(a), Datum::Double(b)) => a.cmp_f64(*b),
        (Datum::Double(a), Datum::Decimal(b)) => b.cmp_f64(*a).map(Ordering::reverse),
        (Datum::Double(_), _) | (_, Datum::Double(_)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (a, b) => Some(exact(a)?.cmp(&exact(b)?)),
    }
}

/// An exact number as a decimal.
pub(super) fn exact(value: &Datum<'_>) -> Option<Decimal> {
    match value {
        Datum::Int(v) => Some(Decimal::new(i128::from(*v), 0)),
        Datum::BigInt(v) => Some(Decimal::new(i128::from(*v), 0)),
        Datum::Decimal(v) => Some(*v),
        _ => None,
    }
}

/// Whether two values are the same one, inside of others: `NULL` is itself, NaN is itself, and the order of a map's
/// entries does not count.
pub(crate) fn same(a: &Datum<'_>, b: &Datum<'_>) -> bool {
    match (a, b) {
        (Datum::Null, Datum::Null) => true,
        (Datum::Array(a), Datum::Array(b)) | (Datum::Struct(a), Datum::Struct(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same(a, b))
        }
        (Datum::Map(a), Datum::Map(b)) => {
            let found =
                |key: &Datum<'_>| b.iter().find(|(other, _)| same(key, other)).map(|(_, value)| value);
            a.len() == b.len()
                && (a.iter().zip(b.iter()).all(|(a, b)| same(&a.0, &b.0) && same(&a.1, &b.1))
                    || a.iter().all(|(key, value)| found(key).is_some_and(|other| same(value, other))))
        }
        (Datum::Double(a), Datum::Double(b)) if a.is_nan() && b.is_nan() => true,
        (a, b) => order(a, b).is_some_and(Ordering::is_eq),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;
    use std::sync::Arc;

    fn text(text: &str) -> Datum<'static> {
        Datum::Varchar(Cow::Owned(text.to_owned()))
    }

    #[test]
    fn numbers_compare_by_value_and_dates_as_midnight() {
        let decimal = |unscaled, scale| Datum::Decimal(Decimal::new(unscaled, scale));
        for (a, b, expected) in [
            (Datum::Int(2), Datum::BigInt(3), Some(Ordering::Less)),
            (decimal(150, 2), Datum::Int(1), Some(Ordering::Greater)),
            (decimal(100, 2), Datum::BigInt(1), Some(Ordering::Equal)),
            (decimal(1, 1), Datum::Double(0.1), Some(Ordering::Equal)),
            (Datum::Double(f64::NAN), Datum::Int(1), None),
            (Datum::BigInt(i64::MAX), decimal(i128::from(i64::MAX) * 10 + 1, 1), Some(Ordering::Less)),
            (Datum::Date(1), Datum::Timestamp(DAY_MS), Some(Ordering::Equal)),
            (Datum::Timestamp(-1), Datum::Date(0), Some(Ordering::Less)),
            (Datum::Bytes(Cow::Borrowed(&[1, 255])), Datum::Bytes(Cow::Borrowed(&[2])), Some(Ordering::Less)),
            (Datum::Time(1), Datum::Date(1), None),
        ] {
            assert_eq!(order(&a, &b), expected, "{a:?} {b:?}");
        }
    }

    #[test]
    fn nested_values_are_the_same_with_their_nulls_and_whatever_the_order_of_a_map() {
        let map = |entries: &[(&str, Datum<'static>)]| {
            Datum::Map(entries.iter().map(|(key, value)| (text(key), value.clone())).collect())
        };
        let one = map(&[("a", Datum::Int(1)), ("b", Datum::Null)]);
        let other = map(&[("b", Datum::Null), ("a", Datum::Int(1))]);
        assert!(CompareOp::Equal.apply(&one, &other));
        assert!(CompareOp::NotEqual.apply(&one, &map(&[("b", Datum::Null), ("a", Datum::Int(2))])));
        let array = |value| Datum::Array(Arc::from([value, Datum::Null]));
        assert!(CompareOp::Equal.apply(&array(Datum::Int(1)), &array(Datum::Int(1))));
        assert!(!CompareOp::Equal.apply(&array(Datum::Int(1)), &array(Datum::Int(2))));
        assert!(CompareOp::Distinct.apply(&array(Datum::Int(1)), &Datum::Null));
    }
}
