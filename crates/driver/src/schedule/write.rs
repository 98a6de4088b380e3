//! One batch of writes: read what is there, ask the guard, make the intent durable, write, read back, settle.
//!
//! The scheduler and the command line take this one way; there is no other to [`Session::write`].

use super::{AuditTrail, Verdict, WriteReport};
use crate::guard::{Candidate, Checked, Guard, Now, Refusal, Settlement, WriteRequest, WriteRule, code};
use crate::{GroupIndex, Instant, Session, SessionError, TagSpec, WriteOutcome, WriteResult, limits};
use millstream_model::{Cell, Clock, Row, Status, Timestamp, Value, format_duration};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// What a batch of writes needs beside the session.
#[derive(Clone, Copy)]
pub(super) struct WriteContext<'a> {
    pub(super) device: &'a Arc<str>,
    pub(super) guard: &'a Mutex<Guard>,
    pub(super) audit: &'a dyn AuditTrail,
    pub(super) clock: &'a dyn Clock,
    /// A group of the session that scans do not use.
    pub(super) group: GroupIndex,
    /// How long one step may take before the session counts as hung.
    pub(super) timeout: Duration,
}

/// How a batch ended.
#[derive(Default)]
pub(super) struct Batch {
    /// Settled; not told to the audit trail yet.
    pub(super) reports: Vec<WriteReport>,
    /// Sent, but the session ended before the answer: reading back on the next session settles them.
    pub(super) lost: Vec<LostWrite>,
    /// Not sent, because the session ended before, or the answer to a write before it was lost.
    pub(super) untried: Vec<Candidate>,
    /// The session's end.
    pub(super) end: Option<SessionError>,
}

/// A write whose answer was lost.
pub(super) struct LostWrite {
    pub(super) request: WriteRequest,
    pub(super) old: Option<Value>,
    pub(super) since: Instant,
    pub(super) cause: String,
}

/// Raw values by tag, as far as they could be read.
type Values = BTreeMap<Arc<str>, Value>;

/// Writes `requests` over a session of the caller's, under `rules`: the way of the scheduler for those who open a
/// connection for one write; no step takes longer than `timeout`. Nothing was scanned on `session` before; one report per
/// request, in order.
pub async fn write_once(
    session: &mut dyn Session,
    device: &Arc<str>,
    rules: Vec<WriteRule>,
    requests: Vec<WriteRequest>,
    audit: &dyn AuditTrail,
    clock: &dyn Clock,
    timeout: Duration,
) -> Vec<WriteReport> {
    let guard = Mutex::new(Guard::new(rules));
    let context = WriteContext { device, guard: &guard, audit, clock, group: GroupIndex(0), timeout };
    let order: Vec<(Arc<str>, Arc<str>)> =
        requests.iter().map(|request| (request.id.clone(), request.tag.clone())).collect();
    let mut candidates = Vec::new();
    let mut reports = Vec::new();
    let screened = guard.lock().screen(context.now(), requests);
    for answer in screened {
        match answer {
            Ok(candidate) => candidates.push(candidate),
            Err(refusal) => reports.push(context.refused(refusal)),
        }
    }
    let batch = context.write(session, candidates).await;
    let unsent =
        batch.end.map_or_else(|| "the write before it was not answered".to_owned(), |end| end.to_string());
    reports.extend(batch.reports);
    reports.extend(batch.lost.into_iter().map(|lost| context.unknown(lost)));
    reports.extend(batch.untried.into_iter().map(|candidate| {
        let message = format!("it was not sent: {unsent}");
        context.refused(Refusal::new(candidate.into_request(), code::OFFLINE, message))
    }));
    reports.sort_by_key(|report| {
        order.iter().position(|(id, tag)| *id == report.request.id && *tag == report.request.tag)
    });
    audit.settle(device, &reports).await;
    reports
}

