//! The rooms wired up inside the test's process: the real scheduler, driver, source, audit trail and sinks over any bus.

use crate::oracle::{Sample, WriteStep};
use crate::rogue::Rogue;
use bytes::Bytes;
use millstream_bus::{
    Acks, Bus, FetchLimit, Isolation, Position, ReceivedRecord, Record, StartOffset, TopicPartition,
};
use millstream_connect::ConnectorMetrics;
use millstream_connect::audit::{AUDIT_TOPIC, AuditLog, REFUSED_TOPIC};
use millstream_connect::plc_sink::{PlcSink, SinkDevice};
use millstream_connect::plc_source::{
    DEVICES_TOPIC, Layout, MISSED, Mode, PlcSource, SourceGroup, SourceTag,
};
use millstream_connect::task::{TaskHandle, supervise};
use millstream_driver::guard::{Origin, WriteRequest, WriteRule};
use millstream_driver::schedule::{
    DeviceConfig, DeviceHandle, DeviceState, GovernorConfig, GroupConfig, Scheduler, WriteReport,
};
use millstream_driver::{ConnectionString, Driver as _, TagSpec};
use millstream_model::{Clock, Timestamp, Value};
use serde_json::Value as Json;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Where every group's rows go.
pub const ROWS: &str = "machine.telemetry";

