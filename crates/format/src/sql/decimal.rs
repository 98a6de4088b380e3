//! Exact decimal numbers, as `DECIMAL(p, s)` holds them.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use arrow_buffer::i256;
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
    #[expect(
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the two halves of one number"
    )]
    pub const fn new(unscaled: i128, scale: u8) -> Self {
        Self { high: (unscaled >> 64) as i64, low: unscaled as u64, scale }
    }

    /// The digits as one whole number.
    #[expect(clippy::as_conversions, reason = "the two halves of one number; `From` is not const")]
    pub const fn unscaled(self) -> i128 {
        ((self.high as i128) << 64) | self.low as i128
    }

    /// How many digits stand behind the point.
    pub const fn scale(self) -> u8 {
        self.scale
    }
}

/// Arithmetic: the exact result, rounded half up to the digits asked for; `None` where it has more than
/// [`Decimal::PRECISION_MAX`] digits.
impl Decimal {
    /// Whether it has at most so many digits.
    pub fn fits(self, precision: u8) -> bool {
        10_u128.checked_pow(precision.into()).is_none_or(|limit| self.unscaled().unsigned_abs() < limit)
    }

    /// The same value with so many digits behind the point, rounded half up (away from zero) where some go away.
    #[must_use]
    pub fn rescale(self, scale: u8) -> Option<Self> {
        if scale == self.scale {
            return Some(self);
        }
        if let Some(value) = Self::widened(self.unscaled(), self.scale, scale) {
            return Self::limited(value, scale);
        }
        Self::rounded(i256::from_i128(self.unscaled()), self.scale.into(), scale)
    }

    /// The same value with so many digits behind the point; `None` where that would round it.
    #[must_use]
    pub fn rescale_exactly(self, scale: u8) -> Option<Self> {
        self.rescale(scale).filter(|value| *value == self)
    }

    /// The sum with `scale` digits behind the point.
    #[must_use]
    pub fn add(self, other: Self, scale: u8) -> Option<Self> {
        if scale >= self.scale
            && scale >= other.scale
            && let Some(a) = Self::widened(self.unscaled(), self.scale, scale)
            && let Some(b) = Self::widened(other.unscaled(), other.scale, scale)
            && let Some(sum) = a.checked_add(b)
        {
            return Self::limited(sum, scale);
        }
        let (a, b, common) = self.aligned(other)?;
        Self::rounded(a.checked_add(b)?, common.into(), scale)
    }

    /// The number with the other sign.
    #[must_use]
    pub const fn negated(self) -> Self {
        Self::new(self.unscaled().saturating_neg(), self.scale)
    }

    /// The product with `scale` digits behind the point.
    #[must_use]
    pub fn multiply(self, other: Self, scale: u8) -> Option<Self> {
        let exact = u16::from(self.scale).saturating_add(other.scale.into());
        if exact == u16::from(scale)
            && let Some(product) = self.unscaled().checked_mul(other.unscaled())
        {
            return Self::limited(product, scale);
        }
        let product = i256::from_i128(self.unscaled()).checked_mul(i256::from_i128(other.unscaled()))?;
        Self::rounded(product, exact, scale)
    }

    /// The quotient with `scale` digits behind the point. `None` also where the divisor is zero.
    #[must_use]
    pub fn divide(self, divisor: Self, scale: u8) -> Option<Self> {
        let (a, b) = (i256::from_i128(self.unscaled()), i256::from_i128(divisor.unscaled()));
        let shift = i32::from(scale).saturating_sub(self.scale.into()).saturating_add(divisor.scale.into());
        if shift < 0 {
            let b = b.checked_mul(power_of_ten(shift.unsigned_abs())?)?;
            return Self::limited(half_up(a, b)?.to_i128()?, scale);
        }
        let shift = shift.unsigned_abs();
        let (first, rest) = (shift.min(38), shift.saturating_sub(38));
        let a = a.checked_mul(power_of_ten(first)?)?;
        if rest == 0 {
            return Self::limited(half_up(a, b)?.to_i128()?, scale);
        }
        // Two steps, because all digits at once do not fit 256 bits.
        let more = power_of_ten(rest)?;
        let whole = a.checked_div(b)?.checked_mul(more)?;
        let behind = half_up(a.checked_rem(b)?.checked_mul(more)?, b)?;
        Self::limited(whole.checked_add(behind)?.to_i128()?, scale)
    }

    /// What is left after dividing, with the sign of the dividend. `None` also where the divisor is zero.
    #[must_use]
    pub fn remainder(self, divisor: Self, scale: u8) -> Option<Self> {
        let (a, b, common) = self.aligned(divisor)?;
        Self::rounded(a.checked_rem(b)?, common.into(), scale)
    }

