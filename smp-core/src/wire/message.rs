//! What is inside the encrypted parts of messages and notifications.

use core::fmt;

use bytes::Bytes;

use super::codec::{Decoded, Reader};
use super::command::MessageFlags;
use super::id::MessageId;
use crate::time::UnixTime;

/// What a recipient finds in MSG after decryption.
///
/// ```text
/// i64 seconds, flags, space, body
/// QUOTA, space, i64 seconds
/// ```
#[derive(Clone, PartialEq, Eq)]
pub enum ReceivedBody {
    /// A message.
    Message {
        /// When the server received it, in whole seconds.
        received_at: UnixTime,
        /// As the sender set them.
        flags: MessageFlags,
        /// What the sender sent, see [`super::ClientMessageEnvelope`].
        body: Bytes,
    },
    /// The queue is full: the sender was told to stop here until it is drained.
    QuotaExceeded {
        /// When the server refused the first message, in whole seconds.
        received_at: UnixTime,
    },
}

impl ReceivedBody {
    /// The length that the content is padded to before it is encrypted; encrypted, it has 16 bytes more.
    pub const PADDED_LENGTH: usize = 16_106;

    /// Reads the content.
    ///
    /// # Errors
    /// When bytes are missing or a part is malformed.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        if reader.tag(QUOTA).is_ok() {
            return Ok(Self::QuotaExceeded { received_at: decode_time(reader)? });
        }
        let received_at = decode_time(reader)?;
        let flags = MessageFlags::decode(reader)?;
        reader.tag(b" ")?;
        Ok(Self::Message { received_at, flags, body: reader.tail() })
    }

    /// Writes the content.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Message { received_at, flags, body } => {
                encode_time(*received_at, out);
                flags.encode(out);
                out.push(b' ');
                out.extend_from_slice(body);
            }
            Self::QuotaExceeded { received_at } => {
                out.extend_from_slice(QUOTA);
                encode_time(*received_at, out);
            }
        }
    }
}

/// Without the body.
impl fmt::Debug for ReceivedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Message { .. } => "Message",
            Self::QuotaExceeded { .. } => "QuotaExceeded",
        })
    }
}

/// What a notifier finds in NMSG after decryption: message id as a short string, `i64` seconds, and whatever
/// a later version may append, which is ignored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotificationMeta {
    /// The message that waits.
    pub message_id: MessageId,
    /// When the server received it, in whole seconds.
    pub received_at: UnixTime,
}

impl NotificationMeta {
    /// The length that the content is padded to before it is encrypted; encrypted, it has 16 bytes more.
    pub const PADDED_LENGTH: usize = 128;

    /// Reads the content, to its end.
    ///
    /// # Errors
    /// When bytes are missing.
    pub fn decode(reader: &mut Reader<'_>) -> Decoded<Self> {
        let meta = Self { message_id: MessageId::decode(reader)?, received_at: decode_time(reader)? };
        reader.tail();
        Ok(meta)
    }

    /// Writes the content.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.message_id.encode(out);
        encode_time(self.received_at, out);
    }
}

fn decode_time(reader: &mut Reader<'_>) -> Decoded<UnixTime> {
    reader.i64().map(UnixTime::from_secs)
}

fn encode_time(time: UnixTime, out: &mut Vec<u8>) {
    out.extend_from_slice(&time.as_secs().to_be_bytes());
}

/// What marks a full queue. As a time, its first bytes would be some 180 thousand million years from now.
const QUOTA: &[u8] = b"QUOTA ";

#[cfg(test)]
mod tests {
    use super::super::codec::{DecodeError, decode_all};
    use super::super::version::Version;
    use super::*;

    const TIME: UnixTime = UnixTime::from_secs(0x0102_0304);
    const TIME_BYTES: &[u8] = &[0, 0, 0, 0, 1, 2, 3, 4];

    fn body_bytes(body: &ReceivedBody) -> Vec<u8> {
        let mut out = Vec::new();
        body.encode(&mut out);
        out
    }

