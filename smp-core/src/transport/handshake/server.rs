//! The server's half: it speaks first.

use bytes::Bytes;

use super::super::block::BlockCodec;
use super::super::config::ServerSide;
use super::super::identity::verify_client_chain;
use super::super::pipe::PlainPeer;
use super::{
    Agreed, Parameters, ServiceKey, ServiceParameters, ServiceRequest, TransportFault, signed_key,
    verified_key,
};
use crate::crypto::{BlockChain, X25519PrivateKey};
use crate::time::UnixTime;
use crate::wire::error::{HandshakeError, TransportError};
use crate::wire::{
    ClientHello, EntityId, ServerHello, ServiceHello, ServiceResponse, SessionId, SessionKey, Version,
    VersionRange,
};
use crate::{Entropy, SeededEntropy};

/// The server's hello is sent.
pub(in crate::transport) struct AwaitClientHello {
    versions: VersionRange,
    session_id: SessionId,
    session_key: Option<X25519PrivateKey>,
    client_chain: Vec<Bytes>,
}

/// What comes after the client's hello.
pub(in crate::transport) enum ServerNext {
    Ready(Agreed),
    /// The client is a service that the caller has to find or refuse.
    Service(Box<AwaitDecision>),
    /// The client must be told why, then the connection is over.
    Refused(Vec<u8>, TransportFault),
}

impl AwaitClientHello {
    /// Begins the handshake with the content of the first block.
    pub(in crate::transport) fn begin(
        config: &ServerSide,
        peer: PlainPeer,
        entropy: &mut SeededEntropy,
    ) -> Result<(Self, Vec<u8>), TransportFault> {
        let offered = if peer.has_alpn {
            config.options.versions
        } else {
            let legacy = config.options.versions.intersect(VersionRange::LEGACY);
            legacy.ok_or(TransportFault::Smp(TransportError::Version))?
        };
        let session_id = SessionId::new(&peer.session_id).map_err(|_| TransportFault::Misuse)?;
        let has_key = offered.max() >= Version::AUTH_COMMANDS;
        let session_key = has_key.then(|| X25519PrivateKey::generate(entropy as &mut dyn Entropy));
        let auth = session_key
            .as_ref()
            .map(|key| SessionKey::X25519(key.public()))
            .map(|key| signed_key(config.identity.chain(), config.identity.key(), key))
            .transpose()?;
        let mut content = Vec::new();
        ServerHello { versions: offered, session_id: session_id.clone(), auth }.encode(&mut content);
        Ok((Self { versions: offered, session_id, session_key, client_chain: peer.certificates }, content))
    }

    /// Takes the client's hello.
    pub(in crate::transport) fn hello(
        self,
        config: &ServerSide,
        content: &Bytes,
        now: UnixTime,
    ) -> Result<ServerNext, TransportFault> {
        let hello = ClientHello::decode(content).map_err(|_| TransportFault::PARSE)?;
        if hello.key_hash != *config.identity.fingerprint() {
            return Err(TransportFault::IDENTITY);
        }
        if !self.versions.contains(hello.version) {
            return Err(TransportFault::Smp(TransportError::Version));
        }
        let (client_chain, agreed) = self.agree(&hello)?;
        let Some(service) = hello.service else { return Ok(ServerNext::Ready(agreed)) };
        let verified = if config.options.accepts_services {
            verify_service(&service, &client_chain, now)
        } else {
            Err(TransportError::Handshake(HandshakeError::BadService))
        };
        Ok(match verified {
            Ok((request, key)) => ServerNext::Service(Box::new(AwaitDecision { agreed, request, key })),
            Err(error) => ServerNext::Refused(refusal(error), TransportFault::Smp(error)),
        })
    }

    fn agree(self, hello: &ClientHello) -> Result<(Vec<Bytes>, Agreed), TransportFault> {
        let Self { versions, session_id, session_key, client_chain } = self;
        let encrypts_blocks = hello.encrypts_blocks();
        let codec = match (&session_key, &hello.session_key) {
            (Some(ours), Some(theirs)) if encrypts_blocks => {
                let secret = ours.diffie_hellman(theirs).map_err(|_| TransportFault::PARSE)?;
                let (sent, received) = BlockChain::pair(session_id.as_bytes(), &secret);
                BlockCodec::Encrypted { sent, received }
            }
            _ => BlockCodec::Plain,
        };
        let versions = versions.capped(hello.version).ok_or(TransportFault::Smp(TransportError::Version))?;
        let parameters = Parameters {
            version: hello.version,
            versions,
            session_id,
            session_key,
            peer_key: hello.session_key,
            encrypts_blocks,
            proxy_server: hello.proxy_server,
            server_auth: None,
            service: None,
        };
        Ok((client_chain, Agreed { parameters: Box::new(parameters), codec }))
    }
}

/// A service has identified itself.
pub(in crate::transport) struct AwaitDecision {
    agreed: Agreed,
    request: ServiceRequest,
    key: [u8; 32],
}

impl AwaitDecision {
    pub(in crate::transport) const fn request(&self) -> &ServiceRequest {
        &self.request
    }

    /// The service is known by `id`: the content of the last block, and the end of the handshake.
    pub(in crate::transport) fn accept(self, id: EntityId) -> (Vec<u8>, Agreed) {
        let mut content = Vec::new();
        ServiceResponse::Accepted(id.clone()).encode(&mut content);
        let ServiceRequest { fingerprint, role } = self.request;
        let mut agreed = self.agreed;
        let key = ServiceKey::Public(self.key);
        agreed.parameters.service = Some(ServiceParameters { id, role, fingerprint, key });
        (content, agreed)
    }

    /// The service is not accepted: the content of the last block, and the end of the connection.
    pub(in crate::transport) fn refuse(error: TransportError) -> (Vec<u8>, TransportFault) {
        (refusal(error), TransportFault::Smp(error))
    }
}

fn refusal(error: TransportError) -> Vec<u8> {
    let mut content = Vec::new();
    ServiceResponse::Refused(error).encode(&mut content);
    content
}

/// The service's key and who it is, if its hello belongs to the certificate that it has shown in TLS.
fn verify_service(
    service: &ServiceHello,
    client_chain: &[Bytes],
    now: UnixTime,
) -> Result<(ServiceRequest, [u8; 32]), TransportError> {
    let bad_auth = TransportError::Handshake(HandshakeError::BadAuth);
    let fingerprint = verify_client_chain(client_chain, now).map_err(|_| bad_auth)?;
    match verified_key(&service.auth, client_chain) {
        Ok(SessionKey::Ed25519(key)) => Ok((ServiceRequest { fingerprint, role: service.role }, key)),
        Ok(SessionKey::X25519(_)) | Err(_) => Err(bad_auth),
    }
}
