//! Writes that wait for a device: the newest of each tag, and no more than [`limits::WRITE_QUEUE`] of them.

use super::WriteReport;
use crate::guard::Candidate;
use crate::limits;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

/// Writes on their way to the device's task.
#[derive(Debug, Default)]
pub(super) struct WriteQueue {
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Waiting>,
    closed: bool,
}

/// One write that waits, and who waits for it.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) candidate: Candidate,
    pub(super) reply: oneshot::Sender<WriteReport>,
}

/// What became of a push.
#[derive(Debug)]
pub(super) enum Pushed {
    /// It waits; an older write of the same tag was pushed out.
    Queued { report: oneshot::Receiver<WriteReport>, superseded: Option<Waiting> },
    /// There is no room.
    Full(Candidate),
    /// The device is gone.
    Closed(Candidate),
}

impl WriteQueue {
    pub(super) fn push(&self, candidate: Candidate) -> Pushed {
        let mut state = self.state.lock();
        if state.closed {
            return Pushed::Closed(candidate);
        }
        let tag = &candidate.request().tag;
        let older = state.waiting.iter().position(|waiting| waiting.candidate.request().tag == *tag);
        if older.is_none() && state.waiting.len() >= limits::WRITE_QUEUE {
            return Pushed::Full(candidate);
        }
        let superseded = older.map(|index| state.waiting.remove(index));
        let (reply, report) = oneshot::channel();
        state.waiting.push(Waiting { candidate, reply });
        drop(state);
        self.filled.notify_one();
        Pushed::Queued { report, superseded }
    }

    /// Puts back what could not be written because the device was lost, behind nothing: a newer write of the tag wins.
    /// Gives back those that were superseded meanwhile.
    pub(super) fn put_back(&self, waiting: Vec<Waiting>) -> Vec<Waiting> {
        let mut state = self.state.lock();
        let (mut kept, mut superseded) = (Vec::new(), Vec::new());
        for older in waiting {
            let tag = &older.candidate.request().tag;
            let newer = state.waiting.iter().any(|newer| newer.candidate.request().tag == *tag);
            if newer { superseded.push(older) } else { kept.push(older) }
        }
        kept.append(&mut state.waiting);
        state.waiting = kept;
        superseded
    }

    /// Everything that waits, in order.
    pub(super) fn take(&self) -> Vec<Waiting> {
        std::mem::take(&mut self.state.lock().waiting)
    }

    /// Takes out what `gone` says.
    pub(super) fn take_if(&self, gone: impl FnMut(&mut Waiting) -> bool) -> Vec<Waiting> {
        self.state.lock().waiting.extract_if(.., gone).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.state.lock().waiting.is_empty()
    }

    /// Waits for the next push, or returns at once where one has not been noticed yet. Cancel-safe.
    pub(super) async fn pushed(&self) {
        self.filled.notified().await;
    }

    /// Waits until there is something. Cancel-safe.
    pub(super) async fn filled(&self) {
        while self.is_empty() {
            self.filled.notified().await;
        }
    }

    /// Lets nothing in any more and gives what waits.
    pub(super) fn close(&self) -> Vec<Waiting> {
        let mut state = self.state.lock();
        state.closed = true;
        std::mem::take(&mut state.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::{Guard, Now, Origin, WriteRequest, WriteRule};
    use crate::{Instant, TagSpec};
    use millstream_model::{DataType, TagType, Timestamp, Value};

    fn candidates(asked: &[(&str, &str)]) -> Vec<Candidate> {
        let rules = (0..100)
            .map(|n| WriteRule::new(TagSpec::new(format!("t{n}"), "a"), TagType::scalar(DataType::Real)));
        let mut guard = Guard::new(rules);
        let now = Now { wall: Timestamp(0), monotonic: Instant::now() };
        let request = |(id, tag): &(&str, &str)| WriteRequest {
            id: (*id).into(),
            origin: Origin::CommandLine { user: String::new() },
            tag: (*tag).into(),
            value: Value::Int(1),
            asked_at: Timestamp(0),
            expires_at: None,
        };
        let screened = asked.iter().flat_map(|asked| guard.screen(now, vec![request(asked)]));
        screened.map(|answer| answer.unwrap()).collect()
    }

    fn ids(waiting: &[Waiting]) -> Vec<&str> {
        waiting.iter().map(|waiting| &*waiting.candidate.request().id).collect()
    }

    #[test]
    fn what_comes_back_goes_first_unless_something_newer_came() {
        let queue = WriteQueue::default();
        for candidate in candidates(&[("1", "t1"), ("2", "t2"), ("3", "t3")]) {
            assert!(matches!(queue.push(candidate), Pushed::Queued { superseded: None, .. }));
        }
        let taken = queue.take();
        assert_eq!(ids(&taken), ["1", "2", "3"]);
        for candidate in candidates(&[("4", "t4"), ("5", "t2")]) {
            queue.push(candidate);
        }
        assert_eq!(ids(&queue.put_back(taken)), ["2"]);
        assert_eq!(ids(&queue.take()), ["1", "3", "4", "5"]);
        assert!(queue.is_empty());
        queue.close();
        let late = candidates(&[("6", "t6")]).remove(0);
        assert!(matches!(queue.push(late), Pushed::Closed(_)));
    }
}
