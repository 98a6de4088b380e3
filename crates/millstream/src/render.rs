//! How mistakes and errors look: the one place that turns them into text, or into JSON objects.

use crate::failure::Words;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use millstream_model::{Diagnostic, Severity, Span};
use millstream_plant::Sources;
use serde::Serialize;
use std::borrow::Cow;
use std::fmt::Write as _;

/// What the diagnostics are about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Texts<'a> {
    /// The files of a plant.
    Plant(&'a Sources),
    /// One text that stands in no file: an address, a statement from a prompt.
    One {
        /// What it is: `connection`, `statement`.
        name: &'a str,
        /// The text.
        text: &'a str,
    },
}

/// Diagnostics with the texts that they point into.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Diagnostics<'a> {
    pub(crate) diagnostics: &'a [Diagnostic],
    pub(crate) texts: Texts<'a>,
}

/// One diagnostic as `--json` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct DiagnosticObject {
    severity: Severity,
    code: &'static str,
    file: Option<String>,
    line: Option<usize>,
    column: Option<usize>,
    key: Option<String>,
    message: String,
    expected: String,
    help: Option<String>,
}

impl<'a> Diagnostics<'a> {
    /// For people: each with its line, the place underlined, and the remedy.
    pub(crate) fn text(&self, colors: bool) -> String {
        let renderer = if colors { Renderer::styled() } else { Renderer::plain() };
        let shown: Vec<_> = self.diagnostics.iter().map(|one| renderer.render(&[self.group(one)])).collect();
        shown.join("\n\n")
    }

    /// For programs.
    pub(crate) fn objects(&self) -> impl Iterator<Item = DiagnosticObject> {
        self.diagnostics.iter().map(|diagnostic| {
            let (line, column) = self.locate(diagnostic).unzip();
            DiagnosticObject {
                severity: diagnostic.severity,
                code: diagnostic.code,
                file: self.file(diagnostic).map(str::to_owned),
                line,
                column,
                key: diagnostic.key.clone(),
                message: diagnostic.message.clone(),
                expected: diagnostic.label.clone(),
                help: diagnostic.help.clone(),
            }
        })
    }

    fn group<'b>(&'b self, diagnostic: &'b Diagnostic) -> Group<'b> {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(&*diagnostic.message).id(diagnostic.code));
        let range = diagnostic.span.as_ref().map(|span| span.range.clone());
        match (self.source(diagnostic), range, self.file(diagnostic)) {
            (Some(source), Some(range), file) => {
                let end = range.end.min(source.len());
                let annotation = AnnotationKind::Primary.span(range.start.min(end)..end);
                let label = Some(&*diagnostic.label).filter(|label| !label.is_empty());
                let snippet = Snippet::source(source).path(file.map(Cow::Borrowed));
                let mut snippet = snippet.annotation(annotation.label(label.map(Cow::Borrowed)));
                let same = diagnostic.span.as_ref().map(|span| &span.file);
                let (here, elsewhere): (Vec<_>, Vec<_>) =
                    diagnostic.also.iter().partition(|(span, _)| Some(&span.file) == same);
                for (span, words) in here {
                    let end = span.range.end.min(source.len());
                    let context = AnnotationKind::Context.span(span.range.start.min(end)..end);
                    snippet = snippet.annotation(context.label(&**words));
                }
                group = group.element(snippet);
                for (span, words) in elsewhere {
                    group = self.elsewhere(group, span, words);
                }
            }
            (_, _, Some(file)) => group = group.element(Origin::path(file)),
            _ => {}
        }
        if let Some(help) = &diagnostic.help {
            group = group.element(Level::HELP.message(&**help));
        }
        group
    }

    /// Another place that explains a diagnostic, in another file.
    fn elsewhere<'b>(&'b self, group: Group<'b>, span: &'b Span, words: &'b str) -> Group<'b> {
        let file = span.file.as_deref();
        let source = match self.texts {
            Texts::Plant(sources) => file.and_then(|file| sources.text(file)),
            Texts::One { .. } => None,
        };
        let Some(source) = source else { return group };
        let end = span.range.end.min(source.len());
        let context = AnnotationKind::Context.span(span.range.start.min(end)..end);
        let snippet = Snippet::source(source).path(file.map(Cow::Borrowed));
        group.element(snippet.annotation(context.label(words)))
    }

    fn file<'b>(&'b self, diagnostic: &'b Diagnostic) -> Option<&'b str>
    where
        'a: 'b,
    {
        match self.texts {
            Texts::Plant(_) => diagnostic.span.as_ref()?.file.as_deref(),
            Texts::One { name, .. } => Some(name),
        }
    }

    fn source(&self, diagnostic: &Diagnostic) -> Option<&'a str> {
        match self.texts {
            Texts::Plant(sources) => sources.text(diagnostic.span.as_ref()?.file.as_deref()?),
            Texts::One { text, .. } => Some(text),
        }
    }

    fn locate(&self, diagnostic: &Diagnostic) -> Option<(usize, usize)> {
        let span = diagnostic.span.as_ref()?;
        match self.texts {
            Texts::Plant(sources) => sources.locate(span).map(|location| (location.line, location.column)),
            Texts::One { text, .. } => {
                let before = &text[..text.floor_char_boundary(span.range.start)];
                let line_start = before.rfind('\n').map_or(0, |at| at + 1);
                Some((before.matches('\n').count() + 1, before[line_start..].chars().count() + 1))
            }
        }
    }
}

