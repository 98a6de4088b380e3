//! Against software that was written elsewhere: pymodbus' server, client, framer and decoder.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod peer;
mod rig;

use bytes::BytesMut;
use millstream_driver::{Driver as _, Session, SessionContext, TagSpec, WriteResult};
use millstream_modbus::Modbus;
use millstream_modbus::codec::request::IdentificationCode;
use millstream_modbus::codec::{
    BitData, BitRange, CoilBlock, ExceptionCode, FileBlock, FileData, FileRange, FileReads, FileWrites,
    Function, ReadWrite, RegisterBlock, RegisterData, RegisterRange, Request, Response, adu,
};
use millstream_model::{Cell, DataType, Row, Status, TagType, Timestamp, Value};
use peer::Peer;
use rig::{GROUP, TestClock, holds, permit, registers, spec, target};
use serde_json::{Value as Json, json};
use std::sync::Arc;

/// A value as the peers' scripts write it.
fn to_json(value: &Value) -> Json {
    match value {
        Value::Bool(v) => json!(v),
        Value::Int(v) => json!(v),
        Value::UInt(v) => json!(v),
        Value::Real(v) => json!(f64::from(*v)),
        Value::LReal(v) => json!(v),
        Value::Text(v) => json!(v),
        Value::Bytes(_) => json!(value.to_string()),
        Value::List(items) => items.iter().map(to_json).collect(),
    }
}

fn from_json(json: &Json, tag_type: TagType) -> Value {
    let one = |json: &Json| match tag_type.data_type {
        DataType::Bool => Value::Bool(json.as_bool().unwrap()),
        DataType::SInt | DataType::Int | DataType::DInt | DataType::LInt => {
            Value::Int(json.as_i64().unwrap())
        }
        #[expect(clippy::cast_possible_truncation, reason = "the script's value is a single")]
        DataType::Real => Value::Real(json.as_f64().unwrap() as f32),
        DataType::LReal => Value::LReal(json.as_f64().unwrap()),
        data_type if data_type.is_text() => Value::Text(json.as_str().unwrap().into()),
        _ => Value::UInt(json.as_u64().unwrap()),
    };
    match json {
        Json::Array(items) => Value::List(items.iter().map(one).collect()),
        Json::String(hex) if tag_type.data_type == DataType::Raw => {
            let byte = |i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap();
            Value::Bytes((0..hex.len()).step_by(2).map(byte).collect())
        }
        json => one(json),
    }
}

fn specs(list: &Json) -> Vec<(TagSpec, Json)> {
    let tag = |(index, entry): (usize, &Json)| {
        (TagSpec::new(format!("t{index}"), entry["address"].as_str().unwrap()), entry["value"].clone())
    };
    list.as_array().unwrap().iter().enumerate().map(tag).collect()
}

async fn connect(port: &Json) -> (Box<dyn Session>, SessionContext) {
    let context = SessionContext::new(Arc::new(TestClock));
    let target = target(&format!("modbus-tcp://127.0.0.1:{port}"));
    (Modbus.connect(&target, context.clone()).await.unwrap(), context)
}

async fn read(session: &mut dyn Session, tags: &[TagSpec]) -> Vec<Cell> {
    session.prepare(GROUP, tags).unwrap();
    let mut row = Row::all_bad(Timestamp(0), 0, Status::BadNotConnected);
    session.read(GROUP, &mut row).await.unwrap();
    row.cells
}

#[tokio::test]
async fn a_pymodbus_server_is_read_and_written_with_every_type_and_byte_order() {
    let mut server = Peer::start("server.py", &[]);
    let plan = server.json().await;
    let (mut session, context) = connect(&plan["port"]).await;
    let expected = specs(&plan["read"]);
    let mut tags: Vec<TagSpec> = expected.iter().map(|(tag, _)| tag.clone()).collect();
    tags.push(TagSpec::new("hole", plan["hole"].as_str().unwrap()));
    for round in 0..2 {
        let cells = read(&mut *session, &tags).await;
        let (hole, cells) = cells.split_last().unwrap();
        assert_eq!(*hole, Cell::Bad(Status::BadNodeIdUnknown), "round {round}");
        for ((tag, value), cell) in expected.iter().zip(cells) {
            let Cell::Good(found) = cell else { panic!("{}: {cell:?}", tag.address) };
            assert_eq!(to_json(found), *value, "{}", tag.address);
        }
    }
    assert!(context.counters.exceptions.get() > 0, "the hole was met");
    // Written one permit at a time and all at once: the registers must be the same for pymodbus.
    let writes: Vec<(TagSpec, Value, bool)> = specs(&plan["write"])
        .into_iter()
        .map(|(tag, json)| {
            let value = from_json(&json, Modbus.tag_type(&tag.address).unwrap());
            (tag, value, true)
        })
        .collect();
    assert!(writes.len() > 200);
    let mut outcomes = Vec::new();
    session.write(permit(writes.iter().cloned()), &mut outcomes).await.unwrap();
    for ((tag, value, _), outcome) in writes.iter().zip(&outcomes) {
        assert_eq!(outcome.result, WriteResult::Done, "{}", tag.address);
        assert_eq!(outcome.read_back.as_ref(), Some(value), "{}", tag.address);
    }
    server.say("check\n").await;
    let verdict = server.json().await;
    assert_eq!(verdict["mistakes"], json!([]));
    server.finish().await;
}

