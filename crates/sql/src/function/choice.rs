//! Functions that choose between values of any type.
#![expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]

use super::Params::Same;
use super::{Body, Returns, ScalarFunction, Signature};
use crate::Datum;
use crate::expression::CompareOp;
use crate::expression::arithmetic::order;

/// The most arguments that a function of any number takes.
const MANY: usize = 1_000;

const fn same(min: usize, max: usize, body: super::RowBody) -> Signature {
    Signature { params: Same(min, max), returns: Returns::Same, body: Body::WithNulls(body) }
}

pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction {
        name: "COALESCE",
        aliases: &[],
        doc: "The first value that is not NULL.",
        signatures: &[same(1, MANY, first)],
    },
    ScalarFunction {
        name: "IFNULL",
        aliases: &[],
        doc: "IFNULL(value, other): the other value where the first is NULL.",
        signatures: &[same(2, 2, first)],
    },
    ScalarFunction {
        name: "NULLIF",
        aliases: &[],
        doc: "NULLIF(a, b): NULL where both are equal, else `a`.",
        signatures: &[same(2, 2, null_if)],
    },
    ScalarFunction {
        name: "GREATEST",
        aliases: &[],
        doc: "The greatest value; NULL is left out.",
        signatures: &[same(1, MANY, greatest)],
    },
    ScalarFunction {
        name: "LEAST",
        aliases: &[],
        doc: "The least value; NULL is left out.",
        signatures: &[same(1, MANY, least)],
    },
];

fn first<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Ok(args.iter().find(|value| !value.is_null()).cloned().unwrap_or(Datum::Null))
}

fn null_if<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let [a, b] = args else { return Ok(Datum::Null) };
    Ok(if CompareOp::Equal.apply(a, b) { Datum::Null } else { a.clone() })
}

fn greatest<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Ok(extreme(args, std::cmp::Ordering::is_gt))
}

fn least<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Ok(extreme(args, std::cmp::Ordering::is_lt))
}

fn extreme<'a>(args: &[Datum<'a>], wins: fn(std::cmp::Ordering) -> bool) -> Datum<'a> {
    let present = args.iter().filter(|value| !value.is_null());
    let best = present.reduce(|best, value| if order(value, best).is_some_and(wins) { value } else { best });
    best.cloned().unwrap_or(Datum::Null)
}
