//! Goal: no statement, however wrong, makes the parser or the planner panic, overflow the stack or answer a mistake without
//! place and text. Method: every statement of the case files, torn apart and put together again at random, and shapes
//! that are far deeper, longer or wider than anyone writes, on a stack as small as those of worker threads.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use millstream_model::Diagnostic;
use millstream_sql::{Catalog, check};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use support::Dice;
use support::case::{Step, all};

/// The stack of a worker thread of tokio.
const STACK_BYTES: usize = 2 << 20;

/// What every text is checked against.
const WORLD: &str = "
    CREATE TYPE ADDRESS AS STRUCT<CITY VARCHAR, ZIP INT>;
    CREATE STREAM S (K VARCHAR KEY, X INT, Y BIGINT, Z DOUBLE, D DECIMAL(10, 2), B BOOLEAN, R BYTES, DA DATE, TI TIME, TS TIMESTAMP,
        A ARRAY<INT>, M MAP<VARCHAR, INT>, N STRUCT<F INT, G STRUCT<H VARCHAR>>, V VARCHAR) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');
    CREATE STREAM S2 (K VARCHAR KEY, X INT, V VARCHAR) WITH (KAFKA_TOPIC='s2', FORMAT='JSON');
    CREATE TABLE T (K VARCHAR PRIMARY KEY, X INT, V VARCHAR, A ARRAY<INT>) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON');
    CREATE TABLE T2 (K VARCHAR PRIMARY KEY, X INT) WITH (KAFKA_TOPIC='t2', VALUE_FORMAT='JSON');
    CREATE TABLE C AS SELECT K, COUNT(*) AS N FROM S WINDOW TUMBLING (SIZE 1 SECOND) GROUP BY K EMIT CHANGES;
    CREATE STREAM O AS SELECT * FROM S2 EMIT CHANGES;
";

fn world() -> Catalog {
    let mut catalog = Catalog::new();
    check(&mut catalog, WORLD, &"world".into()).unwrap();
    catalog
}

/// What is wrong with the way in which a mistake is said.
fn badly_said(mistake: &Diagnostic, text: &str) -> Option<&'static str> {
    let Some(span) = &mistake.span else { return Some("no place") };
    let range = &span.range;
    if range.start > range.end || range.end > text.len() {
        return Some("a place outside of the text");
    }
    if !text.is_char_boundary(range.start) || !text.is_char_boundary(range.end) {
        return Some("a place within a character");
    }
    if mistake.message.trim().is_empty() {
        return Some("no text");
    }
    (mistake.message.len() > 4_000).then_some("a text that nobody reads")
}

/// What is wrong with the way in which the statements are judged.
fn trouble(world: &Catalog, text: &str) -> Option<String> {
    let file: Arc<str> = "f".into();
    let mut catalog = world.clone();
    let Ok(checked) = catch_unwind(AssertUnwindSafe(|| check(&mut catalog, text, &file))) else {
        return Some("it panicked".to_owned());
    };
    let mistakes = match checked {
        Ok(planned) => planned.into_iter().flat_map(|statement| statement.warnings).collect(),
        Err(mistakes) if mistakes.is_empty() => return Some("refused without a word".to_owned()),
        Err(mistakes) => mistakes,
    };
    let bad = mistakes.iter().find_map(|mistake| Some((badly_said(mistake, text)?, mistake)))?;
    Some(format!("{}: {:?}", bad.0, bad.1))
}

/// Runs `work` on a small stack.
fn on_a_small_stack(work: impl FnOnce() -> Vec<String> + Send + 'static) {
    let found = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(work).unwrap().join().unwrap();
    assert!(found.is_empty(), "{} found:\n{}", found.len(), found.join("\n\n"));
}

/// Every text of statements in the case files.
fn corpus() -> Vec<String> {
    let steps = all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases"))
        .into_iter()
        .flat_map(|case| case.steps);
    let texts = steps.filter_map(|step| match step {
        Step::Run { sql, .. } | Step::Ask { sql, .. } => Some(sql),
        _ => None,
    });
    let mut texts: Vec<_> = texts.collect();
    texts.push(WORLD.to_owned());
    texts
}

