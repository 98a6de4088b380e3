//! The PLC4X connector's configs: `Plc4xSourceConnector` and `Plc4xSinkConnector` become devices, groups and writes.
//!
//! Keys are those of the connector from 0.8 to 1.0; `fields`, as it said before 0.11, is read as `tags`, and `default-topic` as
//! `default.topic`. What Kafka Connect itself understands is passed over. Addresses are taken as they stand: the original
//! takes `,`, `|` and `#` for separators in them.

use crate::config::ConnectorConfig;
use crate::plc_source::Layout;
use millstream_driver::TagSpec;
use millstream_model::{Diagnostic, OptionKind, OptionSpec, Options, Severity, nearest};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// The last part of the source connector's class name.
pub const SOURCE_CLASS: &str = "Plc4xSourceConnector";
/// The last part of the sink connector's class name.
pub const SINK_CLASS: &str = "Plc4xSinkConnector";

/// Options under `sources.<source>.`
pub const SOURCE_OPTIONS: &[OptionSpec] = &[
    text("connectionString", "", "The PLC4X connection string. Required."),
    text("jobReferences", "", "The jobs to run on this source, separated by commas. Required."),
    int("bufferSize", "1000", "Accepted and without effect: nothing is dropped when a buffer is full."),
    millis("pollReturnInterval", "5000", "Accepted and without effect: records do not wait for a poll."),
];

/// Options under `jobs.<job>.`
pub const JOB_OPTIONS: &[OptionSpec] = &[
    millis("interval", "", "Time from scan to scan in milliseconds. Required."),
    text("tags", "", "The tags, separated by commas; their addresses stand under `tags.<tag>`. Required."),
];

/// Options under `sinks.<sink>.`
pub const SINK_OPTIONS: &[OptionSpec] = &[
    text("connectionString", "", "The PLC4X connection string. Required."),
    text("topic", "", "The topic with the commands. Required."),
    text(
        "tags",
        "",
        "The tags that may be written, separated by commas; addresses stand under `tags.<tag>`. Required.",
    ),
    int(
        "retries",
        "3",
        "With `timeout`: a command is tried for retries × timeout, and is too old afterwards.",
    ),
    millis("timeout", "5000", "See `retries`."),
];

const fn text(name: &'static str, default: &'static str, doc: &'static str) -> OptionSpec {
    OptionSpec { name, kind: OptionKind::Text, default, doc }
}

const fn int(name: &'static str, default: &'static str, doc: &'static str) -> OptionSpec {
    OptionSpec { name, kind: OptionKind::Int { min: 1, max: 1_000_000 }, default, doc }
}

const fn millis(name: &'static str, default: &'static str, doc: &'static str) -> OptionSpec {
    OptionSpec { name, kind: OptionKind::Millis, default, doc }
}

/// A text with its place in the file, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed<T> {
    /// What it says.
    pub value: T,
    /// Where it says so.
    pub place: Range<usize>,
}

/// A PLC4X connector as Millstream runs it.
#[derive(Debug, Clone, PartialEq)]
pub struct Plc4xConnector {
    /// The connector's name.
    pub name: Arc<str>,
    /// One device per source or sink.
    pub devices: Vec<Plc4xDevice>,
}

/// One source or sink.
#[derive(Debug, Clone, PartialEq)]
pub struct Plc4xDevice {
    /// The source's or sink's name; it stands in the records' keys as `sourceName`.
    pub name: Arc<str>,
    /// How to reach it.
    pub connection: Placed<String>,
    /// The jobs of a source.
    pub groups: Vec<Plc4xGroup>,
    /// What a sink may write.
    pub writes: Option<Plc4xWrites>,
}

/// One job on one source.
#[derive(Debug, Clone, PartialEq)]
pub struct Plc4xGroup {
    /// The job's name.
    pub name: Arc<str>,
    /// Where its records go.
    pub topic: Arc<str>,
    /// Time from scan to scan.
    pub interval: Duration,
    /// How records look: always [`Layout::Plc4x`].
    pub layout: Layout,
    /// What is read; places are those of the addresses.
    pub tags: Vec<Placed<TagSpec>>,
}

