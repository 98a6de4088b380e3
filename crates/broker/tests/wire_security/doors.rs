//! What must not be started, what no client may do, and what is never printed.

use crate::actors::{ALICE, SCRAM, client_of, sasl_config, sasl_server, security, serve, sign_in};
use crate::support::client::{Client, Server};
use crate::support::fresh_dir;
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest};
use millstream_broker::{
    Certificate, ClientAuthentication, Embedded, EmbeddedConfig, ListenerConfig, Mechanism, Password,
    SecurityConfig, SecurityProtocol, TlsConfig, User, Wire, WireConfig,
};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Why a broker with this listener and these settings does not start; `None` where it does.
async fn refusal(listen: &str, protocol: SecurityProtocol, security: SecurityConfig) -> Option<String> {
    let dir = fresh_dir("wire_security");
    let authorities = dir.join("kafka-certificate.pem");
    let certificate = Certificate::Own { directory: dir.clone(), names: Vec::new() };
    let tls = TlsConfig {
        certificate,
        client_authentication: ClientAuthentication::None,
        client_authorities: Some(authorities),
        principal_mapping: "DEFAULT".parse().unwrap(),
    };
    let listener = ListenerConfig {
        listen: listen.parse().unwrap(),
        protocol,
        tls: protocol.is_tls().then_some(tls),
        ..ListenerConfig::default()
    };
    refusal_of(WireConfig { listeners: vec![listener], security, ..WireConfig::default() }).await
}

async fn refusal_of(config: WireConfig) -> Option<String> {
    let log = crate::support::open_log(Arc::new(millstream_log::OsDisk), &fresh_dir("wire_security"));
    let embedded = Embedded::open(log, EmbeddedConfig::default(), crate::support::clock()).await.unwrap();
    Wire::serve(&embedded, config).await.err().map(|error| error.to_string())
}

#[tokio::test]
async fn no_door_is_open_to_the_network_unless_the_settings_say_so() {
    use SecurityProtocol::{Plaintext, SaslPlaintext, SaslSsl, Ssl};
    let scram = SecurityConfig { mechanisms: vec![Mechanism::ScramSha512], ..security() };
    let insecure = SecurityConfig { insecure: true, ..security() };
    for address in ["127.0.0.1:0", "[::1]:0", "127.9.9.9:0"] {
        for protocol in [Plaintext, Ssl, SaslPlaintext, SaslSsl] {
            assert_eq!(refusal(address, protocol, security()).await, None, "{address} {protocol:?}");
        }
    }
    for address in ["0.0.0.0:0", "[::]:0"] {
        for protocol in [Plaintext, Ssl] {
            let refused = refusal(address, protocol, security()).await.unwrap();
            assert!(refused.contains(address) && refused.contains("insecure = true"), "{refused}");
        }
        let refused = refusal(address, SaslPlaintext, security()).await.unwrap();
        assert!(refused.contains("unencrypted") && refused.contains("SASL_SSL"), "{refused}");
        assert_eq!(refusal(address, SaslPlaintext, scram.clone()).await, None);
        assert_eq!(refusal(address, SaslSsl, security()).await, None);
        for protocol in [Plaintext, Ssl, SaslPlaintext, SaslSsl] {
            assert_eq!(refusal(address, protocol, insecure.clone()).await, None, "{address} {protocol:?}");
        }
    }
}

/// CVE-2018-12551: a user without a name or password because the credentials could not be read.
#[tokio::test]
async fn malformed_settings_do_not_start() {
    let with = async |change: &dyn Fn(&mut SecurityConfig)| {
        let mut security = security();
        change(&mut security);
        refusal("127.0.0.1:0", SecurityProtocol::SaslPlaintext, security).await
    };
    let user = |name: &str, password: &str| User { name: name.to_owned(), password: Password::new(password) };
    // CVE-2017-7650: `*` as a name is everyone's in ACLs.
    for (name, password) in [
        ("", "p"),
        ("*", "p"),
        ("ANONYMOUS", "p"),
        ("a\nb", "p"),
        ("carol", ""),
        ("carol", "a\0b"),
        ("alice", "p"),
    ] {
        let refused = with(&|security| security.users.push(user(name, password))).await;
        let refused = refused.unwrap_or_else(|| panic!("{name:?} {password:?}"));
        assert!(!refused.contains("wonder"), "{refused}");
    }
    for name in ["admin", "User:", "User:*", "Group:a", "*", ""] {
        let refused = with(&|security| security.super_users = vec![name.to_owned()]).await;
        assert!(refused.is_some_and(|refused| refused.contains("super user")), "{name:?}");
    }
    assert!(with(&|security| security.mechanisms.clear()).await.unwrap().contains("mechanism"));
    assert_eq!(with(&|security| security.users.clear()).await, None, "kafka-configs makes them");
}