/// Words, signs, blanks and texts of `text`, in order; together they are `text`.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut quote = None;
    for sign in text.chars() {
        let wordy = |sign: char| sign.is_alphanumeric() || sign == '_' || sign == '.';
        let joins =
            quote.is_some() || wordy(sign) && pieces.last().is_some_and(|last| last.chars().all(wordy));
        match (quote, sign) {
            (None, '\'' | '`' | '"') => quote = Some(sign),
            (Some(open), sign) if open == sign => quote = None,
            _ => {}
        }
        match pieces.last_mut() {
            Some(last) if joins => last.push(sign),
            _ => pieces.push(sign.to_string()),
        }
    }
    pieces
}

/// Words and signs that may stand anywhere.
const WORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "HAVING",
    "PARTITION BY",
    "EMIT CHANGES",
    "EMIT FINAL",
    "LIMIT 1",
    "CREATE",
    "OR REPLACE",
    "STREAM",
    "TABLE",
    "AS",
    "WITH",
    "WINDOW",
    "TUMBLING",
    "HOPPING",
    "SESSION",
    "SIZE",
    "ADVANCE BY",
    "GRACE PERIOD",
    "RETENTION",
    "JOIN",
    "LEFT JOIN",
    "RIGHT JOIN",
    "FULL OUTER JOIN",
    "ON",
    "WITHIN",
    "INSERT INTO",
    "VALUES",
    "DROP",
    "DELETE TOPIC",
    "TERMINATE",
    "PAUSE",
    "RESUME",
    "EXPLAIN",
    "DESCRIBE",
    "EXTENDED",
    "SHOW",
    "LIST",
    "PRINT",
    "TYPE",
    "DEFINE",
    "UNDEFINE",
    "SET",
    "UNSET",
    "ASSERT",
    "TOPIC",
    "SCHEMA",
    "RUN SCRIPT",
    "CONNECTOR",
    "ALTER",
    "ADD COLUMN",
    "KEY",
    "PRIMARY KEY",
    "HEADERS",
    "HEADER('x')",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "CAST(",
    "AND",
    "OR",
    "NOT",
    "IN",
    "BETWEEN",
    "LIKE",
    "ESCAPE",
    "IS NULL",
    "IS DISTINCT FROM",
    "NULL",
    "TRUE",
    "INT",
    "ARRAY<",
    "MAP<",
    "STRUCT<",
    "DECIMAL(",
    "->",
    "=>",
    ":=",
    "[",
    "]",
    "(",
    ")",
    ",",
    ";",
    ".",
    "*",
    "+",
    "-",
    "/",
    "%",
    "||",
    "=",
    "<>",
    "!=",
    "<",
    ">",
    "<=",
    ">=",
    "'",
    "''",
    "`",
    "\"",
    "--",
    "/*",
    "*/",
    "${",
    "}",
    "${x}",
    "$${x}",
    "$",
    "\\",
    "\0",
    "\u{feff}",
    "é",
    "𝕏",
    "ß",
    "ﬁ",
    "İ",
    "\u{202e}",
    "ROWTIME",
    "ROWPARTITION",
    "ROWOFFSET",
    "WINDOWSTART",
    "WINDOWEND",
    "S",
    "T",
    "S2",
    "T2",
    "C",
    "O",
    "K",
    "X",
    "A",
    "M",
    "N",
    "COUNT(*)",
    "SUM(X)",
    "TOPK(X, 3)",
    "COLLECT_LIST(X)",
    "EXPLODE(A)",
    "TRANSFORM(A, x => x)",
    "REDUCE(A, 0, (s, x) => s + x)",
    "UCASE(V)",
    "AS_VALUE(K)",
    "HYSTERESIS(Z, 1, 2)",
    "1 SECOND",
    "0 DAYS",
    "9223372036854775807 YEARS",
    "'2024-01-01'",
    "DATE '2024-02-30'",
];

