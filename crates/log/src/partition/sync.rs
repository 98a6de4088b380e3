//! Making bytes durable, noting it in the manifest, and what follows when the disk fails.

use super::{ActiveSegment, DurableMark, Partition, State, Stopped};
use crate::disk::{DiskFile, Open};
use crate::flusher::Haste;
use crate::manifest::DurableEnd;
use crate::reserve::Need;
use crate::segment::{ClosedSegment, SegmentName};
use crate::{LogError, limits, manifest, metafile};
use parking_lot::MutexGuard;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Proof that the caller keeps the partition's files.
pub(super) type Keeper<'a> = MutexGuard<'a, ()>;

impl Partition {
    /// Resolves when everything before `next_offset` is on disk; [`LogError::Fenced`] where the disk failed before.
    pub async fn flushed(self: &Arc<Self>, next_offset: i64) -> Result<(), LogError> {
        self.when_durable(next_offset, Haste::AtOnce).await
    }

    /// [`Partition::flushed`] for one of many who append again when they have their answer: the sync waits a moment for
    /// those who are about to come back, so that they share it.
    pub async fn flushed_together(self: &Arc<Self>, next_offset: i64) -> Result<(), LogError> {
        self.when_durable(next_offset, Haste::Together).await
    }

    async fn when_durable(self: &Arc<Self>, next_offset: i64, haste: Haste) -> Result<(), LogError> {
        let mut mark = self.durable.subscribe();
        let settled = |mark: &DurableMark| mark.next_offset >= next_offset || mark.stopped;
        if !settled(&mark.borrow()) {
            self.shared.flusher.request(self, haste);
        }
        // The sender lives as long as `self`.
        let durable = mark.wait_for(settled).await.is_ok_and(|mark| mark.next_offset >= next_offset);
        let state = self.state.lock();
        if let Some(lost) = state.lost.iter().find(|lost| lost.contains(&(next_offset - 1))) {
            let reason = format!("records {} to {} were lost with it", lost.start, lost.end - 1);
            return Err(self.fenced(reason));
        }
        if durable { Ok(()) } else { self.check_writable(&state) }
    }

    /// Puts everything appended so far on disk, in the calling thread.
    pub fn sync(&self) -> Result<(), LogError> {
        let keeper = self.keeper.lock();
        self.sync_kept(&keeper)
    }

    /// Puts everything on disk and notes it.
    pub(crate) fn close(&self) -> Result<(), LogError> {
        let keeper = self.keeper.lock();
        self.sync_kept(&keeper)?;
        self.cut_zeros(&mut self.state.lock());
        if self.state.lock().unnoted_bytes > 0 { self.note(&keeper) } else { Ok(()) }
    }

    pub(super) fn sync_kept(&self, keeper: &Keeper<'_>) -> Result<(), LogError> {
        let (closed_files, active_file, end, dir_changed) = {
            let mut state = self.state.lock();
            self.check_writable(&state)?;
            self.lay_zeros(&mut state);
            let closed: Vec<_> = state.unsynced.iter().map(|file| Arc::clone(&file.file)).collect();
            let active = state.active.dirty.as_ref().map(|file| Arc::clone(&file.file));
            (closed, active, state.active.end(), std::mem::take(&mut state.dir_changed))
        };
        let sync = || {
            // In the order of the offsets: what is behind a batch is not durable before it.
            for file in closed_files.iter().chain(&active_file) {
                let began = Instant::now();
                file.sync().map_err(|error| LogError::io("sync", &self.dir, error))?;
                self.shared.sync_seconds.observe(began.elapsed());
            }
            if dir_changed {
                self.sync_dir()?;
            }
            Ok(())
        };
        if let Err(error) = sync() {
            let mut state = self.state.lock();
            self.fence(&mut state, &error);
            return Err(error);
        }
        let note = self.became_durable(closed_files.len(), end);
        if note && let Err(error) = self.note(keeper) {
            // What was promised is on disk; recovery will only have more to read.
            tracing::warn!(topic = self.topic, partition = self.number, %error, "checkpoint failed");
        }
        Ok(())
    }

