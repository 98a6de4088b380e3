//! Goal: whatever is typed, checking it ends in plans or mistakes with places, never in a panic.

use crate::limits::EXPRESSION_DEPTH_MAX;
use crate::operator::Graph;
use crate::plan::Action;
use crate::{Catalog, SqlType, check};
use millstream_bus::{ReceivedRecord, Record};
use millstream_model::Timestamp;
use proptest::prelude::*;
use std::sync::Arc;

fn catalog() -> Catalog {
    let mut catalog = Catalog::new();
    catalog.declare_stream(
        "press",
        "press",
        "asset",
        &[("temperature", SqlType::Double), ("state", SqlType::Int)],
    );
    catalog
}

const PIECES: &[&str] = &[
    "SELECT",
    "*",
    "asset",
    "temperature",
    "state",
    "FROM",
    "press",
    "WHERE",
    "GROUP BY",
    "HAVING",
    "EMIT CHANGES",
    "EMIT FINAL",
    "WINDOW TUMBLING (SIZE 1 SECOND)",
    "(",
    ")",
    ",",
    "+",
    "-",
    "*",
    "/",
    "=",
    "<",
    "AND",
    "OR",
    "NOT",
    "NULL",
    "1",
    "1.5",
    "'x'",
    "COUNT(*)",
    "SUM(state)",
    "AVG(",
    "HYSTERESIS(temperature, 1, 2)",
    "CASE WHEN",
    "THEN",
    "ELSE",
    "END",
    "CAST(",
    "AS",
    "INT)",
    "CREATE STREAM a AS",
    "CREATE TABLE b AS",
    "INSERT INTO press",
    "VALUES",
    "PARTITION BY",
    "LIKE",
    "IN (",
    "BETWEEN",
    "IS NULL",
    "WITH (KAFKA_TOPIC='t')",
    "a",
    ";",
    "LIMIT 3",
    "WINDOWSTART",
    "ROWTIME",
    "DROP STREAM",
    "EXPLAIN",
    "UCASE(",
    "press.",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn any_pieces_in_any_order_are_planned_or_refused(picks in proptest::collection::vec(0..PIECES.len(), 1..24)) {
        let source = picks.iter().map(|pick| PIECES[*pick]).collect::<Vec<_>>().join(" ");
        let file: Arc<str> = "a.sql".into();
        if let Err(mistakes) = check(&mut catalog(), &source, &file) {
            prop_assert!(!mistakes.is_empty());
            for mistake in mistakes {
                let range = mistake.span.expect("every mistake has a place").range;
                prop_assert!(range.start <= range.end && range.end <= source.len());
            }
        }
    }
}

/// The deepest expressions that are accepted must be planned, run and dropped on the stack of an ordinary thread.
#[test]
fn the_deepest_expressions_fit_an_ordinary_stack() {
    for (open, middle, close) in [
        ("(1 + ", "state", ")"),
        ("NOT (NULL IS NULL AND ", "TRUE", ")"),
        ("CASE WHEN TRUE THEN ", "state", " END"),
        ("ABS(-", "state", ")"),
        ("COALESCE(CASE state WHEN 2 THEN 1 ELSE ", "state", " END, 1)"),
    ] {
        let run = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
            let planned = (1..=EXPRESSION_DEPTH_MAX).rev().find_map(|depth| {
                let expr = format!("{}{middle}{}", open.repeat(depth), close.repeat(depth));
                let sql = format!("SELECT {expr} AS x FROM press EMIT CHANGES;");
                check(&mut catalog(), &sql, &"a.sql".into()).ok()
            });
            let planned = planned.expect("one of them is right");
            let Action::Push(plan) = &planned[0].action else { panic!("a push query") };
            let mut graph = Graph::whole(plan);
            let record = Record::new(None, Some("{\"state\":1}".into()), Timestamp(0));
            let records = vec![ReceivedRecord { offset: 0, record }; 9];
            assert_eq!(graph.run(0, &records, 0, 0).expect("it runs").batches[0].rows(), 9);
            assert_eq!(graph.run(0, &records[..1], 0, 0).expect("it runs").batches[0].rows(), 1);
        });
        run.expect("a thread").join().expect("the stack holds");
    }
}
