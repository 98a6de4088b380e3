//! The client as a state machine: requests out, answers matched by transaction id, time-outs.
//!
//! An answer belongs to a request when transaction id, unit and function are the request's; its length is checked against
//! what was asked before anything is read from it. Whatever belongs to none is dropped and counted: foreign ids, other
//! units, other functions, and answers that come after their time-out. Ids of timed-out requests stay buried for a
//! while and are not used again meanwhile, so that a late answer can never pass for another request's.
//!
//! [`scan`] turns a plan into commands and answers into cells, [`mod@write`] does the same for allowed writes, [`units`] keeps
//! what is known about the units behind one address. All of it is pure; [`crate::client`] is the thin async shell.

pub mod scan;
pub mod units;
pub mod write;

use crate::codec::{Answer, ExceptionCode, Expect, Header, Response};
use crate::limits::{DROPPED_FRAMES, HEADER_BYTES, SILENT_ROUNDS, TOMBSTONES};
use bytes::{Buf as _, Bytes, BytesMut};
use millstream_driver::wire::{DecodeError, DecodeErrorKind};
use millstream_driver::{Busy, Machine, ProtocolError, SessionCounters};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// One request to send.
#[derive(Debug, Clone)]
pub struct Command {
    /// Comes back in the [`Event`]; the session itself gives it no meaning.
    pub ticket: u64,
    /// The frame; its transaction id is replaced.
    pub frame: Bytes,
    /// What the right answer looks like.
    pub expect: Expect,
    /// How long to wait for it.
    pub timeout: Duration,
    /// Whether it only tries whether a unit lives: no answer then says nothing about the connection.
    pub is_probe: bool,
    /// Takes the answer's data; comes back in the event, so that no scan allocates.
    pub buffer: Vec<u8>,
}

/// What became of one request, or an answer that came too late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The command's.
    pub ticket: u64,
    /// The unit that was asked.
    pub unit: u8,
    /// What became of it.
    pub outcome: Outcome,
    /// The command's buffer, holding the data of [`Outcome::Data`].
    pub buffer: Vec<u8>,
    /// Time from request to answer.
    pub round_trip: Duration,
}

/// What became of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The data is in the event's buffer.
    Data,
    /// Confirmed.
    Done,
    /// The device said no.
    Exception(ExceptionCode),
    /// The answer does not fit the request.
    Malformed(String),
    /// No answer came in time.
    Timeout,
    /// An answer came after its time-out: the unit lives, but nobody waits any more.
    Late,
}

#[derive(Debug)]
struct Flight {
    transaction: u16,
    unit: u8,
    sent_at: Instant,
    deadline: Instant,
    command: Command,
}

#[derive(Debug)]
struct Tombstone {
    transaction: u16,
    unit: u8,
}

/// The client's end of a Modbus TCP connection.
#[derive(Debug)]
pub struct Client {
    in_flight_max: usize,
    flights: Vec<Flight>,
    tombstones: VecDeque<Tombstone>,
    next_transaction: u16,
    output: BytesMut,
    events: VecDeque<Event>,
    silent_rounds: u32,
    /// Units that did not answer since anything did.
    silent_units: BTreeSet<u8>,
    timeouts_in_a_row: u32,
    dropped_in_a_row: u32,
    has_answered: bool,
    counters: Arc<SessionCounters>,
}

impl Client {
    /// A client that has at most `in_flight_max` requests unanswered.
    pub fn new(in_flight_max: usize, counters: Arc<SessionCounters>) -> Self {
        Self {
            in_flight_max: in_flight_max.max(1),
            flights: Vec::new(),
            tombstones: VecDeque::new(),
            next_transaction: 0,
            output: BytesMut::new(),
            events: VecDeque::new(),
            silent_rounds: 0,
            silent_units: BTreeSet::new(),
            timeouts_in_a_row: 0,
            dropped_in_a_row: 0,
            has_answered: false,
            counters,
        }
    }

    /// Whether another request may be sent now.
    pub fn has_room(&self) -> bool {
        self.flights.len() < self.in_flight_max
    }

    /// An id that no unanswered request has, timed-out ones included.
    fn transaction(&mut self) -> u16 {
        loop {
            self.next_transaction = self.next_transaction.wrapping_add(1);
            let id = self.next_transaction;
            let taken = self.flights.iter().any(|flight| flight.transaction == id)
                || self.tombstones.iter().any(|tombstone| tombstone.transaction == id);
            if !taken {
                return id;
            }
        }
    }

    /// The peer lives.
    fn hear(&mut self) {
        self.has_answered = true;
        self.silent_rounds = 0;
        self.silent_units.clear();
        self.timeouts_in_a_row = 0;
        self.dropped_in_a_row = 0;
    }

    fn drop_frame(&mut self) {
        self.counters.dropped_frames.increment();
        self.dropped_in_a_row = self.dropped_in_a_row.saturating_add(1);
    }

    /// Whether nobody at all is there. On a connection that has never answered every unit is asked first: those behind a
    /// gateway that are switched off must not hide their neighbours.
    fn is_dead(&self) -> bool {
        let all_asked = self.silent_rounds as usize > self.silent_units.len();
        self.silent_rounds >= SILENT_ROUNDS && (self.has_answered || all_asked)
    }

