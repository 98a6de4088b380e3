//! JSON Schema, as `JSON_SR` registers it: the columns of a schema, the schema of columns, and which one can read what another
//! one wrote. Attributes are those of Kafka Connect's JSON Schema converter (`connect.type`, `connect.index`, `title`).
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::limits::{SCHEMA_DEPTH_MAX, SCHEMA_NODES_MAX};
use super::{Columns, Decimal, LayoutError, SqlType};
use serde_json::{Map, Value as Json, json};
use std::cell::Cell;
use std::collections::BTreeMap;

/// What the titles of types begin with that SQL has and JSON has not.
const LOGICAL: &str = "org.apache.kafka.connect.data.";

/// A schema.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct JsonSchema {
    root: Json,
    /// Schemas that it refers to, by the names that it calls them.
    used: BTreeMap<String, Json>,
}

impl JsonSchema {
    pub(super) fn parse(text: &str, used: &[(&str, &str)]) -> Result<Self, String> {
        let read =
            |text: &str| serde_json::from_str::<Json>(text).map_err(|error| format!("no JSON: {error}"));
        let root = read(text)?;
        if !matches!(root, Json::Object(_) | Json::Bool(_)) {
            return Err("a JSON schema is an object".to_owned());
        }
        let used = used
            .iter()
            .map(|(name, text)| Ok(((*name).to_owned(), read(text)?)))
            .collect::<Result<_, String>>()?;
        Ok(Self { root, used })
    }

    /// The schema behind `$ref`s, and behind a choice of it and null.
    fn resolve<'s>(&'s self, mut json: &'s Json) -> &'s Json {
        for _ in 0..SCHEMA_DEPTH_MAX {
            let next = match json.get("$ref").and_then(Json::as_str) {
                Some(reference) => match reference.strip_prefix('#') {
                    Some("") => Some(&self.root),
                    Some(pointer) => self.root.pointer(pointer),
                    None => self.used.get(reference),
                },
                None => only_choice(json),
            };
            match next {
                Some(next) => json = next,
                None => break,
            }
        }
        json
    }

    /// Whether its values are objects with fields of their own.
    pub(super) fn is_record(&self) -> bool {
        let root = self.resolve(&self.root);
        root.get("properties").is_some() && !is_map(root)
    }

    /// The columns of its fields in the order of `connect.index`, else one column of this name.
    pub(super) fn columns(&self, single: &str, keep_case: bool) -> Columns {
        let left = &Cell::new(SCHEMA_NODES_MAX);
        if self.is_record() {
            let fields = self.fields(self.resolve(&self.root), keep_case, left, 0);
            return fields.into_iter().map(|(name, sql_type)| (name.into(), sql_type)).collect();
        }
        self.sql_type(&self.root, keep_case, left, 0)
            .map(|sql_type| (single.into(), sql_type))
            .into_iter()
            .collect()
    }

    fn fields(
        &self,
        object: &Json,
        keep_case: bool,
        left: &Cell<usize>,
        depth: usize,
    ) -> Vec<(String, SqlType)> {
        let Some(properties) = object.get("properties").and_then(Json::as_object) else { return Vec::new() };
        let mut listed: Vec<(&String, &Json)> = properties.iter().collect();
        listed.sort_by_key(|(_, json)| json.get("connect.index").and_then(Json::as_i64).unwrap_or(i64::MAX));
        let mut found: Vec<(String, SqlType)> = Vec::new();
        for (name, json) in listed {
            let name = if keep_case { name.clone() } else { name.to_uppercase() };
            if let Some(sql_type) = self.sql_type(json, keep_case, left, depth.saturating_add(1))
                && !found.iter().any(|(known, _)| *known == name)
            {
                found.push((name, sql_type));
            }
        }
        found
    }

