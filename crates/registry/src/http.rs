//! A client of a registry that runs elsewhere: Confluent Schema Registry, or whatever speaks its REST API.
//!
//! Schemas are asked for once and remembered by whoever decodes.

use crate::client::{Credentials, HttpError, HttpService, Trust, escaped};
use crate::record::{describe, schema};
use crate::rest::CONTENT_TYPE;
use async_trait::async_trait;
use hyper::Method;
use millstream_format::registry::{RegistryError, SchemaRegistry, SchemaText, SchemaVersion};
use serde_json::{Map, Value as Json};

/// A registry behind HTTP.
#[derive(Debug)]
pub struct HttpRegistry(HttpService);

impl HttpRegistry {
    /// A client of the registry at `url`, such as `https://registry.plant:8081`. A name and password in the URL count where
    /// there are no `credentials`.
    pub fn new(url: &str, credentials: Option<&Credentials>, trust: &Trust) -> Result<Self, RegistryError> {
        Ok(Self(HttpService::new("a registry", url, credentials, trust).map_err(failed)?))
    }

    /// One request and its answer, as JSON; an error of the registry becomes one of ours.
    async fn request(&self, method: Method, path: &str, body: Option<Json>) -> Result<Json, RegistryError> {
        let answer = self.0.request(method, path, CONTENT_TYPE, body.as_ref()).await;
        let (status, bytes) = answer.map_err(failed)?;
        let json: Json = serde_json::from_slice(&bytes).unwrap_or_default();
        if (200..300).contains(&status) {
            return Ok(json);
        }
        let message = json.get("message").and_then(Json::as_str).unwrap_or("no message").to_owned();
        let code = json.get("error_code").and_then(Json::as_i64).unwrap_or(i64::from(status));
        Err(match (status, code) {
            (404, _) => RegistryError::UnknownSubject(path.to_owned()),
            (409, _) => RegistryError::Incompatible { subject: path.to_owned(), reasons: vec![message] },
            (422, _) => RegistryError::Invalid(message),
            (429 | 500..=599, _) => unavailable(&format!("it answers {status}: {message}")),
            (_, code) => RegistryError::Refused(format!("it answers {code}: {message}")),
        })
    }

    fn version_of(json: &Json) -> Result<SchemaVersion, RegistryError> {
        let number = |name: &str| json.get(name).and_then(Json::as_i64).and_then(|v| i32::try_from(v).ok());
        let subject = json.get("subject").and_then(Json::as_str).unwrap_or_default().to_owned();
        match (number("version"), number("id"), schema(json)) {
            (Some(version), Some(id), Ok(schema)) => Ok(SchemaVersion { subject, version, id, schema }),
            (.., Err(error)) => Err(strange(&error)),
            _ => Err(strange("a version without number or id")),
        }
    }
}

fn failed(error: HttpError) -> RegistryError {
    match error {
        HttpError::Address(why) => RegistryError::Refused(why),
        HttpError::Unavailable(why) => RegistryError::Unavailable(why),
    }
}

fn unavailable(why: &str) -> RegistryError {
    RegistryError::Unavailable(why.to_owned())
}

fn strange(why: &str) -> RegistryError {
    RegistryError::Refused(format!("its answer cannot be read: {why}"))
}

fn body(schema: &SchemaText) -> Json {
    let mut body = Map::new();
    describe(schema, &mut body);
    Json::Object(body)
}

#[async_trait]
impl SchemaRegistry for HttpRegistry {
    async fn register(&self, subject: &str, schema: &SchemaText) -> Result<i32, RegistryError> {
        let path = format!("/subjects/{}/versions", escaped(subject));
        let answer = self.request(Method::POST, &path, Some(body(schema))).await;
        let answer = answer.map_err(|error| about(error, subject, None))?;
        let id = answer.get("id").and_then(Json::as_i64).and_then(|id| i32::try_from(id).ok());
        id.ok_or_else(|| strange("no id"))
    }

    async fn by_id(&self, id: i32) -> Result<SchemaText, RegistryError> {
        match self.request(Method::GET, &format!("/schemas/ids/{id}"), None).await {
            Ok(json) => schema(&json).map_err(|error| strange(&error)),
            Err(RegistryError::UnknownSubject(_)) => Err(RegistryError::UnknownId(id)),
            Err(error) => Err(error),
        }
    }

    async fn latest(&self, subject: &str) -> Result<SchemaVersion, RegistryError> {
        let path = format!("/subjects/{}/versions/latest", escaped(subject));
        let answer =
            self.request(Method::GET, &path, None).await.map_err(|error| about(error, subject, None))?;
        Self::version_of(&answer)
    }

    async fn version(&self, subject: &str, version: i32) -> Result<SchemaVersion, RegistryError> {
        let path = format!("/subjects/{}/versions/{version}", escaped(subject));
        let answer = self.request(Method::GET, &path, None).await;
        Self::version_of(&answer.map_err(|error| about(error, subject, Some(version)))?)
    }

    async fn versions(&self, subject: &str) -> Result<Vec<i32>, RegistryError> {
        let path = format!("/subjects/{}/versions", escaped(subject));
        let answer =
            self.request(Method::GET, &path, None).await.map_err(|error| about(error, subject, None))?;
        numbers(&answer)
    }

    async fn subjects(&self) -> Result<Vec<String>, RegistryError> {
        let answer = self.request(Method::GET, "/subjects", None).await?;
        let listed = answer.as_array().ok_or_else(|| strange("no list"))?;
        let mut subjects: Vec<String> = listed.iter().filter_map(Json::as_str).map(str::to_owned).collect();
        subjects.sort();
        Ok(subjects)
    }

    async fn incompatibilities(
        &self,
        subject: &str,
        schema: &SchemaText,
    ) -> Result<Vec<String>, RegistryError> {
        let path = format!("/compatibility/subjects/{}/versions?verbose=true", escaped(subject));
        let answer = match self.request(Method::POST, &path, Some(body(schema))).await {
            Ok(answer) => answer,
            Err(RegistryError::UnknownSubject(_)) => return Ok(Vec::new()),
            Err(error) => return Err(about(error, subject, None)),
        };
        if answer.get("is_compatible").and_then(Json::as_bool) == Some(true) {
            return Ok(Vec::new());
        }
        let told = answer.get("messages").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let told: Vec<String> = told.iter().filter_map(Json::as_str).map(str::to_owned).collect();
        Ok(if told.is_empty() { vec!["the registry says no".to_owned()] } else { told })
    }

    async fn delete_subject(&self, subject: &str) -> Result<Vec<i32>, RegistryError> {
        let path = format!("/subjects/{}", escaped(subject));
        let answer =
            self.request(Method::DELETE, &path, None).await.map_err(|error| about(error, subject, None))?;
        numbers(&answer)
    }
}

fn numbers(answer: &Json) -> Result<Vec<i32>, RegistryError> {
    let listed = answer.as_array().ok_or_else(|| strange("no list"))?;
    Ok(listed.iter().filter_map(Json::as_i64).filter_map(|v| i32::try_from(v).ok()).collect())
}

/// The same error, about a subject instead of a path.
fn about(error: RegistryError, subject: &str, version: Option<i32>) -> RegistryError {
    let subject = subject.to_owned();
    match (error, version) {
        (RegistryError::UnknownSubject(_), None) => RegistryError::UnknownSubject(subject),
        (RegistryError::UnknownSubject(_), Some(version)) => {
            RegistryError::UnknownVersion { subject, version }
        }
        (RegistryError::Incompatible { reasons, .. }, _) => RegistryError::Incompatible { subject, reasons },
        (other, _) => other,
    }
}
