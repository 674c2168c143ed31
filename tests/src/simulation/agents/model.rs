//! What two people who talk may expect: what each of them asked and was told.

use std::collections::BTreeSet;

use bytes::Bytes;
use smp_core::Timestamp;
use smp_core::agent::{
    ConfirmationId, ConnectionId, LocalMessageId, MessageEvent, ReceivedReceipt, Reply, UserId,
};
use smp_core::wire::ConnectionRequest;
use smp_core::wire::agent::MessageIntegrity;

use super::addresses::Address;
use super::world::USER;

/// A connection of two people.
pub(super) struct Talk {
    pub(super) index: usize,
    /// The invitation that the one made and the other has.
    pub(super) request: Option<Box<ConnectionRequest>>,
    /// Who invited, and who joins.
    pub(super) sides: [Side; 2],
    /// The invitation goes through a contact address: see `addresses`.
    pub(super) address: Option<Address>,
    /// The network or servers may fail: when a queue that was left cannot be reached, the next one does not wait for it.
    pub(super) has_faults: bool,
}

/// One of two people, and what his app keeps of the connection.
pub(super) struct Side {
    pub(super) person: usize,
    /// Which of his users it is.
    pub(super) user: UserId,
    /// From how many queues he receives.
    pub(super) queues: usize,
    /// How often he gave it to another one.
    pub(super) changes: usize,
    /// His name of the connection.
    pub(super) connection: Option<ConnectionId>,
    pub(super) step: Step,
    /// His process is new: he asks what he may have missed.
    pub(super) asks_again: bool,
    /// Those who used the invitation.
    pub(super) confirmations: Vec<ConfirmationId>,
    /// He may send, as far as he was told.
    pub(super) may_send: bool,
    /// His process is new, and he has not asked how the connection is.
    pub(super) asks_status: bool,
    /// He asked, and was told that they are connected.
    pub(super) knows_connected: bool,
    /// Connections whose request was rejected.
    pub(super) former: Vec<(ConnectionId, Leaving)>,
    /// How often he was told who the other one is, and that they are connected.
    pub(super) infos: usize,
    pub(super) connected: usize,
    /// How often his process died since he has the connection.
    pub(super) crashes: usize,
    /// How often he wanted to receive through another queue, was told that it is so, and gave that up.
    pub(super) moves: usize,
    pub(super) moved: usize,
    pub(super) aborts: usize,
    /// How often he wanted a new ratchet.
    pub(super) renewals: usize,
    pub(super) renewed_at: Timestamp,
    pub(super) leaving: Leaving,
    /// He did, whatever became of it.
    pub(super) has_asked_to_leave: bool,
    /// A server said that the other one's queue is gone.
    pub(super) is_refused: bool,
    /// What he wanted to send, in this order.
    pub(super) sent: Vec<Sent>,
    pub(super) heard: Heard,
}

/// How far the app is with the handshake. What was asked and not answered before a crash may have happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// There is no connection, or was none when the agent was asked.
    Nothing,
    /// He asked the agent to join; it failed, or the answer is not known.
    Begun,
    /// He invited, or joined.
    Done,
    /// He let the other one in.
    Allowed,
}

/// How far somebody is with deleting the connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) enum Leaving {
    #[default]
    No,
    Asked,
    Left,
    /// He was told that nothing is left of it.
    Over,
}

/// A message that somebody wanted to send.
pub(super) struct Sent {
    pub(super) body: Bytes,
    pub(super) fate: Fate,
    /// The process died since it was accepted.
    pub(super) crashed_since: bool,
    /// He was told that the server has it.
    pub(super) is_told: bool,
    /// Whether the other one gave a receipt, and whether he was told.
    pub(super) receipt: Receipt,
    is_received: bool,
}

/// What became of the receipt for a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Receipt {
    No,
    /// It was asked for; whether it was given is not known, or not for sure.
    Perhaps,
    Given,
}

/// What the agent said to a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    Asked,
    Accepted(LocalMessageId),
    Refused,
    /// The process died before the answer, or the disk failed.
    Unknown,
}

