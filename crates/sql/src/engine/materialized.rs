//! Tables as they are now, for pull queries: the newest record of each key, read from the table's own topic.
//!
//! A table is read on first use and kept, shared by all queries that ask it. Before each answer it catches up with what was
//! committed when the question came. Queries hold no lock while they compute and send: they take the records that they need
//! at one moment, and those never change. Nothing here touches the tasks of persistent queries.

use crate::SqlError;
use crate::limits::{MATERIALIZED_BYTES_MAX, MATERIALIZED_IDLE_MS, MATERIALIZED_ROW_BYTES};
use bytes::Bytes;
use millstream_bus::{
    Bus, FetchLimit, Fetched, Isolation, OffsetRange, Position, Reader, ReceivedRecord, Record, StartOffset,
    TopicPartition,
};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// A record with its partition, as the answer of a query is made of.
pub(super) type Row = (i32, Arc<ReceivedRecord>);

/// The tables that were asked lately, by topic.
#[derive(Debug, Default)]
pub(super) struct Tables {
    tables: Mutex<BTreeMap<Arc<str>, Arc<Table>>>,
    /// Bytes of all of them.
    bytes: Arc<AtomicUsize>,
}

/// One table.
struct Table {
    topic: Arc<str>,
    /// Held while records are read; whoever comes meanwhile waits, and finds the work done.
    reading: tokio::sync::Mutex<Option<Box<dyn Reader>>>,
    /// By partition: the newest record of each key.
    rows: RwLock<BTreeMap<i32, Partition>>,
    bytes: Bytesize,
    asked: Mutex<Instant>,
}

#[derive(Debug, Default)]
struct Partition {
    rows: BTreeMap<Bytes, Arc<ReceivedRecord>>,
    /// Where reading goes on.
    next: i64,
    /// Older records were deleted by the topic's retention.
    earliest: i64,
}

/// Bytes that one table takes, told to the sum of all; given back when it is dropped.
#[derive(Debug)]
struct Bytesize {
    own: AtomicUsize,
    all: Arc<AtomicUsize>,
}

impl Bytesize {
    fn add(&self, bytes: usize) -> usize {
        self.own.fetch_add(bytes, Ordering::Relaxed);
        self.all.fetch_add(bytes, Ordering::Relaxed) + bytes
    }

