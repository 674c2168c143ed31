//! Local users, their servers and connections.

use std::future::Future;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use smp_core::agent::store::{AgentOp, User};
use smp_core::agent::{Event, LinkIdentity, UserId, UserServer};
use smp_core::server::ServerConfig;
use smp_core::wire::agent::{AgentCommandError, AgentError, ConnectionError};

use super::world::USER;
use super::*;

const NOT_FOUND: AgentError = AgentError::Connection(ConnectionError::NotFound);

fn servers(world: &World, number: usize) -> Vec<UserServer> {
    vec![UserServer::new(world.address(number))]
}

fn users(world: &World, person: &Person) -> Vec<UserId> {
    world.runtime.block_on(person.agent().users()).unwrap()
}

/// Whether a user was deleted, and how many connections.
fn told(events: &[Event]) -> (usize, Vec<UserId>) {
    let gone = events.iter().filter(|event| matches!(event, Event::Deleted(_))).count();
    let users = events.iter().filter_map(|event| match event {
        Event::UserDeleted(user) => Some(*user),
        _ => None,
    });
    (gone, users.collect())
}

#[test]
fn users_are_kept_and_have_servers_of_their_own() {
    let world = World::new(2);
    let mut alice = world.person(1, 0);
    let run = &world.runtime;
    let second = run.block_on(alice.agent().create_user(servers(&world, 1))).unwrap();
    assert_eq!(users(&world, &alice), [USER, second]);
    let server =
        |invited: (_, smp_core::wire::ConnectionRequest)| invited.1.queues()[0].address.server.clone();
    let invite = |person: &Person, user| run.block_on(person.agent().invite(user, false));
    assert_eq!(server(invite(&alice, second).unwrap()), world.address(1));
    assert_eq!(server(invite(&alice, USER).unwrap()), world.address(0));
    run.block_on(alice.agent().set_servers(USER, servers(&world, 1))).unwrap();
    assert_eq!(server(invite(&alice, USER).unwrap()), world.address(1));
    alice.stop();
    alice.start();
    assert_eq!(users(&world, &alice), [USER, second]);
    // Servers are settings, and those of this one were not given.
    assert_eq!(invite(&alice, second).err(), Some(AgentError::NoUser));
    run.block_on(alice.agent().set_servers(second, servers(&world, 1))).unwrap();
    assert_eq!(server(invite(&alice, second).unwrap()), world.address(1));
    let nobody = UserId(77);
    for error in [
        invite(&alice, nobody).err(),
        run.block_on(alice.agent().set_servers(nobody, Vec::new())).err(),
        run.block_on(alice.agent().delete_user(nobody, false)).err(),
    ] {
        assert_eq!(error, Some(AgentError::NoUser));
    }
}

/// Also when the server is away, and when the agent is started again in between.
#[test]
fn a_user_is_deleted_after_its_connections() {
    for (is_down, restart) in [(false, false), (true, false), (true, true), (false, true)] {
        let mut world = World::new(2);
        let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
        let second = world.runtime.block_on(alice.agent().create_user(servers(&world, 0))).unwrap();
        for _ in 0..3 {
            meet(&mut alice, &mut bob, false);
            // An invitation that nobody used.
            world.runtime.block_on(alice.agent().invite(second, false)).unwrap();
        }
        alice.others_within(HOUR);
        if is_down {
            world.crash(0);
        }
        assert_eq!(world.runtime.block_on(alice.agent().delete_user(USER, false)), Ok(()));
        let again = world.runtime.block_on(alice.agent().delete_user(USER, false));
        assert_eq!((again, users(&world, &alice)), (Err(AgentError::NoUser), vec![second]));
        let link = world.runtime.block_on(alice.agent().prepare_link(USER, LinkIdentity::default()));
        assert_eq!(link.err(), Some(AgentError::NoUser), "its servers are not for use any more");
        let mut events = Vec::new();
        if restart {
            events.extend(alice.others_within(Duration::from_millis(1)));
            alice.stop();
            // The settings name the user again.
            alice.start();
            assert_eq!(users(&world, &alice), if is_down { vec![second] } else { users(&world, &alice) });
        }
        if is_down {
            events.extend(alice.others_within(Duration::from_secs(600)));
            assert_eq!(told(&events), (0, Vec::new()), "the server may come back");
            world.start(0, ServerConfig::default());
        }
        events.extend(alice.others_within(HOUR));
        if !restart || is_down {
            assert_eq!(told(&events), (3, vec![USER]), "down {is_down}, restart {restart}");
        }
        assert_eq!((alice.agent_store_connections(), world.queues(0)), (3, 3), "those of the other user");
    }
}

