use super::*;
use crate::crypto::DhSecret;
use crate::server::store::{NotifierRecord, QueueStatus, set_of};
use crate::wire::error::{BlockingInfo, BlockingReason};
use crate::wire::{IdsHash, QueueMode, QueueSet};

const BY: AuthPublicKey = AuthPublicKey::Ed25519([1; 32]);
const SENDER: AuthPublicKey = AuthPublicKey::Ed25519([2; 32]);
const NOTIFIER: AuthPublicKey = AuthPublicKey::Ed25519([3; 32]);
const TODAY: UnixDay = UnixDay(9);

fn id(number: u8) -> EntityId {
    [number; 24].into()
}

/// A messaging queue with the ids 1 (recipient), 2 (sender), 3 (link) and 4 (notifier).
fn queue() -> QueueRecord {
    QueueRecord {
        recipient: id(1),
        sender: id(2),
        recipient_keys: vec![BY],
        secret: DhSecret::new([5; 32]),
        sender_key: None,
        mode: Some(QueueMode::Messaging),
        status: QueueStatus::Active,
        link: Some(id(3)),
        notifier: Some(*notifier(4)),
        service: None,
        used_on: UnixDay(1),
    }
}

fn notifier(number: u8) -> Box<NotifierRecord> {
    Box::new(NotifierRecord {
        id: id(number),
        key: NOTIFIER,
        secret: DhSecret::new([number; 32]),
        service: None,
    })
}

fn data(fixed: &'static [u8], user: &'static [u8]) -> Box<LinkData> {
    Box::new(LinkData { fixed: fixed.into(), user: user.into() })
}

fn create(record: QueueRecord) -> QueueOp {
    QueueOp::Create { record: Box::new(record), link: Some(data(b"fixed", b"user")) }
}

fn append(by: Option<AuthPublicKey>, number: u8) -> QueueOp {
    QueueOp::Append(Box::new(Append {
        queue: id(1),
        by,
        id: [number; 24].into(),
        sent_at: UnixTime::from_secs(number.into()),
        notification: true,
        body: bytes::Bytes::new(),
        capacity: 2,
        notification_capacity: 2,
    }))
}

fn take(notifier: u8, limit: u32) -> QueueOp {
    QueueOp::TakeNotifications { queue: id(1), notifier: id(notifier), limit }
}

fn set_notifier(notifier: Box<NotifierRecord>) -> QueueOp {
    QueueOp::SetNotifier { queue: id(1), by: BY, notifier, today: TODAY }
}

fn set_link(link: EntityId, data: Box<LinkData>) -> QueueOp {
    QueueOp::SetLink { queue: id(1), by: BY, link, data, today: TODAY }
}

fn run(store: &mut MemoryStore, op: QueueOp) -> OpResult {
    let counts = store.counts();
    assert_eq!(counts, counted(store), "before {op:?}");
    let result = store.run_one(op);
    assert_eq!(store.counts(), counted(store), "after {result:?}");
    result
}

/// What the counters must be.
fn counted(store: &MemoryStore) -> QueueCounts {
    let sum = |count: fn(&Queue) -> usize| store.queues.values().map(count).sum::<usize>() as u64;
    assert!(store.links.iter().all(|(id, queue)| store.queues[queue].record.link.as_ref() == Some(id)));
    assert_eq!(sum(|queue| queue.link.iter().len()), store.links.len() as u64);
    let [messaging_services, notifier_services] = [ServiceRole::Messaging, ServiceRole::Notifier]
        .map(|role| store.services.values().filter(|service| service.role == role).count() as u64);
    check_services(store);
    QueueCounts {
        queues: store.senders.len() as u64,
        messages: sum(|queue| queue.messages.len()),
        notifiers: sum(|queue| queue.record.notifier.iter().len()),
        notifications: sum(|queue| queue.notifications.len()),
        services: store.certificates.len() as u64,
        messaging_services,
        messaging_service_queues: sum(|queue| queue.record.service.iter().len()),
        notifier_services,
        notifier_service_queues: sum(|queue| service_of_notifier(queue).iter().len()),
    }
}

