//! What clients make of what they are sent, and whether it may be so.

use smp_core::crypto::Nonce;
use smp_core::wire::codec::decode_all;
use smp_core::wire::error::ErrorType;
use smp_core::wire::{BrokerMessage, CorrelationId, EntityId, MessageId, QueueMode, ReceivedBody, Version};

use super::client::{Link, Mark, Peer, Pending};
use super::commands::Sent;
use super::creations::created;
use super::model::{Model, Place};
use super::shared::{Shared, SimQueue};
use super::site::Site;

/// A transmission of the server.
pub(super) struct Received {
    pub(super) correlation: CorrelationId,
    pub(super) entity: EntityId,
    pub(super) message: BrokerMessage,
}

impl Peer {
    /// Takes a transmission, which was sent at `mark`.
    pub(super) fn take(&mut self, shared: &mut Shared, sites: &[Site], received: Received, mark: Mark) {
        let model = &sites[self.site].store.model;
        let (peer, owner) = ((self.index, self.site), self.receives_as());
        let Some(link) = &mut self.link else { return };
        if received.correlation.is_empty() {
            return event(shared, model, peer, link, &received, mark);
        }
        let Some(Pending { sent, rkeys }) = link.pending.remove(received.correlation.as_bytes()) else {
            return shared.trace.expect(false, || "an answer to no command".into());
        };
        shared.counts.answers += 1;
        if let Some(queue) = sent.received_queue() {
            link.queues.entry(queue).or_default().under_way -= 1;
        }
        let sent = match sent {
            Sent::Forward(forwarded) => {
                return super::routing::routed(
                    shared,
                    sites,
                    self.index,
                    link,
                    *forwarded,
                    &received.message,
                );
            }
            Sent::Relay { target, asked_at } => {
                let about = (target, asked_at);
                return super::routing::offered(shared, self.site, link, about, &received.message);
            }
            sent => sent,
        };
        // For some names an error is the answer.
        if let (BrokerMessage::Err(error), false) = (&received.message, matches!(sent, Sent::Resolve(_))) {
            let version = link.parameters.as_ref().map_or(Version::MIN, |parameters| parameters.version);
            return refused(shared, model, self.index, link, (&sent, rkeys, version), error);
        }
        if let Sent::New(creation) = sent {
            return created(shared, model, (owner, self.site), link, *creation, &received.message, mark);
        }
        accepted(shared, model, peer, link, sent, received, mark);
    }
}

fn event(
    shared: &mut Shared,
    model: &Model,
    (peer, site): (usize, usize),
    link: &mut Link,
    received: &Received,
    mark: Mark,
) {
    if super::services::event(shared, link, received) {
        return;
    }
    let of_site = |queue: &SimQueue| queue.recipient_id == received.entity && queue.site == site;
    let index = shared.queues.iter().position(of_site);
    let Some(index) = index else {
        let about = (&received.entity, &received.message);
        if super::notifiers::event(shared, model, site, link, about, mark) {
            return;
        }
        // Of a queue whose creation was not answered yet, or never.
        return shared
            .trace
            .expect(matches!(received.message, BrokerMessage::End | BrokerMessage::Deld), || {
                "an event of an unknown queue".into()
            });
    };
    match &received.message {
        BrokerMessage::Msg { .. } => message(shared, model, peer, link, index, &received.message, mark),
        BrokerMessage::End | BrokerMessage::Deld => {
            shared.trace.note("client hears END or DELD: queue", &[peer as u64, index as u64]);
            let queue = &shared.queues[index];
            let is_deleted = matches!(received.message, BrokerMessage::Deld);
            let may =
                !is_deleted || model.deleted.get(&queue.recipient_id).is_some_and(|at| *at < mark.durable);
            shared.trace.expect(may, || format!("DELD of queue {index}, which is not deleted for good"));
            let on_link = link.queues.entry(index).or_default();
            on_link.is_subscribed = false;
            on_link.in_flight = None;
        }
        BrokerMessage::Err(error) => super::moderation::event(shared, link, index, error),
        _ => shared.trace.expect(false, || "an event that is none".into()),
    }
}

