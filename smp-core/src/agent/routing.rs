//! Private routing: what is sent to other people's servers goes through one of the user's own, so that those servers do not see
//! the address that it comes from.
//!
//! ```text
//!   agent                       proxy                       destination
//!     PRXY destination ──────────▶ ────── a session ──────────▶      once for each session with the proxy
//!     PFWD(SEND) ────────────────▶ ────── RFWD(SEND) ─────────▶
//! ```

use std::collections::BTreeMap;

use super::effect::Doing;
use super::failure::is_useless_proxy;
use super::links::LinkId;
use super::servers::{ServerRole, choose};
use super::statistics::Counted;
use super::{Agent, ConnectionId, Pending, UserId};
use crate::client::{Answer, CommandId, Relay, Request, RequestError};
use crate::wire::ServerAddress;
use crate::wire::error::{BrokerErrorType, ErrorType, ProxyError};

/// A request that goes through a proxy.
pub(super) struct Proxied {
    pub(super) user: UserId,
    connection: Option<ConnectionId>,
    pub(super) destination: ServerAddress,
    pub(super) proxy: ServerAddress,
    request: Request,
    /// Through which it was sent.
    relay: Option<Relay>,
    /// The session with the destination was made anew for it.
    is_again: bool,
}

/// The sessions of proxies with destinations.
#[derive(Default)]
pub(super) struct Relays {
    relays: BTreeMap<(LinkId, ServerAddress), RelaySession>,
    /// The proxies in use, so that those of a user stay few for each destination.
    chosen: BTreeMap<(UserId, ServerAddress), ServerAddress>,
}

enum RelaySession {
    /// PRXY is under way for these.
    Making(Vec<(Box<Proxied>, Doing)>),
    Made(Relay),
}

impl Relays {
    /// A session with a proxy ended, and with it those of the proxy for it. Those that are being made fail with PRXY.
    pub(super) fn forget(&mut self, link: LinkId) {
        self.relays.retain(|(of, _), relay| *of != link || matches!(relay, RelaySession::Making(_)));
    }
}

impl Agent {
    /// Sends a request to a server, through a proxy if the settings say so.
    pub(super) fn route(&mut self, user: UserId, server: ServerAddress, request: Request, doing: Doing) {
        let config = self.shared.config.clone();
        let servers = self.shared.users.get(&user).map_or(&[][..], |user| &user.servers);
        let connection = doing.connection();
        if !request.is_for_proxy() || !config.network.uses_proxy(servers, &server) {
            let link = self.links.at(user, &server, connection);
            return self.request(link, request, doing);
        }
        let Some(proxy) = self.choose_proxy(user, &server) else {
            if config.network.falls_back(&server) {
                let link = self.links.at(user, &server, connection);
                return self.request(link, request, doing);
            }
            let counted = Self::counted_at(user, &server, &request, &doing);
            return self.fail(counted, doing, RequestError::Unreachable(BrokerErrorType::Host));
        };
        let (destination, relay) = (server, None);
        let proxied = Proxied { user, connection, destination, proxy, request, relay, is_again: false };
        self.forward(Box::new(proxied), doing);
    }

    /// The proxy for a destination: one of the user's servers that forward, of another operator and under another name than the
    /// destination if there is one.
    fn choose_proxy(&mut self, user: UserId, destination: &ServerAddress) -> Option<ServerAddress> {
        let key = (user, destination.clone());
        let known = self.shared.users.get(&user)?;
        let is_known = |proxy: &&ServerAddress| known.servers.iter().any(|server| server.address == **proxy);
        if let Some(proxy) = self.relays.chosen.get(&key).filter(is_known) {
            return Some(proxy.clone());
        }
        let used = std::slice::from_ref(destination);
        let proxy = choose(&known.servers, ServerRole::Proxy, used, &mut self.shared.entropy)?;
        self.relays.chosen.insert(key, proxy.address.clone());
        Some(proxy.address.clone())
    }

