//! The data directory: topics and their partitions.
//!
//! ```text
//! <data dir>/
//!   format                     what wrote it: text (see metafile), kind `log`, version 1
//!   lock                       held by the process that uses the directory
//!   reserve                    bytes kept for a full disk (see reserve)
//!   closed                     the last process closed the log, and what its manifests name is on disk: text, version 1
//!   newest-id                  a topic id that no deleted topic's was above: text, kind `newest-id`, version 1
//!   scratch/                   topics that are being made or deleted; emptied at start
//!   topics/<topic>/topic       id, number of partitions, configs: text, kind `topic`, version 1
//!   topics/<topic>/<number>/   one partition (see manifest, segment, index)
//! ```
//!
//! A topic is made in `scratch` and renamed to its place, and renamed back before it is deleted: it is there as a whole or not.
//! Partitions that are added are made in their place first, and are there when the topic's file counts them.

mod opening;

use crate::config::{LogConfig, TopicConfig};
use crate::disk::{Disk, Lock, Space};
use crate::files::Files;
use crate::flusher::Flusher;
use crate::metafile::{self, BadText};
use crate::partition::{Shared, recover};
use crate::reserve::Reserve;
use crate::retention_clock::RetentionClock;
use crate::topic::{self, TopicFile};
use crate::{LogError, Partition, Topic, limits};
use millstream_model::Clock;
use millstream_model::metric::Histogram;
use opening::gather;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

const FORMAT_KIND: &str = "log";
const FORMAT_VERSION: u32 = 1;
const NEWEST_ID_FILE: &str = "newest-id";
const NEWEST_ID_KIND: &str = "newest-id";
const NEWEST_ID_VERSION: u32 = 1;

/// What recovery found in one partition. Partitions without a finding have no report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryReport {
    /// The topic's name.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// In words, for the operator.
    pub message: String,
}

/// A data directory in use.
#[derive(Debug)]
pub struct Log {
    dir: PathBuf,
    config: LogConfig,
    shared: Arc<Shared>,
    /// Held for a look or an insertion, never while the disk works: every request looks here.
    topics: Mutex<BTreeMap<String, OpenTopic>>,
    /// Held while topics are made, changed or deleted, one at a time; taken before `topics`.
    changing: Mutex<()>,
    /// Counts topics that were made, deleted or given more partitions.
    changes: AtomicU64,
    /// The greatest id that a topic ever had.
    newest_id: AtomicU64,
    /// No topic that is made gets an id up to this, also after a restart.
    noted_id: AtomicU64,
    clock: Arc<dyn Clock>,
    retention_clock: Mutex<RetentionClock>,
    opened_at: Instant,
}

#[derive(Debug)]
struct OpenTopic {
    topic: Topic,
    partitions: Vec<OpenPartition>,
}

/// A partition, or why it cannot be opened.
type OpenPartition = Result<Arc<Partition>, String>;

