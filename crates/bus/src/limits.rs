//! Every limit of the bus, with its unit and reason.

/// Soft limit of one poll in bytes: large enough to amortise a system call, small enough to stay in the cache.
pub const FETCH_BYTES: usize = 1 << 20;
/// Soft limit of one poll in records: one micro-batch of a query.
pub const FETCH_RECORDS: usize = 4_096;
/// The largest record in bytes; Kafka's `max.message.bytes` default, rounded.
pub const RECORD_BYTES: usize = 1_048_588;
/// The longest metadata of a committed offset in bytes, as in Kafka (`offset.metadata.max.bytes`).
pub const COMMIT_METADATA_BYTES: usize = 4_096;
/// The longest topic name in bytes, as in Kafka.
pub const TOPIC_NAME_BYTES: usize = 249;
/// Headers of one record; more could not be read back.
pub const RECORD_HEADERS: usize = 1_024;
/// The longest name of a group and the longest transactional id in bytes.
pub const ID_BYTES: usize = 4_096;
