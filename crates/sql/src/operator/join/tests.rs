//! Goal: joins give what their definition says.
//!
//! Method: random rows go through one operator; what comes out, or what it leaves behind for tables, is compared with the
//! definition computed over all rows at once. The operator is saved and loaded into a new one at random steps.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::match_bool,
    clippy::too_many_lines,
    reason = "numbers of a test are small, and its branches short"
)]

use super::*;
use crate::operator::Output;
use crate::parse::ast::JoinKind;
use crate::plan::query_plan::{Fields, Resolve as ResolvePlan, Subscribe as SubscribePlan};
use crate::state::Changes;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// One row: side, key, value, time, whether it deletes.
type Event = (usize, Option<i32>, i32, i64, bool);

fn side(keep: &[usize]) -> Side {
    let fields: Fields = keep.iter().map(|slot| (format!("C{slot}").into(), SqlType::Int)).collect();
    Side { key: vec![0], keep: keep.to_vec(), fields }
}

fn join(kind: JoinKind, method: JoinMethod) -> Join {
    Join {
        name: "Join-1".to_owned(),
        kind,
        method,
        left: side(&[0, 1]),
        right: side(&[0, 1]),
        key_types: vec![SqlType::Int],
        gives_key: true,
        primary: Vec::new(),
    }
}

