//! The guarded PLC sink: records become write requests.
//!
//! One task per device. It reads its topic to the end, keeps the newest command of each tag, refuses the older ones, and
//! hands the rest to the device's guard. It never waits for a device: commands that the device has not taken are
//! replaced by newer ones, refused when they are too old, and meanwhile everything else goes on. Offsets are committed
//! when every command before them is settled: written, or refused in the audit trail, one by one, with the reason. A
//! command that an earlier life of the process had handed over is not handed over again.

mod command;
mod slots;

use crate::audit::{AuditLog, Refusal};
use crate::limits::{
    BEHIND, CATCH_UP, COMMIT_INTERVAL, DRAIN_WAIT, FIRST_START_AGE, FLUSH_WAIT, LEAVE_WAIT, POLL_WAIT,
    TOPIC_PARTITIONS, WRITE_GRACE,
};
use crate::outbox::ensure_topic;
use crate::task::{Task, TaskContext, TaskError};
use async_trait::async_trait;
use command::Selector;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use millstream_bus::{
    Bus, BusError, CommittedOffset, FetchLimit, Fetched, GroupReader, Isolation, StartOffset, TopicPartition,
    TopicSpec,
};
use millstream_driver::guard::{WriteRequest, WriteRule};
use millstream_driver::schedule::{DeviceHandle, DeviceState, WriteReport};
use millstream_model::{AssetPath, Clock};
use slots::Slots;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

/// Which topic may ask one device for writes. What is allowed is the guard's matter (`driver::guard::WriteRule`).
#[derive(Debug, Clone, PartialEq)]
pub struct SinkDevice {
    /// Device name in the plant folder.
    pub device: Arc<str>,
    /// The device's asset path.
    pub asset: AssetPath,
    /// Where commands come from: Row layout (`{"tag":value,…}`), Tag layout (key ends in `/tag`), or PLC4X records.
    pub topic: Arc<str>,
    /// The tags that may be written.
    pub tags: Vec<Arc<str>>,
}

impl SinkDevice {
    /// The group whose offsets say how far the sink is.
    pub fn group(&self) -> String {
        format!("millstream-sink-{}-{}", self.device, self.topic)
    }
}

/// What takes writes: a device.
#[async_trait]
pub trait WriteTarget: Send + Sync + 'static {
    /// Asks for writes and waits until each is settled: one report per request, in order, each already in the audit trail.
    async fn write(&self, requests: Vec<WriteRequest>) -> Vec<WriteReport>;

    /// Whether the device is reachable now.
    fn is_online(&self) -> bool;
}

#[async_trait]
impl WriteTarget for DeviceHandle {
    async fn write(&self, requests: Vec<WriteRequest>) -> Vec<WriteReport> {
        Self::write(self, requests).await
    }

    fn is_online(&self) -> bool {
        self.state.borrow().state == DeviceState::Online
    }
}

/// The sink of one device. See the module.
pub struct PlcSink {
    bus: Arc<dyn Bus>,
    clock: Arc<dyn Clock>,
    audit: Arc<AuditLog>,
    target: Arc<dyn WriteTarget>,
    device: SinkDevice,
    selector: Selector,
    rules: Vec<WriteRule>,
    /// What an earlier life of the task settled and could not commit: it is not told twice.
    settled_before: BTreeMap<TopicPartition, i64>,
}

impl std::fmt::Debug for PlcSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlcSink").field("device", &self.device).finish_non_exhaustive()
    }
}

impl PlcSink {
    /// The sink of `device`. `all` are the sinks of the whole plant (`device` among them): devices that share a topic are
    /// told apart by the records' keys. `rules` are the device's, for the pace of its tags.
    pub fn new(
        bus: Arc<dyn Bus>,
        clock: Arc<dyn Clock>,
        audit: Arc<AuditLog>,
        target: Arc<dyn WriteTarget>,
        device: SinkDevice,
        all: &[SinkDevice],
        rules: Vec<WriteRule>,
    ) -> Self {
        let selector = Selector::new(&device, all);
        Self { bus, clock, audit, target, device, selector, rules, settled_before: BTreeMap::new() }
    }

