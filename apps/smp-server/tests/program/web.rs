//! The web site of the program, beside SMP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use smp_core::client::Request;

use crate::client::Connection;
use crate::harness::{Place, Signal};
use crate::site::{address, certify};

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

fn ask(mut stream: impl Read + Write, path: &str) -> String {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn secure(stream: TcpStream, certificate: &CertificateDer<'static>) -> impl Read + Write {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tls = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    StreamOwned::new(tls, stream)
}

#[test]
fn one_port_serves_smp_and_the_web_site() {
    let place = Place::empty();
    let www = place.data().join("www");
    std::fs::create_dir_all(&www).unwrap();
    std::fs::write(www.join("mine.txt"), "my own").unwrap();
    let www = www.to_str().unwrap().to_owned();
    let source = "https://example.org/code";
    let arguments = [
        "init",
        "-y",
        "-n",
        "localhost",
        "--no-password",
        "--web-path",
        &www,
        "--source-code",
        source,
        "--operator",
        "<Me>",
    ];
    let done = place.run(&arguments);
    assert!(done.out.contains("web.crt"), "{}{}", done.out, done.err);
    place.replace("port = 5223,443", "port = 0\nbind = 127.0.0.1");
    place.replace("https = 443", "https = 0\nhttp = 0");
    let certificate = certify(&place);

    let serving = place.serve(&["start", "--log-level", "debug"]);
    let shared = address(&serving, "Listening on ");
    let mut smp = Connection::to(&serving);
    let page = ask(secure(connect(shared), &certificate), "/");
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    for part in
        ["&lt;Me&gt;", source, "Creating queues needs a password</dt><dd>no</dd>", "script-src 'self'"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    let plain = address(&serving, "Serving the web site on ");
    for (path, status, part) in [
        ("/a", 200, "id=\"qr\""),
        ("/mine.txt", 200, "my own"),
        ("/assets/lean-qr.LICENSE", 200, "MIT License"),
        ("/../etc/passwd", 400, ""),
        ("/www", 404, ""),
    ] {
        let over_tls = ask(secure(connect(shared), &certificate), path);
        let without = ask(connect(plain), path);
        for answer in [over_tls, without] {
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(part),
                "{path}: {answer}"
            );
        }
    }
    assert!(smp.request(Request::ping()).is_ok());
    assert!(serving.signal(Signal::TERM).success());
    let log = place.log();
    assert!(log.contains("www: files of yours on the web site: 1\n"), "{log}");
    // Nothing that anybody asked for is in the log.
    assert!(!log.contains("passwd") && !log.contains("mine.txt") && !log.contains("/a "), "{log}");

    std::fs::write(place.data().join("www/index.html"), "my first page").unwrap();
    let serving = place.serve(&["start"]);
    let plain = address(&serving, "Serving the web site on ");
    assert!(ask(connect(plain), "/").ends_with("my first page"));
    assert!(serving.signal(Signal::TERM).success());
    assert!(place.log().contains("index.html replaces the page about the server"));
}

#[test]
fn without_its_certificate_the_site_is_left_out_and_a_wrong_one_is_refused() {
    let place = Place::initialised();
    place.replace("https = 443", "https = 0");
    let serving = place.serve(&["start"]);
    Connection::to(&serving);
    assert!(serving.signal(Signal::INT).success());
    let log = place.log();
    assert!(log.contains("web.crt: is not there") && log.contains("[WEB] cert"), "{log}");

    let refused = |said: &str| {
        let refused = place.run(&["start"]);
        assert_eq!(refused.code, Some(1));
        assert!(refused.err.contains(said) && refused.err.contains("[WEB] cert"), "{}", refused.err);
    };
    certify(&place);
    let key = place.read("web.key");
    certify(&place);
    std::fs::write(place.file("web.key"), key).unwrap();
    refused("cannot be used together");
    std::fs::write(place.file("web.key"), "no key").unwrap();
    refused("holds no private key");
    std::fs::write(place.file("web.crt"), "no certificate").unwrap();
    refused("holds no certificates");
}

#[test]
fn behind_a_proxy_each_connection_begins_with_its_header() {
    let place = Place::initialised();
    place.replace("bind = 127.0.0.1", "bind = 127.0.0.1\nproxy_protocol = on");
    place.replace("https = 443", "http = 0");
    let serving = place.serve(&["start"]);
    let site = address(&serving, "Serving the web site on ");
    let mut stream = connect(site);
    stream.write_all(b"PROXY TCP4 192.0.2.1 127.0.0.1 1 80\r\n").unwrap();
    assert!(ask(stream, "/").starts_with("HTTP/1.1 200 "));
    let mut stream = connect(site);
    stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    // It is closed or reset: what it sent was not read to its end.
    assert!(!matches!(stream.read(&mut [0]), Ok(1..)));
    assert!(serving.signal(Signal::TERM).success());
}
