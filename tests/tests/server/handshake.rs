//! The beginning of a connection: versions, keys, certificates, and hellos that are refused.

use smp_core::crypto::padding::{pad, unpad};
use smp_core::transport::identity::Algorithm;
use smp_core::transport::tls::{Alpn, TlsFault};
use smp_core::wire::{ClientHello, DhPublicKey, ServiceRole, Version, VersionRange};
use smp_tests::peer::{Address, Ended, Form, Greeting, Peer, Queue, Service, bytes, dh_key};
use smp_tests::server::{Settings, Store, TestServer};

use super::{ALL, NEWEST, run};

const BLOCK: usize = 16384;

/// A queue is created and used, so all layers agree on the form of the connection.
#[track_caller]
fn assert_works(address: &Address, form: Form) {
    let mut peer = Peer::connect(address, form);
    let queue = Queue::new(&mut peer);
    assert_eq!(queue.send(&mut peer, None, "hello"), "OK");
    assert_eq!(queue.receive_last(&mut peer).text(), "hello");
}

fn versions(min: u16, max: u16) -> VersionRange {
    VersionRange::new(Version(min), Version(max)).expect("a range")
}

#[track_caller]
fn greet(address: &Address, alpn: Alpn) -> Greeting {
    Greeting::new(address, alpn, None).expect("the hello of the server")
}

/// Sends the content of a hello, after which the server must end the connection without a word.
#[track_caller]
fn assert_refused(address: &Address, content: impl FnOnce(&Greeting) -> Vec<u8>) {
    let mut greeting = greet(address, Alpn::smp());
    let content = content(&greeting);
    greeting.link.send(&pad(&content, BLOCK).expect("a hello that fits")).expect("an open connection");
    assert_eq!(greeting.link.closed(), Ended::Eof);
}

fn encoded(hello: &ClientHello) -> Vec<u8> {
    let mut content = Vec::new();
    hello.encode(&mut content);
    content
}

#[test]
fn every_version_works_in_every_form() {
    let mut forms = ALL.to_vec();
    for version in 6..=Version::MAX.0 {
        forms.extend([Form::new(version), Form::new(version).without_key()]);
        forms.push(Form::new(version).as_proxy());
    }
    run(Store::Memory, &Settings::default(), &forms, |server, form| {
        // Before version 14 the hello cannot say that it is a proxy's.
        if !(form.proxy && form.version < Version::PROXY_SERVER) {
            assert_works(server.address(), form);
        }
    });
}

#[test]
fn servers_have_ed448_certificates_too() {
    let settings = Settings { algorithm: Algorithm::Ed448, ..Settings::default() };
    run(Store::Memory, &settings, ALL, |server, form| assert_works(server.address(), form));
}

#[test]
fn the_hello_offers_what_is_configured() {
    for (min, max) in [(6, 18), (6, 20), (6, 6), (8, 11), (18, 18)] {
        let settings = Settings { versions: versions(min, max), ..Settings::default() };
        let server = TestServer::start(Store::Memory, &settings);
        for alpn in [Alpn::smp(), Alpn::web(), Alpn::new(["h2"]), Alpn::new(["unknown", "smp/1"])] {
            let greeting = greet(server.address(), alpn);
            assert_eq!(greeting.hello.versions, versions(min, max));
            assert_eq!(greeting.verified_key().is_some(), max >= 7);
        }
        for version in (min..=max).chain([min - 1, max + 1]) {
            if (min..=max).contains(&version) {
                assert_works(server.address(), Form::new(version));
            } else {
                let form = Form::new(version);
                assert_refused(server.address(), |greeting| encoded(&greeting.answer(form, None)));
            }
        }
        server.stop();
    }
}

#[test]
fn without_a_protocol_only_the_oldest_version_is_offered() {
    let server = TestServer::start(Store::Memory, &Settings::default());
    let greeting = greet(server.address(), Alpn::none());
    assert_eq!(greeting.hello.versions, versions(6, 6));
    assert!(greeting.verified_key().is_none());
    drop(greeting);
    for version in [5, 7, 18] {
        let mut greeting = greet(server.address(), Alpn::none());
        let hello = greeting.answer(Form::new(version), None);
        greeting.send(&hello).expect("an open connection");
        assert_eq!(greeting.link.closed(), Ended::Eof);
    }
    server.stop();
    // A server that does not speak it has nothing to offer.
    let settings = Settings { versions: versions(8, 18), ..Settings::default() };
    let server = TestServer::start(Store::Memory, &settings);
    assert!(Greeting::new(server.address(), Alpn::none(), None).is_err());
    server.stop();
}

