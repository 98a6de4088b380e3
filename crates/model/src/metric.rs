//! Counters, gauges and histograms that parts keep, and the page they write them on.
//!
//! A part owns its metrics in a struct behind an `Arc` and implements [`Collect`]; whoever serves metrics
//! walks the collectors. Names follow Prometheus: `millstream_<part>_<what>_<unit>[_total]`, base units
//! (seconds, bytes), labels for identity.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Adds `n`, which may be negative.
    pub fn add(&self, n: i64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The present value.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Upper bounds of a [`Histogram`]'s buckets, in microseconds.
pub const BUCKETS_US: [u64; 16] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
];

/// Durations counted in fixed buckets from 0.1 ms to 10 s.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS_US.len()],
    count: AtomicU64,
    sum_us: AtomicU64,
}

impl Histogram {
    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        if let Some(bucket) = BUCKETS_US.iter().position(|bound| us <= *bound) {
            self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// The sum of all durations that were counted.
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.sum_us.load(Ordering::Relaxed))
    }

    /// The upper bound of the bucket that holds quantile `q` (0 to 1); `None` before the first observation.
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let count = self.count();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank"
        )]
        let rank = ((count as f64 * q).ceil() as u64).max(1);
        let mut seen = 0;
        (count > 0).then(|| {
            let bound = BUCKETS_US.iter().zip(&self.buckets).find(|(_, bucket)| {
                seen += bucket.load(Ordering::Relaxed);
                seen >= rank
            });
            Duration::from_micros(bound.map_or(BUCKETS_US[BUCKETS_US.len() - 1], |(bound, _)| *bound))
        })
    }
}

/// What keeps metrics and can write them down.
pub trait Collect: Send + Sync {
    /// Writes every metric on `page`.
    fn collect(&self, page: &mut Page);
}

/// Metrics in the Prometheus text format 0.0.4, grouped by metric name however they come in. Of two samples with one name and
/// the same labels the first counts: a page that has both is refused as a whole.
#[derive(Debug, Default)]
pub struct Page {
    families: std::collections::BTreeMap<&'static str, (String, String)>,
    samples: std::collections::BTreeSet<String>,
}

/// Labels of one sample: name and value. Values are escaped by the page.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

impl Page {
    /// One sample of a counter; `name` ends in `_total`.
    pub fn counter(&mut self, name: &'static str, help: &str, labels: Labels<'_>, value: u64) {
        if self.is_new(name, labels) {
            let _ = writeln!(self.family(name, "counter", help), "{name}{} {value}", Braces(labels, None));
        }
    }

    /// One sample of a gauge.
    pub fn gauge(&mut self, name: &'static str, help: &str, labels: Labels<'_>, value: f64) {
        if self.is_new(name, labels) {
            let _ = writeln!(self.family(name, "gauge", help), "{name}{} {value}", Braces(labels, None));
        }
    }

    /// A histogram of seconds; `name` ends in `_seconds`.
    pub fn histogram(&mut self, name: &'static str, help: &str, labels: Labels<'_>, histogram: &Histogram) {
        if !self.is_new(name, labels) {
            return;
        }
        let out = self.family(name, "histogram", help);
        let mut cumulated = 0;
        for (bound_us, bucket) in BUCKETS_US.iter().zip(&histogram.buckets) {
            cumulated += bucket.load(Ordering::Relaxed);
            let bound = Duration::from_micros(*bound_us).as_secs_f64().to_string();
            let _ = writeln!(out, "{name}_bucket{} {cumulated}", Braces(labels, Some(&bound)));
        }
        let count = histogram.count();
        let sum = Duration::from_micros(histogram.sum_us.load(Ordering::Relaxed)).as_secs_f64();
        let _ = writeln!(out, "{name}_bucket{} {count}", Braces(labels, Some("+Inf")));
        let _ = writeln!(out, "{name}_sum{} {sum}", Braces(labels, None));
        let _ = writeln!(out, "{name}_count{} {count}", Braces(labels, None));
    }

    /// The page as text.
    pub fn render(&self) -> String {
        self.families.values().fold(String::new(), |text, (head, samples)| text + head + samples)
    }

    fn is_new(&mut self, name: &str, labels: Labels<'_>) -> bool {
        self.samples.insert(format!("{name}{}", Braces(labels, None)))
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) -> &mut String {
        let head = || (format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"), String::new());
        &mut self.families.entry(name).or_insert_with(head).1
    }
}

struct Braces<'a>(Labels<'a>, Option<&'a str>);

impl std::fmt::Display for Braces<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bound = self.1.map(|bound| ("le", bound));
        if self.0.is_empty() && bound.is_none() {
            return Ok(());
        }
        f.write_str("{")?;
        for (index, (name, value)) in self.0.iter().copied().chain(bound).enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            write!(f, "{comma}{name}=\"{value}\"")?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_groups_by_name_and_has_each_sample_once() {
        let mut page = Page::default();
        page.counter("a_total", "A.", &[("topic", "x\"y")], 1);
        page.gauge("b", "B.", &[], 0.5);
        page.counter("a_total", "A.", &[("topic", "z")], 2);
        page.counter("a_total", "A.", &[("topic", "z")], 3);
        assert_eq!(
            page.render(),
            "# HELP a_total A.\n# TYPE a_total counter\na_total{topic=\"x\\\"y\"} 1\na_total{topic=\"z\"} 2\n\
             # HELP b B.\n# TYPE b gauge\nb 0.5\n"
        );
    }

    #[test]
    fn a_histogram_cumulates_and_gives_quantiles() {
        let histogram = Histogram::default();
        for ms in [1, 2, 3, 400] {
            histogram.observe(Duration::from_millis(ms));
        }
        assert_eq!(histogram.quantile(0.5), Some(Duration::from_micros(2_500)));
        assert_eq!(histogram.quantile(1.0), Some(Duration::from_millis(500)));
        let mut page = Page::default();
        page.histogram("h_seconds", "H.", &[], &histogram);
        let page = page.render();
        assert!(page.contains("h_seconds_bucket{le=\"0.005\"} 3\n"), "{page}");
        assert!(page.contains("h_seconds_bucket{le=\"+Inf\"} 4\n"), "{page}");
        assert!(page.contains("h_seconds_count 4\n"), "{page}");
    }
}