/// What somebody was told of the other one's messages.
#[derive(Default)]
pub(super) struct Heard {
    /// How many of them are behind, told or never to be told.
    next: usize,
    /// Those of them that were passed over and may still come: see [`Talk::may_be_disorderly`].
    late: BTreeSet<usize>,
    /// What was told and not acknowledged: one message, unless two queues bring some.
    pub(super) open: Vec<Open>,
    /// The app has asked to be told again, and was not answered.
    pub(super) is_wanted_again: bool,
}

/// A message that was told and not acknowledged.
pub(super) struct Open {
    pub(super) id: LocalMessageId,
    number: usize,
    /// It was told in this process.
    told_now: bool,
    pub(super) acknowledged: Acknowledged,
    /// It may have been acknowledged before a crash: then the next one may come.
    perhaps: bool,
    /// What was asked was to acknowledge it with a receipt.
    has_receipt: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Acknowledged {
    No,
    Asked,
}

impl Talk {
    pub(super) fn new(index: usize, (first, second): (usize, usize)) -> Self {
        let sides = [Side::new(first), Side::new(second)];
        Self { index, request: None, sides, address: None, has_faults: false }
    }

    /// The next message of a side: of its own kind, so that it is known wherever it comes.
    pub(super) fn next_body(&self, side: usize, len: usize) -> Bytes {
        let number = self.sides[side].sent.len();
        let mut body = format!("{}/{side}/{number}:", self.index).into_bytes();
        body.resize(body.len().max(len), b'.');
        body.into()
    }

    /// A side was told a message of the other one.
    ///
    /// # Errors
    /// If it was told before and need not be told again, is not the next one, or was not sent.
    pub(super) fn told(&mut self, side: usize, message: &MessageEvent) -> Result<(), String> {
        let [first, second] = &mut self.sides;
        let (hearer, sender) = if side == 0 { (first, second) } else { (second, first) };
        if hearer.leaving > Leaving::Asked {
            return Err("a message was told of a connection that was deleted".into());
        }
        let number = sender.sent.iter().position(|sent| sent.body == message.body);
        let number = number.ok_or("a message was told that was not sent")?;
        let is_explained = self.has_faults && (hearer.moves > 0 || hearer.queues > 1);
        if message.integrity != MessageIntegrity::Ok && !is_explained {
            return Err(format!("message {number} was told as {:?}", message.integrity));
        }
        // Who let the other one in may hear of him before he knows that they are connected.
        let is_met = hearer.connected > 0 || (side == 0 && !hearer.confirmations.is_empty());
        if !is_met && hearer.crashes == 0 {
            return Err("a message was told before who sends".into());
        }
        let heard = &mut hearer.heard;
        if let Some(open) = heard.open.iter_mut().find(|open| open.number == number) {
            if open.told_now && !heard.is_wanted_again {
                return Err(format!("message {number} was told twice"));
            }
            if open.id != message.id {
                return Err(format!("message {number} was told again as another one"));
            }
            open.told_now = true;
            return Ok(());
        }
        // Of several queues one may go on while another holds what was told before.
        heard.open.retain(|open| is_explained || !open.perhaps);
        if let Some(open) = heard.open.first().filter(|_| !is_explained && hearer.queues == 1) {
            let last = open.number;
            return Err(format!("message {number} was told before {last} was acknowledged"));
        }
        if number < heard.next && !heard.late.remove(&number) {
            return Err(format!("message {number} was told again after it was acknowledged"));
        }
        for passed in (heard.next..number).filter(|passed| sender.sent[*passed].may_have_been_accepted()) {
            if !is_explained && sender.sent[passed].is_accepted() {
                return Err(format!("message {number} was told before {passed}"));
            }
            if is_explained {
                heard.late.insert(passed);
            }
        }
        if sender.sent[number].fate == Fate::Refused {
            return Err(format!("message {number} was told, which was refused"));
        }
        heard.next = heard.next.max(number + 1);
        heard.open.push(Open::new(message.id, number));
        Ok(())
    }

    /// A side asks to acknowledge a message.
    pub(super) fn acknowledges(&mut self, side: usize, id: LocalMessageId, has_receipt: bool) {
        let [first, second] = &mut self.sides;
        let (hearer, sender) = if side == 0 { (first, second) } else { (second, first) };
        let Some(open) = hearer.heard.open.iter_mut().find(|open| open.id == id) else { return };
        (open.acknowledged, open.has_receipt) = (Acknowledged::Asked, has_receipt);
        let receipt = &mut sender.sent[open.number].receipt;
        if has_receipt && *receipt == Receipt::No {
            *receipt = Receipt::Perhaps;
        }
    }

