//! The task of one device: connect, scan, write, lose, wait, and connect again, until it is stopped.
//!
//! One task, one connection, one thing at a time: that is why scans of one device never overlap and why a dead device
//! costs nothing to the others. Writes that wait go before the next scan; a scan that is due goes before the next writes.

use super::back_off::BackOff;
use super::catch::catch_panic;
use super::group::ScanGroup;
use super::handle::{Settled, Writes};
use super::places::Places;
use super::queue::{Waiting, WriteQueue};
use super::slow_down::SlowDown;
use super::write::{LostWrite, WriteContext};
use super::{
    AuditTrail, DeviceConfig, DeviceHandle, DeviceMetrics, DeviceState, DeviceStatus, Pace, Scan,
    ScanObserver, StateChange, Verdict, WriteReport,
};
use crate::guard::{Guard, Settlement, WriteRequest, code};
use crate::{GroupIndex, Instant, Random, Session, SessionContext, SessionError, limits};
use millstream_model::{Clock, Status};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, sleep_until, timeout};

type Reply = oneshot::Sender<WriteReport>;

pub(super) struct DeviceTask {
    config: DeviceConfig,
    observer: Arc<dyn ScanObserver>,
    clock: Arc<dyn Clock>,
    stop: Stop,
    status: watch::Sender<DeviceStatus>,
    writes: Arc<Writes>,
    metrics: Arc<DeviceMetrics>,
    pace: Option<Arc<Pace>>,
    places: Places,
    groups: Vec<ScanGroup>,
    back_off: BackOff,
    slow_down: SlowDown,
    /// Scans of this connection without any answer, while the device is away.
    unanswered: usize,
    /// What ended the last session, until the observer has been told.
    trouble: Option<SessionError>,
    /// Writes that are being done, in case the task fails.
    writing: Vec<(WriteRequest, Reply)>,
    /// Writes whose answer was lost with the connection.
    lost: Vec<(LostWrite, Reply)>,
}

/// Whether the device is to stop.
#[derive(Clone)]
struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Returns when the device is to stop. Cancel-safe.
    async fn wanted(&mut self) {
        // Whoever could stop the device is gone: that is a stop, too.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}

/// Whether a device goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    GoOn,
    Stop,
}

impl DeviceTask {
    pub(super) fn new(
        mut config: DeviceConfig,
        observer: Arc<dyn ScanObserver>,
        audit: Arc<dyn AuditTrail>,
        clock: Arc<dyn Clock>,
        random: Random,
        places: Places,
        stop: watch::Receiver<bool>,
    ) -> (Self, DeviceHandle) {
        let status =
            DeviceStatus { state: DeviceState::Connecting, since: clock.now(), cause: String::new() };
        let (status, state) = watch::channel(status);
        let metrics = Arc::new(DeviceMetrics::new(config.name.clone()));
        let writes = Arc::new(Writes {
            device: config.name.clone(),
            guard: Mutex::new(Guard::new(std::mem::take(&mut config.writes))),
            queue: WriteQueue::default(),
            audit,
            clock: clock.clone(),
            metrics: metrics.clone(),
        });
        let handle = DeviceHandle {
            name: config.name.clone(),
            metrics: metrics.clone(),
            state,
            writes: writes.clone(),
        };
        let task = Self {
            pace: config.governor.requests_per_second_max.and_then(Pace::new).map(Arc::new),
            config,
            observer,
            clock,
            stop: Stop(stop),
            status,
            writes,
            metrics,
            places,
            groups: Vec::new(),
            back_off: BackOff::new(random),
            slow_down: SlowDown::default(),
            unanswered: 0,
            trouble: None,
            writing: Vec::new(),
            lost: Vec::new(),
        };
        (task, handle)
    }

    /// Runs until it is stopped. `delay` spreads the first connections of many devices.
    pub(super) async fn run(mut self, delay: Duration) {
        let mut stop = self.stop.clone();
        tokio::select! {
            () = stop.wanted() => return self.close().await,
            () = sleep(delay) => {}
        }
        let start = Instant::now();
        let groups = std::mem::take(&mut self.config.groups).into_iter().enumerate();
        self.groups = groups.map(|(index, group)| ScanGroup::new(GroupIndex(index), group, start)).collect();
        loop {
            match catch_panic(self.turn()).await {
                Ok(Next::GoOn) => {}
                Ok(Next::Stop) => return self.close().await,
                Err(words) => {
                    tracing::error!(device = %self.config.name, "the device's task failed and starts again: {words}");
                    self.metrics.restarts.increment();
                    let cause = format!("internal error: {words}");
                    self.trouble = Some(SessionError::Lost { cause, status: Status::BadUnexpectedError });
                    // Even telling about it may fail in the same way; never do that in a tight loop.
                    tokio::select! {
                        () = stop.wanted() => {}
                        () = sleep(limits::BACK_OFF_MIN) => {}
                    }
                }
            }
        }
    }

