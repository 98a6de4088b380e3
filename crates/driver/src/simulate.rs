//! Simulated machines: signals over time, and faults on demand. Protocols serve them through their own codec.

use crate::{TagSpec, Target};
use std::net::SocketAddr;

/// What a simulator serves.
#[derive(Debug)]
pub struct SimulatorSpec {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The device's connection options (unit id, byte order).
    pub target: Target,
    /// The addresses that exist; everything else is refused as the protocol refuses it.
    pub tags: Vec<TagSpec>,
}

/// A simulator that runs until it is dropped.
#[derive(Debug)]
pub struct SimulatorHandle {
    /// Where it listens.
    pub address: SocketAddr,
}