/// What one sink may write.
#[derive(Debug, Clone, PartialEq)]
pub struct Plc4xWrites {
    /// Where commands come from.
    pub topic: Arc<str>,
    /// How long a command is tried: `retries` × `timeout`.
    pub max_age: Duration,
    /// What may be written; places are those of the addresses.
    pub tags: Vec<Placed<TagSpec>>,
}

/// Whether a class name means one of the two connectors.
pub fn is_plc4x(class: &str) -> bool {
    let last = class.rsplit('.').next().unwrap_or_default();
    last == SOURCE_CLASS || last == SINK_CLASS
}

/// What a config says, with every mistake in it. With errors among them the connector is incomplete and must not be started.
pub fn connector(config: &ConnectorConfig) -> (Plc4xConnector, Vec<Diagnostic>) {
    let mut reading = Reading { config, used: BTreeSet::new(), mistakes: Vec::new() };
    let name = reading.required("name", "the connector's name").map_or_else(String::new, |name| name.value);
    let class =
        reading.required("connector.class", "a class name").map_or_else(String::new, |class| class.value);
    let devices = match class.rsplit('.').next() {
        Some(SOURCE_CLASS) => reading.sources(),
        Some(SINK_CLASS) => reading.sinks(),
        _ => {
            let expected = format!("expected `org.apache.plc4x.kafka.{SOURCE_CLASS}` or `….{SINK_CLASS}`");
            reading.mistake(
                "connector.class",
                "connector-class",
                format!("`{class}` is no PLC4X connector"),
                expected,
            );
            Vec::new()
        }
    };
    reading.unknown_keys();
    (Plc4xConnector { name: name.into(), devices }, reading.mistakes)
}

struct Reading<'a> {
    config: &'a ConnectorConfig,
    used: BTreeSet<String>,
    mistakes: Vec<Diagnostic>,
}

