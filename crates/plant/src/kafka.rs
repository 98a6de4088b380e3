//! `[kafka]`: listeners, who may use them, and limits.

mod limits;
mod settings;

use crate::keys;
use crate::said::under;
use crate::section::{Mistakes, Said, Section};
use crate::settings::address_from;
use crate::text::Text;
use crate::tree::{Kind, Node};
use crate::value::Value;
use millstream_model::{Diagnostic, Severity, Span, nearest};

pub use self::settings::{
    KafkaClientAuthentication, KafkaGroups, KafkaLimits, KafkaListener, KafkaMechanism, KafkaProtocol,
    KafkaQuota, KafkaSettings, KafkaTls, KafkaUser,
};

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9092);
const PROTOCOLS: [(&str, KafkaProtocol); 4] = [
    ("PLAINTEXT", KafkaProtocol::Plaintext),
    ("SSL", KafkaProtocol::Ssl),
    ("SASL_PLAINTEXT", KafkaProtocol::SaslPlaintext),
    ("SASL_SSL", KafkaProtocol::SaslSsl),
];
const MECHANISMS: [(&str, KafkaMechanism); 3] = [
    ("PLAIN", KafkaMechanism::Plain),
    ("SCRAM-SHA-256", KafkaMechanism::ScramSha256),
    ("SCRAM-SHA-512", KafkaMechanism::ScramSha512),
];
const CLIENT_AUTHENTICATIONS: [(&str, KafkaClientAuthentication); 3] = [
    ("none", KafkaClientAuthentication::None),
    ("requested", KafkaClientAuthentication::Requested),
    ("required", KafkaClientAuthentication::Required),
];

/// A listener as it was said.
struct Listening {
    address: SocketAddr,
    protocol: KafkaProtocol,
    span: Option<Span>,
    said: Option<Said<Text>>,
}

/// Reads `[kafka]`; `None` where there is none.
pub(crate) fn read(value: Option<&Value<'_>>, folder: &Path, out: &mut Mistakes) -> Option<KafkaSettings> {
    let mut section = Section::open(value?, &keys::KAFKA, out)?;
    let protocol = section.take("security_protocol").and_then(|value| value.one_of(&PROTOCOLS, out));
    let protocol = protocol.map(|said| said.value).unwrap_or_default();
    let listening = listening(section.take("listen"), protocol, out);
    let advertised = section.take("advertise").map(|value| advertised(&value, out)).unwrap_or_default();
    check_advertised(&advertised, &listening, out);
    let tls = tls(&mut section, folder, listening.iter().any(|l| l.protocol.is_tls()), out);
    let mut settings = KafkaSettings { tls, ..KafkaSettings::default() };
    let asks = listening.iter().any(|l| l.protocol.is_sasl());
    let insecure = security(&mut section, asks, &mut settings, out);
    check_open(&listening, &settings, insecure.as_ref(), out);
    settings.limits = limits::wire(&mut section, out);
    settings.quotas = limits::quotas(&mut section, out);
    settings.groups = limits::groups(&mut section, out);
    let given = section.take("auto_create_topics").and_then(|value| value.boolean(out));
    settings.auto_create_topics = given.map(|given| given.value);
    let given = section.take("num_partitions").and_then(|value| value.integer(1..=1_024, out));
    settings.num_partitions = given.and_then(|given| i32::try_from(given.value).ok());
    section.finish(out);
    let listener = |listening: &Listening| KafkaListener {
        listen: listening.address,
        advertise: advertise_of(listening, &advertised),
        protocol: listening.protocol,
        span: listening.span.clone(),
    };
    settings.listeners = listening.iter().map(listener).collect();
    Some(settings)
}

/// The texts of a list, or the one that stands there alone.
fn texts(value: &Value<'_>, expected: &str, out: &mut Mistakes) -> Vec<Said<Text>> {
    let Kind::Array(items) = &value.node.kind else { return value.text(out).into_iter().collect() };
    if items.is_empty() {
        out.push(
            value
                .mistake("empty-list", format!("`{}` is empty", value.name.shown()))
                .label(format!("expected {expected}"))
                .help("add one, or remove the key"),
        );
    }
    let item = |node: &Node| Value { node, name: value.name, key: value.key.clone() }.text(out);
    items.iter().filter_map(item).collect()
}

