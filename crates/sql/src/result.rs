//! What statements give back.

use crate::parse::ast::RelationKind;
use crate::{ColumnSpec, Datum, Header, Print, Relation, SqlError, SqlType};
use millstream_model::Diagnostic;
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::mpsc;

/// What became of a list of statements.
#[derive(Debug, Default)]
pub struct Execution {
    /// The statements that were done, in order.
    pub done: Vec<Executed>,
    /// The text of the first that failed, and why; the text is empty where none was begun, because the list has mistakes.
    pub failed: Option<(String, SqlError)>,
}

/// One statement that was done.
#[derive(Debug)]
pub struct Executed {
    /// Its text.
    pub sql: String,
    /// What works, but probably not as meant.
    pub warnings: Vec<Diagnostic>,
    /// What it gave back.
    pub result: StatementResult,
}

/// The result of one statement.
#[derive(Debug)]
pub enum StatementResult {
    /// It was done; a sentence that says what.
    Done(String),
    /// A persistent query was started, or was running already.
    Started {
        /// Its id, such as `CSAS_ALARMS`.
        id: Arc<str>,
        /// A sentence.
        message: String,
    },
    /// A list, as `SHOW`, `DESCRIBE` and `EXPLAIN` print it.
    Listing(Listing),
    /// The rows of a `SELECT`: as they come with `EMIT CHANGES`, else as they are.
    Push(PushQuery),
    /// The records of a topic, as `PRINT` gives them.
    Print(Print),
}

/// A list of named columns and rows of text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listing {
    /// Column names.
    pub columns: Vec<String>,
    /// One text per column.
    pub rows: Vec<Vec<String>>,
}

/// One row of a push query: one value per column.
#[derive(Debug, Clone, PartialEq)]
pub struct PushRow {
    /// The values in the order of [`PushQuery::columns`].
    pub values: Vec<Datum<'static>>,
    /// Whether a table's row was deleted; only the key's columns have values then.
    pub tombstone: bool,
}

/// A running push or pull query. It ends when it is dropped, when the limit is reached, when a pull query has given its
/// rows, or when the engine stops.
#[derive(Debug)]
pub struct PushQuery {
    /// The columns' names and types.
    pub columns: Vec<(Arc<str>, SqlType)>,
    /// Which of them stand in the record's key.
    pub keys: Vec<usize>,
    /// Whether its rows are those of a table.
    pub table: bool,
    /// Whether it ends by itself.
    pub pull: bool,
    pub(crate) rows: mpsc::Receiver<Result<PushRow, SqlError>>,
    pub(crate) task: tokio::task::AbortHandle,
}

impl PushQuery {
    /// The next row; `None` at the end. Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<PushRow, SqlError>> {
        self.rows.recv().await
    }
}

impl Drop for PushQuery {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Where a query stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum QueryState {
    /// Every partition is being read.
    Running,
    /// It was paused, and goes on with `RESUME`.
    Paused,
    /// A partition failed and is tried again by itself, or gets nowhere: the cause of the last failure, or what it is about.
    Error(String),
}

/// One persistent query.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueryStatus {
    /// Its id, such as `CTAS_AVERAGES`.
    pub id: String,
    /// Its statement.
    pub sql: String,
    /// The topics it reads.
    pub sources: Vec<String>,
    /// The stream or table it fills.
    pub sink: String,
    /// That one's topic.
    pub sink_topic: String,
    /// Where it stands.
    pub state: QueryState,
    /// Records read since the process started.
    pub records_in: u64,
    /// Records written since the process started.
    pub records_out: u64,
    /// Records that it has yet to read, over all partitions.
    pub lag_records: i64,
    /// Records that came after their window was closed.
    pub late_records: u64,
    /// Records that went to the error topic.
    pub errors: u64,
    /// How often a partition was started again after a failure.
    pub restarts: u64,
}

impl Listing {
    pub(crate) fn new(columns: &[&str]) -> Self {
        Self { columns: columns.iter().map(|&name| name.to_owned()).collect(), rows: Vec::new() }
    }

    /// As `SHOW STREAMS` and `SHOW TABLES` list relations.
    pub(crate) fn of_relations<'a>(
        relations: impl Iterator<Item = &'a Arc<Relation>>,
        kind: RelationKind,
    ) -> Self {
        let name = if kind == RelationKind::Stream { "Stream Name" } else { "Table Name" };
        let mut listing = Self::new(&[name, "Kafka Topic", "Key Format", "Value Format", "Windowed"]);
        for relation in relations.filter(|relation| relation.kind == kind) {
            listing.rows.push(vec![
                relation.name.to_string(),
                relation.topic.to_string(),
                relation.key.format.to_string(),
                relation.value.format.to_string(),
                relation.is_windowed().to_string(),
            ]);
        }
        listing
    }

    /// As `DESCRIBE` lists a relation's columns.
    pub(crate) fn of_columns(relation: &Relation) -> Self {
        let mut listing = Self::new(&["Field", "Type"]);
        let mark = |column: &ColumnSpec| match (column.key, relation.kind) {
            (true, RelationKind::Stream) => format!("{} (key)", column.sql_type),
            (true, RelationKind::Table) => format!("{} (primary key)", column.sql_type),
            (false, _) => match &column.header {
                Some(Header::All) => format!("{} (headers)", column.sql_type),
                Some(Header::Named(name)) => format!("{} (header('{name}'))", column.sql_type),
                None => column.sql_type.to_string(),
            },
        };
        listing.rows.extend(relation.columns.iter().map(|c| vec![c.name.to_string(), mark(c)]));
        listing
    }
}
