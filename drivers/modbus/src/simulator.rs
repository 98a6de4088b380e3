//! The device's end as a state machine, on the same codec: serves a world's signals at their addresses.
//!
//! What is not among the addresses does not exist: exception 2. Units that have no address are answered as a gateway would:
//! exception 11. A write has to be allowed for every address that it touches, or nothing of it is done.

mod memory;

use crate::address::Area;
use crate::codec::request::IdentificationCode;
use crate::codec::{
    BitData, ExceptionCode, FileData, Function, Header, Identification, RegisterData, Request, Response, adu,
};
use crate::limits::HEADER_BYTES;
use crate::options::Settings;
use crate::plan::Tag;
use crate::refused::{Place, Span};
use bytes::{Buf as _, BytesMut};
use memory::{Memory, Visit};
use millstream_driver::simulate::{AnswerFault, Outbox, SimulatorContext, SimulatorSpec};
use millstream_driver::{Busy, Machine, ProtocolError, SessionError, TagSpec};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::time::Instant;

/// The addresses of `spec`, with their signals added to its world.
pub fn memory(spec: &SimulatorSpec) -> Result<Memory, SessionError> {
    let settings = Settings::new(&spec.target.options);
    let specs: Vec<TagSpec> = spec.tags.iter().map(|simulated| simulated.tag.clone()).collect();
    let tags = Tag::parse_all(&specs, &settings).map_err(|problems| SessionError::Refused {
        cause: problems
            .iter()
            .map(|problem| problem.diagnostic.message.clone())
            .collect::<Vec<_>>()
            .join("; "),
        help: "correct the addresses that are simulated".to_owned(),
    })?;
    let mut memory = Memory::default();
    for (tag, simulated) in tags.into_iter().zip(&spec.tags) {
        let writable = simulated.writable && tag.place.area.is_writable();
        let name = &simulated.tag.name;
        let signal =
            spec.world.add(&spec.device, name, tag.tag_type, simulated.signal.clone(), simulated.writable);
        memory.add(tag, simulated.tag.address.clone(), signal, writable);
    }
    Ok(memory)
}

/// One connection's end.
#[derive(Debug)]
pub struct Server {
    memory: Arc<Memory>,
    context: SimulatorContext,
    outbox: Outbox,
    frame: BytesMut,
}

impl Server {
    /// An end that serves `memory`.
    pub fn new(memory: Arc<Memory>, context: SimulatorContext) -> Self {
        let outbox = Outbox::new(context.seed);
        Self { memory, context, outbox, frame: BytesMut::new() }
    }

    fn answer(&mut self, now: Instant, header: Header, pdu: &[u8]) -> Result<(), ProtocolError> {
        if self.context.faults.is_silent(header.unit.into()) {
            return Ok(());
        }
        let fate = self.context.faults.fate(self.outbox.random());
        let (mut transaction, mut unit) = (header.transaction, header.unit);
        match fate.fault {
            Some(AnswerFault::WrongTransaction) => transaction ^= 0x5555,
            Some(AnswerFault::WrongUnit) => unit = unit.wrapping_add(1),
            _ => {}
        }
        self.frame.clear();
        let code = pdu.first().copied().unwrap_or(0) & 0x7F;
        let refuse = |code: u8, exception| Response::Exception { function: code, code: exception };
        match (fate.fault, Request::decode(pdu)) {
            (Some(AnswerFault::Exception(exception)), _) => {
                self.context.counters.refused.increment();
                let response = refuse(code, ExceptionCode(exception));
                adu::encode_response(transaction, unit, &response, &mut self.frame);
            }
            (_, Err(illegal)) => {
                self.context.counters.malformed.increment();
                adu::encode_response(transaction, unit, &refuse(code, illegal.exception()), &mut self.frame);
            }
            (_, Ok(request)) => {
                let mut data = Vec::new();
                let response = self.carry_out(now, header.unit, &request, &mut data);
                let response = response.unwrap_or_else(|exception| refuse(code, exception));
                let counters = &self.context.counters;
                counters.requests.increment();
                if matches!(response, Response::Exception { .. }) {
                    counters.refused.increment();
                } else if is_write(request.function()) {
                    counters.writes.increment();
                }
                adu::encode_response(transaction, unit, &response, &mut self.frame);
            }
        }
        self.outbox.answer(now, fate, &self.frame)
    }

