//! RSLV: names that somebody else resolves.

use super::answers::PendingKind;
use super::pipeline::Entry;
use super::{ResolveId, Session, SessionOutput};
use crate::server::statistics::Counter;
use crate::wire::BrokerMessage;
use crate::wire::error::{ErrorType, NameError};
use crate::wire::names::{Name, NameRecord};

impl Session {
    /// Has a name resolved. Nothing waits for that but its answer, which leaves its block: it gives no right and takes none,
    /// and a resolver may be slow.
    pub(super) fn resolve(&mut self, entry: &Entry, name: &Name) {
        self.count(Counter::Names, 1);
        if !self.config.names {
            self.count(Counter::NamesDisabled, 1);
            return self.finish(entry, &BrokerMessage::Err(ErrorType::Name(NameError::NoResolver)));
        }
        self.last_resolve += 1;
        let id = ResolveId(self.last_resolve);
        let mut pending = entry.pending(PendingKind::Plain);
        // The name is all that is kept of the command, which may have come in the layers of a proxy.
        pending.input_bytes = name.as_str().len();
        self.input_bytes = self.input_bytes + pending.input_bytes - entry.input_bytes;
        self.resolving.insert(id, pending);
        self.outputs.push_back(SessionOutput::Resolve(id, name.clone()));
        self.group_gives_up(entry.group);
    }

    pub(super) fn resolved(&mut self, id: ResolveId, found: Result<Box<NameRecord>, NameError>) {
        let Some(pending) = self.resolving.remove(&id) else { return };
        self.input_bytes -= pending.input_bytes;
        self.count(counter(&found), 1);
        let answer = match found {
            Ok(record) => BrokerMessage::RName(record),
            Err(error) => BrokerMessage::Err(ErrorType::Name(error)),
        };
        let (correlation, entity) = (&pending.correlation_id, &pending.entity_id);
        let bytes = match &pending.via {
            Some(via) => self.encode_via(via, correlation, entity, &answer),
            None => self.encode(correlation, entity, &answer),
        };
        self.send_transmissions(vec![bytes], 0);
    }
}

const fn counter(found: &Result<Box<NameRecord>, NameError>) -> Counter {
    match found {
        Ok(_) => Counter::NamesFound,
        Err(NameError::NotFound) => Counter::NamesNotFound,
        Err(NameError::NoResolver) => Counter::NamesDisabled,
        Err(_) => Counter::NamesFailed,
    }
}
