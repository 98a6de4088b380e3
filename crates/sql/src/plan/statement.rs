//! Statements into actions.

use super::Action;
use super::options::{Place, With};
use super::query::{Mistakes, Purpose, no_relation, plan as plan_query};
use super::query_plan::{OutputColumn, PersistentQuery, PlanNode, QueryPlan, Sink, Step};
use super::scope::is_reserved;
use crate::function::{aggregate, keyed, table, names, scalar};
use crate::parse::ast::{
    ColumnDeclaration, CreateAs, Declare, KeyWord, Name, OnExisting, Query, StatementKind, TypeName, WithOption,
};
use crate::{Catalog, ColumnSpec, Format, FormatSpec, Origin, Relation, RelationKind, SqlType};
use millstream_bus::murmur2;
use millstream_model::{Diagnostic, nearest};
use std::sync::Arc;

/// Plans one statement, and adds what it declares to `catalog`; `None` where there are mistakes.
pub(super) fn plan(
    catalog: &mut Catalog,
    kind: &StatementKind,
    sql: &str,
    mistakes: &mut Mistakes,
) -> Option<Action> {
    match kind {
        StatementKind::Declare(declare) => plan_declare(catalog, declare, sql, mistakes),
        StatementKind::CreateAs(create) => plan_create_as(catalog, create, sql, mistakes),
        StatementKind::InsertSelect { target, options, query } => {
            plan_insert(catalog, target, options, query, sql, mistakes)
        }
        StatementKind::InsertValues { target, columns, values } => {
            let Some(relation) = catalog.find(&target.text) else {
                return refuse(mistakes, no_relation(catalog, target));
            };
            let insert = super::insert_values::plan(relation, target, columns, values, mistakes)?;
            Some(Action::Insert(Arc::new(insert)))
        }
        StatementKind::Select(query) => {
            plan_query(catalog, query, Purpose::Push, None, mistakes).map(|plan| Action::Push(Arc::new(plan)))
        }
        StatementKind::Show(show) => Some(Action::Show(*show)),
        StatementKind::Describe { name, .. } => match catalog.find(&name.text) {
            Some(relation) => Some(Action::Describe(relation.name.clone())),
            None => refuse(mistakes, no_relation(catalog, name)),
        },
        StatementKind::DescribeFunction(name) => describe_function(name, mistakes),
        StatementKind::Drop { kind, if_exists, name, delete_topic } => {
            let Some(relation) = catalog.find(&name.text).cloned() else {
                if *if_exists {
                    return Some(Action::Nothing(format!("there is no {} `{}`", kind.word(), name.text)));
                }
                return refuse(mistakes, no_relation(catalog, name));
            };
            if relation.kind != *kind {
                return refuse(mistakes, other_kind(&relation, name));
            }
            catalog.remove(&name.text);
            Some(Action::Drop { name: relation.name.clone(), kind: *kind, delete_topic: *delete_topic })
        }
        StatementKind::Terminate(id) => Some(Action::Terminate(id.clone())),
        StatementKind::ExplainQuery(id) => Some(Action::ExplainQuery(id.clone())),
        StatementKind::Explain(inner) => {
            let action = plan(&mut catalog.clone(), &inner.kind, sql, mistakes)?;
            Some(Action::Explain(super::explain::of_action(&action)))
        }
        StatementKind::Set { name, value, place } => set(name, value.as_deref(), place, mistakes),
        _ => refuse(
            mistakes,
            Diagnostic::error("sql-unsupported", "this statement is not supported yet").label("not supported yet").at(0..sql.len()),
        ),
    }
}

fn refuse<T>(mistakes: &mut Mistakes, mistake: Diagnostic) -> Option<T> {
    mistakes.push(mistake);
    None
}

fn other_kind(relation: &Relation, name: &Name) -> Diagnostic {
    Diagnostic::error("sql-kind", format!("`{}` is a {}", relation.name, relation.kind.word()))
        .label(format!("a {}", relation.kind.word()))
        .help(format!("write DROP {} {}", relation.kind.word().to_uppercase(), relation.name))
        .at(name.place.clone())
}

fn set(
    name: &str,
    value: Option<&str>,
    place: &std::ops::Range<usize>,
    mistakes: &mut Mistakes,
) -> Option<Action> {
    let short = name.strip_prefix("ksql.streams.").unwrap_or(name);
    if short == "auto.offset.reset" && !value.is_none_or(|value| matches!(value, "earliest" | "latest")) {
        let mistake =
            Diagnostic::error("sql-property", format!("'{}' is no value for it", value.unwrap_or_default()))
                .label("expected 'earliest' or 'latest'")
                .help("SET 'auto.offset.reset' = 'earliest';")
                .at(place.clone());
        return refuse(mistakes, mistake);
    }
    if short != "auto.offset.reset" {
        mistakes.push(
            Diagnostic::warning("sql-property", format!("the property '{name}' has no effect"))
                .label("known is 'auto.offset.reset'")
                .at(place.clone()),
        );
    }
    Some(Action::Set { name: short.to_owned(), value: value.map(str::to_owned) })
}

