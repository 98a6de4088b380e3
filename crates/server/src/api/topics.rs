//! `/api/topics`: list, create, describe, delete, tail, produce.

use super::{State, lines};
use crate::error::Refusal;
use crate::record::{NewRecord, Produced, append};
use crate::report::{TopicStatus, topic};
use crate::tail::{TailRequest, tail as tail_topic};
use axum::Json;
use axum::extract::{Path, Query, State as With};
use axum::http::StatusCode;
use axum::response::Response;
use millstream_bus::{CleanupPolicy, TopicSpec};
use millstream_model::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions.
    #[serde(default = "one")]
    pub partitions: i32,
    /// Whether the newest record of each key stays for ever, instead of all records for a time.
    #[serde(default)]
    pub compact: bool,
    /// Further configs under Kafka's names.
    #[serde(default)]
    pub configs: BTreeMap<String, String>,
}

const fn one() -> i32 {
    1
}

impl From<NewTopic> for TopicSpec {
    fn from(new: NewTopic) -> Self {
        let cleanup = if new.compact { CleanupPolicy::Compact } else { CleanupPolicy::Delete };
        Self { cleanup, configs: new.configs, ..Self::new(new.name, new.partitions) }
    }
}

pub(crate) async fn list(With(state): With<Arc<State>>) -> Result<Json<Vec<TopicStatus>>, Refusal> {
    Ok(Json(state.topics().await?))
}

pub(crate) async fn create(
    With(state): With<Arc<State>>,
    Json(new): Json<NewTopic>,
) -> Result<(StatusCode, Json<TopicStatus>), Refusal> {
    let spec = TopicSpec::from(new);
    state.bus.create_topic(&spec).await?;
    Ok((StatusCode::CREATED, Json(topic(&*state.bus, &spec.name).await?)))
}

pub(crate) async fn describe(
    With(state): With<Arc<State>>,
    Path(name): Path<String>,
) -> Result<Json<TopicStatus>, Refusal> {
    Ok(Json(topic(&*state.bus, &name).await?))
}

pub(crate) async fn delete(
    With(state): With<Arc<State>>,
    Path(name): Path<String>,
) -> Result<StatusCode, Refusal> {
    state.bus.delete_topic(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn tail(
    With(state): With<Arc<State>>,
    Path(name): Path<String>,
    Query(request): Query<TailRequest>,
) -> Result<Response, Refusal> {
    // Asked for before the answer begins, so that a wrong name is a 404 and not an empty stream.
    state.bus.describe_topic(&name).await?;
    let permit = state.stream()?;
    let (records, received) = lines::channel();
    let bus = state.bus.clone();
    tokio::spawn(async move {
        if let Err(error) = tail_topic(&*bus, &name, &request, &records).await {
            tracing::warn!(topic = name, %error, "a tail ended early");
        }
    });
    Ok(lines::respond(received, state.closed.clone(), permit))
}

pub(crate) async fn produce(
    With(state): With<Arc<State>>,
    Path(name): Path<String>,
    Json(records): Json<Vec<NewRecord>>,
) -> Result<Json<Vec<Produced>>, Refusal> {
    let now = Timestamp(state.instance.surroundings().now_ms);
    Ok(Json(append(&*state.bus, &name, records, now).await?))
}
