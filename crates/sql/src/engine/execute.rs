//! What each checked statement does.

use super::running::Running;
use super::stage::topic_spec;
use super::topics::ensure;
use super::{Engine, push, supervise};
use crate::batch::Batch;
use crate::function::{aggregate, keyed, scalars, table};
use crate::operator::SinkEncoder;
use crate::parse::ast::{Name, Show};
use crate::plan::query_plan::{Insert, PersistentQuery};
use crate::plan::{Action, PlannedStatement, explain_plan};
use crate::{Listing, Relation, RelationKind, Session, SqlError, StatementResult};
use millstream_bus::{Acks, StartOffset, TopicPartition};
use millstream_model::{Diagnostic, nearest};
use std::sync::Arc;

impl Engine {
    pub(super) async fn run(
        &self,
        statement: PlannedStatement,
        session: &mut Session,
    ) -> Result<StatementResult, SqlError> {
        match statement.action {
            Action::Declare(relation) => self.declare(&relation).await,
            Action::Start(query) => Ok(self.start(query).await),
            Action::Insert(insert) => self.insert(&insert).await,
            Action::Push(plan) => {
                let start = push_start(session);
                let stop = self.stop.subscribe();
                push::start(&self.bus, &self.clock, &plan, start, stop).await.map(StatementResult::Push)
            }
            Action::Nothing(message) => Ok(StatementResult::Done(message)),
            Action::Show(show) => self.show(show).await.map(StatementResult::Listing),
            Action::Describe(name) => Ok(self.describe(&name)),
            Action::DescribeFunction(text) => Ok(StatementResult::Done(text)),
            Action::Drop { name, kind, delete_topic } => self.drop_relation(&name, kind, delete_topic).await,
            Action::Terminate(id) => self.end(id.as_ref()).await,
            Action::ExplainQuery(id) => self.explain(&id),
            Action::Explain(lines) => Ok(StatementResult::Listing(explanation(lines))),
            Action::Set { name, value } => {
                let message = format!("{name} is {}", value.as_deref().unwrap_or("latest"));
                match value {
                    Some(value) => session.properties.insert(name, value),
                    None => session.properties.remove(&name),
                };
                Ok(StatementResult::Done(message))
            }
        }
    }

    async fn declare(&self, relation: &Arc<Relation>) -> Result<StatementResult, SqlError> {
        if let Some(partitions) = relation.partitions {
            ensure(&*self.bus, &topic_spec(relation, partitions)).await?;
        }
        self.catalog.write().insert((**relation).clone());
        Ok(StatementResult::Done(format!("{} {} created", relation.kind.word(), relation.name)))
    }

    async fn insert(&self, insert: &Insert) -> Result<StatementResult, SqlError> {
        let now = self.clock.now();
        let relation = &insert.relation;
        let nodes = insert.key.iter().chain(&insert.value);
        let row = Batch::one(now.0);
        let mut columns = Vec::new();
        let mut failed = None;
        for node in nodes.chain(&insert.time) {
            columns.push(node.by_row(&row, &mut |_, fault| failed = Some(fault.to_string())));
        }
        if let Some(fault) = failed {
            let mistake = Diagnostic::error("sql-insert", format!("a value cannot be computed: {fault}"));
            return Err(SqlError::Mistakes(vec![mistake.label("no value").help("write another value")]));
        }
        let time = insert.time.as_ref().and_then(|_| columns.pop()).and_then(|time| time.datum(0).as_i64());
        let mut batch = row.with_columns(columns);
        batch.timestamps = vec![time.unwrap_or(now.0)].into();
        let spec = topic_spec(relation, relation.partitions.unwrap_or(1));
        let partitions = ensure(&*self.bus, &spec).await?;
        let mut encoded = Vec::new();
        let mut faults = Vec::new();
        row_encoder(relation).encode(&batch, partitions, &mut encoded, &mut faults);
        if let Some(fault) = faults.pop() {
            let mistake = Diagnostic::error("sql-insert", fault.message).label("cannot be written");
            return Err(SqlError::Mistakes(vec![mistake.help("write another value")]));
        }
        for row in encoded {
            let to = TopicPartition::new(relation.topic.clone(), row.partition);
            let appended = self.bus.append(&to, vec![row.record], Acks::All).await;
            appended.map_err(SqlError::bus(format!("writing to `{to}`")))?;
        }
        Ok(StatementResult::Done(format!("one row inserted into {}", relation.name)))
    }