    /// The whole part, cut off towards zero.
    pub fn trunc(self) -> i128 {
        10_i128.checked_pow(self.scale.into()).and_then(|ten| self.unscaled().checked_div(ten)).unwrap_or(0)
    }

    /// Reads `-1.50`, `+.5`, `1e3`, as Java's `BigDecimal` does, rounded half up to `scale`.
    ///
    /// # Errors
    /// [`DecimalFault`] where the text is no number, or has more than `precision` digits.
    pub fn parse(text: &str, precision: u8, scale: u8) -> Result<Self, DecimalFault> {
        let number = Written::read(text).ok_or(DecimalFault::NoNumber)?;
        number.at_scale(scale).filter(|value| value.fits(precision)).ok_or(DecimalFault::TooLarge)
    }

    /// Reads a number with all of its digits, such as `12.340`; `None` where it is none, or where they are too many.
    pub fn parse_exactly(text: &str) -> Option<Self> {
        let number = Written::read(text)?;
        let scale = u8::try_from(number.exponent.min(0).unsigned_abs()).ok()?;
        let value = number.at_scale(scale)?;
        (scale <= Self::PRECISION_MAX && value.fits(Self::PRECISION_MAX)).then_some(value)
    }

    /// A double, first rounded half up to `precision` digits and then to `scale`, as ksqlDB does.
    ///
    /// # Errors
    /// [`DecimalFault`] where it is no number or does not fit.
    pub fn from_f64(value: f64, precision: u8, scale: u8) -> Result<Self, DecimalFault> {
        // All digits that the binary number has, as far as 38 of them can ever ask for.
        let mut number = Written::read(&format!("{value:.80e}")).ok_or(DecimalFault::NoNumber)?;
        number.round_to(precision.into());
        number.at_scale(scale).filter(|value| value.fits(precision)).ok_or(DecimalFault::TooLarge)
    }

    /// The nearest double.
    pub fn to_f64(self) -> f64 {
        const EXACT: u128 = 1 << 53;
        let unscaled = self.unscaled();
        // Both numbers are doubles without a loss, so that the one division is rounded right.
        if unscaled.unsigned_abs() < EXACT
            && let Some(divisor) = DIVISORS.get(usize::from(self.scale))
            && let Ok(unscaled) = i64::try_from(unscaled)
        {
            #[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "less than 2^53")]
            return unscaled as f64 / divisor;
        }
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// How it compares with a double, which counts as the shortest number that stands for it; `None` for NaN.
    pub fn cmp_f64(self, other: f64) -> Option<Ordering> {
        if other.is_nan() {
            return None;
        }
        let sign = self.unscaled().cmp(&0);
        if other.is_infinite() || other.abs() >= 1e39 {
            return Some(if other > 0.0 { Ordering::Less } else { Ordering::Greater });
        }
        if other == 0.0 {
            return Some(sign);
        }
        let number = Written::read(&format!("{other:e}"))?;
        // Seventeen digits at the most; with what stands behind the point they fit, or are too small to tell from zero.
        let Ok(shift) = u8::try_from(number.exponent.min(0).unsigned_abs()) else {
            return Some(if sign.is_eq() { 0.0_f64.partial_cmp(&other)? } else { sign });
        };
        let common = shift.max(self.scale);
        let at = |value: i128, scale: u8| {
            i256::from_i128(value).checked_mul(power_of_ten(common.saturating_sub(scale).into())?)
        };
        let other_digits =
            if number.exponent > 0 { number.at_scale(0)?.unscaled() } else { number.value()? };
        match (at(self.unscaled(), self.scale), at(other_digits, shift)) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            // So many digits behind the point: the double is next to zero.
            (None, _) => Some(if sign.is_eq() { 0.0_f64.partial_cmp(&other)? } else { sign }),
            (_, None) => 0.0_f64.partial_cmp(&other),
        }
    }

    /// A digit string with more digits behind the point, where it fits and is not to be rounded.
    fn widened(value: i128, from: u8, to: u8) -> Option<i128> {
        value.checked_mul(10_i128.checked_pow(to.checked_sub(from)?.into())?)
    }

    fn limited(value: i128, scale: u8) -> Option<Self> {
        Some(Self::new(value, scale)).filter(|value| value.fits(Self::PRECISION_MAX))
    }

    /// Both with as many digits behind the point as the one that has more.
    fn aligned(self, other: Self) -> Option<(i256, i256, u8)> {
        let common = self.scale.max(other.scale);
        let at = |value: Self| {
            let more = power_of_ten(common.saturating_sub(value.scale).into())?;
            i256::from_i128(value.unscaled()).checked_mul(more)
        };
        Some((at(self)?, at(other)?, common))
    }

