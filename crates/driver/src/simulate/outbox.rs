//! Answers on their way out of a simulated machine: delayed, dropped, doubled or spoiled as their fate says.

use super::{AnswerFault, Fate};
use crate::{Instant, ProtocolError, Random, limits};
use bytes::{Bytes, BytesMut};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Frames that wait for their time. A simulator's machine hands its `transmit`, `deadline` and `expire` to it.
#[derive(Debug)]
pub struct Outbox {
    ready: BytesMut,
    waiting: BinaryHeap<Reverse<(Instant, u64, Bytes)>>,
    sequence: u64,
    last_due: Option<Instant>,
    random: Random,
}

impl Outbox {
    /// An empty outbox; `seed` makes the garbage.
    pub fn new(seed: u64) -> Self {
        Self {
            ready: BytesMut::new(),
            waiting: BinaryHeap::new(),
            sequence: 0,
            last_due: None,
            random: Random::new(seed),
        }
    }

    /// Puts one answer in. Exceptions and wrong ids are in `frame` already: only the protocol knows how they look.
    /// `Err` ends the connection; what is ready by then is still sent.
    pub fn answer(&mut self, now: Instant, fate: Fate, frame: &[u8]) -> Result<(), ProtocolError> {
        if self.waiting.len() >= limits::OUTBOX_FRAMES {
            return Err(ProtocolError::Closed("because too many answers wait".to_owned()));
        }
        let due = now + fate.delay;
        match fate.fault {
            Some(AnswerFault::Drop) => {}
            Some(AnswerFault::Garbage) => {
                let garbage: Vec<u8> =
                    (0..frame.len().max(8)).map(|_| self.random.next_u64().to_be_bytes()[0]).collect();
                self.in_order(now, due, &garbage);
            }
            Some(AnswerFault::Duplicate) => {
                self.in_order(now, due, frame);
                self.in_order(now, due, frame);
            }
            Some(AnswerFault::Late(by)) => self.push(now, due + by, frame),
            Some(AnswerFault::Disconnect) => return Err(ProtocolError::Closed("on demand".to_owned())),
            Some(AnswerFault::Truncate) => {
                self.ready.extend_from_slice(frame.get(..frame.len() / 2).unwrap_or_default());
                return Err(ProtocolError::Closed("on demand, in the middle of an answer".to_owned()));
            }
            None
            | Some(AnswerFault::Exception(_) | AnswerFault::WrongTransaction | AnswerFault::WrongUnit) => {
                self.in_order(now, due, frame);
            }
        }
        Ok(())
    }

    /// A random number, for what else the machine leaves to chance.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// For `Machine::transmit`.
    pub fn transmit(&mut self, output: &mut BytesMut) {
        if output.is_empty() {
            std::mem::swap(output, &mut self.ready);
        } else if !self.ready.is_empty() {
            output.extend_from_slice(&self.ready);
            self.ready.clear();
        }
    }

    /// For `Machine::deadline`.
    pub fn deadline(&self) -> Option<Instant> {
        self.waiting.peek().map(|Reverse((due, ..))| *due)
    }

    /// For `Machine::expire`.
    pub fn expire(&mut self, now: Instant) {
        while self.deadline().is_some_and(|due| due <= now) {
            if let Some(Reverse((_, _, frame))) = self.waiting.pop() {
                self.ready.extend_from_slice(&frame);
            }
        }
    }

    /// A device works through its requests in order, so jitter does not let answers overtake.
    fn in_order(&mut self, now: Instant, due: Instant, frame: &[u8]) {
        let due = self.last_due.map_or(due, |last| last.max(due));
        self.last_due = Some(due);
        self.push(now, due, frame);
    }

    fn push(&mut self, now: Instant, due: Instant, frame: &[u8]) {
        if due <= now {
            self.ready.extend_from_slice(frame);
            return;
        }
        self.sequence += 1;
        self.waiting.push(Reverse((due, self.sequence, Bytes::copy_from_slice(frame))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn sent(outbox: &mut Outbox) -> Vec<u8> {
        let mut output = BytesMut::new();
        outbox.transmit(&mut output);
        output.to_vec()
    }

    #[test]
    fn delayed_answers_keep_their_order_and_late_ones_are_overtaken() {
        let mut outbox = Outbox::new(1);
        let now = Instant::now();
        let ms = Duration::from_millis;
        outbox.answer(now, Fate { fault: None, delay: ms(20) }, b"a").unwrap();
        outbox.answer(now, Fate { fault: None, delay: ms(10) }, b"b").unwrap();
        outbox.answer(now, Fate { fault: Some(AnswerFault::Late(ms(15))), delay: ms(0) }, b"c").unwrap();
        assert!(sent(&mut outbox).is_empty());
        assert_eq!(outbox.deadline(), Some(now + ms(15)));
        outbox.expire(now + ms(15));
        assert_eq!(sent(&mut outbox), b"c");
        outbox.expire(now + ms(20));
        assert_eq!(sent(&mut outbox), b"ab");
        assert_eq!(outbox.deadline(), None);
    }

    #[test]
    fn a_client_that_asks_faster_than_it_is_answered_is_let_go() {
        let mut outbox = Outbox::new(1);
        let now = Instant::now();
        let slow = Fate { fault: None, delay: Duration::from_secs(1) };
        let taken =
            (0..limits::OUTBOX_FRAMES * 2).take_while(|_| outbox.answer(now, slow, b"a").is_ok()).count();
        assert_eq!(taken, limits::OUTBOX_FRAMES);
    }

    #[test]
    fn answers_are_dropped_doubled_cut_and_spoiled() {
        let mut outbox = Outbox::new(1);
        let now = Instant::now();
        let fate = |fault| Fate { fault: Some(fault), delay: Duration::ZERO };
        outbox.answer(now, fate(AnswerFault::Drop), b"abcd").unwrap();
        assert_eq!(sent(&mut outbox), b"");
        outbox.answer(now, fate(AnswerFault::Duplicate), b"abcd").unwrap();
        assert_eq!(sent(&mut outbox), b"abcdabcd");
        outbox.answer(now, fate(AnswerFault::Garbage), b"abcd").unwrap();
        assert_eq!(sent(&mut outbox).len(), 8);
        outbox.answer(now, fate(AnswerFault::Truncate), b"abcd").unwrap_err();
        assert_eq!(sent(&mut outbox), b"ab");
        outbox.answer(now, fate(AnswerFault::Disconnect), b"abcd").unwrap_err();
        assert_eq!(sent(&mut outbox), b"");
    }
}
