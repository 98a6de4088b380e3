//! Messages and enums of a `.proto` text and of what it imports.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::descriptor;
use super::parse::Parser;
use crate::sql::limits::SCHEMA_DEPTH_MAX;
use std::collections::BTreeMap;

/// What everybody imports, in our words: the messages that stand for SQL types, and Google's other ones that have fields.
const WELL_KNOWN: &str = r#"
syntax = "proto3";
message google.protobuf.Timestamp { int64 seconds = 1; int32 nanos = 2; }
message google.protobuf.Duration { int64 seconds = 1; int32 nanos = 2; }
message google.protobuf.Empty {}
message google.protobuf.DoubleValue { double value = 1; }
message google.protobuf.FloatValue { float value = 1; }
message google.protobuf.Int64Value { int64 value = 1; }
message google.protobuf.UInt64Value { uint64 value = 1; }
message google.protobuf.Int32Value { int32 value = 1; }
message google.protobuf.UInt32Value { uint32 value = 1; }
message google.protobuf.BoolValue { bool value = 1; }
message google.protobuf.StringValue { string value = 1; }
message google.protobuf.BytesValue { bytes value = 1; }
message google.protobuf.Any { string type_url = 1; bytes value = 2; }
message google.type.Date { int32 year = 1; int32 month = 2; int32 day = 3; }
message google.type.TimeOfDay { int32 hours = 1; int32 minutes = 2; int32 seconds = 3; int32 nanos = 4; }
message confluent.type.Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }
"#;

/// A schema: the messages of a text, and what they use.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::sql) struct ProtobufFiles {
    pub(super) messages: Vec<Message>,
    pub(super) enums: Vec<Enum>,
    /// The messages that stand at the top of the text, in its order.
    pub(super) roots: Vec<usize>,
}

/// A message.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Message {
    /// With its package.
    pub(super) name: String,
    pub(super) fields: Vec<Field>,
    /// Messages that stand inside, in order; those of maps are not among them.
    pub(super) nested: Vec<usize>,
    pub(super) oneofs: Vec<String>,
}

/// An enum: its values by number.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Enum {
    pub(super) name: String,
    pub(super) values: Vec<(i32, String)>,
}

/// A field.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) number: u32,
    pub(super) kind: Kind,
    pub(super) is_repeated: bool,
    /// Whether an absent one can be told from one that is 0.
    pub(super) has_presence: bool,
    pub(super) is_required: bool,
    pub(super) oneof: Option<usize>,
    /// `precision` and `scale` of `(confluent.field_meta)`.
    pub(super) digits: Option<(u8, u8)>,
    /// What an absent one is, where the text says so (proto2).
    pub(super) default: Option<String>,
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
    Enum(usize),
    Message(usize),
    /// A name that is still to be found; the scope that it stands in.
    Named(String, String),
    /// A type of Google's whose text is not here: its values are passed over.
    Opaque,
}

impl Kind {
    pub(super) fn scalar(name: &str) -> Option<Self> {
        Some(match name {
            "double" => Self::Double,
            "float" => Self::Float,
            "int32" => Self::Int32,
            "int64" => Self::Int64,
            "uint32" => Self::Uint32,
            "uint64" => Self::Uint64,
            "sint32" => Self::Sint32,
            "sint64" => Self::Sint64,
            "fixed32" => Self::Fixed32,
            "fixed64" => Self::Fixed64,
            "sfixed32" => Self::Sfixed32,
            "sfixed64" => Self::Sfixed64,
            "bool" => Self::Bool,
            "string" => Self::String,
            "bytes" => Self::Bytes,
            _ => return None,
        })
    }

    /// The wire type of one value.
    pub(super) const fn wire(&self) -> u8 {
        match self {
            Self::Double | Self::Fixed64 | Self::Sfixed64 => 1,
            Self::Float | Self::Fixed32 | Self::Sfixed32 => 5,
            Self::String | Self::Bytes | Self::Message(_) | Self::Named(..) | Self::Opaque => 2,
            _ => 0,
        }
    }
}

impl ProtobufFiles {
    /// Reads a schema; `used` are the texts that it imports, under their paths.
    pub(in crate::sql) fn parse(text: &str, used: &[(&str, &str)]) -> Result<Self, String> {
        let mut files = Self::default();
        Parser::new(&mut files).file(WELL_KNOWN)?;
        let own = ["google/", "confluent/"];
        for (path, text) in used.iter().filter(|(path, _)| !own.iter().any(|own| path.starts_with(own))) {
            files.add(text).map_err(|error| format!("`{path}`: {error}"))?;
        }
        files.roots.clear();
        files.add(text)?;
        files.link()?;
        if files.roots.is_empty() {
            return Err("it has no message".to_owned());
        }
        Ok(files)
    }

