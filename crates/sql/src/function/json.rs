//! Functions of JSON in texts: what nested fields are read with.

use super::Params::Types;
use super::{Body, Returns, ScalarFunction, Signature};
use crate::Datum;
use crate::SqlType::Varchar;
use serde_json::Value;
use std::borrow::Cow;

pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    ScalarFunction {
        name: "EXTRACTJSONFIELD",
        aliases: &[],
        doc: "EXTRACTJSONFIELD(json, '$.a.b[0]'): a part of a JSON text, as text; NULL where there is none.",
        signatures: &[Signature {
            params: Types(&[Varchar, Varchar]),
            returns: Returns::Type(Varchar),
            body: Body::Fallible(extract),
        }],
    },
    ScalarFunction {
        name: "IS_JSON_STRING",
        aliases: &[],
        doc: "Whether the text is JSON.",
        signatures: &[Signature {
            params: Types(&[Varchar]),
            returns: Returns::Type(crate::SqlType::Boolean),
            body: Body::Plain(is_json),
        }],
    },
];

fn extract<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let [Datum::Varchar(json), Datum::Varchar(path)] = args else { return Ok(Datum::Null) };
    let steps = steps(path)?;
    let Ok(mut value) = serde_json::from_str::<Value>(json) else { return Ok(Datum::Null) };
    for step in steps {
        let next = match step {
            Step::Field(name) => value.get_mut(name),
            Step::Index(index) => value.get_mut(index),
        };
        let Some(next) = next else { return Ok(Datum::Null) };
        value = next.take();
    }
    Ok(match value {
        Value::Null => Datum::Null,
        Value::String(text) => Datum::Varchar(Cow::Owned(text)),
        other => Datum::Varchar(Cow::Owned(other.to_string())),
    })
}

#[expect(clippy::unnecessary_wraps, reason = "every body has the same shape")]
fn is_json<'a>(args: &[Datum<'a>]) -> Result<Datum<'a>, String> {
    let text = args.first().and_then(Datum::as_str).unwrap_or_default();
    Ok(Datum::Boolean(serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()))
}

enum Step<'p> {
    Field(&'p str),
    Index(usize),
}

/// Reads `$.a.b[0]`.
fn steps(path: &str) -> Result<Vec<Step<'_>>, String> {
    let wrong = || format!("'{path}' is no path; write '$.field' or '$[0]'");
    let mut rest = path.strip_prefix('$').ok_or_else(wrong)?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix('.') {
            let end = behind.find(['.', '[']).unwrap_or(behind.len());
            let (name, behind) = behind.split_at(end);
            if name.is_empty() {
                return Err(wrong());
            }
            steps.push(Step::Field(name));
            rest = behind;
        } else {
            let behind = rest.strip_prefix('[').ok_or_else(wrong)?;
            let (index, behind) = behind.split_once(']').ok_or_else(wrong)?;
            let quoted = index.strip_prefix('\'').and_then(|name| name.strip_suffix('\''));
            steps.push(match quoted {
                Some(name) => Step::Field(name),
                None => Step::Index(index.parse().map_err(|_| wrong())?),
            });
            rest = behind;
        }
    }
    Ok(steps)
}
