//! Queues and messages through the program: what its settings and restarts do to them.

use bytes::Bytes;
use smp_core::client::{Answer, QueueKeys, Request, RequestError};
use smp_core::wire::Password;
use smp_core::wire::broker::CreatedQueue;
use smp_core::wire::command::{MessageFlags, NotifierKeys, SubscriptionMode};
use smp_core::wire::error::ErrorType;
use smp_core::wire::message::ReceivedBody;

use crate::client::{Connection, entropy};
use crate::harness::{Place, Signal};

pub(crate) fn create(
    connection: &mut Connection,
    keys: &QueueKeys,
    password: Option<Password>,
) -> Result<Box<CreatedQueue>, RequestError> {
    let mut queue = keys.new_queue(SubscriptionMode::OnlyCreate);
    queue.password = password;
    connection.request(Request::create(queue, keys.auth.clone())).map(|answer| match answer {
        Answer::Created(queue) => queue,
        other => panic!("{other:?}"),
    })
}

pub(crate) fn send(
    connection: &mut Connection,
    queue: &CreatedQueue,
    body: &'static str,
) -> Result<Answer, RequestError> {
    let flags = Default::default();
    connection.request(Request::send(
        queue.sender_id.clone(),
        None,
        flags,
        Bytes::from_static(body.as_bytes()),
    ))
}

/// The oldest message of a queue, taken from it.
pub(crate) fn take(
    connection: &mut Connection,
    queue: &CreatedQueue,
    keys: &QueueKeys,
) -> Option<ReceivedBody> {
    let id = queue.recipient_id.clone();
    let Ok(Answer::Message(message)) = connection.request(Request::receive(id.clone(), keys.auth.clone()))
    else {
        panic!("no answer to GET");
    };
    let message = message?;
    let body = message.open(&keys.secret(queue).unwrap()).unwrap();
    connection.request(Request::acknowledge(id, keys.auth.clone(), message.id)).unwrap();
    Some(body)
}

pub(crate) fn refused(answer: Result<impl std::fmt::Debug, RequestError>) -> ErrorType {
    match answer {
        Err(RequestError::Server(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn messages_survive_restarts_with_every_durability() {
    for (algorithm, durability) in [("ed25519", "always"), ("ed448", "interval"), ("ed25519", "on-exit")] {
        let place = Place::of_reference(algorithm);
        place.replace("port: 5223,443", "port: 0\nbind: 127.0.0.1");
        place.replace("control_port: 5224", "control_port: 0");
        place.replace("enable: on", &format!("enable: on\ndurability: {durability}"));
        let keys = QueueKeys::generate(&mut entropy());

        let serving = place.serve(&["start"]);
        let mut connection = Connection::to(&serving);
        assert_eq!(connection.version.0, 18);
        let password = connection.address.password.clone();
        assert!(password.is_some());
        let queue = create(&mut connection, &keys, password).unwrap();
        for body in ["one", "two"] {
            assert_eq!(send(&mut connection, &queue, body), Ok(Answer::Done));
        }
        drop(connection);
        assert!(serving.signal(Signal::TERM).success());

        let serving = place.serve(&["start"]);
        let mut connection = Connection::to(&serving);
        for expected in ["one", "two"] {
            let body = take(&mut connection, &queue, &keys);
            assert!(matches!(body, Some(ReceivedBody::Message { body, .. }) if body == expected));
        }
        assert!(take(&mut connection, &queue, &keys).is_none());
        drop(connection);
        assert!(serving.signal(Signal::INT).success());

        let kept = place.run(&["start", "--maintenance"]);
        assert!(kept.out.contains("Queues: 1, messages: 0"), "{}{}", kept.out, kept.err);
    }
}

#[test]
fn settings_reach_the_protocol() {
    let place = Place::initialised();
    let settings = "[LIMITS]\nmsg_queue_quota = 1\nqueue_id_length = 16\n";
    place.replace("[LIMITS]\n", settings);
    place.replace("# smp_versions = 6-18", "smp_versions = 6-7");
    place.replace("\nenable = on\n", "\nenable = off\n");
    let keys = QueueKeys::generate(&mut entropy());
    let serving = place.serve(&["start"]);
    assert_eq!(serving.line("Store: "), "in memory");
    let mut connection = Connection::to(&serving);
    assert_eq!(connection.version.0, 7);
    let wrong = Password::new(b"wrong").unwrap();
    for password in [None, Some(wrong)] {
        assert_eq!(refused(create(&mut connection, &keys, password)), ErrorType::Auth);
    }
    let password = connection.address.password.clone();
    let queue = create(&mut connection, &keys, password.clone()).unwrap();
    assert_eq!(queue.recipient_id.as_bytes().len(), 16);
    assert_eq!(send(&mut connection, &queue, "one"), Ok(Answer::Done));
    assert_eq!(refused(send(&mut connection, &queue, "two")), ErrorType::Quota);
    drop(connection);
    assert!(serving.signal(Signal::TERM).success());

    place.replace("new_queues = on", "new_queues = off");
    let serving = place.serve(&["start"]);
    let mut connection = Connection::to(&serving);
    assert_eq!(refused(create(&mut connection, &keys, password)), ErrorType::Auth);
    assert_eq!(refused(send(&mut connection, &queue, "three")), ErrorType::Auth);
}

#[test]
fn old_messages_and_notifications_are_deleted_at_maintenance() {
    let place = Place::initialised();
    let keys = QueueKeys::generate(&mut entropy());
    let serving = place.serve(&["start"]);
    let mut connection = Connection::to(&serving);
    let password = connection.address.password.clone();
    let queue = create(&mut connection, &keys, password).unwrap();
    let notifier = QueueKeys::generate(&mut entropy()).new_queue(SubscriptionMode::OnlyCreate);
    let notifier = NotifierKeys { auth_key: notifier.recipient_key, dh_key: notifier.dh_key };
    let set = Request::set_notifier(queue.recipient_id.clone(), keys.auth.clone(), notifier);
    assert!(matches!(connection.request(set), Ok(Answer::Notifier(_))));
    let flags = MessageFlags { notification: true };
    let old = Request::send(queue.sender_id.clone(), None, flags, Bytes::from_static(b"old"));
    assert_eq!(connection.request(old), Ok(Answer::Done));
    let second = place.run(&["start"]);
    assert_eq!(second.code, Some(1));
    assert!(second.err.contains("open in another process"), "{}", second.err);
    drop(connection);
    assert!(serving.signal(Signal::TERM).success());

    let done = place.run(&["start", "-m"]);
    assert!(
        done.out.contains("Old messages deleted: 0\nOld notifications deleted: 0\nQueues: 1, messages: 1\n"),
        "{}",
        done.out
    );
    place.replace("expire_messages_days = 21", "expire_messages_days = 1ms");
    place.replace("expire_ntfs_hours = 24", "expire_ntfs_hours = 1ms");
    // Messages have whole seconds: one of this second is old when the next begins.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let done = place.run(&["start", "-m"]);
    assert!(
        done.out.contains("Old messages deleted: 1\nOld notifications deleted: 1\nQueues: 1, messages: 0\n"),
        "{}",
        done.out
    );
    // Messages may be kept at a start, which is said of them alone.
    place.replace("expire_messages_on_start = on", "expire_messages_on_start = off");
    let done = place.run(&["start", "-m"]);
    assert!(!done.out.contains("Old messages"), "{}", done.out);
    assert!(done.out.contains("Old notifications deleted: 0\nQueues: 1, messages: 0\n"), "{}", done.out);
}
