//! The table of aggregates: names, documentation, and what each takes.

use super::Aggregate;
use crate::limits::{COLLECTED_VALUES_MAX, HISTOGRAM_ENTRIES_MAX, POSITIONS_MAX};
use crate::{Datum, SqlType};

/// One aggregate function.
#[derive(Debug)]
pub(crate) struct AggregateFunction {
    pub(crate) name: &'static str,
    /// Other names for the same.
    pub(crate) aliases: &'static [&'static str],
    /// How it is called.
    pub(crate) usage: &'static str,
    pub(crate) doc: &'static str,
    /// What its arguments make of it; `None` where it does not take them. No arguments are `*`.
    resolve: fn(&[AggregateArgument]) -> Option<Fitted>,
}

/// What is known of an argument before rows come.
#[derive(Debug, Clone)]
pub(crate) struct AggregateArgument {
    /// `None` for the literal `NULL`.
    pub(crate) sql_type: Option<SqlType>,
    /// The value, where it is written down.
    pub(crate) literal: Option<Datum<'static>>,
}

/// An aggregate and its columns.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fitted {
    pub(crate) aggregate: Aggregate,
    /// The types that the first arguments must be brought to; the others are numbers and truth values that are used up.
    pub(crate) columns: Vec<SqlType>,
}

