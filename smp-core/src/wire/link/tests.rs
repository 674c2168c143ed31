//! Forms of links.

use quickcheck::quickcheck;

use super::super::codec::decode_all;
use super::super::text::to_base64url;
use super::super::{
    DhPublicKey, EntityId, QueueAddress, QueueMode, QueueUri, ServerAddress, UriError, Version, VersionRange,
    X448PublicKey,
};
use super::*;

const HASH: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
const KEY: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI";

fn bytes_of(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out);
    out
}

fn server(hosts: &[&str], port: Option<u16>) -> ServerAddress {
    ServerAddress::new(hosts.iter().map(|host| host.parse().unwrap()).collect(), port, [1; 32]).unwrap()
}

fn invitation(server: impl Into<LinkServer>) -> ShortLink {
    let kind = LinkKind::Invitation(EntityId::new(b"id!").unwrap());
    ShortLink { kind, server: server.into(), key: LinkKey::new([2; 32]) }
}

fn contact(kind: ContactKind, server: impl Into<LinkServer>) -> ShortLink {
    ShortLink { kind: LinkKind::Contact(kind), ..invitation(server) }
}

fn versions(min: u16, max: u16) -> VersionRange {
    VersionRange::new(Version(min), Version(max)).unwrap()
}

fn queue(mode: Option<QueueMode>) -> QueueUri {
    let address = QueueAddress {
        server: server(&["a.io"], None),
        sender_id: [3; 24].into(),
        dh_key: DhPublicKey([4; 32]),
        mode,
    };
    QueueUri { versions: versions(1, 4), address }
}

fn keys(kem: bool) -> RatchetKeys {
    RatchetKeys {
        versions: versions(2, 3),
        first: X448PublicKey([5; 56]),
        second: X448PublicKey([6; 56]),
        kem: kem.then(|| KemPublicKey::new(&[7; 1158]).unwrap()),
    }
}

fn request(mode: Option<QueueMode>, ratchet: Option<RatchetKeys>) -> ConnectionRequest {
    ConnectionRequest::new(versions(2, 7), vec![queue(mode)], ratchet).unwrap()
}

#[test]
fn short_links_as_text_both_ways() {
    let one = || server(&["a.io"], Some(443));
    let two = || server(&["a.io", "[::1]"], None);
    for (link, simplex, https) in [
        (
            invitation(one()),
            format!("simplex:/i#aWQh/{KEY}?h=a.io&p=443&c={HASH}"),
            format!("https://a.io/i#aWQh/{KEY}?p=443&c={HASH}"),
        ),
        (
            contact(ContactKind::Contact, two()),
            format!("simplex:/a#{KEY}?h=a.io%2C%5B%3A%3A1%5D&c={HASH}"),
            format!("https://a.io/a#{KEY}?h=%5B%3A%3A1%5D&c={HASH}"),
        ),
        (
            contact(ContactKind::Channel, LinkServer::from(one()).shortened(&[one()])),
            format!("simplex:/c#{KEY}?h=a.io"),
            format!("https://a.io/c#{KEY}"),
        ),
        (
            contact(ContactKind::Group, server(&["[::1]"], None)),
            format!("simplex:/g#{KEY}?h=%5B%3A%3A1%5D&c={HASH}"),
            format!("https://[::1]/g#{KEY}?c={HASH}"),
        ),
        (
            contact(ContactKind::Relay, server(&["192.0.2.1"], None)),
            format!("simplex:/r#{KEY}?h=192.0.2.1&c={HASH}"),
            format!("https://192.0.2.1/r#{KEY}?c={HASH}"),
        ),
    ] {
        assert_eq!((link.to_string(), link.to_https()), (simplex.clone(), https.clone()));
        for text in [simplex, https] {
            assert_eq!(text.parse(), Ok(link.clone()), "{text}");
            assert_eq!(text.parse(), Ok(ConnectionLink::Short(Box::new(link.clone()))));
        }
    }
}

#[test]
fn lenient_text_of_short_links() {
    let expected = invitation(server(&["a.io", "b.onion"], Some(443)));
    for text in [
        format!("simplex:/i/#aWQh/{KEY}?c={HASH}&new=1&p=443&h=a.io,b.onion"),
        format!("simplex:/i#aWQh/{KEY}=?h=a.io,b.onion&p=443&c={HASH}="),
        format!("https://a.io/i/#aWQh/{KEY}?h=b.onion&p=443&c={HASH}%3D"),
    ] {
        assert_eq!(text.parse(), Ok(expected.clone()), "{text}");
    }
}

