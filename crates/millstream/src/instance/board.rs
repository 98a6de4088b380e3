//! The devices of a running plant with their newest values, for whoever wants to look.

use async_trait::async_trait;
use millstream_connect::plc_source::{PlcSource, SourceGroup, SourceTag};
use millstream_driver::schedule::{Scan, ScanObserver, StateChange};
use millstream_model::{AssetPath, Cell, Row, Value};
use millstream_plant::{Device, Plant};
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::time::Duration;

/// Every device under its name, in the plant's order.
#[derive(Debug, Default)]
pub(crate) struct Board {
    devices: RwLock<FxHashMap<Arc<str>, Arc<Entry>>>,
    order: RwLock<Vec<Arc<str>>>,
}

/// One device with what was read last.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its name in the plant folder.
    pub(crate) name: Arc<str>,
    /// The connection string without secrets.
    pub(crate) connection: String,
    /// The asset path.
    pub(crate) asset: AssetPath,
    /// Its scan groups.
    pub(crate) groups: Vec<Group>,
}

/// One scan group with what was read last.
#[derive(Debug)]
pub(crate) struct Group {
    /// As the source has it.
    pub(crate) source: SourceGroup,
    /// Time from scan to scan.
    pub(crate) interval: Duration,
    newest: Mutex<Option<Row>>,
}

impl Board {
    /// Adds a device, or replaces the one of that name, values and all.
    pub(crate) fn set(&self, device: &Device) {
        let groups = device.groups.iter().zip(&device.config.groups).map(|(source, config)| Group {
            source: source.clone(),
            interval: config.interval,
            newest: Mutex::default(),
        });
        let entry = Entry {
            name: device.config.name.clone(),
            connection: device.config.target.connection.to_string(),
            asset: device.asset.clone(),
            groups: groups.collect(),
        };
        self.devices.write().insert(entry.name.clone(), Arc::new(entry));
    }

    /// Forgets a device.
    pub(crate) fn remove(&self, name: &str) {
        self.devices.write().remove(name);
    }

    /// Sets the order in which devices are shown.
    pub(crate) fn set_order(&self, plant: &Plant) {
        *self.order.write() = plant.devices.iter().map(|device| device.config.name.clone()).collect();
    }

    /// Every device, in the plant's order.
    pub(crate) fn entries(&self) -> Vec<Arc<Entry>> {
        let devices = self.devices.read();
        self.order.read().iter().filter_map(|name| devices.get(name).cloned()).collect()
    }

    fn remember(&self, scan: &Scan<'_>) {
        let entry = self.devices.read().get(&**scan.device).cloned();
        let Some(group) = entry.as_ref().and_then(|entry| entry.groups.get(scan.group.0)) else { return };
        match &mut *group.newest.lock() {
            Some(row) => {
                row.read_at = scan.row.read_at;
                // Keeps the allocation.
                row.cells.clone_from(&scan.row.cells);
            }
            empty => *empty = Some(scan.row.clone()),
        }
    }
}

impl Group {
    /// The newest row: raw values.
    pub(crate) fn newest(&self) -> Option<Row> {
        self.newest.lock().clone()
    }
}

/// A cell's value in engineering units.
pub(crate) fn engineering(tag: &SourceTag, cell: &Cell) -> Option<Value> {
    let raw = cell.value()?;
    #[expect(clippy::float_cmp, reason = "1 and 0 as they are written mean: leave the value as it is")]
    let plain = tag.scale == 1.0 && tag.offset == 0.0;
    match raw.as_f64() {
        Some(number) if !plain => Some(Value::LReal(number * tag.scale + tag.offset)),
        _ => Some(raw.clone()),
    }
}

/// Gives every scan to the board and to the PLC source.
#[derive(Debug)]
pub(crate) struct Observer {
    pub(crate) board: Arc<Board>,
    pub(crate) source: Arc<PlcSource>,
}

#[async_trait]
impl ScanObserver for Observer {
    async fn scanned(&self, scan: Scan<'_>) {
        self.board.remember(&scan);
        self.source.scanned(scan).await;
    }

    async fn state_changed(&self, change: StateChange) {
        let device = &change.device;
        match change.cause.as_str() {
            "" => tracing::info!("device {device} is {}", state(&change)),
            cause => tracing::warn!("device {device} is {}: {cause}", state(&change)),
        }
        self.source.state_changed(change).await;
    }
}

fn state(change: &StateChange) -> &'static str {
    millstream_connect::plc_source::state_name(change.state)
}
