//! A scripted device for tests of the scheduler: a table of values, and whatever the test wants to go wrong.

#![allow(dead_code, unreachable_pub, reason = "every test program uses its own part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use async_trait::async_trait;
use millstream_driver::guard::{Permit, WriteRequest, WriteRule};
use millstream_driver::schedule::{
    AuditTrail, DeviceConfig, DeviceState, GovernorConfig, GroupConfig, Scan, ScanObserver, StateChange,
    WriteReport,
};
use millstream_driver::simulate::{SimulatorHandle, SimulatorSpec};
use millstream_driver::{
    About, ConnectionString, Driver, GroupIndex, Limits, PlanSummary, Session, SessionContext, SessionError,
    TagProblem, TagSpec, Target, WriteOutcome, WriteResult,
};
use millstream_model::{Cell, Clock, DataType, Diagnostic, Row, Status, TagType, Timestamp, Value};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// Monotonic test time as a wall clock that can be made to jump.
#[derive(Debug)]
pub struct TestClock {
    start: Instant,
    jump_ms: AtomicI64,
}

impl TestClock {
    pub const EPOCH: i64 = 1_700_000_000_000;

    pub fn new() -> Arc<Self> {
        Arc::new(Self { start: Instant::now(), jump_ms: AtomicI64::new(0) })
    }

    pub fn jump(&self, ms: i64) {
        self.jump_ms.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.start.elapsed().as_millis()).unwrap();
        Timestamp(Self::EPOCH + elapsed + self.jump_ms.load(Ordering::Relaxed))
    }
}

/// What happens at one attempt to connect.
#[derive(Debug, Clone, Copy)]
pub enum Connect {
    Ok,
    Lost,
    Refused,
    Hang,
    Panic,
}

/// What happens to one write.
#[derive(Debug, Clone)]
pub enum Write {
    Done,
    /// Another value is stored than was asked for.
    Spoil(Value),
    Refuse,
    NotSent,
    /// Stored, then the session dies without an answer.
    StoreAndDie,
    /// Not stored, and the session dies without an answer.
    Die,
    Hang,
}

/// The script of one device. What is not scripted works.
#[derive(Default)]
#[allow(clippy::struct_excessive_bools, reason = "every switch of a script is one of its own")]
pub struct Script {
    /// For the next attempts; then `connect_always`.
    pub connects: VecDeque<Connect>,
    pub connect_always: Option<Connect>,
    /// What reads do next; then they work.
    pub reads: VecDeque<SessionError>,
    /// Scans (of the groups that are scanned, not reads around writes) that panic next.
    pub read_panics: u32,
    pub read_time: Duration,
    /// What a request of a scan is said to have taken.
    pub round_trip: Option<Duration>,
    pub hang_reads: bool,
    /// Requests are sent, and nobody answers them.
    pub mute: bool,
    pub writes: VecDeque<Write>,
    pub values: BTreeMap<String, Value>,
    /// Addresses that `prepare` refuses.
    pub bad_addresses: Vec<String>,
    /// What was done, in order: `connect`, `read 0`, `write t=1`.
    pub done: Vec<String>,
    pub keep_done: bool,
    pub open_sessions: i64,
    pub sessions_max: i64,
    pub connects_seen: u64,
    pub reading: bool,
}

/// A device whose script a test holds. Clones are the same device.
#[derive(Clone, Default)]
pub struct Fake {
    pub script: Arc<Mutex<Script>>,
    pub cut: Arc<Notify>,
}

impl Fake {
    pub fn with(values: &[(&str, Value)]) -> Self {
        let fake = Self::default();
        fake.script.lock().values =
            values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        fake
    }

    pub fn value(&self, tag: &str) -> Option<Value> {
        self.script.lock().values.get(tag).cloned()
    }

    pub fn done(&self) -> Vec<String> {
        self.script.lock().done.clone()
    }
}

static ABOUT: About = About {
    protocols: &["fake"],
    title: "Fake",
    specification: "none",
    default_port: 1,
    options: &[],
    example_address: "t",
};

pub fn lost(cause: &str) -> SessionError {
    SessionError::Lost { cause: cause.to_owned(), status: Status::BadConnectionClosed }
}

#[async_trait]
impl Driver for Fake {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn tag_type(&self, _address: &str) -> Result<TagType, Diagnostic> {
        Ok(TagType::scalar(DataType::Real))
    }

    fn plan(&self, _target: &Target, _tags: &[TagSpec]) -> Result<PlanSummary, Vec<TagProblem>> {
        Ok(PlanSummary::default())
    }

