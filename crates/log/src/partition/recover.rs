//! What a start does with what it finds.
//!
//! The manifest says how far the partition was durable. Behind that, batches are read one by one, through the rest of that
//! segment and those that follow it, and the first one that is damaged or out of order ends the partition: it and all after it is cut
//! off, since nobody was told that it is kept. Before that nothing is ever cut off: what is damaged there stays, and
//! reading it is an error that names the offsets.

use super::{ActiveSegment, DurableMark, Partition, Shared, State};
use crate::config::TopicConfig;
use crate::disk::{DiskFile, Open};
use crate::index::Index;
use crate::manifest::{self, DurableEnd, Manifest};
use crate::metafile::{self, BadText};
use crate::segment::{ClosedSegment, Extent, SegmentName, SegmentReader, Step, Walk, after};
use crate::{LogError, limits};
use millstream_model::metric::Counter;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

/// Lays down the files of a new partition in an existing directory.
pub(crate) fn create(shared: &Shared, dir: &Path) -> Result<(), LogError> {
    let manifest = Manifest { clock_ms: shared.retention_now_ms(), ..Manifest::default() };
    metafile::replace(&*shared.disk, &dir.join(manifest::FILE), &manifest.encode())
}

/// The retention clock that a partition has noted.
pub(crate) fn noted_clock_ms(shared: &Shared, dir: &Path) -> Option<i64> {
    let text = metafile::read(&*shared.disk, &dir.join(manifest::FILE)).ok()??;
    Manifest::decode(&text).ok().map(|manifest| manifest.clock_ms).filter(|clock| *clock > 0)
}

impl Partition {
    /// Opens a partition and brings it into order. Also gives what was found, in words.
    pub(crate) fn open(
        shared: Arc<Shared>,
        topic: &str,
        number: i32,
        dir: PathBuf,
        config: Arc<TopicConfig>,
    ) -> Result<(Arc<Self>, Vec<String>), LogError> {
        let mut recovery = Recovery::begin(&shared, &dir)?;
        recovery.check_closed()?;
        let (active, changed) = recovery.read_tail()?;
        let Recovery { manifest, findings, .. } = recovery;
        let next_offset = active.next_offset;
        let partition = Arc::new(Self {
            topic: topic.to_owned(),
            number,
            dir,
            shared,
            config: Mutex::new(config),
            keeper: Mutex::new(()),
            compacting: Mutex::new(()),
            state: Mutex::new(State {
                start_offset: manifest.start_offset,
                closed: manifest.segments,
                durable: active.end(),
                active,
                compacted_offset: manifest.compacted_offset,
                stopped: None,
                lost: Vec::new(),
                unsynced: Vec::new(),
                unwritten_indexes: Vec::new(),
                dir_changed: false,
                obsolete: Vec::new(),
                unnoted_bytes: 0,
            }),
            appended: watch::channel(next_offset).0,
            durable: watch::channel(DurableMark { next_offset, stopped: false }).0,
            queued: AtomicBool::new(false),
            appended_records: Counter::default(),
            appended_bytes: Counter::default(),
        });
        if changed {
            match partition.note(&partition.keeper.lock()) {
                // The next start would find the same and do the same; a full disk must not keep readers out.
                Err(LogError::DiskFull { .. }) | Ok(()) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((partition, findings))
    }
}

#[derive(Debug)]
struct Recovery<'a> {
    shared: &'a Shared,
    dir: &'a Path,
    manifest: Manifest,
    /// Segment files that the manifest does not name.
    unnamed: BTreeSet<SegmentName>,
    findings: Vec<String>,
    changed: bool,
    /// What the manifest names is on disk.
    was_closed: bool,
}

impl<'a> Recovery<'a> {
    fn begin(shared: &'a Shared, dir: &'a Path) -> Result<Self, LogError> {
        let sync_names = || shared.disk.sync_dir(dir).map_err(|error| LogError::io("sync", dir, error));
        let was_closed = shared.was_closed.load(Ordering::Relaxed);
        if !was_closed {
            // A process that was killed may have left names that are seen and not durable yet; what follows builds on them.
            sync_names()?;
        }
        let files = shared.disk.list(dir).map_err(|error| LogError::io("list", dir, error))?;
        for unfinished in files.iter().filter(|name| name.strip_suffix(".new").is_some()) {
            let path = dir.join(unfinished);
            shared.disk.remove(&path).map_err(|error| LogError::io("remove", &path, error))?;
        }
        let path = dir.join(manifest::FILE);
        let decoded = match metafile::read(&*shared.disk, &path)? {
            Some(text) => Manifest::decode(&text),
            None => Err(BadText::Damaged("it is missing".to_owned())),
        };
        let segments = files.iter().filter_map(|name| SegmentName::parse(name)).collect();
        let mut recovery = Self {
            shared,
            dir,
            manifest: Manifest::default(),
            unnamed: segments,
            findings: Vec::new(),
            changed: false,
            was_closed,
        };
        match decoded {
            Ok(manifest) => recovery.manifest = manifest,
            Err(BadText::Newer(version)) => {
                let reason = format!(
                    "it has format version {version}, which a newer Millstream wrote; start that version, or restore a backup"
                );
                return Err(LogError::DataDir { path, reason });
            }
            Err(BadText::Damaged(what)) => recovery.rebuild(&what)?,
        }
        for segment in &recovery.manifest.segments {
            recovery.unnamed.remove(&segment.name);
        }
        let active = SegmentName::first(recovery.manifest.durable.base_offset);
        if was_closed && recovery.unnamed.iter().any(|name| *name != active) {
            // Somebody went on after the log was closed.
            recovery.was_closed = false;
            sync_names()?;
        }
        Ok(recovery)
    }

