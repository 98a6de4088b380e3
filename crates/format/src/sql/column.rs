//! Columns: Arrow arrays of SQL types.

use super::{Datum, Decimal, SqlType};
use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int32Builder,
    Int64Builder, StringBuilder, Time32MillisecondBuilder, TimestampMillisecondBuilder,
};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array,
    Int64Array, StringArray, Time32MillisecondArray, TimestampMillisecondArray, UInt32Array,
};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use std::borrow::Cow;
use std::sync::Arc;

/// The values of one SQL type in many rows: an Arrow array, except for types that hold other values. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// `BOOLEAN`.
    Boolean(BooleanArray),
    /// `INT`.
    Int(Int32Array),
    /// `BIGINT`.
    BigInt(Int64Array),
    /// `DECIMAL`; the array's type has its precision and scale.
    Decimal(Decimal128Array),
    /// `DOUBLE`.
    Double(Float64Array),
    /// `VARCHAR`.
    Varchar(StringArray),
    /// `BYTES`.
    Bytes(BinaryArray),
    /// `DATE`.
    Date(Date32Array),
    /// `TIME`.
    Time(Time32MillisecondArray),
    /// `TIMESTAMP`.
    Timestamp(TimestampMillisecondArray),
    /// `ARRAY`, `MAP`, `STRUCT`.
    Nested(NestedColumn),
}

/// Values that hold other values, one by one: no kernel looks into them.
#[derive(Debug, Clone, PartialEq)]
pub struct NestedColumn {
    sql_type: SqlType,
    values: Arc<[Datum<'static>]>,
    /// `None` where no value is `NULL`.
    nulls: Option<NullBuffer>,
}

impl NestedColumn {
    /// A column of these values, each of them of `sql_type` or `NULL`.
    pub fn new(sql_type: SqlType, values: impl Into<Arc<[Datum<'static>]>>) -> Self {
        let values = values.into();
        let nulls: NullBuffer = values.iter().map(|value| !value.is_null()).collect();
        Self { sql_type, values, nulls: Some(nulls).filter(|nulls| nulls.null_count() > 0) }
    }

    /// The values.
    pub fn values(&self) -> &[Datum<'static>] {
        &self.values
    }

    fn pick(&self, rows: impl Iterator<Item = usize>) -> Self {
        let pick = |row: usize| self.values.get(row).cloned().unwrap_or(Datum::Null);
        Self::new(self.sql_type, rows.map(pick).collect::<Vec<_>>())
    }
}

macro_rules! each {
    ($column:expr, $array:ident => $body:expr, $nested:ident => $other:expr) => {
        match $column {
            Column::Boolean($array) => $body,
            Column::Int($array) => $body,
            Column::BigInt($array) => $body,
            Column::Decimal($array) => $body,
            Column::Double($array) => $body,
            Column::Varchar($array) => $body,
            Column::Bytes($array) => $body,
            Column::Date($array) => $body,
            Column::Time($array) => $body,
            Column::Timestamp($array) => $body,
            Column::Nested($nested) => $other,
        }
    };
}

impl Column {
    /// How many rows.
    pub fn len(&self) -> usize {
        each!(self, array => array.len(), nested => nested.values.len())
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of its values.
    pub fn sql_type(&self) -> SqlType {
        match self {
            Self::Boolean(_) => SqlType::Boolean,
            Self::Int(_) => SqlType::Int,
            Self::BigInt(_) => SqlType::BigInt,
            Self::Decimal(array) => SqlType::Decimal {
                precision: array.precision(),
                scale: array.scale().try_into().unwrap_or(0),
            },
            Self::Double(_) => SqlType::Double,
            Self::Varchar(_) => SqlType::Varchar,
            Self::Bytes(_) => SqlType::Bytes,
            Self::Date(_) => SqlType::Date,
            Self::Time(_) => SqlType::Time,
            Self::Timestamp(_) => SqlType::Timestamp,
            Self::Nested(nested) => nested.sql_type,
        }
    }

    /// Which rows are `NULL`; `None` where none is.
    pub fn nulls(&self) -> Option<&NullBuffer> {
        each!(self, array => array.nulls(), nested => nested.nulls.as_ref())
    }

    /// Whether a row is `NULL`. `row` must be less than [`Column::len`].
    pub fn is_null(&self, row: usize) -> bool {
        each!(self, array => array.is_null(row), nested => nested.values[row].is_null())
    }

    /// The value of a row. `row` must be less than [`Column::len`].
    pub fn datum(&self, row: usize) -> Datum<'_> {
        if self.is_null(row) {
            return Datum::Null;
        }
        match self {
            Self::Boolean(array) => Datum::Boolean(array.value(row)),
            Self::Int(array) => Datum::Int(array.value(row)),
            Self::BigInt(array) => Datum::BigInt(array.value(row)),
            Self::Decimal(array) => {
                Datum::Decimal(Decimal::new(array.value(row), array.scale().try_into().unwrap_or(0)))
            }
            Self::Double(array) => Datum::Double(array.value(row)),
            Self::Varchar(array) => Datum::Varchar(Cow::Borrowed(array.value(row))),
            Self::Bytes(array) => Datum::Bytes(Cow::Borrowed(array.value(row))),
            Self::Date(array) => Datum::Date(array.value(row)),
            Self::Time(array) => Datum::Time(array.value(row)),
            Self::Timestamp(array) => Datum::Timestamp(array.value(row)),
            Self::Nested(nested) => nested.values[row].as_borrowed(),
        }
    }

