//! The guard: the only place that can allow a write to a machine.
//!
//! [`Session::write`](crate::Session::write) takes a [`Permit`], and only [`Guard::check`] makes one. The command line, the UI,
//! SQL and every server pass through here because there is no other way to call it.
//!
//! A command passes two gates. [`Guard::screen`] when it arrives: is the tag writable at all, was the command seen before, is
//! there a newer one for the tag. [`Guard::check`] immediately before it is written, with the values that are in the device
//! now: is it too old, too soon, of the wrong type, out of range, too large a step, or is the tag latched off. Every refusal
//! has a stable code ([`code`]) and words.
//!
//! After [`limits::LATCH_FAILURES`] failed writes in a row a tag is *latched*: it takes no writes until somebody has looked and
//! re-armed it ([`Guard::rearm`]), its rule is changed, or the process starts anew. Failed means that the device refused it,
//! that another value was read back, or that nobody knows. What a guard remembers outlives a change of the device's
//! configuration ([`Guard::inherit`]).
//!
//! Pure: wall and monotonic time are arguments, nothing is awaited, nothing is read from a device here.

pub mod code;
mod convert;
mod rule;
mod seen;
#[cfg(test)]
mod tests;

pub use rule::{Origin, WriteRequest, WriteRule};

use crate::{Instant, TagSpec, limits};
use convert::Reason;
use millstream_model::{Timestamp, Value, format_duration};
use seen::Seen;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Both clocks at one instant. Ages are a matter of the wall clock, intervals of the monotonic one, which never jumps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The wall clock.
    pub wall: Timestamp,
    /// The monotonic clock.
    pub monotonic: Instant,
}

/// Proof that these values may be written to this device now. Only the guard makes one; using it consumes it.
#[derive(Debug)]
pub struct Permit {
    writes: Vec<AllowedWrite>,
}

/// One write of a [`Permit`].
#[derive(Debug, Clone, PartialEq)]
pub struct AllowedWrite {
    /// Name and address.
    pub tag: TagSpec,
    /// The raw value, of the address' type.
    pub value: Value,
    /// Whether to read it back.
    pub verify: bool,
    /// Never to be sent after this.
    pub good_until: Instant,
}

impl AllowedWrite {
    /// Whether it may still be sent. Sessions ask immediately before they send it.
    pub fn is_good(&self, now: Instant) -> bool {
        now <= self.good_until
    }
}

impl Permit {
    /// What is allowed, in order; each tag once.
    pub fn writes(&self) -> &[AllowedWrite] {
        &self.writes
    }

    /// Takes out what is no longer good at `now`, by tag: making the intent durable takes time, too.
    pub fn expire(&mut self, now: Instant) -> BTreeSet<Arc<str>> {
        self.writes.extract_if(.., |write| !write.is_good(now)).map(|write| write.tag.name).collect()
    }
}

/// A command that came through the first gate, and is to be checked before each time it is sent.
#[derive(Debug)]
pub struct Candidate {
    request: WriteRequest,
    arrived: Instant,
}

impl Candidate {
    /// The command.
    pub fn request(&self) -> &WriteRequest {
        &self.request
    }

    /// The command alone; it cannot be checked any more.
    pub fn into_request(self) -> WriteRequest {
        self.request
    }
}

/// A command that the guard will not let through.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The command.
    pub request: WriteRequest,
    /// Why: one of [`code`].
    pub code: &'static str,
    /// Why, in words.
    pub message: String,
}

impl Refusal {
    /// A refusal of `request`.
    pub fn new(request: WriteRequest, code: &'static str, message: impl Into<String>) -> Self {
        Self { request, code, message: message.into() }
    }
}

/// The guard's answer.
#[derive(Debug)]
pub struct Checked {
    /// Leave to write what is allowed; may be empty.
    pub permit: Permit,
    /// The commands of the permit's writes, in the same order. One that was not sent after all takes the second gate again.
    pub allowed: Vec<Candidate>,
    /// The others.
    pub refused: Vec<Refusal>,
}

/// How a permitted write ended, for intervals and latches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// It is in the device.
    Written,
    /// The device refused it, another value was read back, or nobody knows.
    Failed,
    /// It was never sent.
    NotSent,
}

/// A tag that takes no writes because too many failed in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latch {
    /// The tag.
    pub tag: Arc<str>,
    /// How many failed.
    pub failures: u32,
    /// When the last of them did.
    pub since: Timestamp,
}

/// The guard of one device. See the module.
#[derive(Debug, Clone)]
pub struct Guard {
    tags: BTreeMap<Arc<str>, GuardedTag>,
    seen: Seen,
}

#[derive(Debug, Clone)]
struct GuardedTag {
    rule: WriteRule,
    last: Option<Instant>,
    before_last: Option<Instant>,
    failures: u32,
    /// When the last write failed; counts while there are failures.
    failed_at: Timestamp,
}

