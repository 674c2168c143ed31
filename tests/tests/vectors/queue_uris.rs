//! `agent_queue_uris.json`: addresses of queues as text and bytes, with the reference's reading of each.

mod reading;

use serde_json::Value;
use smp_core::wire::codec::decode_all;
use smp_core::wire::{QueueInfo, QueueMode, QueueUri, Version, VersionRange};
use smp_tests::vectors::Fields;

use self::reading::Reading;
use crate::encoded;

pub(crate) fn run(file: &Value) -> usize {
    let uris = file.items("queue_uris");
    uris.iter().for_each(uri);
    let infos = file.items("queue_infos");
    infos.iter().for_each(|case| info(case, uris));
    uris.len() + infos.len()
}

fn uri(case: &Value) {
    let text = case.text("str");
    let uri: QueueUri = text.parse().expect(text);
    assert_eq!(uri.to_string(), text);
    let version = |name| Version(u16::try_from(case.number(name)).expect(name));
    assert_eq!(Ok(uri.versions), VersionRange::new(version("min"), version("max")), "{text}");
    assert_eq!(uri.address.mode, mode(case), "{text}");
    let reading = Reading::parse(case.text("decoded_str"));
    assert_eq!(Reading::of(uri.versions, &uri.address), reading, "{text}");

    let bytes = case.hex("encoded");
    assert_eq!(encoded(|out| uri.encode(out)), bytes, "{text}");
    let read = decode_all(&bytes, QueueUri::decode).expect(text);
    let reading = Reading::parse(case.text("decoded_smp"));
    assert_eq!(Reading::of(read.versions, &read.address), reading, "{text}");
}

/// An info is made from the address of a URI with the same servers, and must come out as the reference's
/// bytes.
fn info(case: &Value, uris: &[Value]) {
    let same = |uri: &&Value| {
        uri.text("name") == case.text("name") && uri.text("queue_mode") == case.text("queue_mode")
    };
    let uri: QueueUri = uris.iter().find(same).expect("a URI like it").text("str").parse().expect("URI");
    let version = Version(u16::try_from(case.number("client_version")).expect("version"));
    let info = QueueInfo { version, address: uri.address };
    let bytes = case.hex("encoded");
    assert_eq!(encoded(|out| info.encode(out)), bytes, "version {version}");
    let read = decode_all(&bytes, QueueInfo::decode).expect("info");
    let reading = Reading::parse(case.text("decoded"));
    assert_eq!(Reading::of(VersionRange::only(read.version), &read.address), reading, "version {version}");
}

fn mode(case: &Value) -> Option<QueueMode> {
    reading::mode(case.text("queue_mode"))
}
