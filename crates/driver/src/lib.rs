//! What every device protocol shares: the traits it implements and everything that is not protocol.
//!
//! What it is: [`Driver`] and [`Session`], connection strings, plans, the one I/O [`pump`], the [`schedule`]r with its
//! governor, [`simulate`]d machines, and **the [`guard`]**: the only place that can allow a write to a machine.
//! What it is not: it knows no protocol and no topic.
//!
//! Three types to know: [`Driver`] (a protocol), [`Session`] (one live connection), [`guard::Permit`] (leave to write,
//! which only the guard can make).
//!
//! Data enters from a device through a [`Session`] and leaves as rows through [`schedule::ScanObserver`];
//! writes enter through [`schedule::DeviceHandle`].

mod connection;
pub mod contract;
pub mod guard;
pub mod limits;
mod machine;
mod plan;
pub mod pump;
mod random;
pub mod schedule;
mod session;
pub mod simulate;
mod tag;
pub mod wire;

pub use connection::{ConnectionString, Target};
pub use machine::{Busy, Instant, Machine, ProtocolError};
pub use plan::{PlanSummary, PlannedRequest, TagProblem};
pub use random::Random;
pub use session::{
    About, Driver, Limits, Session, SessionContext, SessionCounters, SessionError, WriteOutcome, WriteResult,
};
pub use tag::{GroupIndex, TagSpec};