fn batch(offset: i64, columns: &[Datum<'static>], time: i64, deleted: bool) -> Batch {
    let columns = columns.iter().map(|value| {
        let mut builder = ColumnBuilder::new(SqlType::Int, 1);
        builder.append(value);
        builder.finish()
    });
    let mut batch = Batch::one(0).with_columns(columns.collect());
    batch.timestamps = vec![time].into();
    batch.offsets = vec![offset].into();
    batch.deleted = deleted.then(|| [true].into_iter().collect());
    batch
}

fn row_of(event: &Event) -> [Datum<'static>; 2] {
    [event.1.map_or(Datum::Null, Datum::Int), Datum::Int(event.2)]
}

/// The rows of a result: values, time, whether it deletes.
fn rows(out: &Output) -> Vec<(Row, i64, bool)> {
    let of = |batch: &Batch| {
        let row = |row: usize| {
            let values = batch.columns.iter().map(|column| column.datum(row).into_owned()).collect();
            (values, batch.timestamps[row], batch.is_deleted(row))
        };
        (0..batch.rows()).map(row).collect::<Vec<_>>()
    };
    out.batches.iter().flat_map(of).collect()
}

/// Saves an operator's changes as its changelog has them, and loads them into a new one.
fn reborn(
    operator: &mut dyn Operator,
    saved: &mut BTreeMap<Vec<u8>, Vec<u8>>,
    new: impl Fn() -> Box<dyn Operator>,
) -> Box<dyn Operator> {
    let mut changes = Changes::new();
    operator.save(&mut changes);
    for (key, value) in changes {
        match value {
            Some(value) => drop(saved.insert(key, value)),
            None => drop(saved.remove(&key)),
        }
    }
    let mut made = new();
    for (key, value) in saved.iter() {
        made.load(key, value).expect("it was saved");
    }
    made
}

fn run(
    events: &[Event],
    deaths: &[bool],
    new: &dyn Fn() -> Box<dyn Operator>,
) -> (Vec<(Row, i64, bool)>, u64) {
    let (mut made, mut saved, mut operator, mut late) = (Vec::new(), BTreeMap::new(), new(), 0);
    for (offset, event) in (0..).zip(events) {
        let mut out = Output::default();
        operator
            .on_batch(event.0, batch(offset, &row_of(event), event.3, event.4), &mut out)
            .expect("it runs");
        made.extend(rows(&out));
        late += out.late;
        if deaths.get(event.3 as usize % deaths.len().max(1)) == Some(&true) {
            operator = reborn(operator.as_mut(), &mut saved, new);
        }
    }
    (made, late)
}

fn kinds() -> impl Strategy<Value = JoinKind> {
    prop_oneof![Just(JoinKind::Inner), Just(JoinKind::Left), Just(JoinKind::Right), Just(JoinKind::Full)]
}

fn events(deletes: bool) -> impl Strategy<Value = Vec<Event>> {
    let key = prop_oneof![9 => (0..3_i32).prop_map(Some), 1 => Just(None)];
    let deleted = if deletes { prop::bool::weighted(0.3).boxed() } else { Just(false).boxed() };
    prop::collection::vec((0..2_usize, key, 0..100_i32, 0..60_i64, deleted), 0..60)
}

/// The joined row of two sides, or of one.
fn expected_row(left: Option<&Event>, right: Option<&Event>) -> (Row, i64) {
    let side = |event: Option<&Event>| event.map_or([Datum::Null, Datum::Null], row_of);
    let key = left.or(right).map_or(Datum::Null, |event| row_of(event)[0].clone());
    let time = left.iter().chain(&right).map(|event| event.3).max().unwrap_or_default();
    ([side(left).as_slice(), &side(right), &[key]].concat(), time)
}

fn sorted(rows: &[(Row, i64)]) -> Vec<String> {
    let mut rows: Vec<_> = rows.iter().map(|row| format!("{row:?}")).collect();
    rows.sort();
    rows
}

proptest! {
    /// Streams: every pair within the time, both not over when the second came; every other row of a kept side once.
    #[test]
    fn streams_meet_within_their_time(
        kind in kinds(), mut events in events(false), before in 0..15_i64, after in 0..15_i64, grace in 0..10_i64,
        deaths in prop::collection::vec(any::<bool>(), 7),
    ) {
        // Time goes on, with some rows out of order; the last one ends all.
        for (at, event) in (0..).zip(&mut events) {
            event.3 += at * 3;
        }
        events.push((0, Some(99), 0, 10_000, false));
        events.push((1, Some(98), 0, 10_000, false));
        let method = JoinMethod::Streams { before_ms: before, after_ms: after, grace_ms: grace };
        let new = || operator(&join(kind, method));
        let (made, late) = run(&events, &deaths, &new);
        let end = |event: &Event| event.3 + grace + if event.0 == 0 { after } else { before };
        let (mut now, mut expected, mut held, mut lates) = (i64::MIN, Vec::new(), Vec::<(Event, bool)>::new(), 0);
        let keeps = |side: usize| match kind {
            JoinKind::Inner => false,
            JoinKind::Left => side == 0,
            JoinKind::Right => side == 1,
            JoinKind::Full => true,
        };
        let alone = |event: &Event| if event.0 == 0 { expected_row(Some(event), None) } else { expected_row(None, Some(event)) };
        for event in &events {
            now = now.max(event.3);
            held.retain(|(one, joined)| {
                let over = end(one) < now;
                if over && !joined && keeps(one.0) {
                    expected.push(alone(one));
                }
                !over
            });
            if event.1.is_none() {
                if keeps(event.0) {
                    expected.push(alone(event));
                }
            } else if end(event) < now {
                lates += 1;
            } else {
                let mut joined = false;
                for (other, marked) in &mut held {
                    let (left, right) = if event.0 == 0 { (event, &*other) } else { (&*other, event) };
                    if other.0 != event.0
                        && other.1 == event.1
                        && (left.3 - before..=left.3 + after).contains(&right.3)
                    {
                        expected.push(expected_row(Some(left), Some(right)));
                        (joined, *marked) = (true, true);
                    }
                }
                held.push((*event, joined));
            }
        }
        let made: Vec<_> = made.into_iter().map(|(row, time, _)| (row, time)).collect();
        prop_assert_eq!(sorted(&made), sorted(&expected));
        prop_assert_eq!(late, lates);
    }

    /// A stream's row comes with the table's row of that moment.
    #[test]
    fn a_stream_sees_the_table_as_it_is(
        left in any::<bool>(), mut events in events(true), deaths in prop::collection::vec(any::<bool>(), 7),
    ) {
        events.iter_mut().filter(|event| event.0 == 0).for_each(|event| event.4 = false);
        let kind = if left { JoinKind::Left } else { JoinKind::Inner };
        let (made, _) = run(&events, &deaths, &|| operator(&join(kind, JoinMethod::StreamTable)));
        let (mut table, mut expected) = (BTreeMap::new(), Vec::new());
        for event in &events {
            match (event.0, event.1) {
                (1, Some(key)) if event.4 => drop(table.remove(&key)),
                (1, Some(key)) => drop(table.insert(key, *event)),
                (1, None) => {}
                (_, key) => {
                    let partner = key.and_then(|key| table.get(&key));
                    if left || partner.is_some() {
                        expected.push((expected_row(Some(event), partner).0, event.3));
                    }
                }
            }
        }
        let made: Vec<_> = made.into_iter().map(|(row, time, _)| (row, time)).collect();
        prop_assert_eq!(made, expected);
    }

    /// Tables: after every change, the rows that were given and not deleted are the join of both.
    #[test]
    fn tables_are_joined_after_every_change(
        kind in kinds(), events in events(true), deaths in prop::collection::vec(any::<bool>(), 7),
    ) {
        let new = || operator(&join(kind, JoinMethod::Tables));
        let (mut saved, mut operator) = (BTreeMap::new(), new());
        let mut tables = [BTreeMap::new(), BTreeMap::new()];
        let mut result = BTreeMap::new();
        for (offset, event) in (0..).zip(&events) {
            let mut out = Output::default();
            operator.on_batch(event.0, batch(offset, &row_of(event), event.3, event.4), &mut out).expect("it runs");
            for (row, _, deleted) in rows(&out) {
                let Some(Datum::Int(key)) = row.last().cloned() else { panic!("no key") };
                if deleted {
                    prop_assert!(result.remove(&key).is_some(), "a row that is not there is deleted");
                } else {
                    result.insert(key, row);
                }
            }
            if let Some(key) = event.1 {
                match event.4 {
                    true => drop(tables[event.0].remove(&key)),
                    false => drop(tables[event.0].insert(key, *event)),
                }
            }
            let expected: BTreeMap<_, _> = (0..3)
                .filter_map(|key| {
                    let (left, right) = (tables[0].get(&key), tables[1].get(&key));
                    let shows = match kind {
                        JoinKind::Inner => left.is_some() && right.is_some(),
                        JoinKind::Left => left.is_some(),
                        JoinKind::Right => right.is_some(),
                        JoinKind::Full => left.is_some() || right.is_some(),
                    };
                    shows.then(|| (key, expected_row(left, right).0))
                })
                .collect();
            prop_assert_eq!(&result, &expected);
            if deaths[offset as usize % deaths.len()] {
                operator = reborn(operator.as_mut(), &mut saved, new);
            }
        }
    }

    /// Foreign keys: whatever the order in which the places of the foreign keys answer, in the end the result is the join.
    #[test]
    fn foreign_keys_find_their_rows_however_the_answers_overtake_one_another(
        left in any::<bool>(),
        // Side, left key or right key, foreign key, value is the number of the event, deletes.
        events in prop::collection::vec((0..2_usize, 0..3_i32, prop::option::weighted(0.8, 0..3_i32), prop::bool::weighted(0.3)), 0..40),
        order in prop::collection::vec(0..5_usize, 200),
        deaths in prop::collection::vec(any::<bool>(), 7),
    ) {
        let kind = if left { JoinKind::Left } else { JoinKind::Inner };
        let mut world = Foreign::new(kind);
        let (mut lefts, mut rights) = (BTreeMap::new(), BTreeMap::new());
        let mut order = order.into_iter().cycle();
        for (at, (side, key, foreign, deleted)) in (0..).zip(events) {
            if side == 0 {
                match deleted {
                    true => drop(lefts.remove(&key)),
                    false => drop(lefts.insert(key, (foreign, at))),
                }
                world.left(key, foreign, at, deleted);
            } else {
                match deleted {
                    true => drop(rights.remove(&key)),
                    false => drop(rights.insert(key, at)),
                }
                world.right(key, at, deleted);
            }
            for _ in 0..order.next().unwrap_or(0) {
                world.deliver(order.next().unwrap_or(0));
            }
            if deaths[at as usize % deaths.len()] {
                world.reborn();
            }
        }
        while world.deliver(order.next().unwrap_or(0)) {}
        let expected: BTreeMap<_, _> = lefts
            .iter()
            .filter_map(|(key, (foreign, at))| {
                let right = foreign.and_then(|foreign| rights.get(&foreign));
                (left || right.is_some()).then(|| (*key, (*at, right.copied())))
            })
            .collect();
        prop_assert_eq!(&world.result, &expected);
        // Nothing is remembered of rows that are gone and of which all places know.
        prop_assert_eq!(world.resolve_known(), lefts.len());
    }
}

const PLACES: usize = 3;

/// A foreign-key join over several partitions, with queues between its parts that run as they like.
struct Foreign {
    kind: JoinKind,
    subscribe: Box<dyn Operator>,
    places: Vec<Box<dyn Operator>>,
    resolve: Box<dyn Operator>,
    /// To the places, and from them.
    to: Vec<std::collections::VecDeque<(usize, Batch)>>,
    from: Vec<std::collections::VecDeque<Batch>>,
    /// Left key to left value and right value.
    result: BTreeMap<i32, (i32, Option<i32>)>,
    offset: i64,
    saved: Vec<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl Foreign {
    fn new(kind: JoinKind) -> Self {
        Self {
            kind,
            subscribe: Self::subscriber(),
            places: (0..PLACES).map(|_| Self::place(kind)).collect(),
            resolve: Self::resolver(),
            to: vec![std::collections::VecDeque::default(); PLACES],
            from: vec![std::collections::VecDeque::default(); PLACES],
            result: BTreeMap::new(),
            offset: 0,
            saved: vec![BTreeMap::new(); PLACES + 2],
        }
    }

    fn subscriber() -> Box<dyn Operator> {
        let fields = ["ID", "FK", "V"].map(|name| (name.into(), SqlType::Int)).to_vec();
        let plan = SubscribePlan { name: "J".to_owned(), primary: vec![0], foreign: vec![1], fields };
        Box::new(Subscribe::new(plan))
    }

    fn place(kind: JoinKind) -> Box<dyn Operator> {
        let mut plan = join(kind, JoinMethod::Foreign);
        let types = [SqlType::Int, SqlType::Int, SqlType::BigInt, SqlType::Int];
        let fields = types.map(|sql_type| ("C".into(), sql_type)).to_vec();
        plan.left = Side { key: vec![1], keep: vec![0, 2, 3, 4], fields };
        (plan.primary, plan.gives_key) = (vec![0], false);
        operator(&plan)
    }

    fn resolver() -> Box<dyn Operator> {
        let primary_types = vec![SqlType::Int];
        Box::new(Resolve::new(ResolvePlan {
            name: "J".to_owned(),
            primary: vec![0],
            primary_types,
            number: 2,
            mark: 3,
        }))
    }

    fn left(&mut self, key: i32, foreign: Option<i32>, value: i32, deleted: bool) {
        let row = [Datum::Int(key), foreign.map_or(Datum::Null, Datum::Int), Datum::Int(value)];
        self.offset += 1;
        let mut out = Output::default();
        self.subscribe.on_batch(0, batch(self.offset, &row, 0, deleted), &mut out).expect("it runs");
        for rows in out.batches {
            for row in 0..rows.rows() {
                let place = rows.columns[1].datum(row).as_i64().unwrap_or(0) as usize % PLACES;
                self.to[place].push_back((0, rows.slice(row, 1)));
            }
        }
    }

    fn right(&mut self, key: i32, value: i32, deleted: bool) {
        let row = [Datum::Int(key), Datum::Int(value)];
        self.to[key as usize % PLACES].push_back((1, batch(0, &row, 0, deleted)));
    }

    /// Lets one waiting batch go on, if there is any.
    fn deliver(&mut self, start: usize) -> bool {
        for at in (start..start + PLACES).map(|at| at % PLACES) {
            if let Some((port, asked)) = self.to[at].pop_front() {
                let mut out = Output::default();
                self.places[at].on_batch(port, asked, &mut out).expect("it runs");
                self.from[at].extend(out.batches);
                return true;
            }
        }
        for at in (start..start + PLACES).map(|at| at % PLACES) {
            if let Some(answer) = self.from[at].pop_front() {
                let mut out = Output::default();
                self.resolve.on_batch(0, answer, &mut out).expect("it runs");
                for (row, _, deleted) in rows(&out) {
                    let int = |at: usize| row[at].as_i64().map(|value| value as i32);
                    let key = int(0).expect("a key");
                    match deleted {
                        true => drop(self.result.remove(&key)),
                        false => drop(self.result.insert(key, (int(1).unwrap_or(-1), int(5)))),
                    }
                }
                return true;
            }
        }
        false
    }

    fn reborn(&mut self) {
        let kind = self.kind;
        self.subscribe = reborn(self.subscribe.as_mut(), &mut self.saved[PLACES], Self::subscriber);
        self.resolve = reborn(self.resolve.as_mut(), &mut self.saved[PLACES + 1], Self::resolver);
        for (place, saved) in self.places.iter_mut().zip(&mut self.saved) {
            *place = reborn(place.as_mut(), saved, || Self::place(kind));
        }
    }

    /// How many left rows the last part remembers.
    fn resolve_known(&mut self) -> usize {
        self.resolve = reborn(self.resolve.as_mut(), &mut self.saved[PLACES + 1], Self::resolver);
        self.saved[PLACES + 1].len()
    }
}
