//! Transactions in memory.

use super::{Shared, State};
use crate::{BusError, CommittedOffset, Record, TopicPartition, Transaction, TransactionalProducer, check};
use async_trait::async_trait;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the engine knows of one transactional id.
#[derive(Debug, Default)]
pub(super) struct Producer {
    /// Grows with every producer that opens the id; older ones are fenced.
    epoch: u64,
    open: Option<Open>,
}

/// An open transaction.
#[derive(Debug)]
struct Open {
    id: u64,
    partitions: BTreeSet<TopicPartition>,
    offsets: Vec<(String, TopicPartition, CommittedOffset)>,
    /// Something could not be added: it can only be aborted.
    failed: Option<BusError>,
}

impl State {
    /// Opens `id` anew: fences who had it, aborts what it left open. Returns the new epoch.
    pub(super) fn take_over(&mut self, id: &str) -> u64 {
        self.end(id, false);
        let producer = self.producers.entry(id.to_owned()).or_default();
        producer.epoch += 1;
        producer.epoch
    }

    /// The open transaction of `id`, if the producer of `epoch` still has it.
    fn open(&mut self, id: &str, epoch: u64) -> Result<&mut Open, BusError> {
        let current = self.producers.get_mut(id).filter(|producer| producer.epoch == epoch);
        current.and_then(|producer| producer.open.as_mut()).ok_or_else(|| BusError::Fenced(id.to_owned()))
    }

    fn begin(&mut self, id: &str, epoch: u64) -> Result<(), BusError> {
        if self.producers.get(id).is_some_and(|producer| producer.epoch == epoch) {
            // One that was leaked, neither ended nor dropped.
            self.end(id, false);
        }
        let number = self.number();
        match self.producers.get_mut(id).filter(|producer| producer.epoch == epoch) {
            Some(producer) => {
                producer.open =
                    Some(Open { id: number, partitions: BTreeSet::new(), offsets: Vec::new(), failed: None });
                Ok(())
            }
            None => Err(BusError::Fenced(id.to_owned())),
        }
    }

    fn add(
        &mut self,
        id: &str,
        epoch: u64,
        to: &TopicPartition,
        records: Vec<Record>,
    ) -> Result<(), BusError> {
        let open = self.open(id, epoch)?;
        if let Err(error) = check::batch(to, &records) {
            open.failed = Some(error.clone());
            return Err(error);
        }
        let number = open.id;
        let appended = self.partition(to).map(|partition| partition.append(records, Some(number)));
        let open = self.open(id, epoch)?;
        match appended {
            Ok(_) => {
                open.partitions.insert(to.clone());
                Ok(())
            }
            Err(error) => {
                open.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Ends the open transaction of `id`, if there is one.
    fn end(&mut self, id: &str, committed: bool) {
        let Some(open) = self.producers.get_mut(id).and_then(|producer| producer.open.take()) else { return };
        for at in &open.partitions {
            if let Ok(partition) = self.partition(at) {
                partition.end(open.id, committed);
            }
        }
        if committed {
            for (group, at, offset) in open.offsets {
                self.groups.entry(group).or_default().offsets.insert(at, offset);
            }
        }
    }
}

pub(super) struct MemoryProducer {
    pub(super) shared: Arc<Shared>,
    pub(super) id: String,
    pub(super) epoch: u64,
}

#[async_trait]
impl TransactionalProducer for MemoryProducer {
    async fn begin(&mut self) -> Result<Box<dyn Transaction + '_>, BusError> {
        self.shared.state().begin(&self.id, self.epoch)?;
        Ok(Box::new(MemoryTransaction { producer: self, ended: false }))
    }
}

struct MemoryTransaction<'a> {
    producer: &'a MemoryProducer,
    ended: bool,
}

impl MemoryTransaction<'_> {
    fn end(&mut self, committed: bool) -> Result<(), BusError> {
        self.ended = true;
        let MemoryProducer { shared, id, epoch } = self.producer;
        shared.change(|state| {
            let failed = state.open(id, *epoch)?.failed.clone();
            state.end(id, committed && failed.is_none());
            failed.filter(|_| committed).map_or(Ok(()), Err)
        })
    }
}

#[async_trait]
impl Transaction for MemoryTransaction<'_> {
    async fn append(&mut self, to: &TopicPartition, records: Vec<Record>) -> Result<(), BusError> {
        let MemoryProducer { shared, id, epoch } = self.producer;
        shared.change(|state| state.add(id, *epoch, to, records))
    }

    async fn commit_offsets(
        &mut self,
        group: &str,
        offsets: &[(TopicPartition, CommittedOffset)],
    ) -> Result<(), BusError> {
        check::id("group", group)?;
        check::offsets(offsets)?;
        let MemoryProducer { shared, id, epoch } = self.producer;
        let mut state = shared.state();
        let open = state.open(id, *epoch)?;
        open.offsets
            .extend(offsets.iter().map(|(at, offset)| (group.to_owned(), at.clone(), offset.clone())));
        Ok(())
    }

    async fn commit(mut self: Box<Self>) -> Result<(), BusError> {
        self.end(true)
    }

    async fn abort(mut self: Box<Self>) -> Result<(), BusError> {
        self.end(false)
    }
}

impl Drop for MemoryTransaction<'_> {
    fn drop(&mut self) {
        if !self.ended {
            // A newer producer may have aborted it already; then there is nothing left to do.
            let _ = self.end(false);
        }
    }
}
