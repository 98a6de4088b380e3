//! Functions that take texts apart at a delimiter.

use super::Params::Of;
use super::map::map_of;
use super::text::str_at;
use super::{Body, Param, Returns, ScalarFunction, Signature, check_elements};
use crate::Datum;
use crate::SqlType::{Bytes, Varchar};
use std::borrow::Cow;

const TEXT: Param = Param::Type(Varchar);
const BYTES: Param = Param::Type(Bytes);

const fn of(params: &'static [Param], returns: Param, body: super::RowBody) -> Signature {
    Signature { params: Of(params), returns: Returns::Of(returns), body: Body::Fallible(body) }
}

pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction {
        name: "SPLIT",
        aliases: &[],
        doc: "SPLIT(text, delimiter): the parts between the delimiters as an array; without a delimiter every character.",
        signatures: &[
            of(&[TEXT, TEXT], Param::Array(&TEXT), split),
            of(&[BYTES, BYTES], Param::Array(&BYTES), split_bytes),
        ],
    },
    ScalarFunction {
        name: "SPLIT_TO_MAP",
        aliases: &[],
        doc: "SPLIT_TO_MAP(text, entry delimiter, key delimiter): a map of entries such as 'a=1,b=2'; the last of a key counts.",
        signatures: &[of(&[TEXT, TEXT, TEXT], Param::Map(&TEXT, &TEXT), split_to_map)],
    },
];

pub(super) fn text(value: &str) -> Datum<'static> {
    Datum::Varchar(Cow::Owned(value.to_owned()))
}

fn split<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let (whole, delimiter) = (str_at(args, 0), str_at(args, 1));
    if delimiter.is_empty() && !whole.is_empty() {
        check_elements(whole.chars().count())?;
        return Ok(Datum::Array(whole.chars().map(|c| Datum::Varchar(Cow::Owned(c.to_string()))).collect()));
    }
    if delimiter.is_empty() {
        return Ok(Datum::Array([text("")].into()));
    }
    check_elements(whole.matches(delimiter).count())?;
    Ok(Datum::Array(whole.split(delimiter).map(text).collect()))
}

fn split_bytes<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let [Datum::Bytes(whole), Datum::Bytes(delimiter)] = args else { return Ok(Datum::Null) };
    let made = |part: &[u8]| Datum::Bytes(Cow::Owned(part.to_vec()));
    if delimiter.is_empty() && !whole.is_empty() {
        check_elements(whole.len())?;
        return Ok(Datum::Array(whole.chunks(1).map(made).collect()));
    }
    let mut parts = Vec::new();
    let mut rest: &[u8] = whole;
    while let Some(at) = find(rest, delimiter) {
        parts.push(made(rest.get(..at).unwrap_or_default()));
        check_elements(parts.len())?;
        rest = rest.get(at + delimiter.len()..).unwrap_or_default();
    }
    parts.push(made(rest));
    Ok(Datum::Array(parts.into()))
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() {
        return None;
    }
    bytes.windows(part.len()).position(|window| window == part)
}

fn split_to_map<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let (whole, between, within) = (str_at(args, 0), str_at(args, 1), str_at(args, 2));
    if between.is_empty() || within.is_empty() || between == within {
        return Ok(Datum::Null);
    }
    check_elements(whole.matches(between).count().saturating_mul(2))?;
    // What stands behind a second key delimiter is left out, and so is an entry without any, as in ksqlDB.
    let entries = whole.split(between).filter_map(|entry| {
        let mut parts = entry.split(within);
        Some((text(parts.next()?), text(parts.next()?)))
    });
    Ok(Datum::Map(map_of(entries).into()))
}
