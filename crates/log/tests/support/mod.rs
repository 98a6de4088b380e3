//! What the log's tests share: batches that name their records, reading everything back, a clock that is set by hand.
#![allow(dead_code, reason = "no test uses all of it")]
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

use bytes::Bytes;
use millstream_log::batch::{BatchBuilder, Compression, Record, batches};
use millstream_log::{Disk, Log, LogConfig, LogError, Partition};
use millstream_model::{Clock, Timestamp};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Where every test keeps its log.
pub(crate) const DIR: &str = "/data";

/// A clock that stands still until it is set.
#[derive(Debug)]
pub(crate) struct TestClock(pub(crate) AtomicI64);

impl TestClock {
    pub(crate) fn new(now_ms: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(now_ms)))
    }

    pub(crate) fn set(&self, now_ms: i64) {
        self.0.store(now_ms, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

/// A small log: segments and reserve fit tests.
pub(crate) fn small() -> LogConfig {
    LogConfig { reserve_bytes: 0, ..LogConfig::default() }
}

pub(crate) fn configs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub(crate) fn open(disk: &(impl Disk + Clone)) -> Arc<Log> {
    open_with(disk, small())
}

pub(crate) fn open_with(disk: &(impl Disk + Clone), config: LogConfig) -> Arc<Log> {
    Log::open(Arc::new(disk.clone()), Path::new(DIR), config, TestClock::new(1)).unwrap().0
}

/// A log with one topic `t` of one partition.
pub(crate) fn one_partition(
    disk: &(impl Disk + Clone),
    topic_configs: &[(&str, &str)],
) -> (Arc<Log>, Arc<Partition>) {
    let log = open(disk);
    log.create_topic("t", 1, &configs(topic_configs)).unwrap();
    let partition = log.partition("t", 0).unwrap();
    (log, partition)
}

/// One batch of records without keys.
pub(crate) fn batch(values: &[&str]) -> Vec<u8> {
    let pairs: Vec<_> = values.iter().map(|value| (None, Some(*value), 0)).collect();
    keyed(&pairs)
}

/// One batch of records: key, value, timestamp.
pub(crate) fn keyed(records: &[(Option<&str>, Option<&str>, i64)]) -> Vec<u8> {
    let bytes = |text: Option<&str>| text.map(|text| Bytes::copy_from_slice(text.as_bytes()));
    let mut builder = BatchBuilder::new(Compression::None);
    for (key, value, timestamp_ms) in records {
        builder.push(*timestamp_ms, bytes(*key), bytes(*value), Vec::new());
    }
    builder.finish().unwrap().to_vec()
}

/// Appends one batch; the next offset.
pub(crate) fn append(partition: &Partition, values: &[&str]) -> i64 {
    partition.append(&mut batch(values)).unwrap().next_offset
}

/// Every record from `from` to the end.
pub(crate) fn read_from(partition: &Partition, from: i64) -> Result<Vec<Record>, LogError> {
    let mut all = Vec::new();
    let mut next = from;
    loop {
        let run = partition.read(next, 4096)?;
        if run.is_empty() {
            return Ok(all);
        }
        for batch in batches(run) {
            let batch = batch.unwrap();
            next = batch.header.next_offset();
            all.extend(batch.records().unwrap().into_iter().filter(|record| record.offset >= from));
        }
    }
}

/// Offset and value of every record there is.
pub(crate) fn contents(partition: &Partition) -> Vec<(i64, String)> {
    let records = read_from(partition, partition.range().earliest).unwrap();
    records.into_iter().map(|record| (record.offset, text(record.value.as_ref()))).collect()
}

pub(crate) fn text(bytes: Option<&Bytes>) -> String {
    bytes.map_or_else(|| "-".to_owned(), |bytes| String::from_utf8(bytes.to_vec()).unwrap())
}
