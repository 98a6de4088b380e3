//! Allowed writes: fewest requests in the order of the permit, refusals found, lost answers read back.
//!
//! Writes that follow one another in the permit and touch in the device share a request; nothing is reordered. A request
//! for several values that the device refuses has written nothing (V1.1b3, 7), so its values are then written one by one.
//! A write whose answer was lost is never repeated: it is read back, and what comes after it in the permit is not sent.

use crate::address::{Address, Area};
use crate::codec::{
    CoilBlock, ExceptionCode, Expect, FileBlock, FileWrites, Illegal, RegisterBlock, Request, adu,
};
use crate::limits::{FILE_WRITE_REGISTERS, WRITE_COILS, WRITE_REGISTERS};
use crate::options::Settings;
use crate::plan::{ReadRequest, Tag, file_range};
use crate::refused::Place;
use crate::session::{Command, Event, Outcome};
use crate::value::{Encoding, Mask};
use bytes::BytesMut;
use millstream_driver::guard::AllowedWrite;
use millstream_driver::{WriteOutcome, WriteResult};
use millstream_model::{Cell, Status, Value};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::time::Instant;

/// What one address takes on the wire.
#[derive(Debug, Clone, PartialEq)]
enum Payload {
    Coils(Vec<bool>),
    Registers(Vec<u8>),
    Mask(Mask),
}

#[derive(Debug)]
struct Item {
    name: Arc<str>,
    tag: Tag,
    payload: Payload,
    verify: bool,
    good_until: Instant,
    result: Option<WriteResult>,
    read_back: Option<Value>,
}

/// Items that one request writes.
#[derive(Debug)]
struct Block {
    items: Vec<usize>,
    /// Uses the function for several elements although it is one, since the device does not have the other.
    multiple: bool,
}

#[derive(Debug)]
enum State {
    Idle,
    Writing(Block),
    ReadingBack(usize, ReadRequest),
}

/// The writes of one permit under way.
#[derive(Debug)]
pub struct Writes {
    items: Vec<Item>,
    blocks: VecDeque<Block>,
    read_backs: VecDeque<usize>,
    state: State,
    ticket: u64,
}

/// Why an address cannot be written, whatever the value: the status and words.
pub fn unwritable(address: &Address) -> Option<(Status, String)> {
    let area = address.area();
    let (max, elements) = match area {
        Area::Coil => (WRITE_COILS, "coils"),
        Area::ExtendedRegister => (FILE_WRITE_REGISTERS, "registers"),
        _ => (WRITE_REGISTERS, "registers"),
    };
    let encoding = Encoding::new(address, crate::address::ByteOrder::BigEndian);
    if !area.is_writable() {
        Some((Status::BadNotWritable, format!("a {area} can only be read")))
    } else if address.width() > max {
        let width = address.width();
        Some((
            Status::BadNotSupported,
            format!("it takes {width} {elements}, and one request writes {max} at most"),
        ))
    } else if encoding.shares_registers() && (area == Area::ExtendedRegister || !encoding.fits_mask()) {
        Some((
            Status::BadNotSupported,
            "it shares a register with other bits, which would be overwritten".to_owned(),
        ))
    } else {
        None
    }
}

fn prepare(write: &AllowedWrite, settings: &Settings) -> Result<(Tag, Payload), (Status, String)> {
    let address: Address =
        write.tag.address.parse().map_err(|mistake: millstream_model::Diagnostic| {
            (Status::BadConfigurationError, mistake.message)
        })?;
    if let Some(why) = unwritable(&address) {
        return Err(why);
    }
    let tag = Tag::new(&address, settings);
    let payload = if address.area().is_bits() {
        tag.encoding.encode_bits(&write.value).map(Payload::Coils)
    } else {
        match tag.encoding.mask(&write.value) {
            Ok(Some(mask)) => Ok(Payload::Mask(mask)),
            Ok(None) => tag.encoding.encode(&write.value).map(Payload::Registers),
            Err(error) => Err(error),
        }
    };
    payload.map(|payload| (tag, payload)).map_err(|error| (error.status(), error.to_string()))
}

