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
    row: usize,
    locals: Option<&'a Locals<'a>>,
    /// How often lambdas have been called for this row.
    calls: &'c Cell<usize>,
}

/// The arguments of a lambda, and of those around it.
struct Locals<'a> {
    values: &'a [Datum<'static>],
    outer: Option<&'a Locals<'a>>,
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
        self.value(Row { batch, row, locals: None, calls: &Cell::new(0) })
    }

    fn value<'a>(&'a self, row: Row<'a, '_>) -> Result<Datum<'a>, Fault> {
        Ok(match &self.kind {
            NodeKind::Column(slot) => row.batch.columns[*slot].datum(row.row),
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
                let operand = operand.value(row)?;
                let pattern = pattern.value(row)?;
                let (Some(text), Some(pattern)) = (operand.as_str(), pattern.as_str()) else {
                    return Ok(Datum::Boolean(false));
                };
                Datum::Boolean(match compiled {
                    Some(compiled) => compiled.matches(text),
                    None => Pattern::compile(pattern, *escape)?.matches(text),
                })
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
            NodeKind::Array(nodes) => bounded(Datum::Array(all(nodes, row)?.into()))?,
            NodeKind::Struct(nodes) => bounded(Datum::Struct(all(nodes, row)?.into()))?,
            NodeKind::Map(entries) => {
                let mut made = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    made.push((key.value(row)?.into_owned(), value.value(row)?.into_owned()));
                }
                bounded(nested::map(made)?)?
            }
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
            let message = format!("the lambdas would be called more than {LAMBDA_CALLS_MAX} times for one row");
            return Err(Fault::TooLarge(message));
        }
        row.calls.set(calls + 1);
        let locals = Locals { values: params, outer: row.locals };
        Ok(self.value(Row { locals: Some(&locals), ..row })?.into_owned())
    }

    /// A part of a nested value; borrowed from where that stands, if it stands anywhere.
    fn part<'a>(&'a self, row: Row<'a, '_>) -> Result<Datum<'a>, Fault> {
        if let Some(found) = self.standing(row)? {
            return Ok(found.map_or(Datum::Null, Datum::as_borrowed));
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

    /// The value where it stands, in a column or an argument of a lambda: `Some(None)` where there is none in it.
    /// `None` where it is computed, and stands nowhere.
    fn standing<'a>(&'a self, row: Row<'a, '_>) -> Result<Option<Option<&'a Datum<'static>>>, Fault> {
        Ok(match &self.kind {
            NodeKind::Column(slot) => match &row.batch.columns[*slot] {
                Column::Nested(nested) => Some(nested.values().get(row.row)),
                _ => None,
            },
            NodeKind::Param { depth, index } => Some(row.param(*depth, *index)),
            NodeKind::Literal(value) => Some(Some(value)),
            NodeKind::Field { operand, place } => {
                operand.standing(row)?.map(|found| found.and_then(|value| nested::field(value, *place)))
            }
            NodeKind::Index { operand, index } => match operand.standing(row)? {
                Some(found) => {
                    let index = index.value(row)?;
                    Some(found.and_then(|value| nested::index(value, &index)))
                }
                None => None,
            },
            _ => None,
        })
    }
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
