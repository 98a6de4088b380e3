//! Every limit of this crate, with its unit and reason.

use std::time::Duration;

/// How many subjects there may be: one per topic's keys and values, and some.
pub const SUBJECTS_MAX: usize = 50_000;
/// How many versions a subject may have.
pub const VERSIONS_MAX: usize = 10_000;
/// The longest name of a subject in bytes.
pub const SUBJECT_BYTES_MAX: usize = 512;
/// The longest answer of another registry that is read, in bytes.
pub const ANSWER_BYTES_MAX: usize = 4 << 20;
/// How long another registry may take to answer one request.
pub const ANSWER_TIME: Duration = Duration::from_secs(30);
/// How often a write is tried again that another process came before.
pub const TRIES_MAX: usize = 10;
/// How long one poll of `_schemas` waits for records that are known to be there.
pub const POLL_TIME: Duration = Duration::from_millis(500);
/// How many polls in a row may bring nothing while records are known to be there.
pub const EMPTY_POLLS_MAX: usize = 60;
