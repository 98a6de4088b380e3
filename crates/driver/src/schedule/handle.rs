//! A running device as others see it.

use super::queue::{Pushed, Waiting, WriteQueue};
use super::{AuditTrail, DeviceMetrics, DeviceStatus, Verdict, WriteReport};
use crate::Instant;
use crate::guard::{Candidate, Guard, Latch, Now, Refusal, WriteRequest, code};
use millstream_model::Clock;
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};

/// A running device: its counters, its state, and the way to write to it. Clones are the same device.
///
/// When a device is replaced its old handles refuse everything as `offline`: ask the scheduler for the new one.
#[derive(Clone)]
pub struct DeviceHandle {
    /// The name in the plant folder.
    pub name: Arc<str>,
    /// What is counted.
    pub metrics: Arc<DeviceMetrics>,
    /// Where it stands, and every change.
    pub state: watch::Receiver<DeviceStatus>,
    pub(super) writes: Arc<Writes>,
}

/// What the handle and the device's task share about writes.
pub(super) struct Writes {
    pub(super) device: Arc<str>,
    pub(super) guard: Mutex<Guard>,
    pub(super) queue: WriteQueue,
    pub(super) audit: Arc<dyn AuditTrail>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<DeviceMetrics>,
}

impl fmt::Debug for DeviceHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceHandle")
            .field("name", &self.name)
            .field("state", &*self.state.borrow())
            .finish_non_exhaustive()
    }
}

impl DeviceHandle {
    /// Asks for writes and waits until each is settled; one report per request, in order. Every report was given to the
    /// audit trail before it is returned.
    ///
    /// While the device is away the newest command of each tag waits for it, until it is too old. Nothing else waits for
    /// that: reading goes on, other devices do not notice. Dropping the future does not take back a write.
    pub async fn write(&self, requests: Vec<WriteRequest>) -> Vec<WriteReport> {
        let now = self.writes.now();
        let screened = self.writes.guard.lock().screen(now, requests);
        let mut settled = Vec::new();
        let mut pushed_out = Vec::new();
        let mut answers = Vec::with_capacity(screened.len());
        for screened in screened {
            let refusal = match screened {
                Ok(candidate) => {
                    let request = candidate.request().clone();
                    match self.writes.queue.push(candidate) {
                        Pushed::Queued { report, superseded } => {
                            pushed_out.extend(superseded.map(|older| self.writes.superseded(older)));
                            answers.push(Answer::Coming(request, report));
                            continue;
                        }
                        Pushed::Full(candidate) => self.writes.busy(candidate),
                        Pushed::Closed(candidate) => self.writes.gone(candidate),
                    }
                }
                Err(refusal) => refusal,
            };
            let report = self.writes.refused(refusal);
            settled.push(report.clone());
            answers.push(Answer::Given(report));
        }
        settled.extend(pushed_out.iter().map(|(report, _)| report.clone()));
        self.writes.settle(&settled).await;
        Writes::reply(pushed_out);
        let mut reports = Vec::with_capacity(answers.len());
        for answer in answers {
            match answer {
                Answer::Given(report) => reports.push(report),
                Answer::Coming(request, report) => reports.push(match report.await {
                    Ok(report) => report,
                    // The task settles every command it takes, even when it fails; only breaking it off loses a reply.
                    Err(_) => WriteReport {
                        request,
                        verdict: Verdict::Unknown { message: "the device's task was broken off".to_owned() },
                        old: None,
                        at: self.writes.clock.now(),
                    },
                }),
            }
        }
        reports
    }

    /// The tags that take no writes because too many failed in a row, by name. [`DeviceHandle::rearm`] ends that.
    pub fn latched(&self) -> Vec<Latch> {
        self.writes.guard.lock().latched()
    }

    /// The tags that may be written, latched or not, by name.
    pub fn writable(&self) -> Vec<Arc<str>> {
        self.writes.guard.lock().tags().cloned().collect()
    }

    /// Lets a tag take writes again that was latched off after failed ones. `false` where it was not latched.
    pub fn rearm(&self, tag: &str) -> bool {
        let was_latched = self.writes.guard.lock().rearm(tag);
        self.writes.count_latches();
        was_latched
    }
}

/// The end of a write, and who waits for it.
pub(super) type Settled = (WriteReport, oneshot::Sender<WriteReport>);

enum Answer {
    Given(WriteReport),
    Coming(WriteRequest, oneshot::Receiver<WriteReport>),
}

impl Writes {
    pub(super) fn now(&self) -> Now {
        Now { wall: self.clock.now(), monotonic: Instant::now() }
    }

    pub(super) fn refused(&self, refusal: Refusal) -> WriteReport {
        WriteReport {
            request: refusal.request,
            verdict: Verdict::Refused { code: refusal.code, message: refusal.message },
            old: None,
            at: self.clock.now(),
        }
    }

    fn busy(&self, candidate: Candidate) -> Refusal {
        let request = candidate.into_request();
        // It was turned away unjudged, so it may come again.
        self.guard.lock().forget(&request);
        Refusal::new(request, code::BUSY, format!("too many commands wait for `{}`", self.device))
    }

    fn gone(&self, candidate: Candidate) -> Refusal {
        let message = format!("`{}` is not running any more", self.device);
        Refusal::new(candidate.into_request(), code::OFFLINE, message)
    }

    /// The end of a write that a newer one has pushed out.
    pub(super) fn superseded(&self, older: Waiting) -> Settled {
        let tag = older.candidate.request().tag.clone();
        self.turned_away(
            older,
            code::SUPERSEDED,
            format!("a newer value for `{tag}` came before this one was written"),
        )
    }

    /// The end of a write that will not be tried.
    pub(super) fn turned_away(&self, waiting: Waiting, code: &'static str, message: String) -> Settled {
        (self.refused(Refusal::new(waiting.candidate.into_request(), code, message)), waiting.reply)
    }

    /// Audits and answers.
    pub(super) async fn finish(&self, settled: Vec<Settled>) {
        let reports: Vec<_> = settled.iter().map(|(report, _)| report.clone()).collect();
        self.settle(&reports).await;
        Self::reply(settled);
    }

    fn reply(settled: Vec<Settled>) {
        for (report, reply) in settled {
            // Nobody waits any more where this fails; the audit trail has it.
            let _ = reply.send(report);
        }
    }

    /// Takes over what an earlier guard of the machine remembers.
    pub(super) fn inherit(&self, earlier: Guard) {
        self.guard.lock().inherit(earlier);
        self.count_latches();
    }

    /// Sets the gauge while nobody can change what it counts.
    fn count_latches(&self) {
        let guard = self.guard.lock();
        self.metrics.latched_tags.set(i64::try_from(guard.latched().len()).unwrap_or(i64::MAX));
    }

    /// Counts reports and gives them to the audit trail.
    async fn settle(&self, reports: &[WriteReport]) {
        if reports.is_empty() {
            return;
        }
        self.count_latches();
        for report in reports {
            match report.verdict {
                Verdict::Written { .. } => self.metrics.writes.increment(),
                _ => self.metrics.writes_refused.increment(),
            }
        }
        self.audit.settle(&self.device, reports).await;
    }
}
