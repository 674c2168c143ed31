//! A server for tests, and how it is reached.

use std::net::SocketAddr;

use smp_core::SeededEntropy;
use smp_core::transport::identity::{Algorithm, Authority, ServerIdentity, Subject};
use smp_core::transport::{ServerOptions, ServerTransportConfig};
use smp_core::wire::{Host, ServerAddress};

use crate::Runtime;
use crate::testing::TestRuntime;

/// Where the server of a test listens.
pub(crate) const LISTENS_ON: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5223);

/// Who the server is.
pub(crate) fn transport() -> ServerTransportConfig {
    transport_of([1; 32])
}

/// Who the server is whose identity is made of `seed`.
pub(crate) fn transport_of(seed: [u8; 32]) -> ServerTransportConfig {
    ServerTransportConfig::new(identity(seed), ServerOptions::default()).unwrap()
}

/// Its address.
pub(crate) fn server_address() -> ServerAddress {
    address(&["127.0.0.1"], [1; 32])
}

/// The address of the server whose identity is made of `seed`, at some hosts.
pub(crate) fn address(hosts: &[&str], seed: [u8; 32]) -> ServerAddress {
    let hosts = hosts.iter().map(|host| host.parse::<Host>().unwrap()).collect();
    ServerAddress::new(hosts, None, *identity(seed).fingerprint()).unwrap()
}

fn identity(seed: [u8; 32]) -> ServerIdentity {
    let now = TestRuntime::default().now().unix;
    let mut entropy = SeededEntropy::new(seed);
    let authority = Authority::generate(Algorithm::Ed25519, &mut entropy, now).unwrap();
    let subject = Subject { host: "localhost", algorithm: Algorithm::Ed25519 };
    let issued = authority.issue(subject, &mut entropy, now).unwrap();
    ServerIdentity::new(vec![issued.certificate, authority.certificate().clone()], issued.key, now).unwrap()
}
