//! Clients that no one here wrote: librdkafka, and Kafka's own tools.

use crate::actors::{ADMIN, ALICE, security, serve};
use crate::support::fresh_dir;
use crate::tls::{Authority, tls_config, wire_config, write_files};
use millstream_broker::{
    Certificate, ClientAuthentication, ListenerConfig, SecurityConfig, SecurityProtocol, TlsConfig,
    WireConfig,
};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_mins(2);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// What a program printed, and whether it ended well.
async fn run(command: &mut Command) -> (bool, String) {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await.expect("done within two minutes");
    let output = output.expect("it is there; `make peers` fetches it");
    let text =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    (output.status.success(), text)
}

/// Makes a topic, writes a record to it and reads it back, with these settings of librdkafka.
async fn round_trip(address: SocketAddr, settings: &[(&str, &str)]) -> (bool, String) {
    let venv = || root().join(".cache/venv/bin/python").into_os_string();
    let python = std::env::var_os("MILLSTREAM_PYTHON").unwrap_or_else(venv);
    let script = root().join("crates/broker/tests/wire_security/round_trip.py");
    let mut command = Command::new(python);
    command.arg(script).arg(format!("localhost:{}", address.port()));
    command.args(settings.iter().map(|(key, value)| format!("{key}={value}")));
    run(&mut command).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn librdkafka_signs_in_by_every_mechanism_inside_tls() {
    let dir = fresh_dir("wire_security");
    let server =
        serve(&dir.join("log"), wire_config(SecurityProtocol::SaslSsl, tls_config(&dir), security())).await;
    let authority = dir.join("kafka-certificate.pem");
    let settings = |mechanism, password| {
        [
            ("security.protocol", "SASL_SSL"),
            ("ssl.ca.location", authority.to_str().unwrap()),
            ("sasl.mechanism", mechanism),
            ("sasl.username", ADMIN.0),
            ("sasl.password", password),
        ]
    };
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let (is_good, said) = round_trip(server.address(), &settings(mechanism, ADMIN.1)).await;
        assert!(is_good, "{mechanism}: {said}");
        let (is_good, said) = round_trip(server.address(), &settings(mechanism, "wrong")).await;
        assert!(!is_good && said.contains("_AUTHENTICATION"), "{mechanism}: {said}");
    }
    let (is_good, said) = round_trip(server.address(), &settings("OAUTHBEARER", ADMIN.1)).await;
    assert!(!is_good, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn librdkafka_is_known_by_its_certificate() {
    let dir = fresh_dir("wire_security");
    let authority = Authority::new();
    let ((certificate, key), (own, own_key)) =
        (authority.sign("broker", |_| {}), authority.sign("press", |_| {}));
    let [certificate, key, authorities] =
        write_files(&dir, [("c.pem", &certificate), ("k.pem", &key), ("ca.pem", &authority.pem)]);
    let [own, own_key, other] =
        write_files(&dir, [("own.pem", &own), ("own-key.pem", &own_key), ("other.pem", "")]);
    let tls = TlsConfig {
        certificate: Certificate::Files { certificate, key },
        client_authentication: ClientAuthentication::Required,
        client_authorities: Some(authorities.clone()),
        principal_mapping: "RULE:^CN=(.*),O=Acme$/$1/".parse().unwrap(),
    };
    let security = SecurityConfig { super_users: vec!["User:press".to_owned()], ..SecurityConfig::default() };
    let server = serve(&dir.join("log"), wire_config(SecurityProtocol::Ssl, tls, security)).await;
    let base = [("security.protocol", "SSL"), ("ssl.ca.location", authorities.to_str().unwrap())];
    let with = |certificate: &Path, key: &Path| {
        let (certificate, key) = (certificate.to_str().unwrap().to_owned(), key.to_str().unwrap().to_owned());
        [("ssl.certificate.location", certificate), ("ssl.key.location", key)]
    };
    let own = with(&own, &own_key);
    let own: Vec<(&str, &str)> = own.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let (is_good, said) = round_trip(server.address(), &[&base[..], &own].concat()).await;
    assert!(is_good, "{said}");
    let (is_good, said) = round_trip(server.address(), &base).await;
    assert!(!is_good, "{said}");
    assert!(std::fs::read(other).unwrap().is_empty());
}

/// One of Kafka's tools, with the settings of a client that is signed in.
async fn tool(class: &str, address: SocketAddr, user: (&str, &str), arguments: &[&str]) -> (bool, String) {
    let libs = root().join(".cache/kafka/libs");
    let settings = fresh_dir("wire_security").join("client.properties");
    let mut text = String::from("security.protocol=SASL_PLAINTEXT\nsasl.mechanism=SCRAM-SHA-512\n");
    let module = "org.apache.kafka.common.security.scram.ScramLoginModule";
    let (name, password) = user;
    writeln!(text, "sasl.jaas.config={module} required username=\"{name}\" password=\"{password}\";")
        .unwrap();
    std::fs::write(&settings, text).unwrap();
    let mut command = Command::new("java");
    command
        .args(["-Xmx128M", "-XX:TieredStopAtLevel=1", "-cp"])
        .arg(format!("{}/*", libs.display()))
        .arg(class);
    command.args(["--bootstrap-server", &address.to_string(), "--command-config"]).arg(settings);
    run(command.args(arguments)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafkas_tools_make_users_and_acls() {
    let dir = fresh_dir("wire_security");
    let sasl = ListenerConfig { protocol: SecurityProtocol::SaslPlaintext, ..ListenerConfig::default() };
    let config = WireConfig { listeners: vec![sasl], security: security(), ..WireConfig::default() };
    let server = serve(&dir, config).await;
    let at = server.address();
    let configs =
        async |user, arguments: &[&str]| tool("kafka.admin.ConfigCommand", at, user, arguments).await;
    let acls =
        async |user, arguments: &[&str]| tool("org.apache.kafka.tools.AclCommand", at, user, arguments).await;
    let carol = ["--entity-type", "users", "--entity-name", "carol"];
    let set = ["--alter", "--add-config", "SCRAM-SHA-512=[iterations=8192,password=tea]"];
    let (is_good, said) = configs(ADMIN, &[&carol[..], &set].concat()).await;
    assert!(is_good && said.contains("Completed updating"), "{said}");
    let (is_good, said) = configs(ADMIN, &[&carol[..], &["--describe"]].concat()).await;
    assert!(is_good && said.contains("SCRAM-SHA-512=iterations=8192"), "{said}");

    let (is_good, said) = acls(("carol", "tea"), &["--list"]).await;
    assert!(said.contains("ClusterAuthorizationException"), "{is_good} {said}");
    let add = ["--add", "--allow-principal", "User:carol", "--operation", "Describe", "--cluster"];
    let (is_good, said) = acls(ADMIN, &add).await;
    assert!(is_good && said.contains("principal=User:carol"), "{said}");
    let prefixed =
        ["--add", "--deny-principal", "User:carol", "--consumer", "--topic", "press.", "--group", "g"];
    let (_, said) = acls(ADMIN, &prefixed).await;
    assert!(said.contains("Option") || said.contains("deny"), "{said}");
    let consumer = [
        "--add",
        "--allow-principal",
        "User:carol",
        "--consumer",
        "--topic",
        "press.",
        "--group",
        "g",
        "--resource-pattern-type",
        "prefixed",
    ];
    let (is_good, said) = acls(ADMIN, &consumer).await;
    assert!(is_good && said.contains("patternType=PREFIXED"), "{said}");
    let (is_good, said) = acls(("carol", "tea"), &["--list"]).await;
    assert!(is_good && said.contains("patternType=PREFIXED") && said.contains("kafka-cluster"), "{said}");
    let remove = ["--remove", "--force", "--topic", "press.", "--resource-pattern-type", "prefixed"];
    let (is_good, said) = acls(ADMIN, &remove).await;
    assert!(is_good, "{said}");
    let (_, said) = acls(ADMIN, &["--list", "--topic", "press.", "--resource-pattern-type", "match"]).await;
    assert!(!said.contains("User:carol"), "{said}");
    let (is_good, said) =
        configs(ADMIN, &[&carol[..], &["--alter", "--delete-config", "SCRAM-SHA-512"]].concat()).await;
    assert!(is_good, "{said}");
    let (is_good, said) = acls(("carol", "tea"), &["--list"]).await;
    assert!(!is_good || said.contains("Authentication failed"), "{said}");
    assert_ne!(ALICE.0, "carol");
}
