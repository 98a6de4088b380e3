//! Statements that come over HTTP: run on the engine, results sent as events.

use millstream_model::Diagnostic;
use millstream_server::{SqlColumn, SqlEvent, SqlMistake};
use millstream_format::sql::json_value;
use millstream_sql::{Engine, Listing, PushQuery, SqlError, StatementResult};
use tokio::sync::mpsc::Sender;

/// Nobody listens any more.
struct Gone;

/// Runs `source`, and sends what it yields. A push query goes on until it ends or nobody listens.
pub(super) async fn run(engine: &Engine, source: &str, events: &Sender<SqlEvent>) {
    // Whoever is gone need not be told.
    let _ = execute(engine, source, events).await;
}

async fn execute(engine: &Engine, source: &str, events: &Sender<SqlEvent>) -> Result<(), Gone> {
    let results = match engine.execute(source).await {
        Ok(results) => results,
        Err(error) => return send(events, failure(error)).await,
    };
    for result in results {
        match result {
            StatementResult::Done(message) | StatementResult::Started { message, .. } => {
                send(events, SqlEvent::Message(message)).await?;
            }
            StatementResult::Listing(Listing { columns, rows }) => {
                send(events, SqlEvent::Listing { columns, rows }).await?;
            }
            StatementResult::Push(query) => {
                if !push(query, events).await? {
                    return Ok(());
                }
            }
        }
    }
    send(events, SqlEvent::Done).await
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
            Some(Ok(row)) => send(events, SqlEvent::Row(row.values.iter().zip(&types).map(|(value, of)| json_value(value, *of)).collect())).await?,
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
