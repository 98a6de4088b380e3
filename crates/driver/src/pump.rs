//! The one I/O pump: a transport and a [`Machine`], for clients and simulators alike.
//!
//! A [`Pump`] is a value that its owner drives, not a task: the owner submits commands and awaits events, and the socket is
//! served inline while it does so. No task hop, no channel; a request costs its share of one read and one write.
//!
//! * **Writes are batched.** Events that are already there are handed out before any I/O is done, so that everything the
//!   owner submits meanwhile leaves in one write.
//! * **Every method is cancel-safe.** State lives in the pump and the machine, never in a future.
//! * **Both buffers are bounded** (see [`limits`]): a peer that floods is malformed, a peer that does not read is not read from.
//! * **An idle connection is not blind**: [`Pump::settle`] takes what came meanwhile before a scan, [`Pump::idle`] waits for
//!   the end of the connection between scans.

use crate::limits;
use crate::schedule::Pace;
use crate::wire::{DecodeError, DecodeErrorKind};
use crate::{Busy, Machine, ProtocolError, SessionContext, SessionCounters, SessionError};
use bytes::{Buf as _, BytesMut};
use millstream_model::Status;
use std::future::{Future as _, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep, sleep_until};

/// A transport with the machine that talks over it.
pub struct Pump<T, M: Machine> {
    io: T,
    machine: M,
    input: BytesMut,
    output: BytesMut,
    /// Room made for the next read; grows while reads fill it.
    read_bytes: usize,
    /// Armed at or before the machine's deadline: re-arming on every request would cost more than the request.
    timer: Option<Pin<Box<Sleep>>>,
    counters: Arc<SessionCounters>,
    pace: Option<Arc<Pace>>,
    ended: Option<ProtocolError>,
}

