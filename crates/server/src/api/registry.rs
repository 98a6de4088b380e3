//! Confluent Schema Registry's REST API at its usual paths, answered by whoever keeps the schemas.

use super::State;
use crate::error::Refusal;
use crate::limits::BODY_BYTES;
use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State as With};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use std::sync::Arc;

/// What its answers call themselves.
const REGISTRY_JSON: &str = "application/vnd.schemaregistry.v1+json";

/// The routes.
pub(crate) fn routes() -> Router<Arc<State>> {
    let paths = [
        "/subjects",
        "/subjects/{*rest}",
        "/schemas",
        "/schemas/{*rest}",
        "/config",
        "/config/{*rest}",
        "/mode",
        "/mode/{*rest}",
        "/compatibility/{*rest}",
    ];
    paths.into_iter().fold(Router::new(), |router, path| router.route(path, any(answer)))
}

async fn answer(With(state): With<Arc<State>>, request: Request) -> Result<Response, Refusal> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, BODY_BYTES).await.map_err(|_| {
        let message = format!("the request has more than {BODY_BYTES} bytes, or broke off");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    })?;
    let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
    let Some((status, body)) = state.instance.registry(head.method.as_str(), path, query, &body).await else {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "this instance keeps no schemas"));
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Ok((status, [(CONTENT_TYPE, REGISTRY_JSON)], body.to_string()).into_response())
}
