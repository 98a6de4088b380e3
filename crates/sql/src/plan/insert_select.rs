//! `INSERT INTO … SELECT`.

use super::Action;
use super::options::{Place, With};
use super::query::{Mistakes, Purpose, no_relation, plan as plan_query};
use super::query_plan::{PersistentQuery, PlanNode, QueryPlan, Sink, Step};
use super::statement::refuse;
use crate::parse::ast::{Name, Query, WithOption};
use crate::{Catalog, Relation, RelationKind, SqlType};
use millstream_bus::murmur2;
use millstream_model::Diagnostic;
use std::sync::Arc;

/// Why nothing can be inserted into `relation`, where that is so.
pub(super) fn not_writable(relation: &Relation, target: &Name) -> Option<Diagnostic> {
    let mistake = |message: String, help: &str| {
        Diagnostic::error("sql-insert", message).label("read-only").help(help).at(target.place.clone())
    };
    if relation.source {
        let message = format!("`{}` is a SOURCE: it can only be read", relation.name);
        return Some(mistake(message, "declare another stream over the topic, without SOURCE"));
    }
    relation.header_columns().next().map(|(column, _)| {
        let message =
            format!("`{}` holds headers (`{}`), which cannot be written", relation.name, column.name);
        mistake(message, "declare another stream over the topic, without columns over headers")
    })
}

pub(super) fn insert_select(
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
    if let Some(mistake) = not_writable(&relation, target) {
        return refuse(mistakes, mistake);
    }
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
    let timestamp = relation
        .timestamp
        .as_ref()
        .and_then(|name| plan.output.iter().position(|output| output.name == *name));
    let sink = Sink { relation, key, value, window_start: None, window_end: None, timestamp };
    let query = PersistentQuery { id, sql: sql.to_owned(), plan: Arc::new(plan), sink: Arc::new(sink) };
    Some(Action::Start { query: Arc::new(query), replaces: false, place: target.place.clone() })
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
