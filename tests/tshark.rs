//! What we send to a machine, judged by a decoder that no one here wrote. PLCs have died of malformed frames.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use bytes::BytesMut;
use millstream_driver::simulate::SimulatedTag;
use millstream_modbus::codec::{
    Function, IdentificationCode, ReadWrite, RegisterBlock, RegisterRange, Request, adu,
};
use millstream_model::Value;
use millstream_tests::oracle::{Verdict, eventually};
use millstream_tests::running::{Folder, PATIENCE, Running, command, find};
use millstream_tests::simulated::{Machine, holds};
use millstream_tests::wiretap::Wiretap;
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

/// One decoded packet: who sent it, its functions, its quantities, and what the decoder has against it.
#[derive(Debug)]
struct Decoded {
    is_request: bool,
    functions: Vec<u8>,
    quantities: Vec<u32>,
    complaints: String,
}

const FIELDS: [&str; 7] = [
    "tcp.dstport",
    "modbus.func_code",
    "modbus.word_cnt",
    "modbus.bit_cnt",
    "_ws.malformed",
    "_ws.expert.severity",
    "_ws.expert.message",
];
/// Expert remarks of this severity and above are complaints: warnings and errors.
const WARNING: u32 = 0x0060_0000;

fn decode(capture: &Path) -> Vec<Decoded> {
    let mut tshark = Command::new("tshark");
    tshark
        .args(["-n", "-T", "fields", "-E", "separator=;", "-E", "occurrence=a", "-E", "aggregator=,", "-r"])
        .arg(capture);
    tshark.args(FIELDS.iter().flat_map(|field| ["-e", field]));
    let output =
        tshark.output().expect("tshark decodes what we send; `make peers` installs it (Debian: tshark)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| {
            let parts: Vec<&str> = line.splitn(FIELDS.len(), ';').collect();
            let [port, functions, words, bits, malformed, severities, message] = parts[..] else {
                panic!("{line}")
            };
            let numbers = |text: &str| -> Vec<u32> {
                text.split(',').filter_map(|number| number.parse().ok()).collect()
            };
            // An answer that refuses is worth a remark, and still well-formed.
            let is_worse = port == "502" && numbers(severities).iter().any(|severity| *severity >= WARNING);
            Decoded {
                is_request: port == "502",
                functions: numbers(functions).into_iter().map(|code| u8::try_from(code).unwrap()).collect(),
                quantities: numbers(words).into_iter().chain(numbers(bits)).collect(),
                complaints: if is_worse || !malformed.is_empty() {
                    format!("{malformed} {message}")
                } else {
                    String::new()
                },
            }
        })
        .collect()
}

fn tags() -> Vec<SimulatedTag> {
    let mut tags: Vec<SimulatedTag> = (1..=40_u16)
        .flat_map(|n| {
            let bit = Value::Bool(n % 3 == 0);
            [
                holds(&format!("c{n}"), &format!("coil:{n}"), bit.clone()),
                holds(&format!("h{n}"), &format!("holding-register:{n}:UINT"), Value::UInt(n.into())),
                holds(&format!("x{n}"), &format!("extended-register:{n}:UINT"), Value::UInt(n.into())),
            ]
        })
        .collect();
    for (name, address) in [("d", "discrete-input:1"), ("i", "input-register:1:REAL")] {
        let tag = holds(name, address, Value::Int(0));
        tags.push(SimulatedTag { writable: false, ..tag });
    }
    tags.push(holds("text", "holding-register:100:STRING(20)", Value::Text("press".into())));
    tags
}

