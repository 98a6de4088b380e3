//! Quotas: how much of a client's kind there may be per second (KIP-13, KIP-55, KIP-124).
//!
//! A client that goes over is answered at once, told how long it has to wait (`throttle_time_ms`), and not read from for as
//! long. A bucket is drawn down by what was used and fills up again by time; a second's worth fits in.

use crate::wire::limits;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// All quotas. Where several rules fit a client, the first in Kafka's order counts, for each of the three figures: a rule for
/// its user and client id, for its user, for its client id; and of those a rule by name before one for everybody.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Quotas {
    /// In any order.
    pub rules: Vec<QuotaRule>,
}

/// Quotas of some clients.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QuotaRule {
    /// Whose; `None` where users do not matter.
    pub user: Option<QuotaEntity>,
    /// Under which client id; `None` where client ids do not matter.
    pub client_id: Option<QuotaEntity>,
    /// Bytes of Produce requests (`producer_byte_rate`).
    pub produce_bytes_per_second: Option<u64>,
    /// Bytes of Fetch responses (`consumer_byte_rate`).
    pub fetch_bytes_per_second: Option<u64>,
    /// Requests of any kind.
    pub requests_per_second: Option<u64>,
}

/// Whom a rule is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuotaEntity {
    /// Everybody without a rule of their own, each for themselves.
    Default,
    /// The one of this name.
    Named(String),
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    ProduceBytes,
    FetchBytes,
    Requests,
}

/// Whose bucket it is: user and client id, where they matter.
type Owner = (Kind, Option<Arc<str>>, Option<Arc<str>>);

/// The quotas at work.
#[derive(Debug)]
pub(crate) struct Meter {
    /// In the order in which they count.
    rules: Vec<QuotaRule>,
    /// When each bucket is full again.
    buckets: Mutex<FxHashMap<Owner, Instant>>,
}

impl QuotaRule {
    fn per_second(&self, kind: Kind) -> Option<u64> {
        match kind {
            Kind::ProduceBytes => self.produce_bytes_per_second,
            Kind::FetchBytes => self.fetch_bytes_per_second,
            Kind::Requests => self.requests_per_second,
        }
    }

    /// Its place in Kafka's order.
    fn rank(&self) -> u8 {
        use QuotaEntity::{Default, Named};
        match (&self.user, &self.client_id) {
            (Some(Named(_)), Some(Named(_))) => 0,
            (Some(Named(_)), Some(Default)) => 1,
            (Some(Named(_)), None) => 2,
            (Some(Default), Some(Named(_))) => 3,
            (Some(Default), Some(Default)) => 4,
            (Some(Default), None) => 5,
            (None, Some(Named(_))) => 6,
            (None, Some(Default) | None) => 7,
        }
    }

    fn fits(&self, user: &str, client_id: &str) -> bool {
        let fits = |entity: &Option<QuotaEntity>, name: &str| match entity {
            Some(QuotaEntity::Named(named)) => named == name,
            Some(QuotaEntity::Default) | None => true,
        };
        fits(&self.user, user) && fits(&self.client_id, client_id)
    }
}

impl Meter {
    pub(crate) fn new(quotas: &Quotas) -> Self {
        let mut rules = quotas.rules.clone();
        rules.sort_by_key(QuotaRule::rank);
        Self { rules, buckets: Mutex::default() }
    }

    /// Whether there is any quota.
    pub(crate) fn is_idle(&self) -> bool {
        self.rules.is_empty()
    }

    /// Counts what a client used, and gives how long it has to wait for it.
    pub(crate) fn charge(&self, kind: Kind, amount: u64, user: &str, client_id: &str) -> Duration {
        let fitting = |rule: &&QuotaRule| rule.per_second(kind).is_some() && rule.fits(user, client_id);
        let Some(rule) = self.rules.iter().find(fitting) else { return Duration::ZERO };
        let per_second = rule.per_second(kind).unwrap_or(u64::MAX).max(1);
        let nanos = u128::from(amount) * 1_000_000_000 / u128::from(per_second);
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).min(limits::THROTTLE_DEBT);
        let owner = (
            kind,
            rule.user.as_ref().map(|_| user.into()),
            rule.client_id.as_ref().map(|_| client_id.into()),
        );
        let now = Instant::now();
        let mut buckets = self.buckets.lock();
        if buckets.len() >= limits::QUOTA_BUCKETS && !buckets.contains_key(&owner) {
            buckets.retain(|_, full| *full > now);
            if buckets.len() >= limits::QUOTA_BUCKETS {
                // All of them are in use: a newcomer's share is not counted rather than memory spent on it.
                return Duration::ZERO;
            }
        }
        let full = buckets.entry(owner).or_insert(now);
        *full = ((*full).max(now) + cost).min(now + limits::THROTTLE_DEBT);
        full.saturating_duration_since(now + limits::QUOTA_BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(user: Option<&str>, client_id: Option<&str>, bytes: u64) -> QuotaRule {
        let entity = |name: &str| match name {
            "*" => QuotaEntity::Default,
            name => QuotaEntity::Named(name.to_owned()),
        };
        QuotaRule {
            user: user.map(entity),
            client_id: client_id.map(entity),
            produce_bytes_per_second: Some(bytes),
            ..QuotaRule::default()
        }
    }

    fn seconds(meter: &Meter, bytes: u64, user: &str, client_id: &str) -> u64 {
        meter.charge(Kind::ProduceBytes, bytes, user, client_id).as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_used_is_paid_for_in_time() {
        let meter = Meter::new(&Quotas { rules: vec![rule(None, Some("*"), 1_000)] });
        assert_eq!(seconds(&meter, 1_000, "u", "a"), 0, "a second's worth is there at once");
        assert_eq!(seconds(&meter, 3_000, "u", "a"), 3);
        assert_eq!(seconds(&meter, 1_000, "u", "b"), 0, "another client id has a bucket of its own");
        assert_eq!(meter.charge(Kind::FetchBytes, u64::MAX, "u", "a"), Duration::ZERO, "no rule, no quota");
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(seconds(&meter, 1_000, "u", "a"), 0, "it was paid");
        assert!(seconds(&meter, u64::MAX, "u", "a") <= limits::THROTTLE_DEBT.as_secs(), "debts end");
    }

    #[tokio::test(start_paused = true)]
    async fn the_nearest_rule_counts() {
        let rules = vec![
            rule(None, Some("*"), 1_000),
            rule(Some("*"), None, 10_000),
            rule(Some("ann"), None, 100),
            rule(Some("ann"), Some("batch"), 10),
        ];
        let meter = Meter::new(&Quotas { rules });
        assert_eq!(seconds(&meter, 1_000, "ann", "batch"), 99);
        assert_eq!(seconds(&meter, 1_000, "ann", "other"), 9);
        assert_eq!(
            seconds(&meter, 1_000, "ann", "third"),
            19,
            "one bucket for the user, whatever the client id"
        );
        assert_eq!(seconds(&meter, 20_000, "bob", "batch"), 1);
        assert_eq!(seconds(&meter, 0, "eve", "batch"), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn buckets_are_bounded() {
        let meter = Meter::new(&Quotas { rules: vec![rule(None, Some("*"), 1)] });
        for number in 0..2 * limits::QUOTA_BUCKETS {
            seconds(&meter, 100, "u", &number.to_string());
        }
        assert!(meter.buckets.lock().len() <= limits::QUOTA_BUCKETS);
        assert!(
            seconds(&meter, 100, "u", "0") > 100,
            "who has one is held to it, however many others there are"
        );
    }
}
