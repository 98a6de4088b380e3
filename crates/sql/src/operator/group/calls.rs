//! The aggregates of a grouping over many rows: call by call, so that what a call does is decided once per batch.

use super::store::Store;
use crate::batch::Batch;
use crate::function::aggregate::{Aggregate, Held, Row, State};
use crate::operator::RowFault;
use crate::plan::group::GroupCall;
use crate::{Column, ColumnBuilder};
use arrow_array::builder::Float64Builder;
use arrow_array::{Array as _, BooleanArray, Float64Array};
use std::ops::Range;

/// A row and the group that it goes to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub(super) slot: u32,
    pub(super) row: u32,
}

impl Target {
    /// The row's number.
    #[expect(clippy::as_conversions, reason = "a u32 fits a usize on every supported machine")]
    pub(super) const fn row(self) -> usize {
        self.row as usize
    }
}

/// The calls, and where the state of each stands in that of its group.
#[derive(Debug)]
pub(super) struct Calls {
    placed: Vec<Placed>,
    pub(super) words: usize,
    pub(super) lists: usize,
}

#[derive(Debug)]
struct Placed {
    aggregate: Aggregate,
    args: Vec<usize>,
    words: Range<usize>,
    lists: Range<usize>,
}

impl Calls {
    pub(super) fn new(calls: &[GroupCall]) -> Self {
        let (mut words, mut lists) = (0, 0);
        let mut placed = Vec::with_capacity(calls.len());
        for GroupCall { aggregate, args } in calls {
            let (first_word, first_list) = (words, lists);
            words += aggregate.words();
            lists += usize::from(aggregate.holds());
            placed.push(Placed {
                aggregate: aggregate.clone(),
                args: args.clone(),
                words: first_word..words,
                lists: first_list..lists,
            });
        }
        Self { placed, words, lists }
    }

    /// Takes rows into their groups, in order, and out where `retracted` says so. Gives a column per call with the result
    /// after each row, where `emit`.
    pub(super) fn run(
        &self,
        batch: &Batch,
        targets: &[Target],
        retracted: Option<&BooleanArray>,
        store: &mut Store,
        emit: bool,
        faults: &mut Vec<RowFault>,
    ) -> Vec<Column> {
        let mut results = Vec::new();
        for call in &self.placed {
            let args: Vec<&Column> = call.args.iter().map(|slot| &batch.columns[*slot]).collect();
            let mut builder = emit.then(|| ColumnBuilder::new(call.aggregate.returns(), targets.len()));
            match (&call.aggregate, args.as_slice(), &mut builder, retracted) {
                (
                    Aggregate::AverageDouble,
                    [Column::Double(array)],
                    Some(ColumnBuilder::Double(means)),
                    None,
                ) => {
                    average(array, targets, call.words.start, store, means);
                }
                (_, args, builder, retracted) => {
                    call.run(batch, targets, args, retracted, store, builder.as_mut(), faults);
                }
            }
            results.extend(builder.as_mut().map(ColumnBuilder::finish));
        }
        results
    }

    /// Takes one row in: for groups that stand alone.
    pub(super) fn add(
        &self,
        batch: &Batch,
        row: usize,
        words: &mut [u64],
        held: &mut [Held],
        faults: &mut Vec<RowFault>,
    ) {
        for call in &self.placed {
            let args: Vec<&Column> = call.args.iter().map(|slot| &batch.columns[*slot]).collect();
            let offset = batch.offsets[row];
            let state = State { words: &mut words[call.words.clone()], held: &mut held[call.lists.clone()] };
            if let Err(fault) = call.aggregate.add(state, &Row { args: &args, index: row, offset }) {
                faults.push(RowFault { offset, message: fault.to_string() });
            }
        }
    }

    /// Takes in all that another group has, which began later.
    pub(super) fn merge(
        &self,
        (words, held): (&mut [u64], &mut [Held]),
        (from_words, from_held): (&mut [u64], &mut [Held]),
    ) {
        for call in &self.placed {
            let into = State { words: &mut words[call.words.clone()], held: &mut held[call.lists.clone()] };
            let from = State {
                words: &mut from_words[call.words.clone()],
                held: &mut from_held[call.lists.clone()],
            };
            call.aggregate.merge(into, from);
        }
    }

    /// Builders for results.
    pub(super) fn builders(&self, rows: usize) -> Vec<ColumnBuilder> {
        self.placed.iter().map(|call| ColumnBuilder::new(call.aggregate.returns(), rows)).collect()
    }

    /// Appends the results of a group; what does not fit is `NULL`, and reported.
    pub(super) fn results(
        &self,
        words: &[u64],
        held: &[Held],
        offset: i64,
        into: &mut [ColumnBuilder],
        faults: &mut Vec<RowFault>,
    ) {
        for (call, builder) in self.placed.iter().zip(into) {
            call.result(words, held, offset, builder, faults);
        }
    }
}

impl Placed {
    #[expect(clippy::too_many_arguments, reason = "one call of one batch: what it reads and what it changes")]
    fn run(
        &self,
        batch: &Batch,
        targets: &[Target],
        args: &[&Column],
        retracted: Option<&BooleanArray>,
        store: &mut Store,
        mut builder: Option<&mut ColumnBuilder>,
        faults: &mut Vec<RowFault>,
    ) {
        for target in targets {
            let row = target.row();
            let offset = batch.offsets[row];
            let (words, held) = store.state_mut(target.slot);
            let input = Row { args, index: row, offset };
            let state = State { words: &mut words[self.words.clone()], held: &mut held[self.lists.clone()] };
            if retracted.is_some_and(|retracted| retracted.value(row)) {
                self.aggregate.remove(state, &input);
            } else if let Err(fault) = self.aggregate.add(state, &input) {
                faults.push(RowFault { offset, message: fault.to_string() });
            }
            if let Some(builder) = builder.as_deref_mut() {
                self.result(words, held, offset, builder, faults);
            }
        }
    }

    fn result(
        &self,
        words: &[u64],
        held: &[Held],
        offset: i64,
        builder: &mut ColumnBuilder,
        faults: &mut Vec<RowFault>,
    ) {
        match self.aggregate.result(&words[self.words.clone()], &held[self.lists.clone()]) {
            Ok(value) => builder.append(&value),
            Err(fault) => {
                faults.push(RowFault { offset, message: fault.to_string() });
                builder.append_null();
            }
        }
    }
}

/// `AVG` of doubles, the aggregate that is asked for most.
#[expect(clippy::cast_precision_loss, reason = "a count of rows is far below 2^53")]
fn average(
    array: &Float64Array,
    targets: &[Target],
    first_word: usize,
    store: &mut Store,
    means: &mut Float64Builder,
) {
    for target in targets {
        let row = target.row();
        let Some([sum, count]) = store.state_mut(target.slot).0.get_mut(first_word..first_word + 2) else {
            return;
        };
        if array.is_valid(row) {
            *sum = (f64::from_bits(*sum) + array.value(row)).to_bits();
            *count += 1;
        }
        if *count == 0 {
            means.append_null();
        } else {
            means.append_value(f64::from_bits(*sum) / *count as f64);
        }
    }
}
