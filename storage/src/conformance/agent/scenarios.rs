//! One promise after the other.

use bytes::Bytes;
use smp_core::UnixTime;
use smp_core::agent::store::{
    AgentOp, AgentQuery, Agreement, Confirmation, Connection, Delivery, Found, Incoming, Invitation,
    Outgoing, QueueNumber, QueueStage, ReceiveQueue, SendQueue, ServerNotice, Statistics, User, UserService,
    WaitingQueue,
};
use smp_core::agent::{ConnectionId, LocalMessageId, UserId};
use smp_core::crypto::ratchet::SkippedKeys;

use super::samples::{Samples, confirmation_id, connection_id, invitation_id, user_id};
use super::{answer, describe, run};
use crate::agent::AgentStore;

/// Tries every promise, each on a fresh store.
///
/// # Panics
/// When one is broken.
pub fn run_scenarios<S: AgentStore>(mut fresh: impl FnMut() -> S) {
    let scenarios: [fn(S); 16] = [
        nothing_is_found_in_an_empty_store,
        the_last_number_of_a_user_is_remembered,
        connections_are_found_as_they_were_put,
        requests_are_found_as_they_were_put,
        invitations_are_found_by_their_address,
        messages_are_found_as_they_were_put,
        what_waits_for_the_app_is_found,
        what_is_not_there_is_refused,
        a_batch_is_done_whole_or_not_at_all,
        what_belongs_to_a_connection_goes_with_it,
        queues_have_an_order,
        deliveries_are_next_in_order,
        messages_are_forgotten_when_nobody_needs_them,
        services_are_kept_and_queues_are_theirs,
        statistics_take_the_place_of_those_before,
        notices_are_found_as_they_were_put,
    ];
    scenarios.into_iter().for_each(|scenario| scenario(fresh()));
}

/// The user and the connections that scenarios use.
fn prepare(store: &mut impl AgentStore, samples: &mut Samples) -> [ConnectionId; 2] {
    let mut user = samples.user();
    user.id = user_id(0);
    let ids = [connection_id(0), connection_id(1)];
    let connections = ids.map(|id| put_connection(samples, id));
    run(store, [AgentOp::PutUser(user)].into_iter().chain(connections).collect());
    ids
}

fn put_connection(samples: &mut Samples, id: ConnectionId) -> AgentOp {
    let mut state = samples.state();
    (state.user, state.deleted_at) = (user_id(0), None);
    AgentOp::PutConnection(id, Box::new(state))
}

fn receive_queue(samples: &mut Samples, number: u32) -> Box<ReceiveQueue> {
    Box::new(ReceiveQueue {
        number: QueueNumber(number),
        stage: QueueStage::Active,
        ..samples.receive_queue()
    })
}

fn send_queue(samples: &mut Samples, number: u32) -> Box<SendQueue> {
    Box::new(SendQueue { number: QueueNumber(number), ..samples.send_queue() })
}

fn incoming(samples: &mut Samples, connection: ConnectionId, id: i64) -> Box<Incoming> {
    Box::new(Incoming { connection, id: LocalMessageId(id), ..samples.incoming() })
}

fn outgoing(samples: &mut Samples, connection: ConnectionId, id: i64) -> Box<Outgoing> {
    Box::new(Outgoing { connection, id: LocalMessageId(id), sender_id: id, ..samples.outgoing() })
}

fn delivery(connection: ConnectionId, queue: u32, message: i64) -> Delivery {
    Delivery { connection, queue: QueueNumber(queue), message: LocalMessageId(message) }
}

fn connection(store: &mut impl AgentStore, id: ConnectionId) -> Connection {
    match store.read(&AgentQuery::Connection(id)).expect("the store works") {
        Found::Connection(Some(found)) => *found,
        other => panic!("no connection: {}", describe(&other)),
    }
}

fn the_last_number_of_a_user_is_remembered(mut store: impl AgentStore) {
    let user = |id| AgentOp::PutUser(User { id: UserId(id), is_deleted: false });
    for (op, last) in [
        (user(-3), "last user: 0"),
        (user(5), "last user: 5"),
        (user(2), "last user: 5"),
        (AgentOp::DeleteUser(UserId(5)), "last user: 5"),
        (user(5), "last user: 5"),
        (user(6), "last user: 6"),
    ] {
        run(&mut store, vec![op]);
        assert_eq!(answer(&mut store, &AgentQuery::LastUser), last);
    }
    // What is refused is not remembered.
    let refused = AgentOp::PutDelivery(delivery(connection_id(0), 1, 1));
    assert!(store.run(vec![user(9), refused]).is_err());
    assert_eq!(answer(&mut store, &AgentQuery::LastUser), "last user: 6");
}

