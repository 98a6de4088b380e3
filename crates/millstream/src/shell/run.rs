//! Statements to an instance and what comes of them to the console, for the shell and for scripts alike.

use super::grid::{Grid, printable};
use super::script::{Local, cut, local};
use super::session::Session;
use crate::client::Client;
use crate::console::Console;
use crate::failure::Failure;
use crate::render::{Diagnostics, Texts};
use crate::table::Table;
use hyper::Method;
use millstream_model::Diagnostic;
use millstream_server::{SqlColumn, SqlEvent, SqlMistake};
use serde_json::{Map, Value};
use terminal_size::{Width, terminal_size};

/// How many scripts may run one another.
const SCRIPTS_DEEP: usize = 10;
/// The width of a terminal that does not tell it.
const TERMINAL_COLUMNS: u16 = 80;

/// Runs statements in one session.
#[derive(Debug)]
pub(crate) struct Runner {
    client: Client,
    session: Session,
    console: Console,
}

/// A text that is run, and what it is called in messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'t> {
    /// `statement`, or the path of a file.
    pub(crate) name: &'t str,
    /// All of it.
    pub(crate) text: &'t str,
}

impl Runner {
    pub(crate) fn new(client: Client, console: Console) -> Self {
        Self { client, session: Session::default(), console }
    }

    /// The instance that it talks to.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Runs a text as a whole, so that with one mistake nothing of it is run. Only `RUN SCRIPT` divides it.
    pub(crate) async fn run(&mut self, source: Source<'_>, deep: usize) -> Result<(), Failure> {
        let script = cut(source.text);
        let mut from = 0;
        for range in &script.statements {
            let Some(Local::Run(path)) = local(&source.text[range.clone()]) else { continue };
            self.piece(source, from, range.start).await?;
            from = range.end;
            Box::pin(self.file(&path, deep + 1)).await?;
        }
        self.piece(source, from, source.text.len()).await
    }

    /// Runs statements one after the other, each on its own.
    pub(crate) async fn one_by_one(&mut self, text: &str) -> Result<(), Failure> {
        let script = cut(text);
        let rest = Some(script.rest.clone()).filter(|rest| !rest.is_empty());
        for range in script.statements.into_iter().chain(rest) {
            let source = Source { name: "statement", text: &text[range] };
            self.run(source, 0).await?;
        }
        Ok(())
    }

    /// Runs the file of a `RUN SCRIPT`.
    async fn file(&mut self, path: &str, deep: usize) -> Result<(), Failure> {
        if deep > SCRIPTS_DEEP {
            return Err(Failure::mistake(
                format!("`{path}` is the {deep}th script in a row that another one runs"),
                "perhaps a script runs itself; leave one RUN SCRIPT out",
            ));
        }
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::mistake(
                format!("cannot read the script `{path}`: {error}"),
                "give the path of a file of statements: RUN SCRIPT 'tables.sql';",
            )
        })?;
        self.run(Source { name: path, text: &text }, deep).await
    }

    /// Runs one piece of a text with one request.
    async fn piece(&mut self, source: Source<'_>, from: usize, to: usize) -> Result<(), Failure> {
        let sql = source.text[from..to].trim_end();
        let piece = cut(sql);
        if piece.statements.is_empty() && piece.rest.is_empty() {
            return Ok(());
        }
        let mut events =
            self.client.lines(Method::POST, "/api/sql", Some(&self.session.request(sql))).await?;
        let mut view = View { console: self.console, columns: Vec::new(), grid: None };
        loop {
            match events.next().await? {
                Some(SqlEvent::Mistakes(mistakes)) => {
                    let list = |mistake| diagnostic(mistake, from);
                    let diagnostics: Vec<_> = mistakes.into_iter().map(list).collect();
                    let texts = Texts::One { name: source.name, text: source.text };
                    self.console.diagnostics(&Diagnostics { diagnostics: &diagnostics, texts })?;
                    return Err(Failure::Said(2));
                }
                Some(SqlEvent::Failed(message)) => return Err(Failure::failed(message)),
                Some(SqlEvent::Done) => break,
                Some(event) => view.show(event)?,
                None => {
                    return Err(Failure::failed("the instance closed the connection before the end"));
                }
            }
        }
        for range in piece.statements {
            self.session.done(&sql[range]);
        }
        Ok(())
    }
}

