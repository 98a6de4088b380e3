//! The PLC source: scans become records.
//!
//! It never drops a sample in silence. Records go to the log in order and all that wait go at once, so that a scan does not
//! wait for the disk; a device with [`PENDING_RECORDS_PER_DEVICE`] records under way waits, which makes its cycle longer. Every
//! scan that is missing, because the device, the source or the log was too slow, is told by the header [`MISSED`] of the next
//! record: how many scans are missing just before it. Nobody counts while nobody runs: the first record of a scan group after
//! a start (of the process, or of the device after a change) has the header [`STARTED`].

mod encode;
mod group;

use crate::ConnectorMetrics;
use crate::limits::{
    PENDING_BYTES, PENDING_RECORDS_PER_DEVICE, PENDING_STATES_PER_DEVICE, SCAN_WAIT, TOPIC_PARTITIONS,
};
use crate::outbox::{Outbox, Ticket};
use async_trait::async_trait;
use bytes::Bytes;
use group::{GroupState, Missed, Told};
use millstream_bus::{Bus, Record, TopicSpec};
use millstream_driver::schedule::{DeviceState, Scan, ScanObserver, StateChange};
use millstream_format::json::ObjectWriter;
use millstream_model::{AssetPath, Clock, TagType};
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// The topic of the devices' states, compacted by device name.
pub const DEVICES_TOPIC: &str = "millstream.devices";
/// The header that says how many scans are missing just before this record, as decimal text.
pub const MISSED: &str = "missed";

/// The header of a scan group's first record after a start: since when its scans are counted, in milliseconds since the epoch
/// as decimal text. Between the record before it and that time nobody scanned.
pub const STARTED: &str = "started";

/// How a scan is laid out in records. See DESIGN, "Records".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// One record per scan: a flat JSON object of the group's tags.
    #[default]
    Row,
    /// One record per changed tag, the United Manufacturing Hub payload.
    Tag,
    /// One record per scan, as the PLC4X connector writes it. The source's name is the device's, the job's the group's.
    Plc4x {
        /// Whether keys carry their schema (`key.converter.schemas.enable`).
        key_schemas: bool,
        /// Whether values carry their schema (`value.converter.schemas.enable`).
        value_schemas: bool,
    },
}

/// When a scan becomes a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Every scan. (The Tag layout has a record for a changed tag only.)
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
    /// What the address yields, where it is known; only PLC4X's schemas need it.
    pub tag_type: Option<TagType>,
    /// Engineering value = raw × scale + offset. 1 and 0 leave the value (and its type) as it is.
    pub scale: f64,
    /// See `scale`.
    pub offset: f64,
    /// In on-change mode: the least change, in engineering units, that counts.
    pub deadband: f64,
    /// For people, such as `m/min`.
    pub unit: Option<Arc<str>>,
}

/// Turns the scans of all devices into records. One for the whole plant.
#[derive(Debug)]
pub struct PlcSource {
    bus: Arc<dyn Bus>,
    devices: RwLock<FxHashMap<Arc<str>, Arc<Device>>>,
    outboxes: Mutex<FxHashMap<Arc<str>, Outbox>>,
    states: Outbox,
    clock: Arc<dyn Clock>,
    /// In KiB, over all devices.
    room: Arc<Semaphore>,
    metrics: Arc<ConnectorMetrics>,
}

#[derive(Debug)]
struct Device {
    asset: Option<AssetPath>,
    groups: Vec<(Mutex<GroupState>, Outbox)>,
    records: Arc<Semaphore>,
    states: Arc<Semaphore>,
}

impl PlcSource {
    /// A source without devices; see [`PlcSource::set_device`]. Topics are created when their first record goes there.
    /// Needs a running tokio runtime.
    pub fn new(bus: Arc<dyn Bus>, clock: Arc<dyn Clock>) -> Arc<Self> {
        let metrics = ConnectorMetrics::new("plc-source");
        metrics.state.set(1);
        let states = TopicSpec::compacted(DEVICES_TOPIC, TOPIC_PARTITIONS);
        Arc::new(Self {
            states: Outbox::open(bus.clone(), states, metrics.clone()),
            bus,
            devices: RwLock::default(),
            outboxes: Mutex::default(),
            clock,
            room: Arc::new(Semaphore::new(PENDING_BYTES / 1024)),
            metrics,
        })
    }

    /// Adds a device, or replaces it: `groups` are its scan groups, in the order of `DeviceConfig::groups`.
    pub fn set_device(&self, device: &Arc<str>, groups: Vec<SourceGroup>) {
        let old = self.devices.read().get(device).cloned();
        let asset = groups.first().map(|group| group.asset.clone());
        let now = self.clock.now();
        let with_outbox = |group: SourceGroup| {
            let outbox = self.outbox(&group.topic);
            let state = GroupState::new(&group, now);
            // What the group before it had not told yet is told by the new one.
            let before = old.iter().flat_map(|old| &old.groups).map(|(state, _)| state.lock());
            for before in before.filter(|before| before.is_same_group(&group)) {
                state.missed().add(before.missed().take());
            }
            (Mutex::new(state), outbox)
        };
        let (records, states) = match &old {
            // Records of the old one may still be under way and count.
            Some(old) => (old.records.clone(), old.states.clone()),
            None => (
                Arc::new(Semaphore::new(PENDING_RECORDS_PER_DEVICE)),
                Arc::new(Semaphore::new(PENDING_STATES_PER_DEVICE)),
            ),
        };
        let groups = groups.into_iter().map(with_outbox).collect();
        self.devices.write().insert(device.clone(), Arc::new(Device { asset, groups, records, states }));
    }

