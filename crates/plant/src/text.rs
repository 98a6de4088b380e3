//! A text with the place of every part of it, so that a mistake found deep inside an address, after a placeholder of a
//! template or a secret was put in, still points at the characters that the user typed.

use millstream_model::{Diagnostic, Span};
use std::ops::Range;

/// A text a user wrote, after secrets and placeholders were put in.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    value: String,
    pieces: Vec<Piece>,
    /// Where the whole text stands, quotes included.
    pub(crate) span: Span,
}

/// A part of a [`Text`] that came from one place.
#[derive(Debug, Clone)]
struct Piece {
    /// Where it ends in the value.
    end: usize,
    /// Where it was written.
    span: Span,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// Byte for byte as it was written.
    Exact,
    /// Written with escapes: only the whole of it has a place.
    Escaped,
    /// Put in for a placeholder from the cell of a table.
    Cell,
    /// Put in for the reference that stands here; never printed.
    Secret(String),
}

impl Text {
    /// `value`, which stands at `span`; `inner` is where its characters stand when they are written without escapes.
    pub(crate) fn new(value: String, span: Span, inner: Option<Range<usize>>) -> Self {
        let piece = match inner {
            Some(range) => {
                Piece { end: value.len(), span: Span { file: span.file.clone(), range }, kind: Kind::Exact }
            }
            None => Piece { end: value.len(), span: span.clone(), kind: Kind::Escaped },
        };
        Self { value, pieces: vec![piece], span }
    }

    /// The value. Not for messages where it may hold a secret: those take [`Text::shown`].
    pub(crate) fn as_str(&self) -> &str {
        &self.value
    }

    /// The value with the references of secrets in place of the secrets.
    pub(crate) fn shown(&self) -> String {
        let mut at = 0;
        let mut shown = String::new();
        for piece in &self.pieces {
            match &piece.kind {
                Kind::Secret(reference) => shown.push_str(reference),
                _ => shown.push_str(&self.value[at..piece.end]),
            }
            at = piece.end;
        }
        shown
    }

    /// Whether a placeholder or a secret was put in: then a number or a truth value may stand in quotes.
    pub(crate) fn is_filled(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece.kind, Kind::Cell | Kind::Secret(_)))
    }

    /// Where `range` of the value was written. What begins in one piece and ends in another is the whole text, unless
    /// a placeholder's value or a secret is in it: then that one is to blame.
    pub(crate) fn place(&self, range: &Range<usize>) -> Span {
        let mut at = 0;
        let mut touched = Vec::new();
        for piece in &self.pieces {
            let (start, end) = (at, piece.end);
            at = piece.end;
            if range.start < end.max(start + 1) && range.end > start
                || (range.is_empty() && (start..=end).contains(&range.start))
            {
                touched.push((start, piece));
            }
        }
        match &touched[..] {
            [(start, piece)] if piece.kind == Kind::Exact => {
                let offset = piece.span.range.start;
                let from = range.start.saturating_sub(*start).min(piece.end - start);
                let to = range.end.saturating_sub(*start).clamp(from, piece.end - start);
                Span { file: piece.span.file.clone(), range: offset + from..offset + to }
            }
            [(_, piece)] => piece.span.clone(),
            _ => {
                let cell = touched.iter().find(|(_, piece)| piece.kind == Kind::Cell);
                let secret = touched.iter().find(|(_, piece)| matches!(piece.kind, Kind::Secret(_)));
                cell.or(secret).map_or_else(|| self.span.clone(), |(_, piece)| piece.span.clone())
            }
        }
    }

    /// Moves a diagnostic about this text (its place inside the value, or none) to the files, and takes secrets out of
    /// its words.
    pub(crate) fn locate(&self, mut diagnostic: Diagnostic) -> Diagnostic {
        let span = match diagnostic.span.take() {
            Some(inner) => self.place(&inner.range),
            None => self.span.clone(),
        };
        diagnostic.span = Some(span);
        for (secret, reference) in self.secrets() {
            let hide = |text: &mut String| *text = text.replace(secret, reference);
            hide(&mut diagnostic.message);
            hide(&mut diagnostic.label);
            diagnostic.help.as_mut().into_iter().for_each(hide);
        }
        if let Some(cell) = self.pieces.iter().find(|piece| piece.kind == Kind::Cell)
            && diagnostic.span.as_ref().is_some_and(|span| span.file != cell.span.file)
        {
            diagnostic = diagnostic.also(cell.span.clone(), "with this value");
        }
        diagnostic
    }

    fn secrets(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut at = 0;
        self.pieces.iter().filter_map(move |piece| {
            let value = &self.value[at..piece.end];
            at = piece.end;
            match &piece.kind {
                Kind::Secret(reference) if !value.is_empty() => Some((value, &**reference)),
                _ => None,
            }
        })
    }

    /// Puts values in for parts of it. `find` is asked again and again with what is left of a part that was written
    /// by the user, and says where the next part to replace is and by what; whatever was put in before is left alone.
    pub(crate) fn fill(
        &self,
        mut find: impl FnMut(&str, &dyn Fn(Range<usize>) -> Span) -> Option<Fill>,
    ) -> Self {
        let mut filled = Self { value: String::new(), pieces: Vec::new(), span: self.span.clone() };
        let mut at = 0;
        for piece in &self.pieces {
            let text = &self.value[at..piece.end];
            at = piece.end;
            if !matches!(piece.kind, Kind::Exact | Kind::Escaped) {
                filled.push(text, piece.span.clone(), piece.kind.clone());
                continue;
            }
            let mut rest = 0;
            loop {
                let base = rest;
                let place = |range: Range<usize>| piece.part(base + range.start..base + range.end);
                let Some(fill) = find(&text[rest..], &place) else { break };
                let (start, end) = (rest + fill.range.start, rest + fill.range.end);
                filled.push(&text[rest..start], piece.part(rest..start), piece.kind.clone());
                match fill.by {
                    By::Cell(value, span) => filled.push(&value, span, Kind::Cell),
                    By::Secret(value) => {
                        let reference = text[start..end].to_owned();
                        filled.push(&value, piece.part(start..end), Kind::Secret(reference));
                    }
                    By::Literal(value) => filled.push(&value, piece.part(start..end), Kind::Escaped),
                }
                rest = end;
            }
            filled.push(&text[rest..], piece.part(rest..text.len()), piece.kind.clone());
        }
        filled
    }

    fn push(&mut self, text: &str, span: Span, kind: Kind) {
        if text.is_empty() && matches!(kind, Kind::Exact | Kind::Escaped) && !self.pieces.is_empty() {
            return;
        }
        self.value.push_str(text);
        self.pieces.push(Piece { end: self.value.len(), span, kind });
    }
}

