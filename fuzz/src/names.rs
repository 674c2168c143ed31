//! What a resolver answers: the record of a name.

use bytes::Bytes;
use smp_core::wire::names::NameRecord;
use smp_core::wire::{BrokerMessage, Version};

use crate::check_round_trip;

/// The record of a name as a resolver gives it, and as RNAME tells it.
///
/// # Panics
/// When it is told otherwise than it was read.
pub fn name_records(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    let read = |bytes: &Bytes| NameRecord::from_json(bytes).ok();
    check_round_trip(&bytes, read, |record, out| {
        let mut told = Vec::new();
        BrokerMessage::RName(Box::new(record.clone())).encode(Version::NAMES, &mut told);
        out.extend_from_slice(told.strip_prefix(b"RNAME ").expect("the word before the record"));
    });
    if let Some(record) = read(&bytes) {
        let mut told = Vec::new();
        let message = BrokerMessage::RName(Box::new(record));
        message.encode(Version::NAMES, &mut told);
        let heard = BrokerMessage::decode(Version::NAMES, &told.into());
        assert!(heard.is_ok_and(|heard| heard == message), "a client reads another record");
    }
}
