//! Goal: what is right is read, what is wrong is refused in its place, and nothing panics.

use super::ast::*;
use super::*;
use proptest::prelude::*;

fn one(source: &str) -> StatementKind {
    let (mut statements, mistakes) = parse(source);
    assert_eq!(mistakes, [], "{source}");
    assert_eq!(statements.len(), 1, "{source}");
    statements.remove(0).kind
}

/// An expression in brackets, so that precedence shows.
fn show(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Literal(Literal::Text(text)) => format!("'{text}'"),
        ExprKind::Literal(Literal::Int(v)) => v.to_string(),
        ExprKind::Literal(Literal::BigInt(v)) => format!("{v}L"),
        ExprKind::Literal(Literal::Double(v)) => format!("{v:?}"),
        ExprKind::Literal(other) => format!("{other:?}"),
        ExprKind::Column { qualifier: None, name } => name.text.clone(),
        ExprKind::Column { qualifier: Some(q), name } => format!("{}.{}", q.text, name.text),
        ExprKind::Binary { op, left, right } => format!("({} {} {})", show(left), op.symbol(), show(right)),
        ExprKind::Not(operand) => format!("(NOT {})", show(operand)),
        ExprKind::Negate(operand) => format!("(-{})", show(operand)),
        ExprKind::Between { operand, low, high, negated } => {
            format!(
                "({} {}BETWEEN {} {})",
                show(operand),
                if *negated { "NOT " } else { "" },
                show(low),
                show(high)
            )
        }
        other => format!("{other:?}"),
    }
}

