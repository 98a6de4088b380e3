//! One partition: a row of closed segments and one that is being written.
//!
//! Two locks. `state` guards what the partition consists of and is held for a write to the page cache at most. `keeper` is held by
//! whoever syncs, notes (writes the manifest) or removes files, one at a time; it is taken first.

mod ahead;
mod append;
mod compact;
mod read;
pub(crate) mod recover;
mod retain;
mod sidecar;
mod sync;
mod time;

pub use sidecar::Scanned;

use crate::LogError;
use crate::config::TopicConfig;
use crate::disk::{Disk, Lock};
use crate::files::{Files, PinnedFile};
use crate::flusher::Flusher;
use crate::index::Index;
use crate::manifest::{DurableEnd, Manifest};
use crate::reserve::Reserve;
use crate::segment::{ClosedSegment, SegmentName};
use millstream_model::metric::{Counter, Histogram};
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use tokio::sync::watch;

/// Where appended batches went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The offset of the first record.
    pub base_offset: i64,
    /// The first offset after the last record; what to hand to [`Partition::flushed`].
    pub next_offset: i64,
}

/// What a partition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first offset there is.
    pub earliest: i64,
    /// The next offset to be written.
    pub next: i64,
    /// Everything before this offset survives a power cut.
    pub durable: i64,
}

/// A record found by its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundByTime {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp in ms.
    pub timestamp: i64,
}

/// What all partitions of a log use.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) files: Files,
    pub(crate) reserve: Reserve,
    pub(crate) flusher: Arc<Flusher>,
    /// The retention clock's last reading in ms.
    pub(crate) retention_now_ms: AtomicI64,
    /// An append has found the disk full since the last maintenance: nothing is to be laid aside.
    pub(crate) is_full: AtomicBool,
    /// How long syncs take.
    pub(crate) sync_seconds: Histogram,
    /// While the log is being opened: the last process closed it, so whatever its manifests name is on disk.
    pub(crate) was_closed: AtomicBool,
    /// The directory belongs to this process as long as anybody can write to it.
    pub(crate) _lock: Box<dyn Lock>,
}

impl Shared {
    pub(crate) fn retention_now_ms(&self) -> i64 {
        self.retention_now_ms.load(Ordering::Relaxed)
    }
}

/// One partition of a topic.
#[derive(Debug)]
pub struct Partition {
    topic: String,
    number: i32,
    dir: PathBuf,
    shared: Arc<Shared>,
    config: Mutex<Arc<TopicConfig>>,
    keeper: Mutex<()>,
    /// Held during a compaction, which works beside the keeper until it changes over.
    compacting: Mutex<()>,
    state: Mutex<State>,
    appended: watch::Sender<i64>,
    durable: watch::Sender<DurableMark>,
    queued: AtomicBool,
    appended_records: Counter,
    appended_bytes: Counter,
}

/// What [`Partition::flushed`] waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct DurableMark {
    next_offset: i64,
    stopped: bool,
}

#[derive(Debug)]
struct State {
    start_offset: i64,
    closed: Vec<ClosedSegment>,
    active: ActiveSegment,
    durable: DurableEnd,
    compacted_offset: i64,
    stopped: Option<Stopped>,
    /// Offsets that were given and then lost with a failing disk: whoever still waits for them must not see a success.
    lost: Vec<std::ops::Range<i64>>,
    /// Closed segments whose bytes may not be on disk yet, oldest first.
    unsynced: Vec<PinnedFile>,
    /// Indexes of closed segments that have no file yet.
    unwritten_indexes: Vec<(SegmentName, Arc<Index>)>,
    /// Names in the directory changed since it was synced.
    dir_changed: bool,
    /// Segments that are no part of the partition any more, to be removed once the manifest says so.
    obsolete: Vec<SegmentName>,
    /// Bytes made durable since the last manifest; `u64::MAX` where it must be written anyway.
    unnoted_bytes: u64,
}

/// The segment that is being written.
#[derive(Debug)]
struct ActiveSegment {
    base_offset: i64,
    size_bytes: u64,
    next_offset: i64,
    index: Index,
    /// When its first batch came, by the retention clock in ms.
    began_at: i64,
    /// Held while it has unsynced bytes.
    dirty: Option<PinnedFile>,
    ahead: ahead::Ahead,
}

/// Why a partition takes no writes.
#[derive(Debug, Clone)]
enum Stopped {
    Fenced(String),
    Deleted,
}

