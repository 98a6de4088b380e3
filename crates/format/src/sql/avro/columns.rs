//! The columns of an Avro schema, and the schema of columns, as ksqlDB and Kafka Connect's converter have them.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::schema::{AvroSchema, Node, RecordField, Walk, is_name};
use super::steps::branch_name;
use crate::sql::limits::SCHEMA_DEPTH_MAX;
use crate::sql::{Columns, Decimal, LayoutError, SqlType};
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// The full name of the record that ksqlDB writes.
const RECORD_NAME: &str = "io.confluent.ksql.avro_schemas.KsqlDataSourceSchema";

/// The columns of a schema: the fields of a record, else one column of this name. Fields of types that SQL does not have
/// are left out, as ksqlDB does.
pub(in crate::sql) fn columns(schema: &AvroSchema, single: &str, keep_case: bool) -> Columns {
    let schema = &Walk::new(schema);
    let root = match schema.node(schema.root) {
        Node::Union(branches) => match non_null(schema, branches).as_slice() {
            [only] => *only,
            _ => schema.root,
        },
        _ => schema.root,
    };
    match schema.node(root) {
        Node::Record { fields, .. } => {
            let column = |field: &RecordField| {
                let sql_type = sql_type(schema, field.node, keep_case, 0)?;
                Some((Arc::from(cased(&field.name, keep_case)), sql_type))
            };
            fields.iter().filter_map(column).collect()
        }
        _ => sql_type(schema, root, keep_case, 0)
            .map(|sql_type| (single.into(), sql_type))
            .into_iter()
            .collect(),
    }
}

fn cased(name: &str, keep_case: bool) -> String {
    if keep_case { name.to_owned() } else { name.to_uppercase() }
}

fn non_null(schema: &Walk<'_>, branches: &[usize]) -> Vec<usize> {
    branches.iter().copied().filter(|node| !matches!(schema.node(*node), Node::Null)).collect()
}

fn sql_type(schema: &Walk<'_>, node: usize, keep_case: bool, depth: usize) -> Option<SqlType> {
    if depth > SCHEMA_DEPTH_MAX || !schema.step() {
        return None;
    }
    let below = |node: usize| sql_type(schema, node, keep_case, depth.saturating_add(1));
    Some(match schema.node(node) {
        Node::Null => return None,
        Node::Boolean => SqlType::Boolean,
        Node::Int => SqlType::Int,
        Node::Long | Node::TimeMicros | Node::Timestamp { per_ms: 2.. } => SqlType::BigInt,
        Node::Float | Node::Double => SqlType::Double,
        Node::Bytes | Node::Fixed { .. } => SqlType::Bytes,
        Node::String | Node::Enum { .. } => SqlType::Varchar,
        Node::Date => SqlType::Date,
        Node::TimeMillis => SqlType::Time,
        Node::Timestamp { .. } => SqlType::Timestamp,
        Node::Decimal { precision, scale, .. } => SqlType::Decimal {
            precision: (*precision).min(Decimal::PRECISION_MAX),
            scale: if *scale <= Decimal::PRECISION_MAX { *scale } else { return None },
        },
        Node::Array(items) => match schema.node(*items) {
            Node::Record { fields, is_entry: true, .. } => {
                let value = fields.iter().find(|field| field.name == "value")?;
                SqlType::map(SqlType::Varchar, below(value.node)?)
            }
            _ => SqlType::array(below(*items)?),
        },
        Node::Map(values) => SqlType::map(SqlType::Varchar, below(*values)?),
        Node::Union(branches) => match non_null(schema, branches).as_slice() {
            [] => return None,
            [only] => below(*only)?,
            many => {
                let fields = many.iter().filter_map(|node| {
                    Some((cased(branch_name(schema.node(*node)), keep_case), below(*node)?))
                });
                structure(&fields.collect::<Vec<_>>())?
            }
        },
        Node::Record { fields, .. } => {
            let fields = fields.iter().filter_map(|f| Some((cased(&f.name, keep_case), below(f.node)?)));
            structure(&fields.collect::<Vec<_>>())?
        }
    })
}

/// A struct of these fields; `None` where there are none, or two of the same name.
fn structure(fields: &[(String, SqlType)]) -> Option<SqlType> {
    let mut names: Vec<&String> = fields.iter().map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    (!fields.is_empty() && names.len() == fields.len())
        .then(|| SqlType::structure(fields.iter().map(|(name, sql_type)| (name.as_str(), *sql_type))))
}

