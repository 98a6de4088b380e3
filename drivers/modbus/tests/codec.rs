//! Frames: what is encoded decodes to the same, and whatever arrives is either a frame or an error.

use bytes::BytesMut;
use millstream_modbus::codec::request::IdentificationCode;
use millstream_modbus::codec::{
    Answer, BitData, BitRange, CoilBlock, ExceptionCode, Expect, FileBlock, FileData, FileRange, FileReads,
    FileWrites, Function, Header, Identification, ReadWrite, RegisterBlock, RegisterData, RegisterRange,
    Request, Response, adu,
};
use millstream_modbus::limits;
use proptest::prelude::*;

/// What a request is made from; the types of the codec borrow.
#[derive(Debug, Clone)]
struct Parts {
    function: usize,
    start: u16,
    quantity: u16,
    bytes: Vec<u8>,
    masks: (u16, u16),
}

fn parts() -> impl Strategy<Value = Parts> {
    let bytes = prop::collection::vec(any::<u8>(), 0..260);
    (0..Function::ALL.len(), any::<u16>(), 0_u16..2100, bytes, any::<(u16, u16)>()).prop_map(
        |(function, start, quantity, bytes, masks)| Parts { function, start, quantity, bytes, masks },
    )
}

/// The request of those parts, or `None` where the codec has none such.
fn request(parts: &Parts) -> Option<Request<'_>> {
    let Parts { start, quantity, bytes, masks, .. } = parts;
    let (start, quantity) = (*start, *quantity);
    let bits = BitRange::new(start, quantity).ok();
    let registers = RegisterRange::new(start, quantity % 200).ok();
    let file = FileRange::new(start, quantity, masks.0 % 130).ok();
    Some(match Function::ALL[parts.function] {
        Function::ReadCoils => Request::ReadCoils(bits?),
        Function::ReadDiscreteInputs => Request::ReadDiscreteInputs(bits?),
        Function::ReadHoldingRegisters => Request::ReadHoldingRegisters(registers?),
        Function::ReadInputRegisters => Request::ReadInputRegisters(registers?),
        Function::WriteSingleCoil => Request::WriteSingleCoil { address: start, on: quantity % 2 == 1 },
        Function::WriteSingleRegister => Request::WriteSingleRegister { address: start, value: quantity },
        Function::WriteMultipleCoils => {
            Request::WriteMultipleCoils(CoilBlock::new(start, quantity, bytes).ok()?)
        }
        Function::WriteMultipleRegisters => {
            Request::WriteMultipleRegisters(RegisterBlock::new(start, bytes).ok()?)
        }
        Function::ReadFileRecord => {
            Request::ReadFileRecord(FileReads::new(vec![file?; 1 + start as usize % 3]).ok()?)
        }
        Function::WriteFileRecord => {
            let block = FileBlock::new(file?, bytes.get(..usize::from(file?.length()) * 2)?).ok()?;
            Request::WriteFileRecord(FileWrites::new(vec![block; 1 + start as usize % 2]).ok()?)
        }
        Function::MaskWriteRegister => {
            Request::MaskWriteRegister { address: start, and: masks.0, or: masks.1 }
        }
        Function::ReadWriteMultipleRegisters => {
            let write = RegisterBlock::new(masks.0, bytes).ok()?;
            Request::ReadWriteMultipleRegisters(ReadWrite::new(registers?, write).ok()?)
        }
        Function::ReadDeviceIdentification => Request::ReadDeviceIdentification {
            code: IdentificationCode::from_code(1 + quantity.to_be_bytes()[1] % 4)?,
            object: start.to_be_bytes()[1],
        },
    })
}

