//! `ratchet_headers.json`: headers of both versions and all that they can say of the KEM.

use bytes::Bytes;
use serde_json::Value;
use smp_core::crypto::X448PrivateKey;
use smp_core::crypto::ratchet::{EncryptedHeader, MessageHeader};
use smp_core::wire::codec::{DecodeError, decode_all};
use smp_core::wire::link::{KemCiphertext, KemParameters, KemPublicKey};
use smp_core::wire::{Version, X448PublicKey};
use smp_tests::vectors::Fields;

use crate::encoded;
use crate::printed::{assert_printed_up_to, bytes};

type Header = MessageHeader<X448PrivateKey>;

pub(crate) fn run(file: &Value) -> usize {
    file.items("headers").iter().for_each(|case| check(file, case));
    file.items("headers").len() + lengths(file)
}

fn check(file: &Value, case: &Value) {
    let (name, bytes) = (case.text("name"), case.hex("encoded"));
    let version = Version(u16::try_from(case.number("version")).expect("a version"));
    let decode = |bytes: Bytes| decode_all(&bytes, |reader| Header::decode(reader, version));
    let header = decode(bytes.clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert!(header.key == X448PublicKey::from_der(&file.field("dh_key").hex("public_der")).expect("a key"));
    let (kind, kem) = (name.split(' ').nth(1).expect("what it says of the KEM"), kem(file, name));
    let has_place = version >= KemParameters::SINCE;
    assert!(header.kem == kem.clone().filter(|_| has_place), "{name}: {kind}");

    let full = Header { kem, ..header };
    assert_eq!(encoded(|out| full.encode(out, version)), bytes, "{name}");
    assert_printed_up_to(400, &printed(&full), case.text("value"));
    for end in 0..bytes.len() {
        assert_eq!(decode(bytes.slice(..end)).err(), Some(DecodeError), "{name}: {end} bytes");
    }
}

fn kem(file: &Value, name: &str) -> Option<KemParameters> {
    let key = |name| KemPublicKey::new(&file.hex(name)).expect("a KEM key");
    match name.split(' ').nth(1) {
        Some("none") => None,
        Some("proposed") => Some(KemParameters::Proposed(key("kem_public"))),
        Some("accepted") => {
            let ciphertext = KemCiphertext::new(&file.hex("kem_ciphertext")).expect("a ciphertext");
            Some(KemParameters::Accepted(ciphertext, key("kem_public_2")))
        }
        _ => panic!("{name}: unknown"),
    }
}

fn printed(header: &Header) -> String {
    let key = |key: &KemPublicKey| format!("(KEMPublicKey_ {})", bytes(key.as_bytes()));
    let kem = match &header.kem {
        None => "Nothing".to_owned(),
        Some(KemParameters::Proposed(theirs)) => {
            format!("Just (ARKP SRKSProposed (RKParamsProposed {}))", key(theirs))
        }
        Some(KemParameters::Accepted(ciphertext, theirs)) => {
            let ciphertext = bytes(ciphertext.as_bytes());
            format!(
                "Just (ARKP SRKSAccepted (RKParamsAccepted (KEMCiphertext {ciphertext}) {}))",
                key(theirs)
            )
        }
    };
    format!(
        "MsgHeader {{msgMaxVersion = Version {}, msgDHRs = PublicKeyX448 (PublicKey {}), msgKEM = {kem}, \
         msgPN = {}, msgNs = {}}}",
        header.max_version,
        bytes(&header.key.0),
        header.previous,
        header.number
    )
}

/// The lengths of headers, padded and encrypted: 2 bytes of version, vector, tag, and one of length, which the reference
/// counts for all versions.
fn lengths(file: &Value) -> usize {
    let (padded, full) = (file.field("padded_header_len"), file.field("full_header_len"));
    let body = Bytes::from(vec![0; Header::PADDED_LEN]);
    let short = EncryptedHeader { version: Version(2), iv: [0; 16], tag: [0; 16], body };
    let overhead = encoded(|out| short.encode(out)).len() - Header::PADDED_LEN;
    for (name, len) in
        [("v2", Header::PADDED_LEN), ("v3_pq_off", Header::PADDED_LEN), ("v3_pq_on", Header::KEM_PADDED_LEN)]
    {
        assert_eq!(u64::try_from(len).ok(), Some(padded.number(name)));
        assert_eq!(u64::try_from(len + overhead).ok(), Some(full.number(name)));
    }
    3
}
