//! Which of a server's hosts to use, and how a connection to one of them is opened.

use std::net::IpAddr;

use smp_core::wire::{Host, ServerAddress};

use super::ConnectError;
use crate::Runtime;
use crate::addresses::is_public;
use crate::connect::{Unreachable, connect_to};
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
    /// Onion names before others when there is a SOCKS proxy, else after them.
    OnionViaSocks,
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
                HostMode::OnionViaSocks => host.is_onion() == self.socks.is_some(),
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
            let allowed = |address| !self.public_only || is_public(address);
            return Ok(connect_to(runtime, &host.without_brackets(), port, allowed).await?);
        };
        let destination = match host {
            Host::Ipv4(address) => Destination::Address(IpAddr::V4(*address)),
            Host::Ipv6(address) => Destination::Address(IpAddr::V6(*address)),
            Host::Domain(name) | Host::Onion(name) => Destination::Name(name.as_str().to_owned()),
        };
        if self.public_only && !may_be_public(&destination) {
            return Err(ConnectError::PrivateAddress);
        }
        let mut stream = connect_to(runtime, &socks.host, socks.port, |_| true).await.map_err(|why| {
            match ConnectError::from(why) {
                ConnectError::Io(kind) => ConnectError::Socks(kind),
                why => why,
            }
        })?;
        socks
            .connect(&mut stream, &destination, port)
            .await
            .map_err(|error| ConnectError::Socks(error.kind()))?;
        Ok(stream)
    }
}

impl From<Unreachable> for ConnectError {
    fn from(why: Unreachable) -> Self {
        match why {
            Unreachable::Forbidden => Self::PrivateAddress,
            Unreachable::Io(kind) => Self::Io(kind),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(dialing: &Dialing, hosts: &[&str]) -> Result<Vec<String>, ConnectError> {
        let hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
        let server = ServerAddress::new(hosts, None, [1; 32]).unwrap();
        Ok(dialing.candidates(&server)?.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_mode_decides_on_order_and_socks_on_onion_names() {
        use HostMode::{InOrder, Onion, OnionViaSocks, Public};
        let (both, onion, public) = (["a.onion", "a.example"], ["a.onion"], ["a.example"]);
        let socks = || Some(Socks::new("localhost", 9050, SocksMode::Onion));
        for (mode, required, proxy, given, expected) in [
            (InOrder, false, true, &both[..], Ok(&["a.onion", "a.example"][..])),
            (InOrder, false, false, &both, Ok(&["a.example"])),
            (Public, false, true, &both, Ok(&["a.example", "a.onion"])),
            (Public, true, true, &both, Ok(&["a.example"])),
            (Onion, false, true, &both, Ok(&["a.onion", "a.example"])),
            (OnionViaSocks, false, true, &both, Ok(&["a.onion", "a.example"])),
            (OnionViaSocks, true, true, &both, Ok(&["a.onion"])),
            (OnionViaSocks, false, false, &both, Ok(&["a.example"])),
            (OnionViaSocks, true, false, &onion, Err(ConnectError::NoHost)),
            (Onion, true, true, &both, Ok(&["a.onion"])),
            (Onion, false, false, &both, Ok(&["a.example"])),
            (Onion, true, false, &both, Err(ConnectError::OnionOnly)),
            (Onion, true, true, &public, Err(ConnectError::NoHost)),
            (Public, true, true, &onion, Err(ConnectError::NoHost)),
            (Public, false, false, &onion, Err(ConnectError::OnionOnly)),
        ] {
            let socks = if proxy { socks() } else { None };
            let dialing = Dialing { hosts: mode, required, socks, public_only: true };
            let expected = expected.map(|hosts| hosts.iter().map(|host| (*host).to_owned()).collect());
            assert_eq!(hosts(&dialing, given), expected, "{mode:?} {required} {proxy}");
        }
    }

    #[test]
    fn names_of_private_places_are_not_given_to_a_socks_proxy() {
        let name = |name: &str| may_be_public(&Destination::Name(name.to_owned()));
        assert!(name("a.example") && name("a.example.") && name("a.onion") && name("1.example"));
        for private in ["localhost", "a.localhost", "A.LOCALHOST.", "router", "127.1", "1.2.3.4", "10.0x7f"] {
            assert!(!name(private), "{private}");
        }
        assert!(!may_be_public(&Destination::Address(IpAddr::from([10, 0, 0, 1]))));
        assert!(may_be_public(&Destination::Address(IpAddr::from([8, 8, 8, 8]))));
    }
}
