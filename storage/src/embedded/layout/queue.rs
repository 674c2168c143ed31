//! Queues.

use bytes::Bytes;
use smp_core::crypto::DhSecret;
use smp_core::server::store::{NotifierRecord, QueueRecord, QueueStatus, UnixDay};
use smp_core::wire::codec::{DecodeError, Decoded, Reader, decode_all};
use smp_core::wire::error::{BlockingInfo, BlockingReason, Notice};
use smp_core::wire::{AuthPublicKey, EntityId, QueueMode};

use super::{flag, version_up_to_2};

/// A queue, without its recipient id, which is the key: version 2, sender id (short string), mode `u8` (`M`,
/// `C` or 0), [status](put_status), last use `u32` days, secret (32 bytes), sender key (a [key](put_key), or 0),
/// number of recipient keys `u32`, recipient keys, link id (short string, empty for none), [notifier](put_notifier),
/// service id (short string, empty for none).
pub(crate) fn put_queue(record: &QueueRecord) -> Vec<u8> {
    let mut out = Vec::with_capacity(288);
    out.push(2);
    record.sender.encode(&mut out);
    match record.mode {
        Some(mode) => mode.encode(&mut out),
        None => out.push(0),
    }
    put_status(&mut out, record.status);
    out.extend(record.used_on.0.to_be_bytes());
    out.extend(record.secret.as_bytes());
    match &record.sender_key {
        Some(key) => put_key(&mut out, key),
        None => out.push(0),
    }
    // A list of 2^32 keys of at least 33 bytes does not fit into a machine.
    out.extend(u32::try_from(record.recipient_keys.len()).unwrap_or(u32::MAX).to_be_bytes());
    record.recipient_keys.iter().for_each(|key| put_key(&mut out, key));
    put_optional_id(&mut out, record.link.as_ref());
    put_notifier(&mut out, record.notifier.as_ref());
    put_optional_id(&mut out, record.service.as_ref());
    out
}

/// Reads what [`put_queue`] wrote. Version 1 ends with the recipient keys and knows no blocked queues.
pub(crate) fn queue(recipient: EntityId, bytes: &Bytes) -> Decoded<QueueRecord> {
    decode_all(bytes, |reader| {
        let version = version_up_to_2(reader)?;
        let sender = EntityId::decode(reader)?;
        let mode = match reader.u8()? {
            0 => None,
            b'M' => Some(QueueMode::Messaging),
            b'C' => Some(QueueMode::Contact),
            _ => return Err(DecodeError),
        };
        let status = status(reader, version)?;
        let used_on = UnixDay(reader.u32()?);
        let secret = DhSecret::new(reader.array()?);
        let sender_key = key(reader)?;
        let count = reader.u32()?;
        let recipient_keys =
            (0..count).map(|_| key(reader)?.ok_or(DecodeError)).collect::<Decoded<Vec<_>>>()?;
        let (link, notifier, service) = match version {
            1 => (None, None, None),
            _ => (optional_id(reader)?, notifier(reader)?, optional_id(reader)?),
        };
        Ok(QueueRecord {
            recipient,
            sender,
            recipient_keys,
            secret,
            sender_key,
            mode,
            status,
            link,
            notifier,
            service,
            used_on,
        })
    })
}

/// A status: `u8` 0 active, 1 off, 2 blocked; then of a blocked one the reason `u8` (1 spam, 2 content) and the notice:
/// `u8` 0 none, 1 for good, 2 for as many seconds as the `i64` after it says.
fn put_status(out: &mut Vec<u8>, status: QueueStatus) {
    let info = match status {
        QueueStatus::Active => return out.push(0),
        QueueStatus::Off => return out.push(1),
        QueueStatus::Blocked(info) => info,
    };
    let reason = match info.reason {
        BlockingReason::Spam => 1,
        BlockingReason::Content => 2,
    };
    out.extend([2, reason]);
    match info.notice {
        None => out.push(0),
        Some(Notice { ttl: None }) => out.push(1),
        Some(Notice { ttl: Some(seconds) }) => {
            out.push(2);
            out.extend(seconds.to_be_bytes());
        }
    }
}

fn status(reader: &mut Reader<'_>, version: u8) -> Decoded<QueueStatus> {
    Ok(match reader.u8()? {
        0 => QueueStatus::Active,
        1 => QueueStatus::Off,
        2 if version >= 2 => {
            let reason = match reader.u8()? {
                1 => BlockingReason::Spam,
                2 => BlockingReason::Content,
                _ => return Err(DecodeError),
            };
            let notice = match reader.u8()? {
                0 => None,
                1 => Some(Notice { ttl: None }),
                2 => Some(Notice { ttl: Some(reader.i64()?) }),
                _ => return Err(DecodeError),
            };
            QueueStatus::Blocked(BlockingInfo { reason, notice })
        }
        _ => return Err(DecodeError),
    })
}

/// A notifier: `u8` 0 for none, or 1, its id (short string), its [key](put_key), the secret (32 bytes), service id (short
/// string, empty for none).
fn put_notifier(out: &mut Vec<u8>, notifier: Option<&NotifierRecord>) {
    out.push(u8::from(notifier.is_some()));
    if let Some(notifier) = notifier {
        notifier.id.encode(out);
        put_key(out, &notifier.key);
        out.extend(notifier.secret.as_bytes());
        put_optional_id(out, notifier.service.as_ref());
    }
}

fn notifier(reader: &mut Reader<'_>) -> Decoded<Option<NotifierRecord>> {
    if !flag(reader)? {
        return Ok(None);
    }
    let id = EntityId::decode(reader)?;
    let key = key(reader)?.ok_or(DecodeError)?;
    let secret = DhSecret::new(reader.array()?);
    Ok(Some(NotifierRecord { id, key, secret, service: optional_id(reader)? }))
}

/// An id as a short string, empty for none.
fn put_optional_id(out: &mut Vec<u8>, id: Option<&EntityId>) {
    id.unwrap_or(&EntityId::empty()).encode(out);
}

fn optional_id(reader: &mut Reader<'_>) -> Decoded<Option<EntityId>> {
    Ok(Some(EntityId::decode(reader)?).filter(|id| !id.is_empty()))
}

/// A key: algorithm `u8` (1 Ed25519, 2 Ed448, 3 X25519), then its 32, 57 or 32 bytes.
fn put_key(out: &mut Vec<u8>, key: &AuthPublicKey) {
    let (algorithm, raw) = match key {
        AuthPublicKey::Ed25519(raw) => (1, &raw[..]),
        AuthPublicKey::Ed448(raw) => (2, &raw[..]),
        AuthPublicKey::X25519(raw) => (3, &raw[..]),
    };
    out.push(algorithm);
    out.extend(raw);
}

/// A key, or 0 for none.
fn key(reader: &mut Reader<'_>) -> Decoded<Option<AuthPublicKey>> {
    Ok(match reader.u8()? {
        0 => None,
        1 => Some(AuthPublicKey::Ed25519(reader.array()?)),
        2 => Some(AuthPublicKey::Ed448(reader.array()?)),
        3 => Some(AuthPublicKey::X25519(reader.array()?)),
        _ => return Err(DecodeError),
    })
}
