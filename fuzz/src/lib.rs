//! What the fuzz targets do with their bytes, so that libFuzzer and an ordinary test can do the same.
//!
//! A target is a function that takes any bytes and panics when the code under it breaks a promise. `README.md` tells
//! how to run them.

#![forbid(unsafe_code)]

pub mod addresses;
pub mod agent;
pub mod certificates;
pub mod client;
pub mod handshakes;
pub mod ini;
pub mod input;
pub mod links;
pub mod messages;
pub mod names;
pub mod proxy;
pub mod ratchet;
pub mod server;
pub mod store_records;
pub mod web;
pub mod wire;

use bytes::Bytes;

/// A target: any bytes are an input.
pub type Target = fn(&[u8]);

/// All targets, by the name of their program and of their corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("addresses", addresses::addresses),
    ("agent_envelopes", agent::agent_envelopes),
    ("agent_text", agent::agent_text),
    ("blocks", wire::blocks),
    ("broker_messages", wire::broker_messages),
    ("certificates", certificates::certificates),
    ("client", client::client),
    ("client_transmissions", wire::client_transmissions),
    ("commands", wire::commands),
    ("handshakes", handshakes::handshakes),
    ("ini", ini::ini),
    ("link_data", links::link_data),
    ("links", links::links),
    ("messages", messages::messages),
    ("name_records", names::name_records),
    ("pem", certificates::pem),
    ("proxy", proxy::proxy),
    ("ratchet", ratchet::ratchet),
    ("ratchet_headers", ratchet::ratchet_headers),
    ("requests", web::requests),
    ("server", server::server),
    ("server_transmissions", wire::server_transmissions),
    ("store_records", store_records::store_records),
    ("uris", addresses::uris),
    ("web_sockets", web::web_sockets),
];

/// The program of a target: a fuzzer under cargo-fuzz, else one that replays the files that its arguments name.
#[macro_export]
macro_rules! target {
    ($target:path) => {
        #[cfg(fuzzing)]
        ::libfuzzer_sys::fuzz_target!(|bytes: &[u8]| $target(bytes));

        #[cfg(not(fuzzing))]
        fn main() -> ::std::io::Result<()> {
            $crate::replay($target)
        }
    };
}

/// Runs a target on the files that the arguments of the program name.
///
/// # Errors
/// When a file cannot be read.
pub fn replay(target: Target) -> std::io::Result<()> {
    for file in std::env::args_os().skip(1) {
        target(&std::fs::read(file)?);
    }
    Ok(())
}

/// Checks that a value that was read is written as bytes that are read as the same value, and always the same bytes.
///
/// # Panics
/// When they are not.
fn check_round_trip<T: PartialEq>(
    bytes: &Bytes,
    decode: impl Fn(&Bytes) -> Option<T>,
    encode: impl Fn(&T, &mut Vec<u8>),
) {
    let Some(value) = decode(bytes) else { return };
    let mut written = Vec::new();
    encode(&value, &mut written);
    let again = decode(&Bytes::from(written.clone()));
    assert!(again.as_ref() == Some(&value), "{bytes:?} was written as {}", written.escape_ascii());
    let mut rewritten = Vec::new();
    again.iter().for_each(|again| encode(again, &mut rewritten));
    assert!(written == rewritten, "one value has two encodings");
}

/// Like [`check_round_trip`] for types whose older versions cannot say everything: what is lost is lost at once.
fn check_settles<T: PartialEq>(
    bytes: &Bytes,
    decode: impl Fn(&Bytes) -> Option<T>,
    encode: impl Fn(&T, &mut Vec<u8>),
) {
    let Some(value) = decode(bytes) else { return };
    let mut written = Vec::new();
    encode(&value, &mut written);
    let written = Bytes::from(written);
    assert!(decode(&written).is_some(), "what was written cannot be read: {written:?}");
    check_round_trip(&written, decode, encode);
}