    /// Publishes the new durable end; says whether it is time to note it.
    fn became_durable(&self, closed_files: usize, end: DurableEnd) -> bool {
        let mut state = self.state.lock();
        state.unsynced.drain(..closed_files);
        if state.active.end() == end {
            state.active.dirty = None;
        }
        let bytes = if end.base_offset == state.durable.base_offset { state.durable.size_bytes } else { 0 };
        state.unnoted_bytes = state.unnoted_bytes.saturating_add(end.size_bytes - bytes);
        state.durable = end;
        self.durable.send_modify(|mark| mark.next_offset = end.next_offset);
        state.unnoted_bytes >= limits::CHECKPOINT_BYTES
    }

    /// Writes the manifest and the indexes that have no file yet, and then removes what is obsolete.
    pub(super) fn note(&self, _keeper: &Keeper<'_>) -> Result<(), LogError> {
        let (text, indexes, obsolete) = {
            let mut state = self.state.lock();
            let mut indexes = std::mem::take(&mut state.unwritten_indexes);
            let durable = state.durable;
            if state.active.base_offset == durable.base_offset && durable.size_bytes > 0 {
                let mut index = state.active.index.clone();
                index.cut(durable.size_bytes, durable.next_offset);
                indexes.push((state.active.name(), Arc::new(index)));
            }
            state.unnoted_bytes = 0;
            let text = state.manifest(self.shared.retention_now_ms()).encode();
            (text, indexes, std::mem::take(&mut state.obsolete))
        };
        for (name, index) in &indexes {
            self.write_index(*name, &index.encode());
        }
        let path = self.dir.join(manifest::FILE);
        let mut written = metafile::replace(&*self.shared.disk, &path, &text);
        while matches!(written, Err(LogError::DiskFull { .. })) && self.shared.reserve.give(Need::Bookkeeping)
        {
            written = metafile::replace(&*self.shared.disk, &path, &text);
        }
        if let Err(error) = written {
            let mut state = self.state.lock();
            state.obsolete.extend(obsolete);
            state.unnoted_bytes = u64::MAX;
            return Err(error);
        }
        for name in obsolete {
            self.remove_segment(name);
        }
        Ok(())
    }

    /// Indexes are made anew where they are missing, so a failure costs only time.
    pub(super) fn write_index(&self, name: SegmentName, bytes: &[u8]) {
        let path = name.index_path(&self.dir);
        let written = self.shared.disk.open(&path, Open::Create).and_then(|file| file.write_at(0, bytes));
        if let Err(error) = written {
            tracing::debug!(path = %path.display(), %error, "index not written");
            let _ = self.shared.disk.remove(&path);
        }
    }

