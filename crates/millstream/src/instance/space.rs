//! The alarm before the disk is full (F15).

use millstream_broker::Embedded;
use millstream_log::Space;
use millstream_server::{Condition, Problem};
use std::sync::Arc;

/// Part of the disk in use from which on it is told, in percent.
const FULL_PERCENT: u64 = 80;
/// A large disk is not full while it has this much left, whatever the percentage.
const PLENTY_BYTES: u64 = 20 << 30;

/// Watches the disk under the embedded log.
#[derive(Debug)]
pub(super) struct DiskSpace(pub(super) Arc<Embedded>);

impl DiskSpace {
    /// What is to be said about the disk, if anything.
    pub(super) fn problem(&self) -> Option<Problem> {
        let what = match self.0.space() {
            Ok(space) => words(space)?,
            Err(error) => error.to_string(),
        };
        Some(Problem {
            condition: Condition::Warning,
            who: "disk".to_owned(),
            what,
            help: Some("free some space, or shorten [log] retention; when it is full, appends wait and nothing is lost".to_owned()),
            since_ms: None,
        })
    }
}

fn words(space: Space) -> Option<String> {
    let used = space.total_bytes.saturating_sub(space.free_bytes);
    let percent = used.saturating_mul(100).checked_div(space.total_bytes)?;
    let is_told = percent >= FULL_PERCENT && space.free_bytes < PLENTY_BYTES;
    is_told
        .then(|| format!("the disk of the log is {percent} % full, {} MiB are left", space.free_bytes >> 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_told_about_when_little_is_left() {
        let said = |total_gib: u64, free_gib: u64| {
            words(Space { total_bytes: total_gib << 30, free_bytes: free_gib << 30 })
        };
        assert_eq!(said(100, 50), None);
        assert_eq!(said(4_000, 400), None, "90 % full, and plenty left");
        let words = "the disk of the log is 87 % full, 8192 MiB are left";
        assert_eq!(said(64, 8).as_deref(), Some(words));
        assert_eq!(said(0, 0), None);
    }
}
