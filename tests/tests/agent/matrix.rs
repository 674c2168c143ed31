//! Agents of all ages, that send directly and through a proxy, over one server and two, with post-quantum encryption and without.

use smp_core::crypto::ratchet::PqEncryption;
use smp_tests::server::TestServer;

use crate::world::{FLAGS, Kind, Person, connect_at, connect_with_pq, server, talk_with_pq};

/// Whoever begins, whoever joins, and whether the latter can send at once.
fn kinds() -> [(Kind, Kind, bool); 8] {
    let (current, previous) = (Kind::current, Kind::previous);
    [
        (current().proxied(), current().proxied(), true),
        (current().proxied().over_smp_8(), current().proxied().over_smp_8(), false),
        // One side has sessions too old for SKEY: the other secures what it cannot.
        (current(), current().over_smp_8(), false),
        (current().over_smp_8(), current(), false),
        (current(), current(), true),
        (previous(), previous(), false),
        (previous(), current(), false),
        (current(), previous(), false),
    ]
}

fn ratchets() -> [(Kind, Kind); 4] {
    let (current, old) = (Kind::current, Kind::with_ratchet_2);
    [(old(), old()), (old(), current()), (current(), old()), (current().proxied(), old().proxied())]
}

fn has_pq(kind: &Kind) -> bool {
    kind.versions.ratchet.max().0 > 2
}

/// Both on the first server, and each on one.
fn places<'a>(first: &'a TestServer, second: &'a TestServer) -> [[&'a TestServer; 2]; 2] {
    [[first, first], [first, second]]
}

#[test]
fn invitations_connect_agents_of_all_ages() {
    let (first, second) = (server(), server());
    for (number, (maker, joiner, can_send)) in kinds().into_iter().enumerate() {
        for [of_alice, of_bob] in places(&first, &second) {
            let (mut alice, mut bob) = (Person::of(&maker, &[of_alice]), Person::of(&joiner, &[of_bob]));
            let (at_alice, at_bob, is_fast) = connect_with_pq((&mut alice, true), (&mut bob, true));
            assert_eq!(is_fast, can_send, "of kind {number}");
            let pq = has_pq(&maker) && has_pq(&joiner);
            assert_eq!(talk_with_pq((&mut alice, at_alice), (&mut bob, at_bob)), [pq; 2]);
        }
    }
}

#[test]
fn addresses_connect_agents_of_all_ages() {
    let (first, second) = (server(), server());
    for (owner, asker, _) in kinds() {
        for [of_alice, of_bob] in places(&first, &second) {
            let (mut alice, mut bob) = (Person::of(&owner, &[of_alice]), Person::of(&asker, &[of_bob]));
            let (address, request) = alice.address();
            let at = (address, &request);
            let (at_alice, at_bob) = connect_at(at, (&mut alice, true), (&mut bob, true));
            let pq = has_pq(&owner) && has_pq(&asker);
            assert_eq!(talk_with_pq((&mut alice, at_alice), (&mut bob, at_bob)), [pq; 2]);
        }
    }
}

#[test]
fn ratchets_of_both_versions_agree() {
    let server = server();
    for (maker, joiner) in ratchets() {
        let (mut alice, mut bob) = (Person::of(&maker, &[&server]), Person::of(&joiner, &[&server]));
        let (at_alice, at_bob, _) = connect_with_pq((&mut alice, true), (&mut bob, true));
        assert_eq!(talk_with_pq((&mut alice, at_alice), (&mut bob, at_bob)), [false; 2]);
        let (address, request) = bob.address();
        let at = (address, &request);
        let (at_bob, at_alice) = connect_at(at, (&mut bob, true), (&mut alice, true));
        assert_eq!(talk_with_pq((&mut alice, at_alice), (&mut bob, at_bob)), [false; 2]);
        assert!(alice.describe(at_alice).ratchet_hash == bob.describe(at_bob).ratchet_hash);
    }
}

/// Both have to want it.
#[test]
fn those_who_both_want_post_quantum_encryption_have_it() {
    let (first, second) = (server(), server());
    for [maker_pq, joiner_pq] in [[false, false], [false, true], [true, false], [true, true]] {
        for kind in [Kind::current(), Kind::current().proxied()] {
            let (mut alice, mut bob) = (Person::of(&kind, &[&first]), Person::of(&kind, &[&second]));
            let (at_alice, at_bob, _) = connect_with_pq((&mut alice, maker_pq), (&mut bob, joiner_pq));
            let told = talk_with_pq((&mut alice, at_alice), (&mut bob, at_bob));
            assert_eq!(told, [maker_pq && joiner_pq; 2], "maker {maker_pq}, joiner {joiner_pq}");
            let hashes = [alice.describe(at_alice).ratchet_hash, bob.describe(at_bob).ratchet_hash];
            assert!(hashes[0].is_some() && hashes[0] == hashes[1]);
        }
    }
}

/// All combinations of what an owner and two who ask want.
#[test]
fn two_people_ask_at_one_address_for_encryption_of_all_kinds() {
    let server = server();
    let [mut alice, mut bob, mut carol] =
        [(); 3].map(|()| Person::of(&Kind::current().proxied(), &[&server]));
    let (address, request) = alice.address();
    for wanted in 0..8_u8 {
        let [owner, first, second] = [1, 2, 4].map(|bit| wanted & bit != 0);
        for (asker, asked) in [(&mut bob, first), (&mut carol, second)] {
            let at = (address, &request);
            let (at_owner, at_asker) = connect_at(at, (&mut alice, owner), (asker, asked));
            let told = talk_with_pq((&mut alice, at_owner), (asker, at_asker));
            assert_eq!(told, [owner && asked; 2], "owner {owner}, asker {asked}");
        }
    }
}

#[test]
fn post_quantum_encryption_is_switched_on_later() {
    let server = server();
    let (mut alice, mut bob) = (Person::new(&[&server]), Person::new(&[&server]));
    let (at_alice, at_bob, _) = connect_with_pq((&mut alice, false), (&mut bob, false));
    assert_eq!(talk_with_pq((&mut alice, at_alice), (&mut bob, at_bob)), [false; 2]);
    for (person, connection, other) in [(0, at_alice, 1), (1, at_bob, 0)] {
        let people = [&mut alice, &mut bob];
        let sent = people[person].agent().send_with_pq(connection, "on".into(), FLAGS, PqEncryption::On);
        people[person].wait(sent).expect("they are connected");
        people[other].hears("on");
    }
    assert_eq!(talk_with_pq((&mut alice, at_alice), (&mut bob, at_bob)), [true; 2]);
}

/// Fifty each way at once.
#[test]
fn messages_between_agents_of_all_ages_come_in_order() {
    let (first, second) = (server(), server());
    for (maker, joiner, _) in kinds() {
        let (mut alice, mut bob) = (Person::of(&maker, &[&first]), Person::of(&joiner, &[&second]));
        let (at_alice, at_bob, _) = connect_with_pq((&mut alice, true), (&mut bob, true));
        for number in 0..50 {
            alice.send(at_alice, format!("alice {number}"));
            bob.send(at_bob, format!("bob {number}"));
        }
        for number in 0..50 {
            bob.hears(&format!("alice {number}"));
            alice.hears(&format!("bob {number}"));
        }
    }
}