    /// Removes a segment's files. What stays is removed by the next recovery.
    pub(super) fn remove_segment(&self, name: SegmentName) {
        let log = name.log_path(&self.dir);
        self.shared.files.forget(&log);
        for path in [log, name.index_path(&self.dir)] {
            match self.shared.disk.remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(path = %path.display(), %error, "cannot remove a file");
                }
                _ => {}
            }
        }
    }

    pub(super) fn create_file(&self, path: &Path) -> Result<Arc<dyn DiskFile>, LogError> {
        self.shared.files.create(path).map_err(|error| LogError::io("create", path, error))
    }

    pub(super) fn sync_dir(&self) -> Result<(), LogError> {
        self.shared.disk.sync_dir(&self.dir).map_err(|error| LogError::io("sync", &self.dir, error))
    }

    /// Stops writing after the disk failed: what was not durable then counts as lost, is not shown to readers any more, and a
    /// later sync that happens to work proves nothing (the kernel may have dropped the bytes).
    pub(super) fn fence(&self, state: &mut State, error: &LogError) {
        if state.stopped.is_none() {
            tracing::error!(topic = self.topic, partition = self.number, %error, "partition fenced");
            state.stopped = Some(Stopped::Fenced(error.to_string()));
            self.durable.send_modify(|mark| mark.stopped = true);
            self.appended.send_modify(|_| {});
        }
    }

    /// Like a failed sync: nobody knows what is on disk.
    pub(crate) fn fence_after_panic(&self) {
        let error =
            LogError::Io { doing: "sync", path: self.dir.clone(), source: io::Error::other("it panicked") };
        self.fence(&mut self.state.lock(), &error);
    }

    /// Tries to go on after a failure of the disk, from the durable end and in a new file, as recovery at a restart would. Offsets
    /// that were given and lost are not given again.
    pub(crate) fn revive(&self) -> Result<(), LogError> {
        let keeper = self.keeper.lock();
        let (durable, lost, next_offset) = {
            let state = self.state.lock();
            if !matches!(state.stopped, Some(Stopped::Fenced(_))) {
                return Ok(());
            }
            let later = |name: &SegmentName| name.base_offset > state.durable.base_offset;
            let names = state.closed.iter().map(|segment| segment.name).chain([state.active.name()]);
            (state.durable, names.filter(later).collect::<Vec<_>>(), state.active.next_offset)
        };
        // An offset ahead of every file name that was in use, even where nothing was appended.
        let next_offset = next_offset + 1;
        let broken = SegmentName::first(durable.base_offset);
        let path = broken.log_path(&self.dir);
        self.shared.files.forget(&path);
        let io = |error| LogError::io("cut", &path, error);
        let file = self.shared.files.open(&path).map_err(io)?;
        file.set_len(durable.size_bytes).and_then(|()| file.sync()).map_err(io)?;
        let next = ActiveSegment::new(next_offset);
        let next_path = next.name().log_path(&self.dir);
        self.create_file(&next_path)?.sync().map_err(|error| LogError::io("sync", &next_path, error))?;
        self.sync_dir()?;
        self.install_revived(durable, lost, next);
        let noted = self.note(&keeper);
        let mut state = self.state.lock();
        if let Err(error) = noted {
            // Still fenced; the next attempt begins from the same end.
            state.durable = durable;
            return Err(error);
        }
        state.stopped = None;
        let next_offset = state.durable.next_offset;
        self.durable.send_replace(DurableMark { next_offset, stopped: false });
        self.appended.send_replace(next_offset);
        tracing::info!(topic = self.topic, partition = self.number, "partition takes writes again");
        Ok(())
    }

    /// Lets the partition consist of what is durable and a new active segment.
    fn install_revived(&self, durable: DurableEnd, lost: Vec<SegmentName>, next: ActiveSegment) {
        let mut state = self.state.lock();
        let state = &mut *state;
        // The newest timestamp may be that of a lost record: the segment is then kept a little longer.
        let broken = state.closed.iter().find(|segment| segment.name.base_offset == durable.base_offset);
        let newest_timestamp =
            broken.map_or(state.active.index.newest_timestamp(), |segment| segment.newest_timestamp);
        state.closed.retain(|segment| segment.name.base_offset < durable.base_offset);
        let name = SegmentName::first(durable.base_offset);
        if durable.size_bytes > 0 {
            state.closed.push(ClosedSegment {
                name,
                size_bytes: durable.size_bytes,
                next_offset: durable.next_offset,
                newest_timestamp,
                closed_at: self.shared.retention_now_ms(),
            });
        } else {
            state.obsolete.push(name);
        }
        state.lost.push(durable.next_offset..next.base_offset);
        state.lost.drain(..state.lost.len().saturating_sub(limits::LOST_RANGES));
        state.obsolete.extend(lost);
        state.unsynced.clear();
        state.unwritten_indexes.clear();
        state.dir_changed = false;
        state.active = next;
        state.durable = state.active.end();
    }
}
