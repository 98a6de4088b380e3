//! An engine that keeps everything in memory, for tests.
//!
//! It behaves as the durable engines do, down to the offsets that commit markers take, so that what works on it works
//! on them. It has no retention and no compaction, and forgets everything when the last handle to it is dropped.

mod bus;
mod group;
mod partition;
mod reader;
mod transaction;

use crate::{BusError, TopicDescription, TopicPartition, TopicSpec};
use group::Group;
use parking_lot::{Mutex, MutexGuard};
use partition::Partition;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Notify;
use transaction::Producer;

/// An engine in memory. Handles made by `clone` of the `Arc` share everything.
#[derive(Debug)]
pub struct MemoryBus(Arc<Shared>);

impl MemoryBus {
    /// An empty engine.
    pub fn new() -> Arc<Self> {
        Arc::new(Self(Arc::default()))
    }

    /// Throws every member out of `group`, as a session time-out does: what they commit is refused from now on,
    /// and their next poll joins anew.
    pub fn expire_members(&self, group: &str) {
        self.0.change(|state| {
            if let Some(group) = state.groups.get_mut(group) {
                group.expire();
            }
        });
    }
}

/// The state of one engine, and the bell that rings when something in it changed.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Changes the state and wakes every waiting reader.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state.lock());
        self.changed.notify_waiters();
        result
    }
}

#[derive(Debug, Default)]
struct State {
    topics: BTreeMap<String, Topic>,
    groups: BTreeMap<String, Group>,
    producers: BTreeMap<String, Producer>,
    /// Members and transactions are numbered from one counter.
    next_id: u64,
}

#[derive(Debug)]
struct Topic {
    spec: TopicSpec,
    partitions: Vec<Partition>,
}

impl Topic {
    fn new(spec: &TopicSpec) -> Self {
        let partitions = (0..spec.partitions).map(|_| Partition::default()).collect();
        Self { spec: spec.clone(), partitions }
    }

    fn describe(&self) -> TopicDescription {
        let mut configs = self.spec.configs.clone();
        if self.spec.cleanup != crate::CleanupPolicy::Delete {
            configs.insert("cleanup.policy".to_owned(), self.spec.cleanup.as_config().to_owned());
        }
        TopicDescription {
            name: self.spec.name.clone(),
            partitions: self.spec.partitions,
            configs,
            size_bytes: Some(self.partitions.iter().map(Partition::size_bytes).sum()),
        }
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn partition(&mut self, at: &TopicPartition) -> Result<&mut Partition, BusError> {
        let topic =
            self.topics.get_mut(&*at.topic).ok_or_else(|| BusError::UnknownTopic(at.topic.to_string()))?;
        let partition = usize::try_from(at.partition).ok().and_then(|index| topic.partitions.get_mut(index));
        partition.ok_or_else(|| BusError::UnknownTopic(at.to_string()))
    }

    fn partitions_of(&self, topics: &[String]) -> Vec<TopicPartition> {
        let known = topics.iter().filter_map(|name| self.topics.get(name));
        known
            .flat_map(|topic| {
                (0..topic.spec.partitions).map(|index| TopicPartition::new(topic.spec.name.as_str(), index))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
