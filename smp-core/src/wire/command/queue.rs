//! Parameters of the commands about queues.

use bytes::Bytes;

use super::super::codec::{DecodeError, Decoded, Reader, put_bool, put_large, put_optional};
use super::super::id::EntityId;
use super::super::key::{AuthPublicKey, DhPublicKey};
use super::super::password::Password;
use super::super::queue_mode::QueueMode;
use super::super::version::Version;

/// The parameters of NEW.
///
/// | versions | bytes after the two keys |
/// |---|---|
/// | 6-8 | `A` and the password, or nothing; subscription mode |
/// | 9-14 | optional password; subscription mode; bool: the sender may secure the queue |
/// | 15-16 | optional password; subscription mode; optional [`QueueRequestData`] |
/// | from 17 | likewise, then optional [`NotifierKeys`] |
#[derive(Clone, PartialEq, Eq)]
pub struct NewQueue {
    /// The key of the recipient, that authorises this command too.
    pub recipient_key: AuthPublicKey,
    /// The recipient's key of the encryption of messages between server and recipient.
    pub dh_key: DhPublicKey,
    /// The password of the server.
    pub password: Option<Password>,
    /// Whether to subscribe at once.
    pub subscribe: SubscriptionMode,
    /// What the queue is for. Versions before 9 know none, those before 15 only the mode, and there it is
    /// always told: without it a contact queue is asked for.
    pub queue_data: Option<QueueRequestData>,
    /// The keys of a notifier, from version 17.
    pub notifier: Option<NotifierKeys>,
}

opaque_debug!(NewQueue);

impl NewQueue {
    /// Reads the parameters.
    ///
    /// # Errors
    /// When they are malformed.
    pub fn decode(version: Version, reader: &mut Reader<'_>) -> Decoded<Self> {
        let recipient_key = AuthPublicKey::decode(reader)?;
        let dh_key = DhPublicKey::decode(reader)?;
        let password = if version >= Version::SKEY {
            reader.optional(Password::decode)?
        } else if reader.tag(b"A").is_ok() {
            Some(Password::decode(reader)?)
        } else {
            None
        };
        Ok(Self {
            recipient_key,
            dh_key,
            password,
            subscribe: SubscriptionMode::decode(reader)?,
            queue_data: QueueRequestData::decode(version, reader)?,
            notifier: if version >= Version::NEW_NOTIFIER {
                reader.optional(NotifierKeys::decode)?
            } else {
                None
            },
        })
    }

    /// Writes what `version` has of the parameters.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        self.recipient_key.encode(out);
        self.dh_key.encode(out);
        if version >= Version::SKEY {
            put_optional(out, self.password.as_ref(), |out, password| password.encode(out));
        } else if let Some(password) = &self.password {
            out.push(b'A');
            password.encode(out);
        }
        self.subscribe.encode(out);
        QueueRequestData::encode(self.queue_data.as_ref(), version, out);
        if version >= Version::NEW_NOTIFIER {
            put_optional(out, self.notifier, |out, keys| keys.encode(out));
        }
    }
}

/// Whether a new queue is subscribed to. One byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SubscriptionMode {
    /// `S`: the connection receives its messages.
    Subscribe,
    /// `C`: it does not.
    OnlyCreate,
}

impl SubscriptionMode {
    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        match reader.u8()? {
            b'S' => Ok(Self::Subscribe),
            b'C' => Ok(Self::OnlyCreate),
            _ => Err(DecodeError),
        }
    }

    fn encode(self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Subscribe => b'S',
            Self::OnlyCreate => b'C',
        });
    }
}

/// What a new queue is for: its mode, then its link, if it has one.
#[derive(Clone, PartialEq, Eq)]
pub enum QueueRequestData {
    /// `M`: one sender.
    Messaging(Option<MessagingLink>),
    /// `C`: a contact address.
    Contact(Option<ContactLink>),
}

opaque_debug!(QueueRequestData);

impl QueueRequestData {
    /// The mode.
    #[must_use]
    pub const fn mode(&self) -> QueueMode {
        match self {
            Self::Messaging(_) => QueueMode::Messaging,
            Self::Contact(_) => QueueMode::Contact,
        }
    }

