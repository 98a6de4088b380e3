//! `/api/sql`: statements in the body, events out, one per line.

use super::{State, lines};
use crate::error::Refusal;
use axum::Json;
use axum::extract::State as With;
use axum::response::Response;
use serde::Deserialize;
use std::sync::Arc;

/// The body of a request.
#[derive(Debug, Deserialize)]
pub(crate) struct Statements {
    /// One or more statements, each ended with `;`.
    sql: String,
}

pub(crate) async fn run(
    With(state): With<Arc<State>>,
    Json(Statements { sql }): Json<Statements>,
) -> Result<Response, Refusal> {
    let permit = state.stream()?;
    let (events, received) = lines::channel();
    let instance = state.instance.clone();
    // Ends by itself when the client goes: the receiver closes, and sending fails.
    tokio::spawn(async move { instance.sql(sql, events).await });
    Ok(lines::respond(received, state.closed.clone(), permit))
}
