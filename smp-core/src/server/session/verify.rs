//! Who a command is from: the session's part of authorisation.

use std::collections::BTreeMap;

use super::service::is_signed;
use crate::crypto::auth::{verify, verify_dummy};
use crate::crypto::authenticator::{self, AUTHENTICATOR_LEN};
use crate::crypto::{AuthorizationRef, BoxKey, DhSecret, Nonce};
use crate::server::store::QueueRecord;
use crate::transport::{Parameters, ServiceParameters};
use crate::wire::transmission::{Authorization, ClientTransmission};
use crate::wire::{AuthPublicKey, Command, DhPublicKey, QueueMode, SessionId, Version};

/// Checks authorisations with the keys of one session.
///
/// The work for a command is that of one verification of the kind of its authorisation, whether the queue exists or not
/// and whatever the kind of its key, so that the time of an answer does not tell which queues exist.
pub(super) struct Verifier {
    parameters: Parameters,
    /// Boxes of the X25519 keys that authorised lately, because a key exchange costs more than the rest. Only those whose
    /// owner is the peer: a box that a stranger's attempt put here would make the next attempt faster, and so tell that the
    /// queue exists.
    boxes: BTreeMap<[u8; 32], BoxKey>,
    /// The box of the two session keys, if this peer has forwarded commands.
    proxy_key: Option<BoxKey>,
    /// The command came through a proxy, which has many clients: none of them is the owner of `boxes`.
    is_forwarded: bool,
}

/// By what right a command is carried out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    /// None is needed.
    Anybody,
    /// With this key of the queue, or of the command where the command brings the key.
    Key(AuthPublicKey),
}

impl Verifier {
    pub(super) const fn new(parameters: Parameters) -> Self {
        Self { parameters, boxes: BTreeMap::new(), proxy_key: None, is_forwarded: false }
    }

    pub(super) const fn version(&self) -> Version {
        self.parameters.version
    }

    pub(super) const fn session_id(&self) -> &SessionId {
        &self.parameters.session_id
    }

    /// The service that the peer is.
    pub(super) const fn service(&self) -> Option<&ServiceParameters> {
        self.parameters.service.as_ref()
    }

    /// Whether the service that the peer is has signed what it has to sign.
    pub(super) fn is_signed_by_service(&self, from: &ClientTransmission, command: &Command) -> bool {
        is_signed(self.service(), self.session_id(), from, command)
    }

    /// What the key of a queue signs. In the session of a service it also signs which service that is.
    fn authorized_bytes(&self, from: &ClientTransmission) -> Vec<u8> {
        let authorized = from.authorized_bytes(self.session_id());
        match (self.service(), &from.service_signature) {
            (Some(service), Some(_)) => [&service.fingerprint[..], &authorized].concat(),
            _ => authorized,
        }
    }

    /// The box of the session keys of both sides; `None` when one of them has none.
    pub(super) fn proxy_key(&mut self) -> Option<&BoxKey> {
        if self.proxy_key.is_none() {
            self.proxy_key = self.agree(&self.parameters.peer_key?).map(|secret| secret.box_key());
        }
        self.proxy_key.as_ref()
    }

    /// What our session key and `theirs` agree on; `None` when we have none, or theirs is bad.
    pub(super) fn agree(&self, theirs: &DhPublicKey) -> Option<DhSecret> {
        self.parameters.session_key.as_ref()?.diffie_hellman(theirs).ok()
    }

    /// The right of a command to the queue that it names, or `None` if it has none.
    ///
    /// `record` is what its entity id leads to. Commands without a queue have `None` there.
    pub(super) fn right(
        &mut self,
        from: &ClientTransmission,
        command: &Command,
        record: Option<&QueueRecord>,
        is_forwarded: bool,
    ) -> Option<Right> {
        self.is_forwarded = is_forwarded;
        match command {
            Command::New(new) => self.by_key(from, &new.recipient_key),
            Command::SKey(key) | Command::LKey(key) => {
                let right = self.by_key(from, key);
                right.filter(|_| record.is_some_and(|record| may_secure(record, key)))
            }
            Command::Send { .. } => {
                if from.authorization == Authorization::None {
                    return record.filter(|record| record.sender_key.is_none()).map(|_| Right::Anybody);
                }
                self.by_any(from, record.and_then(|record| record.sender_key.as_ref()))
            }
            Command::LGet => {
                record.filter(|record| record.is_contact_link(&from.entity_id)).map(|_| Right::Anybody)
            }
            Command::NSub => {
                let notifier = record.and_then(|record| record.notifier.as_ref());
                self.by_any(from, notifier.map(|notifier| &notifier.key))
            }
            _ => self.by_any(from, record.into_iter().flat_map(|record| &record.recipient_keys)),
        }
    }

    /// The right of whoever owns one of `keys`. With none of the kind of the authorisation it takes as long as with a
    /// wrong one.
    fn by_any<'a>(
        &mut self,
        from: &ClientTransmission,
        keys: impl IntoIterator<Item = &'a AuthPublicKey>,
    ) -> Option<Right> {
        let mut keys = keys.into_iter().filter(|key| from.authorization.is_of(key)).peekable();
        if keys.peek().is_none() {
            return self.by_dummy(from);
        }
        keys.find_map(|key| self.by_key(from, key))
    }

    fn by_key(&mut self, from: &ClientTransmission, key: &AuthPublicKey) -> Option<Right> {
        let authorized = self.authorized_bytes(from);
        let nonce = Nonce::from_slice(from.correlation_id.as_bytes());
        let authorization = AuthorizationRef::from_bytes(from.authorization.as_bytes())?;
        let verified = match (authorization, key) {
            (AuthorizationRef::Authenticator(theirs), AuthPublicKey::X25519(key)) => {
                self.by_box(key, &nonce, &authorized, theirs)?
            }
            _ => verify(authorization, key, self.parameters.session_key.as_ref(), &nonce, &authorized),
        };
        verified.then_some(Right::Key(*key))
    }

    fn by_dummy(&self, from: &ClientTransmission) -> Option<Right> {
        let authorized = self.authorized_bytes(from);
        let nonce = Nonce::from_slice(from.correlation_id.as_bytes());
        let authorization = AuthorizationRef::from_bytes(from.authorization.as_bytes())?;
        let _ = verify_dummy(authorization, self.parameters.session_key.as_ref(), &nonce, &authorized);
        None
    }

    fn by_box(
        &mut self,
        key: &[u8; 32],
        nonce: &Nonce,
        authorized: &[u8],
        theirs: &[u8; AUTHENTICATOR_LEN],
    ) -> Option<bool> {
        if let Some(known) = self.boxes.get(key).filter(|_| !self.is_forwarded) {
            return Some(authenticator::verify(known, nonce, authorized, theirs));
        }
        let session_key = self.parameters.session_key.as_ref()?;
        let box_key = session_key.diffie_hellman(&DhPublicKey(*key)).ok()?.box_key();
        let verified = authenticator::verify(&box_key, nonce, authorized, theirs);
        if verified && !self.is_forwarded {
            if self.boxes.len() >= BOXES {
                self.boxes.clear();
            }
            self.boxes.insert(*key, box_key);
        }
        Some(verified)
    }
}

/// SKEY: messaging queues, not secured or secured with the same key.
fn may_secure(record: &QueueRecord, key: &AuthPublicKey) -> bool {
    record.mode == Some(QueueMode::Messaging) && record.sender_key.is_none_or(|secured| secured == *key)
}

/// How many boxes a session remembers: the senders that a connection has at a time, for 64 bytes each.
const BOXES: usize = 64;