impl<T: std::fmt::Debug, M: Machine> std::fmt::Debug for Pump<T, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pump").field("io", &self.io).field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin, M: Machine> Pump<T, M> {
    /// A pump for the client side: counts bytes and keeps the pace that `context` gives.
    pub fn client(io: T, machine: M, context: &SessionContext) -> Self {
        let mut pump = Self::new(io, machine);
        pump.counters = context.counters.clone();
        pump.pace.clone_from(&context.pace);
        pump
    }

    /// A pump that counts for nobody and keeps no pace: the simulator's side, and tests.
    pub fn new(io: T, machine: M) -> Self {
        Self {
            io,
            machine,
            input: BytesMut::new(),
            output: BytesMut::new(),
            read_bytes: limits::READ_BYTES_MIN,
            timer: None,
            counters: Arc::default(),
            pace: None,
            ended: None,
        }
    }

    /// The machine.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// The machine, for what is no conversation (such as a changed time-out).
    pub fn machine_mut(&mut self) -> &mut M {
        &mut self.machine
    }

    /// Hands `command` to the machine as soon as the device's pace allows it. `Ok(Some(command))` gives it back because the
    /// machine is busy: take an event first. Nothing is sent before the next call of [`Pump::event`] or [`Pump::flush`].
    pub async fn submit(&mut self, command: M::Command) -> Result<Option<M::Command>, ProtocolError> {
        if let Some(ended) = &self.ended {
            return Err(ended.clone());
        }
        if let Some(pace) = self.pace.clone() {
            self.wait_until(pace.ready_at()).await?;
        }
        let now = Instant::now();
        match self.machine.command(now, command) {
            Ok(()) => {
                if let Some(pace) = &self.pace {
                    pace.take(now);
                }
                Ok(None)
            }
            Err(Busy(command)) => Ok(Some(command)),
        }
    }

    /// The machine's next event; drives the connection until there is one. After `Err` every call returns that error.
    pub async fn event(&mut self) -> Result<M::Event, ProtocolError> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    /// Sends everything the machine has to send.
    pub async fn flush(&mut self) -> Result<(), ProtocolError> {
        poll_fn(|cx| {
            let sent = match &self.ended {
                Some(ended) => Poll::Ready(Err(ended.clone())),
                None => self.poll_send(cx),
            };
            self.note_end(sent)
        })
        .await
    }

    /// Takes what has arrived since the last call, without waiting and without sending a request: late answers reach the
    /// machine, and a connection that the peer has closed is known to be dead before anything is sent on it.
    pub async fn settle(&mut self) -> Result<(), ProtocolError> {
        poll_fn(|cx| {
            loop {
                if let Some(ended) = &self.ended {
                    return Poll::Ready(Err(ended.clone()));
                }
                let step = self.poll_receive(cx);
                match self.note_end(step) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(ended)) => return Poll::Ready(Err(ended)),
                    Poll::Pending => return Poll::Ready(Ok(())),
                }
            }
        })
        .await
    }

    /// Drives the connection while nobody wants anything, until it ends. Events are dropped: nobody waits for them.
    pub async fn idle(&mut self) -> ProtocolError {
        loop {
            if let Err(ended) = self.event().await {
                return ended;
            }
        }
    }

    /// The transport.
    pub fn transport(&self) -> &T {
        &self.io
    }

    /// Sends what is left, even when the conversation has ended.
    pub(crate) async fn drain(&mut self) -> Result<(), ProtocolError> {
        poll_fn(|cx| self.poll_send(cx)).await
    }

    /// Waits for `until` while the connection is served; events stay in the machine.
    async fn wait_until(&mut self, until: Option<Instant>) -> Result<(), ProtocolError> {
        let Some(until) = until else { return Ok(()) };
        let mut sleep = pin!(sleep_until(until));
        poll_fn(|cx| {
            while let Poll::Ready(step) = self.poll_step(cx) {
                if let Err(ended) = step {
                    return self.note_end(Poll::Ready(Err(ended)));
                }
            }
            sleep.as_mut().poll(cx).map(Ok)
        })
        .await
    }

    fn note_end(&mut self, step: Poll<Result<(), ProtocolError>>) -> Poll<Result<(), ProtocolError>> {
        if let Poll::Ready(Err(ended)) = &step {
            if matches!(ended, ProtocolError::Malformed(_)) && self.ended.is_none() {
                self.counters.malformed_frames.increment();
            }
            self.ended = Some(ended.clone());
        }
        step
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<M::Event, ProtocolError>> {
        loop {
            if let Some(event) = self.machine.event() {
                return Poll::Ready(Ok(event));
            }
            if let Some(ended) = &self.ended {
                return Poll::Ready(Err(ended.clone()));
            }
            // An error is remembered and returned by the next turn, after the events that came before it.
            let step = self.poll_step(cx);
            let _ = ready!(self.note_end(step));
        }
    }

    /// Sends, receives and watches the deadline; ready when the machine has learnt something.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ProtocolError>> {
        if let Poll::Ready(Err(ended)) = self.poll_send(cx) {
            return Poll::Ready(Err(ended));
        }
        // A peer that does not take its answers gets no more requests served.
        if self.output.len() < limits::OUTPUT_BYTES_MAX
            && let Poll::Ready(received) = self.poll_receive(cx)
        {
            return Poll::Ready(received);
        }
        self.poll_deadline(cx)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ProtocolError>> {
        loop {
            self.machine.transmit(&mut self.output);
            if self.output.is_empty() {
                return Pin::new(&mut self.io).poll_flush(cx).map_err(|error| closed(&error));
            }
            match ready!(Pin::new(&mut self.io).poll_write(cx, &self.output)) {
                Ok(0) => {
                    return Poll::Ready(Err(ProtocolError::Closed(
                        "by the peer, which takes no more bytes".to_owned(),
                    )));
                }
                Ok(sent) => {
                    self.counters.bytes_sent.add(sent as u64);
                    self.output.advance(sent);
                }
                Err(error) => return Poll::Ready(Err(closed(&error))),
            }
        }
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ProtocolError>> {
        self.input.reserve(self.read_bytes);
        let room = self.input.capacity() - self.input.len();
        let received = {
            let read = pin!(self.io.read_buf(&mut self.input));
            ready!(read.poll(cx)).map_err(|error| closed(&error))?
        };
        if received == 0 {
            let cause =
                if self.input.is_empty() { "by the peer" } else { "by the peer in the middle of a frame" };
            return Poll::Ready(Err(ProtocolError::Closed(cause.to_owned())));
        }
        if received == room {
            self.read_bytes = (self.read_bytes * 2).min(limits::READ_BYTES_MAX);
        }
        self.counters.bytes_received.add(received as u64);
        let now = Instant::now();
        self.machine.receive(now, &mut self.input)?;
        if self.input.len() > limits::INPUT_BYTES_MAX {
            let kind = DecodeErrorKind::Limit { max: limits::INPUT_BYTES_MAX, got: self.input.len() };
            return Poll::Ready(Err(DecodeError { what: "frame", at: 0, kind }.into()));
        }
        // A peer that never stops sending must not keep time from passing.
        if self.machine.deadline().is_some_and(|deadline| deadline <= now) {
            self.machine.expire(now)?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ProtocolError>> {
        let Some(deadline) = self.machine.deadline() else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline || timer.is_elapsed() {
            timer.as_mut().reset(deadline);
        }
        ready!(timer.as_mut().poll(cx));
        let now = Instant::now();
        if deadline <= now {
            self.machine.expire(now)?;
            if self.machine.deadline() == Some(deadline) {
                // The machine has something to say first (an event, bytes); let others run before asking again.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(()))
    }
}

fn closed(error: &std::io::Error) -> ProtocolError {
    ProtocolError::Closed(format!("by the network ({error})"))
}

static LOOKUPS: Semaphore = Semaphore::const_new(limits::LOOKUPS);

/// The addresses of `host`.
async fn addresses(host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let turn = LOOKUPS.acquire().await.map_err(std::io::Error::other)?;
    let host = host.to_owned();
    // A look-up cannot be broken off: whoever stops waiting for it leaves its turn with it.
    let looked_up = tokio::spawn(async move {
        let _turn = turn;
        lookup_host((&*host, port)).await.map(Iterator::collect)
    });
    looked_up.await.map_err(std::io::Error::other)?
}

/// Opens a TCP connection to `host` (a name or an address) with `TCP_NODELAY` set. Every address of a name is tried.
/// The scheduler limits the time.
pub async fn connect_tcp(host: &str, port: u16) -> Result<TcpStream, SessionError> {
    let lost = |cause: String| SessionError::Lost { cause, status: Status::BadNotConnected };
    let addresses = addresses(host, port).await;
    let addresses = addresses.map_err(|error| lost(format!("cannot find `{host}`: {error}")))?;
    let mut cause = format!("`{host}` has no address");
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream
                    .set_nodelay(true)
                    .map_err(|error| lost(format!("cannot set up the socket: {error}")))?;
                return Ok(stream);
            }
            Err(error) => cause = format!("cannot connect to {address}: {error}"),
        }
    }
    Err(lost(cause))
}
