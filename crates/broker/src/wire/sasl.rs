//! Sign-in by SASL: who a connection belongs to, and how far its sign-in has come.

use crate::wire::call::{Broker, Close, Peer, Reply};
use crate::wire::principal::Principal;
use crate::wire::scram::{Challenge, ClientFirst, Hash};
use crate::wire::security::Mechanism;
use crate::wire::users::{Users, random};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiVersionsRequest, SaslAuthenticateRequest, SaslHandshakeRequest};
use kafka_protocol::protocol::Request;
use parking_lot::Mutex;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Who the other side of a connection is. Set once; a later sign-in of the same connection must be the same user's.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    signed: OnceLock<Signed>,
    exchange: Mutex<Exchange>,
    session_end: Mutex<Option<Instant>>,
    is_refused: AtomicBool,
}

#[derive(Debug)]
struct Signed {
    principal: Principal,
    /// As ACLs write it.
    text: String,
    mechanism: Option<Mechanism>,
    is_super: bool,
}

/// How far a sign-in has come.
#[derive(Debug, Default)]
enum Exchange {
    #[default]
    None,
    /// A mechanism was chosen, its first message is awaited.
    Chosen { mechanism: Mechanism, is_raw: bool },
    /// SCRAM's proof is awaited.
    Challenged { mechanism: Mechanism, is_raw: bool, challenge: Box<Challenge> },
}

/// What answers a message of a mechanism.
pub(crate) struct Token {
    pub(crate) bytes: Bytes,
    /// How long the session may last, once the user is signed in.
    pub(crate) session: Option<Duration>,
}

/// Why a sign-in failed: what the client may be told, which is the same for an unknown user and a wrong password.
#[derive(Debug)]
pub(crate) struct Refusal(pub(crate) String);

impl Identity {
    /// One who is known by other means than SASL.
    pub(crate) fn known(principal: Principal, is_super: bool) -> Self {
        let identity = Self::default();
        identity.know(principal, is_super);
        identity
    }

    /// It is known by other means than SASL who it is.
    pub(crate) fn know(&self, principal: Principal, is_super: bool) {
        self.sign(principal, None, is_super);
    }

    fn sign(&self, principal: Principal, mechanism: Option<Mechanism>, is_super: bool) {
        let text = principal.to_string();
        // Only the first one counts: `finish` has compared a later one with it.
        let _ = self.signed.set(Signed { principal, text, mechanism, is_super });
    }

    /// Who it is; `None` before the sign-in.
    pub(crate) fn principal(&self) -> Option<&Principal> {
        self.signed.get().map(|signed| &signed.principal)
    }

    /// The same as ACLs write it.
    pub(crate) fn principal_text(&self) -> Option<&str> {
        self.signed.get().map(|signed| signed.text.as_str())
    }

    pub(crate) fn is_super(&self) -> bool {
        self.signed.get().is_some_and(|signed| signed.is_super)
    }

    pub(crate) fn is_signed_in(&self) -> bool {
        self.signed.get().is_some()
    }

    /// Whether a sign-in failed: the connection is closed after the answer that says so.
    pub(crate) fn is_refused(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
    }

    pub(crate) fn refuse(&self) {
        self.is_refused.store(true, Ordering::Relaxed);
    }

    /// Whether the next frame is a message of the mechanism and no request: after a handshake in version 0.
    pub(crate) fn awaits_token(&self) -> bool {
        let exchange = self.exchange.lock();
        matches!(
            &*exchange,
            Exchange::Chosen { is_raw: true, .. } | Exchange::Challenged { is_raw: true, .. }
        )
    }

    /// Whether a request may be looked at: before the sign-in and during it only those that belong to it, and none but a new
    /// sign-in after the session's end.
    pub(crate) fn admits(&self, api_key: i16) -> Result<(), Close> {
        if self.is_refused() {
            return Err(Close::SignIn("the sign-in failed"));
        }
        if matches!(api_key, SaslHandshakeRequest::KEY | SaslAuthenticateRequest::KEY) {
            return Ok(());
        }
        let is_idle = matches!(*self.exchange.lock(), Exchange::None);
        if !self.is_signed_in() || !is_idle {
            let is_allowed = api_key == ApiVersionsRequest::KEY;
            return if is_allowed { Ok(()) } else { Err(Close::SignIn("a request before the sign-in")) };
        }
        match *self.session_end.lock() {
            Some(end) if end <= Instant::now() => Err(Close::SignIn("the session has ended")),
            _ => Ok(()),
        }
    }

    /// Whether a handshake may begin a sign-in now, by this mechanism.
    pub(crate) fn may_begin(&self, mechanism: Mechanism, can_renew: bool) -> bool {
        let is_idle = matches!(*self.exchange.lock(), Exchange::None);
        is_idle && self.signed.get().is_none_or(|signed| can_renew && signed.mechanism == Some(mechanism))
    }

    /// A sign-in by `mechanism` begins; with `is_raw` its messages come without request headers.
    pub(crate) fn begin(&self, mechanism: Mechanism, is_raw: bool) {
        *self.exchange.lock() = Exchange::Chosen { mechanism, is_raw };
    }

