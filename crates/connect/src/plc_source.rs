//! The PLC source: scans become records.

use millstream_model::AssetPath;
use std::sync::Arc;
use std::time::Duration;

/// How a scan is laid out in records. See DESIGN, "Records".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// One record per scan: a flat JSON object of the group's tags.
    #[default]
    Row,
    /// One record per changed tag, the United Manufacturing Hub payload.
    Tag,
}

/// When a scan becomes a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Every scan.
    Always,
    /// When a tag moved past its deadband or changed its quality; a full row at the latest after `max_interval`.
    OnChange {
        /// See above.
        max_interval: Option<Duration>,
    },
}

/// One scan group as the source sees it. Tags stand in the order of the group's `TagSpec`s.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceGroup {
    /// Device name in the plant folder.
    pub device: Arc<str>,
    /// Group name in the plant folder.
    pub group: Arc<str>,
    /// The key of the records.
    pub asset: AssetPath,
    /// Where records go.
    pub topic: Arc<str>,
    /// How they look.
    pub layout: Layout,
    /// When they are made.
    pub mode: Mode,
    /// Scaling and deadband.
    pub tags: Vec<SourceTag>,
}

/// One tag's way from raw value to record.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceTag {
    /// The name in records.
    pub name: Arc<str>,
    /// Engineering value = raw × scale + offset. 1 and 0 leave the value (and its type) as it is.
    pub scale: f64,
    /// See `scale`.
    pub offset: f64,
    /// In on-change mode: the least change, in engineering units, that counts.
    pub deadband: f64,
    /// For people, such as `m/min`.
    pub unit: Option<Arc<str>>,
}
