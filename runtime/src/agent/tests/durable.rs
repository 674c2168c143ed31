//! Calls that are kept and carried out later.

use std::future::Future;
use std::task::{Context, Waker};

use bytes::Bytes;
use smp_core::agent::store::{AgentOp, Origin, Task, TaskKind};
use smp_core::agent::{Call, ConnectionId, Event, LinkContent, Reply};
use smp_core::server::ServerConfig;
use smp_core::wire::ConnectionRequest;
use smp_core::wire::agent::{AgentCommandError, AgentError, ConnectionError};
use smp_core::wire::link::{ContactDetails, ShortLink};

use super::world::USER;
use super::*;

const NOT_FOUND: AgentError = AgentError::Connection(ConnectionError::NotFound);
const PROHIBITED: AgentError = AgentError::Command(AgentCommandError::Prohibited);

type Finished = (Box<str>, ConnectionId, Result<Reply, AgentError>);

fn run(person: &Person, correlation: &str, call: Call) -> Result<(), AgentError> {
    person.runtime().block_on(person.agent().run_durably(correlation, call))
}

/// How the next command ended.
fn finished(person: &mut Person) -> Finished {
    match person.step() {
        Event::Finished { correlation, connection, result } => (correlation, connection, *result),
        event => panic!("not the end of a command: {}", tell(&event)),
    }
}

/// The invitation that a command made.
fn invitation(person: &mut Person, correlation: &str) -> (ConnectionId, ConnectionRequest) {
    match finished(person) {
        (of, connection, Ok(Reply::Invitation(made, request))) => {
            assert!(*of == *correlation && made == connection);
            (connection, *request)
        }
        (_, _, other) => panic!("no invitation: {other:?}"),
    }
}

fn joined(person: &mut Person, correlation: &str, at: ConnectionId) {
    let (of, connection, result) = finished(person);
    assert_eq!(result, Ok(Reply::Joined { connection: at, can_send: true }));
    assert!(*of == *correlation && connection == at);
}

fn join(connection: ConnectionId, request: ConnectionRequest) -> Call {
    Call::Join { connection, user: USER, request: Box::new(request), info: "bob".into(), pq: true }
}

fn named(name: u8) -> ConnectionId {
    ConnectionId::new([name; 12])
}

fn restart(person: &mut Person) {
    person.stop();
    person.start();
}

/// Each call is kept while no server can be reached and the agent is started again, and done when one can.
#[test]
fn commands_are_done_when_servers_are_there() {
    let mut world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let down = |world: &mut World| (0..2).for_each(|server| world.crash(server));
    let up = |world: &mut World| (0..2).for_each(|server| world.start(server, ServerConfig::default()));
    down(&mut world);
    run(&alice, "invite", Call::Invite { user: USER, pq: true.into() }).unwrap();
    assert!(alice.others_within(HOUR).is_empty());
    restart(&mut alice);
    assert!(alice.others_within(HOUR).is_empty());
    up(&mut world);
    let (at_alice, request) = invitation(&mut alice, "invite");
    assert!(alice.store.connection(at_alice).tasks.is_empty());
    down(&mut world);
    run(&bob, "join", join(named(1), request.clone())).unwrap();
    assert_eq!(
        run(&bob, "again", join(named(1), request)),
        Err(AgentError::Connection(ConnectionError::Duplicate))
    );
    assert!(bob.others_within(HOUR).is_empty());
    restart(&mut bob);
    assert!(bob.others_within(HOUR).is_empty());
    up(&mut world);
    joined(&mut bob, "join", named(1));
    let (confirmation, _) = alice.confirmation();
    run(&alice, "allow", Call::Allow { connection: at_alice, confirmation, info: "alice".into() }).unwrap();
    assert_eq!(finished(&mut alice), ("allow".into(), at_alice, Ok(Reply::Done)));
    assert_eq!(bob.info(), "alice");
    bob.connected();
    alice.connected();
    down(&mut world);
    run(&bob, "switch", Call::Switch(named(1))).unwrap();
    run(&bob, "switch again", Call::Switch(named(1))).unwrap();
    restart(&mut bob);
    assert!(bob.others_within(HOUR).is_empty());
    up(&mut world);
    assert_eq!(finished(&mut bob), ("switch".into(), named(1), Ok(Reply::Done)));
    assert_eq!(finished(&mut bob), ("switch again".into(), named(1), Err(PROHIBITED)), "in their order");
    alice.send(at_alice, "hello").unwrap();
    assert_eq!(bob.bodies(), ["hello"]);
}

