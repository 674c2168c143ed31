//! Transmissions and batches of both sides, as far as they need no cryptography.

use bytes::Bytes;
use serde_json::Value;
use smp_core::wire::batch::{BATCH_CONTENT_MAX, ENCRYPTED_CONTENT_MAX, PLAIN_CONTENT_MAX, TooLarge};
use smp_core::wire::{
    Authorization, BatchWriter, BrokerMessage, ClientTransmission, Command, ServerTransmission, SessionId,
    Version, decode_batch, encode_single,
};
use smp_tests::vectors::Fields;

use super::encoded;
use super::encodings::{Session, version};

/// Checks each version.
pub(crate) fn run(file: &Value) -> usize {
    let session = Session::new(file.field("inputs"));
    file.items("versions").iter().map(|entry| run_version(entry, &session)).sum()
}

fn run_version(entry: &Value, session: &Session) -> usize {
    let version = version(entry);
    for case in entry.items("transmissions") {
        check_transmission(version, session, case);
    }
    for case in entry.items("batching") {
        check_batching(version, case);
    }
    let subscriptions = entry.field("three_subs_block").hex("body");
    let items = decode_batch(&subscriptions).expect("a batch");
    for item in &items {
        let sent = ClientTransmission::decode(version, &session.session_id, item).expect("a transmission");
        assert_eq!(Command::decode(version, &sent.command), Ok(Command::Sub));
    }
    assert_eq!(pack(&items), [subscriptions]);
    let answers = ["server_responses_small", "server_service_responses"]
        .into_iter()
        .filter(|name| entry.field(name).is_string())
        .map(|name| check_answers(version, &session.session_id, &entry.hex(name)));
    entry.items("transmissions").len() + entry.items("batching").len() + 1 + answers.sum::<usize>()
}

fn check_transmission(version: Version, session: &Session, case: &Value) {
    let (name, encoded_bytes) = (case.text("name"), case.hex("encoded"));
    let sent = ClientTransmission::decode(version, &session.session_id, &encoded_bytes).expect(name);
    let kind = match &sent.authorization {
        Authorization::None => "Nothing",
        Authorization::Ed25519(_) => "Just (TASignature (ASignature SEd25519 ",
        Authorization::Ed448(_) => "Just (TASignature (ASignature SEd448 ",
        Authorization::Authenticator(_) => "Just (TAAuthenticator ",
    };
    assert!(case.text("auth").starts_with(kind), "{name}: {kind}");
    assert_eq!(sent.service_signature.is_some(), name.ends_with(" with service signature"), "{name}");
    assert_eq!(sent.correlation_id, session.correlation_id, "{name}");
    assert_eq!(sent.authorized_bytes(&session.session_id), case.hex("t_for_auth"), "{name}");
    let command = Command::decode(version, &sent.command).expect(name);
    assert!(name.starts_with(command.tag()), "{name}: {command:?}");
    assert_eq!(command.check_credentials(sent.authorization.is_some(), &sent.entity_id), Ok(()), "{name}");

    assert_eq!(encoded(|out| command.encode(version, out)), sent.command, "{name}");
    assert_eq!(encoded(|out| sent.encode(version, &session.session_id, out)), encoded_bytes, "{name}");
    let unsigned = ClientTransmission { authorization: Authorization::None, ..sent };
    let unsigned = encoded(|out| unsigned.encode(version, &session.session_id, out));
    assert_eq!(unsigned, [&[0][..], &case.hex("t_to_send")].concat(), "{name}");
    let batch = case.hex("batch1");
    assert_eq!(encode_single(&encoded_bytes).expect(name), batch, "{name}");
    assert_eq!(decode_batch(&batch).expect(name), [encoded_bytes], "{name}");
}

/// Of long batches the vectors have the beginning and the length, from which the lengths of the transmissions
/// follow where all are alike. The reference fills batches from the last to the first, we from the first to
/// the last.
fn check_batching(version: Version, case: &Value) {
    let name = case.text("name");
    let content_max =
        if version >= Version::ENCRYPTED_BLOCKS { ENCRYPTED_CONTENT_MAX } else { PLAIN_CONTENT_MAX };
    let mut counts = Vec::new();
    let mut item = Bytes::new();
    for batch in case.items("batches") {
        if batch.text("type") == "error" {
            assert_eq!(batch.text("error"), "TELargeMsg", "{name}");
            let mut writer = BatchWriter::new(PLAIN_CONTENT_MAX);
            assert_eq!(writer.push(&[0; PLAIN_CONTENT_MAX]), Err(TooLarge), "{name}");
            continue;
        }
        let (body, count) = (batch.field("body"), batch.number("count"));
        let (head, length) = (body.hex("head"), usize::try_from(body.number("len")).expect(name));
        assert_eq!(u64::from(head[0]), count, "{name}");
        assert!(length <= if count == 1 { content_max } else { BATCH_CONTENT_MAX }, "{name}");
        item = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))].into();
        if count == 1 {
            assert_eq!(length, 3 + item.len(), "{name}");
        }
        counts.push(usize::try_from(count).expect(name));
    }
    if name.ends_with(" SUB") && !name.contains("SEND") {
        let contents = pack(&vec![item; counts.iter().sum()]);
        counts.reverse();
        let ours: Vec<_> = contents.iter().map(|content| usize::from(content[0])).collect();
        assert_eq!(ours, counts, "{name}");
    }
}

/// Reads and rewrites the answers in a block; returns how many there are.
fn check_answers(version: Version, session: &SessionId, content: &Bytes) -> usize {
    let items = decode_batch(content).expect("a batch");
    for item in &items {
        let sent = ServerTransmission::decode(version, session, item).expect("a transmission");
        let message = BrokerMessage::decode(version, &sent.message).expect("a message");
        assert_eq!(message.check_entity(&sent.entity_id), Ok(()), "{message:?}");
        let message = Bytes::from(encoded(|out| message.encode(version, out)));
        let again = ServerTransmission { message, ..sent };
        assert_eq!(encoded(|out| again.encode(version, session, out)), *item);
    }
    assert_eq!(pack(&items), std::slice::from_ref(content));
    items.len()
}

fn pack(items: &[Bytes]) -> Vec<Vec<u8>> {
    let mut writer = BatchWriter::new(ENCRYPTED_CONTENT_MAX);
    let mut contents: Vec<_> = items.iter().filter_map(|item| writer.push(item).expect("it fits")).collect();
    contents.extend(writer.finish());
    contents
}
