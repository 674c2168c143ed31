//! What statements cost.

use std::collections::BTreeSet;
use std::sync::mpsc::channel;

use rusqlite::StatementStatus;
use rusqlite::trace::{TraceEvent, TraceEventCodes};
use smp_core::agent::store::{Agreement, Delivery, Incoming, Outgoing, OutgoingContent, QueueNumber, User};
use smp_core::agent::{ConnectionId, LocalMessageId};
use tempfile::TempDir;

use super::*;
use crate::conformance::agent::samples::{Samples, connection_id, user_id};

fn store() -> (SqliteAgentStore, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteAgentStore::open(folder.path().join("agent.db"), &SqliteOptions::default());
    (store.expect("a database"), folder)
}

/// The statements that SQLite runs for something.
fn statements(store: &mut SqliteAgentStore, work: impl FnOnce(&mut SqliteAgentStore)) -> Vec<String> {
    let (sender, ran) = channel();
    let note = move |event: TraceEvent<'_>| {
        if let TraceEvent::Stmt(statement, _) = event {
            // The receiver is there as long as this is called.
            let _ = sender.send(statement.sql().into_owned());
        }
    };
    store.database.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(note)).expect("it can be traced");
    work(store);
    let none = None::<fn(TraceEvent<'_>)>;
    store.database.trace_v2(TraceEventCodes::empty(), none).expect("it can be traced");
    ran.iter().collect()
}

/// A connection as most are: a ratchet, a queue of each kind, nothing to do.
fn connect(samples: &mut Samples, id: ConnectionId) -> Vec<AgentOp> {
    let (mut user, mut state) = (samples.user(), samples.state());
    (user.id, state.user) = (user_id(0), user_id(0));
    let (mut receive, mut send) = (samples.receive_queue(), samples.send_queue());
    (receive.number, send.number, receive.link) = (QueueNumber(1), QueueNumber(1), None);
    vec![
        AgentOp::PutUser(user),
        AgentOp::PutConnection(id, Box::new(state)),
        AgentOp::PutAgreement(id, Agreement::Ratchet(Box::new(samples.ratchet()))),
        AgentOp::PutReceiveQueue(id, Box::new(receive)),
        AgentOp::PutSendQueue(id, Box::new(send)),
    ]
}

