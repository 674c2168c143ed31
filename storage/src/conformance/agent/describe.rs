//! What was read, as text for comparison. It shows secrets: of samples only.

use smp_core::UnixTime;
use smp_core::agent::store::{
    Agreement, Confirmation, Connection, ConnectionState, Found, Incoming, Invitation, LinkCredentials,
    Outgoing, OutgoingContent, ReceiveQueue, SendQueue, ServerNotice, Statistics, Task, TaskKind,
    UserService, WaitingQueue,
};
use smp_core::crypto::ratchet::SkippedKey;
use smp_core::wire::{AuthPublicKey, QueueInfo, ServerAddress};

use crate::conformance::hex;

/// All that an answer says.
#[must_use]
pub fn describe(found: &Found) -> String {
    match found {
        Found::Users(users) => {
            lines("users", users.iter().map(|user| format!("{} deleted {}", user.id.0, user.is_deleted)))
        }
        Found::LastUser(last) => format!("last user: {}", last.0),
        Found::Queues(queues) => lines("queues", queues.iter().map(waiting)),
        Found::Services(services) => lines("services", services.iter().map(service)),
        Found::Notices(notices) => lines("notices", notices.iter().map(notice)),
        Found::Connections(ids) => lines("connections", ids.iter().map(|id| hex(id.as_bytes()))),
        Found::States(states) => lines(
            "states",
            states.iter().map(|(id, values)| format!("{} {}", hex(id.as_bytes()), state(values))),
        ),
        Found::Connection(found) => optional("connection", found.as_deref(), connection),
        Found::Skipped(keys) => lines("skipped", keys.iter().map(|key| skipped(&key))),
        Found::Confirmation(found) => optional("confirmation", found.as_deref(), confirmation),
        Found::Invitation(found) => optional("invitation", found.as_deref(), invitation),
        Found::Invitations(found) => lines("invitations", found.iter().map(invitation)),
        Found::InvitationIds(ids) => lines("invitation ids", ids.iter().map(|id| hex(id.as_bytes()))),
        Found::Incoming(found) => optional("incoming", found.as_deref(), incoming),
        Found::Waiting { confirmations, messages } => {
            lines("confirmations", confirmations.iter().map(confirmation))
                + "\n"
                + &lines("messages", messages.iter().map(incoming))
        }
        Found::Outgoing(found) => optional("outgoing", found.as_deref(), outgoing),
        Found::Seen(found) => format!("seen: {found}"),
        Found::Statistics(found) => optional("statistics", found.as_deref(), statistics),
        Found::SentAll(found) => lines("sent", found.iter().map(outgoing)),
    }
}

fn lines(name: &str, items: impl Iterator<Item = String>) -> String {
    items.fold(format!("{name}:"), |text, item| text + "\n  " + &item)
}

fn optional<T>(name: &str, found: Option<&T>, describe: impl FnOnce(&T) -> String) -> String {
    format!("{name}: {}", found.map_or_else(|| "none".into(), describe))
}

fn statistics(found: &Statistics) -> String {
    let servers = found.servers.iter().map(|((user, server), counters)| {
        format!("{} {} {:?}", user.0, server, counters.all().iter().map(|of| of.1).collect::<Vec<_>>())
    });
    format!("since {}\n {}", found.since.as_millis(), lines("servers", servers))
}

fn connection(found: &Connection) -> String {
    [
        format!("{} {}", hex(found.id.as_bytes()), state(&found.state)),
        format!("agreement {}", agreement(&found.agreement)),
        lines("receive", found.receive.iter().map(receive_queue)),
        lines("send", found.send.iter().map(send_queue)),
        lines("tasks", found.tasks.iter().map(task)),
    ]
    .join("\n ")
}

