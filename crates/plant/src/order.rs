//! The last step: what is said twice or follows from something else goes, the rest is sorted by place.

use crate::section::Mistakes;
use crate::tree;
use millstream_model::{Diagnostic, Severity, Span};

/// Mistakes that others follow from.
const ROOTS: &[&str] = &["toml", "secret", "missing-secret", "placeholder", "unreadable-file"];

/// Everything that was found, sorted by file and place, without what only follows from something else.
pub(crate) fn finish(found: Mistakes, places: &[(Span, String)]) -> Vec<Diagnostic> {
    let (mut list, dropped, roots) = found.into_parts();
    list.retain(|mistake| {
        ROOTS.contains(&mistake.code) || !mistake.span.iter().any(|span| follows(span, &roots))
    });
    // Where brackets do not close, the parser guesses which key it is in.
    let guessed = |mistake: &Diagnostic| mistake.message.starts_with(tree::NOT_TOML);
    for mistake in list.iter_mut().filter(|mistake| mistake.key.is_none() && !guessed(mistake)) {
        mistake.key = mistake.span.as_ref().and_then(|span| key_at(span, places));
    }
    let wrong: Vec<String> =
        list.iter().filter(|m| m.severity == Severity::Error).filter_map(|m| m.key.clone()).collect();
    // A table that has an error inside may well be idle or without limits: mend the error first.
    list.retain(|mistake| match (&mistake.key, mistake.severity) {
        (Some(key), Severity::Warning) => {
            !wrong.iter().any(|wrong| wrong.strip_prefix(&**key).is_some_and(|rest| rest.starts_with('.')))
        }
        _ => true,
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

/// The key at a place, where nobody said it.
fn key_at(span: &Span, places: &[(Span, String)]) -> Option<String> {
    let holds = |place: &Span| {
        place.file == span.file && (place.range.start..=place.range.end).contains(&span.range.start)
    };
    let around = places.iter().filter(|(place, _)| holds(place));
    around.min_by_key(|(place, _)| place.range.len()).map(|(_, key)| key.clone())
}

/// Whether a place touches a root.
fn follows(span: &Span, roots: &[Span]) -> bool {
    roots.iter().any(|other| {
        other.file == span.file && span.range.start <= other.range.end && other.range.start <= span.range.end
    })
}

fn place(diagnostic: &Diagnostic) -> (Option<&str>, usize, usize) {
    match &diagnostic.span {
        Some(span) => (span.file.as_deref(), span.range.start, span.range.end),
        None => (None, 0, 0),
    }
}
