//! A Modbus TCP machine that shares no code with the driver: registers, a counter, misbehaviour by rule, and a ledger of
//! everything that reached it.

use crate::oracle::coded_value;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep};

/// A request as it came over the wire.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Which connection, counted from 0 over the machine's life.
    pub connection: usize,
    /// Which request, counted from 0 over the machine's life.
    pub number: usize,
    /// The MBAP header's transaction id.
    pub transaction: u16,
    /// The unit id.
    pub unit: u8,
    /// Function code and body.
    pub pdu: Vec<u8>,
}

impl Asked {
    /// Whether it writes.
    pub fn is_write(&self) -> bool {
        matches!(self.pdu.first(), Some(6 | 16))
    }

    /// The first register, from 0.
    pub fn start(&self) -> u16 {
        word(&self.pdu, 1)
    }

    /// An answer frame with this PDU.
    pub fn frame(&self, pdu: &[u8]) -> Vec<u8> {
        frame(self.transaction, self.unit, pdu)
    }

    /// An exception answer.
    pub fn exception(&self, code: u8) -> Vec<u8> {
        self.frame(&[self.pdu[0] | 0x80, code])
    }
}

/// A whole frame.
pub fn frame(transaction: u16, unit: u8, pdu: &[u8]) -> Vec<u8> {
    let length = u16::try_from(pdu.len() + 1).expect("a PDU is short");
    let mut frame = Vec::with_capacity(7 + pdu.len());
    frame.extend_from_slice(&transaction.to_be_bytes());
    frame.extend_from_slice(&[0, 0]);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.push(unit);
    frame.extend_from_slice(pdu);
    frame
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// What becomes of the connection after a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It stays.
    Stay,
    /// It is closed in good order.
    Fin,
    /// It is reset.
    Reset,
}

/// What the machine does with one request.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Whether a write is carried out.
    pub apply: bool,
    /// What is sent, each after a time. A delayed frame does not hold up later ones.
    pub send: Vec<(Duration, Vec<u8>)>,
    /// And then.
    pub then: Then,
}

impl Reply {
    /// Carried out, and answered with these bytes at once.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self { send: vec![(Duration::ZERO, bytes.into())], ..Self::silent() }
    }

    /// Carried out, and answered after `delay`.
    pub fn after(delay: Duration, bytes: Vec<u8>) -> Self {
        Self { send: vec![(delay, bytes)], ..Self::silent() }
    }

    /// Carried out, never answered.
    pub fn silent() -> Self {
        Self { apply: true, send: Vec::new(), then: Then::Stay }
    }

    /// Carried out, then the connection ends without an answer.
    pub fn end(then: Then) -> Self {
        Self { then, ..Self::silent() }
    }

    /// Not carried out.
    #[must_use]
    pub fn not_done(mut self) -> Self {
        self.apply = false;
        self
    }
}

/// One request in the machine's ledger.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// When it came.
    pub at: Instant,
    /// Over which connection.
    pub connection: usize,
    /// Function code.
    pub function: u8,
    /// The first register, from 0.
    pub start: u16,
    /// When its answer left; `None` where none did.
    pub answered: Option<Instant>,
}

type Rule = Box<dyn FnMut(&Asked, Vec<u8>) -> Reply + Send>;
type Witness = Arc<dyn Fn(u16, u16) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What the machine is and has seen.
#[derive(Default)]
pub struct State {
    /// The holding registers that exist, from 0.
    pub registers: BTreeMap<u16, u16>,
    /// This register grows by one with every request that reads it.
    pub counter: Option<u16>,
    /// Every write that was carried out: register and value, in order.
    pub reached: Vec<(u16, u16)>,
    /// Every request, in order.
    pub asked: Vec<Entry>,
    /// When each connection was accepted, also those that were turned away.
    pub accepted: Vec<Instant>,
    /// Connections that are open.
    pub open: usize,
    /// Connections over this number are reset at once.
    pub connections_max: Option<usize>,
    /// The first frame that broke the specification, if any did.
    pub unclean: Option<Vec<u8>>,
    rule: Option<Rule>,
    witness: Option<Witness>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("reached", &self.reached).finish_non_exhaustive()
    }
}

/// Power, how often all connections were cut, and how the last time.
type Switch = (bool, u64, Then);

/// A machine that listens until it is dropped.
#[derive(Debug)]
pub struct Rogue {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    switch: watch::Sender<Switch>,
    task: JoinHandle<()>,
}