/// Values at the ends of what there is.
const VALUES: &[&str] = &[
    "0",
    "-0",
    "1",
    "-1",
    "2147483647",
    "2147483648",
    "-2147483648",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551616",
    "99999999999999999999999999999999999999",
    "999999999999999999999999999999999999999",
    "1e308",
    "1e309",
    "-1e400",
    "1e-400",
    "1e99999999999",
    "0.1",
    "00000000000000000000.00000000000000000000000000000000000000000001",
    ".5",
    "5.",
    "1.2.3",
    "0x10",
    "''",
    "'\u{0}'",
    "'𝕏'",
    "'''",
    "NULL",
    "'NaN'",
    "TRUE",
];

fn any<'a>(dice: &mut Dice, of: &[&'a str]) -> &'a str {
    of[dice.index(of.len())]
}

/// Another letter case.
fn recased(dice: &mut Dice, word: &str) -> String {
    match dice.roll(3) {
        0 => word.to_lowercase(),
        1 => word.to_uppercase(),
        _ => word
            .chars()
            .map(|c| if dice.roll(2) == 0 { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() })
            .collect(),
    }
}

/// One change of a statement.
fn mutate(dice: &mut Dice, pieces: &mut Vec<String>, others: &[Vec<String>]) {
    if pieces.is_empty() {
        pieces.push(any(dice, WORDS).to_owned());
        return;
    }
    let at = dice.index(pieces.len());
    let far = (at + 1 + dice.index(12)).min(pieces.len());
    match dice.roll(14) {
        0 => drop(pieces.remove(at)),
        1 => pieces.insert(at, format!(" {} ", any(dice, WORDS))),
        2 => any(dice, WORDS).clone_into(&mut pieces[at]),
        3 => any(dice, VALUES).clone_into(&mut pieces[at]),
        4 => {
            let other = dice.index(pieces.len());
            pieces.swap(at, other);
        }
        5 => {
            let part = pieces[at..far].to_vec();
            let to = dice.index(pieces.len());
            pieces.splice(to..to, part);
        }
        6 => drop(pieces.drain(at..far)),
        7 => pieces.truncate(at),
        8 => pieces[at] = recased(dice, &pieces[at].clone()),
        9 => {
            let other = &others[dice.index(others.len())];
            let from = dice.index(other.len().max(1)).min(other.len());
            let part = other[from..(from + dice.index(16)).min(other.len())].to_vec();
            pieces.splice(at..far, part);
        }
        10 => {
            let times = 1 + dice.index(40);
            let (open, close) = [
                ("(", ")"),
                ("ARRAY[", "]"),
                ("NOT ", ""),
                ("-", ""),
                ("CAST(", " AS VARCHAR)"),
                ("ARRAY<", ">"),
            ][dice.index(6)];
            pieces[at] = format!("{}{}{}", open.repeat(times), pieces[at], close.repeat(times));
        }
        11 => pieces[at] = format!("${{{}}}", pieces[at].trim()),
        12 => {
            let word = pieces[at].clone();
            let cut = word
                .char_indices()
                .map(|(at, _)| at)
                .nth(dice.index(word.chars().count().max(1)))
                .unwrap_or(0);
            let kept = word[..cut].to_owned();
            pieces[at] = kept;
        }
        _ => pieces.insert(at, "\u{a0}'é".to_owned()),
    }
}

#[test]
fn statements_torn_apart_are_refused_with_a_place_and_a_text() {
    let rounds =
        std::env::var("MILLSTREAM_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(6_000);
    let first: u64 = std::env::var("MILLSTREAM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    on_a_small_stack(move || {
        let (world, texts) = (world(), corpus());
        let others: Vec<_> = texts.iter().map(|text| pieces(text)).collect();
        let mut found = Vec::new();
        for seed in first..first + rounds {
            let mut dice = Dice(seed);
            let mut torn = others[dice.index(others.len())].clone();
            for _ in 0..dice.roll(6) {
                mutate(&mut dice, &mut torn, &others);
            }
            let text = torn.concat();
            let text = match dice.roll(4) {
                0 => format!("EXPLAIN {text}"),
                1 => format!("DEFINE x = '{}'; {text}", any(&mut dice, VALUES).replace('\'', "''")),
                _ => text,
            };
            if let Some(trouble) = trouble(&world, &text) {
                found.push(format!("seed {seed}: {trouble}\n{text}"));
            }
            if found.len() > 20 {
                break;
            }
        }
        found
    });
}

