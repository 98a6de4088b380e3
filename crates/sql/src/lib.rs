//! SQL over topics, in ksqlDB's dialect: statements become running queries.
//!
//! What it is: parser ([`parse`]), typed plan ([`plan`]), expressions and operators over Arrow columns, keyed state with a
//! changelog, and the engine that runs queries exactly once over any [`millstream_bus::Bus`].
//! What it is not: it knows no engine of the bus and no device; it reads no wall clock of its own and no file.
//!
//! Three types to know: [`Catalog`] (which streams and tables there are), [`PlannedStatement`] (a statement that was
//! checked, see [`check`]), [`Engine`] (runs statements, keeps queries alive).
//!
//! Data enters as statements ([`Engine::execute`]) and as records of the topics they name, and leaves as records of the
//! queries' topics, as rows of push queries ([`PushQuery`]), and as records of [`ERROR_TOPIC`] for what could not be used.

mod batch;
mod catalog;
pub mod connector;
mod engine;
mod error;
mod expression;
mod function;
pub mod limits;
mod operator;
pub mod parse;
pub mod plan;
mod printed;
mod result;
mod session;
mod state;

pub use catalog::{Catalog, ColumnSpec, Header, Origin, Relation, sql_type, stream_name};
pub use engine::{Engine, InsertStream, STATEMENT_TOPIC};
pub use error::SqlError;
pub use millstream_format::sql::{Column, ColumnBuilder, Datum, Decimal, Format, FormatSpec, SqlType};
pub use parse::ast::RelationKind;
pub use plan::{PROPERTIES, PlannedStatement, Property, check};
pub use printed::{Print, PrintedRecord};
pub use result::{
    Executed, Execution, Listing, PushQuery, PushRow, QueryState, QueryStatus, StatementResult,
};
pub use session::Session;

/// Where records go that a query could not use: one JSON object each, see `engine::poison`.
pub const ERROR_TOPIC: &str = "millstream.sql.errors";
