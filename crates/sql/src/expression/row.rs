//! Evaluation of one row.

use super::like::Pattern;
use super::{Fault, Node, NodeKind, arithmetic, cast};
use crate::Datum;
use crate::batch::Batch;
use arithmetic::Whole as _;
use std::borrow::Cow;

impl Node {
    /// The value for one row. Text is borrowed from the batch or from this node where it can be.
    pub(crate) fn at<'a>(&'a self, batch: &'a Batch, row: usize) -> Result<Datum<'a>, Fault> {
        Ok(match &self.kind {
            NodeKind::Column(slot) => batch.columns[*slot].datum(row),
            NodeKind::Literal(value) => value.as_borrowed(),
            NodeKind::Now => Datum::BigInt(batch.now_ms),
            NodeKind::Arithmetic { op, left, right } => match (left.at(batch, row)?, right.at(batch, row)?) {
                (Datum::Null, _) | (_, Datum::Null) => Datum::Null,
                (left, right) => arithmetic::datum(*op, &left, &right)?,
            },
            NodeKind::Concat(left, right) => match (left.at(batch, row)?, right.at(batch, row)?) {
                (Datum::Varchar(left), Datum::Varchar(right)) => {
                    Datum::Varchar(Cow::Owned(left.into_owned() + &right))
                }
                _ => Datum::Null,
            },
            NodeKind::Negate(operand) => match operand.at(batch, row)? {
                Datum::Int(v) => Datum::Int(v.negated()?),
                Datum::BigInt(v) => Datum::BigInt(v.negated()?),
                Datum::Double(v) => Datum::Double(-v),
                _ => Datum::Null,
            },
            NodeKind::Compare { op, left, right } => {
                let left = left.at(batch, row)?;
                Datum::Boolean(op.apply(&left, &right.at(batch, row)?))
            }
            NodeKind::And(left, right) => either(left, right, false, batch, row)?,
            NodeKind::Or(left, right) => either(left, right, true, batch, row)?,
            NodeKind::Not(operand) => match operand.at(batch, row)? {
                Datum::Boolean(v) => Datum::Boolean(!v),
                _ => Datum::Null,
            },
            NodeKind::IsNull(operand) => Datum::Boolean(operand.at(batch, row)?.is_null()),
            NodeKind::In { operand, list } => {
                let operand = operand.at(batch, row)?;
                let mut found = false;
                for item in list {
                    found |= super::CompareOp::Equal.apply(&operand, &item.at(batch, row)?);
                }
                Datum::Boolean(found)
            }
            NodeKind::Like { operand, pattern, compiled, escape } => {
                let operand = operand.at(batch, row)?;
                let pattern = pattern.at(batch, row)?;
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
                    if when.at(batch, row)?.as_bool() == Some(true) {
                        return then.at(batch, row);
                    }
                }
                otherwise.as_ref().map_or(Ok(Datum::Null), |node| node.at(batch, row))?
            }
            NodeKind::Cast(operand) => cast::datum(operand.at(batch, row)?, self.sql_type)?,
            NodeKind::Call { call, args } => {
                let mut values = Vec::with_capacity(args.len());
                for arg in args {
                    values.push(arg.at(batch, row)?);
                }
                call.apply(&values, &mut crate::function::Lambdas::new(&mut |_, _| Ok(Datum::Null)))?
            }
        })
    }
}

/// `AND` (decided by false) and `OR` (decided by true): the right side is not looked at where the left one decides.
fn either<'a>(
    left: &Node,
    right: &Node,
    decides: bool,
    batch: &Batch,
    row: usize,
) -> Result<Datum<'a>, Fault> {
    let left = left.at(batch, row)?.as_bool();
    if left == Some(decides) {
        return Ok(Datum::Boolean(decides));
    }
    let right = right.at(batch, row)?.as_bool();
    Ok(match (left, right) {
        (_, Some(right)) if right == decides => Datum::Boolean(decides),
        (Some(_), Some(_)) => Datum::Boolean(!decides),
        _ => Datum::Null,
    })
}