    fn decode(version: Version, reader: &mut Reader<'_>) -> Decoded<Option<Self>> {
        if version >= Version::SHORT_LINKS {
            return reader.optional(|r| match QueueMode::decode(r)? {
                QueueMode::Messaging => r.optional(MessagingLink::decode).map(Self::Messaging),
                QueueMode::Contact => r.optional(ContactLink::decode).map(Self::Contact),
            });
        }
        if version < Version::SKEY {
            return Ok(None);
        }
        Ok(Some(match QueueMode::from_sender_can_secure(reader.bool()?) {
            QueueMode::Messaging => Self::Messaging(None),
            QueueMode::Contact => Self::Contact(None),
        }))
    }

    fn encode(data: Option<&Self>, version: Version, out: &mut Vec<u8>) {
        if version >= Version::SHORT_LINKS {
            put_optional(out, data, |out, data| {
                data.mode().encode(out);
                match data {
                    Self::Messaging(link) => put_optional(out, link.as_ref(), |out, link| link.encode(out)),
                    Self::Contact(link) => put_optional(out, link.as_ref(), |out, link| link.encode(out)),
                }
            });
        } else if version >= Version::SKEY {
            put_bool(out, data.is_some_and(|data| data.mode().sender_can_secure()));
        }
    }
}

/// The link of a new messaging queue. The server chooses the link id.
#[derive(Clone, PartialEq, Eq)]
pub struct MessagingLink {
    /// The sender id, which follows from the correlation id of the command.
    pub sender_id: EntityId,
    /// What the link shows.
    pub data: LinkData,
}

opaque_debug!(MessagingLink);

impl MessagingLink {
    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self { sender_id: EntityId::decode(reader)?, data: LinkData::decode(reader)? })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.sender_id.encode(out);
        self.data.encode(out);
    }
}

/// The link of a new contact queue. Its id is derived from the data by the creator.
#[derive(Clone, PartialEq, Eq)]
pub struct ContactLink {
    /// The link id.
    pub link_id: EntityId,
    /// The sender id, which follows from the correlation id of the command.
    pub sender_id: EntityId,
    /// What the link shows.
    pub data: LinkData,
}

opaque_debug!(ContactLink);

impl ContactLink {
    fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self {
            link_id: EntityId::decode(reader)?,
            sender_id: EntityId::decode(reader)?,
            data: LinkData::decode(reader)?,
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.link_id.encode(out);
        self.sender_id.encode(out);
        self.data.encode(out);
    }
}

/// The data of a link, encrypted for those who know the link: two large strings of at most 65535 bytes. Clients make it and
/// open it with [`crate::crypto::link`].
#[derive(Clone, PartialEq, Eq)]
pub struct LinkData {
    /// What never changes.
    pub fixed: Bytes,
    /// What the owner may change.
    pub user: Bytes,
}

opaque_debug!(LinkData);

impl LinkData {
    /// Reads the data.
    ///
    /// # Errors
    /// When bytes are missing.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self { fixed: reader.large()?, user: reader.large()? })
    }

    /// Writes the data.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_large(out, &self.fixed);
        put_large(out, &self.user);
    }
}

/// The keys of a notifier.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NotifierKeys {
    /// Authorises the notifier's commands.
    pub auth_key: AuthPublicKey,
    /// The recipient's key of the encryption of notifications.
    pub dh_key: DhPublicKey,
}

opaque_debug!(NotifierKeys);

impl NotifierKeys {
    /// Reads the keys.
    ///
    /// # Errors
    /// When one is malformed.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        Ok(Self { auth_key: AuthPublicKey::decode(reader)?, dh_key: DhPublicKey::decode(reader)? })
    }

    /// Writes the keys.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.auth_key.encode(out);
        self.dh_key.encode(out);
    }
}

/// What the server may know about a message. `T` or `F`; a reader ignores what follows up to the next space,
/// which leaves room for more flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MessageFlags {
    /// The recipient wants to be notified of it.
    pub notification: bool,
}

impl MessageFlags {
    /// Reads flags up to a space or the end.
    ///
    /// # Errors
    /// When the first is neither `T` nor `F`.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        let notification = reader.bool()?;
        reader.word();
        Ok(Self { notification })
    }

    /// Writes the flags.
    pub fn encode(self, out: &mut Vec<u8>) {
        put_bool(out, self.notification);
    }
}
