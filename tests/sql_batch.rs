//! Goal: stream against batch. Whatever order records come in within the grace, queries end with what the same questions
//! give over all records at once in a database written elsewhere. Method: random records of two streams and three tables
//! (nulls, tombstones, duplicates, ties, late ones; several partitions) are fed in random pieces, with restarts between
//! them, to the queries of `batch/queries.sql` and to some made at random; DuckDB answers the same over what the records
//! amount to. `MILLSTREAM_CASE` chooses queries by a part of their name.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use millstream_bus::{Acks, Bus, Record, TopicPartition, TopicSpec, memory::MemoryBus, partition_for_key};
use millstream_log::Random;
use millstream_model::Timestamp;
use millstream_sql::{Catalog, ERROR_TOPIC, Engine, QueryState};
use millstream_tests::peer::{python, root};
use millstream_tests::rooms::{PATIENCE, TestClock, records, rounds, until, values};
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// When the records begin, and how far time goes ahead in the end, so that everything is over.
const AT: i64 = 1_700_000_000_000;
const FAR: i64 = 20 * 86_400_000;

/// How far records of a stream are behind others at most: less than the windows' grace period of 10 seconds.
const BEHIND_MS: u64 = 9_000;

/// Begins the key and the texts of the records that only move time.
const TIME: &str = "time";

struct DuckDb {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl DuckDb {
    fn start() -> Self {
        let mut process = Command::new(python())
            .arg(root().join("tests/python/batch.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python runs");
        let input = process.stdin.take().expect("an input");
        let output = BufReader::new(process.stdout.take().expect("an output"));
        Self { process, input, output }
    }

    fn ask(&mut self, question: &Json) -> Json {
        writeln!(self.input, "{question}").expect("it listens");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it answers");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("DuckDB answered with {line:?}"))
    }
}

impl Drop for DuckDb {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A topic with a table: its columns as both sides declare them, the key first.
struct Source {
    topic: &'static str,
    is_table: bool,
    /// Name, Millstream's type, `DuckDB`'s.
    columns: &'static [(&'static str, &'static str, &'static str)],
}

const SOURCES: [Source; 5] = [
    Source {
        topic: "a",
        is_table: false,
        columns: &[
            ("k", "VARCHAR", "VARCHAR"),
            ("g", "VARCHAR", "VARCHAR"),
            ("i", "INT", "INTEGER"),
            ("n", "BIGINT", "BIGINT"),
            ("d", "DOUBLE", "DOUBLE"),
            ("e", "DECIMAL(10, 2)", "DECIMAL(10, 2)"),
            ("f", "BOOLEAN", "BOOLEAN"),
            ("s", "VARCHAR", "VARCHAR"),
            ("r", "ARRAY<INT>", "INTEGER[]"),
        ],
    },
    Source {
        topic: "b",
        is_table: false,
        columns: &[
            ("k", "VARCHAR", "VARCHAR"),
            ("h", "VARCHAR", "VARCHAR"),
            ("y", "BIGINT", "BIGINT"),
            ("z", "DOUBLE", "DOUBLE"),
        ],
    },
    Source {
        topic: "t",
        is_table: true,
        columns: &[
            ("id", "VARCHAR", "VARCHAR"),
            ("o", "VARCHAR", "VARCHAR"),
            ("x", "BIGINT", "BIGINT"),
            ("w", "VARCHAR", "VARCHAR"),
        ],
    },
    Source {
        topic: "u",
        is_table: true,
        columns: &[("id", "VARCHAR", "VARCHAR"), ("y", "BIGINT", "BIGINT")],
    },
    Source {
        topic: "v",
        is_table: true,
        columns: &[("id", "VARCHAR", "VARCHAR"), ("p", "BIGINT", "BIGINT"), ("q", "VARCHAR", "VARCHAR")],
    },
];

impl Source {
    fn statement(&self) -> String {
        let key = if self.is_table { "PRIMARY KEY" } else { "KEY" };
        let mut columns = self.columns.iter().map(|(name, kind, _)| format!("{name} {kind}"));
        let (first, rest) = (columns.next().unwrap(), columns.collect::<Vec<_>>().join(", "));
        let kind = if self.is_table { "TABLE" } else { "STREAM" };
        let topic = self.topic;
        format!(
            "CREATE {kind} {topic} ({first} {key}, {rest}) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON');"
        )
    }

