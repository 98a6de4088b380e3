//! Functions that choose between values of any type, and the one that only repeats its argument.
#![expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]

use super::Params::Same;
use super::{Body, Returns, ScalarFunction, Signature};
use crate::Datum;
use crate::expression::CompareOp;

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
];

pub(super) const OTHERS: &[ScalarFunction] = &[ScalarFunction {
    name: "AS_VALUE",
    aliases: &[],
    doc: "A copy of a key column that goes into the value of the result.",
    signatures: &[same(1, 1, first)],
}];

fn first<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Ok(args.iter().find(|value| !value.is_null()).cloned().unwrap_or(Datum::Null))
}

fn null_if<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let [a, b] = args else { return Ok(Datum::Null) };
    Ok(if CompareOp::Equal.apply(a, b) { Datum::Null } else { a.clone() })
}
