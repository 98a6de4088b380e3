//! Records of `_schemas`: JSON keys and values as Confluent Schema Registry writes and reads them.
//!
//! | `keytype` of the key | rest of the key | value |
//! |---|---|---|
//! | `SCHEMA` | `subject`, `version`, `magic` 1 | `subject`, `version`, `id`, `schemaType` (absent: `AVRO`), `references`, `schema`, `deleted`; none where it is gone for good |
//! | `CONFIG` | `subject` (null: of all), `magic` 0 | `compatibilityLevel`; none where it is unset |
//! | `DELETE_SUBJECT` | `subject`, `magic` 0 | `subject`, `version`: it and those before are deleted |
//!
//! Others (`NOOP`, `MODE`, `CLEAR_SUBJECT`, `CONTEXT`) say nothing that is kept here.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use crate::Level;
use bytes::Bytes;
use millstream_format::registry::{SchemaKind, SchemaReference, SchemaText, SchemaVersion};
use serde_json::{Map, Value as Json, json};

/// What a record says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Entry {
    /// A subject has a version, deleted softly or not.
    Schema(SchemaVersion, bool),
    /// A version is gone.
    Gone { subject: String, version: i32 },
    /// A subject's level, or that of all; `None` where it is unset.
    Level { subject: Option<String>, level: Option<Level> },
    /// Versions of a subject up to this one are deleted softly.
    Deleted { subject: String, version: i32 },
}

impl Entry {
    /// The record's key and value.
    pub(crate) fn encode(&self) -> (Bytes, Option<Bytes>) {
        let bytes = |json: Json| Bytes::from(json.to_string());
        match self {
            Self::Schema(version, deleted) => {
                let mut value = Map::new();
                value.insert("subject".to_owned(), version.subject.as_str().into());
                value.insert("version".to_owned(), version.version.into());
                value.insert("id".to_owned(), version.id.into());
                describe(&version.schema, &mut value);
                value.insert("deleted".to_owned(), (*deleted).into());
                (schema_key(&version.subject, version.version), Some(bytes(Json::Object(value))))
            }
            Self::Gone { subject, version } => (schema_key(subject, *version), None),
            Self::Level { subject, level } => (
                bytes(json!({"keytype": "CONFIG", "subject": subject, "magic": 0})),
                level.map(|level| bytes(json!({"subject": subject, "compatibilityLevel": level.name()}))),
            ),
            Self::Deleted { subject, version } => (
                bytes(json!({"keytype": "DELETE_SUBJECT", "subject": subject, "magic": 0})),
                Some(bytes(json!({"subject": subject, "version": version}))),
            ),
        }
    }

    /// Reads a record; `None` for one that says nothing here, or that is none of the registry's.
    pub(crate) fn decode(key: Option<&[u8]>, value: Option<&[u8]>) -> Option<Self> {
        let key: Json = serde_json::from_slice(key?).ok()?;
        let subject = key.get("subject").and_then(Json::as_str).map(str::to_owned);
        let value: Option<Json> = match value {
            Some(value) => Some(serde_json::from_slice(value).ok()?),
            None => None,
        };
        let number = |json: &Json, name: &str| {
            json.get(name).and_then(Json::as_i64).and_then(|v| i32::try_from(v).ok())
        };
        match (key.get("keytype")?.as_str()?, value) {
            ("SCHEMA", Some(value)) => {
                let version = SchemaVersion {
                    subject: subject?,
                    version: number(&key, "version")?,
                    id: number(&value, "id")?,
                    schema: schema(&value).ok()?,
                };
                Some(Self::Schema(version, value.get("deleted").and_then(Json::as_bool).unwrap_or(false)))
            }
            ("SCHEMA", None) => Some(Self::Gone { subject: subject?, version: number(&key, "version")? }),
            ("CONFIG", value) => {
                let level =
                    value.and_then(|value| Level::from_name(value.get("compatibilityLevel")?.as_str()?));
                Some(Self::Level { subject, level })
            }
            ("DELETE_SUBJECT", Some(value)) => {
                Some(Self::Deleted { subject: subject?, version: number(&value, "version")? })
            }
            _ => None,
        }
    }
}

fn schema_key(subject: &str, version: i32) -> Bytes {
    json!({"keytype": "SCHEMA", "subject": subject, "version": version, "magic": 1}).to_string().into()
}

/// A schema's members in a JSON object: its text, its type where that is not Avro, its references where it has some.
pub(crate) fn describe(schema: &SchemaText, into: &mut Map<String, Json>) {
    if schema.kind != SchemaKind::Avro {
        into.insert("schemaType".to_owned(), schema.kind.name().into());
    }
    if !schema.references.is_empty() {
        let reference =
            |r: &SchemaReference| json!({"name": r.name, "subject": r.subject, "version": r.version});
        into.insert("references".to_owned(), schema.references.iter().map(reference).collect());
    }
    into.insert("schema".to_owned(), (*schema.text).into());
}

/// A schema out of such members; the error says what is wrong.
pub(crate) fn schema(json: &Json) -> Result<SchemaText, String> {
    let kind = json.get("schemaType").and_then(Json::as_str);
    let kind = SchemaKind::from_name(kind).ok_or_else(|| {
        format!("Invalid schema type {}, valid types are JSON, PROTOBUF and AVRO", kind.unwrap_or_default())
    })?;
    let text = json.get("schema").and_then(Json::as_str).ok_or("Empty schema")?;
    let listed = json.get("references").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    let reference = |json: &Json| {
        Some(SchemaReference {
            name: json.get("name")?.as_str()?.to_owned(),
            subject: json.get("subject")?.as_str()?.to_owned(),
            version: json.get("version")?.as_i64().and_then(|version| i32::try_from(version).ok())?,
        })
    };
    let references: Option<Vec<SchemaReference>> = listed.iter().map(reference).collect();
    let references = references.ok_or("a reference needs name, subject and version")?;
    Ok(SchemaText { kind, text: text.into(), references })
}

/// The same schema as the registry keeps it: JSON without white space, so that layout makes no new version.
pub(crate) fn canonical(schema: &SchemaText) -> SchemaText {
    let text = match schema.kind {
        SchemaKind::Protobuf => schema.text.trim_end().into(),
        SchemaKind::Avro | SchemaKind::Json => match serde_json::from_str::<Json>(&schema.text) {
            Ok(json) => json.to_string().into(),
            Err(_) => schema.text.clone(),
        },
    };
    SchemaText { kind: schema.kind, text, references: schema.references.clone() }
}