/// How long a condition may take to become true before the test fails.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until there is an answer, and fails the test with `what` when `within` has passed (O6).
#[track_caller]
pub fn until<T>(what: &str, within: Duration, ask: impl AsyncFn() -> Option<T>) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    let what = what.to_owned();
    async move {
        let start = Instant::now();
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            assert!(start.elapsed() < within, "O6: {what} did not happen within {within:?} ({caller})");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// How many rounds a test runs: `usual`, or one of `share` of `MILLSTREAM_TORTURE_ROUNDS` where that is more.
pub fn rounds(usual: usize, share: usize) -> usize {
    let asked = std::env::var("MILLSTREAM_TORTURE_ROUNDS").ok().and_then(|text| text.parse::<usize>().ok());
    asked.map_or(usual, |all| usual.max(all / share))
}

/// A wall clock that a test sets forward and back.
#[derive(Debug)]
pub struct TestClock {
    start: Instant,
    shown_at_start_ms: AtomicI64,
}

impl TestClock {
    /// Starts in November 2023.
    pub fn start() -> Arc<Self> {
        Arc::new(Self { start: Instant::now(), shown_at_start_ms: AtomicI64::new(1_700_000_000_000) })
    }

    /// Somebody sets the clock.
    pub fn jump_ms(&self, by: i64) {
        self.shown_at_start_ms.fetch_add(by, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.shown_at_start_ms.load(Ordering::Relaxed)).plus(self.start.elapsed())
    }
}

/// Every committed record that a topic holds now, partition by partition.
pub async fn records(bus: &dyn Bus, topic: &str) -> Vec<ReceivedRecord> {
    let Ok(description) = bus.describe_topic(topic).await else { return Vec::new() };
    let mut all = Vec::new();
    for partition in 0..description.partitions {
        let at = TopicPartition::new(topic, partition);
        let end = bus.offsets(&at).await.expect("a partition of a topic that exists").stable;
        let from = vec![Position::new(at, StartOffset::Earliest)];
        let mut reader = bus.reader(from, Isolation::ReadCommitted).await.expect("a reader");
        while reader.positions()[0].1 < end {
            let limit = FetchLimit { wait_max: Duration::ZERO, ..FetchLimit::default() };
            let fetched = reader.poll(limit).await.expect("the topic can be read");
            all.extend(fetched.into_iter().flat_map(|fetched| fetched.records));
        }
    }
    all
}

/// The values of a topic as JSON.
pub async fn values(bus: &dyn Bus, topic: &str) -> Vec<Json> {
    let json = |received: ReceivedRecord| {
        serde_json::from_slice(received.record.value.as_deref().unwrap_or(b"null")).expect("JSON")
    };
    records(bus, topic).await.into_iter().map(json).collect()
}

/// One row of a device.
#[derive(Debug, Clone)]
pub struct RowRecord {
    /// When the values were read.
    pub at: Timestamp,
    /// The row.
    pub json: Json,
    /// How many scans are missing just before it.
    pub missed: u64,
}

impl RowRecord {
    /// Whether it has no value at all.
    pub fn is_outage(&self) -> bool {
        let row = self.json.as_object().expect("a row is an object");
        row.iter().all(|(name, cell)| name == "_bad" || cell.is_null())
    }

    /// A whole number.
    pub fn number(&self, tag: &str) -> Option<u64> {
        self.json[tag].as_u64()
    }

    /// A tag's bad status.
    pub fn bad(&self, tag: &str) -> Option<&str> {
        self.json["_bad"][tag].as_str()
    }
}

/// One device of the plant.
#[derive(Debug, Clone)]
pub struct Device {
    /// Its name, and the last part of its asset path.
    pub name: &'static str,
    /// Where it is.
    pub address: SocketAddr,
    /// Of its connection string, without `?`.
    pub options: String,
    /// Time between scans.
    pub interval: Duration,
    /// Name and address.
    pub tags: Vec<(String, String)>,
    /// What may be written.
    pub rules: Vec<WriteRule>,
}

impl Device {
    /// A device that is scanned every 50 ms with a time-out of 200 ms.
    pub fn new(name: &'static str, address: SocketAddr) -> Self {
        Self {
            name,
            address,
            options: "request-timeout=200".to_owned(),
            interval: Duration::from_millis(50),
            tags: Vec::new(),
            rules: Vec::new(),
        }
    }

    /// Other connection options.
    #[must_use]
    pub fn options(mut self, options: &str) -> Self {
        options.clone_into(&mut self.options);
        self
    }

    /// Another interval.
    #[must_use]
    pub fn every(mut self, interval_ms: u64) -> Self {
        self.interval = Duration::from_millis(interval_ms);
        self
    }

    /// Reads holding register `register` (from 0) as an unsigned number.
    #[must_use]
    pub fn register(self, tag: &str, register: u16) -> Self {
        self.tag(tag, &register_address(register))
    }

    /// Reads an address.
    #[must_use]
    pub fn tag(mut self, tag: &str, address: &str) -> Self {
        self.tags.push((tag.to_owned(), address.to_owned()));
        self
    }

    /// Lets holding register `register` (from 0) be written.
    #[must_use]
    pub fn writes(mut self, tag: &str, register: u16, change: impl FnOnce(&mut WriteRule)) -> Self {
        let address = register_address(register);
        let tag_type = millstream_modbus::driver().tag_type(&address).expect("a right address");
        let mut rule = WriteRule::new(TagSpec::new(tag, address.as_str()), tag_type);
        change(&mut rule);
        self.rules.push(rule);
        self
    }

    /// Where commands for it go.
    pub fn setpoints(&self) -> String {
        format!("{}.setpoints", self.name)
    }

    fn asset(&self) -> String {
        format!("acme/{}", self.name)
    }

    fn config(&self) -> DeviceConfig {
        let text = format!("modbus-tcp://{}?{}", self.address, self.options);
        let connection = ConnectionString::parse(&text).expect("a right connection string");
        let tag = |(name, address): &(String, String)| TagSpec::new(name.as_str(), address.as_str());
        let tags = self.tags.iter().map(tag).collect();
        DeviceConfig {
            name: self.name.into(),
            target: millstream_modbus::options::target(connection).expect("right options"),
            driver: Arc::new(millstream_modbus::driver()),
            groups: vec![GroupConfig { name: "fast".into(), interval: self.interval, tags }],
            writes: self.rules.clone(),
            governor: GovernorConfig::default(),
        }
    }

    fn group(&self) -> SourceGroup {
        let tag = |(name, _): &(String, String)| SourceTag {
            name: name.as_str().into(),
            tag_type: None,
            scale: 1.0,
            offset: 0.0,
            deadband: 0.0,
            unit: None,
        };
        SourceGroup {
            device: self.name.into(),
            group: "fast".into(),
            asset: self.asset().parse().expect("a right path"),
            topic: ROWS.into(),
            layout: Layout::Row,
            mode: Mode::Always,
            tags: self.tags.iter().map(tag).collect(),
        }
    }

    fn sink(&self) -> SinkDevice {
        SinkDevice {
            device: self.name.into(),
            asset: self.asset().parse().expect("a right path"),
            topic: self.setpoints().into(),
            tags: self.rules.iter().map(|rule| rule.tag.name.clone()).collect(),
        }
    }
}

fn register_address(register: u16) -> String {
    format!("holding-register:{}:UINT", u32::from(register) + 1)
}

/// One running process: scheduler, source, audit trail, one sink per device that takes writes.
pub struct Rooms {
    /// What all of it reads and writes.
    pub bus: Arc<dyn Bus>,
    /// Its wall clock.
    pub clock: Arc<TestClock>,
    /// Its audit trail.
    pub audit: Arc<AuditLog>,
    /// Its source.
    pub source: Arc<PlcSource>,
    /// How many writes of an earlier life the audit trail settled at the start.
    pub recovered: usize,
    scheduler: Scheduler,
    sinks: Vec<TaskHandle>,
    commands: AtomicU64,
}

impl fmt::Debug for Rooms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rooms").field("bus", &self.bus).finish_non_exhaustive()
    }
}

