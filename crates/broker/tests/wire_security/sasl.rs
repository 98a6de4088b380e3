//! Sign-in by SASL, and what must not pass for one.

use crate::actors::{
    ADMIN, ALICE, BOB, SCRAM, Scram, authenticate, client_of, counted, handshake, plain, sasl_server,
    security, sign_in,
};
use crate::support::client::{Client, frame};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, MetadataRequest, SaslAuthenticateRequest, SaslHandshakeRequest,
};
use kafka_protocol::protocol::StrBytes;
use millstream_broker::{Mechanism, SecurityConfig};
use std::time::{Duration, Instant};

async fn is_served(client: &mut Client) -> bool {
    client.try_send(12, &MetadataRequest::default()).await.is_ok()
}

#[tokio::test]
async fn every_mechanism_lets_in_who_knows_the_password() {
    let server = sasl_server(security()).await;
    let mut client = client_of(&server, ALICE).await;
    assert!(is_served(&mut client).await);
    for scram in SCRAM.map(|scram| scram()) {
        for (user, password) in [ALICE, BOB] {
            let mut client = server.client().await;
            scram.sign_in(&mut client, user, password).await.unwrap();
            assert!(is_served(&mut client).await);
        }
    }
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_look_the_same_and_end_the_connection() {
    let delay = Duration::from_millis(50);
    let server = sasl_server(SecurityConfig { failed_authentication_delay: delay, ..security() }).await;
    let mut said = Vec::new();
    for user in [("alice", "wrong"), ("nobody", "wrong"), ("alice", "wonder,land=12")] {
        let mut client = server.client().await;
        let begun = Instant::now();
        let refused = sign_in(&mut client, user).await;
        assert!(begun.elapsed() >= delay, "each guess takes its time");
        assert_eq!(refused.error_code, ResponseError::SaslAuthenticationFailed.code());
        said.push(refused.error_message.unwrap().to_string());
        assert!(client.read_to_end().await.is_empty());
    }
    assert_eq!(said, [const { "Authentication failed: Invalid username or password" }; 3]);
    for scram in SCRAM.map(|scram| scram()) {
        let mut said = Vec::new();
        for user in ["alice", "nobody"] {
            let mut client = server.client().await;
            said.push(scram.sign_in(&mut client, user, "wrong").await.unwrap_err());
            assert!(client.read_to_end().await.is_empty());
        }
        assert_eq!(said[0], said[1]);
        assert!(!said[0].contains("alice"), "{said:?}");
    }
    client_of(&server, ALICE).await;
    assert_eq!(counted(&server, "millstream_kafka_sign_ins_refused_total"), 3 + 4);
    assert_eq!(counted(&server, "millstream_kafka_sign_ins_total"), 1);
}

#[tokio::test]
async fn an_unknown_user_gets_a_challenge_like_everyone_else() {
    let server = sasl_server(security()).await;
    let challenge = async |user: &str| {
        let mut client = server.client().await;
        assert_eq!(handshake(&mut client, "SCRAM-SHA-256").await.error_code, 0);
        let response = authenticate(&mut client, Scram::first(user).as_bytes()).await;
        let challenge = String::from_utf8(response.auth_bytes.to_vec()).unwrap();
        let (nonce, rest) = challenge.split_once(",s=").unwrap();
        (nonce.to_owned(), rest.to_owned())
    };
    let (known, unknown) = (challenge("alice").await, challenge("nobody").await);
    let again = challenge("nobody").await;
    assert_eq!(unknown.1, again.1, "the salt of a user that is not there stays the same");
    assert_ne!(unknown.0, again.0, "a nonce is used once");
    assert_eq!(known.1.len(), unknown.1.len());
    assert!(known.1.ends_with(",i=4096") && unknown.1.ends_with(",i=4096"), "{known:?} {unknown:?}");
}

/// CVE-2017-12610: a message that names one user to check the password of and another one to act as.
#[tokio::test]
async fn nobody_acts_for_another_user() {
    let server = sasl_server(security()).await;
    let mut client = server.client().await;
    handshake(&mut client, "PLAIN").await;
    let refused = authenticate(&mut client, &plain("admin", BOB.0, BOB.1)).await;
    assert_eq!(refused.error_code, ResponseError::SaslAuthenticationFailed.code());
    assert!(client.read_to_end().await.is_empty());
    let mut client = server.client().await;
    handshake(&mut client, "PLAIN").await;
    assert_eq!(
        authenticate(&mut client, &plain("bob", BOB.0, BOB.1)).await.error_code,
        0,
        "as oneself is fine"
    );
    let mut client = server.client().await;
    handshake(&mut client, "SCRAM-SHA-256").await;
    let refused = authenticate(&mut client, b"n,a=admin,n=bob,r=x").await;
    assert_eq!(refused.error_code, ResponseError::SaslAuthenticationFailed.code());
}

#[tokio::test]
async fn malformed_messages_are_refused() {
    let server = sasl_server(security()).await;
    let long = vec![b'x'; 20_000];
    let plain: [&[u8]; 8] = [b"", b"\0", b"\0\0", b"\0alice\0", b"\0\0x", b"a\0b\0c\0d", b"\0\xff\0x", &long];
    for message in plain {
        let mut client = server.client().await;
        handshake(&mut client, "PLAIN").await;
        let refused = authenticate(&mut client, message).await;
        assert_eq!(refused.error_code, ResponseError::SaslAuthenticationFailed.code(), "{message:?}");
        assert!(client.read_to_end().await.is_empty());
    }
    for message in [&b"n,,n=alice"[..], b"p=tls-unique,,n=alice,r=x", &long] {
        let mut client = server.client().await;
        handshake(&mut client, "SCRAM-SHA-512").await;
        let refused = authenticate(&mut client, message).await;
        assert_eq!(refused.error_code, ResponseError::SaslAuthenticationFailed.code());
        assert!(client.read_to_end().await.is_empty());
    }
}

/// CVE-2024-56128: the end of an exchange that belongs to another one.
#[tokio::test]
async fn a_proof_counts_for_its_own_exchange_only() {
    let server = sasl_server(security()).await;
    let scram = SCRAM[0]();
    let challenge = async |client: &mut Client| {
        handshake(client, scram.mechanism).await;
        let response = authenticate(client, Scram::first("alice").as_bytes()).await;
        String::from_utf8(response.auth_bytes.to_vec()).unwrap()
    };
    let (mut first, mut second) = (server.client().await, server.client().await);
    let (overheard, _) = (challenge(&mut first).await, challenge(&mut second).await);
    let (last, _) = scram.last("alice", ALICE.1, &overheard);
    let refused = authenticate(&mut second, last.as_bytes()).await;
    assert_eq!(refused.error_code, ResponseError::SaslAuthenticationFailed.code());
    assert_eq!(authenticate(&mut first, last.as_bytes()).await.error_code, 0);
}

/// Every request that there is, whether it is served or not.
fn empty_request(key: i16) -> Vec<u8> {
    let mut frame = vec![0, 0, 0, 14];
    frame.extend(key.to_be_bytes());
    frame.extend([0, 1, 0, 0, 0, 1, 0, 4]);
    frame.extend(b"test");
    frame[3] = u8::try_from(frame.len() - 4).unwrap();
    frame
}

#[tokio::test]
async fn before_the_sign_in_nothing_else_is_looked_at() {
    let server = sasl_server(security()).await;
    let mut tried = 0;
    for key in ApiKey::iter().map(|key| key as i16) {
        let belongs = [ApiKey::ApiVersions, ApiKey::SaslHandshake, ApiKey::SaslAuthenticate];
        if belongs.iter().any(|other| *other as i16 == key) {
            continue;
        }
        let mut client = server.client().await;
        client.write(&empty_request(key)).await.unwrap();
        assert!(client.read_to_end().await.is_empty(), "API {key} was answered");
        tried += 1;
    }
    assert!(tried > 60, "{tried}");
    let mut client = server.client().await;
    client.send(3, &ApiVersionsRequest::default()).await;
    handshake(&mut client, "SCRAM-SHA-256").await;
    authenticate(&mut client, Scram::first("alice").as_bytes()).await;
    assert!(!is_served(&mut client).await, "half a sign-in is none");
    let mut client = server.client().await;
    let request = SaslAuthenticateRequest::default().with_auth_bytes(plain("", BOB.0, BOB.1).into());
    let response = client.try_send(2, &request).await;
    assert!(response.is_err() || response.unwrap().error_code != 0, "no mechanism was chosen");
    assert!(!is_served(&mut client).await);
}

/// CVE-2022-34917: memory for a request of a client that is not signed in.
#[tokio::test]
async fn before_the_sign_in_requests_are_small() {
    let server = sasl_server(security()).await;
    for length in [1_u32 << 20, 100 << 20, i32::MAX as u32] {
        let mut client = server.client().await;
        client.write(&length.to_be_bytes()).await.unwrap();
        assert!(client.read_to_end().await.is_empty());
    }
    let mut client = server.client().await;
    handshake(&mut client, "PLAIN").await;
    // The length of its bytes is a lie.
    let request = SaslAuthenticateRequest::default().with_auth_bytes(vec![0; 4].into());
    let mut lie = frame(2, 9, "test", &request).to_vec();
    let at = lie.len() - 6;
    lie.splice(at..=at, [0xff, 0xff, 0xff, 0xff, 0x07]);
    let length = u32::try_from(lie.len() - 4).unwrap();
    lie[..4].copy_from_slice(&length.to_be_bytes());
    client.write(&lie).await.unwrap();
    assert!(client.read_to_end().await.is_empty());
}

/// CVE-2026-33557 and CVE-2026-110985: tokens that are taken because nothing can check them.
#[tokio::test]
async fn there_are_no_tokens_to_be_taken() {
    let server = sasl_server(security()).await;
    for mechanism in ["OAUTHBEARER", "GSSAPI", "EXTERNAL", "ANONYMOUS", "plain", ""] {
        let mut client = server.client().await;
        let refused = handshake(&mut client, mechanism).await;
        assert_eq!(refused.error_code, ResponseError::UnsupportedSaslMechanism.code(), "{mechanism}");
        assert_eq!(
            refused.mechanisms,
            ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"].map(StrBytes::from_static_str)
        );
        assert!(client.read_to_end().await.is_empty());
    }
    for name in ["OAUTHBEARER", "GSSAPI", "SCRAM-SHA-1", "scram-sha-256", ""] {
        let error = name.parse::<Mechanism>().unwrap_err().to_string();
        assert!(error.contains("PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"), "{error}");
    }
    let only = SecurityConfig { mechanisms: vec![Mechanism::ScramSha512], ..security() };
    let server = sasl_server(only).await;
    let mut client = server.client().await;
    let refused = handshake(&mut client, "PLAIN").await;
    assert_eq!(refused.error_code, ResponseError::UnsupportedSaslMechanism.code());
    assert_eq!(refused.mechanisms, [StrBytes::from_static_str("SCRAM-SHA-512")]);
}

#[tokio::test]
async fn after_a_handshake_of_the_first_version_messages_come_as_they_are() {
    let server = sasl_server(security()).await;
    let handshake = async |client: &mut Client, mechanism: &'static str| {
        let mechanism = StrBytes::from_static_str(mechanism);
        let request = SaslHandshakeRequest::default().with_mechanism(mechanism);
        assert_eq!(client.send(0, &request).await.error_code, 0);
    };
    let write = async |client: &mut Client, message: &[u8]| {
        let length = u32::try_from(message.len()).unwrap();
        client.write(&[&length.to_be_bytes(), message].concat()).await.unwrap();
    };
    let mut client = server.client().await;
    handshake(&mut client, "PLAIN").await;
    write(&mut client, &plain("", ALICE.0, ALICE.1)).await;
    assert!(client.read_frame().await.unwrap().is_empty());
    assert!(is_served(&mut client).await);
    let mut client = server.client().await;
    let scram = SCRAM[1]();
    handshake(&mut client, scram.mechanism).await;
    write(&mut client, Scram::first("bob").as_bytes()).await;
    let challenge = String::from_utf8(client.read_frame().await.unwrap().to_vec()).unwrap();
    let (last, expected) = scram.last("bob", BOB.1, &challenge);
    write(&mut client, last.as_bytes()).await;
    assert_eq!(client.read_frame().await.unwrap(), expected.as_bytes());
    assert!(is_served(&mut client).await);
    let mut client = server.client().await;
    handshake(&mut client, "PLAIN").await;
    write(&mut client, &plain("", ALICE.0, "wrong")).await;
    assert!(client.read_to_end().await.is_empty());
}

