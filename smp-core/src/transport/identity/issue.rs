//! Makes certificates: an authority for a server, the certificate that it shows in TLS, and one for a service.

use core::str::FromStr;
use core::time::Duration;

use bytes::Bytes;
use der::asn1::ObjectIdentifier;
use der::asn1::{BitString, GeneralizedTime, Ia5String, OctetString, UtcTime};
use der::{DateTime, Encode, Sequence};
use sha2::{Digest, Sha256};
use x509_cert::certificate::Version;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName,
    SubjectKeyIdentifier,
};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::{Time, Validity};

use super::certificate::{CertificateError, Parsed};
use super::{Algorithm, IdentityKey, raw_signature};
use crate::wire::AuthPublicKey;
use crate::{Entropy, UnixTime};

/// Why a certificate could not be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The host name has characters that a certificate cannot carry, or is too long.
    #[error("the host name cannot be written in a certificate")]
    Host,
    /// The dates are before 1970 or after 9999.
    #[error("the dates of the certificate are out of range")]
    Dates,
    /// The authority's certificate cannot be read.
    #[error("the certificate of the authority: {0}")]
    Authority(#[from] CertificateError),
    /// The authority's certificate belongs to another key.
    #[error("the key is not that of the authority's certificate")]
    KeyMismatch,
}

/// What the certificate of a server is about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The host name or IP address: the common name, and an alternative name.
    pub host: &'a str,
    /// The algorithm of the new key.
    pub algorithm: Algorithm,
}

/// A certificate and its key.
#[derive(Debug)]
#[non_exhaustive]
pub struct Issued {
    /// DER.
    pub certificate: Bytes,
    /// The private half of the certificate's key.
    pub key: IdentityKey,
}

/// The authority of one server: its certificate is the server's identity.
#[derive(Debug)]
pub struct Authority {
    certificate: Bytes,
    key: IdentityKey,
    name: Name,
}

impl Authority {
    /// A new authority, valid from a day before `now` for 999 999 days.
    ///
    /// # Errors
    /// When `now` is out of the range of certificates.
    pub fn generate(
        algorithm: Algorithm,
        entropy: &mut dyn Entropy,
        now: UnixTime,
    ) -> Result<Self, IssueError> {
        let key = IdentityKey::generate(algorithm, entropy);
        let name = Name::from_str("O=SimpleX,CN=SMP server CA").expect("the name is well-formed");
        let tbs = Tbs::new(&name, &key, &name, &key, validity(now)?, entropy)
            .with(&BasicConstraints { ca: true, path_len_constraint: None });
        Ok(Self { certificate: tbs.sign(&key), key, name })
    }

    /// An authority below this one, for chains of three and four certificates.
    ///
    /// # Errors
    /// When `now` is out of the range of certificates.
    pub fn issue_authority(
        &self,
        algorithm: Algorithm,
        entropy: &mut dyn Entropy,
        now: UnixTime,
    ) -> Result<Self, IssueError> {
        let key = IdentityKey::generate(algorithm, entropy);
        let name = subordinate_name(&key);
        let tbs = Tbs::new(&self.name, &self.key, &name, &key, validity(now)?, entropy)
            .with(&BasicConstraints { ca: true, path_len_constraint: None });
        Ok(Self { certificate: tbs.sign(&self.key), key, name })
    }

    /// An authority that exists, to issue another certificate for its server.
    ///
    /// # Errors
    /// When the certificate cannot be read or is of another key.
    pub fn load(certificate: Bytes, key: IdentityKey) -> Result<Self, IssueError> {
        let parsed = Parsed::new(&certificate)?;
        if parsed.key()? != key.public_key() {
            return Err(IssueError::KeyMismatch);
        }
        let name = parsed.certificate().tbs_certificate().subject().clone();
        Ok(Self { certificate, key, name })
    }

    /// The identity certificate, DER.
    #[must_use]
    pub const fn certificate(&self) -> &Bytes {
        &self.certificate
    }

