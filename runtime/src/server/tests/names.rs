//! A resolver that is asked over HTTP, and what it can do to who asks.

use std::future::poll_fn;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use smp_core::wire::error::NameError;
use smp_core::wire::names::{Name, NameRecord};

use super::*;
use crate::ByteStream;
use crate::http::{Authorization, Handler, Request, Response, Roots, Status, Url, WebTls};

const RECORD: &str = r#"{"name":"alice.simplex","nickname":"","website":"","location":"","simplexContact":["x"],
    "simplexChannel":[],"eth":null,"owner":"0x0","resolver":"0x1","more":[1,{}]}"#;

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

fn name() -> Name {
    "alice.simplex".parse().unwrap()
}

fn resolver(
    runtime: &TestRuntime,
    address: &str,
    change: impl FnOnce(&mut ResolverOptions),
) -> HttpResolver<TestRuntime> {
    let mut options = ResolverOptions::default();
    change(&mut options);
    HttpResolver::new(runtime.clone(), url(address), options).unwrap()
}

/// A resolver that says the same on all connections, whatever it is asked, and then ends them or keeps them.
struct Scripted {
    runtime: TestRuntime,
    peers: Arc<Mutex<Vec<TestStream>>>,
    resolver: HttpResolver<TestRuntime>,
}

impl Scripted {
    fn new(address: &str, says: &[u8], ends: bool, change: impl FnOnce(&mut ResolverOptions)) -> Self {
        let (runtime, peers) = (TestRuntime::default(), Arc::new(Mutex::new(Vec::new())));
        let (says, kept) = (says.to_vec(), Arc::clone(&peers));
        runtime.on_connect(move |_| {
            let (ours, theirs) = TestStream::pair();
            assert_eq!(theirs.give(&says), says.len());
            if ends {
                theirs.end();
            }
            kept.lock().unwrap().push(theirs);
            Ok(ours)
        });
        let resolver = resolver(&runtime, address, change);
        Self { runtime, peers, resolver }
    }

    /// The outcome, and the time that passed.
    fn ask(&self) -> (Resolved, Duration) {
        let before = self.runtime.now().mono;
        let found = self.runtime.block_on(self.resolver.resolve(name()));
        (found, self.runtime.now().mono.since(before))
    }

    fn request(&self) -> String {
        let asked = self.peers.lock().unwrap().last().unwrap().take();
        String::from_utf8(asked).unwrap()
    }
}

fn answer(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn failed(text: &str) -> Resolved {
    Err(NameError::Resolver(text.into()))
}

const LOCAL: &str = "http://127.0.0.1:8000";

#[test]
fn each_answer_has_its_outcome() {
    let record = || Ok(Box::new(NameRecord::from_json(RECORD.as_bytes()).unwrap()));
    let chunked = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
        9,
        &RECORD[..9],
        RECORD.len() - 9,
        &RECORD[9..]
    );
    let to_end = format!("HTTP/1.0 200 OK\r\n\r\n{RECORD}");
    let without = |key: &str| RECORD.replace(key, "\"other\"");
    let ok = |body: &str| answer("200 OK", body);
    for (says, expected) in [
        (ok(RECORD), record()),
        (chunked.clone().into_bytes(), record()),
        (to_end.into_bytes(), record()),
        (answer("404 Not Found", "no"), Err(NameError::NotFound)),
        (answer("400 Bad Request", ""), Err(NameError::NotFound)),
        (answer("502 Bad Gateway", RECORD), failed("HTTP 502")),
        (answer("401 Unauthorized", ""), failed("HTTP 401")),
        (answer("302 Found\r\nLocation: http://127.0.0.1:8000/x", ""), failed("HTTP 302")),
        (answer("204 No Content", ""), failed("HTTP 204")),
        (ok(""), failed("malformed record")),
        (ok("[]"), failed("malformed record")),
        (ok(&without("\"owner\"")), failed("malformed record")),
        (ok(&RECORD.replace("[\"x\"]", "null")), failed("malformed record")),
        (ok(&format!("{RECORD}x")), failed("malformed record")),
        (b"SSH-2.0-OpenSSH\r\n".to_vec(), failed("malformed answer")),
        (chunked.as_bytes()[..60].to_vec(), failed("malformed answer")),
        (Vec::new(), failed("malformed answer")),
    ] {
        let world = Scripted::new(LOCAL, &says, true, |_| {});
        let (found, time) = world.ask();
        assert!(found == expected, "{}: {:?}", says.escape_ascii(), found.err());
        assert_eq!((time, world.peers.lock().unwrap().len()), (Duration::ZERO, 1));
        // The connection ends with the answer.
        assert!({ world.request() }.ends_with("\r\n\r\n") && world.peers.lock().unwrap()[0].is_at_end());
    }
}

