//! Functions of texts, some of them of bytes as well. Positions count characters (bytes) from 1, as in ksqlDB; negative
//! ones count from the end.
#![expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]

use super::Params::{Many, Of, Types, Variadic};
use super::{Body, Param, Params, Returns, RowBody, ScalarFunction, Signature, check_text};
use crate::Datum;
use crate::SqlType::{self, Bytes, Int, Varchar};
use std::borrow::Cow;

const fn plain(params: Params, returns: SqlType, body: RowBody) -> Signature {
    Signature { params, returns: Returns::Type(returns), body: Body::Plain(body) }
}

const fn fallible(params: Params, returns: SqlType, body: RowBody) -> Signature {
    Signature { params, returns: Returns::Type(returns), body: Body::Fallible(body) }
}

const fn with_nulls(params: Params, returns: SqlType, body: RowBody) -> Signature {
    Signature { params, returns: Returns::Type(returns), body: Body::WithNulls(body) }
}

const fn joining(params: Params, returns: SqlType, body: RowBody) -> Signature {
    Signature { params, returns: Returns::Type(returns), body: Body::FallibleWithNulls(body) }
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
    function("UCASE", &["UPPER"], "The text in upper case.", &[plain(Types(&[Varchar]), Varchar, ucase)]),
    function("LCASE", &["LOWER"], "The text in lower case.", &[plain(Types(&[Varchar]), Varchar, lcase)]),
    function(
        "LEN",
        &["LENGTH"],
        "How many characters the text has, or how many bytes.",
        &[plain(Types(&[Varchar]), Int, len), plain(Types(&[Bytes]), Int, len)],
    ),
    function(
        "TRIM",
        &[],
        "The text without white space at both ends.",
        &[plain(Types(&[Varchar]), Varchar, trim)],
    ),
    function(
        "INITCAP",
        &[],
        "Every word with a capital letter, the rest in lower case.",
        &[plain(Types(&[Varchar]), Varchar, initcap)],
    ),
    function(
        "SUBSTRING",
        &["SUBSTR"],
        "SUBSTRING(text, position[, length]): a part of a text or of bytes.",
        &[
            plain(Types(&[Varchar, Int]), Varchar, substring),
            plain(Types(&[Varchar, Int, Int]), Varchar, substring),
            plain(Types(&[Bytes, Int]), Bytes, substring_bytes),
            plain(Types(&[Bytes, Int, Int]), Bytes, substring_bytes),
        ],
    ),
    function(
        "REPLACE",
        &[],
        "REPLACE(text, old, new): the text with every `old` replaced.",
        &[fallible(Types(&[Varchar, Varchar, Varchar]), Varchar, replace)],
    ),
    function(
        "INSTR",
        &[],
        "INSTR(text, part[, position[, occurrence]]): where `part` stands in the text; 0 where it does not.",
        &[
            with_nulls(Types(&[Varchar, Varchar]), Int, instr),
            with_nulls(Types(&[Varchar, Varchar, Int]), Int, instr),
            with_nulls(Types(&[Varchar, Varchar, Int, Int]), Int, instr),
        ],
    ),
    function(
        "LPAD",
        &[],
        "LPAD(text, length, padding): filled up on the left, or cut to the length.",
        &[
            fallible(Types(&[Varchar, Int, Varchar]), Varchar, |args| pad_text(args, true)),
            fallible(Types(&[Bytes, Int, Bytes]), Bytes, |args| pad_bytes(args, true)),
        ],
    ),
    function(
        "RPAD",
        &[],
        "RPAD(text, length, padding): filled up on the right, or cut to the length.",
        &[
            fallible(Types(&[Varchar, Int, Varchar]), Varchar, |args| pad_text(args, false)),
            fallible(Types(&[Bytes, Int, Bytes]), Bytes, |args| pad_bytes(args, false)),
        ],
    ),
    function(
        "CONCAT",
        &[],
        "All texts or bytes one after the other; NULL counts as empty.",
        &[joining(Many(Varchar, 1), Varchar, concat), joining(Many(Bytes, 1), Bytes, concat_bytes)],
    ),
    function(
        "CONCAT_WS",
        &[],
        "CONCAT_WS(separator, text, …): all texts or bytes with the separator between them; NULL is left out.",
        &[joining(Many(Varchar, 2), Varchar, concat_ws), joining(Many(Bytes, 2), Bytes, concat_ws_bytes)],
    ),
    function(
        "CHR",
        &[],
        "The character of this number, or of an escape such as '\\u004b'; NULL where there is none.",
        &[plain(Types(&[Int]), Varchar, chr), plain(Types(&[Varchar]), Varchar, chr_escape)],
    ),
    function(
        "ELT",
        &[],
        "ELT(n, text, …): the n-th of the texts; NULL where there are not so many.",
        &[with_nulls(Variadic(&[Param::Type(Int), Param::Type(Varchar)]), Varchar, elt)],
    ),
    function(
        "FIELD",
        &[],
        "FIELD(text, other, …): which of the others is the text, counted from 1; 0 where none is.",
        &[with_nulls(Variadic(&[Param::Type(Varchar), Param::Type(Varchar)]), Int, field)],
    ),
    function(
        "UUID",
        &[],
        "UUID(): a random id, another one in every row. UUID(bytes): 16 bytes as an id.",
        &[plain(Of(&[]), Varchar, uuid), plain(Types(&[Bytes]), Varchar, uuid)],
    ),
];

