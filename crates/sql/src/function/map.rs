//! Functions of maps.

use super::Params::Of;
use super::ordered::{Ordered, order};
use super::{Body, Param, Returns, ScalarFunction, Signature, check_elements};
use crate::Datum;
use crate::SqlType::{self, Boolean, Varchar};
use std::collections::BTreeMap;

const T: Param = Param::Generic('T');
const K: Param = Param::Generic('K');
const TEXT: Param = Param::Type(Varchar);
const MAP: Param = Param::Map(&K, &T);
const TEXT_MAP: Param = Param::Map(&TEXT, &T);

/// A key with its value.
pub(super) type Entry = (Datum<'static>, Datum<'static>);

const fn of(params: &'static [Param], returns: Returns, body: Body) -> Signature {
    Signature { params: Of(params), returns, body }
}

const fn function(name: &'static str, doc: &'static str, signatures: &'static [Signature]) -> ScalarFunction {
    ScalarFunction { name, aliases: &[], doc, signatures }
}

pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    function(
        "AS_MAP",
        "AS_MAP(keys, values): a map made of two arrays; where there are fewer values, the rest is NULL.",
        &[of(&[Param::Array(&TEXT), Param::Array(&T)], Returns::Of(TEXT_MAP), Body::Fallible(as_map))],
    ),
    function(
        "MAP_KEYS",
        "The keys of a map.",
        &[of(&[MAP], Returns::Of(Param::Array(&K)), Body::Plain(keys))],
    ),
    function(
        "MAP_VALUES",
        "The values of a map.",
        &[of(&[MAP], Returns::Of(Param::Array(&T)), Body::Plain(values))],
    ),
    function(
        "MAP_UNION",
        "MAP_UNION(a, b): the entries of both maps; of a key that is in both, that of `b`.",
        &[of(&[MAP, MAP], Returns::Of(MAP), Body::FallibleWithNulls(union))],
    ),
    function(
        "ENTRIES",
        "ENTRIES(map, sorted): an array of structs with the fields K and V; sorted by key where asked.",
        &[of(&[TEXT_MAP, Param::Type(Boolean)], Returns::Computed(entry_list), Body::Plain(entries))],
    ),
];

fn entry_list(types: &[SqlType]) -> Result<SqlType, String> {
    match types.first() {
        Some(SqlType::Map(key, value)) => {
            Ok(SqlType::array(SqlType::structure([("K", **key), ("V", **value)])))
        }
        _ => Err("it is no MAP".to_owned()),
    }
}

/// A map of these entries: each key once, at its first place, with its last value.
pub(super) fn map_of(entries: impl IntoIterator<Item = Entry>) -> Vec<Entry> {
    let entries: Vec<Entry> = entries.into_iter().collect();
    let mut last = BTreeMap::new();
    let mut order = Vec::with_capacity(entries.len());
    for (index, (key, _)) in entries.iter().enumerate() {
        if last.insert(Ordered(key), index).is_none() {
            order.push(index);
        }
    }
    let at = |index: usize| entries.get(index);
    let latest =
        |(key, _): &Entry| last.get(&Ordered(key)).copied().and_then(at).map(|(_, value)| value.clone());
    order.into_iter().filter_map(at).filter_map(|entry| Some((entry.0.clone(), latest(entry)?))).collect()
}

fn as_map<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let [Datum::Array(keys), Datum::Array(values)] = args else { return Ok(Datum::Null) };
    if keys.iter().any(Datum::is_null) {
        return Err("a key is NULL".to_owned());
    }
    let values = values.iter().cloned().chain(std::iter::repeat(Datum::Null));
    Ok(Datum::Map(map_of(keys.iter().cloned().zip(values)).into()))
}

fn entries_of<'d>(args: &'d [Datum<'_>]) -> &'d [Entry] {
    args.first().and_then(Datum::as_map).unwrap_or_default()
}

#[expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]
fn keys<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Ok(Datum::Array(entries_of(args).iter().map(|(key, _)| key.clone()).collect()))
}

#[expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]
fn values<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Ok(Datum::Array(entries_of(args).iter().map(|(_, value)| value.clone()).collect()))
}

fn union<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    match args {
        [Datum::Map(a), Datum::Map(b)] => {
            let made = map_of(a.iter().chain(b.iter()).cloned());
            check_elements(made.len().saturating_mul(2))?;
            Ok(Datum::Map(made.into()))
        }
        [Datum::Null, other] | [other, _] => Ok(other.clone()),
        _ => Ok(Datum::Null),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]
fn entries<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let mut all: Vec<&Entry> = entries_of(args).iter().collect();
    if args.get(1).and_then(Datum::as_bool) == Some(true) {
        all.sort_by(|(a, _), (b, _)| order(a, b));
    }
    let made = all.into_iter().map(|(key, value)| Datum::Struct([key.clone(), value.clone()].into()));
    Ok(Datum::Array(made.collect()))
}