fn listening(value: Option<Value<'_>>, default: KafkaProtocol, out: &mut Mistakes) -> Vec<Listening> {
    let Some(value) = value else {
        return vec![Listening { address: LISTEN, protocol: default, span: None, said: None }];
    };
    let said = texts(&value, "an address and a port", out);
    let all: Vec<Listening> = said.into_iter().filter_map(|said| one_listening(said, default, out)).collect();
    for (index, one) in all.iter().enumerate() {
        let is_taken = |other: &Listening| {
            let everywhere = other.address.ip().is_unspecified() || one.address.ip().is_unspecified();
            other.address.port() == one.address.port()
                && one.address.port() != 0
                && (everywhere || other.address.ip() == one.address.ip())
        };
        if all.iter().take(index).any(is_taken)
            && let Some(said) = &one.said
        {
            let port = one.address.port();
            let mistake =
                said.error("port-clash", format!("two Kafka listeners listen on the same port {port}"));
            let next = port.checked_add(1).unwrap_or(9_093);
            out.push(mistake.label("expected a port of its own").help(format!("for example port `{next}`")));
        }
    }
    all
}

fn one_listening(said: Said<Text>, default: KafkaProtocol, out: &mut Mistakes) -> Option<Listening> {
    let (protocol, at) = protocol_of(&said, out)?;
    let address = address_from(&said, at, out)?;
    Some(Listening {
        address: address.value,
        protocol: protocol.unwrap_or(default),
        span: Some(said.span.clone()),
        said: Some(said),
    })
}

/// The protocol in front of `://`, and where the rest begins. `None` where it is no protocol.
fn protocol_of(said: &Said<Text>, out: &mut Mistakes) -> Option<(Option<KafkaProtocol>, usize)> {
    let Some((name, _)) = said.as_str().split_once("://") else { return Some((None, 0)) };
    // In any case, as Kafka takes it.
    let known = PROTOCOLS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    if let Some((_, protocol)) = known {
        return Some((Some(*protocol), name.len() + 3));
    }
    let names = PROTOCOLS.map(|(name, _)| name);
    let mistake = Diagnostic::error("security-protocol", format!("`{name}` is no security protocol"))
        .label("expected PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL")
        .help(match nearest(&name.to_ascii_uppercase(), names) {
            Some(right) => format!("did you mean `{right}`?"),
            None => "for example `\"SASL_SSL://0.0.0.0:9093\"`".to_owned(),
        });
    out.push(said.locate(mistake.at(0..name.len())));
    None
}

/// What clients are told, for which protocol.
type Advertised = (Said<Text>, Option<KafkaProtocol>, (String, u16));

fn advertised(value: &Value<'_>, out: &mut Mistakes) -> Vec<Advertised> {
    let said = texts(value, "a host and a port", out);
    let one = |said: Said<Text>| {
        let (protocol, at) = protocol_of(&said, out)?;
        let rest = said.as_str().get(at..).unwrap_or_default();
        let split = rest.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
        let message = match split {
            Some((host, port)) if !host.is_empty() && port > 0 && !host.contains(['/', ' ', ',']) => {
                let anywhere =
                    host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
                if !anywhere {
                    let host = host.trim_matches(['[', ']']).to_owned();
                    return Some((said, protocol, (host, port)));
                }
                format!("no client can connect to `{host}`")
            }
            _ => format!("`{rest}` is no host with a port"),
        };
        let end = said.as_str().len();
        let mistake = Diagnostic::error("advertise", message).label("expected `host:port`");
        out.push(said.locate(mistake.at(at..end).help("for example `\"broker.plant.local:9092\"`")));
        None
    };
    said.into_iter().filter_map(one).collect()
}

fn advertise_of(listening: &Listening, advertised: &[Advertised]) -> Option<(String, u16)> {
    let fits =
        |(_, protocol, _): &&Advertised| protocol.is_none_or(|protocol| protocol == listening.protocol);
    advertised.iter().find(fits).map(|(_, _, place)| place.clone())
}

fn check_advertised(advertised: &[Advertised], listening: &[Listening], out: &mut Mistakes) {
    for (index, (said, protocol, _)) in advertised.iter().enumerate() {
        let problem = match protocol {
            None if listening.len() > 1 || advertised.len() > 1 => {
                Some(("there are several: which listener is meant?", "a protocol in front"))
            }
            Some(protocol) if listening.iter().all(|listening| listening.protocol != *protocol) => {
                Some(("no listener has this protocol", "the protocol of a listener"))
            }
            Some(protocol)
                if advertised.iter().take(index).any(|(_, other, _)| *other == Some(*protocol)) =>
            {
                Some(("the protocol is there twice", "each protocol once"))
            }
            _ => None,
        };
        if let Some((what, expected)) = problem {
            let mistake = said.error("advertise", format!("`{}`: {what}", said.value.shown()));
            out.push(
                mistake
                    .label(format!("expected {expected}"))
                    .help("for example `\"SASL_SSL://broker.plant.local:9093\"`"),
            );
        }
    }
}

