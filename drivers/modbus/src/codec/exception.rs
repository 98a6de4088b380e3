//! Exception codes, and what they mean for a cell.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use millstream_model::Status;
use std::fmt;

/// A device's "no" (V1.1b3, 7). Codes that the specification does not name are kept as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExceptionCode(pub u8);

impl ExceptionCode {
    /// The device does not have the function.
    pub const ILLEGAL_FUNCTION: Self = Self(1);
    /// An address of the request does not exist.
    pub const ILLEGAL_DATA_ADDRESS: Self = Self(2);
    /// A value or quantity is not allowed.
    pub const ILLEGAL_DATA_VALUE: Self = Self(3);
    /// The device failed while doing it.
    pub const SERVER_DEVICE_FAILURE: Self = Self(4);
    /// The device accepted it and needs long.
    pub const ACKNOWLEDGE: Self = Self(5);
    /// The device is busy; later.
    pub const SERVER_DEVICE_BUSY: Self = Self(6);
    /// The device will not do it (older devices).
    pub const NEGATIVE_ACKNOWLEDGE: Self = Self(7);
    /// A file's memory failed its check.
    pub const MEMORY_PARITY_ERROR: Self = Self(8);
    /// The gateway has no way to the unit.
    pub const GATEWAY_PATH_UNAVAILABLE: Self = Self(10);
    /// The unit behind the gateway did not answer.
    pub const GATEWAY_TARGET_FAILED: Self = Self(11);

    /// In words.
    pub const fn words(self) -> &'static str {
        match self.0 {
            1 => "illegal function",
            2 => "illegal data address",
            3 => "illegal data value",
            4 => "server device failure",
            5 => "acknowledge: accepted, still being processed",
            6 => "server device busy",
            7 => "negative acknowledge",
            8 => "memory parity error",
            10 => "gateway path unavailable",
            11 => "gateway target device failed to respond",
            _ => "unknown exception",
        }
    }

    /// The status of the cells of a request that was answered with it.
    pub const fn status(self) -> Status {
        match self.0 {
            1 | 7 => Status::BadNotSupported,
            2 => Status::BadNodeIdUnknown,
            3 => Status::BadOutOfRange,
            4 | 8 => Status::BadDeviceFailure,
            5 | 6 | 10 | 11 => Status::BadResourceUnavailable,
            _ => Status::BadUnexpectedError,
        }
    }

    /// Whether a gateway says that it cannot reach the unit.
    pub const fn is_gateway(self) -> bool {
        matches!(self.0, 10 | 11)
    }
}

impl fmt::Display for ExceptionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exception {} ({})", self.0, self.words())
    }
}