impl Writes {
    /// Prepares `writes`; `ticket` marks their commands. What cannot be written is pushed to `outcomes` at once.
    pub fn new(
        ticket: u64,
        writes: &[AllowedWrite],
        settings: &Settings,
        outcomes: &mut Vec<WriteOutcome>,
    ) -> Self {
        let mut this = Self {
            items: Vec::new(),
            blocks: VecDeque::new(),
            read_backs: VecDeque::new(),
            state: State::Idle,
            ticket,
        };
        for write in writes {
            match prepare(write, settings) {
                Ok((tag, payload)) => {
                    this.items.push(Item {
                        name: write.tag.name.clone(),
                        tag,
                        payload,
                        verify: write.verify,
                        good_until: write.good_until,
                        result: None,
                        read_back: None,
                    });
                }
                Err((status, why)) => outcomes.push(WriteOutcome {
                    tag: write.tag.name.clone(),
                    result: WriteResult::Refused(status, why),
                    read_back: None,
                }),
            }
        }
        let all: Vec<usize> = (0..this.items.len()).collect();
        this.blocks = this.merge(&all).into();
        this
    }

    /// Joins neighbours in the order given.
    fn merge(&self, indexes: &[usize]) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        for index in indexes {
            match blocks.last_mut() {
                Some(block) if self.joins(&block.items, *index) => block.items.push(*index),
                _ => blocks.push(Block { items: vec![*index], multiple: false }),
            }
        }
        blocks
    }

    fn joins(&self, block: &[usize], next: usize) -> bool {
        let (Some(first), Some(last)) = (block.first(), block.last()) else { return false };
        let (first, last, next) = (&self.items[*first], &self.items[*last], &self.items[next]);
        let max = match (&last.payload, &next.payload) {
            (Payload::Coils(_), Payload::Coils(_)) => WRITE_COILS,
            (Payload::Registers(_), Payload::Registers(_)) => WRITE_REGISTERS,
            _ => return false,
        };
        last.tag.place == next.tag.place
            && next.tag.place.area != Area::ExtendedRegister
            && last.tag.span.end == next.tag.span.start
            && next.tag.span.end - first.tag.span.start <= u32::from(max)
    }

    /// Whether every outcome is known.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Idle) && self.blocks.is_empty() && self.read_backs.is_empty()
    }

    /// The next request to send, if there is one. One at a time: order matters.
    pub fn next(&mut self, now: Instant, settings: &Settings) -> Option<Command> {
        if !matches!(self.state, State::Idle) {
            return None;
        }
        if let Some(index) = self.read_backs.pop_front() {
            let request = ReadRequest::single(&self.items[index].tag);
            let (frame, expect) = (request.frame().clone(), request.expect().clone());
            self.state = State::ReadingBack(index, request);
            return Some(self.command(frame, expect, settings));
        }
        while let Some(block) = self.blocks.pop_front() {
            let (good, late): (Vec<usize>, Vec<usize>) =
                block.items.iter().partition(|index| now <= self.items[**index].good_until);
            if !late.is_empty() {
                for index in late {
                    self.items[index].result = Some(WriteResult::Expired);
                }
                self.merge(&good).into_iter().rev().for_each(|block| self.blocks.push_front(block));
                continue;
            }
            match self.encode(&block) {
                Ok((frame, expect)) => {
                    self.state = State::Writing(block);
                    return Some(self.command(frame.freeze(), expect, settings));
                }
                Err(illegal) => {
                    self.finish(&block, &WriteResult::Refused(Status::BadNotSupported, illegal.to_string()));
                }
            }
        }
        None
    }

    fn command(&self, frame: bytes::Bytes, expect: Expect, settings: &Settings) -> Command {
        let timeout = settings.request_timeout;
        Command { ticket: self.ticket, frame, expect, timeout, is_probe: false, buffer: Vec::new() }
    }

    /// Takes back a command that could not be sent.
    pub fn give_back(&mut self) {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Writing(block) => self.blocks.push_front(block),
            State::ReadingBack(index, _) => self.read_backs.push_front(index),
            State::Idle => {}
        }
    }

    /// Takes an event of these writes; others are ignored.
    pub fn settle(&mut self, event: &Event, settings: &Settings) {
        if event.ticket != self.ticket {
            return;
        }
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => {}
            State::Writing(block) => self.written(block, &event.outcome, settings),
            State::ReadingBack(index, request) => {
                if event.outcome == Outcome::Data {
                    let item = &mut self.items[index];
                    let mut cells = [Cell::Bad(Status::BadDecodingError)];
                    request.decode(&event.buffer, std::slice::from_ref(&item.tag), &mut cells);
                    if let [Cell::Good(value)] = cells {
                        item.read_back = Some(value);
                    }
                }
            }
        }
    }

    fn written(&mut self, mut block: Block, outcome: &Outcome, settings: &Settings) {
        let result = match outcome {
            Outcome::Done => WriteResult::Done,
            Outcome::Exception(code) if nothing_done(*code) => {
                if block.items.len() > 1 {
                    let singles = block.items.iter().rev();
                    let singles = singles.map(|index| Block { items: vec![*index], multiple: false });
                    singles.for_each(|single| self.blocks.push_front(single));
                    return;
                }
                if *code == ExceptionCode::ILLEGAL_FUNCTION && !block.multiple && self.is_single(&block) {
                    block.multiple = true;
                    self.blocks.push_front(block);
                    return;
                }
                WriteResult::Refused(code.status(), format!("the device answers {code}"))
            }
            Outcome::Exception(code) if *code == ExceptionCode::SERVER_DEVICE_BUSY || code.0 == 10 => {
                WriteResult::Refused(code.status(), format!("the device answers {code}"))
            }
            Outcome::Exception(code) => WriteResult::Unknown(format!("the device answers {code}")),
            Outcome::Timeout | Outcome::Late => {
                let why = format!("no answer within {} ms", settings.request_timeout.as_millis());
                self.drop_rest("the write before it was not answered");
                WriteResult::Unknown(why)
            }
            Outcome::Malformed(why) => {
                WriteResult::Unknown(format!("the answer does not fit the request: {why}"))
            }
            Outcome::Data => WriteResult::Unknown("the answer is one to a read".to_owned()),
        };
        let lost = matches!(result, WriteResult::Unknown(_));
        let done = result == WriteResult::Done;
        for index in &block.items {
            if lost || (done && self.items[*index].verify) {
                self.read_backs.push_back(*index);
            }
        }
        self.finish(&block, &result);
    }

    fn finish(&mut self, block: &Block, result: &WriteResult) {
        for index in &block.items {
            self.items[*index].result = Some(result.clone());
        }
    }

    /// Leaves out what is for units that are known not to answer: it would only hold up their neighbours.
    pub fn leave_out(&mut self, is_silent: impl Fn(u8) -> bool) {
        for block in std::mem::take(&mut self.blocks) {
            let unit = block.items.first().map(|index| self.items[*index].tag.place.unit);
            match unit.filter(|unit| is_silent(*unit)) {
                Some(unit) => {
                    let why = format!("unit {unit} does not answer, and is tried again soon");
                    self.finish(&block, &WriteResult::NotSent(why));
                }
                None => self.blocks.push_back(block),
            }
        }
    }

    /// What was not sent yet will not be.
    fn drop_rest(&mut self, why: &str) {
        for block in std::mem::take(&mut self.blocks) {
            self.finish(&block, &WriteResult::NotSent(why.to_owned()));
        }
    }

    /// Whether the block is one coil or one register, which have functions of their own.
    fn is_single(&self, block: &Block) -> bool {
        block.items.first().is_some_and(|index| {
            let item = &self.items[*index];
            item.tag.span.len() == 1
                && item.tag.place.area != Area::ExtendedRegister
                && !matches!(item.payload, Payload::Mask(_))
        })
    }

    fn encode(&self, block: &Block) -> Result<(BytesMut, Expect), Illegal> {
        let Some(first) = block.items.first().map(|index| &self.items[*index]) else {
            return Err(Illegal::Address);
        };
        let Place { unit, area } = first.tag.place;
        let (mut states, mut bytes, mut mask) = (Vec::new(), Vec::new(), None);
        for index in &block.items {
            match &self.items[*index].payload {
                Payload::Coils(coils) => states.extend_from_slice(coils),
                Payload::Registers(registers) => bytes.extend_from_slice(registers),
                Payload::Mask(bits) => mask = Some(*bits),
            }
        }
        let packed: Vec<u8> = states
            .chunks(8)
            .map(|chunk| chunk.iter().enumerate().fold(0, |byte, (bit, on)| byte | u8::from(*on) << bit))
            .collect();
        let single = self.is_single(block) && block.items.len() == 1 && !block.multiple;
        let start = u16::try_from(first.tag.span.start).map_err(|_| Illegal::Address);
        let request = match (area, mask, states.as_slice(), bytes.as_slice()) {
            (_, Some(Mask { and, or }), ..) => Request::MaskWriteRegister { address: start?, and, or },
            (Area::ExtendedRegister, ..) => Request::WriteFileRecord(file_writes(&first.tag, &bytes)?),
            (Area::Coil, _, [on], _) if single => Request::WriteSingleCoil { address: start?, on: *on },
            (Area::Coil, ..) => {
                let quantity = u16::try_from(states.len()).map_err(|_| Illegal::Address)?;
                Request::WriteMultipleCoils(CoilBlock::new(start?, quantity, &packed)?)
            }
            (_, _, _, [high, low]) if single => {
                Request::WriteSingleRegister { address: start?, value: u16::from_be_bytes([*high, *low]) }
            }
            _ => Request::WriteMultipleRegisters(RegisterBlock::new(start?, &bytes)?),
        };
        let mut frame = BytesMut::new();
        adu::encode_request(0, unit, &request, &mut frame);
        Ok((frame, Expect::new(&request)))
    }

    /// Every outcome. Where the connection was lost on the way, `cause` says how: what was
    /// under way is unknown, what was not sent did not happen.
    pub fn outcomes(mut self, cause: Option<&str>) -> impl Iterator<Item = WriteOutcome> {
        if let Some(cause) = cause {
            if let State::Writing(block) = std::mem::replace(&mut self.state, State::Idle) {
                self.finish(&block, &WriteResult::Unknown(cause.to_owned()));
            }
            self.drop_rest(cause);
        }
        self.items.into_iter().map(|item| {
            let unknown = || WriteResult::Unknown("it was given up before an answer came".to_owned());
            WriteOutcome {
                tag: item.name,
                result: item.result.unwrap_or_else(unknown),
                read_back: item.read_back,
            }
        })
    }
}

/// Exceptions by which a device refuses a request before it does anything.
fn nothing_done(code: ExceptionCode) -> bool {
    matches!(
        code,
        ExceptionCode::ILLEGAL_FUNCTION
            | ExceptionCode::ILLEGAL_DATA_ADDRESS
            | ExceptionCode::ILLEGAL_DATA_VALUE
            | ExceptionCode::NEGATIVE_ACKNOWLEDGE
    )
}

/// One value as records of one file, or of two where it goes on in the next.
fn file_writes<'a>(tag: &Tag, bytes: &'a [u8]) -> Result<FileWrites<'a>, Illegal> {
    let mut ranges = Vec::new();
    crate::plan::join(&mut ranges, tag.span, FILE_WRITE_REGISTERS);
    let mut rest = bytes;
    let mut blocks = Vec::new();
    for range in ranges {
        let (now, behind) = rest.split_at_checked(usize::from(range.len()) * 2).unwrap_or((rest, &[]));
        rest = behind;
        blocks.push(FileBlock::new(file_range(range)?, now)?);
    }
    FileWrites::new(blocks)
}