impl ActiveSegment {
    fn new(base_offset: i64) -> Self {
        Self {
            base_offset,
            size_bytes: 0,
            next_offset: base_offset,
            index: Index::new(base_offset),
            began_at: 0,
            dirty: None,
            ahead: ahead::Ahead::default(),
        }
    }

    fn name(&self) -> SegmentName {
        SegmentName::first(self.base_offset)
    }

    fn end(&self) -> DurableEnd {
        DurableEnd {
            base_offset: self.base_offset,
            size_bytes: self.size_bytes,
            next_offset: self.next_offset,
        }
    }
}

impl State {
    /// Where reading ends: what a failed disk may have lost is not shown any more.
    fn visible_end(&self) -> DurableEnd {
        if self.stopped.is_some() { self.durable } else { self.active.end() }
    }

    fn manifest(&self, clock_ms: i64) -> Manifest {
        let is_durable = |segment: &&ClosedSegment| segment.name.base_offset < self.durable.base_offset;
        Manifest {
            start_offset: self.start_offset,
            compacted_offset: self.compacted_offset,
            clock_ms,
            segments: self.closed.iter().filter(is_durable).cloned().collect(),
            durable: self.durable,
        }
    }
}

impl Partition {
    /// The topic's name.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The partition's number.
    pub fn number(&self) -> i32 {
        self.number
    }

    /// The topic's settings.
    pub fn config(&self) -> Arc<TopicConfig> {
        Arc::clone(&self.config.lock())
    }

    pub(crate) fn set_config(&self, config: Arc<TopicConfig>) {
        *self.config.lock() = config;
    }

    /// First, next and durable offset.
    pub fn range(&self) -> Range {
        let state = self.state.lock();
        Range {
            earliest: state.start_offset,
            next: state.visible_end().next_offset,
            durable: state.durable.next_offset,
        }
    }

    /// The next offset to be written, as it changes: readers wait for it instead of polling.
    pub fn appended(&self) -> watch::Receiver<i64> {
        self.appended.subscribe()
    }

    /// Whether a record that was appended was lost with a failing disk since.
    pub fn is_lost(&self, offset: i64) -> bool {
        self.state.lock().lost.iter().any(|lost| lost.contains(&offset))
    }

    /// Bytes on disk, indexes not counted.
    pub fn size_bytes(&self) -> u64 {
        let state = self.state.lock();
        state.closed.iter().map(|segment| segment.size_bytes).sum::<u64>() + state.active.size_bytes
    }

    /// Bytes appended since the start: what has come between two looks is the difference.
    pub fn appended_bytes(&self) -> u64 {
        self.appended_bytes.get()
    }

    /// Records and bytes appended since the start.
    pub(crate) fn appended_total(&self) -> (u64, u64) {
        (self.appended_records.get(), self.appended_bytes.get())
    }

    /// Whether the disk failed under it.
    pub fn is_fenced(&self) -> bool {
        matches!(self.state.lock().stopped, Some(Stopped::Fenced(_)))
    }

    /// Wakes who waits for more records, so that they look again.
    pub fn wake_readers(&self) {
        self.appended.send_modify(|_| {});
    }

    /// Takes no more writes and reads; for a topic that is being deleted. Returns when nobody works on the files.
    pub(crate) fn delete(&self) {
        let _keeper = self.keeper.lock();
        let mut state = self.state.lock();
        state.stopped = Some(Stopped::Deleted);
        state.unsynced.clear();
        state.active.dirty = None;
        let names = state.closed.iter().map(|segment| segment.name).chain([state.active.name()]);
        for name in names {
            self.shared.files.forget(&name.log_path(&self.dir));
        }
        self.durable.send_modify(|mark| mark.stopped = true);
        self.wake_readers();
    }

    /// Marks the partition as queued for a sync; false where it is already.
    pub(crate) fn enter_queue(&self) -> bool {
        !self.queued.swap(true, Ordering::AcqRel)
    }

    /// Must come before the sync, so that what is appended meanwhile is queued again.
    pub(crate) fn leave_queue(&self) {
        self.queued.store(false, Ordering::Release);
    }

    fn check_writable(&self, state: &State) -> Result<(), LogError> {
        match &state.stopped {
            None => Ok(()),
            Some(Stopped::Deleted) => Err(self.unknown()),
            Some(Stopped::Fenced(reason)) => Err(self.fenced(reason.clone())),
        }
    }

    fn fenced(&self, reason: String) -> LogError {
        LogError::Fenced { topic: self.topic.clone(), partition: self.number, reason }
    }

    fn unknown(&self) -> LogError {
        LogError::UnknownPartition { topic: self.topic.clone(), partition: self.number }
    }
}
