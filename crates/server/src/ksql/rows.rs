//! How rows of a query are written: as lines, as one JSON array, or as ksqlDB's array of `header`, `row` and last words.

use super::failure::{KsqlFailure, SERVER_ERROR};
use super::negotiate::{DELIMITED, JSON, V1};
use super::{KsqlQuery, KsqlRow};
use serde::Serialize;
use serde_json::{Value, json};

/// The ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowFormat {
    /// A header, then an array per row, each on a line of its own.
    Delimited,
    /// The same as elements of one array.
    Array,
    /// An array of objects that say what they are.
    Streamed,
}

/// Writes the answer of one query.
#[derive(Debug)]
pub(crate) struct RowWriter {
    format: RowFormat,
    push: bool,
    table: bool,
    begun: bool,
}

impl RowFormat {
    /// What the answer of `/query-stream` calls itself.
    pub(crate) fn of_content_type(content_type: &str) -> Self {
        match content_type {
            V1 => Self::Streamed,
            JSON => Self::Array,
            _ => Self::Delimited,
        }
    }

    /// Its content type.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Delimited => DELIMITED,
            Self::Array => JSON,
            Self::Streamed => V1,
        }
    }

    /// What may be sent while there is nothing to say: blanks between the elements of an array mean nothing, but an empty
    /// line among lines is no JSON.
    pub(crate) const fn heartbeat(self) -> Option<&'static str> {
        match self {
            Self::Delimited => None,
            Self::Array | Self::Streamed => Some("\n"),
        }
    }
}

impl RowWriter {
    pub(crate) fn new(format: RowFormat, query: &KsqlQuery) -> Self {
        Self { format, push: query.push, table: query.table, begun: false }
    }

    /// The header.
    pub(crate) fn begin(&mut self, query: &KsqlQuery, out: &mut Vec<u8>) {
        let header = match self.format {
            RowFormat::Streamed => json!({ "header": { "queryId": query.id, "schema": schema(query) } }),
            RowFormat::Delimited | RowFormat::Array => {
                // Pull queries have ended before anyone could close them, and ksqlDB gives them no id here.
                let names: Vec<_> = query.columns.iter().map(|column| &column.name).collect();
                let types: Vec<_> = query.columns.iter().map(|column| &column.sql_type).collect();
                let id = query.push.then_some(&query.id);
                json!({ "queryId": id, "columnNames": names, "columnTypes": types })
            }
        };
        if self.format != RowFormat::Delimited {
            out.push(b'[');
        }
        self.value(&header, out);
    }

    /// One row, or what else comes of the query.
    pub(crate) fn row(&mut self, row: KsqlRow, out: &mut Vec<u8>) {
        match (row, self.format) {
            (KsqlRow::Row(columns), RowFormat::Streamed) => self.value(&Streamed::row(&columns, false), out),
            (KsqlRow::Tombstone(columns), RowFormat::Streamed) => {
                self.value(&Streamed::row(&columns, true), out);
            }
            (KsqlRow::Row(columns) | KsqlRow::Tombstone(columns), _) => self.value(&columns, out),
            (KsqlRow::Limit, RowFormat::Streamed) => {
                self.value(&json!({ "finalMessage": "Limit Reached" }), out);
            }
            (KsqlRow::Limit, _) => {}
            (KsqlRow::Failed(message), format) => {
                let failure = KsqlFailure::new(SERVER_ERROR, message);
                if format == RowFormat::Streamed {
                    self.value(&json!({ "errorMessage": failure }), out);
                } else {
                    self.value(&failure, out);
                }
            }
        }
    }

    /// The end; `said` tells whether something was already said about it.
    pub(crate) fn end(&mut self, said: bool, out: &mut Vec<u8>) {
        if self.format == RowFormat::Streamed && !said && !self.push && !self.table {
            self.value(&json!({ "finalMessage": "Query Completed" }), out);
        }
        if self.format != RowFormat::Delimited {
            out.push(b']');
        }
    }

    fn value(&mut self, value: &impl Serialize, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.begun, true) && self.format != RowFormat::Delimited {
            out.extend_from_slice(b",\n");
        }
        // Our own values have text as keys, and memory takes every byte.
        let _ = serde_json::to_writer(&mut *out, value);
        if self.format == RowFormat::Delimited {
            out.push(b'\n');
        }
    }
}

/// `{"row":{"columns":[…]}}` without a copy of the values.
#[derive(Serialize)]
struct Streamed<'r> {
    row: DataRow<'r>,
}

#[derive(Serialize)]
struct DataRow<'r> {
    columns: &'r [Value],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    tombstone: bool,
}

impl<'r> Streamed<'r> {
    fn row(columns: &'r [Value], tombstone: bool) -> Self {
        Self { row: DataRow { columns, tombstone } }
    }
}

/// One row as a message of its own.
pub(crate) fn streamed(row: &KsqlRow) -> Value {
    match row {
        KsqlRow::Row(columns) => json!({ "row": { "columns": columns } }),
        KsqlRow::Tombstone(columns) => json!({ "row": { "columns": columns, "tombstone": true } }),
        KsqlRow::Limit => json!({ "finalMessage": "Limit Reached" }),
        KsqlRow::Failed(message) => json!({ "errorMessage": KsqlFailure::new(SERVER_ERROR, message) }),
    }
}

/// The columns as ksqlDB's header writes them; keys are told in pull queries only.
fn schema(query: &KsqlQuery) -> String {
    let column = |column: &super::KsqlColumn| {
        let key = if column.key && !query.push { " KEY" } else { "" };
        format!("`{}` {}{key}", column.name.replace('`', "``"), column.sql_type)
    };
    query.columns.iter().map(column).collect::<Vec<_>>().join(", ")
}
