//! What the fault tests share: a producer and group members in processes of their own, and what they said.

use millstream_tests::broker::Broker;
use millstream_tests::oracle::{Delivery, Ledger, Verdict};
use millstream_tests::peer::{Process, python, root};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

/// How long anything may take on a busy machine, the restart of a broker included.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// A script of `tests/python` with arguments.
pub(crate) fn script(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(python());
    command.arg(root().join("tests/python").join(name)).args(arguments);
    command
}

/// Runs a script to its end.
#[track_caller]
pub(crate) fn run(name: &str, arguments: &[&str]) {
    let output = script(name, arguments).output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A name of this test run, because Apache Kafka outlives it.
pub(crate) fn unique(name: &str) -> String {
    format!("{name}-{}-{}", std::process::id(), millstream_tests::peer::free_port())
}

/// A new topic.
pub(crate) fn topic(broker: &Broker, name: &str, partitions: u32) -> String {
    let topic = unique(name);
    run("topic.py", &[&broker.servers(), &topic, &partitions.to_string()]);
    topic
}

/// Every committed record of a topic, as `confluent-kafka` finds it.
pub(crate) fn read(broker: &Broker, topic: &str) -> Vec<Value> {
    let path = root().join("tests/read_topic.py");
    let output = Command::new(python()).arg(path).args([&broker.servers(), topic]).output().unwrap();
    assert!(output.status.success(), "{topic}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Numbered readings of seven keys, until it is told to end: the first `prefill` are there when this returns.
pub(crate) fn readings(broker: &Broker, topic: &str, prefill: u64) -> Process {
    let path = root().join("tests/produce_readings.py");
    let mut command = Command::new(python());
    command.arg(path).args([&*broker.servers(), topic, "1760000000000", &prefill.to_string()]);
    let mut readings = Process::start(&mut command);
    readings.wait_for("prefilled", PATIENCE);
    readings
}

/// Ends a process by SIGINT; what it had printed. It has to end well.
#[track_caller]
pub(crate) fn end(mut process: Process) -> String {
    process.signal("INT");
    let code = process.wait(PATIENCE);
    let output = process.ended_output();
    assert_eq!(code, 0, "{output}");
    output
}

/// Lets the victim live until `instant`: the instant of the fault is not something to wait for.
pub(crate) fn live_until(instant: Instant) {
    millstream_tests::oracle::eventually("the instant of the fault", PATIENCE, || {
        (Instant::now() >= instant).then_some(())
    });
}

fn numbers(line: &str, verb: &str) -> Option<Vec<u64>> {
    line.strip_prefix(verb)?.split_whitespace().map(|word| word.parse().ok()).collect()
}

/// How many records `load.py` was told are there, by partition.
pub(crate) fn acknowledged(output: &str) -> BTreeMap<u64, u64> {
    output.lines().filter_map(|line| numbers(line, "acked ")).map(|pair| (pair[0], pair[1] + 1)).collect()
}

/// What members of a group read: ranges of offsets by partition.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    ranges: BTreeMap<u64, Vec<(u64, u64)>>,
}

impl Reads {
    /// What members printed, those that have ended and those that run.
    pub(crate) fn of(ended: &[String], running: &[&Process]) -> Self {
        let mut reads = Self::default();
        for output in running.iter().map(|member| member.output()).chain(ended.iter().cloned()) {
            // A kill may have cut the last line.
            let ranges =
                output.lines().filter_map(|line| numbers(line, "read ")).filter(|range| range.len() == 3);
            for range in ranges {
                reads.ranges.entry(range[0]).or_default().push((range[1], range[2]));
            }
        }
        reads
    }

    /// How many records from 0 on are read without a hole in all partitions together.
    pub(crate) fn whole(&self) -> u64 {
        self.ranges.values().map(|ranges| without_hole(ranges)).sum()
    }

    /// At least once: `counts` records of each partition were read, none skipped, and nothing that is not there.
    pub(crate) fn judge(&self, counts: &BTreeMap<u64, u64>) -> Verdict {
        let mut verdict = Verdict::default();
        let nothing = Vec::new();
        for (partition, count) in counts {
            let ranges = self.ranges.get(partition).unwrap_or(&nothing);
            let whole = without_hole(ranges);
            if whole < *count {
                verdict.violated(
                    "O1",
                    format!("offset {whole} of partition {partition} ({count} records) was never read"),
                );
            }
            if let Some((_, last)) = ranges.iter().find(|(_, last)| last >= count) {
                verdict.violated(
                    "O1",
                    format!("offset {last} of partition {partition} was read, {count} are there"),
                );
            }
        }
        verdict
    }
}

/// The first offset that no range has.
fn without_hole(ranges: &[(u64, u64)]) -> u64 {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable();
    sorted.into_iter().fold(0, |next, (first, last)| if first <= next { next.max(last + 1) } else { next })
}

/// The log of `load.py` as a client finds it, against what was acknowledged: each once, in order, at the offset that is its number.
pub(crate) fn judge_load(
    broker: &Broker,
    topic: &str,
    acknowledged: &BTreeMap<u64, u64>,
) -> (Verdict, BTreeMap<u64, u64>) {
    let (mut ledger, mut verdict) = (Ledger::new(), Verdict::default());
    for (partition, count) in acknowledged {
        (0..*count).for_each(|number| ledger.acknowledge(&partition.to_string(), number));
    }
    let (mut found, mut counts) = (BTreeMap::<String, Vec<u64>>::new(), BTreeMap::<u64, u64>::new());
    for record in read(broker, topic) {
        let partition = record["partition"].as_u64().unwrap();
        let number = record["value"].as_str().unwrap().parse::<u64>().unwrap();
        if record["offset"].as_u64() != Some(number) {
            verdict.violated("O3", format!("{record} has another offset than its number"));
        }
        found.entry(partition.to_string()).or_default().push(number);
        *counts.entry(partition).or_default() += 1;
    }
    (verdict.and(ledger.judge(&found, Delivery::Once)), counts)
}
