//! `[log]` and `[http]`.

use crate::kafka::{KafkaListener, KafkaSettings};
use crate::kafka_names;
use crate::keys;
use crate::plant::{Listener, LogSettings, SqlSettings};
use crate::said::under;
use crate::section::{Mistakes, Said, Section};
use crate::text::Text;
use crate::tree::Kind;
use crate::value::{Bounds, Value};
use millstream_model::{Diagnostic, Severity, Span, nearest};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

const DATA_DIR: &str = "data";
const FLUSH_INTERVAL: Duration = Duration::from_millis(5);
const RETENTION: Duration = Duration::from_hours(7 * 24);
const SEGMENT_BYTES: u64 = 128 << 20;
const HTTP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// Reads `[log]`, with what was said of `bootstrap_servers`; all defaults where there is none.
pub(crate) fn log(
    value: Option<&Value<'_>>,
    folder: &Path,
    out: &mut Mistakes,
) -> (LogSettings, Option<Said<Text>>) {
    let mut settings = LogSettings {
        data_dir: folder.join(DATA_DIR),
        bootstrap_servers: None,
        kafka: BTreeMap::new(),
        flush_interval: FLUSH_INTERVAL,
        retention: RETENTION,
        retention_bytes: None,
        segment_bytes: SEGMENT_BYTES,
        forward_records_per_second: None,
        forward_bytes_per_second: None,
    };
    let Some(mut section) = value.and_then(|value| Section::open(value, &keys::LOG, out)) else {
        return (settings, None);
    };
    if let Some(given) = section.take("data_dir").and_then(|value| value.text(out)) {
        settings.data_dir = folder.join(given.as_str());
        check_data_dir(&given, &settings.data_dir, out);
    }
    let servers = section.take("bootstrap_servers").and_then(|value| value.text(out));
    if let Some(servers) = &servers {
        check_servers(servers, out);
        settings.bootstrap_servers = Some(servers.as_str().to_owned());
    }
    if let Some(value) = section.take("kafka") {
        settings.kafka = kafka_settings(&value, servers.is_some(), out);
    }
    let flush = Duration::ZERO..=Duration::from_secs(10);
    if let Some(given) = section.take("flush_interval").and_then(|value| value.duration(flush, out)) {
        settings.flush_interval = given.value;
    }
    let ages = Duration::from_mins(1)..=Duration::from_hours(10_000 * 24);
    if let Some(given) = section.take("retention").and_then(|value| value.duration(ages, out)) {
        settings.retention = given.value;
    }
    if let Some(given) = section.take("retention_size").and_then(|value| value.size(1 << 20..=u64::MAX, out))
    {
        settings.retention_bytes = Some(given.value);
    }
    if let Some(given) = section.take("segment_size").and_then(|value| value.size(1 << 20..=1 << 30, out)) {
        settings.segment_bytes = given.value;
    }
    let rate = section.take("forward_records_per_second");
    if let Some(given) = rate.and_then(|value| value.number(Bounds::Positive(10_000_000.0), out)) {
        settings.forward_records_per_second = Some(given.value);
    }
    let rate = section.take("forward_size_per_second");
    if let Some(given) = rate.and_then(|value| value.size(1_000..=u64::MAX, out)) {
        settings.forward_bytes_per_second = Some(given.value);
    }
    section.finish(out);
    (settings, servers)
}

