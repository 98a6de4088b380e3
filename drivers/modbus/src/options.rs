//! The options of a connection string: PLC4X's, and `max-in-flight`.

use crate::address::{Address, ByteOrder};
use crate::limits::{IN_FLIGHT, READ_BITS, READ_REGISTERS};
use crate::plan::PlanLimits;
use millstream_driver::{ConnectionString, Target};
use millstream_model::{Diagnostic, OptionKind, OptionSpec, Options};
use std::time::Duration;

const UNIT: OptionKind = OptionKind::Int { min: 0, max: 255 };

/// Every option. Names and defaults are PLC4X 0.13's; names of other PLC4X versions are accepted beside them.
pub const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "request-timeout",
        kind: OptionKind::Millis,
        default: "5000",
        doc: "How long one request may take.",
    },
    OptionSpec {
        name: "request-timeout-ms",
        kind: OptionKind::Millis,
        default: "",
        doc: "PLC4X 1.0's name of `request-timeout`.",
    },
    OptionSpec {
        name: "default-unit-identifier",
        kind: UNIT,
        default: "1",
        doc: "The unit of every tag that names none with `{unit-id: n}`.",
    },
    OptionSpec {
        name: "unit-identifier",
        kind: UNIT,
        default: "",
        doc: "The name of `default-unit-identifier` before PLC4X 0.13.",
    },
    OptionSpec {
        name: "default-payload-byte-order",
        kind: OptionKind::OneOf(ByteOrder::NAMES),
        default: "BIG_ENDIAN",
        doc: "The byte order of every tag that names none with `{byte-order: '…'}`.",
    },
    OptionSpec {
        name: "max-registers-per-request",
        kind: OptionKind::Int { min: 1, max: READ_REGISTERS as i64 },
        default: "125",
        doc: "The most registers that one request reads, for devices that allow fewer than the specification.",
    },
    OptionSpec {
        name: "max-coils-per-request",
        kind: OptionKind::Int { min: 1, max: READ_BITS as i64 },
        default: "2000",
        doc: "The most coils or discrete inputs that one request reads.",
    },
    OptionSpec {
        name: "max-in-flight",
        kind: OptionKind::Int { min: 1, max: IN_FLIGHT },
        default: "1",
        doc: "The most requests that may be unanswered at once. More is faster, but many devices lose the second.",
    },
    OptionSpec {
        name: "ping-address",
        kind: OptionKind::Text,
        default: "4x00001:BOOL",
        doc: "Accepted and checked for PLC4X's sake; scans show whether the device lives, so nothing is pinged.",
    },
    OptionSpec {
        name: "tcp.no-delay",
        kind: OptionKind::Bool,
        default: "true",
        doc: "Whether small frames are sent at once (TCP_NODELAY).",
    },
    OptionSpec {
        name: "tcp.keep-alive",
        kind: OptionKind::Bool,
        default: "false",
        doc: "Accepted for PLC4X's sake; every request has its own time-out, which finds a dead connection sooner.",
    },
    OptionSpec {
        name: "tcp.default-timeout",
        kind: OptionKind::Millis,
        default: "1000",
        doc: "Accepted for PLC4X's sake; the scheduler limits the time of a connection attempt.",
    },
    OptionSpec {
        name: "tcp.connect-timeout-ms",
        kind: OptionKind::Millis,
        default: "",
        doc: "PLC4X 1.0's name of `tcp.default-timeout`.",
    },
];

/// What the options say, in types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Unit of tags that name none.
    pub unit: u8,
    /// Byte order of tags that name none.
    pub byte_order: ByteOrder,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// The most that one request reads.
    pub limits: PlanLimits,
    /// The most requests that may be unanswered at once.
    pub in_flight_max: usize,
    /// Whether small frames are sent at once.
    pub no_delay: bool,
}

impl Settings {
    /// Reads checked options.
    pub fn new(options: &Options) -> Self {
        let small = |name: &str| u16::try_from(options.int(name)).unwrap_or(u16::MAX);
        let unit =
            if options.is_given("unit-identifier") { "unit-identifier" } else { "default-unit-identifier" };
        let timeout =
            if options.is_given("request-timeout-ms") { "request-timeout-ms" } else { "request-timeout" };
        Self {
            unit: u8::try_from(options.int(unit)).unwrap_or(1),
            byte_order: ByteOrder::from_name(options.text("default-payload-byte-order"))
                .unwrap_or(ByteOrder::BigEndian),
            request_timeout: options.duration(timeout),
            limits: PlanLimits::new(small("max-registers-per-request"), small("max-coils-per-request")),
            in_flight_max: usize::try_from(options.int("max-in-flight")).unwrap_or(1),
            no_delay: options.bool("tcp.no-delay"),
        }
    }
}

/// Checks a connection string: its options, and what a table of them cannot say.
pub fn target(connection: ConnectionString) -> Result<Target, Vec<Diagnostic>> {
    let mut mistakes = Vec::new();
    let start = connection.protocol.len() + 1;
    if let Some(transport) = connection.transport.as_deref().filter(|transport| *transport != "tcp") {
        let wrong =
            Diagnostic::error("transport", format!("Modbus TCP does not run over `{transport}` here"));
        mistakes.push(
            wrong
                .at(start..start + transport.len())
                .label("expected `tcp`, or nothing")
                .help("for example modbus-tcp://10.0.0.7:502"),
        );
    }
    for (name, value, range) in &connection.options {
        match name.as_str() {
            "ping-address" => {
                if let Err(mistake) = value.parse::<Address>() {
                    mistakes.push(mistake.at(range.clone()));
                }
            }
            "request-timeout" | "request-timeout-ms" if value.parse() == Ok(0) => {
                let wrong = Diagnostic::error("option-value", format!("`{name}` leaves no time"));
                mistakes.push(wrong.at(range.clone()).label("expected at least 1 ms"));
            }
            _ => {}
        }
    }
    for (old, new) in
        [("unit-identifier", "default-unit-identifier"), ("request-timeout-ms", "request-timeout")]
    {
        let given = |wanted: &str| connection.options.iter().find(|(name, ..)| name == wanted);
        if let (Some((.., range)), Some(_)) = (given(old), given(new)) {
            let twice =
                Diagnostic::error("duplicate-option", format!("`{old}` is `{new}`, which is given too"));
            mistakes.push(twice.at(range.clone()).label("give it once"));
        }
    }
    match Target::check(connection, OPTIONS) {
        Ok(target) if mistakes.is_empty() => Ok(target),
        Ok(_) => Err(mistakes),
        Err(mut found) => {
            found.append(&mut mistakes);
            Err(found)
        }
    }
}