/// What an agent asks for when a message comes, and when one is sent and delivered.
fn steps(samples: &mut Samples, id: ConnectionId) -> [(&'static str, Vec<AgentOp>); 4] {
    let mut state = samples.state();
    state.user = user_id(0);
    let progress = vec![
        AgentOp::PutConnection(id, Box::new(state)),
        AgentOp::PutAgreement(id, Agreement::Ratchet(Box::new(samples.ratchet()))),
    ];
    let incoming = Incoming { connection: id, ..samples.incoming() };
    let acknowledged = Incoming { body: None, ..incoming.clone() };
    let outgoing = Outgoing { connection: id, id: LocalMessageId(2), ..samples.outgoing() };
    let delivered = Outgoing { content: OutgoingContent::Delivered, ..outgoing.clone() };
    let delivery = Delivery { connection: id, queue: QueueNumber(1), message: outgoing.id };
    let came = [progress.clone(), vec![AgentOp::PutIncoming(Box::new(incoming))]].concat();
    let sends = vec![AgentOp::PutOutgoing(Box::new(outgoing)), AgentOp::PutDelivery(delivery)];
    let sent = [progress, sends].concat();
    let done = vec![AgentOp::DeleteDelivery(delivery), AgentOp::PutOutgoing(Box::new(delivered))];
    [
        ("a message comes", came),
        ("it is acknowledged", vec![AgentOp::PutIncoming(Box::new(acknowledged))]),
        ("a message is sent", sent),
        ("it is delivered", done),
    ]
}

/// What it asks for before these.
fn queries(id: ConnectionId) -> [AgentQuery; 3] {
    [
        AgentQuery::Incoming(id, LocalMessageId(1)),
        AgentQuery::NextDelivery(id, QueueNumber(1)),
        AgentQuery::Sent(id, 1),
    ]
}

/// One for each operation, besides those that begin and end the transaction.
#[test]
fn a_step_of_a_message_takes_few_statements() {
    let (mut store, _folder) = store();
    let samples = &mut Samples::new(1);
    let id = connection_id(0);
    store.run(connect(samples, id)).expect("the store works");
    for (step, ops) in steps(samples, id) {
        let expected = ops.len() + 2;
        let found = statements(&mut store, |store| store.run(ops).expect("the store works")).len();
        assert_eq!(found, expected, "{step}");
    }
    for query in queries(id) {
        let found = statements(&mut store, |store| drop(store.read(&query).expect("the store works")));
        assert_eq!(found.len(), 1, "{query:?}");
    }
}

/// Each row is found by an index, as the plans of all statements say.
#[test]
fn what_concerns_one_message_reads_no_others() {
    let (mut store, _folder) = store();
    let samples = &mut Samples::new(2);
    let id = connection_id(0);
    store.run(connect(samples, id)).expect("the store works");
    let mut ran = Vec::new();
    for (_, ops) in steps(samples, id) {
        ran.extend(statements(&mut store, |store| store.run(ops).expect("the store works")));
    }
    for query in queries(id) {
        ran.extend(statements(&mut store, |store| drop(store.read(&query).expect("the store works"))));
    }
    let ran: BTreeSet<_> =
        ran.into_iter().filter(|sql| !sql.starts_with("BEGIN") && sql != "COMMIT").collect();
    assert!(ran.len() > 8, "{ran:?}");
    // The plan of an INSERT shows all foreign keys. They are followed when one is violated, which counts below.
    for sql in ran.into_iter().filter(|sql| !sql.starts_with("INSERT")) {
        let plan = plan(&store, &sql);
        assert!(!reads_others(&plan), "{sql}: {plan}");
    }
}

fn plan(store: &SqliteAgentStore, sql: &str) -> String {
    let mut statement = store.database.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("a statement");
    let rows = statement.raw_query().mapped(|row| row.get::<_, String>("detail"));
    rows.map(|row| row.expect("a line") + "\n").collect()
}

/// More of a table of messages than those of two columns, of which one is the connection.
fn reads_others(plan: &str) -> bool {
    let is_wide = |line: &str| {
        let of_messages = ["incoming", "outgoing", "deliveries"].iter().any(|table| line.contains(table));
        of_messages && !line.contains("(connection=? AND ")
    };
    plan.contains("SCAN") || plan.contains("TEMP B-TREE") || plan.lines().any(is_wide)
}

/// What is forgotten is found by its time, and whether it waits to be delivered by its number.
#[test]
fn what_is_old_is_found_by_its_time() {
    let (mut store, _folder) = store();
    let forget = || vec![AgentOp::ForgetMessagesBefore(smp_core::UnixTime::from_millis(7))];
    let ran = statements(&mut store, |store| store.run(forget()).expect("the store works"));
    let ran: Vec<_> = ran.into_iter().filter(|sql| sql.starts_with("DELETE")).collect();
    assert_eq!(ran.len(), 3, "{ran:?}");
    for sql in ran {
        let plan = plan(&store, &sql);
        assert!(plan.contains("_of_time") && !plan.contains("SCAN"), "{sql}: {plan}");
        assert!(!sql.contains("EXISTS") || plan.contains("deliveries_of_message"), "{sql}: {plan}");
    }
}

/// The test above would see a statement that reads all messages, or all of a connection.
#[test]
fn a_plan_shows_what_reads_all_messages() {
    let (store, _folder) = store();
    for sql in
        ["SELECT * FROM incoming WHERE hash = ?", "SELECT * FROM incoming WHERE connection = ? AND hash = ?"]
    {
        assert!(reads_others(&plan(&store, sql)), "{sql}");
    }
}

/// What waits for the app is found by an index that has nothing else.
#[test]
fn what_was_acknowledged_is_not_read_for_what_waits() {
    let (mut store, _folder) = store();
    let query = AgentQuery::Waiting(connection_id(0));
    let ran = statements(&mut store, |store| drop(store.read(&query).expect("the store works")));
    assert_eq!(ran.len(), 2, "{ran:?}");
    for sql in ran {
        let plan = plan(&store, &sql);
        assert!(
            plan.contains("incoming_waiting") || plan.contains("confirmations_of_connection"),
            "{sql}: {plan}"
        );
    }
}

/// However many messages there are, a step and the queries before it do the same.
#[test]
fn work_does_not_grow_with_the_messages() {
    let [few, many] = [3, 300].map(|messages| {
        let (mut store, _folder) = store();
        let samples = &mut Samples::new(5);
        let id = connection_id(0);
        let mut ops = connect(samples, id);
        for number in (10..).take(messages) {
            let number = LocalMessageId(number);
            let incoming = Incoming { connection: id, id: number, ..samples.incoming() };
            let outgoing = Outgoing { connection: id, id: number, ..samples.outgoing() };
            let delivery = Delivery { connection: id, queue: QueueNumber(1), message: number };
            ops.extend([
                AgentOp::PutIncoming(Box::new(incoming)),
                AgentOp::PutOutgoing(Box::new(outgoing)),
                AgentOp::PutDelivery(delivery),
            ]);
        }
        store.run(ops).expect("the store works");
        let steps = steps(&mut Samples::new(6), id);
        machine_steps(&mut store, |store| {
            for (_, ops) in steps {
                store.run(ops).expect("the store works");
            }
            for query in queries(id) {
                store.read(&query).expect("the store works");
            }
        })
    });
    assert!(few > 100, "{few} steps");
    assert!(many <= few + few / 20, "{few} steps with few messages and {many} with many");
}

/// The steps of SQLite's virtual machine for something.
fn machine_steps(store: &mut SqliteAgentStore, work: impl FnOnce(&mut SqliteAgentStore)) -> i32 {
    let (sender, steps) = channel();
    let note = move |event: TraceEvent<'_>| {
        if let TraceEvent::Profile(statement, _) = event {
            // The receiver is there as long as this is called.
            let _ = sender.send(statement.get_status(StatementStatus::VmStep));
        }
    };
    // Statements count from when they were prepared.
    store.database.flush_prepared_statement_cache();
    store.database.trace_v2(TraceEventCodes::SQLITE_TRACE_PROFILE, Some(note)).expect("it can be traced");
    work(store);
    let none = None::<fn(TraceEvent<'_>)>;
    store.database.trace_v2(TraceEventCodes::empty(), none).expect("it can be traced");
    steps.iter().sum()
}

/// How large a database is with many connections, and with many messages.
#[test]
fn a_connection_takes_a_few_kilobytes() {
    let (mut store, _folder) = store();
    let samples = &mut Samples::new(3);
    let size = |store: &SqliteAgentStore| {
        let pages = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
        store.database.query_row(pages, [], |row| row.get::<_, i64>(0)).expect("a size")
    };
    let (empty, count) = (size(&store), 200);
    for number in 0..200 {
        store.run(connect(samples, connection_id(number))).expect("the store works");
    }
    let of_one = (size(&store) - empty) / count;
    assert!(of_one < 16_384, "{of_one} bytes of a connection");
}

/// A full disk, as far as a test can have one.
#[test]
fn after_a_failure_everything_fails_until_it_is_opened_again() {
    let (mut store, folder) = store();
    let samples = &mut Samples::new(4);
    let id = connection_id(0);
    store.run(connect(samples, id)).expect("the store works");
    let pages: i64 = store.database.query_row("PRAGMA page_count", [], |row| row.get(0)).expect("a number");
    store.database.pragma_update(None, "max_page_count", pages).expect("a limit");
    let large = Incoming { connection: id, body: Some(vec![7; 100_000].into()), ..samples.incoming() };
    let user = User { id: user_id(1), is_deleted: false };
    assert!(store.run(vec![AgentOp::PutUser(user), AgentOp::PutIncoming(Box::new(large))]).is_err());
    assert!(store.run(Vec::new()).is_err(), "nothing is done any more");
    assert!(store.read(&AgentQuery::Users).is_err(), "nothing is told any more");
    drop(store);
    let path = folder.path().join("agent.db");
    let mut store = SqliteAgentStore::open(path, &SqliteOptions::default()).expect("a database");
    let Ok(Found::Users(users)) = store.read(&AgentQuery::Users) else { panic!("not read") };
    assert_eq!(users.len(), 1, "nothing is left of the batch that failed");
}
