//! A defect below the log must not leave anybody waiting for ever.
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod support;

use millstream_log::{Disk, DiskFile, Lock, LogError, Open, SimDisk, Space};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::{append, contents, one_partition};

/// A simulated disk whose next sync panics when it is told to.
#[derive(Debug, Clone)]
struct PanickingDisk(SimDisk, Arc<AtomicBool>);

#[derive(Debug)]
struct PanickingFile(Arc<dyn DiskFile>, Arc<AtomicBool>);

impl Disk for PanickingDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(PanickingFile(self.0.open(path, how)?, Arc::clone(&self.1))))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.0.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.create_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.remove_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.sync_dir(dir)
    }

    fn space(&self, dir: &Path) -> io::Result<Space> {
        self.0.space(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        self.0.lock(path)
    }
}

impl DiskFile for PanickingFile {
    fn size_bytes(&self) -> io::Result<u64> {
        self.0.size_bytes()
    }

    fn read_at(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_at(at, out)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_at(at, bytes)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        assert!(!self.1.swap(false, Ordering::Relaxed), "a defect, as ordered by the test");
        self.0.sync()
    }
}

#[tokio::test]
async fn a_panic_during_a_sync_fences_the_partition_and_the_next_sync_works() {
    let disk = PanickingDisk(SimDisk::new(1), Arc::default());
    let (log, partition) = one_partition(&disk, &[]);
    let next = append(&partition, &["a"]);
    disk.1.store(true, Ordering::Relaxed);
    let flushed = tokio::time::timeout(Duration::from_secs(10), partition.flushed(next)).await.unwrap();
    assert!(matches!(flushed, Err(LogError::Fenced { .. })), "{flushed:?}");
    log.maintain();
    let next = append(&partition, &["b"]);
    tokio::time::timeout(Duration::from_secs(10), partition.flushed(next)).await.unwrap().unwrap();
    assert_eq!(contents(&partition).len(), 1);
}
