//! Contact addresses: one side of a talk makes one, the other one asks there, and is turned away or accepted.
//!
//! Who has the address is side 1 of the talk: he uses an invitation of side 0, as in other talks, but gets it through the address.

use std::collections::BTreeMap;

use smp_core::agent::{Call, ConnectionId, ContactRequest, InvitationId, Reply};
use smp_core::wire::agent::{AgentCommandError, AgentError, ConnectionError};

use super::app::{Action, Asked, is_passing};
use super::model::{Leaving, Step, Talk};
use super::world::World;

/// What can be done with an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum AtAddress {
    Create,
    Ask,
    Accept(InvitationId),
    Reject(InvitationId),
    Requests,
    TellAgain,
    /// Delete the connection of a request that was rejected.
    Forget(ConnectionId),
}

/// The address of a talk, and what its owner knows.
#[derive(Default)]
pub(super) struct Address {
    pub(super) connection: Option<ConnectionId>,
    /// How often he turns the other one away before he accepts.
    rejections: usize,
    requests: BTreeMap<InvitationId, Request>,
    /// His process is new.
    asks_again: bool,
    /// He asked to be told again, and was not answered.
    is_wanted_again: bool,
    /// His process died since he has it.
    has_crashed: bool,
}

/// A request that the owner was told of.
struct Request {
    /// In this process.
    told_now: bool,
    fate: Fate,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Open,
    Accepted,
    Rejected,
}

impl World {
    /// What a side of a talk that begins at an address could do before it has a connection.
    pub(super) fn possible_at_address(&self, talk: usize, side: usize, add: &mut impl FnMut(Action)) {
        let state = &self.talks[talk];
        let Some(address) = &state.address else { return };
        let mut add = |action| add(Action::Address(action));
        match (side, address.connection) {
            (0, _) if state.request.is_some() => add(AtAddress::Ask),
            (0, _) => {}
            (_, None) => add(AtAddress::Create),
            _ if address.asks_again => {
                add(AtAddress::Requests);
                add(AtAddress::TellAgain);
            }
            _ => {
                let mut open = address.requests.iter().filter(|(_, of)| of.fate == Fate::Open);
                match open.next() {
                    Some((id, _)) if address.rejections > 0 => add(AtAddress::Reject(*id)),
                    Some((id, _)) => add(AtAddress::Accept(*id)),
                    None => {}
                }
            }
        }
    }

    /// Connections whose request was rejected are deleted, also by who has left the one that he asked for after that.
    pub(super) fn possible_to_forget(&self, person: usize, talk: usize, possible: &mut Vec<Asked>) {
        let who = &self.talks[talk].sides[0];
        let calls = &self.people[person].app.calls;
        for (id, leaving) in who.former.iter().filter(|_| who.person == person) {
            let asked = Asked { talk, side: 0, action: Action::Address(AtAddress::Forget(*id)) };
            if *leaving == Leaving::No && !calls.values().any(|of| *of == asked) {
                possible.push(asked);
            }
        }
    }

    /// Perhaps the connection of a request that was rejected was deleted, if that was asked for.
    pub(super) fn may_have_forgotten(&mut self, person: usize, action: Action) {
        if let Action::Address(AtAddress::Forget(connection)) = action {
            let durables = self.people[person].durables.values_mut();
            durables.for_each(|durable| durable.may_be_deleted_with(connection));
        }
    }

    /// The call of an action.
    pub(super) fn call_at_address(
        &mut self,
        (talk, side): (usize, usize),
        action: AtAddress,
        connection: ConnectionId,
    ) -> Call {
        let (pq, info) = (self.sim.options.pq.1, format!("{talk}/{side}").into());
        let state = &mut self.talks[talk];
        let who = &mut state.sides[side];
        let user = who.user;
        if let AtAddress::Ask | AtAddress::Accept(_) = action {
            (who.connection, who.step) = (Some(connection), Step::Begun);
        }
        let address = state.address.as_mut().expect("an address");
        let at = address.connection.unwrap_or(connection);
        match action {
            AtAddress::Create => Call::CreateAddress { user },
            AtAddress::Ask => {
                let request = state.request.clone().expect("an address");
                Call::Join { connection, user, request, info, pq }
            }
            AtAddress::Accept(invitation) => Call::Accept { connection, user, invitation, info, pq },
            AtAddress::Reject(invitation) => Call::Reject(at, invitation),
            AtAddress::Requests => Call::Requests(at),
            AtAddress::TellAgain => {
                address.is_wanted_again = true;
                Call::TellAgain(at)
            }
            AtAddress::Forget(connection) => Call::Delete { connection, wait_delivery: false },
        }
    }
}