    /// `rows` times the same value, which must be of `sql_type` or `NULL`.
    pub fn constant(value: &Datum<'_>, sql_type: SqlType, rows: usize) -> Self {
        match value {
            Datum::Boolean(v) => Self::Boolean(BooleanArray::from(vec![*v; rows])),
            Datum::Int(v) => Self::Int(Int32Array::from(vec![*v; rows])),
            Datum::BigInt(v) => Self::BigInt(Int64Array::from(vec![*v; rows])),
            Datum::Double(v) => Self::Double(Float64Array::from(vec![*v; rows])),
            Datum::Varchar(v) => Self::Varchar(std::iter::repeat_n(Some(v.as_ref()), rows).collect()),
            Datum::Null => Self::nothing(sql_type, rows),
            other => {
                let mut builder = ColumnBuilder::new(sql_type, rows);
                (0..rows).for_each(|_| builder.append(other));
                builder.finish()
            }
        }
    }

    /// `rows` times `NULL`.
    pub fn nothing(sql_type: SqlType, rows: usize) -> Self {
        match sql_type {
            SqlType::Boolean => Self::Boolean(BooleanArray::new_null(rows)),
            SqlType::Int => Self::Int(Int32Array::new_null(rows)),
            SqlType::BigInt => Self::BigInt(Int64Array::new_null(rows)),
            SqlType::Double => Self::Double(Float64Array::new_null(rows)),
            SqlType::Varchar => Self::Varchar(StringArray::new_null(rows)),
            SqlType::Bytes => Self::Bytes(BinaryArray::new_null(rows)),
            SqlType::Date => Self::Date(Date32Array::new_null(rows)),
            SqlType::Time => Self::Time(Time32MillisecondArray::new_null(rows)),
            SqlType::Timestamp => Self::Timestamp(TimestampMillisecondArray::new_null(rows)),
            SqlType::Decimal { .. } => {
                let mut builder = ColumnBuilder::new(sql_type, rows);
                (0..rows).for_each(|_| builder.append_null());
                builder.finish()
            }
            SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_) => {
                Self::Nested(NestedColumn::new(sql_type, vec![Datum::Null; rows]))
            }
        }
    }

    /// Rows `start` to `start + len`, without a copy where the type holds no other values.
    #[must_use]
    pub fn slice(&self, start: usize, len: usize) -> Self {
        match self {
            Self::Boolean(array) => Self::Boolean(array.slice(start, len)),
            Self::Int(array) => Self::Int(array.slice(start, len)),
            Self::BigInt(array) => Self::BigInt(array.slice(start, len)),
            Self::Decimal(array) => Self::Decimal(array.slice(start, len)),
            Self::Double(array) => Self::Double(array.slice(start, len)),
            Self::Varchar(array) => Self::Varchar(array.slice(start, len)),
            Self::Bytes(array) => Self::Bytes(array.slice(start, len)),
            Self::Date(array) => Self::Date(array.slice(start, len)),
            Self::Time(array) => Self::Time(array.slice(start, len)),
            Self::Timestamp(array) => Self::Timestamp(array.slice(start, len)),
            Self::Nested(nested) => Self::Nested(nested.pick(start..start.saturating_add(len))),
        }
    }

