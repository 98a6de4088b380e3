//! Users and their passwords: those of the settings, and the SCRAM credentials that clients have made.

use crate::coordinate::cluster::ClusterRecords;
use crate::error::unavailable;
use crate::wire::limits;
use crate::wire::scram::{Credential, Hash, ITERATIONS};
use crate::wire::security::{Password, SecurityConfig};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use kafka_protocol::ResponseError;
use millstream_bus::BusError;
use parking_lot::RwLock;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use subtle::ConstantTimeEq;
use tokio::sync::{Mutex, OnceCell};

/// Cluster records of credentials: `scram/<mechanism>/<user>`.
const PREFIX: &str = "scram/";
/// Cluster record of the secret that salts are made with.
const SECRET: &str = "scram.secret";

type Credentials = BTreeMap<(String, Hash), Credential>;

/// Everyone who may sign in.
pub(crate) struct Users {
    configured: BTreeMap<String, Password>,
    /// SCRAM credentials of the configured users, made beside everything else after the start.
    derived: OnceCell<Credentials>,
    stored: RwLock<Credentials>,
    /// Held from before a credential is written until it shows.
    writing: Arc<Mutex<()>>,
    secret: Vec<u8>,
}

impl fmt::Debug for Users {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (configured, stored) = (self.configured.len(), self.stored.read().len());
        write!(formatter, "Users({configured} configured, {stored} stored credentials)")
    }
}

/// A change of a stored credential.
pub(crate) struct Change {
    pub(crate) user: String,
    pub(crate) hash: Hash,
    /// `None` deletes it.
    pub(crate) credential: Option<Credential>,
}

impl Users {
    pub(crate) async fn open(cluster: &ClusterRecords, config: &SecurityConfig) -> Result<Self, BusError> {
        let known = cluster.get(SECRET).and_then(|value| BASE64.decode(value.as_str()?).ok());
        let secret = if let Some(secret) = known.filter(|secret| secret.len() == 32) {
            secret
        } else {
            let secret = random::<32>()?.to_vec();
            cluster.put(SECRET, Some(Value::String(BASE64.encode(&secret)))).await?;
            secret
        };
        let mut stored = Credentials::new();
        for (key, value) in cluster.list(PREFIX) {
            if let Some((name, credential)) = parse(&key, &value) {
                stored.insert(name, credential);
            } else {
                // Whoever has it cannot sign in: never the other way.
                tracing::error!(key, "a damaged SCRAM credential is passed over; set it again");
            }
        }
        let users = config.users.iter().map(|user| (user.name.clone(), user.password.clone()));
        Ok(Self {
            configured: users.collect(),
            derived: OnceCell::new(),
            stored: RwLock::new(stored),
            writing: Arc::default(),
            secret,
        })
    }

    /// Whether the name and password are those of a configured user. Takes as long for a wrong one as for a right one.
    pub(crate) fn check_password(&self, user: &str, password: &[u8]) -> bool {
        let known = self.configured.get(user);
        let expected = known.map_or(&self.secret[..], Password::as_bytes);
        // Of equal length whatever the passwords are.
        let given = Hash::Sha256.hmac(&self.secret, password);
        let is_equal = given.ct_eq(&Hash::Sha256.hmac(&self.secret, expected));
        bool::from(is_equal) & known.is_some()
    }

    /// The credential of a user; one that no proof fits where there is no such user, which cannot be told from others.
    pub(crate) async fn credential(&self, user: &str, hash: Hash) -> Credential {
        let derived = self.derived().await;
        let name = (user.to_owned(), hash);
        let known = derived.get(&name).cloned().or_else(|| self.stored.read().get(&name).cloned());
        // Made for everyone, so that it takes as long for those who are there.
        let salted = hash.hmac(&[self.secret.as_slice(), b"nobody"].concat(), user.as_bytes());
        let nobody =
            Credential::of_salted_password(hash, &salted, self.salt(user, hash), *ITERATIONS.start());
        known.unwrap_or(nobody)
    }

