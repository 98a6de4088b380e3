//! Why a write was refused, as stable codes.

/// The tag is not in the device's list of writes.
pub const NOT_ALLOWED: &str = "not-allowed";
/// The value does not fit the address: another type, no number, a fraction for a whole number, or beyond the type.
pub const WRONG_TYPE: &str = "wrong-type";
/// Below `min` or above `max`.
pub const OUT_OF_RANGE: &str = "out-of-range";
/// Too far from the value that is in the device now, or that value is not known.
pub const STEP: &str = "step";
/// Sooner after the last write than `min_interval`.
pub const TOO_SOON: &str = "too-soon";
/// Past `expires` or `max_age`, or dated in the future.
pub const TOO_OLD: &str = "too-old";
/// A newer value for the same tag came before this one was written.
pub const SUPERSEDED: &str = "superseded";
/// The same command was here before.
pub const DUPLICATE: &str = "duplicate";
/// Too many writes of the tag failed in a row; it waits to be re-armed.
pub const LATCHED: &str = "latched";
/// The device, or the unit behind it, was not reachable while the command was good.
pub const OFFLINE: &str = "offline";
/// Too many commands wait for the device.
pub const BUSY: &str = "busy";
/// The intent could not be made durable in the audit trail, so nothing was written.
pub const AUDIT: &str = "audit";