/// Everything that the command line and a plant send in a session, and every function there is.
#[test]
fn every_frame_that_we_send_is_well_formed_and_of_an_allowed_function() {
    let machine = Machine::start(tags());
    let tap = Wiretap::to(machine.address);
    let connection = format!("modbus-tcp://{}?max-in-flight=4", tap.address);
    let reads = [
        "coil:1",
        "coil:5:BOOL[10]",
        "discrete-input:1",
        "input-register:1:REAL",
        "holding-register:1:UDINT",
        "holding-register:100:STRING(20)",
        "extended-register:1:UINT[3]",
        "holding-register:7:UINT[9]",
        // Not there: refused, and split out of the others' request.
        "holding-register:41:UINT",
    ];
    let read = command(&["read", &connection]).args(reads).output().unwrap();
    assert!(String::from_utf8_lossy(&read.stdout).contains("press"), "{read:?}");
    let writes = [
        "coil:1=true",
        "coil:5:BOOL[10]=[true,false,true,false,true,false,true,false,true,true]",
        "holding-register:1:UINT=5",
        "holding-register:10:REAL=42.5",
        "holding-register:20.3:BOOL=true",
        "extended-register:1:UINT=7",
        "holding-register:100:STRING(20)=saw",
    ];
    let write = command(&["write", "--yes", &connection]).args(writes).output().unwrap();
    assert!(write.status.success(), "{write:?}");
    run_a_plant(&tap, &connection);
    ask_what_no_scan_asks(&tap);

    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("session.pcap");
    tap.save(&capture).unwrap();
    let packets = decode(&capture);
    let allowed: BTreeSet<u8> = Function::ALL.iter().map(|function| function.code()).collect();
    let (mut verdict, mut used) = (Verdict::default(), BTreeSet::new());
    for (number, packet) in (1..).zip(&packets) {
        if !packet.complaints.is_empty() {
            verdict.violated("tshark", format!("packet {number}: {packet:?}"));
        }
        if packet.functions.is_empty() {
            verdict.violated("tshark", format!("packet {number} is no Modbus: {packet:?}"));
        }
        if packet.quantities.iter().any(|quantity| *quantity > 2_000) {
            verdict.violated("tshark", format!("packet {number} asks for too much: {packet:?}"));
        }
        if packet.is_request {
            used.extend(packet.functions.iter().copied());
        }
    }
    verdict.assert_good();
    assert!(packets.len() > 60, "{} packets", packets.len());
    assert_eq!(used, allowed, "the functions that were sent, and those that may be sent");
}

/// A plant over the tapped wire, until it has sent a few kilobytes.
fn run_a_plant(tap: &Wiretap, connection: &str) {
    let folder = Folder::new();
    folder.write(
        "machine.toml",
        &format!(
            "[devices.machine]\nconnection = \"{connection}\"\n[devices.machine.groups.mixed]\ninterval = \"20ms\"\n\
             tags.c = \"coil:3\"\ntags.d = \"discrete-input:1\"\ntags.i = \"input-register:1:REAL\"\n\
             tags.h = \"holding-register:30:UINT\"\ntags.l = \"holding-register:33:LREAL\"\ntags.x = \"extended-register:9:UINT\"\n"
        ),
    );
    let running = Running::start(&folder.path());
    let before = tap.bytes_from_clients();
    eventually("traffic of scans", PATIENCE, || (tap.bytes_from_clients() > before + 4_000).then_some(()));
    running.wait_status("good values", |status| {
        (find(status, "devices", "machine")["condition"] == "good").then_some(())
    });
    running.stop();
}

/// Functions 23 and 43, which the codec has and no scan uses.
fn ask_what_no_scan_asks(tap: &Wiretap) {
    let range = RegisterRange::new(0, 4).unwrap();
    let both = ReadWrite::new(range, RegisterBlock::new(2, &[0, 7, 0, 8]).unwrap()).unwrap();
    let code = IdentificationCode::Basic;
    let requests =
        [Request::ReadWriteMultipleRegisters(both), Request::ReadDeviceIdentification { code, object: 0 }];
    let mut stream = TcpStream::connect(tap.address).unwrap();
    for (transaction, request) in (1..).zip(&requests) {
        let mut frame = BytesMut::new();
        adu::encode_request(transaction, 1, request, &mut frame);
        stream.write_all(&frame).unwrap();
        let mut answer = [0; 260];
        assert!(stream.read(&mut answer).unwrap() > 8);
        assert_eq!(answer[7], request.function().code(), "{answer:?}");
    }
}

/// The judge itself: it sees a request that is cut short.
#[test]
fn a_malformed_frame_would_be_seen() {
    let machine = Machine::start(tags());
    let tap = Wiretap::to(machine.address);
    let mut stream = TcpStream::connect(tap.address).unwrap();
    // Write two registers, without their number of bytes and without their values.
    stream.write_all(&[0, 1, 0, 0, 0, 6, 1, 16, 0, 1, 0, 2]).unwrap();
    eventually("the frame on the wire", PATIENCE, || (tap.bytes_from_clients() == 12).then_some(()));
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("malformed.pcap");
    tap.save(&capture).unwrap();
    let packets = decode(&capture);
    assert!(packets.iter().any(|packet| packet.is_request && !packet.complaints.is_empty()), "{packets:?}");
}
