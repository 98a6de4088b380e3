//! A limit on how much goes per second: a bucket that holds one second's worth.

use std::time::Duration;
use tokio::time::{Instant, sleep};

/// See the module. What is larger than the bucket goes as well, and is paid for afterwards.
#[derive(Debug)]
pub(super) struct Pace {
    per_second: Option<f64>,
    level: f64,
    at: Instant,
}

impl Pace {
    /// `None`, and what is no positive number, is no limit.
    pub(super) fn new(per_second: Option<f64>) -> Self {
        let per_second = per_second.filter(|rate| rate.is_finite() && *rate > 0.0);
        Self { per_second, level: per_second.unwrap_or(0.0), at: Instant::now() }
    }

    /// Waits until `amount` may go.
    pub(super) async fn take(&mut self, amount: usize) {
        let Some(rate) = self.per_second else { return };
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let amount = amount as f64;
        let now = Instant::now();
        self.level = (self.level + now.duration_since(self.at).as_secs_f64() * rate).min(rate);
        self.at = now;
        self.level -= amount;
        if self.level < 0.0 {
            sleep(Duration::from_secs_f64(-self.level / rate)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_one_second_in_hand_the_rate_holds() {
        let mut pace = Pace::new(Some(100.0));
        let start = Instant::now();
        for _ in 0..50 {
            pace.take(20).await;
        }
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(8_990) && took <= Duration::from_millis(9_100), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_larger_than_the_bucket_goes_and_no_limit_is_none() {
        let mut pace = Pace::new(Some(10.0));
        let start = Instant::now();
        pace.take(1_000).await;
        assert!(start.elapsed() >= Duration::from_secs(98));
        let start = Instant::now();
        Pace::new(None).take(usize::MAX).await;
        Pace::new(Some(0.0)).take(usize::MAX).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
