//! From requests to blocks.

use super::flight::{Flight, Flying};
use super::outbox::Taken;
use super::receiving::Kind;
use super::relay::{Route, Sealed};
use super::{Client, ClientLimits, ClientOutput, CommandId, Phase, Place, Rejection, Request};
use crate::crypto::{AuthPrivateKey, Nonce};
use crate::entropy::SeededEntropy;
use crate::transport::{Parameters, ServiceKey, ServiceParameters};
use crate::wire::{
    Authorization, BatchWriter, ClientTransmission, CorrelationId, DhPublicKey, ServiceSignature, SessionId,
};

/// A request that waits for its turn.
pub(super) struct Waiting {
    request: Request,
    /// Set when the request was encoded for a block that had no room left.
    encoded: Option<Encoded>,
}

/// A transmission with its correlation id, and what its answer is opened with.
type Encoded = (CorrelationId, Vec<u8>, Sealed);

impl Waiting {
    pub(super) const fn new(request: Request) -> Self {
        Self { request, encoded: None }
    }

    /// Bytes of large parameters.
    pub(super) fn size(&self) -> usize {
        self.request.size()
    }
}

impl Client {
    /// Whether commands can become blocks now.
    pub(super) fn can_send(&self) -> bool {
        matches!(self.phase, Phase::Ready(_))
            && (self.ping || !self.outbox.is_empty())
            && self.written.waiting() < self.limits.output_bytes
    }

    /// Makes a block of the commands whose turn it is. Some may be answered instead, because this server cannot take
    /// them.
    pub(super) fn send_block(&mut self) {
        let Phase::Ready(session) = &self.phase else { return };
        let mut block = Block {
            session,
            limits: &self.limits,
            entropy: &mut self.entropy,
            flight: &mut self.flight,
            batch: BatchWriter::new(self.transport.content_max()),
            commands: Vec::new(),
        };
        if core::mem::take(&mut self.ping) {
            // A PING always fits into an empty block and every version has it.
            let _sent = block.add(None, &mut Waiting::new(Request::ping()));
        }
        let mut dropped = Vec::new();
        self.outbox.fill(|id, waiting| match block.add(Some(id), waiting) {
            Ok(Some(correlation)) => {
                self.waiting_bytes -= waiting.size();
                self.places.insert(id, Place::Flying(correlation));
                Taken::InBlock
            }
            Ok(None) => Taken::Full,
            Err(rejection) => {
                self.waiting_bytes -= waiting.size();
                dropped.push((id, rejection));
                Taken::Dropped
            }
        });
        let Block { mut batch, commands, .. } = block;
        for (id, rejection) in dropped {
            self.answer(Some(id), Err(rejection.into()));
        }
        if let Some(content) = batch.finish() {
            self.transport.send_block(&content);
            self.give_out(commands);
        }
    }

    /// Gives out the bytes that the transport has for the socket; they end a block with these commands.
    pub(super) fn give_out(&mut self, commands: Vec<CorrelationId>) {
        let Some(mut bytes) = self.transport.poll_transmit() else { return };
        while let Some(more) = self.transport.poll_transmit() {
            bytes.extend_from_slice(&more);
        }
        self.written.give(bytes.len(), commands, self.now.mono);
        self.outputs.push_back(ClientOutput::Send(bytes));
    }
}

/// A block in the making.
struct Block<'a> {
    session: &'a Parameters,
    limits: &'a ClientLimits,
    entropy: &'a mut SeededEntropy,
    flight: &'a mut Flight<Kind>,
    batch: BatchWriter,
    commands: Vec<CorrelationId>,
}

