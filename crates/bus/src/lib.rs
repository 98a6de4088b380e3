//! The bus: *append, read, commit, transact* over named topics of partitions, in Kafka's words.
//!
//! What it is: the trait [`Bus`] and its vocabulary, plus [`memory`], an engine for tests, and [`contract`], the one
//! suite that every engine passes.
//! What it is not: it knows no engine. The embedded log is `millstream-broker`, Apache Kafka is `millstream-kafka`.
//!
//! Three types to know: [`Record`] (what is appended), [`Reader`] (an open position in some partitions),
//! [`Transaction`] (outputs and input offsets that become visible together or not at all).
//!
//! Data enters through [`Bus::append`] or a transaction, and leaves through a [`Reader`] or a [`GroupReader`].

pub mod check;
pub mod contract;
mod error;
pub mod limits;
pub mod memory;
pub mod meter;
mod partition;
mod record;
mod topic;

pub use error::BusError;
pub use partition::{murmur2, partition_for_key};
pub use record::{Fetched, Header, ReceivedRecord, Record};
pub use topic::{
    CleanupPolicy, CommittedOffset, GroupDescription, OffsetRange, Position, StartOffset, TopicDescription,
    TopicPartition, TopicSpec,
};

use async_trait::async_trait;
use millstream_model::Timestamp;
use std::fmt;
use std::time::Duration;

/// When an append is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// After the leader has written it (to the page cache). Survives a killed process, not a power cut.
    Leader,
    /// After it is on disk (embedded) or on all in-sync replicas (Apache Kafka).
    All,
}

/// Which records a reader sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Every record as soon as it is appended, those of open and aborted transactions among them.
    ReadUncommitted,
    /// Only committed records, in order: a reader waits at the first open transaction.
    ReadCommitted,
}

/// How much one [`Reader::poll`] returns at most, and how long it waits for the first record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchLimit {
    /// Soft limit over all partitions: a poll stops after the batch that reaches it.
    pub bytes_max: usize,
    /// Records over all partitions, soft in the same way.
    pub records_max: usize,
    /// How long to wait while there is nothing at all.
    pub wait_max: Duration,
}

impl Default for FetchLimit {
    fn default() -> Self {
        Self {
            bytes_max: limits::FETCH_BYTES,
            records_max: limits::FETCH_RECORDS,
            wait_max: Duration::from_millis(500),
        }
    }
}

/// An engine that keeps topics. Every method may be called from any task.
#[async_trait]
pub trait Bus: Send + Sync + fmt::Debug + 'static {
    /// Creates a topic; [`BusError::TopicExists`] where there is one of that name.
    async fn create_topic(&self, spec: &TopicSpec) -> Result<(), BusError>;

    /// Deletes a topic with its records; [`BusError::UnknownTopic`] where there is none.
    async fn delete_topic(&self, topic: &str) -> Result<(), BusError>;

    /// All topics, sorted by name. Internal ones (`__…`) are left out.
    async fn topics(&self) -> Result<Vec<TopicDescription>, BusError>;

    /// One topic; [`BusError::UnknownTopic`] where there is none.
    async fn describe_topic(&self, topic: &str) -> Result<TopicDescription, BusError>;

    /// Appends `records` in order as one batch, and returns the offset of the first. Empty input is an error of the caller.
    async fn append(&self, to: &TopicPartition, records: Vec<Record>, acks: Acks) -> Result<i64, BusError>;

    /// First, last stable and next offset of a partition.
    async fn offsets(&self, of: &TopicPartition) -> Result<OffsetRange, BusError>;

    /// [`Bus::offsets`] of many partitions, in their order; `None` for one whose topic is not there. An engine over a network
    /// asks for all of them at once.
    async fn offsets_of_all(&self, all: &[TopicPartition]) -> Result<Vec<Option<OffsetRange>>, BusError> {
        let mut found = Vec::with_capacity(all.len());
        for of in all {
            found.push(match self.offsets(of).await {
                Ok(range) => Some(range),
                Err(BusError::UnknownTopic(_)) => None,
                Err(error) => return Err(error),
            });
        }
        Ok(found)
    }

    /// The first offset whose timestamp is at least `time`; `None` where every record is older.
    async fn offset_for_time(&self, of: &TopicPartition, time: Timestamp) -> Result<Option<i64>, BusError>;

    /// Deletes every record before `before` (Kafka's DeleteRecords).
    async fn delete_records(&self, of: &TopicPartition, before: i64) -> Result<(), BusError>;

    /// Opens a reader at the given positions, outside any group.
    async fn reader(&self, from: Vec<Position>, isolation: Isolation) -> Result<Box<dyn Reader>, BusError>;

    /// Joins `group` as one member and reads the partitions it is assigned, starting at the committed offsets,
    /// or at `start` where there is none. Members that join or leave move partitions between them.
    async fn subscribe(
        &self,
        group: &str,
        topics: &[String],
        start: StartOffset,
        isolation: Isolation,
    ) -> Result<Box<dyn GroupReader>, BusError>;

    /// The committed offsets of `group`, in the order asked; `None` where there is none.
    async fn committed(
        &self,
        group: &str,
        of: &[TopicPartition],
    ) -> Result<Vec<Option<CommittedOffset>>, BusError>;

    /// Commits offsets for `group` without being its member. Durable when it returns.
    async fn commit(
        &self,
        group: &str,
        offsets: &[(TopicPartition, CommittedOffset)],
    ) -> Result<(), BusError>;

    /// All groups that have members or committed offsets, sorted by name.
    async fn groups(&self) -> Result<Vec<GroupDescription>, BusError>;

    /// A producer of transactions under a lasting id. Opening it fences an older one with the same id, aborts what that
    /// one left open, and finishes what it had decided.
    async fn transactional(&self, id: &str) -> Result<Box<dyn TransactionalProducer>, BusError>;
}

