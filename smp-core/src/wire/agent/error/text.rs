//! The words of errors. Those of SMP are reused, but for their texts: a short string has a length byte, which could be
//! the end of a line.

use bytes::Bytes;

use super::super::super::agent_text::{parse_time, time_text};
use super::super::super::codec::{DecodeError, Decoded, Reader, decode_all};
use super::super::super::error::{
    BrokerErrorType, ErrorText, ErrorType, NameError, NetworkError, ProxyError,
};
use super::super::super::version::Version;
use super::{AgentError, MessageIntegrity, PeerError, RatchetError};

pub(super) fn to_text(error: &AgentError) -> String {
    match error {
        AgentError::Command(error) => format!("CMD {}", error.as_str()),
        AgentError::Connection(error) => format!("CONN {}", error.as_str()),
        AgentError::NoUser => "NO_USER".to_owned(),
        AgentError::Smp { server, error } => format!("SMP {server} {}", smp_to_text(error)),
        AgentError::Broker { server, error } => format!("BROKER {server} {}", broker_to_text(error)),
        AgentError::Proxy { proxy, relay, error } => {
            format!("PROXY {proxy} {relay} {}", proxy_to_text(error))
        }
        AgentError::Peer(error) => format!("AGENT {}", peer_to_text(*error)),
        AgentError::Notice { server, is_preset, expires_at } => {
            let until = expires_at.map(|at| format!(" {}", time_text(at))).unwrap_or_default();
            format!("NOTICE {server} {}{until}", letter(*is_preset))
        }
        AgentError::Internal(text) => format!("INTERNAL {}", one_line(text)),
        AgentError::Critical { offer_restart, text } => {
            format!("CRITICAL {} {}", letter(*offer_restart), one_line(text))
        }
        AgentError::NoNameServers => "NO_NAME_SERVERS".to_owned(),
        AgentError::Inactive => "INACTIVE".to_owned(),
    }
}

pub(super) fn from_text(text: &str) -> Decoded<AgentError> {
    let (word, rest) = split(text);
    Ok(match (word, rest) {
        ("CMD", Some(word)) => AgentError::Command(word.parse()?),
        ("CONN", Some(word)) => AgentError::Connection(word.parse()?),
        ("NO_USER", None) => AgentError::NoUser,
        ("SMP", Some(rest)) => {
            let (server, error) = rest.split_once(' ').ok_or(DecodeError)?;
            AgentError::Smp { server: Box::new(parse(server)?), error: smp_from_text(error, NESTING_MAX)? }
        }
        ("BROKER", Some(rest)) => {
            let (server, error) = rest.split_once(' ').ok_or(DecodeError)?;
            AgentError::Broker { server: Box::new(parse(server)?), error: broker_from_text(error)? }
        }
        ("PROXY", Some(rest)) => {
            let (proxy, rest) = rest.split_once(' ').ok_or(DecodeError)?;
            let (relay, error) = rest.split_once(' ').ok_or(DecodeError)?;
            let error = proxy_from_text(error, NESTING_MAX)?;
            AgentError::Proxy { proxy: Box::new(parse(proxy)?), relay: Box::new(parse(relay)?), error }
        }
        ("AGENT", Some(rest)) => AgentError::Peer(peer_from_text(rest)?),
        ("NOTICE", Some(rest)) => {
            let (server, rest) = rest.split_once(' ').ok_or(DecodeError)?;
            let (is_preset, time) = split(rest);
            AgentError::Notice {
                server: Box::new(parse(server)?),
                is_preset: flag(is_preset)?,
                expires_at: time.map(parse_time).transpose()?,
            }
        }
        ("INTERNAL", Some(text)) => AgentError::Internal(one_line(text)),
        ("CRITICAL", Some(rest)) => {
            let (restart, text) = rest.split_once(' ').ok_or(DecodeError)?;
            AgentError::Critical { offer_restart: flag(restart)?, text: one_line(text) }
        }
        ("NO_NAME_SERVERS", None) => AgentError::NoNameServers,
        ("INACTIVE", None) => AgentError::Inactive,
        _ => return Err(DecodeError),
    })
}

const fn letter(flag: bool) -> char {
    if flag { 'T' } else { 'F' }
}

fn flag(letter: &str) -> Decoded<bool> {
    match letter {
        "T" => Ok(true),
        "F" => Ok(false),
        _ => Err(DecodeError),
    }
}

