//! Evaluation of all rows at once, as kernels over Arrow arrays.
//!
//! A node is evaluated for the rows that are *asked*: those that no earlier operand decided (`AND`, `OR`, `CASE`). Rows
//! that were not asked hold anything; nobody looks at them. Where a node cannot fail, all rows are computed.

use super::arithmetic::Whole;
use super::{ArithmeticOp, CompareOp, Fault, Node, NodeKind, arithmetic, cast};
use crate::batch::Batch;
use crate::{Column, ColumnBuilder, SqlType};
use arrow_array::{Array, BooleanArray, Float64Array, PrimitiveArray, types};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use std::cmp::Ordering;

/// All rows of `batch`. Rows with a fault are `NULL`.
pub(super) fn evaluate(node: &Node, batch: &Batch, fault: &mut dyn FnMut(usize, Fault)) -> Column {
    if !node.can_fail {
        return Pass { batch, faults: Vec::new() }.node(node, None);
    }
    let mut pass = Pass { batch, faults: vec![None; batch.rows()] };
    let column = pass.node(node, None);
    if pass.faults.iter().all(Option::is_none) {
        return column;
    }
    let mut builder = ColumnBuilder::new(node.sql_type, batch.rows());
    for (row, cause) in pass.faults.into_iter().enumerate() {
        match cause {
            None => builder.append(&column.datum(row)),
            Some(cause) => {
                builder.append_null();
                fault(row, cause);
            }
        }
    }
    builder.finish()
}

/// Which rows are asked; `None` for all.
type Asked<'m> = Option<&'m BooleanBuffer>;

struct Pass<'b> {
    batch: &'b Batch,
    /// The first fault of each row. Empty where nothing can fail.
    faults: Vec<Option<Fault>>,
}

