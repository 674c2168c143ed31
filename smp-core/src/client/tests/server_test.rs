//! The test of a server, step by step.

use super::*;
use crate::wire::broker::CreatedQueue;
use crate::wire::{DhPublicKey, ErrorType, QueueMode};

/// Runs the test against a server that answers the commands of a run in turn; `None`: with silence.
fn run(version: u16, answers: Vec<Option<BrokerMessage>>) -> (Vec<&'static str>, Result<(), TestFailure>) {
    let mut now = START;
    let (mut peer, transport) = Peer::new(Version(version), now);
    let mut test = ServerTest::new(transport, None, [3; 32], now);
    let mut answers = answers.into_iter();
    let (mut commands, mut closed) = (Vec::new(), false);
    loop {
        match test.poll_output() {
            Some(TestOutput::Send(bytes)) => {
                peer.receive(now, &bytes);
                test.handle(now, TestInput::Sent(bytes.len()));
            }
            Some(TestOutput::Close) => closed = true,
            Some(TestOutput::Done(result)) => {
                assert!(closed && test.poll_output().is_none() && test.poll_timeout().is_none());
                return (commands, result);
            }
            None => {
                while let Some(block) = peer.blocks.pop_front() {
                    for incoming in block {
                        commands.push(incoming.command.tag());
                        if let Some(answer) = answers.next().flatten() {
                            peer.answer(&incoming, answer);
                        }
                    }
                }
                if let Some(bytes) = peer.poll_transmit() {
                    test.handle(now, TestInput::Received(&bytes));
                } else {
                    now.mono = test.poll_timeout().expect("something is waited for");
                    test.handle(now, TestInput::Timeout);
                }
            }
        }
    }
}

fn created() -> Option<BrokerMessage> {
    created_as(None)
}

fn created_as(mode: Option<QueueMode>) -> Option<BrokerMessage> {
    let created = CreatedQueue {
        recipient_id: queue(1),
        sender_id: queue(2),
        dh_key: DhPublicKey([4; 32]),
        mode,
        link_id: None,
        service_id: None,
        notifier: None,
    };
    Some(BrokerMessage::Ids(Box::new(created)))
}

#[test]
fn a_server_that_works_passes() {
    for version in VERSIONS {
        let ok = Some(BrokerMessage::Ok);
        let (commands, result) = run(version, vec![created(), ok.clone(), ok]);
        assert_eq!((commands, result), (vec!["NEW", "KEY", "DEL"], Ok(())));
    }
    for (version, mode, secured) in [
        (9, QueueMode::Messaging, "SKEY"),
        (18, QueueMode::Messaging, "SKEY"),
        (18, QueueMode::Contact, "KEY"),
    ] {
        let ok = Some(BrokerMessage::Ok);
        let (commands, result) = run(version, vec![created_as(Some(mode)), ok.clone(), ok]);
        assert_eq!((commands, result), (vec!["NEW", secured, "DEL"], Ok(())));
    }
}

#[test]
fn the_step_that_failed_is_named() {
    let ok = || Some(BrokerMessage::Ok);
    let auth = || Some(BrokerMessage::Err(ErrorType::Auth));
    let refused = TestError::Request(RequestError::Server(ErrorType::Auth));
    for (answers, step, error) in [
        (vec![auth()], TestStep::CreateQueue, refused.clone()),
        (vec![created(), auth()], TestStep::SecureQueue, refused.clone()),
        (vec![created(), ok(), auth()], TestStep::DeleteQueue, refused),
        (vec![created(), None], TestStep::SecureQueue, TestError::Request(RequestError::Timeout)),
        (
            vec![Some(BrokerMessage::Pong)],
            TestStep::CreateQueue,
            TestError::Request(RequestError::Unexpected),
        ),
    ] {
        let (commands, result) = run(18, answers.clone());
        assert_eq!(result, Err(TestFailure { step, error }));
        assert_eq!(commands.len(), answers.len());
    }
}

#[test]
fn a_connection_that_ends_fails_the_step_that_it_ended() {
    let now = START;
    let (_, transport) = Peer::new(Version(18), now);
    let mut test = ServerTest::new(transport, None, [3; 32], now);
    test.handle(now, TestInput::Eof);
    let mut result = None;
    while let Some(output) = test.poll_output() {
        if let TestOutput::Done(done) = output {
            result = Some(done);
        }
    }
    let Some(Err(failure)) = result else { panic!("failed") };
    assert_eq!(failure.step, TestStep::Connect);
    assert_eq!(failure.error, TestError::Closed(CloseReason::ServerClosed));
}
