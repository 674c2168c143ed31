//! Forms of queue addresses.

use quickcheck::quickcheck;

use super::super::codec::{DecodeError, decode_all};
use super::*;

const HASH: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const KEY: &str = "MCowBQYDK2VuAyEAAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
const KEY_ESCAPED: &str = "MCowBQYDK2VuAyEAAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI%3D";
const MODES_OR_NONE: [Option<QueueMode>; 3] = [None, Some(QueueMode::Messaging), Some(QueueMode::Contact)];

fn address(hosts: &[&str], mode: Option<QueueMode>) -> QueueAddress {
    let hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
    QueueAddress {
        server: ServerAddress::new(hosts, Some(443), [1; 32]).unwrap(),
        sender_id: EntityId::new(b"id!").unwrap(),
        dh_key: DhPublicKey([2; 32]),
        mode,
    }
}

fn uri(min: u16, max: u16, hosts: &[&str], mode: Option<QueueMode>) -> QueueUri {
    let versions = VersionRange::new(Version(min), Version(max)).unwrap();
    QueueUri { versions, address: address(hosts, mode) }
}

fn uri_bytes(uri: &QueueUri) -> Vec<u8> {
    let mut out = Vec::new();
    uri.encode(&mut out);
    out
}

fn info_bytes(info: &QueueInfo) -> Vec<u8> {
    let mut out = Vec::new();
    info.encode(&mut out);
    out
}

#[test]
fn text_both_ways() {
    let (messaging, contact) = (Some(QueueMode::Messaging), Some(QueueMode::Contact));
    for (uri, text) in [
        (uri(1, 4, &["a.io"], None), format!("smp://{HASH}@a.io:443/aWQh#/?v=1-4&dh={KEY_ESCAPED}")),
        (
            uri(1, 4, &["a.io", "b.onion", "[::1]"], messaging),
            format!(
                "smp://{HASH}@a.io:443/aWQh#/?v=1-4&dh={KEY_ESCAPED}&q=m&k=s&srv=b.onion%2C%5B%3A%3A1%5D"
            ),
        ),
        (
            uri(2, 4, &["a.io", "b.onion"], contact),
            format!("smp://{HASH}@a.io,b.onion:443/aWQh#/?v=2-4&dh={KEY_ESCAPED}&q=c"),
        ),
        (
            uri(4, 4, &["a.io", "b.onion"], messaging),
            format!("smp://{HASH}@a.io,b.onion:443/aWQh#/?v=4&dh={KEY_ESCAPED}&q=m"),
        ),
    ] {
        assert_eq!(uri.to_string(), text);
        assert_eq!(text.parse(), Ok(uri));
    }
}

#[test]
fn lenient_text() {
    let messaging = Some(QueueMode::Messaging);
    for (text, expected) in [
        ("/aWQh#/?srv=b.io&k=s&dh=KEY&new=1&v=1-4", uri(1, 4, &["a.io", "b.io"], messaging)),
        ("/aWQh/#/?v=1-3&dh=KEY&k=s", uri(1, 3, &["a.io"], messaging)),
        ("/aWQh#/?v=1-3&dh=KEY&k=other", uri(1, 3, &["a.io"], None)),
        ("/aWQh#/?v=1-4&dh=KEY&k=s&q=c", uri(1, 4, &["a.io"], Some(QueueMode::Contact))),
        ("/aWQh#?v=1-4&dh=KEY", uri(1, 4, &["a.io"], None)),
        ("/aWQh#KEY/?v=1-4", uri(1, 4, &["a.io"], None)),
        ("/aWQh#KEY", uri(1, 1, &["a.io"], None)),
    ] {
        let text = format!("smp://{HASH}@a.io:443{}", text.replace("KEY", KEY));
        assert_eq!(text.parse(), Ok(expected), "{text}");
    }
}