/// Reads `[sql]`.
pub(crate) fn sql(value: Option<&Value<'_>>, on_kafka: bool, out: &mut Mistakes) -> SqlSettings {
    let mut settings = SqlSettings::default();
    let Some(mut section) = value.and_then(|value| Section::open(value, &keys::SQL, out)) else {
        return settings;
    };
    if let Some(id) = section.take("service_id").and_then(|value| value.text(out)) {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if id.as_str().is_empty() || !id.as_str().chars().all(fits) {
            let mistake = Diagnostic::error("service-id", format!("`{}` is no service id", id.as_str()));
            let mistake = mistake.label("expected letters, digits, `_`, `-` and `.`");
            out.push(id.locate(mistake.help("for example `\"line2\"`")));
        } else if !on_kafka {
            let mistake =
                Diagnostic::error("service-id", "processes can only share queries through Apache Kafka");
            let mistake = mistake.label("expected `bootstrap_servers` in `[log]`");
            out.push(id.locate(mistake.help("add `bootstrap_servers`, or remove the key")));
        }
        settings.service_id = Some(id.as_str().to_owned());
    }
    let mut address = |name, code, example| {
        let url = section.take(name).and_then(|value| value.text(out))?;
        if !(url.as_str().starts_with("http://") || url.as_str().starts_with("https://")) {
            let mistake = Diagnostic::error(code, format!("`{}` is no URL", url.as_str()));
            let mistake = mistake.label("expected http:// or https://, a host and a port");
            out.push(url.locate(mistake.help(format!("for example `\"{example}\"`"))));
        }
        Some(url.as_str().to_owned())
    };
    settings.schema_registry = address("schema_registry", "schema-registry", "https://registry.plant:8081");
    settings.connect_url = address("connect_url", "connect-url", "http://connect.plant:8083");
    let mut text = |name| section.take(name).and_then(|value| value.text(out)).map(|t| t.as_str().to_owned());
    settings.schema_registry_user = text("schema_registry_user");
    settings.schema_registry_password = text("schema_registry_password");
    settings.connect_user = text("connect_user");
    settings.connect_password = text("connect_password");
    section.finish(out);
    settings
}

/// A cluster that is this plant itself: each record that was sent there would be one more to send, until the disk is full.
pub(crate) fn check_loop(servers: &Said<Text>, kafka: &KafkaSettings, out: &mut Mistakes) {
    let mut at = 0;
    for server in servers.as_str().split(',') {
        let range = at..at + server.len();
        at = range.end + 1;
        let Some((host, port)) = server.trim().rsplit_once(':') else { continue };
        let Ok(port) = port.parse::<u16>() else { continue };
        if kafka.listeners.iter().any(|listener| is_at(listener, host, port)) {
            let message = format!("`{}` is this plant's own Kafka listener", server.trim());
            let mistake = Diagnostic::error("bootstrap-servers", message)
                .label("expected another cluster: records sent here would be sent again, without end")
                .help("name another cluster, or remove the key to have the embedded log alone");
            out.push(servers.locate(mistake.at(range)));
        }
    }
}

/// Whether who connects to `host` and `port` comes to `listener`, as far as can be told without asking the network.
fn is_at(listener: &KafkaListener, host: &str, port: u16) -> bool {
    let told = listener.advertise.as_ref();
    if told.is_some_and(|told| told.0.eq_ignore_ascii_case(host) && told.1 == port) {
        return true;
    }
    let own = listener.listen.ip();
    let is_own = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(ip) => {
            let reaches_this_machine = ip.is_loopback() || ip.is_unspecified();
            ip == own || (own.is_unspecified() && reaches_this_machine)
        }
        Err(_) => host.eq_ignore_ascii_case("localhost") && (own.is_loopback() || own.is_unspecified()),
    };
    is_own && port == listener.listen.port()
}

/// Whether the folder is there or can be made, as far as can be seen without touching anything.
fn check_data_dir(given: &Said<Text>, path: &Path, out: &mut Mistakes) {
    let mistake = |message: String, help: &str| {
        let mistake = Diagnostic::error("data-dir", message);
        given.locate(mistake.label("expected a folder that can be written to").help(help))
    };
    if given.as_str().is_empty() {
        out.push(mistake("`data_dir` is empty".to_owned(), "for example `\"data\"`"));
        return;
    }
    // The folder itself may have to be made; then its nearest parent that exists must allow that.
    for (index, ancestor) in path.ancestors().enumerate() {
        let ancestor = if ancestor.as_os_str().is_empty() { Path::new(".") } else { ancestor };
        let Ok(metadata) = std::fs::metadata(ancestor) else { continue };
        if !metadata.is_dir() {
            let message = format!("`{}` is a file, not a folder", ancestor.display());
            out.push(mistake(message, "choose another path, or move the file away"));
        } else if metadata.permissions().readonly() {
            let what = if index == 0 {
                "may not be written to"
            } else {
                "may not be written to, and holds no such folder"
            };
            let message = format!("`{}` {what}", ancestor.display());
            out.push(mistake(
                message,
                "choose another path, or allow the user of this process to write there",
            ));
        }
        return;
    }
}