/// An error that is no diagnostic: one line, and the remedy on the next.
pub(crate) fn words(words: &Words, colors: bool) -> String {
    let (red, cyan, off) = if colors { ("\x1b[1;31m", "\x1b[36m", "\x1b[0m") } else { ("", "", "") };
    let mut text = format!("{red}error{off}: {}", words.message);
    if let Some(help) = &words.help {
        let _ = write!(text, "\n  {cyan}help{off}: {help}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_shows_its_line_its_place_and_the_remedy() {
        let text = "SELECT temprature FROM press\nEMIT CHANGES;";
        let mistake = Diagnostic::error("unknown-column", "`press` has no column `temprature`")
            .at(7..17)
            .label("expected one of `temperature`, `pressure`")
            .help("did you mean `temperature`?");
        let list = [mistake];
        let shown = Diagnostics { diagnostics: &list, texts: Texts::One { name: "statement", text } };
        insta::assert_snapshot!(shown.text(false), @r"
        error[unknown-column]: `press` has no column `temprature`
         --> statement:1:8
          |
        1 | SELECT temprature FROM press
          |        ^^^^^^^^^^ expected one of `temperature`, `pressure`
          |
          = help: did you mean `temperature`?
        ");
        let objects: Vec<_> = shown.objects().map(|object| serde_json::to_string(&object).unwrap()).collect();
        insta::assert_snapshot!(objects.join("\n"), @r#"{"severity":"error","code":"unknown-column","file":"statement","line":1,"column":8,"key":null,"message":"`press` has no column `temprature`","expected":"expected one of `temperature`, `pressure`","help":"did you mean `temperature`?"}"#);
    }

    #[test]
    fn places_beyond_the_text_do_no_harm() {
        let list = [Diagnostic::error("x", "cut short").at(3..90), Diagnostic::warning("y", "no place")];
        let shown = Diagnostics { diagnostics: &list, texts: Texts::One { name: "address", text: "coil" } };
        insta::assert_snapshot!(shown.text(false), @r"
        error[x]: cut short
         --> address:1:4
          |
        1 | coil
          |    ^

        warning[y]: no place
        --> address
        ");
    }

    #[test]
    fn an_error_is_one_line_and_its_remedy() {
        let said = Words { message: "no".into(), help: Some("do".into()) };
        assert_eq!(words(&said, false), "error: no\n  help: do");
    }
}
