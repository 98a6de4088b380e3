//! The list of parts: the one place that names a driver. A new one is a line here.

use millstream_driver::Driver;
use std::sync::Arc;

/// Every device protocol of this build.
pub(crate) fn drivers() -> Vec<Arc<dyn Driver>> {
    vec![Arc::new(millstream_modbus::Modbus)]
}