fn check_servers(servers: &Said<Text>, out: &mut Mistakes) {
    let text = servers.as_str();
    let mut at = 0;
    for server in text.split(',') {
        let range = at..at + server.len();
        at = range.end + 1;
        let host_port = server.trim().rsplit_once(':');
        let message = match host_port {
            _ if server.trim().is_empty() => "a server is empty".to_owned(),
            None => format!("`{}` has no port", server.trim()),
            Some(("", _)) => "a host is missing".to_owned(),
            Some((host, _)) if host.contains('/') => format!("`{host}` is no host"),
            Some((_, port)) if port.parse::<u16>().is_ok_and(|port| port > 0) => continue,
            Some((_, port)) => format!("`{port}` is no port"),
        };
        let mistake = Diagnostic::error("bootstrap-servers", message)
            .label("expected `host:port`, several with commas")
            .help("for example `\"kafka1:9092,kafka2:9092\"`");
        out.push(servers.locate(mistake.at(range)));
    }
}

/// `[log.kafka]`: librdkafka checks the values, here the names that would not do what was meant.
fn kafka_settings(value: &Value<'_>, remote: bool, out: &mut Mistakes) -> BTreeMap<String, String> {
    let entries = value.table("librdkafka's settings by name", out).unwrap_or_default();
    if !remote && !entries.is_empty() {
        let idle = value.mistake("no-effect", "`[log.kafka]` has no effect");
        let idle = Diagnostic { severity: Severity::Warning, ..idle };
        out.push(
            idle.label("the log is the embedded one")
                .help("add `bootstrap_servers = \"host:9092\"` to `[log]`"),
        );
    }
    let mut settings = BTreeMap::new();
    for entry in entries {
        setting(&under(&value.key, entry), String::new(), &mut settings, out);
    }
    settings
}

/// One setting; `kafka.security.protocol` without quotes is a table in a table, and means the same.
fn setting(value: &Value<'_>, prefix: String, settings: &mut BTreeMap<String, String>, out: &mut Mistakes) {
    let name = prefix + value.name.as_str();
    if let Kind::Table(entries) = &value.node.kind {
        for entry in entries {
            setting(&under(&value.key, entry), format!("{name}."), settings, out);
        }
        return;
    }
    let text = match &value.node.kind {
        Kind::Integer(number) => number.to_string(),
        Kind::Float(number) => number.to_string(),
        Kind::Bool(value) => value.to_string(),
        _ => match value.text(out) {
            Some(text) => text.as_str().to_owned(),
            None => return,
        },
    };
    let mistake = |severity: Severity, code: &'static str, message: String| {
        let mut mistake = Diagnostic { severity, ..Diagnostic::error(code, message) }.key(value.key.clone());
        mistake.span = Some(value.name.span.clone());
        mistake
    };
    if let Some((_, instead)) = kafka_names::OWNED.iter().find(|(owned, _)| *owned == name) {
        let owned = mistake(Severity::Error, "kafka-setting", format!("`{name}` is set by Millstream"));
        out.push(owned.label("expected a setting of the connection").help(*instead));
    } else if !kafka_names::KNOWN.contains(&&*name)
        && let Some(right) = nearest(&name, kafka_names::KNOWN.iter().copied())
    {
        let unknown =
            mistake(Severity::Error, "kafka-setting", format!("librdkafka has no setting `{name}`"));
        out.push(unknown.label("expected a name of librdkafka's").help(format!("did you mean `{right}`?")));
    }
    settings.insert(name, text);
}

/// Reads `[http]`; the default where there is none.
pub(crate) fn http(value: Option<&Value<'_>>, out: &mut Mistakes) -> Option<Listener> {
    let Some(value) = value else { return Some(Listener { address: HTTP, span: None }) };
    let section = Section::open(value, &keys::HTTP, out)?;
    listener(section, HTTP, out)
}

