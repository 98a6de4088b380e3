//! Functions of JSON in texts: what nested fields are read with, and what values are written as.

mod path;
mod value;

use super::Params::{Of, Types};
use super::split::text;
use super::text::{owned, str_at};
use super::{
    Body, CallTypes, Param, Params, Returns, RowBody, RowFunction, ScalarFunction, Signature, check_elements,
    check_text,
};
use crate::Datum;
use crate::SqlType::{self, Boolean, Int, Varchar};
use path::Path;
use std::sync::Arc;
use value::{Json, put, write_text};

const TEXT: Param = Param::Type(Varchar);

const fn of(returns: Returns, body: RowBody) -> Signature {
    Signature { params: Types(&[Varchar]), returns, body: Body::Fallible(body) }
}

const fn function(name: &'static str, doc: &'static str, signatures: &'static [Signature]) -> ScalarFunction {
    ScalarFunction { name, aliases: &[], doc, signatures }
}

pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    function(
        "EXTRACTJSONFIELD",
        "EXTRACTJSONFIELD(json, '$.a.b[0]'): a part of a JSON text, as text; NULL where there is none.",
        &[Signature {
            params: Types(&[Varchar, Varchar]),
            returns: Returns::Type(Varchar),
            body: Body::Compiled(compile_extract),
        }],
    ),
    function(
        "IS_JSON_STRING",
        "Whether the text is JSON.",
        &[Signature {
            params: Types(&[Varchar]),
            returns: Returns::Type(Boolean),
            body: Body::WithNulls(is_json),
        }],
    ),
    function(
        "JSON_ARRAY_CONTAINS",
        "JSON_ARRAY_CONTAINS(json, value): whether a JSON array holds the value; false where it is no array.",
        &[Signature {
            params: Of(&[TEXT, Param::Any]),
            returns: Returns::Type(Boolean),
            body: Body::WithNulls(array_contains),
        }],
    ),
    function(
        "JSON_ARRAY_LENGTH",
        "How many elements a JSON array has; NULL where it is none.",
        &[of(Returns::Type(Int), array_length)],
    ),
    function(
        "JSON_CONCAT",
        "JSON_CONCAT(json, …): objects as one object, everything else as one array.",
        &[Signature {
            params: Params::Many(Varchar, 1),
            returns: Returns::Type(Varchar),
            body: Body::Fallible(concat),
        }],
    ),
    function(
        "JSON_ITEMS",
        "The objects of a JSON array as texts; NULL where an element is none.",
        &[of(Returns::Of(Param::Array(&TEXT)), items)],
    ),
    function(
        "JSON_KEYS",
        "The names of a JSON object; NULL where it is none.",
        &[of(Returns::Of(Param::Array(&TEXT)), keys)],
    ),
    function(
        "JSON_RECORDS",
        "A JSON object as a map of its names and its values as JSON; NULL where it is none.",
        &[of(Returns::Of(Param::Map(&TEXT, &TEXT)), records)],
    ),
    function(
        "TO_JSON_STRING",
        "A value of any type as JSON.",
        &[Signature {
            params: Of(&[Param::Any]),
            returns: Returns::Type(Varchar),
            body: Body::Typed(to_json),
        }],
    ),
];

/// `EXTRACTJSONFIELD` with the path that is the same for every row.
#[derive(Debug)]
struct Extract(Option<Path>);

fn compile_extract(constants: &[Option<Datum<'static>>]) -> Result<Arc<dyn RowFunction>, String> {
    let path = constants.get(1).and_then(Option::as_ref).and_then(Datum::as_str);
    Ok(Arc::new(Extract(path.map(Path::read).transpose()?)))
}

impl RowFunction for Extract {
    fn apply<'a>(&self, args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
        let made;
        let path = if let Some(path) = &self.0 {
            path
        } else {
            made = Path::read(str_at(args, 1))?;
            &made
        };
        let found = Json::read_first(str_at(args, 0))?.and_then(|json| path.find(json));
        Ok(match found {
            None | Some(Json::Null) => Datum::Null,
            Some(Json::Text(text)) => owned(text),
            Some(other) => owned(other.to_string()),
        })
    }
}

#[expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]
fn is_json<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Ok(Datum::Boolean(matches!(Json::read(str_at(args, 0)), Ok(Some(_)))))
}

#[expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]
fn array_contains<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let [json, wanted] = args else { return Ok(Datum::Boolean(false)) };
    let Ok(Some(Json::Array(values))) = Json::read_first(json.as_str().unwrap_or_default()) else {
        return Ok(Datum::Boolean(false));
    };
    Ok(Datum::Boolean(values.iter().any(|value| is_same(value, wanted))))
}

