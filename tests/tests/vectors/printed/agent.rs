//! Messages of agents.

use smp_core::wire::QueueInfo;
use smp_core::wire::agent::{
    AMessage, AddedQueue, AgentMessage, KeyedQueue, NonEmpty, ReadyQueue, Receipt, SenderQueue,
};

use super::command::server;
use super::link::{queue, queue_address};
use super::{auth_key, boolean, bytes, entity, optional};

/// What is inside the ratchet's encryption.
pub(crate) fn message(message: &AgentMessage) -> String {
    match message {
        AgentMessage::ConnInfo(info) => format!("AgentConnInfo {}", bytes(info)),
        AgentMessage::ConnInfoReply { queues, info } => {
            format!("AgentConnInfoReply ({}) {}", list(queues, queue_info), bytes(info))
        }
        AgentMessage::RatchetInfo(info) => format!("AgentRatchetInfo {}", bytes(info)),
        AgentMessage::Message { id, previous_hash, message } => format!(
            "AgentMessage (APrivHeader {{sndMsgId = {id}, prevMsgHash = {}}}) {}",
            bytes(previous_hash.as_bytes()),
            said(message)
        ),
    }
}

fn said(message: &AMessage) -> String {
    match message {
        AMessage::Hello => "HELLO".to_owned(),
        AMessage::Body(body) => format!("(A_MSG {})", bytes(body)),
        AMessage::Receipts(receipts) => format!("(A_RCVD ({}))", list(receipts, receipt)),
        AMessage::QueueContinue(queue) => format!("(A_QCONT {})", sender_queue(queue)),
        AMessage::QueueAdd(queues) => format!("(QADD ({}))", list(queues, added)),
        AMessage::QueueKey(queues) => format!("(QKEY ({}))", list(queues, keyed)),
        AMessage::QueueUse(queues) => format!("(QUSE ({}))", list(queues, ready)),
        AMessage::QueueTest(queues) => format!("(QTEST ({}))", list(queues, sender_queue)),
        AMessage::RatchetReady(last) => format!("(EREADY {last})"),
    }
}

fn list<T>(items: &NonEmpty<T>, print: impl Fn(&T) -> String) -> String {
    let items: Vec<_> = items.iter().map(print).collect();
    let (first, rest) = items.split_first().expect("a list of at least one");
    format!("{first} :| [{}]", rest.join(","))
}

fn receipt(receipt: &Receipt) -> String {
    format!(
        "AMessageReceipt {{agentMsgId = {}, msgHash = {}, rcptInfo = {}}}",
        receipt.message_id,
        bytes(receipt.hash.as_bytes()),
        bytes(&receipt.info)
    )
}

fn queue_info(info: &QueueInfo) -> String {
    let address = queue_address(&info.address);
    format!("SMPQueueInfo {{clientVersion = Version {}, queueAddress = {address}}}", info.version)
}

fn sender_queue(queue: &SenderQueue) -> String {
    format!("({},{})", server(&queue.server), entity(&queue.sender_id))
}

fn added(added: &AddedQueue) -> String {
    format!("({},{})", queue(&added.queue), optional(added.replaced.as_ref().map(sender_queue)))
}

fn keyed(keyed: &KeyedQueue) -> String {
    format!("({},{})", queue_info(&keyed.queue), auth_key(&keyed.sender_key))
}

fn ready(ready: &ReadyQueue) -> String {
    format!("({},{})", sender_queue(&ready.queue), boolean(ready.primary))
}
