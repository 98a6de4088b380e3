//! Statements that list things: `SHOW`, `DESCRIBE`, `EXPLAIN`.

use super::Engine;
use super::lifecycle::no_query;
use crate::function::{aggregate, keyed, scalars_by_category, table};
use crate::parse::ast::{Name, Show};
use crate::plan::{PROPERTIES, explain_plan};
use crate::{Listing, QueryState, QueryStatus, Relation, RelationKind, Session, SqlError, StatementResult};
use millstream_bus::TopicPartition;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What topics of the system begin with: they are listed with `ALL` only.
const SYSTEM: &str = "_";

impl Engine {
    pub(super) async fn show(&self, show: Show, session: &Session) -> Result<Listing, SqlError> {
        Ok(match show {
            Show::Streams { extended: true } => self.describe_all(RelationKind::Stream, true),
            Show::Tables { extended: true } => self.describe_all(RelationKind::Table, true),
            Show::Streams { .. } => {
                Listing::of_relations(self.catalog.read().relations(), RelationKind::Stream)
            }
            Show::Tables { .. } => {
                Listing::of_relations(self.catalog.read().relations(), RelationKind::Table)
            }
            Show::Queries { extended } => self.show_queries(extended),
            Show::Topics { all, extended } => self.show_topics(all, extended).await?,
            Show::Functions => functions(),
            Show::Types => {
                let mut listing = Listing::new(&["Type Name", "Schema"]);
                let catalog = self.catalog.read();
                listing.rows.extend(catalog.types().map(|(name, t)| vec![name.to_string(), t.to_string()]));
                listing
            }
            Show::Variables => {
                let mut listing = Listing::new(&["Variable Name", "Value"]);
                let row = |(name, value): (&String, &String)| vec![name.clone(), value.clone()];
                listing.rows.extend(session.variables.iter().map(row));
                listing
            }
            Show::Properties => properties(session),
            Show::Connectors(kind) => self.show_connectors(kind).await?,
            Show::ConnectorPlugins => self.show_plugins().await?,
        })
    }

    fn show_queries(&self, extended: bool) -> Listing {
        if extended {
            let mut listing = Listing::new(&["Query ID", "Property", "Value"]);
            let queries = self.queries.read();
            for (id, running) in queries.iter() {
                let status = of_status(&running.status());
                for (property, value) in status.into_iter().chain(explain_plan(&running.query.plan)) {
                    listing.rows.push(vec![id.to_string(), property, value]);
                }
            }
            return listing;
        }
        let mut listing = Listing::new(&["Query ID", "State", "Sink", "Kafka Topic", "Lag", "Query String"]);
        listing.rows.extend(self.queries().into_iter().map(|query| {
            let state = state(&query.state);
            vec![query.id, state, query.sink, query.sink_topic, query.lag_records.to_string(), query.sql]
        }));
        listing
    }

    async fn show_topics(&self, all: bool, extended: bool) -> Result<Listing, SqlError> {
        let topics = self.bus.topics().await.map_err(SqlError::bus("reading the list of topics"))?;
        let shown: Vec<_> =
            topics.into_iter().filter(|topic| all || !topic.name.starts_with(SYSTEM)).collect();
        if !extended {
            let mut listing = Listing::new(&["Kafka Topic", "Partitions"]);
            listing
                .rows
                .extend(shown.into_iter().map(|topic| vec![topic.name, topic.partitions.to_string()]));
            return Ok(listing);
        }
        let partitions: Vec<TopicPartition> = shown
            .iter()
            .flat_map(|topic| (0..topic.partitions).map(|at| TopicPartition::new(topic.name.as_str(), at)))
            .collect();
        // Groups and their members by the topics that they have committed offsets in.
        let mut readers: BTreeMap<Arc<str>, (usize, usize)> = BTreeMap::new();
        for group in self.bus.groups().await.map_err(SqlError::bus("reading the list of groups"))? {
            let committed = self.bus.committed(&group.name, &partitions).await;
            let committed =
                committed.map_err(SqlError::bus(format!("reading the offsets of `{}`", group.name)))?;
            let mut topics: Vec<_> = partitions
                .iter()
                .zip(committed)
                .filter_map(|(at, offset)| offset.is_some().then(|| at.topic.clone()))
                .collect();
            topics.dedup();
            for topic in topics {
                let entry = readers.entry(topic).or_default();
                entry.0 += 1;
                entry.1 += group.members;
            }
        }
        let mut listing = Listing::new(&["Kafka Topic", "Partitions", "Consumers", "Consumer Groups"]);
        listing.rows.extend(shown.into_iter().map(|topic| {
            let (groups, members) = readers.get(topic.name.as_str()).copied().unwrap_or_default();
            vec![topic.name, topic.partitions.to_string(), members.to_string(), groups.to_string()]
        }));
        Ok(listing)
    }

    pub(super) fn describe(&self, name: &str, extended: bool) -> StatementResult {
        let Some(relation) = self.catalog.read().find(name).cloned() else {
            return StatementResult::Done(format!("`{name}` is gone"));
        };
        if !extended {
            return StatementResult::Listing(Listing::of_columns(&relation));
        }
        let mut listing = Listing::new(&["Property", "Value"]);
        listing.rows = self.extended(&relation);
        StatementResult::Listing(listing)
    }

