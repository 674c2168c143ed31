//! What clients and servers put into the boxes that they send.

use bytes::Bytes;
use smp_core::wire::codec::decode_all;
use smp_core::wire::{
    ClientMessage, ClientMessageEnvelope, FwdResponse, FwdTransmission, NotificationMeta, ReceivedBody,
};

use crate::input::Input;
use crate::{check_round_trip, check_settles};

/// An envelope, a message, the content of a delivery or of a forwarded command; the first byte says which.
pub fn messages(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let kind = input.below(6);
    let content = input.rest();
    /// Checks one type.
    macro_rules! check {
        ($type:ty) => {
            check!($type, check_round_trip)
        };
        ($type:ty, $check:ident) => {
            $check(&content, |bytes: &Bytes| decode_all(bytes, <$type>::decode).ok(), <$type>::encode)
        };
    }
    // Seconds that milliseconds cannot hold become the last that they can.
    match kind {
        0 => check!(ClientMessageEnvelope),
        1 => check!(ClientMessage),
        2 => check!(ReceivedBody, check_settles),
        3 => check!(NotificationMeta, check_settles),
        4 => check!(FwdTransmission),
        _ => check!(FwdResponse),
    }
}