    /// Does what is asked; `data` takes the bytes of the answer.
    fn carry_out<'a>(
        &self,
        now: Instant,
        unit: u8,
        request: &Request<'a>,
        data: &'a mut Vec<u8>,
    ) -> Result<Response<'a>, ExceptionCode> {
        if !self.memory.has_unit(unit) {
            return Err(ExceptionCode::GATEWAY_TARGET_FAILED);
        }
        let visit = Visit::new(&self.memory, &self.context, now);
        if is_write(request.function()) {
            write(visit, unit, request, data)
        } else {
            read(visit, unit, request, data)
        }
    }
}

fn read<'a>(
    mut visit: Visit<'_>,
    unit: u8,
    request: &Request<'a>,
    data: &'a mut Vec<u8>,
) -> Result<Response<'a>, ExceptionCode> {
    let function = request.function();
    let place = |area| Place { unit, area };
    let bits = |data: &'a [u8]| BitData::new(data).map(|data| Response::Bits(function, data));
    let answer = match request {
        Request::ReadCoils(range) => {
            visit.read_bits(place(Area::Coil), span(range.start(), range.quantity()), data)?;
            bits(data)
        }
        Request::ReadDiscreteInputs(range) => {
            visit.read_bits(place(Area::DiscreteInput), span(range.start(), range.quantity()), data)?;
            bits(data)
        }
        Request::ReadHoldingRegisters(range) => {
            visit.read_registers(
                place(Area::HoldingRegister),
                span(range.start(), range.quantity()),
                data,
            )?;
            registers(function, data)
        }
        Request::ReadInputRegisters(range) => {
            visit.read_registers(place(Area::InputRegister), span(range.start(), range.quantity()), data)?;
            registers(function, data)
        }
        Request::ReadFileRecord(reads) => {
            let mut ends = Vec::new();
            for range in reads.ranges() {
                let records = Span::new(range.address(), range.length());
                visit.read_registers(place(Area::ExtendedRegister), records, data)?;
                ends.push(data.len());
            }
            let mut start = 0;
            let records = ends.iter().map(|end| &data[std::mem::replace(&mut start, *end)..*end]).collect();
            FileData::new(records).map(Response::FileRecord)
        }
        Request::ReadDeviceIdentification { code, object } => identification(*code, *object)?,
        _ => None,
    };
    answer.ok_or(ExceptionCode::SERVER_DEVICE_FAILURE)
}

