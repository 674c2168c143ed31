//! The records of the embedded store.

/// The module of the store itself: it is private there, and needs nothing but `smp-core`.
#[path = "../../storage/src/embedded/layout/mod.rs"]
#[allow(dead_code, unused_imports)]
mod layout;

use bytes::Bytes;
use smp_core::wire::EntityId;
use smp_core::wire::codec::{Decoded, Reader};

use self::layout::Backlog;
use crate::input::Input;

/// A queue, a backlog, a message, the counters, data of a link, notifications, a service or the key of a service's queue;
/// the first byte says which. Each value has one encoding, and may have others of former versions.
///
/// # Panics
/// When a record of this version is written otherwise than it was read, or what was written cannot be read.
pub fn store_records(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let kind = input.below(8);
    let record = input.rest();
    if let Ok(written) = written_again(kind, &record) {
        if written.first() == record.first() {
            assert_eq!(written, record);
        }
        let again = written_again(kind, &Bytes::copy_from_slice(&written));
        assert_eq!(again.as_ref(), Ok(&written));
    }
}

fn written_again(kind: usize, record: &Bytes) -> Decoded<Vec<u8>> {
    Ok(match kind {
        0 => layout::put_queue(&layout::queue(EntityId::from([1; 24]), record)?),
        1 => {
            let backlog = Backlog::decode(record)?;
            assert!(backlog.end() > backlog.first);
            backlog.encode()
        }
        2 => layout::put_message(&layout::message(record)?),
        3 => layout::put_counters(layout::counters(record)?),
        4 => layout::put_link_data(&layout::link_data(record)?),
        5 => layout::put_notifications(&layout::notifications(record)?),
        6 => layout::put_service(&layout::service(record)?),
        _ => {
            let queue = layout::service_queue(record)?;
            let service = EntityId::decode(&mut Reader::new(record))?;
            layout::service_key(&service, Some(&queue))
        }
    })
}
