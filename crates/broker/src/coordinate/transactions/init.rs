//! InitProducerId: a client takes a transactional id (KIP-98), or asks for a new epoch after a failure (KIP-360, KIP-588).

use super::client::{Client, Heard};
use super::{Producer, TransactionError, Transactions};
use crate::replica::TransactionKey;
use millstream_bus::BusError;
use millstream_log::batch::ControlKind;
use std::time::Duration;

impl Transactions {
    /// A producer id of its own for a producer without transactions.
    pub(crate) async fn idempotent_producer(&self) -> Result<TransactionKey, BusError> {
        Ok((self.producer_ids.next().await?, 0))
    }

    /// Gives an id to a client: fences who had it, aborts what that one left open. `expected` is what a client that had the id
    /// believes to be its producer id and epoch. Run it in a task of its own.
    pub(crate) async fn init(
        &self,
        id: &str,
        timeout_ms: i64,
        expected: Option<TransactionKey>,
        connection: u64,
    ) -> Result<TransactionKey, TransactionError> {
        let max = self.config.producers.transaction_max_timeout;
        let timeout = u64::try_from(timeout_ms).map(Duration::from_millis);
        let Some(timeout) = timeout.ok().filter(|timeout| !timeout.is_zero() && *timeout <= max) else {
            return Err(TransactionError::Timeout {
                max_ms: i64::try_from(max.as_millis()).unwrap_or(i64::MAX),
            });
        };
        let (_, mut producer) = self.taken(id).await?;
        let is_new = producer.is_new();
        let is_repeated = producer.is_repeated(expected)?;
        producer.incarnation += 1;
        if producer.client.is_some() {
            self.end_open(&mut producer, ControlKind::Abort, true).await?;
        } else {
            self.abort_open(&mut producer);
        }
        self.settle(&mut producer).await?;
        let before = producer.key;
        if !is_new && !is_repeated {
            producer.key = self.after(before).await?;
        }
        let mut client = Client::new(timeout, self.clock.now());
        client.heard = Heard { coordinator: connection, ..Heard::default() };
        client.previous = if is_repeated { expected } else { Some(before).filter(|_| !is_new) };
        producer.client = Some(client);
        let registered = std::mem::take(&mut producer.registered);
        if let Err(error) = self.write(&producer.ongoing()).await {
            producer.registered = registered;
            return Err(error.into());
        }
        self.nothing_to_repeat(&mut producer);
        Ok(producer.key)
    }
}

impl Producer {
    /// Whether nobody ever had the id.
    fn is_new(&self) -> bool {
        self.client.is_none() && self.incarnation == 0 && self.key.1 == 0 && self.registered.is_empty()
    }

    /// Whether the client that asks for a new epoch got one already, and asks again. Fences it where it is not the newest.
    fn is_repeated(&self, expected: Option<TransactionKey>) -> Result<bool, TransactionError> {
        let Some(expected) = expected.filter(|_| !self.is_new()) else { return Ok(false) };
        let previous = self.client.as_ref().and_then(|client| client.previous);
        if expected == self.key {
            Ok(false)
        } else if Some(expected) == previous && self.open.is_none() {
            Ok(true)
        } else {
            Err(TransactionError::Fenced)
        }
    }
}
