//! Schemas as clients other than Java's register them: a `FileDescriptorProto` (descriptor.proto) in Base64 instead of a text.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::files::{Enum, Field, Kind, Message, ProtobufFiles};
use super::read::{length, pass_over, tag};
use crate::sql::binary::Bytes;
use crate::sql::limits::{SCHEMA_DEPTH_MAX, SCHEMA_NODES_MAX};
use base64::Engine as _;

/// The bytes of a descriptor, where a schema's text is one.
pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    let text = text.trim();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text.chars().all(is_base64).then_some(text)?)
        .ok()?;
    // Every file has a name, the first field.
    (bytes.first() == Some(&0x0a)).then_some(bytes)
}

/// Adds what a descriptor has; what stands at its top becomes roots.
pub(super) fn read(bytes: &[u8], files: &mut ProtobufFiles) -> Result<(), String> {
    file(bytes, files).map_err(|error| match error {
        Fault::Words(words) => words,
        Fault::Bytes => "the descriptor breaks off".to_owned(),
    })
}

/// What can be wrong with a descriptor.
enum Fault {
    Bytes,
    Words(String),
}

impl From<crate::sql::DecodeError> for Fault {
    fn from(_: crate::sql::DecodeError) -> Self {
        Self::Bytes
    }
}

/// A field of a descriptor.
enum Part<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Part<'a> {
    const fn bytes(&self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Number(_) => &[],
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    fn number(&self) -> u64 {
        if let Self::Number(number) = self { *number } else { 0 }
    }
}

/// The fields of a message, numbers and bytes alone.
fn parts(bytes: &[u8]) -> Result<Vec<(u32, Part<'_>)>, Fault> {
    let mut input = Bytes::new(bytes);
    let mut found = Vec::new();
    while input.left() > 0 {
        let (number, wire) = tag(&mut input)?;
        match wire {
            0 => found.push((number, Part::Number(input.varint()?))),
            2 => found.push((number, Part::Bytes(length(&mut input)?))),
            _ => pass_over(&mut input, number, wire, 0)?,
        }
    }
    Ok(found)
}

fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}

fn file(bytes: &[u8], files: &mut ProtobufFiles) -> Result<(), Fault> {
    let parts = parts(bytes)?;
    let text = |wanted: u32| parts.iter().find(|(number, _)| *number == wanted).map(|(_, part)| part.text());
    let package = text(2).unwrap_or_default();
    let syntax = text(12).unwrap_or_default();
    if !matches!(syntax.as_str(), "" | "proto2" | "proto3") {
        return Err(Fault::Words("it has editions; proto2 and proto3 can be read".to_owned()));
    }
    let is_proto3 = syntax == "proto3";
    for (number, part) in &parts {
        match number {
            4 => {
                let (id, _) = message(part.bytes(), &package, is_proto3, files, 0)?;
                files.roots.push(id);
            }
            5 => one_enum(part.bytes(), &package, files)?,
            _ => {}
        }
    }
    Ok(())
}

/// Adds a message; says its number, and whether it is an entry of a `map<…>`.
fn message(
    bytes: &[u8],
    scope: &str,
    is_proto3: bool,
    files: &mut ProtobufFiles,
    depth: usize,
) -> Result<(usize, bool), Fault> {
    if depth > SCHEMA_DEPTH_MAX || files.messages.len() >= SCHEMA_NODES_MAX {
        return Err(Fault::Words("it has too many messages".to_owned()));
    }
    let parts = parts(bytes)?;
    let name = parts.iter().find(|(number, _)| *number == 1).map(|(_, part)| part.text()).unwrap_or_default();
    let name = join(scope, &name);
    let id = files.messages.len();
    let mut made = Message { name: name.clone(), fields: Vec::new(), nested: Vec::new(), oneofs: Vec::new() };
    files.messages.push(made.clone());
    let mut is_entry = false;
    let mut synthetic = Vec::new();
    for (number, part) in &parts {
        match number {
            2 => {
                let (field, is_optional) = field(part.bytes(), &name, is_proto3)?;
                // proto3's `optional` is described as a oneof of one field.
                if is_optional {
                    synthetic.extend(field.oneof);
                }
                made.fields.push(Field { oneof: field.oneof.filter(|_| !is_optional), ..field });
            }
            3 => {
                let (inner, is_entry) =
                    message(part.bytes(), &name, is_proto3, files, depth.saturating_add(1))?;
                if !is_entry {
                    made.nested.push(inner);
                }
            }
            4 => one_enum(part.bytes(), &name, files)?,
            7 => {
                is_entry = self::parts(part.bytes())?
                    .iter()
                    .any(|(number, part)| *number == 7 && part.number() == 1);
            }
            8 => {
                let oneof = self::parts(part.bytes())?;
                made.oneofs.push(oneof.first().map(|(_, part)| part.text()).unwrap_or_default());
            }
            _ => {}
        }
    }
    // Those of `optional` stand behind the others, so that the places of these stay.
    let kept = (0..made.oneofs.len()).filter(|place| !synthetic.contains(place)).count();
    made.oneofs.truncate(kept);
    if let Some(place) = files.messages.get_mut(id) {
        *place = made;
    }
    Ok((id, is_entry))
}

