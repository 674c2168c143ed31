//! Forms of server addresses.

use quickcheck::quickcheck;

use super::super::codec::decode_all;
use super::*;

const HASH: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

fn server(hosts: &[&str], port: Option<u16>) -> ServerAddress {
    let hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
    ServerAddress::new(hosts, port, [1; 32]).unwrap()
}

fn encoded(address: &ServerAddress) -> Vec<u8> {
    let mut out = Vec::new();
    address.encode(&mut out);
    out
}

#[test]
fn bytes_both_ways() {
    for (address, head) in [
        (server(&["a.io", "b.onion"], Some(443)), &b"\x02\x04a.io\x07b.onion\x03443\x20"[..]),
        (server(&["10.0.0.1"], None), b"\x01\x0810.0.0.1\0\x20"),
        (server(&["[::1]"], Some(0)), b"\x01\x05[::1]\x010\x20"),
    ] {
        let bytes = [head, &[1; 32]].concat();
        assert_eq!(encoded(&address), bytes);
        assert_eq!(decode_all(&bytes.clone().into(), ServerAddress::decode), Ok(address));
        for cut in 0..bytes.len() {
            assert!(decode_all(&bytes[..cut].to_vec().into(), ServerAddress::decode).is_err());
        }
    }
}

#[test]
fn bytes_of_one_host() {
    let address = server(&["a.io", "b.onion"], Some(443));
    let mut out = Vec::new();
    address.encode_single_host(&mut out);
    assert_eq!(out, [&b"\x04a.io\x03443\x20"[..], &[1; 32]].concat());
    let read = decode_all(&out.clone().into(), ServerAddress::decode_single_host);
    assert_eq!(read, Ok(server(&["a.io"], Some(443))));
    for cut in 0..out.len() {
        assert!(decode_all(&out[..cut].to_vec().into(), ServerAddress::decode_single_host).is_err());
    }
}

#[test]
fn refuses_malformed_bytes() {
    for head in [
        &b"\0\x03443\x20"[..],
        b"\x01\x04a io\0\x20",
        b"\x01\x04a.io\x0565536\x20",
        b"\x01\x04a.io\x04+443\x20",
        b"\x01\x04a.io\x040443\x20",
        b"\x01\x04a.io\x03smp\x20",
        b"\x01\x04a.io\0\x1f",
    ] {
        let bytes = [head, &[1; 32]].concat();
        assert_eq!(decode_all(&bytes.into(), ServerAddress::decode), Err(DecodeError));
    }
}

#[test]
fn text_both_ways() {
    for (text, address) in [
        (format!("smp://{HASH}@a.io"), server(&["a.io"], None)),
        (format!("smp://{HASH}@a.io:5223"), server(&["a.io"], Some(5223))),
        (format!("smp://{HASH}@a.io,b.onion:1"), server(&["a.io", "b.onion"], Some(1))),
        (format!("smp://{HASH}@[::1]"), server(&["[::1]"], None)),
        (format!("smp://{HASH}@[::1],10.0.0.1"), server(&["[::1]", "10.0.0.1"], None)),
        (
            format!("smp://{HASH}@10.0.0.1,[2001:db8::1]:443"),
            server(&["10.0.0.1", "[2001:db8::1]"], Some(443)),
        ),
    ] {
        assert_eq!(text.parse(), Ok(address.clone()));
        assert_eq!(address.to_string(), text);
    }
}

#[test]
fn text_with_scheme_and_password() {
    for (scheme, name) in [(Scheme::Smp, "smp"), (Scheme::Xftp, "xftp"), (Scheme::Ntf, "ntf")] {
        for (password, part) in [(None, ""), (Some(Password::new(b"a#1").unwrap()), ":a#1")] {
            let text = format!("{name}://{HASH}{part}@a.io:5223");
            let uri = ServerUri { scheme, server: server(&["a.io"], Some(5223)), password };
            assert_eq!(text.parse(), Ok(uri.clone()));
            assert_eq!(uri.to_string(), text);
            assert_eq!(text.parse::<ServerAddress>().is_ok(), name == "smp" && part.is_empty());
            let shown = format!("{uri:?}");
            assert!(!["a.io", "a#1", HASH].iter().any(|part| shown.contains(part)), "{shown}");
        }
    }
}