pub(super) fn str_at<'b>(args: &'b [Datum<'_>], index: usize) -> &'b str {
    args.get(index).and_then(Datum::as_str).unwrap_or_default()
}

fn bytes_at<'b>(args: &'b [Datum<'_>], index: usize) -> &'b [u8] {
    args.get(index).and_then(Datum::as_bytes).unwrap_or_default()
}

fn int_at(args: &[Datum<'_>], index: usize) -> Option<i64> {
    args.get(index).and_then(Datum::as_i64)
}

pub(super) fn owned<'a>(text: String) -> Datum<'a> {
    Datum::Varchar(Cow::Owned(text))
}

pub(super) fn owned_bytes<'a>(bytes: Vec<u8>) -> Datum<'a> {
    Datum::Bytes(Cow::Owned(bytes))
}

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
    Ok(count(match args {
        [Datum::Bytes(bytes)] => bytes.len(),
        _ => str_at(args, 0).chars().count(),
    }))
}

fn trim<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    // Java's `trim`: everything up to the space.
    Ok(owned(str_at(args, 0).trim_matches(|c| c <= ' ').to_owned()))
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

/// Where a part begins that starts at a position, and how long it is at most.
fn part(args: &[Datum<'_>], whole: usize) -> (usize, usize) {
    let position = int_at(args, 1).unwrap_or(1);
    let length = int_at(args, 2).map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(0));
    let end = i64::try_from(whole).unwrap_or(i64::MAX);
    let start = if position < 0 { end.saturating_add(position) } else { (position - 1).max(0) };
    (usize::try_from(start.clamp(0, end)).unwrap_or(0), length)
}

fn substring<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let text = str_at(args, 0);
    let (start, length) = part(args, text.chars().count());
    Ok(owned(text.chars().skip(start).take(length).collect()))
}

fn substring_bytes<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let bytes = bytes_at(args, 0);
    let (start, length) = part(args, bytes.len());
    Ok(owned_bytes(bytes.iter().skip(start).take(length).copied().collect()))
}

fn replace<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let (text, old, new) = (str_at(args, 0), str_at(args, 1), str_at(args, 2));
    check_text(text.matches(old).count().saturating_mul(new.len()))?;
    Ok(owned(text.replace(old, new)))
}

fn instr<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    if args.iter().skip(2).any(Datum::is_null) {
        return Ok(Datum::Null);
    }
    let [Datum::Varchar(text), Datum::Varchar(part), ..] = args else { return Ok(Datum::Int(0)) };
    let text: Vec<char> = text.chars().collect();
    let part: Vec<char> = part.chars().collect();
    let position = int_at(args, 2).unwrap_or(1);
    let occurrence = usize::try_from(int_at(args, 3).unwrap_or(1)).unwrap_or(0);
    let back = usize::try_from(position.unsigned_abs()).unwrap_or(usize::MAX);
    let (Some(last), Some(nth), Some(start)) =
        (text.len().checked_sub(part.len()), occurrence.checked_sub(1), back.checked_sub(1))
    else {
        return Ok(Datum::Int(0));
    };
    if part.is_empty() || back > text.len() {
        return Ok(Datum::Int(0));
    }
    let found = |at: &usize| text.get(*at..).is_some_and(|rest| rest.starts_with(&part));
    let at = if position > 0 {
        (start..=last).filter(found).nth(nth)
    } else {
        // The whole part stands before the place where the search begins.
        let first = (text.len() - start).checked_sub(part.len());
        first.and_then(|first| (0..=first).rev().filter(found).nth(nth))
    };
    Ok(count(at.map_or(0, |at| at + 1)))
}

