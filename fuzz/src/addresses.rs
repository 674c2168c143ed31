//! Addresses of servers and queues, as bytes and as text.

use std::fmt::Display;
use std::str::FromStr;

use bytes::Bytes;
use smp_core::wire::codec::{Decoded, Reader, decode_all};
use smp_core::wire::{Host, Name, QueueInfo, QueueUri, ServerAddress, ServerUri, VersionRange};

use crate::input::Input;
use crate::{check_round_trip, check_settles};

/// An address as bytes; the first says of what.
pub fn addresses(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let kind = input.below(4);
    let bytes = input.rest();
    match kind {
        0 => check_round_trip(&bytes, all(ServerAddress::decode), ServerAddress::encode),
        1 => check_round_trip(
            &bytes,
            all(ServerAddress::decode_single_host),
            ServerAddress::encode_single_host,
        ),
        2 => check_queue_uri(&bytes),
        _ => check_settles(&bytes, all(QueueInfo::decode), QueueInfo::encode),
    }
}

/// An address as text.
pub fn uris(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    check_text::<Host>(text);
    check_text::<VersionRange>(text);
    check_text::<ServerUri>(text);
    check_text::<ServerAddress>(text);
    if let Ok(uri) = text.parse::<QueueUri>() {
        check_settles(
            &Bytes::from(uri.to_string()),
            |text| std::str::from_utf8(text).ok()?.parse::<QueueUri>().ok(),
            |uri, out| out.extend(uri.to_string().bytes()),
        );
    }
    if let Ok(name) = text.parse::<Name>() {
        assert!(name.as_str().parse() == Ok(name));
    }
}

fn check_queue_uri(bytes: &Bytes) {
    check_settles(bytes, all(QueueUri::decode), QueueUri::encode);
    let Ok(uri) = decode_all(bytes, QueueUri::decode) else { return };
    if let Some(info) = uri.agree(uri.versions) {
        assert_eq!(info.version, uri.versions.max());
    }
}

fn check_text<T: FromStr + Display + PartialEq>(text: &str) {
    let Ok(value) = text.parse::<T>() else { return };
    let written = value.to_string();
    let again = written.parse::<T>().ok();
    assert!(again.as_ref() == Some(&value), "{text} was written as {written}");
    assert_eq!(again.map(|again| again.to_string()), Some(written));
}

fn all<T>(decode: fn(&mut Reader<'_>) -> Decoded<T>) -> impl Fn(&Bytes) -> Option<T> {
    move |bytes| decode_all(bytes, decode).ok()
}
