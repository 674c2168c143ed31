//! Names, with a resolver beside the program.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use smp_core::client::{Answer, Request, RequestError};
use smp_core::wire::error::{ErrorType, NameError};

use crate::client::Connection;
use crate::harness::{Place, Signal};

const RECORD: &str = r#"{"name":"alice.simplex","nickname":"Alice","website":"","location":"","simplexContact":[],"simplexChannel":[],"owner":"","resolver":""}"#;

/// Answers all questions, until the program that asked has ended; gives the heads of the requests.
fn resolver() -> (u16, Receiver<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (asked, requests) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream: TcpStream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let status = if head[0].contains("alice") { "200 OK" } else { "404 Not Found" };
            let head_of_answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", RECORD.len());
            stream.write_all([head_of_answer.as_str(), RECORD].concat().as_bytes()).unwrap();
            if asked.send(head.join("\n")).is_err() {
                return;
            }
        }
    });
    (port, requests)
}

#[test]
fn names_are_resolved_and_the_log_has_none_of_them() {
    let (port, requests) = resolver();
    let place = Place::initialised();
    place.replace("[NAMES]\n", &format!(
        "[NAMES]\nenable = on\nresolver_endpoint = http://127.0.0.1:{port}/v1\nresolver_auth = basic:me:secret\n"
    ));
    place.replace("bind = 127.0.0.1", "bind = 127.0.0.1\nsmp_versions = 6-20");
    let serving = place.serve(&["start", "--log-level", "debug"]);
    let health = requests.recv().unwrap();
    assert!(health.starts_with("GET /v1/health HTTP/1.1\n"), "{health}");
    assert!(health.contains("\nAuthorization: Basic bWU6c2VjcmV0"), "{health}");
    let mut client = Connection::to(&serving);
    let found = client.request(Request::resolve("alice.simplex".parse().unwrap()));
    assert!(matches!(found, Ok(Answer::Name(record)) if record.nickname == "Alice"));
    assert!(requests.recv().unwrap().starts_with("GET /v1/resolve/alice.simplex HTTP/1.1\n"));
    let missing = client.request(Request::resolve("bob.simplex".parse().unwrap()));
    let not_found = RequestError::Server(ErrorType::Name(NameError::NotFound));
    assert!(missing.is_err_and(|error| error == not_found));
    // That it was not well is said, meanwhile. The deadline is there so that a hung test ends.
    let (said, deadline) =
        ("[NAMES] resolver_endpoint: /health: HTTP 404", Instant::now() + Duration::from_secs(60));
    while !place.log().contains(said) {
        assert!(Instant::now() < deadline, "{}", place.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(serving.signal(Signal::TERM).success());
    let log = place.log();
    for secret in ["alice", "bob", "secret", "bWU6c2VjcmV0"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[test]
fn a_log_in_in_the_open_and_a_missing_resolver_are_refused() {
    for (lines, setting) in [
        ("resolver_endpoint = http://names.example\nresolver_auth = bearer:secret", "[NAMES] resolver_auth"),
        ("resolver_auth = bearer:secret", "[NAMES] resolver_endpoint"),
    ] {
        let place = Place::initialised();
        place.replace("[NAMES]\n", &format!("[NAMES]\nenable = on\n{lines}\n"));
        let refused = place.run(&["start"]);
        assert_ne!(refused.code, Some(0));
        assert!(refused.err.contains(setting) && !refused.err.contains("secret"), "{}", refused.err);
    }
}
