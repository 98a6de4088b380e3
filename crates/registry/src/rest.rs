//! Confluent Schema Registry's REST API: a request in, a status and JSON out. Whoever has a server mounts it at the usual paths.
//!
//! | path | methods |
//! |---|---|
//! | `/subjects`, `/subjects/{s}` | GET; POST (look a schema up), DELETE |
//! | `/subjects/{s}/versions[/{v}[/schema\|/referencedby]]` | GET, POST (register), DELETE |
//! | `/schemas`, `/schemas/types`, `/schemas/ids/{id}[/schema\|/subjects\|/versions]` | GET |
//! | `/config[/{s}]`, `/mode[/{s}]` | GET, PUT, DELETE |
//! | `/compatibility/subjects/{s}/versions[/{v}]` | POST |

use crate::bus::Which;
use crate::record::{describe, schema};
use crate::{BusRegistry, Level};
use millstream_format::registry::{RegistryError, SchemaRegistry as _, SchemaText, SchemaVersion};
use serde_json::{Map, Value as Json, json};

/// The type of every answer.
pub const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// HTTP's status.
    pub status: u16,
    /// The body.
    pub body: Json,
}

impl Answer {
    fn ok(body: impl Into<Json>) -> Self {
        Self { status: 200, body: body.into() }
    }

    /// An error: its code, whose first three digits are the status.
    fn error(code: i32, message: impl Into<String>) -> Self {
        let status = u16::try_from(if code >= 1_000 { code / 100 } else { code }).unwrap_or(500);
        Self { status, body: json!({"error_code": code, "message": message.into()}) }
    }
}

/// One request, taken apart.
#[derive(Debug)]
struct Request<'r> {
    registry: &'r BusRegistry,
    method: &'r str,
    query: &'r str,
    body: &'r [u8],
}

/// Answers a request. `path` stands without the query, and as it came: its parts are unescaped here.
pub async fn answer(registry: &BusRegistry, method: &str, path: &str, query: &str, body: &[u8]) -> Answer {
    let parts: Option<Vec<String>> = path.split('/').filter(|part| !part.is_empty()).map(unescaped).collect();
    let Some(parts) = parts else { return Answer::error(400, "HTTP 400 Bad Request: the path is no UTF-8") };
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let request = Request { registry, method, query, body };
    let answered = match parts.as_slice() {
        [] => only_get(&request).map(|()| Answer::ok(json!({}))),
        ["subjects", rest @ ..] => request.subjects(rest).await,
        ["schemas", rest @ ..] => request.schemas(rest).await,
        ["config"] => request.config(None).await,
        ["config", subject] => request.config(Some(subject)).await,
        ["mode", ..] => request.mode(),
        ["compatibility", "subjects", subject, "versions", rest @ ..] => {
            request.compatibility(subject, rest).await
        }
        _ => Err(missing()),
    };
    answered.unwrap_or_else(|answer| answer)
}

fn missing() -> Answer {
    Answer::error(404, "HTTP 404 Not Found")
}

fn only_get(request: &Request<'_>) -> Result<(), Answer> {
    if request.method == "GET" { Ok(()) } else { Err(Answer::error(405, "HTTP 405 Method Not Allowed")) }
}

/// A part of a path without its escapes; `None` where it is no UTF-8.
fn unescaped(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('%') {
        out.extend_from_slice(plain.as_bytes());
        let digits = escape.get(..2)?;
        out.push(u8::from_str_radix(digits, 16).ok()?);
        rest = escape.get(2..)?;
    }
    out.extend_from_slice(rest.as_bytes());
    String::from_utf8(out).ok()
}

/// An error of the registry as its REST API says it.
fn refusal(error: RegistryError) -> Answer {
    match error {
        RegistryError::UnknownSubject(subject) => {
            Answer::error(40_401, format!("Subject '{subject}' not found."))
        }
        RegistryError::UnknownVersion { version, .. } => {
            Answer::error(40_402, format!("Version {version} not found."))
        }
        RegistryError::UnknownId(id) => Answer::error(40_403, format!("Schema {id} not found")),
        RegistryError::Invalid(why) => Answer::error(42_201, format!("Invalid schema: {why}")),
        RegistryError::Layout(why) => Answer::error(42_201, why.message),
        RegistryError::Incompatible { subject, reasons } => Answer::error(
            409,
            format!(
                "Schema being registered is incompatible with an earlier schema for subject \"{subject}\", details: {}",
                Json::from(reasons)
            ),
        ),
        RegistryError::Refused(why) => Answer::error(42_205, why),
        RegistryError::Unavailable(why) => Answer::error(50_001, why),
    }
}

/// A schema with its place, as the API describes it.
fn described(version: &SchemaVersion) -> Json {
    let mut object = Map::new();
    object.insert("subject".to_owned(), version.subject.as_str().into());
    object.insert("version".to_owned(), version.version.into());
    object.insert("id".to_owned(), version.id.into());
    describe(&version.schema, &mut object);
    Json::Object(object)
}

