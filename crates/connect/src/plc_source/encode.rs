//! From raw cells to engineering cells.

use super::SourceTag;
use millstream_model::{Cell, Value};
use std::borrow::Cow;

/// How one tag's raw value becomes an engineering value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scaling {
    /// As it is.
    None,
    /// raw × factor + offset.
    Times(f64, f64),
    /// raw ÷ divisor + offset: a scale of 0.1 is no double, but its divisor 10 is, and 3 ÷ 10 prints as 0.3.
    By(f64, f64),
}

impl Scaling {
    pub(super) fn of(tag: &SourceTag) -> Self {
        #[expect(clippy::float_cmp, reason = "1 and 0 are written by people and exact")]
        if tag.scale == 1.0 && tag.offset == 0.0 {
            return Self::None;
        }
        let divisor = tag.scale.recip().round();
        #[expect(clippy::float_cmp, reason = "exactly the double that the division gives")]
        if divisor.abs() > 1.0 && divisor.is_finite() && divisor.recip() == tag.scale {
            Self::By(divisor, tag.offset)
        } else {
            Self::Times(tag.scale, tag.offset)
        }
    }

    fn number(self, raw: f64) -> f64 {
        match self {
            Self::None => raw,
            Self::Times(factor, offset) => raw * factor + offset,
            Self::By(divisor, offset) => raw / divisor + offset,
        }
    }

    fn value(self, raw: &Value) -> Value {
        match raw {
            Value::List(items) => Value::List(items.iter().map(|item| self.value(item)).collect()),
            raw => raw.as_f64().map_or_else(|| raw.clone(), |raw| Value::LReal(self.number(raw))),
        }
    }

    /// The engineering cell of a raw one. What is no number stays as it is.
    pub(super) fn cell(self, raw: &Cell) -> Cow<'_, Cell> {
        match (self, raw) {
            (Self::None, _) | (_, Cell::Bad(_)) => Cow::Borrowed(raw),
            (_, Cell::Good(value)) => Cow::Owned(Cell::Good(self.value(value))),
            (_, Cell::Uncertain(value, status)) => Cow::Owned(Cell::Uncertain(self.value(value), *status)),
        }
    }
}

/// Whether `now` counts as another value than `before`: another quality, or a change of at least `deadband`.
pub(super) fn is_change(before: &Cell, now: &Cell, deadband: f64) -> bool {
    before.status() != now.status()
        || match (before.value(), now.value()) {
            (Some(before), Some(now)) => moved(before, now, deadband),
            (None, None) => false,
            _ => true,
        }
}

fn moved(before: &Value, now: &Value, deadband: f64) -> bool {
    if let (Value::List(before), Value::List(now)) = (before, now) {
        return before.len() != now.len() || before.iter().zip(now).any(|(b, n)| moved(b, n, deadband));
    }
    match (before.as_f64(), now.as_f64()) {
        // Beyond 2^53 doubles cannot tell neighbours apart, so that equality decides without a deadband.
        (Some(b), Some(n)) if deadband > 0.0 && b.is_finite() && n.is_finite() => (n - b).abs() >= deadband,
        (Some(b), Some(n)) if b.is_nan() && n.is_nan() => false,
        _ => before != now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_model::Status;

    fn tag(scale: f64, offset: f64) -> SourceTag {
        SourceTag { name: "t".into(), tag_type: None, scale, offset, deadband: 0.0, unit: None }
    }

    fn scaled(scale: f64, offset: f64, raw: Value) -> Value {
        match Scaling::of(&tag(scale, offset)).cell(&Cell::Good(raw)).into_owned() {
            Cell::Good(value) => value,
            cell => panic!("{cell:?}"),
        }
    }

    #[test]
    fn tenths_print_as_tenths() {
        for raw in 0..1_000_i64 {
            let value = scaled(0.1, 0.0, Value::Int(raw));
            let expected: f64 = format!("{}.{}", raw / 10, raw % 10).parse().unwrap();
            assert_eq!(value, Value::LReal(expected));
        }
    }

    #[test]
    fn scaling_leaves_what_is_no_number_and_goes_into_arrays() {
        assert_eq!(scaled(2.0, 1.0, Value::UInt(3)), Value::LReal(7.0));
        assert_eq!(scaled(2.0, 1.0, Value::Bool(true)), Value::Bool(true));
        assert_eq!(scaled(1.0, 0.0, Value::Real(0.1)), Value::Real(0.1));
        assert_eq!(
            scaled(0.5, 0.0, Value::List(vec![Value::Int(1), Value::Int(2)])),
            Value::List(vec![Value::LReal(0.5), Value::LReal(1.0)])
        );
    }

    #[test]
    fn changes_count_from_the_deadband_up_and_quality_always() {
        let good = |v| Cell::Good(Value::LReal(v));
        assert!(!is_change(&good(10.0), &good(10.4), 0.5));
        assert!(is_change(&good(10.0), &good(10.5), 0.5));
        assert!(is_change(&good(10.0), &good(9.5), 0.5));
        assert!(!is_change(&good(10.0), &good(10.0), 0.0));
        assert!(is_change(&good(10.0), &good(10.000_001), 0.0));
        assert!(is_change(&good(10.0), &Cell::Bad(Status::BadTimeout), 100.0));
        assert!(is_change(
            &good(10.0),
            &Cell::Uncertain(Value::LReal(10.0), Status::UncertainSubNormal),
            100.0
        ));
        assert!(!is_change(&good(f64::NAN), &good(f64::NAN), 0.0));
        assert!(is_change(&good(1.0), &good(f64::NAN), 5.0));
        let big = |v| Cell::Good(Value::UInt(v));
        assert!(is_change(&big(u64::MAX), &big(u64::MAX - 1), 0.0));
    }
}
