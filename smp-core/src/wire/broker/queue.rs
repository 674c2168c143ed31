//! Parameters of the answers about queues and relays.

use super::super::chain::CertChainPubKey;
use super::super::codec::{Decoded, Reader, put_bool, put_optional};
use super::super::id::{EntityId, SessionId};
use super::super::key::DhPublicKey;
use super::super::queue_mode::QueueMode;
use super::super::version::{Version, VersionRange};

/// The parameters of IDS.
///
/// | versions | bytes after the two ids and the key |
/// |---|---|
/// | 6-8 | nothing |
/// | 9-14 | bool: the sender may secure the queue |
/// | 15 | optional mode; optional link id |
/// | 16 | likewise; optional service id |
/// | from 17 | likewise; optional [`CreatedNotifier`] |
#[derive(Clone, PartialEq, Eq)]
pub struct CreatedQueue {
    /// For the recipient.
    pub recipient_id: EntityId,
    /// For the sender.
    pub sender_id: EntityId,
    /// The server's key of the encryption of messages between server and recipient.
    pub dh_key: DhPublicKey,
    /// The mode of the queue, unless it was made without one.
    pub mode: Option<QueueMode>,
    /// The link of the queue.
    pub link_id: Option<EntityId>,
    /// The service that the queue belongs to.
    pub service_id: Option<EntityId>,
    /// The notifier of the queue.
    pub notifier: Option<CreatedNotifier>,
}

opaque_debug!(CreatedQueue);

impl CreatedQueue {
    pub(super) fn decode(version: Version, reader: &mut Reader<'_>) -> Decoded<Self> {
        let mut queue = Self {
            recipient_id: EntityId::decode(reader)?,
            sender_id: EntityId::decode(reader)?,
            dh_key: DhPublicKey::decode(reader)?,
            mode: None,
            link_id: None,
            service_id: None,
            notifier: None,
        };
        if version >= Version::SHORT_LINKS {
            queue.mode = reader.optional(QueueMode::decode)?;
            queue.link_id = reader.optional(EntityId::decode)?;
        } else if version >= Version::SKEY {
            queue.mode = Some(QueueMode::from_sender_can_secure(reader.bool()?));
        }
        if version >= Version::SERVICES {
            queue.service_id = reader.optional(EntityId::decode)?;
        }
        if version >= Version::NEW_NOTIFIER {
            queue.notifier = reader.optional(CreatedNotifier::decode)?;
        }
        Ok(queue)
    }

    pub(super) fn encode(&self, version: Version, out: &mut Vec<u8>) {
        self.recipient_id.encode(out);
        self.sender_id.encode(out);
        self.dh_key.encode(out);
        if version >= Version::SHORT_LINKS {
            put_optional(out, self.mode, |out, mode| mode.encode(out));
            put_optional(out, self.link_id.as_ref(), |out, id| id.encode(out));
        } else if version >= Version::SKEY {
            put_bool(out, self.mode.is_some_and(QueueMode::sender_can_secure));
        }
        if version >= Version::SERVICES {
            put_optional(out, self.service_id.as_ref(), |out, id| id.encode(out));
        }
        if version >= Version::NEW_NOTIFIER {
            put_optional(out, self.notifier.as_ref(), |out, notifier| notifier.encode(out));
        }
    }
}

/// A notifier, made with NEW or NKEY.
#[derive(Clone, PartialEq, Eq)]
pub struct CreatedNotifier {
    /// For the notifier.
    pub notifier_id: EntityId,
    /// The server's key of the encryption of notifications.
    pub dh_key: DhPublicKey,
}

opaque_debug!(CreatedNotifier);

impl CreatedNotifier {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self { notifier_id: EntityId::decode(reader)?, dh_key: DhPublicKey::decode(reader)? })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        self.notifier_id.encode(out);
        self.dh_key.encode(out);
    }
}

/// A session of a proxy with a relay, the parameters of PKEY.
#[derive(Clone, PartialEq, Eq)]
pub struct RelaySession {
    /// The session id between proxy and relay: the entity of later commands, and part of what the client
    /// authorises.
    pub session_id: SessionId,
    /// The versions that the client may speak with the relay.
    pub versions: VersionRange,
    /// The relay's session key, signed.
    pub key: CertChainPubKey,
}

opaque_debug!(RelaySession);

impl RelaySession {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self {
            session_id: SessionId::decode(reader)?,
            versions: VersionRange::decode(reader)?,
            key: CertChainPubKey::decode(reader)?,
        })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        self.session_id.encode(out);
        self.versions.encode(out);
        self.key.encode(out);
    }
}
