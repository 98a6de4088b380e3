//! What is done from time to time: settling what has ended, aborting what takes too long, forgetting ids that nobody uses.

use super::end::Ended;
use super::{Producer, Transactions};
use crate::coordinate::transaction_record::TransactionRecord;
use crate::limits;
use crate::record::encode;
use millstream_bus::BusError;
use millstream_log::batch::ControlKind;
use tokio::time::Instant;

impl Transactions {
    /// Settles what has ended a while ago, aborts what has been open for too long, and forgets ids of clients that were not
    /// used for long.
    pub(crate) async fn sweep(&self) {
        let now = Instant::now();
        for slot in self.slots() {
            // Whoever holds it takes care of it.
            let Ok(mut producer) = slot.try_lock_owned() else { continue };
            self.time_out(&mut producer, now).await;
            let due =
                |ended: &Ended| ended.kind == ControlKind::Abort || ended.at + limits::SETTLE_AFTER <= now;
            let unnoted = producer.unsettled.is_empty() && producer.decision_on_disk;
            if (unnoted || producer.unsettled.first().is_some_and(due))
                && let Err(error) = self.complete(&mut producer).await
            {
                tracing::warn!(id = producer.id, %error, "an ended transaction is not settled yet");
            }
            if self.is_unused(&producer)
                && let Err(error) = self.forget(&mut producer).await
            {
                tracing::warn!(id = producer.id, %error, "an expired transactional id is not forgotten yet");
            }
        }
    }

    /// Settles what an id has ended. What the disk refuses is tried again later.
    pub(crate) async fn settle_id(&self, id: &str) {
        let Some(slot) = self.slot(id) else { return };
        let mut producer = slot.lock_owned().await;
        if let Err(error) = self.settle(&mut producer).await {
            tracing::warn!(id, %error, "an ended transaction is not settled yet");
        }
    }

    async fn time_out(&self, producer: &mut Producer, now: Instant) {
        let Some(open) = producer.open.as_ref().filter(|open| open.began + open.timeout <= now) else {
            return;
        };
        tracing::warn!(id = producer.id, timeout = ?open.timeout, "a transaction took too long and is aborted");
        if producer.client.is_none() {
            self.abort_open(producer);
        } else if let Err(error) = self.end_open(producer, ControlKind::Abort, true).await {
            // Fenced or not, it is tried again.
            tracing::warn!(id = producer.id, %error, "a transaction that took too long is not aborted yet");
        }
    }

    fn is_unused(&self, producer: &Producer) -> bool {
        let keep_ms =
            i64::try_from(self.config.producers.transactional_id_expiration.as_millis()).unwrap_or(i64::MAX);
        let idle = producer.open.is_none() && producer.unsettled.is_empty() && !producer.decision_on_disk;
        let expired = |used_at: i64| self.clock.now().0.saturating_sub(used_at) > keep_ms;
        idle && producer.client.as_ref().is_some_and(|client| expired(client.used_at.0))
    }

    async fn forget(&self, producer: &mut Producer) -> Result<(), BusError> {
        let tombstone = TransactionRecord::tombstone(&producer.id, self.clock.now());
        let mut batch = encode(vec![tombstone], usize::MAX, None)?;
        let appended = self.replica.append(&mut batch, 1).map_err(crate::error::bus_error)?;
        self.replica.flushed(appended.next_offset).await?;
        producer.expired = true;
        self.producers.lock().remove(&producer.id);
        Ok(())
    }
}
