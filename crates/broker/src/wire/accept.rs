//! Accepting connections: how many there may be, and what happens when there are too many.

use crate::seldom::Seldom;
use crate::wire::call::{Broker, Peer};
use crate::wire::listener::ListenerConfig;
use crate::wire::principal::Principal;
use crate::wire::sasl::Identity;
use crate::wire::threads::Seats;
use crate::wire::tls::Tls;
use crate::wire::wire_limits::WireLimits;
use crate::wire::{connection, limits};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

static CONNECTIONS: AtomicU64 = AtomicU64::new(0);

/// How many connections there are, per address.
#[derive(Debug)]
pub(crate) struct Connections {
    total_max: usize,
    per_ip_max: usize,
    by_ip: Mutex<ByIp>,
}

#[derive(Debug, Default)]
struct ByIp {
    total: usize,
    counts: BTreeMap<IpAddr, usize>,
}

/// One connection that counts.
#[derive(Debug)]
struct Slot {
    ip: IpAddr,
    connections: Arc<Connections>,
}

impl Connections {
    pub(crate) fn new(broker: &Broker) -> Self {
        let limits = &broker.config.limits;
        Self { total_max: limits.connections, per_ip_max: limits.connections_per_ip, by_ip: Mutex::default() }
    }

    /// A place for one more; `None` where there is none.
    fn enter(self: &Arc<Self>, ip: IpAddr) -> Option<Slot> {
        let mut by_ip = self.by_ip.lock();
        let count = by_ip.counts.get(&ip).copied().unwrap_or(0);
        if by_ip.total >= self.total_max || count >= self.per_ip_max {
            return None;
        }
        by_ip.total += 1;
        by_ip.counts.insert(ip, count + 1);
        Some(Slot { ip, connections: Arc::clone(self) })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut by_ip = self.connections.by_ip.lock();
        by_ip.total -= 1;
        match by_ip.counts.get_mut(&self.ip) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(by_ip.counts.remove(&self.ip)),
        }
    }
}

/// Accepts connections of one listener and serves them, until the broker closes; then waits for them to end.
pub(crate) async fn accept(
    broker: Arc<Broker>,
    connections: Arc<Connections>,
    listener: Arc<ListenerConfig>,
    tls: Option<Arc<Tls>>,
    socket: TcpListener,
    seats: Seats,
) {
    let mut closing = broker.closing.subscribe();
    let mut served = JoinSet::new();
    let refused = Seldom::new();
    let (first_pause, longest_pause) = limits::ACCEPT_PAUSES;
    let mut pause = first_pause;
    loop {
        let accepted = tokio::select! {
            // An error would be a broker that is gone already.
            _ = closing.wait_for(|is_closing| *is_closing) => break,
            accepted = socket.accept() => accepted,
            Some(_) = served.join_next() => continue,
        };
        match accepted {
            Ok((stream, address)) => {
                pause = first_pause;
                let Some(slot) = connections.enter(address.ip().to_canonical()) else {
                    broker.metrics.refused.increment();
                    tell_of_refused(&broker, address, &refused);
                    continue;
                };
                let (broker, listener, tls) = (Arc::clone(&broker), Arc::clone(&listener), tls.clone());
                let (seat, stream) = (seats.take(), stream.into_std());
                let handle = seat.handle();
                let serving = async move {
                    // From now on the thread of its seat is woken for it.
                    if let Ok(stream) = stream.and_then(TcpStream::from_std) {
                        serve(broker, listener, tls, stream, address, slot).await;
                    }
                    drop(seat);
                };
                served.spawn_on(serving, &handle);
            }
            Err(error) => {
                // Most likely the process has no file handles left. Clients wait in the system's queue meanwhile.
                tracing::warn!(%error, pause_ms = pause.as_millis(), "a Kafka connection could not be accepted");
                sleep(pause).await;
                pause = (pause * 2).min(longest_pause);
            }
        }
    }
    drop(socket);
    while served.join_next().await.is_some() {}
}

fn tell_of_refused(broker: &Broker, client: SocketAddr, refused: &Seldom) {
    let Some(left_out) = refused.due() else { return };
    let WireLimits { connections, connections_per_ip, .. } = broker.config.limits;
    tracing::warn!(%client, connections, connections_per_ip, left_out, "there are too many Kafka connections");
}

async fn serve(
    broker: Arc<Broker>,
    listener: Arc<ListenerConfig>,
    tls: Option<Arc<Tls>>,
    stream: TcpStream,
    address: SocketAddr,
    _slot: Slot,
) {
    // Answers are written whole. Without it they are late, not wrong.
    let _ = stream.set_nodelay(true);
    let Ok(mut local) = stream.local_addr() else { return };
    // A client of IPv4 alone makes nothing of the address that a listener of both sees.
    local.set_ip(local.ip().to_canonical());
    let identity = if listener.protocol.is_sasl() || tls.is_some() {
        Identity::default()
    } else {
        let anonymous = Principal::anonymous();
        let is_super = broker.security.is_super(&anonymous);
        Identity::known(anonymous, is_super)
    };
    let host = address.ip().to_canonical().to_string();
    let connection = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
    let peer =
        Arc::new(Peer { connection, address, host, identity, local, software: OnceLock::new(), listener });
    let metrics = Arc::clone(&broker);
    metrics.metrics.accepted.increment();
    metrics.metrics.connections.add(1);
    let served = match tls {
        Some(tls) => match tls.accept(&broker, &peer, stream).await {
            Ok(stream) => connection::serve(broker, Arc::clone(&peer), stream).await,
            Err(close) => Err(close),
        },
        None => connection::serve(broker, Arc::clone(&peer), stream).await,
    };
    metrics.metrics.connections.add(-1);
    if let Err(reason) = served {
        metrics.metrics.closed.increment();
        let software = peer.software.get();
        tracing::debug!(client = %address, ?software, %reason, "a Kafka connection was closed");
    }
}