    /// A value of a column, `NULL` now and then.
    fn cell(kind: &str, name: &str, random: &mut Random) -> Json {
        if random.chance(15) {
            return Json::Null;
        }
        let around = |random: &mut Random, most: u64| {
            i64::try_from(random.below(2 * most + 1)).unwrap() - i64::try_from(most).unwrap()
        };
        match (kind, name) {
            (_, "w" | "q" | "s") => json!(["b", "bc", "x", "y", "", "ü"][random.index(6)]),
            ("VARCHAR", _) => json!(format!("k{}", random.below(6))),
            ("INT", _) => json!(around(random, 9)),
            ("BIGINT", _) => json!(around(random, 1_000)),
            // Quarters, so that sums of them are exact in any order.
            #[allow(clippy::cast_precision_loss, reason = "a small number")]
            ("DOUBLE" | "DECIMAL(10, 2)", _) => json!(around(random, 40) as f64 / 4.0),
            ("BOOLEAN", _) => json!(random.chance(50)),
            _ => (0..random.below(4)).map(|_| json!(random.below(5))).collect(),
        }
    }
}

/// One record of a source: key, value (`None`: a tombstone), time.
#[derive(Debug, Clone)]
struct Row {
    source: usize,
    key: Option<String>,
    value: Option<Vec<Json>>,
    at: i64,
}

impl Row {
    fn record(&self) -> Record {
        let columns = &SOURCES[self.source].columns[1..];
        let value = self.value.as_ref().map(|cells| {
            let fields: Map<_, _> = columns
                .iter()
                .zip(cells)
                .map(|((name, ..), cell)| (name.to_uppercase(), cell.clone()))
                .collect();
            Json::Object(fields).to_string().into()
        });
        Record::new(self.key.clone().map(Into::into), value, Timestamp(self.at))
    }
}

/// `count` records of a source, in the order in which they come.
fn made(source: usize, count: i64, random: &mut Random) -> Vec<Row> {
    let Source { is_table, columns, .. } = &SOURCES[source];
    let mut rows: Vec<Row> = Vec::new();
    for number in 0..count {
        // Forward by steps and back within the grace, in tenths of a second so that times meet and hit edges of windows.
        let back = if random.chance(30) { random.below(BEHIND_MS / 100) } else { random.below(5) };
        let at = AT + 100 * (number * 2 - i64::try_from(back).unwrap());
        let key = (*is_table || random.chance(95)).then(|| format!("k{}", random.below(8)));
        let value = (!is_table || random.chance(80))
            .then(|| columns[1..].iter().map(|(name, kind, _)| Source::cell(kind, name, random)).collect());
        rows.push(Row { source, key, value, at });
        // Some are sent twice.
        if random.chance(5) {
            rows.push(rows[rows.len() - 1].clone());
        }
    }
    rows
}

/// What both are asked for.
struct Question {
    name: String,
    /// Whether it is complete only when time has gone on.
    is_final: bool,
    statements: String,
    batch: String,
}

impl Question {
    /// Those of the file, and `more` made at random.
    fn all(more: usize, random: &mut Random) -> Vec<Self> {
        let text = std::fs::read_to_string(root().join("tests/batch/queries.sql")).unwrap();
        let wanted = std::env::var("MILLSTREAM_CASE").unwrap_or_default();
        let mut all: Vec<Self> = text.split("\n=== ").skip(1).map(Self::read).collect();
        all.extend((0..more).map(|number| Self::random(number, random)));
        all.retain(|question| question.name.contains(&wanted));
        assert!(!all.is_empty());
        all
    }

    fn read(text: &str) -> Self {
        let (head, rest) = text.split_once('\n').unwrap();
        let (statements, batch) = rest.split_once("\n---\n").unwrap();
        let (name, is_final) = head.strip_suffix(" final").map_or((head, false), |name| (name, true));
        Self { name: name.to_owned(), is_final, statements: statements.to_owned(), batch: batch.to_owned() }
    }

