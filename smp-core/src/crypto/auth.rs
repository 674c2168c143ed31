//! Authorisation of commands, whatever the kind of key: the client's side and the server's.

use core::hint::black_box;

use zeroize::Zeroizing;

use super::authenticator::{self, AUTHENTICATOR_LEN};
use super::{CryptoError, Ed448PrivateKey, Ed25519PrivateKey, Nonce, X25519PrivateKey, ed448, ed25519};
use crate::wire::{AuthPublicKey, DhPublicKey};

/// A key that authorises commands on a queue.
#[derive(Clone)]
pub enum AuthPrivateKey {
    /// By signature.
    Ed25519(Ed25519PrivateKey),
    /// By signature.
    Ed448(Ed448PrivateKey),
    /// By authenticator, which the server cannot show to others as a proof.
    X25519(X25519PrivateKey),
}

impl AuthPrivateKey {
    /// The key in its DER form (PKCS #8, RFC 8410).
    ///
    /// # Errors
    /// For other bytes, or another algorithm.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, CryptoError> {
        Ed25519PrivateKey::from_pkcs8_der(der)
            .map(Self::Ed25519)
            .or_else(|_| X25519PrivateKey::from_pkcs8_der(der).map(Self::X25519))
            .or_else(|_| Ed448PrivateKey::from_pkcs8_der(der).map(Self::Ed448))
    }

    /// The DER form.
    #[must_use]
    pub fn to_pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        match self {
            Self::Ed25519(key) => key.to_pkcs8_der(),
            Self::Ed448(key) => key.to_pkcs8_der(),
            Self::X25519(key) => key.to_pkcs8_der(),
        }
    }

    /// The key to register with the server.
    #[must_use]
    pub fn public(&self) -> AuthPublicKey {
        match self {
            Self::Ed25519(key) => AuthPublicKey::Ed25519(key.public()),
            Self::Ed448(key) => AuthPublicKey::Ed448(key.public()),
            Self::X25519(key) => AuthPublicKey::X25519(key.public().0),
        }
    }

    /// What authorises a command: a signature of 64 or 114 bytes, or an authenticator of 80.
    ///
    /// `authorized` is the session id, correlation id, entity id and command, each as on the wire; in a
    /// service session some commands have the fingerprint of the service before them. `nonce` is the
    /// correlation id.
    ///
    /// # Errors
    /// For an X25519 key only: [`CryptoError::NoSessionKey`] when the server has none,
    /// [`CryptoError::LowOrder`] when it is a bad one.
    pub fn authorize(
        &self,
        session_key: Option<&DhPublicKey>,
        nonce: &Nonce,
        authorized: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        match self {
            Self::Ed25519(key) => Ok(key.sign(authorized).to_vec()),
            Self::Ed448(key) => Ok(key.sign(authorized).to_vec()),
            Self::X25519(key) => {
                let session_key = session_key.ok_or(CryptoError::NoSessionKey)?;
                let box_key = key.diffie_hellman(session_key)?.box_key();
                Ok(authenticator::authenticate(&box_key, nonce, authorized).to_vec())
            }
        }
    }
}

