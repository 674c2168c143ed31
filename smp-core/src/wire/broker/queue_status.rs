//! The state of a queue, as its recipient may see it: JSON with these keys in this order.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::super::id::MessageId;
use crate::time::UnixTime;

/// The state of a queue.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueStatus {
    /// The key of the sender is set.
    #[serde(rename = "qiSnd")]
    pub sender_secured: bool,
    /// There is a notifier.
    #[serde(rename = "qiNtf")]
    pub notifier: bool,
    /// The subscription of the asking connection.
    #[serde(rename = "qiSub", skip_serializing_if = "Option::is_none")]
    pub subscription: Option<SubscriptionStatus>,
    /// How many messages are stored.
    #[serde(rename = "qiSize")]
    pub size: u64,
    /// The first of them.
    #[serde(rename = "qiMsg", skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageStatus>,
}

opaque_debug!(QueueStatus);

/// A subscription.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionStatus {
    /// What it is doing.
    #[serde(rename = "qSubThread")]
    pub thread: SubscriptionThread,
    /// The message that was delivered and not acknowledged.
    #[serde(rename = "qDelivered", with = "optional_id", default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<MessageId>,
}

opaque_debug!(SubscriptionStatus);

/// What a subscription is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SubscriptionThread {
    /// Nothing.
    NoSub,
    /// Waiting for the client to take a message.
    SubPending,
    /// Waiting for a message.
    SubThread,
    /// Forbidden, because the connection used GET.
    ProhibitSub,
}

/// A stored message.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageStatus {
    /// Its id, in base64.
    #[serde(rename = "msgId", with = "id")]
    pub id: MessageId,
    /// When the server received it, as text (RFC 3339) in seconds.
    #[serde(rename = "msgTs", with = "time_text")]
    pub received_at: UnixTime,
    /// What it is.
    #[serde(rename = "msgType")]
    pub kind: MessageKind,
}

opaque_debug!(MessageStatus);

/// What a stored message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MessageKind {
    /// A message.
    Message,
    /// The mark that messages were refused because the queue was full.
    Quota,
}

mod id {
    use super::*;

    pub(super) fn serialize<S: Serializer>(id: &MessageId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(id.as_bytes()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MessageId, D::Error> {
        let bytes = STANDARD.decode(String::deserialize(deserializer)?).map_err(de::Error::custom)?;
        MessageId::new(&bytes).map_err(de::Error::custom)
    }
}

mod optional_id {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Id(#[serde(with = "super::id")] MessageId);

    pub(super) fn serialize<S: Serializer>(id: &Option<MessageId>, serializer: S) -> Result<S::Ok, S::Error> {
        id.clone().map(Id).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<MessageId>, D::Error> {
        Ok(Option::<Id>::deserialize(deserializer)?.map(|Id(id)| id))
    }
}

mod time_text {
    use super::*;

    /// The first and the last second of the years 0 to 9999, which RFC 3339 can write.
    const SECONDS_MIN: i64 = -62_167_219_200;
    const SECONDS_MAX: i64 = 253_402_300_799;

    pub(super) fn serialize<S: Serializer>(at: &UnixTime, serializer: S) -> Result<S::Ok, S::Error> {
        let seconds = at.as_secs().clamp(SECONDS_MIN, SECONDS_MAX);
        let at = OffsetDateTime::from_unix_timestamp(seconds).map_err(ser::Error::custom)?;
        serializer.serialize_str(&at.format(&Rfc3339).map_err(ser::Error::custom)?)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UnixTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        let at = OffsetDateTime::parse(&text, &Rfc3339).map_err(de::Error::custom)?;
        Ok(UnixTime::from_secs(at.unix_timestamp()))
    }
}
