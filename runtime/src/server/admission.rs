//! Who is let in.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use smp_core::Timestamp;
use smp_core::server::Limits;

use super::event::Refusal;

/// Counts connections, in all and by network.
pub(crate) struct Admission {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connections: usize,
    handshakes: usize,
    web: usize,
    networks: HashMap<IpAddr, usize>,
    /// Connections that were accepted since `recent_since`, so its size is bounded by their number.
    recent: HashMap<IpAddr, usize>,
    recent_since: Timestamp,
}

impl Admission {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, state: Mutex::default() })
    }

    /// Lets a connection in, until the permit is dropped; its handshake counts until the other is.
    ///
    /// Behind a proxy there is no address until [`Self::identify`] is told it.
    pub(crate) fn admit(
        self: &Arc<Self>,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<(Permit, Handshaking), Refusal> {
        let network = address.and_then(network);
        let mut state = self.lock();
        if state.connections >= self.limits.connections {
            return Err(Refusal::Full);
        }
        self.check_network(&mut state, network, now)?;
        if state.handshakes >= self.limits.handshakes {
            return Err(Refusal::Handshakes);
        }
        state.count(network);
        state.connections += 1;
        state.handshakes += 1;
        Ok((Permit { admission: Arc::clone(self), network }, Handshaking(Arc::clone(self))))
    }

    /// Counts a connection that has a permit by the address that its proxy tells.
    pub(crate) fn identify(
        &self,
        permit: &mut Permit,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let network = network(address);
        let mut state = self.lock();
        self.check_network(&mut state, network, now)?;
        state.count(network);
        permit.network = network;
        Ok(())
    }

    /// Lets a connection of the web in, until the permit is dropped.
    pub(crate) fn admit_web(self: &Arc<Self>) -> Result<WebPermit, Refusal> {
        let mut state = self.lock();
        if state.web >= self.limits.http_connections {
            return Err(Refusal::Web);
        }
        state.web += 1;
        Ok(WebPermit(Arc::clone(self)))
    }

    /// Connections now.
    pub(crate) fn connections(&self) -> usize {
        self.lock().connections
    }

    fn check_network(
        &self,
        state: &mut State,
        network: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let Some(network) = network else { return Ok(()) };
        if state.networks.get(&network).is_some_and(|open| *open >= self.limits.connections_per_address) {
            return Err(Refusal::AddressFull);
        }
        state.forget_recent(now, self.limits.new_connections_interval);
        let limit = self.limits.new_connections_per_address;
        if state.recent.get(&network).is_some_and(|recent| *recent >= limit) {
            return Err(Refusal::AddressTooFast);
        }
        Ok(())
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

impl State {
    fn count(&mut self, network: Option<IpAddr>) {
        if let Some(network) = network {
            *self.networks.entry(network).or_default() += 1;
            *self.recent.entry(network).or_default() += 1;
        }
    }

    /// Begins to count anew when an interval is over. The room is given back.
    fn forget_recent(&mut self, now: Timestamp, interval: Duration) {
        if self.recent_since + interval <= now {
            self.recent = HashMap::new();
            self.recent_since = now;
        }
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

/// A connection that has not finished its handshake.
pub(crate) struct Handshaking(Arc<Admission>);

impl Drop for Handshaking {
    fn drop(&mut self) {
        self.0.lock().handshakes -= 1;
    }
}

/// The right to be served by the web site.
pub(crate) struct WebPermit(Arc<Admission>);

impl Drop for WebPermit {
    fn drop(&mut self) {
        self.0.lock().web -= 1;
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

    const SECOND: Duration = Duration::from_secs(1);

    fn admission(change: impl FnOnce(&mut Limits)) -> Arc<Admission> {
        let mut limits = Limits::default();
        change(&mut limits);
        Admission::new(limits)
    }

    fn admit_at(
        admission: &Arc<Admission>,
        from: &str,
        now: Timestamp,
    ) -> Result<(Permit, Handshaking), Refusal> {
        admission.admit(Some(from.parse().unwrap()), now)
    }

    fn admit(admission: &Arc<Admission>, from: &str) -> Result<(Permit, Handshaking), Refusal> {
        admit_at(admission, from, Timestamp::ZERO)
    }

    #[test]
    fn refuses_above_each_limit_until_a_connection_leaves() {
        let admission = admission(|limits| (limits.connections, limits.connections_per_address) = (3, 2));
        let first = admit(&admission, "192.0.2.1").unwrap();
        let _second = admit(&admission, "::ffff:192.0.2.1").unwrap();
        assert_eq!(admit(&admission, "192.0.2.1").err(), Some(Refusal::AddressFull));
        let _third = admit(&admission, "192.0.2.2").unwrap();
        assert_eq!(admit(&admission, "192.0.2.3").err(), Some(Refusal::Full));
        drop(first);
        assert!(admit(&admission, "192.0.2.1").is_ok());
    }

    #[test]
    fn refuses_above_the_limit_of_handshakes_until_one_is_over() {
        let admission = admission(|limits| limits.handshakes = 2);
        let (_first, first_handshake) = admit(&admission, "192.0.2.1").unwrap();
        let _second = admit(&admission, "127.0.0.1").unwrap();
        assert_eq!(admit(&admission, "192.0.2.3").err(), Some(Refusal::Handshakes));
        drop(first_handshake);
        assert!(admit(&admission, "192.0.2.3").is_ok());
        assert_eq!(admission.connections(), 2);
    }

    #[test]
    fn counts_new_connections_of_an_address_for_an_interval() {
        let admission = admission(|limits| {
            (limits.new_connections_per_address, limits.new_connections_interval) = (2, 10 * SECOND);
        });
        let at = |seconds: u32| Timestamp::ZERO + seconds * SECOND;
        // They leave at once: what counts is that they came.
        for seconds in [1, 9] {
            assert!(admit_at(&admission, "192.0.2.1", at(seconds)).is_ok());
        }
        assert_eq!(admit_at(&admission, "192.0.2.1", at(9)).err(), Some(Refusal::AddressTooFast));
        assert!(admit_at(&admission, "192.0.2.2", at(9)).is_ok());
        assert!(admit_at(&admission, "192.0.2.1", at(10)).is_ok());
        // Who is refused is not counted.
        assert!(admit_at(&admission, "192.0.2.1", at(10)).is_ok());
        assert!(admit_at(&admission, "192.0.2.1", at(10)).is_err());
        assert!(admit_at(&admission, "192.0.2.1", at(20)).is_ok());
    }

    #[test]
    fn counts_ipv6_by_its_network_and_this_machine_not_at_all() {
        let admission = admission(|limits| {
            (limits.connections_per_address, limits.new_connections_per_address) = (1, 1);
        });
        let _first = admit(&admission, "2001:db8::1").unwrap();
        assert_eq!(admit(&admission, "2001:db8::ffff:2").err(), Some(Refusal::AddressFull));
        let _other = admit(&admission, "2001:db8:0:1::1").unwrap();
        let local: Vec<_> = ["127.0.0.1", "::1", "127.0.0.1"].map(|local| admit(&admission, local)).into();
        assert!(local.iter().all(Result::is_ok));
    }

    #[test]
    fn behind_a_proxy_the_address_counts_that_it_tells() {
        let admission = admission(|limits| limits.connections_per_address = 1);
        let (mut first, _) = admission.admit(None, Timestamp::ZERO).unwrap();
        let (mut second, _) = admission.admit(None, Timestamp::ZERO).unwrap();
        let address = "192.0.2.1".parse().unwrap();
        assert_eq!(admission.identify(&mut first, address, Timestamp::ZERO), Ok(()));
        let refused = admission.identify(&mut second, address, Timestamp::ZERO);
        assert_eq!(refused, Err(Refusal::AddressFull));
        drop(first);
        assert_eq!(admission.identify(&mut second, address, Timestamp::ZERO), Ok(()));
        drop(second);
        assert!(admission.lock().networks.is_empty());
    }

    #[test]
    fn the_web_has_a_limit_of_its_own() {
        let admission = admission(|limits| limits.http_connections = 1);
        let first = admission.admit_web().unwrap();
        assert_eq!(admission.admit_web().err(), Some(Refusal::Web));
        drop(first);
        assert!(admission.admit_web().is_ok());
    }

    #[test]
    fn forgets_networks_without_connections() {
        let admission = admission(|_| {});
        drop(admit(&admission, "192.0.2.1").unwrap());
        assert!(admission.lock().networks.is_empty());
        assert_eq!((admission.connections(), admission.lock().handshakes), (0, 0));
        let later = Timestamp::ZERO + Limits::default().new_connections_interval;
        drop(admit_at(&admission, "192.0.2.2", later).unwrap());
        assert_eq!(admission.lock().recent.len(), 1);
    }
}
