//! A validating scanner over one JSON text: it skips what is not wanted and copies nothing.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::DecodeError;
use super::limits::JSON_DEPTH_MAX;

/// A position in a JSON text.
#[derive(Debug)]
pub(super) struct Scanner<'v> {
    text: &'v str,
    at: usize,
}

/// A scanned string: the bytes between its quotes, and whether they hold escapes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quoted<'v> {
    pub(super) raw: &'v str,
    pub(super) escaped: bool,
}

/// A scanned number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number<'v> {
    pub(super) raw: &'v str,
    /// All digits as one number, where they fit into 64 bits.
    mantissa: Option<u64>,
    /// The decimal exponent that belongs to `mantissa`.
    exponent: i64,
    negative: bool,
    /// Whether there is neither a fraction nor an exponent.
    whole: bool,
}

/// Powers of ten that a double holds exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

impl Number<'_> {
    /// The nearest double; may be infinite.
    pub(super) fn to_f64(self) -> f64 {
        // Clinger's fast path: both factors are exact, so one operation rounds once.
        if let (Some(mantissa), Ok(power)) = (self.mantissa, usize::try_from(self.exponent.unsigned_abs()))
            && mantissa <= 1 << 53
            && let Some(power) = EXACT_POWERS.get(power)
        {
            #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "at most 2^53: exact")]
            let mantissa = mantissa as f64;
            let size = if self.exponent < 0 { mantissa / power } else { mantissa * power };
            return if self.negative { -size } else { size };
        }
        self.raw.parse().unwrap_or(f64::NAN)
    }

    /// The whole number; `None` where it is out of range, or has a fraction that would be lost.
    pub(super) fn to_i64(self) -> Option<i64> {
        let mantissa = self.mantissa?;
        let size = if self.whole || mantissa == 0 {
            mantissa
        } else {
            let power = 10_u64.checked_pow(u32::try_from(self.exponent.unsigned_abs()).ok()?)?;
            if self.exponent < 0 {
                mantissa.checked_div(power).filter(|whole| whole.checked_mul(power) == Some(mantissa))?
            } else {
                mantissa.checked_mul(power)?
            }
        };
        let size = i128::from(size);
        i64::try_from(if self.negative { size.checked_neg()? } else { size }).ok()
    }

    /// Whole days or milliseconds, cut off towards zero as Java does: parts of one are beyond what a time can hold.
    pub(super) fn to_count(self) -> Option<i64> {
        if self.whole {
            return self.to_i64();
        }
        let value = self.to_f64().trunc();
        #[expect(clippy::cast_possible_truncation, clippy::as_conversions, reason = "the range is checked")]
        (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value).then_some(value as i64)
    }
}

impl<'v> Scanner<'v> {
    pub(super) const fn new(text: &'v str) -> Self {
        Self { text, at: 0 }
    }

