//! Evaluation of all rows at once, as kernels over Arrow arrays.
//!
//! A node is evaluated for the rows that are *asked*: those that no earlier operand decided (`AND`, `OR`, `CASE`). Rows
//! that were not asked hold anything; nobody looks at them. Where a node cannot fail, all rows are computed. A literal
//! is not spread over a column where it is an operand.

use super::arithmetic::Whole;
use super::kernel::{self, Operand};
use super::size::Filler;
use super::{ArithmeticOp, Fault, Node, NodeKind, arithmetic, cast, nested};
use crate::batch::Batch;
use crate::limits::COLUMN_BYTES_MAX;
use crate::{Column, ColumnBuilder, Datum, Decimal, SqlType};
use arrow_array::{Array, ArrowPrimitiveType, BooleanArray, Float64Array, PrimitiveArray, types};
use arrow_buffer::{BooleanBuffer, NullBuffer};

/// All rows of `batch`. Rows with a fault are `NULL`.
pub(super) fn evaluate(node: &Node, batch: &Batch, fault: &mut dyn FnMut(usize, Fault)) -> Column {
    let mut pass = Pass { batch, faults: Vec::new() };
    let column = pass.node(node, None);
    if pass.faults.is_empty() {
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
    /// The first fault of each row. Empty as long as there is none.
    faults: Vec<Option<Fault>>,
}

impl Pass<'_> {
    fn fail(&mut self, row: usize, cause: Fault) {
        if self.faults.is_empty() {
            self.faults = vec![None; self.batch.rows()];
        }
        if let Some(place @ None) = self.faults.get_mut(row) {
            *place = Some(cause);
        }
    }

    /// Whether a row is asked and has not failed yet.
    fn wants(&self, row: usize, asked: Asked<'_>) -> bool {
        asked.is_none_or(|asked| asked.value(row)) && self.faults.get(row).is_none_or(Option::is_none)
    }

    fn operand<'n>(&mut self, node: &'n Node, asked: Asked<'_>) -> Operand<'n> {
        if let NodeKind::Literal(value) = &node.kind {
            return Operand::Constant(value.as_borrowed());
        }
        Operand::Column(self.node(node, asked))
    }

    fn node(&mut self, node: &Node, asked: Asked<'_>) -> Column {
        let rows = self.batch.rows();
        match &node.kind {
            NodeKind::Column(slot) => self.batch.columns[*slot].clone(),
            NodeKind::Literal(value) if fits(value, rows) => Column::constant(value, node.sql_type, rows),
            NodeKind::Arithmetic { op, left, right } => {
                let (left, right) = (self.operand(left, asked), self.operand(right, asked));
                self.arithmetic(*op, &left, &right, node.sql_type, asked)
            }
            NodeKind::Compare { op, left, right } => {
                let (left, right) = (self.operand(left, asked), self.operand(right, asked));
                Column::Boolean(kernel::compare(*op, &left, &right, rows))
            }
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
            NodeKind::Like { operand, compiled: Some(pattern), .. } => match self.node(operand, asked) {
                Column::Varchar(array) => Column::Boolean(kernel::like(&array, pattern)),
                other => Column::nothing(SqlType::Boolean, other.len()),
            },
            NodeKind::In { operand, list } => self.one_of(node, operand, list, asked),
            NodeKind::Case { branches, otherwise } => {
                self.case(branches, otherwise.as_deref(), node.sql_type, asked)
            }
            NodeKind::Cast(operand) => {
                let column = self.node(operand, asked);
                self.cast(&column, operand.sql_type, node.sql_type, asked)
            }
            NodeKind::Field { .. } | NodeKind::Index { .. } => self.part(node, asked),
            NodeKind::Call { call, args, .. } if call.kernel().is_some() && args.len() == 1 => {
                let column = self.node(&args[0], asked);
                match (column, call.kernel()) {
                    (Column::Double(array), Some(kernel)) => Column::Double(array.unary(kernel)),
                    (column, _) => Column::nothing(node.sql_type, column.len()),
                }
            }
            // The rest is row by row: there are no kernels that would be faster.
            _ => self.row_by_row(node, asked),
        }
    }

    /// `IN`.
    fn one_of(&mut self, node: &Node, operand: &Node, list: &[Node], asked: Asked<'_>) -> Column {
        let constants: Option<Vec<_>> = list
            .iter()
            .map(|item| match &item.kind {
                NodeKind::Literal(value) if item.sql_type == operand.sql_type => Some(value),
                _ => None,
            })
            .collect();
        let Some(constants) = constants else { return self.row_by_row(node, asked) };
        let column = self.node(operand, asked);
        let found = kernel::one_of(&column, &constants).unwrap_or_else(|| {
            let one = |row: usize| {
                let value = column.datum(row);
                constants.iter().any(|item| super::CompareOp::Equal.apply(&value, item))
            };
            BooleanArray::new(BooleanBuffer::collect_bool(column.len(), one), None)
        });
        Column::Boolean(found)
    }

    /// A field of structs, or an element of arrays or maps, without a copy of what it stands in.
    fn part(&mut self, node: &Node, asked: Asked<'_>) -> Column {
        let (operand, index) = match &node.kind {
            NodeKind::Field { operand, place } => (operand, Err(*place)),
            NodeKind::Index { operand, index } => (operand, Ok(index)),
            _ => return self.row_by_row(node, asked),
        };
        let column = self.node(operand, asked);
        let index = index.map(|index| self.operand(index, asked));
        let Column::Nested(values) = &column else { return Column::nothing(node.sql_type, column.len()) };
        let mut builder = ColumnBuilder::new(node.sql_type, column.len());
        for (row, value) in values.values().iter().enumerate() {
            let found = match &index {
                Err(place) => nested::field(value, *place),
                Ok(index) => nested::index(value, &index.datum(row)),
            };
            builder.append(found.unwrap_or(&Datum::Null));
        }
        builder.finish()
    }

    fn row_by_row(&mut self, node: &Node, asked: Asked<'_>) -> Column {
        let mut filler = Filler::new(node.sql_type, self.batch.rows());
        for row in 0..self.batch.rows() {
            if !self.wants(row, asked) {
                filler.append_null();
                continue;
            }
            match node.at(self.batch, row) {
                Ok(value) => {
                    if let Err(cause) = filler.append(&value) {
                        self.fail(row, cause);
                    }
                }
                Err(cause) => {
                    self.fail(row, cause);
                    filler.append_null();
                }
            }
        }
        filler.finish()
    }

    fn arithmetic(
        &mut self,
        op: ArithmeticOp,
        left: &Operand<'_>,
        right: &Operand<'_>,
        sql_type: SqlType,
        asked: Asked<'_>,
    ) -> Column {
        use Operand::{Column as C, Constant as K};
        let nulls = NullBuffer::union(left.nulls(), right.nulls());
        match (left, right) {
            (K(Datum::Null), _) | (_, K(Datum::Null)) => Column::nothing(sql_type, self.batch.rows()),
            (C(Column::Double(a)), C(Column::Double(b))) => {
                Column::Double(doubles(op, a.values().iter().copied().zip(b.values().iter().copied()), nulls))
            }
            (C(Column::Double(a)), K(Datum::Double(b))) => {
                Column::Double(doubles(op, a.values().iter().map(|a| (*a, *b)), nulls))
            }
            (K(Datum::Double(a)), C(Column::Double(b))) => {
                Column::Double(doubles(op, b.values().iter().map(|b| (*a, *b)), nulls))
            }
            (C(Column::Int(a)), C(Column::Int(b))) => {
                let pairs = a.values().iter().copied().zip(b.values().iter().copied());
                Column::Int(self.whole(op, pairs, nulls, asked))
            }
            (C(Column::Int(a)), K(Datum::Int(b))) => {
                Column::Int(self.whole(op, a.values().iter().map(|a| (*a, *b)), nulls, asked))
            }
            (K(Datum::Int(a)), C(Column::Int(b))) => {
                Column::Int(self.whole(op, b.values().iter().map(|b| (*a, *b)), nulls, asked))
            }
            (C(Column::BigInt(a)), C(Column::BigInt(b))) => {
                let pairs = a.values().iter().copied().zip(b.values().iter().copied());
                Column::BigInt(self.whole(op, pairs, nulls, asked))
            }
            (C(Column::BigInt(a)), K(Datum::BigInt(b))) => {
                Column::BigInt(self.whole(op, a.values().iter().map(|a| (*a, *b)), nulls, asked))
            }
            (K(Datum::BigInt(a)), C(Column::BigInt(b))) => {
                Column::BigInt(self.whole(op, b.values().iter().map(|b| (*a, *b)), nulls, asked))
            }
            _ => self.mixed(op, left, right, sql_type, asked),
        }
    }

    /// Decimals, and literals on both sides.
    fn mixed(
        &mut self,
        op: ArithmeticOp,
        left: &Operand<'_>,
        right: &Operand<'_>,
        sql_type: SqlType,
        asked: Asked<'_>,
    ) -> Column {
        let mut builder = ColumnBuilder::new(sql_type, self.batch.rows());
        for row in 0..self.batch.rows() {
            let (a, b) = (left.datum(row), right.datum(row));
            if a.is_null() || b.is_null() || !self.wants(row, asked) {
                builder.append_null();
                continue;
            }
            match arithmetic::datum(op, &a, &b, sql_type) {
                Ok(value) => builder.append(&value),
                Err(cause) => {
                    self.fail(row, cause);
                    builder.append_null();
                }
            }
        }
        builder.finish()
    }

    fn whole<T>(
        &mut self,
        op: ArithmeticOp,
        pairs: impl Iterator<Item = (T::Native, T::Native)>,
        nulls: Option<NullBuffer>,
        asked: Asked<'_>,
    ) -> PrimitiveArray<T>
    where
        T: ArrowPrimitiveType,
        T::Native: Whole + Default,
    {
        let mut values = Vec::with_capacity(self.batch.rows());
        for (row, (a, b)) in pairs.enumerate() {
            values.push(match T::Native::apply(op, a, b) {
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

    fn cast(&mut self, column: &Column, from: SqlType, to: SqlType, asked: Asked<'_>) -> Column {
        match (column, to) {
            (Column::Int(array), SqlType::Double) => return Column::Double(array.unary(f64::from)),
            (Column::Int(array), SqlType::BigInt) => return Column::BigInt(array.unary(i64::from)),
            #[expect(clippy::cast_precision_loss, reason = "as in Java")]
            (Column::BigInt(array), SqlType::Double) => return Column::Double(array.unary(|v| v as f64)),
            (Column::Decimal(array), SqlType::Double) => {
                let scale = u8::try_from(array.scale()).unwrap_or(0);
                return Column::Double(
                    array.unary::<_, types::Float64Type>(|v| Decimal::new(v, scale).to_f64()),
                );
            }
            _ => {}
        }
        let mut filler = Filler::new(to, column.len());
        for row in 0..column.len() {
            if !self.wants(row, asked) {
                filler.append_null();
                continue;
            }
            let cast = match cast::value(column.datum(row), from, to) {
                Ok(value) => filler.append(&value),
                Err(cause) => {
                    filler.append_null();
                    Err(cause)
                }
            };
            if let Err(cause) = cast {
                self.fail(row, cause);
            }
        }
        filler.finish()
    }
}

fn doubles(
    op: ArithmeticOp,
    pairs: impl Iterator<Item = (f64, f64)>,
    nulls: Option<NullBuffer>,
) -> Float64Array {
    let values = match op {
        ArithmeticOp::Add => pairs.map(|(a, b)| a + b).collect(),
        ArithmeticOp::Subtract => pairs.map(|(a, b)| a - b).collect(),
        ArithmeticOp::Multiply => pairs.map(|(a, b)| a * b).collect(),
        ArithmeticOp::Divide => pairs.map(|(a, b)| a / b).collect(),
        ArithmeticOp::Modulo => pairs.map(|(a, b)| arithmetic::double(op, a, b)).collect(),
    };
    Float64Array::new(values, nulls)
}

/// Whether so many copies of a value fit into one column.
fn fits(value: &Datum<'_>, rows: usize) -> bool {
    let bytes = match value {
        Datum::Varchar(v) => v.len(),
        Datum::Bytes(v) => v.len(),
        _ => 0,
    };
    bytes.saturating_mul(rows) <= COLUMN_BYTES_MAX
}

/// The rows where `array` is `value`.
fn decided(array: &BooleanArray, value: bool) -> BooleanBuffer {
    let matching = if value { array.values().clone() } else { !array.values() };
    array.nulls().map_or_else(|| matching.clone(), |known| &matching & known.inner())
}
