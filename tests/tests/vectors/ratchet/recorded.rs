//! States that the reference recorded: JSON with bytes in base64url.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::Value;
use smp_core::crypto::kem::{KemCiphertext, KemPrivateKey, KemPublicKey, KemSecret};
use smp_core::crypto::ratchet::{
    ChainKey, FreshKeys, HeaderKey, Ratchet, RatchetKey, RatchetParts, ReceivingChain, RootKey, SendingChain,
};
use smp_core::wire::Version;
use smp_core::wire::codec::{decode_all, put_short};
use smp_tests::vectors::Fields;

use crate::encoded;

/// The recorded state of one side.
#[derive(Clone, Copy)]
pub(super) struct Recorded<'a>(pub(super) &'a Value);

impl Recorded<'_> {
    /// A ratchet in this state.
    pub(super) fn ratchet<K: RatchetKey>(self) -> Ratchet<K> {
        let state = self.0;
        let versions = state.items("rcVersion");
        let version =
            |at: usize| Version(u16::try_from(versions[at].as_u64().expect("a version")).expect("u16"));
        let kem = state.get("rcKEM");
        Ratchet::from_parts(RatchetParts {
            version: version(0),
            max_version: version(1),
            associated_data: bytes(state, "rcAD"),
            root: RootKey::new(key(state, "rcRK")),
            key: K::from_der(&base64(&String::from_utf8(bytes(state, "rcDHRs")).expect("text")))
                .expect("a key"),
            kem: kem.map(kem_pair),
            sending: state.get("rcSnd").map(|chain| SendingChain {
                chain: ChainKey::new(key(chain, "rcCKs")),
                header: HeaderKey::new(key(chain, "rcHKs")),
                theirs: public::<K>(&bytes(chain, "rcDHRr")),
                ciphertext: kem.and_then(|kem| kem.get("rcKEMs")).map(ciphertext),
            }),
            receiving: state.get("rcRcv").map(|chain| ReceivingChain {
                chain: ChainKey::new(key(chain, "rcCKr")),
                header: HeaderKey::new(key(chain, "rcHKr")),
            }),
            next_sending_header: HeaderKey::new(key(state, "rcNHKs")),
            next_receiving_header: HeaderKey::new(key(state, "rcNHKr")),
            sent: count(state, "rcNs"),
            received: count(state, "rcNr"),
            previous: count(state, "rcPN"),
            pq_supported: flag(state, "rcSupportKEM"),
            pq_enabled: flag(state, "rcEnableKEM"),
            pq_sending: flag(state, "rcSndKEM"),
            pq_receiving: flag(state, "rcRcvKEM"),
        })
    }

    /// The state for storage, which has all of it.
    pub(super) fn bytes<K: RatchetKey>(self) -> Vec<u8> {
        self.ratchet::<K>().to_bytes().to_vec()
    }
}

/// What led to a recorded state was drawn at random then; now it is taken from there.
impl<K: RatchetKey> FreshKeys<K> for Recorded<'_> {
    fn key(&mut self) -> K {
        self.ratchet::<K>().parts().key.clone()
    }

    fn kem_key(&mut self) -> KemPrivateKey {
        kem_pair(self.0.field("rcKEM"))
    }

    fn encapsulate(&mut self, theirs: &KemPublicKey) -> (KemCiphertext, KemSecret) {
        let sent = self.0.field("rcKEM").field("rcKEMs");
        assert_eq!(theirs.as_bytes(), bytes(sent, "rcPQRr"), "the key to encapsulate to");
        (ciphertext(sent), KemSecret::new(key(sent, "rcPQRss")))
    }
}

fn kem_pair(kem: &Value) -> KemPrivateKey {
    let [public, private] = kem.items("rcPQRs") else { panic!("rcPQRs: not a pair") };
    let [public, private] = [public, private].map(|key| base64(key.as_str().expect("text")));
    let key = KemPrivateKey::from_bytes(&private).expect("a KEM key");
    assert_eq!(key.public().as_bytes(), public);
    key
}

fn ciphertext(sent: &Value) -> KemCiphertext {
    KemCiphertext::new(&bytes(sent, "rcPQRct")).expect("a ciphertext")
}

/// The public key of this DER form.
pub(super) fn public<K: RatchetKey>(der: &[u8]) -> K::Public {
    decode_all(&encoded(|out| put_short(out, der)).into(), K::decode).expect("a public key")
}

fn key(value: &Value, name: &str) -> [u8; 32] {
    bytes(value, name).try_into().unwrap_or_else(|_| panic!("{name}: not 32 bytes"))
}

fn bytes(value: &Value, name: &str) -> Vec<u8> {
    base64(value.text(name))
}

fn base64(text: &str) -> Vec<u8> {
    URL_SAFE.decode(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn count(value: &Value, name: &str) -> u32 {
    u32::try_from(value.number(name)).expect("u32")
}

fn flag(value: &Value, name: &str) -> bool {
    value.field(name).as_bool().unwrap_or_else(|| panic!("{name}: not a flag"))
}
