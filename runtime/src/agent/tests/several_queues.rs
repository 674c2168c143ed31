//! How many queues a connection is made with, by which call and for what.

use bytes::Bytes;
use smp_core::agent::store::{AgentOp, Origin, Progress, QueueStage, Task, TaskKind};
use smp_core::agent::{Call, ConnectionId, Event, QueueOptions, Reply};
use smp_core::server::ServerConfig;
use smp_core::wire::ConnectionRequest;
use smp_core::wire::agent::{AgentCommandError, AgentError};
use smp_core::wire::link::{ContactDetails, ShortLink};

use super::super::Linked;
use super::world::USER;
use super::*;

const PROHIBITED: AgentError = AgentError::Command(AgentCommandError::Prohibited);

/// Somebody who makes queues on these servers, one for a connection unless a call says otherwise.
fn on(world: &World, name: u8, servers: &[usize]) -> Person {
    let mut person = world.person(name, servers[0]);
    person.stop();
    person.more_servers = servers[1..].iter().map(|server| world.address(*server)).collect();
    person.start();
    person
}

fn invite(person: &Person, queues: u8) -> (ConnectionId, ConnectionRequest) {
    person.runtime().block_on(person.agent().with_queues(queues).invite(USER, false)).unwrap()
}

fn link(person: &Person, queues: u8, pq: bool) -> Result<Linked, AgentError> {
    let made = person.agent().with_queues(queues).invite_with_link(USER, "a profile".into(), pq);
    person.runtime().block_on(made)
}

fn address(person: &Person, queues: u8) -> (ConnectionId, ConnectionRequest) {
    person.runtime().block_on(person.agent().with_queues(queues).create_address(USER)).unwrap()
}

fn join(
    person: &Person,
    at: u8,
    queues: u8,
    request: ConnectionRequest,
    info: Bytes,
) -> Result<bool, AgentError> {
    let agent = person.agent().with_queues(queues);
    let joined = person.runtime().block_on(agent.join(named(at), USER, request, info, true));
    joined.map(|joined| joined.can_send)
}

fn named(name: u8) -> ConnectionId {
    ConnectionId::new([name; 12])
}

/// The servers of the queues of a request, as numbers, in order.
fn servers_of(request: &ConnectionRequest) -> Vec<usize> {
    let port = |queue: &smp_core::wire::QueueUri| queue.address.server.port().unwrap();
    request.queues().iter().map(|queue| usize::from(port(queue)) - 5223).collect()
}

/// From who used an invitation to messages both ways, also when the first queues of both sides fail.
fn finish(
    world: &mut World,
    (alice, at_alice): (&mut Person, ConnectionId),
    (bob, at_bob): (&mut Person, ConnectionId),
) {
    let (confirmation, _) = alice.confirmation();
    alice.allow(at_alice, confirmation, "alice");
    bob.info();
    bob.connected();
    alice.connected();
    assert!(alice.others_within(HOUR).is_empty() && bob.others_within(HOUR).is_empty());
    let first = |person: &Person, at| person.store.connection(at).receive[0].server.port().unwrap();
    let firsts = [first(alice, at_alice), first(bob, at_bob)].map(|port| usize::from(port) - 5223);
    for _ in 0..2 {
        bob.send(at_bob, "hello").unwrap();
        assert_eq!(alice.bodies(), ["hello"]);
        alice.send(at_alice, "hello too").unwrap();
        assert_eq!(bob.bodies(), ["hello too"]);
        firsts.iter().for_each(|server| world.crash(*server));
    }
    firsts.iter().for_each(|server| world.start(*server, ServerConfig::default()));
}

#[test]
fn a_call_says_how_many() {
    let world = World::new(4);
    let alice = on(&world, 1, &[0, 1, 2]);
    for (said, expected) in [(0, 1), (1, 1), (2, 2), (3, 3), (9, 3)] {
        let (at_alice, request) = invite(&alice, said);
        let mut servers = servers_of(&request);
        servers.sort_unstable();
        servers.dedup();
        assert_eq!((request.queues().len(), servers.len()), (expected, expected), "{said}");
        assert_eq!(alice.store.connection(at_alice).receive.len(), expected);
    }
    assert_eq!(alice.invite(false).1.queues().len(), 1);
    assert_eq!(address(&alice, 2).1.queues().len(), 2);
    assert_eq!((0..3).map(|server| world.queues(server)).sum::<u64>(), 13);
    // Calls that make nothing have no queues to speak of.
    let with_two =
        |call| Call::With(QueueOptions { queues: Some(2), ..QueueOptions::default() }, Box::new(call));
    for call in [Call::Users, with_two(Call::Invite { user: USER, pq: false.into() })] {
        let call = with_two(call);
        let kept = alice.runtime().block_on(alice.agent().run_durably("1", call));
        assert_eq!(kept, Err(PROHIBITED));
    }
}

