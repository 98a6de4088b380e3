//! Avro schemas: their JSON read into a graph of nodes, named types by reference.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use crate::sql::limits::{SCHEMA_DEPTH_MAX, SCHEMA_NODES_MAX};
use serde_json::{Map, Value as Json};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Deref;

/// A schema. Types refer to one another by number, so that a recursive one is finite.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sql) struct AvroSchema {
    pub(super) nodes: Vec<Node>,
    pub(super) root: usize,
}

/// One type.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Date,
    TimeMillis,
    /// A logical type over `long`: what it counts, and how many of it make a millisecond.
    TimeMicros,
    Timestamp {
        per_ms: i64,
    },
    Decimal {
        precision: u8,
        scale: u8,
        /// The length where it stands in a `fixed`, else it stands in `bytes`.
        size: Option<usize>,
    },
    Fixed {
        name: String,
        size: usize,
    },
    Enum {
        name: String,
        symbols: Vec<String>,
        default: Option<String>,
    },
    Array(usize),
    Map(usize),
    Union(Vec<usize>),
    Record {
        name: String,
        aliases: Vec<String>,
        fields: Vec<RecordField>,
        /// Whether it is an entry of a map whose keys are no plain text (Kafka Connect's `MapEntry`).
        is_entry: bool,
    },
}

/// A field of a record.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RecordField {
    pub(super) name: String,
    pub(super) aliases: Vec<String>,
    pub(super) node: usize,
    pub(super) default: Option<Json>,
}

/// A schema that is being walked with a limit on the steps: a few types that refer to one another often can mean more
/// columns than memory holds.
#[derive(Debug)]
pub(super) struct Walk<'s> {
    schema: &'s AvroSchema,
    left: Cell<usize>,
}

impl<'s> Walk<'s> {
    pub(super) const fn new(schema: &'s AvroSchema) -> Self {
        Self { schema, left: Cell::new(SCHEMA_NODES_MAX) }
    }

    /// Takes one step; `false` where there is none left.
    pub(super) fn step(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }
}

impl Deref for Walk<'_> {
    type Target = AvroSchema;

    fn deref(&self) -> &AvroSchema {
        self.schema
    }
}

impl AvroSchema {
    /// Reads a schema; `used` are the texts of schemas whose names it may use.
    pub(in crate::sql) fn parse(text: &str, used: &[&str]) -> Result<Self, String> {
        let mut parser = Parser { nodes: Vec::new(), names: BTreeMap::new() };
        // A schema may use names of any other one, so they are tried until no more of them can be read.
        let mut waiting: Vec<&str> = used.to_vec();
        while !waiting.is_empty() {
            let before = waiting.len();
            waiting.retain(|text| {
                let mut attempt = Parser { nodes: parser.nodes.clone(), names: parser.names.clone() };
                let read = json(text).and_then(|json| attempt.node(&json, "", 0));
                if read.is_ok() {
                    parser = attempt;
                }
                read.is_err()
            });
            if waiting.len() == before {
                break;
            }
        }
        let root = parser.node(&json(text)?, "", 0)?;
        Ok(Self { nodes: parser.nodes, root })
    }

    /// Whether its values are records, or null.
    pub(in crate::sql) fn is_record(&self) -> bool {
        let is_record = |id: usize| matches!(self.node(id), Node::Record { is_entry: false, .. });
        match self.node(self.root) {
            Node::Union(branches) => {
                let mut others = branches.iter().filter(|id| !matches!(self.node(**id), Node::Null));
                others.next().is_some_and(|id| is_record(*id)) && others.next().is_none()
            }
            _ => is_record(self.root),
        }
    }

    pub(super) fn node(&self, id: usize) -> &Node {
        self.nodes.get(id).unwrap_or(&Node::Null)
    }
}

fn json(text: &str) -> Result<Json, String> {
    match serde_json::from_str(text) {
        Ok(json) => Ok(json),
        // The name of a primitive type may stand without quotes.
        Err(_) if primitive(text.trim()).is_some() => Ok(Json::String(text.trim().to_owned())),
        Err(error) => Err(format!("no JSON: {error}")),
    }
}

struct Parser {
    nodes: Vec<Node>,
    names: BTreeMap<String, usize>,
}