    fn io(&self, doing: &'static str, name: SegmentName) -> impl Fn(io::Error) -> LogError {
        let path = name.log_path(self.dir);
        move |error| LogError::io(doing, &path, error)
    }

    /// Makes a manifest from the files there are: of those that overlap the one with the most compactions counts.
    fn rebuild(&mut self, what: &str) -> Result<(), LogError> {
        self.findings
            .push(format!("the manifest cannot be used ({what}) and was made anew from the segments"));
        self.changed = true;
        let mut names: Vec<_> = self.unnamed.iter().copied().collect();
        names.sort_by_key(|name| (name.base_offset, std::cmp::Reverse(name.generation)));
        let mut next_offset = names.first().map_or(0, |name| name.base_offset);
        self.manifest.start_offset = next_offset;
        self.manifest.durable = DurableEnd { base_offset: next_offset, size_bytes: 0, next_offset };
        for name in names {
            if name.base_offset < next_offset {
                continue;
            }
            let file = self.shared.files.open(&name.log_path(self.dir)).map_err(self.io("open", name))?;
            let size_bytes = file.size_bytes().map_err(self.io("read", name))?;
            let extent = Extent { size_bytes, next_offset: i64::MAX, may_have_gaps: true };
            let index = self.index_sound(name, file, extent)?;
            next_offset = index.next_offset();
            self.manifest.segments.push(ClosedSegment {
                name,
                size_bytes: index.covered_bytes(),
                next_offset,
                newest_timestamp: index.newest_timestamp(),
                closed_at: self.shared.retention_now_ms(),
            });
            self.manifest.durable = DurableEnd { base_offset: next_offset, size_bytes: 0, next_offset };
        }
        // The last one is written on, unless compaction made it.
        if let Some(last) = self.manifest.segments.pop_if(|last| last.name.generation == 0) {
            self.manifest.durable = DurableEnd {
                base_offset: last.name.base_offset,
                size_bytes: last.size_bytes,
                next_offset: last.next_offset,
            };
        }
        Ok(())
    }

