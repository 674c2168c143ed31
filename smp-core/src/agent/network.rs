//! How servers are reached: which sessions are shared, and which commands go through a proxy.

use super::UserServer;
use crate::wire::ServerAddress;

/// How servers are reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NetworkConfig {
    /// Which sessions with a server are shared.
    pub sessions: SessionMode,
    /// When what is sent goes through a proxy.
    pub proxy: ProxyMode,
    /// When it goes without one, because the proxy cannot reach the server.
    pub fallback: ProxyFallback,
    /// There is a SOCKS proxy, so that servers do not see our address.
    pub has_socks: bool,
    /// Onion names are preferred, so that servers that have one do not see our address.
    pub prefers_onion: bool,
}

/// Which sessions with a server are shared, and which connections of a SOCKS proxy may have a circuit in common: those with the
/// same user name, see [`AgentOutput::Connect`](super::AgentOutput::Connect).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SessionMode {
    /// One session for each user and server. All of a user may share a circuit, for ever.
    User,
    /// Likewise, but the circuits are others after each start of the agent, and when it is told to connect anew.
    #[default]
    Session,
    /// Likewise, and each server has a circuit of its own.
    Server,
    /// One session, and one circuit, for each connection.
    Entity,
}

/// When SEND, SKEY, LKEY and LGET go through a proxy, one of the user's servers, so that the destination does not see the
/// address of who sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ProxyMode {
    /// Always.
    Always,
    /// To servers that are none of the user's.
    Unknown,
    /// To servers that are none of the user's, when they would see our address.
    Unprotected,
    /// Never.
    #[default]
    Never,
}

/// When a command is sent without a proxy after the proxy could not reach the destination: the destination's address is unknown
/// to it, or the two speak no common version. Other failures are tried again through a proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ProxyFallback {
    /// Always.
    #[default]
    Allow,
    /// When the destination does not see our address.
    Protected,
    /// Never.
    Prohibit,
}

impl NetworkConfig {
    /// Whether what is sent to a server goes through a proxy.
    pub(super) fn uses_proxy(&self, servers: &[UserServer], destination: &ServerAddress) -> bool {
        match self.proxy {
            ProxyMode::Always => true,
            ProxyMode::Unknown => is_unknown(servers, destination),
            ProxyMode::Unprotected => !self.protects(destination) && is_unknown(servers, destination),
            ProxyMode::Never => false,
        }
    }

    /// Whether what the proxy could not forward is sent without it.
    pub(super) fn falls_back(&self, destination: &ServerAddress) -> bool {
        match self.fallback {
            ProxyFallback::Allow => true,
            ProxyFallback::Protected => self.protects(destination),
            ProxyFallback::Prohibit => false,
        }
    }

    /// Whether a server does not see our address.
    fn protects(&self, destination: &ServerAddress) -> bool {
        let has_onion = destination.hosts().iter().any(crate::wire::Host::is_onion);
        self.has_socks || (self.prefers_onion && has_onion)
    }
}

/// Whether a server is none of these, whatever its name.
fn is_unknown(servers: &[UserServer], destination: &ServerAddress) -> bool {
    let mut known = servers.iter().flat_map(|server| server.address.hosts());
    !known.any(|host| destination.hosts().contains(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(hosts: &[&str]) -> ServerAddress {
        let hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
        ServerAddress::new(hosts, None, [1; 32]).unwrap()
    }

    fn config(proxy: ProxyMode, fallback: ProxyFallback) -> NetworkConfig {
        NetworkConfig { proxy, fallback, ..NetworkConfig::default() }
    }

    /// The destination, and whether it is asked through a proxy: without SOCKS, with it, and with onion names preferred.
    #[test]
    fn the_mode_decides_which_servers_are_asked_through_a_proxy() {
        let ours = [UserServer::new(server(&["ours.example", "ours.onion"]))];
        let (known, unknown) = (server(&["ours.onion"]), server(&["theirs.example"]));
        let onion = server(&["theirs.example", "theirs.onion"]);
        for (mode, destination, expected) in [
            (ProxyMode::Always, &known, [true, true, true]),
            (ProxyMode::Always, &unknown, [true, true, true]),
            (ProxyMode::Unknown, &known, [false, false, false]),
            (ProxyMode::Unknown, &unknown, [true, true, true]),
            (ProxyMode::Unprotected, &known, [false, false, false]),
            (ProxyMode::Unprotected, &unknown, [true, false, true]),
            (ProxyMode::Unprotected, &onion, [true, false, false]),
            (ProxyMode::Never, &unknown, [false, false, false]),
        ] {
            let open = config(mode, ProxyFallback::Allow);
            let configs = [
                open,
                NetworkConfig { has_socks: true, ..open },
                NetworkConfig { prefers_onion: true, ..open },
            ];
            assert_eq!(configs.map(|config| config.uses_proxy(&ours, destination)), expected, "{mode:?}");
        }
    }

    #[test]
    fn the_fallback_decides_what_is_sent_without_a_proxy() {
        let destination = server(&["theirs.example"]);
        for (fallback, expected) in [
            (ProxyFallback::Allow, [true, true]),
            (ProxyFallback::Protected, [false, true]),
            (ProxyFallback::Prohibit, [false, false]),
        ] {
            let open = config(ProxyMode::Always, fallback);
            let configs = [open, NetworkConfig { has_socks: true, ..open }];
            assert_eq!(configs.map(|config| config.falls_back(&destination)), expected, "{fallback:?}");
        }
    }
}
