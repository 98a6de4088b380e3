//! The transaction coordinator: which transactional ids there are, and how their transactions end.
//!
//! What is on disk, in this order, for a transaction:
//!
//! 1. before its first record in a partition: `Ongoing` with that partition among the `registered` ones (once per producer and
//!    partition, not once per transaction);
//! 2. its records, and whatever its input offsets point past: one wait for all of them;
//! 3. `Commit`, with the partitions, the offsets, and the epoch of the next transaction: this record decides;
//! 4. its markers and its offsets in `__consumer_offsets`: written at once, durable before the next record of this id.
//!
//! So a crash finds either no decision, and aborts whatever the registered partitions hold of the epoch that may have been open;
//! or a decision, and writes markers and offsets again, which changes nothing where they are there already. Every committed
//! transaction has an epoch of its own (KIP-890), an aborted one shares it with the next, which begins only after
//! the abort markers are on disk.
//!
//! Clients of the protocol share the ids and the coordinator; what is different for them is told in [`client`].

mod add;
mod client;
mod describe;
mod end;
mod end_client;
mod error;
mod init;
mod recover;
mod sweep;

use crate::coordinate::offset_record::OffsetRecord;
use crate::coordinate::offsets::Offsets;
use crate::coordinate::producers::ProducerIds;
use crate::coordinate::transaction_record::{Decision, Registered, TransactionRecord};
use crate::embedded::EmbeddedConfig;
use crate::error::{bus_error, unavailable};
use crate::limits;
use crate::record::{Stamp, encode, sequence_after};
use crate::replica::{Replica, TransactionKey};
use crate::topics::{Topics, is_internal};
use client::Client;
pub(crate) use describe::Described;
use end::Ended;
pub(crate) use error::{Claim, TransactionError};
use millstream_bus::{BusError, Record, TopicPartition, check};
use millstream_log::batch::ControlKind;
use millstream_model::{Clock, Timestamp};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

/// One transactional id, taken by whoever works on it.
pub(crate) type Slot = Arc<tokio::sync::Mutex<Producer>>;

/// The coordinator.
#[derive(Debug)]
pub(crate) struct Transactions {
    topics: Arc<Topics>,
    offsets: Arc<Offsets>,
    producer_ids: ProducerIds,
    replica: Arc<Replica>,
    clock: Arc<dyn Clock>,
    config: EmbeddedConfig,
    producers: Mutex<BTreeMap<String, Slot>>,
    /// Which id last committed an offset in a transaction that may have to be repeated. Others wait until it need not.
    committers: Mutex<BTreeMap<(String, TopicPartition), String>>,
}

/// The state of one transactional id.
#[derive(Debug)]
pub(crate) struct Producer {
    id: String,
    /// Of the transaction that is open, or of the next.
    key: TransactionKey,
    /// Grows with every producer that opens the id; older ones are fenced.
    incarnation: u64,
    /// Partitions that may hold its records, with their topics' ids.
    registered: BTreeMap<TopicPartition, u64>,
    open: Option<Open>,
    opened: u64,
    /// The newest record on disk is a decision: after a crash its transaction's markers and offsets are written again.
    decision_on_disk: bool,
    /// What its decisions since then commit, as it is in [`Transactions::committers`].
    committed: BTreeSet<(String, TopicPartition)>,
    /// Transactions that have ended and whose markers may not all be on disk, oldest first.
    unsettled: Vec<Ended>,
    /// The client of the protocol that has the id; `None` where a producer of this process has it, or nobody yet.
    client: Option<Client>,
    /// The id has expired: whoever still holds this must look it up again.
    expired: bool,
}

/// An open transaction.
#[derive(Debug)]
struct Open {
    number: u64,
    began: Instant,
    began_at: Timestamp,
    timeout: Duration,
    touched: BTreeMap<TopicPartition, Touched>,
    /// Partitions that it has written to and that cannot be used now.
    unusable: Vec<Registered>,
    offsets: Vec<OffsetRecord>,
    /// Groups that may commit offsets in it.
    groups: BTreeSet<String>,
    /// Something could not be added: it can only be aborted.
    failed: Option<BusError>,
}

