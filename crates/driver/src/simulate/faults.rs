//! What can go wrong with a simulated machine, switchable while it runs.

use crate::Random;
use parking_lot::Mutex;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What happens to one answer instead of being sent as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerFault {
    /// The request is carried out, the answer is lost.
    Drop,
    /// The device answers with this error code of its protocol, and does nothing.
    Exception(u8),
    /// Random bytes come instead.
    Garbage,
    /// The answer carries another transaction's id.
    WrongTransaction,
    /// The answer carries another unit's id.
    WrongUnit,
    /// The answer comes twice.
    Duplicate,
    /// The answer comes this much later; others overtake it.
    Late(Duration),
    /// The request is carried out, then the connection is closed without an answer.
    Disconnect,
    /// The request is carried out, half of the answer is sent, then the connection is closed.
    Truncate,
}

/// Faults that stay until they are changed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FaultSettings {
    /// Every answer waits this long.
    pub delay: Duration,
    /// Up to this much is added to `delay` at random. Answers keep their order.
    pub delay_jitter: Duration,
    /// Which share (0 to 1) of the answers suffers which fault. The first that hits counts.
    pub answers: Vec<(AnswerFault, f64)>,
    /// Connections are accepted and kept, but nothing is read and nothing is answered.
    pub half_open: bool,
    /// Nothing listens; connections that exist stay.
    pub refuse_connections: bool,
    /// Connections over this number are accepted and closed at once.
    pub connections_max: Option<usize>,
    /// Addresses (as they were given in the spec) that are refused although they exist.
    pub refused_addresses: BTreeSet<Arc<str>>,
    /// Units behind this machine (a gateway's stations) that never answer.
    pub silent_units: BTreeSet<u32>,
    /// Writes are confirmed but not done.
    pub ignore_writes: bool,
}

/// What becomes of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fate {
    /// Goes wrong in this way.
    pub fault: Option<AnswerFault>,
    /// Is sent after this time.
    pub delay: Duration,
}

/// The switchboard of one simulator's faults. Clones are the same switchboard.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    settings: FaultSettings,
    once: VecDeque<AnswerFault>,
    disconnects: u64,
}

impl Faults {
    /// Changes the settings.
    pub fn set(&self, change: impl FnOnce(&mut FaultSettings)) {
        change(&mut self.0.state.lock().settings);
        self.announce();
    }

    /// The settings now.
    pub fn settings(&self) -> FaultSettings {
        self.0.state.lock().settings.clone()
    }

    /// Ends every lasting fault and forgets those that wait for an answer.
    pub fn heal(&self) {
        let mut state = self.0.state.lock();
        state.settings = FaultSettings::default();
        state.once.clear();
        drop(state);
        self.announce();
    }

    /// Lets this happen to the next answer only. Several wait for one answer each.
    pub fn once(&self, fault: AnswerFault) {
        self.0.state.lock().once.push_back(fault);
    }

    /// Resets every connection that exists now.
    pub fn disconnect(&self) {
        self.0.state.lock().disconnects += 1;
        self.announce();
    }

    /// What becomes of the next answer.
    pub fn fate(&self, random: &mut Random) -> Fate {
        let mut state = self.0.state.lock();
        let once = state.once.pop_front();
        let settings = &state.settings;
        let hit =
            || settings.answers.iter().find(|(_, share)| random.unit() < *share).map(|(fault, _)| *fault);
        let fault = once.or_else(hit);
        let jitter = match settings.delay_jitter {
            Duration::ZERO => Duration::ZERO,
            jitter => jitter.mul_f64(random.unit()),
        };
        Fate { fault, delay: settings.delay + jitter }
    }

    /// Whether `address` is refused.
    pub fn is_refused(&self, address: &str) -> bool {
        self.0.state.lock().settings.refused_addresses.contains(address)
    }

    /// Whether `unit` never answers.
    pub fn is_silent(&self, unit: u32) -> bool {
        self.0.state.lock().settings.silent_units.contains(&unit)
    }

    /// Whether writes are confirmed but not done.
    pub fn ignores_writes(&self) -> bool {
        self.0.state.lock().settings.ignore_writes
    }

    pub(super) fn is_half_open(&self) -> bool {
        self.0.state.lock().settings.half_open
    }

    pub(super) fn refuses_connections(&self) -> bool {
        self.0.state.lock().settings.refuse_connections
    }

    pub(super) fn connections_max(&self) -> Option<usize> {
        self.0.state.lock().settings.connections_max
    }

    /// How often [`Faults::disconnect`] was called.
    pub(super) fn disconnects(&self) -> u64 {
        self.0.state.lock().disconnects
    }

    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    fn announce(&self) {
        self.0.changed.send_modify(|version| *version += 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_shots_come_first_and_shares_are_kept() {
        let faults = Faults::default();
        let mut random = Random::new(1);
        faults.set(|f| f.answers = vec![(AnswerFault::Garbage, 0.25)]);
        faults.once(AnswerFault::Exception(2));
        assert_eq!(faults.fate(&mut random).fault, Some(AnswerFault::Exception(2)));
        let spoiled = (0..1000).filter(|_| faults.fate(&mut random).fault.is_some()).count();
        assert!((180..320).contains(&spoiled), "{spoiled}");
        faults.heal();
        assert_eq!(faults.fate(&mut random), Fate::default());
    }

    #[test]
    fn jitter_stays_in_its_bounds() {
        let faults = Faults::default();
        let mut random = Random::new(1);
        faults.set(|f| {
            f.delay = Duration::from_millis(10);
            f.delay_jitter = Duration::from_millis(5);
        });
        for _ in 0..100 {
            let delay = faults.fate(&mut random).delay;
            assert!((Duration::from_millis(10)..Duration::from_millis(15)).contains(&delay), "{delay:?}");
        }
    }
}
