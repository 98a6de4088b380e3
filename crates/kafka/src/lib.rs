//! `Bus` over an Apache Kafka cluster (or anything that speaks its protocol), with librdkafka.
//!
//! What it is: clients of librdkafka behind the bus: one idempotent producer for all appends, one consumer per reader,
//! one transactional producer per id. It passes the contract of `millstream_bus::contract`.
//! What it is not: it keeps nothing itself, and knows nothing of the embedded log.
//!
//! Three types to know: [`KafkaSettings`] (the address, and librdkafka's own names for the rest), [`KafkaBus`] (the
//! engine), and `millstream_bus::BusError`, onto which every error code is sorted.
//!
//! Data enters through librdkafka's queue, a batch at a time, and leaves through its consumer queues. Calls of librdkafka
//! that wait for the network run on blocking threads, never on a task's.
//!
//! Not covered: groups of KIP-848 are not listed by `groups`; a record stamped with the first millisecond of 1970 is stamped
//! with the second, because librdkafka takes 0 for "now".

mod append;
mod bus;
mod client;
mod error;
mod fetch;
mod group;
pub mod limits;
mod settings;
mod topic;
mod transaction;

pub use bus::KafkaBus;
pub use settings::KafkaSettings;