    fn rounded(value: i256, from: u16, to: u8) -> Option<Self> {
        let to_wide = u16::from(to);
        let value = if from <= to_wide {
            value.checked_mul(power_of_ten(to_wide.saturating_sub(from).into())?)?
        } else {
            half_up(value, power_of_ten(from.saturating_sub(to_wide).into())?)?
        };
        Self::limited(value.to_i128()?, to)
    }
}

/// The powers of ten that are doubles without a loss.
const DIVISORS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// Why something is no decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecimalFault {
    /// The text is no number.
    NoNumber,
    /// The number has too many digits.
    TooLarge,
}

fn power_of_ten(power: u32) -> Option<i256> {
    i256::from_i128(10).checked_pow(power)
}

/// The quotient, halves away from zero.
fn half_up(a: i256, b: i256) -> Option<i256> {
    let (quotient, rest) = (a.checked_div(b)?, a.checked_rem(b)?);
    let zero = i256::from_i128(0);
    let magnitude = |value: i256| if value < zero { value.checked_neg() } else { Some(value) };
    let (rest_size, divisor_size) = (magnitude(rest)?, magnitude(b)?);
    if rest_size < divisor_size.checked_sub(rest_size)? {
        return Some(quotient);
    }
    let one = i256::from_i128(1);
    if (a < zero) == (b < zero) { quotient.checked_add(one) } else { quotient.checked_sub(one) }
}