/// A file that must be there.
fn file(said: &Said<Text>, folder: &Path, what: &str, out: &mut Mistakes) -> PathBuf {
    let path = folder.join(said.as_str());
    if !path.is_file() {
        let mistake = said.error("missing-file", format!("there is no file `{}`", path.display()));
        out.push(
            mistake.label(format!("expected {what}, PEM")).help("a relative path starts at the plant folder"),
        );
    }
    path
}

/// The keys `tls_…`; `None` where no listener speaks TLS.
fn tls(section: &mut Section<'_>, folder: &Path, is_spoken: bool, out: &mut Mistakes) -> Option<KafkaTls> {
    let mut path = |name: &'static str, what: &str, out: &mut Mistakes| {
        let said = section.take(name).and_then(|value| value.text(out))?;
        let path = file(&said, folder, what, out);
        Some((said, path))
    };
    let certificate = path("tls_certificate", "the certificate with its chain", out);
    let key = path("tls_key", "the private key", out);
    let authorities = path("tls_client_authorities", "the certificates of the authorities", out);
    let names = section.take("tls_names").map(|value| (value.clone(), texts(&value, "a name", out)));
    let clients = section.take("tls_client_authentication");
    let clients = clients.and_then(|value| value.one_of(&CLIENT_AUTHENTICATIONS, out));
    let mapping = section.take("principal_mapping").and_then(|value| value.text(out));
    if !is_spoken {
        let given = [certificate.as_ref(), key.as_ref(), authorities.as_ref()].into_iter().flatten();
        let first = given.map(|(said, _)| said.warning("no-effect", "it has no effect")).next();
        let first =
            first.or_else(|| clients.as_ref().map(|said| said.warning("no-effect", "it has no effect")));
        if let Some(idle) = first {
            out.push(
                idle.label("no listener speaks TLS")
                    .help("for example `listen = \"SASL_SSL://127.0.0.1:9093\"`"),
            );
        }
        return None;
    }
    let authentication = clients.as_ref().map(|said| said.value).unwrap_or_default();
    if let Some(said) = clients.filter(|said| said.value != KafkaClientAuthentication::None)
        && authorities.is_none()
    {
        let mistake = said.error("missing-authorities", "nobody says whose certificates are good");
        out.push(
            mistake
                .label("needs `tls_client_authorities`")
                .help("add `tls_client_authorities = \"tls/clients-ca.pem\"`"),
        );
    }
    let (certificate, names) = certificate_of(certificate, key, names, out)?;
    let principal_mapping = mapping.and_then(|said| principal_rules(&said, out));
    let client_authorities = authorities.map(|(_, path)| path);
    Some(KafkaTls {
        certificate,
        names,
        client_authentication: authentication,
        client_authorities,
        principal_mapping,
    })
}

type SaidFile = (Said<Text>, PathBuf);
/// What a listener shows: files of a certificate and its key, or names for one that is made.
type Shown = (Option<(PathBuf, PathBuf)>, Vec<String>);

