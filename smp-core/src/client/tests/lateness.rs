//! Deadlines, late and unknown answers, cancelling, and silence.

use super::*;

const TIMEOUT: Result<Answer, RequestError> = Err(RequestError::Timeout);

#[test]
fn a_command_without_an_answer_times_out_once() {
    let mut pair = Pair::connected(18);
    let (id, _) = pair.sent(sub(1));
    pair.pass(14);
    assert!(pair.answers.is_empty());
    pair.pass(1);
    assert_eq!(pair.take_answer(id), TIMEOUT);
    pair.pass(100);
    assert!(pair.answers.is_empty() && pair.client.commands() == 0);
}

#[test]
fn the_time_for_an_answer_runs_from_when_the_block_was_written() {
    let mut pair = Pair::connected(18);
    pair.writable = false;
    let id = pair.request(sub(1));
    pair.run();
    pair.pass(30);
    let bytes = pair.unwritten.remove(0);
    // All but one byte: the server cannot have read it.
    pair.client.handle(pair.now, ClientInput::Sent(bytes.len() - 1));
    pair.pass(30);
    assert!(pair.answers.is_empty());
    pair.client.handle(pair.now, ClientInput::Sent(1));
    pair.pass(14);
    assert!(pair.answers.is_empty());
    pair.pass(1);
    assert_eq!(pair.take_answer(id), TIMEOUT);
}

#[test]
fn commands_of_a_long_batch_have_deadlines_of_their_own_blocks() {
    let mut pair = Pair::connected(18);
    pair.writable = false;
    let ids: Vec<u64> = (1..=200).map(|name| pair.request(sub(name))).collect();
    pair.run();
    assert_eq!(pair.unwritten.len(), 2);
    for _ in 0..2 {
        let bytes = pair.unwritten.remove(0);
        pair.client.handle(pair.now, ClientInput::Sent(bytes.len()));
        pair.pass(10);
    }
    // 20 seconds after the first block, 10 after the second.
    let timed_out: Vec<u64> = pair.answers.iter().map(|(id, _)| *id).collect();
    assert_eq!(timed_out.len(), 135);
    assert!(ids[..135].iter().all(|id| timed_out.contains(id)));
    pair.pass(5);
    assert_eq!(pair.answers.len(), 200);
}

#[test]
fn a_request_may_have_its_own_time() {
    let mut pair = Pair::connected(18);
    let (id, _) = pair.sent(sub(1).with_timeout(Duration::from_secs(45)));
    pair.pass(44);
    assert!(pair.answers.is_empty());
    pair.pass(1);
    assert_eq!(pair.take_answer(id), TIMEOUT);
}

/// The event of an answer that comes late, to a command that timed out or was cancelled.
fn late(cancel: bool, request: Request, answer: BrokerMessage) -> (u64, Option<ClientEvent>, ClientCounters) {
    let mut pair = Pair::connected(18);
    let (id, incoming) = pair.sent(request);
    if cancel {
        pair.cancel(id);
    } else {
        pair.pass(15);
        assert_eq!(pair.take_answer(id), TIMEOUT);
    }
    pair.peer.answer(&incoming, answer.clone());
    pair.run();
    let event = pair.events.pop();
    assert!(pair.answers.is_empty() && pair.events.is_empty() && pair.client.commands() == 0);
    // It is late once; then it is unknown.
    let counters = pair.client.counters();
    pair.peer.answer(&incoming, BrokerMessage::Ok);
    pair.run();
    assert_eq!(pair.client.counters().unknown_answers, counters.unknown_answers + 1);
    assert!(pair.events.is_empty());
    (id, event, counters)
}

#[test]
fn a_late_message_is_not_lost() {
    for cancel in [false, true] {
        for request in [
            sub(1),
            Request::receive(queue(1), key()),
            Request::acknowledge(queue(1), key(), [8; 24].into()),
            Request::raw(crate::wire::Command::Get, queue(1), Some(key())),
        ] {
            let (id, event, _) = late(cancel, request, message(5));
            assert_eq!(event, Some(ClientEvent::LateMessage(CommandId(id), queue(1), received(5))));
        }
    }
}

#[test]
fn a_late_subscription_is_told_and_other_late_answers_are_counted() {
    for cancel in [false, true] {
        let (id, event, counters) = late(cancel, sub(1), BrokerMessage::Sok(None));
        assert_eq!(event, Some(ClientEvent::LateSubscribed(CommandId(id), queue(1))));
        assert_eq!(counters.late_answers, 0);
        for (request, answer) in [
            (Request::delete(queue(1), key()), BrokerMessage::Ok),
            (Request::receive(queue(1), key()), BrokerMessage::Ok),
            (sub(1), BrokerMessage::Err(crate::wire::ErrorType::Auth)),
        ] {
            let (_, event, counters) = late(cancel, request, answer);
            assert_eq!((event, counters.late_answers), (None, 1));
        }
    }
}