#[test]
fn the_question_says_what_is_needed_and_no_more() {
    let world = Scripted::new("http://localhost/names/", b"", true, |options| {
        options.authorization = Some(Authorization::bearer("token").unwrap());
    });
    world.runtime.set_name("localhost", "127.0.0.1".parse().unwrap());
    let _outcome = world.ask();
    let agent = concat!("smp-runtime/", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        world.request(),
        format!(
            "GET /names/resolve/alice.simplex HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer token\r\n\
             User-Agent: {agent}\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
        )
    );
    let world = Scripted::new("http://[2001:db8::1]:8000", b"", true, |_| {});
    let _outcome = world.ask();
    assert!(
        world.request().starts_with("GET /resolve/alice.simplex HTTP/1.1\r\nHost: [2001:db8::1]:8000\r\n")
    );
    assert!(!world.request().contains("Authorization"));
}

#[test]
fn a_silent_resolver_is_given_up_in_time() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".as_slice();
    for (address, says) in [(LOCAL, &b""[..]), (LOCAL, head), ("https://127.0.0.1", b"")] {
        for (timeout, expected) in [(None, 3000), (Some(70), 70)] {
            let world = Scripted::new(address, says, false, |options| {
                options.roots = Some(site().1);
                options.timeout = timeout.map_or(options.timeout, Duration::from_millis);
            });
            let (found, time) = world.ask();
            assert!(found == failed("timeout"));
            assert_eq!(time, Duration::from_millis(expected));
            let peers = world.peers.lock().unwrap();
            assert!(!peers[0].take().is_empty() && peers[0].is_at_end());
        }
    }
}

/// Serves each connection with a task of the runtime.
fn serve<F: Future<Output = ()> + Send + 'static>(
    runtime: &TestRuntime,
    serve: impl Fn(TestStream) -> F + Send + 'static,
) {
    let listener = runtime.clone();
    let mut listener = runtime.block_on(async move { listener.listen(LISTENS_ON).await.unwrap() });
    let spawner = runtime.clone();
    runtime.spawn(async move {
        while let Ok((stream, _)) = poll_fn(|cx| listener.poll_accept(cx)).await {
            spawner.spawn(serve(stream));
        }
    });
}

#[test]
fn a_resolver_that_drips_has_no_more_time() {
    let runtime = TestRuntime::default();
    let clock = runtime.clone();
    serve(&runtime, move |mut stream| {
        let clock = clock.clone();
        async move {
            loop {
                clock.sleep_until(clock.now().mono + Duration::from_millis(900)).await;
                if poll_fn(|cx| stream.poll_write(cx, b"HTTP/1.1 100 X\r\n\r\n")).await.is_err() {
                    return;
                }
            }
        }
    });
    let resolver = resolver(&runtime, &format!("http://{LISTENS_ON}"), |_| {});
    let before = runtime.now().mono;
    assert!(runtime.block_on(resolver.resolve(name())) == failed("timeout"));
    assert_eq!(runtime.now().mono.since(before), Duration::from_secs(3));
}