/// Links are made, changed, opened and deleted by commands.
#[test]
fn links_are_made_and_opened_by_commands() {
    let mut world = World::new(1);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 0));
    let details = || Some(Box::new(ContactDetails { direct: true, owners: Vec::new(), relays: Vec::new() }));
    let content = |contact, data: &'static str| Box::new(LinkContent { contact, data: data.into() });
    let made = |person: &mut Person| match finished(person) {
        (_, connection, Ok(Reply::Linked(_, _, link))) => (connection, *link),
        (_, _, other) => panic!("no link: {other:?}"),
    };
    let opened = |person: &mut Person| match finished(person).2 {
        Ok(Reply::Opened(opened)) => opened,
        other => panic!("not opened: {other:?}"),
    };
    let open = |name, link: &ShortLink| {
        let link = Box::new(link.clone());
        Call::OpenLink { connection: named(name), user: USER, link }
    };
    run(&alice, "1", Call::CreateWithLink { user: USER, content: content(details(), "one"), pq: false })
        .unwrap();
    let (address, link) = made(&mut alice);
    run(&bob, "2", open(1, &link)).unwrap();
    assert_eq!(opened(&mut bob).user.data, "one");
    assert!(bob.others_within(HOUR).is_empty());
    assert_eq!(bob.agent_store_connections(), 0, "nothing is kept of an address that was opened");
    world.crash(0);
    run(&alice, "3", Call::SetLink(address, content(details(), "two"))).unwrap();
    assert!(alice.others_within(HOUR).is_empty());
    restart(&mut alice);
    world.start(0, ServerConfig::default());
    assert_eq!(finished(&mut alice), ("3".into(), address, Ok(Reply::Link(Box::new(link.clone())))));
    run(&bob, "4", open(1, &link)).unwrap();
    assert_eq!(opened(&mut bob).user.data, "two");
    run(&alice, "5", Call::DeleteLink(address)).unwrap();
    assert_eq!(finished(&mut alice), ("5".into(), address, Ok(Reply::Done)));
    run(&bob, "6", open(1, &link)).unwrap();
    assert!(finished(&mut bob).2.is_err(), "it leads nowhere");
    // An invitation: who opened it joins.
    run(&alice, "7", Call::CreateWithLink { user: USER, content: content(None, "mine"), pq: true }).unwrap();
    let (at_alice, link) = made(&mut alice);
    run(&bob, "8", open(2, &link)).unwrap();
    let request = opened(&mut bob).fixed.request;
    restart(&mut bob);
    run(&bob, "9", join(named(2), request)).unwrap();
    joined(&mut bob, "9", named(2));
    let (confirmation, _) = alice.confirmation();
    alice.allow(at_alice, confirmation, "alice");
    bob.info();
    bob.connected();
}

