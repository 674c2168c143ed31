//! What tests of the web site have in common.

use std::net::SocketAddr;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::CertificateDer;

use crate::harness::{Place, Serving};

/// Gives the place a certificate for its web site.
pub(crate) fn certify(place: &Place) -> CertificateDer<'static> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(place.file("web.crt"), cert.pem()).unwrap();
    std::fs::write(place.file("web.key"), signing_key.serialize_pem()).unwrap();
    cert.der().clone()
}

/// The address in the line that starts so.
pub(crate) fn address(serving: &Serving, start: &str) -> SocketAddr {
    let line = serving.line(start);
    let line = line.split_once(' ').map_or(line, |(address, _)| address).trim_end_matches(':');
    line.parse().unwrap_or_else(|_| panic!("{line}"))
}
