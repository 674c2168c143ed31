//! What agents send to each other, and how they talk with their users as text.

use bytes::Bytes;
use smp_core::wire::agent_text::{
    AgentCommand, AgentEvent, Line, Refused, TextLimits, TextReader, Transmission,
};
use smp_core::wire::codec::decode_all;
use smp_core::wire::{AgentEnvelope, AgentError, AgentMessage, Version};

use crate::check_settles;
use crate::input::Input;

/// An envelope, or what is inside the ratchet's encryption; the first byte says which.
pub fn agent_envelopes(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let kind = input.below(2);
    let content = input.rest();
    if kind == 0 {
        // The text of a link may have been written in another way.
        check_settles(&content, |bytes| decode_all(bytes, AgentEnvelope::decode).ok(), AgentEnvelope::encode);
    } else {
        // So may the mode of a queue, and older queues cannot say all modes.
        check_settles(&content, message, AgentMessage::encode);
    }
}

/// A message, but for those whose last queue may take one letter after the other of what follows it.
fn message(bytes: &Bytes) -> Option<AgentMessage> {
    let message = decode_all(bytes, AgentMessage::decode).ok()?;
    let ambiguous = matches!(&message, AgentMessage::ConnInfoReply { queues, .. }
        if queues.last().is_some_and(|queue| queue.version < Version(4)));
    (!ambiguous).then_some(message)
}

/// A stream of commands or of events, which the first byte decides; the second is the length of the pieces in which it
/// comes.
pub fn agent_text(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (kind, length) = (input.below(2), usize::from(input.u8()).max(1));
    let stream = input.rest();
    if kind == 0 { text::<AgentCommand>(&stream, length) } else { text::<AgentEvent>(&stream, length) }
}

fn text<T: Line + PartialEq>(stream: &[u8], length: usize) {
    let whole = read::<T>(stream, stream.len().max(1));
    assert!(whole == read(stream, length), "what is read depends on how the stream is cut");
    for outcome in whole {
        match outcome {
            Ok(transmission) => check_transmission(&transmission),
            Err(refused) => check_answer(refused),
        }
    }
}

fn read<T: Line>(stream: &[u8], length: usize) -> Vec<Result<Transmission<T>, Refused>> {
    let mut reader = TextReader::new(LIMITS);
    let mut read = Vec::new();
    for mut piece in stream.chunks(length) {
        while let Some(outcome) = reader.read(&mut piece) {
            read.push(outcome);
        }
        assert!(piece.is_empty(), "bytes are left that make no transmission");
    }
    read
}

fn write<T: Line>(transmission: &Transmission<T>) -> Vec<u8> {
    let mut out = Vec::new();
    transmission.encode(&mut out);
    out
}

/// What was read is written as one transmission, which is written in the same way again.
fn check_transmission<T: Line + PartialEq>(transmission: &Transmission<T>) {
    let written = write(transmission);
    // The escapes of a link may make its line longer than what was read.
    let mut reader = TextReader::<T>::new(TextLimits { line_max: 1 << 20, ..LIMITS });
    let mut rest = &written[..];
    let Some(Ok(again)) = reader.read(&mut rest) else {
        panic!("what was written cannot be read: {}", written.escape_ascii())
    };
    assert!(rest.is_empty(), "more than one transmission: {}", written.escape_ascii());
    assert!(write(&again) == written, "{} is read as another", written.escape_ascii());
}

/// A refusal is an answer that a client understands.
fn check_answer(refused: Refused) {
    let expected = AgentError::Command(refused.error);
    let read = read::<AgentEvent>(&write(&refused.answer()), 1);
    let [Ok(Transmission { content: AgentEvent::Error(error), .. })] = &read[..] else {
        panic!("{expected} is not answered")
    };
    assert_eq!(*error, expected);
}

/// Small, so that short inputs get there.
const LIMITS: TextLimits = TextLimits { line_max: 512, body_max: 64 };
