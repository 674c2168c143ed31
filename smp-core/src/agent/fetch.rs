//! Messages that are taken only when the app asks: of queues that are not subscribed, as the app wishes.
//!
//! ```text
//!   app                     agent                     server
//!   Fetch ────────────────▶    GET ─────────────────▶
//!                              ◀───────────────────── MSG
//!         ◀── Event::Message
//!         ◀── Fetched(Some)
//!   Acknowledge ──────────▶    ACK ─────────────────▶
//!   Fetch ────────────────▶    GET ─────────────────▶
//!         ◀── Fetched(None)    ◀───────────────────── OK, the queue is empty
//! ```
//!
//! A message that is not for the app is acknowledged at once and the next one is asked for, so that one call leads either to
//! something that waits for the app or to the end of all queues of the connection. While one is under way others wait for the same
//! answer.
//!
//! A server lets a session either subscribe a queue or ask for its messages, not both, and takes an acknowledgement only in the
//! session in which the message came. So all that is asked of a queue that is not subscribed goes through a session of its own; which
//! queues these are the links know. If that session ends before the acknowledgement, the message comes again with the next
//! GET, is known, and is acknowledged then.

use std::collections::VecDeque;

use super::effect::{Asked, Doing, Effect, to_error};
use super::step::{PROHIBITED, Step};
use super::store::{Connection, QueueNumber, QueueStage, WaitingQueue};
use super::{Agent, CallId, Reply};
use crate::client::{Answer, Request, RequestError};
use crate::wire::ServerAddress;
use crate::wire::agent::{AgentError, ConnectionError};
use crate::wire::error::{CommandError, ErrorType};

/// Calls that ask for messages.
#[derive(Clone, Default)]
pub(super) struct Fetching {
    calls: Vec<CallId>,
    /// The queue that is asked, and those that are asked when it is empty.
    queues: VecDeque<QueueNumber>,
    /// GET has no answer yet.
    is_asked: bool,
    /// One of the queues could be asked.
    was_allowed: bool,
    /// Why the first of the others could not.
    failure: Option<AgentError>,
    /// How many messages came that were not for the app.
    others: usize,
}

impl Fetching {
    pub(super) const fn is_idle(&self) -> bool {
        self.calls.is_empty()
    }

    /// The queue whose message is being dealt with.
    fn taken_from(&self) -> Option<QueueNumber> {
        self.queues.front().copied().filter(|_| !self.is_asked && !self.is_idle())
    }
}

impl Connection {
    /// A receive queue, as it is known outside the connection.
    pub(super) fn waiting_queue(&self, number: QueueNumber) -> Option<WaitingQueue> {
        let queue = self.receive.iter().find(|queue| queue.number == number)?;
        Some(WaitingQueue {
            connection: self.id,
            user: self.state.user,
            number,
            server: queue.server.clone(),
            recipient_id: queue.recipient_id.clone(),
            key: queue.key.clone(),
            is_associated: false,
        })
    }

    /// All queues from which it receives.
    pub(super) fn queues_in_use(&self) -> Vec<WaitingQueue> {
        let in_use = self.receive.iter().filter(|queue| queue.stage != QueueStage::Disabled);
        in_use.filter_map(|queue| self.waiting_queue(queue.number)).collect()
    }
}