impl Piece {
    /// Where a part of it was written.
    fn part(&self, range: Range<usize>) -> Span {
        let range = match self.kind {
            Kind::Exact => self.span.range.start + range.start..self.span.range.start + range.end,
            _ => self.span.range.clone(),
        };
        Span { file: self.span.file.clone(), range }
    }
}

/// What to put in, and for which part of the text.
#[derive(Debug)]
pub(crate) struct Fill {
    /// The part, within what was asked about.
    pub(crate) range: Range<usize>,
    /// By what.
    pub(crate) by: By,
}

/// What is put in.
#[derive(Debug)]
pub(crate) enum By {
    /// A cell of a table, with its place.
    Cell(String, Span),
    /// A secret.
    Secret(String),
    /// Other characters, for an escape.
    Literal(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::span;
    use std::sync::Arc;

    fn filled() -> Text {
        let file: Arc<str> = "a.toml".into();
        let text = Text::new("x{host}y${env:P}z".to_owned(), span(&file, 10..29), Some(11..28));
        let text = text.fill(|rest, _| {
            let start = rest.find("${env:P}")?;
            Some(Fill { range: start..start + 8, by: By::Secret("hunter2".to_owned()) })
        });
        text.fill(|rest, _| {
            let start = rest.find("{host}")?;
            let cell = span(&"t.csv".into(), 3..7);
            Some(Fill { range: start..start + 6, by: By::Cell("plc1".to_owned(), cell) })
        })
    }

    #[test]
    fn parts_keep_their_places() {
        let text = filled();
        assert_eq!(text.as_str(), "xplc1yhunter2z");
        assert_eq!(text.shown(), "xplc1y${env:P}z");
        let place = |range: Range<usize>| {
            let span = text.place(&range);
            (span.file.unwrap().to_string(), span.range)
        };
        assert_eq!(place(0..1), ("a.toml".to_owned(), 11..12));
        assert_eq!(place(1..5), ("t.csv".to_owned(), 3..7));
        assert_eq!(place(2..3), ("t.csv".to_owned(), 3..7));
        assert_eq!(place(5..6), ("a.toml".to_owned(), 18..19));
        assert_eq!(place(6..13), ("a.toml".to_owned(), 19..27));
        assert_eq!(place(13..14), ("a.toml".to_owned(), 27..28));
        assert_eq!(place(0..3), ("t.csv".to_owned(), 3..7));
        assert_eq!(place(5..14), ("a.toml".to_owned(), 19..27));
    }

    #[test]
    fn secrets_leave_no_trace_in_messages() {
        let said =
            Diagnostic::error("x", "`hunter2` is wrong").label("not hunter2").help("hunter2!").at(6..13);
        let located = filled().locate(said);
        assert_eq!(located.message, "`${env:P}` is wrong");
        assert_eq!(located.label, "not ${env:P}");
        assert_eq!(located.help.as_deref(), Some("${env:P}!"));
    }
}