fn primitive(name: &str) -> Option<Node> {
    Some(match name {
        "null" => Node::Null,
        "boolean" => Node::Boolean,
        "int" => Node::Int,
        "long" => Node::Long,
        "float" => Node::Float,
        "double" => Node::Double,
        "bytes" => Node::Bytes,
        "string" => Node::String,
        _ => return None,
    })
}

/// Whether Avro allows it as a name, or as one part of one.
pub(super) fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl Parser {
    fn add(&mut self, node: Node) -> Result<usize, String> {
        if self.nodes.len() >= SCHEMA_NODES_MAX {
            return Err(format!("it has more than {SCHEMA_NODES_MAX} types"));
        }
        self.nodes.push(node);
        Ok(self.nodes.len().saturating_sub(1))
    }

    fn node(&mut self, json: &Json, namespace: &str, depth: usize) -> Result<usize, String> {
        if depth > SCHEMA_DEPTH_MAX {
            return Err(format!("it is nested more than {SCHEMA_DEPTH_MAX} deep"));
        }
        let below = depth.saturating_add(1);
        match json {
            Json::String(name) => match primitive(name) {
                Some(node) => self.add(node),
                None => self.known(name, namespace),
            },
            Json::Array(branches) => {
                let mut nodes = Vec::with_capacity(branches.len());
                for branch in branches {
                    nodes.push(self.node(branch, namespace, below)?);
                }
                if nodes.is_empty() {
                    return Err("a union has no branch".to_owned());
                }
                let nested = |id: &usize| matches!(self.nodes.get(*id), Some(Node::Union(_)));
                if nodes.iter().any(nested) {
                    return Err("a union stands directly in a union".to_owned());
                }
                self.add(Node::Union(nodes))
            }
            Json::Object(object) => self.object(object, namespace, below),
            _ => Err(format!("`{json}` is no type")),
        }
    }

    fn known(&self, name: &str, namespace: &str) -> Result<usize, String> {
        let full = full_name(name, namespace);
        let found = self.names.get(&full).or_else(|| self.names.get(name));
        found.copied().ok_or_else(|| format!("there is no type `{full}`"))
    }

    fn object(&mut self, object: &Map<String, Json>, namespace: &str, depth: usize) -> Result<usize, String> {
        let kind = object.get("type").ok_or("a type has no `type`")?;
        let Json::String(kind) = kind else { return self.node(kind, namespace, depth) };
        match kind.as_str() {
            "record" | "error" => self.record(object, namespace, depth),
            "enum" => {
                let (name, _) = self.name(object, namespace)?;
                let symbols = texts(object.get("symbols"));
                if symbols.is_empty() {
                    return Err(format!("enum `{name}` has no symbols"));
                }
                let default = object.get("default").and_then(Json::as_str).map(str::to_owned);
                self.named(Node::Enum { name: name.clone(), symbols, default }, name)
            }
            "fixed" => {
                let (name, _) = self.name(object, namespace)?;
                let size =
                    object.get("size").and_then(Json::as_u64).and_then(|size| usize::try_from(size).ok());
                let size = size.ok_or_else(|| format!("fixed `{name}` has no size"))?;
                let node = match decimal(object, Some(size)) {
                    Some(decimal) => decimal,
                    None => Node::Fixed { name: name.clone(), size },
                };
                self.named(node, name)
            }
            "array" => {
                let items = object.get("items").ok_or("an array has no `items`")?;
                let items = self.node(items, namespace, depth)?;
                self.add(Node::Array(items))
            }
            "map" => {
                let values = object.get("values").ok_or("a map has no `values`")?;
                let values = self.node(values, namespace, depth)?;
                self.add(Node::Map(values))
            }
            simple => match primitive(simple) {
                Some(node) => self.add(logical(node, object)),
                None => self.known(simple, namespace),
            },
        }
    }

    fn record(&mut self, object: &Map<String, Json>, namespace: &str, depth: usize) -> Result<usize, String> {
        let (name, inner) = self.name(object, namespace)?;
        let is_entry = object.get("connect.internal.type").and_then(Json::as_str) == Some("MapEntry")
            || name == "io.confluent.connect.avro.MapEntry";
        let aliases = texts(object.get("aliases")).iter().map(|alias| full_name(alias, &inner)).collect();
        let record = |fields| Node::Record { name: name.clone(), aliases, fields, is_entry };
        // Its fields may name it, so its number comes first.
        let id = self.named(Node::Null, name.clone())?;
        let listed = object.get("fields").and_then(Json::as_array);
        let listed = listed.ok_or_else(|| format!("record `{name}` has no fields"))?;
        let mut fields: Vec<RecordField> = Vec::with_capacity(listed.len());
        for field in listed {
            let field_name = field.get("name").and_then(Json::as_str).unwrap_or_default();
            if !is_name(field_name) {
                return Err(format!("`{field_name}` is no name of a field of record `{name}`"));
            }
            if fields.iter().any(|known| known.name == field_name) {
                return Err(format!("record `{name}` has two fields `{field_name}`"));
            }
            let kind = field.get("type").ok_or_else(|| format!("field `{field_name}` has no type"))?;
            fields.push(RecordField {
                name: field_name.to_owned(),
                aliases: texts(field.get("aliases")),
                node: self.node(kind, &inner, depth)?,
                default: field.get("default").cloned(),
            });
        }
        if let Some(place) = self.nodes.get_mut(id) {
            *place = record(fields);
        }
        Ok(id)
    }

    /// A type's full name, and the namespace inside it.
    fn name(&self, object: &Map<String, Json>, namespace: &str) -> Result<(String, String), String> {
        let name = object.get("name").and_then(Json::as_str).ok_or("a named type has no name")?;
        let namespace = object.get("namespace").and_then(Json::as_str).unwrap_or(namespace);
        let full = full_name(name, namespace);
        if !full.split('.').all(is_name) {
            return Err(format!("`{full}` is no name"));
        }
        if primitive(&full).is_some() || self.names.contains_key(&full) {
            return Err(format!("the name `{full}` is taken"));
        }
        let inner = full.rsplit_once('.').map_or(String::new(), |(namespace, _)| namespace.to_owned());
        Ok((full, inner))
    }

    fn named(&mut self, node: Node, name: String) -> Result<usize, String> {
        let id = self.add(node)?;
        self.names.insert(name, id);
        Ok(id)
    }
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

fn texts(json: Option<&Json>) -> Vec<String> {
    let listed = json.and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    listed.iter().filter_map(Json::as_str).map(str::to_owned).collect()
}

/// A primitive type with its logical one, where it is known; else, as the specification demands, without.
fn logical(node: Node, object: &Map<String, Json>) -> Node {
    let logical = object.get("logicalType").and_then(Json::as_str);
    // Kafka Connect's converter names its types so where it writes no logical one.
    let connect = object.get("connect.name").and_then(Json::as_str);
    match (&node, logical, connect) {
        (Node::Int, Some("date"), _) | (Node::Int, None, Some("org.apache.kafka.connect.data.Date")) => {
            Node::Date
        }
        (Node::Int, Some("time-millis"), _)
        | (Node::Int, None, Some("org.apache.kafka.connect.data.Time")) => Node::TimeMillis,
        (Node::Long, Some("time-micros"), _) => Node::TimeMicros,
        (Node::Long, Some("timestamp-millis" | "local-timestamp-millis"), _)
        | (Node::Long, None, Some("org.apache.kafka.connect.data.Timestamp")) => {
            Node::Timestamp { per_ms: 1 }
        }
        (Node::Long, Some("timestamp-micros" | "local-timestamp-micros"), _) => {
            Node::Timestamp { per_ms: 1_000 }
        }
        (Node::Long, Some("timestamp-nanos" | "local-timestamp-nanos"), _) => {
            Node::Timestamp { per_ms: 1_000_000 }
        }
        (Node::Bytes, Some("decimal"), _) => decimal(object, None).unwrap_or(node),
        _ => node,
    }
}

fn decimal(object: &Map<String, Json>, size: Option<usize>) -> Option<Node> {
    if object.get("logicalType").and_then(Json::as_str) != Some("decimal") {
        return None;
    }
    let number = |name: &str| object.get(name).and_then(Json::as_u64).and_then(|v| u8::try_from(v).ok());
    let scale = number("scale").unwrap_or(0);
    // Kafka Connect writes 64 where it does not know.
    let precision = number("precision")?;
    (precision > 0 && scale <= precision).then_some(Node::Decimal { precision, scale, size })
}
