//! Rounding as Java's `BigDecimal.setScale` does it, of the shortest decimal that stands for a double.

use crate::Decimal;

/// Where a number goes that has more places than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Toward {
    /// To the nearest, halves to the greater one.
    Nearest,
    Zero,
    Up,
    Down,
}

impl Toward {
    /// `value` / `unit`, rounded; `unit` is at least 2 and not more than what two halves of it fit into.
    fn divide(self, value: i128, unit: i128) -> i128 {
        let (floor, rest) = (value.div_euclid(unit), value.rem_euclid(unit));
        let up = match self {
            Self::Nearest => rest >= unit - rest,
            Self::Zero => value < 0 && rest != 0,
            Self::Up => rest != 0,
            Self::Down => false,
        };
        floor + i128::from(up)
    }
}

fn ten(power: i64) -> Option<i128> {
    10_i128.checked_pow(u32::try_from(power).ok()?)
}

/// A decimal with at most so many places behind the point (negative: zeros before it), as a value of
/// `DECIMAL(precision, scale)`.
pub(super) fn decimal(
    value: Decimal,
    places: i64,
    toward: Toward,
    (precision, scale): (u8, u8),
) -> Result<Decimal, String> {
    let cut = i64::from(value.scale()).saturating_sub(places);
    // The number in units of its last place that stays, and what that place is.
    let (kept, kept_places) = if cut <= 0 {
        (Some(value.unscaled()), i64::from(value.scale()))
    } else {
        (Some(ten(cut).map_or(0, |unit| toward.divide(value.unscaled(), unit))), places)
    };
    let shift = i64::from(scale).saturating_sub(kept_places);
    let moved = match kept {
        Some(0) => Some(0),
        Some(kept) if shift >= 0 => ten(shift).and_then(|unit| kept.checked_mul(unit)),
        Some(kept) => ten(-shift).map(|unit| kept / unit),
        None => None,
    };
    let limit = ten(i64::from(precision)).unwrap_or(i128::MAX);
    moved
        .filter(|moved| moved.unsigned_abs() < limit.unsigned_abs())
        .map(|moved| Decimal::new(moved, scale))
        .ok_or_else(|| format!("the result does not fit into DECIMAL({precision}, {scale})"))
}

/// A double with at most so many places.
pub(super) fn double(value: f64, places: i64, toward: Toward) -> f64 {
    if !value.is_finite() {
        return value;
    }
    // `-1.25e-7` as digits and the power of ten of the last of them.
    let text = format!("{value:e}");
    let Some((mantissa, exponent)) = text.split_once('e') else { return value };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let (Ok(digits), Ok(exponent)) = (format!("{whole}{fraction}").parse::<i128>(), exponent.parse::<i64>())
    else {
        return value;
    };
    let last = exponent.saturating_sub(i64::try_from(fraction.len()).unwrap_or(0));
    let cut = 0_i64.saturating_sub(places).saturating_sub(last);
    if cut <= 0 {
        return value;
    }
    // A double has at most 17 digits: with more cut off than that, everything is less than a half.
    let kept = ten(cut).map_or(0, |unit| toward.divide(digits, unit));
    if kept == 0 { 0.0 } else { format!("{kept}e{}", 0_i64.saturating_sub(places)).parse().unwrap_or(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_round_as_their_shortest_decimal() {
        for (value, places, nearest, zero) in [
            (1.005, 2, 1.01, 1.0),
            (-1.25, 1, -1.2, -1.2),
            (-1.26, 1, -1.3, -1.2),
            (9.999, 2, 10.0, 9.99),
            (1234.0, -2, 1200.0, 1200.0),
            (1250.0, -2, 1300.0, 1200.0),
            (-1.1, -1, 0.0, 0.0),
            (0.5, 0, 1.0, 0.0),
            (-0.5, 0, 0.0, 0.0),
            (1e300, 2, 1e300, 1e300),
            (1e-300, 2, 0.0, 0.0),
            (5.0, -400, 0.0, 0.0),
            (1.5, i64::MIN, 0.0, 0.0),
            (1.5, i64::MAX, 1.5, 1.5),
        ] {
            assert_eq!(
                double(value, places, Toward::Nearest).to_bits(),
                f64::to_bits(nearest),
                "{value} {places}"
            );
            assert_eq!(double(value, places, Toward::Zero).to_bits(), f64::to_bits(zero), "{value} {places}");
        }
        assert!(double(f64::NAN, 2, Toward::Nearest).is_nan());
    }

    #[test]
    fn decimals_keep_the_scale_of_their_type() {
        let round = |unscaled, places, toward, to| {
            decimal(Decimal::new(unscaled, 2), places, toward, to).map(|v| v.to_string())
        };
        let text = |text: &str| Ok(text.to_owned());
        assert_eq!(round(12_345, 1, Toward::Nearest, (5, 2)), text("123.50"));
        assert_eq!(round(-12_345, 1, Toward::Nearest, (5, 2)), text("-123.40"));
        assert_eq!(round(12_345, 0, Toward::Nearest, (3, 0)), text("123"));
        assert_eq!(round(12_345, -1, Toward::Nearest, (5, 2)), text("120.00"));
        assert_eq!(round(12_345, 9, Toward::Nearest, (5, 2)), text("123.45"));
        assert_eq!(round(12_345, -40, Toward::Nearest, (5, 2)), text("0.00"));
        assert_eq!(round(-12_345, 0, Toward::Up, (5, 2)), text("-123.00"));
        assert_eq!(round(-12_345, 0, Toward::Down, (5, 2)), text("-124.00"));
        assert_eq!(round(-12_345, 0, Toward::Zero, (5, 2)), text("-123.00"));
        assert!(round(99_999, 0, Toward::Nearest, (3, 0)).is_err());
    }
}
