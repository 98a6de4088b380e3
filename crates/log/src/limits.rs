//! Every limit of the log, with its unit and reason.

use std::time::Duration;

/// Longest wait for more batches to share a sync, while one sync follows the other.
pub const FLUSH_INTERVAL: Duration = Duration::from_millis(5);
/// Rounds of syncs that begin this soon after the last one ended follow one another.
pub const FLUSH_PAUSE: Duration = Duration::from_millis(2);
/// How long nobody may have come before a wait for more batches ends, where a sync takes less than this. A client needs as long to
/// take its answers and to send again.
pub const FLUSH_GATHER_MIN: Duration = Duration::from_micros(400);
/// Partitions synced side by side in one round, and opened side by side where they have to be synced.
pub const FLUSH_THREADS: usize = 8;
/// Up to this many partitions are opened one after the other.
pub const OPEN_ALONE: usize = 32;
/// Bytes kept aside for the audit when the disk is full: about 30,000 audit records.
pub const RESERVE_BYTES: u64 = 8 << 20;
/// The reserve is given out in steps of this many bytes.
pub const RESERVE_STEP_BYTES: u64 = 1 << 20;
/// Open files, well under a `ulimit -n` of 256.
pub const OPEN_FILES: usize = 96;
/// Open files with unsynced bytes, before an append syncs its own.
pub const DIRTY_FILES: usize = 64;
/// Remembered ranges of records that were lost with a failing disk.
pub const LOST_RANGES: usize = 64;
/// Bytes of one append.
pub const APPEND_BYTES: usize = 256 << 20;
/// Bytes read at a time where a segment is read from front to back.
pub const SCAN_BYTES: usize = 1 << 20;
/// Default `segment.bytes`: small enough that retention works in fine steps on a small disk.
pub const SEGMENT_BYTES: u64 = 128 << 20;
/// Least `segment.bytes`, as in Kafka.
pub const SEGMENT_BYTES_MIN: i64 = 14;
/// Most `segment.bytes`: positions in an index are 32 bits.
pub const SEGMENT_BYTES_MAX: u64 = 2_147_483_647;
/// Default `max.message.bytes`, as in Kafka.
pub const BATCH_BYTES: usize = 1_048_588;
/// Most `max.message.bytes`.
pub const BATCH_BYTES_MAX: usize = 64 << 20;
/// The largest batch after decompression; a small bomb must not become a large allocation.
pub const DECOMPRESSED_BYTES: usize = 128 << 20;
/// Headers of one record.
pub const RECORD_HEADERS: usize = 1_024;
/// Log bytes between two index entries: a lookup reads at most this much too much.
pub const INDEX_INTERVAL_BYTES: usize = 16 << 10;
/// Synced bytes after which a partition notes how far it is durable; recovery reads at most about this much.
pub const CHECKPOINT_BYTES: u64 = 16 << 20;
/// The longest topic name in bytes, as in Kafka.
pub const TOPIC_NAME_BYTES: usize = 249;
/// Partitions of one topic.
pub const PARTITIONS: i32 = 1_024;
/// Bytes of keys held in memory by one compaction; what does not fit waits for the next one.
pub const COMPACTION_KEY_BYTES: usize = 32 << 20;
/// A step of the wall clock up to this long against the monotonic clock is drift, not a jump.
pub const CLOCK_DRIFT: Duration = Duration::from_mins(1);
/// A jump of the wall clock counts for retention after it has lasted as long as it is wide, at most this long.
pub const CLOCK_DOUBT: Duration = Duration::from_hours(24);
/// How often retention and compaction look at every partition.
pub const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(10);
/// Syncs of a segment before zeros are laid ahead of it: one that is seldom synced gains nothing.
pub const AHEAD_SYNCS: u32 = 8;
/// Least and most zeros laid at a time, and how many times the growth between two syncs.
pub const AHEAD_BYTES_MIN: u64 = 64 << 10;
/// See [`AHEAD_BYTES_MIN`].
pub const AHEAD_BYTES_MAX: u64 = 4 << 20;
/// See [`AHEAD_BYTES_MIN`].
pub const AHEAD_GROWTHS: u64 = 32;
/// Growth between two syncs from which the data itself takes longer than the journal: no zeros are laid.
pub const AHEAD_GROWTH_MAX: u64 = 1 << 20;
