//! A simulated disk in memory that forgets, reorders and tears whatever was not synced, and fails when told to.
//!
//! Each file has its bytes as the process sees them, its bytes on the platter, and the writes between the two. Each
//! directory has names in the same two states. [`SimDisk::crash`] cuts the power: of the writes and name changes that were not
//! synced, any part survives, in any order, torn into sectors; [`SimDisk::kill`] ends only the process. Both give the disk that the next
//! process finds, and make the old one fail for ever, as if its process were gone.

mod file;
mod names;

use crate::disk::{Disk, DiskFile, Lock, Open, Space};
use crate::random::Random;
use file::{Inode, SimFile};
use names::{Names, Node};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a fault hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// [`DiskFile::read_at`]
    Read,
    /// [`DiskFile::write_at`]
    Write,
    /// [`DiskFile::sync`] and [`Disk::sync_dir`]
    Sync,
}

/// A disk in memory. Clones are the same disk.
#[derive(Debug, Clone)]
pub struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    random: Random,
    names: Names,
    inodes: BTreeMap<u64, Inode>,
    inodes_made: u64,
    locks: BTreeSet<PathBuf>,
    capacity_bytes: Option<u64>,
    faults: Vec<Fault>,
    /// Changes that still work before the power goes; `None` for ever.
    changes_left: Option<u64>,
    changes_made: u64,
    bytes_read: u64,
    off: bool,
}

#[derive(Debug)]
struct Fault {
    operation: Operation,
    path_part: String,
    times: u32,
}

impl SimDisk {
    /// An empty disk; what a crash leaves over depends on `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            random: Random::new(seed),
            names: Names::new(),
            inodes: BTreeMap::new(),
            inodes_made: 0,
            locks: BTreeSet::new(),
            capacity_bytes: None,
            faults: Vec::new(),
            changes_left: None,
            changes_made: 0,
            bytes_read: 0,
            off: false,
        })))
    }

    /// Cuts the power and gives the disk that is found afterwards.
    #[must_use]
    pub fn crash(&self) -> Self {
        let mut state = self.0.lock();
        let State { random, names, inodes, .. } = &mut *state;
        names.crash(random);
        // How fine writes tear: within a record, at sectors, at pages.
        let grain = [16, 512, 4096][usize::try_from(random.below(3)).unwrap_or(0)];
        for inode in inodes.values_mut() {
            inode.crash(random, grain);
        }
        state.restart()
    }

    /// Ends the process, not the machine, and gives the disk as the next process finds it.
    #[must_use]
    pub fn kill(&self) -> Self {
        self.0.lock().restart()
    }

    /// From now on at most `bytes` of file contents fit; `None` is no limit.
    pub fn limit(&self, bytes: Option<u64>) {
        self.0.lock().capacity_bytes = bytes;
    }

    /// Lets the next `times` operations on paths that contain `path_part` fail with an I/O error. A sync that fails loses what it
    /// should have made durable, as on Linux: it stays visible until the crash, and no later sync saves it.
    pub fn fail(&self, operation: Operation, path_part: &str, times: u32) {
        self.0.lock().faults.push(Fault { operation, path_part: path_part.to_owned(), times });
    }

    /// The power goes after `changes` more writes, syncs and name changes: everything fails then until [`SimDisk::crash`].
    pub fn off_after(&self, changes: u64) {
        self.0.lock().changes_left = Some(changes);
    }

    /// Writes, syncs and name changes so far.
    pub fn changes_made(&self) -> u64 {
        self.0.lock().changes_made
    }

    /// Bytes read so far.
    pub fn bytes_read(&self) -> u64 {
        self.0.lock().bytes_read
    }

    /// The bytes of a file, as the process sees them.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.0.lock();
        match state.names.find(path)? {
            Node::File(inode) => Some(state.inodes[&inode].contents().to_vec()),
            Node::Dir(_) => None,
        }
    }

    /// Replaces the bytes of a file behind the back of the process, durably.
    pub fn set_contents(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.0.lock();
        if let Some(Node::File(inode)) = state.names.find(path) {
            state.inodes.insert(inode, Inode::holding(bytes));
        }
    }
}

