//! Rows of a query to the REST API, and rows from it into a stream or table.

use super::types::{schema, type_name};
use super::values::api_value;
use async_trait::async_trait;
use millstream_server::{KsqlAnswer, KsqlColumn, KsqlFailure, KsqlInserts, KsqlQuery, KsqlRow};
use millstream_sql::{InsertStream, Print, PushQuery, PushRow, SqlType};
use tokio::sync::mpsc;

/// Rows that wait between a query and the API; both have queues of their own.
const QUEUE_ROWS: usize = 64;

/// A query that was started as the API wants it.
pub(super) fn answer(query: PushQuery, id: String, limit: Option<u64>) -> KsqlAnswer {
    let columns = query.columns.iter().enumerate().map(|(index, (name, sql_type))| KsqlColumn {
        name: name.to_string(),
        sql_type: type_name(*sql_type),
        schema: schema(*sql_type),
        key: query.keys.contains(&index),
    });
    let (columns, push, table) = (columns.collect(), !query.pull, query.table);
    let (sender, rows) = mpsc::channel(QUEUE_ROWS);
    tokio::spawn(pump(query, limit, sender));
    KsqlAnswer::Rows(KsqlQuery { id, push, table, columns, rows })
}

async fn pump(mut query: PushQuery, limit: Option<u64>, rows: mpsc::Sender<KsqlRow>) {
    let types: Vec<SqlType> = query.columns.iter().map(|(_, sql_type)| *sql_type).collect();
    let mut left = limit;
    loop {
        let next = tokio::select! {
            next = query.next() => next,
            () = rows.closed() => return,
        };
        let row = match next {
            None => return,
            Some(Ok(row)) => ksql_row(&row, &types),
            Some(Err(error)) => KsqlRow::Failed(error.to_string()),
        };
        if rows.send(row).await.is_err() {
            return;
        }
        left = left.map(|left| left.saturating_sub(1));
        if left == Some(0) {
            // Whoever has gone needs no last word.
            let _ = rows.send(KsqlRow::Limit).await;
            return;
        }
    }
}

/// A `PRINT` that was started.
pub(super) fn printed(mut print: Print) -> KsqlAnswer {
    let (sender, lines) = mpsc::channel(QUEUE_ROWS);
    tokio::spawn(async move {
        loop {
            let next = tokio::select! {
                next = print.next() => next,
                () = sender.closed() => return,
            };
            let line = match next {
                None => return,
                Some(Ok(record)) => record.to_string(),
                Some(Err(error)) => format!("error: {error}"),
            };
            if sender.send(line).await.is_err() {
                return;
            }
        }
    });
    KsqlAnswer::Lines(lines)
}

fn ksql_row(row: &PushRow, types: &[SqlType]) -> KsqlRow {
    let values = row.values.iter().zip(types).map(|(value, of)| api_value(value, *of)).collect();
    if row.tombstone { KsqlRow::Tombstone(values) } else { KsqlRow::Row(values) }
}

/// A stream or table that takes rows.
pub(super) struct Inserts(pub(super) InsertStream);

#[async_trait]
impl KsqlInserts for Inserts {
    async fn insert(&mut self, rows: Vec<String>) -> Vec<Result<(), KsqlFailure>> {
        let outcomes = self.0.insert(&rows).await;
        outcomes.into_iter().map(|outcome| outcome.map_err(KsqlFailure::bad_request)).collect()
    }
}