impl Reading<'_> {
    fn sources(&mut self) -> Vec<Plc4xDevice> {
        let layout = self.layout();
        let default_topic = ["default.topic", "default-topic"].into_iter().find_map(|key| self.optional(key));
        let known_jobs = self.names("jobs");
        let mut devices = Vec::new();
        for source in self.required_names("sources", "the sources' names") {
            let scope = format!("sources.{source}");
            self.options(&scope, SOURCE_OPTIONS);
            let connection = self.required(&format!("{scope}.connectionString"), "a connection string");
            let mut groups = Vec::new();
            for job in self.required_names(&format!("{scope}.jobReferences"), "the names of jobs") {
                if !known_jobs.contains(&job) {
                    let key = format!("{scope}.jobReferences");
                    let near = nearest(&job, known_jobs.iter().map(String::as_str)).map(str::to_owned);
                    self.mistake(
                        &key,
                        "unknown-job",
                        format!("there is no job `{job}` in `jobs`"),
                        "expected the name of a job",
                    );
                    self.help_last(near.map(|near| format!("did you mean `{near}`?")));
                    continue;
                }
                let topic = self.optional(&format!("{scope}.jobReferences.{job}.topic"));
                let topic = topic.or_else(|| default_topic.clone());
                if topic.is_none() {
                    let key = format!("{scope}.jobReferences");
                    let message = format!("job `{job}` of source `{source}` has no topic");
                    self.mistake(&key, "missing-key", message, "its records need a topic");
                    self.help_last(Some(format!("add `{key}.{job}.topic` or `default.topic`")));
                }
                let topic = topic.as_ref().map_or("", |topic| topic.value.as_str());
                groups.extend(self.job(&job, topic, layout));
            }
            devices.extend(connection.map(|connection| Plc4xDevice {
                name: source.as_str().into(),
                connection,
                groups,
                writes: None,
            }));
        }
        devices
    }

    fn job(&mut self, job: &str, topic: &str, layout: Layout) -> Option<Plc4xGroup> {
        let scope = format!("jobs.{job}");
        let options = self.options(&scope, JOB_OPTIONS);
        let given = self.required(&format!("{scope}.interval"), "a time in milliseconds");
        let interval = options.map(|options| options.duration("interval")).unwrap_or_default();
        if given.is_some() && interval.is_zero() {
            self.mistake(
                &format!("{scope}.interval"),
                "option-value",
                "the interval is no time".to_owned(),
                "expected milliseconds above 0",
            );
        }
        let tags = self.tags(&scope);
        (!interval.is_zero()).then(|| Plc4xGroup {
            name: job.into(),
            topic: topic.into(),
            interval,
            layout,
            tags,
        })
    }

    fn sinks(&mut self) -> Vec<Plc4xDevice> {
        self.layout();
        let mut devices = Vec::new();
        for sink in self.required_names("sinks", "the sinks' names") {
            let scope = format!("sinks.{sink}");
            let options = self.options(&scope, SINK_OPTIONS);
            let connection = self.required(&format!("{scope}.connectionString"), "a connection string");
            let topic = self.required(&format!("{scope}.topic"), "a topic");
            let tags = self.tags(&scope);
            let tries = options.as_ref().map_or(1, |options| options.int("retries"));
            let timeout = options.map(|options| options.duration("timeout")).unwrap_or_default();
            let max_age = timeout.saturating_mul(u32::try_from(tries).unwrap_or(u32::MAX));
            if let (Some(connection), Some(topic)) = (connection, topic) {
                let writes = Plc4xWrites { topic: topic.value.as_str().into(), max_age, tags };
                devices.push(Plc4xDevice {
                    name: sink.as_str().into(),
                    connection,
                    groups: Vec::new(),
                    writes: Some(writes),
                });
            }
        }
        devices
    }

    /// The tags of a job or sink with their addresses.
    fn tags(&mut self, scope: &str) -> Vec<Placed<TagSpec>> {
        let word = if self.config.text(&format!("{scope}.tags")).is_none()
            && self.config.text(&format!("{scope}.fields")).is_some()
        {
            "fields"
        } else {
            "tags"
        };
        let list = format!("{scope}.{word}");
        let mut tags = Vec::new();
        for name in self.required_names(&list, "the tags' names") {
            if let Some(address) = self.required(&format!("{list}.{name}"), "the tag's address") {
                let spec = TagSpec::new(name.as_str(), address.value.as_str());
                tags.push(Placed { value: spec, place: address.place });
            }
        }
        tags
    }

    fn layout(&mut self) -> Layout {
        Layout::Plc4x {
            key_schemas: self.converter("key.converter"),
            value_schemas: self.converter("value.converter"),
        }
    }

    /// Whether the converter writes schemas.
    fn converter(&mut self, key: &str) -> bool {
        let class = self.optional(key).map(|class| class.value);
        let schemas = self.optional(&format!("{key}.schemas.enable"));
        match class.as_deref().and_then(|class| class.rsplit('.').next()) {
            None | Some("JsonConverter") => {}
            Some("StringConverter") => {
                let message =
                    "`StringConverter` would write Java's own text form; JSON without schema is written"
                        .to_owned();
                self.mistake(
                    key,
                    "converter",
                    message,
                    "expected `org.apache.kafka.connect.json.JsonConverter`",
                );
                self.soften_last();
                return false;
            }
            Some(other) => {
                let message = format!("converter `{other}` is not there");
                self.mistake(
                    key,
                    "converter",
                    message,
                    "expected `org.apache.kafka.connect.json.JsonConverter`",
                );
            }
        }
        match schemas.as_ref().map(|schemas| schemas.value.to_ascii_lowercase()).as_deref() {
            None | Some("true") => true,
            Some("false") => false,
            Some(_) => {
                let key = format!("{key}.schemas.enable");
                self.mistake(
                    &key,
                    "option-value",
                    format!("`{key}` is no truth value"),
                    "expected `true` or `false`",
                );
                true
            }
        }
    }

    /// The options of one source, job or sink that are right. `None` only when a value is wrong.
    fn options(&mut self, scope: &str, table: &'static [OptionSpec]) -> Option<Options> {
        let prefix = format!("{scope}.");
        let config = self.config;
        let given = config.entries.iter().filter_map(|(key, entry)| {
            let name = key.strip_prefix(&prefix)?;
            let is_there = table.iter().any(|option| option.name == name) && !entry.value.trim().is_empty();
            is_there.then(|| (name, entry.value.trim(), entry.place.clone()))
        });
        let checked = Options::check(table, given);
        self.used.extend(table.iter().map(|option| format!("{prefix}{}", option.name)));
        let mistakes = match checked {
            Ok(options) => return Some(options),
            Err(mistakes) => mistakes,
        };
        for mistake in mistakes {
            let at = mistake.span.as_ref().map(|span| span.range.clone());
            let key = config.entries.iter().find(|(_, entry)| Some(&entry.place) == at.as_ref());
            let key = key.map_or_else(|| scope.to_owned(), |(key, _)| key.clone());
            self.mistakes.push(mistake.key(key));
        }
        None
    }

    fn optional(&mut self, key: &str) -> Option<Placed<String>> {
        self.used.insert(key.to_owned());
        let value = self.config.text(key)?.to_owned();
        Some(Placed { value, place: self.place(key) })
    }

    fn required(&mut self, key: &str, what: &str) -> Option<Placed<String>> {
        let found = self.optional(key);
        if found.is_none() {
            self.mistake(key, "missing-key", format!("`{key}` is missing"), format!("expected {what}"));
        }
        found
    }

    fn names(&mut self, key: &str) -> Vec<String> {
        self.used.insert(key.to_owned());
        let mut names: Vec<String> = Vec::new();
        for name in self.config.list(key) {
            if names.iter().any(|known| known == name) {
                self.mistake(
                    key,
                    "duplicate-name",
                    format!("`{name}` stands twice in `{key}`"),
                    "give it once",
                );
            } else {
                names.push(name.to_owned());
            }
        }
        names
    }

    fn required_names(&mut self, key: &str, what: &str) -> Vec<String> {
        let names = self.names(key);
        if names.is_empty() {
            self.mistake(
                key,
                "missing-key",
                format!("`{key}` is missing or empty"),
                format!("expected {what}, separated by commas"),
            );
        }
        names
    }

    /// The value's place without the blanks around it; nowhere for what is not there.
    fn place(&self, key: &str) -> Range<usize> {
        self.config.entries.get(key).map_or(0..0, |entry| {
            let trailing = entry.value.len() - entry.value.trim_end().len();
            entry.place.start..entry.place.end.saturating_sub(trailing).max(entry.place.start)
        })
    }

    fn mistake(&mut self, key: &str, code: &'static str, message: String, label: impl Into<String>) {
        let mistake = Diagnostic::error(code, message).label(label).key(key);
        self.mistakes.push(match self.config.entries.get(key) {
            Some(_) => mistake.at(self.place(key)),
            None => mistake,
        });
    }

    fn help_last(&mut self, help: Option<String>) {
        if let Some(last) = self.mistakes.last_mut() {
            last.help = help;
        }
    }

    fn soften_last(&mut self) {
        if let Some(last) = self.mistakes.last_mut() {
            last.severity = Severity::Warning;
        }
    }

    /// Keys that nobody reads. The original passes over them in silence, so they are warnings; most are typing errors.
    fn unknown_keys(&mut self) {
        let ours = ["sources", "jobs", "sinks", "default"];
        let config = self.config;
        for (key, entry) in &config.entries {
            let head = key.split('.').next().unwrap_or_default();
            let is_ours = ours.contains(&head) && !key.starts_with("default-");
            if self.used.contains(key) || !(is_ours || is_misspelt(key)) {
                continue;
            }
            let near = nearest(key, self.used.iter().map(String::as_str)).map(str::to_owned);
            let mistake = Diagnostic::warning("unknown-key", format!("`{key}` is not used"))
                .at(entry.key_place.clone())
                .key(key.as_str())
                .label("no such key, or nothing refers to it");
            self.mistakes.push(match near {
                Some(near) => mistake.help(format!("did you mean `{near}`?")),
                None => mistake,
            });
        }
    }
}

/// Whether a key is neither one of Kafka Connect's nor far enough from all of the connector's to be something else.
fn is_misspelt(key: &str) -> bool {
    const CONNECT: [&str; 22] = [
        "name",
        "connector",
        "tasks",
        "topics",
        "key",
        "value",
        "header",
        "errors",
        "transforms",
        "predicates",
        "bootstrap",
        "offset",
        "plugin",
        "config",
        "exactly",
        "transaction",
        "acks",
        "enable",
        "producer",
        "consumer",
        "admin",
        "rest",
    ];
    let head = key.split('.').next().unwrap_or_default();
    let words = ["sources", "jobs", "sinks"];
    !CONNECT.contains(&head) && key != "default-topic" && nearest(head, words).is_some()
}

#[cfg(test)]
#[path = "plc4x_config_tests.rs"]
mod tests;
