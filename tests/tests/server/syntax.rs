//! What is wrong with a command before any queue is looked at.

use smp_core::wire::command::{NewQueue, QueueRequestData, SubscriptionMode};
use smp_core::wire::{Command, EntityId, Version};
use smp_tests::peer::{Auth, Form, Kind, Peer, Queue, bytes, dh_key, key};
use smp_tests::server::{Settings, Store, TestServer};

use super::{ALL, run, scenarios};

scenarios![
    answers_unknown_words,
    answers_malformed_parameters,
    answers_missing_and_surplus_credentials,
    answers_pings,
];

const UNKNOWN: &str = "ERR CMD UNKNOWN";
const SYNTAX: &str = "ERR CMD SYNTAX";
const NO_AUTH: &str = "ERR CMD NO_AUTH";
const HAS_AUTH: &str = "ERR CMD HAS_AUTH";
const NO_ENTITY: &str = "ERR CMD NO_ENTITY";
const AUTH: &str = "ERR AUTH";

/// Sends commands to a server and compares the answers.
struct Desk {
    peer: Peer,
    entity: EntityId,
    signature: [u8; 64],
}

impl Desk {
    fn new(server: &TestServer, form: Form) -> Self {
        let peer = Peer::connect(server.address(), form);
        Self { peer, entity: EntityId::from(bytes::<24>()), signature: bytes() }
    }

    /// A command with a signature and about an entity, both of which are nobody's.
    #[track_caller]
    fn both(&mut self, command: impl Into<Vec<u8>>, expected: &str) {
        let (entity, signature) = (self.entity.clone(), self.signature);
        assert_eq!(self.peer.ask(Auth::Bytes(&signature), &entity, command), expected);
    }

    /// A command with a signature, about nothing.
    #[track_caller]
    fn signed(&mut self, command: impl Into<Vec<u8>>, expected: &str) {
        let signature = self.signature;
        assert_eq!(self.peer.ask(Auth::Bytes(&signature), &EntityId::empty(), command), expected);
    }

    /// A command about an entity, without a signature.
    #[track_caller]
    fn unsigned(&mut self, command: impl Into<Vec<u8>>, expected: &str) {
        let entity = self.entity.clone();
        assert_eq!(self.peer.ask(Auth::None, &entity, command), expected);
    }

    /// A command with neither.
    #[track_caller]
    fn bare(&mut self, command: impl Into<Vec<u8>>, expected: &str) {
        assert_eq!(self.peer.ask(Auth::None, &EntityId::empty(), command), expected);
    }
}

fn new_command(version: Version) -> Vec<u8> {
    let new = NewQueue {
        recipient_key: key(Kind::Ed25519).public(),
        dh_key: dh_key().public(),
        password: None,
        subscribe: SubscriptionMode::Subscribe,
        queue_data: Some(QueueRequestData::Messaging(None)),
        notifier: None,
    };
    let mut command = Vec::new();
    Command::New(Box::new(new)).encode(version, &mut command);
    command
}

fn plus(command: &[u8], more: &[u8]) -> Vec<u8> {
    [command, more].concat()
}

fn answers_unknown_words(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let desk = &mut Desk::new(server, form);
        for word in ["HELLO", "", " ", "sub", "SUB;", "OFF\n", "DEL\0", "SUBX", "KEYS", "\u{fc}"] {
            desk.both(word, UNKNOWN);
            desk.bare(word, UNKNOWN);
        }
        desk.both(b"\xff\xfe".as_slice(), UNKNOWN);
        // What only a server may say.
        for word in ["OK", "SOK 0", "PONG", "END", "DELD", "ERR AUTH", "MSG abc", "IDS abc", "INFO {}"] {
            desk.both(word, UNKNOWN);
        }
    });
}

fn answers_malformed_parameters(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let desk = &mut Desk::new(server, form);
        let new = new_command(form.version);
        for command in [&b"NEW"[..], b"NEW ", &plus(&new, b"0"), &plus(&new, b" "), &new[..new.len() - 1]] {
            desk.signed(command, SYNTAX);
        }
        let with_key = Queue::with_key("KEY", &key(Kind::Ed25519));
        let skey = Queue::with_key("SKEY", &key(Kind::Ed448));
        for command in [&b"KEY"[..], b"KEY ", b"KEY \x01x", &plus(&with_key, b"4"), &with_key[..20]] {
            desk.both(command, SYNTAX);
        }
        for command in [&b"SKEY"[..], b"SKEY \x00", &plus(&skey, b" "), &skey[..skey.len() - 1]] {
            desk.both(command, SYNTAX);
        }
        let rkey = Queue::with_keys("RKEY", &[&key(Kind::Ed25519)]);
        for command in [&b"RKEY"[..], b"RKEY \x00", &plus(&rkey, b"0"), &rkey[..rkey.len() - 1]] {
            desk.both(command, SYNTAX);
        }
        for word in ["SUB", "GET", "OFF", "DEL", "QUE", "LDEL", "NDEL", "NSUB"] {
            desk.both(format!("{word} "), SYNTAX);
            desk.both(format!("{word} 1"), SYNTAX);
        }
        for command in [&b"ACK"[..], b"ACK ", b"ACK \x02x", b"ACK \x01xy"] {
            desk.both(command, SYNTAX);
        }
        for command in ["SEND", "SEND ", "SEND T", "SEND X hello", "SEND  hello", "SEND hello"] {
            desk.both(command, SYNTAX);
            desk.unsigned(command, SYNTAX);
        }
        desk.bare("PING ", SYNTAX);
        desk.peer.assert_silent();
    });
}

fn answers_missing_and_surplus_credentials(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let desk = &mut Desk::new(server, form);
        let new = new_command(form.version);
        desk.bare(&new[..], NO_AUTH);
        desk.unsigned(&new[..], NO_AUTH);
        desk.both(&new[..], HAS_AUTH);
        // The signature is not that of the new queue's owner.
        desk.signed(&new[..], AUTH);
        let keys = [key(Kind::Ed25519), key(Kind::Ed448)];
        let commands = [
            Queue::with_key("KEY", &keys[0]),
            Queue::with_key("SKEY", &keys[1]),
            Queue::with_keys("RKEY", &[&keys[0], &keys[1]]),
            Queue::with_key("LKEY", &keys[0]),
            b"ACK \x041234".to_vec(),
            b"ACK \0".to_vec(),
            b"LSET \x01l\x00\x01f\x00\x01u".to_vec(),
        ];
        let words = ["SUB", "GET", "OFF", "DEL", "QUE", "LDEL", "NDEL", "NSUB"].map(|word| word.into());
        for command in commands.iter().chain(&words) {
            desk.unsigned(&command[..], NO_AUTH);
            desk.signed(&command[..], NO_AUTH);
            desk.bare(&command[..], NO_AUTH);
            desk.both(&command[..], AUTH);
        }
        for command in ["SEND T hello", "SEND F ", "SEND Tanything hello"] {
            desk.bare(command, NO_ENTITY);
            desk.signed(command, NO_ENTITY);
            desk.unsigned(command, AUTH);
            desk.both(command, AUTH);
        }
        desk.bare("LGET", NO_ENTITY);
        desk.both("LGET", HAS_AUTH);
    });
}

fn answers_pings(store: Store) {
    run(store, &Settings::default(), ALL, |server, form| {
        let desk = &mut Desk::new(server, form);
        desk.bare("PING", "PONG");
        desk.signed("PING", HAS_AUTH);
        desk.unsigned("PING", HAS_AUTH);
        desk.both("PING", HAS_AUTH);
        desk.bare("PING", "PONG");
    });
}