/// A right answer to `request`, its data taken from `bytes`.
fn right_answer<'a>(request: &Request<'a>, bytes: &'a [u8]) -> Option<Response<'a>> {
    let function = request.function();
    Some(match request {
        Request::ReadCoils(range) | Request::ReadDiscreteInputs(range) => {
            Response::Bits(function, BitData::new(bytes.get(..range.quantity().div_ceil(8).into())?)?)
        }
        Request::ReadHoldingRegisters(range) | Request::ReadInputRegisters(range) => {
            Response::Registers(function, RegisterData::new(bytes.get(..usize::from(range.quantity()) * 2)?)?)
        }
        Request::ReadWriteMultipleRegisters(both) => Response::Registers(
            function,
            RegisterData::new(bytes.get(..usize::from(both.read().quantity()) * 2)?)?,
        ),
        Request::WriteSingleCoil { address, on } => Response::WroteCoil { address: *address, on: *on },
        Request::WriteSingleRegister { address, value } => {
            Response::WroteRegister { address: *address, value: *value }
        }
        Request::WriteMultipleCoils(block) => Response::Wrote {
            function,
            start: block.start(),
            quantity: u16::try_from(block.states().count()).ok()?,
        },
        Request::WriteMultipleRegisters(block) => {
            Response::Wrote { function, start: block.start(), quantity: block.quantity() }
        }
        Request::ReadFileRecord(reads) => {
            let ranges = reads.ranges().iter();
            let records: Option<Vec<_>> =
                ranges.map(|range| bytes.get(..usize::from(range.length()) * 2)).collect();
            Response::FileRecord(FileData::new(records?)?)
        }
        Request::WriteFileRecord(writes) => Response::WroteFileRecord(writes.clone()),
        Request::MaskWriteRegister { address, and, or } => {
            Response::MaskedRegister { address: *address, and: *and, or: *or }
        }
        Request::ReadDeviceIdentification { code, .. } => {
            let objects = vec![(0, &bytes[..bytes.len().min(90)]), (1, b"x".as_slice())];
            Response::Identification(Identification::new(code.code(), 1, None, objects)?)
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn requests_come_back_as_they_were(parts in parts(), transaction: u16, unit: u8) {
        let Some(request) = request(&parts) else { return Ok(()) };
        let mut frame = BytesMut::new();
        adu::encode_request(transaction, unit, &request, &mut frame);
        prop_assert!(frame.len() <= limits::ADU_BYTES);
        let header = Header::decode(&frame).unwrap().unwrap();
        prop_assert_eq!((header.transaction, header.unit, header.frame_bytes()), (transaction, unit, frame.len()));
        prop_assert_eq!(Request::decode(&frame[limits::HEADER_BYTES..]), Ok(request));
    }

    #[test]
    fn right_answers_are_taken_and_others_are_not(parts in parts(), data in prop::collection::vec(any::<u8>(), 250), at: prop::sample::Index) {
        let Some(request) = request(&parts) else { return Ok(()) };
        let Some(response) = right_answer(&request, &data) else { return Ok(()) };
        let mut pdu = BytesMut::new();
        response.encode(&mut pdu);
        prop_assert!(pdu.len() <= limits::PDU_BYTES);
        prop_assert_eq!(Response::decode(&pdu), Ok(response));
        let expect = Expect::new(&request);
        let taken = matches!(expect.check(&pdu), Answer::Data(_) | Answer::Files(_) | Answer::Done | Answer::Identification(_));
        prop_assert!(taken, "{:?}", expect.check(&pdu));
        // Cut off, or with a byte too many, it is no answer to anything.
        let cut = at.index(pdu.len());
        let cut_off = matches!(expect.check(&pdu[..cut]), Answer::Malformed(_) | Answer::Foreign);
        prop_assert!(cut_off, "cut to {cut}: {:?}", expect.check(&pdu[..cut]));
        let mut longer = pdu.to_vec();
        longer.push(0);
        prop_assert!(matches!(expect.check(&longer), Answer::Malformed(_)));
        // Another function's answer is not for this request.
        let mut other = pdu.to_vec();
        other[0] ^= 1;
        prop_assert!(!matches!(expect.check(&other), Answer::Data(_) | Answer::Files(_) | Answer::Done));
    }

    #[test]
    fn whatever_arrives_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), function in 0_usize..13) {
        let _ = Header::decode(&bytes);
        let _ = Request::decode(&bytes);
        let _ = Response::decode(&bytes);
        let mut likely = vec![Function::ALL[function].code()];
        likely.extend_from_slice(&bytes);
        let _ = Response::decode(&likely);
        // What decodes is legal, so it encodes to the same bytes.
        if let Ok(request) = Request::decode(&likely) {
            let mut again = BytesMut::new();
            request.encode(&mut again);
            prop_assert_eq!(&again[..], &likely[..]);
        }
    }

    #[test]
    fn a_flipped_bit_never_panics_and_never_passes_for_more_data(parts in parts(), data in prop::collection::vec(any::<u8>(), 250), at: prop::sample::Index, bit in 0_u8..8) {
        let Some(request) = request(&parts) else { return Ok(()) };
        let Some(response) = right_answer(&request, &data) else { return Ok(()) };
        let mut frame = BytesMut::new();
        adu::encode_response(7, 1, &response, &mut frame);
        let index = at.index(frame.len());
        frame[index] ^= 1 << bit;
        let mut clean = BytesMut::new();
        response.encode(&mut clean);
        let expect = Expect::new(&request);
        if let Ok(Some(header)) = Header::decode(&frame)
            && let Some(pdu) = frame.get(limits::HEADER_BYTES..header.frame_bytes())
            && let (Answer::Data(taken), Answer::Data(sent)) = (expect.check(pdu), expect.check(&clean))
        {
            prop_assert_eq!(taken.len(), sent.len());
        }
    }
}

#[test]
fn quantities_stop_at_the_specification_s_limits() {
    let bytes = [0; 512];
    assert!(RegisterRange::new(0, 125).is_ok() && RegisterRange::new(0, 126).is_err());
    assert!(RegisterRange::new(0, 0).is_err());
    assert!(RegisterRange::new(65_535, 1).is_ok() && RegisterRange::new(65_535, 2).is_err());
    assert!(BitRange::new(0, 2000).is_ok() && BitRange::new(0, 2001).is_err());
    assert!(RegisterBlock::new(0, &bytes[..246]).is_ok() && RegisterBlock::new(0, &bytes[..248]).is_err());
    assert!(RegisterBlock::new(0, &bytes[..3]).is_err());
    assert!(
        CoilBlock::new(0, 1968, &bytes[..246]).is_ok() && CoilBlock::new(0, 1969, &bytes[..247]).is_err()
    );
    let read = RegisterRange::new(0, 1).unwrap();
    let block = |len| RegisterBlock::new(0, &bytes[..len]).unwrap();
    assert!(ReadWrite::new(read, block(242)).is_ok() && ReadWrite::new(read, block(244)).is_err());
    let file = |length| FileRange::new(1, 0, length).unwrap();
    assert!(FileReads::new(vec![file(121)]).is_ok() && FileReads::new(vec![file(122)]).is_err());
    assert!(FileReads::new(vec![file(1); 35]).is_ok() && FileReads::new(vec![file(1); 36]).is_err());
    assert!(FileRange::new(1, 9999, 1).is_ok() && FileRange::new(1, 9999, 2).is_err());
    assert!(FileRange::new(0, 0, 1).is_err());
}

#[test]
fn lengths_that_contradict_one_another_are_rejected() {
    // A byte count that is not the quantity's, in requests (exception 3) …
    for pdu in [
        &[16, 0, 0, 0, 2, 3, 1, 2, 3][..],
        &[16, 0, 0, 0, 2, 4, 1, 2, 3],
        &[16, 0, 0, 0, 2, 4, 1, 2, 3, 4, 5],
        &[16, 0, 0, 0, 0, 0],
        &[15, 0, 0, 0, 9, 1, 0xFF],
        &[3, 0, 0, 0, 126],
        &[3, 0, 0],
        &[5, 0, 0, 0x12, 0x34],
        &[20, 7, 5, 0, 1, 0, 0, 0, 1],
        &[20, 8, 6, 0, 1, 0, 0, 0, 1],
        &[],
    ] {
        let illegal = Request::decode(pdu).expect_err(&format!("{pdu:?}"));
        assert_eq!(illegal.exception(), ExceptionCode::ILLEGAL_DATA_VALUE, "{pdu:?}");
    }
    assert_eq!(Request::decode(&[8, 0, 1, 0, 0]).unwrap_err().exception(), ExceptionCode::ILLEGAL_FUNCTION);
    assert_eq!(
        Request::decode(&[3, 0xFF, 0xFF, 0, 2]).unwrap_err().exception(),
        ExceptionCode::ILLEGAL_DATA_ADDRESS
    );
    // … and in answers.
    let expect = Expect::new(&Request::ReadHoldingRegisters(RegisterRange::new(0, 2).unwrap()));
    assert!(matches!(expect.check(&[3, 4, 1, 2, 3, 4]), Answer::Data(&[1, 2, 3, 4])));
    for pdu in [
        &[3, 2, 1, 2][..],
        &[3, 4, 1, 2],
        &[3, 4, 1, 2, 3, 4, 5],
        &[3, 5, 1, 2, 3, 4, 5],
        &[3, 6, 1, 2, 3, 4, 5, 6],
    ] {
        assert!(matches!(expect.check(pdu), Answer::Malformed(_)), "{pdu:?}");
    }
    assert!(matches!(expect.check(&[4, 4, 1, 2, 3, 4]), Answer::Foreign));
    assert!(matches!(expect.check(&[0x83, 2]), Answer::Exception(ExceptionCode(2))));
    assert!(matches!(expect.check(&[0x84, 2]), Answer::Foreign));
}

#[test]
fn the_header_s_length_is_capped_before_anything_is_waited_for() {
    let header = |length: u16, protocol: u8| {
        let [high, low] = length.to_be_bytes();
        [0, 1, 0, protocol, high, low, 1]
    };
    assert_eq!(Header::decode(&header(6, 0)).unwrap().unwrap().pdu_bytes, 5);
    assert_eq!(Header::decode(&header(254, 0)).unwrap().unwrap().frame_bytes(), 260);
    assert_eq!(Header::decode(&header(6, 0)[..6]), Ok(None));
    for length in [0, 1, 255, 65_535] {
        assert!(Header::decode(&header(length, 0)).is_err(), "{length}");
    }
    assert!(Header::decode(&header(6, 1)).is_err());
}
