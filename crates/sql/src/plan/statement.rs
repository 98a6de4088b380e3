//! Statements into actions.

use super::options::is_topic_name;
use super::query::{Mistakes, Purpose, no_relation, plan as plan_query};
use super::{Action, create, insert_select, property, pull, replace, types};
use crate::Catalog;
use crate::function::{aggregate, keyed, names, scalar, table};
use crate::parse::ast::{Assertion, Name, StatementKind, TypeName, WithOption};
use millstream_model::{Diagnostic, nearest};
use std::sync::Arc;

/// Plans one statement, and adds what it declares to `catalog`; `None` where there are mistakes.
pub(super) fn plan(
    catalog: &mut Catalog,
    kind: &StatementKind,
    sql: &str,
    mistakes: &mut Mistakes,
) -> Option<Action> {
    let before = mistakes.len();
    let mut kind = kind.clone();
    types::resolve(catalog, &mut kind, mistakes);
    if mistakes.len() > before {
        return None;
    }
    match &kind {
        StatementKind::Declare(declare) => create::declare(catalog, declare, sql, mistakes),
        StatementKind::CreateAs(create) => create::create_as(catalog, create, sql, mistakes),
        StatementKind::InsertSelect { target, options, query } => {
            insert_select::insert_select(catalog, target, options, query, sql, mistakes)
        }
        StatementKind::InsertValues { target, columns, values } => {
            let Some(relation) = catalog.find(&target.text) else {
                return refuse(mistakes, no_relation(catalog, target));
            };
            let insert = super::insert_values::plan(relation, target, columns, values, mistakes)?;
            Some(Action::Insert(Arc::new(insert)))
        }
        StatementKind::Select(query) if query.emit.is_none() => pull::plan(catalog, query, mistakes),
        StatementKind::Select(query) => {
            plan_query(catalog, query, Purpose::Push, None, mistakes).map(|plan| Action::Push(Arc::new(plan)))
        }
        StatementKind::Drop { kind, if_exists, name, delete_topic } => {
            drop_relation(catalog, *kind, *if_exists, name, *delete_topic, mistakes)
        }
        StatementKind::Alter { kind, name, columns } => {
            replace::alter(catalog, *kind, name, columns, mistakes)
        }
        StatementKind::Terminate(id) => Some(Action::Terminate(id.clone())),
        StatementKind::Pause(id) => Some(Action::Pause(id.clone())),
        StatementKind::Resume(id) => Some(Action::Resume(id.clone())),
        StatementKind::ExplainQuery(id) => Some(Action::ExplainQuery(id.clone())),
        StatementKind::Explain(inner) => {
            let action = plan(&mut catalog.clone(), &inner.kind, sql, mistakes)?;
            Some(Action::Explain(super::explain::of_action(&action)))
        }
        StatementKind::Set { name, value, place } => {
            catalog.formats.set(name, value.as_deref());
            property::set(name, value.as_deref(), place, mistakes)
        }
        StatementKind::CreateType { name, if_not_exists, sql_type } => {
            create_type(catalog, name, *if_not_exists, sql_type, mistakes)
        }
        StatementKind::DropType { name, if_exists } => drop_type(catalog, name, *if_exists, mistakes),
        StatementKind::Define { name, value } => {
            Some(Action::Define { name: name.text.clone(), value: Some(value.clone()) })
        }
        StatementKind::Undefine(name) => Some(Action::Define { name: name.text.clone(), value: None }),
        StatementKind::CreateConnector { kind, name, if_not_exists, options } => {
            create_connector(*kind, name, *if_not_exists, options, mistakes)
        }
        StatementKind::DropConnector { name, if_exists } => {
            Some(Action::DropConnector { name: name.clone(), if_exists: *if_exists })
        }
        asking => plan_asking(catalog, asking, mistakes),
    }
}

