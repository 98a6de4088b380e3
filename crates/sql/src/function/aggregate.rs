//! Aggregates. The state of each is a fixed number of values that stand in the changelog as they are.

use crate::expression::Fault;
use crate::expression::arithmetic::order;
use crate::{Column, Datum, SqlType};

/// One aggregate function.
#[derive(Debug)]
pub(crate) struct AggregateFunction {
    pub(crate) name: &'static str,
    pub(crate) doc: &'static str,
    /// The kind for an argument of this type (`None`: `COUNT(*)`); `None` where there is none.
    resolve: fn(Option<SqlType>) -> Option<Aggregate>,
}

/// Every aggregate.
pub(crate) const AGGREGATES: &[AggregateFunction] = &[
    AggregateFunction {
        name: "COUNT",
        doc: "COUNT(*): how many rows; COUNT(x): how many where x is not NULL.",
        resolve: |arg| Some(if arg.is_some() { Aggregate::Count } else { Aggregate::CountAll }),
    },
    AggregateFunction {
        name: "SUM",
        doc: "The sum; NULL is left out. Of whole numbers it is whole, and NULL (reported) where it does not fit.",
        resolve: |arg| match arg? {
            SqlType::Int => Some(Aggregate::SumWhole(SqlType::Int)),
            SqlType::BigInt => Some(Aggregate::SumWhole(SqlType::BigInt)),
            SqlType::Double => Some(Aggregate::SumDouble),
            _ => None,
        },
    },
    AggregateFunction {
        name: "AVG",
        doc: "The mean; NULL is left out, and where there is nothing else the mean is NULL (ksqlDB says 0.0).",
        resolve: |arg| arg?.is_numeric().then_some(Aggregate::Average),
    },
    AggregateFunction {
        name: "MIN",
        doc: "The least value; NULL is left out.",
        resolve: |arg| arg.map(Aggregate::Min),
    },
    AggregateFunction {
        name: "MAX",
        doc: "The greatest value; NULL is left out.",
        resolve: |arg| arg.map(Aggregate::Max),
    },
    AggregateFunction {
        name: "EARLIEST_BY_OFFSET",
        doc: "The first value that came; NULL is left out.",
        resolve: |arg| arg.map(Aggregate::Earliest),
    },
    AggregateFunction {
        name: "LATEST_BY_OFFSET",
        doc: "The last value that came; NULL is left out.",
        resolve: |arg| arg.map(Aggregate::Latest),
    },
];

/// The aggregate of this name.
pub(crate) fn find(name: &str) -> Option<&'static AggregateFunction> {
    AGGREGATES.iter().find(|aggregate| aggregate.name == name)
}

impl AggregateFunction {
    /// The aggregate for an argument of this type; `None` where it takes no such argument.
    pub(crate) fn resolve(&self, arg: Option<SqlType>) -> Option<Aggregate> {
        (self.resolve)(arg)
    }
}

/// An aggregate over arguments of a known type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregate {
    CountAll,
    Count,
    /// Adds in 64 bits; a sum of `INT`s must fit 32 in the end.
    SumWhole(SqlType),
    SumDouble,
    Average,
    Min(SqlType),
    Max(SqlType),
    Earliest(SqlType),
    Latest(SqlType),
}

impl Aggregate {
    /// The type of the result.
    pub(crate) const fn returns(self) -> SqlType {
        match self {
            Self::CountAll | Self::Count => SqlType::BigInt,
            Self::SumDouble | Self::Average => SqlType::Double,
            Self::SumWhole(t) | Self::Min(t) | Self::Max(t) | Self::Earliest(t) | Self::Latest(t) => t,
        }
    }

    /// How many values its state has.
    pub(crate) const fn width(self) -> usize {
        if matches!(self, Self::Average) { 2 } else { 1 }
    }

    /// Appends the state of no rows.
    pub(crate) fn initial(self, state: &mut Vec<Datum<'static>>) {
        match self {
            Self::CountAll | Self::Count | Self::SumWhole(_) => state.push(Datum::BigInt(0)),
            Self::SumDouble => state.push(Datum::Double(0.0)),
            Self::Average => state.extend([Datum::Double(0.0), Datum::BigInt(0)]),
            Self::Min(_) | Self::Max(_) | Self::Earliest(_) | Self::Latest(_) => state.push(Datum::Null),
        }
    }

    /// Takes one row in. `state` has [`Aggregate::width`] values; `arg` is `None` for `COUNT(*)`.
    pub(crate) fn update(self, state: &mut [Datum<'static>], arg: Option<&Column>, row: usize) {
        if self == Self::CountAll {
            if let [Datum::BigInt(count)] = state {
                *count += 1;
            }
            return;
        }
        let Some(arg) = arg.filter(|arg| !arg.is_null(row)) else { return };
        match (self, state) {
            (Self::Count, [Datum::BigInt(count)]) => *count += 1,
            (Self::SumWhole(_), [sum]) => {
                // Once it does not fit it stays NULL: there is no right number to go on with.
                let added = sum.as_i64().zip(arg.datum(row).as_i64()).and_then(|(sum, v)| sum.checked_add(v));
                *sum = added.map_or(Datum::Null, Datum::BigInt);
            }
            (Self::SumDouble, [Datum::Double(sum)]) => *sum += number(arg, row),
            (Self::Average, [Datum::Double(sum), Datum::BigInt(count)]) => {
                *sum += number(arg, row);
                *count += 1;
            }
            (Self::Min(_), [best]) => keep(best, arg, row, std::cmp::Ordering::is_lt),
            (Self::Max(_), [best]) => keep(best, arg, row, std::cmp::Ordering::is_gt),
            (Self::Earliest(_), [first @ Datum::Null]) => *first = arg.datum(row).into_owned(),
            (Self::Latest(_), [last]) => *last = arg.datum(row).into_owned(),
            _ => {}
        }
    }

    /// The result for a state.
    pub(crate) fn result<'s>(self, state: &'s [Datum<'static>]) -> Result<Datum<'s>, Fault> {
        Ok(match (self, state) {
            (Self::SumWhole(to), [Datum::Null]) => return Err(Fault::Overflow("a sum", to)),
            (Self::SumWhole(SqlType::Int), [Datum::BigInt(sum)]) => {
                Datum::Int(i32::try_from(*sum).map_err(|_| Fault::Overflow("a sum", SqlType::Int))?)
            }
            (Self::Average, [Datum::Double(sum), Datum::BigInt(count)]) =>
            {
                #[expect(clippy::cast_precision_loss, reason = "a count of rows is far below 2^53")]
                if *count == 0 {
                    Datum::Null
                } else {
                    Datum::Double(sum / *count as f64)
                }
            }
            (_, [value, ..]) => value.as_borrowed(),
            (_, []) => Datum::Null,
        })
    }
}

fn number(column: &Column, row: usize) -> f64 {
    match column {
        Column::Double(array) => array.value(row),
        column => column.datum(row).as_f64().unwrap_or(0.0),
    }
}

fn keep(best: &mut Datum<'static>, arg: &Column, row: usize, wins: fn(std::cmp::Ordering) -> bool) {
    let value = arg.datum(row);
    // NaN is less and greater than nothing; a number beside it counts.
    let is_nan = |value: &Datum<'_>| matches!(value, Datum::Double(v) if v.is_nan());
    if best.is_null() || (is_nan(best) && !is_nan(&value)) || order(&value, best).is_some_and(wins) {
        *best = value.into_owned();
    }
}