    fn message(notification: bool, body: &[u8]) -> ReceivedBody {
        let flags = MessageFlags { notification };
        ReceivedBody::Message { received_at: TIME, flags, body: Bytes::copy_from_slice(body) }
    }

    #[test]
    fn received_bodies() {
        for (value, bytes, shortest) in [
            (message(true, b"hello"), [TIME_BYTES, b"T hello"].concat(), 10),
            (message(false, b""), [TIME_BYTES, b"F "].concat(), 10),
            (message(false, b" QUOTA "), [TIME_BYTES, b"F  QUOTA "].concat(), 10),
            (ReceivedBody::QuotaExceeded { received_at: TIME }, [b"QUOTA ", TIME_BYTES].concat(), 14),
        ] {
            assert_eq!(body_bytes(&value), bytes);
            assert_eq!(decode_all(&bytes.clone().into(), ReceivedBody::decode), Ok(value));
            for cut in 0..bytes.len() {
                let read = decode_all(&bytes[..cut].to_vec().into(), ReceivedBody::decode);
                assert_eq!(read.is_ok(), cut >= shortest, "{cut} of {bytes:?}");
            }
        }
    }

    #[test]
    fn flags_that_are_not_known_are_ignored() {
        let bytes = [TIME_BYTES, b"TFx hello"].concat();
        assert_eq!(decode_all(&bytes.into(), ReceivedBody::decode), Ok(message(true, b"hello")));
        for tail in [&b""[..], b"T", b"X hello", b" hello"] {
            let bytes = [TIME_BYTES, tail].concat();
            assert_eq!(decode_all(&bytes.into(), ReceivedBody::decode), Err(DecodeError));
        }
        let quota = [b"QUOTA ", TIME_BYTES, b"x"].concat();
        assert_eq!(decode_all(&quota.into(), ReceivedBody::decode), Err(DecodeError));
    }

    #[test]
    fn a_message_of_each_version_fits() {
        // Two bytes of the padded length are the length itself.
        for version in (Version::MIN.0..=Version::MAX.0).map(Version) {
            let longest = vec![b'm'; version.message_length_max()];
            assert!(body_bytes(&message(true, &longest)).len() + 2 <= ReceivedBody::PADDED_LENGTH);
        }
    }

    #[test]
    fn notification_meta() {
        let value = NotificationMeta { message_id: MessageId::new(b"id").unwrap(), received_at: TIME };
        let mut bytes = Vec::new();
        value.encode(&mut bytes);
        assert_eq!(bytes, [b"\x02id", TIME_BYTES].concat());
        assert_eq!(decode_all(&bytes.clone().into(), NotificationMeta::decode).as_ref(), Ok(&value));
        for cut in 0..bytes.len() {
            let read = decode_all(&bytes[..cut].to_vec().into(), NotificationMeta::decode);
            assert_eq!(read, Err(DecodeError));
        }
        bytes.extend_from_slice(b"later");
        assert_eq!(decode_all(&bytes.into(), NotificationMeta::decode), Ok(value));
    }

    quickcheck::quickcheck! {
        fn round_trip(secs: u32, notification: bool, body: Vec<u8>, quota: bool) -> bool {
            let received_at = UnixTime::from_secs(secs.into());
            let value = if quota {
                ReceivedBody::QuotaExceeded { received_at }
            } else {
                ReceivedBody::Message { received_at, flags: MessageFlags { notification }, body: body.into() }
            };
            decode_all(&body_bytes(&value).into(), ReceivedBody::decode) == Ok(value)
        }

        fn any_bytes_do_not_panic(bytes: Vec<u8>) -> bool {
            let quota = [QUOTA, &bytes].concat().into();
            let bytes = bytes.into();
            let _ = decode_all(&bytes, NotificationMeta::decode);
            let _ = decode_all(&quota, ReceivedBody::decode);
            decode_all(&bytes, ReceivedBody::decode).is_err() || bytes.len() >= 10
        }
    }
}
