//! Readers in memory, alone and as members of a group.

use super::Shared;
use crate::{
    BusError, CommittedOffset, FetchLimit, Fetched, GroupReader, Isolation, Reader, StartOffset,
    TopicPartition,
};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

pub(super) type Positions = BTreeMap<TopicPartition, i64>;

/// Reads everything there is at `positions` and moves them.
fn collect(
    shared: &Shared,
    positions: &mut Positions,
    isolation: Isolation,
    limit: FetchLimit,
) -> Result<Vec<Fetched>, BusError> {
    let mut state = shared.state();
    let mut found = Vec::new();
    let (mut bytes, mut records) = (0, 0);
    for (at, position) in positions.iter_mut() {
        let (bytes_left, records_left) =
            (limit.bytes_max.saturating_sub(bytes), limit.records_max.saturating_sub(records));
        let read = match state
            .partition(at)
            .and_then(|partition| partition.read(at, *position, isolation, bytes_left, records_left))
        {
            Ok(read) => read,
            // What was found before is handed out first; the error comes again with the next poll.
            Err(_) if !found.is_empty() => break,
            Err(error) => return Err(error),
        };
        if read.next_offset > *position {
            *position = read.next_offset;
            bytes += read.bytes;
            records += read.records.len();
            found.push(Fetched {
                partition: at.clone(),
                records: read.records,
                next_offset: read.next_offset,
            });
        }
    }
    Ok(found)
}

fn seek(positions: &mut Positions, to: &TopicPartition, offset: i64) -> Result<(), BusError> {
    match positions.get_mut(to) {
        Some(position) => {
            *position = offset;
            Ok(())
        }
        None => Err(BusError::Invalid(format!("the reader does not read `{to}`"))),
    }
}

pub(super) struct MemoryReader {
    pub(super) shared: Arc<Shared>,
    pub(super) positions: Positions,
    pub(super) isolation: Isolation,
}

#[async_trait]
impl Reader for MemoryReader {
    async fn poll(&mut self, limit: FetchLimit) -> Result<Vec<Fetched>, BusError> {
        let deadline = Instant::now() + limit.wait_max;
        loop {
            // Listening starts before looking, so that nothing appended in between is slept over.
            let changed = self.shared.changed.notified();
            let found = collect(&self.shared, &mut self.positions, self.isolation, limit)?;
            if !found.is_empty() || timeout_at(deadline, changed).await.is_err() {
                return Ok(found);
            }
        }
    }

    async fn seek(&mut self, to: &TopicPartition, offset: i64) -> Result<(), BusError> {
        seek(&mut self.positions, to, offset)
    }

    fn positions(&self) -> Vec<(TopicPartition, i64)> {
        self.positions.iter().map(|(at, offset)| (at.clone(), *offset)).collect()
    }
}

pub(super) struct MemoryMember {
    pub(super) shared: Arc<Shared>,
    pub(super) group: String,
    pub(super) id: u64,
    pub(super) topics: Vec<String>,
    pub(super) start: StartOffset,
    pub(super) isolation: Isolation,
    pub(super) positions: Positions,
}

impl MemoryMember {
    /// Takes part in whatever the group has decided since: joins anew where it was thrown out, lets partitions go, takes
    /// free ones at their committed offsets.
    fn settle(&mut self) -> Result<(), BusError> {
        let mut state = self.shared.state();
        let all = state.partitions_of(&state.topics.keys().cloned().collect::<Vec<_>>());
        let fresh = state.number();
        let group = state.groups.entry(self.group.clone()).or_default();
        if !group.is_member(self.id) {
            self.id = fresh;
            self.positions.clear();
            group.join(self.id, &self.topics, &all);
        }
        let (held, released) = group.settle(self.id);
        let committed: Vec<_> = held
            .into_iter()
            .map(|at| (group.offsets.get(&at).map(|committed| committed.offset), at))
            .collect();
        self.positions.retain(|at, _| committed.iter().any(|(_, held)| held == at));
        for (committed, at) in committed {
            if !self.positions.contains_key(&at) {
                let range = state.partition(&at)?.range();
                let offset = committed.unwrap_or_else(|| self.start.resolve(range, self.isolation));
                self.positions.insert(at, offset);
            }
        }
        drop(state);
        if released {
            self.shared.changed.notify_waiters();
        }
        Ok(())
    }
}

#[async_trait]
impl Reader for MemoryMember {
    async fn poll(&mut self, limit: FetchLimit) -> Result<Vec<Fetched>, BusError> {
        let deadline = Instant::now() + limit.wait_max;
        let shared = Arc::clone(&self.shared);
        loop {
            let changed = shared.changed.notified();
            self.settle()?;
            let found = collect(&self.shared, &mut self.positions, self.isolation, limit)?;
            if !found.is_empty() || timeout_at(deadline, changed).await.is_err() {
                return Ok(found);
            }
        }
    }

    async fn seek(&mut self, to: &TopicPartition, offset: i64) -> Result<(), BusError> {
        seek(&mut self.positions, to, offset)
    }

    fn positions(&self) -> Vec<(TopicPartition, i64)> {
        self.positions.iter().map(|(at, offset)| (at.clone(), *offset)).collect()
    }
}

#[async_trait]
impl GroupReader for MemoryMember {
    fn assignment(&self) -> Vec<TopicPartition> {
        self.positions.keys().cloned().collect()
    }

    async fn commit(&mut self, offsets: &[(TopicPartition, CommittedOffset)]) -> Result<(), BusError> {
        crate::check::offsets(offsets)?;
        let mut state = self.shared.state();
        let group = state.groups.entry(self.group.clone()).or_default();
        group.commit_as(&self.group, self.id, offsets)
    }

    async fn leave(self: Box<Self>) -> Result<(), BusError> {
        Ok(())
    }
}

impl Drop for MemoryMember {
    fn drop(&mut self) {
        let (name, id) = (self.group.clone(), self.id);
        self.shared.change(|state| {
            let all = state.partitions_of(&state.topics.keys().cloned().collect::<Vec<_>>());
            if let Some(group) = state.groups.get_mut(&name) {
                group.leave(id, &all);
            }
        });
    }
}
