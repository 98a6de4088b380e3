//! Opening the partitions of a log, and the mark of one that was closed.

use super::{Log, OpenPartition, RecoveryReport, partition_dir};
use crate::config::TopicConfig;
use crate::disk::Disk;
use crate::{LogError, Partition, Topic, limits, metafile};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

const CLOSED_FILE: &str = "closed";
const CLOSED_KIND: &str = "closed";
const CLOSED_VERSION: u32 = 1;

/// What opening one partition gave: with it, what was found, in words.
type Opened = Result<(Arc<Partition>, Vec<String>), LogError>;

impl Log {
    /// Opens all partitions of all topics, several at a time where they are many and each has to be synced: file systems put what
    /// several threads sync at a time into one commit of their journal.
    pub(super) fn open_all(&self, topics: &[Topic]) -> Vec<Vec<Opened>> {
        let places = topics.iter().enumerate();
        let places =
            places.flat_map(|(index, topic)| (0..topic.partitions).map(move |number| (index, number)));
        let places: Vec<(usize, i32)> = places.collect();
        let is_quick = places.len() < limits::OPEN_ALONE || self.shared.was_closed.load(Ordering::Relaxed);
        let threads = if is_quick { 1 } else { limits::FLUSH_THREADS };
        let configs: Vec<_> = topics.iter().map(|topic| Arc::new(topic.config.clone())).collect();
        let (next, opened) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
        let work = || {
            while let Some(&(index, number)) = places.get(next.fetch_add(1, Ordering::Relaxed)) {
                let partition = self.open_partition(&topics[index], number, &configs[index]);
                opened.lock().insert((index, number), partition);
            }
        };
        thread::scope(|scope| {
            for _ in 1..threads {
                // Without the helper it only takes longer.
                let _ = thread::Builder::new().name("log-open".to_owned()).spawn_scoped(scope, work);
            }
            work();
        });
        let mut of_topics: Vec<Vec<Opened>> = topics.iter().map(|_| Vec::new()).collect();
        for ((index, _), partition) in opened.into_inner() {
            of_topics[index].push(partition);
        }
        of_topics
    }

    fn open_partition(&self, topic: &Topic, number: i32, config: &Arc<TopicConfig>) -> Opened {
        let dir = partition_dir(&self.dir, &topic.name, number);
        Partition::open(Arc::clone(&self.shared), &topic.name, number, dir, Arc::clone(config))
    }

    /// The partitions of a topic from number `first` on.
    pub(super) fn open_partitions(
        &self,
        topic: &Topic,
        first: i32,
        reports: &mut Vec<RecoveryReport>,
    ) -> Result<Vec<OpenPartition>, LogError> {
        let config = Arc::new(topic.config.clone());
        let opened = (first..topic.partitions).map(|number| self.open_partition(topic, number, &config));
        let opened: Vec<_> = opened.collect();
        gather(topic, first, opened, reports)
    }
}

/// Whether the last process closed the log and so left nothing that is not on disk. The mark is gone, durably, before anything
/// is written.
pub(super) fn take_closed_mark(disk: &dyn Disk, dir: &Path) -> Result<bool, LogError> {
    let path = dir.join(CLOSED_FILE);
    let Some(text) = metafile::read(disk, &path)? else { return Ok(false) };
    disk.remove(&path).map_err(|error| LogError::io("remove", &path, error))?;
    disk.sync_dir(dir).map_err(|error| LogError::io("sync", dir, error))?;
    Ok(metafile::unseal(CLOSED_KIND, CLOSED_VERSION, &text).is_ok())
}

/// Partitions of a topic from number `first` on, and what was found in them.
pub(super) fn gather(
    topic: &Topic,
    first: i32,
    opened: Vec<Opened>,
    reports: &mut Vec<RecoveryReport>,
) -> Result<Vec<OpenPartition>, LogError> {
    let mut partitions = Vec::new();
    for (number, opened) in (first..).zip(opened) {
        let mut report = |message: String| {
            tracing::warn!(topic = topic.name, partition = number, message, "recovery");
            reports.push(RecoveryReport { topic: topic.name.clone(), partition: number, message });
        };
        match opened {
            Ok((partition, findings)) => {
                findings.into_iter().for_each(&mut report);
                partitions.push(Ok(partition));
            }
            Err(error @ LogError::DataDir { .. }) => return Err(error),
            Err(error) => {
                report(format!("cannot be opened: {error}"));
                partitions.push(Err(error.to_string()));
            }
        }
    }
    Ok(partitions)
}

/// Notes that everything is on disk. Comes last.
pub(super) fn put_closed_mark(disk: &dyn Disk, dir: &Path) -> Result<(), LogError> {
    let mark = metafile::seal(CLOSED_KIND, CLOSED_VERSION, "");
    metafile::replace(disk, &dir.join(CLOSED_FILE), &mark)
}