fn expr(text: &str) -> String {
    match one(&format!("SELECT {text} FROM s EMIT CHANGES;")) {
        StatementKind::Select(query) => match &query.items[0] {
            SelectItem::Expr { expr, .. } => show(expr),
            SelectItem::All { .. } | SelectItem::Fields { .. } => "*".to_owned(),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn operators_bind_as_in_sql() {
    for (text, shown) in [
        ("a + b * c - d", "((A + (B * C)) - D)"),
        ("a OR b AND NOT c = d", "(A OR (B AND (NOT (C = D))))"),
        ("-a * -3", "((-A) * -3)"),
        ("(a + b) * c", "((A + B) * C)"),
        ("a BETWEEN 1 AND 2 AND b", "((A BETWEEN 1 2) AND B)"),
        ("a NOT BETWEEN 1 + 1 AND 2 OR b", "((A NOT BETWEEN (1 + 1) 2) OR B)"),
        ("s.`Mixed` <> \"Case\"", "(S.Mixed <> Case)"),
        ("-9223372036854775808", "-9223372036854775808L"),
        ("1.5e3 % .5", "(1500.0 % 0.5)"),
        ("'it''s' || a", "('it's' + A)"),
        ("a IS NOT DISTINCT FROM b", "(A IS NOT DISTINCT FROM B)"),
    ] {
        assert_eq!(expr(text), shown, "{text}");
    }
}

#[test]
fn several_statements_with_comments_are_read() {
    let source = "-- the press\nCREATE STREAM press (asset VARCHAR KEY, t DOUBLE) WITH (kafka_topic='press', value_format='JSON', partitions=2);
        /* an average */ create table avg with (kafka_topic = 'avg') as
        select asset, avg(t) as t from press window tumbling (size 10 seconds, retention 1 day, grace period 0 milliseconds)
        where t is not null group by asset having count(*) > 1 emit final;;
        INSERT INTO x SELECT * FROM press p EMIT CHANGES; SELECT p.* FROM press p EMIT CHANGES LIMIT 3";
    let (statements, mistakes) = parse(source);
    assert_eq!(mistakes, []);
    assert_eq!(statements.len(), 4);
    let StatementKind::CreateAs(create) = &statements[1].kind else { panic!() };
    let window = create.query.window.as_ref().unwrap();
    assert_eq!((window.kind, window.retention_ms, window.grace_ms), (WindowKind::Tumbling { size_ms: 10_000 }, Some(86_400_000), Some(0)));
    assert_eq!(create.query.emit.as_ref().map(|(emit, _)| *emit), Some(Emit::Final));
    assert!(create.query.having.is_some());
    let StatementKind::Select(select) = &statements[3].kind else { panic!() };
    assert_eq!(select.limit.as_ref().map(|(n, _)| *n), Some(3));
    assert_eq!(&source[statements[3].place.clone()], "SELECT p.* FROM press p EMIT CHANGES LIMIT 3");
}

#[test]
fn small_statements_are_read() {
    assert_eq!(one("list streams extended"), StatementKind::Show(Show::Streams { extended: true }));
    assert_eq!(one("TERMINATE ALL;"), StatementKind::Terminate(None));
    assert!(matches!(
        one("DROP TABLE IF EXISTS t DELETE TOPIC;"),
        StatementKind::Drop { delete_topic: true, if_exists: true, .. }
    ));
    assert!(matches!(
        one("SET 'auto.offset.reset' = 'earliest';"),
        StatementKind::Set { value: Some(_), .. }
    ));
    assert!(matches!(one("EXPLAIN SELECT * FROM s EMIT CHANGES;"), StatementKind::Explain(_)));
    assert!(matches!(one("EXPLAIN CSAS_X;"), StatementKind::ExplainQuery(_)));
    assert!(matches!(one("DESCRIBE FUNCTION abs;"), StatementKind::DescribeFunction(_)));
}

#[test]
fn mistakes_are_found_all_at_once_in_their_places() {
    let source = "SELEC * FROM s; SELECT a FORM s; SELECT 'open FROM s;";
    let (_, mistakes) = parse(source);
    let shown: Vec<_> = mistakes
        .iter()
        .map(|m| {
            (&source[m.span.clone().unwrap().range], m.message.as_str(), m.help.as_deref().unwrap_or(""))
        })
        .collect();
    assert_eq!(shown[0], ("SELEC", "`SELEC` cannot stand here", "did you mean `SELECT`?"));
    assert_eq!(shown[1].0, "s");
    assert_eq!(shown[2].1, "a text is not closed");
}

#[test]
fn nesting_is_limited() {
    for text in
        ["(".repeat(100_000), "NOT ".repeat(100_000), "1+".repeat(100_000) + "1", "CASE WHEN ".repeat(50_000)]
    {
        let (_, mistakes) = parse(&format!("SELECT {text} FROM s EMIT CHANGES;"));
        assert!(mistakes.iter().any(|m| m.code == "sql-too-deep"), "{:?}", mistakes.first());
    }
}

const SEED: &str = "CREATE OR REPLACE STREAM `a b` WITH (KAFKA_TOPIC='x.y', PARTITIONS=3) AS SELECT s.a AS b, CASE WHEN a > 1.5e2 THEN 'x''y' ELSE NULL END c, \
    CAST(-7 AS BIGINT), f(a, b + 2 * 3) FROM s WINDOW TUMBLING (SIZE 1 SECOND, GRACE PERIOD 2 MINUTES) WHERE NOT a BETWEEN 1 AND 2 OR b LIKE '%x' ESCAPE '!' \
    AND c IN (1, 2) AND d IS NOT NULL GROUP BY a, b HAVING COUNT(*) > 3 EMIT CHANGES; /* c */ DROP TABLE IF EXISTS t; -- end";

proptest! {
    #[test]
    fn random_text_never_panics(source in ".{0,200}") {
        parse(&source);
    }

    #[test]
    fn mutated_statements_never_panic(cuts in proptest::collection::vec((0usize..SEED.len(), 0usize..SEED.len(), 0usize..40), 1..6)) {
        let mut text = SEED.to_owned();
        for (from, to, len) in cuts {
            let (from, to) = (from.min(text.len()), to.min(text.len()));
            let end = (from + len).min(text.len());
            if text.is_char_boundary(from) && text.is_char_boundary(end) && text.is_char_boundary(to) {
                let piece = text[from..end].to_owned();
                text.insert_str(to, &piece);
            }
        }
        let (_, mistakes) = parse(&text);
        for mistake in mistakes {
            let range = mistake.span.unwrap().range;
            prop_assert!(range.start <= range.end && range.end <= text.len());
        }
    }
}