    /// The authority's key.
    #[must_use]
    pub const fn key(&self) -> &IdentityKey {
        &self.key
    }

    /// A new key and certificate for the server to show in TLS, valid from a day before `now` for 999 999 days.
    ///
    /// # Errors
    /// When the host cannot be written in a certificate or `now` is out of range.
    pub fn issue(
        &self,
        subject: Subject<'_>,
        entropy: &mut dyn Entropy,
        now: UnixTime,
    ) -> Result<Issued, IssueError> {
        let key = IdentityKey::generate(subject.algorithm, entropy);
        let name = common_name(subject.host)?;
        let usage = KeyUsages::DigitalSignature | KeyUsages::NonRepudiation | KeyUsages::KeyAgreement;
        let tbs = Tbs::new(&self.name, &self.key, &name, &key, validity(now)?, entropy)
            .with(&BasicConstraints { ca: false, path_len_constraint: None })
            .with(&KeyUsage(usage))
            .with(&ExtendedKeyUsage(vec![SERVER_AUTH]))
            .with(&alternative_name(subject.host)?);
        Ok(Issued { certificate: tbs.sign(&self.key), key })
    }
}

/// A self-signed certificate and its key for a service that is a client of servers.
///
/// # Errors
/// When the name cannot be written in a certificate or `now` is out of range.
pub fn self_signed_client(
    name: &str,
    algorithm: Algorithm,
    entropy: &mut dyn Entropy,
    now: UnixTime,
) -> Result<Issued, IssueError> {
    let key = IdentityKey::generate(algorithm, entropy);
    let name = common_name(name)?;
    let tbs = Tbs::new(&name, &key, &name, &key, validity(now)?, entropy)
        .with(&BasicConstraints { ca: false, path_len_constraint: None });
    Ok(Issued { certificate: tbs.sign(&key), key })
}

/// The signed part of a certificate (RFC 5280 section 4.1).
#[derive(Sequence)]
struct Tbs {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    version: Version,
    serial_number: SerialNumber,
    signature: AlgorithmIdentifierOwned,
    issuer: Name,
    validity: Validity,
    subject: Name,
    subject_public_key_info: SubjectPublicKeyInfoOwned,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

impl Tbs {
    fn new(
        issuer: &Name,
        issuer_key: &IdentityKey,
        subject: &Name,
        key: &IdentityKey,
        validity: Validity,
        entropy: &mut dyn Entropy,
    ) -> Self {
        let mut serial = [0; 19];
        entropy.fill(&mut serial);
        // The first byte must not be zero, or the number has a shorter encoding.
        serial[0] |= 1;
        let authority_key_identifier = AuthorityKeyIdentifier {
            key_identifier: Some(key_identifier(issuer_key)),
            authority_cert_issuer: None,
            authority_cert_serial_number: None,
        };
        let tbs = Self {
            version: Version::V3,
            serial_number: SerialNumber::new(&serial).expect("19 bytes are less than the 20 allowed"),
            signature: algorithm_identifier(issuer_key),
            issuer: issuer.clone(),
            validity,
            subject: subject.clone(),
            subject_public_key_info: SubjectPublicKeyInfoOwned {
                algorithm: algorithm_identifier(key),
                subject_public_key: raw_key(key),
            },
            extensions: Vec::new(),
        };
        tbs.with(&SubjectKeyIdentifier(key_identifier(key))).with(&authority_key_identifier)
    }

    fn with<E>(mut self, extension: &E) -> Self
    where
        for<'a> &'a E: ToExtension<Error = der::Error>,
    {
        let extension = extension.to_extension(&self.subject, &self.extensions);
        self.extensions.push(extension.expect("an extension of a few bytes can be encoded"));
        self
    }