/// Where rows are shown.
struct View {
    console: Console,
    columns: Vec<SqlColumn>,
    grid: Option<Grid>,
}

impl View {
    fn show(&mut self, event: SqlEvent) -> Result<(), Failure> {
        match event {
            SqlEvent::Columns(columns) => self.head(columns),
            SqlEvent::Row(values) => self.row(values, false),
            SqlEvent::Deleted(values) => self.row(values, true),
            SqlEvent::Warnings(warnings) => {
                for warning in &warnings {
                    self.console.note(warned(warning));
                }
                Ok(())
            }
            SqlEvent::Listing { columns, rows } => list(&columns, rows, self.console),
            SqlEvent::Message(message) if self.console.json => {
                self.console.json(&serde_json::json!({ "message": message }))
            }
            SqlEvent::Message(message) => self.console.line(message),
            SqlEvent::Mistakes(_) | SqlEvent::Failed(_) | SqlEvent::Done => Ok(()),
        }
    }

    fn head(&mut self, columns: Vec<SqlColumn>) -> Result<(), Failure> {
        self.grid = None;
        self.columns = columns;
        if self.console.json {
            return Ok(());
        }
        let titles: Vec<_> = self.columns.iter().map(|column| column.name.clone()).collect();
        if !self.console.is_terminal() {
            return self.console.line(titles.join("  |  "));
        }
        let wanted: Vec<_> = self.columns.iter().map(|column| usual_width(&column.sql_type)).collect();
        let grid = Grid::new(&titles, &wanted, terminal_columns());
        self.console.text(&grid.head())?;
        self.grid = Some(grid);
        Ok(())
    }

    fn row(&self, values: Vec<Value>, deleted: bool) -> Result<(), Failure> {
        if self.console.json {
            let names = self.columns.iter().map(|column| column.name.clone());
            return self.console.json(&names.zip(values).collect::<Map<_, _>>());
        }
        let shown =
            |value: Value| if deleted && value.is_null() { "<deleted>".to_owned() } else { cell(value) };
        let cells: Vec<String> = values.into_iter().map(shown).collect();
        match &self.grid {
            Some(grid) => self.console.text(&grid.row(&cells)),
            None => self.console.line(cells.join("  |  ")),
        }
    }
}

fn cell(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// A warning in one line.
fn warned(warning: &SqlMistake) -> String {
    let help = warning.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
    printable(&format!("warning: {}{help}", warning.message))
}

/// How wide values of a type mostly are; what has no bound gets what the others leave.
fn usual_width(sql_type: &str) -> usize {
    match sql_type {
        "BOOLEAN" => 5,
        "INTEGER" | "DATE" => 11,
        "TIME" => 12,
        "BIGINT" | "DOUBLE" => 20,
        "TIMESTAMP" => 24,
        decimal if decimal.starts_with("DECIMAL") => 20,
        _ => 60,
    }
}

fn terminal_columns() -> usize {
    usize::from(terminal_size().map_or(TERMINAL_COLUMNS, |(Width(columns), _)| columns))
}

fn list(columns: &[String], rows: Vec<Vec<String>>, console: Console) -> Result<(), Failure> {
    if console.json {
        return rows.into_iter().try_for_each(|row| {
            let named: Map<_, _> = columns.iter().cloned().zip(row.into_iter().map(Value::from)).collect();
            console.json(&named)
        });
    }
    if console.is_terminal() {
        let grid = Grid::of_rows(columns, &rows, terminal_columns());
        let rows: String = rows.iter().map(|row| grid.row(row)).collect();
        return console.text(&(grid.head() + &rows));
    }
    let titles: Vec<_> = columns.iter().map(String::as_str).collect();
    let mut table = Table::new(&titles);
    for row in rows {
        table.row(row.iter().map(|cell| printable(cell)));
    }
    console.text(&table.render())
}

/// A mistake that came over the wire as a diagnostic again, its place moved by `offset` bytes. Its code is one of a documented
/// few, kept as text in the message here, since codes are constants of the program that made them.
fn diagnostic(mistake: SqlMistake, offset: usize) -> Diagnostic {
    let mut diagnostic = Diagnostic::error("sql", mistake.message).label(mistake.label);
    diagnostic.help = mistake.help;
    match mistake.range {
        Some((start, end)) => diagnostic.at(start + offset..end + offset),
        None => diagnostic,
    }
}
