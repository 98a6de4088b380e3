//! Frames of Modbus TCP, both directions: client and simulator use the same code.
//!
//! [`adu`] is the frame on TCP, [`request`] and [`response`] are what is in it. Every type can only be made with
//! quantities that the specification allows, so that no invalid frame can be encoded. There is no diagnostic function
//! that could stop or restart a device (8 with sub-functions 1 and 4, 90): the encoder does not have them.
//!
//! Sources: MODBUS Application Protocol Specification V1.1b3; MODBUS Messaging on TCP/IP Implementation Guide V1.0b.

pub mod adu;
pub mod exception;
pub mod expect;
pub mod file;
pub mod function;
pub mod range;
pub mod request;
pub mod response;

pub use adu::Header;
pub use exception::ExceptionCode;
pub use expect::{Answer, Expect};
pub use file::{FileBlock, FileRange, FileReads, FileWrites};
pub use function::Function;
pub use range::{BitRange, CoilBlock, Illegal, ReadWrite, RegisterBlock, RegisterRange};
pub use request::{IdentificationCode, Request};
pub use response::{BitData, FileData, Identification, RegisterData, Response};