/// What a call said holds after restarts, for those that are kept and for those that are repeated.
#[test]
fn what_a_call_said_is_kept() {
    let mut world = World::new(5);
    let (mut alice, mut bob) = (on(&world, 1, &[0, 1]), on(&world, 2, &[2, 3, 4]));
    (0..2).for_each(|server| world.crash(server));
    let call = Call::Invite { user: USER, pq: false.into() };
    alice.runtime().block_on(alice.agent().with_queues(2).run_durably("1", call)).unwrap();
    alice.others_within(HOUR);
    alice.stop();
    (0..2).for_each(|server| world.start(server, ServerConfig::default()));
    alice.start();
    let Event::Finished { connection: at_alice, result, .. } = alice.event() else { panic!("it ended") };
    let Ok(Reply::Invitation(_, request)) = *result else { panic!("an invitation") };
    assert_eq!(request.queues().len(), 2);
    world.crash(servers_of(&request)[0]);
    assert!(join(&bob, 7, 3, (*request).clone(), "bob".into()).is_err());
    bob.stop();
    world.start(servers_of(&request)[0], ServerConfig::default());
    bob.start();
    bob.others_within(HOUR);
    assert_eq!(bob.rejoin(named(7)), Ok(true));
    assert_eq!(bob.store.connection(named(7)).receive.len(), 3);
    finish(&mut world, (&mut alice, at_alice), (&mut bob, named(7)));
}

/// A short link tells of all queues, and the one that has it is the first.
#[test]
fn an_invitation_with_a_short_link_has_several() {
    for pq in [false, true] {
        let mut world = World::new(4);
        let (mut alice, mut bob) = (on(&world, 1, &[0, 1]), on(&world, 2, &[2, 3]));
        let Linked { connection: at_alice, request, link } = link(&alice, 2, pq).unwrap();
        let link: ShortLink = link.unwrap();
        let kept = alice.store.connection(at_alice).receive;
        assert!(kept[0].link.is_some() && kept[0].number.0 == 1 && kept[1].number.0 == 2);
        assert!(link.server.address().unwrap() == kept[0].server);
        alice.stop();
        alice.start();
        let opened = bob.runtime().block_on(bob.agent().open_link(named(7), USER, link)).unwrap();
        assert_eq!(servers_of(&opened.fixed.request), servers_of(&request));
        assert_eq!(request.queues().len(), 2);
        assert_eq!(join(&bob, 7, 2, opened.fixed.request, "bob".into()), Ok(true));
        finish(&mut world, (&mut alice, at_alice), (&mut bob, named(7)));
    }
}

/// The data of a link has room for so many queues, and no more are told of there; the full link has all.
#[test]
fn a_short_link_tells_of_as_many_as_there_is_room_for() {
    let world = World::new(13);
    let all: Vec<_> = (0..12).collect();
    let (mut alice, mut bob) = (on(&world, 1, &all), on(&world, 2, &[12]));
    let Linked { connection: at_alice, request, link } = link(&alice, 12, true).unwrap();
    assert_eq!(request.queues().len(), 12);
    let opened = bob.runtime().block_on(bob.agent().open_link(named(7), USER, link.unwrap())).unwrap();
    let told = opened.fixed.request.queues().len();
    assert!((2..12).contains(&told), "{told}");
    assert_eq!(servers_of(&opened.fixed.request), servers_of(&request)[..told]);
    assert_eq!(join(&bob, 7, 1, opened.fixed.request, "bob".into()), Ok(true));
    let (confirmation, _) = alice.confirmation();
    alice.allow(at_alice, confirmation, "alice");
    bob.others_within(HOUR);
    alice.others_within(HOUR);
    let kept = bob.store.connection(named(7)).send;
    assert_eq!(kept.len(), bob.limits.send_queues, "no more of them are used");
    assert!(kept[1..].iter().all(|queue| queue.stage == QueueStage::Active));
}

