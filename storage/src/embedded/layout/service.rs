//! Services.

use bytes::Bytes;
use smp_core::wire::codec::{DecodeError, Decoded, Reader, decode_all};
use smp_core::wire::{EntityId, IdsHash, QueueSet, ServiceRole};

use super::version_1;

/// A service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Service {
    pub(crate) role: ServiceRole,
    /// How many queues or notifiers it has, and their hash.
    pub(crate) set: QueueSet,
}

/// 26 bytes: version 1, role `u8` (`M`, `N` or `P`), queues `i64`, the hash of their ids (16 bytes).
pub(crate) fn put_service(service: &Service) -> Vec<u8> {
    let role = match service.role {
        ServiceRole::Messaging => b'M',
        ServiceRole::Notifier => b'N',
        ServiceRole::Proxy => b'P',
    };
    let mut out = vec![1, role];
    out.extend(service.set.count.to_be_bytes());
    out.extend(service.set.hash.0);
    out
}

/// Reads what [`put_service`] wrote.
pub(crate) fn service(bytes: &Bytes) -> Decoded<Service> {
    decode_all(bytes, |reader| {
        version_1(reader)?;
        let role = match reader.u8()? {
            b'M' => ServiceRole::Messaging,
            b'N' => ServiceRole::Notifier,
            b'P' => ServiceRole::Proxy,
            _ => return Err(DecodeError),
        };
        let count = reader.i64()?;
        if count < 0 {
            return Err(DecodeError);
        }
        Ok(Service { role, set: QueueSet { count, hash: IdsHash(reader.array()?) } })
    })
}

/// The key of a queue of a service. The id of the service has its length before it, so that ids of different lengths never
/// meet; without a queue it is what all keys of the service begin with.
pub(crate) fn service_key(service: &EntityId, queue: Option<&EntityId>) -> Vec<u8> {
    let mut key = Vec::with_capacity(64);
    service.encode(&mut key);
    key.extend(queue.map(EntityId::as_bytes).unwrap_or_default());
    key
}

/// The queue that a key of [`service_key`] is of.
pub(crate) fn service_queue(key: &Bytes) -> Decoded<EntityId> {
    let mut reader = Reader::new(key);
    EntityId::decode(&mut reader)?;
    match EntityId::new(&reader.tail())? {
        queue if queue.is_empty() => Err(DecodeError),
        queue => Ok(queue),
    }
}