    fn sql_type(&self, json: &Json, keep_case: bool, left: &Cell<usize>, depth: usize) -> Option<SqlType> {
        if depth > SCHEMA_DEPTH_MAX {
            return None;
        }
        left.set(left.get().checked_sub(1)?);
        let json = self.resolve(json);
        let below = depth.saturating_add(1);
        let connect = json.get("connect.type").and_then(Json::as_str).unwrap_or_default();
        let title = json.get("title").and_then(Json::as_str).and_then(|title| title.strip_prefix(LOGICAL));
        Some(match (kind(json)?, connect) {
            _ if title == Some("Decimal") => decimal(json)?,
            _ if title == Some("Date") => SqlType::Date,
            _ if title == Some("Time") => SqlType::Time,
            _ if title == Some("Timestamp") => SqlType::Timestamp,
            ("boolean", _) => SqlType::Boolean,
            ("integer", "int8" | "int16" | "int32") => SqlType::Int,
            ("integer", _) => SqlType::BigInt,
            ("number", _) => SqlType::Double,
            ("string", "bytes") => SqlType::Bytes,
            ("string", _) => SqlType::Varchar,
            ("array", "map") => {
                let value = json.pointer("/items/properties/value")?;
                SqlType::map(SqlType::Varchar, self.sql_type(value, keep_case, left, below)?)
            }
            ("array", _) => SqlType::array(self.sql_type(json.get("items")?, keep_case, left, below)?),
            ("object", _) if is_map(json) => {
                let value = self.sql_type(json.get("additionalProperties")?, keep_case, left, below)?;
                SqlType::map(SqlType::Varchar, value)
            }
            ("object", _) => {
                let fields = self.fields(json, keep_case, left, below);
                if fields.is_empty() {
                    return None;
                }
                SqlType::structure(fields.iter().map(|(name, sql_type)| (name.as_str(), *sql_type)))
            }
            _ => return None,
        })
    }

    /// Whether columns can be written by it: each has a property of its name, where it allows no others.
    pub(super) fn check(&self, columns: &Columns, wrapped: bool) -> Result<(), LayoutError> {
        let root = self.resolve(&self.root);
        if !wrapped {
            return Ok(());
        }
        let properties = root.get("properties").and_then(Json::as_object);
        let is_open = root.get("additionalProperties") != Some(&Json::Bool(false));
        for (name, _) in columns {
            if !is_open && !properties.is_some_and(|properties| properties.contains_key(&**name)) {
                return Err(LayoutError::new(format!("the schema has no property for column `{name}`")));
            }
        }
        let required = root.get("required").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        for name in required.iter().filter_map(Json::as_str) {
            if !columns.iter().any(|(column, _)| **column == *name) {
                return Err(LayoutError::new(format!(
                    "the schema needs `{name}`, but there is no such column"
                )));
            }
        }
        Ok(())
    }
}

/// Of a choice between null and one other schema, the other one.
fn only_choice(json: &Json) -> Option<&Json> {
    let choices = json.get("oneOf").or_else(|| json.get("anyOf")).and_then(Json::as_array)?;
    let mut others =
        choices.iter().filter(|choice| choice.get("type").and_then(Json::as_str) != Some("null"));
    match (others.next(), others.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

/// The `type`; of several, the one that is not null.
fn kind(json: &Json) -> Option<&str> {
    match json.get("type") {
        Some(Json::String(kind)) => Some(kind),
        Some(Json::Array(kinds)) => {
            let mut others = kinds.iter().filter_map(Json::as_str).filter(|kind| *kind != "null");
            match (others.next(), others.next()) {
                (Some(only), None) => Some(only),
                _ => None,
            }
        }
        // A schema of choices of names alone is one of texts.
        None if json.get("enum").is_some() => Some("string"),
        None if json.get("properties").is_some() => Some("object"),
        _ => None,
    }
}

fn is_map(json: &Json) -> bool {
    json.get("connect.type").and_then(Json::as_str) == Some("map")
        || (json.get("properties").is_none()
            && matches!(json.get("additionalProperties"), Some(Json::Object(_))))
}

fn decimal(json: &Json) -> Option<SqlType> {
    let parameters = json.get("connect.parameters")?;
    let number =
        |name: &str| parameters.get(name).and_then(Json::as_str).and_then(|text| text.parse::<u8>().ok());
    let (precision, scale) = (number("connect.decimal.precision")?, number("scale")?);
    let is_type = (1..=Decimal::PRECISION_MAX).contains(&precision) && scale <= precision;
    is_type.then_some(SqlType::Decimal { precision, scale })
}

/// The schema of these columns: an object, or the schema of the only one.
pub(super) fn schema_text(columns: &Columns, wrapped: bool, title: Option<&str>) -> String {
    let mut schema = match columns.as_slice() {
        [(_, sql_type)] if !wrapped => json_type(*sql_type),
        columns => object(columns.iter().map(|(name, sql_type)| (&**name, *sql_type))),
    };
    if let Some(title) = title {
        schema.insert("title".to_owned(), title.into());
    }
    Json::Object(schema).to_string()
}

fn object<'f>(fields: impl Iterator<Item = (&'f str, SqlType)>) -> Map<String, Json> {
    let mut properties = Map::new();
    for (index, (name, sql_type)) in fields.enumerate() {
        let choice = json!([{"type": "null"}, json_type(sql_type)]);
        properties.insert(name.to_owned(), json!({"connect.index": index, "oneOf": choice}));
    }
    let mut object = Map::new();
    object.insert("type".to_owned(), "object".into());
    object.insert("properties".to_owned(), Json::Object(properties));
    object
}

