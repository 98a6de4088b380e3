//! What the tests of this room share: a client and a simulator over a pipe in simulated time, and permits to write.
#![allow(dead_code, reason = "every test file uses its part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use bytes::BytesMut;
use millstream_driver::guard::{Guard, Now, Origin, Permit, WriteRequest, WriteRule};
use millstream_driver::pump::Pump;
use millstream_driver::simulate::{
    Faults, Signal, SignalKind, SimulatedTag, SimulatorContext, SimulatorCounters, SimulatorSpec, World,
};
use millstream_driver::{
    ConnectionString, Driver as _, GroupIndex, Session as _, SessionContext, SessionCounters, SessionError,
    TagSpec, Target, WriteOutcome,
};
use millstream_modbus::client::Connection;
use millstream_modbus::codec::{Expect, Header, Request, adu};
use millstream_modbus::limits::HEADER_BYTES;
use millstream_modbus::options::Settings;
use millstream_modbus::session::{Client, Command, Event};
use millstream_modbus::{Address, Modbus, options, simulator};
use millstream_model::{Cell, Clock, Row, Status, Timestamp, Value};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::Instant;

pub(crate) const GROUP: GroupIndex = GroupIndex(0);

#[derive(Debug)]
pub(crate) struct TestClock;

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000)
    }
}

pub(crate) fn target(text: &str) -> Target {
    options::target(ConnectionString::parse(text).unwrap()).unwrap()
}

/// A tag that holds `value` and may be written where its area may.
pub(crate) fn holds(name: &str, address: &str, value: Value) -> SimulatedTag {
    let signal = Signal { kind: SignalKind::Hold, value, ..Signal::default() };
    let writable = address.parse::<Address>().unwrap().area().is_writable();
    SimulatedTag { tag: TagSpec::new(name, address), signal, writable }
}

/// Holding registers of `numbers`; each holds its own number, so that no value can pass for another's.
pub(crate) fn registers(numbers: impl IntoIterator<Item = u16>) -> Vec<SimulatedTag> {
    let tag = |n: u16| holds(&format!("r{n}"), &format!("holding-register:{n}:UINT"), Value::UInt(n.into()));
    numbers.into_iter().map(tag).collect()
}

pub(crate) fn spec(query: &str, tags: Vec<SimulatedTag>) -> SimulatorSpec {
    SimulatorSpec {
        device: "press".into(),
        listen: "127.0.0.1:0".parse().unwrap(),
        target: target(&format!("modbus-tcp://device{query}")),
        tags,
        world: World::new(1),
        faults: Faults::default(),
    }
}

pub(crate) struct Rig {
    pub(crate) connection: Connection<DuplexStream>,
    pub(crate) session: Arc<SessionCounters>,
    pub(crate) device: Arc<SimulatorCounters>,
    pub(crate) faults: Faults,
    pub(crate) world: World,
    pub(crate) settings: Settings,
    sent: Arc<Mutex<BytesMut>>,
    pub(crate) tags: Vec<TagSpec>,
}

/// A client, and a simulator with `tags`, over a pipe that carries `piece` bytes at a time. The client asks for all tags.
pub(crate) fn rig_in_pieces(query: &str, tags: Vec<SimulatedTag>, piece: usize, seed: u64) -> Rig {
    let spec = spec(query, tags);
    let settings = Settings::new(&spec.target.options);
    let (near, wire_near) = duplex(piece);
    let (wire_far, far) = duplex(piece);
    let sent = Arc::new(Mutex::new(BytesMut::new()));
    tokio::spawn(carry(wire_near, wire_far, sent.clone()));
    let device = Arc::new(SimulatorCounters::default());
    let context = SimulatorContext {
        world: spec.world.clone(),
        faults: spec.faults.clone(),
        counters: device.clone(),
        seed,
    };
    let memory = Arc::new(simulator::memory(&spec).unwrap());
    let server = simulator::Server::new(memory, context);
    tokio::spawn(async move { Pump::new(far, server).idle().await });
    let mut context = SessionContext::new(Arc::new(TestClock));
    context.in_flight_max = 64;
    let session = context.counters.clone();
    let mut connection = Connection::new(near, settings, &context);
    let tags: Vec<TagSpec> = spec.tags.iter().map(|simulated| simulated.tag.clone()).collect();
    connection.prepare(GROUP, &tags).unwrap();
    Rig { connection, session, device, faults: spec.faults, world: spec.world, settings, sent, tags }
}

pub(crate) fn rig(query: &str, tags: Vec<SimulatedTag>) -> Rig {
    rig_in_pieces(query, tags, 64 * 1024, 1)
}

