//! PRXY and PFWD: commands that wait for a relay, apart from all others so that none waits for them.

use std::collections::{BTreeMap, VecDeque};

use super::Session;
use super::SessionOutput;
use super::pipeline::Entry;
use crate::server::proxy::{ProxyReply, ProxyRequest};
use crate::wire::error::{ErrorType, ProxyError};
use crate::wire::{BrokerMessage, Command, CorrelationId, EntityId, FwdTransmission};

/// The commands of a connection that wait for relays.
#[derive(Default)]
pub(super) struct Proxied {
    /// Those that the proxy has, by number.
    asked: BTreeMap<u64, Asked>,
    last: u64,
    /// Those that wait until one of these is answered. They count as input.
    waiting: VecDeque<Entry>,
    /// Bytes of the commands that the proxy has.
    bytes: usize,
}

struct Asked {
    correlation_id: CorrelationId,
    entity_id: EntityId,
    bytes: usize,
}

impl Proxied {
    /// Commands without an answer.
    pub(super) fn len(&self) -> usize {
        self.asked.len() + self.waiting.len()
    }

    /// Bytes of the commands that the proxy has.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Session {
    /// Takes a command for the proxy out of its block, whose other answers do not wait for it.
    pub(super) fn take_proxied(&mut self, entry: Entry) {
        if let Some(error) = self.refuses_proxied(&entry.command) {
            return self.finish(&entry, &BrokerMessage::Err(error));
        }
        self.group_gives_up(entry.group);
        self.proxied.waiting.push_back(entry);
        self.ask_proxy();
    }

    /// The proxy's answer to a command.
    pub(super) fn proxy_answered(&mut self, ProxyReply(number, answer): ProxyReply) {
        let Some(asked) = self.proxied.asked.remove(&number) else { return };
        self.proxied.bytes -= asked.bytes;
        let bytes = self.encode(&asked.correlation_id, &asked.entity_id, &answer);
        self.send_transmissions(vec![bytes], 0);
        self.ask_proxy();
    }

    /// Gives the proxy as many commands as it may have of one connection.
    fn ask_proxy(&mut self) {
        while self.proxied.asked.len() < self.config.limits.client_forwards
            && let Some(entry) = self.proxied.waiting.pop_front()
        {
            self.input_bytes -= entry.input_bytes;
            let Entry { from, command, input_bytes: bytes, .. } = entry;
            let number = self.proxied.last + 1;
            let request = match command {
                Command::Prxy(request) => ProxyRequest::session(number, request.relay),
                Command::Pfwd(request) => {
                    let correlation_id = from.correlation_id.clone();
                    let forward = Box::new(FwdTransmission { correlation_id, request });
                    ProxyRequest::forward(number, from.entity_id.clone(), forward)
                }
                // Nothing else is taken.
                _ => continue,
            };
            self.proxied.last = number;
            self.proxied.bytes += bytes;
            let asked = Asked { correlation_id: from.correlation_id, entity_id: from.entity_id, bytes };
            self.proxied.asked.insert(number, asked);
            self.outputs.push_back(SessionOutput::ToProxy(request));
        }
    }

    /// Why a command is not for the proxy, if it is not. Without a session there is no forwarding, so a password is asked
    /// for the session alone.
    fn refuses_proxied(&self, command: &Command) -> Option<ErrorType> {
        let error = match command {
            Command::Prxy(request) if self.config.proxy && self.config.accepts(request.password.as_ref()) => {
                return None;
            }
            Command::Prxy(_) => ProxyError::BasicAuth,
            _ if self.config.proxy => return None,
            _ => ProxyError::NoSession,
        };
        Some(ErrorType::Proxy(Box::new(error)))
    }
}
