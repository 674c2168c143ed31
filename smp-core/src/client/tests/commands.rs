//! Every request and its answers at every version that changed something.

use super::*;
use crate::wire::broker::CreatedQueue;
use crate::wire::command::SubscriptionMode;
use crate::wire::command::{LinkData, MessageFlags, MessagingLink, NewQueue, NotifierKeys, QueueRequestData};
use crate::wire::{AuthPublicKey, Authorization, Command, CommandError, DhPublicKey, ErrorType};

fn new_queue(key: &AuthPrivateKey) -> NewQueue {
    NewQueue {
        recipient_key: key.public(),
        dh_key: DhPublicKey([3; 32]),
        password: None,
        subscribe: SubscriptionMode::OnlyCreate,
        queue_data: None,
        notifier: None,
    }
}

fn created() -> CreatedQueue {
    CreatedQueue {
        recipient_id: queue(1),
        sender_id: queue(2),
        dh_key: DhPublicKey([4; 32]),
        mode: None,
        link_id: None,
        service_id: None,
        notifier: None,
    }
}

/// The requests that are answered with OK.
fn plain_requests(version: u16, key: &AuthPrivateKey) -> Vec<(Request, &'static str)> {
    let public = AuthPublicKey::Ed25519([6; 32]);
    let mut requests = vec![
        (Request::acknowledge(queue(1), key.clone(), [8; 24].into()), "ACK"),
        (Request::suspend(queue(1), key.clone()), "OFF"),
        (Request::delete(queue(1), key.clone()), "DEL"),
        (Request::secure(queue(1), key.clone(), public), "KEY"),
        (Request::receive(queue(1), key.clone()), "GET"),
        (Request::subscribe(queue(1), key.clone()), "SUB"),
        (
            Request::send(queue(2), Some(key.clone()), MessageFlags { notification: true }, "hi".into()),
            "SEND",
        ),
    ];
    if version >= 9 {
        requests.push((Request::secure_by_sender(queue(2), key.clone()), "SKEY"));
    }
    if version >= 15 {
        requests.push((Request::set_recipient_keys(queue(1), key.clone(), vec![public]), "RKEY"));
    }
    requests
}

#[test]
fn each_request_is_authorised_and_its_answer_read() {
    for version in VERSIONS {
        for key in keys() {
            if version < 7 && matches!(key, AuthPrivateKey::X25519(_)) {
                continue;
            }
            let mut pair = Pair::connected(version);
            for (request, tag) in plain_requests(version, &key) {
                let expected = match tag {
                    "ACK" | "GET" => Answer::Message(None),
                    "SUB" => Answer::Subscribed { service: None, message: None },
                    _ => Answer::Done,
                };
                let (id, incoming) = pair.sent(request);
                assert_eq!((incoming.command.tag(), incoming.correlation.as_bytes().len()), (tag, 24));
                assert!(pair.peer.verifies(&incoming, &key.public()), "{tag} at {version}");
                assert_eq!(
                    pair.answered(id, &incoming, BrokerMessage::Ok),
                    Ok(expected),
                    "{tag} at {version}"
                );

                let (id, incoming) = pair.sent(plain_requests(version, &key).remove(0).0);
                let answer = pair.answered(id, &incoming, BrokerMessage::Err(ErrorType::Auth));
                assert_eq!(answer, Err(RequestError::Server(ErrorType::Auth)));
            }
            assert!(pair.events.is_empty() && pair.client.commands() == 0);
        }
    }
}