    /// Takes a message of the mechanism. `None` where none was chosen.
    pub(crate) async fn take(&self, broker: &Broker, message: &[u8]) -> Option<Result<Token, Refusal>> {
        let exchange = std::mem::take(&mut *self.exchange.lock());
        let users = &broker.security.users;
        Some(match exchange {
            Exchange::None => return None,
            Exchange::Chosen { mechanism: Mechanism::Plain, .. } => {
                let user = plain(users, message);
                user.and_then(|user| self.finish(broker, Mechanism::Plain, &user, Bytes::new()))
            }
            Exchange::Chosen { mechanism, is_raw } => {
                let challenge = challenge(users, mechanism, message).await;
                challenge.map(|challenge| {
                    let bytes = Bytes::copy_from_slice(challenge.message().as_bytes());
                    let challenge = Box::new(challenge);
                    *self.exchange.lock() = Exchange::Challenged { mechanism, is_raw, challenge };
                    Token { bytes, session: None }
                })
            }
            Exchange::Challenged { mechanism, challenge, .. } => match challenge.finish(message) {
                Ok((user, proof)) => self.finish(broker, mechanism, &user, Bytes::from(proof)),
                Err(error) => Err(invalid(mechanism, &error)),
            },
        })
    }

    fn finish(
        &self,
        broker: &Broker,
        mechanism: Mechanism,
        user: &str,
        bytes: Bytes,
    ) -> Result<Token, Refusal> {
        let Some(principal) = Principal::user(user) else {
            return Err(Refusal("Authentication failed: no user may have this name".to_owned()));
        };
        if let Some(earlier) = self.principal().filter(|earlier| **earlier != principal) {
            let change =
                format!("Cannot change principals during re-authentication from {earlier}: {principal}");
            return Err(Refusal(change));
        }
        let is_super = broker.security.is_super(&principal);
        tracing::debug!(%principal, mechanism = mechanism.name(), "a Kafka client signed in");
        self.sign(principal, Some(mechanism), is_super);
        broker.metrics.sign_ins.accepted.increment();
        let session = broker.config.security.session_lifetime;
        *self.session_end.lock() = session.and_then(|lifetime| Instant::now().checked_add(lifetime));
        Ok(Token { bytes, session })
    }
}

fn invalid(mechanism: Mechanism, error: &dyn std::error::Error) -> Refusal {
    tracing::debug!(%error, mechanism = mechanism.name(), "a sign-in failed");
    let name = mechanism.name();
    Refusal(format!(
        "Authentication failed during authentication due to invalid credentials with SASL mechanism {name}"
    ))
}

/// RFC 4616: `[authzid] NUL authcid NUL passwd`. Gives the user.
fn plain(users: &Users, message: &[u8]) -> Result<String, Refusal> {
    let invalid = || Refusal("Authentication failed: Invalid username or password".to_owned());
    let parts: Vec<&[u8]> = message.splitn(4, |byte| *byte == 0).collect();
    let [authorization, user, password] = parts[..] else {
        return Err(Refusal("Invalid SASL/PLAIN response: expected 3 tokens".to_owned()));
    };
    let user = std::str::from_utf8(user).map_err(|_| invalid())?;
    if user.is_empty() || password.is_empty() {
        return Err(Refusal("Authentication failed: username or password not specified".to_owned()));
    }
    if !users.check_password(user, password) {
        return Err(invalid());
    }
    if !authorization.is_empty() && authorization != user.as_bytes() {
        let other =
            "Authentication failed: Client requested an authorization id that is different from username";
        return Err(Refusal(other.to_owned()));
    }
    Ok(user.to_owned())
}

async fn challenge(users: &Users, mechanism: Mechanism, message: &[u8]) -> Result<Challenge, Refusal> {
    let hash = if mechanism == Mechanism::ScramSha256 { Hash::Sha256 } else { Hash::Sha512 };
    let first = ClientFirst::parse(message).map_err(|error| invalid(mechanism, &error))?;
    let credential = users.credential(&first.user, hash).await;
    let nonce = random::<24>().map_err(|error| invalid(mechanism, &error))?;
    Ok(Challenge::new(hash, first, credential, &BASE64.encode(nonce)))
}

/// Takes a message that came as a frame of its own, and answers it so. As in Kafka, a refusal is a closed connection.
pub(crate) async fn token(broker: &Broker, peer: &Peer, message: &[u8]) -> Result<Reply, Close> {
    let reason = match peer.identity.take(broker, message).await {
        Some(Ok(token)) => {
            let mut frame = BytesMut::with_capacity(4 + token.bytes.len());
            frame.put_u32(u32::try_from(token.bytes.len()).unwrap_or(u32::MAX));
            frame.extend_from_slice(&token.bytes);
            return Ok(Reply::Now(frame.freeze()));
        }
        Some(Err(refusal)) => refusal.0,
        None => "no mechanism was chosen".to_owned(),
    };
    peer.identity.refuse();
    broker.metrics.sign_ins.refuse(peer.address, &reason);
    sleep(broker.config.security.failed_authentication_delay).await;
    Err(Close::SignIn("the sign-in failed"))
}
