//! What statements gave, as ksqlDB's entities.

use super::types::{field_info, schema};
use super::{Front, connectors, ended};
use millstream_server::KsqlFailure;
use millstream_server::entity::{
    CommandStatus, ConnectorInfo, EntityKind, FieldInfo, FunctionInfo, KsqlEntity, Property,
    QueryDescription, RunningQuery, Signature, SourceDescription, SourceInfo, TopicInfo, Variable, Warning,
};
use millstream_sql::parse::ast::{Assertion, Statement, StatementKind};
use millstream_sql::parse::ast::{OnExisting, RelationKind, Show};
use millstream_sql::parse::{Variables, parse_with};
use millstream_sql::plan::PROPERTIES;
use millstream_sql::{
    Executed, Header, Listing, QueryState, QueryStatus, Relation, Session, StatementResult,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The entity of one statement; none for `INSERT INTO … VALUES`, `SET`, `DEFINE` and the like.
pub(super) async fn of(
    front: &Front,
    executed: Executed,
    session: &Session,
) -> Result<Option<KsqlEntity>, KsqlFailure> {
    let mut variables = Variables::default();
    for (name, value) in &session.variables {
        variables.define(name, value);
    }
    let (parsed, _) = parse_with(&executed.sql, &mut variables);
    let Some(statement) = parsed.into_iter().next() else { return Ok(None) };
    let warnings =
        executed.warnings.iter().map(|warning| Warning { message: warning.message.clone() }).collect();
    let statement_text = ended(&executed.sql);
    let kind = kind(front, &statement, &executed.result, &statement_text, session).await?;
    Ok(kind.map(|kind| KsqlEntity { kind, statement_text, warnings }))
}

async fn kind(
    front: &Front,
    statement: &Statement,
    result: &StatementResult,
    sql: &str,
    session: &Session,
) -> Result<Option<EntityKind>, KsqlFailure> {
    use StatementKind as S;
    Ok(Some(match &statement.kind {
        S::Declare(declare) => create(declare.kind, &declare.name.text, declare.on_existing, result),
        S::CreateAs(create_as) => create(create_as.kind, &create_as.name.text, create_as.on_existing, result),
        S::InsertSelect { target, .. } => command("stream", &target.text, "create", result),
        S::Drop { kind, name, .. } => command(kind.word(), &name.text, "drop", result),
        S::Alter { kind, name, .. } => command(kind.word(), &name.text, "alter", result),
        S::CreateType { name, .. } => command("type", &name.text, "create", result),
        S::DropType { name, .. } => command("type", &name.text, "drop", result),
        S::Show(show) => shown(front, *show, result, session).await?,
        S::Describe { name, extended } => match front.engine.catalog().find(&name.text) {
            Some(relation) => {
                EntityKind::Source { source_description: Box::new(source(front, relation, *extended).await) }
            }
            None => EntityKind::Warning { message: message(result) },
        },
        S::DescribeAll { kind, extended } => sources(front, *kind, *extended).await,
        S::DescribeFunction(name) => function(front, &name.text, result).await,
        S::Explain(_) | S::ExplainQuery(_) => {
            let id = if let S::ExplainQuery(id) = &statement.kind { &*id.text } else { "" };
            EntityKind::Query { query_description: Box::new(query(front, id, sql, result)) }
        }
        S::Terminate(id) => {
            let query_id = id.as_ref().map_or_else(|| "ALL".to_owned(), |id| id.text.clone());
            EntityKind::Terminated { query_id, was_terminated: true }
        }
        S::Pause(id) => EntityKind::Paused { query_id: id.as_ref().map_or("ALL", |id| &id.text).to_owned() },
        S::Resume(id) => {
            EntityKind::Resumed { query_id: id.as_ref().map_or("ALL", |id| &id.text).to_owned() }
        }
        S::Assert { exists, what, .. } => asserted(*exists, what),
        S::CreateConnector { .. } | S::DropConnector { .. } if was_nothing_to_do(result) => {
            EntityKind::Warning { message: message(result) }
        }
        S::CreateConnector { name, kind, options, .. } => {
            EntityKind::Connector { info: connectors::made(&name.text, *kind, options) }
        }
        S::DropConnector { name, .. } => EntityKind::ConnectorDropped { connector_name: name.text.clone() },
        S::DescribeConnector(name) => connectors::described(front, &name.text, result).await,
        S::Set { .. } | S::Define { .. } | S::Undefine(_) | S::InsertValues { .. } | S::RunScript(_) => {
            return Ok(None);
        }
        S::Select(_) | S::Print { .. } => return Ok(None),
    }))
}

fn message(result: &StatementResult) -> String {
    match result {
        StatementResult::Done(message) | StatementResult::Started { message, .. } => message.clone(),
        StatementResult::Listing(listing) => {
            listing.rows.iter().map(|row| row.join(" ")).collect::<Vec<_>>().join("\n")
        }
        StatementResult::Push(_) | StatementResult::Print(_) => String::new(),
    }
}

fn create(kind: RelationKind, name: &str, on_existing: OnExisting, result: &StatementResult) -> EntityKind {
    let kept = on_existing == OnExisting::Keep
        && matches!(result, StatementResult::Done(said) if said.contains("exists"));
    if kept {
        return EntityKind::Warning { message: message(result) };
    }
    command(kind.word(), name, "create", result)
}

/// A command as done: statements are answered when they are.
fn command(kind: &str, name: &str, action: &str, result: &StatementResult) -> EntityKind {
    let query_id = match result {
        StatementResult::Started { id, .. } => Some(id.to_string()),
        _ => None,
    };
    let message = match &query_id {
        Some(id) => format!("Created query with ID {id}"),
        None => message(result),
    };
    EntityKind::CurrentStatus {
        command_id: format!("{kind}/`{name}`/{action}"),
        command_status: CommandStatus { status: "SUCCESS".to_owned(), message, query_id },
        command_sequence_number: -1,
    }
}

fn asserted(exists: bool, what: &Assertion) -> EntityKind {
    match what {
        Assertion::Topic { name, .. } => EntityKind::AssertTopic { topic_name: name.text.clone(), exists },
        Assertion::Schema { subject, id } => EntityKind::AssertSchema {
            subject: subject.as_ref().map(|name| name.text.clone()),
            id: id.as_ref().map(|(id, _)| *id),
            exists,
        },
    }
}

/// The rows of a listing, by its columns' names.
pub(super) fn listed(result: &StatementResult) -> impl Iterator<Item = BTreeMap<&str, &str>> {
    let listing: Option<&Listing> =
        if let StatementResult::Listing(listing) = result { Some(listing) } else { None };
    listing.into_iter().flat_map(|listing| {
        listing.rows.iter().map(|row| {
            listing
                .columns
                .iter()
                .map(String::as_str)
                .zip(row.iter().map(String::as_str))
                .collect::<BTreeMap<_, _>>()
        })
    })
}

async fn shown(
    front: &Front,
    show: Show,
    result: &StatementResult,
    session: &Session,
) -> Result<EntityKind, KsqlFailure> {
    let get = |row: &BTreeMap<&str, &str>, name: &str| row.get(name).copied().unwrap_or_default().to_owned();
    Ok(match show {
        Show::Streams { extended: true } => sources(front, RelationKind::Stream, true).await,
        Show::Tables { extended: true } => sources(front, RelationKind::Table, true).await,
        Show::Streams { .. } => EntityKind::Streams { streams: source_infos(front, RelationKind::Stream) },
        Show::Tables { .. } => EntityKind::Tables { tables: source_infos(front, RelationKind::Table) },
        Show::Queries { extended: false } => {
            EntityKind::Queries { queries: front.engine.queries().iter().map(running).collect() }
        }
        Show::Queries { extended: true } => {
            let queries = front.engine.queries();
            let nothing = StatementResult::Done(String::new());
            let describe = |status: &QueryStatus| query(front, &status.id, &status.sql, &nothing);
            EntityKind::QueryDescriptions { query_descriptions: queries.iter().map(describe).collect() }
        }
        Show::Topics { extended, .. } => topics(front, result, extended).await?,
        Show::Functions => {
            let info = |row: BTreeMap<&str, &str>| FunctionInfo {
                name: get(&row, "Function Name"),
                kind: function_kind(row.get("Category").copied().unwrap_or_default()),
                category: get(&row, "Category"),
            };
            EntityKind::Functions { functions: listed(result).map(info).collect() }
        }
        Show::Types => {
            let catalog = front.engine.catalog();
            let types = catalog.types().map(|(name, sql_type)| (name.to_string(), schema(sql_type)));
            EntityKind::Types { types: types.collect() }
        }
        Show::Variables => {
            let variable =
                |(name, value): (&String, &String)| Variable { name: name.clone(), value: value.clone() };
            EntityKind::Variables { variables: session.variables.iter().map(variable).collect() }
        }
        Show::Properties => properties(session),
        Show::Connectors(_) => {
            let info = |row: BTreeMap<&str, &str>| ConnectorInfo {
                name: get(&row, "Connector Name"),
                kind: get(&row, "Type").to_lowercase(),
                class_name: get(&row, "Class"),
                state: get(&row, "Status"),
            };
            EntityKind::Connectors { connectors: listed(result).map(info).collect() }
        }
        Show::ConnectorPlugins => {
            let plugin = |row: BTreeMap<&str, &str>| {
                json!({
                    "className": get(&row, "Class"),
                    "type": get(&row, "Type").to_lowercase(),
                    "version": get(&row, "Version"),
                })
            };
            EntityKind::ConnectorPlugins { connectors_plugins: listed(result).map(plugin).collect() }
        }
    })
}

/// `IF [NOT] EXISTS` came true.
fn was_nothing_to_do(result: &StatementResult) -> bool {
    matches!(result, StatementResult::Done(said) if said.ends_with("exists already") || said.starts_with("there is no"))
}

fn properties(session: &Session) -> EntityKind {
    let property = |property: &millstream_sql::plan::Property| Property {
        name: property.name.to_owned(),
        scope: "KSQL".to_owned(),
        value: Some(
            session.properties.get(property.name).map_or(property.default, String::as_str).to_owned(),
        ),
        editable: true,
        level: "QUERY".to_owned(),
    };
    let properties: Vec<_> = PROPERTIES.iter().map(property).collect();
    let names = properties.iter().map(|property| property.name.clone());
    let (overwritten_properties, default_properties) =
        names.partition(|name| session.properties.contains_key(name));
    EntityKind::Properties { properties, overwritten_properties, default_properties }
}

fn function_kind(category: &str) -> String {
    match category {
        "AGGREGATE" => "AGGREGATE",
        "TABLE" => "TABLE",
        _ => "SCALAR",
    }
    .to_owned()
}

/// `NAME(INTEGER, VARCHAR, …) → BIGINT`, in parts. Three dots stand for more of the argument before them.
fn signature(line: &str) -> Signature {
    let (call, returns) = line.split_once(" → ").unwrap_or((line, ""));
    let listed = call.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or_default();
    let (mut types, mut depth) = (vec![String::new()], 0_usize);
    for sign in listed.chars() {
        match sign {
            '(' | '<' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            '>' if types.last().is_some_and(|of| !of.ends_with('=')) => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                types.push(String::new());
                continue;
            }
            _ => {}
        }
        types.last_mut().into_iter().for_each(|of| of.push(sign));
    }
    let types: Vec<&str> = types.iter().map(|of| of.trim()).filter(|of| !of.is_empty()).collect();
    let argument = |(at, of): (usize, &&str)| {
        let variadic = types.get(at + 1) == Some(&"…");
        json!({ "name": "", "type": of, "description": "", "isVariadic": variadic })
    };
    Signature {
        arguments: types.iter().enumerate().filter(|(_, of)| **of != "…").map(argument).collect(),
        return_type: returns.trim().to_owned(),
        description: line.to_owned(),
    }
}