    /// One life of a connection, with the mourning of the last one before it.
    async fn turn(&mut self) -> Next {
        self.settle_failed().await;
        if let Some(trouble) = self.trouble.take() {
            let pause = match &trouble {
                SessionError::Refused { .. } => self.back_off.refused(),
                SessionError::Lost { .. } | SessionError::Protocol(_) => self.back_off.pause(),
            };
            self.metrics.connection_errors.increment();
            self.go_away(&trouble).await;
            if self.pause(pause).await == Next::Stop {
                return Next::Stop;
            }
        }
        match self.live().await {
            Ok(next) => next,
            Err(trouble) => {
                self.trouble = Some(trouble);
                Next::GoOn
            }
        }
    }

    /// Connects and serves the device until it is lost or stopped.
    async fn live(&mut self) -> Result<Next, SessionError> {
        // Given back after the session, which is dropped before it.
        let _place = self.places.take()?;
        self.metrics.connects.increment();
        let context = SessionContext {
            counters: self.metrics.session.clone(),
            clock: self.clock.clone(),
            in_flight_max: self.config.governor.in_flight_max,
            pace: self.pace.clone(),
        };
        let limit = self.config.governor.connect_timeout;
        let connect = timeout(limit, self.config.driver.connect(&self.config.target, context));
        let mut stop = self.stop.clone();
        let mut session = tokio::select! {
            () = stop.wanted() => return Ok(Next::Stop),
            connected = connect => connected.unwrap_or_else(|_| Err(SessionError::Lost {
                cause: format!("no connection within {} ms", limit.as_millis()),
                status: Status::BadTimeout,
            }))?,
        };
        let connected = Instant::now();
        let served = self.serve(session.as_mut()).await;
        if self.is_online() {
            self.back_off.lasted(connected.elapsed());
        }
        served
    }