/// A contact is accepted by a command.
#[test]
fn a_contact_is_accepted_by_a_command() {
    let mut world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    run(&alice, "1", Call::CreateAddress { user: USER }).unwrap();
    let (_, request) = invitation(&mut alice, "1");
    run(&bob, "2", join(named(1), request)).unwrap();
    let (_, _, result) = finished(&mut bob);
    assert!(matches!(result, Ok(Reply::Joined { .. })));
    let Event::Request(asked) = alice.step() else { panic!("nobody asks") };
    world.crash(1);
    let (user, invitation) = (USER, asked.invitation);
    let accept = Call::Accept { connection: named(2), user, invitation, info: "alice".into(), pq: true };
    run(&alice, "3", accept).unwrap();
    assert!(alice.others_within(HOUR).is_empty());
    restart(&mut alice);
    world.start(1, ServerConfig::default());
    joined(&mut alice, "3", named(2));
    let (confirmation, _) = bob.confirmation();
    bob.allow(named(1), confirmation, "bob");
    alice.info();
    alice.connected();
}

/// What cannot be done is told, and leaves nothing behind.
#[test]
fn commands_that_fail_are_told_once() {
    let world = World::new(1);
    let (alice, mut bob, eve) = (world.person(1, 0), world.person(2, 0), world.person(3, 0));
    assert_eq!(run(&bob, "1", Call::Users), Err(PROHIBITED));
    assert_eq!(run(&bob, "2", Call::Switch(named(1))), Err(NOT_FOUND));
    let nobody = smp_core::agent::UserId(7);
    assert_eq!(run(&bob, "3", Call::Invite { user: nobody, pq: false.into() }), Err(AgentError::NoUser));
    let (_, request) = alice.invite(false);
    assert_eq!(eve.join_as(named(1), request.clone(), "eve", false), Ok(true));
    run(&bob, "4", join(named(1), request)).unwrap();
    let (of, _, result) = finished(&mut bob);
    assert_eq!((&*of, result), ("4", Err(AgentError::Connection(ConnectionError::NotAvailable))));
    restart(&mut bob);
    assert!(bob.others_within(HOUR).is_empty(), "told once");
    let invitation = smp_core::agent::InvitationId::new([1; 12]);
    let accept = Call::Accept { connection: named(2), user: USER, invitation, info: "bob".into(), pq: false };
    run(&bob, "5", accept).unwrap();
    assert_eq!(finished(&mut bob), ("5".into(), named(2), Err(NOT_FOUND)));
    assert!(bob.others_within(HOUR).is_empty());
    assert_eq!(world.runtime.block_on(bob.agent().describe(named(2))).err(), Some(NOT_FOUND));
}

/// With a connection its commands are gone, which is told of each.
#[test]
fn a_connection_is_deleted_with_its_commands() {
    for restarts in [false, true] {
        let mut world = World::new(2);
        let (alice, mut bob) = (world.person(1, 0), world.person(2, 1));
        let (_, request) = alice.invite(false);
        world.crash(1);
        world.crash(0);
        run(&bob, "1", join(named(1), request)).unwrap();
        run(&bob, "2", Call::Rejoin(named(1))).unwrap();
        assert!(bob.others_within(HOUR).is_empty());
        if restarts {
            restart(&mut bob);
        }
        world.runtime.block_on(bob.agent().delete(named(1), false)).unwrap();
        assert_eq!(finished(&mut bob), ("1".into(), named(1), Err(NOT_FOUND)));
        assert_eq!(finished(&mut bob), ("2".into(), named(1), Err(NOT_FOUND)));
        assert!(matches!(bob.step(), Event::Deleted(_)));
        assert_eq!(bob.agent_store_connections(), 0);
        restart(&mut bob);
        assert!(bob.others_within(HOUR).is_empty());
        // So it is with a connection of which there is only a command.
        run(&bob, "3", Call::Invite { user: USER, pq: false.into() }).unwrap();
        if restarts {
            restart(&mut bob);
        }
        world.runtime.run();
        let found = world.runtime.block_on(bob.agent().connections(None)).unwrap();
        world.runtime.block_on(bob.agent().delete(found[0].id, false)).unwrap();
        assert_eq!(finished(&mut bob).2, Err(NOT_FOUND));
        assert!(matches!(bob.step(), Event::Deleted(_)));
        assert_eq!(bob.agent_store_connections(), 0);
    }
}

