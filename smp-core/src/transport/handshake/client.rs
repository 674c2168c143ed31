//! The client's half: it checks who it talks to before it says anything.

use bytes::Bytes;
use subtle::ConstantTimeEq;

use super::super::block::BlockCodec;
use super::super::config::{ClientSide, ServiceIdentity};
use super::super::identity::{fingerprint, identity_certificate};
use super::super::pipe::PlainPeer;
use super::{Agreed, Parameters, ServiceKey, ServiceParameters, TransportFault, signed_key, verified_key};
use crate::crypto::{BlockChain, Ed25519PrivateKey, X25519PrivateKey};
use crate::wire::error::{HandshakeError, TransportError};
use crate::wire::{
    CertChain, CertChainPubKey, ClientHello, DhPublicKey, EntityId, ServerHello, ServiceHello,
    ServiceResponse, ServiceRole, SessionKey, Version, VersionRange,
};
use crate::{Entropy, SeededEntropy};

/// The server speaks first.
pub(in crate::transport) struct AwaitServerHello(PlainPeer);

/// What comes after the client's hello, whose content is the first part.
pub(in crate::transport) enum ClientNext {
    Ready(Vec<u8>, Agreed),
    Service(Vec<u8>, Box<AwaitServiceResponse>),
}

impl AwaitServerHello {
    pub(in crate::transport) const fn new(peer: PlainPeer) -> Self {
        Self(peer)
    }

    /// Takes the server's hello and answers it.
    pub(in crate::transport) fn hello(
        self,
        config: &ClientSide,
        content: &Bytes,
        entropy: &mut SeededEntropy,
    ) -> Result<ClientNext, TransportFault> {
        let hello = ServerHello::decode(content).map_err(|_| TransportFault::PARSE)?;
        if !bool::from(hello.session_id.as_bytes().ct_eq(&self.0.session_id)) {
            return Err(TransportFault::Smp(TransportError::Session));
        }
        let versions = common_versions(config, hello.versions)?;
        let server_key = hello.auth.as_ref().map(|auth| self.server_key(config, auth)).transpose()?;
        self.answer(config, &hello, versions, server_key, entropy)
    }

    /// The server's session key, if it comes from the server that TLS was set up with and that was asked for.
    fn server_key(&self, config: &ClientSide, auth: &CertChainPubKey) -> Result<DhPublicKey, TransportFault> {
        let identity = identity_certificate(auth.chain.certificates()).map_err(|_| TransportFault::PARSE)?;
        if fingerprint(identity) != config.key_hash {
            return Err(TransportFault::IDENTITY);
        }
        match verified_key(auth, &self.0.certificates)? {
            SessionKey::X25519(key) => Ok(key),
            SessionKey::Ed25519(_) => Err(TransportFault::PARSE),
        }
    }

    fn answer(
        self,
        config: &ClientSide,
        hello: &ServerHello,
        versions: VersionRange,
        server_key: Option<DhPublicKey>,
        entropy: &mut SeededEntropy,
    ) -> Result<ClientNext, TransportFault> {
        let version = versions.max();
        let sends_key = config.options.sends_key && version >= Version::AUTH_COMMANDS;
        let session_key = sends_key.then(|| X25519PrivateKey::generate(entropy as &mut dyn Entropy));
        let service =
            config.options.service.as_ref().filter(|service| self.introduces(service.role, version));
        let service = service.map(|service| introduce(service, entropy)).transpose()?;
        let (service, session) = service.unzip();
        let answer = ClientHello {
            version,
            key_hash: config.key_hash,
            session_key: session_key.as_ref().map(X25519PrivateKey::public),
            proxy_server: config.options.proxy_server,
            service,
        };
        let encrypts_blocks = answer.encrypts_blocks();
        let codec = match (&session_key, &server_key) {
            (Some(ours), Some(theirs)) if encrypts_blocks => {
                let secret = ours.diffie_hellman(theirs).map_err(|_| TransportFault::BAD_AUTH)?;
                let (received, sent) = BlockChain::pair(hello.session_id.as_bytes(), &secret);
                BlockCodec::Encrypted { sent, received }
            }
            _ => BlockCodec::Plain,
        };
        let parameters = Box::new(Parameters {
            version,
            versions,
            session_id: hello.session_id.clone(),
            session_key,
            peer_key: server_key,
            encrypts_blocks,
            proxy_server: config.options.proxy_server,
            server_auth: hello.auth.as_ref().map(detached).transpose()?,
            service: None,
        });
        let mut content = Vec::new();
        answer.encode(&mut content);
        let agreed = Agreed { parameters, codec };
        Ok(match session {
            None => ClientNext::Ready(content, agreed),
            Some(service) => ClientNext::Service(content, Box::new(AwaitServiceResponse { agreed, service })),
        })
    }

