//! Files that other files name, each read once and kept for rendering.

use crate::csv::{self, Table};
use crate::section::{Mistakes, Said};
use crate::source::{Sources, read_text};
use crate::text::Text;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

/// Reads files of a plant.
#[derive(Debug)]
pub(crate) struct Loader {
    /// Where relative paths start.
    pub(crate) folder: PathBuf,
    pub(crate) sources: Sources,
    tables: BTreeMap<PathBuf, Option<Rc<Table>>>,
}

impl Loader {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, sources: Sources::default(), tables: BTreeMap::new() }
    }

    /// Reads a file that nothing in the plant names; a mistake has the file's own first place.
    pub(crate) fn text(&mut self, path: &Path, out: &mut Mistakes) -> Option<(Arc<str>, Arc<str>)> {
        let file: Arc<str> = path.to_string_lossy().into();
        match read_text(path) {
            Ok(text) => {
                let text: Arc<str> = text.into();
                self.sources.insert(file.clone(), text.clone());
                Some((file, text))
            }
            Err(mut mistake) => {
                mistake.span = Some(crate::source::start_of(&file));
                out.push(mistake);
                None
            }
        }
    }

    /// Reads a table that `named` names; once, however many devices name it.
    pub(crate) fn table(&mut self, named: &Said<Text>, out: &mut Mistakes) -> Option<Rc<Table>> {
        let path = self.folder.join(named.as_str());
        if let Some(known) = self.tables.get(&path) {
            return known.clone();
        }
        let table = match read_text(&path) {
            Ok(text) => {
                let (file, text): (Arc<str>, Arc<str>) = (path.to_string_lossy().into(), text.into());
                self.sources.insert(file.clone(), text.clone());
                csv::parse(&file, &text, out).map(Rc::new)
            }
            Err(mistake) => {
                out.push(named.locate(mistake));
                None
            }
        };
        self.tables.insert(path, table.clone());
        table
    }
}
