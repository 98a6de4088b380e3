//! Goal: whatever order rows come in within the grace, however they are batched, and wherever it is killed and restored, a
//! grouping ends where one ends that sees all rows at once. Method: random rows, against a plain recomputation.

use super::*;
use crate::expression::{CompareOp, Node, NodeKind};
use crate::function::aggregate::Aggregate;
use crate::operator::Operator;
use crate::parse::ast::Emit;
use crate::plan::group::{GroupCall, Window};
use crate::state::{Changes, FINGERPRINT_KEY};
use crate::{Column, Datum, SqlType};
use arrow_array::{Int64Array, StringArray};
use proptest::prelude::*;
use std::collections::BTreeMap;

const GAP: i64 = 7;
const FOREVER: i64 = 1_000_000;

/// Key, time, value.
type Row = (u8, i64, i64);

/// Key, start, end; and the results.
type Results = BTreeMap<(String, i64, i64), Vec<i64>>;

fn plan(kind: Option<WindowKind>, emit: Emit, grace_ms: i64, having: bool) -> Plan {
    let sum = Aggregate::SumWhole(SqlType::BigInt);
    let least = Aggregate::Extreme { greatest: false, of: SqlType::BigInt };
    let first_call = 1 + if kind.is_some() { 2 } else { 0 };
    let column = |slot| Box::new(Node::new(NodeKind::Column(slot), SqlType::BigInt));
    let compare = NodeKind::Compare {
        op: CompareOp::Greater,
        left: column(first_call),
        right: Box::new(Node::literal(Datum::BigInt(1), SqlType::BigInt)),
    };
    Plan {
        key: vec![("K".into(), SqlType::Varchar)],
        window: kind.map(|kind| Window { kind, grace_ms, retention_ms: None }),
        calls: vec![
            GroupCall { aggregate: Aggregate::CountAll, args: vec![] },
            GroupCall { aggregate: sum, args: vec![1] },
            GroupCall { aggregate: least, args: vec![1] },
        ],
        retracted: None,
        emit,
        having: having.then(|| Node::new(compare, SqlType::Boolean)),
    }
}

fn batch(rows: &[Row], first_offset: i64) -> Batch {
    let keys = StringArray::from_iter_values(rows.iter().map(|(key, ..)| format!("k{key}")));
    let values = Int64Array::from_iter_values(rows.iter().map(|(_, _, value)| *value));
    Batch {
        columns: vec![Column::Varchar(keys), Column::BigInt(values)],
        timestamps: rows.iter().map(|(_, time, _)| *time).collect::<Vec<_>>().into(),
        offsets: (0..rows.len())
            .map(|row| first_offset + i64::try_from(row).unwrap())
            .collect::<Vec<_>>()
            .into(),
        partition: 0,
        deleted: None,
        now_ms: 0,
    }
}

/// An operator with its changelog and what it has given on, as a table.
struct Run {
    plan: Plan,
    operator: Box<dyn Operator>,
    changelog: BTreeMap<Vec<u8>, Vec<u8>>,
    results: Results,
    late: u64,
    faults: Vec<RowFault>,
}

impl Run {
    fn new(plan: Plan) -> Self {
        let operator = group(plan.clone());
        let (changelog, results) = (BTreeMap::new(), Results::new());
        Self { plan, operator, changelog, results, late: 0, faults: Vec::new() }
    }

    fn process(&mut self, rows: &[Row], first_offset: i64) -> Output {
        let mut out = Output::default();
        self.operator.on_batch(0, batch(rows, first_offset), &mut out).unwrap();
        out
    }

    fn commit(&mut self, out: Output) {
        let mut changes = Changes::new();
        self.operator.save(&mut changes);
        for (key, value) in changes {
            match value {
                Some(value) => drop(self.changelog.insert(key, value)),
                None => drop(self.changelog.remove(&key)),
            }
        }
        self.late += out.late;
        self.faults.extend(out.faults);
        for batch in &out.batches {
            for row in 0..batch.rows() {
                let numbers: Vec<i64> = batch.columns[1..]
                    .iter()
                    .map(|column| column.datum(row).as_i64().unwrap_or(i64::MIN))
                    .collect();
                let key = batch.columns[0].datum(row).to_string();
                let (window, values) = numbers.split_at(if self.plan.window.is_some() { 2 } else { 0 });
                let identity =
                    (key, window.first().copied().unwrap_or(0), window.last().copied().unwrap_or(0));
                if batch.is_deleted(row) {
                    assert!(
                        self.results.remove(&identity).is_some(),
                        "{identity:?} was taken back, but not there"
                    );
                } else {
                    self.results.insert(identity, values.to_vec());
                }
            }
        }
    }