    /// A service is one only if TLS knows its certificate, and to servers that know its role.
    fn introduces(&self, role: ServiceRole, version: Version) -> bool {
        let since = if role == ServiceRole::Messaging { Version::SERVICE_SUBS } else { Version::SERVICES };
        self.0.has_shown_certificate && version >= since
    }
}

/// The client has said that it is a service.
pub(in crate::transport) struct AwaitServiceResponse {
    agreed: Agreed,
    service: ServiceParameters,
}

impl AwaitServiceResponse {
    /// Takes the server's decision.
    pub(in crate::transport) fn response(self, content: &Bytes) -> Result<Agreed, TransportFault> {
        match ServiceResponse::decode(content).map_err(|_| TransportFault::PARSE)? {
            ServiceResponse::Accepted(id) => {
                let Self { mut agreed, service } = self;
                agreed.parameters.service = Some(ServiceParameters { id, ..service });
                Ok(agreed)
            }
            ServiceResponse::Refused(error) => Err(TransportFault::ServiceRefused(error)),
        }
    }
}

/// The versions of both, the highest of which is spoken.
///
/// Below version 14 a proxy cannot say that it is one; there it stays below the version from which blocks would be
/// encrypted.
fn common_versions(config: &ClientSide, offered: VersionRange) -> Result<VersionRange, TransportFault> {
    let before_encryption = Version(Version::ENCRYPTED_BLOCKS.0 - 1);
    let common = config.options.versions.intersect(offered);
    let common = common.and_then(|common| {
        let hidden_proxy = config.options.proxy_server && common.max() < Version::PROXY_SERVER;
        if hidden_proxy { common.capped(before_encryption) } else { Some(common) }
    });
    common.ok_or(TransportFault::Smp(TransportError::Version))
}

/// The service's part of the hello, and what the session keeps of it.
fn introduce(
    service: &ServiceIdentity,
    entropy: &mut SeededEntropy,
) -> Result<(ServiceHello, ServiceParameters), TransportFault> {
    let key = Ed25519PrivateKey::generate(entropy as &mut dyn Entropy);
    let auth = signed_key(&service.chain, &service.key, SessionKey::Ed25519(key.public()))?;
    let bad_service = TransportFault::Smp(TransportError::Handshake(HandshakeError::BadService));
    let identity = identity_certificate(&service.chain).map_err(|_| bad_service)?;
    let parameters = ServiceParameters {
        id: EntityId::empty(),
        role: service.role,
        fingerprint: fingerprint(identity),
        key: ServiceKey::Private(key),
    };
    Ok((ServiceHello { role: service.role, auth }, parameters))
}

/// A copy that does not keep the block alive that it was read from.
fn detached(auth: &CertChainPubKey) -> Result<CertChainPubKey, TransportFault> {
    let certificates = auth.chain.certificates().iter().map(|der| Bytes::copy_from_slice(der)).collect();
    let chain = CertChain::new(certificates).map_err(|_| TransportFault::PARSE)?;
    Ok(CertChainPubKey { chain, signed_key: Bytes::copy_from_slice(&auth.signed_key) })
}