impl Pass<'_> {
    fn fail(&mut self, row: usize, cause: Fault) {
        if let Some(place @ None) = self.faults.get_mut(row) {
            *place = Some(cause);
        }
    }

    /// Whether a row is asked and has not failed yet.
    fn wants(&self, row: usize, asked: Asked<'_>) -> bool {
        asked.is_none_or(|asked| asked.value(row)) && self.faults.get(row).is_none_or(Option::is_none)
    }

    fn node(&mut self, node: &Node, asked: Asked<'_>) -> Column {
        let rows = self.batch.rows();
        match &node.kind {
            NodeKind::Column(slot) => self.batch.columns[*slot].clone(),
            NodeKind::Literal(value) => Column::constant(value, node.sql_type, rows),
            NodeKind::Arithmetic { op, left, right } => self.arithmetic(*op, left, right, asked),
            NodeKind::Compare { op, left, right } => self.compare(*op, left, right, asked),
            NodeKind::And(left, right) => self.either(left, right, false, asked),
            NodeKind::Or(left, right) => self.either(left, right, true, asked),
            NodeKind::Not(operand) => match self.node(operand, asked) {
                Column::Boolean(array) => {
                    Column::Boolean(BooleanArray::new(!array.values(), array.nulls().cloned()))
                }
                other => Column::nothing(SqlType::Boolean, other.len()),
            },
            NodeKind::IsNull(operand) => {
                let column = self.node(operand, asked);
                let nulls =
                    column.nulls().map_or_else(|| BooleanBuffer::new_unset(rows), |nulls| !nulls.inner());
                Column::Boolean(BooleanArray::new(nulls, None))
            }
            NodeKind::Case { branches, otherwise } => {
                self.case(branches, otherwise.as_deref(), node.sql_type, asked)
            }
            NodeKind::Cast(operand) => {
                let column = self.node(operand, asked);
                self.cast(&column, node.sql_type, asked)
            }
            NodeKind::Call { call, args } if call.kernel().is_some() && args.len() == 1 => {
                let column = self.node(&args[0], asked);
                match (column, call.kernel()) {
                    (Column::Double(array), Some(kernel)) => Column::Double(array.unary(kernel)),
                    (column, _) => Column::nothing(node.sql_type, column.len()),
                }
            }
            // The rest is row by row: texts have no kernels that would be faster.
            _ => self.row_by_row(node, asked),
        }
    }

    fn row_by_row(&mut self, node: &Node, asked: Asked<'_>) -> Column {
        let mut builder = ColumnBuilder::new(node.sql_type, self.batch.rows());
        for row in 0..self.batch.rows() {
            if !self.wants(row, asked) {
                builder.append_null();
                continue;
            }
            match node.at(self.batch, row) {
                Ok(value) => builder.append(&value),
                Err(cause) => {
                    self.fail(row, cause);
                    builder.append_null();
                }
            }
        }
        builder.finish()
    }

    fn arithmetic(&mut self, op: ArithmeticOp, left: &Node, right: &Node, asked: Asked<'_>) -> Column {
        let sql_type = left.sql_type;
        match (self.node(left, asked), self.node(right, asked)) {
            (Column::Double(a), Column::Double(b)) => {
                let values = a.values().iter().zip(b.values());
                let nulls = NullBuffer::union(a.nulls(), b.nulls());
                let values = match op {
                    ArithmeticOp::Add => values.map(|(a, b)| a + b).collect(),
                    ArithmeticOp::Subtract => values.map(|(a, b)| a - b).collect(),
                    ArithmeticOp::Multiply => values.map(|(a, b)| a * b).collect(),
                    ArithmeticOp::Divide => values.map(|(a, b)| a / b).collect(),
                    ArithmeticOp::Modulo => values.map(|(a, b)| arithmetic::double(op, *a, *b)).collect(),
                };
                Column::Double(Float64Array::new(values, nulls))
            }
            (Column::Int(a), Column::Int(b)) => Column::Int(self.whole(op, &a, &b, asked)),
            (Column::BigInt(a), Column::BigInt(b)) => Column::BigInt(self.whole(op, &a, &b, asked)),
            (a, _) => Column::nothing(sql_type, a.len()),
        }
    }

    fn whole<T>(
        &mut self,
        op: ArithmeticOp,
        a: &PrimitiveArray<T>,
        b: &PrimitiveArray<T>,
        asked: Asked<'_>,
    ) -> PrimitiveArray<T>
    where
        T: types::ArrowPrimitiveType,
        T::Native: Whole + Default,
    {
        let nulls = NullBuffer::union(a.nulls(), b.nulls());
        let mut values = Vec::with_capacity(a.len());
        for (row, (a, b)) in a.values().iter().zip(b.values()).enumerate() {
            values.push(match T::Native::apply(op, *a, *b) {
                Ok(value) => value,
                Err(cause) => {
                    if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) && self.wants(row, asked) {
                        self.fail(row, cause);
                    }
                    T::Native::default()
                }
            });
        }
        PrimitiveArray::new(values.into(), nulls)
    }

    fn compare(&mut self, op: CompareOp, left: &Node, right: &Node, asked: Asked<'_>) -> Column {
        let a = self.node(left, asked);
        let b = self.node(right, asked);
        let found = match (&a, &b) {
            (Column::Double(a), Column::Double(b)) => {
                compare_values(op, a.values(), b.values(), f64::partial_cmp)
            }
            (Column::Int(a), Column::Int(b)) => {
                compare_values(op, a.values(), b.values(), |a, b| Some(a.cmp(b)))
            }
            (Column::BigInt(a), Column::BigInt(b)) => {
                compare_values(op, a.values(), b.values(), |a, b| Some(a.cmp(b)))
            }
            (Column::Varchar(a), Column::Varchar(b)) => {
                BooleanBuffer::collect_bool(a.len(), |row| op.holds(Some(a.value(row).cmp(b.value(row)))))
            }
            _ => BooleanBuffer::collect_bool(a.len(), |row| op.apply(&a.datum(row), &b.datum(row))),
        };
        Column::Boolean(BooleanArray::new(mask_nulls(op, found, a.nulls(), b.nulls()), None))
    }

    /// `AND` (decided by false) and `OR` (decided by true).
    fn either(&mut self, left: &Node, right: &Node, decides: bool, asked: Asked<'_>) -> Column {
        let left = self.boolean(left, asked);
        let left_decides = decided(&left, decides);
        let right = if right.can_fail {
            let undecided = !&left_decides;
            let undecided = asked.map_or_else(|| undecided.clone(), |asked| asked & &undecided);
            self.boolean(right, Some(&undecided))
        } else {
            self.boolean(right, None)
        };
        let right_decides = decided(&right, decides);
        let decided_rows = &left_decides | &right_decides;
        let values = if decides { decided_rows.clone() } else { !&decided_rows };
        let known = NullBuffer::union(left.nulls(), right.nulls())
            .map(|known| NullBuffer::new(known.inner() | &decided_rows))
            .filter(|known| known.null_count() > 0);
        Column::Boolean(BooleanArray::new(values, known))
    }

    fn boolean(&mut self, node: &Node, asked: Asked<'_>) -> BooleanArray {
        match self.node(node, asked) {
            Column::Boolean(array) => array,
            other => BooleanArray::new_null(other.len()),
        }
    }

    fn case(
        &mut self,
        branches: &[(Node, Node)],
        otherwise: Option<&Node>,
        sql_type: SqlType,
        asked: Asked<'_>,
    ) -> Column {
        let rows = self.batch.rows();
        let mut open = asked.cloned().unwrap_or_else(|| BooleanBuffer::new_set(rows));
        let mut parts = Vec::with_capacity(branches.len() + 1);
        for (when, then) in branches {
            let when = self.boolean(when, Some(&open));
            let taken = &open & &decided(&when, true);
            open = &open & &!&taken;
            parts.push((self.node(then, Some(&taken)), taken));
        }
        if let Some(otherwise) = otherwise {
            parts.push((self.node(otherwise, Some(&open)), open));
        }
        let mut source = vec![None; rows];
        for (index, (_, taken)) in parts.iter().enumerate() {
            taken.set_indices().for_each(|row| source[row] = Some(index));
        }
        if sql_type == SqlType::Double {
            let value = |(row, source): (usize, &Option<usize>)| match &parts[(*source)?].0 {
                Column::Double(array) if array.is_valid(row) => Some(array.value(row)),
                _ => None,
            };
            return Column::Double(source.iter().enumerate().map(value).collect());
        }
        let mut builder = ColumnBuilder::new(sql_type, rows);
        for (row, source) in source.iter().enumerate() {
            match source {
                Some(part) => builder.append(&parts[*part].0.datum(row)),
                None => builder.append_null(),
            }
        }
        builder.finish()
    }

    fn cast(&mut self, column: &Column, to: SqlType, asked: Asked<'_>) -> Column {
        match (column, to) {
            (Column::Int(array), SqlType::Double) => return Column::Double(array.unary(f64::from)),
            (Column::Int(array), SqlType::BigInt) => return Column::BigInt(array.unary(i64::from)),
            #[expect(clippy::cast_precision_loss, reason = "as in Java")]
            (Column::BigInt(array), SqlType::Double) => return Column::Double(array.unary(|v| v as f64)),
            _ => {}
        }
        let mut builder = ColumnBuilder::new(to, column.len());
        for row in 0..column.len() {
            if !self.wants(row, asked) {
                builder.append_null();
                continue;
            }
            match cast::datum(column.datum(row), to) {
                Ok(value) => builder.append(&value),
                Err(cause) => {
                    self.fail(row, cause);
                    builder.append_null();
                }
            }
        }
        builder.finish()
    }
}