fn state(state: &ConnectionState) -> String {
    let counters = &state.counters;
    format!(
        "user {} {:?} version {} pq {} last {} sent {} {} received {} {} {:?} deleted {:?} {} skipped {} queues {} of {}",
        state.user.0,
        state.progress,
        state.version.0,
        state.pq_support,
        counters.last.0,
        counters.sent,
        hex(counters.sent_hash.as_bytes()),
        counters.received,
        hex(counters.received_hash.as_bytes()),
        state.sync,
        state.deleted_at.map(UnixTime::as_millis),
        state.delete_after_delivery,
        state.skipped,
        state.queues,
        state.receive_queues
    )
}

fn agreement(agreement: &Agreement) -> String {
    match agreement {
        Agreement::None => "none".into(),
        Agreement::Offered(keys) => format!("offered {}", hex(&keys.to_bytes())),
        Agreement::Renewing(ratchet, keys) => {
            format!("renewing {} {}", hex(&ratchet.to_bytes()), hex(&keys.to_bytes()))
        }
        Agreement::Ratchet(ratchet) => format!("ratchet {}", hex(&ratchet.to_bytes())),
    }
}

fn skipped(key: &SkippedKey) -> String {
    format!("{} {} {} {}", hex(key.header.as_bytes()), key.number, hex(&key.key.key), hex(&key.key.iv))
}

fn service(service: &UserService) -> String {
    format!(
        "user {} {} {} {} {:?} surplus {} {}",
        service.user.0,
        server(&service.server),
        hex(&service.certificate),
        hex(&service.key.to_pkcs8()),
        service.id.as_ref().map(|id| hex(id.as_bytes())),
        service.surplus.count,
        hex(&service.surplus.hash.0)
    )
}

fn waiting(queue: &WaitingQueue) -> String {
    format!(
        "{} user {} number {} {} {} {} associated {}",
        hex(queue.connection.as_bytes()),
        queue.user.0,
        queue.number.0,
        server(&queue.server),
        hex(queue.recipient_id.as_bytes()),
        hex(&queue.key.to_pkcs8_der()),
        queue.is_associated
    )
}

fn notice(notice: &ServerNotice) -> String {
    let ServerNotice { server: of, queue, created_at, ttl } = notice;
    format!("{} {} at {} for {ttl:?}", server(of), hex(queue.as_bytes()), created_at.as_millis())
}

fn receive_queue(queue: &ReceiveQueue) -> String {
    format!(
        "{} {} {} {} {} {} {} {:?} {:?} {:?} version {} link {:?} replaces {:?} {:?} last {:?}",
        queue.number.0,
        server(&queue.server),
        hex(queue.recipient_id.as_bytes()),
        hex(queue.sender_id.as_bytes()),
        hex(&queue.key.to_pkcs8_der()),
        hex(queue.server_secret.as_bytes()),
        hex(&queue.e2e_key.to_pkcs8_der()),
        queue.e2e_secret.as_ref().map(|secret| hex(secret.as_bytes())),
        queue.stage,
        queue.mode,
        queue.version.0,
        queue.link.as_deref().map(link),
        queue.replaces,
        queue.switch,
        queue.last_told.as_ref().map(|(server_id, message)| (hex(server_id.as_bytes()), message.0))
    )
}

fn link(link: &LinkCredentials) -> String {
    format!(
        "{} {} {} {}",
        hex(link.link_id.as_bytes()),
        hex(link.key.as_bytes()),
        hex(&link.fixed),
        hex(&link.root.to_pkcs8_der())
    )
}

fn send_queue(queue: &SendQueue) -> String {
    format!(
        "{} {} {} {} {} {} {:?} {:?} version {} replaces {:?} {:?}",
        queue.number.0,
        server(&queue.server),
        hex(queue.sender_id.as_bytes()),
        hex(&queue.key.to_pkcs8_der()),
        hex(&queue.e2e_key.0),
        hex(queue.e2e_secret.as_bytes()),
        queue.stage,
        queue.mode,
        queue.version.0,
        queue.replaces,
        queue.switch
    )
}

