//! Tags: names for addresses.

use std::sync::Arc;

/// A tag of a scan group: what it is called and where it is in the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagSpec {
    /// The name in records, unique in its group.
    pub name: Arc<str>,
    /// The address in the driver's grammar.
    pub address: Arc<str>,
}

impl TagSpec {
    /// A tag.
    pub fn new(name: impl Into<Arc<str>>, address: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), address: address.into() }
    }
}

/// Which scan group of a device: its index in the device's list of groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupIndex(pub usize);