impl Talk {
    /// Something was done at the address.
    ///
    /// # Errors
    /// If the answer cannot be.
    pub(super) fn done_at_address(&mut self, action: AtAddress, reply: Reply) -> Result<(), String> {
        let address = self.address.as_mut().ok_or("there is no address")?;
        match (action, reply) {
            (AtAddress::Create, Reply::Invitation(connection, request)) => {
                if address.connection.is_none() {
                    (address.connection, self.request) = (Some(connection), Some(request));
                }
            }
            (AtAddress::Ask | AtAddress::Accept(_), reply @ Reply::Joined { .. }) => {
                if let AtAddress::Accept(id) = action {
                    address.settle(id, Fate::Accepted);
                }
                let side = if action == AtAddress::Ask { 0 } else { 1 };
                return self.sides[side].has_joined(reply);
            }
            (AtAddress::Reject(id), Reply::Done) => self.was_turned_away(id),
            (AtAddress::Requests, Reply::Requests(requests)) => {
                address.asks_again = false;
                return address.told_all(&requests);
            }
            (AtAddress::TellAgain, Reply::Done) => {
                (address.asks_again, address.is_wanted_again) = (false, false);
            }
            (AtAddress::Forget(connection), Reply::Done) => self.sides[0].forgot(connection),
            (action, reply) => return Err(format!("{action:?} was answered {reply:?}")),
        }
        Ok(())
    }

    /// Something failed at the address: whether that has a reason.
    pub(super) fn failed_at_address(&mut self, action: AtAddress, error: &AgentError) -> bool {
        let Some(address) = &mut self.address else { return false };
        let is_unknown = *error == AgentError::Connection(ConnectionError::NotFound);
        match action {
            // It was done before the crash.
            AtAddress::Reject(id) if address.has_crashed && is_unknown => {
                self.was_turned_away(id);
                true
            }
            AtAddress::Forget(connection) if is_unknown => {
                self.sides[0].forgot(connection);
                true
            }
            // It was rejected, and forgotten.
            AtAddress::Ask if is_unknown => !self.sides[0].former.is_empty(),
            AtAddress::TellAgain => {
                address.is_wanted_again = false;
                is_passing(error)
            }
            _ => is_passing(error),
        }
    }

    /// The owner was told of a request.
    ///
    /// # Errors
    /// If he was before, or has dealt with it.
    pub(super) fn told_request(&mut self, request: &ContactRequest) -> Result<(), String> {
        if self.sides[1].leaving > Leaving::Asked {
            return Err("a request was told of an address that was deleted".into());
        }
        let is_expected = request.info == format!("{}/0", self.index);
        let address = self.address.as_mut().filter(|_| is_expected);
        address.ok_or("somebody asks at an address, but who?")?.told(request.invitation, false)
    }

    /// A request was rejected. Its sender hears of that on other ways, and asks anew.
    fn was_turned_away(&mut self, id: InvitationId) {
        let Some(address) = &mut self.address else { return };
        if address.settle(id, Fate::Rejected) {
            address.rejections = address.rejections.saturating_sub(1);
            self.sides[0].ask_anew();
        }
    }
}

impl Address {
    /// Of somebody who turns others away so often.
    pub(super) fn new(rejections: usize) -> Self {
        Self { rejections, ..Self::default() }
    }

    /// The process of the owner died.
    pub(super) fn crashed(&mut self) {
        (self.asks_again, self.is_wanted_again, self.has_crashed) = (true, false, true);
        self.requests.values_mut().for_each(|request| request.told_now = false);
    }

    /// False if it was before.
    fn settle(&mut self, id: InvitationId, fate: Fate) -> bool {
        let Some(request) = self.requests.get_mut(&id) else { return false };
        std::mem::replace(&mut request.fate, fate) == Fate::Open
    }

    fn told(&mut self, id: InvitationId, is_asked: bool) -> Result<(), String> {
        let is_wanted = is_asked || self.is_wanted_again;
        let new = Request { told_now: false, fate: Fate::Open };
        let request = self.requests.entry(id).or_insert(new);
        if request.fate != Fate::Open {
            return Err("a request was told again after it was dealt with".into());
        }
        if std::mem::replace(&mut request.told_now, true) && !is_wanted {
            return Err("a request was told twice".into());
        }
        Ok(())
    }

    /// All requests that wait.
    fn told_all(&mut self, waiting: &[ContactRequest]) -> Result<(), String> {
        let is_missing = |(id, request): (&InvitationId, &Request)| {
            request.fate == Fate::Open && waiting.iter().all(|of| of.invitation != *id)
        };
        if self.requests.iter().any(is_missing) && !self.has_crashed {
            return Err("a request that waits was not told".into());
        }
        waiting.iter().try_for_each(|request| self.told(request.invitation, true))
    }
}

/// Whether a call about a queue or connection that there was not yet may be refused like this.
pub(super) fn is_prohibited(error: &AgentError) -> bool {
    *error == AgentError::Command(AgentCommandError::Prohibited)
}
