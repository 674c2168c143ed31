//! What servers tell without being asked, and what is malformed.

use super::*;
use crate::wire::{ErrorType, IdsHash, QueueSet};

#[test]
fn each_event_is_told_with_its_entity() {
    let queues = QueueSet { count: 2, hash: IdsHash([3; 16]) };
    let notification = BrokerMessage::NMsg { nonce: [4; 24], metadata: vec![5; 144].into() };
    let events = [
        (queue(1), message(5), ClientEvent::Message(queue(1), received(5))),
        (queue(1), BrokerMessage::End, ClientEvent::End(queue(1))),
        (queue(1), BrokerMessage::Deld, ClientEvent::Deleted(queue(1))),
        (queue(1), BrokerMessage::Ends(queues), ClientEvent::ServiceEnd(queue(1), queues)),
        (queue(0), BrokerMessage::Err(ErrorType::Block), ClientEvent::Error(queue(0), ErrorType::Block)),
        (queue(1), BrokerMessage::Err(ErrorType::Auth), ClientEvent::Error(queue(1), ErrorType::Auth)),
        (queue(1), BrokerMessage::Ok, ClientEvent::Other(queue(1), BrokerMessage::Ok)),
        (
            queue(1),
            notification,
            ClientEvent::Notification(
                queue(1),
                Notification { nonce: [4; 24], encrypted: vec![5; 144].into() },
            ),
        ),
        (EntityId::empty(), BrokerMessage::Alls, ClientEvent::AllDelivered),
    ];
    let mut pair = Pair::connected(20);
    for (entity, message, event) in events {
        pair.peer.send(&[unasked(entity, &message)]);
        pair.run();
        assert_eq!(pair.take_event(), event);
    }
}

#[test]
fn answers_and_events_share_a_block() {
    let mut pair = Pair::connected(18);
    let (id, incoming) = pair.sent(sub(1));
    let ok = ServerTransmission {
        correlation_id: incoming.correlation,
        entity_id: queue(1),
        message: (&b"SOK 0"[..]).into(),
    };
    pair.peer.send(&[ok, unasked(queue(1), &message(5)), unasked(queue(2), &BrokerMessage::End)]);
    pair.run();
    assert_eq!(pair.take_answer(id), Ok(Answer::Subscribed { service: None, message: None }));
    let events = [ClientEvent::Message(queue(1), received(5)), ClientEvent::End(queue(2))];
    assert_eq!(pair.events, events);
}

#[test]
fn a_malformed_transmission_does_not_affect_the_others() {
    let mut pair = Pair::connected(18);
    let good = unasked(queue(1), &BrokerMessage::End);
    let bad = |message: &'static [u8]| ServerTransmission { message: message.into(), ..good.clone() };
    pair.peer.send(&[bad(b"WHAT"), good.clone(), bad(b"MSG"), bad(b"END ")]);
    pair.run();
    let malformed = ClientEvent::MalformedTransmission;
    let events = [malformed.clone(), ClientEvent::End(queue(1)), malformed.clone(), malformed];
    assert_eq!(core::mem::take(&mut pair.events), events);

    // An item that is no transmission, beside one that is: the batch of b"\0", empty ids, "END".
    let mut content = b"\x02\0\x01\xff\0\x1e\0\0\x18".to_vec();
    content.extend([1; 24]);
    content.extend(b"END");
    pair.peer.send_content(&content);
    pair.run();
    assert_eq!(pair.events, [ClientEvent::MalformedTransmission, ClientEvent::End(queue(1))]);
}

#[test]
fn a_message_must_have_the_entity_that_it_is_about() {
    let mut pair = Pair::connected(20);
    pair.peer.send(&[
        unasked(EntityId::empty(), &message(5)),
        unasked(queue(1), &BrokerMessage::Alls),
        unasked(EntityId::empty(), &BrokerMessage::End),
    ]);
    pair.run();
    assert_eq!(pair.events, vec![ClientEvent::MalformedTransmission; 3]);
}

#[test]
fn a_malformed_block_is_told_and_the_connection_goes_on() {
    let mut pair = Pair::connected(18);
    for content in [&b""[..], b"\0", b"\x02\0\x01a", b"\x01\0\x01ab"] {
        pair.peer.send_content(content);
        pair.run();
        assert_eq!(pair.take_event(), ClientEvent::MalformedBlock);
    }
    let (id, incoming) = pair.sent(Request::ping());
    assert_eq!(pair.answered(id, &incoming, BrokerMessage::Pong), Ok(Answer::Done));
}

#[test]
fn bytes_may_come_in_any_pieces() {
    let mut pair = Pair::connected(18);
    pair.peer.send(&[unasked(queue(1), &BrokerMessage::End)]);
    pair.peer.send(&[unasked(queue(2), &BrokerMessage::End)]);
    let mut bytes = Vec::new();
    while let Some(more) = pair.peer.poll_transmit() {
        bytes.extend(more);
    }
    for piece in bytes.chunks(1000) {
        pair.client.handle(pair.now, ClientInput::Received(piece));
        pair.run();
    }
    assert_eq!(pair.events, [ClientEvent::End(queue(1)), ClientEvent::End(queue(2))]);
}
