//! Short links.

use std::future::Future;

use bytes::Bytes;
use smp_core::agent::{Call, ConnectionId, LinkContent, Reply, UserId};
use smp_core::crypto::link::OpenedLink;
use smp_core::wire::ConnectionRequest;
use smp_core::wire::agent::AgentError;
use smp_core::wire::link::{ContactDetails, ShortLink};

use super::{Agent, done, other_reply};

/// An invitation or an address that was made with a short link.
pub struct Linked {
    /// The connection.
    pub connection: ConnectionId,
    /// The full link. The key for post-quantum encryption is in the data of the short one alone.
    pub request: ConnectionRequest,
    /// The short link; none, if the server knows no short links. Apps may give that of an address another
    /// [kind](smp_core::wire::link::ContactKind).
    pub link: Option<ShortLink>,
}

impl Agent {
    /// As [`Self::invite`], with a short link, which shows `data` to whoever opens it first. `pq` puts a key for post-quantum
    /// encryption there.
    ///
    /// # Errors
    /// As [`Self::invite`]; `CMD LARGE` for more than about 13.7 KB of data.
    pub fn invite_with_link(
        &self,
        user: UserId,
        data: Bytes,
        pq: bool,
    ) -> impl Future<Output = Result<Linked, AgentError>> + Send + use<> {
        self.create_with_link(user, LinkContent { contact: None, data }, pq)
    }

    /// As [`Self::create_address`], with a short link, which shows `details` and `data` to everybody who has it.
    ///
    /// # Errors
    /// As [`Self::create_address`]; `CMD LARGE` for more than about 13.7 KB; `CMD PROHIBITED` for owners whom nobody with the
    /// right to named.
    pub fn create_address_with_link(
        &self,
        user: UserId,
        details: ContactDetails,
        data: Bytes,
    ) -> impl Future<Output = Result<Linked, AgentError>> + Send + use<> {
        self.create_with_link(user, LinkContent { contact: Some(Box::new(details)), data }, false)
    }

    /// Changes what the short link of an invitation (without `details`) or of an address shows, and says the link. An address
    /// that has none gets one.
    ///
    /// # Errors
    /// As the methods that make one; `CMD PROHIBITED` for an invitation without a short link, or that somebody was allowed to
    /// use, and `details` of an invitation; errors of the server. After an error that may pass the call may be repeated.
    pub fn set_link(
        &self,
        connection: ConnectionId,
        details: Option<ContactDetails>,
        data: Bytes,
    ) -> impl Future<Output = Result<ShortLink, AgentError>> + Send + use<> {
        let content = LinkContent { contact: details.map(Box::new), data };
        let called = self.call(Call::SetLink(connection, Box::new(content)));
        async move {
            match called.await? {
                Reply::Link(link) => Ok(*link),
                _ => Err(other_reply()),
            }
        }
    }

    /// Takes what a short link shows from the server. The link leads nowhere, until it is [set](Self::set_link) again; the full
    /// link is not changed.
    ///
    /// # Errors
    /// `CMD PROHIBITED` when there is no short link; errors of the server.
    pub fn delete_link(
        &self,
        connection: ConnectionId,
    ) -> impl Future<Output = Result<(), AgentError>> + Send + use<> {
        done(self.call(Call::DeleteLink(connection)))
    }

    /// Asks what a short link leads to, and verifies the answer: the request to [use](Self::join), and what its owner shows. A
    /// server that the link does not name whole is looked up among those of the user.
    ///
    /// Of an invitation only who asks first is told, and only he can use it: with a `join` of the same `connection`, a new name
    /// that the app chose and kept. Until then the call may be repeated. Of an address nothing is kept.
    ///
    /// # Errors
    /// `AGENT A_LINK` when the data is not what the link was made for; `SMP AUTH` when it leads nowhere, or somebody else asked
    /// first; `CONN DUPLICATE` when there is a connection of this name; other errors of the server.
    pub fn open_link(
        &self,
        connection: ConnectionId,
        user: UserId,
        link: ShortLink,
    ) -> impl Future<Output = Result<OpenedLink, AgentError>> + Send + use<> {
        let called = self.call(Call::OpenLink { connection, user, link: Box::new(link) });
        async move {
            match called.await? {
                Reply::Opened(opened) => Ok(*opened),
                _ => Err(other_reply()),
            }
        }
    }

    fn create_with_link(
        &self,
        user: UserId,
        content: LinkContent,
        pq: bool,
    ) -> impl Future<Output = Result<Linked, AgentError>> + Send + use<> {
        let called = self.call(Call::CreateWithLink { user, content: Box::new(content), pq });
        async move {
            let (connection, request, link) = match called.await? {
                Reply::Linked(connection, request, link) => (connection, request, Some(*link)),
                Reply::Invitation(connection, request) => (connection, request, None),
                _ => return Err(other_reply()),
            };
            Ok(Linked { connection, request: *request, link })
        }
    }
}
