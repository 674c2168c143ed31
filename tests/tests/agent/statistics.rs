//! What agents count is kept by their databases.

use crate::world::{Person, connect, server, talk};

#[test]
fn numbers_outlive_an_agent() {
    let (first, second) = (server(), server());
    let (mut alice, mut bob) = (Person::new(&[&first]), Person::new(&[&second]));
    let (at_alice, at_bob) = connect(&mut alice, &mut bob);
    talk(&mut alice, at_alice, &mut bob, at_bob);
    let statistics = |person: &Person| person.wait(person.agent().statistics()).expect("numbers");
    let before = statistics(&alice);
    let ours = &alice.servers[0].address.clone();
    let own = before.servers.iter().find(|server| server.server == *ours).expect("her own server");
    assert_eq!((own.counters.queues_created, own.counters.connected), (1, 1));
    assert!(own.counters.received > 1 && own.sessions.connected == 1 && own.subscriptions.subscribed == 1);
    alice.restart();
    talk(&mut alice, at_alice, &mut bob, at_bob);
    let after = statistics(&alice);
    let own_after = after.servers.iter().find(|server| server.server == *ours).expect("her own server");
    assert!(after.since == before.since);
    assert_eq!((own_after.counters.queues_created, own_after.counters.connected), (1, 1));
    assert!(own_after.counters.received > own.counters.received);
    assert_eq!(own_after.counters.subscribed, 1);
    let hash = |person: &Person, id| person.wait(person.agent().ratchet_hash(id)).expect("a connection");
    assert!(hash(&alice, at_alice).is_some() && hash(&alice, at_alice) == hash(&bob, at_bob));
    alice.wait(alice.agent().reset_statistics()).expect("it is kept");
    alice.restart();
    assert!(statistics(&alice).since > before.since);
}