fn field(bytes: &[u8], scope: &str, is_proto3: bool) -> Result<(Field, bool), Fault> {
    let parts = parts(bytes)?;
    let part = |wanted: u32| parts.iter().find(|(number, _)| *number == wanted).map(|(_, part)| part);
    let number = |wanted: u32| part(wanted).map(Part::number);
    let name = part(1).map(Part::text).unwrap_or_default();
    let kinds = [
        "double", "float", "int64", "uint64", "int32", "fixed64", "fixed32", "bool", "string", "group",
        "message", "bytes", "uint32", "enum", "sfixed32", "sfixed64", "sint32", "sint64",
    ];
    let place = number(5).and_then(|kind| usize::try_from(kind.checked_sub(1)?).ok());
    let kind = place.and_then(|place| kinds.get(place)).copied().unwrap_or_default();
    let kind = match (Kind::scalar(kind), kind) {
        (Some(scalar), _) => scalar,
        (None, "message" | "enum") => {
            Kind::Named(part(6).map(Part::text).unwrap_or_default(), scope.to_owned())
        }
        (None, other) => return Err(Fault::Words(format!("field `{name}` is of kind `{other}`"))),
    };
    let is_repeated = number(4) == Some(3);
    let is_optional = number(17) == Some(1);
    let oneof = number(9).and_then(|place| usize::try_from(place).ok());
    let made = Field {
        number: number(3).and_then(|number| u32::try_from(number).ok()).unwrap_or(0),
        kind,
        is_repeated,
        has_presence: !is_repeated && (oneof.is_some() || is_optional || !is_proto3),
        is_required: number(4) == Some(2),
        oneof,
        digits: match part(8) {
            Some(options) => digits(options.bytes())?,
            None => None,
        },
        default: part(7).map(Part::text),
        name,
    };
    Ok((made, is_optional))
}

/// `precision` and `scale` among the `params` (2) of `(confluent.field_meta)` (1088): a map of texts.
fn digits(options: &[u8]) -> Result<Option<(u8, u8)>, Fault> {
    let (mut precision, mut scale) = (None, 0);
    for (_, meta) in parts(options)?.iter().filter(|(number, _)| *number == 1_088) {
        for (_, entry) in parts(meta.bytes())?.iter().filter(|(number, _)| *number == 2) {
            let entry = parts(entry.bytes())?;
            let text =
                |wanted: u32| entry.iter().find(|(number, _)| *number == wanted).map(|(_, part)| part.text());
            let value = text(2).and_then(|value| value.parse().ok());
            match text(1).as_deref() {
                Some("precision") => precision = value,
                Some("scale") => scale = value.unwrap_or(0),
                _ => {}
            }
        }
    }
    Ok(precision.map(|precision| (precision, scale)))
}

fn one_enum(bytes: &[u8], scope: &str, files: &mut ProtobufFiles) -> Result<(), Fault> {
    if files.enums.len() >= SCHEMA_NODES_MAX {
        return Err(Fault::Words("it has too many enums".to_owned()));
    }
    let mut made = Enum { name: String::new(), values: Vec::new() };
    for (number, part) in parts(bytes)? {
        match number {
            1 => made.name = join(scope, &part.text()),
            2 => {
                let value = parts(part.bytes())?;
                let find =
                    |wanted: u32| value.iter().find(|(number, _)| *number == wanted).map(|(_, part)| part);
                let low = find(2).map_or(0, Part::number) & 0xffff_ffff;
                let number = i32::from_ne_bytes(u32::try_from(low).unwrap_or(0).to_ne_bytes());
                made.values.push((number, find(1).map(Part::text).unwrap_or_default()));
            }
            _ => {}
        }
    }
    files.enums.push(made);
    Ok(())
}
