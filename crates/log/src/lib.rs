//! The log: topics of partitions of segments that hold Kafka record batches (v2) byte for byte.
//!
//! What it is: durable, ordered, indexed files with group commit, recovery, retention and compaction.
//! What it is not: it knows no requests, consumer groups, producers' state or open transactions (`millstream-broker` does),
//! and does not look into records except to compact them, and where a topic's settings ask for it
//! ([`TopicConfig::take_in`]).
//!
//! Three types to know: [`Log`] (a data directory in use), [`Partition`] (append, read, wait), [`Disk`] (the one door to
//! files; [`OsDisk`] is the real one, [`SimDisk`] one that loses whatever was not synced).
//!
//! Data enters through [`Partition::append`] as whole batches ([`batch::BatchBuilder`] makes them), and leaves through
//! [`Partition::read`] as the same batches ([`batch::batches`] takes them apart).

pub mod batch;
mod compact;
mod config;
mod disk;
mod error;
mod files;
mod flusher;
mod index;
mod intake;
pub mod limits;
mod log;
mod manifest;
mod metafile;
mod metrics;
mod os_disk;
mod partition;
mod random;
mod reserve;
mod retention_clock;
mod segment;
mod sim_disk;
mod topic;

pub use config::{Cleanup, LogConfig, TimestampType, TopicConfig};
pub use disk::{Disk, DiskFile, Lock, Open, Space};
pub use error::LogError;
pub use intake::{Ready, Reason, Refused};
pub use log::{Log, RecoveryReport};
pub use os_disk::OsDisk;
pub use partition::{Appended, FoundByTime, Partition, Range, Scanned};
pub use random::Random;
pub use sim_disk::{Operation, SimDisk};
pub use topic::Topic;