    /// Joins the group. A group without offsets starts at the newest commands: no machine obeys last year's.
    async fn subscribe(&mut self) -> Result<Box<dyn GroupReader>, BusError> {
        let (group, topic) = (self.device.group(), self.device.topic.to_string());
        let partitions = ensure_topic(&*self.bus, &TopicSpec::new(&topic, TOPIC_PARTITIONS)).await?;
        let all: Vec<_> = (0..partitions).map(|p| TopicPartition::new(&*topic, p)).collect();
        for at in &all {
            // A topic that was made anew starts at 0 again.
            let latest = self.bus.offsets(at).await?.latest;
            self.settled_before.retain(|settled, offset| settled != at || *offset <= latest);
        }
        let committed = self.bus.committed(&group, &all).await?;
        let mut starts = Vec::new();
        for (at, _) in all.into_iter().zip(committed).filter(|(_, committed)| committed.is_none()) {
            let since = millstream_model::Timestamp(
                self.clock
                    .now()
                    .as_millis()
                    .saturating_sub(i64::try_from(FIRST_START_AGE.as_millis()).unwrap_or(0)),
            );
            let start = match self.bus.offset_for_time(&at, since).await? {
                Some(offset) => offset,
                None => self.bus.offsets(&at).await?.latest,
            };
            starts.push((at, CommittedOffset::new(start)));
        }
        if !starts.is_empty() {
            match self.bus.commit(&group, &starts).await {
                // The group has members, and they know where they are.
                Ok(()) | Err(BusError::Fenced(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.bus.subscribe(&group, &[topic], StartOffset::Earliest, Isolation::ReadCommitted).await
    }
}

#[async_trait]
impl Task for PlcSink {
    async fn run(&mut self, context: &TaskContext) -> Result<(), TaskError> {
        self.audit.recover().await?;
        let reader = self.subscribe().await?;
        let mut life = Life {
            sink: self,
            context,
            reader,
            slots: Slots::new(&self.rules),
            under_way: FuturesUnordered::new(),
            read_to: self.settled_before.clone(),
            next_offsets: BTreeMap::new(),
            commit_at: None,
            behind_since: None,
            is_cut_short: false,
        };
        let mut result = life.run().await;
        if result.is_ok() {
            result = life.drain().await;
        }
        let settled = life.settled_offsets();
        if let Err(error) = life.leave().await {
            tracing::debug!(device = %self.device.device, "the group was not left: {error}");
        }
        self.settled_before.extend(settled);
        result
    }
}

/// One life of the task, from subscription to stop or error.
struct Life<'a> {
    sink: &'a PlcSink,
    context: &'a TaskContext,
    reader: Box<dyn GroupReader>,
    slots: Slots,
    under_way: FuturesUnordered<BoxFuture<'static, HandedOver>>,
    /// How far reading ever was, per partition.
    read_to: BTreeMap<TopicPartition, i64>,
    /// How far reading is, per partition with something to commit.
    next_offsets: BTreeMap<TopicPartition, i64>,
    commit_at: Option<Instant>,
    behind_since: Option<Instant>,
    /// It was stopped before all refusals found room: their records must be read again.
    is_cut_short: bool,
}

/// Requests and what became of them; `None` when no report came in time.
type HandedOver = (Vec<WriteRequest>, Option<Vec<WriteReport>>);

enum Turn {
    Stop,
    Settled(Option<HandedOver>),
    Fetched(Result<Vec<Fetched>, BusError>),
    Timer,
}

impl Life<'_> {
    async fn run(&mut self) -> Result<(), TaskError> {
        let limit = FetchLimit { wait_max: POLL_WAIT, ..FetchLimit::default() };
        loop {
            if self.behind_since.is_none_or(|since| since.elapsed() >= CATCH_UP) {
                self.hand_over().await;
            }
            let wake_at = [self.commit_at, self.slots.next_due()];
            let wake_at = wake_at.into_iter().flatten().min();
            let timer = async {
                match wake_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let turn = tokio::select! {
                biased;
                () = self.context.stopped() => Turn::Stop,
                settled = self.under_way.next(), if !self.under_way.is_empty() => Turn::Settled(settled),
                () = timer => Turn::Timer,
                fetched = self.reader.poll(limit) => Turn::Fetched(fetched),
            };
            match turn {
                Turn::Stop => return Ok(()),
                Turn::Timer => {}
                Turn::Settled(settled) => self.settle(settled.into_iter()),
                Turn::Fetched(fetched) => self.fetched(fetched).await?,
            }
            if self.commit_at.is_some_and(|at| at <= Instant::now()) {
                self.commit().await?;
            }
        }
    }

    /// Takes in what was read: the newest command of each tag stays, everything else is refused for good.
    async fn fetched(&mut self, fetched: Result<Vec<Fetched>, BusError>) -> Result<(), TaskError> {
        let fetched = match fetched {
            Ok(fetched) => fetched,
            Err(error) => return self.skip(error).await,
        };
        let now = self.sink.clock.now();
        let mut refusals = Vec::new();
        let mut oldest = None;
        for fetched in fetched {
            // A member that lost its group and joins anew gets what it had not committed again.
            let read_to = self.read_to.get(&fetched.partition).copied().unwrap_or(0);
            for received in fetched.records.iter().filter(|received| received.offset >= read_to) {
                oldest = oldest.max(Some(now.since(received.record.timestamp)));
                let commands = self.sink.selector.commands(&fetched.partition, received);
                refusals.extend(commands.refusals);
                for request in commands.requests {
                    if self.sink.audit.was_intended(&request) {
                        let message =
                            "handed over before the restart; whether it was written is in the audit trail";
                        refusals.push(Refusal::of_request(
                            &self.sink.device.device,
                            &request,
                            millstream_driver::guard::code::DUPLICATE,
                            message,
                        ));
                    } else if let Some(older) = self.slots.put(request) {
                        refusals.push(self.superseded(&older));
                    }
                }
            }
            self.read_to.insert(fetched.partition.clone(), read_to.max(fetched.next_offset));
            self.next_offsets.insert(fetched.partition, read_to.max(fetched.next_offset));
        }
        if oldest.is_some() {
            self.context.progress();
            self.commit_at.get_or_insert_with(|| Instant::now() + COMMIT_INTERVAL);
        }
        self.refuse(refusals).await;
        self.note_behind(oldest.is_some_and(|age| age > BEHIND)).await
    }

    /// Records refusals. Where there is no room this waits; being stopped does not, and then nothing more is committed.
    async fn refuse(&mut self, refusals: Vec<Refusal>) {
        if refusals.is_empty() || self.is_cut_short {
            return;
        }
        self.context.metrics().refused.add(refusals.len() as u64);
        tokio::select! {
            () = self.sink.audit.refuse(&refusals) => {}
            () = self.context.stopped() => self.is_cut_short = true,
        }
    }

    /// Whether newer commands may be waiting in the log: then reading goes on before anything is written.
    async fn note_behind(&mut self, is_old: bool) -> Result<(), TaskError> {
        let mut is_behind = false;
        let bus = &self.sink.bus;
        for (at, next) in self.next_offsets.iter().filter(|_| is_old) {
            is_behind |= bus.offsets(at).await?.stable > *next;
        }
        self.behind_since = if is_behind { self.behind_since.or_else(|| Some(Instant::now())) } else { None };
        Ok(())
    }

    fn superseded(&self, older: &WriteRequest) -> Refusal {
        let message = format!("a newer value for `{}` came before this one was written", older.tag);
        let code = millstream_driver::guard::code::SUPERSEDED;
        Refusal::of_request(&self.sink.device.device, older, code, message)
    }

    /// Hands every command whose time has come to the device.
    async fn hand_over(&mut self) {
        let (requests, too_old) = self.slots.take_due(self.sink.clock.now(), self.sink.target.is_online());
        let refusals = too_old.iter().map(|request| self.too_old(request)).collect();
        self.refuse(refusals).await;
        if requests.is_empty() {
            return;
        }
        let target = self.sink.target.clone();
        let wait = requests.iter().filter_map(|request| self.slots.max_age(&request.tag)).max();
        let until = Instant::now() + wait.unwrap_or_default() + WRITE_GRACE;
        self.under_way.push(Box::pin(async move {
            let reports = timeout_at(until, target.write(requests.clone())).await;
            (requests, reports.ok())
        }));
    }

    fn too_old(&self, request: &WriteRequest) -> Refusal {
        let message = "no room at the device until it was too old".to_owned();
        let code = millstream_driver::guard::code::TOO_OLD;
        Refusal::of_request(&self.sink.device.device, request, code, message)
    }

    fn settle(&mut self, settled: impl Iterator<Item = HandedOver>) {
        for (requests, reports) in settled {
            if reports.as_ref().is_none_or(|reports| reports.len() != requests.len()) {
                let device = &self.sink.device.device;
                tracing::error!(%device, "no report on writes in time; the audit trail gets it when it comes");
            }
            let mut reports = reports.unwrap_or_default().into_iter();
            for request in requests {
                let report = reports.next();
                if self.slots.settled(request, report.as_ref()) {
                    self.context.metrics().records.increment();
                } else {
                    self.context.metrics().retries.increment();
                }
            }
            self.commit_at.get_or_insert_with(|| Instant::now() + COMMIT_INTERVAL);
        }
    }

    /// Commits, per partition, everything before the first command that is not settled, once the audit trail has what became
    /// of it. While the trail's log is away, commands go on and the commit comes later.
    async fn commit(&mut self) -> Result<(), TaskError> {
        if timeout(FLUSH_WAIT, self.sink.audit.flush()).await.is_err() {
            self.commit_at = Some(Instant::now() + COMMIT_INTERVAL);
            return Ok(());
        }
        self.commit_at = None;
        let offsets: Vec<_> = self
            .settled_offsets()
            .into_iter()
            .map(|(at, offset)| (at, CommittedOffset::new(offset)))
            .collect();
        let mut lag = 0;
        for (at, next) in &self.next_offsets {
            lag += self.sink.bus.offsets(at).await.map_or(0, |range| range.stable - next);
        }
        if !offsets.is_empty() {
            self.reader.commit(&offsets).await?;
        }
        self.context.metrics().lag.set(lag);
        self.next_offsets
            .retain(|at, next| self.slots.first_unsettled(at).is_some_and(|first| first < *next));
        Ok(())
    }

    /// Goes on after what cannot be read; says so.
    async fn skip(&mut self, error: BusError) -> Result<(), TaskError> {
        let Some((at, offset)) = error.next_readable() else { return Err(error.into()) };
        tracing::error!(device = %self.sink.device.device, "{error}; going on at {offset}");
        self.context.metrics().lost.increment();
        self.read_to.insert(at.clone(), offset);
        self.reader.seek(at, offset).await?;
        Ok(())
    }

    /// Per partition, the offset before which everything is settled.
    fn settled_offsets(&self) -> Vec<(TopicPartition, i64)> {
        let settled = |(at, next): (&TopicPartition, &i64)| {
            (at.clone(), self.slots.first_unsettled(at).unwrap_or(*next).min(*next))
        };
        if self.is_cut_short { Vec::new() } else { self.next_offsets.iter().map(settled).collect() }
    }

    /// The end: waits a while for writes that are under way, then commits.
    async fn drain(&mut self) -> Result<(), TaskError> {
        let until = Instant::now() + DRAIN_WAIT;
        while !self.under_way.is_empty() {
            match timeout_at(until, self.under_way.next()).await {
                Ok(settled) => self.settle(settled.into_iter()),
                Err(_) => break,
            }
        }
        self.commit().await
    }

    async fn leave(self) -> Result<(), BusError> {
        timeout(LEAVE_WAIT, self.reader.leave()).await.unwrap_or(Ok(()))
    }
}
