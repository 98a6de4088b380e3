//! `CREATE STREAM|TABLE`, with columns or `AS SELECT`.

use super::Action;
use super::options::{Place, With};
use super::query::{Mistakes, Purpose, plan as plan_query};
use super::query_plan::{OutputColumn, PersistentQuery, QueryPlan, Sink};
use super::statement::refuse;
use super::{columns, replace};
use crate::parse::ast::{CreateAs, Declare, KeyWord, Name, OnExisting, StatementKind};
use crate::{Catalog, ColumnSpec, Format, FormatSpec, Origin, Relation, RelationKind};
use millstream_format::registry::SchemaRef;
use millstream_model::{Diagnostic, Severity};
use std::sync::Arc;

/// Whether a relation may be made under this name; `Err` is the action or nothing.
fn may_create(
    catalog: &Catalog,
    name: &Name,
    on_existing: OnExisting,
    mistakes: &mut Mistakes,
) -> Result<(), Option<Action>> {
    let odd = |c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '@' | '.' | ' '));
    if name.text.contains(odd) {
        let mistake = Diagnostic::error("sql-name", format!("nothing can be called `{}`", name.text))
            .label("not a name")
            .help("use letters, digits, `_` and `-`")
            .at(name.place.clone());
        return Err(refuse(mistakes, mistake));
    }
    let Some(known) = catalog.find(&name.text) else { return Ok(()) };
    match on_existing {
        OnExisting::Replace => Ok(()),
        OnExisting::Keep => Err(Some(Action::Nothing(format!("`{}` exists already", known.name)))),
        OnExisting::Refuse => {
            let help = match known.origin {
                Origin::ScanGroup => {
                    "it is the stream of a scan group: choose another name, or another topic for the group"
                }
                _ => "write CREATE OR REPLACE to change it, or choose another name",
            };
            let mistake = Diagnostic::error(
                "sql-exists",
                format!("there is a {} `{}` already", known.kind.word(), known.name),
            )
            .label("defined before")
            .help(help)
            .at(name.place.clone());
            Err(refuse(mistakes, mistake))
        }
    }
}

/// The keys or values of records that name their schema are looked up where the catalog keeps schemas.
fn with_schemas(catalog: &Catalog, mut spec: FormatSpec) -> FormatSpec {
    if spec.format.needs_registry() {
        spec.schema = Some(SchemaRef::reader(catalog.schemas().clone()));
    }
    spec
}

/// Non-windowed tables keep their rows for ever.
fn check_retention(relation: &Relation, with: &With, mistakes: &mut Mistakes) {
    if let Some((_, place)) = &with.retention_ms
        && relation.kind == RelationKind::Table
        && !relation.is_windowed()
    {
        mistakes.push(
            Diagnostic::error("sql-option", "RETENTION_MS is for streams and for tables of windows")
                .label("a table keeps the newest row of every key")
                .help("leave RETENTION_MS out")
                .at(place.clone()),
        );
    }
}

pub(super) fn declare(
    catalog: &mut Catalog,
    declare: &Declare,
    sql: &str,
    mistakes: &mut Mistakes,
) -> Option<Action> {
    let before = mistakes.len();
    let with = With::of(declare, catalog.formats, mistakes);
    if let Err(action) = may_create(catalog, &declare.name, declare.on_existing, mistakes) {
        return action;
    }
    let name = &declare.name;
    columns::check(declare, mistakes);
    let keyless = !declare.columns.iter().any(|column| column.key.is_key());
    let key_format = with.key_format.unwrap_or(if keyless { Format::None } else { Format::Kafka });
    let key = with_schemas(catalog, with.key_spec(key_format));
    let value = with_schemas(catalog, with.value_spec(with.value_format.unwrap_or_default()));
    let columns = columns::columns(catalog, declare, &with, &key, &value, mistakes);
    let timestamp = columns::timestamp(&with, &columns, mistakes);
    let has_key = columns.iter().any(|column| column.key);
    let relation = Relation {
        name: name.text.as_str().into(),
        kind: declare.kind,
        topic: with.topic.clone().unwrap_or_else(|| "".into()),
        key: if has_key { key } else { FormatSpec::key(Format::None) },
        value,
        columns,
        source: declare.source,
        window_ms: with.window_ms(),
        session: with.is_session(),
        timestamp,
        timestamp_format: with.timestamp_format.as_ref().map(|(format, _)| format.clone()),
        partitions: with.partitions,
        replicas: with.replicas,
        retention_ms: with.retention_ms.as_ref().map(|(ms, _)| *ms),
        origin: Origin::Declared,
        sql: sql.to_owned(),
    };
    columns::check_formats(&relation, &with, &name.place, mistakes);
    check_retention(&relation, &with, mistakes);
    if let Some(old) = catalog.find(&name.text) {
        replace::check(old, &relation, name, mistakes);
    }
    if mistakes.len() > before {
        return None;
    }
    catalog.insert(relation);
    catalog.find(&name.text).cloned().map(Action::Declare)
}

