//! The plant's SQL engine behind ksqlDB's REST API.

mod connectors;
mod entities;
mod rows;
mod types;
pub(in crate::instance) mod values;

use async_trait::async_trait;
use millstream_bus::Bus;
use millstream_model::Diagnostic;
use millstream_server::{Ksql, KsqlAnswer, KsqlEntity, KsqlFailure, KsqlInserts, SqlRequest};
use millstream_sql::parse::ast::{Statement, StatementKind};
use millstream_sql::parse::{Variables, parse_with};
use millstream_sql::plan::PROPERTIES;
use millstream_sql::{Engine, Execution, Session, SqlError, StatementResult};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The engine, as the REST API sees it.
pub(super) struct Front {
    engine: Arc<Engine>,
    bus: Arc<dyn Bus>,
    plant: String,
    /// How many queries were started.
    started: AtomicU64,
}

impl Front {
    pub(super) fn new(engine: Arc<Engine>, bus: Arc<dyn Bus>, plant: &str) -> Self {
        Self { engine, bus, plant: plant.to_owned(), started: AtomicU64::new(0) }
    }
}

#[async_trait]
impl Ksql for Front {
    async fn statements(&self, request: SqlRequest) -> Result<Vec<KsqlEntity>, KsqlFailure> {
        let (parsed, _) = parse(&request);
        // A list with a query in it is refused before anything of it is done.
        if let Some(query) = parsed.iter().find(|statement| is_query(statement)) {
            return Err(KsqlFailure::query_endpoint(text(&request.sql, query), Vec::new()));
        }
        let mut session = session(&request);
        let Execution { done, failed } = self.engine.execute_in(&request.sql, &mut session).await;
        let mut entities = Vec::new();
        for executed in done {
            entities.extend(entities::of(self, executed, &session).await?);
        }
        match failed {
            None => Ok(entities),
            Some((sql, error)) => Err(failure(&request.sql, &parsed, &sql, error, entities)),
        }
    }

    async fn query(&self, request: SqlRequest) -> Result<KsqlAnswer, KsqlFailure> {
        let (parsed, _) = parse(&request);
        if let Some(other) = parsed.iter().find(|statement| !is_query(statement)) {
            let statement = text(&request.sql, other);
            let message = "only SELECT and PRINT give rows: send this statement to /ksql";
            return Err(KsqlFailure::statement(message, statement, Vec::new()));
        }
        if parsed.len() > 1 {
            return Err(KsqlFailure::bad_request(
                "a request has one SELECT or PRINT; send the others on their own",
            ));
        }
        let limit = parsed.first().and_then(limit_of);
        let Execution { mut done, failed } =
            self.engine.execute_in(&request.sql, &mut session(&request)).await;
        if let Some((sql, error)) = failed {
            return Err(failure(&request.sql, &parsed, &sql, error, Vec::new()));
        }
        match done.pop().map(|executed| executed.result) {
            Some(StatementResult::Push(query)) => {
                let number = self.started.fetch_add(1, Ordering::Relaxed);
                let kind = if query.pull { "pull" } else { "push" };
                Ok(rows::answer(query, format!("{kind}_{number}"), limit))
            }
            Some(StatementResult::Print(print)) => Ok(rows::printed(print)),
            _ => Err(KsqlFailure::server("the query gave no rows")),
        }
    }

    async fn inserts(&self, target: &str) -> Result<Box<dyn KsqlInserts>, KsqlFailure> {
        let open = self.engine.inserts(target).await;
        let inserts = open.map_err(|error| failure("", &[], "", error, Vec::new()))?;
        Ok(Box::new(rows::Inserts(inserts)))
    }

    fn knows_property(&self, name: &str) -> bool {
        let short = name.strip_prefix("ksql.streams.").unwrap_or(name);
        PROPERTIES.iter().any(|property| property.name == short)
    }

    fn cluster(&self) -> (String, String) {
        (self.plant.clone(), format!("{}_", self.plant))
    }
}

fn parse(request: &SqlRequest) -> (Vec<Statement>, Vec<Diagnostic>) {
    let mut variables = Variables::default();
    for (name, value) in &request.variables {
        variables.define(name, value);
    }
    parse_with(&request.sql, &mut variables)
}

/// What a request brings along.
pub(super) fn session(request: &SqlRequest) -> Session {
    Session { properties: request.properties.clone(), variables: request.variables.clone() }
}

fn is_query(statement: &Statement) -> bool {
    matches!(statement.kind, StatementKind::Select(_) | StatementKind::Print { .. })
}

fn limit_of(statement: &Statement) -> Option<u64> {
    match &statement.kind {
        StatementKind::Select(query) => query.limit.as_ref().map(|(rows, _)| *rows),
        _ => None,
    }
}

/// A statement as it was written, with its semicolon.
fn text(source: &str, statement: &Statement) -> String {
    ended(source.get(statement.place.clone()).unwrap_or_default())
}

fn ended(sql: &str) -> String {
    let sql = sql.trim();
    if sql.is_empty() || sql.ends_with(';') { sql.to_owned() } else { format!("{sql};") }
}

/// An error of the engine in ksqlDB's words.
fn failure(
    source: &str,
    parsed: &[Statement],
    sql: &str,
    error: SqlError,
    done: Vec<KsqlEntity>,
) -> KsqlFailure {
    match error {
        SqlError::Stopped => KsqlFailure::shutting_down(),
        SqlError::Mistakes(mistakes) => {
            let first =
                mistakes.iter().find_map(|mistake| mistake.span.as_ref()).map(|span| span.range.start);
            let wrong = parsed.iter().find(|statement| first.is_some_and(|at| statement.place.contains(&at)));
            let statement =
                wrong.map_or_else(|| ended(if sql.is_empty() { source } else { sql }), |s| text(source, s));
            let message =
                mistakes.iter().map(|mistake| sentence(source, mistake)).collect::<Vec<_>>().join("\n");
            KsqlFailure::statement(message, statement, done)
        }
        error => KsqlFailure::failed_statement(error.to_string(), ended(sql), done),
    }
}

/// A mistake in one line, with its place as ksqlDB writes it.
fn sentence(source: &str, mistake: &Diagnostic) -> String {
    let mut words = String::new();
    if let Some(span) = &mistake.span {
        let before = &source[..source.floor_char_boundary(span.range.start)];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let (line, column) = (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1);
        let _ = write!(words, "line {line}:{column}: ");
    }
    words.push_str(&mistake.message);
    if !mistake.label.is_empty() {
        let _ = write!(words, " ({})", mistake.label);
    }
    if let Some(help) = &mistake.help {
        let _ = write!(words, "; {help}");
    }
    words
}
