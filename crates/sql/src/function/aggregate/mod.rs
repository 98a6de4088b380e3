//! Aggregates: each is defined once, in [`AGGREGATES`], with what it takes, what it remembers and whether it can forget.
//!
//! What an aggregate remembers of a group is bounded: some numbers of 64 bits ([`number`], the fast way), or a list of
//! values that has a limit ([`list`]), or a sketch ([`distinct`]). It stands in the changelog as it is.

mod distinct;
mod list;
mod number;
mod resolve;
#[cfg(test)]
mod tests;
mod value;

pub(crate) use list::Held;
#[cfg(test)]
use resolve::Fitted;
pub(crate) use resolve::{AggregateArgument, AggregateFunction};

use crate::expression::Fault;
use crate::{Column, Datum, SqlType};

/// Every aggregate.
pub(crate) const AGGREGATES: &[AggregateFunction] = resolve::AGGREGATES;

/// The aggregate of this name.
pub(crate) fn find(name: &str) -> Option<&'static AggregateFunction> {
    AGGREGATES.iter().find(|aggregate| aggregate.name == name || aggregate.aliases.contains(&name))
}

/// An aggregate over arguments of known types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Aggregate {
    CountAll,
    Count,
    /// Adds `INT`s or `BIGINT`s in 128 bits; the sum must fit the type in the end.
    SumWhole(SqlType),
    SumDecimal {
        precision: u8,
        scale: u8,
    },
    SumDouble,
    /// The sum of the elements of arrays of this type.
    SumList(SqlType),
    AverageWhole,
    AverageDouble,
    /// `MIN`, or `MAX` where `greatest`.
    Extreme {
        greatest: bool,
        of: SqlType,
    },
    /// The first or the last value, in the order of offsets.
    Position {
        latest: bool,
        of: SqlType,
        /// Whether `NULL` is a value, too.
        nulls: bool,
    },
    /// The first or the last `count` values, in the order of offsets.
    Positions {
        latest: bool,
        of: SqlType,
        count: usize,
        nulls: bool,
    },
    CollectList {
        of: SqlType,
        limit: usize,
    },
    CollectSet {
        of: SqlType,
        limit: usize,
    },
    /// How often each text came.
    Histogram {
        limit: usize,
    },
    /// The value, where all are the same.
    Attribute(SqlType),
    CountDistinct,
    /// Sample standard deviation.
    Deviation,
    /// Pearson's coefficient.
    Correlation,
    /// The greatest values of the first argument; with more arguments, structs of all of them.
    Top {
        element: SqlType,
        count: usize,
        distinct: bool,
    },
}

/// What an aggregate remembers of one group: numbers, and values where it has any.
#[derive(Debug)]
pub(crate) struct State<'s> {
    pub(crate) words: &'s mut [u64],
    /// One list where [`Aggregate::holds`], else none.
    pub(crate) held: &'s mut [Held],
}

/// One row's arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'b> {
    pub(crate) args: &'b [&'b Column],
    /// Its number in the columns.
    pub(crate) index: usize,
    pub(crate) offset: i64,
}

impl Row<'_> {
    fn is_null(&self, arg: usize) -> bool {
        self.args.get(arg).is_none_or(|column| column.is_null(self.index))
    }

    fn datum(&self, arg: usize) -> Datum<'_> {
        self.args.get(arg).map_or(Datum::Null, |column| column.datum(self.index))
    }

    fn double(&self, arg: usize) -> Option<f64> {
        match self.args.get(arg)? {
            column if column.is_null(self.index) => None,
            Column::Double(array) => Some(array.value(self.index)),
            column => column.datum(self.index).as_f64(),
        }
    }
}

impl Aggregate {
    /// The type of the result.
    pub(crate) fn returns(&self) -> SqlType {
        match self {
            Self::CountAll | Self::Count | Self::CountDistinct => SqlType::BigInt,
            Self::SumDouble
            | Self::AverageWhole
            | Self::AverageDouble
            | Self::Deviation
            | Self::Correlation => SqlType::Double,
            Self::SumDecimal { precision, scale } => {
                SqlType::Decimal { precision: *precision, scale: *scale }
            }
            Self::SumWhole(of)
            | Self::SumList(of)
            | Self::Extreme { of, .. }
            | Self::Position { of, .. }
            | Self::Attribute(of) => *of,
            Self::Positions { of, .. } | Self::CollectList { of, .. } | Self::CollectSet { of, .. } => {
                SqlType::array(*of)
            }
            Self::Histogram { .. } => SqlType::map(SqlType::Varchar, SqlType::BigInt),
            Self::Top { element, .. } => SqlType::array(*element),
        }
    }

