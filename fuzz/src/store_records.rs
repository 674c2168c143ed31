//! The records of the embedded store.

/// The module of the store itself: it is private there, and needs nothing but `smp-core`.
#[path = "../../storage/src/embedded/layout.rs"]
#[allow(dead_code)]
mod layout;

use bytes::Bytes;
use smp_core::wire::EntityId;
use smp_core::wire::codec::Decoded;

use self::layout::Backlog;
use crate::input::Input;

/// A queue, a backlog, a message or the counters; the first byte says which. Each value has one encoding.
///
/// # Panics
/// When a record is written otherwise than it was read.
pub fn store_records(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let kind = input.below(4);
    let record = input.rest();
    if let Ok(written) = written_again(kind, &record) {
        assert_eq!(written, record);
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
        _ => layout::put_counters(layout::counters(record)?),
    })
}
