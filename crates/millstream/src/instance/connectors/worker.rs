//! The connectors of a worker of Kafka Connect, through its REST API.

use super::summary;
use async_trait::async_trait;
use hyper::Method;
use millstream_plant::SqlSettings;
use millstream_registry::{Credentials, HttpError, HttpService, Trust, escaped};
use millstream_sql::connector::{
    ConnectorDescription, ConnectorInfo, ConnectorPlugin, Connectors, NewConnector,
};
use millstream_sql::parse::ast::ConnectorKind;
use serde_json::{Map, Value as Json, json};
use std::time::Duration;
use tokio::time::sleep;

/// How often a request is made that comes while the workers divide their connectors anew.
const TRIES_MAX: usize = 20;
/// The pause before it is made again.
const PAUSE: Duration = Duration::from_millis(500);

/// A worker, or several of one group: each answers for all.
#[derive(Debug)]
pub(super) struct Worker {
    url: String,
    http: HttpService,
}

/// What it answered: the status, and the body where it is JSON.
type Answer = (u16, Json);

impl Worker {
    /// The worker at `url`.
    pub(super) fn new(url: &str, settings: &SqlSettings) -> Result<Self, HttpError> {
        let credentials = settings.connect_user.as_ref().map(|user| Credentials {
            user: user.clone(),
            password: settings.connect_password.clone().unwrap_or_default(),
        });
        let http = HttpService::new("a worker of Kafka Connect", url, credentials.as_ref(), &Trust::System)?;
        Ok(Self { url: url.to_owned(), http })
    }

    /// One request, made again while the workers are busy with one another.
    async fn request(&self, method: Method, path: &str, body: Option<&Json>) -> Result<Answer, String> {
        let mut tries = 1;
        loop {
            let answer = self.http.request(method.clone(), path, "application/json", body).await;
            let (status, bytes) =
                answer.map_err(|error| format!("Kafka Connect at {} cannot be asked: {error}", self.url))?;
            let json = serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| Json::String(String::from_utf8_lossy(&bytes).into_owned()));
            let is_busy = status == 409 && message(&json).contains("rebalance");
            if !is_busy || tries == TRIES_MAX {
                return Ok((status, json));
            }
            tries += 1;
            sleep(PAUSE).await;
        }
    }

    /// What it knows under `path`; `None` where it knows nothing.
    async fn get(&self, path: &str) -> Result<Option<Json>, String> {
        match self.request(Method::GET, path, None).await? {
            (200..=299, json) => Ok(Some(json)),
            (404, _) => Ok(None),
            (status, json) => Err(self.refused(status, &json)),
        }
    }

    fn refused(&self, status: u16, json: &Json) -> String {
        format!("Kafka Connect at {} answers {status}: {}", self.url, message(json))
    }

    /// A class of the other kind would be made without a word.
    async fn check_kind(&self, connector: &NewConnector) -> Result<(), String> {
        let class =
            connector.properties.iter().find(|(name, _)| name.eq_ignore_ascii_case("connector.class"));
        let Some((_, class)) = class else { return Ok(()) };
        let plugins = self.plugins().await?;
        let Some(found) = plugins.iter().find(|plugin| plugin.is(class)) else { return Ok(()) };
        let is = found.kind.to_lowercase();
        if is == connector.kind.word().to_lowercase() || !["source", "sink"].contains(&&*is) {
            return Ok(());
        }
        Err(format!("`{}` is a {is} connector: CREATE {} CONNECTOR makes it", found.class, is.to_uppercase()))
    }
}

/// What an error of it says.
fn message(json: &Json) -> &str {
    json.get("message").and_then(Json::as_str).or(json.as_str()).unwrap_or("no message").trim()
}

/// Whether a plugin is meant by a class name, whole or short as Kafka Connect takes it.
trait Is {
    fn is(&self, name: &str) -> bool;
}

impl Is for ConnectorPlugin {
    fn is(&self, name: &str) -> bool {
        let short = self.class.rsplit('.').next().unwrap_or_default();
        name == self.class || name == short || Some(name) == short.strip_suffix("Connector")
    }
}

fn text<'a>(json: &'a Json, pointer: &str) -> &'a str {
    json.pointer(pointer).and_then(Json::as_str).unwrap_or_default()
}

fn kind(word: &str) -> Option<ConnectorKind> {
    match word {
        "source" => Some(ConnectorKind::Source),
        "sink" => Some(ConnectorKind::Sink),
        _ => None,
    }
}

/// The tasks of a status: number, state, and what happened where something did.
fn tasks(status: &Json) -> Vec<(u32, String, String)> {
    let listed = status.get("tasks").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    let task = |task: &Json| {
        let number = task.get("id").and_then(Json::as_u64).and_then(|id| u32::try_from(id).ok());
        (number.unwrap_or_default(), text(task, "/state").to_owned(), cause(text(task, "/trace")))
    };
    listed.iter().map(task).collect()
}

