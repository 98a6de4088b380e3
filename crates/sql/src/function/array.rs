//! Functions of arrays.

use super::Params::{Of, Types};
use super::ordered::{Ordered, order, same, set};
use super::{Body, Param, Returns, RowBody, ScalarFunction, Signature, check_elements, check_text};
use crate::Datum;
use crate::SqlType::{self, BigInt, Boolean, Int, Varchar};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

const T: Param = Param::Generic('T');
const ARRAY: Param = Param::Array(&T);

const fn of(params: &'static [Param], returns: Returns, body: Body) -> Signature {
    Signature { params: Of(params), returns, body }
}

const fn array(params: &'static [Param], body: RowBody) -> Signature {
    of(params, Returns::Of(ARRAY), Body::Fallible(body))
}

const fn series(params: &'static [SqlType], returns: fn(&[SqlType]) -> Result<SqlType, String>) -> Signature {
    Signature {
        params: Types(params),
        returns: Returns::Computed(returns),
        body: Body::Fallible(generate_series),
    }
}

const fn function(name: &'static str, doc: &'static str, signatures: &'static [Signature]) -> ScalarFunction {
    ScalarFunction { name, aliases: &[], doc, signatures }
}

pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    function(
        "ARRAY_CONCAT",
        "ARRAY_CONCAT(a, b): the elements of both arrays; where one is NULL, the other.",
        &[of(&[ARRAY, ARRAY], Returns::Of(ARRAY), Body::FallibleWithNulls(concat))],
    ),
    function(
        "ARRAY_CONTAINS",
        "ARRAY_CONTAINS(array, value): whether the value is among the elements.",
        &[of(&[ARRAY, T], Returns::Type(Boolean), Body::WithNulls(contains))],
    ),
    function(
        "ARRAY_DISTINCT",
        "Every element once, in the order of their first places.",
        &[array(&[ARRAY], distinct)],
    ),
    function(
        "ARRAY_EXCEPT",
        "ARRAY_EXCEPT(a, b): the elements of `a` that are not in `b`, each once.",
        &[array(&[ARRAY, ARRAY], except)],
    ),
    function(
        "ARRAY_INTERSECT",
        "ARRAY_INTERSECT(a, b): the elements that are in both, each once, in the order of `a`.",
        &[array(&[ARRAY, ARRAY], intersect)],
    ),
    function(
        "ARRAY_UNION",
        "ARRAY_UNION(a, b): the elements that are in one of them, each once.",
        &[array(&[ARRAY, ARRAY], union)],
    ),
    function(
        "ARRAY_JOIN",
        "ARRAY_JOIN(array[, delimiter]): the elements as one text, with a comma or the delimiter between them.",
        &[
            of(&[ARRAY], Returns::Computed(joined), Body::FallibleWithNulls(join)),
            of(&[ARRAY, Param::Type(Varchar)], Returns::Computed(joined), Body::FallibleWithNulls(join)),
        ],
    ),
    function(
        "ARRAY_LENGTH",
        "How many elements the array has.",
        &[of(&[ARRAY], Returns::Type(Int), Body::Plain(length))],
    ),
    function(
        "ARRAY_MAX",
        "The greatest element; NULL is left out.",
        &[of(&[ARRAY], Returns::Computed(element), Body::Plain(max))],
    ),
    function(
        "ARRAY_MIN",
        "The least element; NULL is left out.",
        &[of(&[ARRAY], Returns::Computed(element), Body::Plain(min))],
    ),
    function(
        "ARRAY_REMOVE",
        "ARRAY_REMOVE(array, value): the array without the elements that are the value, which may be NULL.",
        &[of(&[ARRAY, T], Returns::Of(ARRAY), Body::WithNulls(remove))],
    ),
    function(
        "ARRAY_SORT",
        "ARRAY_SORT(array[, 'ASC' or 'DESC']): the elements in order; NULL stands at the end.",
        &[
            of(&[ARRAY], Returns::Computed(sorted), Body::Plain(sort)),
            of(&[ARRAY, Param::Type(Varchar)], Returns::Computed(sorted), Body::Plain(sort)),
        ],
    ),
    function(
        "SLICE",
        "SLICE(array, from, to): the elements from one place to another, both included; NULL where there are not so many.",
        &[of(
            &[ARRAY, Param::Type(Int), Param::Type(Int)],
            Returns::Of(ARRAY),
            Body::FallibleWithNulls(slice),
        )],
    ),
    function(
        "GENERATE_SERIES",
        "GENERATE_SERIES(first, last[, step]): an array of the whole numbers from one to another.",
        &[
            series(&[Int, Int], of_first),
            series(&[Int, Int, Int], of_first),
            series(&[BigInt, BigInt], of_first),
            series(&[BigInt, BigInt, Int], of_first),
        ],
    ),
];

fn of_first(types: &[SqlType]) -> Result<SqlType, String> {
    types.first().map(|first| SqlType::array(*first)).ok_or_else(|| "there is no number".to_owned())
}

/// The type of the elements, where they have an order.
fn element(types: &[SqlType]) -> Result<SqlType, String> {
    match types.first() {
        Some(SqlType::Array(element)) if !element.is_nested() => Ok(**element),
        _ => Err("arrays, maps and structs inside an array have no order".to_owned()),
    }
}

fn sorted(types: &[SqlType]) -> Result<SqlType, String> {
    element(types).map(SqlType::array)
}

fn joined(types: &[SqlType]) -> Result<SqlType, String> {
    match element(types) {
        Ok(Boolean | Varchar) => Ok(Varchar),
        Ok(number) if number.is_numeric() => Ok(Varchar),
        _ => {
            Err("only truth values, numbers and texts can be joined; TRANSFORM makes texts of other elements"
                .to_owned())
        }
    }
}

