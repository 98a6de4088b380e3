//! Both machines against bytes that nobody meant: no panic, no unbounded memory, no value that is not the device's.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod rig;

use bytes::BytesMut;
use millstream_driver::simulate::{SimulatorContext, SimulatorCounters};
use millstream_driver::{Machine as _, ProtocolError, SessionCounters};
use millstream_modbus::codec::{Expect, RegisterRange, Request, adu};
use millstream_modbus::limits::{self, ADU_BYTES};
use millstream_modbus::session::{Client, Command, Outcome};
use millstream_modbus::simulator;
use proptest::prelude::*;
use rig::{registers, spec};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

fn command(ticket: u64, start: u16) -> Command {
    let request = Request::ReadHoldingRegisters(RegisterRange::new(start, 2).unwrap());
    let mut frame = BytesMut::new();
    adu::encode_request(0, 1, &request, &mut frame);
    Command {
        ticket,
        frame: frame.freeze(),
        expect: Expect::new(&request),
        timeout: Duration::from_secs(1),
        is_probe: false,
        buffer: Vec::new(),
    }
}

/// A client with four requests in flight, to registers 0, 10, 20 and 30; transaction ids 1 to 4.
fn client() -> Client {
    let mut client = Client::new(4, Arc::new(SessionCounters::default()));
    for n in 0..4_u16 {
        client.command(Instant::now(), command(n.into(), n * 10)).unwrap();
    }
    assert!(client.command(Instant::now(), command(9, 0)).is_err(), "a fifth is too many");
    client
}

/// Answers that look right, each saying the number of its request.
fn answers() -> Vec<u8> {
    (1..=4).flat_map(|id| [0, id, 0, 0, 0, 7, 1, 3, 4, 0, id, 0, id]).collect()
}

/// A late answer shows that its unit lives, unless it is a gateway's word that the unit does not.
#[test]
fn only_a_unit_s_own_late_answer_is_a_sign_of_its_life() {
    for (pdu, lives) in
        [(&[3, 4, 0, 1, 0, 1][..], true), (&[0x83, 2], true), (&[0x83, 10], false), (&[0x83, 11], false)]
    {
        let counters = Arc::new(SessionCounters::default());
        let mut client = Client::new(1, counters.clone());
        let start = Instant::now();
        client.command(start, command(5, 0)).unwrap();
        client.expire(start + Duration::from_secs(1)).unwrap();
        assert_eq!(client.event().unwrap().outcome, Outcome::Timeout);
        let mut frame = BytesMut::from(&[0, 1, 0, 0, 0, u8::try_from(pdu.len() + 1).unwrap(), 1][..]);
        frame.extend_from_slice(pdu);
        client.receive(start + Duration::from_secs(2), &mut frame).unwrap();
        let late = client.event().map(|event| (event.outcome, event.unit));
        assert_eq!(late, lives.then_some((Outcome::Late, 1)), "{pdu:?}");
        assert_eq!(counters.dropped_frames.get(), 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_client_survives_any_bytes_in_any_pieces(bytes in prop::collection::vec(any::<u8>(), 0..600), pieces in prop::collection::vec(1_usize..50, 1..40)) {
        let mut client = client();
        let mut input = BytesMut::new();
        let mut rest = &bytes[..];
        for piece in pieces {
            let (now, behind) = rest.split_at(piece.min(rest.len()));
            rest = behind;
            input.extend_from_slice(now);
            if client.receive(Instant::now(), &mut input).is_err() {
                return Ok(());
            }
            prop_assert!(input.len() < ADU_BYTES, "whole frames are consumed, half ones are bounded");
        }
        let events = std::iter::from_fn(|| client.event()).count();
        prop_assert!(events <= 4);
    }

    /// F5, F6: in any order every request gets its own answer; a spoilt stream gives data of the right length, or none.
    #[test]
    fn answers_find_their_requests_and_a_spoilt_stream_gives_no_wrong_length(changes in prop::collection::vec((0_usize..52, any::<u8>(), 0_u8..3), 0..6), order in Just([0, 1, 2, 3]).prop_shuffle()) {
        let frames = answers();
        let mut stream: Vec<u8> = order.iter().flat_map(|n| frames[n * 13..n * 13 + 13].to_vec()).collect();
        let spoilt = !changes.is_empty();
        for (at, byte, kind) in changes {
            let at = at.min(stream.len() - 1);
            match kind {
                0 => stream[at] = byte,
                1 => { stream.remove(at); }
                _ => stream.insert(at, byte),
            }
        }
        let mut client = client();
        let ended = client.receive(Instant::now(), &mut BytesMut::from(&stream[..])).is_err();
        let events: Vec<_> = std::iter::from_fn(|| client.event()).collect();
        prop_assert!(spoilt || (!ended && events.len() == 4));
        for event in events {
            if event.outcome == Outcome::Data {
                prop_assert_eq!(event.buffer.len(), 4);
                if !spoilt {
                    let own = u8::try_from(event.ticket + 1).unwrap();
                    prop_assert_eq!(event.buffer, vec![0, own, 0, own]);
                }
            }
        }
    }

    #[test]
    fn a_simulator_survives_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600), function in 0_u8..50, unit in 0_u8..3) {
        let spec = spec("", registers(1..=20));
        let context = SimulatorContext {
            world: spec.world.clone(),
            faults: spec.faults.clone(),
            counters: Arc::new(SimulatorCounters::default()),
            seed: 1,
        };
        let mut server = simulator::Server::new(Arc::new(simulator::memory(&spec).unwrap()), context);
        let _ = server.receive(Instant::now(), &mut BytesMut::from(&bytes[..]));
        // The same bytes as the body of a frame that is right outside.
        let body = &bytes[..bytes.len().min(252)];
        let length = u16::try_from(body.len() + 2).unwrap().to_be_bytes();
        let mut frame = BytesMut::from(&[0, 1, 0, 0, length[0], length[1], unit, function][..]);
        frame.extend_from_slice(body);
        prop_assert!(server.receive(Instant::now(), &mut frame).is_ok());
        let mut answer = BytesMut::new();
        server.transmit(&mut answer);
        prop_assert!(frame.is_empty() && !answer.is_empty());
    }
}

/// A peer that talks without end is hung up on, before its neighbours in the process feel it.
#[test]
fn a_flood_of_frames_that_answer_nothing_ends_the_conversation() {
    let counters = Arc::new(SessionCounters::default());
    let mut client = Client::new(1, counters.clone());
    let frame = [0, 9, 0, 0, 0, 3, 1, 0x83, 2];
    let allowed = usize::try_from(limits::DROPPED_FRAMES).unwrap();
    let mut input = BytesMut::from(&*frame.repeat(allowed));
    client.receive(Instant::now(), &mut input).unwrap();
    let ended = client.receive(Instant::now(), &mut BytesMut::from(&*frame.repeat(allowed)));
    assert!(matches!(ended, Err(ProtocolError::Malformed(_))));
    assert_eq!(counters.dropped_frames.get(), u64::from(limits::DROPPED_FRAMES) + 1);
}
