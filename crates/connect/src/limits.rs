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
/// How long an outcome waits for room among [`PENDING_REPORTS`] before it is given up: the device must go on.
pub const SETTLE_WAIT: Duration = Duration::from_secs(1);
/// The longest part of a refused record's value that is kept, in bytes; the record itself is still in its topic.
pub const REFUSED_RAW_BYTES: usize = 1_024;
/// Age beyond which records are passed over when a sink starts for the very first time and has no committed offset:
/// commands out of a backlog are never wanted, and a topic may hold years of them.
pub const FIRST_START_AGE: Duration = Duration::from_mins(1);
/// Records at the end of the audit trail that are read at the start to know which commands were handed over already.
pub const RECENT_INTENTS: i64 = 10_000;
/// How much longer than its command's age limit a write may take before the sink goes on without its report.
pub const WRITE_GRACE: Duration = Duration::from_mins(1);
/// Pause before a write that the device was too busy for is offered again.
pub const BUSY_PAUSE: Duration = Duration::from_millis(50);
/// How often a sink commits offsets at most: a commit waits for the disk, and commands wait for it. A restart reads what came
/// since again; the audit trail knows what of it was written.
pub const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// How long a commit waits for the audit trail before commands go on and it is tried again.
pub const FLUSH_WAIT: Duration = Duration::from_millis(250);
/// A record older than this when it is read means that the sink is behind, and newer commands may follow.
pub const BEHIND: Duration = Duration::from_millis(250);
/// How long a sink that is behind reads on before it writes the newest commands that it found.
pub const CATCH_UP: Duration = Duration::from_secs(2);
/// How long one poll waits for commands; it wakes at once when there are any.
pub const POLL_WAIT: Duration = Duration::from_secs(10);
/// How long a sink that is told to stop waits for writes that are under way.
pub const DRAIN_WAIT: Duration = Duration::from_secs(3);
/// How long leaving a group may take; without it the group finds out by itself.
pub const LEAVE_WAIT: Duration = Duration::from_secs(1);
/// Records of one remote transaction of a forwarder.
pub const FORWARD_RECORDS: usize = 4_096;
/// Bytes of one remote transaction of a forwarder, soft: its memory is this and one poll.
pub const FORWARD_BYTES: usize = 1 << 20;
/// How often a forwarder looks for new topics.
pub const TOPIC_REFRESH: Duration = Duration::from_secs(10);
