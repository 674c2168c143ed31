//! What clients do: by chance while there are faults, and whatever is left to do when there are none.

use bytes::Bytes;
use smp_core::Timestamp;
use smp_core::crypto::{AuthPrivateKey, X25519PrivateKey};
use smp_core::wire::command::{MessageFlags, NewQueue, QueueRequestData, SubscriptionMode};
use smp_core::wire::names::Name;
use smp_core::wire::{Command, EntityId, MessageId, Password, QueueMode, Version};

use super::client::{Peer, Pending, new_dh_key, new_key};
use super::creations::Creation;
use super::links::set_link;
use super::model::{Attempt, Model};
use super::notifiers::set_notifier;
use super::routing::Forwarded;
use super::shared::Shared;
use crate::in_memory::send;

/// A command that was sent. Queues are named by their index.
pub(super) enum Sent {
    New(Box<Creation>),
    Send {
        queue: usize,
        body: Vec<u8>,
        /// It is signed with a key that was set before on the same connection, if that is answered OK.
        has_right: bool,
    },
    Key(usize, AuthPrivateKey),
    RKey {
        queue: usize,
        /// The key that is set beside the first one.
        key: AuthPrivateKey,
        /// Which RKEY of its queue it is, if no other was under way when it was sent.
        number: Option<usize>,
    },
    Sub(usize),
    Get(usize),
    Ack(usize, MessageId),
    Off(usize),
    Del(usize),
    Que(usize),
    /// The user data.
    SetLink(usize, Bytes),
    RemoveLink(usize),
    /// With the key of LKEY.
    ReadLink(usize, Option<AuthPrivateKey>),
    SetNotifier(usize, Box<(AuthPrivateKey, X25519PrivateKey)>),
    RemoveNotifier(usize),
    /// The notifier.
    SubscribeNotifier(usize),
    /// SUBS or NSUBS.
    SubscribeAll,
    /// The name.
    Resolve(Name),
    /// PRXY.
    Relay {
        target: usize,
        asked_at: Timestamp,
    },
    /// PFWD.
    Forward(Box<Forwarded>),
    Ping,
    /// Of somebody without the right.
    Attack,
}

impl Sent {
    /// The queue that a command is about which is refused when that is blocked, and those that never are.
    pub(super) const fn queue(&self) -> Option<usize> {
        match self {
            Self::Send { queue, .. } | Self::RKey { queue, .. } => Some(*queue),
            Self::Key(queue, _) | Self::SetLink(queue, _) | Self::ReadLink(queue, _) => Some(*queue),
            Self::RemoveLink(queue) | Self::RemoveNotifier(queue) | Self::Que(queue) => Some(*queue),
            Self::SetNotifier(queue, _) | Self::Off(queue) | Self::Del(queue) => Some(*queue),
            _ => self.received_queue(),
        }
    }

    /// The queue that a command of a recipient is about.
    pub(super) const fn received_queue(&self) -> Option<usize> {
        match self {
            Self::Sub(queue) | Self::Get(queue) | Self::Ack(queue, _) => Some(*queue),
            _ => None,
        }
    }
}

impl Peer {
    /// Sends a block of commands, drawn.
    pub(super) fn act(&mut self, shared: &mut Shared) {
        let count = shared.dice.between(1, shared.options.commands);
        let mut items = Vec::new();
        for _ in 0..count {
            items.extend(if shared.dice.fault(shared.options.attack) {
                self.attack(shared)
            } else {
                self.draw(shared)
            });
        }
        self.send(&items);
    }

    /// Does what is left to do: subscribes to its queues, acknowledges what it received. False if there is nothing.
    pub(super) fn tidy_up(&mut self, shared: &mut Shared, model: &Model) -> bool {
        let mut items = Vec::new();
        if self.is_passive() {
            return self.link.as_ref().is_none_or(|link| !link.pending.is_empty());
        }
        for index in 0..shared.queues.len() {
            let Some(link) = &mut self.link else { return true };
            let on_link = link.queues.entry(index).or_default();
            if on_link.under_way > 0 {
                continue;
            }
            let queue = &shared.queues[index];
            if model.is_blocked(&queue.recipient_id) {
                continue;
            }
            if let Some(message) = on_link.in_flight.clone() {
                items.extend(self.recipient(shared, index, Sent::Ack(index, message)));
            } else if queue.owner == self.index
                && !queue.delete_asked
                && !on_link.is_subscribed
                && !link.is_served(model, &queue.recipient_id)
            {
                items.extend(self.recipient(shared, index, Sent::Sub(index)));
            }
        }
        if items.is_empty() {
            items.extend(self.tidy_up_service(shared, model));
        }
        items.extend(self.tidy_up_routing(shared));
        self.send(&items);
        !items.is_empty() || self.link.as_ref().is_none_or(|link| !link.pending.is_empty())
    }

