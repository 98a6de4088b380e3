//! What the broker's tests share.
#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]
#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod client;
pub(crate) mod data;
pub(crate) mod groups;
pub(crate) mod producers;

use bytes::Bytes;
use millstream_broker::{Embedded, EmbeddedConfig};
use millstream_bus::{
    Bus, BusError, FetchLimit, Isolation, Position, Reader, ReceivedRecord, Record, StartOffset,
    TopicPartition, Transaction,
};
use millstream_log::{Disk, Log, LogConfig, LogError};
use millstream_model::{Clock, Timestamp};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// A clock that goes on by a millisecond whenever it is read, soon after the records of the tests.
#[derive(Debug)]
struct Ticking;

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        static MS: AtomicI64 = AtomicI64::new(1_700_000_100_000);
        Timestamp(MS.fetch_add(1, Ordering::Relaxed))
    }
}

/// The clock of all tests.
pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(Ticking)
}

/// A log that recovers without a finding worth failing for. A round of maintenance may hold the one before for a moment longer.
#[expect(clippy::needless_pass_by_value, reason = "what is given may be needed more than once")]
pub(crate) fn open_log(disk: Arc<dyn Disk>, dir: &Path) -> Arc<Log> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match Log::open(Arc::clone(&disk), dir, LogConfig::default(), clock()) {
            Err(LogError::DataDir { .. }) if Instant::now() < deadline => std::thread::yield_now(),
            opened => return opened.unwrap().0,
        }
    }
}

/// The log and the engine over it.
pub(crate) async fn open_both(disk: Arc<dyn Disk>, dir: &Path) -> (Arc<Log>, Arc<Embedded>) {
    let log = open_log(disk, dir);
    let bus = Embedded::open(Arc::clone(&log), EmbeddedConfig::default(), clock()).await.unwrap();
    (log, bus)
}

/// The engine over a log of its own.
pub(crate) async fn open(disk: Arc<dyn Disk>, dir: &Path) -> Arc<Embedded> {
    open_both(disk, dir).await.1
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

pub(crate) fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

pub(crate) fn records(texts: impl IntoIterator<Item = impl Into<String>>) -> Vec<Record> {
    let record = |text: String| Record::new(None, Some(text.into()), Timestamp(1_700_000_000_000));
    texts.into_iter().map(Into::into).map(record).collect()
}

pub(crate) fn keyed(key: &str, value: &str) -> Record {
    let bytes = |text: &str| Some(Bytes::copy_from_slice(text.as_bytes()));
    Record::new(bytes(key), bytes(value), Timestamp(1_700_000_000_000))
}

pub(crate) fn text(received: ReceivedRecord) -> String {
    String::from_utf8(received.record.value.unwrap().to_vec()).unwrap()
}

pub(crate) async fn reader(bus: &Embedded, of: &TopicPartition, isolation: Isolation) -> Box<dyn Reader> {
    bus.reader(vec![Position::new(of.clone(), StartOffset::Earliest)], isolation).await.unwrap()
}

/// Reads one partition up to `end`.
pub(crate) async fn drain_records(reader: &mut dyn Reader, end: i64) -> Vec<ReceivedRecord> {
    let limit = FetchLimit { wait_max: Duration::ZERO, records_max: 5, ..FetchLimit::default() };
    let mut found = Vec::new();
    while reader.positions()[0].1 < end {
        found.extend(reader.poll(limit).await.unwrap().into_iter().flat_map(|part| part.records));
    }
    found
}

/// The same as texts.
pub(crate) async fn drain(reader: &mut dyn Reader, end: i64) -> Vec<String> {
    drain_records(reader, end).await.into_iter().map(text).collect()
}

/// All committed records of a partition.
pub(crate) async fn committed_texts(bus: &Embedded, of: &TopicPartition) -> Vec<String> {
    let end = bus.offsets(of).await.unwrap().stable;
    drain(&mut *reader(bus, of, Isolation::ReadCommitted).await, end).await
}

/// The newest committed value of each key.
pub(crate) async fn newest(bus: &Embedded, of: &TopicPartition) -> BTreeMap<String, String> {
    let end = bus.offsets(of).await.unwrap().stable;
    let found = drain_records(&mut *reader(bus, of, Isolation::ReadCommitted).await, end).await;
    let key = |received: &ReceivedRecord| {
        String::from_utf8(received.record.key.as_ref().unwrap().to_vec()).unwrap()
    };
    found.into_iter().map(|received| (key(&received), text(received))).collect()
}

/// How a write of a random history ended, as its writer knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Committed,
    Aborted,
    Unknown,
}

/// Commits a transaction of a random history. One with a part that failed (not `sound`) must not be committed.
pub(crate) async fn commit(transaction: Box<dyn Transaction + '_>, sound: bool, what: &str) -> Outcome {
    match transaction.commit().await {
        Ok(()) => {
            assert!(sound, "{what} was committed although a part of it failed");
            Outcome::Committed
        }
        Err(BusError::Unknown(_)) => Outcome::Unknown,
        Err(_) => Outcome::Aborted,
    }
}

/// The seeds of a torture test: `MILLSTREAM_TORTURE_ROUNDS` of them, or `usual`, from `MILLSTREAM_SEED` or `first` on.
pub(crate) fn seeds(first: u64, usual: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let first = number("MILLSTREAM_SEED").unwrap_or(first);
    first..first + number("MILLSTREAM_TORTURE_ROUNDS").unwrap_or(usual)
}

/// Runs a history for each of the [`seeds`] from 1 on, each in a runtime of its own; none may hang.
#[expect(clippy::print_stdout, reason = "a failed test tells its seed")]
pub(crate) fn histories<F: Future<Output = ()>>(usual: u64, history: impl Fn(u64) -> F) {
    for seed in seeds(1, usual) {
        println!("seed {seed}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let history = tokio::time::timeout(Duration::from_mins(2), history(seed)).await;
            assert!(history.is_ok(), "not finished in time");
        });
    }
}