/// What came with a command to authorise it. Its length tells its kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthorizationRef<'a> {
    /// A signature of 64 bytes.
    Ed25519(&'a [u8; 64]),
    /// A signature of 114 bytes.
    Ed448(&'a [u8; 114]),
    /// An authenticator of 80 bytes.
    Authenticator(&'a [u8; AUTHENTICATOR_LEN]),
}

impl<'a> AuthorizationRef<'a> {
    /// The authorisation of these bytes, `None` for a length that no kind has.
    #[must_use]
    pub fn from_bytes(bytes: &'a [u8]) -> Option<Self> {
        match bytes.len() {
            64 => bytes.try_into().ok().map(Self::Ed25519),
            114 => bytes.try_into().ok().map(Self::Ed448),
            AUTHENTICATOR_LEN => bytes.try_into().ok().map(Self::Authenticator),
            _ => None,
        }
    }
}

/// True if the owner of `key` authorised the command.
///
/// Arguments are those of [`AuthPrivateKey::authorize`], but `session_key` is the private key of the server
/// in this session. The time it takes depends on the kind of the authorisation, which the sender knows, and
/// not on the kind of the key: where the two differ, the work of [`verify_dummy`] is done. Thus a stranger
/// who knows the id of a queue does not learn the kind of its key, and with [`verify_dummy`] for ids that do
/// not exist not even that it exists.
#[must_use]
pub fn verify(
    authorization: AuthorizationRef<'_>,
    key: &AuthPublicKey,
    session_key: Option<&X25519PrivateKey>,
    nonce: &Nonce,
    authorized: &[u8],
) -> bool {
    match (authorization, key) {
        (AuthorizationRef::Ed25519(signature), AuthPublicKey::Ed25519(key)) => {
            ed25519::verify(key, authorized, signature)
        }
        (AuthorizationRef::Ed448(signature), AuthPublicKey::Ed448(key)) => {
            ed448::verify(key, authorized, signature)
        }
        (AuthorizationRef::Authenticator(authenticator), AuthPublicKey::X25519(key)) => session_key
            .and_then(|session_key| session_key.diffie_hellman(&DhPublicKey(*key)).ok())
            .is_some_and(|secret| authenticator::verify(&secret.box_key(), nonce, authorized, authenticator)),
        _ => verify_dummy(authorization, session_key, nonce, authorized),
    }
}

/// Takes the time of a [`verify`] with a wrong key and returns false. For commands on queues that do not
/// exist, or that have no key.
#[must_use]
pub fn verify_dummy(
    authorization: AuthorizationRef<'_>,
    session_key: Option<&X25519PrivateKey>,
    nonce: &Nonce,
    authorized: &[u8],
) -> bool {
    let key = match authorization {
        AuthorizationRef::Ed25519(_) => &DUMMY_ED25519,
        AuthorizationRef::Ed448(_) => &DUMMY_ED448,
        AuthorizationRef::Authenticator(_) => &DUMMY_X25519,
    };
    // The result is thrown away because the private keys are known to everybody; the box keeps the compiler
    // from throwing the work away too.
    black_box(verify(authorization, black_box(key), session_key, nonce, authorized));
    false
}

/// The public key of RFC 8032 section 7.1, test 1.
const DUMMY_ED25519: AuthPublicKey = AuthPublicKey::Ed25519([
    0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e,
    0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
]);
/// The public key of RFC 8032 section 7.4, "Blank".
const DUMMY_ED448: AuthPublicKey = AuthPublicKey::Ed448([
    0x5f, 0xd7, 0x44, 0x9b, 0x59, 0xb4, 0x61, 0xfd, 0x2c, 0xe7, 0x87, 0xec, 0x61, 0x6a, 0xd4, 0x6a, 0x1d,
    0xa1, 0x34, 0x24, 0x85, 0xa7, 0x0e, 0x1f, 0x8a, 0x0e, 0xa7, 0x5d, 0x80, 0xe9, 0x67, 0x78, 0xed, 0xf1,
    0x24, 0x76, 0x9b, 0x46, 0xc7, 0x06, 0x1b, 0xd6, 0x78, 0x3d, 0xf1, 0xe5, 0x0f, 0x6c, 0xd1, 0xfa, 0x1a,
    0xbe, 0xaf, 0xe8, 0x25, 0x61, 0x80,
]);
/// Alice's public key of RFC 7748 section 6.1.
const DUMMY_X25519: AuthPublicKey = AuthPublicKey::X25519([
    0x85, 0x20, 0xf0, 0x09, 0x89, 0x30, 0xa7, 0x54, 0x74, 0x8b, 0x7d, 0xdc, 0xb4, 0x3e, 0xf7, 0x5a, 0x0d,
    0xbf, 0x3a, 0x0d, 0x26, 0x38, 0x1a, 0xf4, 0xeb, 0xa4, 0xa9, 0x8e, 0xaa, 0x9b, 0x4e, 0x6a,
]);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededEntropy;

    fn keys(seed: u8) -> [AuthPrivateKey; 3] {
        let mut entropy = SeededEntropy::new([seed; 32]);
        [
            AuthPrivateKey::Ed25519(Ed25519PrivateKey::generate(&mut entropy)),
            AuthPrivateKey::Ed448(Ed448PrivateKey::generate(&mut entropy)),
            AuthPrivateKey::X25519(X25519PrivateKey::generate(&mut entropy)),
        ]
    }

    #[test]
    fn only_the_right_key_verifies() {
        let session_key = X25519PrivateKey::from_bytes(&[9; 32]);
        let public = session_key.public();
        let nonce = Nonce::from_slice(b"correlation id");
        for (i, key) in keys(1).iter().enumerate() {
            let bytes = key.authorize(Some(&public), &nonce, b"authorized").unwrap();
            let authorization = AuthorizationRef::from_bytes(&bytes).unwrap();
            for (j, other) in keys(1).iter().chain(&keys(2)).enumerate() {
                let verified =
                    verify(authorization, &other.public(), Some(&session_key), &nonce, b"authorized");
                assert_eq!(verified, i == j, "{i} {j}");
            }
            assert!(!verify(authorization, &key.public(), Some(&session_key), &nonce, b"other"), "{i}");
            assert!(!verify_dummy(authorization, Some(&session_key), &nonce, b"authorized"), "{i}");
        }
    }

    #[test]
    fn a_forgery_with_the_known_key_of_the_dummy_fails() {
        // The private key of RFC 8032 section 7.1, test 1.
        let seed = [
            0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
            0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
        ];
        let key = AuthPrivateKey::Ed25519(Ed25519PrivateKey::from_bytes(&seed));
        assert_eq!(key.public(), DUMMY_ED25519);
        let nonce = Nonce::from_slice(b"");
        let bytes = key.authorize(None, &nonce, b"authorized").unwrap();
        let authorization = AuthorizationRef::from_bytes(&bytes).unwrap();
        assert!(verify(authorization, &DUMMY_ED25519, None, &nonce, b"authorized"));
        assert!(!verify_dummy(authorization, None, &nonce, b"authorized"));
        for other in keys(1) {
            assert!(!verify(authorization, &other.public(), None, &nonce, b"authorized"));
        }
    }

    #[test]
    fn the_dummies_are_keys_that_could_verify() {
        assert!(crrl::ed448::PublicKey::decode(&raw(&DUMMY_ED448)).is_some());
        assert!(ed25519_dalek::VerifyingKey::try_from(&raw(&DUMMY_ED25519)[..]).is_ok());
        let x25519 = DhPublicKey(raw(&DUMMY_X25519).try_into().unwrap());
        assert!(X25519PrivateKey::from_bytes(&[1; 32]).diffie_hellman(&x25519).is_ok());
    }

    fn raw(key: &AuthPublicKey) -> Vec<u8> {
        key.to_der().split_off(12)
    }

    #[test]
    fn an_x25519_key_needs_a_good_session_key() {
        let [_, _, key] = keys(1);
        let nonce = Nonce::from_slice(b"");
        assert_eq!(key.authorize(None, &nonce, b""), Err(CryptoError::NoSessionKey));
        assert_eq!(key.authorize(Some(&DhPublicKey([0; 32])), &nonce, b""), Err(CryptoError::LowOrder));
        let authenticator = [0; AUTHENTICATOR_LEN];
        assert!(!verify(AuthorizationRef::Authenticator(&authenticator), &key.public(), None, &nonce, b""));
    }

    #[test]
    fn other_lengths_are_no_authorization() {
        for len in 0..200 {
            let kind = AuthorizationRef::from_bytes(&[0; 200][..len]).is_some();
            assert_eq!(kind, [64, 80, 114].contains(&len), "{len}");
        }
    }

    #[test]
    fn the_der_form_keeps_the_kind() {
        for key in keys(1) {
            let der = key.to_pkcs8_der();
            let read = AuthPrivateKey::from_pkcs8_der(&der).ok().unwrap();
            assert_eq!(read.public(), key.public());
            assert_eq!(read.to_pkcs8_der(), der);
        }
        assert!(AuthPrivateKey::from_pkcs8_der(&[]).is_err());
    }
}
