//! The console of `millstream sql`: statements are typed, edited, completed and remembered, and rows shown as they come.

mod complete;
mod editor;
mod grid;
mod run;
mod script;
mod session;

use crate::console::Console;
use crate::failure::Failure;
use editor::{Entry, Known, LineEditor};
use hyper::Method;
use std::time::Duration;
use tokio::time::timeout;

pub(crate) use run::{Runner, Source};

/// How long the prompt may wait for the names that completion offers.
const NAMES_WAIT: Duration = Duration::from_millis(500);

const HELP: &str = "\
A statement ends with `;` and may have several lines. Up and down go through what was typed before, Tab completes.
Ctrl-C ends a running query or gives up a line, Ctrl-D ends the shell.

  SHOW STREAMS; SHOW TABLES; SHOW QUERIES; SHOW TOPICS; SHOW FUNCTIONS;
  DESCRIBE name;                      the columns
  SELECT … FROM name EMIT CHANGES;    rows as they come
  SELECT … FROM name WHERE …;         rows as they are now
  SET 'auto.offset.reset'='earliest'; from the first row on
  DEFINE name = 'value';              ${name} stands for it from now on
  RUN SCRIPT 'file';                  the statements of a file

  help   history   clear   exit";

/// Reads statements until the input ends; Ctrl-C ends the statement that runs, not the shell.
pub(crate) async fn shell(mut runner: Runner, url: &str, console: Console) -> Result<(), Failure> {
    console.note(format_args!(
        "Millstream at {url}. A statement ends with `;`, `help` says more, Ctrl-D ends the shell."
    ));
    let known = Known::default();
    let mut editor = LineEditor::open(editor::history_file(), known.clone())?;
    loop {
        learn(&runner, &known).await;
        let reading = tokio::task::spawn_blocking(move || {
            let entry = editor.read();
            (editor, entry)
        });
        let (back, entry) = reading.await.map_err(|error| Failure::failed(error.to_string()))?;
        editor = back;
        let text = match entry? {
            Entry::Text(text) => text,
            Entry::Dropped => continue,
            Entry::End => return Ok(()),
        };
        match editor::word(&text) {
            Some("exit" | "quit") => return Ok(()),
            Some("help") => console.note(HELP),
            Some("history") => editor.entries().for_each(|entry| console.note(entry)),
            Some("clear") => editor.clear(),
            _ => execute(&mut runner, &text, console).await?,
        }
    }
}

/// Runs what was typed; only a reader that is gone ends the shell.
async fn execute(runner: &mut Runner, text: &str, console: Console) -> Result<(), Failure> {
    let result = tokio::select! {
        result = runner.one_by_one(text) => result,
        _ = tokio::signal::ctrl_c() => {
            console.note("\nended");
            Ok(())
        }
    };
    match result {
        Err(Failure::Closed) => Err(Failure::Closed),
        Err(failure) => {
            if let Some(words) = failure.words() {
                console.error(words);
            }
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Asks for the names that there are. Without an answer the old ones stay.
async fn learn(runner: &Runner, known: &Known) {
    let asking = runner.client().ask(Method::GET, "/api/sql/names", None::<&()>);
    if let Ok(Ok(names)) = timeout(NAMES_WAIT, asking).await {
        *known.write() = names;
    }
}