pub(super) fn create_as(
    catalog: &mut Catalog,
    create: &CreateAs,
    sql: &str,
    mistakes: &mut Mistakes,
) -> Option<Action> {
    let before = mistakes.len();
    let with = With::check(&create.options, Place::CreateAs, mistakes);
    if let Err(action) = may_create(catalog, &create.name, create.on_existing, mistakes) {
        return action;
    }
    let plan = plan_query(catalog, &create.query, Purpose::Fill, with.key_format, mistakes)?;
    if plan.kind != create.kind {
        let (made, word) = (plan.kind.word(), plan.kind.word().to_uppercase());
        let mistake = Diagnostic::error("sql-kind", format!("this query makes a {made}"))
            .label(format!("expected CREATE {word}"))
            .help(format!("write CREATE {word} {} AS SELECT …", create.name.text));
        return refuse(mistakes, mistake.at(create.name.place.clone()));
    }
    let prefix = if create.kind == RelationKind::Stream { "CSAS" } else { "CTAS" };
    let id: Arc<str> = format!("{prefix}_{}", create.name.text).into();
    let (key, value) = slots(&plan);
    let relation = sink_relation(catalog, create, &with, &plan, &id, sql, mistakes);
    columns::check_formats(&relation, &with, &create.name.place, mistakes);
    check_retention(&relation, &with, mistakes);
    if let Some(old) = catalog.find(&create.name.text) {
        replace::check(old, &relation, &create.name, mistakes);
    }
    if plan.reads(&relation.topic) {
        mistakes.push(
            Diagnostic::error(
                "sql-loop",
                format!("the query would read its own result from topic `{}`", relation.topic),
            )
            .label("the result's topic is the source's")
            .help("give it another topic with WITH (KAFKA_TOPIC='…')")
            .at(create.name.place.clone()),
        );
    }
    if mistakes[before..].iter().any(|m| m.severity == Severity::Error) {
        return None;
    }
    catalog.insert(relation.clone());
    let timestamp = relation
        .timestamp
        .as_ref()
        .and_then(|name| plan.output.iter().position(|output| output.name == *name));
    let sink = Sink {
        relation: Arc::new(relation),
        key,
        value,
        window_start: plan.window_start,
        window_end: plan.window_end,
        timestamp,
    };
    let query = PersistentQuery { id, sql: sql.to_owned(), plan: Arc::new(plan), sink: Arc::new(sink) };
    let replaces = create.on_existing == OnExisting::Replace;
    Some(Action::Start { query: Arc::new(query), replaces, place: create.name.place.clone() })
}

/// What a query fills.
fn sink_relation(
    catalog: &Catalog,
    create: &CreateAs,
    with: &With,
    plan: &QueryPlan,
    id: &Arc<str>,
    sql: &str,
    mistakes: &mut Mistakes,
) -> Relation {
    let column =
        |output: &OutputColumn| ColumnSpec::new(output.name.clone(), output.sql_type, output.key.is_some());
    let (key, value) = slots(plan);
    let columns: Vec<_> = key.iter().chain(&value).map(|slot| column(&plan.output[*slot])).collect();
    let source = plan.scans().next().map(|scan| &scan.value.spec);
    let format = with.value_format.or(source.map(|spec| spec.format)).unwrap_or_default();
    let mut value = with.value_spec(format);
    if let Some(source) = source.filter(|spec| spec.format == format && with.value_delimiter.is_none()) {
        value.delimiter = source.delimiter;
    }
    let timestamp = columns::timestamp(with, &columns, mistakes);
    Relation {
        name: create.name.text.as_str().into(),
        kind: create.kind,
        topic: with.topic.clone().unwrap_or_else(|| create.name.text.as_str().into()),
        key: with_schemas(catalog, with.key_spec(plan.key_format)),
        value: with_schemas(catalog, value),
        columns,
        source: false,
        window_ms: plan.window_ms,
        session: plan.window_end.is_some(),
        timestamp,
        timestamp_format: with.timestamp_format.as_ref().map(|(format, _)| format.clone()),
        partitions: with.partitions,
        replicas: with.replicas,
        retention_ms: with.retention_ms.as_ref().map(|(ms, _)| *ms),
        origin: Origin::Query(id.clone()),
        sql: sql.to_owned(),
    }
}

/// The output's columns that are the key, in the key's order, and those that are the value.
pub(super) fn slots(plan: &QueryPlan) -> (Vec<usize>, Vec<usize>) {
    let mut key: Vec<_> =
        plan.output.iter().enumerate().filter_map(|(slot, column)| Some((column.key?, slot))).collect();
    key.sort_unstable();
    let value =
        plan.output.iter().enumerate().filter(|(_, column)| column.key.is_none()).map(|(slot, _)| slot);
    (key.into_iter().map(|(_, slot)| slot).collect(), value.collect())
}

/// A schema whose columns a statement does not say itself.
#[derive(Debug, Clone)]
pub(crate) struct WantedSchema {
    pub(crate) topic: Arc<str>,
    pub(crate) is_key: bool,
    pub(crate) spec: FormatSpec,
}

/// The schemas that the declarations of `source` leave their columns to.
pub(crate) fn wanted_schemas(source: &str, variables: &crate::parse::Variables) -> Vec<WantedSchema> {
    let (statements, _) = crate::parse::parse_with(source, &mut variables.clone());
    let (mut wanted, mut formats) = (Vec::new(), variables.formats);
    for statement in statements {
        if let StatementKind::Set { name, value, .. } = &statement.kind {
            formats.set(name, value.as_deref());
        }
        let StatementKind::Declare(declare) = &statement.kind else { continue };
        let with = With::of(declare, formats, &mut Vec::new());
        let Some(topic) = with.topic.clone() else { continue };
        let declares = |is_key: bool| {
            let of_value = |key: &KeyWord| *key == KeyWord::Value;
            let is = |key: &KeyWord| if is_key { key.is_key() } else { of_value(key) };
            declare.columns.iter().any(|column| is(&column.key))
        };
        if let Some(format) = with.key_format.filter(|format| format.needs_registry() && !declares(true)) {
            wanted.push(WantedSchema { topic: topic.clone(), is_key: true, spec: with.key_spec(format) });
        }
        let format = with.value_format.unwrap_or_default();
        if format.needs_registry() && !declares(false) {
            wanted.push(WantedSchema { topic, is_key: false, spec: with.value_spec(format) });
        }
    }
    wanted
}