/// A Java trace without the places in its code.
fn cause(trace: &str) -> String {
    let lines =
        trace.lines().map(str::trim).filter(|line| !line.starts_with("at ") && !line.starts_with("... "));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

/// What a connector is and does, of `/connectors/NAME` and its status.
fn info(name: &str, info: &Json, status: Option<&Json>) -> ConnectorInfo {
    let state = status.map(|status| text(status, "/connector/state")).filter(|state| !state.is_empty());
    let tasks = status.map(tasks).unwrap_or_default();
    ConnectorInfo {
        name: name.to_owned(),
        kind: kind(text(info, "/type")),
        class: text(info, "/config/connector.class").to_owned(),
        // It was made, and nobody has taken it on yet.
        state: summary(state.unwrap_or("UNASSIGNED"), tasks.iter().map(|(_, state, _)| state.as_str())),
    }
}

#[async_trait]
impl Connectors for Worker {
    async fn create(&self, connector: NewConnector) -> Result<ConnectorInfo, String> {
        self.check_kind(&connector).await?;
        let name = &connector.name;
        let mut config: Map<String, Json> =
            connector.properties.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        config.insert("name".to_owned(), json!(name));
        let body = json!({ "name": name, "config": config });
        match self.request(Method::POST, "/connectors", Some(&body)).await? {
            (200..=299, made) => Ok(info(name, &made, None)),
            (status, json) => Err(self.refused(status, &json)),
        }
    }

    async fn drop_connector(&self, name: &str) -> Result<bool, String> {
        match self.request(Method::DELETE, &format!("/connectors/{}", escaped(name)), None).await? {
            (200..=299, _) => Ok(true),
            (404, _) => Ok(false),
            (status, json) => Err(self.refused(status, &json)),
        }
    }

    async fn list(&self) -> Result<Vec<ConnectorInfo>, String> {
        let listed = self.get("/connectors?expand=info&expand=status").await?.unwrap_or_default();
        let mut all: Vec<ConnectorInfo> = match &listed {
            Json::Object(all) => {
                let one = |(name, one): (&String, &Json)| {
                    info(name, one.get("info").unwrap_or(&Json::Null), one.get("status"))
                };
                all.iter().map(one).collect()
            }
            _ => return Err(format!("the answer of Kafka Connect at {} cannot be read", self.url)),
        };
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    async fn describe(&self, name: &str) -> Result<Option<ConnectorDescription>, String> {
        let path = format!("/connectors/{}", escaped(name));
        let Some(found) = self.get(&path).await? else { return Ok(None) };
        let status = self.get(&format!("{path}/status")).await?;
        // A worker may be told not to track topics; then it says 403.
        let topics = self.get(&format!("{path}/topics")).await.ok().flatten().unwrap_or_default();
        let topics = topics.get(name).and_then(|of| of.get("topics")).and_then(Json::as_array);
        let topics = topics.map(Vec::as_slice).unwrap_or_default().iter().filter_map(Json::as_str);
        let mut info = info(name, &found, status.as_ref());
        let trace = status.as_ref().map(|status| cause(text(status, "/connector/trace"))).unwrap_or_default();
        if let Some(state) = status.as_ref().map(|status| text(status, "/connector/state")) {
            info.state = if trace.is_empty() { state.to_owned() } else { format!("{state}: {trace}") };
        }
        let mut topics: Vec<String> = topics.map(str::to_owned).collect();
        topics.sort();
        Ok(Some(ConnectorDescription { info, tasks: status.as_ref().map(tasks).unwrap_or_default(), topics }))
    }

    async fn plugins(&self) -> Result<Vec<ConnectorPlugin>, String> {
        let listed = self.get("/connector-plugins").await?.unwrap_or_default();
        let listed = listed.as_array().map(Vec::as_slice).unwrap_or_default();
        let plugin = |plugin: &Json| ConnectorPlugin {
            class: text(plugin, "/class").to_owned(),
            kind: text(plugin, "/type").to_uppercase(),
            version: text(plugin, "/version").to_owned(),
        };
        Ok(listed.iter().map(plugin).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_told_without_javas_places() {
        let trace = "org.apache.kafka.connect.errors.ConnectException: no file\n\tat a.B.c(B.java:1)\n\
                     Caused by: java.io.IOException: gone\n\t... 7 more\n";
        assert_eq!(
            cause(trace),
            "org.apache.kafka.connect.errors.ConnectException: no file; Caused by: java.io.IOException: gone"
        );
        assert_eq!(cause(""), "");
    }

    #[test]
    fn a_connector_that_nobody_has_taken_on_is_unassigned() {
        let made = json!({ "type": "sink", "config": { "connector.class": "a.FileSinkConnector" } });
        let made = info("f", &made, None);
        assert_eq!(
            (made.kind, &*made.class, &*made.state),
            (Some(ConnectorKind::Sink), "a.FileSinkConnector", "UNASSIGNED")
        );
        let plugin = ConnectorPlugin { class: made.class, kind: "SINK".to_owned(), version: String::new() };
        assert!(plugin.is("FileSink") && plugin.is("FileSinkConnector") && !plugin.is("File"));
    }
}