impl Log {
    /// Opens `dir`, making it where it does not exist, and recovers every partition. A partition that cannot be opened is in the
    /// reports, and asking for it is an error; the others work.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: LogConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<(Arc<Self>, Vec<RecoveryReport>), LogError> {
        let lock = prepare_dir(&*disk, dir)?;
        let was_closed = opening::take_closed_mark(&*disk, dir)?;
        let shared = Arc::new(Shared {
            was_closed: AtomicBool::new(was_closed),
            files: Files::new(Arc::clone(&disk), config.open_files_max),
            reserve: Reserve::open(Arc::clone(&disk), dir, config.reserve_bytes)?,
            flusher: Flusher::new(config.flush_interval),
            retention_now_ms: AtomicI64::new(0),
            is_full: AtomicBool::new(false),
            sync_seconds: Histogram::default(),
            disk,
            _lock: lock,
        });
        let topics = topic::read_all(&*shared.disk, &dir.join("topics"), &config.topic)?;
        let noted = topics.iter().filter_map(|topic| {
            let dirs = (0..topic.partitions).map(|number| partition_dir(dir, &topic.name, number));
            dirs.filter_map(|dir| recover::noted_clock_ms(&shared, &dir)).max()
        });
        let deleted_id = read_newest_id(&*shared.disk, dir)?;
        let newest_id = topics.iter().map(|topic| topic.id).fold(deleted_id, u64::max);
        let retention_clock = RetentionClock::new(noted.max(), clock.now().as_millis(), Duration::ZERO);
        let log = Self {
            dir: dir.to_owned(),
            config,
            shared,
            topics: Mutex::default(),
            changing: Mutex::default(),
            changes: AtomicU64::new(0),
            newest_id: AtomicU64::new(newest_id),
            noted_id: AtomicU64::new(deleted_id),
            clock,
            retention_clock: Mutex::new(retention_clock),
            opened_at: Instant::now(),
        };
        log.observe_clock();
        let mut reports = Vec::new();
        for (topic, opened) in topics.iter().zip(log.open_all(&topics)) {
            let partitions = gather(topic, 0, opened, &mut reports)?;
            log.topics.lock().insert(topic.name.clone(), OpenTopic { topic: topic.clone(), partitions });
        }
        log.shared.was_closed.store(false, Ordering::Relaxed);
        Ok((Arc::new(log), reports))
    }

    fn open_topic(&self, topic: Topic, reports: &mut Vec<RecoveryReport>) -> Result<OpenTopic, LogError> {
        let partitions = self.open_partitions(&topic, 0, reports)?;
        Ok(OpenTopic { topic, partitions })
    }

    /// Makes a topic, durable when it returns. `configs` are Kafka's topic configs.
    pub fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        configs: &BTreeMap<String, String>,
    ) -> Result<Topic, LogError> {
        topic::check_name(name)?;
        check_partitions(partitions)?;
        let config = self.config.topic.with(configs)?;
        let _changing = self.changing.lock();
        if self.topics.lock().contains_key(name) {
            return Err(LogError::TopicExists(name.to_owned()));
        }
        // Later than all others even where the clock stands still or goes back.
        let later = self.newest_id.load(Ordering::Relaxed).saturating_add(1);
        let id = later.max(u64::try_from(self.clock.now().as_millis()).unwrap_or(0));
        self.newest_id.store(id, Ordering::Relaxed);
        let topic = Topic { name: name.to_owned(), id, partitions, configs: configs.clone(), config };
        self.lay_down(&topic)?;
        let open = self.open_topic(topic.clone(), &mut Vec::new())?;
        self.topics.lock().insert(name.to_owned(), open);
        self.changes.fetch_add(1, Ordering::Release);
        Ok(topic)
    }

    /// Makes the files of a topic beside the others and moves them there.
    fn lay_down(&self, topic: &Topic) -> Result<(), LogError> {
        let disk = &*self.shared.disk;
        let io = |doing, path: &Path, result: io::Result<()>| {
            result.map_err(|error| LogError::io(doing, path, error))
        };
        let scratch = self.dir.join("scratch").join(topic.id.to_string());
        clear_scratch(disk, &self.dir, &scratch)?;
        io("create", &scratch, disk.create_dir(&scratch))?;
        for number in 0..topic.partitions {
            let dir = scratch.join(number.to_string());
            io("create", &dir, disk.create_dir(&dir))?;
            recover::create(&self.shared, &dir)?;
        }
        TopicFile::of(topic).write(disk, &scratch)?;
        io("sync", &scratch, disk.sync_dir(&scratch))?;
        let topics = self.dir.join("topics");
        let place = topics.join(&topic.name);
        io("rename to", &place, disk.rename(&scratch, &place))?;
        io("sync", &topics, disk.sync_dir(&topics))
    }

    /// Deletes a topic with all its records; durable when it returns.
    pub fn delete_topic(&self, name: &str) -> Result<(), LogError> {
        let changing = self.changing.lock();
        let (id, partitions) = self.opened(name)?;
        let place = self.dir.join("topics").join(name);
        let scratch = self.dir.join("scratch").join(id.to_string());
        // So that no later topic gets its id. A full disk must not keep a topic from being deleted: then it is noted after.
        let noted = self.note_id(id);
        for partition in partitions {
            partition.delete();
        }
        let disk = &*self.shared.disk;
        disk.rename(&place, &scratch).map_err(|error| LogError::io("rename", &place, error))?;
        self.topics.lock().remove(name);
        self.changes.fetch_add(1, Ordering::Release);
        drop(changing);
        clear_scratch(disk, &self.dir, &scratch)?;
        match noted.or_else(|_| self.note_id(id)) {
            // The next topic gets a later id by the clock; only one that goes back as well could bring this one again.
            Err(LogError::DiskFull { .. }) => {
                tracing::warn!(topic = name, id, "the id of a deleted topic is not noted, the disk is full");
                Ok(())
            }
            noted => noted,
        }
    }

    /// Sees to it that no later topic gets the id of one that is deleted.
    fn note_id(&self, id: u64) -> Result<(), LogError> {
        if id <= self.noted_id.load(Ordering::Relaxed) {
            return Ok(());
        }
        let newest = self.newest_id.load(Ordering::Relaxed);
        let text = metafile::seal(NEWEST_ID_KIND, NEWEST_ID_VERSION, &format!("id {newest}\n"));
        metafile::replace(&*self.shared.disk, &self.dir.join(NEWEST_ID_FILE), &text)?;
        self.noted_id.fetch_max(newest, Ordering::Relaxed);
        Ok(())
    }

    /// Gives a topic `partitions` partitions, more than it has; durable when it returns.
    pub fn add_partitions(&self, name: &str, partitions: i32) -> Result<Topic, LogError> {
        check_partitions(partitions)?;
        let _changing = self.changing.lock();
        let had = self.topic(name).ok_or_else(|| unknown(name, 0))?;
        let first = had.partitions;
        if partitions <= first {
            return Err(LogError::Invalid(format!(
                "topic `{name}` has {first} partitions already, and {partitions} are not more"
            )));
        }
        let topic = Topic { partitions, ..had };
        let disk = &*self.shared.disk;
        let place = self.dir.join("topics").join(name);
        for number in first..partitions {
            // It may be there from an attempt that failed, but nobody ever wrote a record to it.
            let dir = partition_dir(&self.dir, name, number);
            disk.create_dir(&dir).map_err(|error| LogError::io("create", &dir, error))?;
            recover::create(&self.shared, &dir)?;
        }
        disk.sync_dir(&place).map_err(|error| LogError::io("sync", &place, error))?;
        let added = self.open_partitions(&topic, first, &mut Vec::new())?;
        TopicFile::of(&topic).write(disk, &place)?;
        if let Some(open) = self.topics.lock().get_mut(name) {
            open.partitions.extend(added);
            open.topic = topic.clone();
        }
        self.changes.fetch_add(1, Ordering::Release);
        Ok(topic)
    }

    /// Replaces a topic's configs; durable when it returns.
    pub fn configure_topic(&self, name: &str, configs: &BTreeMap<String, String>) -> Result<Topic, LogError> {
        let config = self.config.topic.with(configs)?;
        let _changing = self.changing.lock();
        let had = self.topic(name).ok_or_else(|| unknown(name, 0))?;
        let topic = Topic { configs: configs.clone(), config: config.clone(), ..had };
        TopicFile::of(&topic).write(&*self.shared.disk, &self.dir.join("topics").join(name))?;
        let config = Arc::new(config);
        if let Some(open) = self.topics.lock().get_mut(name) {
            for partition in open.partitions.iter().flatten() {
                partition.set_config(Arc::clone(&config));
            }
            open.topic = topic.clone();
        }
        Ok(topic)
    }

    /// What a topic gets where its own configs say nothing.
    pub fn topic_defaults(&self) -> &TopicConfig {
        &self.config.topic
    }

    /// The data directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// How often a topic was made, deleted or given more partitions since the start: as long as it is the same, so are they.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// All topics, sorted by name.
    pub fn topics(&self) -> Vec<Topic> {
        self.topics.lock().values().map(|open| open.topic.clone()).collect()
    }

    /// One topic.
    pub fn topic(&self, name: &str) -> Option<Topic> {
        self.topics.lock().get(name).map(|open| open.topic.clone())
    }

    /// One partition. [`LogError::Fenced`] where it could not be opened.
    pub fn partition(&self, topic: &str, number: i32) -> Result<Arc<Partition>, LogError> {
        let topics = self.topics.lock();
        let open = topics.get(topic);
        let index = usize::try_from(number).ok();
        match open.zip(index).and_then(|(open, index)| open.partitions.get(index)) {
            Some(Ok(partition)) => Ok(Arc::clone(partition)),
            Some(Err(reason)) => {
                Err(LogError::Fenced { topic: topic.to_owned(), partition: number, reason: reason.clone() })
            }
            None => Err(unknown(topic, number)),
        }
    }

    /// The id of a topic and its partitions that could be opened.
    fn opened(&self, name: &str) -> Result<(u64, Vec<Arc<Partition>>), LogError> {
        let topics = self.topics.lock();
        let open = topics.get(name).ok_or_else(|| unknown(name, 0))?;
        Ok((open.topic.id, open.partitions.iter().flatten().map(Arc::clone).collect()))
    }

    pub(crate) fn partitions(&self) -> Vec<Arc<Partition>> {
        let topics = self.topics.lock();
        topics.values().flat_map(|open| open.partitions.iter().flatten().map(Arc::clone)).collect()
    }

    /// How long syncs take.
    pub(crate) fn sync_seconds(&self) -> &Histogram {
        &self.shared.sync_seconds
    }

    fn observe_clock(&self) {
        let uptime = self.opened_at.elapsed();
        let now_ms = self.retention_clock.lock().observe(self.clock.now().as_millis(), uptime);
        self.shared.retention_now_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Retention, compaction, closing of old segments and the reserve, for all partitions; tries to bring fenced ones back.
    /// Blocks on the disk: call it on a blocking thread every [`limits::MAINTENANCE_INTERVAL`] or so.
    pub fn maintain(&self) {
        self.observe_clock();
        let is_full = self.shared.is_full.swap(false, Ordering::Relaxed) | self.shared.reserve.is_spent();
        for partition in self.partitions() {
            if is_full {
                partition.give_zeros_back();
            }
            let done =
                partition.revive().and_then(|()| partition.retain()).and_then(|()| partition.compact());
            if let Err(error) = done {
                let (topic, number) = (partition.topic(), partition.number());
                tracing::warn!(topic, partition = number, %error, "maintenance failed, and will be tried again");
            }
        }
    }

    /// Space on the disk, for an alarm before it is full.
    pub fn space(&self) -> Result<Space, LogError> {
        self.shared.disk.space(&self.dir).map_err(|error| LogError::io("measure", &self.dir, error))
    }

    /// Puts everything on disk and notes it, so that the next start has nothing to recover. Gives the first error, after trying all.
    pub fn close(&self) -> Result<(), LogError> {
        self.partitions().iter().map(|partition| partition.close()).fold(Ok(()), Result::and)?;
        opening::put_closed_mark(&*self.shared.disk, &self.dir)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.shared.flusher.stop();
    }
}