/// The length that is asked for; `None` where padding is not possible.
fn target(args: &[Datum<'_>], padding_is_empty: bool) -> Option<usize> {
    usize::try_from(int_at(args, 1)?).ok().filter(|_| !padding_is_empty)
}

fn pad_text<'a>(args: &[Datum<'a>], left: bool) -> Result<Datum<'a>, String> {
    let (text, padding) = (str_at(args, 0), str_at(args, 2));
    let Some(length) = target(args, padding.is_empty()) else { return Ok(Datum::Null) };
    check_text(length)?;
    let missing = length.saturating_sub(text.chars().count());
    let fill = padding.chars().cycle().take(missing);
    let text = text.chars().take(length);
    Ok(owned(if left { fill.chain(text).collect() } else { text.chain(fill).collect() }))
}

fn pad_bytes<'a>(args: &[Datum<'a>], left: bool) -> Result<Datum<'a>, String> {
    let (bytes, padding) = (bytes_at(args, 0), bytes_at(args, 2));
    let Some(length) = target(args, padding.is_empty()) else { return Ok(Datum::Null) };
    check_text(length)?;
    let fill = padding.iter().copied().cycle().take(length.saturating_sub(bytes.len()));
    let bytes = bytes.iter().copied().take(length);
    Ok(owned_bytes(if left { fill.chain(bytes).collect() } else { bytes.chain(fill).collect() }))
}

/// All parts with the separator between them.
fn joined(parts: &[&[u8]], separator: &[u8]) -> Result<Vec<u8>, String> {
    let separators = parts.len().saturating_sub(1).saturating_mul(separator.len());
    check_text(parts.iter().map(|part| part.len()).fold(separators, usize::saturating_add))?;
    Ok(parts.join(separator))
}

fn texts<'b>(args: &'b [Datum<'_>]) -> Vec<&'b [u8]> {
    args.iter().filter_map(Datum::as_str).map(str::as_bytes).collect()
}

fn byte_strings<'b>(args: &'b [Datum<'_>]) -> Vec<&'b [u8]> {
    args.iter().filter_map(Datum::as_bytes).collect()
}

fn of_utf8<'a>(bytes: Vec<u8>) -> Result<Datum<'a>, String> {
    String::from_utf8(bytes).map(owned).map_err(|_| "the parts are no text together".to_owned())
}

fn concat<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    of_utf8(joined(&texts(args), b"")?)
}

fn concat_bytes<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    joined(&byte_strings(args), b"").map(owned_bytes)
}

fn concat_ws<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let [Datum::Varchar(separator), parts @ ..] = args else { return Ok(Datum::Null) };
    of_utf8(joined(&texts(parts), separator.as_bytes())?)
}

fn concat_ws_bytes<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let [Datum::Bytes(separator), parts @ ..] = args else { return Ok(Datum::Null) };
    joined(&byte_strings(parts), separator).map(owned_bytes)
}

fn chr<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let code = int_at(args, 0).and_then(|code| u32::try_from(code).ok()).and_then(char::from_u32);
    Ok(code.map_or(Datum::Null, |c| owned(c.to_string())))
}

fn chr_escape<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let mut units = Vec::new();
    for escape in str_at(args, 0).split("\\u").skip(1) {
        let code = escape.trim_start_matches(['u', '+']);
        match u16::from_str_radix(code, 16) {
            Ok(unit) if code.len() == 4 => units.push(unit),
            _ => return Ok(Datum::Null),
        }
    }
    let whole = str_at(args, 0).starts_with("\\u");
    Ok(String::from_utf16(&units).ok().filter(|_| whole).map_or(Datum::Null, owned))
}

fn elt<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let place = int_at(args, 0).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    Ok(place.and_then(|n| args.get(n)).cloned().unwrap_or(Datum::Null))
}

fn field<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let [Datum::Varchar(text), others @ ..] = args else { return Ok(Datum::Int(0)) };
    let place = others.iter().position(|other| other.as_str() == Some(text));
    Ok(count(place.map_or(0, |place| place + 1)))
}

fn uuid<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Ok(match args {
        [Datum::Bytes(bytes)] => {
            uuid::Uuid::from_slice(bytes).map_or(Datum::Null, |id| owned(id.to_string()))
        }
        _ => owned(uuid::Uuid::new_v4().to_string()),
    })
}