    fn send(&mut self, items: &[Vec<u8>]) {
        if let Some(link) = self.link.as_mut().filter(|_| !items.is_empty()) {
            link.send(items);
        }
    }

    fn draw(&mut self, shared: &mut Shared) -> Option<Vec<u8>> {
        if self.is_notifier() {
            return self.draw_notifier(shared);
        }
        if shared.dice.chance(shared.options.features.names) {
            return self.resolve(shared);
        }
        if shared.dice.chance(shared.options.features.routing) {
            return self.route(shared);
        }
        if self.membership.is_some() && shared.dice.chance(800) {
            return self.subscribe_all(shared);
        }
        let choice = shared.dice.below(116);
        let known = self.pick(shared);
        let Some(queue) = known.filter(|_| choice >= 10 || shared.queues.len() >= shared.options.queues)
        else {
            return self.create(shared);
        };
        match choice {
            _ if self.may_replace_keys(shared, queue) && shared.dice.chance(1_000) => {
                let key = new_key(shared);
                let state = &shared.queues[queue];
                let number = (state.rkeys_open == 0).then_some(state.rkeys_sent + 1);
                self.recipient(shared, queue, Sent::RKey { queue, key, number })
            }
            0..40 => self.append(shared, queue),
            40..65 => {
                let waiting = self.link.as_ref()?.queues.iter();
                let mut waiting = waiting.filter(|(_, queue)| queue.under_way == 0);
                let found = waiting.find_map(|(index, queue)| Some((*index, queue.in_flight.clone()?)));
                found.and_then(|(queue, message)| self.recipient(shared, queue, Sent::Ack(queue, message)))
            }
            65..80 if self.may_subscribe(queue) => self.recipient(shared, queue, Sent::Sub(queue)),
            80..83 => self.recipient(shared, queue, Sent::Get(queue)),
            83..86 => {
                let key = self.new_sender_key(shared, queue);
                self.recipient(shared, queue, Sent::Key(queue, key))
            }
            86..89 => self.secure_by_sender(shared, queue),
            89..92 => self.recipient(shared, queue, Sent::Que(queue)),
            92 => self.recipient(shared, queue, Sent::Off(queue)),
            93 => self.recipient(shared, queue, Sent::Del(queue)),
            94..96 => {
                let other = MessageId::from(shared.dice.entropy().bytes::<24>());
                self.recipient(shared, queue, Sent::Ack(queue, other))
            }
            96..98 => self.recipient(shared, queue, Sent::Ack(queue, MessageId::empty())),
            98..100 => self.set_link(shared, queue),
            100 => self.recipient(shared, queue, Sent::RemoveLink(queue)),
            101..104 => self.read_link(shared, queue),
            104..106 => self.set_notifier(shared, queue),
            106 => self.recipient(shared, queue, Sent::RemoveNotifier(queue)),
            107..113 => self.subscribe_notifier(shared),
            _ => {
                shared.trace.note("client sends PING", &[self.index as u64]);
                let link = self.link.as_mut()?;
                link.transmission(shared, None, &EntityId::empty(), &Command::Ping, Sent::Ping)
            }
        }
    }

    /// A queue of the server, mostly an own one, if there is any.
    fn pick(&self, shared: &mut Shared) -> Option<usize> {
        let here = (0..shared.queues.len()).filter(|queue| shared.queues[*queue].site == self.site);
        let (own, others): (Vec<_>, Vec<_>) =
            here.partition(|queue| shared.queues[*queue].owner == self.receives_as());
        let any =
            if own.is_empty() || (!others.is_empty() && shared.dice.chance(3_000)) { others } else { own };
        let drawn = shared.dice.below(any.len());
        any.get(drawn).copied()
    }

    fn may_subscribe(&self, queue: usize) -> bool {
        let known = self.link.as_ref().and_then(|link| link.queues.get(&queue));
        known.is_none_or(|queue| queue.under_way == 0)
    }

    fn may_replace_keys(&self, shared: &Shared, queue: usize) -> bool {
        let parameters = self.link.as_ref().and_then(|link| link.parameters.as_ref());
        parameters.is_some_and(|parameters| parameters.version >= Version::SHORT_LINKS)
            && shared.queues[queue].mode == Some(QueueMode::Contact)
    }

