//! Walking a table: keys are taken by name, what is left over is a mistake with the nearest right name.

use crate::keys::TableSpec;
use crate::limits;
use crate::text::Text;
use crate::tree::Entry;
use crate::value::Value;
use millstream_model::{Diagnostic, Severity, Span, nearest};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What was found wrong so far.
#[derive(Debug, Default)]
pub(crate) struct Mistakes {
    list: Vec<Diagnostic>,
    known: BTreeSet<(Option<Arc<str>>, usize, usize, String)>,
    dropped: usize,
    errors: usize,
    /// Places that could not be understood at all: what else is found there follows from that.
    roots: Vec<Span>,
}

impl Mistakes {
    /// Adds one, unless the very same was said before (of another device from the same template).
    pub(crate) fn push(&mut self, mistake: Diagnostic) {
        let place = mistake.span.clone().unwrap_or(Span { file: None, range: 0..0 });
        if !self.known.insert((place.file, place.range.start, place.range.end, mistake.message.clone())) {
            return;
        }
        self.errors += usize::from(mistake.severity == Severity::Error);
        if self.list.len() < limits::DIAGNOSTICS {
            self.list.push(mistake);
        } else {
            self.dropped += 1;
        }
    }

    /// Adds one that other mistakes in `span` follow from.
    pub(crate) fn push_root(&mut self, mistake: Diagnostic, span: Span) {
        self.roots.push(span);
        self.push(mistake);
    }

    /// How many of them are errors.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.list.len() + self.dropped
    }

    /// Everything, in order, how many more there were, and the places that other mistakes follow from.
    pub(crate) fn into_parts(self) -> (Vec<Diagnostic>, usize, Vec<Span>) {
        (self.list, self.dropped, self.roots)
    }
}

/// A value that a user gave, with its place and its dotted key.
#[derive(Debug, Clone)]
pub(crate) struct Said<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
    pub(crate) key: String,
}

impl<T> Said<T> {
    /// An error about it.
    pub(crate) fn error(&self, code: &'static str, message: impl Into<String>) -> Diagnostic {
        placed(Diagnostic::error(code, message), &self.span, &self.key)
    }

    /// A warning about it.
    pub(crate) fn warning(&self, code: &'static str, message: impl Into<String>) -> Diagnostic {
        placed(Diagnostic::warning(code, message), &self.span, &self.key)
    }

    pub(crate) fn with<U>(&self, value: U) -> Said<U> {
        Said { value, span: self.span.clone(), key: self.key.clone() }
    }
}

impl Said<Text> {
    pub(crate) fn as_str(&self) -> &str {
        self.value.as_str()
    }

    /// Places a diagnostic whose place is inside the text.
    pub(crate) fn locate(&self, diagnostic: Diagnostic) -> Diagnostic {
        let mut diagnostic = self.value.locate(diagnostic);
        diagnostic.key.get_or_insert_with(|| self.key.clone());
        diagnostic
    }
}

/// Gives a diagnostic its place and key.
pub(crate) fn placed(mut diagnostic: Diagnostic, span: &Span, key: &str) -> Diagnostic {
    diagnostic.span = Some(span.clone());
    diagnostic.key = Some(key.to_owned());
    diagnostic
}

/// A table whose keys are being taken.
#[derive(Debug)]
pub(crate) struct Section<'n> {
    spec: &'static TableSpec,
    entries: &'n [Entry],
    taken: Vec<bool>,
    missing: Vec<&'static str>,
    /// The dotted path.
    pub(crate) key: String,
    /// The header, or the table where it has none.
    pub(crate) span: Span,
}

impl<'n> Section<'n> {
    /// Opens a table; anything else is a mistake.
    pub(crate) fn open(value: &Value<'n>, spec: &'static TableSpec, out: &mut Mistakes) -> Option<Self> {
        let entries = value.table(spec.title, out)?;
        Some(Self::over(entries, spec, value.key.clone(), value.node.span.clone()))
    }

    /// Walks these entries.
    pub(crate) fn over(entries: &'n [Entry], spec: &'static TableSpec, key: String, span: Span) -> Self {
        Self { spec, entries, taken: vec![false; entries.len()], missing: Vec::new(), key, span }
    }

    /// Takes a key; `None` where it is not given.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<Value<'n>> {
        debug_assert!(self.spec.names().any(|known| known == name), "`{name}` is not in the table of keys");
        let index = self.entries.iter().position(|entry| entry.key.as_str() == name)?;
        *self.taken.get_mut(index)? = true;
        let entry = self.entries.get(index)?;
        Some(Value { node: &entry.value, name: &entry.key, key: join(&self.key, name) })
    }

    /// Takes a key that must be there.
    pub(crate) fn require(&mut self, name: &'static str) -> Option<Value<'n>> {
        let value = self.take(name);
        if value.is_none() {
            self.missing.push(name);
        }
        value
    }

    /// The mistake that a key is not given.
    fn missing(&self, name: &'static str) -> Diagnostic {
        let message = format!("{} needs the key `{name}`", self.spec.title);
        let example = self.spec.keys.iter().find(|key| key.name == name).map_or("", |key| key.example);
        let mistake = Diagnostic::error("missing-key", message)
            .label(format!("`{name}` is missing here"))
            .help(format!("add `{example}`"));
        placed(mistake, &self.span, &join(&self.key, name))
    }

    /// Reports every key that nobody took, and every one that must be there and is not, unless it is just misspelt.
    pub(crate) fn finish(self, out: &mut Mistakes) {
        let left =
            || self.entries.iter().zip(&self.taken).filter(|(_, taken)| !**taken).map(|(entry, _)| entry);
        for entry in left() {
            out.push(self.unknown(entry));
        }
        for name in &self.missing {
            if !left().any(|entry| nearest(entry.key.as_str(), self.spec.names()) == Some(name)) {
                out.push(self.missing(name));
            }
        }
    }

    fn unknown(&self, entry: &Entry) -> Diagnostic {
        let name = entry.key.as_str();
        let expected: Vec<String> = self.spec.names().map(|name| format!("`{name}`")).collect();
        let mut mistake =
            Diagnostic::error("unknown-key", format!("{} has no key `{name}`", self.spec.title))
                .label(format!("expected one of {}", expected.join(", ")))
                .key(join(&self.key, name));
        mistake.help = Some(match nearest(name, self.spec.names()) {
            Some(right) => format!("did you mean `{right}`?"),
            None => "remove it; docs/plant-folder.md lists every key".to_owned(),
        });
        entry.key.locate(mistake)
    }
}

/// A dotted path; keys that need quotes get them.
pub(crate) fn join(path: &str, name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    let name = if bare { name.to_owned() } else { format!("{name:?}") };
    if path.is_empty() { name } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_not_bare_are_quoted() {
        assert_eq!(join("a.b", "c"), "a.b.c");
        assert_eq!(join("", "c d"), "\"c d\"");
    }
}
