//! What the broker's tests share.
#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

use millstream_log::{Disk, Log, LogConfig};
use millstream_model::{Clock, Timestamp};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// A clock that stands still, long after the records of the tests.
#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_100_000)
    }
}

/// The clock of all tests.
pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(Fixed)
}

/// A log that recovers without a finding worth failing for.
pub(crate) fn open_log(disk: Arc<dyn Disk>, dir: &Path) -> Arc<Log> {
    Log::open(disk, dir, LogConfig::default(), clock()).unwrap().0
}

/// An empty directory of its own in the build's folder. What the last run left there goes with the first one of this run.
pub(crate) fn fresh_dir(what: &str) -> PathBuf {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let root = ROOT.get_or_init(|| {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(what);
        let _ = std::fs::remove_dir_all(&root);
        root
    });
    let dir = root.join(NEXT.fetch_add(1, Ordering::Relaxed).to_string());
    std::fs::create_dir_all(&dir).unwrap();
    dir
}
