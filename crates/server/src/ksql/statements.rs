//! `POST /ksql`: statements in, one entity out for each.

use super::failure::{COMMAND_TIMEOUT, KsqlFailure};
use super::negotiate::{JSON, KsqlRequest, V1, accepted, read};
use crate::api::State;
use crate::limits::COMMAND_TIME;
use axum::Json;
use axum::body::Body;
use axum::extract::State as With;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use tokio::time::timeout;

pub(super) async fn run(
    With(state): With<Arc<State>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, KsqlFailure> {
    let content_type = accepted(&headers, &[V1, JSON])?;
    let request: KsqlRequest = read(body).await?;
    if let Some(number) = request.command.filter(|number| *number >= 0)
        && timeout(COMMAND_TIME, state.desk.reached(number)).await.is_err()
    {
        return Err(KsqlFailure::new(
            COMMAND_TIMEOUT,
            format!(
                "command {number} was not done within {} s; the statements were not run",
                COMMAND_TIME.as_secs()
            ),
        ));
    }
    let sql = request.into_sql()?;
    let ksql = state.instance.ksql();
    // Goes on when the client goes: a list of statements is not left in the middle.
    let running = tokio::spawn(async move { ksql.statements(sql).await });
    let outcome =
        running.await.unwrap_or_else(|_| Err(KsqlFailure::server("the statements made the server fail")));
    match outcome {
        Ok(mut entities) => {
            state.desk.note(&mut entities);
            let mut response = Json(entities).into_response();
            response.headers_mut().insert(CONTENT_TYPE, axum::http::HeaderValue::from_static(content_type));
            Ok(response)
        }
        Err(mut failure) => {
            if let KsqlFailure::Statement { entities, .. } = &mut failure {
                state.desk.note(entities);
            }
            Err(failure)
        }
    }
}