fn unknown(topic: &str, partition: i32) -> LogError {
    LogError::UnknownPartition { topic: topic.to_owned(), partition }
}

fn check_partitions(partitions: i32) -> Result<(), LogError> {
    let max = limits::PARTITIONS;
    if (1..=max).contains(&partitions) {
        return Ok(());
    }
    Err(LogError::Invalid(format!("a topic has 1 to {max} partitions, not {partitions}")))
}

/// What [`Log::delete_topic`] noted last. A file that is damaged is as good as none: ids are times as well.
fn read_newest_id(disk: &dyn Disk, dir: &Path) -> Result<u64, LogError> {
    let Some(text) = metafile::read(disk, &dir.join(NEWEST_ID_FILE))? else { return Ok(0) };
    let lines = metafile::unseal(NEWEST_ID_KIND, NEWEST_ID_VERSION, &text);
    let id = lines.ok().and_then(|mut lines| lines.next()?.strip_prefix("id ")?.parse().ok());
    if id.is_none() {
        tracing::warn!("`{NEWEST_ID_FILE}` in the data directory is damaged; it is passed over");
    }
    Ok(id.unwrap_or(0))
}

fn partition_dir(dir: &Path, topic: &str, number: i32) -> PathBuf {
    dir.join("topics").join(topic).join(number.to_string())
}