fn describe_function(name: &Name, mistakes: &mut Mistakes) -> Option<Action> {
    let upper = name.text.to_uppercase();
    let text = if let Some(function) = scalar(&upper) {
        format!("{}\n{}", function.doc, function.usages().join("\n"))
    } else if let Some(function) = aggregate::find(&upper) {
        format!("{}\n{}", function.doc, function.usage)
    } else if let Some(function) = table::find(&upper) {
        format!("{}\n{}", function.doc, function.usage)
    } else if let Some(function) = keyed::find(&upper) {
        format!("{}\n{}", function.doc, function.usage)
    } else {
        let mistake = Diagnostic::error("sql-function", format!("there is no function {upper}"))
            .label("unknown function")
            .at(name.place.clone());
        return refuse(
            mistakes,
            match nearest(&upper, names()) {
                Some(near) => mistake.help(format!("did you mean {near}?")),
                None => mistake.help("SHOW FUNCTIONS lists what there is"),
            },
        );
    };
    Some(Action::DescribeFunction(text))
}

/// Whether a relation may be made under this name; `Err` is the action or nothing.
fn may_create(
    catalog: &Catalog,
    name: &Name,
    on_existing: OnExisting,
    mistakes: &mut Mistakes,
) -> Result<(), Option<Action>> {
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

fn plan_declare(
    catalog: &mut Catalog,
    declare: &Declare,
    sql: &str,
    mistakes: &mut Mistakes,
) -> Option<Action> {
    let before = mistakes.len();
    let with = With::check(&declare.options, Place::Declare, mistakes);
    if let Err(action) = may_create(catalog, &declare.name, declare.on_existing, mistakes) {
        return action;
    }
    let name = &declare.name;
    check_columns(declare, mistakes);
    let topic = with.topic.clone().unwrap_or_else(|| "".into());
    let keys = declare.columns.iter().filter(|column| column.key.is_key()).count();
    let key_format = with.key_format.unwrap_or(if keys == 0 { Format::None } else { Format::Kafka });
    let timestamp = timestamp(&with, &declare.columns, mistakes);
    let relation = Relation {
        name: name.text.as_str().into(),
        kind: declare.kind,
        topic,
        key: FormatSpec::key(if keys == 0 { Format::None } else { key_format }),
        value: FormatSpec::value(with.value_format.unwrap_or_default()),
        columns: declared_columns(&declare.columns),
        source: declare.source,
        window_ms: with.window_ms,
        session: false,
        timestamp,
        timestamp_format: None,
        partitions: with.partitions,
        replicas: with.replicas,
        retention_ms: with.retention_ms,
        origin: Origin::Declared,
        sql: sql.to_owned(),
    };
    check_key_format(&relation, &name.place, mistakes);
    if mistakes.len() > before {
        return None;
    }
    catalog.insert(relation);
    catalog.find(&name.text).cloned().map(Action::Declare)
}

/// A relation over a topic must say its topic, its columns and, for tables, its key.
fn check_columns(declare: &Declare, mistakes: &mut Mistakes) {
    let mut error = |message: String, label: &str, help: &str, place: &std::ops::Range<usize>| {
        mistakes.push(Diagnostic::error("sql-declare", message).label(label).help(help).at(place.clone()));
    };
    let name = &declare.name;
    if !declare.options.iter().any(|option| option.name.text == "KAFKA_TOPIC") {
        error(
            format!("`{}` has no topic", name.text),
            "KAFKA_TOPIC is missing",
            "WITH (KAFKA_TOPIC='…', VALUE_FORMAT='JSON')",
            &name.place,
        );
    }
    if declare.columns.is_empty() {
        error(
            format!("`{}` has no columns", name.text),
            "no columns are given",
            "write (NAME TYPE, …) after the name",
            &name.place,
        );
    }
    let wanted = if declare.kind == RelationKind::Stream { KeyWord::Key } else { KeyWord::PrimaryKey };
    for (index, column) in declare.columns.iter().enumerate() {
        if declare.columns[..index].iter().any(|other| other.name.text == column.name.text) {
            error(
                format!("there are two columns `{}`", column.name.text),
                "the second one",
                "leave one out",
                &column.name.place,
            );
        }
        if is_reserved(&column.name.text) {
            error(
                format!("a column cannot be called {}", column.name.text),
                "every row has one of this name",
                "give it another name",
                &column.name.place,
            );
        }
        if column.key != KeyWord::Value && column.key != wanted {
            let (kind, word) =
                (declare.kind.word(), if wanted == KeyWord::Key { "KEY" } else { "PRIMARY KEY" });
            error(
                format!("the key of a {kind} is written {word}"),
                &format!("expected {word}"),
                &format!("{} {} {word}", column.name.text, column.sql_type),
                &column.name.place,
            );
        }
    }
    let keys = declare.columns.iter().filter(|column| column.key.is_key()).count();
    if declare.kind == RelationKind::Table && keys == 0 {
        error(
            format!("table `{}` has no key", name.text),
            "a table needs a PRIMARY KEY",
            "write PRIMARY KEY behind a column",
            &name.place,
        );
    }
}

fn declared_columns(columns: &[ColumnDeclaration]) -> Vec<ColumnSpec> {
    let spec = |column: &ColumnDeclaration| {
        let sql_type = column.sql_type.resolve().unwrap_or(SqlType::Varchar);
        ColumnSpec::new(column.name.text.as_str().into(), sql_type, column.key.is_key())
    };
    let keys = columns.iter().filter(|column| column.key.is_key());
    keys.chain(columns.iter().filter(|column| !column.key.is_key())).map(spec).collect()
}

fn timestamp(with: &With, columns: &[ColumnDeclaration], mistakes: &mut Mistakes) -> Option<Arc<str>> {
    let (text, place) = with.timestamp.as_ref()?;
    let name = text.trim_matches('`');
    let name = if name.len() == text.len() { name.to_uppercase() } else { name.to_owned() };
    let found = columns.iter().find(|column| column.name.text == name && !column.key.is_key());
    if found.is_some_and(|column| column.sql_type.resolve() == Ok(SqlType::BigInt)) {
        return Some(name.into());
    }
    let mistake = Diagnostic::error("sql-timestamp", format!("`{name}` cannot be the rows' time"))
        .label("expected a BIGINT column of the value that holds milliseconds since 1970")
        .at(place.clone());
    let near =
        nearest(&name, columns.iter().map(|column| column.name.text.as_str()).filter(|near| *near != name));
    refuse(
        mistakes,
        match near {
            Some(near) if found.is_none() => mistake.help(format!("did you mean {near}?")),
            _ => mistake.help("leave TIMESTAMP out to use the record's own time"),
        },
    )
}

/// `KAFKA` keys hold one column, and no truth value.
fn check_key_format(relation: &Relation, place: &std::ops::Range<usize>, mistakes: &mut Mistakes) {
    let keys = relation.key_columns();
    let trouble = match relation.key.format {
        Format::Kafka if keys.len() > 1 => "the key format KAFKA holds one column only",
        Format::Kafka if keys.iter().any(|(_, t)| *t == SqlType::Boolean) => {
            "the key format KAFKA holds no BOOLEAN"
        }
        Format::None if !keys.is_empty() => "the key format NONE holds no column",
        _ => return,
    };
    let names: Vec<_> = keys.iter().map(|(name, _)| &**name).collect();
    mistakes.push(
        Diagnostic::error("sql-key-format", trouble)
            .label(format!("the key is {}", names.join(", ")))
            .help("WITH (KEY_FORMAT='JSON')")
            .at(place.clone()),
    );
}

fn plan_create_as(
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
    let column = |output: &OutputColumn| {
        ColumnSpec::new(output.name.clone(), output.sql_type, output.key.is_some())
    };
    let (key, value) = slots(&plan);
    let columns = key.iter().chain(&value).map(|slot| column(&plan.output[*slot])).collect();
    let mut relation = Relation {
        name: create.name.text.as_str().into(),
        kind: create.kind,
        topic: with.topic.clone().unwrap_or_else(|| create.name.text.as_str().into()),
        key: FormatSpec::key(plan.key_format),
        value: FormatSpec::value(with.value_format.unwrap_or_default()),
        columns,
        source: false,
        window_ms: plan.window_ms,
        session: false,
        timestamp: None,
        timestamp_format: None,
        partitions: with.partitions,
        replicas: with.replicas,
        retention_ms: with.retention_ms,
        origin: Origin::Query(id.clone()),
        sql: sql.to_owned(),
    };
    if with.timestamp.is_some() {
        let declared: Vec<_> = create_columns(&relation);
        relation.timestamp = timestamp(&with, &declared, mistakes);
    }
    check_key_format(&relation, &create.name.place, mistakes);
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
    if mistakes[before..].iter().any(|m| m.severity == millstream_model::Severity::Error) {
        return None;
    }
    catalog.insert(relation.clone());
    let timestamp = relation
        .timestamp
        .as_ref()
        .and_then(|name| plan.output.iter().position(|output| output.name == *name));
    let sink = Sink { relation: Arc::new(relation), key, value, window_start: plan.window_start, timestamp };
    let query = PersistentQuery { id, sql: sql.to_owned(), plan: Arc::new(plan), sink: Arc::new(sink) };
    Some(Action::Start(Arc::new(query)))
}

fn create_columns(relation: &Relation) -> Vec<ColumnDeclaration> {
    let declaration = |column: &ColumnSpec| ColumnDeclaration {
        name: Name { text: column.name.to_string(), place: 0..0 },
        sql_type: TypeName::simple(column.sql_type, 0..0),
        key: if column.key { KeyWord::Key } else { KeyWord::Value },
    };
    relation.columns.iter().map(declaration).collect()
}

/// The output's columns that are the key, in the key's order, and those that are the value.
fn slots(plan: &QueryPlan) -> (Vec<usize>, Vec<usize>) {
    let mut key: Vec<_> =
        plan.output.iter().enumerate().filter_map(|(slot, column)| Some((column.key?, slot))).collect();
    key.sort_unstable();
    let value =
        plan.output.iter().enumerate().filter(|(_, column)| column.key.is_none()).map(|(slot, _)| slot);
    (key.into_iter().map(|(_, slot)| slot).collect(), value.collect())
}

fn plan_insert(
    catalog: &mut Catalog,
    target: &Name,
    options: &[WithOption],
    query: &Query,
    sql: &str,
    mistakes: &mut Mistakes,
) -> Option<Action> {
    let with = With::check(options, Place::Insert, mistakes);
    let Some(relation) = catalog.find(&target.text).cloned() else {
        return refuse(mistakes, no_relation(catalog, target));
    };
    let mut plan = plan_query(catalog, query, Purpose::Fill, Some(relation.key.format), mistakes)?;
    let wrong = |message: String, help: String| {
        Diagnostic::error("sql-insert", message).label("does not fit").help(help).at(target.place.clone())
    };
    if relation.kind != RelationKind::Stream || plan.kind != RelationKind::Stream {
        let message = "INSERT INTO goes from streams into streams".to_owned();
        return refuse(mistakes, wrong(message, "use CREATE TABLE … AS SELECT".to_owned()));
    }
    if plan.reads(&relation.topic) {
        let message = format!("the query would read its own result from topic `{}`", relation.topic);
        return refuse(mistakes, wrong(message, "insert into a stream over another topic".to_owned()));
    }
    let (mut key, mut value) = (Vec::new(), Vec::new());
    for column in &relation.columns {
        let slot = plan.output.iter().position(|output| output.name == column.name);
        let output = slot.map(|slot| &plan.output[slot]);
        let fits = output.is_some_and(|o| {
            o.key.is_some() == column.key && crate::function::widens(Some(o.sql_type), column.sql_type)
        });
        let Some(slot) = slot.filter(|_| fits) else {
            let kind = if column.key { " KEY" } else { "" };
            let message =
                format!("`{}` needs a column `{}` of {}{kind}", target.text, column.name, column.sql_type);
            let selected: Vec<_> = plan
                .output
                .iter()
                .map(|o| format!("{} {}{}", o.name, o.sql_type, if o.key.is_some() { " KEY" } else { "" }))
                .collect();
            return refuse(mistakes, wrong(message, format!("selected are {}", selected.join(", "))));
        };
        widen(&mut plan, slot, column.sql_type);
        if column.key { key.push(slot) } else { value.push(slot) }
    }
    if plan.output.len() != relation.columns.len() {
        let known: Vec<_> = relation.columns.iter().map(|column| &*column.name).collect();
        let message =
            format!("`{}` has {} columns, {} are selected", target.text, known.len(), plan.output.len());
        return refuse(mistakes, wrong(message, format!("its columns are {}", known.join(", "))));
    }
    let id = with
        .query_id
        .unwrap_or_else(|| format!("INSERTQUERY_{}_{:08X}", target.text, fingerprint(sql)).into());
    let sink = Sink { relation, key, value, window_start: None, timestamp: None };
    let query = PersistentQuery { id, sql: sql.to_owned(), plan: Arc::new(plan), sink: Arc::new(sink) };
    Some(Action::Start(Arc::new(query)))
}

/// Makes the output column of a stream query the wider type of its target.
fn widen(plan: &mut QueryPlan, slot: usize, to: SqlType) {
    if let Some(PlanNode::Step { step: Step::Project(nodes), .. }) = plan.nodes.last_mut()
        && let Some(node) = nodes.get_mut(slot)
    {
        *node = node.clone().cast_to(to);
    }
}

/// A number that stays the same for the same statement, however it is laid out.
fn fingerprint(sql: &str) -> u32 {
    // A hash that no library changes: ids must be the same after an upgrade.
    murmur2(sql.split_whitespace().collect::<Vec<_>>().join(" ").as_bytes())
}