#[test]
fn malformed_text_of_short_links() {
    for (text, error) in [
        ("", LinkError::Scheme),
        ("http://a.io/a#KEY?h=a.io", LinkError::Scheme),
        ("smp://HASH@a.io", LinkError::Scheme),
        ("simplex:/a", LinkError::Kind),
        ("simplex:/x#KEY?h=a.io", LinkError::Kind),
        ("simplex:/a/b#KEY?h=a.io", LinkError::Kind),
        ("https://a.io#KEY", LinkError::Kind),
        ("https://a.io/more/a#KEY", LinkError::Kind),
        ("simplex:/contact#/?v=2-7&smp=", LinkError::Full),
        ("simplex:/invitation#/?v=2-7&smp=", LinkError::Full),
        ("simplex:/i#KEY?h=a.io", LinkError::LinkId),
        ("simplex:/i#/KEY?h=a.io", LinkError::LinkId),
        ("simplex:/i#a b/KEY?h=a.io", LinkError::LinkId),
        ("simplex:/i#aWQh/?h=a.io", LinkError::Key),
        ("simplex:/a#aWQh?h=a.io", LinkError::Key),
        ("simplex:/a#KEYA?h=a.io", LinkError::Key),
        ("simplex:/a#KEY?h=%ff", LinkError::Query),
        ("simplex:/a#KEY", LinkError::Host),
        ("simplex:/a#KEY?h=", LinkError::Host),
        ("simplex:/a#KEY?h=a%20b", LinkError::Host),
        ("https:///a#KEY", LinkError::Host),
        ("https://a.io:443/a#KEY", LinkError::Host),
        ("https://a.io/a#KEY?h=b,", LinkError::Host),
        ("simplex:/a#KEY?h=a.io&p=", LinkError::Port),
        ("simplex:/a#KEY?h=a.io&p=65536", LinkError::Port),
        ("simplex:/a#KEY?h=a.io&p=0443", LinkError::Port),
        ("simplex:/a#KEY?h=a.io&c=", LinkError::KeyHash),
        ("simplex:/a#KEY?h=a.io&c=aWQh", LinkError::KeyHash),
    ] {
        let text = text.replace("KEY", KEY).replace("HASH", HASH);
        assert_eq!(text.parse::<ShortLink>(), Err(error), "{text}");
        if error != LinkError::Full {
            assert_eq!(text.parse::<ConnectionLink>(), Err(error), "{text}");
        }
    }
    let hosts = vec!["a"; 256].join(",");
    assert_eq!(format!("simplex:/a#{KEY}?h={hosts}").parse::<ShortLink>(), Err(LinkError::Host));
}

#[test]
fn short_links_as_bytes_both_ways() {
    let address = [&b"\x01\x04a.io\x03443\x20"[..], &[1; 32]].concat();
    let key = [&[32][..], &[2; 32]].concat();
    for (link, bytes) in [
        (invitation(server(&["a.io"], Some(443))), [&b"I"[..], &address, b"\x03id!", &key].concat()),
        (contact(ContactKind::Group, server(&["a.io"], Some(443))), [&b"CG"[..], &address, &key].concat()),
        (
            contact(
                ContactKind::Relay,
                "https://a.io/a#KEY".replace("KEY", KEY).parse::<ShortLink>().unwrap().server,
            ),
            [&b"CR\x01\x04a.io\0\0"[..], &key].concat(),
        ),
    ] {
        assert_eq!(bytes_of(|out| link.encode(out)), bytes);
        assert_eq!(decode_all(&bytes.clone().into(), ShortLink::decode), Ok(link));
        for cut in 0..bytes.len() {
            assert_eq!(decode_all(&bytes[..cut].to_vec().into(), ShortLink::decode), Err(DecodeError));
        }
    }
    let without_id = [&b"I"[..], &address, b"\0", &key].concat();
    let short_key = [&b"CA"[..], &address, b"\x01k"].concat();
    let other_kind = [&b"CX"[..], &address, &key].concat();
    let short_hash = [&b"CA\x01\x04a.io\x03443\x01h"[..], &key].concat();
    for bytes in [without_id, short_key, other_kind, short_hash] {
        assert_eq!(decode_all(&bytes.clone().into(), ShortLink::decode), Err(DecodeError), "{bytes:?}");
    }
}

