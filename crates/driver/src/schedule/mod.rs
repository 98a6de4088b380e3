//! The scan scheduler: when each device is read, what happens when it cannot be, and how writes get in between.
//!
//! One small task per device, one connection, one thing at a time. The rules, each in the file that is named:
//!
//! * Scans lie on a fixed grid without drift; an overrun skips points of it and is counted (`beat`).
//! * A device is online when it has answered. When it is lost that is said at once and once: its state with the cause, and
//!   one row per group with every cell bad (`device`). Attempts to connect go on with back-off and jitter (`back_off`).
//! * A tag's trouble is its cell, never the scan (`group`). A panic restarts the device, never the process (`catch`).
//! * Writes go before the next scan, the newest of each tag only, and every one the same way: read, guard, intent, write,
//!   read back, settle (`queue`, `write`).
//! * The governor: requests in flight and per second ([`GovernorConfig`], [`Pace`]), and rarer scans when answers slow down
//!   (`slow_down`). All devices together have as many connections as the process can afford (`places`).

mod back_off;
mod beat;
mod catch;
mod device;
mod group;
mod handle;
mod metrics;
mod pace;
mod places;
mod queue;
mod scheduler;
mod slow_down;
mod write;

pub use handle::DeviceHandle;
pub use metrics::DeviceMetrics;
pub use pace::Pace;
pub use scheduler::{NameTaken, Scheduler};
pub use write::write_once;

use crate::guard::{WriteRequest, WriteRule};
use crate::{Driver, GroupIndex, TagSpec, Target, limits};
use async_trait::async_trait;
use millstream_model::{Row, Timestamp, Value};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// One device with everything the scheduler needs.
#[derive(Clone)]
pub struct DeviceConfig {
    /// The name in the plant folder.
    pub name: Arc<str>,
    /// How to reach it.
    pub target: Target,
    /// Its protocol.
    pub driver: Arc<dyn Driver>,
    /// What is read, and how often.
    pub groups: Vec<GroupConfig>,
    /// What may be written.
    pub writes: Vec<WriteRule>,
    /// What may be asked of it.
    pub governor: GovernorConfig,
}

/// Tags that are read together.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupConfig {
    /// The name in the plant folder.
    pub name: Arc<str>,
    /// Time from the start of one scan to the start of the next.
    pub interval: Duration,
    /// What is read.
    pub tags: Vec<TagSpec>,
}

/// What one device may be asked at most. See DESIGN "Being a good guest on a PLC".
#[derive(Debug, Clone, PartialEq)]
pub struct GovernorConfig {
    /// Requests that may be unanswered at once; the connection string's own limit and what the device grants hold besides.
    pub in_flight_max: usize,
    /// Requests per second; `None` for no limit.
    pub requests_per_second_max: Option<f64>,
    /// How long one attempt to connect may take.
    pub connect_timeout: Duration,
    /// How long one scan may take before its session counts as hung; the session's own time-outs come first.
    pub scan_timeout: Duration,
}

impl Default for GovernorConfig {
    fn default() -> Self {
        Self {
            in_flight_max: limits::IN_FLIGHT,
            requests_per_second_max: None,
            connect_timeout: limits::CONNECT_TIMEOUT,
            scan_timeout: limits::SCAN_TIMEOUT,
        }
    }
}

impl fmt::Debug for DeviceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceConfig")
            .field("name", &self.name)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

/// Where a device stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceState {
    /// The first attempt to connect is under way. Observers are not told; later attempts leave the state as it is.
    Connecting,
    /// Connected; scans run.
    Online,
    /// Not reachable; the next attempt comes by itself.
    Offline,
    /// Reached, but it refuses us; the next attempt comes slowly.
    Refused,
}

/// Where a device stands now, for those that watch it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceStatus {
    /// The state.
    pub state: DeviceState,
    /// Since when.
    pub since: Timestamp,
    /// Why, in words: the latest cause while it is away; empty while it is online.
    pub cause: String,
}

/// One device changed its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateChange {
    /// Which device.
    pub device: Arc<str>,
    /// The new state.
    pub state: DeviceState,
    /// Since when.
    pub at: Timestamp,
    /// Why, in words; empty when it came online.
    pub cause: String,
}

/// One scan, or the notice that a device was lost (every cell bad).
#[derive(Debug)]
pub struct Scan<'a> {
    /// Which device.
    pub device: &'a Arc<str>,
    /// Which of its groups.
    pub group: GroupIndex,
    /// What was found: raw values, before scaling.
    pub row: &'a Row,
    /// Scans that were skipped just before this one because the device or the observer was too slow.
    pub missed: u64,
}

/// Who gets the rows. Awaited: a slow observer makes the cycle longer and is counted as overruns; nothing queues up.
#[async_trait]
pub trait ScanObserver: Send + Sync {
    /// One scan.
    async fn scanned(&self, scan: Scan<'_>);
    /// One change of state.
    async fn state_changed(&self, change: StateChange);
}

/// Who is told before and after a machine is written to.
#[async_trait]
pub trait AuditTrail: Send + Sync {
    /// The guard has allowed these; they are written when this returns `Ok`, once it is durable. `Err` refuses them.
    async fn intend(&self, device: &Arc<str>, writes: &[WriteRequest]) -> Result<(), String>;
    /// What became of them. Refused ones come here without an intent.
    async fn settle(&self, device: &Arc<str>, reports: &[WriteReport]);
}

/// What became of a [`WriteRequest`].
#[derive(Debug, Clone, PartialEq)]
pub struct WriteReport {
    /// The request.
    pub request: WriteRequest,
    /// What happened.
    pub verdict: Verdict,
    /// The engineering value in the device before, where it is known.
    pub old: Option<Value>,
    /// When it was settled.
    pub at: Timestamp,
}

/// The end of a write.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Written and confirmed; with `verify`, read back and equal.
    Written {
        /// Whether it was read back.
        verified: bool,
    },
    /// Written and confirmed, but something else was read back.
    Mismatch {
        /// The engineering value that was read back.
        found: Value,
    },
    /// The guard said no: a stable code (`not-allowed`, `out-of-range`, `step`, `too-soon`, `too-old`, `wrong-type`,
    /// `superseded`, `offline`, `busy`, `latched`, `duplicate`, `audit`; see [`crate::guard::code`]) and words.
    Refused {
        /// The code.
        code: &'static str,
        /// The words.
        message: String,
    },
    /// The device said no.
    Failed {
        /// The words.
        message: String,
    },
    /// No answer came, and reading back did not settle it.
    Unknown {
        /// The words.
        message: String,
    },
}