fn write<'a>(
    mut visit: Visit<'_>,
    unit: u8,
    request: &Request<'a>,
    data: &'a mut Vec<u8>,
) -> Result<Response<'a>, ExceptionCode> {
    let function = request.function();
    let (coils, holding) = (Place { unit, area: Area::Coil }, Place { unit, area: Area::HoldingRegister });
    let answer = match request {
        Request::WriteSingleCoil { address, on } => {
            visit.write_bits(coils, (*address).into(), &[*on])?;
            Some(Response::WroteCoil { address: *address, on: *on })
        }
        Request::WriteSingleRegister { address, value } => {
            visit.write_registers(holding, (*address).into(), &value.to_be_bytes())?;
            Some(Response::WroteRegister { address: *address, value: *value })
        }
        Request::WriteMultipleCoils(block) => {
            let states: Vec<bool> = block.states().collect();
            visit.write_bits(coils, block.start().into(), &states)?;
            let quantity = u16::try_from(states.len()).unwrap_or(u16::MAX);
            Some(Response::Wrote { function, start: block.start(), quantity })
        }
        Request::WriteMultipleRegisters(block) => {
            visit.write_registers(holding, block.start().into(), block.bytes())?;
            Some(Response::Wrote { function, start: block.start(), quantity: block.quantity() })
        }
        Request::MaskWriteRegister { address, and, or } => {
            visit.read_registers(holding, span(*address, 1), data)?;
            let old = data.first_chunk().copied().map_or(0, u16::from_be_bytes);
            let new = (old & and) | (or & !and);
            visit.write_registers(holding, (*address).into(), &new.to_be_bytes())?;
            Some(Response::MaskedRegister { address: *address, and: *and, or: *or })
        }
        Request::ReadWriteMultipleRegisters(both) => {
            let read = span(both.read().start(), both.read().quantity());
            visit.check(holding, read)?;
            visit.write_registers(holding, both.write().start().into(), both.write().bytes())?;
            visit.read_registers(holding, read, data)?;
            registers(function, data)
        }
        Request::WriteFileRecord(writes) => {
            let files = Place { unit, area: Area::ExtendedRegister };
            for block in writes.blocks() {
                visit.check(files, Span::new(block.range().address(), block.range().length()))?;
            }
            for block in writes.blocks() {
                visit.write_registers(files, block.range().address(), block.bytes())?;
            }
            Some(Response::WroteFileRecord(writes.clone()))
        }
        _ => None,
    };
    answer.ok_or(ExceptionCode::SERVER_DEVICE_FAILURE)
}

fn span(start: u16, quantity: u16) -> Span {
    Span::new(start.into(), quantity)
}

fn registers(function: Function, data: &[u8]) -> Option<Response<'_>> {
    RegisterData::new(data).map(|data| Response::Registers(function, data))
}

const fn is_write(function: Function) -> bool {
    matches!(
        function,
        Function::WriteSingleCoil
            | Function::WriteSingleRegister
            | Function::WriteMultipleCoils
            | Function::WriteMultipleRegisters
            | Function::WriteFileRecord
            | Function::MaskWriteRegister
            | Function::ReadWriteMultipleRegisters
    )
}

/// Vendor, product code and revision (V1.1b3, 6.21).
const OBJECTS: [&str; 3] = ["Millstream", "simulator", env!("CARGO_PKG_VERSION")];

fn identification<'a>(code: IdentificationCode, object: u8) -> Result<Option<Response<'a>>, ExceptionCode> {
    let all =
        OBJECTS.iter().enumerate().filter_map(|(id, text)| Some((u8::try_from(id).ok()?, text.as_bytes())));
    let objects: Vec<_> = if code == IdentificationCode::One {
        let one: Vec<_> = all.filter(|(id, _)| *id == object).collect();
        if one.is_empty() {
            return Err(ExceptionCode::ILLEGAL_DATA_ADDRESS);
        }
        one
    } else {
        // An object that does not exist means from the beginning.
        let from = if usize::from(object) < OBJECTS.len() { object } else { 0 };
        all.filter(|(id, _)| *id >= from).collect()
    };
    // 0x81: basic identification, by stream and one by one.
    Ok(Identification::new(code.code(), 0x81, None, objects).map(Response::Identification))
}

impl Machine for Server {
    type Command = Infallible;
    type Event = Infallible;

    fn receive(&mut self, now: Instant, input: &mut BytesMut) -> Result<(), ProtocolError> {
        while let Some(header) = Header::decode(input)? {
            let bytes = header.frame_bytes();
            let Some(frame) = input.get(..bytes) else { break };
            let pdu = frame[HEADER_BYTES..].to_vec();
            input.advance(bytes);
            self.answer(now, header, &pdu)?;
        }
        Ok(())
    }

    fn command(&mut self, _: Instant, command: Infallible) -> Result<(), Busy<Infallible>> {
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
