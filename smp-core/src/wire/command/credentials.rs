//! Who sends a command, and what it must carry: an authorisation, an entity id, both or neither.

use super::super::error::CommandError;
use super::super::id::EntityId;
use super::Command;

/// The role in which a client sends a command.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Party {
    /// Makes a queue.
    Creator,
    /// Owns a queue.
    Recipient,
    /// A service that owns queues.
    RecipientService,
    /// Sends to a queue.
    Sender,
    /// Has a link to a queue.
    SenderLink,
    /// Has no role.
    Idle,
    /// Is notified of messages in a queue.
    Notifier,
    /// A service that is notified.
    NotifierService,
    /// Sends through a proxy.
    ProxiedClient,
    /// Is a proxy.
    Proxy,
    /// Asks for a name.
    Resolver,
}

impl Command {
    /// Whether a service signs the command with the key of its session, beside the authorisation by the key of the queue.
    #[must_use]
    pub const fn is_signed_by_services(&self) -> bool {
        matches!(self, Self::New(_) | Self::Sub | Self::NSub)
    }

    /// Who sends the command.
    #[must_use]
    pub const fn party(&self) -> Party {
        match self {
            Self::New(_) => Party::Creator,
            Self::Sub
            | Self::Key(_)
            | Self::RKey(_)
            | Self::LSet { .. }
            | Self::LDel
            | Self::NKey(_)
            | Self::NDel
            | Self::Get
            | Self::Ack(_)
            | Self::Off
            | Self::Del
            | Self::Que => Party::Recipient,
            Self::Subs(_) => Party::RecipientService,
            Self::SKey(_) | Self::Send { .. } => Party::Sender,
            Self::LKey(_) | Self::LGet => Party::SenderLink,
            Self::Ping => Party::Idle,
            Self::NSub => Party::Notifier,
            Self::NSubs(_) => Party::NotifierService,
            Self::Prxy(_) | Self::Pfwd(_) => Party::ProxiedClient,
            Self::Rfwd(_) => Party::Proxy,
            Self::Rslv(_) => Party::Resolver,
        }
    }

    /// Checks that the transmission of this command has what the command needs and nothing else.
    ///
    /// # Errors
    /// The error to answer with.
    pub fn check_credentials(&self, has_auth: bool, entity: &EntityId) -> Result<(), CommandError> {
        match self {
            Self::New(_) if !has_auth => Err(CommandError::NoAuth),
            Self::New(_) if !entity.is_empty() => Err(CommandError::HasAuth),
            Self::New(_) => Ok(()),
            Self::Send { .. } | Self::LGet | Self::Pfwd(_) if entity.is_empty() => {
                Err(CommandError::NoEntity)
            }
            Self::LGet | Self::Pfwd(_) if has_auth => Err(CommandError::HasAuth),
            Self::Send { .. } | Self::LGet | Self::Pfwd(_) => Ok(()),
            Self::Ping | Self::Prxy(_) | Self::Rfwd(_) | Self::Rslv(_) => {
                if has_auth || !entity.is_empty() {
                    Err(CommandError::HasAuth)
                } else {
                    Ok(())
                }
            }
            _ if !has_auth || entity.is_empty() => Err(CommandError::NoAuth),
            _ => Ok(()),
        }
    }
}
