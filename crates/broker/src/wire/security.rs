//! The security settings: protocols, users, TLS material; and what must not be started.

use crate::wire::listener::WireConfig;
use crate::wire::principal::{ANONYMOUS, PrincipalRules, is_user_name};
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use thiserror::Error;

/// What a listener speaks (`listener.security.protocol.map`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SecurityProtocol {
    /// No encryption, no sign-in.
    #[default]
    Plaintext,
    /// TLS; a client is known by its certificate.
    Ssl,
    /// Sign-in by name and password, no encryption.
    SaslPlaintext,
    /// Sign-in by name and password, inside TLS.
    SaslSsl,
}

impl SecurityProtocol {
    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }

    /// Whether clients sign in by SASL.
    pub fn is_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }

    /// Whether the connection is encrypted.
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }
}

impl FromStr for SecurityProtocol {
    type Err = SecurityError;

    /// Kafka's names, in any case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_uppercase().as_str() {
            "PLAINTEXT" => Ok(Self::Plaintext),
            "SSL" => Ok(Self::Ssl),
            "SASL_PLAINTEXT" => Ok(Self::SaslPlaintext),
            "SASL_SSL" => Ok(Self::SaslSsl),
            _ => Err(SecurityError::unknown(
                "security protocol",
                text,
                "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL",
            )),
        }
    }
}

/// Whether clients show a certificate of their own (`ssl.client.auth`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// They are not asked.
    #[default]
    None,
    /// They are asked, and may have none: then they are `User:ANONYMOUS`.
    Requested,
    /// Without a valid one there is no connection.
    Required,
}

impl FromStr for ClientAuthentication {
    type Err = SecurityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "none" => Ok(Self::None),
            "requested" => Ok(Self::Requested),
            "required" => Ok(Self::Required),
            _ => Err(SecurityError::unknown("client authentication", text, "none, requested or required")),
        }
    }
}

/// How a client signs in (`sasl.enabled.mechanisms`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mechanism {
    /// Name and password as they are (RFC 4616). Only inside TLS.
    Plain,
    /// A proof of the password (RFC 5802 with RFC 7677).
    ScramSha256,
    /// The same with a longer hash.
    ScramSha512,
}

impl Mechanism {
    /// Its registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }

    /// All that can be offered.
    pub const ALL: [Self; 3] = [Self::Plain, Self::ScramSha256, Self::ScramSha512];
}

impl FromStr for Mechanism {
    type Err = SecurityError;

    /// Tokens (OAUTHBEARER) and tickets (GSSAPI) are no mechanisms here: asking for them is an error, never an open door.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|mechanism| mechanism.name() == text);
        known.ok_or_else(|| {
            SecurityError::unknown("SASL mechanism", text, "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
        })
    }
}

/// A password, which is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// A password of a user.
    pub fn new(password: impl Into<String>) -> Self {
        Self(password.into())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[hidden]")
    }
}

/// A user from the settings: may sign in with every mechanism that is enabled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Not empty, without control characters, not `*`.
    pub name: String,
    /// Not empty.
    pub password: Password,
}

/// Where a listener's certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certificate {
    /// PEM files: the certificate with its chain, and its private key. They are read again when they change.
    Files {
        /// The certificate, then those that lead to its authority.
        certificate: PathBuf,
        /// The private key, not encrypted (PKCS#8, PKCS#1 or SEC1).
        key: PathBuf,
    },
    /// One that the broker makes for itself at its first start and keeps: `kafka-certificate.pem` and `kafka-key.pem`. Clients
    /// trust it by having the first of these files.
    Own {
        /// The folder, usually the data directory.
        directory: PathBuf,
        /// Names and addresses that clients connect to, beside `localhost`, `127.0.0.1` and `::1`.
        names: Vec<String>,
    },
}

/// TLS of a listener. Versions 1.2 and 1.3 are spoken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// What the broker shows.
    pub certificate: Certificate,
    /// Whether clients show one too.
    pub client_authentication: ClientAuthentication,
    /// PEM file of the authorities that client certificates must come from. Needed unless `client_authentication` is `None`.
    pub client_authorities: Option<PathBuf>,
    /// How the subject of a client's certificate becomes a user (`ssl.principal.mapping.rules`).
    pub principal_mapping: PrincipalRules,
}

/// The settings that all listeners share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityConfig {
    /// Lets listeners on other addresses than loopback start although anyone may use them, or read the passwords.
    pub insecure: bool,
    /// What clients may sign in with (`sasl.enabled.mechanisms`).
    pub mechanisms: Vec<Mechanism>,
    /// Users with their passwords, which are changed here only. More users are made at run time, with `kafka-configs`.
    pub users: Vec<User>,
    /// Who may do everything (`super.users`): `User:name`. With one or more, everyone else may do what the ACLs say; with none,
    /// whoever signed in may do everything.
    pub super_users: Vec<String>,
    /// Whether everyone may use what no ACL names (`allow.everyone.if.no.acl.found`).
    pub allow_everyone_if_no_acl_found: bool,
    /// A refused sign-in is answered so late, so that guessing is slow (`connection.failed.authentication.delay.ms`).
    pub failed_authentication_delay: Duration,
    /// After this long a client signs in again or loses the connection (`connections.max.reauth.ms`); `None`: never.
    pub session_lifetime: Option<Duration>,
}