#[test]
fn known_hosts_of_version_1_gain_their_onion_name() {
    for (rest, count) in [("#KEY", 2), ("#/?v=1&dh=KEY", 2), ("#/?v=1-2&dh=KEY", 1)] {
        let text = format!("smp://{HASH}@smp8.simplex.im/aWQh{}", rest.replace("KEY", KEY));
        let uri: QueueUri = text.parse().unwrap();
        assert_eq!(uri.address.server.hosts().len(), count, "{text}");
    }
    let info = QueueInfo { version: Version(1), address: address(&["smp8.simplex.im"], None) };
    let read = decode_all(&info_bytes(&info).into(), QueueInfo::decode).unwrap();
    assert_eq!(read.address.server.hosts().len(), 2);
    assert_eq!(info_bytes(&read), info_bytes(&info));
}

#[test]
fn malformed_text() {
    let ed25519 = to_base64url(&super::super::AuthPublicKey::Ed25519([2; 32]).to_der());
    for (text, error) in [
        ("@a.io/aWQh", UriError::DhKey),
        ("@a.io/aWQh#", UriError::DhKey),
        ("@a.io/aWQh#/?v=1-4", UriError::DhKey),
        ("@a.io/aWQh#/?v=1-4&dh=", UriError::DhKey),
        (&format!("@a.io/aWQh#/?v=1-4&dh={ed25519}"), UriError::DhKey),
        ("@a.io/aWQh#/?dh=KEY", UriError::Versions),
        ("@a.io/aWQh#/?v=4-1&dh=KEY", UriError::Versions),
        ("@a.io/aWQh#/?v=1-4&dh=KEY&q=x", UriError::Mode),
        ("@a.io/aWQh#/?v=1-4&dh=KEY&srv=", UriError::Host),
        ("@a.io/aWQh#/?v=1-4&dh=KEY&srv=a%20b", UriError::Host),
        ("@a.io/aWQh#/?v=1-4&dh=KEY&x=%ff", UriError::Query),
        ("@a.io/aWQ#/?v=1-4&dh=KEY", UriError::SenderId),
        ("@a.io/#/?v=1-4&dh=KEY", UriError::SenderId),
        ("@a.io#/?v=1-4&dh=KEY", UriError::SenderId),
        (":secret@a.io/aWQh#/?v=1-4&dh=KEY", UriError::Password),
        ("a.io/aWQh#/?v=1-4&dh=KEY", UriError::KeyHash),
    ] {
        let text = format!("smp://{HASH}{}", text.replace("KEY", KEY));
        assert_eq!(text.parse::<QueueUri>(), Err(error), "{text}");
    }
    let text = format!("xftp://{HASH}@a.io/aWQh#{KEY}");
    assert_eq!(text.parse::<QueueUri>(), Err(UriError::Scheme));
}

#[test]
fn trailing_modes() {
    let (messaging, contact) = (Some(QueueMode::Messaging), Some(QueueMode::Contact));
    for (min, max, mode, trailing, read) in [
        (1, 2, messaging, &b""[..], None),
        (1, 3, messaging, b"T", messaging),
        (1, 4, contact, b"", None),
        (2, 4, None, b"", None),
        (3, 3, None, b"F", contact),
        (3, 4, contact, b"F", contact),
        (3, 4, messaging, b"T", messaging),
        (4, 4, messaging, b"M", messaging),
        (4, 4, contact, b"C", contact),
        (4, 4, None, b"", None),
    ] {
        let uri = uri(min, max, &["a.io"], mode);
        let bytes = uri_bytes(&uri);
        let without = bytes.len() - trailing.len();
        assert_eq!(&bytes[without..], trailing, "{min}-{max}");
        assert_eq!(bytes[without - 1], 2, "{min}-{max}: the key is not last");
        let decoded = decode_all(&bytes.into(), QueueUri::decode).unwrap();
        assert_eq!((decoded.versions, decoded.address.mode), (uri.versions, read), "{min}-{max}");
    }
}