/// The files of the certificate and its key, and the names for one that is made where there is neither.
fn certificate_of(
    certificate: Option<SaidFile>,
    key: Option<SaidFile>,
    names: Option<(Value<'_>, Vec<Said<Text>>)>,
    out: &mut Mistakes,
) -> Option<Shown> {
    Some(match (certificate, key) {
        (Some((said, certificate)), Some((_, key))) => {
            if let Some((value, _)) = names {
                let idle = said.with(()).warning("no-effect", "`tls_names` has no effect");
                let idle =
                    Diagnostic { span: Some(value.node.span.clone()), key: Some(value.key.clone()), ..idle };
                out.push(idle.label("the names are those in `tls_certificate`").help("remove it"));
            }
            (Some((certificate, key)), Vec::new())
        }
        (Some((said, _)), None) => {
            let mistake =
                said.error("missing-key-file", "a certificate is of no use without its private key");
            out.push(mistake.label("needs `tls_key`").help("add `tls_key = \"tls/broker-key.pem\"`"));
            return None;
        }
        (None, Some((said, _))) => {
            let mistake =
                said.error("missing-certificate", "a private key is of no use without its certificate");
            out.push(
                mistake.label("needs `tls_certificate`").help("add `tls_certificate = \"tls/broker.pem\"`"),
            );
            return None;
        }
        (None, None) => {
            let names = names.map(|(_, names)| names).unwrap_or_default();
            (None, names.iter().map(|name| name.as_str().to_owned()).collect())
        }
    })
}

/// Rules with commas between them: `DEFAULT`, or `RULE:pattern/replacement/` with `L` or `U` behind it or not. Whether a pattern is
/// a regular expression shows when the broker reads it.
fn principal_rules(said: &Said<Text>, out: &mut Mistakes) -> Option<String> {
    let mut rest = said.as_str().trim();
    loop {
        let after = rest.strip_prefix("DEFAULT").or_else(|| {
            let (pattern, after) = rest.strip_prefix("RULE:")?.split_once('/')?;
            let (_, after) = after.split_once('/')?;
            (!pattern.is_empty()).then(|| after.strip_prefix(['L', 'U']).unwrap_or(after))
        });
        let after = after.map(str::trim_start);
        match after {
            Some("") => return Some(said.as_str().to_owned()),
            Some(more) if more.starts_with(',') => rest = more[1..].trim_start(),
            _ => {
                let shown: String = rest.chars().take(60).collect();
                let mistake = said.error("principal-mapping", format!("`{shown}` is no rule"));
                let help = "for example `\"RULE:^CN=(.*?),.*$/$1/L, DEFAULT\"`";
                out.push(mistake.label("expected rules as in Kafka, with commas").help(help));
                return None;
            }
        }
    }
}

/// Who may sign in and do what. Gives where `insecure` was said.
fn security(
    section: &mut Section<'_>,
    is_asked: bool,
    settings: &mut KafkaSettings,
    out: &mut Mistakes,
) -> Option<Said<bool>> {
    let insecure = section.take("insecure").and_then(|value| value.boolean(out));
    settings.insecure = insecure.as_ref().is_some_and(|said| said.value);
    if let Some(value) = section.take("sasl_mechanisms") {
        let said = texts(&value, "a mechanism", out);
        settings.sasl_mechanisms = Some(said.iter().filter_map(|said| mechanism(said, out)).collect());
        if !is_asked {
            let idle = value.mistake("no-effect", "`sasl_mechanisms` has no effect");
            let idle = Diagnostic { severity: Severity::Warning, ..idle };
            out.push(
                idle.label("no listener asks clients to sign in")
                    .help("for example `listen = \"SASL_SSL://127.0.0.1:9093\"`"),
            );
        }
    }
    if let Some(value) = section.take("users") {
        let entries = value.table("users by name", out).unwrap_or_default();
        settings.users = entries.iter().filter_map(|entry| user(&under(&value.key, entry), out)).collect();
        if !is_asked && !entries.is_empty() {
            let idle = value.mistake("no-effect", "`users` has no effect");
            let idle = Diagnostic { severity: Severity::Warning, ..idle };
            out.push(
                idle.label("no listener asks clients to sign in")
                    .help("for example `listen = \"SASL_SSL://127.0.0.1:9093\"`"),
            );
        }
    } else if is_asked {
        let message = "clients must sign in, and there are no users";
        let idle = Diagnostic::warning("no-users", message).label("`[kafka.users.NAME]` is missing");
        let help = "add `[kafka.users.line2]` with a `password`, or make users with `kafka-configs` through another listener";
        out.push(crate::section::placed(idle.help(help), &section.span, &section.key));
    }
    if let Some(value) = section.take("super_users") {
        let said = texts(&value, "`User:` and a name", out);
        settings.super_users = said.iter().filter_map(|said| super_user(said, out)).collect();
    }
    if let Some(given) = section.take("allow_everyone_if_no_acl_found").and_then(|value| value.boolean(out)) {
        settings.allow_everyone_if_no_acl_found = Some(given.value);
    }
    let lifetimes = Duration::from_secs(10)..=Duration::from_hours(30 * 24);
    if let Some(given) = section.take("session_lifetime").and_then(|value| value.duration(lifetimes, out)) {
        settings.session_lifetime = Some(given.value);
    }
    insecure
}

fn mechanism(said: &Said<Text>, out: &mut Mistakes) -> Option<KafkaMechanism> {
    let name = said.as_str();
    if let Some((_, mechanism)) = MECHANISMS.iter().find(|(known, _)| *known == name) {
        return Some(*mechanism);
    }
    let message = format!("`{}` is no mechanism that is served", said.value.shown());
    let mistake =
        said.error("sasl-mechanism", message).label("expected PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512");
    out.push(mistake.help(match name.to_ascii_uppercase().as_str() {
        "OAUTHBEARER" | "GSSAPI" => {
            "tokens and tickets are not checked here; for example `\"SCRAM-SHA-512\"`".to_owned()
        }
        upper => match nearest(upper, MECHANISMS.map(|(name, _)| name)) {
            Some(right) => format!("did you mean `\"{right}\"`?"),
            None => "for example `\"SCRAM-SHA-512\"`".to_owned(),
        },
    }));
    None
}

fn user(value: &Value<'_>, out: &mut Mistakes) -> Option<KafkaUser> {
    let mut section = Section::open(value, &keys::KAFKA_USER, out)?;
    let password = section.require("password").and_then(|value| value.text(out));
    section.finish(out);
    let name = value.name.as_str();
    if !is_user_name(name) {
        let mistake = value.mistake("user-name", format!("`{}` cannot be a user", value.name.shown()));
        let mistake = Diagnostic { span: Some(value.name.span.clone()), ..mistake };
        let expected = "expected 1 to 255 characters, no control characters, neither `*` nor `ANONYMOUS`";
        out.push(mistake.label(expected).help("give it another name"));
        return None;
    }
    let password = password?;
    if password.as_str().is_empty() || password.as_str().contains('\0') {
        let mistake =
            password.error("password", format!("the password of `{name}` is empty, or holds a NUL"));
        out.push(mistake.label("expected a password").help("for example `\"${env:LINE2_PASSWORD}\"`"));
        return None;
    }
    Some(KafkaUser { name: name.to_owned(), password: password.as_str().to_owned() })
}

fn super_user(said: &Said<Text>, out: &mut Mistakes) -> Option<String> {
    let text = said.as_str();
    // Who did not sign in has this name in Kafka, and on a loopback listener that may be everyone.
    let is_one = |name: &str| name == "ANONYMOUS" || is_user_name(name);
    if text.strip_prefix("User:").is_some_and(is_one) {
        return Some(text.to_owned());
    }
    let mistake = said.error("super-user", format!("`{}` is no super user", said.value.shown()));
    out.push(mistake.label("expected `User:` and a name").help(if text.contains(':') {
        "for example `\"User:admin\"`".to_owned()
    } else {
        format!("for example `\"User:{text}\"`")
    }));
    None
}

/// As the broker takes users: `*` means everyone in ACLs, `ANONYMOUS` whoever did not sign in.
fn is_user_name(name: &str) -> bool {
    let good = (1..=255).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    good && name != "*" && name != "ANONYMOUS"
}

/// Refuses a door that is open to the network, unless it was said so.
fn check_open(
    listening: &[Listening],
    settings: &KafkaSettings,
    insecure: Option<&Said<bool>>,
    out: &mut Mistakes,
) {
    let tls = settings.tls.as_ref();
    let is_plain = settings.sasl_mechanisms.iter().flatten().any(|one| *one == KafkaMechanism::Plain);
    let mut is_needed = false;
    for Listening { address, protocol, said, .. } in listening {
        let certified = protocol.is_tls()
            && tls.is_some_and(|tls| tls.client_authentication == KafkaClientAuthentication::Required);
        let signs_in = protocol.is_sasl() || certified;
        let readable = *protocol == KafkaProtocol::SaslPlaintext && is_plain;
        if address.ip().is_loopback() || (signs_in && !readable) {
            continue;
        }
        is_needed = true;
        let Some(said) = said.as_ref().filter(|_| !settings.insecure) else { continue };
        let port = address.port();
        if readable {
            let message = format!("passwords would come to `{address}` unencrypted, for anyone to read");
            let mistake =
                said.error("insecure", message).label("expected TLS, or a mechanism that hides passwords");
            out.push(mistake.help("listen on `SASL_SSL://…`, or take `sasl_mechanisms = [\"SCRAM-SHA-512\"]`, or add `insecure = true`"));
        } else {
            let how = if protocol.is_tls() { "sign-in" } else { "sign-in or encryption" };
            let message = format!("`{address}` can be reached from other machines, without {how}");
            let mistake = said
                .error("insecure", message)
                .label("expected an address of this machine alone, such as `127.0.0.1`, or a sign-in");
            out.push(mistake.help(format!(
                "listen on `\"127.0.0.1:{port}\"` or `\"SASL_SSL://{address}\"` with users, or add `insecure = true`"
            )));
        }
    }
    if let Some(insecure) = insecure.filter(|insecure| insecure.value && !is_needed) {
        let idle = insecure.warning("no-effect", "`insecure` has no effect");
        out.push(idle.label("no listener needs it").help("remove it"));
    }
}
