//! Finding a server and shaking hands with it.

use std::io;

use smp_core::client::{CloseReason, RequestError, TestError, TestStep};
use smp_core::transport::TransportFault;
use smp_core::wire::error::ErrorType;
use smp_core::wire::{Password, ServerAddress};

use super::*;
use crate::Runtime;
use crate::tests::address;

fn failure(world: &World, server: ServerAddress) -> ConnectError {
    let connector = world.connector(1);
    world.run(async move { connector.connect(&server).await.err().unwrap() })
}

#[test]
fn hosts_are_tried_in_order_and_onions_left_out() {
    let world = World::new();
    let onion = format!("{}.onion", "a".repeat(56));
    let server = address(&["192.0.2.9", &onion, "127.0.0.1"], [1; 32]);
    let connector = world.connector(1);
    world.run(async move { connector.connect(&server).await.map(|_| ()).unwrap() });

    assert_eq!(failure(&world, address(&[&onion], [1; 32])), ConnectError::OnionOnly);
    let refused = ConnectError::Io(io::ErrorKind::ConnectionRefused);
    assert_eq!(failure(&world, address(&["192.0.2.9", "[2001:db8::1]", &onion], [1; 32])), refused);
    assert_eq!(
        failure(&world, address(&["example.org"], [1; 32])),
        ConnectError::Io(io::ErrorKind::NotFound)
    );
}

#[test]
fn addresses_without_a_port_are_reached_where_the_web_is_if_asked() {
    let world = World::new();
    let (connector, web) = (world.connector(1), world.connector(2).web_port(true));
    let nowhere = web.clone();
    let refused = ConnectError::Io(io::ErrorKind::ConnectionRefused);
    let outcome = world.run(async move { nowhere.connect(&server_address()).await.map(|_| ()) });
    assert_eq!(outcome, Err(refused));

    let at_web = std::net::SocketAddr::from(([127, 0, 0, 1], 443));
    let server =
        Server::new(world.runtime.clone(), TestStore::default(), transport(), ServerConfig::default());
    let server = world.run(async move { server.seed([8; 32]).serve(&[at_web]).await.unwrap() });
    let version =
        world.run(async move { web.connect(&server_address()).await.map(|(client, _)| client.version()) });
    assert_eq!(version, Ok(smp_core::wire::Version::MAX));
    assert_eq!((server.counters().handshakes, server.counters().accepted), (1, 1));
    // The others go on to the usual port.
    world.run(async move { connector.connect(&server_address()).await.map(|_| ()).unwrap() });
    assert_eq!(server.counters().accepted, 1);
}

#[test]
fn another_server_is_not_the_one_that_was_asked_for() {
    let world = World::new();
    let error = failure(&world, address(&["127.0.0.1"], [2; 32]));
    let ConnectError::Handshake(Disconnect::Closed(CloseReason::Transport(fault))) = error else {
        panic!("{error:?}");
    };
    assert!(fault.is_identity());
    world.runtime.run();
    assert_eq!(world.connections(), 0);
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let world = World::new();
    let runtime = world.runtime.clone();
    let silent = std::net::SocketAddr::from(([192, 0, 2, 9], 5223));
    let _listener = world.run(async move { runtime.listen(silent).await.unwrap() });
    let tasks = world.runtime.tasks();
    let error = failure(&world, address(&["192.0.2.9"], [1; 32]));
    let timeout = CloseReason::Transport(TransportFault::Timeout);
    assert_eq!(error, ConnectError::Handshake(Disconnect::Closed(timeout)));
    world.runtime.advance(10 * SECOND);
    assert_eq!(world.runtime.tasks(), tasks);
}

#[test]
fn a_dropped_attempt_leaves_nothing_behind() {
    let world = World::new();
    let tasks = world.runtime.tasks();
    let connector = world.connector(1);
    let attempt = async move { connector.connect(&server_address()).await };
    world.runtime.spawn(async move {
        let mut attempt = Box::pin(attempt);
        // It gets as far as the socket, and no further.
        std::future::poll_fn(|cx| {
            assert!(attempt.as_mut().poll(cx).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
    });
    world.runtime.run();
    assert_eq!(world.connections(), 0);
    assert_eq!(world.runtime.tasks(), tasks);
}

#[test]
fn a_test_tells_the_step_that_failed() {
    let password = Password::new(b"secret").unwrap();
    let mut config = ServerConfig::default();
    config.password = Some(password.clone());
    let world = World::with(config);
    let test = |server: ServerAddress, password: Option<Password>| {
        let connector = world.connector(1);
        world.run(async move { connector.test(&server, password).await })
    };
    assert_eq!(test(server_address(), Some(password)), Ok(()));
    world.runtime.run();
    assert_eq!(world.connections(), 0);

    let refused = test(server_address(), None).unwrap_err();
    assert_eq!(refused.step(), TestStep::CreateQueue);
    let ServerTestFailure::Failed(failure) = refused else { panic!("{refused:?}") };
    assert_eq!(failure.error, TestError::Request(RequestError::Server(ErrorType::Auth)));

    let unreachable = test(address(&["192.0.2.9"], [1; 32]), None).unwrap_err();
    assert_eq!(unreachable.step(), TestStep::Connect);
    let other = test(address(&["127.0.0.1"], [2; 32]), None).unwrap_err();
    assert_eq!(other.step(), TestStep::Connect);
    assert!(matches!(other, ServerTestFailure::Failed(_)));
}
