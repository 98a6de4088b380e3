//! A simulated Modbus machine that lives in the test, so that it outlives whatever is killed.

use millstream_driver::simulate::{
    Faults, Signal, SignalKind, SimulatedTag, SimulatorHandle, SimulatorSpec, World,
};
use millstream_driver::{ConnectionString, Driver as _, TagSpec};
use millstream_modbus::{Modbus, options};
use millstream_model::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::time::Duration;
use tokio::runtime::Runtime;

/// A machine with a thread of its own. Derefs to its handle: faults, counters, address.
#[derive(Debug)]
pub struct Machine {
    handle: SimulatorHandle,
    /// Ends after the handle.
    _runtime: Runtime,
}

impl Machine {
    /// Serves `tags` at a free port, every connection with a machine of its own.
    pub fn start(tags: Vec<SimulatedTag>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime for the simulator");
        let text = ConnectionString::parse("modbus-tcp://simulated").expect("a connection string");
        let spec = SimulatorSpec {
            device: "machine".into(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, crate::peer::free_port())),
            target: options::target(text).expect("a connection string without options"),
            tags,
            world: World::new(1),
            faults: Faults::default(),
        };
        let handle = runtime.block_on(Modbus.simulate(spec)).expect("the port is free");
        Self { handle, _runtime: runtime }
    }

    /// What to write into a plant folder.
    pub fn connection(&self) -> String {
        format!("modbus-tcp://{}", self.handle.address)
    }
}

impl Deref for Machine {
    type Target = SimulatorHandle;

    fn deref(&self) -> &SimulatorHandle {
        &self.handle
    }
}

/// A number that grows by one every `period`.
pub fn counter(name: &str, address: &str, period: Duration) -> SimulatedTag {
    let signal = Signal { kind: SignalKind::Counter, period, ..Signal::default() };
    SimulatedTag { tag: TagSpec::new(name, address), signal, writable: false }
}

/// A value that stays until it is written.
pub fn holds(name: &str, address: &str, value: Value) -> SimulatedTag {
    SimulatedTag { tag: TagSpec::new(name, address), signal: Signal::hold(value), writable: true }
}
