//! Who is let in.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::event::Refusal;
use super::limits::ServeLimits;

/// Counts connections, in all and by network.
pub(crate) struct Admission {
    limits: ServeLimits,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connections: usize,
    networks: HashMap<IpAddr, usize>,
}

impl Admission {
    pub(crate) fn new(limits: ServeLimits) -> Arc<Self> {
        Arc::new(Self { limits, state: Mutex::default() })
    }

    /// Lets a connection in, until the permit is dropped.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Permit, Refusal> {
        let network = network(address);
        let mut state = self.lock();
        if state.connections >= self.limits.connections {
            return Err(Refusal::Full);
        }
        if let Some(network) = network {
            let count = state.networks.get(&network).copied().unwrap_or(0);
            if count >= self.limits.connections_per_address {
                return Err(Refusal::AddressFull);
            }
            state.networks.insert(network, count + 1);
        }
        state.connections += 1;
        Ok(Permit { admission: Arc::clone(self), network })
    }

    /// Connections now.
    pub(crate) fn connections(&self) -> usize {
        self.lock().connections
    }

    fn leave(&self, network: Option<IpAddr>) {
        let mut state = self.lock();
        state.connections -= 1;
        if let Some(network) = network
            && let Some(count) = state.networks.get_mut(&network)
        {
            *count -= 1;
            if *count == 0 {
                state.networks.remove(&network);
            }
        }
    }

    /// The counters are changed together and cannot be left half-way, so a poisoned lock is as good as new.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to be served.
pub(crate) struct Permit {
    admission: Arc<Admission>,
    network: Option<IpAddr>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission.leave(self.network);
    }
}

/// What connections are counted by: an IPv4 address, the /64 of an IPv6 address, nothing on this machine.
fn network(address: IpAddr) -> Option<IpAddr> {
    let address = address.to_canonical();
    match address {
        _ if address.is_loopback() => None,
        IpAddr::V4(_) => Some(address),
        IpAddr::V6(address) => Some(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn admission(connections: usize, connections_per_address: usize) -> Arc<Admission> {
        Admission::new(ServeLimits { connections, connections_per_address, ..ServeLimits::default() })
    }

    #[test]
    fn refuses_above_each_limit_until_a_connection_leaves() {
        let admission = admission(3, 2);
        let first = admission.admit(address("192.0.2.1")).unwrap();
        let _second = admission.admit(address("::ffff:192.0.2.1")).unwrap();
        assert_eq!(admission.admit(address("192.0.2.1")).err(), Some(Refusal::AddressFull));
        let _third = admission.admit(address("192.0.2.2")).unwrap();
        assert_eq!(admission.admit(address("192.0.2.3")).err(), Some(Refusal::Full));
        drop(first);
        assert!(admission.admit(address("192.0.2.1")).is_ok());
    }

    #[test]
    fn counts_ipv6_by_its_network_and_this_machine_not_at_all() {
        let admission = admission(10, 1);
        let _first = admission.admit(address("2001:db8::1")).unwrap();
        assert_eq!(admission.admit(address("2001:db8::ffff:2")).err(), Some(Refusal::AddressFull));
        let _other = admission.admit(address("2001:db8:0:1::1")).unwrap();
        let local: Vec<_> =
            ["127.0.0.1", "::1", "127.0.0.1"].iter().map(|local| admission.admit(address(local))).collect();
        assert!(local.iter().all(Result::is_ok));
    }

    #[test]
    fn forgets_networks_without_connections() {
        let admission = admission(10, 10);
        drop(admission.admit(address("192.0.2.1")).unwrap());
        assert!(admission.lock().networks.is_empty());
        assert_eq!(admission.connections(), 0);
    }
}
