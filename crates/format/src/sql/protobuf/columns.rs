//! The columns of a message, and the message of columns, as ksqlDB and Kafka Connect's converter have them.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use super::files::{Field, Kind, ProtobufFiles};
use crate::sql::limits::{SCHEMA_DEPTH_MAX, SCHEMA_NODES_MAX};
use crate::sql::{Columns, LayoutError, Nullable, SqlType};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt::Write as _;

impl ProtobufFiles {
    /// The columns of the message of this name, else of the first one. Fields of types that SQL does not have are left out.
    pub(in crate::sql) fn columns(
        &self,
        name: Option<&str>,
        nullable: Nullable,
        keep_case: bool,
    ) -> Result<Columns, LayoutError> {
        let (message, _) = self.message_named(name).ok_or_else(|| {
            LayoutError::new(format!("the schema has no message `{}`", name.unwrap_or("?")))
        })?;
        let fields = self.fields(message, nullable, keep_case, &Cell::new(SCHEMA_NODES_MAX), 0);
        Ok(fields.into_iter().map(|(name, sql_type)| (name.into(), sql_type)).collect())
    }

    fn fields(
        &self,
        message: usize,
        nullable: Nullable,
        keep_case: bool,
        left: &Cell<usize>,
        depth: usize,
    ) -> Vec<(String, SqlType)> {
        let Some(message) = self.message(message).filter(|_| depth <= SCHEMA_DEPTH_MAX) else {
            return Vec::new();
        };
        let cased = |name: &str| if keep_case { name.to_owned() } else { name.to_uppercase() };
        let of =
            |field: &Field| Some((cased(&field.name), self.column(field, nullable, keep_case, left, depth)?));
        let mut found: Vec<(String, SqlType)> = Vec::new();
        for (index, oneof) in message.oneofs.iter().enumerate() {
            let fields: Vec<_> =
                message.fields.iter().filter(|f| f.oneof == Some(index)).filter_map(of).collect();
            if !fields.is_empty() {
                let fields = fields.iter().map(|(name, sql_type)| (name.as_str(), *sql_type));
                found.push((cased(&format!("{oneof}_{index}")), SqlType::structure(fields)));
            }
        }
        found.extend(message.fields.iter().filter(|field| field.oneof.is_none()).filter_map(of));
        let mut names = BTreeSet::new();
        found.retain(|(name, _)| names.insert(name.clone()));
        found
    }

    fn column(
        &self,
        field: &Field,
        nullable: Nullable,
        keep_case: bool,
        left: &Cell<usize>,
        depth: usize,
    ) -> Option<SqlType> {
        let below = depth.saturating_add(1);
        left.set(left.get().checked_sub(1)?);
        if field.is_repeated {
            if let Kind::Message(id) = field.kind
                && let Some((_, value)) = self.entry(id)
            {
                return Some(SqlType::map(
                    SqlType::Varchar,
                    self.column(value, nullable, keep_case, left, below)?,
                ));
            }
            return Some(SqlType::array(self.one(field, nullable, keep_case, left, below)?));
        }
        self.one(field, nullable, keep_case, left, below)
    }

