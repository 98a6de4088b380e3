//! What a client can bring about as often as it likes is logged seldom: a disk that is full must not be filled with the news of it.

use parking_lot::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// The least time between two lines.
const INTERVAL: Duration = Duration::from_secs(10);

/// Decides which of many occasions are logged.
#[derive(Debug)]
pub(crate) struct Seldom(Mutex<Option<(Instant, u64)>>);

impl Seldom {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Whether this occasion is logged, and how many were not since the last that was.
    pub(crate) fn due(&self) -> Option<u64> {
        let mut last = self.0.lock();
        let now = Instant::now();
        match &mut *last {
            Some((logged, left_out)) if now.saturating_duration_since(*logged) < INTERVAL => {
                *left_out += 1;
                None
            }
            _ => Some(last.replace((now, 0)).map_or(0, |(_, left_out)| left_out)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_in_so_long_is_logged_and_the_others_are_counted() {
        let seldom = Seldom::new();
        assert_eq!(seldom.due(), Some(0));
        for _ in 0..1_000 {
            assert_eq!(seldom.due(), None);
        }
        tokio::time::advance(INTERVAL).await;
        assert_eq!(seldom.due(), Some(1_000));
        assert_eq!(seldom.due(), None);
        tokio::time::advance(INTERVAL).await;
        assert_eq!(seldom.due(), Some(1));
    }
}
