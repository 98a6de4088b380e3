//! What the coordinator does at the start: finishes what was decided, aborts what was not.

use super::end::{Ended, Marker};
use super::{Producer, Transactions};
use crate::coordinate::offsets::Offsets;
use crate::coordinate::producers::{ProducerIds, compacted, load};
use crate::coordinate::transaction_record::{Decision, Registered, TransactionRecord};
use crate::replica::TransactionKey;
use crate::topics::Topics;
use millstream_bus::BusError;
use millstream_log::batch::ControlKind;
use millstream_model::Clock;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const TOPIC: &str = "__transaction_state";

impl Transactions {
    /// Reads the state of every id. What a crash left over is written off in memory at once, so that readers are right from the
    /// first moment; [`Transactions::recover`] then writes it down. Blocks.
    pub(crate) fn open(
        topics: &Arc<Topics>,
        offsets: &Arc<Offsets>,
        clock: Arc<dyn Clock>,
        timeout: Duration,
    ) -> Result<Self, BusError> {
        let producer_ids = ProducerIds::open(topics, Arc::clone(&clock))?;
        let replica = topics.internal(TOPIC, &compacted())?;
        let mut records = BTreeMap::new();
        load(&replica, |record| {
            if let Some(record) = TransactionRecord::decode(record) {
                records.insert(record.id.clone(), record);
            }
        })?;
        let transactions = Self {
            topics: Arc::clone(topics),
            offsets: Arc::clone(offsets),
            producer_ids,
            replica,
            clock,
            timeout,
            producers: Mutex::default(),
            committers: Mutex::default(),
        };
        for record in records.into_values() {
            let producer = transactions.restore(record);
            let slot = Arc::new(tokio::sync::Mutex::new(producer));
            let id = slot.try_lock().map(|producer| producer.id.clone()).unwrap_or_default();
            transactions.producers.lock().insert(id, slot);
        }
        Ok(transactions)
    }

    fn restore(&self, record: TransactionRecord) -> Producer {
        let decided = (record.producer_id, record.epoch);
        let mut producer = Producer::new(&record.id, record.next);
        if record.decision == Decision::Commit {
            producer.decision_on_disk = true;
            let mut ended = self.ended(decided, ControlKind::Commit, &record.touched);
            // Groups whose topic is gone have nothing to go on with.
            ended.offsets = record.offsets;
            ended.offsets.retain(|offset| self.topics.exists(&offset.of.topic));
            self.note_committers(&record.id, &ended.offsets);
            self.offsets.apply(ended.offsets.clone(), self.offsets.next_offset());
            producer.unsettled.push(ended);
        }
        if !record.registered.is_empty() {
            let left = self.ended(record.next, ControlKind::Abort, &record.registered);
            for replica in left.markers.iter().filter_map(|marker| marker.replica.as_ref()) {
                if let Err(error) = replica.write_off(record.next) {
                    tracing::warn!(partition = %replica.at, %error, "an open transaction cannot be written off yet");
                }
            }
            producer.unsettled.push(left);
        }
        let registered = record.registered.into_iter().map(|registered| (registered.at, registered.topic_id));
        producer.registered = registered.collect();
        producer
    }

    /// A transaction that ended in these partitions, those left out that are gone.
    fn ended(&self, key: TransactionKey, kind: ControlKind, of: &[Registered]) -> Ended {
        let mut ended = Ended::new(key, kind, []);
        for Registered { at, topic_id } in of {
            let replica = match self.topics.replica(at) {
                Ok(replica) if replica.topic_id != *topic_id => continue,
                Ok(replica) => Some(replica),
                Err(BusError::UnknownTopic(_)) => continue,
                Err(error) => {
                    tracing::warn!(partition = %at, %error, "a partition of an ended transaction cannot be used yet");
                    None
                }
            };
            ended.markers.push(Marker { at: at.clone(), topic_id: *topic_id, replica, written: None });
        }
        ended
    }

    /// Settles what was found at the start. What the disk refuses now is tried again by the sweeper.
    pub(crate) async fn recover(&self) {
        for slot in self.slots() {
            let mut producer = slot.lock().await;
            if let Err(error) = self.complete(&mut producer).await {
                tracing::warn!(id = producer.id, %error, "a transaction from before the start is not settled yet");
            }
        }
    }
}
