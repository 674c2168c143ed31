//! `agent_messages.json`: envelopes and messages of agents, and what messages are padded to.

use bytes::Bytes;
use serde_json::Value;
use smp_core::wire::agent::{AgentEnvelope, AgentMessage, EnvelopeBody, sizes};
use smp_core::wire::codec::decode_all;
use smp_core::wire::link::KemParameters;
use smp_core::wire::{ServerAddress, Version};
use smp_tests::vectors::Fields;

use crate::encoded;
use crate::printed::{agent, assert_printed_up_to};

pub(crate) fn run(file: &Value) -> usize {
    messages(file) + envelopes(file) + constants(file)
}

fn messages(file: &Value) -> usize {
    let cases = file.items("agent_messages");
    for case in cases {
        let name = case.text("name");
        let bytes = case.hex("encoded");
        let message = decode_all(&bytes, AgentMessage::decode).expect(name);
        assert_eq!(encoded(|out| message.encode(out)), bytes, "{name}");
        assert_printed_up_to(PRINT_MAX, &agent::message(&message), case.text("show"));
        let previous_hash = file.field("inputs").hex("prev_hash");
        let AgentMessage::Message { previous_hash: read, .. } = &message else { continue };
        assert!(read.as_bytes().is_empty() || read.as_bytes() == previous_hash, "{name}");
    }
    cases.len()
}

/// The file does not tell how the reference reads envelopes, but what it made each of.
fn envelopes(file: &Value) -> usize {
    let cases = file.items("envelopes");
    let inputs = file.field("inputs");
    for case in cases {
        let name = case.text("name");
        let bytes = case.hex("encoded");
        let envelope = decode_all(&bytes, AgentEnvelope::decode).expect(name);
        assert_eq!(encoded(|out| envelope.encode(out)), bytes, "{name}");
        let (start, tail) = match &envelope.body {
            EnvelopeBody::Confirmation { keys, ciphertext } => {
                let made_of = KEYS.iter().find(|(of, _)| *of == name).map(|(_, input)| inputs.hex(input));
                let read = keys.as_ref().map(|keys| Bytes::from(encoded(|out| keys.encode(out))));
                assert_eq!(read, made_of, "{name}");
                assert_eq!(keys.is_some(), !name.ends_with("no e2e"), "{name}");
                let accepted =
                    keys.as_ref().is_some_and(|keys| matches!(keys.kem, Some(KemParameters::Accepted(..))));
                assert_eq!(accepted, name.contains("accepted"), "{name}");
                ("confirmation", (ciphertext, inputs.hex("enc_conn_info")))
            }
            EnvelopeBody::Message(ciphertext) => ("message", (ciphertext, inputs.hex("enc_agent_msg"))),
            EnvelopeBody::Invitation { request, info } => {
                let server: ServerAddress = inputs.text("server").parse().expect("server");
                let address = &request.queues()[0].address;
                assert_eq!(address.server, server, "{name}");
                assert_eq!(address.sender_id.as_bytes(), inputs.hex("sender_id"), "{name}");
                assert_eq!(address.dh_key.0[..], inputs.field("queue_dh").hex("public_raw"), "{name}");
                ("invitation", (info, Bytes::from_static(b"some connection info")))
            }
            EnvelopeBody::RatchetKeys { keys, info } => {
                let input = if name.contains("pq") { "e2e_v3_pq_proposed" } else { "e2e_v3_pq_off" };
                assert_eq!(encoded(|out| keys.encode(out)), inputs.hex(input), "{name}");
                ("ratchet key", (info, Bytes::from_static(b"info")))
            }
        };
        assert!(name.starts_with(start), "{name} was read as {start}");
        assert_eq!(*tail.0, tail.1, "{name}");
    }
    cases.len()
}

type PaddedLen = fn(Version, bool) -> usize;

fn constants(file: &Value) -> usize {
    let lists: [(&str, PaddedLen); 2] = [
        ("e2e_enc_agent_msg_len", sizes::message_padded_len),
        ("e2e_enc_conn_info_len", sizes::conn_info_padded_len),
    ];
    let cases = lists.into_iter().flat_map(|(name, padded_len)| {
        file.field("constants").items(name).iter().map(move |case| (name, padded_len, case))
    });
    cases
        .map(|(name, padded_len, case)| {
            let version = Version(u16::try_from(case.number("agent_version")).expect("version"));
            let post_quantum = case.field("pq").as_bool().expect("pq");
            let padded = u64::try_from(padded_len(version, post_quantum));
            assert_eq!(padded, Ok(case.number("len")), "{name}, version {version}, {post_quantum}");
        })
        .count()
}

/// What the confirmations are made of.
const KEYS: [(&str, &str); 3] = [
    ("confirmation, e2e v3 pq off", "e2e_v3_pq_off"),
    ("confirmation, e2e v3 pq accepted", "e2e_v3_pq_accepted"),
    ("confirmation, e2e v2", "e2e_v2"),
];

/// Characters after which the file cuts a print.
const PRINT_MAX: usize = 600;
