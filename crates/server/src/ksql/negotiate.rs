//! What a client sends and what it accepts.

use super::failure::KsqlFailure;
use crate::error::Refusal;
use crate::instance::SqlRequest;
use crate::limits::BODY_BYTES;
use axum::body::{Body, to_bytes};
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;

/// ksqlDB's own JSON.
pub(crate) const V1: &str = "application/vnd.ksql.v1+json";
/// One JSON value per line.
pub(crate) const DELIMITED: &str = "application/vnd.ksqlapi.delimited.v1";
/// JSON.
pub(crate) const JSON: &str = "application/json";

/// The first of `offered` that the client accepts; the first where it does not say. 406 where it accepts none.
pub(crate) fn accepted(headers: &HeaderMap, offered: &[&'static str]) -> Result<&'static str, KsqlFailure> {
    let said: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let said = said.join(",");
    let first = offered.first().copied().unwrap_or(JSON);
    if said.trim().is_empty() {
        return Ok(first);
    }
    // Of what has the same weight the client's order counts.
    let mut wanted: Vec<(f32, &str)> =
        said.split(',').map(weighted).filter(|(weight, _)| *weight > 0.0).collect();
    wanted.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (_, kind) in wanted {
        if matches!(kind, "*/*" | "application/*") {
            return Ok(first);
        }
        if let Some(found) = offered.iter().find(|offer| offer.eq_ignore_ascii_case(kind)) {
            return Ok(found);
        }
    }
    let message = format!("`{said}` is not what this gives; it gives {}", offered.join(", "));
    Err(Refusal::new(StatusCode::NOT_ACCEPTABLE, message).into())
}

fn weighted(part: &str) -> (f32, &str) {
    let mut parts = part.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let weight = parts.find_map(|parameter| parameter.strip_prefix("q=")?.parse().ok());
    (weight.unwrap_or(1.0), kind)
}

/// The body of `/ksql` and `/query`, and of `/query-stream`, which calls two things by other names.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct KsqlRequest {
    #[serde(alias = "sql")]
    ksql: Option<String>,
    #[serde(default, rename = "streamsProperties", alias = "properties")]
    properties: Option<BTreeMap<String, Value>>,
    #[serde(default, rename = "sessionVariables")]
    variables: Option<BTreeMap<String, Value>>,
    #[serde(default, rename = "commandSequenceNumber")]
    pub(crate) command: Option<i64>,
}

impl KsqlRequest {
    /// The statements.
    pub(crate) fn into_sql(self) -> Result<SqlRequest, KsqlFailure> {
        let sql = self.ksql.filter(|sql| !sql.trim().is_empty());
        let Some(sql) = sql else {
            return Err(KsqlFailure::bad_request(
                "the request has no statements: the field `ksql` (or `sql`) is empty",
            ));
        };
        let texts = |map: Option<BTreeMap<String, Value>>| {
            let text = |value: Value| match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
            map.unwrap_or_default().into_iter().map(|(name, value)| (name, text(value))).collect()
        };
        Ok(SqlRequest { sql, properties: texts(self.properties), variables: texts(self.variables) })
    }
}

/// The body as JSON, whatever it calls itself: ksqlDB's own examples send none or another content type.
pub(crate) async fn read<T: DeserializeOwned>(body: Body) -> Result<T, KsqlFailure> {
    let bytes = to_bytes(body, BODY_BYTES).await.map_err(|_| {
        let message = format!("the request has more than {BODY_BYTES} bytes, or broke off");
        KsqlFailure::from(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message))
    })?;
    serde_json::from_slice(&bytes)
        .map_err(|error| KsqlFailure::bad_request(format!("the request is no such JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(accept: &str) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        if !accept.is_empty() {
            headers.insert(ACCEPT, accept.parse().unwrap());
        }
        accepted(&headers, &[DELIMITED, JSON]).ok()
    }

    #[test]
    fn the_client_chooses_among_what_there_is() {
        assert_eq!(asked(""), Some(DELIMITED));
        assert_eq!(asked("*/*"), Some(DELIMITED));
        assert_eq!(asked("application/json"), Some(JSON));
        assert_eq!(asked("text/html, application/json;q=0.5, */*;q=0.1"), Some(JSON));
        assert_eq!(asked("application/json;q=0, application/vnd.ksqlapi.delimited.v1"), Some(DELIMITED));
        assert_eq!(asked("text/html"), None);
    }

    #[test]
    fn properties_may_be_any_json_and_are_texts() {
        let request: KsqlRequest =
            serde_json::from_str(r#"{"sql":"SHOW TABLES;","properties":{"a":"x","b":5,"c":true}}"#).unwrap();
        let sql = request.into_sql().unwrap();
        let properties: Vec<_> = sql.properties.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(properties, ["a=x", "b=5", "c=true"]);
        assert!(KsqlRequest::default().into_sql().is_err());
    }
}
