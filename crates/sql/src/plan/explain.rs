//! `EXPLAIN`: a plan in words, one line per step.

use super::Action;
use super::explain_join::{ENTRY_BYTES, row_bytes};
use super::query_plan::{Group, PlanNode, QueryPlan, ScanColumn, Step};
use crate::parse::ast::{Emit, WindowKind};
use millstream_model::format_duration;
use std::time::Duration;

/// Step and detail, from source to sink.
pub(crate) fn of_action(action: &Action) -> Vec<(String, String)> {
    match action {
        Action::Start { query, .. } => {
            let mut lines = of_plan(&query.plan);
            let sink = &query.sink.relation;
            lines.push((
                "Sink".to_owned(),
                format!("{} into topic {}, key {}", sink.name, sink.topic, sink.key.format),
            ));
            lines.insert(0, ("Query".to_owned(), query.id.to_string()));
            lines
        }
        Action::Push(plan) => of_plan(plan),
        _ => vec![("Statement".to_owned(), "runs at once".to_owned())],
    }
}

/// Step and detail of a query.
pub(crate) fn of_plan(plan: &QueryPlan) -> Vec<(String, String)> {
    let mut lines: Vec<_> = plan.nodes.iter().map(node).collect();
    let fields: Vec<_> = plan
        .output
        .iter()
        .map(|o| format!("{} {}{}", o.name, o.sql_type, if o.key.is_some() { " KEY" } else { "" }))
        .collect();
    lines.push(("Result".to_owned(), format!("{}: {}", plan.kind.word(), fields.join(", "))));
    lines
}

fn node(node: &PlanNode) -> (String, String) {
    match node {
        PlanNode::Scan(scan) => {
            let used = scan.columns.iter().filter(|column| matches!(column, ScanColumn::Value(_))).count();
            let name = |(name, sql_type): &(_, _)| format!("{name} {sql_type}");
            let names: Vec<_> = scan.value.columns.iter().map(name).collect();
            let detail = format!("topic {}, decodes {used} columns: {}", scan.topic, names.join(", "));
            ("Source".to_owned(), detail)
        }
        PlanNode::Step { step, .. } => of_step(step),
        PlanNode::Join { join, .. } => super::explain_join::of_join(join),
        PlanNode::Repartition { exchange, .. } => super::explain_join::of_exchange(exchange),
    }
}

fn of_step(step: &Step) -> (String, String) {
    match step {
        Step::Keyed(keyed) => {
            let name = keyed.function.name;
            ("Memory".to_owned(), format!("{name}, about {ENTRY_BYTES} bytes per key, changelog"))
        }
        Step::Filter(node) => (
            "Filter".to_owned(),
            if node.can_fail { "may fail: such rows go to the error topic" } else { "" }.to_owned(),
        ),
        Step::Project(nodes) => ("Project".to_owned(), format!("{} columns", nodes.len())),
        Step::Explode(explode) => {
            let names: Vec<_> = explode.calls.iter().map(|call| call.function.name).collect();
            ("Explode".to_owned(), names.join(", "))
        }
        Step::Retract(retract) => {
            let bytes = ENTRY_BYTES + row_bytes(&retract.fields);
            let detail = format!(
                "the last row of every primary key is remembered, about {bytes} bytes each, changelog"
            );
            ("Retract".to_owned(), detail)
        }
        Step::Group(group) => ("Group".to_owned(), of_group(group)),
        Step::Subscribe(subscribe) => super::explain_join::of_subscribe(subscribe),
        Step::Resolve(resolve) => super::explain_join::of_resolve(resolve),
    }
}

/// What a query remembers for as long as there are keys, one part after the other; `None` where time bounds it all.
pub(crate) fn growth(plan: &QueryPlan) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    for node in &plan.nodes {
        parts.extend(match node {
            PlanNode::Join { join, .. } => super::explain_join::growth(join),
            PlanNode::Step { step: Step::Group(group), .. } if group.window.is_none() => {
                Some(format!("{} bytes per key", group_bytes(group)))
            }
            PlanNode::Step { step: Step::Keyed(_), .. } => Some(format!("about {ENTRY_BYTES} bytes per key")),
            PlanNode::Step { step: Step::Retract(retract), .. } => {
                let bytes = ENTRY_BYTES + row_bytes(&retract.fields);
                Some(format!("about {bytes} bytes per row of the table"))
            }
            _ => None,
        });
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn group_bytes(group: &Group) -> String {
    let (least, most) = group.state_bytes();
    if least == most { format!("about {least}") } else { format!("{least} to {most}") }
}

fn of_group(group: &Group) -> String {
    let ms = |ms: i64| format_duration(Duration::from_millis(u64::try_from(ms).unwrap_or(0)));
    let window = group.window.map_or("no window".to_owned(), |window| {
        let kind = match window.kind {
            WindowKind::Tumbling { size_ms } => format!("tumbling windows of {}", ms(size_ms)),
            WindowKind::Hopping { size_ms, advance_ms } => {
                format!("hopping windows of {} every {}", ms(size_ms), ms(advance_ms))
            }
            WindowKind::Session { gap_ms } => format!("sessions with gaps of up to {}", ms(gap_ms)),
        };
        format!("{kind}, grace {}", ms(window.grace_ms))
    });
    let bytes = group_bytes(group);
    let per = if group.window.is_some() { "key and window" } else { "key" };
    let emit = if group.emit == Emit::Final { "emitted when closed" } else { "every change emitted" };
    format!("{window}, {emit}, {bytes} bytes per {per}, changelog")
}
