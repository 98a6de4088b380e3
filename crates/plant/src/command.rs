//! Queries that command machines: what they write must be what may be written, or every record is refused.

use crate::device::Built;
use crate::plant::Query;
use crate::section::Mistakes;
use crate::source::span;
use millstream_model::{Diagnostic, nearest};
use millstream_sql::parse::ast::StatementKind;
use millstream_sql::{Catalog, Relation};

/// Columns of the layouts that name the tag elsewhere, and the age limit of a command.
const NO_TAGS: &[&str] = &["timestamp_ms", "value", "tags", "timestamp", "expires"];

/// Checks every query whose topic a device takes commands from.
pub(crate) fn check(queries: &[Query], catalog: &Catalog, devices: &[Built], out: &mut Mistakes) {
    for query in queries {
        for statement in millstream_sql::parse::parse(&query.text).0 {
            let StatementKind::CreateAs(create) = &statement.kind else { continue };
            let Some(relation) = catalog.find(&create.name.text) else { continue };
            for mut mistake in unknown(relation, devices) {
                mistake.span = Some(span(&query.file, statement.place.clone()));
                out.push(mistake);
            }
        }
    }
}

fn unknown(relation: &Relation, devices: &[Built]) -> Vec<Diagnostic> {
    let takers: Vec<_> = devices
        .iter()
        .filter_map(|device| Some((device, device.writes.as_ref()?)))
        .filter(|(_, (topic, _))| topic.as_str() == &*relation.topic)
        .collect();
    let Some((first, (topic, _))) = takers.first() else { return Vec::new() };
    let tags: Vec<&str> = takers.iter().flat_map(|(_, (_, tags))| tags.iter().map(|tag| &**tag)).collect();
    let known = |column: &str| tags.iter().chain(NO_TAGS).any(|name| name.eq_ignore_ascii_case(column));
    let columns = relation.value_columns();
    let strange = columns.iter().map(|(column, _)| column).filter(|column| !known(column));
    strange
        .map(|column| {
            let names: Vec<String> = tags.iter().map(|tag| format!("`{tag}`")).collect();
            let message = format!("`{}` has no tag `{column}` that may be written", first.name);
            let mistake = Diagnostic::warning("unknown-command", message)
                .label(format!(
                    "each record of `{}` would be refused in part; expected {}",
                    topic.as_str(),
                    names.join(", ")
                ))
                .also(topic.span.clone(), "the commands go here");
            match nearest(column, tags.iter().copied()) {
                Some(right) => mistake.help(format!("did you mean `{right}`?")),
                None => mistake.help("leave the column out, or allow it under `writes`"),
            }
        })
        .collect()
}