/// A partition that an open transaction has written to.
#[derive(Debug)]
struct Touched {
    replica: Arc<Replica>,
    next_offset: i64,
    sequence: i32,
    /// That it belongs to the transaction is on disk.
    noted: bool,
}

impl Open {
    fn new(number: u64, began_at: Timestamp, timeout: Duration) -> Self {
        Self {
            number,
            began: Instant::now(),
            began_at,
            timeout,
            touched: BTreeMap::new(),
            unusable: Vec::new(),
            offsets: Vec::new(),
            groups: BTreeSet::new(),
            failed: None,
        }
    }

    /// The partitions that it may have records in.
    fn registered(&self) -> Vec<Registered> {
        let touched = self.touched.values().map(Touched::registered);
        touched.chain(self.unusable.iter().cloned()).collect()
    }
}

impl Producer {
    fn new(id: &str, key: TransactionKey) -> Self {
        Self {
            id: id.to_owned(),
            key,
            incarnation: 0,
            registered: BTreeMap::new(),
            open: None,
            opened: 0,
            decision_on_disk: false,
            committed: BTreeSet::new(),
            unsettled: Vec::new(),
            client: None,
            expired: false,
        }
    }

    fn check_incarnation(&self, incarnation: u64) -> Result<(), BusError> {
        if self.incarnation == incarnation { Ok(()) } else { Err(BusError::Fenced(self.id.clone())) }
    }

    /// The open transaction, if it is still the one that the caller has.
    fn open(&mut self, incarnation: u64, number: u64) -> Result<&mut Open, BusError> {
        self.check_incarnation(incarnation)?;
        let timed_out =
            || unavailable(format!("the transaction of `{}` took too long and was aborted", self.id));
        match &mut self.open {
            Some(open) if open.number == number => Ok(open),
            _ => Err(timed_out()),
        }
    }

    /// What is to be known on disk while nothing is decided.
    fn ongoing(&self) -> TransactionRecord {
        let open = self.open.as_ref().filter(|_| self.client.is_some());
        let registered = self.registered.iter();
        TransactionRecord {
            id: self.id.clone(),
            producer_id: self.key.0,
            epoch: self.key.1,
            next: self.key,
            decision: if open.is_some() { Decision::Open } else { Decision::Ongoing },
            touched: open.map(Open::registered).unwrap_or_default(),
            registered: registered.map(|(at, id)| Registered { at: at.clone(), topic_id: *id }).collect(),
            offsets: open.map(|open| open.offsets.clone()).unwrap_or_default(),
            client: self.client.as_ref().map(|client| client.record(open)),
        }
    }

    fn has_unsettled_abort(&self) -> bool {
        self.unsettled.iter().any(|ended| ended.kind == ControlKind::Abort)
    }
}

impl Transactions {
    fn slot(&self, id: &str) -> Option<Slot> {
        self.producers.lock().get(id).cloned()
    }

    fn slots(&self) -> Vec<Slot> {
        self.producers.lock().values().cloned().collect()
    }

    /// Writes the state of an id; durable when it returns.
    async fn write(&self, record: &TransactionRecord) -> Result<(), BusError> {
        let next_offset = self.append(record)?;
        self.replica.flushed(next_offset).await
    }

    fn append(&self, record: &TransactionRecord) -> Result<i64, BusError> {
        let mut batch = encode(vec![record.encode(self.clock.now())], usize::MAX, None)?;
        Ok(self.replica.append(&mut batch, 1).map_err(bus_error)?.next_offset)
    }

    /// The key of what comes after `key`.
    async fn after(&self, key: TransactionKey) -> Result<TransactionKey, BusError> {
        if key.1 < limits::PRODUCER_EPOCH_MAX {
            Ok((key.0, key.1 + 1))
        } else {
            Ok((self.producer_ids.next().await?, 0))
        }
    }

