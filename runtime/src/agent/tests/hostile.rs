//! Peers who send what no agent of ours would: the app is told, nothing falls over, no queue is stuck, and what is kept has bounds.

use std::time::Duration;

use smp_core::agent::store::{AgentOp, AgentQuery, Agreement, Found, Outgoing, OutgoingContent, SyncState};
use smp_core::agent::{ConnectionId, Event};
use smp_core::crypto::ratchet::SkippedKeys;
use smp_core::server::ServerConfig;
use smp_core::wire::agent::{
    AMessage, AgentEnvelope, AgentError, AgentMessage, EnvelopeBody, MessageHash, MessageIntegrity,
    PeerError, RatchetError, version,
};
use smp_core::wire::link::{ConnectionRequest, E2eParameters};
use smp_core::wire::{Version, X448PublicKey};

use super::*;

/// Bob says this in place of what his app wants, however it is encrypted; what Alice is told.
fn disguise(
    world: &mut World,
    alice: &mut Person,
    (bob, at_bob): (&mut Person, ConnectionId),
    change: impl FnOnce(&mut Outgoing),
) -> Vec<Event> {
    world.crash(0);
    let number = bob.send(at_bob, "in disguise").unwrap();
    bob.stop();
    bob.store.change_sent(at_bob, number, change);
    world.start(0, ServerConfig::default());
    bob.start();
    let mut events = alice.others_within(HOUR);
    events.retain(|event| !matches!(event, Event::Sent(..)));
    events
}

/// 512 keys are made for messages that did not come, not one more: then the ratchet must be made anew, and can be.
#[test]
fn a_ratchet_goes_on_by_so_many_steps_and_no_more() {
    for (lost, is_read) in [(512, true), (513, false)] {
        let mut world = World::new(2);
        let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
        let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
        bob.send(at_bob, "first").unwrap();
        assert_eq!(alice.bodies(), ["first"]);
        bob.others_within(HOUR);
        world.crash(0);
        (0..lost).for_each(|_| _ = bob.send(at_bob, "lost").unwrap());
        bob.limits.message_expiry = Duration::from_secs(1);
        bob.stop();
        world.pass(HOUR);
        bob.start();
        let given_up = bob.others_within(HOUR);
        assert_eq!(given_up.len(), lost, "{:?}", given_up.first().map(tell));
        world.start(0, ServerConfig::default());
        bob.others_within(HOUR);
        bob.send(at_bob, "after").unwrap();
        if is_read {
            assert_eq!(alice.bodies(), ["after"]);
            assert_eq!(alice.store.connection(at_alice).state.skipped, 512);
        } else {
            let skipped = RatchetError::Skipped(514);
            assert_eq!(alice.sync(), (SyncState::Required, Some(skipped)));
            assert!(alice.send(at_alice, "hello").is_err());
            assert_eq!(alice.store.connection(at_alice).state.skipped, 0);
            // Every further one is the same to Alice, who is told once.
            bob.send(at_bob, "after").unwrap();
            alice.others_within(HOUR);
            assert_eq!(alice.synchronize(at_alice, false), Ok(()));
            for person in [&mut alice, &mut bob] {
                assert_eq!(person.sync(), (SyncState::Agreed, None));
                assert_eq!(person.sync(), (SyncState::Ok, None));
            }
        }
        bob.send(at_bob, "more").unwrap();
        assert_eq!(alice.bodies(), ["more"]);
        alice.send(at_alice, "hello").unwrap();
        assert_eq!(bob.bodies(), ["hello"]);
    }
}

/// The ratchet of somebody goes on by so many steps whose messages nobody gets.
fn skip(person: &mut Person, connection: ConnectionId, steps: u32) {
    person.stop();
    let mut agreement = person.store.connection(connection).agreement;
    let Agreement::Ratchet(ratchet) = &mut agreement else { panic!("there is a ratchet") };
    (0..steps).for_each(|_| _ = ratchet.encrypt_header(None).unwrap());
    person.store.put(vec![AgentOp::PutAgreement(connection, agreement)]);
    person.start();
}

