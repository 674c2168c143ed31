//! What clients find after a server has come back.

use std::sync::Arc;

use smp_core::client::{Answer, Request};
use smp_core::wire::ServerAddress;
use smp_core::wire::error::ErrorType;
use tokio::task::JoinSet;

use crate::load::{secure, sent, take};
use crate::world::{Claim, Connection, Queue, Told, World};

/// Looks at all queues and receives everything.
pub(crate) async fn settle(world: Arc<World>, address: ServerAddress) {
    let Some((connection, _events)) = world.connect(&address).await else { return };
    for queues in world.queues().chunks(100) {
        let mut tasks = JoinSet::new();
        for queue in queues {
            tasks.spawn(check(connection.clone(), Arc::clone(queue), true));
        }
        tasks.join_all().await;
    }
    connection.client.close().await;
}

/// Looks whether everything that was answered about a queue holds, and whether all of its messages are there if
/// `empties`. Nobody else uses the queue meanwhile.
pub(crate) async fn check(connection: Connection, queue: Arc<Queue>, empties: bool) {
    let asked = connection.ask(Request::queue_info(queue.recipient.clone(), queue.keys.auth.clone())).await;
    match (&asked, queue.known().deleted) {
        (Told::Answer(Answer::Info(info)), Claim::No | Claim::Asked) => {
            queue.set_known(|known| known.deleted = Claim::No);
            let (size, owed) = (info.size, queue.ledger().owed());
            if size < owed as u64 {
                connection.world.check(Err(format!("{owed} messages must be in a queue, and {size} are")));
            }
        }
        (Told::Error(ErrorType::Auth), Claim::Asked | Claim::Holds) => {
            queue.set_known(|known| known.deleted = Claim::Holds);
            let told = connection.ask(queue.send(0, 0)).await;
            if !matches!(told, Told::Error(ErrorType::Auth)) {
                connection.wrong("SEND to a queue that was deleted", &told);
            }
            return;
        }
        (_, deleted) => {
            let was = if deleted == Claim::Holds { "was" } else { "was not" };
            return connection.wrong(&format!("QUE of a queue that {was} deleted"), &asked);
        }
    }
    check_key(&connection, &queue).await;
    let full = queue.ledger().must_refuse();
    if full {
        // The ledger knows that this must be refused.
        try_send(&connection, &queue).await;
    }
    if empties && drain(&connection, &queue).await && full {
        // And that this must not be.
        try_send(&connection, &queue).await;
        drain(&connection, &queue).await;
    }
}

async fn try_send(connection: &Connection, queue: &Queue) {
    let number = queue.ledger().send();
    let told = connection.ask(queue.send(number, 9)).await;
    sent(connection, queue, number, told);
}

/// A key that was set is set.
async fn check_key(connection: &Connection, queue: &Queue) {
    if queue.known().secured == Claim::Asked {
        secure(connection, queue).await;
    }
    if queue.known().secured == Claim::Holds {
        let told = connection.ask(queue.send_as(None, u64::MAX, 9)).await;
        if !matches!(told, Told::Error(ErrorType::Auth)) {
            connection.wrong("SEND without the key", &told);
        }
    }
}

/// Receives everything, one by one. True when all of it came.
async fn drain(connection: &Connection, queue: &Queue) -> bool {
    loop {
        let get = Request::receive(queue.recipient.clone(), queue.keys.auth.clone());
        match connection.ask(get).await {
            Told::Answer(Answer::Message(None)) => {
                let verdict = queue.ledger().is_drained();
                connection.world.check(verdict);
                return true;
            }
            Told::Answer(Answer::Message(Some(message))) => {
                if take(connection, queue, message).await.is_none() {
                    return false;
                }
            }
            told => {
                connection.wrong("GET", &told);
                return false;
            }
        }
    }
}
