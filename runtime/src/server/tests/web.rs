//! The web: a client that speaks plain HTTP or TLS, and each limit of it.

use std::io::{Read, Write};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion, version};

use super::*;
use crate::http::{Handler, PIECE_LEN, Request, Response, Status, WebTls};
use crate::testing::StreamLimits;

/// Answers `/<number>` with as many bytes, and panics when asked for it.
pub(super) fn handler() -> Handler {
    Arc::new(|request: &Request| match request.path().trim_start_matches('/').parse::<usize>() {
        Ok(length) => Response::new(Status::OK, "text/plain", vec![b'x'; length]),
        Err(_) if request.path() == "/panic" => panic!("the handler was told to"),
        Err(_) => Response::status(Status::NOT_FOUND),
    })
}

/// A certificate for `localhost`, and the client's side of it.
pub(super) struct Site {
    pub(super) tls: WebTls,
    roots: RootCertStore,
}

impl Site {
    pub(super) fn new() -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let tls = WebTls::from_pem(cert.pem().as_bytes(), signing_key.serialize_pem().as_bytes()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        Self { tls, roots }
    }
}

/// A browser that does only what it is told.
pub(super) struct Browser {
    pub(super) stream: TestStream,
    tls: Option<ClientConnection>,
    received: Vec<u8>,
}

impl Browser {
    pub(super) fn plain(stream: TestStream) -> Self {
        Self { stream, tls: None, received: Vec::new() }
    }

    pub(super) fn tls(stream: TestStream, site: &Site, version: &'static SupportedProtocolVersion) -> Self {
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(site.roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let name = "localhost".try_into().unwrap();
        let tls = Some(ClientConnection::new(Arc::new(config), name).unwrap());
        Self { stream, tls, received: Vec::new() }
    }

    /// Sends bytes, and receives until nothing more comes.
    pub(super) fn say(&mut self, world: &World, bytes: &[u8]) {
        self.try_to_say(world, bytes).unwrap();
    }

    /// The same with a server that may not be the one.
    pub(super) fn try_to_say(&mut self, world: &World, bytes: &[u8]) -> Result<(), rustls::Error> {
        match &mut self.tls {
            Some(tls) => tls.writer().write_all(bytes).unwrap(),
            None => _ = self.stream.give(bytes),
        }
        loop {
            if let Some(tls) = &mut self.tls {
                let mut output = Vec::new();
                while tls.wants_write() {
                    tls.write_tls(&mut output).unwrap();
                }
                assert_eq!(self.stream.give(&output), output.len());
            }
            world.runtime.run();
            let came = self.stream.take();
            if came.is_empty() {
                return Ok(());
            }
            self.take(&came)?;
        }
    }

    /// What came since this was asked last.
    pub(super) fn answer(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.received)).unwrap()
    }

    /// Asks for a path and gives the answer.
    pub(super) fn ask(&mut self, world: &World, path: &str) -> String {
        self.say(world, request(path).as_bytes());
        self.answer()
    }

    fn take(&mut self, mut came: &[u8]) -> Result<(), rustls::Error> {
        let Some(tls) = &mut self.tls else {
            self.received.extend_from_slice(came);
            return Ok(());
        };
        while !came.is_empty() {
            tls.read_tls(&mut came).unwrap();
            let state = tls.process_new_packets()?;
            let mut plaintext = vec![0; state.plaintext_bytes_to_read()];
            tls.reader().read_exact(&mut plaintext).unwrap();
            self.received.extend(plaintext);
        }
        Ok(())
    }
}

fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

fn web_world(change: impl FnOnce(&mut Limits)) -> World {
    let mut limits = Limits::default();
    change(&mut limits);
    World::serving(limits, TestStore::default(), Endpoint::web(LISTENS_ON, handler()))
}

fn browse(world: &World) -> Browser {
    Browser::plain(world.connect("192.0.2.1"))
}

#[test]
fn answers_many_requests_of_a_connection_over_any_tls() {
    let site = Site::new();
    let endpoint = Endpoint::web_tls(LISTENS_ON, site.tls.clone(), handler());
    let mut world = World::serving(Limits::default(), TestStore::default(), endpoint);
    for version in [&version::TLS12, &version::TLS13] {
        let mut browser = Browser::tls(world.connect("192.0.2.1"), &site, version);
        for length in [5, 3 * PIECE_LEN + 1] {
            let answer = browser.ask(&world, &format!("/{length}"));
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && body.len() == length, "{head}");
        }
        assert!(browser.ask(&world, "/x").starts_with("HTTP/1.1 404 "));
        assert!(browser.ask(&world, "/..%2f").starts_with("HTTP/1.1 400 "));
        assert!(browser.stream.is_at_end());
    }
    world.runtime.advance(Limits::default().closing_timeout);
    assert_eq!(world.closed(), [Disconnect::Web; 2]);
    assert!(world.stop(Duration::ZERO).is_ok());
}

