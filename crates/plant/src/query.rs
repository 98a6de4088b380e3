//! `queries/*.sql`: read in the order of the files' names, and checked one after the other, as they will run.

use crate::device::Built;
use crate::load::Loader;
use crate::plant::Query;
use crate::section::Mistakes;
use crate::source::{list, span, start_of};
use crate::stream::Columns;
use crate::{command, cycle, plant};
use millstream_model::{Diagnostic, Severity};
use millstream_sql::check as check_sql;
use millstream_sql::parse::ast::StatementKind;
use std::path::Path;

/// Reads every query file of the plant.
pub(crate) fn read(folder: &Path, loader: &mut Loader, out: &mut Mistakes) -> Vec<Query> {
    let folder = folder.join("queries");
    let files = match list(&folder, &["sql"]) {
        Ok(files) => files,
        Err(mut mistake) => {
            mistake.span = Some(start_of(&folder.to_string_lossy().into()));
            out.push(mistake);
            return Vec::new();
        }
    };
    let mut queries = Vec::new();
    for path in files {
        let Some((file, text)) = loader.text(&path, out) else { continue };
        queries.push(Query { file, text });
    }
    queries
}

/// Checks all files against the streams of the scan groups.
pub(crate) fn check(queries: &[Query], streams: &[Columns], devices: &[Built], out: &mut Mistakes) {
    let mut catalog = plant::catalog(streams);
    for query in queries {
        match check_sql(&mut catalog, &query.text, &query.file) {
            Ok(statements) => {
                statements
                    .into_iter()
                    .flat_map(|s| s.warnings)
                    .for_each(|warning| out.push(in_file(query, warning)));
            }
            Err(mistakes) => mistakes.into_iter().for_each(|mistake| out.push(in_file(query, mistake))),
        }
        check_statements(query, out);
    }
    cycle::check(queries, &catalog, devices, out);
    command::check(queries, &catalog, devices, out);
}

/// A diagnostic with a place in the file, whatever SQL left open.
fn in_file(query: &Query, mut diagnostic: Diagnostic) -> Diagnostic {
    let known = diagnostic.span.as_ref().is_some_and(|span| span.file.as_ref() == Some(&query.file));
    if !known {
        diagnostic = diagnostic.within(&query.file, 0..query.text.len());
    }
    diagnostic
}

/// Statements that do nothing in a plant: they answer somebody, and nobody asks.
fn check_statements(query: &Query, out: &mut Mistakes) {
    let (statements, mistakes) = millstream_sql::parse::parse(&query.text);
    if statements.is_empty() && !mistakes.iter().any(|mistake| mistake.severity == Severity::Error) {
        let empty = Diagnostic::warning("no-effect", "the file has no statements");
        let help =
            "write a statement such as `CREATE STREAM … AS SELECT … EMIT CHANGES;`, or remove the file";
        out.push(in_file(query, empty.label("expected a statement").help(help).at(0..0)));
    }
    for statement in statements {
        let what = match &statement.kind {
            StatementKind::Select(_) => "a `SELECT` of its own",
            StatementKind::Print { .. } => "what is printed",
            StatementKind::Show(_)
            | StatementKind::Describe { .. }
            | StatementKind::DescribeAll { .. }
            | StatementKind::DescribeConnector(_)
            | StatementKind::DescribeFunction(_) => "a list",
            StatementKind::Explain(_) | StatementKind::ExplainQuery(_) => "an explanation",
            _ => continue,
        };
        let mut idle = Diagnostic::warning("no-effect", format!("{what} goes to nobody here"))
            .label("expected a statement that fills a stream or table")
            .help("put `CREATE STREAM name AS` or `INSERT INTO name` before a `SELECT`, or run it with `millstream sql`");
        idle.span = Some(span(&query.file, statement.place));
        out.push(idle);
    }
}
