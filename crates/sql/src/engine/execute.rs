//! What each checked statement does.

use super::show::explanation;
use super::stage::topic_spec;
use super::topics::ensure;
use super::{Engine, push};
use crate::batch::Batch;
use crate::operator::SinkEncoder;
use crate::plan::Action;
use crate::plan::query_plan::Insert;
use crate::{Relation, Session, SqlError, StatementResult};
use millstream_bus::{Acks, StartOffset, TopicPartition};
use millstream_model::Diagnostic;
use std::sync::Arc;

impl Engine {
    pub(super) async fn run(
        &self,
        action: Action,
        session: &mut Session,
    ) -> Result<StatementResult, SqlError> {
        match action {
            Action::Declare(relation) => self.declare(&relation).await,
            Action::Start { query, replaces, place } => {
                self.start(query, replaces.then_some(&place), false).await
            }
            Action::Alter(relation) => {
                let message = format!("{} {} altered", relation.kind.word(), relation.name);
                self.catalog.write().insert((*relation).clone());
                Ok(StatementResult::Done(message))
            }
            Action::CreateType { name, sql_type } => {
                self.catalog.write().insert_type(&name, sql_type);
                Ok(StatementResult::Done(format!("type {name} is {sql_type}")))
            }
            Action::DropType(name) => {
                self.catalog.write().remove_type(&name);
                Ok(StatementResult::Done(format!("type {name} dropped")))
            }
            Action::Insert(insert) => self.insert(&insert).await,
            Action::Push(plan) => {
                let start = push_start(session);
                let stop = self.stop.subscribe();
                push::start(&self.bus, &self.clock, &plan, start, stop).await.map(StatementResult::Push)
            }
            Action::Pull(plan) => {
                super::pull::may_scan(&plan, session)?;
                let started = self.pulls.start(&self.bus, &self.clock, &plan, self.stop.subscribe());
                started.await.map(StatementResult::Push)
            }
            Action::Nothing(message) => Ok(StatementResult::Done(message)),
            Action::Show(show) => self.show(show, session).await.map(StatementResult::Listing),
            Action::Describe { name, extended } => Ok(self.describe(&name, extended)),
            Action::DescribeAll { kind, extended } => {
                Ok(StatementResult::Listing(self.describe_all(kind, extended)))
            }
            Action::DescribeFunction(text) => Ok(StatementResult::Done(text)),
            Action::Drop { name, kind, delete_topic } => self.drop_relation(&name, kind, delete_topic).await,
            Action::Terminate(id) => self.end(id.as_ref()).await,
            Action::Pause(id) => self.pause(id.as_ref()).await,
            Action::Resume(id) => self.resume(id.as_ref()),
            Action::ExplainQuery(id) => self.explain(&id),
            Action::Explain(lines) => Ok(StatementResult::Listing(explanation(lines))),
            Action::Set { name, value } => {
                let message = match &value {
                    Some(value) => format!("{name} is {value}"),
                    None => format!("{name} is as by default"),
                };
                match value {
                    Some(value) => session.properties.insert(name, value),
                    None => session.properties.remove(&name),
                };
                Ok(StatementResult::Done(message))
            }
            Action::Define { name, value } => Ok(StatementResult::Done(define(session, &name, value))),
            Action::Print { topic, from_beginning, interval, limit } => {
                self.print(&topic, from_beginning, interval, limit).await.map(StatementResult::Print)
            }
            Action::Assert(assert) => self.assert(&assert).await,
            Action::CreateConnector { kind, name, if_not_exists, properties } => {
                self.create_connector(kind, &name, if_not_exists, properties).await
            }
            Action::DropConnector { name, if_exists } => self.drop_connector(&name, if_exists).await,
            Action::DescribeConnector(name) => {
                self.describe_connector(&name).await.map(StatementResult::Listing)
            }
        }
    }

    async fn declare(&self, relation: &Arc<Relation>) -> Result<StatementResult, SqlError> {
        self.with_writers(relation, false).await?;
        if let Some(partitions) = relation.partitions {
            ensure(&*self.bus, &topic_spec(relation, partitions)).await?;
        }
        self.catalog.write().insert((**relation).clone());
        Ok(StatementResult::Done(format!("{} {} created", relation.kind.word(), relation.name)))
    }

    async fn insert(&self, insert: &Insert) -> Result<StatementResult, SqlError> {
        let now = self.clock.now();
        let relation = &self.with_writers(&insert.relation, true).await?;
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
}

/// Defines or undefines a variable; names count in any letter case.
fn define(session: &mut Session, name: &str, value: Option<String>) -> String {
    session.variables.retain(|known, _| !known.eq_ignore_ascii_case(name));
    match value {
        Some(value) => {
            let message = format!("{name} is '{value}'");
            session.variables.insert(name.to_owned(), value);
            message
        }
        None => format!("{name} is not defined any more"),
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
    SinkEncoder::new(key, key_layout.as_ref(), value, &value_layout, (None, None), relation.kind)
}