    /// Starts a query. One of the same id and statement over the same source goes on; another one of the id is ended first.
    async fn start(&self, query: Arc<PersistentQuery>) -> StatementResult {
        let id = query.id.clone();
        let relation = &query.sink.relation;
        self.catalog.write().insert((**relation).clone());
        let known = self.queries.read().get(&id).cloned();
        if let Some(known) = known {
            if same(&known.query, &query) {
                return StatementResult::Started { message: format!("query {id} is running already"), id };
            }
            self.terminate(&id).await;
        }
        let message = format!("query {id} fills {} {}", relation.kind.word(), relation.name);
        let running = Running::new(query);
        supervise::start(&self.bus, &self.clock, &self.feeds, &self.slots, &running);
        self.queries.write().insert(id.clone(), running);
        StatementResult::Started { id, message }
    }

    /// Ends the queries that `planned` does not start, or starts differently.
    pub(super) async fn end_others(&self, planned: &[PlannedStatement]) {
        let wanted: Vec<_> = planned
            .iter()
            .filter_map(|statement| match &statement.action {
                Action::Start(query) => Some(query),
                _ => None,
            })
            .collect();
        let stays = |running: &Running| {
            wanted.iter().any(|query| query.id == running.query.id && same(query, &running.query))
        };
        let gone: Vec<_> = self
            .queries
            .read()
            .values()
            .filter(|running| !stays(running))
            .map(|r| r.query.id.clone())
            .collect();
        for id in gone {
            self.terminate(&id).await;
        }
    }

    async fn show(&self, show: Show) -> Result<Listing, SqlError> {
        Ok(match show {
            Show::Streams { .. } => Listing::of_relations(self.catalog.read().relations(), RelationKind::Stream),
            Show::Tables { .. } => Listing::of_relations(self.catalog.read().relations(), RelationKind::Table),
            Show::Queries { .. } => {
                let mut listing =
                    Listing::new(&["Query ID", "State", "Sink", "Kafka Topic", "Lag", "Query String"]);
                listing.rows.extend(self.queries().into_iter().map(|query| {
                    let state = match query.state {
                        crate::QueryState::Running => "RUNNING".to_owned(),
                        crate::QueryState::Error(cause) => format!("ERROR: {cause}"),
                    };
                    vec![
                        query.id,
                        state,
                        query.sink,
                        query.sink_topic,
                        query.lag_records.to_string(),
                        query.sql,
                    ]
                }));
                listing
            }
            Show::Topics { .. } => {
                let topics = self.bus.topics().await.map_err(SqlError::bus("reading the list of topics"))?;
                let mut listing = Listing::new(&["Kafka Topic", "Partitions"]);
                let shown = topics.into_iter().filter(|topic| !topic.name.starts_with("_millstream-query-"));
                listing.rows.extend(shown.map(|topic| vec![topic.name, topic.partitions.to_string()]));
                listing
            }
            Show::Functions => {
                let mut listing = Listing::new(&["Function Name", "Category", "Description"]);
                let row = |name: &str, kind: &str, doc: &str| {
                    vec![name.to_owned(), kind.to_owned(), doc.to_owned()]
                };
                listing.rows.extend(scalars().map(|f| row(f.name, "scalar", f.doc)));
                listing.rows.extend(aggregate::AGGREGATES.iter().map(|f| row(f.name, "aggregate", f.doc)));
                listing.rows.extend(table::TABLE_FUNCTIONS.iter().map(|f| row(f.name, "table", f.doc)));
                listing.rows.extend(keyed::KEYED.iter().map(|f| row(f.name, "per key", f.doc)));
                listing.rows.sort();
                listing
            }
            _ => Listing::new(&["Name"]),
        })
    }

    fn describe(&self, name: &str) -> StatementResult {
        match self.catalog.read().find(name) {
            Some(relation) => StatementResult::Listing(Listing::of_columns(relation)),
            None => StatementResult::Done(format!("`{name}` is gone")),
        }
    }

