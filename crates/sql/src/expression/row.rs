//! Evaluation of one row.

use super::like::Pattern;
use super::size::bounded;
use super::{ArithmeticOp, CompareOp, Fault, Node, NodeKind, arithmetic, cast, nested};
use crate::batch::Batch;
use crate::function::{Lambdas, ScalarCall};
use crate::limits::{LAMBDA_CALLS_MAX, VALUE_BYTES_MAX};
use crate::{Column, Datum};
use arithmetic::Whole as _;
use std::borrow::Cow;
use std::cell::Cell;

/// The row that is evaluated, and, inside of lambdas, their arguments.
#[derive(Clone, Copy)]
pub(super) struct Row<'a, 'c> {
    batch: &'a Batch,
    index: usize,
    locals: Option<&'a Locals<'a>>,
    /// How often lambdas have been called for this row.
    calls: &'c Cell<usize>,
}

/// The arguments of a lambda, and of those around it.
struct Locals<'a> {
    values: &'a [Datum<'static>],
    outer: Option<&'a Self>,
}

impl<'a> Row<'a, '_> {
    fn param(self, depth: usize, index: usize) -> Option<&'a Datum<'static>> {
        let mut locals = self.locals?;
        for _ in 0..depth {
            locals = locals.outer?;
        }
        locals.values.get(index)
    }
}

impl Node {
    /// The value for one row. Text is borrowed from the batch or from this node where it can be.
    pub(crate) fn at<'a>(&'a self, batch: &'a Batch, row: usize) -> Result<Datum<'a>, Fault> {
        self.value(Row { batch, index: row, locals: None, calls: &Cell::new(0) })
    }