#[test]
fn malformed_text() {
    for (text, error) in [
        (String::new(), UriError::Scheme),
        (format!("http://{HASH}@a.io"), UriError::Scheme),
        (format!("smp:{HASH}@a.io"), UriError::Scheme),
        ("smp://a.io".to_owned(), UriError::KeyHash),
        ("smp://@a.io".to_owned(), UriError::KeyHash),
        (format!("smp://{}@a.io", &HASH[..43]), UriError::KeyHash),
        ("smp://1234-w==@a.io".to_owned(), UriError::KeyHash),
        (format!("smp://{HASH}:@a.io"), UriError::Password),
        (format!("smp://{HASH}:a b@a.io"), UriError::Password),
        (format!("smp://{HASH}:a:b@a.io"), UriError::Password),
        (format!("smp://{HASH}@"), UriError::Host),
        (format!("smp://{HASH}@a.io,"), UriError::Host),
        (format!("smp://{HASH}@a.io/"), UriError::Host),
        (format!("smp://{HASH}@a@b"), UriError::Host),
        (format!("smp://{HASH}@::1:443"), UriError::Host),
        (format!("smp://{HASH}@a.io:"), UriError::Port),
        (format!("smp://{HASH}@a.io:65536"), UriError::Port),
        (format!("smp://{HASH}@a.io:05223"), UriError::Port),
        (format!("smp://{HASH}@a.io:5223/"), UriError::Port),
    ] {
        assert_eq!(text.parse::<ServerUri>(), Err(error), "{text}");
    }
    assert_eq!(format!("xftp://{HASH}@a.io").parse::<ServerAddress>(), Err(UriError::Scheme));
    assert_eq!(format!("smp://{HASH}:a@a.io").parse::<ServerAddress>(), Err(UriError::Password));
}

#[test]
fn limits_of_hosts() {
    let hosts = |count| vec!["a.io".parse().unwrap(); count];
    assert!(ServerAddress::new(hosts(255), None, [0; 32]).is_ok());
    assert_eq!(ServerAddress::new(hosts(256), None, [0; 32]), Err(DecodeError));
    assert_eq!(ServerAddress::new(hosts(0), None, [0; 32]), Err(DecodeError));
}

#[test]
fn same_place_ignores_the_key() {
    let here = server(&["a.io"], None);
    let other_key = ServerAddress::new(here.hosts.clone(), None, [2; 32]).unwrap();
    assert!(here.is_same_place(&other_key) && here != other_key);
    assert!(!here.is_same_place(&server(&["a.io"], Some(5223))));
    assert!(!here.is_same_place(&server(&["a.io", "b.io"], None)));
}

#[test]
fn onion_of_a_known_single_host() {
    let with = |hosts: &[&str]| server(hosts, None).with_known_onion();
    assert_eq!(with(&["smp4.simplex.im"]).hosts.len(), 2);
    assert!(with(&["smp4.simplex.im"]).hosts[1].is_onion());
    assert_eq!(with(&["a.io"]), server(&["a.io"], None));
    assert_eq!(with(&["smp4.simplex.im", "a.io"]), server(&["smp4.simplex.im", "a.io"], None));
}

quickcheck! {
    fn any_bytes_are_read_as_what_they_are_or_refused(bytes: Vec<u8>) -> bool {
        let bytes = bytes.into();
        decode_all(&bytes, ServerAddress::decode).map_or(true, |address| {
            decode_all(&encoded(&address).into(), ServerAddress::decode) == Ok(address)
        })
    }

    fn any_text_is_read_as_what_it_is_or_refused(text: String) -> bool {
        let text = format!("smp://{HASH}{text}");
        text.parse::<ServerUri>().map_or(true, |uri| uri.to_string().parse() == Ok(uri))
    }

    fn round_trips(ipv4: Vec<u32>, ipv6: u128, port: Option<u16>, key_hash: Vec<u8>) -> bool {
        let mut hosts: Vec<_> = ipv4.into_iter().take(254).map(|bits| Host::Ipv4(bits.into())).collect();
        hosts.push(Host::Ipv6(ipv6.into()));
        let mut hash = [0; 32];
        hash.iter_mut().zip(key_hash).for_each(|(to, from)| *to = from);
        let address = ServerAddress::new(hosts, port, hash).unwrap();
        decode_all(&encoded(&address).into(), ServerAddress::decode).as_ref() == Ok(&address)
            && address.to_string().parse() == Ok(address)
    }
}
