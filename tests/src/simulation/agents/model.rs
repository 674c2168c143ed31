//! What two people who talk may expect: what each of them asked and was told.

use bytes::Bytes;
use smp_core::agent::{ConfirmationId, ConnectionId, LocalMessageId, MessageEvent};
use smp_core::wire::ConnectionRequest;
use smp_core::wire::agent::MessageIntegrity;

/// A connection of two people.
pub(super) struct Talk {
    index: usize,
    /// The invitation that the one made and the other has.
    pub(super) request: Option<Box<ConnectionRequest>>,
    /// Who invited, and who joins.
    pub(super) sides: [Side; 2],
}

/// One of two people, and what his app keeps of the connection.
pub(super) struct Side {
    pub(super) person: usize,
    /// His name of the connection.
    pub(super) connection: Option<ConnectionId>,
    pub(super) step: Step,
    /// His process is new: he asks what he may have missed.
    pub(super) asks_again: bool,
    /// Those who used the invitation.
    pub(super) confirmations: Vec<ConfirmationId>,
    /// He may send, as far as he was told.
    pub(super) may_send: bool,
    /// How often he was told who the other one is, and that they are connected.
    pub(super) infos: usize,
    pub(super) connected: usize,
    /// How often his process died since he has the connection.
    pub(super) crashes: usize,
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

/// A message that somebody wanted to send.
pub(super) struct Sent {
    pub(super) body: Bytes,
    pub(super) fate: Fate,
    /// The process died since it was accepted.
    pub(super) crashed_since: bool,
    /// He was told that the server has it.
    pub(super) is_told: bool,
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
    /// What was told and not acknowledged.
    pub(super) open: Option<Open>,
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
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Acknowledged {
    No,
    Asked,
}

impl Talk {
    pub(super) fn new(index: usize, (first, second): (usize, usize)) -> Self {
        Self { index, request: None, sides: [Side::new(first), Side::new(second)] }
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
        let number = sender.sent.iter().position(|sent| sent.body == message.body);
        let number = number.ok_or("a message was told that was not sent")?;
        if message.integrity != MessageIntegrity::Ok {
            return Err(format!("message {number} was told as {:?}", message.integrity));
        }
        let heard = &mut hearer.heard;
        if let Some(open) = heard.open.as_mut().filter(|open| open.number == number) {
            if open.told_now && !heard.is_wanted_again {
                return Err(format!("message {number} was told twice"));
            }
            if open.id != message.id {
                return Err(format!("message {number} was told again as another one"));
            }
            open.told_now = true;
            return Ok(());
        }
        if let Some(open) = heard.open.as_ref().filter(|open| !open.perhaps) {
            let last = open.number;
            return Err(format!("message {number} was told before {last} was acknowledged"));
        }
        if number < heard.next {
            return Err(format!("message {number} was told again after it was acknowledged"));
        }
        let missing = sender.sent[heard.next..number].iter().position(Sent::is_accepted);
        if let Some(missing) = missing {
            return Err(format!("message {number} was told before {}", heard.next + missing));
        }
        if sender.sent[number].fate == Fate::Refused {
            return Err(format!("message {number} was told, which was refused"));
        }
        heard.next = number + 1;
        let (id, acknowledged) = (message.id, Acknowledged::No);
        heard.open = Some(Open { id, number, told_now: true, acknowledged, perhaps: false });
        Ok(())
    }

    /// What has not come to its end.
    pub(super) fn unsettled(&self) -> Option<String> {
        let [first, second] = &self.sides;
        for (name, hearer, sender) in [("inviter", first, second), ("joiner", second, first)] {
            if hearer.heard.open.is_some() {
                return Some(format!("the {name} has not acknowledged a message"));
            }
            let missing =
                sender.sent.iter().skip(hearer.heard.next).filter(|sent| sent.is_accepted()).count();
            if missing > 0 {
                return Some(format!("{missing} messages for the {name} did not come"));
            }
            let untold =
                hearer.sent.iter().any(|sent| sent.is_accepted() && !sent.is_told && !sent.crashed_since);
            if untold {
                return Some(format!("the {name} was not told that a message was sent"));
            }
        }
        None
    }
}

impl Side {
    fn new(person: usize) -> Self {
        Self {
            person,
            connection: None,
            step: Step::Nothing,
            asks_again: false,
            confirmations: Vec::new(),
            may_send: false,
            infos: 0,
            connected: 0,
            crashes: 0,
            sent: Vec::new(),
            heard: Heard::default(),
        }
    }

    /// The process died: what was asked and not answered may have happened or not.
    pub(super) fn crashed(&mut self) {
        self.crashes += 1;
        (self.asks_again, self.heard.is_wanted_again) = (true, false);
        for sent in &mut self.sent {
            sent.crashed_since = true;
            if sent.fate == Fate::Asked {
                sent.fate = Fate::Unknown;
            }
        }
        if let Some(open) = &mut self.heard.open {
            open.told_now = false;
            if open.acknowledged == Acknowledged::Asked {
                open.unknown();
            }
        }
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

impl Open {
    /// What was asked may have been done or not.
    pub(super) const fn unknown(&mut self) {
        (self.acknowledged, self.perhaps) = (Acknowledged::No, true);
    }
}

impl Sent {
    const fn is_accepted(&self) -> bool {
        matches!(self.fate, Fate::Accepted(_))
    }
}