#[tokio::test]
async fn an_exception_of_a_pymodbus_server_on_a_write_is_a_refusal() {
    let mut server = Peer::start("server.py", &[]);
    let plan = server.json().await;
    let (mut session, _) = connect(&plan["port"]).await;
    let tag = TagSpec::new("hole", plan["hole"].as_str().unwrap());
    let mut outcomes = Vec::new();
    let permit = permit([(tag, Value::UInt(1), false)].into_iter());
    session.write(permit, &mut outcomes).await.unwrap();
    assert!(
        matches!(outcomes[0].result, WriteResult::Refused(Status::BadNodeIdUnknown, _)),
        "{:?}",
        outcomes[0]
    );
    server.finish().await;
}

#[tokio::test]
async fn the_pymodbus_client_is_served_by_the_simulator() {
    let mut tags = registers(1..=20);
    tags.push(holds("temperature", "input-register:1:DINT", Value::Int(-70_000)));
    tags.push(holds("pressure", "input-register:3:REAL", Value::Real(71.25)));
    for n in 1..=20 {
        tags.push(holds(&format!("c{n}"), &format!("coil:{n}"), Value::Bool(n % 3 == 1)));
    }
    tags.push(holds("running", "discrete-input:7", Value::Bool(true)));
    tags.push(holds("setpoint", "holding-register:101:REAL{unit-id: 7}", Value::Real(0.0)));
    tags.push(holds("record5", "extended-register:10005:UINT", Value::UInt(1)));
    tags.push(holds("record6", "extended-register:10006:UINT", Value::UInt(2)));
    let world = spec("", tags);
    let world_values = world.world.clone();
    let simulator = Modbus.simulate(world).await.unwrap();
    let mut client = Peer::start("client.py", &[simulator.address.port().to_string()]);
    assert_eq!(client.line().await, "ok");
    client.finish().await;
    assert!(simulator.counters.writes.get() >= 9);
    assert!(simulator.counters.refused.get() >= 3);
    let setpoint = world_values.find("press", "setpoint").unwrap();
    assert_eq!(world_values.moment(tokio::time::Instant::now()).read(setpoint), Value::Real(12.5));
}

/// Frames with what an independent decoder has to find in them.
struct Cases {
    lines: String,
    random: u64,
}