    /// The index of the sound batches in a part of a segment.
    fn index_sound(
        &mut self,
        name: SegmentName,
        file: Arc<dyn DiskFile>,
        extent: Extent,
    ) -> Result<Index, LogError> {
        let reader =
            SegmentReader::new(file, extent.size_bytes, limits::SCAN_BYTES).map_err(self.io("read", name))?;
        let mut walk = Walk::new(reader, extent, (0, name.base_offset));
        let mut index = Index::new(name.base_offset);
        loop {
            match walk.next().map_err(self.io("read", name))? {
                Step::Batch(position, batch) => index.push(position, &batch.header),
                Step::Damaged { first, last } if last < i64::MAX - 1 => {
                    self.findings.push(format!("records {first} to {last} are damaged"));
                }
                Step::Damaged { .. } | Step::End => return Ok(index),
            }
        }
    }

    /// Reports closed segments that are shorter than they should be; reading them will say so, too.
    fn check_closed(&mut self) -> Result<(), LogError> {
        for segment in &self.manifest.segments {
            let have = match self.shared.disk.open(&segment.name.log_path(self.dir), Open::Existing) {
                Ok(file) => file.size_bytes().map_err(self.io("read", segment.name))?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
                Err(error) => return Err(self.io("open", segment.name)(error)),
            };
            let lost = segment.size_bytes.saturating_sub(have);
            if lost > 0 {
                self.findings.push(lost_bytes(segment.name, lost, segment.next_offset));
            }
        }
        Ok(())
    }

    /// Reads what is behind the durable end, and cuts it where it stops being sound. Says whether anything changed.
    fn read_tail(&mut self) -> Result<(ActiveSegment, bool), LogError> {
        let mut durable = self.manifest.durable;
        let active = loop {
            let name = SegmentName::first(durable.base_offset);
            let existed = self.unnamed.remove(&name);
            let (active, whole) = self.read_segment_tail(name, existed, durable)?;
            let next = SegmentName::first(active.next_offset);
            let follows = whole && active.size_bytes > 0 && self.unnamed.contains(&next);
            let lost = active.size_bytes < durable.size_bytes;
            if !follows && !lost {
                break active;
            }
            self.changed = true;
            self.manifest.segments.push(ClosedSegment {
                name,
                size_bytes: active.size_bytes.max(durable.size_bytes),
                next_offset: active.next_offset.max(durable.next_offset),
                newest_timestamp: active.index.newest_timestamp(),
                closed_at: self.shared.retention_now_ms(),
            });
            let base_offset = active.next_offset.max(durable.next_offset);
            durable = DurableEnd { base_offset, size_bytes: 0, next_offset: base_offset };
        };
        self.remove_leftovers()?;
        let changed = self.changed || active.end() != self.manifest.durable;
        if changed {
            // Names that were removed must not come back when new files take their place.
            self.shared.disk.sync_dir(self.dir).map_err(|error| LogError::io("sync", self.dir, error))?;
        }
        Ok((active, changed))
    }

    /// One segment, durable to the given end: what it holds now, and whether that is all there is in the file.
    fn read_segment_tail(
        &mut self,
        name: SegmentName,
        existed: bool,
        durable: DurableEnd,
    ) -> Result<(ActiveSegment, bool), LogError> {
        let path = name.log_path(self.dir);
        let mut active = ActiveSegment::new(name.base_offset);
        active.began_at = self.shared.retention_now_ms();
        if !existed {
            self.changed = true;
        }
        let opened = if existed { self.shared.files.open(&path) } else { self.shared.files.create(&path) };
        let file = opened.map_err(self.io("open", name))?;
        let len = file.size_bytes().map_err(self.io("read", name))?;
        if len < durable.size_bytes {
            self.findings.push(lost_bytes(name, durable.size_bytes - len, durable.next_offset));
            return Ok((active, false));
        }
        active.index = self.durable_index(name, &file, durable)?;
        active.size_bytes = durable.size_bytes;
        active.next_offset = durable.next_offset;
        let mut reader =
            SegmentReader::new(Arc::clone(&file), len, limits::SCAN_BYTES).map_err(self.io("read", name))?;
        while active.size_bytes < len {
            match reader.batch(active.size_bytes).map_err(self.io("read", name))? {
                Ok(batch) if batch.header.base_offset == active.next_offset => {
                    active.index.push(active.size_bytes, &batch.header);
                    active.size_bytes = after(active.size_bytes, &batch.header);
                    active.next_offset = batch.header.next_offset();
                }
                _ => break,
            }
        }
        // Zeros behind it were laid for what did not come (see `ahead`).
        let whole = is_zero(&*file, active.size_bytes, len).map_err(self.io("read", name))?;
        if !whole {
            self.findings.push(format!(
                "cut off {} bytes that were never acknowledged, behind offset {}",
                len - active.size_bytes,
                active.next_offset - 1
            ));
            self.changed = true;
        }
        if !(self.was_closed && len == durable.size_bytes) {
            settle(&*file, durable.size_bytes, active.size_bytes).map_err(self.io("settle", name))?;
        }
        Ok((active, whole))
    }