/// The schema of these columns: a record, or the schema of the only column.
pub(in crate::sql) fn schema_text(
    columns: &Columns,
    wrapped: bool,
    full_name: Option<&str>,
) -> Result<String, LayoutError> {
    let name = full_name.unwrap_or(RECORD_NAME);
    if !name.split('.').all(is_name) {
        return Err(LayoutError::new(format!("`{name}` is no name that Avro allows for a record")).help(
            "Avro's names have letters, digits and `_`, with `.` between the parts: `com.acme.Reading`",
        ));
    }
    let json = match columns.as_slice() {
        [(column, sql_type)] if !wrapped => avro_type(*sql_type, name, column, 0)?,
        columns => {
            let fields: Vec<(&str, SqlType)> = columns.iter().map(|(n, t)| (&**n, *t)).collect();
            record(&fields, name, name, 0)?
        }
    };
    Ok(json.to_string())
}

fn record(fields: &[(&str, SqlType)], name: &str, column: &str, depth: usize) -> Result<Json, LayoutError> {
    let mut listed = Vec::with_capacity(fields.len());
    for (field, sql_type) in fields {
        if !is_name(field) {
            return Err(LayoutError::new(format!("AVRO cannot name a field `{field}`")).help(
                "Avro's names begin with a letter or `_` and go on with letters, digits and `_`; give it another name with AS",
            ));
        }
        let column = if depth == 0 { field } else { column };
        let inner = avro_type(*sql_type, &format!("{name}_{field}"), column, depth.saturating_add(1))?;
        listed.push(json!({"name": field, "type": ["null", inner], "default": null}));
    }
    let mut record = named("record", name, depth == 0);
    record.insert("fields".to_owned(), Json::Array(listed));
    record.insert("connect.name".to_owned(), name.into());
    Ok(Json::Object(record))
}

/// A named type; one inside another takes its namespace from there.
fn named(kind: &str, full_name: &str, with_namespace: bool) -> serde_json::Map<String, Json> {
    let mut object = serde_json::Map::new();
    object.insert("type".to_owned(), kind.into());
    let (namespace, name) = full_name.rsplit_once('.').unwrap_or(("", full_name));
    object.insert("name".to_owned(), name.into());
    if with_namespace && !namespace.is_empty() {
        object.insert("namespace".to_owned(), namespace.into());
    }
    object
}

fn avro_type(sql_type: SqlType, name: &str, column: &str, depth: usize) -> Result<Json, LayoutError> {
    if depth > SCHEMA_DEPTH_MAX {
        return Err(LayoutError::new(format!(
            "column `{column}` is nested more than {SCHEMA_DEPTH_MAX} deep"
        )));
    }
    let below = depth.saturating_add(1);
    let logical = |primitive: &str, connect: &str, logical: &str| {
        json!({
            "type": primitive, "connect.version": 1,
            "connect.name": format!("org.apache.kafka.connect.data.{connect}"), "logicalType": logical,
        })
    };
    Ok(match sql_type {
        SqlType::Boolean => "boolean".into(),
        SqlType::Int => "int".into(),
        SqlType::BigInt => "long".into(),
        SqlType::Double => "double".into(),
        SqlType::Varchar => "string".into(),
        SqlType::Bytes => "bytes".into(),
        SqlType::Date => logical("int", "Date", "date"),
        SqlType::Time => logical("int", "Time", "time-millis"),
        SqlType::Timestamp => logical("long", "Timestamp", "timestamp-millis"),
        SqlType::Decimal { precision, scale } => json!({
            "type": "bytes", "scale": scale, "precision": precision, "connect.version": 1,
            "connect.parameters": {"scale": scale.to_string(), "connect.decimal.precision": precision.to_string()},
            "connect.name": "org.apache.kafka.connect.data.Decimal", "logicalType": "decimal",
        }),
        SqlType::Array(element) => {
            json!({"type": "array", "items": ["null", avro_type(*element, name, column, below)?]})
        }
        SqlType::Map(key, value) => {
            let key = avro_type(*key, &format!("{name}_MapKey"), column, below)?;
            let value = avro_type(*value, &format!("{name}_MapValue"), column, below)?;
            let mut entry = named("record", name, depth == 0);
            entry.insert(
                "fields".to_owned(),
                json!([
                    {"name": "key", "type": ["null", key], "default": null},
                    {"name": "value", "type": ["null", value], "default": null},
                ]),
            );
            entry.insert("connect.internal.type".to_owned(), "MapEntry".into());
            json!({"type": "array", "items": entry})
        }
        SqlType::Struct(fields) => {
            let fields: Vec<(&str, SqlType)> = fields.iter().map(|f| (f.name, f.sql_type)).collect();
            record(&fields, name, column, below)?
        }
    })
}
