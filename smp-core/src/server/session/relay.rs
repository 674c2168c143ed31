//! RFWD: a command that a proxy forwards for a client whom this server does not see.
//!
//! Once its layers are opened the command goes the way of all others, with the session between proxy and relay as its
//! session and the version that its client chose; only its answer takes another way out, in both layers.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use super::Session;
use super::pipeline::{Entry, LookUp};
use super::verify::Verifier;
use crate::crypto::ForwardLayer;
use crate::crypto::hash::sha256;
use crate::server::statistics::Counter;
use crate::wire::batch::{decode_batch, encode_single};
use crate::wire::codec::decode_all;
use crate::wire::error::{BrokerErrorType, CommandError, ErrorType, ProxyError, TransportError};
use crate::wire::forward::{FwdResponse, FwdTransmission};
use crate::wire::transmission::{ClientTransmission, ServerTransmission};
use crate::wire::{BrokerMessage, Command, CorrelationId, EntityId, Version, VersionRange};

/// The way on which a command came through a proxy, and on which its answer goes back.
pub(super) struct Via {
    /// The version that the client speaks.
    pub(super) version: Version,
    /// The correlation id of RFWD, which RRES repeats.
    outer_correlation: CorrelationId,
    /// The correlation id of the client's PFWD.
    client_correlation: CorrelationId,
    client: ForwardLayer,
    proxy: ForwardLayer,
}

impl Via {
    /// RRES of an answer; the ids are those of the forwarded command.
    fn wrap(
        &self,
        verifier: &Verifier,
        correlation: &CorrelationId,
        entity: &EntityId,
        answer: &BrokerMessage,
    ) -> Option<BrokerMessage> {
        let mut message = Vec::new();
        answer.encode(self.version, &mut message);
        let transmission = ServerTransmission {
            correlation_id: correlation.clone(),
            entity_id: entity.clone(),
            message: message.into(),
        };
        let mut item = Vec::new();
        transmission.encode(self.version, verifier.session_id(), &mut item);
        let batch = encode_single(&item).ok()?;
        let encrypted = self.client.seal_answer(&batch).ok()?.into();
        let mut response = Vec::new();
        FwdResponse { correlation_id: self.client_correlation.clone(), encrypted }.encode(&mut response);
        self.proxy.seal_answer(&response).ok().map(|sealed| BrokerMessage::RRes(sealed.into()))
    }
}

impl Session {
    /// Opens the forwarded commands that have come, and tells whether all of them are open: each costs as much as a
    /// verification.
    pub(super) fn open_forwards(&mut self, verifications: &mut usize, limit: usize) -> bool {
        for at in 0..self.pipeline.len() {
            let Some(entry) = self.pipeline.get_mut(at).filter(|entry| entry.is_sealed()) else { continue };
            if *verifications >= limit {
                return false;
            }
            *verifications += 1;
            self.verifications += 1;
            let Some(verifier) = &mut self.verifier else { return true };
            open_entry(verifier, &mut self.forwarded, entry);
            if entry.via.is_some() {
                self.count(Counter::ForwardsReceived, 1);
            }
        }
        true
    }

    /// The transmission that answers a forwarded command.
    pub(super) fn encode_via(
        &self,
        via: &Via,
        correlation: &CorrelationId,
        entity: &EntityId,
        answer: &BrokerMessage,
    ) -> Vec<u8> {
        let wrapped = self.verifier.as_ref().and_then(|verifier| {
            let too_large = || BrokerMessage::Err(ErrorType::LargeMessage);
            via.wrap(verifier, correlation, entity, answer)
                .or_else(|| via.wrap(verifier, correlation, entity, &too_large()))
        });
        // An error without the client's layer only when its ids alone fill a block.
        let answer = wrapped.unwrap_or(BrokerMessage::Err(ErrorType::LargeMessage));
        self.encode(&via.outer_correlation, &EntityId::empty(), &answer)
    }
}

