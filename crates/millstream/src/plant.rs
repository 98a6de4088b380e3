//! A plant folder from the command line: read, and every mistake shown.

use crate::console::Console;
use crate::failure::Failure;
use crate::parts;
use crate::render::{Diagnostics, Texts};
use millstream_model::{Diagnostic, Severity};
use millstream_plant::{Mistakes, Plant, Registry, Sources};
use std::path::Path;

/// What this build has.
pub(crate) fn registry() -> Registry {
    Registry::new(parts::drivers())
}

/// Reads a plant that is to be used now. Warnings are shown; mistakes are shown and end the command.
pub(crate) fn read(path: &Path, console: Console) -> Result<Plant, Failure> {
    match millstream_plant::read(path, &registry()) {
        Ok((plant, warnings)) => {
            show(&warnings, &plant.sources, console)?;
            Ok(plant)
        }
        Err(mistakes) => {
            show(&mistakes.diagnostics, &mistakes.sources, console)?;
            if !console.json {
                console.note(format_args!("\n{}; nothing was started", summary(&mistakes)));
            }
            Err(Failure::Said(2))
        }
    }
}

/// Shows diagnostics about a plant's files.
pub(crate) fn show(diagnostics: &[Diagnostic], sources: &Sources, console: Console) -> Result<(), Failure> {
    if diagnostics.is_empty() {
        return Ok(());
    }
    console.diagnostics(&Diagnostics { diagnostics, texts: Texts::Plant(sources) })
}

/// `2 mistakes in 1 of 3 files`.
pub(crate) fn summary(mistakes: &Mistakes) -> String {
    let errors = mistakes.diagnostics.iter().filter(|one| one.severity == Severity::Error);
    let mut files: Vec<_> = errors.clone().filter_map(|one| one.span.as_ref()?.file.as_deref()).collect();
    let errors = errors.count();
    files.sort_unstable();
    files.dedup();
    let mistakes_word = if errors == 1 { "mistake" } else { "mistakes" };
    let all = mistakes.sources.files().count().max(files.len());
    let files_word = if all == 1 { "file" } else { "files" };
    format!("{errors} {mistakes_word} in {} of {all} {files_word}", files.len())
}