/// A message: the first of its queue, stored for good, not acknowledged.
fn message(
    shared: &mut Shared,
    model: &Model,
    peer: usize,
    link: &mut Link,
    index: usize,
    message: &BrokerMessage,
    mark: Mark,
) {
    let BrokerMessage::Msg { id, body } = message else { return };
    shared.counts.messages += 1;
    let queue = &shared.queues[index];
    let history = model.history.get(&queue.recipient_id).map(Vec::as_slice).unwrap_or_default();
    let position = history.iter().position(|(known, at)| known == id && *at < mark.durable);
    let Some(position) = position else {
        return shared
            .trace
            .expect(false, || format!("a message of queue {index} was sent before it was durable"));
    };
    let number = position as u64;
    let gone = |(id, _): &(MessageId, Place)| model.gone.get(id).is_some_and(|at| *at < mark.durable);
    let is_first = history[..position].iter().all(gone);
    let again = queue.acknowledged.get(id).is_some_and(|(connection, output, at)| {
        if *connection == link.id { mark.output > *output } else { link.opened_at > *at }
    });
    let nonce = Nonce::from_slice(id.as_bytes());
    let plain = queue.secret.box_key().open_padded(&nonce, body).ok();
    let opened = plain.and_then(|plain| decode_all(&plain.into(), ReceivedBody::decode).ok());
    shared.trace.note("client hears MSG: queue, message", &[peer as u64, index as u64, number]);
    shared
        .trace
        .expect(is_first, || format!("message {number} of queue {index} came before one that it follows"));
    shared.trace.expect(!again, || {
        format!("message {number} of queue {index} came again after its ACK was answered")
    });
    shared.trace.expect(opened.is_some(), || format!("message {number} of queue {index} cannot be opened"));
    if let Some(ReceivedBody::Message { body, .. }) = opened {
        let body = body.to_vec();
        let is_stored = model.bodies.contains_key(&body);
        shared.trace.expect(is_stored, || format!("message {number} of queue {index} is not what was sent"));
        let former = shared.messages.insert(id.clone(), (index, body.clone()));
        let same = former.is_none_or(|former| former == (index, body.clone()));
        shared.trace.expect(same, || "two messages have one id".into());
        shared.queues[index].received.insert(body);
    }
    let on_link = link.queues.entry(index).or_default();
    on_link.in_flight = Some(id.clone());
}

pub(super) fn accepted(
    shared: &mut Shared,
    model: &Model,
    (peer, site): (usize, usize),
    link: &mut Link,
    sent: Sent,
    received: Received,
    mark: Mark,
) {
    let durable = |at: Option<&Place>| at.is_some_and(|at| *at < mark.durable);
    let answer = &received.message;
    let is_ok = matches!(answer, BrokerMessage::Ok);
    match sent {
        // They are taken before.
        Sent::New(_) | Sent::Relay { .. } | Sent::Forward(_) => {}
        Sent::Send { queue: index, body, .. } => {
            shared.trace.note("client hears OK to SEND: queue", &[peer as u64, index as u64]);
            let is_durable = is_ok && durable(model.bodies.get(&body));
            shared
                .trace
                .expect(is_durable, || format!("SEND to queue {index} was answered before it was durable"));
            shared.queues[index].accepted.insert(body);
        }
        Sent::Key(..) | Sent::RKey { .. } | Sent::Off(_) | Sent::Del(_) => {
            changed(shared, model, link, sent, is_ok, mark);
        }
        Sent::Sub(index) => {
            shared.trace.note("client hears OK to SUB: queue", &[peer as u64, index as u64]);
            link.queues.entry(index).or_default().is_subscribed = true;
            shared.trace.expect(is_subscribed(link, answer), || "SUB was answered wrongly".into());
        }
        Sent::Get(index) => match answer {
            BrokerMessage::Msg { .. } => message(shared, model, peer, link, index, answer, mark),
            _ => shared.trace.expect(is_ok, || "GET was answered wrongly".into()),
        },
        Sent::Ack(index, id) => acknowledged(shared, model, peer, link, (index, id), answer, mark),
        Sent::SetLink(index, user) => {
            let at = model.linked.get(&(shared.queues[index].recipient_id.clone(), user.to_vec()));
            let is_durable = is_ok && durable(at);
            shared
                .trace
                .expect(is_durable, || format!("LSET of queue {index} was answered before it was durable"));
        }
        Sent::RemoveLink(_) | Sent::RemoveNotifier(_) => {
            shared.trace.expect(is_ok, || "LDEL or NDEL was answered wrongly".into());
        }
        Sent::ReadLink(index, key) => super::links::read(shared, model, (index, key), answer, mark),
        Sent::SetNotifier(index, keys) => {
            super::notifiers::created(shared, model, site, (index, *keys), answer, mark);
        }
        Sent::SubscribeNotifier(index) => {
            shared.trace.note("client hears OK to NSUB: notifier", &[peer as u64, index as u64]);
            link.notifiers.insert(index);
            shared.trace.expect(is_subscribed(link, answer), || "NSUB was answered wrongly".into());
        }
        Sent::Que(_) => {
            shared
                .trace
                .expect(matches!(answer, BrokerMessage::Info(_)), || "QUE was answered wrongly".into());
        }
        Sent::Resolve(name) => super::names::resolved(shared, &name, answer),
        Sent::SubscribeAll => super::services::subscribed(shared, model, link, answer, mark),
        Sent::Ping => {
            shared.trace.expect(matches!(answer, BrokerMessage::Pong), || "PING was answered wrongly".into());
        }
        Sent::Attack => shared.trace.expect(false, || "a command without the right was answered OK".into()),
    }
}

