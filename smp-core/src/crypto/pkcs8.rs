//! Private keys in DER (RFC 8410 section 7): the raw key in an OCTET STRING, inside PKCS #8.
//!
//! Written in the shortest form: version 0, no attributes, no public key. The forms of RFC 5958 that other
//! tools write, with attributes or a public key behind the private one, are read too.

use nom::bytes::complete::{tag, take};
use nom::combinator::{all_consuming, opt, verify};
use nom::number::complete::{be_u8, be_u16};
use nom::{IResult, Parser};
use zeroize::Zeroizing;

use super::CryptoError;

/// The last byte of the algorithm's object identifier, 1.3.101.x.
#[derive(Clone, Copy)]
pub(super) enum Algorithm {
    X25519 = 110,
    X448 = 111,
    Ed25519 = 112,
    Ed448 = 113,
}

/// The DER form of the raw key `raw`, of at most 57 bytes.
pub(super) fn encode(algorithm: Algorithm, raw: &[u8]) -> Zeroizing<Vec<u8>> {
    debug_assert!(raw.len() <= 57, "no algorithm here has a longer key");
    // Exact, because a vector that grows leaves an unwiped copy behind.
    let mut der = Zeroizing::new(Vec::with_capacity(raw.len() + 16));
    let length = u8::try_from(raw.len()).unwrap_or(u8::MAX);
    der.extend_from_slice(&[SEQUENCE, length + 14, INTEGER, 1, 0]);
    der.extend_from_slice(&algorithm_identifier(algorithm));
    der.extend_from_slice(&[OCTET_STRING, length + 2, OCTET_STRING, length]);
    der.extend_from_slice(raw);
    der
}

/// The raw key of `N` bytes that `der` holds.
pub(super) fn decode<const N: usize>(
    algorithm: Algorithm,
    der: &[u8],
) -> Result<Zeroizing<[u8; N]>, CryptoError> {
    let (_, raw) = private_key_info(algorithm, der).map_err(|_| CryptoError::Key)?;
    raw.try_into().map(Zeroizing::new).map_err(|_| CryptoError::Key)
}

fn private_key_info(algorithm: Algorithm, der: &[u8]) -> IResult<&[u8], &[u8]> {
    let (_, content) = all_consuming(element(SEQUENCE)).parse(der)?;
    let (rest, _) = verify(element(INTEGER), |version: &[u8]| matches!(version, [0 | 1])).parse(content)?;
    let (rest, _) = tag(&algorithm_identifier(algorithm)[..])(rest)?;
    let (rest, key) = element(OCTET_STRING).parse(rest)?;
    all_consuming((opt(element(ATTRIBUTES)), opt(element(PUBLIC_KEY)))).parse(rest)?;
    all_consuming(element(OCTET_STRING)).parse(key)
}

/// The content of one DER element with this tag.
fn element<'a>(
    expected: u8,
) -> impl Parser<&'a [u8], Output = &'a [u8], Error = nom::error::Error<&'a [u8]>> {
    move |input: &'a [u8]| {
        let (rest, _) = verify(be_u8, |found| *found == expected).parse(input)?;
        let (rest, length) = length(rest)?;
        take(length)(rest)
    }
}

/// A DER length below 64 KiB, in its only form.
fn length(input: &[u8]) -> IResult<&[u8], u16> {
    let (rest, first) = be_u8(input)?;
    match first {
        0x81 => verify(be_u8.map(u16::from), |length| *length > 0x7f).parse(rest),
        0x82 => verify(be_u16, |length| *length > 0xff).parse(rest),
        _ => verify(be_u8.map(u16::from), |length| *length <= 0x7f).parse(input),
    }
}

const fn algorithm_identifier(algorithm: Algorithm) -> [u8; 7] {
    [SEQUENCE, 5, 0x06, 3, 0x2b, 0x65, algorithm as u8]
}

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
/// `[0]`, constructed.
const ATTRIBUTES: u8 = 0xa0;
/// `[1]`, an implicit BIT STRING.
const PUBLIC_KEY: u8 = 0x81;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8410 section 10.3: without and with attributes and a public key.
    const SHORT: &str =
        "302e020100300506032b657004220420d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842";
    const LONG: &str = "3072020101300506032b657004220420d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842\
                        a01f301d060a2a864886f70d01090914310f0c0d437572646c6520436861697273\
                        81210019bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";

    fn unhex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
    }

    #[test]
    fn reads_both_forms_and_writes_the_short_one() {
        let [short, long] = [SHORT, LONG].map(unhex);
        let raw = decode::<32>(Algorithm::Ed25519, &short).unwrap();
        assert_eq!(raw[..], short[16..]);
        assert_eq!(*decode::<32>(Algorithm::Ed25519, &long).unwrap(), *raw);
        assert_eq!(*encode(Algorithm::Ed25519, &raw[..]), short);
    }

    #[test]
    fn refuses_truncated_extended_and_changed_bytes() {
        for der in [SHORT, LONG].map(unhex) {
            for end in 0..der.len() {
                assert!(decode::<32>(Algorithm::Ed25519, &der[..end]).is_err(), "{end} bytes");
            }
            assert!(decode::<32>(Algorithm::Ed25519, &[&der[..], &[0]].concat()).is_err());
            assert!(decode::<32>(Algorithm::X25519, &der).is_err());
            assert!(decode::<31>(Algorithm::Ed25519, &der).is_err());
            // The header: sequence, version, algorithm, the two octet strings.
            for i in (0..16).filter(|&i| i != 4) {
                let mut changed = der.clone();
                changed[i] ^= 0x40;
                assert!(decode::<32>(Algorithm::Ed25519, &changed).is_err(), "byte {i}");
            }
        }
    }

    #[test]
    fn a_length_has_one_form() {
        let der = unhex(SHORT);
        for header in
            [&[0x30, 0x81, 0x2e][..], &[0x30, 0x82, 0, 0x2e], &[0x30, 0x80], &[0x30, 0x83, 0, 0, 0x2e]]
        {
            assert!(decode::<32>(Algorithm::Ed25519, &[header, &der[2..]].concat()).is_err());
        }
    }

    #[test]
    fn a_length_of_two_bytes_is_read() {
        // The public key of Ed448 takes the sequence over 127 bytes.
        let mut content = vec![INTEGER, 1, 1];
        content.extend(algorithm_identifier(Algorithm::Ed448));
        content.extend([OCTET_STRING, 59, OCTET_STRING, 57]);
        content.extend([7; 57]);
        content.extend([PUBLIC_KEY, 58, 0]);
        content.extend([9; 57]);
        let der = [&[SEQUENCE, 0x81, u8::try_from(content.len()).unwrap()], &content[..]].concat();
        assert_eq!(*decode::<57>(Algorithm::Ed448, &der).unwrap(), [7; 57]);
    }
}
