//! Connectors: what moves records between devices, topics and destinations.
//!
//! What it is: the PLC source ([`plc_source`]) that turns scans into records, the guarded PLC sink ([`plc_sink`]) that turns
//! records into write requests, and the life of connectors and their tasks.
//! What it is not: it knows no device protocol and no destination.
//!
//! Three types to know: [`plc_source::SourceGroup`] (one scan group's topic, layout and scaling),
//! [`plc_sink::SinkDevice`] (which topics may ask one device for writes).
//!
//! Data enters as scans from `driver::schedule` and as records from the bus, and leaves as records and write requests.

pub mod plc_sink;
pub mod plc_source;
