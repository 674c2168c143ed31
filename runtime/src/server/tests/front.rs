//! What is found out before anybody serves a connection.

use rustls::version;
use smp_core::transport::ClientOptions;
use smp_core::transport::tls::Alpn;

use super::peer::Peer;
use super::web::{Browser, Site, handler};
use super::*;

fn shared(limits: Limits) -> (World, Site) {
    let site = Site::new();
    let endpoint = Endpoint::shared(LISTENS_ON, site.tls.clone(), handler());
    (World::serving(limits, TestStore::default(), endpoint), site)
}

fn behind_proxy(limits: Limits) -> World {
    World::serving(limits, TestStore::default(), Endpoint::smp(LISTENS_ON).behind_proxy())
}

/// A PING is answered.
fn assert_serves(world: &World, peer: &mut Peer) {
    assert!(peer.ping(world, 1));
    world.runtime.run();
    assert_eq!(peer.answers(world), 1);
}

#[test]
fn a_shared_port_serves_each_as_it_comes() {
    let (world, site) = shared(Limits::default());
    let options = |alpn| ClientOptions { alpn, ..ClientOptions::default() };
    let mut peers = [Alpn::smp(), Alpn::web(), Alpn::none()]
        .map(|alpn| Peer::over(&world, world.connect("192.0.2.1"), options(alpn)));
    for version in [&version::TLS12, &version::TLS13] {
        let mut browser = Browser::tls(world.connect("192.0.2.1"), &site, version);
        assert!(browser.ask(&world, "/3").ends_with("\r\n\r\nxxx"));
        peers.iter_mut().for_each(|peer| assert_serves(&world, peer));
    }
}

#[test]
fn elsewhere_the_name_of_the_server_is_no_reason() {
    let site = Site::new();
    let world = World::new(Limits::default());
    let mut browser = Browser::tls(world.connect("192.0.2.1"), &site, &version::TLS13);
    // The server answers with its own certificate, which the browser does not accept.
    let refused = browser.try_to_say(&world, b"");
    assert!(matches!(refused, Err(rustls::Error::InvalidCertificate(_))), "{refused:?}");
}

#[test]
fn a_hello_may_come_in_pieces_and_what_is_none_goes_to_smp() {
    let (world, site) = shared(Limits::default());
    let stream = world.connect("192.0.2.1");
    stream.limit(crate::testing::StreamLimits { written: CAPACITY, unread: CAPACITY, read: 7 });
    assert!(Browser::tls(stream, &site, &version::TLS13).ask(&world, "/3").ends_with("xxx"));
    let stream = world.connect("192.0.2.1");
    stream.limit(crate::testing::StreamLimits { written: CAPACITY, unread: CAPACITY, read: 7 });
    assert_serves(&world, &mut Peer::over(&world, stream, ClientOptions::default()));
    world.runtime.run();
    world.events();
    let (broken, silent) = (CloseReason::Handshake, CloseReason::PeerClosed);
    for (bytes, reason) in
        [(&b"GET / HTTP/1.1\r\n\r\n"[..], broken), (b"\x16\x03\x01\xff\xff", broken), (b"", silent)]
    {
        let stream = world.connect("192.0.2.1");
        stream.give(bytes);
        stream.end();
        drop(stream);
        world.runtime.run();
        assert_eq!(world.closed(), [Disconnect::Session(reason)], "{bytes:?}");
    }
}

#[test]
fn the_time_of_a_handshake_begins_when_a_connection_is_accepted() {
    let timeout = Limits::default().handshake_timeout;
    let instant = Duration::from_millis(1);
    let (world, _) = shared(Limits::default());
    let silent = world.connect("192.0.2.1");
    let late = world.connect("192.0.2.1");
    world.runtime.advance(timeout / 2);
    late.give(b"\x16\x03\x01\x01\x00");
    world.runtime.advance(timeout / 2 - instant);
    assert!(!silent.is_at_end() && !late.is_at_end());
    world.runtime.advance(instant);
    assert!(silent.is_at_end() && late.is_at_end());
    assert_eq!(world.closed(), [Disconnect::Session(CloseReason::Handshake); 2]);
    assert_eq!(world.server.as_ref().unwrap().counters().failed_handshakes, 2);
}

