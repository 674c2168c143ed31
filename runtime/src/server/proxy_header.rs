//! The header of the PROXY protocol, by which a proxy tells who connected to it.

use std::net::IpAddr;

use proxy_header::{Error, ParseConfig, Protocol, ProxyHeader};

/// What the beginning of a connection is.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Header {
    /// The rest has not come.
    Partial,
    /// A header of this length. Without an address the proxy speaks for itself, as for a check of health.
    Whole(Option<IpAddr>, usize),
    /// No header, or one that is too long.
    None,
}

/// Reads a header of version 1 or 2.
pub(super) fn read(bytes: &[u8]) -> Header {
    // What can never become a header is not waited for.
    if !bytes.iter().zip(TEXT).all(|(byte, known)| byte == known)
        && !bytes.iter().zip(BINARY).all(|(byte, known)| byte == known)
    {
        return Header::None;
    }
    let config = ParseConfig { include_tlvs: false, allow_v1: true, allow_v2: true };
    match ProxyHeader::parse(bytes, config) {
        Ok((_, length)) if length > HEADER_MAX => Header::None,
        Ok((header, length)) => match header.proxied_address() {
            Some(address) if address.protocol != Protocol::Stream => Header::None,
            address => Header::Whole(address.map(|address| address.source.ip()), length),
        },
        Err(Error::BufferTooShort) if bytes.len() < HEADER_MAX => Header::Partial,
        Err(_) => Header::None,
    }
}

const TEXT: &[u8] = b"PROXY ";
const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes of a header. Version 1 has at most 107 (its specification, section 2.1), version 2 as many as its extensions need,
/// of which proxies send a few hundred.
pub(super) const HEADER_MAX: usize = 2048;

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;

    use super::*;

    fn v2(command: u8, family: u8, addresses: &[u8], extensions: usize) -> Vec<u8> {
        let length = u16::try_from(addresses.len() + extensions).unwrap().to_be_bytes();
        [BINARY, &[command, family], &length, addresses, &vec![0; extensions]].concat()
    }

    const V4: [u8; 12] = [192, 0, 2, 1, 10, 0, 0, 1, 1, 2, 3, 4];

    #[test]
    fn both_versions_tell_the_address_and_where_they_end() {
        let v6 = [&[0x20, 1, 13, 0xb8][..], &[0; 11], &[7], &[0; 20]].concat();
        for (header, address) in [
            (b"PROXY TCP4 192.0.2.1 10.0.0.1 5 443\r\n".to_vec(), Some("192.0.2.1")),
            (b"PROXY TCP6 2001:db8::7 ::1 5 443\r\n".to_vec(), Some("2001:db8::7")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (v2(0x21, 0x11, &V4, 30), Some("192.0.2.1")),
            (v2(0x21, 0x21, &v6, 0), Some("2001:db8::7")),
            (v2(0x20, 0, &[], 0), None),
        ] {
            let address = address.map(|address| address.parse().unwrap());
            let bytes = [&header[..], b"\x16\x03\x01"].concat();
            assert_eq!(read(&bytes), Header::Whole(address, header.len()), "{header:?}");
            for end in 0..header.len() {
                assert_eq!(read(&header[..end]), Header::Partial, "{header:?} {end}");
            }
        }
    }

    #[test]
    fn what_is_no_header_is_not_waited_for() {
        for bytes in [
            &b"\x16\x03\x01\x02"[..],
            b"GET / HTTP/1.1\r\n",
            b"PRIXY",
            b"PROXY TCP4 a b c d\r\n",
            b"PROXY TCP4 192.0.2.1 10.0.0.1 5 443\rx",
            &v2(0x21, 0x12, &V4, 0),
            &v2(0x31, 0x11, &V4, 0),
            &v2(0x21, 0x11, &V4, HEADER_MAX),
            &v2(0x21, 0x11, &V4, 60_000)[..HEADER_MAX],
        ] {
            assert_eq!(read(bytes), Header::None, "{:?}", &bytes[..bytes.len().min(40)]);
        }
    }

    quickcheck! {
        /// Of any bytes behind a beginning, a header is a part that is read alike without the rest.
        fn any_bytes_are_read(is_text: bool, rest: Vec<u8>) -> bool {
            let bytes = [if is_text { TEXT } else { BINARY }, &rest].concat();
            match read(&bytes) {
                Header::Whole(address, length) => read(&bytes[..length]) == Header::Whole(address, length),
                Header::Partial => bytes.len() < HEADER_MAX,
                Header::None => true,
            }
        }
    }
}
