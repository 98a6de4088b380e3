//! `millstream sql`: statements to a running instance, rows back.

use crate::cli::Sql;
use crate::client::Client;
use crate::console::Console;
use crate::failure::Failure;
use crate::render::{Diagnostics, Texts};
use crate::table::Table;
use hyper::Method;
use millstream_model::Diagnostic;
use millstream_server::{SqlColumn, SqlEvent, SqlMistake};
use serde_json::{Map, Value};
use std::io::{BufRead, Read, Write};
use std::path::Path;

pub(crate) async fn run(arguments: &Sql, console: Console) -> Result<(), Failure> {
    let client = Client::new(&arguments.instance.url)?;
    let text = match (&arguments.statement, &arguments.file) {
        (Some(statement), _) => Some(statement.clone()),
        (None, Some(file)) => Some(read(file)?),
        (None, None) if !console.can_ask() => Some(read(Path::new("-"))?),
        (None, None) => None,
    };
    match text {
        Some(text) => execute(&client, text.trim_end(), console).await,
        None => shell(&client, &arguments.instance.url, console).await,
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let result = if file == Path::new("-") {
        std::io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    result.map_err(|error| {
        Failure::mistake(
            format!("cannot read `{}`: {error}", file.display()),
            "give a file of statements, or -e STATEMENT",
        )
    })
}

/// Reads statements until the input ends; Ctrl-C ends the statement that runs, not the shell.
async fn shell(client: &Client, url: &str, console: Console) -> Result<(), Failure> {
    console.note(format_args!(
        "Millstream at {url}. A statement ends with `;`, Ctrl-C ends a running one, Ctrl-D the shell."
    ));
    let mut pending = String::new();
    loop {
        let prompt = if pending.is_empty() { "millstream> " } else { "         -> " };
        let line = tokio::task::spawn_blocking(move || {
            let mut err = std::io::stderr().lock();
            let _ = write!(err, "{prompt}").and_then(|()| err.flush());
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line).map(|read| (read > 0).then_some(line))
        });
        let line = line.await.map_err(|error| Failure::failed(error.to_string()))?;
        let Some(line) = line.map_err(|error| Failure::failed(format!("cannot read the input: {error}")))?
        else {
            console.note("");
            return Ok(());
        };
        pending.push_str(&line);
        if pending.trim().is_empty() || matches!(pending.trim(), "exit" | "quit" | "exit;" | "quit;") {
            if pending.trim().is_empty() {
                pending.clear();
                continue;
            }
            return Ok(());
        }
        if !pending.trim_end().ends_with(';') {
            continue;
        }
        let statement = std::mem::take(&mut pending);
        let result = tokio::select! {
            result = execute(client, statement.trim_end(), console) => result,
            _ = tokio::signal::ctrl_c() => {
                console.note("ended");
                Ok(())
            }
        };
        match result {
            Err(Failure::Closed) => return Err(Failure::Closed),
            Err(failure) => {
                if let Some(words) = failure.words() {
                    console.error(words);
                }
            }
            Ok(()) => {}
        }
    }
}

async fn execute(client: &Client, text: &str, console: Console) -> Result<(), Failure> {
    let body = Map::from_iter([("sql".to_owned(), Value::from(text))]);
    let mut events = client.lines(Method::POST, "/api/sql", Some(&body)).await?;
    let mut columns = Vec::new();
    loop {
        match events.next().await? {
            Some(SqlEvent::Columns(new)) => {
                if !console.json {
                    console.line(new.iter().map(|column| &*column.name).collect::<Vec<_>>().join("  |  "))?;
                }
                columns = new;
            }
            Some(SqlEvent::Listing { columns, rows }) => list(&columns, rows, console)?,
            Some(SqlEvent::Row(values)) => row(&columns, values, console)?,
            Some(SqlEvent::Message(message)) if console.json => {
                console.json(&serde_json::json!({ "message": message }))?;
            }
            Some(SqlEvent::Message(message)) => console.line(message)?,
            Some(SqlEvent::Mistakes(mistakes)) => {
                let diagnostics: Vec<_> = mistakes.into_iter().map(diagnostic).collect();
                let texts = Texts::One { name: "statement", text };
                console.diagnostics(&Diagnostics { diagnostics: &diagnostics, texts })?;
                return Err(Failure::Said(2));
            }
            Some(SqlEvent::Failed(message)) => return Err(Failure::failed(message)),
            Some(SqlEvent::Done) => return Ok(()),
            None => return Err(Failure::failed("the instance closed the connection before the end")),
        }
    }
}

fn list(columns: &[String], rows: Vec<Vec<String>>, console: Console) -> Result<(), Failure> {
    if console.json {
        return rows.into_iter().try_for_each(|row| {
            let named: Map<_, _> = columns.iter().cloned().zip(row.into_iter().map(Value::from)).collect();
            console.json(&named)
        });
    }
    let titles: Vec<_> = columns.iter().map(String::as_str).collect();
    let mut table = Table::new(&titles);
    for row in rows {
        table.row(row);
    }
    console.text(&table.render())
}

fn row(columns: &[SqlColumn], values: Vec<Value>, console: Console) -> Result<(), Failure> {
    if console.json {
        let named: Map<_, _> = columns.iter().map(|column| column.name.clone()).zip(values).collect();
        return console.json(&named);
    }
    let shown: Vec<_> = values
        .into_iter()
        .map(|value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        })
        .collect();
    console.line(shown.join("  |  "))
}

/// A mistake that came over the wire as a diagnostic again. Its code is one of a documented few, kept as text in the message
/// here, since codes are constants of the program that made them.
fn diagnostic(mistake: SqlMistake) -> Diagnostic {
    let mut diagnostic = Diagnostic::error("sql", mistake.message).label(mistake.label);
    diagnostic.help = mistake.help;
    match mistake.range {
        Some((start, end)) => diagnostic.at(start..end),
        None => diagnostic,
    }
}
