//! Random batches, compared with the reference.

use smp_core::UnixTime;
use smp_core::agent::store::{AgentOp, AgentQuery, MemoryAgentStore, QueueNumber};
use smp_core::agent::{ConnectionId, LocalMessageId};

use super::samples::{
    CONNECTIONS, MESSAGES, NAMES, QUEUES, Samples, USERS, confirmation_id, connection_id, invitation_id,
    seen, user_id,
};
use super::{answer, describe};
use crate::agent::AgentStore;

/// How many batches were carried out and refused: a comparison of nothing but refusals compares little.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Taken {
    /// Carried out.
    pub done: u32,
    /// Refused.
    pub refused: u32,
}

/// Carries out batches of random operations on an empty store and on the reference, and compares whether they are
/// refused; at random points the store is given to `reopen` and the answers to all queries are compared.
///
/// # Panics
/// When the store differs from the reference. The message names the seed.
pub fn compare_random<S: AgentStore>(
    mut store: S,
    mut reopen: impl FnMut(S) -> S,
    seed: u64,
    batches: u32,
) -> Taken {
    let mut random = RandomBatches::new(seed);
    let mut reference = MemoryAgentStore::new();
    let mut taken = Taken::default();
    for number in 0..batches {
        let ops = random.next_batch();
        let expected = reference.run(ops.clone());
        assert_eq!(store.run(ops), expected, "seed {seed}, batch {number}");
        match expected {
            Ok(()) => taken.done += 1,
            Err(_) => taken.refused += 1,
        }
        if random.samples.one_in(25) {
            compare_state(&mut store, &reference, &format!("seed {seed}, batch {number}"));
        }
        if random.samples.one_in(25) {
            store = reopen(store);
        }
    }
    compare_state(&mut store, &reference, &format!("seed {seed}"));
    compare_state(&mut reopen(store), &reference, &format!("seed {seed}, opened again"));
    taken
}

/// A source of batches that is a function of its seed.
pub struct RandomBatches {
    samples: Samples,
    is_first: bool,
}

impl RandomBatches {
    /// A source.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { samples: Samples::new(seed), is_first: true }
    }

    /// At first all users and connections; then a few operations, of which some are to be refused.
    pub fn next_batch(&mut self) -> Vec<AgentOp> {
        let samples = &mut self.samples;
        if std::mem::take(&mut self.is_first) {
            return first_batch(samples);
        }
        (0..samples.below(4)).map(|_| op(samples)).collect()
    }
}

/// Compares the answers to all queries about what [`Samples`] makes.
///
/// # Panics
/// When they differ.
pub fn compare_state(store: &mut impl AgentStore, reference: &MemoryAgentStore, context: &str) {
    for query in queries() {
        assert_eq!(answer(store, &query), describe(&reference.read(&query)), "{context}, {query:?}");
    }
}

fn queries() -> Vec<AgentQuery> {
    let mut queries = vec![
        AgentQuery::Users,
        AgentQuery::LastUser,
        AgentQuery::Services,
        AgentQuery::Queues,
        AgentQuery::Unfinished,
        AgentQuery::Connections,
        AgentQuery::Notices,
        AgentQuery::Statistics,
    ];
    for number in 0..NAMES {
        queries.push(AgentQuery::Confirmation(confirmation_id(number)));
        queries.push(AgentQuery::Invitation(invitation_id(number)));
    }
    (0..CONNECTIONS).for_each(|number| queries.extend(queries_of(connection_id(number))));
    queries
}

fn queries_of(id: ConnectionId) -> Vec<AgentQuery> {
    let mut queries = vec![
        AgentQuery::Connection(id),
        AgentQuery::Skipped(id),
        AgentQuery::Waiting(id),
        AgentQuery::Invitations(id),
        AgentQuery::InvitationIds(id),
    ];
    queries
        .extend((0..MESSAGES).map(|number| AgentQuery::Incoming(id, LocalMessageId(number.cast_signed()))));
    queries.extend((0..NAMES).map(|number| AgentQuery::Sent(id, number.cast_signed())));
    queries.extend((0..NAMES).map(|number| AgentQuery::Seen(id, seen(number))));
    queries.push(AgentQuery::SentAll(id, (0..=NAMES).rev().map(u64::cast_signed).collect()));
    let queue = |number| QueueNumber(u32::try_from(number).unwrap_or(0));
    queries.extend((1..=QUEUES).map(|number| AgentQuery::NextDelivery(id, queue(number))));
    queries
}

/// All users and connections, so that most of what follows is not refused.
fn first_batch(samples: &mut Samples) -> Vec<AgentOp> {
    let users: Vec<_> = (0..USERS).map(user_id).collect();
    let mut ops: Vec<_> = users
        .into_iter()
        .map(|id| {
            let mut user = samples.user();
            user.id = id;
            AgentOp::PutUser(user)
        })
        .collect();
    let connections = (0..CONNECTIONS).map(|number| put_connection(samples, connection_id(number)));
    ops.extend(connections);
    ops
}

fn op(samples: &mut Samples) -> AgentOp {
    let id = samples.connection();
    match samples.below(106) {
        0..2 => AgentOp::PutUser(samples.user()),
        2 => AgentOp::DeleteUser(samples.user().id),
        3 => AgentOp::PutNotice(Box::new(samples.notice())),
        4 => {
            let notice = samples.notice();
            AgentOp::DeleteNotice(Box::new(notice.server), notice.queue)
        }
        5..13 => put_connection(samples, id),
        13 => AgentOp::DeleteConnection(id),
        14..22 => AgentOp::PutAgreement(id, samples.agreement()),
        22..30 => AgentOp::ChangeSkipped(id, samples.skipped()),
        30 => AgentOp::ClearSkipped(id),
        31..40 => AgentOp::PutReceiveQueue(id, Box::new(samples.receive_queue())),
        40..42 => AgentOp::DeleteReceiveQueue(id, samples.queue()),
        42..51 => AgentOp::PutSendQueue(id, Box::new(samples.send_queue())),
        51..53 => AgentOp::DeleteSendQueue(id, samples.queue()),
        53..57 => AgentOp::OrderQueues(id, samples.order(), samples.order()),
        57..61 => AgentOp::PutTasks(id, samples.tasks()),
        61..64 => AgentOp::PutConfirmation(Box::new(samples.confirmation())),
        64 => AgentOp::DeleteConfirmations(id),
        65..68 => AgentOp::PutInvitation(Box::new(samples.invitation())),
        68 => AgentOp::DeleteInvitation(samples.invitation().id),
        69..78 => AgentOp::PutIncoming(Box::new(samples.incoming())),
        78..86 => AgentOp::PutOutgoing(Box::new(samples.outgoing())),
        86..94 => AgentOp::PutDelivery(samples.delivery()),
        94 => AgentOp::MoveDeliveries(id, samples.queue(), samples.queue()),
        95 => AgentOp::DeleteDelivery(samples.delivery()),
        96 => AgentOp::PutStatistics(Box::new(samples.statistics())),
        97 => AgentOp::PutSeen(id, samples.seen(), samples.time()),
        98..100 => AgentOp::ForgetMessagesBefore(UnixTime::from_millis(samples.time().as_millis() / 4)),
        100..102 => AgentOp::PutService(Box::new(samples.service())),
        102 => {
            let service = samples.service();
            AgentOp::DeleteService(service.user, service.server)
        }
        _ => AgentOp::SetAssociated(samples.names(), !samples.one_in(3)),
    }
}

fn put_connection(samples: &mut Samples, id: ConnectionId) -> AgentOp {
    AgentOp::PutConnection(id, Box::new(samples.state()))
}
