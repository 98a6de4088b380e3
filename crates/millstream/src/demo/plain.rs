//! The demo as lines: for pipes, logs and tests.

use super::events::Event;
use super::scene::Scene;
use super::view::{change, clock};
use crate::console::Console;
use crate::failure::Failure;
use millstream_server::Listener;
use std::fmt::Write as _;
use std::time::Duration;

/// Prints a line a second, and one for everything that happens.
#[derive(Debug)]
pub(super) struct Lines {
    console: Console,
    next: Duration,
}

impl Lines {
    pub(super) fn new(console: Console) -> Self {
        Self { console, next: Duration::ZERO }
    }

    /// Says where everything listens.
    pub(super) fn greet(&self, listeners: &[Listener]) -> Result<(), Failure> {
        listeners.iter().try_for_each(|listener| {
            self.console.line(format_args!("{} {}", listener.what, listener.address))
        })
    }

    /// The values, once a second.
    pub(super) fn second(&mut self, scene: &Scene) -> Result<(), Failure> {
        let Some(report) = scene.report.as_ref().filter(|_| scene.elapsed >= self.next) else {
            return Ok(());
        };
        self.next = scene.elapsed + Duration::from_secs(1);
        let mut line = clock(scene.elapsed);
        for device in &report.devices {
            let _ = write!(line, "  {}: {}", device.facts.name, device.words);
            for tag in device.facts.groups.iter().flat_map(|group| &group.tags) {
                if let Some(value) = tag.value.as_f64().filter(|_| tag.unit.is_some()) {
                    let _ = write!(line, " {}={value:.1}", tag.name);
                }
            }
        }
        self.console.line(line)?;
        let problems = report.health.problems.iter();
        problems.into_iter().try_for_each(|problem| {
            self.console.line(format_args!("{}  {}: {}", clock(scene.elapsed), problem.who, problem.what))
        })
    }

    /// What happened, where it is worth a line.
    pub(super) fn event(&self, scene: &Scene, event: &Event) -> Result<(), Failure> {
        let at = clock(scene.elapsed);
        match event {
            Event::Alarm { temperature, hot, .. } if scene.alarm.is_some_and(|alarm| alarm.changed) => {
                let word = if *hot { "ALARM: the press is hot" } else { "the press is cool" };
                self.console.line(format_args!("{at}  {word}, {temperature:.1} °C"))
            }
            Event::Alarm { .. } | Event::Average(_) => Ok(()),
            Event::Write(write) if write.changes_nothing() => Ok(()),
            Event::Write(write) | Event::Refused(write) => {
                self.console.line(format_args!("{at}  {} {}  {}", write.target, change(write), write.words))
            }
        }
    }
}
