//! Messages that are taken only when the app asks for them, and notices of servers.

use smp_core::agent::store::{AgentQuery, Found};
use smp_core::agent::{Event, QueueOptions};
use smp_core::server::Moderation;
use smp_core::wire::agent::{AgentCommandError, AgentError};
use smp_core::wire::error::{BlockingInfo, BlockingReason, ErrorType, Notice};
use smp_runtime::agent::new_connection_id;
use smp_storage::agent::{AgentStore, SqliteAgentStore, SqliteOptions};

use crate::world::{Person, USER, server};

/// Both sides ask for everything, over restarts of a server; then one of them subscribes.
#[test]
fn messages_are_taken_when_the_app_asks() {
    let (mut first, second) = (server(), server());
    let (mut alice, mut bob) = (Person::new(&[&first]), Person::new(&[&second]));
    let left = QueueOptions { only_create: true, ..QueueOptions::default() };
    let (at_alice, request) = alice.wait(alice.agent().making(left).invite(USER, true)).expect("a server");
    let at_bob = new_connection_id().expect("randomness");
    let joining = bob.agent().making(left).join(at_bob, USER, request, "bob".into(), true);
    bob.wait(joining).expect("two servers");
    assert_eq!(alice.wait(alice.agent().fetch(at_alice)), Ok(None));
    let Event::Confirmation { confirmation, .. } = alice.next() else { panic!("nobody asks") };
    alice.wait(alice.agent().allow(at_alice, confirmation, "alice".into())).expect("it is kept");
    assert!(matches!(alice.next(), Event::Connected(_)));
    assert_eq!(bob.wait(bob.agent().fetch(at_bob)), Ok(None));
    assert!(matches!(bob.next(), Event::Info(..)));
    assert!(matches!(bob.next(), Event::Connected(_)));

    for body in ["one", "two", "three"] {
        bob.send(at_bob, body);
        assert!(matches!(bob.next(), Event::Sent(..)));
    }
    let taken = |alice: &mut Person, body: &str| {
        let fetched = alice.wait(alice.agent().fetch(at_alice)).expect("a server");
        let Event::Message(message) = alice.next() else { panic!("no message") };
        assert_eq!((fetched, &message.body[..]), (Some(message.id), body.as_bytes()));
        message.id
    };
    let one = taken(&mut alice, "one");
    first.pause();
    first.resume();
    alice.try_again();
    alice.wait(alice.agent().acknowledge(at_alice, one)).expect("it is there");
    let two = taken(&mut alice, "two");
    alice.wait(alice.agent().acknowledge(at_alice, two)).expect("it is there");
    alice.wait(alice.agent().subscribe(at_alice)).expect("it is there");
    alice.hears("three");
    let fetched = alice.wait(alice.agent().fetch(at_alice));
    assert_eq!(fetched, Err(AgentError::Command(AgentCommandError::Prohibited)));
}

#[test]
fn a_server_that_gave_notice_makes_no_address() {
    let server = server();
    let mut alice = Person::new(&[&server]);
    let checked = QueueOptions { check_notices: true, ..QueueOptions::default() };
    let make = |alice: &Person| alice.wait(alice.agent().making(checked).create_address(USER));
    let (at, _) = make(&alice).expect("a server");
    alice.sleep();
    let mut store = SqliteAgentStore::open(alice.file(), &SqliteOptions::default()).expect("a database");
    let Ok(Found::Connection(Some(kept))) = store.read(&AgentQuery::Connection(at)) else {
        panic!("no connection")
    };
    drop(store);
    let queue = &kept.receive[0].recipient_id;
    let blocked = |ttl| BlockingInfo { reason: BlockingReason::Content, notice: Some(Notice { ttl }) };
    let is_told = |alice: &mut Person| {
        let event = alice.next();
        let is_it = matches!(event, Event::Error(_, AgentError::Smp { error: ErrorType::Blocked(_), .. }));
        assert!(is_it, "{event:?}");
    };
    assert!(server.moderate(Moderation::Block(queue.clone(), blocked(None))));
    alice.wake();
    is_told(&mut alice);
    for _ in 0..2 {
        let refused = make(&alice).expect_err("it gave notice");
        assert!(
            matches!(refused, AgentError::Notice { is_preset: false, expires_at: None, .. }),
            "{refused}"
        );
        alice.restart();
        is_told(&mut alice);
    }
    assert!(server.moderate(Moderation::Block(queue.clone(), blocked(Some(-1)))));
    alice.restart();
    is_told(&mut alice);
    make(&alice).expect("it is over");
}