fn service_of_notifier(queue: &Queue) -> Option<&EntityId> {
    queue.record.notifier.as_ref().and_then(|notifier| notifier.service.as_ref())
}

/// A service has the queues whose records name it, or notifiers if that is its role.
fn check_services(store: &MemoryStore) {
    assert_eq!(store.certificates.len(), store.services.len());
    for (id, service) in &store.services {
        let mut set = QueueSet::EMPTY;
        for (recipient, queue) in &store.queues {
            let notifier = queue.record.notifier.as_ref();
            let (named, counted) = match service.role {
                ServiceRole::Notifier => (service_of_notifier(queue), notifier.map(|notifier| &notifier.id)),
                ServiceRole::Messaging | ServiceRole::Proxy => {
                    (queue.record.service.as_ref(), Some(recipient))
                }
            };
            let is_of_it = named == Some(id);
            assert_eq!(service.queues.contains(recipient), is_of_it);
            let counted = counted.filter(|_| is_of_it).map_or(QueueSet::EMPTY, set_of);
            set = set.plus(counted);
        }
        assert_eq!(service.set, set);
    }
}

fn used_on(store: &MemoryStore) -> UnixDay {
    store.queues[&id(1)].record.used_on
}

/// The first bytes of the messages that are notified.
fn notified(result: &OpResult) -> (Vec<u8>, bool) {
    let OpResult::Notifications(pending) = result else { panic!("no notifications: {result:?}") };
    (pending.notifications.iter().map(|of| of.message.as_bytes()[0]).collect(), pending.more)
}

fn new_store() -> MemoryStore {
    let mut store = MemoryStore::new();
    assert!(matches!(run(&mut store, create(queue())), OpResult::Done));
    store
}

#[test]
fn ids_that_are_taken_or_empty_have_no_effect() {
    let mut store = new_store();
    let other = QueueRecord {
        recipient: id(11),
        sender: id(12),
        link: Some(id(13)),
        notifier: Some(*notifier(14)),
        ..queue()
    };
    for bad in [id(3), EntityId::empty()] {
        let with_link = QueueRecord { link: Some(bad), ..other.clone() };
        assert!(matches!(run(&mut store, create(with_link)), OpResult::IdTaken));
    }
    for bad in [notifier(4), Box::new(NotifierRecord { id: EntityId::empty(), ..*notifier(4) })] {
        let with_notifier = QueueRecord { notifier: Some(*bad.clone()), ..other.clone() };
        assert!(matches!(run(&mut store, create(with_notifier)), OpResult::IdTaken));
        assert!(matches!(run(&mut store, set_notifier(bad)), OpResult::IdTaken), "its own is taken too");
    }
    for (bad_recipient, bad_sender) in [(EntityId::empty(), id(12)), (id(11), EntityId::empty())] {
        let without = QueueRecord { recipient: bad_recipient, sender: bad_sender, ..other.clone() };
        assert!(matches!(run(&mut store, create(without)), OpResult::IdTaken));
    }
    assert_eq!(used_on(&store), UnixDay(1));
    assert_eq!(store.counts().queues, 1);
    assert!(matches!(run(&mut store, create(other)), OpResult::Done), "nothing was left of the attempts");
}

#[test]
fn a_link_needs_an_id_and_data() {
    let mut store = MemoryStore::new();
    run(&mut store, QueueOp::Create { record: Box::new(queue()), link: None });
    assert!(store.look_up(&QueueKey::Link(id(3))).is_none());
    let without = QueueRecord { recipient: id(11), sender: id(12), link: None, notifier: None, ..queue() };
    assert!(matches!(run(&mut store, create(without)), OpResult::Done), "data that nobody can find");
}

