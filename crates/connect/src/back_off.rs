//! Pauses between attempts: exponential, with full jitter, reset by success.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The pauses of one trouble. A success ends the trouble: the next one starts with short pauses again.
#[derive(Debug)]
pub(crate) struct BackOff {
    min: Duration,
    max: Duration,
    attempts: u32,
    random: u64,
}

impl BackOff {
    /// Pauses from `min` to `max`.
    pub(crate) fn new(min: Duration, max: Duration) -> Self {
        // Not for secrets: all that matters is that many tasks and many plants do not come back at one instant.
        Self { min, max, attempts: 0, random: RandomState::new().hash_one(0) | 1 }
    }

    /// The next pause: between half of and all of the exponential one.
    pub(crate) fn pause(&mut self) -> Duration {
        let exponential = self.min.saturating_mul(1_u32 << self.attempts.min(20)).min(self.max);
        self.attempts = self.attempts.saturating_add(1);
        // xorshift64
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let share = (self.random >> 32) as u32 % 1_000;
        exponential / 2 + exponential / 2_000 * share
    }

    /// How many attempts failed in a row.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// It works again.
    pub(crate) fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_limit_and_start_again_after_success() {
        let (min, max) = (Duration::from_millis(100), Duration::from_secs(30));
        let mut back_off = BackOff::new(min, max);
        for attempt in 0..40 {
            let full = min.saturating_mul(1 << attempt.min(20)).min(max);
            let pause = back_off.pause();
            assert!(pause >= full / 2 && pause <= full, "{attempt}: {pause:?} of {full:?}");
        }
        back_off.reset();
        assert!(back_off.pause() <= min);
    }
}
