//! The nine oracles that judge every fault, as functions from what was promised and what was found to violations.
//!
//! | oracle | judged by |
//! |---|---|
//! | O1 no acknowledged record lost, O3 order and duplicates | [`Ledger::judge`] |
//! | O2 every missing number is covered by a gap record | [`judge_counter`] |
//! | O4 no wrong value | [`coded_value`], [`judge_coded_values`] |
//! | O5 budgets of memory, file handles and threads | [`Usage::of`], [`Usage::judge`] |
//! | O6 liveness after healing, O8 the fault is named | [`eventually`] |
//! | O7 no write without a durable intent | [`judge_writes`] |
//! | O9 restart from any crash image | the test restarts and judges again |

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// What an oracle found wrong. Empty is good.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    violations: Vec<String>,
}

impl Verdict {
    /// Adds a violation.
    pub fn violated(&mut self, oracle: &str, what: impl std::fmt::Display) {
        self.violations.push(format!("{oracle}: {what}"));
    }

    /// Joins two verdicts.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.violations.extend(other.violations);
        self
    }

    /// Whether nothing was violated.
    pub fn is_good(&self) -> bool {
        self.violations.is_empty()
    }

    /// Fails the test with every violation (the first 20 in full).
    #[track_caller]
    pub fn assert_good(&self) {
        let shown = self.violations.iter().take(20).fold(String::new(), |mut text, violation| {
            let _ = write!(text, "\n  {violation}");
            text
        });
        assert!(self.is_good(), "{} violations:{shown}", self.violations.len());
    }
}

/// Whether a record may come twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Exactly once.
    Once,
    /// At least once: the same record may come again (an append whose answer was lost, a retry after a crash).
    AtLeastOnce,
}

/// What a producer was promised: record ids per stream (a partition, or a key), in the order of their acknowledgement.
#[derive(Debug, Default, Clone)]
pub struct Ledger {
    acknowledged: BTreeMap<String, Vec<u64>>,
}

impl Ledger {
    /// An empty ledger.
    pub fn new() -> Self {
        Self::default()
    }

    /// `id` in `stream` was acknowledged. Ids of one stream grow.
    pub fn acknowledge(&mut self, stream: &str, id: u64) {
        self.acknowledged.entry(stream.to_owned()).or_default().push(id);
    }

    /// How many ids were acknowledged in all.
    pub fn len(&self) -> usize {
        self.acknowledged.values().map(Vec::len).sum()
    }

    /// Whether nothing was acknowledged yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// O1 and O3: `found` holds the ids of each stream in log order. Ids that were never acknowledged may be there
    /// (their answer was lost), but not out of order.
    pub fn judge(&self, found: &BTreeMap<String, Vec<u64>>, delivery: Delivery) -> Verdict {
        let mut verdict = Verdict::default();
        let nothing = Vec::new();
        for (stream, promised) in &self.acknowledged {
            let ids = found.get(stream).unwrap_or(&nothing);
            let there: std::collections::BTreeSet<u64> = ids.iter().copied().collect();
            for id in promised.iter().filter(|id| !there.contains(id)) {
                verdict.violated("O1", format!("record {id} of `{stream}` was acknowledged and is lost"));
            }
        }
        for (stream, ids) in found {
            let mut first_seen = std::collections::BTreeSet::new();
            let mut newest = None;
            for id in ids {
                if !first_seen.insert(*id) {
                    if delivery == Delivery::Once {
                        verdict.violated("O3", format!("record {id} of `{stream}` is there twice"));
                    }
                } else if newest.is_some_and(|newest| *id < newest) {
                    verdict.violated("O3", format!("record {id} of `{stream}` stands after {newest:?}"));
                }
                newest = newest.max(Some(*id));
            }
        }
        verdict
    }
}

/// One record of a counter that grows by one with each scan of the simulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// The counter's value.
    Value(u64),
    /// An explicit gap: an outage row, a bad quality, or a record that says how many scans were missed.
    Gap,
}

/// O2: every number that is missing between two values is covered by a gap between them.
pub fn judge_counter(samples: &[Sample]) -> Verdict {
    let mut verdict = Verdict::default();
    let (mut last, mut gap) = (None::<u64>, false);
    for sample in samples {
        match (sample, last) {
            (Sample::Gap, _) => gap = true,
            (Sample::Value(value), Some(before)) if *value > before + 1 && !gap => {
                verdict.violated(
                    "O2",
                    format!("{} to {} are missing and nothing says so", before + 1, value - 1),
                );
                last = Some(*value);
            }
            (Sample::Value(value), _) => {
                last = Some(*value);
                gap = false;
            }
        }
    }
    verdict
}

/// A register value that tells which address and which life of the simulator it came from: 11 bits of address, 5 of epoch.
pub fn coded_value(address: u16, epoch: u16) -> u16 {
    (address & 0x7ff) | (epoch & 0x1f) << 11
}

/// O4: each value stands at the address it was coded for. `values` are (address, value) pairs.
pub fn judge_coded_values(values: impl IntoIterator<Item = (u16, u16)>) -> Verdict {
    let mut verdict = Verdict::default();
    for (address, value) in values {
        if value & 0x7ff != address & 0x7ff {
            verdict.violated("O4", format!("address {address} shows the value of address {}", value & 0x7ff));
        }
    }
    verdict
}