impl Default for SecurityConfig {
    fn default() -> Self {
        Self {
            insecure: false,
            mechanisms: vec![Mechanism::ScramSha256, Mechanism::ScramSha512],
            users: Vec::new(),
            super_users: Vec::new(),
            allow_everyone_if_no_acl_found: false,
            failed_authentication_delay: Duration::from_millis(100),
            session_lifetime: None,
        }
    }
}

/// Why the security settings cannot be started with.
#[derive(Debug, Error)]
pub enum SecurityError {
    /// A name that does not exist.
    #[error("there is no {what} `{name}`: take {expected}")]
    Unknown {
        /// What kind of name.
        what: &'static str,
        /// The name.
        name: String,
        /// The names there are.
        expected: &'static str,
    },
    /// A setting that contradicts itself or another.
    #[error("{0}")]
    Setting(String),
    /// A listener that would be open to the network.
    #[error("{0}")]
    Open(String),
    /// A certificate or key that cannot be used.
    #[error("{file}: {problem}")]
    Certificate {
        /// The file.
        file: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
}

impl SecurityError {
    fn unknown(what: &'static str, name: &str, expected: &'static str) -> Self {
        Self::Unknown { what, name: name.to_owned(), expected }
    }
}

/// What is wrong with the settings, before anything listens. Gives warnings for what is allowed and unwise.
pub(crate) fn check(config: &WireConfig) -> Result<Vec<String>, SecurityError> {
    let security = &config.security;
    check_users(security)?;
    let mut warnings = Vec::new();
    for listener in &config.listeners {
        let (address, protocol) = (listener.listen, listener.protocol);
        let setting =
            |problem: &str| SecurityError::Setting(format!("the Kafka listener {address} {problem}"));
        let tls = listener.tls.as_ref().filter(|_| protocol.is_tls());
        if protocol.is_tls() && tls.is_none() {
            return Err(setting("speaks TLS and has no certificate: name a certificate and a key file"));
        }
        let client_authentication = tls.map(|tls| tls.client_authentication).unwrap_or_default();
        if client_authentication != ClientAuthentication::None
            && tls.is_some_and(|tls| tls.client_authorities.is_none())
        {
            return Err(setting("asks clients for certificates: name the file of their authority"));
        }
        if protocol.is_sasl() && security.mechanisms.is_empty() {
            return Err(setting("asks for a sign-in and no mechanism is enabled"));
        }
        let authenticates = protocol.is_sasl() || client_authentication == ClientAuthentication::Required;
        let exposed = !address.ip().is_loopback();
        if exposed && !authenticates && !security.insecure {
            return Err(SecurityError::Open(format!(
                "the Kafka listener {address} would let anyone on the network read, write and delete everything: \
                 listen on 127.0.0.1, or set `security_protocol = \"SASL_SSL\"` and users, \
                 or say `insecure = true` if the network is trusted"
            )));
        }
        let readable = protocol == SecurityProtocol::SaslPlaintext;
        if exposed && readable && security.mechanisms.contains(&Mechanism::Plain) && !security.insecure {
            return Err(SecurityError::Open(format!(
                "the Kafka listener {address} would have passwords sent unencrypted (PLAIN without TLS): \
                 take `security_protocol = \"SASL_SSL\"`, or the mechanism SCRAM-SHA-512, or say `insecure = true`"
            )));
        }
        if exposed && (readable || !authenticates) {
            warnings.push(format!("the Kafka listener {address} is not encrypted, or lets anyone in"));
        }
    }
    Ok(warnings)
}

fn check_users(security: &SecurityConfig) -> Result<(), SecurityError> {
    let mut names = BTreeSet::new();
    for User { name, password } in &security.users {
        if !is_user_name(name) {
            return Err(SecurityError::Setting(format!(
                "{name:?} cannot be a user: a name is 1 to 255 characters, none of them a control character, and neither `*` nor `ANONYMOUS`"
            )));
        }
        if password.0.is_empty() || password.0.contains('\0') {
            return Err(SecurityError::Setting(format!(
                "the password of the user {name:?} is empty or holds a NUL"
            )));
        }
        if !names.insert(name) {
            return Err(SecurityError::Setting(format!("the user {name:?} is there twice")));
        }
    }
    for user in &security.super_users {
        // Whoever did not sign in may be one: on a loopback listener beside others that ask.
        let is_one = |name: &str| name == ANONYMOUS || is_user_name(name);
        if !user.strip_prefix("User:").is_some_and(is_one) {
            return Err(SecurityError::Setting(format!(
                "{user:?} cannot be a super user: write `User:` and the name of one user"
            )));
        }
    }
    Ok(())
}