async fn function(front: &Front, name: &str, result: &StatementResult) -> EntityKind {
    let all = front.engine.execute("SHOW FUNCTIONS;").await.ok().and_then(|mut results| results.pop());
    let is_it = |row: &BTreeMap<&str, &str>| {
        row.get("Function Name").is_some_and(|known| known.eq_ignore_ascii_case(name))
    };
    let category = all.as_ref().and_then(|all| listed(all).find(is_it)?.get("Category").copied());
    let text = message(result);
    let mut lines = text.lines();
    let description = lines.next().unwrap_or_default().to_owned();
    let (signatures, more): (Vec<&str>, Vec<&str>) = lines
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .partition(|line| line.split_once('(').is_some_and(|(called, _)| called.eq_ignore_ascii_case(name)));
    let description = [vec![&*description], more].concat().join(" ");
    EntityKind::Function {
        name: name.to_owned(),
        functions: signatures.into_iter().map(signature).collect(),
        description,
        author: "Millstream".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        path: "internal".to_owned(),
        r#type: function_kind(category.unwrap_or_default()),
    }
}

fn kind_word(kind: RelationKind) -> String {
    kind.word().to_uppercase()
}

fn source_infos(front: &Front, kind: RelationKind) -> Vec<SourceInfo> {
    let catalog = front.engine.catalog();
    let of_kind = catalog.relations().filter(|relation| relation.kind == kind);
    let info = |relation: &std::sync::Arc<Relation>| SourceInfo {
        kind: kind_word(relation.kind),
        name: relation.name.to_string(),
        topic: relation.topic.to_string(),
        key_format: relation.key.format.to_string(),
        value_format: relation.value.format.to_string(),
        is_windowed: relation.is_windowed(),
    };
    of_kind.map(info).collect()
}

