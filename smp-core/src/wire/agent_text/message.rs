//! The event of a message.

use bytes::Bytes;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::super::agent::MessageIntegrity;
use super::super::codec::{DecodeError, Decoded};
use super::super::id::MessageId;
use super::body::{id, id_text, number};
use crate::time::UnixTime;

/// A message that came.
#[derive(Clone, PartialEq, Eq)]
pub struct MessageEvent {
    /// Whether it came in its place.
    pub integrity: MessageIntegrity,
    /// The number that the receiving agent gave it, for `ACK`.
    pub id: i64,
    /// When the receiving agent got it. In text to the millisecond, and from year 0 to 9999, as all times.
    pub received_at: UnixTime,
    /// The id that the server gave it: a message that comes again has the same.
    pub broker_id: MessageId,
    /// When the server got it.
    pub broker_received_at: UnixTime,
    /// The number that the sending agent gave it.
    pub sender_message_id: i64,
    /// What the other user said.
    pub body: Bytes,
}

opaque_debug!(MessageEvent);

impl MessageEvent {
    /// The words between `MSG` and the body.
    pub(super) fn arguments(&self) -> String {
        format!(
            "{} R={},{} B={},{} S={}",
            self.integrity,
            self.id,
            time_text(self.received_at),
            id_text(self.broker_id.as_bytes()),
            time_text(self.broker_received_at),
            self.sender_message_id
        )
    }

    pub(super) fn parse(arguments: &str, body: Bytes) -> Decoded<Self> {
        // The integrity is one word or more.
        let (integrity, meta) = arguments.split_once(" R=").ok_or(DecodeError)?;
        let (recipient, meta) = meta.split_once(" B=").ok_or(DecodeError)?;
        let (broker, sender) = meta.split_once(" S=").ok_or(DecodeError)?;
        let (message_id, received_at) = recipient.split_once(',').ok_or(DecodeError)?;
        let (broker_id, broker_received_at) = broker.split_once(',').ok_or(DecodeError)?;
        Ok(Self {
            integrity: integrity.parse()?,
            id: number(message_id)?,
            received_at: parse_time(received_at)?,
            broker_id: id(broker_id, MessageId::new)?,
            broker_received_at: parse_time(broker_received_at)?,
            sender_message_id: number(sender)?,
            body,
        })
    }

    /// `line` before and after the space in front of the body: the argument after the one that starts with `S=`.
    pub(super) fn split_body(line: &[u8]) -> (&[u8], Option<&[u8]>) {
        let mut place = 0;
        for word in line.split(|byte| *byte == b' ') {
            let end = place + word.len();
            if word.starts_with(b"S=")
                && let (Some(head), Some(body)) = (line.get(..end), line.get(end + 1..))
            {
                return (head, Some(body));
            }
            place = end + 1;
        }
        (line, None)
    }
}

/// A time as text: the first or the last that has one, for those that have none.
pub(in crate::wire) fn time_text(time: UnixTime) -> String {
    let millis = time.as_millis().clamp(YEAR_0_MILLIS, YEAR_9999_END_MILLIS);
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000);
    let time = time.expect("a time between the years 0 and 9999");
    time.format(&Rfc3339).expect("a time with a year of four digits")
}

pub(in crate::wire) fn parse_time(text: &str) -> Decoded<UnixTime> {
    let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| DecodeError)?;
    let millis = i64::try_from(time.unix_timestamp_nanos().div_euclid(1_000_000));
    millis.map(UnixTime::from_millis).map_err(|_| DecodeError)
}

/// 0000-01-01T00:00:00Z.
const YEAR_0_MILLIS: i64 = -62_167_219_200_000;
/// 9999-12-31T23:59:59.999Z.
const YEAR_9999_END_MILLIS: i64 = 253_402_300_799_999;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_text() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_798_761_599_123, "2026-12-31T23:59:59.123Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (YEAR_0_MILLIS, "0000-01-01T00:00:00Z"),
            (YEAR_9999_END_MILLIS, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(time_text(UnixTime::from_millis(millis)), text);
            assert_eq!(parse_time(text), Ok(UnixTime::from_millis(millis)));
        }
        assert_eq!(time_text(UnixTime::from_millis(i64::MAX)), "9999-12-31T23:59:59.999Z");
        assert_eq!(time_text(UnixTime::from_millis(i64::MIN)), "0000-01-01T00:00:00Z");
        assert_eq!(parse_time("1970-01-01T01:00:00.0005+01:00"), Ok(UnixTime::from_millis(0)));
        for text in ["", "1970-01-01", "1970-01-01T00:00:00", "0", "1970-13-01T00:00:00Z"] {
            assert_eq!(parse_time(text), Err(DecodeError), "{text}");
        }
    }
}
