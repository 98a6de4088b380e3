//! Exact decimal numbers, as `DECIMAL(p, s)` holds them.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use std::cmp::Ordering;
use std::fmt;

/// A whole number and how many of its digits stand behind the point. Equality is of values: `1.0` equals `1.00`.
#[derive(Debug, Clone, Copy)]
pub struct Decimal {
    /// The two halves of the number, so that it needs no more alignment than its neighbours.
    high: i64,
    low: u64,
    scale: u8,
}

impl Decimal {
    /// The most digits a decimal has.
    pub const PRECISION_MAX: u8 = 38;

    /// `unscaled` × 10^-`scale`.
    #[expect(clippy::as_conversions, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the two halves of one number")]
    pub const fn new(unscaled: i128, scale: u8) -> Self {
        Self { high: (unscaled >> 64) as i64, low: unscaled as u64, scale }
    }

    /// The digits as one whole number.
    #[expect(clippy::as_conversions, clippy::cast_lossless, reason = "the two halves of one number; `From` is not const")]
    pub const fn unscaled(self) -> i128 {
        ((self.high as i128) << 64) | self.low as i128
    }

    /// How many digits stand behind the point.
    pub const fn scale(self) -> u8 {
        self.scale
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Decimal {}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (self.unscaled(), other.unscaled());
        let widened = |value: i128, by: u8| 10_i128.checked_pow(by.into()).and_then(|ten| value.checked_mul(ten));
        match self.scale.cmp(&other.scale) {
            Ordering::Equal => a.cmp(&b),
            // What does not fit when it is widened is farther from zero than anything that does.
            Ordering::Less => match widened(a, other.scale.saturating_sub(self.scale)) {
                Some(a) => a.cmp(&b),
                None => a.cmp(&0),
            },
            Ordering::Greater => match widened(b, self.scale.saturating_sub(other.scale)) {
                Some(b) => a.cmp(&b),
                None => 0.cmp(&b),
            },
        }
    }
}

impl fmt::Display for Decimal {
    /// All digits of the scale, as Java's `BigDecimal.toPlainString` prints it: `-0.50`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.unscaled().unsigned_abs().to_string();
        let scale = usize::from(self.scale);
        let sign = if self.unscaled() < 0 { "-" } else { "" };
        if scale == 0 {
            return write!(f, "{sign}{digits}");
        }
        let padded = format!("{digits:0>width$}", width = scale.saturating_add(1));
        let (whole, behind) = padded.split_at(padded.len().saturating_sub(scale));
        write!(f, "{sign}{whole}.{behind}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_print_all_digits_and_compare_by_value() {
        for (unscaled, scale, text) in [(-50, 2, "-0.50"), (1234, 2, "12.34"), (7, 0, "7"), (0, 3, "0.000")] {
            assert_eq!(Decimal::new(unscaled, scale).to_string(), text);
            assert_eq!(Decimal::new(unscaled, scale).unscaled(), unscaled);
        }
        assert_eq!(Decimal::new(10, 1), Decimal::new(100, 2));
        assert!(Decimal::new(i128::MAX, 0) > Decimal::new(1, 30));
        assert!(Decimal::new(i128::MIN, 0) < Decimal::new(1, 30));
        assert!(Decimal::new(-1, 30) > Decimal::new(i128::MIN, 0));
    }
}