    /// Forgets a device that is no longer in the plant: its state is deleted from [`DEVICES_TOPIC`].
    pub fn remove_device(&self, device: &str) {
        if self.devices.write().remove(device).is_some() {
            let key = Bytes::copy_from_slice(device.as_bytes());
            self.states.push(Record::new(Some(key), None, self.clock.now()), None);
        }
    }

    /// The source's counters.
    pub fn metrics(&self) -> &Arc<ConnectorMetrics> {
        &self.metrics
    }

    /// Why the log does not take records at present, if it does not: one line per topic.
    pub fn troubles(&self) -> Vec<String> {
        let outboxes: Vec<Outbox> = self.outboxes.lock().values().cloned().collect();
        outboxes.iter().chain([&self.states]).filter_map(Outbox::trouble).collect()
    }

    /// Waits until the log has every record that was made before.
    pub async fn flush(&self) {
        let outboxes: Vec<Outbox> = self.outboxes.lock().values().cloned().collect();
        for outbox in outboxes.iter().chain([&self.states]) {
            outbox.flush().await;
        }
    }

    /// Waits, at most [`crate::limits::STOP_WAIT`], for what is left, and ends. Call it after the last scan.
    pub async fn stop(&self) {
        let mut outboxes: Vec<Outbox> = self.outboxes.lock().drain().map(|(_, outbox)| outbox).collect();
        outboxes.push(self.states.clone());
        futures_util::future::join_all(outboxes.iter().map(Outbox::close)).await;
        self.metrics.state.set(0);
    }

    fn outbox(&self, topic: &Arc<str>) -> Outbox {
        let open = || {
            let spec = TopicSpec::new(&**topic, TOPIC_PARTITIONS);
            Outbox::open(self.bus.clone(), spec, self.metrics.clone())
        };
        self.outboxes.lock().entry(topic.clone()).or_insert_with(open).clone()
    }

    /// Room for records, or `None` when there is none in time.
    async fn room(&self, device: &Device, records: usize, bytes: usize) -> Option<Room> {
        let count = u32::try_from(records.min(PENDING_RECORDS_PER_DEVICE)).unwrap_or(1);
        let kib = u32::try_from((bytes / 1024 + 1).min(PENDING_BYTES / 1024)).unwrap_or(u32::MAX);
        let both = async {
            let records = device.records.clone().acquire_many_owned(count).await.ok()?;
            let bytes = self.room.clone().acquire_many_owned(kib).await.ok()?;
            Some(Room { _records: records, _bytes: bytes })
        };
        timeout(SCAN_WAIT, both).await.ok().flatten()
    }
}

/// Held by the records of one scan until the log has the last of them.
struct Room {
    _records: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

/// One record's share of a scan.
struct Share {
    _room: Arc<Room>,
    told: Told,
    missed: Arc<Missed>,
}

impl Ticket for Share {
    fn lost(&self, _: &str) {
        self.missed.lost(self.told, true);
    }
}

struct StateTicket(#[expect(dead_code, reason = "held until the log has the record")] OwnedSemaphorePermit);

impl Ticket for StateTicket {
    fn lost(&self, _: &str) {}
}

#[async_trait]
impl ScanObserver for PlcSource {
    async fn scanned(&self, scan: Scan<'_>) {
        let Some(device) = self.devices.read().get(&**scan.device).cloned() else { return };
        let Some((group, outbox)) = device.groups.get(scan.group.0) else { return };
        let (records, missed) = {
            let mut group = group.lock();
            (group.records(scan.row, scan.missed), group.missed().clone())
        };
        if records.is_empty() {
            return;
        }
        let bytes = records.iter().map(Record::len_bytes).sum();
        let Some(room) = self.room(&device, records.len(), bytes).await else {
            self.metrics.dropped.increment();
            group.lock().dropped(&records);
            return;
        };
        let room = Arc::new(room);
        for record in records {
            let told = Told::by(&record);
            outbox.push(record, Some(Box::new(Share { _room: room.clone(), told, missed: missed.clone() })));
        }
    }

    async fn state_changed(&self, change: StateChange) {
        let device = self.devices.read().get(&change.device).cloned();
        let asset = device.as_ref().and_then(|device| device.asset.as_ref());
        let key = Bytes::copy_from_slice(change.device.as_bytes());
        let record = Record::new(Some(key), Some(state_value(&change, asset).into()), change.at);
        let permit = device.map(|device| device.states.clone().try_acquire_owned());
        match permit {
            None => self.states.push(record, None),
            Some(Ok(permit)) => self.states.push(record, Some(Box::new(StateTicket(permit)))),
            // The log has been away for many changes: the newest stands for those before it.
            Some(Err(_)) => {
                if let Err(record) = self.states.replace(record) {
                    self.states.push(record, None);
                }
            }
        }
    }
}

/// `{"device":"press1","asset":"…","state":"offline","since_ms":1732170000123,"cause":"…"}`
fn state_value(change: &StateChange, asset: Option<&AssetPath>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut object = ObjectWriter::new(&mut out);
    object.text("device", &change.device);
    if let Some(asset) = asset {
        object.text("asset", asset.as_str());
    }
    object.text("state", state_name(change.state));
    object.int("since_ms", change.at.as_millis()).text("cause", &change.cause);
    object.finish();
    out
}

/// The word for a state in records.
pub fn state_name(state: DeviceState) -> &'static str {
    match state {
        DeviceState::Connecting => "connecting",
        DeviceState::Online => "online",
        DeviceState::Offline => "offline",
        DeviceState::Refused => "refused",
    }
}
