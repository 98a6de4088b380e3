//! Types as they were written.

use super::Name;
use crate::SqlType;
use crate::limits::{EXPRESSION_DEPTH_MAX, TYPE_PARTS_MAX};
use crate::parse::token::Place;
use millstream_model::Diagnostic;
use std::collections::BTreeSet;
use std::fmt;

/// A type with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct TypeName {
    /// Which.
    pub kind: TypeKind,
    /// Where it stands.
    pub place: Place,
}

/// What types there are.
#[derive(Debug, Clone, PartialEq)]
pub enum TypeKind {
    /// One of SQL's own, or one that was looked up.
    Simple(SqlType),
    /// One that `CREATE TYPE` made.
    Named(Name),
    /// `ARRAY<type>`.
    Array(Box<TypeName>),
    /// `MAP<key, value>`.
    Map(Box<TypeName>, Box<TypeName>),
    /// `STRUCT<name type, …>`.
    Struct(Vec<(Name, TypeName)>),
}

impl TypeName {
    /// A type that is known.
    pub const fn simple(sql_type: SqlType, place: Place) -> Self {
        Self { kind: TypeKind::Simple(sql_type), place }
    }

    /// The type that it says. The types that `CREATE TYPE` made are put in before a statement is planned, so that a name
    /// that is still there is unknown.
    pub fn resolve(&self) -> Result<SqlType, Box<Diagnostic>> {
        self.resolve_with(&|_| None)
    }

    /// The type that it says, where `known` gives the types that `CREATE TYPE` made.
    pub fn resolve_with(&self, known: &dyn Fn(&str) -> Option<SqlType>) -> Result<SqlType, Box<Diagnostic>> {
        let sql_type = self.put_together(known)?;
        check_size(sql_type, &self.place).map(|()| sql_type)
    }

    fn put_together(&self, known: &dyn Fn(&str) -> Option<SqlType>) -> Result<SqlType, Box<Diagnostic>> {
        match &self.kind {
            TypeKind::Simple(sql_type) => Ok(*sql_type),
            TypeKind::Named(name) => known(&name.text).ok_or_else(|| {
                Box::new(
                    Diagnostic::error("sql-type", format!("there is no type `{}`", name.text))
                        .label("unknown type")
                        .help("SHOW TYPES lists those that CREATE TYPE made")
                        .at(name.place.clone()),
                )
            }),
            TypeKind::Array(element) => Ok(SqlType::array(element.resolve_with(known)?)),
            TypeKind::Map(key, value) => {
                Ok(SqlType::map(key.resolve_with(known)?, value.resolve_with(known)?))
            }
            TypeKind::Struct(fields) => {
                let mut resolved: Vec<(&str, SqlType)> = Vec::new();
                let mut names = BTreeSet::new();
                for (name, field) in fields {
                    if !names.insert(&name.text) {
                        return Err(Box::new(
                            Diagnostic::error("sql-type", format!("there are two fields `{}`", name.text))
                                .label("the second one")
                                .help("give it another name")
                                .at(name.place.clone()),
                        ));
                    }
                    resolved.push((&name.text, field.resolve_with(known)?));
                }
                Ok(SqlType::structure(resolved))
            }
        }
    }
}

/// Refuses a type that holds too many others.
pub(crate) fn check_size(sql_type: SqlType, place: &Place) -> Result<(), Box<Diagnostic>> {
    let mut room = TYPE_PARTS_MAX;
    if !sql_type.is_nested() || fits(sql_type, &mut room, EXPRESSION_DEPTH_MAX) {
        return Ok(());
    }
    Err(Box::new(
        Diagnostic::error("sql-type", "the type is too large")
            .label(format!(
                "at most {EXPRESSION_DEPTH_MAX} levels, {TYPE_PARTS_MAX} types inside one another"
            ))
            .help("types in types grow without end: hold fewer fields, or the value as a VARCHAR with JSON")
            .at(place.clone()),
    ))
}

/// Whether a type has so few types inside, on so few levels.
fn fits(sql_type: SqlType, room: &mut usize, levels: usize) -> bool {
    let (Some(left), Some(levels)) = (room.checked_sub(1), levels.checked_sub(1)) else { return false };
    *room = left;
    match sql_type {
        SqlType::Array(element) => fits(*element, room, levels),
        SqlType::Map(key, value) => fits(*key, room, levels) && fits(*value, room, levels),
        SqlType::Struct(fields) => fields.iter().all(|field| fits(field.sql_type, room, levels)),
        _ => true,
    }
}

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            TypeKind::Simple(sql_type) => write!(f, "{sql_type}"),
            TypeKind::Named(name) => f.write_str(&name.text),
            TypeKind::Array(element) => write!(f, "ARRAY<{element}>"),
            TypeKind::Map(key, value) => write!(f, "MAP<{key}, {value}>"),
            TypeKind::Struct(fields) => {
                f.write_str("STRUCT<")?;
                for (index, (name, field)) in fields.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}`{}` {field}", name.text)?;
                }
                f.write_str(">")
            }
        }
    }
}
