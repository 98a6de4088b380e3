//! `millstream sql`: statements to a running instance, rows back.

use crate::cli::Sql;
use crate::client::Client;
use crate::console::Console;
use crate::failure::Failure;
use crate::shell::{Runner, Source, shell};
use std::io::Read;
use std::path::Path;

pub(crate) async fn run(arguments: &Sql, console: Console) -> Result<(), Failure> {
    let mut runner = Runner::new(Client::new(&arguments.instance.url)?, console);
    let (name, text) = match (&arguments.statement, &arguments.file) {
        (Some(statement), _) => ("statement".to_owned(), statement.clone()),
        (None, Some(file)) => (file.display().to_string(), read(file)?),
        (None, None) if !console.can_ask() => ("statement".to_owned(), read(Path::new("-"))?),
        (None, None) => return shell(runner, &arguments.instance.url, console).await,
    };
    runner.run(Source { name: &name, text: text.trim_end() }, 0).await
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