#[test]
fn what_nobody_serves_yet_is_a_handshake_and_what_is_served_is_none() {
    let (world, site) = shared(Limits { handshakes: 1, ..Limits::default() });
    let silent = world.connect("192.0.2.1");
    assert!(world.connect("192.0.2.2").is_at_end());
    assert!(world.events().contains(&ServerEvent::Refused(Refusal::Handshakes)));
    drop(silent);
    world.runtime.run();
    let mut browser = Browser::tls(world.connect("192.0.2.1"), &site, &version::TLS13);
    assert!(browser.ask(&world, "/3").ends_with("xxx"));
    assert_serves(&world, &mut Peer::connect(&world, "192.0.2.2"));
    assert!(browser.ask(&world, "/3").ends_with("xxx"));
}

#[test]
fn a_connection_that_nobody_serves_yet_ends_with_the_server() {
    let (mut world, _) = shared(Limits::default());
    let silent = world.connect("192.0.2.1");
    assert!(world.stop(Duration::ZERO).is_ok());
    assert!(silent.is_at_end());
}

#[test]
fn a_proxy_tells_the_address_that_limits_count() {
    let world = behind_proxy(Limits { connections_per_address: 1, ..Limits::default() });
    let connect = |header: &str| {
        let stream = world.connect("10.0.0.1");
        stream.give(header.as_bytes());
        stream
    };
    let header = |last: u8| format!("PROXY TCP4 192.0.2.{last} 10.0.0.1 1 5223\r\n");
    let mut first = Peer::over(&world, connect(&header(1)), ClientOptions::default());
    assert_serves(&world, &mut first);
    assert_serves(&world, &mut Peer::over(&world, connect(&header(2)), ClientOptions::default()));
    world.runtime.run();
    world.events();
    let refused = connect(&header(1));
    world.runtime.run();
    assert!(refused.is_at_end());
    assert_eq!(world.closed(), [Disconnect::Refused(Refusal::AddressFull)]);
    // The proxy itself, as when it looks whether the server lives.
    for _ in 0..2 {
        assert_serves(
            &world,
            &mut Peer::over(&world, connect("PROXY UNKNOWN\r\n"), ClientOptions::default()),
        );
    }
    drop(first);
    world.runtime.run();
    assert_serves(&world, &mut Peer::over(&world, connect(&header(1)), ClientOptions::default()));
}

#[test]
fn without_its_header_a_connection_is_closed() {
    let world = behind_proxy(Limits::default());
    for bytes in [&b"\x16\x03\x01\x01\x00"[..], b"PROXY TCP4 x\r\n", b"PROXY TCP4 192.0.2.1"] {
        let stream = world.connect("10.0.0.1");
        stream.give(bytes);
        stream.end();
        world.runtime.run();
        assert!(stream.is_at_end());
        assert_eq!(world.closed(), [Disconnect::NoProxyHeader], "{bytes:?}");
    }
    let silent = world.connect("10.0.0.1");
    silent.give(b"PROXY ");
    world.runtime.advance(Limits::default().handshake_timeout);
    assert!(silent.is_at_end());
}

#[test]
fn a_shared_port_may_be_behind_a_proxy() {
    let site = Site::new();
    let endpoint = Endpoint::shared(LISTENS_ON, site.tls.clone(), handler()).behind_proxy();
    let world = World::serving(Limits::default(), TestStore::default(), endpoint);
    let connect = || {
        let stream = world.connect("10.0.0.1");
        stream.give(b"PROXY TCP6 2001:db8::1 ::1 1 443\r\n");
        stream
    };
    assert!(Browser::tls(connect(), &site, &version::TLS13).ask(&world, "/3").ends_with("xxx"));
    assert_serves(&world, &mut Peer::over(&world, connect(), ClientOptions::default()));
}
