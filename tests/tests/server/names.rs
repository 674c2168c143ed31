//! Names, resolved by a web server that is asked over real sockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use smp_core::server::Limits;
use smp_core::wire::broker::BrokerMessage;
use smp_core::wire::{EntityId, Version};
use smp_tests::peer::{Auth, Form, Peer, Queue, Relay, Request};
use smp_tests::server::{Settings, Store, TestServer};

use super::{ALL, NEWEST, run, scenarios};

scenarios![
    names_are_resolved_at_every_version,
    a_record_comes_back_as_its_resolver_gave_it,
    names_are_resolved_through_a_proxy,
    nothing_waits_for_a_slow_resolver,
    malformed_names_are_not_asked_for,
];

/// A resolver that does what a name says. It ends with the process.
fn resolver() -> Settings {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (release, held) = channel();
    let held = Arc::new(Mutex::new(held));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.expect("a connection");
            let (release, held) = (release.clone(), Arc::clone(&held));
            std::thread::spawn(move || answer(stream, &release, &held));
        }
    });
    Settings { resolver: Some((format!("http://{address}"), PATIENCE)), ..Settings::default() }
}

fn answer(mut stream: TcpStream, release: &Sender<()>, held: &Mutex<Receiver<()>>) {
    let mut lines = BufReader::new(stream.try_clone().expect("a socket")).lines();
    let asked = lines.next().expect("a request").expect("a request");
    // A socket that is closed with bytes that were not read would reset the connection.
    while lines.next().is_some_and(|line| !line.expect("a header").is_empty()) {}
    let name = asked.strip_prefix("GET /resolve/").and_then(|rest| rest.strip_suffix(" HTTP/1.1"));
    let (status, body) = match name.expect("a question") {
        "missing.simplex" => ("404 Not Found", String::new()),
        "odd.simplex" => ("400 Bad Request", String::new()),
        "broken.simplex" => ("500 Internal Server Error", record("x")),
        "liar.simplex" => ("200 OK", "{}".to_owned()),
        "large.simplex" => ("200 OK", record(&"x".repeat(15_000))),
        "flood.simplex" => ("200 OK", record(&"x".repeat(17_000))),
        "silent.simplex" => {
            // Until who asked gives up.
            _ = stream.read(&mut [0]);
            return;
        }
        "held.simplex" => {
            let released = held.lock().expect("no panic under the lock").recv();
            released.expect("somebody who asks for `release.simplex`");
            ("200 OK", record("held.simplex"))
        }
        "release.simplex" => {
            release.send(()).expect("the resolver is there");
            ("200 OK", record("release.simplex"))
        }
        name => ("200 OK", record(name)),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
    // Who asked for too much may have gone.
    _ = stream.write_all([head, body].concat().as_bytes());
}

fn record(name: &str) -> String {
    format!(
        r#"{{"name":"{name}","nickname":"","website":"","location":"","simplexContact":["a"],"simplexChannel":[],"owner":"0x0","resolver":"0x1","more":1}}"#
    )
}

/// What a record becomes: what was not set is there, and what is not known is not.
fn rname(name: &str) -> String {
    let nothing = r#""eth":null,"btc":null,"xmr":null,"dot":null,"owner""#;
    let record = record(name).replace(r#""owner""#, nothing).replace(r#","more":1"#, "");
    format!("RNAME {record}")
}

/// Long enough for a busy machine: no test here waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

fn names_are_resolved_at_every_version(store: Store) {
    let forms = [ALL, &[Form::new(19)]].concat();
    run(store, &resolver(), &forms, |server, form| {
        let mut peer = Peer::connect(server.address(), form);
        let none = EntityId::empty();
        let mut ask = |name: &str| peer.ask(Auth::None, &none, format!("RSLV {name}"));
        assert_eq!(ask("alice.simplex").text(), rname("alice.simplex"));
        assert_eq!(ask("A.Alice.SIMPLEX and more").text(), rname("a.alice.simplex"));
        assert_eq!(ask("example.com").text(), rname("example.com"));
        assert_eq!(ask("missing.simplex"), "ERR NAME NOT_FOUND");
        assert_eq!(ask("odd.simplex"), "ERR NAME NOT_FOUND");
        assert_eq!(ask("broken.simplex"), "ERR NAME RESOLVER HTTP 500");
        assert_eq!(ask("liar.simplex"), "ERR NAME RESOLVER malformed record");
        assert_eq!(ask("flood.simplex"), "ERR NAME RESOLVER answer too large");
        assert_eq!(ask("large.simplex").text(), rname(&"x".repeat(15_000)));
        peer.assert_silent();
    });
}

fn a_record_comes_back_as_its_resolver_gave_it(store: Store) {
    run(store, &resolver(), &[Form::new(20)], |server, form| {
        let mut peer = Peer::connect(server.address(), form);
        let answer = peer.ask(Auth::None, &EntityId::empty(), "RSLV alice.testing");
        let BrokerMessage::RName(record) = answer.decode() else { panic!("{answer:?}") };
        assert_eq!((record.name.as_str(), record.eth), ("alice.testing", None));
        assert_eq!((record.simplex_contact, record.simplex_channel), (vec!["a".to_owned()], vec![]));
        assert_eq!((record.owner.as_str(), record.resolver.as_str()), ("0x0", "0x1"));
    });
}

fn names_are_resolved_through_a_proxy(store: Store) {
    let proxy = TestServer::start(store, &Settings::default());
    let destination = TestServer::start(store, &resolver());
    let none = EntityId::empty();
    for form in [Form::new(8), NEWEST, Form::new(20)] {
        let mut bob = Peer::connect(proxy.address(), form);
        let relay = Relay::new(&mut bob, destination.address());
        let mut ask =
            |name: &str| relay.ask(&mut bob, Version(20), None, &none, format!("RSLV {name}").as_bytes());
        assert_eq!(ask("alice.simplex").text(), rname("alice.simplex"), "{form:?}");
        assert_eq!(ask("large.simplex").text(), rname(&"x".repeat(15_000)));
        assert_eq!(ask("missing.simplex"), "ERR NAME NOT_FOUND");
        assert_eq!(ask("broken.simplex"), "ERR NAME RESOLVER HTTP 500");
        // The proxy itself resolves nothing.
        assert_eq!(bob.ask(Auth::None, &none, "RSLV alice.simplex"), "ERR NAME NO_RESOLVER");
    }
    proxy.stop();
    destination.stop();
}

fn nothing_waits_for_a_slow_resolver(store: Store) {
    run(store, &resolver(), &[Form::new(6), NEWEST], |server, form| {
        let mut peer = Peer::connect(server.address(), form);
        let none = EntityId::empty();
        let request = |command: &str| Request::new(Auth::None, &none, command);
        let requests = ["RSLV held.simplex", "PING"].map(request);
        // Neither the other answers to its block nor those to later ones.
        peer.send(&requests);
        assert_eq!(peer.answer(&requests[1]), "PONG");
        let queue = Queue::new(&mut peer);
        assert_eq!(queue.send(&mut peer, None, "hello"), "OK");
        assert_eq!(queue.receive_last(&mut peer).text(), "hello");
        let [held, _] = requests;
        let requests = [held, request("RSLV release.simplex")];
        peer.send(&requests[1..]);
        let answers = peer.answers(&requests);
        assert_eq!(answers[0].text(), rname("held.simplex"));
        assert_eq!(answers[1].text(), rname("release.simplex"));
        peer.assert_silent();
        // Nor when what asks for them is large, as all is that comes through a proxy: only the name is kept of it.
        let large = format!("RSLV silent.simplex {}", "x".repeat(15_000));
        for _ in 0..2 * Limits::default().input_bytes / large.len() {
            peer.send(&[request(&large)]);
        }
        assert_eq!(peer.ask(Auth::None, &none, "PING"), "PONG");
        // Who leaves meanwhile leaves nothing.
        drop(peer);
        server.wait_for_no_connections();
    });
}

fn malformed_names_are_not_asked_for(store: Store) {
    run(store, &resolver(), ALL, |server, form| {
        let mut peer = Peer::connect(server.address(), form);
        let none = EntityId::empty();
        for name in ["", "alice", "a..b", "../health", "a.b/c", "a%2e.b"] {
            let answer = peer.ask(Auth::None, &none, format!("RSLV {name}"));
            assert_eq!(answer, "ERR CMD SYNTAX", "{name}");
        }
        let entity = EntityId::from([1; 24]);
        assert_eq!(peer.ask(Auth::None, &entity, "RSLV alice.simplex"), "ERR CMD HAS_AUTH");
    });
}
