//! A wire with a tap: what passes between a client and a server is kept as packets that any decoder can read.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// The server's port in the packets; decoders know protocols by it.
const SERVER_PORT: u16 = 502;
/// The first client's port in the packets.
const CLIENT_PORT: u16 = 40_000;
/// Bytes of payload in one packet at most, so that a packet fits its length field.
const PAYLOAD_MAX: usize = 1_400;

/// What passed, in order.
#[derive(Debug, Clone)]
struct Passed {
    connection: u16,
    from_client: bool,
    bytes: Vec<u8>,
}

/// Listens for clients and passes everything on. Ends with the process.
#[derive(Debug)]
pub struct Wiretap {
    /// Where clients connect.
    pub address: SocketAddr,
    passed: Arc<Mutex<Vec<Passed>>>,
}

impl Wiretap {
    /// A wire to `server`.
    pub fn to(server: SocketAddr) -> Self {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, crate::peer::free_port())).expect("the port is free");
        let address = listener.local_addr().expect("it listens");
        let passed = Arc::new(Mutex::new(Vec::new()));
        let tap = passed.clone();
        std::thread::spawn(move || {
            for (connection, client) in (0..).zip(listener.incoming().map_while(Result::ok)) {
                let Ok(server) = TcpStream::connect(server) else { return };
                for from_client in [true, false] {
                    let ends = (client.try_clone(), server.try_clone());
                    let (Ok(client), Ok(server)) = ends else { return };
                    let (from, to) = if from_client { (client, server) } else { (server, client) };
                    let tap = tap.clone();
                    std::thread::spawn(move || pass(from, to, connection, from_client, &tap));
                }
            }
        });
        Self { address, passed }
    }

    /// Bytes that clients have sent so far.
    pub fn bytes_from_clients(&self) -> usize {
        let passed = self.passed.lock().expect("no test panics while it holds the tap");
        passed.iter().filter(|passed| passed.from_client).map(|passed| passed.bytes.len()).sum()
    }

    /// Writes what has passed as a capture file: classic pcap, raw IPv4, TCP with right sequence numbers.
    pub fn save(&self, path: &Path) -> std::io::Result<()> {
        let passed = self.passed.lock().expect("no test panics while it holds the tap").clone();
        let mut file = Vec::new();
        // Magic, version 2.4, no time zone, no accuracy, packets of any length, LINKTYPE_RAW.
        for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 0x0004_0000, 101] {
            file.extend(word.to_le_bytes());
        }
        let mut sent = std::collections::BTreeMap::<(u16, bool), u32>::new();
        let pieces = passed
            .iter()
            .flat_map(|passed| passed.bytes.chunks(PAYLOAD_MAX).map(move |bytes| (passed, bytes)));
        for (number, (passed, payload)) in (0_u32..).zip(pieces) {
            let acknowledged = 1 + sent.get(&(passed.connection, !passed.from_client)).copied().unwrap_or(0);
            let sequence = sent.entry((passed.connection, passed.from_client)).or_default();
            let packet = packet(passed, 1 + *sequence, acknowledged, payload);
            *sequence += u32::try_from(payload.len()).unwrap_or(0);
            let len = u32::try_from(packet.len()).unwrap_or(0);
            // A millisecond apart: only the order matters.
            for word in [number / 1_000, number % 1_000 * 1_000, len, len] {
                file.extend(word.to_le_bytes());
            }
            file.extend(packet);
        }
        std::fs::write(path, file)
    }
}

fn pass(
    mut from: TcpStream,
    mut to: TcpStream,
    connection: u16,
    from_client: bool,
    tap: &Mutex<Vec<Passed>>,
) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let bytes = buffer[..count].to_vec();
        tap.lock().expect("no test panics while it holds the tap").push(Passed {
            connection,
            from_client,
            bytes,
        });
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// IPv4 and TCP around a payload. Checksums are left out, as network cards leave them to themselves.
fn packet(passed: &Passed, sequence: u32, acknowledged: u32, payload: &[u8]) -> Vec<u8> {
    let client = (Ipv4Addr::new(10, 0, 0, 1), CLIENT_PORT + passed.connection);
    let server = (Ipv4Addr::new(10, 0, 0, 2), SERVER_PORT);
    let (from, to) = if passed.from_client { (client, server) } else { (server, client) };
    let len = u16::try_from(40 + payload.len()).expect("a piece fits a packet");
    let mut packet = vec![0x45, 0];
    packet.extend(len.to_be_bytes());
    packet.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
    packet.extend(from.0.octets());
    packet.extend(to.0.octets());
    packet.extend(from.1.to_be_bytes());
    packet.extend(to.1.to_be_bytes());
    packet.extend(sequence.to_be_bytes());
    packet.extend(acknowledged.to_be_bytes());
    // Five words of header, PSH and ACK, a full window.
    packet.extend([0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
    packet.extend(payload);
    packet
}
