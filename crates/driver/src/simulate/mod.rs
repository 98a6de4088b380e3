//! Simulated machines: a [`World`] of signals over time, [`Faults`] on demand, and the server that both are served by.
//!
//! A protocol brings its own state machine (a [`Machine`](crate::Machine) on its own codec). It looks values up in the world
//! ([`World::moment`]), asks the faults what happens to each answer ([`Faults::fate`]), and puts answers in an [`Outbox`],
//! which delays, drops, doubles or spoils them. [`serve`] listens and gives every connection a machine of its own.

mod faults;
mod outbox;
mod serve;
mod signal;
mod world;

pub use faults::{AnswerFault, Fate, FaultSettings, Faults};
pub use outbox::Outbox;
pub use serve::{SimulatorContext, SimulatorCounters, SimulatorHandle, serve};
pub use signal::{Follow, SIGNAL_OPTIONS, Signal, SignalKind};
pub use world::{Moment, NotWritable, SignalId, World};

use crate::{TagSpec, Target};
use std::net::SocketAddr;
use std::sync::Arc;

/// What a simulator serves.
#[derive(Debug, Clone)]
pub struct SimulatorSpec {
    /// The device's name; its tags are found under it in the world.
    pub device: Arc<str>,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The device's connection options (unit id, byte order).
    pub target: Target,
    /// The addresses that exist; everything else is refused as the protocol refuses it. The driver adds them to the world.
    pub tags: Vec<SimulatedTag>,
    /// The world that the tags are part of; shared by simulators that follow one another.
    pub world: World,
    /// Faults that hold from the start; switchable later through the handle.
    pub faults: Faults,
}

/// One address of a simulated machine.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulatedTag {
    /// Name in the world and address in the driver's grammar.
    pub tag: TagSpec,
    /// How its value moves.
    pub signal: Signal,
    /// Whether it may be written. A written value stays until the next write.
    pub writable: bool,
}
