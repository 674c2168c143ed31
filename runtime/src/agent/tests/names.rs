//! Names, and servers that do not know them, or are gone.

use smp_core::agent::{ProxyFallback, ProxyMode, ServerRoles, UserId, UserServer};
use smp_core::server::ServerConfig;
use smp_core::wire::agent::AgentError;
use smp_core::wire::error::{BrokerErrorType, ErrorType, NameError};
use smp_core::wire::{Name, NameRecord};

use super::world::USER;
use super::*;
use crate::server::Resolved;

/// A resolver that does what the name says.
pub(super) async fn resolve(name: Name) -> Resolved {
    match name.as_str() {
        "missing.simplex" => Err(NameError::NotFound),
        "broken.simplex" => Err(NameError::Resolver("out of order".into())),
        "slow.simplex" => std::future::pending().await,
        name => {
            let json = format!(
                r#"{{"name":"{name}","nickname":"","website":"","location":"","simplexContact":["a"],
                "simplexChannel":[],"owner":"0x0","resolver":"0x1"}}"#
            );
            Ok(Box::new(NameRecord::from_json(json.as_bytes()).unwrap()))
        }
    }
}

/// Servers of which these resolve names, and somebody who thinks that all do.
fn world(servers: usize, resolvers: &[usize]) -> (World, Person) {
    let mut world = World::new(servers);
    resolvers.iter().for_each(|server| start(&mut world, *server));
    let all: Vec<_> = (0..servers).collect();
    let alice = world.person_with(1, &all, |agent| agent);
    (world, alice)
}

fn start(world: &mut World, server: usize) {
    world.crash(server);
    let mut config = ServerConfig::default();
    config.names = true;
    world.start(server, config);
}

fn ask(person: &Person, name: &str) -> Result<NameRecord, AgentError> {
    person.runtime().block_on(person.agent().resolve_name(USER, name.parse().unwrap()))
}

fn set_servers(world: &World, person: &Person, change: impl Fn(usize, &mut UserServer)) {
    let servers = (0..2).map(|number| {
        let mut server = UserServer::new(world.address(number));
        change(number, &mut server);
        server
    });
    world.runtime.block_on(person.agent().set_servers(USER, servers.collect())).unwrap();
}

#[test]
fn only_servers_with_the_role_are_asked() {
    let (world, alice) = world(2, &[0, 1]);
    let record = ask(&alice, "alice.simplex").unwrap();
    assert_eq!((record.name.as_str(), record.simplex_contact), ("alice.simplex", vec!["a".to_owned()]));
    set_servers(&world, &alice, |_, server| server.roles = ServerRoles { names: false, ..ServerRoles::ALL });
    assert_eq!(ask(&alice, "alice.simplex"), Err(AgentError::NoNameServers));
    set_servers(&world, &alice, |_, server| server.is_enabled = false);
    assert_eq!(ask(&alice, "alice.simplex"), Err(AgentError::NoNameServers));
    let unknown = alice.agent().resolve_name(UserId(7), "alice.simplex".parse().unwrap());
    assert_eq!(world.runtime.block_on(unknown), Err(AgentError::NoUser));
    let (world, alice) = self::world(2, &[0, 1]);
    set_servers(&world, &alice, |number, server| server.roles.names = number == 1);
    (0..9).for_each(|_| assert!(ask(&alice, "alice.simplex").is_ok()));
    assert_eq!((world.connections(0), world.connections(1)), (0, 1));
}

#[test]
fn a_server_that_cannot_answer_is_followed_by_another() {
    let (mut world, alice) = world(3, &[1]);
    (0..9).for_each(|_| assert!(ask(&alice, "alice.simplex").is_ok(), "the others know no names"));
    world.crash(1);
    let error = ask(&alice, "alice.simplex").unwrap_err();
    let no_resolver = ErrorType::Name(NameError::NoResolver);
    assert!(
        matches!(error, AgentError::Smp { ref error, .. } if *error == no_resolver)
            || matches!(error, AgentError::Broker { .. })
    );
    start(&mut world, 1);
    world.pass(HOUR);
    assert!(ask(&alice, "alice.simplex").is_ok());
    start(&mut world, 2);
    world.pass(HOUR);
    world.crash(1);
    (0..9).for_each(|_| assert!(ask(&alice, "alice.simplex").is_ok(), "one is gone, one knows no names"));
}

/// That there is no such name is an answer; that a resolver failed, or nobody answers, is not.
#[test]
fn errors_are_told() {
    let (world, alice) = world(2, &[0, 1]);
    match ask(&alice, "missing.simplex") {
        Err(AgentError::Smp { error, .. }) => assert_eq!(error, ErrorType::Name(NameError::NotFound)),
        other => panic!("{:?}", other.err()),
    }
    assert_eq!(world.connections(0) + world.connections(1), 1, "nobody else was asked");
    match ask(&alice, "broken.simplex") {
        Err(AgentError::Smp { error, .. }) => {
            assert!(matches!(error, ErrorType::Name(NameError::Resolver(_))));
        }
        other => panic!("{:?}", other.err()),
    }
    assert_eq!(world.connections(0) + world.connections(1), 2);
    let asked = alice.agent().resolve_name(USER, "slow.simplex".parse().unwrap());
    world.pass(HOUR);
    match world.runtime.block_on(asked) {
        Err(AgentError::Broker { error, .. }) => assert_eq!(error, BrokerErrorType::Timeout),
        other => panic!("{:?}", other.err()),
    }
    assert!(ask(&alice, "alice.simplex").is_ok());
}

#[test]
fn the_server_that_resolves_does_not_see_who_asks_through_a_proxy() {
    let mut world = World::new(2);
    start(&mut world, 1);
    let alice = world
        .person_with(1, &[0, 1], |agent| agent.private_routing(ProxyMode::Always, ProxyFallback::Prohibit));
    set_servers(&world, &alice, |number, server| {
        server.roles = ServerRoles { storage: true, proxy: number == 0, names: number == 1 };
    });
    assert!(ask(&alice, "alice.simplex").is_ok());
    assert_eq!((world.connections(0), world.connections(1)), (1, 1), "of alice, and of the proxy");
    match ask(&alice, "missing.simplex") {
        Err(AgentError::Smp { server, error }) => {
            assert_eq!((*server, error), (world.address(1), ErrorType::Name(NameError::NotFound)));
        }
        other => panic!("{:?}", other.err()),
    }
    world.crash(1);
    assert!(matches!(ask(&alice, "alice.simplex"), Err(AgentError::Proxy { .. })));
    start(&mut world, 1);
    world.pass(HOUR);
    assert!(ask(&alice, "alice.simplex").is_ok());
}
