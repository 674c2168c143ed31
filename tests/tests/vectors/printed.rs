//! How the reference prints values, which is how the vectors tell what its parser read.
//!
//! Every field of our values is printed under the name that the reference has for it, so that a decoder that
//! takes one field for another does not go unnoticed.

pub(crate) mod agent;
mod broker;
mod command;
mod error;
pub(crate) mod link;

pub(crate) use broker::message;
pub(crate) use command::{command, registry};

use smp_core::wire::{AuthPublicKey, CommandError, DhPublicKey, EntityId, QueueSet};

/// Checks a print against what the vectors have of it: they cut long ones.
#[track_caller]
pub(crate) fn assert_printed(ours: &str, reference: &str) {
    match reference.strip_suffix("...") {
        Some(start) => assert!(ours.starts_with(start), "\nours      {ours}\nreference {reference}"),
        None => assert_eq!(ours, reference),
    }
}

/// Checks a print against one of a list that cuts at this many characters and does not tell.
#[track_caller]
pub(crate) fn assert_printed_up_to(max: usize, ours: &str, reference: &str) {
    if reference.chars().count() == max {
        assert!(ours.starts_with(reference), "\nours      {ours}\nreference {reference}");
    } else {
        assert_eq!(ours, reference);
    }
}

/// The refusal of a command or of a message.
pub(crate) fn refusal(error: CommandError) -> String {
    format!("error: CMD {{cmdErr = {}}}", error::command_error(error))
}

/// A string of bytes.
pub(crate) fn bytes(bytes: &[u8]) -> String {
    quoted(bytes.iter().copied().map(u32::from))
}

/// A string of characters.
pub(crate) fn text(text: &str) -> String {
    quoted(text.chars().map(u32::from))
}

/// A list of strings.
pub(crate) fn texts(list: &[String]) -> String {
    format!("[{}]", list.iter().map(|item| text(item)).collect::<Vec<_>>().join(","))
}

/// An optional value that was printed with what it needs around it.
pub(crate) fn optional(value: Option<String>) -> String {
    value.map_or_else(|| "Nothing".into(), |value| format!("Just {value}"))
}

fn boolean(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

fn entity(id: &EntityId) -> String {
    format!("EntityId {{unEntityId = {}}}", bytes(id.as_bytes()))
}

fn auth_key(key: &AuthPublicKey) -> String {
    let (name, raw) = match key {
        AuthPublicKey::Ed25519(raw) => ("Ed25519", &raw[..]),
        AuthPublicKey::Ed448(raw) => ("Ed448", &raw[..]),
        AuthPublicKey::X25519(raw) => ("X25519", &raw[..]),
    };
    format!("APublicAuthKey S{name} (PublicKey{name} (PublicKey {}))", bytes(raw))
}

fn dh_key(key: &DhPublicKey) -> String {
    format!("PublicKeyX25519 (PublicKey {})", bytes(&key.0))
}

fn queue_set(queues: &QueueSet) -> String {
    let count = if queues.count < 0 { format!("({})", queues.count) } else { queues.count.to_string() };
    format!("{count} (IdsHash {{unIdsHash = {}}})", bytes(&queues.hash.0))
}

fn link_data(data: &smp_core::wire::command::LinkData) -> String {
    format!("(EncDataBytes {},EncDataBytes {})", bytes(&data.fixed), bytes(&data.user))
}

/// A string literal of Haskell (Haskell 2010 report, 2.6), all but printable ASCII escaped.
fn quoted(characters: impl Iterator<Item = u32>) -> String {
    let mut out = String::from("\"");
    // What may not follow the last escape directly.
    let mut forbidden: fn(char) -> bool = |_| false;
    for code in characters {
        let (escape, then): (String, fn(char) -> bool) = match code {
            0x22 => ("\\\"".into(), |_| false),
            0x5c => ("\\\\".into(), |_| false),
            0x0e => ("\\SO".into(), |c| c == 'H'),
            0..0x20 => (format!("\\{}", CONTROLS[code as usize]), |_| false),
            0x7f => ("\\DEL".into(), |_| false),
            0x80.. => (format!("\\{code}"), |c| c.is_ascii_digit()),
            _ => (char::from_u32(code).map(String::from).unwrap_or_default(), |_| false),
        };
        if escape.starts_with(forbidden) {
            out.push_str("\\&");
        }
        out.push_str(&escape);
        forbidden = then;
    }
    out.push('"');
    out
}

const CONTROLS: [&str; 32] = [
    "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "a", "b", "t", "n", "v", "f", "r", "SO", "SI", "DLE",
    "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS", "RS", "US",
];
