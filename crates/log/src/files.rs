//! Open files: a bounded number of them, the least recently used closed first, so that thousands of segments need few handles.

use crate::disk::{Disk, DiskFile, Open};
use crate::index::Index;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// See the module. A segment's index is kept with its file.
#[derive(Debug)]
pub(crate) struct Files {
    disk: Arc<dyn Disk>,
    open_max: usize,
    open: Mutex<OpenFiles>,
    pinned: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct OpenFiles {
    by_path: FxHashMap<PathBuf, OpenFile>,
    uses: u64,
}

#[derive(Debug)]
struct OpenFile {
    file: Arc<dyn DiskFile>,
    index: Option<Arc<Index>>,
    last_use: u64,
}

/// A file that stays open because it has unsynced bytes: only a handle that was open all the time is sure to hear of a failed
/// write-back.
#[derive(Debug)]
pub(crate) struct PinnedFile {
    pub(crate) file: Arc<dyn DiskFile>,
    pinned: Arc<AtomicUsize>,
}

impl Drop for PinnedFile {
    fn drop(&mut self) {
        self.pinned.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Files {
    pub(crate) fn new(disk: Arc<dyn Disk>, open_max: usize) -> Self {
        Self { disk, open_max: open_max.max(1), open: Mutex::default(), pinned: Arc::default() }
    }

    /// An existing file.
    pub(crate) fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut open = self.open.lock();
        if let Some(entry) = open.touch(path) {
            return Ok(Arc::clone(&entry.file));
        }
        let file = self.disk.open(path, Open::Existing)?;
        open.insert(path, Arc::clone(&file), self.open_max);
        Ok(file)
    }

    /// A new, empty file.
    pub(crate) fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.open(path, Open::Create)?;
        self.open.lock().insert(path, Arc::clone(&file), self.open_max);
        Ok(file)
    }

    /// Keeps a file open until the pin is dropped.
    pub(crate) fn pin(&self, file: Arc<dyn DiskFile>) -> PinnedFile {
        self.pinned.fetch_add(1, Ordering::Relaxed);
        PinnedFile { file, pinned: Arc::clone(&self.pinned) }
    }

    /// Files with unsynced bytes.
    pub(crate) fn pinned(&self) -> usize {
        self.pinned.load(Ordering::Relaxed)
    }

    /// The index that was kept with an open file.
    pub(crate) fn index(&self, path: &Path) -> Option<Arc<Index>> {
        self.open.lock().touch(path).and_then(|entry| entry.index.clone())
    }

    /// Keeps an index as long as its file is open.
    pub(crate) fn keep_index(&self, path: &Path, index: Arc<Index>) {
        if let Some(entry) = self.open.lock().touch(path) {
            entry.index = Some(index);
        }
    }

    /// Closes a file that is to be removed.
    pub(crate) fn forget(&self, path: &Path) {
        self.open.lock().by_path.remove(path);
    }
}

impl OpenFiles {
    fn touch(&mut self, path: &Path) -> Option<&mut OpenFile> {
        self.uses += 1;
        let entry = self.by_path.get_mut(path)?;
        entry.last_use = self.uses;
        Some(entry)
    }

    fn insert(&mut self, path: &Path, file: Arc<dyn DiskFile>, open_max: usize) {
        while self.by_path.len() >= open_max {
            let oldest = self.by_path.iter().min_by_key(|(_, entry)| entry.last_use);
            let Some(path) = oldest.map(|(path, _)| path.clone()) else { break };
            self.by_path.remove(&path);
        }
        self.uses += 1;
        self.by_path.insert(path.to_owned(), OpenFile { file, index: None, last_use: self.uses });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SimDisk;

    #[test]
    fn the_least_recently_used_file_is_closed_first() {
        let files = Files::new(Arc::new(SimDisk::new(1)), 2);
        for path in ["/a", "/b"] {
            files.create(Path::new(path)).unwrap();
            files.keep_index(Path::new(path), Arc::new(Index::new(0)));
        }
        files.open(Path::new("/a")).unwrap();
        files.create(Path::new("/c")).unwrap();
        assert!(files.index(Path::new("/a")).is_some());
        assert!(files.index(Path::new("/b")).is_none());
        assert!(files.open(Path::new("/b")).is_ok());
    }

    #[test]
    fn pins_are_counted() {
        let files = Files::new(Arc::new(SimDisk::new(1)), 2);
        let pin = files.pin(files.create(Path::new("/a")).unwrap());
        assert_eq!(files.pinned(), 1);
        drop(pin);
        assert_eq!(files.pinned(), 0);
    }
}