fn nothing_is_found_in_an_empty_store(mut store: impl AgentStore) {
    let id = connection_id(0);
    for (query, nothing) in [
        (AgentQuery::Users, "users:"),
        (AgentQuery::LastUser, "last user: 0"),
        (AgentQuery::Services, "services:"),
        (AgentQuery::Queues, "queues:"),
        (AgentQuery::Notices, "notices:"),
        (AgentQuery::Unfinished, "connections:"),
        (AgentQuery::Connections, "states:"),
        (AgentQuery::Connection(id), "connection: none"),
        (AgentQuery::Statistics, "statistics: none"),
        (AgentQuery::Skipped(id), "skipped:"),
        (AgentQuery::Invitations(id), "invitations:"),
        (AgentQuery::InvitationIds(id), "invitation ids:"),
        (AgentQuery::Incoming(id, LocalMessageId(1)), "incoming: none"),
        (AgentQuery::NextDelivery(id, QueueNumber(1)), "outgoing: none"),
    ] {
        assert_eq!(answer(&mut store, &query), nothing);
    }
    // To delete what is not there does nothing.
    run(
        &mut store,
        vec![
            AgentOp::DeleteUser(user_id(0)),
            AgentOp::SetAssociated(vec![(id, QueueNumber(1))], true),
            AgentOp::DeleteConnection(id),
            AgentOp::ClearSkipped(id),
            AgentOp::DeleteReceiveQueue(id, QueueNumber(1)),
            AgentOp::DeleteSendQueue(id, QueueNumber(1)),
            AgentOp::DeleteConfirmations(id),
            AgentOp::DeleteDelivery(delivery(id, 1, 1)),
            AgentOp::DeleteNotice(Box::new(Samples::new(1).notice().server), [1; 24].into()),
            AgentOp::ForgetMessagesBefore(UnixTime::from_secs(1)),
        ],
    );
}

fn connections_are_found_as_they_were_put(mut store: impl AgentStore) {
    let samples = &mut Samples::new(1);
    let [id, other] = prepare(&mut store, samples);
    let untouched = answer(&mut store, &AgentQuery::Connection(other));
    for round in 0..40 {
        let mut skipped = SkippedKeys::new();
        let changes = [samples.skipped(), samples.skipped()];
        changes.iter().for_each(|changes| skipped.apply(changes.clone()));
        let mut state = samples.state();
        state.user = user_id(0);
        let expected = Connection {
            id,
            state,
            agreement: samples.agreement(),
            receive: vec![*receive_queue(samples, 1), *receive_queue(samples, 2)],
            send: vec![*send_queue(samples, 1)],
            tasks: samples.tasks(),
        };
        let Connection { state, agreement, receive, send, tasks, .. } = expected.clone();
        let mut ops = vec![
            AgentOp::PutConnection(id, Box::new(state)),
            AgentOp::PutAgreement(id, agreement),
            AgentOp::PutTasks(id, tasks),
            AgentOp::ClearSkipped(id),
        ];
        ops.extend(changes.map(|changes| AgentOp::ChangeSkipped(id, changes)));
        ops.extend(receive.into_iter().map(|queue| AgentOp::PutReceiveQueue(id, Box::new(queue))));
        ops.extend(send.into_iter().map(|queue| AgentOp::PutSendQueue(id, Box::new(queue))));
        run(&mut store, ops);
        let unfinished = expected.state.deleted_at.is_some() || !expected.tasks.is_empty();
        let expected = describe(&Found::Connection(Some(Box::new(expected))));
        assert_eq!(answer(&mut store, &AgentQuery::Connection(id)), expected, "round {round}");
        assert_eq!(answer(&mut store, &AgentQuery::Skipped(id)), describe(&Found::Skipped(skipped)));
        let expected = if unfinished { vec![id] } else { vec![] };
        assert_eq!(answer(&mut store, &AgentQuery::Unfinished), describe(&Found::Connections(expected)));
        assert_eq!(answer(&mut store, &AgentQuery::Connection(other)), untouched);
    }
    run(&mut store, vec![AgentOp::PutAgreement(id, Agreement::None), AgentOp::PutTasks(id, Vec::new())]);
    let found = connection(&mut store, id);
    assert!(matches!(found.agreement, Agreement::None) && found.tasks.is_empty());
}

