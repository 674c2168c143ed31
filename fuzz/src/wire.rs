//! Blocks, batches, transmissions, commands and messages of servers.

use bytes::Bytes;
use smp_core::transport::block::{BLOCK_LEN, BlockCodec, BlockReader};
use smp_core::wire::{
    BatchWriter, BrokerMessage, ClientTransmission, Command, ServerTransmission, SessionId, decode_batch,
};

use crate::input::Input;
use crate::{check_round_trip, check_settles};

/// A stream cut anywhere, its blocks, their contents and batches.
pub fn blocks(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let piece = usize::from(input.u16()).max(1);
    let content = input.rest();
    padded(&content);
    stream(&content, piece);
    batch(&content);
}

/// The content of any block is written as a block that has the same content.
fn padded(start: &[u8]) {
    let mut block = start.to_vec();
    block.resize(BLOCK_LEN, b'#');
    let Ok(content) = BlockCodec::Plain.read(block) else { return };
    assert!(content.len() <= BlockCodec::Plain.content_max());
    let block = BlockCodec::Plain.write(&content).expect("a content that was in a block");
    assert_eq!(BlockCodec::Plain.read(block).as_ref(), Ok(&content));
    batch(&content);
}

/// Blocks do not depend on how the stream was cut.
fn stream(bytes: &[u8], piece: usize) {
    let stream = bytes.repeat(3 * BLOCK_LEN / bytes.len().max(1) + 1);
    let mut reader = BlockReader::default();
    let mut blocks = Vec::new();
    // Tiny pieces of a long stream would be all that the fuzzer does.
    for piece in stream.chunks(piece.max(64)) {
        reader.push(piece.to_vec());
        blocks.extend(std::iter::from_fn(|| reader.next_block()));
    }
    assert!(blocks.iter().map(Vec::as_slice).eq(stream.chunks_exact(BLOCK_LEN)));
}

/// The items of a batch that fits into a block make the same batch.
fn batch(content: &Bytes) {
    let content_max = BlockCodec::Plain.content_max();
    let Ok(items) = decode_batch(content) else { return };
    if content.len() > content_max || items.is_empty() {
        return;
    }
    let mut writer = BatchWriter::new(content_max);
    for item in &items {
        assert!(writer.fits(item));
        assert_eq!(writer.push(item).expect("an item of a block"), None, "they were in one block");
    }
    assert_eq!(writer.finish().as_deref(), Some(&content[..]));
}

/// A transmission of a client of a version, and the command in it.
pub fn client_transmissions(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let version = input.version();
    let item = input.rest();
    let session = session();
    check_round_trip(
        &item,
        |item| ClientTransmission::decode(version, &session, item).ok(),
        |transmission, out| transmission.encode(version, &session, out),
    );
    match ClientTransmission::decode(version, &session, &item) {
        Ok(transmission) => {
            assert!(transmission.authorized_bytes(&session).ends_with(&transmission.command));
            if let Ok(command) = Command::decode(version, &transmission.command) {
                let _ =
                    command.check_credentials(transmission.authorization.is_some(), &transmission.entity_id);
            }
        }
        Err(error) => {
            let (_, answer) = error.into_answer();
            check_round_trip(
                &item,
                |_| Some(answer.clone()),
                |answer, out| BrokerMessage::Err(answer.clone()).encode(version, out),
            );
        }
    }
}

/// A transmission of a server to a client of a version, and the message in it.
pub fn server_transmissions(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let version = input.version();
    let item = input.rest();
    let session = session();
    check_round_trip(
        &item,
        |item| ServerTransmission::decode(version, &session, item).ok(),
        |transmission, out| transmission.encode(version, &session, out),
    );
    if let Ok(transmission) = ServerTransmission::decode(version, &session, &item)
        && let Ok(message) = BrokerMessage::decode(version, &transmission.message)
    {
        let _ = message.check_entity(&transmission.entity_id);
    }
}

/// A command of a version.
pub fn commands(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let version = input.version();
    check_round_trip(
        &input.rest(),
        |bytes| Command::decode(version, bytes).ok(),
        |command, out| command.encode(version, out),
    );
}

/// A message of a server for a version. Some become others for older versions: DELD becomes END.
pub fn broker_messages(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let version = input.version();
    check_settles(
        &input.rest(),
        |bytes| BrokerMessage::decode(version, bytes).ok(),
        |message, out| message.encode(version, out),
    );
}

/// The session whose id older versions send.
fn session() -> SessionId {
    SessionId::new(&[b's'; 32]).expect("32 bytes")
}
