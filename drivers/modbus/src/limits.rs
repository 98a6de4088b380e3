//! Every limit of the protocol, of the session and of the simulator, with its unit and reason.

use std::time::Duration;

/// Registers that one request can read (Modbus application protocol V1.1b3, 6.3 and 6.4).
pub const READ_REGISTERS: u16 = 125;
/// Coils or discrete inputs that one request can read (6.1, 6.2).
pub const READ_BITS: u16 = 2000;
/// Registers that one request can write (6.12).
pub const WRITE_REGISTERS: u16 = 123;
/// Coils that one request can write (6.11).
pub const WRITE_COILS: u16 = 1968;
/// Registers that function 23 can write in one request (6.17).
pub const READ_WRITE_REGISTERS: u16 = 121;
/// Bytes of sub-requests or sub-responses in one file record frame (6.14, 6.15: `0xF5`).
pub const FILE_BYTES: usize = 0xF5;
/// Registers of one file record value: what is left of [`FILE_BYTES`] after one header (read: 2 bytes, write: 7).
pub const FILE_READ_REGISTERS: u16 = 121;
/// See [`FILE_READ_REGISTERS`].
pub const FILE_WRITE_REGISTERS: u16 = 119;
/// Records of one file (6.14: numbers `0x0000` to `0x270F`).
pub const FILE_RECORDS: u16 = 10_000;

/// Bytes of the MBAP header (Modbus messaging on TCP/IP V1.0b, 3.1.3).
pub const HEADER_BYTES: usize = 7;
/// Bytes of a PDU.
pub const PDU_BYTES: usize = 253;
/// Bytes of a frame on TCP.
pub const ADU_BYTES: usize = 260;

/// Requests in flight that the connection string may ask for at most: the messaging guide recommends 1 to 16.
pub const IN_FLIGHT: i64 = 16;
/// Transaction ids of timed-out requests that are remembered, so that a late answer is known as one.
pub const TOMBSTONES: usize = 256;
/// Rounds of unanswered requests, with no answer at all in between, after which the connection counts as dead.
pub const SILENT_ROUNDS: u32 = 3;

/// Frames in a row that answer nothing, after which the peer counts as mad: reading on would only cost its neighbours time.
pub const DROPPED_FRAMES: u32 = 1_000;

/// First pause before a refused address is asked for again.
pub const HOLE_RETRY_MIN: Duration = Duration::from_secs(5);
/// Longest pause before a refused address is asked for again; the first one too where no tag needs the address.
pub const HOLE_RETRY_MAX: Duration = Duration::from_hours(1);
/// Least time between two requests that only try something again: many refused addresses must not double the load.
pub const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// Addresses that were refused within this time of one another are taken to have gone together.
pub const HOLES_TOGETHER: Duration = Duration::from_mins(1);
/// Refused ranges remembered per connection; the oldest goes first.
pub const HOLES: usize = 4096;

/// First pause before a unit that did not answer is tried again.
pub const UNIT_RETRY_MIN: Duration = Duration::from_secs(5);
/// Longest pause before a unit that did not answer is tried again.
pub const UNIT_RETRY_MAX: Duration = Duration::from_mins(1);
/// Shortest time-out of the one request that tries a unit again; see [`crate::session`].
pub const PROBE_TIMEOUT_MIN: Duration = Duration::from_millis(50);
