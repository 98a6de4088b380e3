//! Which schema can read what another one wrote: Avro 1.12, "Schema Resolution".
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::schema::{AvroSchema, Node};
use super::steps::branch_name;
use crate::sql::limits::{SCHEMA_DEPTH_MAX, SCHEMA_NODES_MAX};
use std::collections::BTreeSet;

/// How many reasons are told.
const REASONS_MAX: usize = 20;

struct Comparison<'s> {
    reader: &'s AvroSchema,
    writer: &'s AvroSchema,
    /// Pairs that are being compared, or have been: a recursive type is compared once.
    seen: BTreeSet<(usize, usize)>,
    reasons: Vec<String>,
    /// How many more pairs are compared.
    left: usize,
}

/// Why `reader` cannot read what `writer` wrote; empty where it can.
pub(in crate::sql) fn incompatibilities(reader: &AvroSchema, writer: &AvroSchema) -> Vec<String> {
    let mut comparison =
        Comparison { reader, writer, seen: BTreeSet::new(), reasons: Vec::new(), left: SCHEMA_NODES_MAX };
    comparison.compare(reader.root, writer.root, "", 0);
    comparison.reasons
}

impl Comparison<'_> {
    fn reason(&mut self, path: &str, text: &str) {
        if self.reasons.len() < REASONS_MAX {
            let at = if path.is_empty() { "/" } else { path };
            self.reasons.push(format!("{at}: {text}"));
        }
    }

    /// Whether a value of the writer's type is one of the reader's, without telling why not.
    fn matches(&mut self, reader: usize, writer: usize, path: &str, depth: usize) -> bool {
        let mut trial = Comparison {
            reader: self.reader,
            writer: self.writer,
            seen: self.seen.clone(),
            reasons: Vec::new(),
            left: self.left,
        };
        trial.compare(reader, writer, path, depth);
        self.left = trial.left;
        trial.reasons.is_empty()
    }

    fn compare(&mut self, reader: usize, writer: usize, path: &str, depth: usize) {
        if depth > SCHEMA_DEPTH_MAX || !self.seen.insert((reader, writer)) {
            return;
        }
        if self.left == 0 {
            return self.reason(path, "the schemas are too large to be compared");
        }
        self.left = self.left.saturating_sub(1);
        let below = depth.saturating_add(1);
        let (read, written) = (self.reader, self.writer);
        match (read.node(reader), written.node(writer)) {
            (_, Node::Union(branches)) => {
                for branch in branches {
                    self.compare(reader, *branch, path, below);
                }
            }
            (Node::Union(branches), _) => {
                if !branches.iter().any(|branch| self.matches(*branch, writer, path, below)) {
                    let found = type_name(written.node(writer));
                    self.reason(path, &format!("the union to read with has no branch for {found}"));
                }
            }
            (Node::Array(reader), Node::Array(writer)) | (Node::Map(reader), Node::Map(writer)) => {
                self.compare(*reader, *writer, &format!("{path}/items"), below);
            }
            (Node::Record { .. }, Node::Record { .. }) => self.records(reader, writer, path, below),
            (Node::Enum { .. }, Node::Enum { .. }) => self.enums(reader, writer, path),
            (a, b) => {
                if !promotes(b, a) {
                    self.reason(
                        path,
                        &format!("{} was written, {} is to be read", type_name(b), type_name(a)),
                    );
                }
            }
        }
    }

    fn records(&mut self, reader: usize, writer: usize, path: &str, depth: usize) {
        let (read, written) = (self.reader, self.writer);
        let Node::Record { name, aliases, fields, .. } = read.node(reader) else { return };
        let Node::Record { name: other, fields: others, .. } = written.node(writer) else { return };
        if !same_type_name(name, aliases, other) {
            self.reason(path, &format!("record `{other}` was written, `{name}` is to be read"));
        }
        for field in fields {
            let at = format!("{path}/{}", field.name);
            let known =
                others.iter().find(|other| other.name == field.name || field.aliases.contains(&other.name));
            match known {
                Some(other) => self.compare(field.node, other.node, &at, depth),
                None if field.default.is_none() => {
                    self.reason(&at, "the field to read has no default, and was not written");
                }
                None => {}
            }
        }
    }

    fn enums(&mut self, reader: usize, writer: usize, path: &str) {
        let (read, written) = (self.reader, self.writer);
        let Node::Enum { name, symbols, default } = read.node(reader) else { return };
        let Node::Enum { name: other, symbols: others, .. } = written.node(writer) else { return };
        if !same_type_name(name, &[], other) {
            self.reason(path, &format!("enum `{other}` was written, `{name}` is to be read"));
        }
        let missing: Vec<&str> =
            others.iter().filter(|symbol| !symbols.contains(symbol)).map(String::as_str).collect();
        if default.is_none() && !missing.is_empty() {
            self.reason(path, &format!("the enum to read with lacks {}", missing.join(", ")));
        }
    }
}

/// Names match without their namespaces, as the specification has it since 1.9 and its Java library does.
fn same_type_name(reader: &str, aliases: &[String], writer: &str) -> bool {
    let simple = |name: &str| name.rsplit_once('.').map_or(name, |(_, name)| name).to_owned();
    simple(reader) == simple(writer)
        || aliases.iter().any(|alias| alias == writer || *alias == simple(writer))
}

/// A type as a schema names it.
fn type_name(node: &Node) -> String {
    match node {
        Node::Decimal { precision, scale, .. } => format!("decimal({precision}, {scale})"),
        Node::Fixed { name, .. } | Node::Enum { name, .. } | Node::Record { name, .. } => format!("`{name}`"),
        other => branch_name(other).to_owned(),
    }
}

/// The primitive type beneath.
const fn primitive(node: &Node) -> &Node {
    match node {
        Node::Date | Node::TimeMillis => &Node::Int,
        Node::TimeMicros | Node::Timestamp { .. } => &Node::Long,
        Node::Decimal { size: None, .. } => &Node::Bytes,
        other => other,
    }
}

fn promotes(writer: &Node, reader: &Node) -> bool {
    if let (
        Node::Decimal { precision, scale, size },
        Node::Decimal { precision: other_precision, scale: other_scale, size: other_size },
    ) = (writer, reader)
    {
        return scale == other_scale
            && precision <= other_precision
            && size.is_some() == other_size.is_some();
    }
    if let (Node::Fixed { name, size }, Node::Fixed { name: other, size: other_size }) = (writer, reader) {
        return size == other_size && same_type_name(other, &[], name);
    }
    matches!(
        (primitive(writer), primitive(reader)),
        (Node::Null, Node::Null)
            | (Node::Boolean, Node::Boolean)
            | (Node::Int, Node::Int | Node::Long | Node::Float | Node::Double)
            | (Node::Long, Node::Long | Node::Float | Node::Double)
            | (Node::Float, Node::Float | Node::Double)
            | (Node::Double, Node::Double)
            | (Node::String | Node::Bytes, Node::String | Node::Bytes)
    )
}