impl Step<'_> {
    /// The app wants to have what waits at servers.
    pub(super) fn fetch(&mut self, id: CallId) -> Result<(), AgentError> {
        let queues = self.queues_to_ask()?;
        let fetching = &mut self.running.fetching;
        fetching.calls.push(id);
        if fetching.calls.len() > 1 {
            return Ok(());
        }
        fetching.queues = queues.iter().map(|queue| queue.number).collect();
        self.ask_queue_for_message();
        Ok(())
    }

    /// The app wants the servers to take no more messages.
    pub(super) fn suspend_queues(&mut self, id: CallId) -> Result<(), AgentError> {
        let mut queues = self.queues_to_ask()?;
        queues.reverse();
        self.effects.push(Effect::Off(id, queues));
        Ok(())
    }

    fn queues_to_ask(&mut self) -> Result<Vec<WaitingQueue>, AgentError> {
        let connection = self.connection()?;
        let queues = connection.queues_in_use();
        match queues.is_empty() {
            true if connection.send.is_empty() => Err(PROHIBITED),
            true => Err(AgentError::Connection(ConnectionError::Simplex)),
            false => Ok(queues),
        }
    }

    /// GET of the queue whose turn it is; the end, if there is none.
    fn ask_queue_for_message(&mut self) {
        let Fetching { queues, was_allowed, failure, .. } = &self.running.fetching;
        let Some(number) = queues.front() else {
            let result = match failure {
                Some(error) => Err(error.clone()),
                None if *was_allowed => Ok(None),
                None => Err(PROHIBITED),
            };
            return self.end_fetching(&result);
        };
        match self.connection.as_ref().and_then(|connection| connection.waiting_queue(*number)) {
            Some(queue) => {
                self.running.fetching.is_asked = true;
                self.effects.push(Effect::Ask(Box::new(queue), Asked::Fetch));
            }
            None => self.ask_next_queue(),
        }
    }

    fn ask_next_queue(&mut self) {
        self.running.fetching.queues.pop_front();
        self.ask_queue_for_message();
    }

    /// What a server said to GET.
    pub(super) fn fetched(&mut self, number: QueueNumber, answer: &Result<Answer, RequestError>) {
        let fetching = &mut self.running.fetching;
        if fetching.is_idle() || !fetching.is_asked || fetching.queues.front() != Some(&number) {
            // The app has subscribed the queue meanwhile, and gets the message by that.
            return;
        }
        fetching.is_asked = false;
        match answer {
            Ok(Answer::Message(Some(message))) => {
                fetching.was_allowed = true;
                self.receive_next(number, message);
            }
            Ok(_) => {
                fetching.was_allowed = true;
                self.acknowledged_last(number);
                self.is_drained(number);
                self.ask_next_queue();
            }
            Err(error) if *error == prohibited() => self.ask_next_queue(),
            Err(error) => self.fetching_failed(number, error.clone()),
        }
    }

    /// A message of a queue was acknowledged, or was not: if it was none for the app the next one is asked for.
    pub(super) fn fetch_more(&mut self, number: QueueNumber, error: Option<&RequestError>) {
        let limit = self.shared.config.limits.inbox;
        let fetching = &mut self.running.fetching;
        if fetching.taken_from() != Some(number) {
            return;
        }
        fetching.others += 1;
        match error {
            // Whoever brings the same message again and again is not asked for ever.
            _ if fetching.others > limit => self.fetching_failed(number, RequestError::Unexpected),
            // It came in a session that has ended, and comes again.
            None | Some(RequestError::Server(ErrorType::NoMessage)) => self.ask_queue_for_message(),
            Some(error) => self.fetching_failed(number, error.clone()),
        }
    }

    /// Another queue may have messages nevertheless.
    fn fetching_failed(&mut self, number: QueueNumber, error: RequestError) {
        let server = self.receive_queue(number).map(|queue| queue.server.clone());
        let error = server.map(|server| to_error(server, error));
        let fetching = &mut self.running.fetching;
        fetching.failure = fetching.failure.take().or(error);
        self.ask_next_queue();
    }

    /// What ends the fetching without an answer of a server: something waits for the app, or the queue or the connection is gone.
    pub(super) fn settle_fetching(&mut self) {
        if self.running.fetching.is_idle() {
            return;
        }
        if self.connection.as_ref().is_none_or(Connection::is_deleted) {
            return self.end_fetching(&Err(AgentError::Connection(ConnectionError::NotFound)));
        }
        let Some(number) = self.running.fetching.taken_from() else { return };
        if let Some(told) = self.running.told.first().copied() {
            self.end_fetching(&Ok(Some(told)));
        } else if self.receive_queue(number).is_none_or(|queue| queue.stage == QueueStage::Disabled) {
            self.ask_next_queue();
        }
    }

    /// All calls that wait for messages are answered.
    pub(super) fn end_fetching(&mut self, result: &Result<Option<super::LocalMessageId>, AgentError>) {
        for call in std::mem::take(&mut self.running.fetching).calls {
            self.reply(call, result.clone().map(Reply::Fetched));
        }
    }
}

impl Agent {
    /// Asks something of a queue in the session in which its messages come.
    pub(super) fn ask(&mut self, queue: Box<WaitingQueue>, asked: Asked) {
        let is_left = self.links.is_left(&queue);
        let (id, key) = (queue.recipient_id.clone(), queue.key.clone());
        let (connection, number) = (queue.connection, queue.number);
        let link = match is_left {
            true => self.links.for_fetching(queue.user, &queue.server, connection),
            false => self.links.at(queue.user, &queue.server, Some(connection)),
        };
        let (request, doing) = match asked {
            Asked::Acknowledge(message) => {
                (Request::acknowledge(id, key, message), Doing::Acknowledge(connection, number))
            }
            Asked::Probe if is_left => (Request::receive(id, key), Doing::Probe(connection, number)),
            Asked::Probe => (Request::subscribe(id, key), Doing::Probe(connection, number)),
            Asked::Fetch if is_left => (Request::receive(id, key), Doing::Fetch(connection, queue)),
            Asked::Fetch => return self.fail(None, Doing::Fetch(connection, queue), prohibited()),
        };
        self.request(link, request, doing);
    }

    /// OFF of the last of these queues.
    pub(super) fn suspend_next(&mut self, call: CallId, mut queues: Vec<WaitingQueue>) {
        let Some(queue) = queues.pop() else { return self.reply(call, Ok(Reply::Done)) };
        let request = Request::suspend(queue.recipient_id, queue.key);
        let link = self.links.at(queue.user, &queue.server, Some(queue.connection));
        self.request(link, request, Doing::Off(call, Box::new(queue.server), queues));
    }

    pub(super) fn suspended(
        &mut self,
        call: CallId,
        server: ServerAddress,
        left: Vec<WaitingQueue>,
        answer: Result<Answer, RequestError>,
    ) {
        match answer {
            Ok(_) => self.suspend_next(call, left),
            Err(error) => self.reply(call, Err(to_error(server, error))),
        }
    }
}

/// What a server says to GET in a session that is subscribed to the queue.
const fn prohibited() -> RequestError {
    RequestError::Server(ErrorType::Command(CommandError::Prohibited))
}