fn listener(mut section: Section<'_>, default: SocketAddr, out: &mut Mistakes) -> Option<Listener> {
    let listen = section.take("listen").and_then(|value| value.text(out));
    let insecure = section.take("insecure").and_then(|value| value.boolean(out));
    let key = section.key.clone();
    section.finish(out);
    let off = listen.as_ref().is_some_and(|listen| key == "http" && listen.as_str() == "off");
    let Some(listen) = listen else { return Some(Listener { address: default, span: None }) };
    if off {
        return None;
    }
    let address = address(&listen, out)?;
    let allowed = insecure.as_ref().is_some_and(|insecure| insecure.value);
    if !address.value.ip().is_loopback() && !allowed {
        let message =
            format!("`{}` can be reached from other machines, without sign-in or encryption", address.value);
        out.push(
            listen
                .error("insecure", message)
                .label("expected an address of this machine alone, such as `127.0.0.1`")
                .help(format!(
                    "listen on `\"127.0.0.1:{}\"`, or add `insecure = true`",
                    address.value.port()
                )),
        );
    } else if let Some(insecure) = insecure.filter(|i| i.value && address.value.ip().is_loopback()) {
        let idle = insecure
            .warning("no-effect", "`insecure` has no effect")
            .label("only this machine can reach the address");
        out.push(idle.help("remove it"));
    }
    Some(Listener { address: address.value, span: Some(listen.span) })
}

/// Reads an address to listen on.
pub(crate) fn address(text: &Said<Text>, out: &mut Mistakes) -> Option<Said<SocketAddr>> {
    address_from(text, 0, out)
}

/// Reads an address to listen on, which begins at `at` in the text.
pub(crate) fn address_from(text: &Said<Text>, at: usize, out: &mut Mistakes) -> Option<Said<SocketAddr>> {
    let given = text.as_str().get(at..).unwrap_or_default();
    let resolved = match given.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => given.to_owned(),
    };
    if let Ok(address) = resolved.parse() {
        return Some(text.with(address));
    }
    let port = given.rsplit(':').next().filter(|port| port.parse::<u16>().is_ok()).unwrap_or("8080");
    let help = match given.rsplit_once(':') {
        None if given.parse::<IpAddr>().is_ok() => format!("with its port: `\"{given}:{port}\"`"),
        Some(("" | "*", _)) => {
            format!("`\"127.0.0.1:{port}\"` for this machine, `\"0.0.0.0:{port}\"` for all others too")
        }
        _ => format!("for example `\"127.0.0.1:{port}\"`"),
    };
    let mistake = Diagnostic::error("listen", format!("`{}` is no address to listen on", text.value.shown()))
        .label("expected an IP address and a port from 0 to 65535")
        .help(help);
    out.push(text.locate(mistake));
    None
}

/// Two listeners on one port.
pub(crate) fn check_ports(listeners: &[(&str, String, SocketAddr, Option<Span>)], out: &mut Mistakes) {
    for (index, (what, key, address, span)) in listeners.iter().enumerate() {
        // Simulators of devices behind one gateway share a port, by their unit ids.
        let clash =
            listeners.iter().take(index).filter(|(other, ..)| other != what).find(|(_, _, other, _)| {
                let everywhere = address.ip().is_unspecified() || other.ip().is_unspecified();
                other.port() == address.port()
                    && address.port() != 0
                    && (everywhere || other.ip() == address.ip())
            });
        let Some((other, _, _, other_span)) = clash else { continue };
        let message = format!("{what} and {other} listen on the same port {}", address.port());
        let next = address.port().checked_add(1).unwrap_or(8081);
        let mut mistake = Diagnostic::error("port-clash", message)
            .label("expected a port of its own")
            .key(key.clone())
            .help(format!("for example port `{next}`"));
        let (place, explains) = match (span, other_span) {
            (Some(span), other) => (Some(span), other.as_ref()),
            (None, other) => (other.as_ref(), None),
        };
        mistake.span = place.cloned();
        if let Some(other_place) = explains {
            mistake = mistake.also(other_place.clone(), (*other).to_owned());
        }
        out.push(mistake);
    }
}