impl WriteContext<'_> {
    /// Takes a batch all the way. Never repeats a write.
    pub(super) async fn write(&self, session: &mut dyn Session, candidates: Vec<Candidate>) -> Batch {
        let mut batch = Batch::default();
        if candidates.is_empty() {
            return batch;
        }
        let tags: Vec<Arc<str>> =
            candidates.iter().map(|candidate| candidate.request().tag.clone()).collect();
        let old = match self.read(session, &tags).await {
            Ok(old) => old,
            Err(end) => return Batch { untried: candidates, end: Some(end), ..batch },
        };
        let Checked { mut permit, mut allowed, refused } =
            self.guard.lock().check(self.now(), candidates, |tag| old.get(tag).cloned());
        batch.reports.extend(refused.into_iter().map(|refusal| self.refused(refusal).with_old(self, &old)));
        if allowed.is_empty() {
            return batch;
        }
        let requests: Vec<_> = allowed.iter().map(|candidate| candidate.request().clone()).collect();
        let intended = timeout(limits::INTENT_TIMEOUT, self.audit.intend(self.device, &requests)).await;
        let late = || Err(format!("not within {} s", limits::INTENT_TIMEOUT.as_secs()));
        if let Err(cause) = intended.unwrap_or_else(|_| late()) {
            for request in requests {
                let message = format!("the intent could not be recorded: {cause}");
                batch.reports.push(self.not_sent(request, code::AUDIT, message, &old));
            }
            return batch;
        }
        let expired = permit.expire(Instant::now());
        for late in allowed.extract_if(.., |candidate| expired.contains(&candidate.request().tag)) {
            batch.reports.push(self.too_late(late.into_request(), &old));
        }
        if allowed.is_empty() {
            return batch;
        }
        let mut outcomes = Vec::new();
        let written = timeout(self.timeout, session.write(permit, &mut outcomes)).await;
        batch.end = written.unwrap_or_else(|_| Err(self.hung("write"))).err();
        self.sort_outcomes(session, allowed, outcomes, &old, &mut batch).await;
        batch
    }

    /// Settles writes of an earlier session by reading back.
    pub(super) async fn settle_lost(
        &self,
        session: &mut dyn Session,
        lost: Vec<LostWrite>,
    ) -> Result<Vec<WriteReport>, (SessionError, Vec<LostWrite>)> {
        let tags: Vec<Arc<str>> = lost.iter().map(|lost| lost.request.tag.clone()).collect();
        match self.read(session, &tags).await {
            Ok(found) => Ok(lost.into_iter().map(|lost| self.read_back(lost, &found)).collect()),
            Err(end) => Err((end, lost)),
        }
    }

    /// The end of a write that nobody can settle.
    pub(super) fn unknown(&self, lost: LostWrite) -> WriteReport {
        self.guard.lock().settle(self.now(), &lost.request.tag, Settlement::Failed);
        let message = lost.cause;
        WriteReport {
            request: lost.request,
            verdict: Verdict::Unknown { message },
            old: lost.old,
            at: self.clock.now(),
        }
    }

    /// Puts every allowed write with its outcome; those without one are lost or, while the session lives, read back.
    async fn sort_outcomes(
        &self,
        session: &mut dyn Session,
        allowed: Vec<Candidate>,
        outcomes: Vec<WriteOutcome>,
        old: &Values,
        batch: &mut Batch,
    ) {
        let mut outcomes: BTreeMap<Arc<str>, WriteOutcome> =
            outcomes.into_iter().map(|outcome| (outcome.tag.clone(), outcome)).collect();
        let (mut unsettled, mut unsent) = (Vec::new(), Vec::new());
        for candidate in allowed {
            let lost = |candidate: Candidate, cause: String| LostWrite {
                old: self.engineering(&candidate.request().tag, old),
                request: candidate.into_request(),
                since: Instant::now(),
                cause,
            };
            let outcome = outcomes.remove(&candidate.request().tag);
            match outcome.map(|outcome| (outcome.result, outcome.read_back)) {
                Some((WriteResult::Done, read_back)) => match self.verify(candidate, read_back, old) {
                    Ok(report) => batch.reports.push(report),
                    Err(candidate) => {
                        unsettled.push((lost(candidate, "it could not be read back".to_owned()), true));
                    }
                },
                Some((WriteResult::Refused(status, words), _)) => {
                    let request = candidate.into_request();
                    self.guard.lock().settle(self.now(), &request.tag, Settlement::Failed);
                    let message = format!("the device refused it: {words} ({status})");
                    batch.reports.push(self.report(request, Verdict::Failed { message }, old));
                }
                Some((WriteResult::Expired, _)) => {
                    batch.reports.push(self.too_late(candidate.into_request(), old));
                }
                Some((WriteResult::NotSent(why), _)) => unsent.push((candidate, why)),
                Some((WriteResult::Unknown(cause), _)) => unsettled.push((lost(candidate, cause), false)),
                None => {
                    let cause = match &batch.end {
                        Some(end) => format!("no answer came: {end}"),
                        None => "the session did not say what became of it".to_owned(),
                    };
                    unsettled.push((lost(candidate, cause), false));
                }
            }
        }
        self.read_back_now(session, unsettled, batch).await;
        // What holds up a whole batch will hold it up again: going round for ever helps nobody.
        let is_stuck = batch.end.is_none() && batch.reports.is_empty() && batch.lost.is_empty();
        for (candidate, why) in unsent {
            if is_stuck {
                let message = format!("it was not sent: {why}");
                batch.reports.push(self.not_sent(candidate.into_request(), code::OFFLINE, message, old));
            } else {
                self.guard.lock().settle(self.now(), &candidate.request().tag, Settlement::NotSent);
                batch.untried.push(candidate);
            }
        }
    }

    /// Reads back what is not settled; `confirmed` ones were acknowledged by the device, only their verification is missing.
    async fn read_back_now(
        &self,
        session: &mut dyn Session,
        unsettled: Vec<(LostWrite, bool)>,
        batch: &mut Batch,
    ) {
        if unsettled.is_empty() {
            return;
        }
        let tags: Vec<Arc<str>> = unsettled.iter().map(|(lost, _)| lost.request.tag.clone()).collect();
        let found = match &batch.end {
            Some(_) => None,
            None => match self.read(session, &tags).await {
                Ok(found) => Some(found),
                Err(end) => {
                    batch.end = Some(end);
                    None
                }
            },
        };
        for (lost, confirmed) in unsettled {
            match &found {
                Some(found) if confirmed && !found.contains_key(&lost.request.tag) => {
                    self.guard.lock().settle(self.now(), &lost.request.tag, Settlement::Written);
                    batch.reports.push(WriteReport {
                        request: lost.request,
                        verdict: Verdict::Written { verified: false },
                        old: lost.old,
                        at: self.clock.now(),
                    });
                }
                Some(found) => batch.reports.push(self.read_back(lost, found)),
                None => batch.lost.push(lost),
            }
        }
    }

    /// A write that the device confirmed. Gives it back where it is to be verified and was not.
    fn verify(
        &self,
        candidate: Candidate,
        read_back: Option<Value>,
        old: &Values,
    ) -> Result<WriteReport, Candidate> {
        let mut guard = self.guard.lock();
        let request = candidate.request();
        let verify = guard.rule(&request.tag).is_some_and(|rule| rule.verify);
        let verdict = match read_back {
            None if verify => return Err(candidate),
            None => Verdict::Written { verified: false },
            Some(raw) if guard.is_confirmed_by(request, &raw) => Verdict::Written { verified: true },
            Some(raw) => Verdict::Mismatch { found: guard.to_engineering(&request.tag, &raw) },
        };
        guard.settle(self.now(), &request.tag, settlement(&verdict));
        drop(guard);
        Ok(self.report(candidate.into_request(), verdict, old))
    }

    /// Settles a write by what is in the device now.
    fn read_back(&self, lost: LostWrite, found: &Values) -> WriteReport {
        let mut guard = self.guard.lock();
        let verdict = match found.get(&lost.request.tag) {
            Some(raw) if guard.is_confirmed_by(&lost.request, raw) => Verdict::Written { verified: true },
            Some(raw) => Verdict::Mismatch { found: guard.to_engineering(&lost.request.tag, raw) },
            None => Verdict::Unknown { message: format!("{}; it could not be read back", lost.cause) },
        };
        guard.settle(self.now(), &lost.request.tag, settlement(&verdict));
        drop(guard);
        WriteReport { request: lost.request, verdict, old: lost.old, at: self.clock.now() }
    }

    /// Reads tags that may be written. A tag that cannot be read is missing; `Err` is the end of the session.
    async fn read(&self, session: &mut dyn Session, tags: &[Arc<str>]) -> Result<Values, SessionError> {
        let mut specs: Vec<TagSpec> = {
            let guard = self.guard.lock();
            tags.iter().filter_map(|tag| guard.rule(tag)).map(|rule| rule.tag.clone()).collect()
        };
        if let Err(problems) = session.prepare(self.group, &specs) {
            let spoiled = |index: usize| {
                problems.iter().any(|problem| problem.tag.is_none() || problem.tag == Some(index))
            };
            let mut index = 0;
            specs.retain(|_| {
                index += 1;
                !spoiled(index - 1)
            });
            if specs.is_empty() || session.prepare(self.group, &specs).is_err() {
                return Ok(Values::new());
            }
        }
        let mut row = Row::all_bad(Timestamp::default(), specs.len(), Status::BadNotConnected);
        let read = timeout(self.timeout, session.read(self.group, &mut row)).await;
        read.unwrap_or_else(|_| Err(self.hung("read")))?;
        // A value that is only the last one known is no ground for a step or a verdict.
        let good = specs.into_iter().zip(row.cells).filter_map(|(spec, cell)| match cell {
            Cell::Good(value) => Some((spec.name, value)),
            Cell::Uncertain(..) | Cell::Bad(_) => None,
        });
        Ok(good.collect())
    }

    fn now(&self) -> Now {
        Now { wall: self.clock.now(), monotonic: Instant::now() }
    }

    fn hung(&self, what: &str) -> SessionError {
        let cause = format!("a {what} took longer than {}", format_duration(self.timeout));
        SessionError::Lost { cause, status: Status::BadTimeout }
    }

    fn engineering(&self, tag: &str, values: &Values) -> Option<Value> {
        values.get(tag).map(|raw| self.guard.lock().to_engineering(tag, raw))
    }

    fn report(&self, request: WriteRequest, verdict: Verdict, old: &Values) -> WriteReport {
        let old = self.engineering(&request.tag, old);
        WriteReport { request, verdict, old, at: self.clock.now() }
    }

    fn refused(&self, refusal: Refusal) -> WriteReport {
        let verdict = Verdict::Refused { code: refusal.code, message: refusal.message };
        WriteReport { request: refusal.request, verdict, old: None, at: self.clock.now() }
    }

    fn not_sent(
        &self,
        request: WriteRequest,
        code: &'static str,
        message: String,
        old: &Values,
    ) -> WriteReport {
        self.guard.lock().settle(self.now(), &request.tag, Settlement::NotSent);
        self.report(request, Verdict::Refused { code, message }, old)
    }

    fn too_late(&self, request: WriteRequest, old: &Values) -> WriteReport {
        self.not_sent(request, code::TOO_OLD, "its time had passed before it was sent".to_owned(), old)
    }
}

impl WriteReport {
    fn with_old(mut self, context: &WriteContext<'_>, old: &Values) -> Self {
        self.old = context.engineering(&self.request.tag, old);
        self
    }
}

fn settlement(verdict: &Verdict) -> Settlement {
    match verdict {
        Verdict::Written { .. } => Settlement::Written,
        _ => Settlement::Failed,
    }
}
