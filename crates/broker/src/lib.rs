//! The embedded Kafka: coordinators for groups, offsets, producers and transactions over the log, in this process.
//!
//! What it is: Kafka's broker side: internal topics, producer ids and epochs, control batches, last stable offsets, group
//! generations. `Bus` is implemented on the coordinators directly, with no socket; [`Wire`] serves the Kafka protocol on
//! them to everyone else.
//! What it is not: it does not know what records mean, and has no replication: one process owns one log.
//!
//! Three types to know: [`Embedded`] (the engine, a `millstream_bus::Bus`), [`EmbeddedConfig`] (its time-outs), and
//! `millstream_log::Log`, which it keeps everything in.
//!
//! Data enters through appends and transactions as batches for the log, and leaves through readers, whose records are
//! slices of the bytes that the log has read.
//!
//! What is promised: an offset is committed only after everything before it is on disk; a transaction is whole or absent for
//! readers of committed records whatever moment the power fails, and its offsets with it.

mod bus;
mod coordinate;
mod embedded;
mod error;
mod fetch;
pub mod limits;
mod member;
mod producer;
mod reader;
mod record;
mod replica;
mod seldom;
mod topic_config;
mod topics;
mod wait;
mod wire;

pub use coordinate::consumer_groups::ConsumerGroupConfig;
pub use coordinate::groups::GroupConfig;
pub use embedded::{Embedded, EmbeddedConfig, ProducerConfig};
pub use wire::{
    Certificate, ClientAuthentication, ListenerConfig, Mechanism, Password, PrincipalRules, QuotaEntity,
    QuotaRule, Quotas, SecurityConfig, SecurityError, SecurityProtocol, TlsConfig, User, Wire, WireConfig,
    WireError, WireLimits, is_user_name,
};