fn json_type(sql_type: SqlType) -> Map<String, Json> {
    let nullable = |sql_type: SqlType| json!({"oneOf": [{"type": "null"}, json_type(sql_type)]});
    let logical = |connect: &str, name: &str| {
        json!({
            "type": "integer", "title": format!("{LOGICAL}{name}"), "connect.version": 1, "connect.type": connect,
        })
    };
    let made = match sql_type {
        SqlType::Boolean => json!({"type": "boolean"}),
        SqlType::Int => json!({"type": "integer", "connect.type": "int32"}),
        SqlType::BigInt => json!({"type": "integer", "connect.type": "int64"}),
        SqlType::Double => json!({"type": "number", "connect.type": "float64"}),
        SqlType::Varchar => json!({"type": "string"}),
        SqlType::Bytes => json!({"type": "string", "connect.type": "bytes"}),
        SqlType::Date => logical("int32", "Date"),
        SqlType::Time => logical("int32", "Time"),
        SqlType::Timestamp => logical("int64", "Timestamp"),
        SqlType::Decimal { precision, scale } => json!({
            "type": "number", "title": format!("{LOGICAL}Decimal"), "connect.version": 1, "connect.type": "bytes",
            "connect.parameters": {"scale": scale.to_string(), "connect.decimal.precision": precision.to_string()},
        }),
        SqlType::Array(element) => json!({"type": "array", "items": nullable(*element)}),
        SqlType::Map(_, value) => {
            json!({"type": "object", "connect.type": "map", "additionalProperties": nullable(*value)})
        }
        SqlType::Struct(fields) => return object(fields.iter().map(|field| (field.name, field.sql_type))),
    };
    match made {
        Json::Object(object) => object,
        _ => Map::new(),
    }
}

/// Why `reader` does not take what `writer` allows; empty where it does. Objects, arrays and plain types are compared; what
/// a schema says beyond them (patterns, ranges) must be the same.
pub(super) fn incompatibilities(reader: &JsonSchema, writer: &JsonSchema) -> Vec<String> {
    let mut reasons = Vec::new();
    let left = Cell::new(SCHEMA_NODES_MAX);
    compare((reader, &reader.root), (writer, &writer.root), "#", (0, &left), &mut reasons);
    reasons
}

/// Words that restrict values and are compared as they stand.
const RESTRICTIONS: &[&str] = &[
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "multipleOf",
    "minItems",
    "maxItems",
    "uniqueItems",
    "const",
    "not",
];