    fn one(
        &self,
        field: &Field,
        nullable: Nullable,
        keep_case: bool,
        left: &Cell<usize>,
        depth: usize,
    ) -> Option<SqlType> {
        Some(match &field.kind {
            Kind::Bool => SqlType::Boolean,
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => SqlType::Int,
            Kind::Int64
            | Kind::Sint64
            | Kind::Sfixed64
            | Kind::Uint32
            | Kind::Uint64
            | Kind::Fixed32
            | Kind::Fixed64 => SqlType::BigInt,
            Kind::Float | Kind::Double => SqlType::Double,
            Kind::String | Kind::Enum(_) => SqlType::Varchar,
            Kind::Bytes => SqlType::Bytes,
            Kind::Named(..) | Kind::Opaque => return None,
            Kind::Message(id) => match self.message(*id)?.name.as_str() {
                "google.protobuf.Timestamp" => SqlType::Timestamp,
                "google.type.Date" => SqlType::Date,
                "google.type.TimeOfDay" => SqlType::Time,
                "confluent.type.Decimal" => {
                    let (precision, scale) = field.digits?;
                    let is_type =
                        (1..=crate::sql::Decimal::PRECISION_MAX).contains(&precision) && scale <= precision;
                    is_type.then_some(SqlType::Decimal { precision, scale })?
                }
                _ => match self.wrapped(*id) {
                    Some(inner) if nullable == Nullable::Wrapper => {
                        self.one(inner, nullable, keep_case, left, depth.saturating_add(1))?
                    }
                    _ => {
                        let fields = self.fields(*id, nullable, keep_case, left, depth);
                        if fields.is_empty() {
                            return None;
                        }
                        SqlType::structure(fields.iter().map(|(name, sql_type)| (name.as_str(), *sql_type)))
                    }
                },
            },
        })
    }
}

/// Writes the text of a schema: messages without a name are numbered as they are met.
struct Writer {
    imports: BTreeSet<&'static str>,
    nullable: Nullable,
    last: usize,
}