async fn topics(front: &Front, result: &StatementResult, extended: bool) -> Result<EntityKind, KsqlFailure> {
    let known = front.bus.topics().await.map_err(|error| KsqlFailure::server(error.to_string()))?;
    let names: Vec<&str> = listed(result).filter_map(|row| row.get("Kafka Topic").copied()).collect();
    let count = |topic: &str, column: &str| {
        let row = listed(result).find(|row| row.get("Kafka Topic") == Some(&topic));
        let count = row.and_then(|row| row.get(column)?.parse().ok());
        extended.then_some(count.unwrap_or(0))
    };
    let info = |topic: &millstream_bus::TopicDescription| TopicInfo {
        name: topic.name.clone(),
        replica_info: vec![1; usize::try_from(topic.partitions).unwrap_or(0)],
        consumer_count: count(&topic.name, "Consumers"),
        consumer_group_count: count(&topic.name, "Consumer Groups"),
    };
    let topics = known.iter().filter(|topic| names.contains(&&*topic.name)).map(info).collect();
    Ok(if extended { EntityKind::TopicsExtended { topics } } else { EntityKind::Topics { topics } })
}

fn running(status: &QueryStatus) -> RunningQuery {
    let state = state(status);
    RunningQuery {
        query_string: status.sql.clone(),
        sinks: vec![status.sink.clone()],
        sink_kafka_topics: vec![status.sink_topic.clone()],
        id: status.id.clone(),
        status_count: BTreeMap::from([(state.clone(), 1)]),
        query_type: "PERSISTENT".to_owned(),
        state,
    }
}

