//! Files of the simulated disk: bytes as seen, bytes on the platter, and the writes between.

use super::{Operation, SimDisk};
use crate::disk::DiskFile;
use crate::random::Random;
use std::io;
use std::path::PathBuf;

#[derive(Debug, Default)]
pub(super) struct Inode {
    seen: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Write>,
}

#[derive(Debug)]
enum Write {
    Bytes { at: usize, bytes: Vec<u8> },
    Len(usize),
}

impl Inode {
    pub(super) fn holding(bytes: &[u8]) -> Self {
        Self { seen: bytes.to_vec(), durable: bytes.to_vec(), pending: Vec::new() }
    }

    pub(super) fn contents(&self) -> &[u8] {
        &self.seen
    }

    pub(super) fn set_len(&mut self, len: usize) {
        self.seen.resize(len, 0);
        self.pending.push(Write::Len(len));
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        put(&mut self.seen, at, bytes);
        self.pending.push(Write::Bytes { at, bytes: bytes.to_vec() });
    }

    fn sync(&mut self) {
        for write in self.pending.drain(..) {
            match write {
                Write::Bytes { at, bytes } => put(&mut self.durable, at, &bytes),
                Write::Len(len) => self.durable.resize(len, 0),
            }
        }
    }

    /// A sync that failed: what was to be saved counts as saved, and is not.
    fn fail_sync(&mut self, random: &mut Random) {
        let seen = self.seen.clone();
        self.crash(random, 512);
        self.seen = seen;
    }

    /// Lets each grain of each pending write survive or not. Where the file has grown past a lost one stand zeros or
    /// what the platter held before.
    pub(super) fn crash(&mut self, random: &mut Random, grain: usize) {
        let survivors_percent = [0, 50, 90, 100][usize::try_from(random.below(4)).unwrap_or(0)];
        let garbage = random.chance(30);
        for write in std::mem::take(&mut self.pending) {
            match write {
                Write::Len(len) if random.chance(survivors_percent) => self.durable.resize(len, 0),
                Write::Len(_) => {}
                Write::Bytes { mut at, bytes } => {
                    let mut rest = bytes.as_slice();
                    while !rest.is_empty() {
                        let (torn, later) = rest.split_at((grain - at % grain).min(rest.len()));
                        if random.chance(survivors_percent) {
                            let hole = self.durable.len()..at;
                            put(&mut self.durable, at, torn);
                            if garbage {
                                hole.for_each(|byte| self.durable[byte] = random.number().to_le_bytes()[0]);
                            }
                        }
                        at += torn.len();
                        rest = later;
                    }
                }
            }
        }
        self.seen.clone_from(&self.durable);
    }
}

fn put(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[at..end].copy_from_slice(bytes);
}

#[derive(Debug)]
pub(super) struct SimFile {
    disk: SimDisk,
    inode: u64,
    path: PathBuf,
}

impl SimFile {
    pub(super) fn new(disk: SimDisk, inode: u64, path: PathBuf) -> Self {
        Self { disk, inode, path }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inode) -> T) -> io::Result<T> {
        let mut state = self.disk.0.lock();
        state.powered()?;
        state.inodes.get_mut(&self.inode).map(work).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn index(at: u64) -> io::Result<usize> {
    usize::try_from(at).map_err(io::Error::other)
}

impl DiskFile for SimFile {
    fn size_bytes(&self) -> io::Result<u64> {
        self.with(|inode| inode.seen.len() as u64)
    }

    fn read_at(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        state.fault(Operation::Read, &self.path)?;
        state.bytes_read += out.len() as u64;
        drop(state);
        let at = index(at)?;
        self.with(|inode| match inode.seen.get(at..at.saturating_add(out.len())) {
            Some(bytes) => {
                out.copy_from_slice(bytes);
                Ok(())
            }
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        })?
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        state.change()?;
        state.fault(Operation::Write, &self.path)?;
        let at = index(at)?;
        let free = index(state.free_bytes().min(u64::from(u32::MAX)))?;
        let inode = state.inodes.get_mut(&self.inode).ok_or(io::ErrorKind::NotFound)?;
        let fits = bytes.len().min((inode.seen.len() + free).saturating_sub(at));
        inode.write(at, &bytes[..fits]);
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.0.lock().change()?;
        let len = index(len)?;
        self.with(|inode| inode.set_len(len))
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        state.change()?;
        let failed = state.fault(Operation::Sync, &self.path);
        let super::State { inodes, random, .. } = &mut *state;
        let inode = inodes.get_mut(&self.inode).ok_or(io::ErrorKind::NotFound)?;
        match failed {
            Ok(()) => inode.sync(),
            Err(_) => inode.fail_sync(random),
        }
        failed
    }
}
