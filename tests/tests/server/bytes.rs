//! The bytes of a queue's life, put together by hand, so that no mistake of the codecs hides itself.

use smp_core::crypto::Nonce;
use smp_core::wire::EntityId;
use smp_tests::peer::{Auth, Form, Kind, Peer, Queue, Request, dh_key, key};
use smp_tests::server::{Settings, Store};

use super::{ALL, run, scenarios};

scenarios![the_life_of_a_queue_in_bytes, all_forms_of_passwords];

/// A byte of length, then the bytes.
fn short(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).expect("short")][..], bytes].concat()
}

/// What follows the keys of NEW for a messaging queue that is subscribed to.
fn rest_of_new(form: Form, password: Option<&str>) -> Vec<u8> {
    let optional = |password: &str| [b"1", &short(password.as_bytes())[..]].concat();
    let new_password = password.map_or_else(|| b"0".to_vec(), optional);
    let old_password =
        password.map_or(Vec::new(), |password| [b"A", &short(password.as_bytes())[..]].concat());
    match form.version.0 {
        ..9 => [&old_password[..], b"S"].concat(),
        9..15 => [&new_password[..], b"ST"].concat(),
        15..17 => [&new_password[..], b"S1M0"].concat(),
        17.. => [&new_password[..], b"S1M00"].concat(),
    }
}

/// What follows the ids and the key in IDS.
const fn rest_of_ids(form: Form) -> &'static [u8] {
    match form.version.0 {
        ..9 => b"",
        9..15 => b"T",
        15 => b"1M0",
        16 => b"1M00",
        17.. => b"1M000",
    }
}

/// Takes a short string off the front.
fn take_short<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let (length, after) = rest.split_first().expect("a length");
    let (value, after) = after.split_at(usize::from(*length));
    *rest = after;
    value
}

fn the_life_of_a_queue_in_bytes(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let mut peer = Peer::connect(server.address(), form);
        let (owner, dh_key) = (key(Kind::Ed25519), dh_key());
        let spki = dh_key.public().to_der();
        assert_eq!(spki[..12], *b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x6e\x03\x21\x00");
        let new = [b"NEW ", &short(&owner.public().to_der())[..], &short(&spki), &rest_of_new(form, None)];
        let ids = peer.ask(Auth::Key(&owner), &EntityId::empty(), new.concat());
        let mut rest = ids.message.strip_prefix(b"IDS ").expect("the word IDS");
        let recipient = EntityId::new(take_short(&mut rest)).expect("an id");
        let sender = EntityId::new(take_short(&mut rest)).expect("an id");
        let server_key = take_short(&mut rest);
        assert_eq!(rest, rest_of_ids(form));
        assert_eq!(server_key[..12], spki[..12]);
        let server_key = smp_core::wire::DhPublicKey(server_key[12..].try_into().expect("32 bytes"));

        let sub = if form.version.0 < 16 { "OK" } else { "SOK 0" };
        assert_eq!(peer.ask(Auth::Key(&owner), &recipient, "SUB"), sub);
        assert_eq!(peer.ask(Auth::None, &sender, "SEND T hello"), "OK");
        let event = peer.event();
        let mut rest = event.message.strip_prefix(b"MSG ").expect("the word MSG");
        let id = take_short(&mut rest);
        assert_eq!((id.len(), rest.len()), (24, 16_106 + 16));
        let secret = dh_key.diffie_hellman(&server_key).expect("a good key");
        let plain = secret.box_key().open_padded(&Nonce::from_slice(id), rest).expect("for this recipient");
        let (time, body) = plain.split_at(8);
        assert_eq!(body, b"T hello");
        let sent = i64::from_be_bytes(time.try_into().expect("8 bytes"));
        let now = smp_tests::peer::now().as_secs();
        assert!((now - 600..=now).contains(&sent), "sent at {sent}, now {now}");
        let ack = [b"ACK ", &short(id)[..]].concat();
        assert_eq!(peer.ask(Auth::Key(&owner), &recipient, ack), "OK");
        assert_eq!(peer.ask(Auth::Key(&owner), &recipient, "DEL"), "OK");
    });
}

fn all_forms_of_passwords(store: Store) {
    run(store, &Settings { password: Some("correct"), ..Settings::default() }, ALL, |server, form| {
        let mut peer = Peer::connect(server.address(), form);
        for (password, expected) in [(None, "ERR"), (Some("wrong"), "ERR"), (Some("correct"), "IDS")] {
            let owner = key(Kind::Ed448);
            let keys = [short(&owner.public().to_der()), short(&dh_key().public().to_der())].concat();
            let new = [b"NEW ", &keys[..], &rest_of_new(form, password)].concat();
            let answer = peer.ask(Auth::Key(&owner), &EntityId::empty(), new);
            assert_eq!(answer.tag(), expected, "{answer:?}");
        }
        // The form of the other versions is not understood.
        let other = if form.version.0 < 9 { Form::new(9) } else { Form::new(6) };
        let owner = key(Kind::Ed25519);
        let keys = [short(&owner.public().to_der()), short(&dh_key().public().to_der())].concat();
        let new = [b"NEW ", &keys[..], &rest_of_new(other, Some("correct"))].concat();
        let request = Request::new(Auth::Key(&owner), &EntityId::empty(), new);
        assert_eq!(peer.ask_all(&[request])[0], "ERR CMD SYNTAX");
        let queue = Queue::try_create(&mut peer, &smp_tests::peer::Creation::default());
        assert_eq!(queue.err().map(|refusal| refusal.text()).as_deref(), Some("ERR AUTH"));
    });
}