/// Removes a directory in `scratch`, or all of it. First the moves into it are made durable: if one were undone by a power cut after
/// its files are gone, an empty topic would be back.
fn clear_scratch(disk: &dyn Disk, dir: &Path, scratch: &Path) -> Result<(), LogError> {
    let topics = dir.join("topics");
    disk.sync_dir(&topics).map_err(|error| LogError::io("sync", &topics, error))?;
    match disk.remove_dir(scratch) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(LogError::io("clear", scratch, error)),
        _ => Ok(()),
    }
}

/// Makes the directories, takes the lock, and checks the format.
fn prepare_dir(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn Lock>, LogError> {
    let io = |doing, path: &Path, error| LogError::io(doing, path, error);
    let (topics, scratch) = (dir.join("topics"), dir.join("scratch"));
    disk.create_dir(&topics).map_err(|error| io("create", &topics, error))?;
    let lock_path = dir.join("lock");
    let lock = disk.lock(&lock_path).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => {
            let reason = "another process uses it; stop that one first, or give this one its own data_dir";
            LogError::DataDir { path: dir.to_owned(), reason: reason.to_owned() }
        }
        _ => io("lock", &lock_path, error),
    })?;
    clear_scratch(disk, dir, &scratch)?;
    disk.create_dir(&scratch).map_err(|error| io("create", &scratch, error))?;
    let format = dir.join("format");
    match metafile::read(disk, &format)? {
        None => metafile::replace(disk, &format, &metafile::seal(FORMAT_KIND, FORMAT_VERSION, ""))?,
        Some(text) => {
            if let Err(bad) = metafile::unseal(FORMAT_KIND, FORMAT_VERSION, &text) {
                let reason = match bad {
                    BadText::Newer(version) => format!(
                        "its format version {version} is newer than this Millstream's, {FORMAT_VERSION}; start the newer version"
                    ),
                    BadText::Damaged(what) => {
                        format!("`format` is damaged: {what}; restore it from a backup")
                    }
                };
                return Err(LogError::DataDir { path: dir.to_owned(), reason });
            }
        }
    }
    for made in dir.ancestors().take(2) {
        disk.sync_dir(made).map_err(|error| io("sync", made, error))?;
    }
    Ok(lock)
}