    fn explain(&self, id: &Name) -> Result<StatementResult, SqlError> {
        let queries = self.queries.read();
        let Some(running) = queries.get(id.text.as_str()) else {
            return Err(no_query(id, queries.keys().map(|id| &**id)));
        };
        Ok(StatementResult::Listing(explanation(explain_plan(&running.query.plan))))
    }

    async fn end(&self, id: Option<&Name>) -> Result<StatementResult, SqlError> {
        let ids: Vec<Arc<str>> = self.queries.read().keys().cloned().collect();
        let Some(id) = id else {
            for id in &ids {
                self.terminate(id).await;
            }
            return Ok(StatementResult::Done(format!("{} queries ended", ids.len())));
        };
        if self.terminate(&id.text).await {
            return Ok(StatementResult::Done(format!("query {} ended", id.text)));
        }
        Err(no_query(id, ids.iter().map(|id| &**id)))
    }

    /// Drops a relation that no other query needs, and ends the query that fills it.
    async fn drop_relation(
        &self,
        name: &str,
        kind: RelationKind,
        delete_topic: bool,
    ) -> Result<StatementResult, SqlError> {
        let Some(relation) = self.catalog.read().find(name).cloned() else {
            return Ok(StatementResult::Done(format!("`{name}` is gone")));
        };
        let (mut fills, mut needs) = (Vec::new(), Vec::new());
        for running in self.queries.read().values() {
            let query = &running.query;
            let creates = query.sink.relation.name == relation.name;
            if creates && !query.id.starts_with("INSERTQUERY_") {
                fills.push(query.id.clone());
            } else if creates || query.plan.reads(&relation.topic) {
                needs.push(query.id.to_string());
            }
        }
        if !needs.is_empty() {
            let mistake =
                Diagnostic::error("sql-in-use", format!("`{name}` is in use by {}", needs.join(", ")))
                    .label("in use")
                    .help(format!("TERMINATE {};", needs.join("; TERMINATE ")));
            return Err(SqlError::Mistakes(vec![mistake]));
        }
        for id in fills {
            self.terminate(&id).await;
        }
        self.catalog.write().remove(name);
        if delete_topic {
            let deleted = self.bus.delete_topic(&relation.topic).await;
            deleted.map_err(SqlError::bus(format!("deleting topic `{}`", relation.topic)))?;
        }
        Ok(StatementResult::Done(format!("{} {name} dropped", kind.word())))
    }
}

/// Where a push query begins.
fn push_start(session: &Session) -> StartOffset {
    let reset = ["auto.offset.reset", "ksql.streams.auto.offset.reset"]
        .into_iter()
        .find_map(|name| session.properties.get(name));
    if reset.is_some_and(|value| value.eq_ignore_ascii_case("earliest")) {
        StartOffset::Earliest
    } else {
        StartOffset::Latest
    }
}

/// An encoder for batches of a relation's own columns.
fn row_encoder(relation: &Relation) -> SinkEncoder {
    let keys = relation.columns.iter().filter(|column| column.key).count();
    let (key, value) = ((0..keys).collect(), (keys..relation.columns.len()).collect());
    let (key_layout, value_layout) = (relation.key_layout(), relation.value_layout());
    SinkEncoder::new(key, key_layout.as_ref(), value, &value_layout, None, relation.kind)
}

/// Whether a running query can go on for a statement: nothing that it does would change.
fn same(a: &PersistentQuery, b: &PersistentQuery) -> bool {
    a.sql == b.sql && format!("{:?}", (&a.plan, &a.sink)) == format!("{:?}", (&b.plan, &b.sink))
}

fn no_query<'a>(id: &Name, known: impl Iterator<Item = &'a str>) -> SqlError {
    let mistake = Diagnostic::error("sql-query", format!("there is no query `{}`", id.text))
        .label("not running")
        .at(id.place.clone());
    SqlError::Mistakes(vec![match nearest(&id.text, known) {
        Some(near) => mistake.help(format!("did you mean {near}?")),
        None => mistake.help("SHOW QUERIES lists what runs"),
    }])
}

fn explanation(lines: Vec<(String, String)>) -> Listing {
    let mut listing = Listing::new(&["Step", "Detail"]);
    listing.rows.extend(lines.into_iter().map(|(step, detail)| vec![step, detail]));
    listing
}
