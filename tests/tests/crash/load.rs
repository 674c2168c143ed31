//! What clients do to a server until it ends.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use smp_core::client::{Answer, ClientEvent, QueueKeys, ReceivedMessage, Request};
use smp_core::wire::command::SubscriptionMode;
use smp_core::wire::error::ErrorType;
use smp_core::wire::{EntityId, MessageId, ReceivedBody, ServerAddress};
use smp_runtime::client::{Client, Events, PendingAnswer};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::check::check;
use crate::dice::Dice;
use crate::world::{Claim, Connection, Queue, Told, World};

/// Queues that live long.
const BUSY: usize = 16;
/// Connections that only send, and connections that receive.
const SENDERS: usize = 2;
const RECEIVERS: usize = 2;
/// Queues that live shorter, at most at the same time for each task that makes and deletes them.
const SPARE: usize = 8;
const CHURNS: usize = 3;
/// The longest message.
const LONG: u64 = 16_048;

/// Lets clients work until the connections end.
pub(crate) async fn work(world: Arc<World>, address: ServerAddress, mut dice: Dice) {
    let Some((first, _events)) = world.connect(&address).await else { return };
    let mut checks = JoinSet::new();
    for queue in world.queues() {
        // Those that are not looked at now are at the end.
        let share = if queue.is_busy { 40 } else { 10 };
        // Whoever sends to a queue has to know whether it has a key.
        let must_be_known = queue.is_busy && queue.known().secured == Claim::Asked;
        if dice.chance(share) || must_be_known {
            checks.spawn(check(first.clone(), queue, dice.chance(50)));
        }
    }
    checks.join_all().await;
    while world.queues().iter().filter(|queue| queue.is_busy).count() < BUSY {
        let Some(queue) = create(&first, &mut dice, true).await else { return };
        if dice.chance(50) {
            secure(&first, &queue).await;
        }
    }
    let mut tasks = JoinSet::new();
    let (mut senders, mut receivers) = (Vec::new(), Vec::new());
    for _ in 0..SENDERS {
        let Some((sender, _)) = world.connect(&address).await else { return };
        senders.push(sender);
    }
    for _ in 0..RECEIVERS {
        let Some((receiver, events)) = world.connect(&address).await else { return };
        receivers.push((receiver, events, BTreeMap::new()));
    }
    let busy = world.queues().into_iter().filter(|queue| queue.is_busy);
    for (at, queue) in busy.enumerate() {
        // A few queues only fill up, a few are only emptied.
        if dice.chance(85) {
            tasks.spawn(talk(senders[at % SENDERS].clone(), Arc::clone(&queue), dice.fork()));
        }
        if dice.chance(75) {
            receivers[at % RECEIVERS].2.insert(queue.recipient.clone(), queue);
        }
    }
    for (connection, events, queues) in receivers {
        tasks.spawn(listen(connection, events, queues, dice.fork()));
    }
    for _ in 0..CHURNS {
        tasks.spawn(churn(first.clone(), dice.fork()));
    }
    drop((first, senders));
    tasks.join_all().await;
}

/// Sends, with a few messages under way.
async fn talk(connection: Connection, queue: Arc<Queue>, mut dice: Dice) {
    let window = 1 + dice.below(6) as usize;
    let mut waiting: VecDeque<(u64, PendingAnswer)> = VecDeque::new();
    let mut open = true;
    while open || !waiting.is_empty() {
        if open && waiting.len() < window {
            waiting.push_back(send(&connection.client, &queue, &mut dice));
        } else if let Some((number, answer)) = waiting.pop_front() {
            let told = connection.told(answer.await);
            let is_full = matches!(told, Told::Error(_));
            open &= sent(&connection, &queue, number, told);
            if is_full {
                sleep(dice.wait(Duration::from_millis(20))).await;
            }
        }
    }
}

fn send(client: &Client, queue: &Queue, dice: &mut Dice) -> (u64, PendingAnswer) {
    let length = if dice.chance(30) { LONG } else { dice.below(2000) };
    // The number is drawn and the command given in one step, so that both have the same order.
    let mut ledger = queue.ledger();
    let number = ledger.send();
    (number, client.request(queue.send(number, length as usize)))
}

/// Notes what came of a SEND. False when the connection has ended or nothing can be stored any more.
pub(crate) fn sent(connection: &Connection, queue: &Queue, number: u64, told: Told) -> bool {
    let mut ledger = queue.ledger();
    let verdict = match &told {
        Told::Answer(Answer::Done) => ledger.accepted(number),
        Told::Error(ErrorType::Quota) => ledger.refused(number),
        Told::NotSent => ledger.not_sent(number),
        Told::Unknown | Told::StoreFailed => {
            ledger.unknown();
            Ok(())
        }
        Told::Answer(_) | Told::Error(_) => {
            connection.wrong("SEND", &told);
            Ok(())
        }
    };
    drop(ledger);
    connection.world.check(verdict);
    matches!(told, Told::Answer(_) | Told::Error(_))
}

