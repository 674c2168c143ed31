//! Names, their records, and the queue sets of services, which came with the same versions.

use bytes::Bytes;
use serde_json::Value;
use smp_core::wire::codec::{DecodeError, decode_all};
use smp_core::wire::{BrokerMessage, Command, IdsHash, Name, QueueSet, ServerTransmission, Version};
use smp_tests::vectors::Fields;

use super::encodings::{Session, printed_message, version};
use super::{encoded, printed, proxy};

/// Checks each list of the file.
pub(crate) fn run(file: &Value) -> usize {
    let session = Session::new(file.field("inputs"));
    file.items("domains").iter().for_each(check_domain);
    file.items("ids_hash_ops").iter().for_each(check_queue_sets);
    check_hashes(file.field("inputs"));
    file.items("raw_commands").iter().for_each(|case| check_raw_command(&session, case));
    file.items("raw_broker").iter().for_each(|case| check_raw_message(&session, case));
    file.items("records").iter().for_each(check_record);
    file.items("proxied").iter().for_each(|case| check_proxied(file, case));
    let lists = ["domains", "ids_hash_ops", "raw_commands", "raw_broker", "records", "proxied"];
    lists.into_iter().map(|list| file.items(list).len()).sum::<usize>() + 1
}

fn check_domain(case: &Value) {
    let input = case.hex("input");
    let command = Command::decode(Version::NAMES, &[b"RSLV ", &input[..]].concat().into());
    let ours = command.as_ref().map_or_else(|error| printed::refusal(*error), printed::command);
    assert_eq!(ours, case.text("rslv_v20"));

    let expected = case.field("str_decode");
    let name = core::str::from_utf8(&input).map_err(|_| DecodeError).and_then(str::parse::<Name>);
    if expected.get("error").is_some() {
        assert_eq!(name, Err(DecodeError));
        return;
    }
    let name = name.expect("a name");
    assert_eq!(name.as_str(), expected.text("full"));
    assert_eq!(name.domain(), expected.text("domain"));
    assert_eq!(printed::registry(&name), expected.text("tld"));
    let subdomains: Vec<_> = name.subdomains().map(Value::from).collect();
    assert_eq!(subdomains, expected.items("sub_domain"));
    assert_eq!(encoded(|out| name.encode(out)), expected.text("full").as_bytes());
}

fn check_queue_sets(case: &Value) {
    let set = |name| {
        let set = case.field(name);
        let hash = set.hex("hash").as_ref().try_into().expect("16 bytes");
        QueueSet { count: set.field("count").as_i64().expect("a count"), hash: IdsHash(hash) }
    };
    let (a, b) = (set("a"), set("b"));
    let ours = match case.text("op") {
        "add" => a.plus(b),
        "subtract b - a" => b.minus(a),
        other => panic!("{other}"),
    };
    assert_eq!(ours, set("result"), "{}", case.text("op"));
}

/// The hash of three ids is the XOR of their hashes; each is a short string on the wire.
fn check_hashes(inputs: &Value) {
    let hash = |bytes: Bytes| decode_all(&bytes, IdsHash::decode).expect("a hash");
    assert_eq!(hash(inputs.hex("ids_hash_0")), IdsHash::default());
    let each = inputs.items("ids_hash_each").iter().map(|item| item.as_str().expect("hex"));
    let each: Vec<_> = each.map(|item| hash(smp_tests::vectors::unhex(item))).collect();
    assert_eq!(hash(inputs.hex("ids_hash_1")), each[0]);
    let all = each.into_iter().fold(IdsHash::default(), |all, one| all ^ one);
    assert_eq!(all, hash(inputs.hex("ids_hash_3")));
    assert_eq!(encoded(|out| all.encode(out)), inputs.hex("ids_hash_3"));
}

fn check_raw_command(session: &Session, case: &Value) {
    let version = version(case);
    let sent = session.read_command(version, case);
    assert_eq!(sent.command, case.hex("raw"));
    let checked = Command::decode(version, &sent.command).and_then(|command| {
        command.check_credentials(sent.authorization.is_some(), &sent.entity_id).map(|()| command)
    });
    let ours = checked.as_ref().map_or_else(|error| printed::refusal(*error), printed::command);
    assert_printed_but_hash(&ours, case);
}

fn check_raw_message(session: &Session, case: &Value) {
    let version = version(case);
    let item = Bytes::from([&[0][..], &case.hex("transmission")].concat());
    let sent = ServerTransmission::decode(version, &session.session_id, &item).expect("a transmission");
    assert_eq!(sent.message, case.hex("raw"));
    if !has_odd_hash(case) {
        return printed_message(version, &sent, case);
    }
    let message = BrokerMessage::decode(version, &sent.message);
    let ours = message.as_ref().map_or_else(|error| printed::refusal(*error), printed::message);
    assert_printed_but_hash(&ours, case);
}

/// Hashes have 16 bytes; those of another length are accepted but not kept as they were.
fn assert_printed_but_hash(ours: &str, case: &Value) {
    let decoded = case.text("decoded");
    let hash = |text: &str| text.find("{unIdsHash").unwrap_or(text.len());
    if has_odd_hash(case) {
        assert_eq!(ours[..hash(ours)], decoded[..hash(decoded)], "{}", case.text("name"));
    } else {
        assert_eq!(ours, decoded, "{}", case.text("name"));
    }
}

/// True for a case with a count and a hash, from version 19, that is not of 16 bytes.
fn has_odd_hash(case: &Value) -> bool {
    let raw = case.hex("raw");
    let parameters = raw.iter().position(|byte| *byte == b' ').map_or(&[][..], |space| &raw[space + 1..]);
    let is_read = version(case) >= Version::SERVICE_SUBS && case.text("decoded").contains("unIdsHash");
    is_read && parameters.get(8).is_some_and(|length| *length != 16)
}

fn check_record(case: &Value) {
    let bytes = Bytes::from(format!("RNAME {}", case.text("json")));
    let message = BrokerMessage::decode(Version::NAMES, &bytes).expect("a record");
    assert_eq!(encoded(|out| message.encode(Version::NAMES, out)), bytes);
}

fn check_proxied(file: &Value, case: &Value) {
    let (flow, expected) = (case.field("flow"), case.text("response"));
    let command = proxy::client_command(flow);
    assert_eq!(encoded(|out| command.encode(version(flow), out)), case.text("command").as_bytes());
    let answer = proxy::relay_answer(flow);
    let record = expected.strip_prefix("RNAME ").map(|name| {
        let record = file.items("records").iter().find(|record| record.text("name") == name);
        format!("RNAME {}", record.expect("a record").text("json"))
    });
    let expected = record.unwrap_or_else(|| expected.to_owned());
    assert_eq!(encoded(|out| answer.encode(version(flow), out)), expected.as_bytes());
    proxy::check_layers(flow);
}
