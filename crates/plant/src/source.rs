//! The texts of a plant: reading them from disk, and turning byte ranges into lines and columns.

use crate::limits;
use millstream_model::{Diagnostic, Span};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A place as people and editors count: lines and columns from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// Every text that was read for a plant, under its path as the user knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    texts: BTreeMap<Arc<str>, Arc<str>>,
}

impl Sources {
    /// A file's text; `None` where it could not be read.
    pub fn text(&self, file: &str) -> Option<&str> {
        self.texts.get(file).map(|text| &**text)
    }

    /// Every file that was read, sorted by path.
    pub fn files(&self) -> impl Iterator<Item = &Arc<str>> {
        self.texts.keys()
    }

    /// Line and column where `span` starts; `None` for a span without a file. A file that could not be read
    /// has only its first line and column.
    pub fn locate(&self, span: &Span) -> Option<Location> {
        let text = self.text(span.file.as_deref()?).unwrap_or_default();
        let start = floor(text, span.range.start);
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Some(Location {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        })
    }

    /// The text that `span` covers; empty where its file could not be read.
    pub fn excerpt(&self, span: &Span) -> &str {
        let text = span.file.as_deref().and_then(|file| self.text(file)).unwrap_or_default();
        let start = floor(text, span.range.start);
        &text[start..floor(text, span.range.end).max(start)]
    }

    /// `file:line:column` of a span, for one-line messages.
    pub fn place(&self, span: &Span) -> String {
        let file = span.file.as_deref().unwrap_or("-");
        match self.locate(span) {
            Some(at) => format!("{file}:{}:{}", at.line, at.column),
            None => file.to_owned(),
        }
    }

    pub(crate) fn insert(&mut self, file: Arc<str>, text: Arc<str>) {
        self.texts.insert(file, text);
    }
}

/// The nearest start of a character at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at)
}

/// The start of a file that has no better place.
pub(crate) fn start_of(file: &Arc<str>) -> Span {
    Span { file: Some(file.clone()), range: 0..0 }
}

/// A span in `file`.
pub(crate) fn span(file: &Arc<str>, range: Range<usize>) -> Span {
    Span { file: Some(file.clone()), range }
}

/// Why a file has no text.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// It cannot be read at all.
    Whole(Diagnostic),
    /// It can be read, but at some place it is no text; with what it would be if it were.
    Inside(Diagnostic, String),
}

/// Reads a text file. A diagnostic about the whole has no place; one about the inside has its range in the text.
pub(crate) fn read_text(path: &Path) -> Result<String, Unreadable> {
    let unreadable = |why: String, help: &str| {
        let message = format!("`{}` cannot be read: {why}", path.display());
        Diagnostic::error("unreadable-file", message).label("expected a text file").help(help)
    };
    let failed = |error: &std::io::Error| {
        let help = "check the path, and that the user of this process may read it";
        Unreadable::Whole(unreadable(io_words(error), help))
    };
    let metadata = std::fs::metadata(path).map_err(|error| failed(&error))?;
    if !metadata.is_file() {
        let mistake = unreadable("it is not a file".to_owned(), "give the path of a text file");
        return Err(Unreadable::Whole(mistake));
    }
    if metadata.len() > limits::FILE_BYTES {
        let why = format!("it has {} bytes, the limit is {}", metadata.len(), limits::FILE_BYTES);
        return Err(Unreadable::Whole(unreadable(why, "split it into several files")));
    }
    let bytes = std::fs::read(path).map_err(|error| failed(&error))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let mistake = unreadable("it is not UTF-8".to_owned(), "save it as UTF-8 (in Excel: \"CSV UTF-8\")");
        let lossy = String::from_utf8_lossy(error.as_bytes()).into_owned();
        Unreadable::Inside(
            mistake.label("this is no character").at(at..at + char::REPLACEMENT_CHARACTER.len_utf8()),
            lossy,
        )
    })?;
    // A byte order mark from a Windows editor is no content.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// The paths in `folder` that end in one of `extensions`, sorted by name; hidden files (an editor's) are left out.
/// A folder that does not exist has none.
pub(crate) fn list(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, Diagnostic> {
    let unreadable = |why: String| {
        Diagnostic::error("unreadable-file", format!("`{}` cannot be read: {why}", folder.display()))
            .help("check the path, and that the user of this process may read it")
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(io_words(&error))),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unreadable(io_words(&error)))?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let wanted = path.extension().is_some_and(|end| extensions.iter().any(|e| end == *e));
        if wanted && !hidden && !path.is_dir() {
            paths.push(path);
        }
        if paths.len() > limits::FILES {
            return Err(unreadable(format!("it holds more than {} files", limits::FILES)));
        }
    }
    paths.sort();
    Ok(paths)
}

/// An I/O error without the system's number.
pub(crate) fn io_words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "it does not exist".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_from_one() {
        let mut sources = Sources::default();
        let file: Arc<str> = "a.toml".into();
        sources.insert(file.clone(), "ä = 1\nöb = 2\n".into());
        assert_eq!(sources.place(&span(&file, 0..1)), "a.toml:1:1");
        assert_eq!(sources.place(&span(&file, 9..10)), "a.toml:2:2");
        assert_eq!(sources.excerpt(&span(&file, 7..10)), "öb");
        assert_eq!(sources.place(&span(&file, 900..901)), "a.toml:3:1");
        assert_eq!(sources.place(&start_of(&"gone.toml".into())), "gone.toml:1:1");
    }
}
