//! The guarded PLC sink: records become write requests.

use millstream_model::AssetPath;
use std::sync::Arc;

/// Which topic may ask one device for writes. What is allowed is the guard's matter (`driver::guard::WriteRule`).
#[derive(Debug, Clone, PartialEq)]
pub struct SinkDevice {
    /// Device name in the plant folder.
    pub device: Arc<str>,
    /// The device's asset path.
    pub asset: AssetPath,
    /// Where commands come from: Row layout (`{"tag":value,…}`) or Tag layout (key ends in `/tag`).
    pub topic: Arc<str>,
    /// The tags that may be written.
    pub tags: Vec<Arc<str>>,
}
