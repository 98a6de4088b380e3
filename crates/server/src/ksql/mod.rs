//! ksqlDB's REST API: its paths, its messages, its error codes, over whoever runs the statements ([`Ksql`]).
//!
//! Source: ksqlDB's reference, "REST API" and "HTTP streaming API". What one node cannot answer (other hosts, their lag) it
//! answers for itself alone.

mod desk;
pub mod entity;
mod failure;
mod info;
mod inserts;
mod negotiate;
mod query;
mod rows;
mod socket;
mod statements;

use crate::api::State;
use crate::error::Refusal;
use crate::instance::SqlRequest;
use async_trait::async_trait;
use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
pub(crate) use desk::Desk;
pub use entity::KsqlEntity;
pub use failure::KsqlFailure;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Runs statements for the REST API.
#[async_trait]
pub trait Ksql: Send + Sync + 'static {
    /// Runs statements other than `SELECT` and `PRINT`; one entity for each that gives one.
    async fn statements(&self, request: SqlRequest) -> Result<Vec<KsqlEntity>, KsqlFailure>;

    /// Starts a `SELECT` or `PRINT`.
    async fn query(&self, request: SqlRequest) -> Result<KsqlAnswer, KsqlFailure>;

    /// Opens a stream or table for rows.
    async fn inserts(&self, target: &str) -> Result<Box<dyn KsqlInserts>, KsqlFailure>;

    /// Whether `SET` takes a property of this name.
    fn knows_property(&self, name: &str) -> bool;

    /// Where rows are stored, and under which name the statements run: Kafka's cluster id, ksqlDB's service id.
    fn cluster(&self) -> (String, String);
}

/// What a `SELECT` or `PRINT` gives.
#[derive(Debug)]
pub enum KsqlAnswer {
    /// Rows.
    Rows(KsqlQuery),
    /// Lines of text, as `PRINT` gives them.
    Lines(mpsc::Receiver<String>),
}

/// A query that was started. It ends when it is dropped.
#[derive(Debug)]
pub struct KsqlQuery {
    /// Its id, one of its own.
    pub id: String,
    /// Whether it goes on as rows come.
    pub push: bool,
    /// Whether it gives rows of a table.
    pub table: bool,
    /// Its columns.
    pub columns: Vec<KsqlColumn>,
    /// Its rows; the channel closes at its end.
    pub rows: mpsc::Receiver<KsqlRow>,
}

/// One column of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KsqlColumn {
    /// Its name.
    pub name: String,
    /// Its type as ksqlDB's API writes it: `STRING`, `DECIMAL(4, 2)`, ``STRUCT<`A` INTEGER>``.
    pub sql_type: String,
    /// Its type, taken apart.
    pub schema: entity::SchemaInfo,
    /// Whether it stands in the record's key.
    pub key: bool,
}

/// What comes of a query.
#[derive(Debug, Clone, PartialEq)]
pub enum KsqlRow {
    /// A value per column.
    Row(Vec<Value>),
    /// A row of a table is deleted; only the key's columns have values.
    Tombstone(Vec<Value>),
    /// The limit is reached; nothing more comes.
    Limit,
    /// The query failed; nothing more comes.
    Failed(String),
}

/// A stream or table that takes rows.
#[async_trait]
pub trait KsqlInserts: Send {
    /// Appends rows, each a JSON object with a value per column; for each, why it was not. Returns once they are on disk.
    async fn insert(&mut self, rows: Vec<String>) -> Vec<Result<(), KsqlFailure>>;
}

/// Whether the ksqlDB API answers at `path`, so that errors there are in its words.
fn is_path(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    matches!(
        first,
        "ksql"
            | "query"
            | "query-stream"
            | "inserts-stream"
            | "close-query"
            | "info"
            | "healthcheck"
            | "status"
            | "clusterStatus"
            | "is_valid_property"
            | "heartbeat"
            | "lag"
            | "ws"
            | "v1"
    )
}

/// A refusal in the words of the API that was asked.
pub(crate) fn refused(path: &str, refusal: Refusal) -> Response {
    if is_path(path) { KsqlFailure::from(refusal).into_response() } else { refusal.into_response() }
}

/// The routes.
pub(crate) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/ksql", post(statements::run))
        .route("/query", post(query::query))
        .route("/query-stream", post(query::query_stream))
        .route("/close-query", post(query::close))
        .route("/inserts-stream", post(inserts::inserts))
        .route("/ws/query", get(socket::query))
        .route("/info", get(info::info))
        .route("/healthcheck", get(info::healthcheck))
        .route("/status", get(info::statuses))
        .route("/status/{kind}/{entity}/{action}", get(info::status))
        .route("/clusterStatus", get(info::cluster))
        .route("/is_valid_property/{name}", get(info::is_valid_property))
        .route("/heartbeat", post(info::heartbeat))
        .route("/lag", post(info::heartbeat))
        .route("/v1/metadata", get(info::metadata))
        .route("/v1/metadata/id", get(info::metadata_id))
}