    /// Reads one file, a text or a descriptor in Base64.
    fn add(&mut self, text: &str) -> Result<(), String> {
        match descriptor::from_base64(text) {
            Some(bytes) => descriptor::read(&bytes, self),
            None => Parser::new(self).file(text),
        }
    }

    /// Finds what the names of types mean.
    fn link(&mut self) -> Result<(), String> {
        let mut names: BTreeMap<String, Kind> = BTreeMap::new();
        for (id, message) in self.messages.iter().enumerate() {
            names.insert(message.name.clone(), Kind::Message(id));
        }
        for (id, one) in self.enums.iter().enumerate() {
            names.insert(one.name.clone(), Kind::Enum(id));
        }
        for message in &mut self.messages {
            for field in &mut message.fields {
                if let Kind::Named(name, scope) = &field.kind {
                    field.kind = found(&names, name, scope)
                        .ok_or_else(|| format!("field `{}`: there is no type `{name}`", field.name))?;
                }
                if matches!(field.kind, Kind::Message(_) | Kind::Opaque) && !field.is_repeated {
                    field.has_presence = true;
                }
            }
        }
        Ok(())
    }

    pub(super) fn message(&self, id: usize) -> Option<&Message> {
        self.messages.get(id)
    }

    /// The message that the indexes before a value name: one at the top, one inside it, and so on.
    pub(in crate::sql) fn message_at(&self, indexes: &[i32]) -> Option<usize> {
        let (first, rest) = indexes.split_first()?;
        let mut found = *self.roots.get(usize::try_from(*first).ok()?)?;
        for index in rest {
            found = *self.message(found)?.nested.get(usize::try_from(*index).ok()?)?;
        }
        Some(found)
    }

    /// The message of this name, with or without its package, and the indexes that name it; the first one without a name.
    pub(super) fn message_named(&self, name: Option<&str>) -> Option<(usize, Vec<i32>)> {
        let Some(name) = name else { return Some((*self.roots.first()?, vec![0])) };
        self.search(&self.roots, name, &mut Vec::new())
    }

    fn search(&self, among: &[usize], name: &str, path: &mut Vec<i32>) -> Option<(usize, Vec<i32>)> {
        if path.len() > SCHEMA_DEPTH_MAX {
            return None;
        }
        for (index, id) in among.iter().enumerate() {
            let message = self.message(*id)?;
            path.push(i32::try_from(index).ok()?);
            if message.name == name || message.name.rsplit_once('.').is_some_and(|(_, last)| last == name) {
                return Some((*id, path.clone()));
            }
            if let Some(found) = self.search(&message.nested, name, path) {
                return Some(found);
            }
            path.pop();
        }
        None
    }

    /// The key and value of a message that is an entry of a map: of `map<…>`, or of the form that Kafka Connect writes.
    pub(super) fn entry(&self, id: usize) -> Option<(&Field, &Field)> {
        let message = self.message(id)?;
        match message.fields.as_slice() {
            [key, value] if message.name.ends_with("Entry") && key.name == "key" && value.name == "value" => {
                Some((key, value))
            }
            _ => None,
        }
    }

    /// The field inside one of Google's wrappers.
    pub(super) fn wrapped(&self, id: usize) -> Option<&Field> {
        let message = self.message(id)?;
        let name = message.name.strip_prefix("google.protobuf.")?;
        name.ends_with("Value").then(|| message.fields.first()).flatten()
    }
}

/// The type that `name` means inside `scope`: the innermost one counts.
fn found(names: &BTreeMap<String, Kind>, name: &str, scope: &str) -> Option<Kind> {
    if let Some(absolute) = name.strip_prefix('.') {
        return names.get(absolute).cloned().or_else(|| opaque(absolute));
    }
    let mut scope = scope;
    loop {
        let full = if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") };
        if let Some(kind) = names.get(&full) {
            return Some(kind.clone());
        }
        if scope.is_empty() {
            return opaque(name);
        }
        scope = scope.rsplit_once('.').map_or("", |(outer, _)| outer);
    }
}

fn opaque(name: &str) -> Option<Kind> {
    (name.starts_with("google.") || name.starts_with("confluent.")).then_some(Kind::Opaque)
}