    /// Only goes to the code of each kind of node, so that a level of a deep expression takes little of the stack.
    fn value<'a>(&'a self, row: Row<'a, '_>) -> Result<Datum<'a>, Fault> {
        match &self.kind {
            NodeKind::Column(slot) => Ok(row.batch.columns[*slot].datum(row.index)),
            NodeKind::Literal(value) => Ok(value.as_borrowed()),
            NodeKind::Now => Ok(Datum::BigInt(row.batch.now_ms)),
            NodeKind::Param { depth, index } => {
                Ok(row.param(*depth, *index).map_or(Datum::Null, Datum::as_borrowed))
            }
            NodeKind::Arithmetic { op, left, right } => self.arithmetic(*op, left, right, row),
            NodeKind::Concat(left, right) => concat(left, right, row),
            NodeKind::Negate(operand) => negated(operand, row),
            NodeKind::Compare { op, left, right } => compare(*op, left, right, row),
            NodeKind::And(left, right) => either(left, right, false, row),
            NodeKind::Or(left, right) => either(left, right, true, row),
            NodeKind::Not(operand) => {
                Ok(operand.value(row)?.as_bool().map_or(Datum::Null, |value| Datum::Boolean(!value)))
            }
            NodeKind::IsNull(operand) => Ok(Datum::Boolean(operand.value(row)?.is_null())),
            NodeKind::In { operand, list } => one_of(operand, list, row),
            NodeKind::Like { operand, pattern, compiled, escape } => {
                like(operand, pattern, compiled.as_ref(), *escape, row)
            }
            NodeKind::Case { branches, otherwise } => case(branches, otherwise.as_deref(), row),
            NodeKind::Cast(operand) => cast::value(operand.value(row)?, operand.sql_type, self.sql_type),
            NodeKind::Field { .. } | NodeKind::Index { .. } => self.part(row),
            NodeKind::Array(_) | NodeKind::Map(_) | NodeKind::Struct(_) => self.made(row),
            NodeKind::Call { call, args, lambdas } => called(call, args, lambdas, row),
        }
    }

    fn arithmetic<'a>(
        &'a self,
        op: ArithmeticOp,
        left: &'a Self,
        right: &'a Self,
        row: Row<'a, '_>,
    ) -> Result<Datum<'a>, Fault> {
        match (left.value(row)?, right.value(row)?) {
            (Datum::Null, _) | (_, Datum::Null) => Ok(Datum::Null),
            (left, right) => arithmetic::datum(op, &left, &right, self.sql_type),
        }
    }

    /// This node as the body of a lambda with these arguments.
    fn lambda(&self, row: Row<'_, '_>, params: &[Datum<'static>]) -> Result<Datum<'static>, Fault> {
        let calls = row.calls.get();
        if calls >= LAMBDA_CALLS_MAX {
            let message =
                format!("the lambdas would be called more than {LAMBDA_CALLS_MAX} times for one row");
            return Err(Fault::TooLarge(message));
        }
        row.calls.set(calls + 1);
        let locals = Locals { values: params, outer: row.locals };
        Ok(self.value(Row { locals: Some(&locals), ..row })?.into_owned())
    }

    /// An array, map or struct.
    fn made<'a>(&'a self, row: Row<'a, '_>) -> Result<Datum<'a>, Fault> {
        bounded(match &self.kind {
            NodeKind::Array(nodes) => Datum::Array(all(nodes, row)?.into()),
            NodeKind::Struct(nodes) => Datum::Struct(all(nodes, row)?.into()),
            NodeKind::Map(entries) => {
                let mut made = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    made.push((key.value(row)?.into_owned(), value.value(row)?.into_owned()));
                }
                nested::map(made)?
            }
            _ => Datum::Null,
        })
    }

    /// A part of a nested value; borrowed from where that stands, if it stands anywhere.
    fn part<'a>(&'a self, row: Row<'a, '_>) -> Result<Datum<'a>, Fault> {
        match self.standing(row)? {
            Standing::Here(value) => return Ok(value.as_borrowed()),
            Standing::Nothing => return Ok(Datum::Null),
            Standing::Nowhere => {}
        }
        Ok(match &self.kind {
            NodeKind::Field { operand, place } => nested::field(&operand.value(row)?, *place).cloned(),
            NodeKind::Index { operand, index } => {
                let operand = operand.value(row)?;
                nested::index(&operand, &index.value(row)?).cloned()
            }
            _ => None,
        }
        .unwrap_or(Datum::Null))
    }

    fn standing<'a>(&'a self, row: Row<'a, '_>) -> Result<Standing<'a>, Fault> {
        Ok(match &self.kind {
            NodeKind::Column(slot) => match &row.batch.columns[*slot] {
                Column::Nested(nested) => nested.values().get(row.index).into(),
                _ => Standing::Nowhere,
            },
            NodeKind::Param { depth, index } => row.param(*depth, *index).into(),
            NodeKind::Literal(value) => Standing::Here(value),
            NodeKind::Field { operand, place } => match operand.standing(row)? {
                Standing::Here(value) => nested::field(value, *place).into(),
                other => other,
            },
            NodeKind::Index { operand, index } => match operand.standing(row)? {
                Standing::Here(value) => nested::index(value, &index.value(row)?).into(),
                Standing::Nothing => {
                    index.value(row)?;
                    Standing::Nothing
                }
                Standing::Nowhere => Standing::Nowhere,
            },
            _ => Standing::Nowhere,
        })
    }
}

/// Where a value stands: in a column, an argument of a lambda, a literal, or inside of one of these.
enum Standing<'a> {
    Here(&'a Datum<'static>),
    /// There is none at its place.
    Nothing,
    /// It is computed.
    Nowhere,
}

impl<'a> From<Option<&'a Datum<'static>>> for Standing<'a> {
    fn from(found: Option<&'a Datum<'static>>) -> Self {
        found.map_or(Self::Nothing, Self::Here)
    }
}