    fn frame(&mut self, now: Instant, header: Header, pdu: &[u8]) {
        let id = header.transaction;
        let Some(index) = self.flights.iter().position(|flight| flight.transaction == id) else {
            self.drop_frame();
            let buried = self.tombstones.iter().position(|t| t.transaction == id && t.unit == header.unit);
            if let Some(tombstone) = buried.and_then(|index| self.tombstones.remove(index)) {
                // Late, but a sign of life, at least of a gateway.
                self.hear();
                if let Ok(Response::Exception { code, .. }) = Response::decode(pdu)
                    && code.is_gateway()
                {
                    return;
                }
                self.events.push_back(Event {
                    ticket: 0,
                    unit: tombstone.unit,
                    outcome: Outcome::Late,
                    buffer: Vec::new(),
                    round_trip: Duration::ZERO,
                });
            }
            return;
        };
        let flight = &mut self.flights[index];
        if flight.unit != header.unit {
            self.drop_frame();
            return;
        }
        let buffer = &mut flight.command.buffer;
        buffer.clear();
        let outcome = match flight.command.expect.check(pdu) {
            Answer::Foreign => {
                self.drop_frame();
                return;
            }
            Answer::Data(data) => {
                buffer.extend_from_slice(data);
                Outcome::Data
            }
            Answer::Files(ranges) => {
                for range in ranges {
                    buffer.extend_from_slice(range);
                }
                Outcome::Data
            }
            Answer::Identification(pdu) => {
                buffer.extend_from_slice(pdu);
                Outcome::Data
            }
            Answer::Done => Outcome::Done,
            Answer::Exception(code) => {
                self.counters.exceptions.increment();
                Outcome::Exception(code)
            }
            Answer::Malformed(why) => {
                self.counters.malformed_frames.increment();
                Outcome::Malformed(why)
            }
        };
        let flight = self.flights.swap_remove(index);
        let round_trip = now.saturating_duration_since(flight.sent_at);
        self.counters.round_trip.observe(round_trip);
        self.hear();
        self.events.push_back(Event {
            ticket: flight.command.ticket,
            unit: flight.unit,
            outcome,
            buffer: flight.command.buffer,
            round_trip,
        });
    }
}

impl Machine for Client {
    type Command = Command;
    type Event = Event;

    fn receive(&mut self, now: Instant, input: &mut BytesMut) -> Result<(), ProtocolError> {
        while let Some(header) = Header::decode(input)? {
            let bytes = header.frame_bytes();
            let Some(pdu) = input.get(HEADER_BYTES..bytes) else { break };
            self.frame(now, header, pdu);
            input.advance(bytes);
            if self.dropped_in_a_row > DROPPED_FRAMES {
                let (max, got) = (DROPPED_FRAMES as usize, self.dropped_in_a_row as usize);
                let kind = DecodeErrorKind::Limit { max, got };
                return Err(DecodeError { what: "frames in a row that answer nothing", at: 0, kind }.into());
            }
        }
        Ok(())
    }

    fn command(&mut self, now: Instant, command: Command) -> Result<(), Busy<Command>> {
        if !self.has_room() {
            return Err(Busy(command));
        }
        let transaction = self.transaction();
        let start = self.output.len();
        self.output.extend_from_slice(&command.frame);
        self.output[start..start + 2].copy_from_slice(&transaction.to_be_bytes());
        let unit = command.frame[HEADER_BYTES - 1];
        self.counters.requests.increment();
        let deadline = now + command.timeout;
        self.flights.push(Flight { transaction, unit, sent_at: now, deadline, command });
        Ok(())
    }

    fn transmit(&mut self, output: &mut BytesMut) {
        if output.is_empty() {
            std::mem::swap(output, &mut self.output);
        } else {
            output.extend_from_slice(&self.output);
        }
        self.output.clear();
    }

    fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        self.flights.iter().map(|flight| flight.deadline).min()
    }

    fn expire(&mut self, now: Instant) -> Result<(), ProtocolError> {
        let mut counts = false;
        let mut index = 0;
        while let Some(flight) = self.flights.get(index) {
            if flight.deadline > now {
                index += 1;
                continue;
            }
            let flight = self.flights.remove(index);
            counts |= !flight.command.is_probe;
            self.silent_units.insert(flight.unit);
            self.timeouts_in_a_row += u32::from(!flight.command.is_probe);
            self.counters.timeouts.increment();
            if self.tombstones.len() >= TOMBSTONES {
                self.tombstones.pop_front();
            }
            self.tombstones.push_back(Tombstone { transaction: flight.transaction, unit: flight.unit });
            self.events.push_back(Event {
                ticket: flight.command.ticket,
                unit: flight.unit,
                outcome: Outcome::Timeout,
                buffer: flight.command.buffer,
                round_trip: now.saturating_duration_since(flight.sent_at),
            });
        }
        // Requests that were in flight together are one sign of silence, not several.
        self.silent_rounds += u32::from(counts);
        if self.is_dead() {
            return Err(ProtocolError::Silent(self.timeouts_in_a_row));
        }
        Ok(())
    }
}