/// `inner` inside `n` brackets.
fn nest(n: usize, open: &str, inner: &str, close: &str) -> String {
    format!("{}{inner}{}", open.repeat(n), close.repeat(n))
}

/// `n` parts with `between` between them.
fn list(n: usize, part: &dyn Fn(usize) -> String, between: &str) -> String {
    (0..n).map(part).collect::<Vec<_>>().join(between)
}

/// Expressions of `n` levels.
fn nested(n: usize) -> Vec<String> {
    vec![
        nest(n, "(", "X", ")"),
        nest(n, "NOT ", "B", ""),
        nest(n, "- ", "X", ""),
        nest(n, "+", "X", ""),
        nest(n, "ARRAY[", "X", "]"),
        nest(n, "MAP('a' := ", "X", ")"),
        nest(n, "STRUCT(A := ", "X", ")"),
        nest(n, "CAST(", "X", " AS INT)"),
        nest(n, "CASE WHEN B THEN ", "X", " END"),
        nest(n, "CASE ", "X", " WHEN X THEN X END"),
        nest(n, "CASE WHEN ", "B", " THEN B END"),
        nest(n, "CASE WHEN B THEN X ELSE ", "X", " END"),
        nest(n, "ABS(", "X", ")"),
        nest(n, "COALESCE(", "X", ", X)"),
        nest(n, "UCASE(V || ", "V", ")"),
        nest(n, "A[", "X", "]"),
        nest(n, "TRANSFORM(A, x => ", "x", ")"),
        nest(n, "REDUCE(A, 0, (s, x) => s + ", "x", ")"),
        nest(n, "X IN (", "X", ")"),
        nest(n, "B AND (", "B", ")"),
        nest(n, "X BETWEEN ", "X", " AND X"),
        nest(n, "NULLIF(", "X", ", 1)"),
        nest(n, "SUM(", "X", ")"),
        nest(n, "EXPLODE(", "A", ")"),
    ]
}

/// Expressions of `n` parts side by side.
fn chained(n: usize) -> Vec<String> {
    vec![
        format!("N{}", "->G".repeat(n)),
        format!("A{}", "[1]".repeat(n)),
        format!("X{}", " + X".repeat(n)),
        format!("V{}", " || V".repeat(n)),
        format!("B{}", " AND B".repeat(n)),
        format!("B{}", " OR B".repeat(n)),
        format!("B{}", " IS NULL".repeat(n)),
        format!("X{}", " IN (1)".repeat(n)),
        format!("X{}", " = X".repeat(n)),
        format!("D{}", " * D".repeat(n)),
        format!("X IN ({})", list(n, &|i| i.to_string(), ", ")),
        format!("CONCAT({})", list(n, &|_| "V".to_owned(), ", ")),
        format!("COALESCE({})", list(n, &|_| "X".to_owned(), ", ")),
        format!("ARRAY[{}]", list(n, &|i| i.to_string(), ", ")),
        format!("MAP({})", list(n, &|i| format!("'k{i}' := {i}"), ", ")),
        format!("STRUCT({})", list(n, &|i| format!("F{i} := {i}"), ", ")),
        format!("CASE {} END", list(n, &|i| format!("WHEN X = {i} THEN {i}"), " ")),
        format!("TRANSFORM(A, ({}) => 1)", list(n, &|i| format!("p{i}"), ", ")),
    ]
}

/// Expressions with a text or a number of `n` parts.
fn long(n: usize) -> Vec<String> {
    vec![
        format!("'{}'", "é".repeat(n)),
        format!("`{}`", "é".repeat(n)),
        "9".repeat(n),
        format!("0.{}", "1".repeat(n)),
        format!("1e{}", "9".repeat(n)),
        format!("V LIKE '{}'", "%a_".repeat(n)),
        format!("REGEXP_REPLACE(V, '{}', '')", "(a*)*".repeat(n)),
        format!("REGEXP_REPLACE(V, '{}', '')", nest(n, "(", "a", ")+")),
        format!("FORMAT_TIMESTAMP(TS, '{}')", "yyyy".repeat(n)),
        format!("FORMAT_TIMESTAMP(TS, '{}')", nest(n, "[", "y", "]")),
        format!("EXTRACTJSONFIELD(V, '$.{}')", "a.".repeat(n)),
        format!("{}X{}", "f(".repeat(n), ")".repeat(n)),
    ]
}

