//! Typed expressions, compiled once, evaluated two ways: row by row for a few rows ([`row`]), column by column for
//! many ([`column`]). Both give the same values and the same faults; `tests` proves it on random expressions.
//!
//! ksqlDB's rules: a comparison with `NULL` is false, arithmetic with `NULL` is `NULL`; what cannot be computed (a
//! division by zero, a text that is no number) makes the whole expression `NULL` for that row, and the fault is reported.
//! Stricter than ksqlDB: a number that overflows is a fault, not a wrong number, and so is a value that grows beyond
//! [`limits`](crate::limits).

pub(crate) mod arithmetic;
pub(crate) mod cast;
pub(crate) mod column;
pub(crate) mod compare;
mod kernel;
pub(crate) mod like;
mod nested;
mod node;
pub(crate) mod row;
mod size;
pub(crate) mod temporal;
#[cfg(test)]
mod tests;
pub(crate) mod text;

use crate::SqlType;
pub(crate) use node::{Node, NodeKind};
pub(crate) use size::check_size;
use thiserror::Error;

/// Why an expression has no value for a row.
#[derive(Debug, Clone, PartialEq, Error)]
pub(crate) enum Fault {
    #[error("division by zero")]
    DivisionByZero,
    #[error("{0} is out of range for {1}")]
    Overflow(&'static str, SqlType),
    #[error("'{0}' cannot be cast to {1}")]
    Cast(String, SqlType),
    #[error("{0}: {1}")]
    Function(&'static str, String),
    #[error("{0}")]
    TooLarge(String),
    #[error("a key of a MAP is NULL")]
    NullKey,
}

/// `+ - * / %` on numbers of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ArithmeticOp {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

/// Comparisons of values of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CompareOp {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// `IS DISTINCT FROM`: `NULL` is a value like any other.
    Distinct,
    /// `IS NOT DISTINCT FROM`.
    NotDistinct,
}
