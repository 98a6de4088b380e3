//! Bytes and rows: how values, rows and records of the field look as bytes, both ways.
//!
//! What it is: the layouts of DESIGN, "Records" ([`row`], [`tag`], [`plc4x`]), written straight into byte vectors and read
//! under limits; ksqlDB's formats straight into columns ([`sql`]); and the trait of who keeps schemas ([`registry`]).
//! What it is not: it does not know where bytes come from or go to, and it does no I/O.
//!
//! Three types to know: [`row::RowEncoder`] (writes the rows of one scan group), [`plc4x::Plc4xEncoder`] (writes what the
//! PLC4X connector writes), [`FormatError`] (why bytes are not what they should be).
//!
//! Data enters as cells or as the bytes of a record's key and value, and leaves as the other.

mod error;
pub mod json;
pub mod limits;
pub mod plc4x;
pub mod registry;
pub mod row;
pub mod sql;
pub mod tag;

pub use error::FormatError;