    /// Only the rows where `keep`, of the same length, is set.
    #[must_use]
    pub fn filter(&self, keep: &BooleanBuffer) -> Self {
        match self {
            Self::Nested(nested) => Self::Nested(nested.pick(keep.set_indices())),
            column => {
                let predicate = BooleanArray::new(keep.clone(), None);
                column.through(|array| arrow_select::filter::filter(array, &predicate))
            }
        }
    }

    /// The rows of these numbers, in their order. Each must be less than [`Column::len`].
    #[must_use]
    pub fn take(&self, rows: &UInt32Array) -> Self {
        match self {
            Self::Nested(nested) => {
                let rows = rows.values().iter().map(|row| usize::try_from(*row).unwrap_or(usize::MAX));
                Self::Nested(nested.pick(rows))
            }
            column => column.through(|array| arrow_select::take::take(array, rows, None)),
        }
    }

    /// A kernel that gives another array of the same type; it can only fail by a mistake of its caller, who then gets no rows.
    fn through(&self, kernel: impl FnOnce(&dyn Array) -> Result<ArrayRef, arrow_schema::ArrowError>) -> Self {
        let made = each!(self, array => kernel(array), _nested => return self.slice(0, 0));
        made.ok().and_then(|made| self.same_type(&made)).unwrap_or_else(|| self.slice(0, 0))
    }

    fn same_type(&self, array: &dyn Array) -> Option<Self> {
        let any = array.as_any();
        Some(match self {
            Self::Boolean(_) => Self::Boolean(any.downcast_ref::<BooleanArray>()?.clone()),
            Self::Int(_) => Self::Int(any.downcast_ref::<Int32Array>()?.clone()),
            Self::BigInt(_) => Self::BigInt(any.downcast_ref::<Int64Array>()?.clone()),
            Self::Decimal(_) => Self::Decimal(any.downcast_ref::<Decimal128Array>()?.clone()),
            Self::Double(_) => Self::Double(any.downcast_ref::<Float64Array>()?.clone()),
            Self::Varchar(_) => Self::Varchar(any.downcast_ref::<StringArray>()?.clone()),
            Self::Bytes(_) => Self::Bytes(any.downcast_ref::<BinaryArray>()?.clone()),
            Self::Date(_) => Self::Date(any.downcast_ref::<Date32Array>()?.clone()),
            Self::Time(_) => Self::Time(any.downcast_ref::<Time32MillisecondArray>()?.clone()),
            Self::Timestamp(_) => Self::Timestamp(any.downcast_ref::<TimestampMillisecondArray>()?.clone()),
            Self::Nested(_) => return None,
        })
    }
}

/// Builds a [`Column`] value by value.
#[derive(Debug)]
pub enum ColumnBuilder {
    /// `BOOLEAN`.
    Boolean(BooleanBuilder),
    /// `INT`.
    Int(Int32Builder),
    /// `BIGINT`.
    BigInt(Int64Builder),
    /// `DECIMAL`, with its scale.
    Decimal(Decimal128Builder, u8),
    /// `DOUBLE`.
    Double(Float64Builder),
    /// `VARCHAR`.
    Varchar(StringBuilder),
    /// `BYTES`.
    Bytes(BinaryBuilder),
    /// `DATE`.
    Date(Date32Builder),
    /// `TIME`.
    Time(Time32MillisecondBuilder),
    /// `TIMESTAMP`.
    Timestamp(TimestampMillisecondBuilder),
    /// `ARRAY`, `MAP`, `STRUCT`.
    Nested(SqlType, Vec<Datum<'static>>),
}

impl ColumnBuilder {
    /// An empty column with room for `rows`.
    pub fn new(sql_type: SqlType, rows: usize) -> Self {
        match sql_type {
            SqlType::Boolean => Self::Boolean(BooleanBuilder::with_capacity(rows)),
            SqlType::Int => Self::Int(Int32Builder::with_capacity(rows)),
            SqlType::BigInt => Self::BigInt(Int64Builder::with_capacity(rows)),
            SqlType::Decimal { precision, scale } => {
                let data_type =
                    arrow_schema::DataType::Decimal128(precision, scale.try_into().unwrap_or(i8::MAX));
                Self::Decimal(Decimal128Builder::with_capacity(rows).with_data_type(data_type), scale)
            }
            SqlType::Double => Self::Double(Float64Builder::with_capacity(rows)),
            SqlType::Varchar => Self::Varchar(StringBuilder::with_capacity(rows, rows.saturating_mul(16))),
            SqlType::Bytes => Self::Bytes(BinaryBuilder::with_capacity(rows, rows.saturating_mul(16))),
            SqlType::Date => Self::Date(Date32Builder::with_capacity(rows)),
            SqlType::Time => Self::Time(Time32MillisecondBuilder::with_capacity(rows)),
            SqlType::Timestamp => Self::Timestamp(TimestampMillisecondBuilder::with_capacity(rows)),
            SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_) => {
                Self::Nested(sql_type, Vec::with_capacity(rows))
            }
        }
    }