fn smp_to_text(error: &ErrorType) -> String {
    match error {
        ErrorType::Proxy(error) => format!("PROXY {}", proxy_to_text(error)),
        ErrorType::Store(text) => format!("STORE {}", one_line(text)),
        ErrorType::Name(NameError::Resolver(text)) => format!("NAME RESOLVER {}", one_line(text)),
        _ => as_text(|out| error.encode(Version::MAX, out)),
    }
}

fn smp_from_text(text: &str, depth: u8) -> Decoded<ErrorType> {
    let depth = depth.checked_sub(1).ok_or(DecodeError)?;
    match split(text) {
        ("PROXY", Some(error)) => Ok(ErrorType::Proxy(Box::new(proxy_from_text(error, depth)?))),
        // The others have no text that the encoding of the wire would give a length.
        _ => from_bytes(text, ErrorType::decode),
    }
}

fn proxy_to_text(error: &ProxyError) -> String {
    match error {
        ProxyError::Protocol(error) => format!("PROTOCOL {}", smp_to_text(error)),
        ProxyError::Broker(error) => format!("BROKER {}", broker_to_text(error)),
        ProxyError::BasicAuth | ProxyError::NoSession => as_text(|out| error.encode(Version::MAX, out)),
    }
}

fn proxy_from_text(text: &str, depth: u8) -> Decoded<ProxyError> {
    Ok(match split(text) {
        ("PROTOCOL", Some(error)) => ProxyError::Protocol(smp_from_text(error, depth)?),
        ("BROKER", Some(error)) => ProxyError::Broker(broker_from_text(error)?),
        _ => from_bytes(text, ProxyError::decode)?,
    })
}

fn broker_to_text(error: &BrokerErrorType) -> String {
    let with_text = |word: &str, text: &ErrorText| format!("{word} {}", one_line(text.as_str()));
    match error {
        BrokerErrorType::Response(text) => with_text("RESPONSE", text),
        BrokerErrorType::Unexpected(text) => with_text("UNEXPECTED", text),
        BrokerErrorType::Network(error) => match error {
            NetworkError::Connect(text) => with_text("NETWORK CONNECT", text),
            NetworkError::Tls(text) => with_text("NETWORK TLS", text),
            NetworkError::Subscribe(text) => with_text("NETWORK SUBSCRIBE", text),
            NetworkError::UnknownCa => "NETWORK UNKNOWNCA".to_owned(),
            NetworkError::Timeout => "NETWORK TIMEOUT".to_owned(),
            NetworkError::Failed => "NETWORK".to_owned(),
        },
        _ => as_text(|out| error.encode(out)),
    }
}

fn broker_from_text(text: &str) -> Decoded<BrokerErrorType> {
    let error_text = |text| ErrorText::new(one_line(text));
    Ok(match split(text) {
        ("RESPONSE", Some(text)) => BrokerErrorType::Response(error_text(text)),
        ("UNEXPECTED", Some(text)) => BrokerErrorType::Unexpected(error_text(text)),
        ("NETWORK", Some(detail)) => BrokerErrorType::Network(match split(detail) {
            ("CONNECT", Some(text)) => NetworkError::Connect(error_text(text)),
            ("TLS", Some(text)) => NetworkError::Tls(error_text(text)),
            ("SUBSCRIBE", Some(text)) => NetworkError::Subscribe(error_text(text)),
            ("UNKNOWNCA", None) => NetworkError::UnknownCa,
            ("TIMEOUT", None) => NetworkError::Timeout,
            ("FAILED", None) => NetworkError::Failed,
            _ => return Err(DecodeError),
        }),
        _ => from_bytes(text, BrokerErrorType::decode)?,
    })
}

fn peer_to_text(error: PeerError) -> String {
    match error {
        PeerError::Message => "A_MESSAGE".to_owned(),
        PeerError::Prohibited => "A_PROHIBITED".to_owned(),
        PeerError::Version => "A_VERSION".to_owned(),
        PeerError::Link(error) => format!("A_LINK {}", error.as_str()),
        PeerError::Crypto(error) => format!("A_CRYPTO {}", ratchet_to_text(error)),
        PeerError::Duplicate => "A_DUPLICATE".to_owned(),
        PeerError::Queue => "A_QUEUE".to_owned(),
    }
}

