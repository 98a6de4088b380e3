//! Statements into typed plans: names resolved, types settled, every mistake found.

mod bind;
mod bind_call;
mod bind_explode;
mod bind_function;
mod bind_group;
mod bind_nested;
mod bind_operator;
mod columns;
mod create;
mod explain;
mod explain_join;
pub(crate) mod group;
mod insert_select;
mod insert_values;
mod join;
mod options;
mod property;
pub(crate) mod pull;
mod query;
pub(crate) mod query_plan;
mod replace;
mod scope;
mod statement;
#[cfg(test)]
mod tests;
mod types;

use crate::limits::MESSAGE_CHARS_MAX;
use crate::parse::Place;
use crate::parse::Variables;
use crate::parse::ast::{ConnectorKind, Name, Show};
use crate::session::DefaultFormats;
use crate::{Catalog, Relation, RelationKind, SqlType};
pub(crate) use create::{WantedSchema, wanted_schemas};
pub(crate) use explain::{growth as explain_growth, of_plan as explain_plan};
use millstream_model::{Diagnostic, Severity};
pub use property::{PROPERTIES, Property};
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
    Start {
        query: Arc<PersistentQuery>,
        /// `OR REPLACE`: one of this id that runs must be able to hand over its state.
        replaces: bool,
        place: Place,
    },
    /// Puts a relation in the place of the one of its name: columns were added.
    Alter(Arc<Relation>),
    CreateType {
        name: Arc<str>,
        sql_type: SqlType,
    },
    DropType(Arc<str>),
    /// Appends one row.
    Insert(Arc<Insert>),
    /// Gives the rows of a query.
    Push(Arc<QueryPlan>),
    /// Gives the rows as they are now.
    Pull(Arc<pull::PullPlan>),
    /// Nothing is to be done; a sentence that says why.
    Nothing(String),
    Show(Show),
    Describe {
        name: Arc<str>,
        extended: bool,
    },
    DescribeAll {
        kind: RelationKind,
        extended: bool,
    },
    DescribeFunction(String),
    Drop {
        name: Name,
        kind: RelationKind,
        delete_topic: bool,
    },
    /// `None` for all.
    Terminate(Option<Name>),
    /// `None` for all.
    Pause(Option<Name>),
    /// `None` for all.
    Resume(Option<Name>),
    ExplainQuery(Name),
    Explain(Vec<(String, String)>),
    Set {
        name: String,
        value: Option<String>,
    },
    /// `None` undefines it.
    Define {
        name: String,
        value: Option<String>,
    },
    /// Gives the records of a topic, every `interval`-th.
    Print {
        topic: Name,
        from_beginning: bool,
        interval: u64,
        limit: Option<u64>,
    },
    Assert(Assert),
    CreateConnector {
        kind: ConnectorKind,
        name: Name,
        if_not_exists: bool,
        properties: Vec<(String, String)>,
    },
    DropConnector {
        name: Name,
        if_exists: bool,
    },
    DescribeConnector(Name),
}

/// What `ASSERT` waits for: a topic, or a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assert {
    /// Whether it must be there, or must not.
    pub(crate) exists: bool,
    pub(crate) timeout_ms: i64,
    pub(crate) topic: Option<String>,
    pub(crate) partitions: Option<i32>,
    pub(crate) replicas: Option<i32>,
    pub(crate) subject: Option<String>,
    pub(crate) id: Option<i32>,
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
    plan_with(catalog, &mut Variables::default(), source)
}

/// [`plan_all`] with the variables of a session.
pub(crate) fn plan_with(
    catalog: &mut Catalog,
    variables: &mut Variables,
    source: &str,
) -> (Vec<PlannedStatement>, Vec<Diagnostic>) {
    let (statements, mut mistakes) = crate::parse::parse_with(source, variables);
    let mut planned = Vec::new();
    catalog.formats = variables.formats;
    for statement in &statements {
        let mut found = Vec::new();
        let written = source.get(statement.place.clone()).unwrap_or_default();
        let sql = statement.text.as_deref().unwrap_or(written);
        if let Some(action) = statement::plan(catalog, &statement.kind, sql, &mut found) {
            let warnings = found.iter().filter(|m| m.severity == Severity::Warning).cloned().collect();
            planned.push(PlannedStatement::new(action, sql, statement.place.clone(), warnings));
        }
        mistakes.extend(found);
    }
    catalog.formats = DefaultFormats::default();
    mistakes.sort_by_key(|mistake| mistake.span.as_ref().map_or(0, |span| span.range.start));
    mistakes.iter_mut().for_each(shorten);
    (planned, mistakes)
}

/// Cuts what a mistake says where it repeats too much of the statement: its place says where it stands.
fn shorten(mistake: &mut Diagnostic) {
    for text in [&mut mistake.message, &mut mistake.label].into_iter().chain(&mut mistake.help) {
        if let Some((at, _)) = text.char_indices().nth(MESSAGE_CHARS_MAX) {
            text.truncate(at);
            text.push('…');
        }
    }
}

impl PlannedStatement {
    fn new(action: Action, sql: &str, place: Place, warnings: Vec<Diagnostic>) -> Self {
        let (mut query_id, mut sources, mut sink_topic) = (None, Vec::new(), None);
        match &action {
            Action::Start { query, .. } => {
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
