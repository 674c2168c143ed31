//! RSLV: names that somebody else resolves.

use super::answers::PendingKind;
use super::pipeline::Entry;
use super::{ResolveId, Session, SessionOutput};
use crate::wire::BrokerMessage;
use crate::wire::error::{ErrorType, NameError};
use crate::wire::names::{Name, NameRecord};

impl Session {
    /// Has a name resolved. Nothing waits for that but its answer: it gives no right and takes none.
    pub(super) fn resolve(&mut self, entry: &Entry, name: &Name) {
        self.last_resolve += 1;
        let id = ResolveId(self.last_resolve);
        let pending = entry.pending(PendingKind::Plain);
        self.resolving.insert(id, pending);
        self.outputs.push_back(SessionOutput::Resolve(id, name.clone()));
        self.group_decided(entry.group);
    }

    pub(super) fn resolved(&mut self, id: ResolveId, found: Result<Box<NameRecord>, NameError>) {
        let Some(pending) = self.resolving.remove(&id) else { return };
        self.input_bytes -= pending.input_bytes;
        let answer = match found {
            Ok(record) => BrokerMessage::RName(record),
            Err(error) => BrokerMessage::Err(ErrorType::Name(error)),
        };
        let (correlation, entity, via) =
            (&pending.correlation_id, &pending.entity_id, pending.via.as_deref());
        self.group_answer(pending.group, correlation, entity, via, &answer);
        self.group_sent(pending.group);
    }
}
