//! What can go wrong in the log, split by what the caller does next.

use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// An operation on the log failed.
#[derive(Debug, Error)]
pub enum LogError {
    /// There is no such topic or partition.
    #[error("there is no partition {partition} of topic `{topic}`")]
    UnknownPartition {
        /// The topic's name.
        topic: String,
        /// The partition's number.
        partition: i32,
    },
    /// There is a topic of that name already.
    #[error("topic `{0}` exists already")]
    TopicExists(String),
    /// What was asked can never work: a bad name or config, a batch that is damaged or too large.
    #[error("{0}")]
    Invalid(String),
    /// The offset is not in the log any more, or not yet.
    #[error("offset {offset} of `{topic}-{partition}` is out of range: the log holds {earliest} to {next}")]
    OffsetOutOfRange {
        /// The topic's name.
        topic: String,
        /// The partition's number.
        partition: i32,
        /// What was asked for.
        offset: i64,
        /// The first offset there is.
        earliest: i64,
        /// The next offset to be written.
        next: i64,
    },
    /// Records are damaged on disk. They cannot be read; reading can go on at `last + 1`.
    #[error("records {first} to {last} of `{topic}-{partition}` are damaged on disk")]
    Corrupt {
        /// The topic's name.
        topic: String,
        /// The partition's number.
        partition: i32,
        /// The first damaged offset.
        first: i64,
        /// The last damaged offset.
        last: i64,
    },
    /// The disk is full. Nothing was written; the same works again when there is space.
    #[error("`{path}` cannot grow, the disk is full; free some space and writing goes on by itself")]
    DiskFull {
        /// The file that could not grow.
        path: PathBuf,
    },
    /// The disk failed under this partition; what was not durable then is lost and was not acknowledged.
    #[error("`{topic}-{partition}` takes no writes since the disk failed: {reason}")]
    Fenced {
        /// The topic's name.
        topic: String,
        /// The partition's number.
        partition: i32,
        /// What the disk said.
        reason: String,
    },
    /// The data directory as a whole cannot be used: another process has it, or a newer version wrote it.
    #[error("data directory `{path}` cannot be used: {reason}")]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// Any other failure of the disk.
    #[error("cannot {doing} `{path}`: {source}")]
    Io {
        /// What was being done: "read", "rename" and so on.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl LogError {
    /// Gives an error of the system its place and turns a full disk into [`LogError::DiskFull`].
    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { path: path.to_owned() }
            }
            _ => Self::Io { doing, path: path.to_owned(), source },
        }
    }
}
