//! Persistent queries from start to end: started, replaced, paused, resumed, terminated, dropped with what they fill.

use super::forget::forget;
use super::running::Running;
use super::{Engine, supervise};
use crate::operator::Graph;
use crate::parse::Place;
use crate::parse::ast::Name;
use crate::plan::query_plan::{PersistentQuery, Sink};
use crate::plan::{Action, PlannedStatement, explain_growth};
use crate::{Origin, QueryState, RelationKind, SqlError, StatementResult};
use millstream_model::{Diagnostic, nearest};
use std::sync::Arc;

impl Engine {
    /// Starts a query. One of the same id and statement over the same source goes on; another one of the id is ended first,
    /// and hands its offsets and state over. With `replaces`, a change that would begin its state anew is refused.
    pub(super) async fn start(
        &self,
        query: Arc<PersistentQuery>,
        replaces: Option<&Place>,
        paused: bool,
    ) -> Result<StatementResult, SqlError> {
        let query = self.with_schemas(query).await?;
        let id = query.id.clone();
        let relation = &query.sink.relation;
        let known = self.queries.read().get(&id).cloned();
        if let Some(known) = &known
            && same(&known.query, &query)
        {
            self.catalog.write().insert((**relation).clone());
            return Ok(StatementResult::Started { message: format!("query {id} is running already"), id });
        }
        // One that was terminated has left its offsets and state, too.
        let before = known.as_ref().map(|known| known.query.clone());
        let before = before.or_else(|| self.ended.read().get(&id).cloned());
        if let (Some(place), Some(before)) = (replaces, before)
            && state_of(&before) != state_of(&query)
        {
            return Err(SqlError::Mistakes(vec![does_not_fit(&query, place)]));
        }
        if known.is_some() {
            self.terminate(&id).await;
        }
        self.ended.write().remove(&id);
        self.catalog.write().insert((**relation).clone());
        let mut message = format!("query {id} fills {} {}", relation.kind.word(), relation.name);
        if let Some(growth) = explain_growth(&query.plan) {
            message = format!("{message}; it remembers {growth}");
        }
        let running = Running::new(query);
        if paused {
            running.set_paused();
        } else {
            supervise::start(&self.bus, &self.clock, &self.feeds, &self.slots, &running);
        }
        self.queries.write().insert(id.clone(), running);
        Ok(StatementResult::Started { id, message })
    }

    /// The query with the schemas that its result is written by.
    async fn with_schemas(&self, query: Arc<PersistentQuery>) -> Result<Arc<PersistentQuery>, SqlError> {
        let relation = &query.sink.relation;
        if !relation.key.format.needs_registry() && !relation.value.format.needs_registry() {
            return Ok(query);
        }
        let relation = self.with_writers(relation, true).await?;
        let sink = Sink { relation: Arc::new(relation), ..(*query.sink).clone() };
        Ok(Arc::new(PersistentQuery { sink: Arc::new(sink), ..(*query).clone() }))
    }

