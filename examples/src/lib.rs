//! Runnable examples: see `examples/`. Here is what several of them share.

/// The code in the README is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// So is the code in the guide for developers.
#[cfg(doctest)]
#[doc = include_str!("../../docs/developers.md")]
pub struct Developers;

use std::error::Error;
use std::net::Ipv4Addr;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use smp_core::server::ServerConfig;
use smp_core::transport::identity::{Algorithm, Authority, ServerIdentity, Subject};
use smp_core::transport::{ServerOptions, ServerTransportConfig};
use smp_core::wire::ServerAddress;
use smp_core::{Now, SeededEntropy, Timestamp, UnixTime};
use smp_runtime::Runtime;
use smp_runtime::server::{Server, ServerHandle};
use smp_storage::Memory;

/// What an example ends with.
pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Both clocks of a shell.
#[derive(Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    /// A clock whose monotonic time begins here.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time that machines are given.
    #[must_use]
    pub fn now(self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            mono: Timestamp::from_micros(u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)),
            unix: UnixTime::from_millis(i64::try_from(unix.as_millis()).unwrap_or(i64::MAX)),
        }
    }
}

/// Randomness of the operating system, for one machine and all that it makes.
///
/// # Errors
/// Without randomness.
pub fn entropy() -> Outcome<SeededEntropy> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(SeededEntropy::new(seed))
}

/// Who a new server is. A program keeps it in files.
///
/// # Errors
/// Without randomness.
pub fn new_identity() -> Outcome<ServerIdentity> {
    let (entropy, now) = (&mut entropy()?, Clock::start().now().unix);
    let authority = Authority::generate(Algorithm::Ed25519, entropy, now)?;
    let issued =
        authority.issue(Subject { host: "localhost", algorithm: Algorithm::Ed25519 }, entropy, now)?;
    Ok(ServerIdentity::new(vec![issued.certificate, authority.certificate().clone()], issued.key, now)?)
}

/// The address of a server on this machine. It names the place and pins the identity: whoever has it connects to this server or
/// to none.
///
/// # Errors
/// Never for a port of this machine.
pub fn local_address(identity: &ServerIdentity, port: u16) -> Outcome<ServerAddress> {
    Ok(ServerAddress::new(vec!["127.0.0.1".parse()?], Some(port), *identity.fingerprint())?)
}

/// A server in memory on a free port of this machine, and its address, for examples that are about something else.
///
/// # Errors
/// Without randomness, or a port.
pub async fn server_in_memory<R: Runtime>(on: &R) -> Outcome<(ServerHandle<R, Memory>, ServerAddress)> {
    let identity = new_identity()?;
    let transport = ServerTransportConfig::new(identity.clone(), ServerOptions::default())?;
    let server = Server::new(on.clone(), Memory::new(), transport, ServerConfig::default());
    let server = server.serve(&[(Ipv4Addr::LOCALHOST, 0).into()]).await?;
    let address = local_address(&identity, server.addresses()[0].port())?;
    Ok((server, address))
}