    /// A stream of expressions.
    fn random(number: usize, random: &mut Random) -> Self {
        let name = format!("RANDOM_{number}");
        let mut ours = format!("CREATE STREAM {name} AS SELECT K, AS_VALUE(K) AS KV");
        let mut theirs = "SELECT k AS KV".to_owned();
        for column in 0..4 {
            let kind = [Kind::Whole, Kind::Real, Kind::Text, Kind::Truth][random.index(4)];
            let (one, other) = expression(kind, 3, random);
            write!(ours, ", {one} AS X{column}").unwrap();
            write!(theirs, ", {other} AS X{column}").unwrap();
        }
        let (one, other) = expression(Kind::Truth, 3, random);
        write!(ours, " FROM a WHERE {one} EMIT CHANGES;").unwrap();
        write!(theirs, " FROM a WHERE {other}").unwrap();
        Self { name, is_final: false, statements: ours, batch: theirs }
    }

    fn is_table(&self) -> bool {
        self.statements.contains(&format!("CREATE TABLE {} ", self.name))
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Whole,
    Real,
    Text,
    Truth,
}

/// A random expression over the columns of `a`, in both dialects.
fn expression(kind: Kind, depth: u32, random: &mut Random) -> (String, String) {
    // How both write it; `@n` is the argument number n.
    let (ours, theirs, arguments): (&str, &str, &[Kind]) = if depth == 0 {
        let both = match kind {
            Kind::Whole => ["I", "N", "7", "-2", "I"][random.index(5)],
            Kind::Real => ["D", "CAST(E AS DOUBLE)", "CAST(0.5 AS DOUBLE)"][random.index(3)],
            Kind::Text => ["S", "G", "'b'", "K"][random.index(4)],
            Kind::Truth => ["F", "COALESCE(I > 0, FALSE)", "S IS NULL", "TRUE"][random.index(4)],
        };
        (both, both, &[])
    } else {
        let choices = match kind {
            Kind::Whole => WHOLE,
            Kind::Real => REAL,
            Kind::Text => TEXT,
            Kind::Truth => TRUTH,
        };
        choices[random.index(choices.len())]
    };
    let (mut ours, mut theirs) = (ours.to_owned(), theirs.to_owned());
    for (number, kind) in arguments.iter().enumerate() {
        let (one, other) = expression(*kind, depth - 1, random);
        ours = ours.replace(&format!("@{number}"), &one);
        theirs = theirs.replace(&format!("@{number}"), &other);
    }
    (ours, theirs)
}

/// Ways to make a value of some kind: ours, `DuckDB`'s, the arguments. As in ksqlDB, a comparison with `NULL` is false.
type Ways = &'static [(&'static str, &'static str, &'static [Kind])];

const WHOLE: Ways = {
    use Kind::{Real, Text, Truth, Whole};
    &[
        ("(@0 + @1)", "(@0 + @1)", &[Whole, Whole]),
        ("(@0 - @1)", "(@0 - @1)", &[Whole, Whole]),
        ("(@0 * 3)", "(@0 * 3)", &[Whole]),
        ("(@0 / 4)", "trunc(@0 / 4)::BIGINT", &[Whole]),
        ("(@0 % 7)", "(@0 % 7)", &[Whole]),
        ("(- @0)", "(- @0)", &[Whole]),
        ("ABS(@0)", "abs(@0)", &[Whole]),
        ("NULLIF(@0, @1)", "nullif(@0, @1)", &[Whole, Whole]),
        ("COALESCE(CAST(@0 AS BIGINT), CAST(@1 AS BIGINT))", "coalesce(@0, @1)", &[Whole, Whole]),
        (
            "CASE WHEN @0 THEN CAST(@1 AS BIGINT) ELSE CAST(@2 AS BIGINT) END",
            "CASE WHEN @0 THEN @1 ELSE @2 END",
            &[Truth, Whole, Whole],
        ),
        ("CASE WHEN @0 THEN @1 END", "CASE WHEN @0 THEN @1 END", &[Truth, Whole]),
        ("LEN(@0)", "length(@0)", &[Text]),
        ("INSTR(@0, 'b')", "coalesce(instr(@0, 'b'), 0)", &[Text]),
        ("CAST(@0 AS BIGINT)", "trunc(@0)::BIGINT", &[Real]),
        ("CAST(CAST(@0 AS VARCHAR) AS BIGINT)", "@0", &[Whole]),
        ("SIGN(@0)", "sign(@0)::INT", &[Real]),
    ]
};

