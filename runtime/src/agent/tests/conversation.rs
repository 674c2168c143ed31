//! Two people meet and talk.

use super::*;

/// Of two agents that are on one server, or on two.
#[test]
fn two_people_meet_and_talk() {
    for servers in [1, 2] {
        let world = World::new(servers);
        let (mut alice, mut bob) = (world.person(1, 0), world.person(2, servers - 1));
        let (at_alice, request) = alice.invite(false);
        let (at_bob, joined) = bob.join(request, "bob", false);
        assert_eq!(joined, Ok(true));
        let (confirmation, info) = alice.confirmation();
        assert_eq!(info, "bob");
        alice.allow(at_alice, confirmation, "alice");
        assert_eq!(bob.info(), "alice");
        bob.connected();
        alice.connected();
        for number in 0..100_u8 {
            bob.send(at_bob, vec![number]).unwrap();
            alice.send(at_alice, vec![number, number]).unwrap();
        }
        for number in 0..100_u8 {
            let message = alice.message();
            assert_eq!((message.sender_id, &*message.body), (i64::from(number) + 2, &[number][..]));
            alice.acknowledge(&message);
            let message = bob.message();
            assert_eq!((message.sender_id, &*message.body), (i64::from(number) + 2, &[number; 2][..]));
            bob.acknowledge(&message);
        }
    }
}
