//! A scripted machine behind the real scheduler and the real guard. Its address `n:TYPE` is cell `n`.

use super::TestClock;
use async_trait::async_trait;
use millstream_driver::guard::{Permit, WriteRule};
use millstream_driver::schedule::{DeviceConfig, GovernorConfig, GroupConfig};
use millstream_driver::simulate::{SimulatorHandle, SimulatorSpec};
use millstream_driver::{
    About, ConnectionString, Driver, GroupIndex, Limits, PlanSummary, Session, SessionContext, SessionError,
    TagProblem, TagSpec, Target, WriteOutcome, WriteResult,
};
use millstream_model::{Cell, Clock, DataType, Diagnostic, Row, Status, TagType, Value};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// What the machine does with writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnWrite {
    #[default]
    Accept,
    /// Exception 2: there is no such address.
    Reject,
    /// The machine restarts in the middle: it takes the value, and the answer never comes.
    TakeAndVanish,
    /// No answer, for ever.
    Hang,
}

/// The machine's inside. Shared by the test and the sessions.
#[derive(Debug, Default)]
pub struct Machine {
    pub online: bool,
    pub cells: BTreeMap<String, Value>,
    pub broken: BTreeSet<String>,
    pub on_write: OnWrite,
    /// Every value that reached the machine, in order.
    pub written: Vec<(String, Value)>,
    pub connects: usize,
    pub reads: usize,
    /// The value of this address grows by one with every read.
    pub counter: Option<String>,
}

/// A handle to the machine, and its driver.
#[derive(Debug, Clone)]
pub struct Scripted {
    pub machine: Arc<Mutex<Machine>>,
    clock: Arc<TestClock>,
}

impl Scripted {
    pub fn new(clock: &Arc<TestClock>) -> Self {
        let machine = Machine { online: true, ..Machine::default() };
        Self { machine: Arc::new(Mutex::new(machine)), clock: clock.clone() }
    }

    pub fn set(&self, address: &str, value: Value) {
        self.machine.lock().cells.insert(address.to_owned(), value);
    }

    pub fn written(&self) -> Vec<(String, Value)> {
        self.machine.lock().written.clone()
    }

    pub fn go_offline(&self) {
        self.machine.lock().online = false;
    }

    pub fn come_back(&self) {
        let mut machine = self.machine.lock();
        machine.online = true;
        machine.on_write = OnWrite::Accept;
    }

    /// A device of this machine with one group `fast` of 100 ms.
    pub fn device(&self, name: &str, tags: &[(&str, &str)], writes: Vec<WriteRule>) -> DeviceConfig {
        let connection = ConnectionString::parse("scripted://machine").unwrap();
        let tags = tags.iter().map(|(name, address)| TagSpec::new(*name, *address)).collect();
        DeviceConfig {
            name: name.into(),
            target: Target::check(connection, &[]).unwrap(),
            driver: Arc::new(self.clone()),
            groups: vec![GroupConfig { name: "fast".into(), interval: Duration::from_millis(100), tags }],
            writes,
            governor: GovernorConfig::default(),
        }
    }

    /// A write rule for an address of this machine.
    pub fn rule(tag: &str, address: &str) -> WriteRule {
        WriteRule::new(TagSpec::new(tag, address), tag_type(address).unwrap())
    }
}

fn tag_type(address: &str) -> Option<TagType> {
    let (_, name) = address.rsplit_once(':')?;
    Some(TagType::scalar(name.parse::<DataType>().ok()?))
}

fn lost(cause: &str) -> SessionError {
    SessionError::Lost { cause: cause.to_owned(), status: Status::BadCommunicationError }
}

