//! One device without a plant: what `read`, `write` and `doctor` share.

use crate::cli::Connection;
use crate::clock::SystemClock;
use crate::console::Console;
use crate::failure::Failure;
use crate::parts;
use crate::render::{Diagnostics, Texts};
use millstream_driver::{
    ConnectionString, Driver, PlanSummary, Session, SessionContext, SessionError, TagProblem, TagSpec, Target,
};
use millstream_model::{Diagnostic, nearest};
use std::sync::Arc;
use tokio::time::timeout;

/// A connection string whose protocol and options are right.
#[derive(Clone)]
pub(crate) struct Device {
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) target: Target,
}

impl Device {
    /// Checks a connection string; all its mistakes are shown.
    pub(crate) fn parse(text: &str, console: Console) -> Result<Self, Failure> {
        let parsed = ConnectionString::parse(text).map_err(|mistake| vec![mistake]);
        let checked = parsed.and_then(|connection| {
            let driver = driver(&connection)?;
            let target = driver.target(connection)?;
            Ok(Self { driver, target })
        });
        checked.or_else(|mistakes| {
            console.diagnostics(&Diagnostics {
                diagnostics: &mistakes,
                texts: Texts::One { name: "connection", text },
            })?;
            Err(Failure::Said(2))
        })
    }

    /// Checks addresses, each its own tag under its own name; all mistakes are shown.
    pub(crate) fn tags(
        &self,
        addresses: &[String],
        console: Console,
    ) -> Result<(Vec<TagSpec>, PlanSummary), Failure> {
        let tags: Vec<_> = addresses.iter().map(|address| TagSpec::new(&**address, &**address)).collect();
        match self.driver.plan(&self.target, &tags) {
            Ok(plan) => Ok((tags, plan)),
            Err(problems) => {
                for TagProblem { tag, diagnostic } in problems {
                    let text = tag.and_then(|index| addresses.get(index)).map_or("", String::as_str);
                    let texts = Texts::One { name: "address", text };
                    console.diagnostics(&Diagnostics { diagnostics: &[diagnostic], texts })?;
                }
                Err(Failure::Said(2))
            }
        }
    }

    /// Checks that addresses can be written at all; all mistakes are shown.
    pub(crate) fn writable(&self, addresses: &[String], console: Console) -> Result<(), Failure> {
        let mut mistakes = 0;
        for text in addresses {
            if let Err(mistake) = self.driver.writable(text) {
                let texts = Texts::One { name: "address", text };
                console.diagnostics(&Diagnostics { diagnostics: &[mistake], texts })?;
                mistakes += 1;
            }
        }
        if mistakes == 0 { Ok(()) } else { Err(Failure::Said(2)) }
    }

    /// One attempt to connect, bounded.
    pub(crate) async fn connect(&self, connection: &Connection) -> Result<Box<dyn Session>, SessionError> {
        let context = SessionContext::new(Arc::new(SystemClock));
        let attempt = self.driver.connect(&self.target, context);
        timeout(connection.timeout, attempt).await.unwrap_or_else(|_| {
            Err(SessionError::Lost {
                cause: format!("{} did not answer within {:?}", self.peer(), connection.timeout),
                status: millstream_model::Status::BadTimeout,
            })
        })
    }

    /// `host:port`.
    pub(crate) fn peer(&self) -> String {
        let connection = &self.target.connection;
        let host = if connection.host.contains(':') {
            format!("[{}]", connection.host)
        } else {
            connection.host.clone()
        };
        format!("{host}:{}", self.port())
    }

    /// The port that is given, or the protocol's.
    pub(crate) fn port(&self) -> u16 {
        self.target.connection.port.unwrap_or(self.driver.about().default_port)
    }

    /// What a device that cannot be reached means for the exit code and what to do next.
    pub(crate) fn failure(&self, error: &SessionError) -> Failure {
        let failure = Failure::failed(format!("{}: {error}", self.target.connection));
        match error {
            SessionError::Refused { help, .. } => failure.help(help.clone()),
            _ => {
                failure.help(format!("`millstream doctor '{}'` looks for the cause", self.target.connection))
            }
        }
    }
}

fn driver(connection: &ConnectionString) -> Result<Arc<dyn Driver>, Vec<Diagnostic>> {
    let drivers = parts::drivers();
    let protocols = || drivers.iter().flat_map(|driver| driver.about().protocols.iter().copied());
    let found = drivers.iter().find(|driver| driver.about().protocols.contains(&&*connection.protocol));
    found.cloned().ok_or_else(|| {
        let known: Vec<_> = protocols().map(|name| format!("`{name}`")).collect();
        let mistake =
            Diagnostic::error("unknown-protocol", format!("there is no protocol `{}`", connection.protocol))
                .at(0..connection.protocol.len())
                .label(format!("expected one of {}", known.join(", ")));
        let near = nearest(&connection.protocol, protocols());
        vec![match near {
            Some(name) => mistake.help(format!("did you mean `{name}`?")),
            None => mistake,
        }]
    })
}
