//! The SMP handshake: who waits for what. Each step consumes the state before it.

mod client;
mod server;

use bytes::Bytes;

use super::block::BlockCodec;
use super::identity::{IdentityKey, leaf_key, verify, verify_server_chain};
use super::{TransportFault, identity};
use crate::UnixTime;
use crate::crypto::{Ed25519PrivateKey, X25519PrivateKey};
use crate::wire::{
    CertChain, CertChainPubKey, DhPublicKey, EntityId, ServiceRole, SessionId, SessionKey, SignedKey,
    Version, VersionRange,
};

pub(super) use client::{AwaitServerHello, AwaitServiceResponse, ClientNext};
pub(super) use server::{AwaitClientHello, AwaitDecision, ServerNext};

/// What the handshake agreed on.
#[non_exhaustive]
pub struct Parameters {
    /// The version that both speak from now on.
    pub version: Version,
    /// The versions that both could speak: a proxy tells its clients.
    pub versions: VersionRange,
    /// The channel binding of the connection, part of what commands are signed over.
    pub session_id: SessionId,
    /// Our session key: authorises commands to us (server) or is the other half of block encryption (client).
    pub session_key: Option<X25519PrivateKey>,
    /// The peer's session key.
    pub peer_key: Option<DhPublicKey>,
    /// True when each block is encrypted inside TLS.
    pub encrypts_blocks: bool,
    /// True when the client is a server that forwards for others.
    pub proxy_server: bool,
    /// On a client, the server's certificates and signed key as it sent them, which a proxy passes on.
    pub server_auth: Option<CertChainPubKey>,
    /// The service that the client is.
    pub service: Option<ServiceParameters>,
}

/// The service side of a session.
#[non_exhaustive]
pub struct ServiceParameters {
    /// The id that the server gave.
    pub id: EntityId,
    /// What it does.
    pub role: ServiceRole,
    /// SHA-256 of its identity certificate.
    pub fingerprint: [u8; 32],
    /// The key that signs its commands.
    pub key: ServiceKey,
}

/// The key of a service for one session, as each end has it.
pub enum ServiceKey {
    /// On the server, for verifying.
    Public([u8; 32]),
    /// On the client, for signing.
    Private(Ed25519PrivateKey),
}

/// A service that wants to be known to the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServiceRequest {
    /// SHA-256 of its identity certificate.
    pub fingerprint: [u8; 32],
    /// What it does.
    pub role: ServiceRole,
}

/// The end of a handshake.
pub(super) struct Agreed {
    pub(super) parameters: Box<Parameters>,
    pub(super) codec: BlockCodec,
}

/// A session key signed with the key of a certificate.
fn signed_key(
    chain: &[Bytes],
    key: &IdentityKey,
    session_key: SessionKey,
) -> Result<CertChainPubKey, TransportFault> {
    let signature = key.sign(&session_key.signed_bytes());
    let chain = CertChain::new(chain.to_vec()).map_err(|_| TransportFault::Misuse)?;
    Ok(CertChainPubKey { chain, signed_key: SignedKey { key: session_key, signature }.to_der().into() })
}

/// The session key of a relay that a proxy is connected to, from what the proxy passed on: checked as if the relay had
/// said it itself.
///
/// # Errors
/// When the chain is not that of the server with this key hash, not in order at the time `now`, or has not signed the key.
pub fn relay_key(
    auth: &CertChainPubKey,
    key_hash: &[u8; 32],
    now: UnixTime,
) -> Result<DhPublicKey, TransportFault> {
    let chain = auth.chain.certificates();
    verify_server_chain(chain, key_hash, now).map_err(|_| TransportFault::IDENTITY)?;
    match verified_key(auth, chain)? {
        SessionKey::X25519(key) => Ok(key),
        SessionKey::Ed25519(_) => Err(TransportFault::PARSE),
    }
}

/// The session key of `auth`, which must come with the chain that the peer has shown in TLS and be signed with the key
/// of its leaf.
fn verified_key(auth: &CertChainPubKey, peer_chain: &[Bytes]) -> Result<SessionKey, TransportFault> {
    if auth.chain.certificates() != peer_chain {
        return Err(TransportFault::BAD_AUTH);
    }
    let leaf = leaf_key(peer_chain).map_err(|_| TransportFault::BAD_AUTH)?;
    let signed = SignedKey::from_der(&auth.signed_key).map_err(|_| TransportFault::PARSE)?;
    let signature = identity::raw_signature(&signed.signature);
    if verify(&leaf, &signed.key.signed_bytes(), signature) {
        Ok(signed.key)
    } else {
        Err(TransportFault::BAD_AUTH)
    }
}