    /// Forgets all but the changelog.
    fn restore(&mut self) {
        self.operator = group(self.plan.clone());
        assert_ne!(self.operator.fingerprint().as_bytes(), FINGERPRINT_KEY);
        for (key, value) in &self.changelog {
            self.operator.load(key, value).unwrap();
        }
    }
}

/// What a grouping that sees all rows at once gives.
fn recompute(rows: &[Row], kind: Option<WindowKind>, having: bool) -> Results {
    let mut groups: BTreeMap<(String, i64, i64), Vec<i64>> = BTreeMap::new();
    let mut put =
        |key: u8, start, end, value| groups.entry((format!("k{key}"), start, end)).or_default().push(value);
    match kind {
        None => {
            for (key, _, value) in rows {
                put(*key, 0, 0, *value);
            }
        }
        Some(WindowKind::Tumbling { size_ms }) => {
            for (key, time, value) in rows {
                let start = time / size_ms * size_ms;
                put(*key, start, start + size_ms, *value);
            }
        }
        Some(WindowKind::Hopping { size_ms, advance_ms }) => {
            for (key, time, value) in rows {
                let starts = (0..=*time).filter(|start| start % advance_ms == 0 && start + size_ms > *time);
                starts.for_each(|start| put(*key, start, start + size_ms, *value));
            }
        }
        Some(WindowKind::Session { gap_ms }) => {
            let mut sorted = rows.to_vec();
            sorted.sort_unstable();
            let same = |a: &Row, b: &Row| a.0 == b.0 && b.1 - a.1 <= gap_ms;
            for session in sorted.chunk_by(same) {
                let (first, last) = (session[0], session[session.len() - 1]);
                for (key, _, value) in session {
                    put(*key, first.1, last.1, *value);
                }
            }
        }
    }
    let results = groups.into_iter().map(|(identity, values)| {
        let count = i64::try_from(values.len()).unwrap();
        (identity, vec![count, values.iter().sum(), *values.iter().min().unwrap()])
    });
    results.filter(|(_, values)| !having || values[0] > 1).collect()
}

