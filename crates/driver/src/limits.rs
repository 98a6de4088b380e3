//! Every limit of the scheduler, the governor and the guard, with its unit and reason.

use std::time::Duration;

/// Requests in flight to one device where only its connection string (1 unless it says more) or negotiation sets a limit.
pub const IN_FLIGHT: usize = 64;
/// First pause after a lost connection.
pub const BACK_OFF_MIN: Duration = Duration::from_millis(100);
/// Longest pause between attempts to connect.
pub const BACK_OFF_MAX: Duration = Duration::from_secs(30);
/// Write commands that wait for one device; more are refused as `busy`.
pub const WRITE_QUEUE: usize = 64;
/// How old a command may be where its rule says nothing.
pub const MAX_AGE: Duration = Duration::from_secs(10);
/// How far in the future a command may be dated before it is refused: clocks differ a little.
pub const FUTURE_TOLERANCE: Duration = Duration::from_secs(5);
/// How long a permit may be used after the guard's check, whatever the command's own age limit.
pub const PERMIT_LIFETIME: Duration = Duration::from_secs(5);
/// Ids of commands that one device's guard remembers, to know a repeated one.
pub const SEEN_IDS: usize = 4096;
/// Devices that were removed whose guards are remembered, in case they come back.
pub const REMOVED_GUARDS: usize = 1024;
/// Failed writes in a row after which a tag takes no more until it is re-armed.
pub const LATCH_FAILURES: u32 = 3;
/// How long a lost write waits for the device to return, so that reading back can settle it.
pub const SETTLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long making an intent durable may take; after that the write is refused, and scans go on.
pub const INTENT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one attempt to connect may take where nothing else is said.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one scan may take before its session counts as hung. The session's own time-outs come first.
pub const SCAN_TIMEOUT: Duration = Duration::from_mins(1);
/// Longest pause between attempts to connect to a device that refuses us.
pub const REFUSED_BACK_OFF: Duration = Duration::from_mins(1);
/// Host names looked up at once. Each may hold a thread of the pool that the log writes with, for as long as a dead name
/// server is waited for.
pub const LOOKUPS: usize = 64;
/// First attempts to connect of all devices are spread over one millisecond per device, at most this.
pub const START_SPREAD_MAX: Duration = Duration::from_secs(1);
/// How long devices may take to finish what they do when the scheduler stops.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(4);

/// Room for one read at first; connections that fill it get more, up to [`READ_BYTES_MAX`].
pub const READ_BYTES_MIN: usize = 2 * 1024;
/// Most bytes taken by one read.
pub const READ_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a frame that is not complete yet; no protocol here has longer ones.
pub const INPUT_BYTES_MAX: usize = 256 * 1024;
/// Bytes that wait for a peer that does not read; above, nothing more is read from it.
pub const OUTPUT_BYTES_MAX: usize = 256 * 1024;

/// Answers that wait in a simulator for their time; a client with more of them open is disconnected.
pub const OUTBOX_FRAMES: usize = 16 * 1024;
/// How long a simulator waits before it accepts again when it could not.
pub const ACCEPT_RETRY: Duration = Duration::from_millis(50);
/// How often lagging signals of a simulated world advance.
pub const WORLD_TICK: Duration = Duration::from_millis(20);
/// Ticks that a simulated world makes up one by one after a pause.
pub const WORLD_TICKS_AT_ONCE: u64 = 10_000;
/// Signals that may follow one another in a row at one instant.
pub const WORLD_FOLLOW_DEPTH: usize = 16;

/// Answers this much slower than usual make the scans of a device rarer.
pub const SLOW_FACTOR: f64 = 4.0;
/// Answers faster than this are never slow.
pub const SLOW_FLOOR: Duration = Duration::from_millis(50);
/// Slow scans in a row before scans are made rarer: one may be a unit behind a gateway that is asked again.
pub const SLOW_SCANS: u32 = 3;
/// How often the interval of a slow device is doubled at most.
pub const SLOW_LEVEL_MAX: u32 = 3;