fn like<'a>(
    operand: &Node,
    pattern: &Node,
    compiled: Option<&Pattern>,
    escape: Option<char>,
    row: Row<'_, '_>,
) -> Result<Datum<'a>, Fault> {
    let (text, pattern) = (operand.value(row)?, pattern.value(row)?);
    let (Some(text), Some(pattern)) = (text.as_str(), pattern.as_str()) else {
        return Ok(Datum::Boolean(false));
    };
    Ok(Datum::Boolean(match compiled {
        Some(compiled) => compiled.matches(text),
        None => Pattern::compile(pattern, escape)?.matches(text),
    }))
}

fn all(nodes: &[Node], row: Row<'_, '_>) -> Result<Vec<Datum<'static>>, Fault> {
    nodes.iter().map(|node| Ok(node.value(row)?.into_owned())).collect()
}

fn concat<'a>(left: &'a Node, right: &'a Node, row: Row<'a, '_>) -> Result<Datum<'a>, Fault> {
    let (Datum::Varchar(left), Datum::Varchar(right)) = (left.value(row)?, right.value(row)?) else {
        return Ok(Datum::Null);
    };
    let bytes = left.len() + right.len();
    if bytes > VALUE_BYTES_MAX {
        let message = format!("the result would have {bytes} bytes, more than {VALUE_BYTES_MAX}");
        return Err(Fault::TooLarge(message));
    }
    Ok(Datum::Varchar(Cow::Owned(left.into_owned() + &right)))
}

fn negated<'a>(operand: &'a Node, row: Row<'a, '_>) -> Result<Datum<'a>, Fault> {
    Ok(match operand.value(row)? {
        Datum::Int(v) => Datum::Int(v.negated()?),
        Datum::BigInt(v) => Datum::BigInt(v.negated()?),
        Datum::Decimal(v) => Datum::Decimal(v.negated()),
        Datum::Double(v) => Datum::Double(-v),
        _ => Datum::Null,
    })
}

fn compare<'a>(op: CompareOp, left: &Node, right: &Node, row: Row<'_, '_>) -> Result<Datum<'a>, Fault> {
    let left = left.value(row)?;
    Ok(Datum::Boolean(op.apply(&left, &right.value(row)?)))
}

fn one_of<'a>(operand: &Node, list: &[Node], row: Row<'_, '_>) -> Result<Datum<'a>, Fault> {
    let operand = operand.value(row)?;
    let mut found = false;
    for item in list {
        found |= CompareOp::Equal.apply(&operand, &item.value(row)?);
    }
    Ok(Datum::Boolean(found))
}

fn case<'a>(
    branches: &'a [(Node, Node)],
    otherwise: Option<&'a Node>,
    row: Row<'a, '_>,
) -> Result<Datum<'a>, Fault> {
    for (when, then) in branches {
        if when.value(row)?.as_bool() == Some(true) {
            return then.value(row);
        }
    }
    otherwise.map_or(Ok(Datum::Null), |node| node.value(row))
}

fn called<'a>(
    call: &'a ScalarCall,
    args: &'a [Node],
    lambdas: &'a [Node],
    row: Row<'a, '_>,
) -> Result<Datum<'a>, Fault> {
    let mut values = Vec::with_capacity(args.len());
    for arg in args {
        values.push(arg.value(row)?);
    }
    let mut run = |index: usize, params: &[Datum<'static>]| {
        let Some(body) = lambdas.get(index) else { return Ok(Datum::Null) };
        body.lambda(row, params)
    };
    call.apply(&values, &mut Lambdas::new(&mut run))
}

/// `AND` (decided by false) and `OR` (decided by true): the right side is not looked at where the left one decides.
fn either<'a>(left: &Node, right: &Node, decides: bool, row: Row<'_, '_>) -> Result<Datum<'a>, Fault> {
    let left = left.value(row)?.as_bool();
    if left == Some(decides) {
        return Ok(Datum::Boolean(decides));
    }
    let right = right.value(row)?.as_bool();
    Ok(match (left, right) {
        (_, Some(right)) if right == decides => Datum::Boolean(decides),
        (Some(_), Some(_)) => Datum::Boolean(!decides),
        _ => Datum::Null,
    })
}
