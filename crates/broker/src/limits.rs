//! Every limit of the broker, with its unit and reason.

use std::time::Duration;

/// Bytes of one read from the log; a poll makes several where it may return more.
pub const READ_BYTES: usize = 1 << 20;
/// Bytes read at a time to find out how a transaction ended.
pub const LOOKAHEAD_BYTES: usize = 1 << 20;
/// Records behind the end from which a read is likely to wait for the disk, and runs on a blocking thread.
pub const COLD_RECORDS: i64 = 50_000;
/// Aborted transactions remembered per partition; older ones are looked up in the log again.
pub const ABORTED_TRANSACTIONS: usize = 4_096;
/// The longest wait of one poll; a longer one is cut, so that it stays a point in time.
pub const WAIT_MAX: Duration = Duration::from_hours(24);
/// Members of one group.
pub const GROUP_MEMBERS: usize = 1_024;
/// How long the first join of a member is waited with for the others: after that it is taken for gone, as in Kafka.
pub const NEW_MEMBER_TIMEOUT: Duration = Duration::from_mins(5);
/// Groups in all.
pub const GROUPS: usize = 65_536;
/// Transactional ids in all.
pub const TRANSACTIONAL_IDS: usize = 65_536;
/// Producer ids made durable at once, so that handing out one costs no write.
pub const PRODUCER_ID_BLOCK: i64 = 1_000;
/// Epochs of one producer id; after the last one the producer gets a new id. A few are kept for fencing.
pub const PRODUCER_EPOCH_MAX: i16 = i16::MAX - 8;
/// How often ended transactions are settled and open ones looked at for their age.
pub const SWEEP_INTERVAL: Duration = Duration::from_millis(500);
/// A committed transaction is settled in the background after this long, where no later one did it.
pub const SETTLE_AFTER: Duration = Duration::from_secs(1);
/// When an operation that the disk refused is worth another try.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);
/// `segment.bytes` of internal topics: small, so that compaction keeps them short.
pub const INTERNAL_SEGMENT_BYTES: u64 = 8 << 20;
/// Batches of a producer that each partition remembers, as in Kafka: clients have no more in flight.
pub const PRODUCER_BATCHES: usize = 5;
/// Producers that each partition remembers; those that were silent for longest go first.
pub const PRODUCERS: usize = 16_384;
/// Bytes of a regular expression that members subscribe with.
pub const REGEX_BYTES: usize = 4_096;
/// Bytes that a regular expression takes compiled.
pub const REGEX_COMPILED_BYTES: usize = 256 << 10;
/// Different regular expressions in one group: each is matched against every topic when topics come or go.
pub const REGEXES: usize = 64;
/// Groups within groups of a regular expression.
pub const REGEX_NESTING: u32 = 64;
/// How old a look at the topics may be before a regular expression is matched again, in ms: rights may have changed.
pub const REGEX_REFRESH_MS: i64 = 600_000;
/// Bytes of an id of a group, member, instance or rack, or of a topic's name in a subscription.
pub const GROUP_ID_BYTES: usize = 1_024;
/// Bytes that a member of a classic group brings for its protocols, and that its leader assigns it: a group's record must hold those
/// of all members.
pub const MEMBER_METADATA_BYTES: usize = 1 << 20;
/// Topics in a subscription.
pub const SUBSCRIBED_TOPICS: usize = 10_000;
/// Partitions that a member says it holds.
pub const OWNED_PARTITIONS: usize = 200_000;
/// Partitions of one transaction of a client.
pub const TRANSACTION_PARTITIONS: usize = 16_384;
/// Bytes of a record of `__transaction_state`: the partitions and pending offsets of one transaction.
pub const TRANSACTION_RECORD_BYTES: usize = 16 << 20;
/// Bytes behind the last snapshot of a partition's producers, after which another one is written: what a start looks through, by
/// headers alone.
pub const SNAPSHOT_BYTES: u64 = 64 << 20;
/// How long a change of a partition's producers may be in the log alone.
pub const SNAPSHOT_INTERVAL: Duration = Duration::from_mins(1);