#[test]
fn a_link_is_set_by_its_recipient_only_and_stays_where_it_is() {
    let mut store = new_store();
    let other =
        QueueRecord { recipient: id(11), sender: id(12), link: Some(id(13)), notifier: None, ..queue() };
    run(&mut store, create(other));
    for (link, data) in [
        (id(3), data(b"other", b"user")),
        (id(33), data(b"fixed", b"user")),
        (id(13), data(b"fixed", b"user")),
        (EntityId::empty(), data(b"fixed", b"user")),
    ] {
        assert!(matches!(run(&mut store, set_link(link, data)), OpResult::Unauthorized));
    }
    assert_eq!(used_on(&store), UnixDay(1));
    assert!(matches!(run(&mut store, set_link(id(3), data(b"fixed", b"new"))), OpResult::Done));
    assert_eq!(used_on(&store), TODAY);
    let remove = QueueOp::RemoveLink { queue: id(1), by: BY, today: TODAY };
    assert!(matches!(run(&mut store, remove.clone()), OpResult::Done));
    assert!(matches!(run(&mut store, remove), OpResult::Done), "twice is no error");
    assert!(matches!(run(&mut store, set_link(id(13), data(b"a", b"b"))), OpResult::Unauthorized));
    assert!(store.look_up(&QueueKey::Link(id(13))).is_some_and(|record| record.recipient == id(11)));
    assert!(matches!(run(&mut store, set_link(id(33), data(b"a", b"b"))), OpResult::Done));
}

#[test]
fn a_link_is_gone_with_the_first_message_after_securing() {
    let secure = QueueOp::ReadLink { queue: id(1), link: id(3), secure: Some(SENDER), today: TODAY };
    for is_full in [false, true] {
        let mut store = new_store();
        let count = if is_full { 2 } else { 0 };
        (0..count).for_each(|number| _ = run(&mut store, append(None, number)));
        for _ in 0..2 {
            let OpResult::Link { sender, data } = run(&mut store, secure.clone()) else { panic!("no link") };
            assert_eq!((sender, &data.user[..]), (id(2), &b"user"[..]));
        }
        assert_eq!(used_on(&store), TODAY);
        assert!(matches!(run(&mut store, append(None, 7)), OpResult::Unauthorized));
        assert!(store.look_up(&QueueKey::Link(id(3))).is_some(), "who has no right changes nothing");
        let result = run(&mut store, append(Some(SENDER), 8));
        assert_eq!(matches!(result, OpResult::QuotaExceeded), is_full, "{result:?}");
        assert!(store.look_up(&QueueKey::Link(id(3))).is_none());
        assert!(matches!(run(&mut store, secure.clone()), OpResult::Unauthorized));
    }
}

#[test]
fn of_too_many_notifications_the_oldest_go() {
    let mut store = new_store();
    for number in 0..2 {
        let OpResult::Appended(appended) = run(&mut store, append(None, number)) else { panic!("refused") };
        assert_eq!(appended.notifier.map(|notifier| notifier.id), Some(id(4)));
    }
    assert!(matches!(run(&mut store, append(None, 2)), OpResult::QuotaExceeded), "which notifies nobody");
    assert_eq!(notified(&run(&mut store, take(4, 0))), (vec![], true));
    let before = UnixTime::from_secs(100);
    run(&mut store, QueueOp::ExpireQueue { queue: id(1), before });
    run(&mut store, append(None, 3));
    assert_eq!(notified(&run(&mut store, take(4, 1))), (vec![1], true));
    let QueueOp::Append(mut silent) = append(None, 4) else { unreachable!("it is an append") };
    silent.notification_capacity = 0;
    let OpResult::Appended(appended) = run(&mut store, QueueOp::Append(silent)) else { panic!("refused") };
    assert_eq!(appended.notifier, None, "no notification was stored");
    assert_eq!(notified(&run(&mut store, take(4, 9))), (vec![3], false));
}

