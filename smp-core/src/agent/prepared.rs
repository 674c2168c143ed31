//! Links that are known before their queues are made: so that an address can be shown, or be part of what is signed elsewhere, while
//! there is no network.
//!
//! ```text
//!   Call::PrepareLink ───▶ keys, the server, and with them all that the link says: nothing is kept, no server is asked
//!   Call::CreateForLink ─▶ NEW, with what the link is to show
//! ```
//!
//! The server does not choose: the sender id of the queue follows from the correlation id of NEW, the link id from the key of the
//! link, which is the hash of the fixed data.

use core::fmt;

use bytes::Bytes;
use zeroize::Zeroizing;

use super::effect::NewKeys;
use super::making::QueueOptions;
use super::queues::QueuePurpose;
use super::servers::ServerRole;
use super::short_links::NewLink;
use super::step::Step;
use super::{Agent, AgentVersions, CallId, ConnectionId, LinkContent, Reply, UserId, UserServer};
use crate::SeededEntropy;
use crate::client::QueueKeys;
use crate::crypto::link::{LinkFault, OwnedLink};
use crate::crypto::{Ed25519PrivateKey, X25519PrivateKey, chosen_sender_id};
use crate::wire::agent::{AgentCommandError, AgentError, ConnectionError, LinkDataError, PeerError};
use crate::wire::broker::CreatedQueue;
use crate::wire::codec::{DecodeError, Decoded};
use crate::wire::link::{ConnectionMode, ContactKind, FixedLinkData, LinkKey, LinkKind, ShortLink};
use crate::wire::queue_uri::{QueueAddress, QueueUri};
use crate::wire::{ConnectionRequest, EntityId, QueueMode, ServerAddress};

/// A contact address that is not made yet: what it will be called, where it will be, and its keys.
///
/// The app may show its links to others, and keep it ([`Self::encode`]) until the address is made. Whoever has it can make the address,
/// and change what it shows: it is a secret.
#[derive(Clone)]
pub struct PreparedLink {
    connection: ConnectionId,
    user: UserId,
    /// Of NEW.
    correlation: [u8; 24],
    /// For the encryption between senders and us.
    e2e: X25519PrivateKey,
    root: Ed25519PrivateKey,
    owned: OwnedLink,
    request: ConnectionRequest,
    /// Where its queue will be.
    address: QueueAddress,
}

/// What the app may choose of a link that is prepared.
#[derive(Clone, Default)]
pub struct LinkIdentity {
    /// The root key of the link; drawn, if there is none.
    pub root: Option<Ed25519PrivateKey>,
    /// What the link is about, such as the id of a group. It is part of the link for ever.
    pub entity_id: Option<EntityId>,
    /// Data of the app's own in the full link.
    pub client_data: Option<String>,
}

impl PreparedLink {
    /// The connection that the address will be.
    #[must_use]
    pub const fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// Whose it will be.
    #[must_use]
    pub const fn user(&self) -> UserId {
        self.user
    }

    /// The full link.
    #[must_use]
    pub const fn request(&self) -> &ConnectionRequest {
        &self.request
    }

    /// The short link. Apps may give it another kind.
    #[must_use]
    pub fn link(&self) -> ShortLink {
        let server = self.address.server.clone().into();
        ShortLink { kind: LinkKind::Contact(ContactKind::Contact), server, key: self.owned.key().clone() }
    }

    /// The key that signs what the link shows, and may name further owners
    /// ([`name_owner`](crate::crypto::link::name_owner)).
    #[must_use]
    pub const fn root(&self) -> &Ed25519PrivateKey {
        &self.root
    }