#[tokio::test]
async fn a_connection_is_one_users_for_good() {
    let server = sasl_server(security()).await;
    let mut client = client_of(&server, ALICE).await;
    let again = handshake(&mut client, "PLAIN").await;
    assert_eq!(again.error_code, ResponseError::IllegalSaslState.code());
    let again = authenticate(&mut client, &plain("", ADMIN.0, ADMIN.1)).await;
    assert_eq!(again.error_code, ResponseError::IllegalSaslState.code());
    assert!(is_served(&mut client).await, "still Alice's");

    let lifetime = Some(Duration::from_hours(1));
    let server = sasl_server(SecurityConfig { session_lifetime: lifetime, ..security() }).await;
    let mut client = server.client().await;
    let signed = sign_in(&mut client, ALICE).await;
    assert_eq!(signed.session_lifetime_ms, 3_600_000);
    assert_eq!(sign_in(&mut client, ALICE).await.error_code, 0, "a session is renewed");
    assert!(is_served(&mut client).await);
    let refused = sign_in(&mut client, ADMIN).await;
    assert_eq!(refused.error_code, ResponseError::SaslAuthenticationFailed.code());
    assert!(client.read_to_end().await.is_empty());
    let mut client = client_of(&server, ALICE).await;
    let other = handshake(&mut client, "SCRAM-SHA-256").await;
    assert_ne!(other.error_code, 0, "not by another mechanism");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_has_ended_takes_a_new_sign_in_and_nothing_else() {
    let lifetime = Some(Duration::from_mins(1));
    let server = sasl_server(SecurityConfig { session_lifetime: lifetime, ..security() }).await;
    let (mut renewed, mut ended) = (client_of(&server, ALICE).await, client_of(&server, BOB).await);
    tokio::time::advance(Duration::from_secs(61)).await;
    assert!(!is_served(&mut ended).await);
    assert_eq!(sign_in(&mut renewed, ALICE).await.error_code, 0);
    assert!(is_served(&mut renewed).await);
}

#[tokio::test]
async fn where_no_sign_in_is_asked_for_none_is_taken() {
    let server = crate::support::client::Server::start("wire_security").await;
    let mut client = server.client().await;
    assert_eq!(handshake(&mut client, "PLAIN").await.error_code, ResponseError::IllegalSaslState.code());
    assert!(is_served(&mut client).await);
}
