//! The thin async shell: opens the transport, and lets [`crate::session`] talk through the one pump of `driver`.

use crate::address::{Address, EXAMPLE};
use crate::limits::{ADU_BYTES, PROBE_INTERVAL};
use crate::options::{self, OPTIONS, Settings};
use crate::plan::{Plan, ReadRequest, Tag};
use crate::refused::{Place, Refused, Span};
use crate::session::scan::{Group, Knowledge, Scan};
use crate::session::write::{Writes, unwritable};
use crate::session::{Client, Command, Event, Outcome};
use crate::simulator;
use async_trait::async_trait;
use millstream_driver::guard::Permit;
use millstream_driver::pump::{Pump, connect_tcp};
use millstream_driver::simulate::{SimulatorHandle, SimulatorSpec, serve};
use millstream_driver::{
    About, ConnectionString, Driver, GroupIndex, Limits, PlanSummary, ProtocolError, Session, SessionContext,
    SessionError, TagProblem, TagSpec, Target, WriteOutcome,
};
use millstream_model::{Clock, Diagnostic, Row, Status, TagType};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

/// Modbus TCP.
#[derive(Debug, Clone, Copy, Default)]
pub struct Modbus;

static ABOUT: About = About {
    protocols: &["modbus-tcp", "modbus"],
    title: "Modbus TCP",
    specification: "MODBUS Application Protocol Specification V1.1b3, MODBUS Messaging on TCP/IP V1.0b",
    default_port: 502,
    options: OPTIONS,
    example_address: EXAMPLE,
};

#[async_trait]
impl Driver for Modbus {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn target(&self, connection: ConnectionString) -> Result<Target, Vec<Diagnostic>> {
        options::target(connection)
    }

    fn tag_type(&self, address: &str) -> Result<TagType, Diagnostic> {
        address.parse::<Address>().map(|address| address.tag_type())
    }

    fn writable(&self, address: &str) -> Result<(), Diagnostic> {
        match unwritable(&address.parse()?) {
            None => Ok(()),
            Some((_, why)) => {
                Err(Diagnostic::error("not-writable", format!("`{address}` cannot be written: {why}"))
                    .at(0..address.len())
                    .label("expected a coil, a holding register or an extended register")
                    .help("for example coil:1, holding-register:1:REAL or holding-register:5.3:BOOL"))
            }
        }
    }

    fn plan(&self, target: &Target, tags: &[TagSpec]) -> Result<PlanSummary, Vec<TagProblem>> {
        let settings = Settings::new(&target.options);
        let tags = Tag::parse_all(tags, &settings)?;
        Ok(Plan::new(&tags, settings.limits, &Refused::default()).summary(&tags))
    }

    async fn connect(
        &self,
        target: &Target,
        context: SessionContext,
    ) -> Result<Box<dyn Session>, SessionError> {
        let settings = Settings::new(&target.options);
        let port = target.connection.port.unwrap_or(ABOUT.default_port);
        let stream = connect_tcp(&target.connection.host, port).await?;
        if !settings.no_delay {
            stream.set_nodelay(false).map_err(|error| SessionError::Lost {
                cause: format!("cannot set up the socket: {error}"),
                status: Status::BadNotConnected,
            })?;
        }
        Ok(Box::new(Connection::new(stream, settings, &context)))
    }

    async fn simulate(&self, spec: SimulatorSpec) -> Result<SimulatorHandle, SessionError> {
        let memory = Arc::new(simulator::memory(&spec)?);
        let (listen, world, faults) = (spec.listen, spec.world, spec.faults);
        serve(listen, world, faults, move |context| simulator::Server::new(memory.clone(), context)).await
    }
}

/// A request that no scan waits for.
#[derive(Debug, Clone, Copy)]
enum Probe {
    Unit,
    Hole(Place, Span),
}

