//! Mistakes in something a user wrote: collected, with places, never thrown one at a time.

use serde::Serialize;
use std::ops::Range;
use std::sync::Arc;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is started.
    Error,
    /// It works, but probably not as meant.
    Warning,
}

/// A place in a file, or in a text that has no file (an address, a statement from a prompt).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The file's path as the user knows it; `None` while the text's place in a file is not known yet.
    pub file: Option<Arc<str>>,
    /// Bytes within the file or the text.
    pub range: Range<usize>,
}

/// One mistake. Text is lower case without a full stop, with the thing in backticks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// A stable, documented code such as `unknown-key`.
    pub code: &'static str,
    /// Where it stands.
    pub span: Option<Span>,
    /// The dotted key it belongs to, such as `devices.press1.groups.fast.interval`, where there is one.
    pub key: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What was expected; shown under the place.
    pub label: String,
    /// The next right thing to type.
    pub help: Option<String>,
    /// Other places that explain it, each with its words: the first of two definitions, the row of a table.
    pub also: Vec<(Span, String)>,
}

impl Diagnostic {
    /// An error without a place yet.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            span: None,
            key: None,
            message: message.into(),
            label: String::new(),
            help: None,
            also: Vec::new(),
        }
    }

    /// A warning without a place yet.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// Sets the place inside a text whose file is not known yet.
    #[must_use]
    pub fn at(mut self, range: Range<usize>) -> Self {
        self.span = Some(Span { file: None, range });
        self
    }

    /// Sets what was expected.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Sets the remedy.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Sets the key.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Adds another place that explains it.
    #[must_use]
    pub fn also(mut self, span: Span, words: impl Into<String>) -> Self {
        self.also.push((span, words.into()));
        self
    }

    /// Places a diagnostic about an inner text (an address, a statement) in the file that holds the text:
    /// `text` is where the inner text stands in `file`. Ranges are clamped to `text`.
    #[must_use]
    pub fn within(mut self, file: &Arc<str>, text: Range<usize>) -> Self {
        let range = match self.span.take() {
            Some(Span { range, .. }) => {
                let start = text.start.saturating_add(range.start).min(text.end);
                start..text.start.saturating_add(range.end).clamp(start, text.end)
            }
            None => text,
        };
        self.span = Some(Span { file: Some(file.clone()), range });
        self
    }
}

/// The longest names that are compared, in bytes: the work is the product of two lengths, and nobody mistypes a longer one.
const NAME_BYTES_MAX: usize = 300;

/// The candidate closest to what was typed, if any is close enough to be meant.
///
/// Distance is Damerau–Levenshtein (restricted) without letter case; at most a third of the longer name, at least one edit.
pub fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if typed.len() > NAME_BYTES_MAX {
        return None;
    }
    let typed = typed.to_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= NAME_BYTES_MAX)
        .map(|candidate| (distance(&typed, &candidate.to_lowercase()), candidate))
        .filter(|(edits, candidate)| {
            *edits <= (typed.chars().count().max(candidate.chars().count()) / 3).max(1)
        })
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let replaced = last[j] + usize::from(a[i] != b[j]);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = last;
        last = row;
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_far_ones_are_not() {
        let names = ["interval", "topic", "mode", "layout", "tags"];
        assert_eq!(nearest("intervall", names), Some("interval"));
        assert_eq!(nearest("tpoic", names), Some("topic"));
        assert_eq!(nearest("Mode", names), Some("mode"));
        assert_eq!(nearest("frequency", names), None);
        let long = "a".repeat(1 << 20);
        assert_eq!(nearest(&long, [long.as_str()]), None);
    }

    #[test]
    fn an_inner_place_moves_into_its_file() {
        let file: Arc<str> = "plant.toml".into();
        let moved = Diagnostic::error("x", "y").at(2..5).within(&file, 10..20);
        assert_eq!(moved.span.map(|s| s.range), Some(12..15));
        let clamped = Diagnostic::error("x", "y").at(2..50).within(&file, 10..20);
        assert_eq!(clamped.span.map(|s| s.range), Some(12..20));
    }
}
