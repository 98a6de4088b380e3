//! Modbus TCP: PLC4X's connection strings and addresses, the fewest requests, and a simulator on the same codec.
//!
//! What it is: a client and a server for the MODBUS Application Protocol V1.1b3 over TCP (Messaging on TCP/IP V1.0b),
//! functions 1–6, 15, 16, 20–23 and 43/14. [`address`], [`value`], [`codec`], [`plan`], [`refused`], [`session`] and
//! [`simulator`] are pure; [`client`] is the thin async shell over the pump of `driver`.
//! What it is not: no serial line (RTU, ASCII), no UDP, no TLS. No diagnostics (function 8), no FIFO (24): no function can
//! stop or restart a device.
//!
//! Three types to know: [`client::Modbus`] (the driver), [`address::Address`] (where a value is and what it is),
//! [`plan::Plan`] (the requests of a scan).
//!
//! Data enters as frames from a device and leaves as the cells of a row; allowed writes enter as a permit.
//!
//! # How PLC4X's grammar is read
//!
//! As PLC4X 0.13 reads it, and 1.0's `[first..last]` before the type beside it. Wider than PLC4X:
//!
//! * register 65536 and extended register 0 can be read;
//! * `holding-register:5.3:BOOL` is bit 3 of register 5 (0 is the least significant), and `5.0:BOOL[16]` counts up from it;
//!   `5:BOOL[16]` fills from the most significant bit down, as PLC4X has it;
//! * option values need no quotes, data types may be in any letter case.
//!
//! Stricter than PLC4X:
//!
//! * coils and discrete inputs are `BOOL`; `TIME`, `DATE` and their kin are not carried by Modbus;
//! * `STRING` and `WSTRING` say their length; `STRING[20]` of PLC4X 0.x is read as `STRING(20)`;
//! * a value is at most 125 registers or 2,000 bits, so that one request reads it whole;
//! * `[3]:BOOL` or `[3..5]:BYTE` on registers is refused: several of them share a register, and PLC4X's versions differ on
//!   where the third is.
//!
//! `[n]` behind the type, or without a type, counts elements (`INT[1]` is one value); before a type it selects one.
//! One eight-bit value alone is the low byte of its register; arrays of them, strings and raw bytes lie two to a register,
//! the first in the high byte. `STRING` is UTF-8 up to the first zero byte, `CHAR` is ISO 8859-1, `WSTRING` is UTF-16 in
//! the byte order of the tag.
//!
//! # What exceptions mean
//!
//! | exception | cell | beside |
//! |---|---|---|
//! | 1 illegal function, 7 negative acknowledge | `BadNotSupported` | |
//! | 2 illegal data address | `BadNodeIdUnknown` | the request is split to find the culprit, which is remembered |
//! | 3 illegal data value | `BadOutOfRange` | |
//! | 4 device failure, 8 memory parity | `BadDeviceFailure` | |
//! | 5 acknowledge, 6 busy | `BadResourceUnavailable` | |
//! | 10 no gateway path, 11 gateway target failed | `BadResourceUnavailable` | the unit is out of service for a while |
//!
//! A write that is answered with 1, 2, 3, 6, 7 or 10 was refused; with 4, 5, 8 or 11 nobody knows, so it is read back.

pub mod address;
pub mod client;
pub mod codec;
pub mod limits;
pub mod options;
pub mod plan;
pub mod refused;
pub mod session;
pub mod simulator;
pub mod value;

pub use address::Address;
pub use client::Modbus;

/// The driver, for the list of parts.
pub const fn driver() -> Modbus {
    Modbus
}
