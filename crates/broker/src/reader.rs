//! Readers outside any group, and the fetching that members of groups share with them.

use crate::embedded::Inner;
use crate::fetch::{Found, Lookahead, read};
use crate::limits;
use crate::replica::Replica;
use crate::wait::any;
use async_trait::async_trait;
use millstream_bus::{BusError, FetchLimit, Fetched, Isolation, Reader, TopicPartition};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// One partition that is read.
#[derive(Debug)]
struct Place {
    replica: Arc<Replica>,
    offset: i64,
    /// Changes when there is more to read.
    more: watch::Receiver<i64>,
    lookahead: Lookahead,
}

/// Positions in some partitions.
#[derive(Debug)]
pub(crate) struct Places {
    isolation: Isolation,
    of: Vec<Place>,
    /// Which partition is read first: the one after the last that filled a poll, so that none starves.
    turn: usize,
}

impl Places {
    pub(crate) fn new(isolation: Isolation) -> Self {
        Self { isolation, of: Vec::new(), turn: 0 }
    }

    pub(crate) fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// Reads a partition from `offset` on; false where it is read already.
    pub(crate) fn add(&mut self, replica: Arc<Replica>, offset: i64) -> bool {
        if self.of.iter().any(|place| place.replica.at == replica.at) {
            return false;
        }
        let more = match self.isolation {
            Isolation::ReadCommitted => replica.stable(),
            Isolation::ReadUncommitted => replica.log().appended(),
        };
        self.of.push(Place { replica, offset, more, lookahead: Lookahead::default() });
        true
    }

    pub(crate) fn clear(&mut self) {
        self.of.clear();
    }

    pub(crate) fn seek(&mut self, to: &TopicPartition, offset: i64) -> Result<(), BusError> {
        match self.of.iter_mut().find(|place| place.replica.at == *to) {
            Some(place) => {
                place.offset = offset;
                place.more.mark_changed();
                Ok(())
            }
            None => Err(BusError::Invalid(format!("the reader does not read `{to}`"))),
        }
    }

    pub(crate) fn positions(&self) -> Vec<(TopicPartition, i64)> {
        self.of.iter().map(|place| (place.replica.at.clone(), place.offset)).collect()
    }

    pub(crate) fn holds(&self, of: &TopicPartition) -> bool {
        self.of.iter().any(|place| place.replica.at == *of)
    }

    /// What there is now, up to the limits.
    pub(crate) async fn fetch(&mut self, limit: FetchLimit) -> Result<Vec<Fetched>, BusError> {
        let mut fetched = Vec::new();
        let (mut bytes, mut records) = (0, 0);
        let count = self.of.len();
        let first = self.turn;
        for turn in 0..count {
            let index = (first + turn) % count;
            let Some(place) = self.of.get_mut(index) else { break };
            let left = (limit.bytes_max.saturating_sub(bytes), limit.records_max.saturating_sub(records));
            if left.0 == 0 || left.1 == 0 {
                self.turn = index;
                break;
            }
            let isolation = self.isolation;
            let found = match place.read(isolation, left).await {
                Ok(found) => found,
                // What was found before is handed out first; the error comes again with the next poll.
                Err(_) if !fetched.is_empty() => {
                    self.turn = index;
                    break;
                }
                Err(error) => return Err(error),
            };
            if found.next_offset > place.offset {
                // Nothing is awaited from here to the end but other partitions' reads, whose cancelling throws `fetched` away.
                bytes += found.bytes;
                records += found.records.len();
                let partition = place.replica.at.clone();
                fetched.push(Fetched { partition, records: found.records, next_offset: found.next_offset });
            }
        }
        for part in &fetched {
            if let Some(place) = self.of.iter_mut().find(|place| place.replica.at == part.partition) {
                place.offset = part.next_offset;
            }
        }
        Ok(fetched)
    }

    /// Resolves when there may be more than the last [`Places::fetch`] saw. Never where nothing is read.
    pub(crate) async fn more(&mut self) {
        any(self.of.iter_mut().map(|place| place.more.changed())).await.ok();
    }
}

impl Place {
    async fn read(&mut self, isolation: Isolation, limit: (usize, usize)) -> Result<Found, BusError> {
        // What comes after this moment rings again.
        self.more.mark_unchanged();
        if !self.replica.is_cold(self.offset) {
            return read(&self.replica, self.offset, isolation, limit, &mut self.lookahead);
        }
        let (replica, offset) = (Arc::clone(&self.replica), self.offset);
        let mut lookahead = std::mem::take(&mut self.lookahead);
        let reading = tokio::task::spawn_blocking(move || {
            let found = read(&replica, offset, isolation, limit, &mut lookahead);
            (found, lookahead)
        });
        match reading.await {
            Ok((found, lookahead)) => {
                self.lookahead = lookahead;
                found
            }
            Err(_) => Err(crate::error::unavailable("the read was given up at shutdown")),
        }
    }
}

/// A reader outside any group.
#[derive(Debug)]
pub(crate) struct EmbeddedReader(pub(crate) Places);

impl EmbeddedReader {
    pub(crate) fn open(
        inner: &Inner,
        from: Vec<millstream_bus::Position>,
        isolation: Isolation,
    ) -> Result<Self, BusError> {
        let mut places = Places::new(isolation);
        for position in from {
            let replica = inner.topics.replica(&position.partition)?;
            let offset = position.start.resolve(replica.range(), isolation);
            if !places.add(replica, offset) {
                let message = format!("`{}` is asked for twice in one reader", position.partition);
                return Err(BusError::Invalid(message));
            }
        }
        Ok(Self(places))
    }
}

#[async_trait]
impl Reader for EmbeddedReader {
    async fn poll(&mut self, limit: FetchLimit) -> Result<Vec<Fetched>, BusError> {
        let deadline = Instant::now() + limit.wait_max.min(limits::WAIT_MAX);
        loop {
            let fetched = self.0.fetch(limit).await?;
            if !fetched.is_empty() || timeout_at(deadline, self.0.more()).await.is_err() {
                return Ok(fetched);
            }
        }
    }

    async fn seek(&mut self, to: &TopicPartition, offset: i64) -> Result<(), BusError> {
        self.0.seek(to, offset)
    }

    fn positions(&self) -> Vec<(TopicPartition, i64)> {
        self.0.positions()
    }
}
