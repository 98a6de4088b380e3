//! Connectors: what moves records between devices, topics and destinations.
//!
//! What it is: the PLC source ([`plc_source`]) that turns scans into records, the guarded PLC sink ([`plc_sink`]) that turns
//! records into write requests, the trail of every write ([`audit`]), the forwarder to a remote bus ([`forward`]), the life of
//! connectors and their tasks ([`task`]), and Kafka Connect's config files ([`config`], [`plc4x_config`]).
//! What it is not: it knows no device protocol and no destination.
//!
//! Three types to know: [`plc_source::PlcSource`] (turns every device's scans into records), [`plc_sink::PlcSink`] (hands one
//! topic's commands to one device's guard), [`task::TaskHandle`] (one supervised task).
//!
//! Data enters as scans from `driver::schedule` and as records from the bus, and leaves as records and write requests.

pub mod audit;
mod back_off;
pub mod config;
pub mod contract;
pub mod forward;
pub mod limits;
mod metrics;
mod outbox;
pub mod plc4x_config;
pub mod plc_sink;
pub mod plc_source;
pub mod task;

pub use metrics::ConnectorMetrics;
