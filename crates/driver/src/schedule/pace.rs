//! Requests per second to one device.

use crate::Instant;
use parking_lot::Mutex;
use std::time::Duration;

/// Spaces requests evenly: one per interval, none saved up. One per device, kept over reconnects.
#[derive(Debug)]
pub struct Pace {
    interval: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    /// `requests_per_second` over 0; everything else is no limit and gives `None`.
    pub fn new(requests_per_second: f64) -> Option<Self> {
        let interval = Duration::try_from_secs_f64(1.0 / requests_per_second).ok()?;
        (requests_per_second > 0.0 && !interval.is_zero()).then(|| Self { interval, next: Mutex::new(None) })
    }

    /// When the next request may be sent; `None` for now.
    pub fn ready_at(&self) -> Option<Instant> {
        self.next.lock().filter(|next| *next > Instant::now())
    }

    /// A request is sent at `now`.
    pub fn take(&self, now: Instant) {
        let mut next = self.next.lock();
        // What was late is not made up: a slow moment must not be followed by a burst. Timers are a millisecond coarse,
        // so a little lateness is carried over, or fast paces would never be reached.
        let from = next.map_or(now, |due| if now < due + Duration::from_millis(2) { due } else { now });
        *next = Some(from + self.interval);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_spaced_and_late_ones_not_made_up() {
        let pace = Pace::new(10.0).unwrap();
        let start = Instant::now();
        assert_eq!(pace.ready_at(), None);
        pace.take(start);
        assert_eq!(pace.ready_at(), Some(start + Duration::from_millis(100)));
        pace.take(start + Duration::from_millis(101));
        assert_eq!(pace.ready_at(), Some(start + Duration::from_millis(200)));
        pace.take(start + Duration::from_mins(1));
        assert_eq!(pace.ready_at(), Some(start + Duration::from_millis(60_100)));
        for none in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Pace::new(none).is_none(), "{none}");
        }
    }
}
