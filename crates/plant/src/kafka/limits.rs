//! What `[kafka]` says about how much clients may take, and about their groups and transactions.

use super::{KafkaGroups, KafkaLimits, KafkaQuota};
use crate::keys;
use crate::section::{Mistakes, Said, Section};
use crate::tree::{Kind, Node};
use crate::value::Value;
use std::ops::RangeInclusive;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);

/// The keys of connections and requests.
pub(super) fn wire(section: &mut Section<'_>, out: &mut Mistakes) -> KafkaLimits {
    let mut count = |name: &'static str, out: &mut Mistakes| {
        let said = section.take(name).and_then(|value| value.integer(1..=100_000, out));
        said.and_then(|said| usize::try_from(said.value).ok())
    };
    let (connections, connections_per_ip) =
        (count("max_connections", out), count("max_connections_per_ip", out));
    let mut size = |name: &'static str, out: &mut Mistakes| {
        let said = section.take(name).and_then(|value| value.size(1 << 20..=1 << 40, out));
        said.and_then(|said| usize::try_from(said.value).ok())
    };
    let request_bytes = size("socket_request_max_size", out);
    let queued_request_bytes = size("queued_max_request_size", out);
    let idle = duration(section, "connections_max_idle", SECOND..=30 * DAY, out);
    KafkaLimits { connections, connections_per_ip, idle, request_bytes, queued_request_bytes }
}

fn duration(
    section: &mut Section<'_>,
    name: &'static str,
    range: RangeInclusive<Duration>,
    out: &mut Mistakes,
) -> Option<Duration> {
    section.take(name).and_then(|value| value.duration(range, out)).map(|said| said.value)
}

/// The keys of groups, producers and transactions.
pub(super) fn groups(section: &mut Section<'_>, out: &mut Mistakes) -> KafkaGroups {
    let sessions = SECOND..=DAY;
    let expirations = 60 * SECOND..=3_650 * DAY;
    let heartbeats = Duration::from_millis(100)..=3_600 * SECOND;
    let members = section.take("group_max_size").and_then(|value| value.integer(1..=1_024, out));
    let (shortest, longest, silence, heartbeat) = (
        "group_min_session_timeout",
        "group_max_session_timeout",
        "group_consumer_session_timeout",
        "group_consumer_heartbeat_interval",
    );
    let mut said = |name, range| section.take(name).and_then(|value| value.duration(range, out));
    let sessions = [shortest, longest, silence].map(|name| said(name, sessions.clone()));
    let beats = said(heartbeat, heartbeats);
    let [min, max, session] = &sessions;
    check_order((shortest, min.as_ref(), 6 * SECOND), (longest, max.as_ref(), 1_800 * SECOND), out);
    check_order((heartbeat, beats.as_ref(), 5 * SECOND), (silence, session.as_ref(), 45 * SECOND), out);
    let mut duration = |name, range| duration(section, name, range, out);
    let [session_timeout_min, session_timeout_max, consumer_session_timeout] =
        sessions.map(|said| said.map(|said| said.value));
    KafkaGroups {
        members_max: members.and_then(|said| usize::try_from(said.value).ok()),
        session_timeout_min,
        session_timeout_max,
        initial_rebalance_delay: duration("group_initial_rebalance_delay", Duration::ZERO..=60 * SECOND),
        offsets_retention: duration("offsets_retention", expirations.clone()),
        consumer_session_timeout,
        consumer_heartbeat_interval: beats.map(|said| said.value),
        transaction_max_timeout: duration("transaction_max_timeout", SECOND..=7 * DAY),
        transactional_id_expiration: duration("transactional_id_expiration", expirations.clone()),
        producer_id_expiration: duration("producer_id_expiration", expirations),
    }
}

/// A name, what was said, and Kafka's default.
type Time<'a> = (&'static str, Option<&'a Said<Duration>>, Duration);

/// Two times that would let no member stay in a group if the shorter were the longer.
fn check_order(shorter: Time<'_>, longer: Time<'_>, out: &mut Mistakes) {
    let value = |time: Time<'_>| time.1.map_or(time.2, |said| said.value);
    let (low, high) = (value(shorter), value(longer));
    // Where only one was said it is that one to change.
    let Some(said) = shorter.1.or(longer.1).filter(|_| low > high) else { return };
    let message = format!("`{}` ({low:?}) is longer than `{}` ({high:?})", shorter.0, longer.0);
    let mistake = said.error("out-of-bounds", message).label("no member could stay in a group");
    out.push(mistake.help(format!("let `{}` be the longer one", longer.0)));
}

/// The list of quotas.
pub(super) fn quotas(section: &mut Section<'_>, out: &mut Mistakes) -> Vec<KafkaQuota> {
    let Some(value) = section.take("quotas") else { return Vec::new() };
    let Kind::Array(items) = &value.node.kind else {
        let mistake = value.mistake("value-kind", format!("`quotas` is {}", value.node.kind_words()));
        let help = "for example `[[kafka.quotas]]` on a line of its own, its keys below";
        out.push(mistake.label("expected a list of tables").help(help));
        return Vec::new();
    };
    let item = |node: &Node| rule(&Value { node, name: value.name, key: value.key.clone() }, out);
    items.iter().filter_map(item).collect()
}

fn rule(value: &Value<'_>, out: &mut Mistakes) -> Option<KafkaQuota> {
    let mut section = Section::open(value, &keys::KAFKA_QUOTA, out)?;
    let mut entity = |name: &'static str, out: &mut Mistakes| {
        let said = section.take(name).and_then(|value| value.text(out))?;
        Some(said.as_str().to_owned())
    };
    let (user, client_id) = (entity("user", out), entity("client_id", out));
    let mut bytes = |name: &'static str, out: &mut Mistakes| {
        let said = section.take(name).and_then(|value| value.size(1_000..=u64::MAX, out));
        said.map(|said| said.value)
    };
    let produce_bytes_per_second = bytes("produce_size_per_second", out);
    let fetch_bytes_per_second = bytes("fetch_size_per_second", out);
    let requests = section.take("requests_per_second").and_then(|value| value.integer(1..=1_000_000, out));
    let requests_per_second = requests.and_then(|said| u64::try_from(said.value).ok());
    section.finish(out);
    let rule =
        KafkaQuota { user, client_id, produce_bytes_per_second, fetch_bytes_per_second, requests_per_second };
    let is_idle = [produce_bytes_per_second, fetch_bytes_per_second, requests_per_second] == [None; 3];
    if is_idle {
        let mistake = value.mistake("quota", "the quota limits nothing");
        let help = "for example `produce_size_per_second = \"2MiB\"`";
        out.push(mistake.label("expected at least one limit").help(help));
    }
    Some(rule)
}
