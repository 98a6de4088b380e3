//! The guard: the only place that can allow a write to a machine.
//!
//! [`Session::write`](crate::Session::write) takes a [`Permit`], and only [`Guard::check`] makes one. The command line, the UI,
//! SQL and every server pass through here because there is no other way to call it.

use crate::{Instant, TagSpec};
use millstream_model::{TagType, Timestamp, Value};
use std::sync::Arc;
use std::time::Duration;

/// What may be written to one tag, and how. Everything not listed for a device is refused.
#[derive(Debug, Clone, PartialEq)]
pub struct WriteRule {
    /// Name and address.
    pub tag: TagSpec,
    /// What the address takes.
    pub tag_type: TagType,
    /// Engineering value = raw value × scale + offset; the limits below are in engineering values.
    pub scale: f64,
    /// See `scale`.
    pub offset: f64,
    /// Smallest allowed value.
    pub min: Option<f64>,
    /// Largest allowed value.
    pub max: Option<f64>,
    /// Largest allowed change against the value in the device now.
    pub max_step: Option<f64>,
    /// Least time between two writes.
    pub min_interval: Option<Duration>,
    /// Largest age of a command when it is written.
    pub max_age: Duration,
    /// Whether the value is read back after the write.
    pub verify: bool,
}

/// Somebody's wish to write one value.
#[derive(Debug, Clone, PartialEq)]
pub struct WriteRequest {
    /// Unique among commands: a topic, partition and offset, or made up by the command line.
    pub id: Arc<str>,
    /// Who asks, for the audit trail.
    pub origin: Origin,
    /// Which tag.
    pub tag: Arc<str>,
    /// The engineering value.
    pub value: Value,
    /// When it was asked for (the record's time).
    pub asked_at: Timestamp,
    /// Never to be written after this.
    pub expires_at: Option<Timestamp>,
}

/// Who asks for a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A record of a topic.
    Record {
        /// The topic.
        topic: Arc<str>,
        /// The partition.
        partition: i32,
        /// The offset.
        offset: i64,
    },
    /// `millstream write`, with the name of the system's user.
    CommandLine {
        /// The user.
        user: String,
    },
}

/// Proof that these values may be written to this device now. Using it consumes it.
#[derive(Debug)]
pub struct Permit {
    writes: Vec<AllowedWrite>,
}

/// One write of a [`Permit`].
#[derive(Debug, Clone, PartialEq)]
pub struct AllowedWrite {
    /// Name and address.
    pub tag: TagSpec,
    /// The raw value, of the address' type.
    pub value: Value,
    /// Whether to read it back.
    pub verify: bool,
    /// Never to be sent after this.
    pub good_until: Instant,
}

impl AllowedWrite {
    /// Whether it may still be sent. Sessions ask immediately before they send it.
    pub fn is_good(&self, now: Instant) -> bool {
        now <= self.good_until
    }
}

impl Permit {
    /// What is allowed.
    pub fn writes(&self) -> &[AllowedWrite] {
        &self.writes
    }
}
