//! How connections end, and what becomes of commands then.

use super::*;
use crate::wire::command::MessageFlags;

/// Gives a connection commands in every state, ends it, and checks what each is told.
fn ends(end: impl FnOnce(&mut Pair)) -> CloseReason {
    let mut pair = Pair::connected(18);
    pair.sent(sub(1));
    pair.writable = false;
    let sends: Vec<u64> = (1..=20)
        .map(|name| {
            pair.request(Request::send(queue(name), None, MessageFlags::default(), vec![0; 16_000].into()))
        })
        .collect();
    pair.drain();
    let given = pair.unwritten.len();
    end(&mut pair);
    pair.drain();
    let reason = pair.closed.clone().expect("the connection ended");
    let mut answers = core::mem::take(&mut pair.answers);
    answers.sort_by_key(|(id, _)| *id);
    let mut expected = vec![(1, Err(RequestError::OutcomeUnknown))];
    for (number, id) in sends.into_iter().enumerate() {
        let error = if number < given { RequestError::OutcomeUnknown } else { RequestError::NotSent };
        expected.push((id, Err(error)));
    }
    assert_eq!(answers, expected);
    assert_eq!((pair.client.commands(), pair.client.poll_timeout()), (0, None));
    assert!(!pair.client.wants_input());

    // Nothing happens any more, and commands are told so.
    let id = pair.request(sub(1));
    pair.drain();
    assert_eq!(pair.take_answer(id), Err(Rejection::Closed.into()));
    for input in
        [ClientInput::Timeout, ClientInput::Received(&[0; 20_000]), ClientInput::Eof, ClientInput::Close]
    {
        pair.client.handle(pair.now, input);
        assert!(pair.client.poll_output().is_none());
    }
    reason
}

#[test]
fn every_command_is_answered_however_the_connection_ends() {
    let closed = ends(|pair| pair.client.handle(pair.now, ClientInput::Close));
    assert_eq!(closed, CloseReason::Requested);
    let closed = ends(|pair| pair.client.handle(pair.now, ClientInput::Eof));
    assert_eq!(closed, CloseReason::ServerClosed);
}

#[test]
fn a_socket_that_takes_nothing_ends_the_connection() {
    let mut pair = Pair::connected(18);
    pair.writable = false;
    let id = pair.request(sub(1));
    pair.drain();
    pair.pass(39);
    assert_eq!(pair.closed, None);
    pair.pass(1);
    assert_eq!(pair.closed, Some(CloseReason::Stalled));
    assert_eq!(pair.take_answer(id), Err(RequestError::OutcomeUnknown));
}

#[test]
fn a_handshake_that_takes_too_long_ends_the_connection() {
    let mut pair = Pair::new(18, ClientLimits::default());
    let id = pair.request(sub(1));
    pair.drain();
    let bytes: usize = pair.unwritten.drain(..).map(|bytes| bytes.len()).sum();
    pair.client.handle(pair.now, ClientInput::Sent(bytes));
    // The server says nothing.
    while let Some(at) = pair.client.poll_timeout() {
        pair.now.mono = at;
        pair.client.handle(pair.now, ClientInput::Timeout);
        pair.drain();
    }
    assert!(matches!(pair.closed, Some(CloseReason::Transport(_))));
    assert!(pair.now.mono <= Timestamp::ZERO + Duration::from_secs(120));
    assert_eq!(pair.take_answer(id), Err(RequestError::NotSent));
}

#[test]
fn commands_wait_for_the_handshake() {
    let mut pair = Pair::new(18, ClientLimits::default());
    (1..=10).for_each(|name| {
        pair.request(sub(name));
    });
    pair.run();
    assert_eq!(pair.peer.counts(), [10]);
}

#[test]
fn a_server_with_another_identity_is_refused() {
    let mut pair = Pair::of(Peer::impostor(START), ClientLimits::default());
    let id = pair.request(sub(1));
    pair.run();
    let Some(CloseReason::Transport(fault)) = &pair.closed else { panic!("refused") };
    assert!(fault.is_identity() && pair.peer.is_broken, "both sides know");
    assert_eq!(pair.take_answer(id), Err(RequestError::NotSent));
}

#[test]
fn a_closing_client_says_goodbye() {
    let mut pair = Pair::connected(18);
    pair.client.handle(pair.now, ClientInput::Close);
    pair.drain();
    assert_eq!((pair.unwritten.len(), &pair.closed), (1, &Some(CloseReason::Requested)));
}

#[test]
fn the_same_seed_and_inputs_give_the_same_bytes() {
    let [first, second] = [(); 2].map(|()| {
        let mut pair = Pair::connected(18);
        pair.writable = false;
        (1..=3).for_each(|name| {
            pair.request(sub(name));
        });
        pair.drain();
        pair.unwritten
    });
    assert!(first == second && first.len() == 1);
}
