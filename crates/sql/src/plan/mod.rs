//! Statements into typed plans: names resolved, types settled, every mistake found.

mod bind;
mod bind_call;
mod bind_function;
mod bind_nested;
mod bind_operator;
mod bind_explode;
mod bind_group;
mod explain;
mod explain_join;
pub(crate) mod group;
mod insert_values;
mod join;
mod options;
mod query;
pub(crate) mod query_plan;
mod scope;
mod statement;
#[cfg(test)]
mod tests;

use crate::parse::Place;
use crate::parse::ast::{Name, Show};
use crate::{Catalog, Relation, RelationKind};
pub(crate) use explain::of_plan as explain_plan;
use millstream_model::{Diagnostic, Severity};
use query_plan::{Insert, PersistentQuery, QueryPlan};
use std::sync::Arc;

/// A statement that was checked.
#[derive(Debug, Clone)]
pub struct PlannedStatement {
    /// Its text.
    pub sql: String,
    /// Where it stands in the source, in bytes.
    pub place: Place,
    /// The id of the persistent query that it starts, such as `CSAS_ALARMS`. It stays the same when the process starts
    /// again, so that the query finds its offsets and state.
    pub query_id: Option<Arc<str>>,
    /// The topics that it reads.
    pub sources: Vec<Arc<str>>,
    /// The topic that it writes.
    pub sink_topic: Option<Arc<str>>,
    /// What works, but probably not as meant.
    pub warnings: Vec<Diagnostic>,
    pub(crate) action: Action,
}

/// What a checked statement does.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// Declares a relation over a topic.
    Declare(Arc<Relation>),
    /// Starts a query, and declares its sink.
    Start(Arc<PersistentQuery>),
    /// Appends one row.
    Insert(Arc<Insert>),
    /// Gives the rows of a query.
    Push(Arc<QueryPlan>),
    /// Nothing is to be done; a sentence that says why.
    Nothing(String),
    Show(Show),
    Describe(Arc<str>),
    DescribeFunction(String),
    Drop {
        name: Arc<str>,
        kind: RelationKind,
        delete_topic: bool,
    },
    /// `None` for all.
    Terminate(Option<Name>),
    ExplainQuery(Name),
    Explain(Vec<(String, String)>),
    Set {
        name: String,
        value: Option<String>,
    },
}

/// Checks `source` against `catalog` without running anything, and adds to `catalog` what the statements declare, so
/// that later files see it. Places of mistakes are in `file`. With a mistake in any statement, `catalog` still gets the
/// right ones, so that one mistake does not cause others.
pub fn check(
    catalog: &mut Catalog,
    source: &str,
    file: &Arc<str>,
) -> Result<Vec<PlannedStatement>, Vec<Diagnostic>> {
    let (planned, mistakes) = plan_all(catalog, source);
    let place = |mistake: Diagnostic| mistake.within(file, 0..source.len());
    if mistakes.iter().any(|mistake| mistake.severity == Severity::Error) {
        return Err(mistakes.into_iter().map(place).collect());
    }
    let placed = planned.into_iter().map(|mut statement| {
        statement.warnings = statement.warnings.into_iter().map(place).collect();
        statement
    });
    Ok(placed.collect())
}

/// Parses and plans every statement of `source`; mistakes and warnings stand in the order of their places.
pub(crate) fn plan_all(catalog: &mut Catalog, source: &str) -> (Vec<PlannedStatement>, Vec<Diagnostic>) {
    let (statements, mut mistakes) = crate::parse::parse(source);
    let mut planned = Vec::new();
    for statement in &statements {
        let mut found = Vec::new();
        let sql = source.get(statement.place.clone()).unwrap_or_default();
        if let Some(action) = statement::plan(catalog, &statement.kind, sql, &mut found) {
            let warnings = found.iter().filter(|m| m.severity == Severity::Warning).cloned().collect();
            planned.push(PlannedStatement::new(action, sql, statement.place.clone(), warnings));
        }
        mistakes.extend(found);
    }
    mistakes.sort_by_key(|mistake| mistake.span.as_ref().map_or(0, |span| span.range.start));
    (planned, mistakes)
}

impl PlannedStatement {
    fn new(action: Action, sql: &str, place: Place, warnings: Vec<Diagnostic>) -> Self {
        let (mut query_id, mut sources, mut sink_topic) = (None, Vec::new(), None);
        match &action {
            Action::Start(query) => {
                query_id = Some(query.id.clone());
                sources = query.plan.topics();
                sink_topic = Some(query.sink.relation.topic.clone());
            }
            Action::Push(plan) => sources = plan.topics(),
            Action::Insert(insert) => sink_topic = Some(insert.relation.topic.clone()),
            _ => {}
        }
        Self { sql: sql.to_owned(), place, query_id, sources, sink_topic, warnings, action }
    }
}