fn requests_are_found_as_they_were_put(mut store: impl AgentStore) {
    let samples = &mut Samples::new(2);
    let [id, _] = prepare(&mut store, samples);
    for _ in 0..40 {
        let (mut confirmation, mut invitation) = (samples.confirmation(), samples.invitation());
        (confirmation.connection, invitation.connection) = (id, id);
        let queries = [AgentQuery::Confirmation(confirmation.id), AgentQuery::Invitation(invitation.id)];
        let (confirmation, invitation) = (Box::new(confirmation), Box::new(invitation));
        let expected =
            [Found::Confirmation(Some(confirmation.clone())), Found::Invitation(Some(invitation.clone()))];
        let delete = [AgentOp::DeleteConfirmations(id), AgentOp::DeleteInvitation(invitation.id)];
        run(&mut store, vec![AgentOp::PutConfirmation(confirmation), AgentOp::PutInvitation(invitation)]);
        let asked = describe(&Found::Connections(vec![id]));
        assert_eq!(answer(&mut store, &AgentQuery::Unfinished), asked, "somebody waits for the app");
        assert_eq!(
            queries.each_ref().map(|query| answer(&mut store, query)),
            expected.map(|found| describe(&found))
        );
        if samples.one_in(4) {
            run(&mut store, delete.into());
            let gone = queries.map(|query| answer(&mut store, &query));
            assert_eq!(gone, ["confirmation: none", "invitation: none"]);
        }
    }
}

fn invitations_are_found_by_their_address(mut store: impl AgentStore) {
    let samples = &mut Samples::new(10);
    let [id, other] = prepare(&mut store, samples);
    let mut put = |store: &mut _, number, address, seconds| {
        let (id, received_at) = (invitation_id(number), UnixTime::from_secs(seconds));
        let invitation = Invitation { id, connection: address, received_at, ..samples.invitation() };
        run(store, vec![AgentOp::PutInvitation(Box::new(invitation))]);
    };
    for (number, address, seconds) in [(3, id, 1), (1, id, 1), (0, id, 2), (2, other, 1)] {
        put(&mut store, number, address, seconds);
    }
    let found = |store: &mut _, address| {
        let query = AgentQuery::Invitations(address);
        let Ok(Found::Invitations(found)) = AgentStore::read(store, &query) else { panic!("not read") };
        assert!(found.iter().all(|invitation| invitation.connection == address));
        let query = AgentQuery::InvitationIds(address);
        let Ok(Found::InvitationIds(ids)) = AgentStore::read(store, &query) else { panic!("not read") };
        (found.iter().map(|invitation| invitation.id).collect::<Vec<_>>(), ids)
    };
    let ids = |numbers: &[u64]| numbers.iter().copied().map(invitation_id).collect::<Vec<_>>();
    assert_eq!(found(&mut store, id), (ids(&[1, 3, 0]), ids(&[0, 1, 3])));
    assert_eq!(found(&mut store, other), (ids(&[2]), ids(&[2])));
    run(&mut store, vec![AgentOp::DeleteInvitation(invitation_id(1))]);
    assert_eq!(found(&mut store, id), (ids(&[3, 0]), ids(&[0, 3])));
    run(&mut store, vec![AgentOp::DeleteConnection(id)]);
    assert_eq!(found(&mut store, id), (ids(&[]), ids(&[])));
    assert_eq!(found(&mut store, other), (ids(&[2]), ids(&[2])));
}

