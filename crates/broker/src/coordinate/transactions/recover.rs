//! What the coordinator does at the start: finishes what was decided, aborts what was not.

use super::end::Ended;
use super::{Producer, Transactions};
use crate::coordinate::offsets::Offsets;
use crate::coordinate::producers::{ProducerIds, compacted, load};
use crate::coordinate::transaction_record::{Decision, TransactionRecord};
use crate::replica::{Replica, TransactionKey};
use crate::topics::Topics;
use millstream_bus::{BusError, TopicPartition};
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
            let mut ended = Ended::new(decided, ControlKind::Commit, self.replicas(&record.touched));
            // Groups whose topic is gone have nothing to go on with.
            ended.offsets = record.offsets;
            ended.offsets.retain(|offset| self.topics.replica(&offset.of).is_ok());
            self.note_committers(&record.id, &ended.offsets);
            self.offsets.apply(ended.offsets.clone(), self.offsets.next_offset());
            producer.unsettled.push(ended);
        }
        let left = self.replicas(&record.registered);
        if !left.is_empty() {
            producer.unsettled.push(write_off(record.next, left));
        }
        producer.registered = record.registered.into_iter().collect();
        producer
    }

    /// Partitions that are still there.
    fn replicas(&self, of: &[TopicPartition]) -> Vec<Arc<Replica>> {
        let found = of.iter().map(|of| (of, self.topics.replica(of)));
        let found = found.filter_map(|(of, found)| match found {
            Ok(replica) => Some(replica),
            Err(error) => {
                tracing::info!(partition = %of, %error, "a partition of an ended transaction cannot be used");
                None
            }
        });
        found.collect()
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

/// Aborts whatever a transaction left in these partitions.
fn write_off(key: TransactionKey, left: Vec<Arc<Replica>>) -> Ended {
    for replica in &left {
        replica.write_off(key);
    }
    Ended::new(key, ControlKind::Abort, left)
}
