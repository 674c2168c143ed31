//! Writes the seeds of the fuzz targets' corpora, from the vectors and from our own encoders. Other files are left alone.
//!
//! `cargo run -p smp-tests --example seeds`

mod agent;
mod by_hand;
mod certificates;
mod links;
mod ratchet;

use std::path::Path;
use std::{fs, io};

use serde_json::Value;
use smp_tests::vectors::{Fields, load};

fn main() -> io::Result<()> {
    for (target, seeds) in [
        ("addresses", addresses()),
        ("agent_envelopes", agent::agent_envelopes()),
        ("agent_text", agent::agent_text()),
        ("blocks", by_hand::blocks()),
        ("broker_messages", versioned("broker", "encoded")),
        ("certificates", certificates::certificates()),
        ("client", by_hand::client()),
        ("client_transmissions", versioned("commands", "transmission")),
        ("commands", versioned("commands", "encoded")),
        ("handshakes", handshakes()),
        ("ini", vec![INI.into()]),
        ("link_data", links::link_data()),
        ("links", links::links()),
        ("messages", messages()),
        ("name_records", by_hand::name_records()),
        ("pem", certificates::pem()),
        ("proxy", by_hand::proxy()),
        ("ratchet", ratchet::ratchet()),
        ("ratchet_headers", ratchet::ratchet_headers()),
        ("requests", by_hand::requests()),
        ("server", by_hand::server()),
        ("server_transmissions", versioned("broker", "transmission")),
        ("store_records", by_hand::store_records()),
        ("uris", uris()),
        ("web_sockets", by_hand::web_sockets()),
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
        fs::create_dir_all(&folder)?;
        for (number, seed) in seeds.iter().filter(|seed| seed.len() <= SEED_BYTES_MAX).enumerate() {
            fs::write(folder.join(format!("seed-{number:02}")), seed)?;
        }
    }
    Ok(())
}

/// A field with a byte before it.
fn tagged(tag: u8, value: &Value, field: &str) -> Vec<u8> {
    [&[tag][..], &value.hex(field)].concat()
}

/// At most 30, from all over the list.
fn some<T>(list: impl Iterator<Item = T>) -> Vec<T> {
    let list: Vec<_> = list.collect();
    let step = list.len().div_ceil(30).max(1);
    list.into_iter().step_by(step).collect()
}

/// Short encodings, after the byte that selects their version.
fn versioned(list: &str, field: &str) -> Vec<Vec<u8>> {
    let vectors = load("smp_encodings.json");
    let versions = (0..).zip(vectors.items("versions"));
    let all = versions.flat_map(|(tag, version)| {
        version
            .items(list)
            .iter()
            .filter(|item| item[field].is_string())
            .map(move |item| tagged(tag, item, field))
    });
    some(all.filter(|seed| seed.len() <= SEED_BYTES_MAX))
}

fn handshakes() -> Vec<Vec<u8>> {
    let vectors = load("smp_handshakes.json");
    let list = |tag, name| some(vectors.items(name).iter().map(move |item| tagged(tag, item, "body")));
    let mut seeds = list(0, "server_handshakes");
    seeds.extend(list(1, "client_handshakes").into_iter().step_by(2));
    seeds.extend(list(2, "server_handshake_response_errors"));
    seeds.push(tagged(2, &vectors, "server_handshake_response_ok"));
    seeds.push(tagged(3, &vectors, "cert_chain_pub_key"));
    seeds
}

fn addresses() -> Vec<Vec<u8>> {
    let (messages, queues) = (load("smp_messages.json"), load("agent_queue_uris.json"));
    let mut seeds: Vec<_> = messages.items("servers").iter().map(|item| tagged(0, item, "enc")).collect();
    seeds.extend(messages.items("servers").iter().map(|item| tagged(1, item, "legacy_enc")));
    seeds.extend(
        some(queues.items("queue_uris").iter()).into_iter().step_by(2).map(|uri| tagged(2, uri, "encoded")),
    );
    seeds.extend(
        some(queues.items("queue_infos").iter()).into_iter().step_by(2).map(|uri| tagged(3, uri, "encoded")),
    );
    seeds
}

fn uris() -> Vec<Vec<u8>> {
    let (messages, queues) = (load("smp_messages.json"), load("agent_queue_uris.json"));
    let servers = messages.items("servers").iter().chain(some(queues.items("queue_uris").iter()));
    let others =
        ["[::1]", "127.0.0.1", "example.com", "1-4", "alice.simplex"].map(|text| text.as_bytes().to_vec());
    servers.map(|item| item.text("str").as_bytes().to_vec()).chain(others).collect()
}

fn messages() -> Vec<Vec<u8>> {
    let vectors = load("smp_messages.json");
    let mut seeds: Vec<_> =
        vectors.items("rcv_msg_bodies").iter().map(|item| tagged(2, item, "encoded")).collect();
    seeds.extend(vectors.items("client_messages").iter().map(|item| tagged(1, item, "client_message")));
    seeds.push(tagged(3, vectors.field("nmsg"), "meta"));
    seeds.extend([&[0, 0, 4, b'0'][..], &[4, 1, b'c', 0, 8, 0], &[5, 1, b'c', b'r']].map(<[u8]>::to_vec));
    seeds
}

const SEED_BYTES_MAX: usize = 2048;
const INI: &str = "# top\n[STORE_LOG]\nenable: on\n\n[TRANSPORT]\nhost = a.example, b.example\nport = 5223,443\n; no\n[AUTH]\n";