#[test]
fn a_new_notifier_gets_nothing_of_the_former() {
    let mut store = new_store();
    run(&mut store, append(None, 1));
    let result = run(&mut store, set_notifier(notifier(44)));
    assert!(matches!(result, OpResult::Released { notifier: Some(former), .. } if former.id == id(4)));
    assert!(matches!(run(&mut store, take(4, 9)), OpResult::Unauthorized));
    assert_eq!(notified(&run(&mut store, take(44, 9))), (vec![], false));
    assert!(store.look_up(&QueueKey::Notifier(id(4))).is_none());
    run(&mut store, append(None, 2));
    let remove = QueueOp::RemoveNotifier { queue: id(1), by: BY, today: TODAY };
    let result = run(&mut store, remove.clone());
    assert!(matches!(result, OpResult::Released { notifier: Some(former), .. } if former.id == id(44)));
    assert!(
        matches!(run(&mut store, remove), OpResult::Released { notifier: None, .. }),
        "twice is no error"
    );
    assert_eq!(store.counts().notifications, 0);
}

#[test]
fn a_blocked_queue_serves_its_notifier_and_can_be_deleted() {
    let mut store = new_store();
    run(&mut store, append(None, 1));
    let info = BlockingInfo { reason: BlockingReason::Spam, notice: None };
    assert!(matches!(
        run(&mut store, QueueOp::Block { queue: id(1), info: Some(info) }),
        OpResult::Moderated { .. }
    ));
    assert!(matches!(run(&mut store, append(None, 2)), OpResult::Blocked(found) if found == info));
    assert!(matches!(run(&mut store, append(Some(SENDER), 2)), OpResult::Unauthorized));
    assert!(matches!(run(&mut store, set_notifier(notifier(5))), OpResult::Blocked(_)));
    assert_eq!(notified(&run(&mut store, take(4, 9))), (vec![1], false));
    assert_eq!(used_on(&store), UnixDay(0), "the day of the message; refusals and the operator use nothing");
    let delete = run(&mut store, QueueOp::Delete { queue: id(1), by: Some(BY) });
    assert!(matches!(delete, OpResult::Released { notifier: Some(former), .. } if former.id == id(4)));
    assert_eq!(store.counts(), QueueCounts::default());
    assert!(matches!(run(&mut store, QueueOp::Block { queue: id(1), info: None }), OpResult::Unauthorized));
}

#[test]
fn old_notifications_expire_a_few_queues_at_a_time() {
    let mut store = new_store();
    (0..2).for_each(|number| _ = run(&mut store, append(None, number)));
    let op = |after| QueueOp::ExpireNotifications { before: UnixTime::from_secs(1), after, limit: 1 };
    let OpResult::Expired { deleted: 1, next } = run(&mut store, op(None)) else { panic!("not expired") };
    assert_eq!(next, Some(id(1)));
    assert!(matches!(run(&mut store, op(next)), OpResult::Expired { deleted: 0, next: None }));
    assert_eq!(notified(&run(&mut store, take(4, 9))), (vec![1], false));
}

fn find_service(number: u8, role: ServiceRole) -> QueueOp {
    QueueOp::FindService { fingerprint: [number; 32], role, id: id(number), capacity: 100 }
}

fn subscribe(service: Option<u8>) -> QueueOp {
    QueueOp::Subscribe { queue: id(1), by: BY, service: service.map(id), peek: false, today: TODAY }
}

fn subscribe_notifier(service: Option<u8>) -> QueueOp {
    QueueOp::SubscribeNotifier { queue: id(1), notifier: id(4), by: NOTIFIER, service: service.map(id) }
}

/// Services 21 and 22 receive messages, 23 is notified, 24 forwards.
fn store_with_services() -> MemoryStore {
    let mut store = new_store();
    for (number, role) in [
        (21, ServiceRole::Messaging),
        (22, ServiceRole::Messaging),
        (23, ServiceRole::Notifier),
        (24, ServiceRole::Proxy),
    ] {
        let found = run(&mut store, find_service(number, role));
        assert!(matches!(found, OpResult::Service(service) if service == id(number)));
    }
    store
}

#[test]
fn the_hash_of_a_queue_is_the_md5_of_its_id() {
    let set = set_of(&EntityId::new(b"abc").unwrap());
    let md5 = [0x90, 1, 0x50, 0x98, 0x3c, 0xd2, 0x4f, 0xb0, 0xd6, 0x96, 0x3f, 0x7d, 0x28, 0xe1, 0x7f, 0x72];
    assert_eq!(set, QueueSet { count: 1, hash: IdsHash(md5) }, "RFC 1321, A.5");
}