fn state(status: &QueryStatus) -> String {
    match &status.state {
        QueryState::Running => "RUNNING",
        QueryState::Error(_) => "ERROR",
        QueryState::Paused => "PAUSED",
    }
    .to_owned()
}

/// A query by its id, or the statement that is explained.
fn query(front: &Front, id: &str, sql: &str, result: &StatementResult) -> QueryDescription {
    let status = front.engine.queries().into_iter().find(|status| status.id == id);
    let catalog = front.engine.catalog();
    let sink = status.as_ref().and_then(|status| catalog.find(&status.sink).cloned());
    let steps: Vec<String> = listed(result)
        .map(|row| {
            row.get("Step").into_iter().chain(row.get("Detail")).copied().collect::<Vec<_>>().join(": ")
        })
        .collect();
    QueryDescription {
        id: id.to_owned(),
        statement_text: status.as_ref().map_or_else(|| sql.to_owned(), |status| status.sql.clone()),
        window_type: sink.as_ref().and_then(|relation| window_type(relation)),
        fields: sink.as_ref().map(|relation| fields(relation)).unwrap_or_default(),
        sources: status.as_ref().map(|status| source_names(&catalog, status)).unwrap_or_default(),
        sinks: status.as_ref().map(|status| vec![status.sink.clone()]).unwrap_or_default(),
        topology: steps.join("\n"),
        execution_plan: steps.join("\n"),
        overridden_properties: Map::new(),
        ksql_host_query_status: status.iter().map(|status| (front.plant.clone(), state(status))).collect(),
        query_type: if status.is_some() { "PERSISTENT" } else { "PUSH" }.to_owned(),
        query_errors: status
            .iter()
            .filter_map(|status| match &status.state {
                QueryState::Error(cause) => Some(json!({ "errorMessage": cause, "type": "UNKNOWN" })),
                _ => None,
            })
            .collect(),
        state: status.as_ref().map(state),
    }
}

