//! What waits for the app is told again.

use super::step::Step;
use super::store::{AgentQuery, Found, Progress};
use super::{CallId, Reply};
use crate::wire::agent::{AgentError, ConnectionError};

impl Step<'_> {
    /// Tells the app again what it was told and did not take care of.
    pub(super) fn tell_again(&mut self, id: CallId) -> Result<(), AgentError> {
        let not_found = AgentError::Connection(ConnectionError::NotFound);
        let Some(Found::Waiting { confirmations, messages }) = self.found.take() else {
            return Err(not_found);
        };
        if self.connection()?.state.progress == Progress::Contact
            && let Some(Found::Invitations(invitations)) = self.ask(AgentQuery::Invitations(self.id))
        {
            invitations.iter().for_each(|invitation| self.tell_request(invitation));
        }
        confirmations.iter().for_each(|confirmation| self.tell_confirmation(confirmation));
        messages.iter().for_each(|message| self.tell(message));
        self.reply(id, Ok(Reply::Done));
        Ok(())
    }
}
