//! `/api/sql`: statements in the body, events out, one per line; `/api/sql/names`: the names they may use.

use super::{State, lines};
use crate::error::Refusal;
use crate::instance::{SqlNames, SqlRequest};
use axum::Json;
use axum::extract::State as With;
use axum::response::Response;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The body of a request.
#[derive(Debug, Deserialize)]
pub(crate) struct Statements {
    /// One or more statements, each ended with `;`.
    sql: String,
    /// What `SET` said before.
    #[serde(default)]
    properties: BTreeMap<String, String>,
    /// What `DEFINE` said before.
    #[serde(default)]
    variables: BTreeMap<String, String>,
}

pub(crate) async fn run(
    With(state): With<Arc<State>>,
    Json(Statements { sql, properties, variables }): Json<Statements>,
) -> Result<Response, Refusal> {
    let permit = state.stream()?;
    let (events, received) = lines::channel();
    let instance = state.instance.clone();
    let request = SqlRequest { sql, properties, variables };
    // Ends by itself when the client goes: the receiver closes, and sending fails.
    tokio::spawn(async move { instance.sql(request, events).await });
    Ok(lines::respond(received, state.closed.clone(), permit))
}

pub(crate) async fn names(With(state): With<Arc<State>>) -> Json<SqlNames> {
    Json(state.instance.sql_names().await)
}