/// The streams and tables that a query reads: those over its topics that its statement names.
fn source_names(catalog: &millstream_sql::Catalog, status: &QueryStatus) -> Vec<String> {
    let words: Vec<String> = status
        .sql
        .split(|sign: char| !(sign.is_alphanumeric() || sign == '_'))
        .map(str::to_uppercase)
        .collect();
    let named = |topic: &String| {
        let over = catalog.relations().filter(|relation| *relation.topic == **topic);
        let mut over: Vec<String> = over
            .filter(|relation| *relation.name != *status.sink)
            .filter(|relation| words.contains(&relation.name.to_uppercase()))
            .map(|relation| relation.name.to_string())
            .collect();
        if over.is_empty() {
            over.push(topic.clone());
        }
        over
    };
    status.sources.iter().flat_map(named).collect()
}

fn window_type(relation: &Relation) -> Option<String> {
    if relation.session {
        return Some("SESSION".to_owned());
    }
    let hops = relation.sql.to_uppercase().contains("HOPPING");
    relation.window_ms.map(|_| if hops { "HOPPING" } else { "TUMBLING" }.to_owned())
}

fn fields(relation: &Relation) -> Vec<FieldInfo> {
    let field = |column: &millstream_sql::ColumnSpec| FieldInfo {
        kind: match (&column.header, column.key) {
            (Some(_), _) => Some("HEADER".to_owned()),
            (None, true) => Some("KEY".to_owned()),
            (None, false) => None,
        },
        header_key: match &column.header {
            Some(Header::Named(name)) => Some(name.to_string()),
            _ => None,
        },
        ..field_info(&column.name, column.sql_type)
    };
    relation.columns.iter().map(field).collect()
}

async fn sources(front: &Front, kind: RelationKind, extended: bool) -> EntityKind {
    let catalog = front.engine.catalog();
    let mut source_descriptions = Vec::new();
    for relation in catalog.relations().filter(|relation| relation.kind == kind) {
        source_descriptions.push(source(front, relation, extended).await);
    }
    EntityKind::Sources { source_descriptions }
}

pub(super) async fn source(front: &Front, relation: &Relation, extended: bool) -> SourceDescription {
    let queries = front.engine.queries();
    let reads = |status: &&QueryStatus| {
        status.sources.iter().any(|source| **source == *relation.topic || **source == *relation.name)
    };
    let fills = |status: &&QueryStatus| *status.sink == *relation.name;
    let topic = if extended { front.bus.describe_topic(&relation.topic).await.ok() } else { None };
    let count = |count: fn(&QueryStatus) -> u64| queries.iter().filter(fills).map(count).sum::<u64>();
    let (statistics, error_stats) = if extended {
        (
            format!("records in: {}, records out: {}", count(|q| q.records_in), count(|q| q.records_out)),
            format!("records that could not be used: {}", count(|q| q.errors)),
        )
    } else {
        (String::new(), String::new())
    };
    SourceDescription {
        name: relation.name.to_string(),
        window_type: window_type(relation),
        read_queries: queries.iter().filter(reads).map(running).collect(),
        write_queries: queries.iter().filter(fills).map(running).collect(),
        fields: fields(relation),
        kind: kind_word(relation.kind),
        timestamp: relation.timestamp.as_deref().unwrap_or_default().to_owned(),
        statistics,
        error_stats,
        extended,
        key_format: relation.key.format.to_string(),
        value_format: relation.value.format.to_string(),
        topic: relation.topic.to_string(),
        partitions: topic.as_ref().map_or(0, |topic| topic.partitions),
        replication: topic.as_ref().map_or(0, |_| relation.replicas.unwrap_or(1)),
        statement: relation.sql.clone(),
        query_offset_summaries: Vec::<Value>::new(),
        source_constraints: Vec::new(),
    }
}