const REAL: Ways = {
    use Kind::{Real, Truth, Whole};
    &[
        ("(@0 + @1)", "(@0 + @1)", &[Real, Real]),
        ("(@0 - @1)", "(@0 - @1)", &[Real, Whole]),
        ("(@0 * @1)", "(@0 * @1)", &[Real, Real]),
        ("(@0 / NULLIF(@1, CAST(0 AS DOUBLE)))", "(@0 / nullif(@1, 0))", &[Real, Real]),
        ("FLOOR(@0)", "floor(@0)", &[Real]),
        ("CEIL(@0)", "ceil(@0)", &[Real]),
        ("ABS(@0)", "abs(@0)", &[Real]),
        ("CAST(ROUND(@0) AS DOUBLE)", "floor(@0 + 0.5::DOUBLE)", &[Real]),
        ("SQRT(ABS(@0))", "sqrt(abs(@0))", &[Real]),
        ("CAST(@0 AS DOUBLE)", "CAST(@0 AS DOUBLE)", &[Whole]),
        ("GREATEST(@0, @1)", "greatest(@0, @1)", &[Real, Real]),
        ("LEAST(@0, @1)", "least(@0, @1)", &[Real, Real]),
        ("CASE WHEN @0 THEN @1 ELSE @2 END", "CASE WHEN @0 THEN @1 ELSE @2 END", &[Truth, Real, Real]),
        ("IFNULL(@0, @1)", "ifnull(@0, @1)", &[Real, Real]),
    ]
};

const TEXT: Ways = {
    use Kind::{Text, Truth, Whole};
    &[
        ("(@0 + @1)", "(@0 || @1)", &[Text, Text]),
        ("CONCAT(@0, '-', @1)", "concat(@0, '-', @1)", &[Text, Text]),
        ("UCASE(@0)", "upper(@0)", &[Text]),
        ("LCASE(@0)", "lower(@0)", &[Text]),
        ("TRIM(' ' + @0 + ' ')", "trim(' ' || @0 || ' ')", &[Text]),
        ("SUBSTRING(@0, 1, 1)", "substring(@0, 1, 1)", &[Text]),
        ("SUBSTRING(@0, 2)", "substring(@0, 2)", &[Text]),
        ("REPLACE(@0, 'b', 'dd')", "replace(@0, 'b', 'dd')", &[Text]),
        ("LPAD(@0, 4, '*')", "lpad(@0, 4, '*')", &[Text]),
        ("RPAD(@0, 4, '*')", "rpad(@0, 4, '*')", &[Text]),
        ("CAST(@0 AS VARCHAR)", "CAST(@0 AS VARCHAR)", &[Whole]),
        ("COALESCE(@0, @1)", "coalesce(@0, @1)", &[Text, Text]),
        ("NULLIF(@0, @1)", "nullif(@0, @1)", &[Text, Text]),
        (
            "CASE WHEN @0 THEN @1 WHEN @2 THEN @3 END",
            "CASE WHEN @0 THEN @1 WHEN @2 THEN @3 END",
            &[Truth, Text, Truth, Text],
        ),
    ]
};

