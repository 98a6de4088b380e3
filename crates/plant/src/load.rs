//! Files that other files name, each read once and kept for rendering.

use crate::csv::{self, Table};
use crate::section::{Mistakes, Said};
use crate::source::{Sources, Unreadable, read_text, start_of};
use crate::text::Text;
use millstream_model::Diagnostic;
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
        let place = start_of(&file);
        self.read(path, file, out, |mut mistake| {
            mistake.span = Some(place);
            mistake
        })
    }

    /// Reads a file; `whole` gives a mistake about all of it its place.
    fn read(
        &mut self,
        path: &Path,
        file: Arc<str>,
        out: &mut Mistakes,
        whole: impl FnOnce(Diagnostic) -> Diagnostic,
    ) -> Option<(Arc<str>, Arc<str>)> {
        match read_text(path) {
            Ok(text) => {
                let text: Arc<str> = text.into();
                self.sources.insert(file.clone(), text.clone());
                Some((file, text))
            }
            Err(Unreadable::Whole(mistake)) => {
                out.push(whole(mistake));
                None
            }
            Err(Unreadable::Inside(mistake, lossy)) => {
                let range = 0..lossy.len();
                self.sources.insert(file.clone(), lossy.into());
                out.push(mistake.within(&file, range));
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
        let text = self.read(&path, path.to_string_lossy().into(), out, |mistake| named.locate(mistake));
        let table = text.and_then(|(file, text)| csv::parse(&file, &text, out)).map(Rc::new);
        self.tables.insert(path, table.clone());
        table
    }
}