/// Receives and acknowledges, some messages late.
async fn listen(
    connection: Connection,
    mut events: Events,
    queues: BTreeMap<EntityId, Arc<Queue>>,
    mut dice: Dice,
) {
    let mut tasks = JoinSet::new();
    for queue in queues.values() {
        let (connection, queue, dice) = (connection.clone(), Arc::clone(queue), dice.fork());
        tasks.spawn(async move {
            match connection.ask(Request::subscribe(queue.recipient.clone(), queue.keys.auth.clone())).await {
                Told::Answer(Answer::Subscribed { message: None, .. }) => {}
                Told::Answer(Answer::Subscribed { message: Some(message), .. }) => {
                    receive(connection, queue, message, dice).await;
                }
                told => connection.wrong("SUB", &told),
            }
        });
    }
    while let Ok(event) = events.next().await {
        match event {
            ClientEvent::Message(id, message) if queues.contains_key(&id) => {
                let queue = Arc::clone(&queues[&id]);
                tasks.spawn(receive(connection.clone(), queue, message, dice.fork()));
            }
            other => connection.world.check(Err(format!("an event that cannot be: {other:?}"))),
        }
    }
    tasks.join_all().await;
}

/// Takes a message, and those that come with the answers to its ACK.
async fn receive(connection: Connection, queue: Arc<Queue>, first: ReceivedMessage, mut dice: Dice) {
    let mut next = Some(first);
    while let Some(message) = next {
        if dice.chance(10) {
            sleep(dice.wait(Duration::from_millis(30))).await;
        }
        next = take(&connection, &queue, message).await.unwrap_or_default();
    }
}

/// Checks a message and acknowledges it. Returns the one after it, and nothing when there is no telling.
pub(crate) async fn take(
    connection: &Connection,
    queue: &Queue,
    message: ReceivedMessage,
) -> Option<Option<ReceivedMessage>> {
    let number = match arrived(connection, queue, &message) {
        Ok(number) => number,
        Err(fault) => {
            connection.world.check(Err(fault));
            return None;
        }
    };
    queue.ledger().acknowledging(number);
    let told = connection.ask(acknowledge(queue, message.id)).await;
    queue.ledger().acknowledged(number, matches!(told, Told::Answer(_)));
    match told {
        Told::Answer(Answer::Message(next)) => Some(next),
        told => {
            connection.wrong("ACK", &told);
            None
        }
    }
}

fn acknowledge(queue: &Queue, id: MessageId) -> Request {
    Request::acknowledge(queue.recipient.clone(), queue.keys.auth.clone(), id)
}

/// Notes a message. Returns its number, and none for the marker of a full queue.
fn arrived(connection: &Connection, queue: &Queue, message: &ReceivedMessage) -> Result<Option<u64>, String> {
    match message.open(&queue.secret).map_err(|e| format!("a message that cannot be opened: {e}"))? {
        ReceivedBody::Message { body, .. } => {
            let number = queue.number_of(&body)?;
            queue.ledger().received(number, connection.number).map(|()| Some(number))
        }
        ReceivedBody::QuotaExceeded { .. } => queue.ledger().marker().map(|()| None),
    }
}

/// Makes queues, uses them a little, and deletes most of them, until the connection ends.
async fn churn(connection: Connection, mut dice: Dice) {
    let mut spare: VecDeque<Arc<Queue>> = VecDeque::new();
    while let Some(queue) = create(&connection, &mut dice, false).await {
        let sends = dice.below(4);
        for _ in 0..sends {
            let (number, answer) = send(&connection.client, &queue, &mut dice);
            let told = connection.told(answer.await);
            sent(&connection, &queue, number, told);
        }
        if dice.chance(40) {
            secure(&connection, &queue).await;
        }
        spare.push_back(queue);
        if spare.len() > SPARE {
            let at = dice.below(SPARE as u64) as usize;
            if let Some(queue) = spare.remove(at) {
                delete(&connection, &queue).await;
            }
        }
    }
}

/// Makes a queue; none when the connection has ended.
async fn create(connection: &Connection, dice: &mut Dice, is_busy: bool) -> Option<Arc<Queue>> {
    let keys = QueueKeys::generate(dice.entropy());
    let request = Request::create(keys.new_queue(SubscriptionMode::OnlyCreate), keys.auth.clone());
    match connection.ask(request).await {
        Told::Answer(Answer::Created(created)) => {
            let queue = Queue::new(keys, *created, dice, is_busy);
            connection.world.add(Arc::clone(&queue));
            Some(queue)
        }
        Told::Unknown | Told::StoreFailed => {
            connection.world.unknown_creations.fetch_add(1, Ordering::SeqCst);
            None
        }
        told => {
            connection.wrong("NEW", &told);
            None
        }
    }
}

/// KEY. Nobody sends meanwhile.
pub(crate) async fn secure(connection: &Connection, queue: &Queue) {
    queue.set_known(|known| known.secured = Claim::Asked);
    let key = queue.sender_key.public();
    match connection.ask(Request::secure(queue.recipient.clone(), queue.keys.auth.clone(), key)).await {
        Told::Answer(Answer::Done) => queue.set_known(|known| known.secured = Claim::Holds),
        told => connection.wrong("KEY", &told),
    }
}

async fn delete(connection: &Connection, queue: &Queue) {
    queue.set_known(|known| known.deleted = Claim::Asked);
    match connection.ask(Request::delete(queue.recipient.clone(), queue.keys.auth.clone())).await {
        Told::Answer(Answer::Done) => queue.set_known(|known| known.deleted = Claim::Holds),
        told => connection.wrong("DEL", &told),
    }
}
