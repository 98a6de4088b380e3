//! What is wrong, by name. Pure: facts in, words out. Nothing that is stale is ever called good.

use crate::instance::{Condition, DeviceFacts, DeviceState, GroupFacts, QueryFacts, QueryState};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Scans may be late by this much before a group counts as stale, whatever its interval.
const LATE_MS: i64 = 2_000;
/// How long a device may take to connect at first before it counts as a problem.
const CONNECTING_MS: i64 = 5_000;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// How bad it is: `warning` or `bad`. Only what is bad makes `/health` answer 503.
    pub condition: Condition,
    /// Who has it: `device press1`, `query ALARMS`, `plant folder`.
    pub who: String,
    /// What it is, in words.
    pub what: String,
    /// What a person can do, where it does not mend itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Since when, in milliseconds since the epoch, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<i64>,
}

/// The whole plant's health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The worst of all problems.
    pub status: Condition,
    /// In one line.
    pub words: String,
    /// All of them, worst first.
    pub problems: Vec<Problem>,
}

impl Health {
    /// Sums up `problems`.
    pub fn of(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| std::cmp::Reverse(problem.condition));
        let status = problems.first().map_or(Condition::Good, |problem| problem.condition);
        let count = |condition| problems.iter().filter(|problem| problem.condition == condition).count();
        let words = match (count(Condition::Bad), count(Condition::Warning)) {
            (0, 0) => "all is well".to_owned(),
            (0, warnings) => plural(warnings, "warning"),
            (bad, 0) => plural(bad, "problem"),
            (bad, warnings) => format!("{}, {}", plural(bad, "problem"), plural(warnings, "warning")),
        };
        Self { status, words, problems }
    }
}