impl Cases {
    fn random(&mut self, below: u16) -> u16 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        u16::try_from((self.random >> 33) % u64::from(below)).unwrap()
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| u8::try_from(self.random(256)).unwrap()).collect()
    }

    fn push(&mut self, is_request: bool, same: bool, transaction: u16, frame: &BytesMut, mut fields: Json) {
        let hex = Value::Bytes(frame.to_vec().into()).to_string();
        fields["transaction_id"] = json!(transaction);
        fields["dev_id"] = json!(frame[6]);
        fields["function_code"] = json!(frame[7]);
        let line = json!({ "frame": hex, "request": is_request, "same": same, "fields": fields });
        self.lines.extend([line.to_string().as_str(), "\n"]);
    }

    fn request(&mut self, request: &Request<'_>, fields: Json) {
        let (transaction, unit) = (1 + self.random(65_535), self.random(255));
        let mut frame = BytesMut::new();
        adu::encode_request(transaction, u8::try_from(unit).unwrap(), request, &mut frame);
        // pymodbus takes the records to read for bytes, and so does not encode what it decoded.
        let same = request.function() != Function::ReadFileRecord;
        self.push(true, same, transaction, &frame, fields);
    }

    fn response(&mut self, response: &Response<'_>, fields: Json) {
        let (transaction, unit) = (1 + self.random(65_535), self.random(255));
        let mut frame = BytesMut::new();
        adu::encode_response(transaction, u8::try_from(unit).unwrap(), response, &mut frame);
        self.push(false, true, transaction, &frame, fields);
    }

    /// One of each function, with random contents.
    fn round(&mut self) {
        let (registers, bits) = (1 + self.random(125), 1 + self.random(2000));
        let start = self.random(60_000);
        let range = RegisterRange::new(start, registers).unwrap();
        let bit_range = BitRange::new(start, bits).unwrap();
        for request in [Request::ReadCoils(bit_range), Request::ReadDiscreteInputs(bit_range)] {
            self.request(&request, json!({ "address": start, "count": bits }));
        }
        for request in [Request::ReadHoldingRegisters(range), Request::ReadInputRegisters(range)] {
            self.request(&request, json!({ "address": start, "count": registers }));
        }
        let on = self.random(2) == 1;
        self.request(
            &Request::WriteSingleCoil { address: start, on },
            json!({ "address": start, "bits": [on] }),
        );
        let value = self.random(u16::MAX);
        let single = Request::WriteSingleRegister { address: start, value };
        self.request(&single, json!({ "address": start, "registers": [value] }));
        let quantity = 1 + self.random(1968);
        let mut packed = self.bytes(quantity.div_ceil(8).into());
        if !quantity.is_multiple_of(8) {
            *packed.last_mut().unwrap() &= (1 << (quantity % 8)) - 1;
        }
        let coils = CoilBlock::new(start, quantity, &packed).unwrap();
        let states: Vec<bool> = coils.states().collect();
        self.request(
            &Request::WriteMultipleCoils(coils),
            json!({ "address": start, "count": quantity, "bits": states }),
        );
        let quantity = 1 + usize::from(self.random(123));
        let bytes = self.bytes(quantity * 2);
        let words: Vec<u16> = bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        let block = RegisterBlock::new(start, &bytes).unwrap();
        self.request(
            &Request::WriteMultipleRegisters(block),
            json!({ "address": start, "registers": words }),
        );
        let (and, or) = (self.random(u16::MAX), self.random(u16::MAX));
        let mask = Request::MaskWriteRegister { address: start, and, or };
        self.request(&mask, json!({ "address": start, "and_mask": and, "or_mask": or }));
        let quantity = 1 + usize::from(self.random(121));
        let block = RegisterBlock::new(start, &bytes[..bytes.len().min(quantity * 2)]).unwrap();
        let both = ReadWrite::new(range, block).ok();
        if let Some(both) = both {
            let words = &words[..usize::from(block.quantity())];
            self.request(
                &Request::ReadWriteMultipleRegisters(both),
                json!({ "read_address": start, "read_count": registers, "write_address": start, "write_registers": words }),
            );
        }
        self.files();
        let object = self.random(7);
        let code = IdentificationCode::Regular;
        let identify = Request::ReadDeviceIdentification { code, object: u8::try_from(object).unwrap() };
        self.request(&identify, json!({ "read_code": 2, "object_id": object }));
        self.answers(start, &bytes, &words, &packed);
    }

    fn files(&mut self) {
        let (file, record) = (1 + self.random(65_534), self.random(9800));
        let length = 2 * (1 + self.random(20));
        let range = FileRange::new(file, record, length).unwrap();
        let fields = json!({ "file_number": file, "record_number": record, "record_length": length / 2 });
        let reads = FileReads::new(vec![range, range]).unwrap();
        self.request(&Request::ReadFileRecord(reads), json!({ "records": [fields, fields] }));
        let bytes = self.bytes(usize::from(length) * 2);
        let hex = Value::Bytes(bytes.clone().into()).to_string();
        let writes = FileWrites::new(vec![FileBlock::new(range, &bytes).unwrap()]).unwrap();
        let fields = json!({ "file_number": file, "record_number": record, "record_data": hex });
        self.request(&Request::WriteFileRecord(writes.clone()), json!({ "records": [fields] }));
        self.response(&Response::WroteFileRecord(writes), json!({ "records": [fields] }));
        let data = FileData::new(vec![&bytes]).unwrap();
        self.response(&Response::FileRecord(data), json!({ "records": [{ "record_data": hex }] }));
    }

    fn answers(&mut self, start: u16, bytes: &[u8], words: &[u16], packed: &[u8]) {
        let data = RegisterData::new(bytes).unwrap();
        for function in [Function::ReadHoldingRegisters, Function::ReadInputRegisters] {
            self.response(&Response::Registers(function, data), json!({ "registers": words }));
        }
        let bits: Vec<bool> =
            packed.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1)).collect();
        let data = BitData::new(packed).unwrap();
        for function in [Function::ReadCoils, Function::ReadDiscreteInputs] {
            self.response(&Response::Bits(function, data), json!({ "bits": bits }));
        }
        self.response(
            &Response::WroteCoil { address: start, on: true },
            json!({ "address": start, "bits": [true] }),
        );
        let wrote = Response::WroteRegister { address: start, value: 77 };
        self.response(&wrote, json!({ "address": start, "registers": [77] }));
        for function in [Function::WriteMultipleCoils, Function::WriteMultipleRegisters] {
            let wrote = Response::Wrote { function, start, quantity: 9 };
            self.response(&wrote, json!({ "address": start, "count": 9 }));
        }
        let masked = Response::MaskedRegister { address: start, and: 3, or: 4 };
        self.response(&masked, json!({ "address": start, "and_mask": 3, "or_mask": 4 }));
        let no = Response::Exception { function: 3, code: ExceptionCode::ILLEGAL_DATA_ADDRESS };
        self.response(&no, json!({ "exception_code": 2 }));
    }
}

#[tokio::test]
async fn pymodbus_decodes_every_frame_that_is_encoded_here_to_the_same_fields() {
    let mut cases = Cases { lines: String::new(), random: 42 };
    for _ in 0..60 {
        cases.round();
    }
    let count = cases.lines.lines().count();
    assert!(count > 1200, "{count}");
    let mut judge = Peer::start("frames.py", &[]);
    judge.say(&cases.lines).await;
    judge.close_input();
    let verdict = judge.json().await;
    assert_eq!(verdict, json!({ "count": count, "mistakes": [] }));
    judge.finish().await;
}
