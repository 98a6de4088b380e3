//! Servers with security, and clients that know how to sign in.

use crate::support::client::{Client, Server};
use crate::support::fresh_dir;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use kafka_protocol::protocol::StrBytes;
use millstream_broker::{
    EmbeddedConfig, ListenerConfig, Mechanism, Password, SecurityConfig, SecurityProtocol, User, WireConfig,
};
use millstream_model::metric::{Collect, Page};
use ring::{digest, hmac, pbkdf2};
use std::num::NonZeroU32;
use std::path::Path;

pub(crate) const ALICE: (&str, &str) = ("alice", "wonder,land=1");
pub(crate) const BOB: (&str, &str) = ("bob", "builder");
pub(crate) const ADMIN: (&str, &str) = ("admin", "admin-secret");

/// Alice, Bob and a super user, and all mechanisms.
pub(crate) fn security() -> SecurityConfig {
    let user =
        |(name, password): (&str, &str)| User { name: name.to_owned(), password: Password::new(password) };
    SecurityConfig {
        mechanisms: Mechanism::ALL.to_vec(),
        users: [ALICE, BOB, ADMIN].map(user).to_vec(),
        super_users: vec!["User:admin".to_owned()],
        ..SecurityConfig::default()
    }
}

/// One listener for SASL without TLS, on loopback.
pub(crate) fn sasl_config(security: SecurityConfig) -> WireConfig {
    let listener = ListenerConfig { protocol: SecurityProtocol::SaslPlaintext, ..ListenerConfig::default() };
    WireConfig { listeners: vec![listener], security, ..WireConfig::default() }
}

pub(crate) async fn sasl_server(security: SecurityConfig) -> Server {
    serve(&fresh_dir("wire_security"), sasl_config(security)).await
}

pub(crate) async fn serve(dir: &Path, config: WireConfig) -> Server {
    Server::with(dir, EmbeddedConfig::default(), config).await
}

/// What the broker has counted under this name.
pub(crate) fn counted(server: &Server, name: &str) -> u64 {
    let mut page = Page::default();
    server.wire.collect(&mut page);
    let page = page.render();
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} in\n{page}")).parse().unwrap()
}

pub(crate) async fn handshake(client: &mut Client, mechanism: &str) -> SaslHandshakeResponse {
    let mechanism = StrBytes::from_string(mechanism.to_owned());
    client.send(1, &SaslHandshakeRequest::default().with_mechanism(mechanism)).await
}

pub(crate) async fn authenticate(client: &mut Client, message: &[u8]) -> SaslAuthenticateResponse {
    let request = SaslAuthenticateRequest::default().with_auth_bytes(message.to_vec().into());
    client.send(2, &request).await
}

/// A PLAIN message.
pub(crate) fn plain(authorization: &str, user: &str, password: &str) -> Vec<u8> {
    format!("{authorization}\0{user}\0{password}").into_bytes()
}

/// Signs in by PLAIN.
pub(crate) async fn sign_in(client: &mut Client, (user, password): (&str, &str)) -> SaslAuthenticateResponse {
    assert_eq!(handshake(client, "PLAIN").await.error_code, 0);
    authenticate(client, &plain("", user, password)).await
}

/// A connection that is signed in.
pub(crate) async fn client_of(server: &Server, user: (&str, &str)) -> Client {
    let mut client = server.client().await;
    let response = sign_in(&mut client, user).await;
    assert_eq!(response.error_code, 0, "{:?}", response.error_message);
    client
}

/// The client's half of SCRAM, after RFC 5802.
#[derive(Debug)]
pub(crate) struct Scram {
    algorithm: hmac::Algorithm,
    pub(crate) mechanism: &'static str,
}

pub(crate) const SCRAM: [fn() -> Scram; 2] = [
    || Scram { algorithm: hmac::HMAC_SHA256, mechanism: "SCRAM-SHA-256" },
    || Scram { algorithm: hmac::HMAC_SHA512, mechanism: "SCRAM-SHA-512" },
];

const BARE: &str = "r=fyko+d2lbbFgONRv9qkxdawL";

impl Scram {
    fn hmac(&self, key: &[u8], message: &[u8]) -> Vec<u8> {
        hmac::sign(&hmac::Key::new(self.algorithm, key), message).as_ref().to_vec()
    }

    pub(crate) fn salted(&self, password: &str, salt: &[u8], iterations: u32) -> Vec<u8> {
        let (algorithm, length) = if self.mechanism == "SCRAM-SHA-256" {
            (pbkdf2::PBKDF2_HMAC_SHA256, 32)
        } else {
            (pbkdf2::PBKDF2_HMAC_SHA512, 64)
        };
        let mut salted = vec![0; length];
        let iterations = NonZeroU32::new(iterations).unwrap();
        pbkdf2::derive(algorithm, iterations, salt, password.as_bytes(), &mut salted);
        salted
    }

    pub(crate) fn first(user: &str) -> String {
        format!("n,,n={},{BARE}", user.replace('=', "=3D").replace(',', "=2C"))
    }

    /// The last message, and the proof that the server must answer with.
    pub(crate) fn last(&self, user: &str, password: &str, challenge: &str) -> (String, String) {
        let part = |key: &str| challenge.split(',').find_map(|part| part.strip_prefix(key)).unwrap();
        let salt = BASE64.decode(part("s=")).unwrap();
        let salted = self.salted(password, &salt, part("i=").parse().unwrap());
        let without_proof = format!("c=biws,r={}", part("r="));
        let first = Self::first(user);
        let signed = format!("{},{challenge},{without_proof}", first.strip_prefix("n,,").unwrap());
        let client_key = self.hmac(&salted, b"Client Key");
        let stored_key = digest::digest(self.algorithm.digest_algorithm(), &client_key);
        let signature = self.hmac(stored_key.as_ref(), signed.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(left, right)| left ^ right).collect();
        let server_key = self.hmac(&salted, b"Server Key");
        let expected = format!("v={}", BASE64.encode(self.hmac(&server_key, signed.as_bytes())));
        (format!("{without_proof},p={}", BASE64.encode(proof)), expected)
    }

    /// Signs in, and checks the server's own proof.
    pub(crate) async fn sign_in(
        &self,
        client: &mut Client,
        user: &str,
        password: &str,
    ) -> Result<(), String> {
        assert_eq!(handshake(client, self.mechanism).await.error_code, 0);
        let challenge = authenticate(client, Self::first(user).as_bytes()).await;
        assert_eq!(challenge.error_code, 0, "{:?}", challenge.error_message);
        let challenge = String::from_utf8(challenge.auth_bytes.to_vec()).unwrap();
        let (last, expected) = self.last(user, password, &challenge);
        let response = authenticate(client, last.as_bytes()).await;
        if response.error_code != 0 {
            assert_eq!(response.error_code, ResponseError::SaslAuthenticationFailed.code());
            return Err(response.error_message.unwrap().to_string());
        }
        assert_eq!(response.auth_bytes, expected.as_bytes());
        Ok(())
    }
}