impl Rooms {
    /// Starts, as a process does: recovers the audit trail first.
    pub async fn start(bus: Arc<dyn Bus>, clock: Arc<TestClock>, devices: &[Device]) -> Self {
        let audit = AuditLog::new(bus.clone(), clock.clone());
        let recovered = audit.recover().await.expect("the audit trail can be read");
        let source = PlcSource::new(bus.clone(), clock.clone());
        for device in devices {
            source.set_device(&device.name.into(), vec![device.group()]);
        }
        let configs = devices.iter().map(Device::config).collect();
        let scheduler = Scheduler::start_seeded(configs, source.clone(), audit.clone(), clock.clone(), 7);
        let mut sinks = Vec::new();
        for device in devices.iter().filter(|device| !device.rules.is_empty()) {
            let (bus, clock, audit) = (bus.clone(), clock.clone(), audit.clone());
            let target = Arc::new(scheduler.device(device.name).expect("it was started"));
            let (sink, rules) = (device.sink(), device.rules.clone());
            sinks.push(supervise(ConnectorMetrics::new(format!("sink-{}", device.name)), move || {
                let (bus, clock, audit) = (bus.clone(), clock.clone(), audit.clone());
                let all = std::slice::from_ref(&sink);
                PlcSink::new(bus, clock, audit, target.clone(), sink.clone(), all, rules.clone())
            }));
        }
        for device in devices.iter().filter(|device| !device.rules.is_empty()) {
            until("the sink's topic", PATIENCE, async || bus.describe_topic(&device.setpoints()).await.ok())
                .await;
        }
        Self { bus, clock, audit, source, recovered, scheduler, sinks, commands: AtomicU64::new(0) }
    }

    /// A running device.
    pub fn device(&self, name: &str) -> DeviceHandle {
        self.scheduler.device(name).expect("a device of that name")
    }

    /// Waits for a state.
    pub async fn reaches(&self, name: &str, state: DeviceState) {
        let mut watched = self.device(name).state;
        let reached = tokio::time::timeout(PATIENCE, watched.wait_for(|now| now.state == state)).await;
        let is_there = reached.is_ok_and(|state| state.is_ok());
        assert!(is_there, "O6: `{name}` is {:?}, not {state:?}", self.device(name).state.borrow());
    }

    /// The rows of a device so far.
    pub async fn rows(&self, name: &str) -> Vec<RowRecord> {
        rows(&*self.bus, name).await
    }

    /// The first row after `skip` rows that `wanted` likes.
    pub async fn row(
        &self,
        name: &str,
        what: &str,
        skip: usize,
        wanted: impl Fn(&RowRecord) -> bool,
    ) -> RowRecord {
        until(what, PATIENCE, async || self.rows(name).await.into_iter().skip(skip).find(|row| wanted(row)))
            .await
    }

    /// Waits for `count` more rows; how many there are then.
    pub async fn more_rows(&self, name: &str, count: usize) -> usize {
        let have = self.rows(name).await.len();
        until("more rows", PATIENCE, async || {
            let now = self.rows(name).await.len();
            (now >= have + count).then_some(now)
        })
        .await
    }

    /// The states of a device so far, as they stand in the topic.
    pub async fn states(&self, name: &str) -> Vec<Json> {
        let mut states = values(&*self.bus, DEVICES_TOPIC).await;
        states.retain(|state| state["device"] == name);
        states
    }

    /// Asks for writes as a record of now; its offset.
    pub async fn ask(&self, device: &str, value: &str) -> i64 {
        self.ask_at(device, value, self.clock.now()).await
    }

    /// Asks for writes as a record of `at`; its offset.
    pub async fn ask_at(&self, device: &str, value: &str, at: Timestamp) -> i64 {
        let record = Record::new(None, Some(Bytes::copy_from_slice(value.as_bytes())), at);
        let topic = TopicPartition::new(format!("{device}.setpoints").as_str(), 0);
        self.bus.append(&topic, vec![record], Acks::All).await.expect("appended")
    }

    /// Asks the scheduler itself for a write, past the sink.
    pub async fn write(&self, device: &str, tag: &str, value: u64) -> WriteReport {
        let number = self.commands.fetch_add(1, Ordering::Relaxed);
        let request = WriteRequest {
            id: format!("command-{number}").into(),
            origin: Origin::CommandLine { user: "operator".to_owned() },
            tag: tag.into(),
            value: Value::UInt(value),
            asked_at: self.clock.now(),
            expires_at: None,
        };
        self.device(device).write(vec![request]).await.remove(0)
    }

