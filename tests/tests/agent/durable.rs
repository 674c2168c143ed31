//! Calls that are kept and carried out later, over real sockets.

use smp_core::agent::{Call, ConnectionId, Event, Reply, UserServer};
use smp_core::wire::ServerAddress;
use smp_core::wire::agent::AgentError;
use smp_runtime::agent::new_connection_id;
use smp_tests::peer::Address;

use crate::world::{Person, USER, at, impatient, server};

/// An invitation is asked for while no server is there; the agent ends, and makes it after a start from its file.
#[test]
fn commands_outlive_the_agent() {
    let server = server();
    let mut alice = Person::with(vec![nobody(server.address())], impatient());
    let mut bob = Person::new(&[&server]);
    let tested = alice.agent().test_server(at(server.address()));
    assert_eq!(alice.wait(tested), Ok(()));

    keep(&alice, "first", Call::Invite { user: USER, pq: true.into() });
    alice.sleep();
    alice.servers = vec![at(server.address())];
    alice.wake();
    let (at_alice, result) = finished(&mut alice, "first");
    let Ok(Reply::Invitation(_, request)) = result else { panic!("no invitation: {result:?}") };

    let connection = new_connection_id().expect("randomness");
    keep(&bob, "second", Call::Join { connection, user: USER, request, info: "joiner".into(), pq: true });
    let joined = finished(&mut bob, "second");
    assert!(joined == (connection, Ok(Reply::Joined { connection, can_send: true })));

    let confirmation = alice.confirmation();
    keep(&alice, "third", Call::Allow { connection: at_alice, confirmation, info: "maker".into() });
    assert_eq!(finished(&mut alice, "third").1, Ok(Reply::Done));
    bob.info();
    bob.connected();
}

/// The server, at a port where nobody listens.
fn nobody(address: &Address) -> UserServer {
    let server = at(address);
    let hosts = server.address.hosts().to_vec();
    let nobody = ServerAddress::new(hosts, Some(1), *server.address.key_hash()).expect("one host");
    UserServer::new(nobody)
}

#[track_caller]
fn keep(person: &Person, correlation: &str, call: Call) {
    person.wait(person.agent().run_durably(correlation, call)).expect("it is kept");
}

#[track_caller]
fn finished(person: &mut Person, expected: &str) -> (ConnectionId, Result<Reply, AgentError>) {
    match person.next_unsent() {
        Event::Finished { correlation, connection, result } => {
            assert_eq!(&*correlation, expected);
            (connection, *result)
        }
        event => panic!("not the end of a command: {event:?}"),
    }
}