    /// Sends a request through its proxy, when that has a session with the destination.
    fn forward(&mut self, mut proxied: Box<Proxied>, doing: Doing) {
        let link = self.links.at(proxied.user, &proxied.proxy, proxied.connection);
        let destination = proxied.destination.clone();
        match self.relays.relays.get_mut(&(link, destination.clone())) {
            Some(RelaySession::Made(relay)) => {
                let request = proxied.request.clone().through(relay);
                proxied.relay = Some(relay.clone());
                self.request_for(link, request, doing, Some(proxied));
            }
            Some(RelaySession::Making(waiting)) => waiting.push((proxied, doing)),
            None => {
                let user = self.shared.users.get(&proxied.user);
                let servers = user.into_iter().flat_map(|user| &user.servers);
                let proxy = servers.into_iter().find(|server| server.address == proxied.proxy);
                let password = proxy.and_then(|server| server.password.clone());
                let is_patient = doing.is_patient();
                let making = RelaySession::Making(vec![(proxied, doing)]);
                self.relays.relays.insert((link, destination.clone()), making);
                let request = Request::relay(destination.clone(), password);
                self.request(link, request, Doing::Relay(link, Box::new(destination), is_patient));
            }
        }
    }

    /// A proxy has a session with a destination, or has none.
    pub(super) fn relay_made(
        &mut self,
        link: LinkId,
        destination: &ServerAddress,
        answer: Result<Answer, RequestError>,
    ) {
        let key = (link, destination.clone());
        let Some(RelaySession::Making(waiting)) = self.relays.relays.remove(&key) else { return };
        let error = match answer {
            Ok(Answer::Relay(relay)) => {
                self.relays.relays.insert(key, RelaySession::Made(relay));
                return waiting.into_iter().for_each(|(proxied, doing)| self.forward(proxied, doing));
            }
            Ok(_) => RequestError::Unexpected,
            Err(error) => error,
        };
        for (proxied, doing) in waiting {
            // Another one may do better.
            self.relays.chosen.remove(&(proxied.user, proxied.destination.clone()));
            self.not_forwarded(*proxied, doing, error.clone());
        }
    }

    /// The answer to a request through a proxy, if it is one.
    pub(super) fn forwarded(
        &mut self,
        link: LinkId,
        mut proxied: Box<Proxied>,
        doing: Doing,
        answer: Result<Answer, RequestError>,
    ) {
        let error = match answer {
            // What the destination says.
            Ok(_) | Err(RequestError::Relay(_)) => {
                let doing = doing.through(proxied.proxy);
                return self.pass_answer(doing, answer);
            }
            Err(error) => error,
        };
        if is_no_session(&error) {
            let key = (link, proxied.destination.clone());
            let current = self.relays.relays.get(&key);
            if matches!(current, Some(RelaySession::Made(relay)) if Some(relay) == proxied.relay.as_ref()) {
                self.relays.relays.remove(&key);
            }
            // Calls do not try again: the session of the proxy may have ended long ago.
            if !proxied.is_again {
                proxied.is_again = true;
                return self.forward(proxied, doing);
            }
        }
        self.not_forwarded(*proxied, doing, error);
    }

    /// A proxy is of no use for a request.
    fn not_forwarded(&mut self, proxied: Proxied, doing: Doing, error: RequestError) {
        let Proxied { user, connection, destination, proxy, request, .. } = proxied;
        if is_useless_proxy(&error) && self.shared.config.network.falls_back(&destination) {
            let link = self.links.at(user, &destination, connection);
            return self.request(link, request, doing);
        }
        let counted = Self::counted_at(user, &destination, &request, &doing);
        self.fail(counted, doing, RequestError::AtProxy(Box::new(proxy), Box::new(error)));
    }

    /// A request fails, as soon as whoever asks has done everything else.
    pub(super) fn fail(&mut self, counted: Option<Box<Counted>>, doing: Doing, error: RequestError) {
        let id = CommandId(self.number());
        self.requests.insert(id, Pending { link: LinkId(0), doing, proxied: None, counted });
        self.failing.push_back((id, error));
    }
}

fn is_no_session(error: &RequestError) -> bool {
    matches!(error, RequestError::Server(ErrorType::Proxy(error)) if **error == ProxyError::NoSession)
}