fn task(task: &Task) -> String {
    let kind = match &task.kind {
        TaskKind::SecureSend(queue) => format!("secure send {}", queue.0),
        TaskKind::CreateReply { info, keys } => format!("create reply {} {}", hex(info), hex(keys)),
        TaskKind::Invite { queue, info } => format!("invite {} {}", queue_info(queue), hex(info)),
        TaskKind::OpenLink { link, key, sender_id } => {
            format!("open {link} {} {}", hex(&key.to_pkcs8_der()), hex(sender_id.as_bytes()))
        }
        TaskKind::SecureReceive(queue, key) => format!("secure receive {} {}", queue.0, public(key)),
        TaskKind::SecureAdded(queue, key) => format!("secure added {} {}", queue.0, public(key)),
        TaskKind::SecureSpare(queue) => format!("secure spare {}", queue.0),
        TaskKind::Retire { queue, attempts } => format!("retire {} after {attempts}", queue.0),
        TaskKind::Command(call) => format!("command {}", hex(call)),
        TaskKind::Tell => "tell".to_owned(),
        TaskKind::DeleteQueue { server: of, recipient_id, key, attempts } => format!(
            "delete queue {} {} {} after {attempts}",
            server(of),
            hex(recipient_id.as_bytes()),
            hex(&key.to_pkcs8_der())
        ),
    };
    format!("{kind} for {:?}", task.origin)
}

fn confirmation(found: &Confirmation) -> String {
    format!(
        "{} of {} {:?} {} {} {} {:?} version {} {}",
        hex(found.id.as_bytes()),
        hex(found.connection.as_bytes()),
        found.sender_key.as_ref().map(public),
        hex(&found.e2e_key.0),
        hex(&found.ratchet.to_bytes()),
        hex(found.hash.as_bytes()),
        found.queues.iter().map(queue_info).collect::<Vec<_>>(),
        found.version.0,
        hex(&found.info)
    )
}

fn queue_info(queue: &QueueInfo) -> String {
    let QueueInfo { version, address } = queue;
    let id = hex(address.sender_id.as_bytes());
    let key = hex(&address.dh_key.0);
    format!("{} {} {id} {key} {:?}", version.0, server(&address.server), address.mode)
}

fn invitation(found: &Invitation) -> String {
    format!(
        "{} of {} {} {} at {}",
        hex(found.id.as_bytes()),
        hex(found.connection.as_bytes()),
        found.request,
        hex(&found.info),
        found.received_at.as_millis()
    )
}

fn incoming(message: &Incoming) -> String {
    format!(
        "{} {} in {} {} at {} and {} sender's {} {} {} pq {} notify {} {:?} repeats {}",
        hex(message.connection.as_bytes()),
        message.id.0,
        message.queue.0,
        hex(message.server_id.as_bytes()),
        message.server_time.as_millis(),
        message.received_at.as_millis(),
        message.sender_id,
        hex(message.hash.as_bytes()),
        message.integrity,
        message.pq,
        message.flags.notification,
        message.body.as_deref().map(hex),
        message.repeats
    )
}

fn outgoing(message: &Outgoing) -> String {
    format!(
        "{} {} theirs {} at {} notify {} {} {} {:?}",
        hex(message.connection.as_bytes()),
        message.id.0,
        message.sender_id,
        message.created_at.as_millis(),
        message.flags.notification,
        content(&message.content),
        hex(message.hash.as_bytes()),
        message.receipt
    )
}

fn content(content: &OutgoingContent) -> String {
    match content {
        OutgoingContent::Ratchet { plaintext, key, padded_len, version, confirmation } => format!(
            "ratchet {} {} padded {padded_len} version {} {:?}",
            hex(plaintext),
            hex(&key.to_bytes()),
            version.0,
            confirmation.as_deref().map(hex)
        ),
        OutgoingContent::Plain(envelope) => format!("plain {}", hex(envelope)),
        OutgoingContent::Delivered => "delivered".into(),
    }
}

fn server(server: &ServerAddress) -> String {
    server.to_string()
}

fn public(key: &AuthPublicKey) -> String {
    hex(&key.to_der())
}
