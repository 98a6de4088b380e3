//! Every limit of the scheduler, the governor and the guard, with its unit and reason.

use std::time::Duration;

/// Connections to one device where nothing else is said: many PLCs have few.
pub const CONNECTIONS: usize = 1;
/// Requests in flight to one device where nothing else is said or negotiated: many devices lose the second.
pub const IN_FLIGHT: usize = 1;
/// First pause after a lost connection.
pub const BACK_OFF_MIN: Duration = Duration::from_millis(100);
/// Longest pause between attempts to connect.
pub const BACK_OFF_MAX: Duration = Duration::from_secs(30);
/// Write commands that wait for one device; more are refused as `busy`.
pub const WRITE_QUEUE: usize = 64;
/// How old a command may be where its rule says nothing.
pub const MAX_AGE: Duration = Duration::from_secs(10);
