//! Every limit of this crate, with its unit and reason.

/// The largest text that is decoded, in bytes: the largest record of a topic.
pub const TEXT_BYTES: usize = 1_048_588;
/// The deepest nesting that is decoded: rows are flat, Connect's schema envelopes need five levels.
pub const DEPTH: usize = 32;
