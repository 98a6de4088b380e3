//! What `[kafka]` says about how much clients may take, and about their groups and transactions.

use crate::keys;
use crate::section::{Mistakes, Section};
use crate::tree::{Kind, Node};
use crate::value::Value;
use millstream_broker::{EmbeddedConfig, QuotaEntity, QuotaRule, Quotas, WireLimits};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);

/// The keys of connections and requests.
pub(super) fn wire(section: &mut Section<'_>, out: &mut Mistakes) -> WireLimits {
    let mut limits = WireLimits::default();
    let mut count = |name: &'static str, to: &mut usize, out: &mut Mistakes| {
        let said = section.take(name).and_then(|value| value.integer(1..=100_000, out));
        if let Some(count) = said.and_then(|said| usize::try_from(said.value).ok()) {
            *to = count;
        }
    };
    count("max_connections", &mut limits.connections, out);
    count("max_connections_per_ip", &mut limits.connections_per_ip, out);
    let mut size = |name: &'static str, to: &mut usize, out: &mut Mistakes| {
        let said = section.take(name).and_then(|value| value.size(1 << 20..=1 << 40, out));
        if let Some(bytes) = said.and_then(|said| usize::try_from(said.value).ok()) {
            *to = bytes;
        }
    };
    size("socket_request_max_size", &mut limits.request_bytes, out);
    size("queued_max_request_size", &mut limits.request_memory_bytes, out);
    duration(section, "connections_max_idle", SECOND..=30 * DAY, &mut limits.idle, out);
    limits
}

fn duration(
    section: &mut Section<'_>,
    name: &'static str,
    range: std::ops::RangeInclusive<Duration>,
    to: &mut Duration,
    out: &mut Mistakes,
) {
    if let Some(said) = section.take(name).and_then(|value| value.duration(range, out)) {
        *to = said.value;
    }
}

/// The keys of groups, producers and transactions.
pub(super) fn engine(section: &mut Section<'_>, out: &mut Mistakes) -> EmbeddedConfig {
    let mut config = EmbeddedConfig::default();
    let (groups, consumers) = (&mut config.groups, &mut config.consumer_groups);
    let sessions = SECOND..=DAY;
    duration(section, "group_min_session_timeout", sessions.clone(), &mut groups.session_timeout_min, out);
    duration(section, "group_max_session_timeout", sessions.clone(), &mut groups.session_timeout_max, out);
    let delays = Duration::ZERO..=60 * SECOND;
    duration(section, "group_initial_rebalance_delay", delays, &mut groups.initial_rebalance_delay, out);
    duration(section, "offsets_retention", 60 * SECOND..=3_650 * DAY, &mut groups.offsets_retention, out);
    duration(section, "group_consumer_session_timeout", sessions, &mut consumers.session_timeout, out);
    let heartbeats = Duration::from_millis(100)..=3_600 * SECOND;
    duration(
        section,
        "group_consumer_heartbeat_interval",
        heartbeats,
        &mut consumers.heartbeat_interval,
        out,
    );
    if let Some(said) = section.take("group_max_size").and_then(|value| value.integer(1..=1_024, out)) {
        let members = usize::try_from(said.value).unwrap_or(1);
        (groups.members_max, consumers.members_max) = (members, members);
    }
    let producers = &mut config.producers;
    let timeouts = SECOND..=7 * DAY;
    duration(section, "transaction_max_timeout", timeouts, &mut producers.transaction_max_timeout, out);
    let expirations = 60 * SECOND..=3_650 * DAY;
    let expiration = &mut producers.transactional_id_expiration;
    duration(section, "transactional_id_expiration", expirations.clone(), expiration, out);
    duration(section, "producer_id_expiration", expirations, &mut producers.producer_id_expiration, out);
    config
}

/// The list of quotas.
pub(super) fn quotas(section: &mut Section<'_>, out: &mut Mistakes) -> Quotas {
    let Some(value) = section.take("quotas") else { return Quotas::default() };
    let Kind::Array(items) = &value.node.kind else {
        let mistake = value.mistake("value-kind", format!("`quotas` is {}", value.node.kind_words()));
        let help = "for example `[[kafka.quotas]]` on a line of its own, its keys below";
        out.push(mistake.label("expected a list of tables").help(help));
        return Quotas::default();
    };
    let item = |node: &Node| rule(&Value { node, name: value.name, key: value.key.clone() }, out);
    Quotas { rules: items.iter().filter_map(item).collect() }
}

fn rule(value: &Value<'_>, out: &mut Mistakes) -> Option<QuotaRule> {
    let mut section = Section::open(value, &keys::KAFKA_QUOTA, out)?;
    let mut entity = |name: &'static str, out: &mut Mistakes| {
        let said = section.take(name).and_then(|value| value.text(out))?;
        Some(match said.as_str() {
            "*" => QuotaEntity::Default,
            name => QuotaEntity::Named(name.to_owned()),
        })
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
        QuotaRule { user, client_id, produce_bytes_per_second, fetch_bytes_per_second, requests_per_second };
    let is_idle = [produce_bytes_per_second, fetch_bytes_per_second, requests_per_second] == [None; 3];
    if is_idle {
        let mistake = value.mistake("quota", "the quota limits nothing");
        let help = "for example `produce_size_per_second = \"2MiB\"`";
        out.push(mistake.label("expected at least one limit").help(help));
    }
    Some(rule)
}