/// The message of these columns.
pub(in crate::sql) fn schema_text(
    columns: &Columns,
    nullable: Nullable,
    full_name: Option<&str>,
) -> Result<String, LayoutError> {
    let full_name = full_name.unwrap_or("ConnectDefault1");
    if !full_name.split('.').all(is_name) {
        return Err(LayoutError::new(format!("`{full_name}` is no name that Protobuf allows for a message"))
            .help("Protobuf's names have letters, digits and `_`, with `.` between the parts: `com.acme.Reading`"));
    }
    let (package, name) = full_name.rsplit_once('.').unwrap_or(("", full_name));
    let mut writer = Writer { imports: BTreeSet::new(), nullable, last: 1 };
    let fields: Vec<(&str, SqlType)> = columns.iter().map(|(n, t)| (&**n, *t)).collect();
    let mut body = String::new();
    writer.message(name, &fields, 0, &mut body)?;
    let mut text = String::from("syntax = \"proto3\";\n");
    if !package.is_empty() {
        let _ = writeln!(text, "package {package};");
    }
    text.push('\n');
    for import in &writer.imports {
        let _ = writeln!(text, "import \"{import}\";");
    }
    if !writer.imports.is_empty() {
        text.push('\n');
    }
    text.push_str(&body);
    Ok(text)
}

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl Writer {
    fn message(
        &mut self,
        name: &str,
        fields: &[(&str, SqlType)],
        depth: usize,
        out: &mut String,
    ) -> Result<(), LayoutError> {
        if depth > SCHEMA_DEPTH_MAX {
            return Err(LayoutError::new(format!("columns are nested more than {SCHEMA_DEPTH_MAX} deep")));
        }
        let indent = "  ".repeat(depth);
        let mut nested = String::new();
        let _ = writeln!(out, "{indent}message {name} {{");
        for (number, (field, sql_type)) in (1_u32..).zip(fields) {
            if !is_name(field) {
                return Err(LayoutError::new(format!("PROTOBUF cannot name a field `{field}`")).help(
                    "its names begin with a letter and go on with letters, digits and `_`; give it another name with AS",
                ));
            }
            let (kind, label, options) = self.field(field, *sql_type, depth, &mut nested)?;
            let _ = writeln!(out, "{indent}  {label}{kind} {field} = {number}{options};");
        }
        if !nested.is_empty() {
            out.push('\n');
            out.push_str(&nested);
        }
        let _ = writeln!(out, "{indent}}}");
        Ok(())
    }

    /// A field's type, label and options.
    fn field(
        &mut self,
        field: &str,
        sql_type: SqlType,
        depth: usize,
        nested: &mut String,
    ) -> Result<(String, &'static str, String), LayoutError> {
        match sql_type {
            SqlType::Array(SqlType::Array(_) | SqlType::Map(..)) => Err(LayoutError::new(format!(
                "the PROTOBUF format does not support {sql_type} of column `{field}`"
            ))
            .help("an array inside an array needs a STRUCT around the inner one")),
            SqlType::Array(element) => {
                let (kind, options) = self.kind(*element, depth, nested)?;
                Ok((kind, "repeated ", options))
            }
            SqlType::Map(key, value) => {
                let name = format!("ConnectDefault{}Entry", self.number());
                self.message(&name, &[("key", *key), ("value", *value)], depth.saturating_add(1), nested)?;
                Ok((name, "repeated ", String::new()))
            }
            scalar => {
                let (kind, options) = self.kind(scalar, depth, nested)?;
                let is_message = kind.contains('.') || matches!(scalar, SqlType::Struct(_));
                Ok(match (is_message, self.nullable) {
                    (false, Nullable::Optional) => (kind, "optional ", options),
                    (false, Nullable::Wrapper) => {
                        self.imports.insert("google/protobuf/wrappers.proto");
                        (wrapper(&kind).to_owned(), "", options)
                    }
                    _ => (kind, "", options),
                })
            }
        }
    }

    fn number(&mut self) -> usize {
        self.last = self.last.saturating_add(1);
        self.last
    }

    fn kind(
        &mut self,
        sql_type: SqlType,
        depth: usize,
        nested: &mut String,
    ) -> Result<(String, String), LayoutError> {
        let mut import = |path, name: &str| {
            self.imports.insert(path);
            name.to_owned()
        };
        let kind = match sql_type {
            SqlType::Boolean => "bool".to_owned(),
            SqlType::Int => "int32".to_owned(),
            SqlType::BigInt => "int64".to_owned(),
            SqlType::Double => "double".to_owned(),
            SqlType::Varchar => "string".to_owned(),
            SqlType::Bytes => "bytes".to_owned(),
            SqlType::Date => import("google/type/date.proto", "google.type.Date"),
            SqlType::Time => import("google/type/timeofday.proto", "google.type.TimeOfDay"),
            SqlType::Timestamp => import("google/protobuf/timestamp.proto", "google.protobuf.Timestamp"),
            SqlType::Decimal { precision, scale } => {
                import("confluent/meta.proto", "");
                let kind = import("confluent/type/decimal.proto", "confluent.type.Decimal");
                let indent = "  ".repeat(depth);
                let param = |name: &str, value: u8| {
                    format!(
                        "{indent}      {{\n{indent}        value: \"{value}\",\n{indent}        key: \"{name}\"\n{indent}      }}"
                    )
                };
                let options = format!(
                    " [(confluent.field_meta) = {{\n{indent}    params: [\n{},\n{}\n{indent}    ]\n{indent}  }}]",
                    param("precision", precision),
                    param("scale", scale),
                );
                return Ok((kind, options));
            }
            SqlType::Struct(fields) => {
                let name = format!("ConnectDefault{}", self.number());
                let fields: Vec<(&str, SqlType)> = fields.iter().map(|f| (f.name, f.sql_type)).collect();
                self.message(&name, &fields, depth.saturating_add(1), nested)?;
                name
            }
            SqlType::Array(_) | SqlType::Map(..) => {
                return Err(LayoutError::new(format!(
                    "the PROTOBUF format does not support {sql_type} inside an array"
                )));
            }
        };
        Ok((kind, String::new()))
    }
}

fn wrapper(kind: &str) -> &'static str {
    match kind {
        "bool" => "google.protobuf.BoolValue",
        "int32" => "google.protobuf.Int32Value",
        "int64" => "google.protobuf.Int64Value",
        "double" => "google.protobuf.DoubleValue",
        "bytes" => "google.protobuf.BytesValue",
        _ => "google.protobuf.StringValue",
    }
}
