//! Every limit of a plant folder, with its unit and reason.

use std::time::Duration;

/// Largest file that is read, in bytes: a tag list of 100,000 rows has about 8 MB.
pub const FILE_BYTES: u64 = 32 << 20;
/// Most files of one kind in a folder; more is a wrong folder (a home directory, a checkout).
pub const FILES: usize = 4_096;
/// Most rows of one CSV file.
pub const CSV_ROWS: usize = 200_000;
/// Most devices of one plant.
pub const DEVICES: usize = 20_000;
/// Mistakes that are reported at once; what follows is counted.
pub const DIAGNOSTICS: usize = 1_000;
/// Shortest scan interval: below it the scheduler's timer, not the device, sets the pace.
pub const INTERVAL_MIN: Duration = Duration::from_millis(1);
/// Longest scan interval, and longest of every other period.
pub const INTERVAL_MAX: Duration = Duration::from_hours(24);
/// Characters of a device's, group's or template's name: with the group's it makes a topic of at most 249.
pub const NAME_CHARS: usize = 100;
/// Characters of a tag's name.
pub const TAG_NAME_CHARS: usize = 128;
/// Characters of a topic's name, as in Kafka.
pub const TOPIC_CHARS: usize = 249;
/// Requests in flight where only the connection string sets a limit.
pub const IN_FLIGHT: usize = 64;
/// With on-change mode: the longest time without a full record, where nothing else is said.
pub const MAX_INTERVAL: Duration = Duration::from_mins(1);