const TRUTH: Ways = {
    use Kind::{Real, Text, Truth, Whole};
    &[
        ("(@0 < @1)", "coalesce((@0 < @1), FALSE)", &[Whole, Whole]),
        ("(@0 >= @1)", "coalesce((@0 >= @1), FALSE)", &[Real, Whole]),
        ("(@0 = @1)", "coalesce((@0 = @1), FALSE)", &[Text, Text]),
        ("(@0 <> @1)", "coalesce((@0 <> @1), FALSE)", &[Whole, Whole]),
        ("(@0 < @1)", "coalesce((@0 < @1), FALSE)", &[Text, Text]),
        ("(@0 AND @1)", "(@0 AND @1)", &[Truth, Truth]),
        ("(@0 OR @1)", "(@0 OR @1)", &[Truth, Truth]),
        ("(NOT @0)", "(NOT @0)", &[Truth]),
        ("(@0 IS NULL)", "(@0 IS NULL)", &[Text]),
        ("(@0 IS NOT NULL)", "(@0 IS NOT NULL)", &[Real]),
        ("(@0 IS DISTINCT FROM @1)", "(@0 IS DISTINCT FROM @1)", &[Whole, Whole]),
        ("(@0 IS NOT DISTINCT FROM @1)", "(@0 IS NOT DISTINCT FROM @1)", &[Text, Text]),
        ("(@0 BETWEEN -3 AND @1)", "coalesce((@0 BETWEEN -3 AND @1), FALSE)", &[Whole, Whole]),
        ("(@0 NOT BETWEEN @1 AND 2)", "(NOT coalesce((@0 BETWEEN @1 AND 2), FALSE))", &[Whole, Whole]),
        ("(@0 IN (1, 2, -3))", "coalesce((@0 IN (1, 2, -3)), FALSE)", &[Whole]),
        ("(@0 NOT IN ('b', 'bc'))", "(NOT coalesce((@0 IN ('b', 'bc')), FALSE))", &[Text]),
        ("(@0 LIKE '%b_')", "coalesce((@0 LIKE '%b_'), FALSE)", &[Text]),
        ("(@0 NOT LIKE 'k%')", "(NOT coalesce((@0 LIKE 'k%'), FALSE))", &[Text]),
    ]
};

/// The engine over topics with some partitions.
struct Plant {
    bus: Arc<dyn Bus>,
    engine: Engine,
    partitions: Vec<i32>,
}

impl Plant {
    async fn start(partitions: Vec<i32>, questions: &[Question]) -> Self {
        let bus: Arc<dyn Bus> = MemoryBus::new();
        for (source, partitions) in SOURCES.iter().zip(&partitions) {
            bus.create_topic(&TopicSpec::new(source.topic, *partitions)).await.unwrap();
        }
        let engine = Self::engine(&bus, questions).await;
        Self { bus, engine, partitions }
    }

    /// An engine with all queries; where they ran before, they go on.
    async fn engine(bus: &Arc<dyn Bus>, questions: &[Question]) -> Engine {
        let engine = Engine::new(bus.clone(), Catalog::new(), TestClock::start());
        for source in &SOURCES {
            engine.execute(&source.statement()).await.unwrap();
        }
        let mut refused = Vec::new();
        for Question { name, statements, .. } in questions {
            if let Err(error) = engine.execute(statements).await {
                refused.push(format!("{name}: {statements}\n{error}"));
            }
        }
        assert!(refused.is_empty(), "{}", refused.join("\n"));
        engine
    }

    /// Ends the process wherever it is, and begins again.
    async fn restart(&mut self, questions: &[Question]) {
        self.engine.stop().await;
        self.engine = Self::engine(&self.bus, questions).await;
    }

    async fn append(&self, row: &Row) {
        let partition = partition_for_key(row.key.as_deref().map(str::as_bytes), self.partitions[row.source]);
        let at = TopicPartition::new(SOURCES[row.source].topic, partition);
        self.bus.append(&at, vec![row.record()], Acks::All).await.unwrap();
    }

    /// Waits until the queries have read everything, what they wrote for themselves and each other as well.
    async fn drained(&self) {
        let written = AtomicI64::new(-1);
        for _ in 0..2 {
            until("every query has read everything", PATIENCE, async || {
                let (behind, now) = self.progress().await;
                (behind == 0 && written.swap(now, Ordering::Relaxed) == now).then_some(())
            })
            .await;
        }
    }

