//! Whether a server works.

use smp_core::agent::UserServer;
use smp_core::client::TestStep;
use smp_core::server::ServerConfig;
use smp_core::wire::Password;

use super::*;
use crate::client::ServerTestFailure;

fn test(world: &World, person: &Person, server: UserServer) -> Result<(), ServerTestFailure> {
    world.runtime.block_on(person.agent().test_server(server))
}

#[test]
fn the_step_that_failed_is_told() {
    let password = |text: &[u8]| Some(Password::new(text).expect("a password"));
    let mut config = ServerConfig::default();
    config.password = password(b"wonderland");
    let mut world = World::with(2, &config);
    let alice = world.person(1, 0);
    let server = |password| {
        let mut server = UserServer::new(world.address(1));
        server.password = password;
        server
    };
    let (right, wrong, none) = (server(password(b"wonderland")), server(password(b"other")), server(None));
    let step = |result: Result<(), ServerTestFailure>| result.expect_err("it fails").step();
    assert_eq!(test(&world, &alice, right.clone()), Ok(()));
    assert_eq!(world.queues(1), 0, "nothing is left");
    assert_eq!(step(test(&world, &alice, wrong)), TestStep::CreateQueue);
    assert_eq!(step(test(&world, &alice, none)), TestStep::CreateQueue);
    world.crash(1);
    assert_eq!(step(test(&world, &alice, right)), TestStep::Connect);
}