fn messages_are_found_as_they_were_put(mut store: impl AgentStore) {
    let samples = &mut Samples::new(3);
    let [id, other] = prepare(&mut store, samples);
    for number in 1..40 {
        let (incoming, outgoing) = (incoming(samples, id, number), outgoing(samples, id, number));
        let incoming_expected = describe(&Found::Incoming(Some(incoming.clone())));
        let outgoing_expected = describe(&Found::Outgoing(Some(outgoing.clone())));
        run(&mut store, vec![AgentOp::PutIncoming(incoming), AgentOp::PutOutgoing(outgoing)]);
        let query = AgentQuery::Incoming(id, LocalMessageId(number));
        assert_eq!(answer(&mut store, &query), incoming_expected);
        assert_eq!(answer(&mut store, &AgentQuery::Sent(id, number)), outgoing_expected);
        let query = AgentQuery::Incoming(other, LocalMessageId(number));
        assert_eq!(answer(&mut store, &query), "incoming: none");
        assert_eq!(answer(&mut store, &AgentQuery::Sent(other, number)), "outgoing: none");
    }
}

fn what_waits_for_the_app_is_found(mut store: impl AgentStore) {
    let samples = &mut Samples::new(9);
    let [id, other] = prepare(&mut store, samples);
    let nothing = describe(&Found::Waiting { confirmations: Vec::new(), messages: Vec::new() });
    let mut confirmation =
        |number| Confirmation { id: confirmation_id(number), connection: id, ..samples.confirmation() };
    let confirmations = vec![confirmation(0), confirmation(1), confirmation(2)];
    let message = |number: i64| {
        let body = (number != 2).then(|| Bytes::from_static(b"body"));
        Incoming { body, ..*incoming(&mut Samples::new(number.cast_unsigned()), id, number) }
    };
    let all: Vec<_> = (1..4).map(message).collect();
    let put_confirmations =
        confirmations.iter().rev().cloned().map(|of| AgentOp::PutConfirmation(Box::new(of)));
    let put_messages = all.iter().rev().cloned().map(|of| AgentOp::PutIncoming(Box::new(of)));
    run(&mut store, put_confirmations.chain(put_messages).collect());
    let messages = vec![all[0].clone(), all[2].clone()];
    let expected = describe(&Found::Waiting { confirmations, messages: messages.clone() });
    assert_eq!(answer(&mut store, &AgentQuery::Waiting(id)), expected);
    assert_eq!(answer(&mut store, &AgentQuery::Waiting(other)), nothing);
    let acknowledged =
        messages.into_iter().map(|of| AgentOp::PutIncoming(Box::new(Incoming { body: None, ..of })));
    run(&mut store, acknowledged.chain([AgentOp::DeleteConfirmations(id)]).collect());
    assert_eq!(answer(&mut store, &AgentQuery::Waiting(id)), nothing);
}

fn what_is_not_there_is_refused(mut store: impl AgentStore) {
    let samples = &mut Samples::new(4);
    let [id, _] = prepare(&mut store, samples);
    let (absent, number) = (connection_id(9), QueueNumber(1));
    let (mut stranger, mut confirmation, mut invitation) =
        (samples.state(), samples.confirmation(), samples.invitation());
    stranger.user = user_id(9);
    (confirmation.connection, invitation.connection) = (absent, absent);
    run(
        &mut store,
        vec![
            AgentOp::PutSendQueue(id, send_queue(samples, 1)),
            AgentOp::PutReceiveQueue(id, receive_queue(samples, 1)),
            AgentOp::PutOutgoing(outgoing(samples, id, 1)),
        ],
    );
    for (place, op) in [
        AgentOp::PutConnection(absent, Box::new(stranger)),
        AgentOp::PutService(Box::new(UserService { user: user_id(9), ..samples.service() })),
        AgentOp::DeleteUser(user_id(0)),
        AgentOp::PutAgreement(absent, Agreement::None),
        AgentOp::PutAgreement(absent, Agreement::Ratchet(Box::new(samples.ratchet()))),
        AgentOp::ChangeSkipped(absent, samples.skipped()),
        AgentOp::PutReceiveQueue(absent, receive_queue(samples, 1)),
        AgentOp::PutSendQueue(absent, send_queue(samples, 1)),
        AgentOp::OrderQueues(absent, Vec::new(), Vec::new()),
        AgentOp::OrderQueues(id, vec![number, QueueNumber(2)], Vec::new()),
        AgentOp::OrderQueues(id, Vec::new(), vec![number, number]),
        AgentOp::PutTasks(absent, Vec::new()),
        AgentOp::PutConfirmation(Box::new(confirmation)),
        AgentOp::PutInvitation(Box::new(invitation)),
        AgentOp::PutIncoming(incoming(samples, absent, 1)),
        AgentOp::PutOutgoing(outgoing(samples, absent, 1)),
        AgentOp::PutDelivery(delivery(absent, 1, 1)),
        AgentOp::PutDelivery(delivery(id, 2, 1)),
        AgentOp::PutDelivery(delivery(id, 1, 2)),
    ]
    .into_iter()
    .enumerate()
    {
        assert!(store.run(vec![op]).is_err(), "operation {place} is refused");
    }
    run(&mut store, vec![AgentOp::PutDelivery(delivery(id, 1, 1))]);
}