#[tokio::test]
async fn tls_without_its_material_does_not_start() {
    let listener = ListenerConfig { protocol: SecurityProtocol::Ssl, ..ListenerConfig::default() };
    let config = |listener| WireConfig { listeners: vec![listener], ..WireConfig::default() };
    assert!(refusal_of(config(listener.clone())).await.unwrap().contains("certificate"));
    let tls = |authentication, authorities: Option<&str>| TlsConfig {
        certificate: Certificate::Own { directory: fresh_dir("wire_security"), names: Vec::new() },
        client_authentication: authentication,
        client_authorities: authorities.map(PathBuf::from),
        principal_mapping: "DEFAULT".parse().unwrap(),
    };
    for authentication in [ClientAuthentication::Requested, ClientAuthentication::Required] {
        let tls = ListenerConfig { tls: Some(tls(authentication, None)), ..listener.clone() };
        assert!(refusal_of(config(tls)).await.unwrap().contains("authority"));
    }
    let missing = tls(ClientAuthentication::Required, Some("/nowhere/authorities.pem"));
    let refused = refusal_of(config(ListenerConfig { tls: Some(missing), ..listener })).await.unwrap();
    assert!(refused.contains("/nowhere/authorities.pem"), "{refused}");
}

/// CVE-2018-1288: what brokers ask each other, asked by a client.
#[tokio::test]
async fn what_brokers_ask_each_other_is_answered_to_nobody() {
    let server = Server::start("wire_security").await;
    let mut client = server.client().await;
    let served: Vec<i16> =
        client.send(3, &ApiVersionsRequest::default()).await.api_keys.iter().map(|api| api.api_key).collect();
    let between_brokers = [
        ApiKey::WriteTxnMarkers,
        ApiKey::Vote,
        ApiKey::BeginQuorumEpoch,
        ApiKey::EndQuorumEpoch,
        ApiKey::AlterPartition,
        ApiKey::Envelope,
        ApiKey::FetchSnapshot,
        ApiKey::BrokerRegistration,
        ApiKey::BrokerHeartbeat,
        ApiKey::UnregisterBroker,
        ApiKey::AllocateProducerIds,
    ];
    // LeaderAndIsr, StopReplica, UpdateMetadata and ControlledShutdown, which Kafka 4 has no more.
    let between_brokers = between_brokers.map(|key| key as i16).into_iter().chain(4..=7);
    for key in between_brokers {
        assert!(!served.contains(&key), "{key}");
        for version in 0..=9 {
            let mut client = server.client().await;
            let mut request = vec![0, 0, 0, 30];
            request.extend(key.to_be_bytes());
            request.extend([0, version, 0, 0, 0, 1, 0, 4]);
            request.extend(b"test");
            request.extend([0; 16]);
            client.write(&request).await.unwrap();
            assert!(client.read_to_end().await.is_empty(), "{key} {version}");
        }
    }
}

#[tokio::test]
async fn secrets_are_not_printed() {
    let config = sasl_config(security());
    let server = serve(&fresh_dir("wire_security"), config.clone()).await;
    let printed = format!("{config:?} {:?} {:?}", server.wire, server.embedded);
    assert!(printed.contains("alice") && !printed.contains("wonder"), "{printed}");
}

/// What is logged, at the most talkative level.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn secrets_are_not_logged() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let server = sasl_server(security()).await;
    client_of(&server, ALICE).await;
    for password in ["wonderful", ALICE.1] {
        for scram in SCRAM.map(|scram| scram()) {
            let mut client = server.client().await;
            let _ = scram.sign_in(&mut client, ALICE.0, password).await;
        }
        let mut client = server.client().await;
        let _ = sign_in(&mut client, (password, "wonderless")).await;
    }
    server.stop().await;
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("a Kafka client was not let in") && logged.contains("signed in"), "{logged}");
    assert!(!logged.contains("wonder"), "{logged}");
}

#[tokio::test]
async fn a_client_that_goes_in_the_middle_of_a_sign_in_harms_nobody() {
    let server = sasl_server(security()).await;
    for length in 0..40 {
        let mut client = Client::connect(server.address()).await;
        let request = crate::support::client::frame(
            1,
            1,
            "test",
            &kafka_protocol::messages::SaslHandshakeRequest::default().with_mechanism("PLAIN".into()),
        );
        client.write(&request[..request.len().min(length)]).await.unwrap();
    }
    client_of(&server, ALICE).await;
}
