//! Why bytes are not what they should be.

use thiserror::Error;

/// Bytes could not be decoded. Encoding never fails.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FormatError {
    /// Larger than anything that is decoded.
    #[error("{len_bytes} bytes are over the limit of {max_bytes}")]
    TooLarge {
        /// What there is.
        len_bytes: usize,
        /// See [`crate::limits::TEXT_BYTES`].
        max_bytes: usize,
    },
    /// Nested deeper than anything that is decoded.
    #[error("nested deeper than {depth_max} levels")]
    TooDeep {
        /// See [`crate::limits::DEPTH`].
        depth_max: usize,
    },
    /// No JSON.
    #[error("not valid JSON: {0}")]
    Malformed(String),
    /// JSON of another shape.
    #[error("expected {expected}, found {found}")]
    Unexpected {
        /// What belongs there.
        expected: &'static str,
        /// What stands there.
        found: &'static str,
    },
}
