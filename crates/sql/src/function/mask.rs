//! Functions that make a text unreadable: letters, digits and other characters become signs that stand for their kind.

use super::Params::Types;
use super::text::{owned, str_at};
use super::{Body, Returns, RowBody, ScalarFunction, Signature};
use crate::Datum;
use crate::SqlType::{self, Int, Varchar};
use std::sync::LazyLock;

const fn masked(params: &'static [SqlType], body: RowBody) -> Signature {
    Signature { params: Types(params), returns: Returns::Type(Varchar), body: Body::FallibleWithNulls(body) }
}

const WHOLE: &[SqlType] = &[Varchar];
const WHOLE_SIGNS: &[SqlType] = &[Varchar, Varchar, Varchar, Varchar, Varchar];
const PART: &[SqlType] = &[Varchar, Int];
const PART_SIGNS: &[SqlType] = &[Varchar, Int, Varchar, Varchar, Varchar, Varchar];

pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction {
        name: "MASK",
        aliases: &[],
        doc: "MASK(text[, upper, lower, digit, other]): every character as a sign of its kind, 'X', 'x', 'n' and '-'; NULL \
              as a sign leaves its kind as it is.",
        signatures: &[masked(WHOLE, mask), masked(WHOLE_SIGNS, mask)],
    },
    ScalarFunction {
        name: "MASK_LEFT",
        aliases: &[],
        doc: "MASK_LEFT(text, count[, upper, lower, digit, other]): only the first characters are masked.",
        signatures: &[masked(PART, mask_left), masked(PART_SIGNS, mask_left)],
    },
    ScalarFunction {
        name: "MASK_RIGHT",
        aliases: &[],
        doc: "MASK_RIGHT(text, count[, upper, lower, digit, other]): only the last characters are masked.",
        signatures: &[masked(PART, mask_right), masked(PART_SIGNS, mask_right)],
    },
    ScalarFunction {
        name: "MASK_KEEP_LEFT",
        aliases: &[],
        doc: "MASK_KEEP_LEFT(text, count[, upper, lower, digit, other]): all but the first characters are masked.",
        signatures: &[masked(PART, mask_keep_left), masked(PART_SIGNS, mask_keep_left)],
    },
    ScalarFunction {
        name: "MASK_KEEP_RIGHT",
        aliases: &[],
        doc: "MASK_KEEP_RIGHT(text, count[, upper, lower, digit, other]): all but the last characters are masked.",
        signatures: &[masked(PART, mask_keep_right), masked(PART_SIGNS, mask_keep_right)],
    },
];

/// The signs for upper-case letters, lower-case letters, digits and the rest; `None` leaves them.
type Signs = [Option<char>; 4];

const DEFAULT: Signs = [Some('X'), Some('x'), Some('n'), Some('-')];

fn signs(args: &[Datum<'_>]) -> Result<Signs, String> {
    let [upper, lower, digit, other] = args else { return Ok(DEFAULT) };
    let mut signs = [None; 4];
    for (sign, arg) in signs.iter_mut().zip([upper, lower, digit, other]) {
        let Some(text) = arg.as_str() else { continue };
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) => *sign = Some(c),
            _ => {
                return Err(format!(
                    "'{}' is not a single character",
                    text.chars().take(20).collect::<String>()
                ));
            }
        }
    }
    Ok(signs)
}

fn sign_of(c: char, [upper, lower, digit, other]: Signs) -> char {
    let sign = if c.is_uppercase() {
        upper
    } else if c.is_lowercase() {
        lower
    } else if is_digit(c) {
        digit
    } else {
        other
    };
    sign.unwrap_or(c)
}

/// Whether it is a decimal digit of any script.
fn is_digit(c: char) -> bool {
    static DIGITS: LazyLock<Option<fancy_regex::Regex>> =
        LazyLock::new(|| fancy_regex::Regex::new(r"^\p{Nd}$").ok());
    if c.is_ascii() || !c.is_numeric() {
        return c.is_ascii_digit();
    }
    let mut utf8 = [0; 4];
    DIGITS.as_ref().is_some_and(|digits| digits.is_match(c.encode_utf8(&mut utf8)).unwrap_or(false))
}

/// Masks the characters whose places `inside` picks, out of so many.
fn masked_where(text: &str, signs: Signs, inside: impl Fn(usize, usize) -> bool) -> String {
    let all = text.chars().count();
    text.chars()
        .enumerate()
        .map(|(place, c)| if inside(place, all) { sign_of(c, signs) } else { c })
        .collect()
}

fn mask<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let signs = signs(args.get(1..).unwrap_or_default())?;
    let Some(Datum::Varchar(text)) = args.first() else { return Ok(Datum::Null) };
    Ok(owned(masked_where(text, signs, |_, _| true)))
}

/// Masks where `inside` says so, given a character's place, how many there are, and the count.
fn part<'a>(args: &[Datum<'a>], inside: fn(usize, usize, usize) -> bool) -> Result<Datum<'a>, String> {
    let signs = signs(args.get(2..).unwrap_or_default())?;
    let [Datum::Varchar(_), Datum::Int(count), ..] = args else { return Ok(Datum::Null) };
    let count = usize::try_from(*count).map_err(|_| format!("{count} characters are less than none"))?;
    Ok(owned(masked_where(str_at(args, 0), signs, |place, all| inside(place, all, count))))
}

fn mask_left<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    part(args, |place, _, count| place < count)
}

fn mask_right<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    part(args, |place, all, count| place >= all.saturating_sub(count))
}

fn mask_keep_left<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    part(args, |place, _, count| place >= count)
}

fn mask_keep_right<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    part(args, |place, all, count| place < all.saturating_sub(count))
}
