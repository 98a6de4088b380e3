//! Modbus TCP.

pub mod address;
pub mod codec;
pub mod limits;
pub mod options;
pub mod plan;
pub mod refused;
pub mod value;
