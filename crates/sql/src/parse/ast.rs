//! Statements and expressions as they were written, with places.

mod expr;
mod query;
mod statement;
mod type_name;

pub use expr::{BinaryOp, Expr, ExprKind, Literal};
pub use query::{Emit, Join, JoinKind, Query, SelectItem, Source, WindowClause, WindowKind, Within};
pub use statement::{
    Assertion, ColumnDeclaration, ConnectorKind, CreateAs, Declare, KeyWord, OnExisting, RelationKind, Show,
    Statement, StatementKind, WithOption,
};
pub(crate) use type_name::check_size;
pub use type_name::{TypeKind, TypeName};

use super::token::Place;

/// A name: upper case, or as written where it was quoted.
#[derive(Debug, Clone, PartialEq)]
pub struct Name {
    /// The name.
    pub text: String,
    /// Where it stands.
    pub place: Place,
}
