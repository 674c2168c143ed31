//! Calls that are made of others.

use super::actor::Work;
use super::durable::FIRST_OWN;
use super::{Agent, AgentOutput, Call, CallId, Reply};
use crate::wire::agent::{AgentCommandError, AgentError};

/// Several calls that are answered together.
pub(super) struct Many {
    replies: Vec<Option<Result<Reply, AgentError>>>,
    left: usize,
}

impl Agent {
    /// Begins all of them: each goes its own way, and those about one connection in their order.
    pub(super) fn call_many(&mut self, id: CallId, calls: Vec<Call>) {
        if calls.is_empty() {
            return self.outputs.push_back(AgentOutput::Reply(id, Ok(Reply::Many(Vec::new()))));
        }
        self.many.insert(id, Many { replies: calls.iter().map(|_| None).collect(), left: calls.len() });
        for (place, call) in calls.into_iter().enumerate() {
            let part = self.own_call();
            self.parts.insert(part, (id, place));
            match call {
                Call::Many(_) => self.reply(part, Err(AgentError::Command(AgentCommandError::Prohibited))),
                call => self.call(part, call),
            }
        }
    }

    /// Answers a call, or a part of one.
    pub(super) fn reply(&mut self, id: CallId, reply: Result<Reply, AgentError>) {
        let Some((whole, place)) = self.parts.remove(&id) else {
            if id > FIRST_OWN {
                let Some(connection) = self.commanded(id) else { return };
                return self.work(connection, Work::Finished(id, Box::new(reply)));
            }
            return self.outputs.push_back(AgentOutput::Reply(id, reply));
        };
        let Some(many) = self.many.get_mut(&whole) else { return };
        if let Some(of_part) = many.replies.get_mut(place) {
            *of_part = Some(reply);
            many.left -= 1;
        }
        if many.left == 0
            && let Some(many) = self.many.remove(&whole)
        {
            let replies = many.replies.into_iter().flatten().collect();
            self.outputs.push_back(AgentOutput::Reply(whole, Ok(Reply::Many(replies))));
        }
    }
}