/// Statements with lists of `n` parts.
fn lists(n: usize) -> Vec<String> {
    vec![
        format!(
            "CREATE STREAM Q ({}) WITH (KAFKA_TOPIC='q', VALUE_FORMAT='JSON');",
            list(n, &|i| format!("C{i} INT"), ", ")
        ),
        format!(
            "CREATE STREAM Q ({}) WITH (KAFKA_TOPIC='q', FORMAT='JSON');",
            list(n, &|i| format!("C{i} INT KEY"), ", ")
        ),
        format!(
            "CREATE STREAM Q ({}) WITH (KAFKA_TOPIC='q', VALUE_FORMAT='JSON');",
            list(n, &|_| "C INT".to_owned(), ", ")
        ),
        format!(
            "CREATE STREAM Q (X STRUCT<{}>) WITH (KAFKA_TOPIC='q', VALUE_FORMAT='AVRO');",
            list(n, &|i| format!("F{i} INT"), ", ")
        ),
        format!(
            "CREATE STREAM Q AS SELECT {} FROM S EMIT CHANGES;",
            list(n, &|i| format!("X AS C{i}"), ", ")
        ),
        format!("CREATE STREAM Q AS SELECT {} FROM S EMIT CHANGES;", list(n, &|_| "*".to_owned(), ", ")),
        format!(
            "CREATE TABLE Q AS SELECT K, {} FROM S GROUP BY K;",
            list(n, &|i| format!("SUM(X) AS C{i}"), ", ")
        ),
        format!(
            "CREATE TABLE Q AS SELECT K, COUNT(*) FROM S GROUP BY {};",
            list(n, &|_| "K".to_owned(), ", ")
        ),
        format!(
            "SELECT S.X FROM S {} EMIT CHANGES;",
            list(n, &|i| format!("JOIN S2 J{i} WITHIN 1 SECOND ON S.K = J{i}.K"), " ")
        ),
        format!(
            "CREATE STREAM Q AS SELECT S.K, S.X FROM S {} EMIT CHANGES;",
            list(n, &|i| format!("LEFT JOIN T J{i} ON S.K = J{i}.K"), " ")
        ),
        format!(
            "CREATE TABLE Q AS SELECT T.K, T.X FROM T {};",
            list(n, &|i| format!("LEFT JOIN T2 J{i} ON T.V = J{i}.K"), " ")
        ),
        format!(
            "SELECT S.X FROM S JOIN S2 WITHIN 1 SECOND ON {} EMIT CHANGES;",
            list(n, &|_| "S.K = S2.K".to_owned(), " AND ")
        ),
        format!("SELECT {} FROM S EMIT CHANGES;", list(n, &|_| "EXPLODE(A)".to_owned(), ", ")),
        format!("CREATE STREAM Q (X INT) WITH ({});", list(n, &|i| format!("P{i}='x'"), ", ")),
        format!("INSERT INTO S VALUES ({});", list(n, &|i| i.to_string(), ", ")),
        format!("ALTER STREAM S {};", list(n, &|i| format!("ADD COLUMN C{i} INT"), ", ")),
    ]
}

