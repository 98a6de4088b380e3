//! Small files of the log's own bookkeeping: versioned, checksummed text, replaced as a whole.
//!
//! ```text
//! millstream-<kind> <version>
//! <word> <value>
//! …
//! crc <CRC-32C of all lines before, 8 hex digits>
//! ```
//!
//! A new text is written to a temporary file, synced, renamed over the old one, and the directory is synced: after a
//! crash there is the old text or the new one.

use crate::LogError;
use crate::disk::{Disk, Open};
use std::fmt::Write as _;
use std::path::Path;

/// Why a text cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BadText {
    /// A newer version of Millstream wrote it.
    Newer(u32),
    /// It is not what was written.
    Damaged(String),
}

/// `lines` between a head and a checksum.
pub(crate) fn seal(kind: &str, version: u32, lines: &str) -> String {
    let mut text = format!("millstream-{kind} {version}\n{lines}");
    let crc = crc32c::crc32c(text.as_bytes());
    let _ = writeln!(text, "crc {crc:08x}");
    text
}

/// The lines of a sealed text of this kind. `version` is the newest that is understood.
pub(crate) fn unseal<'a>(kind: &str, version: u32, text: &'a [u8]) -> Result<std::str::Lines<'a>, BadText> {
    let damaged = |what: &str| BadText::Damaged(what.to_owned());
    let text = std::str::from_utf8(text).map_err(|_| damaged("it is no text"))?;
    let (head, _) = text.split_once('\n').ok_or_else(|| damaged("it has no first line"))?;
    let found = head
        .strip_prefix("millstream-")
        .and_then(|head| head.strip_prefix(kind))
        .and_then(|found| found.trim_start().parse::<u32>().ok())
        .ok_or_else(|| damaged("its first line is wrong"))?;
    if found > version {
        return Err(BadText::Newer(found));
    }
    let (body, crc) = text.rsplit_once("crc ").ok_or_else(|| damaged("it has no checksum"))?;
    if crc != format!("{:08x}\n", crc32c::crc32c(body.as_bytes())) {
        return Err(damaged("its checksum is wrong"));
    }
    let lines = body.get(head.len() + 1..).unwrap_or_default();
    Ok(lines.lines())
}

/// Puts `text` at `path`, in one step and durably.
pub(crate) fn replace(disk: &dyn Disk, path: &Path, text: &str) -> Result<(), LogError> {
    let new = path.with_extension("new");
    let written = disk.open(&new, Open::Create).and_then(|file| {
        file.write_at(0, text.as_bytes())?;
        file.sync()
    });
    if let Err(error) = written {
        // Nothing is lost with it; the next attempt makes another one.
        let _ = disk.remove(&new);
        return Err(LogError::io("write", &new, error));
    }
    disk.rename(&new, path).map_err(|error| LogError::io("rename to", path, error))?;
    let dir = path.parent().unwrap_or(Path::new("."));
    disk.sync_dir(dir).map_err(|error| LogError::io("sync", dir, error))
}

/// The bytes of a small file; `None` where there is none.
pub(crate) fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<u8>>, LogError> {
    let read = || -> std::io::Result<Vec<u8>> {
        let file = disk.open(path, Open::Existing)?;
        let len = usize::try_from(file.size_bytes()?).map_err(std::io::Error::other)?;
        let mut bytes = vec![0; len];
        file.read_at(0, &mut bytes)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LogError::io("read", path, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SimDisk;

    #[test]
    fn a_sealed_text_opens_and_a_changed_one_does_not() {
        let text = seal("topic", 1, "id 7\npartitions 3\n");
        let lines: Vec<_> = unseal("topic", 1, text.as_bytes()).unwrap().collect();
        assert_eq!(lines, ["id 7", "partitions 3"]);
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] ^= 1;
            assert!(unseal("topic", 1, &changed).is_err(), "byte {at}");
            assert!(unseal("topic", 1, &text.as_bytes()[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_newer_version_says_so() {
        let text = seal("topic", 2, "what this version cannot know\n");
        assert_eq!(unseal("topic", 1, text.as_bytes()).unwrap_err(), BadText::Newer(2));
    }

    #[test]
    fn a_crash_leaves_the_old_text_or_the_new_one() {
        let path = Path::new("/topic");
        for changes in 0..6 {
            let disk = SimDisk::new(changes);
            replace(&disk, path, "old").unwrap();
            disk.off_after(changes);
            let done = replace(&disk, path, "new");
            let text = disk.crash().contents(path).unwrap();
            assert!(text == b"new" || text == b"old" && done.is_err());
        }
    }
}