#[test]
fn a_panic_of_the_handler_ends_its_connection_alone() {
    let world = web_world(|_| {});
    let mut other = browse(&world);
    assert!(other.ask(&world, "/1").ends_with("\r\n\r\nx"));
    assert_eq!(browse(&world).ask(&world, "/panic"), "");
    assert_eq!(world.closed(), [Disconnect::Panicked]);
    assert!(other.ask(&world, "/1").ends_with("\r\n\r\nx"));
}

#[test]
fn who_ends_its_side_gets_what_it_asked_for() {
    let world = web_world(|_| {});
    let mut browser = browse(&world);
    browser.stream.give(request("/7").as_bytes());
    browser.stream.end();
    browser.say(&world, b"");
    assert!(browser.answer().ends_with("\r\n\r\nxxxxxxx"));
    assert_eq!(world.closed(), [Disconnect::Web]);
}

#[test]
fn stopping_finishes_the_answer_under_way() {
    let mut world = web_world(|_| {});
    let mut browser = browse(&world);
    browser.stream.limit(StreamLimits { written: 1000, unread: 10_000, read: 10_000 });
    browser.stream.give(request("/100000").repeat(2).as_bytes());
    world.runtime.run();
    let server = world.server.take().unwrap();
    let stopped = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&stopped);
    world
        .runtime
        .spawn(async move { *slot.lock().unwrap() = Some(server.stop(Duration::from_secs(5)).await) });
    browser.say(&world, b"");
    let answer = browser.answer();
    assert_eq!(answer.split_once("\r\n\r\n").unwrap().1.len(), 100_000);
    assert!(browser.stream.is_at_end());
    drop(browser);
    world.runtime.run();
    assert!(matches!(&*stopped.lock().unwrap(), Some(Ok(stopped)) if stopped.cut == 0));
}

#[test]
fn broken_tls_is_told_why() {
    let site = Site::new();
    let endpoint = Endpoint::web_tls(LISTENS_ON, site.tls, handler());
    let world = World::serving(Limits::default(), TestStore::default(), endpoint);
    let browser = browse(&world);
    browser.stream.give(b"GET / HTTP/1.1\r\n\r\n");
    world.runtime.run();
    // A fatal alert.
    assert_eq!(&browser.stream.take()[..2], b"\x15\x03");
    assert!(browser.stream.is_at_end());
}

pub(super) fn http_connections() {
    let world = web_world(|limits| limits.http_connections = 1);
    let mut first = browse(&world);
    assert!(browse(&world).stream.is_at_end());
    assert_eq!(world.closed(), [Disconnect::Refused(Refusal::Web)]);
    assert!(first.ask(&world, "/1").ends_with('x'));
    drop(first);
    world.runtime.run();
    assert!(browse(&world).ask(&world, "/1").ends_with('x'));
}

pub(super) fn http_head_bytes() {
    let world = web_world(|limits| limits.http_head_bytes = 256);
    for (length, status) in [(256, 200), (257, 431)] {
        let end = |padding| format!("\r\nPad: {}\r\n\r\n", "p".repeat(padding));
        let padded = |padding| request("/1").replace("\r\n\r\n", &end(padding));
        let head = padded(length - padded(0).len());
        assert_eq!(head.len(), length);
        let mut browser = browse(&world);
        browser.say(&world, head.as_bytes());
        assert!(browser.answer().starts_with(&format!("HTTP/1.1 {status} ")), "{length}");
    }
    // Not even a part of a longer one is waited for.
    let mut browser = browse(&world);
    browser.say(&world, format!("GET /{} ", "a".repeat(256)).as_bytes());
    assert!(browser.answer().starts_with("HTTP/1.1 431 ") && browser.stream.is_at_end());
}

pub(super) fn http_requests() {
    let world = web_world(|limits| limits.http_requests = 2);
    let mut browser = browse(&world);
    assert!(!browser.ask(&world, "/1").contains("Connection: close"));
    assert!(browser.ask(&world, "/1").contains("\r\nConnection: close\r\n"));
    assert!(browser.stream.is_at_end());
}

pub(super) fn http_timeout() {
    let (timeout, instant) = (Duration::from_secs(3), Duration::from_millis(1));
    let world = web_world(|limits| limits.http_timeout = timeout);
    // Bytes of a request do not make it longer, a request does.
    let mut slow = browse(&world);
    world.runtime.advance(timeout - instant);
    slow.stream.give(b"GET /");
    let mut other = browse(&world);
    world.runtime.advance(instant);
    assert_eq!(world.closed(), [Disconnect::Web]);
    assert!(other.ask(&world, "/1").ends_with('x'));
    world.runtime.advance(timeout - instant);
    assert!(other.ask(&world, "/1").ends_with('x'));
    world.runtime.advance(timeout);
    assert_eq!(world.closed(), [Disconnect::Web]);
    // Neither does an answer that is not taken.
    slow = browse(&world);
    slow.stream.give(request(&format!("/{}", 2 * CAPACITY)).as_bytes());
    world.runtime.advance(timeout - instant);
    assert!(!slow.stream.is_at_end());
    world.runtime.advance(instant);
    assert_eq!(world.closed(), [Disconnect::Web]);
}
