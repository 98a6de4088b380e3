//! What a client adds to its transaction: partitions, groups, offsets. The first addition opens it.

use super::client::hear;
use super::{Claim, Open, Producer, Touched, TransactionError, Transactions};
use crate::coordinate::offset_record::OffsetRecord;
use crate::limits;
use crate::replica::{Replica, TransactionKey};
use millstream_bus::TopicPartition;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::OwnedMutexGuard;

/// What is added.
#[derive(Default)]
struct Addition<'a> {
    replicas: Vec<Arc<Replica>>,
    group: Option<&'a str>,
    offsets: Vec<OffsetRecord>,
    /// The client's epoch changes with each transaction.
    epoch_per_transaction: bool,
}

impl Transactions {
    /// Adds partitions (AddPartitionsToTxn).
    pub(crate) async fn add_partitions(
        &self,
        claim: Claim<'_>,
        partitions: &[TopicPartition],
    ) -> Result<(), TransactionError> {
        let mut producer = self.claimed(claim).await?;
        hear(&mut producer.client_of(claim.key)?.heard.coordinator, claim.connection)?;
        let addition = Addition { replicas: self.replicas(partitions)?, ..Addition::default() };
        self.add(&mut producer, addition).await
    }

    /// Lets a group commit offsets in the transaction (AddOffsetsToTxn).
    pub(crate) async fn add_group(&self, claim: Claim<'_>, group: &str) -> Result<(), TransactionError> {
        let mut producer = self.claimed(claim).await?;
        hear(&mut producer.client_of(claim.key)?.heard.coordinator, claim.connection)?;
        self.add(&mut producer, Addition { group: Some(group), ..Addition::default() }).await
    }

    /// Adds offsets of a group (TxnOffsetCommit): they count when the transaction is committed. `implicit` (from version 5 on) adds
    /// the group too.
    pub(crate) async fn pend_offsets(
        &self,
        claim: Claim<'_>,
        group: &str,
        offsets: Vec<OffsetRecord>,
        implicit: bool,
    ) -> Result<(), TransactionError> {
        // Before this id is taken, because it waits for others.
        self.complete_committers(&offsets, Some(claim.id)).await?;
        let mut producer = self.claimed(claim).await?;
        let client = producer.client_of(claim.key)?;
        if !implicit {
            hear(&mut client.heard.offsets, claim.connection)?;
            let is_added = producer.open.as_ref().is_some_and(|open| open.groups.contains(group));
            if !is_added {
                return Err(TransactionError::NotInTransaction);
            }
        }
        let group = Some(group);
        self.add(&mut producer, Addition { group, offsets, ..Addition::default() }).await
    }

    /// Whether the producer of a Produce request may write to partitions as part of its open transaction. `implicit` (from
    /// version 12 on) adds them to it.
    pub(crate) async fn verify_produce(
        &self,
        claim: Claim<'_>,
        partitions: &[TopicPartition],
        implicit: bool,
    ) -> Result<(), TransactionError> {
        let mut producer = self.claimed(claim).await?;
        let client = producer.client_of(claim.key)?;
        if implicit {
            let replicas = self.replicas(partitions)?;
            let addition = Addition { replicas, epoch_per_transaction: true, ..Addition::default() };
            return self.add(&mut producer, addition).await;
        }
        hear(&mut client.heard.records, claim.connection)?;
        producer.check_partitions(partitions)
    }

    /// Whether partitions are part of the open transaction, without any effect.
    pub(crate) async fn verify_partitions(
        &self,
        claim: Claim<'_>,
        partitions: &[TopicPartition],
    ) -> Result<(), TransactionError> {
        let mut producer = self.claimed(claim).await?;
        producer.client_of(claim.key)?;
        producer.check_partitions(partitions)
    }

    /// The id that a client names.
    pub(super) async fn claimed(
        &self,
        claim: Claim<'_>,
    ) -> Result<OwnedMutexGuard<Producer>, TransactionError> {
        let slot = self.slot(claim.id).ok_or(TransactionError::UnknownProducer)?;
        let producer = slot.lock_owned().await;
        if producer.expired { Err(TransactionError::UnknownProducer) } else { Ok(producer) }
    }

