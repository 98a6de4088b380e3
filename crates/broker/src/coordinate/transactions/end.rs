//! How a transaction ends: the decision, the markers, the offsets, and making sure of them.

use super::{Open, Producer, Touched, Transactions};
use crate::coordinate::offset_record::OffsetRecord;
use crate::coordinate::transaction_record::{Decision, Registered, TransactionRecord};
use crate::error::bus_error;
use crate::replica::{Replica, TransactionKey};
use crate::wait::{all, all_ok};
use millstream_bus::{BusError, TopicPartition};
use millstream_log::batch::ControlKind;
use std::sync::Arc;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

/// How often markers are written again at once where a failing disk lost them. After that the sweeper goes on.
const ATTEMPTS: u32 = 3;

/// A transaction that has ended, until its markers and offsets are on disk.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) key: TransactionKey,
    pub(super) kind: ControlKind,
    pub(super) at: Instant,
    /// The decision was written, and then lost with the disk: it must be overruled before anything else is written.
    pub(super) in_doubt: bool,
    pub(super) markers: Vec<Marker>,
    pub(super) offsets: Vec<OffsetRecord>,
    /// Where `offsets` were written: what to wait for.
    pub(super) offsets_written: Option<i64>,
}

/// A marker to be written.
#[derive(Debug)]
pub(super) struct Marker {
    pub(super) at: TopicPartition,
    pub(super) topic_id: u64,
    /// `None` where the partition could not be used so far.
    pub(super) replica: Option<Arc<Replica>>,
    /// Where it was: what to wait for.
    pub(super) written: Option<i64>,
}

impl Touched {
    pub(super) fn registered(&self) -> Registered {
        Registered { at: self.replica.at.clone(), topic_id: self.replica.topic_id }
    }
}

impl Ended {
    /// Whether the marker in a partition is still to be written, or was lost with the disk since.
    pub(super) fn lacks_marker(&self, at: &TopicPartition) -> bool {
        let lacks = |marker: &Marker| match (&marker.replica, marker.written) {
            (Some(replica), Some(next_offset)) => replica.log().is_lost(next_offset - 1),
            _ => true,
        };
        self.markers.iter().any(|marker| marker.at == *at && lacks(marker))
    }

    /// An open transaction that is aborted, in partitions that cannot be used now too.
    fn aborted(key: TransactionKey, open: Open) -> Self {
        let touched = open.touched.into_values().map(|touched| touched.replica);
        let mut ended = Self::new(key, ControlKind::Abort, touched);
        let marker =
            |of: Registered| Marker { at: of.at, topic_id: of.topic_id, replica: None, written: None };
        ended.markers.extend(open.unusable.into_iter().map(marker));
        ended
    }

    /// The decision that takes the place of one that may be on disk or not.
    fn overruling(&self, ongoing: &TransactionRecord) -> TransactionRecord {
        let touched =
            self.markers.iter().map(|marker| Registered { at: marker.at.clone(), topic_id: marker.topic_id });
        TransactionRecord {
            producer_id: self.key.0,
            epoch: self.key.1,
            decision: Decision::Abort,
            touched: touched.collect(),
            offsets: Vec::new(),
            ..ongoing.clone()
        }
    }

    pub(super) fn new(
        key: TransactionKey,
        kind: ControlKind,
        touched: impl IntoIterator<Item = Arc<Replica>>,
    ) -> Self {
        let marker = |replica: Arc<Replica>| Marker {
            at: replica.at.clone(),
            topic_id: replica.topic_id,
            replica: Some(replica),
            written: None,
        };
        let markers = touched.into_iter().map(marker);
        Self {
            key,
            kind,
            at: Instant::now(),
            in_doubt: false,
            markers: markers.collect(),
            offsets: Vec::new(),
            offsets_written: None,
        }
    }
}

impl Transactions {
    /// Commits the open transaction of a handle. Runs to its end once it is called, so call it in a task of its own.
    pub(crate) async fn commit(
        &self,
        mut producer: OwnedMutexGuard<Producer>,
        incarnation: u64,
        number: u64,
    ) -> Result<(), BusError> {
        producer.open(incarnation, number)?;
        let Some(open) = producer.open.take() else { return Ok(()) };
        if let Some(failed) = open.failed.clone() {
            self.abort_taken(&mut producer, open);
            return Err(failed);
        }
        if open.touched.is_empty() && open.offsets.is_empty() {
            return Ok(());
        }
        let decision = match self.prepare(&mut producer, &open).await {
            Ok(decision) => decision,
            Err(error) => {
                self.abort_taken(&mut producer, open);
                return Err(error);
            }
        };
        producer.decision_on_disk = true;
        let written = match self.append(&decision) {
            Ok(next_offset) => self.replica.flushed(next_offset).await,
            Err(error @ (BusError::DiskFull(_) | BusError::Invalid(_))) => {
                // Nothing was written.
                self.abort_taken(&mut producer, open);
                return Err(error);
            }
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            return Err(self.leave_in_doubt(&mut producer, open, &error));
        }
        self.committed(&mut producer, open, decision.next);
        Ok(())
    }

    /// The disk failed under a decision: the transaction is aborted, once it is sure that the decision cannot come back.
    pub(super) fn leave_in_doubt(&self, producer: &mut Producer, open: Open, error: &BusError) -> BusError {
        tracing::error!(id = producer.id, %error, "the disk failed under the decision of a transaction");
        self.offsets.settle_pending(&producer.id);
        let doubtful = Ended { in_doubt: true, ..Ended::aborted(producer.key, open) };
        producer.unsettled.push(doubtful);
        BusError::Unknown(producer.id.clone())
    }