    /// The bytes to keep, about 2.2 KB, secret:
    ///
    /// ```text
    /// %x01, connection 12 bytes, user i64, correlation id 24 bytes, X25519 key and root key in PKCS #8 (48 bytes each),
    /// link key 32 bytes, sealed fixed data
    /// ```
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        // With room for all: bytes that a growing vector leaves behind are not wiped.
        let mut out = Zeroizing::new(Vec::with_capacity(HEAD + self.owned.fixed().len()));
        out.push(FORMAT);
        out.extend_from_slice(self.connection.as_bytes());
        out.extend_from_slice(&self.user.0.to_be_bytes());
        out.extend_from_slice(&self.correlation);
        out.extend_from_slice(&self.e2e.to_pkcs8_der());
        out.extend_from_slice(&self.root.to_pkcs8_der());
        out.extend_from_slice(self.owned.key().as_bytes());
        out.extend_from_slice(self.owned.fixed());
        out
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// For other bytes: also when its parts do not belong together.
    pub fn decode(bytes: &[u8]) -> Decoded<Self> {
        // By references, so that no copy of a key is left behind.
        let mut rest = bytes;
        if *chunk(&mut rest)? != [FORMAT] {
            return Err(DecodeError);
        }
        let connection = ConnectionId::new(*chunk(&mut rest)?);
        let user = UserId(i64::from_be_bytes(*chunk(&mut rest)?));
        let correlation = *chunk(&mut rest)?;
        let malformed = |_| DecodeError;
        let e2e = X25519PrivateKey::from_pkcs8_der(chunk::<PKCS8>(&mut rest)?).map_err(malformed)?;
        let root = Ed25519PrivateKey::from_pkcs8_der(chunk::<PKCS8>(&mut rest)?).map_err(malformed)?;
        let (key, fixed) = (LinkKey::new(*chunk(&mut rest)?), Bytes::copy_from_slice(rest));
        let owned = OwnedLink::load(ConnectionMode::Contact, key, fixed).map_err(|_| DecodeError)?;
        let FixedLinkData { root_key, request, .. } = owned.open_fixed().map_err(|_| DecodeError)?;
        let address = request.queues().first().ok_or(DecodeError)?.address.clone();
        let is_ours = address.sender_id == chosen_sender_id(&correlation.into())
            && address.dh_key == e2e.public()
            && root_key.0 == root.public();
        if !is_ours {
            return Err(DecodeError);
        }
        Ok(Self { connection, user, correlation, e2e, root, owned, request, address })
    }

    fn new(
        user: UserId,
        server: ServerAddress,
        identity: LinkIdentity,
        versions: AgentVersions,
        entropy: &mut SeededEntropy,
    ) -> Result<Self, AgentError> {
        let LinkIdentity { root, entity_id, client_data } = identity;
        let connection = ConnectionId::generate(entropy);
        let correlation = entropy.bytes();
        let e2e = X25519PrivateKey::generate(entropy);
        let root = root.unwrap_or_else(|| Ed25519PrivateKey::generate(entropy));
        let address = QueueAddress {
            server,
            sender_id: chosen_sender_id(&correlation.into()),
            dh_key: e2e.public(),
            mode: Some(QueueMode::Contact),
        };
        let queue = QueueUri { versions: versions.client, address: address.clone() };
        let mut request = ConnectionRequest::new(versions.agent, vec![queue], None).map_err(cannot_write)?;
        if let Some(data) = client_data {
            request = request.with_client_data(data).map_err(|_| LARGE)?;
        }
        let owned = OwnedLink::new(versions.agent, request.clone(), entity_id, &root, entropy);
        let owned = owned.map_err(|fault| match fault {
            LinkFault::TooLarge(_) => LARGE,
            _ => cannot_write(DecodeError),
        })?;
        Ok(Self { connection, user, correlation, e2e, root, owned, request, address })
    }

    /// What the call that makes it is answered with.
    fn made(&self) -> Reply {
        Reply::Linked(self.connection, Box::new(self.request.clone()), Box::new(self.link()))
    }
}

/// Of the same link, which says all of it.
impl PartialEq for PreparedLink {
    fn eq(&self, other: &Self) -> bool {
        self.connection == other.connection
            && self.user == other.user
            && self.owned.key() == other.owned.key()
    }
}

impl Eq for PreparedLink {}

/// The name alone.
impl fmt::Debug for PreparedLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PreparedLink")
    }
}

impl Agent {
    /// Prepares a link, which is about no connection yet.
    pub(super) fn prepare_link(
        &mut self,
        id: CallId,
        user: UserId,
        identity: LinkIdentity,
        options: QueueOptions,
    ) {
        let versions = self.shared.config.versions;
        let server = self.shared.choose_server(user, ServerRole::Storage, &[]);
        let prepared = server.and_then(|server| {
            self.shared.check_notices(&server.address, options)?;
            PreparedLink::new(user, server.address, identity, versions, &mut self.shared.entropy)
        });
        self.reply(id, prepared.map(|prepared| Reply::Prepared(Box::new(prepared))));
    }
}