#[test]
fn an_unknown_protocol_is_refused_by_an_alert() {
    let server = TestServer::start(Store::Memory, &Settings::default());
    for alpn in [Alpn::new(["smp/2"]), Alpn::new(["xftp/1", "ntf/1"])] {
        let refused = Greeting::new(server.address(), alpn, None).err();
        assert_eq!(refused, Some(Ended::Tls(TlsFault::Alpn)));
    }
    server.stop();
}

#[test]
fn a_client_of_another_server_is_refused() {
    let server = TestServer::start(Store::Memory, &Settings::default());
    assert_refused(server.address(), |greeting| {
        let mut hello = greeting.answer(NEWEST, None);
        hello.key_hash[31] ^= 1;
        encoded(&hello)
    });
    server.stop();
}

#[test]
fn a_malformed_hello_is_refused() {
    let server = TestServer::start(Store::Memory, &Settings::default());
    let address = server.address();
    let key = dh_key().public();
    let good = {
        let greeting = greet(address, Alpn::smp());
        encoded(&greeting.answer(NEWEST, Some(key)))
    };
    // Cut between the parts and within them; without the key it would be a good hello of another form.
    for length in [0, 1, 2, 3, 34, 36, 60, good.len() - 2, good.len() - 1] {
        assert_refused(address, |_| good[..length].to_vec());
    }
    for garbage in
        [vec![0; 100], vec![255; 100], bytes::<1000>().to_vec(), b"GET / HTTP/1.1\r\n\r\n".to_vec()]
    {
        assert_refused(address, |_| garbage);
    }
    // A key with which no secret can be shared.
    assert_refused(address, |greeting| encoded(&greeting.answer(NEWEST, Some(DhPublicKey([0; 32])))));
    for length in [16383_u16, u16::MAX] {
        let mut greeting = greet(address, Alpn::smp());
        let mut block = vec![b'#'; BLOCK];
        block[..2].copy_from_slice(&length.to_be_bytes());
        greeting.link.send(&block).expect("an open connection");
        assert_eq!(greeting.link.closed(), Ended::Eof);
    }
    assert_works(address, NEWEST);
    server.stop();
}

#[test]
fn a_hello_of_the_future_may_be_longer() {
    run(Store::Memory, &Settings::default(), ALL, |server, form| {
        let alpn = if form.alpn { Alpn::smp() } else { Alpn::none() };
        let mut greeting = greet(server.address(), alpn);
        let mut content = encoded(&greeting.answer(form.without_key(), None));
        content.extend_from_slice(b"and more");
        let hello = pad(&content, BLOCK).expect("a hello that fits");
        // In pieces, and with a first command right behind it.
        let mut ping = vec![0; 3];
        let session = greeting.link.session_id();
        let mut item = vec![0];
        if form.version < Version::AUTH_COMMANDS {
            item.push(32);
            item.extend_from_slice(&session);
        }
        item.extend_from_slice(b"\x01c\0PING");
        ping[0] = 1;
        ping[2] = u8::try_from(item.len()).expect("short");
        ping.extend(item);
        for piece in hello.chunks(5000) {
            greeting.link.send(piece).expect("an open connection");
        }
        greeting.link.send(&pad(&ping, BLOCK).expect("a short block")).expect("an open connection");
        let answer = greeting.link.receive(BLOCK).expect("an answer");
        assert!(unpad(&answer).expect("a padded block").ends_with(b"PONG"));
    });
}

#[test]
fn services_must_prove_who_they_are() {
    let server = TestServer::start(Store::Memory, &Settings::default());
    let (service, other) = (Service::new(ServiceRole::Messaging), Service::new(ServiceRole::Messaging));
    // With the hello of another, and without a certificate in TLS.
    for (shown, said) in [(Some(&service), &other), (None, &service)] {
        let greeting = Greeting::new(server.address(), Alpn::smp(), shown);
        let mut greeting = greeting.expect("the hello of the server");
        let mut hello = greeting.answer(NEWEST, Some(dh_key().public()));
        hello.service = Some(said.hello());
        greeting.send(&hello).expect("an open connection");
        let answer = greeting.link.receive(BLOCK).expect("the answer to a service");
        assert_eq!(unpad(&answer), Ok(&b"EHANDSHAKE BAD_AUTH"[..]));
        assert_eq!(greeting.link.closed(), Ended::Eof);
    }
    // A certificate alone makes no service.
    let greeting = Greeting::new(server.address(), Alpn::smp(), Some(&service));
    let mut peer = greeting.expect("the hello of the server").finish(NEWEST).expect("a connection");
    let queue = Queue::new(&mut peer);
    assert_eq!(queue.send(&mut peer, None, "hello"), "OK");
    server.stop();
}