fn peer_from_text(text: &str) -> Decoded<PeerError> {
    Ok(match split(text) {
        ("A_MESSAGE", None) => PeerError::Message,
        ("A_PROHIBITED", None) => PeerError::Prohibited,
        ("A_VERSION", None) => PeerError::Version,
        ("A_LINK", Some(error)) => PeerError::Link(error.parse()?),
        ("A_CRYPTO", Some(error)) => PeerError::Crypto(ratchet_from_text(error)?),
        ("A_DUPLICATE", None) => PeerError::Duplicate,
        ("A_QUEUE", None) => PeerError::Queue,
        _ => return Err(DecodeError),
    })
}

fn ratchet_to_text(error: RatchetError) -> String {
    match error {
        RatchetError::Body => "DECRYPT_AES".to_owned(),
        RatchetError::Queue => "DECRYPT_CB".to_owned(),
        RatchetError::Header => "RATCHET_HEADER".to_owned(),
        RatchetError::Earlier(count) => format!("RATCHET_EARLIER {count}"),
        RatchetError::Skipped(count) => format!("RATCHET_SKIPPED {count}"),
        RatchetError::Sync => "RATCHET_SYNC".to_owned(),
    }
}

fn ratchet_from_text(text: &str) -> Decoded<RatchetError> {
    Ok(match split(text) {
        ("DECRYPT_AES", None) => RatchetError::Body,
        ("DECRYPT_CB", None) => RatchetError::Queue,
        ("RATCHET_HEADER", None) => RatchetError::Header,
        ("RATCHET_EARLIER", Some(count)) => RatchetError::Earlier(parse(count)?),
        ("RATCHET_SKIPPED", Some(count)) => RatchetError::Skipped(parse(count)?),
        ("RATCHET_SYNC", None) => RatchetError::Sync,
        _ => return Err(DecodeError),
    })
}

pub(super) fn integrity_to_text(integrity: MessageIntegrity) -> String {
    match integrity {
        MessageIntegrity::Ok => "OK".to_owned(),
        MessageIntegrity::Skipped { from, to } => format!("ERR NO_ID {from} {to}"),
        MessageIntegrity::BadId { previous } => format!("ERR ID {previous}"),
        MessageIntegrity::BadHash => "ERR HASH".to_owned(),
        MessageIntegrity::Duplicate => "ERR DUPLICATE".to_owned(),
    }
}

pub(super) fn integrity_from_text(text: &str) -> Decoded<MessageIntegrity> {
    let (word, rest) = split(text);
    Ok(match (word, rest.map(split)) {
        ("OK", None) => MessageIntegrity::Ok,
        ("ERR", Some(("NO_ID", Some(range)))) => {
            let (from, to) = range.split_once(' ').ok_or(DecodeError)?;
            MessageIntegrity::Skipped { from: parse(from)?, to: parse(to)? }
        }
        ("ERR", Some(("ID", Some(previous)))) => MessageIntegrity::BadId { previous: parse(previous)? },
        ("ERR", Some(("HASH", None))) => MessageIntegrity::BadHash,
        ("ERR", Some(("DUPLICATE", None))) => MessageIntegrity::Duplicate,
        _ => return Err(DecodeError),
    })
}

/// The first word, and what follows the space after it, if there is one.
fn split(text: &str) -> (&str, Option<&str>) {
    text.split_once(' ').map_or((text, None), |(word, rest)| (word, Some(rest)))
}

fn parse<T: core::str::FromStr>(text: &str) -> Decoded<T> {
    // The parser of integers would take a plus sign as well.
    if text.starts_with('+') { Err(DecodeError) } else { text.parse().map_err(|_| DecodeError) }
}

/// `text` without what could end a line, or change how a terminal shows it.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Words of the wire, which are ASCII.
fn as_text(encode: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    encode(&mut out);
    one_line(&String::from_utf8_lossy(&out))
}

fn from_bytes<T>(text: &str, decode: impl FnOnce(&mut Reader<'_>) -> Decoded<T>) -> Decoded<T> {
    decode_all(&Bytes::copy_from_slice(text.as_bytes()), decode)
}

/// How deep errors may be nested through `PROXY PROTOCOL`: as on the wire.
const NESTING_MAX: u8 = 4;