impl Block<'_> {
    /// Adds a command and puts it in flight; `None` if it does not fit beside the others.
    ///
    /// # Errors
    /// When the command cannot be sent on this connection at all.
    fn add(
        &mut self,
        id: Option<CommandId>,
        waiting: &mut Waiting,
    ) -> Result<Option<CorrelationId>, Rejection> {
        let (correlation, transmission, sealed) = match waiting.encoded.take() {
            Some(encoded) => encoded,
            None => self.encode(&waiting.request)?,
        };
        if !self.batch.fits(&transmission) {
            waiting.encoded = Some((correlation, transmission, sealed));
            return Ok(None);
        }
        self.batch.push(&transmission).map_err(|_| Rejection::LargeCommand)?;
        let request = &waiting.request;
        let patience = request.patience.unwrap_or(self.limits.answer);
        let command = Flying::new(id, request.sent_about(), Kind::of(request, sealed), patience);
        self.flight.insert(correlation.clone(), command);
        self.commands.push(correlation.clone());
        Ok(Some(correlation))
    }

    /// The transmission of a request, authorised, and in the layers of its route.
    fn encode(&mut self, request: &Request) -> Result<Encoded, Rejection> {
        let Parameters { version, session_id, peer_key, .. } = self.session;
        request.check_version(*version)?;
        let correlation = self.correlation_id(request)?;
        let wrapped = match &request.route {
            Route::Direct => None,
            Route::Relay(relay) => Some(relay.wrap(request, &correlation, self.entropy)?),
            Route::Forward(content) => Some(Sealed::forward(content, &correlation, self.session)?),
        };
        // What is wrapped is authorised inside.
        let key = if wrapped.is_some() { None } else { request.key.as_ref() };
        let service = self.session.service.as_ref().filter(|_| wrapped.is_none());
        let (wrapped, sealed) =
            wrapped.map_or((None, Sealed::Open), |(command, sealed)| (Some(command), sealed));
        let mut command = Vec::new();
        wrapped.as_ref().unwrap_or(&request.command).encode(*version, &mut command);
        let mut transmission = ClientTransmission {
            authorization: Authorization::None,
            service_signature: None,
            correlation_id: correlation.clone(),
            entity_id: request.sent_about(),
            command: command.into(),
        };
        match (key, service) {
            (Some(key), Some(service)) if request.command.is_signed_by_services() => {
                authorize_in_service(&mut transmission, key, session_id, peer_key.as_ref(), service)?;
            }
            (None, service) if request.is_of_service() => {
                let key = service.and_then(service_key).ok_or(Rejection::CannotAuthorise)?;
                authorize(&mut transmission, Some(&key), session_id, None)?;
            }
            (key, _) => authorize(&mut transmission, key, session_id, peer_key.as_ref())?,
        }
        let mut encoded = Vec::new();
        transmission.encode(*version, session_id, &mut encoded);
        Ok((correlation, encoded, sealed))
    }

    /// The correlation id of a request: random, so that it can serve as a nonce, unless the caller chose one.
    fn correlation_id(&mut self, request: &Request) -> Result<CorrelationId, Rejection> {
        if let Some(chosen) = &request.correlation {
            let taken = self.flight.knows(chosen);
            return if taken { Err(Rejection::CorrelationIdInUse) } else { Ok(chosen.clone()) };
        }
        Ok(CorrelationId::from(self.entropy.bytes::<24>()))
    }
}

/// Puts the authorisation of `key` to a transmission of this session, if there is a key.
pub(super) fn authorize(
    transmission: &mut ClientTransmission,
    key: Option<&AuthPrivateKey>,
    session: &SessionId,
    server_key: Option<&DhPublicKey>,
) -> Result<(), Rejection> {
    let Some(key) = key else { return Ok(()) };
    let authorized = transmission.authorized_bytes(session);
    transmission.authorization = authorization(transmission, key, server_key, &authorized)?;
    Ok(())
}

/// Likewise, in the session of a service: `key` authorises which service that is as well, and the service signs.
fn authorize_in_service(
    transmission: &mut ClientTransmission,
    key: &AuthPrivateKey,
    session: &SessionId,
    server_key: Option<&DhPublicKey>,
    service: &ServiceParameters,
) -> Result<(), Rejection> {
    let ServiceKey::Private(signer) = &service.key else { return Err(Rejection::CannotAuthorise) };
    let authorized = transmission.authorized_bytes(session);
    transmission.service_signature = Some(ServiceSignature(signer.sign(&authorized)));
    let authorized = [&service.fingerprint[..], &authorized].concat();
    transmission.authorization = authorization(transmission, key, server_key, &authorized)?;
    Ok(())
}

fn authorization(
    transmission: &ClientTransmission,
    key: &AuthPrivateKey,
    server_key: Option<&DhPublicKey>,
    authorized: &[u8],
) -> Result<Authorization, Rejection> {
    let nonce = Nonce::from_slice(transmission.correlation_id.as_bytes());
    let authorization = key.authorize(server_key, &nonce, authorized).ok();
    let authorization = authorization.and_then(|bytes| Authorization::from_bytes(&bytes));
    authorization.ok_or(Rejection::CannotAuthorise)
}

/// What a service signs with in its session.
fn service_key(service: &ServiceParameters) -> Option<AuthPrivateKey> {
    match &service.key {
        ServiceKey::Private(key) => Some(AuthPrivateKey::Ed25519(key.clone())),
        ServiceKey::Public(_) => None,
    }
}