impl Drop for Rogue {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Rogue {
    /// Starts with registers `0..count`, each holding its coded value of epoch 0.
    pub async fn start(count: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let state = Arc::new(Mutex::new(State::default()));
        let (switch, switched) = watch::channel((true, 0, Then::Reset));
        let task = tokio::spawn(accept(listener, address, state.clone(), switched));
        let machine = Self { address, state, switch, task };
        machine.code(count, 0);
        machine
    }

    /// The state, for a look or a change.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds the machine")
    }

    /// From now on registers `0..count` exist, coded with `epoch`.
    pub fn code(&self, count: u16, epoch: u16) {
        self.state().registers = (0..count).map(|address| (address, coded_value(address, epoch))).collect();
    }

    /// What becomes of requests from now on; the second argument is the answer that a machine in good health gives.
    pub fn rule(&self, rule: impl FnMut(&Asked, Vec<u8>) -> Reply + Send + 'static) {
        self.state().rule = Some(Box::new(rule));
    }

    /// Ends the rule.
    pub fn heal(&self) {
        self.state().rule = None;
    }

    /// Is awaited with register and value before a write is carried out.
    pub fn witness(&self, witness: Witness) {
        self.state().witness = Some(witness);
    }

    /// Ends every connection.
    pub fn cut(&self, then: Then) {
        self.switch.send_modify(|(_, cuts, how)| {
            *cuts += 1;
            *how = then;
        });
    }

    /// Off: connections are reset and new ones refused. On: as before.
    pub fn power(&self, on: bool) {
        self.switch.send_modify(|(power, cuts, how)| {
            *power = on;
            *cuts += u64::from(!on);
            *how = Then::Reset;
        });
    }

    /// Values of one register that were written, in order.
    pub fn written(&self, register: u16) -> Vec<u16> {
        self.state().reached.iter().filter(|(at, _)| *at == register).map(|(_, value)| *value).collect()
    }

    /// Requests so far.
    pub fn asked(&self) -> usize {
        self.state().asked.len()
    }
}

async fn accept(
    listener: TcpListener,
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    mut switch: watch::Receiver<Switch>,
) {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        if !switch.borrow_and_update().0 {
            drop(listener.take());
            // Bound and not listening: connections are refused, and nobody takes the port.
            let reserved = TcpSocket::new_v4().expect("a socket");
            reserved.set_reuseaddr(true).expect("an option");
            reserved.bind(address).expect("the port was ours");
            if switch.wait_for(|(power, ..)| *power).await.is_err() {
                return;
            }
            listener = Some(reserved.listen(64).expect("the port is ours"));
        }
        let open = listener.as_ref().expect("it listens while it has power");
        tokio::select! {
            changed = switch.changed() => if changed.is_err() { return },
            _ = connections.join_next(), if !connections.is_empty() => {}
            accepted = open.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let Some(number) = admit(&stream, &state) else { continue };
                let (state, mut switch) = (state.clone(), switch.clone());
                let cuts = switch.borrow_and_update().1;
                connections.spawn(async move {
                    let _open = Open(state.clone());
                    converse(stream, number, state, switch, cuts).await;
                });
            }
        }
    }
}

/// The connection's number, where the machine has room for it.
fn admit(stream: &TcpStream, state: &Mutex<State>) -> Option<usize> {
    let mut state = state.lock().expect("not poisoned");
    state.accepted.push(Instant::now());
    if state.connections_max.is_some_and(|max| state.open >= max) {
        let _ = stream.set_zero_linger();
        return None;
    }
    state.open += 1;
    Some(state.accepted.len() - 1)
}

/// Counts a connection while it is open.
struct Open(Arc<Mutex<State>>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.lock().expect("not poisoned").open -= 1;
    }
}

async fn converse(
    stream: TcpStream,
    connection: usize,
    state: Arc<Mutex<State>>,
    mut switch: watch::Receiver<Switch>,
    cuts: u64,
) {
    stream.set_nodelay(true).expect("an option");
    let (mut read, write) = stream.into_split();
    let write = Arc::new(tokio::sync::Mutex::new(write));
    let then = tokio::select! {
        then = serve(&mut read, &write, connection, &state) => then,
        cut = switch.wait_for(|(_, now, _)| *now != cuts) => cut.map_or(Then::Fin, |switch| switch.2),
    };
    let mut write = write.lock().await;
    if then == Then::Reset {
        let _ = write.as_ref().set_zero_linger();
    } else {
        // Frames that are still to be sent hold the writing half: it ends for them, too.
        let _ = write.shutdown().await;
    }
}

