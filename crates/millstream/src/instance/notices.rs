//! Trouble that belongs to no device, query or task: one notice per subject, until it is cleared.

use crate::clock::SystemClock;
use millstream_model::Clock;
use millstream_server::{Condition, Problem};
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// The notices there are.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    all: Mutex<BTreeMap<&'static str, Problem>>,
}

impl Notices {
    /// Says what is wrong with `subject`, in place of what was said before.
    pub(crate) fn set(
        &self,
        subject: &'static str,
        condition: Condition,
        what: impl Into<String>,
        help: &str,
    ) {
        let mut all = self.all.lock();
        let what = what.into();
        // Since when counts from the first time it was said.
        let since_ms = match all.get(subject) {
            Some(known) if known.what == what => known.since_ms,
            _ => Some(SystemClock.now().as_millis()),
        };
        let help = Some(help.to_owned()).filter(|help| !help.is_empty());
        all.insert(subject, Problem { condition, who: subject.to_owned(), what, help, since_ms });
    }

    /// It is well again.
    pub(crate) fn clear(&self, subject: &'static str) {
        self.all.lock().remove(subject);
    }

    /// Every notice.
    pub(crate) fn all(&self) -> Vec<Problem> {
        self.all.lock().values().cloned().collect()
    }
}
