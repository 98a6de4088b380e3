//! The vocabulary of Millstream: what a value, its quality, a row, a path, an instant and a mistake are.
//!
//! What it is: plain data types with parsing and printing, shared by every room.
//! What it is not: it does no I/O, has no async code and reads no clock (a [`Clock`] is passed in).
//!
//! Three types to know: [`Cell`] (a value with its quality; there is no good cell without a value),
//! [`Row`] (one scan of one scan group), [`Diagnostic`] (one mistake in something a user wrote).
//!
//! Data enters as text that a user or a device gave, and leaves as typed values.

pub mod diagnostic;
pub mod metric;
pub mod option;
pub mod path;
pub mod quality;
pub mod row;
pub mod time;
pub mod value;

pub use diagnostic::{Diagnostic, Severity, Span, nearest};
pub use option::{OptionKind, OptionSpec, Options};
pub use path::{AssetPath, PathError};
pub use quality::{Cell, Status};
pub use row::Row;
pub use time::{Clock, DurationError, Timestamp, format_duration, parse_duration};
pub use value::{DataType, TagType, Value};