    /// The next byte that is no white space, without taking it.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' => self.advance(1),
                byte => return Some(*byte),
            }
        }
        None
    }

    fn advance(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes);
    }

    pub(super) fn error(&self, expected: &'static str) -> DecodeError {
        DecodeError::Syntax { at: self.at, expected }
    }

    /// Takes `byte` after white space, or fails.
    pub(super) fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), DecodeError> {
        if self.peek() == Some(byte) {
            self.advance(1);
            Ok(())
        } else {
            Err(self.error(expected))
        }
    }

    /// Takes `byte` after white space where it is next.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.advance(1);
        }
        found
    }

    /// Takes `true`, `false` or `null`.
    pub(super) fn word(&mut self, word: &'static str) -> Result<(), DecodeError> {
        if self.text.as_bytes().get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes())) {
            self.advance(word.len());
            Ok(())
        } else {
            Err(self.error("a JSON value"))
        }
    }

    /// Takes a string; the next byte is its opening quote.
    pub(super) fn string(&mut self) -> Result<Quoted<'v>, DecodeError> {
        self.expect(b'"', "a string in double quotes")?;
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut escaped = false;
        loop {
            match bytes.get(self.at) {
                Some(b'"') => {
                    let raw = self.text.get(start..self.at).unwrap_or_default();
                    self.advance(1);
                    return Ok(Quoted { raw, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(0..0x20) => return Err(self.error("no bare control character inside a string")),
                Some(_) => self.advance(1),
                None => return Err(self.error("a closing double quote")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), DecodeError> {
        let bytes = self.text.as_bytes();
        match bytes.get(self.at.saturating_add(1)) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.advance(2),
            Some(b'u') => {
                let digits = bytes.get(self.at.saturating_add(2)..self.at.saturating_add(6));
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return Err(self.error("four hexadecimal digits after `\\u`"));
                }
                self.advance(6);
            }
            _ => return Err(self.error("an escape such as `\\n`")),
        }
        Ok(())
    }

    /// Takes a number.
    pub(super) fn number(&mut self) -> Result<Number<'v>, DecodeError> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let negative = bytes.get(self.at) == Some(&b'-');
        if negative {
            self.advance(1);
        }
        let mut mantissa = Some(0u64);
        let mut exponent = 0i64;
        let first = bytes.get(self.at).copied();
        let whole_digits = self.digits(&mut mantissa);
        if whole_digits == 0 || (first == Some(b'0') && whole_digits > 1) {
            return Err(self.error("a JSON number"));
        }
        let mut whole = true;
        if bytes.get(self.at) == Some(&b'.') {
            whole = false;
            self.advance(1);
            let digits = self.digits(&mut mantissa);
            if digits == 0 {
                return Err(self.error("a digit after the decimal point"));
            }
            exponent = exponent.saturating_sub(i64::try_from(digits).unwrap_or(i64::MAX));
        }
        if let Some(b'e' | b'E') = bytes.get(self.at) {
            whole = false;
            self.advance(1);
            let minus = bytes.get(self.at) == Some(&b'-');
            if minus || bytes.get(self.at) == Some(&b'+') {
                self.advance(1);
            }
            let mut power = Some(0u64);
            if self.digits(&mut power) == 0 {
                return Err(self.error("a digit in the exponent"));
            }
            let power = power.and_then(|power| i64::try_from(power).ok()).unwrap_or(i64::MAX);
            exponent = exponent.saturating_add(if minus { power.saturating_neg() } else { power });
        }
        let raw = self.text.get(start..self.at).unwrap_or_default();
        Ok(Number { raw, mantissa, exponent, negative, whole })
    }

    /// Takes digits, adds them to `number`, and says how many there were.
    fn digits(&mut self, number: &mut Option<u64>) -> usize {
        let bytes = self.text.as_bytes();
        let start = self.at;
        while let Some(digit @ b'0'..=b'9') = bytes.get(self.at) {
            *number =
                number.and_then(|n| n.checked_mul(10)?.checked_add(u64::from(digit.wrapping_sub(b'0'))));
            self.advance(1);
        }
        self.at.saturating_sub(start)
    }

    /// Takes one value of any kind and returns its text.
    pub(super) fn any(&mut self, depth: usize) -> Result<&'v str, DecodeError> {
        if depth > JSON_DEPTH_MAX {
            return Err(DecodeError::TooDeep);
        }
        let first = self.peek();
        let start = self.at;
        match first {
            Some(b'"') => drop(self.string()?),
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b't') => self.word("true")?,
            Some(b'f') => self.word("false")?,
            Some(b'n') => self.word("null")?,
            Some(b'-' | b'0'..=b'9') => drop(self.number()?),
            _ => return Err(self.error("a JSON value")),
        }
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    fn object(&mut self, depth: usize) -> Result<(), DecodeError> {
        self.expect(b'{', "`{`")?;
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            self.string()?;
            self.expect(b':', "`:` after a field's name")?;
            self.any(depth.saturating_add(1))?;
            if !self.take(b',') {
                return self.expect(b'}', "`,` or `}`");
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), DecodeError> {
        self.expect(b'[', "`[`")?;
        if self.take(b']') {
            return Ok(());
        }
        loop {
            self.any(depth.saturating_add(1))?;
            if !self.take(b',') {
                return self.expect(b']', "`,` or `]`");
            }
        }
    }
}

/// Resolves the escapes of a scanned string and appends the text to `out`. Lone surrogates become U+FFFD.
pub(super) fn unescape(raw: &str, out: &mut String) {
    let mut rest = raw;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut chars = escape.chars();
        match chars.next() {
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('u') => {
                rest = unicode(chars.as_str(), out);
                continue;
            }
            Some(other) => out.push(other),
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
}

/// One `\u` escape, and the second half of a surrogate pair where it follows. Returns what comes after.
fn unicode<'v>(text: &'v str, out: &mut String) -> &'v str {
    let unit = |text: &'v str| {
        let (digits, rest) = text.split_at_checked(4)?;
        Some((u16::from_str_radix(digits, 16).ok()?, rest))
    };
    let Some((first, rest)) = unit(text) else { return text };
    let second = rest.strip_prefix("\\u").and_then(unit);
    if let Some((second, after)) = second
        && let Some(Ok(pair)) = char::decode_utf16([first, second]).next()
        && u32::from(pair) > 0xffff
    {
        out.push(pair);
        return after;
    }
    out.push(char::from_u32(u32::from(first)).unwrap_or(char::REPLACEMENT_CHARACTER));
    rest
}
