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
        ExprKind::Literal(Literal::Decimal(v)) => v.to_string(),
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
        _ => expr.to_string(),
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
        ("-12.50", "-12.50"),
        ("'it''s' || a", "CONCAT('it''s', A)"),
        ("a->b[1]->`c`", "A->B[1]->c"),
        ("x[-1] + m['k']", "(X[-1] + M['k'])"),
        ("TRANSFORM(a, x => x + 1)", "TRANSFORM(A, (X) => (X + 1))"),
        ("REDUCE(a, 0, (s, x) => s + x)", "REDUCE(A, 0, (S, X) => (S + X))"),
        ("ARRAY[1, a]", "ARRAY[1, A]"),
        ("MAP('k' := 1, a := b)", "MAP('k':=1, A:=B)"),
        ("STRUCT(x := 1, `y` := a)", "STRUCT(X:=1, y:=A)"),
        ("CAST(a AS DECIMAL(10, 2))", "CAST(A AS DECIMAL(10, 2))"),
        (
            "CAST(a AS ARRAY<STRUCT<b INT, c MAP<VARCHAR, my_type>>>)",
            "CAST(A AS ARRAY<STRUCT<`B` INTEGER, `C` MAP<VARCHAR, MY_TYPE>>>)",
        ),
        ("DATE '2024-01-31'", "CAST('2024-01-31' AS DATE)"),
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
    assert_eq!(
        (window.kind, window.retention_ms, window.grace_ms),
        (WindowKind::Tumbling { size_ms: 10_000 }, Some(86_400_000), Some(0))
    );
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
fn joins_and_windows_are_read() {
    let StatementKind::Select(query) = one(
        "SELECT * FROM a JOIN b AS y WITHIN (1 SECOND, 2 MINUTES) GRACE PERIOD 3 HOURS ON a.id = y.id \
         LEFT OUTER JOIN c z ON a.id = z.id FULL JOIN d ON a.id = d.id \
         WINDOW HOPPING (SIZE 10 SECONDS, ADVANCE BY 5 SECONDS, GRACE PERIOD 1 DAY) GROUP BY a.id EMIT CHANGES",
    ) else {
        panic!()
    };
    let kinds: Vec<_> = query.joins.iter().map(|join| (join.kind, join.source.name.text.as_str())).collect();
    assert_eq!(kinds, [(JoinKind::Inner, "B"), (JoinKind::Left, "C"), (JoinKind::Full, "D")]);
    let within = query.joins[0].within.as_ref().unwrap();
    assert_eq!((within.before_ms, within.after_ms, within.grace_ms), (1_000, 120_000, Some(10_800_000)));
    assert_eq!(query.window.unwrap().kind, WindowKind::Hopping { size_ms: 10_000, advance_ms: 5_000 });
}

#[test]
fn every_statement_of_the_dialect_is_read() {
    for source in [
        "CREATE SOURCE TABLE IF NOT EXISTS t (k INT PRIMARY KEY, h ARRAY<STRUCT<key STRING, value BYTES>> HEADERS, \
         x BYTES HEADER('x')) WITH (kafka_topic='t')",
        "CREATE STREAM s () WITH (kafka_topic='s', value_format='AVRO')",
        "CREATE TYPE IF NOT EXISTS address AS STRUCT<street VARCHAR, lines INT ARRAY>",
        "DROP TYPE IF EXISTS address",
        "ALTER STREAM s ADD COLUMN a INT, ADD b DECIMAL(4, 2)",
        "PAUSE ALL",
        "RESUME CSAS_X",
        "DESCRIBE s EXTENDED",
        "DESCRIBE TABLES EXTENDED",
        "DESCRIBE FUNCTION abs",
        "DESCRIBE CONNECTOR `jdbc-source`",
        "SHOW ALL TOPICS EXTENDED",
        "LIST SOURCE CONNECTORS",
        "SHOW CONNECTOR PLUGINS",
        "SHOW TYPES",
        "SHOW VARIABLES",
        "SHOW PROPERTIES",
        "PRINT my.topic-name FROM BEGINNING INTERVAL 2 LIMIT 3",
        "PRINT 'my-topic'",
        "DEFINE x = 'y'",
        "SET 'a' = 'b'",
        "UNSET 'a'",
        "ASSERT TOPIC t WITH (partitions=3) TIMEOUT 10 SECONDS",
        "ASSERT NOT EXISTS SCHEMA SUBJECT 't-value' ID 3",
        "RUN SCRIPT '/tmp/x.sql'",
        "CREATE SINK CONNECTOR IF NOT EXISTS c WITH ('connector.class'='x', 'tasks.max'=1)",
        "CREATE SOURCE CONNECTOR c WITH ('connector.class'='x')",
        "DROP CONNECTOR IF EXISTS c",
        "EXPLAIN DESCRIBE s",
        "SELECT address->*, s.* FROM s WHERE k = 1 LIMIT 2",
        "INSERT INTO s (a) VALUES (STRUCT(x := 1))",
        "SELECT * FROM s WINDOW SESSION (5 MINUTES, RETENTION 1 DAY) GROUP BY k EMIT FINAL",
    ] {
        let (statements, mistakes) = parse(source);
        assert_eq!(mistakes, [], "{source}");
        assert_eq!(statements.len(), 1, "{source}");
    }
}

