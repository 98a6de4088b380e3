//! Which Protobuf schema can read what another one wrote, by the rules of Confluent's registry: fields are the same by their
//! numbers; types of one wire form may replace one another; a message or a field may come, a message may not go.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::files::{Field, Kind, Message, ProtobufFiles};
use crate::sql::limits::SCHEMA_DEPTH_MAX;

/// Why `reader` cannot read what `writer` wrote; empty where it can.
pub(in crate::sql) fn incompatibilities(reader: &ProtobufFiles, writer: &ProtobufFiles) -> Vec<String> {
    let mut reasons = Vec::new();
    compare(reader, &reader.roots, writer, &writer.roots, 0, &mut reasons);
    reasons
}

fn compare(
    reader: &ProtobufFiles,
    read: &[usize],
    writer: &ProtobufFiles,
    written: &[usize],
    depth: usize,
    reasons: &mut Vec<String>,
) {
    if depth > SCHEMA_DEPTH_MAX {
        return;
    }
    for id in written {
        let Some(before) = writer.message(*id) else { continue };
        let after = read
            .iter()
            .filter_map(|id| reader.message(*id))
            .find(|m| simple(&m.name) == simple(&before.name));
        match after {
            None => {
                reasons.push(format!("message `{}` was written, and is not there to be read", before.name));
            }
            Some(after) => {
                fields(reader, after, writer, before, reasons);
                compare(reader, &after.nested, writer, &before.nested, depth.saturating_add(1), reasons);
            }
        }
    }
}

fn simple(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(_, name)| name)
}

fn fields(
    reader: &ProtobufFiles,
    after: &Message,
    writer: &ProtobufFiles,
    before: &Message,
    reasons: &mut Vec<String>,
) {
    for field in &after.fields {
        let Some(old) = before.fields.iter().find(|old| old.number == field.number) else {
            if field.is_required {
                reasons.push(format!("`{}.{}` is required, and was not written", after.name, field.name));
            }
            continue;
        };
        if group(reader, field) != group(writer, old) {
            reasons
                .push(format!("`{}.{}` has another type than when it was written", after.name, field.name));
        }
        let is_text = matches!(field.kind, Kind::String | Kind::Bytes | Kind::Message(_));
        if field.is_repeated != old.is_repeated && !(is_text && field.is_repeated) {
            reasons.push(format!(
                "`{}.{}` is no longer as often there as when it was written",
                after.name, field.name
            ));
        }
    }
    let lost = before
        .fields
        .iter()
        .find(|old| old.is_required && !after.fields.iter().any(|field| field.number == old.number));
    if let Some(old) = lost {
        reasons.push(format!("`{}.{}` was required, and is gone", before.name, old.name));
    }
}

/// Fields of one group can be read as one another.
fn group(files: &ProtobufFiles, field: &Field) -> String {
    match &field.kind {
        Kind::Int32 | Kind::Uint32 | Kind::Int64 | Kind::Uint64 | Kind::Bool | Kind::Enum(_) => {
            "varint".to_owned()
        }
        Kind::Sint32 | Kind::Sint64 => "zigzag".to_owned(),
        Kind::Fixed32 | Kind::Sfixed32 => "fixed32".to_owned(),
        Kind::Fixed64 | Kind::Sfixed64 => "fixed64".to_owned(),
        Kind::Float => "float".to_owned(),
        Kind::Double => "double".to_owned(),
        Kind::String | Kind::Bytes => "bytes".to_owned(),
        Kind::Message(id) => match files.entry(*id) {
            Some((key, value)) => format!("map {:?} {:?}", key.kind.wire(), value.kind.wire()),
            None => files.message(*id).map_or_else(String::new, |message| simple(&message.name).to_owned()),
        },
        Kind::Named(..) | Kind::Opaque => "opaque".to_owned(),
    }
}
