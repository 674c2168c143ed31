//! Users whose sessions are those of a service.

use core::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::agent::UserId;
use crate::transport::identity::IdentityKey;
use crate::wire::{EntityId, QueueSet, ServerAddress};

/// What makes the sessions of a user with a server those of a service.
#[derive(Clone)]
pub struct UserService {
    /// The user.
    pub user: UserId,
    /// The server. Others are shown other certificates, so that they cannot tell that they serve the same user.
    pub server: ServerAddress,
    /// The certificate that the server knows the service by: self-signed, DER.
    pub certificate: Bytes,
    /// The key of the certificate.
    pub key: Arc<IdentityKey>,
    /// The id that the server gave, when there was a session.
    pub id: Option<EntityId>,
    /// Queues of the service at the server that are none of ours any more, or never were, because an answer was lost: as many
    /// as it told beyond ours when all of ours were seen to be its.
    pub surplus: QueueSet,
}

/// Whose it is alone.
impl fmt::Debug for UserService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserService").field("user", &self.user).finish_non_exhaustive()
    }
}