fn a_batch_is_done_whole_or_not_at_all(mut store: impl AgentStore) {
    let samples = &mut Samples::new(5);
    let [id, other] = prepare(&mut store, samples);
    run(&mut store, vec![AgentOp::PutIncoming(incoming(samples, id, 1))]);
    let queries = [
        AgentQuery::Users,
        AgentQuery::Connection(id),
        AgentQuery::Connection(other),
        AgentQuery::Skipped(id),
        AgentQuery::Incoming(id, LocalMessageId(1)),
        AgentQuery::Sent(id, 1),
    ];
    let before = queries.each_ref().map(|query| answer(&mut store, query));
    let mut user = samples.user();
    user.id = user_id(1);
    let mut ops = vec![
        AgentOp::PutUser(user),
        AgentOp::DeleteConnection(other),
        put_connection(samples, id),
        AgentOp::PutReceiveQueue(id, receive_queue(samples, 1)),
        AgentOp::PutIncoming(incoming(samples, id, 1)),
        AgentOp::PutOutgoing(outgoing(samples, id, 1)),
        AgentOp::PutDelivery(delivery(id, 1, 1)),
    ];
    assert!(store.run(ops.clone()).is_err(), "there is no such queue");
    assert_eq!(queries.each_ref().map(|query| answer(&mut store, query)), before);
    // Also when nothing before the refused operation failed: order counts.
    ops.push(AgentOp::PutSendQueue(id, send_queue(samples, 1)));
    assert!(store.run(ops.clone()).is_err(), "the queue comes too late");
    assert_eq!(queries.each_ref().map(|query| answer(&mut store, query)), before);
    ops.swap(6, 7);
    run(&mut store, ops);
    assert_eq!(answer(&mut store, &AgentQuery::Connection(other)), "connection: none");
}

fn what_belongs_to_a_connection_goes_with_it(mut store: impl AgentStore) {
    let samples = &mut Samples::new(6);
    let ids = prepare(&mut store, samples);
    let (mut confirmation, mut invitation) = (samples.confirmation(), samples.invitation());
    (confirmation.connection, invitation.connection) = (ids[0], ids[0]);
    let requests = [AgentQuery::Confirmation(confirmation.id), AgentQuery::Invitation(invitation.id)];
    let mut ops =
        vec![AgentOp::PutConfirmation(Box::new(confirmation)), AgentOp::PutInvitation(Box::new(invitation))];
    for id in ids {
        ops.extend([
            AgentOp::PutAgreement(id, Agreement::Ratchet(Box::new(samples.ratchet()))),
            AgentOp::PutReceiveQueue(id, receive_queue(samples, 1)),
            AgentOp::PutSendQueue(id, send_queue(samples, 1)),
            AgentOp::PutTasks(id, samples.tasks()),
            AgentOp::PutIncoming(incoming(samples, id, 1)),
            AgentOp::PutOutgoing(outgoing(samples, id, 2)),
            AgentOp::PutDelivery(delivery(id, 1, 2)),
        ]);
        ops.extend((0..5).map(|_| AgentOp::ChangeSkipped(id, samples.skipped())));
    }
    run(&mut store, ops);
    let of = |id| {
        [
            AgentQuery::Connection(id),
            AgentQuery::Skipped(id),
            AgentQuery::Incoming(id, LocalMessageId(1)),
            AgentQuery::Sent(id, 2),
            AgentQuery::NextDelivery(id, QueueNumber(1)),
        ]
    };
    let others = of(ids[1]).map(|query| answer(&mut store, &query));
    run(&mut store, vec![AgentOp::DeleteConnection(ids[0])]);
    let gone = ["connection: none", "skipped:", "incoming: none", "outgoing: none", "outgoing: none"];
    assert_eq!(of(ids[0]).map(|query| answer(&mut store, &query)), gone);
    assert_eq!(requests.map(|query| answer(&mut store, &query)), ["confirmation: none", "invitation: none"]);
    assert_eq!(of(ids[1]).map(|query| answer(&mut store, &query)), others);
    // Nothing is left that a new connection of the same id would get.
    run(&mut store, vec![put_connection(samples, ids[0])]);
    let found = connection(&mut store, ids[0]);
    assert!(found.receive.is_empty() && found.send.is_empty() && found.tasks.is_empty());
    run(&mut store, vec![AgentOp::DeleteSendQueue(ids[1], QueueNumber(1))]);
    let [next, sent] = [AgentQuery::NextDelivery(ids[1], QueueNumber(1)), AgentQuery::Sent(ids[1], 2)];
    assert_eq!(answer(&mut store, &next), "outgoing: none", "deliveries go with their queue");
    assert_ne!(answer(&mut store, &sent), "outgoing: none", "messages do not");
    run(&mut store, vec![AgentOp::DeleteConnection(ids[0]), AgentOp::DeleteConnection(ids[1])]);
    run(&mut store, vec![AgentOp::DeleteUser(user_id(0))]);
    assert_eq!(answer(&mut store, &AgentQuery::Users), "users:");
}