/// Texts that are hardly statements.
fn heaps(n: usize) -> Vec<String> {
    vec![
        "SHOW STREAMS;".repeat(n),
        ";".repeat(n),
        "(".repeat(n),
        ")".repeat(n),
        "'".repeat(n),
        "`".repeat(n),
        "/*".repeat(n),
        "--\n".repeat(n),
        "${".repeat(n),
        "$".repeat(n),
        nest(n, "EXPLAIN ", "SHOW STREAMS;", ""),
        nest(n, "EXPLAIN ", "SELECT * FROM S EMIT CHANGES;", ""),
        format!("DEFINE a = '{}'; SHOW STREAMS; SELECT '${{a}}' FROM S EMIT CHANGES;", "${a}".repeat(n)),
        format!("SET '{}' = '{}';", "a".repeat(n), "b".repeat(n)),
        "a'b'".repeat(n),
        nest(n, "SELECT * FROM (", "SELECT 1", ")"),
        format!("SELECT * FROM S WINDOW TUMBLING (SIZE {} DAYS) EMIT CHANGES;", "9".repeat(n)),
        format!(
            "CREATE TYPE T0 AS INT; {}",
            list(n, &|i| format!("CREATE TYPE T{} AS ARRAY<T{i}>;", i + 1), " ")
        ),
        format!(
            "CREATE TYPE T0 AS INT; {}",
            list(n, &|i| format!("CREATE TYPE T{} AS STRUCT<A T{i}, B T{i}>;", i + 1), " ")
        ),
        (0..n)
            .map(|i| {
                let from = if i == 0 { "S".to_owned() } else { format!("Q{i}") };
                format!(
                    "CREATE STREAM Q{} AS SELECT K, STRUCT(A := X, B := X) AS X FROM {from} EMIT CHANGES; ",
                    i + 1
                )
            })
            .take(400)
            .collect(),
        format!(
            "DEFINE v0 = 'x'; {}",
            list(n, &|i| format!("DEFINE v{} = '${{v{i}}}${{v{i}}}';", i + 1), " ")
        ),
        format!("DEFINE a = '-5'; SELECT {} FROM S EMIT CHANGES;", list(n, &|_| "${a}".to_owned(), ", ")),
        format!(
            "DEFINE a = '{}'; {}",
            "x".repeat(n),
            "SHOW TYPES; SET 'auto.offset.reset' = '${a}';".repeat(n / 50)
        ),
        "CREATE STREAM O AS SELECT * FROM O EMIT CHANGES; CREATE STREAM Q AS SELECT * FROM Q EMIT CHANGES;"
            .to_owned(),
        "CREATE OR REPLACE STREAM O AS SELECT * FROM O EMIT CHANGES;".to_owned(),
        "INSERT INTO O SELECT * FROM O EMIT CHANGES; INSERT INTO S2 SELECT * FROM S2 EMIT CHANGES;"
            .to_owned(),
        "CREATE TYPE R AS STRUCT<A R>; CREATE TYPE R AS ARRAY<ARRAY<R>>;".to_owned(),
    ]
}

/// Shapes of `n` parts or levels.
fn shapes(n: usize) -> Vec<String> {
    let mut expressions = [nested(n), chained(n), long(n)].concat();
    expressions.extend((0..n.min(3)).map(|_| "X ".repeat(n)));
    let mut texts = Vec::new();
    for expression in &expressions {
        texts.push(format!("SELECT {expression} FROM S EMIT CHANGES;"));
        texts.push(format!(
            "CREATE TABLE Q AS SELECT K, COUNT(*) FROM S WHERE {expression} GROUP BY K, {expression};"
        ));
        texts.push(format!("INSERT INTO S (K, X) VALUES ('a', {expression});"));
    }
    let types = [
        nest(n, "ARRAY<", "INT", ">"),
        nest(n, "MAP<VARCHAR, ", "INT", ">"),
        nest(n, "STRUCT<A ", "INT", ">"),
    ];
    for sql_type in &types {
        texts.push(format!("CREATE TYPE Q AS {sql_type};"));
        texts.push(format!("CREATE STREAM Q (X {sql_type}) WITH (KAFKA_TOPIC='q', VALUE_FORMAT='AVRO');"));
        texts.push(format!("SELECT CAST(A AS {sql_type}) FROM S EMIT CHANGES;"));
    }
    texts.extend(lists(n));
    texts.extend(heaps(n));
    texts
}

fn shapes_hold(n: usize) {
    on_a_small_stack(move || {
        let world = world();
        let mut found = Vec::new();
        for text in shapes(n) {
            if let Some(trouble) = trouble(&world, &text) {
                found.push(format!("{trouble}\n{}", text.chars().take(200).collect::<String>()));
            }
        }
        found
    });
}

#[test]
fn shapes_of_some_levels_are_judged() {
    for n in [0, 1, 2, 17, 74, 140, 149, 150, 151] {
        shapes_hold(n);
    }
}

#[test]
fn shapes_of_thousands_of_levels_are_judged() {
    shapes_hold(3_000);
}

#[test]
fn shapes_that_fill_a_text_are_judged() {
    shapes_hold(50_000);
}
