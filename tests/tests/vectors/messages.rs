//! `smp_messages.json`: message bodies, notification metadata, client messages and server addresses.

use serde_json::Value;
use smp_core::UnixTime;
use smp_core::wire::client_message::{ClientMessage, ClientMessageEnvelope};
use smp_core::wire::codec::decode_all;
use smp_core::wire::message::{NotificationMeta, ReceivedBody};
use smp_core::wire::{AuthPublicKey, DhPublicKey, ServerAddress, Version};
use smp_tests::vectors::Fields;

use crate::encoded;

/// The bytes that encryption adds.
const TAG: usize = 16;

pub(crate) fn run(file: &Value) -> usize {
    received_bodies(file) + notification(file) + client_messages(file) + servers(file)
}

fn received_bodies(file: &Value) -> usize {
    let cases = file.items("rcv_msg_bodies");
    for case in cases {
        let name = case.text("name");
        let bytes = case.hex("encoded");
        let read = decode_all(&bytes, ReceivedBody::decode).expect(name);
        assert_eq!(encoded(|out| read.encode(out)), bytes, "{name}");
        match read {
            ReceivedBody::QuotaExceeded { received_at } => {
                assert_eq!((name, received_at), ("quota", time(file)));
            }
            ReceivedBody::Message { received_at, flags, body } => {
                assert_eq!(received_at, time(file), "{name}");
                assert_eq!(flags.notification, name.contains("notification"), "{name}");
                // The file leaves the longest body out.
                if name.starts_with("max") {
                    assert_eq!(body.len(), Version::MAX.message_length_max(), "{name}");
                } else {
                    assert_eq!(body, case.hex("msg_body"), "{name}");
                }
            }
        }
        let encrypted_length = case.field("encrypted").hex("hex").len();
        assert_eq!(encrypted_length, ReceivedBody::PADDED_LENGTH + TAG, "{name}");
    }
    cases.len()
}

fn notification(file: &Value) -> usize {
    let case = file.field("nmsg");
    let bytes = case.hex("meta");
    let meta = decode_all(&bytes, NotificationMeta::decode).expect("meta");
    assert_eq!(encoded(|out| meta.encode(out)), bytes);
    assert_eq!(meta.message_id.as_bytes(), file.field("inputs").hex("msg_id"));
    assert_eq!(meta.received_at, time(file));
    assert_eq!(case.hex("enc_meta").len(), NotificationMeta::PADDED_LENGTH + TAG);
    1
}

fn client_messages(file: &Value) -> usize {
    let keys = file.field("e2e_keys");
    let cases = file.items("client_messages");
    for case in cases {
        let name = case.text("name");
        client_message(file, case);
        let bytes = case.field("envelope").hex("hex");
        let envelope = decode_all(&bytes, ClientMessageEnvelope::decode).expect(name);
        assert_eq!(encoded(|out| envelope.encode(out)), bytes, "{name}");
        assert_eq!(u64::from(envelope.version.0), case.number("version"), "{name}");
        assert_eq!(envelope.nonce[..], keys.hex("nonce"), "{name}");
        let padded = match envelope.dh_key {
            None => ClientMessageEnvelope::MESSAGE_PADDED_LENGTH,
            Some(key) => {
                assert_eq!(key, DhPublicKey::from_der(&keys.field("snd").hex("public_der")).expect("key"));
                ClientMessageEnvelope::CONFIRMATION_PADDED_LENGTH
            }
        };
        assert_eq!(envelope.dh_key.is_some(), name.contains("confirmation"), "{name}");
        assert_eq!(u64::try_from(padded), Ok(case.number("padded_len")), "{name}");
        assert_eq!(envelope.encrypted.len(), padded + TAG, "{name}");
    }
    cases.len()
}

fn client_message(file: &Value, case: &Value) {
    let name = case.text("name");
    let bytes = case.hex("client_message");
    let message = decode_all(&bytes, ClientMessage::decode).expect(name);
    assert_eq!(encoded(|out| message.encode(out)), bytes, "{name}");
    assert!(bytes.ends_with(&message.body), "{name}");
    let sender_keys = file.field("inputs").field("keys");
    let known = ["snd_auth_ed25519", "snd_auth_x25519"]
        .map(|key| AuthPublicKey::from_der(&sender_keys.field(key).hex("public_der")).expect(key));
    assert!(message.sender_key.is_none_or(|key| known.contains(&key)), "{name}");
    assert_eq!(message.sender_key.is_some(), name.contains("sender key"), "{name}");
}

fn servers(file: &Value) -> usize {
    let cases = file.items("servers");
    for case in cases {
        let text = case.text("str");
        let server: ServerAddress = text.parse().expect(text);
        assert_eq!(server.to_string(), text);
        assert_eq!(server.key_hash()[..], file.field("inputs").hex("key_hash"), "{text}");
        let bytes = case.hex("enc");
        assert_eq!(encoded(|out| server.encode(out)), bytes, "{text}");
        assert_eq!(decode_all(&bytes, ServerAddress::decode).as_ref(), Ok(&server), "{text}");

        let legacy_text = case.text("legacy_str");
        let legacy: ServerAddress = legacy_text.parse().expect(legacy_text);
        assert_eq!(legacy.to_string(), legacy_text);
        let legacy_bytes = case.hex("legacy_enc");
        assert_eq!(encoded(|out| server.encode_single_host(out)), legacy_bytes, "{text}");
        let read = decode_all(&legacy_bytes, ServerAddress::decode_single_host);
        assert_eq!(read.as_ref(), Ok(&legacy), "{text}");
        assert_eq!((legacy.hosts(), legacy.port()), (&server.hosts()[..1], server.port()), "{text}");
    }
    cases.len()
}

fn time(file: &Value) -> UnixTime {
    let secs = file.field("inputs").number("ts");
    UnixTime::from_secs(i64::try_from(secs).expect("seconds"))
}