#[test]
fn a_flood_is_not_taken_to_its_end() {
    for (head, flood) in [
        ("HTTP/1.1 200 OK\r\n\r\n", "x"),
        ("HTTP/1.1 200 OK\r\n", "X: y\r\n"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n"),
        ("", "HTTP/1.1 103 Early Hints\r\n\r\n"),
    ] {
        let runtime = TestRuntime::default();
        let sent = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&sent);
        serve(&runtime, move |mut stream| {
            let counted = Arc::clone(&counted);
            async move {
                let flood = flood.repeat(1000);
                let mut next = [head, &flood].concat();
                while let Ok(count) = poll_fn(|cx| stream.poll_write(cx, next.as_bytes())).await {
                    *counted.lock().unwrap() += count;
                    next.drain(..count);
                    if next.len() < flood.len() {
                        next.push_str(&flood);
                    }
                }
            }
        });
        let resolver = resolver(&runtime, &format!("http://{LISTENS_ON}"), |_| {});
        let before = runtime.now().mono;
        let found = runtime.block_on(resolver.resolve(name()));
        assert!(matches!(&found, Err(NameError::Resolver(text)) if text != "timeout"), "{:?}", found.err());
        assert_eq!(runtime.now().mono, before);
        assert!(*sent.lock().unwrap() <= 512 * 1024, "{head:?}: {}", sent.lock().unwrap());
    }
}

#[test]
fn an_answer_has_at_most_the_bytes_that_it_may() {
    let record = |length: usize| format!("{}{RECORD}", " ".repeat(length - RECORD.len()));
    for (length, fits) in [(16_000, true), (16_001, false)] {
        let (found, _) = Scripted::new(LOCAL, &answer("200 OK", &record(length)), true, |_| {}).ask();
        assert!(if fits { found.is_ok() } else { found == failed("answer too large") }, "{length}");
    }
    let says = answer("200 OK", &record(RECORD.len() + 1));
    let (found, _) = Scripted::new(LOCAL, &says, true, |options| options.answer_bytes = RECORD.len()).ask();
    assert!(found == failed("answer too large"));
}

#[test]
fn questions_over_the_limit_are_answered_at_once() {
    let world = Scripted::new(LOCAL, b"", false, |options| options.questions = 2);
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let ask = |number: u8| {
        let (resolving, outcomes) = (world.resolver.clone().resolve(name()), Arc::clone(&outcomes));
        world.runtime.spawn(async move {
            let found = resolving.await;
            outcomes.lock().unwrap().push((number, found == failed("busy")));
        });
        world.runtime.run();
    };
    (0..4).for_each(ask);
    assert_eq!(*outcomes.lock().unwrap(), [(2, true), (3, true)]);
    // The others end, and make room.
    world.runtime.advance(Duration::from_secs(3));
    ask(4);
    ask(5);
    assert_eq!(*outcomes.lock().unwrap(), [(2, true), (3, true), (0, false), (1, false)]);
    assert_eq!(world.peers.lock().unwrap().len(), 4);
    // So do those whose clients are gone.
    world.runtime.crash();
    assert!(world.peers.lock().unwrap()[3].take().len() > 10 && world.peers.lock().unwrap()[3].is_at_end());
    ask(6);
    assert_eq!(world.peers.lock().unwrap().len(), 5);
}

#[test]
fn a_resolver_that_is_not_there() {
    let world = Scripted::new("http://names.example", b"", true, |_| {});
    assert!(world.ask().0 == failed("cannot be reached (entity not found)"));
    world.runtime.set_name("names.example", "192.0.2.1".parse().unwrap());
    world.runtime.on_connect(|to| {
        assert_eq!(to, "192.0.2.1:80".parse().unwrap());
        Err(io::ErrorKind::ConnectionRefused.into())
    });
    assert!(world.ask().0 == failed("cannot be reached (connection refused)"));
}

#[test]
fn a_log_in_does_not_leave_the_machine_in_the_open() {
    let with = |options: &mut ResolverOptions| {
        options.authorization = Some(Authorization::basic("me", "secret").unwrap());
    };
    let mut options = ResolverOptions::default();
    with(&mut options);
    for address in ["http://192.0.2.1", "http://names.example", "http://localhost.example"] {
        let refused = HttpResolver::new(TestRuntime::default(), url(address), options.clone());
        assert_eq!(refused.err(), Some(ResolverError::Exposed), "{address}");
    }
    // A name service may take `localhost` for anything.
    let world = Scripted::new("http://localhost", b"", true, with);
    world.runtime.set_name("localhost", "192.0.2.1".parse().unwrap());
    assert!(world.ask().0 == failed("cannot be reached (entity not found)"));
    assert!(world.peers.lock().unwrap().is_empty());
    world.runtime.set_name("localhost", "127.0.0.1".parse().unwrap());
    let _outcome = world.ask();
    assert!(world.request().contains("\r\nAuthorization: Basic bWU6c2VjcmV0\r\n"));
}