/// Carries bytes both ways and keeps a copy of what the client sends.
async fn carry(mut near: DuplexStream, mut far: DuplexStream, sent: Arc<Mutex<BytesMut>>) {
    let (mut up, mut down) = ([0; 4096], [0; 4096]);
    loop {
        tokio::select! {
            read = near.read(&mut up) => match read {
                Ok(n) if n > 0 => {
                    sent.lock().unwrap().extend_from_slice(&up[..n]);
                    if far.write_all(&up[..n]).await.is_err() { return }
                }
                _ => return,
            },
            read = far.read(&mut down) => match read {
                Ok(n) if n > 0 => if near.write_all(&down[..n]).await.is_err() { return },
                _ => return,
            },
        }
    }
}

impl Rig {
    pub(crate) async fn read(&mut self) -> Result<Vec<Cell>, SessionError> {
        let mut row = Row::all_bad(Timestamp(0), 0, Status::BadNotConnected);
        self.connection.read(GROUP, &mut row).await?;
        assert_eq!(row.read_at, TestClock.now());
        Ok(row.cells)
    }

    /// Reads until a second scan is the same as the one before: everything is learnt.
    pub(crate) async fn cells(&mut self) -> Vec<Cell> {
        self.read().await.unwrap()
    }

    pub(crate) fn requests(&self) -> u64 {
        self.session.requests.get()
    }

    /// The PDUs that the client sent since the last call.
    pub(crate) fn sent(&self) -> Vec<Vec<u8>> {
        let mut sent = self.sent.lock().unwrap();
        let mut pdus = Vec::new();
        while let Some(header) = Header::decode(&sent).unwrap() {
            let frame = sent.split_to(header.frame_bytes());
            pdus.push(frame[HEADER_BYTES..].to_vec());
        }
        pdus
    }

    pub(crate) async fn write(
        &mut self,
        writes: &[(&str, Value, bool)],
    ) -> Result<Vec<WriteOutcome>, SessionError> {
        let permit = self.permit(writes);
        let mut outcomes = Vec::new();
        let result = self.connection.write(permit, &mut outcomes).await;
        result.map(|()| outcomes)
    }

    pub(crate) fn permit(&self, writes: &[(&str, Value, bool)]) -> Permit {
        let named = |name: &str| self.tags.iter().find(|tag| &*tag.name == name).unwrap().clone();
        permit(writes.iter().map(|(name, value, verify)| (named(name), value.clone(), *verify)))
    }
}

/// Leave to write values to tags: name and address, raw value, whether to read back.
pub(crate) fn permit(writes: impl Iterator<Item = (TagSpec, Value, bool)>) -> Permit {
    let now = Now { wall: TestClock.now(), monotonic: Instant::now() };
    let (mut rules, mut requests) = (Vec::new(), Vec::new());
    for (tag, value, verify) in writes {
        let tag_type = Modbus.tag_type(&tag.address).unwrap();
        requests.push(WriteRequest {
            id: format!("command-{}", requests.len()).into(),
            origin: Origin::CommandLine { user: "test".to_owned() },
            tag: tag.name.clone(),
            value,
            asked_at: now.wall,
            expires_at: None,
        });
        rules.push(WriteRule { verify, ..WriteRule::new(tag, tag_type) });
    }
    let mut guard = Guard::new(rules);
    let candidates = guard.screen(now, requests).into_iter().map(|screened| screened.unwrap()).collect();
    let checked = guard.check(now, candidates, |_| None);
    assert!(checked.refused.is_empty(), "{:?}", checked.refused);
    checked.permit
}

pub(crate) fn numbers(cells: &[Cell]) -> Vec<Option<u64>> {
    let number = |cell: &Cell| match cell {
        Cell::Good(Value::UInt(n)) => Some(*n),
        Cell::Bad(_) => None,
        other => panic!("{other:?}"),
    };
    cells.iter().map(number).collect()
}

/// Sends requests that no session sends to a simulator with `tags`, and gives what came of them.
pub(crate) async fn transact(tags: Vec<SimulatedTag>, requests: &[Request<'_>]) -> Vec<Event> {
    let spec = spec("", tags);
    let (near, far) = duplex(4096);
    let context = SimulatorContext {
        world: spec.world.clone(),
        faults: spec.faults.clone(),
        counters: Arc::default(),
        seed: 1,
    };
    let server = simulator::Server::new(Arc::new(simulator::memory(&spec).unwrap()), context);
    tokio::spawn(async move { Pump::new(far, server).idle().await });
    let mut pump = Pump::new(near, Client::new(1, Arc::default()));
    let mut events = Vec::new();
    for request in requests {
        let mut frame = BytesMut::new();
        adu::encode_request(0, 1, request, &mut frame);
        let command = Command {
            ticket: 0,
            frame: frame.freeze(),
            expect: Expect::new(request),
            timeout: Duration::from_secs(1),
            is_probe: false,
            buffer: Vec::new(),
        };
        assert!(pump.submit(command).await.unwrap().is_none());
        events.push(pump.event().await.unwrap());
    }
    events
}
