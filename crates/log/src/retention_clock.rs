//! The time by which retention judges age. It does not believe a wall clock that jumps.
//!
//! Rule: it runs with the wall clock while that agrees with the monotonic clock to within [`limits::CLOCK_DRIFT`]. Where the wall
//! clock jumps (an operator, a first NTP step, a dead battery), retention time goes on at the monotonic pace, and follows only after the
//! wall clock has stood by its new time for as long as it jumped, at most [`limits::CLOCK_DOUBT`] of running time. It
//! is written into each manifest, so that a start with a wrong clock is a jump like any other; so is a long time switched off,
//! which delays retention by a day at most. Nothing is ever deleted early for it, only late.

use crate::limits;
use std::time::Duration;

/// See the module. Times are ms since the epoch; `uptime` is any monotonic time.
#[derive(Debug, Clone)]
pub(crate) struct RetentionClock {
    now_ms: i64,
    seen_at: Duration,
    /// A jump that is not believed yet: how far the wall clock is off, and since when.
    doubt: Option<(i64, Duration)>,
}

impl RetentionClock {
    /// Starts from the time that was last noted, or from the wall clock where none was.
    pub(crate) fn new(noted_ms: Option<i64>, wall_ms: i64, uptime: Duration) -> Self {
        Self { now_ms: noted_ms.unwrap_or(wall_ms), seen_at: uptime, doubt: None }
    }

    /// The retention time at `uptime`, when the wall clock shows `wall_ms`.
    pub(crate) fn observe(&mut self, wall_ms: i64, uptime: Duration) -> i64 {
        let elapsed = uptime.saturating_sub(self.seen_at);
        self.seen_at = uptime;
        let expected = self.now_ms.saturating_add(millis(elapsed));
        let off_ms = wall_ms.saturating_sub(expected);
        let drift_ms = millis(limits::CLOCK_DRIFT);
        if off_ms.saturating_abs() <= drift_ms {
            self.doubt = None;
            self.now_ms = wall_ms;
            return wall_ms;
        }
        let since = match self.doubt {
            Some((doubted, since)) if off_ms.saturating_sub(doubted).saturating_abs() <= drift_ms => since,
            _ => uptime,
        };
        self.doubt = Some((off_ms, since));
        let doubted_for = millis(uptime.saturating_sub(since));
        if doubted_for >= off_ms.saturating_abs().min(millis(limits::CLOCK_DOUBT)) {
            self.doubt = None;
            self.now_ms = wall_ms;
        } else {
            self.now_ms = expected;
        }
        self.now_ms
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    /// Runs for `hours` with the wall clock off by `off_ms`, looking every minute; the retention time at the end.
    fn run(clock: &mut RetentionClock, from_hour: i64, hours: i64, off_ms: i64) -> i64 {
        let minutes = from_hour * 60..=(from_hour + hours) * 60;
        minutes
            .map(|minute| {
                let ms = minute * 60_000;
                clock.observe(ms + off_ms, Duration::from_millis(u64::try_from(ms).unwrap()))
            })
            .last()
            .unwrap()
    }

    #[test]
    fn it_runs_with_a_steady_clock() {
        let mut clock = RetentionClock::new(None, 0, Duration::ZERO);
        assert_eq!(run(&mut clock, 0, 100, 0), 100 * HOUR);
    }

    #[test]
    fn a_jump_of_three_days_counts_after_a_day() {
        let jump = 72 * HOUR;
        let mut clock = RetentionClock::new(None, 0, Duration::ZERO);
        run(&mut clock, 0, 1, 0);
        assert_eq!(run(&mut clock, 1, 23, jump), 24 * HOUR);
        assert_eq!(run(&mut clock, 24, 2, jump), 26 * HOUR + jump);
    }

    #[test]
    fn a_jump_that_is_taken_back_never_counts() {
        let mut clock = RetentionClock::new(None, 0, Duration::ZERO);
        run(&mut clock, 0, 1, 0);
        run(&mut clock, 1, 20, 100_000 * HOUR);
        assert_eq!(run(&mut clock, 21, 1, 0), 22 * HOUR);
    }

    #[test]
    fn an_hour_back_counts_after_an_hour() {
        let mut clock = RetentionClock::new(None, 0, Duration::ZERO);
        run(&mut clock, 0, 10, 0);
        assert_eq!(run(&mut clock, 10, 2, -HOUR), 11 * HOUR);
    }

    #[test]
    fn a_start_with_a_wrong_clock_is_a_jump() {
        let mut clock = RetentionClock::new(Some(0), 87_600 * HOUR, Duration::ZERO);
        assert_eq!(run(&mut clock, 0, 5, 87_600 * HOUR), 5 * HOUR);
    }
}