impl GuardedTag {
    fn new(rule: WriteRule) -> Self {
        Self { rule, last: None, before_last: None, failures: 0, failed_at: Timestamp::default() }
    }

    fn is_latched(&self) -> bool {
        self.failures >= limits::LATCH_FAILURES
    }
}

impl Guard {
    /// A guard with these rules and nothing remembered.
    pub fn new(rules: impl IntoIterator<Item = WriteRule>) -> Self {
        let tags = rules.into_iter().map(|rule| (rule.tag.name.clone(), GuardedTag::new(rule)));
        Self { tags: tags.collect(), seen: Seen::new(limits::SEEN_IDS) }
    }

    /// Takes over what an earlier guard of the same machine remembers: the commands it saw, when each address was written
    /// last, and the latches of tags whose rule has not changed.
    pub fn inherit(&mut self, earlier: Self) {
        self.seen = earlier.seen;
        for (name, before) in earlier.tags {
            let Some(tag) = self.tags.get_mut(&name).filter(|tag| tag.rule.tag == before.rule.tag) else {
                continue;
            };
            (tag.last, tag.before_last) = (before.last, before.before_last);
            if tag.rule == before.rule {
                (tag.failures, tag.failed_at) = (before.failures, before.failed_at);
            }
        }
    }

    /// The rule of a tag.
    pub fn rule(&self, tag: &str) -> Option<&WriteRule> {
        self.tags.get(tag).map(|tag| &tag.rule)
    }

    /// The first gate: refuses what is not allowed (`not-allowed`), what came before (`duplicate`), and all but the newest
    /// of each tag (`superseded`; what stands later is newer). One answer per request, in order.
    pub fn screen(&mut self, now: Now, requests: Vec<WriteRequest>) -> Vec<Result<Candidate, Refusal>> {
        let mut newest = BTreeSet::new();
        let mut answers: Vec<_> = requests
            .into_iter()
            .rev()
            .map(|request| {
                if !self.tags.contains_key(&request.tag) {
                    let message = format!("`{}` is not among the tags that may be written", request.tag);
                    return Err(Refusal::new(request, code::NOT_ALLOWED, message));
                }
                if !self.seen.insert(&request.id, &request.tag) {
                    let message = format!("command `{}` for `{}` was here before", request.id, request.tag);
                    return Err(Refusal::new(request, code::DUPLICATE, message));
                }
                if !newest.insert(request.tag.clone()) {
                    return Err(superseded(request));
                }
                Ok(Candidate { request, arrived: now.monotonic })
            })
            .collect();
        answers.reverse();
        answers
    }

    /// How long a command may still wait before it is too old; `None` where it is already.
    pub fn time_left(&self, now: Now, candidate: &Candidate) -> Option<Duration> {
        let tag = self.tags.get(&candidate.request.tag)?;
        time_left(now, candidate, &tag.rule).ok()
    }

    /// Lets a screened command be screened again: it was turned away for a reason that is not its own.
    pub fn forget(&mut self, request: &WriteRequest) {
        self.seen.remove(&request.id, &request.tag);
    }

    /// The second gate, immediately before the write. `current` gives the raw value that is in the device now, where it is
    /// known. Of several candidates for one tag only the last is allowed.
    pub fn check(
        &mut self,
        now: Now,
        candidates: Vec<Candidate>,
        current: impl Fn(&str) -> Option<Value>,
    ) -> Checked {
        let mut checked =
            Checked { permit: Permit { writes: Vec::new() }, allowed: Vec::new(), refused: Vec::new() };
        let mut newest = BTreeSet::new();
        for candidate in candidates.into_iter().rev() {
            if !newest.insert(candidate.request.tag.clone()) {
                checked.refused.push(superseded(candidate.request));
                continue;
            }
            let old = current(&candidate.request.tag);
            match self.judge(now, &candidate, old.as_ref()) {
                Ok(write) => {
                    if let Some(tag) = self.tags.get_mut(&candidate.request.tag) {
                        tag.before_last = tag.last.replace(now.monotonic);
                    }
                    checked.permit.writes.push(write);
                    checked.allowed.push(candidate);
                }
                Err(Reason { code, message }) => {
                    checked.refused.push(Refusal { request: candidate.request, code, message });
                }
            }
        }
        checked.permit.writes.reverse();
        checked.allowed.reverse();
        checked.refused.reverse();
        checked
    }

    /// Tells how a permitted write of `tag` ended. Failures in a row latch the tag off.
    pub fn settle(&mut self, now: Now, tag: &str, settlement: Settlement) {
        let Some(tag) = self.tags.get_mut(tag) else { return };
        match settlement {
            Settlement::Written => {
                tag.last = Some(now.monotonic);
                tag.failures = 0;
            }
            Settlement::Failed => {
                tag.last = Some(now.monotonic);
                tag.failures = tag.failures.saturating_add(1);
                tag.failed_at = now.wall;
            }
            Settlement::NotSent => tag.last = tag.before_last,
        }
    }

