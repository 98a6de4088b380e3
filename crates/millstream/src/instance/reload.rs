//! A plant folder that changes while it runs: seen by polling, taken over by what differs.

use super::Instance;
use crate::console::Console;
use crate::failure::Failure;
use crate::plant;
use crate::simulators::Simulators;
use millstream_plant::{Change, Difference, Plant, diff};
use millstream_server::Condition;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::time::sleep;

/// The subject of notices about the folder.
const SUBJECT: &str = "plant folder";
/// How often the folder is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// Kinds of files that a plant is made of.
const KINDS: [&str; 5] = ["toml", "sql", "csv", "properties", "json"];
/// Files that are looked at, at most: a folder of a few hundred is large.
const FILES_MAX: usize = 10_000;

type Files = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

/// Looks after the files of a plant.
#[derive(Debug)]
pub(crate) struct Watch {
    path: PathBuf,
    seen: Files,
}

impl Watch {
    /// Of the plant at `path`, as it was just read.
    pub(crate) fn new(path: &Path, plant: &Plant) -> Self {
        Self { path: path.to_owned(), seen: files(path, plant) }
    }

    /// Waits until files have changed and have then been left alone for one look, so that half an edit is not read.
    pub(crate) async fn changed(&mut self, plant: &Plant) {
        loop {
            sleep(EVERY).await;
            let mut now = files(&self.path, plant);
            if now == self.seen {
                continue;
            }
            loop {
                sleep(EVERY / 2).await;
                let later = files(&self.path, plant);
                if later == now {
                    break;
                }
                now = later;
            }
            self.seen = now;
            return;
        }
    }
}

/// What the plant's files look like from outside.
fn files(path: &Path, plant: &Plant) -> Files {
    let mut files = Files::new();
    let mut note = |path: PathBuf| {
        if let Ok(metadata) = std::fs::metadata(&path)
            && metadata.is_file()
        {
            files.insert(path, (metadata.modified().ok(), metadata.len()));
        }
    };
    for file in plant.sources.files() {
        note(PathBuf::from(&**file));
    }
    if path.is_dir() {
        for folder in [path.to_owned(), path.join("queries"), path.join("connectors")] {
            let entries = std::fs::read_dir(folder).into_iter().flatten().take(FILES_MAX);
            for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
                if path.extension().is_some_and(|kind| KINDS.iter().any(|known| kind == *known)) {
                    note(path);
                }
            }
        }
    }
    files
}

impl Instance {
    /// Reads the folder again and takes over what differs. A folder with mistakes changes nothing, and is told.
    pub(crate) async fn reload(
        &mut self,
        path: &Path,
        simulators: Option<&mut Simulators>,
        console: Console,
    ) {
        match self.read_again(path, simulators, console).await {
            Ok(Some(new)) => {
                let difference = diff(&self.plant, &new);
                self.notices.clear(SUBJECT);
                self.apply(new, &difference).await;
            }
            Ok(None) => {}
            Err(failure) => {
                tracing::error!("the plant folder was not taken over: {failure}");
                self.notices.set(SUBJECT, Condition::Bad, failure.to_string(), "");
            }
        }
    }

    /// The new plant; `None` where it has mistakes, which are told.
    async fn read_again(
        &self,
        path: &Path,
        simulators: Option<&mut Simulators>,
        console: Console,
    ) -> Result<Option<Plant>, Failure> {
        let mut new = match millstream_plant::read(path, &plant::registry()) {
            Ok((new, warnings)) => {
                plant::show(&warnings, &new.sources, console)?;
                new
            }
            Err(mistakes) => {
                plant::show(&mistakes.diagnostics, &mistakes.sources, console)?;
                let summary = plant::summary(&mistakes);
                let what = format!("{summary}; the plant goes on as it was before the change");
                let help = format!("`millstream check {}` shows them", path.display());
                self.notices.set(SUBJECT, Condition::Bad, what, &help);
                tracing::error!(
                    "the plant folder was not taken over: {summary}; what runs goes on as it was"
                );
                return Ok(None);
            }
        };
        if let Some(simulators) = simulators {
            simulators.redirect(&mut new).await?;
        }
        Ok(Some(new))
    }

    async fn apply(&mut self, new: Plant, difference: &Difference) {
        if difference.is_empty() {
            tracing::info!("the plant folder has changed, the plant has not");
            self.plant.sources = new.sources;
            return;
        }
        for (name, change) in &difference.devices {
            match change {
                Change::Removed => self.remove_device(name, true).await,
                Change::Changed => self.remove_device(name, false).await,
                Change::Added => {}
            }
        }
        self.stop_sinks_that_share(&new).await;
        for device in &new.devices {
            if difference.devices.contains_key(&device.config.name) {
                self.add_device(device);
            }
        }
        self.board.set_order(&new);
        self.connectors.set(&new);
        self.start_sinks(&new);
        self.queries.start(&new);
        for table in &difference.settings {
            let what = format!("the change of [{table}] counts from the next start on");
            tracing::warn!("{what}");
            self.notices.set(SUBJECT, Condition::Warning, what, "stop and start it when it suits");
        }
        tracing::info!(
            devices = difference.devices.len(),
            queries = difference.queries.len(),
            "the change of the plant folder is taken over"
        );
        // What only a restart changes stays as it runs, so that every later change is held against it.
        let mut new = new;
        std::mem::swap(&mut new.log, &mut self.plant.log);
        std::mem::swap(&mut new.kafka, &mut self.plant.kafka);
        std::mem::swap(&mut new.http, &mut self.plant.http);
        std::mem::swap(&mut new.sql, &mut self.plant.sql);
        self.plant = new;
    }
}