    /// Opens `id`: fences who had it, aborts what that one left open, finishes what it had decided. Returns the slot and the
    /// incarnation that holds it now.
    pub(crate) async fn take_over(&self, id: &str) -> Result<(Slot, u64), BusError> {
        let (slot, mut producer) = self.taken(id).await?;
        // From here on the older one is fenced, even where the rest fails and is tried again.
        producer.incarnation += 1;
        if producer.client.is_some() {
            self.end_open(&mut producer, ControlKind::Abort, true).await?;
            producer.client = None;
        }
        self.abort_open(&mut producer);
        self.settle(&mut producer).await?;
        producer.key = self.after(producer.key).await?;
        let registered = std::mem::take(&mut producer.registered);
        if let Err(error) = self.write(&producer.ongoing()).await {
            producer.registered = registered;
            return Err(error);
        }
        self.nothing_to_repeat(&mut producer);
        let incarnation = producer.incarnation;
        drop(producer);
        Ok((slot, incarnation))
    }

    /// An id, made where there is none, and taken.
    async fn taken(&self, id: &str) -> Result<(Slot, OwnedMutexGuard<Producer>), BusError> {
        loop {
            let slot = match self.slot(id) {
                Some(slot) => slot,
                None => self.make(id).await?,
            };
            let producer = Arc::clone(&slot).lock_owned().await;
            if !producer.expired {
                return Ok((slot, producer));
            }
        }
    }

    async fn make(&self, id: &str) -> Result<Slot, BusError> {
        let key = (self.producer_ids.next().await?, 0);
        let mut producers = self.producers.lock();
        if producers.len() >= limits::TRANSACTIONAL_IDS && !producers.contains_key(id) {
            let message = format!("there are {} transactional ids already", limits::TRANSACTIONAL_IDS);
            return Err(BusError::Invalid(message));
        }
        let slot = || Arc::new(tokio::sync::Mutex::new(Producer::new(id, key)));
        Ok(Arc::clone(producers.entry(id.to_owned()).or_insert_with(slot)))
    }

    /// Begins a transaction and returns its number. One that was left open is aborted.
    pub(crate) async fn begin(&self, slot: &Slot, incarnation: u64) -> Result<u64, BusError> {
        let mut producer = Arc::clone(slot).lock_owned().await;
        producer.check_incarnation(incarnation)?;
        self.abort_open(&mut producer);
        if producer.has_unsettled_abort() {
            self.settle(&mut producer).await?;
        }
        producer.opened += 1;
        let number = producer.opened;
        producer.open = Some(Open::new(number, self.clock.now(), self.config.transaction_timeout));
        Ok(number)
    }

    /// Adds records to the open transaction. After a failure it can only be aborted.
    pub(crate) async fn add_records(
        &self,
        (slot, incarnation, number): (&Slot, u64, u64),
        to: &TopicPartition,
        records: Vec<Record>,
    ) -> Result<(), BusError> {
        let mut producer = Arc::clone(slot).lock_owned().await;
        producer.open(incarnation, number)?;
        let added = self.add_to_open(&mut producer, to, records).await;
        if let (Err(error), Some(open)) = (&added, &mut producer.open) {
            open.failed = Some(error.clone());
        }
        added
    }

    async fn add_to_open(
        &self,
        producer: &mut OwnedMutexGuard<Producer>,
        to: &TopicPartition,
        records: Vec<Record>,
    ) -> Result<(), BusError> {
        check::batch(to, &records)?;
        if is_internal(&to.topic) {
            return Err(BusError::Invalid(format!("topic `{}` is the broker's own", to.topic)));
        }
        let replica = self.topics.replica(to)?;
        if producer.registered.get(to) != Some(&replica.topic_id) {
            self.register(producer, &replica).await?;
        } else if producer.unsettled.iter().any(|ended| ended.lacks_marker(to)) {
            // Records must not come before the marker of the transaction before them.
            self.settle(producer).await?;
        }
        let key = producer.key;
        let Some(open) = &mut producer.open else { return Err(unavailable("the transaction has ended")) };
        let sequence = open.touched.get(to).map_or(0, |touched| touched.sequence);
        let stamp = Stamp { producer_id: key.0, epoch: key.1, sequence };
        let count = records.len();
        let mut batches = encode(records, replica.log().config().max_message_bytes, Some(stamp))?;
        let appended = replica.append_open(&mut batches, count).map_err(bus_error)?;
        let sequence = sequence_after(sequence, count);
        let before = open.touched.get(to).map(|touched| touched.next_offset - 1);
        if before.is_some_and(|last| replica.log().is_lost(last)) {
            // The disk failed and works again, and a part of the transaction is gone.
            return Err(unavailable(format!("records of the transaction in `{to}` were lost with the disk")));
        }
        let touched = Touched { replica, next_offset: appended.next_offset, sequence, noted: true };
        open.touched.insert(to.clone(), touched);
        Ok(())
    }

