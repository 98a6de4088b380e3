//! What statements about connectors yield, in ksqlDB's messages.

use super::Front;
use super::entities::{listed, source};
use millstream_server::entity::EntityKind;
use millstream_sql::StatementResult;
use millstream_sql::parse::ast::{ConnectorKind, WithOption};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The `info` of a connector that was made: its tasks come later.
pub(super) fn made(name: &str, kind: ConnectorKind, options: &[WithOption]) -> Value {
    let mut config: Map<String, Value> =
        options.iter().map(|option| (option.name.text.clone(), json!(option.value))).collect();
    config.insert("name".to_owned(), json!(name));
    json!({ "name": name, "type": kind.word().to_lowercase(), "config": config, "tasks": [] })
}

/// A state, and what happened.
fn state(text: &str) -> (&str, Option<&str>) {
    text.split_once(": ").map_or((text, None), |(state, trace)| (state, Some(trace)))
}

/// `DESCRIBE CONNECTOR`, with the streams and tables over its topics.
pub(super) async fn described(front: &Front, name: &str, result: &StatementResult) -> EntityKind {
    let rows: Vec<(&str, &str)> =
        listed(result).filter_map(|row| Some((*row.get("Property")?, *row.get("Value")?))).collect();
    let said: BTreeMap<&str, &str> = rows.iter().copied().collect();
    let get = |property: &str| said.get(property).copied().unwrap_or_default();
    let task = |(property, text): &(&str, &str)| {
        let id: u32 = property.strip_prefix("Task ")?.parse().ok()?;
        let (state, trace) = state(text);
        Some(json!({ "id": id, "state": state, "worker_id": "", "trace": trace }))
    };
    let topics: Vec<String> = rows
        .iter()
        .filter(|(property, _)| *property == "Topic")
        .map(|(_, topic)| (*topic).to_owned())
        .collect();
    let mut sources = Vec::new();
    for relation in front.engine.catalog().relations() {
        if topics.iter().any(|topic| **topic == *relation.topic) {
            sources.push(source(front, relation, false).await);
        }
    }
    let (is, trace) = state(get("State"));
    EntityKind::ConnectorDescription {
        connector_class: get("Class").to_owned(),
        status: json!({
            "name": said.get("Name").copied().unwrap_or(name),
            "type": get("Type").to_lowercase(),
            "connector": { "state": is, "worker_id": "", "trace": trace },
            "tasks": rows.iter().filter_map(task).collect::<Vec<_>>(),
        }),
        sources,
        topics,
    }
}