    /// A message was acknowledged.
    pub(super) fn acknowledged(&mut self, side: usize, id: LocalMessageId) {
        let [first, second] = &mut self.sides;
        let (hearer, sender) = if side == 0 { (first, second) } else { (second, first) };
        let Some(place) = hearer.heard.open.iter().position(|open| open.id == id) else { return };
        let open = hearer.heard.open.remove(place);
        // Only the first acknowledgement gives a receipt, and only who can send.
        if open.has_receipt && !open.perhaps && hearer.may_send && hearer.renewals + sender.renewals == 0 {
            sender.sent[open.number].receipt = Receipt::Given;
        }
    }

    /// A side was told that the other one has messages.
    ///
    /// # Errors
    /// If it was told before, or the other one did not say so.
    pub(super) fn told_received(&mut self, side: usize, receipts: &[ReceivedReceipt]) -> Result<(), String> {
        let sent = &mut self.sides[side].sent;
        let has_unknown = sent.iter().any(|sent| sent.fate == Fate::Unknown);
        for receipt in receipts {
            if !receipt.is_intact {
                return Err("a receipt was told of another message".into());
            }
            let is_it = |sent: &&mut Sent| sent.fate == Fate::Accepted(receipt.message);
            match sent.iter_mut().find(is_it) {
                Some(sent) if sent.receipt == Receipt::No => return Err("a receipt that nobody gave".into()),
                Some(sent) if sent.is_received => return Err("a receipt was told twice".into()),
                Some(sent) => sent.is_received = true,
                None if has_unknown => {}
                None => return Err("a receipt of a message that was not accepted".into()),
            }
        }
        Ok(())
    }

    /// How many messages of the other side this one was not told.
    pub(super) fn missing(&self, side: usize) -> usize {
        self.sides[side].heard.missing(&self.sides[1 - side])
    }

    /// What has not come to its end.
    pub(super) fn unsettled(&self) -> Option<String> {
        let [first, second] = &self.sides;
        for (name, hearer, sender) in [("inviter", first, second), ("joiner", second, first)] {
            if !hearer.heard.open.is_empty() {
                return Some(format!("the {name} has not acknowledged a message"));
            }
            let missing = hearer.heard.missing(sender);
            if missing > 0 {
                return Some(format!("{missing} messages for the {name} did not come"));
            }
            let untold =
                hearer.sent.iter().any(|sent| sent.is_accepted() && !sent.is_told && !sent.crashed_since);
            if untold {
                return Some(format!("the {name} was not told that a message was sent"));
            }
            let is_untold = |sent: &Sent| sent.receipt == Receipt::Given && !sent.is_received;
            if hearer.sent.iter().any(|sent| is_untold(sent) && !sent.crashed_since) {
                return Some(format!("the {name} was not told of a receipt"));
            }
        }
        None
    }
}

impl Side {
    fn new(person: usize) -> Self {
        Self {
            person,
            user: USER,
            queues: 1,
            changes: 0,
            connection: None,
            step: Step::Nothing,
            asks_again: false,
            confirmations: Vec::new(),
            asks_status: false,
            knows_connected: false,
            former: Vec::new(),
            may_send: false,
            infos: 0,
            connected: 0,
            crashes: 0,
            moves: 0,
            moved: 0,
            aborts: 0,
            renewals: 0,
            renewed_at: Timestamp::ZERO,
            leaving: Leaving::No,
            has_asked_to_leave: false,
            is_refused: false,
            sent: Vec::new(),
            heard: Heard::default(),
        }
    }

    /// The process died: what was asked and not answered may have happened or not.
    pub(super) fn crashed(&mut self) {
        self.crashes += 1;
        if self.leaving == Leaving::Asked {
            self.leaving = Leaving::No;
        }
        (self.asks_again, self.heard.is_wanted_again) = (true, false);
        self.asks_status = true;
        for sent in &mut self.sent {
            sent.crashed_since = true;
            if sent.fate == Fate::Asked {
                sent.fate = Fate::Unknown;
            }
        }
        for open in &mut self.heard.open {
            open.told_now = false;
            if open.acknowledged == Acknowledged::Asked {
                open.unknown();
            }
        }
    }