#[test]
fn servers_that_apps_know_are_shortened_and_restored() {
    let presets = [server(&["a.io", "a.onion"], None), server(&["b.io"], Some(443))];
    for known in [&presets[0], &presets[1], &server(&["a.onion"], None)] {
        let whole = LinkServer::from(known.clone());
        let short = whole.shortened(&presets);
        assert_eq!((short.hosts(), short.address()), (&known.hosts()[..1], None));
        let restored = short.restored(&presets).address();
        assert_eq!(
            restored,
            presets.iter().find(|preset| preset.hosts().contains(&known.hosts()[0])).cloned()
        );
        // What is not shortened is left as it is.
        assert!(whole.restored(&presets) == whole && short.shortened(&presets) == short);
    }
    let other_hash = ServerAddress::new(vec!["a.io".parse().unwrap()], None, [9; 32]).unwrap();
    let others =
        [server(&["c.io"], None), server(&["a.io"], Some(443)), server(&["a.io", "x.io"], None), other_hash];
    for other in others {
        let whole = LinkServer::from(other.clone());
        assert!(whole.shortened(&presets) == whole && whole.shortened(&[]) == whole);
        assert_eq!(whole.address(), Some(other));
    }
    let unknown = LinkServer::from(server(&["c.io"], None)).shortened(&[server(&["c.io"], None)]);
    assert_eq!(unknown.restored(&presets).address(), None);
}

#[test]
fn full_links_as_text_both_ways() {
    let escaped = |text: &str| {
        let reserved = [('%', "%25"), (':', "%3A"), ('/', "%2F"), ('=', "%3D"), ('@', "%40"), ('#', "%23")];
        let more = [('?', "%3F"), ('&', "%26"), (',', "%2C"), (';', "%3B")];
        reserved.into_iter().chain(more).fold(text.to_owned(), |text, (c, escape)| text.replace(c, escape))
    };
    let data = || r#"{"a": 1}"#.to_owned();
    for (request, start, end) in [
        (request(Some(QueueMode::Contact), None), "contact#/?v=2-7&smp=", String::new()),
        (
            request(Some(QueueMode::Messaging), Some(keys(false))),
            "invitation#/?v=2-7&smp=",
            format!("&e2e={}", escaped(&keys(false).to_string())),
        ),
        (
            request(None, Some(keys(true))).with_client_data(data()).unwrap(),
            "invitation#/?v=2-7&smp=",
            format!("&e2e={}&data=%7B%22a%22%3A%201%7D", escaped(&keys(true).to_string())),
        ),
        (
            request(None, None).with_client_data(data()).unwrap(),
            "contact#/?v=2-7&smp=",
            "&data=%7B%22a%22%3A%201%7D".to_owned(),
        ),
    ] {
        let rest = format!("{start}{}{end}", escaped(&request.queues()[0].to_string()));
        let site: Host = "simplex.chat".parse().unwrap();
        assert_eq!(request.to_string(), format!("simplex:/{rest}"));
        assert_eq!(request.to_https(&site), format!("https://simplex.chat/{rest}"));
        let rest_with_slash = rest.replacen("#", "/#", 1);
        for text in [format!("simplex:/{rest}"), format!("https://any.example:8443/{rest_with_slash}")] {
            assert_eq!(text.parse(), Ok(request.clone()), "{text}");
            assert_eq!(text.parse(), Ok(ConnectionLink::Full(Box::new(request.clone()))));
        }
    }
}

#[test]
fn several_queues_and_old_versions() {
    let queues = vec![queue(Some(QueueMode::Messaging)), queue(None)];
    let request = ConnectionRequest::new(versions(2, 7), queues, Some(keys(false))).unwrap();
    assert_eq!(request.to_string().parse(), Ok(request.clone()));
    assert_eq!(request.mode(), ConnectionMode::Invitation);
    // Contact addresses that say version 1 mean 2.
    for (written, read) in [("1", versions(2, 2)), ("1-4", versions(2, 4)), ("3-4", versions(3, 4))] {
        let text = self::request(None, None).to_string().replace("v=2-7", &format!("v={written}"));
        assert_eq!(text.parse::<ConnectionRequest>().map(|request| request.versions), Ok(read), "{text}");
    }
    let text = request.to_string().replace("v=2-7", "v=1");
    assert_eq!(text.parse::<ConnectionRequest>().map(|request| request.versions), Ok(versions(1, 1)));
}