/// Nothing is left here, and everything at the servers, also when the store fails.
#[test]
fn a_user_may_leave_without_a_word() {
    for failures in 0..4 {
        let world = World::new(2);
        let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
        let (_, at_bob) = meet(&mut alice, &mut bob, false);
        meet(&mut alice, &mut bob, false);
        alice.others_within(HOUR);
        alice.store.fail(failures, failures);
        assert_eq!(world.runtime.block_on(alice.agent().delete_user(USER, true)), Ok(()));
        assert_eq!(alice.agent_store_connections(), 0);
        assert_eq!(told(&alice.others_within(HOUR)), (0, vec![USER]));
        assert_eq!(world.queues(0), 2);
        bob.send(at_bob, "who is there?").unwrap();
        assert!(matches!(bob.others_within(HOUR).as_slice(), [Event::Sent(..)]));
        assert!(alice.others_within(HOUR).is_empty(), "messages come for nobody");
    }
}

/// Calls that wait for servers are answered when their connection goes.
#[test]
fn calls_end_with_the_user_of_their_connection() {
    for keep_queues in [false, true] {
        let world = World::new(3);
        let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
        let (at_alice, _) = meet(&mut alice, &mut bob, false);
        alice.others_within(HOUR);
        alice.stop();
        let servers = vec![world.address(0), world.address(2)];
        alice.settings = Some((servers, |agent| agent.on_demand()));
        alice.start();
        [0, 2].into_iter().for_each(|server| world.stores[server].hold(true));
        let mut fetching = Box::pin(alice.agent().fetch(at_alice));
        let mut switching = Box::pin(alice.agent().switch(at_alice));
        world.runtime.run();
        let mut context = Context::from_waker(Waker::noop());
        assert!(fetching.as_mut().poll(&mut context).is_pending());
        assert!(switching.as_mut().poll(&mut context).is_pending());
        assert_eq!(world.runtime.block_on(alice.agent().delete_user(USER, keep_queues)), Ok(()));
        [0, 2].into_iter().for_each(|server| world.stores[server].hold(false));
        world.pass(HOUR);
        assert_eq!(fetching.as_mut().poll(&mut context), Poll::Ready(Err(NOT_FOUND)), "{keep_queues}");
        assert_eq!(switching.as_mut().poll(&mut context), Poll::Ready(Err(NOT_FOUND)), "{keep_queues}");
    }
}

/// An invitation that is being made while its user is deleted goes too.
#[test]
fn what_is_being_made_goes_with_its_user() {
    for turns in 0..40 {
        let world = World::new(1);
        let mut alice = world.person(1, 0);
        let inviting = alice.agent().invite(USER, false);
        world.turn(turns);
        let deleted = world.runtime.block_on(alice.agent().delete_user(USER, false));
        assert_eq!(deleted, Ok(()), "after {turns} turns");
        let invited = world.runtime.block_on(inviting);
        let events = alice.others_within(HOUR);
        assert_eq!(told(&events).1, [USER], "after {turns} turns, {invited:?}");
        assert_eq!((alice.agent_store_connections(), world.queues(0)), (0, 0), "after {turns} turns");
    }
}

