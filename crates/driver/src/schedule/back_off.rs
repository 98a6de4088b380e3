//! How long to wait before the next attempt to connect.

use crate::{Random, limits};
use std::time::Duration;

/// Exponential back-off with full jitter (each pause is anywhere between nothing and its ceiling), per device.
#[derive(Debug)]
pub(super) struct BackOff {
    random: Random,
    failures: u32,
}

impl BackOff {
    pub(super) const fn new(random: Random) -> Self {
        Self { random, failures: 0 }
    }

    /// The pause after one more loss or failed attempt.
    pub(super) fn pause(&mut self) -> Duration {
        let ceiling = self.ceiling();
        self.failures = self.failures.saturating_add(1);
        ceiling.mul_f64(self.random.unit())
    }

    /// The pause after a device refused us: its settings must change first, so asking often is only noise.
    pub(super) fn refused(&mut self) -> Duration {
        limits::REFUSED_BACK_OFF.mul_f64(0.5 + 0.5 * self.random.unit())
    }

    /// A connection lasted this long. One that outlived the pause before it starts the back-off anew; shorter ones do not,
    /// or a device that accepts and hangs up at once would be called ten times a second for ever.
    pub(super) fn lasted(&mut self, lasted: Duration) {
        if lasted >= self.ceiling() {
            self.failures = 0;
        }
    }

    fn ceiling(&self) -> Duration {
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        limits::BACK_OFF_MIN.saturating_mul(factor).min(limits::BACK_OFF_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_with_full_jitter() {
        let mut back_off = BackOff::new(Random::new(3));
        let mut ceiling = limits::BACK_OFF_MIN;
        for _ in 0..40 {
            let pause = back_off.pause();
            assert!(pause <= ceiling, "{pause:?} {ceiling:?}");
            ceiling = (ceiling * 2).min(limits::BACK_OFF_MAX);
        }
        let late: Vec<Duration> = (0..200).map(|_| back_off.pause()).collect();
        assert!(late.iter().any(|pause| *pause < limits::BACK_OFF_MAX / 4), "full jitter reaches low");
        assert!(late.iter().any(|pause| *pause > limits::BACK_OFF_MAX / 4 * 3), "and high");
    }

    #[test]
    fn only_a_connection_that_lasted_starts_anew() {
        let mut back_off = BackOff::new(Random::new(3));
        for _ in 0..6 {
            back_off.pause();
        }
        back_off.lasted(Duration::from_millis(50));
        assert_eq!(back_off.ceiling(), limits::BACK_OFF_MIN * 64);
        back_off.lasted(Duration::from_secs(10));
        assert_eq!(back_off.ceiling(), limits::BACK_OFF_MIN);
    }

    #[test]
    fn a_refusal_waits_long() {
        let mut back_off = BackOff::new(Random::new(3));
        for _ in 0..100 {
            let pause = back_off.refused();
            assert!(pause >= limits::REFUSED_BACK_OFF / 2 && pause <= limits::REFUSED_BACK_OFF);
        }
    }
}
