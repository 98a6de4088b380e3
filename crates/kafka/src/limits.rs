//! Every limit of this crate, with its unit and reason.

use std::time::Duration;

/// How long one request to the cluster may take before the cluster counts as away.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a topic may take to appear on, or vanish from, all brokers.
pub const TOPIC_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a partition that has no leader yet, or a new one, is asked again before the cluster counts as away.
pub const LEADER_WAIT: Duration = Duration::from_secs(5);
/// How often these are looked at.
pub const TOPIC_CHECK_INTERVAL: Duration = Duration::from_millis(20);
/// How long the end of a transaction may take before its outcome counts as unknown.
pub const TRANSACTION_END_TIMEOUT: Duration = Duration::from_mins(1);
/// Records waiting in one producer; an append waits while there are that many.
pub const PRODUCER_RECORDS: u32 = 100_000;
/// Kilobytes waiting in one producer.
pub const PRODUCER_KB: u32 = 65_536;
/// Kilobytes that one reader fetches ahead.
pub const READER_KB: u32 = 16_384;
/// Clients kept open to commit offsets of groups from outside.
pub const GROUP_CLIENTS: usize = 32;
/// Topics whose partition counts are remembered.
pub const KNOWN_TOPICS: usize = 4_096;
/// How long an append that found the queue full waits at most before it looks again.
pub const QUEUE_FULL_WAIT: Duration = Duration::from_millis(20);
/// The longest wait of one poll; a longer one is cut, so that it stays a point in time.
pub const WAIT_MAX: Duration = Duration::from_hours(24);
/// How long committed offsets are waited for while a transaction that holds newer ones may be ending.
pub const STABLE_OFFSETS_WAIT: Duration = Duration::from_secs(4);
