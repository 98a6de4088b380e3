//! `millstream doctor`: why it does not work, step by step, and the remedy. Stops at the first step that fails, because the
//! next ones stand on it.

use super::read::scan;
use crate::cli::Doctor;
use crate::console::Console;
use crate::device::Device;
use crate::failure::Failure;
use millstream_driver::{GroupIndex, SessionError, TagSpec};
use millstream_model::{Cell, Status};
use serde::Serialize;
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};

/// What one step found.
#[derive(Debug, Serialize)]
struct Finding {
    step: &'static str,
    ok: bool,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

impl Finding {
    fn good(step: &'static str, message: impl Into<String>) -> Self {
        Self { step, ok: true, message: message.into(), help: None }
    }

    fn bad(step: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { step, ok: false, message: message.into(), help: Some(help.into()) }
    }
}

pub(crate) async fn run(arguments: &Doctor, console: Console) -> Result<(), Failure> {
    let device = Device::parse(&arguments.connection.text, console)?;
    let (tags, _) = device.tags(&arguments.tags, console)?;
    let about = device.driver.about();
    say(&Finding::good("connection", format!("{}, {}", about.title, device.peer())), console)?;
    let patience = arguments.connection.timeout;
    let addresses = tell(route(&device, patience).await, console)?;
    tell(port(&device, &addresses, patience).await, console)?;
    let began = Instant::now();
    let mut session = match device.connect(&arguments.connection).await {
        Ok(session) => session,
        Err(error) => return tell::<()>(Err(handshake(&error)), console),
    };
    let limits = session.limits();
    let granted = format!("done in {}; {} request in flight at a time", took(began), limits.in_flight_max);
    say(&Finding::good("handshake", granted), console)?;

    // Whether anything answers behind the connection: the first of the given tags, or an address that most devices have.
    let probed =
        if tags.is_empty() { vec![TagSpec::new("probe", about.example_address)] } else { tags.clone() };
    let _ = session.prepare(GroupIndex(0), &probed);
    let began = Instant::now();
    let row = match scan(&mut *session, probed.len(), patience).await {
        Ok(row) => row,
        Err(error) => return tell::<()>(Err(silence(&error)), console),
    };
    tell(unit(&row.cells, began), console)?;
    let mut ill = 0;
    for (tag, cell) in tags.iter().zip(&row.cells) {
        let finding = address(&tag.address, cell);
        ill += usize::from(!finding.ok);
        say(&finding, console)?;
    }
    if ill == 0 {
        return Ok(());
    }
    Err(Failure::Said(1))
}

/// Prints a finding; a bad one ends the command.
fn tell<T>(found: Result<(Finding, T), Finding>, console: Console) -> Result<T, Failure> {
    match found {
        Ok((finding, value)) => say(&finding, console).map(|()| value),
        Err(finding) => {
            say(&finding, console)?;
            Err(Failure::Said(1))
        }
    }
}

fn say(finding: &Finding, console: Console) -> Result<(), Failure> {
    if console.json {
        return console.json(finding);
    }
    let (mark, color) = if finding.ok { ("ok  ", "\x1b[32m") } else { ("FAIL", "\x1b[1;31m") };
    let (color, off) = if console.colors { (color, "\x1b[0m") } else { ("", "") };
    console.line(format_args!("{color}{mark}{off} {:<10} {}", finding.step, finding.message))?;
    match &finding.help {
        Some(help) => console.line(format_args!("     {:<10} {help}", "help:")),
        None => Ok(()),
    }
}

fn took(began: Instant) -> String {
    let ms = began.elapsed().as_secs_f64() * 1e3;
    format!("{ms:.1} ms")
}

async fn route(device: &Device, patience: Duration) -> Result<(Finding, Vec<SocketAddr>), Finding> {
    let host = &device.target.connection.host;
    let looked_up = timeout(patience, lookup_host(device.peer())).await;
    let addresses: Vec<_> = match looked_up {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => {
            let help = "check the spelling, or give the IP address in place of the name";
            return Err(Finding::bad("route", format!("the name `{host}` is not known: {error}"), help));
        }
        Err(_) => {
            let help = "the name server does not answer: give the IP address in place of the name";
            return Err(Finding::bad("route", format!("`{host}` was not found in time"), help));
        }
    };
    let Some(first) = addresses.first() else {
        return Err(Finding::bad(
            "route",
            format!("`{host}` has no address"),
            "give the IP address in place of the name",
        ));
    };
    let message = match host.parse::<std::net::IpAddr>() {
        Ok(ip) => format!("{ip} is an address; no name has to be looked up"),
        Err(_) => format!("`{host}` is {}", first.ip()),
    };
    Ok((Finding::good("route", message), addresses))
}

async fn port(
    device: &Device,
    addresses: &[SocketAddr],
    patience: Duration,
) -> Result<(Finding, ()), Finding> {
    let began = Instant::now();
    let port = device.port();
    match timeout(patience, TcpStream::connect(addresses)).await {
        Ok(Ok(_)) => Ok((Finding::good("port", format!("port {port} is open ({})", took(began))), ())),
        Ok(Err(error)) => Err(closed(&error, device)),
        Err(_) => Err(closed(&ErrorKind::TimedOut.into(), device)),
    }
}

fn closed(error: &Error, device: &Device) -> Finding {
    let (port, title) = (device.port(), device.driver.about().title);
    match error.kind() {
        ErrorKind::ConnectionRefused => Finding::bad(
            "port",
            format!("the machine is there, but nothing listens on port {port}"),
            format!(
                "is {title} switched on in the device, and on this port? its usual port is {}",
                device.driver.about().default_port
            ),
        ),
        ErrorKind::TimedOut => Finding::bad(
            "port",
            "no answer at all",
            "is the device switched on and the address right? a firewall or a wrong VLAN looks the same",
        ),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Finding::bad(
            "port",
            format!("there is no way to it from this machine: {error}"),
            "is a network card of this machine in the device's network? check address, mask and gateway",
        ),
        _ => Finding::bad("port", error.to_string(), "try again; if it stays, look at the network between"),
    }
}

fn handshake(error: &SessionError) -> Finding {
    let help = match error {
        SessionError::Refused { help, .. } => help.clone(),
        SessionError::Lost { .. } => {
            "the device may have no connection left: close other clients, or restart its communication"
                .to_owned()
        }
        SessionError::Protocol(_) => {
            "something else than this protocol answers on the port: check protocol and port".to_owned()
        }
    };
    Finding::bad("handshake", error.to_string(), help)
}

fn silence(error: &SessionError) -> Finding {
    let help = match error.status() {
        Status::BadTimeout => {
            "the connection stands, but requests are not answered: check the unit identifier (unit-identifier=1, 0 or 255 are usual)"
        }
        Status::BadConnectionClosed => {
            "the device closes the connection at the first request: another client may hold its only connection"
        }
        _ => "something else than this protocol may answer on the port: check protocol and port",
    };
    Finding::bad("unit", error.to_string(), help)
}

/// A refusal is an answer too: somebody is there.
fn unit(cells: &[Cell], began: Instant) -> Result<(Finding, ()), Finding> {
    let silent = |cell: &Cell| {
        matches!(
            cell.status(),
            Some(Status::BadTimeout | Status::BadResourceUnavailable | Status::BadOutOfService)
        )
    };
    if cells.iter().any(|cell| !silent(cell)) {
        return Ok((Finding::good("unit", format!("it answers ({})", took(began))), ()));
    }
    let status = cells.first().and_then(Cell::status).map_or("no answer", Status::name);
    let help = "no unit answers under this identifier: try unit-identifier=1, 0 or 255; behind a gateway, check that the unit is on and wired";
    Err(Finding::bad("unit", status, help))
}

fn address(text: &str, cell: &Cell) -> Finding {
    match (cell.value(), cell.status()) {
        (Some(value), None) => Finding::good("address", format!("{text} = {value}")),
        (Some(value), Some(status)) => Finding::good("address", format!("{text} = {value} ({status})")),
        (None, status) => {
            let status = status.unwrap_or(Status::BadUnexpectedError);
            Finding::bad("address", format!("{text}: {status}"), remedy(status))
        }
    }
}

/// What a person can do about a bad status.
fn remedy(status: Status) -> &'static str {
    match status {
        Status::BadNodeIdUnknown => {
            "the device has no such address: is it counted from 0 in its manual? then add 1; or try input-register, coil or discrete-input"
        }
        Status::BadTimeout => "no answer to this one: raise request-timeout in the connection string",
        Status::BadNotReadable => "the device does not let this address be read",
        Status::BadNotSupported => {
            "the device does not know this kind of request: try another area of its memory"
        }
        Status::BadDeviceFailure => "the device reports a fault of its own: look at its diagnosis",
        Status::BadResourceUnavailable => {
            "the device is busy or its gateway cannot reach it: scan more slowly, check the wiring"
        }
        Status::BadDecodingError | Status::BadTypeMismatch => {
            "the bytes do not fit the data type: check type and byte order"
        }
        _ => "look at the device's own diagnosis",
    }
}
