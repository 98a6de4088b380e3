//! Statements that come over HTTP: run on the engine, results sent as events.

use super::ksql::session;
use super::ksql::values::api_value;
use millstream_model::Diagnostic;
use millstream_server::{SqlColumn, SqlEvent, SqlMistake, SqlNames, SqlRelation, SqlRequest};
use millstream_sql::{Engine, Execution, Listing, Print, PushQuery, SqlError, StatementResult};
use tokio::sync::mpsc::Sender;

/// Nobody listens any more.
struct Gone;

/// Runs what is asked, and sends what it yields. A push query goes on until it ends or nobody listens.
pub(super) async fn run(engine: &Engine, request: &SqlRequest, events: &Sender<SqlEvent>) {
    // Whoever is gone need not be told.
    let _ = execute(engine, request, events).await;
}

/// The names that statements may use.
pub(super) async fn names(engine: &Engine) -> SqlNames {
    let catalog = engine.catalog();
    let relation = |relation: &std::sync::Arc<millstream_sql::Relation>| SqlRelation {
        name: relation.name.to_string(),
        kind: relation.kind.word().to_uppercase(),
        columns: relation.columns.iter().map(|column| column.name.to_string()).collect(),
    };
    let functions = match engine.execute("SHOW FUNCTIONS;").await.ok().and_then(|mut results| results.pop()) {
        Some(StatementResult::Listing(listing)) => {
            listing.rows.into_iter().filter_map(|row| row.into_iter().next()).collect()
        }
        _ => Vec::new(),
    };
    SqlNames { relations: catalog.relations().map(relation).collect(), functions }
}

async fn execute(engine: &Engine, request: &SqlRequest, events: &Sender<SqlEvent>) -> Result<(), Gone> {
    let Execution { done, failed } = engine.execute_in(&request.sql, &mut session(request)).await;
    for executed in done {
        if !executed.warnings.is_empty() {
            let warnings = executed.warnings.into_iter().map(mistake).collect();
            send(events, SqlEvent::Warnings(warnings)).await?;
        }
        match executed.result {
            StatementResult::Done(message) | StatementResult::Started { message, .. } => {
                send(events, SqlEvent::Message(message)).await?;
            }
            StatementResult::Listing(Listing { columns, rows }) => {
                send(events, SqlEvent::Listing { columns, rows }).await?;
            }
            StatementResult::Print(print) => {
                if !printed(print, events).await? {
                    return Ok(());
                }
            }
            StatementResult::Push(query) => {
                if !push(query, events).await? {
                    return Ok(());
                }
            }
        }
    }
    match failed {
        Some((_, error)) => send(events, failure(error)).await,
        None => send(events, SqlEvent::Done).await,
    }
}

/// Whether the query came to its end, and not to an error.
async fn push(mut query: PushQuery, events: &Sender<SqlEvent>) -> Result<bool, Gone> {
    let types: Vec<_> = query.columns.iter().map(|(_, kind)| *kind).collect();
    let columns = query.columns.iter();
    let columns =
        columns.map(|(name, kind)| SqlColumn { name: name.to_string(), sql_type: kind.to_string() });
    send(events, SqlEvent::Columns(columns.collect())).await?;
    loop {
        let row = tokio::select! {
            row = query.next() => row,
            () = events.closed() => return Err(Gone),
        };
        match row {
            None => return Ok(true),
            Some(Ok(row)) => {
                let values = row.values.iter().zip(&types).map(|(value, of)| api_value(value, *of)).collect();
                let event = if row.tombstone { SqlEvent::Deleted(values) } else { SqlEvent::Row(values) };
                send(events, event).await?;
            }
            Some(Err(error)) => {
                send(events, failure(error)).await?;
                return Ok(false);
            }
        }
    }
}

/// The lines of a `PRINT`; whether it came to its end, and not to an error.
async fn printed(mut print: Print, events: &Sender<SqlEvent>) -> Result<bool, Gone> {
    loop {
        let next = tokio::select! {
            next = print.next() => next,
            () = events.closed() => return Err(Gone),
        };
        match next {
            None => return Ok(true),
            Some(Ok(record)) => send(events, SqlEvent::Message(record.to_string())).await?,
            Some(Err(error)) => {
                send(events, failure(error)).await?;
                return Ok(false);
            }
        }
    }
}

async fn send(events: &Sender<SqlEvent>, event: SqlEvent) -> Result<(), Gone> {
    events.send(event).await.map_err(|_| Gone)
}

fn failure(error: SqlError) -> SqlEvent {
    match error {
        SqlError::Mistakes(mistakes) => SqlEvent::Mistakes(mistakes.into_iter().map(mistake).collect()),
        error => SqlEvent::Failed(error.to_string()),
    }
}

fn mistake(diagnostic: Diagnostic) -> SqlMistake {
    SqlMistake {
        code: diagnostic.code.to_owned(),
        message: diagnostic.message,
        label: diagnostic.label,
        help: diagnostic.help,
        range: diagnostic.span.map(|span| (span.range.start, span.range.end)),
    }
}
