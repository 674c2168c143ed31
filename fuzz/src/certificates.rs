//! Certificates and keys, as DER and as text.

use bytes::Bytes;
use smp_core::UnixTime;
use smp_core::transport::identity::{
    IdentityKey, ServerIdentity, certificates_from_pem, certificates_to_pem, fingerprint,
    identity_certificate, leaf_key, verify_client_chain, verify_server_chain,
};
use smp_core::wire::CertChain;
use smp_core::wire::codec::decode_all;

/// When the certificates of the corpus are valid.
pub const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

/// A chain as a peer sends it.
pub fn certificates(bytes: &[u8]) {
    let Ok(chain) = decode_all(&Bytes::copy_from_slice(bytes), CertChain::decode) else { return };
    let chain = chain.certificates();
    let identity = identity_certificate(chain).map(|identity| fingerprint(identity));
    let client = verify_client_chain(chain, NOW);
    if let Ok(accepted) = client {
        assert_eq!(Ok(accepted), identity, "another identity than that of the chain");
    }
    let Ok(identity) = identity else { return };
    if verify_server_chain(chain, &identity, NOW).is_ok() {
        assert_eq!(client, Ok(identity), "what a server may show, a service may show");
        assert!(leaf_key(chain).is_ok());
        let mut other = identity;
        other[0] ^= 1;
        assert!(verify_server_chain(chain, &other, NOW).is_err(), "any identity will do");
    }
}

/// Text with certificates and keys.
pub fn pem(bytes: &[u8]) {
    if let Ok(key) = IdentityKey::from_pkcs8(bytes) {
        assert_same_key(&key, IdentityKey::from_pkcs8(&key.to_pkcs8()).ok());
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let certificates = certificates_from_pem(text);
    if let Ok(certificates) = &certificates {
        assert_eq!(certificates_from_pem(&certificates_to_pem(certificates)).as_ref(), Ok(certificates));
    }
    if let Ok(key) = IdentityKey::from_pem(text) {
        assert_same_key(&key, IdentityKey::from_pem(&key.to_pem()).ok());
        if let Ok(certificates) = certificates {
            let _ = ServerIdentity::new(certificates, key, NOW);
        }
    }
}

fn assert_same_key(key: &IdentityKey, again: Option<IdentityKey>) {
    assert!(again.is_some_and(|again| again.public_key() == key.public_key()));
}
