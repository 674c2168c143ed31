//! `start` and `run`.

use std::net::{TcpListener, TcpStream};

use crate::harness::{Place, Signal};

const PASSWORD: &str = "6cJXWnKx-gh2u8VZ1Tgq0e9Bz7yRk4Jt";

#[test]
fn the_folder_of_the_reference_is_served_with_its_identity() {
    for algorithm in ["ed25519", "ed448"] {
        let place = Place::of_reference(algorithm);
        let fingerprint = place.read("fingerprint").trim().to_owned();
        let address = format!("smp://{fingerprint}:{PASSWORD}@smp.example.org,abcdefgh.onion");
        // The settings as they are name ports that a test cannot count on.
        let done = place.run(&["start", "--maintenance"]);
        assert_eq!(done.code, Some(0), "{}", done.err);
        assert!(!done.out.contains("Control port: "), "{}", done.out);
        assert!(!done.err.contains("without effect"), "{}", done.err);
        for secret in [PASSWORD, &fingerprint, "example.org"] {
            assert!(!done.err.contains(secret), "{}", done.err);
        }

        std::fs::remove_file(place.file("ca.key")).unwrap();
        place.replace("port: 5223,443", "port: 0\nbind: 127.0.0.1");
        place.replace("control_port: 5224", "control_port: 0");
        place.replace("/etc/opt/simplex/web.crt", "/nonexistent/web.crt");
        let serving = place.serve(&["start", "--log-level", "warn"]);
        assert_eq!(serving.lines[0], format!("SMP server v{}", env!("CARGO_PKG_VERSION")));
        assert_eq!(serving.line("Fingerprint: "), fingerprint);
        let listening = serving.line("Listening on 127.0.0.1:").to_owned();
        assert_eq!(serving.line("Server address: "), format!("{address}:{listening}"));
        assert!(serving.line("Control port: ").starts_with("127.0.0.1:"));
        assert!(serving.line("Store: ").ends_with("smp-server-store, durable always"));
        TcpStream::connect(format!("127.0.0.1:{listening}")).unwrap();
        assert!(serving.signal(Signal::TERM).success());
    }
}

#[test]
fn both_signals_stop_in_order() {
    let place = Place::initialised();
    for signal in [Signal::INT, Signal::TERM] {
        assert!(place.serve(&["start"]).signal(signal).success());
    }
}

#[test]
fn the_store_of_the_reference_is_never_passed_over() {
    let place = Place::of_reference("ed25519");
    place.replace("enable: on", "enable: off");
    for (name, folder) in [
        ("smp-server-store.log", false),
        ("smp-server-messages.log", false),
        ("smp-server-ntfs.log", false),
        ("smp-server-store.log.start", false),
        ("messages", true),
    ] {
        let file = place.data().join(name);
        if folder {
            std::fs::create_dir(&file).unwrap()
        } else {
            std::fs::write(&file, "").unwrap()
        }
        for arguments in [&["start"][..], &["start", "-m"]] {
            let refused = place.run(arguments);
            assert_eq!(refused.code, Some(1));
            assert!(refused.err.contains(name) && refused.err.contains("import"), "{}", refused.err);
            assert!(!refused.out.contains("Server address"), "{}", refused.out);
        }
        if folder { std::fs::remove_dir(&file).unwrap() } else { std::fs::remove_file(&file).unwrap() }
    }
    assert_eq!(place.run(&["start", "-m"]).code, Some(0));
    place.replace("store_queues: memory", "store_queues: database");
    let refused = place.run(&["start", "-m"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("[STORE_LOG] store_queues: `database` is not supported"), "{}", refused.err);
}

#[test]
fn a_start_that_fails_says_where_and_what_to_do() {
    let broken = |file: &str, contents: &str| {
        let place = Place::of_reference("ed25519");
        std::fs::write(place.file(file), contents).unwrap();
        let refused = place.run(&["start"]);
        assert_eq!(refused.code, Some(1), "{file}");
        assert!(refused.err.contains(place.file(file).to_str().unwrap()), "{}", refused.err);
        refused.err
    };
    let other = Place::of_reference("ed448");
    assert!(
        broken("smp-server.ini", "[LIMITS]\n\nmsg_queue_quota = none\n")
            .contains("line 3: [LIMITS] msg_queue_quota")
    );
    assert!(broken("smp-server.ini", "what\n").contains("line 1: "));
    assert!(broken("server.key", "no key").contains("smp-server cert"));
    assert!(broken("server.key", &other.read("server.key")).contains("does not belong"));
    assert!(broken("server.crt", &other.read("server.crt")).contains("does not belong"));
    assert!(broken("ca.crt", &other.read("ca.crt")).contains("smp-server cert"));
    assert!(broken("fingerprint", &other.read("fingerprint")).contains("does not match ca.crt"));
    for file in ["smp-server.ini", "server.key", "server.crt", "ca.crt", "fingerprint"] {
        let place = Place::of_reference("ed25519");
        std::fs::remove_file(place.file(file)).unwrap();
        let refused = place.run(&["start"]);
        assert_eq!(refused.code, Some(1));
        assert!(refused.err.contains(file) && refused.err.contains("cannot be read"), "{}", refused.err);
    }
}

#[test]
fn a_busy_port_stops_the_start_unless_it_is_the_web_s() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = taken.local_addr().unwrap().port();
    let place = Place::initialised();
    place.replace("port = 0\n", &format!("port = 0,{busy}\n"));
    let refused = place.run(&["start"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains(&format!("cannot listen on 127.0.0.1:{busy}")), "{}", refused.err);
    place.replace("https = 443", &format!("https = {busy}\ncert = /nonexistent/web.crt"));
    let serving = place.serve(&["start"]);
    assert_ne!(serving.line("Listening on 127.0.0.1:"), busy.to_string());
    assert!(serving.signal(Signal::INT).success());
}

#[test]
fn run_needs_no_preparation_and_keeps_its_identity() {
    let place = Place::empty();
    let arguments = ["run", "--data-dir", "here", "--bind", "127.0.0.1", "--port", "0"];
    let first = place.serve(&arguments);
    let fingerprint = first.line("Fingerprint: ").to_owned();
    let port = first.line("Listening on 127.0.0.1:").to_owned();
    assert_eq!(first.line("Server address: "), format!("smp://{fingerprint}@localhost:{port}"));
    assert!(first.signal(Signal::INT).success());
    assert!(!place.config().exists() && !place.data().exists());

    let with_flags = [&arguments[..], &["--password", "pw", "--host", "::1,a.example"]].concat();
    let second = place.serve(&with_flags);
    let port = second.line("Listening on 127.0.0.1:").to_owned();
    assert_eq!(second.line("Server address: "), format!("smp://{fingerprint}:pw@[::1],a.example:{port}"));
    assert!(second.signal(Signal::TERM).success());

    let bad = place.run(&["run", "--data-dir", "there", "--port", "none"]);
    assert_eq!(bad.code, Some(1));
    assert!(bad.err.contains("[TRANSPORT] port"), "{}", bad.err);
}