    /// Notes on disk that the producer may write to a partition.
    async fn register(&self, producer: &mut Producer, to: &Replica) -> Result<(), BusError> {
        // The note takes the place of the last decision, which must not be needed any more.
        self.settle(producer).await?;
        let mut record = producer.ongoing();
        record.registered.retain(|registered| registered.at != to.at);
        record.registered.push(Registered { at: to.at.clone(), topic_id: to.topic_id });
        self.write(&record).await?;
        self.nothing_to_repeat(producer);
        producer.registered.insert(to.at.clone(), to.topic_id);
        Ok(())
    }

    /// Adds input offsets to the open transaction.
    pub(crate) async fn add_offsets(
        &self,
        (slot, incarnation, number): (&Slot, u64, u64),
        records: Vec<OffsetRecord>,
    ) -> Result<(), BusError> {
        let id = slot.lock().await.id.clone();
        self.complete_committers(&records, Some(&id)).await?;
        let mut producer = slot.lock().await;
        let open = producer.open(incarnation, number)?;
        self.offsets.pend(&id, &records);
        open.offsets.extend(records);
        Ok(())
    }

    /// Aborts the open transaction of a handle.
    pub(crate) async fn abort(&self, (slot, incarnation, number): (&Slot, u64, u64)) -> Result<(), BusError> {
        let mut producer = Arc::clone(slot).lock_owned().await;
        producer.open(incarnation, number)?;
        self.abort_open(&mut producer);
        Ok(())
    }

    /// Aborts at once where nobody holds the slot; otherwise the next transaction of the id does, or its time-out.
    pub(crate) fn abort_now(&self, (slot, incarnation, number): (&Slot, u64, u64)) {
        if let Ok(mut producer) = Arc::clone(slot).try_lock_owned()
            && producer.open(incarnation, number).is_ok()
        {
            self.abort_open(&mut producer);
        }
    }

    /// Makes sure that what other ids have committed for these groups' partitions needs no repeating after a crash, before somebody
    /// else commits there.
    pub(crate) async fn complete_committers(
        &self,
        records: &[OffsetRecord],
        except: Option<&str>,
    ) -> Result<(), BusError> {
        let ids: BTreeSet<String> = {
            let committers = self.committers.lock();
            let of = |record: &OffsetRecord| committers.get(&(record.group.clone(), record.of.clone()));
            records.iter().filter_map(of).filter(|id| Some(id.as_str()) != except).cloned().collect()
        };
        for id in ids {
            if let Some(slot) = self.slot(&id) {
                self.complete(&mut *slot.lock().await).await?;
            }
        }
        Ok(())
    }

    /// Settles everything, and notes that nothing is to be repeated.
    async fn complete(&self, producer: &mut Producer) -> Result<(), BusError> {
        self.settle(producer).await?;
        if producer.decision_on_disk {
            self.write(&producer.ongoing()).await?;
            self.nothing_to_repeat(producer);
        }
        Ok(())
    }

    /// The newest record on disk is no decision any more: nobody has to wait for the offsets of the last one.
    fn nothing_to_repeat(&self, producer: &mut Producer) {
        producer.decision_on_disk = false;
        let mut committers = self.committers.lock();
        for of in std::mem::take(&mut producer.committed) {
            if committers.get(&of) == Some(&producer.id) {
                committers.remove(&of);
            }
        }
    }

    /// Completes every id: at shutdown, and before a topic is deleted.
    pub(crate) async fn complete_all(&self) -> Result<(), BusError> {
        for slot in self.slots() {
            self.complete(&mut *slot.lock().await).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
