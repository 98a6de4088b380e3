//! One partition as the broker sees it: the log's bytes, and what transactions make of them.
//!
//! `producer_state` knows what each producer sent last, `transaction_index` which transactions are open and which were aborted,
//! `produce` takes what clients of the protocol send, `load` brings it all back at a start.

mod aborted;
mod load;
mod produce;
mod producer_state;
mod snapshot;
mod transaction_index;

use crate::error::{bus_error, unavailable};
use crate::limits;
use load::Noted;
use millstream_bus::meter::TopicMeter;
use millstream_bus::{BusError, OffsetRange, TopicPartition};
use millstream_log::batch::{BatchBuilder, BatchHeader, ControlKind, ControlMarker, HEADER_BYTES};
use millstream_log::{Appended, LogError, Partition};
use millstream_model::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use produce::Admitted;
pub(crate) use produce::ProduceError;
use producer_state::{ProducerState, ProducerStates};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;
use transaction_index::TransactionIndex;
pub(crate) use transaction_index::{Ended, TransactionKey};

/// One partition.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) at: TopicPartition,
    /// The topic's id: another topic of the same name, made later, has another one.
    pub(crate) topic_id: u64,
    log: Arc<Partition>,
    state: Mutex<State>,
    /// Held while a snapshot is written.
    noting: Mutex<()>,
    stable: watch::Sender<i64>,
    meter: Arc<TopicMeter>,
    deleted: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// Whether the rest has been read from the disk.
    loaded: bool,
    /// Everything before is counted in: the next offset.
    end: i64,
    noted: Noted,
    transactions: TransactionIndex,
    producers: ProducerStates,
    /// Transactions of the protocol that the coordinator knows to be open here.
    admitted: BTreeMap<TransactionKey, Admitted>,
}

impl State {
    /// Takes in a marker that is in the log.
    fn take_marker(&mut self, header: &BatchHeader, is_abort: bool) {
        self.noted.has_changed = true;
        self.producers.take(header);
        self.transactions.end((header.producer_id, header.producer_epoch), is_abort, header.base_offset);
    }

    /// Takes in a batch of data that is in the log.
    fn take_batch(&mut self, header: &BatchHeader) {
        self.noted.has_changed |= header.has_producer();
        self.producers.take(header);
        if header.is_transactional() && header.record_count > 0 {
            self.transactions.open((header.producer_id, header.producer_epoch), header.base_offset);
        }
    }
}

impl Replica {
    pub(crate) fn new(
        at: TopicPartition,
        topic_id: u64,
        log: Arc<Partition>,
        meter: Arc<TopicMeter>,
    ) -> Self {
        let next = log.range().next;
        let stable = watch::Sender::new(next);
        let deleted = AtomicBool::new(false);
        Self { at, topic_id, log, state: Mutex::default(), noting: Mutex::default(), stable, meter, deleted }
    }