/// Plans a statement that changes nothing.
fn plan_asking(catalog: &Catalog, kind: &StatementKind, mistakes: &mut Mistakes) -> Option<Action> {
    match kind {
        StatementKind::Show(show) => Some(Action::Show(*show)),
        StatementKind::Describe { name, extended } => match catalog.find(&name.text) {
            Some(relation) => Some(Action::Describe { name: relation.name.clone(), extended: *extended }),
            None => refuse(mistakes, no_relation(catalog, name)),
        },
        StatementKind::DescribeAll { kind, extended } => {
            Some(Action::DescribeAll { kind: *kind, extended: *extended })
        }
        StatementKind::DescribeFunction(name) => describe_function(name, mistakes),
        StatementKind::Print { topic, from_beginning, interval, limit } => {
            if interval.as_ref().is_some_and(|(every, _)| *every == 0) {
                let mistake = Diagnostic::error("sql-print", "every 0th record is none")
                    .label("expected 1 or more")
                    .at(interval.as_ref().map_or(0..0, |(_, place)| place.clone()));
                return refuse(mistakes, mistake);
            }
            Some(Action::Print {
                topic: topic.clone(),
                from_beginning: *from_beginning,
                interval: interval.as_ref().map_or(1, |(every, _)| *every),
                limit: limit.as_ref().map(|(rows, _)| *rows),
            })
        }
        StatementKind::Assert { exists, what, timeout_ms } => {
            assert(*exists, what, *timeout_ms, mistakes).map(Action::Assert)
        }
        StatementKind::RunScript(file) => {
            let mistake =
                Diagnostic::error("sql-script", format!("the file `{}` cannot be read here", file.text))
                    .label("a script is read by the console")
                    .help("send the file's text, or run it with `millstream sql FILE`")
                    .at(file.place.clone());
            refuse(mistakes, mistake)
        }
        StatementKind::DescribeConnector(name) => Some(Action::DescribeConnector(name.clone())),
        // Every other statement changes something, and was planned before.
        _ => refuse(
            mistakes,
            Diagnostic::error("sql-unsupported", "this statement cannot stand here").at(0..0),
        ),
    }
}

pub(super) fn refuse<T>(mistakes: &mut Mistakes, mistake: Diagnostic) -> Option<T> {
    mistakes.push(mistake);
    None
}

fn drop_relation(
    catalog: &mut Catalog,
    kind: crate::RelationKind,
    if_exists: bool,
    name: &Name,
    delete_topic: bool,
    mistakes: &mut Mistakes,
) -> Option<Action> {
    let Some(relation) = catalog.find(&name.text).cloned() else {
        if if_exists {
            return Some(Action::Nothing(format!("there is no {} `{}`", kind.word(), name.text)));
        }
        return refuse(mistakes, no_relation(catalog, name));
    };
    let word = relation.kind.word();
    if relation.kind != kind {
        let mistake = Diagnostic::error("sql-kind", format!("`{}` is a {word}", relation.name))
            .label(format!("a {word}"))
            .help(format!("write DROP {} {}", word.to_uppercase(), relation.name))
            .at(name.place.clone());
        return refuse(mistakes, mistake);
    }
    if delete_topic && relation.source {
        let mistake =
            Diagnostic::error("sql-source", format!("`{}` is a SOURCE: its topic stays", relation.name))
                .label("read-only")
                .help("leave DELETE TOPIC out")
                .at(name.place.clone());
        return refuse(mistakes, mistake);
    }
    catalog.remove(&name.text);
    Some(Action::Drop { name: name.clone(), kind, delete_topic })
}

fn create_type(
    catalog: &mut Catalog,
    name: &Name,
    if_not_exists: bool,
    sql_type: &TypeName,
    mistakes: &mut Mistakes,
) -> Option<Action> {
    let known = catalog.find_type(&name.text);
    if let Some(known) = known {
        if if_not_exists {
            return Some(Action::Nothing(format!("the type `{}` exists already", name.text)));
        }
        let mistake =
            Diagnostic::error("sql-type", format!("there is a type `{}` already: {known}", name.text))
                .label("defined before")
                .help("DROP TYPE it, or write IF NOT EXISTS")
                .at(name.place.clone());
        return refuse(mistakes, mistake);
    }
    if crate::SqlType::from_name(&name.text).is_some() {
        let mistake = Diagnostic::error("sql-type", format!("`{}` is one of SQL's own types", name.text))
            .label("cannot be defined")
            .help("give it another name")
            .at(name.place.clone());
        return refuse(mistakes, mistake);
    }
    let sql_type = match sql_type.resolve() {
        Ok(sql_type) => sql_type,
        Err(mistake) => return refuse(mistakes, *mistake),
    };
    catalog.insert_type(&name.text, sql_type);
    Some(Action::CreateType { name: name.text.as_str().into(), sql_type })
}

