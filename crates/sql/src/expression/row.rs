//! Evaluation of one row.

use super::like::Pattern;
use super::size::bounded;
use super::{CompareOp, Fault, Node, NodeKind, arithmetic, cast, nested};
use crate::batch::Batch;
use crate::function::Lambdas;
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

    fn value<'a>(&'a self, row: Row<'a, '_>) -> Result<Datum<'a>, Fault> {
        Ok(match &self.kind {
            NodeKind::Column(slot) => row.batch.columns[*slot].datum(row.index),
            NodeKind::Literal(value) => value.as_borrowed(),
            NodeKind::Now => Datum::BigInt(row.batch.now_ms),
            NodeKind::Param { depth, index } => {
                row.param(*depth, *index).map_or(Datum::Null, Datum::as_borrowed)
            }
            NodeKind::Arithmetic { op, left, right } => match (left.value(row)?, right.value(row)?) {
                (Datum::Null, _) | (_, Datum::Null) => Datum::Null,
                (left, right) => arithmetic::datum(*op, &left, &right, self.sql_type)?,
            },
            NodeKind::Concat(left, right) => concat(left.value(row)?, &right.value(row)?)?,
            NodeKind::Negate(operand) => match operand.value(row)? {
                Datum::Int(v) => Datum::Int(v.negated()?),
                Datum::BigInt(v) => Datum::BigInt(v.negated()?),
                Datum::Decimal(v) => Datum::Decimal(v.negated()),
                Datum::Double(v) => Datum::Double(-v),
                _ => Datum::Null,
            },
            NodeKind::Compare { op, left, right } => {
                let left = left.value(row)?;
                Datum::Boolean(op.apply(&left, &right.value(row)?))
            }
            NodeKind::And(left, right) => either(left, right, false, row)?,
            NodeKind::Or(left, right) => either(left, right, true, row)?,
            NodeKind::Not(operand) => match operand.value(row)? {
                Datum::Boolean(v) => Datum::Boolean(!v),
                _ => Datum::Null,
            },
            NodeKind::IsNull(operand) => Datum::Boolean(operand.value(row)?.is_null()),
            NodeKind::In { operand, list } => {
                let operand = operand.value(row)?;
                let mut found = false;
                for item in list {
                    found |= CompareOp::Equal.apply(&operand, &item.value(row)?);
                }
                Datum::Boolean(found)
            }
            NodeKind::Like { operand, pattern, compiled, escape } => {
                let (text, pattern) = (operand.value(row)?, pattern.value(row)?);
                Datum::Boolean(like(&text, &pattern, compiled.as_ref(), *escape)?)
            }
            NodeKind::Case { branches, otherwise } => {
                for (when, then) in branches {
                    if when.value(row)?.as_bool() == Some(true) {
                        return then.value(row);
                    }
                }
                otherwise.as_ref().map_or(Ok(Datum::Null), |node| node.value(row))?
            }
            NodeKind::Cast(operand) => cast::value(operand.value(row)?, operand.sql_type, self.sql_type)?,
            NodeKind::Field { .. } | NodeKind::Index { .. } => self.part(row)?,
            NodeKind::Array(_) | NodeKind::Map(_) | NodeKind::Struct(_) => self.made(row)?,
            NodeKind::Call { call, args, lambdas } => {
                let mut values = Vec::with_capacity(args.len());
                for arg in args {
                    values.push(arg.value(row)?);
                }
                let mut run = |index: usize, params: &[Datum<'static>]| {
                    let Some(body) = lambdas.get(index) else { return Ok(Datum::Null) };
                    body.lambda(row, params)
                };
                call.apply(&values, &mut Lambdas::new(&mut run))?
            }
        })
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

fn like(
    text: &Datum<'_>,
    pattern: &Datum<'_>,
    compiled: Option<&Pattern>,
    escape: Option<char>,
) -> Result<bool, Fault> {
    let (Some(text), Some(pattern)) = (text.as_str(), pattern.as_str()) else { return Ok(false) };
    Ok(match compiled {
        Some(compiled) => compiled.matches(text),
        None => Pattern::compile(pattern, escape)?.matches(text),
    })
}

fn all(nodes: &[Node], row: Row<'_, '_>) -> Result<Vec<Datum<'static>>, Fault> {
    nodes.iter().map(|node| Ok(node.value(row)?.into_owned())).collect()
}

fn concat<'a>(left: Datum<'a>, right: &Datum<'_>) -> Result<Datum<'a>, Fault> {
    let too_large = |bytes: usize| {
        Fault::TooLarge(format!("the result would have {bytes} bytes, more than {VALUE_BYTES_MAX}"))
    };
    Ok(match (left, right) {
        (Datum::Varchar(left), Datum::Varchar(right)) => {
            let bytes = left.len() + right.len();
            if bytes > VALUE_BYTES_MAX {
                return Err(too_large(bytes));
            }
            Datum::Varchar(Cow::Owned(left.into_owned() + right))
        }
        _ => Datum::Null,
    })
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