fn compare(
    (reader, read): (&JsonSchema, &Json),
    (writer, written): (&JsonSchema, &Json),
    path: &str,
    (depth, left): (usize, &Cell<usize>),
    reasons: &mut Vec<String>,
) {
    if depth > SCHEMA_DEPTH_MAX || read == &Json::Bool(true) || read.as_object().is_some_and(Map::is_empty) {
        return;
    }
    let Some(fewer) = left.get().checked_sub(1) else {
        if reasons.is_empty() {
            reasons.push(format!("{path}: the schemas are too large to be compared"));
        }
        return;
    };
    left.set(fewer);
    if allows_null(writer, written) && !allows_null(reader, read) {
        reasons.push(format!("{path}: null was allowed, and is no longer"));
    }
    let (read, written) = (reader.resolve(read), writer.resolve(written));
    let below = depth.saturating_add(1);
    match (kind(read), kind(written)) {
        (Some("number"), Some("integer")) => {}
        (Some(a), Some(b)) if a != b => return reasons.push(format!("{path}: {b} was allowed, {a} is now")),
        (Some(a), None) => return reasons.push(format!("{path}: anything was allowed, {a} is now")),
        (None, _) if read != written && kind(written) != kind(read) => {
            let has = |word: &str| read.get(word).is_some();
            if ["oneOf", "anyOf", "allOf"].into_iter().any(has) {
                reasons.push(format!("{path}: the choices differ"));
            }
            return;
        }
        _ => {}
    }
    for word in RESTRICTIONS {
        if read.get(*word).is_some() && read.get(*word) != written.get(*word) {
            reasons.push(format!("{path}: `{word}` differs"));
        }
    }
    if let Some(allowed) = read.get("enum").and_then(Json::as_array) {
        let were = written.get("enum").and_then(Json::as_array);
        if !were.is_some_and(|were| were.iter().all(|one| allowed.contains(one))) {
            reasons.push(format!("{path}: `enum` lacks what was allowed"));
        }
    }
    if let (Some(read), Some(written)) = (read.get("items"), written.get("items")) {
        compare((reader, read), (writer, written), &format!("{path}/items"), (below, left), reasons);
    }
    properties((reader, read), (writer, written), path, (below, left), reasons);
}

fn properties(
    (reader, read): (&JsonSchema, &Json),
    (writer, written): (&JsonSchema, &Json),
    path: &str,
    (depth, left): (usize, &Cell<usize>),
    reasons: &mut Vec<String>,
) {
    let empty = Map::new();
    let of = |json: &Json| {
        json.get("properties").and_then(Json::as_object).cloned().unwrap_or_else(|| empty.clone())
    };
    let (now, before) = (of(read), of(written));
    let is_open = |json: &Json| json.get("additionalProperties") != Some(&Json::Bool(false));
    for (name, written) in &before {
        match now.get(name) {
            Some(read) => {
                compare(
                    (reader, read),
                    (writer, written),
                    &format!("{path}/properties/{name}"),
                    (depth, left),
                    reasons,
                );
            }
            None if !is_open(read) => reasons.push(format!("{path}: `{name}` was allowed, and is no longer")),
            None => {}
        }
    }
    for name in now.keys().filter(|name| !before.contains_key(*name)) {
        // Whoever may write anything may have written this name with any value.
        if is_open(written) && kind(written) == Some("object") && !now.get(name).is_some_and(takes_anything) {
            reasons.push(format!(
                "{path}: `{name}` could have been anything, because the schema before was open"
            ));
        }
    }
    let required = |json: &Json| -> Vec<String> {
        let listed = json.get("required").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        listed.iter().filter_map(Json::as_str).map(str::to_owned).collect()
    };
    let were = required(written);
    for name in required(read).into_iter().filter(|name| !were.contains(name)) {
        if now.get(&name).and_then(|json| json.get("default")).is_none() {
            reasons.push(format!("{path}: `{name}` is required, and was not"));
        }
    }
}

fn takes_anything(json: &Json) -> bool {
    json == &Json::Bool(true) || json.as_object().is_some_and(Map::is_empty)
}

fn allows_null(schema: &JsonSchema, json: &Json) -> bool {
    let listed = |word: &str| json.get(word).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_null = |json: &Json| json.get("type").and_then(Json::as_str) == Some("null");
    is_null(json)
        || listed("type").iter().any(|kind| kind.as_str() == Some("null"))
        || listed("oneOf").iter().chain(listed("anyOf")).any(is_null)
        || json.get("$ref").is_some_and(|_| is_null(schema.resolve(json)))
}