/// The rows where `array` is `value`.
fn decided(array: &BooleanArray, value: bool) -> BooleanBuffer {
    let matching = if value { array.values().clone() } else { !array.values() };
    array.nulls().map_or_else(|| matching.clone(), |known| &matching & known.inner())
}

fn compare_values<T>(
    op: CompareOp,
    a: &[T],
    b: &[T],
    order: fn(&T, &T) -> Option<Ordering>,
) -> BooleanBuffer {
    BooleanBuffer::collect_bool(a.len(), |row| op.holds(order(&a[row], &b[row])))
}

/// Puts in what comparisons with `NULL` give.
fn mask_nulls(
    op: CompareOp,
    found: BooleanBuffer,
    a: Option<&NullBuffer>,
    b: Option<&NullBuffer>,
) -> BooleanBuffer {
    let Some(known) = NullBuffer::union(a, b) else { return found };
    if !matches!(op, CompareOp::Distinct | CompareOp::NotDistinct) {
        return &found & known.inner();
    }
    let null = |nulls: Option<&NullBuffer>, row: usize| nulls.is_some_and(|nulls| nulls.is_null(row));
    BooleanBuffer::collect_bool(found.len(), |row| match (null(a, row), null(b, row)) {
        (false, false) => found.value(row),
        (a, b) => op.holds_for_null(a && b),
    })
}
