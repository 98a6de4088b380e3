//! The units behind one address: which answer, and which are left alone for a while because they do not.
//!
//! A unit that is silent, or that its gateway cannot reach, would cost every scan a time-out. So it is taken out of the
//! scans while its neighbours live, and tried with one request of short patience between scans, at growing intervals. A
//! device whose every unit is silent is another matter: then the connection is in doubt, and the session finds that out.

use crate::limits::{PROBE_TIMEOUT_MIN, UNIT_RETRY_MAX, UNIT_RETRY_MIN};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

#[derive(Debug, Clone, Copy)]
enum Health {
    InService { answered: bool },
    Out { retry_at: Instant, pause: Duration, probing: bool },
}

/// What is known about the units behind one address.
#[derive(Debug, Default)]
pub struct Units {
    units: BTreeMap<u8, Health>,
    /// The slowest answer of late; fades.
    slowest: Duration,
}

impl Units {
    /// Whether scans ask the unit.
    pub fn is_in_service(&self, unit: u8) -> bool {
        !matches!(self.units.get(&unit), Some(Health::Out { .. }))
    }

    /// The unit answered.
    pub fn answered(&mut self, unit: u8, round_trip: Duration) {
        self.slowest = round_trip.max(self.slowest.mul_f64(0.99));
        self.units.insert(unit, Health::InService { answered: true });
    }

    /// An answer came late: the unit lives.
    pub fn late(&mut self, unit: u8) {
        self.units.insert(unit, Health::InService { answered: true });
    }

    /// The unit did not answer in time, or its gateway could not reach it.
    pub fn failed(&mut self, now: Instant, unit: u8) {
        // Only neighbours that have answered show that the fault is the unit's and not the connection's.
        let neighbours = self
            .units
            .iter()
            .any(|(other, health)| *other != unit && matches!(health, Health::InService { answered: true }));
        let pause = match self.units.get(&unit) {
            Some(Health::Out { pause, .. }) => (*pause * 2).min(UNIT_RETRY_MAX),
            _ => UNIT_RETRY_MIN,
        };
        let health = if neighbours {
            Health::Out { retry_at: now + pause, pause, probing: false }
        } else {
            Health::InService { answered: false }
        };
        self.units.insert(unit, health);
        if !neighbours {
            // Nobody answers any more, so nobody's silence is his own fault: all are asked again.
            for health in self.units.values_mut() {
                *health = Health::InService { answered: false };
            }
        }
    }

    /// The unit whose time to be tried again has come; it is not named again until it answered or failed.
    pub fn due(&mut self, now: Instant) -> Option<u8> {
        let due = |health: &Health| matches!(health, Health::Out { retry_at, probing: false, .. } if *retry_at <= now);
        let (unit, health) = self.units.iter_mut().find(|(_, health)| due(health))?;
        if let Health::Out { probing, .. } = health {
            *probing = true;
        }
        Some(*unit)
    }

    /// How long a unit that is tried again may take: four times what its neighbours need, within `request_timeout`.
    pub fn probe_timeout(&self, request_timeout: Duration) -> Duration {
        (self.slowest * 4).max(PROBE_TIMEOUT_MIN).min(request_timeout)
    }
}
