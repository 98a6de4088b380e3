//! The line editor: history in a file, statements over several lines, completion.

use super::complete::candidates;
use super::script::{Open, cut};
use crate::failure::Failure;
use millstream_server::SqlNames;
use parking_lot::RwLock;
use rustyline::completion::{Completer, Pair};
use rustyline::config::{Behavior, Builder};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Context, Editor, Helper};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many entries the history keeps; the oldest go.
const HISTORY_ENTRIES: usize = 1_000;
/// From how many candidates on the editor asks before it lists them.
const CANDIDATES_SHOWN: usize = 100;
/// What the shell itself understands, without a semicolon.
const WORDS: &[&str] = &["exit", "quit", "help", "history", "clear"];

/// The names that completion knows; filled anew while the shell runs.
pub(crate) type Known = Arc<RwLock<SqlNames>>;

/// The editor with its history.
pub(crate) struct LineEditor {
    editor: Editor<Statements, DefaultHistory>,
    history: Option<PathBuf>,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// One or several statements, or a word of the shell's own.
    Text(String),
    /// Ctrl-C: the line is given up.
    Dropped,
    /// Ctrl-D: the end.
    End,
}

impl LineEditor {
    /// An editor on the terminal. `history` is the file that keeps what was typed; a missing one is made.
    pub(crate) fn open(history: Option<PathBuf>, known: Known) -> Result<Self, Failure> {
        let config = Builder::new()
            .max_history_size(HISTORY_ENTRIES)
            .and_then(|builder| builder.history_ignore_dups(true))
            .map_err(|error| failed(&error))?
            .history_ignore_space(true)
            .completion_type(CompletionType::List)
            .completion_prompt_limit(CANDIDATES_SHOWN)
            // Data may go to a file while the statements are typed.
            .behavior(Behavior::PreferTerm)
            .build();
        let mut editor = Editor::with_config(config).map_err(|error| failed(&error))?;
        editor.set_helper(Some(Statements { known }));
        if let Some(file) = &history {
            // There is none yet, or it cannot be read: then it begins anew.
            let _ = editor.load_history(file);
        }
        Ok(Self { editor, history })
    }

    /// Reads until a statement is whole.
    pub(crate) fn read(&mut self) -> Result<Entry, Failure> {
        match self.editor.readline("millstream> ") {
            Ok(text) => {
                self.remember(&text);
                Ok(Entry::Text(text))
            }
            Err(ReadlineError::Interrupted) => Ok(Entry::Dropped),
            Err(ReadlineError::Eof) => Ok(Entry::End),
            Err(error) => Err(failed(&error)),
        }
    }

    /// What was typed before, oldest first.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &String> {
        self.editor.history().iter()
    }

    /// Empties the screen.
    pub(crate) fn clear(&mut self) {
        // A screen that cannot be emptied stays as it is.
        let _ = self.editor.clear_screen();
    }

    fn remember(&mut self, text: &str) {
        if text.trim().is_empty() || !matches!(self.editor.add_history_entry(text.trim_end()), Ok(true)) {
            return;
        }
        if let Some(file) = &self.history {
            // A history that cannot be written is no reason to stop; this session still has it.
            let _ = file.parent().map(std::fs::create_dir_all);
            let _ = self.editor.append_history(file);
        }
    }
}

fn failed(error: &ReadlineError) -> Failure {
    Failure::failed(format!("cannot read from the terminal: {error}"))
}

/// Where the history is kept: as `MILLSTREAM_HISTORY` says (empty: nowhere), else among the user's state files.
pub(crate) fn history_file() -> Option<PathBuf> {
    if let Some(file) = std::env::var_os("MILLSTREAM_HISTORY") {
        return (!file.is_empty()).then(|| file.into());
    }
    let set =
        |name: &str| std::env::var_os(name).filter(|value| Path::new(value).is_absolute()).map(PathBuf::from);
    let state = set("XDG_STATE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".local/state")))
        .or_else(|| set("LOCALAPPDATA"))?;
    Some(state.join("millstream/sql_history"))
}

/// Whether the shell itself understands `text`.
pub(crate) fn word(text: &str) -> Option<&'static str> {
    let text = text.trim().trim_end_matches(';').trim_end();
    WORDS.iter().copied().find(|word| text.eq_ignore_ascii_case(word))
}

/// Whether the editor may hand `text` on, or waits for more of it.
fn is_whole(text: &str) -> bool {
    let script = cut(text);
    let open_text = matches!(script.open, Some(Open::Quote(_) | Open::Comment));
    text.trim().is_empty() || word(text).is_some() || (script.rest.is_empty() && !open_text)
}

/// What the editor asks.
struct Statements {
    known: Known,
}

impl Completer for Statements {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (from, found) = candidates(line, at, &self.known.read());
        let pair = |name: String| Pair { display: name.clone(), replacement: name };
        Ok((from, found.into_iter().map(pair).collect()))
    }
}

impl Validator for Statements {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(if is_whole(context.input()) {
            ValidationResult::Valid(None)
        } else {
            ValidationResult::Incomplete
        })
    }
}

impl Hinter for Statements {
    type Hint = String;
}

impl Highlighter for Statements {}

impl Helper for Statements {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_editor_waits_for_the_semicolon() {
        for text in ["", "SHOW TABLES;", "a; b;", "exit", "QUIT;", "SHOW TABLES; -- all of them"] {
            assert!(is_whole(text), "{text}");
        }
        for text in ["SHOW TABLES", "SELECT ';", "a; b", "/* a;", "exit now"] {
            assert!(!is_whole(text), "{text}");
        }
    }
}