/// How many keys of skipped messages are kept.
fn skipped_keys(person: &Person, connection: ConnectionId) -> usize {
    let Found::Skipped(keys) = person.store.copy().read(&AgentQuery::Skipped(connection)) else {
        panic!("keys of skipped messages")
    };
    assert_eq!(person.store.connection(connection).state.skipped, u32::try_from(keys.len()).unwrap());
    keys.len()
}

/// A peer skips as many messages as he may, over and over, in one chain of the ratchet and over many: so many keys are kept and no
/// more, whatever he skips beside that is refused, and what he sends is received.
#[test]
fn a_flood_of_skipped_messages_fills_no_store() {
    let world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
    bob.send(at_bob, "first").unwrap();
    assert_eq!(alice.bodies(), ["first"]);
    let mut skipped = 0;
    for round in 0..14 {
        if round % 3 == 2 {
            // Two chains at once: the end of one, and the beginning of the next.
            skip(&mut bob, at_bob, 512);
            alice.send(at_alice, "answer").unwrap();
            assert_eq!(bob.bodies(), ["answer"]);
            skipped += 512;
        }
        skip(&mut bob, at_bob, 512);
        skipped += 512;
        bob.send(at_bob, "hello").unwrap();
        let message = alice.message();
        assert_eq!((&message.body[..], message.integrity), (&b"hello"[..], MessageIntegrity::Ok), "{round}");
        alice.acknowledge(&message);
        assert_eq!(skipped_keys(&alice, at_alice), skipped.min(SkippedKeys::MAX), "{round}");
    }
    assert!(skipped > 2 * SkippedKeys::MAX);
    // Each message beyond what may be skipped is told of, and nothing of it is kept.
    skip(&mut bob, at_bob, 513);
    for further in 0..3 {
        bob.send(at_bob, "too far").unwrap();
        let skipped = RatchetError::Skipped(514 + further);
        assert_eq!(alice.sync(), (SyncState::Required, Some(skipped)));
        assert_eq!(skipped_keys(&alice, at_alice), SkippedKeys::MAX);
    }
    assert_eq!(alice.synchronize(at_alice, false), Ok(()));
    for person in [&mut alice, &mut bob] {
        assert_eq!(person.sync(), (SyncState::Agreed, None));
        assert_eq!(person.sync(), (SyncState::Ok, None));
    }
    assert_eq!(skipped_keys(&alice, at_alice), 0, "they are of no use any more");
    bob.send(at_bob, "more").unwrap();
    assert_eq!(alice.bodies(), ["more"]);
    alice.send(at_alice, "hello").unwrap();
    assert_eq!(bob.bodies(), ["hello"]);
}

/// What is in the ratchet's encryption is nonsense: told once each, and the next message comes.
#[test]
fn nonsense_that_is_well_encrypted_is_told_and_dropped() {
    let mut world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (at_alice, at_bob) = meet(&mut alice, &mut bob, false);
    let good = |tail: &[u8]| {
        let mut bytes = Vec::new();
        let message = AMessage::Body("x".into());
        let message = AgentMessage::Message { id: 2, previous_hash: MessageHash::NONE, message };
        message.encode(&mut bytes);
        bytes.pop();
        bytes.pop();
        bytes.extend_from_slice(tail);
        bytes
    };
    let all = [
        Vec::new(),
        b"M".to_vec(),
        b"?".to_vec(),
        vec![0; 1000],
        vec![255; 1000],
        good(b""),
        good(b"Q"),
        good(b"QA\0"),
        good(b"QA\x01"),
        good(b"QK\x01garbage"),
        good(b"QU\x01garbage"),
        good(b"V\0"),
        good(b"V\xff"),
        good(b"E"),
        good(b"QC"),
        // What belongs to the handshake.
        b"Ialice again".to_vec(),
        b"D\0".to_vec(),
        b"R".to_vec(),
    ];
    for content in all {
        let events = disguise(&mut world, &mut alice, (&mut bob, at_bob), |sent| {
            let OutgoingContent::Ratchet { plaintext, .. } = &mut sent.content else { panic!("it was sent") };
            *plaintext = content.clone().into();
        });
        let is_fault = matches!(
            events[..],
            [Event::Error(Some(at), AgentError::Peer(PeerError::Message | PeerError::Prohibited))]
                if at == at_alice
        );
        assert!(is_fault, "{content:?}: {:?}", events.iter().map(tell).collect::<Vec<_>>());
        bob.send(at_bob, "hello").unwrap();
        assert_eq!(alice.bodies(), ["hello"], "after {content:?}");
    }
    alice.send(at_alice, "hello").unwrap();
    assert_eq!(bob.bodies(), ["hello"]);
}