#[test]
fn a_message_is_told_even_when_its_command_was_forgotten() {
    let mut pair = Pair::with_limits(18, ClientLimits { late_answers: 1, ..ClientLimits::default() });
    let (first, incoming) = pair.sent(Request::receive(queue(1), key()));
    let (second, _) = pair.sent(sub(2));
    pair.cancel(first);
    pair.cancel(second);
    pair.peer.answer(&incoming, message(5));
    pair.run();
    assert_eq!(pair.take_event(), ClientEvent::Message(queue(1), received(5)));
}

#[test]
fn a_late_answer_about_another_queue_is_counted() {
    for answer in [message(5), BrokerMessage::Sok(None)] {
        let mut pair = Pair::connected(18);
        let (id, incoming) = pair.sent(sub(1));
        pair.cancel(id);
        pair.peer.answer_about(&incoming, queue(2), answer);
        pair.run();
        assert!(pair.events.is_empty());
        assert_eq!(pair.client.counters().late_answers, 1);
    }
}

#[test]
fn an_unknown_correlation_id_is_counted() {
    let mut pair = Pair::connected(18);
    let (id, incoming) = pair.sent(sub(1));
    let mut other = incoming.clone();
    other.correlation = CorrelationId::from([0; 24]);
    pair.peer.answer(&other, BrokerMessage::Ok);
    pair.run();
    assert!(pair.answers.is_empty() && pair.events.is_empty());
    assert_eq!(pair.client.counters(), ClientCounters { late_answers: 0, unknown_answers: 1 });
    assert!(pair.answered(id, &incoming, BrokerMessage::Ok).is_ok());
}

#[test]
fn a_command_cancelled_before_it_is_sent_is_not_sent() {
    let mut pair = Pair::new(18, ClientLimits::default());
    let cancelled = pair.request(sub(1));
    let kept = pair.request(sub(2));
    pair.cancel(cancelled);
    pair.cancel(cancelled);
    pair.cancel(99);
    pair.run();
    let incoming = pair.peer.next();
    assert_eq!(incoming.entity, queue(2));
    assert!(pair.answered(kept, &incoming, BrokerMessage::Ok).is_ok());
    assert_eq!(pair.client.commands(), 0);
}

#[test]
fn a_subscribed_client_that_hears_nothing_pings() {
    let mut pair = Pair::connected(18);
    pair.pass(10_000);
    assert!(pair.peer.blocks.is_empty(), "nothing to keep alive before the first subscription");

    let (id, incoming) = pair.sent(sub(1));
    pair.answered(id, &incoming, BrokerMessage::Ok).unwrap();
    pair.pass(599);
    assert!(pair.peer.blocks.is_empty());
    pair.pass(1);
    let ping = pair.peer.next();
    assert_eq!(ping.command.tag(), "PING");
    pair.peer.answer(&ping, BrokerMessage::Pong);
    pair.run();
    // Any block counts as a sign of life.
    pair.pass(300);
    pair.peer.send(&[unasked(queue(1), &BrokerMessage::End)]);
    pair.run();
    pair.pass(599);
    assert!(pair.peer.blocks.is_empty());
    pair.pass(1);
    assert_eq!(pair.peer.next().command.tag(), "PING");
    assert!(pair.answers.is_empty(), "nobody asked");
}

#[test]
fn a_server_that_answers_no_ping_is_given_up() {
    let mut pair = Pair::connected(18);
    let (id, incoming) = pair.sent(sub(1));
    pair.answered(id, &incoming, BrokerMessage::Ok).unwrap();
    // Pings at 600, 1200 and 1800 seconds, each missed 15 seconds later.
    pair.pass(1814);
    assert_eq!((pair.peer.blocks.len(), &pair.closed), (3, &None));
    pair.pass(1);
    assert_eq!(pair.closed, Some(CloseReason::Unresponsive));
}

#[test]
fn missed_answers_alone_do_not_end_a_connection() {
    let mut pair = Pair::connected(18);
    for name in 1..=5 {
        let (id, _) = pair.sent(sub(name));
        pair.pass(15);
        assert_eq!(pair.take_answer(id), TIMEOUT);
        pair.peer.blocks.clear();
    }
    pair.pass(900 - 75 - 1);
    assert_eq!(pair.closed, None);
    // A sign of life in the last second.
    pair.peer.send(&[unasked(queue(1), &BrokerMessage::End)]);
    pair.run();
    pair.pass(5000);
    assert_eq!(pair.closed, None);
}
