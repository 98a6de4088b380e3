//! Every limit of this crate, with its unit, its reason and what happens beyond it.

use std::time::Duration;

/// Records of one device that are handed over but not acknowledged by the log. Beyond it the device's next scan waits:
/// enough to ride out the disk's flushes at 10 ms a scan, little enough that a thousand devices fit in memory.
pub const PENDING_RECORDS_PER_DEVICE: usize = 16;
/// Bytes of all devices that are handed over but not acknowledged. Beyond it scans wait.
pub const PENDING_BYTES: usize = 64 << 20;
/// How long a scan waits for room before its sample is given up and counted as missed.
pub const SCAN_WAIT: Duration = Duration::from_secs(2);
/// Changes of state of one device that wait for the log; beyond it the newest replaces the one before it.
pub const PENDING_STATES_PER_DEVICE: usize = 16;
/// Records of one append: what one flush of the disk should carry.
pub const APPEND_RECORDS: usize = 4_096;
/// Bytes of one append, soft: an append stops after the record that reaches it.
pub const APPEND_BYTES: usize = 512 << 10;
/// First pause after a failed attempt.
pub const BACK_OFF_MIN: Duration = Duration::from_millis(100);
/// Longest pause between attempts of a task (a destination or a broker that is away).
pub const BACK_OFF_MAX: Duration = Duration::from_secs(30);
/// Longest pause between attempts to append to the log: it is near, and devices wait for it.
pub const APPEND_BACK_OFF_MAX: Duration = Duration::from_secs(2);
/// How long a task may take to stop before it is cut off.
pub const STOP_WAIT: Duration = Duration::from_secs(5);
/// Partitions of topics that are created here: order matters more than spreading on one machine.
pub const TOPIC_PARTITIONS: i32 = 1;
/// Outcomes and refusals that wait for the log; beyond it they wait for room.
pub const PENDING_REPORTS: usize = 4_096;
/// How long an intent may take to become durable before the write is refused.
pub const INTENT_WAIT: Duration = Duration::from_secs(5);
/// How long an outcome may wait for the log before the device goes on without it; it is still kept and written later.
pub const SETTLE_WAIT: Duration = Duration::from_secs(1);
/// The longest part of a refused record's value that is kept, in bytes; the record itself is still in its topic.
pub const REFUSED_RAW_BYTES: usize = 1_024;
/// Age beyond which records are passed over when a sink starts for the very first time and has no committed offset:
/// commands out of a backlog are never wanted, and a topic may hold years of them.
pub const FIRST_START_AGE: Duration = Duration::from_mins(1);
/// How long one hand-over of writes to a device may take, over all its retries, before the sink looks after itself again.
pub const WRITE_WAIT: Duration = Duration::from_secs(60);
/// Pause before a write that the device was too busy for is offered again.
pub const BUSY_PAUSE: Duration = Duration::from_millis(50);
/// Records of one remote transaction of a forwarder.
pub const FORWARD_RECORDS: usize = 4_096;
/// Bytes of one remote transaction of a forwarder, soft: its memory is this and one poll.
pub const FORWARD_BYTES: usize = 1 << 20;
/// How often a forwarder looks for new topics.
pub const TOPIC_REFRESH: Duration = Duration::from_secs(10);