    fn append(&mut self, shared: &mut Shared, index: usize) -> Option<Vec<u8>> {
        let queue = &shared.queues[index];
        let key =
            queue.sender_key.clone().filter(|_| queue.is_secured || shared.counts.commands.is_multiple_of(2));
        let body = format!("message {}", shared.counts.commands).into_bytes();
        let entity = queue.sender_id.clone();
        let attempt = Attempt {
            key: key.as_ref().map(AuthPrivateKey::public),
            has_right: true,
            connection: self.link.as_ref()?.id,
            number: shared.counts.commands,
        };
        shared.asked.sends.insert(body.clone(), attempt);
        shared.trace.note(
            "client sends SEND: queue, body",
            &[self.index as u64, index as u64, shared.counts.commands],
        );
        let notification = shared.dice.chance(5_000);
        let link = self.link.as_mut()?;
        let has_right = key.is_some() && link.queues.get(&index).is_some_and(|queue| queue.is_secured_here);
        let sent = Sent::Send { queue: index, body: body.clone(), has_right };
        let flags = MessageFlags { notification };
        link.transmission(shared, key.as_ref(), &entity, &Command::Send { flags, body: body.into() }, sent)
    }

    pub(super) fn new_sender_key(&self, shared: &mut Shared, index: usize) -> AuthPrivateKey {
        let known = shared.queues[index].sender_key.clone().filter(|_| shared.dice.chance(8_000));
        if let Some(key) = known {
            return key;
        }
        let key = new_key(shared);
        let queue = &mut shared.queues[index];
        queue.keys_tried += 1;
        if !queue.is_secured {
            queue.sender_key = Some(key.clone());
        }
        key
    }

    fn secure_by_sender(&mut self, shared: &mut Shared, index: usize) -> Option<Vec<u8>> {
        let key = self.new_sender_key(shared, index);
        let queue = &shared.queues[index];
        shared.asked.keys.insert((queue.recipient_id.clone(), key.public()));
        let entity = queue.sender_id.clone();
        shared.trace.note("client sends SKEY: queue", &[self.index as u64, index as u64]);
        let command = Command::SKey(key.public());
        let sent = Sent::Key(index, key.clone());
        let link = self.link.as_mut()?;
        link.queues.entry(index).or_default().is_secured_here = true;
        link.transmission(shared, Some(&key), &entity, &command, sent)
    }

    /// A command of a queue's recipient.
    pub(super) fn recipient(&mut self, shared: &mut Shared, index: usize, sent: Sent) -> Option<Vec<u8>> {
        let queue = &mut shared.queues[index];
        let id = queue.recipient_id.clone();
        let asked = &mut shared.asked;
        let (name, command) = match &sent {
            Sent::Sub(_) => ("SUB", Command::Sub),
            Sent::Get(_) => ("GET", Command::Get),
            Sent::Ack(_, message) => ("ACK", Command::Ack(message.clone())),
            Sent::Key(_, key) => ("KEY", Command::Key(key.public())),
            Sent::RKey { key, .. } => {
                ("RKEY", Command::RKey(vec![queue.recipient_key.public(), key.public()]))
            }
            Sent::Off(_) => ("OFF", Command::Off),
            Sent::Del(_) => ("DEL", Command::Del),
            Sent::Que(_) => ("QUE", Command::Que),
            Sent::SetLink(_, user) => ("LSET", set_link(&queue.link_id, &queue.link_fixed, user)),
            Sent::RemoveLink(_) => ("LDEL", Command::LDel),
            Sent::SetNotifier(_, keys) => ("NKEY", set_notifier(keys)),
            Sent::RemoveNotifier(_) => ("NDEL", Command::NDel),
            Sent::New(_)
            | Sent::Send { .. }
            | Sent::Ping
            | Sent::Attack
            | Sent::SubscribeAll
            | Sent::Relay { .. }
            | Sent::Forward(_)
            | Sent::Resolve(_) => return None,
            Sent::ReadLink(..) | Sent::SubscribeNotifier(_) => return None,
        };
        match &sent {
            Sent::Sub(_) | Sent::Get(_) => drop(asked.reads.insert(id.clone())),
            Sent::Ack(_, message) => drop(asked.acks.insert((id.clone(), message.clone()))),
            Sent::Key(_, key) => drop(asked.keys.insert((id.clone(), key.public()))),
            Sent::RKey { key, .. } => {
                queue.rkeys_sent += 1;
                queue.rkeys_open += 1;
                queue.former_keys.extend(queue.second_key.take());
                asked.recipient_keys.insert((id.clone(), key.public()));
            }
            Sent::SetLink(_, user) => drop(asked.links.insert((id.clone(), user.clone()))),
            Sent::RemoveLink(_) => drop(asked.removed_links.insert(id.clone())),
            Sent::SetNotifier(_, keys) => drop(asked.notifiers.insert((id.clone(), keys.0.public()))),
            Sent::RemoveNotifier(_) => drop(asked.removed_notifiers.insert(id.clone())),
            Sent::Off(_) => {
                queue.off_asked = true;
                asked.offs.insert(id.clone());
            }
            Sent::Del(_) => {
                queue.delete_asked = true;
                asked.deletes.insert(id.clone());
            }
            _ => {}
        }
        let second = queue.second_key.clone().filter(|_| shared.counts.commands.is_multiple_of(2));
        let rkeys = second.is_some().then_some(queue.rkeys_sent);
        let key = second.unwrap_or_else(|| queue.recipient_key.clone());
        shared.trace.note(&format!("client sends {name}: queue"), &[self.index as u64, index as u64]);
        let link = self.link.as_mut()?;
        if let (Sent::Sub(_), Some(service)) = (&sent, link.service()) {
            shared.asked.joins.insert((id.clone(), service.id.clone()));
        }
        let (on_queue, is_get) = (sent.received_queue().is_some(), matches!(sent, Sent::Get(_)));
        let pending = Pending { sent, rkeys };
        let transmission = link.transmission(shared, Some(&key), &id, &command, pending)?;
        if on_queue {
            let on_link = link.queues.entry(index).or_default();
            on_link.under_way += 1;
            on_link.is_got |= is_get;
        }
        Some(transmission)
    }

