//! Typed expressions, compiled once, evaluated two ways: row by row for a few rows ([`row`]), column by column for
//! many ([`column`]). Both give the same values and the same faults; `tests` proves it on random expressions.
//!
//! ksqlDB's rules: a comparison with `NULL` is false, arithmetic with `NULL` is `NULL`; what cannot be computed (a
//! division by zero, a text that is no number) makes the whole expression `NULL` for that row, and the fault is reported.
//! Stricter than ksqlDB: an integer that overflows is a fault, not a wrong number.

pub(crate) mod arithmetic;
pub(crate) mod cast;
pub(crate) mod column;
pub(crate) mod like;
pub(crate) mod row;
#[cfg(test)]
mod tests;

use crate::batch::Batch;
use crate::function::ScalarCall;
use crate::limits::COLUMNAR_ROWS_MIN;
use crate::{Column, ColumnBuilder, Datum, SqlType};
use like::Pattern;
use thiserror::Error;

/// Refuses a value that is too large: its texts and bytes together, and how many values it holds. Values that are
/// shared count as often as they stand in it, so that none is larger when it is written than it looks.
pub(crate) fn check_size(value: &Datum<'_>) -> Result<(), String> {
    match value {
        Datum::Varchar(v) => return crate::function::check_text(v.len()),
        Datum::Bytes(v) => return crate::function::check_text(v.len()),
        Datum::Array(_) | Datum::Map(_) | Datum::Struct(_) => {}
        _ => return Ok(()),
    }
    let (mut elements, mut bytes) = (0_usize, 0_usize);
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        elements += 1;
        match value {
            Datum::Varchar(v) => bytes += v.len(),
            Datum::Bytes(v) => bytes += v.len(),
            Datum::Array(values) | Datum::Struct(values) => {
                crate::function::check_elements(elements + open.len() + values.len())?;
                open.extend(values.iter());
            }
            Datum::Map(entries) => {
                crate::function::check_elements(elements + open.len() + 2 * entries.len())?;
                open.extend(entries.iter().flat_map(|(key, value)| [key, value]));
            }
            _ => {}
        }
        crate::function::check_text(bytes)?;
    }
    Ok(())
}

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

/// A typed expression. The binder has made the operands of every node agree on their types.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    pub(crate) sql_type: SqlType,
    /// Whether evaluating it can give a [`Fault`]; where it cannot, columns are computed without regard to who asks.
    pub(crate) can_fail: bool,
}

/// What a node does.
#[derive(Debug, Clone)]
pub(crate) enum NodeKind {
    /// A column of the batch.
    Column(usize),
    Literal(Datum<'static>),
    /// When the batch was taken up.
    Now,
    Arithmetic {
        op: ArithmeticOp,
        left: Box<Node>,
        right: Box<Node>,
    },
    Concat(Box<Node>, Box<Node>),
    Negate(Box<Node>),
    Compare {
        op: CompareOp,
        left: Box<Node>,
        right: Box<Node>,
    },
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    IsNull(Box<Node>),
    In {
        operand: Box<Node>,
        list: Vec<Node>,
    },
    Like {
        operand: Box<Node>,
        pattern: Box<Node>,
        compiled: Option<Pattern>,
        escape: Option<char>,
    },
    Case {
        branches: Vec<(Node, Node)>,
        otherwise: Option<Box<Node>>,
    },
    Cast(Box<Node>),
    Call {
        call: ScalarCall,
        args: Vec<Node>,
    },
}

impl Node {
    /// A node of `kind`; whether it can fail follows from its parts.
    pub(crate) fn new(kind: NodeKind, sql_type: SqlType) -> Self {
        let whole = sql_type != SqlType::Double;
        let can_fail = match &kind {
            NodeKind::Column(_) | NodeKind::Literal(_) | NodeKind::Now => false,
            NodeKind::Arithmetic { left, right, .. } => whole || left.can_fail || right.can_fail,
            NodeKind::Negate(operand) => whole || operand.can_fail,
            NodeKind::Concat(left, right)
            | NodeKind::Compare { left, right, .. }
            | NodeKind::And(left, right)
            | NodeKind::Or(left, right) => left.can_fail || right.can_fail,
            NodeKind::Not(operand) | NodeKind::IsNull(operand) => operand.can_fail,
            NodeKind::In { operand, list } => operand.can_fail || list.iter().any(|node| node.can_fail),
            NodeKind::Like { operand, pattern, compiled, .. } => {
                operand.can_fail || pattern.can_fail || compiled.is_none()
            }
            NodeKind::Case { branches, otherwise } => {
                branches.iter().any(|(when, then)| when.can_fail || then.can_fail)
                    || otherwise.as_ref().is_some_and(|node| node.can_fail)
            }
            NodeKind::Cast(operand) => operand.can_fail || !cast::is_safe(operand.sql_type, sql_type),
            NodeKind::Call { call, args } => call.can_fail() || args.iter().any(|node| node.can_fail),
        };
        Self { kind, sql_type, can_fail }
    }

    /// A value written down.
    pub(crate) fn literal(value: Datum<'static>, sql_type: SqlType) -> Self {
        Self::new(NodeKind::Literal(value), sql_type)
    }

    /// This node as a number of another type, where it is not yet one.
    pub(crate) fn cast_to(self, sql_type: SqlType) -> Self {
        if self.sql_type == sql_type {
            return self;
        }
        if let NodeKind::Literal(value) = &self.kind
            && let Ok(value) = cast::datum(value.clone(), sql_type)
        {
            return Self::literal(value.into_owned(), sql_type);
        }
        Self::new(NodeKind::Cast(Box::new(self)), sql_type)
    }

    /// Values for every row, by whichever way is faster. Rows with a fault are `NULL`, and `fault` is told of them.
    pub(crate) fn evaluate(&self, batch: &Batch, fault: &mut dyn FnMut(usize, Fault)) -> Column {
        if let NodeKind::Column(slot) = &self.kind {
            return batch.columns[*slot].clone();
        }
        if batch.rows() >= COLUMNAR_ROWS_MIN {
            self.by_column(batch, fault)
        } else {
            self.by_row(batch, fault)
        }
    }

    /// [`Node::evaluate`], column by column.
    pub(crate) fn by_column(&self, batch: &Batch, fault: &mut dyn FnMut(usize, Fault)) -> Column {
        column::evaluate(self, batch, fault)
    }

    /// [`Node::evaluate`], row by row.
    pub(crate) fn by_row(&self, batch: &Batch, fault: &mut dyn FnMut(usize, Fault)) -> Column {
        let mut builder = ColumnBuilder::new(self.sql_type, batch.rows());
        for row in 0..batch.rows() {
            match self.at(batch, row) {
                Ok(value) => builder.append(&value),
                Err(cause) => {
                    fault(row, cause);
                    builder.append_null();
                }
            }
        }
        builder.finish()
    }
}