#[test]
fn malformed_text_of_full_links() {
    let good = request(None, Some(keys(false))).to_string();
    let queue = "smp%3A%2F%2F";
    for (from, to, error) in [
        ("simplex:", "other:", LinkError::Scheme),
        ("invitation#", "other#", LinkError::Kind),
        ("invitation#", "i#", LinkError::Short),
        ("#/?", "#", LinkError::Versions),
        ("v=2-7", "v=7-2", LinkError::Versions),
        ("v=2-7&", "", LinkError::Versions),
        ("v=2-7", "v=2-7&x=%ff", LinkError::Query),
        ("&smp=", "&other=", LinkError::Queue(UriError::DhKey)),
        (queue, "xftp%3A%2F%2F", LinkError::Queue(UriError::Scheme)),
        ("&e2e=", "%3B&e2e=", LinkError::Queue(UriError::DhKey)),
        ("&e2e=", "&other=", LinkError::RatchetKeys),
        ("&e2e=v%3D2-3%26", "&e2e=", LinkError::RatchetKeys),
        ("x3dh%3D", "x3dh%3D%2C", LinkError::RatchetKeys),
        ("x3dh%3D", "kem_key%3DAAAA%26x3dh%3D", LinkError::RatchetKeys),
        ("x3dh%3D", "kem_ct%3DAAAA%26x3dh%3D", LinkError::RatchetKeys),
    ] {
        assert!(good.contains(from), "{from}");
        let text = good.replacen(from, to, 1);
        assert_eq!(text.parse::<ConnectionRequest>(), Err(error), "{text}");
    }
    let long = format!("{good}&data={}", "d".repeat(65536));
    assert_eq!(long.parse::<ConnectionRequest>(), Err(LinkError::ClientData));
    assert!(long[..long.len() - 1].parse::<ConnectionRequest>().is_ok());
    let many = vec![self::queue(None); 256];
    assert_eq!(ConnectionRequest::new(versions(2, 7), many, None), Err(DecodeError));
    assert_eq!(ConnectionRequest::new(versions(2, 7), vec![], None), Err(DecodeError));
}

#[test]
fn full_links_as_bytes_both_ways() {
    let contact = Some(QueueMode::Contact);
    for request in [
        request(contact, None),
        request(Some(QueueMode::Messaging), Some(keys(false))),
        request(contact, Some(keys(true))).with_client_data("data".into()).unwrap(),
    ] {
        let bytes = bytes_of(|out| request.encode(out));
        let decode = |bytes: &[u8]| decode_all(&bytes.to_vec().into(), ConnectionRequest::decode);
        assert_eq!(decode(&bytes), Ok(request));
        for cut in 0..bytes.len() {
            assert_eq!(decode(&bytes[..cut]), Err(DecodeError), "{cut} bytes");
        }
        assert_eq!(decode(&[&b"X"[..], &bytes[1..]].concat()), Err(DecodeError));
    }
    let read = |request: ConnectionRequest| {
        decode_all(&bytes_of(|out| request.encode(out)).into(), ConnectionRequest::decode).unwrap()
    };
    assert_eq!(read(request(None, None)), request(contact, None), "no mode is that of a contact queue");
    let not_text = bytes_of(|out| request(contact, None).with_client_data("ab".into()).unwrap().encode(out));
    let not_text = [&not_text[..not_text.len() - 1], &[0xff]].concat();
    assert_eq!(decode_all(&not_text.into(), ConnectionRequest::decode), Err(DecodeError));
    // An answer to a proposal of a KEM key is not for invitations, and neither is a key of another length.
    let bytes = bytes_of(|out| keys(true).encode(out));
    let tag = bytes.len() - 1158 - 3;
    assert_eq!(bytes[tag], b'P');
    let accepted = [&bytes[..tag], b"A", &bytes[tag + 1..]].concat();
    let longer = [&bytes[..tag], b"P\x04\x87\0", &bytes[tag + 3..]].concat();
    for bytes in [accepted, longer] {
        assert_eq!(decode_all(&bytes.into(), RatchetKeys::decode), Err(DecodeError));
    }
}

#[test]
fn the_keys_of_one_side_are_read_as_they_are_written() {
    let key = || KemPublicKey::new(&[7; 1158]).unwrap();
    let accepted = KemParameters::Accepted(KemCiphertext::new(&[8; 1039]).unwrap(), key());
    let read = |bytes: &[u8]| decode_all(&bytes.to_vec().into(), E2eParameters::decode);
    for (version, kem) in
        [(2, None), (3, None), (3, Some(KemParameters::Proposed(key()))), (4, Some(accepted.clone()))]
    {
        let [first, second] = [[1; 56], [2; 56]].map(X448PublicKey);
        let keys = E2eParameters { version: Version(version), first, second, kem };
        let bytes = bytes_of(|out| keys.encode(out));
        assert_eq!(read(&bytes), Ok(keys));
        for cut in 0..bytes.len() {
            assert_eq!(read(&bytes[..cut]), Err(DecodeError), "{cut} bytes");
        }
    }
    let [first, second] = [[1; 56], [2; 56]].map(X448PublicKey);
    let old = E2eParameters { version: Version(2), first, second, kem: Some(accepted) };
    assert_eq!(read(&bytes_of(|out| old.encode(out))), Ok(E2eParameters { kem: None, ..old }));
    let link = keys(true);
    let versions = [1, 2, 3, 4].map(|version| link.for_version(Version(version)));
    assert!(versions[0].is_err() && versions[3].is_err());
    assert!(versions[1].as_ref().is_ok_and(|keys| keys.kem.is_none() && keys.second == link.second));
    assert!(versions[2].as_ref().is_ok_and(|keys| keys.kem == Some(KemParameters::Proposed(key()))));
    assert!(KemCiphertext::new(&[8; 1038]).is_err() && KemPublicKey::new(&[8; 1159]).is_err());
}

