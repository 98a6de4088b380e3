//! Loops that feed themselves: a query that reads its own output, a device that is written what was just read from it.

use crate::device::Built;
use crate::plant::Query;
use crate::section::Mistakes;
use crate::source::span;
use millstream_model::{Diagnostic, Span};
use millstream_sql::Catalog;
use millstream_sql::parse::ast::{Query as Select, StatementKind};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Reports loops. A loop through a device that writes another tag than it reads is a control loop, and meant.
pub(crate) fn check(queries: &[Query], catalog: &Catalog, devices: &[Built], out: &mut Mistakes) {
    check_echo(devices, out);
    let edges = edges(queries, catalog);
    for edge in &edges {
        if reaches(&edges, &edge.to, &edge.from) {
            let loops =
                Diagnostic::warning("cycle", format!("the topic `{}` feeds itself through queries", edge.to))
                    .label(format!("this reads `{}`, which its own output comes back to", edge.from))
                    .help("write the result to a topic that no earlier query reads");
            out.push(Diagnostic { span: Some(edge.span.clone()), ..loops });
        }
    }
}

/// A device whose readings are its commands.
fn check_echo(devices: &[Built], out: &mut Mistakes) {
    for device in devices {
        let Some((topic, tags)) = &device.writes else { continue };
        let groups = device.groups.iter().filter(|group| *group.topic == *topic.as_str());
        for group in groups {
            let Some(tag) =
                group.tags.iter().find(|tag| tags.iter().any(|written| **written == *tag.name.as_str()))
            else {
                continue;
            };
            let message = format!("what is read from `{}` is written back to it", tag.name.as_str());
            let echo = topic
                .warning("cycle", message)
                .label(format!("`{}` is also where its scan group writes to", group.topic))
                .help("use a topic of its own for commands")
                .also(group.span.clone(), "the scan group");
            out.push(echo);
        }
    }
}

/// A query: what it reads, what it fills.
#[derive(Debug)]
struct Edge {
    from: Arc<str>,
    to: Arc<str>,
    span: Span,
}

fn edges(queries: &[Query], catalog: &Catalog) -> Vec<Edge> {
    let mut edges = Vec::new();
    let topic = |name: &str| catalog.find(name).map(|relation| relation.topic.clone());
    for query in queries {
        for statement in millstream_sql::parse::parse(&query.text).0 {
            let (sink, select) = match &statement.kind {
                StatementKind::CreateAs(create) => (&create.name, &create.query),
                StatementKind::InsertSelect { target, query, .. } => (target, query),
                _ => continue,
            };
            let Some(to) = topic(&sink.text) else { continue };
            for from in sources(select).into_iter().filter_map(|name| topic(&name)) {
                edges.push(Edge { from, to: to.clone(), span: span(&query.file, statement.place.clone()) });
            }
        }
    }
    edges
}

/// The relations that a query reads.
fn sources(select: &Select) -> Vec<String> {
    let joined = select.joins.iter().map(|join| &join.source);
    std::iter::once(&select.from).chain(joined).map(|source| source.name.text.clone()).collect()
}

/// Whether records of `start` come to `goal`.
fn reaches(edges: &[Edge], start: &Arc<str>, goal: &Arc<str>) -> bool {
    let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for edge in edges {
        next.entry(&edge.from).or_default().push(&edge.to);
    }
    let mut seen = BTreeSet::new();
    let mut open = vec![&**start];
    while let Some(topic) = open.pop() {
        if topic == &**goal {
            return true;
        }
        if seen.insert(topic) {
            open.extend(next.get(topic).into_iter().flatten().copied());
        }
    }
    false
}
