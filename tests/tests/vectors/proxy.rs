//! The layers of a forwarded command and of its answer that are not encrypted, or whose plain text is known.

use serde_json::Value;
use smp_core::wire::codec::decode_all;
use smp_core::wire::command::ForwardRequest;
use smp_core::wire::{
    BrokerMessage, ClientTransmission, Command, CorrelationId, DhPublicKey, FwdResponse, FwdTransmission,
    ServerTransmission, SessionId, Version, decode_batch, encode_single,
};
use smp_tests::vectors::Fields;

use super::encoded;
use super::encodings::version;

/// Checks each flow.
pub(crate) fn run(file: &Value) -> usize {
    let flows = file.as_array().expect("a list");
    for flow in flows {
        let command = client_command(flow);
        assert!(matches!(command, Command::Send { .. } | Command::SKey(_)), "{command:?}");
        assert_eq!(relay_answer(flow), BrokerMessage::Ok);
        check_layers(flow);
    }
    flows.len()
}

/// The command that the client forwards, from its batch of one.
pub(crate) fn client_command(flow: &Value) -> Command {
    let (version, session, batch) = (version(flow), session(flow), flow.hex("client_transmission_batch"));
    let items = decode_batch(&batch).expect("a batch");
    let [item] = items.as_slice() else { panic!("{} transmissions", items.len()) };
    let sent = ClientTransmission::decode(version, &session, item).expect("a transmission");
    assert_eq!(sent.correlation_id, correlation_id(flow));
    let is_signed = !flow.field("snd_key").is_null();
    assert_eq!(sent.authorization.is_some(), is_signed);
    let command = Command::decode(version, &sent.command).expect("a command");
    assert_eq!(command.check_credentials(is_signed, &sent.entity_id), Ok(()));
    let item = encoded(|out| sent.encode(version, &session, out));
    assert_eq!(encode_single(&item).expect("a batch"), batch);
    command
}

/// The answer of the relay, from its batch of one.
pub(crate) fn relay_answer(flow: &Value) -> BrokerMessage {
    let (version, session, batch) = (version(flow), session(flow), flow.hex("relay_response_batch"));
    let items = decode_batch(&batch).expect("a batch");
    let [item] = items.as_slice() else { panic!("{} transmissions", items.len()) };
    let sent = ServerTransmission::decode(version, &session, item).expect("a transmission");
    assert_eq!(sent.correlation_id, correlation_id(flow));
    let message = BrokerMessage::decode(version, &sent.message).expect("a message");
    assert_eq!(message.check_entity(&sent.entity_id), Ok(()));
    let message_bytes = encoded(|out| message.encode(version, out));
    let again = ServerTransmission { message: message_bytes.into(), ..sent };
    let item = encoded(|out| again.encode(version, &session, out));
    assert_eq!(encode_single(&item).expect("a batch"), batch);
    message
}

/// Checks the records around the encrypted ones; most flows have only the ends of these.
pub(crate) fn check_layers(flow: &Value) {
    let version = version(flow);
    let forwarded = flow.field("fwd_transmission");
    let start = decode_all(&forwarded.hex("head"), |r| {
        let correlation_id = CorrelationId::decode(r)?;
        let version = Version::decode(r)?;
        // The key does not fit into the head.
        r.tail();
        Ok((correlation_id, version))
    });
    assert_eq!(start, Ok((correlation_id(flow), version)));
    let answered =
        decode_all(&flow.field("fwd_response").hex("head"), FwdResponse::decode).expect("a record");
    assert_eq!(answered.correlation_id, correlation_id(flow));
    assert!(flow.field("enc_response").hex("head").starts_with(&answered.encrypted));
    let Some(request) = forward_request(flow) else { return };

    assert_eq!(request.version, version);
    let record = FwdTransmission { correlation_id: correlation_id(flow), request };
    let bytes = encoded(|out| record.encode(out));
    assert_ends(&bytes, forwarded);
    assert_eq!(decode_all(&bytes.into(), FwdTransmission::decode).as_ref(), Ok(&record));
    assert_ends(&record.request.encrypted, flow.field("enc_transmission"));
    let bytes = flow.hex("rfwd_command_hex");
    let Ok(Command::Rfwd(encrypted)) = Command::decode(version, &bytes) else { panic!("not RFWD") };
    assert_ends(&encrypted, flow.field("enc_fwd_transmission"));
    assert_eq!(encoded(|out| Command::Rfwd(encrypted).encode(version, out)), bytes);
}

/// The parameters of PFWD, where the vectors have all of its bytes.
fn forward_request(flow: &Value) -> Option<ForwardRequest> {
    if flow.field("pfwd_command_hex").is_null() {
        let head = flow.field("pfwd_command").hex("head");
        let Ok(Command::Pfwd(request)) = Command::decode(version(flow), &head) else { panic!("not PFWD") };
        assert_eq!(request.version, version(flow));
        assert!(flow.field("enc_transmission").hex("head").starts_with(&request.encrypted));
        return None;
    }
    let bytes = flow.hex("pfwd_command_hex");
    assert_ends(&bytes, flow.field("pfwd_command"));
    let command = Command::decode(version(flow), &bytes).expect("a command");
    assert_eq!(encoded(|out| command.encode(version(flow), out)), bytes);
    let Command::Pfwd(request) = command else { panic!("not PFWD") };
    // Version, then the key as a short string.
    assert_eq!(DhPublicKey::from_der(&bytes[8..52]), Ok(request.key));
    Some(request)
}

fn session(flow: &Value) -> SessionId {
    SessionId::new(&flow.hex("relay_session_id")).expect("a session id")
}

fn correlation_id(flow: &Value) -> CorrelationId {
    CorrelationId::new(&flow.hex("client_corr_id_nonce")).expect("a correlation id")
}

/// Compares with the length and the ends of a long value.
fn assert_ends(bytes: &[u8], ends: &Value) {
    assert_eq!(Ok(bytes.len()), usize::try_from(ends.number("len")));
    assert!(bytes.starts_with(&ends.hex("head")) && bytes.ends_with(&ends.hex("tail")));
}
