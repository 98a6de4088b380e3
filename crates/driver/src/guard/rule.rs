//! What may be written, and somebody's wish to write.

use crate::{TagSpec, limits};
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

impl WriteRule {
    /// A rule without limits but the type's and the default age.
    pub fn new(tag: TagSpec, tag_type: TagType) -> Self {
        Self {
            tag,
            tag_type,
            scale: 1.0,
            offset: 0.0,
            min: None,
            max: None,
            max_step: None,
            min_interval: None,
            max_age: limits::MAX_AGE,
            verify: false,
        }
    }

    /// Whether raw and engineering values differ.
    #[expect(clippy::float_cmp, reason = "1 and 0 as they are written mean: leave the value as it is")]
    pub fn is_scaled(&self) -> bool {
        self.scale != 1.0 || self.offset != 0.0
    }
}

/// Somebody's wish to write one value.
#[derive(Debug, Clone, PartialEq)]
pub struct WriteRequest {
    /// Unique among commands: a topic, partition and offset, or made up by the command line. One command may ask for
    /// several tags.
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