fn queues_have_an_order(mut store: impl AgentStore) {
    let samples = &mut Samples::new(7);
    let [id, other] = prepare(&mut store, samples);
    let order = |store: &mut _| {
        let found = connection(store, id);
        let receive: Vec<_> = found.receive.iter().map(|queue| queue.number.0).collect();
        (receive, found.send.iter().map(|queue| queue.number.0).collect::<Vec<_>>())
    };
    let put: Vec<_> = [3, 1, 2]
        .into_iter()
        .flat_map(|number| {
            let queue = AgentOp::PutReceiveQueue(id, receive_queue(samples, number));
            [queue, AgentOp::PutSendQueue(id, send_queue(samples, number))]
        })
        .collect();
    run(&mut store, put);
    assert_eq!(order(&mut store), (vec![1, 2, 3], vec![1, 2, 3]));
    let numbers = |numbers: &[u32]| numbers.iter().copied().map(QueueNumber).collect::<Vec<_>>();
    run(&mut store, vec![AgentOp::OrderQueues(id, numbers(&[3]), numbers(&[2, 3, 1]))]);
    assert_eq!(order(&mut store), (vec![3, 1, 2], vec![2, 3, 1]));
    // A queue keeps its place when it changes, and loses it when it goes.
    run(
        &mut store,
        vec![
            AgentOp::PutReceiveQueue(id, receive_queue(samples, 3)),
            AgentOp::DeleteSendQueue(id, QueueNumber(2)),
            AgentOp::PutSendQueue(id, send_queue(samples, 2)),
        ],
    );
    assert_eq!(order(&mut store), (vec![3, 1, 2], vec![3, 1, 2]));
    run(&mut store, vec![AgentOp::OrderQueues(id, Vec::new(), numbers(&[1]))]);
    assert_eq!(order(&mut store), (vec![1, 2, 3], vec![1, 2, 3]));
    // Those in use, by connection and number.
    let mut disabled = receive_queue(samples, 1);
    disabled.stage = QueueStage::Disabled;
    let added = AgentOp::PutReceiveQueue(other, receive_queue(samples, 1));
    run(&mut store, vec![AgentOp::PutReceiveQueue(id, disabled), added]);
    let Ok(Found::Queues(waiting)) = store.read(&AgentQuery::Queues) else { panic!("no queues") };
    let waiting: Vec<_> = waiting.iter().map(|queue| (queue.connection, queue.number.0)).collect();
    assert_eq!(waiting, [(id, 2), (id, 3), (other, 1)]);
    let mut deleted = samples.state();
    (deleted.user, deleted.deleted_at) = (user_id(0), Some(UnixTime::from_secs(1)));
    run(&mut store, vec![AgentOp::PutConnection(id, Box::new(deleted))]);
    let Ok(Found::Queues(waiting)) = store.read(&AgentQuery::Queues) else { panic!("no queues") };
    assert_eq!(waiting.iter().map(|queue| queue.connection).collect::<Vec<_>>(), [other]);
    assert_eq!(answer(&mut store, &AgentQuery::Unfinished), describe(&Found::Connections(vec![id])));
}