    fn sign(self, key: &IdentityKey) -> Bytes {
        let signed = self.to_der().expect("a certificate of a few hundred bytes can be encoded");
        let signature_value =
            BitString::from_bytes(raw_signature(&key.sign(&signed))).expect("a signature fits a BIT STRING");
        let signed = Signed { tbs: self, signature: algorithm_identifier(key), signature_value };
        Bytes::from(signed.to_der().expect("a certificate of a few hundred bytes can be encoded"))
    }
}

/// A certificate.
#[derive(Sequence)]
struct Signed {
    tbs: Tbs,
    signature: AlgorithmIdentifierOwned,
    signature_value: BitString,
}

fn algorithm_identifier(key: &IdentityKey) -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid: key.algorithm().oid(), parameters: None }
}

fn raw_key(key: &IdentityKey) -> BitString {
    let raw = match key.public_key() {
        AuthPublicKey::Ed25519(raw) | AuthPublicKey::X25519(raw) => BitString::from_bytes(&raw),
        AuthPublicKey::Ed448(raw) => BitString::from_bytes(&raw),
    };
    raw.expect("a key fits a BIT STRING")
}

/// The first 160 bits of the SHA-256 of the key (RFC 7093 section 2, method 1).
fn key_identifier(key: &IdentityKey) -> OctetString {
    let hash = Sha256::digest(raw_key(key).raw_bytes());
    let (identifier, _) = hash.split_at(20);
    OctetString::new(identifier).expect("20 bytes fit an OCTET STRING")
}

/// Authorities of one chain need different names, or the path between them is ambiguous.
fn subordinate_name(key: &IdentityKey) -> Name {
    let digits: String = key_identifier(key).as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    Name::from_str(&format!("O=SimpleX,CN=SMP server CA {digits}")).expect("the name is well-formed")
}

fn common_name(host: &str) -> Result<Name, IssueError> {
    // A name is given as text in which these characters have a meaning; no host has them.
    let forbidden =
        |c: char| c.is_control() || matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' | '#');
    if host.is_empty() || host.len() > 64 || host.contains(forbidden) {
        return Err(IssueError::Host);
    }
    Name::from_str(&format!("CN={host}")).map_err(|_| IssueError::Host)
}

fn alternative_name(host: &str) -> Result<SubjectAltName, IssueError> {
    let name = match core::net::IpAddr::from_str(host.trim_start_matches('[').trim_end_matches(']')) {
        Ok(core::net::IpAddr::V4(ip)) => OctetString::new(ip.octets().to_vec()).map(GeneralName::IpAddress),
        Ok(core::net::IpAddr::V6(ip)) => OctetString::new(ip.octets().to_vec()).map(GeneralName::IpAddress),
        Err(_) => Ia5String::new(host).map(GeneralName::DnsName),
    };
    name.map(|name| SubjectAltName(vec![name])).map_err(|_| IssueError::Host)
}

/// From a day before `now`, because the clocks of peers differ.
fn validity(now: UnixTime) -> Result<Validity, IssueError> {
    let first = u64::try_from(now.as_secs().saturating_sub(DAY)).map_err(|_| IssueError::Dates)?;
    let last =
        u64::try_from(now.as_secs().saturating_add(VALID_DAYS * DAY)).map_err(|_| IssueError::Dates)?;
    Ok(Validity::new(time(first)?, time(last)?))
}

/// UTCTime through 2049, then GeneralizedTime (RFC 5280 section 4.1.2.5).
fn time(secs: u64) -> Result<Time, IssueError> {
    let date = DateTime::from_unix_duration(Duration::from_secs(secs)).map_err(|_| IssueError::Dates)?;
    match UtcTime::from_date_time(date) {
        Ok(utc) => Ok(Time::UtcTime(utc)),
        Err(_) => Ok(Time::GeneralTime(GeneralizedTime::from_date_time(date))),
    }
}

/// Seconds of a day.
const DAY: i64 = 86_400;
/// How long the certificates of other SMP servers last: until about the year 4764.
const VALID_DAYS: i64 = 999_999;
/// `id-kp-serverAuth`.
const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
