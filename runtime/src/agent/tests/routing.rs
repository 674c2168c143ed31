//! What is sent through proxies.

use smp_core::agent::{ConnectionId, Event, ProxyFallback, ProxyMode};
use smp_core::server::ServerConfig;
use smp_core::wire::ServerAddress;
use smp_core::wire::agent::AgentError;
use smp_core::wire::error::{BrokerErrorType, ProxyError};

use super::*;

/// Sends a message, which arrives; the proxy that it went through.
fn send(from: &mut Person, connection: ConnectionId, to: &mut Person, body: u8) -> Option<ServerAddress> {
    from.send(connection, vec![body]).unwrap();
    let message = to.message();
    assert_eq!(*message.body, [body]);
    to.acknowledge(&message);
    match from.event() {
        Event::Sent(_, _, proxy) => proxy,
        event => panic!("not sent: {}", tell(&event)),
    }
}

#[test]
fn what_is_sent_goes_through_a_proxy_whatever_ends_meanwhile() {
    let mut world = World::new(2);
    let mut alice = world.person(1, 1);
    let mut bob =
        world.person_with(2, &[0], |agent| agent.private_routing(ProxyMode::Always, ProxyFallback::Prohibit));
    let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
    assert!(send(&mut bob, at_bob, &mut alice, 1) == Some(world.address(0)));
    assert!(send(&mut alice, at_alice, &mut bob, 2).is_none(), "alice uses no proxy");
    assert_eq!(world.connections(1), 2, "of alice, and of the proxy");
    // The relay is new: the proxy has no session with it any more.
    world.crash(1);
    world.start(1, ServerConfig::default());
    assert!(send(&mut bob, at_bob, &mut alice, 3) == Some(world.address(0)));
    assert!(send(&mut bob, at_bob, &mut alice, 4) == Some(world.address(0)));
    // The proxy is new.
    world.crash(0);
    world.start(0, ServerConfig::default());
    assert!(send(&mut bob, at_bob, &mut alice, 5) == Some(world.address(0)));
    // Neither is there for a while.
    world.crash(0);
    bob.send(at_bob, "late").unwrap();
    world.pass(HOUR);
    world.start(0, ServerConfig::default());
    assert_eq!(alice.message().body, "late");
    bob.stop();
    bob.start();
    assert_eq!(world.connections(1), 2, "bob himself never was there");
}

/// The proxy says that it does not connect to such addresses.
#[test]
fn without_a_proxy_only_as_the_settings_allow() {
    let mut world = World::new(2);
    world.crash(0);
    world.is_public_only = true;
    world.start(0, ServerConfig::default());
    let mut alice = world.person(1, 1);
    let mut bob =
        world.person_with(2, &[0], |agent| agent.private_routing(ProxyMode::Always, ProxyFallback::Allow));
    let (_, at_bob) = meet(&mut alice, &mut bob, false);
    assert!(send(&mut bob, at_bob, &mut alice, 1).is_none(), "sent without it");

    let mut eve = world
        .person_with(3, &[0], |agent| agent.private_routing(ProxyMode::Always, ProxyFallback::Protected));
    let (_, request) = alice.invite(false);
    match eve.join(request, "eve", false).1 {
        Err(AgentError::Proxy { proxy, relay, error }) => {
            assert!((*proxy, *relay) == (world.address(0), world.address(1)));
            assert_eq!(error, ProxyError::Broker(BrokerErrorType::Host));
        }
        joined => panic!("not refused: {joined:?}"),
    }
    assert_eq!(world.connections(1), 2, "eve was never there");
}

/// A proxy that wants a password that nobody knows forwards nothing, and nothing is sent without it.
#[test]
fn a_proxy_that_refuses_is_told() {
    let mut world = World::new(2);
    world.crash(0);
    let mut config = ServerConfig::default();
    config.proxy = false;
    world.start(0, config);
    let (alice, mut bob) = (
        world.person(1, 1),
        world.person_with(2, &[0], |agent| agent.private_routing(ProxyMode::Always, ProxyFallback::Allow)),
    );
    let (_, request) = alice.invite(false);
    match bob.join(request, "bob", false).1 {
        Err(AgentError::Proxy { error, .. }) => assert_eq!(error, ProxyError::BasicAuth),
        joined => panic!("not refused: {joined:?}"),
    }
    assert_eq!(world.connections(1), 1, "of alice alone");
}