async fn serve(
    read: &mut OwnedReadHalf,
    write: &Arc<tokio::sync::Mutex<OwnedWriteHalf>>,
    connection: usize,
    state: &Arc<Mutex<State>>,
) -> Then {
    loop {
        let mut header = [0; 7];
        if read.read_exact(&mut header).await.is_err() {
            return Then::Fin;
        }
        let length = usize::from(word(&header, 4));
        if word(&header, 2) != 0 || !(2..=254).contains(&length) {
            state.lock().expect("not poisoned").unclean.get_or_insert(header.to_vec());
            return Then::Reset;
        }
        let mut pdu = vec![0; length - 1];
        if read.read_exact(&mut pdu).await.is_err() {
            return Then::Fin;
        }
        let (number, reply, writes, witness) = decide(&header, pdu, connection, state);
        if reply.apply {
            for (register, value) in writes {
                if let Some(witness) = &witness {
                    witness(register, value).await;
                }
                let mut state = state.lock().expect("not poisoned");
                state.registers.insert(register, value);
                state.reached.push((register, value));
            }
        }
        for (delay, bytes) in reply.send {
            let (write, state) = (write.clone(), state.clone());
            let send = async move {
                if write.lock().await.write_all(&bytes).await.is_ok() {
                    let mut state = state.lock().expect("not poisoned");
                    state.asked[number].answered.get_or_insert_with(Instant::now);
                }
            };
            if delay.is_zero() {
                send.await;
            } else {
                tokio::spawn(async move {
                    sleep(delay).await;
                    send.await;
                });
            }
        }
        if reply.then != Then::Stay {
            return reply.then;
        }
    }
}

/// The request's number, what is done, what would be written, and who watches.
fn decide(
    header: &[u8],
    pdu: Vec<u8>,
    connection: usize,
    state: &Mutex<State>,
) -> (usize, Reply, Vec<(u16, u16)>, Option<Witness>) {
    let mut state = state.lock().expect("not poisoned");
    let number = state.asked.len();
    let asked = Asked { connection, number, transaction: word(header, 0), unit: header[6], pdu };
    let (at, function, start) = (Instant::now(), asked.pdu[0], asked.start());
    state.asked.push(Entry { at, connection, function, start, answered: None });
    let (answer, writes) = state.answer(&asked);
    let usual = asked.frame(&answer);
    let reply = match state.rule.as_mut() {
        Some(rule) => rule(&asked, usual),
        None => Reply::bytes(usual),
    };
    (number, reply, writes, state.witness.clone())
}

impl State {
    /// The answer of a machine in good health, and what it would write.
    fn answer(&mut self, asked: &Asked) -> (Vec<u8>, Vec<(u16, u16)>) {
        let function = asked.pdu[0];
        let refuse = |code| (vec![function | 0x80, code], Vec::new());
        let start = asked.start();
        match function {
            3 => {
                let range = start..start.saturating_add(word(&asked.pdu, 3));
                if let Some(counter) = self.counter
                    && range.contains(&counter)
                {
                    let value = self.registers.entry(counter).or_default();
                    *value = value.wrapping_add(1);
                }
                let values: Option<Vec<u16>> = range.map(|at| self.registers.get(&at).copied()).collect();
                let Some(values) = values else { return refuse(2) };
                let bytes = u8::try_from(values.len() * 2).expect("at most 125 registers");
                let data = values.into_iter().flat_map(u16::to_be_bytes);
                ([function, bytes].into_iter().chain(data).collect(), Vec::new())
            }
            6 if self.registers.contains_key(&start) => {
                (asked.pdu.clone(), vec![(start, word(&asked.pdu, 3))])
            }
            16 => {
                let count = word(&asked.pdu, 3);
                let writes: Vec<_> =
                    (0..count).map(|n| (start + n, word(&asked.pdu, 6 + 2 * usize::from(n)))).collect();
                if !writes.iter().all(|(at, _)| self.registers.contains_key(at)) {
                    return refuse(2);
                }
                (asked.pdu[..5].to_vec(), writes)
            }
            6 => refuse(2),
            _ => refuse(1),
        }
    }
}
