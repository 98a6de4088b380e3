//! Functions of texts. Positions count characters from 1, as in ksqlDB; negative ones count from the end.
#![expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]

use super::Params::{Many, Types};
use super::{Body, Returns, ScalarFunction, Signature};
use crate::Datum;
use crate::SqlType::{Int, Varchar};
use std::borrow::Cow;

const fn text(params: super::Params, body: super::RowBody) -> Signature {
    Signature { params, returns: Returns::Type(Varchar), body: Body::Plain(body) }
}

const fn number(params: super::Params, body: super::RowBody) -> Signature {
    Signature { params, returns: Returns::Type(Int), body: Body::Plain(body) }
}

const fn function(
    name: &'static str,
    aliases: &'static [&'static str],
    doc: &'static str,
    signatures: &'static [Signature],
) -> ScalarFunction {
    ScalarFunction { name, aliases, doc, signatures }
}

pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    function("UCASE", &["UPPER"], "The text in upper case.", &[text(Types(&[Varchar]), ucase)]),
    function("LCASE", &["LOWER"], "The text in lower case.", &[text(Types(&[Varchar]), lcase)]),
    function("LEN", &["LENGTH"], "How many characters the text has.", &[number(Types(&[Varchar]), len)]),
    function("TRIM", &[], "The text without white space at both ends.", &[text(Types(&[Varchar]), trim)]),
    function("INITCAP", &[], "Every word with a capital letter.", &[text(Types(&[Varchar]), initcap)]),
    function(
        "SUBSTRING",
        &["SUBSTR"],
        "SUBSTRING(text, position[, length]): a part of the text.",
        &[text(Types(&[Varchar, Int]), substring), text(Types(&[Varchar, Int, Int]), substring)],
    ),
    function(
        "REPLACE",
        &[],
        "REPLACE(text, old, new): the text with every `old` replaced.",
        &[text(Types(&[Varchar, Varchar, Varchar]), replace)],
    ),
    function(
        "INSTR",
        &[],
        "INSTR(text, part[, position[, occurrence]]): where `part` stands in the text; 0 where it does not.",
        &[
            number(Types(&[Varchar, Varchar]), instr),
            number(Types(&[Varchar, Varchar, Int]), instr),
            number(Types(&[Varchar, Varchar, Int, Int]), instr),
        ],
    ),
    function(
        "LPAD",
        &[],
        "LPAD(text, length, padding): filled up on the left, or cut to the length.",
        &[text(Types(&[Varchar, Int, Varchar]), lpad)],
    ),
    function(
        "RPAD",
        &[],
        "RPAD(text, length, padding): filled up on the right, or cut to the length.",
        &[text(Types(&[Varchar, Int, Varchar]), rpad)],
    ),
    function(
        "CONCAT",
        &[],
        "All texts one after the other; NULL counts as empty.",
        &[Signature {
            params: Many(Varchar, 1),
            returns: Returns::Type(Varchar),
            body: Body::WithNulls(concat),
        }],
    ),
    function(
        "CONCAT_WS",
        &[],
        "CONCAT_WS(separator, text, …): all texts with the separator between them; NULL is left out.",
        &[Signature {
            params: Many(Varchar, 2),
            returns: Returns::Type(Varchar),
            body: Body::WithNulls(concat_ws),
        }],
    ),
];

fn str_at<'b>(args: &'b [Datum<'_>], index: usize) -> &'b str {
    args.get(index).and_then(Datum::as_str).unwrap_or_default()
}

fn int_at(args: &[Datum<'_>], index: usize) -> Option<i64> {
    args.get(index).and_then(Datum::as_i64)
}

fn owned<'a>(text: String) -> Datum<'a> {
    Datum::Varchar(Cow::Owned(text))
}

/// The longest text that padding makes, in characters.
const PAD_CHARS_MAX: usize = 65_536;

fn count<'a>(count: usize) -> Datum<'a> {
    Datum::Int(i32::try_from(count).unwrap_or(i32::MAX))
}

fn ucase<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Ok(owned(str_at(args, 0).to_uppercase()))
}

fn lcase<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Ok(owned(str_at(args, 0).to_lowercase()))
}

fn len<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Ok(count(str_at(args, 0).chars().count()))
}

fn trim<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Ok(owned(str_at(args, 0).trim().to_owned()))
}

fn initcap<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let mut out = String::new();
    let mut start = true;
    for c in str_at(args, 0).chars() {
        if start {
            out.extend(c.to_uppercase());
        } else {
            out.extend(c.to_lowercase());
        }
        start = c.is_whitespace();
    }
    Ok(owned(out))
}

fn substring<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let chars: Vec<char> = str_at(args, 0).chars().collect();
    let position = int_at(args, 1).unwrap_or(1);
    let length = int_at(args, 2).map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(0));
    let end = i64::try_from(chars.len()).unwrap_or(i64::MAX);
    let start = if position < 0 { end.saturating_add(position) } else { (position - 1).max(0) };
    let start = usize::try_from(start.clamp(0, end)).unwrap_or(0);
    Ok(owned(chars.iter().skip(start).take(length).collect()))
}

fn replace<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let (text, old, new) = (str_at(args, 0), str_at(args, 1), str_at(args, 2));
    Ok(owned(if old.is_empty() { text.to_owned() } else { text.replace(old, new) }))
}

fn instr<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let text: Vec<char> = str_at(args, 0).chars().collect();
    let part: Vec<char> = str_at(args, 1).chars().collect();
    let position = int_at(args, 2).unwrap_or(1);
    let occurrence = usize::try_from(int_at(args, 3).unwrap_or(1)).unwrap_or(0);
    if part.is_empty() || part.len() > text.len() || position == 0 || occurrence == 0 {
        return Ok(Datum::Int(0));
    }
    let found = |at: &usize| text[*at..].starts_with(&part);
    let last = text.len() - part.len();
    let back = usize::try_from(position.unsigned_abs()).unwrap_or(usize::MAX);
    let at = if position > 0 {
        (back - 1..=last).filter(found).nth(occurrence - 1)
    } else {
        (0..=last.min(text.len().saturating_sub(back))).rev().filter(found).nth(occurrence - 1)
    };
    Ok(count(at.map_or(0, |at| at + 1)))
}

fn pad<'a>(args: &[Datum<'a>], left: bool) -> Datum<'a> {
    let text = str_at(args, 0);
    let padding = str_at(args, 2);
    let Ok(length) = usize::try_from(int_at(args, 1).unwrap_or(-1)) else { return Datum::Null };
    if padding.is_empty() || length > PAD_CHARS_MAX {
        return Datum::Null;
    }
    let missing = length.saturating_sub(text.chars().count());
    let fill = padding.chars().cycle().take(missing);
    let text = text.chars().take(length);
    owned(if left { fill.chain(text).collect() } else { text.chain(fill).collect() })
}

fn lpad<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Ok(pad(args, true))
}

fn rpad<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Ok(pad(args, false))
}

fn concat<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Ok(owned(args.iter().filter_map(Datum::as_str).collect()))
}

fn concat_ws<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let Some(separator) = args.first().and_then(Datum::as_str) else { return Ok(Datum::Null) };
    let parts: Vec<&str> = args.iter().skip(1).filter_map(Datum::as_str).collect();
    Ok(owned(parts.join(separator)))
}
