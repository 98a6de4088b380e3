//! The one door to files. The real disk is `OsDisk`, the simulated one `SimDisk`.
//!
//! What a disk promises, and what the log relies on: bytes are durable after [`DiskFile::sync`]; names (created, renamed,
//! removed) are durable after [`Disk::sync_dir`] of their directory; a rename is whole or not at all. Nothing else: without a
//! sync, any part of any write may be lost, in any order.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// It exists.
    Existing,
    /// It is made, empty; an older one of that name is emptied.
    Create,
}

/// Bytes of the file system that holds the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// All of them.
    pub total_bytes: u64,
    /// Those that can still be written.
    pub free_bytes: u64,
}

/// Held while a process uses a data directory; given up when dropped.
pub trait Lock: Send + Sync + Debug {}

/// Directories and names.
pub trait Disk: Send + Sync + Debug + 'static {
    /// Opens a file for reading and writing.
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>>;
    /// Names in a directory, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Makes a directory; no error where it exists.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Renames a file or directory in one step, replacing a file of the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory with all that is in it. Not in one step.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Space on the file system of `dir`.
    fn space(&self, dir: &Path) -> io::Result<Space>;
    /// Takes a lock file; [`io::ErrorKind::WouldBlock`] where another process has it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>>;
}

/// An open file.
pub trait DiskFile: Send + Sync + Debug {
    /// Its length in bytes.
    fn size_bytes(&self) -> io::Result<u64>;
    /// Fills `out` from position `at`; [`io::ErrorKind::UnexpectedEof`] where the file is too short.
    fn read_at(&self, at: u64, out: &mut [u8]) -> io::Result<()>;
    /// Writes all of `bytes` at position `at`. After an error any part of it may have been written.
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()>;
    /// Cuts or extends the file; new bytes are zero.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes all bytes written so far durable. After an error none of them can be trusted, not even after another sync.
    fn sync(&self) -> io::Result<()>;
}
