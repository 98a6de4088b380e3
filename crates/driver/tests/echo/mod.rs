//! The smallest protocol there is, both sides: a frame is its length (one byte) and that many bytes; the answer repeats it.

#![allow(dead_code, unreachable_pub, reason = "every test program uses its own part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use bytes::{Buf as _, BufMut as _, BytesMut};
use millstream_driver::simulate::{AnswerFault, Fate, Outbox, SimulatorContext};
use millstream_driver::wire::{DecodeError, DecodeErrorKind};
use millstream_driver::{Busy, Instant, Machine, ProtocolError};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

/// Takes one frame out of `input`. A frame of length 0 is malformed.
fn frame(input: &mut BytesMut) -> Result<Option<BytesMut>, ProtocolError> {
    let Some(len) = input.first().map(|len| usize::from(*len)) else { return Ok(None) };
    if len == 0 {
        return Err(DecodeError { what: "length", at: 0, kind: DecodeErrorKind::Value(0) }.into());
    }
    if input.len() <= len {
        return Ok(None);
    }
    input.advance(1);
    Ok(Some(input.split_to(len)))
}

pub fn framed(payload: &[u8]) -> Vec<u8> {
    let mut framed = vec![u8::try_from(payload.len()).unwrap()];
    framed.extend_from_slice(payload);
    framed
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Answer(Vec<u8>),
    Timeout,
}

/// Asks; answers come in order.
#[derive(Debug)]
pub struct Asker {
    in_flight_max: usize,
    timeout: Duration,
    waiting: VecDeque<Instant>,
    events: VecDeque<Event>,
    output: BytesMut,
    pub timeouts_max: u32,
}

impl Asker {
    pub fn new(in_flight_max: usize) -> Self {
        Self {
            in_flight_max,
            timeout: Duration::from_secs(1),
            waiting: VecDeque::new(),
            events: VecDeque::new(),
            output: BytesMut::new(),
            timeouts_max: 3,
        }
    }
}

impl Asker {
    /// Whether nothing is in flight and no event waits.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.events.is_empty()
    }
}

impl Machine for Asker {
    type Command = Vec<u8>;
    type Event = Event;

    fn receive(&mut self, _now: Instant, input: &mut BytesMut) -> Result<(), ProtocolError> {
        while let Some(payload) = frame(input)? {
            if self.waiting.pop_front().is_some() {
                self.events.push_back(Event::Answer(payload.to_vec()));
            }
        }
        Ok(())
    }

    fn command(&mut self, now: Instant, command: Vec<u8>) -> Result<(), Busy<Vec<u8>>> {
        if self.waiting.len() >= self.in_flight_max {
            return Err(Busy(command));
        }
        self.waiting.push_back(now + self.timeout);
        self.output.put_slice(&framed(&command));
        Ok(())
    }

    fn transmit(&mut self, output: &mut BytesMut) {
        output.extend_from_slice(&self.output);
        self.output.clear();
    }

    fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        self.waiting.front().copied()
    }

    fn expire(&mut self, now: Instant) -> Result<(), ProtocolError> {
        while self.waiting.front().is_some_and(|deadline| *deadline <= now) {
            self.waiting.pop_front();
            self.events.push_back(Event::Timeout);
            self.timeouts_max -= 1;
            if self.timeouts_max == 0 {
                return Err(ProtocolError::Silent(3));
            }
        }
        Ok(())
    }
}

/// Repeats what it hears.
#[derive(Debug)]
pub struct Echo {
    outbox: Outbox,
    context: Option<SimulatorContext>,
}

impl Echo {
    pub fn new(context: Option<SimulatorContext>) -> Self {
        let seed = context.as_ref().map_or(1, |context| context.seed);
        Self { outbox: Outbox::new(seed), context }
    }
}

impl Machine for Echo {
    type Command = Infallible;
    type Event = Infallible;

    fn receive(&mut self, now: Instant, input: &mut BytesMut) -> Result<(), ProtocolError> {
        while let Some(mut payload) = frame(input)? {
            let fate = match &self.context {
                Some(context) => {
                    context.counters.requests.increment();
                    context.faults.fate(self.outbox.random())
                }
                None => Fate::default(),
            };
            if let Some(AnswerFault::Exception(code)) = fate.fault {
                payload = BytesMut::from(&[code][..]);
            }
            self.outbox.answer(now, fate, &framed(&payload))?;
        }
        Ok(())
    }

    fn command(&mut self, _now: Instant, command: Infallible) -> Result<(), Busy<Infallible>> {
        match command {}
    }

    fn transmit(&mut self, output: &mut BytesMut) {
        self.outbox.transmit(output);
    }

    fn event(&mut self) -> Option<Infallible> {
        None
    }

    fn deadline(&self) -> Option<Instant> {
        self.outbox.deadline()
    }

    fn expire(&mut self, now: Instant) -> Result<(), ProtocolError> {
        self.outbox.expire(now);
        Ok(())
    }
}