    /// Records that queries have still to read, and all that stand in any topic.
    async fn progress(&self) -> (i64, i64) {
        let (mut behind, mut written) = (0, 0);
        let mut ends = BTreeMap::new();
        for topic in self.bus.topics().await.unwrap() {
            for partition in 0..topic.partitions {
                let at = TopicPartition::new(topic.name.as_str(), partition);
                let end = self.bus.offsets(&at).await.unwrap().stable;
                written += end;
                ends.insert((topic.name.clone(), partition), (at, end));
            }
        }
        for query in self.engine.queries() {
            assert_eq!(query.state, QueryState::Running, "{query:?}");
            let group = format!("_millstream-query-{}", query.id);
            // A stage that reads a topic once more has offsets of its own.
            let groups: Vec<String> = std::iter::once(group.clone())
                .chain((1..9).map(|stage| format!("{group}-{stage}")))
                .collect();
            for ((topic, _), (at, end)) in &ends {
                let own = topic.starts_with(&format!("{group}-")) && topic.contains("repartition");
                if !own && !query.sources.contains(topic) {
                    continue;
                }
                let mut least = None;
                for group in &groups {
                    let committed = self.bus.committed(group, std::slice::from_ref(at)).await.unwrap();
                    let found = committed[0].as_ref().map(|committed| committed.offset);
                    least = [least, found].into_iter().flatten().min();
                }
                behind += end - least.unwrap_or(0);
            }
        }
        (behind, written)
    }

    /// The rows of a question's result, as they are in the end.
    async fn rows(&self, question: &Question) -> Vec<Json> {
        let mut last = BTreeMap::new();
        let mut rows = Vec::new();
        for (number, received) in records(&*self.bus, &question.name).await.into_iter().enumerate() {
            let value = received.record.value.as_deref();
            let value = value.map(|value| serde_json::from_slice::<Json>(value).unwrap());
            if question.is_table() {
                let newer = last.insert(received.record.key.clone(), value);
                let once = question.is_final && newer.is_some();
                assert!(!once, "{}: record {number} is not the first of a final row", question.name);
            } else {
                rows.extend(value);
            }
        }
        rows.extend(last.into_values().flatten());
        rows
    }

    /// Moves time far ahead in every partition, those of the queries' own topics as well.
    async fn pass_time(&self, random: &mut Random) {
        for source in [0, 1] {
            for number in 0..30 {
                let text = format!("{TIME}-{number}");
                let cells = SOURCES[source].columns[1..].iter().map(|(name, kind, _)| match *kind {
                    "VARCHAR" => json!(text),
                    _ => Source::cell(kind, name, random),
                });
                let value = Some(cells.collect());
                self.append(&Row { source, key: Some(text.clone()), value, at: AT + FAR }).await;
            }
        }
    }
}

/// A row as one text, the same from both sides: arrays in order, as sets and lists have none; numbers to nine digits.
fn shown(row: &Json) -> String {
    match row {
        Json::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name}: {}", shown(value))).collect();
            fields.join(", ")
        }
        Json::Array(values) => {
            let mut values: Vec<String> = values.iter().map(shown).collect();
            values.sort();
            format!("[{}]", values.join(", "))
        }
        Json::Number(number) => {
            let number = number.as_f64().unwrap();
            // Neither -0 nor what rounding leaves of 0.
            let whole = number.abs() < 1e-9 || (number.fract() == 0.0 && number.abs() < 1e15);
            if whole { format!("{:.0}", number + 0.0) } else { format!("{number:.8e}") }
        }
        other => other.to_string(),
    }
}

/// What the records amount to, for `DuckDB`: all rows of a stream, the newest of every key of a table.
fn tables(all: &[Row]) -> Json {
    let mut tables = Map::new();
    for (index, source) in SOURCES.iter().enumerate() {
        let mut rows = Vec::new();
        let mut newest = BTreeMap::new();
        for (seq, row) in all.iter().enumerate().filter(|(_, row)| row.source == index) {
            let cells = row.value.as_ref().map(|cells| {
                let key = std::iter::once(json!(row.key));
                key.chain(cells.iter().cloned()).chain([json!(row.at), json!(seq)]).collect::<Json>()
            });
            if source.is_table {
                newest.insert(row.key.clone(), cells);
            } else {
                rows.extend(cells);
            }
        }
        rows.extend(newest.into_values().flatten());
        let columns: Vec<_> = source.columns.iter().map(|(name, _, kind)| (*name, *kind)).collect();
        let columns = [columns, vec![("ts", "BIGINT"), ("seq", "BIGINT")]].concat();
        tables.insert(source.topic.to_owned(), json!({"columns": columns, "rows": rows}));
    }
    Json::Object(tables)
}

