//! Commands about short links.

use bytes::Bytes;
use smp_core::agent::store::Progress;
use smp_core::wire::agent_text::AgentEvent;
use smp_core::wire::link::{ConnectionMode, ContactDetails, ShortLink};

use crate::dispatch::{Answer, Begun, Done, USER, draw_connection};
use crate::translate::connection_id;

impl Begun {
    /// The key for post-quantum encryption is in the data of a short link, where it makes no link longer.
    pub(crate) fn short_link(self, mode: ConnectionMode, data: Bytes) -> Answer {
        let agent = &self.desk.agent;
        match mode {
            ConnectionMode::Invitation => self.linked(agent.invite_with_link(USER, data, true)),
            ConnectionMode::Contact => self.linked(agent.create_address_with_link(USER, details(), data)),
        }
    }

    /// What the link shows takes the place of what it showed; that of an address has no further owners.
    pub(crate) fn set_link(self, data: Bytes) -> Done {
        let connection = self.connection()?;
        let status = self.desk.agent.status(connection);
        Ok(Box::pin(async move {
            let set = async {
                let is_address = status.await?.summary.progress == Progress::Contact;
                self.desk.agent.set_link(connection, is_address.then(details), data).await
            };
            let event = match set.await {
                Ok(link) => AgentEvent::Link(Box::new(link)),
                Err(error) => AgentEvent::Error(error),
            };
            (self.name, event)
        }))
    }

    pub(crate) fn delete_link(self) -> Done {
        let deleted = self.desk.agent.delete_link(self.connection()?);
        Ok(self.answer(deleted, |_| ()))
    }

    /// Whoever looks where an invitation leads to may use it: with a JOIN that names the same connection. Of an address nothing is
    /// kept, whatever connection the client names.
    pub(crate) fn look_up(self, link: ShortLink) -> Done {
        let is_kept = link.mode() == ConnectionMode::Invitation;
        let connection = if is_kept { self.new_connection()? } else { draw_connection()? };
        let opened = self.desk.agent.open_link(connection, USER, link);
        Ok(Box::pin(async move {
            match opened.await {
                Ok(opened) if is_kept => (connection_id(connection), AgentEvent::LinkData(opened.user.data)),
                Ok(opened) => (self.name, AgentEvent::LinkData(opened.user.data)),
                Err(error) => (self.name, AgentEvent::Error(error)),
            }
        }))
    }

    /// Looks where the link leads to, and uses that.
    pub(crate) fn join_by_short_link(self, link: ShortLink, info: Bytes) -> Done {
        let connection = self.new_connection()?;
        let former = self.desk.subscribe(self.client, connection);
        let opened = self.desk.agent.open_link(connection, USER, link);
        let desk = self.desk.clone();
        let joined = async move {
            let request = opened.await?.fixed.request;
            desk.agent.join(connection, USER, request, info, true).await
        };
        Ok(self.joined(connection, former, joined))
    }
}

/// Of an address that people connect to.
fn details() -> ContactDetails {
    ContactDetails { direct: true, owners: Vec::new(), relays: Vec::new() }
}
