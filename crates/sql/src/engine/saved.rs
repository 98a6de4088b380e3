//! Statements that were made at run time, kept in a compacted topic of the bus and run again at the start.
//!
//! A record's key says what the statement made (`relation/NAME`, `query/ID`, `type/NAME`, `alter/NAME`), its value is a JSON
//! object with `order` (a number that grows), `sql` (the statement, with those that altered it behind it) and `state`
//! (`running`, `paused`, `terminated`). A statement that no longer works never stops the rest: it is listed with the reason.

use crate::parse::Variables;
use crate::plan::query_plan::PersistentQuery;
use crate::plan::{Action, PlannedStatement, plan_with};
use crate::{Catalog, Origin, QueryState, QueryStatus, SqlError};
use bytes::Bytes;
use millstream_bus::{
    Acks, Bus, BusError, FetchLimit, Isolation, Position, Record, StartOffset, TopicPartition, TopicSpec,
};
use millstream_model::{Diagnostic, Severity, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The topic.
pub const STATEMENT_TOPIC: &str = "_millstream-statements";

/// What a kept query does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Running,
    Paused,
    Terminated,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    order: u64,
    sql: String,
    state: State,
}

/// A kept statement that does not work any more.
#[derive(Debug, Clone)]
pub(super) struct Broken {
    /// What it made.
    pub(super) key: String,
    pub(super) sql: String,
    /// Why it does not work.
    pub(super) cause: String,
}

impl Broken {
    /// A kept statement that was fine, but could not be done.
    pub(super) fn new(key: String, sql: String, cause: &SqlError) -> Self {
        let cause = match cause {
            SqlError::Mistakes(mistakes) => mistakes.first().map(words).unwrap_or_default(),
            other => other.to_string(),
        };
        Self { key, sql, cause }
    }

    /// As `SHOW QUERIES` lists it.
    pub(super) fn status(&self) -> QueryStatus {
        QueryStatus {
            id: self.key.clone(),
            sql: self.sql.clone(),
            sources: Vec::new(),
            sink: String::new(),
            sink_topic: String::new(),
            state: QueryState::Error(format!("the statement does not work any more: {}", self.cause)),
            records_in: 0,
            records_out: 0,
            lag_records: 0,
            late_records: 0,
            errors: 0,
            restarts: 0,
        }
    }
}

/// A kept statement that was planned again.
#[derive(Debug)]
pub(super) struct Kept {
    /// What it made.
    pub(super) key: String,
    pub(super) statement: PlannedStatement,
    pub(super) state: State,
}

/// The kept statements.
#[derive(Debug, Default)]
pub(super) struct Saved {
    entries: BTreeMap<String, Entry>,
    /// Values that are no statements: the topic's owner must look at them.
    unreadable: Vec<Broken>,
}

/// What a statement's entry is called.
fn key_of(query: &PersistentQuery) -> String {
    let relation = &query.sink.relation;
    if relation.origin == Origin::Query(query.id.clone()) {
        format!("relation/{}", relation.name)
    } else {
        format!("query/{}", query.id)
    }
}

impl Saved {
    /// Reads the topic; makes it where there is none.
    pub(super) async fn load(bus: &dyn Bus) -> Result<Self, SqlError> {
        let context = || format!("reading `{STATEMENT_TOPIC}`");
        match bus.create_topic(&TopicSpec::compacted(STATEMENT_TOPIC, 1)).await {
            Ok(()) | Err(BusError::TopicExists(_)) => {}
            Err(error) => return Err(SqlError::bus(format!("making `{STATEMENT_TOPIC}`"))(error)),
        }
        let at = TopicPartition::new(STATEMENT_TOPIC, 0);
        let end = bus.offsets(&at).await.map_err(SqlError::bus(context()))?.stable;
        let from = vec![Position::new(at, StartOffset::Earliest)];
        let mut reader =
            bus.reader(from, Isolation::ReadCommitted).await.map_err(SqlError::bus(context()))?;
        let mut newest: BTreeMap<String, Bytes> = BTreeMap::new();
        while reader.positions().iter().any(|(_, position)| *position < end) {
            let fetched = reader.poll(FetchLimit::default()).await.map_err(SqlError::bus(context()))?;
            for record in fetched.into_iter().flat_map(|fetched| fetched.records) {
                let key =
                    String::from_utf8_lossy(record.record.key.as_deref().unwrap_or_default()).into_owned();
                match record.record.value {
                    Some(value) => drop(newest.insert(key, value)),
                    None => drop(newest.remove(&key)),
                }
            }
        }
        let mut saved = Self::default();
        for (key, value) in newest {
            match serde_json::from_slice(&value) {
                Ok(entry) => drop(saved.entries.insert(key, entry)),
                Err(error) => saved.unreadable.push(Broken {
                    key,
                    sql: String::from_utf8_lossy(&value).into_owned(),
                    cause: format!("it cannot be read: {error}"),
                }),
            }
        }
        Ok(saved)
    }

