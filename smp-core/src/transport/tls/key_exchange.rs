//! X25519 with keys from the connection's own randomness, so that the same seed gives the same handshake.

use rustls::crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{Error, NamedGroup, PeerMisbehaved};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::ambient;

/// The group.
#[derive(Debug)]
pub(super) struct X25519;

impl SupportedKxGroup for X25519 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let mut secret = Zeroizing::new([0; 32]);
        ambient::fill(&mut *secret)?;
        let secret = StaticSecret::from(*secret);
        let public = PublicKey::from(&secret);
        Ok(Box::new(Started { secret, public }))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

struct Started {
    secret: StaticSecret,
    public: PublicKey,
}

impl ActiveKeyExchange for Started {
    fn complete(self: Box<Self>, peer_key: &[u8]) -> Result<SharedSecret, Error> {
        let peer_key = <[u8; 32]>::try_from(peer_key).map_err(|_| PeerMisbehaved::InvalidKeyShare)?;
        let shared = self.secret.diffie_hellman(&PublicKey::from(peer_key));
        // A point of small order would make the secret a constant that anybody knows (RFC 8446 section 7.4.2).
        if shared.was_contributory() {
            Ok(SharedSecret::from(&shared.as_bytes()[..]))
        } else {
            Err(PeerMisbehaved::InvalidKeyShare.into())
        }
    }

    fn pub_key(&self) -> &[u8] {
        self.public.as_bytes()
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}
