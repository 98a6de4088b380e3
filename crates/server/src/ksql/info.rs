//! What the server says about itself, and what becomes of commands.

use super::entity::CommandStatus;
use super::failure::KsqlFailure;
use crate::api::State;
use crate::error::Refusal;
use crate::instance::Surroundings;
use crate::limits::BUS_TIME;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State as With};
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::time::timeout;

/// The version of ksqlDB whose dialect and API these are; clients choose what they say by it.
const KSQL_VERSION: &str = "0.29.0";

pub(super) async fn info(With(state): With<Arc<State>>) -> Json<Value> {
    let (kafka, service) = state.instance.ksql().cluster();
    Json(json!({
        "KsqlServerInfo": {
            "version": KSQL_VERSION,
            "kafkaClusterId": kafka,
            "ksqlServiceId": service,
            "serverStatus": "RUNNING",
        }
    }))
}

pub(super) async fn healthcheck(With(state): With<Arc<State>>) -> Json<Value> {
    let kafka = timeout(BUS_TIME, state.bus.topics()).await.is_ok_and(|topics| topics.is_ok());
    let healthy = |is: bool| json!({ "isHealthy": is });
    Json(json!({
        "isHealthy": kafka,
        "details": { "metastore": healthy(true), "kafka": healthy(kafka), "commandRunner": healthy(true) },
        "serverState": "READY",
    }))
}

pub(super) async fn statuses(With(state): With<Arc<State>>) -> Json<Value> {
    Json(json!({ "commandStatuses": state.desk.outcomes() }))
}

pub(super) async fn status(
    With(state): With<Arc<State>>,
    Path((kind, entity, action)): Path<(String, String, String)>,
) -> Result<Json<CommandStatus>, KsqlFailure> {
    let id = format!("{kind}/{entity}/{action}");
    // Names may stand in backticks, in the path as in the id.
    let bare = format!("{kind}/{}/{action}", entity.trim_matches('`'));
    let quoted = format!("{kind}/`{}`/{action}", entity.trim_matches('`'));
    let found = [&id, &bare, &quoted].into_iter().find_map(|id| state.desk.outcome(id));
    found.map(Json).ok_or_else(|| {
        KsqlFailure::from(Refusal::new(StatusCode::NOT_FOUND, format!("there was no command `{id}` lately")))
    })
}

pub(super) async fn cluster(With(state): With<Arc<State>>) -> Json<Value> {
    let now_ms = state.instance.surroundings().now_ms;
    let host = host(&state.instance.surroundings());
    Json(json!({
        "clusterStatus": {
            host: {
                "hostAlive": true,
                "lastStatusUpdateMs": now_ms,
                "activeStandbyPerQuery": {},
                "hostStoreLags": { "stateStoreLags": {}, "updateTimeMs": now_ms },
            }
        }
    }))
}

/// This node, as its own page is listed.
fn host(surroundings: &Surroundings) -> String {
    let page = surroundings.listeners.iter().find_map(|listener| listener.address.strip_prefix("http://"));
    page.unwrap_or("localhost:8080").trim_end_matches('/').to_owned()
}

pub(super) async fn is_valid_property(
    With(state): With<Arc<State>>,
    Path(name): Path<String>,
) -> Result<Json<bool>, KsqlFailure> {
    if state.instance.ksql().knows_property(&name) {
        return Ok(Json(true));
    }
    Err(KsqlFailure::bad_request(format!(
        "`{name}` is no property that SET takes; SHOW PROPERTIES lists them"
    )))
}

/// Other nodes' heartbeats and lags are taken note of and of no use: one node answers for itself.
pub(super) async fn heartbeat(body: Body) -> Result<Json<Value>, KsqlFailure> {
    let _: Value = super::negotiate::read(body).await?;
    Ok(Json(json!({ "isOk": true })))
}

pub(super) async fn metadata(With(state): With<Arc<State>>) -> Json<Value> {
    Json(json!({ "version": KSQL_VERSION, "clusterId": cluster_id(&state) }))
}

pub(super) async fn metadata_id(With(state): With<Arc<State>>) -> Json<Value> {
    Json(cluster_id(&state))
}

fn cluster_id(state: &State) -> Value {
    let (kafka, service) = state.instance.ksql().cluster();
    json!({ "scope": { "path": [], "clusters": { "kafka-cluster": kafka, "ksql-cluster": service } }, "id": "" })
}