/// Both multisets of rows, compared; `None` where they are the same.
fn difference(ours: &[Json], theirs: &Json) -> Option<String> {
    let Json::Array(theirs) = theirs else { return Some(format!("DuckDB says {theirs}")) };
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    for row in ours {
        // What only moved time is in nobody's batch.
        if !row
            .as_object()
            .unwrap()
            .values()
            .any(|cell| cell.as_str().is_some_and(|text| text.starts_with(TIME)))
        {
            *counts.entry(shown(row)).or_default() += 1;
        }
    }
    for row in theirs {
        *counts.entry(shown(row)).or_default() -= 1;
    }
    counts.retain(|_, count| *count != 0);
    let lines: Vec<_> = counts.iter().take(8).map(|(row, count)| format!("  {count:+} {row}")).collect();
    (!counts.is_empty())
        .then(|| format!("{} rows differ (+ ours, - DuckDB's):\n{}", counts.len(), lines.join("\n")))
}

async fn round(seed: u64, duckdb: &mut DuckDb) {
    let mut random = Random::new(seed);
    let questions = Question::all(4, &mut random);
    let partitions = (0..SOURCES.len()).map(|_| 1 + i32::try_from(random.below(3)).unwrap()).collect();
    let mut plant = Plant::start(partitions, &questions).await;

    // The lookup table is complete before the streams begin; what else comes, comes mixed.
    let mut all = made(4, 20, &mut random);
    for row in &all {
        plant.append(row).await;
    }
    plant.drained().await;
    let mut rest = [(0, 150), (1, 120), (2, 70), (3, 50)]
        .map(|(source, count)| made(source, count, &mut random).into_iter().peekable());
    let mut left: BTreeSet<usize> = (0..rest.len()).collect();
    while !left.is_empty() {
        let next = *left.iter().nth(random.index(left.len())).unwrap();
        for row in rest[next].by_ref().take(1 + random.index(6)) {
            plant.append(&row).await;
            all.push(row);
        }
        if rest[next].peek().is_none() {
            left.remove(&next);
        }
        match random.below(60) {
            0..3 => plant.drained().await,
            3 => plant.restart(&questions).await,
            _ => {}
        }
    }
    plant.drained().await;

    let batches: Map<_, _> = questions.iter().map(|q| (q.name.clone(), json!(q.batch))).collect();
    let theirs = duckdb.ask(&json!({"tables": tables(&all), "queries": batches}));
    let mut ours = BTreeMap::new();
    for question in questions.iter().filter(|question| !question.is_final) {
        ours.insert(&question.name, plant.rows(question).await);
    }
    plant.pass_time(&mut random).await;
    plant.drained().await;
    for question in questions.iter().filter(|question| question.is_final) {
        ours.insert(&question.name, plant.rows(question).await);
    }
    for query in plant.engine.queries() {
        assert_eq!((query.late_records, query.restarts), (0, 0), "MILLSTREAM_SEED={seed}: {}", query.id);
    }
    // Rows that a NULL keeps out of a group or a join are told; nothing else went wrong.
    let errors = values(&*plant.bus, ERROR_TOPIC).await;
    let errors = errors.iter().map(|error| format!("{}: {}", error["query"], error["error"]));
    let wrong: BTreeSet<String> = errors.filter(|error| !error.contains("is NULL; the row")).collect();
    let mut trouble: Vec<String> = wrong.into_iter().collect();
    for question in &questions {
        if let Some(difference) = difference(&ours[&question.name], &theirs[&question.name]) {
            trouble.push(format!("{}\n{}\n{difference}", question.name, question.statements));
        }
    }
    plant.engine.stop().await;
    assert!(trouble.is_empty(), "MILLSTREAM_SEED={seed}\n{}", trouble.join("\n\n"));
}

#[tokio::test(start_paused = true)]
async fn queries_end_with_what_duckdb_says_of_all_records_at_once() {
    let first = std::env::var("MILLSTREAM_SEED").ok().and_then(|text| text.parse().ok());
    let first = first.unwrap_or(1_u64);
    let mut duckdb = DuckDb::start();
    for seed in first..first + rounds(24, 5) as u64 {
        println!("MILLSTREAM_SEED={seed}");
        round(seed, &mut duckdb).await;
    }
}