#[test]
fn info_bytes_both_ways() {
    for version in 1..=5 {
        for mode in MODES_OR_NONE {
            let info = QueueInfo { version: Version(version), address: address(&["a.io", "b.io"], mode) };
            let bytes = info_bytes(&info);
            let known = match (version, mode) {
                (1 | 2, _) | (3, Some(QueueMode::Contact)) => None,
                _ => mode,
            };
            let hosts: &[&str] = if version == 1 { &["a.io"] } else { &["a.io", "b.io"] };
            let expected = QueueInfo { version: Version(version), address: address(hosts, known) };
            assert_eq!(
                decode_all(&bytes.clone().into(), QueueInfo::decode),
                Ok(expected),
                "version {version}"
            );
            for cut in 0..bytes.len() - usize::from(known.is_some()) {
                let cut = decode_all(&bytes[..cut].to_vec().into(), QueueInfo::decode);
                assert_eq!(cut, Err(DecodeError), "version {version}");
            }
        }
    }
}

#[test]
fn a_letter_that_is_no_mode_is_left_to_the_caller() {
    let info = QueueInfo { version: Version(4), address: address(&["a.io"], None) };
    let bytes = [&info_bytes(&info)[..], b"x"].concat().into();
    let mut reader = Reader::new(&bytes);
    assert_eq!(QueueInfo::decode(&mut reader), Ok(info));
    assert_eq!(reader.rest(), b"x");
}

#[test]
fn agreement() {
    let uri = uri(1, 4, &["a.io"], None);
    let range = |min, max| VersionRange::new(Version(min), Version(max)).unwrap();
    assert_eq!(uri.agree(range(2, 9)).map(|info| info.version), Some(Version(4)));
    assert_eq!(uri.agree(range(1, 2)).map(|info| info.version), Some(Version(2)));
    assert_eq!(uri.agree(range(5, 6)), None);
}

#[test]
fn nothing_secret_is_shown() {
    let shown = format!("{:?}", uri(1, 4, &["a.io"], None));
    assert!(!["a.io", "id!", HASH, KEY, "[1, 1", "[2, 2"].iter().any(|part| shown.contains(part)), "{shown}");
}

quickcheck! {
    fn any_bytes_are_read_as_what_they_are_or_refused(tail: Vec<u8>) -> bool {
        let head = uri_bytes(&uri(1, 4, &["a.io"], None));
        (0..head.len()).step_by(7).all(|cut| {
            let bytes = [&head[..cut], &tail].concat().into();
            let _ = decode_all(&bytes, QueueInfo::decode);
            decode_all(&bytes, QueueUri::decode).map_or(true, |read| {
                let again = decode_all(&uri_bytes(&read).into(), QueueUri::decode);
                again.is_ok_and(|again| again.address.server == read.address.server)
            })
        })
    }

    fn any_text_is_read_as_what_it_is_or_refused(text: String) -> bool {
        [format!("smp://{HASH}@a.io/{text}"), format!("smp://{HASH}@a.io/aWQh#/?v=1-4&dh={KEY}&{text}")]
            .iter()
            .all(|text| text.parse::<QueueUri>().map_or(true, |uri| uri.to_string().parse() == Ok(uri)))
    }

    fn text_round_trip(min: u16, more: u16, hosts: Vec<u32>, port: Option<u16>, mode: Option<bool>) -> bool {
        let mut hosts: Vec<_> =
            hosts.into_iter().take(254).map(|bits| super::super::Host::Ipv4(bits.into())).collect();
        hosts.push("b.onion".parse().unwrap());
        let versions = VersionRange::new(Version(min), Version(min.saturating_add(more))).unwrap();
        let address = QueueAddress {
            server: ServerAddress::new(hosts, port, [7; 32]).unwrap(),
            sender_id: EntityId::from([9; 24]),
            dh_key: DhPublicKey([2; 32]),
            mode: mode.map(QueueMode::from_sender_can_secure),
        };
        let uri = QueueUri { versions, address };
        uri.to_string().parse() == Ok(uri)
    }
}
