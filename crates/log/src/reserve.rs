//! Bytes on disk kept aside for a full disk: file `reserve` in the data directory, which shrinks when the audit or the log's own
//! bookkeeping needs room, and grows back when there is space again. The last step is for bookkeeping alone: without a new
//! manifest retention could not free anything.

use crate::LogError;
use crate::disk::{Disk, DiskFile, Open};
use crate::limits::RESERVE_STEP_BYTES;
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Who asks for room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Records of a reserved topic.
    Records,
    /// The log's own files.
    Bookkeeping,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Reserve {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Mutex<Arc<dyn DiskFile>>,
    target_bytes: u64,
    /// Whether some of it has been given out: ordinary appends wait then, or they would eat what the audit was given.
    spent: AtomicBool,
}

impl Reserve {
    /// Opens or makes the file. Where the disk is full already it stays smaller than it should be.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path, target_bytes: u64) -> Result<Self, LogError> {
        let path = dir.join("reserve");
        let file = match disk.open(&path, Open::Existing) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => disk.open(&path, Open::Create),
            opened => opened,
        };
        let file = file.map_err(|error| LogError::io("open", &path, error))?;
        let reserve = Self { disk, path, file: Mutex::new(file), target_bytes, spent: AtomicBool::new(true) };
        reserve.refill();
        Ok(reserve)
    }

    /// Gives out one step; false where there is nothing left.
    pub(crate) fn give(&self, need: Need) -> bool {
        let file = self.file.lock();
        let Ok(len) = file.size_bytes() else { return false };
        let kept = if need == Need::Records { RESERVE_STEP_BYTES } else { 0 };
        let given = len > kept && file.set_len(len.saturating_sub(RESERVE_STEP_BYTES)).is_ok();
        if given {
            self.spent.store(true, Ordering::Relaxed);
        }
        given
    }

    /// Whether ordinary appends must wait. Tries to fill the reserve first.
    pub(crate) fn is_spent(&self) -> bool {
        self.spent.load(Ordering::Relaxed) && !self.refill()
    }

    /// Brings the reserve back to its size, if so much is free and a little more; says whether it has it.
    fn refill(&self) -> bool {
        let file = self.file.lock();
        let Ok(len) = file.size_bytes() else { return false };
        let missing = self.target_bytes.saturating_sub(len);
        let room = self.path.parent().and_then(|dir| self.disk.space(dir).ok());
        if missing > 0 && room.is_none_or(|room| room.free_bytes < missing.saturating_add(RESERVE_STEP_BYTES))
        {
            return false;
        }
        // Zeros are written out, since a length alone takes no space on most file systems.
        let zeros = vec![0; usize::try_from(missing.min(RESERVE_STEP_BYTES)).unwrap_or(0)];
        let mut at = len;
        while at < self.target_bytes {
            let step = zeros.len().min(usize::try_from(self.target_bytes - at).unwrap_or(usize::MAX));
            if file.write_at(at, &zeros[..step]).is_err() {
                let _ = file.set_len(at);
                return false;
            }
            at += step as u64;
        }
        self.spent.store(false, Ordering::Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SimDisk;

    #[test]
    fn the_reserve_is_given_out_in_steps_and_grows_back_when_there_is_space() {
        let disk = SimDisk::new(1);
        disk.limit(Some(3 * RESERVE_STEP_BYTES));
        let reserve = Reserve::open(Arc::new(disk.clone()), Path::new("/"), 2 * RESERVE_STEP_BYTES).unwrap();
        assert!(!reserve.is_spent());
        assert!(reserve.give(Need::Records) && !reserve.give(Need::Records));
        assert!(reserve.give(Need::Bookkeeping) && !reserve.give(Need::Bookkeeping));
        disk.limit(Some(RESERVE_STEP_BYTES));
        assert!(reserve.is_spent());
        disk.limit(Some(3 * RESERVE_STEP_BYTES));
        assert!(!reserve.is_spent());
    }
}
