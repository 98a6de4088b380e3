//! The simulator's socket side: listens, gives every connection a machine, and does what the faults say about connections.

use super::{Faults, World};
use crate::pump::Pump;
use crate::{Machine, SessionError, limits};
use millstream_model::Status;
use millstream_model::metric::{Counter, Gauge};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

/// What a simulator has seen.
#[derive(Debug, Default)]
pub struct SimulatorCounters {
    /// Connections that were accepted.
    pub connections: Counter,
    /// Connections that are open.
    pub connections_now: Gauge,
    /// Requests that were understood. Counted by the protocol's machine.
    pub requests: Counter,
    /// Writes that were carried out. Counted by the protocol's machine.
    pub writes: Counter,
    /// Requests that were refused. Counted by the protocol's machine.
    pub refused: Counter,
    /// Requests that made no sense. Counted by the protocol's machine.
    pub malformed: Counter,
}

/// What one connection's machine is made from.
#[derive(Debug, Clone)]
pub struct SimulatorContext {
    /// Values.
    pub world: World,
    /// What goes wrong.
    pub faults: Faults,
    /// Where to count.
    pub counters: Arc<SimulatorCounters>,
    /// Differs for every connection.
    pub seed: u64,
}

/// A simulator that runs until it is dropped.
#[derive(Debug)]
pub struct SimulatorHandle {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its faults.
    pub faults: Faults,
    /// The world it is part of.
    pub world: World,
    /// What it has seen.
    pub counters: Arc<SimulatorCounters>,
    task: JoinHandle<()>,
}

impl Drop for SimulatorHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Listens at `listen` and serves every connection with the machine that `machine` makes for it.
pub async fn serve<M, F>(
    listen: SocketAddr,
    world: World,
    faults: Faults,
    machine: F,
) -> Result<SimulatorHandle, SessionError>
where
    M: Machine + 'static,
    F: Fn(SimulatorContext) -> M + Send + 'static,
{
    let lost = |error: io::Error| SessionError::Lost {
        cause: format!("cannot listen at {listen}: {error}"),
        status: Status::BadNotConnected,
    };
    let listener = TcpListener::bind(listen).await.map_err(lost)?;
    let address = listener.local_addr().map_err(lost)?;
    let counters = Arc::new(SimulatorCounters::default());
    let context = SimulatorContext {
        world: world.clone(),
        faults: faults.clone(),
        counters: counters.clone(),
        seed: 0,
    };
    let task = tokio::spawn(accept(listener, address, context, machine));
    Ok(SimulatorHandle { address, faults, world, counters, task })
}

async fn accept<M, F>(listener: TcpListener, address: SocketAddr, mut context: SimulatorContext, machine: F)
where
    M: Machine + 'static,
    F: Fn(SimulatorContext) -> M + Send + 'static,
{
    let mut listener = Some(listener);
    let mut changed = context.faults.watch();
    let mut connections = JoinSet::new();
    loop {
        if context.faults.refuses_connections()
            && let Some(open) = listener.take()
        {
            drop(open);
            // Bound but not listening: connections are refused, and nobody else can take the port meanwhile.
            let reserved = reserve(address);
            while context.faults.refuses_connections() {
                if changed.changed().await.is_err() {
                    return;
                }
            }
            listener = reserved.and_then(|socket| socket.listen(1024)).ok();
        }
        let Some(open) = &listener else {
            tracing::error!(%address, "the simulator could not listen again");
            return;
        };
        tokio::select! {
            _ = changed.changed() => {}
            _ = connections.join_next(), if !connections.is_empty() => {}
            accepted = open.accept() => {
                // Out of file handles, for example: wait for some to come back.
                let Ok((stream, _)) = accepted else { sleep(limits::ACCEPT_RETRY).await; continue };
                context.counters.connections.increment();
                if context.faults.connections_max().is_some_and(|max| context.counters.connections_now.get() >= i64::try_from(max).unwrap_or(i64::MAX)) {
                    continue;
                }
                context.seed += 1;
                let open = Open::new(context.counters.clone());
                connections.spawn(converse(stream, machine(context.clone()), context.faults.clone(), open));
            }
        }
    }
}

fn reserve(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Counts a connection while it is open.
struct Open(Arc<SimulatorCounters>);

impl Open {
    fn new(counters: Arc<SimulatorCounters>) -> Self {
        counters.connections_now.add(1);
        Self(counters)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections_now.add(-1);
    }
}

async fn converse<M: Machine>(stream: TcpStream, machine: M, faults: Faults, _open: Open) {
    let mut changed = faults.watch();
    let disconnects = faults.disconnects();
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let mut pump = Pump::new(stream, machine);
    loop {
        tokio::select! {
            _ = pump.idle(), if !faults.is_half_open() => {
                // What the machine had ready when it ended (half an answer) still goes out.
                let _ = timeout(Duration::from_secs(1), pump.drain()).await;
                return;
            }
            _ = changed.changed() => {}
        }
        if faults.disconnects() != disconnects {
            // With zero linger the peer sees a reset, as when a cable is cut or a PLC restarts.
            let _ = pump.transport().set_zero_linger();
            return;
        }
    }
}
