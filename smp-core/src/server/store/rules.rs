//! Who may do what to a queue. The one place with the rules; every store uses it.

use super::{OpResult, QueueChange, QueueRecord, QueueStatus};
use crate::wire::error::BlockingInfo;
use crate::wire::{AuthPublicKey, EntityId, QueueMode};

/// Why an operation on a queue is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// There is no such queue, or the key has no right to this.
    Unauthorized,
    /// The key has the right, but the operator blocked the queue.
    Blocked(BlockingInfo),
}

impl From<Refusal> for OpResult {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unauthorized => Self::Unauthorized,
            Refusal::Blocked(info) => Self::Blocked(info),
        }
    }
}

/// Whether an operation is allowed.
type Allowed = Result<(), Refusal>;

impl QueueRecord {
    /// True when `key` is one of the recipient's.
    #[must_use]
    pub fn is_recipient(&self, key: &AuthPublicKey) -> bool {
        self.recipient_keys.contains(key)
    }

    /// Whether its recipient, by `key`, may use the queue; without a key, whether anybody may.
    ///
    /// # Errors
    /// When not.
    pub fn recipient_may_use(&self, key: Option<&AuthPublicKey>) -> Result<(), Refusal> {
        allowed_if(key.is_none_or(|key| self.is_recipient(key)))?;
        self.not_blocked()
    }

    /// Whether a sender may append with `key`, or without one.
    ///
    /// # Errors
    /// When not.
    pub fn sender_may_append(&self, key: Option<&AuthPublicKey>) -> Result<(), Refusal> {
        allowed_if(self.sender_key.as_ref() == key && self.status != QueueStatus::Off)?;
        self.not_blocked()
    }

    /// Whether the recipient, by `key`, may set the data of this link. Whether fixed data stays and whether the id is free
    /// is for the store to see.
    ///
    /// # Errors
    /// When not.
    pub fn recipient_may_set_link(&self, key: &AuthPublicKey, link: &EntityId) -> Result<(), Refusal> {
        self.recipient_may_use(Some(key))?;
        let is_its_link = self.link.as_ref().is_none_or(|known| known == link);
        allowed_if(is_its_link && !link.is_empty() && !self.is_secured_messaging())
    }

    /// Whether anybody may read the data of this link.
    ///
    /// # Errors
    /// When not.
    pub fn anybody_may_read_link(&self, link: &EntityId) -> Result<(), Refusal> {
        allowed_if(self.is_contact_link(link))?;
        self.not_blocked()
    }

    /// True when this is the link of a contact queue, or of one without a mode that is not secured.
    #[must_use]
    pub fn is_contact_link(&self, link: &EntityId) -> bool {
        let is_contact = match self.mode {
            Some(mode) => mode == QueueMode::Contact,
            None => self.sender_key.is_none(),
        };
        is_contact && self.link.as_ref() == Some(link)
    }

    /// Whether a notifier, by `key`, may use the queue; without a key, whether this is (still) its notifier.
    ///
    /// # Errors
    /// When not.
    pub fn notifier_may_use(&self, id: &EntityId, key: Option<&AuthPublicKey>) -> Result<(), Refusal> {
        let is_notifier = self
            .notifier
            .as_ref()
            .is_some_and(|notifier| notifier.id == *id && key.is_none_or(|key| notifier.key == *key));
        allowed_if(is_notifier)
    }

    /// True when the link of this queue was used by the sender for whom it was made.
    #[must_use]
    pub fn is_secured_messaging(&self) -> bool {
        self.mode == Some(QueueMode::Messaging) && self.sender_key.is_some()
    }

    /// Makes a change if it is allowed.
    ///
    /// # Errors
    /// When not.
    pub fn apply(&mut self, change: QueueChange) -> Result<(), Refusal> {
        match change {
            QueueChange::SecureByRecipient { by, key } => {
                self.recipient_may_use(Some(&by))?;
                self.secure(key)
            }
            QueueChange::SecureBySender { key } => {
                allowed_if(self.mode == Some(QueueMode::Messaging))?;
                allowed_if(self.sender_key.is_none_or(|known| known == key))?;
                self.not_blocked()?;
                self.secure(key)
            }
            QueueChange::ReplaceRecipientKeys { by, keys } => {
                self.recipient_may_use(Some(&by))?;
                allowed_if(self.mode == Some(QueueMode::Contact) && !keys.is_empty())?;
                self.recipient_keys = keys;
                Ok(())
            }
            QueueChange::Suspend { by } => {
                allowed_if(self.is_recipient(&by))?;
                if self.not_blocked().is_ok() {
                    self.status = QueueStatus::Off;
                }
                Ok(())
            }
        }
    }

    /// Blocks it, or ends that.
    pub const fn block(&mut self, info: Option<BlockingInfo>) {
        match (info, self.status) {
            (Some(info), _) => self.status = QueueStatus::Blocked(info),
            (None, QueueStatus::Blocked(_)) => self.status = QueueStatus::Active,
            (None, QueueStatus::Active | QueueStatus::Off) => {}
        }
    }

    const fn not_blocked(&self) -> Allowed {
        match self.status {
            QueueStatus::Blocked(info) => Err(Refusal::Blocked(info)),
            QueueStatus::Active | QueueStatus::Off => Ok(()),
        }
    }

    fn secure(&mut self, key: AuthPublicKey) -> Allowed {
        allowed_if(*self.sender_key.get_or_insert(key) == key)
    }
}

const fn allowed_if(allowed: bool) -> Allowed {
    if allowed { Ok(()) } else { Err(Refusal::Unauthorized) }
}
