//! SCRAM as the server speaks it (RFC 5802, RFC 7677): credentials, messages, and the exchange as a pure state machine.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::{digest, hmac, pbkdf2};
use std::fmt;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use subtle::ConstantTimeEq;
use thiserror::Error;

/// Iterations that a credential may have, as Kafka bounds them: fewer can be guessed, more would be work that a client orders.
pub(crate) const ITERATIONS: RangeInclusive<u32> = 4_096..=16_384;
/// Bytes of a client's nonce.
const NONCE_BYTES: RangeInclusive<usize> = 1..=256;
/// Bytes of a client's message.
const MESSAGE_BYTES: usize = 4_096;

/// The hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Hash {
    Sha256,
    Sha512,
}

impl Hash {
    pub(crate) const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// Kafka's number of the mechanism (`ScramMechanism`).
    pub(crate) const fn code(self) -> i8 {
        match self {
            Self::Sha256 => 1,
            Self::Sha512 => 2,
        }
    }

    pub(crate) fn from_code(code: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|hash| hash.code() == code)
    }

    /// The name of the mechanism.
    pub(crate) const fn mechanism(self) -> &'static str {
        match self {
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha512 => "SCRAM-SHA-512",
        }
    }

    pub(crate) fn hmac(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
        };
        hmac::sign(&hmac::Key::new(algorithm, key), message).as_ref().to_vec()
    }

    fn digest(self, message: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, message).as_ref().to_vec()
    }

    /// `Hi` of RFC 5802. Takes milliseconds.
    fn salted_password(self, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        let (algorithm, length) = match self {
            Self::Sha256 => (pbkdf2::PBKDF2_HMAC_SHA256, 32),
            Self::Sha512 => (pbkdf2::PBKDF2_HMAC_SHA512, 64),
        };
        let mut salted = vec![0; length];
        let iterations = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
        pbkdf2::derive(algorithm, iterations, salt, password, &mut salted);
        salted
    }
}

/// What the server keeps of a password: enough to check a proof, too little to make one.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credential {
    pub(crate) salt: Vec<u8>,
    pub(crate) stored_key: Vec<u8>,
    pub(crate) server_key: Vec<u8>,
    pub(crate) iterations: u32,
}

impl Credential {
    /// Of a password. Takes milliseconds.
    pub(crate) fn of_password(hash: Hash, password: &[u8], salt: Vec<u8>, iterations: u32) -> Self {
        let salted = hash.salted_password(password, &salt, iterations);
        Self::of_salted_password(hash, &salted, salt, iterations)
    }

    /// Of a password that the client has salted itself.
    pub(crate) fn of_salted_password(hash: Hash, salted: &[u8], salt: Vec<u8>, iterations: u32) -> Self {
        let stored_key = hash.digest(&hash.hmac(salted, b"Client Key"));
        Self { salt, stored_key, server_key: hash.hmac(salted, b"Server Key"), iterations }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Credential({} iterations, [hidden])", self.iterations)
    }
}

/// Why an exchange fails.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum ScramError {
    #[error("a message that is not SCRAM's: {0}")]
    Message(&'static str),
    #[error("the client asks to act for another user")]
    AnotherUser,
    #[error("the nonce is not the one that was given")]
    Nonce,
    #[error("the proof of the password is wrong")]
    Proof,
}

/// The first message of a client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientFirst {
    pub(crate) user: String,
    header: String,
    bare: String,
    nonce: String,
}

impl ClientFirst {
    pub(crate) fn parse(message: &[u8]) -> Result<Self, ScramError> {
        let message = text(message)?;
        let mut parts = message.splitn(3, ',');
        let (binding, authorization, bare) = (parts.next(), parts.next(), parts.next());
        let (Some("n" | "y"), Some(authorization), Some(bare)) = (binding, authorization, bare) else {
            return Err(ScramError::Message("its header, or a channel binding"));
        };
        let header = message[..message.len() - bare.len()].to_owned();
        let mut attributes = bare.split(',');
        // An `m=` in front would be an extension that must be understood.
        let name = attributes.next().and_then(|attribute| attribute.strip_prefix("n="));
        let nonce = attributes.next().and_then(|attribute| attribute.strip_prefix("r="));
        let (Some(name), Some(nonce)) = (name, nonce) else {
            return Err(ScramError::Message("the name or the nonce is missing"));
        };
        // `tokenauth=true` names a delegation token instead of a user: there are none.
        if attributes.any(|attribute| attribute.starts_with("tokenauth=") || attribute.starts_with("m=")) {
            return Err(ScramError::Message("an extension that is not known"));
        }
        if !NONCE_BYTES.contains(&nonce.len()) || !nonce.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ScramError::Message("the nonce is empty, too long, or not printable"));
        }
        let user = unescape(name).ok_or(ScramError::Message("the name"))?;
        if !authorization.is_empty() {
            let other = authorization.strip_prefix("a=").and_then(unescape);
            if other.ok_or(ScramError::Message("its header"))? != user {
                return Err(ScramError::AnotherUser);
            }
        }
        Ok(Self { user, header, bare: bare.to_owned(), nonce: nonce.to_owned() })
    }
}