/// Whether a JSON value is a SQL value; whole numbers and others are different kinds, as in ksqlDB.
fn is_same(value: &Json, wanted: &Datum<'_>) -> bool {
    match (value, wanted) {
        (Json::Null, Datum::Null) => true,
        (Json::Boolean(value), Datum::Boolean(wanted)) => value == wanted,
        (Json::Text(value), Datum::Varchar(wanted)) => value == wanted,
        (Json::Number(text), Datum::Int(_) | Datum::BigInt(_)) => {
            text.parse::<i64>().ok().is_some_and(|value| wanted.as_i64() == Some(value))
        }
        (Json::Number(text), Datum::Double(_) | Datum::Decimal(_)) => {
            let whole = !text.contains(['.', 'e', 'E']);
            !whole && text.parse::<f64>().ok() == wanted.as_f64()
        }
        _ => false,
    }
}

fn array_length<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    Ok(match Json::read_first(str_at(args, 0))? {
        Some(Json::Array(values)) => Datum::Int(i32::try_from(values.len()).unwrap_or(i32::MAX)),
        _ => Datum::Null,
    })
}

fn concat<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let mut values = Vec::with_capacity(args.len());
    for arg in args {
        let Some(value) = Json::read_first(arg.as_str().unwrap_or_default())? else { return Ok(Datum::Null) };
        values.push(value);
    }
    if let [alone] = values.as_slice() {
        return Ok(owned(alone.to_string()));
    }
    if values.iter().all(|value| matches!(value, Json::Object(_))) {
        let mut all: Vec<(String, Json)> = Vec::new();
        let mut places = std::collections::BTreeMap::new();
        for value in values {
            let Json::Object(members) = value else { continue };
            for (name, value) in members {
                put(&mut all, &mut places, name, value);
            }
        }
        return Ok(owned(Json::Object(all).to_string()));
    }
    let mut all = Vec::new();
    for value in values {
        match value {
            Json::Array(values) => all.extend(values),
            other => all.push(other),
        }
    }
    Ok(owned(Json::Array(all).to_string()))
}

fn items<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let Some(Json::Array(values)) = Json::read_first(str_at(args, 0))? else { return Ok(Datum::Null) };
    if values.iter().any(|value| !matches!(value, Json::Object(_))) {
        return Ok(Datum::Null);
    }
    check_elements(values.len())?;
    let mut bytes = 0;
    Ok(Datum::Array(values.iter().map(|value| written(value, &mut bytes)).collect::<Result<_, _>>()?))
}

/// A value as a text; `bytes` counts what all of them take, which has a limit.
fn written(value: &Json, bytes: &mut usize) -> Result<Datum<'static>, String> {
    let made = value.to_string();
    *bytes = bytes.saturating_add(made.len());
    check_text(*bytes)?;
    Ok(owned(made))
}

fn keys<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let Some(Json::Object(members)) = Json::read_first(str_at(args, 0))? else { return Ok(Datum::Null) };
    check_elements(members.len())?;
    Ok(Datum::Array(members.iter().map(|(name, _)| text(name)).collect()))
}

fn records<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let Some(Json::Object(members)) = Json::read_first(str_at(args, 0))? else { return Ok(Datum::Null) };
    check_elements(members.len().saturating_mul(2))?;
    let mut bytes = 0;
    let pairs = members.iter().map(|(name, value)| Ok((text(name), written(value, &mut bytes)?)));
    Ok(Datum::Map(pairs.collect::<Result<_, String>>()?))
}

#[expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]
fn to_json<'a>(args: &[Datum<'a>], types: &CallTypes) -> Result<Datum<'a>, String> {
    let mut out = String::new();
    if let (Some(value), Some(sql_type)) = (args.first(), types.args.first()) {
        write(value, *sql_type, &mut out);
    }
    Ok(owned(out))
}

/// Appends a value as JSON: dates and times as texts, members of maps and structs in the order of their names.
fn write(value: &Datum<'_>, sql_type: SqlType, out: &mut String) {
    match (value, sql_type) {
        (Datum::Null, _) => out.push_str("null"),
        (Datum::Boolean(_) | Datum::Int(_) | Datum::BigInt(_) | Datum::Decimal(_), _) => {
            out.push_str(&value.to_string());
        }
        (Datum::Double(v), _) if v.is_finite() => out.push_str(&value.to_string()),
        (Datum::Array(values), SqlType::Array(element)) => {
            out.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(value, *element, out);
            }
            out.push(']');
        }
        (Datum::Map(entries), SqlType::Map(_, of)) => {
            members(entries.iter().map(|(key, value)| (key.to_string(), value, *of)).collect(), out);
        }
        (Datum::Struct(values), SqlType::Struct(fields)) => {
            let pairs = values.iter().zip(fields);
            members(
                pairs.map(|(value, field)| (field.name.to_owned(), value, field.sql_type)).collect(),
                out,
            );
        }
        (other, _) => write_text(&other.to_string(), out),
    }
}

fn members(mut members: Vec<(String, &Datum<'static>, SqlType)>, out: &mut String) {
    members.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    out.push('{');
    for (index, (name, value, sql_type)) in members.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_text(&name, out);
        out.push(':');
        write(value, sql_type, out);
    }
    out.push('}');
}
