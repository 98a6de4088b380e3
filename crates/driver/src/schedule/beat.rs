//! When a group is scanned: on a fixed grid, without drift, and never twice at once.

use crate::Instant;
use std::time::Duration;

/// The deadlines of one scan group: `start + n × interval`, and one extra scan at once whenever the device comes back.
///
/// * A scan that another group or a write held up is made late, as long as its own interval is not over.
/// * A scan that takes longer than the interval loses the points it ran over; the next one is on the grid again.
/// * Nothing is made up: after a long pause there is one scan, and the count of the missed ones.
#[derive(Debug)]
pub(super) struct Beat {
    start: Instant,
    interval: Duration,
    due: Instant,
    missed: u64,
}

impl Beat {
    pub(super) fn new(start: Instant, interval: Duration) -> Self {
        Self { start, interval: interval.max(Duration::from_millis(1)), due: start, missed: 0 }
    }

    /// The device is here (again): scan at once. What fell into its absence was not missed, it was an outage.
    pub(super) fn resume(&mut self, now: Instant) {
        self.due = now;
        self.missed = 0;
    }

    /// When the next scan is to begin.
    pub(super) const fn due(&self) -> Instant {
        self.due
    }

    /// A scan begins now. Gives the number of scans that were missed just before it.
    pub(super) fn begin(&mut self, now: Instant) -> u64 {
        let late = self.points_until(now).saturating_sub(self.points_until(self.due));
        let missed = self.missed.saturating_add(late);
        self.missed = 0;
        self.due = now;
        missed
    }

    /// The scan that began last has ended now. `skip` points of the grid are left out on purpose.
    pub(super) fn finish(&mut self, now: Instant, skip: u64) {
        let began = self.points_until(self.due);
        let next = began.saturating_add(skip);
        // The first point that is not over yet. A scan that ends exactly on a point is in time for it.
        let not_over = match self.point(self.points_until(now).saturating_sub(1)) {
            point if point == now => self.points_until(now) - 1,
            _ => self.points_until(now),
        };
        let next = next.max(not_over);
        self.missed = self.missed.saturating_add(next - began);
        self.due = self.point(next);
    }

    /// How many points of the grid lie at or before `at`; the index of the first point after it.
    fn points_until(&self, at: Instant) -> u64 {
        match at.checked_duration_since(self.start) {
            Some(since) => {
                u64::try_from(since.as_nanos() / self.interval.as_nanos()).unwrap_or(u64::MAX - 1) + 1
            }
            None => 0,
        }
    }

    fn point(&self, index: u64) -> Instant {
        let nanos = self.interval.as_nanos().saturating_mul(u128::from(index));
        self.start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX / 4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_grid_does_not_drift() {
        let start = Instant::now();
        let mut beat = Beat::new(start, ms(100));
        for n in 0..100_000_u64 {
            // Every scan begins a little late and takes a while.
            let at = beat.due() + Duration::from_micros(n % 1700);
            assert_eq!(beat.due(), start + ms(100) * u32::try_from(n).unwrap());
            assert_eq!(beat.begin(at), 0);
            beat.finish(at + ms(n % 98), 0);
        }
    }

    #[test]
    fn an_overrun_skips_to_the_grid_and_is_counted() {
        let start = Instant::now();
        let mut beat = Beat::new(start, ms(100));
        assert_eq!(beat.begin(start), 0);
        beat.finish(start + ms(250), 0);
        assert_eq!(beat.due(), start + ms(300));
        assert_eq!(beat.begin(start + ms(300)), 2);
        beat.finish(start + ms(400), 0);
        assert_eq!(beat.due(), start + ms(400), "a scan that ends on the point is in time for it");
        assert_eq!(beat.begin(start + ms(400)), 0);
    }

    #[test]
    fn a_scan_that_others_held_up_is_late_but_not_missed() {
        let start = Instant::now();
        let mut beat = Beat::new(start, ms(100));
        assert_eq!(beat.begin(start + ms(60)), 0);
        beat.finish(start + ms(70), 0);
        assert_eq!(beat.due(), start + ms(100));
        assert_eq!(beat.begin(start + ms(350)), 2);
        beat.finish(start + ms(360), 0);
        assert_eq!(beat.due(), start + ms(400));
    }

    #[test]
    fn coming_back_scans_at_once_and_finds_the_grid_again() {
        let start = Instant::now();
        let mut beat = Beat::new(start, ms(100));
        beat.resume(start + ms(86_400_050));
        assert_eq!(beat.due(), start + ms(86_400_050));
        assert_eq!(beat.begin(start + ms(86_400_050)), 0);
        beat.finish(start + ms(86_400_060), 0);
        assert_eq!(beat.due(), start + ms(86_400_100));
        assert_eq!(beat.begin(beat.due()), 0);
    }

    #[test]
    fn points_left_out_on_purpose_count_as_missed() {
        let start = Instant::now();
        let mut beat = Beat::new(start, ms(100));
        beat.begin(start);
        beat.finish(start + ms(10), 3);
        assert_eq!(beat.due(), start + ms(400));
        assert_eq!(beat.begin(beat.due()), 3);
    }
}
