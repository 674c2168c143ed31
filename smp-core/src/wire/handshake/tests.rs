//! Hellos of every version.

use quickcheck::quickcheck;

use super::super::chain::CertChain;
use super::super::error::HandshakeError;
use super::*;

fn auth() -> CertChainPubKey {
    let chain = CertChain::new(vec![Bytes::from_static(b"leaf"), Bytes::from_static(b"ca")]).unwrap();
    CertChainPubKey { chain, signed_key: Bytes::from_static(b"key") }
}

fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut out = Vec::new();
    encode(&mut out);
    out.into()
}

fn server_hello(min: u16, max: u16) -> ServerHello {
    let versions = VersionRange::new(Version(min), Version(max)).unwrap();
    let session_id = SessionId::new(b"id").unwrap();
    ServerHello { versions, session_id, auth: (max >= 7).then(auth) }
}

fn client_hello(version: u16, key: bool, proxy_server: bool, role: Option<ServiceRole>) -> ClientHello {
    ClientHello {
        version: Version(version),
        key_hash: [1; 32],
        session_key: (key && version >= 7).then_some(DhPublicKey([2; 32])),
        proxy_server: proxy_server && version >= 14,
        service: role.filter(|_| version >= 16).map(|role| ServiceHello { role, auth: auth() }),
    }
}

#[test]
fn server_hellos() {
    const CHAIN: &[u8] = b"\x02\0\x04leaf\0\x02ca\0\x03key";
    for (min, max, head, tail) in [
        (6, 6, b"\0\x06\0\x06\x02id", &b""[..]),
        (6, 18, b"\0\x06\0\x12\x02id", CHAIN),
        (7, 7, b"\0\x07\0\x07\x02id", CHAIN),
    ] {
        let hello = server_hello(min, max);
        let bytes = encoded(|out| hello.encode(out));
        assert_eq!(bytes, [head, tail].concat());
        assert_eq!(ServerHello::decode(&bytes), Ok(hello));
        for cut in 0..bytes.len() {
            assert_eq!(ServerHello::decode(&bytes.slice(..cut)), Err(DecodeError));
        }
    }
    assert_eq!(ServerHello::decode(&Bytes::from_static(b"\0\x07\0\x06\x02id")), Err(DecodeError));
}

#[test]
fn client_hellos_of_every_version() {
    let roles = [None, Some(ServiceRole::Messaging), Some(ServiceRole::Notifier), Some(ServiceRole::Proxy)];
    for version in 6..=20 {
        for (key, proxy_server) in [(false, false), (false, true), (true, false), (true, true)] {
            for role in roles {
                let hello = client_hello(version, key, proxy_server, role);
                let bytes = encoded(|out| hello.encode(out));
                assert_eq!(ClientHello::decode(&bytes).as_ref(), Ok(&hello));
                let more = [&bytes[..], b"more"].concat().into();
                assert_eq!(ClientHello::decode(&more), Ok(hello));
                check_cuts(version, &bytes);
            }
        }
    }
}

/// A hello cut short is refused, unless the cut takes away only the key, which is as if the client had none.
fn check_cuts(version: u16, bytes: &Bytes) {
    const WITHOUT_KEY: usize = 35;
    for cut in 0..bytes.len() {
        let read = ClientHello::decode(&bytes.slice(..cut));
        let key_was_cut = (7..14).contains(&version) && cut >= WITHOUT_KEY;
        assert_eq!(read.is_ok(), key_was_cut, "version {version}, {cut} bytes");
        assert!(read.map_or(true, |hello| hello.session_key.is_none()));
    }
}

#[test]
fn bytes_of_client_hellos() {
    let head = [&[0, 20, 32][..], &[1; 32]].concat();
    let key = [&b"\x2c\x30\x2a\x30\x05\x06\x03\x2b\x65\x6e\x03\x21\x00"[..], &[2; 32]].concat();
    for (hello, tail) in [
        (client_hello(20, false, false, None), b"F0".to_vec()),
        (client_hello(20, true, true, None), [&key[..], b"T0"].concat()),
        (
            client_hello(20, true, false, Some(ServiceRole::Notifier)),
            [&key[..], b"F1N\x02\0\x04leaf\0\x02ca\0\x03key"].concat(),
        ),
    ] {
        assert_eq!(encoded(|out| hello.encode(out)), [&head[..], &tail].concat());
    }
    for tail in [&b""[..], b"F", b"F2", b"X0", b"\x2cF0", b"F1X\x02\0\x04leaf\0\x02ca\0\x03key"] {
        assert_eq!(ClientHello::decode(&[&head[..], tail].concat().into()), Err(DecodeError));
    }
    assert_eq!(ClientHello::decode(&[&[0, 6, 31][..], &[1; 31]].concat().into()), Err(DecodeError));
}

#[test]
fn when_blocks_are_encrypted() {
    for (version, key, proxy_server, encrypts) in [
        (10, true, false, false),
        (11, true, false, true),
        (11, false, false, false),
        (20, true, true, false),
        (20, true, false, true),
    ] {
        assert_eq!(client_hello(version, key, proxy_server, None).encrypts_blocks(), encrypts);
    }
}

#[test]
fn service_responses() {
    for (response, bytes) in [
        (ServiceResponse::Accepted(EntityId::new(b"id").unwrap()), &b"R\x02id"[..]),
        (ServiceResponse::Refused(TransportError::Version), b"EVERSION"),
        (
            ServiceResponse::Refused(TransportError::Handshake(HandshakeError::BadService)),
            b"EHANDSHAKE BAD_SERVICE",
        ),
    ] {
        assert_eq!(encoded(|out| response.encode(out)), bytes);
        assert_eq!(ServiceResponse::decode(&Bytes::from_static(bytes)), Ok(response));
        for cut in 0..bytes.len() {
            assert_eq!(ServiceResponse::decode(&Bytes::from_static(&bytes[..cut])), Err(DecodeError));
        }
    }
    for bytes in [&b"X"[..], b"r\x02id", b"E", b"EOTHER"] {
        assert_eq!(ServiceResponse::decode(&Bytes::from_static(bytes)), Err(DecodeError));
    }
}

#[test]
fn nothing_secret_is_shown() {
    let shown =
        format!("{:?} {:?}", server_hello(6, 20), client_hello(20, true, false, Some(ServiceRole::Proxy)));
    assert!(!["leaf", "key\"", "[1, 1", "[2, 2"].iter().any(|part| shown.contains(part)), "{shown}");
}

quickcheck! {
    fn any_bytes_are_read_as_what_they_are_or_refused(head: (u16, u16), tail: Vec<u8>) -> bool {
        let versions = [head.0 % 24, head.1 % 24].map(u16::to_be_bytes).concat();
        let server: Bytes = [&versions[..], &tail].concat().into();
        let client: Bytes = [&versions[..2], &[32], &[1; 32], &tail].concat().into();
        ServerHello::decode(&server)
            .map_or(true, |hello| server.starts_with(&encoded(|out| hello.encode(out))))
            && ClientHello::decode(&client)
                .map_or(true, |hello| client.starts_with(&encoded(|out| hello.encode(out))))
            && ServiceResponse::decode(&tail.into()).map_or(true, |response| {
                ServiceResponse::decode(&encoded(|out| response.encode(out))) == Ok(response)
            })
    }
}