fn elements<'d>(args: &'d [Datum<'_>], index: usize) -> &'d [Datum<'static>] {
    args.get(index).and_then(Datum::as_array).unwrap_or_default()
}

fn made<'a>(values: Vec<Datum<'static>>) -> Datum<'a> {
    Datum::Array(values.into())
}

fn concat<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    match args {
        [Datum::Array(a), Datum::Array(b)] => {
            check_elements(a.len().saturating_add(b.len()))?;
            Ok(Datum::Array(a.iter().chain(b.iter()).cloned().collect()))
        }
        [Datum::Null, other] | [other, _] => Ok(other.clone()),
        _ => Ok(Datum::Null),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]
fn contains<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let [Datum::Array(values), wanted] = args else { return Ok(Datum::Boolean(false)) };
    Ok(Datum::Boolean(values.iter().any(|value| same(value, wanted))))
}

/// The elements that pass, each once.
fn once<'d>(
    values: impl Iterator<Item = &'d Datum<'static>>,
    passes: impl Fn(&Ordered<'d, 'static>) -> bool,
) -> Vec<Datum<'static>> {
    let mut seen = BTreeSet::new();
    values.filter(|value| passes(&Ordered(value)) && seen.insert(Ordered(value))).cloned().collect()
}

#[expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]
fn distinct<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Ok(made(once(elements(args, 0).iter(), |_| true)))
}

#[expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]
fn except<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let others = set(elements(args, 1));
    Ok(made(once(elements(args, 0).iter(), |value| !others.contains(value))))
}

#[expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]
fn intersect<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let others = set(elements(args, 1));
    Ok(made(once(elements(args, 0).iter(), |value| others.contains(value))))
}

fn union<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let (a, b) = (elements(args, 0), elements(args, 1));
    let all = once(a.iter().chain(b), |_| true);
    check_elements(all.len())?;
    Ok(made(all))
}

fn join<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let Some(Datum::Array(values)) = args.first() else { return Ok(Datum::Null) };
    let delimiter = match args.get(1) {
        None => ",",
        Some(delimiter) => delimiter.as_str().unwrap_or_default(),
    };
    let mut text = String::new();
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            text.push_str(delimiter);
        }
        text.push_str(&value.to_string());
        check_text(text.len())?;
    }
    Ok(Datum::Varchar(Cow::Owned(text)))
}

#[expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]
fn length<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Ok(Datum::Int(i32::try_from(elements(args, 0).len()).unwrap_or(i32::MAX)))
}

#[expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]
fn max<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let present = elements(args, 0).iter().filter(|value| !value.is_null());
    Ok(present.max_by(|a, b| order(a, b)).cloned().unwrap_or(Datum::Null))
}

#[expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]
fn min<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let present = elements(args, 0).iter().filter(|value| !value.is_null());
    Ok(present.min_by(|a, b| order(a, b)).cloned().unwrap_or(Datum::Null))
}

#[expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]
fn remove<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let [Datum::Array(values), unwanted] = args else { return Ok(Datum::Null) };
    Ok(made(values.iter().filter(|value| !same(value, unwanted)).cloned().collect()))
}

#[expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]
fn sort<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let direction = args.get(1).and_then(Datum::as_str).unwrap_or("ASC").to_uppercase();
    let descending = match direction.as_str() {
        "ASC" | "ASCENDING" => false,
        "DESC" | "DESCENDING" => true,
        // As in ksqlDB.
        _ => return Ok(Datum::Null),
    };
    let mut values = elements(args, 0).to_vec();
    let nulls_last = |a: &Datum<'_>, b: &Datum<'_>| {
        if descending && !a.is_null() && !b.is_null() { order(b, a) } else { order(a, b) }
    };
    values.sort_by(nulls_last);
    Ok(made(values))
}

fn slice<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let [Datum::Array(values), from, to] = args else { return Ok(Datum::Null) };
    let len = i64::try_from(values.len()).unwrap_or(i64::MAX);
    let from = from.as_i64().map_or(0, |from| from - 1);
    let to = to.as_i64().unwrap_or(len);
    if from < 0 || to > len {
        return Ok(Datum::Null);
    }
    if from > to {
        return Err(format!("a slice from {} to {to} ends before it begins", from + 1));
    }
    let place = |index: i64| usize::try_from(index).unwrap_or(0);
    let part = values.get(place(from)..place(to)).unwrap_or_default();
    Ok(Datum::Array(Arc::from(part)))
}

fn generate_series<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let (Some(first), Some(last)) =
        (args.first().and_then(Datum::as_i64), args.get(1).and_then(Datum::as_i64))
    else {
        return Ok(Datum::Null);
    };
    let distance = i128::from(last) - i128::from(first);
    let step = args.get(2).and_then(Datum::as_i64).map_or(if distance > 0 { 1 } else { -1 }, i128::from);
    if step == 0 {
        return Err("a step of 0 goes nowhere".to_owned());
    }
    if distance != 0 && (distance > 0) != (step > 0) {
        return Err(format!("a step of {step} does not lead from {first} to {last}"));
    }
    let count = usize::try_from(distance / step).unwrap_or(usize::MAX).saturating_add(1);
    check_elements(count)?;
    let narrow = matches!(args.first(), Some(Datum::Int(_)));
    let mut values = Vec::with_capacity(count);
    let mut next = i128::from(first);
    for _ in 0..count {
        let value = i64::try_from(next).unwrap_or(last);
        values.push(if narrow {
            Datum::Int(i32::try_from(value).unwrap_or(0))
        } else {
            Datum::BigInt(value)
        });
        next += step;
    }
    Ok(made(values))
}