    fn replicas(&self, partitions: &[TopicPartition]) -> Result<Vec<Arc<Replica>>, TransactionError> {
        partitions.iter().map(|at| Ok(self.topics.replica(at)?)).collect()
    }

    /// Adds, and opens the transaction where it is not. On disk when it returns, and only then may records come. Where it fails or is
    /// given up, the same may be added again.
    async fn add(&self, producer: &mut Producer, addition: Addition<'_>) -> Result<(), TransactionError> {
        let key = producer.key;
        if producer.open.is_none() {
            // The record of what is open takes the place of the last decision, which must not be needed any more; and no record of this
            // transaction may come before a marker of the last one.
            self.settle(producer).await?;
            producer.opened += 1;
            let timeout = producer.client.as_ref().map(|client| client.timeout).unwrap_or_default();
            producer.open = Some(Open::new(producer.opened, self.clock.now(), timeout));
        }
        let Some(open) = &mut producer.open else { return Err(TransactionError::State) };
        open.touch(&addition.replicas)?;
        let is_noted = addition.offsets.is_empty()
            && addition.group.is_none_or(|group| open.groups.contains(group))
            && addition.replicas.iter().all(|replica| open.touched[&replica.at].noted);
        if !is_noted {
            self.note(producer, &addition).await?;
        }
        admit(key, &addition)
    }

    async fn note(&self, producer: &mut Producer, addition: &Addition<'_>) -> Result<(), TransactionError> {
        let Some(open) = &producer.open else { return Err(TransactionError::State) };
        let of = |record: &OffsetRecord| (record.group.clone(), record.of.clone());
        let mut by_partition: BTreeMap<_, _> =
            open.offsets.iter().map(|record| (of(record), record.clone())).collect();
        let mut new = addition.offsets.clone();
        new.retain(|record| !by_partition.contains_key(&of(record)));
        by_partition.extend(addition.offsets.iter().map(|record| (of(record), record.clone())));
        let offsets: Vec<_> = by_partition.into_values().collect();
        let mut record = producer.ongoing();
        record.offsets.clone_from(&offsets);
        if let (Some(client), Some(group)) = (&mut record.client, addition.group) {
            client.groups.push(group.to_owned());
        }
        self.write(&record).await?;
        self.nothing_to_repeat(producer);
        if let Some(open) = &mut producer.open {
            self.offsets.pend(&record.id, &new);
            open.offsets = offsets;
            open.groups.extend(addition.group.map(str::to_owned));
            for replica in &addition.replicas {
                if let Some(touched) = open.touched.get_mut(&replica.at) {
                    touched.noted = true;
                }
            }
        }
        Ok(())
    }
}

/// Lets the records come.
fn admit(key: TransactionKey, addition: &Addition<'_>) -> Result<(), TransactionError> {
    for replica in &addition.replicas {
        replica.admit(key, addition.epoch_per_transaction).map_err(crate::error::bus_error)?;
    }
    Ok(())
}

impl Open {
    /// Adds partitions that are not noted on disk yet.
    fn touch(&mut self, replicas: &[Arc<Replica>]) -> Result<(), TransactionError> {
        for replica in replicas {
            let is_there = self
                .touched
                .get(&replica.at)
                .is_some_and(|touched| touched.replica.topic_id == replica.topic_id);
            if is_there {
                continue;
            }
            if self.touched.len() >= limits::TRANSACTION_PARTITIONS {
                let max = limits::TRANSACTION_PARTITIONS;
                return Err(TransactionError::TooMany(format!("a transaction has at most {max} partitions")));
            }
            let touched = Touched { replica: Arc::clone(replica), next_offset: 0, sequence: 0, noted: false };
            self.touched.insert(replica.at.clone(), touched);
        }
        Ok(())
    }
}

impl Producer {
    fn check_partitions(&self, partitions: &[TopicPartition]) -> Result<(), TransactionError> {
        let open = self.open.as_ref().ok_or(TransactionError::NotInTransaction)?;
        let is_in = |at: &TopicPartition| open.touched.get(at).is_some_and(|touched| touched.noted);
        if partitions.iter().all(is_in) { Ok(()) } else { Err(TransactionError::NotInTransaction) }
    }
}