    /// Appends a value. Whole numbers widen to the column's type; a value of any other type becomes `NULL`.
    pub fn append(&mut self, value: &Datum<'_>) {
        match (self, value) {
            (Self::Boolean(builder), value) => builder.append_option(value.as_bool()),
            (Self::Int(builder), Datum::Int(v)) => builder.append_value(*v),
            (Self::Int(builder), _) => builder.append_null(),
            (Self::BigInt(builder), value) => builder.append_option(value.as_i64()),
            (Self::Decimal(builder, scale), Datum::Decimal(v)) if v.scale() == *scale => {
                builder.append_value(v.unscaled());
            }
            (Self::Decimal(builder, _), _) => builder.append_null(),
            (Self::Double(builder), value) => builder.append_option(value.as_f64()),
            (Self::Varchar(builder), value) => builder.append_option(value.as_str()),
            (Self::Bytes(builder), value) => builder.append_option(value.as_bytes()),
            (Self::Date(builder), Datum::Date(v)) => builder.append_value(*v),
            (Self::Date(builder), _) => builder.append_null(),
            (Self::Time(builder), Datum::Time(v)) => builder.append_value(*v),
            (Self::Time(builder), _) => builder.append_null(),
            (Self::Timestamp(builder), Datum::Timestamp(v)) => builder.append_value(*v),
            (Self::Timestamp(builder), _) => builder.append_null(),
            (Self::Nested(SqlType::Array(_), values), Datum::Array(v)) => {
                values.push(Datum::Array(v.clone()));
            }
            (Self::Nested(SqlType::Map(..), values), Datum::Map(v)) => values.push(Datum::Map(v.clone())),
            (Self::Nested(SqlType::Struct(_), values), Datum::Struct(v)) => {
                values.push(Datum::Struct(v.clone()));
            }
            (Self::Nested(_, values), _) => values.push(Datum::Null),
        }
    }

    /// Appends `NULL`.
    pub fn append_null(&mut self) {
        self.append(&Datum::Null);
    }

    /// The column; the builder is empty again afterwards.
    pub fn finish(&mut self) -> Column {
        match self {
            Self::Boolean(builder) => Column::Boolean(builder.finish()),
            Self::Int(builder) => Column::Int(builder.finish()),
            Self::BigInt(builder) => Column::BigInt(builder.finish()),
            Self::Decimal(builder, _) => Column::Decimal(builder.finish()),
            Self::Double(builder) => Column::Double(builder.finish()),
            Self::Varchar(builder) => Column::Varchar(builder.finish()),
            Self::Bytes(builder) => Column::Bytes(builder.finish()),
            Self::Date(builder) => Column::Date(builder.finish()),
            Self::Time(builder) => Column::Time(builder.finish()),
            Self::Timestamp(builder) => Column::Timestamp(builder.finish()),
            Self::Nested(sql_type, values) => {
                Column::Nested(NestedColumn::new(*sql_type, std::mem::take(values)))
            }
        }
    }
}