impl Request<'_> {
    fn flag(&self, name: &str) -> bool {
        self.query.split('&').any(|part| part.split_once('=') == Some((name, "true")))
    }

    fn parameter(&self, name: &str) -> Option<String> {
        let found =
            self.query.split('&').filter_map(|part| part.split_once('=')).find(|(key, _)| *key == name)?;
        unescaped(found.1)
    }

    fn json(&self) -> Result<Json, Answer> {
        serde_json::from_slice(self.body)
            .map_err(|error| Answer::error(42_201, format!("the body is no JSON: {error}")))
    }

    /// The schema of the body. An id or version that the sender gives is left aside: the registry gives them.
    fn schema(&self) -> Result<SchemaText, Answer> {
        schema(&self.json()?).map_err(|why| Answer::error(42_201, why))
    }

    /// A version's number; `None` for the newest.
    fn version(text: &str) -> Result<Option<i32>, Answer> {
        if text == "latest" || text == "-1" {
            return Ok(None);
        }
        let invalid = format!(
            "The specified version '{text}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""
        );
        match text.parse() {
            Ok(version) if version > 0 => Ok(Some(version)),
            _ => Err(Answer::error(42_202, invalid)),
        }
    }

    async fn subjects(&self, rest: &[&str]) -> Result<Answer, Answer> {
        let deleted = self.flag("deleted");
        let registry = self.registry;
        match (self.method, rest) {
            ("GET", []) => {
                let prefix = self.parameter("subjectPrefix").unwrap_or_default();
                let mut found = registry.newest(|state| state.subjects(deleted)).await.map_err(refusal)?;
                found.retain(|subject| subject.starts_with(&prefix));
                Ok(Answer::ok(found))
            }
            ("POST", [subject]) => {
                let schema = self.schema()?;
                let known = registry
                    .newest(|state| {
                        state.versions(subject, true)?;
                        Ok(state.find(subject, &schema, deleted))
                    })
                    .await
                    .map_err(refusal)?
                    .map_err(refusal)?;
                known
                    .map(|known| Answer::ok(described(&known)))
                    .ok_or_else(|| Answer::error(40_403, "Schema not found"))
            }
            ("DELETE", [subject]) => {
                let deleted =
                    registry.delete(subject, Which::All, self.flag("permanent")).await.map_err(refusal)?;
                Ok(Answer::ok(deleted))
            }
            ("GET", [subject, "versions"]) => {
                let found =
                    registry.newest(|state| state.versions(subject, deleted)).await.map_err(refusal)?;
                Ok(Answer::ok(found.map_err(refusal)?))
            }
            ("POST", [subject, "versions"]) => {
                let id = registry.register(subject, &self.schema()?).await.map_err(refusal)?;
                Ok(Answer::ok(json!({"id": id})))
            }
            ("GET", [subject, "versions", version, rest @ ..]) => {
                let version = Self::version(version)?;
                let found = registry
                    .newest(|state| state.version(subject, version, deleted))
                    .await
                    .map_err(refusal)?;
                let found = found.map_err(refusal)?;
                match rest {
                    [] => Ok(Answer::ok(described(&found))),
                    ["schema"] => Ok(Answer::ok(text_of(&found.schema))),
                    ["referencedby"] => {
                        let users = registry.newest(|state| state.users(subject, found.version)).await;
                        Ok(Answer::ok(users.map_err(refusal)?))
                    }
                    _ => Err(missing()),
                }
            }
            ("DELETE", [subject, "versions", version]) => {
                let which = Self::version(version)?.map_or(Which::Newest, Which::One);
                let deleted =
                    registry.delete(subject, which, self.flag("permanent")).await.map_err(refusal)?;
                Ok(Answer::ok(deleted.first().copied().unwrap_or(0)))
            }
            (_, [] | [_] | [_, "versions"] | [_, "versions", _]) => {
                Err(Answer::error(405, "HTTP 405 Method Not Allowed"))
            }
            _ => Err(missing()),
        }
    }

    async fn schemas(&self, rest: &[&str]) -> Result<Answer, Answer> {
        only_get(self)?;
        let deleted = self.flag("deleted");
        let ["ids", id, rest @ ..] = rest else {
            return match rest {
                ["types"] => Ok(Answer::ok(json!(["JSON", "PROTOBUF", "AVRO"]))),
                [] => self.all_schemas(deleted).await,
                _ => Err(missing()),
            };
        };
        let id: i32 = id.parse().map_err(|_| missing())?;
        let found = self.registry.by_id(id).await.map_err(refusal)?;
        let places = self.registry.newest(|state| state.places(id, deleted)).await.map_err(refusal)?;
        match rest {
            [] => {
                let mut object = Map::new();
                describe(&found, &mut object);
                Ok(Answer::ok(Json::Object(object)))
            }
            ["schema"] => Ok(Answer::ok(text_of(&found))),
            ["subjects"] => {
                let mut subjects: Vec<String> = places.into_iter().map(|(subject, _)| subject).collect();
                subjects.dedup();
                Ok(Answer::ok(subjects))
            }
            ["versions"] => {
                let place =
                    |(subject, version): (String, i32)| json!({"subject": subject, "version": version});
                Ok(Answer::ok(places.into_iter().map(place).collect::<Vec<Json>>()))
            }
            _ => Err(missing()),
        }
    }

    async fn all_schemas(&self, deleted: bool) -> Result<Answer, Answer> {
        let prefix = self.parameter("subjectPrefix").unwrap_or_default();
        let newest_only = self.flag("latestOnly");
        let found = self.registry.newest(|state| {
            let mut found = Vec::new();
            for subject in state.subjects(deleted).into_iter().filter(|subject| subject.starts_with(&prefix))
            {
                let numbers = state.versions(&subject, deleted).unwrap_or_default();
                let from = if newest_only { numbers.len().saturating_sub(1) } else { 0 };
                let versions = numbers.into_iter().skip(from);
                found.extend(
                    versions.filter_map(|number| state.version(&subject, Some(number), deleted).ok()),
                );
            }
            found.iter().map(described).collect::<Vec<Json>>()
        });
        Ok(Answer::ok(found.await.map_err(refusal)?))
    }

    async fn config(&self, subject: Option<&str>) -> Result<Answer, Answer> {
        let own = subject.is_some() && !self.flag("defaultToGlobal");
        let level = self.registry.newest(|state| state.level(subject, own)).await.map_err(refusal)?;
        let unset = || {
            let subject = subject.unwrap_or_default();
            Answer::error(
                40_408,
                format!("Subject '{subject}' does not have subject-level compatibility configured"),
            )
        };
        match self.method {
            "GET" => Ok(Answer::ok(json!({"compatibilityLevel": level.ok_or_else(unset)?.name()}))),
            "PUT" => {
                let body = self.json()?;
                let name = body.get("compatibility").and_then(Json::as_str).unwrap_or_default();
                let level = Level::from_name(name).ok_or_else(|| {
                    Answer::error(
                        42_203,
                        "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive",
                    )
                })?;
                self.registry.set_level(subject, Some(level)).await.map_err(refusal)?;
                Ok(Answer::ok(json!({"compatibility": level.name()})))
            }
            "DELETE" => {
                let level = level.ok_or_else(unset)?;
                self.registry.set_level(subject, None).await.map_err(refusal)?;
                Ok(Answer::ok(json!({"compatibilityLevel": level.name()})))
            }
            _ => Err(Answer::error(405, "HTTP 405 Method Not Allowed")),
        }
    }

    /// There is one mode: everybody may read and write.
    fn mode(&self) -> Result<Answer, Answer> {
        match self.method {
            "GET" | "DELETE" => Ok(Answer::ok(json!({"mode": "READWRITE"}))),
            "PUT" => match self.json()?.get("mode").and_then(Json::as_str) {
                Some("READWRITE") => Ok(Answer::ok(json!({"mode": "READWRITE"}))),
                _ => Err(Answer::error(42_204, "Invalid mode. The only mode of this registry is READWRITE")),
            },
            _ => Err(Answer::error(405, "HTTP 405 Method Not Allowed")),
        }
    }

    async fn compatibility(&self, subject: &str, rest: &[&str]) -> Result<Answer, Answer> {
        if self.method != "POST" {
            return Err(Answer::error(405, "HTTP 405 Method Not Allowed"));
        }
        let version = match rest {
            [] => None,
            [version] => Some(Self::version(version)?),
            _ => return Err(missing()),
        };
        let schema = self.schema()?;
        let reasons = self.registry.newest(|state| {
            let level = state.level(Some(subject), false).unwrap_or_default();
            let against = match version {
                None => state.compared(subject),
                Some(version) => vec![state.version(subject, version, false)?],
            };
            state.incompatibilities(&schema, &against, level)
        });
        let reasons = reasons.await.map_err(refusal)?.map_err(refusal)?;
        let mut answer = json!({"is_compatible": reasons.is_empty()});
        if let (true, Some(object)) = (self.flag("verbose"), answer.as_object_mut()) {
            object.insert("messages".to_owned(), reasons.into());
        }
        Ok(Answer::ok(answer))
    }
}

/// A schema's text as JSON: of Avro and JSON Schema the JSON that it is, of Protobuf a text.
fn text_of(schema: &SchemaText) -> Json {
    serde_json::from_str(&schema.text).unwrap_or_else(|_| (*schema.text).into())
}