/// An open position in some partitions. Not shared: one task reads it.
#[async_trait]
pub trait Reader: Send {
    /// The next records, in offset order within each partition. Waits up to `limit.wait_max` while there is nothing, and
    /// returns an empty list then. Cancel-safe: a cancelled poll loses nothing.
    ///
    /// [`BusError::OffsetOutOfRange`] where retention has passed the position; the reader stays usable after [`Reader::seek`].
    async fn poll(&mut self, limit: FetchLimit) -> Result<Vec<Fetched>, BusError>;

    /// Moves one of the reader's partitions to `offset`.
    async fn seek(&mut self, to: &TopicPartition, offset: i64) -> Result<(), BusError>;

    /// Where the next poll continues, per partition.
    fn positions(&self) -> Vec<(TopicPartition, i64)>;
}

/// A reader that is a member of a group.
#[async_trait]
pub trait GroupReader: Reader {
    /// The partitions this member holds now.
    fn assignment(&self) -> Vec<TopicPartition>;

    /// Commits offsets as this member; [`BusError::Fenced`] where the group has moved on without it. Durable when it returns.
    async fn commit(&mut self, offsets: &[(TopicPartition, CommittedOffset)]) -> Result<(), BusError>;

    /// Leaves the group, so that the others take over at once.
    async fn leave(self: Box<Self>) -> Result<(), BusError>;
}

/// Makes one transaction after the other under one id.
#[async_trait]
pub trait TransactionalProducer: Send {
    /// Begins a transaction. [`BusError::Fenced`] where a newer producer has taken the id.
    async fn begin(&mut self) -> Result<Box<dyn Transaction + '_>, BusError>;
}

/// One open transaction. Dropping it without [`Transaction::commit`] aborts it.
#[async_trait]
pub trait Transaction: Send {
    /// Adds records; they get offsets now and become visible to committed readers on commit.
    async fn append(&mut self, to: &TopicPartition, records: Vec<Record>) -> Result<(), BusError>;

    /// Adds input offsets of `group`, committed together with the records.
    async fn commit_offsets(
        &mut self,
        group: &str,
        offsets: &[(TopicPartition, CommittedOffset)],
    ) -> Result<(), BusError>;

    /// Makes all of it visible and durable, or none.
    async fn commit(self: Box<Self>) -> Result<(), BusError>;

    /// Drops all of it.
    async fn abort(self: Box<Self>) -> Result<(), BusError>;
}
