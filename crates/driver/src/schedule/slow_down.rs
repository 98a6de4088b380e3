//! Back-off when answers slow down: a PLC that answers late is busy with something more important than us.

use crate::limits;
use std::time::Duration;

/// The rule, evaluated once per scan on the mean time from request to answer:
///
/// * [`limits::SLOW_SCANS`] scans in a row slower than [`limits::SLOW_FACTOR`] times what is usual for this device, and slower
///   than [`limits::SLOW_FLOOR`]: every interval is doubled, up to [`limits::SLOW_LEVEL_MAX`] times. The scans left out
///   count as overruns.
/// * A scan faster than half of that: one doubling is taken back.
/// * Usual is the fastest scan so far, forgotten by 1 % per scan, so that a device that stays slow is not slowed for ever.
#[derive(Debug, Default)]
pub(super) struct SlowDown {
    usual: Option<f64>,
    level: u32,
    slow_in_a_row: u32,
}

impl SlowDown {
    /// One scan had this mean time per request.
    pub(super) fn observe(&mut self, mean: Duration) {
        let mean = mean.as_secs_f64();
        let usual = self.usual.map_or(mean, |usual| (usual * 1.01).min(mean));
        self.usual = Some(usual);
        let slow = (usual * limits::SLOW_FACTOR).max(limits::SLOW_FLOOR.as_secs_f64());
        self.slow_in_a_row = if mean > slow { self.slow_in_a_row + 1 } else { 0 };
        if self.slow_in_a_row >= limits::SLOW_SCANS {
            self.slow_in_a_row = 0;
            self.level = (self.level + 1).min(limits::SLOW_LEVEL_MAX);
        } else if mean < slow / 2.0 {
            self.level = self.level.saturating_sub(1);
        }
    }

    /// How often the interval is doubled.
    pub(super) const fn level(&self) -> u32 {
        self.level
    }

    /// How many scans are left out after each that is made.
    pub(super) const fn skip(&self) -> u64 {
        (1 << self.level) - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_answers_double_the_interval_and_usual_ones_take_it_back() {
        let mut slow_down = SlowDown::default();
        let ms = Duration::from_millis;
        for _ in 0..100 {
            slow_down.observe(ms(5));
        }
        assert_eq!(slow_down.skip(), 0);
        for _ in 0..3 {
            slow_down.observe(ms(30));
        }
        assert_eq!(slow_down.skip(), 0, "slower than usual, but not slow");
        for _ in 0..10 {
            slow_down.observe(ms(300));
            slow_down.observe(ms(5));
        }
        assert_eq!(slow_down.skip(), 0, "one slow scan now and then is no reason");
        let skips: Vec<u64> = (0..12)
            .map(|_| {
                slow_down.observe(ms(300));
                slow_down.skip()
            })
            .collect();
        assert_eq!(skips, [0, 0, 1, 1, 1, 3, 3, 3, 7, 7, 7, 7]);
        for _ in 0..3 {
            slow_down.observe(ms(5));
        }
        assert_eq!(slow_down.skip(), 0);
    }

    #[test]
    fn a_device_that_stays_slow_becomes_usual() {
        let mut slow_down = SlowDown::default();
        slow_down.observe(Duration::from_millis(5));
        for _ in 0..1000 {
            slow_down.observe(Duration::from_millis(100));
        }
        assert_eq!(slow_down.skip(), 0);
    }
}
