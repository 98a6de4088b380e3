//! Functions that run a lambda for every element of an array or every entry of a map.

use super::Params::Of;
use super::ordered::Ordered;
use super::{Body, LambdaBody, Lambdas, Param, Returns, ScalarFunction, Signature};
use crate::Datum;
use crate::SqlType::Boolean;
use crate::expression::Fault;
use std::collections::BTreeSet;

const T: Param = Param::Generic('T');
const K: Param = Param::Generic('K');
const V: Param = Param::Generic('V');
const R: Param = Param::Generic('R');
const S: Param = Param::Generic('S');
const TRUTH: Param = Param::Type(Boolean);
const ARRAY: Param = Param::Array(&T);
const MAP: Param = Param::Map(&K, &V);

const fn of(params: &'static [Param], returns: Param, body: LambdaBody) -> Signature {
    Signature { params: Of(params), returns: Returns::Of(returns), body: Body::Lambda(body) }
}

pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction {
        name: "TRANSFORM",
        aliases: &[],
        doc: "TRANSFORM(array, x => …) or TRANSFORM(map, (k, v) => …, (k, v) => …): what the lambdas make of each element, \
              or of each key and each value.",
        signatures: &[
            of(&[ARRAY, Param::Lambda(&[T], &R)], Param::Array(&R), transform_array),
            of(
                &[MAP, Param::Lambda(&[K, V], &R), Param::Lambda(&[K, V], &S)],
                Param::Map(&R, &S),
                transform_map,
            ),
        ],
    },
    ScalarFunction {
        name: "FILTER",
        aliases: &[],
        doc: "FILTER(array, x => …) or FILTER(map, (k, v) => …): the elements or entries for which the lambda is true.",
        signatures: &[
            of(&[ARRAY, Param::Lambda(&[T], &TRUTH)], ARRAY, filter_array),
            of(&[MAP, Param::Lambda(&[K, V], &TRUTH)], MAP, filter_map),
        ],
    },
    ScalarFunction {
        name: "REDUCE",
        aliases: &[],
        doc: "REDUCE(array, start, (s, x) => …) or REDUCE(map, start, (s, k, v) => …): what comes out when the lambda goes \
              over all elements with the result so far.",
        signatures: &[
            of(&[ARRAY, S, Param::Lambda(&[S, T], &S)], S, reduce_array),
            of(&[MAP, S, Param::Lambda(&[S, K, V], &S)], S, reduce_map),
        ],
    },
];

fn transform_array<'a>(args: &[Datum<'a>], lambdas: &mut Lambdas<'_>) -> Result<Datum<'a>, Fault> {
    let Some(Datum::Array(values)) = args.first() else { return Ok(Datum::Null) };
    let made = values.iter().map(|value| lambdas.call(0, std::slice::from_ref(value)));
    Ok(Datum::Array(made.collect::<Result<_, _>>()?))
}

fn transform_map<'a>(args: &[Datum<'a>], lambdas: &mut Lambdas<'_>) -> Result<Datum<'a>, Fault> {
    let Some(Datum::Map(entries)) = args.first() else { return Ok(Datum::Null) };
    let mut made = Vec::with_capacity(entries.len());
    for (key, value) in entries.iter() {
        let entry = [key.clone(), value.clone()];
        made.push((lambdas.call(0, &entry)?, lambdas.call(1, &entry)?));
    }
    let wrong = |message: String| Err(Fault::Function("TRANSFORM", message));
    let mut seen = BTreeSet::new();
    for (key, _) in &made {
        if key.is_null() {
            return wrong("a key became NULL".to_owned());
        }
        if !seen.insert(Ordered(key)) {
            let key: String = key.to_string().chars().take(60).collect();
            return wrong(format!("two keys became '{key}'"));
        }
    }
    Ok(Datum::Map(made.into()))
}

fn filter_array<'a>(args: &[Datum<'a>], lambdas: &mut Lambdas<'_>) -> Result<Datum<'a>, Fault> {
    let Some(Datum::Array(values)) = args.first() else { return Ok(Datum::Null) };
    let mut kept = Vec::new();
    for value in values.iter() {
        if lambdas.call(0, std::slice::from_ref(value))?.as_bool() == Some(true) {
            kept.push(value.clone());
        }
    }
    Ok(Datum::Array(kept.into()))
}

fn filter_map<'a>(args: &[Datum<'a>], lambdas: &mut Lambdas<'_>) -> Result<Datum<'a>, Fault> {
    let Some(Datum::Map(entries)) = args.first() else { return Ok(Datum::Null) };
    let mut kept = Vec::new();
    for (key, value) in entries.iter() {
        if lambdas.call(0, &[key.clone(), value.clone()])?.as_bool() == Some(true) {
            kept.push((key.clone(), value.clone()));
        }
    }
    Ok(Datum::Map(kept.into()))
}

fn reduce_array<'a>(args: &[Datum<'a>], lambdas: &mut Lambdas<'_>) -> Result<Datum<'a>, Fault> {
    let [values, start] = args else { return Ok(Datum::Null) };
    if start.is_null() {
        return Ok(Datum::Null);
    }
    let mut state = start.clone().into_owned();
    for value in values.as_array().unwrap_or_default() {
        state = step(lambdas, &[state, value.clone()])?;
    }
    Ok(state)
}

fn reduce_map<'a>(args: &[Datum<'a>], lambdas: &mut Lambdas<'_>) -> Result<Datum<'a>, Fault> {
    let [entries, start] = args else { return Ok(Datum::Null) };
    if start.is_null() {
        return Ok(Datum::Null);
    }
    let mut state = start.clone().into_owned();
    for (key, value) in entries.as_map().unwrap_or_default() {
        state = step(lambdas, &[state, key.clone(), value.clone()])?;
    }
    Ok(state)
}

/// One step of `REDUCE`, whose result may not grow without limit.
fn step(lambdas: &mut Lambdas<'_>, args: &[Datum<'static>]) -> Result<Datum<'static>, Fault> {
    let state = lambdas.call(0, args)?;
    crate::expression::check_size(&state).map_err(|message| Fault::Function("REDUCE", message))?;
    Ok(state)
}
