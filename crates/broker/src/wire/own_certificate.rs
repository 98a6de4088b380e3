//! The certificate that the broker makes for itself at its first start, and keeps.

use crate::wire::security::SecurityError;
use millstream_model::Timestamp;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long it is valid: clients have a copy of it, so that a new one means work at each of them.
const VALID: Duration = Duration::from_hours(10 * 365 * 24);
/// It is valid for so long already, for clients whose clock is behind.
const BEFORE: Duration = Duration::from_hours(24);
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Where the certificate and its private key are.
pub(crate) fn paths(directory: &Path) -> (PathBuf, PathBuf) {
    (directory.join("kafka-certificate.pem"), directory.join("kafka-key.pem"))
}

/// Makes them unless both are there. Blocks.
pub(crate) fn make(directory: &Path, names: &[String], now: Timestamp) -> Result<(), SecurityError> {
    let (certificate, key) = paths(directory);
    let failed = |problem: String| SecurityError::Certificate { file: certificate.clone(), problem };
    if certificate.exists() && key.exists() {
        return Ok(());
    }
    let all: Vec<String> = NAMES.into_iter().map(str::to_owned).chain(names.iter().cloned()).collect();
    let (certificate_pem, key_pem) =
        self_signed(all, now).map_err(|error| failed(format!("cannot be made: {error}")))?;
    // The key first: a certificate is there only with its key.
    let written = fs::create_dir_all(directory)
        .and_then(|()| write(&key, &key_pem, 0o600))
        .and_then(|()| write(&certificate, &certificate_pem, 0o644))
        .and_then(|()| File::open(directory)?.sync_all());
    written.map_err(|error| failed(format!("cannot be written: {error}")))?;
    let file = certificate.display();
    tracing::info!(%file, "made a certificate for the Kafka listeners: clients trust the broker by having this file");
    Ok(())
}

fn self_signed(names: Vec<String>, now: Timestamp) -> Result<(String, String), rcgen::Error> {
    let now = Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or(0));
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let mut parameters = CertificateParams::new(names)?;
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, "millstream");
    parameters.not_before = epoch + now.saturating_sub(BEFORE);
    parameters.not_after = epoch + now.saturating_add(VALID);
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = parameters.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// Whole or not at all, with its rights from the first moment.
fn write(file: &Path, text: &str, mode: u32) -> io::Result<()> {
    let new = file.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
    opened.write_all(text.as_bytes())?;
    opened.sync_all()?;
    fs::rename(&new, file)
}
