//! A broker of its own on a folder and a port, without a plant: `cargo run -p millstream-broker --example broker -- DIR PORT`.
#![expect(clippy::print_stdout, reason = "the address is what it is asked for")]

use millstream_broker::{Embedded, EmbeddedConfig, ListenerConfig, Wire, WireConfig};
use millstream_log::{Log, LogConfig, OsDisk};
use millstream_model::{Clock, Timestamp};
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::UNIX_EPOCH;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug)]
struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "an example is its own binary")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(dir), Some(port)) = (arguments.next(), arguments.next()) else {
        return Err("usage: broker DIR PORT".into());
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let log = Log::open(Arc::new(OsDisk), &PathBuf::from(dir), LogConfig::default(), Arc::clone(&clock))?.0;
    let embedded = Embedded::open(log, EmbeddedConfig::default(), clock).await?;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse()?));
    let listeners = vec![ListenerConfig { listen, ..ListenerConfig::default() }];
    let wire = Wire::serve(&embedded, WireConfig { listeners, ..WireConfig::default() }).await?;
    for address in wire.addresses() {
        println!("{address}");
    }
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    wire.close().await;
    embedded.close().await?;
    Ok(())
}