/// Both sides are interrupted after so many turns of all tasks, with each command; nothing is repeated by the app.
#[test]
fn commands_that_are_interrupted_anywhere_go_on() {
    for turns in 0.. {
        let world = World::new(2);
        let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
        let mut was_busy = false;
        let mut interrupted = |person: &mut Person, correlation: &str, call: &dyn Fn() -> Call| {
            let mut kept = Box::pin(person.agent().run_durably(correlation, call()));
            was_busy |= world.turn(turns);
            let is_kept = kept.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
            restart(person);
            if !is_kept {
                // The app repeats what it was not answered.
                _ = run(person, correlation, call());
            }
        };
        interrupted(&mut alice, "1", &|| Call::Invite { user: USER, pq: true.into() });
        // If the agent ended with the event the app finds the connection.
        let (at_alice, request) = match ended(&mut alice).pop() {
            Some((_, connection, Ok(Reply::Invitation(_, request)))) => (connection, *request),
            Some((_, _, other)) => panic!("after {turns} turns: {other:?}"),
            None => alice.invite(true),
        };
        interrupted(&mut bob, "2", &|| join(named(1), request.clone()));
        for (_, _, result) in ended(&mut bob) {
            assert_eq!(
                result,
                Ok(Reply::Joined { connection: named(1), can_send: true }),
                "after {turns} turns"
            );
        }
        let (confirmation, _) = alice.confirmation();
        interrupted(&mut alice, "3", &|| Call::Allow {
            connection: at_alice,
            confirmation,
            info: "alice".into(),
        });
        alice.others_within(HOUR);
        interrupted(&mut bob, "4", &|| Call::Switch(named(1)));
        let results: Vec<_> = ended(&mut bob).into_iter().map(|(_, _, result)| result).collect();
        let (twice, rest) = (Err(PROHIBITED), results.get(1..).unwrap_or_default());
        assert!(results.first().is_none_or(|first| *first == Ok(Reply::Done) || *first == twice));
        assert!(rest.iter().all(|result| *result == twice), "after {turns} turns");
        let description = bob.describe(named(1));
        assert!(description.receive.len() == 1, "after {turns} turns");
        bob.send(named(1), "hello").unwrap();
        assert_eq!(alice.bodies(), ["hello"], "after {turns} turns");
        alice.send(at_alice, "hello, bob").unwrap();
        assert_eq!(bob.bodies(), ["hello, bob"], "after {turns} turns");
        assert!(bob.store.connection(named(1)).tasks.is_empty());
        assert!(alice.store.connection(at_alice).tasks.is_empty());
        if !was_busy {
            assert!(turns > 20, "there was hardly anything to interrupt");
            return;
        }
    }
}

/// How commands ended within an hour.
fn ended(person: &mut Person) -> Vec<Finished> {
    let events = person.others_within(HOUR).into_iter();
    let finished = events.filter_map(|event| match event {
        Event::Finished { correlation, connection, result } => Some((correlation, connection, *result)),
        Event::Error(..) => panic!("{}", tell(&event)),
        _ => None,
    });
    finished.collect()
}

/// The store fails at any point: the command is done nevertheless.
#[test]
fn a_store_that_fails_delays_commands() {
    for after in 0..12 {
        let world = World::new(1);
        let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 0));
        run(&alice, "1", Call::Invite { user: USER, pq: false.into() }).unwrap();
        alice.store.fail(after, 3);
        let (at_alice, request) = invitation(&mut alice, "1");
        run(&bob, "2", join(named(1), request)).unwrap();
        bob.store.fail(after, 3);
        joined(&mut bob, "2", named(1));
        let (confirmation, _) = alice.confirmation();
        alice.store.fail(0, 0);
        alice.allow(at_alice, confirmation, "alice");
        bob.info();
        bob.connected();
    }
}