#[test]
fn the_state_of_a_queue_is_told() {
    for version in VERSIONS {
        let mut pair = Pair::connected(version);
        let (id, incoming) = pair.sent(Request::queue_info(queue(1), key()));
        pair.peer.answer_bytes(&incoming, queue(1), br#"INFO {"qiSnd":true,"qiNtf":false,"qiSize":3}"#);
        pair.run();
        let Ok(Answer::Info(status)) = pair.take_answer(id) else { panic!("INFO") };
        assert_eq!((status.sender_secured, status.size), (true, 3));
    }
}

#[test]
fn queues_are_created_with_what_the_version_has() {
    for version in VERSIONS {
        let mut pair = Pair::connected(version);
        let mut new = new_queue(&key());
        new.queue_data = Some(QueueRequestData::Messaging(None));
        let (id, incoming) = pair.sent(Request::create(new, key()));
        let Command::New(new) = &incoming.command else { panic!("NEW") };
        assert_eq!(new.queue_data.is_some(), version >= 9);
        assert!(incoming.entity.is_empty() && pair.peer.verifies(&incoming, &key().public()));
        let Ok(Answer::Created(queue)) =
            pair.answered(id, &incoming, BrokerMessage::Ids(Box::new(created())))
        else {
            panic!("IDS")
        };
        assert_eq!((queue.recipient_id, queue.dh_key), (super::queue(1), created().dh_key));
    }
}

#[test]
fn messages_come_as_answers_too() {
    for version in VERSIONS {
        let mut pair = Pair::connected(version);
        for request in
            [Request::receive(queue(1), key()), Request::acknowledge(queue(1), key(), [8; 24].into())]
        {
            let (id, incoming) = pair.sent(request);
            assert_eq!(pair.answered(id, &incoming, message(5)), Ok(Answer::Message(Some(received(5)))));
        }
        // Old servers answer SUB so.
        let (id, incoming) = pair.sent(sub(1));
        let subscribed = Answer::Subscribed { service: None, message: Some(received(5)) };
        assert_eq!(pair.answered(id, &incoming, message(5)), Ok(subscribed));
    }
}

#[test]
fn subscriptions_of_services_name_them() {
    let mut pair = Pair::connected(16);
    let (id, incoming) = pair.sent(sub(1));
    let subscribed = Answer::Subscribed { service: Some(queue(7)), message: None };
    assert_eq!(pair.answered(id, &incoming, BrokerMessage::Sok(Some(queue(7)))), Ok(subscribed));
}

#[test]
fn unsecured_sending_and_ping_have_no_authorization() {
    for version in VERSIONS {
        let mut pair = Pair::connected(version);
        let send = Request::send(queue(2), None, MessageFlags::default(), "hi".into());
        let (id, incoming) = pair.sent(send);
        assert_eq!(incoming.transmission.authorization, Authorization::None);
        assert_eq!(pair.answered(id, &incoming, BrokerMessage::Ok), Ok(Answer::Done));

        let (id, incoming) = pair.sent(Request::ping());
        assert_eq!((incoming.command.tag(), incoming.entity.is_empty()), ("PING", true));
        assert_eq!(pair.answered(id, &incoming, BrokerMessage::Pong), Ok(Answer::Done));
    }
}

#[test]
fn an_answer_that_the_command_does_not_have_is_unexpected() {
    let mut pair = Pair::connected(18);
    for (request, message) in [
        (Request::delete(queue(1), key()), message(5)),
        (Request::delete(queue(1), key()), BrokerMessage::Sok(None)),
        (Request::ping(), BrokerMessage::Pong),
        (sub(1), BrokerMessage::Deld),
        (Request::queue_info(queue(1), key()), BrokerMessage::Ok),
    ] {
        let is_ping = matches!(message, BrokerMessage::Pong);
        let (id, incoming) = pair.sent(request);
        let expected = if is_ping { Ok(Answer::Done) } else { Err(RequestError::Unexpected) };
        assert_eq!(pair.answered(id, &incoming, message), expected);
    }
}

#[test]
fn an_answer_about_another_queue_fails_the_command() {
    let mut pair = Pair::connected(18);
    for message in [BrokerMessage::Ok, message(5), BrokerMessage::Err(ErrorType::Auth)] {
        let (id, incoming) = pair.sent(sub(1));
        pair.peer.answer_about(&incoming, queue(2), message);
        pair.run();
        assert_eq!(pair.take_answer(id), Err(RequestError::Unexpected));
    }
    // A server that could not read the command does not know its queue.
    let (id, incoming) = pair.sent(sub(1));
    pair.peer.answer_about(&incoming, EntityId::empty(), BrokerMessage::Err(ErrorType::Block));
    pair.run();
    assert_eq!(pair.take_answer(id), Err(RequestError::Server(ErrorType::Block)));
    assert!(pair.events.is_empty());
}

#[test]
fn a_malformed_answer_fails_its_command_only() {
    let mut pair = Pair::connected(18);
    for bytes in [&b"WHAT"[..], b"OK ", b"IDS", b"PONG", b"ERR NEWS", b""] {
        let (id, incoming) = pair.sent(sub(1));
        pair.peer.answer_bytes(&incoming, queue(1), bytes);
        pair.run();
        assert_eq!(pair.take_answer(id), Err(RequestError::Malformed), "{bytes:?}");
    }
    assert!(pair.closed.is_none() && pair.events.is_empty());
}

#[test]
fn a_raw_request_gets_its_answer_as_it_came() {
    let mut pair = Pair::connected(18);
    let (id, incoming) = pair.sent(Request::raw(Command::LDel, queue(1), Some(key())));
    assert_eq!(pair.answered(id, &incoming, BrokerMessage::Deld), Ok(Answer::Raw(BrokerMessage::Deld)));
}

#[test]
fn requests_that_the_version_does_not_have_are_rejected() {
    let public = AuthPublicKey::Ed25519([6; 32]);
    let data = LinkData { fixed: "f".into(), user: "u".into() };
    let requests: [(u16, &dyn Fn() -> Request); 8] = [
        (7, &|| Request::subscribe(queue(1), keys()[2].clone())),
        (9, &|| Request::secure_by_sender(queue(2), key())),
        (15, &|| Request::set_recipient_keys(queue(1), key(), vec![public])),
        (15, &|| Request::raw(Command::LGet, queue(1), None)),
        (15, &|| {
            let link = MessagingLink { sender_id: queue(2), data: data.clone() };
            let queue_data = Some(QueueRequestData::Messaging(Some(link)));
            Request::create(NewQueue { queue_data, ..new_queue(&key()) }, key())
        }),
        (17, &|| {
            let notifier = Some(NotifierKeys { auth_key: public, dh_key: DhPublicKey([3; 32]) });
            Request::create(NewQueue { notifier, ..new_queue(&key()) }, key())
        }),
        (20, &|| Request::raw(Command::Rslv("a.simplex".parse().unwrap()), EntityId::empty(), None)),
        (8, &|| Request::raw(Command::Rfwd("x".into()), EntityId::empty(), None)),
    ];
    for version in VERSIONS {
        let mut pair = Pair::connected(version);
        for (needed, request) in requests {
            let id = pair.request(request());
            pair.run();
            if version < needed {
                let rejected = Rejection::NeedsVersion(Version(needed));
                assert_eq!(pair.take_answer(id), Err(rejected.into()));
                assert!(pair.peer.blocks.is_empty());
            } else {
                let incoming = pair.peer.next();
                assert!(pair.answered(id, &incoming, BrokerMessage::Err(ErrorType::Auth)).is_err());
            }
        }
    }
}

#[test]
fn credentials_are_checked_before_anything_is_sent() {
    let mut pair = Pair::connected(18);
    for (request, error) in [
        (Request::subscribe(EntityId::empty(), key()), CommandError::NoAuth),
        (Request::raw(Command::Sub, queue(1), None), CommandError::NoAuth),
        (Request::raw(Command::Ping, EntityId::empty(), Some(key())), CommandError::HasAuth),
        (Request::raw(Command::Ping, queue(1), None), CommandError::HasAuth),
        (Request::send(EntityId::empty(), None, MessageFlags::default(), "".into()), CommandError::NoEntity),
    ] {
        let id = pair.request(request);
        pair.run();
        assert_eq!(pair.take_answer(id), Err(Rejection::Credentials(error).into()));
    }
    assert!(pair.peer.blocks.is_empty());
}

#[test]
fn the_longest_message_is_sent_and_a_longer_one_is_not() {
    for (version, limit) in [(6, 16088), (8, 16064), (9, 16064), (15, 16048), (20, 16048)] {
        let mut pair = Pair::connected(version);
        for key in [None, Some(keys()[1].clone())] {
            let send = |length| {
                let flags = MessageFlags { notification: true };
                Request::send(queue(2), key.clone(), flags, vec![1; length].into())
            };
            let (id, incoming) = pair.sent(send(limit));
            assert_eq!(pair.answered(id, &incoming, BrokerMessage::Ok), Ok(Answer::Done));
            let id = pair.request(send(limit + 1));
            pair.run();
            assert_eq!(pair.take_answer(id), Err(Rejection::LargeMessage { limit }.into()));
        }
    }
}

#[test]
fn a_command_larger_than_a_block_is_rejected() {
    let mut pair = Pair::connected(18);
    let data = LinkData { fixed: vec![0; 10_000].into(), user: vec![0; 10_000].into() };
    let large = Request::raw(Command::LSet { link_id: queue(3), data }, queue(1), Some(key()));
    let id = pair.request(large);
    pair.request(sub(2));
    pair.run();
    assert_eq!(pair.take_answer(id), Err(Rejection::LargeCommand.into()));
    assert_eq!(pair.peer.counts(), [1]);
}

#[test]
fn a_chosen_correlation_id_is_used_once() {
    let mut pair = Pair::connected(18);
    let (first, incoming) = pair.sent(sub(1).with_correlation_id([9; 24]));
    assert_eq!(incoming.correlation, CorrelationId::from([9; 24]));
    let second = pair.request(sub(2).with_correlation_id([9; 24]));
    pair.run();
    assert_eq!(pair.take_answer(second), Err(Rejection::CorrelationIdInUse.into()));
    assert!(pair.answered(first, &incoming, BrokerMessage::Ok).is_ok());
}

#[test]
fn nothing_secret_or_personal_is_in_debug() {
    assert_eq!(format!("{:?}", sub(1)), "Request(SUB)");
    assert_eq!(format!("{:?}", received(1)), "ReceivedMessage");
    let event = ClientEvent::Message(queue(1), received(1));
    assert_eq!(format!("{event:?}"), "Message(EntityId(24 bytes), ReceivedMessage)");
}
