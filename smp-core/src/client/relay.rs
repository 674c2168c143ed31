//! Commands through a proxy: the client's side of private routing, and the proxy's own side towards a relay.

use core::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::answer::Expected;
use super::error::{Rejection, RequestError};
use super::sending::authorize;
use super::{Answer, Request};
use crate::SeededEntropy;
use crate::crypto::{ForwardLayer, X25519PrivateKey};
use crate::time::UnixTime;
use crate::transport::{Parameters, relay_key};
use crate::wire::broker::{BrokerMessage, RelaySession};
use crate::wire::codec::decode_all;
use crate::wire::command::{Command, ForwardRequest};
use crate::wire::{
    Authorization, ClientTransmission, CorrelationId, DhPublicKey, EntityId, FwdResponse, ServerTransmission,
    SessionId, Version, VersionRange, decode_batch, encode_single,
};

/// A session of a proxy with a relay, through which commands are sent. Made by [`Request::relay`], good until the proxy
/// says `PROXY NO_SESSION`. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Relay(Arc<Inner>);

#[derive(PartialEq, Eq)]
struct Inner {
    session: SessionId,
    version: Version,
    key: DhPublicKey,
}

impl Relay {
    /// Checks what a proxy says of a relay.
    pub(super) fn new(
        offered: &RelaySession,
        key_hash: &[u8; 32],
        now: UnixTime,
    ) -> Result<Self, RequestError> {
        let key = relay_key(&offered.key, key_hash, now).map_err(RequestError::BadRelay)?;
        let versions = offered.versions.intersect(VersionRange::PROXIED);
        let version = versions.ok_or(Rejection::NeedsVersion(Version::PRIVATE_ROUTING))?.max();
        let session = offered.session_id.clone();
        Ok(Self(Arc::new(Inner { session, version, key })))
    }

    /// The version that is spoken with the relay.
    #[must_use]
    pub fn version(&self) -> Version {
        self.0.version
    }

    /// The id of the session between proxy and relay, which is the entity of commands through it.
    pub(super) fn entity(&self) -> EntityId {
        EntityId::new(self.0.session.as_bytes()).unwrap_or_default()
    }

    /// PFWD of a request, and what its answer is opened with.
    pub(super) fn wrap(
        &self,
        request: &Request,
        correlation: &CorrelationId,
        entropy: &mut SeededEntropy,
    ) -> Result<(Command, Sealed), Rejection> {
        let Inner { session, version, key } = &*self.0;
        let mut command = Vec::new();
        request.command.encode(*version, &mut command);
        let mut transmission = ClientTransmission {
            authorization: Authorization::None,
            service_signature: None,
            correlation_id: correlation.clone(),
            entity_id: request.entity.clone(),
            command: command.into(),
        };
        authorize(&mut transmission, request.key.as_ref(), session, Some(key))?;
        let mut item = Vec::new();
        transmission.encode(*version, session, &mut item);
        let batch = encode_single(&item).map_err(|_| Rejection::LargeCommand)?;

        let ours = X25519PrivateKey::generate(entropy);
        let secret = ours.diffie_hellman(key).map_err(|_| Rejection::CannotAuthorise)?;
        let layer = ForwardLayer::of_client(&secret, correlation);
        let encrypted = layer.seal_command(&batch).map_err(|_| Rejection::LargeCommand)?.into();
        let forward = ForwardRequest { version: *version, key: ours.public(), encrypted };
        let sealed = Sealed::ByClient { layer, relay: self.clone(), entity: request.entity.clone() };
        Ok((Command::Pfwd(forward), sealed))
    }

    /// The relay's answer, from the batch that was in the client's layer.
    fn read(
        &self,
        batch: Vec<u8>,
        correlation: &CorrelationId,
        entity: &EntityId,
        expected: Expected,
        now: UnixTime,
    ) -> Result<Answer, RequestError> {
        let malformed = |_| RequestError::Malformed;
        let Inner { session, version, .. } = &*self.0;
        let items = decode_batch(&batch.into()).map_err(malformed)?;
        let [item] = items.as_slice() else { return Err(RequestError::Malformed) };
        let answer =
            ServerTransmission::decode(*version, session, item).map_err(|_| RequestError::Malformed)?;
        let message = BrokerMessage::decode(*version, &answer.message)
            .and_then(|message| message.check_entity(&answer.entity_id).map(|()| message));
        let message = message.map_err(|_| RequestError::Malformed)?;
        match message {
            // A relay that could not read the command knows neither of its ids.
            BrokerMessage::Err(error) if answer.entity_id.is_empty() || answer.entity_id == *entity => {
                Err(RequestError::Relay(error))
            }
            _ if answer.correlation_id != *correlation || answer.entity_id != *entity => {
                Err(RequestError::Unexpected)
            }
            message => expected.read(now, message),
        }
    }
}

/// Nothing: it names a connection.
impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("version", &self.0.version).finish_non_exhaustive()
    }
}

/// Where the command of a request goes.
#[derive(Clone)]
pub(super) enum Route {
    /// To the server.
    Direct,
    /// To a relay of the server, which is a proxy.
    Relay(Relay),
    /// To the server, which is a relay; the client is a proxy, and the command is RFWD of the content that this is.
    Forward(Bytes),
}

/// What the answer to a command is opened with.
pub(super) enum Sealed {
    /// It is not sealed.
    Open,
    /// By the relay for the client of a proxy.
    ByClient {
        /// The layer.
        layer: ForwardLayer,
        /// Who made it.
        relay: Relay,
        /// What the command was about.
        entity: EntityId,
    },
    /// By the relay for the proxy.
    ByProxy(ForwardLayer),
}

impl Sealed {
    /// RFWD of what a client sent, and what its answer is opened with.
    pub(super) fn forward(
        content: &[u8],
        correlation: &CorrelationId,
        session: &Parameters,
    ) -> Result<(Command, Self), Rejection> {
        let keys = session.session_key.as_ref().zip(session.peer_key.as_ref());
        let (ours, theirs) = keys.ok_or(Rejection::CannotAuthorise)?;
        let secret = ours.diffie_hellman(theirs).map_err(|_| Rejection::CannotAuthorise)?;
        let layer = ForwardLayer::of_proxy(&secret.box_key(), correlation);
        let sealed = layer.seal_command(content).map_err(|_| Rejection::LargeCommand)?;
        Ok((Command::Rfwd(sealed.into()), Self::ByProxy(layer)))
    }

    /// The answer in a message.
    pub(super) fn read(
        &self,
        correlation: &CorrelationId,
        expected: Expected,
        now: UnixTime,
        message: BrokerMessage,
    ) -> Result<Answer, RequestError> {
        match (self, message) {
            (_, BrokerMessage::Err(error)) => Err(RequestError::Server(error)),
            (Self::ByClient { layer, relay, entity }, BrokerMessage::PRes(sealed)) => {
                let batch = layer.open_answer(&sealed).map_err(|_| RequestError::Sealed)?;
                relay.read(batch, correlation, entity, expected, now)
            }
            (Self::ByProxy(layer), BrokerMessage::RRes(sealed)) => {
                let response = layer.open_answer(&sealed).map_err(|_| RequestError::Sealed)?;
                let response =
                    decode_all(&response.into(), FwdResponse::decode).map_err(|_| RequestError::Malformed)?;
                Ok(Answer::Forwarded(response))
            }
            (Self::Open, message) => expected.read(now, message),
            _ => Err(RequestError::Unexpected),
        }
    }
}
