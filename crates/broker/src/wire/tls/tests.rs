//! Files that cannot be used, and files that change.

use super::*;
use millstream_model::Timestamp;
use rcgen::{CertificateParams, KeyPair};

#[derive(Debug)]
struct StillClock;

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000)
    }
}

fn made() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn new(certificate: &str, key: &str) -> Self {
        let files = Self { dir: tempfile::tempdir().unwrap() };
        files.put("c.pem", certificate);
        files.put("k.pem", key);
        files
    }

    /// Replaced, as tools that renew certificates do it.
    fn put(&self, name: &str, text: &str) {
        let new = self.dir.path().join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.dir.path().join(name)).unwrap();
    }

    fn config(&self) -> TlsConfig {
        let at = |name| self.dir.path().join(name);
        TlsConfig {
            certificate: Certificate::Files { certificate: at("c.pem"), key: at("k.pem") },
            client_authentication: ClientAuthentication::None,
            client_authorities: None,
            principal_mapping: "DEFAULT".parse().unwrap(),
        }
    }

    fn open(&self) -> Result<Tls, SecurityError> {
        Tls::open(&self.config(), Arc::new(StillClock))
    }
}

#[test]
fn files_that_cannot_be_used_are_named_with_their_problem() {
    let (certificate, key) = made();
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let broken = key.replace('M', "!");
    let cases: [(&str, &str, &str, &str); 7] = [
        ("", &key, "c.pem", "no certificate is in it"),
        (&key, &key, "c.pem", "no certificate is in it"),
        ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", &key, "c.pem", "is not PEM"),
        (&certificate, &certificate, "k.pem", "no private key is in it"),
        (&certificate, &made().1, "k.pem", "it is not the key of the certificate"),
        (&certificate, &encrypted, "k.pem", "decrypt it"),
        (&certificate, &broken, "k.pem", ""),
    ];
    for (certificate, key, file, problem) in cases {
        let error = Files::new(certificate, key).open().unwrap_err().to_string();
        assert!(error.contains(file) && error.contains(problem), "{error}");
        assert!(!error.contains("BEGIN PRIVATE KEY-----\nM"), "{error}");
    }
    let files = Files::new(&certificate, &key);
    fs::remove_file(files.dir.path().join("k.pem")).unwrap();
    let error = files.open().unwrap_err().to_string();
    assert!(error.contains("k.pem") && error.contains("cannot be read"), "{error}");
}

fn shown(tls: &Tls) -> Arc<ServerConfig> {
    Arc::clone(&tls.current.read().server)
}

#[test]
fn renewed_files_are_taken_and_broken_ones_are_not() {
    let (certificate, key) = made();
    let files = Files::new(&certificate, &key);
    let tls = files.open().unwrap();
    let first = shown(&tls);
    tls.renew();
    assert!(Arc::ptr_eq(&first, &shown(&tls)), "nothing has changed");
    let (certificate, key) = made();
    files.put("c.pem", &certificate);
    tls.renew();
    assert!(Arc::ptr_eq(&first, &shown(&tls)), "the new certificate without its key");
    files.put("k.pem", &key);
    tls.renew();
    let second = shown(&tls);
    assert!(!Arc::ptr_eq(&first, &second), "both are there");
    fs::remove_file(files.dir.path().join("c.pem")).unwrap();
    tls.renew();
    assert!(Arc::ptr_eq(&second, &shown(&tls)));
}

#[test]
fn an_expired_certificate_of_the_brokers_is_no_reason_to_stop() {
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    parameters.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let certificate = parameters.self_signed(&key).unwrap().pem();
    Files::new(&certificate, &key.serialize_pem()).open().unwrap();
}
