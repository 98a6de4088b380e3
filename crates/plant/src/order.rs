//! The last step: what is said twice or follows from something else goes, the rest is sorted by place.

use crate::section::Mistakes;
use millstream_model::{Diagnostic, Span};

/// Everything that was found, sorted by file and place, without what only follows from a file that is no TOML.
pub(crate) fn finish(found: Mistakes, syntax: &[Span]) -> Vec<Diagnostic> {
    let (mut list, dropped) = found.into_list();
    list.retain(|diagnostic| {
        diagnostic.code == "toml" || !diagnostic.span.iter().any(|span| follows(span, syntax))
    });
    list.sort_by(|a, b| place(a).cmp(&place(b)));
    if dropped > 0
        && let Some(last) = list.last()
    {
        let more = Diagnostic {
            span: last.span.clone(),
            ..Diagnostic::error("limit", format!("there are {dropped} more mistakes"))
                .label("this is where the list was cut")
                .help("mend these first")
        };
        list.push(more);
    }
    list
}

/// Whether a place touches one that is no TOML.
fn follows(span: &Span, syntax: &[Span]) -> bool {
    syntax.iter().any(|other| {
        other.file == span.file && span.range.start <= other.range.end && other.range.start <= span.range.end
    })
}

fn place(diagnostic: &Diagnostic) -> (Option<&str>, usize, usize) {
    match &diagnostic.span {
        Some(span) => (span.file.as_deref(), span.range.start, span.range.end),
        None => (None, 0, 0),
    }
}