#[test]
fn variables_are_put_in_outside_and_inside_of_quotes() {
    let source =
        "DEFINE name = 'S'; DEFINE topic = 'plant.press'; DEFINE n = '-3'; DEFINE text = '''it''''s''';
        CREATE STREAM ${NAME} (a INT) WITH (kafka_topic='${topic}', x='$${n} ${unknown}');
        INSERT INTO s VALUES (${n}, ${text}, '${n}');";
    let (statements, mistakes) = parse(source);
    assert_eq!(mistakes, []);
    assert_eq!(
        statements[4].text.as_deref(),
        Some("CREATE STREAM S (a INT) WITH (kafka_topic='plant.press', x='${n} ${unknown}')")
    );
    assert_eq!(statements[5].text.as_deref(), Some("INSERT INTO s VALUES (-3, 'it''s', '-3')"));
    let StatementKind::Declare(declare) = &statements[4].kind else { panic!() };
    assert_eq!((declare.name.text.as_str(), declare.options[0].value.as_str()), ("S", "plant.press"));
}

#[test]
fn a_variable_is_one_name_number_or_text() {
    let message = |source: &str| {
        let (_, mistakes) = parse(source);
        format!("{} {}", mistakes[0].message, mistakes[0].help.as_deref().unwrap_or(""))
    };
    assert!(message("DEFINE x = 's; DROP STREAM s'; SELECT * FROM ${x};").contains("cannot stand here"));
    assert!(message("DEFINE format = 'x'; SELECT ${fromat} FROM s;").contains("did you mean ${format}?"));
    assert!(message("UNDEFINE x;").contains("there is no variable `x`"));
}

#[test]
fn what_the_dialect_lacks_is_said_with_what_it_has() {
    for (source, expected) in [
        ("SELECT DISTINCT a FROM s;", "GROUP BY"),
        ("SELECT COUNT(DISTINCT a) FROM s GROUP BY b EMIT CHANGES;", "COUNT_DISTINCT"),
        ("SELECT * FROM a, b EMIT CHANGES;", "JOIN b WITHIN"),
        ("SELECT * FROM (SELECT * FROM s) EMIT CHANGES;", "CREATE STREAM"),
        ("INSERT INTO s VALUES (1), (2);", "one INSERT for each row"),
        ("ALTER SYSTEM 'a' = 'b';", "Confluent Cloud"),
        ("CREATE SOURCE STREAM s AS SELECT * FROM t;", "leave SOURCE out"),
        ("SELECT * FROM s WINDOW HOPPING (SIZE 1 SECOND, ADVANCE BY 2 SECONDS) GROUP BY a;", "at most SIZE"),
        ("CREATE STREAM s (a DECIMAL(2, 3)) WITH (x=1);", "DECIMAL(10, 2)"),
        ("SELECT 1.12345678901234567890123456789012345678901234 FROM s;", "1.5E0"),
        ("SELECT * FROM a LEFT JION b ON a.x = b.x;", "`JOIN`"),
    ] {
        let (_, mistakes) = parse(source);
        let said = format!(
            "{} {} {}",
            mistakes[0].message,
            mistakes[0].label,
            mistakes[0].help.as_deref().unwrap_or("")
        );
        assert!(said.contains(expected), "{source}: {said}");
    }
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

const SEED: &str = "CREATE OR REPLACE STREAM `a b` WITH (KAFKA_TOPIC='x.y', PARTITIONS=3) AS SELECT s.a AS b, CASE WHEN a->b[1] > 1.5e2 THEN 'x''y' ELSE NULL END c, \
    CAST(-7 AS BIGINT), f((a, c) => b + 2 * 3, ARRAY[MAP(1 := STRUCT(x := 1.50))]) FROM s LEFT JOIN t WITHIN (1 DAY, 2 DAYS) ON a = b WINDOW TUMBLING (SIZE 1 SECOND, GRACE PERIOD 2 MINUTES) WHERE NOT a BETWEEN 1 AND 2 OR b LIKE '%x' ESCAPE '!' \
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