/// One of two servers is away: there is a link to the other one, and nothing is left behind there that nobody knows.
#[test]
fn a_link_does_with_fewer_queues() {
    let mut world = World::new(2);
    let mut alice = on(&world, 1, &[0, 1]);
    world.crash(1);
    let mut made = 0;
    for _ in 0..12 {
        if let Ok(Linked { connection, request, link }) = link(&alice, 2, false) {
            made += 1;
            assert_eq!((servers_of(&request), link.is_some()), (vec![0], true));
            assert_eq!(alice.store.connection(connection).receive.len(), 1);
        }
        alice.others_within(HOUR);
        assert_eq!(world.queues(0), made);
    }
    assert!(made > 3, "{made}");
    // Data that has no room leaves nothing behind either.
    world.start(1, ServerConfig::default());
    alice.others_within(HOUR);
    let large = vec![0; 20_000].into();
    let refused = alice.agent().with_queues(2).invite_with_link(USER, large, false);
    let refused = alice.runtime().block_on(refused).map(|_| ());
    assert_eq!(refused, Err(AgentError::Command(AgentCommandError::Large)));
    alice.others_within(HOUR);
    assert_eq!((world.queues(0), world.queues(1)), (made, 0));
}

/// Whoever asks at an address tries its queues one after another, and who has it is asked once; then both sides have several.
#[test]
fn an_address_and_who_asks_there_have_several() {
    let mut world = World::new(4);
    let (mut alice, mut bob) = (on(&world, 1, &[0, 1]), on(&world, 2, &[2, 3]));
    let (at_address, request) = address(&alice, 2);
    alice.stop();
    alice.start();
    let first = servers_of(&request)[0];
    world.crash(first);
    assert_eq!(join(&bob, 7, 2, request.clone(), "bob".into()), Ok(false), "the second queue is asked");
    let Event::Request(asked) = alice.event() else { panic!("no request") };
    assert_eq!((asked.connection, asked.servers.len()), (at_address, 2));
    world.start(first, ServerConfig::default());
    assert!(alice.others_within(HOUR).is_empty());
    let agent = alice.agent().with_queues(2);
    let accepted = agent.accept(named(8), USER, asked.invitation, "alice".into(), true);
    assert!(alice.runtime().block_on(accepted).is_ok());
    finish(&mut world, (&mut bob, named(7)), (&mut alice, named(8)));
    // All of them away: the call fails, and goes on when it is repeated.
    (0..2).for_each(|server| world.crash(server));
    assert!(join(&bob, 9, 2, request, "bob".into()).is_err());
    bob.others_within(HOUR);
    (0..2).for_each(|server| world.start(server, ServerConfig::default()));
    bob.stop();
    bob.start();
    alice.others_within(HOUR);
    assert_eq!(bob.rejoin(named(9)), Ok(false));
    assert!(matches!(alice.others_within(HOUR)[..], [Event::Request(_)]));
    let before = world.queues(0) + world.queues(1);
    alice.runtime().block_on(alice.agent().delete(at_address, false)).unwrap();
    assert_eq!(alice.others_within(HOUR).len(), 3, "two queues and the address");
    assert_eq!(world.queues(0) + world.queues(1), before - 2);
}

/// The server of the address took the request, and died before it said so; the other queue brings it once more.
#[test]
fn who_asks_twice_is_told_once() {
    let mut world = World::new(3);
    let (mut alice, mut bob) = (on(&world, 1, &[0, 1]), on(&world, 2, &[2]));
    let (_, request) = address(&alice, 2);
    assert_eq!(join(&bob, 7, 1, request.clone(), "bob".into()), Ok(false));
    assert!(matches!(alice.others_within(HOUR)[..], [Event::Request(_)]));
    bob.stop();
    let mut state = bob.store.connection(named(7)).state;
    state.progress = Progress::Joining;
    let client = bob.versions.client;
    let kinds = request.queues().iter().map(|queue| queue.agree(client).unwrap());
    let kinds = kinds.map(|queue| TaskKind::Invite { queue, info: "bob".into() });
    let tasks = kinds.map(|kind| Task { kind, origin: Origin::Call }).collect();
    let kept = AgentOp::PutConnection(named(7), Box::new(state));
    bob.store.put(vec![kept, AgentOp::PutTasks(named(7), tasks)]);
    world.crash(servers_of(&request)[0]);
    bob.start();
    assert_eq!(bob.rejoin(named(7)), Ok(false));
    assert!(alice.others_within(HOUR).is_empty());
}

/// Who may have been told of some queues is not told of more: he would take it for another request.
#[test]
fn a_request_that_is_sent_again_is_the_same() {
    let mut world = World::new(4);
    let (mut alice, mut bob) = (on(&world, 1, &[0]), on(&world, 2, &[2, 3]));
    let (_, request) = address(&alice, 1);
    let mut fewer = 0;
    for at in 1..=8 {
        [0, 3].iter().for_each(|server| world.crash(*server));
        assert!(join(&bob, at, 2, request.clone(), "bob".into()).is_err());
        bob.others_within(HOUR);
        let made = bob.store.connection(named(at)).receive.len();
        [0, 3].iter().for_each(|server| world.start(*server, ServerConfig::default()));
        bob.stop();
        bob.start();
        alice.others_within(HOUR);
        assert_eq!(bob.rejoin(named(at)), Ok(false));
        let Event::Request(asked) = alice.event() else { panic!("no request") };
        // The server of the first queue may have been the one that was away: then there was none.
        assert_eq!(asked.servers.len(), if made == 0 { 2 } else { 1 });
        fewer += made;
    }
    assert!(fewer > 0);
}