impl Step<'_> {
    /// Makes the address of a prepared link, if it is not there.
    pub(super) fn create_for_link(
        &mut self,
        id: CallId,
        prepared: &PreparedLink,
        content: &LinkContent,
    ) -> Result<(), AgentError> {
        if self.connection.is_some() {
            return self.tell_made_for_link(id, prepared);
        }
        if !self.shared.has_user(prepared.user) {
            return Err(AgentError::NoUser);
        }
        self.connection = Some(self.new_address(prepared.user));
        if let Err(error) = self.request_prepared_queue(prepared, content) {
            self.connection = None;
            return Err(error);
        }
        self.running.task.is_under_way = true;
        self.running.call = Some(id);
        Ok(())
    }

    /// It was made before, or another connection has this name.
    fn tell_made_for_link(&mut self, id: CallId, prepared: &PreparedLink) -> Result<(), AgentError> {
        let link = self.connection()?.receive.first().and_then(|queue| queue.link.as_deref());
        if link.is_none_or(|link| link.key != *prepared.owned.key()) {
            return Err(AgentError::Connection(ConnectionError::Duplicate));
        }
        self.reply(id, Ok(prepared.made()));
        Ok(())
    }

    fn request_prepared_queue(
        &mut self,
        prepared: &PreparedLink,
        content: &LinkContent,
    ) -> Result<(), AgentError> {
        let PreparedLink { owned, root, correlation, .. } = prepared.clone();
        let QueueAddress { server, sender_id, .. } = prepared.address.clone();
        // The password is that of now, and not kept with the link.
        let known = self.shared.users.get(&prepared.user).map(|user| user.servers.clone());
        let known = known.unwrap_or_default().into_iter().find(|known| known.address == server);
        let server = known.unwrap_or_else(|| UserServer::new(server));
        self.check_notices(&server.address, QueuePurpose::Address)?;
        let link = NewLink::new(owned, root, sender_id, correlation);
        let link = self.with_content(link.of_prepared(prepared.request.clone()), content)?;
        let queue = QueueKeys::generate(&mut self.shared.entropy);
        self.request_new(&server, QueuePurpose::Address, queue, prepared.e2e.clone(), Some(link));
        Ok(())
    }

    /// The server made another queue than the link leads to: it knows no links. Nothing of it is of use.
    pub(super) fn made_other_queue(&mut self, keys: &NewKeys, queue: &CreatedQueue) {
        self.fail_call(AgentError::Peer(PeerError::Link(LinkDataError::Address)));
        self.keep();
        if self.new_receive_queue(keys, queue).and_then(|_| self.delete_now(false)).is_err() {
            self.connection = None;
        }
    }
}

fn chunk<'a, const N: usize>(rest: &mut &'a [u8]) -> Decoded<&'a [u8; N]> {
    let (chunk, after) = rest.split_first_chunk().ok_or(DecodeError)?;
    *rest = after;
    Ok(chunk)
}

fn cannot_write(_: DecodeError) -> AgentError {
    AgentError::Internal("the link cannot be made".to_owned())
}

const LARGE: AgentError = AgentError::Command(AgentCommandError::Large);

/// The first byte of what is kept.
const FORMAT: u8 = 1;
/// Bytes of a private key.
const PKCS8: usize = 48;
/// Bytes before the fixed data.
const HEAD: usize = 1 + 12 + 8 + 24 + 2 * PKCS8 + 32;

#[cfg(test)]
impl PreparedLink {
    /// One with this name.
    pub(super) fn sample(connection: ConnectionId) -> Self {
        let host = "smp.example".parse().expect("a name");
        let server = ServerAddress::new(vec![host], None, [1; 32]).expect("one host");
        let (versions, identity) = (AgentVersions::default(), LinkIdentity::default());
        let made = Self::new(UserId(1), server, identity, versions, &mut SeededEntropy::new([1; 32]));
        Self { connection, ..made.expect("a server") }
    }
}