    /// What is known of producers and transactions.
    fn state(&self) -> Result<MutexGuard<'_, State>, LogError> {
        let mut state = self.state.lock();
        let has_lost = || self.log.range().next != state.end && !self.log.is_fenced();
        if !state.loaded || has_lost() {
            let mut read = self.load(state.producers.now_ms)?;
            read.admitted = std::mem::take(&mut state.admitted);
            for key in state.transactions.written_off.keys() {
                read.transactions.write_off(*key);
            }
            *state = read;
            self.publish(&state);
        }
        Ok(state)
    }

    /// The log's partition.
    pub(crate) fn log(&self) -> &Arc<Partition> {
        &self.log
    }

    /// Appends batches outside any transaction.
    pub(crate) fn append(&self, batches: &mut [u8], records: usize) -> Result<Appended, LogError> {
        let mut state = self.state()?;
        let appended = self.append_next(&mut state, batches, records)?;
        self.publish(&state);
        Ok(appended)
    }

    /// Appends behind what `state` knows.
    fn append_next(
        &self,
        state: &mut State,
        batches: &mut [u8],
        records: usize,
    ) -> Result<Appended, LogError> {
        let appended = self.log.append_at(Some(state.end), batches)?;
        state.end = appended.next_offset;
        state.noted.unnoted_bytes += batches.len() as u64;
        self.meter.appended(records, batches.len());
        Ok(appended)
    }

    /// Appends batches of an open transaction of this process.
    pub(crate) fn append_open(&self, batches: &mut [u8], records: usize) -> Result<Appended, LogError> {
        let mut state = self.state()?;
        let appended = self.append_next(&mut state, batches, records)?;
        for header in headers(batches) {
            state.take_batch(&header);
        }
        self.publish(&state);
        Ok(appended)
    }

    /// Appends the marker that ends a transaction. Appending it once more changes nothing.
    pub(crate) fn append_marker(
        &self,
        key: TransactionKey,
        kind: ControlKind,
        now: Timestamp,
    ) -> Result<Appended, LogError> {
        let marker = ControlMarker { kind, coordinator_epoch: 0 };
        let mut batch = BatchBuilder::control(marker, key.0, key.1, now.0);
        let mut state = self.state()?;
        let appended = self.append_next(&mut state, &mut batch, 0)?;
        state.admitted.remove(&key);
        headers(&batch).for_each(|header| state.take_marker(&header, kind == ControlKind::Abort));
        self.publish(&state);
        Ok(appended)
    }

    /// Counts a transaction that may have left records here as aborted, before its marker is written.
    pub(crate) fn write_off(&self, key: TransactionKey) -> Result<(), LogError> {
        let mut state = self.state()?;
        state.transactions.write_off(key);
        self.publish(&state);
        Ok(())
    }

    /// Readers of committed records are woken where the last stable offset moved.
    fn publish(&self, state: &State) {
        let stable = state.transactions.stable(self.log.range().next);
        self.stable.send_if_modified(|last| std::mem::replace(last, stable) != stable);
    }

    /// The topic was deleted: wakes every reader to see that.
    pub(crate) fn delete(&self) {
        self.deleted.store(true, Ordering::Release);
        self.stable.send_modify(|_| {});
        // Who came while the log was at it has not been woken by that.
        self.log.wake_readers();
    }

    /// [`BusError::UnknownTopic`] where the topic was deleted.
    pub(crate) fn check_exists(&self) -> Result<(), BusError> {
        let deleted = self.deleted.load(Ordering::Acquire);
        if deleted { Err(BusError::UnknownTopic(self.at.to_string())) } else { Ok(()) }
    }

    /// Resolves when everything before `next_offset` is on disk.
    pub(crate) async fn flushed(&self, next_offset: i64) -> Result<(), BusError> {
        self.log.flushed(next_offset).await.map_err(bus_error)
    }

    /// [`Replica::flushed`] for a client that sends more when it has its answer.
    pub(crate) async fn flushed_together(&self, next_offset: i64) -> Result<(), BusError> {
        self.log.flushed_together(next_offset).await.map_err(bus_error)
    }

    /// Puts everything before an offset that a group reached on disk, so that the offset never points past the log, nor past
    /// records that were read and then lost with the disk: those come again.
    pub(crate) async fn flushed_input(&self, offset: i64) -> Result<(), BusError> {
        let was_fenced = self.log.is_fenced();
        let range = self.log.range();
        let is_behind_lost = self.log.is_lost(offset - 1) && self.log.is_lost(offset);
        if is_behind_lost || (offset > range.next && (was_fenced || self.log.is_fenced())) {
            let at = &self.at;
            return Err(unavailable(format!(
                "records of `{at}` before offset {offset} were lost with the disk"
            )));
        }
        let offset = offset.min(range.next);
        if offset <= range.durable { Ok(()) } else { self.flushed(offset).await }
    }

    pub(crate) fn range(&self) -> OffsetRange {
        let state = self.state();
        let range = self.log.range();
        let stable = match &state {
            Ok(state) => state.transactions.stable(range.next),
            Err(error) => {
                tracing::error!(partition = %self.at, %error, "what is committed cannot be told, so it is not shown");
                range.earliest
            }
        };
        OffsetRange { earliest: range.earliest, stable: stable.max(range.earliest), latest: range.next }
    }

    /// The last stable offset, as it changes.
    pub(crate) fn stable(&self) -> watch::Receiver<i64> {
        // Read from the log first, where it was not; a failure comes again with the range.
        drop(self.state());
        self.stable.subscribe()
    }

    /// Whether a read at `offset` is likely to wait for the disk.
    pub(crate) fn is_cold(&self, offset: i64) -> bool {
        self.log.range().next.saturating_sub(offset) > limits::COLD_RECORDS
    }

    /// How the transaction ended that has a batch at `offset`, before the last stable offset.
    pub(crate) fn ended(&self, key: TransactionKey, offset: i64) -> Ended {
        self.state().map_or(Ended::BeforeMemory, |state| state.transactions.ended(key, offset))
    }

    /// Where memory of aborted transactions begins.
    pub(crate) fn known_from(&self) -> i64 {
        self.state().map_or(i64::MAX, |state| state.transactions.known_from)
    }
}

/// A producer that a partition knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ActiveProducer {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
    /// -1 where there is none.
    pub(crate) last_sequence: i32,
    /// In ms; -1 where there is none.
    pub(crate) last_timestamp: i64,
    /// -1 where no transaction of it ended here.
    pub(crate) coordinator_epoch: i32,
    /// Where its open transaction begins; -1 where none is open.
    pub(crate) open_from: i64,
}

impl Replica {
    /// The producers that are known, by their ids.
    pub(crate) fn producers(&self) -> Result<Vec<ActiveProducer>, LogError> {
        let state = self.state()?;
        let active = |(id, producer): (&i64, &ProducerState)| {
            let last = producer.batches.back();
            let open = &state.transactions.open;
            ActiveProducer {
                id: *id,
                epoch: producer.epoch,
                last_sequence: last.map_or(-1, |batch| batch.last_sequence),
                last_timestamp: last.map_or(-1, |batch| batch.timestamp),
                coordinator_epoch: if producer.has_ended { 0 } else { -1 },
                open_from: open.iter().find(|(key, _)| key.0 == *id).map_or(-1, |(_, first)| *first),
            }
        };
        Ok(state.producers.by_id.iter().map(active).collect())
    }
}

/// The headers of batches that were just appended.
fn headers(mut batches: &[u8]) -> impl Iterator<Item = BatchHeader> {
    std::iter::from_fn(move || {
        let header = BatchHeader::decode(batches).ok().filter(|header| header.size_bytes >= HEADER_BYTES)?;
        batches = batches.get(header.size_bytes..)?;
        Some(header)
    })
}