/// One live connection to a device, over any transport.
#[derive(Debug)]
pub struct Connection<T> {
    pump: Pump<T, Client>,
    settings: Settings,
    clock: Arc<dyn Clock>,
    groups: BTreeMap<GroupIndex, Group>,
    knowledge: Knowledge,
    scan: Scan,
    tickets: u64,
    probes: Vec<(u64, Probe)>,
    next_probe_at: Option<Instant>,
    in_flight_max: usize,
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection<T> {
    /// A connection over `transport`, which is open.
    pub fn new(transport: T, settings: Settings, context: &SessionContext) -> Self {
        let in_flight_max = settings.in_flight_max.min(context.in_flight_max).max(1);
        let client = Client::new(in_flight_max, context.counters.clone());
        Self {
            pump: Pump::client(transport, client, context),
            settings,
            clock: context.clock.clone(),
            groups: BTreeMap::new(),
            knowledge: Knowledge::default(),
            scan: Scan::default(),
            tickets: 0,
            probes: Vec::new(),
            next_probe_at: None,
            in_flight_max,
        }
    }

    /// What is known about the device.
    pub const fn knowledge(&self) -> &Knowledge {
        &self.knowledge
    }

    fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    /// What an event says about its unit, and whether it answers a probe.
    fn note(&mut self, event: &Event) {
        let now = Instant::now();
        let units = &mut self.knowledge.units;
        let reached = match &event.outcome {
            Outcome::Late => {
                units.late(event.unit);
                return;
            }
            Outcome::Timeout => false,
            Outcome::Exception(code) => !code.is_gateway(),
            _ => true,
        };
        if reached {
            units.answered(event.unit, event.round_trip);
        }
        let Some(index) = self.probes.iter().position(|(ticket, _)| *ticket == event.ticket) else { return };
        let (_, probe) = self.probes.swap_remove(index);
        if !reached {
            units.failed(now, event.unit);
        } else if let Probe::Hole(place, span) = probe {
            match event.outcome {
                Outcome::Data => self.knowledge.refused.retried(now, place, span, false),
                Outcome::Exception(_) => self.knowledge.refused.retried(now, place, span, true),
                _ => {}
            }
        }
    }

    async fn scan(&mut self, index: GroupIndex, row: &mut Row) -> Result<(), ProtocolError> {
        // Answers to requests of before come first, and a dead connection is noticed before it is used.
        self.pump.settle().await?;
        while let Some(event) = self.pump_event_now() {
            self.note(&event);
        }
        let Some(group) = self.groups.get_mut(&index) else {
            row.reset(0, Status::BadConfigurationError);
            return Ok(());
        };
        group.refresh(&self.settings, &self.knowledge.refused);
        self.scan.start(group, &self.knowledge, row);
        loop {
            while self.pump.machine().has_room() {
                let ticket = self.ticket();
                let Some(group) = self.groups.get(&index) else { break };
                let Some(command) = self.scan.next(ticket, group, &self.settings) else { break };
                if let Some(command) = self.pump.submit(command).await? {
                    self.scan.give_back(command);
                    break;
                }
            }
            if self.scan.is_done() {
                break;
            }
            let event = self.pump.event().await?;
            self.note(&event);
            let Some(group) = self.groups.get(&index) else { break };
            self.scan.settle(Instant::now(), event, group, &mut self.knowledge, row);
        }
        let now = Instant::now();
        for unit in self.scan.failed_units() {
            self.knowledge.units.failed(now, unit);
        }
        self.probe(now).await
    }

    fn pump_event_now(&mut self) -> Option<Event> {
        millstream_driver::Machine::event(self.pump.machine_mut())
    }

    /// Tries one unit or one refused span again, between scans: nobody waits for the answer.
    async fn probe(&mut self, now: Instant) -> Result<(), ProtocolError> {
        if !self.pump.machine().has_room() || self.next_probe_at.is_some_and(|next| now < next) {
            return Ok(());
        }
        let (probe, frame, expect, timeout) = if let Some(unit) = self.knowledge.units.due(now) {
            let requests = || self.groups.values().flat_map(|group| group.plan().requests.iter());
            let Some(request) = requests().find(|request| request.place().unit == unit) else {
                // No scan asks it: it costs nobody anything.
                self.knowledge.units.late(unit);
                return Ok(());
            };
            let timeout = self.knowledge.units.probe_timeout(self.settings.request_timeout);
            (Probe::Unit, request.frame().clone(), request.expect().clone(), timeout)
        } else if let Some((place, span)) = self.knowledge.refused.due(now) {
            self.knowledge.refused.postpone(now, place, span);
            if !self.knowledge.units.is_in_service(place.unit) {
                return Ok(());
            }
            let request = ReadRequest::probe(place, span);
            let (frame, expect) = (request.frame().clone(), request.expect().clone());
            (Probe::Hole(place, span), frame, expect, self.settings.request_timeout)
        } else {
            return Ok(());
        };
        self.next_probe_at = Some(now + PROBE_INTERVAL);
        let ticket = self.ticket();
        let command = Command { ticket, frame, expect, timeout, is_probe: true, buffer: Vec::new() };
        self.probes.push((ticket, probe));
        if self.pump.submit(command).await?.is_some() {
            self.probes.retain(|(waiting, _)| *waiting != ticket);
        }
        self.pump.flush().await
    }

    async fn drive(&mut self, writes: &mut Writes) -> Result<(), ProtocolError> {
        self.pump.settle().await?;
        while !writes.is_done() {
            if let Some(command) = writes.next(Instant::now(), &self.settings)
                && self.pump.submit(command).await?.is_some()
            {
                writes.give_back();
            }
            if writes.is_done() {
                break;
            }
            let event = self.pump.event().await?;
            self.note(&event);
            writes.settle(&event, &self.settings);
        }
        Ok(())
    }
}

#[async_trait]
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Session for Connection<T> {
    fn limits(&self) -> Limits {
        Limits {
            request_bytes_max: ADU_BYTES,
            response_bytes_max: ADU_BYTES,
            in_flight_max: self.in_flight_max,
        }
    }

    fn prepare(&mut self, group: GroupIndex, tags: &[TagSpec]) -> Result<PlanSummary, Vec<TagProblem>> {
        let tags = Tag::parse_all(tags, &self.settings)?;
        let prepared = Group::new(tags, &self.settings, &self.knowledge.refused);
        let summary = prepared.plan().summary(prepared.tags());
        self.groups.insert(group, prepared);
        Ok(summary)
    }

    async fn read(&mut self, group: GroupIndex, row: &mut Row) -> Result<(), SessionError> {
        let result = self.scan(group, row).await.map_err(ended);
        row.read_at = self.clock.now();
        result
    }

    async fn write(&mut self, permit: Permit, outcomes: &mut Vec<WriteOutcome>) -> Result<(), SessionError> {
        let ticket = self.ticket();
        let mut writes = Writes::new(ticket, permit.writes(), &self.settings, outcomes);
        writes.leave_out(|unit| !self.knowledge.units.is_in_service(unit));
        let result = self.drive(&mut writes).await.map_err(ended);
        let cause = result.as_ref().err().map(ToString::to_string);
        outcomes.extend(writes.outcomes(cause.as_deref()));
        result
    }

    async fn ended(&mut self) -> SessionError {
        loop {
            match self.pump.event().await {
                Ok(event) => self.note(&event),
                Err(error) => return ended(error),
            }
        }
    }
}

/// A closed connection is the network's affair; everything else breaks the protocol.
fn ended(error: ProtocolError) -> SessionError {
    match error {
        ProtocolError::Closed(how) => SessionError::Lost {
            cause: format!("the connection was closed {how}"),
            status: Status::BadConnectionClosed,
        },
        other => SessionError::Protocol(other),
    }
}