fn drop_type(catalog: &mut Catalog, name: &Name, if_exists: bool, mistakes: &mut Mistakes) -> Option<Action> {
    if catalog.remove_type(&name.text) {
        return Some(Action::DropType(name.text.as_str().into()));
    }
    if if_exists {
        return Some(Action::Nothing(format!("there is no type `{}`", name.text)));
    }
    let mistake = Diagnostic::error("sql-type", format!("there is no type `{}`", name.text))
        .label("unknown type")
        .at(name.place.clone());
    let near = nearest(&name.text, catalog.types().map(|(known, _)| &**known));
    let mistake = match near {
        Some(near) => mistake.help(format!("did you mean {near}?")),
        None => mistake.help("SHOW TYPES lists what there is"),
    };
    refuse(mistakes, mistake)
}

fn describe_function(name: &Name, mistakes: &mut Mistakes) -> Option<Action> {
    let upper = name.text.to_uppercase();
    let text = if let Some(function) = scalar(&upper) {
        function.description()
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

fn assert(exists: bool, what: &Assertion, timeout_ms: i64, mistakes: &mut Mistakes) -> Option<super::Assert> {
    let mut assert = super::Assert {
        exists,
        timeout_ms,
        topic: None,
        partitions: None,
        replicas: None,
        subject: None,
        id: None,
    };
    match what {
        Assertion::Schema { subject, id } => {
            assert.subject = subject.as_ref().map(|subject| subject.text.clone());
            assert.id = id.as_ref().and_then(|(id, _)| i32::try_from(*id).ok());
        }
        Assertion::Topic { name, options } => {
            if !is_topic_name(&name.text) {
                let mistake =
                    Diagnostic::error("sql-topic", format!("no topic can be called `{}`", name.text))
                        .label("expected letters, digits, `.`, `_` and `-`")
                        .at(name.place.clone());
                return refuse(mistakes, mistake);
            }
            assert.topic = Some(name.text.clone());
            for option in options {
                let number = option.value.parse::<i32>().ok().filter(|number| *number >= 1);
                match (option.name.text.as_str(), number) {
                    ("PARTITIONS", Some(number)) => assert.partitions = Some(number),
                    ("REPLICAS", Some(number)) => assert.replicas = Some(number),
                    _ => {
                        let mistake = Diagnostic::error(
                            "sql-option",
                            format!("{}={} cannot be asserted", option.name.text, option.value),
                        )
                        .label("expected PARTITIONS or REPLICAS and a whole number")
                        .help("ASSERT TOPIC t WITH (PARTITIONS=3)")
                        .at(option.name.place.clone());
                        return refuse(mistakes, mistake);
                    }
                }
            }
        }
    }
    Some(assert)
}

fn create_connector(
    kind: crate::parse::ast::ConnectorKind,
    name: &Name,
    if_not_exists: bool,
    options: &[WithOption],
    mistakes: &mut Mistakes,
) -> Option<Action> {
    if !options.iter().any(|option| option.name.text.eq_ignore_ascii_case("connector.class")) {
        let mistake = Diagnostic::error("sql-connector", format!("connector `{}` has no class", name.text))
            .label("'connector.class' is missing")
            .help("SHOW CONNECTOR PLUGINS lists the classes; WITH ('connector.class'='…')")
            .at(name.place.clone());
        return refuse(mistakes, mistake);
    }
    let properties = options.iter().map(|option| (option.name.text.clone(), option.value.clone())).collect();
    Some(Action::CreateConnector { kind, name: name.clone(), if_not_exists, properties })
}