    /// Whether a tag takes no writes because too many failed in a row.
    pub fn is_latched(&self, tag: &str) -> bool {
        self.tags.get(tag).is_some_and(GuardedTag::is_latched)
    }

    /// Every tag that is latched, by name.
    pub fn latched(&self) -> Vec<Latch> {
        let latched = self.tags.iter().filter(|(_, tag)| tag.is_latched());
        let latch = |(name, tag): (&Arc<str>, &GuardedTag)| Latch {
            tag: name.clone(),
            failures: tag.failures,
            since: tag.failed_at,
        };
        latched.map(latch).collect()
    }

    /// Every tag that has a rule, by name.
    pub fn tags(&self) -> impl Iterator<Item = &Arc<str>> {
        self.tags.keys()
    }

    /// Lets a latched tag take writes again. `false` where it was not latched.
    pub fn rearm(&mut self, tag: &str) -> bool {
        let latched = self.is_latched(tag);
        if let Some(tag) = self.tags.get_mut(tag) {
            tag.failures = 0;
        }
        latched
    }

    /// A raw value of `tag` in engineering units.
    pub fn to_engineering(&self, tag: &str, raw: &Value) -> Value {
        self.tags.get(tag).map_or_else(|| raw.clone(), |tag| convert::to_engineering(&tag.rule, raw))
    }

    /// Whether `raw` as it was read back is what `request` asked for.
    pub fn is_confirmed_by(&self, request: &WriteRequest, raw: &Value) -> bool {
        let rule = self.tags.get(&request.tag).map(|tag| &tag.rule);
        let wanted = rule.and_then(|rule| convert::to_raw(rule, &request.value).ok());
        wanted.is_some_and(|wanted| convert::same(&wanted, raw))
    }

    fn judge(&self, now: Now, candidate: &Candidate, old: Option<&Value>) -> Result<AllowedWrite, Reason> {
        let request = &candidate.request;
        let Some(tag) = self.tags.get(&request.tag) else {
            return Err(Reason::new(code::NOT_ALLOWED, format!("`{}` may not be written", request.tag)));
        };
        if tag.is_latched() {
            let message = format!(
                "`{}` takes no writes after {} failures in a row; mend the cause, then re-arm it",
                request.tag, tag.failures
            );
            return Err(Reason::new(code::LATCHED, message));
        }
        let left = time_left(now, candidate, &tag.rule)?;
        let good_until = now.monotonic + left.min(limits::PERMIT_LIFETIME);
        if let (Some(interval), Some(last)) = (tag.rule.min_interval, tag.last)
            && now.monotonic.saturating_duration_since(last) < interval
        {
            let message =
                format!("`{}` may be written every {} at most", request.tag, format_duration(interval));
            return Err(Reason::new(code::TOO_SOON, message));
        }
        let value = convert::to_raw(&tag.rule, &request.value)?;
        convert::check_range(&tag.rule, &request.value, &value)?;
        convert::check_step(&tag.rule, &request.value, &value, old)?;
        Ok(AllowedWrite { tag: tag.rule.tag.clone(), value, verify: tag.rule.verify, good_until })
    }
}

fn superseded(request: WriteRequest) -> Refusal {
    let message = format!("a newer value for `{}` came before this one was written", request.tag);
    Refusal::new(request, code::SUPERSEDED, message)
}

/// How long a command may still be written: until its own end, or its largest age by either clock.
fn time_left(now: Now, candidate: &Candidate, rule: &WriteRule) -> Result<Duration, Reason> {
    let request = &candidate.request;
    let too_old = |message: String| Err(Reason::new(code::TOO_OLD, message));
    if request.asked_at > now.wall.plus(limits::FUTURE_TOLERANCE) {
        let ahead = format_duration(request.asked_at.since(now.wall));
        return too_old(format!("the command is dated {ahead} in the future; check the clocks"));
    }
    if request.expires_at.is_some_and(|expires| expires <= now.wall) {
        let expires = request.expires_at.unwrap_or_default();
        return too_old(format!("the command expired at {expires}"));
    }
    // A wall clock that was set back must not make a waiting command young again.
    let waited = now.monotonic.saturating_duration_since(candidate.arrived);
    let age = now.wall.since(request.asked_at).max(waited);
    let Some(left) = rule.max_age.checked_sub(age) else {
        let (age, max) = (format_duration(age), format_duration(rule.max_age));
        return too_old(format!("the command is {age} old, {max} is allowed"));
    };
    Ok(request.expires_at.map_or(left, |expires| left.min(expires.since(now.wall))))
}