/// A number as it is written: digits × 10^exponent. Zeros in front are left out.
struct Written {
    negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

impl Written {
    fn read(text: &str) -> Option<Self> {
        let (negative, rest) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] | rest => (false, rest),
        };
        let end = rest.iter().position(|byte| matches!(byte, b'e' | b'E'));
        let (number, power) = end.map_or((rest, None), |end| {
            let (number, power) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            (number, Some(power))
        });
        let mut exponent = match power {
            None => 0,
            Some(power) => {
                let power = std::str::from_utf8(power.get(1..)?).ok()?;
                i64::from(power.parse::<i32>().ok()?)
            }
        };
        let mut digits = Vec::new();
        let (mut behind_point, mut any) = (false, false);
        for byte in number {
            match byte {
                b'0'..=b'9' => {
                    any = true;
                    if behind_point {
                        exponent = exponent.saturating_sub(1);
                    }
                    let digit = byte.saturating_sub(b'0');
                    if digit != 0 || !digits.is_empty() {
                        digits.push(digit);
                    }
                }
                b'.' if !behind_point => behind_point = true,
                _ => return None,
            }
        }
        any.then_some(Self { negative, digits, exponent })
    }

    /// All digits as one number.
    fn value(&self) -> Option<i128> {
        let mut value = 0_i128;
        for digit in &self.digits {
            value = value.checked_mul(10)?.checked_add((*digit).into())?;
        }
        Some(if self.negative { value.saturating_neg() } else { value })
    }

    /// Keeps so many digits, rounding half up.
    fn round_to(&mut self, keep: usize) {
        let Some(cut) = self.digits.get(keep) else { return };
        let up = *cut >= 5;
        let dropped = self.digits.len().saturating_sub(keep);
        self.digits.truncate(keep);
        self.exponent = self.exponent.saturating_add(i64::try_from(dropped).unwrap_or(i64::MAX));
        if !up {
            return;
        }
        for digit in self.digits.iter_mut().rev() {
            if *digit < 9 {
                *digit = digit.saturating_add(1);
                return;
            }
            *digit = 0;
        }
        self.digits.insert(0, 1);
    }

    /// The number with so many digits behind the point, rounded half up; `None` where it does not fit.
    fn at_scale(&self, scale: u8) -> Option<Decimal> {
        let mut number =
            Self { negative: self.negative, digits: self.digits.clone(), exponent: self.exponent };
        if number.digits.is_empty() {
            return Some(Decimal::new(0, scale));
        }
        let shift = number.exponent.saturating_add(scale.into());
        if shift < 0 {
            let cut = usize::try_from(shift.unsigned_abs()).unwrap_or(usize::MAX);
            let Some(keep) = number.digits.len().checked_sub(cut) else {
                return Some(Decimal::new(0, scale));
            };
            number.round_to(keep);
            return Some(Decimal::new(number.value()?, scale));
        }
        let more = 10_i128.checked_pow(u32::try_from(shift).ok()?)?;
        Some(Decimal::new(number.value()?.checked_mul(more)?, scale))
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
        let widened =
            |value: i128, by: u8| 10_i128.checked_pow(by.into()).and_then(|ten| value.checked_mul(ten));
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

    fn d(text: &str) -> Decimal {
        Decimal::parse_exactly(text).unwrap()
    }

    #[test]
    fn texts_are_read_as_in_java() {
        for (text, precision, scale, expected) in [
            ("1.5", 2, 1, Ok("1.5")),
            ("-0.995", 3, 2, Ok("-1.00")),
            ("0.994", 3, 2, Ok("0.99")),
            ("+.5", 2, 1, Ok("0.5")),
            ("1e2", 5, 2, Ok("100.00")),
            ("12E-1", 5, 2, Ok("1.20")),
            ("1e-400", 5, 2, Ok("0.00")),
            ("99.95", 3, 1, Err(DecimalFault::TooLarge)),
            ("1e400", 5, 2, Err(DecimalFault::TooLarge)),
            ("1e99999999999", 5, 2, Err(DecimalFault::NoNumber)),
            ("", 5, 2, Err(DecimalFault::NoNumber)),
            (".", 5, 2, Err(DecimalFault::NoNumber)),
            ("1.2.3", 5, 2, Err(DecimalFault::NoNumber)),
            ("1 000", 5, 2, Err(DecimalFault::NoNumber)),
        ] {
            let found = Decimal::parse(text, precision, scale).map(|value| value.to_string());
            assert_eq!(found, expected.map(str::to_owned), "{text}");
        }
        assert_eq!((d("12.340").to_string(), d("1e3").scale()), ("12.340".to_owned(), 0));
        assert!(Decimal::parse_exactly(&"9".repeat(39)).is_none());
    }

    #[test]
    fn doubles_are_rounded_twice_as_in_ksqldb() {
        for (value, precision, scale, text) in [
            (0.99, 2, 1, "1.0"),
            (0.1, 2, 1, "0.1"),
            (1.005, 3, 2, "1.00"),
            (1.005, 4, 2, "1.01"),
            (-2.5, 1, 0, "-3"),
        ] {
            assert_eq!(Decimal::from_f64(value, precision, scale).unwrap().to_string(), text, "{value}");
        }
        for value in [10.0, f64::INFINITY, f64::NAN, 9.96] {
            assert!(Decimal::from_f64(value, 2, 1).is_err());
        }
    }

    #[test]
    fn arithmetic_is_exact_or_says_so() {
        let text = |value: Option<Decimal>| value.map(|value| value.to_string());
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(text(d("10.01").add(d("5.1"), 2)), some("15.11"));
        assert_eq!(text(d("10.10").multiply(d("-2.00"), 4)), some("-20.2000"));
        assert_eq!(text(d("10.10").divide(d("2.00"), 7)), some("5.0500000"));
        assert_eq!(text(d("2").divide(d("3"), 3)), some("0.667"));
        assert_eq!(text(d("-2").divide(d("3"), 3)), some("-0.667"));
        assert_eq!(text(d("1").divide(d("0.00"), 3)), None);
        assert_eq!(text(d("-10.10").remainder(d("3"), 2)), some("-1.10"));
        assert_eq!(text(d("1").remainder(d("0"), 2)), None);
        let largest = Decimal::new(10_i128.pow(38) - 1, 0);
        assert_eq!(text(largest.add(d("1"), 0)), None);
        assert_eq!(text(largest.multiply(largest, 0)), None);
        assert_eq!(text(largest.divide(largest, 30)), some(&format!("1.{}", "0".repeat(30))));
        let small = Decimal::new(1, 38);
        assert_eq!(text(small.divide(largest, 38)), some(&format!("0.{}", "0".repeat(38))));
        assert_eq!(text(d("1").divide(small, 0)), None);
        assert_eq!(text(d("1").divide(Decimal::new(1, 37), 0)), some(&format!("1{}", "0".repeat(37))));
        assert_eq!(text(d("1.25").rescale(1)), some("1.3"));
        assert_eq!(text(d("1.25").rescale_exactly(1)), None);
        assert_eq!(d("-1.9").trunc(), -1);
        for text in ["0.1", "-12345.678", "9007199254740991", "0.3000000000000000000000000001", "1e30"] {
            assert_eq!(d(text).to_f64().to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
        }
    }

    #[test]
    fn doubles_compare_as_the_shortest_number_that_stands_for_them() {
        use Ordering::{Equal, Greater, Less};
        for (decimal, double, expected) in [
            ("0.1", 0.1, Some(Equal)),
            ("0.10", 0.1, Some(Equal)),
            ("0.1000000000000000055", 0.1, Some(Greater)),
            ("71.5", 71.5, Some(Equal)),
            ("71.5", 71.500_000_1, Some(Less)),
            ("0", -1e-300, Some(Greater)),
            ("0", 0.0, Some(Equal)),
            ("1", 1e-300, Some(Greater)),
            ("-1", -1e-300, Some(Less)),
            ("1e37", 1e37, Some(Equal)),
            ("1e37", 1e300, Some(Less)),
            ("1", f64::NEG_INFINITY, Some(Greater)),
            ("1", f64::NAN, None),
            ("12345678901234567890.5", 1e19, Some(Greater)),
        ] {
            assert_eq!(d(decimal).cmp_f64(double), expected, "{decimal} {double}");
        }
    }
}
