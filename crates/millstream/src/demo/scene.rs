//! What the demo's view knows: the newest report, some history, and what has happened.

use super::events::{Event, Write};
use millstream_server::Report;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// Values kept for the little bars: as many as the widest view shows.
const HISTORY: usize = 60;
/// Time between two of them.
const SAMPLE: Duration = Duration::from_millis(500);
/// Guarded writes that are kept.
const WRITES: usize = 16;

/// The demo at one moment.
#[derive(Debug)]
pub(super) struct Scene {
    started: Instant,
    pub(super) elapsed: Duration,
    pub(super) report: Option<Report>,
    /// By device and tag; `None` where the value was bad or not known.
    history: BTreeMap<(String, String), VecDeque<Option<f64>>>,
    sampled: Option<Instant>,
    pub(super) alarm: Option<Alarm>,
    pub(super) average: Option<f64>,
    /// Newest first.
    pub(super) writes: VecDeque<Write>,
    /// Times that an alarm came and went again: the loop closed.
    pub(super) rounds: u32,
}

/// The alarm as the query has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Alarm {
    pub(super) hot: bool,
    pub(super) since_ms: i64,
    pub(super) temperature: f64,
    /// Whether this is the row that changed it.
    pub(super) changed: bool,
}

impl Scene {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            started: now,
            elapsed: Duration::ZERO,
            report: None,
            history: BTreeMap::new(),
            sampled: None,
            alarm: None,
            average: None,
            writes: VecDeque::new(),
            rounds: 0,
        }
    }

    /// Takes in how everything is now.
    pub(super) fn look(&mut self, now: Instant, report: Report) {
        self.elapsed = now.saturating_duration_since(self.started);
        if self.sampled.is_none_or(|at| now.saturating_duration_since(at) >= SAMPLE) {
            self.sampled = Some(now);
            for device in &report.devices {
                for tag in device.facts.groups.iter().flat_map(|group| &group.tags) {
                    let values =
                        self.history.entry((device.facts.name.clone(), tag.name.clone())).or_default();
                    values.push_back(tag.value.as_f64());
                    if values.len() > HISTORY {
                        values.pop_front();
                    }
                }
            }
        }
        self.report = Some(report);
    }

    /// Takes in what happened.
    pub(super) fn take(&mut self, event: Event) {
        match event {
            Event::Alarm { at_ms, temperature, hot } => {
                let before = self.alarm.filter(|alarm| alarm.hot == hot);
                let changed = before.is_none();
                let went = self.alarm.is_some_and(|alarm| alarm.hot) && !hot;
                self.rounds += u32::from(went);
                let since_ms = before.map_or(at_ms, |alarm| alarm.since_ms);
                self.alarm = Some(Alarm { hot, since_ms, temperature, changed });
            }
            Event::Average(average) => self.average = Some(average),
            // What leaves everything as it is happens twice a second, and would push out what does not.
            Event::Write(write) if write.changes_nothing() => {}
            Event::Write(write) | Event::Refused(write) => {
                self.writes.push_front(write);
                self.writes.truncate(WRITES);
            }
        }
    }

    /// The history of one tag.
    pub(super) fn history(
        &self,
        device: &str,
        tag: &str,
    ) -> impl DoubleEndedIterator<Item = &Option<f64>> + Clone {
        self.history.get(&(device.to_owned(), tag.to_owned())).into_iter().flatten()
    }
}
