//! What the coordinator does at the start: finishes what was decided, aborts what was not.

use super::end::{Ended, Marker};
use super::{Client, Open, Producer, Touched, Transactions};
use crate::coordinate::offsets::Offsets;
use crate::coordinate::producers::{ProducerIds, compacted, load};
use crate::coordinate::transaction_record::{Decision, Registered, TransactionRecord};
use crate::embedded::EmbeddedConfig;
use crate::error::{bus_error, unavailable};
use crate::limits;
use crate::replica::TransactionKey;
use crate::topics::Topics;
use millstream_bus::BusError;
use millstream_log::batch::ControlKind;
use millstream_model::{Clock, Timestamp};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const TOPIC: &str = "__transaction_state";

/// Records of transactions with many partitions and offsets are large.
fn configs() -> BTreeMap<String, String> {
    let mut configs = compacted();
    configs.insert("max.message.bytes".to_owned(), limits::TRANSACTION_RECORD_BYTES.to_string());
    configs
}

impl Transactions {
    /// Reads the state of every id. What a crash left over is written off in memory at once, so that readers are right from the
    /// first moment; [`Transactions::recover`] then writes it down. Blocks.
    pub(crate) fn open(
        topics: &Arc<Topics>,
        offsets: &Arc<Offsets>,
        clock: Arc<dyn Clock>,
        config: EmbeddedConfig,
    ) -> Result<Self, BusError> {
        let producer_ids = ProducerIds::open(topics, Arc::clone(&clock))?;
        let replica = topics.internal(TOPIC, &configs())?;
        let mut records = BTreeMap::new();
        load(&replica, |record| {
            let Some(id) = TransactionRecord::id_of(record) else { return };
            match TransactionRecord::decode(record) {
                Some(record) => records.insert(id, record),
                None if record.value.is_none() => records.remove(&id),
                None => None,
            };
        })?;
        let transactions = Self {
            topics: Arc::clone(topics),
            offsets: Arc::clone(offsets),
            producer_ids,
            replica,
            clock,
            config,
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
        producer.client = record.client.as_ref().map(Client::restore);
        match record.decision {
            Decision::Ongoing => {}
            Decision::Commit => {
                producer.decision_on_disk = true;
                let mut ended = self.ended(decided, ControlKind::Commit, &record.touched);
                // Groups whose topic is gone have nothing to go on with.
                ended.offsets = record.offsets;
                ended.offsets.retain(|offset| self.topics.exists(&offset.of.topic));
                self.note_committers(&mut producer, &ended.offsets);
                self.offsets.apply(ended.offsets.clone(), self.offsets.next_offset());
                producer.unsettled.push(ended);
            }
            Decision::Abort => {
                producer.decision_on_disk = true;
                producer.unsettled.push(self.written_off(decided, &record.touched));
            }
            Decision::Open => producer.open = Some(self.reopen(&record, decided)),
        }
        if !record.registered.is_empty() {
            producer.unsettled.push(self.written_off(record.next, &record.registered));
        }
        let registered = record.registered.into_iter().map(|registered| (registered.at, registered.topic_id));
        producer.registered = registered.collect();
        producer
    }

    /// A transaction that was left open, or whose abort may not be everywhere.
    fn written_off(&self, key: TransactionKey, of: &[Registered]) -> Ended {
        let left = self.ended(key, ControlKind::Abort, of);
        for replica in left.markers.iter().filter_map(|marker| marker.replica.as_ref()) {
            if let Err(error) = replica.write_off(key) {
                tracing::warn!(partition = %replica.at, %error, "an open transaction cannot be written off yet");
            }
        }
        left
    }

    /// The open transaction of a client, which goes on.
    fn reopen(&self, record: &TransactionRecord, key: TransactionKey) -> Open {
        let client = record.client.as_ref();
        let began_at = Timestamp(client.and_then(|client| client.began_at_ms).unwrap_or(0));
        let timeout = client.map_or(0, |client| client.timeout_ms);
        let mut open = Open::new(0, began_at, Duration::from_millis(u64::try_from(timeout).unwrap_or(0)));
        open.groups = client.into_iter().flat_map(|client| client.groups.iter().cloned()).collect();
        open.offsets.clone_from(&record.offsets);
        self.offsets.pend(&record.id, &open.offsets);
        for marker in self.ended(key, ControlKind::Abort, &record.touched).markers {
            let admitted =
                marker.replica.as_ref().map(|replica| replica.admit(key, false).map_err(bus_error));
            match (marker.replica, admitted) {
                (Some(replica), Some(Ok(()))) => {
                    let touched = Touched { replica, next_offset: 0, sequence: 0, noted: true };
                    open.touched.insert(marker.at, touched);
                }
                (_, admitted) => {
                    let failed = admitted.and_then(Result::err);
                    let unusable = || unavailable(format!("`{}` cannot be used", marker.at));
                    open.failed = Some(failed.unwrap_or_else(unusable));
                    open.unusable.push(Registered { at: marker.at, topic_id: marker.topic_id });
                }
            }
        }
        open
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