    /// A queue to attack: any, or one whose former key there is to try.
    fn pick_victim(&self, shared: &mut Shared) -> usize {
        let tries_former = shared.dice.chance(3_000);
        let all = 0..shared.queues.len();
        let mut with_former = all.filter(|queue| !shared.queues[*queue].former_keys.is_empty());
        match with_former.next_back() {
            Some(queue) if tries_former => queue,
            _ => shared.dice.below(shared.queues.len()),
        }
    }

    /// A command of somebody without the key, or with a wrong one.
    fn attack(&mut self, shared: &mut Shared) -> Option<Vec<u8>> {
        let index = self.pick_victim(shared);
        let queue = shared.queues.get(index)?;
        let (recipient, sender) = (queue.recipient_id.clone(), queue.sender_id.clone());
        let (is_secured, fixed) = (queue.is_secured, queue.link_fixed.clone());
        let former = queue.former_keys.last().cloned().filter(|_| queue.rkeys_open == 0);
        // At another server the right key is as good as any.
        let former = former.or_else(|| Some(queue.recipient_key.clone()).filter(|_| queue.site != self.site));
        let key = former.unwrap_or_else(|| new_key(shared));
        let body = Bytes::from(format!("attack {}", shared.counts.commands));
        let (entity, command) = match shared.dice.below(12) {
            0 | 1 if is_secured => {
                let (connection, number) = (self.link.as_ref()?.id, shared.counts.commands);
                let attempt = Attempt { key: None, has_right: false, connection, number };
                shared.asked.sends.insert(body.to_vec(), attempt);
                (sender, send(&body))
            }
            2 if is_secured => (sender, Command::SKey(key.public())),
            3 => (recipient, Command::Del),
            4 => (recipient, Command::Off),
            5 => (recipient, Command::Get),
            6 => (recipient, Command::Key(key.public())),
            7 if shared.options.password => (EntityId::empty(), new_without_password(shared, &key)),
            8 => (recipient, Command::LDel),
            9 => (recipient, Command::NDel),
            10 if !shared.notifiers.is_empty() => {
                let drawn = shared.dice.below(shared.notifiers.len());
                (shared.notifiers[drawn].id.clone(), Command::NSub)
            }
            11 => (recipient, set_link(&EntityId::from(shared.dice.entropy().bytes::<24>()), &fixed, &body)),
            _ => (recipient, Command::Sub),
        };
        let is_unsigned = matches!(command, Command::Send { .. }) && shared.dice.chance(5_000);
        shared.trace.note("client sends an attack: queue", &[self.index as u64, index as u64]);
        let key = Some(&key).filter(|_| !is_unsigned);
        self.link.as_mut()?.transmission(shared, key, &entity, &command, Sent::Attack)
    }
}

fn new_without_password(shared: &mut Shared, key: &AuthPrivateKey) -> Command {
    let wrong = Password::new(b"open").expect("a password");
    Command::New(Box::new(NewQueue {
        recipient_key: key.public(),
        dh_key: new_dh_key(shared).public(),
        password: Some(wrong).filter(|_| shared.dice.chance(5_000)),
        subscribe: SubscriptionMode::Subscribe,
        queue_data: Some(QueueRequestData::Messaging(None)),
        notifier: None,
    }))
}
