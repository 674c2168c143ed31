//! How commands become blocks.

use super::*;
use crate::wire::Command;
use crate::wire::command::MessageFlags;

fn subs(pair: &mut Pair, count: u16) {
    for name in 0..count {
        let [high, low] = name.to_be_bytes();
        let mut id = [high; 24];
        id[23] = low;
        pair.request(Request::subscribe(EntityId::from(id), key()));
    }
    pair.run();
}

fn send(name: u8, body: &[u8]) -> Request {
    Request::send(queue(name), None, MessageFlags::default(), body.to_vec().into())
}

#[test]
fn subscriptions_fill_blocks() {
    for (version, per_block) in [(6, 106), (8, 136), (15, 136), (16, 135), (18, 135), (20, 135)] {
        let mut pair = Pair::connected(version);
        subs(&mut pair, 300);
        let rest = 300 - 2 * per_block;
        let expected = if rest > per_block {
            vec![per_block, per_block, per_block]
        } else {
            vec![per_block, per_block, rest]
        };
        assert_eq!(pair.peer.counts()[..], expected[..], "version {version}");
    }
}

#[test]
fn results_of_a_batch_are_told_one_by_one() {
    let mut pair = Pair::connected(18);
    subs(&mut pair, 200);
    let blocks: Vec<_> = pair.peer.blocks.drain(..).flatten().collect();
    for (number, incoming) in blocks.iter().enumerate().rev() {
        pair.peer.answer(incoming, BrokerMessage::Ok);
        pair.run();
        let id = u64::try_from(number).unwrap() + 1;
        assert!(pair.take_answer(id).is_ok());
    }
    assert_eq!(pair.client.commands(), 0);
}

#[test]
fn commands_of_one_turn_share_a_block_and_those_given_apart_do_not() {
    let mut pair = Pair::connected(18);
    pair.request(sub(1));
    pair.request(Request::ping());
    pair.request(send(2, b"hi"));
    pair.run();
    pair.request(sub(3));
    pair.run();
    assert_eq!(pair.peer.counts(), [3, 1]);
}

#[test]
fn a_block_ends_before_a_message_that_does_not_fit() {
    let mut pair = Pair::connected(18);
    for (name, length) in [(1, 10_000), (2, 6_000), (3, 10_000), (4, 16_048), (5, 300)] {
        pair.request(send(name, &vec![name; length]));
    }
    pair.run();
    assert_eq!(pair.peer.counts(), [2, 1, 1, 1]);
}

#[test]
fn commands_about_one_queue_keep_their_order_and_never_share_a_block() {
    let mut pair = Pair::connected(18);
    for body in [b"a", b"b", b"c"] {
        pair.request(send(1, body));
        pair.request(send(2, body));
    }
    pair.run();
    assert_eq!(pair.peer.counts(), [2, 2, 2]);
    for name in [1, 2] {
        let bodies: Vec<_> =
            pair.peer.blocks.iter().flatten().filter(|one| one.entity == queue(name)).collect();
        let bodies: Vec<_> = bodies
            .into_iter()
            .map(|one| match &one.command {
                Command::Send { body, .. } => body.to_vec(),
                _ => panic!("SEND"),
            })
            .collect();
        assert_eq!(bodies, [b"a", b"b", b"c"]);
    }
}

#[test]
fn commands_gather_while_the_socket_is_busy() {
    let mut pair = Pair::connected(18);
    pair.writable = false;
    for name in 1..=20 {
        pair.request(send(name, &[name; 16_000]));
        pair.run();
    }
    // 64 KiB of output wait: four blocks, or a little less with another layer's overhead.
    let given = pair.unwritten.len();
    assert!((4..=5).contains(&given), "{given} blocks");
    for name in 21..=60 {
        pair.request(sub(name));
        pair.run();
    }
    assert_eq!(pair.unwritten.len(), given);
    pair.writable = true;
    pair.run();
    let counts = pair.peer.counts();
    assert_eq!((counts.len(), counts.iter().sum()), (21, 60), "the subscriptions share a block");
}

#[test]
fn too_many_commands_and_bytes_are_rejected() {
    let limits = ClientLimits { commands: 3, waiting_bytes: 1000, ..ClientLimits::default() };
    let mut pair = Pair::with_limits(18, limits);
    pair.request(send(1, &[0; 600]));
    let id = pair.request(send(2, &[0; 401]));
    pair.drain();
    assert_eq!(pair.take_answer(id), Err(Rejection::TooManyBytes.into()));
    pair.run();
    pair.request(send(2, &[0; 1000]));
    pair.request(sub(1));
    let id = pair.request(sub(2));
    pair.run();
    assert_eq!(pair.take_answer(id), Err(Rejection::TooManyCommands.into()));
    assert_eq!(pair.client.commands(), 3);
    let incoming = pair.peer.blocks.pop_front().unwrap().remove(0);
    assert!(pair.answered(1, &incoming, BrokerMessage::Ok).is_ok());
    assert!(pair.request(sub(2)) > 0 && pair.client.commands() == 3);
}

#[test]
fn a_command_id_is_not_used_twice_at_a_time() {
    let mut pair = Pair::connected(18);
    let (id, incoming) = pair.sent(sub(1));
    pair.next_id = id - 1;
    pair.request(sub(2));
    pair.run();
    assert_eq!(pair.take_answer(id), Err(Rejection::IdInUse.into()));
    assert!(pair.peer.blocks.is_empty());
    assert!(pair.answered(id, &incoming, BrokerMessage::Ok).is_ok());
    pair.next_id = id - 1;
    pair.sent(sub(2));
}

#[test]
fn nothing_is_read_while_outputs_wait() {
    let mut pair = Pair::connected(18);
    pair.peer.send(&[unasked(queue(1), &BrokerMessage::End)]);
    let bytes = pair.peer.poll_transmit().unwrap();
    assert!(pair.client.wants_input());
    pair.client.handle(pair.now, ClientInput::Received(&bytes));
    assert!(!pair.client.wants_input());
    assert_eq!(pair.client.poll_timeout(), Some(pair.now.mono));
    pair.run();
    assert!(pair.client.wants_input());
    assert_eq!(pair.client.poll_timeout(), None);
    pair.request(sub(1));
    assert_eq!(pair.client.poll_timeout(), Some(pair.now.mono), "a command waits to be sent");
}