#[test]
fn nothing_secret_is_shown() {
    let short = format!("{:?}", invitation(server(&["a.io"], None)));
    let full = format!("{:?}", request(None, Some(keys(true))));
    assert_eq!(short, "ShortLink { kind: Invitation(EntityId(3 bytes)), .. }");
    assert_eq!(full, "ConnectionRequest(Invitation, 1 queues)");
    let key = to_base64url(&[2; 32]);
    assert!(
        ![short, full]
            .iter()
            .any(|shown| ["a.io", "id!", key.as_str()].iter().any(|part| shown.contains(part)))
    );
}

quickcheck! {
    fn any_text_is_read_as_what_it_is_or_refused(text: String) -> bool {
        let key = "simplex:/a#KEY?".replace("KEY", KEY);
        let full = request(None, Some(keys(false))).to_string();
        ["simplex:/", "https://", "simplex:/i#", &key, "simplex:/contact#/?", &full].iter().all(|start| {
            let text = format!("{start}{text}");
            match text.parse::<ConnectionLink>() {
                Ok(ConnectionLink::Short(link)) => {
                    link.to_string().parse() == Ok(*link.clone()) && link.to_https().parse() == Ok(*link)
                }
                Ok(ConnectionLink::Full(request)) => request.to_string().parse() == Ok(*request),
                Err(_) => true,
            }
        })
    }

    fn any_bytes_are_read_as_what_they_are_or_refused(tail: Vec<u8>, cut: usize) -> bool {
        let short = bytes_of(|out| invitation(server(&["a.io"], None)).encode(out));
        let full = bytes_of(|out| request(None, Some(keys(false))).encode(out));
        let glue = |head: &[u8]| [&head[..cut % head.len()], &tail].concat().into();
        let short = decode_all(&glue(&short), ShortLink::decode).map_or(true, |link| {
            decode_all(&bytes_of(|out| link.encode(out)).into(), ShortLink::decode) == Ok(link)
        });
        let full = decode_all(&glue(&full), ConnectionRequest::decode).map_or(true, |request| {
            decode_all(&bytes_of(|out| request.encode(out)).into(), ConnectionRequest::decode).is_ok()
        });
        short && full
    }

    fn short_links_round_trip(id: Vec<u8>, hosts: Vec<u32>, port: Option<u16>, kind: u8, whole: bool) -> bool {
        let hosts: Vec<_> = hosts.into_iter().take(254).map(|bits| Host::Ipv4(bits.into())).collect();
        let hosts = [hosts, vec!["b.onion".parse().unwrap()]].concat();
        let server = ServerAddress::new(hosts, port, [8; 32]).unwrap();
        let presets = if whole { vec![] } else { vec![server.clone()] };
        let server = LinkServer::from(server).shortened(&presets);
        let id = [&[1][..], &id].concat();
        let link = match kind % 5 {
            0 => {
                let id = EntityId::new(&id[..id.len().min(255)]).unwrap();
                ShortLink { kind: LinkKind::Invitation(id), ..invitation(server) }
            }
            1 => contact(ContactKind::Contact, server),
            2 => contact(ContactKind::Channel, server),
            3 => contact(ContactKind::Group, server),
            _ => contact(ContactKind::Relay, server),
        };
        let bytes = bytes_of(|out| link.encode(out)).into();
        link.to_string().parse() == Ok(link.clone())
            && link.to_https().parse() == Ok(link.clone())
            && decode_all(&bytes, ShortLink::decode) == Ok(link)
    }

    fn client_data_round_trip(data: String, messaging: bool) -> bool {
        let ratchet = messaging.then(|| keys(true));
        let mode = QueueMode::from_sender_can_secure(messaging);
        let request = request(Some(mode), ratchet).with_client_data(data).unwrap();
        let bytes = bytes_of(|out| request.encode(out)).into();
        request.to_string().parse() == Ok(request.clone())
            && decode_all(&bytes, ConnectionRequest::decode) == Ok(request)
    }
}