    /// Whether a row that was taken in can be taken out again: what a table's groups need.
    pub(crate) const fn can_remove(&self) -> bool {
        matches!(
            self,
            Self::CountAll
                | Self::Count
                | Self::SumWhole(_)
                | Self::SumDecimal { .. }
                | Self::SumDouble
                | Self::SumList(_)
                | Self::AverageWhole
                | Self::AverageDouble
                | Self::CollectList { .. }
                | Self::Histogram { .. }
                | Self::Attribute(_)
                | Self::Deviation
                | Self::Correlation
        )
    }

    /// How many numbers it remembers.
    pub(crate) fn words(&self) -> usize {
        match self {
            Self::Positions { .. } | Self::CountDistinct | Self::Top { .. } => 0,
            Self::Extreme { of, .. } => 2 * usize::from(value::is_word(*of)),
            Self::CountAll
            | Self::Count
            | Self::CollectList { .. }
            | Self::CollectSet { .. }
            | Self::Histogram { .. }
            | Self::Attribute(_) => 1,
            Self::SumDouble | Self::AverageDouble | Self::SumWhole(_) => 2,
            Self::Position { of, .. } => 2 + usize::from(value::is_word(*of)),
            Self::SumDecimal { .. } | Self::SumList(_) | Self::AverageWhole | Self::Deviation => 3,
            Self::Correlation => 6,
        }
    }

    /// Whether it remembers a list of values.
    pub(crate) fn holds(&self) -> bool {
        match self {
            Self::Extreme { of, .. } | Self::Position { of, .. } => !value::is_word(*of),
            Self::Positions { .. }
            | Self::CollectList { .. }
            | Self::CollectSet { .. }
            | Self::Histogram { .. }
            | Self::Attribute(_)
            | Self::CountDistinct
            | Self::Top { .. } => true,
            _ => false,
        }
    }

    /// The most bytes that a group's state takes in the changelog, as far as the type of the values says it.
    pub(crate) fn state_bytes_max(&self) -> usize {
        let of = |sql_type: SqlType| value::bytes_guess(sql_type);
        let held = match self {
            Self::Extreme { of: t, .. } | Self::Position { of: t, .. } if self.holds() => of(*t),
            Self::Positions { of: t, count, .. } => count.saturating_mul(of(*t).saturating_add(9)),
            Self::CollectList { of: t, limit } | Self::CollectSet { of: t, limit } => {
                limit.saturating_mul(of(*t))
            }
            Self::Histogram { limit } => limit.saturating_mul(of(SqlType::Varchar).saturating_add(9)),
            Self::Attribute(t) => list::ATTRIBUTE_VALUES_MAX.saturating_mul(of(*t).saturating_add(9)),
            Self::CountDistinct => distinct::STATE_BYTES_MAX,
            Self::Top { element, count, .. } => count.saturating_mul(of(*element)),
            _ => 0,
        };
        held.saturating_add(self.words().saturating_mul(8))
    }

    /// Takes a row in. A fault is told once per group: what is remembered says that it was.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a state is two references: whoever has it, has it alone"
    )]
    pub(crate) fn add(&self, state: State<'_>, row: &Row<'_>) -> Result<(), Fault> {
        if self.holds() {
            let [held] = state.held else { return Ok(()) };
            list::add(self, state.words, held, row)
        } else {
            number::add(self, state.words, row);
            Ok(())
        }
    }

    /// Takes out a row that was taken in. Nothing happens where [`Aggregate::can_remove`] says no.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a state is two references: whoever has it, has it alone"
    )]
    pub(crate) fn remove(&self, state: State<'_>, row: &Row<'_>) {
        if self.holds() {
            if let [held] = state.held {
                list::remove(self, state.words, held, row);
            }
        } else {
            number::remove(self, state.words, row);
        }
    }

    /// Takes in all that `from` has: two sessions become one. `from` is the one that began later.
    pub(crate) fn merge(&self, into: State<'_>, from: State<'_>) {
        if self.holds() {
            if let ([into_held], [from_held]) = (into.held, from.held) {
                list::merge(self, (into.words, into_held), (from.words, from_held));
            }
        } else {
            number::merge(self, into.words, from.words);
        }
    }

    /// The result.
    pub(crate) fn result(&self, words: &[u64], held: &[Held]) -> Result<Datum<'static>, Fault> {
        if self.holds() {
            Ok(held.first().map_or(Datum::Null, |held| list::result(self, held)))
        } else {
            number::result(self, words)
        }
    }
}