    /// Puts on disk what the decision relies on, and makes the record that decides.
    pub(super) async fn prepare(
        &self,
        producer: &mut Producer,
        open: &Open,
    ) -> Result<TransactionRecord, BusError> {
        let data = open.touched.values().map(|touched| touched.replica.flushed(touched.next_offset));
        let (data, inputs, settled) = tokio::join!(
            all_ok(data),
            self.offsets.flush_inputs(&self.topics, &open.offsets),
            self.settle(producer)
        );
        data.and(inputs).and(settled)?;
        let next = self.after(producer.key).await?;
        Ok(TransactionRecord {
            decision: Decision::Commit,
            next,
            touched: open.registered(),
            offsets: open.offsets.clone(),
            ..producer.ongoing()
        })
    }

    /// The decision is on disk: shows the transaction to everyone.
    pub(super) fn committed(&self, producer: &mut Producer, open: Open, next: TransactionKey) {
        let touched = open.touched.into_values().map(|touched| touched.replica);
        let mut ended = Ended::new(producer.key, ControlKind::Commit, touched);
        ended.offsets = open.offsets;
        self.note_committers(producer, &ended.offsets);
        self.write_end(&mut ended);
        let written_before = ended.offsets_written.unwrap_or_else(|| self.offsets.next_offset());
        self.offsets.apply(ended.offsets.clone(), written_before);
        self.offsets.settle_pending(&producer.id);
        producer.unsettled.push(ended);
        producer.key = next;
    }

    pub(super) fn note_committers(&self, producer: &mut Producer, offsets: &[OffsetRecord]) {
        let mut committers = self.committers.lock();
        for record in offsets {
            let of: (String, TopicPartition) = (record.group.clone(), record.of.clone());
            committers.insert(of.clone(), producer.id.clone());
            producer.committed.insert(of);
        }
    }

    /// Aborts what is open, if anything is.
    pub(super) fn abort_open(&self, producer: &mut Producer) {
        if let Some(open) = producer.open.take() {
            self.abort_taken(producer, open);
        }
    }

    pub(super) fn abort_taken(&self, producer: &mut Producer, open: Open) {
        self.offsets.settle_pending(&producer.id);
        let touched = open.touched.into_values().map(|touched| touched.replica);
        let mut ended = Ended::new(producer.key, ControlKind::Abort, touched);
        let marker =
            |of: Registered| Marker { at: of.at, topic_id: of.topic_id, replica: None, written: None };
        ended.markers.extend(open.unusable.into_iter().map(marker));
        self.write_end(&mut ended);
        producer.unsettled.push(ended);
    }

    /// Writes markers and offsets that are not written. What cannot be written now is left for later.
    fn write_end(&self, ended: &mut Ended) -> Option<BusError> {
        let (key, kind, now) = (ended.key, ended.kind, self.clock.now());
        let mut failed = None;
        ended.markers.retain_mut(|marker| {
            if marker.written.is_some() {
                return true;
            }
            let replica = marker.replica.clone().map_or_else(|| self.topics.replica(&marker.at), Ok);
            let written = replica.and_then(|replica| {
                if replica.topic_id != marker.topic_id {
                    return Err(BusError::UnknownTopic(marker.at.to_string()));
                }
                marker.replica = Some(Arc::clone(&replica));
                replica.append_marker(key, kind, now).map_err(bus_error)
            });
            match written {
                Ok(appended) => marker.written = Some(appended.next_offset),
                // A topic that was deleted needs no marker.
                Err(BusError::UnknownTopic(_)) => return false,
                Err(error) => failed = Some(error),
            }
            true
        });
        if !ended.offsets.is_empty() && ended.offsets_written.is_none() {
            match self.offsets.append(&ended.offsets) {
                Ok(next_offset) => ended.offsets_written = Some(next_offset),
                Err(error) => failed = Some(error),
            }
        }
        failed
    }

    /// Makes sure that everything which has ended is on disk.
    pub(super) async fn settle(&self, producer: &mut Producer) -> Result<(), BusError> {
        let ongoing = producer.ongoing();
        // In place, because a caller that is cancelled must leave everything where it is.
        while let Some(ended) = producer.unsettled.first_mut() {
            if ended.in_doubt {
                // Its partitions stay named until their markers are on disk.
                self.write(&ended.overruling(&ongoing)).await?;
                ended.in_doubt = false;
                producer.decision_on_disk = true;
            }
            self.settle_one(ended).await?;
            producer.unsettled.remove(0);
        }
        Ok(())
    }

    async fn settle_one(&self, ended: &mut Ended) -> Result<(), BusError> {
        let mut last = Ok(());
        for _ in 0..ATTEMPTS {
            if let Some(error) = self.write_end(ended) {
                return Err(error);
            }
            let written =
                ended.markers.iter().filter_map(|marker| Some((marker.replica.as_ref()?, marker.written?)));
            let flushed = all(written.map(|(replica, next)| replica.flushed(next)));
            let offsets = async {
                match ended.offsets_written {
                    Some(next_offset) => self.offsets.flushed(next_offset).await,
                    None => Ok(()),
                }
            };
            let (flushed, offsets) = tokio::join!(flushed, offsets);
            last = flushed.iter().cloned().chain([offsets.clone()]).collect::<Result<(), _>>();
            if last.is_ok() {
                return Ok(());
            }
            // What was lost is written again.
            for (marker, flushed) in ended.markers.iter_mut().zip(flushed) {
                marker.written = marker.written.filter(|_| flushed.is_ok());
            }
            ended.offsets_written = ended.offsets_written.filter(|_| offsets.is_ok());
        }
        last
    }
}