    /// `DESCRIBE STREAMS|TABLES`: every one with its columns.
    pub(super) fn describe_all(&self, kind: RelationKind, extended: bool) -> Listing {
        let relations: Vec<Arc<Relation>> = self.catalog.read().relations().cloned().collect();
        let columns: &[&str] =
            if extended { &["Name", "Property", "Value"] } else { &["Name", "Field", "Type"] };
        let mut listing = Listing::new(columns);
        for relation in relations.into_iter().filter(|relation| relation.kind == kind) {
            let rows = if extended { self.extended(&relation) } else { Listing::of_columns(&relation).rows };
            for mut row in rows {
                row.insert(0, relation.name.to_string());
                listing.rows.push(row);
            }
        }
        listing
    }

    /// Everything that is known of a relation: properties, columns, queries, statistics.
    fn extended(&self, relation: &Relation) -> Vec<Vec<String>> {
        let mut rows: Vec<(String, String)> = Vec::new();
        let mut row = |property: &str, value: String| rows.push((property.to_owned(), value));
        row("Name", relation.name.to_string());
        row("Type", relation.kind.word().to_uppercase());
        row(
            "Timestamp field",
            match (&relation.timestamp, &relation.timestamp_format) {
                (Some(name), Some(format)) => format!("{name} as {format}"),
                (Some(name), None) => name.to_string(),
                (None, _) => "ROWTIME".to_owned(),
            },
        );
        row("Key format", relation.key.format.to_string());
        row("Value format", relation.value.format.to_string());
        row("Kafka topic", relation.topic.to_string());
        if relation.source {
            row("Read-only", "true".to_owned());
        }
        if relation.session {
            row("Window", "SESSION".to_owned());
        } else if let Some(size_ms) = relation.window_ms {
            row("Window", format!("{size_ms} milliseconds"));
        }
        if !relation.sql.is_empty() {
            row("Statement", relation.sql.clone());
        }
        for column in Listing::of_columns(relation).rows {
            row("Field", column.join(" "));
        }
        let (mut records_in, mut records_out, mut errors, mut late) = (0, 0, 0, 0);
        for running in self.queries.read().values() {
            let query = &running.query;
            let (fills, reads) =
                (query.sink.relation.name == relation.name, query.plan.reads(&relation.topic));
            let status = running.status();
            if fills {
                records_out += status.records_out;
                row("Written by", format!("{}: {}", query.id, query.sql));
            }
            if reads {
                records_in += status.records_in;
                errors += status.errors;
                late += status.late_records;
                row("Read by", format!("{}: {}", query.id, query.sql));
            }
        }
        row("Records written", records_out.to_string());
        row("Records read", records_in.to_string());
        row("Records in error", errors.to_string());
        row("Records too late", late.to_string());
        rows.into_iter().map(|(property, value)| vec![property, value]).collect()
    }

    pub(super) fn explain(&self, id: &Name) -> Result<StatementResult, SqlError> {
        let queries = self.queries.read();
        let Some(running) = queries.get(id.text.as_str()) else {
            return Err(no_query(id, queries.keys().map(|id| &**id)));
        };
        let status = of_status(&running.status());
        let lines = status.into_iter().chain(explain_plan(&running.query.plan)).collect();
        Ok(StatementResult::Listing(explanation(lines)))
    }
}

/// Step and detail, line by line.
pub(super) fn explanation(lines: Vec<(String, String)>) -> Listing {
    let mut listing = Listing::new(&["Step", "Detail"]);
    listing.rows.extend(lines.into_iter().map(|(step, detail)| vec![step, detail]));
    listing
}

fn state(state: &QueryState) -> String {
    match state {
        QueryState::Running => "RUNNING".to_owned(),
        QueryState::Paused => "PAUSED".to_owned(),
        QueryState::Error(cause) => format!("ERROR: {cause}"),
    }
}

fn of_status(status: &QueryStatus) -> Vec<(String, String)> {
    vec![
        ("Query".to_owned(), status.id.clone()),
        ("Statement".to_owned(), status.sql.clone()),
        ("State".to_owned(), state(&status.state)),
    ]
}

fn functions() -> Listing {
    let mut listing = Listing::new(&["Function Name", "Category", "Description"]);
    let row = |name: &str, kind: &str, doc: &str| vec![name.to_owned(), kind.to_owned(), doc.to_owned()];
    listing.rows.extend(scalars_by_category().map(|(category, f)| row(f.name, category, f.doc)));
    listing.rows.extend(aggregate::AGGREGATES.iter().map(|f| row(f.name, "AGGREGATE", f.doc)));
    listing.rows.extend(table::TABLE_FUNCTIONS.iter().map(|f| row(f.name, "TABLE", f.doc)));
    listing.rows.extend(keyed::KEYED.iter().map(|f| row(f.name, "PER KEY", f.doc)));
    listing.rows.sort();
    listing
}

/// What `SET` may change, and what it is in this session.
fn properties(session: &Session) -> Listing {
    let mut listing = Listing::new(&["Property", "Default override", "Effective Value"]);
    for property in PROPERTIES {
        let set = session.properties.get(property.name);
        let overridden = if set.is_some() { "SESSION" } else { "" };
        let value = set.map_or(property.default, String::as_str);
        listing.rows.push(vec![property.name.to_owned(), overridden.to_owned(), value.to_owned()]);
    }
    let known = |name: &String| PROPERTIES.iter().any(|property| property.name == *name);
    let others = session.properties.iter().filter(|(name, _)| !known(name));
    listing.rows.extend(others.map(|(name, value)| vec![name.clone(), "SESSION".to_owned(), value.clone()]));
    listing
}