/// What ended before a crash that the app was not told of: it is not done again, and told.
#[test]
fn what_was_done_before_a_crash_is_told_after_it() {
    let world = World::new(1);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 0));
    let (at_alice, request) = alice.invite(false);
    let queues = world.queues(0);
    let keep = |person: &mut Person, at: ConnectionId, kind: TaskKind| {
        person.stop();
        let task = Task { kind, origin: Origin::Durable("kept".into()) };
        person.store.put(vec![AgentOp::PutTasks(at, vec![task])]);
        person.start();
    };
    keep(&mut alice, at_alice, TaskKind::Tell);
    assert_eq!(finished(&mut alice), ("kept".into(), at_alice, Ok(Reply::Done)));
    // As a call that made the invitation is kept.
    let made = Bytes::from_static(b"\x01\0\0\0\0\0\0\0\x01F");
    keep(&mut alice, at_alice, TaskKind::Command(made));
    assert!(invitation(&mut alice, "kept") == (at_alice, request.clone()), "the same invitation");
    keep(&mut alice, at_alice, TaskKind::Command("?".into()));
    assert!(
        matches!(finished(&mut alice), (_, _, Err(AgentError::Internal(_)))),
        "what cannot be read is told"
    );
    assert!(alice.store.connection(at_alice).tasks.is_empty());
    restart(&mut alice);
    assert!(alice.others_within(HOUR).is_empty(), "told once");
    assert_eq!(world.queues(0), queues, "nothing was done twice");
    // A message that waits does not wait for commands, nor they for it.
    assert_eq!(bob.join_as(named(1), request.clone(), "bob", false), Ok(true));
    bob.others_within(HOUR);
    let mut text = vec![7, 0, 0, 0, 0, 0, 0, 0, 1, b'F', 0, 0, 0, 0];
    let request = request.to_string();
    text.extend(u32::try_from(request.len()).unwrap().to_be_bytes());
    text.extend(request.bytes());
    keep(&mut bob, named(1), TaskKind::Command(text.into()));
    joined(&mut bob, "kept", named(1));
    // Somebody has used the invitation: the app was told of it.
    alice.others_within(HOUR);
    let made = Bytes::from_static(b"\x01\0\0\0\0\0\0\0\x01F");
    keep(&mut alice, at_alice, TaskKind::Command(made));
    assert!(!alice.others_within(HOUR).iter().any(|event| matches!(event, Event::Finished { .. })));
    assert!(alice.store.connection(at_alice).tasks.is_empty());
}

/// Wherever the store fails and the agent ends, what was kept is done once, and told: again when nothing says that it was.
#[test]
fn what_is_kept_is_done_once_and_told() {
    let mut all = Vec::new();
    for after in 0..12 {
        let world = World::new(1);
        let (mut alice, bob) = (world.person(1, 0), world.person(2, 0));
        let (at_alice, request) = alice.invite(false);
        assert_eq!(bob.join_as(named(1), request, "bob", false), Ok(true));
        let (confirmation, _) = alice.confirmation();
        let allow = Call::Allow { connection: at_alice, confirmation, info: "alice".into() };
        let kept = alice.agent().run_durably("allow", allow);
        alice.store.fail(after, u32::MAX);
        let mut told = alice.others_within(HOUR / 60).iter().filter(|event| is_end(event)).count();
        alice.stop();
        let was_kept = alice.runtime().block_on(kept).is_ok();
        alice.store.fail(0, 0);
        alice.start();
        for (_, _, result) in ended(&mut alice) {
            told += 1;
            assert_eq!(result, Ok(Reply::Done), "the store failed after {after}");
        }
        assert_eq!(told > 0, was_kept, "the store failed after {after}");
        all.push(told);
    }
    assert!(all.contains(&0) && all.contains(&1) && all.contains(&2), "all cases are met: {all:?}");
    assert!(all.iter().all(|told| *told <= 2), "one end is told twice at most: {all:?}");
}

fn is_end(event: &Event) -> bool {
    matches!(event, Event::Finished { .. })
}