    /// The index of the durable part of the last segment: from its file as far as that goes, or made anew.
    fn durable_index(
        &mut self,
        name: SegmentName,
        file: &Arc<dyn DiskFile>,
        durable: DurableEnd,
    ) -> Result<Index, LogError> {
        let written = metafile::read(&*self.shared.disk, &name.index_path(self.dir)).ok().flatten();
        let written = written
            .and_then(|bytes| Index::decode(name.base_offset, &bytes))
            .filter(|index| index.covered_bytes() >= durable.size_bytes);
        let mut index = if let Some(index) = written {
            index
        } else {
            let DurableEnd { size_bytes, next_offset, .. } = durable;
            let extent = Extent { size_bytes, next_offset, may_have_gaps: false };
            self.index_sound(name, Arc::clone(file), extent)?
        };
        index.cut(durable.size_bytes, durable.next_offset);
        Ok(index)
    }

    /// Removes segments that the manifest does not know and that do not follow it: what was compacted, deleted, or cut off.
    fn remove_leftovers(&mut self) -> Result<(), LogError> {
        for name in std::mem::take(&mut self.unnamed) {
            self.changed = true;
            let log = name.log_path(self.dir);
            self.shared.files.forget(&log);
            self.shared.disk.remove(&log).map_err(self.io("remove", name))?;
            let _ = self.shared.disk.remove(&name.index_path(self.dir));
        }
        Ok(())
    }
}

fn lost_bytes(name: SegmentName, bytes: u64, next_offset: i64) -> String {
    let (base, last) = (name.base_offset, next_offset - 1);
    format!("segment {base} has lost {bytes} bytes; some records up to {last} cannot be read")
}

/// Whether bytes `from` to `to` of a file are all zero, or there are none.
fn is_zero(file: &dyn DiskFile, from: u64, to: u64) -> io::Result<bool> {
    let mut at = from;
    while at < to {
        let len = usize::try_from(to - at).unwrap_or(usize::MAX).min(limits::SCAN_BYTES);
        let mut bytes = vec![0; len];
        file.read_at(at, &mut bytes)?;
        if bytes.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        at += len as u64;
    }
    Ok(true)
}

/// Makes what is seen of a file durable: bytes `from` to `to`, and nothing behind. A process that was killed left it in the page cache,
/// and after a sync that failed the kernel takes for written what is not: only what is written anew is sure to be on disk
/// after the next sync.
fn settle(file: &dyn DiskFile, from: u64, to: u64) -> io::Result<()> {
    let mut at = from;
    while at < to {
        let len = usize::try_from(to - at).unwrap_or(usize::MAX).min(limits::SCAN_BYTES);
        let mut bytes = vec![0; len];
        file.read_at(at, &mut bytes)?;
        match file.write_at(at, &bytes) {
            // Only a file system that never writes in place says so; it must do with the sync.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) =>
            {
                break;
            }
            written => written?,
        }
        at += len as u64;
    }
    file.set_len(to)?;
    file.sync()
}
