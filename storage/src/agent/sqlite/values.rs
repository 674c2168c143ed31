//! Values of the wire as bytes in a column.

use smp_core::wire::codec::{Decoded, Reader, put_optional};
use smp_core::wire::{DhPublicKey, EntityId, QueueAddress, QueueInfo, QueueMode, ServerAddress, Version};

/// What `encode` writes.
pub(super) fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out);
    out
}

/// The bytes of a server's address.
pub(super) fn server(address: &ServerAddress) -> Vec<u8> {
    encoded(|out| address.encode(out))
}

/// Queues of a sender, one after the other.
///
/// Not their form on the wire: old versions leave out there what they have no word for.
pub(super) fn queues(queues: &[QueueInfo]) -> Vec<u8> {
    encoded(|out| {
        for QueueInfo { version, address } in queues {
            version.encode(out);
            address.server.encode(out);
            address.sender_id.encode(out);
            address.dh_key.encode(out);
            put_optional(out, address.mode, |out, mode| mode.encode(out));
        }
    })
}

/// Reads what [`queues`] writes.
pub(super) fn decode_queues(reader: &mut Reader<'_>) -> Decoded<Vec<QueueInfo>> {
    let mut queues = Vec::new();
    while !reader.is_empty() {
        let version = Version::decode(reader)?;
        let address = QueueAddress {
            server: ServerAddress::decode(reader)?,
            sender_id: EntityId::decode(reader)?,
            dh_key: DhPublicKey::decode(reader)?,
            mode: reader.optional(QueueMode::decode)?,
        };
        queues.push(QueueInfo { version, address });
    }
    Ok(queues)
}
