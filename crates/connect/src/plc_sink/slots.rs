//! The newest command of each tag, when it may go, and which offsets are not settled yet.

use crate::audit::AGAIN;
use crate::limits::BUSY_PAUSE;
use millstream_bus::TopicPartition;
use millstream_driver::guard::{Origin, WriteRequest, WriteRule, code};
use millstream_driver::limits::WRITE_QUEUE;
use millstream_driver::schedule::{Verdict, WriteReport};
use millstream_model::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

#[derive(Debug)]
struct Slot {
    min_interval: Option<Duration>,
    max_age: Duration,
    /// The newest command, not handed over yet.
    waiting: Option<WriteRequest>,
    /// When it came, as a place in the order of all commands.
    place: u64,
    /// Commands at the device.
    under_way: usize,
    not_before: Option<Instant>,
}

/// See the module. Holds at most one waiting command per writable tag.
#[derive(Debug)]
pub(super) struct Slots {
    tags: BTreeMap<Arc<str>, Slot>,
    /// How many commands of each offset are not settled.
    unsettled: BTreeMap<TopicPartition, BTreeMap<i64, usize>>,
    under_way: usize,
    /// How many commands ever came.
    came: u64,
}

impl Slots {
    pub(super) fn new(rules: &[WriteRule]) -> Self {
        let slot = |rule: &WriteRule| Slot {
            min_interval: rule.min_interval,
            max_age: rule.max_age,
            waiting: None,
            place: 0,
            under_way: 0,
            not_before: None,
        };
        let tags = rules.iter().map(|rule| (rule.tag.name.clone(), slot(rule))).collect();
        Self { tags, unsettled: BTreeMap::new(), under_way: 0, came: 0 }
    }

    /// Takes a command in; gives back what is not wanted any more: the one that it replaces.
    pub(super) fn put(&mut self, request: WriteRequest) -> Option<WriteRequest> {
        let slot = self.tags.get_mut(&request.tag)?;
        note(&mut self.unsettled, &request);
        self.came += 1;
        slot.place = self.came;
        let older = slot.waiting.replace(request)?;
        forget(&mut self.unsettled, &older);
        Some(older)
    }

    /// The commands that may go now, in the order they came, and those that waited too long. A tag with a least interval waits for it, and for the
    /// write before, so that the newest command of a burst comes last. While the device is away nothing waits for
    /// another: the device keeps the newest.
    pub(super) fn take_due(
        &mut self,
        wall: Timestamp,
        is_online: bool,
    ) -> (Vec<WriteRequest>, Vec<WriteRequest>) {
        let now = Instant::now();
        let (mut due, mut too_old) = (Vec::new(), Vec::new());
        for slot in self.tags.values_mut() {
            let is_due = slot.is_due(now, is_online) && self.under_way < WRITE_QUEUE;
            match slot.waiting.take() {
                Some(request) if is_due => {
                    slot.under_way += 1;
                    self.under_way += 1;
                    due.push((slot.place, request));
                }
                Some(request) if wall.since(request.asked_at) > slot.max_age => {
                    forget(&mut self.unsettled, &request);
                    too_old.push(request);
                }
                waiting => slot.waiting = waiting,
            }
        }
        due.sort_unstable_by_key(|(place, _)| *place);
        (due.into_iter().map(|(_, request)| request).collect(), too_old)
    }

    /// When to look again for commands that may go, as far as that is a matter of time.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let now = Instant::now();
        let due = |slot: &Slot| match slot.not_before {
            Some(at) if at > now => at,
            // It waits for the write before, for room at the device, or for the sink to have read on to the end.
            _ => now + BUSY_PAUSE,
        };
        self.tags.values().filter(|slot| slot.waiting.is_some()).map(due).min()
    }

    pub(super) fn max_age(&self, tag: &str) -> Option<Duration> {
        self.tags.get(tag).map(|slot| slot.max_age)
    }

    /// A command came back. `true` when it is settled for good, `false` when it waits to be offered again.
    pub(super) fn settled(&mut self, request: WriteRequest, report: Option<&WriteReport>) -> bool {
        self.under_way = self.under_way.saturating_sub(1);
        let now = Instant::now();
        let again = match report.map(|report| &report.verdict) {
            Some(Verdict::Refused { code, .. }) => *code == code::BUSY || *code == code::TOO_SOON,
            _ => false,
        };
        if let Some(slot) = self.tags.get_mut(&request.tag) {
            slot.under_way = slot.under_way.saturating_sub(1);
            let was_sent = !matches!(report.map(|report| &report.verdict), Some(Verdict::Refused { .. }));
            if was_sent || again {
                let is_busy = report.is_some_and(|report| is_refused_as(report, code::BUSY));
                let pause = if is_busy { Some(BUSY_PAUSE) } else { slot.min_interval };
                slot.not_before = pause.map(|pause| now + pause);
            }
            if again && slot.waiting.is_none() {
                slot.waiting = Some(offered_again(request, report));
                return false;
            }
        }
        forget(&mut self.unsettled, &request);
        true
    }

    /// The first offset of a partition with a command that is not settled.
    pub(super) fn first_unsettled(&self, at: &TopicPartition) -> Option<i64> {
        self.unsettled.get(at)?.first_key_value().map(|(offset, _)| *offset)
    }
}

impl Slot {
    fn is_due(&self, now: Instant, is_online: bool) -> bool {
        self.not_before.is_none_or(|at| at <= now) && !self.is_paced_out(is_online)
    }

    /// Whether the write before has to end first.
    fn is_paced_out(&self, is_online: bool) -> bool {
        self.min_interval.is_some() && self.under_way > 0 && is_online
    }
}

fn is_refused_as(report: &WriteReport, wanted: &str) -> bool {
    matches!(&report.verdict, Verdict::Refused { code, .. } if *code == wanted)
}

/// The guard remembers the ids of what it refused as too soon, so that another try has an id of its own.
fn offered_again(request: WriteRequest, report: Option<&WriteReport>) -> WriteRequest {
    if report.is_some_and(|report| is_refused_as(report, code::BUSY)) {
        return request;
    }
    let (id, tries) = match request.id.rsplit_once(AGAIN) {
        Some((id, tries)) => (id, tries.parse().unwrap_or(1_u32)),
        None => (&*request.id, 1),
    };
    WriteRequest { id: format!("{id}{AGAIN}{}", tries.saturating_add(1)).into(), ..request }
}

fn origin(request: &WriteRequest) -> Option<(TopicPartition, i64)> {
    match &request.origin {
        Origin::Record { topic, partition, offset } => {
            Some((TopicPartition::new(topic.clone(), *partition), *offset))
        }
        Origin::CommandLine { .. } => None,
    }
}

fn note(unsettled: &mut BTreeMap<TopicPartition, BTreeMap<i64, usize>>, request: &WriteRequest) {
    if let Some((at, offset)) = origin(request) {
        *unsettled.entry(at).or_default().entry(offset).or_default() += 1;
    }
}

fn forget(unsettled: &mut BTreeMap<TopicPartition, BTreeMap<i64, usize>>, request: &WriteRequest) {
    let Some((at, offset)) = origin(request) else { return };
    let Some(offsets) = unsettled.get_mut(&at) else { return };
    if let Some(count) = offsets.get_mut(&offset) {
        *count -= 1;
        if *count == 0 {
            offsets.remove(&offset);
        }
    }
}

#[cfg(test)]
#[path = "slots_tests.rs"]
mod tests;