    async fn connect(
        &self,
        _target: &Target,
        context: SessionContext,
    ) -> Result<Box<dyn Session>, SessionError> {
        let step = {
            let mut script = self.script.lock();
            script.connects_seen += 1;
            if script.keep_done {
                script.done.push("connect".to_owned());
            }
            let next = script.connects.pop_front();
            next.or_else(|| script.connect_always).unwrap_or(Connect::Ok)
        };
        match step {
            Connect::Ok => {}
            Connect::Lost => return Err(lost("nobody home")),
            Connect::Refused => {
                return Err(SessionError::Refused {
                    cause: "wrong slot".to_owned(),
                    help: "set remote-slot".to_owned(),
                });
            }
            Connect::Hang => std::future::pending().await,
            Connect::Panic => panic!("connect panics on demand"),
        }
        let mut script = self.script.lock();
        script.open_sessions += 1;
        script.sessions_max = script.sessions_max.max(script.open_sessions);
        drop(script);
        Ok(Box::new(FakeSession { fake: self.clone(), context, groups: BTreeMap::new() }))
    }

    async fn simulate(&self, _spec: SimulatorSpec) -> Result<SimulatorHandle, SessionError> {
        Err(lost("there is no simulator of a fake"))
    }
}

struct FakeSession {
    fake: Fake,
    context: SessionContext,
    groups: BTreeMap<GroupIndex, Vec<TagSpec>>,
}

impl Drop for FakeSession {
    fn drop(&mut self) {
        self.fake.script.lock().open_sessions -= 1;
    }
}

#[async_trait]
impl Session for FakeSession {
    fn limits(&self) -> Limits {
        Limits { request_bytes_max: 260, response_bytes_max: 260, in_flight_max: 1 }
    }

    fn prepare(&mut self, group: GroupIndex, tags: &[TagSpec]) -> Result<PlanSummary, Vec<TagProblem>> {
        let bad = self.fake.script.lock().bad_addresses.clone();
        let problems: Vec<TagProblem> = tags
            .iter()
            .enumerate()
            .filter(|(_, tag)| bad.iter().any(|bad| **bad == *tag.address))
            .map(|(index, _)| TagProblem { tag: Some(index), diagnostic: Diagnostic::error("x", "no such") })
            .collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        self.groups.insert(group, tags.to_vec());
        Ok(PlanSummary::default())
    }

    async fn read(&mut self, group: GroupIndex, row: &mut Row) -> Result<(), SessionError> {
        let (time, hang) = {
            let mut script = self.fake.script.lock();
            assert!(!script.reading, "two reads of one device at once");
            if script.keep_done {
                script.done.push(format!("read {}", group.0));
            }
            if let Some(error) = script.reads.pop_front() {
                return Err(error);
            }
            if script.read_panics > 0 {
                script.read_panics -= 1;
                drop(script);
                panic!("read panics on demand");
            }
            script.reading = true;
            (script.read_time, script.hang_reads)
        };
        let _reading = Reading(&self.fake);
        if hang {
            std::future::pending::<()>().await;
        }
        if !time.is_zero() {
            sleep(time).await;
        }
        let script = self.fake.script.lock();
        if let Some(time) = script.round_trip {
            self.context.counters.round_trip.observe(time);
        }
        let tags = &self.groups[&group];
        row.reset(tags.len(), Status::BadNodeIdUnknown);
        row.read_at = self.context.clock.now();
        if script.mute {
            self.context.counters.requests.increment();
            return Ok(());
        }
        for (cell, tag) in row.cells.iter_mut().zip(tags) {
            if let Some(value) = script.values.get(&*tag.address) {
                *cell = Cell::Good(value.clone());
            }
        }
        Ok(())
    }

    async fn write(&mut self, permit: Permit, outcomes: &mut Vec<WriteOutcome>) -> Result<(), SessionError> {
        for write in permit.writes() {
            let step = self.fake.script.lock().writes.pop_front().unwrap_or(Write::Done);
            let tag = write.tag.name.clone();
            if !write.is_good(Instant::now()) {
                outcomes.push(WriteOutcome { tag, result: WriteResult::Expired, read_back: None });
                continue;
            }
            let store = |value: &Value| {
                let mut script = self.fake.script.lock();
                if script.keep_done {
                    script.done.push(format!("write {tag}={value}"));
                }
                script.values.insert(write.tag.address.to_string(), value.clone());
            };
            let result = match step {
                Write::Done => {
                    store(&write.value);
                    WriteResult::Done
                }
                Write::Spoil(other) => {
                    store(&other);
                    WriteResult::Done
                }
                Write::NotSent => WriteResult::NotSent("the one before it was not answered".to_owned()),
                Write::Refuse => WriteResult::Refused(Status::BadNotWritable, "exception 2".to_owned()),
                Write::StoreAndDie => {
                    store(&write.value);
                    return Err(lost("cut after the write"));
                }
                Write::Die => return Err(lost("cut before the write")),
                Write::Hang => std::future::pending().await,
            };
            let stored = self.fake.value(&write.tag.address);
            let read_back = stored.filter(|_| write.verify && result == WriteResult::Done);
            outcomes.push(WriteOutcome { tag: tag.clone(), result, read_back });
        }
        Ok(())
    }