/// Makes of RFWD the command in it, or a refusal.
fn open_entry(verifier: &mut Verifier, known: &mut Forwarded, entry: &mut Entry) {
    let Command::Rfwd(sealed) = &entry.command else { return };
    let (via, item) = match open(verifier, known, &entry.from.correlation_id, sealed) {
        Ok(opened) => opened,
        Err(error) => return entry.look_up = LookUp::Refused(error),
    };
    let (version, session) = (via.version, verifier.session_id());
    entry.via = Some(Arc::new(via));
    entry.from = match ClientTransmission::decode(version, session, &item) {
        Ok(from) => from,
        Err(error) => {
            let (correlation, error) = error.into_answer();
            (entry.from.correlation_id, entry.from.entity_id) = (correlation, EntityId::empty());
            return entry.look_up = LookUp::Refused(error);
        }
    };
    let command = super::pipeline::check(version, None, &entry.from)
        .and_then(|command| if may_be_forwarded(&command) { Ok(command) } else { Err(PROHIBITED) });
    match command {
        Ok(command) => entry.set_command(command),
        Err(error) => entry.look_up = LookUp::Refused(error),
    }
}

/// Opens both layers. The errors are for the proxy: they say nothing of the command.
fn open(
    verifier: &mut Verifier,
    known: &mut Forwarded,
    correlation: &CorrelationId,
    sealed: &[u8],
) -> Result<(Via, Bytes), ErrorType> {
    let crypto = |_| ErrorType::Crypto;
    let proxy_key = verifier.proxy_key().ok_or_else(|| transport(TransportError::NoServerAuth))?;
    let proxy = ForwardLayer::of_proxy(proxy_key, correlation);
    let forwarded = proxy.open_command(sealed).map_err(crypto)?.into();
    let forwarded = decode_all(&forwarded, FwdTransmission::decode)
        .map_err(|_| ErrorType::Command(CommandError::Syntax))?;
    let FwdTransmission { correlation_id, request } = forwarded;
    let secret = verifier.agree(&request.key).ok_or(ErrorType::Crypto)?;
    let client = ForwardLayer::of_client(&secret, &correlation_id);
    let batch = client.open_command(&request.encrypted).map_err(crypto)?.into();
    // The reference takes any version; of those that we do not know we could not say what an answer looks like.
    if !VersionRange::SUPPORTED.contains(request.version) {
        return Err(transport(TransportError::Version));
    }
    if !known.is_new(&request.key.0, correlation_id.as_bytes()) {
        return Err(ErrorType::Crypto);
    }
    let items = decode_batch(&batch).map_err(|_| ErrorType::Block)?;
    let [item] = items.as_slice() else { return Err(ErrorType::Block) };
    let via = Via {
        version: request.version,
        outer_correlation: correlation.clone(),
        client_correlation: correlation_id,
        client,
        proxy,
    };
    Ok((via, item.clone()))
}

/// The commands that were forwarded in a session lately, so that the proxy cannot have one carried out twice.
///
/// A client makes a key for each command, and the nonce goes with it.
pub(super) struct Forwarded {
    max: usize,
    known: BTreeSet<[u8; 16]>,
    order: VecDeque<[u8; 16]>,
}

impl Forwarded {
    pub(super) const fn new(max: usize) -> Self {
        Self { max, known: BTreeSet::new(), order: VecDeque::new() }
    }

    /// Whether a command with this key and nonce did not come before, and remembers it. The oldest is forgotten first.
    fn is_new(&mut self, key: &[u8; 32], nonce: &[u8]) -> bool {
        let digest = sha256(&[&key[..], nonce].concat());
        let mut name = [0; 16];
        name.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        if !self.known.insert(name) {
            return false;
        }
        self.order.push_back(name);
        while self.order.len() > self.max {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
        true
    }
}

/// What senders need; everything else takes a session of the client's own.
const fn may_be_forwarded(command: &Command) -> bool {
    matches!(
        command,
        Command::Send { .. } | Command::SKey(_) | Command::LKey(_) | Command::LGet | Command::Rslv(_)
    )
}

fn transport(error: TransportError) -> ErrorType {
    ErrorType::Proxy(Box::new(ProxyError::Broker(BrokerErrorType::Transport(error))))
}

const PROHIBITED: ErrorType = ErrorType::Command(CommandError::Prohibited);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_forwarded_lately_is_known_and_the_memory_of_it_bounded() {
        let mut known = Forwarded::new(3);
        for key in 0..10 {
            assert!(known.is_new(&[key; 32], b"nonce"));
            assert!(!known.is_new(&[key; 32], b"nonce"));
            assert!(known.known.len() <= 3 && known.order.len() <= 3);
        }
        assert!(known.is_new(&[9; 32], b"other nonce"));
        assert!(!known.is_new(&[8; 32], b"nonce"));
        assert!(known.is_new(&[0; 32], b"nonce"));
    }
}