/// A name as SCRAM writes it: `=2C` is a comma, `=3D` an equals sign.
fn unescape(name: &str) -> Option<String> {
    let mut parts = name.split('=');
    let mut unescaped = parts.next()?.to_owned();
    for part in parts {
        if let Some(rest) = part.strip_prefix("2C") {
            unescaped.push(',');
            unescaped.push_str(rest);
        } else {
            unescaped.push('=');
            unescaped.push_str(part.strip_prefix("3D")?);
        }
    }
    (!unescaped.is_empty() && !unescaped.contains('\0')).then_some(unescaped)
}

fn text(message: &[u8]) -> Result<&str, ScramError> {
    if message.len() > MESSAGE_BYTES {
        return Err(ScramError::Message("it is too long"));
    }
    std::str::from_utf8(message).map_err(|_| ScramError::Message("it is no UTF-8"))
}

/// An exchange that awaits the client's proof.
pub(crate) struct Challenge {
    hash: Hash,
    first: ClientFirst,
    credential: Credential,
    server_first: String,
    nonce: String,
}

impl fmt::Debug for Challenge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Challenge({:?}, {:?})", self.hash, self.first.user)
    }
}

impl Challenge {
    /// Answers the first message; `server_nonce` is random and printable, without a comma.
    pub(crate) fn new(hash: Hash, first: ClientFirst, credential: Credential, server_nonce: &str) -> Self {
        let nonce = format!("{}{server_nonce}", first.nonce);
        let salt = BASE64.encode(&credential.salt);
        let server_first = format!("r={nonce},s={salt},i={}", credential.iterations);
        Self { hash, first, credential, server_first, nonce }
    }

    /// The server's first message.
    pub(crate) fn message(&self) -> &str {
        &self.server_first
    }

    /// Checks the client's proof, and gives the user and the server's own proof.
    pub(crate) fn finish(self, message: &[u8]) -> Result<(String, String), ScramError> {
        let message = text(message)?;
        let (without_proof, proof) =
            message.rsplit_once(",p=").ok_or(ScramError::Message("the proof is missing"))?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next().and_then(|attribute| attribute.strip_prefix("c="));
        let nonce = attributes.next().and_then(|attribute| attribute.strip_prefix("r="));
        let (Some(binding), Some(nonce)) = (binding, nonce) else {
            return Err(ScramError::Message("the header or the nonce is missing"));
        };
        if attributes.any(|attribute| attribute.starts_with("m=")) {
            return Err(ScramError::Message("an extension that is not known"));
        }
        let proof = BASE64.decode(proof).map_err(|_| ScramError::Message("the proof is not base64"))?;
        if BASE64.decode(binding).ok().as_deref() != Some(self.first.header.as_bytes()) {
            return Err(ScramError::Message("the header is not that of the first message"));
        }
        // The whole nonce, the client's part and ours: else the messages of another exchange would do.
        if nonce != self.nonce {
            return Err(ScramError::Nonce);
        }
        let signed = format!("{},{},{without_proof}", self.first.bare, self.server_first);
        let signature = self.hash.hmac(&self.credential.stored_key, signed.as_bytes());
        if proof.len() != signature.len() {
            return Err(ScramError::Proof);
        }
        let client_key: Vec<u8> = proof.iter().zip(&signature).map(|(left, right)| left ^ right).collect();
        let is_right = self.hash.digest(&client_key).ct_eq(&self.credential.stored_key);
        if !bool::from(is_right) {
            return Err(ScramError::Proof);
        }
        let server_signature = self.hash.hmac(&self.credential.server_key, signed.as_bytes());
        Ok((self.first.user, format!("v={}", BASE64.encode(server_signature))))
    }
}

#[cfg(test)]
mod tests;
