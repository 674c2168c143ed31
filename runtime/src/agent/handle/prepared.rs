//! Links that are prepared before they lead anywhere, and owners of links.

use std::future::Future;

use bytes::Bytes;
use smp_core::agent::{Call, ConnectionId, LinkContent, LinkIdentity, PreparedLink, Reply, UserId};
use smp_core::crypto::Ed25519PrivateKey;
use smp_core::wire::agent::AgentError;
use smp_core::wire::link::{ContactDetails, ShortLink};

use super::{Agent, Linked, other_reply};

impl Agent {
    /// Prepares a contact address on one of the user's servers: its links are known from then on, and what they say is theirs for
    /// ever. No network is needed, and nothing is kept: the app keeps it ([`PreparedLink::encode`]) until it has made the address with
    /// [`Self::create_for_link`]. `identity` is what the app chooses of the link, such as its root key.
    ///
    /// # Errors
    /// [`AgentError::NoUser`] when no servers are known for the user; `CMD LARGE` for more client data than fits;
    /// [`AgentError::Notice`] for a server that takes no new address, if the app [wants to know](smp_core::agent::QueueOptions::check_notices).
    pub fn prepare_link(
        &self,
        user: UserId,
        identity: LinkIdentity,
    ) -> impl Future<Output = Result<PreparedLink, AgentError>> + Send + use<> {
        let called = self.call(Call::PrepareLink { user, identity: Box::new(identity) });
        async move {
            match called.await? {
                Reply::Prepared(prepared) => Ok(*prepared),
                _ => Err(other_reply()),
            }
        }
    }

    /// Makes an address that was [prepared](Self::prepare_link), whose short link shows `details` and `data`. After an error that may
    /// pass, and after a crash, it may be repeated; of an address that was made already the same is told, and what it shows is
    /// not changed.
    ///
    /// # Errors
    /// As [`Self::create_address_with_link`]; `CONN DUPLICATE` while the address is being made; `SMP AUTH` when the server has made the
    /// queue before and its answer was lost: then nobody can use the link, and another one has to be prepared; `AGENT A_LINK` when
    /// the server knows no short links.
    pub fn create_for_link(
        &self,
        prepared: PreparedLink,
        details: ContactDetails,
        data: Bytes,
    ) -> impl Future<Output = Result<Linked, AgentError>> + Send + use<> {
        let content = Box::new(LinkContent { contact: Some(Box::new(details)), data });
        let called = self.call(Call::CreateForLink { prepared: Box::new(prepared), content });
        async move {
            match called.await? {
                Reply::Linked(connection, request, link) => {
                    Ok(Linked { connection, request: *request, link: Some(*link) })
                }
                _ => Err(other_reply()),
            }
        }
    }

    /// The root key of the short link of an invitation or an address; none, if it has no short link, or somebody was allowed to use
    /// the invitation. It names further owners of an address ([`name_owner`]), who are told of in the details that
    /// [`Self::set_link`] and the methods that make a link take. Each may name more, and sign what the link shows.
    ///
    /// ```
    /// # use smp_core::agent::ConnectionId;
    /// # use smp_core::wire::agent::AgentError;
    /// use smp_core::crypto::Ed25519PrivateKey;
    /// use smp_core::crypto::link::name_owner;
    /// use smp_core::wire::Ed25519PublicKey;
    /// use smp_core::wire::link::ContactDetails;
    /// # use smp_runtime::agent::Agent;
    ///
    /// /// Makes somebody an owner of an address.
    /// async fn share(agent: &Agent, address: ConnectionId, whose: Ed25519PublicKey) -> Result<(), AgentError> {
    ///     let Some(root) = agent.link_root(address).await? else { return Ok(()) };
    ///     let owner = name_owner(b"moderator", whose, &root).expect("the id is short");
    ///     let details = ContactDetails { direct: true, owners: vec![owner], relays: Vec::new() };
    ///     agent.set_link(address, Some(details), "a profile".into()).await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// [`name_owner`]: smp_core::crypto::link::name_owner
    ///
    /// # Errors
    /// `CONN NOT_FOUND` when there is no such connection.
    pub fn link_root(
        &self,
        connection: ConnectionId,
    ) -> impl Future<Output = Result<Option<Ed25519PrivateKey>, AgentError>> + Send + use<> {
        let called = self.call(Call::LinkRoot(connection));
        async move {
            match called.await? {
                Reply::LinkRoot(root) => Ok(root.map(|root| root.0)),
                _ => Err(other_reply()),
            }
        }
    }

    /// As [`Self::set_link`], with a signature of one of the owners whom `details` name, in place of the root key's.
    ///
    /// # Errors
    /// As [`Self::set_link`]; `CMD PROHIBITED` when `signer` is none of them.
    pub fn set_link_signed(
        &self,
        connection: ConnectionId,
        details: ContactDetails,
        data: Bytes,
        signer: Ed25519PrivateKey,
    ) -> impl Future<Output = Result<ShortLink, AgentError>> + Send + use<> {
        let content = Box::new(LinkContent { contact: Some(Box::new(details)), data });
        let called = self.call(Call::SetLinkSigned(connection, content, Box::new(signer)));
        async move {
            match called.await? {
                Reply::Link(link) => Ok(*link),
                _ => Err(other_reply()),
            }
        }
    }
}