    /// Waits until the sink has committed everything that was asked for.
    pub async fn settled(&self, device: &str) {
        let topic = format!("{device}.setpoints");
        let at = TopicPartition::new(topic.as_str(), 0);
        let group = format!("millstream-sink-{device}-{topic}");
        until("everything that was asked for is settled", PATIENCE, async || {
            let committed = self.bus.committed(&group, std::slice::from_ref(&at)).await.ok()?;
            let latest = self.bus.offsets(&at).await.ok()?.latest;
            (committed[0].as_ref()?.offset == latest).then_some(())
        })
        .await;
        self.audit.flush().await;
    }

    /// The audit trail's records of one phase, `intent` or `result`.
    pub async fn audited(&self, phase: &str) -> Vec<Json> {
        let mut all = values(&*self.bus, AUDIT_TOPIC).await;
        all.retain(|value| value["phase"] == phase);
        all
    }

    /// The refusals: offset of the asking record and reason.
    pub async fn refused(&self) -> Vec<(Option<i64>, String)> {
        let refusal = |json: Json| {
            (json["asked_by"]["offset"].as_i64(), json["reason"].as_str().unwrap_or_default().to_owned())
        };
        values(&*self.bus, REFUSED_TOPIC).await.into_iter().map(refusal).collect()
    }

    /// Ends everything in good order.
    pub async fn stop(self) {
        for sink in self.sinks {
            sink.stop().await;
        }
        self.scheduler.stop().await;
        self.source.stop().await;
        self.audit.stop().await;
    }
}

/// The rows of a device on a bus.
pub async fn rows(bus: &dyn Bus, name: &str) -> Vec<RowRecord> {
    let key = format!("acme/{name}");
    let of_device = |received: &ReceivedRecord| received.record.key.as_deref() == Some(key.as_bytes());
    let row = |received: ReceivedRecord| {
        let missed = received.record.find_header(MISSED);
        RowRecord {
            at: received.record.timestamp,
            missed: missed
                .map_or(0, |text| std::str::from_utf8(text).expect("text").parse().expect("a number")),
            json: serde_json::from_slice(received.record.value.as_deref().expect("a row")).expect("JSON"),
        }
    };
    records(bus, ROWS).await.into_iter().filter(of_device).map(row).collect()
}

/// Rows of a counter tag, for O2.
pub fn samples(rows: &[RowRecord], tag: &str) -> Vec<Sample> {
    let mut samples = Vec::new();
    for row in rows {
        if row.missed > 0 {
            samples.push(Sample::Gap);
        }
        samples.push(row.number(tag).map_or(Sample::Gap, Sample::Value));
    }
    samples
}

/// What a machine and the audit trail say about writes, in the order in which it happened. Values must be unique: each
/// stands for its command.
#[derive(Debug, Clone, Default)]
pub struct Witnessed(Arc<Mutex<Vec<WriteStep>>>);

impl Witnessed {
    /// From now on every write that `machine` is about to carry out is compared with what the trail holds at that moment.
    pub fn watch(machine: &Rogue, bus: &Arc<dyn Bus>) -> Self {
        let witnessed = Self::default();
        let (steps, bus) = (witnessed.0.clone(), bus.clone());
        machine.witness(Arc::new(move |_, value| {
            let (steps, bus) = (steps.clone(), bus.clone());
            Box::pin(async move {
                let mut intents = values(&*bus, AUDIT_TOPIC).await;
                intents.retain(|intent| intent["phase"] == "intent");
                let mut steps = steps.lock().expect("not poisoned");
                for intent in intents {
                    let step = WriteStep::Intent(intent["value"].to_string());
                    if !steps.contains(&step) {
                        steps.push(step);
                    }
                }
                steps.push(WriteStep::Reached(value.to_string()));
            })
        }));
        witnessed
    }

    /// The steps so far.
    pub fn steps(&self) -> Vec<WriteStep> {
        self.0.lock().expect("not poisoned").clone()
    }
}

/// Sockets that have `port` at one end and are held by a process: what a leak would leave.
pub fn sockets_at(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/self/net/tcp").expect("a table of sockets");
    let end = format!(":{port:04X}");
    let is_held = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let at_port = fields.get(1..3).is_some_and(|ends| ends.iter().any(|address| address.ends_with(&end)));
        // Sockets that only wait for their time to pass (TIME_WAIT) have no inode.
        at_port && fields.get(9).is_some_and(|inode| *inode != "0")
    };
    table.lines().skip(1).filter(is_held).count()
}
