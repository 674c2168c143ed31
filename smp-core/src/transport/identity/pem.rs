//! Certificates as text, and the fingerprint that people see in an address.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bytes::Bytes;
use der::pem::{self, LineEnding};

use super::fingerprint;

/// Why text is not a list of certificates.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PemError {
    /// There is no `CERTIFICATE` block.
    #[error("no CERTIFICATE block")]
    Empty,
    /// A `CERTIFICATE` block is cut off or is not base64.
    #[error("a CERTIFICATE block is malformed")]
    Malformed,
}

/// The certificates of all `CERTIFICATE` blocks, in their order; other blocks and text between them are skipped.
///
/// # Errors
/// When there is none, or one cannot be read.
pub fn certificates_from_pem(text: &str) -> Result<Vec<Bytes>, PemError> {
    let mut certificates = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(BEGIN) {
        let (_, block) = rest.split_at(start);
        let end = block.find(END).ok_or(PemError::Malformed)? + END.len();
        let (block, after) = block.split_at(end);
        let (_, der) = pem::decode_vec(block.as_bytes()).map_err(|_| PemError::Malformed)?;
        certificates.push(Bytes::from(der));
        rest = after;
    }
    if certificates.is_empty() { Err(PemError::Empty) } else { Ok(certificates) }
}

/// A `CERTIFICATE` block for each certificate.
#[must_use]
pub fn certificates_to_pem(certificates: &[Bytes]) -> String {
    let block = |certificate: &Bytes| {
        pem::encode_string("CERTIFICATE", LineEnding::LF, certificate)
            .expect("the label has no forbidden character")
    };
    certificates.iter().map(block).collect()
}

/// The fingerprint of an identity certificate as it stands in an address: base64url of its SHA-256, with padding.
#[must_use]
pub fn fingerprint_text(certificate: &[u8]) -> String {
    URL_SAFE.encode(fingerprint(certificate))
}

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_both_ways_with_text_around() {
        let certificates = vec![Bytes::from(vec![1; 100]), Bytes::from_static(&[2])];
        let text = certificates_to_pem(&certificates);
        let around = format!("Certificate:\n    Data\n{}bag\n", text.replace('\n', "\r\n"));
        assert_eq!(certificates_from_pem(&text), Ok(certificates.clone()));
        assert_eq!(certificates_from_pem(&around), Ok(certificates));
    }

    #[test]
    fn what_is_not_a_certificate_is_refused() {
        let text = certificates_to_pem(&[Bytes::from_static(b"der")]);
        assert_eq!(certificates_from_pem(""), Err(PemError::Empty));
        assert_eq!(certificates_from_pem(&text.replace("CERTIFICATE", "PRIVATE KEY")), Err(PemError::Empty));
        for end in BEGIN.len()..text.trim_end().len() {
            assert_eq!(certificates_from_pem(&text[..end]), Err(PemError::Malformed), "{end}");
        }
        assert_eq!(certificates_from_pem(&text.replace("ZG", "Z!")), Err(PemError::Malformed));
    }
}