fn kinds() -> impl Strategy<Value = Option<WindowKind>> {
    prop_oneof![
        Just(None),
        Just(Some(WindowKind::Tumbling { size_ms: 10 })),
        Just(Some(WindowKind::Hopping { size_ms: 10, advance_ms: 3 })),
        Just(Some(WindowKind::Hopping { size_ms: 10, advance_ms: 10 })),
        Just(Some(WindowKind::Session { gap_ms: GAP })),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn any_order_ends_where_a_batch_does(
        kind in kinds(),
        last_only in any::<bool>(),
        having in any::<bool>(),
        rows in proptest::collection::vec((0..3_u8, 0..120_i64, -9..10_i64), 0..60),
        cuts in proptest::collection::vec((1..9_usize, 0..4_u8), 1..60),
    ) {
        let emit = if last_only && kind.is_some() { Emit::Final } else { Emit::Changes };
        let mut run = Run::new(plan(kind, emit, 200, having));
        let (mut rest, mut offset, mut cuts) = (rows.as_slice(), 0, cuts.iter().cycle());
        while !rest.is_empty() {
            let (size, death) = cuts.next().unwrap();
            let (piece, behind) = rest.split_at((*size).min(rest.len()));
            // Killed before the commit: what came of the piece is lost with the state.
            if *death == 0 {
                drop(run.process(piece, offset));
                run.restore();
            }
            let out = run.process(piece, offset);
            run.commit(out);
            if *death == 1 {
                run.restore();
            }
            offset += i64::try_from(piece.len()).unwrap();
            rest = behind;
        }
        if kind.is_some() {
            // A row of another key, after which every window before it is over.
            let out = run.process(&[(9, FOREVER, 0)], offset);
            run.commit(out);
            let mut left = run.changelog.keys().filter(|key| key[0] == crate::state::ENTRY);
            prop_assert!(left.all(|key| key.windows(2).any(|part| part == b"k9")), "state of closed windows is left");
            run.results.retain(|(key, ..), _| key != "k9");
        }
        prop_assert_eq!(run.late, 0);
        prop_assert_eq!(run.results, recompute(&rows, kind, having));
    }
}

#[test]
fn late_rows_are_counted_whatever_the_batches() {
    let rows = [(0, 5, 1), (0, 31, 1), (0, 9, 1), (0, 12, 1), (0, 32, 1), (0, 10, 1)];
    for size in 1..=rows.len() {
        let mut run = Run::new(plan(Some(WindowKind::Tumbling { size_ms: 10 }), Emit::Changes, 12, false));
        for (index, piece) in rows.chunks(size).enumerate() {
            let out = run.process(piece, i64::try_from(index * size).unwrap());
            run.commit(out);
        }
        // 0..10 is over at 22, 10..20 at 32.
        assert_eq!((run.late, run.results.len()), (2, 3), "in pieces of {size}");
        assert_eq!(run.results[&("k0".to_owned(), 10, 20)][0], 1);
    }
}

#[test]
fn sessions_that_become_one_are_taken_back() {
    let mut run = Run::new(plan(Some(WindowKind::Session { gap_ms: 10 }), Emit::Changes, 100, false));
    let mut seen = Vec::new();
    for (offset, row) in [(0, 0, 1), (0, 20, 2), (0, 10, 4), (0, 10, 8)].into_iter().enumerate() {
        let out = run.process(&[row], i64::try_from(offset).unwrap());
        for batch in &out.batches {
            for row in 0..batch.rows() {
                let [start, end, sum] = [1, 2, 4].map(|slot| batch.columns[slot].datum(row).as_i64());
                let sum = if batch.is_deleted(row) { None } else { sum };
                seen.push((start.unwrap(), end.unwrap(), sum, batch.timestamps[row]));
            }
        }
        run.commit(out);
    }
    assert_eq!(
        seen,
        [
            (0, 0, Some(1), 0),
            (20, 20, Some(2), 20),
            (0, 0, None, 0),
            (20, 20, None, 20),
            (0, 20, Some(7), 20),
            (0, 20, None, 20),
            (0, 20, Some(15), 20),
        ]
    );
}

#[test]
fn a_session_closes_when_no_row_can_reach_it() {
    let mut run = Run::new(plan(Some(WindowKind::Session { gap_ms: 10 }), Emit::Final, 5, false));
    let out = run.process(&[(0, 0, 1), (1, 15, 1)], 0);
    run.commit(out);
    assert_eq!(run.results.len(), 0);
    let out = run.process(&[(0, 10, 2), (1, 26, 1)], 2);
    run.commit(out);
    assert_eq!((run.results.len(), run.late), (1, 0));
    assert_eq!(run.results[&("k0".to_owned(), 0, 10)], [2, 3, 1]);
    let out = run.process(&[(0, 10, 2)], 4);
    run.commit(out);
    assert_eq!((run.results.len(), run.late), (1, 1));
}

#[test]
fn rows_without_a_key_or_time_are_told_of() {
    let mut run = Run::new(plan(Some(WindowKind::Tumbling { size_ms: 10 }), Emit::Changes, 0, false));
    let mut rows = batch(&[(0, -1, 1), (0, 3, 1)], 0);
    rows.columns[0] = Column::Varchar(StringArray::from(vec![Some("a"), None]));
    let mut out = Output::default();
    run.operator.on_batch(0, rows, &mut out).unwrap();
    let messages: Vec<&str> = out.faults.iter().map(|fault| fault.message.as_str()).collect();
    assert_eq!(
        messages,
        ["the row's time -1 is before 1970 and has no window", "group key 1 is NULL; the row is in no group"]
    );
    assert!(out.batches.is_empty());
}

#[test]
fn a_row_at_the_end_of_all_time_is_late_or_in_a_window() {
    for kind in [
        WindowKind::Tumbling { size_ms: 10 },
        WindowKind::Hopping { size_ms: 10, advance_ms: 3 },
        WindowKind::Session { gap_ms: 10 },
    ] {
        let mut run = Run::new(plan(Some(kind), Emit::Changes, i64::MAX, false));
        let out = run.process(&[(0, i64::MAX, 1), (0, i64::MAX - 1, 1)], 0);
        run.commit(out);
        assert!(run.results.is_empty() == (run.late == 2), "{kind:?}");
    }
}