impl AggregateFunction {
    /// The aggregate for these arguments; `None` where it does not take them.
    pub(crate) fn resolve(&self, args: &[AggregateArgument]) -> Option<Fitted> {
        (self.resolve)(args)
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it ends every resolver")]
fn fitted(aggregate: Aggregate, columns: &[SqlType]) -> Option<Fitted> {
    Some(Fitted { aggregate, columns: columns.to_vec() })
}

/// The type of the only argument; a lone `NULL` is a text.
fn only(args: &[AggregateArgument]) -> Option<SqlType> {
    match args {
        [arg] => Some(arg.sql_type.unwrap_or(SqlType::Varchar)),
        _ => None,
    }
}

/// A number of values, written down.
fn several(arg: &AggregateArgument) -> Option<usize> {
    let count = usize::try_from(arg.literal.as_ref()?.as_i64()?).ok()?;
    (1..=POSITIONS_MAX).contains(&count).then_some(count)
}

fn flag(arg: &AggregateArgument) -> Option<bool> {
    arg.literal.as_ref()?.as_bool()
}

/// Types whose values have an order.
const fn is_ordered(sql_type: SqlType) -> bool {
    !sql_type.is_nested() && !matches!(sql_type, SqlType::Boolean)
}

/// Every aggregate.
pub(super) const AGGREGATES: &[AggregateFunction] = &[
    AggregateFunction {
        name: "COUNT",
        aliases: &[],
        usage: "COUNT(*), COUNT(x)",
        doc: "COUNT(*): how many rows; COUNT(x): how many where x is not NULL.",
        resolve: |args| match args {
            [] => fitted(Aggregate::CountAll, &[]),
            args => fitted(Aggregate::Count, &[only(args)?]),
        },
    },
    AggregateFunction {
        name: "SUM",
        aliases: &[],
        usage: "SUM(INT | BIGINT | DECIMAL | DOUBLE)",
        doc: "The sum, of the argument's type; NULL is left out. NULL, and reported, where it does not fit.",
        resolve: |args| {
            let of = only(args)?;
            let aggregate = match of {
                SqlType::Int | SqlType::BigInt => Aggregate::SumWhole(of),
                SqlType::Double => Aggregate::SumDouble,
                SqlType::Decimal { precision, scale } => Aggregate::SumDecimal { precision, scale },
                _ => return None,
            };
            fitted(aggregate, &[of])
        },
    },
    AggregateFunction {
        name: "SUM_LIST",
        aliases: &[],
        usage: "SUM_LIST(ARRAY<INT | BIGINT | DOUBLE>)",
        doc: "The sum of all elements of all arrays; NULL is left out.",
        resolve: |args| match only(args)? {
            list @ SqlType::Array(of) if matches!(of, SqlType::Int | SqlType::BigInt | SqlType::Double) => {
                fitted(Aggregate::SumList(*of), &[list])
            }
            _ => None,
        },
    },
    AggregateFunction {
        name: "AVG",
        aliases: &[],
        usage: "AVG(number)",
        doc: "The mean; NULL is left out, and where there is nothing else the mean is NULL (ksqlDB says 0.0).",
        resolve: |args| match only(args)? {
            of @ (SqlType::Int | SqlType::BigInt) => fitted(Aggregate::AverageWhole, &[of]),
            of if of.is_numeric() => fitted(Aggregate::AverageDouble, &[SqlType::Double]),
            _ => None,
        },
    },
    AggregateFunction {
        name: "MIN",
        aliases: &[],
        usage: "MIN(x)",
        doc: "The least value; NULL is left out. Not over tables.",
        resolve: |args| extreme(args, false),
    },
    AggregateFunction {
        name: "MAX",
        aliases: &[],
        usage: "MAX(x)",
        doc: "The greatest value; NULL is left out. Not over tables.",
        resolve: |args| extreme(args, true),
    },
    AggregateFunction {
        name: "EARLIEST_BY_OFFSET",
        aliases: &[],
        usage: "EARLIEST_BY_OFFSET(x [, n] [, ignoreNulls])",
        doc: "The first value that came, or the first n (at most 10,000) as an ARRAY. NULL is left out unless ignoreNulls \
              is FALSE. Not over tables.",
        resolve: |args| position(args, false),
    },
    AggregateFunction {
        name: "LATEST_BY_OFFSET",
        aliases: &[],
        usage: "LATEST_BY_OFFSET(x [, n] [, ignoreNulls])",
        doc: "The last value that came, or the last n (at most 10,000) as an ARRAY. NULL is left out unless ignoreNulls \
              is FALSE. Not over tables.",
        resolve: |args| position(args, true),
    },
    AggregateFunction {
        name: "COLLECT_LIST",
        aliases: &[],
        usage: "COLLECT_LIST(x)",
        doc: "All values, NULL included, in the order in which they came; at most 1,000, further ones are left out and \
              the first of them is reported.",
        resolve: |args| {
            let of = only(args)?;
            fitted(Aggregate::CollectList { of, limit: COLLECTED_VALUES_MAX }, &[of])
        },
    },
    AggregateFunction {
        name: "COLLECT_SET",
        aliases: &[],
        usage: "COLLECT_SET(x)",
        doc: "The different values, NULL included, in the order in which they came; at most 1,000, further ones are left \
              out and the first of them is reported. Not over tables.",
        resolve: |args| {
            let of = only(args)?;
            fitted(Aggregate::CollectSet { of, limit: COLLECTED_VALUES_MAX }, &[of])
        },
    },
    AggregateFunction {
        name: "COUNT_DISTINCT",
        aliases: &[],
        usage: "COUNT_DISTINCT(x)",
        doc: "How many different values; NULL is left out. Exact up to 1,024, then estimated with a standard error of \
              0.8 %. Not over tables.",
        resolve: |args| fitted(Aggregate::CountDistinct, &[only(args)?]),
    },
    AggregateFunction {
        name: "HISTOGRAM",
        aliases: &[],
        usage: "HISTOGRAM(VARCHAR)",
        doc: "A MAP of each text to how often it came; at most 1,000 texts, further ones are left out and the first of \
              them is reported.",
        resolve: |args| match only(args)? {
            SqlType::Varchar => {
                fitted(Aggregate::Histogram { limit: HISTOGRAM_ENTRIES_MAX }, &[SqlType::Varchar])
            }
            _ => None,
        },
    },
    AggregateFunction {
        name: "ATTR",
        aliases: &[],
        usage: "ATTR(x)",
        doc: "The value, where all rows of the group have the same one; else NULL.",
        resolve: |args| {
            let of = only(args)?;
            fitted(Aggregate::Attribute(of), &[of])
        },
    },
    AggregateFunction {
        name: "STDDEV_SAMPLE",
        aliases: &["STDDEV_SAMP"],
        usage: "STDDEV_SAMPLE(number)",
        doc: "The sample standard deviation; 0.0 for fewer than two values; NULL is left out. (ksqlDB's STDDEV_SAMP gives \
              the variance.)",
        resolve: |args| only(args)?.is_numeric().then(|| fitted(Aggregate::Deviation, &[SqlType::Double]))?,
    },
    AggregateFunction {
        name: "CORRELATION",
        aliases: &[],
        usage: "CORRELATION(number, number)",
        doc: "Pearson's correlation coefficient of two columns; rows where one is NULL are left out. NaN where it is not \
              defined.",
        resolve: |args| {
            let numbers = args.iter().all(|arg| arg.sql_type.is_none_or(SqlType::is_numeric));
            (args.len() == 2 && numbers).then(|| fitted(Aggregate::Correlation, &[SqlType::Double; 2]))?
        },
    },
    AggregateFunction {
        name: "TOPK",
        aliases: &[],
        usage: "TOPK(x, n), TOPK(x, other, …, n)",
        doc: "The n (at most 10,000) greatest values, the greatest first; NULL is left out. With further columns, structs \
              with the fields `sort_col`, `col0`, `col1`, … Not over tables.",
        resolve: |args| {
            let (count, columns) = args.split_last()?;
            let count = several(count)?;
            let types: Vec<_> = columns.iter().map(|arg| arg.sql_type.unwrap_or(SqlType::Varchar)).collect();
            let first = *types.first().filter(|first| is_ordered(**first))?;
            let element = if types.len() == 1 { first } else { top_struct(first, types.get(1..)?) };
            fitted(Aggregate::Top { element, count, distinct: false }, &types)
        },
    },
    AggregateFunction {
        name: "TOPKDISTINCT",
        aliases: &[],
        usage: "TOPKDISTINCT(x, n)",
        doc: "The n (at most 10,000) greatest different values, the greatest first; NULL is left out. Not over tables.",
        resolve: |args| match args {
            [value, count] => {
                let element = value.sql_type.unwrap_or(SqlType::Varchar);
                let count = several(count).filter(|_| is_ordered(element))?;
                fitted(Aggregate::Top { element, count, distinct: true }, &[element])
            }
            _ => None,
        },
    },
];

fn extreme(args: &[AggregateArgument], greatest: bool) -> Option<Fitted> {
    let of = only(args).filter(|of| is_ordered(*of))?;
    fitted(Aggregate::Extreme { greatest, of }, &[of])
}

fn position(args: &[AggregateArgument], latest: bool) -> Option<Fitted> {
    let (first, rest) = args.split_first()?;
    let of = first.sql_type.unwrap_or(SqlType::Varchar);
    let (count, ignore_nulls) = match rest {
        [] => (None, true),
        [one] => match flag(one) {
            Some(ignore) => (None, ignore),
            None => (Some(several(one)?), true),
        },
        [count, ignore] => (Some(several(count)?), flag(ignore)?),
        _ => return None,
    };
    let nulls = !ignore_nulls;
    let aggregate = match count {
        None => Aggregate::Position { latest, of, nulls },
        Some(count) => Aggregate::Positions { latest, of, count, nulls },
    };
    fitted(aggregate, &[of])
}

/// What `TOPK` gives of several columns.
fn top_struct(first: SqlType, others: &[SqlType]) -> SqlType {
    let names: Vec<String> = (0..others.len()).map(|index| format!("col{index}")).collect();
    let others = names.iter().map(String::as_str).zip(others.iter().copied());
    SqlType::structure(std::iter::once(("sort_col", first)).chain(others))
}