    /// Ends the queries that `planned` does not start, or starts differently.
    pub(super) async fn end_others(&self, planned: impl Iterator<Item = &PlannedStatement>) {
        let wanted: Vec<_> = planned
            .filter_map(|statement| match &statement.action {
                Action::Start { query, .. } => Some(query),
                _ => None,
            })
            .collect();
        let stays = |running: &Running| wanted.iter().any(|query| query.id == running.query.id);
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

    /// The ids that a statement means: that of `id`, or all.
    fn meant(&self, id: Option<&Name>) -> Result<Vec<Arc<str>>, SqlError> {
        let queries = self.queries.read();
        let Some(id) = id else { return Ok(queries.keys().cloned().collect()) };
        match queries.get_key_value(id.text.as_str()) {
            Some((known, _)) => Ok(vec![known.clone()]),
            None => Err(no_query(id, queries.keys().map(|id| &**id))),
        }
    }

    pub(super) async fn end(&self, id: Option<&Name>) -> Result<StatementResult, SqlError> {
        let ids = self.meant(id)?;
        for id in &ids {
            self.end_one(id).await;
        }
        Ok(StatementResult::Done(said(id, &ids, "ended")))
    }

    /// Ends a query, and remembers what it was for another start or for its end with what it fills.
    async fn end_one(&self, id: &Arc<str>) {
        let query = self.queries.read().get(id).map(|running| running.query.clone());
        self.terminate(id).await;
        if let Some(query) = query.filter(|query| query.sink.relation.origin == Origin::Query(id.clone())) {
            self.ended.write().insert(id.clone(), query);
        }
    }

    /// Ends the tasks of queries, and keeps the queries.
    pub(super) async fn pause(&self, id: Option<&Name>) -> Result<StatementResult, SqlError> {
        let ids = self.meant(id)?;
        for id in &ids {
            let running = self.queries.read().get(id).cloned();
            if let Some(running) = running.filter(|running| running.status().state != QueryState::Paused) {
                running.stop().await;
                running.set_paused();
            }
        }
        Ok(StatementResult::Done(said(id, &ids, "paused")))
    }

    /// Starts the tasks of paused queries where they were.
    pub(super) fn resume(&self, id: Option<&Name>) -> Result<StatementResult, SqlError> {
        let ids = self.meant(id)?;
        for id in &ids {
            let running = self.queries.read().get(id).cloned();
            if let Some(paused) = running.filter(|running| running.status().state == QueryState::Paused) {
                let running = Running::again(&paused);
                supervise::start(&self.bus, &self.clock, &self.feeds, &self.slots, &running);
                self.queries.write().insert(id.clone(), running);
            }
        }
        Ok(StatementResult::Done(said(id, &ids, "resumed")))
    }

    /// Drops a relation that no other query needs, and ends the query that made it.
    pub(super) async fn drop_relation(
        &self,
        name: &Name,
        kind: RelationKind,
        delete_topic: bool,
    ) -> Result<StatementResult, SqlError> {
        let Some(relation) = self.catalog.read().find(&name.text).cloned() else {
            return Ok(StatementResult::Done(format!("`{}` is gone", name.text)));
        };
        let (mut makes, mut reads, mut writes) = (Vec::new(), Vec::new(), Vec::new());
        for running in self.queries.read().values() {
            let query = &running.query;
            let fills = query.sink.relation.name == relation.name;
            if fills && relation.origin == Origin::Query(query.id.clone()) {
                makes.push(query.id.clone());
            } else if fills {
                writes.push(query.id.to_string());
            } else if query.plan.reads(&relation.topic) {
                reads.push(query.id.to_string());
            }
        }
        if !reads.is_empty() || !writes.is_empty() {
            let mut users = Vec::new();
            for (ids, word) in [(&reads, "read by"), (&writes, "written by")] {
                if !ids.is_empty() {
                    users.push(format!("{word} {}", ids.join(", ")));
                }
            }
            let all = [reads, writes].concat().join("; TERMINATE ");
            let message = format!("`{}` is in use: {}", name.text, users.join(", "));
            let mistake = Diagnostic::error("sql-in-use", message)
                .label("in use")
                .help(format!("TERMINATE {all};"))
                .at(name.place.clone());
            return Err(SqlError::Mistakes(vec![mistake]));
        }
        for id in makes {
            self.end_one(&id).await;
        }
        if let Origin::Query(id) = &relation.origin {
            let ended = self.ended.write().remove(id);
            if let Some(query) = ended {
                forget(&*self.bus, &query).await?;
            }
        }
        self.catalog.write().remove(&name.text);
        if delete_topic {
            let deleted = self.bus.delete_topic(&relation.topic).await;
            self.pulls.forget(&relation.topic);
            match deleted {
                Ok(()) | Err(millstream_bus::BusError::UnknownTopic(_)) => {}
                Err(error) => {
                    return Err(SqlError::bus(format!("deleting topic `{}`", relation.topic))(error));
                }
            }
        }
        Ok(StatementResult::Done(format!("{} {} dropped", kind.word(), name.text)))
    }
}

/// `OR REPLACE` of a query whose state would begin anew.
fn does_not_fit(query: &PersistentQuery, place: &Place) -> Diagnostic {
    let relation = &query.sink.relation;
    Diagnostic::error("sql-replace", format!("query {} cannot be replaced in place", query.id))
        .label("what it remembers would not fit the new statement")
        .help(format!(
            "DROP {} {}; and create it anew: filters and columns without aggregates may change",
            relation.kind.word().to_uppercase(),
            relation.name
        ))
        .at(place.clone())
}

/// What became of which queries, in words.
fn said(id: Option<&Name>, ids: &[Arc<str>], what: &str) -> String {
    match id {
        Some(id) => format!("query {} {what}", id.text),
        None => format!("{} queries {what}", ids.len()),
    }
}

/// What a query remembers, so that two statements can be compared: the name and shape of every piece of state.
fn state_of(query: &PersistentQuery) -> Vec<(String, String)> {
    let mut graph = Graph::whole(&query.plan);
    let mut shapes: Vec<_> =
        graph.stateful().map(|(name, operator)| (name, operator.fingerprint())).collect();
    if !shapes.is_empty() {
        // What was remembered of one source says nothing of another.
        shapes.extend(query.plan.topics().iter().map(|topic| (topic.to_string(), String::new())));
    }
    shapes
}

/// Whether a running query can go on for a statement: nothing that it does would change.
fn same(a: &PersistentQuery, b: &PersistentQuery) -> bool {
    a.sql == b.sql && format!("{:?}", (&a.plan, &a.sink)) == format!("{:?}", (&b.plan, &b.sink))
}

pub(super) fn no_query<'a>(id: &Name, known: impl Iterator<Item = &'a str>) -> SqlError {
    let mistake = Diagnostic::error("sql-query", format!("there is no query `{}`", id.text))
        .label("not running")
        .at(id.place.clone());
    SqlError::Mistakes(vec![match nearest(&id.text, known) {
        Some(near) => mistake.help(format!("did you mean {near}?")),
        None => mistake.help("SHOW QUERIES lists what runs"),
    }])
}