/// What is said of oneself leaves no room for a second queue: that is deleted, and not made again.
#[test]
fn a_request_has_one_queue_if_there_is_no_room_for_more() {
    let mut world = World::new(4);
    let (mut alice, mut bob) = (on(&world, 1, &[0, 3]), on(&world, 2, &[1, 2]));
    let (_, request) = address(&alice, 2);
    // The next queue of the address is asked with the same.
    world.crash(servers_of(&request)[0]);
    let mut len = 15_800;
    let asked = loop {
        let info = Bytes::from(vec![b'x'; len]);
        let at = u8::try_from(len % 200).unwrap() + 1;
        match join(&bob, at, 2, request.clone(), info) {
            Err(AgentError::Command(AgentCommandError::Large)) => len -= 60,
            joined => {
                joined.unwrap();
                break alice.others_within(HOUR);
            }
        }
    };
    let [Event::Request(asked)] = &asked[..] else { panic!("no request: {asked:?}") };
    assert_eq!((asked.info.len(), asked.servers.len()), (len, 1));
    let at_bob = named(u8::try_from(len % 200).unwrap() + 1);
    has_one_queue(&world, &mut bob, at_bob, 1);
    // Nobody can be asked before a restart.
    world.crash(servers_of(&request)[1]);
    assert!(join(&bob, 201, 2, request.clone(), vec![b'x'; len].into()).is_err());
    has_one_queue(&world, &mut bob, named(201), 2);
    bob.stop();
    world.start(servers_of(&request)[1], ServerConfig::default());
    bob.start();
    alice.others_within(HOUR);
    assert_eq!(bob.rejoin(named(201)), Ok(false));
    let Event::Request(again) = alice.event() else { panic!("no request") };
    assert_eq!(again.servers.len(), 1);
    has_one_queue(&world, &mut bob, named(201), 2);
    // It is the one that is used.
    world.start(servers_of(&request)[0], ServerConfig::default());
    let accepted = alice.agent().accept(named(8), USER, asked.invitation, "alice".into(), true);
    alice.runtime().block_on(accepted).unwrap();
    let (confirmation, _) = bob.confirmation();
    bob.allow(at_bob, confirmation, "bob");
    bob.connected();
    alice.info();
    alice.connected();
    alice.send(named(8), "hello").unwrap();
    assert_eq!(bob.bodies(), ["hello"]);
}

/// A connection has one queue and nothing to do, and so many are left on the servers of its owner.
#[track_caller]
fn has_one_queue(world: &World, person: &mut Person, connection: ConnectionId, all: u64) {
    assert!(person.others_within(HOUR).is_empty());
    let kept = person.store.connection(connection);
    assert_eq!((kept.receive.len(), kept.state.queues), (1, 2), "of two that were made one is left");
    assert!(kept.tasks.iter().all(|task| matches!(task.kind, TaskKind::Invite { .. })));
    assert_eq!(world.queues(1) + world.queues(2), all);
}

fn details() -> ContactDetails {
    ContactDetails { direct: true, owners: Vec::new(), relays: Vec::new() }
}

/// An address gets a link when it is there, and the link tells of both queues.
#[test]
fn the_link_of_an_address_tells_of_all() {
    let world = World::new(3);
    let (alice, bob) = (on(&world, 1, &[0, 1]), on(&world, 2, &[2]));
    let made = alice.agent().with_queues(2).create_address_with_link(USER, details(), "one".into());
    let made = world.runtime.block_on(made).unwrap();
    let (later, full) = address(&alice, 2);
    let set = alice.agent().set_link(later, Some(details()), "two".into());
    let set = world.runtime.block_on(set).unwrap();
    for (number, (link, request)) in [(made.link.unwrap(), made.request), (set, full)].into_iter().enumerate()
    {
        let at = named(u8::try_from(number).unwrap() + 1);
        let opened = bob.runtime().block_on(bob.agent().open_link(at, USER, link)).unwrap();
        assert_eq!(request.queues().len(), 2);
        assert_eq!(servers_of(&opened.fixed.request), servers_of(&request));
    }
}
