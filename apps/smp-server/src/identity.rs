//! Who the server is: its certificates and keys, in files.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use smp_core::transport::identity::{
    Authority, IdentityKey, IssueError, ServerIdentity, Subject, certificates_from_pem, certificates_to_pem,
    fingerprint_text,
};
use smp_core::{SeededEntropy, UnixTime};

use crate::cli::Algorithm;
use crate::failure::{Failure, because};
use crate::folders::{self, Folders};

/// The identity of a folder, ready to serve with, and its fingerprint as text.
pub(crate) struct Loaded {
    pub(crate) identity: ServerIdentity,
    pub(crate) fingerprint: String,
}

/// Makes a new identity and writes its files.
pub(crate) fn create(folders: &Folders, algorithm: Algorithm, host: &str) -> Result<(), Failure> {
    let mut entropy = entropy()?;
    let authority =
        Authority::generate(algorithm.into(), &mut entropy, now()).map_err(|e| issue_failed(host, e))?;
    let subject = Subject { host, algorithm: algorithm.into() };
    let server = authority.issue(subject, &mut entropy, now()).map_err(|e| issue_failed(host, e))?;
    let authority_certificate = authority.certificate().clone();
    folders::create_private(&folders.ca_key(), authority.key().to_pem().as_bytes())?;
    folders::create_private(&folders.key(), server.key.to_pem().as_bytes())?;
    folders::create(&folders.certificate(), certificates_to_pem(&[server.certificate]).as_bytes())?;
    let fingerprint = fingerprint_text(&authority_certificate);
    folders::create(&folders.ca_certificate(), certificates_to_pem(&[authority_certificate]).as_bytes())?;
    folders::create(&folders.fingerprint(), format!("{fingerprint}\n").as_bytes())
}

/// Replaces the server certificate and its key. The identity stays.
pub(crate) fn renew(folders: &Folders, algorithm: Algorithm, host: &str) -> Result<(), Failure> {
    let (certificate_file, key_file) = (folders.ca_certificate(), folders.ca_key());
    let certificates = certificates_from_pem(&text(&certificate_file)?)
        .map_err(|e| because(&certificate_file, "cannot be used", &e))?;
    let key =
        IdentityKey::from_pem(&text(&key_file)?).map_err(|e| because(&key_file, "cannot be used", &e))?;
    let [certificate] = certificates.as_slice() else {
        return Err(because(&certificate_file, "cannot be used", &"it has to hold one certificate"));
    };
    let authority =
        Authority::load(certificate.clone(), key).map_err(|e| because(&key_file, "cannot be used", &e))?;
    let subject = Subject { host, algorithm: algorithm.into() };
    let server = authority.issue(subject, &mut entropy()?, now()).map_err(|e| issue_failed(host, e))?;
    // A crash between the two leaves a key that is not the certificate's: the start says so, and `cert` mends it.
    folders::replace(&folders.key(), server.key.to_pem().as_bytes(), true)?;
    folders::replace(&folders.certificate(), certificates_to_pem(&[server.certificate]).as_bytes(), false)
}

/// Reads the identity that a folder holds.
pub(crate) fn load(folders: &Folders) -> Result<Loaded, Failure> {
    let identity = ServerIdentity::from_pem(
        &bytes(&folders.certificate())?,
        &bytes(&folders.ca_certificate())?,
        &bytes(&folders.key())?,
        now(),
    )
    .map_err(|e| {
        let (crt, ca, key) = (folders.certificate(), folders.ca_certificate(), folders.key());
        let files = format!("{}, {}, {}", crt.display(), ca.display(), key.display());
        Failure::new(format!(
            "{files}: cannot be used together: {e}. Restore them from a backup, or make a new server certificate with \
             `smp-server cert`, which keeps the identity"
        ))
    })?;
    let fingerprint = URL_SAFE.encode(identity.fingerprint());
    check_saved(&folders.fingerprint(), &fingerprint)?;
    Ok(Loaded { identity, fingerprint })
}

/// The saved fingerprint is what the operator handed out, so another one means another identity.
fn check_saved(file: &Path, fingerprint: &str) -> Result<(), Failure> {
    let saved = text(file)?;
    if saved.trim().trim_end_matches('=') == fingerprint.trim_end_matches('=') {
        return Ok(());
    }
    Err(because(
        file,
        "does not match ca.crt",
        &"clients know the server by this fingerprint and would refuse it. Restore the ca.crt that it was made for, or \
          remove this file's old contents and write the fingerprint of ca.crt to start as a new server",
    ))
}

fn issue_failed(host: &str, error: IssueError) -> Failure {
    Failure::new(format!("no certificate can be made for the host {host}: {error}"))
}

fn bytes(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(|e| because(file, "cannot be read", &e))
}

fn text(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|e| because(file, "cannot be read", &e))
}

/// A source of randomness from the operating system.
pub(crate) fn entropy() -> Result<SeededEntropy, Failure> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|e| Failure::new(format!("the operating system gives no randomness: {e}")))?;
    Ok(SeededEntropy::new(seed))
}

/// The time of the system.
pub(crate) fn now() -> UnixTime {
    // A clock before 1970 makes certificates that are not valid yet, which loading them then says.
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixTime::from_millis(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
}

impl From<Algorithm> for smp_core::transport::identity::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Ed25519 => Self::Ed25519,
            Algorithm::Ed448 => Self::Ed448,
        }
    }
}
