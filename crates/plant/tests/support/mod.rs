//! What the tests of this crate share: a registry with a driver that never opens a connection, and diagnostics as lines of text.
#![allow(dead_code, reason = "each test file is a crate of its own and uses its part")]

use async_trait::async_trait;
use millstream_driver::simulate::{SimulatorHandle, SimulatorSpec};
use millstream_driver::{
    About, ConnectionString, Driver, PlanSummary, Session, SessionContext, SessionError, TagProblem, TagSpec,
    Target,
};
use millstream_modbus::address::{self, Address};
use millstream_modbus::options::{self, Settings};
use millstream_modbus::plan::{Plan, PlanLimits, Tag};
use millstream_modbus::refused::Refused;
use millstream_model::{Diagnostic, Severity, TagType};
use millstream_plant::{Registry, Sources};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

/// Modbus TCP as far as it is pure.
#[derive(Debug)]
pub struct OfflineModbus;

#[async_trait]
impl Driver for OfflineModbus {
    fn about(&self) -> &'static About {
        const ABOUT: About = About {
            protocols: &["modbus-tcp", "modbus"],
            title: "Modbus TCP",
            specification: "Modbus Application Protocol V1.1b3",
            default_port: 502,
            options: options::OPTIONS,
            example_address: address::EXAMPLE,
        };
        &ABOUT
    }

    fn target(&self, connection: ConnectionString) -> Result<Target, Vec<Diagnostic>> {
        options::target(connection)
    }

    fn tag_type(&self, address: &str) -> Result<TagType, Diagnostic> {
        address.parse::<Address>().map(|address| address.tag_type())
    }

    fn writable(&self, address: &str) -> Result<(), Diagnostic> {
        let parsed = address.parse::<Address>()?;
        if parsed.area().is_writable() {
            return Ok(());
        }
        let message = format!("a {} cannot be written", parsed.area().name());
        Err(Diagnostic::error("address-area", message)
            .label("expected a coil or a holding register")
            .help("for example holding-register:1:REAL")
            .at(0..address.len()))
    }

    fn plan(&self, target: &Target, tags: &[TagSpec]) -> Result<PlanSummary, Vec<TagProblem>> {
        let settings = Settings::new(&target.options);
        let tags = Tag::parse_all(tags, &settings)?;
        Ok(Plan::new(&tags, PlanLimits::new(125, 2_000), &Refused::default()).summary(&tags))
    }

    async fn connect(&self, _: &Target, _: SessionContext) -> Result<Box<dyn Session>, SessionError> {
        Err(SessionError::Refused { cause: "this driver is offline".to_owned(), help: String::new() })
    }

    async fn simulate(&self, _: SimulatorSpec) -> Result<SimulatorHandle, SessionError> {
        Err(SessionError::Refused { cause: "this driver is offline".to_owned(), help: String::new() })
    }
}

/// The drivers and the environment of every test.
pub fn registry() -> Registry {
    Registry::new(vec![Arc::new(OfflineModbus)]).with_environment(|name| match name {
        "PLC_HOST" => Some("10.0.0.9".to_owned()),
        "KAFKA_PASSWORD" => Some("hunter2".to_owned()),
        "WRONG_OPTION" => Some("topsecret".to_owned()),
        _ => None,
    })
}

/// Diagnostics as lines: `file:line:column: error[code] key: message | label | help: … | also file:line:column …`.
pub fn lines(diagnostics: &[Diagnostic], sources: &Sources, root: &Path) -> String {
    let root = format!("{}/", root.display());
    let mut text = String::new();
    for diagnostic in diagnostics {
        let place = diagnostic.span.as_ref().map_or_else(|| "nowhere".to_owned(), |span| sources.place(span));
        let severity = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(text, "{place}: {severity}[{}]", diagnostic.code).unwrap();
        if let Some(key) = &diagnostic.key {
            write!(text, " {key}").unwrap();
        }
        write!(text, ": {} | {}", diagnostic.message, diagnostic.label).unwrap();
        if let Some(help) = &diagnostic.help {
            write!(text, " | help: {help}").unwrap();
        }
        for (span, words) in &diagnostic.also {
            write!(text, " | also {} {words}", sources.place(span)).unwrap();
        }
        text.push('\n');
    }
    text.replace(&root, "")
}