    /// Scans and writes over one session.
    async fn serve(&mut self, session: &mut dyn Session) -> Result<Next, SessionError> {
        let mut stop = self.stop.clone();
        let now = Instant::now();
        self.unanswered = 0;
        for group in &mut self.groups {
            group.prepare(&self.config.name, session);
            group.beat.resume(now);
        }
        self.settle_lost(session).await?;
        if self.groups.is_empty() {
            self.come_online().await;
        }
        let writes = self.writes.clone();
        loop {
            if !writes.queue.is_empty() {
                self.write(session).await?;
            }
            let next = self.groups.iter().enumerate().min_by_key(|(_, group)| group.beat.due());
            let next = next.map(|(index, group)| (index, group.beat.due()));
            if let Some((index, due)) = next
                && due <= Instant::now()
            {
                if self.scan(index, session).await? == Next::Stop {
                    return Ok(Next::Stop);
                }
                continue;
            }
            let due = async {
                match next {
                    Some((_, due)) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = stop.wanted() => return Ok(Next::Stop),
                () = writes.queue.filled() => {}
                () = due => {}
                ended = session.ended() => return Err(ended),
            }
        }
    }

    /// One scan of one group, handed to the observer.
    async fn scan(&mut self, index: usize, session: &mut dyn Session) -> Result<Next, SessionError> {
        let mut stop = self.stop.clone();
        let limit = self.config.governor.scan_timeout;
        let Some(group) = self.groups.get_mut(index) else { return Ok(Next::GoOn) };
        let began = Instant::now();
        let missed = group.beat.begin(began);
        let answers = &self.metrics.session.round_trip;
        let (count, sum) = (answers.count(), answers.sum());
        let asked = self.metrics.session.requests.get();
        tokio::select! {
            biased;
            () = stop.wanted() => return Ok(Next::Stop),
            read = timeout(limit, group.read(session, &*self.clock)) => read.unwrap_or_else(|_| {
                let cause = format!("a scan took longer than {} s", limit.as_secs_f32());
                Err(SessionError::Lost { cause, status: Status::BadTimeout })
            })?,
        }
        self.metrics.scan_time.observe(began.elapsed());
        self.metrics.scans.increment();
        self.metrics.overruns.add(missed);
        self.metrics.bad_cells.add(group.bad_cells());
        let answered = u32::try_from(answers.count().saturating_sub(count)).unwrap_or(u32::MAX);
        if answered > 0 {
            self.slow_down.observe(answers.sum().saturating_sub(sum) / answered);
            self.metrics.slowed_down.set(i64::from(self.slow_down.level()));
        }
        // A device is online when it has answered, not when it has accepted a connection.
        let was_online = self.status.borrow().state == DeviceState::Online;
        if answered == 0 && self.metrics.session.requests.get() > asked && !was_online {
            group.beat.finish(Instant::now(), 0);
            self.unanswered += 1;
            return if self.unanswered < self.groups.len() { Ok(Next::GoOn) } else { Err(mute()) };
        }
        self.come_online().await;
        if let Some(group) = self.groups.get_mut(index) {
            let scan = Scan { device: &self.config.name, group: group.index, row: &group.row, missed };
            self.observer.scanned(scan).await;
            group.beat.finish(Instant::now(), self.slow_down.skip());
        }
        Ok(Next::GoOn)
    }

    fn is_online(&self) -> bool {
        self.status.borrow().state == DeviceState::Online
    }

    async fn come_online(&mut self) {
        if !self.is_online() {
            self.metrics.online.set(1);
            self.change(DeviceState::Online, String::new()).await;
        }
    }

    /// Says once that the device is away: its state with the cause, and one row per group with every cell bad.
    async fn go_away(&mut self, trouble: &SessionError) {
        self.metrics.online.set(0);
        let (state, cause) = match trouble {
            SessionError::Refused { cause, help } => (DeviceState::Refused, format!("{cause}; {help}")),
            SessionError::Lost { .. } | SessionError::Protocol(_) => {
                (DeviceState::Offline, trouble.to_string())
            }
        };
        let before = self.status.borrow().state;
        if before == state {
            // Nothing new for the log; those that watch see the latest cause.
            self.status.send_modify(|status| status.cause = cause);
            return;
        }
        tracing::warn!(device = %self.config.name, "{cause}");
        self.change(state, cause).await;
        if matches!(before, DeviceState::Connecting | DeviceState::Online) {
            let at = self.clock.now();
            for group in &mut self.groups {
                group.lose(at, trouble.status());
                self.metrics.bad_cells.add(group.bad_cells());
                let scan = Scan { device: &self.config.name, group: group.index, row: &group.row, missed: 0 };
                self.observer.scanned(scan).await;
            }
        }
    }

    async fn change(&mut self, state: DeviceState, cause: String) {
        let at = self.clock.now();
        self.status.send_replace(DeviceStatus { state, since: at, cause: cause.clone() });
        self.observer.state_changed(StateChange { device: self.config.name.clone(), state, at, cause }).await;
    }

    /// Waits while the device is away. Writes that get too old meanwhile are answered.
    async fn pause(&mut self, pause: Duration) -> Next {
        let mut stop = self.stop.clone();
        let until = Instant::now() + pause;
        loop {
            let next = self.give_up_old_writes().await.map_or(until, |next| next.min(until));
            tokio::select! {
                () = stop.wanted() => return Next::Stop,
                () = self.writes.queue.pushed() => {}
                () = sleep_until(next) => {}
            }
            if until <= Instant::now() {
                return Next::GoOn;
            }
        }
    }

    /// Answers writes that have waited for the device for too long. Gives the time of the next one.
    async fn give_up_old_writes(&mut self) -> Option<Instant> {
        let now = self.writes.now();
        let mut next: Option<Instant> = None;
        let mut wait_for = |at: Instant| next = Some(next.map_or(at, |next| next.min(at)));
        let old = {
            let guard = self.writes.guard.lock();
            self.writes.queue.take_if(|waiting| match guard.time_left(now, &waiting.candidate) {
                Some(left) => {
                    // Ages count in milliseconds and are over only after their last one.
                    wait_for(now.monotonic + left + Duration::from_millis(1));
                    false
                }
                None => true,
            })
        };
        let given_up = self.lost.extract_if(.., |(lost, _)| {
            let end = lost.since + limits::SETTLE_TIMEOUT;
            if end > now.monotonic {
                wait_for(end);
            }
            end <= now.monotonic
        });
        let given_up: Vec<_> = given_up.collect();
        let cause = self.status.borrow().cause.clone();
        let mut settled: Vec<Settled> = old
            .into_iter()
            .map(|waiting| {
                let message = format!("the device was away until the command was too old: {cause}");
                self.writes.turned_away(waiting, code::OFFLINE, message)
            })
            .collect();
        let context = self.write_context();
        settled.extend(given_up.into_iter().map(|(lost, reply)| (context.unknown(lost), reply)));
        self.writes.finish(settled).await;
        next
    }

    /// Writes everything that waits.
    async fn write(&mut self, session: &mut dyn Session) -> Result<(), SessionError> {
        let mut candidates = Vec::new();
        for Waiting { candidate, reply } in self.writes.queue.take() {
            self.writing.push((candidate.request().clone(), reply));
            candidates.push(candidate);
        }
        let batch = self.write_context().write(session, candidates).await;
        let mut replies = std::mem::take(&mut self.writing);
        let mut reply_for = |request: &WriteRequest| {
            let index = replies.iter().position(|(of, _)| of.tag == request.tag);
            index.map(|index| replies.swap_remove(index).1)
        };
        let reports = batch.reports.into_iter();
        let settled = reports.filter_map(|report| Some((reply_for(&report.request)?, report)));
        let mut settled: Vec<Settled> = settled.map(|(reply, report)| (report, reply)).collect();
        for lost in batch.lost {
            self.lost.extend(reply_for(&lost.request).map(|reply| (lost, reply)));
        }
        let untried = batch.untried.into_iter();
        let untried = untried
            .filter_map(|candidate| Some(Waiting { reply: reply_for(candidate.request())?, candidate }));
        let superseded = self.writes.queue.put_back(untried.collect());
        settled.extend(superseded.into_iter().map(|older| self.writes.superseded(older)));
        self.writes.finish(settled).await;
        batch.end.map_or(Ok(()), Err)
    }

    /// Reads back what the last session left open.
    async fn settle_lost(&mut self, session: &mut dyn Session) -> Result<(), SessionError> {
        if self.lost.is_empty() {
            return Ok(());
        }
        let mut lost = Vec::new();
        for (write, reply) in std::mem::take(&mut self.lost) {
            self.writing.push((write.request.clone(), reply));
            lost.push(write);
        }
        match self.write_context().settle_lost(session, lost).await {
            Ok(reports) => {
                let replies = std::mem::take(&mut self.writing).into_iter().map(|(_, reply)| reply);
                self.writes.finish(reports.into_iter().zip(replies).collect()).await;
                Ok(())
            }
            Err((end, lost)) => {
                let replies = std::mem::take(&mut self.writing).into_iter().map(|(_, reply)| reply);
                self.lost = lost.into_iter().zip(replies).collect();
                Err(end)
            }
        }
    }

    /// Answers writes that were under way when the task failed: nobody knows what became of them.
    async fn settle_failed(&mut self) {
        let now = self.writes.now();
        let failed = std::mem::take(&mut self.writing).into_iter().map(|(request, reply)| {
            self.writes.guard.lock().settle(now, &request.tag, Settlement::Failed);
            let message = "the device's task failed while the command was under way".to_owned();
            (WriteReport { request, verdict: Verdict::Unknown { message }, old: None, at: now.wall }, reply)
        });
        let failed = failed.collect();
        self.writes.finish(failed).await;
    }

    /// Answers everything that still waits; nothing comes in any more.
    async fn close(mut self) {
        self.metrics.online.set(0);
        self.settle_failed().await;
        let waiting = self.writes.queue.close().into_iter();
        let mut settled: Vec<Settled> = waiting
            .map(|waiting| {
                // It was never tried, so it is no repetition when it is asked of the device's next life.
                self.writes.guard.lock().forget(waiting.candidate.request());
                self.writes.turned_away(waiting, code::OFFLINE, "the device was stopped".to_owned())
            })
            .collect();
        let lost = std::mem::take(&mut self.lost).into_iter();
        let context = self.write_context();
        settled.extend(lost.map(|(lost, reply)| (context.unknown(lost), reply)));
        self.writes.finish(settled).await;
    }

    fn write_context(&self) -> WriteContext<'_> {
        WriteContext {
            device: &self.config.name,
            guard: &self.writes.guard,
            audit: &*self.writes.audit,
            clock: &*self.clock,
            group: GroupIndex(self.groups.len()),
            timeout: self.config.governor.scan_timeout,
        }
    }
}

/// It was asked for every group, and no answer came.
fn mute() -> SessionError {
    let cause = "it takes the connection, but does not answer".to_owned();
    SessionError::Lost { cause, status: Status::BadTimeout }
}

impl Drop for DeviceTask {
    /// A task that had to be broken off must not leave a queue that nobody reads.
    fn drop(&mut self) {
        self.writes.queue.close();
    }
}