    /// The text of every kept statement.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.entries.values().map(|entry| entry.sql.as_str())
    }

    /// Plans every kept statement over `catalog`: in their order, and again those that need later ones, until no more of
    /// them work. Gives the statements, each with what its query is to do, and those that do not work.
    pub(super) fn plan(&self, catalog: &mut Catalog) -> (Vec<Kept>, Vec<Broken>) {
        let mut waiting: Vec<(&String, &Entry)> = self.entries.iter().collect();
        waiting.sort_by_key(|(_, entry)| entry.order);
        let mut planned = Vec::new();
        loop {
            let before = waiting.len();
            let mut broken = Vec::new();
            waiting.retain(|(key, entry)| {
                let mut tried = catalog.clone();
                // What was written down is without variables: they were put in when it ran.
                let mut variables = Variables::off();
                let (statements, mistakes) = plan_with(&mut tried, &mut variables, &entry.sql);
                let mistake = mistakes.into_iter().find(|mistake| mistake.severity == Severity::Error);
                let Some(mistake) = mistake else {
                    *catalog = tried;
                    let kept = |statement| Kept { key: (*key).clone(), statement, state: entry.state };
                    planned.extend(statements.into_iter().map(kept));
                    return false;
                };
                let cause = words(&mistake);
                broken.push(Broken { key: (*key).clone(), sql: entry.sql.clone(), cause });
                true
            });
            if waiting.is_empty() || waiting.len() == before {
                broken.extend(self.unreadable.iter().cloned());
                return (planned, broken);
            }
        }
    }

    /// Keeps what a statement that was done has made, or forgets it. Gives the records for the topic.
    pub(super) fn note(&mut self, action: &Action, sql: &str, now: Timestamp) -> Vec<Record> {
        let mut changed: Vec<String> = Vec::new();
        match action {
            Action::Declare(relation) => {
                self.forget(&format!("alter/{}", relation.name), &mut changed);
                self.put(format!("relation/{}", relation.name), sql, &mut changed);
            }
            Action::Start { query, .. } => self.put(key_of(query), sql, &mut changed),
            Action::CreateType { name, .. } => self.put(format!("type/{name}"), sql, &mut changed),
            Action::Alter(relation) => {
                let own = format!("relation/{}", relation.name);
                let key =
                    if self.entries.contains_key(&own) { own } else { format!("alter/{}", relation.name) };
                let sql = match self.entries.get(&key) {
                    Some(entry) => format!("{};\n{sql}", entry.sql.trim_end_matches(';')),
                    None => sql.to_owned(),
                };
                self.put(key, &sql, &mut changed);
            }
            Action::Drop { name, .. } => {
                self.forget(&format!("relation/{}", name.text), &mut changed);
                self.forget(&format!("alter/{}", name.text), &mut changed);
            }
            Action::DropType(name) => self.forget(&format!("type/{name}"), &mut changed),
            Action::Terminate(id) => {
                self.set(id.as_ref().map(|id| id.text.as_str()), State::Terminated, &mut changed);
            }
            Action::Pause(id) => {
                self.set(id.as_ref().map(|id| id.text.as_str()), State::Paused, &mut changed);
            }
            Action::Resume(id) => {
                self.set(id.as_ref().map(|id| id.text.as_str()), State::Running, &mut changed);
            }
            _ => {}
        }
        let record = |key: String| {
            let entry = self.entries.get(&key).and_then(|entry| serde_json::to_vec(entry).ok());
            Record::new(Some(key.into_bytes().into()), entry.map(Bytes::from), now)
        };
        changed.into_iter().map(record).collect()
    }

    /// Appends what [`Saved::note`] gave.
    pub(super) async fn append(bus: &dyn Bus, records: Vec<Record>) -> Result<(), SqlError> {
        if records.is_empty() {
            return Ok(());
        }
        let at = TopicPartition::new(STATEMENT_TOPIC, 0);
        let appended = bus.append(&at, records, Acks::All).await;
        appended.map(drop).map_err(SqlError::bus("the statement was run, but it could not be kept"))
    }

    fn put(&mut self, key: String, sql: &str, changed: &mut Vec<String>) {
        let next = self.entries.values().map(|entry| entry.order + 1).max().unwrap_or(0);
        let order = self.entries.get(&key).map_or(next, |entry| entry.order);
        self.entries.insert(key.clone(), Entry { order, sql: sql.to_owned(), state: State::Running });
        changed.push(key);
    }

    fn forget(&mut self, key: &str, changed: &mut Vec<String>) {
        if self.entries.remove(key).is_some() {
            changed.push(key.to_owned());
        }
    }

    /// Changes what queries do; those that fill a relation of their own keep it when they are terminated.
    fn set(&mut self, id: Option<&str>, state: State, changed: &mut Vec<String>) {
        let keys: Vec<String> = match id {
            Some(id) => {
                let name = id.strip_prefix("CSAS_").or_else(|| id.strip_prefix("CTAS_"));
                let relation = name.map(|name| format!("relation/{name}"));
                relation.into_iter().chain([format!("query/{id}")]).collect()
            }
            None => self.entries.keys().filter(|key| !key.starts_with("type/")).cloned().collect(),
        };
        for key in keys {
            if state == State::Terminated && key.starts_with("query/") {
                self.forget(&key, changed);
            } else if let Some(entry) = self.entries.get_mut(&key)
                && entry.state != state
                && !(entry.state == State::Terminated && id.is_none())
            {
                entry.state = state;
                changed.push(key);
            }
        }
    }
}

fn words(mistake: &Diagnostic) -> String {
    let help = mistake.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
    format!("{}{help}", mistake.message)
}
