//! Columns: Arrow arrays of SQL types.

use super::{Datum, SqlType};
use arrow_array::builder::{BooleanBuilder, Float64Builder, Int32Builder, Int64Builder, StringBuilder};
use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, StringArray};
use arrow_buffer::NullBuffer;
use std::borrow::Cow;
use std::sync::Arc;

/// An Arrow array of one SQL type. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// `BOOLEAN`.
    Boolean(BooleanArray),
    /// `INT`.
    Int(Int32Array),
    /// `BIGINT`.
    BigInt(Int64Array),
    /// `DOUBLE`.
    Double(Float64Array),
    /// `VARCHAR`.
    Varchar(StringArray),
}

macro_rules! each {
    ($column:expr, $array:ident => $body:expr) => {
        match $column {
            Column::Boolean($array) => $body,
            Column::Int($array) => $body,
            Column::BigInt($array) => $body,
            Column::Double($array) => $body,
            Column::Varchar($array) => $body,
        }
    };
}

impl Column {
    /// How many rows.
    pub fn len(&self) -> usize {
        each!(self, array => array.len())
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of its values.
    pub const fn sql_type(&self) -> SqlType {
        match self {
            Self::Boolean(_) => SqlType::Boolean,
            Self::Int(_) => SqlType::Int,
            Self::BigInt(_) => SqlType::BigInt,
            Self::Double(_) => SqlType::Double,
            Self::Varchar(_) => SqlType::Varchar,
        }
    }

    /// Which rows are `NULL`; `None` where none is.
    pub fn nulls(&self) -> Option<&NullBuffer> {
        each!(self, array => array.nulls())
    }

    /// Whether a row is `NULL`. `row` must be less than [`Column::len`].
    pub fn is_null(&self, row: usize) -> bool {
        each!(self, array => array.is_null(row))
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
            Self::Double(array) => Datum::Double(array.value(row)),
            Self::Varchar(array) => Datum::Varchar(Cow::Borrowed(array.value(row))),
        }
    }

    /// `rows` times the same value.
    pub fn constant(value: &Datum<'_>, sql_type: SqlType, rows: usize) -> Self {
        match value {
            Datum::Boolean(v) => Self::Boolean(BooleanArray::from(vec![*v; rows])),
            Datum::Int(v) => Self::Int(Int32Array::from(vec![*v; rows])),
            Datum::BigInt(v) => Self::BigInt(Int64Array::from(vec![*v; rows])),
            Datum::Double(v) => Self::Double(Float64Array::from(vec![*v; rows])),
            Datum::Varchar(v) => Self::Varchar(std::iter::repeat_n(Some(v.as_ref()), rows).collect()),
            Datum::Null => Self::nothing(sql_type, rows),
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
        }
    }

    /// Rows `start` to `start + len`, without a copy.
    #[must_use]
    pub fn slice(&self, start: usize, len: usize) -> Self {
        match self {
            Self::Boolean(array) => Self::Boolean(array.slice(start, len)),
            Self::Int(array) => Self::Int(array.slice(start, len)),
            Self::BigInt(array) => Self::BigInt(array.slice(start, len)),
            Self::Double(array) => Self::Double(array.slice(start, len)),
            Self::Varchar(array) => Self::Varchar(array.slice(start, len)),
        }
    }

    /// As an array of any type, for Arrow's kernels.
    pub fn to_array(&self) -> ArrayRef {
        match self {
            Self::Boolean(array) => Arc::new(array.clone()),
            Self::Int(array) => Arc::new(array.clone()),
            Self::BigInt(array) => Arc::new(array.clone()),
            Self::Double(array) => Arc::new(array.clone()),
            Self::Varchar(array) => Arc::new(array.clone()),
        }
    }

    /// From an array; `None` where its type is no SQL type.
    pub fn from_array(array: &dyn Array) -> Option<Self> {
        let any = array.as_any();
        if let Some(array) = any.downcast_ref::<BooleanArray>() {
            Some(Self::Boolean(array.clone()))
        } else if let Some(array) = any.downcast_ref::<Int32Array>() {
            Some(Self::Int(array.clone()))
        } else if let Some(array) = any.downcast_ref::<Int64Array>() {
            Some(Self::BigInt(array.clone()))
        } else if let Some(array) = any.downcast_ref::<Float64Array>() {
            Some(Self::Double(array.clone()))
        } else {
            any.downcast_ref::<StringArray>().map(|array| Self::Varchar(array.clone()))
        }
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
    /// `DOUBLE`.
    Double(Float64Builder),
    /// `VARCHAR`.
    Varchar(StringBuilder),
}

impl ColumnBuilder {
    /// An empty column with room for `rows`.
    pub fn new(sql_type: SqlType, rows: usize) -> Self {
        match sql_type {
            SqlType::Boolean => Self::Boolean(BooleanBuilder::with_capacity(rows)),
            SqlType::Int => Self::Int(Int32Builder::with_capacity(rows)),
            SqlType::BigInt => Self::BigInt(Int64Builder::with_capacity(rows)),
            SqlType::Double => Self::Double(Float64Builder::with_capacity(rows)),
            SqlType::Varchar => Self::Varchar(StringBuilder::with_capacity(rows, rows.saturating_mul(16))),
        }
    }

    /// Appends a value. Whole numbers widen to the column's type; a value of any other type becomes `NULL`.
    pub fn append(&mut self, value: &Datum<'_>) {
        match (self, value) {
            (Self::Boolean(builder), value) => builder.append_option(value.as_bool()),
            (Self::Int(builder), Datum::Int(v)) => builder.append_value(*v),
            (Self::Int(builder), _) => builder.append_null(),
            (Self::BigInt(builder), value) => builder.append_option(value.as_i64()),
            (Self::Double(builder), value) => builder.append_option(value.as_f64()),
            (Self::Varchar(builder), value) => builder.append_option(value.as_str()),
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
            Self::Double(builder) => Column::Double(builder.finish()),
            Self::Varchar(builder) => Column::Varchar(builder.finish()),
        }
    }
}