impl State {
    /// Moves everything to a disk for the next process and turns this one off.
    fn restart(&mut self) -> SimDisk {
        let seed = self.random.number();
        self.off = true;
        SimDisk(Arc::new(Mutex::new(Self {
            random: Random::new(seed),
            names: std::mem::replace(&mut self.names, Names::new()),
            inodes: std::mem::take(&mut self.inodes),
            inodes_made: self.inodes_made,
            locks: BTreeSet::new(),
            capacity_bytes: self.capacity_bytes,
            faults: Vec::new(),
            changes_left: None,
            changes_made: 0,
            bytes_read: 0,
            off: false,
        })))
    }

    fn powered(&self) -> io::Result<()> {
        if self.off { Err(io::Error::other("the simulated power is off")) } else { Ok(()) }
    }

    /// Counts a change, and lets the power go when its time has come.
    fn change(&mut self) -> io::Result<()> {
        self.powered()?;
        match &mut self.changes_left {
            Some(0) => {
                self.off = true;
                return self.powered();
            }
            Some(left) => *left -= 1,
            None => {}
        }
        self.changes_made += 1;
        Ok(())
    }

    fn fault(&mut self, operation: Operation, path: &Path) -> io::Result<()> {
        let path = path.to_string_lossy();
        let hit = |fault: &Fault| fault.operation == operation && path.contains(&fault.path_part);
        let Some(at) = self.faults.iter().position(hit) else { return Ok(()) };
        self.faults[at].times -= 1;
        if self.faults[at].times == 0 {
            self.faults.remove(at);
        }
        Err(io::Error::other("simulated I/O error"))
    }

    /// How many more bytes fit.
    fn free_bytes(&self) -> u64 {
        let Some(capacity) = self.capacity_bytes else { return u64::MAX };
        let used = self.names.files().into_iter().map(|inode| self.inodes[&inode].contents().len() as u64);
        capacity.saturating_sub(used.sum())
    }
}

#[derive(Debug)]
struct SimLock(SimDisk, PathBuf);

impl Lock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.0.0.lock().locks.remove(&self.1);
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.0.lock();
        state.powered()?;
        let inode = match (state.names.find(path), how) {
            (Some(Node::File(inode)), Open::Existing) => inode,
            (Some(Node::File(inode)), Open::Create) => {
                state.change()?;
                if let Some(file) = state.inodes.get_mut(&inode) {
                    file.set_len(0);
                }
                inode
            }
            (None, Open::Create) => {
                state.change()?;
                state.inodes_made += 1;
                let inode = state.inodes_made;
                state.inodes.insert(inode, Inode::default());
                state.names.put(path, Some(Node::File(inode)))?;
                inode
            }
            (None, Open::Existing) => return Err(io::ErrorKind::NotFound.into()),
            (Some(Node::Dir(_)), _) => return Err(io::ErrorKind::IsADirectory.into()),
        };
        Ok(Arc::new(SimFile::new(self.clone(), inode, path.to_owned())))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.0.lock();
        state.powered()?;
        state.names.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        for path in dir.ancestors().collect::<Vec<_>>().into_iter().rev() {
            if state.names.find(path).is_none() {
                state.change()?;
                state.names.make_dir(path)?;
            }
        }
        state.powered()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.change()?;
        state.names.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.change()?;
        match state.names.find(path) {
            Some(Node::File(_)) => state.names.put(path, None),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        for name in self.list(dir)? {
            let path = dir.join(name);
            let node = self.0.lock().names.find(&path);
            match node {
                Some(Node::Dir(_)) => self.remove_dir(&path)?,
                _ => self.remove(&path)?,
            }
        }
        let mut state = self.0.lock();
        state.change()?;
        state.names.put(dir, None)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.change()?;
        state.fault(Operation::Sync, dir)?;
        state.names.sync(dir)
    }

    fn space(&self, _dir: &Path) -> io::Result<Space> {
        let state = self.0.lock();
        state.powered()?;
        Ok(Space { total_bytes: state.capacity_bytes.unwrap_or(u64::MAX), free_bytes: state.free_bytes() })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        let mut state = self.0.lock();
        state.powered()?;
        if state.locks.insert(path.to_owned()) {
            Ok(Box::new(SimLock(self.clone(), path.to_owned())))
        } else {
            Err(io::ErrorKind::WouldBlock.into())
        }
    }
}

#[cfg(test)]
mod tests;