/// Whoever asked for it is told.
#[test]
fn an_invitation_is_refused_when_its_user_went_meanwhile() {
    let world = World::new(1);
    let mut alice = world.person(1, 0);
    world.stores[0].hold(true);
    let inviting = alice.agent().invite(USER, false);
    world.runtime.run();
    assert_eq!(world.runtime.block_on(alice.agent().delete_user(USER, false)), Ok(()));
    world.stores[0].hold(false);
    assert_eq!(world.runtime.block_on(inviting).err(), Some(AgentError::NoUser));
    assert_eq!(told(&alice.others_within(HOUR)).1, [USER]);
    assert_eq!((alice.agent_store_connections(), world.queues(0)), (0, 0));
}

#[test]
fn an_unused_connection_may_change_its_user() {
    let world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let second = world.runtime.block_on(alice.agent().create_user(servers(&world, 0))).unwrap();
    let (at_alice, request) = alice.invite(false);
    let change = |person: &Person, user| world.runtime.block_on(person.agent().change_user(at_alice, user));
    assert_eq!(change(&alice, UserId(77)), Err(AgentError::NoUser));
    assert_eq!(change(&alice, second), Ok(()));
    assert_eq!(change(&alice, second), Ok(()));
    bob.join(request, "bob", false).1.unwrap();
    let (confirmation, info) = alice.confirmation();
    assert_eq!(info, "bob");
    assert_eq!(change(&alice, USER), Err(AgentError::Command(AgentCommandError::Prohibited)));
    alice.allow(at_alice, confirmation, "alice");
    bob.info();
    bob.connected();
    alice.connected();
    // It goes with its new user.
    world.runtime.block_on(alice.agent().delete_user(USER, false)).unwrap();
    assert_eq!(told(&alice.others_within(HOUR)), (0, vec![USER]));
    world.runtime.block_on(alice.agent().delete_user(second, false)).unwrap();
    assert_eq!(told(&alice.others_within(HOUR)), (1, vec![second]));
}

/// The number of a user who is being deleted is not given again.
#[test]
fn settings_do_not_bring_back_a_user() {
    let world = World::new(1);
    let mut alice = world.person(1, 0);
    alice.stop();
    alice.store.put(vec![
        AgentOp::PutUser(User { id: USER, is_deleted: true }),
        AgentOp::PutUser(User { id: UserId(9), is_deleted: true }),
    ]);
    alice.store.fail(5, 2);
    alice.start();
    assert!(users(&world, &alice).is_empty());
    assert_eq!(world.runtime.block_on(alice.agent().create_user(Vec::new())), Ok(UserId(10)));
}

/// An agent that cannot read its store when it starts says so once, and starts when it can.
#[test]
fn a_store_that_fails_at_the_start_is_tried_again() {
    for (after, count) in (0..7).map(|after| (after, 1)).chain([(7, 2), (0, 9)]) {
        let world = World::new(2);
        let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
        let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
        alice.stop();
        alice.store.fail(after, count);
        alice.start();
        // Calls wait until it is known what there is.
        alice.send(at_alice, "hello").unwrap();
        match alice.others_within(HOUR).as_slice() {
            [Event::Error(None, AgentError::Critical { .. }), Event::Sent(..)]
                if ![2, 7].contains(&after) => {}
            // Statistics, and what follows the start.
            [Event::Sent(..)] if [2, 7].contains(&after) => {}
            events => panic!("{after} {count} {:?}", events.iter().map(tell).collect::<Vec<_>>()),
        }
        assert_eq!(bob.message().body, "hello");
        bob.send(at_bob, "hello").unwrap();
        assert_eq!(alice.message().body, "hello");
    }
}

/// Also the number of the last user, who is gone, and after a restart.
#[test]
fn the_number_of_a_user_is_not_given_again() {
    let world = World::new(1);
    let mut alice = world.person(1, 0);
    let run = &world.runtime;
    for number in 2..5 {
        let made = run.block_on(alice.agent().create_user(servers(&world, 0))).unwrap();
        assert_eq!(made, UserId(number));
        run.block_on(alice.agent().delete_user(made, false)).unwrap();
        alice.others_within(HOUR);
        alice.stop();
        alice.start();
        assert_eq!(users(&world, &alice), [USER]);
    }
}