    async fn ended(&mut self) -> SessionError {
        self.fake.cut.notified().await;
        lost("the cable was pulled")
    }
}

struct Reading<'a>(&'a Fake);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.script.lock().reading = false;
    }
}

/// One row as the observer got it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub at: Instant,
    pub device: String,
    pub group: usize,
    pub row: Row,
    pub missed: u64,
}

/// Keeps everything that it is told.
#[derive(Default)]
pub struct Observer {
    pub rows: Mutex<Vec<Seen>>,
    pub changes: Mutex<Vec<StateChange>>,
    pub audit: Mutex<Vec<String>>,
    pub intents: Mutex<Vec<WriteRequest>>,
    pub reports: Mutex<Vec<WriteReport>>,
    pub refuse_intents: Mutex<Option<String>>,
    pub intent_time: Mutex<Duration>,
    pub told: Notify,
}

impl Observer {
    pub fn rows_of(&self, device: &str) -> Vec<Seen> {
        self.rows.lock().iter().filter(|seen| seen.device == device).cloned().collect()
    }

    pub fn states(&self) -> Vec<DeviceState> {
        self.changes.lock().iter().map(|change| change.state).collect()
    }

    /// Waits until `done`, in simulated time at most an hour.
    pub async fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let wait = async {
            loop {
                let told = self.told.notified();
                if done(self) {
                    return;
                }
                told.await;
            }
        };
        let ended = tokio::time::timeout(Duration::from_hours(1), wait).await;
        assert!(ended.is_ok(), "waited in vain until {what}");
    }
}

#[async_trait]
impl ScanObserver for Observer {
    async fn scanned(&self, scan: Scan<'_>) {
        self.rows.lock().push(Seen {
            at: Instant::now(),
            device: scan.device.to_string(),
            group: scan.group.0,
            row: scan.row.clone(),
            missed: scan.missed,
        });
        self.told.notify_one();
    }

    async fn state_changed(&self, change: StateChange) {
        self.changes.lock().push(change);
        self.told.notify_one();
    }
}

#[async_trait]
impl AuditTrail for Observer {
    async fn intend(&self, _device: &Arc<str>, writes: &[WriteRequest]) -> Result<(), String> {
        let time = *self.intent_time.lock();
        if !time.is_zero() {
            sleep(time).await;
        }
        if let Some(cause) = self.refuse_intents.lock().clone() {
            return Err(cause);
        }
        self.intents.lock().extend_from_slice(writes);
        Ok(())
    }

    async fn settle(&self, _device: &Arc<str>, reports: &[WriteReport]) {
        self.reports.lock().extend_from_slice(reports);
    }
}

pub fn rule(tag: &str) -> WriteRule {
    WriteRule { verify: true, ..WriteRule::new(TagSpec::new(tag, tag), TagType::scalar(DataType::Real)) }
}

pub fn group(interval_ms: u64, tags: &[&str]) -> GroupConfig {
    GroupConfig {
        name: "g".into(),
        interval: Duration::from_millis(interval_ms),
        tags: tags.iter().map(|tag| TagSpec::new(*tag, *tag)).collect(),
    }
}

pub fn config(name: &str, fake: &Fake, groups: Vec<GroupConfig>, writes: Vec<WriteRule>) -> DeviceConfig {
    let connection = ConnectionString::parse("fake://h").unwrap();
    DeviceConfig {
        name: name.into(),
        target: fake.target(connection).unwrap(),
        driver: Arc::new(fake.clone()),
        groups,
        writes,
        governor: GovernorConfig::default(),
    }
}

pub fn request(id: &str, tag: &str, value: f64, asked_at: Timestamp) -> WriteRequest {
    WriteRequest {
        id: id.into(),
        origin: millstream_driver::guard::Origin::CommandLine { user: "tester".to_owned() },
        tag: tag.into(),
        value: Value::LReal(value),
        asked_at,
        expires_at: None,
    }
}