/// Whether this answers SUB or NSUB: a service is told who it is.
fn is_subscribed(link: &Link, answer: &BrokerMessage) -> bool {
    match (answer, link.service()) {
        (BrokerMessage::Ok, None) => true,
        (BrokerMessage::Sok(told), service) => told.as_ref() == service.map(|service| &service.id),
        _ => false,
    }
}

/// A change of a queue was answered OK: it is durable.
fn changed(shared: &mut Shared, model: &Model, link: &mut Link, sent: Sent, is_ok: bool, mark: Mark) {
    let durable = |at: Option<&Place>| at.is_some_and(|at| *at < mark.durable);
    match sent {
        Sent::Key(index, key) => {
            let queue = &mut shared.queues[index];
            let at = model.secured.get(&(queue.recipient_id.clone(), key.public()));
            queue.is_secured = true;
            queue.sender_key = Some(key);
            shared.trace.expect(is_ok && durable(at), || {
                format!("KEY of queue {index} was answered before it was durable")
            });
        }
        Sent::RKey { queue: index, key, number } => {
            let queue = &mut shared.queues[index];
            queue.rkeys_open -= 1;
            // Of several under way it would not be certain which took effect last.
            let is_last = number == Some(queue.rkeys_sent);
            let at = model.recipient_keys.get(&(queue.recipient_id.clone(), key.public()));
            let former = if is_last { queue.second_key.replace(key) } else { None };
            queue.former_keys.extend(former);
            shared.trace.expect(is_ok && durable(at), || {
                format!("RKEY of queue {index} was answered before it was durable")
            });
        }
        Sent::Off(index) => {
            let at = model.suspended.get(&shared.queues[index].recipient_id);
            shared.trace.expect(is_ok && durable(at), || {
                format!("OFF of queue {index} was answered before it was durable")
            });
        }
        Sent::Del(index) => {
            let at = model.deleted.get(&shared.queues[index].recipient_id);
            shared.trace.expect(is_ok && durable(at), || {
                format!("DEL of queue {index} was answered before it was durable")
            });
            *link.queues.entry(index).or_default() = super::client::OnLink {
                under_way: link.queues.get(&index).map_or(0, |queue| queue.under_way),
                ..Default::default()
            };
        }
        _ => {}
    }
}

fn acknowledged(
    shared: &mut Shared,
    model: &Model,
    peer: usize,
    link: &mut Link,
    (index, id): (usize, MessageId),
    answer: &BrokerMessage,
    mark: Mark,
) {
    shared.trace.note("client hears an answer to ACK: queue", &[peer as u64, index as u64]);
    let on_link = link.queues.entry(index).or_default();
    // Which message an ACK without an id was about is not told: perhaps one before the one in flight.
    if on_link.in_flight.as_ref() == Some(&id) {
        on_link.in_flight = None;
    }
    if !id.is_empty() {
        let is_durable = model.gone.get(&id).is_some_and(|at| *at < mark.durable);
        shared
            .trace
            .expect(is_durable, || format!("ACK of queue {index} was answered before it was durable"));
        let at = (link.id, mark.output, shared.trace.now.mono);
        shared.queues[index].acknowledged.entry(id).or_insert(at);
    }
    match answer {
        BrokerMessage::Msg { .. } => message(shared, model, peer, link, index, answer, mark),
        BrokerMessage::Ok => {}
        _ => wrong(shared, "ACK"),
    }
}

