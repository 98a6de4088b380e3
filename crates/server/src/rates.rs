//! Rates from totals: how much a counter grew per second between the last two looks.

use std::collections::BTreeMap;
use tokio::time::Instant;

use crate::limits::RATE_SPAN;

type Totals = BTreeMap<(&'static str, String), u64>;

/// Two looks at many counters, at least a second apart.
#[derive(Debug, Default)]
pub struct Rates {
    older: Option<(Instant, Totals)>,
    newer: Option<(Instant, Totals)>,
}

impl Rates {
    /// Takes a look at `now`, unless the last one is too fresh. Looks that are too old are forgotten.
    pub fn observe(&mut self, now: Instant, totals: impl FnOnce() -> Totals) {
        let (span_min, span_max) = RATE_SPAN;
        match &self.newer {
            Some((at, _)) if now.saturating_duration_since(*at) < span_min => {}
            Some((at, _)) if now.saturating_duration_since(*at) > span_max => {
                self.older = None;
                self.newer = Some((now, totals()));
            }
            _ => {
                self.older = self.newer.take();
                self.newer = Some((now, totals()));
            }
        }
    }

    /// Growth per second of the counter `name` of `kind`; `None` until two looks have seen it.
    pub fn per_second(&self, kind: &'static str, name: &str) -> Option<f64> {
        let ((older_at, older), (newer_at, newer)) = (self.older.as_ref()?, self.newer.as_ref()?);
        let key = (kind, name.to_owned());
        let grown = newer.get(&key)?.saturating_sub(*older.get(&key)?);
        let seconds = newer_at.saturating_duration_since(*older_at).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = grown as f64 / seconds;
        (seconds > 0.0).then_some(rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_rate_needs_two_looks_that_are_not_too_far_apart() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let totals = |n| Totals::from([(("scans", "press".to_owned()), n)]);
        let mut rates = Rates::default();
        rates.observe(at(0), || totals(100));
        assert_eq!(rates.per_second("scans", "press"), None);
        rates.observe(at(500), || totals(105));
        assert_eq!(rates.per_second("scans", "press"), None, "too soon to look again");
        rates.observe(at(2_000), || totals(120));
        assert_eq!(rates.per_second("scans", "press"), Some(10.0));
        assert_eq!(rates.per_second("scans", "other"), None);
        rates.observe(at(60_000), || totals(700));
        assert_eq!(rates.per_second("scans", "press"), None, "the older look says nothing about now");
    }
}