#[async_trait]
impl Driver for Scripted {
    fn about(&self) -> &'static About {
        &About {
            protocols: &["scripted"],
            title: "Scripted",
            specification: "none",
            default_port: 1,
            options: &[],
            example_address: "1:INT",
        }
    }

    fn tag_type(&self, address: &str) -> Result<TagType, Diagnostic> {
        tag_type(address).ok_or_else(|| Diagnostic::error("address", format!("`{address}` has no type")))
    }

    fn plan(&self, _: &Target, tags: &[TagSpec]) -> Result<PlanSummary, Vec<TagProblem>> {
        let types = tags.iter().filter_map(|tag| tag_type(&tag.address)).collect();
        Ok(PlanSummary { requests: Vec::new(), types })
    }

    async fn connect(&self, _: &Target, _: SessionContext) -> Result<Box<dyn Session>, SessionError> {
        let mut machine = self.machine.lock();
        machine.connects += 1;
        if !machine.online {
            return Err(lost("no route to the machine"));
        }
        Ok(Box::new(ScriptedSession { scripted: self.clone(), groups: BTreeMap::new() }))
    }

    async fn simulate(&self, _: SimulatorSpec) -> Result<SimulatorHandle, SessionError> {
        Err(lost("a scripted machine is its own simulator"))
    }
}

struct ScriptedSession {
    scripted: Scripted,
    groups: BTreeMap<GroupIndex, Vec<TagSpec>>,
}

#[async_trait]
impl Session for ScriptedSession {
    fn limits(&self) -> Limits {
        Limits { request_bytes_max: 260, response_bytes_max: 260, in_flight_max: 1 }
    }

    fn prepare(&mut self, group: GroupIndex, tags: &[TagSpec]) -> Result<PlanSummary, Vec<TagProblem>> {
        self.groups.insert(group, tags.to_vec());
        let types = tags.iter().filter_map(|tag| tag_type(&tag.address)).collect();
        Ok(PlanSummary { requests: Vec::new(), types })
    }

    async fn read(&mut self, group: GroupIndex, row: &mut Row) -> Result<(), SessionError> {
        let tags = &self.groups[&group];
        let mut machine = self.scripted.machine.lock();
        if !machine.online {
            return Err(lost("the machine is gone"));
        }
        machine.reads += 1;
        if let Some(address) = machine.counter.clone()
            && let Some(Value::Int(count)) = machine.cells.get_mut(&address)
        {
            *count += 1;
        }
        row.read_at = self.scripted.clock.now();
        row.cells = tags
            .iter()
            .map(|tag| match machine.cells.get(&*tag.address) {
                Some(value) if !machine.broken.contains(&*tag.address) => Cell::Good(value.clone()),
                _ => Cell::Bad(Status::BadNodeIdUnknown),
            })
            .collect();
        Ok(())
    }

    async fn write(&mut self, permit: Permit, outcomes: &mut Vec<WriteOutcome>) -> Result<(), SessionError> {
        for write in permit.writes() {
            let on_write = self.scripted.machine.lock().on_write;
            if on_write == OnWrite::Hang {
                std::future::pending::<()>().await;
            }
            let mut machine = self.scripted.machine.lock();
            if !machine.online {
                return Err(lost("the machine is gone"));
            }
            let (address, value) = (write.tag.address.to_string(), write.value.clone());
            let result = match on_write {
                OnWrite::Reject => {
                    WriteResult::Refused(Status::BadNodeIdUnknown, "illegal data address".to_owned())
                }
                OnWrite::Accept | OnWrite::Hang => {
                    machine.cells.insert(address.clone(), value.clone());
                    machine.written.push((address, value.clone()));
                    WriteResult::Done
                }
                OnWrite::TakeAndVanish => {
                    machine.cells.insert(address.clone(), value.clone());
                    machine.written.push((address, value));
                    machine.online = false;
                    return Err(lost("the machine restarted"));
                }
            };
            let read_back = (write.verify && result == WriteResult::Done).then_some(value);
            outcomes.push(WriteOutcome { tag: write.tag.name.clone(), result, read_back });
        }
        Ok(())
    }
}
