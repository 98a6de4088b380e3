//! How long a closed loop takes beyond its scan: from the moment a controller answers a read with a new value to the
//! moment it is written to with what a query made of that value.
//!
//! Plays the controller (a Modbus TCP server with one input and one output register), and starts `millstream run` with a
//! plant that scans the input, doubles it in SQL, and writes the output through the guard.
//!
//! usage: `closed_loop BINARY SCAN_MS CHANGES`; prints: p50 and p99 in milliseconds

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

type Failure = Box<dyn std::error::Error>;

/// The controller's memory: what the next reads return, and when the present input was first read.
#[derive(Default)]
struct Registers {
    input: u16,
    output: u16,
    first_read: Option<Instant>,
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, binary, scan_ms, changes] = &arguments[..] else {
        return Err("usage: closed_loop BINARY SCAN_MS CHANGES".into());
    };
    let (scan_ms, changes): (u64, u16) = (scan_ms.parse()?, changes.parse()?);
    let registers = Arc::new(Mutex::new(Registers::default()));
    let (written, writes) = channel();
    let controller = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = controller.local_addr()?.port();
    let served = Arc::clone(&registers);
    std::thread::spawn(move || accept(&controller, &served, &written));

    let folder = std::env::temp_dir().join(format!("millstream-closed-loop-{}", std::process::id()));
    write_plant(&folder, port, scan_ms)?;
    let mut child = Command::new(binary).arg("run").arg(&folder).stdout(Stdio::null()).spawn()?;
    let measured = measure(&registers, &writes, scan_ms, changes);
    child.kill()?;
    child.wait()?;
    std::fs::remove_dir_all(&folder)?;

    let mut latencies = measured?;
    latencies.sort_unstable();
    let at = |share: usize| {
        latencies[(latencies.len() * share / 100).min(latencies.len() - 1)].as_secs_f64() * 1e3
    };
    print(&format!("{:.3} {:.3}", at(50), at(99)))
}

fn print(line: &str) -> Result<(), Failure> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

/// Changes the input `changes` times, each at another phase of the scan, and waits for the answer.
fn measure(
    registers: &Mutex<Registers>,
    writes: &Receiver<(u16, Instant)>,
    scan_ms: u64,
    changes: u16,
) -> Result<Vec<Duration>, Failure> {
    let mut latencies = Vec::new();
    // The first answers warm up connections, topics and queries.
    let warm_up = 20;
    for change in 1..=changes + warm_up {
        {
            let mut registers = registers.lock().map_err(|_| "the controller failed")?;
            registers.input = change;
            registers.first_read = None;
        }
        let arrived = loop {
            match writes.recv_timeout(Duration::from_secs(20)) {
                Ok((value, at)) if value == change * 2 => break at,
                Ok(_) => {}
                Err(_) => return Err(format!("no answer to change {change}").into()),
            }
        };
        let read =
            registers.lock().map_err(|_| "the controller failed")?.first_read.ok_or("written before read")?;
        if change > warm_up {
            latencies.push(arrived - read);
        }
        std::thread::park_timeout(Duration::from_micros(1_000 * scan_ms + 137 * u64::from(change % 97)));
    }
    Ok(latencies)
}

fn write_plant(folder: &Path, port: u16, scan_ms: u64) -> std::io::Result<()> {
    std::fs::create_dir_all(folder.join("queries"))?;
    let plant = format!(
        r#"[http]
listen = "127.0.0.1:0"

[devices.plc]
connection = "modbus-tcp://127.0.0.1:{port}"
asset = "bench/plc"

[devices.plc.groups.fast]
interval = "{scan_ms}ms"
topic = "plc.values"
tags.input = "holding-register:1:UINT"

[devices.plc.writes]
topic = "plc.commands"
tags.output = {{ address = "holding-register:2:UINT", min = 0, max = 65535 }}
"#
    );
    std::fs::write(folder.join("millstream.toml"), plant)?;
    let query = "CREATE STREAM commands WITH (KAFKA_TOPIC = 'plc.commands') AS\n  \
                 SELECT asset, input * 2 AS output FROM plc_values EMIT CHANGES;\n";
    std::fs::write(folder.join("queries/double.sql"), query)
}

fn accept(controller: &TcpListener, registers: &Arc<Mutex<Registers>>, written: &Sender<(u16, Instant)>) {
    for stream in controller.incoming().flatten() {
        let (registers, written) = (Arc::clone(registers), written.clone());
        std::thread::spawn(move || serve(stream, &registers, &written));
    }
}

/// Functions 3, 6 and 16 over two registers. Ends with the connection.
fn serve(
    mut stream: TcpStream,
    registers: &Mutex<Registers>,
    written: &Sender<(u16, Instant)>,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let mut head = [0; 8];
        stream.read_exact(&mut head)?;
        let mut body = vec![0; usize::from(u16::from_be_bytes([head[4], head[5]])).saturating_sub(2)];
        stream.read_exact(&mut body)?;
        let word = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
        let mut answer = Vec::new();
        {
            let Ok(mut registers) = registers.lock() else { return Ok(()) };
            match head[7] {
                3 => {
                    if word(0) == 0 {
                        registers.first_read.get_or_insert_with(Instant::now);
                    }
                    let all = [registers.input, registers.output];
                    let read = &all[usize::from(word(0))..][..usize::from(word(2))];
                    answer.push(u8::try_from(2 * read.len()).unwrap_or(0));
                    answer.extend(read.iter().flat_map(|value| value.to_be_bytes()));
                }
                function => {
                    registers.output = if function == 6 { word(2) } else { word(5) };
                    let _ = written.send((registers.output, Instant::now()));
                    answer.extend_from_slice(&body[..4]);
                }
            }
        }
        let len = u16::try_from(answer.len() + 2).unwrap_or(2).to_be_bytes();
        let mut frame = vec![head[0], head[1], 0, 0, len[0], len[1], head[6], head[7]];
        frame.extend(answer);
        stream.write_all(&frame)?;
    }
}