fn deliveries_are_next_in_order(mut store: impl AgentStore) {
    let samples = &mut Samples::new(8);
    let [id, _] = prepare(&mut store, samples);
    let mut ops = vec![
        AgentOp::PutSendQueue(id, send_queue(samples, 1)),
        AgentOp::PutSendQueue(id, send_queue(samples, 2)),
    ];
    ops.extend((1..=3).map(|number| AgentOp::PutOutgoing(outgoing(samples, id, number))));
    ops.extend(
        [(1, 3), (1, 2), (2, 1), (1, 2)]
            .map(|(queue, message)| AgentOp::PutDelivery(delivery(id, queue, message))),
    );
    run(&mut store, ops);
    let next = |store: &mut _, queue| match AgentStore::read(
        store,
        &AgentQuery::NextDelivery(id, QueueNumber(queue)),
    ) {
        Ok(Found::Outgoing(found)) => found.map(|message: Box<Outgoing>| message.id.0),
        _ => panic!("not read"),
    };
    assert_eq!([next(&mut store, 1), next(&mut store, 2)], [Some(2), Some(1)]);
    // A message that changes is delivered nevertheless.
    run(&mut store, vec![AgentOp::PutOutgoing(outgoing(samples, id, 2))]);
    assert_eq!(next(&mut store, 1), Some(2));
    run(&mut store, vec![AgentOp::DeleteDelivery(delivery(id, 1, 2))]);
    assert_eq!([next(&mut store, 1), next(&mut store, 2)], [Some(3), Some(1)]);
    assert_eq!(answer(&mut store, &AgentQuery::Unfinished), describe(&Found::Connections(vec![id])));
    let done = [(1, 3), (2, 1)].map(|(queue, message)| AgentOp::DeleteDelivery(delivery(id, queue, message)));
    run(&mut store, done.into());
    assert_eq!([next(&mut store, 1), next(&mut store, 2)], [None, None]);
    assert_eq!(answer(&mut store, &AgentQuery::Unfinished), "connections:");
}

fn messages_are_forgotten_when_nobody_needs_them(mut store: impl AgentStore) {
    let samples = &mut Samples::new(9);
    let [id, _] = prepare(&mut store, samples);
    let mut ops = vec![AgentOp::PutSendQueue(id, send_queue(samples, 1))];
    for number in 1..=4 {
        let (mut came, mut went) = (incoming(samples, id, number), outgoing(samples, id, number));
        came.received_at = UnixTime::from_secs(number);
        // The first waits for the app.
        came.body = (number == 1).then(Default::default);
        went.created_at = UnixTime::from_secs(number);
        ops.extend([AgentOp::PutIncoming(came), AgentOp::PutOutgoing(went)]);
    }
    ops.push(AgentOp::PutDelivery(delivery(id, 1, 2)));
    run(&mut store, ops);
    run(&mut store, vec![AgentOp::ForgetMessagesBefore(UnixTime::from_secs(4))]);
    let left = |store: &mut _, query: &dyn Fn(i64) -> AgentQuery| {
        let is_there = |number: &i64| !answer(store, &query(*number)).ends_with("none");
        (1..=4).filter(is_there).collect::<Vec<_>>()
    };
    let came = left(&mut store, &|number| AgentQuery::Incoming(id, LocalMessageId(number)));
    let went = left(&mut store, &|number| AgentQuery::Sent(id, number));
    assert_eq!((came, went), (vec![1, 4], vec![2, 4]));
}