/// A refusal: only for a reason, and one that a client may do something about.
pub(super) fn refused(
    shared: &mut Shared,
    model: &Model,
    peer: usize,
    link: &mut Link,
    (sent, rkeys, version): (&Sent, Option<usize>, Version),
    error: &ErrorType,
) {
    shared.trace.note(&format!("client hears {error}"), &[peer as u64]);
    if super::moderation::refused(shared, version, sent, error) {
        return;
    }
    match (sent, error) {
        (Sent::Send { queue: index, has_right, .. }, ErrorType::Auth) => {
            let queue = &shared.queues[*index];
            // Commands take effect in the order in which they came, whether those before were answered or not.
            let is_sure = *has_right
                && queue.keys_tried == 1
                && queue.mode == Some(QueueMode::Messaging)
                && queue.blocks_asked.is_empty()
                && shared.options.store_fails + shared.options.store_loses_reply == 0;
            let may = queue.delete_asked || queue.off_asked || (queue.keys_tried > 0 && !is_sure);
            shared.trace.expect(may, || format!("SEND to queue {index} was refused"));
        }
        (Sent::Send { body, .. }, ErrorType::Quota) => {
            let is_full = model.over_quota.contains(body);
            shared.trace.expect(is_full, || "a queue was said to be full and was not".into());
        }
        (Sent::Key(index, _), ErrorType::Auth) => {
            let queue = &shared.queues[*index];
            let is_messaging = queue.mode == Some(QueueMode::Messaging);
            let lost = rkeys.is_some_and(|rkeys| rkeys != queue.rkeys_sent);
            let may = queue.delete_asked || queue.keys_tried > 1 || !is_messaging || lost;
            shared.trace.expect(may, || format!("KEY of queue {index} was refused"));
        }
        (
            Sent::Sub(index)
            | Sent::Get(index)
            | Sent::Ack(index, _)
            | Sent::Off(index)
            | Sent::Del(index)
            | Sent::Que(index)
            | Sent::RemoveLink(index)
            | Sent::SetNotifier(index, _)
            | Sent::RemoveNotifier(index)
            | Sent::RKey { queue: index, .. },
            ErrorType::Auth,
        ) => recipient_refused(shared, link, *index, rkeys),
        (Sent::SetLink(index, _), ErrorType::Auth) => {
            let queue = &shared.queues[*index];
            let lost = rkeys.is_some_and(|rkeys| rkeys != queue.rkeys_sent);
            let is_secured = queue.keys_tried > 0 && queue.mode == Some(QueueMode::Messaging);
            let may = queue.delete_asked || lost || is_secured;
            shared.trace.expect(may, || format!("LSET of queue {index} was refused"));
        }
        (Sent::Ack(index, id), ErrorType::NoMessage) => {
            let on_link = link.queues.entry(*index).or_default();
            if on_link.in_flight.as_ref() == Some(id) {
                on_link.in_flight = None;
            }
        }
        (Sent::New(_) | Sent::Ping | Sent::SubscribeAll, ErrorType::Auth)
        | (_, ErrorType::Block | ErrorType::Session | ErrorType::Service) => {
            shared.trace.expect(false, || format!("a good command was refused: {error}"));
        }
        // The store failed, or the state of the connection forbids it.
        _ => {}
    }
}

fn recipient_refused(shared: &mut Shared, link: &mut Link, index: usize, rkeys: Option<usize>) {
    let queue = &shared.queues[index];
    let lost = rkeys.is_some_and(|rkeys| rkeys != queue.rkeys_sent);
    let may = queue.delete_asked;
    if lost && !may {
        return;
    }
    shared.trace.expect(may, || format!("a command of the recipient of queue {index} was refused"));
    let on_link = link.queues.entry(index).or_default();
    on_link.is_subscribed = false;
    on_link.in_flight = None;
}

fn wrong(shared: &mut Shared, command: &str) {
    shared.trace.expect(false, || format!("{command} was answered wrongly"));
}
