//! The nodes of expressions.

use super::like::Pattern;
use super::size::Filler;
use super::{ArithmeticOp, CompareOp, Fault, cast, column};
use crate::batch::Batch;
use crate::function::ScalarCall;
use crate::limits::COLUMNAR_ROWS_MIN;
use crate::{Column, Datum, SqlType};

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
    /// A parameter of a lambda: of the innermost one for `depth` 0, of the one around it for 1, …
    Param {
        depth: usize,
        index: usize,
    },
    /// Numbers of one type, or, where the result is a `DECIMAL`, any exact numbers.
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
    /// `struct->field`; the field's place.
    Field {
        operand: Box<Node>,
        place: usize,
    },
    /// `array[i]`, `map[key]`.
    Index {
        operand: Box<Node>,
        index: Box<Node>,
    },
    Array(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Struct(Vec<Node>),
    /// A function with the arguments that are values, and the bodies of those that are lambdas.
    Call {
        call: ScalarCall,
        args: Vec<Node>,
        lambdas: Vec<Node>,
    },
}

impl Node {
    /// A node of `kind`; whether it can fail follows from its parts.
    pub(crate) fn new(kind: NodeKind, sql_type: SqlType) -> Self {
        let itself = match &kind {
            NodeKind::Arithmetic { .. } => sql_type != SqlType::Double,
            NodeKind::Negate(_) => matches!(sql_type, SqlType::Int | SqlType::BigInt),
            // Their results may be too large.
            NodeKind::Concat(..) | NodeKind::Array(_) | NodeKind::Map(_) | NodeKind::Struct(_) => true,
            NodeKind::Like { compiled, .. } => compiled.is_none(),
            NodeKind::Cast(operand) => !cast::is_safe(operand.sql_type, sql_type),
            NodeKind::Call { call, .. } => call.can_fail(),
            _ => false,
        };
        let can_fail = itself || kind.children().iter().any(|node| node.can_fail);
        Self { kind, sql_type, can_fail }
    }

    /// How many nodes it is made of.
    pub(crate) fn count(&self) -> usize {
        1 + self.kind.children().into_iter().map(Self::count).sum::<usize>()
    }

    /// A value written down.
    pub(crate) fn literal(value: Datum<'static>, sql_type: SqlType) -> Self {
        Self::new(NodeKind::Literal(value), sql_type)
    }

    /// This node as a value of another type, where it is not yet one.
    pub(crate) fn cast_to(self, sql_type: SqlType) -> Self {
        if self.sql_type == sql_type {
            return self;
        }
        Self::new(NodeKind::Cast(Box::new(self)), sql_type).folded()
    }

    /// The value it has for every row, where it is made of literals and can be computed; else itself.
    pub(crate) fn folded(self) -> Self {
        let constant = |node: &&Self| matches!(node.kind, NodeKind::Literal(_));
        if matches!(self.kind, NodeKind::Literal(_) | NodeKind::Call { .. })
            || self.kind.children().is_empty()
            || !self.kind.children().iter().all(constant)
        {
            return self;
        }
        let value = self.at(&Batch::one(0), 0).map(Datum::into_owned);
        match value {
            Ok(value) => Self::literal(value, self.sql_type),
            Err(_) => self,
        }
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
        let mut filler = Filler::new(self.sql_type, batch.rows());
        for row in 0..batch.rows() {
            match self.at(batch, row) {
                Ok(value) => {
                    if let Err(cause) = filler.append(&value) {
                        fault(row, cause);
                    }
                }
                Err(cause) => {
                    fault(row, cause);
                    filler.append_null();
                }
            }
        }
        filler.finish()
    }
}

impl NodeKind {
    /// The nodes directly below.
    fn children(&self) -> Vec<&Node> {
        match self {
            Self::Column(_) | Self::Literal(_) | Self::Now | Self::Param { .. } => Vec::new(),
            Self::Arithmetic { left, right, .. }
            | Self::Compare { left, right, .. }
            | Self::Concat(left, right)
            | Self::And(left, right)
            | Self::Or(left, right) => vec![left, right],
            Self::Negate(operand)
            | Self::Not(operand)
            | Self::IsNull(operand)
            | Self::Cast(operand)
            | Self::Field { operand, .. } => vec![operand],
            Self::Index { operand, index } => vec![operand, index],
            Self::In { operand, list } => std::iter::once(&**operand).chain(list).collect(),
            Self::Like { operand, pattern, .. } => vec![operand, pattern],
            Self::Case { branches, otherwise } => {
                let branches = branches.iter().flat_map(|(when, then)| [when, then]);
                branches.chain(otherwise.as_deref()).collect()
            }
            Self::Array(nodes) | Self::Struct(nodes) => nodes.iter().collect(),
            Self::Map(entries) => entries.iter().flat_map(|(key, value)| [key, value]).collect(),
            Self::Call { args, lambdas, .. } => args.iter().chain(lambdas).collect(),
        }
    }
}
