//! How a transaction of a client ends: when the client says so (EndTxn), when it takes too long, when another one takes the id.

use super::client::hear;
use super::{Claim, Open, Producer, TransactionError, Transactions};
use crate::coordinate::transaction_record::{Decision, TransactionRecord};
use crate::replica::TransactionKey;
use millstream_bus::BusError;
use millstream_log::batch::ControlKind;

impl Transactions {
    /// Ends the transaction of a client, and gives what it is to call itself from now on. `epoch_per_transaction` (EndTxn from version 5
    /// on, KIP-890) changes its epoch. Run it in a task of its own.
    pub(crate) async fn end(
        &self,
        claim: Claim<'_>,
        kind: ControlKind,
        epoch_per_transaction: bool,
    ) -> Result<TransactionKey, TransactionError> {
        let mut producer = self.claimed(claim).await?;
        let last = producer.client.as_ref().and_then(|client| client.last);
        let previous = producer.client.as_ref().and_then(|client| client.previous);
        if epoch_per_transaction && producer.open.is_none() && previous == Some(claim.key) {
            // It was ended before, and the client asks again.
            return if last == Some(kind) { Ok(producer.key) } else { Err(TransactionError::State) };
        }
        let client = producer.client_of(claim.key)?;
        if !epoch_per_transaction {
            hear(&mut client.heard.coordinator, claim.connection)?;
        }
        if producer.open.is_none() {
            return match (epoch_per_transaction, kind) {
                (true, ControlKind::Abort) => self.abort_nothing(&mut producer).await,
                (false, _) if last == Some(kind) => Ok(producer.key),
                _ => Err(TransactionError::State),
            };
        }
        self.end_open(&mut producer, kind, epoch_per_transaction).await?;
        Ok(producer.key)
    }

    /// A client that does not know whether its transaction has begun aborts it: it gets a new epoch all the same (KIP-890).
    async fn abort_nothing(&self, producer: &mut Producer) -> Result<TransactionKey, TransactionError> {
        self.settle(producer).await?;
        let before = producer.key;
        let next = self.after(before).await?;
        let mut record = TransactionRecord { producer_id: next.0, epoch: next.1, next, ..producer.ongoing() };
        if let Some(client) = &mut record.client {
            client.previous = Some(before);
            client.committed = Some(false);
        }
        self.write(&record).await?;
        self.nothing_to_repeat(producer);
        producer.changed(before, next, ControlKind::Abort);
        Ok(next)
    }

    /// Ends the open transaction of a client, if there is one: decided on disk when it returns. `bump` gives the id a new epoch.
    pub(super) async fn end_open(
        &self,
        producer: &mut Producer,
        kind: ControlKind,
        bump: bool,
    ) -> Result<(), TransactionError> {
        let Some(mut open) = producer.open.take() else { return Ok(()) };
        let key = producer.key;
        // From here on no record comes to it.
        for touched in open.touched.values_mut() {
            let next_offset = touched.replica.dismiss(key);
            touched.next_offset = touched.next_offset.max(next_offset.unwrap_or(0));
        }
        let refused = match (kind, open.failed.clone()) {
            (ControlKind::Commit, Some(failed)) => Some(failed),
            (ControlKind::Commit, None) => self.flush_parts(&open).await.err(),
            (ControlKind::Abort, _) => None,
        };
        if let Some(refused) = refused {
            tracing::warn!(id = producer.id, %refused, "a transaction cannot be committed and is aborted");
            self.decide(producer, open, ControlKind::Abort, true).await?;
            return Err(TransactionError::Fenced);
        }
        self.decide(producer, open, kind, bump).await
    }

    async fn decide(
        &self,
        producer: &mut Producer,
        open: Open,
        kind: ControlKind,
        bump: bool,
    ) -> Result<(), TransactionError> {
        let key = producer.key;
        let settled = self.settle(producer).await;
        let next = if bump { self.after(key).await } else { Ok(key) };
        let next = match settled.and(next) {
            Ok(next) => next,
            Err(error) => {
                producer.open = Some(open);
                return Err(error.into());
            }
        };
        let decision = decision(producer, &open, kind, next);
        producer.decision_on_disk = true;
        let written = match self.append(&decision) {
            Ok(next_offset) => self.replica.flushed(next_offset).await,
            Err(error @ (BusError::DiskFull(_) | BusError::Invalid(_))) => {
                // Nothing was written; the client may ask again.
                producer.open = Some(open);
                return Err(error.into());
            }
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            let error = self.leave_in_doubt(producer, open, &error);
            // The client must not take what may have ended for open, nor what comes next for this.
            if let Ok(next) = self.after(key).await {
                producer.changed(key, next, ControlKind::Abort);
            }
            if let Some(client) = &mut producer.client {
                client.previous = None;
            }
            return Err(error.into());
        }
        match kind {
            ControlKind::Commit => self.committed(producer, open, next),
            ControlKind::Abort => self.abort_taken(producer, open),
        }
        producer.changed(key, next, kind);
        if let Some(client) = &mut producer.client {
            client.used_at = self.clock.now();
        }
        Ok(())
    }

    /// Puts on disk what a commit relies on.
    async fn flush_parts(&self, open: &Open) -> Result<(), BusError> {
        let data = open.touched.values().map(|touched| touched.replica.flushed(touched.next_offset));
        let (data, inputs) =
            tokio::join!(crate::wait::all_ok(data), self.offsets.flush_inputs(&self.topics, &open.offsets));
        data.and(inputs)
    }
}

/// The record that decides.
fn decision(producer: &Producer, open: &Open, kind: ControlKind, next: TransactionKey) -> TransactionRecord {
    let is_commit = kind == ControlKind::Commit;
    let mut record = TransactionRecord {
        decision: if is_commit { Decision::Commit } else { Decision::Abort },
        next,
        touched: open.registered(),
        offsets: if is_commit { open.offsets.clone() } else { Vec::new() },
        ..producer.ongoing()
    };
    if let Some(client) = &mut record.client {
        client.previous = if next == producer.key { client.previous } else { Some(producer.key) };
        client.committed = Some(is_commit);
    }
    record
}

impl Producer {
    /// The transaction of `key` has ended, and `next` is what follows.
    fn changed(&mut self, key: TransactionKey, next: TransactionKey, kind: ControlKind) {
        self.key = next;
        if let Some(client) = &mut self.client {
            client.previous = if next == key { client.previous } else { Some(key) };
            client.last = Some(kind);
        }
    }
}
