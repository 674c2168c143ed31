//! Which of a user's servers is used for what.

use super::UserServer;
use crate::Entropy;
use crate::wire::ServerAddress;

/// What a server is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServerRole {
    /// To hold queues.
    Storage,
    /// To forward commands to other servers.
    Proxy,
    /// To resolve names.
    Names,
}

/// What a server may be asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ServerRoles {
    /// To hold queues.
    pub storage: bool,
    /// To forward commands to other servers.
    pub proxy: bool,
    /// To resolve names.
    pub names: bool,
}

impl ServerRoles {
    /// Everything.
    pub const ALL: Self = Self { storage: true, proxy: true, names: true };

    /// Whether a role is among them.
    #[must_use]
    pub const fn has(self, role: ServerRole) -> bool {
        match role {
            ServerRole::Storage => self.storage,
            ServerRole::Proxy => self.proxy,
            ServerRole::Names => self.names,
        }
    }
}

impl UserServer {
    /// A server for everything, of nobody known, that asks for no password.
    #[must_use]
    pub const fn new(address: ServerAddress) -> Self {
        Self { address, password: None, operator: None, roles: ServerRoles::ALL, is_enabled: true }
    }
}

/// One of these servers at random: enabled, with the role, of an operator that is not used yet by what it is for, not used
/// itself, nor another one with its hosts. Each of these wishes is dropped, in turn, when no server would be left.
pub(super) fn choose<'a>(
    servers: &'a [UserServer],
    role: ServerRole,
    used: &[ServerAddress],
    entropy: &mut impl Entropy,
) -> Option<&'a UserServer> {
    let shares_host = |server: &UserServer| {
        let is_used = |host| used.iter().any(|used| used.hosts().contains(host));
        server.address.hosts().iter().any(is_used)
    };
    let operators: Vec<_> =
        servers.iter().filter(|server| shares_host(server)).filter_map(|server| server.operator).collect();
    let mut left: Vec<&UserServer> = servers.iter().collect();
    let mut wish = |is_right: &dyn Fn(&UserServer) -> bool| {
        if left.iter().any(|server| is_right(server)) {
            left.retain(|server| is_right(server));
        }
    };
    wish(&|server| server.is_enabled);
    wish(&|server| server.roles.has(role));
    wish(&|server| server.operator.is_none_or(|operator| !operators.contains(&operator)));
    // Of one host there may be several, on ports of their own.
    wish(&|server| !used.contains(&server.address));
    wish(&|server| !shares_host(server));
    let mut random = [0; 8];
    entropy.fill(&mut random);
    let count = u64::try_from(left.len()).ok().filter(|count| *count > 0)?;
    left.get(usize::try_from(u64::from_be_bytes(random) % count).ok()?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededEntropy;

    fn server(host: &str, operator: Option<u64>) -> UserServer {
        let address = ServerAddress::new(vec![host.parse().unwrap()], None, [1; 32]).unwrap();
        UserServer { operator, ..UserServer::new(address) }
    }

    /// Whatever may be chosen, by host.
    fn choices(servers: &[UserServer], role: ServerRole, used: &[&str]) -> Vec<String> {
        let used: Vec<_> = used.iter().map(|host| server(host, None).address).collect();
        let mut entropy = SeededEntropy::new([1; 32]);
        let chosen = (0..200).filter_map(|_| choose(servers, role, &used, &mut entropy));
        let mut hosts: Vec<_> = chosen.map(|server| server.address.hosts()[0].to_string()).collect();
        hosts.sort();
        hosts.dedup();
        hosts
    }

    #[test]
    fn another_operator_then_another_host() {
        let servers =
            [server("a.example", Some(1)), server("b.example", Some(1)), server("c.example", Some(2))];
        let storage = ServerRole::Storage;
        assert_eq!(choices(&servers, storage, &[]), ["a.example", "b.example", "c.example"]);
        assert_eq!(choices(&servers, storage, &["a.example"]), ["c.example"]);
        assert_eq!(choices(&servers, storage, &["c.example"]), ["a.example", "b.example"]);
        // All operators are used: another host.
        assert_eq!(choices(&servers, storage, &["a.example", "c.example"]), ["b.example"]);
        let all = ["a.example", "b.example", "c.example"];
        assert_eq!(choices(&servers, storage, &all), all);
        assert_eq!(choices(&servers, storage, &["unknown.example"]), all);
        assert_eq!(choices(&servers[..1], storage, &["a.example"]), ["a.example"]);
        assert!(choices(&[], storage, &[]).is_empty());
        // Another server on the same host, if there is no other host.
        let on_port =
            |port| ServerAddress::new(vec!["a.example".parse().unwrap()], Some(port), [1; 32]).unwrap();
        let ports = [1, 2].map(|port| UserServer::new(on_port(port)));
        let mut entropy = SeededEntropy::new([1; 32]);
        let mut other = || choose(&ports, storage, &[on_port(1)], &mut entropy).unwrap().address.clone();
        assert!((0..50).all(|_| other() == on_port(2)), "another server on the same host");
        // Nobody's servers are of one operator each.
        let nobodys = [server("a.example", None), server("b.example", None)];
        assert_eq!(choices(&nobodys, storage, &["a.example"]), ["b.example"]);
    }

    #[test]
    fn a_server_has_its_roles_unless_none_is_left() {
        let mut servers = [server("a.example", None), server("b.example", None), server("c.example", None)];
        servers[0].roles.storage = false;
        servers[1].is_enabled = false;
        servers[2].roles = ServerRoles { proxy: false, ..ServerRoles::ALL };
        assert_eq!(choices(&servers, ServerRole::Storage, &[]), ["c.example"]);
        assert_eq!(choices(&servers, ServerRole::Storage, &["c.example"]), ["c.example"]);
        assert_eq!(choices(&servers, ServerRole::Proxy, &[]), ["a.example"]);
        assert_eq!(choices(&servers, ServerRole::Names, &[]), ["a.example", "c.example"]);
        servers[2].roles.storage = false;
        assert_eq!(choices(&servers, ServerRole::Storage, &[]), ["a.example", "c.example"]);
        servers.iter_mut().for_each(|server| server.is_enabled = false);
        assert_eq!(choices(&servers, ServerRole::Storage, &[]), ["b.example"]);
    }
}