#[test]
fn a_queue_is_of_the_service_that_subscribes_last() {
    let mut store = store_with_services();
    for (service, before) in [(Some(21), None), (Some(21), Some(21)), (Some(22), Some(21)), (None, Some(22))]
    {
        let result = run(&mut store, subscribe(service));
        assert!(
            matches!(&result, OpResult::Subscribed { former, .. } if *former == before.map(id)),
            "{result:?}"
        );
        let OpResult::Appended(appended) = run(&mut store, append(None, 1)) else { panic!("refused") };
        assert_eq!(appended.service, service.map(id));
        run(&mut store, QueueOp::ExpireQueue { queue: id(1), before: UnixTime::from_secs(100) });
    }
    for (service, before) in [(Some(23), None), (Some(23), Some(23)), (None, Some(23)), (Some(23), None)] {
        let result = run(&mut store, subscribe_notifier(service));
        assert!(matches!(&result, OpResult::NotifierSubscribed { former, .. } if *former == before.map(id)));
        let OpResult::Appended(appended) = run(&mut store, append(None, 1)) else { panic!("refused") };
        assert_eq!(appended.notifier.and_then(|notifier| notifier.service), service.map(id));
        run(&mut store, QueueOp::ExpireQueue { queue: id(1), before: UnixTime::from_secs(100) });
    }
    let new = Box::new(NotifierRecord { service: Some(id(23)), ..*notifier(5) });
    let result = run(&mut store, set_notifier(new));
    let OpResult::Released { notifier: Some(former), service: None } = result else { panic!("{result:?}") };
    assert_eq!(former.service, Some(id(23)));
    run(&mut store, subscribe(Some(22)));
    let deleted = run(&mut store, QueueOp::Delete { queue: id(1), by: Some(BY) });
    assert!(matches!(deleted, OpResult::Released { service: Some(service), .. } if service == id(22)));
}

#[test]
fn services_that_are_not_known_or_not_for_that_have_no_effect() {
    let mut store = store_with_services();
    for service in [23, 24, 25] {
        assert!(matches!(run(&mut store, subscribe(Some(service))), OpResult::Unauthorized));
        let other = QueueRecord { recipient: id(11), sender: id(12), service: Some(id(service)), ..queue() };
        let other = QueueRecord { link: None, notifier: None, ..other };
        assert!(matches!(run(&mut store, create(other)), OpResult::Unauthorized));
    }
    assert_eq!(used_on(&store), UnixDay(1));
    for service in [21, 24, 25] {
        assert!(matches!(run(&mut store, subscribe_notifier(Some(service))), OpResult::Unauthorized));
        let new = NotifierRecord { service: Some(id(service)), ..*notifier(5) };
        assert!(matches!(run(&mut store, set_notifier(Box::new(new.clone()))), OpResult::Unauthorized));
        let other = QueueRecord { recipient: id(11), sender: id(12), notifier: Some(new), ..queue() };
        let other = QueueRecord { link: None, ..other };
        assert!(matches!(run(&mut store, create(other)), OpResult::Unauthorized));
    }
    assert!(store.look_up(&QueueKey::Notifier(id(4))).is_some(), "the former notifier stays");
    for (number, role) in [(21, ServiceRole::Notifier), (24, ServiceRole::Messaging)] {
        assert!(matches!(run(&mut store, find_service(number, role)), OpResult::Unauthorized));
    }
    let of_another =
        QueueOp::FindService { fingerprint: [9; 32], role: ServiceRole::Proxy, id: id(21), capacity: 100 };
    assert!(matches!(run(&mut store, of_another), OpResult::IdTaken));
    for op in [
        QueueOp::CountService { service: id(25) },
        QueueOp::ScanService { service: id(25), after: None, limit: 1 },
    ] {
        assert!(matches!(run(&mut store, op), OpResult::Unauthorized));
    }
}