/// What a process uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory in KiB.
    pub resident_kib: u64,
    /// Open file handles.
    pub files: usize,
    /// Threads.
    pub threads: usize,
}

impl Usage {
    /// What process `pid` uses now, from `/proc`.
    pub fn of(pid: u32) -> std::io::Result<Self> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.trim_start_matches(':').split_whitespace().next()?.parse().ok())
                .unwrap_or(0)
        };
        let files = std::fs::read_dir(format!("/proc/{pid}/fd"))?.count();
        let threads = usize::try_from(number("Threads")).unwrap_or(usize::MAX);
        Ok(Self { resident_kib: number("VmRSS"), files, threads })
    }

    /// O5: after healing, handles and threads are back at `baseline` (with a little slack for what is open in
    /// between), and memory is under `resident_kib_max`.
    pub fn judge(&self, baseline: Self, resident_kib_max: u64) -> Verdict {
        let mut verdict = Verdict::default();
        if self.resident_kib > resident_kib_max {
            verdict.violated("O5", format!("{} KiB resident, {resident_kib_max} allowed", self.resident_kib));
        }
        if self.files > baseline.files + 8 {
            verdict.violated("O5", format!("{} file handles, {} before", self.files, baseline.files));
        }
        if self.threads > baseline.threads + 4 {
            verdict.violated("O5", format!("{} threads, {} before", self.threads, baseline.threads));
        }
        verdict
    }
}

/// O6 and O8: waits until `holds` answers something, and fails the test with `what` when `within` has passed.
#[track_caller]
pub fn eventually<T>(what: &str, within: Duration, mut holds: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = holds() {
            return found;
        }
        assert!(start.elapsed() < within, "O6: {what} did not happen within {within:?}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// A write that reached a simulated machine, and an intent of the audit trail, both by command id in time order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteStep {
    /// A durable record announces the write.
    Intent(String),
    /// The machine was written to.
    Reached(String),
}

/// O7: no write reaches the machine without an intent before it, and none twice.
pub fn judge_writes(steps: &[WriteStep]) -> Verdict {
    let mut verdict = Verdict::default();
    let mut intents = std::collections::BTreeSet::new();
    let mut reached = std::collections::BTreeSet::new();
    for step in steps {
        match step {
            WriteStep::Intent(id) => {
                intents.insert(id);
            }
            WriteStep::Reached(id) => {
                if !intents.contains(id) {
                    verdict.violated("O7", format!("write `{id}` reached the machine without an intent"));
                }
                if !reached.insert(id) {
                    verdict.violated("O7", format!("write `{id}` reached the machine twice"));
                }
            }
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(ids: &[u64]) -> BTreeMap<String, Vec<u64>> {
        BTreeMap::from([("p".to_owned(), ids.to_vec())])
    }

    #[test]
    fn the_ledger_sees_losses_duplicates_and_disorder() {
        let mut ledger = Ledger::new();
        (1..=3).for_each(|id| ledger.acknowledge("p", id));
        assert!(ledger.judge(&found(&[1, 2, 3, 4]), Delivery::Once).is_good());
        assert!(!ledger.judge(&found(&[1, 3]), Delivery::Once).is_good());
        assert!(!ledger.judge(&found(&[1, 2, 2, 3]), Delivery::Once).is_good());
        assert!(ledger.judge(&found(&[1, 2, 2, 3]), Delivery::AtLeastOnce).is_good());
        assert!(!ledger.judge(&found(&[2, 1, 3]), Delivery::AtLeastOnce).is_good());
        assert!(!ledger.judge(&BTreeMap::new(), Delivery::Once).is_good());
    }

    #[test]
    fn a_gap_covers_what_is_missing_and_silence_does_not() {
        use Sample::{Gap, Value};
        assert!(judge_counter(&[Value(1), Value(2), Gap, Value(9)]).is_good());
        assert!(judge_counter(&[Value(1), Value(1), Value(2)]).is_good());
        assert!(!judge_counter(&[Value(1), Gap, Value(2), Value(4)]).is_good());
    }

    #[test]
    fn coded_values_tell_their_address() {
        assert!(judge_coded_values([(7, coded_value(7, 3)), (2047, coded_value(2047, 31))]).is_good());
        assert!(!judge_coded_values([(7, coded_value(8, 3))]).is_good());
    }

    #[test]
    fn a_write_needs_an_intent_and_comes_once() {
        let (intent, reached) =
            (|id: &str| WriteStep::Intent(id.into()), |id: &str| WriteStep::Reached(id.into()));
        assert!(judge_writes(&[intent("a"), reached("a"), intent("b")]).is_good());
        assert!(!judge_writes(&[reached("a"), intent("a")]).is_good());
        assert!(!judge_writes(&[intent("a"), reached("a"), reached("a")]).is_good());
    }

    #[test]
    fn usage_reads_this_process() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.resident_kib > 0 && usage.files > 0 && usage.threads > 0);
        assert!(usage.judge(usage, u64::MAX).is_good());
        assert!(!usage.judge(usage, 0).is_good());
    }
}
