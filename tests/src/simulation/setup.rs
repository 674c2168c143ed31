//! What a world begins with: the server's settings and certificates, and the two ends of a connection.

use std::sync::OnceLock;
use std::time::Duration;

use smp_core::server::{ConnectionId, IdleClients, ServerConfig};
use smp_core::transport::identity::ServerIdentity;
use smp_core::transport::{
    ClientOptions, ClientTransportConfig, PlainPeer, ServerTransportConfig, Transport,
};
use smp_core::wire::{Password, Version, VersionRange};
use smp_core::{SeededEntropy, UnixTime};

use super::dice::Options;
use super::services::{self, SERVICES};
use super::shared::Shared;

/// The settings that a world's options stand for.
pub(super) fn config(options: &Options) -> ServerConfig {
    let mut config = ServerConfig::default();
    config.proxy = options.features.routing > 0;
    // Soon enough for it to happen in a world.
    config.limits.relay_idle = Duration::from_secs(20);
    config.limits.relay_failure_ttl = Duration::from_secs(10);
    config.limits.client_forwards = 2;
    config.names = options.features.names > 0;
    config.message_quota = u32::try_from(options.quota).expect("a small number");
    config.message_ttl = (options.ttl > 0).then(|| Duration::from_secs(options.ttl as u64 * 3600));
    config.expiry_interval = Duration::from_secs(60);
    config.expire_on_send = options.ttl % 2 == 1;
    config.password = options.password.then(password);
    config.idle_clients = (options.idle > 0).then(|| IdleClients {
        ttl: Duration::from_secs(options.idle as u64),
        // Seldom enough for nothing to happen between the checks of all connections.
        check_interval: Duration::from_secs(40),
    });
    config.limits.expiry_queues = 2;
    config.limits.recipient_keys = 2;
    config.limits.deliveries_in_flight = options.slots;
    config.limits.commands_in_flight = 8;
    config.limits.verifications_in_turn = if options.slots.is_multiple_of(2) { 1 } else { 64 };
    config
}

/// The password for creating queues, where there is one.
pub(super) fn password() -> Password {
    Password::new(b"sesame").expect("a password")
}

/// The server's certificates: made once, since they do not matter.
pub(super) fn identity() -> ServerIdentity {
    static IDENTITY: OnceLock<ServerIdentity> = OnceLock::new();
    let make =
        || crate::in_memory::identity(&mut SeededEntropy::new([7; 32]), UnixTime::from_secs(1_800_000_000));
    IDENTITY.get_or_init(make).clone()
}

/// A client of a version that is drawn. Each is made once.
fn client_config(shared: &mut Shared, service: Option<usize>) -> ClientTransportConfig {
    static CONFIGS: [OnceLock<ClientTransportConfig>; VERSIONS * (SERVICES + 1)] =
        [const { OnceLock::new() }; VERSIONS * (SERVICES + 1)];
    let first = if shared.options.all_keys { Version::AUTH_COMMANDS } else { Version::MIN };
    let version = shared.dice.between(first.0.into(), Version::MAX.0.into());
    let make = || {
        let version = Version(u16::try_from(version).expect("a version"));
        let options = ClientOptions {
            versions: VersionRange::only(version),
            service: service.map(services::identity),
            ..ClientOptions::default()
        };
        ClientTransportConfig::new(*identity().fingerprint(), options).expect("a usable configuration")
    };
    CONFIGS[version + VERSIONS * service.map_or(0, |service| service + 1)].get_or_init(make).clone()
}

/// Both ends of a new connection.
pub(super) struct Ends {
    pub(super) client: Transport,
    pub(super) server: Transport,
}

impl Ends {
    /// The client's end of a connection with TLS.
    pub(super) fn tls_client(shared: &mut Shared, service: Option<usize>) -> Transport {
        let config = client_config(shared, service);
        Transport::client(config, shared.dice.seed(), shared.trace.now)
    }

    pub(super) fn new(
        shared: &mut Shared,
        server: &ServerTransportConfig,
        id: ConnectionId,
        service: Option<usize>,
    ) -> Self {
        let client = client_config(shared, service);
        Self::with(shared, server, (id, service), client)
    }

    /// Both ends of a connection between a proxy and its relay.
    pub(super) fn of_relay(shared: &mut Shared, server: &ServerTransportConfig, id: ConnectionId) -> Self {
        static CONFIG: OnceLock<ClientTransportConfig> = OnceLock::new();
        let make = || {
            let options = ClientOptions { proxy_server: true, ..ClientOptions::default() };
            ClientTransportConfig::new(*identity().fingerprint(), options).expect("a usable configuration")
        };
        Self::with(shared, server, (id, None), CONFIG.get_or_init(make).clone())
    }

    fn with(
        shared: &mut Shared,
        server: &ServerTransportConfig,
        (id, service): (ConnectionId, Option<usize>),
        client: ClientTransportConfig,
    ) -> Self {
        let (ours, theirs, now) = (shared.dice.seed(), shared.dice.seed(), shared.trace.now);
        if shared.options.tls {
            return Self {
                client: Transport::client(client, ours, now),
                server: Transport::server(server.clone(), theirs, now),
            };
        }
        let mut session_id = [0; 32];
        session_id[..8].copy_from_slice(&id.0.to_be_bytes());
        let certificates =
            service.map_or_else(Vec::new, |service| services::identity(service).chain.to_vec());
        let at_server = PlainPeer { session_id, has_alpn: true, certificates, ..PlainPeer::default() };
        let at_client = PlainPeer {
            certificates: identity().chain().to_vec(),
            has_shown_certificate: service.is_some(),
            ..at_server.clone()
        };
        Self {
            client: Transport::plain_client(client, at_client, ours, now),
            server: Transport::plain_server(server.clone(), at_server, theirs, now),
        }
    }
}

const VERSIONS: usize = Version::MAX.0 as usize + 1;