    /// He has used an invitation or an address.
    ///
    /// # Errors
    /// If it was for another connection.
    pub(super) fn has_joined(&mut self, reply: Reply) -> Result<(), String> {
        let Reply::Joined { connection, can_send } = reply else { return Err("another answer".into()) };
        if self.former.iter().any(|(id, _)| *id == connection) {
            // It was rejected before he knew that it is there.
            return Ok(());
        }
        if self.connection != Some(connection) {
            return Err("another connection was joined".into());
        }
        if self.step != Step::Allowed {
            self.step = Step::Done;
        }
        self.may_send |= can_send;
        Ok(())
    }

    /// His request was rejected: he begins anew, with another connection.
    pub(super) fn ask_anew(&mut self) {
        self.former.extend(self.connection.take().map(|connection| (connection, Leaving::No)));
        self.step = Step::Nothing;
    }

    /// A connection whose request was rejected is deleted.
    pub(super) fn forgot(&mut self, connection: ConnectionId) {
        let former = self.former.iter_mut().find(|(id, _)| *id == connection);
        former.into_iter().for_each(|(_, leaving)| *leaving = (*leaving).max(Leaving::Left));
    }

    /// He was told who the other one is.
    ///
    /// # Errors
    /// If he was before, or if he is told too late.
    pub(super) fn told_info(&mut self) -> Result<(), String> {
        self.infos += 1;
        let is_expected = self.infos == 1 && self.connected == 0;
        is_expected.then_some(()).ok_or_else(|| "somebody answered once more".into())
    }

    /// He was told that both can send: once, and after he knows who the other one is, unless he lost that in a crash.
    ///
    /// # Errors
    /// If not.
    pub(super) fn told_connected(&mut self, side: usize) -> Result<(), String> {
        self.connected += 1;
        self.may_send = true;
        let knows = if side == 1 { self.infos > 0 } else { !self.confirmations.is_empty() };
        let is_expected = self.connected == 1 && (knows || self.crashes > 0);
        is_expected.then_some(()).ok_or_else(|| "a side was connected once more, or to nobody".into())
    }

    /// He was told that the server has one of his messages.
    ///
    /// # Errors
    /// If he was told before, or never sent it.
    pub(super) fn told_sent(&mut self, id: LocalMessageId) -> Result<(), String> {
        let is_it = |sent: &&mut Sent| sent.fate == Fate::Accepted(id);
        let has_unknown = self.sent.iter().any(|sent| sent.fate == Fate::Unknown);
        match self.sent.iter_mut().find(is_it) {
            Some(sent) if sent.is_told => Err("a message was told twice to be sent".into()),
            Some(sent) => {
                sent.is_told = true;
                Ok(())
            }
            None if has_unknown => Ok(()),
            None => Err("a message was told to be sent that was not accepted".into()),
        }
    }
}

impl Heard {
    fn missing(&self, sender: &Side) -> usize {
        let is_missing = |(number, sent): &(usize, &Sent)| {
            let is_behind = *number < self.next && !self.late.contains(number);
            sent.is_accepted() && !is_behind
        };
        sender.sent.iter().enumerate().filter(is_missing).count()
    }
}

impl Open {
    const fn new(id: LocalMessageId, number: usize) -> Self {
        let acknowledged = Acknowledged::No;
        Self { id, number, told_now: true, acknowledged, perhaps: false, has_receipt: false }
    }

    /// What was asked may have been done or not.
    pub(super) const fn unknown(&mut self) {
        (self.acknowledged, self.perhaps) = (Acknowledged::No, true);
    }
}

impl Sent {
    pub(super) const fn new(body: Bytes) -> Self {
        Self {
            body,
            fate: Fate::Asked,
            crashed_since: false,
            is_told: false,
            receipt: Receipt::No,
            is_received: false,
        }
    }

    const fn may_have_been_accepted(&self) -> bool {
        !matches!(self.fate, Fate::Refused)
    }

    const fn is_accepted(&self) -> bool {
        matches!(self.fate, Fate::Accepted(_))
    }
}
