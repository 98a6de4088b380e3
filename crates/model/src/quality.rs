//! Quality: how far a value may be trusted. Names are those of OPC UA Part 4 and Part 8 status codes.

use crate::Value;
use std::fmt;

macro_rules! statuses {
    ($($variant:ident $doc:literal;)*) => {
        /// Why a value is not plainly good. The names are OPC UA status codes (Part 4, 7.39; Part 8, A.4.3).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Status { $(#[doc = $doc] $variant,)* }

        impl Status {
            /// Every status.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The OPC UA name, for example `BadTimeout`.
            pub const fn name(self) -> &'static str { match self { $(Self::$variant => stringify!($variant),)* } }
        }
    };
}

statuses! {
    UncertainLastUsableValue "The value is the last one known; it could not be refreshed.";
    UncertainSubNormal "Fewer sources than required delivered it.";
    BadTimeout "No answer came in time.";
    BadNotConnected "There is no connection to the device yet, or it was refused.";
    BadCommunicationError "The connection broke, or the answer made no sense.";
    BadConnectionClosed "The device closed the connection.";
    BadNodeIdUnknown "The device has no such address.";
    BadOutOfRange "The value lies outside the type or the allowed range.";
    BadTypeMismatch "The value is of another type than declared.";
    BadDecodingError "The bytes could not be decoded.";
    BadNotReadable "The address cannot be read.";
    BadNotWritable "The address cannot be written.";
    BadNotSupported "The device does not support the request.";
    BadDeviceFailure "The device reports a fault of its own.";
    BadResourceUnavailable "The device is busy, or a gateway cannot reach it.";
    BadOutOfService "The unit is taken out of the scan for a while, because it did not answer.";
    BadConfigurationError "The tag's configuration does not fit the device.";
    BadUnexpectedError "Something that should not happen.";
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One tag's outcome in one scan. A good cell always has a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Read now and fine.
    Good(Value),
    /// A value to be used with care.
    Uncertain(Value, Status),
    /// No value, and why.
    Bad(Status),
}

impl Cell {
    /// The value, good or uncertain.
    pub fn value(&self) -> Option<&Value> {
        match self {
            Self::Good(value) | Self::Uncertain(value, _) => Some(value),
            Self::Bad(_) => None,
        }
    }

    /// The status, unless the cell is good.
    pub fn status(&self) -> Option<Status> {
        match self {
            Self::Good(_) => None,
            Self::Uncertain(_, status) | Self::Bad(status) => Some(*status),
        }
    }

    /// Whether the cell is good.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Good(_))
    }
}
