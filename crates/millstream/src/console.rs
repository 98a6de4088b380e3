//! The two streams of a command: data goes to the standard output, talk to the standard error.

use crate::failure::{Failure, Words};
use crate::render;
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, BufRead, IsTerminal, Write};

/// Where a command speaks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Console {
    /// One JSON object per line in place of text.
    pub(crate) json: bool,
    /// Whether the standard output is coloured.
    pub(crate) colors: bool,
    /// Whether the standard error is coloured.
    error_colors: bool,
}

#[expect(clippy::unused_self, reason = "a console is handed on as one value, whatever a method needs of it")]
impl Console {
    /// The process' own console.
    pub(crate) fn new(json: bool) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self {
            json,
            colors: wanted && io::stdout().is_terminal(),
            error_colors: wanted && io::stderr().is_terminal(),
        }
    }

    /// Whether a person sits before the standard output.
    pub(crate) fn is_terminal(self) -> bool {
        io::stdout().is_terminal()
    }

    /// Whether a person can answer a question.
    pub(crate) fn can_ask(self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// A line of data.
    pub(crate) fn line(self, text: impl Display) -> Result<(), Failure> {
        written(writeln!(io::stdout().lock(), "{text}"))
    }

    /// Data as it is.
    pub(crate) fn text(self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        written(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
    }

    /// A line of JSON.
    pub(crate) fn json(self, value: &impl Serialize) -> Result<(), Failure> {
        let line = serde_json::to_string(value).map_err(|error| Failure::failed(error.to_string()))?;
        self.line(line)
    }

    /// Talk.
    pub(crate) fn note(self, text: impl Display) {
        // Nobody listens: there is no one left to tell.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// An error with its remedy, as talk.
    pub(crate) fn error(self, words: &Words) {
        self.note(render::words(words, self.error_colors));
    }

    /// Diagnostics, as talk; as data with `--json`.
    pub(crate) fn diagnostics(self, report: &render::Diagnostics<'_>) -> Result<(), Failure> {
        if self.json {
            report.objects().try_for_each(|object| self.json(&object))
        } else {
            self.note(report.text(self.error_colors));
            Ok(())
        }
    }

    /// Asks a question to be answered with yes or no; no where nobody can answer.
    pub(crate) fn confirm(self, question: &str) -> bool {
        let _ = write!(io::stderr().lock(), "{question} [y/N] ");
        let mut answer = String::new();
        let read = io::stdin().lock().read_line(&mut answer).is_ok();
        read && matches!(answer.trim(), "y" | "Y" | "yes")
    }
}

fn written(result: io::Result<()>) -> Result<(), Failure> {
    result.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Closed,
        _ => Failure::failed(format!("cannot write the output: {error}")),
    })
}