    /// Makes the credentials of the configured users unless they are made. Takes milliseconds for each.
    pub(crate) async fn derived(&self) -> &Credentials {
        let derive = || async {
            let users = self
                .configured
                .iter()
                .flat_map(|(name, password)| Hash::ALL.map(|hash| (name, password, hash)));
            let users: Vec<_> = users
                .map(|(name, password, hash)| (name.clone(), password.clone(), hash, self.salt(name, hash)))
                .collect();
            let derived = tokio::task::spawn_blocking(move || {
                let credential = |(name, password, hash, salt): (String, Password, Hash, Vec<u8>)| {
                    let credential =
                        Credential::of_password(hash, password.as_bytes(), salt, *ITERATIONS.start());
                    ((name, hash), credential)
                };
                users.into_iter().map(credential).collect()
            });
            // It fails at shutdown only.
            derived.await.unwrap_or_default()
        };
        self.derived.get_or_init(derive).await
    }

    /// A salt that looks like those that Kafka's tools make, and is the same at every start.
    fn salt(&self, user: &str, hash: Hash) -> Vec<u8> {
        const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        let seed = Hash::Sha256.hmac(&self.secret, format!("{} {user}", hash.mechanism()).as_bytes());
        seed.iter().take(26).map(|byte| DIGITS[usize::from(*byte) % DIGITS.len()]).collect()
    }

    /// All SCRAM credentials: user, hash, iterations.
    pub(crate) async fn list(&self) -> Vec<(String, Hash, u32)> {
        fn iterations((name, credential): (&(String, Hash), &Credential)) -> ((String, Hash), u32) {
            (name.clone(), credential.iterations)
        }
        let derived = self.derived().await;
        let mut all: BTreeMap<(String, Hash), u32> = self.stored.read().iter().map(iterations).collect();
        all.extend(derived.iter().map(iterations));
        all.into_iter().map(|((user, hash), iterations)| (user, hash, iterations)).collect()
    }

    /// Whether the settings have the user, whose credentials are theirs then.
    pub(crate) fn is_configured(&self, user: &str) -> bool {
        self.configured.contains_key(user)
    }

    /// Makes a change durable, then lets it count.
    pub(crate) async fn alter(&self, cluster: &ClusterRecords, change: Change) -> Result<(), ResponseError> {
        let _writing = self.writing.lock().await;
        let Change { user, hash, credential } = change;
        let name = (user, hash);
        let is_known = self.stored.read().contains_key(&name);
        if credential.is_none() && !is_known {
            return Err(ResponseError::ResourceNotFound);
        }
        if !is_known && self.stored.read().len() >= limits::SCRAM_CREDENTIALS {
            return Err(ResponseError::PolicyViolation);
        }
        let value = credential.as_ref().map(to_json);
        let key = format!("{PREFIX}{}/{}", hash.mechanism(), name.0);
        if let Err(error) = cluster.put(&key, value).await {
            tracing::error!(user = name.0, %error, "a SCRAM credential could not be kept");
            return Err(ResponseError::KafkaStorageError);
        }
        let mut stored = self.stored.write();
        match credential {
            Some(credential) => stored.insert(name, credential),
            None => stored.remove(&name),
        };
        Ok(())
    }
}

/// Random bytes from the system.
pub(crate) fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], BusError> {
    let mut bytes = [0; LENGTH];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map(|()| bytes).map_err(|_| unavailable("the system has no random numbers"))
}

fn to_json(credential: &Credential) -> Value {
    json!({
        "salt": BASE64.encode(&credential.salt),
        "stored_key": BASE64.encode(&credential.stored_key),
        "server_key": BASE64.encode(&credential.server_key),
        "iterations": credential.iterations,
    })
}

fn parse(key: &str, value: &Value) -> Option<((String, Hash), Credential)> {
    let (mechanism, user) = key.strip_prefix(PREFIX)?.split_once('/')?;
    let hash = Hash::ALL.into_iter().find(|hash| hash.mechanism() == mechanism)?;
    let bytes =
        |field: &str| BASE64.decode(value.get(field)?.as_str()?).ok().filter(|bytes| !bytes.is_empty());
    let iterations = u32::try_from(value.get("iterations")?.as_u64()?).ok()?;
    let (stored_key, server_key) = (bytes("stored_key")?, bytes("server_key")?);
    let is_whole = stored_key.len() == server_key.len() && ITERATIONS.contains(&iterations);
    let credential = Credential { salt: bytes("salt")?, stored_key, server_key, iterations };
    (is_whole && !user.is_empty()).then(|| ((user.to_owned(), hash), credential))
}

#[cfg(test)]
mod tests;