    fn take(&self, bytes: usize) {
        self.own.fetch_sub(bytes, Ordering::Relaxed);
        self.all.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Bytesize {
    fn drop(&mut self) {
        self.all.fetch_sub(self.own.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("topic", &self.topic)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// Which rows are wanted.
#[derive(Debug)]
pub(super) enum Wanted {
    /// All.
    All,
    /// Those whose key is one of these.
    Keys(Vec<Bytes>),
    /// Those whose key begins with one of these and has so many bytes more: the window.
    Windows(Vec<Bytes>, usize),
}

impl Tables {
    /// The rows of the table over `topic`, as they are now.
    pub(super) async fn rows(
        &self,
        bus: &Arc<dyn Bus>,
        topic: &Arc<str>,
        partitions: i32,
        wanted: &Wanted,
    ) -> Result<Vec<Row>, SqlError> {
        let table = self.table(topic);
        match table.catch_up(bus, partitions).await {
            Ok(()) => Ok(table.pick(wanted)),
            Err(error) => {
                // What is half read, or too large, is of no use to the next one either.
                self.tables.lock().remove(topic);
                Err(error)
            }
        }
    }

    /// Forgets the table over a topic that is gone.
    pub(super) fn forget(&self, topic: &str) {
        self.tables.lock().remove(topic);
    }

    fn table(&self, topic: &Arc<str>) -> Arc<Table> {
        let now = Instant::now();
        let mut tables = self.tables.lock();
        let idle = Duration::from_millis(MATERIALIZED_IDLE_MS);
        tables.retain(|name, table| name == topic || now.duration_since(*table.asked.lock()) < idle);
        let table = tables.entry(topic.clone()).or_insert_with(|| {
            Arc::new(Table {
                topic: topic.clone(),
                reading: tokio::sync::Mutex::default(),
                rows: RwLock::default(),
                bytes: Bytesize { own: AtomicUsize::new(0), all: self.bytes.clone() },
                asked: Mutex::new(now),
            })
        });
        *table.asked.lock() = now;
        table.clone()
    }
}

impl Table {
    /// Reads on until everything is here that is committed now.
    async fn catch_up(&self, bus: &Arc<dyn Bus>, partitions: i32) -> Result<(), SqlError> {
        let failed = || SqlError::bus(format!("reading the table over `{}`", self.topic));
        let all: Vec<_> =
            (0..partitions).map(|number| TopicPartition::new(self.topic.clone(), number)).collect();
        let ranges = bus.offsets_of_all(&all).await.map_err(failed())?;
        let mut ends = BTreeMap::new();
        for (at, range) in all.iter().zip(&ranges) {
            let Some(range) = range else { continue };
            ends.insert(at.clone(), range.stable);
            self.expire(at.partition, range.earliest);
        }
        let mut reading = self.reading.lock().await;
        let past = |(at, range): (&TopicPartition, &Option<OffsetRange>)| {
            let next = self.rows.read().get(&at.partition).map_or(0, |partition| partition.next);
            range.as_ref().is_some_and(|range| next > range.latest)
        };
        if all.iter().zip(&ranges).any(past) {
            // It is another topic of the same name.
            self.rows.write().clear();
            self.bytes.take(self.bytes.own.load(Ordering::Relaxed));
            *reading = None;
        }
        ends.retain(|at, end| {
            self.rows.read().get(&at.partition).is_none_or(|partition| partition.next < *end)
        });
        if ends.is_empty() {
            return Ok(());
        }
        let mut reader = match reading.take() {
            Some(reader) => reader,
            None => self.open(bus, &all).await?,
        };
        let limit = FetchLimit::default();
        while !ends.is_empty() {
            match reader.poll(limit).await {
                Ok(fetched) => fetched.iter().try_for_each(|fetched| self.apply(fetched))?,
                Err(error) if error.is_retriable() => return Err(failed()(error)),
                Err(error) => match error.next_readable() {
                    Some((at, offset)) => reader.seek(at, offset).await.map_err(failed())?,
                    None => return Err(failed()(error)),
                },
            }
            let mut rows = self.rows.write();
            for (at, next) in reader.positions() {
                rows.entry(at.partition).or_default().next = next;
                if ends.get(&at).is_some_and(|end| next >= *end) {
                    ends.remove(&at);
                }
            }
        }
        *reading = Some(reader);
        Ok(())
    }

    /// A reader that goes on where the rows end.
    async fn open(&self, bus: &Arc<dyn Bus>, all: &[TopicPartition]) -> Result<Box<dyn Reader>, SqlError> {
        let from = {
            let rows = self.rows.read();
            let start = |at: &TopicPartition| match rows.get(&at.partition).map(|partition| partition.next) {
                Some(next) if next > 0 => StartOffset::Offset(next),
                _ => StartOffset::Earliest,
            };
            all.iter().map(|at| Position::new(at.clone(), start(at))).collect()
        };
        let opened = bus.reader(from, Isolation::ReadCommitted).await;
        opened.map_err(SqlError::bus(format!("reading the table over `{}`", self.topic)))
    }

    fn apply(&self, fetched: &Fetched) -> Result<(), SqlError> {
        let mut rows = self.rows.write();
        let partition = rows.entry(fetched.partition.partition).or_default();
        let (mut more, mut less) = (0, 0);
        for received in &fetched.records {
            // A table's row without a key is no row; scanning would find that, too.
            let Some(key) = &received.record.key else { continue };
            // The key that stands in the map shares its bytes with the record, so the old entry goes whole.
            less += partition.rows.remove(key).map_or(0, |old| bytes_of(&old));
            if received.record.value.is_some() {
                let own = Arc::new(compact(received));
                more += bytes_of(&own);
                partition.rows.insert(own.record.key.clone().unwrap_or_default(), own);
            }
            partition.next = received.offset + 1;
        }
        let all = self.bytes.add(more);
        self.bytes.take(less);
        if all.saturating_sub(less) > MATERIALIZED_BYTES_MAX {
            return Err(SqlError::Query(format!(
                "the tables that are asked with SELECT take more than {} MB of memory; `{}` is one of them. Ask a smaller \
                 table, made with CREATE TABLE … AS SELECT … WHERE …",
                MATERIALIZED_BYTES_MAX >> 20,
                self.topic
            )));
        }
        Ok(())
    }

    /// Forgets rows that the topic itself has forgotten.
    fn expire(&self, number: i32, earliest: i64) {
        let known = self.rows.read().get(&number).map_or(0, |partition| partition.earliest);
        if earliest <= known {
            return;
        }
        let mut rows = self.rows.write();
        let partition = rows.entry(number).or_default();
        partition.earliest = earliest;
        let mut gone = 0;
        partition.rows.retain(|_, row| {
            let stays = row.offset >= earliest;
            gone += if stays { 0 } else { bytes_of(row) };
            stays
        });
        self.bytes.take(gone);
    }

    /// The wanted rows, in the order of their keys.
    fn pick(&self, wanted: &Wanted) -> Vec<Row> {
        let rows = self.rows.read();
        let mut picked = Vec::new();
        for (number, partition) in rows.iter() {
            match wanted {
                Wanted::All => picked.extend(partition.rows.values().map(|row| (*number, row.clone()))),
                Wanted::Keys(keys) => {
                    let found = keys.iter().filter_map(|key| partition.rows.get(key));
                    picked.extend(found.map(|row| (*number, row.clone())));
                }
                Wanted::Windows(keys, more) => {
                    for key in keys {
                        let from = (Bound::Included(key.clone()), Bound::Unbounded);
                        let near = partition.rows.range(from).take_while(|(known, _)| known.starts_with(key));
                        let found = near.filter(|(known, _)| known.len() == key.len() + more);
                        picked.extend(found.map(|(_, row)| (*number, row.clone())));
                    }
                }
            }
        }
        picked
    }
}

/// A record that shares no memory with the batch in which it came, which is much larger.
fn compact(received: &ReceivedRecord) -> ReceivedRecord {
    let record = &received.record;
    let key_length = record.key.as_ref().map_or(0, Bytes::len);
    let parts = [record.key.as_deref().unwrap_or_default(), record.value.as_deref().unwrap_or_default()];
    let all = Bytes::from(parts.concat());
    let own = |header: &millstream_bus::Header| millstream_bus::Header {
        name: header.name.clone(),
        value: header.value.as_deref().map(Bytes::copy_from_slice),
    };
    ReceivedRecord {
        offset: received.offset,
        record: Record {
            key: record.key.as_ref().map(|_| all.slice(..key_length)),
            value: record.value.as_ref().map(|_| all.slice(key_length..)),
            headers: record.headers.iter().map(own).collect(),
            timestamp: record.timestamp,
        },
    }
}

fn bytes_of(row: &ReceivedRecord) -> usize {
    let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
    let headers = row.record.headers.iter().map(|header| header.name.len() + length(&header.value));
    length(&row.record.key) + length(&row.record.value) + headers.sum::<usize>() + MATERIALIZED_ROW_BYTES
}
