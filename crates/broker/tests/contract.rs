//! The contract suite over the embedded log, on a real file system and on the simulated disk.

mod support;

use millstream_broker::{Embedded, EmbeddedConfig};
use millstream_log::{OsDisk, SimDisk};
use std::path::Path;
use std::sync::Arc;

millstream_bus::bus_contract!(on_files, async {
    let log = support::open_log(Arc::new(OsDisk), &support::fresh_dir("contract"));
    Embedded::open(log, EmbeddedConfig::default(), support::clock()).await.unwrap()
});

millstream_bus::bus_contract!(on_a_simulated_disk, async {
    let log = support::open_log(Arc::new(SimDisk::new(1)), Path::new("/data"));
    Embedded::open(log, EmbeddedConfig::default(), support::clock()).await.unwrap()
});