fn plural(count: usize, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

/// How a device is, in words.
pub(crate) fn judge_device(device: &DeviceFacts, now_ms: i64) -> (Condition, String) {
    let standing_ms = now_ms.saturating_sub(device.since_ms).max(0);
    let because = if device.cause.is_empty() { String::new() } else { format!(": {}", device.cause) };
    match device.state {
        DeviceState::Offline => (Condition::Bad, format!("offline for {}{because}", words(standing_ms))),
        DeviceState::Refused => (Condition::Bad, format!("refuses us for {}{because}", words(standing_ms))),
        DeviceState::Connecting if standing_ms > CONNECTING_MS => {
            (Condition::Bad, format!("connecting for {}{because}", words(standing_ms)))
        }
        DeviceState::Connecting => (Condition::Waiting, "connecting".to_owned()),
        DeviceState::Online => judge_groups(device, now_ms),
    }
}

fn judge_groups(device: &DeviceFacts, now_ms: i64) -> (Condition, String) {
    let judged = device.groups.iter().map(|group| judge_group(group, device.since_ms, now_ms));
    judged
        .max_by_key(|(condition, _)| *condition)
        .unwrap_or_else(|| (Condition::Good, "online; nothing is read".to_owned()))
}

fn judge_group(group: &GroupFacts, online_since_ms: i64, now_ms: i64) -> (Condition, String) {
    let interval_ms = i64::try_from(group.interval_ms).unwrap_or(i64::MAX / 4);
    let late_ms = interval_ms.saturating_mul(3).saturating_add(LATE_MS);
    let Some(read_at_ms) = group.read_at_ms else {
        let waiting_ms = now_ms.saturating_sub(online_since_ms);
        let condition = if waiting_ms > late_ms { Condition::Bad } else { Condition::Waiting };
        return (condition, format!("`{}` was not read yet", group.name));
    };
    let age_ms = now_ms.saturating_sub(read_at_ms).max(0);
    if age_ms > late_ms {
        return (Condition::Bad, format!("`{}` is stale: read {} ago", group.name, words(age_ms)));
    }
    let bad: Vec<_> = group.tags.iter().filter_map(|tag| Some((&tag.name, tag.status.as_ref()?))).collect();
    match bad.first() {
        None => (Condition::Good, "online".to_owned()),
        Some((name, status)) if bad.len() == 1 => (Condition::Warning, format!("`{name}` is {status}")),
        Some((name, status)) => {
            let counted = format!("{} of {} tags are bad", bad.len(), group.tags.len());
            (Condition::Warning, format!("{counted}; `{name}` is {status}"))
        }
    }
}

/// How a query is, in words.
pub(crate) fn judge_query(query: &QueryFacts) -> (Condition, String) {
    match query.state {
        QueryState::Failed => (Condition::Bad, format!("stopped: {}", query.cause)),
        QueryState::Retrying => (Condition::Bad, format!("cannot go on, trying again: {}", query.cause)),
        QueryState::Running => (Condition::Good, "running".to_owned()),
        QueryState::Paused => (Condition::Waiting, "paused, until RESUME".to_owned()),
    }
}

/// A span of milliseconds in one unit that a person can take in.
pub(crate) fn words(ms: i64) -> String {
    let ms = u64::try_from(ms).unwrap_or(0);
    let seconds = Duration::from_millis(ms).as_secs();
    match seconds {
        0 => format!("{ms} ms"),
        1..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::TagFacts;

    fn device(state: DeviceState, read_at_ms: Option<i64>) -> DeviceFacts {
        let tag = |name: &str| TagFacts { name: name.into(), value: 1.into(), status: None, unit: None };
        DeviceFacts {
            name: "press".into(),
            connection: "modbus-tcp://10.0.0.5".into(),
            asset: "acme/press".into(),
            state,
            since_ms: 10_000,
            cause: String::new(),
            groups: vec![GroupFacts {
                name: "fast".into(),
                topic: "machine.telemetry".into(),
                interval_ms: 100,
                read_at_ms,
                tags: vec![tag("temperature"), tag("pressure")],
            }],
            scans_total: 0,
            overruns_total: 0,
            bad_cells_total: 0,
            requests_total: 0,
            writes_total: 0,
            writes_refused_total: 0,
        }
    }

    #[test]
    fn a_device_is_good_only_while_its_values_are_fresh() {
        let fresh = device(DeviceState::Online, Some(20_000));
        assert_eq!(judge_device(&fresh, 20_050), (Condition::Good, "online".into()));
        assert_eq!(judge_device(&fresh, 22_300).0, Condition::Good);
        let (condition, said) = judge_device(&fresh, 32_000);
        assert_eq!((condition, &*said), (Condition::Bad, "`fast` is stale: read 12 s ago"));
    }

    #[test]
    fn a_device_without_values_waits_and_then_is_bad() {
        let silent = device(DeviceState::Online, None);
        assert_eq!(judge_device(&silent, 10_100).0, Condition::Waiting);
        assert_eq!(judge_device(&silent, 13_000).0, Condition::Bad);
        let connecting = device(DeviceState::Connecting, None);
        assert_eq!(judge_device(&connecting, 11_000), (Condition::Waiting, "connecting".into()));
        assert_eq!(judge_device(&connecting, 16_000).0, Condition::Bad);
    }

    #[test]
    fn a_lost_device_says_since_when_and_why() {
        let mut lost = device(DeviceState::Offline, Some(9_990));
        lost.cause = "connection refused".into();
        let (condition, said) = judge_device(&lost, 22_000);
        assert_eq!((condition, &*said), (Condition::Bad, "offline for 12 s: connection refused"));
    }

    #[test]
    fn a_bad_tag_is_a_warning_and_is_named() {
        let mut one = device(DeviceState::Online, Some(20_000));
        one.groups[0].tags[1].status = Some("BadTimeout".into());
        assert_eq!(judge_device(&one, 20_010), (Condition::Warning, "`pressure` is BadTimeout".into()));
    }

    #[test]
    fn the_worst_problem_sets_the_status_and_stands_first() {
        let problem = |condition, who: &str| Problem {
            condition,
            who: who.into(),
            what: String::new(),
            help: None,
            since_ms: None,
        };
        let health = Health::of(vec![problem(Condition::Warning, "a"), problem(Condition::Bad, "b")]);
        assert_eq!(health.status, Condition::Bad);
        assert_eq!(health.problems[0].who, "b");
        assert_eq!(health.words, "1 problem, 1 warning");
        assert_eq!(Health::of(Vec::new()).status, Condition::Good);
    }
}
