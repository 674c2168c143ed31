//! Messages of servers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use smp_core::wire::broker::{
    BrokerMessage, CreatedNotifier, CreatedQueue, MessageKind, MessageStatus, QueueStatus, RelaySession,
    SubscriptionStatus, SubscriptionThread,
};
use smp_core::wire::{NameRecord, QueueMode, Version};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{boolean, bytes, dh_key, entity, error, link_data, optional, queue_set, text, texts};

/// A message, as `MESSAGE parameters`.
pub(crate) fn message(message: &BrokerMessage) -> String {
    let tag = message.tag(Version::MAX);
    let parameters = match message {
        BrokerMessage::Ids(queue) => format!("({})", created_queue(queue)),
        BrokerMessage::Lnk { sender_id, data } => format!("({}) {}", entity(sender_id), link_data(data)),
        BrokerMessage::Sok(None) => "Nothing".into(),
        BrokerMessage::Sok(Some(id)) => format!("(Just ({}))", entity(id)),
        BrokerMessage::Soks(queues) | BrokerMessage::Ends(queues) => queue_set(queues),
        BrokerMessage::Msg { id, body } => {
            let (id, body) = (bytes(id.as_bytes()), bytes(body));
            format!("(RcvMessage {{msgId = {id}, msgBody = EncRcvMsgBody {body}}})")
        }
        BrokerMessage::Nid(notifier) => created_notifier(notifier),
        BrokerMessage::NMsg { nonce, metadata } => {
            format!("(CryptoBoxNonce {{unCbNonce = {}}}) {}", bytes(nonce), bytes(metadata))
        }
        BrokerMessage::PKey(session) => relay_session(session),
        BrokerMessage::PRes(encrypted) => format!("(EncResponse {})", bytes(encrypted)),
        BrokerMessage::RRes(encrypted) => format!("(EncFwdResponse {})", bytes(encrypted)),
        BrokerMessage::Info(status) => format!("({})", queue_status(status)),
        BrokerMessage::Err(error) => error::as_argument(error),
        BrokerMessage::RName(record) => format!("({})", name_record(record)),
        BrokerMessage::Alls
        | BrokerMessage::End
        | BrokerMessage::Deld
        | BrokerMessage::Ok
        | BrokerMessage::Pong => return tag.into(),
    };
    format!("{tag} {parameters}")
}

fn created_queue(queue: &CreatedQueue) -> String {
    let mode = queue.mode.map(|mode| match mode {
        QueueMode::Messaging => "QMMessaging".into(),
        QueueMode::Contact => "QMContact".into(),
    });
    let notifier = queue.notifier.as_ref();
    format!(
        "QIK {{rcvId = {}, sndId = {}, rcvPublicDhKey = {}, queueMode = {}, linkId = {}, serviceId = {}, \
         serverNtfCreds = {}}}",
        entity(&queue.recipient_id),
        entity(&queue.sender_id),
        dh_key(&queue.dh_key),
        optional(mode),
        optional(queue.link_id.as_ref().map(|id| format!("({})", entity(id)))),
        optional(queue.service_id.as_ref().map(|id| format!("({})", entity(id)))),
        optional(notifier.map(|notifier| format!("(ServerNtfCreds {})", created_notifier(notifier)))),
    )
}

fn created_notifier(notifier: &CreatedNotifier) -> String {
    format!("({}) ({})", entity(&notifier.notifier_id), dh_key(&notifier.dh_key))
}

/// Up to the chain, which the reference prints with everything that certificates have.
fn relay_session(session: &RelaySession) -> String {
    format!(
        "{} (VRange {{minVersion = Version {}, maxVersion = Version {}}}) (CertChainPubKey {{certChain = ",
        bytes(session.session_id.as_bytes()),
        session.versions.min(),
        session.versions.max()
    )
}

fn queue_status(status: &QueueStatus) -> String {
    format!(
        "QueueInfo {{qiSnd = {}, qiNtf = {}, qiSub = {}, qiSize = {}, qiMsg = {}}}",
        boolean(status.sender_secured),
        boolean(status.notifier),
        optional(status.subscription.as_ref().map(|subscription| format!("({})", subscribed(subscription)))),
        status.size,
        optional(status.message.as_ref().map(|message| format!("({})", stored(message)))),
    )
}

fn subscribed(subscription: &SubscriptionStatus) -> String {
    let thread = match subscription.thread {
        SubscriptionThread::NoSub => "QNoSub",
        SubscriptionThread::SubPending => "QSubPending",
        SubscriptionThread::SubThread => "QSubThread",
        SubscriptionThread::ProhibitSub => "QProhibitSub",
    };
    let delivered = subscription.delivered.as_ref().map(|id| text(&STANDARD.encode(id.as_bytes())));
    format!("QSub {{qSubThread = {thread}, qDelivered = {}}}", optional(delivered))
}

fn stored(message: &MessageStatus) -> String {
    let at = OffsetDateTime::from_unix_timestamp(message.received_at.as_secs())
        .expect("a time of our era")
        .format(&Rfc3339)
        .expect("a time of our era");
    let kind = match message.kind {
        MessageKind::Message => "MTMessage",
        MessageKind::Quota => "MTQuota",
    };
    format!(
        "MsgInfo {{msgId = {}, msgTs = {}, msgType = {kind}}}",
        text(&STANDARD.encode(message.id.as_bytes())),
        at.replace('T', " ").replace('Z', " UTC")
    )
}

fn name_record(record: &NameRecord) -> String {
    let coin = |address: &Option<String>| optional(address.as_deref().map(text));
    format!(
        "NameRecord {{nrName = {}, nrNickname = {}, nrWebsite = {}, nrLocation = {}, nrSimplexContact = {}, \
         nrSimplexChannel = {}, nrEth = {}, nrBtc = {}, nrXmr = {}, nrDot = {}, nrOwner = {}, nrResolver = {}}}",
        text(&record.name),
        text(&record.nickname),
        text(&record.website),
        text(&record.location),
        texts(&record.simplex_contact),
        texts(&record.simplex_channel),
        coin(&record.eth),
        coin(&record.btc),
        coin(&record.xmr),
        coin(&record.dot),
        text(&record.owner),
        text(&record.resolver),
    )
}