/// A certificate for `names.example` that was valid when the clock of a new simulated runtime starts and is not any more,
/// and who trusts it.
fn site() -> (WebTls, Roots) {
    let mut params = CertificateParams::new(["names.example".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2023, 11, 1), date_time_ymd(2023, 12, 1));
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    let tls = WebTls::from_pem(pem.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    (tls, Roots::from_pem(pem.as_bytes()).unwrap())
}

#[test]
fn over_tls_the_certificate_has_to_be_of_the_resolver_and_valid_by_the_clock_of_the_runtime() {
    let (tls, roots) = site();
    let handler: Handler = Arc::new(|request: &Request| match request.path() {
        "/resolve/alice.simplex" => Response::new(Status::OK, "application/json", RECORD),
        "/health" => Response::new(Status::OK, "text/plain", "ok"),
        _ => Response::status(Status::BAD_REQUEST),
    });
    let endpoint = Endpoint::web_tls(LISTENS_ON, tls, handler);
    let world = World::serving(Limits::default(), TestStore::default(), endpoint);
    let runtime = &world.runtime;
    runtime.set_name("names.example", LISTENS_ON.ip());
    runtime.set_name("other.example", LISTENS_ON.ip());
    let ask = |host: &str, roots: &Roots| {
        let address = format!("https://{host}:{}", LISTENS_ON.port());
        let resolver = resolver(runtime, &address, |options| {
            options.roots = Some(roots.clone());
            options.authorization = Some(Authorization::bearer("token").unwrap());
        });
        runtime.block_on(async move { (resolver.check().await.is_ok(), resolver.resolve(name()).await) })
    };
    let (healthy, found) = ask("names.example", &roots);
    assert!(healthy && found.unwrap().name == "alice.simplex");
    let untrusted = (false, failed("certificate not trusted"));
    assert!(ask("other.example", &roots) == untrusted);
    assert!(ask("names.example", &site().1) == untrusted);
    runtime.advance(Duration::from_secs(30 * 86_400));
    assert!(ask("names.example", &roots) == untrusted);
}

#[test]
fn what_is_no_tls_is_told_apart() {
    let roots = site().1;
    // Words, and a fatal alert, which has no answer; whether the server then ends the connection or not.
    for says in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"\x15\x03\x03\x00\x02\x02\x28"] {
        for ends in [true, false] {
            let roots = Some(roots.clone());
            let world = Scripted::new("https://127.0.0.1", says, ends, |options| options.roots = roots);
            assert!(world.ask() == (failed("TLS failed"), Duration::ZERO), "{}", says.escape_ascii());
        }
    }
}

#[test]
fn health_is_a_status_of_success() {
    for (says, expected) in [
        (answer("200 OK", &"x".repeat(50_000)), Ok(())),
        (answer("204 No Content", ""), Ok(())),
        (answer("404 Not Found", ""), Err("HTTP 404")),
        (answer("302 Found", ""), Err("HTTP 302")),
        (Vec::new(), Err("malformed answer")),
    ] {
        let world = Scripted::new(LOCAL, &says, true, |_| {});
        let resolver = world.resolver.clone();
        let healthy = world.runtime.block_on(async move { resolver.check().await });
        assert_eq!(healthy.map_err(|failure| failure.to_string()), expected.map_err(str::to_owned));
        assert!(world.request().starts_with("GET /health HTTP/1.1\r\n"));
    }
    let world = Scripted::new(LOCAL, b"", false, |_| {});
    let resolver = world.resolver.clone();
    let healthy = world.runtime.block_on(async move { resolver.check().await });
    assert_eq!(healthy.unwrap_err().to_string(), "timeout");
}