/// Envelopes that are malformed, out of place or of versions that nobody speaks.
#[test]
fn envelopes_that_make_no_sense_are_told_and_dropped() {
    let mut world = World::new(2);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 1));
    let (at_alice, request) = alice.invite(false);
    let (at_bob, joined) = bob.join(request.clone(), "bob", false);
    joined.unwrap();
    let (confirmation, _) = alice.confirmation();
    alice.allow(at_alice, confirmation, "alice");
    bob.info();
    bob.connected();
    alice.connected();
    let key = X448PublicKey([0; 56]);
    let keys = Box::new(E2eParameters { version: Version(3), first: key, second: key, kem: None });
    let envelope = |version: u16, body: EnvelopeBody| {
        let mut out = Vec::new();
        AgentEnvelope { version: Version(version), body }.encode(&mut out);
        out
    };
    // Of one ciphertext that cannot be read is told once.
    let nonsense = |byte: u8| EnvelopeBody::Message(vec![byte; 300].into());
    let all = [
        Vec::new(),
        vec![0],
        vec![255; 1000],
        vec![0; 1000],
        envelope(7, nonsense(1)),
        envelope(0, nonsense(2)),
        envelope(65535, nonsense(3)),
        envelope(7, EnvelopeBody::Message(Vec::new().into())),
        envelope(7, EnvelopeBody::Confirmation { keys: None, ciphertext: vec![4; 300].into() }),
        envelope(7, EnvelopeBody::Invitation { request: Box::new(request), info: "bob".into() }),
        envelope(7, EnvelopeBody::RatchetKeys { keys: keys.clone(), info: "nonsense".into() }),
        envelope(7, EnvelopeBody::Confirmation { keys: Some(keys), ciphertext: vec![3; 300].into() }),
    ];
    for (number, content) in all.into_iter().enumerate() {
        let events = disguise(&mut world, &mut alice, (&mut bob, at_bob), |sent| {
            sent.content = OutgoingContent::Plain(content.into());
        });
        let words: Vec<_> = events.iter().map(tell).collect();
        // A confirmation with keys was dealt with long ago, and may come again.
        assert_eq!(events.len(), usize::from(number != 11), "{number}: {words:?}");
        let is_told = |event: &Event| {
            matches!(event, Event::Error(_, AgentError::Peer(_)) | Event::RatchetSync { error: Some(_), .. })
        };
        assert!(events.iter().all(is_told), "{number}: {words:?}");
        bob.send(at_bob, "hello").unwrap();
        assert_eq!(alice.bodies(), ["hello"], "after {number}");
        assert_eq!(alice.version(at_alice), version::SUPPORTED.max().0, "after {number}");
        alice.send(at_alice, "hello").unwrap();
        assert_eq!(bob.bodies(), ["hello"], "after {number}");
    }
}

/// Links to servers that there are not: the call fails, and the agent goes on.
#[test]
fn links_to_odd_hosts_lead_nowhere() {
    let world = World::new(1);
    let (mut alice, mut bob) = (world.person(1, 0), world.person(2, 0));
    let (_, request) = alice.invite(true);
    let text = request.to_string();
    let onion = "a".repeat(56) + ".onion";
    for host in
        ["nowhere.invalid", "127.0.0.2", "0.0.0.0", "256.256.256.256", "localhost", &onion, "-", "%00", ""]
    {
        let changed = text.replace("127.0.0.1", host);
        assert!(changed != text);
        if let Ok(request) = changed.parse::<ConnectionRequest>() {
            assert!(bob.join(request, "bob", true).1.is_err(), "{host}");
        }
    }
    meet(&mut alice, &mut bob, true);
}