/// A queue is one of a service until something else is said, or it is gone, whatever else is kept of it.
fn services_are_kept_and_queues_are_theirs(mut store: impl AgentStore) {
    let samples = &mut Samples::new(13);
    let ids = prepare(&mut store, samples);
    let service = UserService { user: user_id(0), id: None, ..samples.service() };
    let named = UserService { id: Some([7; 24].into()), ..service.clone() };
    let found = |store: &mut _| answer(store, &AgentQuery::Services);
    for service in [service, named.clone()] {
        run(&mut store, vec![AgentOp::PutService(Box::new(service.clone()))]);
        assert_eq!(found(&mut store), describe(&Found::Services(vec![service])));
    }
    let put =
        |samples: &mut Samples, id, number| AgentOp::PutReceiveQueue(id, receive_queue(samples, number));
    let queues = [(ids[0], 1), (ids[0], 2), (ids[1], 1)];
    run(&mut store, queues.map(|(id, number)| put(samples, id, number)).to_vec());
    assert_eq!(associated(&mut store), [false; 3], "a new queue is of none");
    let names = queues.map(|(id, number)| (id, QueueNumber(number)));
    let absent = (connection_id(9), QueueNumber(1));
    run(&mut store, vec![AgentOp::SetAssociated(vec![names[0], absent, names[2]], true)]);
    assert_eq!(associated(&mut store), [true, false, true]);
    run(&mut store, vec![put(samples, ids[0], 1)]);
    assert_eq!(associated(&mut store), [true, false, true], "to keep it again changes nothing");
    run(&mut store, vec![AgentOp::SetAssociated(vec![names[2]], false)]);
    assert_eq!(associated(&mut store), [true, false, false]);
    run(&mut store, vec![AgentOp::DeleteReceiveQueue(ids[0], QueueNumber(1)), put(samples, ids[0], 1)]);
    assert_eq!(associated(&mut store), [false; 3], "another queue of the same number is of none");
    run(&mut store, vec![AgentOp::DeleteService(user_id(0), named.server.clone())]);
    assert_eq!(found(&mut store), "services:");
    let ends = ids.map(AgentOp::DeleteConnection);
    run(&mut store, [AgentOp::PutService(Box::new(named))].into_iter().chain(ends).collect());
    run(&mut store, vec![AgentOp::DeleteUser(user_id(0))]);
    assert_eq!(found(&mut store), "services:", "it goes with its user");
}

/// Of all queues, whether they are of a service.
fn associated(store: &mut impl AgentStore) -> Vec<bool> {
    let Ok(Found::Queues(queues)) = store.read(&AgentQuery::Queues) else { panic!("no queues") };
    queues.iter().map(|queue: &WaitingQueue| queue.is_associated).collect()
}

fn statistics_take_the_place_of_those_before(mut store: impl AgentStore) {
    let samples = &mut Samples::new(10);
    let mut many = || std::iter::repeat_with(|| samples.statistics()).find(|of| of.servers.len() > 1);
    let first = many().expect("some have several servers");
    let described = |of: &Statistics| describe(&Found::Statistics(Some(Box::new(of.clone()))));
    run(&mut store, vec![AgentOp::PutStatistics(Box::new(first.clone()))]);
    assert_eq!(
        answer(&mut store, &AgentQuery::Statistics),
        described(&first),
        "also of users who are not there"
    );
    let mut second = Samples::new(11).statistics();
    second.servers.clear();
    run(&mut store, vec![AgentOp::PutStatistics(Box::new(second.clone()))]);
    assert_eq!(answer(&mut store, &AgentQuery::Statistics), described(&second));
}

/// They belong to no connection, and one is kept for each queue.
fn notices_are_found_as_they_were_put(mut store: impl AgentStore) {
    let samples = &mut Samples::new(11);
    let [id, _] = prepare(&mut store, samples);
    let notice = |queue: u8, second, ttl| ServerNotice {
        queue: [queue; 24].into(),
        created_at: UnixTime::from_secs(second),
        ttl,
        ..Samples::new(1).notice()
    };
    let put = |notice: &ServerNotice| AgentOp::PutNotice(Box::new(notice.clone()));
    let mut kept = vec![notice(1, 3, Some(-1)), notice(2, 2, None), notice(3, 1, Some(i64::MAX))];
    run(&mut store, kept.iter().rev().map(put).collect());
    assert_eq!(answer(&mut store, &AgentQuery::Notices), describe(&Found::Notices(kept.clone())));
    kept[1] = notice(2, 9, Some(60));
    run(&mut store, vec![put(&kept[1]), AgentOp::DeleteConnection(id)]);
    assert_eq!(answer(&mut store, &AgentQuery::Notices), describe(&Found::Notices(kept.clone())));
    let gone = kept.remove(0);
    run(&mut store, vec![AgentOp::DeleteNotice(Box::new(gone.server), gone.queue)]);
    assert_eq!(answer(&mut store, &AgentQuery::Notices), describe(&Found::Notices(kept)));
}
