//! A broker of its own on a folder and a port, without a plant: `cargo run -p millstream-broker --example broker -- DIR PORT`.
//!
//! Behind them, `protocol=SASL_SSL`, `user=NAME:PASSWORD`, `super=User:NAME` and `authorities=FILE` (which asks clients for
//! certificates) guard it. Its certificate is `DIR/kafka-certificate.pem`.
#![expect(clippy::print_stdout, reason = "the address is what it is asked for")]

use millstream_broker::{
    Certificate, ClientAuthentication, Embedded, EmbeddedConfig, ListenerConfig, Mechanism, Password,
    PrincipalRules, TlsConfig, User, Wire, WireConfig,
};
use millstream_log::{Log, LogConfig, OsDisk};
use millstream_model::{Clock, Timestamp};
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug)]
struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "an example is its own binary")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Takes one `KEY=VALUE`.
fn guard(config: &mut WireConfig, directory: &Path, argument: &str) -> Result<(), Box<dyn Error>> {
    let (key, value) = argument.split_once('=').ok_or("an option is KEY=VALUE")?;
    let listener = config.listeners.first_mut().ok_or("there is no listener")?;
    let own = Certificate::Own { directory: directory.to_owned(), names: Vec::new() };
    let tls = TlsConfig {
        certificate: own,
        client_authentication: ClientAuthentication::None,
        client_authorities: None,
        principal_mapping: PrincipalRules::default(),
    };
    match key {
        "protocol" => {
            listener.protocol = value.parse()?;
            listener.tls = listener.protocol.is_tls().then_some(tls);
            config.security.mechanisms = Mechanism::ALL.to_vec();
        }
        "user" => {
            let (name, password) = value.split_once(':').ok_or("a user is NAME:PASSWORD")?;
            config.security.users.push(User { name: name.to_owned(), password: Password::new(password) });
        }
        "super" => config.security.super_users.push(value.to_owned()),
        "authorities" => {
            listener.tls = Some(TlsConfig {
                client_authentication: ClientAuthentication::Required,
                client_authorities: Some(PathBuf::from(value)),
                ..tls
            });
        }
        _ => return Err(format!("there is no option {key}").into()),
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(dir), Some(port)) = (arguments.next(), arguments.next()) else {
        return Err("usage: broker DIR PORT".into());
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let directory = PathBuf::from(dir);
    let log = Log::open(Arc::new(OsDisk), &directory, LogConfig::default(), Arc::clone(&clock))?.0;
    let embedded = Embedded::open(log, EmbeddedConfig::default(), clock).await?;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse()?));
    let mut config = WireConfig {
        listeners: vec![ListenerConfig { listen, ..ListenerConfig::default() }],
        ..WireConfig::default()
    };
    for argument in arguments {
        guard(&mut config, &directory, &argument)?;
    }
    let wire = Wire::serve(&embedded, config).await?;
    for address in wire.addresses() {
        println!("{address}");
    }
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    wire.close().await;
    embedded.close().await?;
    Ok(())
}
