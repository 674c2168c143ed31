//! Which of a server's hosts to use, and how a connection to one of them is opened.

use std::io;
use std::net::IpAddr;

use smp_core::wire::{Host, ServerAddress};

use super::ConnectError;
use crate::Runtime;
use crate::addresses::is_public;
use crate::socks::{Destination, Socks, SocksMode};

/// Which of a server's hosts come first. Onion names are reached through a SOCKS proxy only: they are never given to the
/// name service.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum HostMode {
    /// In the order of the address.
    #[default]
    InOrder,
    /// Domains and IP addresses before onion names.
    Public,
    /// Onion names before others.
    Onion,
}

/// How connections are opened.
#[derive(Clone, Default)]
pub(super) struct Dialing {
    pub(super) hosts: HostMode,
    /// Hosts of the other kind than `hosts` are not used at all.
    pub(super) required: bool,
    pub(super) socks: Option<Socks>,
    /// Nothing but addresses of the public internet is connected to.
    pub(super) public_only: bool,
}

impl Dialing {
    /// The hosts to try, in order.
    pub(super) fn candidates<'a>(&self, server: &'a ServerAddress) -> Result<Vec<&'a Host>, ConnectError> {
        let (mut hosts, others): (Vec<_>, Vec<_>) =
            server.hosts().iter().partition(|host| match self.hosts {
                HostMode::InOrder => true,
                HostMode::Public => !host.is_onion(),
                HostMode::Onion => host.is_onion(),
            });
        if !self.required {
            hosts.extend(others);
        }
        if hosts.is_empty() {
            return Err(ConnectError::NoHost);
        }
        hosts.retain(|host| self.socks.is_some() || !host.is_onion());
        if hosts.is_empty() { Err(ConnectError::OnionOnly) } else { Ok(hosts) }
    }

    /// Opens a connection to a host.
    pub(super) async fn open<R: Runtime>(
        &self,
        runtime: &R,
        host: &Host,
        port: u16,
    ) -> Result<R::Stream, ConnectError> {
        let socks = self.socks.as_ref().filter(|socks| host.is_onion() || socks.mode == SocksMode::Always);
        let Some(socks) = socks else {
            let name = match host {
                Host::Ipv4(address) => address.to_string(),
                Host::Ipv6(address) => address.to_string(),
                Host::Domain(name) | Host::Onion(name) => name.as_str().to_owned(),
            };
            return connect_any(runtime, &name, port, self.public_only).await;
        };
        let destination = match host {
            Host::Ipv4(address) => Destination::Address(IpAddr::V4(*address)),
            Host::Ipv6(address) => Destination::Address(IpAddr::V6(*address)),
            Host::Domain(name) | Host::Onion(name) => Destination::Name(name.as_str().to_owned()),
        };
        if self.public_only && !may_be_public(&destination) {
            return Err(ConnectError::PrivateAddress);
        }
        let mut stream = connect_any(runtime, &socks.host, socks.port, false).await?;
        socks
            .connect(&mut stream, &destination, port)
            .await
            .map_err(|error| ConnectError::Io(error.kind()))?;
        Ok(stream)
    }
}

/// Connects to the first address of a host that takes the connection.
///
/// What is checked is the address that is connected to, so a name that is resolved otherwise the next time changes nothing.
async fn connect_any<R: Runtime>(
    runtime: &R,
    host: &str,
    port: u16,
    public_only: bool,
) -> Result<R::Stream, ConnectError> {
    let io = |error: io::Error| ConnectError::Io(error.kind());
    let mut failure = ConnectError::Io(io::ErrorKind::NotFound);
    for address in runtime.resolve(host, port).await.map_err(io)? {
        if public_only && !is_public(address.ip()) {
            failure = ConnectError::PrivateAddress;
            continue;
        }
        match runtime.connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = io(error),
        }
    }
    Err(failure)
}

/// A SOCKS proxy resolves names itself, so only what names a private place openly is known for one here.
fn may_be_public(destination: &Destination) -> bool {
    match destination {
        Destination::Address(address) => is_public(*address),
        Destination::Name(name) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            let last = name.rsplit_once('.').map(|(_, last)| last);
            // A name that ends in a number is an address in disguise (RFC 3986 section 3.2.2).
            last.is_some_and(|last| {
                !last.eq_ignore_ascii_case("localhost") && !last.starts_with(|c: char| c.is_ascii_digit())
            })
        }
    }
}
